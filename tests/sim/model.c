#include "tests/sim/model.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"
#include "znode/tree.h"

#define STATES_MAX 256U /* of one path; a power of two */
#define DEAD_MAX 4096U  /* paths without a node that are remembered */
#define CONFIG_PATH "/zookeeper/config"

struct path {
    struct map_link link;
    struct list in_owner; /* the session's ephemerals */
    struct list in_dead;
    struct model_state *states; /* a circle of capacity */
    uint32_t first, count, capacity;
    bool forgot; /* older states there were */
    uint64_t name_hash;
    uint64_t sequence; /* of the last sequential name below it */
    size_t len;
    uint8_t bytes[];
};

struct owner {
    struct map_link link;
    struct model_session session;
    struct list ephemerals;
};

struct model {
    struct map paths, owners;
    struct list dead;
    size_t dead_count, open_count, alive;
    zxid_t zxid, horizon; /* horizon: before it an unknown path may have been */
    void (*listener)(void *context, zxid_t zxid, const struct txn *txn);
    void *context;
    struct arena *arena;
    char wrong[400];
};

static const struct model_state absent;

static bool apply_op(struct model *model, zxid_t zxid, const struct txn *txn,
                     uint64_t session_id);
static bool create(struct model *model, zxid_t zxid, const struct txn *txn,
                   uint64_t session_id);
static bool check_sequence(struct model *model, struct path *parent,
                           struct slice path);
static bool remove_node(struct model *model, zxid_t zxid, struct slice path);
static bool set_data(struct model *model, zxid_t zxid, const struct txn *txn);
static bool open_session(struct model *model, zxid_t zxid,
                         const struct txn *txn);
static bool close_session(struct model *model, zxid_t zxid, uint64_t id);
static bool wrong(struct model *model, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static struct path *find_path(const struct model *model, struct slice path);
static struct path *make_path(struct model *model, struct slice path);
static struct owner *find_owner(const struct model *model, uint64_t id);
static const struct model_state *latest(const struct path *path);
static struct model_state *next_state(struct path *path, zxid_t zxid);
static void child_changed(struct path *parent, zxid_t zxid, uint64_t name,
                          int change);
static void bury(struct model *model, struct path *path);
static void revived(struct model *model, struct path *path);
static void free_path(struct model *model, struct path *path);
static struct slice parent_of(struct slice path);
static struct slice name_of(struct slice path);
static bool differs(struct model *model, const struct znode *node,
                    struct slice path);

struct model *model_create(void)
{
    struct model *model = MEM_NEW(struct model);
    struct model_state *state;
    struct path *root, *config;

    map_init(&model->paths, 1);
    map_init(&model->owners, 2);
    list_init(&model->dead);
    model->arena = arena_create(4096);
    root = make_path(model, SLICE_LITERAL("/"));
    revived(model, root);
    state = next_state(root, 0);
    state->exists = true;
    state->children = model_hash(SLICE_LITERAL("zookeeper"));
    state->children_count = 1;
    /* What servers write of their own accord. */
    config = make_path(model, SLICE_LITERAL(CONFIG_PATH));
    revived(model, config);
    next_state(config, 0)->exists = true;
    return model;
}

void model_destroy(struct model *model)
{
    struct map_link *link;

    if (model == NULL) {
        return;
    }
    while ((link = map_first(&model->paths)) != NULL) {
        free_path(model, MAP_ENTRY(link, struct path, link));
    }
    while ((link = map_first(&model->owners)) != NULL) {
        map_remove(&model->owners, link);
        mem_free(MAP_ENTRY(link, struct owner, link));
    }
    map_finish(&model->paths);
    map_finish(&model->owners);
    arena_destroy(model->arena);
    mem_free(model);
}

const char *model_apply(struct model *model, zxid_t zxid, const struct txn *txn)
{
    const struct owner *owner = find_owner(model, txn->session_id);

    if (zxid <= model->zxid) {
        (void)wrong(model, "0x%llx is committed behind 0x%llx",
                    (unsigned long long)zxid, (unsigned long long)model->zxid);
        return model->wrong;
    }
    model->zxid = zxid;
    if (owner == NULL && txn->session_id != 0 &&
        txn->op != ZK_OP_CREATE_SESSION) {
        (void)wrong(model, "0x%llx is of session 0x%llx, which never was",
                    (unsigned long long)zxid,
                    (unsigned long long)txn->session_id);
        return model->wrong;
    }
    if (owner != NULL && owner->session.closed != 0) {
        (void)wrong(model, "0x%llx is of session 0x%llx, closed by 0x%llx",
                    (unsigned long long)zxid,
                    (unsigned long long)txn->session_id,
                    (unsigned long long)owner->session.closed);
        return model->wrong;
    }
    if (!apply_op(model, zxid, txn, txn->session_id)) {
        return model->wrong;
    }
    if (model->listener != NULL) {
        model->listener(model->context, zxid, txn);
    }
    return NULL;
}

void model_listen(struct model *model,
                  void (*listener)(void *context, zxid_t zxid,
                                   const struct txn *txn),
                  void *context)
{
    model->listener = listener;
    model->context = context;
}

zxid_t model_zxid(const struct model *model)
{
    return model->zxid;
}

const struct model_state *model_at(const struct model *model, struct slice path,
                                   zxid_t zxid)
{
    const struct path *found = find_path(model, path);

    if (found == NULL) {
        return zxid < model->horizon ? NULL : &absent;
    }
    for (uint32_t i = found->count; i-- > 0;) {
        const struct model_state *state =
            &found->states[(found->first + i) % found->capacity];

        if (state->zxid <= zxid) {
            return state;
        }
    }
    return found->forgot || zxid < model->horizon ? NULL : &absent;
}

const struct model_state *model_next(const struct model *model,
                                     struct slice path, zxid_t zxid)
{
    const struct path *found = find_path(model, path);
    const struct model_state *next = NULL;

    for (uint32_t i = found == NULL ? 0 : found->count; i-- > 0;) {
        const struct model_state *state =
            &found->states[(found->first + i) % found->capacity];

        if (state->zxid <= zxid) {
            break;
        }
        next = state;
    }
    return next;
}

/* What a state is, behind the one before it, to those who watch. */
static bool tells(const struct model_state *before,
                  const struct model_state *state, enum zk_event_type type)
{
    switch (type) {
        case ZK_EVENT_CREATED:
            return state->exists && !before->exists;
        case ZK_EVENT_DELETED:
            return !state->exists && before->exists;
        case ZK_EVENT_DATA_CHANGED:
            return state->exists && before->exists &&
                   state->mzxid != before->mzxid;
        case ZK_EVENT_CHILDREN_CHANGED:
            return state->exists && before->exists &&
                   (state->children != before->children ||
                    state->children_count != before->children_count);
    }
    return false;
}

zxid_t model_fires(const struct model *model, struct slice path,
                   enum model_watch kind, zxid_t after, zxid_t upto)
{
    const struct path *found = find_path(model, path);
    const struct model_state *before = &absent;

    if (found == NULL || latest(found)->zxid <= after) {
        return 0;
    }
    for (uint32_t i = 0; i < found->count; i++) {
        const struct model_state *state =
            &found->states[(found->first + i) % found->capacity];
        bool known = i > 0 || !found->forgot;

        if (state->zxid > after && state->zxid <= upto && known &&
            (tells(before, state, ZK_EVENT_DELETED) ||
             (kind == MODEL_WATCH_CHILD
                  ? tells(before, state, ZK_EVENT_CHILDREN_CHANGED)
                  : tells(before, state, ZK_EVENT_CREATED) ||
                        tells(before, state, ZK_EVENT_DATA_CHANGED)))) {
            return state->zxid;
        }
        before = state;
    }
    return 0;
}

bool model_changed(const struct model *model, struct slice path,
                   enum zk_event_type type, zxid_t zxid)
{
    const struct path *found = find_path(model, path);
    const struct model_state *before = &absent;

    if (found == NULL) {
        return zxid < model->horizon;
    }
    for (uint32_t i = 0; i < found->count; i++) {
        const struct model_state *state =
            &found->states[(found->first + i) % found->capacity];

        if (state->zxid == zxid && tells(before, state, type)) {
            return true;
        }
        before = state;
    }
    return found->forgot && found->states[found->first].zxid >= zxid;
}

const struct model_session *model_session(const struct model *model,
                                          uint64_t id)
{
    const struct owner *owner = find_owner(model, id);

    return owner == NULL ? NULL : &owner->session;
}

size_t model_sessions_open(const struct model *model)
{
    return model->open_count;
}

uint64_t model_hash(struct slice bytes)
{
    return bytes.len == 0 ? 0 : map_hash_bytes(7, bytes);
}

const char *model_compare(struct model *model, const struct tree *tree)
{
    const struct znode *root = tree_find(tree, SLICE_LITERAL("/"));
    size_t seen = 1; /* / itself */

    arena_reset(model->arena);
    for (const struct znode *node = znode_walk_next(root, root); node != NULL;
         node = znode_walk_next(root, node)) {
        struct slice path = znode_path(node, model->arena);

        if (slice_starts_with(path, SLICE_LITERAL("/zookeeper")) &&
            !slice_equal(path, SLICE_LITERAL(CONFIG_PATH))) {
            continue;
        }
        seen++;
        if (differs(model, node, path)) {
            return model->wrong;
        }
    }
    if (seen != model->alive) {
        (void)wrong(model, "the tree has %zu nodes, %zu were committed", seen,
                    model->alive);
        return model->wrong;
    }
    return NULL;
}

static bool apply_op(struct model *model, zxid_t zxid, const struct txn *txn,
                     uint64_t session_id)
{
    switch ((int)txn->op) {
        case ZK_OP_CREATE:
            return create(model, zxid, txn, session_id);
        case ZK_OP_DELETE:
            return remove_node(model, zxid, txn->remove.path);
        case ZK_OP_SET_DATA:
            return set_data(model, zxid, txn);
        case ZK_OP_CREATE_SESSION:
            return open_session(model, zxid, txn);
        case ZK_OP_CLOSE_SESSION:
            return close_session(model, zxid, txn->session_id);
        case ZK_OP_MULTI:
            for (size_t i = 0; i < txn->multi.count; i++) {
                if (!apply_op(model, zxid, &txn->multi.ops[i], session_id)) {
                    return false;
                }
            }
            return true;
        default: /* setACL, check */
            return true;
    }
}

static bool create(struct model *model, zxid_t zxid, const struct txn *txn,
                   uint64_t session_id)
{
    struct slice path = txn->create.path;
    uint64_t id = txn->create.ephemeral_owner;
    struct path *parent = find_path(model, parent_of(path));
    struct path *node = make_path(model, path);
    struct model_state *state;
    struct owner *owner = NULL;

    if (zk_owner_kind(id) == ZK_NODE_EPHEMERAL) {
        owner = find_owner(model, id);
        if (id != session_id || owner == NULL) {
            return wrong(model, "0x%llx gives %.*s to session 0x%llx",
                         (unsigned long long)zxid, (int)path.len, path.ptr,
                         (unsigned long long)id);
        }
    }
    if (parent == NULL || !latest(parent)->exists) {
        return wrong(model, "0x%llx creates %.*s, whose parent is not there",
                     (unsigned long long)zxid, (int)path.len, path.ptr);
    }
    if (node->count > 0 && latest(node)->exists) {
        return wrong(model, "0x%llx creates %.*s, which is there",
                     (unsigned long long)zxid, (int)path.len, path.ptr);
    }
    if (!check_sequence(model, parent, path)) {
        return false;
    }
    revived(model, node);
    state = next_state(node, zxid);
    *state = (struct model_state){.zxid = zxid,
                                  .exists = true,
                                  .data = model_hash(txn->create.data),
                                  .czxid = zxid,
                                  .mzxid = zxid,
                                  .pzxid = zxid,
                                  .owner = id};
    child_changed(parent, zxid, node->name_hash, 1);
    if (owner != NULL) {
        list_push_back(&owner->ephemerals, &node->in_owner);
    }
    return true;
}

/* Names of ten digits behind a dash rise below one parent, with czxid. */
static bool check_sequence(struct model *model, struct path *parent,
                           struct slice path)
{
    uint64_t number = 0;

    if (path.len < 12 || path.ptr[path.len - 11] != '-') {
        return true;
    }
    for (size_t i = path.len - 10; i < path.len; i++) {
        if (path.ptr[i] < '0' || path.ptr[i] > '9') {
            return true;
        }
        number = number * 10 + (uint64_t)(path.ptr[i] - '0');
    }
    number++;
    if (number <= parent->sequence) {
        return wrong(model, "%.*s comes behind number %llu", (int)path.len,
                     path.ptr, (unsigned long long)parent->sequence - 1);
    }
    parent->sequence = number;
    return true;
}

static bool remove_node(struct model *model, zxid_t zxid, struct slice path)
{
    struct path *parent = find_path(model, parent_of(path));
    struct path *node = find_path(model, path);

    if (node == NULL || !latest(node)->exists || parent == NULL) {
        return wrong(model, "0x%llx deletes %.*s, which is not there",
                     (unsigned long long)zxid, (int)path.len, path.ptr);
    }
    if (latest(node)->children_count > 0) {
        return wrong(model, "0x%llx deletes %.*s, which has children",
                     (unsigned long long)zxid, (int)path.len, path.ptr);
    }
    *next_state(node, zxid) = (struct model_state){.zxid = zxid};
    child_changed(parent, zxid, node->name_hash, -1);
    if (!list_empty(&node->in_owner)) {
        list_remove(&node->in_owner);
    }
    node->sequence = 0;
    model->alive--;
    bury(model, node);
    return true;
}

static bool set_data(struct model *model, zxid_t zxid, const struct txn *txn)
{
    struct slice path = txn->set_data.path;
    struct path *node = find_path(model, path);
    struct model_state *state;

    if (node == NULL || !latest(node)->exists) {
        return wrong(model, "0x%llx sets %.*s, which is not there",
                     (unsigned long long)zxid, (int)path.len, path.ptr);
    }
    if (txn->set_data.version != latest(node)->version + 1) {
        return wrong(model, "0x%llx sets %.*s to version %d behind %d",
                     (unsigned long long)zxid, (int)path.len, path.ptr,
                     txn->set_data.version, latest(node)->version);
    }
    state = next_state(node, zxid);
    state->data = model_hash(txn->set_data.data);
    state->version = txn->set_data.version;
    state->mzxid = zxid;
    return true;
}

static bool open_session(struct model *model, zxid_t zxid,
                         const struct txn *txn)
{
    struct owner *owner = find_owner(model, txn->session_id);

    if (owner != NULL || txn->session_id == 0) {
        return wrong(model, "0x%llx opens session 0x%llx, which was before",
                     (unsigned long long)zxid,
                     (unsigned long long)txn->session_id);
    }
    owner = MEM_NEW(struct owner);
    owner->session.id = txn->session_id;
    owner->session.opened = zxid;
    list_init(&owner->ephemerals);
    map_add_number(&model->owners, &owner->link, txn->session_id);
    model->open_count++;
    return true;
}

static bool close_session(struct model *model, zxid_t zxid, uint64_t id)
{
    struct owner *owner = find_owner(model, id);

    if (owner == NULL) {
        return wrong(model, "0x%llx closes session 0x%llx, which never was",
                     (unsigned long long)zxid, (unsigned long long)id);
    }
    owner->session.closed = zxid;
    model->open_count--;
    while (!list_empty(&owner->ephemerals)) {
        const struct path *node =
            LIST_ENTRY(owner->ephemerals.next, struct path, in_owner);

        if (!remove_node(model, zxid, slice_make(node->bytes, node->len))) {
            return false;
        }
    }
    return true;
}

static bool wrong(struct model *model, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(model->wrong, sizeof(model->wrong), format, args);
    va_end(args);
    return false;
}

static struct path *find_path(const struct model *model, struct slice path)
{
    struct map_link *link = map_find_bytes(&model->paths, path);

    return link == NULL ? NULL : MAP_ENTRY(link, struct path, link);
}

/* A new one is not there yet: it has no state. */
static struct path *make_path(struct model *model, struct slice path)
{
    struct path *made = find_path(model, path);

    if (made != NULL) {
        return made;
    }
    made = mem_zalloc(sizeof(*made) + path.len);
    made->len = path.len;
    memcpy(made->bytes, path.ptr, path.len);
    made->name_hash = model_hash(name_of(path));
    list_init(&made->in_owner);
    list_init(&made->in_dead);
    map_add_bytes(&model->paths, &made->link,
                  slice_make(made->bytes, path.len));
    (void)next_state(made, model->horizon);
    made->forgot = model->horizon > 0;
    bury(model, made);
    return made;
}

static struct owner *find_owner(const struct model *model, uint64_t id)
{
    struct map_link *link = map_find_number(&model->owners, id);

    return link == NULL ? NULL : MAP_ENTRY(link, struct owner, link);
}

static const struct model_state *latest(const struct path *path)
{
    return &path->states[(path->first + path->count - 1) % path->capacity];
}

/* One more, the same as the one before but for its zxid. */
static struct model_state *next_state(struct path *path, zxid_t zxid)
{
    struct model_state *state;

    if (path->count == path->capacity && path->capacity < STATES_MAX) {
        uint32_t capacity = path->capacity == 0 ? 2 : path->capacity * 2;

        CHECK(path->first == 0);
        path->states =
            mem_realloc(path->states, capacity * sizeof(path->states[0]));
        path->capacity = capacity;
    } else if (path->count == path->capacity) {
        path->first = (path->first + 1) % path->capacity;
        path->count--;
        path->forgot = true;
    }
    state = &path->states[(path->first + path->count) % path->capacity];
    *state = path->count == 0 ? (struct model_state){0} : *latest(path);
    state->zxid = zxid;
    path->count++;
    return state;
}

static void child_changed(struct path *parent, zxid_t zxid, uint64_t name,
                          int change)
{
    struct model_state *state = next_state(parent, zxid);

    state->pzxid = zxid;
    if (change > 0) {
        state->children += name;
        state->children_count++;
    } else {
        state->children -= name;
        state->children_count--;
    }
}

/* Those that are gone are remembered, so many of them. */
static void bury(struct model *model, struct path *path)
{
    list_push_back(&model->dead, &path->in_dead);
    model->dead_count++;
    if (model->dead_count > DEAD_MAX) {
        struct path *oldest =
            LIST_ENTRY(model->dead.next, struct path, in_dead);

        if (latest(oldest)->zxid > model->horizon) {
            model->horizon = latest(oldest)->zxid;
        }
        free_path(model, oldest);
    }
}

static void revived(struct model *model, struct path *path)
{
    list_remove(&path->in_dead);
    model->dead_count--;
    model->alive++;
}

static void free_path(struct model *model, struct path *path)
{
    if (!list_empty(&path->in_dead)) {
        list_remove(&path->in_dead);
        model->dead_count--;
    }
    if (!list_empty(&path->in_owner)) {
        list_remove(&path->in_owner);
    }
    map_remove(&model->paths, &path->link);
    mem_free(path->states);
    mem_free(path);
}

static struct slice parent_of(struct slice path)
{
    while (path.len > 1 && path.ptr[path.len - 1] != '/') {
        path.len--;
    }
    return slice_make(path.ptr, path.len > 1 ? path.len - 1 : 1);
}

static struct slice name_of(struct slice path)
{
    size_t at = path.len;

    while (at > 0 && path.ptr[at - 1] != '/') {
        at--;
    }
    return slice_after(path, at);
}

static bool differs(struct model *model, const struct znode *node,
                    struct slice path)
{
    const struct path *known = find_path(model, path);
    const struct model_state *state = known == NULL ? &absent : latest(known);
    struct zk_stat stat;

    znode_stat(node, &stat);
    if (!state->exists) {
        return !wrong(model, "%.*s is in the tree, it should not be",
                      (int)path.len, path.ptr);
    }
    if (stat.version != state->version || stat.czxid != state->czxid ||
        stat.mzxid != state->mzxid || stat.pzxid != state->pzxid ||
        stat.ephemeral_owner != state->owner ||
        (uint32_t)stat.num_children != state->children_count ||
        model_hash(znode_data(node)) != state->data) {
        return !wrong(model,
                      "%.*s is version %d of 0x%llx in the tree, it should be "
                      "%d of 0x%llx (or another field differs)",
                      (int)path.len, path.ptr, stat.version,
                      (unsigned long long)stat.mzxid, state->version,
                      (unsigned long long)state->mzxid);
    }
    return false;
}
