#include "base/check.h"
#include "base/mem.h"
#include "base/mutation.h"
#include "znode/path.h"
#include "znode/tree_internal.h"

/* Work of one slice: a unit is a node touched, or so many bytes. About 1 ms
 * when memory is cold. */
#define UNITS_PER_SLICE 800
#define BYTES_PER_UNIT 4096
#define COUNTED_PER_UNIT 8
#define FREED_PER_TXN 16

struct applying {
    struct tree *tree;
    struct arena *arena;
    int64_t time_ms;
    size_t units;
};

static void begin(struct tree *tree, zxid_t zxid, const struct txn *txn,
                  struct arena *arena);
static bool is_done(const struct apply_work *work, const struct tree *tree);
static void step(struct applying *applying, struct apply_result *result);
static void finish(struct tree *tree, struct apply_result *result);
static void apply_op(struct applying *applying, const struct txn *op,
                     struct apply_result *result);
static void apply_create(struct applying *applying, const struct txn *op,
                         struct apply_result *result);
static void parent_gains(struct tree *tree, struct znode *parent,
                         struct slice path, uint64_t sequence);
static void apply_delete(struct applying *applying, struct znode *node,
                         struct slice path);
static void parent_loses(struct tree *tree, struct znode *parent,
                         struct slice path);
static void apply_set_data(struct applying *applying, const struct txn *op,
                           struct apply_result *result);
static void apply_set_acl(struct tree *tree, const struct txn *op,
                          struct apply_result *result);
static void add_event(struct tree *tree, enum zk_event_type type,
                      struct slice path, uint32_t acl_id);

bool tree_apply(struct tree *tree, zxid_t zxid, const struct txn *txn,
                struct arena *arena, struct apply_result *result)
{
    struct apply_work *work = &tree->work;
    struct applying applying = {tree, arena, txn->time_ms, 0};

    if (work->txn == NULL) {
        begin(tree, zxid, txn, arena);
        *result = (struct apply_result){.op = txn->request_op};
    }
    CHECK(work->txn == txn);
    CHECK(work->zxid == zxid);
    while (!is_done(work, tree)) {
        if (applying.units >= UNITS_PER_SLICE) {
            return false;
        }
        if (quota_is_counting(&tree->quotas)) {
            quota_count_some(tree, COUNTED_PER_UNIT);
            applying.units++;
        } else {
            step(&applying, result);
        }
    }
    finish(tree, result);
    return true;
}

static void begin(struct tree *tree, zxid_t zxid, const struct txn *txn,
                  struct arena *arena)
{
    struct apply_work *work = &tree->work;
    size_t changes = 1;

    CHECK(tree->dirty.taken == 0);
    CHECK(!tree->loading);
    acl_table_flush(&tree->acls);
    (void)tree_free_graves(tree, FREED_PER_TXN); /* the rest later */
    *work = (struct apply_work){.txn = txn, .zxid = zxid};
    if (txn->op == ZK_OP_MULTI) {
        changes = txn->multi.count;
        work->parts = ARENA_NEW(arena, struct apply_result, changes);
    } else if (txn->op == ZK_OP_CLOSE_SESSION) {
        changes = tree_ephemeral_count(tree, txn->session_id);
    }
    /* A create or delete is told of itself and of its parent. */
    work->events_max = 2 * changes;
    work->events = ARENA_NEW(arena, struct tree_event, work->events_max);
}

static bool is_done(const struct apply_work *work, const struct tree *tree)
{
    const struct txn *txn = work->txn;
    const struct znode *next;

    if (quota_is_counting(&tree->quotas)) {
        return false;
    }
    if (txn->op == ZK_OP_CLOSE_SESSION) {
        next = ephemerals_first(&tree->ephemerals, txn->session_id);
        return next == NULL || (MUTATION(20) && next->czxid + 4 >= work->zxid);
    }
    return work->next == (txn->op == ZK_OP_MULTI ? txn->multi.count : 1);
}

static void step(struct applying *applying, struct apply_result *result)
{
    struct tree *tree = applying->tree;
    struct apply_work *work = &tree->work;
    const struct txn *txn = work->txn;

    applying->units++;
    if (txn->op == ZK_OP_CLOSE_SESSION) {
        struct znode *node =
            ephemerals_first(&tree->ephemerals, txn->session_id);

        apply_delete(applying, node, znode_path(node, applying->arena));
        return;
    }
    if (txn->op == ZK_OP_MULTI) {
        const struct txn *op = &txn->multi.ops[work->next];

        CHECK(work->parts != NULL);
        result = &work->parts[work->next];
        *result = (struct apply_result){.op = op->request_op};
        apply_op(applying, op, result);
    } else {
        apply_op(applying, txn, result);
    }
    work->next++;
}

static void finish(struct tree *tree, struct apply_result *result)
{
    struct apply_work *work = &tree->work;

    result->events = work->events;
    result->events_count = work->events_count;
    if (work->txn->op == ZK_OP_MULTI) {
        result->multi = work->parts;
        result->multi_count = work->txn->multi.count;
    }
    *work = (struct apply_work){0};
}

static void apply_op(struct applying *applying, const struct txn *op,
                     struct apply_result *result)
{
    struct tree *tree = applying->tree;
    struct znode *node;

    switch ((int)op->op) {
        case ZK_OP_CREATE:
            apply_create(applying, op, result);
            return;
        case ZK_OP_DELETE:
            node = tree_find_own(tree, op->remove.path);
            CHECK(node != NULL);
            apply_delete(applying, node, op->remove.path);
            return;
        case ZK_OP_SET_DATA:
            apply_set_data(applying, op, result);
            return;
        case ZK_OP_SET_ACL:
            apply_set_acl(tree, op, result);
            return;
        case ZK_OP_CHECK:
        case ZK_OP_CREATE_SESSION:
        case ZK_OP_MOVE_SESSION:
            return; /* a place in the reply; session/'s business */
        default:
            UNREACHABLE();
    }
}

static void apply_create(struct applying *applying, const struct txn *op,
                         struct apply_result *result)
{
    struct tree *tree = applying->tree;
    struct slice path = op->create.path;
    struct slice parent_path = path_parent(path);
    struct znode *parent = tree_find_own(tree, parent_path);
    struct znode *node;

    CHECK(parent != NULL);
    CHECK(tree_find_own(tree, path) == NULL);
    node = node_create(path_name(path), op->create.data,
                       op->create.ephemeral_owner);
    node->flags |= (uint16_t)(ZNODE_FRESH | quota_flags(path));
    node->czxid = tree->work.zxid;
    node->mzxid = tree->work.zxid;
    node->pzxid = tree->work.zxid;
    node->ctime_ms = applying->time_ms;
    node->mtime_ms = applying->time_ms;
    node->acl_id =
        acl_table_ref(&tree->acls, op->create.acl, op->create.acl_count);
    tree_insert(tree, parent, node, path);
    parent_gains(tree, parent, parent_path, op->create.parent_sequence);
    if (node_is_ephemeral(node)) {
        ephemerals_add(&tree->ephemerals, node);
    }
    collect_update(&tree->collect, node);
    dirty_mark(&tree->dirty, node);
    result->path = path;
    znode_stat(node, &result->stat);
    add_event(tree, ZK_EVENT_CREATED, path, node->acl_id);
    add_event(tree, ZK_EVENT_CHILDREN_CHANGED, parent_path, parent->acl_id);
    applying->units += op->create.data.len / BYTES_PER_UNIT;
    if ((node->flags & (ZNODE_LIMITS | ZNODE_USAGE)) != 0) {
        quota_node_added(tree, node, path);
    } else {
        quota_use(tree, path, 1, node->data_len);
    }
}

static void parent_gains(struct tree *tree, struct znode *parent,
                         struct slice path, uint64_t sequence)
{
    uint64_t path_digest = digest_path(path);
    zxid_t zxid = tree->work.zxid;

    tree->digest -= tree_stat_digest(tree, parent, path_digest);
    if (sequence > parent->sequence) {
        parent->sequence = sequence;
    }
    if (zxid > parent->pzxid) {
        parent->pzxid = zxid;
    }
    tree->digest += tree_stat_digest(tree, parent, path_digest);
    if (parent->children_count == 1) {
        collect_update(&tree->collect, parent);
    }
    dirty_mark(&tree->dirty, parent);
}

static void apply_delete(struct applying *applying, struct znode *node,
                         struct slice path)
{
    struct tree *tree = applying->tree;
    struct znode *parent = node->parent;
    int64_t bytes = node->data_len;

    CHECK((node->flags & ZNODE_BUILTIN) == 0);
    CHECK(node->children_count == 0);
    add_event(tree, ZK_EVENT_DELETED, path, node->acl_id);
    add_event(tree, ZK_EVENT_CHILDREN_CHANGED, path_parent(path),
              parent->acl_id);
    if (node_is_ephemeral(node)) {
        ephemerals_remove(&tree->ephemerals, node);
    }
    collect_remove(&tree->collect, node);
    if ((node->flags & (ZNODE_LIMITS | ZNODE_USAGE)) != 0) {
        quota_node_removed(tree, node, path);
    } else {
        quota_use(tree, path, -1, -bytes);
    }
    dirty_deleted(&tree->dirty, node, path);
    acl_table_drop(&tree->acls, node->acl_id);
    applying->units += (size_t)bytes / BYTES_PER_UNIT;
    tree_remove(tree, node, path);
    parent_loses(tree, parent, path_parent(path));
}

static void parent_loses(struct tree *tree, struct znode *parent,
                         struct slice path)
{
    uint64_t path_digest = digest_path(path);
    zxid_t zxid = tree->work.zxid;

    if (zxid > parent->pzxid) {
        tree->digest -= tree_stat_digest(tree, parent, path_digest);
        parent->pzxid = zxid;
        tree->digest += tree_stat_digest(tree, parent, path_digest);
    }
    if (parent->children_count == 0) {
        collect_update(&tree->collect, parent);
    }
    dirty_mark(&tree->dirty, parent);
}

static void apply_set_data(struct applying *applying, const struct txn *op,
                           struct apply_result *result)
{
    struct tree *tree = applying->tree;
    struct slice path = op->set_data.path;
    struct znode *node = tree_find_own(tree, path);
    uint64_t path_digest = digest_path(path);
    int64_t bytes;

    CHECK(node != NULL);
    bytes = (int64_t)op->set_data.data.len - node->data_len;
    applying->units +=
        (op->set_data.data.len + node->data_len) / BYTES_PER_UNIT;
    tree->digest -= digest_of_data(path_digest, node) +
                    tree_stat_digest(tree, node, path_digest);
    node_set_data(node, op->set_data.data);
    node->version = op->set_data.version;
    node->mzxid = tree->work.zxid;
    node->mtime_ms = applying->time_ms;
    tree->digest += digest_of_data(path_digest, node) +
                    tree_stat_digest(tree, node, path_digest);
    tree->data_size += (uint64_t)bytes;
    collect_update(&tree->collect, node);
    dirty_mark(&tree->dirty, node);
    znode_stat(node, &result->stat);
    add_event(tree, ZK_EVENT_DATA_CHANGED, path, node->acl_id);
    if ((node->flags & (ZNODE_LIMITS | ZNODE_USAGE)) != 0) {
        quota_node_changed(tree, node, path);
    } else {
        quota_use(tree, path, 0, bytes);
    }
}

static void apply_set_acl(struct tree *tree, const struct txn *op,
                          struct apply_result *result)
{
    struct slice path = op->set_acl.path;
    struct znode *node = tree_find_own(tree, path);
    uint64_t path_digest = digest_path(path);

    CHECK(node != NULL);
    tree->digest -= tree_stat_digest(tree, node, path_digest);
    acl_table_drop(&tree->acls, node->acl_id);
    node->acl_id =
        acl_table_ref(&tree->acls, op->set_acl.acl, op->set_acl.acl_count);
    node->aversion = op->set_acl.version;
    tree->digest += tree_stat_digest(tree, node, path_digest);
    dirty_mark(&tree->dirty, node);
    znode_stat(node, &result->stat);
}

static void add_event(struct tree *tree, enum zk_event_type type,
                      struct slice path, uint32_t acl_id)
{
    struct apply_work *work = &tree->work;

    CHECK(work->events_count < work->events_max);
    work->events[work->events_count++] =
        (struct tree_event){type, path, acl_id};
}
