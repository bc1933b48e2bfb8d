#include <criterion/criterion.h>
#include <stdio.h>

#include "fixture.h"

#include "base/mem.h"

static struct world world;

static void setup(void)
{
    world_init(&world, 42);
}

static void teardown(void)
{
    world_finish(&world);
}

TestSuite(znode_tree, .init = setup, .fini = teardown);

Test(znode_tree, a_fresh_one_looks_like_zookeepers)
{
    struct {
        const char *path;
        int32_t children, cversion, aversion, perms;
    } rows[] = {
        {"/", 1, -1, 0, ZK_PERM_ALL},
        {"/zookeeper", 2, -2, 0, ZK_PERM_ALL},
        {"/zookeeper/quota", 0, 0, 0, ZK_PERM_ALL},
        {"/zookeeper/config", 0, 0, -1, ZK_PERM_READ},
    };

    cr_assert_eq(tree_count(world.tree), 5);
    cr_assert_eq(tree_data_size(world.tree), 44);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct zk_stat stat = stat_of(&world, rows[i].path);
        size_t count;
        const struct zk_acl *acl = tree_acl(
            world.tree, znode_acl_id(find(&world, rows[i].path)), &count);

        cr_assert_eq(stat.num_children, rows[i].children);
        cr_assert_eq(stat.cversion, rows[i].cversion);
        cr_assert_eq(stat.aversion, rows[i].aversion);
        cr_assert_eq(stat.version, 0);
        cr_assert_eq(stat.data_length, 0);
        cr_assert_eq(stat.czxid | stat.mzxid | stat.pzxid, 0);
        cr_assert(data_is(&world, rows[i].path, ""));
        cr_assert_eq(count, 1);
        cr_assert_eq(acl->perms, rows[i].perms);
        cr_assert(slice_equal_text(acl->id.scheme, "world"));
        cr_assert(slice_equal_text(acl->id.id, "anyone"));
    }
}

Test(znode_tree, finds_only_what_is_there)
{
    const char *missing[] = {"",     "a",       "//",  "/a/",         "/ab",
                             "/a/b", "/a//b",   "//a", "/zookeeperx", "/a/c/",
                             "/c",   "/a/c/d/e"};

    apply_create(&world, "/a", "1", 0);
    apply_create(&world, "/a/c", "2", 0);
    apply_create(&world, "/a/c/d", "3", 0);
    cr_assert(data_is(&world, "/a", "1"));
    cr_assert(data_is(&world, "/a/c", "2"));
    cr_assert(data_is(&world, "/a/c/d", "3"));
    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
        cr_assert_null(find(&world, missing[i]), "%s", missing[i]);
    }
    cr_assert(slice_equal_text(znode_name(find(&world, "/a/c/d")), "d"));
    cr_assert_eq(znode_name(find(&world, "/")).len, 0);
    cr_assert_eq(znode_parent(find(&world, "/a/c/d")), find(&world, "/a/c"));
    cr_assert_null(znode_parent(find(&world, "/")));
    cr_assert(slice_equal_text(znode_path(find(&world, "/a/c/d"), world.arena),
                               "/a/c/d"));
    cr_assert(
        slice_equal_text(znode_path(find(&world, "/"), world.arena), "/"));
}

Test(znode_tree, keeps_data_of_every_size_through_changes_of_size)
{
    static const size_t sizes[] = {0,    1,    11,   12,      13,  14,  100,
                                   1023, 1024, 1025, 1000000, 0,   200, 2000,
                                   1999, 12,   1,    65536,   1024};
    char *bytes = mem_alloc(1000000);

    memset(bytes, 'x', 1000000);
    for (size_t first = 0; first < 5; first++) {
        uint64_t owners[] = {0, 7, ZK_OWNER_CONTAINER, zk_owner_from_ttl(5), 0};
        uint64_t size = 44 + 5;

        apply_create(&world, "/node", first == 4 ? NULL : "data",
                     owners[first]);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            struct txn txn =
                txn_set(&world, "/node", slice_make(bytes, sizes[i]));
            struct slice data;

            bytes[0] = (char)('a' + i);
            apply(&world, &txn);
            data = znode_data(find(&world, "/node"));
            cr_assert(slice_equal(data, slice_make(bytes, sizes[i])));
            cr_assert_not(slice_is_absent(data));
            cr_assert_eq(tree_data_size(world.tree), size + sizes[i]);
            cr_assert(
                slice_equal_text(znode_name(find(&world, "/node")), "node"));
        }
        apply_set(&world, "/node", NULL);
        cr_assert(data_is(&world, "/node", NULL));
        cr_assert_eq(stat_of(&world, "/node").data_length, 0);
        apply_delete(&world, "/node");
        cr_assert_eq(tree_data_size(world.tree), 44);
    }
    mem_free(bytes);
}

Test(znode_tree, walks_children_and_descendants_each_once)
{
    char path[64];
    size_t children = 0;
    size_t all = 0;

    apply_create(&world, "/a", "", 0);
    for (int i = 0; i < 10; i++) {
        (void)snprintf(path, sizeof(path), "/a/%d", i);
        apply_create(&world, path, "", 0);
        for (int j = 0; j < i; j++) {
            (void)snprintf(path, sizeof(path), "/a/%d/%d", i, j);
            apply_create(&world, path, "", 1 + (uint64_t)j);
        }
    }
    apply_create(&world, "/b", "", 0);
    for (const struct znode *at = znode_child_next(find(&world, "/a"), NULL);
         at != NULL; at = znode_child_next(find(&world, "/a"), at)) {
        cr_assert_eq(znode_parent(at), find(&world, "/a"));
        cr_assert_eq(znode_children_count(at), children++);
    }
    cr_assert_eq(children, 10);
    for (const struct znode *at = find(&world, "/a"); at != NULL;
         at = znode_walk_next(find(&world, "/a"), at)) {
        cr_assert_neq(at, find(&world, "/b"));
        all++;
    }
    cr_assert_eq(all, 1 + 10 + 45);
    cr_assert_null(znode_child_next(find(&world, "/a/3/1"), NULL));
    cr_assert_null(znode_walk_next(find(&world, "/a/0"), find(&world, "/a/0")));
}

Test(znode_tree, survives_children_going_in_any_order)
{
    const char *orders[] = {"abc", "acb", "bac", "bca", "cab", "cba"};

    apply_create(&world, "/p", "", 0);
    for (size_t i = 0; i < 6; i++) {
        apply_create(&world, "/p/a", "", 0);
        apply_create(&world, "/p/b", "", 0);
        apply_create(&world, "/p/c", "", 0);
        for (size_t j = 0; j < 3; j++) {
            char path[] = "/p/x";
            size_t count = 0;

            path[3] = orders[i][j];
            apply_delete(&world, path);
            for (const struct znode *at =
                     znode_child_next(find(&world, "/p"), NULL);
                 at != NULL; at = znode_child_next(find(&world, "/p"), at)) {
                count++;
            }
            cr_assert_eq(count, 2 - j);
        }
    }
    cr_assert_eq(stat_of(&world, "/p").cversion, 36);
}
