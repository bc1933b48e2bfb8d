#include "fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "proto/record.h"

static const struct zk_acl open_acl = {
    ZK_PERM_ALL,
    {{(const uint8_t *)"world", 5}, {(const uint8_t *)"anyone", 6}}};

struct disk {
    struct map records;
};

struct disk_record {
    struct map_link link;
    struct slice key, value;
};

static struct slice copy(struct slice bytes);
static void disk_put(struct disk *disk, const struct record_entry *entry);
static int by_key(const void *left, const void *right);
static void assert_same_node(const struct world *left,
                             const struct world *right, const struct znode *a,
                             const struct znode *b);

void world_init(struct world *world, uint64_t hash_seed)
{
    *world = (struct world){.zxid = zxid_make(1, 0), .time_ms = 1000};
    world->tree = tree_create(hash_seed);
    world->arena = arena_create(4096);
}

void world_finish(struct world *world)
{
    tree_destroy(world->tree);
    arena_destroy(world->arena);
}

struct slice text(const char *string)
{
    return string == NULL ? (struct slice){NULL, 0} : slice_from_text(string);
}

const struct znode *find(const struct world *world, const char *path)
{
    return tree_find(world->tree, text(path));
}

struct zk_stat stat_of(const struct world *world, const char *path)
{
    struct zk_stat stat;
    const struct znode *node = find(world, path);

    cr_assert_not_null(node, "no node %s", path);
    znode_stat(node, &stat);
    return stat;
}

bool stat_equal(const struct zk_stat *a, const struct zk_stat *b)
{
    return a->czxid == b->czxid && a->mzxid == b->mzxid &&
           a->pzxid == b->pzxid && a->ctime == b->ctime &&
           a->mtime == b->mtime && a->version == b->version &&
           a->cversion == b->cversion && a->aversion == b->aversion &&
           a->ephemeral_owner == b->ephemeral_owner &&
           a->data_length == b->data_length &&
           a->num_children == b->num_children;
}

bool data_is(const struct world *world, const char *path, const char *data)
{
    const struct znode *node = find(world, path);

    return node != NULL && slice_equal(znode_data(node), text(data)) &&
           slice_is_absent(znode_data(node)) == (data == NULL);
}

struct txn txn_create(const struct world *world, const char *path,
                      const char *data, uint64_t owner)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == path ? 1 : (size_t)(slash - path);
    const struct znode *parent = tree_find(world->tree, slice_make(path, len));
    struct txn txn = {.op = ZK_OP_CREATE, .request_op = ZK_OP_CREATE2};

    txn.create.path = text(path);
    txn.create.data = text(data);
    txn.create.ephemeral_owner = owner;
    txn.create.parent_sequence =
        parent == NULL ? 1 : znode_sequence(parent) + 1;
    txn.create.acl = &open_acl;
    txn.create.acl_count = 1;
    return txn;
}

struct txn txn_delete(const char *path)
{
    struct txn txn = {.op = ZK_OP_DELETE, .request_op = ZK_OP_DELETE};

    txn.remove.path = text(path);
    return txn;
}

struct txn txn_set(const struct world *world, const char *path,
                   struct slice data)
{
    const struct znode *node = find(world, path);
    struct txn txn = {.op = ZK_OP_SET_DATA, .request_op = ZK_OP_SET_DATA};

    txn.set_data.path = text(path);
    txn.set_data.data = data;
    txn.set_data.version = node == NULL ? 1 : znode_version(node) + 1;
    return txn;
}

void apply(struct world *world, const struct txn *txn)
{
    struct txn timed = *txn;

    timed.time_ms = world->time_ms;
    world->zxid++;
    world->slices = 1;
    arena_reset(world->arena);
    while (!tree_apply(world->tree, world->zxid, &timed, world->arena,
                       &world->result)) {
        world->slices++;
    }
}

void apply_create(struct world *world, const char *path, const char *data,
                  uint64_t owner)
{
    struct txn txn = txn_create(world, path, data, owner);

    apply(world, &txn);
}

void apply_delete(struct world *world, const char *path)
{
    struct txn txn = txn_delete(path);

    apply(world, &txn);
}

void apply_set(struct world *world, const char *path, const char *data)
{
    struct txn txn = txn_set(world, path, text(data));

    apply(world, &txn);
}

void apply_set_acl(struct world *world, const char *path,
                   const struct zk_acl *acl, size_t count)
{
    struct txn txn = {.op = ZK_OP_SET_ACL, .request_op = ZK_OP_SET_ACL};

    txn.set_acl.path = text(path);
    txn.set_acl.acl = acl;
    txn.set_acl.acl_count = count;
    txn.set_acl.version = znode_aversion(find(world, path)) + 1;
    apply(world, &txn);
}

void apply_close(struct world *world, uint64_t session_id)
{
    struct txn txn = {.op = ZK_OP_CLOSE_SESSION,
                      .request_op = ZK_OP_CLOSE_SESSION,
                      .session_id = session_id};

    apply(world, &txn);
}

void apply_multi(struct world *world, const struct txn *ops, size_t count)
{
    struct txn txn = {.op = ZK_OP_MULTI, .request_op = ZK_OP_MULTI};

    txn.multi.ops = ops;
    txn.multi.count = count;
    apply(world, &txn);
}

struct disk *disk_create(void)
{
    struct disk *disk = MEM_NEW(struct disk);

    map_init(&disk->records, 1);
    return disk;
}

void disk_destroy(struct disk *disk)
{
    struct map_link *link = map_first(&disk->records);

    while (link != NULL) {
        struct map_link *next = map_next(&disk->records, link);
        struct disk_record *record = MAP_ENTRY(link, struct disk_record, link);

        mem_free((void *)(uintptr_t)record->key.ptr);
        mem_free((void *)(uintptr_t)record->value.ptr);
        mem_free(record);
        link = next;
    }
    map_finish(&disk->records);
    mem_free(disk);
}

size_t disk_count(const struct disk *disk)
{
    return map_count(&disk->records);
}

void disk_take(struct disk *disk, struct world *world, size_t max)
{
    size_t count = tree_dirty_count(world->tree);
    struct buf list = {0};
    struct record_entry entry;
    struct slice left;

    while (!tree_dirty_take(world->tree, max, &list)) {
    }
    cr_assert_eq(tree_dirty_count(world->tree), 0);
    cr_assert_eq(tree_dirty_bytes(world->tree), 0);
    left = buf_bytes(&list);
    while (record_next(&left, &entry) == 0) {
        disk_put(disk, &entry);
        count--;
    }
    cr_assert_eq(left.len, 0);
    cr_assert_eq(count, 0, "as many records as were counted");
    buf_finish(&list);
}

void disk_load(struct disk *disk, struct world *world)
{
    size_t count = map_count(&disk->records);
    struct disk_record **sorted = MEM_ARRAY(struct disk_record *, count);
    size_t i = 0;

    for (struct map_link *link = map_first(&disk->records); link != NULL;
         link = map_next(&disk->records, link)) {
        sorted[i++] = MAP_ENTRY(link, struct disk_record, link);
    }
    qsort(sorted, count, sizeof(*sorted), by_key);
    tree_load_begin(world->tree);
    if (count % 2 == 0) {
        tree_load_expect(world->tree, count);
    }
    for (i = 0; i < count; i++) {
        struct record_entry entry = {sorted[i]->key, sorted[i]->value};
        struct znode_record record;

        arena_reset(world->arena);
        cr_assert_eq(record_get_znode(&entry, world->arena, &record), 0);
        cr_assert_eq(tree_load(world->tree, &record), 0);
    }
    tree_load_end(world->tree);
    mem_free(sorted);
}

void assert_same_tree(const struct world *left, const struct world *right)
{
    const struct znode *root = tree_find(left->tree, text("/"));
    struct arena *arena = arena_create(4096);
    size_t count = 1; /* the root counts twice */

    cr_assert_eq(tree_count(left->tree), tree_count(right->tree));
    for (const struct znode *a = root; a != NULL;
         a = znode_walk_next(root, a)) {
        struct slice path = znode_path(a, arena);
        const struct znode *b = tree_find(right->tree, path);

        cr_assert_not_null(b, "missing %.*s", (int)path.len, path.ptr);
        assert_same_node(left, right, a, b);
        count++;
        arena_reset(arena);
    }
    cr_assert_eq(count, tree_count(left->tree));
    cr_assert_eq(tree_data_size(left->tree), tree_data_size(right->tree));
    cr_assert_eq(tree_digest(left->tree), tree_digest(right->tree));
    arena_destroy(arena);
}

static void assert_same_node(const struct world *left,
                             const struct world *right, const struct znode *a,
                             const struct znode *b)
{
    struct zk_stat stats[2];
    size_t counts[2];
    const struct zk_acl *acls[2] = {
        tree_acl(left->tree, znode_acl_id(a), &counts[0]),
        tree_acl(right->tree, znode_acl_id(b), &counts[1])};

    znode_stat(a, &stats[0]);
    znode_stat(b, &stats[1]);
    cr_assert(stat_equal(&stats[0], &stats[1]));
    cr_assert_eq(znode_owner(a), znode_owner(b));
    cr_assert_eq(znode_sequence(a), znode_sequence(b));
    cr_assert(slice_equal(znode_data(a), znode_data(b)));
    cr_assert_eq(slice_is_absent(znode_data(a)),
                 slice_is_absent(znode_data(b)));
    cr_assert_eq(counts[0], counts[1]);
    for (size_t i = 0; i < counts[0]; i++) {
        cr_assert_eq(acls[0][i].perms, acls[1][i].perms);
        cr_assert(slice_equal(acls[0][i].id.scheme, acls[1][i].id.scheme));
        cr_assert(slice_equal(acls[0][i].id.id, acls[1][i].id.id));
    }
}

static struct slice copy(struct slice bytes)
{
    uint8_t *to = mem_alloc(bytes.len + 1);

    memcpy(to, bytes.ptr, bytes.len);
    return slice_make(to, bytes.len);
}

static void disk_put(struct disk *disk, const struct record_entry *entry)
{
    struct map_link *link = map_find_bytes(&disk->records, entry->key);
    struct disk_record *record =
        link == NULL ? NULL : MAP_ENTRY(link, struct disk_record, link);

    if (record != NULL) {
        map_remove(&disk->records, link);
        mem_free((void *)(uintptr_t)record->value.ptr);
        mem_free((void *)(uintptr_t)record->key.ptr);
        mem_free(record);
    }
    if (slice_is_absent(entry->value)) {
        cr_assert_not_null(record, "deletes only what is there");
        return;
    }
    record = MEM_NEW(struct disk_record);
    record->key = copy(entry->key);
    record->value = copy(entry->value);
    map_add_bytes(&disk->records, &record->link, record->key);
}

static int by_key(const void *left, const void *right)
{
    const struct disk_record *a = *(struct disk_record *const *)left;
    const struct disk_record *b = *(struct disk_record *const *)right;

    return slice_compare(a->key, b->key);
}
