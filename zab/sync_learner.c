/* A learner's history is made its leader's: what is common is kept, what is
 * not is cut off, and where nothing is common a whole tree takes its place.
 *
 * A snapshot goes into the disk's next generation and changes nothing until
 * SNAP_END has come back. From asking for SNAP_END until then the disk may have
 * either; what follows it on the link is held, and when the link is lost we
 * wait for it all the same. */
#include "base/check.h"
#include "zab/zab_internal.h"

static void on_failure(struct zab *zab, struct zab_effects *effects);
static const char *on_diff(struct zab *zab, zxid_t zxid);
static const char *on_trunc(struct zab *zab, zxid_t zxid,
                            struct zab_effects *effects);
static const char *on_snap(struct zab *zab, zxid_t zxid,
                           struct zab_effects *effects);
static const char *on_chunk(struct zab *zab, const struct peer_msg *msg,
                            struct zab_effects *effects);
static void begin(struct zab *zab, zxid_t common);
static void install(struct zab *zab);
static void after_install(struct zab *zab, struct zab_effects *effects);
static void go_on(struct zab *zab, struct zab_effects *effects);

const char *sync_learner_on_message(struct zab *zab, const struct peer_msg *msg,
                                    struct zab_effects *effects)
{
    const char *broken;

    if (msg->type == PEER_SNAP_CHUNK) {
        return on_chunk(zab, msg, effects);
    }
    if (zab->phase != ZAB_PHASE_PROMISING) {
        return "synchronization out of place";
    }
    switch (msg->type) {
        case PEER_SYNC_DIFF:
            broken = on_diff(zab, msg->zxid);
            break;
        case PEER_SYNC_TRUNC:
            broken = on_trunc(zab, msg->zxid, effects);
            break;
        default:
            broken = on_snap(zab, msg->zxid, effects);
            break;
    }
    if (MUTATION(3) && broken == NULL) {
        learner_take_up(zab, effects);
        zab->ack_leader_due = false;
    }
    return broken;
}

void sync_learner_forget(struct zab *zab)
{
    if (zab->snap == SNAP_RECEIVING) {
        ZAB_MARK(zab, SNAP_INTERRUPTED);
        zab->snap = SNAP_NONE;
        if (MUTATION(10)) {
            install(zab);
        }
    }
    history_reset(&zab->held, 0);
    zab->held_new_leader = false;
}

void sync_learner_on_result(struct zab *zab, const struct store_result *result,
                            struct zab_effects *effects)
{
    struct peer_msg *msg;

    if (zab->snap == SNAP_NONE || result->seq < zab->snap_begin_seq) {
        return; /* of one that was given up */
    }
    zab->progressed = zab->ticks;
    if (result->err != 0) {
        on_failure(zab, effects);
        return;
    }
    if (result->type == STORE_SNAP_CHUNK) {
        zab->snap_durable++;
        if (zab->phase == ZAB_PHASE_SYNCING) {
            msg = zab_send(zab, PEER_LINK_LEADER,
                           zab_bit(zab_member_index(zab, zab->leader_id)),
                           PEER_SNAP_ACK, effects);
            msg->epoch = zab->leader_epoch;
            msg->snap.number = zab->snap_durable;
        }
    } else if (result->type == STORE_SNAP_END) {
        ZAB_MARK(zab, TREE_RELOADED);
        install(zab);
        boot_reload(zab, effects);
        after_install(zab, effects);
    }
}

/* Not the disk: that would have ended us. The chunks do not hold what they
 * should, and nothing has changed. */
static void on_failure(struct zab *zab, struct zab_effects *effects)
{
    zab->snap = SNAP_NONE;
    if (zab->phase == ZAB_PHASE_SYNCING) {
        zab_look(zab, "the snapshot is not whole", effects);
    } else {
        go_on(zab, effects);
    }
}

static const char *on_diff(struct zab *zab, zxid_t zxid)
{
    if (zxid != zab->logged) {
        return "its common point is not our last zxid";
    }
    begin(zab, zxid);
    return NULL;
}

static const char *on_trunc(struct zab *zab, zxid_t zxid,
                            struct zab_effects *effects)
{
    /* What is committed stands in every leader's history. */
    if (zxid >= zab->logged || zxid < zab->committed || !zab_has(zab, zxid)) {
        return "its common point is none of ours";
    }
    zab_truncate(zab, zxid, effects);
    if (MUTATION(24)) {
        effects->count--; /* the disk is not told */
    }
    begin(zab, zxid);
    return NULL;
}

static const char *on_snap(struct zab *zab, zxid_t zxid,
                           struct zab_effects *effects)
{
    struct store_op *op;

    if (!zab_blank(zab) && zxid < zab->committed) {
        return "its snapshot is older than our tree";
    }
    if (zxid_epoch(zxid) > zab->leader_epoch) {
        return "its snapshot is of a later epoch";
    }
    begin(zab, zxid);
    op = zab_store(zab, STORE_SNAP_BEGIN, effects);
    op->zxid = zxid;
    zab->snap = SNAP_RECEIVING;
    zab->snap_zxid = zxid;
    zab->snap_begin_seq = op->seq;
    zab->snap_number = 0;
    zab->snap_durable = 0;
    return NULL;
}

static const char *on_chunk(struct zab *zab, const struct peer_msg *msg,
                            struct zab_effects *effects)
{
    struct store_op *op;

    if (zab->snap != SNAP_RECEIVING || msg->payloads_count > 1 ||
        msg->snap.number != zab->snap_number + 1 ||
        zab->snap_number - zab->snap_durable >= SNAP_CHUNKS_AHEAD) {
        return "a chunk out of place";
    }
    zab->snap_number++;
    op = zab_store(zab, STORE_SNAP_CHUNK, effects);
    op->zxid = zab->snap_zxid;
    op->payload = msg->payloads_count == 1 ? blob_ref(msg->payloads[0])
                                           : blob_copy(SLICE_LITERAL(""));
    if (msg->snap.last) {
        op = zab_store(zab, STORE_SNAP_END, effects);
        op->zxid = zab->snap_zxid;
        zab->snap = SNAP_ENDING;
        history_reset(&zab->held, zab->snap_zxid);
    }
    return NULL;
}

static void begin(struct zab *zab, zxid_t common)
{
    zab_move(zab, ZAB_PHASE_SYNCING);
    /* It knows that we have this. */
    zab->acked_sent = common;
}

/* Our history is the snapshot and nothing else. */
static void install(struct zab *zab)
{
    zxid_t zxid = zab->snap_zxid;

    zab->snap = SNAP_NONE;
    zab->checkpoint = zxid;
    zab->log_base = zxid;
    zab->logged = zxid;
    zab->stored = zxid;
    zab->committed = zxid;
    zab->delivered = zxid;
    zab->epoch_ends_count = 0;
    history_reset(&zab->history, zxid);
    /* What was on its way to the log is gone with it. */
    for (size_t i = 0; i < zab->log_ops.count; i++) {
        struct zab_log_op *op = ring_at(&zab->log_ops, i);

        if (op->zxid > zxid) {
            op->zxid = zxid;
        }
    }
}

static void after_install(struct zab *zab, struct zab_effects *effects)
{
    bool take_up = zab->held_new_leader;

    for (size_t i = 0; i < zab->held.count; i++) {
        const struct proposal *held = history_at(&zab->held, i);

        zab_append(zab, held->zxid, blob_ref(held->payload), effects);
    }
    history_reset(&zab->held, 0);
    zab->held_new_leader = false;
    if (take_up) {
        learner_take_up(zab, effects);
    }
    go_on(zab, effects);
}

/* Our history is known again. */
static void go_on(struct zab *zab, struct zab_effects *effects)
{
    if (zab->phase == ZAB_PHASE_ELECTION) {
        election_begin(zab, effects);
    } else {
        learner_ack_epoch(zab, effects);
    }
}
