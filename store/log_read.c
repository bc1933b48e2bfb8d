#include <string.h>

#include "base/err.h"
#include "proto/record.h"
#include "store/log.h"

static int read_segment(struct log *log, const struct segment *segment,
                        zxid_t *zxid, size_t size_max, struct buf *list);
static void go_on(const struct log *log, const struct segment *segment,
                  zxid_t zxid, struct log_walk *walk);
static const struct log_mark *mark_below(const struct segment *segment,
                                         zxid_t zxid);

int log_read(struct log *log, zxid_t zxid, size_t size_max, struct buf *list,
             zxid_t *last_read, bool *at_end)
{
    int err = 0;

    if (zxid < log->floor) {
        return ERR_NOT_FOUND;
    }
    for (size_t i = 0; i < log->count && err == 0; i++) {
        if (i + 1 < log->count && log->segments[i + 1].before <= zxid) {
            continue;
        }
        err = read_segment(log, &log->segments[i], &zxid, size_max, list);
    }
    *last_read = zxid;
    *at_end = err == 0;
    return err == ERR_TOO_BIG ? 0 : err;
}

/* ERR_TOO_BIG: the list is full. */
static int read_segment(struct log *log, const struct segment *segment,
                        zxid_t *zxid, size_t size_max, struct buf *list)
{
    char path[VOLUME_PATH_SIZE];
    struct log_walk walk;
    struct log_cursor at = {0};
    enum log_item item;
    int err;

    if (segment->end == 0 || segment->marks_count == 0) {
        return 0;
    }
    log_path(log, segment, path);
    err = log_walk_open(&walk, log->volume, path, segment->end);
    if (err != 0) {
        return err;
    }
    walk.salt = log->salt;
    walk.generation = log->generation;
    walk.offset = mark_below(segment, *zxid)->offset;
    go_on(log, segment, *zxid, &walk);
    while (err == 0) {
        at = (struct log_cursor){.segment = segment->first,
                                 .last = walk.last,
                                 .offset = walk.offset,
                                 .number = walk.number,
                                 .chain = walk.chain};
        item = log_walk_next(&walk);
        if (item == LOG_RECORD && walk.zxid > *zxid) {
            if (list->len > 0 && list->len + walk.payload.len > size_max) {
                err = ERR_TOO_BIG;
                break;
            }
            record_put_log(list, walk.zxid, walk.payload);
            *zxid = walk.zxid;
        } else if (item == LOG_END) {
            break;
        } else if (item == LOG_BAD) {
            err = volume_damage(log->volume, path, walk.item, walk.reason);
        } else if (item == LOG_FAILED) {
            err = ERR_IO;
        }
    }
    log_walk_close(&walk);
    if (err == 0 || err == ERR_TOO_BIG) {
        at.zxid = *zxid;
        log->cursors[log->next_cursor] = at;
        log->next_cursor = (log->next_cursor + 1) % LOG_CURSORS;
    }
    return err;
}

/* A batch may be much longer than what is read at a time, and the next mark far
 * away: without this each read would begin at its header. */
static void go_on(const struct log *log, const struct segment *segment,
                  zxid_t zxid, struct log_walk *walk)
{
    for (size_t i = 0; i < LOG_CURSORS; i++) {
        const struct log_cursor *at = &log->cursors[i];

        if (at->zxid == zxid && zxid != 0 && at->segment == segment->first &&
            at->offset > walk->offset) {
            walk->offset = at->offset;
            walk->number = at->number;
            walk->chain = at->chain;
            walk->last = at->last;
            walk->linked = true;
        }
    }
}

void log_forget_cursors(struct log *log)
{
    memset(log->cursors, 0, sizeof(log->cursors));
}

/* The last mark with nothing wanted before it. */
static const struct log_mark *mark_below(const struct segment *segment,
                                         zxid_t zxid)
{
    size_t low = 0;
    size_t high = segment->marks_count;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (segment->marks[middle].before <= zxid) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return &segment->marks[low];
}
