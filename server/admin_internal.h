/* The parts of admin, for server/admin*.c only.
 *
 * admin.c       the table of words, slices, the short answers
 * admin_stat.c  srvr, stat, cons: who is connected and how it goes
 * admin_info.c  conf, envi, dirs: what this server is
 * admin_mntr.c  mntr: all the numbers
 * admin_peers.c mntr's numbers of the ensemble and of the other servers
 * admin_quota.c mntr's numbers of quotas
 * admin_dump.c  dump, wchc, wchp: everything there is, in many slices */
#ifndef CORRAL_SERVER_ADMIN_INTERNAL_H
#define CORRAL_SERVER_ADMIN_INTERNAL_H

#include "replica/inspect.h"
#include "server/admin.h"

struct store_stats;

struct admin_word {
    const char *name;
    /* Appends; false: more to do. */
    bool (*step)(struct admin_job *job, struct buf *out);
    bool always; /* also while the server does not serve */
    bool dump;   /* holds the replica */
};

/* Sessions or connections that expire together, for dump. */
struct admin_bucket {
    int64_t time_ms; /* monotonic */
    size_t count;
    size_t first, last; /* rows + 1 */
};
struct admin_row {
    uint64_t session_id, conn_id;
    size_t next; /* of the bucket; row + 1, 0: none */
};
struct admin_table {
    struct admin_bucket *buckets; /* by time */
    size_t buckets_count, buckets_capacity;
    struct admin_row *rows;
    size_t rows_count, rows_capacity;
};

struct admin_job {
    struct loop *loop;
    struct replica *replica;
    const struct admin_word *word;
    uint64_t argument; /* stmk's */
    int64_t slice_end_us;
    unsigned items; /* of this slice */
    bool begun;

    int phase;
    uint64_t cursor;
    const void *place;
    /* Dumps only. */
    bool holds;
    int64_t held_since_ms;
    bool listing;   /* a learner's: it does not know when sessions expire */
    uint64_t group; /* whose lines come now */
    struct slice group_path;
    struct arena *arena;
    struct admin_table table;
    size_t bucket, row; /* printed so far */
};

/* This slice is over: return false and go on in the next. */
bool admin_slice_over(struct admin_job *job);
/* "3.10.0-corral-0.1.0, built on 2026-11-21" */
void admin_version(struct buf *out);
/* As Java prints a double rounded to four places: 0.0, 0.25, 12.3457. */
void admin_decimal(struct buf *out, double value);
/* inspect_server(), with ZooKeeper's idea of standalone. */
void admin_look(const struct admin_job *job, struct inspect_server *server);
const char *admin_mode(const struct inspect_server *server);
void admin_disk_stats(const struct admin_job *job, struct store_stats *stats);
/* "zk_NAME", a tab, the value. */
void admin_metric(struct buf *out, const char *name, uint64_t value);
void admin_average(struct buf *out, const char *name, double value);
void admin_quotas(const struct admin_job *job, struct buf *out);
/* What there is in an ensemble of several servers only. */
void admin_peers(const struct admin_job *job,
                 const struct inspect_server *server, struct buf *out);

/* The words. */
bool admin_srvr(struct admin_job *job, struct buf *out);
bool admin_stat(struct admin_job *job, struct buf *out);
bool admin_cons(struct admin_job *job, struct buf *out);
bool admin_conf(struct admin_job *job, struct buf *out);
bool admin_envi(struct admin_job *job, struct buf *out);
bool admin_dirs(struct admin_job *job, struct buf *out);
bool admin_mntr(struct admin_job *job, struct buf *out);
bool admin_dump(struct admin_job *job, struct buf *out);
bool admin_watches_by_conn(struct admin_job *job, struct buf *out);
bool admin_watches_by_path(struct admin_job *job, struct buf *out);

/* admin_dump.c */
void admin_table_finish(struct admin_table *table);

#endif
