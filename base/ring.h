/* Bounded queue of u64-sized items or structs: a fixed array used in a circle.
 * Full is an answer, not an error. */
#ifndef CORRAL_BASE_RING_H
#define CORRAL_BASE_RING_H

#include <stdbool.h>
#include <stddef.h>

struct ring {
    unsigned char *items;
    size_t item_size, capacity, first, count;
};

void ring_init(struct ring *ring, size_t item_size, size_t capacity);
void ring_finish(struct ring *ring);
/* Copies *item in; false when full. */
bool ring_push(struct ring *ring, const void *item);
/* The oldest; NULL when empty. Valid until the next push or pop. */
void *ring_first(struct ring *ring);
void *ring_at(struct ring *ring, size_t index); /* 0 = oldest; < count */
void ring_pop(struct ring *ring);               /* drops the oldest */

#endif
