/* Who may do what: lists of (perms, scheme, id) against a connection's auths.
 * Pure functions; addresses are parsed by session/auth.c into auth ids of the
 * scheme "ip" in canonical text and matched by prefix here. */
#ifndef CORRAL_ZNODE_ACL_H
#define CORRAL_ZNODE_ACL_H

#include "base/arena.h"
#include "proto/client.h"

/* True when any entry grants all of perm's bits that are asked, or an auth is
 * super. An empty list is open. */
bool acl_allows(const struct zk_acl *acl, size_t count, enum zk_perm perm,
                const struct zk_auth *auth, size_t auth_count);

/* ZooKeeper's fixupACL: duplicates out, "auth" expanded to the connection's
 * authenticated ids (not ip), every scheme's id checked. ZK_OK and a list in
 * the arena (or acl itself), or ZK_INVALID_ACL: also for more than 1,000
 * entries, before or after the expansion. */
enum zk_code acl_fix(const struct zk_acl *acl, size_t count,
                     const struct zk_auth *auth, size_t auth_count,
                     struct arena *arena, const struct zk_acl **fixed,
                     size_t *fixed_count);

/* For getACL without ADMIN: digest ids become "user:x". In the arena. */
const struct zk_acl *acl_mask_digests(const struct zk_acl *acl, size_t count,
                                      struct arena *arena);

#endif
