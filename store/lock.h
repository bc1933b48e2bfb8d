/* One process per directory: an open-file lock on DIR/lock, which holds the
 * pid for the second one to name. The lock goes with the process; the file
 * stays. */
#ifndef CORRAL_STORE_LOCK_H
#define CORRAL_STORE_LOCK_H

#include "store/volume.h"

struct lock {
    int fd; /* -1: not held */
};

/* Read-only volumes look, but make no file. ERR_BUSY: held, and the text that
 * the volume keeps names the pid. */
int lock_take(struct lock *lock, struct volume *volume, const char *dir);
void lock_release(struct lock *lock);

#endif
