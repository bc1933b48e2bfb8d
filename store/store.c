#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "store/store_internal.h"

enum {
    IDLE_ROUNDS = 20, /* two seconds: LevelDB has done what it had to do */
    MEASURE_EVERY = 8,
};

static int end_cleanly(struct store *store);
static bool is_log_op(enum store_op_type type);
static int run_log_op(struct store *store, const struct store_op *op);
static int append(struct store *store, const struct store_op *op);
static int write_epochs(struct store *store, const struct store_op *op);
static int truncate_log(struct store *store, const struct store_op *op);
static int commit(struct store *store);
static void run_slow_op(struct store *store, const struct store_op *op,
                        struct store_result *result);
static int purge(struct store *store, const struct store_op *op);
static int stage_begin(struct store *store);
static int stage_end(struct store *store, const struct store_op *op);
static int read_log(struct store *store, const struct store_op *op,
                    struct store_result *result);

void store_close(struct store *store)
{
    if (store == NULL) {
        return;
    }
    if (!store->failed && !store->volume.read_only) {
        /* A failure here loses nothing: the next start cuts the tail. */
        (void)end_cleanly(store);
    }
    store_destroy(store);
}

/* After this nothing at all can be taken for a torn tail. */
static int end_cleanly(struct store *store)
{
    struct state *state = &store->state;
    int err = log_settle(&store->log);

    if (err != 0 || (state->batch == store->log.number &&
                     state->checkpoint == store->log.checkpoint)) {
        return err;
    }
    state->batch = store->log.number;
    state->checkpoint = store->log.checkpoint;
    return state_write(&store->volume, state);
}

const struct durable_state *store_durable(const struct store *store)
{
    return &store->durable;
}

const char *store_failure(const struct store *store)
{
    return store->volume.failure[0] != '\0' ? store->volume.failure
                                            : store->beside.failure;
}

void store_run(struct store *store, const struct store_op *ops, size_t count,
               struct store_result *results)
{
    int failed = store->failed ? ERR_IO : 0;
    zxid_t committed = store->log.committed;

    store->idle_rounds = 0;
    for (size_t i = 0; i < count; i++) {
        results[i] = (struct store_result){
            .type = ops[i].type,
            .owner = ops[i].owner,
            .seq = ops[i].seq,
            .reader_id = ops[i].reader_id,
            .zxid = ops[i].zxid,
        };
        if (ops[i].type == STORE_APPEND && ops[i].zxid_committed > committed) {
            committed = ops[i].zxid_committed;
        }
    }
    store->log.committed = committed;
    for (size_t i = 0; i < count && failed == 0; i++) {
        if (is_log_op(ops[i].type)) {
            results[i].err = run_log_op(store, &ops[i]);
            failed = results[i].err == ERR_NOT_FOUND ? 0 : results[i].err;
        }
    }
    failed = failed != 0 ? failed : commit(store);
    for (size_t i = 0; i < count && failed == 0; i++) {
        if (!is_log_op(ops[i].type)) {
            run_slow_op(store, &ops[i], &results[i]);
            failed = results[i].err == ERR_IO ? ERR_IO : 0;
        }
    }
    if (failed == 0) {
        return;
    }
    /* What of this call is durable does not matter: the process ends. */
    store->failed = true;
    for (size_t i = 0; i < count; i++) {
        results[i].err = results[i].err == 0 ? failed : results[i].err;
    }
}

static bool is_log_op(enum store_op_type type)
{
    return type == STORE_EPOCHS || type == STORE_APPEND ||
           type == STORE_TRUNCATE;
}

static int run_log_op(struct store *store, const struct store_op *op)
{
    CHECK(!store->volume.read_only);
    if (op->type == STORE_APPEND) {
        return append(store, op);
    }
    return op->type == STORE_EPOCHS ? write_epochs(store, op)
                                    : truncate_log(store, op);
}

static int append(struct store *store, const struct store_op *op)
{
    struct slice payload = blob_bytes(op->payload);
    int err = log_append(&store->log, op->zxid, payload);

    if (err == ERR_BUSY && store_release_reserves(store)) {
        err = log_append(&store->log, op->zxid, payload);
    }
    if (err == ERR_BUSY) {
        err = store_no_space(store, "append to the log in",
                             store->volume.log_dir);
    }
    return err;
}

static int commit(struct store *store)
{
    int err = log_commit(&store->log);

    __atomic_store_n(&store->log_bytes, log_bytes(&store->log),
                     __ATOMIC_RELAXED);
    return err;
}

static int write_epochs(struct store *store, const struct store_op *op)
{
    int err = commit(store);

    if (err != 0) {
        return err;
    }
    store->state.epoch_accepted = op->epoch_accepted;
    store->state.epoch_current = op->epoch_current;
    if (op->epoch_current != 0) {
        store->state.flags &= ~STATE_RECOVERING; /* a whole copy is here */
    }
    memcpy(store->state.cluster_id, op->cluster_id,
           sizeof(store->state.cluster_id));
    store->state.checkpoint = store->log.checkpoint;
    store->state.batch = store->log.number;
    return state_write(&store->volume, &store->state);
}

static int truncate_log(struct store *store, const struct store_op *op)
{
    struct state next = store->state;
    int err = commit(store);

    if (op->zxid >= store->log.last || op->zxid < store->log.floor) {
        return err != 0 ? err : log_truncate(&store->log, op->zxid);
    }
    /* What the state files say of the log must be true all the time; when
     * nothing is left of it, they alone say where it goes on. */
    next.batch = 0;
    if (op->zxid == store->log.floor) {
        next.base = op->zxid;
    }
    if (err == 0 &&
        (next.batch != store->state.batch || next.base != store->state.base)) {
        err = state_write(&store->volume, &next);
        store->state = next;
    }
    return err != 0 ? err : log_truncate(&store->log, op->zxid);
}

static void run_slow_op(struct store *store, const struct store_op *op,
                        struct store_result *result)
{
    switch (op->type) {
        case STORE_PURGE:
            result->err = purge(store, op);
            result->zxid = store->log.floor;
            break;
        case STORE_READ_LOG:
            result->err = store_own_damage(store, read_log(store, op, result));
            break;
        case STORE_SNAP_BEGIN:
            result->err = stage_begin(store);
            break;
        case STORE_SNAP_END:
            result->err = stage_end(store, op);
            break;
        case STORE_CHECKPOINT:
        case STORE_SNAP_CHUNK:
        case STORE_READ_SNAP:
        case STORE_READ_CLOSE:
            store_run_beside(store, op, result);
            store_finish_beside(store, op, result);
            break;
        case STORE_EPOCHS:
        case STORE_APPEND:
        case STORE_TRUNCATE:
            UNREACHABLE();
    }
}

static int purge(struct store *store, const struct store_op *op)
{
    zxid_t durable = store->log.checkpoint;

    return log_purge(&store->log, op->zxid < durable ? op->zxid : durable);
}

static int stage_begin(struct store *store)
{
    return store_room_to_stage(store,
                               checkpoint_stage_begin(&store->checkpoint));
}

static int stage_end(struct store *store, const struct store_op *op)
{
    struct state next = store->state;
    int err = store_room_to_stage(
        store, checkpoint_stage_end(&store->checkpoint, op->zxid));

    if (err != 0) {
        return err;
    }
    next.generation = store->checkpoint.next.generation;
    next.base = op->zxid;
    next.checkpoint = op->zxid;
    next.batch = 0;
    err = state_write(&store->volume, &next);
    if (err != 0) {
        return err;
    }
    store->state = next;
    checkpoint_go_live(&store->checkpoint);
    memcpy(store->checkpoint_dir, store->checkpoint.live.dir, VOLUME_PATH_SIZE);
    store->log.checkpoint = op->zxid;
    log_restart(&store->log, next.generation, op->zxid);
    return 0;
}

static int read_log(struct store *store, const struct store_op *op,
                    struct store_result *result)
{
    struct buf list = {0};
    int err = log_read(&store->log, op->zxid, op->size_max, &list,
                       &result->zxid, &result->last);

    if (err == 0) {
        result->payload = blob_copy(buf_bytes(&list));
    }
    buf_finish(&list);
    return err;
}

int store_tidy(struct store *store)
{
    int err;

    if (store->failed || store->volume.read_only) {
        return store->failed ? ERR_IO : 0;
    }
    err = log_prepare(&store->log);
    if (err == 0) {
        err = log_collect(&store->log);
    }
    if (err == 0) {
        err = checkpoint_collect(&store->checkpoint);
    }
    store->failed = err != 0;
    return err == 0 ? 0 : ERR_IO;
}

int store_idle(struct store *store)
{
    int err;

    if (store->failed || store->volume.read_only) {
        return store->failed ? ERR_IO : 0;
    }
    err = log_settle(&store->log);
    for (size_t i = 0; i < store->dirs_count && err == 0; i++) {
        err = reserve_keep(&store->reserves[i]);
    }
    if (err == 0) {
        err = store_tidy(store);
    }
    store->idle_rounds++;
    if (err == 0 && store->idle_rounds == IDLE_ROUNDS &&
        store->checkpoint.written > 0) {
        err = store_reopen(store);
    }
    if (store->idle_rounds % MEASURE_EVERY == 1) {
        store_measure(store);
    }
    store->failed = err != 0;
    return err == 0 ? 0 : ERR_IO;
}

void store_space(struct store *store, struct store_space *space)
{
    *space = (struct store_space){.free_bytes = UINT64_MAX};
    for (size_t i = 0; i < store->dirs_count; i++) {
        struct reserve *reserve = &store->reserves[i];
        uint64_t free_bytes;

        /* Not at the first look, which is a start's; under load nothing is
         * ever idle. */
        if (store->looked && !store->failed && reserve_keep(reserve) != 0) {
            store->failed = true; /* the next op says so */
        }
        free_bytes = reserve_free(reserve);

        if (free_bytes < space->free_bytes) {
            space->free_bytes = free_bytes;
        }
        space->low = space->low || reserve_low(reserve);
    }
    space->low = space->low || store->log.no_room;
    store->looked = true;
}

static void add_counts(const struct volume *volume, struct store_stats *stats)
{
    const struct volume_counts *counts = &volume->counts;
    uint64_t max = __atomic_load_n(&counts->sync_us_max, __ATOMIC_RELAXED);

    stats->syncs += __atomic_load_n(&counts->syncs, __ATOMIC_RELAXED);
    stats->bytes_written +=
        __atomic_load_n(&counts->bytes_written, __ATOMIC_RELAXED);
    stats->sync_us_total +=
        __atomic_load_n(&counts->sync_us_total, __ATOMIC_RELAXED);
    stats->sync_us_max = max > stats->sync_us_max ? max : stats->sync_us_max;
}

void store_stats(const struct store *store, struct store_stats *stats)
{
    *stats = (struct store_stats){
        .data_bytes = __atomic_load_n(&store->data_bytes, __ATOMIC_RELAXED),
        .log_bytes = __atomic_load_n(&store->log_bytes, __ATOMIC_RELAXED),
    };
    add_counts(&store->volume, stats);
    add_counts(&store->beside, stats);
}

bool store_release_reserves(struct store *store)
{
    bool released = false;

    for (size_t i = 0; i < store->dirs_count; i++) {
        released = reserve_release(&store->reserves[i]) || released;
    }
    return released;
}

int store_no_space(struct store *store, const char *operation, const char *file)
{
    errno = ENOSPC;
    return volume_fail(&store->volume, operation, file);
}
