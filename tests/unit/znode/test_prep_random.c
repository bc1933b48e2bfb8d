/* Random requests with up to k proposals in flight give the codes and the tree
 * of a model that carries out one request after the other, at once, with loops
 * over an array. Now and then leadership is lost with all in flight. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "leader.h"

#include "base/mem.h"
#include "base/prng.h"

enum {
    NODES_MAX = 600,
    NAME_MAX_LEN = 64,
    PARTS_MAX = 6,
    EPHEMERALS_MAX = 6,
    SESSIONS = 4,
    MODELS = 65,
    STEPS = 6000,
};

struct model_node {
    char path[NAME_MAX_LEN];
    uint64_t sequence, owner;
    int64_t mtime_ms;
    int32_t version, aversion;
    size_t data_len;
    int acl;
};

struct model {
    struct model_node nodes[NODES_MAX];
    size_t count;
    uint64_t sessions[SESSIONS]; /* the living */
};

/* Who asks, and whether it lives. */
struct asker {
    uint64_t session_id;
    bool dead;
    unsigned users; /* bit 0: "a", bit 1: "b", bit 2: super */
};

struct run {
    struct leader *leader;
    struct prng prng;
    struct model *ahead;             /* all that was asked */
    struct model *committed;         /* all that is in the tree */
    struct model *in_flight[MODELS]; /* after each proposal */
    size_t first, count;
    uint64_t sessions_made;
    struct asker asker;
    struct zk_auth auth[3];
    char paths[PARTS_MAX][NAME_MAX_LEN];
    int64_t time_ms;
    bool crowded; /* few paths, many ephemerals and closes */
};

/* Open, all to "a", read and write to "b", all to "auth". */
static struct zk_acl acls[4];

/* An ACL in the model: 0 is open, else what "a" may and << 8 what "b" may. */
static int acl_code(const struct zk_acl *acl, size_t count, unsigned users)
{
    int code = 0;

    for (size_t i = 0; i < count; i++) {
        struct slice id = acl[i].id.id;
        bool auth = id.len == 0;

        if (slice_equal(id, text("a:1")) || (auth && (users & 1) != 0)) {
            code |= acl[i].perms;
        }
        if (slice_equal(id, text("b:1")) || (auth && (users & 2) != 0)) {
            code |= acl[i].perms << 8;
        }
    }
    return code;
}

static bool acl_is_invalid(const struct zk_acl *acl, unsigned users)
{
    return acl->id.id.len == 0 && (users & 3) == 0;
}

static struct model_node *model_find(struct model *model, const char *path)
{
    for (size_t i = 0; i < model->count; i++) {
        if (strcmp(model->nodes[i].path, path) == 0) {
            return &model->nodes[i];
        }
    }
    return NULL;
}

static struct model_node *model_parent(struct model *model, const char *path)
{
    char parent[NAME_MAX_LEN];

    (void)snprintf(parent, sizeof(parent), "%s", path);
    *strrchr(parent, '/') = '\0';
    return model_find(model, parent[0] == '\0' ? "/" : parent);
}

static bool model_has_children(struct model *model, const char *path)
{
    size_t len = strcmp(path, "/") == 0 ? 0 : strlen(path);

    for (size_t i = 0; i < model->count; i++) {
        const char *other = model->nodes[i].path;

        if (strlen(other) > len + 1 && strncmp(other, path, len) == 0 &&
            other[len] == '/') {
            return true;
        }
    }
    return false;
}

static bool model_allows(const struct asker *asker,
                         const struct model_node *node, int perm)
{
    if ((asker->users & 4) != 0 || node->acl == 0) {
        return true;
    }
    return ((asker->users & 1) != 0 && (node->acl & perm) != 0) ||
           ((asker->users & 2) != 0 && (node->acl >> 8 & perm) != 0);
}

static size_t model_ephemerals(const struct model *model, uint64_t session)
{
    size_t count = 0;

    for (size_t i = 0; i < model->count; i++) {
        count += model->nodes[i].owner == session;
    }
    return count;
}

static enum zk_code model_create(struct run *run, struct model *model,
                                 const struct client_request *request)
{
    const struct asker *asker = &run->asker;
    int flags = request->create.flags;
    char path[NAME_MAX_LEN];
    struct model_node *parent;
    uint64_t owner = flags == 4   ? ZK_OWNER_CONTAINER
                     : flags == 5 ? zk_owner_from_ttl(request->create.ttl)
                                  : 0;

    (void)snprintf(path, sizeof(path), "%.*s", (int)request->create.path.len,
                   (const char *)request->create.path.ptr);
    if (flags == 1 || flags == 3) {
        if (asker->dead) {
            return ZK_SESSION_EXPIRED;
        }
        owner = asker->session_id;
    }
    if (acl_is_invalid(request->create.acl, asker->users)) {
        return ZK_INVALID_ACL;
    }
    parent = model_parent(model, path);
    if (parent == NULL) {
        return ZK_NO_NODE;
    }
    if (!model_allows(asker, parent, ZK_PERM_CREATE)) {
        return ZK_NO_AUTH;
    }
    if (flags == 2 || flags == 3) {
        (void)snprintf(path + strlen(path), 12, "%010u",
                       (unsigned)parent->sequence);
    }
    if (model_find(model, path) != NULL) {
        return ZK_NODE_EXISTS;
    }
    if (parent->owner != 0 && parent->owner < UINT32_MAX) {
        return ZK_NO_CHILDREN_FOR_EPHEMERALS;
    }
    if (owner == asker->session_id &&
        model_ephemerals(model, owner) >= EPHEMERALS_MAX) {
        return ZK_QUOTA_EXCEEDED;
    }
    parent->sequence++;
    cr_assert_lt(model->count, NODES_MAX);
    model->nodes[model->count] = (struct model_node){
        .owner = owner,
        .mtime_ms = run->time_ms,
        .data_len = request->create.data.len,
        .acl = acl_code(request->create.acl, 1, asker->users)};
    memcpy(model->nodes[model->count++].path, path, sizeof(path));
    return ZK_OK;
}

static enum zk_code model_other(struct run *run, struct model *model,
                                const struct client_request *request)
{
    struct model_node *parent, *node;
    char path[NAME_MAX_LEN];
    int32_t version = request->path_version.version;
    int perm = ZK_PERM_READ;

    (void)snprintf(path, sizeof(path), "%.*s",
                   (int)request->path_version.path.len,
                   (const char *)request->path_version.path.ptr);
    node = model_find(model, path);
    if (request->op == ZK_OP_DELETE) {
        parent = model_parent(model, path);
        if (parent == NULL) {
            return ZK_NO_NODE;
        }
        if (!model_allows(&run->asker, parent, ZK_PERM_DELETE)) {
            return ZK_NO_AUTH;
        }
        if (node == NULL) {
            return ZK_NO_NODE;
        }
        if (version != -1 && version != node->version) {
            return ZK_BAD_VERSION;
        }
        if (model_has_children(model, path)) {
            return ZK_NOT_EMPTY;
        }
        *node = model->nodes[--model->count];
        return ZK_OK;
    }
    if (request->op == ZK_OP_SET_DATA) {
        perm = ZK_PERM_WRITE;
        version = request->set_data.version;
    } else if (request->op == ZK_OP_SET_ACL) {
        perm = ZK_PERM_ADMIN;
        version = request->set_acl.version;
        if (acl_is_invalid(request->set_acl.acl, run->asker.users)) {
            return ZK_INVALID_ACL;
        }
    }
    if (node == NULL) {
        return ZK_NO_NODE;
    }
    if (!model_allows(&run->asker, node, perm)) {
        return ZK_NO_AUTH;
    }
    if (version != -1 &&
        version != (perm == ZK_PERM_ADMIN ? node->aversion : node->version)) {
        return ZK_BAD_VERSION;
    }
    if (request->op == ZK_OP_SET_DATA) {
        node->version++;
        node->data_len = request->set_data.data.len;
        node->mtime_ms = run->time_ms;
    } else if (request->op == ZK_OP_SET_ACL) {
        node->aversion++;
        node->acl = acl_code(request->set_acl.acl, 1, run->asker.users);
    }
    return ZK_OK;
}

static enum zk_code model_request(struct run *run, struct model *model,
                                  const struct client_request *request,
                                  size_t *failed)
{
    enum zk_code code = ZK_OK;
    struct model *before;

    if (request->op == ZK_OP_CREATE || request->op == ZK_OP_CREATE2 ||
        request->op == ZK_OP_CREATE_TTL) {
        return model_create(run, model, request);
    }
    if (request->op != ZK_OP_MULTI) {
        return model_other(run, model, request);
    }
    before = mem_alloc(sizeof(*before));
    *before = *model;
    for (size_t i = 0; i < request->multi.count && code == ZK_OK; i++) {
        *failed = i;
        code = model_request(run, model, &request->multi.ops[i], failed);
    }
    if (code != ZK_OK) {
        *model = *before;
    } else {
        *failed = SIZE_MAX;
    }
    mem_free(before);
    return code;
}

static void model_close(struct model *model, uint64_t session)
{
    for (size_t i = 0; i < model->count;) {
        if (model->nodes[i].owner == session) {
            model->nodes[i] = model->nodes[--model->count];
        } else {
            i++;
        }
    }
}

static enum zk_code model_container(struct run *run, struct model *model,
                                    const char *path)
{
    struct model_node *node = model_find(model, path);

    if (node == NULL) {
        return ZK_NO_NODE;
    }
    if (model_has_children(model, path)) {
        return ZK_NOT_EMPTY;
    }
    if (node->owner == ZK_OWNER_CONTAINER
            ? node->sequence == 0 && run->time_ms - node->mtime_ms <= 50
            : zk_owner_kind(node->owner) != ZK_NODE_TTL ||
                  run->time_ms - node->mtime_ms <=
                      zk_owner_ttl_ms(node->owner)) {
        return ZK_BAD_VERSION;
    }
    *node = model->nodes[--model->count];
    return ZK_OK;
}

static uint64_t below(struct run *run, uint64_t bound)
{
    return prng_below(&run->prng, bound);
}

/* Mostly a node that is there, or one below it. */
static void random_path(struct run *run, char *path)
{
    static const char *const few[] = {"/p", "/p", "/p/a", "/p/b", "/p/c"};
    const struct model_node *node =
        &run->ahead->nodes[below(run, run->ahead->count)];
    size_t len = strcmp(node->path, "/") == 0 ? 0 : strlen(node->path);

    if (run->crowded) {
        (void)snprintf(path, NAME_MAX_LEN, "%s", few[below(run, 5)]);
        return;
    }
    if (len > 0 && below(run, 3) > 0) {
        memcpy(path, node->path, NAME_MAX_LEN);
        return;
    }
    if (len > 20) {
        len = 0;
    }
    (void)snprintf(path, NAME_MAX_LEN, "%.*s/%c", (int)len, node->path,
                   (int)('a' + below(run, 4)));
}

static struct client_request random_part(struct run *run, char *path,
                                         bool nested)
{
    uint64_t kind = below(run, 100);
    struct client_request request;
    int32_t version = below(run, 4) > 0 ? -1 : (int32_t)below(run, 3);

    random_path(run, path);
    if (kind < 40) {
        static const int flags[] = {0, 0, 1, 1, 1, 2, 3, 4};

        request =
            make_create(path, flags[below(run, strlen(path) < 40 ? 8 : 5)]);
        request.op = below(run, 2) > 0 ? ZK_OP_CREATE : ZK_OP_CREATE2;
        if (kind == 0) {
            request = make_create_ttl(path, 5, 40);
        }
        request.create.acl = &acls[below(run, 3) > 0 ? 0 : below(run, 4)];
        if (run->crowded) {
            request = make_create(path, strlen(path) > 2);
        }
        return request;
    }
    if (kind < 70) {
        return make_delete(path, version);
    }
    if (kind < 85) {
        return make_set(path, below(run, 2) > 0 ? "" : "much", version);
    }
    if (kind < 90 || !nested) {
        return make_set_acl(path, &acls[below(run, 4)], 1, version);
    }
    return make_check(path, version);
}

static void choose_asker(struct run *run)
{
    static const char *const names[] = {"a:1", "b:1", ""};
    struct prep_context *context = &run->leader->context;
    uint64_t which = below(run, SESSIONS + 1);

    run->asker.users = (unsigned)below(run, 8) & (unsigned)below(run, 8);
    if (run->crowded) {
        run->asker.users = 4;
    }
    run->asker.dead = which == SESSIONS;
    run->asker.session_id = run->asker.dead ? below(run, run->sessions_made) + 1
                                            : run->ahead->sessions[which];
    for (size_t i = 0; i < SESSIONS; i++) {
        if (run->ahead->sessions[i] == run->asker.session_id) {
            run->asker.dead = false;
        }
    }
    context->session_id = run->asker.session_id;
    context->session_closing = run->asker.dead;
    context->auth_count = 0;
    context->auth = run->auth;
    for (unsigned i = 0; i < 3; i++) {
        if ((run->asker.users & 1U << i) != 0) {
            run->auth[context->auth_count++] =
                make_auth(i == 2 ? "super" : "digest", names[i]);
        }
    }
}

static void remember(struct run *run)
{
    struct model *copy = mem_alloc(sizeof(*copy));

    *copy = *run->ahead;
    run->in_flight[(run->first + run->count++) % MODELS] = copy;
}

static void step_close(struct run *run)
{
    size_t which = below(run, SESSIONS);
    uint64_t session = run->ahead->sessions[which];

    model_close(run->ahead, session);
    run->ahead->sessions[which] = ++run->sessions_made;
    ask_close(run->leader, session);
    remember(run);
}

static void step_request(struct run *run)
{
    struct client_request parts[PARTS_MAX], request;
    size_t failed = SIZE_MAX;
    enum zk_code expected, code;

    choose_asker(run);
    if (below(run, 4) > 0) {
        request = random_part(run, run->paths[0], false);
    } else {
        size_t count = below(run, PARTS_MAX + 1);

        for (size_t i = 0; i < count; i++) {
            parts[i] = random_part(run, run->paths[i], true);
        }
        request = make_multi(parts, count);
    }
    expected = model_request(run, run->ahead, &request, &failed);
    code = ask(run->leader, &request);
    cr_assert_eq(code, expected, "op %d: %d, not %d", request.op, code,
                 expected);
    cr_assert_eq(run->leader->failed_index, failed);
    if (code == ZK_OK) {
        remember(run);
    }
}

static void step_container(struct run *run)
{
    enum zk_code expected;

    random_path(run, run->paths[0]);
    expected = model_container(run, run->ahead, run->paths[0]);
    cr_assert_eq(ask_container(run->leader, run->paths[0]), expected);
    if (expected == ZK_OK) {
        remember(run);
    }
}

static void step_deliver(struct run *run)
{
    if (run->count == 0) {
        return;
    }
    deliver(run->leader, 1);
    mem_free(run->committed);
    run->committed = run->in_flight[run->first];
    run->first = (run->first + 1) % MODELS;
    run->count--;
}

static void step_abandon(struct run *run)
{
    abandon(run->leader);
    for (; run->count > 0; run->count--) {
        mem_free(run->in_flight[run->first]);
        run->first = (run->first + 1) % MODELS;
    }
    *run->ahead = *run->committed;
}

static void assert_as_model(struct run *run)
{
    struct world *world = &run->leader->world;
    struct model *model = run->committed;

    cr_assert_eq(tree_count(world->tree), model->count + 4);
    for (size_t i = 0; i < model->count; i++) {
        const struct model_node *node = &model->nodes[i];
        const struct znode *is = find(world, node->path);
        const struct zk_acl *acl;
        size_t count;

        cr_assert_not_null(is, "no %s", node->path);
        cr_assert_eq(znode_owner(is), node->owner);
        cr_assert_eq(znode_sequence(is), node->sequence);
        cr_assert_eq(znode_version(is), node->version);
        cr_assert_eq(znode_aversion(is), node->aversion);
        cr_assert_eq(znode_data(is).len, node->data_len);
        cr_assert_eq(stat_of(world, node->path).mtime, node->mtime_ms);
        acl = tree_acl(world->tree, znode_acl_id(is), &count);
        cr_assert_eq(acl_code(acl, count, 0), node->acl);
    }
}

static void random_run(uint64_t seed, size_t in_flight_max, bool crowded)
{
    struct run *run = MEM_NEW(struct run);

    acls[0] = make_acl(ZK_PERM_ALL, "world", "anyone");
    acls[1] = make_acl(ZK_PERM_ALL, "digest", "a:1");
    acls[2] = make_acl(ZK_PERM_READ | ZK_PERM_WRITE, "digest", "b:1");
    acls[3] = make_acl(ZK_PERM_ALL, "auth", "");
    prng_init(&run->prng, seed);
    run->crowded = crowded;
    run->leader = leader_create();
    run->leader->context.ephemerals_max = EPHEMERALS_MAX;
    run->leader->context.container_never_used_ms = 50;
    run->ahead = MEM_NEW(struct model);
    run->ahead->count = 1;
    run->ahead->nodes[0].path[0] = '/';
    for (size_t i = 0; i < SESSIONS; i++) {
        run->ahead->sessions[i] = ++run->sessions_made;
    }
    run->committed = MEM_NEW(struct model);
    *run->committed = *run->ahead;
    for (size_t i = 0; i < STEPS; i++) {
        uint64_t kind = below(run, 1000);

        run->time_ms = run->leader->world.time_ms += (int64_t)below(run, 4);
        if (run->count == in_flight_max || kind < 300) {
            step_deliver(run);
        } else if (kind < (run->crowded ? 880 : 960)) {
            step_request(run);
        } else if (kind < (run->crowded ? 900 : 980)) {
            step_container(run);
        } else if (kind < 999) {
            step_close(run);
        } else {
            step_abandon(run);
        }
        if (i % 64 == 0) {
            assert_as_model(run);
        }
    }
    while (run->count > 0) {
        step_deliver(run);
    }
    cr_assert_eq(prep_pending_count(run->leader->prep), 0);
    assert_as_model(run);
    leader_destroy(run->leader);
    mem_free(run->ahead);
    mem_free(run->committed);
    mem_free(run);
}

Test(znode_prep_random, one_in_flight_gives_what_the_model_gives)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        random_run(seed, 1, seed % 2 == 0);
    }
}

Test(znode_prep_random, many_in_flight_give_what_the_model_gives)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        random_run(seed, seed % 2 == 0 ? 8 : MODELS - 1, false);
    }
}

Test(znode_prep_random, ephemerals_of_closing_sessions_are_gone_at_once)
{
    for (uint64_t seed = 1; seed <= 24; seed++) {
        random_run(seed, seed % 2 == 0 ? 8 : MODELS - 1, true);
    }
}
