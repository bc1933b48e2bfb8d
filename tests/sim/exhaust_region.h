/* Memory of one server as a piece that can be copied away and back: while it is
 * entered, everything that base/mem.h gives comes out of it, always at the same
 * addresses. This file's mem_*() stand in for base/mem.c's in the exhaustive
 * search; they have no argument to find a region by, so there is one, and it is
 * the program's. */
#ifndef CORRAL_TESTS_SIM_EXHAUST_REGION_H
#define CORRAL_TESTS_SIM_EXHAUST_REGION_H

#include <stddef.h>
#include <stdint.h>

#define REGION_SIZE ((size_t)256 * 1024)
#define REGION_BLOCK 64U

/* Forgets all that is in it; gives zeroed room at its beginning. */
void *region_reset(size_t root_size);
void *region_root(void);
void region_enter(void);
void region_leave(void);

/* The used part, in whole blocks. */
size_t region_used(void);
uint8_t *region_bytes(void);

#endif
