/* The leader: takes up an epoch of its own, proposes, counts acks, commits.
 *
 * Its own promise, its own taking-up and its own acks count like any other's:
 * when its disk says so, not sooner. */
#include "base/check.h"
#include "zab/zab_internal.h"

static const uint8_t no_cluster[16];

static void store_epochs(struct zab *zab, uint32_t accepted, uint32_t current,
                         struct zab_effects *effects);
static void on_epochs(struct zab *zab, const struct zab_log_op *op,
                      struct zab_effects *effects);
static void establish(struct zab *zab, struct zab_effects *effects);
static void push_log_op(struct zab *zab, const struct zab_log_op *op);
static bool is_confirmed(const struct zab *zab);

/* Zab's phase 1: an epoch above all that was ever promised, made durable
 * before anything is done in its name. */
void leader_begin(struct zab *zab, struct zab_effects *effects)
{
    if (zab->epoch_accepted == UINT32_MAX) {
        zab_damaged(zab, "no epoch is left", effects);
        return;
    }
    zab_move(zab, ZAB_PHASE_DISCOVERY);
    if (memcmp(zab->cluster_id, no_cluster, sizeof(zab->cluster_id)) == 0) {
        memcpy(zab->cluster_id, zab->config.entropy, sizeof(zab->cluster_id));
    }
    zab->epoch_acks = 0;
    zab->leader_acks = 0;
    memset(zab->acked, 0, sizeof(zab->acked));
    store_epochs(zab, zab->epoch_accepted + 1, zab->epoch_current, effects);
}

void leader_on_propose(struct zab *zab, struct blob *proposal,
                       struct zab_effects *effects)
{
    zxid_t zxid = zab_next_zxid(zab);
    struct store_op *op = zab_store(zab, STORE_APPEND, effects);

    CHECK(proposal != NULL);
    op->zxid = zxid;
    op->zxid_committed = zab->committed;
    op->payload = blob_ref(proposal);
    push_log_op(zab, &(struct zab_log_op){
                         .seq = op->seq, .type = STORE_APPEND, .zxid = zxid});
    history_append(&zab->history, zxid, blob_ref(proposal));
    zab->logged = zxid;
    if (zxid_counter(zxid) >= zab->config.counter_max) {
        zab_move(zab, ZAB_PHASE_DRAINING);
    }
}

void leader_on_barrier(struct zab *zab, uint64_t number,
                       struct zab_effects *effects)
{
    struct zab_barrier barrier = {number, zab->logged};
    size_t count = zab->barriers.count;
    struct zab_barrier *last = NULL;
    bool pushed;

    CHECK(number > 0);
    if (count > 0) {
        last = ring_at(&zab->barriers, count - 1);
        CHECK(number > last->number);
    }
    if (last != NULL && last->place == barrier.place) {
        last->number = number; /* done up to a number: they are one */
    } else {
        pushed = ring_push(&zab->barriers, &barrier);
        CHECK(pushed);
    }
    leader_go_on(zab, effects);
}

void leader_on_stored(struct zab *zab, const struct zab_log_op *op,
                      struct zab_effects *effects)
{
    if (op->type == STORE_EPOCHS) {
        on_epochs(zab, op, effects);
        return;
    }
    CHECK(op->type == STORE_APPEND);
    CHECK(op->zxid > zab->acked[zab->self]);
    zab->acked[zab->self] = op->zxid;
}

void leader_go_on(struct zab *zab, struct zab_effects *effects)
{
    if (zab->phase == ZAB_PHASE_LEADING || zab->phase == ZAB_PHASE_DRAINING) {
        zxid_t quorum_has = quorum_acked(&zab->quorum, zab->acked);

        /* What is of an older epoch is committed by the taking-up of this
         * one, never by counting (Zab's phase 3 begins with its quorum). */
        if (quorum_has > zab->committed) {
            CHECK(zxid_epoch(quorum_has) == zab->epoch_current);
            zab->committed = quorum_has;
        }
        zab_deliver_committed(zab, effects);
    }
    if (is_confirmed(zab)) {
        leader_end_barriers(zab, zab->delivered, effects);
    }
    if (zab->phase == ZAB_PHASE_DRAINING && zab->delivered == zab->logged) {
        leader_begin(zab, effects);
    }
}

void leader_end_barriers(struct zab *zab, zxid_t place,
                         struct zab_effects *effects)
{
    const struct zab_barrier *first;
    uint64_t number = 0;

    while ((first = ring_first(&zab->barriers)) != NULL &&
           first->place <= place) {
        number = first->number;
        ring_pop(&zab->barriers);
    }
    if (number != 0) {
        zab_emit(effects, ZAB_BARRIER_DONE)->barrier = number;
    }
}

static void store_epochs(struct zab *zab, uint32_t accepted, uint32_t current,
                         struct zab_effects *effects)
{
    struct store_op *op = zab_store(zab, STORE_EPOCHS, effects);

    op->epoch_accepted = accepted;
    op->epoch_current = current;
    memcpy(op->cluster_id, zab->cluster_id, sizeof(op->cluster_id));
    push_log_op(zab, &(struct zab_log_op){.seq = op->seq,
                                          .type = STORE_EPOCHS,
                                          .epoch_accepted = accepted,
                                          .epoch_current = current});
}

/* A promise, then a taking-up, is durable here. */
static void on_epochs(struct zab *zab, const struct zab_log_op *op,
                      struct zab_effects *effects)
{
    uint64_t self = UINT64_C(1) << zab->self;

    CHECK(op->epoch_accepted >= zab->epoch_accepted);
    zab->epoch_accepted = op->epoch_accepted;
    if (zab->phase == ZAB_PHASE_DISCOVERY) {
        zab->epoch_acks |= self;
        if (quorum_holds(&zab->quorum, zab->epoch_acks)) {
            zab_move(zab, ZAB_PHASE_SYNC);
            store_epochs(zab, op->epoch_accepted, op->epoch_accepted, effects);
        }
        return;
    }
    CHECK(zab->phase == ZAB_PHASE_SYNC);
    zab->epoch_current = op->epoch_current;
    zab->leader_acks |= self;
    /* Taking up an epoch acknowledges the whole log before it. */
    zab->acked[zab->self] = zab->logged;
    if (quorum_holds(&zab->quorum, zab->leader_acks)) {
        establish(zab, effects);
    }
}

static void establish(struct zab *zab, struct zab_effects *effects)
{
    zab_move(zab, ZAB_PHASE_LEADING);
    zab->role = ZAB_LEADING;
    zab->leader_id = zab->config.self_id;
    zab->initial = zab->logged;
    zab->committed = zab->logged;
    (void)zab_emit(effects, ZAB_ROLE);
}

static void push_log_op(struct zab *zab, const struct zab_log_op *op)
{
    bool pushed = ring_push(&zab->log_ops, op);

    CHECK(pushed); /* zab_window_full() leaves room */
    zab->log_seq = op->seq;
}

/* Has a quorum been heard after the barriers were taken? Alone, we are it. */
static bool is_confirmed(const struct zab *zab)
{
    return quorum_holds(&zab->quorum, UINT64_C(1) << zab->self);
}
