/* The disk: segment files hold the log, LevelDB the checkpoint, two state files
 * the epochs. docs/disk-format.md is the format.
 *
 * Blocking. Opened and verified on the loop thread before it runs; from then on
 * only the disk thread calls in, and a second one what stands under Beside. A
 * failed write or sync is reported as ERR_IO
 * in its result and the caller ends the process; store_failure() says what
 * failed. */
#ifndef CORRAL_STORE_STORE_H
#define CORRAL_STORE_STORE_H

#include "proto/store_op.h"

struct store;

struct store_options {
    const char *data_dir;  /* made when missing */
    const char *log_dir;   /* may be the same; made when missing */
    uint64_t segment_size; /* bytes; 64 MB */
    uint64_t reserve_size; /* bytes kept as a file in each directory; 0: none */
    bool sync;             /* false: forceSync=no */
    bool read_only; /* verify only: no lock file left, nothing cut or made */
    uint64_t server_id; /* a member of an ensemble; 0: not looked at */
    /* What is damaged is renamed (DIR/damaged.N) and the server begins anew as
     * one that recovers. For members of an ensemble: others have copies. */
    bool set_aside;
};

/* Locks the directories, verifies everything, cuts a torn tail; with set_aside
 * damage is no failure but a line in the log. On failure
 * *store is NULL and error (at least 512 bytes) says what, with file and offset
 * for damage, and the pid for a directory in use. ERR_IO, ERR_CORRUPT, ERR_BUSY
 * (locked), ERR_INVALID (newer format, another server's data). */
int store_open(const struct store_options *options, struct store **store,
               char *error, size_t error_size);
/* Appends the empty closing batch, stops background work, syncs, unlocks. */
void store_close(struct store *store); /* NULL is fine */

/* Borrowed until the store is closed. */
const struct durable_state *store_durable(const struct store *store);

/* The log lane's ops first, in order, appends of one call in one write and one
 * fdatasync. results[i] answers ops[i]; payload references of ops stay the
 * caller's. */
void store_run(struct store *store, const struct store_op *ops, size_t count,
               struct store_result *results);
/* Beside: an op for which store_runs_beside() is true may be run by another
 * thread, one at a time, while the thread of store_run() runs ops that are none
 * of those, TRUNCATE, SNAP_BEGIN and SNAP_END excepted, or looks at the space.
 * Its result is one when that thread has called store_finish_beside(). */
bool store_runs_beside(enum store_op_type type);
void store_run_beside(struct store *store, const struct store_op *op,
                      struct store_result *result);
void store_finish_beside(struct store *store, const struct store_op *op,
                         struct store_result *result);
/* Damage that the checksums did not find: with set_aside the next start sets
 * everything aside; else nothing. 0 or ERR_IO. */
int store_mark_damaged(struct store *store);
/* Nothing was asked for a while (called each 100 ms at most): the empty batch
 * behind the last real one, the reserve, and what store_tidy() does. 0 or
 * ERR_IO. */
int store_idle(struct store *store);
/* The same for a store that is never idle, but with nothing beside: the next
 * segment, and some files less of what was replaced. A few ms. 0 or ERR_IO. */
int store_tidy(struct store *store);
const char *store_failure(const struct store *store); /* after an ERR_IO */

/* Disk space, for REPLICA_DISK_SPACE: the smaller of the two directories. From
 * the second call on it makes the reserve when that is missing and there is
 * room: room there is only with the reserve. */
struct store_space {
    uint64_t free_bytes;
    bool low; /* below the reserve: writes that add data are refused */
};
void store_space(struct store *store, struct store_space *space);
/* What mntr, dirs and the bench show: bytes on disk, syncs, bytes written. */
struct store_stats {
    uint64_t data_bytes, log_bytes; /* size of the directories */
    uint64_t syncs, bytes_written;
    uint64_t sync_us_total, sync_us_max;
};
/* From any thread. */
void store_stats(const struct store *store, struct store_stats *stats);

#endif
