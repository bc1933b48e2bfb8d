/* The window of proposals that are made and not yet delivered, in zxid order,
 * each with a reference to its payload. */
#ifndef CORRAL_ZAB_HISTORY_H
#define CORRAL_ZAB_HISTORY_H

#include "base/blob.h"
#include "base/ring.h"
#include "proto/zxid.h"

struct history {
    struct ring proposals; /* struct proposal */
    zxid_t last;           /* of the last one ever taken in */
};

void history_init(struct history *history, size_t capacity, zxid_t last);
void history_finish(struct history *history); /* drops what it holds */

/* After (e, n) comes (e, n + 1), or (e', 1) with e' > e: no gaps. */
bool history_follows(zxid_t before, zxid_t zxid);

/* zxid must follow the last one and there must be room (CHECK). Takes the
 * payload's reference. */
void history_append(struct history *history, zxid_t zxid, struct blob *payload);
size_t history_count(const struct history *history);
bool history_full(const struct history *history);
zxid_t history_first(struct history *history); /* 0: empty */
/* Gives the first one's payload and forgets it. */
struct blob *history_take(struct history *history);

#endif
