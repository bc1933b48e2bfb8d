/* Leader: a new epoch is promised by a quorum. The same for the first one of a
 * leadership and for one that follows in place. */
#include "base/check.h"
#include "zab/zab_internal.h"

static const uint8_t no_cluster[PEER_CLUSTER_ID_SIZE];

static void keep_synced(struct zab *zab, struct zab_effects *effects);
static void hear_all(struct zab *zab);
static void choose_epoch(struct zab *zab, struct zab_effects *effects);
static bool have_all_asked(const struct zab *zab);
static bool is_chosen(const struct zab *zab);
static void begin_anew(struct zab *zab, uint32_t above,
                       struct zab_effects *effects);
static void tell_epoch(struct zab *zab, uint64_t peers,
                       struct zab_effects *effects);
static void on_asked(struct zab *zab, size_t peer, struct zab_effects *effects);
static void moved_on(struct zab *zab, uint64_t *once, size_t peer);
static bool is_outdated(const struct zab_peer *learner,
                        const struct peer_msg *msg);
static const char *broken_ack_epoch(const struct zab *zab, size_t peer,
                                    const struct peer_msg *msg);
static bool is_ahead(const struct zab *zab, const struct peer_msg *msg);
static bool is_promised(const struct zab *zab);
static void confirm(struct zab *zab, struct zab_effects *effects);
static bool is_confirmed(const struct zab *zab);
static void end_discovery(struct zab *zab, struct zab_effects *effects);
static uint64_t following(const struct zab *zab);

void discovery_begin(struct zab *zab, struct zab_effects *effects)
{
    bool in_place = zab->phase == ZAB_PHASE_DRAINING;

    zab_move(zab, ZAB_PHASE_DISCOVERY);
    zab->leader_id = zab->config.self_id;
    zab->began = zab->ticks;
    zab->asked_once = 0;
    zab->promised_once = 0;
    zab->epoch_chosen = false;
    zab->epoch_acks = 0;
    zab->confirming = 0;
    zab->leader_acks = 0;
    memset(zab->acked, 0, sizeof(zab->acked));
    if (memcmp(zab->cluster_id, no_cluster, sizeof(no_cluster)) == 0) {
        memcpy(zab->cluster_id, zab->config.entropy, sizeof(zab->cluster_id));
    }
    if (in_place) {
        zab->in_place_at = zab->ticks;
        keep_synced(zab, effects);
    } else {
        hear_all(zab);
        /* What we were told and do not have on disk is committed by the
         * taking-up of our epoch, like the rest of our log. */
        zab->committed = zab_deliverable(zab);
        zab->committed_told = zab->committed;
    }
    choose_epoch(zab, effects);
}

void discovery_on_link(struct zab *zab, size_t peer, bool up,
                       struct zab_effects *effects)
{
    struct zab_peer *learner = &zab->peers[peer];

    sync_forget(zab, peer, effects);
    if (up) {
        learner->heard = zab->ticks;
        learner->said = zab->ticks;
        learner->progressed = zab->ticks;
    }
}

/* It may come before we know that we lead, and is kept until we do. */
void discovery_on_follower_info(struct zab *zab, size_t peer,
                                const struct peer_msg *msg,
                                struct zab_effects *effects)
{
    struct zab_peer *learner = &zab->peers[peer];

    if (learner->stage != LEARNER_NONE) {
        zab_drop_peer(zab, PEER_LINK_LEARNER, peer, "asked to follow twice",
                      effects);
        return;
    }
    if (msg->epoch == UINT32_MAX) {
        zab_drop_peer(zab, PEER_LINK_LEARNER, peer,
                      "promised the last epoch that there is", effects);
        return;
    }
    learner->stage = LEARNER_ASKED;
    learner->voting = learner->voter && msg->follower_info.voting;
    learner->fresh = msg->follower_info.epoch_current == 0;
    if (learner->fresh && is_chosen(zab) && !zab->epoch_of_all) {
        learner->voting = false;
    }
    learner->epoch_accepted = msg->epoch;
    learner->confirm = zab->round_sent + 1;
    learner->progressed = zab->ticks;
    on_asked(zab, peer, effects);
}

void discovery_on_ack_epoch(struct zab *zab, size_t peer,
                            const struct peer_msg *msg,
                            struct zab_effects *effects)
{
    struct zab_peer *learner = &zab->peers[peer];
    const char *broken;

    if (is_outdated(learner, msg)) {
        return;
    }
    broken = broken_ack_epoch(zab, peer, msg);
    if (broken != NULL) {
        zab_drop_peer(zab, PEER_LINK_LEARNER, peer, broken, effects);
        return;
    }
    if (zab->phase == ZAB_PHASE_DISCOVERY && learner->voting &&
        is_ahead(zab, msg)) {
        ZAB_MARK(zab, LEADER_BEHIND);
        zab_look(zab, "a voter has a later history", effects);
        return;
    }
    learner->promised = true;
    learner->progressed = zab->ticks;
    moved_on(zab, &zab->promised_once, peer);
    if (learner->voting && msg->ack_epoch.counted) {
        zab->epoch_acks |= zab_bit(peer);
    }
    sync_begin(zab, peer, msg, effects);
    discovery_go_on(zab, effects);
}

void discovery_go_on(struct zab *zab, struct zab_effects *effects)
{
    if (!is_promised(zab)) {
        return;
    }
    if (!quorum_holds(&zab->quorum, zab->confirming)) {
        confirm(zab, effects);
    }
    if (is_confirmed(zab)) {
        end_discovery(zab, effects);
    }
}

/* Those that promised since are not waited for, unless somebody is silent. */
void discovery_on_tick(struct zab *zab, struct zab_effects *effects)
{
    if (is_promised(zab) && (zab->epoch_acks & ~zab->confirming) != 0) {
        confirm(zab, effects);
    }
}

/* Our own promise, then our own taking-up, is durable. */
void discovery_on_epochs(struct zab *zab, const struct zab_log_op *op,
                         struct zab_effects *effects)
{
    if (zab->phase == ZAB_PHASE_DISCOVERY && zab->epoch_chosen &&
        op->epoch_accepted == zab->epoch) {
        zab->epoch_acks |= zab_bit(zab->self);
        discovery_go_on(zab, effects);
    } else if (zab->phase == ZAB_PHASE_SYNC &&
               op->epoch_current == zab->epoch) {
        zab->leader_acks |= zab_bit(zab->self);
        leader_establish(zab, effects);
    }
}

/* Those that have all of our history go on as they are; who was on the way
 * there comes again. Who has only asked is why we are here, or comes next. */
static void keep_synced(struct zab *zab, struct zab_effects *effects)
{
    for (size_t i = 0; i < zab->peers_count; i++) {
        struct zab_peer *learner = &zab->peers[i];

        if (learner->stage == LEARNER_SYNCED) {
            learner->stage = LEARNER_ASKED;
            learner->in_place = true;
            learner->fresh = false;
            learner->epoch_accepted = zab->epoch;
            learner->read_seq = 0; /* it goes on when it has taken it up */
        } else if (learner->stage > LEARNER_ASKED) {
            zab_drop_peer(zab, PEER_LINK_LEARNER, i,
                          "the epoch changes in place", effects);
        }
    }
}

/* Nobody spoke with those that came before we knew that we lead. */
static void hear_all(struct zab *zab)
{
    for (size_t i = 0; i < zab->peers_count; i++) {
        zab->peers[i].heard = zab->ticks;
        zab->peers[i].progressed = zab->ticks;
    }
}

/* With a quorum of voting ones: above all that any of them has promised. Those
 * that vote in the first election may have lost a promise with their disk: they
 * count when all voters have asked, and the epoch is above all of theirs. */
static void choose_epoch(struct zab *zab, struct zab_effects *effects)
{
    bool all = have_all_asked(zab);
    bool fresh = all || zab->config.bootstrap || MUTATION(34);
    uint64_t asked = 0, voting = 0;
    uint32_t highest = zab->accepted_asked;

    if (!zab_blank(zab) || fresh) {
        voting |= zab_bit(zab->self);
    }
    if (highest < zab->epoch_floor) {
        highest = zab->epoch_floor;
    }
    for (size_t i = 0; i < zab->peers_count; i++) {
        const struct zab_peer *learner = &zab->peers[i];
        bool counts = learner->voting && (!learner->fresh || fresh);

        if (learner->stage == LEARNER_NONE) {
            continue;
        }
        asked |= zab_bit(i);
        if (counts) {
            voting |= zab_bit(i);
        }
        if (learner->voter && highest < learner->epoch_accepted) {
            highest = learner->epoch_accepted;
        }
    }
    if (!quorum_holds(&zab->quorum, voting)) {
        return;
    }
    if (highest == UINT32_MAX) {
        zab_damaged(zab, "no epoch is left", effects);
        return;
    }
    zab->epoch = highest + 1;
    zab->epoch_chosen = true;
    zab->epoch_of_all = fresh;
    for (size_t i = 0; i < zab->peers_count; i++) {
        zab->peers[i].voting = (voting & zab_bit(i)) != 0;
    }
    zab_store_epochs(zab, zab->epoch, zab->current_asked, effects);
    tell_epoch(zab, asked, effects);
}

static bool have_all_asked(const struct zab *zab)
{
    for (size_t i = 0; i < zab->peers_count; i++) {
        if (zab->peers[i].voter && i != zab->self &&
            zab->peers[i].stage == LEARNER_NONE) {
            return false;
        }
    }
    return true;
}

static bool is_chosen(const struct zab *zab)
{
    return zab_is_leader(zab) &&
           (zab->phase != ZAB_PHASE_DISCOVERY || zab->epoch_chosen);
}

/* One of them has promised this epoch, or a later one, to somebody else. */
static void begin_anew(struct zab *zab, uint32_t above,
                       struct zab_effects *effects)
{
    ZAB_MARK(zab, EPOCH_RACE);
    zab->epoch_floor = above;
    zab->epoch_chosen = false;
    zab->epoch_acks = 0;
    zab->confirming = 0;
    for (size_t i = 0; i < zab->peers_count; i++) {
        if (zab->peers[i].stage == LEARNER_PROMISING) {
            zab->peers[i].stage = LEARNER_ASKED;
        }
    }
    choose_epoch(zab, effects);
}

static void tell_epoch(struct zab *zab, uint64_t peers,
                       struct zab_effects *effects)
{
    struct peer_msg *msg;

    if (peers == 0) {
        return;
    }
    for (size_t i = 0; i < zab->peers_count; i++) {
        if ((peers & zab_bit(i)) != 0) {
            zab->peers[i].stage = LEARNER_PROMISING;
            zab->peers[i].link_epoch = zab->epoch;
            zab->peers[i].promised = false;
            zab->peers[i].progressed = zab->ticks;
        }
    }
    msg = zab_send(zab, PEER_LINK_LEARNER, peers, PEER_NEW_EPOCH, effects);
    msg->epoch = zab->epoch;
    memcpy(msg->new_epoch.cluster_id, zab->cluster_id,
           sizeof(msg->new_epoch.cluster_id));
}

static void on_asked(struct zab *zab, size_t peer, struct zab_effects *effects)
{
    const struct zab_peer *learner = &zab->peers[peer];
    uint32_t accepted = learner->epoch_accepted;

    if (!zab_is_leader(zab)) {
        return;
    }
    if (zab->phase == ZAB_PHASE_DISCOVERY) {
        moved_on(zab, &zab->asked_once, peer);
        if (!zab->epoch_chosen) {
            choose_epoch(zab, effects);
        } else if (accepted > zab->epoch
                       ? learner->voter
                       : accepted == zab->epoch && learner->voting) {
            begin_anew(zab, accepted, effects);
        } else {
            tell_epoch(zab, zab_bit(peer), effects);
        }
        return;
    }
    if (learner->voter && accepted > zab->epoch) {
        /* It would not follow this epoch. Needed for one that is not taken up
         * yet, it makes us begin again; else it waits for the next one. */
        if (zab->epoch_floor < accepted) {
            zab->epoch_floor = accepted;
        }
        if (zab->phase == ZAB_PHASE_SYNC &&
            !quorum_holds(&zab->quorum, following(zab))) {
            ZAB_MARK(zab, EPOCH_RACE);
            zab_look(zab, "a voter has promised a later epoch", effects);
        } else {
            leader_go_on(zab, effects);
        }
    } else { /* also while draining: it may be needed for that */
        tell_epoch(zab, zab_bit(peer), effects);
    }
}

/* One that comes and goes, and comes again, moves nothing on. */
static void moved_on(struct zab *zab, uint64_t *once, size_t peer)
{
    if ((*once & zab_bit(peer)) == 0) {
        *once |= zab_bit(peer);
        zab->began = zab->ticks;
    }
}

/* Discovery has begun anew while it was on its way. */
static bool is_outdated(const struct zab_peer *learner,
                        const struct peer_msg *msg)
{
    if (learner->stage == LEARNER_ASKED) {
        return msg->epoch <= learner->link_epoch;
    }
    return learner->stage == LEARNER_PROMISING &&
           msg->epoch < learner->link_epoch;
}

/* NULL, or what is wrong with it. */
static const char *broken_ack_epoch(const struct zab *zab, size_t peer,
                                    const struct peer_msg *msg)
{
    const struct zab_peer *learner = &zab->peers[peer];
    zxid_t before = 0;

    if (learner->stage != LEARNER_PROMISING || learner->promised) {
        return "promised unasked";
    }
    if (msg->epoch != zab->epoch) {
        return "promised another epoch";
    }
    for (uint32_t i = 0; i < msg->ack_epoch.epoch_ends_count; i++) {
        zxid_t end = msg->ack_epoch.epoch_ends[i];

        if (zxid_epoch(end) <= zxid_epoch(before) || end > msg->zxid) {
            return "a history out of order";
        }
        before = end;
    }
    if (msg->ack_epoch.checkpoint > msg->zxid) {
        return "a history that ends before it begins";
    }
    if (learner->in_place && msg->zxid != learner->sent) {
        return "a history that is not what was sent";
    }
    return NULL;
}

static bool is_ahead(const struct zab *zab, const struct peer_msg *msg)
{
    if (msg->ack_epoch.epoch_current != zab->current_asked) {
        return msg->ack_epoch.epoch_current > zab->current_asked;
    }
    return msg->zxid > zab->logged;
}

/* A quorum has promised, we are in it, and none of it has more than we. */
static bool is_promised(const struct zab *zab)
{
    return zab->phase == ZAB_PHASE_DISCOVERY && zab->epoch_chosen &&
           (zab->epoch_acks & zab_bit(zab->self)) != 0 &&
           quorum_holds(&zab->quorum, zab->epoch_acks);
}

/* One of them may have lost its promise with its disk, have come back with a
 * copy of another leader's, and have helped that one to commit what we do not
 * have, all while we stood still and its old promise lay before us unread. So
 * each is asked once more when all are there: whoever answers, on the link on
 * which it promised, still had its promise then. */
static void confirm(struct zab *zab, struct zab_effects *effects)
{
    zab->round_sent++;
    zab->confirming = zab->epoch_acks;
    for (size_t i = 0; i < zab->peers_count; i++) {
        if ((zab->confirming & zab_bit(i)) != 0) {
            zab->peers[i].pinged = zab->round_sent;
        }
    }
    barrier_ping(zab, zab->confirming & ~zab_bit(zab->self), zab->epoch,
                 zab->round_sent, effects);
}

static bool is_confirmed(const struct zab *zab)
{
    uint64_t answered = zab_bit(zab->self);

    for (size_t i = 0; i < zab->peers_count; i++) {
        if ((zab->confirming & zab_bit(i)) != 0 &&
            zab->peers[i].pong >= zab->round_sent) {
            answered |= zab_bit(i);
        }
    }
    return quorum_holds(&zab->quorum, answered);
}

/* Ours is the history of this epoch. */
static void end_discovery(struct zab *zab, struct zab_effects *effects)
{
    zab->round_done = zab->round_sent;
    zab->confirming = 0;
    zab_move(zab, ZAB_PHASE_SYNC);
    zab->began = zab->ticks;
    zab->initial = zab->logged;
    zab_store_epochs(zab, zab->accepted_asked, zab->epoch, effects);
    for (size_t i = 0; i < zab->peers_count; i++) {
        if (zab->peers[i].stage == LEARNER_PROMISING &&
            zab->peers[i].promised) {
            sync_start(zab, i, effects);
        }
    }
}

/* Voting ones that have been told our epoch, and ourselves. */
static uint64_t following(const struct zab *zab)
{
    uint64_t mask = zab_bit(zab->self);

    for (size_t i = 0; i < zab->peers_count; i++) {
        if (zab->peers[i].voting && zab->peers[i].stage > LEARNER_ASKED) {
            mask |= zab_bit(i);
        }
    }
    return mask;
}
