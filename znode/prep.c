#include "znode/prep_internal.h"

#include "base/check.h"
#include "base/mem.h"
#include "znode/acl.h"
#include "znode/path.h"

/* Encoded bytes of a txn, part or ACL entry without the texts in it: more than
 * they can be. */
#define TXN_OVERHEAD ((size_t)128)
#define PART_OVERHEAD ((size_t)96)
#define ACL_OVERHEAD ((size_t)32)

static void begin(struct prep *prep, const struct prep_context *context,
                  struct txn *txn);
static enum zk_code end(struct prep *prep, enum zk_code code);
static enum zk_code create(struct prep_work *work,
                           const struct client_request *request,
                           struct txn *txn);
static enum zk_code create_flags(const struct prep_work *work,
                                 const struct client_request *request,
                                 uint64_t *owner);
static enum zk_code create_limits(const struct prep_work *work,
                                  struct slice path, uint64_t owner,
                                  size_t data_len);
static enum zk_code delete_node(struct prep_work *work,
                                const struct client_request *request,
                                struct txn *txn);
static enum zk_code set_data(struct prep_work *work,
                             const struct client_request *request,
                             struct txn *txn);
static enum zk_code set_acl(struct prep_work *work,
                            const struct client_request *request,
                            struct txn *txn);
static enum zk_code check(struct prep_work *work,
                          const struct client_request *request,
                          struct txn *txn);
static bool allowed(const struct prep_work *work,
                    const struct pending_view *view, enum zk_perm perm);
static enum zk_code quota(const struct prep_work *work, struct slice path,
                          int64_t count_change, int64_t bytes_change);
static enum zk_code next_version(int32_t current, int32_t expected,
                                 int32_t *next);
static void add_size(struct prep_work *work, size_t texts,
                     const struct zk_acl *acl, size_t acl_count);
static bool is_due(const struct prep *prep, const struct prep_context *context,
                   struct slice path, const struct pending_view *view);

struct prep *prep_create(const struct tree *tree, uint64_t hash_seed)
{
    struct prep *prep = MEM_NEW(struct prep);

    prep->tree = tree;
    prep->hash_seed = hash_seed;
    pending_init(&prep->pending, tree, hash_seed);
    return prep;
}

void prep_destroy(struct prep *prep)
{
    if (prep == NULL) {
        return;
    }
    pending_finish(&prep->pending);
    mem_free(prep);
}

enum zk_code prep_request(struct prep *prep,
                          const struct client_request *request,
                          struct prep_context *context, struct arena *arena,
                          struct txn *txn, size_t *failed_index)
{
    struct prep_work work = {.prep = prep,
                             .context = context,
                             .arena = arena,
                             .size_min = 0,
                             .size_max = TXN_OVERHEAD};
    enum zk_code code;

    *failed_index = SIZE_MAX;
    context->soft_quota_path = (struct slice){NULL, 0};
    if (request->op == ZK_OP_CLOSE_SESSION) {
        prep_close_session(prep, context, txn);
        return ZK_OK;
    }
    begin(prep, context, txn);
    if (request->op == ZK_OP_MULTI) {
        code = prep_multi(&work, request, txn, failed_index);
    } else if (request->op == ZK_OP_CHECK) {
        code = ZK_UNIMPLEMENTED; /* only inside a multi: ZOOKEEPER-2623 */
    } else {
        code = prep_part(&work, request, txn);
    }
    if (code == ZK_OK && !prep_fits(&work, txn)) {
        code = ZK_MARSHALLING_ERROR;
    }
    return end(prep, code);
}

enum zk_code prep_part(struct prep_work *work,
                       const struct client_request *request, struct txn *txn)
{
    txn->request_op = request->op;
    switch ((int)request->op) {
        case ZK_OP_CREATE:
        case ZK_OP_CREATE2:
        case ZK_OP_CREATE_CONTAINER:
        case ZK_OP_CREATE_TTL:
            return create(work, request, txn);
        case ZK_OP_DELETE:
            return delete_node(work, request, txn);
        case ZK_OP_SET_DATA:
            return set_data(work, request, txn);
        case ZK_OP_SET_ACL:
            return set_acl(work, request, txn);
        case ZK_OP_CHECK:
            return check(work, request, txn);
        case ZK_OP_RECONFIG:
            return ZK_RECONFIG_DISABLED;
        default: /* a number that a client sent */
            return ZK_UNIMPLEMENTED;
    }
}

bool prep_fits(const struct prep_work *work, const struct txn *txn)
{
    size_t max = work->context->txn_size_max;

    return work->size_min <= max &&
           (work->size_max <= max || txn_encoded_size(txn) <= max);
}

void prep_create_session(struct prep *prep, struct prep_context *context,
                         int32_t timeout_ms, const uint8_t password[16],
                         struct txn *txn)
{
    begin(prep, context, txn);
    txn->op = txn->request_op = ZK_OP_CREATE_SESSION;
    txn->create_session.timeout_ms = timeout_ms;
    memcpy(txn->create_session.password, password,
           sizeof(txn->create_session.password));
    (void)end(prep, ZK_OK);
}

void prep_close_session(struct prep *prep, struct prep_context *context,
                        struct txn *txn)
{
    begin(prep, context, txn);
    txn->op = txn->request_op = ZK_OP_CLOSE_SESSION;
    pending_close(&prep->pending, context->session_id);
    (void)end(prep, ZK_OK);
}

void prep_move_session(struct prep *prep, struct prep_context *context,
                       struct txn *txn)
{
    begin(prep, context, txn);
    txn->op = txn->request_op = ZK_OP_MOVE_SESSION;
    (void)end(prep, ZK_OK);
}

enum zk_code prep_delete_container(struct prep *prep,
                                   struct prep_context *context,
                                   struct slice path, struct txn *txn)
{
    struct pending_view view;
    struct arena *arena;
    bool has_children;

    if (!pending_find(&prep->pending, path, &view)) {
        return ZK_NO_NODE;
    }
    arena = arena_create(256);
    has_children = pending_has_children(&prep->pending, path, arena);
    arena_destroy(arena);
    if (has_children) {
        return ZK_NOT_EMPTY;
    }
    if (path_is_builtin(path) || !is_due(prep, context, path, &view)) {
        return ZK_BAD_VERSION;
    }
    begin(prep, context, txn);
    txn->op = ZK_OP_DELETE;
    txn->request_op = ZK_OP_DELETE_CONTAINER;
    txn->remove.path = path;
    pending_delete(&prep->pending, path);
    return end(prep, ZK_OK);
}

void prep_committed(struct prep *prep, zxid_t zxid)
{
    pending_committed(&prep->pending, zxid);
}

void prep_abandon(struct prep *prep)
{
    pending_finish(&prep->pending);
    pending_init(&prep->pending, prep->tree, prep->hash_seed);
}

size_t prep_pending_count(const struct prep *prep)
{
    return pending_count(&prep->pending);
}

static void begin(struct prep *prep, const struct prep_context *context,
                  struct txn *txn)
{
    *txn = (struct txn){.session_id = context->session_id,
                        .origin_id = context->origin_id,
                        .origin_request = context->origin_request,
                        .cxid = context->cxid,
                        .time_ms = context->time_ms};
    pending_begin(&prep->pending, context->zxid);
}

static enum zk_code end(struct prep *prep, enum zk_code code)
{
    if (code == ZK_OK) {
        pending_keep(&prep->pending);
    } else {
        pending_undo(&prep->pending);
    }
    return code;
}

/* PrepRequestProcessor.pRequest2TxnCreate(). */
static enum zk_code create(struct prep_work *work,
                           const struct client_request *request,
                           struct txn *txn)
{
    const struct zk_create_ttl_request *create = &request->create;
    struct pending *pending = &work->prep->pending;
    struct slice path = create->path;
    struct pending_view parent, node;
    uint64_t owner;
    enum zk_code code = create_flags(work, request, &owner);

    if (code != ZK_OK) {
        return code;
    }
    if (!path_is_plausible(path)) {
        return slice_is_absent(path) ? ZK_MARSHALLING_ERROR : ZK_BAD_ARGUMENTS;
    }
    tree_expect(work->prep->tree, path);
    code = acl_fix(create->acl, create->acl_count, work->context->auth,
                   work->context->auth_count, work->arena, &txn->create.acl,
                   &txn->create.acl_count);
    if (code != ZK_OK) {
        return code;
    }
    if (!pending_find(pending, path_parent(path), &parent)) {
        return ZK_NO_NODE;
    }
    if (!allowed(work, &parent, ZK_PERM_CREATE)) {
        return ZK_NO_AUTH;
    }
    if (create->flags == ZK_PERSISTENT_SEQUENTIAL ||
        create->flags == ZK_EPHEMERAL_SEQUENTIAL ||
        create->flags == ZK_PERSISTENT_SEQUENTIAL_TTL) {
        path = path_with_sequence(path, parent.sequence, work->arena);
    }
    if (!path_is_valid(path)) {
        return ZK_BAD_ARGUMENTS;
    }
    if (pending_find(pending, path, &node)) {
        return ZK_NODE_EXISTS;
    }
    if (zk_owner_kind(parent.owner) == ZK_NODE_EPHEMERAL) {
        return ZK_NO_CHILDREN_FOR_EPHEMERALS;
    }
    code = create_limits(work, path, owner, create->data.len);
    if (code != ZK_OK) {
        return code;
    }
    txn->op = ZK_OP_CREATE;
    txn->create.path = path;
    txn->create.data = create->data;
    txn->create.ephemeral_owner = owner;
    txn->create.parent_sequence = parent.sequence + 1;
    add_size(work, path.len + create->data.len, txn->create.acl,
             txn->create.acl_count);
    pending_create(pending, txn, work->context->time_ms);
    return ZK_OK;
}

/* The flags decide the kind of node; the opcode is held against them for TTL
 * nodes only, as in ZooKeeper. */
static enum zk_code create_flags(const struct prep_work *work,
                                 const struct client_request *request,
                                 uint64_t *owner)
{
    const struct prep_context *context = work->context;
    int32_t flags = request->create.flags;
    int64_t ttl_ms = request->create.ttl;
    bool ttl_op = request->op == ZK_OP_CREATE_TTL;
    bool ttl_node =
        flags == ZK_PERSISTENT_TTL || flags == ZK_PERSISTENT_SEQUENTIAL_TTL;

    *owner = 0;
    if (flags < ZK_PERSISTENT || flags > ZK_PERSISTENT_SEQUENTIAL_TTL) {
        return ZK_BAD_ARGUMENTS;
    }
    if (ttl_node && !context->ttl_nodes) {
        return ZK_UNIMPLEMENTED;
    }
    if (ttl_node != ttl_op) {
        return ZK_BAD_ARGUMENTS;
    }
    if (ttl_node) {
        if (ttl_ms <= 0 || ttl_ms > ZK_TTL_MS_MAX) {
            return ZK_BAD_ARGUMENTS;
        }
        *owner = zk_owner_from_ttl(ttl_ms);
    } else if (flags == ZK_CONTAINER) {
        *owner = ZK_OWNER_CONTAINER;
    } else if (flags == ZK_EPHEMERAL || flags == ZK_EPHEMERAL_SEQUENTIAL) {
        *owner = context->session_id;
        if (context->session_closing ||
            zk_owner_kind(*owner) != ZK_NODE_EPHEMERAL ||
            pending_is_closing(&work->prep->pending, *owner)) {
            return ZK_SESSION_EXPIRED;
        }
    }
    return ZK_OK;
}

static enum zk_code create_limits(const struct prep_work *work,
                                  struct slice path, uint64_t owner,
                                  size_t data_len)
{
    if (zk_owner_kind(owner) == ZK_NODE_EPHEMERAL &&
        pending_ephemerals(&work->prep->pending, owner) >=
            work->context->ephemerals_max) {
        return ZK_QUOTA_EXCEEDED;
    }
    return quota(work, path, 1, (int64_t)data_len);
}

static enum zk_code delete_node(struct prep_work *work,
                                const struct client_request *request,
                                struct txn *txn)
{
    struct pending *pending = &work->prep->pending;
    struct slice path = request->path_version.path;
    struct pending_view parent, node;
    int32_t version;
    enum zk_code code;

    if (!path_is_plausible(path) || path_is_builtin(path)) {
        return slice_is_absent(path) ? ZK_MARSHALLING_ERROR : ZK_BAD_ARGUMENTS;
    }
    if (!pending_find(pending, path_parent(path), &parent)) {
        return ZK_NO_NODE;
    }
    if (!allowed(work, &parent, ZK_PERM_DELETE)) {
        return ZK_NO_AUTH;
    }
    if (!pending_find(pending, path, &node)) {
        return ZK_NO_NODE;
    }
    code = next_version(node.version, request->path_version.version, &version);
    if (code != ZK_OK) {
        return code;
    }
    if (pending_has_children(pending, path, work->arena)) {
        return ZK_NOT_EMPTY;
    }
    txn->op = ZK_OP_DELETE;
    txn->remove.path = path;
    add_size(work, path.len, NULL, 0);
    pending_delete(pending, path);
    return ZK_OK;
}

static enum zk_code set_data(struct prep_work *work,
                             const struct client_request *request,
                             struct txn *txn)
{
    const struct zk_set_data_request *set = &request->set_data;
    struct pending *pending = &work->prep->pending;
    struct pending_view node;
    enum zk_code code;

    if (!path_is_valid(set->path)) {
        return ZK_BAD_ARGUMENTS;
    }
    if (!pending_find(pending, set->path, &node)) {
        return ZK_NO_NODE;
    }
    if (!allowed(work, &node, ZK_PERM_WRITE)) {
        return ZK_NO_AUTH;
    }
    code = quota(work, set->path, 0,
                 (int64_t)set->data.len - (int64_t)node.data_len);
    if (code != ZK_OK) {
        return code;
    }
    code = next_version(node.version, set->version, &txn->set_data.version);
    if (code != ZK_OK) {
        return code;
    }
    txn->op = ZK_OP_SET_DATA;
    txn->set_data.path = set->path;
    txn->set_data.data = set->data;
    add_size(work, set->path.len + set->data.len, NULL, 0);
    pending_set_data(pending, txn, work->context->time_ms);
    return ZK_OK;
}

static enum zk_code set_acl(struct prep_work *work,
                            const struct client_request *request,
                            struct txn *txn)
{
    const struct zk_set_acl_request *set = &request->set_acl;
    struct pending *pending = &work->prep->pending;
    struct pending_view node;
    enum zk_code code;

    if (!path_is_valid(set->path)) {
        return ZK_BAD_ARGUMENTS;
    }
    code = acl_fix(set->acl, set->acl_count, work->context->auth,
                   work->context->auth_count, work->arena, &txn->set_acl.acl,
                   &txn->set_acl.acl_count);
    if (code != ZK_OK) {
        return code;
    }
    if (!pending_find(pending, set->path, &node)) {
        return ZK_NO_NODE;
    }
    if (!allowed(work, &node, ZK_PERM_ADMIN)) {
        return ZK_NO_AUTH;
    }
    code = next_version(node.aversion, set->version, &txn->set_acl.version);
    if (code != ZK_OK) {
        return code;
    }
    txn->op = ZK_OP_SET_ACL;
    txn->set_acl.path = set->path;
    add_size(work, set->path.len, txn->set_acl.acl, txn->set_acl.acl_count);
    pending_set_acl(pending, txn);
    return ZK_OK;
}

static enum zk_code check(struct prep_work *work,
                          const struct client_request *request, struct txn *txn)
{
    struct slice path = request->path_version.path;
    struct pending_view node;
    int32_t version;

    if (!path_is_valid(path)) {
        return ZK_BAD_ARGUMENTS;
    }
    if (!pending_find(&work->prep->pending, path, &node)) {
        return ZK_NO_NODE;
    }
    if (!allowed(work, &node, ZK_PERM_READ)) {
        return ZK_NO_AUTH;
    }
    txn->op = ZK_OP_CHECK;
    txn->check.path = path;
    add_size(work, path.len, NULL, 0);
    return next_version(node.version, request->path_version.version, &version);
}

static bool allowed(const struct prep_work *work,
                    const struct pending_view *view, enum zk_perm perm)
{
    const struct zk_acl *acl;
    size_t count;

    if (work->context->skip_acl) {
        return true;
    }
    acl = pending_acl(&work->prep->pending, view, &count);
    return acl_allows(acl, count, perm, work->context->auth,
                      work->context->auth_count);
}

/* What is in flight is not counted, neither in ZooKeeper. Data that keep their
 * size are let through even when the account is full. */
static enum zk_code quota(const struct prep_work *work, struct slice path,
                          int64_t count_change, int64_t bytes_change)
{
    struct slice soft = {NULL, 0};
    enum zk_code code;

    if (count_change == 0 && bytes_change == 0) {
        return ZK_OK;
    }
    code = tree_quota_check(work->prep->tree, path, count_change, bytes_change,
                            work->context->hard_quotas, &soft);
    if (slice_is_absent(work->context->soft_quota_path)) {
        work->context->soft_quota_path = soft;
    }
    return code;
}

/* -1 asks for any version, so no node ever has it: the counter skips it. The
 * configuration node has it to begin with. */
static enum zk_code next_version(int32_t current, int32_t expected,
                                 int32_t *next)
{
    uint32_t raised = (uint32_t)current + 1;

    if (expected != -1 && expected != current) {
        return ZK_BAD_VERSION;
    }
    *next = raised == UINT32_MAX ? 0 : (int32_t)raised;
    return ZK_OK;
}

static void add_size(struct prep_work *work, size_t texts,
                     const struct zk_acl *acl, size_t acl_count)
{
    work->size_min += texts;
    work->size_max += texts + PART_OVERHEAD;
    for (size_t i = 0; i < acl_count; i++) {
        size_t len = acl[i].id.scheme.len + acl[i].id.id.len;

        /* The open list is not written at all. */
        work->size_min += acl_count > 1 ? len : 0;
        work->size_max += len + ACL_OVERHEAD;
    }
}

/* What a candidate must be still. A container that never had a child is due by
 * its age, if at all. */
static bool is_due(const struct prep *prep, const struct prep_context *context,
                   struct slice path, const struct pending_view *view)
{
    enum zk_node_kind kind = zk_owner_kind(view->owner);
    int64_t age_ms, due_ms;

    if (kind == ZK_NODE_CONTAINER && view->sequence > 0) {
        return true;
    }
    due_ms = kind == ZK_NODE_TTL ? zk_owner_ttl_ms(view->owner)
                                 : context->container_never_used_ms;
    if ((kind != ZK_NODE_TTL && kind != ZK_NODE_CONTAINER) || due_ms <= 0) {
        return false;
    }
    if (view->mtime_ms == PENDING_MTIME_OF_TREE) {
        struct zk_stat stat;

        znode_stat(tree_find(prep->tree, path), &stat);
        age_ms = context->time_ms - stat.mtime;
    } else {
        age_ms = context->time_ms - view->mtime_ms;
    }
    return age_ms > due_ms;
}
