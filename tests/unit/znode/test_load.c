#include <criterion/criterion.h>
#include <stdio.h>

#include "fixture.h"

#include "base/err.h"
#include "proto/record.h"

static struct world world;

static void setup(void)
{
    world_init(&world, 42);
}

static void teardown(void)
{
    world_finish(&world);
}

TestSuite(znode_load, .init = setup, .fini = teardown);

static int load(const char *path, uint64_t owner, uint64_t sequence)
{
    struct znode_record record = {.path = text(path),
                                  .data = text("d"),
                                  .czxid = 5,
                                  .ephemeral_owner = owner,
                                  .sequence = sequence};

    return tree_load(world.tree, &record);
}

Test(znode_load, refuses_what_makes_no_tree)
{
    tree_load_begin(world.tree);
    cr_assert_eq(load("/", 0, 3), 0);
    cr_assert_eq(load("/", 0, 3), ERR_CORRUPT);
    cr_assert_eq(load("/a", 0, 0), 0);
    cr_assert_eq(load("/a", 0, 0), ERR_CORRUPT);
    cr_assert_eq(load("/b/c", 0, 0), ERR_CORRUPT);
    cr_assert_eq(load("/a/e", 77, 0), 0);
    cr_assert_eq(load("/a/e/x", 0, 0), ERR_CORRUPT);
    cr_assert_eq(load("/a/f", 77, 1), ERR_CORRUPT);
    cr_assert_eq(load("", 0, 0), ERR_CORRUPT);
    cr_assert_eq(load("a", 0, 0), ERR_CORRUPT);
    cr_assert_eq(load("//", 0, 0), ERR_CORRUPT);
    cr_assert_eq(load("//a", 0, 0), ERR_CORRUPT);
    cr_assert_eq(load("/a/", 0, 0), ERR_CORRUPT);
    cr_assert_eq(load("/a//b", 0, 0), ERR_CORRUPT);
    cr_assert_eq(load("/zookeeper", 77, 0), ERR_CORRUPT);
    cr_assert_eq(load("/zookeeper", 0, 0), 0);
    tree_load_end(world.tree);
    cr_assert_eq(tree_count(world.tree), 7);
    cr_assert_eq(tree_ephemeral_count(world.tree, 77), 1);
    cr_assert(data_is(&world, "/", "d"));
    cr_assert_eq(tree_dirty_count(world.tree), 2, "quota and config");
}

Test(znode_load, forgets_the_old_tree_and_frees_it_in_slices)
{
    struct world fresh;
    char path[32];
    int slices = 0;

    for (int i = 0; i < 30000; i++) {
        (void)snprintf(path, sizeof(path), "/n%d", i);
        apply_create(&world, path, "data", i % 2 == 0 ? 0 : 9);
    }
    tree_load_begin(world.tree);
    tree_load_end(world.tree);
    world_init(&fresh, 7);
    assert_same_tree(&world, &fresh);
    cr_assert_eq(tree_ephemerals_count(world.tree), 0);
    cr_assert_eq(tree_dirty_count(world.tree), 4);
    while (!tree_load_free(world.tree)) {
        slices++;
    }
    cr_assert_geq(slices, 5);
    apply_create(&world, "/n1", "again", 9);
    cr_assert(data_is(&world, "/n1", "again"));
    world_finish(&fresh);
}

Test(znode_load, ephemerals_are_oldest_first_again)
{
    struct disk *disk = disk_create();
    const struct znode *node = NULL;
    const char *order[] = {"/z", "/m", "/a"};

    apply_create(&world, "/z", "", 9);
    apply_create(&world, "/m", "", 9);
    apply_create(&world, "/a", "", 9);
    disk_take(disk, &world, 100);
    disk_load(disk, &world);
    for (size_t i = 0; i < 3; i++) {
        node = tree_ephemeral_next(world.tree, 9, node);
        cr_assert_eq(node, find(&world, order[i]));
    }
    cr_assert_null(tree_ephemeral_next(world.tree, 9, node));
    disk_destroy(disk);
}

Test(znode_load, what_never_reached_the_disk_leaves_no_delete)
{
    struct disk *disk = disk_create();
    struct buf list = {0};

    disk_take(disk, &world, 100);
    apply_create(&world, "/a", "", 0);
    apply_delete(&world, "/a");
    cr_assert_eq(tree_dirty_count(world.tree), 1, "the root");
    disk_take(disk, &world, 100);
    apply_create(&world, "/a", "", 0);
    disk_take(disk, &world, 100);
    cr_assert_eq(disk_count(disk), 5);
    apply_delete(&world, "/a");
    apply_create(&world, "/a", "new", 0);
    apply_delete(&world, "/a");
    cr_assert_eq(tree_dirty_count(world.tree), 2);
    cr_assert_gt(tree_dirty_bytes(world.tree), 0);
    cr_assert_not(tree_dirty_take(world.tree, 1, &list));
    buf_finish(&list);
    disk_take(disk, &world, 100);
    disk_destroy(disk);
}

Test(znode_load, the_digest_sees_every_field_and_no_order)
{
    struct world other;
    struct zk_acl acl = {ZK_PERM_ALL, {text("world"), text("anyone")}};
    uint64_t digest;

    world_init(&other, 99);
    cr_assert_eq(tree_digest(world.tree), tree_digest(other.tree));
    apply_create(&world, "/a", "1", 0);
    cr_assert_neq(tree_digest(world.tree), tree_digest(other.tree));
    apply_create(&world, "/b", "2", 0);
    /* The same two nodes the other way round. */
    other.zxid = world.zxid - 1;
    apply_create(&other, "/b", "2", 0);
    other.zxid = world.zxid - 2;
    apply_create(&other, "/a", "1", 0);
    cr_assert_eq(tree_digest(world.tree), tree_digest(other.tree));

    digest = tree_digest(world.tree);
    apply_set_acl(&world, "/a", &acl, 1);
    cr_assert_neq(tree_digest(world.tree), digest, "aversion");
    apply_set_acl(&other, "/a", NULL, 0);
    cr_assert_neq(tree_digest(world.tree), tree_digest(other.tree), "acl");
    apply_set_acl(&world, "/a", NULL, 0);
    apply_set_acl(&other, "/a", NULL, 0);
    cr_assert_eq(tree_digest(world.tree), tree_digest(other.tree));
    apply_set(&world, "/a", "");
    digest = tree_digest(world.tree);
    world.zxid--;
    {
        struct txn txn = txn_set(&world, "/a", text(NULL));

        txn.set_data.version = 1;
        apply(&world, &txn);
    }
    cr_assert_neq(tree_digest(world.tree), digest, "null is not empty");
    world_finish(&other);
}
