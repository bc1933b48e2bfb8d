#include "znode/watch.h"

#include "base/check.h"
#include "base/mem.h"
#include "znode/path.h"
#include "znode/watch_internal.h"

static bool type_has(enum zk_watcher_type type, enum watch_kind kind);
static uint32_t find_kind(const struct watch_table *table, enum watch_kind kind,
                          struct slice path, uint64_t conn_id);
static void tell_once(struct watch_table *table, enum watch_kind kind,
                      struct slice path);
static void tell_always(struct watch_table *table, enum watch_kind kind,
                        struct slice path);
static void tell_entry(struct watch_table *table, enum watch_kind kind,
                       const struct watch_path *entry);
static void tell_above(struct watch_table *table, struct slice path,
                       struct arena *arena);
static uint64_t *hashes_above(const struct watch_table *table,
                              struct slice path, struct arena *arena,
                              size_t *count);
static void tell(struct watch_table *table, struct watch_conn *conn);

static const enum watch_kind kinds[] = {
    WATCH_DATA, WATCH_CHILD, WATCH_PERSISTENT, WATCH_PERSISTENT_RECURSIVE};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct watch_table *watch_table_create(uint64_t hash_seed)
{
    struct watch_table *table = MEM_NEW(struct watch_table);

    table->hash_seed = hash_seed;
    watch_store_init(table);
    return table;
}

void watch_table_destroy(struct watch_table *table)
{
    if (table != NULL) {
        watch_store_finish(table);
        mem_free(table);
    }
}

void watch_add(struct watch_table *table, enum watch_kind kind,
               struct slice path, uint64_t conn_id)
{
    struct watch_path *entry = watch_path_add(table, watch_side(kind), path);
    struct watch_conn *conn = watch_conn_add(table, conn_id);

    if (watch_find(table, entry, kind, conn) == 0) {
        watch_link(table, kind, entry, conn);
    }
}

bool watch_remove(struct watch_table *table, struct slice path,
                  enum zk_watcher_type type, uint64_t conn_id)
{
    bool removed = false;

    for (size_t i = 0; i < KINDS; i++) {
        uint32_t number = type_has(type, kinds[i])
                              ? find_kind(table, kinds[i], path, conn_id)
                              : 0;

        if (number != 0) {
            watch_unlink(table, number);
            removed = true;
        }
    }
    return removed;
}

bool watch_exists(const struct watch_table *table, struct slice path,
                  enum zk_watcher_type type, uint64_t conn_id)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (type_has(type, kinds[i]) &&
            find_kind(table, kinds[i], path, conn_id) != 0) {
            return true;
        }
    }
    return false;
}

bool watch_remove_conn(struct watch_table *table, uint64_t conn_id, size_t max)
{
    struct watch_conn *conn = watch_conn_find(table, conn_id);
    size_t left = conn == NULL ? 0 : conn->count;

    for (; left > 0 && max > 0; left--, max--) {
        uint32_t number = conn->first[SIDE_DATA];

        if (number == 0) {
            number = conn->first[SIDE_CHILD];
        }
        watch_unlink(table, number);
    }
    return left == 0;
}

size_t watch_fire(struct watch_table *table, enum zk_event_type type,
                  struct slice path, struct arena *arena, uint64_t **conn_ids)
{
    table->fired++;
    table->told_count = 0;
    switch (type) {
        case ZK_EVENT_CHILDREN_CHANGED:
            tell_once(table, WATCH_CHILD, path);
            tell_always(table, WATCH_PERSISTENT, path);
            break;
        case ZK_EVENT_DELETED:
            tell_once(table, WATCH_DATA, path);
            tell_once(table, WATCH_CHILD, path);
            tell_always(table, WATCH_PERSISTENT, path);
            tell_above(table, path, arena);
            break;
        case ZK_EVENT_CREATED:
        case ZK_EVENT_DATA_CHANGED:
            tell_once(table, WATCH_DATA, path);
            tell_always(table, WATCH_PERSISTENT, path);
            tell_above(table, path, arena);
            break;
    }
    *conn_ids = ARENA_NEW(arena, uint64_t, table->told_count);
    if (table->told_count > 0) {
        memcpy(*conn_ids, table->told, table->told_count * sizeof(uint64_t));
    }
    return table->told_count;
}

size_t watch_count(const struct watch_table *table)
{
    return table->data_pairs + table->child_pairs;
}

size_t watch_count_data(const struct watch_table *table)
{
    return table->data_pairs;
}

size_t watch_count_paths_data(const struct watch_table *table)
{
    return table->paths[SIDE_DATA].count;
}

size_t watch_count_conns_data(const struct watch_table *table)
{
    return table->data_conns;
}

size_t watch_conn_count(const struct watch_table *table, uint64_t conn_id)
{
    const struct watch_conn *conn = watch_conn_find(table, conn_id);

    return conn == NULL ? 0 : conn->count;
}

static bool type_has(enum zk_watcher_type type, enum watch_kind kind)
{
    switch (type) {
        case ZK_WATCHER_CHILDREN:
            return kind == WATCH_CHILD;
        case ZK_WATCHER_DATA:
            return kind == WATCH_DATA;
        case ZK_WATCHER_ANY:
            return true;
        case ZK_WATCHER_PERSISTENT:
            return kind == WATCH_PERSISTENT;
        case ZK_WATCHER_PERSISTENT_RECURSIVE:
            return kind == WATCH_PERSISTENT_RECURSIVE;
    }
    return false;
}

static uint32_t find_kind(const struct watch_table *table, enum watch_kind kind,
                          struct slice path, uint64_t conn_id)
{
    return watch_find(table, watch_path_find(table, watch_side(kind), path),
                      kind, watch_conn_find(table, conn_id));
}

static void tell_once(struct watch_table *table, enum watch_kind kind,
                      struct slice path)
{
    struct watch_path *entry = watch_path_find(table, watch_side(kind), path);
    uint32_t number = entry == NULL ? 0 : entry->first[watch_list(kind)];

    while (number != 0) {
        uint32_t next = watch_at(table, number)->next;

        tell(table, watch_at(table, number)->conn);
        watch_unlink(table, number); /* entry goes with the last one */
        number = next;
    }
}

static void tell_always(struct watch_table *table, enum watch_kind kind,
                        struct slice path)
{
    tell_entry(table, kind, watch_path_find(table, watch_side(kind), path));
}

static void tell_entry(struct watch_table *table, enum watch_kind kind,
                       const struct watch_path *entry)
{
    uint32_t number = entry == NULL ? 0 : entry->first[watch_list(kind)];

    for (; number != 0; number = watch_at(table, number)->next) {
        tell(table, watch_at(table, number)->conn);
    }
}

/* Recursive watches, from the path itself up to the root. */
static void tell_above(struct watch_table *table, struct slice path,
                       struct arena *arena)
{
    const enum watch_kind kind = WATCH_PERSISTENT_RECURSIVE;
    uint64_t *hashes;
    size_t count;

    if (table->recursive == 0) {
        return;
    }
    tell_always(table, kind, path);
    if (path.len <= 1) {
        return;
    }
    hashes = hashes_above(table, path, arena, &count);
    for (path = path_parent(path); path.len > 1; path = path_parent(path)) {
        CHECK(count > 0);
        tell_entry(table, kind,
                   watch_path_find_hashed(table, watch_side(kind), path,
                                          hashes[--count]));
    }
    tell_always(table, kind, path);
}

/* Of what stands before each slash: to hash every path above by itself takes
 * the square of the depth. */
static uint64_t *hashes_above(const struct watch_table *table,
                              struct slice path, struct arena *arena,
                              size_t *count)
{
    uint64_t hash = table->hash_seed;
    uint64_t *hashes;
    size_t from = 0;

    *count = 0;
    for (size_t i = 0; i < path.len; i++) {
        *count += path.ptr[i] == '/' ? 1 : 0;
    }
    hashes = ARENA_NEW(arena, uint64_t, *count);
    *count = 0;
    for (size_t i = 0; i < path.len; i++) {
        if (path.ptr[i] == '/') {
            hash = watch_hash_next(hash, slice_make(path.ptr + from, i - from));
            hashes[(*count)++] = hash;
            from = i + 1;
        }
    }
    return hashes;
}

static void tell(struct watch_table *table, struct watch_conn *conn)
{
    if (conn->fired == table->fired) {
        return;
    }
    conn->fired = table->fired;
    table->told = mem_grow(table->told, &table->told_capacity,
                           table->told_count + 1, sizeof(uint64_t));
    table->told[table->told_count++] = conn->link.key.number;
}
