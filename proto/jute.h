/* Jute, ZooKeeper's binary encoding: big-endian numbers, strings and buffers
 * with a 32-bit length in front (-1 = null), vectors with a 32-bit count.
 *
 * The reader remembers its first failure and from then on gives zeros, so that
 * a decoder checks once at the end. Nothing is allocated by a length or count
 * that was read: a vector's count is held against the bytes that are left.
 * Inline, because every byte of every client goes through here. */
#ifndef CORRAL_PROTO_JUTE_H
#define CORRAL_PROTO_JUTE_H

#include "base/buf.h"
#include "base/bytes.h"
#include "base/slice.h"

struct jute_reader {
    struct slice left;
    int err; /* 0, or ERR_MALFORMED */
};

/* A null string, buffer or vector has this for its length. */
#define JUTE_NULL (-1)

void jute_reader_init(struct jute_reader *reader, struct slice bytes);
/* What the readers below do with bytes that do not parse. */
void jute_reader_fail(struct jute_reader *reader);
/* A vector's count, -1 for null. Fails when count elements of at least
 * element_size_min bytes each cannot be in what is left. */
int32_t jute_read_count(struct jute_reader *reader, size_t element_size_min);

/* Where a string ends whose length is 0 or negative. */
struct slice jute_read_bytes_empty(struct jute_reader *reader, int32_t len);

/* The next n bytes (at least 1), or NULL and a failure. */
static inline const uint8_t *jute_take(struct jute_reader *reader, size_t n)
{
    const uint8_t *at = reader->left.ptr;

    if (__builtin_expect(reader->left.len < n, 0)) {
        jute_reader_fail(reader);
        return NULL;
    }
    reader->left = slice_after(reader->left, n);
    return at;
}

static inline bool jute_read_bool(struct jute_reader *reader)
{
    const uint8_t *at = jute_take(reader, 1);

    return at != NULL && *at != 0;
}

static inline int32_t jute_read_int(struct jute_reader *reader)
{
    const uint8_t *at = jute_take(reader, 4);

    return at == NULL ? 0 : (int32_t)bytes_load32(at);
}

static inline int64_t jute_read_long(struct jute_reader *reader)
{
    const uint8_t *at = jute_take(reader, 8);

    return at == NULL ? 0 : (int64_t)bytes_load64(at);
}

/* Strings and buffers alike; borrowed from the bytes. Null gives ptr NULL. */
static inline struct slice jute_read_bytes(struct jute_reader *reader)
{
    int32_t len = jute_read_int(reader);

    if (__builtin_expect(len <= 0, 0)) {
        return jute_read_bytes_empty(reader, len);
    }
    const uint8_t *at = jute_take(reader, (size_t)len);

    return slice_make(at, at == NULL ? 0 : (size_t)len);
}

/* The writer runs over memory whose size was computed before. */
struct jute_writer {
    uint8_t *at;
};

static inline void jute_write_bool(struct jute_writer *writer, bool value)
{
    *writer->at++ = value ? 1 : 0;
}

static inline void jute_write_int(struct jute_writer *writer, int32_t value)
{
    bytes_store32(writer->at, (uint32_t)value);
    writer->at += 4;
}

static inline void jute_write_long(struct jute_writer *writer, int64_t value)
{
    bytes_store64(writer->at, (uint64_t)value);
    writer->at += 8;
}

static inline void jute_write_bytes(struct jute_writer *writer,
                                    struct slice bytes)
{
    if (slice_is_absent(bytes)) {
        jute_write_int(writer, JUTE_NULL);
        return;
    }
    jute_write_int(writer, (int32_t)bytes.len);
    if (bytes.len > 0) {
        memcpy(writer->at, bytes.ptr, bytes.len);
    }
    writer->at += bytes.len;
}

static inline size_t jute_size_bytes(struct slice bytes)
{
    return 4 + bytes.len;
}

#endif
