/* Quotas: the limits that clients write below /zookeeper/quota, and the use
 * that every server counts for itself and shows in zookeeper_stats.
 *
 * A path has an account while one of its two nodes is there. Every account
 * counts its whole subtree, so its numbers do not depend on when counting
 * began; which limits hold at a path is decided by the longest prefix that has
 * some. The root and all below /zookeeper have none. */
#ifndef CORRAL_ZNODE_QUOTA_H
#define CORRAL_ZNODE_QUOTA_H

#include "base/map.h"

struct tree;
struct znode;
struct quota_account;

struct quotas {
    struct map by_path;
    size_t path_len_max;            /* no account ever had a longer path */
    struct quota_account *counting; /* its subtree is being counted */
    const struct znode *counting_at;
};

void quotas_init(struct quotas *quotas, uint64_t hash_seed);
void quotas_finish(struct quotas *quotas);

/* ZNODE_LIMITS, ZNODE_USAGE or 0 of a node with this path. */
uint16_t quota_flags(struct slice path);
/* For nodes that have one of those flags. added may start a count: call
 * quota_count_some() until it is done, before the tree changes again. */
void quota_node_added(struct tree *tree, struct znode *node, struct slice path);
void quota_node_changed(struct tree *tree, struct znode *node,
                        struct slice path);
void quota_node_removed(struct tree *tree, struct znode *node,
                        struct slice path);
/* For every other change. */
void quota_use(struct tree *tree, struct slice path, int64_t count_change,
               int64_t bytes_change);

static inline bool quota_is_counting(const struct quotas *quotas)
{
    return quotas->counting != NULL;
}

void quota_count_some(struct tree *tree, size_t nodes_max);
void quota_count_all(struct tree *tree); /* every account, after a load */

#endif
