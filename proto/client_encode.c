/* Requests and replies: records -> bytes. Every size has a writer beside it
 * that takes the same branches. */
#include "base/check.h"
#include "proto/client.h"
#include "proto/client_records.h"

#define LENGTH_SIZE 4
#define TTL_SIZE 8
#define MULTI_HEADER_SIZE SIZE_MIN(multi_header)

static size_t request_body_size(const struct client_request *request);
static void write_request_body(struct jute_writer *writer,
                               const struct client_request *request);
static void write_create(struct jute_writer *writer,
                         const struct zk_create_ttl_request *create);
static size_t set_watches_size(const struct zk_set_watches2_request *request);
static void write_set_watches(struct jute_writer *writer,
                              const struct zk_set_watches2_request *request);
static struct zk_set_watches_request
without_persistent(const struct zk_set_watches2_request *request);
static size_t multi_size(const struct client_request *request);
static void write_multi(struct jute_writer *writer,
                        const struct client_request *request);
static size_t reply_body_size(const struct client_reply *reply);
static void write_reply_body(struct jute_writer *writer,
                             const struct client_reply *reply);
static size_t multi_reply_size(const struct client_reply *reply);
static void write_multi_reply(struct jute_writer *writer,
                              const struct client_reply *reply);
static bool is_error_part(const struct client_reply *part);
static int32_t part_type(const struct client_reply *part);
static void write_multi_end(struct jute_writer *writer);

void client_request_encode(const struct client_request *request,
                           struct buf *out)
{
    size_t size = SIZE_MIN(request_header) + request_body_size(request);
    struct zk_request_header header = {request->xid, request->op};
    struct jute_writer writer;

    CHECK(size <= INT32_MAX);
    writer.at = buf_extend(out, LENGTH_SIZE + size);
    jute_write_int(&writer, (int32_t)size);
    write_request_header(&writer, &header);
    write_request_body(&writer, request);
    CHECK(writer.at == out->data + out->len);
}

size_t client_reply_size(const struct client_reply *reply)
{
    size_t size = LENGTH_SIZE + ZK_REPLY_HEADER_SIZE;

    return reply->code == ZK_OK ? size + reply_body_size(reply) : size;
}

void client_reply_write(const struct client_reply *reply, uint8_t *to)
{
    struct jute_writer writer = {to + LENGTH_SIZE};
    size_t size;

    client_write_reply_header(&writer, reply->xid, reply->zxid, reply->code);
    if (reply->code == ZK_OK) {
        write_reply_body(&writer, reply);
    }
    /* The length comes last, when it is known without a second walk. */
    size = (size_t)(writer.at - to) - LENGTH_SIZE;
    CHECK(size <= INT32_MAX);
    bytes_store32(to, (uint32_t)size);
}

void client_write_reply_header(struct jute_writer *writer, int32_t xid,
                               zxid_t zxid, int32_t code)
{
    jute_write_int(writer, xid);
    jute_write_long(writer, (int64_t)zxid);
    jute_write_int(writer, code);
}

void client_write_stat(struct jute_writer *writer, const struct zk_stat *stat)
{
    write_stat(writer, stat);
}

static size_t request_body_size(const struct client_request *request)
{
    switch (request->op) {
        case ZK_OP_GET_DATA:
        case ZK_OP_EXISTS:
        case ZK_OP_GET_CHILDREN:
        case ZK_OP_GET_CHILDREN2:
            return size_path_watch(&request->path_watch);
        case ZK_OP_SET_DATA:
            return size_set_data_request(&request->set_data);
        case ZK_OP_CREATE:
        case ZK_OP_CREATE2:
        case ZK_OP_CREATE_CONTAINER:
            return size_create_ttl_request(&request->create) - TTL_SIZE;
        case ZK_OP_CREATE_TTL:
            return size_create_ttl_request(&request->create);
        case ZK_OP_DELETE:
        case ZK_OP_CHECK:
            return size_path_version(&request->path_version);
        case ZK_OP_MULTI:
        case ZK_OP_MULTI_READ:
            return multi_size(request);
        case ZK_OP_PING:
        case ZK_OP_CLOSE_SESSION:
        case ZK_OP_WHO_AM_I:
            return 0;
        case ZK_OP_GET_ACL:
        case ZK_OP_SYNC:
        case ZK_OP_GET_EPHEMERALS:
        case ZK_OP_GET_ALL_CHILDREN_NUMBER:
            return size_path(&request->path);
        case ZK_OP_SET_ACL:
            return size_set_acl_request(&request->set_acl);
        case ZK_OP_RECONFIG:
            return size_reconfig_request(&request->reconfig);
        case ZK_OP_CHECK_WATCHES:
        case ZK_OP_REMOVE_WATCHES:
        case ZK_OP_ADD_WATCH:
            return size_path_type(&request->path_type);
        case ZK_OP_AUTH:
            return size_auth_request(&request->auth);
        case ZK_OP_SET_WATCHES:
            return set_watches_size(&request->set_watches);
        case ZK_OP_SET_WATCHES2:
            return size_set_watches2_request(&request->set_watches);
        case ZK_OP_SASL:
            return size_token(&request->token);
        case ZK_OP_CREATE_SESSION:
        case ZK_OP_MOVE_SESSION:
        case ZK_OP_ERROR:
        case ZK_OP_NOTIFICATION:
        case ZK_OP_DELETE_CONTAINER:
            break;
    }
    UNREACHABLE();
}

static void write_request_body(struct jute_writer *writer,
                               const struct client_request *request)
{
    switch (request->op) {
        case ZK_OP_GET_DATA:
        case ZK_OP_EXISTS:
        case ZK_OP_GET_CHILDREN:
        case ZK_OP_GET_CHILDREN2:
            write_path_watch(writer, &request->path_watch);
            return;
        case ZK_OP_SET_DATA:
            write_set_data_request(writer, &request->set_data);
            return;
        case ZK_OP_CREATE:
        case ZK_OP_CREATE2:
        case ZK_OP_CREATE_CONTAINER:
            write_create(writer, &request->create);
            return;
        case ZK_OP_CREATE_TTL:
            write_create_ttl_request(writer, &request->create);
            return;
        case ZK_OP_DELETE:
        case ZK_OP_CHECK:
            write_path_version(writer, &request->path_version);
            return;
        case ZK_OP_MULTI:
        case ZK_OP_MULTI_READ:
            write_multi(writer, request);
            return;
        case ZK_OP_PING:
        case ZK_OP_CLOSE_SESSION:
        case ZK_OP_WHO_AM_I:
            return;
        case ZK_OP_GET_ACL:
        case ZK_OP_SYNC:
        case ZK_OP_GET_EPHEMERALS:
        case ZK_OP_GET_ALL_CHILDREN_NUMBER:
            write_path(writer, &request->path);
            return;
        case ZK_OP_SET_ACL:
            write_set_acl_request(writer, &request->set_acl);
            return;
        case ZK_OP_RECONFIG:
            write_reconfig_request(writer, &request->reconfig);
            return;
        case ZK_OP_CHECK_WATCHES:
        case ZK_OP_REMOVE_WATCHES:
        case ZK_OP_ADD_WATCH:
            write_path_type(writer, &request->path_type);
            return;
        case ZK_OP_AUTH:
            write_auth_request(writer, &request->auth);
            return;
        case ZK_OP_SET_WATCHES:
            write_set_watches(writer, &request->set_watches);
            return;
        case ZK_OP_SET_WATCHES2:
            write_set_watches2_request(writer, &request->set_watches);
            return;
        case ZK_OP_SASL:
            write_token(writer, &request->token);
            return;
        case ZK_OP_CREATE_SESSION:
        case ZK_OP_MOVE_SESSION:
        case ZK_OP_ERROR:
        case ZK_OP_NOTIFICATION:
        case ZK_OP_DELETE_CONTAINER:
            break;
    }
    UNREACHABLE();
}

static void write_create(struct jute_writer *writer,
                         const struct zk_create_ttl_request *create)
{
    struct zk_create_request plain = {
        .path = create->path,
        .data = create->data,
        .acl = create->acl,
        .acl_count = create->acl_count,
        .flags = create->flags,
    };

    write_create_request(writer, &plain);
}

static size_t set_watches_size(const struct zk_set_watches2_request *request)
{
    struct zk_set_watches_request old = without_persistent(request);

    return size_set_watches_request(&old);
}

static void write_set_watches(struct jute_writer *writer,
                              const struct zk_set_watches2_request *request)
{
    struct zk_set_watches_request old = without_persistent(request);

    write_set_watches_request(writer, &old);
}

static struct zk_set_watches_request
without_persistent(const struct zk_set_watches2_request *request)
{
    return (struct zk_set_watches_request){
        .relative_zxid = request->relative_zxid,
        .data = request->data,
        .data_count = request->data_count,
        .exist = request->exist,
        .exist_count = request->exist_count,
        .child = request->child,
        .child_count = request->child_count,
    };
}

static size_t multi_size(const struct client_request *request)
{
    size_t size = MULTI_HEADER_SIZE;

    for (size_t i = 0; i < request->multi.count; i++) {
        size += MULTI_HEADER_SIZE + request_body_size(&request->multi.ops[i]);
    }
    return size;
}

static void write_multi(struct jute_writer *writer,
                        const struct client_request *request)
{
    for (size_t i = 0; i < request->multi.count; i++) {
        const struct client_request *op = &request->multi.ops[i];
        struct zk_multi_header header = {op->op, false, -1};

        write_multi_header(writer, &header);
        write_request_body(writer, op);
    }
    write_multi_end(writer);
}

static size_t reply_body_size(const struct client_reply *reply)
{
    switch (reply->op) {
        case ZK_OP_GET_DATA:
        case ZK_OP_RECONFIG:
            return size_data_response(&reply->data);
        case ZK_OP_EXISTS:
        case ZK_OP_SET_DATA:
        case ZK_OP_SET_ACL:
            return size_stat(&reply->stat);
        case ZK_OP_CREATE:
        case ZK_OP_SYNC:
            return size_path(&reply->path);
        case ZK_OP_CREATE2:
        case ZK_OP_CREATE_CONTAINER:
        case ZK_OP_CREATE_TTL:
            return size_path_stat(&reply->path_stat);
        case ZK_OP_GET_ACL:
            return size_acl_response(&reply->acl);
        case ZK_OP_GET_CHILDREN:
        case ZK_OP_GET_EPHEMERALS:
            return size_strings_response(&reply->names);
        case ZK_OP_GET_CHILDREN2:
            return size_children2_response(&reply->children2);
        case ZK_OP_GET_ALL_CHILDREN_NUMBER:
        case ZK_OP_ADD_WATCH:
            return size_int_response(&reply->value);
        case ZK_OP_WHO_AM_I:
            return size_who_am_i_response(&reply->infos);
        case ZK_OP_SASL:
            return size_token(&reply->token);
        case ZK_OP_MULTI:
        case ZK_OP_MULTI_READ:
            return multi_reply_size(reply);
        case ZK_OP_DELETE:
        case ZK_OP_CHECK:
        case ZK_OP_PING:
        case ZK_OP_AUTH:
        case ZK_OP_CLOSE_SESSION:
        case ZK_OP_SET_WATCHES:
        case ZK_OP_SET_WATCHES2:
        case ZK_OP_CHECK_WATCHES:
        case ZK_OP_REMOVE_WATCHES:
            return 0;
        case ZK_OP_CREATE_SESSION:
        case ZK_OP_MOVE_SESSION:
        case ZK_OP_ERROR:
        case ZK_OP_NOTIFICATION:
        case ZK_OP_DELETE_CONTAINER:
            break;
    }
    UNREACHABLE();
}

static void write_reply_body(struct jute_writer *writer,
                             const struct client_reply *reply)
{
    switch (reply->op) {
        case ZK_OP_GET_DATA:
        case ZK_OP_RECONFIG:
            write_data_response(writer, &reply->data);
            return;
        case ZK_OP_EXISTS:
        case ZK_OP_SET_DATA:
        case ZK_OP_SET_ACL:
            write_stat(writer, &reply->stat);
            return;
        case ZK_OP_CREATE:
        case ZK_OP_SYNC:
            write_path(writer, &reply->path);
            return;
        case ZK_OP_CREATE2:
        case ZK_OP_CREATE_CONTAINER:
        case ZK_OP_CREATE_TTL:
            write_path_stat(writer, &reply->path_stat);
            return;
        case ZK_OP_GET_ACL:
            write_acl_response(writer, &reply->acl);
            return;
        case ZK_OP_GET_CHILDREN:
        case ZK_OP_GET_EPHEMERALS:
            write_strings_response(writer, &reply->names);
            return;
        case ZK_OP_GET_CHILDREN2:
            write_children2_response(writer, &reply->children2);
            return;
        case ZK_OP_GET_ALL_CHILDREN_NUMBER:
        case ZK_OP_ADD_WATCH:
            write_int_response(writer, &reply->value);
            return;
        case ZK_OP_WHO_AM_I:
            write_who_am_i_response(writer, &reply->infos);
            return;
        case ZK_OP_SASL:
            write_token(writer, &reply->token);
            return;
        case ZK_OP_MULTI:
        case ZK_OP_MULTI_READ:
            write_multi_reply(writer, reply);
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
    UNREACHABLE();
}

static size_t multi_reply_size(const struct client_reply *reply)
{
    size_t size = MULTI_HEADER_SIZE;

    for (size_t i = 0; i < reply->multi.count; i++) {
        const struct client_reply *part = &reply->multi.parts[i];

        size += MULTI_HEADER_SIZE +
                (is_error_part(part) ? 4 : reply_body_size(part));
    }
    return size;
}

static void write_multi_reply(struct jute_writer *writer,
                              const struct client_reply *reply)
{
    for (size_t i = 0; i < reply->multi.count; i++) {
        const struct client_reply *part = &reply->multi.parts[i];
        struct zk_multi_header header = {part_type(part), false, part->code};

        write_multi_header(writer, &header);
        if (is_error_part(part)) {
            jute_write_int(writer, part->code);
        } else {
            write_reply_body(writer, part);
        }
    }
    write_multi_end(writer);
}

/* In a failed multi also the ops before the failing one are errors, of code
 * 0: then the part's op says so. */
static bool is_error_part(const struct client_reply *part)
{
    return part->code != ZK_OK || part->op == ZK_OP_ERROR;
}

/* Every create that answers with a stat answers as create2. */
static int32_t part_type(const struct client_reply *part)
{
    if (is_error_part(part)) {
        return ZK_OP_ERROR;
    }
    return part->op == ZK_OP_CREATE_CONTAINER || part->op == ZK_OP_CREATE_TTL
               ? ZK_OP_CREATE2
               : part->op;
}

static void write_multi_end(struct jute_writer *writer)
{
    struct zk_multi_header end = {-1, true, -1};

    write_multi_header(writer, &end);
}
