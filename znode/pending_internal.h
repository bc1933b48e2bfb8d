/* The records behind pending.h, for pending*.c only. */
#ifndef CORRAL_ZNODE_PENDING_INTERNAL_H
#define CORRAL_ZNODE_PENDING_INTERNAL_H

#include "znode/pending.h"

struct pending_acl {
    size_t refs, count;
    struct zk_acl items[]; /* their bytes follow */
};

/* A session with ephemerals among the entries, or one that closes. */
struct pending_owner {
    struct map_link link; /* its key is the session id */
    struct list entries;  /* existing ephemerals of its */
    size_t changes;       /* of the queue that name it */
    int64_t count_change; /* ephemerals, against the tree */
    /* Closing: */
    struct list closing; /* in pending.closing; alone: it is not */
    zxid_t zxid;
    uint64_t in_tree;
    /* Parents of those that had no entry when the close was proposed and got
     * one since: the close takes one child from each. */
    struct pending_entry **parents;
    size_t parents_count, parents_capacity;
};

struct pending_entry {
    struct map_link link;
    struct list queue;           /* alone while made in this savepoint */
    struct list owned;           /* in owner's list */
    struct pending_owner *owner; /* NULL, or of an existing ephemeral */
    zxid_t zxid;
    uint64_t savepoint; /* that remembers it for its undo */
    int64_t children_change;
    bool exists;
    /* The node that the tree may have at this path is taken off its parent's
     * number of children by a change in the queue or by the close. */
    bool detached;
    struct pending_view view;
    uint8_t path[];
};

struct pending_change {
    zxid_t zxid;
    struct pending_entry *parent;
    struct pending_owner *owner; /* NULL: no ephemeral */
    int64_t change;              /* +1, -1, or several of one txn */
};

struct pending_undo {
    struct pending_entry *entry;
    bool made; /* in this savepoint: undone by its end */
    bool exists, detached;
    struct pending_view view;            /* holds a reference to its acl */
    struct pending_owner *closing_owner; /* took its last parent back */
};

static inline struct pending_owner *
pending_owner_find(const struct pending *pending, uint64_t session_id)
{
    struct map_link *link = map_find_number(&pending->owners, session_id);

    return link == NULL ? NULL : MAP_ENTRY(link, struct pending_owner, link);
}

static inline bool pending_owner_closes(const struct pending_owner *owner)
{
    return !list_empty(&owner->closing);
}

struct pending_owner *pending_owner_get(struct pending *pending,
                                        uint64_t session_id);
/* Frees it when nothing needs it any more. */
void pending_owner_release(struct pending *pending,
                           struct pending_owner *owner);

/* Whose list the entry is in, as its exists and view say. */
void pending_set_owner(struct pending *pending, struct pending_entry *entry);
void pending_acl_unref(struct pending_acl *acl); /* NULL is fine */

#endif
