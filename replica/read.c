/* Reads: answered from the tree of this server, in the session's order. */
#include "base/check.h"
#include "replica/replica_internal.h"

static enum read_status read_op(struct replica *r, struct conn *conn,
                                const struct client_request *request,
                                struct client_reply *reply);
static enum zk_code get_data(struct replica *r, struct conn *conn,
                             const struct client_request *request,
                             struct client_reply *reply);
static enum zk_code exists(struct replica *r, struct conn *conn,
                           const struct client_request *request,
                           struct client_reply *reply);
static enum zk_code get_acl(struct replica *r, struct conn *conn,
                            const struct client_request *request,
                            struct client_reply *reply);
static void who_am_i(struct replica *r, const struct conn *conn,
                     struct client_reply *reply);
static struct slice user_name(const struct zk_auth *auth);
static struct slice path_of(const struct client_request *request);

bool read_run(struct replica *r, struct conn *conn, struct slice frame,
              int64_t taken_ms)
{
    struct client_request request;
    struct client_reply reply;

    reply.code = ZK_OK;
    if (client_request_decode(frame, r->arena, &request) != 0) {
        reply.code = ZK_MARSHALLING_ERROR;
    }
    reply.xid = request.xid;
    reply.op = request.op;
    reply.zxid = r->zxid_delivered;
    if (reply.code == ZK_OK &&
        read_op(r, conn, &request, &reply) == READ_LONG) {
        return false;
    }
    r->reading = path_of(&request);
    reply_send(r, conn, &reply);
    count_answer(r, conn, request.op, request.xid, taken_ms);
    return true;
}

enum zk_code read_find(const struct replica *r, struct slice path,
                       const struct znode **node)
{
    *node = NULL;
    if (slice_is_absent(path)) {
        return ZK_MARSHALLING_ERROR;
    }
    /* ZooKeeper keeps its root under both names. */
    *node = tree_find(r->tree, path.len == 0 ? SLICE_LITERAL("/") : path);
    return *node == NULL ? ZK_NO_NODE : ZK_OK;
}

bool read_allowed(const struct replica *r, const struct conn *conn,
                  uint32_t acl_id, enum zk_perm perm)
{
    size_t count;
    const struct zk_acl *acl;

    if (r->config.skip_acl) {
        return true;
    }
    acl = tree_acl(r->tree, acl_id, &count);
    return acl_allows(acl, count, perm, conn->auth.items, conn->auth.count);
}

static enum read_status read_op(struct replica *r, struct conn *conn,
                                const struct client_request *request,
                                struct client_reply *reply)
{
    switch ((int)request->op) {
        case ZK_OP_GET_DATA:
            reply->code = get_data(r, conn, request, reply);
            break;
        case ZK_OP_EXISTS:
            reply->code = exists(r, conn, request, reply);
            break;
        case ZK_OP_GET_CHILDREN:
        case ZK_OP_GET_CHILDREN2:
            return read_names(r, conn, request, reply);
        case ZK_OP_GET_ACL:
            reply->code = get_acl(r, conn, request, reply);
            break;
        case ZK_OP_GET_EPHEMERALS:
            return read_ephemerals(r, conn, request, reply);
        case ZK_OP_GET_ALL_CHILDREN_NUMBER:
            return read_count(r, conn, request, reply);
        case ZK_OP_MULTI_READ:
            return read_multi(r, conn, request, reply);
        case ZK_OP_SET_WATCHES:
        case ZK_OP_SET_WATCHES2:
            return read_set_watches(r, conn, request, reply);
        case ZK_OP_ADD_WATCH:
            reply->code = read_add_watch(r, conn, request);
            reply->value.value = 0;
            break;
        case ZK_OP_CHECK_WATCHES:
        case ZK_OP_REMOVE_WATCHES:
            reply->code = read_check_watches(r, conn, request);
            break;
        case ZK_OP_WHO_AM_I:
            who_am_i(r, conn, reply);
            break;
        default: /* the op table calls nothing else a read */
            UNREACHABLE();
    }
    return READ_ANSWER;
}

static enum zk_code get_data(struct replica *r, struct conn *conn,
                             const struct client_request *request,
                             struct client_reply *reply)
{
    const struct znode *node;
    enum zk_code code = read_find(r, request->path_watch.path, &node);

    if (code != ZK_OK) {
        return code;
    }
    if (!read_allowed(r, conn, znode_acl_id(node), ZK_PERM_READ)) {
        return ZK_NO_AUTH;
    }
    if (request->path_watch.watch) {
        watch_add(r->watches, WATCH_DATA, request->path_watch.path,
                  conn_id(conn));
    }
    reply->data.data = znode_data(node);
    znode_stat(node, &reply->data.stat);
    return ZK_OK;
}

/* The one read that leaves its watch on a node that is not there. */
static enum zk_code exists(struct replica *r, struct conn *conn,
                           const struct client_request *request,
                           struct client_reply *reply)
{
    struct slice path = request->path_watch.path;
    const struct znode *node;
    enum zk_code code = read_find(r, path, &node);

    if (code == ZK_MARSHALLING_ERROR) {
        return code;
    }
    if (path.len > 0 && memchr(path.ptr, '\0', path.len) != NULL) {
        return ZK_BAD_ARGUMENTS;
    }
    if (node != NULL &&
        !read_allowed(r, conn, znode_acl_id(node), ZK_PERM_READ)) {
        return ZK_NO_AUTH;
    }
    if (request->path_watch.watch) {
        watch_add(r->watches, WATCH_DATA, path, conn_id(conn));
    }
    if (node != NULL) {
        znode_stat(node, &reply->stat);
    }
    return code;
}

static enum zk_code get_acl(struct replica *r, struct conn *conn,
                            const struct client_request *request,
                            struct client_reply *reply)
{
    const struct znode *node;
    enum zk_code code = read_find(r, request->path.path, &node);
    uint32_t acl_id;
    bool admin;

    if (code != ZK_OK) {
        return code;
    }
    acl_id = znode_acl_id(node);
    admin = read_allowed(r, conn, acl_id, ZK_PERM_ADMIN);
    if (!admin && !read_allowed(r, conn, acl_id, ZK_PERM_READ)) {
        return ZK_NO_AUTH;
    }
    reply->acl.acl = tree_acl(r->tree, acl_id, &reply->acl.acl_count);
    if (!admin) {
        reply->acl.acl =
            acl_mask_digests(reply->acl.acl, reply->acl.acl_count, r->arena);
    }
    znode_stat(node, &reply->acl.stat);
    return ZK_OK;
}

/* Only what a scheme has names for: not "super". */
static void who_am_i(struct replica *r, const struct conn *conn,
                     struct client_reply *reply)
{
    struct zk_client_info *infos =
        ARENA_NEW(r->arena, struct zk_client_info, conn->auth.count + 1);
    size_t count = 0;

    for (size_t i = 0; i < conn->auth.count; i++) {
        const struct zk_auth *auth = &conn->auth.items[i];

        if (!slice_equal_text(auth->scheme, "super")) {
            infos[count].scheme = auth->scheme;
            infos[count++].user = user_name(auth);
        }
    }
    reply->infos.infos = infos;
    reply->infos.infos_count = count;
}

/* A digest id without its hash. */
static struct slice user_name(const struct zk_auth *auth)
{
    const uint8_t *colon;

    if (!slice_equal_text(auth->scheme, "digest") || auth->id.len == 0) {
        return auth->id;
    }
    colon = memchr(auth->id.ptr, ':', auth->id.len);
    return colon == NULL
               ? auth->id
               : slice_make(auth->id.ptr, (size_t)(colon - auth->id.ptr));
}

static struct slice path_of(const struct client_request *request)
{
    switch ((int)request->op) {
        case ZK_OP_GET_DATA:
        case ZK_OP_EXISTS:
        case ZK_OP_GET_CHILDREN:
        case ZK_OP_GET_CHILDREN2:
            return request->path_watch.path;
        case ZK_OP_GET_ACL:
            return request->path.path;
        default: /* of no one path */
            return SLICE_LITERAL("");
    }
}
