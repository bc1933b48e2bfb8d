/* The disk thread: batches of store ops over, results back. */
#ifndef CORRAL_SERVER_DISK_H
#define CORRAL_SERVER_DISK_H

#include "proto/store_op.h"
#include "store/store.h"

struct disk;
struct event_base;

/* Results in order; payloads of reads are the callee's to drop. */
typedef void disk_done_fn(void *arg, struct store_result *results,
                          size_t count);

/* done is called on the loop thread. Takes over store. */
struct disk *disk_start(struct event_base *base, struct store *store,
                        disk_done_fn *done, void *arg);
void disk_stop(struct disk *disk); /* finishes what was submitted, joins,
                                    * closes the store */
/* What it holds is damage that only the tree could tell: marked when it stops,
 * so that a member of an ensemble sets it aside at its next start. */
void disk_damaged(struct disk *disk);
/* Copies the ops. Ownership of their payload references goes over with them and
 * comes back to be dropped on the loop thread. */
void disk_submit(struct disk *disk, const struct store_op *ops, size_t count);
/* A line in the log for each batch of the log that takes longer; 0: never. */
void disk_warn_above(struct disk *disk, int64_t ms);
/* For the watchdog, from any thread: of the thread that writes the log, or of
 * the one that runs LevelDB. */
enum disk_thread { DISK_LOG, DISK_BESIDE, DISK_THREADS_COUNT };
struct disk_pulse {
    int tid;        /* 0: it has not begun yet */
    bool busy;      /* with something of the store's */
    uint64_t moves; /* how often it has begun or ended that */
};
void disk_pulse(struct disk *disk, enum disk_thread thread,
                struct disk_pulse *pulse);
size_t disk_queued(struct disk *disk);       /* ops not yet answered */
struct store *disk_store(struct disk *disk); /* for store_stats() only */
void disk_space(struct disk *disk, struct store_space *space); /* as last
                                                                * looked at */

#endif
