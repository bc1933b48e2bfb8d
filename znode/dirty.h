/* What changed since the last checkpoint, in the order of the changes: nodes to
 * be written and paths to be deleted. A node knows its place here, so that
 * marking it again costs nothing. */
#ifndef CORRAL_ZNODE_DIRTY_H
#define CORRAL_ZNODE_DIRTY_H

#include "base/buf.h"

struct znode;

struct dirty_entry {
    struct znode *node;        /* NULL: deleted, or nothing any more */
    uint32_t bytes;            /* about, of the record */
    uint32_t deleted_path_len; /* 0: nothing any more */
};

struct dirty {
    struct dirty_entry *entries;
    size_t count, capacity;
    size_t taken;     /* entries given to a take that is under way */
    size_t live;      /* entries that are something */
    size_t bytes;     /* of those */
    struct buf paths; /* of the deleted ones, one behind the other */
    size_t paths_taken;
};

void dirty_finish(struct dirty *dirty); /* zeroed is fine; empty again */
void dirty_mark(struct dirty *dirty, struct znode *node);
/* The node is as on disk after all. */
void dirty_unmark(struct dirty *dirty, struct znode *node);
/* Before the node is destroyed. */
void dirty_deleted(struct dirty *dirty, struct znode *node, struct slice path);

#endif
