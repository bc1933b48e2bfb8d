/* Leader: proposes, counts acks, commits, says what is certain, and hears
 * whether it still leads.
 *
 * Its own promise, its own taking-up and its own acks count like any other's:
 * when its disk says so, not sooner. */
#include "base/check.h"
#include "zab/zab_internal.h"

static void count_proposal(struct zab_counts *counts, size_t bytes);
static void broadcast(struct zab *zab, zxid_t before, struct blob *proposal,
                      struct zab_effects *effects);
static const char *broken_ack(const struct zab_peer *learner,
                              const struct peer_msg *msg);
static void commit(struct zab *zab);
static zxid_t highest_ack(const struct zab *zab);
static bool is_wanted(const struct zab *zab);
static void drain(struct zab *zab);
static void hand_over(struct zab *zab, struct zab_effects *effects);
static void leave(struct zab *zab, struct zab_effects *effects);
static uint64_t successor(const struct zab *zab);
static void drop_silent(struct zab *zab, struct zab_effects *effects);
static const char *silence_of(const struct zab *zab,
                              const struct zab_peer *learner);
static const char *lost(struct zab *zab);
static bool waits_for_disk(const struct zab *zab);
static bool hears_quorum(const struct zab *zab);
static bool is_outvoted(const struct zab *zab);
static bool is_overtaken(const struct zab *zab);
static void heartbeats(struct zab *zab, struct zab_effects *effects);

/* If a quorum, we in it, has taken up the epoch: all that stands in our log is
 * its initial history, and committed. */
void leader_establish(struct zab *zab, struct zab_effects *effects)
{
    uint64_t taken_up = 0;

    if ((zab->leader_acks & zab_bit(zab->self)) == 0 ||
        !quorum_holds(&zab->quorum, zab->leader_acks)) {
        return;
    }
    zab_move(zab, ZAB_PHASE_LEADING);
    CHECK(zab->stored >= zab->initial);
    zab->began = zab->ticks;
    if (zab->committed < zab->initial) {
        ZAB_MARK(zab, UNCOMMITTED_TAIL_KEPT);
        zab->committed = zab->initial;
    }
    zab->committed_told = zab->committed;
    for (size_t i = 0; i < zab->peers_count; i++) {
        struct zab_peer *learner = &zab->peers[i];

        if (learner->stage == LEARNER_TAKEN_UP) {
            taken_up |= zab_bit(i);
            /* A blank one has a whole copy now. */
            learner->voting = learner->voter;
            if (learner->voting && !MUTATION(31)) {
                zab->acked[i] = learner->window;
            }
        }
    }
    zab_set_role(zab, ZAB_LEADING, "a quorum has taken up the epoch", effects);
    sync_up_to_date(zab, taken_up, effects);
    for (size_t i = 0; i < zab->peers_count; i++) {
        sync_pump(zab, i, effects); /* a blank one may have waited for it */
    }
    leader_go_on(zab, effects);
}

void leader_on_propose(struct zab *zab, struct blob *proposal,
                       struct zab_effects *effects)
{
    zxid_t before = zab->logged;

    CHECK(proposal != NULL);
    count_proposal(&zab->counts, blob_bytes(proposal).len);
    zab_append(zab, zab_next_zxid(zab), blob_ref(proposal), effects);
    broadcast(zab, before, proposal, effects);
    if (zxid_counter(zab->logged) >= zab->config.counter_max && !MUTATION(22)) {
        ZAB_MARK(zab, EPOCH_IN_PLACE_COUNTER);
        drain(zab);
    }
}

void leader_on_ack(struct zab *zab, size_t peer, const struct peer_msg *msg,
                   struct zab_effects *effects)
{
    struct zab_peer *learner = &zab->peers[peer];
    const char *broken = broken_ack(learner, msg);

    if (broken != NULL) {
        zab_drop_peer(zab, PEER_LINK_LEARNER, peer, broken, effects);
        return;
    }
    if (learner->window < msg->zxid) {
        learner->window = msg->zxid;
        learner->progressed = zab->ticks;
        if (zab->role != ZAB_LEADING) {
            zab->began = zab->ticks;
        }
    }
    if (leader_counts(learner) || (MUTATION(5) && learner->voting)) {
        zab->acked[peer] = learner->window;
        leader_go_on(zab, effects);
    }
    if (learner->stage >= LEARNER_STREAM) {
        sync_pump(zab, peer, effects);
    }
}

void leader_on_pong(struct zab *zab, size_t peer, const struct peer_msg *msg,
                    struct zab_effects *effects)
{
    struct zab_peer *learner = &zab->peers[peer];

    if (msg->epoch > learner->link_epoch ||
        msg->ping.number > learner->pinged) {
        zab_drop_peer(zab, PEER_LINK_LEARNER, peer,
                      "answered what it was not asked", effects);
        return;
    }
    if (learner->pong < msg->ping.number) {
        learner->pong = msg->ping.number;
        discovery_go_on(zab, effects);
        leader_go_on(zab, effects);
    }
}

void leader_on_tick(struct zab *zab, struct zab_effects *effects)
{
    const char *why;

    drop_silent(zab, effects);
    why = lost(zab);
    if (why != NULL) {
        zab_look(zab, why, effects);
        return;
    }
    discovery_on_tick(zab, effects);
    leader_go_on(zab, effects);
    if (zab_is_leader(zab)) {
        heartbeats(zab, effects);
    }
}

void leader_on_resign(struct zab *zab, struct zab_effects *effects)
{
    zab->resigning = true;
    if (zab->role == ZAB_LEADING) {
        leader_go_on(zab, effects);
    } else {
        zab_look(zab, "told to resign", effects);
    }
}

void leader_on_hang_up(struct zab *zab, struct zab_effects *effects)
{
    if (zab->resigned_to != 0) {
        leave(zab, effects);
    }
}

void leader_go_on(struct zab *zab, struct zab_effects *effects)
{
    if (zab->phase == ZAB_PHASE_LEADING || zab->phase == ZAB_PHASE_DRAINING ||
        (MUTATION(5) && zab->phase == ZAB_PHASE_SYNC)) {
        commit(zab);
    }
    zab_deliver_committed(zab, effects);
    leader_end_barriers(zab, zab->delivered, effects);
    if (zab->phase == ZAB_PHASE_LEADING && zab->resigning) {
        drain(zab);
    } else if (zab->phase == ZAB_PHASE_LEADING && is_wanted(zab)) {
        ZAB_MARK(zab, EPOCH_IN_PLACE_VOTER);
        drain(zab);
    }
    if (zab->phase == ZAB_PHASE_LEADING || zab->phase == ZAB_PHASE_DRAINING) {
        barrier_run_rounds(zab, effects);
    }
    if (zab->phase == ZAB_PHASE_DRAINING && zab->delivered == zab->logged) {
        if (!zab->resigning) {
            discovery_begin(zab, effects);
        } else if (zab->resigned_to != 0) {
            leave(zab, effects);
        } else if (zab->barriers.count == 0) {
            hand_over(zab, effects);
        }
    }
}

/* A learner whose stream is behind hears of it when it gets there. */
void leader_tell_committed(struct zab *zab, zxid_t zxid,
                           struct zab_effects *effects)
{
    zxid_t before = zab->committed_told;
    uint64_t voters = 0, observers = 0;
    struct peer_msg *msg;
    size_t bytes;

    if (zxid <= before) {
        return;
    }
    zab->committed_told = zxid;
    if (zab->peers_count == 1) {
        return; /* nobody is to be told */
    }
    bytes = history_bytes(&zab->history, before, zxid);
    for (size_t i = 0; i < zab->peers_count; i++) {
        struct zab_peer *learner = &zab->peers[i];

        if (learner->voter && learner->stage >= LEARNER_TAKING_UP &&
            learner->sent >= zxid && learner->committed_sent < zxid) {
            learner->committed_sent = zxid;
            voters |= zab_bit(i);
        } else if (!learner->voter && learner->stage == LEARNER_SYNCED &&
                   learner->sent == before && bytes != SIZE_MAX &&
                   sync_window_open(zab, i, bytes)) {
            observers |= zab_bit(i);
        }
    }
    if (voters != 0) {
        msg = zab_send(zab, PEER_LINK_LEARNER, voters, PEER_COMMIT, effects);
        msg->epoch = zab->epoch;
        msg->zxid = zxid;
    }
    if (observers != 0) {
        sync_inform(zab, observers, zxid, effects);
    }
    for (size_t i = 0; i < zab->peers_count; i++) {
        sync_pump(zab, i, effects);
    }
}

bool leader_counts(const struct zab_peer *learner)
{
    return learner->voting && learner->stage >= LEARNER_TAKEN_UP;
}

void leader_end(struct zab *zab, const char *why, struct zab_effects *effects)
{
    for (size_t i = 0; i < zab->peers_count; i++) {
        zab_drop_peer(zab, PEER_LINK_LEARNER, i, why, effects);
    }
    if (zab->barriers.count > 0) {
        ZAB_MARK(zab, BARRIER_VOID);
    }
    while (zab->barriers.count > 0) {
        ring_pop(&zab->barriers);
    }
    zab->round_done = zab->round_sent;
    zab->resigned_to = 0;
    zab->epoch_chosen = false;
    zab->epoch_acks = 0;
    zab->confirming = 0;
    zab->leader_acks = 0;
    memset(zab->acked, 0, sizeof(zab->acked));
}

static void count_proposal(struct zab_counts *counts, size_t bytes)
{
    counts->proposals++;
    counts->proposal_size_last = bytes;
    if (bytes < counts->proposal_size_min || counts->proposal_size_min == 0) {
        counts->proposal_size_min = bytes;
    }
    if (bytes > counts->proposal_size_max) {
        counts->proposal_size_max = bytes;
    }
}

/* To those whose stream is at the end; the others get there by their pump. */
static void broadcast(struct zab *zab, zxid_t before, struct blob *proposal,
                      struct zab_effects *effects)
{
    size_t bytes = blob_bytes(proposal).len;
    struct peer_msg *msg;
    uint64_t peers = 0;

    for (size_t i = 0; i < zab->peers_count; i++) {
        struct zab_peer *learner = &zab->peers[i];

        if (learner->stage == LEARNER_SNAP) {
            ZAB_MARK(zab, SNAP_DURING_COMMITS);
        }
        if (!learner->voter || learner->stage < LEARNER_TAKING_UP ||
            learner->sent != before) {
            continue;
        }
        if (sync_window_open(zab, i, bytes)) {
            learner->sent = zab->logged;
            peers |= zab_bit(i);
        } else {
            ZAB_MARK(zab, LEARNER_SLOW);
        }
    }
    if (peers == 0) {
        return;
    }
    msg = zab_send(zab, PEER_LINK_LEARNER, peers, PEER_PROPOSE, effects);
    msg->epoch = zab->epoch;
    msg->zxid = zab->logged;
    msg->payloads = zab_payloads(zab, 1);
    msg->payloads[0] = blob_ref(proposal);
    msg->payloads_count = 1;
}

/* NULL, or what is wrong with it. In place ACKs of the epoch before may still
 * be on their way. */
static const char *broken_ack(const struct zab_peer *learner,
                              const struct peer_msg *msg)
{
    bool streams =
        learner->stage >= LEARNER_STREAM && msg->epoch == learner->link_epoch;
    bool of_before = learner->in_place && msg->epoch <= learner->link_epoch;

    if (!streams && !of_before) {
        return "an acknowledgement out of place";
    }
    if (msg->zxid > learner->sent) {
        return "acknowledged what it was not sent";
    }
    return NULL;
}

/* What is of an older epoch is committed by the taking-up of this one, never by
 * counting (Zab's phase 3 begins with its quorum). And what is delivered here
 * is on our own disk first. */
static void commit(struct zab *zab)
{
    zxid_t zxid;

    if ((zab->leader_acks & zab_bit(zab->self)) != 0 || MUTATION(5)) {
        zab->acked[zab->self] = zab->stored;
    }
    zxid = quorum_acked(&zab->quorum, zab->acked);
    if (MUTATION(25)) {
        zxid = highest_ack(zab);
    }
    if (zxid > zab->stored) {
        zxid = zab->stored;
    }
    if (zxid > zab->committed &&
        ((zxid_epoch(zxid) == zab->epoch && zxid_counter(zxid) > 0) ||
         MUTATION(5))) {
        zab->counts.commits += zab_count_between(zab->committed, zxid);
        zab->committed = zxid;
    }
}

/* As if each proposal were counted apart, and one before it need not have a
 * quorum. */
static zxid_t highest_ack(const struct zab *zab)
{
    zxid_t highest = quorum_acked(&zab->quorum, zab->acked);

    for (size_t i = 0; i < zab->peers_count; i++) {
        if (i != zab->self && zab->acked[i] > highest) {
            highest = zab->acked[i];
        }
    }
    return highest;
}

/* A voter waits that has promised a later epoch than ours: nobody is to be
 * locked out, and nobody is to stop proposals all the time. */
static bool is_wanted(const struct zab *zab)
{
    if (zab->in_place_at != 0 &&
        zab->ticks - zab->in_place_at < EPOCH_IN_PLACE_TICKS) {
        return false;
    }
    for (size_t i = 0; i < zab->peers_count; i++) {
        const struct zab_peer *learner = &zab->peers[i];

        if (learner->stage == LEARNER_ASKED && learner->voter &&
            learner->epoch_accepted > zab->epoch) {
            return true;
        }
    }
    return false;
}

/* No more proposals; when all is delivered, an epoch in place, or resign. */
static void drain(struct zab *zab)
{
    zab_move(zab, ZAB_PHASE_DRAINING);
}

static void hand_over(struct zab *zab, struct zab_effects *effects)
{
    uint64_t peers = 0;
    struct peer_msg *msg;

    for (size_t i = 0; i < zab->peers_count; i++) {
        if (zab->peers[i].stage >= LEARNER_PROMISING) {
            peers |= zab_bit(i);
        }
    }
    if (peers != 0) {
        msg = zab_send(zab, PEER_LINK_LEARNER, peers, PEER_RESIGN, effects);
        msg->epoch = zab->epoch;
        msg->resign.successor = successor(zab);
    }
    zab->resigned_to = peers;
    zab->resigned_at = zab->ticks;
    leave(zab, effects);
}

/* Who has heard of it hangs up. Did we, a reset could overtake the message: of
 * those that miss it the successor is not followed, and all wait for time-outs.
 */
static void leave(struct zab *zab, struct zab_effects *effects)
{
    for (size_t i = 0; i < zab->peers_count; i++) {
        if ((zab->resigned_to & zab_bit(i)) != 0 &&
            zab->peers[i].up[PEER_LINK_LEARNER] &&
            zab->ticks - zab->resigned_at < RESIGN_TICKS) {
            return;
        }
    }
    ZAB_MARK(zab, RESIGNED);
    zab_look(zab, "resigned", effects);
}

/* The voter that has most; 0: none. */
static uint64_t successor(const struct zab *zab)
{
    const struct zab_peer *best = NULL;

    for (size_t i = 0; i < zab->peers_count; i++) {
        const struct zab_peer *learner = &zab->peers[i];

        if (learner->voting && learner->stage == LEARNER_SYNCED &&
            (best == NULL || learner->window > best->window)) {
            best = learner;
        }
    }
    return best == NULL ? 0 : best->id;
}

static void drop_silent(struct zab *zab, struct zab_effects *effects)
{
    for (size_t i = 0; i < zab->peers_count; i++) {
        const char *why;

        if (!zab->peers[i].up[PEER_LINK_LEARNER]) {
            continue;
        }
        why = silence_of(zab, &zab->peers[i]);
        if (why != NULL) {
            ZAB_MARK(zab, LEARNER_SILENT);
            zab_drop_peer(zab, PEER_LINK_LEARNER, i, why, effects);
        }
    }
}

/* NULL, or why it is dropped. What waits for us is not held against it. */
static const char *silence_of(const struct zab *zab,
                              const struct zab_peer *learner)
{
    bool waits = learner->stage == LEARNER_ASKED ||
                 learner->stage >= LEARNER_TAKEN_UP ||
                 (learner->stage == LEARNER_PROMISING && learner->promised) ||
                 learner->read_seq != 0;

    if (zab->ticks - learner->heard > zab->config.ticks_sync_max) {
        return "silent";
    }
    if (!waits &&
        zab->ticks - learner->progressed > zab->config.ticks_init_max) {
        return "its synchronization does not progress";
    }
    return NULL;
}

/* NULL, or why we lead no longer. */
static const char *lost(struct zab *zab)
{
    uint64_t since = zab->ticks - zab->began;
    bool leads =
        zab->phase == ZAB_PHASE_LEADING || zab->phase == ZAB_PHASE_DRAINING;

    if (zab->resigned_to != 0) {
        return NULL; /* leave() ends it */
    }
    if (zab->role == ZAB_LEADING ? is_outvoted(zab) : is_overtaken(zab)) {
        ZAB_MARK(zab, OUTVOTED);
        return "a later epoch is established";
    }
    if ((leads || since > zab->config.ticks_leader_timeout) &&
        !hears_quorum(zab)) {
        ZAB_MARK(zab, CHECK_QUORUM);
        return "no quorum is heard";
    }
    /* It hears everybody and commits nothing (ZOOKEEPER-2247). */
    if (zab_disk_stands_still(zab)) {
        return "our disk stands still";
    }
    if (leads || waits_for_disk(zab)) {
        return NULL;
    }
    /* In place, clients wait for us. */
    if (since > (zab->role == ZAB_LEADING ? zab->config.ticks_leader_timeout
                                          : zab->config.ticks_init_max)) {
        return "no quorum takes up the epoch";
    }
    return NULL;
}

/* All that is missing for the next phase is our own disk. */
static bool waits_for_disk(const struct zab *zab)
{
    uint64_t acks =
        zab->phase == ZAB_PHASE_DISCOVERY ? zab->epoch_acks : zab->leader_acks;

    return quorum_holds(&zab->quorum, acks | zab_bit(zab->self));
}

/* One that has only asked to follow, as it has promised a later epoch than
 * ours, is no help: nothing is committed with it. */
static bool hears_quorum(const struct zab *zab)
{
    uint64_t heard = zab_bit(zab->self);

    for (size_t i = 0; i < zab->peers_count; i++) {
        const struct zab_peer *learner = &zab->peers[i];

        if (learner->up[PEER_LINK_LEARNER] &&
            zab->ticks - learner->heard <= zab->config.ticks_leader_timeout &&
            (zab->phase == ZAB_PHASE_DISCOVERY ||
             learner->stage != LEARNER_ASKED) &&
            (zab->phase != ZAB_PHASE_SYNC || learner->stage > LEARNER_ASKED)) {
            heard |= zab_bit(i);
        }
    }
    return quorum_holds(&zab->quorum, heard);
}

/* By what they say on the election links. */
static bool is_outvoted(const struct zab *zab)
{
    uint64_t elsewhere = 0;

    for (size_t i = 0; i < zab->peers_count; i++) {
        const struct zab_peer *peer = &zab->peers[i];

        if (!peer->known || peer->state == PEER_LOOKING ||
            peer->vote.candidate == zab->config.self_id ||
            peer->vote.epoch <= zab->epoch) {
            continue;
        }
        if (peer->state == PEER_ESTABLISHED && peer->voter) {
            return true;
        }
        elsewhere |= zab_bit(i);
    }
    return quorum_holds(&zab->quorum, elsewhere);
}

/* While we gather promises somebody else leads already, in an epoch that none
 * of ours is above: his followers are not ours to be. An old leader, which may
 * be frozen, is of an epoch that we had accepted before. */
static bool is_overtaken(const struct zab *zab)
{
    uint64_t ours = (uint64_t)zab->accepted_asked + !zab->epoch_chosen;

    for (size_t i = 0; i < zab->peers_count; i++) {
        const struct zab_peer *peer = &zab->peers[i];

        if (i != zab->self && peer->known && peer->voter &&
            peer->state == PEER_ESTABLISHED && peer->vote.epoch >= ours) {
            return true;
        }
    }
    return false;
}

/* To whom nothing was said for so long, and to whom we speak and who does not
 * answer. */
static void heartbeats(struct zab *zab, struct zab_effects *effects)
{
    uint32_t wait = zab->config.ticks_heartbeat;
    uint64_t peers = 0;

    for (size_t i = 0; i < zab->peers_count; i++) {
        struct zab_peer *learner = &zab->peers[i];
        bool idle = zab->ticks - learner->said >= wait;
        bool dumb = zab->ticks - learner->heard >= wait &&
                    zab->ticks - learner->pinged_at >= wait;

        if (!learner->up[PEER_LINK_LEARNER] || (!idle && !dumb)) {
            continue;
        }
        if (learner->link_epoch == zab->epoch) {
            peers |= zab_bit(i);
        } else {
            barrier_ping(zab, zab_bit(i), learner->link_epoch, 0, effects);
        }
    }
    barrier_ping(zab, peers, zab->epoch, 0, effects);
}
