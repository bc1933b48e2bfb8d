#include "proto/text.h"

#include <inttypes.h>

#define QUOTED_MAX 256
/* A multi shows this many of its parts. */
#define PARTS_MAX 8

static void append_op(struct buf *out, enum zk_op op);
static void append_path(struct buf *out, struct slice path);
static void append_size(struct buf *out, const char *key, struct slice bytes);
static void append_request_fields(const struct client_request *request,
                                  struct buf *out);
static void append_create(const struct zk_create_ttl_request *create,
                          struct buf *out);
static void append_set_data(const struct zk_set_data_request *set_data,
                            struct buf *out);
static void append_auth(const struct zk_auth_request *auth, struct buf *out);
static void append_multi(const struct client_request *request, struct buf *out);
static void append_reconfig(const struct zk_reconfig_request *reconfig,
                            struct buf *out);
static void append_watches(const struct zk_set_watches2_request *watches,
                           struct buf *out);
static void append_txn_fields(const struct txn *txn, struct buf *out);
static bool next_part(struct buf *out, size_t i, size_t count);

void text_append_quoted(struct buf *out, struct slice bytes)
{
    size_t shown = bytes.len < QUOTED_MAX ? bytes.len : QUOTED_MAX;

    if (slice_is_absent(bytes)) {
        buf_append_text(out, "null");
        return;
    }
    buf_append_text(out, "\"");
    for (size_t i = 0; i < shown; i++) {
        uint8_t byte = bytes.ptr[i];

        if (byte == '\n') {
            buf_append_text(out, "\\n");
        } else if (byte == '\r') {
            buf_append_text(out, "\\r");
        } else if (byte == '\t') {
            buf_append_text(out, "\\t");
        } else if (byte < 0x20 || byte > 0x7e) {
            buf_printf(out, "\\x%02x", byte);
        } else {
            if (byte == '"' || byte == '\\') {
                buf_append_text(out, "\\");
            }
            buf_append(out, slice_make(&byte, 1));
        }
    }
    buf_append_text(out, shown < bytes.len ? "...\"" : "\"");
}

void client_request_text(const struct client_request *request, struct buf *out)
{
    append_op(out, request->op);
    buf_printf(out, " xid=%" PRId32, request->xid);
    append_request_fields(request, out);
}

void client_reply_text(const struct client_reply *reply, struct buf *out)
{
    append_op(out, reply->op);
    buf_printf(out, " xid=%" PRId32 " zxid=0x%" PRIx64 " code=%" PRId32,
               reply->xid, reply->zxid, reply->code);
    if (reply->code != ZK_OK) {
        buf_printf(out, " (%s)", zk_code_text(reply->code));
    }
}

void txn_text(const struct txn *txn, struct buf *out)
{
    append_op(out, txn->op);
    buf_printf(out, " session=0x%" PRIx64 " cxid=%" PRId32, txn->session_id,
               txn->cxid);
    append_txn_fields(txn, out);
}

static void append_op(struct buf *out, enum zk_op op)
{
    const struct client_op *row = client_op_find((int32_t)op);

    if (row == NULL) {
        buf_printf(out, "op(%d)", (int)op);
    } else {
        buf_append_text(out, row->name);
    }
}

static void append_path(struct buf *out, struct slice path)
{
    buf_append_text(out, " path=");
    text_append_quoted(out, path);
}

static void append_size(struct buf *out, const char *key, struct slice bytes)
{
    if (slice_is_absent(bytes)) {
        buf_printf(out, " %s=null", key);
    } else {
        buf_printf(out, " %s=%zuB", key, bytes.len);
    }
}

static void append_request_fields(const struct client_request *request,
                                  struct buf *out)
{
    switch (request->op) {
        case ZK_OP_CREATE:
        case ZK_OP_CREATE2:
        case ZK_OP_CREATE_CONTAINER:
        case ZK_OP_CREATE_TTL:
            append_create(&request->create, out);
            break;
        case ZK_OP_DELETE:
        case ZK_OP_CHECK:
            append_path(out, request->path_version.path);
            buf_printf(out, " version=%" PRId32, request->path_version.version);
            break;
        case ZK_OP_EXISTS:
        case ZK_OP_GET_DATA:
        case ZK_OP_GET_CHILDREN:
        case ZK_OP_GET_CHILDREN2:
            append_path(out, request->path_watch.path);
            buf_printf(out, " watch=%d", request->path_watch.watch);
            break;
        case ZK_OP_SET_DATA:
            append_set_data(&request->set_data, out);
            break;
        case ZK_OP_SET_ACL:
            append_path(out, request->set_acl.path);
            buf_printf(out, " acls=%zu version=%" PRId32,
                       request->set_acl.acl_count, request->set_acl.version);
            break;
        case ZK_OP_GET_ACL:
        case ZK_OP_SYNC:
        case ZK_OP_GET_EPHEMERALS:
        case ZK_OP_GET_ALL_CHILDREN_NUMBER:
            append_path(out, request->path.path);
            break;
        case ZK_OP_CHECK_WATCHES:
        case ZK_OP_REMOVE_WATCHES:
        case ZK_OP_ADD_WATCH:
            append_path(out, request->path_type.path);
            buf_printf(out, " type=%" PRId32, request->path_type.type);
            break;
        case ZK_OP_RECONFIG:
            append_reconfig(&request->reconfig, out);
            break;
        case ZK_OP_AUTH:
            append_auth(&request->auth, out);
            break;
        case ZK_OP_SASL:
            append_size(out, "token", request->token.token);
            break;
        case ZK_OP_SET_WATCHES:
        case ZK_OP_SET_WATCHES2:
            append_watches(&request->set_watches, out);
            break;
        case ZK_OP_MULTI:
        case ZK_OP_MULTI_READ:
            append_multi(request, out);
            break;
        case ZK_OP_PING:
        case ZK_OP_CLOSE_SESSION:
        case ZK_OP_WHO_AM_I:
        case ZK_OP_CREATE_SESSION:
        case ZK_OP_MOVE_SESSION:
        case ZK_OP_ERROR:
        case ZK_OP_NOTIFICATION:
        case ZK_OP_DELETE_CONTAINER:
            break;
    }
}

static void append_create(const struct zk_create_ttl_request *create,
                          struct buf *out)
{
    append_path(out, create->path);
    append_size(out, "data", create->data);
    buf_printf(out, " acls=%zu flags=%" PRId32 " ttl=%" PRId64,
               create->acl_count, create->flags, create->ttl);
}

static void append_set_data(const struct zk_set_data_request *set_data,
                            struct buf *out)
{
    append_path(out, set_data->path);
    append_size(out, "data", set_data->data);
    buf_printf(out, " version=%" PRId32, set_data->version);
}

static void append_auth(const struct zk_auth_request *auth, struct buf *out)
{
    buf_append_text(out, " scheme=");
    text_append_quoted(out, auth->scheme);
    append_size(out, "auth", auth->auth);
}

static void append_multi(const struct client_request *request, struct buf *out)
{
    size_t count = request->multi.count;

    buf_append_text(out, " [");
    for (size_t i = 0; next_part(out, i, count); i++) {
        append_op(out, request->multi.ops[i].op);
        append_request_fields(&request->multi.ops[i], out);
    }
}

static void append_reconfig(const struct zk_reconfig_request *reconfig,
                            struct buf *out)
{
    buf_append_text(out, " joining=");
    text_append_quoted(out, reconfig->joining);
    buf_append_text(out, " leaving=");
    text_append_quoted(out, reconfig->leaving);
    buf_append_text(out, " members=");
    text_append_quoted(out, reconfig->members);
    buf_printf(out, " config_id=%" PRId64, reconfig->config_id);
}

static void append_watches(const struct zk_set_watches2_request *watches,
                           struct buf *out)
{
    buf_printf(out,
               " relative_zxid=0x%" PRIx64
               " data=%zu exist=%zu child=%zu persistent=%zu recursive=%zu",
               watches->relative_zxid, watches->data_count,
               watches->exist_count, watches->child_count,
               watches->persistent_count, watches->recursive_count);
}

static void append_txn_fields(const struct txn *txn, struct buf *out)
{
    switch (txn->op) {
        case ZK_OP_CREATE:
            append_path(out, txn->create.path);
            append_size(out, "data", txn->create.data);
            buf_printf(out, " acls=%zu owner=0x%" PRIx64 " sequence=%" PRIu64,
                       txn->create.acl_count, txn->create.ephemeral_owner,
                       txn->create.parent_sequence);
            break;
        case ZK_OP_DELETE:
            append_path(out, txn->remove.path);
            break;
        case ZK_OP_SET_DATA:
            append_set_data(
                &(struct zk_set_data_request){txn->set_data.path,
                                              txn->set_data.data,
                                              txn->set_data.version},
                out);
            break;
        case ZK_OP_SET_ACL:
            append_path(out, txn->set_acl.path);
            buf_printf(out, " acls=%zu version=%" PRId32,
                       txn->set_acl.acl_count, txn->set_acl.version);
            break;
        case ZK_OP_CHECK:
            append_path(out, txn->check.path);
            break;
        case ZK_OP_CREATE_SESSION:
        case ZK_OP_MOVE_SESSION:
            buf_printf(out, " timeout=%" PRId32,
                       txn->create_session.timeout_ms);
            break;
        case ZK_OP_MULTI:
            buf_append_text(out, " [");
            for (size_t i = 0; next_part(out, i, txn->multi.count); i++) {
                append_op(out, txn->multi.ops[i].op);
                append_txn_fields(&txn->multi.ops[i], out);
            }
            break;
        default: /* closeSession; the rest are no txns */
            break;
    }
}

/* What stands before part i of count: a separator, or the end of the list. */
static bool next_part(struct buf *out, size_t i, size_t count)
{
    if (i == count) {
        buf_append_text(out, "]");
        return false;
    }
    if (i == PARTS_MAX) {
        buf_printf(out, "; and %zu more]", count - i);
        return false;
    }
    if (i > 0) {
        buf_append_text(out, "; ");
    }
    return true;
}
