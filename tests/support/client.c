#include "tests/support/client.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"

static const struct zk_acl open_acl = {
    ZK_PERM_ALL,
    {{(const uint8_t *)"world", 5}, {(const uint8_t *)"anyone", 6}}};

static void strip_length(struct buf *out);
static void note_asked(struct test_client *client, int32_t xid, enum zk_op op);
static void take_connect(struct test_client *client, struct slice frame);
static void take_event(struct test_client *client,
                       const struct zk_reply_header *header, struct slice body);
static enum zk_op answered_op(struct test_client *client, int32_t xid);
static void write_reply(struct test_client *client,
                        const struct client_reply *reply);
static void write_body(struct buf *text, const struct client_reply *reply);
static void write_acl(struct buf *text, const struct zk_acl_response *reply);
static void write_infos(struct buf *text,
                        const struct zk_who_am_i_response *reply);
static void write_stat(struct buf *text, const struct zk_stat *stat);
static void write_names(struct buf *text, const struct slice *names,
                        size_t count);
static const char *op_name(enum zk_op op);

void test_client_init(struct test_client *client, uint64_t conn_id)
{
    *client = (struct test_client){.conn_id = conn_id};
    client->arena = arena_create(4096);
}

void test_client_finish(struct test_client *client)
{
    buf_finish(&client->text);
    arena_destroy(client->arena);
    *client = (struct test_client){0};
}

void test_client_connect(struct test_client *client, int32_t timeout_ms,
                         struct buf *out)
{
    struct client_connect connect = {
        .request = {.last_zxid_seen = client->zxid,
                    .timeout = timeout_ms,
                    .session_id = client->session_id,
                    .password = slice_make(client->password, 16)},
        .has_read_only = true,
        .read_only = client->read_only,
    };

    buf_clear(out);
    client_connect_encode(&connect, out);
    strip_length(out);
}

void test_client_request(struct test_client *client,
                         struct client_request *request, struct buf *out)
{
    switch ((int)request->op) {
        case ZK_OP_PING:
            request->xid = ZK_XID_PING;
            break;
        case ZK_OP_AUTH:
            request->xid = ZK_XID_AUTH;
            break;
        case ZK_OP_SET_WATCHES:
        case ZK_OP_SET_WATCHES2:
            request->xid = ZK_XID_SET_WATCHES;
            break;
        default:
            request->xid = ++client->xid;
            break;
    }
    note_asked(client, request->xid, request->op);
    buf_clear(out);
    client_request_encode(request, out);
    strip_length(out);
}

void test_client_raw(struct test_client *client, int32_t op, struct slice body,
                     struct buf *out)
{
    uint8_t *header;

    buf_clear(out);
    header = buf_extend(out, 8);
    bytes_store32(header, (uint32_t)++client->xid);
    bytes_store32(header + 4, (uint32_t)op);
    buf_append(out, body);
    note_asked(client, client->xid, (enum zk_op)op);
}

void test_client_take(struct test_client *client, struct slice packet)
{
    struct slice frame = slice_after(packet, 4);
    struct zk_reply_header header;
    struct client_reply reply;

    CHECK(bytes_load32(packet.ptr) == frame.len);
    arena_reset(client->arena);
    if (!client->connected) {
        take_connect(client, frame);
        return;
    }
    CHECK(client_reply_header_decode(frame, &header) == 0);
    if (header.xid == ZK_XID_NOTIFICATION) {
        take_event(client, &header, slice_after(frame, ZK_REPLY_HEADER_SIZE));
        return;
    }
    client->answers++;
    CHECK(client_reply_decode(frame, answered_op(client, header.xid),
                              client->arena, &reply) == 0);
    if (header.xid != ZK_XID_AUTH && reply.op != ZK_OP_SASL) {
        client->went_back |= header.zxid < client->zxid;
        client->zxid = header.zxid;
    }
    if (!client->quiet) {
        write_reply(client, &reply);
    }
}

struct client_request request_create(const char *path, const char *data,
                                     int32_t flags)
{
    return (struct client_request){
        .op = ZK_OP_CREATE,
        .create = {.path = slice_from_text(path),
                   .data =
                       data == NULL ? (struct slice){0} : slice_from_text(data),
                   .acl = &open_acl,
                   .acl_count = 1,
                   .flags = flags}};
}

struct client_request request_path(enum zk_op op, const char *path)
{
    return (struct client_request){.op = op, .path = {slice_from_text(path)}};
}

struct client_request request_watch(enum zk_op op, const char *path, bool watch)
{
    return (struct client_request){
        .op = op, .path_watch = {slice_from_text(path), watch}};
}

struct client_request request_delete(const char *path, int32_t version)
{
    return (struct client_request){
        .op = ZK_OP_DELETE, .path_version = {slice_from_text(path), version}};
}

struct client_request request_set(const char *path, const char *data,
                                  int32_t version)
{
    return (struct client_request){
        .op = ZK_OP_SET_DATA,
        .set_data = {slice_from_text(path), slice_from_text(data), version}};
}

struct client_request request_type(enum zk_op op, const char *path,
                                   int32_t type)
{
    return (struct client_request){.op = op,
                                   .path_type = {slice_from_text(path), type}};
}

struct client_request request_auth(const char *scheme, const char *auth)
{
    return (struct client_request){
        .op = ZK_OP_AUTH,
        .auth = {0, slice_from_text(scheme), slice_from_text(auth)}};
}

struct client_request request_plain(enum zk_op op)
{
    return (struct client_request){.op = op};
}

struct client_request
request_multi(enum zk_op op, const struct client_request *ops, size_t count)
{
    return (struct client_request){.op = op, .multi = {ops, count}};
}

static void strip_length(struct buf *out)
{
    out->len -= 4;
    memmove(out->data, out->data + 4, out->len);
}

static void note_asked(struct test_client *client, int32_t xid, enum zk_op op)
{
    CHECK(client->asked_count < TEST_CLIENT_OPS_MAX);
    client->asked[client->asked_count].xid = xid;
    client->asked[client->asked_count++].op = op;
}

static void take_connect(struct test_client *client, struct slice frame)
{
    struct zk_connect_response response;
    bool read_only;

    CHECK(client_connect_decode_reply(frame, &response, &read_only) == 0);
    client->connected = true;
    client->refused = response.session_id == 0;
    if (client->refused) {
        CHECK(response.timeout == 0);
        buf_append_text(&client->text, "refused\n");
        return;
    }
    CHECK(response.password.len == 16);
    client->session_id = response.session_id;
    client->timeout_ms = response.timeout;
    memcpy(client->password, response.password.ptr, 16);
    buf_printf(&client->text, "%s %d\n", read_only ? "read-only" : "session",
               response.timeout);
}

static void take_event(struct test_client *client,
                       const struct zk_reply_header *header, struct slice body)
{
    static const char *const names[] = {"?", "created", "deleted", "changed",
                                        "children"};
    struct zk_watcher_event event;

    client->events++;
    CHECK(client_event_decode(body, &event) == 0);
    CHECK(event.type >= 1 && event.type <= 4);
    CHECK(event.state == ZK_STATE_CONNECTED);
    if (!client->quiet) {
        buf_printf(&client->text, "event %s %.*s z%d\n", names[event.type],
                   (int)event.path.len, event.path.ptr, (int)header->zxid);
    }
}

/* Answers come in the order of the requests, but for those that pass by. */
static enum zk_op answered_op(struct test_client *client, int32_t xid)
{
    bool passes = xid == ZK_XID_PING || xid == ZK_XID_AUTH;
    size_t at = 0;
    enum zk_op op;

    while (at < client->asked_count && client->asked[at].xid != xid) {
        CHECK(passes || client->asked[at].xid == ZK_XID_PING ||
              client->asked[at].xid == ZK_XID_AUTH ||
              client->asked[at].op == ZK_OP_SASL);
        at++;
    }
    CHECK(at < client->asked_count);
    op = client->asked[at].op;
    client->asked_count--;
    memmove(&client->asked[at], &client->asked[at + 1],
            (client->asked_count - at) * sizeof(client->asked[0]));
    return op;
}

static void write_reply(struct test_client *client,
                        const struct client_reply *reply)
{
    struct buf *text = &client->text;

    buf_printf(text, "%d %s z%u", reply->xid, op_name(reply->op),
               zxid_counter(reply->zxid));
    if (reply->code != ZK_OK) {
        buf_printf(text, " %d\n", reply->code);
        return;
    }
    write_body(text, reply);
    buf_append_text(text, "\n");
}

static void write_body(struct buf *text, const struct client_reply *reply)
{
    switch ((int)reply->op) {
        case ZK_OP_CREATE:
        case ZK_OP_SYNC:
            buf_printf(text, " %.*s", (int)reply->path.path.len,
                       reply->path.path.ptr);
            break;
        case ZK_OP_CREATE2:
        case ZK_OP_CREATE_CONTAINER:
        case ZK_OP_CREATE_TTL:
            buf_printf(text, " %.*s", (int)reply->path_stat.path.len,
                       reply->path_stat.path.ptr);
            write_stat(text, &reply->path_stat.stat);
            break;
        case ZK_OP_EXISTS:
        case ZK_OP_SET_DATA:
        case ZK_OP_SET_ACL:
            write_stat(text, &reply->stat);
            break;
        case ZK_OP_GET_DATA:
            if (slice_is_absent(reply->data.data)) {
                buf_append_text(text, " null");
            } else {
                buf_printf(text, " '%.*s'", (int)reply->data.data.len,
                           reply->data.data.ptr);
            }
            write_stat(text, &reply->data.stat);
            break;
        case ZK_OP_GET_ACL:
            write_acl(text, &reply->acl);
            break;
        case ZK_OP_GET_CHILDREN:
        case ZK_OP_GET_EPHEMERALS:
            write_names(text, reply->names.names, reply->names.names_count);
            break;
        case ZK_OP_GET_CHILDREN2:
            write_names(text, reply->children2.names,
                        reply->children2.names_count);
            write_stat(text, &reply->children2.stat);
            break;
        case ZK_OP_GET_ALL_CHILDREN_NUMBER:
        case ZK_OP_ADD_WATCH:
            buf_printf(text, " %d", reply->value.value);
            break;
        case ZK_OP_WHO_AM_I:
            write_infos(text, &reply->infos);
            break;
        case ZK_OP_MULTI:
        case ZK_OP_MULTI_READ:
            for (size_t i = 0; i < reply->multi.count; i++) {
                const struct client_reply *part = &reply->multi.parts[i];

                buf_printf(text, "%s[%s", i == 0 ? " " : "", op_name(part->op));
                if (part->op == ZK_OP_ERROR || part->code != ZK_OK) {
                    buf_printf(text, " %d", part->code);
                } else {
                    write_body(text, part);
                }
                buf_append_text(text, "]");
            }
            break;
        default:
            break;
    }
}

static void write_acl(struct buf *text, const struct zk_acl_response *reply)
{
    for (size_t i = 0; i < reply->acl_count; i++) {
        const struct zk_acl *acl = &reply->acl[i];

        buf_printf(text, " %d:%.*s:%.*s", acl->perms, (int)acl->id.scheme.len,
                   acl->id.scheme.ptr, (int)acl->id.id.len, acl->id.id.ptr);
    }
    write_stat(text, &reply->stat);
}

static void write_infos(struct buf *text,
                        const struct zk_who_am_i_response *reply)
{
    for (size_t i = 0; i < reply->infos_count; i++) {
        const struct zk_client_info *info = &reply->infos[i];

        buf_printf(text, " %.*s:%.*s", (int)info->scheme.len, info->scheme.ptr,
                   (int)info->user.len, info->user.ptr);
    }
}

static void write_stat(struct buf *text, const struct zk_stat *stat)
{
    buf_printf(text, " v%d c%d", stat->version, stat->num_children);
}

static int by_name(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

/* Sorted: servers promise no order. */
static void write_names(struct buf *text, const struct slice *names,
                        size_t count)
{
    struct slice *sorted = MEM_ARRAY(struct slice, count + 1);

    for (size_t i = 0; i < count; i++) {
        sorted[i] = names[i];
    }
    qsort(sorted, count, sizeof(sorted[0]), by_name);
    buf_append_text(text, " (");
    for (size_t i = 0; i < count; i++) {
        buf_printf(text, "%s%.*s", i == 0 ? "" : " ", (int)sorted[i].len,
                   sorted[i].ptr);
    }
    buf_append_text(text, ")");
    mem_free(sorted);
}

static const char *op_name(enum zk_op op)
{
    const struct client_op *row = client_op_find(op);

    return row == NULL ? "unknown" : row->name;
}
