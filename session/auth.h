/* What a connection proves about itself: world, ip, digest, super. Uses
 * OpenSSL for SHA-1 and inet_pton for addresses; no state. */
#ifndef CORRAL_SESSION_AUTH_H
#define CORRAL_SESSION_AUTH_H

#include "base/arena.h"
#include "proto/client.h"

/* The ids of one connection; owns their bytes. A zeroed struct is empty. */
struct auth_list {
    struct zk_auth *items;
    size_t count, capacity;
};
void auth_list_finish(struct auth_list *list);
/* Copies; one that is there already is not added twice. */
void auth_list_add(struct auth_list *list, struct slice scheme, struct slice id,
                   bool super);

/* The "ip" id of a peer's address text (v4, v6, v4-mapped v6 as v4). */
void auth_add_address(struct auth_list *list, struct slice address);

struct auth_policy {
    bool digest_enabled;
    struct slice super_digest;  /* "super:<base64>", or ptr NULL: no super */
    struct slice ensemble_name; /* or ptr NULL */
};
/* An auth packet. ZK_OK (ids added) or ZK_AUTH_FAILED: the caller answers and
 * closes. Credentials are never logged. At most 64 ids per connection. */
enum zk_code auth_packet(struct auth_list *list,
                         const struct zk_auth_request *request,
                         const struct auth_policy *policy);

/* base64(SHA-1("user:password")) as "user:<base64>", in the arena. */
struct slice auth_digest_id(struct slice user_and_password,
                            struct arena *arena);

#endif
