/* Jute, ZooKeeper's binary encoding: big-endian numbers, strings and buffers
 * with a 32-bit length in front (-1 = null), vectors with a 32-bit count.
 *
 * The reader remembers its first failure and from then on gives zeros, so that
 * a decoder checks once at the end. Nothing is allocated by a length or count
 * that was read: a vector's count is held against the bytes that are left. */
#ifndef CORRAL_PROTO_JUTE_H
#define CORRAL_PROTO_JUTE_H

#include "base/buf.h"
#include "base/slice.h"

struct jute_reader {
    struct slice left;
    int err; /* 0, or ERR_MALFORMED */
};

void jute_reader_init(struct jute_reader *reader, struct slice bytes);
bool jute_read_bool(struct jute_reader *reader);
int32_t jute_read_int(struct jute_reader *reader);
int64_t jute_read_long(struct jute_reader *reader);
/* Strings and buffers alike; borrowed from the bytes. Null gives ptr NULL. */
struct slice jute_read_bytes(struct jute_reader *reader);
/* A vector's count, -1 for null. Fails when count elements of at least
 * element_size_min bytes each cannot be in what is left. */
int32_t jute_read_count(struct jute_reader *reader, size_t element_size_min);

/* The writer runs over memory whose size was computed before. */
struct jute_writer {
    uint8_t *at;
};

void jute_write_bool(struct jute_writer *writer, bool value);
void jute_write_int(struct jute_writer *writer, int32_t value);
void jute_write_long(struct jute_writer *writer, int64_t value);
void jute_write_bytes(struct jute_writer *writer, struct slice bytes);

static inline size_t jute_size_bytes(struct slice bytes)
{
    return 4 + bytes.len;
}

#endif
