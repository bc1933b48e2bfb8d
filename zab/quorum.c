#include "zab/quorum.h"

#include "base/check.h"
#include "base/mutation.h"

void quorum_init(struct quorum *quorum)
{
    *quorum = (struct quorum){0};
}

void quorum_add(struct quorum *quorum, uint64_t weight)
{
    CHECK(quorum->members_count < QUORUM_MEMBERS_MAX);
    CHECK(weight <= UINT32_MAX);
    if (MUTATION(6)) {
        weight = 1;
    }
    quorum->weights[quorum->members_count] = weight;
    quorum->members_count++;
    quorum->total += weight;
}

bool quorum_holds(const struct quorum *quorum, uint64_t members)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < quorum->members_count; i++) {
        if ((members >> i & 1) != 0) {
            sum += quorum->weights[i];
        }
    }
    if (MUTATION(7)) {
        return sum * 2 >= quorum->total;
    }
    return sum * 2 > quorum->total;
}

/* Voters are few: each one's zxid is tried against all. */
zxid_t quorum_acked(const struct quorum *quorum, const zxid_t *acked)
{
    zxid_t best = 0;

    for (size_t i = 0; i < quorum->members_count; i++) {
        uint64_t have = 0;

        if (acked[i] <= best) {
            continue;
        }
        for (size_t j = 0; j < quorum->members_count; j++) {
            if (acked[j] >= acked[i]) {
                have |= UINT64_C(1) << j;
            }
        }
        if (quorum_holds(quorum, have)) {
            best = acked[i];
        }
    }
    return best;
}
