#include "znode/ephemeral.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "znode/tree_internal.h"

struct owner {
    struct map_link link; /* key: session id */
    struct znode *first, *last;
    size_t count;
};

struct sort_item {
    zxid_t czxid;
    size_t place;
    struct znode *node;
};

static struct owner *find(const struct ephemerals *ephemerals,
                          uint64_t session_id);
static void append(struct owner *owner, struct znode *node);
static void sort_owner(struct owner *owner);
static int by_age(const void *left, const void *right);

void ephemerals_init(struct ephemerals *ephemerals, uint64_t hash_seed)
{
    *ephemerals = (struct ephemerals){0};
    map_init(&ephemerals->by_session, hash_seed);
}

void ephemerals_finish(struct ephemerals *ephemerals)
{
    struct map_link *link = map_first(&ephemerals->by_session);

    while (link != NULL) {
        struct map_link *next = map_next(&ephemerals->by_session, link);

        mem_free(MAP_ENTRY(link, struct owner, link));
        link = next;
    }
    map_finish(&ephemerals->by_session);
    ephemerals->count = 0;
}

void ephemerals_add(struct ephemerals *ephemerals, struct znode *node)
{
    struct owner *owner = find(ephemerals, node->owner);

    if (owner == NULL) {
        owner = MEM_NEW(struct owner);
        map_add_number(&ephemerals->by_session, &owner->link, node->owner);
    }
    append(owner, node);
    owner->count++;
    ephemerals->count++;
}

void ephemerals_remove(struct ephemerals *ephemerals, struct znode *node)
{
    struct owner *owner = find(ephemerals, node->owner);

    CHECK(owner != NULL);
    if (node->ephemeral_prev == NULL) {
        owner->first = node->ephemeral_next;
    } else {
        node->ephemeral_prev->ephemeral_next = node->ephemeral_next;
    }
    if (node->ephemeral_next == NULL) {
        owner->last = node->ephemeral_prev;
    } else {
        node->ephemeral_next->ephemeral_prev = node->ephemeral_prev;
    }
    ephemerals->count--;
    if (--owner->count == 0) {
        map_remove(&ephemerals->by_session, &owner->link);
        mem_free(owner);
    }
}

struct znode *ephemerals_first(const struct ephemerals *ephemerals,
                               uint64_t session_id)
{
    struct owner *owner = find(ephemerals, session_id);

    return owner == NULL ? NULL : owner->first;
}

void ephemerals_sort(struct ephemerals *ephemerals)
{
    for (struct map_link *link = map_first(&ephemerals->by_session);
         link != NULL; link = map_next(&ephemerals->by_session, link)) {
        sort_owner(MAP_ENTRY(link, struct owner, link));
    }
}

size_t tree_ephemerals_count(const struct tree *tree)
{
    return tree->ephemerals.count;
}

const struct znode *tree_ephemeral_next(const struct tree *tree,
                                        uint64_t session_id,
                                        const struct znode *after)
{
    return after != NULL ? after->ephemeral_next
                         : ephemerals_first(&tree->ephemerals, session_id);
}

size_t tree_ephemeral_count(const struct tree *tree, uint64_t session_id)
{
    struct owner *owner = find(&tree->ephemerals, session_id);

    return owner == NULL ? 0 : owner->count;
}

uint64_t tree_ephemeral_session_next(const struct tree *tree, uint64_t after)
{
    const struct map *map = &tree->ephemerals.by_session;
    struct map_link *link;

    if (after == 0) {
        link = map_first(map);
    } else {
        link = map_find_number(map, after);
        link = link == NULL ? NULL : map_next(map, link);
    }
    return link == NULL ? 0 : link->key.number;
}

static struct owner *find(const struct ephemerals *ephemerals,
                          uint64_t session_id)
{
    struct map_link *link =
        map_find_number(&ephemerals->by_session, session_id);

    return link == NULL ? NULL : MAP_ENTRY(link, struct owner, link);
}

static void append(struct owner *owner, struct znode *node)
{
    node->ephemeral_next = NULL;
    node->ephemeral_prev = owner->last;
    if (owner->last == NULL) {
        owner->first = node;
    } else {
        owner->last->ephemeral_next = node;
    }
    owner->last = node;
}

/* By czxid; those of one multi stay in the order of their paths. */
static void sort_owner(struct owner *owner)
{
    struct sort_item *items = MEM_ARRAY(struct sort_item, owner->count);
    size_t count = 0;

    for (struct znode *node = owner->first; node != NULL;
         node = node->ephemeral_next) {
        items[count] = (struct sort_item){node->czxid, count, node};
        count++;
    }
    CHECK(count == owner->count);
    qsort(items, count, sizeof(*items), by_age);
    owner->first = NULL;
    owner->last = NULL;
    for (size_t i = 0; i < count; i++) {
        append(owner, items[i].node);
    }
    mem_free(items);
}

static int by_age(const void *left, const void *right)
{
    const struct sort_item *a = left;
    const struct sort_item *b = right;

    if (a->czxid != b->czxid) {
        return a->czxid < b->czxid ? -1 : 1;
    }
    return a->place < b->place ? -1 : a->place > b->place;
}
