#include "znode/acl_table.h"

#include "base/check.h"
#include "base/mem.h"
#include "znode/digest.h"

#define DIGEST_SEED UINT64_C(0x452821e638d01377)

struct acl_entry {
    struct map_link link; /* key: the list as bytes, behind the array */
    uint64_t refs;
    uint64_t digest;
    uint32_t id;
    size_t count;
    struct zk_acl list[];
};

static bool same_list(const struct acl_entry *entry, const struct zk_acl *acl,
                      size_t count);
static void encode(struct buf *key, const struct zk_acl *acl, size_t count);
static void encode_text(struct buf *key, struct slice text);
static struct acl_entry *entry_create(struct acl_table *table,
                                      const struct zk_acl *acl, size_t count);
static uint32_t id_take(struct acl_table *table);
static void release(struct acl_table *table, uint32_t id);
static void push(uint32_t **ids, size_t *count, size_t *capacity, uint32_t id);

void acl_table_init(struct acl_table *table, uint64_t hash_seed)
{
    *table = (struct acl_table){0};
    map_init(&table->by_list, hash_seed);
}

void acl_table_finish(struct acl_table *table)
{
    for (size_t i = 0; i < table->entries_count; i++) {
        mem_free(table->entries[i]);
    }
    map_finish(&table->by_list);
    mem_free(table->entries);
    mem_free(table->free_ids);
    mem_free(table->dropped);
    buf_finish(&table->key);
    *table = (struct acl_table){0};
}

uint32_t acl_table_ref(struct acl_table *table, const struct zk_acl *acl,
                       size_t count)
{
    struct acl_entry *entry = table->recent;

    if (entry == NULL || !same_list(entry, acl, count)) {
        struct map_link *link;

        buf_clear(&table->key);
        encode(&table->key, acl, count);
        link = map_find_bytes(&table->by_list, buf_bytes(&table->key));
        entry = link == NULL ? entry_create(table, acl, count)
                             : MAP_ENTRY(link, struct acl_entry, link);
        table->recent = entry;
    }
    entry->refs++;
    return entry->id;
}

void acl_table_drop(struct acl_table *table, uint32_t id)
{
    push(&table->dropped, &table->dropped_count, &table->dropped_capacity, id);
}

void acl_table_flush(struct acl_table *table)
{
    for (size_t i = 0; i < table->dropped_count; i++) {
        release(table, table->dropped[i]);
    }
    table->dropped_count = 0;
}

const struct zk_acl *acl_table_get(const struct acl_table *table, uint32_t id,
                                   size_t *count)
{
    CHECK(id < table->entries_count);
    CHECK(table->entries[id] != NULL);
    *count = table->entries[id]->count;
    return table->entries[id]->list;
}

uint64_t acl_table_digest(const struct acl_table *table, uint32_t id)
{
    return table->entries[id]->digest;
}

size_t acl_table_count(const struct acl_table *table)
{
    return map_count(&table->by_list);
}

static bool same_list(const struct acl_entry *entry, const struct zk_acl *acl,
                      size_t count)
{
    if (entry->count != count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const struct zk_acl *own = &entry->list[i];

        if (own->perms != acl[i].perms ||
            !slice_equal(own->id.scheme, acl[i].id.scheme) ||
            !slice_equal(own->id.id, acl[i].id.id)) {
            return false;
        }
    }
    return true;
}

static void encode(struct buf *key, const struct zk_acl *acl, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buf_append(key, slice_make(&acl[i].perms, sizeof(acl[i].perms)));
        encode_text(key, acl[i].id.scheme);
        encode_text(key, acl[i].id.id);
    }
}

static void encode_text(struct buf *key, struct slice text)
{
    uint32_t len = (uint32_t)text.len;

    buf_append(key, slice_make(&len, sizeof(len)));
    buf_append(key, text);
}

static struct acl_entry *entry_create(struct acl_table *table,
                                      const struct zk_acl *acl, size_t count)
{
    struct slice key = buf_bytes(&table->key);
    size_t fixed = sizeof(struct acl_entry) + count * sizeof(struct zk_acl);
    struct acl_entry *entry = mem_alloc(fixed + key.len);
    uint8_t *at = (uint8_t *)entry + fixed;

    memset(entry, 0, sizeof(*entry));
    memcpy(at, key.ptr, key.len);
    entry->digest = digest_bytes(DIGEST_SEED ^ count, key);
    entry->count = count;
    entry->id = id_take(table);
    table->entries[entry->id] = entry;
    map_add_bytes(&table->by_list, &entry->link, slice_make(at, key.len));
    for (size_t i = 0; i < count; i++) {
        struct zk_acl *own = &entry->list[i];

        at += sizeof(own->perms) + sizeof(uint32_t);
        own->perms = acl[i].perms;
        own->id.scheme = slice_make(at, acl[i].id.scheme.len);
        at += own->id.scheme.len + sizeof(uint32_t);
        own->id.id = slice_make(at, acl[i].id.id.len);
        at += own->id.id.len;
    }
    return entry;
}

static uint32_t id_take(struct acl_table *table)
{
    if (table->free_count > 0) {
        return table->free_ids[--table->free_count];
    }
    CHECK(table->entries_count < UINT32_MAX);
    table->entries =
        mem_grow(table->entries, &table->entries_capacity,
                 table->entries_count + 1, sizeof(struct acl_entry *));
    return (uint32_t)table->entries_count++;
}

static void release(struct acl_table *table, uint32_t id)
{
    struct acl_entry *entry = table->entries[id];

    CHECK(entry->refs > 0);
    if (--entry->refs > 0) {
        return;
    }
    if (table->recent == entry) {
        table->recent = NULL;
    }
    map_remove(&table->by_list, &entry->link);
    table->entries[id] = NULL;
    mem_free(entry);
    push(&table->free_ids, &table->free_count, &table->free_capacity, id);
}

static void push(uint32_t **ids, size_t *count, size_t *capacity, uint32_t id)
{
    *ids = mem_grow(*ids, capacity, *count + 1, sizeof(uint32_t));
    (*ids)[(*count)++] = id;
}
