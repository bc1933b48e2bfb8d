#include "leader.h"

#include <criterion/criterion.h>

#include "base/mem.h"

static const struct zk_acl open_acl = {
    ZK_PERM_ALL,
    {{(const uint8_t *)"world", 5}, {(const uint8_t *)"anyone", 6}}};

static void propose(struct leader *leader);

struct leader *leader_create(void)
{
    struct leader *leader = MEM_NEW(struct leader);

    world_init(&leader->world, 1);
    leader->prep = prep_create(leader->world.tree, 2);
    leader->arena = arena_create(4096);
    leader->proposed = leader->world.zxid;
    leader->context = (struct prep_context){.txn_size_max = 1 << 20,
                                            .ttl_nodes = true,
                                            .hard_quotas = true,
                                            .ephemerals_max = 1000000,
                                            .session_id = 7,
                                            .origin_id = 3,
                                            .origin_request = 99,
                                            .cxid = 5};
    return leader;
}

void leader_destroy(struct leader *leader)
{
    for (size_t i = 0; i < FLIGHTS_MAX; i++) {
        buf_finish(&leader->flights[i]);
    }
    prep_destroy(leader->prep);
    arena_destroy(leader->arena);
    world_finish(&leader->world);
    mem_free(leader);
}

enum zk_code ask(struct leader *leader, const struct client_request *request)
{
    enum zk_code code;

    arena_reset(leader->arena);
    leader->context.zxid = leader->proposed + 1;
    leader->context.time_ms = leader->world.time_ms;
    code = prep_request(leader->prep, request, &leader->context, leader->arena,
                        &leader->txn, &leader->failed_index);
    if (code == ZK_OK) {
        propose(leader);
    }
    return code;
}

void ask_close(struct leader *leader, uint64_t session_id)
{
    uint64_t kept = leader->context.session_id;

    leader->context.session_id = session_id;
    leader->context.zxid = leader->proposed + 1;
    leader->context.time_ms = leader->world.time_ms;
    prep_close_session(leader->prep, &leader->context, &leader->txn);
    leader->context.session_id = kept;
    propose(leader);
}

enum zk_code ask_container(struct leader *leader, const char *path)
{
    enum zk_code code;

    leader->context.zxid = leader->proposed + 1;
    leader->context.time_ms = leader->world.time_ms;
    code = prep_delete_container(leader->prep, &leader->context, text(path),
                                 &leader->txn);
    if (code == ZK_OK) {
        propose(leader);
    }
    return code;
}

void deliver(struct leader *leader, size_t count)
{
    for (; count > 0 && leader->flights_count > 0; count--) {
        struct world *world = &leader->world;
        struct buf *bytes = &leader->flights[leader->flights_first];
        struct txn txn;

        world->zxid++;
        arena_reset(world->arena);
        cr_assert_eq(txn_decode(buf_bytes(bytes), world->arena, &txn), 0);
        while (!tree_apply(world->tree, world->zxid, &txn, world->arena,
                           &world->result)) {
        }
        prep_committed(leader->prep, world->zxid);
        buf_clear(bytes);
        leader->flights_first = (leader->flights_first + 1) % FLIGHTS_MAX;
        leader->flights_count--;
    }
}

void deliver_all(struct leader *leader)
{
    deliver(leader, SIZE_MAX);
    cr_assert_eq(prep_pending_count(leader->prep), 0);
}

void abandon(struct leader *leader)
{
    prep_abandon(leader->prep);
    leader->proposed = leader->world.zxid;
    for (; leader->flights_count > 0; leader->flights_count--) {
        buf_clear(&leader->flights[leader->flights_first]);
        leader->flights_first = (leader->flights_first + 1) % FLIGHTS_MAX;
    }
}

struct client_request make_create(const char *path, int32_t flags)
{
    struct client_request request = {.op = ZK_OP_CREATE};

    request.create.path = text(path);
    request.create.data = text("data");
    request.create.acl = &open_acl;
    request.create.acl_count = 1;
    request.create.flags = flags;
    return request;
}

struct client_request make_create_ttl(const char *path, int32_t flags,
                                      int64_t ttl_ms)
{
    struct client_request request = make_create(path, flags);

    request.op = ZK_OP_CREATE_TTL;
    request.create.ttl = ttl_ms;
    return request;
}

struct client_request make_delete(const char *path, int32_t version)
{
    struct client_request request = {.op = ZK_OP_DELETE};

    request.path_version.path = text(path);
    request.path_version.version = version;
    return request;
}

struct client_request make_set(const char *path, const char *data,
                               int32_t version)
{
    struct client_request request = {.op = ZK_OP_SET_DATA};

    request.set_data.path = text(path);
    request.set_data.data = text(data);
    request.set_data.version = version;
    return request;
}

struct client_request make_set_acl(const char *path, const struct zk_acl *acl,
                                   size_t count, int32_t version)
{
    struct client_request request = {.op = ZK_OP_SET_ACL};

    request.set_acl.path = text(path);
    request.set_acl.acl = acl;
    request.set_acl.acl_count = count;
    request.set_acl.version = version;
    return request;
}

struct client_request make_check(const char *path, int32_t version)
{
    struct client_request request = make_delete(path, version);

    request.op = ZK_OP_CHECK;
    return request;
}

struct client_request make_multi(const struct client_request *ops, size_t count)
{
    struct client_request request = {.op = ZK_OP_MULTI};

    request.multi.ops = ops;
    request.multi.count = count;
    return request;
}

enum zk_code ask_create(struct leader *leader, const char *path, int32_t flags)
{
    struct client_request request = make_create(path, flags);

    return ask(leader, &request);
}

enum zk_code ask_delete(struct leader *leader, const char *path)
{
    struct client_request request = make_delete(path, -1);

    return ask(leader, &request);
}

struct zk_acl make_acl(int32_t perms, const char *scheme, const char *id)
{
    return (struct zk_acl){perms, {text(scheme), text(id)}};
}

struct zk_auth make_auth(const char *scheme, const char *id)
{
    return (struct zk_auth){text(scheme), text(id),
                            strcmp(scheme, "super") == 0};
}

static void propose(struct leader *leader)
{
    size_t at = (leader->flights_first + leader->flights_count) % FLIGHTS_MAX;

    cr_assert_lt(leader->flights_count, FLIGHTS_MAX);
    txn_encode(&leader->txn, &leader->flights[at]);
    cr_assert_eq(leader->flights[at].len, txn_encoded_size(&leader->txn));
    cr_assert_leq(leader->flights[at].len, leader->context.txn_size_max);
    leader->flights_count++;
    leader->proposed++;
}
