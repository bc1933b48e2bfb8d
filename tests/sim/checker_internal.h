/* The inside of the checkers, for checker*.c and their tests.
 *
 * checker.c keeps what each server has asked of its disk and what its platter
 * has, and looks at every step; checker_log.c knows every zxid that was ever
 * proposed and which are committed, in order; checker_peer.c holds what servers
 * say to one another against both; checker_session.c knows when a session was
 * last heard of by the leader. Committed txns go through the model (model.h),
 * with which trees and clients' answers are compared. */
#ifndef CORRAL_TESTS_SIM_CHECKER_INTERNAL_H
#define CORRAL_TESTS_SIM_CHECKER_INTERNAL_H

#include "base/arena.h"
#include "base/map.h"
#include "replica/inspect.h"
#include "tests/sim/checker.h"
#include "tests/sim/model.h"
#include "tests/sim/runs.h"

#define EPOCHS_MAX (1U << 22)
#define LOOK_WHOLE_STEPS 10000U

/* What stands at a zxid, and what it leaves. */
struct entry {
    uint64_t hash; /* of the payload */
    uint64_t tree_digest, session_digest;
    struct blob *payload; /* until it is committed */
    bool digested;        /* somebody was seen there */
};

/* An epoch: one leader, in one of its lives. */
struct reign {
    unsigned leader; /* 0: nobody yet */
    uint32_t life;
    bool broadcast;   /* it has proposed */
    bool in_place;    /* it led the one before too */
    zxid_t initial;   /* what it had before its first own proposal */
    zxid_t committed; /* the last one that was committed in it */
    struct entry *entries;
    size_t count, capacity;
};

struct server {
    uint32_t life;       /* processes so far */
    struct runs asked;   /* its history, as asked of the disk */
    struct runs platter; /* its history after the worst crash now */
    struct runs ghost;   /* the platter that was wiped: it was one once */
    unsigned cuts;       /* TRUNCATE and SNAP_END asked and not durable */
    zxid_t snap_asked, snap_durable; /* of SNAP_BEGIN */
    uint32_t accepted_asked, current_asked, accepted, current;
    uint32_t counted; /* the last epoch promised so that it counts */
    uint32_t own;     /* the last epoch it proposed itself */
    zxid_t delivered;
    zxid_t told; /* committed, as its zab says */
    enum zab_role role;
    uint32_t epoch;
    uint64_t reign;   /* counts leaderships of all servers */
    int64_t reign_ms; /* by its clock */
    uint64_t steps;
    zxid_t committed_sent[64]; /* by member index of the learner */
};

/* A session as the leader that hears of it may know it. */
struct heard {
    struct map_link link;
    uint64_t reign; /* whose clock touched_ms is */
    int64_t touched_ms;
    int32_t timeout_ms;
    uint64_t owner_id; /* whose client opened it */
};

/* A server after a step. */
struct checker_view {
    enum zab_role role;
    uint32_t epoch;
    zxid_t committed; /* as zab says */
    uint64_t leader_id;
    struct inspect_point point;
    const struct replica *replica; /* NULL in tests */
};

struct checker {
    struct sim *sim;
    struct server *servers; /* from 1 */
    unsigned servers_count;
    uint32_t counter_max; /* of an epoch; 0: any */
    uint64_t voters;      /* bits by member index; 0: not asked yet */
    struct reign *reigns; /* by epoch */
    size_t reigns_count, reigns_capacity;
    uint32_t broadcast_epoch; /* the latest that has proposed */
    struct runs committed;
    uint64_t reign_last;
    struct map sessions;
    struct model *model;
    struct arena *arena;
};

/* ---- checker.c */
void checker_look(struct checker *c, unsigned server,
                  const struct checker_view *view,
                  const struct replica_input *input,
                  const struct replica_effect *effects, size_t count);
/* Its history has zxid, told or in its snapshot. */
bool checker_has(const struct checker *c, const struct runs *runs, zxid_t zxid);

/* ---- checker_log.c */
struct reign *checker_log_reign(struct checker *c,
                                uint32_t epoch); /* NULL: no epoch */
struct entry *checker_log_entry(struct checker *c,
                                zxid_t zxid); /* NULL: none */
void checker_log_finish(struct checker *c);
/* Asked of a server's disk: a proposal of its own, or one that was made. */
void checker_log_append(struct checker *c, unsigned server,
                        const struct checker_view *view,
                        const struct store_op *op, int64_t now_ms);
/* Of a message: these payloads stand at zxid and behind it. */
void checker_log_payloads(struct checker *c, unsigned server,
                          const struct peer_msg *msg);
/* The server says that everything in its history up to zxid is committed. */
void checker_log_committed(struct checker *c, unsigned server, zxid_t zxid);
/* It is as of this zxid now. */
void checker_log_delivered(struct checker *c, unsigned server,
                           const struct checker_view *view);
/* It speaks as the leader of an epoch. */
void checker_log_leader(struct checker *c, unsigned server, uint32_t epoch);

/* ---- checker_session.c */
void checker_session_finish(struct checker *c);
/* What a leader hears. */
void checker_session_input(struct checker *c, unsigned server,
                           const struct checker_view *view,
                           const struct replica_input *input);
/* A txn was proposed by its leader. */
void checker_session_proposed(struct checker *c, unsigned server,
                              const struct checker_view *view,
                              const struct txn *txn, int64_t now_ms);

#endif
