#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/store_internal.h"

static int open_all(struct store *store);
static int open_data(struct store *store);
static void close_data(struct store *store);
static int look_for_lost_checkpoint(struct store *store);
static int begin_writing(struct store *store);
static int open_checkpoint(struct store *store);
static bool same_dir(const char *a, const char *b);
static void fill_durable(struct store *store);

int store_open(const struct store_options *options, struct store **store,
               char *error, size_t error_size)
{
    struct store *made = store_create(options);
    int err;

    *store = NULL;
    if (made == NULL) {
        (void)snprintf(error, error_size, "a directory's name is too long");
        return ERR_INVALID;
    }
    err = open_all(made);
    if (err != 0) {
        return store_refuse(made, err, error, error_size);
    }
    /* Of its own from here on: another thread may run it. */
    made->beside = made->volume;
    made->beside.counts = (struct volume_counts){0};
    made->checkpoint.volume = &made->beside;
    fill_durable(made);
    store_measure(made);
    *store = made;
    return 0;
}

int store_refuse(struct store *store, int err, char *error, size_t error_size)
{
    (void)snprintf(error, error_size, "%s",
                   store->volume.failure[0] != '\0' ? store->volume.failure
                                                    : err_text(err));
    store_destroy(store);
    return err;
}

struct store *store_create(const struct store_options *options)
{
    enum { NAME_ROOM = 64 }; /* of our own files, behind a directory's name */
    struct store *store;
    const char *tmp = getenv("TMPDIR"); // NOLINT(concurrency-mt-unsafe)

    if (strlen(options->data_dir) >= VOLUME_PATH_SIZE - NAME_ROOM ||
        strlen(options->log_dir) >= VOLUME_PATH_SIZE - NAME_ROOM) {
        return NULL;
    }
    store = MEM_NEW(struct store);
    store->options = *options;
    store->volume.sync = options->sync && !options->read_only;
    store->volume.read_only = options->read_only;
    (void)snprintf(store->volume.data_dir, VOLUME_PATH_SIZE, "%s",
                   options->data_dir);
    (void)snprintf(store->volume.log_dir, VOLUME_PATH_SIZE, "%s",
                   options->log_dir);
    checkpoint_find(&store->volume, 1, store->checkpoint_dir);
    if (!options->read_only) {
        volume_path(store->copy_dir, options->data_dir, "checkpoint.copy");
    } else {
        tmp = tmp == NULL || strlen(tmp) > VOLUME_TEXT_SIZE ? "/tmp" : tmp;
        volume_path(store->copy_dir, tmp,
                    "corral-copy.XX"
                    "XX"
                    "XX");
    }
    store->locks[0].fd = store->locks[1].fd = -1;
    store->log.fd = store->log.next_fd = -1;
    return store;
}

void store_destroy(struct store *store)
{
    log_close(&store->log);
    checkpoint_close(&store->checkpoint);
    if (store->volume.read_only && store->dirs_count > 0) {
        checkpoint_copy_remove(store->copy_dir);
    }
    lock_release(&store->locks[1]);
    lock_release(&store->locks[0]);
    mem_free(store);
}

static int open_all(struct store *store)
{
    int err = store_enter(store);

    if (err == 0) {
        err = open_data(store);
    }
    if (err == ERR_CORRUPT && store->options.set_aside &&
        !store->volume.read_only) {
        close_data(store);
        err = store_set_aside(store);
        err = err != 0 ? err : open_data(store);
    }
    return err;
}

static int open_data(struct store *store)
{
    int err = store_examine(store);

    if (err == 0 && store->volume.read_only) {
        err = store->leveldb.exists ? store_open_copy(store) : 0;
        return err != 0 ? err : store_compare(store);
    }
    if (err == 0) {
        err = look_for_lost_checkpoint(store);
    }
    return err != 0 ? err : begin_writing(store);
}

int store_enter(struct store *store)
{
    struct volume *volume = &store->volume;
    int err;

    if (volume->read_only) {
        if (access(volume->data_dir, R_OK | X_OK) != 0) {
            return volume_fail(volume, "open", volume->data_dir);
        }
        if (mkdtemp(store->copy_dir) == NULL) {
            return volume_fail(volume, "mkdir", store->copy_dir);
        }
    } else {
        err = file_make_dir(volume, volume->data_dir);
        if (err == 0) {
            err = file_make_dir(volume, volume->log_dir);
        }
        if (err != 0) {
            return err;
        }
    }
    store->dirs_count = same_dir(volume->data_dir, volume->log_dir) ? 1 : 2;
    err = lock_take(&store->locks[0], volume, volume->data_dir);
    if (err == 0 && store->dirs_count == 2) {
        err = lock_take(&store->locks[1], volume, volume->log_dir);
    }
    return err;
}

static bool same_dir(const char *a, const char *b)
{
    struct stat left;
    struct stat right;

    return stat(a, &left) == 0 && stat(b, &right) == 0 &&
           left.st_dev == right.st_dev && left.st_ino == right.st_ino;
}

/* As before the first look, but for the locks and the state. */
static void close_data(struct store *store)
{
    log_close(&store->log);
    checkpoint_close(&store->checkpoint);
    checkpoint_copy_remove(store->copy_dir);
    store->log = (struct log){.fd = -1, .next_fd = -1};
    store->leveldb = (struct leveldb_scan){0};
    store->fresh = false;
    store->repair_state = false;
}

/* A torn tail in LevelDB's files may have been durable. That is found out on a
 * copy, before LevelDB throws the tail away. */
static int look_for_lost_checkpoint(struct store *store)
{
    int err;

    checkpoint_copy_remove(store->copy_dir);
    if (!store->leveldb.exists) {
        return store_compare(store); /* a new one is made only if none was */
    }
    if (!store->leveldb.log.torn && !store->leveldb.manifest.torn) {
        return 0;
    }
    err = store_open_copy(store);
    if (err == 0) {
        err = store_compare(store);
    }
    checkpoint_close(&store->checkpoint);
    checkpoint_copy_remove(store->copy_dir);
    return err;
}

/* All is known to be sound: from here on things change on disk. */
static int begin_writing(struct store *store)
{
    struct volume *volume = &store->volume;
    uint64_t reserve_size = store->options.reserve_size;
    int err = reserve_open(&store->reserves[0], volume, volume->data_dir,
                           reserve_size);

    if (err == 0 && store->dirs_count == 2) {
        err = reserve_open(&store->reserves[1], volume, volume->log_dir,
                           reserve_size);
    }
    /* The state files first: whatever else is found without them is damage. */
    if (err == 0 && (store->fresh || store->repair_state)) {
        err = state_write(volume, &store->state);
        if (err == 0) {
            err = file_sync_dir(volume, volume->data_dir);
        }
    }
    if (err == 0) {
        err = leveldb_cut(volume, store->checkpoint_dir, &store->leveldb);
    }
    if (err == 0) {
        err = file_make_dir(volume, store->checkpoint_dir);
    }
    if (err == 0) {
        err = open_checkpoint(store);
    }
    if (err == 0) {
        err = store_compare(store);
    }
    if (err == 0) {
        err = log_open(&store->log, store->options.segment_size);
    }
    if (err == 0) {
        store->log.checkpoint = store->checkpoint.zxid;
    }
    return err;
}

static int open_checkpoint(struct store *store)
{
    int err = checkpoint_open(&store->checkpoint, &store->volume,
                              store->checkpoint_dir, store->state.generation);

    for (size_t i = 0; i < store->dirs_count && err == ERR_BUSY; i++) {
        if (reserve_release(&store->reserves[i])) {
            err =
                checkpoint_open(&store->checkpoint, &store->volume,
                                store->checkpoint_dir, store->state.generation);
        }
    }
    if (err == ERR_BUSY) {
        errno = ENOSPC;
        err = volume_fail(&store->volume, "open", store->checkpoint_dir);
    }
    return err;
}

static void fill_durable(struct store *store)
{
    const struct log *log = &store->log;
    bool empty = log->last == log->floor;

    store->durable = (struct durable_state){
        .epoch_accepted = store->state.epoch_accepted,
        .epoch_current = store->state.epoch_current,
        .zxid_checkpoint = store->checkpoint.zxid,
        .zxid_last = empty ? 0 : log->last,
        .zxid_committed = log->committed > store->checkpoint.zxid
                              ? log->committed
                              : store->checkpoint.zxid,
        .epoch_ends = log->epoch_ends,
        .epoch_ends_count = log->epoch_ends_count,
        .recovering = (store->state.flags & STATE_RECOVERING) != 0,
    };
    if (!empty) {
        store->durable.zxid_first = log->first;
    }
    memcpy(store->durable.cluster_id, store->state.cluster_id,
           sizeof(store->durable.cluster_id));
}

void store_measure(struct store *store)
{
    uint64_t data = file_dir_bytes(store->checkpoint_dir, NULL) +
                    (uint64_t)STATE_SLOTS * STATE_SIZE;

    __atomic_store_n(&store->data_bytes, data, __ATOMIC_RELAXED);
    __atomic_store_n(&store->log_bytes, log_bytes(&store->log),
                     __ATOMIC_RELAXED);
}
