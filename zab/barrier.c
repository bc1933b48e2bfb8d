/* Leader: what is certain. A barrier is a place between two proposals; it is
 * done when all before it is delivered here and a quorum was heard to follow us
 * after it was taken: by acks of what was proposed since, or by a round of
 * PINGs. */
#include "base/check.h"
#include "zab/zab_internal.h"

/* How a barrier has become certain. */
enum proof { PROOF_NONE, PROOF_ALONE, PROOF_ACK, PROOF_PONG };

static void join_barriers(struct zab *zab);
static enum proof proof_of(const struct zab *zab,
                           const struct zab_barrier *barrier);
static bool is_copied(const struct zab *zab);
static bool round_is_over(const struct zab *zab);

void leader_on_barrier(struct zab *zab, uint64_t number,
                       struct zab_effects *effects)
{
    /* A round that is out already began before it. */
    struct zab_barrier barrier = {number, zab->logged, zab->round_sent + 1};
    size_t count = zab->barriers.count;
    struct zab_barrier *last = NULL;

    CHECK(number > 0);
    if (count > 0) {
        last = ring_at(&zab->barriers, count - 1);
        CHECK(number > last->number);
    }
    if (last != NULL && last->place == barrier.place &&
        last->round == barrier.round) {
        last->number = number; /* done up to a number: they are one */
    } else if (!ring_push(&zab->barriers, &barrier)) {
        bool pushed;

        join_barriers(zab);
        pushed = ring_push(&zab->barriers, &barrier);
        CHECK(pushed);
    }
    leader_go_on(zab, effects);
}

void leader_end_barriers(struct zab *zab, zxid_t place,
                         struct zab_effects *effects)
{
    const struct zab_barrier *first;
    uint64_t number = 0;

    while ((first = ring_first(&zab->barriers)) != NULL &&
           first->place <= place) {
        enum proof proof = proof_of(zab, first);

        if (proof == PROOF_NONE ||
            (MUTATION(26) && first->place == zab->delivered &&
             zab->committed > zab->delivered)) {
            break;
        }
        if (proof == PROOF_ACK) {
            ZAB_MARK(zab, BARRIER_BY_ACK);
        } else if (proof == PROOF_PONG) {
            ZAB_MARK(zab, BARRIER_BY_PING);
        }
        number = first->number;
        ring_pop(&zab->barriers);
    }
    if (number != 0) {
        zab_emit(effects, ZAB_BARRIER_DONE)->barrier = number;
    }
}

/* One at a time, and none for what the acks of later proposals will say. */
void barrier_run_rounds(struct zab *zab, struct zab_effects *effects)
{
    const struct zab_barrier *last = NULL;
    uint64_t peers = 0;

    if (zab->barriers.count > 0) {
        last = ring_at(&zab->barriers, zab->barriers.count - 1);
    }
    if (zab->round_done < zab->round_sent && round_is_over(zab)) {
        zab->round_done = zab->round_sent;
        for (size_t i = 0; i < zab->peers_count; i++) {
            sync_pump(zab, i, effects); /* one may have waited for it */
        }
    }
    if (zab->round_done == zab->round_sent &&
        (is_copied(zab) ||
         (last != NULL && last->round > zab->round_sent &&
          last->place == zab->logged && proof_of(zab, last) == PROOF_NONE))) {
        zab->round_sent++;
    }
    if (zab->round_done == zab->round_sent) {
        return;
    }
    for (size_t i = 0; i < zab->peers_count; i++) {
        struct zab_peer *learner = &zab->peers[i];

        if (learner->voting && learner->stage == LEARNER_SYNCED &&
            learner->pinged < zab->round_sent) {
            learner->pinged = zab->round_sent;
            peers |= zab_bit(i);
        }
    }
    barrier_ping(zab, peers, zab->epoch, zab->round_sent, effects);
}

void barrier_ping(struct zab *zab, uint64_t peers, uint32_t epoch,
                  uint64_t number, struct zab_effects *effects)
{
    struct peer_msg *msg;

    if (peers == 0) {
        return;
    }
    for (size_t i = 0; i < zab->peers_count; i++) {
        if ((peers & zab_bit(i)) != 0) {
            zab->peers[i].pinged_at = zab->ticks;
        }
    }
    msg = zab_send(zab, PEER_LINK_LEARNER, peers, PEER_PING, effects);
    msg->epoch = epoch;
    msg->ping.number = number;
}

/* Our disk is slow: round upon round was answered and nothing is delivered.
 * Those of one place become one, where the later one's round is over, or its
 * answer comes with the acks of what was proposed since: then there is one for
 * each zxid in flight, and two that wait for rounds. */
static void join_barriers(struct zab *zab)
{
    size_t count = zab->barriers.count;
    struct zab_barrier *last = NULL;

    for (size_t i = 0; i < count; i++) {
        const struct zab_barrier *first = ring_first(&zab->barriers);
        struct zab_barrier barrier = *first;

        ring_pop(&zab->barriers);
        if (last != NULL && last->place == barrier.place &&
            (barrier.round <= zab->round_done || barrier.place < zab->logged)) {
            *last = barrier;
        } else {
            (void)ring_push(&zab->barriers, &barrier); /* has room */
            last = ring_at(&zab->barriers, zab->barriers.count - 1);
        }
    }
}

/* Has a quorum been heard to follow us after the barrier was taken? */
static enum proof proof_of(const struct zab *zab,
                           const struct zab_barrier *barrier)
{
    uint64_t acked = zab_bit(zab->self), answered = acked;

    if (quorum_holds(&zab->quorum, acked) || MUTATION(16)) {
        return PROOF_ALONE;
    }
    if (zab->committed > barrier->place) {
        return PROOF_ACK;
    }
    for (size_t i = 0; i < zab->peers_count; i++) {
        if (!leader_counts(&zab->peers[i])) {
            continue;
        }
        if (zab->acked[i] > barrier->place) {
            acked |= zab_bit(i);
            answered |= zab_bit(i);
        } else if (zab->peers[i].pong >= barrier->round) {
            answered |= zab_bit(i);
        }
    }
    if (quorum_holds(&zab->quorum, acked)) {
        return PROOF_ACK;
    }
    return quorum_holds(&zab->quorum, answered) ? PROOF_PONG : PROOF_NONE;
}

/* Does one take a copy that waits for the next round? */
static bool is_copied(const struct zab *zab)
{
    for (size_t i = 0; i < zab->peers_count; i++) {
        const struct zab_peer *learner = &zab->peers[i];

        if (learner->voter && !learner->voting &&
            learner->stage >= LEARNER_SNAP &&
            learner->stage <= LEARNER_STREAM &&
            learner->confirm > zab->round_sent) {
            return true;
        }
    }
    return false;
}

static bool round_is_over(const struct zab *zab)
{
    uint64_t answered = zab_bit(zab->self);

    for (size_t i = 0; i < zab->peers_count; i++) {
        if (leader_counts(&zab->peers[i]) &&
            zab->peers[i].pong >= zab->round_sent) {
            answered |= zab_bit(i);
        }
    }
    return quorum_holds(&zab->quorum, answered);
}
