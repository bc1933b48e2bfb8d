/* Random operations against a model that is too simple to be wrong, with
 * checkpoints now and then and loads of what they wrote. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "fixture.h"

#include "base/mem.h"
#include "base/prng.h"

enum { NODES_MAX = 400, PATH_MAX_LEN = 64, DATA_MAX_LEN = 3000 };

struct model_node {
    char path[PATH_MAX_LEN];
    char data[DATA_MAX_LEN + 1];
    bool null;
    uint64_t owner, sequence;
    struct zk_stat stat; /* but for cversion, num_children */
    int acl;
};

struct model {
    struct model_node nodes[NODES_MAX];
    size_t count;
};

struct run {
    struct world world;
    struct prng prng;
    struct model *model;
};

static struct zk_acl acls[4];

static void make_acls(void)
{
    for (int i = 0; i < 4; i++) {
        acls[i] = (struct zk_acl){1 + i, {text("digest"), text("u:p")}};
    }
}

static struct model_node *model_find(struct model *model, const char *path)
{
    for (size_t i = 0; i < model->count; i++) {
        if (strcmp(model->nodes[i].path, path) == 0) {
            return &model->nodes[i];
        }
    }
    return NULL;
}

static struct model_node *model_parent(struct model *model, const char *path)
{
    char parent[PATH_MAX_LEN];

    (void)snprintf(parent, sizeof(parent), "%s", path);
    *strrchr(parent, '/') = '\0';
    return model_find(model, parent[0] == '\0' ? "/" : parent);
}

static int32_t model_children(struct model *model, const char *path)
{
    int32_t count = strcmp(path, "/") == 0 ? 1 : 0; /* "/zookeeper" */

    for (size_t i = 0; i < model->count; i++) {
        struct model_node *node = &model->nodes[i];

        if (strcmp(node->path, "/") != 0 &&
            model_parent(model, node->path) == model_find(model, path)) {
            count++;
        }
    }
    return count;
}

static void random_data(struct run *run, char *data, bool *null)
{
    uint64_t kind = prng_below(&run->prng, 10);
    size_t len = prng_below(&run->prng, kind == 0   ? DATA_MAX_LEN
                                        : kind == 1 ? 1
                                                    : 30);

    *null = kind == 2;
    for (size_t i = 0; i < len; i++) {
        data[i] = (char)('a' + prng_below(&run->prng, 26));
    }
    data[*null ? 0 : len] = '\0';
}

static struct txn step_create(struct run *run, struct model_node *parent)
{
    struct model *model = run->model;
    struct model_node *node = &model->nodes[model->count];
    uint64_t kind = prng_below(&run->prng, 6);
    zxid_t zxid = run->world.zxid + 1;
    struct txn txn;

    *node = (struct model_node){0};
    (void)snprintf(node->path, sizeof(node->path), "%s/%c%u",
                   strcmp(parent->path, "/") == 0 ? "" : parent->path,
                   (int)('a' + prng_below(&run->prng, 3)),
                   (unsigned)prng_below(&run->prng, 30));
    if (model_find(model, node->path) != NULL) {
        return (struct txn){.op = ZK_OP_CHECK};
    }
    random_data(run, node->data, &node->null);
    node->owner = kind == 0   ? 100 + prng_below(&run->prng, 5)
                  : kind == 1 ? ZK_OWNER_CONTAINER
                  : kind == 2 ? zk_owner_from_ttl(50)
                              : 0;
    node->acl = (int)prng_below(&run->prng, 4);
    node->stat =
        (struct zk_stat){.czxid = zxid,
                         .mzxid = zxid,
                         .pzxid = zxid,
                         .ctime = run->world.time_ms,
                         .mtime = run->world.time_ms,
                         .ephemeral_owner = kind == 0 ? node->owner : 0};
    txn = txn_create(&run->world, node->path, node->null ? NULL : node->data,
                     node->owner);
    txn.create.acl = &acls[node->acl];
    parent->sequence++;
    parent->stat.pzxid = zxid;
    model->count++;
    return txn;
}

static void model_delete(struct run *run, struct model_node *node)
{
    model_parent(run->model, node->path)->stat.pzxid = run->world.zxid + 1;
    *node = run->model->nodes[--run->model->count];
}

static struct txn step_set(struct run *run, struct model_node *node)
{
    random_data(run, node->data, &node->null);
    node->stat.version++;
    node->stat.mzxid = run->world.zxid + 1;
    node->stat.mtime = run->world.time_ms;
    return txn_set(&run->world, node->path,
                   text(node->null ? NULL : node->data));
}

static void step_close(struct run *run)
{
    uint64_t session = 100 + prng_below(&run->prng, 5);

    for (size_t i = 0; i < run->model->count;) {
        if (run->model->nodes[i].owner == session) {
            model_delete(run, &run->model->nodes[i]);
        } else {
            i++;
        }
    }
    apply_close(&run->world, session);
}

static void step(struct run *run)
{
    struct model *model = run->model;
    uint64_t kind = prng_below(&run->prng, 100);
    struct model_node *node =
        &model->nodes[prng_below(&run->prng, model->count)];
    char path[PATH_MAX_LEN];
    struct txn txn = {.op = ZK_OP_CHECK};

    run->world.time_ms += (int64_t)prng_below(&run->prng, 10);
    if (kind < 45 && model->count < NODES_MAX &&
        node->stat.ephemeral_owner == 0 &&
        strlen(node->path) < PATH_MAX_LEN - 8) {
        txn = step_create(run, node);
    } else if (kind < 70 && strcmp(node->path, "/") != 0 &&
               model_children(model, node->path) == 0) {
        memcpy(path, node->path, sizeof(path));
        model_delete(run, node);
        txn = txn_delete(path);
    } else if (kind < 90) {
        txn = step_set(run, node);
    } else if (kind < 98) {
        node->acl = (int)prng_below(&run->prng, 4);
        node->stat.aversion++;
        apply_set_acl(&run->world, node->path, &acls[node->acl], 1);
        return;
    } else {
        step_close(run);
        return;
    }
    apply(&run->world, &txn);
}

static void assert_as_model(struct run *run)
{
    struct model *model = run->model;

    cr_assert_eq(tree_count(run->world.tree), model->count + 4);
    for (size_t i = 0; i < model->count; i++) {
        struct model_node *node = &model->nodes[i];
        struct zk_stat stat = stat_of(&run->world, node->path);
        struct zk_stat expected = node->stat;
        size_t count;
        const struct zk_acl *acl =
            tree_acl(run->world.tree,
                     znode_acl_id(find(&run->world, node->path)), &count);

        expected.num_children = model_children(model, node->path);
        expected.cversion = 2 * (int32_t)node->sequence - expected.num_children;
        expected.data_length = (int32_t)strlen(node->data);
        cr_assert(stat_equal(&stat, &expected), "%s", node->path);
        cr_assert(
            data_is(&run->world, node->path, node->null ? NULL : node->data));
        cr_assert_eq(znode_owner(find(&run->world, node->path)), node->owner);
        cr_assert_eq(acl->perms, node->acl < 0 ? ZK_PERM_ALL : 1 + node->acl);
    }
}

static void run_seed(uint64_t seed)
{
    struct run run = {.model = MEM_NEW(struct model)};
    struct disk *disk = disk_create();
    struct world loaded;

    make_acls();
    prng_init(&run.prng, seed);
    world_init(&run.world, seed);
    world_init(&loaded, seed + 1);
    run.model->count = 1;
    run.model->nodes[0] = (struct model_node){.path = "/", .acl = -1};
    for (int i = 0; i < 3000; i++) {
        step(&run);
        if (prng_below(&run.prng, 100) == 0) {
            assert_as_model(&run);
        }
        if (prng_below(&run.prng, 50) == 0) {
            disk_take(disk, &run.world, 1 + prng_below(&run.prng, 20));
            cr_assert_eq(disk_count(disk) + 1, tree_count(run.world.tree));
        }
        if (prng_below(&run.prng, 300) == 0) {
            disk_take(disk, &run.world, 7);
            disk_load(disk, &loaded);
            assert_same_tree(&run.world, &loaded);
            cr_assert_eq(tree_dirty_count(loaded.tree), 0);
        }
    }
    while (!tree_load_free(loaded.tree)) {
    }
    world_finish(&loaded);
    world_finish(&run.world);
    disk_destroy(disk);
    mem_free(run.model);
}

Test(znode_model, random_operations_and_reloads_give_the_models_tree)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        run_seed(seed);
    }
}
