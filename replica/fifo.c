#include "replica/fifo.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"

#define CAPACITY_MIN ((size_t)16)

static void grow(struct fifo *fifo);

void fifo_init(struct fifo *fifo, size_t item_size)
{
    *fifo = (struct fifo){.item_size = item_size};
}

void fifo_finish(struct fifo *fifo)
{
    mem_free(fifo->items);
    *fifo = (struct fifo){0};
}

void *fifo_push(struct fifo *fifo)
{
    size_t at;

    if (fifo->count == fifo->capacity) {
        grow(fifo);
    }
    at = (fifo->first + fifo->count) & (fifo->capacity - 1);
    fifo->count++;
    return fifo->items + at * fifo->item_size;
}

void *fifo_at(const struct fifo *fifo, size_t index)
{
    CHECK(index < fifo->count);
    return fifo->items +
           ((fifo->first + index) & (fifo->capacity - 1)) * fifo->item_size;
}

void fifo_pop(struct fifo *fifo)
{
    CHECK(fifo->count > 0);
    fifo->first = (fifo->first + 1) & (fifo->capacity - 1);
    fifo->count--;
}

static void grow(struct fifo *fifo)
{
    size_t capacity = fifo->capacity == 0 ? CAPACITY_MIN : fifo->capacity * 2;
    unsigned char *items = mem_zalloc_array(capacity, fifo->item_size);
    size_t head = fifo->capacity - fifo->first;

    if (fifo->count > 0) {
        memcpy(items, fifo->items + fifo->first * fifo->item_size,
               head * fifo->item_size);
        memcpy(items + head * fifo->item_size, fifo->items,
               fifo->first * fifo->item_size);
    }
    mem_free(fifo->items);
    fifo->items = items;
    fifo->capacity = capacity;
    fifo->first = 0;
}
