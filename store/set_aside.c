/* What is damaged makes room for a copy from another server: renamed into
 * DIR/damaged.N, never read again by a server.
 *
 * The state files are marked first, so that whatever is left when the power
 * goes in the middle is taken up where it ended: half of the files moved might
 * look like a whole, shorter history. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "store/store_internal.h"

#define PREFIX "damaged."
enum { KEPT_MAX = 3 };

static uint64_t next_number(const struct volume *volume);
static bool keeps_data(const char *dir, uint64_t number);
static int mark(struct store *store);
static void copy_state(struct store *store, const char *to);
static int move_files(struct store *store, const char *dir, uint64_t number);
static bool belongs_aside(const char *name);
static int begin_anew(struct store *store);
static void remove_oldest(const char *dir, uint64_t newest);
static void remove_kept(const char *path);
static uint64_t highest(const char *dir);
static uint64_t kept_number(const char *name);
static void kept_path(const char *dir, uint64_t number, char *path);

int store_set_aside(struct store *store)
{
    struct volume *volume = &store->volume;
    uint64_t number = next_number(volume);
    char path[VOLUME_PATH_SIZE];
    struct log_line line;
    int err;

    kept_path(volume->data_dir, number, path);
    log_begin(&line, LOG_WARN, "damage_set_aside");
    log_text(&line, "reason", volume->failure);
    log_text(&line, "kept", path);
    log_end(&line);
    volume->err = 0;
    volume->failure[0] = '\0';

    err = file_make_dir(volume, path);
    if (err == 0) {
        copy_state(store, path);
        err = mark(store);
    }
    for (size_t i = 0; i < store->dirs_count && err == 0; i++) {
        err = move_files(store, i == 0 ? volume->data_dir : volume->log_dir,
                         number);
    }
    if (err == 0) {
        err = begin_anew(store);
    }
    for (size_t i = 0; i < store->dirs_count && err == 0; i++) {
        remove_oldest(i == 0 ? volume->data_dir : volume->log_dir, number);
    }
    return err;
}

/* One that keeps nothing yet is of a start that came no further: one start
 * after the other on a disk that lets nothing be moved must not make what the
 * first of them has kept old enough to be removed. */
static uint64_t next_number(const struct volume *volume)
{
    uint64_t number = highest(volume->data_dir);

    if (highest(volume->log_dir) > number) {
        number = highest(volume->log_dir);
    }
    return number == 0 || keeps_data(volume->data_dir, number) ||
                   keeps_data(volume->log_dir, number)
               ? number + 1
               : number;
}

static bool keeps_data(const char *dir, uint64_t number)
{
    char path[VOLUME_PATH_SIZE];
    const char *name;
    bool found = false;
    DIR *listing;

    kept_path(dir, number, path);
    listing = opendir(path);
    while (listing != NULL && (name = file_next(listing)) != NULL) {
        found = found || belongs_aside(name);
    }
    if (listing != NULL) {
        (void)closedir(listing);
    }
    return found;
}

/* The state files are kept as they are now, where the next start will put the
 * rest. */
int store_mark_damaged(struct store *store)
{
    const struct volume *volume = &store->volume;
    char path[VOLUME_PATH_SIZE];

    if (!store->options.set_aside) {
        return 0;
    }
    kept_path(volume->data_dir, next_number(volume), path);
    if ((store->state.flags & STATE_SETTING_ASIDE) == 0 &&
        (mkdir(path, 0700) == 0 || errno == EEXIST)) {
        copy_state(store, path);
    }
    return mark(store);
}

/* What was promised is kept; what was taken up is gone. */
static int mark(struct store *store)
{
    struct volume *volume = &store->volume;
    struct state *state = &store->state;
    int err = 0;

    if ((state->flags & STATE_SETTING_ASIDE) != 0) {
        return 0; /* taken up where it ended */
    }
    if (state->generation == 0) {
        err = state_new(volume, state); /* neither copy can be read */
    }
    if (state->epoch_accepted < state->epoch_current) {
        state->epoch_accepted = state->epoch_current;
    }
    state->epoch_current = 0;
    state->flags |= STATE_RECOVERING | STATE_SETTING_ASIDE;
    if (err == 0) {
        err = state_write(volume, state);
    }
    return err != 0 ? err : file_sync_dir(volume, volume->data_dir);
}

/* For whoever looks at what was set aside, or brings it back; nothing here
 * depends on it. Once they are marked a copy that is there is the better one.
 */
static void copy_state(struct store *store, const char *to)
{
    static const char *const names[STATE_SLOTS] = {"state.0", "state.1"};
    int how =
        (store->state.flags & STATE_SETTING_ASIDE) != 0 ? O_EXCL : O_TRUNC;

    for (int i = 0; i < STATE_SLOTS; i++) {
        char path[VOLUME_PATH_SIZE];
        uint8_t bytes[STATE_SIZE];
        ssize_t len;
        int in;
        int out;

        volume_path(path, store->volume.data_dir, names[i]);
        in = open(path, O_RDONLY | O_CLOEXEC);
        if (in < 0) {
            continue;
        }
        volume_path(path, to, names[i]);
        len = read(in, bytes, sizeof(bytes));
        (void)close(in); /* only read */
        out = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | how, 0600);
        if (out >= 0) {
            /* On a full disk the copy is what there is no room for. */
            (void)!write(out, bytes, len > 0 ? (size_t)len : 0);
            (void)close(out);
        }
    }
}

static int move_files(struct store *store, const char *dir, uint64_t number)
{
    struct volume *volume = &store->volume;
    char kept[VOLUME_PATH_SIZE];
    const char *name;
    int err;
    DIR *listing;

    kept_path(dir, number, kept);
    err = file_make_dir(volume, kept);
    if (err != 0) {
        return err;
    }
    listing = opendir(dir);
    if (listing == NULL) {
        return volume_fail(volume, "open", dir);
    }
    while (err == 0 && (name = file_next(listing)) != NULL) {
        char from[VOLUME_PATH_SIZE];
        char to[VOLUME_PATH_SIZE];

        if (!belongs_aside(name)) {
            continue;
        }
        volume_path(from, dir, name);
        volume_path(to, kept, name);
        if (rename(from, to) != 0) {
            err = volume_fail(volume, "rename", from);
        }
    }
    (void)closedir(listing);
    err = err != 0 ? err : file_sync_dir(volume, kept);
    return err != 0 ? err : file_sync_dir(volume, dir);
}

/* Only what store/ made: the directory may hold myid and more. */
static bool belongs_aside(const char *name)
{
    return checkpoint_is_name(name) ||
           (strncmp(name, "log.", 4) == 0 && name[4] >= '0' && name[4] <= '9');
}

static int begin_anew(struct store *store)
{
    struct volume *volume = &store->volume;
    struct state *state = &store->state;
    struct state next;
    int err = state_new(volume, &next);

    if (err != 0) {
        return err;
    }
    next.sequence = state->sequence;
    next.epoch_accepted = state->epoch_accepted;
    next.server_id = store->options.server_id;
    memcpy(next.cluster_id, state->cluster_id, sizeof(next.cluster_id));
    /* What a crash brings back of the old files is garbage then. */
    next.generation = state->generation + 1;
    next.flags = STATE_RECOVERING;
    err = state_write(volume, &next);
    *state = next;
    return err != 0 ? err : file_sync_dir(volume, volume->data_dir);
}

/* Best effort: at worst there is less room. */
static void remove_oldest(const char *dir, uint64_t newest)
{
    const char *name;
    DIR *listing = opendir(dir);

    while (listing != NULL && (name = file_next(listing)) != NULL) {
        uint64_t number = kept_number(name);
        char path[VOLUME_PATH_SIZE];

        if (number != 0 && number + KEPT_MAX <= newest) {
            volume_path(path, dir, name);
            remove_kept(path);
        }
    }
    if (listing != NULL) {
        (void)closedir(listing);
    }
}

static void remove_kept(const char *path)
{
    const char *name;
    DIR *listing = opendir(path);

    while (listing != NULL && (name = file_next(listing)) != NULL) {
        char below[VOLUME_PATH_SIZE];

        if (checkpoint_is_name(name)) {
            volume_path(below, path, name);
            checkpoint_copy_remove(below);
        }
    }
    if (listing != NULL) {
        (void)closedir(listing);
    }
    checkpoint_copy_remove(path); /* its files, then itself */
}

static uint64_t highest(const char *dir)
{
    const char *name;
    uint64_t max = 0;
    DIR *listing = opendir(dir);

    while (listing != NULL && (name = file_next(listing)) != NULL) {
        uint64_t number = kept_number(name);

        max = number > max ? number : max;
    }
    if (listing != NULL) {
        (void)closedir(listing);
    }
    return max;
}

/* 0: another kind of name. */
static uint64_t kept_number(const char *name)
{
    size_t len = strlen(PREFIX);
    char *end;
    uint64_t number;

    if (strncmp(name, PREFIX, len) != 0 || name[len] < '1' || name[len] > '9') {
        return 0;
    }
    number = strtoull(name + len, &end, 10);
    return *end == '\0' ? number : 0;
}

static void kept_path(const char *dir, uint64_t number, char *path)
{
    char name[32];

    (void)snprintf(name, sizeof(name), PREFIX "%" PRIu64, number);
    volume_path(path, dir, name);
}
