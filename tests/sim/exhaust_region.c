#include "tests/sim/exhaust_region.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"

#define GRAIN 16U
#define SMALL_MAX 1024U
/* Multiples of the grain, then powers of two. */
#define CLASSES (SMALL_MAX / GRAIN + 12)

struct block {
    size_t class; /* while it is given out; the bytes follow */
    struct block *next_free;
};

/* At the region's beginning, so that it is copied with it. */
struct head {
    size_t used;
    struct block *free[CLASSES];
};

static struct {
    alignas(64) uint8_t bytes[REGION_SIZE];
    bool entered;
} region;

static struct head *head(void);
static void *region_alloc(size_t size);
static void region_free(void *ptr);
static struct block *block_of(void *ptr);
static size_t class_of(size_t size);
static size_t class_size(size_t class);
static bool is_inside(const void *ptr);

void *region_reset(size_t root_size)
{
    size_t begin = (sizeof(struct head) + GRAIN - 1) / GRAIN * GRAIN;

    memset(region.bytes, 0, head()->used);
    memset(head(), 0, sizeof(struct head));
    head()->used = begin + (root_size + GRAIN - 1) / GRAIN * GRAIN;
    memset(region_root(), 0, root_size);
    return region_root();
}

void *region_root(void)
{
    return region.bytes + (sizeof(struct head) + GRAIN - 1) / GRAIN * GRAIN;
}

void region_enter(void)
{
    region.entered = true;
}

void region_leave(void)
{
    region.entered = false;
}

size_t region_used(void)
{
    return (head()->used + REGION_BLOCK - 1) / REGION_BLOCK * REGION_BLOCK;
}

uint8_t *region_bytes(void)
{
    return region.bytes;
}

void *mem_alloc(size_t size)
{
    void *ptr;

    if (region.entered) {
        return region_alloc(size);
    }
    ptr = malloc(size == 0 ? 1 : size);
    CHECK(ptr != NULL);
    return ptr;
}

void *mem_zalloc(size_t size)
{
    void *ptr = mem_alloc(size);

    return memset(ptr, 0, size);
}

void *mem_realloc(void *ptr, size_t size)
{
    size_t old_size;
    void *moved;

    if (ptr == NULL) {
        return mem_alloc(size);
    }
    if (!is_inside(ptr)) {
        moved = realloc(ptr, size == 0 ? 1 : size);
        CHECK(moved != NULL);
        return moved;
    }
    old_size = class_size(block_of(ptr)->class);
    moved = region_alloc(size);
    memcpy(moved, ptr, old_size < size ? old_size : size);
    region_free(ptr);
    return moved;
}

void mem_free(void *ptr)
{
    if (is_inside(ptr)) {
        region_free(ptr);
    } else {
        free(ptr);
    }
}

char *mem_copy_text(const char *text)
{
    size_t size = strlen(text) + 1;

    return memcpy(mem_alloc(size), text, size);
}

void *mem_zalloc_array(size_t count, size_t size)
{
    CHECK(size == 0 || count <= SIZE_MAX / size);
    return mem_zalloc(count * size);
}

void *mem_grow(void *items, size_t *capacity, size_t wanted, size_t size)
{
    size_t grown = *capacity < 8 ? 8 : *capacity;

    if (wanted <= *capacity) {
        return items;
    }
    while (grown < wanted) {
        CHECK(grown <= SIZE_MAX / 2);
        grown *= 2;
    }
    CHECK(grown <= SIZE_MAX / size);
    *capacity = grown;
    return mem_realloc(items, grown * size);
}

static struct head *head(void)
{
    return (struct head *)(void *)region.bytes;
}

static void *region_alloc(size_t size)
{
    size_t class = class_of(size), room = GRAIN + class_size(class);
    struct block *block = head()->free[class];

    if (block != NULL) {
        head()->free[class] = block->next_free;
    } else {
        CHECK(head()->used + room <= REGION_SIZE);
        block = (struct block *)(void *)(region.bytes + head()->used);
        head()->used += room;
    }
    block->class = class;
    return (uint8_t *)block + GRAIN;
}

/* Zeroed: two servers of equal state differ in fewer bytes. */
static void region_free(void *ptr)
{
    struct block *block = block_of(ptr);
    size_t class = block->class;

    memset(ptr, 0, class_size(class));
    block->next_free = head()->free[class];
    head()->free[class] = block;
}

static struct block *block_of(void *ptr)
{
    return (struct block *)(void *)((uint8_t *)ptr - GRAIN);
}

static size_t class_of(size_t size)
{
    size_t class = SMALL_MAX / GRAIN;

    if (size <= SMALL_MAX) {
        return size == 0 ? 1 : (size + GRAIN - 1) / GRAIN;
    }
    while (class_size(class) < size) {
        class ++;
        CHECK(class < CLASSES);
    }
    return class;
}

static size_t class_size(size_t class)
{
    size_t small = SMALL_MAX / GRAIN;

    return class <= small ? class * GRAIN
                          : (size_t)SMALL_MAX << (class - small);
}

static bool is_inside(const void *ptr)
{
    uintptr_t at = (uintptr_t)ptr, begin = (uintptr_t)region.bytes;

    return at >= begin && at < begin + REGION_SIZE;
}
