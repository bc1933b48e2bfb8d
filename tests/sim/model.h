/* What the tree and the sessions must be: committed txns taken in one after the
 * other, by code that shares nothing with znode/ and session/, and with a short
 * history of each path, so that an answer can be held against the state as of
 * its zxid. */
#ifndef CORRAL_TESTS_SIM_MODEL_H
#define CORRAL_TESTS_SIM_MODEL_H

#include <stdbool.h>

#include "proto/txn.h"
#include "proto/zxid.h"

struct model;
struct tree;

/* A path from a zxid on. */
struct model_state {
    zxid_t zxid;
    bool exists;
    int32_t version;
    uint64_t data; /* model_hash() */
    zxid_t czxid, mzxid, pzxid;
    uint64_t owner;    /* of an ephemeral */
    uint64_t children; /* sum of model_hash() of their names */
    uint32_t children_count;
};

struct model_session {
    uint64_t id;
    zxid_t opened, closed; /* closed 0: open */
};

struct model *model_create(void);
void model_destroy(struct model *model); /* NULL is fine */

/* NULL, or what is wrong with it; until the next call. */
const char *model_apply(struct model *model, zxid_t zxid,
                        const struct txn *txn);
/* Is told of every txn when it has been applied. */
void model_listen(struct model *model,
                  void (*listener)(void *context, zxid_t zxid,
                                   const struct txn *txn),
                  void *context);

zxid_t model_zxid(const struct model *model); /* of the last txn */
/* NULL: too long ago to say. Until the next apply. */
const struct model_state *model_at(const struct model *model, struct slice path,
                                   zxid_t zxid);
/* Its next state behind zxid; NULL: none. */
const struct model_state *model_next(const struct model *model,
                                     struct slice path, zxid_t zxid);
/* The first change in (after, upto] that a watch of this kind tells; 0: none,
 * or too long ago. */
enum model_watch { MODEL_WATCH_DATA, MODEL_WATCH_CHILD };
zxid_t model_fires(const struct model *model, struct slice path,
                   enum model_watch kind, zxid_t after, zxid_t upto);
/* Did zxid change path in such a way? True too when it is too long ago. */
bool model_changed(const struct model *model, struct slice path,
                   enum zk_event_type type, zxid_t zxid);
/* NULL: there never was one. */
const struct model_session *model_session(const struct model *model,
                                          uint64_t id);
size_t model_sessions_open(const struct model *model);

uint64_t model_hash(struct slice bytes); /* 0 for absent and empty */
/* The whole tree as of model_zxid(): NULL, or the first difference. */
const char *model_compare(struct model *model, const struct tree *tree);

#endif
