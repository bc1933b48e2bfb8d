/* Checkers and clients without a world: what they report is caught, what they
 * do is written down, and the history that they look at is made by hand. */
#ifndef CORRAL_TESTS_UNIT_SIM_RIG_H
#define CORRAL_TESTS_UNIT_SIM_RIG_H

#include "tests/sim/checker_internal.h"
#include "tests/sim/client_internal.h"

#define RIG_EFFECTS_MAX 16
#define RIG_SERVERS 3U

struct sim {
    char finding[1024]; /* the first one; "" */
    uint64_t now_us;
    uint64_t last_conn;
    unsigned dialled; /* server */
    struct buf sent;  /* by the client, frames with their lengths */
};

struct rig {
    struct sim sim;
    struct checker *checker;
    struct clients *clients;
    struct replica_effect effects[RIG_EFFECTS_MAX];
    size_t effects_count;
    struct blob *blobs[256];
    size_t blobs_count;
    struct checker_view views[RIG_SERVERS + 1];
    int64_t now_ms;
};

void rig_init(struct rig *rig); /* three voters, just started */
void rig_finish(struct rig *rig);
bool rig_found(const struct rig *rig, const char *name); /* this finding */

/* Effects of the next step. */
void rig_store(struct rig *rig, enum store_op_type type, zxid_t zxid,
               struct blob *payload);
void rig_store_epochs(struct rig *rig, uint32_t accepted, uint32_t current);
/* A step of a server with them, as of its view; then the disk does what was
 * asked when durable is set. */
void rig_step(struct rig *rig, unsigned server, bool durable);
void rig_send(struct rig *rig, unsigned server, enum peer_link link,
              const struct peer_msg *msg);
/* The server leads an epoch, which all three have on their disks. */
void rig_lead(struct rig *rig, unsigned server, uint32_t epoch);
/* It is proposed by server, logged by the first `count` servers, and all of
 * them have it on their disks. */
void rig_log(struct rig *rig, unsigned server, zxid_t zxid,
             struct blob *payload, unsigned count);
/* The server has delivered up to here. */
void rig_deliver(struct rig *rig, unsigned server, zxid_t zxid);
/* All of it: proposed by 1, logged and delivered by all. */
void rig_commit(struct rig *rig, zxid_t zxid, struct blob *payload);

/* Txns, kept until rig_finish(). */
struct blob *rig_session(struct rig *rig, uint64_t id);
struct blob *rig_close(struct rig *rig, uint64_t id, uint64_t origin_request);
struct blob *rig_txn(struct rig *rig, const struct txn *txn);
struct blob *rig_create(struct rig *rig, uint64_t session, int32_t xid,
                        const char *path, const char *data);
struct blob *rig_set(struct rig *rig, uint64_t session, int32_t xid,
                     const char *path, const char *data, int32_t version);
struct blob *rig_delete(struct rig *rig, uint64_t session, int32_t xid,
                        const char *path);

#endif
