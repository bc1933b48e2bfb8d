#include <criterion/criterion.h>
#include <malloc.h>
#include <stdio.h>

#include "fixture.h"

#include "base/mem.h"
#include "znode/watch.h"

#if defined(__SANITIZE_ADDRESS__)
#define MEASURES false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define MEASURES false
#endif
#endif
#ifndef MEASURES
#define MEASURES true /* mallinfo2() tells of our own allocator */
#endif

static size_t in_use(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

Test(znode_memory, a_node_with_100_bytes_takes_at_most_330)
{
    enum { COUNT = 200000 };
    struct world world;
    size_t before = in_use();
    size_t per_node;
    char data[101];

    memset(data, 'x', 100);
    data[100] = '\0';
    world_init(&world, 1);
    for (int i = 0; i < COUNT; i++) {
        char path[32];
        struct buf list = {0};

        (void)snprintf(path, sizeof(path), "/bench%d", i % 100);
        if (i < 100) {
            apply_create(&world, path, "", 0);
        }
        (void)snprintf(path, sizeof(path), "/bench%d/key%010d", i % 100, i);
        apply_create(&world, path, data, 0);
        if (i % 1000 == 0) {
            cr_assert(tree_dirty_take(world.tree, SIZE_MAX, &list));
        }
        buf_finish(&list);
    }
    per_node = (in_use() - before) / COUNT;
    fprintf(stderr, "bytes per znode of 100 bytes of data: %zu\n", per_node);
    if (MEASURES) {
        cr_assert_leq(per_node, 330);
        cr_assert_gt(per_node, 200);
    }
    world_finish(&world);
}

Test(znode_memory, a_watch_takes_about_100_bytes_and_its_path)
{
    enum { COUNT = 200000, PATH_LEN = 16 };
    size_t before = in_use();
    struct watch_table *table = watch_table_create(1);
    size_t per_watch;

    for (int i = 0; i < COUNT; i++) {
        char path[32];

        (void)snprintf(path, sizeof(path), "/watch/%09d", i);
        watch_add(table, WATCH_DATA, slice_make(path, PATH_LEN), 1);
    }
    per_watch = (in_use() - before) / COUNT;
    fprintf(stderr, "bytes per watch of one session: %zu\n", per_watch);
    if (MEASURES) {
        cr_assert_leq(per_watch, 120 + PATH_LEN);
    }
    cr_assert_not(watch_remove_conn(table, 1, COUNT - 1));
    cr_assert(watch_remove_conn(table, 1, 1));
    watch_table_destroy(table);
}
