/* The inside of struct zab, for zab/ *.c only. docs/zab.md says what happens;
 * this says where.
 *
 * zab.c steps, dispatches and holds the table of phases; act.c is what every
 * phase does: effects, the one way to append and to deliver; invariants.c looks
 * at the whole after each step. boot.c brings tree and log back; election.c
 * finds a leader. Leader: discovery.c (a new epoch), sync_leader.c (each
 * learner's stream), leader.c (propose, count, commit, heartbeats), barrier.c
 * (what is certain). Learner: learner.c (connecting, promising, taking up),
 * sync_learner.c (DIFF, TRUNC, SNAP), follower.c (broadcast). Everything is one
 * thread's. */
#ifndef CORRAL_ZAB_ZAB_INTERNAL_H
#define CORRAL_ZAB_ZAB_INTERNAL_H

#include "base/arena.h"
#include "base/mutation.h"
#include "base/prng.h"
#include "base/ring.h"
#include "zab/history.h"
#include "zab/quorum.h"
#include "zab/zab.h"

#define SYNC_WINDOW_BYTES ((size_t)256 * 1024) /* unacknowledged, syncing */
#define WINDOW_BYTES ((size_t)4 * 1024 * 1024) /* unacknowledged, synced */
#define SNAP_CHUNKS_AHEAD 4U
#define CHUNK_SIZE_MAX                                                    \
    (256U * 1024)                /* of a read: loaded or sent in one step \
                                  */
#define ELECTION_WAIT_TICKS 5U   /* for a better vote */
#define EPOCH_IN_PLACE_TICKS 50U /* at most one for a voter in so many */
#define RESIGN_TICKS 5U          /* for learners to hear of it and hang up */

enum zab_phase {
    ZAB_PHASE_NEW,        /* created, not stepped yet */
    ZAB_PHASE_TREE,       /* the checkpoint is read into the tree */
    ZAB_PHASE_REPLAY,     /* the log up to what is known committed, too */
    ZAB_PHASE_ELECTION,   /* who leads? */
    ZAB_PHASE_CONNECTING, /* learner: the link to the elected one is opened */
    ZAB_PHASE_PROMISING,  /* learner: FOLLOWER_INFO sent .. ACK_EPOCH sent */
    ZAB_PHASE_SYNCING,    /* learner: its history is made the leader's */
    ZAB_PHASE_FOLLOWING,  /* learner: UP_TO_DATE has come */
    ZAB_PHASE_DISCOVERY,  /* leader: a new epoch is being promised */
    ZAB_PHASE_SYNC,       /* leader: the epoch is being taken up */
    ZAB_PHASE_LEADING,    /* leader: broadcast */
    ZAB_PHASE_DRAINING,   /* leader: no more proposals in this epoch */
    ZAB_PHASE_DAMAGED,    /* the disk's contents cannot be: the end */
    ZAB_PHASES_COUNT,
};

/* What a leader knows of a learner. Each stage is behind the one before. */
enum learner_stage {
    LEARNER_NONE,      /* no link, or no FOLLOWER_INFO yet */
    LEARNER_ASKED,     /* FOLLOWER_INFO has come */
    LEARNER_PROMISING, /* NEW_EPOCH was sent */
    LEARNER_SNAP,      /* chunks of the checkpoint are being sent */
    LEARNER_STREAM,    /* history is being sent */
    LEARNER_TAKING_UP, /* NEW_LEADER was sent */
    LEARNER_TAKEN_UP,  /* ACK_NEW_LEADER has come; we do not lead yet */
    LEARNER_SYNCED,    /* UP_TO_DATE was sent */
};

struct zab_vote {
    uint64_t candidate; /* 0: nobody */
    uint32_t epoch;
    zxid_t zxid;
};

/* What is known of each member, at its index; ours stands among them. */
struct zab_peer {
    uint64_t id;
    bool voter;
    bool up[PEER_LINKS_COUNT];

    /* Election: its last VOTE on a link that is up. */
    bool known;
    struct zab_vote vote;
    uint64_t round;
    enum peer_state state;
    bool blank, no_log;
    bool told;              /* it has our VOTE as it is */
    uint64_t shunned_until; /* ticks: not joined or voted for, it failed us */
    uint32_t failures;      /* as a leader, one after the other */

    /* Leader: the learner at the other end of PEER_LINK_LEARNER. */
    enum learner_stage stage;
    bool voting;             /* counted in quorums */
    bool fresh;              /* it never took up an epoch */
    bool in_place;           /* was synced when the epoch changed in place */
    uint32_t epoch_accepted; /* of its FOLLOWER_INFO */
    uint64_t heard, said;    /* zab->ticks when it, when we last did */
    uint64_t progressed;     /* zab->ticks */
    uint64_t pinged;         /* highest round asked */
    uint64_t pinged_at;      /* zab->ticks */
    uint64_t pong;           /* highest round answered */
    uint64_t confirm;        /* blank: takes up our epoch after this round */
    zxid_t sent;             /* its stream has got to here */
    zxid_t window;           /* acknowledged by it, counted or not */
    zxid_t committed_sent;   /* the last COMMIT or INFORM */
    uint32_t link_epoch;     /* of our last NEW_EPOCH to it; 0: none */
    bool promised;           /* ACK_EPOCH has come; sync_begin() has chosen: */
    bool snap_needed;
    zxid_t last;       /* of its own history, before TRUNC */
    zxid_t piece;      /* sent, before the last piece of the log was */
    uint64_t read_seq; /* of its READ_LOG or READ_SNAP; 0: none */
    uint32_t chunks_sent, chunks_acked;
    bool snap_last; /* the last chunk was sent */
    zxid_t snap_zxid;
};

/* A log-lane op that was asked and is not yet durable. */
struct zab_log_op {
    uint64_t seq;
    enum store_op_type type;
    zxid_t zxid;                            /* APPEND, TRUNCATE */
    uint32_t epoch_accepted, epoch_current; /* EPOCHS */
};

/* Barriers up to number, taken when place was the last zxid proposed; a PONG of
 * round, or an ACK beyond place, confirms them. */
struct zab_barrier {
    uint64_t number;
    zxid_t place;
    uint64_t round;
};

/* What our VOTE says. */
struct zab_said {
    struct zab_vote vote;
    uint64_t round;
    enum peer_state state;
    bool blank, no_log;
};

/* The tree of replica/, as far as zab has said. */
enum zab_tree { ZAB_TREE_NONE, ZAB_TREE_LOADING, ZAB_TREE_WHOLE };

struct zab {
    struct zab_config config; /* members: not kept here, see peers */
    struct zab_peer *peers;
    size_t peers_count, self;
    struct quorum quorum; /* by the configuration; blank ones are not asked */
    struct prng prng;
    uint64_t marks[ZAB_MARKS_COUNT];
    struct zab_counts counts;
    struct arena *arena; /* of the step: payload arrays of messages */

    enum zab_phase phase;
    enum zab_role role;
    uint64_t leader_id; /* elected or followed; 0: none */
    struct {            /* what the last ZAB_ROLE stood for */
        enum zab_role role;
        uint64_t leader_id;
        uint32_t epoch;
    } told;
    uint64_t ticks;     /* inputs, not time: late ones count once */
    const char *damage; /* found at create, told at the first step */
    bool resigning;     /* ZAB_IN_RESIGN: never leads again */
    bool recovering;    /* at create: had a history, and lost it */

    /* Durable on our own disk. */
    uint32_t epoch_accepted, epoch_current;
    uint8_t cluster_id[PEER_CLUSTER_ID_SIZE];
    /* Asked of the disk, so never below the durable ones. */
    uint32_t accepted_asked, current_asked;

    /* delivered <= min(committed, stored) <= logged */
    zxid_t checkpoint; /* the history begins behind it */
    zxid_t log_base;   /* what stands in our log follows this one: a learner
                        * that has it can be sent the rest */
    zxid_t delivered, committed;
    zxid_t stored;
    zxid_t logged;
    zxid_t *epoch_ends; /* last zxid of each epoch in our history, rising */
    size_t epoch_ends_count, epoch_ends_capacity;

    struct history history; /* the end of our history, as far as memory goes */
    struct ring log_ops;    /* struct zab_log_op */
    uint64_t disk_moved;    /* ticks: one of them was done, or none waited */

    /* Own disk, boot.c. */
    enum zab_tree tree;
    uint64_t seq;      /* of the last op asked, either lane */
    uint64_t log_seq;  /* of the last log-lane op asked */
    uint64_t read_seq; /* of our own read whose answer comes next; 0: none */
    zxid_t read_until; /* of the log: it had this when it was asked */
    uint64_t read_ahead_seq; /* of the checkpoint chunk after that one */

    /* Election. */
    struct zab_vote vote;
    uint64_t round;
    uint64_t vote_since;  /* ticks: our vote changed, or the quorum came */
    uint64_t round_ends;  /* ticks: of a round that decides nothing */
    struct zab_said said; /* on every election link */
    bool quorum_since;    /* vote_since is the quorum's */

    /* Leader: who has what, by member index (one bit each in the masks). */
    uint32_t epoch;       /* proposed, promised or taken up by us */
    uint64_t epoch_acks;  /* counted promises */
    uint64_t confirming;  /* those of them that round_sent asks; 0: none */
    uint64_t leader_acks; /* counted takings-up */
    zxid_t acked[QUORUM_MEMBERS_MAX]; /* counted acks of this epoch */
    zxid_t initial;                   /* logged when we began the epoch */
    zxid_t committed_told; /* leader_tell_committed() has got to here */
    bool epoch_chosen;     /* DISCOVERY: a quorum has asked, NEW_EPOCH is out */
    bool epoch_of_all;     /* all voters had: fresh ones count */
    uint32_t epoch_floor;  /* the next epoch must be above this */
    uint64_t began;        /* ticks: of this phase, or a learner's progress */
    uint64_t asked_once, promised_once; /* who has moved this discovery on */
    uint64_t in_place_at; /* ticks of the last epoch change for a voter */
    uint64_t resigned_to; /* RESIGN was sent to these: we only wait */
    uint64_t resigned_at; /* ticks */
    uint64_t round_sent, round_done; /* PING rounds; one at a time */
    struct ring barriers;            /* struct zab_barrier */

    /* Learner. */
    uint64_t heard;        /* ticks: the leader, or CONNECTING began */
    uint64_t progressed;   /* ticks: synchronization */
    uint32_t patience;     /* ticks_leader_timeout and a draw */
    uint32_t leader_epoch; /* of the link; 0: no NEW_EPOCH yet */
    bool ack_epoch_due;  /* counted ACK_EPOCH leaves when accepted is durable */
    bool ack_counted;    /* the due ACK_EPOCH is a first promise */
    bool ack_leader_due; /* ACK_NEW_LEADER, when current is */
    bool taken_up;       /* ACK_NEW_LEADER has left: ACKs go out */
    bool up_to_date;     /* UP_TO_DATE has come */
    zxid_t acked_sent;   /* our last ACK */
    zxid_t serve_from;   /* of UP_TO_DATE: serve when it is delivered */
    /* A snapshot that is received. What follows it is held until SNAP_END is
     * back, wherever we are by then: until it is, our history is neither the
     * old nor the new one, and we neither vote nor tell it. */
    enum { SNAP_NONE, SNAP_RECEIVING, SNAP_ENDING } snap;
    bool held_new_leader; /* NEW_LEADER is the last of what is held */
    zxid_t snap_zxid;
    uint64_t snap_begin_seq; /* results before it are of another one */
    uint32_t snap_number, snap_durable; /* chunks received, durable */
    struct history held;
};

#define ZAB_MARK(zab, name) ((zab)->marks[ZAB_MARK_##name]++)

static inline uint64_t zab_bit(size_t member)
{
    return UINT64_C(1) << member;
}

/* Is it, or is it about to be, a leader? A learner? */
static inline bool zab_is_leader(const struct zab *zab)
{
    return zab->phase >= ZAB_PHASE_DISCOVERY &&
           zab->phase <= ZAB_PHASE_DRAINING;
}

static inline bool zab_is_learner(const struct zab *zab)
{
    return zab->phase >= ZAB_PHASE_CONNECTING &&
           zab->phase <= ZAB_PHASE_FOLLOWING;
}

/* Transactions of the later one's epoch, for the metrics. */
static inline uint64_t zab_count_between(zxid_t from, zxid_t to)
{
    return zxid_epoch(from) == zxid_epoch(to) ? to - from : zxid_counter(to);
}

/* ---- zab.c */

/* Next phase; one that the table does not allow is a CHECK. */
void zab_move(struct zab *zab, enum zab_phase next);

/* ---- act.c */

void zab_damaged(struct zab *zab, const char *why, struct zab_effects *effects);
/* An effect of this type at the end, otherwise zeroed; valid until the next. */
struct zab_effect *zab_emit(struct zab_effects *effects,
                            enum zab_effect_type type);
/* A message to fill in; peers: bits by member index, never 0. Notes for the
 * heartbeat that something was said. Same validity. */
struct peer_msg *zab_send(struct zab *zab, enum peer_link link, uint64_t peers,
                          enum peer_msg_type type, struct zab_effects *effects);
/* Room for so many payloads of a message in this step. */
struct blob **zab_payloads(struct zab *zab, size_t count);
/* A store op of ours, with the next seq; same validity. Log-lane ops are noted
 * in log_ops by the three below. */
struct store_op *zab_store(struct zab *zab, enum store_op_type type,
                           struct zab_effects *effects);
/* The one way to append, in every phase: history, epoch_ends, logged, disk.
 * zxid must follow logged (CHECK: callers have looked). Takes payload. */
void zab_append(struct zab *zab, zxid_t zxid, struct blob *payload,
                struct zab_effects *effects);
void zab_truncate(struct zab *zab, zxid_t after, struct zab_effects *effects);
void zab_store_epochs(struct zab *zab, uint32_t accepted, uint32_t current,
                      struct zab_effects *effects);
/* The next committed one goes out; barriers before it first. Takes payload. */
void zab_deliver(struct zab *zab, zxid_t zxid, struct blob *payload,
                 struct zab_effects *effects);
/* Delivers what is committed, stored and, after a snapshot, loaded: from the
 * history, or asks for the log. A leader's COMMITs and INFORMs go with it. */
void zab_deliver_committed(struct zab *zab, struct zab_effects *effects);
/* ZAB_ROLE when it is another one. */
void zab_set_role(struct zab *zab, enum zab_role role, const char *why,
                  struct zab_effects *effects);
/* Out of any phase of a leader or learner: links closed, back to ELECTION. */
void zab_look(struct zab *zab, const char *why, struct zab_effects *effects);
/* Closes a link; LEARNER: what we knew of the learner is forgotten (its read
 * closed). */
void zab_drop_peer(struct zab *zab, enum peer_link link, size_t peer,
                   const char *why, struct zab_effects *effects);
/* The log's oldest op has waited for longer than ticks_sync_max. */
bool zab_disk_stands_still(const struct zab *zab);
bool zab_blank(const struct zab *zab);  /* current epoch 0, or asked to be */
bool zab_voting(const struct zab *zab); /* self: a voter, not blank, or the
                                         * first election's rule holds; and no
                                         * SNAP_END is on its way */
/* Our history is known, and the tree made of it: before that we neither elect
 * nor lead nor follow anybody. */
bool zab_ready(const struct zab *zab);
/* Does our history have it as one of its zxids (or its beginning)? */
bool zab_has(const struct zab *zab, zxid_t zxid);
/* What follows this one of our history; 0: nothing. */
zxid_t zab_next_of(const struct zab *zab, zxid_t zxid);
zxid_t zab_epoch_end(const struct zab *zab, uint32_t epoch); /* 0: none */
/* The end of its epoch is this one now; no later one is noted. */
void zab_note_epoch_end(struct zab *zab, zxid_t zxid);

/* What may be delivered: committed, and on our own disk. */
zxid_t zab_deliverable(const struct zab *zab);

/* ---- invariants.c */

void zab_check_invariants(const struct zab *zab);

/* ---- boot.c */

void boot_begin(struct zab *zab, struct zab_effects *effects);
/* The tree anew, after a snapshot was installed. */
void boot_reload(struct zab *zab, struct zab_effects *effects);
/* What a read of our own brought; borrowed. */
void boot_on_read(struct zab *zab, const struct store_result *read,
                  struct zab_effects *effects);
/* Asks for the log behind a zxid; one such read at a time. */
void boot_read_log(struct zab *zab, zxid_t after, struct zab_effects *effects);

/* ---- election.c */

void election_begin(struct zab *zab, struct zab_effects *effects);
/* The attempt with leader_id has failed: somebody else's turn, for a while. */
void election_failed(struct zab *zab);
void election_on_tick(struct zab *zab, struct zab_effects *effects);
/* In every phase: peers keep each other informed. */
void election_on_link(struct zab *zab, size_t peer, bool up,
                      struct zab_effects *effects);
void election_on_vote(struct zab *zab, size_t peer, const struct peer_msg *msg,
                      struct zab_effects *effects);
/* Our VOTE to all, when what it says has changed: phase, leader or epoch. */
void election_tell(struct zab *zab, struct zab_effects *effects);

/* ---- discovery.c: leader */

void discovery_begin(struct zab *zab, struct zab_effects *effects);
void discovery_on_link(struct zab *zab, size_t peer, bool up,
                       struct zab_effects *effects);
void discovery_on_follower_info(struct zab *zab, size_t peer,
                                const struct peer_msg *msg,
                                struct zab_effects *effects);
void discovery_on_ack_epoch(struct zab *zab, size_t peer,
                            const struct peer_msg *msg,
                            struct zab_effects *effects);
/* A PONG, or a tick: do the promises still stand? */
void discovery_go_on(struct zab *zab, struct zab_effects *effects);
void discovery_on_tick(struct zab *zab, struct zab_effects *effects);
void discovery_on_epochs(struct zab *zab, const struct zab_log_op *op,
                         struct zab_effects *effects);

/* ---- sync_leader.c: leader, each learner's stream */

/* Chooses DIFF, TRUNC or SNAP and begins. */
void sync_begin(struct zab *zab, size_t peer, const struct peer_msg *ack_epoch,
                struct zab_effects *effects);
/* Does what was chosen: the epoch has its quorum. */
void sync_start(struct zab *zab, size_t peer, struct zab_effects *effects);
/* Sends what there is and fits the window. */
void sync_pump(struct zab *zab, size_t peer, struct zab_effects *effects);
void sync_on_read(struct zab *zab, size_t peer, const struct store_result *read,
                  struct zab_effects *effects);
void sync_on_snap_ack(struct zab *zab, size_t peer, const struct peer_msg *msg,
                      struct zab_effects *effects);
void sync_on_ack_new_leader(struct zab *zab, size_t peer,
                            const struct peer_msg *msg,
                            struct zab_effects *effects);
/* May so many bytes more be on their way to it, unacknowledged? */
bool sync_window_open(const struct zab *zab, size_t peer, size_t bytes);
/* INFORM up to here to observers (bits) that have had all before it. */
void sync_inform(struct zab *zab, uint64_t peers, zxid_t zxid,
                 struct zab_effects *effects);
/* To those of them that have taken the epoch up (bits). */
void sync_up_to_date(struct zab *zab, uint64_t peers,
                     struct zab_effects *effects);
/* The link is gone: its read is closed. */
void sync_forget(struct zab *zab, size_t peer, struct zab_effects *effects);

/* ---- leader.c */

void leader_establish(struct zab *zab, struct zab_effects *effects);
void leader_on_propose(struct zab *zab, struct blob *proposal,
                       struct zab_effects *effects);
void leader_on_ack(struct zab *zab, size_t peer, const struct peer_msg *msg,
                   struct zab_effects *effects);
void leader_on_pong(struct zab *zab, size_t peer, const struct peer_msg *msg,
                    struct zab_effects *effects);
void leader_on_tick(struct zab *zab, struct zab_effects *effects);
void leader_on_resign(struct zab *zab, struct zab_effects *effects);
/* A learner's link is down. */
void leader_on_hang_up(struct zab *zab, struct zab_effects *effects);
/* What a delivery, an ack or an answer from the disk may have made possible. */
void leader_go_on(struct zab *zab, struct zab_effects *effects);
/* Up to here COMMIT and INFORM are to be sent; cumulative. */
void leader_tell_committed(struct zab *zab, zxid_t zxid,
                           struct zab_effects *effects);
/* In quorums of this epoch: it votes, and has taken the epoch up. */
bool leader_counts(const struct zab_peer *learner);
/* Leadership ends: learners' links are dropped, barriers void. */
void leader_end(struct zab *zab, const char *why, struct zab_effects *effects);

/* ---- barrier.c: leader */

void leader_on_barrier(struct zab *zab, uint64_t number,
                       struct zab_effects *effects);
/* Tells of barriers whose place is at most this one and that are confirmed. */
void leader_end_barriers(struct zab *zab, zxid_t place,
                         struct zab_effects *effects);
/* Those that wait for one are asked, or the next one begins. */
void barrier_run_rounds(struct zab *zab, struct zab_effects *effects);
/* PING; number 0: only a heartbeat. peers may be 0. */
void barrier_ping(struct zab *zab, uint64_t peers, uint32_t epoch,
                  uint64_t number, struct zab_effects *effects);

/* ---- learner.c */

void learner_begin(struct zab *zab, uint64_t leader_id,
                   struct zab_effects *effects);
void learner_on_link(struct zab *zab, size_t peer, bool up,
                     struct zab_effects *effects);
void learner_on_message(struct zab *zab, size_t peer,
                        const struct peer_msg *msg,
                        struct zab_effects *effects);
void learner_on_stored(struct zab *zab, const struct zab_log_op *op,
                       struct zab_effects *effects);
void learner_on_tick(struct zab *zab, struct zab_effects *effects);
void learner_on_diverged(struct zab *zab, struct zab_effects *effects);
/* Following ends: the link is closed. */
void learner_end(struct zab *zab, const char *why, struct zab_effects *effects);
/* What a delivery may have made possible: serving. */
void learner_go_on(struct zab *zab, struct zab_effects *effects);

/* Our durable promise, or our history, is there: ACK_EPOCH if it is due. */
void learner_ack_epoch(struct zab *zab, struct zab_effects *effects);
/* Current is to be the leader's epoch; ACK_NEW_LEADER when it is. */
void learner_take_up(struct zab *zab, struct zab_effects *effects);

/* ---- sync_learner.c: NULL, or how the leader broke the protocol */

const char *sync_learner_on_message(struct zab *zab, const struct peer_msg *msg,
                                    struct zab_effects *effects);
/* The link is gone in the middle of it, or never was one. */
void sync_learner_forget(struct zab *zab);
/* A SNAP op of ours came back. */
void sync_learner_on_result(struct zab *zab, const struct store_result *result,
                            struct zab_effects *effects);

/* ---- follower.c: likewise */

/* PROPOSE, INFORM */
const char *follower_on_propose(struct zab *zab, const struct peer_msg *msg,
                                struct zab_effects *effects);
/* COMMIT, or what an INFORM says of its records. */
const char *follower_on_commit(struct zab *zab, zxid_t zxid,
                               struct zab_effects *effects);
void follower_ack(struct zab *zab, struct zab_effects *effects);

#endif
