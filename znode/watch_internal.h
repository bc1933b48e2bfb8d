/* struct watch_table, for watch*.c only.
 *
 * Watches are 40 bytes in chunks that never move, named by 32-bit numbers (0 is
 * none). Each is in three places: the list of its (path, kind), a list of its
 * connection, and a chain of the index that finds (path, kind, connection).
 * As in ZooKeeper there are two tables of paths: one for data and both
 * persistent kinds, one for child watches. */
#ifndef CORRAL_ZNODE_WATCH_INTERNAL_H
#define CORRAL_ZNODE_WATCH_INTERNAL_H

#include "base/map.h"
#include "znode/hash_table.h"
#include "znode/watch.h"

enum watch_side { SIDE_DATA, SIDE_CHILD, SIDES };

/* Lists of a path: DATA, PERSISTENT, RECURSIVE; or CHILD alone. */
#define WATCH_LISTS 3

struct watch_path {
    struct hash_link link; /* len: of the text */
    uint32_t first[WATCH_LISTS];
    uint8_t text[];
};

struct watch_conn {
    struct map_link link; /* key: the connection's id */
    uint32_t first[SIDES];
    size_t count;      /* of its watches */
    size_t data_pairs; /* paths on which it has any of the data side */
    uint64_t fired;    /* number of the event it was told of last */
};

struct watch {
    struct watch_path *path;
    struct watch_conn *conn;
    uint32_t next, prev; /* of the path's list; the first's prev is the last */
    uint32_t conn_next, conn_prev;
    uint32_t chain;
    uint8_t kind;
};

struct watch_index {
    uint32_t *buckets, *old_buckets;
    size_t buckets_count, old_count, moved; /* powers of two */
};

struct watch_table {
    uint64_t hash_seed;
    struct hash_table paths[SIDES];
    struct map conns;
    struct watch **chunks;
    size_t chunks_count, chunks_capacity;
    uint32_t used_max; /* numbers given out so far: 1..used_max */
    uint32_t free_first;
    struct watch_index index;
    size_t count;       /* watches */
    size_t data_pairs;  /* (path, connection) of the data side */
    size_t data_conns;  /* connections with any of those */
    size_t child_pairs; /* (path, connection) with child or persistent */
    size_t recursive;   /* watches of that kind */
    uint64_t fired;     /* events so far */
    uint64_t *told;     /* connections of the event at hand */
    size_t told_count, told_capacity;
};

static inline enum watch_side watch_side(enum watch_kind kind)
{
    return kind == WATCH_CHILD ? SIDE_CHILD : SIDE_DATA;
}

static inline size_t watch_list(enum watch_kind kind)
{
    return kind == WATCH_PERSISTENT             ? 1
           : kind == WATCH_PERSISTENT_RECURSIVE ? 2
                                                : 0;
}

#define WATCH_CHUNK 1024

static inline struct watch *watch_at(const struct watch_table *table,
                                     uint32_t number)
{
    number--;
    return &table->chunks[number / WATCH_CHUNK][number % WATCH_CHUNK];
}

/* watch_store.c */
void watch_store_init(struct watch_table *table);
void watch_store_finish(struct watch_table *table);
struct watch_path *watch_path_find(const struct watch_table *table,
                                   enum watch_side side, struct slice path);
/* A path's hash goes on from that of the path above it, so that those of all
 * paths above are found in one pass: hash is of what stands before a slash,
 * name what follows it, up to the next one. */
uint64_t watch_hash_next(uint64_t hash, struct slice name);
struct watch_path *watch_path_find_hashed(const struct watch_table *table,
                                          enum watch_side side,
                                          struct slice path, uint64_t hash);
struct watch_conn *watch_conn_find(const struct watch_table *table,
                                   uint64_t conn_id);
/* 0: there is none. path may be NULL. */
uint32_t watch_find(const struct watch_table *table,
                    const struct watch_path *path, enum watch_kind kind,
                    const struct watch_conn *conn);
void watch_link(struct watch_table *table, enum watch_kind kind,
                struct watch_path *path, struct watch_conn *conn);
/* Frees the path and the connection too when this was their last watch. */
void watch_unlink(struct watch_table *table, uint32_t number);
struct watch_path *watch_path_add(struct watch_table *table,
                                  enum watch_side side, struct slice path);
struct watch_conn *watch_conn_add(struct watch_table *table, uint64_t conn_id);

#endif
