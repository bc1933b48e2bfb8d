/* A disk in memory that does what proto/store_op.h asks, when it is told to:
 * ops wait until the test lets them be done, and what waits is lost in a crash.
 * Two lanes, as the real one. One thread. */
#ifndef CORRAL_TESTS_FAKE_DISK_H
#define CORRAL_TESTS_FAKE_DISK_H

#include "proto/store_op.h"

struct fake_disk;

struct fake_disk *fake_disk_create(void);
void fake_disk_destroy(struct fake_disk *disk); /* NULL is fine */

/* As at a start. Borrowed until the next call. */
const struct durable_state *fake_disk_durable(struct fake_disk *disk);

/* Takes the op over, with its payload reference. */
void fake_disk_submit(struct fake_disk *disk, const struct store_op *op);
/* Does the next op, the log lane first; false: nothing waits. The result's
 * payload is the caller's to drop. */
bool fake_disk_next(struct fake_disk *disk, struct store_result *result);
size_t fake_disk_waiting(const struct fake_disk *disk);

/* The process died: the first kept of what waits were done, the rest never.
 * Open readers are gone. */
void fake_disk_crash(struct fake_disk *disk, size_t kept);

/* What tests look at and break. */
size_t fake_disk_log_count(const struct fake_disk *disk);
size_t fake_disk_record_count(const struct fake_disk *disk);
uint64_t fake_disk_checkpoints(const struct fake_disk *disk);
/* The next op that is done fails so, once. */
void fake_disk_fail_next(struct fake_disk *disk, int err);
/* Loses one znode record, as damage would. */
void fake_disk_lose_record(struct fake_disk *disk, const char *path);
/* Flips a byte of one znode record's data and mends its CRC. */
void fake_disk_forge_record(struct fake_disk *disk, const char *path);

#endif
