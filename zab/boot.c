/* From the own disk: the tree by chunks, then the log behind it. The same path
 * for a start, for a snapshot that has just been received, and for a leader
 * that delivers what stood in its log before it led. */
#include "base/check.h"
#include "base/err.h"
#include "proto/record.h"
#include "zab/zab_internal.h"

/* A chunk is loaded or delivered in one step: a few milliseconds. */
#define CHUNK_SIZE_MAX (256U * 1024)
/* The disk reads the next chunks while this one is being loaded. */
#define CHUNKS_AHEAD 2U

static void read_tree(struct zab *zab, struct zab_effects *effects);
static void on_tree_chunk(struct zab *zab, const struct store_result *read,
                          struct zab_effects *effects);
static void on_log_chunk(struct zab *zab, const struct store_result *read,
                         struct zab_effects *effects);
static const char *deliver_records(struct zab *zab,
                                   const struct store_result *read,
                                   struct zab_effects *effects);
static void after_log(struct zab *zab, struct zab_effects *effects);

void boot_begin(struct zab *zab, struct zab_effects *effects)
{
    zab_move(zab, ZAB_PHASE_TREE);
    zab->role = ZAB_LOOKING;
    (void)zab_emit(effects, ZAB_TREE_BEGIN);
    for (unsigned i = 0; i < CHUNKS_AHEAD; i++) {
        read_tree(zab, effects);
    }
    zab->read_seq = zab->seq - CHUNKS_AHEAD + 1;
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
}

static void read_tree(struct zab *zab, struct zab_effects *effects)
{
    struct store_op *op = zab_store(zab, STORE_READ_SNAP, effects);

    op->reader_id = zab->config.self_id;
    op->size_max = CHUNK_SIZE_MAX;
    zab->reads_asked++;
}

static void on_tree_chunk(struct zab *zab, const struct store_result *read,
                          struct zab_effects *effects)
{
    bool none = read->err == ERR_NOT_FOUND && zab->checkpoint == 0;
    struct zab_effect *effect;

    CHECK(zab->phase == ZAB_PHASE_TREE);
    if (read->err != 0 && !none) {
        zab_damaged(zab, "the checkpoint cannot be read", effects);
        return;
    }
    zab->reads_asked--;
    zab->read_seq++;
    if (!none && !read->last) {
        read_tree(zab, effects);
    }
    if (read->payload != NULL && blob_bytes(read->payload).len > 0) {
        effect = zab_emit(effects, ZAB_TREE_CHUNK);
        effect->deliver.payload = blob_ref(read->payload);
    }
    if (!none && !read->last) {
        return;
    }
    if (!none && read->zxid != zab->checkpoint) {
        zab_damaged(zab, "the checkpoint is another one than at start",
                    effects);
        return;
    }
    if (zab->reads_asked > 0) {
        /* The disk may have begun anew for those asked ahead. */
        zab_store(zab, STORE_READ_CLOSE, effects)->reader_id =
            zab->config.self_id;
        zab->reads_asked = 0;
    }
    zab->read_seq = 0;
    zab->delivered = zab->checkpoint;
    zab_emit(effects, ZAB_TREE_END)->deliver.zxid = zab->checkpoint;
    zab_move(zab, ZAB_PHASE_REPLAY);
    after_log(zab, effects);
}

static void on_log_chunk(struct zab *zab, const struct store_result *read,
                         struct zab_effects *effects)
{
    const char *damage;

    CHECK(zab->phase == ZAB_PHASE_REPLAY || zab->phase == ZAB_PHASE_LEADING);
    if (read->err != 0) {
        zab_damaged(zab, "the log cannot be read", effects);
        return;
    }
    zab->read_seq = 0;
    /* The next chunk is read while this one is being delivered. */
    if (!read->last && read->zxid > zab->delivered &&
        read->zxid < zab->committed) {
        boot_read_log(zab, read->zxid, effects);
    }
    damage = deliver_records(zab, read, effects);
    if (damage != NULL) {
        zab_damaged(zab, damage, effects);
        return;
    }
    after_log(zab, effects);
}

/* NULL, or what is wrong. Records behind what is committed are left: they are
 * read again when they are. */
static const char *deliver_records(struct zab *zab,
                                   const struct store_result *read,
                                   struct zab_effects *effects)
{
    struct slice list = {0}, payload;
    zxid_t zxid, after = zab->delivered, before = after;
    int err;

    if (read->payload != NULL) {
        list = blob_bytes(read->payload);
    }
    while ((err = record_next_log(&list, &zxid, &payload)) == 0) {
        if (!history_follows(before, zxid)) {
            return "the log has a gap";
        }
        before = zxid;
        if (zxid <= zab->committed) {
            zab_deliver(zab, zxid, blob_copy(payload), effects);
        }
    }
    if (err != ERR_NOT_FOUND) {
        return "a piece of the log does not parse";
    }
    if (before != after && before != read->zxid) {
        return "a piece of the log does not end where it says";
    }
    if (zab->delivered == zab->committed) {
        return NULL;
    }
    if (before > zab->committed) {
        return "the log has no record of what is committed";
    }
    return read->last || before == after
               ? "the log ends before what is committed"
               : NULL;
}

static void after_log(struct zab *zab, struct zab_effects *effects)
{
    zab_deliver_committed(zab, effects);
    if (zab->phase == ZAB_PHASE_REPLAY && zab->delivered == zab->committed) {
        election_begin(zab, effects);
    } else if (zab->phase == ZAB_PHASE_LEADING) {
        leader_go_on(zab, effects);
    }
}
