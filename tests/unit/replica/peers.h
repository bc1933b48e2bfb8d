/* One replica of an ensemble, and the others made of messages: they answer what
 * zab asks of them by themselves, and say to replica/ what the test has them
 * say. Either the replica leads and they follow it, or one of them leads it.
 *
 * Servers are numbered from 1: voters first, then observers. The rig inside is
 * driven as ever (rig_ask(), rig_settle(), ...): the others' answers are part
 * of settling; but time passes by peers_pass(). Do not move it. */
#ifndef CORRAL_TESTS_UNIT_REPLICA_PEERS_H
#define CORRAL_TESTS_UNIT_REPLICA_PEERS_H

#include "base/list.h"
#include "proto/txn.h"
#include "tests/unit/replica/rig.h"

/* Another server. */
struct peer {
    uint32_t accepted, current;
    zxid_t logged;
    bool up;     /* its quorum link with the replica */
    bool synced; /* UP_TO_DATE was sent, by it or to it */
    bool mute;   /* it hears and does not answer */
};

struct peers {
    struct rig rig;
    unsigned count;
    struct peer peer[RIG_MEMBERS_MAX + 1]; /* from 1; ours is not used */
    uint64_t self;
    uint64_t leader;     /* of the others; 0: the replica */
    bool leaderless;     /* nobody leads, nobody votes */
    uint32_t epoch;      /* of the leader among the others */
    uint32_t version;    /* of quorum links; 0: the first */
    uint32_t epoch_seen; /* highest in a message */
    struct list mail;    /* what is on its way to the replica */
    struct buf lines;    /* what replica/ said since the last peers_expect() */

    /* What was said last: VOTE, DIGEST; a question's number and what it is
     * asked with. */
    struct peer_msg vote, digest;
    uint64_t asked, session_id;
    uint64_t round; /* of the last PING */
    uint8_t password[16];
};

void peers_init(struct peers *peers, unsigned self, unsigned voters,
                unsigned observers);
void peers_finish(struct peers *peers);

/* Boots; the others elect the replica and follow it, synced. */
void peers_lead(struct peers *peers);
/* Boots; the replica follows this one, synced, and serves. */
void peers_follow(struct peers *peers, uint64_t leader);
/* The link to the leader, or those to all learners, break, and the replica
 * serves no more; nobody leads until the next: this one, which may be the same
 * again, in a later epoch. The replica then serves under it. */
void peers_lose_leader(struct peers *peers);
void peers_gain_leader(struct peers *peers, uint64_t leader);
void peers_be_led(struct peers *peers); /* by the replica */
void peers_change_leader(struct peers *peers, uint64_t leader); /* both */
void peers_pass(struct peers *peers, int64_t ms); /* ticks, settled */
/* Its quorum link breaks; the replica may look for a leader then. */
void peers_cut(struct peers *peers, uint64_t id);
/* All voters answer the last round that was begun: some were mute then. */
void peers_answer_round(struct peers *peers);
void peers_vote(struct peers *peers); /* all say whom they want, once more */
/* A learner that was cut comes back, and is synced when all is settled. */
void peers_join(struct peers *peers, uint64_t id);

/* A message on its quorum link, not settled. Takes the payloads' references. */
void peers_say(struct peers *peers, uint64_t from, struct peer_msg *msg);
/* The leader among the others proposes and commits this; settled. Its zxid. */
zxid_t peers_deliver(struct peers *peers, const struct txn *txn);
/* The same of what the replica asked last: its CREATE_SESSION (the session's id
 * says so: 0xNN then), or a plain create of path. */
struct txn peers_opened(const struct peers *peers, uint8_t session);
struct txn peers_create(const struct peers *peers, const char *path);
/* A client of a replica that follows, with a session 0x1000000000000NN, whose
 * attachment is peers->asked; lines are forgotten. */
struct test_client *peers_connect(struct peers *peers, uint8_t session);
zxid_t peers_propose(struct peers *peers, const struct txn *txn);
void peers_commit(struct peers *peers);
/* Also for peers_say(): a place behind all that the leader has proposed. */
zxid_t peers_last(const struct peers *peers);

/* What replica/ has said since the last call, one line for each message: to
 * whom, and peer_msg_format()'s text without the epoch; of request numbers and
 * attachments the low 32 bits; of RECLAIM and STATUS their entries, too. */
void peers_expect(struct peers *peers, const char *lines);
void peers_forget(struct peers *peers);

#endif
