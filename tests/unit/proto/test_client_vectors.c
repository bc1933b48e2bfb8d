/* Packets of real servers and clients, both directions. */
#include <criterion/criterion.h>

#include "proto/client.h"
#include "tests/support/client_vectors.h"

static struct arena *arena;
static struct buf out;

static void setup(void)
{
    arena = arena_create(4096);
    buf_init(&out);
}

static void teardown(void)
{
    buf_finish(&out);
    arena_destroy(arena);
}

TestSuite(proto_client_vectors, .init = setup, .fini = teardown);

static void assert_out_is(const char *hex)
{
    cr_assert(slice_equal(buf_bytes(&out), bytes_from_hex(arena, hex)),
              "not %s", hex);
    buf_clear(&out);
}

/* Decodes the packet, and encodes it again to the same bytes. */
static struct client_request request_of(const char *hex)
{
    struct client_request request;

    cr_assert_eq(
        client_request_decode(frame_from_hex(arena, hex), arena, &request), 0);
    client_request_encode(&request, &out);
    assert_out_is(hex);
    return request;
}

static struct client_reply reply_of(const char *hex, enum zk_op op)
{
    struct client_reply reply;
    size_t size;

    cr_assert_eq(
        client_reply_decode(frame_from_hex(arena, hex), op, arena, &reply), 0);
    size = client_reply_size(&reply);
    client_reply_write(&reply, buf_extend(&out, size));
    assert_out_is(hex);
    return reply;
}

static struct client_connect connect_of(const char *hex)
{
    struct client_connect connect;

    cr_assert_eq(client_connect_decode(frame_from_hex(arena, hex), &connect),
                 0);
    client_connect_encode(&connect, &out);
    assert_out_is(hex);
    return connect;
}

Test(proto_client_vectors, connect)
{
    struct client_connect connect = connect_of(VECTOR_CONNECT);

    cr_assert_eq(connect.request.protocol_version, 0);
    cr_assert_eq(connect.request.last_zxid_seen, 0);
    cr_assert_eq(connect.request.timeout, 30000);
    cr_assert_eq(connect.request.session_id, 0);
    cr_assert_eq(connect.request.password.len, 16);
    cr_assert(connect.has_read_only);
    cr_assert_not(connect.read_only);
}

Test(proto_client_vectors, connect_of_an_old_client)
{
    struct client_connect connect = connect_of(VECTOR_CONNECT_OLD);

    cr_assert_eq(connect.request.timeout, 30000);
    cr_assert_eq(connect.request.password.len, 16);
    cr_assert_not(connect.has_read_only);
    cr_assert_not(connect.read_only);
}

Test(proto_client_vectors, connect_reply)
{
    struct zk_connect_response response;
    bool read_only = true;

    cr_assert_eq(
        client_connect_decode_reply(frame_from_hex(arena, VECTOR_CONNECT_REPLY),
                                    &response, &read_only),
        0);
    cr_assert_eq(response.timeout, 30000);
    cr_assert_eq(response.session_id, UINT64_C(0x0100000000000001));
    cr_assert_eq(response.password.len, 16);
    cr_assert_eq(response.password.ptr[15], 15);
    cr_assert_not(read_only);
    client_connect_encode_reply(&response, true, false, &out);
    assert_out_is(VECTOR_CONNECT_REPLY);
    client_connect_encode_reply(&response, false, false, &out);
    cr_assert_eq(out.len, 40, "an old client gets no last byte");
    cr_assert_eq(out.data[3], 36);
}

Test(proto_client_vectors, connect_reply_expired)
{
    struct zk_connect_response response;
    bool read_only = true;

    cr_assert_eq(client_connect_decode_reply(
                     frame_from_hex(arena, VECTOR_CONNECT_EXPIRED), &response,
                     &read_only),
                 0);
    cr_assert_eq(response.timeout, 0);
    cr_assert_eq(response.session_id, 0);
    client_connect_encode_reply(&response, true, false, &out);
    assert_out_is(VECTOR_CONNECT_EXPIRED);
}

Test(proto_client_vectors, ping)
{
    struct client_request request = request_of(VECTOR_PING);
    struct client_reply reply = reply_of(VECTOR_PING_REPLY, ZK_OP_PING);

    cr_assert_eq(request.xid, ZK_XID_PING);
    cr_assert_eq(request.op, ZK_OP_PING);
    cr_assert_eq(reply.xid, ZK_XID_PING);
    cr_assert_eq(reply.zxid, UINT64_C(0x10000002a));
}

Test(proto_client_vectors, auth)
{
    struct client_request request = request_of(VECTOR_AUTH);
    struct client_reply reply = reply_of(VECTOR_AUTH_REPLY, ZK_OP_AUTH);

    cr_assert_eq(request.xid, ZK_XID_AUTH);
    cr_assert_eq(request.op, ZK_OP_AUTH);
    cr_assert_eq(request.auth.type, 0);
    cr_assert(slice_equal_text(request.auth.scheme, "digest"));
    cr_assert(slice_equal_text(request.auth.auth, "user:password"));
    cr_assert_eq(reply.code, ZK_OK);
}

Test(proto_client_vectors, create)
{
    struct client_request request = request_of(VECTOR_CREATE);
    struct client_reply reply = reply_of(VECTOR_CREATE_REPLY, ZK_OP_CREATE);

    cr_assert_eq(request.xid, 1);
    cr_assert_eq(request.op, ZK_OP_CREATE);
    cr_assert(slice_equal_text(request.create.path, "/a"));
    cr_assert(slice_equal_text(request.create.data, "hi"));
    cr_assert_eq(request.create.acl_count, 1);
    cr_assert_eq(request.create.acl[0].perms, ZK_PERM_ALL);
    cr_assert(slice_equal_text(request.create.acl[0].id.scheme, "world"));
    cr_assert(slice_equal_text(request.create.acl[0].id.id, "anyone"));
    cr_assert_eq(request.create.flags, ZK_EPHEMERAL);
    cr_assert_eq(request.create.ttl, 0);
    cr_assert_eq(reply.zxid, UINT64_C(0x100000003));
    cr_assert(slice_equal_text(reply.path.path, "/a"));
}

Test(proto_client_vectors, exists_and_no_node)
{
    struct client_request request = request_of(VECTOR_EXISTS);
    struct client_reply reply = reply_of(VECTOR_NO_NODE_REPLY, ZK_OP_EXISTS);

    cr_assert_eq(request.op, ZK_OP_EXISTS);
    cr_assert(slice_equal_text(request.path_watch.path, "/x"));
    cr_assert(request.path_watch.watch);
    cr_assert_eq(reply.xid, 2);
    cr_assert_eq(reply.code, ZK_NO_NODE);
}

Test(proto_client_vectors, event)
{
    struct slice frame = frame_from_hex(arena, VECTOR_EVENT);
    struct zk_reply_header header;
    struct zk_watcher_event event;

    cr_assert_eq(client_reply_header_decode(frame, &header), 0);
    cr_assert_eq(header.xid, ZK_XID_NOTIFICATION);
    cr_assert_eq(header.zxid, UINT64_C(0x100000004));
    cr_assert_eq(
        client_event_decode(slice_after(frame, ZK_REPLY_HEADER_SIZE), &event),
        0);
    cr_assert_eq(event.type, ZK_EVENT_CREATED);
    cr_assert_eq(event.state, ZK_STATE_CONNECTED);
    cr_assert(slice_equal_text(event.path, "/x"));
    client_event_write(ZK_EVENT_CREATED, header.zxid, event.path,
                       buf_extend(&out, client_event_size(event.path)));
    assert_out_is(VECTOR_EVENT);
}

Test(proto_client_vectors, multi)
{
    struct client_request request = request_of(VECTOR_MULTI);
    struct client_reply reply = reply_of(VECTOR_MULTI_REPLY, ZK_OP_MULTI);

    cr_assert_eq(request.op, ZK_OP_MULTI);
    cr_assert_eq(request.multi.count, 2);
    cr_assert_eq(request.multi.ops[0].op, ZK_OP_CHECK);
    cr_assert(slice_equal_text(request.multi.ops[0].path_version.path, "/a"));
    cr_assert_eq(request.multi.ops[0].path_version.version, 0);
    cr_assert_eq(request.multi.ops[1].op, ZK_OP_DELETE);
    cr_assert_eq(request.multi.ops[1].path_version.version, -1);
    cr_assert_eq(reply.multi.count, 2);
    cr_assert_eq(reply.multi.parts[0].op, ZK_OP_CHECK);
    cr_assert_eq(reply.multi.parts[0].code, ZK_OK);
    cr_assert_eq(reply.multi.parts[1].op, ZK_OP_DELETE);
}

Test(proto_client_vectors, close_session)
{
    struct client_request request = request_of(VECTOR_CLOSE_SESSION);
    struct client_reply reply =
        reply_of(VECTOR_CLOSE_SESSION_REPLY, ZK_OP_CLOSE_SESSION);

    cr_assert_eq(request.xid, 5);
    cr_assert_eq(request.op, ZK_OP_CLOSE_SESSION);
    cr_assert_eq(reply.zxid, UINT64_C(0x100000006));
}
