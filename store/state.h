/* Two small files, state.0 and state.1, each a whole copy of what a server may
 * never forget. Both are written and synced, one after the other, before a
 * change counts; the valid one with the higher number is read. */
#ifndef CORRAL_STORE_STATE_H
#define CORRAL_STORE_STATE_H

#include "proto/zxid.h"
#include "store/volume.h"

enum { STATE_FORMAT = 1, STATE_SIZE = 128, STATE_SLOTS = 2 };

#define STATE_RECOVERING 1u    /* until an epoch is taken up again */
#define STATE_SETTING_ASIDE 2u /* what lies beside is damaged */

struct state {
    uint64_t sequence; /* of this write */
    uint32_t epoch_accepted, epoch_current;
    uint8_t cluster_id[16];
    uint32_t generation; /* the live one */
    uint32_t flags;
    uint64_t salt;      /* of the log's batch headers */
    zxid_t base;        /* where the live generation's log began */
    zxid_t checkpoint;  /* at least this was durable when it was written, */
    uint64_t batch;     /* and the log up to this batch; 0: nothing is said */
    uint64_t server_id; /* whose promises these are; 0: nobody's yet */
};

enum state_slot { STATE_MISSING, STATE_EMPTY, STATE_VALID, STATE_BAD };

struct state_found {
    enum state_slot slots[STATE_SLOTS];
    bool repair; /* the slots differ: write both before relying on one */
};

/* ERR_NOT_FOUND: neither file says anything and none is bad. ERR_CORRUPT: no
 * slot is valid (not reported: only the caller knows whether data exist).
 * ERR_INVALID: a newer format, with its text. ERR_IO. */
int state_load(struct volume *volume, struct state *state,
               struct state_found *found);
/* Takes the next number and makes it durable. The caller syncs the directory
 * the first time. */
int state_write(struct volume *volume, struct state *state);
/* Two different random numbers never come from the kernel twice. */
int state_new(struct volume *volume, struct state *state);

#endif
