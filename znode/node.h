/* One znode: header, data and name in one piece of memory, which never moves.
 *
 *   header | place in a heap, of container and TTL nodes | data | name
 *
 * The room for data is what the node was created with (up to 1 KB). Data that
 * does not fit any more lives apart, and a pointer stands in the room. */
#ifndef CORRAL_ZNODE_NODE_H
#define CORRAL_ZNODE_NODE_H

#include "proto/txn.h"
#include "znode/hash_table.h"
#include "znode/tree.h"

enum znode_flag {
    ZNODE_NULL = 1,     /* data is null, not empty */
    ZNODE_APART = 2,    /* data is outside */
    ZNODE_BUILTIN = 4,  /* one of the four */
    ZNODE_FRESH = 8,    /* no record on disk yet */
    ZNODE_USAGE = 16,   /* zookeeper_stats of a quota */
    ZNODE_LIMITS = 32,  /* zookeeper_limits of a quota */
    ZNODE_COLLECT = 64, /* container or TTL: has a place in a heap */
};

struct znode {
    struct hash_link link; /* len: of the name */
    struct znode *parent;  /* NULL: the root */
    /* Siblings, oldest first; the first one's prev is the last one. */
    struct znode *next, *prev;
    /* Ephemerals have no children, but a place in their session's list. */
    union {
        struct znode *first_child;
        struct znode *ephemeral_next;
    };
    union {
        uint64_t sequence; /* creates below this node */
        struct znode *ephemeral_prev;
    };
    zxid_t czxid, mzxid, pzxid;
    int64_t ctime_ms, mtime_ms;
    uint64_t owner; /* stored form: zk_owner_kind() */
    int32_t version, aversion;
    uint32_t children_count;
    uint32_t acl_id;
    uint32_t data_len;
    uint32_t dirty;    /* place in the list of changes + 1; 0: unchanged */
    uint16_t capacity; /* room for data */
    uint16_t flags;
    uint8_t tail[];
};

/* Gives; name, data, owner and flags are set, all else is zero. */
struct znode *node_create(struct slice name, struct slice data, uint64_t owner);
void node_destroy(struct znode *node); /* in no list any more */
void node_set_data(struct znode *node, struct slice data);
void node_link_child(struct znode *parent, struct znode *child);
void node_unlink_child(struct znode *child);
/* Whether walking up from node spells path; the root spells "". */
bool node_has_path(const struct znode *node, struct slice path);
size_t node_path_len(const struct znode *node);
void node_write_path(const struct znode *node, uint8_t *to, size_t len);
bool node_is_ephemeral(const struct znode *node);

/* Place in container.c's heaps: + 1, 0 = in none. ZNODE_COLLECT only. */
static inline uint32_t node_place(const struct znode *node)
{
    uint32_t place;

    memcpy(&place, node->tail, sizeof(place));
    return place;
}

static inline void node_set_place(struct znode *node, uint32_t place)
{
    memcpy(node->tail, &place, sizeof(place));
}

#endif
