/* What is on one disk, and what the ops of proto/store_op.h do to it. */
#ifndef CORRAL_TESTS_PLATTER_H
#define CORRAL_TESTS_PLATTER_H

#include "proto/store_op.h"

struct platter;

/* segment: records of the log that are purged together. */
struct platter *platter_create(size_t segment);
void platter_destroy(struct platter *platter); /* NULL is fine */
void platter_wipe(struct platter *platter);
/* Readers, and what was staged, are gone. */
void platter_process_ends(struct platter *platter);
/* Borrowed until the next call. */
const struct durable_state *platter_durable(struct platter *platter);
uint32_t platter_epoch(const struct platter *platter); /* current; 0: blank */
/* Does it, and fills in what of the result is not the op's own; its payload is
 * the caller's. What no server may ask is the answer, as text; NULL: fine. */
const char *platter_do(struct platter *platter, const struct store_op *op,
                       struct store_result *result);

#endif
