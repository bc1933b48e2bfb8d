#include "store/log_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/mutation.h"

enum { WINDOW = 256 * 1024 };

static enum log_item bad(struct log_walk *walk, const char *reason);
static enum log_item take_header(struct log_walk *walk);
static enum log_item take_record(struct log_walk *walk, uint32_t len);
static int look(struct log_walk *walk, uint64_t at, size_t len,
                const uint8_t **bytes);
static bool header_decode(const uint8_t *from, uint64_t salt,
                          struct log_header *header);
static bool all_zero(const uint8_t *p, size_t len);

int log_walk_open(struct log_walk *walk, struct volume *volume,
                  const char *path, uint64_t end)
{
    uint64_t size;
    int err;

    *walk = (struct log_walk){.volume = volume, .path = path};
    err = file_open(volume, path, O_RDONLY, &walk->fd);
    if (err == 0) {
        err = file_size(volume, walk->fd, path, &size);
        if (err != 0) {
            (void)close(walk->fd); /* only read */
            walk->fd = -1;
        }
        walk->end = end == 0 || end > size ? size : end;
    }
    return err;
}

void log_walk_close(struct log_walk *walk)
{
    if (walk->fd >= 0) {
        (void)close(walk->fd); /* only read */
    }
    walk->fd = -1;
    buf_finish(&walk->window);
}

enum log_item log_walk_next(struct log_walk *walk)
{
    const uint8_t *bytes;
    uint32_t len;

    walk->item = walk->offset;
    walk->misplaced = false;
    if (walk->end - walk->offset < LOG_RECORD_HEADER_SIZE) {
        return LOG_END;
    }
    if (look(walk, walk->offset, LOG_RECORD_HEADER_SIZE, &bytes) != 0) {
        return LOG_FAILED;
    }
    len = bytes_load32(bytes + 4);
    if (len == LOG_MAGIC) {
        return take_header(walk);
    }
    if (all_zero(bytes, LOG_RECORD_HEADER_SIZE)) {
        return LOG_END;
    }
    if (len > LOG_PAYLOAD_MAX ||
        log_record_size(len) > walk->end - walk->offset) {
        return bad(walk, "no record has such a length");
    }
    return take_record(walk, len);
}

static enum log_item bad(struct log_walk *walk, const char *reason)
{
    walk->reason = reason;
    return LOG_BAD;
}

static enum log_item take_header(struct log_walk *walk)
{
    const uint8_t *bytes;

    if (walk->end - walk->offset < LOG_HEADER_SIZE) {
        return bad(walk, "batch header cut short");
    }
    if (look(walk, walk->offset, LOG_HEADER_SIZE, &bytes) != 0) {
        return LOG_FAILED;
    }
    if (!header_decode(bytes, walk->salt, &walk->header)) {
        return bad(walk, "batch header fails its checksum");
    }
    walk->misplaced = true;
    if (walk->header.generation != walk->generation) {
        return bad(walk, "batch of another generation");
    }
    if (walk->linked && (walk->header.number != walk->number + 1 ||
                         walk->header.chain != walk->chain ||
                         walk->header.before != walk->last)) {
        return bad(walk, "batch does not follow the one before");
    }
    walk->misplaced = false;
    walk->linked = true;
    walk->number = walk->header.number;
    walk->last = walk->header.before;
    walk->chain = bytes_load32(bytes);
    walk->offset += LOG_HEADER_SIZE;
    return LOG_BATCH;
}

static enum log_item take_record(struct log_walk *walk, uint32_t len)
{
    size_t size = log_record_size(len);
    const uint8_t *bytes;
    uint32_t crc;

    if (look(walk, walk->offset, size, &bytes) != 0) {
        return LOG_FAILED;
    }
    crc = MUTATION(23) ? bytes_load32(bytes)
                       : log_record_crc(walk->chain, bytes, len);
    walk->zxid = bytes_load64(bytes + 8);
    if (!walk->linked) {
        return bad(walk, "record before the first batch header");
    }
    if (crc != bytes_load32(bytes) ||
        !all_zero(bytes + LOG_RECORD_HEADER_SIZE + len,
                  size - LOG_RECORD_HEADER_SIZE - len)) {
        return bad(walk, "record fails its checksum");
    }
    if (walk->zxid <= walk->last) {
        walk->misplaced = true;
        return bad(walk, "zxid does not rise");
    }
    walk->payload = slice_make(bytes + LOG_RECORD_HEADER_SIZE, len);
    walk->chain = crc;
    walk->last = walk->zxid;
    walk->offset += size;
    return LOG_RECORD;
}

/* Headers stand at multiples of 8 only. Their CRC begins with a number that no
 * client knows, so that none can be planted in a znode. */
int log_walk_resume(struct log_walk *walk, bool *dirty)
{
    uint64_t at = walk->item;
    /* The header that stands here, if any, was looked at already. */
    uint64_t first = walk->item + 8;
    bool linked = walk->linked;

    *dirty = false;
    while (walk->end - at >= 8) {
        off_t data = lseek(walk->fd, (off_t)at, SEEK_DATA);
        const uint8_t *bytes;
        uint64_t stop;

        if (data < 0 && errno == ENXIO) {
            return ERR_NOT_FOUND; /* a hole up to the end: reads as zeros */
        }
        if (data > (off_t)at) {
            at = (uint64_t)data & ~UINT64_C(7);
        }
        if (at >= walk->end) {
            return ERR_NOT_FOUND;
        }
        stop = walk->end - at < WINDOW ? walk->end : at + WINDOW;
        if (look(walk, at, (size_t)(stop - at), &bytes) != 0) {
            return ERR_IO;
        }
        for (; stop - at >= 8; at += 8, bytes += 8) {
            struct log_header header;

            if (bytes_load64(bytes) == 0) {
                continue;
            }
            *dirty = true;
            if (at < first || bytes_load32(bytes + 4) != LOG_MAGIC) {
                continue;
            }
            if (stop - at < LOG_HEADER_SIZE && stop < walk->end) {
                break; /* look again from here */
            }
            if (stop - at >= LOG_HEADER_SIZE &&
                header_decode(bytes, walk->salt, &header) &&
                header.generation == walk->generation &&
                (!linked || header.number > walk->number)) {
                walk->offset = at;
                walk->linked = false;
                return 0;
            }
        }
        if (stop == walk->end) {
            return ERR_NOT_FOUND;
        }
    }
    return ERR_NOT_FOUND;
}

/* [at, at + len) of the file; the caller has checked it against end. */
static int look(struct log_walk *walk, uint64_t at, size_t len,
                const uint8_t **bytes)
{
    size_t want = len < WINDOW ? WINDOW : len;
    int err;

    CHECK(at + len <= walk->end);
    if (at < walk->window_at || at + len > walk->window_at + walk->window_len) {
        if (want > walk->end - at) {
            want = (size_t)(walk->end - at);
        }
        buf_clear(&walk->window);
        err = file_read(walk->volume, walk->fd, walk->path,
                        buf_extend(&walk->window, want), want, at,
                        &walk->window_len);
        if (err == 0 && walk->window_len < len) {
            errno = EIO; /* it was longer a moment ago */
            err = volume_fail(walk->volume, "read", walk->path);
        }
        walk->window_at = at;
        if (err != 0) {
            walk->window_len = 0;
            return err;
        }
    }
    *bytes = walk->window.data + (at - walk->window_at);
    return 0;
}

static bool all_zero(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (p[i] != 0) {
            return false;
        }
    }
    return true;
}

static uint32_t header_crc(const uint8_t *header, uint64_t salt)
{
    uint8_t seed[8];

    bytes_store64(seed, salt);
    return crc32c(crc32c(0, slice_make(seed, sizeof(seed))),
                  slice_make(header + 4, LOG_HEADER_SIZE - 4));
}

void log_header_encode(const struct log_header *header, uint64_t salt,
                       uint8_t *to)
{
    bytes_store32(to + 4, LOG_MAGIC);
    bytes_store64(to + 8, header->number);
    bytes_store64(to + 16, header->committed);
    bytes_store64(to + 24, header->checkpoint);
    bytes_store64(to + 32, header->before);
    bytes_store32(to + 40, header->generation);
    bytes_store32(to + 44, header->chain);
    bytes_store32(to, header_crc(to, salt));
}

static bool header_decode(const uint8_t *from, uint64_t salt,
                          struct log_header *header)
{
    *header = (struct log_header){
        .number = bytes_load64(from + 8),
        .committed = bytes_load64(from + 16),
        .checkpoint = bytes_load64(from + 24),
        .before = bytes_load64(from + 32),
        .generation = bytes_load32(from + 40),
        .chain = bytes_load32(from + 44),
    };
    return header_crc(from, salt) == bytes_load32(from);
}

uint32_t log_record_crc(uint32_t chain, const uint8_t *record, size_t len)
{
    return crc32c(chain,
                  slice_make(record + 4, LOG_RECORD_HEADER_SIZE - 4 + len));
}
