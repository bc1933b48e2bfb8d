#include "znode/container.h"

#include "base/check.h"
#include "base/mem.h"
#include "znode/tree_internal.h"

static int64_t due_time(const struct znode *node);
static void heap_add(struct collect *collect, struct collect_heap *heap,
                     struct collect_item item);
static void heap_remove(struct collect *collect, struct collect_heap *heap,
                        size_t at);
static void sift_up(struct collect *collect, struct collect_heap *heap,
                    size_t at);
static void sift_down(struct collect *collect, struct collect_heap *heap,
                      size_t at);
static void put(struct collect *collect, struct collect_heap *heap, size_t at,
                struct collect_item item);
static size_t find_due(const struct collect_heap *heap, int64_t before_ms,
                       size_t max, struct arena *arena, struct slice *paths);
static void frontier_add(const struct collect_heap *heap, size_t *frontier,
                         size_t count, size_t place);
static size_t frontier_take(const struct collect_heap *heap, size_t *frontier,
                            size_t count);

void collect_finish(struct collect *collect)
{
    mem_free(collect->due.items);
    mem_free(collect->unused.items);
    *collect = (struct collect){0};
}

void collect_update(struct collect *collect, struct znode *node)
{
    if ((node->flags & ZNODE_COLLECT) == 0) {
        return;
    }
    collect_remove(collect, node);
    if (node->children_count > 0) {
        return;
    }
    if (zk_owner_kind(node->owner) == ZK_NODE_CONTAINER &&
        node->sequence == 0) {
        heap_add(collect, &collect->unused,
                 (struct collect_item){node->mtime_ms, node});
    } else {
        heap_add(collect, &collect->due,
                 (struct collect_item){due_time(node), node});
    }
}

/* A node's place is 1 + twice its index, one more in the second heap. */
void collect_remove(struct collect *collect, struct znode *node)
{
    uint32_t place;

    if ((node->flags & ZNODE_COLLECT) == 0) {
        return;
    }
    place = node_place(node);
    if (place == 0) {
        return;
    }
    place--;
    heap_remove(collect, (place & 1) != 0 ? &collect->unused : &collect->due,
                place >> 1);
    node_set_place(node, 0);
}

size_t tree_container_candidates(const struct tree *tree, int64_t wall_ms,
                                 int64_t never_used_ms, size_t max,
                                 struct arena *arena, struct slice **paths)
{
    const struct collect *collect = &tree->collect;
    size_t all = collect->due.count + collect->unused.count;
    size_t count;

    if (max > all) {
        max = all;
    }
    *paths = ARENA_NEW(arena, struct slice, max);
    count = find_due(&collect->due, wall_ms, max, arena, *paths);
    if (never_used_ms > 0) {
        int64_t before_ms;

        if (__builtin_sub_overflow(wall_ms, never_used_ms, &before_ms)) {
            before_ms = INT64_MIN;
        }
        count += find_due(&collect->unused, before_ms, max - count, arena,
                          *paths + count);
    }
    return count;
}

static int64_t due_time(const struct znode *node)
{
    int64_t due_ms;

    if (zk_owner_kind(node->owner) == ZK_NODE_CONTAINER) {
        return INT64_MIN;
    }
    if (__builtin_add_overflow(node->mtime_ms, zk_owner_ttl_ms(node->owner),
                               &due_ms)) {
        return INT64_MAX;
    }
    return due_ms;
}

static void heap_add(struct collect *collect, struct collect_heap *heap,
                     struct collect_item item)
{
    CHECK(heap->count < UINT32_MAX / 2);
    heap->items = mem_grow(heap->items, &heap->capacity, heap->count + 1,
                           sizeof(struct collect_item));
    put(collect, heap, heap->count++, item);
    sift_up(collect, heap, heap->count - 1);
}

static void heap_remove(struct collect *collect, struct collect_heap *heap,
                        size_t at)
{
    CHECK(at < heap->count);
    heap->count--;
    if (at < heap->count) {
        put(collect, heap, at, heap->items[heap->count]);
        sift_up(collect, heap, at);
        sift_down(collect, heap, at);
    }
}

static void sift_up(struct collect *collect, struct collect_heap *heap,
                    size_t at)
{
    struct collect_item item = heap->items[at];

    while (at > 0 && item.time_ms < heap->items[(at - 1) / 2].time_ms) {
        put(collect, heap, at, heap->items[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(collect, heap, at, item);
}

static void sift_down(struct collect *collect, struct collect_heap *heap,
                      size_t at)
{
    struct collect_item item = heap->items[at];

    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < heap->count &&
            heap->items[child + 1].time_ms < heap->items[child].time_ms) {
            child++;
        }
        if (child >= heap->count ||
            item.time_ms <= heap->items[child].time_ms) {
            break;
        }
        put(collect, heap, at, heap->items[child]);
        at = child;
    }
    put(collect, heap, at, item);
}

static void put(struct collect *collect, struct collect_heap *heap, size_t at,
                struct collect_item item)
{
    uint32_t which = heap == &collect->unused ? 1 : 0;

    heap->items[at] = item;
    node_set_place(item.node, 1 + ((uint32_t)at << 1 | which));
}

/* The earliest items in order, without changing the heap: a second, small heap
 * of places holds the children of those already taken. */
static size_t find_due(const struct collect_heap *heap, int64_t before_ms,
                       size_t max, struct arena *arena, struct slice *paths)
{
    size_t *frontier = ARENA_NEW(arena, size_t, max + 2);
    size_t waiting = 0;
    size_t count = 0;

    if (heap->count > 0) {
        frontier[waiting++] = 0;
    }
    while (waiting > 0 && count < max) {
        size_t at = frontier_take(heap, frontier, waiting--);

        if (heap->items[at].time_ms >= before_ms &&
            heap->items[at].time_ms != INT64_MIN) {
            break;
        }
        paths[count++] = znode_path(heap->items[at].node, arena);
        for (size_t child = 2 * at + 1; child <= 2 * at + 2; child++) {
            if (child < heap->count) {
                frontier_add(heap, frontier, waiting++, child);
            }
        }
    }
    return count;
}

static void frontier_add(const struct collect_heap *heap, size_t *frontier,
                         size_t count, size_t place)
{
    size_t at = count;

    while (at > 0 && heap->items[place].time_ms <
                         heap->items[frontier[(at - 1) / 2]].time_ms) {
        frontier[at] = frontier[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    frontier[at] = place;
}

static size_t frontier_take(const struct collect_heap *heap, size_t *frontier,
                            size_t count)
{
    const struct collect_item *items = heap->items;
    size_t top = frontier[0];
    size_t moved = frontier[count - 1];
    size_t at = 0;

    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < count && items[frontier[child + 1]].time_ms <
                                     items[frontier[child]].time_ms) {
            child++;
        }
        if (child >= count ||
            items[moved].time_ms <= items[frontier[child]].time_ms) {
            break;
        }
        frontier[at] = frontier[child];
        at = child;
    }
    frontier[at] = moved;
    return top;
}
