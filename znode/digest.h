/* The digest of a tree is a sum over its nodes, so it is kept up to date by
 * what changes and does not depend on any order. A node gives two summands:
 * one of its data, one of all other fields of its record (so that a new child
 * does not cost a pass over its parent's data). Part of the disk format: the
 * checkpoint's marker holds it. Not cryptographic. */
#ifndef CORRAL_ZNODE_DIGEST_H
#define CORRAL_ZNODE_DIGEST_H

#include "base/slice.h"

struct znode;

uint64_t digest_bytes(uint64_t seed, struct slice bytes);
uint64_t digest_path(struct slice path);
/* path is digest_path() of the node's. */
uint64_t digest_of_data(uint64_t path, const struct znode *node);
uint64_t digest_of_stat(uint64_t path, const struct znode *node,
                        uint64_t acl_digest);

#endif
