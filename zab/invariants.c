/* The whole of struct zab, looked at: what holds after every step, in every
 * build, and a number for all that matters to what it does next. */
#include "base/check.h"
#include "zab/zab_internal.h"

static void check_history(const struct zab *zab);
static void check_role(const struct zab *zab);
static void check_leader(const struct zab *zab);
static void check_learner(const struct zab *zab);
static void mix(uint64_t *hash, uint64_t value);
static void mix_age(uint64_t *hash, const struct zab *zab, uint64_t since,
                    uint64_t limit);
static void mix_left(uint64_t *hash, const struct zab *zab, uint64_t until);
static void mix_own(uint64_t *hash, const struct zab *zab);
static void mix_ops(uint64_t *hash, const struct zab *zab);
static void mix_peer(uint64_t *hash, const struct zab *zab,
                     const struct zab_peer *peer);
static void mix_vote(uint64_t *hash, const struct zab_vote *vote);
static void mix_leader(uint64_t *hash, const struct zab *zab);
static void mix_learner(uint64_t *hash, const struct zab *zab);

#define ROLE(role) (1U << (ZAB_##role))
/* Roles are what clients see, phases what we do. A new epoch in place changes
 * phases under a role that stays. */
static const unsigned allowed_roles[ZAB_PHASES_COUNT] = {
    [ZAB_PHASE_NEW] = ROLE(LOOKING),
    [ZAB_PHASE_TREE] = ROLE(LOOKING),
    [ZAB_PHASE_REPLAY] = ROLE(LOOKING),
    [ZAB_PHASE_ELECTION] = ROLE(LOOKING),
    [ZAB_PHASE_CONNECTING] = ROLE(LOOKING),
    [ZAB_PHASE_PROMISING] = ROLE(LOOKING),
    [ZAB_PHASE_SYNCING] = ROLE(LOOKING),
    [ZAB_PHASE_FOLLOWING] = ROLE(LOOKING) | ROLE(FOLLOWING) | ROLE(OBSERVING),
    [ZAB_PHASE_DISCOVERY] = ROLE(LOOKING) | ROLE(LEADING),
    [ZAB_PHASE_SYNC] = ROLE(LOOKING) | ROLE(LEADING),
    [ZAB_PHASE_LEADING] = ROLE(LEADING),
    [ZAB_PHASE_DRAINING] = ROLE(LEADING),
};
#undef ROLE

void zab_check_invariants(const struct zab *zab)
{
    CHECK(zab->epoch_current <= zab->epoch_accepted);
    CHECK(zab->current_asked <= zab->accepted_asked);
    CHECK(zab->epoch_accepted <= zab->accepted_asked);
    if (zab->phase == ZAB_PHASE_DAMAGED) {
        return; /* in the middle of whatever it was */
    }
    check_history(zab);
    check_role(zab);
    check_leader(zab);
    check_learner(zab);
}

uint64_t zab_state_hash(const struct zab *zab)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    mix_own(&hash, zab);
    mix_ops(&hash, zab);
    for (size_t i = 0; i < zab->peers_count; i++) {
        mix_peer(&hash, zab, &zab->peers[i]);
    }
    if (zab_is_leader(zab)) {
        mix_leader(&hash, zab);
    } else if (zab_is_learner(zab)) {
        mix_learner(&hash, zab);
    }
    return hash;
}

static void check_history(const struct zab *zab)
{
    size_t ends = zab->epoch_ends_count;

    CHECK(zab->delivered <= zab->committed);
    CHECK(zab->committed <= zab->logged);
    CHECK(zab->delivered <= zab->stored);
    CHECK(zab->stored <= zab->logged);
    CHECK(zab->checkpoint <= zab->logged);
    CHECK(zab->log_base <= zab->logged);
    CHECK(zab->history.last == zab->logged);
    CHECK(ends == 0 ? zab->logged == 0
                    : zab->epoch_ends[ends - 1] == zab->logged);
    if (zab->log_ops.count == 0) {
        CHECK(zab->stored == zab->logged);
        CHECK(zab->epoch_accepted == zab->accepted_asked);
        CHECK(zab->epoch_current == zab->current_asked);
    }
}

static void check_role(const struct zab *zab)
{
    bool voter = zab->peers[zab->self].voter;

    CHECK((allowed_roles[zab->phase] >> zab->role & 1) != 0);
    if (zab->role == ZAB_FOLLOWING || zab->role == ZAB_LEADING) {
        CHECK(voter);
    } else if (zab->role == ZAB_OBSERVING) {
        CHECK(!voter);
    }
    if (zab->role != ZAB_LOOKING) {
        CHECK(zab->tree == ZAB_TREE_WHOLE);
    }
    if (zab->phase <= ZAB_PHASE_ELECTION) {
        CHECK(zab->leader_id == 0);
    } else {
        CHECK((zab->leader_id == zab->config.self_id) == zab_is_leader(zab));
    }
}

static void check_leader(const struct zab *zab)
{
    bool leader = zab_is_leader(zab);

    if (!leader) {
        CHECK(zab->barriers.count == 0);
    }
    for (size_t i = 0; i < zab->peers_count; i++) {
        const struct zab_peer *peer = &zab->peers[i];

        CHECK(peer->stage == LEARNER_NONE || peer->up[PEER_LINK_LEARNER]);
        CHECK(leader || peer->stage <= LEARNER_ASKED);
        CHECK(!leader || zab->acked[i] <= zab->logged);
    }
    if (!leader) {
        return;
    }
    CHECK(zab->acked[zab->self] <= zab->stored);
    CHECK(zab->committed <= zab->stored);
    if (zab->role == ZAB_LEADING) {
        /* What is of an older epoch was committed by the taking-up of this
         * one. */
        CHECK(zab->initial <= zab->committed);
        CHECK(zxid_epoch(zab->logged) <= zab->epoch_current);
    }
    if (zab->phase == ZAB_PHASE_LEADING || zab->phase == ZAB_PHASE_DRAINING) {
        CHECK(zab->epoch == zab->epoch_current);
        CHECK((zab->leader_acks & zab_bit(zab->self)) != 0);
    }
}

static void check_learner(const struct zab *zab)
{
    bool learner = zab_is_learner(zab);

    for (size_t i = 0; i < zab->peers_count; i++) {
        const struct zab_peer *peer = &zab->peers[i];

        CHECK(!peer->up[PEER_LINK_LEADER] ||
              (learner && peer->id == zab->leader_id));
    }
    if (!learner) {
        CHECK(zab->snap != SNAP_RECEIVING);
        CHECK(zab->leader_epoch == 0);
        CHECK(zab->held.count == 0);
    }
    if (zab->taken_up) {
        CHECK(zab->epoch_current >= zab->leader_epoch || MUTATION(2));
        CHECK(zab->acked_sent <= zab->stored || MUTATION(1) || MUTATION(2));
    }
}

/* FNV-1a over words, and the upper half mixed into the lower. */
static void mix(uint64_t *hash, uint64_t value)
{
    *hash = (*hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    *hash ^= *hash >> 29;
}

/* How long ago, as far as it may matter. */
static void mix_age(uint64_t *hash, const struct zab *zab, uint64_t since,
                    uint64_t limit)
{
    uint64_t age = zab->ticks - since;

    mix(hash, age <= limit ? age : limit + 1);
}

static void mix_left(uint64_t *hash, const struct zab *zab, uint64_t until)
{
    mix(hash, until > zab->ticks ? until - zab->ticks : 0);
}

static void mix_own(uint64_t *hash, const struct zab *zab)
{
    mix(hash, zab->phase);
    mix(hash, zab->role);
    mix(hash, zab->leader_id);
    mix(hash, (uint64_t)zab->resigning << 1 | zab->recovering);
    mix(hash, (uint64_t)zab->epoch_accepted << 32 | zab->epoch_current);
    mix(hash, (uint64_t)zab->accepted_asked << 32 | zab->current_asked);
    mix(hash, zab->cluster_id[0]);
    mix(hash, zab->checkpoint);
    mix(hash, zab->log_base);
    mix(hash, zab->delivered);
    mix(hash, zab->committed);
    mix(hash, zab->stored);
    mix(hash, zab->logged);
    mix(hash, zab->history.before);
    for (size_t i = 0; i < zab->epoch_ends_count; i++) {
        mix(hash, zab->epoch_ends[i]);
    }
    mix(hash, zab->tree);
    mix(hash, zab->read_seq == 0 ? 0 : zab->read_until + 1);
    mix_vote(hash, &zab->vote);
    mix(hash, zab->round);
    if (zab->phase == ZAB_PHASE_ELECTION) {
        mix_age(hash, zab, zab->vote_since, ELECTION_WAIT_TICKS);
        mix(hash, zab->quorum_since);
        mix_left(hash, zab, zab->round_ends);
    }
    mix(hash, zab->snap);
    if (zab->snap != SNAP_NONE) {
        mix(hash, zab->snap_zxid);
        mix(hash, (uint64_t)zab->snap_number << 32 | zab->snap_durable);
    }
}

static void mix_ops(uint64_t *hash, const struct zab *zab)
{
    struct ring ops = zab->log_ops; /* ring_at() wants one that may change */

    mix(hash, ops.count);
    if (ops.count > 0) {
        mix_age(hash, zab, zab->disk_moved, zab->config.ticks_sync_max);
    }
    for (size_t i = 0; i < ops.count; i++) {
        const struct zab_log_op *op = ring_at(&ops, i);

        mix(hash, op->type);
        mix(hash, op->zxid);
        mix(hash, (uint64_t)op->epoch_accepted << 32 | op->epoch_current);
    }
}

static void mix_peer(uint64_t *hash, const struct zab *zab,
                     const struct zab_peer *peer)
{
    uint64_t up = 0;

    for (size_t i = 0; i < PEER_LINKS_COUNT; i++) {
        up = up << 1 | peer->up[i];
    }
    mix(hash, up << 4 | (uint64_t)peer->known << 3 |
                  (uint64_t)peer->blank << 2 | (uint64_t)peer->no_log << 1 |
                  peer->told);
    if (peer->known) {
        mix_vote(hash, &peer->vote);
        mix(hash, peer->round);
        mix(hash, peer->state);
    }
    mix_left(hash, zab, peer->shunned_until);
    mix(hash, peer->failures);
    mix(hash, peer->stage);
    if (peer->stage == LEARNER_NONE) {
        return;
    }
    mix(hash, (uint64_t)peer->fresh << 5 | (uint64_t)peer->voting << 4 |
                  (uint64_t)peer->in_place << 3 |
                  (uint64_t)peer->promised << 2 |
                  (uint64_t)peer->snap_needed << 1 | peer->snap_last);
    mix(hash, (uint64_t)peer->epoch_accepted << 32 | peer->link_epoch);
    mix_age(hash, zab, peer->heard, zab->config.ticks_sync_max);
    mix_age(hash, zab, peer->said, zab->config.ticks_heartbeat);
    mix_age(hash, zab, peer->progressed, zab->config.ticks_init_max);
    mix(hash, zab->round_sent - peer->pinged);
    mix(hash, zab->round_sent - peer->pong);
    mix(hash, peer->confirm > zab->round_done);
    mix(hash, peer->sent);
    mix(hash, peer->window);
    mix(hash, peer->committed_sent);
    mix(hash, peer->last);
    mix(hash, peer->piece);
    mix(hash, peer->read_seq != 0);
    mix(hash, (uint64_t)peer->chunks_sent << 32 | peer->chunks_acked);
    mix(hash, peer->snap_zxid);
}

static void mix_vote(uint64_t *hash, const struct zab_vote *vote)
{
    mix(hash, vote->candidate);
    mix(hash, vote->epoch);
    mix(hash, vote->zxid);
}

static void mix_leader(uint64_t *hash, const struct zab *zab)
{
    struct ring barriers = zab->barriers;

    mix(hash, (uint64_t)zab->epoch << 32 | zab->epoch_floor);
    mix(hash, zab->epoch_acks);
    mix(hash, zab->confirming);
    mix(hash, zab->leader_acks);
    for (size_t i = 0; i < zab->peers_count; i++) {
        mix(hash, zab->acked[i]);
    }
    mix(hash, zab->initial);
    mix(hash, zab->committed_told);
    mix(hash, (uint64_t)zab->epoch_chosen << 1 | zab->epoch_of_all);
    mix_age(hash, zab, zab->began, zab->config.ticks_init_max);
    mix(hash, zab->asked_once);
    mix(hash, zab->promised_once);
    mix_age(hash, zab, zab->in_place_at, EPOCH_IN_PLACE_TICKS);
    mix(hash, zab->resigned_to);
    if (zab->resigned_to != 0) {
        mix_age(hash, zab, zab->resigned_at, RESIGN_TICKS);
    }
    mix(hash, zab->round_sent - zab->round_done);
    mix(hash, barriers.count);
    for (size_t i = 0; i < barriers.count; i++) {
        const struct zab_barrier *barrier = ring_at(&barriers, i);

        mix(hash, barrier->place);
        mix(hash, barrier->round - zab->round_done);
    }
}

static void mix_learner(uint64_t *hash, const struct zab *zab)
{
    mix_age(hash, zab, zab->heard, zab->patience);
    mix_age(hash, zab, zab->progressed, zab->config.ticks_init_max);
    mix(hash, (uint64_t)zab->patience << 32 | zab->leader_epoch);
    mix(hash,
        (uint64_t)zab->ack_epoch_due << 5 | (uint64_t)zab->ack_leader_due << 4 |
            (uint64_t)zab->taken_up << 3 | (uint64_t)zab->up_to_date << 2 |
            (uint64_t)zab->ack_counted << 1 | zab->held_new_leader);
    mix(hash, zab->acked_sent);
    mix(hash, zab->serve_from);
    mix(hash, zab->held.count);
    mix(hash, zab->held.last);
}
