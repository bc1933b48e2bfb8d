#include "replica/inspect.h"

#include "base/check.h"
#include "replica/replica_internal.h"

static void fill_conn(const struct conn *conn, struct inspect_conn *view);

void inspect_init(struct replica *r)
{
    static const char *const names[] = {
#define X(name, number, text, lop, kind) #name,
        ZK_OP_MAP(X)
#undef X
    };

    for (int i = 0; i < OP_INDEX_COUNT; i++) {
        size_t len = strlen(names[i]);

        CHECK(len < sizeof(r->op_names[i]));
        for (size_t k = 0; k < len; k++) {
            char c = names[i][k];

            r->op_names[i][k] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
        }
        r->ops[i].name = r->op_names[i];
    }
}

void inspect_reset(struct replica *r, bool conns)
{
    if (!conns) {
        r->received = 0;
        r->sent = 0;
        r->latency_sum = 0;
        r->latency_count = 0;
        r->latency_min = 0;
        r->latency_max = 0;
        return;
    }
    for (struct map_link *link = map_first(&r->conns); link != NULL;
         link = map_next(&r->conns, link)) {
        struct conn_counts *counts =
            &MAP_ENTRY(link, struct conn, by_id)->counts;
        int64_t established = counts->established_wall_ms;

        *counts = (struct conn_counts){.established_wall_ms = established,
                                       .last_op = "NA",
                                       .last_cxid = -1,
                                       .last_zxid = UINT64_MAX};
    }
}

void inspect_digest_note(struct replica *r)
{
    if (r->digests_count == DIGESTS_MAX) {
        memmove(r->digests, r->digests + 1,
                (DIGESTS_MAX - 1) * sizeof(r->digests[0]));
        r->digests_count--;
    }
    r->digests[r->digests_count++] = (struct inspect_digest){
        .zxid = r->zxid_delivered, .digest = tree_digest(r->tree)};
}

enum op_index inspect_op_index(enum zk_op op)
{
    switch ((int)op) {
#define X(name, number, text, lop, kind) \
    case (number):                       \
        return OP_INDEX_##name;
        ZK_OP_MAP(X)
#undef X
        default: /* a number that a client made up */
            return OP_INDEX_ERROR;
    }
}

void inspect_server(const struct replica *r, struct inspect_server *view)
{
    *view = (struct inspect_server){
        .role = zab_role(r->zab),
        .serving = r->serving,
        .standalone = r->standalone,
        .disk_low = r->disk_low,
        .epoch = zab_epoch(r->zab),
        .zxid = r->zxid_delivered,
        .checkpoint_zxid = r->checkpoint_zxid,
        .uptime_ms = r->started ? r->now_ms - r->started_ms : 0,
        .received = r->received,
        .sent = r->sent,
        .connections = map_count(&r->conns),
        .outstanding = r->outstanding,
        .latency_ms_min = r->latency_min,
        .latency_ms_max = r->latency_max,
        .requests = r->latency_count,
        .znodes = tree_count(r->tree),
        .ephemerals = tree_ephemerals_count(r->tree),
        .data_size = tree_data_size(r->tree),
        .sessions = session_count(r->sessions),
        .watches = watch_count(r->watches),
        .watches_data = watch_count_data(r->watches),
        .watch_paths = watch_count_paths_data(r->watches),
        .watch_conns = watch_count_conns_data(r->watches),
        .tree_digest = tree_digest(r->tree),
        .session_digest = session_digest(r->sessions),
        .auth_failed = r->auth_failed,
        .sessions_expired = r->sessions_expired,
        .checkpoints = r->checkpoints,
        .connections_refused = r->connections_refused,
        .ops = r->ops,
        .ops_count = OP_INDEX_COUNT,
    };
    if (r->latency_count > 0) {
        view->latency_ms_avg =
            (double)r->latency_sum / (double)r->latency_count;
    }
}

bool inspect_conn_find(const struct replica *r, uint64_t id,
                       struct inspect_conn *view)
{
    const struct conn *conn = conn_find(r, id);

    if (conn == NULL) {
        return false;
    }
    fill_conn(conn, view);
    return true;
}

/* Connections go also while somebody walks: then the walk finds its place by
 * their ids, which rise. */
bool inspect_conn_next(const struct replica *r, uint64_t *cursor,
                       struct inspect_conn *view)
{
    const struct conn *conn = conn_find(r, *cursor);
    struct map_link *link;

    if (conn != NULL) {
        link = map_next(&r->conns, &conn->by_id);
    } else {
        link = map_first(&r->conns);
        while (link != NULL && link->key.number <= *cursor) {
            link = map_next(&r->conns, link);
        }
    }
    if (link == NULL) {
        return false;
    }
    conn = MAP_ENTRY(link, struct conn, by_id);
    *cursor = conn_id(conn);
    fill_conn(conn, view);
    return true;
}

bool inspect_session_next(const struct replica *r, uint64_t *cursor,
                          struct inspect_session *view)
{
    const struct session *session = NULL;

    if (*cursor != 0) {
        session = session_find(r->sessions, *cursor);
        if (session == NULL) {
            return false; /* not while held */
        }
    }
    session = session_next(r->sessions, session);
    if (session == NULL) {
        return false;
    }
    *cursor = session_id(session);
    *view = (struct inspect_session){
        .id = session_id(session),
        .timeout_ms = session_timeout_ms(session),
        .deadline_ms = session_deadline_ms(session),
        .conn_id = session_conn(session),
    };
    return true;
}

size_t inspect_ephemeral_sessions_count(const struct replica *r)
{
    size_t count = 0;
    uint64_t id = 0;

    while (inspect_ephemeral_session_next(r, &id)) {
        count++;
    }
    return count;
}

bool inspect_ephemeral_session_next(const struct replica *r,
                                    uint64_t *session_id)
{
    *session_id = tree_ephemeral_session_next(r->tree, *session_id);
    return *session_id != 0;
}

bool inspect_ephemeral_next(const struct replica *r, uint64_t session_id,
                            const void **cursor, struct arena *arena,
                            struct slice *path)
{
    const struct znode *node =
        tree_ephemeral_next(r->tree, session_id, *cursor);

    *cursor = node;
    if (node == NULL) {
        return false;
    }
    *path = znode_path(node, arena);
    return true;
}

bool inspect_watch_next(const struct replica *r, bool by_path,
                        const void **cursor, struct inspect_watch *view)
{
    struct watch_view watch;
    const struct conn *conn;
    bool more = by_path ? watch_next_by_path(r->watches, cursor, &watch)
                        : watch_next_by_conn(r->watches, cursor, &watch);

    if (!more) {
        return false;
    }
    conn = conn_find(r, watch.conn_id);
    *view = (struct inspect_watch){
        .path = watch.path,
        .conn_id = watch.conn_id,
        .session_id = conn == NULL ? 0 : conn->session_id,
    };
    return true;
}

size_t inspect_digests(const struct replica *r,
                       const struct inspect_digest **digests)
{
    *digests = r->digests;
    return r->digests_count;
}

void inspect_hold(struct replica *r)
{
    r->holds++;
}

void inspect_release(struct replica *r)
{
    CHECK(r->holds > 0);
    r->holds--;
    if (r->holds == 0) {
        r->inboxes_wake = !list_empty(&r->inboxes);
        r->work_left = true; /* whatever came meanwhile */
    }
}

const struct tree *inspect_tree(const struct replica *r)
{
    return r->tree;
}

static void fill_conn(const struct conn *conn, struct inspect_conn *view)
{
    const struct conn_counts *counts = &conn->counts;

    *view = (struct inspect_conn){
        .conn_id = conn_id(conn),
        .session_id = conn->state == CONN_OPEN ? conn->session_id : 0,
        .queued = conn->outstanding,
        .received = counts->received,
        .sent = counts->sent,
        .last_op = counts->last_op,
        .established_wall_ms = counts->established_wall_ms,
        .timeout_ms =
            conn->session == NULL ? 0 : session_timeout_ms(conn->session),
        .last_cxid = counts->last_cxid,
        .last_zxid = counts->last_zxid,
        .last_response_ms = counts->last_response_ms,
        .latency_ms_last = counts->latency_last,
        .latency_ms_min = counts->latency_min,
        .latency_ms_max = counts->latency_max,
    };
    if (counts->latency_count > 0) {
        view->latency_ms_avg =
            (double)counts->latency_sum / (double)counts->latency_count;
    }
}
