/* Leader only: turn a request into a txn, against the tree plus the changes
 * already proposed and not yet committed (znode/pending.c). Pure; the order of
 * checks is ZooKeeper's, as tests look at which error wins.
 *
 * The tree must not change between tree_apply() and prep_committed(), and a
 * tree_apply() that is not done must be finished before anything is asked in
 * here. Nothing else has to be waited for: a close costs what the session has
 * in flight, however many ephemerals it has in the tree, and writes behind it
 * may be prepared at once. */
#ifndef CORRAL_ZNODE_PREP_H
#define CORRAL_ZNODE_PREP_H

#include "znode/tree.h"

struct prep;

struct prep_context {
    uint32_t txn_size_max; /* bytes, encoded */
    bool ttl_nodes, hard_quotas, skip_acl;
    size_t ephemerals_max; /* per session */
    uint64_t session_id;
    bool session_closing; /* its close is proposed: ephemerals are refused
                           * with ZK_SESSION_EXPIRED */
    uint64_t origin_id, origin_request;
    int32_t cxid;
    const struct zk_auth *auth;
    size_t auth_count;
    zxid_t zxid;     /* the one this txn will get */
    int64_t time_ms; /* leader's wall clock */
    /* delete_container: containers that never had a child and are older may
     * go; 0 = never. As given to tree_container_candidates(). */
    int64_t container_never_used_ms;
    struct slice soft_quota_path; /* out: a soft limit passed, or ptr NULL */
};

struct prep *prep_create(const struct tree *tree, uint64_t hash_seed);
void prep_destroy(struct prep *prep); /* NULL is fine */

/* ZK_OK and a txn to propose (slices borrow from request and arena), or the
 * code to refuse with. Pending changes only with ZK_OK. For a multi that fails,
 * *failed_index is the part that did (its code is returned); for one that is
 * refused whole, SIZE_MAX. A txn over txn_size_max is ZK_MARSHALLING_ERROR. */
enum zk_code prep_request(struct prep *prep,
                          const struct client_request *request,
                          struct prep_context *context, struct arena *arena,
                          struct txn *txn, size_t *failed_index);

/* The leader's own txns: sessions and the garbage of containers and TTLs. A
 * close takes the session's ephemerals out of what later requests see;
 * delete_container refuses with ZK_NOT_EMPTY, ZK_NO_NODE or ZK_BAD_VERSION
 * (touched since, no longer due). */
void prep_create_session(struct prep *prep, struct prep_context *context,
                         int32_t timeout_ms, const uint8_t password[16],
                         struct txn *txn);
void prep_close_session(struct prep *prep, struct prep_context *context,
                        struct txn *txn);
/* It changes nothing but says to all servers, in the order of everything else,
 * that the session speaks through another connection now. */
void prep_move_session(struct prep *prep, struct prep_context *context,
                       struct txn *txn);
enum zk_code prep_delete_container(struct prep *prep,
                                   struct prep_context *context,
                                   struct slice path, struct txn *txn);

void prep_committed(struct prep *prep, zxid_t zxid); /* forget up to zxid; call
                                                      * after tree_apply */
void prep_abandon(struct prep *prep); /* leadership lost: forget all */
/* Pending entries; large after a big multi: the caller may hold writes. */
size_t prep_pending_count(const struct prep *prep);

#endif
