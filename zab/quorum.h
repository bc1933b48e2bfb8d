/* Which sets of voters decide: more than half of the weight. Observers weigh
 * nothing, every voter one; groups and weights change this file only. */
#ifndef CORRAL_ZAB_QUORUM_H
#define CORRAL_ZAB_QUORUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/zxid.h"

#define QUORUM_MEMBERS_MAX 64 /* one bit each in a mask */

struct quorum {
    uint64_t weights[QUORUM_MEMBERS_MAX]; /* by member index; 0: no vote */
    uint64_t total;
    size_t members_count;
};

void quorum_init(struct quorum *quorum);
/* Members are numbered in the order of these calls. */
void quorum_add(struct quorum *quorum, uint64_t weight);

/* Are these (one bit per member index) a quorum? */
bool quorum_holds(const struct quorum *quorum, uint64_t members);
/* The largest zxid up to which a quorum has everything; acked is by member
 * index, an observer's is not looked at. 0: none. */
zxid_t quorum_acked(const struct quorum *quorum, const zxid_t *acked);

#endif
