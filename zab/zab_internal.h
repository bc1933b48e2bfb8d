/* The inside of struct zab, for zab/ *.c only.
 *
 * zab.c steps and dispatches; boot.c brings the tree and the log back,
 * election.c finds a leader, leader.c leads. They share this struct and the
 * helpers below. Everything is one thread's. */
#ifndef CORRAL_ZAB_ZAB_INTERNAL_H
#define CORRAL_ZAB_ZAB_INTERNAL_H

#include "base/ring.h"
#include "zab/history.h"
#include "zab/quorum.h"
#include "zab/zab.h"

enum zab_phase {
    ZAB_PHASE_NEW,       /* created, not stepped yet */
    ZAB_PHASE_TREE,      /* the checkpoint is read into the tree */
    ZAB_PHASE_REPLAY,    /* the log up to what is known committed, too */
    ZAB_PHASE_ELECTION,  /* who leads? */
    ZAB_PHASE_DISCOVERY, /* leader: a new epoch is being promised */
    ZAB_PHASE_SYNC,      /* leader: the epoch is being taken up */
    ZAB_PHASE_LEADING,   /* broadcast */
    ZAB_PHASE_DRAINING,  /* leader: no more proposals in this epoch */
    ZAB_PHASE_DAMAGED,   /* the disk's contents cannot be: the end */
    ZAB_PHASES_COUNT,
};

/* What is known of each member, at its index; ours stands among them. */
struct zab_peer {
    uint64_t id;
    bool voter;
    bool up[2]; /* by enum peer_link */
};

/* A log-lane op that was asked and is not yet durable. */
struct zab_log_op {
    uint64_t seq;
    enum store_op_type type;
    zxid_t zxid;                            /* APPEND */
    uint32_t epoch_accepted, epoch_current; /* EPOCHS */
};

/* Barriers up to number, taken when place was the last zxid proposed. */
struct zab_barrier {
    uint64_t number;
    zxid_t place;
};

struct zab {
    struct zab_config config; /* members: not kept here, see peers */
    struct zab_peer *peers;
    size_t peers_count, self;
    struct quorum quorum;

    enum zab_phase phase;
    enum zab_role role;
    uint64_t leader_id;
    const char *damage; /* found at create, told at the first step */

    /* Durable on our own disk. */
    uint32_t epoch_accepted, epoch_current;
    uint8_t cluster_id[16];

    /* delivered <= committed <= logged */
    zxid_t checkpoint;
    zxid_t delivered, committed;
    zxid_t logged;  /* the last one in our log, durable or on its way */
    zxid_t initial; /* leader: logged when it took up its epoch */

    /* Leader: who has what, by member index (one bit each in the masks). */
    uint64_t epoch_acks, leader_acks;
    zxid_t acked[QUORUM_MEMBERS_MAX];

    struct history history; /* proposed, not yet delivered */
    struct ring log_ops;    /* struct zab_log_op */
    struct ring barriers;   /* struct zab_barrier */

    uint64_t seq;         /* of the last op asked, either lane */
    uint64_t log_seq;     /* of the last log-lane op asked */
    uint64_t read_seq;    /* of the read whose answer comes next; 0: none */
    uint32_t reads_asked; /* checkpoint chunks asked and not here yet */
};

/* ---- zab.c */

/* Next phase; one that the table does not allow is a CHECK. */
void zab_move(struct zab *zab, enum zab_phase next);
void zab_damaged(struct zab *zab, const char *why, struct zab_effects *effects);
/* An effect of this type at the end, otherwise zeroed; valid until the next. */
struct zab_effect *zab_emit(struct zab_effects *effects,
                            enum zab_effect_type type);
/* A store op of ours, with the next seq; same validity. */
struct store_op *zab_store(struct zab *zab, enum store_op_type type,
                           struct zab_effects *effects);
/* The next committed one goes out; barriers before it first. Takes payload. */
void zab_deliver(struct zab *zab, zxid_t zxid, struct blob *payload,
                 struct zab_effects *effects);
/* Delivers what is committed: from the history, or asks for the log. */
void zab_deliver_committed(struct zab *zab, struct zab_effects *effects);

/* ---- boot.c */

void boot_begin(struct zab *zab, struct zab_effects *effects);
/* What a read brought; borrowed. */
void boot_on_read(struct zab *zab, const struct store_result *read,
                  struct zab_effects *effects);
/* Asks for the log behind a zxid; one such read at a time. */
void boot_read_log(struct zab *zab, zxid_t after, struct zab_effects *effects);

/* ---- election.c */

void election_begin(struct zab *zab, struct zab_effects *effects);

/* ---- leader.c */

void leader_begin(struct zab *zab, struct zab_effects *effects);
void leader_on_propose(struct zab *zab, struct blob *proposal,
                       struct zab_effects *effects);
void leader_on_barrier(struct zab *zab, uint64_t number,
                       struct zab_effects *effects);
void leader_on_stored(struct zab *zab, const struct zab_log_op *op,
                      struct zab_effects *effects);
/* What a delivery or an answer from the disk may have made possible. */
void leader_go_on(struct zab *zab, struct zab_effects *effects);
/* Tells of barriers whose place is at most this one. */
void leader_end_barriers(struct zab *zab, zxid_t place,
                         struct zab_effects *effects);

#endif
