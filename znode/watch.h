/* Who wants to hear about which path. Watches belong to a connection of this
 * server: not replicated, not stored. Keyed by (path, kind, connection). */
#ifndef CORRAL_ZNODE_WATCH_H
#define CORRAL_ZNODE_WATCH_H

#include "base/arena.h"
#include "proto/client.h"

enum watch_kind {
    WATCH_DATA = 1, /* one-shot, set by exists and getData */
    WATCH_CHILD,    /* one-shot */
    WATCH_PERSISTENT,
    WATCH_PERSISTENT_RECURSIVE,
};

struct watch_table;

struct watch_table *watch_table_create(uint64_t hash_seed);
void watch_table_destroy(struct watch_table *table); /* NULL is fine */

/* Adding one that is there already does nothing. */
void watch_add(struct watch_table *table, enum watch_kind kind,
               struct slice path, uint64_t conn_id);
/* type as in removeWatches; false: there was none. ANY is data, child and both
 * persistent kinds. */
bool watch_remove(struct watch_table *table, struct slice path,
                  enum zk_watcher_type type, uint64_t conn_id);
bool watch_exists(const struct watch_table *table, struct slice path,
                  enum zk_watcher_type type, uint64_t conn_id);
/* At most max of a closed connection's watches; false: more to do. */
bool watch_remove_conn(struct watch_table *table, uint64_t conn_id, size_t max);

/* Connections to tell, each once; one-shot watches are used up. Deterministic
 * order (of registration). *conn_ids is in the arena. */
size_t watch_fire(struct watch_table *table, enum zk_event_type type,
                  struct slice path, struct arena *arena, uint64_t **conn_ids);

/* As ZooKeeper counts: several kinds of one connection on one path are one in
 * each of its two tables. The data table has one-shot data and both persistent
 * kinds, the other one child and persistent. watch_count() is both (mntr);
 * wchs, wchp and wchc look at the data table alone. watch_conn_count() is the
 * number of a connection's watches, each kind by itself. */
size_t watch_count(const struct watch_table *table);
size_t watch_count_data(const struct watch_table *table);
size_t watch_count_paths_data(const struct watch_table *table);
size_t watch_count_conns_data(const struct watch_table *table);
size_t watch_conn_count(const struct watch_table *table, uint64_t conn_id);

/* Walks in slices, while nothing changes: set *cursor to NULL to begin.
 * by_path visits every (path, conn) of the data table grouped by path,
 * by_conn grouped by connection. False at the end. */
struct watch_view {
    struct slice path;
    uint64_t conn_id;
};
bool watch_next_by_path(const struct watch_table *table, const void **cursor,
                        struct watch_view *view);
bool watch_next_by_conn(const struct watch_table *table, const void **cursor,
                        struct watch_view *view);

#endif
