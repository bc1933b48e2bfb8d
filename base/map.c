#include "base/map.h"

#include "base/check.h"
#include "base/mem.h"

#define BUCKETS_MIN ((size_t)16)
/* Old buckets moved with each insert while growing: two are enough to end
 * before the next doubling. */
#define MOVED_PER_INSERT 4

static void add(struct map *map, struct map_link *link);
static void start_growing(struct map *map);
static void move_some(struct map *map);
static struct map_link **bucket_of(const struct map *map, uint64_t hash);

void map_init(struct map *map, uint64_t seed)
{
    *map = (struct map){.seed = seed};
    map->buckets = MEM_ARRAY(struct map_link *, BUCKETS_MIN);
    map->buckets_count = BUCKETS_MIN;
    list_init(&map->order);
}

void map_finish(struct map *map)
{
    mem_free(map->buckets);
    mem_free(map->old_buckets);
    *map = (struct map){0};
}

void map_add_number(struct map *map, struct map_link *link, uint64_t key)
{
    CHECK(map_find_number(map, key) == NULL);
    link->key.number = key;
    link->hash = map_hash_number(map->seed, key);
    add(map, link);
}

void map_add_bytes(struct map *map, struct map_link *link, struct slice key)
{
    CHECK(map_find_bytes(map, key) == NULL);
    link->key.bytes = key;
    link->hash = map_hash_bytes(map->seed, key);
    add(map, link);
}

struct map_link *map_find_number(const struct map *map, uint64_t key)
{
    uint64_t hash = map_hash_number(map->seed, key);
    struct map_link *link = *bucket_of(map, hash);

    while (link != NULL && link->key.number != key) {
        link = link->chain;
    }
    return link;
}

struct map_link *map_find_bytes(const struct map *map, struct slice key)
{
    uint64_t hash = map_hash_bytes(map->seed, key);
    struct map_link *link = *bucket_of(map, hash);

    while (link != NULL &&
           (link->hash != hash || !slice_equal(link->key.bytes, key))) {
        link = link->chain;
    }
    return link;
}

void map_remove(struct map *map, struct map_link *link)
{
    struct map_link **at = bucket_of(map, link->hash);

    while (*at != NULL && *at != link) {
        at = &(*at)->chain;
    }
    CHECK(*at == link);
    *at = link->chain;
    list_remove(&link->order);
    map->count--;
}

struct map_link *map_first(const struct map *map)
{
    return list_empty(&map->order)
               ? NULL
               : LIST_ENTRY(map->order.next, struct map_link, order);
}

struct map_link *map_next(const struct map *map, const struct map_link *link)
{
    return link->order.next == &map->order
               ? NULL
               : LIST_ENTRY(link->order.next, struct map_link, order);
}

__extension__ typedef unsigned __int128 u128;

static uint64_t mix(uint64_t a, uint64_t b)
{
    u128 product = (u128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t load_le64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

/* Folded 64x64 multiplications over 16 bytes at a time. */
uint64_t map_hash_bytes(uint64_t seed, struct slice bytes)
{
    const uint64_t k1 = UINT64_C(0x9e3779b97f4a7c15);
    const uint64_t k2 = UINT64_C(0xd6e8feb86659fd93);
    const uint8_t *p = bytes.ptr;
    size_t left = bytes.len;
    uint64_t h = seed ^ k1;
    uint64_t a = 0;
    uint64_t b = 0;

    while (left > 16) {
        h = mix(load_le64(p) ^ k2, load_le64(p + 8) ^ h);
        p += 16;
        left -= 16;
    }
    if (left >= 8) {
        a = load_le64(p);
        b = load_le64(p + (left - 8));
    } else if (left > 0) {
        memcpy(&a, p, left);
    }
    h = mix(a ^ k2, b ^ h);
    return mix(h ^ bytes.len, k1 ^ seed);
}

uint64_t map_hash_number(uint64_t seed, uint64_t number)
{
    return mix(number ^ seed, UINT64_C(0x9e3779b97f4a7c15)) ^ (seed >> 1);
}

static void add(struct map *map, struct map_link *link)
{
    struct map_link **bucket;

    if (map->old_buckets != NULL) {
        move_some(map);
    } else if (map->count >= map->buckets_count) {
        start_growing(map);
    }
    bucket = bucket_of(map, link->hash);
    link->chain = *bucket;
    *bucket = link;
    list_push_back(&map->order, &link->order);
    map->count++;
}

static void start_growing(struct map *map)
{
    map->old_buckets = map->buckets;
    map->old_count = map->buckets_count;
    map->moved = 0;
    map->buckets_count *= 2;
    map->buckets = MEM_ARRAY(struct map_link *, map->buckets_count);
}

static void move_some(struct map *map)
{
    size_t end = map->moved + MOVED_PER_INSERT;

    if (end > map->old_count) {
        end = map->old_count;
    }
    for (; map->moved < end; map->moved++) {
        struct map_link *link = map->old_buckets[map->moved];

        while (link != NULL) {
            struct map_link *next = link->chain;
            struct map_link **to =
                &map->buckets[link->hash & (map->buckets_count - 1)];

            link->chain = *to;
            *to = link;
            link = next;
        }
    }
    if (map->moved == map->old_count) {
        mem_free(map->old_buckets);
        map->old_buckets = NULL;
    }
}

/* Where a hash lives now: still in the old array, or in the new one. */
static struct map_link **bucket_of(const struct map *map, uint64_t hash)
{
    if (map->old_buckets != NULL) {
        size_t old = hash & (map->old_count - 1);

        if (old >= map->moved) {
            return &map->old_buckets[old];
        }
    }
    return &map->buckets[hash & (map->buckets_count - 1)];
}
