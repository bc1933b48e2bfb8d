#include "tests/sim/exhaust_table.h"

#include <string.h>

#include "base/mem.h"

#define SIZE_FIRST ((size_t)1 << 16)

uint64_t exhaust_hash(uint64_t hash, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;

    /* Or the first word could undo it. */
    hash = (hash + UINT64_C(0x632be59bd9b4e019)) * UINT64_C(0xd6e8feb86659fd93);
    hash ^= hash >> 32;
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word;

        memcpy(&word, at, 8);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
        hash *= UINT64_C(0xbf58476d1ce4e5b9);
        hash ^= hash >> 32;
    }
    for (; size > 0; at++, size--) {
        hash = (hash ^ *at) * UINT64_C(0x100000001b3);
        hash ^= hash >> 31;
    }
    return hash;
}

uint32_t *table_find(struct table *table, uint64_t key, const void *items,
                     size_t item_size)
{
    size_t at;

    if (table->size == 0) {
        table_grow(table, items, item_size);
    }
    at = exhaust_hash(0, &key, sizeof(key)) & (table->size - 1);
    while (table->slots[at] != TABLE_NONE) {
        const uint8_t *item =
            (const uint8_t *)items + table->slots[at] * item_size;

        if (memcmp(item, &key, sizeof(key)) == 0) {
            break;
        }
        at = (at + 1) & (table->size - 1);
    }
    return &table->slots[at];
}

void table_grow(struct table *table, const void *items, size_t item_size)
{
    struct table larger = {.size = SIZE_FIRST, .count = table->count};

    if (table->count < table->size / 2) {
        return;
    }
    if (table->size > 0) {
        larger.size = table->size * 2;
    }
    larger.slots = mem_alloc(larger.size * sizeof(*larger.slots));
    memset(larger.slots, 0xff, larger.size * sizeof(*larger.slots));
    for (size_t i = 0; i < table->size; i++) {
        if (table->slots[i] != TABLE_NONE) {
            uint64_t key;

            memcpy(&key, (const uint8_t *)items + table->slots[i] * item_size,
                   sizeof(key));
            *table_find(&larger, key, items, item_size) = table->slots[i];
        }
    }
    mem_free(table->slots);
    *table = larger;
}
