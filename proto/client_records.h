/* Private to proto/client*.c: what client_records.def gives besides structs.
 *
 *   SIZE_MIN(<name>)        bytes of the shortest such record
 *   decode_<name>           from a reader; arrays into the arena
 *   size_<name>             bytes that write_<name> will write
 *   write_<name>
 *
 * All inline: a request or reply is one run of loads or stores. */
#ifndef CORRAL_PROTO_CLIENT_RECORDS_H
#define CORRAL_PROTO_CLIENT_RECORDS_H

#include "proto/client.h"
#include "proto/jute.h"

/* The shape of the shortest record: counts must fit the bytes that are left,
 * and so need a size per element. All of bytes, hence without padding. */
#define RECORD(name) struct shortest_##name {
#define BOOL(name) uint8_t name[1];
#define INT(name) uint8_t name[4];
#define LONG(name) uint8_t name[8];
#define ULONG(name) uint8_t name[8];
#define BYTES(name) uint8_t name[4];
#define NESTED(type, name) struct shortest_##type name;
#define VECTOR(type, name) uint8_t name[4];
#define STRINGS(name) uint8_t name[4];
#define END(name) \
    }             \
    ;
#include "proto/client_records.def"
#undef RECORD
#undef BOOL
#undef INT
#undef LONG
#undef ULONG
#undef BYTES
#undef NESTED
#undef VECTOR
#undef STRINGS
#undef END

#define SIZE_MIN(name) sizeof(struct shortest_##name)

/* A null vector leaves *strings NULL, an empty one does not. */
static inline size_t decode_strings(struct jute_reader *reader,
                                    struct arena *arena,
                                    const struct slice **strings)
{
    int32_t count = jute_read_count(reader, 4);
    struct slice *items;

    *strings = NULL;
    if (count == JUTE_NULL || reader->err != 0) {
        return 0;
    }
    items = ARENA_NEW(arena, struct slice, (size_t)count);
    for (int32_t i = 0; i < count; i++) {
        items[i] = jute_read_bytes(reader);
    }
    *strings = items;
    return (size_t)count;
}

static inline size_t size_strings(const struct slice *strings, size_t count)
{
    size_t size = 4;

    for (size_t i = 0; strings != NULL && i < count; i++) {
        size += jute_size_bytes(strings[i]);
    }
    return size;
}

static inline void write_strings(struct jute_writer *writer,
                                 const struct slice *strings, size_t count)
{
    if (strings == NULL) {
        jute_write_int(writer, JUTE_NULL);
        return;
    }
    jute_write_int(writer, (int32_t)count);
    for (size_t i = 0; i < count; i++) {
        jute_write_bytes(writer, strings[i]);
    }
}

/* Decoders. A vector's decoder comes with each record. */
#define RECORD(name)                                             \
    static inline void decode_##name(struct jute_reader *reader, \
                                     struct arena *arena,        \
                                     struct zk_##name *record)   \
    {
#define BOOL(name) record->name = jute_read_bool(reader);
#define INT(name) record->name = jute_read_int(reader);
#define LONG(name) record->name = jute_read_long(reader);
#define ULONG(name) record->name = (uint64_t)jute_read_long(reader);
#define BYTES(name) record->name = jute_read_bytes(reader);
#define NESTED(type, name) decode_##type(reader, arena, &record->name);
#define VECTOR(type, name) \
    record->name##_count = decode_vector_##type(reader, arena, &record->name);
#define STRINGS(name) \
    record->name##_count = decode_strings(reader, arena, &record->name);
#define END(name)                                                              \
    (void)arena;                                                               \
    }                                                                          \
    static inline size_t decode_vector_##name(struct jute_reader *reader,      \
                                              struct arena *arena,             \
                                              const struct zk_##name **vector) \
    {                                                                          \
        int32_t count = jute_read_count(reader, SIZE_MIN(name));               \
        struct zk_##name *items;                                               \
                                                                               \
        *vector = NULL;                                                        \
        if (count == JUTE_NULL || reader->err != 0) {                          \
            return 0;                                                          \
        }                                                                      \
        items = ARENA_NEW(arena, struct zk_##name, (size_t)count);             \
        for (int32_t i = 0; i < count; i++) {                                  \
            decode_##name(reader, arena, &items[i]);                           \
        }                                                                      \
        *vector = items;                                                       \
        return (size_t)count;                                                  \
    }
#include "proto/client_records.def"
#undef RECORD
#undef BOOL
#undef INT
#undef LONG
#undef ULONG
#undef BYTES
#undef NESTED
#undef VECTOR
#undef STRINGS
#undef END

/* Sizes. */
#define RECORD(name)                                                 \
    static inline size_t size_##name(const struct zk_##name *record) \
    {                                                                \
        size_t size = 0;
#define BOOL(name) size += 1;
#define INT(name) size += 4;
#define LONG(name) size += 8;
#define ULONG(name) size += 8;
#define BYTES(name) size += jute_size_bytes(record->name);
#define NESTED(type, name) size += size_##type(&record->name);
#define VECTOR(type, name) \
    size += size_vector_##type(record->name, record->name##_count);
#define STRINGS(name) size += size_strings(record->name, record->name##_count);
#define END(name)                                                           \
    (void)record;                                                           \
    return size;                                                            \
    }                                                                       \
    static inline size_t size_vector_##name(const struct zk_##name *vector, \
                                            size_t count)                   \
    {                                                                       \
        size_t size = 4;                                                    \
                                                                            \
        for (size_t i = 0; vector != NULL && i < count; i++) {              \
            size += size_##name(&vector[i]);                                \
        }                                                                   \
        return size;                                                        \
    }
#include "proto/client_records.def"
#undef RECORD
#undef BOOL
#undef INT
#undef LONG
#undef ULONG
#undef BYTES
#undef NESTED
#undef VECTOR
#undef STRINGS
#undef END

/* Encoders. */
#define RECORD(name)                                                \
    static inline void write_##name(struct jute_writer *writer,     \
                                    const struct zk_##name *record) \
    {
#define BOOL(name) jute_write_bool(writer, record->name);
#define INT(name) jute_write_int(writer, record->name);
#define LONG(name) jute_write_long(writer, record->name);
#define ULONG(name) jute_write_long(writer, (int64_t)record->name);
#define BYTES(name) jute_write_bytes(writer, record->name);
#define NESTED(type, name) write_##type(writer, &record->name);
#define VECTOR(type, name) \
    write_vector_##type(writer, record->name, record->name##_count);
#define STRINGS(name) write_strings(writer, record->name, record->name##_count);
#define END(name)                                                          \
    }                                                                      \
    static inline void write_vector_##name(struct jute_writer *writer,     \
                                           const struct zk_##name *vector, \
                                           size_t count)                   \
    {                                                                      \
        if (vector == NULL) {                                              \
            jute_write_int(writer, JUTE_NULL);                             \
            return;                                                        \
        }                                                                  \
        jute_write_int(writer, (int32_t)count);                            \
        for (size_t i = 0; i < count; i++) {                               \
            write_##name(writer, &vector[i]);                              \
        }                                                                  \
    }
#include "proto/client_records.def"
#undef RECORD
#undef BOOL
#undef INT
#undef LONG
#undef ULONG
#undef BYTES
#undef NESTED
#undef VECTOR
#undef STRINGS
#undef END

#endif
