/* From the own disk: the tree by chunks, then the log behind it. The same path
 * for a start, for a snapshot that has just been received, and whenever what is
 * to be delivered stands in the log and no longer in memory. */
#include "base/check.h"
#include "base/err.h"
#include "proto/record.h"
#include "zab/zab_internal.h"

static void read_tree(struct zab *zab, struct zab_effects *effects);
static void load_tree(struct zab *zab, struct zab_effects *effects);
static void on_tree_chunk(struct zab *zab, const struct store_result *read,
                          struct zab_effects *effects);
static void end_tree(struct zab *zab, struct zab_effects *effects);
static void on_log_chunk(struct zab *zab, const struct store_result *read,
                         struct zab_effects *effects);
static const char *deliver_records(struct zab *zab,
                                   const struct store_result *read,
                                   struct zab_effects *effects);
static void go_on(struct zab *zab, struct zab_effects *effects);

void boot_begin(struct zab *zab, struct zab_effects *effects)
{
    zab_move(zab, ZAB_PHASE_TREE);
    load_tree(zab, effects);
}

void boot_reload(struct zab *zab, struct zab_effects *effects)
{
    CHECK(zab->tree == ZAB_TREE_WHOLE);
    zab_note_epoch_end(zab, zab->checkpoint);
    load_tree(zab, effects);
}

void boot_on_read(struct zab *zab, const struct store_result *read,
                  struct zab_effects *effects)
{
    /* Not what is waited for: a chunk asked ahead, behind the last one. */
    if (zab->read_seq == 0 || read->seq != zab->read_seq) {
        return;
    }
    if (read->type == STORE_READ_SNAP) {
        on_tree_chunk(zab, read, effects);
    } else {
        CHECK(read->type == STORE_READ_LOG);
        on_log_chunk(zab, read, effects);
    }
}

void boot_read_log(struct zab *zab, zxid_t after, struct zab_effects *effects)
{
    struct store_op *op = zab_store(zab, STORE_READ_LOG, effects);

    CHECK(zab->read_seq == 0);
    op->reader_id = zab->config.self_id;
    op->size_max = CHUNK_SIZE_MAX;
    op->zxid = after;
    zab->read_seq = op->seq;
    zab->read_until = zab_deliverable(zab);
}

static void read_tree(struct zab *zab, struct zab_effects *effects)
{
    struct store_op *op = zab_store(zab, STORE_READ_SNAP, effects);

    op->reader_id = zab->config.self_id;
    op->size_max = CHUNK_SIZE_MAX;
}

/* Two are asked: the disk reads the next chunk while this one is loaded. */
static void load_tree(struct zab *zab, struct zab_effects *effects)
{
    zab->tree = ZAB_TREE_LOADING;
    (void)zab_emit(effects, ZAB_TREE_BEGIN);
    read_tree(zab, effects);
    zab->read_seq = zab->seq;
    read_tree(zab, effects);
    zab->read_ahead_seq = zab->seq;
}

static void on_tree_chunk(struct zab *zab, const struct store_result *read,
                          struct zab_effects *effects)
{
    bool none = read->err == ERR_NOT_FOUND && zab->checkpoint == 0;
    struct zab_effect *effect;

    CHECK(zab->tree == ZAB_TREE_LOADING);
    if (read->err != 0 && !none) {
        zab_damaged(zab, "the checkpoint cannot be read", effects);
        return;
    }
    if (read->payload != NULL && blob_bytes(read->payload).len > 0) {
        effect = zab_emit(effects, ZAB_TREE_CHUNK);
        effect->deliver.payload = blob_ref(read->payload);
    }
    if (!none && !read->last) {
        read_tree(zab, effects);
        zab->read_seq = zab->read_ahead_seq;
        zab->read_ahead_seq = zab->seq;
        return;
    }
    if (!none && read->zxid != zab->checkpoint) {
        zab_damaged(zab, "the checkpoint is another one than at start",
                    effects);
        return;
    }
    end_tree(zab, effects);
}

static void end_tree(struct zab *zab, struct zab_effects *effects)
{
    /* The disk may have begun anew for the one asked ahead. */
    zab_store(zab, STORE_READ_CLOSE, effects)->reader_id = zab->config.self_id;
    zab->read_seq = 0;
    zab->tree = ZAB_TREE_WHOLE;
    zab->delivered = zab->checkpoint;
    zab_emit(effects, ZAB_TREE_END)->deliver.zxid = zab->checkpoint;
    if (zab->phase == ZAB_PHASE_ELECTION) {
        election_begin(zab, effects); /* it has waited for this */
        return;
    }
    if (zab->phase == ZAB_PHASE_TREE) {
        zab_move(zab, ZAB_PHASE_REPLAY);
    }
    go_on(zab, effects);
}

static void on_log_chunk(struct zab *zab, const struct store_result *read,
                         struct zab_effects *effects)
{
    zxid_t until = zab->read_until;
    const char *damage;

    if (read->err != 0) {
        zab_damaged(zab, "the log cannot be read", effects);
        return;
    }
    zab->read_seq = 0;
    /* The next chunk is read while this one is being delivered. */
    if (!read->last && read->zxid > zab->delivered &&
        read->zxid < zab_deliverable(zab)) {
        boot_read_log(zab, read->zxid, effects);
    }
    damage = deliver_records(zab, read, effects);
    if (damage == NULL && zab->delivered < until) {
        if (read->zxid > until) {
            damage = "the log has no record of what is committed";
        } else if (read->last || read->payload == NULL ||
                   blob_bytes(read->payload).len == 0) {
            damage = "the log ends before what is committed";
        }
    }
    if (damage != NULL) {
        zab_damaged(zab, damage, effects);
        return;
    }
    go_on(zab, effects);
}

/* NULL, or what is wrong. Records behind what may be delivered are left: they
 * are read again when they may. */
static const char *deliver_records(struct zab *zab,
                                   const struct store_result *read,
                                   struct zab_effects *effects)
{
    zxid_t last = zab_deliverable(zab), before = 0, zxid;
    struct slice list = {0}, payload;
    int err;

    if (read->payload != NULL) {
        list = blob_bytes(read->payload);
    }
    while ((err = record_next_log(&list, &zxid, &payload)) == 0) {
        if (before == 0 && zxid > zab->delivered) {
            before = zab->delivered;
        }
        /* Delivered from memory meanwhile, when it had been asked ahead. */
        if (zxid > zab->delivered && !history_follows(before, zxid)) {
            return "the log has a gap";
        }
        before = zxid;
        if (zxid > zab->delivered && zxid <= last) {
            zab_deliver(zab, zxid, blob_copy(payload), effects);
        }
    }
    if (err != ERR_NOT_FOUND) {
        return "a piece of the log does not parse";
    }
    if (before != 0 && before != read->zxid) {
        return "a piece of the log does not end where it says";
    }
    return NULL;
}

static void go_on(struct zab *zab, struct zab_effects *effects)
{
    zab_deliver_committed(zab, effects);
    if (zab->phase == ZAB_PHASE_REPLAY) {
        if (zab->delivered == zab_deliverable(zab) || MUTATION(32)) {
            election_begin(zab, effects);
        }
    } else if (zab_is_leader(zab)) {
        leader_go_on(zab, effects);
    } else if (zab_is_learner(zab)) {
        learner_go_on(zab, effects);
    }
}
