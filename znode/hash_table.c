#include "znode/hash_table.h"

#include <stdbool.h>

#include "base/check.h"
#include "base/mem.h"

#define BUCKETS_MIN ((size_t)16)
/* Two would be enough to end before the next doubling. */
#define MOVED_PER_INSERT 4

static void start_growing(struct hash_table *table, size_t buckets_count);
static void move_some(struct hash_table *table, size_t max);
static struct hash_link *first_from(const struct hash_table *table,
                                    size_t place);
static struct hash_bucket *bucket_at(const struct hash_table *table,
                                     size_t place);
static void put(struct hash_bucket *bucket, struct hash_link *link);

void hash_table_init(struct hash_table *table)
{
    *table = (struct hash_table){.buckets_count = BUCKETS_MIN};
    table->buckets = MEM_ARRAY(struct hash_bucket, BUCKETS_MIN);
}

void hash_table_finish(struct hash_table *table)
{
    mem_free(table->buckets);
    mem_free(table->old_buckets);
    *table = (struct hash_table){0};
}

void hash_table_add(struct hash_table *table, struct hash_link *link,
                    uint32_t hash)
{
    if (table->old_buckets != NULL) {
        move_some(table, MOVED_PER_INSERT);
    } else if (table->count >= table->buckets_count) {
        start_growing(table, 2 * table->buckets_count);
    }
    link->hash = hash;
    put(hash_table_bucket(table, hash), link);
    table->count++;
}

void hash_table_reserve(struct hash_table *table, size_t count)
{
    size_t buckets_count = table->buckets_count;

    while (buckets_count < count) {
        buckets_count *= 2;
    }
    if (table->old_buckets != NULL) {
        move_some(table, table->old_count);
    }
    if (buckets_count > table->buckets_count) {
        start_growing(table, buckets_count);
        move_some(table, table->old_count);
    }
}

void hash_table_remove(struct hash_table *table, struct hash_link *link)
{
    struct hash_bucket *bucket = hash_table_bucket(table, link->hash);
    struct hash_link *chain = bucket->first;
    bool found = false;

    /* Made anew without it: the others' bits may be its own too. */
    bucket->first = NULL;
    bucket->bits = 0;
    while (chain != NULL) {
        struct hash_link *next = chain->chain;

        if (chain == link) {
            found = true;
        } else {
            put(bucket, chain);
        }
        chain = next;
    }
    CHECK(found);
    table->count--;
}

/* A place is a bucket's number, those of the old array first. */
struct hash_link *hash_table_next(const struct hash_table *table,
                                  const struct hash_link *at)
{
    size_t old_count = table->old_buckets == NULL ? 0 : table->old_count;
    size_t place;

    if (at == NULL) {
        return first_from(table, 0);
    }
    if (at->chain != NULL) {
        return at->chain;
    }
    place = old_count == 0 ? 0 : at->hash & (old_count - 1);
    if (old_count == 0 || place < table->moved) {
        place = old_count + (at->hash & (table->buckets_count - 1));
    }
    return first_from(table, place + 1);
}

size_t hash_table_drain(struct hash_table *table, size_t *at,
                        struct hash_link **links, size_t max)
{
    size_t end = hash_table_end(table);
    size_t count = 0;

    for (; *at < end && count < max; (*at)++) {
        struct hash_bucket *bucket = bucket_at(table, *at);

        while (bucket->first != NULL && count < max) {
            links[count++] = bucket->first;
            bucket->first = bucket->first->chain;
        }
        if (bucket->first != NULL) {
            break;
        }
    }
    return count;
}

size_t hash_table_end(const struct hash_table *table)
{
    return table->buckets_count +
           (table->old_buckets == NULL ? 0 : table->old_count);
}

static void start_growing(struct hash_table *table, size_t buckets_count)
{
    table->old_buckets = table->buckets;
    table->old_count = table->buckets_count;
    table->moved = 0;
    table->buckets_count = buckets_count;
    table->buckets = MEM_ARRAY(struct hash_bucket, table->buckets_count);
}

/* The elements of the buckets that are next come into the cache meanwhile. */
static void move_some(struct hash_table *table, size_t max)
{
    size_t end = table->moved + max;
    size_t ahead = end + MOVED_PER_INSERT;

    for (size_t i = end; i < ahead && i < table->old_count; i++) {
        __builtin_prefetch(table->old_buckets[i].first);
    }

    for (; table->moved < end && table->moved < table->old_count;
         table->moved++) {
        struct hash_link *link = table->old_buckets[table->moved].first;

        while (link != NULL) {
            struct hash_link *next = link->chain;

            put(&table->buckets[link->hash & (table->buckets_count - 1)], link);
            link = next;
        }
        table->old_buckets[table->moved] = (struct hash_bucket){0};
    }
    if (table->moved == table->old_count) {
        mem_free(table->old_buckets);
        table->old_buckets = NULL;
    }
}

static struct hash_link *first_from(const struct hash_table *table,
                                    size_t place)
{
    size_t end = hash_table_end(table);

    for (; place < end; place++) {
        struct hash_link *link = bucket_at(table, place)->first;

        if (link != NULL) {
            return link;
        }
    }
    return NULL;
}

static struct hash_bucket *bucket_at(const struct hash_table *table,
                                     size_t place)
{
    size_t old_count = table->old_buckets == NULL ? 0 : table->old_count;

    return place < old_count ? &table->old_buckets[place]
                             : &table->buckets[place - old_count];
}

static void put(struct hash_bucket *bucket, struct hash_link *link)
{
    link->chain = bucket->first;
    bucket->first = link;
    bucket->bits |= hash_table_bit(link->hash);
}
