/* ZAB as a pure state machine.
 *
 * Everything that happens is an input; everything wanted is an effect. No
 * clock, no thread, no file, no socket, no random source but the seed. Same
 * config, same durable state, same inputs: same effects, bit for bit.
 *
 * The caller may carry out effects with any delay, and must keep two orders:
 * store ops of one lane are done in seq order; messages to one peer arrive in
 * order, or the link is reported down. Nothing else: whatever must wait for the
 * disk is sent by the step that hears from the disk. */
#ifndef CORRAL_ZAB_ZAB_H
#define CORRAL_ZAB_ZAB_H

#include "base/blob.h"
#include "proto/peer.h"
#include "proto/store_op.h"
#include "proto/zxid.h"
#include "zab/marks.h"

/* What a server is to its clients: anything but LOOKING serves. A leader leads
 * when a quorum has taken up its epoch; a learner follows or observes when it
 * has delivered all that its leader's UP_TO_DATE called committed. */
enum zab_role { ZAB_LOOKING, ZAB_FOLLOWING, ZAB_LEADING, ZAB_OBSERVING };

struct zab_member {
    uint64_t id;
    bool voter;
};

struct zab_config {
    uint64_t self_id;
    const struct zab_member
        *members; /* copied; sorted by id, self among them */
    size_t members_count;
    uint32_t ticks_init_max; /* ZooKeeper's initLimit, in zab's 20 ms ticks */
    uint32_t ticks_sync_max; /* ZooKeeper's syncLimit, likewise; at most half
                              * of the shortest session time-out */
    uint32_t ticks_heartbeat, ticks_leader_timeout; /* DESIGN 2.11 */
    bool bootstrap;                                 /* DESIGN 2.14 */
    uint8_t entropy[16]; /* becomes the cluster id when there is none */
    uint32_t proposals_inflight_max; /* made and not yet delivered */
    uint32_t history_bytes_max; /* of payloads kept in memory, the delivered
                                 * ones for DIFF among them; 0: 4 MiB */
    uint32_t counter_max; /* the epoch changes in place when the counter gets
                           * here, DESIGN 2.6; 0: 2^32 - 2^20 */
    uint64_t seed;
};

enum zab_input_type {
    ZAB_IN_TICK,
    ZAB_IN_MESSAGE,
    ZAB_IN_PEER_UP,
    ZAB_IN_PEER_DOWN,
    ZAB_IN_PROPOSE, /* only while zab_can_propose() */
    ZAB_IN_STORED,  /* every log-lane op of zab up to seq is durable */
    ZAB_IN_RESULT,  /* a slow-lane op came back: a read, SNAP_BEGIN/CHUNK/END */
    ZAB_IN_BARRIER, /* leader only: tell me when this point is certain */
    ZAB_IN_PURGED,  /* the log begins behind purged now */
    ZAB_IN_RESIGN,  /* hand over, if it leads; propose nothing any more */
    ZAB_IN_DIVERGED, /* the tree is not the leader's: fetch a whole copy */
    ZAB_IN_BROKEN,   /* what it said to replica/ has no place: drop the link
                      * if it is still up (the leader's: look for another) */
};

struct zab_input {
    enum zab_input_type type;
    enum peer_link link;
    uint64_t peer_id;
    union {
        const struct peer_msg *message; /* borrowed for the step */
        struct blob *proposal;          /* borrowed; ref taken if kept */
        uint64_t stored_seq;
        zxid_t purged;
        const struct store_result *result; /* borrowed; its payload too */
        uint64_t barrier;                  /* a rising number */
        const char *why;                   /* BROKEN: static text */
        uint32_t ticks_late; /* TICK: how late it came, taken off before anyone
                              * is accused, DESIGN 2.11 */
    };
};

enum zab_effect_type {
    ZAB_SEND,         /* message to a set of peers */
    ZAB_STORE,        /* op for the disk */
    ZAB_DELIVER,      /* committed: apply it now */
    ZAB_BARRIER_DONE, /* all before it is committed, leadership confirmed */
    ZAB_TREE_BEGIN,   /* forget the tree: one follows from the own disk */
    ZAB_TREE_CHUNK,   /* records of it, in deliver.payload */
    ZAB_TREE_END,     /* whole, as of deliver.zxid */
    ZAB_ROLE,         /* role, epoch or leader changed: ask the getters */
    ZAB_CONNECT,      /* open (or, peers 0, close) PEER_LINK_LEADER to this
                       * server; an older one is closed first */
    ZAB_DROP_PEER,    /* close this link; "why" is for the log */
    ZAB_DAMAGED,      /* what the disk returned cannot be: why says it */
};

struct zab_effect {
    enum zab_effect_type type;
    enum peer_link link;
    uint64_t peers;  /* one bit per member index */
    const char *why; /* DAMAGED, DROP_PEER, ROLE: static text */
    union {
        struct peer_msg message; /* its arrays: until the next step */
        struct store_op store;
        uint64_t barrier; /* done up to this number */
        struct {
            zxid_t zxid;
            struct blob
                *payload; /* an owned reference: the receiver drops it */
        } deliver;
    };
};

/* Links, as the driver keeps them. PEER_UP: a link is there, and what is sent
 * on it from now on reaches the peer in order or the link goes down; one that
 * was up already is another one now. PEER_DOWN: it is gone; also the answer to
 * a ZAB_CONNECT that came to nothing. Whoever closes a link by an effect is not
 * told, and ignores what an input still in flight says of it: messages on a
 * link that is not up are nothing. */

/* Effects of one step, in order. References inside belong to the receiver.
 * A zeroed struct is a valid empty one; free items with mem_free(). */
struct zab_effects {
    struct zab_effect *items;
    size_t count;
    size_t capacity;
};

struct zab;

/* Copies config and durable. Nothing happens before the first step: the first
 * TICK asks for the tree (ZAB_TREE_BEGIN, STORE_READ_SNAP of itself), then for
 * the log up to what is known committed, and only then is there an election.
 * An ensemble of one elects itself at once, makes its own epoch durable, takes
 * the whole log as committed, delivers it, and leads. */
struct zab *zab_create(const struct zab_config *config,
                       const struct durable_state *durable);
void zab_destroy(struct zab *zab); /* NULL is fine */
void zab_step(struct zab *zab, const struct zab_input *input,
              struct zab_effects *effects); /* appends */

enum zab_role zab_role(const struct zab *zab);
uint64_t zab_leader_id(const struct zab *zab); /* 0: none known */
uint32_t zab_epoch(const struct zab *zab);     /* current epoch */
uint32_t zab_epoch_accepted(const struct zab *zab);
/* DESIGN 3.3 rule 11; false too while the proposal window is full. */
bool zab_can_propose(const struct zab *zab);
bool zab_window_full(const struct zab *zab);
zxid_t zab_next_zxid(const struct zab *zab); /* of the next ZAB_IN_PROPOSE */
zxid_t zab_committed(const struct zab *zab);
zxid_t zab_logged(const struct zab *zab);
/* False: it belongs to none yet, it has no history. */
bool zab_cluster_id(const struct zab *zab, uint8_t id[PEER_CLUSTER_ID_SIZE]);
/* The tree is whole, and all that was known committed at the start is
 * delivered. */
bool zab_has_tree(const struct zab *zab);
/* The elected leader or its follower, serving or not: for people to read. */
const char *zab_phase_name(const struct zab *zab);
/* Why it has no role yet, as a sentence for people; "": it has one. */
void zab_waiting(const struct zab *zab, char *text, size_t size);
/* May replica/ speak with it over the quorum link? Leader: the learner is
 * synced. Learner: it is our leader and we serve. */
bool zab_peer_synced(const struct zab *zab, uint64_t peer_id);
uint64_t zab_synced_learners(const struct zab *zab); /* bits by member index */
size_t zab_member_index(const struct zab *zab, uint64_t id);
uint64_t zab_member_id(const struct zab *zab, size_t index);
bool zab_member_votes(const struct zab *zab, size_t index);
bool zab_is_quorum(const struct zab *zab, uint64_t members); /* bits */
/* The log up to here is needed by no learner that is being synced, or that lags
 * and still acknowledges. */
zxid_t zab_purge_max(const struct zab *zab);
/* How often each mark of marks.h was passed. */
const uint64_t *zab_marks(const struct zab *zab);

/* A member as a leader sees it, for people and metrics. */
struct zab_learner {
    uint64_t id;
    bool voter;
    bool up;           /* its quorum link to us */
    bool synced;       /* it was sent UP_TO_DATE */
    const char *stage; /* static text: how far it has got */
    zxid_t sent, acked;
    uint64_t ticks_silent; /* since it was last heard */
};
/* index: of a member. False: it is ourselves, or we lead nobody. */
bool zab_learner(const struct zab *zab, size_t index,
                 struct zab_learner *learner);

/* What has happened in this life. */
struct zab_counts {
    uint64_t looks;                                /* elections begun */
    uint64_t proposals, commits;                   /* leader: transactions */
    uint64_t received_proposals, received_commits; /* learner: likewise */
    uint64_t diffs, truncs, snaps; /* leader: learners begun to be synced */
    /* Leader: bytes of a transaction; 0: none yet. */
    size_t proposal_size_last, proposal_size_min, proposal_size_max;
};
const struct zab_counts *zab_counts(const struct zab *zab);

/* What two servers of equal state have equal, as a number: for the exhaustive
 * search of tests/sim. */
uint64_t zab_state_hash(const struct zab *zab);

/* One line of text per input and effect: logs, golden traces, replay. Writes at
 * most size bytes with the NUL; returns the length it would have. */
size_t zab_input_format(const struct zab_input *in, char *text, size_t size);
size_t zab_effect_format(const struct zab_effect *e, char *text, size_t size);

#endif
