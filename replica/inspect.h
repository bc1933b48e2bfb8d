/* Plain views of a replica for four-letter words, metrics and checkers. Reads
 * only. Pointers and slices last until the next step.
 *
 * Long walks: inspect_hold() makes the replica keep client frames and
 * deliveries waiting (sockets, ticks and the disk go on), so that a walk can
 * take many turns of the loop and still see one state. Hold is counted; let go
 * with inspect_release(). */
#ifndef CORRAL_REPLICA_INSPECT_H
#define CORRAL_REPLICA_INSPECT_H

#include "proto/client_op.h"
#include "replica/replica.h"

/* Of values in ms. */
struct inspect_summary {
    uint64_t count, sum, min, max, last;
};

struct inspect_server {
    enum zab_role role;
    uint64_t leader_id;     /* 0: none known */
    const char *phase;      /* zab's */
    unsigned members;       /* of the ensemble, voters and observers */
    unsigned voters;        /* ZooKeeper's quorum_size */
    unsigned learners;      /* a leader's, with a link to it */
    unsigned synced_voters; /* those of them that follow it */
    unsigned synced_observers;
    uint64_t pending_syncs;          /* a leader's */
    int64_t leader_uptime_ms;        /* since it began to serve as one; or 0 */
    struct inspect_summary election; /* looking for a leader */
    struct inspect_summary sync;     /* from there until it served */
    struct inspect_summary unavailable; /* not serving */
    struct zab_counts zab;
    bool serving;    /* answers clients */
    bool read_only;  /* does not, but for clients that asked to read only */
    bool standalone; /* an ensemble of one */
    bool disk_low;
    uint32_t epoch, epoch_accepted; /* taken up, promised */
    zxid_t zxid;                    /* last delivered */
    zxid_t zxid_logged, zxid_committed;
    zxid_t checkpoint_zxid;
    int64_t uptime_ms;       /* since the first step */
    uint64_t received, sent; /* packets */
    uint64_t connections;    /* with or without a session */
    uint64_t outstanding;    /* requests taken and not yet answered */
    uint64_t latency_ms_min, latency_ms_max;
    double latency_ms_avg;
    uint64_t requests; /* answered, what avg is over */
    uint64_t znodes, ephemerals, data_size, sessions;
    uint64_t watches, watches_data, watch_paths, watch_conns;
    uint64_t tree_digest, session_digest;
    uint64_t auth_failed, sessions_expired, checkpoints;
    uint64_t connections_refused; /* handshakes turned away */
    /* Answered requests by kind of op, indexed as client_op's table walks. */
    const struct inspect_op_count *ops;
    size_t ops_count;
};
struct inspect_op_count {
    const char *name; /* as in zk_op: "create", "get_data", ... lower case */
    uint64_t count;
};
void inspect_server(const struct replica *replica,
                    struct inspect_server *server);

/* Why it does not serve, as a sentence for people; "": it serves, or is about
 * to. */
void inspect_waiting(const struct replica *replica, char *text, size_t size);

/* A leader's view of another member. */
struct inspect_learner {
    uint64_t id;
    bool voter;
    bool up;           /* has a link to us */
    bool synced;       /* follows us */
    const char *stage; /* how far it has got: static text */
    zxid_t sent, acked;
    uint64_t heard_ms; /* ago */
};
/* index < members. False: it is ourselves, or we lead nobody. */
bool inspect_learner(const struct replica *replica, size_t index,
                     struct inspect_learner *learner);

/* Of the ensemble; false: its history is empty, it belongs to none yet. */
bool inspect_cluster_id(const struct replica *replica,
                        uint8_t id[PEER_CLUSTER_ID_SIZE]);

struct inspect_conn {
    uint64_t conn_id;
    uint64_t session_id; /* 0: handshake not done */
    bool read_only;      /* the session is not served here, its client reads */
    uint64_t queued, received, sent;
    const char *last_op; /* lop code */
    int64_t established_wall_ms;
    int32_t timeout_ms;
    int32_t last_cxid;
    zxid_t last_zxid;
    int64_t last_response_ms; /* monotonic */
    int64_t latency_ms_last, latency_ms_min, latency_ms_max;
    double latency_ms_avg;
};
bool inspect_conn_find(const struct replica *replica, uint64_t conn_id,
                       struct inspect_conn *conn);
/* In order of arrival; *cursor 0 to begin, false at the end. */
bool inspect_conn_next(const struct replica *replica, uint64_t *cursor,
                       struct inspect_conn *conn);

struct inspect_session {
    uint64_t id;
    int32_t timeout_ms;
    int64_t deadline_ms; /* monotonic; 0: none */
    uint64_t conn_id;    /* 0: no connection here */
};
bool inspect_session_next(const struct replica *replica, uint64_t *cursor,
                          struct inspect_session *session);

/* Sessions with ephemerals, and one session's; *cursor 0 / NULL to begin. */
size_t inspect_ephemeral_sessions_count(const struct replica *replica);
bool inspect_ephemeral_session_next(const struct replica *replica,
                                    uint64_t *session_id);
bool inspect_ephemeral_next(const struct replica *replica, uint64_t session_id,
                            const void **cursor, struct arena *arena,
                            struct slice *path);

/* The data table's watches (what ZooKeeper's wchs, wchc, wchp show), grouped by
 * path or by connection; *cursor NULL to begin. */
struct inspect_watch {
    struct slice path;
    uint64_t conn_id, session_id;
};
bool inspect_watch_next(const struct replica *replica, bool by_path,
                        const void **cursor, struct inspect_watch *watch);

/* Quotas, in no order; *cursor NULL to begin. */
struct inspect_quota {
    struct slice path;
    int64_t count_limit, bytes_limit; /* the hard one where it is set; below 0:
                                       * none */
    int64_t count, bytes;             /* in use */
};
size_t inspect_quotas_count(const struct replica *replica);
bool inspect_quota_next(const struct replica *replica, const void **cursor,
                        struct inspect_quota *quota);

/* zxid and digests of tree and sessions, one per 128 txns, the latest last. */
struct inspect_digest {
    zxid_t zxid;
    uint64_t digest, sessions;
};
size_t inspect_digests(const struct replica *replica,
                       const struct inspect_digest **digests);

void inspect_hold(struct replica *replica);
void inspect_release(struct replica *replica);

/* The tree, for checkers and tests. */
struct tree;
const struct tree *inspect_tree(const struct replica *replica);
const struct zab *inspect_zab(const struct replica *replica);
/* How often each mark of zab/marks.h was passed. */
const uint64_t *inspect_marks(const struct replica *replica);

/* What a checker looks at after every step: cheap. */
struct inspect_point {
    zxid_t zxid; /* last delivered */
    bool whole;  /* the tree is as of zxid: nothing is loaded or half applied */
    zxid_t under_way; /* being delivered: its events are on their way; 0 */
    uint64_t tree_digest, session_digest;
};
void inspect_point(const struct replica *replica, struct inspect_point *point);
/* Leader: which server's which connection speaks for a session. */
bool inspect_session_owner(const struct replica *replica, uint64_t id,
                           uint64_t *server_id, uint64_t *attachment);

#endif
