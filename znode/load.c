#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "znode/tree_internal.h"

/* Above this the table grows by itself: a count may be wrong. */
#define EXPECTED_MAX ((size_t)1 << 24)
/* Old nodes freed with each new one, and in one slice of their own. */
#define FREED_PER_RECORD 4
#define FREED_PER_SLICE 1024

static int load_builtin(struct tree *tree, struct znode *node,
                        const struct znode_record *record);
static bool is_known(struct tree *tree, struct slice path);
static struct znode *find_parent(struct tree *tree, struct slice path);
static void set_fields(struct tree *tree, struct znode *node,
                       const struct znode_record *record);
static void link_new(struct tree *tree, struct znode *node, struct slice path);

void tree_load_begin(struct tree *tree)
{
    struct grave *grave = MEM_NEW(struct grave);

    CHECK(tree->work.txn == NULL);
    grave->nodes = tree->nodes;
    grave->next = tree->graves;
    tree->graves = grave;
    hash_table_init(&tree->nodes);
    acl_table_finish(&tree->acls);
    acl_table_init(&tree->acls, tree->hash_seed);
    ephemerals_finish(&tree->ephemerals);
    ephemerals_init(&tree->ephemerals, tree->hash_seed);
    quotas_finish(&tree->quotas);
    quotas_init(&tree->quotas, tree->hash_seed);
    collect_finish(&tree->collect);
    dirty_finish(&tree->dirty);
    tree->digest = 0;
    tree->data_size = 0;
    tree->load_parent = NULL;
    buf_clear(&tree->load_last);
    tree_create_builtin(tree);
    tree->loading = true;
}

void tree_load_expect(struct tree *tree, uint64_t count)
{
    hash_table_reserve(&tree->nodes,
                       count < EXPECTED_MAX ? (size_t)count : EXPECTED_MAX);
}

int tree_load(struct tree *tree, const struct znode_record *record)
{
    struct slice path = record->path;
    struct znode *parent;
    struct znode *node;
    size_t slash = path.len;

    tree->loading = true;
    (void)tree_free_graves(tree, FREED_PER_RECORD); /* the rest later */
    while (slash > 0 && path.ptr[slash - 1] != '/') {
        slash--;
    }
    if (slash == path.len) {
        bool root = slice_equal(path, SLICE_LITERAL("/"));

        return root ? load_builtin(tree, tree->root, record) : ERR_CORRUPT;
    }
    if (is_known(tree, path)) {
        return load_builtin(tree, tree_find_own(tree, path), record);
    }
    parent =
        slash == 0 ? NULL : find_parent(tree, (struct slice){path.ptr, slash});
    if (parent == NULL || node_is_ephemeral(parent)) {
        return ERR_CORRUPT;
    }
    node = node_create(slice_after(path, slash), record->data,
                       record->ephemeral_owner);
    if (node_is_ephemeral(node) && record->sequence != 0) {
        node_destroy(node);
        return ERR_CORRUPT;
    }
    set_fields(tree, node, record);
    node->flags |= quota_flags(path);
    tree_insert(tree, parent, node, path);
    link_new(tree, node, path);
    return 0;
}

void tree_load_end(struct tree *tree)
{
    tree->loading = false;
    tree->load_parent = NULL;
    buf_finish(&tree->load_last);
    buf_finish(&tree->load_parent_path);
    ephemerals_sort(&tree->ephemerals);
    quota_count_all(tree);
}

bool tree_load_free(struct tree *tree)
{
    return tree_free_graves(tree, FREED_PER_SLICE);
}

/* The built-in nodes are there already: their first record sets their
 * fields. For any other node a second record is a second node. */
static int load_builtin(struct tree *tree, struct znode *node,
                        const struct znode_record *record)
{
    uint64_t path_digest = digest_path(record->path);
    uint32_t acl_id = node->acl_id;

    if ((node->flags & ZNODE_BUILTIN) == 0 ||
        (node->flags & ZNODE_FRESH) == 0 || record->ephemeral_owner != 0) {
        return ERR_CORRUPT;
    }
    tree->digest -= digest_of_data(path_digest, node) +
                    tree_stat_digest(tree, node, path_digest);
    tree->data_size -= node->data_len;
    set_fields(tree, node, record);
    acl_table_drop(&tree->acls, acl_id);
    node_set_data(node, record->data);
    tree->digest += digest_of_data(path_digest, node) +
                    tree_stat_digest(tree, node, path_digest);
    tree->data_size += node->data_len;
    node->flags &= (uint16_t)~ZNODE_FRESH;
    dirty_unmark(&tree->dirty, node);
    return 0;
}

/* Behind every path loaded so far only the built-in ones can be there: the
 * table need not be asked, which would cost a load most of its time. */
static bool is_known(struct tree *tree, struct slice path)
{
    const struct slice builtin = SLICE_LITERAL("/zookeeper");
    bool behind = slice_compare(path, buf_bytes(&tree->load_last)) > 0;

    if (behind) {
        buf_clear(&tree->load_last);
        buf_append(&tree->load_last, path);
    }
    return (!behind || slice_starts_with(path, builtin)) &&
           tree_find_own(tree, path) != NULL;
}

/* Records come in the order of their keys: mostly below the same parent as the
 * one before. parent_path has its last slash here. */
static struct znode *find_parent(struct tree *tree, struct slice parent_path)
{
    struct slice known = buf_bytes(&tree->load_parent_path);
    struct slice plain = parent_path;

    if (tree->load_parent != NULL && slice_equal(known, parent_path)) {
        return tree->load_parent;
    }
    if (plain.len > 1 && --plain.len == 1) {
        return NULL; /* "//" is no parent */
    }
    tree->load_parent = tree_find_own(tree, plain);
    buf_clear(&tree->load_parent_path);
    buf_append(&tree->load_parent_path, parent_path);
    return tree->load_parent;
}

static void set_fields(struct tree *tree, struct znode *node,
                       const struct znode_record *record)
{
    node->czxid = record->czxid;
    node->mzxid = record->mzxid;
    node->pzxid = record->pzxid;
    node->ctime_ms = record->ctime_ms;
    node->mtime_ms = record->mtime_ms;
    node->version = record->version;
    node->aversion = record->aversion;
    node->sequence = record->sequence;
    node->acl_id = acl_table_ref(&tree->acls, record->acl, record->acl_count);
}

/* Into the side tables. Of a container's parent the children count changed:
 * it may have been a candidate until now. */
static void link_new(struct tree *tree, struct znode *node, struct slice path)
{
    if (node_is_ephemeral(node)) {
        ephemerals_add(&tree->ephemerals, node);
    }
    collect_update(&tree->collect, node);
    if (node->parent->children_count == 1) {
        collect_update(&tree->collect, node->parent);
    }
    if ((node->flags & (ZNODE_LIMITS | ZNODE_USAGE)) != 0) {
        quota_node_added(tree, node, path);
    }
}
