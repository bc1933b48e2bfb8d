/* A thread that looks whether the event loop and the disk thread still move.
 *
 * A member of an ensemble whose disk or loop hangs is worse than none: it holds
 * its sessions and its links, and does nothing. So there the process ends (one
 * line in the log, then abort()). Standalone nobody would take over: a line in
 * the log, again after each further limit.
 *
 * Only time in which this thread ran is counted: a process that was stopped, or
 * a machine that slept, is none that hangs. A disk job may take as long as it
 * likes while it does something: reads, writes, computes. */
#ifndef CORRAL_SERVER_WATCHDOG_H
#define CORRAL_SERVER_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

struct watchdog;
struct disk;

/* From the loop's thread, which is the one that is watched. disk may be NULL
 * (tests). limit_ms: at least 10. fatal: ends the process. */
struct watchdog *watchdog_start(struct disk *disk, int64_t limit_ms,
                                bool fatal);
void watchdog_stop(struct watchdog *watchdog); /* NULL is fine */
/* The loop has come round. */
void watchdog_loop_moved(struct watchdog *watchdog); /* NULL is fine */
/* How often one of the two has been found still for the limit. */
uint64_t watchdog_barks(const struct watchdog *watchdog);

#endif
