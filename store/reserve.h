/* Disk space kept back: a file of zeros in each directory, let go before a
 * write that must succeed would fail, made again when there is room. */
#ifndef CORRAL_STORE_RESERVE_H
#define CORRAL_STORE_RESERVE_H

#include "store/volume.h"

struct reserve {
    struct volume *volume;
    const char *dir;
    uint64_t size; /* 0: none is kept */
    bool held;
    bool released;       /* the disk was full: low until there is */
    uint64_t free_until; /* so much room */
};

/* Finds what is there; lets it go at once when the disk is full. Makes
 * nothing: that is for reserve_keep(). */
int reserve_open(struct reserve *reserve, struct volume *volume,
                 const char *dir, uint64_t size);
/* Makes the file when there is room for it and as much again. ERR_IO. */
int reserve_keep(struct reserve *reserve);
/* True when that gave space back. From now on the disk is low until it has
 * clearly more room than now. */
bool reserve_release(struct reserve *reserve);
uint64_t reserve_free(const struct reserve *reserve); /* bytes, without it */
bool reserve_low(const struct reserve *reserve);

#endif
