/* Savepoints, what is committed, and the records that others share. */
#include "base/check.h"
#include "base/mem.h"
#include "znode/pending_internal.h"

/* Arrays that a large multi left behind go back to malloc above so many. */
#define CAPACITY_KEPT ((size_t)4096)

static void undo_changes(struct pending *pending);
static void undo_entry(struct pending *pending, struct pending_undo *undo);
static void end(struct pending *pending);
static void committed_changes(struct pending *pending, zxid_t zxid);
static void committed_closes(struct pending *pending, zxid_t zxid);
static void count_back(struct pending *pending,
                       const struct pending_change *change);
static void entry_destroy(struct pending *pending, struct pending_entry *entry);

void pending_init(struct pending *pending, const struct tree *tree,
                  uint64_t hash_seed)
{
    *pending = (struct pending){.tree = tree};
    map_init(&pending->entries, hash_seed);
    map_init(&pending->owners, hash_seed);
    list_init(&pending->queue);
    list_init(&pending->closing);
}

void pending_finish(struct pending *pending)
{
    pending_committed(pending, UINT64_MAX);
    CHECK(map_count(&pending->owners) == 0);
    map_finish(&pending->entries);
    map_finish(&pending->owners);
    pending_acl_unref(pending->last_acl);
    mem_free(pending->changes);
    mem_free(pending->undo);
}

void pending_begin(struct pending *pending, zxid_t zxid)
{
    CHECK(pending->undo_count == 0);
    CHECK(zxid >= pending->zxid);
    pending->zxid = zxid;
    pending->savepoint++;
    pending->changes_kept = pending->changes_count;
}

void pending_keep(struct pending *pending)
{
    for (size_t i = 0; i < pending->undo_count; i++) {
        struct pending_undo *undo = &pending->undo[i];

        pending_acl_unref(undo->view.acl);
        undo->entry->zxid = pending->zxid;
        list_remove(&undo->entry->queue);
        list_push_back(&pending->queue, &undo->entry->queue);
    }
    end(pending);
}

void pending_undo(struct pending *pending)
{
    undo_changes(pending);
    for (size_t i = pending->undo_count; i > 0; i--) {
        undo_entry(pending, &pending->undo[i - 1]);
    }
    end(pending);
}

void pending_committed(struct pending *pending, zxid_t zxid)
{
    committed_changes(pending, zxid);
    committed_closes(pending, zxid);
    while (!list_empty(&pending->queue)) {
        struct pending_entry *entry =
            LIST_ENTRY(pending->queue.next, struct pending_entry, queue);

        if (entry->zxid > zxid) {
            return;
        }
        entry_destroy(pending, entry);
    }
}

size_t pending_count(const struct pending *pending)
{
    return map_count(&pending->entries);
}

struct pending_owner *pending_owner_get(struct pending *pending,
                                        uint64_t session_id)
{
    struct pending_owner *owner = pending_owner_find(pending, session_id);

    if (owner == NULL) {
        owner = MEM_NEW(struct pending_owner);
        list_init(&owner->entries);
        list_init(&owner->closing);
        map_add_number(&pending->owners, &owner->link, session_id);
    }
    return owner;
}

void pending_owner_release(struct pending *pending, struct pending_owner *owner)
{
    if (!list_empty(&owner->entries) || owner->changes > 0 ||
        pending_owner_closes(owner)) {
        return;
    }
    CHECK(owner->count_change == 0);
    map_remove(&pending->owners, &owner->link);
    mem_free(owner->parents);
    mem_free(owner);
}

void pending_set_owner(struct pending *pending, struct pending_entry *entry)
{
    struct pending_owner *before = entry->owner;

    entry->owner = NULL;
    if (entry->exists &&
        zk_owner_kind(entry->view.owner) == ZK_NODE_EPHEMERAL) {
        entry->owner = pending_owner_get(pending, entry->view.owner);
    }
    if (entry->owner == before) {
        return;
    }
    list_remove(&entry->owned);
    if (entry->owner != NULL) {
        CHECK(!pending_owner_closes(entry->owner));
        list_push_back(&entry->owner->entries, &entry->owned);
    }
    if (before != NULL) {
        pending_owner_release(pending, before);
    }
}

void pending_acl_unref(struct pending_acl *acl)
{
    if (acl != NULL && --acl->refs == 0) {
        mem_free(acl);
    }
}

/* Before the entries: a change refers to its parent's. */
static void undo_changes(struct pending *pending)
{
    while (pending->changes_count > pending->changes_kept) {
        count_back(pending, &pending->changes[--pending->changes_count]);
    }
}

static void undo_entry(struct pending *pending, struct pending_undo *undo)
{
    struct pending_entry *entry = undo->entry;

    if (undo->closing_owner != NULL) {
        entry->children_change++;
        undo->closing_owner->parents_count--;
    } else if (undo->made) {
        entry_destroy(pending, entry);
    } else {
        pending_acl_unref(entry->view.acl);
        entry->view = undo->view;
        entry->exists = undo->exists;
        entry->detached = undo->detached;
        pending_set_owner(pending, entry);
    }
}

static void end(struct pending *pending)
{
    pending->undo_count = 0;
    if (pending->undo_capacity > CAPACITY_KEPT) {
        mem_free(pending->undo);
        pending->undo = NULL;
        pending->undo_capacity = 0;
    }
}

static void committed_changes(struct pending *pending, zxid_t zxid)
{
    size_t left;

    while (pending->changes_first < pending->changes_count &&
           pending->changes[pending->changes_first].zxid <= zxid) {
        count_back(pending, &pending->changes[pending->changes_first++]);
    }
    /* Moved only when more than half is done: each item at most once or so. */
    if (pending->changes_first <= pending->changes_count / 2) {
        return;
    }
    left = pending->changes_count - pending->changes_first;
    memmove(pending->changes, pending->changes + pending->changes_first,
            left * sizeof(*pending->changes));
    pending->changes_first = 0;
    pending->changes_count = left;
    if (left == 0 && pending->changes_capacity > CAPACITY_KEPT) {
        mem_free(pending->changes);
        pending->changes = NULL;
        pending->changes_capacity = 0;
    }
}

static void committed_closes(struct pending *pending, zxid_t zxid)
{
    while (!list_empty(&pending->closing)) {
        struct pending_owner *owner =
            LIST_ENTRY(pending->closing.next, struct pending_owner, closing);

        if (owner->zxid > zxid) {
            return;
        }
        for (size_t i = 0; i < owner->parents_count; i++) {
            owner->parents[i]->children_change++;
        }
        pending->closing_in_tree -= owner->in_tree;
        list_remove(&owner->closing);
        pending_owner_release(pending, owner);
    }
}

static void count_back(struct pending *pending,
                       const struct pending_change *change)
{
    change->parent->children_change -= change->change;
    if (change->owner != NULL) {
        change->owner->count_change -= change->change;
        change->owner->changes--;
        pending_owner_release(pending, change->owner);
    }
}

static void entry_destroy(struct pending *pending, struct pending_entry *entry)
{
    CHECK(entry->children_change == 0);
    entry->exists = false;
    pending_set_owner(pending, entry);
    pending_acl_unref(entry->view.acl);
    list_remove(&entry->queue);
    map_remove(&pending->entries, &entry->link);
    mem_free(entry);
}
