#include <criterion/criterion.h>
#include <stdio.h>

#include "fixture.h"

#include "base/prng.h"

static struct world world;

static void setup(void)
{
    world_init(&world, 42);
}

static void teardown(void)
{
    world_finish(&world);
}

TestSuite(znode_container, .init = setup, .fini = teardown);

/* "path path ..." of what may go */
static const char *due(int64_t wall_ms, int64_t never_used_ms, size_t max)
{
    static char list[256];
    struct slice *paths;
    size_t count = tree_container_candidates(world.tree, wall_ms, never_used_ms,
                                             max, world.arena, &paths);
    size_t at = 0;

    list[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%.*s",
                               i == 0 ? "" : " ", (int)paths[i].len,
                               paths[i].ptr);
    }
    return list;
}

Test(znode_container, a_container_may_go_when_its_last_child_went)
{
    apply_create(&world, "/c", "", ZK_OWNER_CONTAINER);
    cr_assert_str_eq(due(INT64_MAX, 0, 9), "", "never used");
    apply_create(&world, "/c/x", "", 0);
    cr_assert_str_eq(due(INT64_MAX, 1, 9), "");
    apply_create(&world, "/c/y", "", 0);
    apply_delete(&world, "/c/x");
    cr_assert_str_eq(due(INT64_MAX, 1, 9), "");
    apply_delete(&world, "/c/y");
    cr_assert_str_eq(due(0, 0, 9), "/c");
    apply_create(&world, "/c/z", "", 8);
    cr_assert_str_eq(due(0, 0, 9), "");
    apply_close(&world, 8);
    cr_assert_str_eq(due(0, 0, 9), "/c");
    cr_assert_str_eq(due(0, 0, 0), "");
    apply_delete(&world, "/c");
    cr_assert_str_eq(due(0, 0, 9), "");
}

Test(znode_container, one_never_used_may_go_when_it_is_old_enough)
{
    world.time_ms = 1000;
    apply_create(&world, "/c", "", ZK_OWNER_CONTAINER);
    cr_assert_str_eq(due(1100, 100, 9), "");
    cr_assert_str_eq(due(1101, 100, 9), "/c");
    cr_assert_str_eq(due(1101, 0, 9), "");
    cr_assert_str_eq(due(INT64_MIN, 100, 9), "");
    world.time_ms = 2000;
    apply_set(&world, "/c", "touched");
    cr_assert_str_eq(due(1101, 100, 9), "");
    cr_assert_str_eq(due(2101, 100, 9), "/c");
}

Test(znode_container, a_ttl_node_may_go_when_untouched_and_childless)
{
    world.time_ms = 1000;
    apply_create(&world, "/t", "", zk_owner_from_ttl(50));
    cr_assert_str_eq(due(1050, 0, 9), "");
    cr_assert_str_eq(due(1051, 0, 9), "/t");
    world.time_ms = 1040;
    apply_set(&world, "/t", "");
    cr_assert_str_eq(due(1090, 0, 9), "");
    cr_assert_str_eq(due(1091, 0, 9), "/t");
    world.time_ms = 3000;
    apply_create(&world, "/t/x", "", 0);
    cr_assert_str_eq(due(5000, 0, 9), "");
    apply_delete(&world, "/t/x");
    cr_assert_str_eq(due(5000, 0, 9), "/t", "a child does not touch it");
    apply_create(&world, "/max", "", zk_owner_from_ttl(ZK_TTL_MS_MAX));
    world.time_ms = INT64_MAX - 1;
    apply_create(&world, "/end", "", zk_owner_from_ttl(ZK_TTL_MS_MAX));
    cr_assert_str_eq(due(INT64_MAX, 0, 9), "/t /max");
}

Test(znode_container, the_longest_due_come_first_and_the_rest_waits)
{
    apply_create(&world, "/c", "", ZK_OWNER_CONTAINER);
    apply_create(&world, "/c/x", "", 0);
    apply_delete(&world, "/c/x");
    apply_create(&world, "/t5", "", zk_owner_from_ttl(5));
    apply_create(&world, "/t1", "", zk_owner_from_ttl(1));
    apply_create(&world, "/t4", "", zk_owner_from_ttl(4));
    apply_create(&world, "/t9", "", zk_owner_from_ttl(9));
    apply_create(&world, "/t2", "", zk_owner_from_ttl(2));
    apply_create(&world, "/u", "", ZK_OWNER_CONTAINER);
    cr_assert_str_eq(due(1006, 1, 99), "/c /t1 /t2 /t4 /t5 /u");
    cr_assert_str_eq(due(1006, 1, 3), "/c /t1 /t2");
    cr_assert_str_eq(due(1000, 0, 99), "/c");
}

Test(znode_container, a_load_finds_them_again)
{
    struct disk *disk = disk_create();

    apply_create(&world, "/used", "", ZK_OWNER_CONTAINER);
    apply_create(&world, "/used/x", "", 0);
    apply_delete(&world, "/used/x");
    apply_create(&world, "/full", "", ZK_OWNER_CONTAINER);
    apply_create(&world, "/full/x", "", 0);
    apply_create(&world, "/new", "", ZK_OWNER_CONTAINER);
    apply_create(&world, "/ttl", "", zk_owner_from_ttl(5));
    apply_create(&world, "/ttlfull", "", zk_owner_from_ttl(5));
    apply_create(&world, "/ttlfull/x", "", 0);
    disk_take(disk, &world, 99);
    disk_load(disk, &world);
    cr_assert_str_eq(due(1006, 0, 99), "/used /ttl");
    cr_assert_str_eq(due(1006, 1, 99), "/used /ttl /new");
    disk_destroy(disk);
}

/* Deadlines against a plain array, in random order of changes. */
Test(znode_container, many_stay_in_order_through_random_changes)
{
    enum { COUNT = 200 };
    int64_t deadline[COUNT] = {0};
    struct prng prng;
    char path[16];

    prng_init(&prng, 11);
    for (int i = 0; i < 5000; i++) {
        size_t n = prng_below(&prng, COUNT);

        world.time_ms = (int64_t)prng_below(&prng, 100000);
        (void)snprintf(path, sizeof(path), "/t%zu", n);
        if (deadline[n] == 0) {
            apply_create(&world, path, "", zk_owner_from_ttl(10));
            deadline[n] = world.time_ms + 10;
        } else if (prng_below(&prng, 3) == 0) {
            apply_delete(&world, path);
            deadline[n] = 0;
        } else {
            apply_set(&world, path, "");
            deadline[n] = world.time_ms + 10;
        }
        if (i % 50 == 0) {
            int64_t wall = (int64_t)prng_below(&prng, 100000);
            struct slice *paths;
            size_t count = tree_container_candidates(
                world.tree, wall, 0, SIZE_MAX, world.arena, &paths);
            size_t expected = 0;
            int64_t last = 0;

            for (size_t j = 0; j < COUNT; j++) {
                expected += deadline[j] != 0 && deadline[j] < wall;
            }
            cr_assert_eq(count, expected);
            for (size_t j = 0; j < count; j++) {
                struct zk_stat stat;

                znode_stat(tree_find(world.tree, paths[j]), &stat);
                cr_assert_geq(stat.mtime, last);
                last = stat.mtime;
            }
        }
    }
}
