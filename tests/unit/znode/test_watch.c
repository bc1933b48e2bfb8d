#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/prng.h"
#include "znode/watch.h"

static struct watch_table *table;
static struct arena *arena;

static void setup(void)
{
    table = watch_table_create(42);
    arena = arena_create(4096);
}

static void teardown(void)
{
    watch_table_destroy(table);
    arena_destroy(arena);
}

TestSuite(znode_watch, .init = setup, .fini = teardown);

static struct slice text(const char *string)
{
    return slice_from_text(string);
}

static void add(enum watch_kind kind, const char *path, uint64_t conn)
{
    watch_add(table, kind, text(path), conn);
}

/* "1 2 3": who was told, in order */
static const char *fire(enum zk_event_type type, const char *path)
{
    static char list[256];
    uint64_t *conns;
    size_t count = watch_fire(table, type, text(path), arena, &conns);
    size_t at = 0;

    list[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%d",
                               i == 0 ? "" : " ", (int)conns[i]);
    }
    return list;
}

Test(znode_watch, each_kind_fires_on_its_events_alone)
{
    struct {
        enum zk_event_type type;
        const char *at, *below;
    } rows[] = {
        /* 1 data, 2 child, 3 persistent, 4 recursive: at /a, at /a/b/c */
        {ZK_EVENT_CREATED, "1 3 4", "4"},
        {ZK_EVENT_DELETED, "1 2 3 4", "4"},
        {ZK_EVENT_DATA_CHANGED, "1 3 4", "4"},
        {ZK_EVENT_CHILDREN_CHANGED, "2 3", ""},
    };

    for (size_t i = 0; i < 4; i++) {
        add(WATCH_DATA, "/a", 1);
        add(WATCH_CHILD, "/a", 2);
        add(WATCH_PERSISTENT, "/a", 3);
        add(WATCH_PERSISTENT_RECURSIVE, "/a", 4);
        cr_assert_str_eq(fire(rows[i].type, "/a/b/c"), rows[i].below);
        cr_assert_str_eq(fire(rows[i].type, "/"), "");
        cr_assert_str_eq(fire(rows[i].type, "/ab"), "");
        cr_assert_str_eq(fire(rows[i].type, "/a"), rows[i].at);
        cr_assert(watch_remove_conn(table, 1, 9));
        cr_assert(watch_remove_conn(table, 2, 9));
    }
    cr_assert_eq(watch_conn_count(table, 1), 0);
    cr_assert_eq(watch_conn_count(table, 3), 1);
}

Test(znode_watch, one_shot_watches_are_used_up_and_others_are_not)
{
    add(WATCH_DATA, "/a", 1);
    add(WATCH_CHILD, "/a", 2);
    add(WATCH_PERSISTENT, "/a", 3);
    add(WATCH_PERSISTENT_RECURSIVE, "/", 4);
    cr_assert_str_eq(fire(ZK_EVENT_DATA_CHANGED, "/a"), "1 3 4");
    cr_assert_str_eq(fire(ZK_EVENT_DATA_CHANGED, "/a"), "3 4");
    cr_assert_str_eq(fire(ZK_EVENT_CHILDREN_CHANGED, "/a"), "2 3");
    cr_assert_str_eq(fire(ZK_EVENT_CHILDREN_CHANGED, "/a"), "3");
    cr_assert_eq(watch_count_data(table), 2);
    cr_assert_str_eq(fire(ZK_EVENT_CREATED, "/"), "4");
    cr_assert_str_eq(fire(ZK_EVENT_CREATED, "/x"), "4");
}

Test(znode_watch, a_connection_with_many_is_told_once)
{
    add(WATCH_PERSISTENT_RECURSIVE, "/", 7);
    add(WATCH_PERSISTENT_RECURSIVE, "/a", 7);
    add(WATCH_DATA, "/a/b", 8);
    add(WATCH_DATA, "/a/b", 7);
    add(WATCH_CHILD, "/a/b", 7);
    add(WATCH_PERSISTENT, "/a/b", 7);
    add(WATCH_PERSISTENT_RECURSIVE, "/a/b", 7);
    add(WATCH_PERSISTENT_RECURSIVE, "/a", 9);
    cr_assert_eq(watch_conn_count(table, 7), 6);
    cr_assert_str_eq(fire(ZK_EVENT_DELETED, "/a/b"), "8 7 9");
    cr_assert_eq(watch_conn_count(table, 7), 4);
    cr_assert_eq(watch_conn_count(table, 8), 0);
    cr_assert_str_eq(fire(ZK_EVENT_CREATED, "/a/b"), "7 9");
}

Test(znode_watch, adding_again_is_one_watch)
{
    for (int i = 0; i < 3; i++) {
        add(WATCH_DATA, "/a", 1);
        add(WATCH_PERSISTENT, "/a", 1);
    }
    cr_assert_eq(watch_conn_count(table, 1), 2);
    cr_assert_eq(watch_count_data(table), 1, "one pair");
}

Test(znode_watch, kinds_are_removed_and_asked_for_apart)
{
    enum zk_watcher_type types[] = {ZK_WATCHER_DATA, ZK_WATCHER_CHILDREN,
                                    ZK_WATCHER_PERSISTENT,
                                    ZK_WATCHER_PERSISTENT_RECURSIVE};
    enum watch_kind kinds[] = {WATCH_DATA, WATCH_CHILD, WATCH_PERSISTENT,
                               WATCH_PERSISTENT_RECURSIVE};

    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < 4; j++) {
            add(kinds[j], "/a", 1);
        }
        add(kinds[i], "/a", 2);
        cr_assert(watch_remove(table, text("/a"), types[i], 1));
        cr_assert_not(watch_remove(table, text("/a"), types[i], 1));
        for (size_t j = 0; j < 4; j++) {
            cr_assert_eq(watch_exists(table, text("/a"), types[j], 1), i != j);
        }
        cr_assert(watch_exists(table, text("/a"), types[i], 2));
        cr_assert(watch_exists(table, text("/a"), ZK_WATCHER_ANY, 2));
        cr_assert_not(watch_exists(table, text("/b"), ZK_WATCHER_ANY, 2));
        cr_assert(watch_remove(table, text("/a"), ZK_WATCHER_ANY, 1));
        cr_assert_not(watch_exists(table, text("/a"), ZK_WATCHER_ANY, 1));
        cr_assert_not(watch_remove(table, text("/a"), ZK_WATCHER_ANY, 1));
        cr_assert(watch_remove(table, text("/a"), ZK_WATCHER_ANY, 2));
        cr_assert_eq(watch_count(table), 0);
    }
}

Test(znode_watch, counts_are_zookeepers)
{
    add(WATCH_DATA, "/a", 1);
    add(WATCH_PERSISTENT_RECURSIVE, "/a", 1);
    add(WATCH_CHILD, "/a", 1);
    add(WATCH_CHILD, "/c", 2);
    add(WATCH_PERSISTENT, "/b", 3);
    cr_assert_eq(watch_count_data(table), 2);
    cr_assert_eq(watch_count(table), 5, "persistent is in both tables");
    cr_assert_eq(watch_count_paths_data(table), 2);
    cr_assert_eq(watch_count_conns_data(table), 2);
    add(WATCH_PERSISTENT, "/a", 1);
    cr_assert_eq(watch_count_data(table), 2);
    cr_assert_eq(watch_count(table), 5);
    cr_assert(watch_remove(table, text("/a"), ZK_WATCHER_CHILDREN, 1));
    cr_assert_eq(watch_count(table), 5);
    cr_assert(watch_remove(table, text("/a"), ZK_WATCHER_PERSISTENT, 1));
    cr_assert_eq(watch_count(table), 4);
    cr_assert(watch_remove(table, text("/a"), ZK_WATCHER_DATA, 1));
    cr_assert_eq(watch_count_data(table), 2);
    cr_assert(watch_remove_conn(table, 1, 99));
    cr_assert_eq(watch_count_data(table), 1);
    cr_assert_eq(watch_count_paths_data(table), 1);
    cr_assert_eq(watch_count_conns_data(table), 1);
    cr_assert_eq(watch_count(table), 3);
}

Test(znode_watch, any_bytes_are_a_path_to_be_watched)
{
    add(WATCH_DATA, "no slash", 1);
    add(WATCH_CHILD, "", 1);
    watch_add(table, WATCH_PERSISTENT, (struct slice){NULL, 0}, 1);
    cr_assert_str_eq(fire(ZK_EVENT_CHILDREN_CHANGED, ""), "1");
    cr_assert_eq(watch_conn_count(table, 1), 2);
}

Test(znode_watch, ten_thousand_of_one_path_are_told_in_order)
{
    uint64_t *conns;
    size_t count;

    for (uint64_t i = 1; i <= 10000; i++) {
        add(WATCH_DATA, "/a", i * 7919 % 10007);
    }
    count = watch_fire(table, ZK_EVENT_DATA_CHANGED, text("/a"), arena, &conns);
    cr_assert_eq(count, 10000);
    for (uint64_t i = 0; i < count; i++) {
        cr_assert_eq(conns[i], (i + 1) * 7919 % 10007);
    }
    cr_assert_eq(watch_count(table), 0);
    cr_assert_str_eq(fire(ZK_EVENT_DATA_CHANGED, "/a"), "");
}

Test(znode_watch, a_closed_connections_go_in_slices)
{
    char path[32];
    int slices = 1;

    for (int i = 0; i < 100000; i++) {
        (void)snprintf(path, sizeof(path), "/n/%d", i);
        add((enum watch_kind)(1 + i % 4), path, 5);
    }
    add(WATCH_DATA, "/n/7", 6);
    cr_assert_eq(watch_conn_count(table, 5), 100000);
    while (!watch_remove_conn(table, 5, 1000)) {
        slices++;
    }
    cr_assert_eq(slices, 100);
    cr_assert(watch_remove_conn(table, 5, 1000));
    cr_assert_eq(watch_count(table), 1);
    cr_assert_str_eq(fire(ZK_EVENT_DELETED, "/n/7"), "6");
}

Test(znode_watch, walks_show_each_pair_of_the_data_table_once)
{
    enum { PATHS = 50, CONNS = 20 };
    int seen[2][PATHS][CONNS] = {0};
    int expected[PATHS][CONNS] = {0};
    struct prng prng;
    char path[32];

    prng_init(&prng, 3);
    for (int i = 0; i < 3000; i++) {
        enum watch_kind kind = (enum watch_kind)(1 + prng_below(&prng, 4));
        size_t p = prng_below(&prng, PATHS);
        size_t c = prng_below(&prng, CONNS);

        (void)snprintf(path, sizeof(path), "/p%zu", p);
        add(kind, path, 1 + c);
        expected[p][c] |= kind != WATCH_CHILD;
    }
    for (int by = 0; by < 2; by++) {
        const void *cursor = NULL;
        struct watch_view view;
        uint64_t last = 0;
        size_t groups = 0;
        size_t count = 0;

        while (by == 0 ? watch_next_by_path(table, &cursor, &view)
                       : watch_next_by_conn(table, &cursor, &view)) {
            uint64_t p = strtoul((const char *)view.path.ptr + 2, NULL, 10);
            uint64_t group = 1 + (by == 0 ? p : view.conn_id);

            seen[by][p][view.conn_id - 1]++;
            groups += group != last;
            last = group;
            count++;
        }
        cr_assert_eq(groups, by == 0 ? watch_count_paths_data(table)
                                     : watch_count_conns_data(table));
        cr_assert_eq(count, watch_count_data(table));
        cr_assert_arr_eq(seen[by], expected, sizeof(expected));
    }
}

/* Against plain flags, in random order. */
Test(znode_watch, random_changes_keep_all_tables_right)
{
    enum { PATHS = 6, CONNS = 5, KINDS = 4 };
    static const char *paths[PATHS] = {"/",    "/a",     "/a/b",
                                       "/a/c", "/a/b/c", "/d"};
    bool have[PATHS][CONNS][KINDS] = {0};
    struct prng prng;

    prng_init(&prng, 77);
    for (int i = 0; i < 20000; i++) {
        size_t p = prng_below(&prng, PATHS);
        size_t c = prng_below(&prng, CONNS);
        size_t k = prng_below(&prng, KINDS);
        uint64_t what = prng_below(&prng, 10);

        if (what < 6) {
            add((enum watch_kind)(k + 1), paths[p], c);
            have[p][c][k] = true;
        } else if (what < 7) {
            static const enum zk_watcher_type types[] = {
                ZK_WATCHER_DATA, ZK_WATCHER_CHILDREN, ZK_WATCHER_PERSISTENT,
                ZK_WATCHER_PERSISTENT_RECURSIVE};

            cr_assert_eq(watch_remove(table, text(paths[p]), types[k], c),
                         have[p][c][k]);
            have[p][c][k] = false;
        } else if (what < 8 && i % 5 == 0) {
            while (!watch_remove_conn(table, c, 2)) {
            }
            for (size_t j = 0; j < PATHS; j++) {
                memset(have[j][c], 0, KINDS);
            }
        } else {
            uint64_t *conns;
            bool told[CONNS] = {0};
            size_t count = watch_fire(table, ZK_EVENT_DELETED, text(paths[p]),
                                      arena, &conns);

            for (size_t j = 0; j < count; j++) {
                cr_assert_not(told[conns[j]]);
                told[conns[j]] = true;
            }
            for (size_t j = 0; j < CONNS; j++) {
                bool *own = have[p][j];
                bool expected = own[0] || own[1] || own[2] || own[3];

                for (size_t q = 0; q < PATHS; q++) {
                    size_t len = strlen(paths[q]);

                    expected |= have[q][j][3] &&
                                strncmp(paths[p], paths[q], len) == 0 &&
                                (len == 1 || paths[p][len] == '/');
                }
                cr_assert_eq(told[j], expected);
                own[0] = false;
                own[1] = false;
            }
            arena_reset(arena);
        }
    }
}

Test(znode_watch, a_deep_path_tells_all_above)
{
    enum { DEPTH = 2000 };
    static char path[2 * DEPTH + 1];
    uint64_t *conns;

    for (size_t i = 0; i < DEPTH; i++) {
        memcpy(path + 2 * i, "/a", 2);
        watch_add(table, WATCH_PERSISTENT_RECURSIVE,
                  slice_make(path, 2 * i + 2), i + 1);
    }
    add(WATCH_PERSISTENT_RECURSIVE, "/", DEPTH + 1);
    add(WATCH_PERSISTENT_RECURSIVE, "", DEPTH + 2); /* above nothing */
    add(WATCH_PERSISTENT_RECURSIVE, "/a/", DEPTH + 3);
    cr_assert_eq(watch_fire(table, ZK_EVENT_DATA_CHANGED,
                            slice_make(path, 2 * DEPTH), arena, &conns),
                 DEPTH + 1);
    cr_assert_eq(conns[0], DEPTH);
    cr_assert_eq(conns[DEPTH - 1], 1);
    cr_assert_eq(conns[DEPTH], DEPTH + 1);
}
