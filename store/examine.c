#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "store/store_internal.h"

static int check_log_end(struct store *store);
static int examine_state(struct store *store);
static int check_server(struct store *store);
static int bad_slots(struct store *store, const struct state_found *found);
static int set_aside_begun(struct store *store);
static int without_state(struct store *store);
static bool has_data(const struct store *store);
static int behind(struct store *store, zxid_t known);
static int worse(int a, int b);

int store_examine(struct store *store)
{
    int err = examine_state(store);
    int next;

    if (err == ERR_INVALID || (err != 0 && store->state.generation == 0)) {
        return err; /* not ours, or nothing can be read without it */
    }
    checkpoint_find(&store->volume, store->state.generation,
                    store->checkpoint_dir);
    next = log_scan(&store->log, &store->volume, &store->state);
    err = worse(err, next);
    if (err == 0) {
        err = check_log_end(store);
    }
    if (!store->fresh && (err == 0 || store->volume.found != NULL)) {
        next = leveldb_scan(&store->volume, store->checkpoint_dir,
                            &store->leveldb);
        err = worse(err, next);
    }
    return err;
}

/* The state files may know of more batches than the log has: then what looked
 * like a torn tail was durable. */
static int check_log_end(struct store *store)
{
    const struct log *log = &store->log;
    const struct segment *last = NULL;
    char path[VOLUME_PATH_SIZE];
    char what[128];

    if (log->number >= store->state.batch) {
        return 0;
    }
    (void)snprintf(what, sizeof(what),
                   "log ends at batch %" PRIu64 ", batch %" PRIu64
                   " was durable",
                   log->number, store->state.batch);
    if (log->count == 0) {
        volume_path(path, store->volume.log_dir, "log.*");
        return volume_damage(&store->volume, path, 0, what);
    }
    last = &log->segments[log->count - 1];
    log_path(log, last, path);
    return volume_damage(&store->volume, path, last->end, what);
}

/* An I/O error says more than damage that was found before it. */
static int worse(int a, int b)
{
    return a == 0 || b == ERR_IO ? b : a;
}

static int examine_state(struct store *store)
{
    struct state_found found;
    int err = state_load(&store->volume, &store->state, &found);

    if (err == ERR_NOT_FOUND) {
        return without_state(store);
    }
    store->repair_state = found.repair;
    if (err == 0) {
        err = check_server(store);
    }
    if (err == ERR_IO || err == ERR_INVALID) {
        return err;
    }
    if (err == ERR_CORRUPT || store->volume.found != NULL) {
        return bad_slots(store, &found);
    }
    if ((store->state.flags & STATE_SETTING_ASIDE) != 0) {
        return set_aside_begun(store);
    }
    for (int i = 0; i < STATE_SLOTS; i++) {
        if (found.slots[i] == STATE_BAD) {
            log_event(LOG_WARN, "state_repaired",
                      "file=state.%d offset=0 reason=checksum other=state.%d",
                      i, 1 - i);
        }
    }
    return 0;
}

/* What a server has promised to the others is among its data: under another id
 * the promises of both would be broken. Data without one are taken for ours. */
static int check_server(struct store *store)
{
    uint64_t id = store->options.server_id;
    uint64_t found = store->state.server_id;
    char path[VOLUME_PATH_SIZE];
    char text[160];

    if (id == 0 || id == found) {
        return 0;
    }
    if (found == 0) {
        store->state.server_id = id;
        store->repair_state = true;
        return 0;
    }
    volume_path(path, store->volume.data_dir, "state.0");
    (void)snprintf(text, sizeof(text),
                   "these are the data of server %" PRIu64
                   ", and myid says %" PRIu64
                   ": correct myid, or let this server begin with an empty "
                   "directory",
                   found, id);
    (void)volume_fail_text(&store->volume, path, text);
    store->volume.err = ERR_INVALID;
    return ERR_INVALID;
}

/* Names each bad copy. With one good one left, a start repairs the other. */
static int bad_slots(struct store *store, const struct state_found *found)
{
    int err = 0;

    for (int i = 0; i < STATE_SLOTS; i++) {
        char path[VOLUME_PATH_SIZE];

        if (found->slots[i] == STATE_BAD) {
            volume_path(path, store->volume.data_dir,
                        i == 0 ? "state.0" : "state.1");
            err = volume_damage(&store->volume, path, 0,
                                "state file fails its checksum");
        }
    }
    return err;
}

/* Damage was found before, and not all of it may still be here. */
static int set_aside_begun(struct store *store)
{
    char path[VOLUME_PATH_SIZE];

    volume_path(path, store->volume.data_dir, "state.0");
    return volume_damage(&store->volume, path, 0,
                         "damage was found beside it, and is being set aside");
}

static int without_state(struct store *store)
{
    char path[VOLUME_PATH_SIZE];
    int err;

    if (has_data(store)) {
        volume_path(path, store->volume.data_dir, "state.0");
        return volume_damage(&store->volume, path, 0,
                             "state files are missing or empty beside data");
    }
    store->fresh = true;
    err = state_new(&store->volume, &store->state);
    store->state.server_id = store->options.server_id;
    return err;
}

static bool has_data(const struct store *store)
{
    const char *const dirs[] = {store->volume.data_dir, store->volume.log_dir};
    bool found = false;

    for (size_t i = 0; i < 2; i++) {
        DIR *dir = opendir(dirs[i]);
        const char *name;

        while (dir != NULL && (name = file_next(dir)) != NULL) {
            found = found || checkpoint_is_name(name) ||
                    (strncmp(name, "log.", 4) == 0 &&
                     strcmp(name, "log.next") != 0);
        }
        if (dir != NULL) {
            (void)closedir(dir);
        }
    }
    return found;
}

int store_open_copy(struct store *store)
{
    int err =
        checkpoint_copy(&store->volume, store->checkpoint_dir, store->copy_dir);

    if (err == 0) {
        err = checkpoint_open(&store->checkpoint, &store->volume,
                              store->copy_dir, store->state.generation);
    }
    return err;
}

int store_compare(struct store *store)
{
    const struct log *log = &store->log;
    zxid_t marker = store->checkpoint.zxid;
    zxid_t known = store->state.checkpoint > log->checkpoint
                       ? store->state.checkpoint
                       : log->checkpoint;
    char path[VOLUME_PATH_SIZE];
    char what[128];
    uint64_t offset = 0;

    known = known > store->state.base ? known : store->state.base;
    if (marker < known) {
        return behind(store, known);
    }
    if (log->count == 0 || (log->count == 1 && log->drop_last)) {
        if (marker == store->state.base) {
            return 0;
        }
        volume_path(path, store->volume.log_dir, "log.*");
        (void)snprintf(what, sizeof(what),
                       "no log, and the checkpoint is at 0x%" PRIx64, marker);
        return volume_damage(&store->volume, path, 0, what);
    }
    if (log->floor > marker) {
        log_path(log, &log->segments[0], path);
        (void)snprintf(what, sizeof(what),
                       "log begins behind 0x%" PRIx64
                       ", the checkpoint is at 0x%" PRIx64,
                       log->floor, marker);
        return volume_damage(&store->volume, path, 0, what);
    }
    if (log->last < marker) {
        const struct segment *last =
            &log->segments[log->count - (log->drop_last ? 2 : 1)];

        log_path(log, last, path);
        offset = last->end;
        (void)snprintf(what, sizeof(what),
                       "log ends at 0x%" PRIx64
                       ", the checkpoint is at 0x%" PRIx64,
                       log->last, marker);
        return volume_damage(&store->volume, path, offset, what);
    }
    return 0;
}

/* LevelDB has an older checkpoint than others remember: a tail that looked torn
 * was durable. */
static int behind(struct store *store, zxid_t known)
{
    const struct leveldb_scan *scan = &store->leveldb;
    char path[VOLUME_PATH_SIZE];
    char what[128];

    (void)snprintf(what, sizeof(what),
                   "checkpoint is at 0x%" PRIx64 ", 0x%" PRIx64 " was durable",
                   store->checkpoint.zxid, known);
    if (scan->log.torn) {
        return volume_damage(&store->volume, scan->log.path, scan->log.offset,
                             what);
    }
    if (scan->manifest.torn) {
        return volume_damage(&store->volume, scan->manifest.path,
                             scan->manifest.offset, what);
    }
    volume_path(path, store->checkpoint_dir, scan->exists ? "" : "CURRENT");
    return volume_damage(&store->volume, path, 0, what);
}
