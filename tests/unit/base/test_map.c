#include <criterion/criterion.h>

#include "base/map.h"
#include "base/mem.h"

struct item {
    struct map_link link;
    uint64_t value;
};

Test(base_map, finds_all_while_growing_and_walks_in_order)
{
    enum { COUNT = 5000 };
    struct item *items = MEM_ARRAY(struct item, COUNT);
    struct map map;
    uint64_t expected = 0;

    map_init(&map, 42);
    for (uint64_t i = 0; i < COUNT; i++) {
        items[i].value = i;
        map_add_number(&map, &items[i].link, i * 7919);
        for (uint64_t j = 0; j <= i; j += 97) {
            struct map_link *link = map_find_number(&map, j * 7919);

            cr_assert_eq(link, &items[j].link);
        }
    }
    cr_assert_null(map_find_number(&map, 1));
    for (struct map_link *l = map_first(&map); l != NULL;
         l = map_next(&map, l)) {
        cr_assert_eq(MAP_ENTRY(l, struct item, link)->value, expected++);
    }
    cr_assert_eq(expected, COUNT);
    for (uint64_t i = 0; i < COUNT; i++) {
        map_remove(&map, &items[i].link);
        cr_assert_null(map_find_number(&map, i * 7919));
    }
    cr_assert_eq(map_count(&map), 0);
    map_finish(&map);
    mem_free(items);
}
