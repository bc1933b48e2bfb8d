/* Who leads. Alone, a server votes for itself and has won. */
#include "base/check.h"
#include "zab/zab_internal.h"

void election_begin(struct zab *zab, struct zab_effects *effects)
{
    uint64_t votes = UINT64_C(1) << zab->self;

    CHECK(zab->delivered == zab->committed);
    zab_move(zab, ZAB_PHASE_ELECTION);
    if (quorum_holds(&zab->quorum, votes)) {
        leader_begin(zab, effects);
    }
}
