/* Container and TTL nodes without children, by the time they may go, so that
 * looking for candidates does not walk the tree. Each such node knows its place
 * in one of two heaps. */
#ifndef CORRAL_ZNODE_CONTAINER_H
#define CORRAL_ZNODE_CONTAINER_H

#include <stddef.h>
#include <stdint.h>

struct znode;

struct collect_item {
    int64_t time_ms;
    struct znode *node;
};

struct collect_heap {
    struct collect_item *items; /* the earliest first */
    size_t count, capacity;
};

struct collect {
    /* Containers that had children (due at any time) and TTL nodes (due when
     * the clock is past their time), then containers never used, by mtime. */
    struct collect_heap due, unused;
};

void collect_finish(struct collect *collect); /* zeroed is fine; empty again */
/* After creation and after any change of mtime, children or sequence; nothing
 * happens with nodes of other kinds. */
void collect_update(struct collect *collect, struct znode *node);
void collect_remove(struct collect *collect, struct znode *node);

#endif
