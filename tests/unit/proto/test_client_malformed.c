#include <criterion/criterion.h>

#include "base/err.h"
#include "proto/client.h"
#include "tests/support/client_samples.h"
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

TestSuite(proto_client_malformed, .init = setup, .fini = teardown);

static int decode_hex(const char *hex, struct client_request *request)
{
    return client_request_decode(bytes_from_hex(arena, hex), arena, request);
}

/* In memory of exactly that size, so that the sanitizer sees a read behind. */
static int decode_copy(struct slice frame, size_t len)
{
    struct arena *tight = arena_create(len + 1);
    struct slice copy = arena_copy(tight, slice_make(frame.ptr, len));
    struct client_request request;
    int err = client_request_decode(copy, arena, &request);

    arena_destroy(tight);
    return err;
}

Test(proto_client_malformed, no_prefix_of_a_request_is_a_request)
{
    for (size_t i = 0; i < client_sample_requests_count; i++) {
        struct slice frame;

        buf_clear(&out);
        client_request_encode(&client_sample_requests[i], &out);
        frame = slice_after(buf_bytes(&out), 4);
        cr_assert_eq(decode_copy(frame, frame.len), 0);
        for (size_t len = 0; len < frame.len; len++) {
            cr_assert_eq(decode_copy(frame, len), ERR_MALFORMED,
                         "sample %zu cut to %zu", i, len);
            arena_reset(arena);
        }
    }
}

Test(proto_client_malformed, no_prefix_of_a_reply_is_a_reply)
{
    for (size_t i = 0; i < client_sample_replies_count; i++) {
        const struct client_reply *reply = &client_sample_replies[i];
        size_t size = client_reply_size(reply);
        struct client_reply back;

        buf_clear(&out);
        client_reply_write(reply, buf_extend(&out, size));
        for (size_t len = 0; len < size - 4; len++) {
            cr_assert_eq(client_reply_decode(slice_make(out.data + 4, len),
                                             reply->op, arena, &back),
                         ERR_MALFORMED, "sample %zu cut to %zu", i, len);
            arena_reset(arena);
        }
    }
}

Test(proto_client_malformed, no_prefix_of_a_handshake_is_one)
{
    struct slice frame = frame_from_hex(arena, VECTOR_CONNECT_OLD);
    struct slice reply = frame_from_hex(arena, VECTOR_CONNECT_REPLY);
    struct slice event =
        slice_after(frame_from_hex(arena, VECTOR_EVENT), ZK_REPLY_HEADER_SIZE);
    struct client_connect connect;
    struct zk_connect_response response;
    struct zk_watcher_event read_event;
    bool read_only;

    for (size_t len = 0; len < frame.len; len++) {
        cr_assert_eq(
            client_connect_decode(slice_make(frame.ptr, len), &connect),
            ERR_MALFORMED);
    }
    for (size_t len = 0; len < reply.len - 1; len++) {
        cr_assert_eq(client_connect_decode_reply(slice_make(reply.ptr, len),
                                                 &response, &read_only),
                     ERR_MALFORMED);
    }
    for (size_t len = 0; len < event.len; len++) {
        cr_assert_eq(
            client_event_decode(slice_make(event.ptr, len), &read_event),
            ERR_MALFORMED);
    }
}

Test(proto_client_malformed, a_header_needs_eight_bytes)
{
    struct zk_request_header header;
    struct slice frame = bytes_from_hex(arena, "000000070000000300");

    cr_assert_eq(client_header_decode(slice_make(frame.ptr, 7), &header),
                 ERR_MALFORMED);
    cr_assert_eq(client_header_decode(slice_make(frame.ptr, 8), &header), 0);
    cr_assert_eq(header.xid, 7);
    cr_assert_eq(header.type, ZK_OP_EXISTS);
    cr_assert_eq(client_header_decode(frame, &header), 0);
}

Test(proto_client_malformed, a_handshake_without_a_password_is_one)
{
    struct client_connect connect;

    cr_assert_eq(client_connect_decode(bytes_from_hex(arena, "00000000"
                                                             "0000000000000000"
                                                             "00007530"
                                                             "0000000000000000"
                                                             "ffffffff"),
                                       &connect),
                 0);
    cr_assert(slice_is_absent(connect.request.password));
    cr_assert_not(connect.has_read_only);
}

Test(proto_client_malformed, bytes_behind_a_request_are_ignored)
{
    struct client_request request;

    cr_assert_eq(decode_hex("0000000200000003"
                            "000000022f7801"
                            "abcdef",
                            &request),
                 0);
    cr_assert(slice_equal_text(request.path_watch.path, "/x"));
}

Test(proto_client_malformed, unknown_and_internal_operations_have_no_body)
{
    struct client_request request;

    cr_assert_eq(decode_hex("000000010000000a", &request), ERR_MALFORMED);
    cr_assert_eq(decode_hex("00000001fffffff6", &request), ERR_MALFORMED);
    cr_assert_eq(decode_hex("0000000100000014", &request), ERR_MALFORMED);
    cr_assert_eq(decode_hex("0000000100000000", &request), ERR_MALFORMED);
}

/* setACL of /a with 2^31 - 1 entries, of which none is there. */
Test(proto_client_malformed, a_count_allocates_nothing)
{
    struct client_request request;
    size_t used;
    struct slice frame = bytes_from_hex(arena, "0000000100000007"
                                               "000000022f61"
                                               "7fffffff"
                                               "00000000");

    used = arena_used(arena);
    cr_assert_eq(client_request_decode(frame, arena, &request), ERR_MALFORMED);
    cr_assert_eq(arena_used(arena), used);
}

Test(proto_client_malformed, a_multi_nests_only_its_own_kind)
{
    struct client_request request;

    /* getData in a multi */
    cr_assert_eq(decode_hex("000000040000000e"
                            "0000000400ffffffff"
                            "000000022f6100"
                            "ffffffff01ffffffff",
                            &request),
                 ERR_MALFORMED);
    /* delete in a multiRead */
    cr_assert_eq(decode_hex("0000000400000016"
                            "0000000200ffffffff"
                            "000000022f6100000000"
                            "ffffffff01ffffffff",
                            &request),
                 ERR_MALFORMED);
    /* a multi in a multi */
    cr_assert_eq(decode_hex("000000040000000e"
                            "0000000e00ffffffff"
                            "ffffffff01ffffffff"
                            "ffffffff01ffffffff",
                            &request),
                 ERR_MALFORMED);
    /* exists in a multiRead */
    cr_assert_eq(decode_hex("0000000400000016"
                            "0000000300ffffffff"
                            "000000022f6100"
                            "ffffffff01ffffffff",
                            &request),
                 ERR_MALFORMED);
    /* no end */
    cr_assert_eq(decode_hex("000000040000000e"
                            "0000000200ffffffff"
                            "000000022f6100000000",
                            &request),
                 ERR_MALFORMED);
}

Test(proto_client_malformed, unknown_create_flags_are_so_only_in_a_multi)
{
    struct client_request request;

    cr_assert_eq(decode_hex("0000000400000001"
                            "000000022f61"
                            "00000000"
                            "00000000"
                            "00000007",
                            &request),
                 0, "alone they are bad arguments, told later");
    cr_assert_eq(decode_hex("000000040000000e"
                            "0000000100ffffffff"
                            "000000022f61"
                            "00000000"
                            "00000000"
                            "00000006"
                            "ffffffff01ffffffff",
                            &request),
                 0);
    cr_assert_eq(decode_hex("000000040000000e"
                            "0000000100ffffffff"
                            "000000022f61"
                            "00000000"
                            "00000000"
                            "00000007"
                            "ffffffff01ffffffff",
                            &request),
                 ERR_MALFORMED);
    cr_assert_eq(decode_hex("000000040000000e"
                            "0000000f00ffffffff"
                            "000000022f61"
                            "00000000"
                            "00000000"
                            "ffffffff"
                            "ffffffff01ffffffff",
                            &request),
                 ERR_MALFORMED);
}

Test(proto_client_malformed, reads_in_a_multi_set_no_watches)
{
    struct client_request request;

    cr_assert_eq(decode_hex("0000000400000016"
                            "0000000400ffffffff"
                            "000000022f6101"
                            "0000000800ffffffff"
                            "000000022f6101"
                            "ffffffff01ffffffff",
                            &request),
                 0);
    cr_assert_eq(request.multi.count, 2);
    cr_assert_not(request.multi.ops[0].path_watch.watch);
    cr_assert_not(request.multi.ops[1].path_watch.watch);
}

static void put_tiny_ops(size_t count)
{
    struct slice op = bytes_from_hex(arena, "0000000d00ffffffff"
                                            "ffffffff00000000");

    buf_clear(&out);
    buf_append(&out, bytes_from_hex(arena, "000000040000000e"));
    for (size_t i = 0; i < count; i++) {
        buf_append(&out, op);
    }
    buf_append(&out, bytes_from_hex(arena, "ffffffff01ffffffff"));
    cr_assert_lt(out.len, 1048575);
}

/* A step of the loop has room for so many; memory grows with them, not with
 * their square. */
Test(proto_client_malformed, a_multi_has_ten_thousand_parts_and_no_more)
{
    struct client_request request;
    size_t count = ZK_MULTI_PARTS_MAX;

    put_tiny_ops(count);
    cr_assert_eq(client_request_decode(buf_bytes(&out), arena, &request), 0);
    cr_assert_eq(request.multi.count, count);
    cr_assert_eq(request.multi.ops[count - 1].op, ZK_OP_CHECK);
    cr_assert_lt(arena_used(arena), 4 * count * sizeof(request));
    put_tiny_ops(count + 1);
    cr_assert_eq(client_request_decode(buf_bytes(&out), arena, &request),
                 ERR_MALFORMED);
    put_tiny_ops(61000);
    cr_assert_eq(client_request_decode(buf_bytes(&out), arena, &request),
                 ERR_MALFORMED);
}
