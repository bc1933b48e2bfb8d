/* Bump allocator: many small things that all die together (one frame, one
 * step). Allocation never fails: no memory is a CHECK. Chunks never move. */
#ifndef CORRAL_BASE_ARENA_H
#define CORRAL_BASE_ARENA_H

#include <stdalign.h>
#include <stddef.h>

#include "base/slice.h"

struct arena;

struct arena *arena_create(size_t first_chunk_size); /* bytes, at least 1 */
void arena_destroy(struct arena *arena);             /* NULL is fine */
/* Frees the things. Keeps the first chunk; later chunks above 256 kB in all
 * go back to malloc, so that one big frame does not stay for ever. */
void arena_reset(struct arena *arena);
/* align is a power of two, at most 16. size 0 gives a valid pointer. */
void *arena_alloc(struct arena *arena, size_t size, size_t align);
struct slice arena_copy(struct arena *arena, struct slice bytes);
/* Bytes handed out since the last reset. */
size_t arena_used(const struct arena *arena);

#define ARENA_NEW(arena, type, count) \
    ((type *)arena_alloc((arena), sizeof(type) * (count), _Alignof(type)))

#endif
