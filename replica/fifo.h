/* A growing first-in first-out queue of structs, kept in a circle whose size is
 * a power of two. Owned by whoever embeds it. */
#ifndef CORRAL_REPLICA_FIFO_H
#define CORRAL_REPLICA_FIFO_H

#include <stddef.h>

struct fifo {
    unsigned char *items;
    size_t item_size, capacity, first, count;
};

void fifo_init(struct fifo *fifo, size_t item_size);
void fifo_finish(struct fifo *fifo);
/* Room for one more at the end, to be filled in at once. */
void *fifo_push(struct fifo *fifo);
/* 0 = the oldest; index < count. Valid until the next push. */
void *fifo_at(const struct fifo *fifo, size_t index);
void fifo_pop(struct fifo *fifo);

#endif
