#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

void *mem_alloc(size_t size)
{
    void *ptr = malloc(size == 0 ? 1 : size);

    CHECK(ptr != NULL);
    return ptr;
}

void *mem_zalloc(size_t size)
{
    void *ptr = calloc(1, size == 0 ? 1 : size);

    CHECK(ptr != NULL);
    return ptr;
}

void *mem_realloc(void *ptr, size_t size)
{
    void *moved = realloc(ptr, size == 0 ? 1 : size);

    CHECK(moved != NULL);
    return moved;
}

void mem_free(void *ptr)
{
    free(ptr);
}

char *mem_copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = mem_alloc(size);

    memcpy(copy, text, size);
    return copy;
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
