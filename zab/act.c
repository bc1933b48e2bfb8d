/* What every phase does the same way: effects, appending, delivering, changing
 * role, letting a link go. */
#include "base/check.h"
#include "base/mem.h"
#include "zab/zab_internal.h"

static void push_log_op(struct zab *zab, const struct zab_log_op *op);
static void trim_history(struct zab *zab);
static void deliver_from(struct zab *zab, size_t index,
                         struct zab_effects *effects);

struct zab_effect *zab_emit(struct zab_effects *effects,
                            enum zab_effect_type type)
{
    struct zab_effect *effect;

    if (effects->count == effects->capacity) {
        effects->items = mem_grow(effects->items, &effects->capacity,
                                  effects->count + 1, sizeof(*effects->items));
    }
    effect = &effects->items[effects->count];
    effects->count++;
    memset(effect, 0, sizeof(*effect));
    effect->type = type;
    return effect;
}

void zab_damaged(struct zab *zab, const char *why, struct zab_effects *effects)
{
    zab_emit(effects, ZAB_DAMAGED)->why = why;
    zab_move(zab, ZAB_PHASE_DAMAGED);
}

struct peer_msg *zab_send(struct zab *zab, enum peer_link link, uint64_t peers,
                          enum peer_msg_type type, struct zab_effects *effects)
{
    struct zab_effect *effect = zab_emit(effects, ZAB_SEND);

    CHECK(peers != 0);
    for (size_t i = 0; i < zab->peers_count; i++) {
        if ((peers & zab_bit(i)) != 0) {
            CHECK(zab->peers[i].up[link]);
            if (link == PEER_LINK_LEARNER) {
                zab->peers[i].said = zab->ticks;
            }
        }
    }
    effect->link = link;
    effect->peers = peers;
    effect->message.type = type;
    return &effect->message;
}

struct blob **zab_payloads(struct zab *zab, size_t count)
{
    return ARENA_NEW(zab->arena, struct blob *, count);
}

struct store_op *zab_store(struct zab *zab, enum store_op_type type,
                           struct zab_effects *effects)
{
    struct store_op *op = &zab_emit(effects, ZAB_STORE)->store;

    zab->seq++;
    op->type = type;
    op->owner = STORE_FOR_ZAB;
    op->seq = zab->seq;
    return op;
}

void zab_append(struct zab *zab, zxid_t zxid, struct blob *payload,
                struct zab_effects *effects)
{
    struct store_op *op = zab_store(zab, STORE_APPEND, effects);

    op->zxid = zxid;
    op->zxid_committed = zab->committed < zxid ? zab->committed : zxid;
    op->payload = blob_ref(payload);
    push_log_op(zab, &(struct zab_log_op){
                         .seq = op->seq, .type = STORE_APPEND, .zxid = zxid});
    history_append(&zab->history, zxid, payload);
    zab_note_epoch_end(zab, zxid);
    zab->logged = zxid;
    trim_history(zab);
}

void zab_truncate(struct zab *zab, zxid_t after, struct zab_effects *effects)
{
    struct store_op *op = zab_store(zab, STORE_TRUNCATE, effects);
    size_t count = zab->epoch_ends_count;

    CHECK(after >= zab->committed);
    CHECK(zab_has(zab, after));
    op->zxid = after;
    /* What is still on its way to the disk will be cut there: when it has come
     * it stands for no more than what remains. */
    for (size_t i = 0; i < zab->log_ops.count; i++) {
        struct zab_log_op *earlier = ring_at(&zab->log_ops, i);

        if (earlier->zxid > after) {
            earlier->zxid = after;
        }
    }
    push_log_op(zab, &(struct zab_log_op){.seq = op->seq,
                                          .type = STORE_TRUNCATE,
                                          .zxid = after});
    history_truncate(&zab->history, after);
    while (count > 0 && zab->epoch_ends[count - 1] > after) {
        count--;
    }
    zab->epoch_ends_count = count;
    zab_note_epoch_end(zab, after);
    zab->logged = after;
    if (zab->stored > after) {
        zab->stored = after;
    }
    if (zab->log_base > after) {
        zab->log_base = after;
    }
    if (zab->tree == ZAB_TREE_WHOLE) {
        zab->read_seq = 0; /* it may bring what is cut off */
    }
}

void zab_store_epochs(struct zab *zab, uint32_t accepted, uint32_t current,
                      struct zab_effects *effects)
{
    struct store_op *op = zab_store(zab, STORE_EPOCHS, effects);

    CHECK(accepted >= zab->accepted_asked);
    CHECK(current <= accepted);
    op->epoch_accepted = accepted;
    op->epoch_current = current;
    memcpy(op->cluster_id, zab->cluster_id, sizeof(op->cluster_id));
    zab->accepted_asked = accepted;
    zab->current_asked = current;
    push_log_op(zab, &(struct zab_log_op){.seq = op->seq,
                                          .type = STORE_EPOCHS,
                                          .epoch_accepted = accepted,
                                          .epoch_current = current});
}

zxid_t zab_deliverable(const struct zab *zab)
{
    return zab->committed < zab->stored ? zab->committed : zab->stored;
}

void zab_deliver(struct zab *zab, zxid_t zxid, struct blob *payload,
                 struct zab_effects *effects)
{
    const struct zab_barrier *barrier = ring_first(&zab->barriers);
    struct zab_effect *effect;

    CHECK(zab->tree == ZAB_TREE_WHOLE);
    CHECK(zxid <= zab_deliverable(zab));
    CHECK(history_follows(zab->delivered, zxid));
    if (barrier != NULL && barrier->place <= zab->delivered) {
        /* What replica/ says now stands here on every link, too. */
        leader_tell_committed(zab, zab->delivered, effects);
        leader_end_barriers(zab, zab->delivered, effects);
    }
    effect = zab_emit(effects, ZAB_DELIVER);
    effect->deliver.zxid = zxid;
    effect->deliver.payload = payload;
    zab->delivered = zxid;
}

void zab_deliver_committed(struct zab *zab, struct zab_effects *effects)
{
    size_t index;

    if (zab->tree == ZAB_TREE_WHOLE && zab->delivered < zab_deliverable(zab)) {
        index = history_after(&zab->history, zab->delivered);
        if (index != SIZE_MAX) {
            deliver_from(zab, index, effects);
        } else if (zab->read_seq == 0) {
            /* It stands in the log for longer than memory reaches. */
            boot_read_log(zab, zab->delivered, effects);
        }
    }
    if (zab->role == ZAB_LEADING) {
        /* Not beyond a barrier that is not done: its place is before. */
        leader_tell_committed(
            zab, zab->barriers.count > 0 ? zab->delivered : zab->committed,
            effects);
    }
}

void zab_set_role(struct zab *zab, enum zab_role role, const char *why,
                  struct zab_effects *effects)
{
    zab->role = role;
    if (zab->told.role == role && zab->told.leader_id == zab->leader_id &&
        zab->told.epoch == zab->epoch_current) {
        return;
    }
    zab->told.role = role;
    zab->told.leader_id = zab->leader_id;
    zab->told.epoch = zab->epoch_current;
    zab_emit(effects, ZAB_ROLE)->why = why;
}

void zab_look(struct zab *zab, const char *why, struct zab_effects *effects)
{
    CHECK(zab_is_leader(zab) || zab_is_learner(zab));
    election_failed(zab);
    if (zab_is_leader(zab)) {
        leader_end(zab, why, effects);
    } else {
        learner_end(zab, why, effects);
    }
    zab->leader_id = 0;
    zab_set_role(zab, ZAB_LOOKING, why, effects);
    election_begin(zab, effects);
}

void zab_drop_peer(struct zab *zab, enum peer_link link, size_t peer,
                   const char *why, struct zab_effects *effects)
{
    struct zab_effect *effect;

    if (!zab->peers[peer].up[link]) {
        return;
    }
    effect = zab_emit(effects, ZAB_DROP_PEER);
    effect->link = link;
    effect->peers = zab_bit(peer);
    effect->why = why;
    zab->peers[peer].up[link] = false;
    if (link == PEER_LINK_LEARNER) {
        sync_forget(zab, peer, effects);
    } else if (link == PEER_LINK_ELECTION) {
        election_on_link(zab, peer, false, effects);
    }
}

bool zab_disk_stands_still(const struct zab *zab)
{
    /* Alone there is nobody who could do better. */
    return zab->peers_count > 1 && zab->log_ops.count > 0 &&
           zab->ticks - zab->disk_moved > zab->config.ticks_sync_max;
}

bool zab_blank(const struct zab *zab)
{
    return zab->epoch_current == 0 || zab->current_asked == 0;
}

bool zab_has(const struct zab *zab, zxid_t zxid)
{
    if (zxid == zab->log_base || zxid == zab->checkpoint) {
        return true;
    }
    return zxid > zab->log_base && zxid_counter(zxid) > 0 &&
           zxid <= zab_epoch_end(zab, zxid_epoch(zxid));
}

zxid_t zab_next_of(const struct zab *zab, zxid_t zxid)
{
    size_t i = zab->epoch_ends_count;

    while (i > 0 && zab->epoch_ends[i - 1] > zxid) {
        i--;
    }
    if (i == zab->epoch_ends_count) {
        return 0;
    }
    if (zxid_epoch(zab->epoch_ends[i]) == zxid_epoch(zxid)) {
        return zxid + 1;
    }
    return zxid_make(zxid_epoch(zab->epoch_ends[i]), 1);
}

zxid_t zab_epoch_end(const struct zab *zab, uint32_t epoch)
{
    size_t low = 0, high = zab->epoch_ends_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (zxid_epoch(zab->epoch_ends[middle]) < epoch) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == zab->epoch_ends_count ||
        zxid_epoch(zab->epoch_ends[low]) != epoch) {
        return 0;
    }
    return zab->epoch_ends[low];
}

void zab_note_epoch_end(struct zab *zab, zxid_t zxid)
{
    size_t count = zab->epoch_ends_count;

    if (zxid == 0) {
        return; /* the beginning of all is of no epoch */
    }
    if (count > 0 &&
        zxid_epoch(zab->epoch_ends[count - 1]) == zxid_epoch(zxid)) {
        zab->epoch_ends[count - 1] = zxid;
        return;
    }
    zab->epoch_ends = mem_grow(zab->epoch_ends, &zab->epoch_ends_capacity,
                               count + 1, sizeof(*zab->epoch_ends));
    zab->epoch_ends[count] = zxid;
    zab->epoch_ends_count++;
}

/* A learner's window and a leader's are counted in bytes: how many ops that may
 * be is known to the sizes of their payloads only. */
static void push_log_op(struct zab *zab, const struct zab_log_op *op)
{
    if (zab->log_ops.count == 0) {
        zab->disk_moved = zab->ticks;
    }
    if (!ring_push(&zab->log_ops, op)) {
        struct ring larger;

        ring_init(&larger, zab->log_ops.item_size, zab->log_ops.capacity * 2);
        while (zab->log_ops.count > 0) {
            (void)ring_push(&larger, ring_first(&zab->log_ops)); /* has room */
            ring_pop(&zab->log_ops);
        }
        (void)ring_push(&larger, op);
        ring_finish(&zab->log_ops);
        zab->log_ops = larger;
    }
    zab->log_seq = op->seq;
}

/* A leader keeps what is not delivered: its window bounds it. A learner may be
 * sent more than memory is to hold before anything is: what its disk has can be
 * read again. */
static void trim_history(struct zab *zab)
{
    /* Alone there is nobody who could lag. */
    size_t max = zab->peers_count == 1 ? 0 : zab->config.history_bytes_max;

    history_trim(&zab->history,
                 zab_is_learner(zab) ? zab->stored : zab->delivered, max);
}

static void deliver_from(struct zab *zab, size_t index,
                         struct zab_effects *effects)
{
    zxid_t last = zab_deliverable(zab);

    for (; zab->delivered < last; index++) {
        const struct proposal *next = history_at(&zab->history, index);

        zab_deliver(zab, next->zxid, blob_ref(next->payload), effects);
    }
}
