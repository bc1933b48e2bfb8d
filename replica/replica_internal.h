/* struct replica and what its files share; no other folder includes this.
 *
 * How it works. A step hands its input to one function; what zab answers is
 * routed at once (store ops, messages) or queued (deliveries, barriers, tree
 * records). replica_run() then takes the queue up, one delivery after the
 * other, within the step's budget. Work that is too long for one step is kept
 * as the delivery under way or as the job, of which there is at most one:
 *   - while a delivery is under way every client frame waits (nobody sees half
 *     of it) but pings;
 *   - while a job runs (a long read, the taking of a checkpoint) deliveries
 *     wait, so that the tree stands still; other frames go on.
 * A frame that waits is copied to its connection's inbox, and the connection is
 * paused: what waits is bounded by what the server had read. */
#ifndef CORRAL_REPLICA_INTERNAL_H
#define CORRAL_REPLICA_INTERNAL_H

#include "base/list.h"
#include "base/map.h"
#include "base/mutation.h"
#include "replica/fifo.h"
#include "replica/inspect.h"
#include "replica/replica.h"
#include "session/auth.h"
#include "session/order.h"
#include "session/session.h"
#include "znode/acl.h"
#include "znode/prep.h"
#include "znode/tree.h"
#include "znode/watch.h"

/* Work of one step, in units of about a quarter of a microsecond: a slice is
 * about a millisecond. Counted, never timed: the same inputs must give the same
 * effects. replica_config's slice_units, when that is 0. */
#define SLICE_UNITS 4000
#define COST_FRAME 4    /* a small request */
#define COST_DELIVERY 8 /* a small txn */
#define COST_EVENT 1
#define PATH_BYTES_PER_UNIT 32 /* of an event: all the paths above */
#define BYTES_PER_UNIT 512     /* of a txn: copied, and hashed for the digest */

#define TICK_MS 20
#define DIGESTS_MAX 1024
#define DIGEST_INTERVAL 128
#define TXN_SIZE_EXTRA (64 * 1024) /* over jute.maxbuffer, DESIGN 2.17 */
#define EXPIRED_PER_TICK 128
#define SOFT_QUOTA_LOG_MS 10000
#define MEMBERS_MAX 64 /* one bit each in a mask of peers */
/* Of requests that a learner has waiting for its leader; the one that goes over
 * it is the last. */
#define FORWARD_BYTES_MAX ((size_t)32 * 1024 * 1024)

enum conn_state {
    CONN_NEW,       /* no frame taken yet */
    CONN_HANDSHAKE, /* its ConnectRequest waits for an answer */
    CONN_OPEN,
    CONN_READ_ONLY, /* readonly.c: no session of ours */
    CONN_CLOSING,   /* session closed: goes when its queue is empty */
    CONN_GONE,      /* closed in this step; freed at its end */
};

/* Why a connection is paused: bits. */
enum conn_pause {
    PAUSE_INBOX = 1,       /* frames of it wait here */
    PAUSE_OUTSTANDING = 2, /* too many requests in flight in all */
    PAUSE_READS = 4,       /* too many reads held behind a write */
};

/* A held read is kept with the time it came and its round (linear.c), 8 bytes
 * each, in front. */
#define HELD_PREFIX ((size_t)16)

struct held_frame {
    struct list link;
    int64_t taken_ms;
    size_t len;
    uint8_t bytes[];
};

struct conn_counts {
    int64_t established_wall_ms, last_response_ms;
    uint64_t received, sent;
    zxid_t last_zxid;
    const char *last_op; /* lop code */
    uint64_t latency_sum, latency_count;
    uint32_t latency_last, latency_min, latency_max;
    int32_t last_cxid;
};

/* Small: there may be very many, idle. */
struct conn {
    struct map_link by_id;
    struct list inbox;       /* struct held_frame */
    struct list in_inboxes;  /* while inbox is not empty: replica->inboxes, or
                              * ->writers */
    struct list in_paused;   /* replica->paused: PAUSE_OUTSTANDING */
    struct list in_waiters;  /* replica->job_waiters, or ->linear_waiters */
    struct order *order;     /* NULL: nothing was ever queued */
    struct session *session; /* OPEN: as long as the session is */
    uint64_t session_id;
    uint64_t attachment; /* origin_request of its handshake: with our server id
                          * the owner that the leader knows the session by */
    zxid_t zxid_sent;    /* highest of a header: never goes back */
    struct auth_list auth;
    struct conn_counts counts;
    int64_t touched_ms;
    uint64_t output;      /* bytes sent since the last CLIENT_DRAINED */
    uint32_t outstanding; /* its share of replica->outstanding */
    int32_t read_only_ms; /* its time-out, if it is served read-only; or 0 */
    uint32_t status_last; /* number of the STATUS it was last put into */
    uint8_t random[16];   /* CLIENT_OPENED's: the password of a new session */
    enum conn_state state;
    uint8_t pauses;
    bool has_read_only; /* of the ConnectRequest: answered in kind */
    bool close_taken;   /* closeSession was taken: later frames are dropped */
};

static inline uint64_t conn_id(const struct conn *conn)
{
    return conn->by_id.key.number;
}

/* Who waits for the answer of a request that went to the leader. */
enum wait_kind {
    WAIT_NOBODY, /* answered, or its connection is gone */
    WAIT_WRITE,
    WAIT_SYNC,
    WAIT_READS, /* a round of linear.c: of no connection */
    WAIT_NEW_SESSION,
    WAIT_RESUME,
};
struct wait {
    uint64_t conn_id;
    int64_t taken_ms;
    struct blob *frame; /* SYNC: the request, for its path */
    int32_t xid;
    uint32_t bytes; /* of the request, where it went to the leader */
    enum zk_op op;
    enum wait_kind kind;
};

/* A place in the order without a record (DESIGN 2.7): a refusal, a sync, a
 * resume, and whom to tell when it is certain. */
enum barrier_kind { BARRIER_REFUSED, BARRIER_SYNC, BARRIER_SESSION };
struct barrier {
    uint64_t number;
    enum barrier_kind kind;
    uint64_t origin_id, origin_request;
    enum zk_code code;
    uint32_t parts_count, part_failed; /* of a refused multi; 0 parts: none */
    /* SESSION: a resume, or (ok false) a refused one. */
    uint64_t session_id;
    int32_t timeout_ms;
    bool ok;
};

/* Leader: what a learner sent and what waits while half a txn is applied. */
struct remote {
    uint64_t server_id;   /* 0: its link is gone */
    struct peer_msg msg;  /* without payloads */
    struct blob *payload; /* our reference, or NULL */
    struct zk_auth *auth; /* msg's, and what it points to, in one piece that is
                           * ours; or NULL */
};

/* Learner: an answer of the leader, to be given when everything up to its place
 * is delivered and nothing behind it. */
struct placed {
    zxid_t place;
    struct peer_msg msg; /* REFUSED, SYNC_REPLY, REVALIDATE_REPLY */
};

/* What came from zab and waits its turn. */
struct queued {
    enum zab_effect_type type;
    uint64_t value; /* zxid, barrier or (ROLE) enum zab_role as of then */
    struct blob *payload;
};

/* The delivery under way. */
struct delivery {
    bool active, reads_done, applied, fired;
    zxid_t zxid;
    struct blob *payload;
    struct txn txn;
    struct apply_result result;
    size_t event_at;
    uint64_t *conn_ids; /* of the event being told */
    size_t conns_count, conn_at;
};

enum job_type {
    JOB_NONE,
    JOB_CHECKPOINT,
    JOB_NAMES,      /* getChildren, getChildren2 of many */
    JOB_EPHEMERALS, /* getEphemerals of many */
    JOB_COUNT,      /* getAllChildrenNumber of many */
    JOB_MULTI_READ,
    JOB_SET_WATCHES,
};
struct job {
    enum job_type type;
    struct conn *conn;  /* whose read this is */
    struct blob *frame; /* of the read; a checkpoint's payload in the making */
    uint8_t *copy_to;   /* its bytes */
    int64_t taken_ms;
    struct client_request request; /* of frame, in job_arena */
    const struct znode *root, *at;
    size_t index, count;
    struct buf bytes; /* the answer, or the checkpoint's records */
    bool failed;      /* the answer grew too big */
};

/* Who asked for a write, here or on another server. */
struct origin {
    uint64_t id, request;
    uint64_t attachment;
    uint64_t session_id;
    bool session_closing;
    int32_t cxid;
    const struct zk_auth *auth;
    size_t auth_count;
};

/* How long it took to find a leader, to have its history, to serve. */
struct inspect_times {
    bool looking, serving; /* as last noted */
    int64_t looking_since_ms, found_ms, unserving_since_ms;
    struct inspect_summary election, sync, unavailable;
};

#define X(name, number, text, lop, kind) OP_INDEX_##name,
enum op_index { ZK_OP_MAP(X) OP_INDEX_COUNT };
#undef X

struct replica {
    struct replica_config config;
    /* What config points to. */
    struct blob *super_digest, *ensemble_name, *members_text;
    struct auth_policy policy;
    uint64_t self_id;

    struct zab *zab;
    struct zab_effects zab_effects;
    struct tree *tree;
    struct prep *prep;
    struct session_table *sessions;
    struct watch_table *watches;

    /* The step under way. */
    struct replica_effects *out;
    struct arena *arena; /* reset at its begin */
    int64_t now_ms, wall_ms, started_ms;
    int slice_units, budget;
    bool standalone, started;
    bool fatal;     /* REPLICA_FATAL was said: nothing happens any more */
    bool work_left; /* CONTINUE goes on; other steps leave it alone */

    /* State of the server. */
    zxid_t zxid_delivered;
    zxid_t zxid_routed; /* of the last delivery that zab has emitted */
    bool loading, leading, serving, disk_low;
    bool read_only; /* not serving; who asked for it is shown what there is */
    /* The end of a received snapshot was asked of the disk: what is stored
     * from now on belongs to the tree that will be loaded, not to this one. */
    bool tree_outdated;
    bool marker_seen;     /* of the tree that is being loaded */
    bool inboxes_wake;    /* something may go on: look at them */
    bool locals_turn;     /* of our own clients, before more remotes */
    bool status_due;      /* the leader does not know of our disk yet */
    unsigned ends_queued; /* of roles, not taken up: what r thinks it is, zab
                           * is not any more */
    unsigned holds;       /* inspect_hold() */

    struct fifo queue; /* struct queued */
    struct delivery delivery;
    struct arena *delivery_arena;
    struct job job;
    struct arena *job_arena;
    struct buf txn_bytes, scratch;
    struct slice reading; /* path of the read being answered, for the log */

    /* Connections. */
    struct map conns;
    struct list inboxes; /* with frames that wait */
    struct list writers; /* whose first one waits until a write is possible */
    struct list paused;  /* with PAUSE_OUTSTANDING */
    struct list job_waiters;
    struct list linear_waiters; /* for a round of linear.c */
    struct list gone;      /* to free at the end of the step (in_inboxes) */
    uint64_t outstanding;  /* requests taken and not yet answered */
    struct fifo unwatched; /* closed connections whose watches are to go */

    /* Waiting for the leader. */
    struct fifo waits; /* struct wait; request ids without gap */
    uint64_t waits_first;
    size_t waits_bytes;          /* of all in waits */
    struct fifo barriers;        /* of ours: answered when they are taken up */
    struct fifo remote_barriers; /* of learners: told as zab tells us */
    uint64_t barrier_last;

    /* Between leader and learner. */
    struct fifo remotes; /* leader: struct remote */
    /* Of them, of each member, by index. */
    uint32_t remotes_held[MEMBERS_MAX];
    size_t remotes_bytes[MEMBERS_MAX];
    struct fifo placed;      /* learner: struct placed */
    uint64_t leader_id;      /* whom role.c last served under; 0: nobody */
    uint32_t leader_version; /* learner: what its link to the leader speaks */
    struct buf touched;      /* learner: entries for the next STATUS */
    uint32_t status_number;  /* of the next one, from 1 */
    uint32_t status_ticks;   /* since the last one */
    uint32_t unheard_ticks;  /* since we looked for those we do not read */
    uint32_t held_ticks;     /* since we looked for those held too long */
    uint64_t disks_low;      /* leader: learners that said so, by index */
    int64_t held_since_ms;   /* no leader since then; 0: there is one */
    uint64_t rounds_begun, rounds_done; /* linear.c: one at a time */
    bool round_out;
    uint32_t read_only_last; /* of the ids given out in read-only mode */
    struct peer_msg digest;  /* learner: of a txn not delivered yet; zxid 0 */

    /* Loading. */
    struct marker_record marker;

    /* Checkpoints. */
    uint64_t store_seq;       /* last used */
    uint64_t checkpoint_seq;  /* in flight; 0: none */
    zxid_t checkpoint_taking; /* of the one being taken or in flight */
    zxid_t checkpoint_zxid;   /* durable */
    uint64_t checkpoint_txns; /* delivered since the last take */
    int64_t dirty_since_ms;   /* first delivery since; 0: none */

    /* Garbage of containers. */
    int64_t containers_next_ms;
    struct arena *containers_arena;
    struct slice *containers; /* found and not yet proposed */
    size_t containers_at, containers_count;
    uint64_t containers_credit; /* in 1/60,000 of a deletion */

    /* Counters. */
    uint64_t received, sent;
    uint64_t latency_sum, latency_count, latency_min, latency_max;
    uint64_t auth_failed, sessions_expired, checkpoints, connections_refused;
    struct inspect_op_count ops[OP_INDEX_COUNT];
    char op_names[OP_INDEX_COUNT][32];
    struct inspect_digest digests[DIGESTS_MAX];
    size_t digests_count;
    struct inspect_times times;
    int64_t leading_since_ms;
    int64_t soft_quota_logged_ms;
};

/* Nothing may be taken from clients now: half a txn is applied, somebody walks,
 * or there is no tree or leader yet. */
static inline bool frames_wait(const struct replica *r)
{
    return r->delivery.active || r->holds > 0 || !(r->serving || r->read_only);
}

static inline bool inboxes_hold(const struct replica *r)
{
    return !list_empty(&r->inboxes) || !list_empty(&r->writers);
}

/* What is done at once, and in one slice of what is not. */
static inline size_t names_at_once(const struct replica *r)
{
    return (size_t)r->slice_units * 5 / 2; /* 10,000: DESIGN 2.17 */
}
static inline size_t names_per_slice(const struct replica *r)
{
    return (size_t)r->slice_units * 2;
}
/* Nodes looked for by path, records made, watches set. */
static inline size_t nodes_per_slice(const struct replica *r)
{
    return (size_t)r->slice_units / 4;
}
static inline size_t unwatched_per_slice(const struct replica *r)
{
    return (size_t)r->slice_units / 2;
}

/* ---- replica.c */
void replica_zab(struct replica *r, const struct zab_input *input);
void replica_store(struct replica *r, struct store_op *op); /* numbers it */
/* What it said has no place: its link goes, if it is still up. */
void peer_broken(struct replica *r, enum peer_link link, uint64_t peer_id,
                 const char *why);

/* ---- output.c */
struct replica_effect *effect_push(struct replica *r,
                                   enum replica_effect_type type);
/* A message of replica/'s own to one server over the quorum link: to our leader
 * when we follow, to a synced learner when we lead. To be filled in at once. */
struct peer_msg *peer_send(struct replica *r, uint64_t server_id,
                           enum peer_msg_type type);
/* Room in the effects' bytes for a message's payloads. */
struct blob **peer_payloads(struct replica *r, size_t count);
/* zab's message: merged with the last one where that changes nothing (PROPOSE,
 * INFORM, ACK, COMMIT, with no message between). */
void peer_route(struct replica *r, const struct zab_effect *effect);
/* A packet in the effects' bytes, to be filled and sent. */
uint8_t *packet_alloc(struct replica *r, size_t size);
void packet_send(struct replica *r, struct conn *conn, struct slice packet);
void packet_copy_send(struct replica *r, struct conn *conn,
                      struct slice packet);
/* Fills in the zxid (never below what was sent before) and sends. Over
 * reply_size_max: ZK_MARSHALLING_ERROR instead, and a log line. */
void reply_send(struct replica *r, struct conn *conn,
                struct client_reply *reply);
struct blob *reply_blob(struct replica *r, struct conn *conn,
                        struct client_reply *reply); /* gives */
/* A packet made before, with a reply header: its zxid is raised if need be. */
void reply_send_packet(struct replica *r, struct conn *conn,
                       struct slice packet);
/* Makes it an error, if it is a read's. */
void reply_too_big(struct replica *r, struct conn *conn, size_t size,
                   struct client_reply *reply);
/* What an answer means for the counters. */
void count_answer(struct replica *r, struct conn *conn, enum zk_op op,
                  int32_t xid, int64_t taken_ms);
void replica_log(struct replica *r, enum replica_log_level level,
                 const char *event, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void replica_fatal(struct replica *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same, because of what the own disk has. */
void replica_damaged(struct replica *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* For a log line: quoted, escaped, cut. Until the next call. */
const char *quoted(struct replica *r, struct slice text);

/* ---- conn.c */
struct conn *conn_find(const struct replica *r, uint64_t id);
void conn_opened(struct replica *r, const struct replica_input *input);
void conn_frame(struct replica *r, const struct replica_input *input);
/* why NULL: the peer did it, nothing is to be said. */
void conn_close(struct replica *r, struct conn *conn, const char *why);
/* Its client is there: said to the session, or to the leader. OPEN. */
void conn_touch(struct replica *r, struct conn *conn);
/* We do not read what it sends, or do not take it up yet. */
bool conn_unheard(const struct replica *r, const struct conn *conn);
void conn_pause(struct replica *r, struct conn *conn, enum conn_pause why);
void conn_resume(struct replica *r, struct conn *conn, enum conn_pause why);
struct order *conn_order(struct conn *conn);
bool conn_idle(const struct conn *conn); /* nothing queued for it */
void conn_drained(struct replica *r, struct conn *conn);
/* Its queue is gone on with when there is time. */
void conn_wait_turn(struct replica *r, struct conn *conn);
void conn_outstanding(struct replica *r, struct conn *conn);
void conn_answered(struct replica *r, struct conn *conn);
/* Frames that waited, as far as they go and the budget reaches. */
void conns_take_inboxes(struct replica *r);
void conns_unwatch(struct replica *r);
void conns_free_gone(struct replica *r);
void conns_finish(struct replica *r);

/* ---- wait.c */
/* A new entry; its origin_request. frame: taken, may be NULL. */
uint64_t wait_add(struct replica *r, const struct wait *wait);
/* Borrowed until the next call of any of these; NULL: nobody waits. */
const struct wait *wait_find(const struct replica *r, uint64_t origin_request);
/* The entry of an answer, once; false: nobody waits (any more). */
bool wait_take(struct replica *r, uint64_t origin_request, struct wait *wait);
void waits_drop_all(struct replica *r);
/* Takes a place in the leader's order. */
void barrier_add(struct replica *r, const struct barrier *barrier);
/* Ours, when zab's word is taken up in its turn. */
void barriers_done(struct replica *r, uint64_t number);
/* What one of them, or the leader's word about it, means for who waits. */
void barrier_answer(struct replica *r, const struct barrier *barrier);
/* Those of learners, as zab says it: REFUSED, SYNC_REPLY, REVALIDATE_REPLY with
 * place as their zxid. */
void barriers_tell(struct replica *r, uint64_t number, zxid_t place);
void waits_finish(struct replica *r);

/* ---- handshake.c */
bool handshake_take(struct replica *r, struct conn *conn, struct slice frame,
                    int64_t taken_ms); /* false: not now, keep the frame */
/* Its createSession was delivered, or its barrier is done. */
void handshake_answer(struct replica *r, const struct wait *wait,
                      uint64_t session_id);
/* Refused for good: its session is expired, or it is not its session. */
void handshake_refuse(struct replica *r, struct conn *conn);
/* The answer of read-only mode. */
void handshake_answer_as(struct replica *r, struct conn *conn, uint64_t id,
                         int32_t timeout_ms, const uint8_t password[16]);
/* Learner: the leader's answer, in its place. */
void session_on_revalidate_reply(struct replica *r, const struct peer_msg *msg);

/* ---- owner.c: which connection of which server speaks for a session */
/* Leader: what learners ask for their handshakes, and we for ours. */
void session_on_open(struct replica *r, uint64_t server_id,
                     const struct peer_msg *msg);
void session_on_revalidate(struct replica *r, uint64_t server_id,
                           const struct peer_msg *msg);
void session_on_reclaim(struct replica *r, uint64_t server_id,
                        const struct peer_msg *msg);
/* Is the request from the session's owner? Otherwise SESSION_MOVED goes to its
 * origin (or its connection here is closed) and the request is dropped. */
bool session_owned(struct replica *r, struct session *session,
                   const struct origin *origin);
/* What waits to be taken up is a sign of life all the same, and its link may
 * end before its turn comes. */
void session_heard(struct replica *r, uint64_t server_id,
                   const struct peer_msg *msg);
/* Leadership begins: only our own connections are known to speak. */
void session_own_all(struct replica *r);
/* Learner: at once. */
void session_on_moved(struct replica *r, const struct peer_msg *msg);
/* A request of a session was delivered: if another server took it, the session
 * does not speak through us any more. */
void session_delivered(struct replica *r, const struct txn *txn);
int32_t session_clamp_timeout(const struct replica *r, int32_t asked_ms);

/* ---- role.c: who leads, whom we follow, and what a change does */
bool role_due(const struct replica *r); /* something to be taken up */
void role_begin(struct replica *r);     /* we lead, follow, observe */
void role_end(struct replica *r);       /* a queued ZAB_ROLE: not any more */
void role_tick(struct replica *r);      /* connections held too long */
void role_set_serving(struct replica *r, bool serving);

/* ---- status.c: STATUS and DIGEST */
void status_touch(struct replica *r, struct conn *conn); /* learner */
void status_begin(struct replica *r); /* of a role: what was said is void */
void status_tick(struct replica *r);
void status_on_message(struct replica *r, uint64_t server_id,
                       const struct peer_msg *msg);
bool status_disk_low(const struct replica *r); /* ours, or no quorum has room */
void digest_tell(struct replica *r); /* behind each 128th txn: the leader tells,
                                      * a learner compares */
void digest_on_message(struct replica *r, const struct peer_msg *msg);

/* ---- learner.c (leader's side of what learners send), forward.c (learner's)
 */
/* msg: borrowed. */
void learner_message(struct replica *r, uint64_t server_id,
                     const struct peer_msg *msg);
bool learners_wait(const struct replica *r); /* something to take up now */
void learners_take(struct replica *r);
/* What came on its link is void: it is another one now, or none. */
void learner_forget(struct replica *r, uint64_t server_id);
/* Zab leads no more: all of it is void. At once, not when the end of the role
 * is taken up: by then there may be a new leadership's. */
void learners_drop(struct replica *r);
void leader_message(struct replica *r, const struct peer_msg *msg);
/* Answers whose place is reached; before the next delivery. */
bool placed_due(const struct replica *r);
void placed_take(struct replica *r);
void placed_drop(struct replica *r); /* the link to the leader is another one */
/* We follow a leader that can be sent to. */
bool forward_possible(const struct replica *r);
void forward_request(struct replica *r, const struct origin *origin,
                     struct slice frame);
void forward_sync(struct replica *r, const struct origin *origin);

/* ---- client.c */
bool client_take(struct replica *r, struct conn *conn, struct slice frame,
                 int64_t taken_ms); /* false: not now, keep the frame */
void client_ping(struct replica *r, struct conn *conn);
/* An answer in its turn: at once when nothing is queued. */
void client_answer(struct replica *r, struct conn *conn,
                   struct client_reply *reply, int64_t taken_ms);
/* The answer of a request that went to the leader. */
void client_answer_wait(struct replica *r, uint64_t origin_request,
                        const struct wait *wait, struct client_reply *reply);
void client_answer_sync(struct replica *r, uint64_t origin_request,
                        const struct wait *wait);
/* Sends what is ready at the head of its queue, runs held reads. */
void client_drain(struct replica *r, struct conn *conn);
/* Runs what was asked before the first request that is not answered yet, now
 * that this is about to be delivered: so it is confirmed, too, without a round
 * (linear.c), that all before it is here. False: not done yet. */
bool client_reads_done(struct replica *r, struct conn *conn);

/* ---- read.c, read_list.c, read_watches.c */
/* Answers; false: it is long and must become a job (nothing was done). */
bool read_run(struct replica *r, struct conn *conn, struct slice frame,
              int64_t taken_ms);
/* The head of the connection's queue; or puts it with those who wait. held: the
 * frame behind its prefix. */
void read_job_start(struct replica *r, struct conn *conn, struct blob *held);
/* The same at once, before what is about to be delivered. */
void read_job_begin(struct replica *r, struct conn *conn, struct blob *held);
bool job_slice(struct replica *r); /* false: more to do */
void job_cancel(struct replica *r);
enum zk_code read_find(const struct replica *r, struct slice path,
                       const struct znode **node);
bool read_allowed(const struct replica *r, const struct conn *conn,
                  uint32_t acl_id, enum zk_perm perm);
enum read_status { READ_ANSWER, READ_LONG };
enum read_status read_names(struct replica *r, struct conn *conn,
                            const struct client_request *request,
                            struct client_reply *reply);
enum read_status read_ephemerals(struct replica *r, struct conn *conn,
                                 const struct client_request *request,
                                 struct client_reply *reply);
enum read_status read_count(struct replica *r, struct conn *conn,
                            const struct client_request *request,
                            struct client_reply *reply);
enum read_status read_multi(struct replica *r, struct conn *conn,
                            const struct client_request *request,
                            struct client_reply *reply);
enum read_status read_set_watches(struct replica *r, struct conn *conn,
                                  const struct client_request *request,
                                  struct client_reply *reply);
enum zk_code read_add_watch(struct replica *r, struct conn *conn,
                            const struct client_request *request);
enum zk_code read_check_watches(struct replica *r, struct conn *conn,
                                const struct client_request *request);
bool read_list_slice(struct replica *r, struct job *job);
bool read_count_slice(struct replica *r, struct job *job);
bool read_multi_slice(struct replica *r, struct job *job);
/* From path *index on, at most max of them; false: more to do. */
bool read_set_watches_some(struct replica *r, struct conn *conn,
                           const struct zk_set_watches2_request *request,
                           size_t *index, size_t max);

/* ---- write.c */
struct origin conn_origin(const struct replica *r, const struct conn *conn);
/* Leader with room; or a learner whose leader can be sent to. */
bool write_possible(const struct replica *r);
bool propose_possible(const struct replica *r); /* leader with room */
bool write_take(struct replica *r, struct conn *conn,
                const struct zk_request_header *header, struct slice frame,
                int64_t taken_ms);
bool sync_take(struct replica *r, struct conn *conn,
               const struct zk_request_header *header, struct slice frame,
               int64_t taken_ms);
void write_context(const struct replica *r, const struct origin *origin,
                   struct prep_context *context);
/* The leader's part: checks, proposes or refuses. */
void write_prepare(struct replica *r, const struct origin *origin,
                   const struct client_request *request);
void write_propose(struct replica *r, const struct txn *txn);
void write_refuse(struct replica *r, const struct origin *origin,
                  enum zk_code code);
void write_refused_multi(struct replica *r, const struct barrier *barrier,
                         struct client_reply *reply);
/* The server's own close of an expired session. */
void write_close_session(struct replica *r, struct session *session);

/* ---- deliver.c, load.c */
void deliver_begin(struct replica *r, zxid_t zxid, struct blob *payload);
bool deliver_slice(struct replica *r); /* false: more to do */
void deliver_drop(struct replica *r);
void event_send(struct replica *r, struct conn *conn, enum zk_event_type type,
                zxid_t zxid, struct slice path);
void load_begin(struct replica *r);
void load_chunk(struct replica *r, struct blob *payload);
void load_end(struct replica *r, zxid_t zxid);

/* ---- linear.c: with linearizableReads=all */
/* The round that a read of now waits for; 0: none. */
uint64_t linear_round(const struct replica *r, const struct conn *conn);
/* Its next read waits for a round. */
void linear_wait(struct replica *r, struct conn *conn);
bool linear_due(const struct replica *r);
void linear_begin(struct replica *r);
void linear_end(struct replica *r, bool confirmed);
void linear_void(struct replica *r); /* nobody answers the one that is out */

/* ---- readonly.c */
void read_only_tick(struct replica *r); /* while it does not serve */
void read_only_end(struct replica *r);
/* Its handshake asked for it. */
void read_only_open(struct replica *r, struct conn *conn,
                    const struct client_connect *connect);
/* What needs a leader; or the end of it. */
void read_only_refuse(struct replica *r, struct conn *conn,
                      const struct zk_request_header *header, int64_t taken_ms);

/* ---- members.c: leadership begins, and something can be proposed */
void members_show(struct replica *r);

/* ---- checkpoint.c, expire.c, containers.c */
bool checkpoint_due(const struct replica *r);
bool checkpoint_behind(const struct replica *r); /* deliveries wait */
void checkpoint_start(struct replica *r);
bool checkpoint_slice(struct replica *r, struct job *job);
void checkpoint_result(struct replica *r, const struct store_result *result);
void expire_tick(struct replica *r, uint32_t ticks_late);
void containers_tick(struct replica *r);

/* ---- inspect.c */
void inspect_init(struct replica *r);
void inspect_reset(struct replica *r, bool conns);
void inspect_digest_note(struct replica *r);
void inspect_note_times(struct replica *r);
enum op_index inspect_op_index(enum zk_op op);

#endif
