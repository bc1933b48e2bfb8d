/* What prep.c and prep_multi.c share. */
#ifndef CORRAL_ZNODE_PREP_INTERNAL_H
#define CORRAL_ZNODE_PREP_INTERNAL_H

#include "znode/pending.h"
#include "znode/prep.h"

struct prep {
    struct pending pending;
    const struct tree *tree;
    uint64_t hash_seed;
};

/* One request under way. */
struct prep_work {
    struct prep *prep;
    struct prep_context *context;
    struct arena *arena;
    /* Of the txn so far, in encoded bytes: the first is what it has at least,
     * the second what it cannot pass. */
    size_t size_min, size_max;
};

/* Any op but a multi, or a part of one: the checks, the txn's op, request_op
 * and union, and the pending changes (inside the caller's savepoint). */
enum zk_code prep_part(struct prep_work *work,
                       const struct client_request *request, struct txn *txn);
enum zk_code prep_multi(struct prep_work *work,
                        const struct client_request *request, struct txn *txn,
                        size_t *failed_index);
/* Whether the txn is within its limit; it is counted only when it is near. */
bool prep_fits(const struct prep_work *work, const struct txn *txn);

#endif
