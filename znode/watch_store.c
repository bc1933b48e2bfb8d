#include "base/check.h"
#include "base/mem.h"
#include "znode/watch_internal.h"

#define BUCKETS_MIN ((size_t)16)
#define MOVED_PER_INSERT 4

static uint64_t path_hash(const struct watch_table *table, struct slice path);
static uint64_t index_hash(const struct watch_table *table,
                           const struct watch_path *path, enum watch_kind kind,
                           uint64_t conn_id);
static uint64_t hash_of(const struct watch_table *table,
                        const struct watch *watch);
static uint32_t *bucket(const struct watch_index *index, uint64_t hash);
static void index_add(struct watch_table *table, uint32_t number);
static void index_remove(struct watch_table *table, uint32_t number);
static void index_grow(struct watch_table *table);
static uint32_t number_take(struct watch_table *table);
static void number_give(struct watch_table *table, uint32_t number);
static void path_link(struct watch_table *table, uint32_t number);
static void path_unlink(struct watch_table *table, uint32_t number);
static void conn_link(struct watch_table *table, uint32_t number);
static void conn_unlink(struct watch_table *table, uint32_t number);
static void count_change(struct watch_table *table, const struct watch *watch,
                         bool added);
static bool has_other(const struct watch_table *table,
                      const struct watch *watch, enum watch_kind kind);

void watch_store_init(struct watch_table *table)
{
    for (int side = 0; side < SIDES; side++) {
        hash_table_init(&table->paths[side]);
    }
    map_init(&table->conns, table->hash_seed);
    table->index.buckets = MEM_ARRAY(uint32_t, BUCKETS_MIN);
    table->index.buckets_count = BUCKETS_MIN;
}

void watch_store_finish(struct watch_table *table)
{
    struct map_link *link = map_first(&table->conns);

    for (int side = 0; side < SIDES; side++) {
        enum { BATCH = 256 };
        struct hash_link *links[BATCH];
        size_t at = 0;
        size_t count;

        while ((count = hash_table_drain(&table->paths[side], &at, links,
                                         BATCH)) > 0) {
            for (size_t i = 0; i < count; i++) {
                mem_free(links[i]); /* the first member of its path */
            }
        }
        hash_table_finish(&table->paths[side]);
    }
    while (link != NULL) {
        struct map_link *next = map_next(&table->conns, link);

        mem_free(MAP_ENTRY(link, struct watch_conn, link));
        link = next;
    }
    map_finish(&table->conns);
    for (size_t i = 0; i < table->chunks_count; i++) {
        mem_free(table->chunks[i]);
    }
    mem_free(table->chunks);
    mem_free(table->index.buckets);
    mem_free(table->index.old_buckets);
    mem_free(table->told);
}

struct watch_path *watch_path_find(const struct watch_table *table,
                                   enum watch_side side, struct slice path)
{
    if (table->paths[side].count == 0) {
        return NULL;
    }
    return watch_path_find_hashed(table, side, path, path_hash(table, path));
}

struct watch_path *watch_path_find_hashed(const struct watch_table *table,
                                          enum watch_side side,
                                          struct slice path, uint64_t hash)
{
    uint32_t low = (uint32_t)hash;

    for (struct hash_link *link = hash_table_first(&table->paths[side], low);
         link != NULL; link = link->chain) {
        struct watch_path *at = (struct watch_path *)(void *)link;

        if (link->hash == low &&
            slice_equal(slice_make(at->text, link->len), path)) {
            return at;
        }
    }
    return NULL;
}

struct watch_conn *watch_conn_find(const struct watch_table *table,
                                   uint64_t conn_id)
{
    struct map_link *link = map_find_number(&table->conns, conn_id);

    return link == NULL ? NULL : MAP_ENTRY(link, struct watch_conn, link);
}

uint32_t watch_find(const struct watch_table *table,
                    const struct watch_path *path, enum watch_kind kind,
                    const struct watch_conn *conn)
{
    uint32_t number;

    if (path == NULL || conn == NULL || path->first[watch_list(kind)] == 0) {
        return 0;
    }
    number = *bucket(&table->index,
                     index_hash(table, path, kind, conn->link.key.number));
    while (number != 0) {
        const struct watch *watch = watch_at(table, number);

        if (watch->path == path && watch->conn == conn && watch->kind == kind) {
            break;
        }
        number = watch->chain;
    }
    return number;
}

struct watch_path *watch_path_add(struct watch_table *table,
                                  enum watch_side side, struct slice path)
{
    struct watch_path *added = watch_path_find(table, side, path);

    if (added == NULL) {
        CHECK(path.len <= UINT32_MAX);
        added = mem_zalloc(sizeof(*added) + path.len);
        added->link.len = (uint32_t)path.len;
        if (path.len > 0) {
            memcpy(added->text, path.ptr, path.len);
        }
        hash_table_add(&table->paths[side], &added->link,
                       (uint32_t)path_hash(table, path));
    }
    return added;
}

struct watch_conn *watch_conn_add(struct watch_table *table, uint64_t conn_id)
{
    struct watch_conn *conn = watch_conn_find(table, conn_id);

    if (conn == NULL) {
        conn = MEM_NEW(struct watch_conn);
        map_add_number(&table->conns, &conn->link, conn_id);
    }
    return conn;
}

void watch_link(struct watch_table *table, enum watch_kind kind,
                struct watch_path *path, struct watch_conn *conn)
{
    uint32_t number = number_take(table);
    struct watch *watch = watch_at(table, number);

    *watch = (struct watch){.path = path, .conn = conn, .kind = (uint8_t)kind};
    count_change(table, watch, true);
    path_link(table, number);
    conn_link(table, number);
    index_add(table, number);
}

void watch_unlink(struct watch_table *table, uint32_t number)
{
    struct watch *watch = watch_at(table, number);
    struct watch_path *path = watch->path;
    struct watch_conn *conn = watch->conn;

    index_remove(table, number);
    conn_unlink(table, number);
    path_unlink(table, number);
    count_change(table, watch, false);
    if (path->first[0] == 0 && path->first[1] == 0 && path->first[2] == 0) {
        hash_table_remove(&table->paths[watch_side(watch->kind)], &path->link);
        mem_free(path);
    }
    if (conn->count == 0) {
        map_remove(&table->conns, &conn->link);
        mem_free(conn);
    }
    number_give(table, number);
}

static uint64_t path_hash(const struct watch_table *table, struct slice path)
{
    uint64_t hash = table->hash_seed;

    for (;;) {
        const uint8_t *slash =
            path.len == 0 ? NULL : memchr(path.ptr, '/', path.len);
        size_t len = slash == NULL ? path.len : (size_t)(slash - path.ptr);

        hash = watch_hash_next(hash, slice_make(path.ptr, len));
        if (slash == NULL) {
            return hash;
        }
        path = slice_after(path, len + 1);
    }
}

uint64_t watch_hash_next(uint64_t hash, struct slice name)
{
    return map_hash_bytes(hash, name);
}

static uint64_t index_hash(const struct watch_table *table,
                           const struct watch_path *path, enum watch_kind kind,
                           uint64_t conn_id)
{
    uint64_t place = (uint64_t)path->link.hash << 2 | ((unsigned)kind & 3);

    return map_hash_number(map_hash_number(table->hash_seed, place), conn_id);
}

static uint64_t hash_of(const struct watch_table *table,
                        const struct watch *watch)
{
    return index_hash(table, watch->path, watch->kind,
                      watch->conn->link.key.number);
}

static uint32_t *bucket(const struct watch_index *index, uint64_t hash)
{
    if (index->old_buckets != NULL) {
        size_t old = hash & (index->old_count - 1);

        if (old >= index->moved) {
            return &index->old_buckets[old];
        }
    }
    return &index->buckets[hash & (index->buckets_count - 1)];
}

static void index_add(struct watch_table *table, uint32_t number)
{
    struct watch *watch = watch_at(table, number);
    uint32_t *first;

    index_grow(table);
    first = bucket(&table->index, hash_of(table, watch));
    watch->chain = *first;
    *first = number;
}

static void index_remove(struct watch_table *table, uint32_t number)
{
    struct watch *watch = watch_at(table, number);
    uint32_t *at = bucket(&table->index, hash_of(table, watch));

    while (*at != 0 && *at != number) {
        at = &watch_at(table, *at)->chain;
    }
    CHECK(*at == number);
    *at = watch->chain;
}

/* As hash_table.c: a few buckets move with each watch. */
static void index_grow(struct watch_table *table)
{
    struct watch_index *index = &table->index;

    if (index->old_buckets == NULL) {
        if (table->count < index->buckets_count) {
            return;
        }
        index->old_buckets = index->buckets;
        index->old_count = index->buckets_count;
        index->moved = 0;
        index->buckets_count *= 2;
        index->buckets = MEM_ARRAY(uint32_t, index->buckets_count);
    }
    for (int i = 0; i < MOVED_PER_INSERT && index->moved < index->old_count;
         i++) {
        uint32_t number = index->old_buckets[index->moved++];

        while (number != 0) {
            struct watch *watch = watch_at(table, number);
            uint32_t next = watch->chain;
            uint32_t *to = &index->buckets[hash_of(table, watch) &
                                           (index->buckets_count - 1)];

            watch->chain = *to;
            *to = number;
            number = next;
        }
    }
    if (index->moved == index->old_count) {
        mem_free(index->old_buckets);
        index->old_buckets = NULL;
    }
}

static uint32_t number_take(struct watch_table *table)
{
    uint32_t number = table->free_first;

    if (number != 0) {
        table->free_first = watch_at(table, number)->next;
        return number;
    }
    CHECK(table->used_max < UINT32_MAX);
    if (table->used_max == table->chunks_count * WATCH_CHUNK) {
        table->chunks =
            mem_grow(table->chunks, &table->chunks_capacity,
                     table->chunks_count + 1, sizeof(struct watch *));
        table->chunks[table->chunks_count++] =
            MEM_ARRAY(struct watch, WATCH_CHUNK);
    }
    return ++table->used_max;
}

/* All chunks go with the last watch: a burst of watches is not kept. */
static void number_give(struct watch_table *table, uint32_t number)
{
    if (table->count > 0) {
        watch_at(table, number)->next = table->free_first;
        table->free_first = number;
        return;
    }
    for (size_t i = 0; i < table->chunks_count; i++) {
        mem_free(table->chunks[i]);
    }
    table->chunks_count = 0;
    table->used_max = 0;
    table->free_first = 0;
}

static void path_link(struct watch_table *table, uint32_t number)
{
    struct watch *watch = watch_at(table, number);
    uint32_t *first = &watch->path->first[watch_list(watch->kind)];

    if (*first == 0) {
        *first = number;
        watch->prev = number;
        return;
    }
    watch->prev = watch_at(table, *first)->prev;
    watch_at(table, watch->prev)->next = number;
    watch_at(table, *first)->prev = number;
}

static void path_unlink(struct watch_table *table, uint32_t number)
{
    struct watch *watch = watch_at(table, number);
    uint32_t *first = &watch->path->first[watch_list(watch->kind)];

    if (watch->next != 0) {
        watch_at(table, watch->next)->prev = watch->prev;
    } else if (*first != number) {
        watch_at(table, *first)->prev = watch->prev;
    }
    if (*first == number) {
        *first = watch->next;
    } else {
        watch_at(table, watch->prev)->next = watch->next;
    }
}

/* Newest first: nobody promises an order of a connection's watches. */
static void conn_link(struct watch_table *table, uint32_t number)
{
    struct watch *watch = watch_at(table, number);
    uint32_t *first = &watch->conn->first[watch_side(watch->kind)];

    watch->conn_next = *first;
    if (*first != 0) {
        watch_at(table, *first)->conn_prev = number;
    }
    *first = number;
}

static void conn_unlink(struct watch_table *table, uint32_t number)
{
    struct watch *watch = watch_at(table, number);

    if (watch->conn_next != 0) {
        watch_at(table, watch->conn_next)->conn_prev = watch->conn_prev;
    }
    if (watch->conn_prev != 0) {
        watch_at(table, watch->conn_prev)->conn_next = watch->conn_next;
    } else {
        watch->conn->first[watch_side(watch->kind)] = watch->conn_next;
    }
}

/* While the watch itself is in no list and not in the index. */
static void count_change(struct watch_table *table, const struct watch *watch,
                         bool added)
{
    size_t one = added ? 1 : SIZE_MAX;
    enum watch_kind kind = watch->kind;
    struct watch_conn *conn = watch->conn;

    table->count += one;
    conn->count += one;
    if (kind == WATCH_PERSISTENT_RECURSIVE) {
        table->recursive += one;
    }
    if (kind != WATCH_CHILD && !has_other(table, watch, WATCH_DATA) &&
        !has_other(table, watch, WATCH_PERSISTENT) &&
        !has_other(table, watch, WATCH_PERSISTENT_RECURSIVE)) {
        size_t before = conn->data_pairs;

        table->data_pairs += one;
        conn->data_pairs += one;
        if ((before == 0) != (conn->data_pairs == 0)) {
            table->data_conns += one;
        }
    }
    /* ZooKeeper has a persistent watch in both of its tables. */
    if ((kind == WATCH_CHILD && !has_other(table, watch, WATCH_PERSISTENT)) ||
        (kind == WATCH_PERSISTENT && !has_other(table, watch, WATCH_CHILD))) {
        table->child_pairs += one;
    }
}

static bool has_other(const struct watch_table *table,
                      const struct watch *watch, enum watch_kind kind)
{
    const struct watch_path *path = watch->path;

    if (watch_side(kind) != watch_side(watch->kind)) {
        path = watch_path_find(table, watch_side(kind),
                               slice_make(path->text, path->link.len));
    }
    return watch_find(table, path, kind, watch->conn) != 0;
}
