/* The hash table under the tree and the watches: links live in the elements and
 * are half the size of base/map's, at the price of having no order and no key.
 * The owner of the table compares keys itself. Growth moves a few buckets with
 * each insert, so that no call takes long. */
#ifndef CORRAL_ZNODE_HASH_TABLE_H
#define CORRAL_ZNODE_HASH_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct hash_link {
    struct hash_link *chain; /* next of the same bucket */
    uint32_t hash;
    uint32_t len; /* of the key: for the owner, fills the hole */
};

/* Most questions are about what is not there (a path to be created). The bits
 * answer them without a look at any element, which would be a cache miss. */
struct hash_bucket {
    struct hash_link *first;
    uint64_t bits; /* one of 64 by each element's high bits */
};

struct hash_table {
    struct hash_bucket *buckets;
    struct hash_bucket *old_buckets;        /* being moved, or NULL */
    size_t buckets_count, old_count, moved; /* powers of two */
    size_t count;
};

void hash_table_init(struct hash_table *table);
void hash_table_finish(struct hash_table *table); /* elements stay */
void hash_table_add(struct hash_table *table, struct hash_link *link,
                    uint32_t hash);
/* Room for so many without growing; moves all elements at once. */
void hash_table_reserve(struct hash_table *table, size_t count);
void hash_table_remove(struct hash_table *table, struct hash_link *link);
/* Every element once, in no order, while nothing changes; NULL begins. */
struct hash_link *hash_table_next(const struct hash_table *table,
                                  const struct hash_link *at);
/* Gives up to max elements back, for their memory to be freed; the table is
 * good for nothing else then. *at is where to go on, 0 at first; 0 elements
 * only at the end, where it is hash_table_end(). */
size_t hash_table_drain(struct hash_table *table, size_t *at,
                        struct hash_link **links, size_t max);
size_t hash_table_end(const struct hash_table *table);

/* Where the elements of this hash are: still in the old array, or in the
 * new one. */
static inline struct hash_bucket *
hash_table_bucket(const struct hash_table *table, uint32_t hash)
{
    if (table->old_buckets != NULL) {
        size_t old = hash & (table->old_count - 1);

        if (old >= table->moved) {
            return &table->old_buckets[old];
        }
    }
    return &table->buckets[hash & (table->buckets_count - 1)];
}

/* The element's bit in its bucket. */
static inline uint64_t hash_table_bit(uint32_t hash)
{
    return UINT64_C(1) << (hash >> 26);
}

/* The first element that may have this hash; go on with its chain. */
static inline struct hash_link *hash_table_first(const struct hash_table *table,
                                                 uint32_t hash)
{
    const struct hash_bucket *bucket = hash_table_bucket(table, hash);

    return (bucket->bits & hash_table_bit(hash)) == 0 ? NULL : bucket->first;
}

#endif
