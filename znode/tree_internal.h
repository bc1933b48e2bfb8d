/* struct tree, for the files of znode/ that make it up; prep and the watches
 * see only tree.h. */
#ifndef CORRAL_ZNODE_TREE_INTERNAL_H
#define CORRAL_ZNODE_TREE_INTERNAL_H

#include "znode/acl_table.h"
#include "znode/container.h"
#include "znode/digest.h"
#include "znode/dirty.h"
#include "znode/ephemeral.h"
#include "znode/node.h"
#include "znode/quota.h"
#include "znode/tree.h"

/* A txn under way: tree_apply() comes back to it until it is done. */
struct apply_work {
    const struct txn *txn; /* NULL: none */
    zxid_t zxid;
    size_t next; /* part of a multi; 1: a single op is done */
    struct tree_event *events;
    size_t events_count, events_max;
    struct apply_result *parts;
};

/* Nodes of a tree that was given up for another, not freed yet. */
struct grave {
    struct grave *next;
    struct hash_table nodes;
    size_t at;
};

struct tree {
    uint64_t hash_seed;
    struct hash_table nodes; /* by path; the root too */
    struct znode *root;
    uint64_t data_size, digest;
    struct acl_table acls;
    struct ephemerals ephemerals;
    struct collect collect;
    struct quotas quotas;
    struct dirty dirty;
    struct apply_work work;
    bool loading;
    struct buf load_last;        /* the greatest path loaded */
    struct buf load_parent_path; /* of the record loaded last */
    struct znode *load_parent;   /* NULL: not known */
    struct grave *graves;
    struct buf scratch;
};

/* Puts a new node below parent (NULL: it is the root) and into the table, data
 * size and digest. Its fields must be final, and path not taken. */
void tree_insert(struct tree *tree, struct znode *parent, struct znode *node,
                 struct slice path);
/* The reverse; destroys the node. path may not point into it. */
void tree_remove(struct tree *tree, struct znode *node, struct slice path);
/* The node's summands: subtract them before a change of fields, add after. */
uint64_t tree_stat_digest(const struct tree *tree, const struct znode *node,
                          uint64_t path_digest);
struct znode *tree_find_own(struct tree *tree, struct slice path);
void tree_create_builtin(struct tree *tree);
/* Frees up to max nodes of old trees; false: there are more. */
bool tree_free_graves(struct tree *tree, size_t max);

#endif
