/* The other two members of a rig's ensemble of three, made by hand. They let
 * the server lead them, or lead it, by answering what zab asks; what replica/
 * says a test reads, and answers itself: so it chooses between which two
 * messages of zab's something stands, and what the disk has by then. */
#ifndef CORRAL_TESTS_UNIT_REPLICA_TRIO_H
#define CORRAL_TESTS_UNIT_REPLICA_TRIO_H

#include "proto/txn.h"
#include "tests/unit/replica/rig.h"

#define TRIO_QUEUE_MAX 256
#define PEER_TYPES 64

struct trio_input {
    enum replica_input_type type;
    enum peer_link link;
    uint64_t peer_id;
    struct peer_msg msg;
    struct blob *payload;
};

struct trio {
    struct rig *rig;
    bool leads; /* the server; else member 3 leads it */
    /* By id: whether it acknowledges proposals, answers pings. */
    bool acks[RIG_MEMBERS_MAX + 1], pongs[RIG_MEMBERS_MAX + 1];
    bool links[RIG_MEMBERS_MAX + 1]; /* quorum links that are up */
    bool dropped[RIG_MEMBERS_MAX + 1];
    bool promised[RIG_MEMBERS_MAX + 1];
    uint32_t epoch;        /* the leader's */
    zxid_t zxid;           /* member 3's last proposal */
    struct blob *snapshot; /* sent instead of a DIFF, as of zxid; dropped at the
                            * end */
    struct trio_input queue[TRIO_QUEUE_MAX];
    size_t first, count;
    struct buf text;
    /* The last message of each type; its last payload is kept. */
    struct peer_msg last[PEER_TYPES];
    struct blob *payloads[PEER_TYPES];
};

/* Behind rig_init(): the server is member 3 and will lead 1 and 2, or is member
 * 1 and follows 3. */
void trio_init(struct trio *trio, struct rig *rig, bool leads);
void trio_finish(struct trio *trio);
void trio_serve(struct trio *trio); /* start, elect, synchronize */
/* The disk, long work and the others, until all is quiet. */
void trio_settle(struct trio *trio);
void trio_pass(struct trio *trio, int64_t ms); /* ticks, settled */
bool trio_next(struct trio *trio); /* one answer of theirs; false: none */
/* Quorum links; an up is an input like any answer of theirs. */
void trio_link_up(struct trio *trio, uint64_t id);
void trio_link_down(struct trio *trio, uint64_t id);
/* Now, on the quorum link. payload: taken, or NULL. */
void trio_say(struct trio *trio, uint64_t id, struct peer_msg msg,
              struct blob *payload);

/* Lines since the last call: "12 propose z2 x1", "1 refused z2 -101": to whom,
 * what, the zxid's counter; of what clients' requests lead to. */
void trio_expect(struct trio *trio, const char *lines);

/* ---- member 3's part, for a server that follows it */
/* The next zxid's proposal. */
void trio_propose(struct trio *trio, const struct txn *txn);
void trio_commit(struct trio *trio, zxid_t zxid);
void trio_refuse(struct trio *trio, uint64_t origin_request, int32_t code,
                 zxid_t place);
void trio_sync_reply(struct trio *trio, uint64_t origin_request, zxid_t place);
/* A client with a session: its CREATE_SESSION is proposed and committed. */
struct test_client *trio_client(struct trio *trio);
/* The txn that creates path, for the request that the server sent last. */
struct txn trio_create(const struct trio *trio, const char *path);

/* ---- a learner's part, for a server that leads */
/* A session opened through learner id; its owner's attachment is request. */
uint64_t trio_session(struct trio *trio, uint64_t id, uint64_t request);
void trio_request(struct trio *trio, uint64_t id, uint64_t session_id,
                  uint64_t attachment, uint64_t origin_request,
                  struct client_request request);

#endif
