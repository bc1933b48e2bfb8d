/* Reads one segment item by item and checks all of it: batch headers by their
 * own CRC, records by the chain. Used to verify at start, to read for a
 * follower, to find where a truncation cuts, and by corral-dump.
 *
 * The format (docs/disk-format.md): an item is
 *   batch   CRC, LOG_MAGIC, then LOG_HEADER_SIZE in all
 *   record  CRC, length, zxid, payload, zeros up to a multiple of 8
 * Each CRC begins with the CRC of the item before. */
#ifndef CORRAL_STORE_LOG_WALK_H
#define CORRAL_STORE_LOG_WALK_H

#include "base/buf.h"
#include "proto/zxid.h"
#include "store/volume.h"

#define LOG_MAGIC UINT32_C(0xc0bba1ed) /* above any length */
enum { LOG_HEADER_SIZE = 48, LOG_RECORD_HEADER_SIZE = 16 };
#define LOG_PAYLOAD_MAX UINT32_C(0x40000000)

struct log_header {
    uint64_t number; /* of the batch, rising by one */
    zxid_t committed, checkpoint;
    zxid_t before; /* last record before this batch */
    uint32_t generation, chain;
};

enum log_item { LOG_BATCH, LOG_RECORD, LOG_END, LOG_BAD, LOG_FAILED };

struct log_walk {
    struct volume *volume;
    const char *path;
    int fd;
    uint64_t end;    /* of what may be looked at */
    uint64_t offset; /* of the next item */
    uint64_t salt;
    uint32_t generation;
    bool linked;     /* the next batch must follow these three */
    uint32_t chain;  /* CRC of the item before */
    uint64_t number; /* of the last batch */
    zxid_t last;     /* of the last record */
    /* What log_walk_next() found. */
    uint64_t item;      /* its offset */
    const char *reason; /* BAD */
    bool misplaced;     /* BAD, but whole: written so, hence no torn write */
    struct log_header header;
    zxid_t zxid;
    struct slice payload; /* until the next call */
    /* Bytes of the file around offset. */
    struct buf window;
    uint64_t window_at;
    size_t window_len;
};

/* Opens path for reading up to end (0: its size). ERR_IO. */
int log_walk_open(struct log_walk *walk, struct volume *volume,
                  const char *path, uint64_t end);
void log_walk_close(struct log_walk *walk);
enum log_item log_walk_next(struct log_walk *walk);
/* After LOG_BAD or LOG_END: moves on to the next batch with a number above the
 * last, found without the chain. ERR_NOT_FOUND, ERR_IO. *dirty: what was
 * passed over is not all zeros. */
int log_walk_resume(struct log_walk *walk, bool *dirty);

void log_header_encode(const struct log_header *header, uint64_t salt,
                       uint8_t *to);
/* The chain's next link of an encoded record without its CRC field. */
uint32_t log_record_crc(uint32_t chain, const uint8_t *record, size_t len);
static inline size_t log_record_size(size_t payload_len)
{
    return LOG_RECORD_HEADER_SIZE + ((payload_len + 7) & ~(size_t)7);
}

#endif
