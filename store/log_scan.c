#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/log.h"
#include "store/state.h"

struct name {
    uint32_t generation;
    zxid_t first;
};

static int list_segments(struct log *log);
static int scan_segment(struct log *log, size_t index, struct log_walk *walk);
static int scan_items(struct log *log, size_t index, struct log_walk *walk);
static int scan_end(struct log *log, size_t index, struct log_walk *walk,
                    enum log_item item, uint64_t end);
static void take_batch(struct log *log, struct segment *segment,
                       const struct log_walk *walk);
static void take_record(struct log *log, zxid_t zxid);
static bool parse_name(const char *text, struct name *name);
static int cut_tail(struct log *log, struct segment *last);

int log_scan(struct log *log, struct volume *volume, const struct state *state)
{
    struct log_walk walk = {.fd = -1};
    int err;

    *log = (struct log){
        .volume = volume,
        .salt = state->salt,
        .generation = state->generation,
        .fd = -1,
        .next_fd = -1,
        .floor = state->base,
        .last = state->base,
    };
    err = list_segments(log);
    for (size_t i = 0; err == 0 && i < log->count; i++) {
        err = scan_segment(log, i, &walk);
    }
    buf_finish(&walk.window);
    if (err == 0 && volume->err == ERR_CORRUPT) {
        err = ERR_CORRUPT;
    }
    if (log->count > 0 && !(log->count == 1 && log->drop_last)) {
        log->floor = log->segments[0].before;
    }
    log->number = walk.number;
    log->chain = walk.chain;
    log->staged = log->last;
    if (log->committed > log->last) {
        log->committed = log->last;
    }
    return err;
}

static int compare_segments(const void *a, const void *b)
{
    const struct segment *left = a;
    const struct segment *right = b;

    return left->first < right->first ? -1 : left->first > right->first;
}

static int list_segments(struct log *log)
{
    DIR *dir = opendir(log->volume->log_dir);
    const char *file;

    if (dir == NULL) {
        return volume_fail(log->volume, "open", log->volume->log_dir);
    }
    while ((file = file_next(dir)) != NULL) {
        struct name name;

        if (!parse_name(file, &name)) {
            continue;
        }
        if (name.generation == log->generation) {
            (void)log_push_segment(log, name.first);
        } else {
            log->garbage = true;
        }
    }
    (void)closedir(dir);
    if (log->count > 0) {
        qsort(log->segments, log->count, sizeof(*log->segments),
              compare_segments);
    }
    return 0;
}

/* walk goes from one segment to the next: number, chain and last zxid must go
 * on where the one before ended. */
static int scan_segment(struct log *log, size_t index, struct log_walk *walk)
{
    struct segment *segment = &log->segments[index];
    char path[VOLUME_PATH_SIZE];
    struct log_walk before = *walk;
    int err;

    log_path(log, segment, path);
    err = log_walk_open(walk, log->volume, path, 0);
    if (err != 0) {
        walk->window = before.window;
        return err;
    }
    walk->window = before.window;
    walk->salt = log->salt;
    walk->generation = log->generation;
    walk->linked = before.linked;
    walk->number = before.number;
    walk->chain = before.chain;
    walk->last = before.last;
    segment->before = log->last;
    segment->size = walk->end;
    err = scan_items(log, index, walk);
    (void)close(walk->fd); /* only read */
    walk->fd = -1;
    return err;
}

static int scan_items(struct log *log, size_t index, struct log_walk *walk)
{
    struct segment *segment = &log->segments[index];
    uint64_t end = 0; /* behind the last good item */
    int err = 0;

    while (err == 0) {
        enum log_item item = log_walk_next(walk);

        switch (item) {
            case LOG_BATCH:
                take_batch(log, segment, walk);
                end = walk->offset;
                break;
            case LOG_RECORD:
                if (segment->end == LOG_HEADER_SIZE &&
                    walk->zxid < segment->first) {
                    return volume_damage(log->volume, walk->path, walk->item,
                                         "below the zxid in the file's name");
                }
                take_record(log, walk->zxid);
                end = walk->offset;
                break;
            case LOG_END:
            case LOG_BAD:
                segment->end = end;
                err = scan_end(log, index, walk, item, end);
                if (err == ERR_NOT_FOUND) {
                    return 0;
                }
                break;
            case LOG_FAILED:
                return ERR_IO;
        }
        segment->end = end;
    }
    return err;
}

static void take_batch(struct log *log, struct segment *segment,
                       const struct log_walk *walk)
{
    const struct log_header *header = &walk->header;

    if (segment->marks_count == 0) {
        segment->before = header->before;
        log->last = header->before;
    }
    log_mark(segment, header->before, walk->item);
    log->batch_open = false;
    log->checkpoint_written = header->checkpoint;
    if (header->committed > log->committed) {
        log->committed = header->committed;
    }
    if (header->checkpoint > log->checkpoint) {
        log->checkpoint = header->checkpoint;
    }
}

static void take_record(struct log *log, zxid_t zxid)
{
    size_t count = log->epoch_ends_count;

    log->first = log->first == 0 ? zxid : log->first;
    log->last = zxid;
    log->batch_open = true;
    if (count > 0 &&
        zxid_epoch(log->epoch_ends[count - 1]) == zxid_epoch(zxid)) {
        log->epoch_ends[count - 1] = zxid;
        return;
    }
    log->epoch_ends = mem_grow(log->epoch_ends, &log->epoch_ends_capacity,
                               count + 1, sizeof(*log->epoch_ends));
    log->epoch_ends[count] = zxid;
    log->epoch_ends_count++;
}

/* Where the good items end. ERR_NOT_FOUND: nothing more to read here. 0: damage
 * was reported, and the walk stands at the next good batch. */
static int scan_end(struct log *log, size_t index, struct log_walk *walk,
                    enum log_item item, uint64_t end)
{
    bool is_last = index + 1 == log->count;
    uint64_t at = walk->item;
    const char *reason =
        item == LOG_BAD ? walk->reason : "batches missing before the next one";
    bool dirty;
    int err = log_walk_resume(walk, &dirty);

    if (err != 0 && err != ERR_NOT_FOUND) {
        return err;
    }
    if (err == 0 || (item == LOG_BAD && walk->misplaced) ||
        (!is_last && (item == LOG_BAD || end == 0))) {
        /* Whole, or with something whole behind it: it was synced once. */
        (void)volume_damage(log->volume, walk->path, at,
                            end == 0 && item == LOG_END ? "empty, but not last"
                                                        : reason);
        walk->linked = false;
        if (log->volume->found == NULL) {
            return ERR_CORRUPT;
        }
        return err;
    }
    if (is_last && end == 0) {
        log->drop_last = true;
        volume_note(log->volume, walk->path, at, "begun, and nothing whole in");
    } else if (is_last && dirty) {
        log->cut_at = end;
        volume_note(log->volume, walk->path, at, "torn tail of the last batch");
    }
    return ERR_NOT_FOUND;
}

int log_open(struct log *log, uint64_t segment_size)
{
    char path[VOLUME_PATH_SIZE];
    struct segment *last;
    int err;

    log->segment_size = segment_size;
    if (log->drop_last) {
        log_path(log, &log->segments[log->count - 1], path);
        err = file_unlink(log->volume, path);
        if (err != 0) {
            return err;
        }
        log_pop_segment(log);
        log->drop_last = false;
    }
    if (log->next_fd < 0) {
        volume_path(path, log->volume->log_dir, "log.next");
        err = file_unlink(log->volume, path);
        if (err != 0) {
            return err;
        }
    }
    if (log->count > 0) {
        last = &log->segments[log->count - 1];
        log_path(log, last, log->path);
        err = file_open(log->volume, log->path, O_RDWR, &log->fd);
        if (err == 0 && log->cut_at != 0) {
            err = cut_tail(log, last);
        }
        /* A process that was killed may have written what it never synced. */
        if (err == 0) {
            err = file_sync_all(log->volume, log->fd, log->path);
        }
        if (err != 0) {
            return err;
        }
    }
    return file_sync_dir(log->volume, log->volume->log_dir);
}

static int cut_tail(struct log *log, struct segment *last)
{
    int err;

    CHECK(log->cut_at <= last->size);
    if (ftruncate(log->fd, (off_t)log->cut_at) != 0) {
        return volume_fail(log->volume, "truncate", log->path);
    }
    err = file_allocate(log->volume, log->fd, log->path, last->size);
    if (err == ERR_BUSY) {
        last->size = log->cut_at; /* no room: the next segment takes over */
        err = 0;
    }
    last->zeroed = 0;
    log->cut_at = 0;
    return err;
}

int log_collect(struct log *log)
{
    char path[VOLUME_PATH_SIZE];
    const char *file;
    DIR *dir;
    int err = 0;

    if (!log->garbage) {
        return 0;
    }
    dir = opendir(log->volume->log_dir);
    if (dir == NULL) {
        return volume_fail(log->volume, "open", log->volume->log_dir);
    }
    log->garbage = false;
    while ((file = file_next(dir)) != NULL) {
        struct name name;

        if (parse_name(file, &name) && name.generation != log->generation) {
            volume_path(path, log->volume->log_dir, file);
            err = file_unlink(log->volume, path);
            log->garbage = true; /* perhaps more: next time */
            break;
        }
    }
    (void)closedir(dir);
    return err;
}

/* log.GENERATION.ZXID, decimal and hexadecimal, as log_path() writes it. */
static bool parse_name(const char *text, struct name *name)
{
    char again[64];

    if (sscanf(text, "log.%" SCNu32 ".%" SCNx64, // NOLINT(cert-err34-c)
               &name->generation, &name->first) != 2) {
        return false;
    }
    (void)snprintf(again, sizeof(again), "log.%" PRIu32 ".%" PRIx64,
                   name->generation, name->first);
    return strcmp(again, text) == 0;
}

void log_path(const struct log *log, const struct segment *segment, char *path)
{
    char name[64];

    (void)snprintf(name, sizeof(name), "log.%" PRIu32 ".%" PRIx64,
                   log->generation, segment->first);
    volume_path(path, log->volume->log_dir, name);
}

struct segment *log_push_segment(struct log *log, zxid_t first)
{
    log->segments = mem_grow(log->segments, &log->capacity, log->count + 1,
                             sizeof(*log->segments));
    log->segments[log->count] = (struct segment){.first = first};
    log->count++;
    return &log->segments[log->count - 1];
}

void log_pop_segment(struct log *log)
{
    CHECK(log->count > 0);
    log->count--;
    mem_free(log->segments[log->count].marks);
}
