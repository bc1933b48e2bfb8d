/* Which session owns which ephemerals, oldest first. The list goes through the
 * nodes themselves; there is one small record per session that owns any. */
#ifndef CORRAL_ZNODE_EPHEMERAL_H
#define CORRAL_ZNODE_EPHEMERAL_H

#include "base/map.h"

struct znode;

struct ephemerals {
    struct map by_session;
    size_t count;
};

void ephemerals_init(struct ephemerals *ephemerals, uint64_t hash_seed);
void ephemerals_finish(struct ephemerals *ephemerals); /* the nodes stay */
void ephemerals_add(struct ephemerals *ephemerals, struct znode *node);
void ephemerals_remove(struct ephemerals *ephemerals, struct znode *node);
struct znode *ephemerals_first(const struct ephemerals *ephemerals,
                               uint64_t session_id); /* NULL: none */
/* After a load, where nodes came in the order of their paths. */
void ephemerals_sort(struct ephemerals *ephemerals);

#endif
