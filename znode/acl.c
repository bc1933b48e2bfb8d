#include "znode/acl.h"

#include "base/map.h"
#include "proto/address.h"

/* An entry must fit into an answer's time: every check of the node may look at
 * all of them. ZooKeeper's only limit is the frame. */
#define ENTRIES_MAX ((size_t)1000)

static bool grants(const struct zk_id *id, const struct zk_auth *auth,
                   size_t auth_count);
static bool ip_matches(struct slice id, const struct zk_auth *auth,
                       size_t auth_count);
static bool is_world(const struct zk_id *id);
static bool is_scheme(struct slice scheme, const char *name);
static bool id_is_valid(const struct zk_id *id);
static bool digest_id_is_valid(struct slice id);
static bool acl_equal(const struct zk_acl *a, const struct zk_acl *b);
static size_t without_duplicates(const struct zk_acl *acl, size_t count,
                                 struct zk_acl *to, struct arena *arena);
static size_t expand_auth(int32_t perms, const struct zk_auth *auth,
                          size_t auth_count, struct zk_acl *to, size_t room);

bool acl_allows(const struct zk_acl *acl, size_t count, enum zk_perm perm,
                const struct zk_auth *auth, size_t auth_count)
{
    uint32_t asked = (uint32_t)perm;

    if (count == 0) {
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        if (((uint32_t)acl[i].perms & asked) == asked &&
            grants(&acl[i].id, auth, auth_count)) {
            return true;
        }
    }
    for (size_t i = 0; i < auth_count; i++) {
        if (auth[i].super) {
            return true;
        }
    }
    return false;
}

enum zk_code acl_fix(const struct zk_acl *acl, size_t count,
                     const struct zk_auth *auth, size_t auth_count,
                     struct arena *arena, const struct zk_acl **fixed,
                     size_t *fixed_count)
{
    struct zk_acl *unique, *list;
    size_t made = 0, unique_count, room;

    if (count == 0 || count > ENTRIES_MAX) {
        return ZK_INVALID_ACL;
    }
    if (count == 1 && is_world(&acl[0].id)) {
        *fixed = acl; /* nearly every request */
        *fixed_count = 1;
        return ZK_OK;
    }
    unique = ARENA_NEW(arena, struct zk_acl, count);
    unique_count = without_duplicates(acl, count, unique, arena);
    room = unique_count * (auth_count > 1 ? auth_count : 1);
    room = room < ENTRIES_MAX ? room : ENTRIES_MAX;
    list = ARENA_NEW(arena, struct zk_acl, room);
    for (size_t i = 0; i < unique_count; i++) {
        size_t added = 1;

        if (is_scheme(unique[i].id.scheme, "auth")) {
            added = expand_auth(unique[i].perms, auth, auth_count, list + made,
                                room - made);
        } else if (made < room && id_is_valid(&unique[i].id)) {
            list[made] = unique[i];
        } else {
            added = 0;
        }
        if (added == 0) {
            return ZK_INVALID_ACL;
        }
        made += added;
    }
    *fixed = list;
    *fixed_count = made;
    return ZK_OK;
}

const struct zk_acl *acl_mask_digests(const struct zk_acl *acl, size_t count,
                                      struct arena *arena)
{
    struct zk_acl *masked = ARENA_NEW(arena, struct zk_acl, count);

    for (size_t i = 0; i < count; i++) {
        struct slice id = acl[i].id.id;
        const uint8_t *colon = id.len == 0 ? NULL : memchr(id.ptr, ':', id.len);

        masked[i] = acl[i];
        if (colon != NULL && is_scheme(acl[i].id.scheme, "digest")) {
            size_t user_len = (size_t)(colon - id.ptr);
            uint8_t *text = ARENA_NEW(arena, uint8_t, user_len + 2);

            memcpy(text, id.ptr, user_len);
            text[user_len] = ':';
            text[user_len + 1] = 'x';
            masked[i].id.id = slice_make(text, user_len + 2);
        }
    }
    return masked;
}

static bool grants(const struct zk_id *id, const struct zk_auth *auth,
                   size_t auth_count)
{
    if (is_world(id)) {
        return true;
    }
    if (is_scheme(id->scheme, "ip")) {
        return ip_matches(id->id, auth, auth_count);
    }
    for (size_t i = 0; i < auth_count; i++) {
        if (slice_equal(auth[i].scheme, id->scheme) &&
            slice_equal(auth[i].id, id->id)) {
            return true;
        }
    }
    return false;
}

static bool ip_matches(struct slice id, const struct zk_auth *auth,
                       size_t auth_count)
{
    struct address_prefix prefix, address;

    if (!address_prefix_parse(id, &prefix)) {
        return false;
    }
    for (size_t i = 0; i < auth_count; i++) {
        if (is_scheme(auth[i].scheme, "ip") &&
            address_parse(auth[i].id, &address) &&
            address_matches(&address, &prefix)) {
            return true;
        }
    }
    return false;
}

static bool is_world(const struct zk_id *id)
{
    return is_scheme(id->scheme, "world") && is_scheme(id->id, "anyone");
}

static bool is_scheme(struct slice scheme, const char *name)
{
    return slice_equal(scheme, slice_from_text(name));
}

/* x509 and sasl have no provider here, and super never has one. */
static bool id_is_valid(const struct zk_id *id)
{
    struct address_prefix prefix;

    if (is_world(id)) {
        return true;
    }
    if (is_scheme(id->scheme, "digest")) {
        return digest_id_is_valid(id->id);
    }
    return is_scheme(id->scheme, "ip") && address_prefix_parse(id->id, &prefix);
}

/* Java's id.split(":") has two parts. It drops empty ones at the end, so that
 * "a:b:" is one too and "a:" is not. */
static bool digest_id_is_valid(struct slice id)
{
    const uint8_t *colon;

    while (id.len > 0 && id.ptr[id.len - 1] == ':') {
        id.len--;
    }
    colon = id.len == 0 ? NULL : memchr(id.ptr, ':', id.len);
    if (colon == NULL) {
        return false;
    }
    id = slice_after(id, (size_t)(colon - id.ptr) + 1);
    return memchr(id.ptr, ':', id.len) == NULL;
}

static bool acl_equal(const struct zk_acl *a, const struct zk_acl *b)
{
    return a->perms == b->perms && slice_equal(a->id.scheme, b->id.scheme) &&
           slice_equal(a->id.id, b->id.id);
}

/* Keeps the first of each. A table of hashes, as a client may send many: open
 * addressing, at most half full. */
static size_t without_duplicates(const struct zk_acl *acl, size_t count,
                                 struct zk_acl *to, struct arena *arena)
{
    size_t slots = 4, made = 0;
    uint16_t *table; /* index in to + 1; 0: free */

    while (slots < count * 2) {
        slots *= 2;
    }
    table = ARENA_NEW(arena, uint16_t, slots);
    memset(table, 0, slots * sizeof(*table));
    for (size_t i = 0; i < count; i++) {
        uint64_t seed =
            map_hash_bytes((uint32_t)acl[i].perms, acl[i].id.scheme);
        size_t at = map_hash_bytes(seed, acl[i].id.id) & (slots - 1);

        while (table[at] != 0 && !acl_equal(&to[table[at] - 1], &acl[i])) {
            at = (at + 1) & (slots - 1);
        }
        if (table[at] == 0) {
            to[made++] = acl[i];
            table[at] = (uint16_t)made;
        }
    }
    return made;
}

/* To what the connection has proved; its address and "super" are no proof of a
 * user. 0: nothing, or no room. */
static size_t expand_auth(int32_t perms, const struct zk_auth *auth,
                          size_t auth_count, struct zk_acl *to, size_t room)
{
    size_t made = 0;

    for (size_t i = 0; i < auth_count; i++) {
        if (is_scheme(auth[i].scheme, "ip") ||
            is_scheme(auth[i].scheme, "super")) {
            continue;
        }
        if (made == room) {
            return 0;
        }
        to[made].perms = perms;
        to[made].id.scheme = auth[i].scheme;
        to[made++].id.id = auth[i].id;
    }
    return made;
}
