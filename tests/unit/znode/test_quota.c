#include <criterion/criterion.h>
#include <stdio.h>

#include "fixture.h"

#include "znode/quota_text.h"

#define LIMITS "/zookeeper_limits"
#define STATS "/zookeeper_stats"

static struct world world;

static void setup(void)
{
    world_init(&world, 42);
}

static void teardown(void)
{
    world_finish(&world);
}

TestSuite(znode_quota, .init = setup, .fini = teardown);

static void set_quota(const char *path, const char *limits)
{
    char full[128];
    int len = snprintf(full, sizeof(full), "/zookeeper/quota%s", path);
    const char *slash = path;

    while ((slash = strchr(slash + 1, '/')) != NULL) {
        char part[128];

        (void)snprintf(part, sizeof(part), "/zookeeper/quota%.*s",
                       (int)(slash - path), path);
        if (find(&world, part) == NULL) {
            apply_create(&world, part, "", 0);
        }
    }
    if (find(&world, full) == NULL) {
        apply_create(&world, full, "", 0);
    }
    (void)snprintf(full + len, sizeof(full) - (size_t)len, LIMITS);
    apply_create(&world, full, limits, 0);
    (void)snprintf(full + len, sizeof(full) - (size_t)len, STATS);
    apply_create(&world, full, "count=-1,bytes=-1", 0);
}

static enum zk_code check(const char *path, int64_t count, int64_t bytes)
{
    struct slice soft;

    return tree_quota_check(world.tree, text(path), count, bytes, true, &soft);
}

Test(znode_quota, usage_is_counted_and_kept_current_without_a_version)
{
    struct zk_stat before;
    struct zk_stat after;

    apply_create(&world, "/a", "12345", 0);
    apply_create(&world, "/a/b", "123", 0);
    apply_create(&world, "/other", "123", 0);
    set_quota("/a", "count=10,bytes=100");
    cr_assert(data_is(&world, "/zookeeper/quota/a" STATS, "count=2,bytes=8"));
    before = stat_of(&world, "/zookeeper/quota/a" STATS);
    apply_create(&world, "/a/c", "1234", 0);
    cr_assert(data_is(&world, "/zookeeper/quota/a" STATS, "count=3,bytes=12"));
    cr_assert_eq(world.result.events_count, 2);
    apply_set(&world, "/a/c", "1");
    cr_assert(data_is(&world, "/zookeeper/quota/a" STATS, "count=3,bytes=9"));
    apply_set(&world, "/a/c", NULL);
    apply_set(&world, "/other", "longer data");
    apply_create(&world, "/ab", "not below", 0);
    cr_assert(data_is(&world, "/zookeeper/quota/a" STATS, "count=3,bytes=8"));
    apply_delete(&world, "/a/c");
    apply_create(&world, "/a/e", "12", 7);
    apply_close(&world, 7);
    cr_assert(data_is(&world, "/zookeeper/quota/a" STATS, "count=2,bytes=8"));
    after = stat_of(&world, "/zookeeper/quota/a" STATS);
    before.data_length = after.data_length;
    cr_assert(stat_equal(&after, &before));
    apply_set(&world, "/zookeeper/quota/a" STATS, "count=999");
    cr_assert_eq(world.result.stat.data_length, 9);
    cr_assert(data_is(&world, "/zookeeper/quota/a" STATS, "count=2,bytes=8"));
}

Test(znode_quota, a_path_that_is_not_there_yet_counts_from_nothing)
{
    set_quota("/late", "count=2,bytes=-1");
    cr_assert(
        data_is(&world, "/zookeeper/quota/late" STATS, "count=0,bytes=0"));
    apply_create(&world, "/late", "xyz", 0);
    cr_assert(
        data_is(&world, "/zookeeper/quota/late" STATS, "count=1,bytes=3"));
}

Test(znode_quota, the_longest_prefix_decides_and_every_account_counts_all)
{
    apply_create(&world, "/a", "", 0);
    apply_create(&world, "/a/b", "", 0);
    set_quota("/a", "count=-1,bytes=-1=;countHardLimit=100");
    set_quota("/a/b", "count=-1,bytes=-1=;countHardLimit=2");
    cr_assert_eq(check("/a/b/c", 1, 0), ZK_OK);
    apply_create(&world, "/a/b/c", "1", 0);
    cr_assert(data_is(&world, "/zookeeper/quota/a" STATS, "count=3,bytes=1"));
    cr_assert(data_is(&world, "/zookeeper/quota/a/b" STATS, "count=2,bytes=1"));
    cr_assert_eq(check("/a/b/d", 1, 0), ZK_QUOTA_EXCEEDED);
    cr_assert_eq(check("/a/b", 1, 0), ZK_QUOTA_EXCEEDED);
    cr_assert_eq(check("/a/bb", 1, 0), ZK_OK);
    apply_delete(&world, "/zookeeper/quota/a/b" LIMITS);
    cr_assert_eq(check("/a/b/d", 1, 0), ZK_OK);
    cr_assert_eq(check("/a/b/d", 98, 0), ZK_QUOTA_EXCEEDED, "of /a");
}

Test(znode_quota, hard_takes_the_place_of_soft_and_soft_only_tells)
{
    struct slice soft;

    apply_create(&world, "/a", "12345", 0);
    set_quota("/a", "count=1,bytes=3=;byteHardLimit=10");
    cr_assert_eq(tree_quota_check(world.tree, text("/a/b"), 1, 0, true, &soft),
                 ZK_OK);
    cr_assert(slice_equal_text(soft, "/a"));
    cr_assert_eq(tree_quota_check(world.tree, text("/a"), 0, 5, true, &soft),
                 ZK_OK);
    cr_assert(slice_is_absent(soft), "10 bytes are allowed");
    cr_assert_eq(tree_quota_check(world.tree, text("/a"), 0, 6, true, &soft),
                 ZK_QUOTA_EXCEEDED);
    cr_assert_eq(tree_quota_check(world.tree, text("/a"), 0, 6, false, &soft),
                 ZK_OK);
    cr_assert(slice_equal_text(soft, "/a"));
    cr_assert_eq(tree_quota_check(world.tree, text("/b"), 1, 6, true, &soft),
                 ZK_OK);
    cr_assert(slice_is_absent(soft));
    cr_assert_eq(check("/a", 0, 0), ZK_OK, "no change is not checked");
    apply_set(&world, "/a", "12345678901234567890");
    cr_assert_eq(check("/a", 0, -1), ZK_QUOTA_EXCEEDED, "still over");
}

Test(znode_quota, limits_follow_their_node)
{
    apply_create(&world, "/a", "", 0);
    set_quota("/a", "count=-1,bytes=-1=;countHardLimit=1");
    cr_assert_eq(check("/a/b", 1, 0), ZK_QUOTA_EXCEEDED);
    apply_set(&world, "/zookeeper/quota/a" LIMITS,
              "count=-1,bytes=-1=;countHardLimit=2");
    cr_assert_eq(check("/a/b", 1, 0), ZK_OK);
    apply_set(&world, "/zookeeper/quota/a" LIMITS, NULL);
    cr_assert_eq(check("/a/b", 1000, 1000), ZK_OK);
    apply_delete(&world, "/zookeeper/quota/a" STATS);
    apply_delete(&world, "/zookeeper/quota/a" LIMITS);
    apply_create(&world, "/a/b", "x", 0);
    apply_create(&world, "/zookeeper/quota/a" STATS, "", 0);
    cr_assert(data_is(&world, "/zookeeper/quota/a" STATS, "count=2,bytes=1"));
}

Test(znode_quota, the_root_and_the_system_part_have_none)
{
    apply_create(&world, "/zookeeper/quota" STATS, "mine", 0);
    apply_create(&world, "/zookeeper/quota" LIMITS, "countHardLimit=0", 0);
    set_quota("/zookeeper", "count=-1,bytes=-1=;countHardLimit=0");
    apply_create(&world, "/a", "", 0);
    cr_assert(data_is(&world, "/zookeeper/quota" STATS, "mine"));
    cr_assert(data_is(&world, "/zookeeper/quota/zookeeper" STATS,
                      "count=-1,bytes=-1"));
    cr_assert_eq(check("/a", 1, 1), ZK_OK);
    cr_assert_eq(check("/zookeeper/x", 1, 1), ZK_OK);
}

Test(znode_quota, counting_a_big_subtree_goes_in_slices)
{
    char path[32];

    apply_create(&world, "/a", "", 0);
    for (int i = 0; i < 50000; i++) {
        (void)snprintf(path, sizeof(path), "/a/%d", i);
        apply_create(&world, path, "12", 0);
    }
    apply_create(&world, "/zookeeper/quota/a", "", 0);
    apply_create(&world, "/zookeeper/quota/a" LIMITS, "count=5", 0);
    cr_assert_gt(world.slices, 3);
    apply_create(&world, "/zookeeper/quota/a" STATS, "", 0);
    cr_assert_eq(world.slices, 1, "counted already");
    cr_assert(data_is(&world, "/zookeeper/quota/a" STATS,
                      "count=50001,bytes=100000"));
}

Test(znode_quota, a_multi_that_makes_a_quota_and_goes_on_counts_right)
{
    struct txn ops[4];

    apply_create(&world, "/a", "1", 0);
    apply_create(&world, "/zookeeper/quota/a", "", 0);
    ops[0] = txn_create(&world, "/a/x", "12", 0);
    ops[1] = txn_create(&world, "/zookeeper/quota/a" STATS, "", 0);
    ops[2] = txn_create(&world, "/a/y", "123", 0);
    ops[3] = txn_delete("/a/x");
    apply_multi(&world, ops, 4);
    cr_assert(data_is(&world, "/zookeeper/quota/a" STATS, "count=2,bytes=4"));
}

Test(znode_quota, a_load_counts_anew_and_the_digest_does_not_mind)
{
    struct disk *disk = disk_create();
    struct world loaded;

    world_init(&loaded, 5);
    apply_create(&world, "/a", "12345", 0);
    set_quota("/a", "count=10,bytes=100");
    apply_create(&world, "/zz", "12345", 0);
    set_quota("/zz", "count=10,bytes=100");
    disk_take(disk, &world, 100);
    apply_create(&world, "/a/b", "123", 0);
    apply_create(&world, "/zz/b", "123", 0);
    disk_take(disk, &world, 100);
    disk_load(disk, &loaded);
    cr_assert(data_is(&loaded, "/zookeeper/quota/a" STATS, "count=2,bytes=8"));
    cr_assert(data_is(&loaded, "/zookeeper/quota/zz" STATS, "count=2,bytes=8"));
    assert_same_tree(&world, &loaded);
    world_finish(&loaded);
    disk_destroy(disk);
}

Test(znode_quota, limits_are_read_as_zookeeper_reads_them)
{
    struct {
        const char *text;
        struct quota_limits limits;
    } rows[] = {
        {"", {-1, -1, -1, -1}},
        {"count=5,bytes=7", {5, 7, -1, -1}},
        {"count=5,bytes=7=;byteHardLimit=9;countHardLimit=8", {5, 7, 8, 9}},
        {";;count=5,,;bytes=,", {5, -1, -1, -1}},
        {"count=+5,bytes=0", {5, 0, -1, -1}},
        {"count=-5,bytes=-1", {-5, -1, -1, -1}},
        {"count=5,count=6", {6, -1, -1, -1}},
        {"count", {-1, -1, -1, -1}},
        {"=,=;=", {-1, -1, -1, -1}},
        {"count= 5,bytes=5x", {-1, -1, -1, -1}},
        {"count=-,bytes=+", {-1, -1, -1, -1}},
        {"count=9223372036854775807,bytes=9223372036854775808",
         {INT64_MAX, INT64_MAX, -1, -1}},
        {"count=99999999999999999999999999,bytes=-99999999999999999999999",
         {INT64_MAX, -INT64_MAX, -1, -1}},
        {"garbage\xff\xfe,count=3", {3, -1, -1, -1}},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct quota_limits limits;

        quota_limits_parse(text(rows[i].text), &limits);
        cr_assert_arr_eq(&limits, &rows[i].limits, sizeof(limits), "%s",
                         rows[i].text);
    }
    quota_limits_parse(text(NULL), &(struct quota_limits){0});
}

Test(znode_quota, numbers_near_the_end_of_64_bits_do_not_wrap)
{
    apply_create(&world, "/a", "12345", 0);
    set_quota("/a", "count=9223372036854775807,bytes=1=;"
                    "byteHardLimit=9223372036854775807;countHardLimit=0");
    cr_assert_eq(check("/a", 0, INT64_MAX), ZK_QUOTA_EXCEEDED);
    cr_assert_eq(check("/a", 0, INT64_MIN), ZK_OK);
    cr_assert_eq(check("/a", INT64_MAX, 0), ZK_QUOTA_EXCEEDED);
}

Test(znode_quota, all_are_listed_with_the_limits_that_hold)
{
    static const struct {
        const char *path;
        int64_t count_limit, bytes_limit, count, bytes;
    } rows[] = {{"/a", 5, 7, 2, 5}, {"/a/b", 9, 20, 1, 3}};
    struct tree_quota quota;
    const void *cursor = NULL;
    size_t seen = 0;

    cr_assert_eq(tree_quotas_count(world.tree), 0);
    cr_assert_not(tree_quota_next(world.tree, &cursor, &quota));
    apply_create(&world, "/a", "12", 0);
    apply_create(&world, "/a/b", "345", 0);
    set_quota("/a", "count=5,bytes=7");
    set_quota("/a/b", "count=1,bytes=20=;countHardLimit=9");
    cr_assert_eq(tree_quotas_count(world.tree), 2);
    cursor = NULL;
    while (tree_quota_next(world.tree, &cursor, &quota)) {
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            if (slice_equal_text(quota.path, rows[i].path)) {
                seen++;
                cr_expect_eq(quota.count_limit, rows[i].count_limit);
                cr_expect_eq(quota.bytes_limit, rows[i].bytes_limit);
                cr_expect_eq(quota.count, rows[i].count);
                cr_expect_eq(quota.bytes, rows[i].bytes);
            }
        }
    }
    cr_assert_eq(seen, 2);
}
