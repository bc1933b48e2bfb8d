#include "store/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/mutation.h"

enum {
    MARK_EVERY = 256 * 1024,
    STAGING_MAX = 16 << 20,   /* bytes of one batch */
    STAGING_KEPT = 1 << 20,   /* memory between batches */
    SEGMENT_SMALL = 64 << 10, /* what a nearly full disk still gets */
    ZEROS = 64 << 10,
    ZEROS_AHEAD = 4,        /* times ZEROS */
    ZEROS_FOR_BATCH = 1024, /* bytes: less than that shares its block */
    /* Kept free at a segment's end for batches without records. */
    SETTLE_ROOM = 4 * LOG_HEADER_SIZE,
};

static int make_room(struct log *log, zxid_t zxid, size_t size);
static int switch_segment(struct log *log, zxid_t first, uint64_t size);
static int prepare(struct log *log, uint64_t size);
static void stage_header(struct log *log);
static int zero_ahead(struct log *log, struct segment *last);
static int cut_into(struct log *log, struct segment *segment, zxid_t zxid);
static void close_last(struct log *log);

static struct segment *last_segment(const struct log *log)
{
    return log->count == 0 ? NULL : &log->segments[log->count - 1];
}

void log_close(struct log *log)
{
    close_last(log);
    if (log->next_fd >= 0) {
        (void)close(log->next_fd); /* empty */
        log->next_fd = -1;
    }
    while (log->count > 0) {
        log_pop_segment(log);
    }
    mem_free(log->segments);
    mem_free(log->epoch_ends);
    log->segments = NULL;
    log->epoch_ends = NULL;
    buf_finish(&log->staging);
}

static void close_last(struct log *log)
{
    if (log->fd >= 0) {
        (void)close(log->fd); /* all of it is synced, or has failed */
        log->fd = -1;
    }
}

int log_append(struct log *log, zxid_t zxid, struct slice payload)
{
    size_t size = log_record_size(payload.len);
    uint8_t *to;
    int err;

    CHECK(zxid > log->staged);
    CHECK(payload.len <= LOG_PAYLOAD_MAX);
    err = make_room(log, zxid, size);
    if (err != 0) {
        return err;
    }
    if (log->staging.len == 0) {
        stage_header(log);
    }
    to = buf_extend(&log->staging, size);
    bytes_store32(to + 4, (uint32_t)payload.len);
    bytes_store64(to + 8, zxid);
    if (payload.len > 0) {
        memcpy(to + LOG_RECORD_HEADER_SIZE, payload.ptr, payload.len);
    }
    memset(to + LOG_RECORD_HEADER_SIZE + payload.len, 0,
           size - LOG_RECORD_HEADER_SIZE - payload.len);
    log->chain = log_record_crc(log->chain, to, payload.len);
    bytes_store32(to, log->chain);
    log->staged = zxid;
    log->batch_open = true;
    return 0;
}

/* Sees to it that the record fits behind what is staged. */
static int make_room(struct log *log, zxid_t zxid, size_t size)
{
    const struct segment *last = last_segment(log);
    uint64_t need = LOG_HEADER_SIZE + size + SETTLE_ROOM;
    int err;

    if (log->staging.len > 0 && log->staging.len + size > STAGING_MAX) {
        err = log_commit(log);
        if (err != 0) {
            return err;
        }
    }
    if (last != NULL && log->fd >= 0 &&
        last->end + log->staging.len + need <= last->size) {
        return 0;
    }
    err = log_commit(log);
    return err != 0 ? err : switch_segment(log, zxid, need);
}

static void stage_header(struct log *log)
{
    struct log_header header = {
        .number = log->number + 1,
        /* Only what is in the log for certain, so that a torn batch never
         * leaves a claim about what it lost. */
        .committed = log->committed < log->last ? log->committed : log->last,
        .checkpoint = log->checkpoint,
        .before = log->last,
        .generation = log->generation,
        .chain = log->chain,
    };
    uint8_t *to = buf_extend(&log->staging, LOG_HEADER_SIZE);

    log_header_encode(&header, log->salt, to);
    log->number = header.number;
    log->chain = bytes_load32(to);
    log->checkpoint_written = header.checkpoint;
    log->batch_open = false;
}

int log_commit(struct log *log)
{
    struct segment *last = last_segment(log);
    int err;

    if (log->staging.len == 0) {
        return 0;
    }
    err = zero_ahead(log, last);
    if (err == 0) {
        err = file_write(log->volume, log->fd, log->path,
                         buf_bytes(&log->staging), last->end);
    }
    if (err == 0 && !MUTATION(35)) {
        err = file_sync(log->volume, log->fd, log->path);
    }
    if (err != 0) {
        return err;
    }
    log_mark(last, log->last, last->end);
    last->end += log->staging.len;
    log->last = log->staged;
    if (log->staging.capacity > STAGING_KEPT) {
        buf_finish(&log->staging);
    }
    buf_clear(&log->staging);
    return 0;
}

/* A sync of blocks that were allocated and never written commits the file
 * system's journal, one of blocks that were written does not: half the time and
 * half the CPU for each batch, paid for by one larger write now and then. */
static int zero_ahead(struct log *log, struct segment *last)
{
    static const uint8_t zeros[ZEROS];
    uint64_t end = last->end + log->staging.len;
    int err = 0;

    if (end <= last->zeroed || log->staging.len < ZEROS_FOR_BATCH) {
        return 0;
    }
    last->zeroed = end;
    for (int i = 0; i < ZEROS_AHEAD && err == 0; i++) {
        uint64_t left = last->size - last->zeroed;
        size_t len = left < ZEROS ? (size_t)left : ZEROS;

        err = file_write(log->volume, log->fd, log->path,
                         slice_make(zeros, len), last->zeroed);
        last->zeroed += len;
    }
    return err;
}

void log_mark(struct segment *segment, zxid_t before, uint64_t offset)
{
    size_t count = segment->marks_count;

    if (count > 0 && offset - segment->marks[count - 1].offset < MARK_EVERY) {
        return;
    }
    segment->marks = mem_grow(segment->marks, &segment->marks_capacity,
                              count + 1, sizeof(*segment->marks));
    segment->marks[count] = (struct log_mark){before, offset};
    segment->marks_count++;
}

int log_settle(struct log *log)
{
    const struct segment *last = last_segment(log);

    CHECK(log->staging.len == 0);
    if (last == NULL || log->fd < 0 ||
        (!log->batch_open && log->checkpoint_written == log->checkpoint) ||
        last->end + LOG_HEADER_SIZE > last->size) {
        return 0;
    }
    stage_header(log);
    return log_commit(log);
}

int log_prepare(struct log *log)
{
    const struct segment *last = last_segment(log);
    int err;

    if (log->next_fd >= 0 ||
        (last != NULL && last->end < last->size / 2 && !log->no_room)) {
        return 0;
    }
    err = prepare(log, log->segment_size);
    return err == ERR_BUSY ? 0 : err;
}

static void next_path(const struct log *log, char *path)
{
    volume_path(path, log->volume->log_dir, "log.next");
}

/* ERR_BUSY: no room, and nothing is left behind. */
static int prepare(struct log *log, uint64_t size)
{
    char path[VOLUME_PATH_SIZE];
    int err;

    next_path(log, path);
    if (log->next_fd >= 0) {
        (void)close(log->next_fd); /* empty, and too small */
        log->next_fd = -1;
    }
    err = file_unlink(log->volume, path);
    if (err == 0) {
        err = file_open(log->volume, path, O_RDWR | O_CREAT, &log->next_fd);
    }
    if (err != 0) {
        return err;
    }
    err = file_allocate(log->volume, log->next_fd, path, size);
    log->no_room = err == ERR_BUSY;
    if (err == 0) {
        err = file_sync_all(log->volume, log->next_fd, path);
    }
    if (err == 0) {
        log->next_size = size;
        return 0;
    }
    (void)close(log->next_fd); /* empty */
    log->next_fd = -1;
    (void)file_unlink(log->volume, path); /* nothing was in it */
    return err;
}

/* A segment named for its first record, with room for size bytes. A record
 * larger than a segment gets one of its own size. */
static int switch_segment(struct log *log, zxid_t first, uint64_t size)
{
    char path[VOLUME_PATH_SIZE];
    struct segment *segment;
    int err;

    if (log->next_fd < 0 || log->next_size < size) {
        err = prepare(log, size > log->segment_size ? size : log->segment_size);
        if (err == ERR_BUSY) {
            err = prepare(log, size > SEGMENT_SMALL ? size : SEGMENT_SMALL);
            log->no_room = true;
        }
        if (err != 0) {
            return err;
        }
    }
    segment = log_push_segment(log, first);
    segment->before = log->last;
    segment->size = log->next_size;
    next_path(log, path);
    log_path(log, segment, log->path);
    if (rename(path, log->path) != 0) {
        return volume_fail(log->volume, "rename", path);
    }
    close_last(log);
    log->fd = log->next_fd;
    log->next_fd = -1;
    return MUTATION(15) ? 0 : file_sync_dir(log->volume, log->volume->log_dir);
}

int log_truncate(struct log *log, zxid_t zxid)
{
    CHECK(log->staging.len == 0);
    if (zxid >= log->last) {
        return 0;
    }
    if (zxid < log->floor) {
        return ERR_NOT_FOUND;
    }
    log_forget_cursors(log);
    /* Lowered before anything on disk is: nobody may count on what goes. */
    log->last = zxid;
    log->staged = zxid;
    close_last(log);
    /* From the last to the first, each unlink durable before the next: a power
     * cut leaves no hole. */
    while (log->count > 0 && last_segment(log)->before >= zxid) {
        int err;

        log_path(log, last_segment(log), log->path);
        err = file_unlink(log->volume, log->path);
        if (err == 0) {
            err = file_sync_dir(log->volume, log->volume->log_dir);
        }
        if (err != 0) {
            return err;
        }
        log_pop_segment(log);
    }
    if (log->count == 0) {
        log_restart(log, log->generation, zxid);
        return 0;
    }
    return cut_into(log, last_segment(log), zxid);
}

/* Cuts behind the last record not above zxid, and allocates again, so that
 * nothing valid lies behind the end. */
static int cut_into(struct log *log, struct segment *segment, zxid_t zxid)
{
    struct log_walk walk;
    enum log_item item = LOG_BATCH;
    int err;

    log_path(log, segment, log->path);
    while (segment->marks_count > 1 &&
           segment->marks[segment->marks_count - 1].before >= zxid) {
        segment->marks_count--;
    }
    err = log_walk_open(&walk, log->volume, log->path, segment->end);
    if (err != 0) {
        return err;
    }
    walk.salt = log->salt;
    walk.generation = log->generation;
    walk.offset = segment->marks[segment->marks_count - 1].offset;
    do {
        log->number = walk.number;
        log->chain = walk.chain;
        segment->end = walk.offset;
        item = log_walk_next(&walk);
    } while ((item == LOG_BATCH && walk.header.before < zxid) ||
             (item == LOG_RECORD && walk.zxid <= zxid));
    if (item == LOG_FAILED) {
        err = ERR_IO;
    } else if (item == LOG_BAD) {
        err = volume_damage(log->volume, log->path, walk.item, walk.reason);
    }
    log_walk_close(&walk);
    if (err != 0) {
        return err;
    }
    log->batch_open = true;
    log->cut_at = segment->end;
    return log_open(log, log->segment_size);
}

int log_purge(struct log *log, zxid_t zxid)
{
    while (log->count > 1 && log->segments[1].before <= zxid) {
        char path[VOLUME_PATH_SIZE];
        int err;

        log_path(log, &log->segments[0], path);
        err = file_unlink(log->volume, path);
        if (err == 0) {
            err = file_sync_dir(log->volume, log->volume->log_dir);
        }
        if (err != 0) {
            return err;
        }
        mem_free(log->segments[0].marks);
        log->count--;
        memmove(log->segments, log->segments + 1,
                log->count * sizeof(*log->segments));
        log->floor = log->segments[0].before;
    }
    return 0;
}

void log_restart(struct log *log, uint32_t generation, zxid_t base)
{
    CHECK(log->staging.len == 0);
    log_forget_cursors(log);
    close_last(log);
    while (log->count > 0) {
        log_pop_segment(log);
    }
    log->garbage = log->garbage || generation != log->generation;
    log->generation = generation;
    log->floor = base;
    log->last = base;
    log->staged = base;
    log->committed = base;
    log->number = 0;
    log->chain = 0;
    log->batch_open = false;
    log->checkpoint_written = log->checkpoint;
}

uint64_t log_bytes(const struct log *log)
{
    uint64_t bytes = log->next_fd >= 0 ? log->next_size : 0;

    for (size_t i = 0; i < log->count; i++) {
        bytes += log->segments[i].size;
    }
    return bytes;
}
