#include "base/arena.h"

#include "base/check.h"
#include "base/mem.h"

/* What a reset keeps besides the first chunk. */
#define KEPT_MAX ((size_t)256 * 1024)
#define CHUNK_MAX ((size_t)1024 * 1024)
#define HEADER ((sizeof(struct chunk) + 15) & ~(size_t)15)

struct chunk {
    struct chunk *next;
    size_t size; /* of the usable part */
};

struct arena {
    struct chunk *first;
    struct chunk *current;
    size_t used;        /* in current */
    size_t used_before; /* in the chunks before current */
    size_t next_size;
};

static struct chunk *chunk_create(size_t size);
static void next_chunk(struct arena *arena, size_t size);
static uint8_t *chunk_bytes(struct chunk *chunk);

struct arena *arena_create(size_t first_chunk_size)
{
    struct arena *arena = MEM_NEW(struct arena);

    CHECK(first_chunk_size > 0);
    arena->first = chunk_create(first_chunk_size);
    arena->current = arena->first;
    arena->next_size = first_chunk_size;
    return arena;
}

void arena_destroy(struct arena *arena)
{
    if (arena == NULL) {
        return;
    }
    for (struct chunk *chunk = arena->first; chunk != NULL;) {
        struct chunk *next = chunk->next;

        mem_free(chunk);
        chunk = next;
    }
    mem_free(arena);
}

void arena_reset(struct arena *arena)
{
    struct chunk *last = arena->first;
    size_t kept = 0;

    /* Chunks behind the first stay up to KEPT_MAX; the rest goes. */
    while (last->next != NULL && kept + last->next->size <= KEPT_MAX) {
        last = last->next;
        kept += last->size;
    }
    for (struct chunk *chunk = last->next; chunk != NULL;) {
        struct chunk *next = chunk->next;

        mem_free(chunk);
        chunk = next;
    }
    last->next = NULL;
    arena->current = arena->first;
    arena->used = 0;
    arena->used_before = 0;
    arena->next_size = arena->first->size;
}

void *arena_alloc(struct arena *arena, size_t size, size_t align)
{
    size_t at = (arena->used + align - 1) & ~(align - 1);

    if (at > arena->current->size || size > arena->current->size - at) {
        next_chunk(arena, size);
        at = 0;
    }
    arena->used = at + size;
    return chunk_bytes(arena->current) + at;
}

struct slice arena_copy(struct arena *arena, struct slice bytes)
{
    uint8_t *copy;

    if (bytes.ptr == NULL) {
        return bytes;
    }
    copy = arena_alloc(arena, bytes.len, 1);
    if (bytes.len > 0) {
        memcpy(copy, bytes.ptr, bytes.len);
    }
    return slice_make(copy, bytes.len);
}

size_t arena_used(const struct arena *arena)
{
    return arena->used_before + arena->used;
}

static struct chunk *chunk_create(size_t size)
{
    struct chunk *chunk;

    CHECK(size <= SIZE_MAX - HEADER);
    chunk = mem_alloc(HEADER + size);
    chunk->next = NULL;
    chunk->size = size;
    return chunk;
}

/* Makes current a chunk with room for size bytes: a kept one that fits, or a
 * new one put behind current. */
static void next_chunk(struct arena *arena, size_t size)
{
    struct chunk *next = arena->current->next;

    arena->used_before += arena->used;
    if (next == NULL || next->size < size) {
        if (arena->next_size < CHUNK_MAX) {
            arena->next_size *= 2;
        }
        next = chunk_create(size > arena->next_size ? size : arena->next_size);
        next->next = arena->current->next;
        arena->current->next = next;
    }
    arena->current = next;
    arena->used = 0;
}

static uint8_t *chunk_bytes(struct chunk *chunk)
{
    return (uint8_t *)chunk + HEADER;
}
