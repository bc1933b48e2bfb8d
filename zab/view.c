/* A look from outside, for people and metrics. */
#include "base/check.h"
#include "zab/zab_internal.h"

bool zab_learner(const struct zab *zab, size_t index,
                 struct zab_learner *learner)
{
    static const char *const stages[] = {
        [LEARNER_NONE] = "away",           [LEARNER_ASKED] = "asked",
        [LEARNER_PROMISING] = "promising", [LEARNER_SNAP] = "snapshot",
        [LEARNER_STREAM] = "history",      [LEARNER_TAKING_UP] = "taking-up",
        [LEARNER_TAKEN_UP] = "taken-up",   [LEARNER_SYNCED] = "synced",
    };
    const struct zab_peer *peer;

    CHECK(index < zab->peers_count);
    if (index == zab->self || !zab_is_leader(zab)) {
        return false;
    }
    peer = &zab->peers[index];
    *learner = (struct zab_learner){
        .id = peer->id,
        .voter = peer->voter,
        .up = peer->up[PEER_LINK_LEARNER],
        .synced = (zab_synced_learners(zab) & zab_bit(index)) != 0,
        .stage = stages[peer->stage],
        .sent = peer->sent,
        .acked = peer->window,
        .ticks_silent = zab->ticks - peer->heard,
    };
    return true;
}

const struct zab_counts *zab_counts(const struct zab *zab)
{
    return &zab->counts;
}
