#include <inttypes.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "server/admin_internal.h"
#include "server/config.h"
#include "server/net.h"

#define ADDRESS_SIZE 80
/* Buckets are never finer than this, so that there are few. */
#define BUCKET_MS_MIN 1000
/* ZooKeeper looks for idle connections so often. */
#define CONNS_BUCKET_MS 10000
#define PATH_CHUNK 4096

void admin_table_finish(struct admin_table *table)
{
    mem_free(table->buckets);
    mem_free(table->rows);
    *table = (struct admin_table){0};
}

/* The first bucket that is not before time_ms. */
static size_t bucket_place(const struct admin_table *table, int64_t time_ms)
{
    size_t low = 0, high = table->buckets_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (table->buckets[middle].time_ms < time_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct admin_bucket *bucket_at(struct admin_table *table,
                                      int64_t time_ms)
{
    size_t place = bucket_place(table, time_ms);
    struct admin_bucket *bucket;

    if (place == table->buckets_count ||
        table->buckets[place].time_ms != time_ms) {
        table->buckets =
            mem_grow(table->buckets, &table->buckets_capacity,
                     table->buckets_count + 1, sizeof(table->buckets[0]));
        bucket = &table->buckets[place];
        memmove(bucket + 1, bucket,
                (table->buckets_count - place) * sizeof(*bucket));
        *bucket = (struct admin_bucket){.time_ms = time_ms};
        table->buckets_count++;
    }
    return &table->buckets[place];
}

/* width_ms: what expires at the end of the same interval is one bucket. */
static void table_add(struct admin_table *table, int64_t time_ms,
                      int64_t width_ms, const struct admin_row *row)
{
    int64_t end_ms = (time_ms + width_ms - 1) / width_ms * width_ms;
    struct admin_bucket *bucket = bucket_at(table, end_ms);

    table->rows = mem_grow(table->rows, &table->rows_capacity,
                           table->rows_count + 1, sizeof(table->rows[0]));
    table->rows[table->rows_count++] = *row;
    if (bucket->count == 0) {
        bucket->first = table->rows_count;
    } else {
        table->rows[bucket->last - 1].next = table->rows_count;
    }
    bucket->last = table->rows_count;
    bucket->count++;
}

/* As Java prints a Date. */
static void print_expiry(const struct admin_job *job,
                         const struct admin_bucket *bucket, struct buf *out)
{
    int64_t left_ms = bucket->time_ms - loop_now_ms(job->loop);
    time_t at = (time_t)((clock_wall_ms() + left_ms) / 1000);
    struct tm parts;
    char text[64];

    (void)localtime_r(&at, &parts);
    if (strftime(text, sizeof(text), "%a %b %d %H:%M:%S %Z %Y", &parts) == 0) {
        text[0] = '\0';
    }
    buf_printf(out, "%zu expire at %s:\n", bucket->count, text);
}

typedef void print_row_fn(const struct admin_job *job,
                          const struct admin_row *row, struct buf *out);

/* All buckets and their rows; false: more to do. */
static bool print_table(struct admin_job *job, print_row_fn *print_row,
                        struct buf *out)
{
    const struct admin_table *table = &job->table;

    while (job->bucket < table->buckets_count) {
        const struct admin_bucket *bucket = &table->buckets[job->bucket];

        if (job->row == 0) {
            print_expiry(job, bucket, out);
            job->row = bucket->first;
        }
        while (job->row != 0) {
            const struct admin_row *row = &table->rows[job->row - 1];

            print_row(job, row, out);
            job->row = row->next;
            if (job->row != 0 && admin_slice_over(job)) {
                return false;
            }
        }
        job->bucket++;
    }
    return true;
}

static void print_session_row(const struct admin_job *job,
                              const struct admin_row *row, struct buf *out)
{
    (void)job;
    buf_printf(out, "\t0x%" PRIx64 "\n", row->session_id);
}

static void print_conn_row(const struct admin_job *job,
                           const struct admin_row *row, struct buf *out)
{
    char address[ADDRESS_SIZE];

    net_client_address(loop_clients(job->loop), row->conn_id, address,
                       sizeof(address));
    buf_printf(out, "\tip: %s sessionId: 0x%" PRIx64 "\n", address,
               row->session_id);
}

static bool list_sessions(struct admin_job *job, struct buf *out)
{
    struct inspect_server server;
    struct inspect_session session;

    if (job->cursor == 0) {
        admin_look(job, &server);
        buf_printf(out,
                   "SessionTracker dump:\n"
                   "Global Sessions(%" PRIu64 "):\n",
                   server.sessions);
    }
    while (inspect_session_next(job->replica, &job->cursor, &session)) {
        buf_printf(out, "0x%" PRIx64 "\t%dms\n", session.id,
                   session.timeout_ms);
        if (admin_slice_over(job)) {
            return false;
        }
    }
    return true;
}

static bool collect_sessions(struct admin_job *job, struct buf *out)
{
    int64_t tick_ms = loop_config(job->loop)->tick_ms;
    int64_t width_ms = tick_ms > BUCKET_MS_MIN ? tick_ms : BUCKET_MS_MIN;
    struct inspect_session session;

    while (inspect_session_next(job->replica, &job->cursor, &session)) {
        struct admin_row row = {.session_id = session.id};

        table_add(&job->table, session.deadline_ms, width_ms, &row);
        if (admin_slice_over(job)) {
            return false;
        }
    }
    buf_printf(out,
               "SessionTracker dump:\n"
               "Session Sets (%zu)/(%zu):\n",
               job->table.buckets_count, job->table.rows_count);
    return true;
}

/* When an idle connection would be closed. */
static int64_t conn_deadline_ms(const struct admin_job *job,
                                const struct inspect_conn *conn)
{
    int64_t age_ms = clock_wall_ms() - conn->established_wall_ms;

    if (conn->session_id != 0) {
        return conn->last_response_ms + conn->timeout_ms;
    }
    return loop_now_ms(job->loop) - age_ms +
           loop_config(job->loop)->handshake_timeout_ms;
}

static bool collect_conns(struct admin_job *job, struct buf *out)
{
    struct inspect_conn conn;

    while (inspect_conn_next(job->replica, &job->cursor, &conn)) {
        struct admin_row row = {.session_id = conn.session_id,
                                .conn_id = conn.conn_id};

        table_add(&job->table, conn_deadline_ms(job, &conn), CONNS_BUCKET_MS,
                  &row);
        if (admin_slice_over(job)) {
            return false;
        }
    }
    buf_printf(out,
               "Connections dump:\n"
               "Connections Sets (%zu)/(%zu):\n",
               job->table.buckets_count, job->table.rows_count);
    return true;
}

/* The sessions go into the table's rows, to be counted first. */
static bool collect_owners(struct admin_job *job, struct buf *out)
{
    struct admin_table *table = &job->table;

    while (inspect_ephemeral_session_next(job->replica, &job->cursor)) {
        table->rows = mem_grow(table->rows, &table->rows_capacity,
                               table->rows_count + 1, sizeof(table->rows[0]));
        table->rows[table->rows_count++] =
            (struct admin_row){.session_id = job->cursor};
        if (admin_slice_over(job)) {
            return false;
        }
    }
    buf_printf(out,
               "ephemeral nodes dump:\n"
               "Sessions with Ephemerals (%zu):\n",
               table->rows_count);
    return true;
}

static bool print_ephemerals(struct admin_job *job, struct buf *out)
{
    for (; job->row < job->table.rows_count; job->row++) {
        uint64_t session_id = job->table.rows[job->row].session_id;
        struct slice path;

        if (job->place == NULL) {
            buf_printf(out, "0x%" PRIx64 ":\n", session_id);
        }
        arena_reset(job->arena);
        while (inspect_ephemeral_next(job->replica, session_id, &job->place,
                                      job->arena, &path)) {
            buf_append_text(out, "\t");
            buf_append(out, path);
            buf_append_text(out, "\n");
            arena_reset(job->arena);
            if (admin_slice_over(job)) {
                return false;
            }
        }
        job->place = NULL;
    }
    return true;
}

static void next_phase(struct admin_job *job, bool forget)
{
    job->phase++;
    job->cursor = 0;
    job->bucket = 0;
    job->row = 0;
    if (forget) {
        admin_table_finish(&job->table);
    }
}

static bool dump_phase(struct admin_job *job, struct buf *out)
{
    switch (job->phase) {
        case 0:
            return job->listing ? list_sessions(job, out)
                                : collect_sessions(job, out);
        case 1:
            return print_table(job, print_session_row, out);
        case 2:
            return collect_owners(job, out);
        case 3:
            return print_ephemerals(job, out);
        case 4:
            return collect_conns(job, out);
        default:
            return print_table(job, print_conn_row, out);
    }
}

#define DUMP_PHASES 6

bool admin_dump(struct admin_job *job, struct buf *out)
{
    if (job->arena == NULL) {
        struct inspect_server server;

        admin_look(job, &server);
        job->listing = server.role != ZAB_LEADING;
        job->arena = arena_create(PATH_CHUNK);
    }
    while (job->phase < DUMP_PHASES) {
        if (!dump_phase(job, out)) {
            return false;
        }
        next_phase(job, job->phase % 2 == 1); /* odd ones print the table */
    }
    return true;
}

/* The slice of a group's path lasts while the replica is held. */
static bool watches(struct admin_job *job, bool by_path, struct buf *out)
{
    struct inspect_watch watch;

    while (inspect_watch_next(job->replica, by_path, &job->place, &watch)) {
        bool same = job->phase > 0 &&
                    (by_path ? slice_equal(watch.path, job->group_path)
                             : watch.conn_id == job->group);

        job->phase = 1;
        job->group = watch.conn_id;
        job->group_path = watch.path;
        if (!same && by_path) {
            buf_append(out, watch.path);
            buf_append_text(out, "\n");
        } else if (!same) {
            buf_printf(out, "0x%" PRIx64 "\n", watch.session_id);
        }
        buf_append_text(out, "\t");
        if (by_path) {
            buf_printf(out, "0x%" PRIx64 "\n", watch.session_id);
        } else {
            buf_append(out, watch.path);
            buf_append_text(out, "\n");
        }
        if (admin_slice_over(job)) {
            return false;
        }
    }
    buf_append_text(out, "\n");
    return true;
}

bool admin_watches_by_conn(struct admin_job *job, struct buf *out)
{
    return watches(job, false, out);
}

bool admin_watches_by_path(struct admin_job *job, struct buf *out)
{
    return watches(job, true, out);
}
