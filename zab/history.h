/* The end of our history: proposals in zxid order, each with a reference to its
 * payload. What is delivered stays as long as it fits, so that a learner that
 * lags a little is served from memory. */
#ifndef CORRAL_ZAB_HISTORY_H
#define CORRAL_ZAB_HISTORY_H

#include <stdbool.h>

#include "base/blob.h"
#include "proto/zxid.h"

struct proposal {
    zxid_t zxid;
    struct blob *payload;
    uint64_t bytes_before; /* of all payloads ever taken in before this one */
};

struct history {
    struct proposal *items; /* a circle, its size a power of two */
    size_t capacity, first, count;
    uint64_t bytes; /* of all payloads ever taken in */
    zxid_t before;  /* what the first one here follows */
    zxid_t last;    /* of the last one ever taken in, or what it follows */
};

void history_init(struct history *history, zxid_t last);
void history_finish(struct history *history); /* drops what it holds */
/* Forgets all; the next one follows last. */
void history_reset(struct history *history, zxid_t last);

/* After (e, n) comes (e, n + 1), or (e', 1) with e' > e: no gaps. */
bool history_follows(zxid_t before, zxid_t zxid);

/* zxid must follow the last one (CHECK). Takes the payload's reference. */
void history_append(struct history *history, zxid_t zxid, struct blob *payload);
/* Drops all after this one; last becomes it. */
void history_truncate(struct history *history, zxid_t after);
/* Drops the oldest up to `delivered` while more than bytes_max are held. */
void history_trim(struct history *history, zxid_t delivered, size_t bytes_max);

/* Index of the one that follows zxid; SIZE_MAX: that one is not in memory, or
 * nothing follows. Logarithmic. */
size_t history_after(const struct history *history, zxid_t zxid);
/* index < count; valid until the next change. */
const struct proposal *history_at(const struct history *history, size_t index);
/* Bytes of payloads in (from, to], both in memory or at its edge; SIZE_MAX when
 * from is not in memory. */
size_t history_bytes(const struct history *history, zxid_t from, zxid_t to);

#endif
