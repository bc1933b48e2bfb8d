#include "znode/node.h"

#include "base/check.h"
#include "base/mem.h"

#define DATA_INLINE_MAX ((size_t)1024)
/* Room for a pointer, aligned: the tail begins at 4 mod 8. */
#define CAPACITY_MIN ((size_t)12)
#define PLACE_SIZE sizeof(uint32_t)

_Static_assert(offsetof(struct znode, tail) == 132, "memory per znode");

static size_t rounded(size_t size);
static uint8_t *room(const struct znode *node);
static uint8_t **apart(const struct znode *node);

struct znode *node_create(struct slice name, struct slice data, uint64_t owner)
{
    enum zk_node_kind kind = zk_owner_kind(owner);
    bool collect = kind == ZK_NODE_CONTAINER || kind == ZK_NODE_TTL;
    size_t fixed =
        offsetof(struct znode, tail) + (collect ? PLACE_SIZE : 0) + name.len;
    size_t capacity = data.len <= DATA_INLINE_MAX ? data.len : 0;
    struct znode *node;

    if (capacity < CAPACITY_MIN) {
        capacity = CAPACITY_MIN;
    }
    capacity = rounded(fixed + capacity) - fixed;
    CHECK(capacity <= UINT16_MAX);
    CHECK(name.len <= UINT32_MAX);
    node = mem_alloc(fixed + capacity);
    *node = (struct znode){.owner = owner,
                           .capacity = (uint16_t)capacity,
                           .flags = collect ? ZNODE_COLLECT : 0};
    if (collect) {
        node_set_place(node, 0);
    }
    node->link.len = (uint32_t)name.len;
    memcpy(room(node) + capacity, name.ptr, name.len);
    node_set_data(node, data);
    return node;
}

void node_destroy(struct znode *node)
{
    if ((node->flags & ZNODE_APART) != 0) {
        mem_free(*apart(node));
    }
    mem_free(node);
}

void node_set_data(struct znode *node, struct slice data)
{
    CHECK(data.len <= UINT32_MAX);
    if ((node->flags & ZNODE_APART) != 0) {
        mem_free(*apart(node));
    }
    node->flags &= (uint16_t) ~(ZNODE_APART | ZNODE_NULL);
    node->data_len = (uint32_t)data.len;
    if (slice_is_absent(data)) {
        node->flags |= ZNODE_NULL;
    } else if (data.len > node->capacity) {
        node->flags |= ZNODE_APART;
        *apart(node) = mem_alloc(data.len);
        memcpy(*apart(node), data.ptr, data.len);
    } else {
        memcpy(room(node), data.ptr, data.len);
    }
}

void node_link_child(struct znode *parent, struct znode *child)
{
    struct znode *first = parent->first_child;

    CHECK(!node_is_ephemeral(parent));
    child->parent = parent;
    child->next = NULL;
    if (first == NULL) {
        parent->first_child = child;
        child->prev = child;
    } else {
        child->prev = first->prev;
        first->prev->next = child;
        first->prev = child;
    }
    parent->children_count++;
}

void node_unlink_child(struct znode *child)
{
    struct znode *parent = child->parent;
    struct znode *first = parent->first_child;

    if (child == first) {
        parent->first_child = child->next;
    } else {
        child->prev->next = child->next;
    }
    if (child->next != NULL) {
        child->next->prev = child->prev;
    } else if (child != first) {
        first->prev = child->prev;
    }
    CHECK(parent->children_count > 0);
    parent->children_count--;
}

bool node_has_path(const struct znode *node, struct slice path)
{
    size_t left = path.len;

    for (; node->parent != NULL; node = node->parent) {
        size_t len = node->link.len;

        if (left <= len) {
            return false;
        }
        left -= len + 1;
        if (path.ptr[left] != '/' ||
            memcmp(path.ptr + left + 1, znode_name(node).ptr, len) != 0) {
            return false;
        }
    }
    return left == 0;
}

size_t node_path_len(const struct znode *node)
{
    size_t len = node->parent == NULL ? 1 : 0;

    for (; node->parent != NULL; node = node->parent) {
        len += 1 + node->link.len;
    }
    return len;
}

void node_write_path(const struct znode *node, uint8_t *to, size_t len)
{
    to[0] = '/';
    for (; node->parent != NULL; node = node->parent) {
        len -= node->link.len;
        memcpy(to + len, znode_name(node).ptr, node->link.len);
        to[--len] = '/';
    }
}

bool node_is_ephemeral(const struct znode *node)
{
    return zk_owner_kind(node->owner) == ZK_NODE_EPHEMERAL;
}

struct slice znode_data(const struct znode *node)
{
    if ((node->flags & ZNODE_NULL) != 0) {
        return (struct slice){NULL, 0};
    }
    return slice_make((node->flags & ZNODE_APART) != 0 ? *apart(node)
                                                       : room(node),
                      node->data_len);
}

struct slice znode_name(const struct znode *node)
{
    return slice_make(room(node) + node->capacity, node->link.len);
}

void znode_stat(const struct znode *node, struct zk_stat *stat)
{
    uint64_t changes = 2 * znode_sequence(node) - node->children_count;

    *stat = (struct zk_stat){
        .czxid = node->czxid,
        .mzxid = node->mzxid,
        .ctime = node->ctime_ms,
        .mtime = node->mtime_ms,
        .version = node->version,
        .cversion = (int32_t)(uint32_t)changes,
        .aversion = node->aversion,
        .ephemeral_owner = node_is_ephemeral(node) ? node->owner : 0,
        .data_length = (int32_t)node->data_len,
        .num_children = (int32_t)node->children_count,
        .pzxid = node->pzxid,
    };
}

uint64_t znode_owner(const struct znode *node)
{
    return node->owner;
}

uint64_t znode_sequence(const struct znode *node)
{
    return node_is_ephemeral(node) ? 0 : node->sequence;
}

int32_t znode_version(const struct znode *node)
{
    return node->version;
}

int32_t znode_aversion(const struct znode *node)
{
    return node->aversion;
}

zxid_t znode_mzxid(const struct znode *node)
{
    return node->mzxid;
}

zxid_t znode_pzxid(const struct znode *node)
{
    return node->pzxid;
}

uint32_t znode_acl_id(const struct znode *node)
{
    return node->acl_id;
}

size_t znode_children_count(const struct znode *node)
{
    return node->children_count;
}

const struct znode *znode_parent(const struct znode *node)
{
    return node->parent;
}

const struct znode *znode_child_next(const struct znode *node,
                                     const struct znode *after)
{
    if (after != NULL) {
        return after->next;
    }
    return node->children_count == 0 ? NULL : node->first_child;
}

const struct znode *znode_walk_next(const struct znode *root,
                                    const struct znode *at)
{
    if (at->children_count > 0) {
        return at->first_child;
    }
    while (at != root) {
        if (at->next != NULL) {
            return at->next;
        }
        at = at->parent;
    }
    return NULL;
}

struct slice znode_path(const struct znode *node, struct arena *arena)
{
    size_t len = node_path_len(node);
    uint8_t *path = ARENA_NEW(arena, uint8_t, len);

    node_write_path(node, path, len);
    return slice_make(path, len);
}

/* Up to what malloc hands out anyway (16 bytes apart, 8 of them its own), so
 * that data may grow a little in place. */
static size_t rounded(size_t size)
{
    return ((size + 8 + 15) & ~(size_t)15) - 8;
}

static uint8_t *room(const struct znode *node)
{
    size_t place = (node->flags & ZNODE_COLLECT) != 0 ? PLACE_SIZE : 0;

    return (uint8_t *)(uintptr_t)node->tail + place;
}

/* Aligned, so that leak checkers see the pointer: with a place in a heap the
 * room begins aligned, without one 4 bytes before. */
static uint8_t **apart(const struct znode *node)
{
    return (uint8_t **)(void *)((uint8_t *)(uintptr_t)node->tail + 4);
}
