/* What is proposed and not yet committed, over the tree: for each path that a
 * txn in flight changes, what the node will be. The leader's prep looks here
 * first and in the tree only then. For znode/prep*.c only.
 *
 * A node's children are counted as the tree's plus a change, because the
 * tree's number moves as txns are committed; every change stands in a queue
 * with its zxid until then.
 *
 * The close of a session is one record, however many ephemerals it takes
 * along: a node of the tree whose owner is closing is not seen any more. Those
 * of them that stand in here are marked one by one; the rest is found when it
 * matters, which is when a parent that still has children is to go. */
#ifndef CORRAL_ZNODE_PENDING_H
#define CORRAL_ZNODE_PENDING_H

#include "base/list.h"
#include "base/map.h"
#include "znode/tree.h"

/* view.mtime_ms: nothing in flight changes it, ask the tree. */
#define PENDING_MTIME_OF_TREE INT64_MIN

struct pending_acl;
struct pending_entry;
struct pending_undo;
struct pending_change;

/* A node as later requests must see it. */
struct pending_view {
    uint64_t sequence, owner;
    int64_t mtime_ms;
    size_t data_len;
    int32_t version, aversion;
    uint32_t acl_id;         /* in the tree, when there is no acl */
    struct pending_acl *acl; /* set by what is in flight, or NULL */
};

struct pending {
    const struct tree *tree;
    struct map entries;  /* by path */
    struct list queue;   /* entries by the zxid that changed them last */
    struct map owners;   /* by session */
    struct list closing; /* owners, by the zxid of their close */
    struct pending_acl *last_acl; /* most creates use the same */
    uint64_t closing_in_tree; /* at most so many nodes of the tree are theirs */
    /* Of children and ephemerals' numbers, by zxid; the first are committed. */
    struct pending_change *changes;
    size_t changes_first, changes_count, changes_capacity;
    /* The savepoint. */
    zxid_t zxid;
    uint64_t savepoint; /* a rising number */
    struct pending_undo *undo;
    size_t undo_count, undo_capacity, changes_kept;
};

void pending_init(struct pending *pending, const struct tree *tree,
                  uint64_t hash_seed);
void pending_finish(struct pending *pending);

/* False: no such node. */
bool pending_find(const struct pending *pending, struct slice path,
                  struct pending_view *view);
const struct zk_acl *pending_acl(const struct pending *pending,
                                 const struct pending_view *view,
                                 size_t *count);
bool pending_has_children(const struct pending *pending, struct slice path,
                          struct arena *arena);
uint64_t pending_ephemerals(const struct pending *pending, uint64_t session_id);
bool pending_is_closing(const struct pending *pending, uint64_t session_id);

/* Changes are made between begin and either keep or undo; zxid is above all
 * before it. The nodes must be there, or not be there, as the change needs. */
void pending_begin(struct pending *pending, zxid_t zxid);
void pending_keep(struct pending *pending);
void pending_undo(struct pending *pending);

/* txn is a CREATE; also of a part of a multi. */
void pending_create(struct pending *pending, const struct txn *txn,
                    int64_t time_ms);
void pending_delete(struct pending *pending, struct slice path);
void pending_set_data(struct pending *pending, const struct txn *txn,
                      int64_t time_ms);
void pending_set_acl(struct pending *pending, const struct txn *txn);
void pending_close(struct pending *pending, uint64_t session_id);

/* Forgets what txns up to zxid changed: the tree has it now. */
void pending_committed(struct pending *pending, zxid_t zxid);
size_t pending_count(const struct pending *pending);

#endif
