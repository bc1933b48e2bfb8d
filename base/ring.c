#include "base/ring.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"

void ring_init(struct ring *ring, size_t item_size, size_t capacity)
{
    CHECK(item_size > 0);
    CHECK(capacity > 0);
    *ring = (struct ring){.item_size = item_size, .capacity = capacity};
    ring->items = mem_zalloc_array(capacity, item_size);
}

void ring_finish(struct ring *ring)
{
    mem_free(ring->items);
    *ring = (struct ring){0};
}

bool ring_push(struct ring *ring, const void *item)
{
    if (ring->count == ring->capacity) {
        return false;
    }
    ring->count++;
    memcpy(ring_at(ring, ring->count - 1), item, ring->item_size);
    return true;
}

void *ring_first(struct ring *ring)
{
    return ring->count == 0 ? NULL : ring_at(ring, 0);
}

void *ring_at(struct ring *ring, size_t index)
{
    CHECK(index < ring->count);
    return ring->items +
           ((ring->first + index) % ring->capacity) * ring->item_size;
}

void ring_pop(struct ring *ring)
{
    CHECK(ring->count > 0);
    ring->first = (ring->first + 1) % ring->capacity;
    ring->count--;
}
