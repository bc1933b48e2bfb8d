/* What the pure code asks of the disk, as data. Executed by store/ in the
 * server and by tests/sim/disk.c in the simulator, as follows.
 *
 * Two lanes. Log lane (EPOCHS, APPEND, TRUNCATE): in the order asked; a result
 * for seq n says everything asked up to n in this lane is durable. Slow lane
 * (the rest): in the order asked among themselves, one result each; those of
 * LevelDB beside the log, the others when no log op waits, at the latest 50 ms
 * after they were asked. TRUNCATE, SNAP_BEGIN
 * and SNAP_END wait for both lanes to be empty and hold both. PURGE is asked
 * only when the checkpoint's result has come. */
#ifndef CORRAL_PROTO_STORE_OP_H
#define CORRAL_PROTO_STORE_OP_H

#include "base/blob.h"
#include "proto/zxid.h"

enum store_op_type {
    STORE_EPOCHS = 1, /* accepted and current epoch, cluster id */
    STORE_APPEND,     /* one log record: zxid, payload */
    STORE_TRUNCATE,   /* drop log records after zxid */
    STORE_PURGE,      /* drop log records up to zxid */
    STORE_CHECKPOINT, /* changed znodes and sessions as of zxid: payload is a
                       * list of proto/record.h, the marker among it */
    STORE_SNAP_BEGIN, /* receive a snapshot into the next generation */
    STORE_SNAP_CHUNK,
    STORE_SNAP_END,   /* the state files make the generation live */
    STORE_READ_LOG,   /* records after zxid, up to size_max bytes */
    STORE_READ_SNAP,  /* next chunk of the checkpoint, up to size_max bytes */
    STORE_READ_CLOSE, /* reader_id is gone: free its snapshot */
};

/* Each numbers its own ops from 1. */
enum store_owner { STORE_FOR_ZAB, STORE_FOR_REPLICA };

struct store_op {
    enum store_op_type type;
    enum store_owner owner;
    uint64_t seq;           /* the asker's number, rising; 0: nobody waits */
    zxid_t zxid_committed;  /* APPEND: for the batch header */
    uint8_t cluster_id[16]; /* EPOCHS */
    zxid_t zxid;
    uint32_t epoch_accepted, epoch_current;
    struct blob *payload; /* owned reference, or NULL */
    uint64_t reader_id;   /* whose read this is */
    uint32_t size_max;    /* bytes */
};

struct store_result {
    enum store_op_type type;
    enum store_owner owner;
    uint64_t seq, reader_id;
    bool last;            /* reads: nothing follows */
    int err;              /* 0, ERR_IO, ERR_CORRUPT, ERR_NOT_FOUND */
    struct blob *payload; /* reads only: owned by the receiver */
    zxid_t zxid; /* READ_LOG: of the last record returned; READ_SNAP: of the
                  * checkpoint; PURGE: what is left of the log follows it */
};

/* What was on disk at start: store/ fills it, zab_create() takes it. */
struct durable_state {
    uint32_t epoch_accepted, epoch_current;
    zxid_t zxid_checkpoint;       /* 0: none yet */
    zxid_t zxid_first, zxid_last; /* of the log; 0: empty */
    zxid_t zxid_committed;    /* highest that a batch header or the checkpoint
                               * calls committed */
    const zxid_t *epoch_ends; /* last zxid of each epoch in the log, rising */
    size_t epoch_ends_count;
    uint8_t cluster_id[16]; /* all zero: none yet */
    bool recovering;        /* no vote until a whole copy is durable */
};

#endif
