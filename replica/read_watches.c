/* Watches: set again after a reconnect, added, looked for, removed. They
 * belong to the connection; what they tell is checked when they fire. */
#include "base/check.h"
#include "replica/replica_internal.h"

/* setWatches' lists in their order. */
enum watch_list {
    LIST_DATA,
    LIST_EXIST,
    LIST_CHILD,
    LIST_PERSISTENT,
    LIST_RECURSIVE,
    LISTS_COUNT
};

static const struct slice *
list_of(const struct zk_set_watches2_request *request, enum watch_list which,
        size_t *count);
static bool has_null(const struct client_request *request);
static void set_one(struct replica *r, struct conn *conn, enum watch_list which,
                    struct slice path, zxid_t zxid_seen);
static void set_one_shot(struct replica *r, struct conn *conn,
                         enum watch_list which, struct slice path,
                         zxid_t zxid_seen);
static int missed_event(enum watch_list which, const struct znode *node,
                        int64_t seen);

enum read_status read_set_watches(struct replica *r, struct conn *conn,
                                  const struct client_request *request,
                                  struct client_reply *reply)
{
    const struct zk_set_watches2_request *set = &request->set_watches;
    size_t index = 0;

    /* As ZooKeeper, but before anything is set. */
    if (has_null(request)) {
        reply->code = ZK_MARSHALLING_ERROR;
        return READ_ANSWER;
    }
    if (set->data_count + set->exist_count + set->child_count +
            set->persistent_count + set->recursive_count >
        nodes_per_slice(r)) {
        return READ_LONG;
    }
    (void)read_set_watches_some(r, conn, set, &index, SIZE_MAX);
    return READ_ANSWER;
}

bool read_set_watches_some(struct replica *r, struct conn *conn,
                           const struct zk_set_watches2_request *request,
                           size_t *index, size_t max)
{
    size_t before = 0;

    for (int which = 0; which < LISTS_COUNT; which++) {
        size_t count;
        const struct slice *paths =
            list_of(request, (enum watch_list)which, &count);

        while (*index < before + count) {
            if (max-- == 0) {
                return false;
            }
            set_one(r, conn, (enum watch_list)which, paths[*index - before],
                    request->relative_zxid);
            (*index)++;
        }
        before += count;
    }
    return true;
}

enum zk_code read_add_watch(struct replica *r, struct conn *conn,
                            const struct client_request *request)
{
    struct slice path = request->path_type.path;

    if (slice_is_absent(path)) {
        return ZK_MARSHALLING_ERROR;
    }
    if (request->path_type.type == ZK_ADD_WATCH_PERSISTENT) {
        watch_add(r->watches, WATCH_PERSISTENT, path, conn_id(conn));
    } else if (request->path_type.type == ZK_ADD_WATCH_PERSISTENT_RECURSIVE) {
        watch_add(r->watches, WATCH_PERSISTENT_RECURSIVE, path, conn_id(conn));
    } else {
        return ZK_MARSHALLING_ERROR;
    }
    return ZK_OK;
}

/* checkWatches and removeWatches. */
enum zk_code read_check_watches(struct replica *r, struct conn *conn,
                                const struct client_request *request)
{
    struct slice path = request->path_type.path;
    int32_t type = request->path_type.type;
    bool found;

    if (slice_is_absent(path) || type < ZK_WATCHER_CHILDREN ||
        type > ZK_WATCHER_PERSISTENT_RECURSIVE) {
        return ZK_MARSHALLING_ERROR;
    }
    if (request->op == ZK_OP_REMOVE_WATCHES) {
        found = watch_remove(r->watches, path, (enum zk_watcher_type)type,
                             conn_id(conn));
    } else {
        found = watch_exists(r->watches, path, (enum zk_watcher_type)type,
                             conn_id(conn));
    }
    return found ? ZK_OK : ZK_NO_WATCHER;
}

static const struct slice *
list_of(const struct zk_set_watches2_request *request, enum watch_list which,
        size_t *count)
{
    switch (which) {
        case LIST_DATA:
            *count = request->data_count;
            return request->data;
        case LIST_EXIST:
            *count = request->exist_count;
            return request->exist;
        case LIST_CHILD:
            *count = request->child_count;
            return request->child;
        case LIST_PERSISTENT:
            *count = request->persistent_count;
            return request->persistent;
        case LIST_RECURSIVE:
            *count = request->recursive_count;
            return request->recursive;
        case LISTS_COUNT:
            break;
    }
    UNREACHABLE();
}

static bool has_null(const struct client_request *request)
{
    int lists =
        request->op == ZK_OP_SET_WATCHES2 ? LISTS_COUNT : LIST_PERSISTENT;

    for (int which = 0; which < lists; which++) {
        size_t count;
        const struct slice *paths =
            list_of(&request->set_watches, (enum watch_list)which, &count);

        if (paths == NULL) {
            return true;
        }
        for (size_t i = 0; i < count; i++) {
            if (slice_is_absent(paths[i])) {
                return true;
            }
        }
    }
    return false;
}

static void set_one(struct replica *r, struct conn *conn, enum watch_list which,
                    struct slice path, zxid_t zxid_seen)
{
    if (which == LIST_PERSISTENT) {
        watch_add(r->watches, WATCH_PERSISTENT, path, conn_id(conn));
    } else if (which == LIST_RECURSIVE) {
        watch_add(r->watches, WATCH_PERSISTENT_RECURSIVE, path, conn_id(conn));
    } else {
        set_one_shot(r, conn, which, path, zxid_seen);
    }
}

/* What changed since the client looked is told now, before the answer; else the
 * watch is set. As at any event, who may not READ is told nothing. */
static void set_one_shot(struct replica *r, struct conn *conn,
                         enum watch_list which, struct slice path,
                         zxid_t zxid_seen)
{
    const struct znode *node;
    int event;

    (void)read_find(r, path, &node);
    event = missed_event(which, node, (int64_t)zxid_seen);
    if (event == 0) {
        watch_add(r->watches, which == LIST_CHILD ? WATCH_CHILD : WATCH_DATA,
                  path, conn_id(conn));
    } else if (node == NULL ||
               read_allowed(r, conn, znode_acl_id(node), ZK_PERM_READ)) {
        event_send(r, conn, (enum zk_event_type)event, UINT64_MAX, path);
    }
}

/* An enum zk_event_type, or 0: nothing was missed. */
static int missed_event(enum watch_list which, const struct znode *node,
                        int64_t seen)
{
    if (which == LIST_EXIST) {
        return node == NULL ? 0 : ZK_EVENT_CREATED;
    }
    if (node == NULL) {
        return ZK_EVENT_DELETED;
    }
    if (which == LIST_DATA) {
        return (int64_t)znode_mzxid(node) > seen ? ZK_EVENT_DATA_CHANGED : 0;
    }
    return (int64_t)znode_pzxid(node) > seen ? ZK_EVENT_CHILDREN_CHANGED : 0;
}
