/* malloc that never fails: no memory ends the process. Sizes that a peer
 * chooses are limited before they come here. */
#ifndef CORRAL_BASE_MEM_H
#define CORRAL_BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t size);              /* gives; contents undefined */
void *mem_zalloc(size_t size);             /* gives; all zero */
void *mem_realloc(void *ptr, size_t size); /* gives; ptr may be NULL */
void mem_free(void *ptr);                  /* NULL is fine */
char *mem_copy_text(const char *text);     /* gives */

#define MEM_NEW(type) ((type *)mem_zalloc(sizeof(type)))
/* Gives count zeroed items; an overflowing product is a CHECK. */
#define MEM_ARRAY(type, count) ((type *)mem_zalloc_array((count), sizeof(type)))

void *mem_zalloc_array(size_t count, size_t size);
/* Room for at least wanted items in a growing array: doubles *capacity until
 * it fits. Gives the (perhaps moved) array. */
void *mem_grow(void *items, size_t *capacity, size_t wanted, size_t size);

#endif
