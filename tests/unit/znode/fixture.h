/* A tree under test, and short ways to change it. Each apply_... is one txn
 * with the next zxid; its result stays in world->result until the next. */
#ifndef CORRAL_TESTS_ZNODE_FIXTURE_H
#define CORRAL_TESTS_ZNODE_FIXTURE_H

#include "znode/tree.h"

struct world {
    struct tree *tree;
    struct arena *arena;
    zxid_t zxid;
    int64_t time_ms;
    struct apply_result result;
    size_t slices; /* calls that the last txn took */
};

void world_init(struct world *world, uint64_t hash_seed);
void world_finish(struct world *world);

struct slice text(const char *text); /* NULL: absent */
const struct znode *find(const struct world *world, const char *path);
struct zk_stat stat_of(const struct world *world, const char *path);
bool stat_equal(const struct zk_stat *a, const struct zk_stat *b);
bool data_is(const struct world *world, const char *path, const char *data);

struct txn txn_create(const struct world *world, const char *path,
                      const char *data, uint64_t owner);
struct txn txn_delete(const char *path);
struct txn txn_set(const struct world *world, const char *path,
                   struct slice data);
void apply(struct world *world, const struct txn *txn);
void apply_create(struct world *world, const char *path, const char *data,
                  uint64_t owner);
void apply_delete(struct world *world, const char *path);
void apply_set(struct world *world, const char *path, const char *data);
void apply_set_acl(struct world *world, const char *path,
                   const struct zk_acl *acl, size_t count);
void apply_close(struct world *world, uint64_t session_id);
void apply_multi(struct world *world, const struct txn *ops, size_t count);

/* What is on disk: records by path. */
struct disk;
struct disk *disk_create(void);
void disk_destroy(struct disk *disk);
size_t disk_count(const struct disk *disk);
/* Moves the tree's changes there, max records at a time. */
void disk_take(struct disk *disk, struct world *world, size_t max);
/* A whole load, in key order, into a tree that may hold anything. */
void disk_load(struct disk *disk, struct world *world);

/* Every field of every node, in both directions. */
void assert_same_tree(const struct world *left, const struct world *right);

#endif
