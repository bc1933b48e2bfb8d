/* A history as the ends of its epochs. Counters begin at 1 in each epoch and
 * have no gaps, so the last zxid of each epoch says everything; what stands at
 * a zxid is the same everywhere (checker_log.c sees to that). Owned by whoever
 * embeds it; a zeroed one is empty. */
#ifndef CORRAL_TESTS_SIM_RUNS_H
#define CORRAL_TESTS_SIM_RUNS_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/zxid.h"

struct runs {
    zxid_t base;  /* what is up to here is not told: a snapshot, or nothing */
    zxid_t *ends; /* rising, each of another epoch, all above base */
    size_t count, capacity;
};

void runs_finish(struct runs *runs);
void runs_reset(struct runs *runs, zxid_t base);
void runs_copy(struct runs *to, const struct runs *from);
zxid_t runs_last(const struct runs *runs); /* base when empty */
/* false: zxid does not follow the last one; taken all the same. */
bool runs_append(struct runs *runs, zxid_t zxid);
/* false: it does not have that zxid. */
bool runs_truncate(struct runs *runs, zxid_t after);
/* What is at or below base is not known: false but for base itself. */
bool runs_has(const struct runs *runs, zxid_t zxid);
/* The one behind zxid, which it has; 0: none. */
zxid_t runs_next(const struct runs *runs, zxid_t zxid);
/* The one before the first of an epoch; base when there is none. */
zxid_t runs_before_epoch(const struct runs *runs, uint32_t epoch);
/* Both have the same zxids up to this one, as far as both can say. */
bool runs_agree(const struct runs *a, const struct runs *b, zxid_t upto);

#endif
