/* Intrusive hash map, keyed by u64 or bytes, walked in insertion order.
 *
 * The link lives in the element, which also holds its key: for a bytes map the
 * slice in the link points into memory that the element keeps alive. The map
 * owns its bucket array and nothing else. Growth moves a few buckets with each
 * insert, so that no call takes long however large the map is.
 *
 * Keys that peers choose are hashed with a seed from the kernel's entropy.
 * The order of a walk depends on insertions only, never on hashes. */
#ifndef CORRAL_BASE_MAP_H
#define CORRAL_BASE_MAP_H

#include "base/list.h"
#include "base/slice.h"

struct map_link {
    struct map_link *chain; /* next of the same bucket */
    struct list order;      /* in insertion order */
    uint64_t hash;
    union {
        uint64_t number;
        struct slice bytes;
    } key;
};

struct map {
    struct map_link **buckets;
    struct map_link **old_buckets;          /* being moved, or NULL */
    size_t buckets_count, old_count, moved; /* powers of two */
    size_t count;
    uint64_t seed;
    struct list order;
};

void map_init(struct map *map, uint64_t seed);
/* Frees the buckets. The elements are the caller's: empty the map first, or
 * forget it whole. */
void map_finish(struct map *map);
static inline size_t map_count(const struct map *map)
{
    return map->count;
}

/* A map is used with one kind of key only. Adding a key twice is a CHECK. */
void map_add_number(struct map *map, struct map_link *link, uint64_t key);
void map_add_bytes(struct map *map, struct map_link *link, struct slice key);
struct map_link *map_find_number(const struct map *map, uint64_t key);
struct map_link *map_find_bytes(const struct map *map, struct slice key);
void map_remove(struct map *map, struct map_link *link); /* must be in it */

/* First and next in insertion order; NULL at the end. */
struct map_link *map_first(const struct map *map);
struct map_link *map_next(const struct map *map, const struct map_link *link);

#define MAP_ENTRY(link, type, member) \
    ((type *)(void *)((char *)(link)-offsetof(type, member)))

/* 64-bit hash of bytes; quick, seeded, not cryptographic. */
uint64_t map_hash_bytes(uint64_t seed, struct slice bytes);
uint64_t map_hash_number(uint64_t seed, uint64_t number);

#endif
