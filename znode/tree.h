/* The znode tree in memory. Pure: no I/O, no clock. One thread.
 *
 * Changes only through tree_apply() (and tree_load_...), in zxid order, with
 * committed txns. Owns every node, the interned ACLs, the ephemerals' index,
 * the quota accounts and the list of what changed since the last checkpoint. */
#ifndef CORRAL_ZNODE_TREE_H
#define CORRAL_ZNODE_TREE_H

#include "base/arena.h"
#include "base/buf.h"
#include "proto/client.h"
#include "proto/record.h"
#include "proto/txn.h"

struct tree;
struct znode;

/* Has "/", "/zookeeper", "/zookeeper/quota" and "/zookeeper/config". The seed
 * is for hash tables only: nothing seen from outside depends on it. */
struct tree *tree_create(uint64_t hash_seed);
void tree_destroy(struct tree *tree); /* NULL is fine */

/* ---- Reads. Returned pointers and slices last until the next change. */

const struct znode *tree_find(const struct tree *tree, struct slice path);
/* It will be looked for soon: what must come from memory is on its way. */
void tree_expect(const struct tree *tree, struct slice path);
/* As ZooKeeper counts: the root twice, so this is one more than the records of
 * a checkpoint; 5 for a fresh tree. */
size_t tree_count(const struct tree *tree);
size_t tree_ephemerals_count(const struct tree *tree);
uint64_t tree_data_size(const struct tree *tree); /* bytes of paths and data */
uint64_t tree_digest(const struct tree *tree); /* equal trees, equal digests */

struct slice znode_data(const struct znode *node); /* ptr NULL: null */
struct slice znode_name(const struct znode *node); /* "" for the root */
void znode_stat(const struct znode *node, struct zk_stat *stat); /* visible */
uint64_t znode_owner(const struct znode *node); /* stored form: zk_owner_kind */
uint64_t znode_sequence(const struct znode *node); /* creates below it */
int32_t znode_version(const struct znode *node);
int32_t znode_aversion(const struct znode *node);
zxid_t znode_mzxid(const struct znode *node);
zxid_t znode_pzxid(const struct znode *node);
uint32_t znode_acl_id(const struct znode *node);
size_t znode_children_count(const struct znode *node);
const struct znode *znode_parent(const struct znode *node); /* NULL: root */
/* Children in no promised order; after = NULL for the first. */
const struct znode *znode_child_next(const struct znode *node,
                                     const struct znode *after);
/* The next node in preorder below root (at = root for the first); NULL at the
 * end. For walks in slices while nothing changes. */
const struct znode *znode_walk_next(const struct znode *root,
                                    const struct znode *at);
struct slice znode_path(const struct znode *node, struct arena *arena);

/* The list behind an interned id; of a deleted node's id too, until the next
 * tree_apply(). */
const struct zk_acl *tree_acl(const struct tree *tree, uint32_t acl_id,
                              size_t *count);

/* A session's ephemerals, oldest first; after = NULL for the first. */
const struct znode *tree_ephemeral_next(const struct tree *tree,
                                        uint64_t session_id,
                                        const struct znode *after);
size_t tree_ephemeral_count(const struct tree *tree, uint64_t session_id);
/* Sessions that own ephemerals: the next one after a session id, in no
 * promised order; 0 for the first and at the end. */
uint64_t tree_ephemeral_session_next(const struct tree *tree, uint64_t after);

/* Container and TTL nodes that may go now, at most max, longest due first.
 * never_used_ms: containers that never had a child, 0 = never. */
size_t tree_container_candidates(const struct tree *tree, int64_t wall_ms,
                                 int64_t never_used_ms, size_t max,
                                 struct arena *arena, struct slice **paths);

/* Quotas: what creating or setting at path would do to the account of its
 * longest prefix with limits. ZK_QUOTA_EXCEEDED for a hard limit when hard is
 * set; *soft_path is then or else the prefix whose soft limit is passed (for a
 * log line), or ptr NULL. */
enum zk_code tree_quota_check(const struct tree *tree, struct slice path,
                              int64_t count_change, int64_t bytes_change,
                              bool hard, struct slice *soft_path);

/* Every path that has an account; *cursor NULL to begin. */
struct tree_quota {
    struct slice path;
    int64_t count_limit, bytes_limit; /* the hard one where it is set; below 0:
                                       * none */
    int64_t count, bytes;             /* in use */
};
size_t tree_quotas_count(const struct tree *tree);
bool tree_quota_next(const struct tree *tree, const void **cursor,
                     struct tree_quota *quota);

/* ---- The only function that changes the tree. Always succeeds: the leader
 * already decided; a txn that does not fit is a CHECK. */

struct tree_event {
    enum zk_event_type type;
    struct slice path;
    uint32_t acl_id; /* of the node; as it was before, for a deletion */
};

struct apply_result {
    enum zk_op op;       /* the txn's request_op */
    struct slice path;   /* of a create: as created */
    struct zk_stat stat; /* create, setData, setACL: right after it */
    const struct tree_event *events; /* in the order to be told; of a whole
                                      * multi or session close here */
    size_t events_count;
    const struct apply_result *multi;
    size_t multi_count;
};

/* One slice of work (about 1 ms); false: more to do, call again with the same
 * arguments before anything else is asked of the tree. Slices in result point
 * into the arena or the txn. */
bool tree_apply(struct tree *tree, zxid_t zxid, const struct txn *txn,
                struct arena *arena, struct apply_result *result);

/* ---- Checkpoint: records of what changed since the last take, with deletes.
 * Appends at most max records, or about 1 MB; false: more to do, call again
 * before the next tree_apply(). */
bool tree_dirty_take(struct tree *tree, size_t max, struct buf *list);
size_t tree_dirty_count(const struct tree *tree);
size_t tree_dirty_bytes(const struct tree *tree); /* about, of records */

/* ---- Loading. begin forgets everything but the built-in nodes (cheap: the
 * old nodes are freed a few with each later load and apply, or in slices by
 * tree_load_free(), false = more to do). Records come parents before children,
 * the built-in nodes among them; the order of keys is quickest. ERR_CORRUPT: no
 * parent, or twice, or below an ephemeral. */
void tree_load_begin(struct tree *tree);
/* About how many nodes will come: optional, makes loading quicker. */
void tree_load_expect(struct tree *tree, uint64_t count);
int tree_load(struct tree *tree, const struct znode_record *record);
bool tree_load_free(struct tree *tree);
void tree_load_end(struct tree *tree); /* quota accounts are counted */

#endif
