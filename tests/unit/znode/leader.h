/* A leader under test: prep over a tree, and the txns that it proposed and
 * nobody has committed yet. */
#ifndef CORRAL_TESTS_ZNODE_LEADER_H
#define CORRAL_TESTS_ZNODE_LEADER_H

#include "fixture.h"

#include "znode/prep.h"

enum { FLIGHTS_MAX = 4096 };

struct leader {
    struct world world;
    struct prep *prep;
    struct arena *arena; /* of what was asked last */
    struct prep_context context;
    struct txn txn;
    size_t failed_index;
    zxid_t proposed; /* the last one */
    struct buf flights[FLIGHTS_MAX];
    size_t flights_first, flights_count;
};

/* Session 7, no ids, limits out of the way. */
struct leader *leader_create(void);
void leader_destroy(struct leader *leader);

enum zk_code ask(struct leader *leader, const struct client_request *request);
void ask_close(struct leader *leader, uint64_t session_id);
enum zk_code ask_container(struct leader *leader, const char *path);
/* Commits the oldest, at most count of them. */
void deliver(struct leader *leader, size_t count);
void deliver_all(struct leader *leader);
void abandon(struct leader *leader);

/* Requests; what they point to is static or the caller's. */
struct client_request make_create(const char *path, int32_t flags);
struct client_request make_create_ttl(const char *path, int32_t flags,
                                      int64_t ttl_ms);
struct client_request make_delete(const char *path, int32_t version);
struct client_request make_set(const char *path, const char *data,
                               int32_t version);
struct client_request make_set_acl(const char *path, const struct zk_acl *acl,
                                   size_t count, int32_t version);
struct client_request make_check(const char *path, int32_t version);
struct client_request make_multi(const struct client_request *ops,
                                 size_t count);
/* make_create() and make_delete(), asked. */
enum zk_code ask_create(struct leader *leader, const char *path, int32_t flags);
enum zk_code ask_delete(struct leader *leader, const char *path);
struct zk_acl make_acl(int32_t perms, const char *scheme, const char *id);
struct zk_auth make_auth(const char *scheme, const char *id);

#endif
