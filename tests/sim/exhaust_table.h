/* Finds items of an array, whose first field is a 64-bit key, by that key. */
#ifndef CORRAL_TESTS_SIM_EXHAUST_TABLE_H
#define CORRAL_TESTS_SIM_EXHAUST_TABLE_H

#include <stddef.h>
#include <stdint.h>

#define TABLE_NONE UINT32_MAX

/* Open addressing over indices. A zeroed one is empty; slots: mem_free(). */
struct table {
    uint32_t *slots;
    size_t size, count;
};

/* Where the index of the item of this key stands, or belongs: TABLE_NONE.
 * Whoever puts one there counts it, and then lets the table grow. */
uint32_t *table_find(struct table *table, uint64_t key, const void *items,
                     size_t item_size);
void table_grow(struct table *table, const void *items, size_t item_size);

uint64_t exhaust_hash(uint64_t hash, const void *bytes, size_t size);

#endif
