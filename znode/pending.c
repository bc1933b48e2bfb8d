#include "znode/pending_internal.h"

#include "base/check.h"
#include "base/mem.h"
#include "znode/path.h"

static struct pending_entry *find(const struct pending *pending,
                                  struct slice path);
static bool closes(const struct pending *pending, uint64_t owner);
static void view_of_node(const struct znode *node, struct pending_view *view);
static bool children_all_gone(const struct pending *pending,
                              const struct pending_entry *parent,
                              const struct znode *node, int64_t count,
                              struct arena *arena);
static struct pending_entry *touch(struct pending *pending, struct slice path);
static struct pending_entry *make(struct pending *pending, struct slice path);
static void detach_closing(struct pending *pending,
                           struct pending_entry *entry);
static void remember(struct pending *pending, struct pending_undo undo);
static void take_off(struct pending *pending, struct pending_entry *entry);
static void count(struct pending *pending, struct slice path, uint64_t owner,
                  int64_t change);
static void set_acl(struct pending *pending, struct pending_entry *entry,
                    const struct zk_acl *acl, size_t acl_count);
static struct pending_acl *acl_copy(const struct zk_acl *acl, size_t count);
static bool acl_is(const struct pending_acl *copy, const struct zk_acl *acl,
                   size_t count);

bool pending_find(const struct pending *pending, struct slice path,
                  struct pending_view *view)
{
    const struct pending_entry *entry = find(pending, path);
    const struct znode *node;

    if (entry != NULL) {
        *view = entry->view;
        return entry->exists;
    }
    node = tree_find(pending->tree, path);
    if (node == NULL || closes(pending, znode_owner(node))) {
        return false;
    }
    view_of_node(node, view);
    return true;
}

const struct zk_acl *pending_acl(const struct pending *pending,
                                 const struct pending_view *view,
                                 size_t *acl_count)
{
    if (view->acl == NULL) {
        return tree_acl(pending->tree, view->acl_id, acl_count);
    }
    *acl_count = view->acl->count;
    return view->acl->items;
}

bool pending_has_children(const struct pending *pending, struct slice path,
                          struct arena *arena)
{
    const struct pending_entry *entry = find(pending, path);
    const struct znode *node = tree_find(pending->tree, path);
    int64_t children = entry == NULL ? 0 : entry->children_change;

    if (node != NULL) {
        children += (int64_t)znode_children_count(node);
    }
    CHECK(children >= 0);
    if (children == 0) {
        return false;
    }
    /* Some of them may be ephemerals whose session closes. */
    if (node == NULL || (uint64_t)children > pending->closing_in_tree) {
        return true;
    }
    return !children_all_gone(pending, entry, node, children, arena);
}

uint64_t pending_ephemerals(const struct pending *pending, uint64_t session_id)
{
    const struct pending_owner *owner = pending_owner_find(pending, session_id);
    int64_t number = (int64_t)tree_ephemeral_count(pending->tree, session_id);

    if (owner != NULL) {
        number += owner->count_change;
    }
    CHECK(number >= 0);
    return (uint64_t)number;
}

bool pending_is_closing(const struct pending *pending, uint64_t session_id)
{
    return closes(pending, session_id);
}

void pending_create(struct pending *pending, const struct txn *txn,
                    int64_t time_ms)
{
    struct slice path = txn->create.path;
    struct pending_entry *parent = touch(pending, path_parent(path));
    struct pending_entry *entry = touch(pending, path);

    CHECK(parent->exists);
    CHECK(!entry->exists);
    parent->view.sequence = txn->create.parent_sequence;
    entry->exists = true;
    pending_acl_unref(entry->view.acl);
    entry->view = (struct pending_view){
        .owner = txn->create.ephemeral_owner,
        .mtime_ms = time_ms,
        .data_len = txn->create.data.len,
    };
    set_acl(pending, entry, txn->create.acl, txn->create.acl_count);
    pending_set_owner(pending, entry);
    count(pending, path, entry->view.owner, 1);
}

void pending_delete(struct pending *pending, struct slice path)
{
    struct pending_entry *entry = touch(pending, path);

    CHECK(entry->exists);
    take_off(pending, entry);
}

void pending_set_data(struct pending *pending, const struct txn *txn,
                      int64_t time_ms)
{
    struct pending_entry *entry = touch(pending, txn->set_data.path);

    CHECK(entry->exists);
    entry->view.version = txn->set_data.version;
    entry->view.data_len = txn->set_data.data.len;
    entry->view.mtime_ms = time_ms;
}

void pending_set_acl(struct pending *pending, const struct txn *txn)
{
    struct pending_entry *entry = touch(pending, txn->set_acl.path);

    CHECK(entry->exists);
    entry->view.aversion = txn->set_acl.version;
    set_acl(pending, entry, txn->set_acl.acl, txn->set_acl.acl_count);
}

/* Costs what the session has in flight, not what it has in the tree. */
void pending_close(struct pending *pending, uint64_t session_id)
{
    struct pending_owner *owner = pending_owner_get(pending, session_id);

    if (pending_owner_closes(owner)) {
        return;
    }
    LIST_EACH (&owner->entries, at, after) {
        struct pending_entry *entry =
            LIST_ENTRY(at, struct pending_entry, owned);

        take_off(pending,
                 touch(pending, entry->link.key.bytes)); /* leaves the list */
    }
    owner->zxid = pending->zxid;
    owner->in_tree = tree_ephemeral_count(pending->tree, session_id);
    pending->closing_in_tree += owner->in_tree;
    list_push_back(&pending->closing, &owner->closing);
}

static struct pending_entry *find(const struct pending *pending,
                                  struct slice path)
{
    struct map_link *link = map_find_bytes(&pending->entries, path);

    return link == NULL ? NULL : MAP_ENTRY(link, struct pending_entry, link);
}

static bool closes(const struct pending *pending, uint64_t owner)
{
    const struct pending_owner *found;

    if (list_empty(&pending->closing) || owner == 0) {
        return false;
    }
    found = pending_owner_find(pending, owner);
    return found != NULL && pending_owner_closes(found);
}

static void view_of_node(const struct znode *node, struct pending_view *view)
{
    *view = (struct pending_view){
        .sequence = znode_sequence(node),
        .owner = znode_owner(node),
        .mtime_ms = PENDING_MTIME_OF_TREE,
        .data_len = znode_data(node).len,
        .version = znode_version(node),
        .aversion = znode_aversion(node),
        .acl_id = znode_acl_id(node),
    };
}

/* Whether count nodes below node are ephemerals that a close takes along and
 * that are not taken off the count yet. */
static bool children_all_gone(const struct pending *pending,
                              const struct pending_entry *parent,
                              const struct znode *node, int64_t count,
                              struct arena *arena)
{
    struct slice path =
        parent == NULL ? (struct slice){0} : parent->link.key.bytes;
    size_t room = path.len + 64;
    uint8_t *text = ARENA_NEW(arena, uint8_t, room);
    int64_t gone = 0;

    for (const struct znode *child = NULL;
         gone < count && (child = znode_child_next(node, child)) != NULL;) {
        const struct pending_entry *entry = NULL;

        /* What is in flight below a node changes its entry too. */
        if (parent != NULL) {
            struct slice name = znode_name(child);
            size_t at = path.len == 1 ? 0 : path.len;

            if (at + 1 + name.len > room) {
                room = at + 1 + name.len;
                text = ARENA_NEW(arena, uint8_t, room);
            }
            memcpy(text, path.ptr, at);
            text[at] = '/';
            memcpy(text + at + 1, name.ptr, name.len);
            entry = find(pending, slice_make(text, at + 1 + name.len));
        }
        if (entry != NULL && entry->detached) {
            continue;
        }
        if (!closes(pending, znode_owner(child))) {
            return false;
        }
        gone++;
    }
    return gone == count;
}

/* The path's entry, its present state remembered for an undo. */
static struct pending_entry *touch(struct pending *pending, struct slice path)
{
    struct pending_entry *entry = find(pending, path);

    if (entry == NULL) {
        return make(pending, path);
    }
    if (entry->savepoint != pending->savepoint) {
        entry->savepoint = pending->savepoint;
        if (entry->view.acl != NULL) {
            entry->view.acl->refs++;
        }
        remember(pending, (struct pending_undo){.entry = entry,
                                                .exists = entry->exists,
                                                .detached = entry->detached,
                                                .view = entry->view});
    }
    return entry;
}

static struct pending_entry *make(struct pending *pending, struct slice path)
{
    struct pending_entry *entry = mem_alloc(sizeof(*entry) + path.len);
    const struct znode *node = tree_find(pending->tree, path);

    *entry = (struct pending_entry){.savepoint = pending->savepoint};
    memcpy(entry->path, path.ptr, path.len);
    list_init(&entry->queue);
    list_init(&entry->owned);
    map_add_bytes(&pending->entries, &entry->link,
                  slice_make(entry->path, path.len));
    remember(pending, (struct pending_undo){.entry = entry, .made = true});
    if (node == NULL) {
        return entry;
    }
    if (closes(pending, znode_owner(node))) {
        detach_closing(pending, entry);
        return entry;
    }
    entry->exists = true;
    view_of_node(node, &entry->view);
    pending_set_owner(pending, entry);
    return entry;
}

/* From now on the entry speaks for the tree's node, so the close has to take
 * it off the parent's count. It does until it is committed, whatever becomes of
 * the txn that is being made. */
static void detach_closing(struct pending *pending, struct pending_entry *entry)
{
    struct pending_owner *owner = pending_owner_find(
        pending, znode_owner(tree_find(pending->tree, entry->link.key.bytes)));
    struct pending_entry *parent =
        touch(pending, path_parent(entry->link.key.bytes));

    CHECK(owner != NULL);
    entry->detached = true;
    parent->children_change--;
    owner->parents =
        mem_grow(owner->parents, &owner->parents_capacity,
                 owner->parents_count + 1, sizeof(struct pending_entry *));
    owner->parents[owner->parents_count++] = parent;
    remember(pending,
             (struct pending_undo){.entry = parent, .closing_owner = owner});
}

static void remember(struct pending *pending, struct pending_undo undo)
{
    pending->undo = mem_grow(pending->undo, &pending->undo_capacity,
                             pending->undo_count + 1, sizeof(*pending->undo));
    pending->undo[pending->undo_count++] = undo;
}

static void take_off(struct pending *pending, struct pending_entry *entry)
{
    uint64_t owner = entry->view.owner;

    entry->exists = false;
    entry->detached = true;
    /* Counted while the owner is still known to the list. */
    count(pending, entry->link.key.bytes, owner, -1);
    pending_set_owner(pending, entry);
}

/* One child more or less below path's parent, one ephemeral of owner's. */
static void count(struct pending *pending, struct slice path, uint64_t owner,
                  int64_t change)
{
    struct pending_entry *parent = touch(pending, path_parent(path));
    struct pending_owner *of = zk_owner_kind(owner) == ZK_NODE_EPHEMERAL
                                   ? pending_owner_get(pending, owner)
                                   : NULL;
    struct pending_change *last;

    parent->children_change += change;
    if (of != NULL) {
        of->count_change += change;
    }
    if (pending->changes_count > pending->changes_kept) {
        last = &pending->changes[pending->changes_count - 1];
        if (last->parent == parent && last->owner == of) {
            last->change += change;
            return;
        }
    }
    if (of != NULL) {
        of->changes++;
    }
    pending->changes =
        mem_grow(pending->changes, &pending->changes_capacity,
                 pending->changes_count + 1, sizeof(*pending->changes));
    pending->changes[pending->changes_count++] = (struct pending_change){
        .zxid = pending->zxid, .parent = parent, .owner = of, .change = change};
}

static void set_acl(struct pending *pending, struct pending_entry *entry,
                    const struct zk_acl *acl, size_t acl_count)
{
    if (pending->last_acl == NULL ||
        !acl_is(pending->last_acl, acl, acl_count)) {
        pending_acl_unref(pending->last_acl);
        pending->last_acl = acl_copy(acl, acl_count);
    }
    pending->last_acl->refs++;
    pending_acl_unref(entry->view.acl);
    entry->view.acl = pending->last_acl;
}

static struct pending_acl *acl_copy(const struct zk_acl *acl, size_t count)
{
    size_t size = sizeof(struct pending_acl) + count * sizeof(*acl);
    struct pending_acl *copy;
    uint8_t *at;

    for (size_t i = 0; i < count; i++) {
        size += acl[i].id.scheme.len + acl[i].id.id.len;
    }
    copy = mem_alloc(size);
    copy->refs = 1;
    copy->count = count;
    at = (uint8_t *)&copy->items[count];
    for (size_t i = 0; i < count; i++) {
        struct slice scheme = acl[i].id.scheme, id = acl[i].id.id;

        copy->items[i].perms = acl[i].perms;
        copy->items[i].id.scheme = slice_make(at, scheme.len);
        copy->items[i].id.id = slice_make(at + scheme.len, id.len);
        if (scheme.len > 0) {
            memcpy(at, scheme.ptr, scheme.len);
        }
        if (id.len > 0) {
            memcpy(at + scheme.len, id.ptr, id.len);
        }
        at += scheme.len + id.len;
    }
    return copy;
}

static bool acl_is(const struct pending_acl *copy, const struct zk_acl *acl,
                   size_t count)
{
    if (copy->count != count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (copy->items[i].perms != acl[i].perms ||
            !slice_equal(copy->items[i].id.scheme, acl[i].id.scheme) ||
            !slice_equal(copy->items[i].id.id, acl[i].id.id)) {
            return false;
        }
    }
    return true;
}
