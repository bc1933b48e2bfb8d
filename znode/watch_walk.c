#include "znode/watch_internal.h"

static bool is_first_of_pair(const struct watch_table *table,
                             const struct watch *watch);
static const struct watch *next_on_paths(const struct watch_table *table,
                                         const struct watch *at);
static const struct watch *next_of_conns(const struct watch_table *table,
                                         const struct watch *at);
static bool show(const void **cursor, const struct watch *at,
                 struct watch_view *view);

bool watch_next_by_path(const struct watch_table *table, const void **cursor,
                        struct watch_view *view)
{
    const struct watch *at = *cursor;

    do {
        at = next_on_paths(table, at);
    } while (at != NULL && !is_first_of_pair(table, at));
    return show(cursor, at, view);
}

bool watch_next_by_conn(const struct watch_table *table, const void **cursor,
                        struct watch_view *view)
{
    const struct watch *at = *cursor;

    do {
        at = next_of_conns(table, at);
    } while (at != NULL && !is_first_of_pair(table, at));
    return show(cursor, at, view);
}

/* Of several kinds of one connection on one path only one is shown. */
static bool is_first_of_pair(const struct watch_table *table,
                             const struct watch *watch)
{
    if (watch->kind == WATCH_DATA) {
        return true;
    }
    if (watch_find(table, watch->path, WATCH_DATA, watch->conn) != 0) {
        return false;
    }
    return watch->kind == WATCH_PERSISTENT ||
           watch_find(table, watch->path, WATCH_PERSISTENT, watch->conn) == 0;
}

static const struct watch *next_on_paths(const struct watch_table *table,
                                         const struct watch *at)
{
    const struct hash_table *paths = &table->paths[SIDE_DATA];
    const struct watch_path *path = NULL;
    const struct hash_link *link = NULL;
    size_t list = 0;

    if (at != NULL) {
        if (at->next != 0) {
            return watch_at(table, at->next);
        }
        path = at->path;
        link = &path->link;
        list = watch_list(at->kind) + 1;
    }
    for (;;) {
        for (; path != NULL && list < WATCH_LISTS; list++) {
            if (path->first[list] != 0) {
                return watch_at(table, path->first[list]);
            }
        }
        link = hash_table_next(paths, link);
        if (link == NULL) {
            return NULL;
        }
        path = (const struct watch_path *)(const void *)link;
        list = 0;
    }
}

static const struct watch *next_of_conns(const struct watch_table *table,
                                         const struct watch *at)
{
    struct map_link *link;

    if (at != NULL && at->conn_next != 0) {
        return watch_at(table, at->conn_next);
    }
    link = at == NULL ? map_first(&table->conns)
                      : map_next(&table->conns, &at->conn->link);
    for (; link != NULL; link = map_next(&table->conns, link)) {
        const struct watch_conn *conn =
            MAP_ENTRY(link, struct watch_conn, link);

        if (conn->first[SIDE_DATA] != 0) {
            return watch_at(table, conn->first[SIDE_DATA]);
        }
    }
    return NULL;
}

static bool show(const void **cursor, const struct watch *at,
                 struct watch_view *view)
{
    *cursor = at;
    if (at == NULL) {
        return false;
    }
    *view = (struct watch_view){slice_make(at->path->text, at->path->link.len),
                                at->conn->link.key.number};
    return true;
}
