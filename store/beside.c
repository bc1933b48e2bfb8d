/* What concerns LevelDB alone: a second thread may run it beside the log, whose
 * syncs do not wait then for LevelDB's. What it shares with the rest of the
 * store (state files, reserves, what the log says of the checkpoint) is touched
 * in store_finish_beside() only. */
#include "base/check.h"
#include "base/err.h"
#include "store/store_internal.h"

#define ROOM (UINT64_C(16) << 20) /* bytes: LevelDB's buffer, log and more */

static int read_snapshot(struct store *store, const struct store_op *op,
                         struct store_result *result);
static int give_memory_back(struct store *store);
static int full_disk(struct store *store, const struct store_op *op);
static int checkpoint_again(struct store *store, const struct store_op *op);
static int open_again(struct store *store);

bool store_runs_beside(enum store_op_type type)
{
    return type == STORE_CHECKPOINT || type == STORE_SNAP_CHUNK ||
           type == STORE_READ_SNAP || type == STORE_READ_CLOSE;
}

/* ERR_BUSY, a full disk, goes to store_finish_beside(). */
void store_run_beside(struct store *store, const struct store_op *op,
                      struct store_result *result)
{
    struct checkpoint *checkpoint = &store->checkpoint;

    *result = (struct store_result){
        .type = op->type,
        .owner = op->owner,
        .seq = op->seq,
        .reader_id = op->reader_id,
        .zxid = op->zxid,
    };
    switch (op->type) {
        case STORE_CHECKPOINT:
            result->err =
                checkpoint_write(checkpoint, op->zxid, blob_bytes(op->payload));
            break;
        case STORE_SNAP_CHUNK:
            result->err = checkpoint_stage(checkpoint, blob_bytes(op->payload));
            break;
        case STORE_READ_SNAP:
            result->err = read_snapshot(store, op, result);
            break;
        case STORE_READ_CLOSE:
            checkpoint_read_close(checkpoint, op->owner, op->reader_id);
            result->err = give_memory_back(store);
            break;
        case STORE_EPOCHS:
        case STORE_APPEND:
        case STORE_TRUNCATE:
        case STORE_PURGE:
        case STORE_READ_LOG:
        case STORE_SNAP_BEGIN:
        case STORE_SNAP_END:
            UNREACHABLE();
    }
}

static int read_snapshot(struct store *store, const struct store_op *op,
                         struct store_result *result)
{
    struct buf list = {0};
    int err = 0;

    if (store->checkpoint.zxid == 0) {
        result->zxid = 0;
        result->last = true;
    } else {
        err = checkpoint_read(&store->checkpoint, op, &list, &result->zxid,
                              &result->last);
    }
    if (err == 0) {
        result->payload = blob_copy(buf_bytes(&list));
    }
    buf_finish(&list);
    if (err == 0 && result->last) {
        err = give_memory_back(store);
    }
    return err;
}

/* Reading everything has filled LevelDB's maps and caches. To open it takes
 * room. */
static int give_memory_back(struct store *store)
{
    const struct reserve *reserve = &store->reserves[0];

    if (store->checkpoint.readers_count > 0 ||
        store->checkpoint.live.db == NULL || store->volume.read_only ||
        reserve_free(reserve) < reserve->size + ROOM) {
        return 0;
    }
    return checkpoint_reopen(&store->checkpoint);
}

void store_finish_beside(struct store *store, const struct store_op *op,
                         struct store_result *result)
{
    store->idle_rounds = 0;
    if (result->err == ERR_BUSY) {
        result->err = full_disk(store, op);
    }
    if (op->type == STORE_READ_SNAP) {
        result->err = store_own_damage(store, result->err);
    }
    if (op->type == STORE_CHECKPOINT && result->err == 0) {
        store->log.checkpoint = op->zxid;
    }
    store->failed = store->failed || result->err == ERR_IO;
}

static int full_disk(struct store *store, const struct store_op *op)
{
    if (op->type == STORE_SNAP_CHUNK) {
        return store_room_to_stage(store, ERR_BUSY);
    }
    return op->type == STORE_CHECKPOINT ? checkpoint_again(store, op)
                                        : open_again(store);
}

/* LevelDB takes no more until it is opened again. What it did not take is in
 * the log still. */
static int checkpoint_again(struct store *store, const struct store_op *op)
{
    int err;

    (void)store_release_reserves(store);
    err = checkpoint_recover(&store->checkpoint);
    if (err == 0) {
        err = checkpoint_write(&store->checkpoint, op->zxid,
                               blob_bytes(op->payload));
    }
    return err == ERR_BUSY ? store_no_space(store, "write the checkpoint in",
                                            store->checkpoint_dir)
                           : err;
}

static int open_again(struct store *store)
{
    int err;

    (void)store_release_reserves(store);
    err = checkpoint_recover(&store->checkpoint);
    return err == ERR_BUSY
               ? store_no_space(store, "open", store->checkpoint_dir)
               : err;
}

int store_reopen(struct store *store)
{
    int err = give_memory_back(store);

    return err == ERR_BUSY ? open_again(store) : err;
}

int store_room_to_stage(struct store *store, int err)
{
    return err == ERR_BUSY ? store_no_space(store, "write a snapshot in",
                                            store->volume.data_dir)
                           : err;
}

/* The server ends, and must not come back to the same damage. */
int store_own_damage(struct store *store, int err)
{
    return err == ERR_CORRUPT && store_mark_damaged(store) != 0 ? ERR_IO : err;
}
