/* The log: segment files LOG_DIR/log.GENERATION.ZXID, records in zxid order,
 * written a batch at a time with one write and one sync each.
 *
 * Written by log.c, opened and verified by log_scan.c, read by log_read.c. A
 * segment is allocated and its directory entry durable before its first use,
 * and complete and durable before the next one begins: only the last can have
 * a torn tail. The disk thread's. */
#ifndef CORRAL_STORE_LOG_H
#define CORRAL_STORE_LOG_H

#include "base/buf.h"
#include "proto/zxid.h"
#include "store/log_walk.h"

struct state;

/* A place to begin reading at: a batch header. */
struct log_mark {
    zxid_t before;
    uint64_t offset;
};

/* Where a read ended, for the one that goes on from there. */
struct log_cursor {
    zxid_t zxid;    /* all up to here was read; 0: none */
    zxid_t segment; /* its first */
    zxid_t last;    /* before offset */
    uint64_t offset, number;
    uint32_t chain;
};

enum { LOG_CURSORS = 8 };

struct segment {
    zxid_t first;    /* in its name: above before, not above its first record */
    zxid_t before;   /* last record before it */
    uint64_t size;   /* of the file */
    uint64_t end;    /* behind its last record or header */
    uint64_t zeroed; /* zeros were written up to here */
    struct log_mark *marks; /* every 256 kB or so */
    size_t marks_count, marks_capacity;
};

struct log {
    struct volume *volume;
    uint64_t salt, segment_size;
    struct segment *segments; /* oldest first; new ones go into the last */
    size_t count, capacity;
    zxid_t floor;              /* last zxid before the first record here */
    zxid_t first;              /* found by the scan; 0: no record */
    zxid_t last;               /* durable; == floor: empty */
    uint64_t number;           /* of the last batch */
    zxid_t committed;          /* highest heard of */
    zxid_t checkpoint;         /* durable in LevelDB */
    zxid_t checkpoint_written; /* what the last header says */
    struct buf staging;        /* the batch to come */
    zxid_t staged;             /* its last record */
    uint64_t next_size;        /* of the prepared segment */
    /* Found by the scan: last zxid of each epoch. */
    zxid_t *epoch_ends;
    size_t epoch_ends_count, epoch_ends_capacity;
    uint64_t cut_at; /* of the last segment; 0: no torn tail */
    uint32_t generation;
    uint32_t chain;  /* CRC of the last item */
    int fd;          /* of the last segment, for writing; -1: none */
    int next_fd;     /* of the prepared one, or -1 */
    bool batch_open; /* the last batch has records */
    bool no_room;    /* the last allocation found the disk full */
    bool garbage;    /* files of other generations may be there */
    bool drop_last;  /* the last segment has nothing whole in it */
    char path[VOLUME_PATH_SIZE]; /* of the last segment */
    struct log_cursor cursors[LOG_CURSORS];
    size_t next_cursor; /* the oldest */
};

/* ---- log_scan.c */
/* Reads and checks all segments of the generation; changes nothing. Damage is
 * reported to the volume: ERR_CORRUPT. ERR_IO. */
int log_scan(struct log *log, struct volume *volume, const struct state *state);
/* After a clean scan: cuts the torn tail, removes leftovers, makes what is
 * there durable, opens the last segment for appending. */
int log_open(struct log *log, uint64_t segment_size);
/* Removes one file of another generation. */
int log_collect(struct log *log);
void log_mark(struct segment *segment, zxid_t before, uint64_t offset);
/* The segment's path into path (VOLUME_PATH_SIZE bytes). */
void log_path(const struct log *log, const struct segment *segment, char *path);
struct segment *log_push_segment(struct log *log, zxid_t first);
void log_pop_segment(struct log *log);

/* ---- log.c */
void log_close(struct log *log); /* frees; no write */
/* Stages a record; commits what is staged first when the segment is full. Rises
 * over log->staged. ERR_IO; ERR_BUSY: no room for a segment. */
int log_append(struct log *log, zxid_t zxid, struct slice payload);
int log_commit(struct log *log); /* one write, one sync */
/* A batch without records behind the last one, when that says something new. */
int log_settle(struct log *log);
/* The segment after this one, ahead of its need. ERR_IO; no room is not an
 * error but log->no_room. */
int log_prepare(struct log *log);
/* Drops records above zxid, which must not be below the floor: ERR_NOT_FOUND.
 * At the floor itself the caller has made the state files' base so first. */
int log_truncate(struct log *log, zxid_t zxid);
/* Unlinks segments that end at or below zxid, never the last. */
int log_purge(struct log *log, zxid_t zxid);
/* Begins an empty log behind base. The old files are garbage. */
void log_restart(struct log *log, uint32_t generation, zxid_t base);
uint64_t log_bytes(const struct log *log);

/* ---- log_read.c */
/* Records above zxid as record_put_log() lists them, at least one, then up to
 * size_max bytes. ERR_NOT_FOUND: zxid is below the floor. */
int log_read(struct log *log, zxid_t zxid, size_t size_max, struct buf *list,
             zxid_t *last_read, bool *at_end);
/* Something is about to be cut off. */
void log_forget_cursors(struct log *log);

#endif
