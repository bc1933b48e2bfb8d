#include "znode/tree.h"

#include "base/check.h"
#include "base/mem.h"
#include "znode/path.h"
#include "znode/tree_internal.h"

static const struct zk_acl open_acl[] = {
    {ZK_PERM_ALL,
     {{(const uint8_t *)"world", 5}, {(const uint8_t *)"anyone", 6}}},
};
static const struct zk_acl read_acl[] = {
    {ZK_PERM_READ,
     {{(const uint8_t *)"world", 5}, {(const uint8_t *)"anyone", 6}}},
};

static void create_one(struct tree *tree, struct slice path,
                       const struct zk_acl *acl, int32_t aversion);
static uint32_t hash_of(const struct tree *tree, struct slice path);
static struct znode *find(const struct tree *tree, struct slice path,
                          uint32_t hash);
static struct znode *node_of(struct hash_link *link);
static void free_nodes(struct hash_table *nodes, size_t *at, size_t max);

struct tree *tree_create(uint64_t hash_seed)
{
    struct tree *tree = MEM_NEW(struct tree);

    tree->hash_seed = hash_seed;
    hash_table_init(&tree->nodes);
    acl_table_init(&tree->acls, hash_seed);
    ephemerals_init(&tree->ephemerals, hash_seed);
    quotas_init(&tree->quotas, hash_seed);
    tree_create_builtin(tree);
    return tree;
}

void tree_destroy(struct tree *tree)
{
    size_t at = 0;

    if (tree == NULL) {
        return;
    }
    ephemerals_finish(&tree->ephemerals);
    free_nodes(&tree->nodes, &at, SIZE_MAX);
    hash_table_finish(&tree->nodes);
    (void)tree_free_graves(tree, SIZE_MAX); /* all: nothing can be left */
    acl_table_finish(&tree->acls);
    collect_finish(&tree->collect);
    quotas_finish(&tree->quotas);
    dirty_finish(&tree->dirty);
    buf_finish(&tree->load_last);
    buf_finish(&tree->load_parent_path);
    buf_finish(&tree->scratch);
    mem_free(tree);
}

const struct znode *tree_find(const struct tree *tree, struct slice path)
{
    if (path.len == 1 && path.ptr[0] == '/') {
        return tree->root;
    }
    return find(tree, path, hash_of(tree, path));
}

void tree_expect(const struct tree *tree, struct slice path)
{
    __builtin_prefetch(hash_table_bucket(&tree->nodes, hash_of(tree, path)));
}

/* ZooKeeper has its root twice in its table of paths, as "" and "/", and
 * shows that number. */
size_t tree_count(const struct tree *tree)
{
    return tree->nodes.count + 1;
}

uint64_t tree_data_size(const struct tree *tree)
{
    return tree->data_size;
}

uint64_t tree_digest(const struct tree *tree)
{
    return tree->digest;
}

const struct zk_acl *tree_acl(const struct tree *tree, uint32_t acl_id,
                              size_t *count)
{
    return acl_table_get(&tree->acls, acl_id, count);
}

void tree_insert(struct tree *tree, struct znode *parent, struct znode *node,
                 struct slice path)
{
    uint32_t hash = hash_of(tree, path);
    uint64_t path_digest = digest_path(path);

    __builtin_prefetch(hash_table_bucket(&tree->nodes, hash), 1);
    if (parent != NULL) {
        node_link_child(parent, node);
    }
    tree->digest += digest_of_data(path_digest, node) +
                    tree_stat_digest(tree, node, path_digest);
    tree->data_size += path.len + node->data_len;
    hash_table_add(&tree->nodes, &node->link, hash);
}

void tree_remove(struct tree *tree, struct znode *node, struct slice path)
{
    uint64_t path_digest = digest_path(path);

    CHECK(node->children_count == 0);
    tree->digest -= digest_of_data(path_digest, node) +
                    tree_stat_digest(tree, node, path_digest);
    tree->data_size -= path.len + node->data_len;
    hash_table_remove(&tree->nodes, &node->link);
    node_unlink_child(node);
    node_destroy(node);
}

uint64_t tree_stat_digest(const struct tree *tree, const struct znode *node,
                          uint64_t path_digest)
{
    return digest_of_stat(path_digest, node,
                          acl_table_digest(&tree->acls, node->acl_id));
}

struct znode *tree_find_own(struct tree *tree, struct slice path)
{
    if (path.len == 1 && path.ptr[0] == '/') {
        return tree->root;
    }
    return find(tree, path, hash_of(tree, path));
}

/* Stats as ZooKeeper's fresh tree shows them: nodes that were linked without a
 * create. They go to disk with the first checkpoint. */
void tree_create_builtin(struct tree *tree)
{
    create_one(tree, SLICE_LITERAL("/"), open_acl, 0);
    create_one(tree, SLICE_LITERAL("/zookeeper"), open_acl, 0);
    create_one(tree, SLICE_LITERAL("/zookeeper/quota"), open_acl, 0);
    create_one(tree, SLICE_LITERAL("/zookeeper/config"), read_acl, -1);
}

bool tree_free_graves(struct tree *tree, size_t max)
{
    struct grave *grave = tree->graves;

    if (grave == NULL) {
        return true;
    }
    free_nodes(&grave->nodes, &grave->at, max);
    if (grave->at == hash_table_end(&grave->nodes)) {
        tree->graves = grave->next;
        hash_table_finish(&grave->nodes);
        mem_free(grave);
        if (max == SIZE_MAX) {
            return tree_free_graves(tree, max);
        }
    }
    return tree->graves == NULL;
}

static void create_one(struct tree *tree, struct slice path,
                       const struct zk_acl *acl, int32_t aversion)
{
    struct znode *parent = NULL;
    struct slice name = {path.ptr, 0};
    struct znode *node;

    if (path.len > 1) {
        parent = tree_find_own(tree, path_parent(path));
        name = path_name(path);
    }
    node = node_create(name, (struct slice){path.ptr, 0}, 0);
    node->flags |= ZNODE_BUILTIN | ZNODE_FRESH;
    node->aversion = aversion;
    node->acl_id = acl_table_ref(&tree->acls, acl, 1);
    tree_insert(tree, parent, node, path);
    if (parent == NULL) {
        tree->root = node;
    }
    dirty_mark(&tree->dirty, node);
}

static uint32_t hash_of(const struct tree *tree, struct slice path)
{
    return (uint32_t)map_hash_bytes(tree->hash_seed, path);
}

static struct znode *find(const struct tree *tree, struct slice path,
                          uint32_t hash)
{
    for (struct hash_link *link = hash_table_first(&tree->nodes, hash);
         link != NULL; link = link->chain) {
        struct znode *node = node_of(link);

        /* The lines that the caller will read, while the first one comes. */
        __builtin_prefetch((const char *)link + 64);
        __builtin_prefetch((const char *)link + 128);
        __builtin_prefetch((const char *)link + 192);
        if (link->hash == hash && node_has_path(node, path)) {
            return node;
        }
    }
    return NULL;
}

static struct znode *node_of(struct hash_link *link)
{
    return (struct znode *)(void *)((char *)link -
                                    offsetof(struct znode, link));
}

static void free_nodes(struct hash_table *nodes, size_t *at, size_t max)
{
    enum { BATCH = 256 };
    struct hash_link *links[BATCH];
    size_t count;

    do {
        count = hash_table_drain(nodes, at, links, max < BATCH ? max : BATCH);
        for (size_t i = 0; i < count; i++) {
            node_destroy(node_of(links[i]));
        }
        max -= count;
    } while (count > 0 && max > 0);
}
