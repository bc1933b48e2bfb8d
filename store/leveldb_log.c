#include <fcntl.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/err.h"
#include "store/leveldb_scan.h"

enum {
    BLOCK = 32768,
    HEADER = 7, /* masked CRC, 16-bit length, type */
};

enum { TYPE_NONE, TYPE_FULL, TYPE_FIRST, TYPE_MIDDLE, TYPE_LAST };

struct reader {
    const struct leveldb_log *log;
    struct buf file;   /* all of it: logs are as large as the write buffer */
    struct buf record; /* its fragments so far */
    bool inside;       /* between a FIRST and its LAST */
    uint64_t whole;    /* behind the last whole record */
};

struct fragment {
    uint8_t type;
    struct slice bytes;
    uint64_t next; /* where the one behind begins */
};

enum look { LOOK_GOOD, LOOK_END, LOOK_BAD };

static int read_whole(const struct leveldb_log *log, struct buf *file);
static int scan(struct reader *reader, struct leveldb_tail *tail);
static int take(struct reader *reader, const struct fragment *fragment,
                bool *bad);
static enum look look(const struct buf *file, uint64_t at,
                      struct fragment *fragment);
static bool begins_later(const struct reader *reader, uint64_t bad_at);

int leveldb_log_scan(const struct leveldb_log *log, struct leveldb_tail *tail)
{
    struct reader reader = {.log = log};
    int err = read_whole(log, &reader.file);

    tail->torn = false;
    if (err == 0) {
        err = scan(&reader, tail);
    }
    buf_finish(&reader.file);
    buf_finish(&reader.record);
    return err;
}

static int read_whole(const struct leveldb_log *log, struct buf *file)
{
    uint64_t size;
    size_t len = 0;
    int fd;
    int err = file_open(log->volume, log->path, O_RDONLY, &fd);

    if (err != 0) {
        return err;
    }
    err = file_size(log->volume, fd, log->path, &size);
    if (err == 0 && size > 0) {
        err = file_read(log->volume, fd, log->path,
                        buf_extend(file, (size_t)size), (size_t)size, 0, &len);
        file->len = len;
    }
    (void)close(fd); /* only read */
    return err;
}

/* Every write is synced before the next one is made, so only the last one can
 * be torn: anything bad that a later record follows was once synced. */
static int scan(struct reader *reader, struct leveldb_tail *tail)
{
    const struct leveldb_log *log = reader->log;
    uint64_t at = 0;
    bool bad = false;
    int err = 0;

    while (err == 0 && !bad) {
        struct fragment fragment;
        enum look found = look(&reader->file, at, &fragment);

        if (found == LOOK_END) {
            break;
        }
        if (found == LOOK_BAD) {
            bad = true;
            break;
        }
        if (fragment.type != TYPE_NONE) {
            err = take(reader, &fragment, &bad);
        }
        if (!bad) {
            at = fragment.next;
        }
    }
    if (err != 0) {
        return err;
    }
    if (bad && (!log->last || begins_later(reader, at))) {
        return volume_damage(log->volume, log->path, at,
                             "LevelDB record fails its checksum");
    }
    if (!bad && reader->inside && !log->last) {
        return volume_damage(log->volume, log->path, reader->whole,
                             "LevelDB record cut short");
    }
    if (bad || reader->inside || at < reader->file.len) {
        tail->torn = true;
        tail->offset = reader->whole;
    }
    return 0;
}

/* The fragment at an offset. TYPE_NONE: the rest of a block, to be skipped. */
static enum look look(const struct buf *file, uint64_t at,
                      struct fragment *fragment)
{
    uint64_t block_end = at - at % BLOCK + BLOCK;
    const uint8_t *p;
    size_t len;

    if (at >= file->len) {
        return LOOK_END; /* an empty file has no data to point into */
    }
    p = file->data + at;
    fragment->next = block_end;
    fragment->type = TYPE_NONE;
    if (block_end - at < HEADER) {
        for (uint64_t i = at; i < block_end && i < file->len; i++) {
            if (file->data[i] != 0) {
                return LOOK_BAD;
            }
        }
        return LOOK_GOOD;
    }
    if (file->len - at < HEADER) {
        return LOOK_BAD;
    }
    len = p[4] | (size_t)p[5] << 8;
    fragment->type = p[6];
    if (fragment->type < TYPE_FULL || fragment->type > TYPE_LAST ||
        HEADER + len > block_end - at || HEADER + len > file->len - at ||
        !leveldb_crc_fits(slice_make(p + 6, 1 + len), leveldb_load32(p))) {
        return LOOK_BAD;
    }
    fragment->bytes = slice_make(p + HEADER, len);
    fragment->next = at + HEADER + len;
    return LOOK_GOOD;
}

static int take(struct reader *reader, const struct fragment *fragment,
                bool *bad)
{
    bool begins = fragment->type == TYPE_FULL || fragment->type == TYPE_FIRST;
    bool ends = fragment->type == TYPE_FULL || fragment->type == TYPE_LAST;

    if (begins == reader->inside) {
        *bad = true;
        return 0;
    }
    if (begins) {
        buf_clear(&reader->record);
    }
    buf_append(&reader->record, fragment->bytes);
    reader->inside = !ends;
    if (!ends) {
        return 0;
    }
    reader->whole = fragment->next;
    return reader->log->found == NULL
               ? 0
               : reader->log->found(reader->log->arg,
                                    buf_bytes(&reader->record));
}

/* Does a record begin behind the bad place? Fragments of the torn record
 * itself may lie there, but never a first one. The length in a bad header may
 * be good: so the rest of its block is tried from there. */
static bool begins_later(const struct reader *reader, uint64_t bad_at)
{
    const struct buf *file = &reader->file;
    uint64_t block = bad_at - bad_at % BLOCK;
    uint64_t at = block + BLOCK;

    if (file->len - bad_at >= HEADER) {
        const uint8_t *p = file->data + bad_at;

        at = bad_at + HEADER + (p[4] | (uint64_t)p[5] << 8);
        at = at < block + BLOCK ? at : block + BLOCK;
    }
    while (at < file->len) {
        struct fragment fragment;

        if (look(file, at, &fragment) != LOOK_GOOD) {
            at = at - at % BLOCK + BLOCK;
            continue;
        }
        if (fragment.type == TYPE_FULL || fragment.type == TYPE_FIRST) {
            return true;
        }
        at = fragment.next;
    }
    return false;
}

uint32_t leveldb_load32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

bool leveldb_crc_fits(struct slice bytes, uint32_t masked)
{
    uint32_t crc = crc32c(0, bytes);

    return ((crc >> 15) | (crc << 17)) + UINT32_C(0xa282ead8) == masked;
}

bool leveldb_varint(struct slice *from, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && from->len > 0; shift += 7) {
        uint8_t byte = from->ptr[0];

        *from = slice_after(*from, 1);
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return true;
        }
    }
    return false;
}
