/* Requests and replies: bytes -> records. */
#include "base/err.h"
#include "proto/client.h"
#include "proto/client_records.h"

#define MULTI_FIRST_CAPACITY 8

static void decode_request_body(struct jute_reader *reader, struct arena *arena,
                                struct client_request *request);
static void decode_create(struct jute_reader *reader, struct arena *arena,
                          struct zk_create_ttl_request *request);
static void decode_set_watches(struct jute_reader *reader, struct arena *arena,
                               struct zk_set_watches2_request *request);
static void decode_multi(struct jute_reader *reader, struct arena *arena,
                         struct client_request *request);
static bool may_nest(enum zk_op multi, int32_t op);
static void decode_nested(struct jute_reader *reader, struct arena *arena,
                          struct client_request *op);
static void decode_reply_body(struct jute_reader *reader, struct arena *arena,
                              struct client_reply *reply);
static void decode_multi_reply(struct jute_reader *reader, struct arena *arena,
                               struct client_reply *reply);
static void decode_part(struct jute_reader *reader, struct arena *arena,
                        const struct zk_multi_header *header,
                        struct client_reply *part);
static void *grown(struct arena *arena, const void *items, size_t count,
                   size_t *capacity, size_t item_size);

int client_header_decode(struct slice frame, struct zk_request_header *header)
{
    struct jute_reader reader;

    jute_reader_init(&reader, frame);
    decode_request_header(&reader, NULL, header);
    return reader.err;
}

int client_request_decode(struct slice frame, struct arena *arena,
                          struct client_request *request)
{
    struct jute_reader reader;
    struct zk_request_header header;

    jute_reader_init(&reader, frame);
    decode_request_header(&reader, arena, &header);
    request->xid = header.xid;
    request->op = (enum zk_op)header.type;
    decode_request_body(&reader, arena, request);
    return reader.err;
}

int client_reply_header_decode(struct slice frame,
                               struct zk_reply_header *header)
{
    struct jute_reader reader;

    jute_reader_init(&reader, frame);
    decode_reply_header(&reader, NULL, header);
    return reader.err;
}

int client_reply_decode(struct slice frame, enum zk_op op, struct arena *arena,
                        struct client_reply *reply)
{
    struct jute_reader reader;
    struct zk_reply_header header;

    jute_reader_init(&reader, frame);
    decode_reply_header(&reader, arena, &header);
    reply->xid = header.xid;
    reply->op = op;
    reply->zxid = header.zxid;
    reply->code = header.err;
    if (header.err == ZK_OK) {
        decode_reply_body(&reader, arena, reply);
    }
    return reader.err;
}

/* The hot ones first; an op without a decoder is not one a client may send. */
static void decode_request_body(struct jute_reader *reader, struct arena *arena,
                                struct client_request *request)
{
    switch (request->op) {
        case ZK_OP_GET_DATA:
        case ZK_OP_EXISTS:
        case ZK_OP_GET_CHILDREN:
        case ZK_OP_GET_CHILDREN2:
            decode_path_watch(reader, arena, &request->path_watch);
            return;
        case ZK_OP_SET_DATA:
            decode_set_data_request(reader, arena, &request->set_data);
            return;
        case ZK_OP_CREATE:
        case ZK_OP_CREATE2:
        case ZK_OP_CREATE_CONTAINER:
            decode_create(reader, arena, &request->create);
            return;
        case ZK_OP_CREATE_TTL:
            decode_create_ttl_request(reader, arena, &request->create);
            return;
        case ZK_OP_DELETE:
        case ZK_OP_CHECK:
            decode_path_version(reader, arena, &request->path_version);
            return;
        case ZK_OP_MULTI:
        case ZK_OP_MULTI_READ:
            decode_multi(reader, arena, request);
            return;
        case ZK_OP_PING:
        case ZK_OP_CLOSE_SESSION:
        case ZK_OP_WHO_AM_I:
            return;
        case ZK_OP_GET_ACL:
        case ZK_OP_SYNC:
        case ZK_OP_GET_EPHEMERALS:
        case ZK_OP_GET_ALL_CHILDREN_NUMBER:
            decode_path(reader, arena, &request->path);
            return;
        case ZK_OP_SET_ACL:
            decode_set_acl_request(reader, arena, &request->set_acl);
            return;
        case ZK_OP_RECONFIG:
            decode_reconfig_request(reader, arena, &request->reconfig);
            return;
        case ZK_OP_CHECK_WATCHES:
        case ZK_OP_REMOVE_WATCHES:
        case ZK_OP_ADD_WATCH:
            decode_path_type(reader, arena, &request->path_type);
            return;
        case ZK_OP_AUTH:
            decode_auth_request(reader, arena, &request->auth);
            return;
        case ZK_OP_SET_WATCHES:
            decode_set_watches(reader, arena, &request->set_watches);
            return;
        case ZK_OP_SET_WATCHES2:
            decode_set_watches2_request(reader, arena, &request->set_watches);
            return;
        case ZK_OP_SASL:
            decode_token(reader, arena, &request->token);
            return;
        case ZK_OP_CREATE_SESSION:
        case ZK_OP_MOVE_SESSION:
        case ZK_OP_ERROR:
        case ZK_OP_NOTIFICATION:
        case ZK_OP_DELETE_CONTAINER:
            break;
    }
    jute_reader_fail(reader);
}

static void decode_create(struct jute_reader *reader, struct arena *arena,
                          struct zk_create_ttl_request *request)
{
    struct zk_create_request plain;

    decode_create_request(reader, arena, &plain);
    *request = (struct zk_create_ttl_request){
        .path = plain.path,
        .data = plain.data,
        .acl = plain.acl,
        .acl_count = plain.acl_count,
        .flags = plain.flags,
    };
}

static void decode_set_watches(struct jute_reader *reader, struct arena *arena,
                               struct zk_set_watches2_request *request)
{
    struct zk_set_watches_request old;

    decode_set_watches_request(reader, arena, &old);
    *request = (struct zk_set_watches2_request){
        .relative_zxid = old.relative_zxid,
        .data = old.data,
        .data_count = old.data_count,
        .exist = old.exist,
        .exist_count = old.exist_count,
        .child = old.child,
        .child_count = old.child_count,
    };
}

/* The ops come without a count: the array grows as they are really there. */
static void decode_multi(struct jute_reader *reader, struct arena *arena,
                         struct client_request *request)
{
    struct client_request *ops = NULL;
    size_t count = 0, capacity = 0;

    for (;;) {
        struct zk_multi_header header;

        decode_multi_header(reader, arena, &header);
        if (reader->err != 0 || header.done) {
            break;
        }
        if (!may_nest(request->op, header.type) ||
            count == ZK_MULTI_PARTS_MAX) {
            jute_reader_fail(reader);
            break;
        }
        if (count == capacity) {
            ops = grown(arena, ops, count, &capacity, sizeof(*ops));
        }
        ops[count].xid = request->xid;
        ops[count].op = (enum zk_op)header.type;
        decode_nested(reader, arena, &ops[count++]);
    }
    request->multi.ops = ops;
    request->multi.count = reader->err == 0 ? count : 0;
}

static bool may_nest(enum zk_op multi, int32_t op)
{
    switch (op) {
        case ZK_OP_CREATE:
        case ZK_OP_CREATE2:
        case ZK_OP_CREATE_CONTAINER:
        case ZK_OP_CREATE_TTL:
        case ZK_OP_DELETE:
        case ZK_OP_SET_DATA:
        case ZK_OP_CHECK:
            return multi == ZK_OP_MULTI;
        case ZK_OP_GET_DATA:
        case ZK_OP_GET_CHILDREN:
            return multi == ZK_OP_MULTI_READ;
        default: /* a received number */
            return false;
    }
}

static void decode_nested(struct jute_reader *reader, struct arena *arena,
                          struct client_request *op)
{
    decode_request_body(reader, arena, op);
    switch (op->op) {
        case ZK_OP_CREATE:
        case ZK_OP_CREATE2:
        case ZK_OP_CREATE_CONTAINER:
        case ZK_OP_CREATE_TTL:
            /* ZooKeeper makes its CreateMode while it decodes a multi, so
             * that here an unknown one is no BadArguments. */
            if (op->create.flags < ZK_PERSISTENT ||
                op->create.flags > ZK_PERSISTENT_SEQUENTIAL_TTL) {
                jute_reader_fail(reader);
            }
            break;
        case ZK_OP_GET_DATA:
        case ZK_OP_GET_CHILDREN:
            op->path_watch.watch = false;
            break;
        default: /* the rest is as it came */
            break;
    }
}

static void decode_reply_body(struct jute_reader *reader, struct arena *arena,
                              struct client_reply *reply)
{
    switch (reply->op) {
        case ZK_OP_GET_DATA:
        case ZK_OP_RECONFIG:
            decode_data_response(reader, arena, &reply->data);
            return;
        case ZK_OP_EXISTS:
        case ZK_OP_SET_DATA:
        case ZK_OP_SET_ACL:
            decode_stat(reader, arena, &reply->stat);
            return;
        case ZK_OP_CREATE:
        case ZK_OP_SYNC:
            decode_path(reader, arena, &reply->path);
            return;
        case ZK_OP_CREATE2:
        case ZK_OP_CREATE_CONTAINER:
        case ZK_OP_CREATE_TTL:
            decode_path_stat(reader, arena, &reply->path_stat);
            return;
        case ZK_OP_GET_ACL:
            decode_acl_response(reader, arena, &reply->acl);
            return;
        case ZK_OP_GET_CHILDREN:
        case ZK_OP_GET_EPHEMERALS:
            decode_strings_response(reader, arena, &reply->names);
            return;
        case ZK_OP_GET_CHILDREN2:
            decode_children2_response(reader, arena, &reply->children2);
            return;
        case ZK_OP_GET_ALL_CHILDREN_NUMBER:
        case ZK_OP_ADD_WATCH:
            decode_int_response(reader, arena, &reply->value);
            return;
        case ZK_OP_WHO_AM_I:
            decode_who_am_i_response(reader, arena, &reply->infos);
            return;
        case ZK_OP_SASL:
            decode_token(reader, arena, &reply->token);
            return;
        case ZK_OP_MULTI:
        case ZK_OP_MULTI_READ:
            decode_multi_reply(reader, arena, reply);
            return;
        case ZK_OP_DELETE:
        case ZK_OP_CHECK:
        case ZK_OP_PING:
        case ZK_OP_AUTH:
        case ZK_OP_CLOSE_SESSION:
        case ZK_OP_SET_WATCHES:
        case ZK_OP_SET_WATCHES2:
        case ZK_OP_CHECK_WATCHES:
        case ZK_OP_REMOVE_WATCHES:
            return;
        case ZK_OP_CREATE_SESSION:
        case ZK_OP_MOVE_SESSION:
        case ZK_OP_ERROR:
        case ZK_OP_NOTIFICATION:
        case ZK_OP_DELETE_CONTAINER:
            break;
    }
    jute_reader_fail(reader);
}

static void decode_multi_reply(struct jute_reader *reader, struct arena *arena,
                               struct client_reply *reply)
{
    struct client_reply *parts = NULL;
    size_t count = 0, capacity = 0;

    for (;;) {
        struct zk_multi_header header;

        decode_multi_header(reader, arena, &header);
        if (reader->err != 0 || header.done) {
            break;
        }
        if (count == capacity) {
            parts = grown(arena, parts, count, &capacity, sizeof(*parts));
        }
        parts[count].xid = reply->xid;
        parts[count].zxid = reply->zxid;
        decode_part(reader, arena, &header, &parts[count++]);
    }
    reply->multi.parts = parts;
    reply->multi.count = reader->err == 0 ? count : 0;
}

static void decode_part(struct jute_reader *reader, struct arena *arena,
                        const struct zk_multi_header *header,
                        struct client_reply *part)
{
    part->op = (enum zk_op)header->type;
    part->code = ZK_OK;
    if (header->type == ZK_OP_ERROR) {
        part->code = jute_read_int(reader);
    } else if (may_nest(ZK_OP_MULTI, header->type) ||
               may_nest(ZK_OP_MULTI_READ, header->type)) {
        decode_reply_body(reader, arena, part);
    } else {
        jute_reader_fail(reader);
    }
}

/* Room for at least one item more. What it leaves behind in the arena is less
 * than what it gives, and dies with the frame. */
static void *grown(struct arena *arena, const void *items, size_t count,
                   size_t *capacity, size_t item_size)
{
    void *more;

    *capacity = *capacity == 0 ? MULTI_FIRST_CAPACITY : *capacity * 2;
    more = arena_alloc(arena, *capacity * item_size, 16);
    if (count > 0) {
        memcpy(more, items, count * item_size);
    }
    return more;
}
