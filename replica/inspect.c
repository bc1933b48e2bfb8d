#include "replica/inspect.h"

#include "base/check.h"
#include "replica/replica_internal.h"

static void note(struct inspect_summary *summary, int64_t ms);
static void count_learners(const struct replica *replica,
                           struct inspect_server *server);
static uint64_t count_syncs(const struct fifo *barriers);
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
            /* "GET_DATA" becomes "get_data": the letters are ASCII. */
            uint8_t c = (uint8_t)names[i][k];

            r->op_names[i][k] = (char)(c == '_' ? c : c | 0x20);
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
    r->digests[r->digests_count++] =
        (struct inspect_digest){.zxid = r->zxid_delivered,
                                .digest = tree_digest(r->tree),
                                .sessions = session_digest(r->sessions)};
}

/* Behind each step: looking ends with somebody to follow or with ourselves to
 * lead, and what comes then is synchronization. */
void inspect_note_times(struct replica *r)
{
    struct inspect_times *times = &r->times;
    bool looking = zab_leader_id(r->zab) == 0;

    if (times->serving != r->serving) {
        times->serving = r->serving;
        if (r->serving) {
            note(&times->unavailable, r->now_ms - times->unserving_since_ms);
            note(&times->sync, r->now_ms - times->found_ms);
        } else {
            times->unserving_since_ms = r->now_ms;
        }
    }
    if (times->looking != looking) {
        times->looking = looking;
        if (looking) {
            times->looking_since_ms = r->now_ms;
        } else {
            times->found_ms = r->now_ms;
            note(&times->election, r->now_ms - times->looking_since_ms);
        }
    }
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

void inspect_server(const struct replica *replica,
                    struct inspect_server *server)
{
    *server = (struct inspect_server){
        .role = zab_role(replica->zab),
        .leader_id = zab_leader_id(replica->zab),
        .phase = zab_phase_name(replica->zab),
        .members = (unsigned)replica->config.zab.members_count,
        .leader_uptime_ms =
            replica->leading ? replica->now_ms - replica->leading_since_ms : 0,
        .election = replica->times.election,
        .sync = replica->times.sync,
        .unavailable = replica->times.unavailable,
        .zab = *zab_counts(replica->zab),
        .serving = replica->serving,
        .read_only = replica->read_only,
        .standalone = replica->standalone,
        .disk_low = replica->disk_low,
        .epoch = zab_epoch(replica->zab),
        .epoch_accepted = zab_epoch_accepted(replica->zab),
        .zxid = replica->zxid_delivered,
        .zxid_logged = zab_logged(replica->zab),
        .zxid_committed = zab_committed(replica->zab),
        .checkpoint_zxid = replica->checkpoint_zxid,
        .uptime_ms =
            replica->started ? replica->now_ms - replica->started_ms : 0,
        .received = replica->received,
        .sent = replica->sent,
        .connections = map_count(&replica->conns),
        .outstanding = replica->outstanding,
        .latency_ms_min = replica->latency_min,
        .latency_ms_max = replica->latency_max,
        .requests = replica->latency_count,
        .znodes = tree_count(replica->tree),
        .ephemerals = tree_ephemerals_count(replica->tree),
        .data_size = tree_data_size(replica->tree),
        .sessions = session_count(replica->sessions),
        .watches = watch_count(replica->watches),
        .watches_data = watch_count_data(replica->watches),
        .watch_paths = watch_count_paths_data(replica->watches),
        .watch_conns = watch_count_conns_data(replica->watches),
        .tree_digest = tree_digest(replica->tree),
        .session_digest = session_digest(replica->sessions),
        .auth_failed = replica->auth_failed,
        .sessions_expired = replica->sessions_expired,
        .checkpoints = replica->checkpoints,
        .connections_refused = replica->connections_refused,
        .ops = replica->ops,
        .ops_count = OP_INDEX_COUNT,
    };
    count_learners(replica, server);
    server->pending_syncs = count_syncs(&replica->barriers) +
                            count_syncs(&replica->remote_barriers);
    if (replica->latency_count > 0) {
        server->latency_ms_avg =
            (double)replica->latency_sum / (double)replica->latency_count;
    }
}

bool inspect_learner(const struct replica *replica, size_t index,
                     struct inspect_learner *learner)
{
    struct zab_learner view;

    if (!zab_learner(replica->zab, index, &view)) {
        return false;
    }
    *learner = (struct inspect_learner){
        .id = view.id,
        .voter = view.voter,
        .up = view.up,
        .synced = view.synced,
        .stage = view.stage,
        .sent = view.sent,
        .acked = view.acked,
        .heard_ms = view.ticks_silent * TICK_MS,
    };
    return true;
}

void inspect_waiting(const struct replica *replica, char *text, size_t size)
{
    CHECK(size > 0);
    text[0] = '\0';
    if (!replica->serving) {
        zab_waiting(replica->zab, text, size);
    }
}

bool inspect_cluster_id(const struct replica *replica,
                        uint8_t id[PEER_CLUSTER_ID_SIZE])
{
    return zab_cluster_id(replica->zab, id);
}

bool inspect_conn_find(const struct replica *replica, uint64_t conn_id,
                       struct inspect_conn *conn)
{
    const struct conn *found = conn_find(replica, conn_id);

    if (found == NULL) {
        return false;
    }
    fill_conn(found, conn);
    return true;
}

/* Connections go also while somebody walks: then the walk finds its place by
 * their ids, which rise. */
bool inspect_conn_next(const struct replica *replica, uint64_t *cursor,
                       struct inspect_conn *conn)
{
    const struct conn *at = conn_find(replica, *cursor);
    struct map_link *link;

    if (at != NULL) {
        link = map_next(&replica->conns, &at->by_id);
    } else {
        link = map_first(&replica->conns);
        while (link != NULL && link->key.number <= *cursor) {
            link = map_next(&replica->conns, link);
        }
    }
    if (link == NULL) {
        return false;
    }
    at = MAP_ENTRY(link, struct conn, by_id);
    *cursor = conn_id(at);
    fill_conn(at, conn);
    return true;
}

bool inspect_session_next(const struct replica *replica, uint64_t *cursor,
                          struct inspect_session *session)
{
    const struct session *at = NULL;

    if (*cursor != 0) {
        at = session_find(replica->sessions, *cursor);
        if (at == NULL) {
            return false; /* not while held */
        }
    }
    at = session_next(replica->sessions, at);
    if (at == NULL) {
        return false;
    }
    *cursor = session_id(at);
    *session = (struct inspect_session){
        .id = session_id(at),
        .timeout_ms = session_timeout_ms(at),
        .deadline_ms = session_deadline_ms(at),
        .conn_id = session_conn(at),
    };
    return true;
}

size_t inspect_ephemeral_sessions_count(const struct replica *replica)
{
    size_t count = 0;
    uint64_t id = 0;

    while (inspect_ephemeral_session_next(replica, &id)) {
        count++;
    }
    return count;
}

bool inspect_ephemeral_session_next(const struct replica *replica,
                                    uint64_t *session_id)
{
    *session_id = tree_ephemeral_session_next(replica->tree, *session_id);
    return *session_id != 0;
}

bool inspect_ephemeral_next(const struct replica *replica, uint64_t session_id,
                            const void **cursor, struct arena *arena,
                            struct slice *path)
{
    const struct znode *node =
        tree_ephemeral_next(replica->tree, session_id, *cursor);

    *cursor = node;
    if (node == NULL) {
        return false;
    }
    *path = znode_path(node, arena);
    return true;
}

bool inspect_watch_next(const struct replica *replica, bool by_path,
                        const void **cursor, struct inspect_watch *watch)
{
    struct watch_view view;
    const struct conn *conn;
    bool more = by_path ? watch_next_by_path(replica->watches, cursor, &view)
                        : watch_next_by_conn(replica->watches, cursor, &view);

    if (!more) {
        return false;
    }
    conn = conn_find(replica, view.conn_id);
    *watch = (struct inspect_watch){
        .path = view.path,
        .conn_id = view.conn_id,
        .session_id = conn == NULL ? 0 : conn->session_id,
    };
    return true;
}

size_t inspect_quotas_count(const struct replica *replica)
{
    return tree_quotas_count(replica->tree);
}

bool inspect_quota_next(const struct replica *replica, const void **cursor,
                        struct inspect_quota *quota)
{
    struct tree_quota view;

    if (!tree_quota_next(replica->tree, cursor, &view)) {
        return false;
    }
    *quota = (struct inspect_quota){.path = view.path,
                                    .count_limit = view.count_limit,
                                    .bytes_limit = view.bytes_limit,
                                    .count = view.count,
                                    .bytes = view.bytes};
    return true;
}

size_t inspect_digests(const struct replica *replica,
                       const struct inspect_digest **digests)
{
    *digests = replica->digests;
    return replica->digests_count;
}

void inspect_hold(struct replica *replica)
{
    replica->holds++;
}

void inspect_release(struct replica *replica)
{
    CHECK(replica->holds > 0);
    replica->holds--;
    if (replica->holds == 0) {
        replica->inboxes_wake = inboxes_hold(replica);
        replica->work_left = true; /* whatever came meanwhile */
    }
}

const struct tree *inspect_tree(const struct replica *replica)
{
    return replica->tree;
}

const struct zab *inspect_zab(const struct replica *replica)
{
    return replica->zab;
}

void inspect_point(const struct replica *replica, struct inspect_point *point)
{
    *point = (struct inspect_point){
        .zxid = replica->zxid_delivered,
        .whole = !replica->loading && !replica->delivery.active,
        .under_way = replica->delivery.active ? replica->delivery.zxid : 0,
        .tree_digest = tree_digest(replica->tree),
        .session_digest = session_digest(replica->sessions),
    };
}

bool inspect_session_owner(const struct replica *replica, uint64_t id,
                           uint64_t *server_id, uint64_t *attachment)
{
    const struct session *session = session_find(replica->sessions, id);

    if (session == NULL) {
        return false;
    }
    *server_id = session_owner(session);
    *attachment = session_attachment(session);
    return true;
}

const uint64_t *inspect_marks(const struct replica *replica)
{
    return zab_marks(replica->zab);
}

static void note(struct inspect_summary *summary, int64_t ms)
{
    uint64_t value = ms < 0 ? 0 : (uint64_t)ms;

    if (value < summary->min || summary->count == 0) {
        summary->min = value;
    }
    if (value > summary->max) {
        summary->max = value;
    }
    summary->count++;
    summary->sum += value;
    summary->last = value;
}

static void count_learners(const struct replica *replica,
                           struct inspect_server *server)
{
    for (size_t i = 0; i < server->members; i++) {
        struct zab_learner learner;

        server->voters += zab_member_votes(replica->zab, i);
        if (server->role != ZAB_LEADING ||
            !zab_learner(replica->zab, i, &learner)) {
            continue;
        }
        server->learners += learner.up;
        server->synced_voters += learner.synced && learner.voter;
        server->synced_observers += learner.synced && !learner.voter;
    }
}

static uint64_t count_syncs(const struct fifo *barriers)
{
    uint64_t count = 0;

    for (size_t i = 0; i < barriers->count; i++) {
        const struct barrier *barrier = fifo_at(barriers, i);

        count += barrier->kind == BARRIER_SYNC;
    }
    return count;
}

static void fill_conn(const struct conn *conn, struct inspect_conn *view)
{
    const struct conn_counts *counts = &conn->counts;

    *view = (struct inspect_conn){
        .conn_id = conn_id(conn),
        .session_id = conn->state == CONN_OPEN || conn->state == CONN_READ_ONLY
                          ? conn->session_id
                          : 0,
        .read_only = conn->state == CONN_READ_ONLY,
        .queued = conn->outstanding,
        .received = counts->received,
        .sent = counts->sent,
        .last_op = counts->last_op,
        .established_wall_ms = counts->established_wall_ms,
        .timeout_ms = conn->session == NULL ? conn->read_only_ms
                                            : session_timeout_ms(conn->session),
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
