/* Paths: ZooKeeper's PathUtils.validatePath over UTF-8 bytes, parents, names
 * and sequence suffixes. No state. */
#ifndef CORRAL_ZNODE_PATH_H
#define CORRAL_ZNODE_PATH_H

#include "base/arena.h"
#include "base/slice.h"

/* Digits of a sequence suffix as a number of 64 bits: at most 20. */
#define PATH_SEQUENCE_MAX 20

bool path_is_valid(struct slice path);
/* The weaker check of delete and friends: has a last slash, no NUL. */
bool path_is_plausible(struct slice path);
bool path_is_builtin(struct slice path); /* "/", "/zookeeper", .../quota,
                                          * .../config */
/* "/" for "/a". path has a slash and is not "/". */
struct slice path_parent(struct slice path);
struct slice path_name(struct slice path); /* behind the last slash */
/* path + "%010" of the number, in the arena. */
struct slice path_with_sequence(struct slice path, uint64_t sequence,
                                struct arena *arena);

#endif
