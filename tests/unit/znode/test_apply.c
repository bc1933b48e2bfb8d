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

TestSuite(znode_apply, .init = setup, .fini = teardown);

static void assert_event(size_t at, enum zk_event_type type, const char *path)
{
    cr_assert_lt(at, world.result.events_count);
    cr_assert_eq(world.result.events[at].type, type);
    cr_assert(slice_equal_text(world.result.events[at].path, path));
}

Test(znode_apply, create_sets_the_stat_and_touches_the_parent_as_zookeeper)
{
    struct zk_stat before;
    struct zk_stat stat;

    apply_create(&world, "/a", "1", 0);
    before = stat_of(&world, "/a");
    world.time_ms = 5000;
    apply_create(&world, "/a/b", "hello", 0);
    stat = stat_of(&world, "/a/b");
    cr_assert_eq(stat.czxid, world.zxid);
    cr_assert_eq(stat.mzxid, world.zxid);
    cr_assert_eq(stat.pzxid, world.zxid);
    cr_assert_eq(stat.ctime, 5000);
    cr_assert_eq(stat.mtime, 5000);
    cr_assert_eq(stat.version, 0);
    cr_assert_eq(stat.cversion, 0);
    cr_assert_eq(stat.aversion, 0);
    cr_assert_eq(stat.ephemeral_owner, 0);
    cr_assert_eq(stat.data_length, 5);
    cr_assert_eq(stat.num_children, 0);
    cr_assert(stat_equal(&stat, &world.result.stat));
    cr_assert(slice_equal_text(world.result.path, "/a/b"));
    cr_assert_eq(world.result.op, ZK_OP_CREATE2);

    stat = stat_of(&world, "/a");
    cr_assert_eq(stat.pzxid, world.zxid);
    cr_assert_eq(stat.cversion, 1);
    cr_assert_eq(stat.num_children, 1);
    cr_assert_eq(stat.mzxid, before.mzxid);
    cr_assert_eq(stat.mtime, before.mtime);
    cr_assert_eq(stat.version, 0);
    cr_assert_eq(znode_sequence(find(&world, "/a")), 1);
    cr_assert_eq(world.result.events_count, 2);
    assert_event(0, ZK_EVENT_CREATED, "/a/b");
    assert_event(1, ZK_EVENT_CHILDREN_CHANGED, "/a");
}

Test(znode_apply, delete_touches_only_the_parents_pzxid_and_cversion)
{
    struct zk_stat stat;

    apply_create(&world, "/a", "1", 0);
    apply_create(&world, "/a/b", "", 0);
    apply_delete(&world, "/a/b");
    cr_assert_null(find(&world, "/a/b"));
    stat = stat_of(&world, "/a");
    cr_assert_eq(stat.pzxid, world.zxid);
    cr_assert_eq(stat.cversion, 2);
    cr_assert_eq(stat.num_children, 0);
    cr_assert_eq(znode_sequence(find(&world, "/a")), 1);
    cr_assert_eq(stat.version, 0);
    cr_assert_eq(world.result.events_count, 2);
    assert_event(0, ZK_EVENT_DELETED, "/a/b");
    assert_event(1, ZK_EVENT_CHILDREN_CHANGED, "/a");
    apply_create(&world, "/top", "", 0);
    apply_delete(&world, "/top");
    assert_event(0, ZK_EVENT_DELETED, "/top");
    assert_event(1, ZK_EVENT_CHILDREN_CHANGED, "/");
}

Test(znode_apply, the_parents_counters_only_move_forward)
{
    struct txn txn;

    apply_create(&world, "/a", "1", 0);
    txn = txn_create(&world, "/a/b", "", 0);
    txn.create.parent_sequence = 7;
    apply(&world, &txn);
    cr_assert_eq(znode_sequence(find(&world, "/a")), 7);
    txn = txn_create(&world, "/a/c", "", 0);
    txn.create.parent_sequence = 3;
    apply(&world, &txn);
    cr_assert_eq(znode_sequence(find(&world, "/a")), 7);
    cr_assert_eq(stat_of(&world, "/a").cversion, 12);
    world.zxid = 1;
    apply_delete(&world, "/a/c");
    cr_assert_gt(stat_of(&world, "/a").pzxid, 2);
}

Test(znode_apply, the_visible_cversion_is_the_low_half_of_a_64_bit_counter)
{
    struct txn txn;

    apply_create(&world, "/a", "1", 0);
    txn = txn_create(&world, "/a/b", "", 0);
    txn.create.parent_sequence = UINT64_C(0x123456789a);
    apply(&world, &txn);
    cr_assert_eq(znode_sequence(find(&world, "/a")), UINT64_C(0x123456789a));
    cr_assert_eq(stat_of(&world, "/a").cversion,
                 (int32_t)(uint32_t)(2 * UINT64_C(0x123456789a) - 1));
}

Test(znode_apply, set_data_changes_version_mzxid_mtime_and_nothing_above)
{
    struct zk_stat parent;
    struct zk_stat before;
    struct zk_stat stat;
    struct zk_stat parent_after;

    apply_create(&world, "/a", "1", 0);
    apply_create(&world, "/a/b", "old", 0);
    before = stat_of(&world, "/a/b");
    parent = stat_of(&world, "/a");
    world.time_ms = 9000;
    apply_set(&world, "/a/b", "newer");
    stat = stat_of(&world, "/a/b");
    cr_assert(stat_equal(&stat, &world.result.stat));
    cr_assert_eq(stat.version, 1);
    cr_assert_eq(stat.mzxid, world.zxid);
    cr_assert_eq(stat.mtime, 9000);
    cr_assert_eq(stat.data_length, 5);
    cr_assert_eq(stat.czxid, before.czxid);
    cr_assert_eq(stat.pzxid, before.pzxid);
    cr_assert_eq(stat.ctime, before.ctime);
    parent_after = stat_of(&world, "/a");
    cr_assert(stat_equal(&parent_after, &parent));
    cr_assert_eq(world.result.events_count, 1);
    assert_event(0, ZK_EVENT_DATA_CHANGED, "/a/b");
}

Test(znode_apply, set_acl_changes_the_aversion_alone_and_tells_nobody)
{
    struct zk_acl acl[2] = {
        {ZK_PERM_READ, {text("digest"), text("u:x")}},
        {ZK_PERM_ADMIN, {text("ip"), text("10.0.0.1")}},
    };
    struct zk_stat before;
    struct zk_stat stat;
    const struct zk_acl *list;
    size_t count;

    apply_create(&world, "/a", "1", 0);
    before = stat_of(&world, "/a");
    world.time_ms = 9000;
    apply_set_acl(&world, "/a", acl, 2);
    stat = stat_of(&world, "/a");
    cr_assert(stat_equal(&stat, &world.result.stat));
    cr_assert_eq(stat.aversion, 1);
    before.aversion = 1;
    cr_assert(stat_equal(&stat, &before));
    cr_assert_eq(world.result.events_count, 0);
    list = tree_acl(world.tree, znode_acl_id(find(&world, "/a")), &count);
    cr_assert_eq(count, 2);
    cr_assert_eq(list[1].perms, ZK_PERM_ADMIN);
    cr_assert(slice_equal_text(list[1].id.id, "10.0.0.1"));
    apply_set_acl(&world, "/a", NULL, 0);
    (void)tree_acl(world.tree, znode_acl_id(find(&world, "/a")), &count);
    cr_assert_eq(count, 0);
}

Test(znode_apply, a_deletions_event_has_the_acl_of_before)
{
    struct zk_acl acl = {ZK_PERM_READ, {text("digest"), text("u:x")}};
    const struct zk_acl *list;
    size_t count;

    apply_create(&world, "/a", "1", 0);
    apply_set_acl(&world, "/a", &acl, 1);
    apply_delete(&world, "/a");
    list = tree_acl(world.tree, world.result.events[0].acl_id, &count);
    cr_assert_eq(count, 1);
    cr_assert(slice_equal_text(list->id.id, "u:x"));
    list = tree_acl(world.tree, world.result.events[1].acl_id, &count);
    cr_assert(slice_equal_text(list->id.id, "anyone"), "of the parent");
}

Test(znode_apply, only_sessions_show_as_owners)
{
    apply_create(&world, "/c", "", ZK_OWNER_CONTAINER);
    apply_create(&world, "/t", "", zk_owner_from_ttl(1000));
    apply_create(&world, "/e", "", 0x1234);
    cr_assert_eq(stat_of(&world, "/c").ephemeral_owner, 0);
    cr_assert_eq(stat_of(&world, "/t").ephemeral_owner, 0);
    cr_assert_eq(stat_of(&world, "/e").ephemeral_owner, 0x1234);
    cr_assert_eq(znode_owner(find(&world, "/c")), ZK_OWNER_CONTAINER);
    cr_assert_eq(znode_owner(find(&world, "/t")), zk_owner_from_ttl(1000));
}

Test(znode_apply, a_multi_is_one_zxid_and_tells_all_in_order)
{
    struct txn ops[5];
    zxid_t before;

    apply_create(&world, "/a", "1", 0);
    before = world.zxid;
    ops[0] = txn_create(&world, "/a/b", "x", 0);
    ops[1] = (struct txn){.op = ZK_OP_CHECK, .request_op = ZK_OP_CHECK};
    ops[1].check.path = text("/a");
    ops[2] = txn_set(&world, "/a/b", text("y"));
    ops[3] = txn_create(&world, "/a/c", "", 3);
    ops[3].create.parent_sequence = 2;
    ops[3].request_op = ZK_OP_CREATE;
    ops[4] = txn_delete("/a/b");
    apply_multi(&world, ops, 5);
    cr_assert_eq(world.zxid, before + 1);
    cr_assert_eq(world.result.op, ZK_OP_MULTI);
    cr_assert_eq(world.result.multi_count, 5);
    cr_assert_eq(world.result.multi[0].op, ZK_OP_CREATE2);
    cr_assert_eq(world.result.multi[1].op, ZK_OP_CHECK);
    cr_assert_eq(world.result.multi[2].stat.version, 1);
    cr_assert_eq(world.result.multi[2].stat.mzxid, world.zxid);
    cr_assert_eq(world.result.multi[3].op, ZK_OP_CREATE);
    cr_assert(slice_equal_text(world.result.multi[3].path, "/a/c"));
    cr_assert_eq(world.result.multi[4].op, ZK_OP_DELETE);
    cr_assert_eq(world.result.events_count, 7);
    assert_event(0, ZK_EVENT_CREATED, "/a/b");
    assert_event(2, ZK_EVENT_DATA_CHANGED, "/a/b");
    assert_event(3, ZK_EVENT_CREATED, "/a/c");
    assert_event(5, ZK_EVENT_DELETED, "/a/b");
    assert_event(6, ZK_EVENT_CHILDREN_CHANGED, "/a");
    cr_assert_null(find(&world, "/a/b"));
    cr_assert_eq(tree_ephemeral_count(world.tree, 3), 1);
    apply_multi(&world, NULL, 0);
    cr_assert_eq(world.result.events_count, 0);
    cr_assert_eq(world.result.multi_count, 0);
}

Test(znode_apply, closing_a_session_deletes_its_ephemerals_oldest_first)
{
    apply_create(&world, "/p", "", 0);
    apply_create(&world, "/p/z", "", 5);
    apply_create(&world, "/p/y", "", 6);
    apply_create(&world, "/p/x", "", 5);
    apply_create(&world, "/p/w", "", 5);
    apply_delete(&world, "/p/x");
    apply_create(&world, "/p/v", "", 5);
    cr_assert_eq(tree_ephemerals_count(world.tree), 4);
    cr_assert_eq(tree_ephemeral_count(world.tree, 5), 3);
    cr_assert_eq(tree_ephemeral_session_next(world.tree, 0), 5);
    cr_assert_eq(tree_ephemeral_session_next(world.tree, 5), 6);
    cr_assert_eq(tree_ephemeral_session_next(world.tree, 6), 0);
    apply_close(&world, 5);
    cr_assert_eq(world.result.events_count, 6);
    assert_event(0, ZK_EVENT_DELETED, "/p/z");
    assert_event(1, ZK_EVENT_CHILDREN_CHANGED, "/p");
    assert_event(2, ZK_EVENT_DELETED, "/p/w");
    assert_event(4, ZK_EVENT_DELETED, "/p/v");
    cr_assert_eq(stat_of(&world, "/p").pzxid, world.zxid);
    cr_assert_eq(stat_of(&world, "/p").num_children, 1);
    cr_assert_eq(stat_of(&world, "/p").cversion, 9);
    cr_assert_eq(tree_ephemerals_count(world.tree), 1);
    cr_assert_null(tree_ephemeral_next(world.tree, 5, NULL));
    apply_close(&world, 5);
    cr_assert_eq(world.result.events_count, 0);
}

Test(znode_apply, big_work_goes_in_slices_and_gives_the_same)
{
    enum { COUNT = 20000 };
    struct txn *ops = MEM_ARRAY(struct txn, COUNT);
    struct arena *arena = arena_create(1 << 20);

    apply_create(&world, "/p", "", 0);
    for (size_t i = 0; i < COUNT; i++) {
        char *path = ARENA_NEW(arena, char, 16);

        (void)snprintf(path, 16, "/p/%zu", i);
        ops[i] = txn_create(&world, path, "x", 9);
        ops[i].create.parent_sequence = i + 1;
    }
    apply_multi(&world, ops, COUNT);
    cr_assert_gt(world.slices, 10);
    cr_assert_lt(world.slices, 1000);
    cr_assert_eq(world.result.events_count, 2 * COUNT);
    cr_assert_eq(tree_ephemeral_count(world.tree, 9), COUNT);
    apply_close(&world, 9);
    cr_assert_gt(world.slices, 10);
    cr_assert_eq(world.result.events_count, 2 * COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        cr_assert(
            slice_equal(world.result.events[2 * i].path, ops[i].create.path));
    }
    cr_assert_eq(tree_count(world.tree), 6);
    apply_create(&world, "/q", "", 0);
    cr_assert_eq(world.slices, 1);
    arena_destroy(arena);
    mem_free(ops);
}

Test(znode_apply, acl_ids_are_shared_and_used_again)
{
    uint32_t ids_max = 0;

    apply_create(&world, "/a", "", 0);
    apply_create(&world, "/b", "", 0);
    cr_assert_eq(znode_acl_id(find(&world, "/a")),
                 znode_acl_id(find(&world, "/b")));
    for (int i = 0; i < 10000; i++) {
        char id[16];
        struct zk_acl acl = {ZK_PERM_ALL, {text("ip"), {NULL, 0}}};

        (void)snprintf(id, sizeof(id), "%d", i);
        acl.id.id = text(id);
        apply_set_acl(&world, "/a", &acl, 1);
        apply_set_acl(&world, "/b", &acl, 1);
        cr_assert_eq(znode_acl_id(find(&world, "/a")),
                     znode_acl_id(find(&world, "/b")));
        if (znode_acl_id(find(&world, "/a")) > ids_max) {
            ids_max = znode_acl_id(find(&world, "/a"));
        }
    }
    cr_assert_lt(ids_max, 8);
    apply_set_acl(&world, "/a", &(struct zk_acl){.perms = 1}, 1);
    apply_set_acl(&world, "/b", NULL, 0);
    cr_assert_neq(znode_acl_id(find(&world, "/a")),
                  znode_acl_id(find(&world, "/b")));
}
