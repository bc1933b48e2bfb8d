/* One server whose learners are the test: it is number 1, and is elected. What
 * it does is kept in order; its disk does an op when the test says so. */
#ifndef CORRAL_TESTS_UNIT_ZAB_RIG_H
#define CORRAL_TESTS_UNIT_ZAB_RIG_H

#include "zab/zab.h"

#define RIG_MEMBERS_MAX 6
#define RIG_EVENTS_MAX 1024
#define RIG_LOG_MAX 512
#define RIG_OPS_MAX 1024
#define RIG_ENDS_MAX 8

#define BIT(id) (UINT64_C(1) << (id))
#define Z(epoch, counter) ((zxid_t)(epoch) << 32 | (counter))

struct rig_event {
    enum zab_effect_type type;
    enum peer_link link;
    uint64_t peers; /* SEND, DROP_PEER */
    const char *why;
    struct peer_msg msg; /* SEND; without payloads, their size is in bytes */
    size_t bytes;
    uint64_t what; /* zxid, or number of a barrier */
    struct store_op op;
};

struct rig_record {
    zxid_t zxid;
    size_t bytes;
};

/* What a learner says of itself in ACK_EPOCH. */
struct rig_history {
    bool counted, whole;
    uint32_t epoch_current;
    zxid_t checkpoint, last;
    zxid_t ends[RIG_ENDS_MAX];
    uint32_t ends_count;
};

struct rig {
    struct zab_config config;
    struct zab_member members[RIG_MEMBERS_MAX];
    struct durable_state durable;
    zxid_t ends[RIG_ENDS_MAX];
    struct zab *zab;

    struct rig_record log[RIG_LOG_MAX]; /* on disk */
    size_t log_count;
    zxid_t purged;        /* the log begins behind it */
    unsigned snap_chunks; /* of the checkpoint */
    bool asks_early;      /* server 2, before the election, accepted 6 */
    unsigned chunks_read;
    struct store_op writes[RIG_OPS_MAX], reads[RIG_OPS_MAX];
    size_t writes_count, reads_count;

    struct rig_event events[RIG_EVENTS_MAX];
    size_t events_count;
    uint32_t epoch; /* of the last NEW_EPOCH, and of messages to it */
    uint64_t round; /* of its last VOTE */
    uint64_t barriers;
    /* The last PING of a discovery: its round, and whom it asks. */
    uint64_t confirm_round, confirm_to;
    bool doubtful; /* nobody answers it */
};

/* 1 .. voters, then observers. Settings may be changed before the start. */
void rig_init(struct rig *rig, unsigned voters, unsigned observers);
void rig_finish(struct rig *rig);
/* On its disk before the start: current epoch, and records (e, 1) .. (e, n) */
void rig_had(struct rig *rig, uint32_t epoch, uint32_t count);
void rig_start(struct rig *rig); /* through boot: it looks for a leader */
void rig_elect(struct rig *rig); /* and is elected: discovery */
/* And leads, with these (bits by id) as synced learners. */
void rig_lead(struct rig *rig, uint64_t learners);

void rig_tick(struct rig *rig, unsigned count);
/* So many, with a PONG of each of these (bits by id) after every one. */
void rig_live(struct rig *rig, unsigned count, uint64_t learners);
zxid_t rig_propose(struct rig *rig, size_t bytes);
void rig_barrier(struct rig *rig);
void rig_resign(struct rig *rig);
void rig_purged(struct rig *rig, zxid_t zxid);

void rig_link(struct rig *rig, uint64_t id, bool up);
void rig_say(struct rig *rig, uint64_t id, const struct peer_msg *msg);
void rig_vote(struct rig *rig, uint64_t id, enum peer_state state,
              uint32_t epoch, uint64_t candidate);
void rig_ask(struct rig *rig, uint64_t id, uint32_t accepted); /* voting */
void rig_ask_blank(struct rig *rig, uint64_t id);
void rig_promise(struct rig *rig, uint64_t id, const struct rig_history *has);
/* The history that rig_had() gave to the server. */
struct rig_history rig_same(const struct rig *rig);
void rig_take_up(struct rig *rig, uint64_t id, zxid_t zxid);
void rig_ack(struct rig *rig, uint64_t id, zxid_t zxid);
void rig_pong(struct rig *rig, uint64_t id, uint64_t number);
void rig_snap_ack(struct rig *rig, uint64_t id, uint32_t number);
/* From the link up to ACK_NEW_LEADER and so on, with that history. */
void rig_join(struct rig *rig, uint64_t id);

void rig_store(struct rig *rig); /* all writes are durable */
void rig_read(struct rig *rig);  /* answers the oldest */
void rig_reads(struct rig *rig); /* until none waits */

/* What it did since rig_forget(). */
void rig_forget(struct rig *rig);
/* Index of the first event from `from` on; SIZE_MAX: none. */
size_t rig_find(const struct rig *rig, enum zab_effect_type type, size_t from);
size_t rig_find_sent(const struct rig *rig, enum peer_msg_type type,
                     uint64_t id, size_t from);
/* The last one of its type to this learner; NULL: none. */
const struct rig_event *rig_sent(const struct rig *rig, enum peer_msg_type type,
                                 uint64_t id);
size_t rig_sent_count(const struct rig *rig, enum peer_msg_type type,
                      uint64_t id);
const struct rig_event *rig_dropped(const struct rig *rig, uint64_t id);
const struct store_op *rig_asked(const struct rig *rig,
                                 enum store_op_type type);
bool rig_is(const struct rig *rig, const char *phase);
uint64_t rig_mark(const struct rig *rig, enum zab_mark mark);

#endif
