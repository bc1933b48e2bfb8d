/* Writers that do not give up, for measuring what a fault costs. Each
 * connection writes rising numbers to a key of its own, at fixed times; when
 * it is lost, its session is resumed on the next server and what was not
 * answered is sent again. Seen from outside is how long nobody's write was
 * acknowledged; and whether each acknowledged one is still there: versions
 * rise with every acknowledgement, and the last number is read back. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"
#include "tools/bench.h"

#define TICK_S 0.05
#define ROUND_WAIT_MS 10 /* after all servers were tried in vain */
#define NUMBER_SIZE 20   /* digits at the front of a key's data */
#define SHOWN_NS 50000000u
#define STAT_VERSION_AT 32 /* four numbers of 8 bytes are before it */

struct item {
    uint64_t due_ns, value;
};

struct writer {
    struct gap *gap;
    struct bench_conn *conn;
    struct event *retry;
    uint64_t key, server, step;
    uint64_t tried;     /* servers, since it was open */
    struct item *items; /* a circle: due, not acknowledged */
    size_t first, count, capacity;
    size_t sent;           /* of these, on this connection */
    uint64_t maybe;        /* sent before, unanswered: may be applied */
    uint64_t value;        /* the last that was made */
    uint64_t acknowledged; /* the last that was, and its version */
    int64_t version;       /* -1: none yet */
    uint64_t lost_ns;      /* when the connection went; 0: it is there */
    uint64_t reads_seen, heard_ns, pinged_ns;
    bool verifying, verified;
};

enum gap_phase {
    GAP_OPENING,
    GAP_WARMING,
    GAP_RUNNING,
    GAP_DRAINING,
    GAP_READ
};

struct gap {
    const struct bench_options *options;
    struct bench_result *result;
    struct bench_gap *figures;
    struct event_base *base;
    struct event *timer, *due, *tick, *input;
    struct writer *writers;
    uint8_t *data;
    size_t size;
    uint64_t opened, verified;
    uint64_t due_first, due_sent, started_ns, last_ack_ns, deadline_ns;
    struct buf line; /* of standard input, so far */
    enum gap_phase phase;
    bool failed;
};

static void open_writer(struct writer *writer);
static void on_due(evutil_socket_t fd, short what, void *arg);
static void drain(struct gap *gap);
static void verify(struct writer *writer);
static void check_drained(struct gap *gap);

static struct timeval to_timeval(double seconds)
{
    struct timeval time = {(time_t)seconds, 0};

    time.tv_usec = (suseconds_t)((seconds - (double)time.tv_sec) * 1e6);
    return time;
}

/* ---- Marks: what happened since somebody said that something would */

static struct bench_mark *mark(struct gap *gap)
{
    return &gap->figures->marks[gap->figures->marks_count - 1];
}

static void note_gap(struct gap *gap, uint64_t gap_ns)
{
    if (gap_ns > mark(gap)->longest_ns) {
        mark(gap)->longest_ns = gap_ns;
    }
    if (gap_ns > gap->figures->longest_ns) {
        gap->figures->longest_ns = gap_ns;
    }
}

static void new_mark(struct gap *gap, const char *name, size_t len)
{
    struct bench_gap *figures = gap->figures;
    uint64_t now = bench_now_ns();
    struct bench_mark *new;

    if (figures->marks_count > 0) {
        note_gap(gap, now - gap->last_ack_ns); /* belongs to both */
    }
    figures->marks =
        mem_grow(figures->marks, &figures->marks_capacity,
                 figures->marks_count + 1, sizeof(figures->marks[0]));
    new = &figures->marks[figures->marks_count++];
    memset(new, 0, sizeof(*new));
    new->at_ns = now;
    /* It is printed as JSON. */
    for (size_t i = 0; i < len && i < sizeof(new->name) - 1; i++) {
        new->name[i] = name[i];
        if (name[i] < ' ' || name[i] == '"' || name[i] == '\\') {
            new->name[i] = '_';
        }
    }
}

static void gap_ends(struct gap *gap, uint64_t now)
{
    uint64_t gap_ns = now - gap->last_ack_ns;

    if (gap->phase != GAP_RUNNING) {
        return;
    }
    gap->last_ack_ns = now;
    note_gap(gap, gap_ns);
    if (gap_ns > SHOWN_NS && gap->options->progress) {
        (void)fprintf(stderr, "%9.3f s  nothing acknowledged for %.1f ms\n",
                      (double)(now - gap->started_ns) / 1e9,
                      (double)gap_ns / 1e6);
    }
}

static void on_input(evutil_socket_t fd, short what, void *arg)
{
    struct gap *gap = arg;
    char chunk[4096];
    ssize_t n = read(fd, chunk, sizeof(chunk));

    (void)what;
    if (n < 0 && errno == EINTR) {
        return;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (chunk[i] != '\n') {
            buf_append(&gap->line, slice_make(&chunk[i], 1));
            continue;
        }
        new_mark(gap, (const char *)gap->line.data, gap->line.len);
        buf_clear(&gap->line);
    }
    if (n <= 0) {
        CHECK(event_del(gap->input) == 0);
        drain(gap);
    }
}

/* ---- Writing */

static void push(struct writer *writer, uint64_t due_ns)
{
    size_t at;

    if (writer->count == writer->capacity) {
        size_t grown = writer->capacity == 0 ? 8 : 2 * writer->capacity;
        struct item *items = MEM_ARRAY(struct item, grown);

        for (size_t i = 0; i < writer->count; i++) {
            items[i] = writer->items[(writer->first + i) % writer->capacity];
        }
        mem_free(writer->items);
        writer->items = items;
        writer->first = 0;
        writer->capacity = grown;
    }
    at = (writer->first + writer->count) % writer->capacity;
    writer->items[at] = (struct item){due_ns, ++writer->value};
    writer->count++;
}

static void send_due(struct writer *writer)
{
    struct gap *gap = writer->gap;

    if (writer->conn->state != BENCH_OPEN) {
        return;
    }
    while (writer->sent < writer->count && writer->sent < gap->options->depth) {
        struct client_request request = {.op = ZK_OP_SET_DATA};
        const struct item *item =
            &writer->items[(writer->first + writer->sent) % writer->capacity];
        char digits[NUMBER_SIZE + 1];
        char path[BENCH_PATH_MAX];

        (void)snprintf(digits, sizeof(digits), "%020" PRIu64, item->value);
        memcpy(gap->data, digits, NUMBER_SIZE);
        request.set_data.path = bench_key(gap->options, writer->key, path);
        request.set_data.data = slice_make(gap->data, gap->size);
        request.set_data.version = -1;
        writer->sent++;
        bench_conn_send(writer->conn, &request, item->due_ns);
    }
    bench_conn_flush(writer->conn);
}

/* A write was acknowledged with the version that it made. */
static void take_version(struct writer *writer, uint64_t value, int64_t version)
{
    struct bench_gap *figures = writer->gap->figures;

    if (writer->version >= 0 && version <= writer->version) {
        figures->lost++; /* an earlier acknowledged one is gone */
    } else if (writer->version >= 0 &&
               version > writer->version + 1 + (int64_t)writer->maybe) {
        figures->twice++;
    }
    writer->version = version;
    writer->acknowledged = value;
    writer->maybe = 0;
}

static void take_ack(struct writer *writer,
                     const struct zk_reply_header *header, struct slice body,
                     uint64_t due_ns)
{
    struct gap *gap = writer->gap;
    uint64_t value = writer->items[writer->first].value;
    uint64_t now = bench_now_ns();

    writer->first = (writer->first + 1) % writer->capacity;
    writer->count--;
    writer->sent--;
    if (header->err != 0 || body.len != ZK_STAT_SIZE) {
        gap->figures->refused++;
        return;
    }
    take_version(writer, value,
                 (int32_t)bytes_load32(body.ptr + STAT_VERSION_AT));
    if (gap->phase == GAP_RUNNING) {
        gap_ends(gap, now);
        mark(gap)->acknowledged++;
        gap->result->done++;
        bench_hist_add(gap->result->hist, now - due_ns);
    }
}

/* ---- At the end */

/* Behind a sync, what a key holds now. */
static void verify(struct writer *writer)
{
    struct client_request sync = {.op = ZK_OP_SYNC};
    struct client_request get = {.op = ZK_OP_GET_DATA};
    char path[BENCH_PATH_MAX];

    if (writer->conn->state != BENCH_OPEN || writer->verified) {
        return;
    }
    writer->verifying = true;
    sync.path.path = bench_key(writer->gap->options, writer->key, path);
    get.path_watch.path = sync.path.path;
    bench_conn_send(writer->conn, &sync, 0);
    bench_conn_send(writer->conn, &get, 0);
    bench_conn_flush(writer->conn);
}

static void take_value(struct writer *writer,
                       const struct zk_reply_header *header, struct slice body)
{
    struct gap *gap = writer->gap;
    char digits[NUMBER_SIZE + 1] = {0};
    uint64_t value;

    if (writer->conn->pending_count > 0) {
        return; /* the sync's, or a write's that was given up */
    }
    writer->verifying = false;
    if (header->err != 0 || body.len < 4 + NUMBER_SIZE) {
        gap->figures->refused++;
        return; /* the deadline ends it: not verified */
    }
    memcpy(digits, body.ptr + 4, NUMBER_SIZE);
    value = strtoull(digits, NULL, 10);
    /* What was not acknowledged may be there or not. */
    if (writer->version >= 0 &&
        (value < writer->acknowledged || value > writer->value)) {
        gap->figures->lost++;
    }
    writer->verified = true;
    gap->verified++;
    if (gap->verified == gap->options->connections) {
        (void)event_base_loopbreak(gap->base);
    }
}

static void read_back(struct gap *gap)
{
    gap->phase = GAP_READ;
    gap->deadline_ns =
        bench_now_ns() + 2 * (uint64_t)gap->options->timeout_ms * 1000000;
    for (uint64_t i = 0; i < gap->options->connections; i++) {
        verify(&gap->writers[i]);
    }
}

/* What was due and is not acknowledged counts with the time it waited so far:
 * else a server that stops would look fast. */
static void count_unanswered(struct gap *gap, uint64_t now)
{
    for (uint64_t i = 0; i < gap->options->connections; i++) {
        const struct writer *writer = &gap->writers[i];

        for (size_t j = 0; j < writer->count; j++) {
            bench_hist_add(
                gap->result->hist,
                now - writer->items[(writer->first + j) % writer->capacity]
                          .due_ns);
        }
    }
}

static void drain(struct gap *gap)
{
    uint64_t now = bench_now_ns();
    double cpu = bench_cpu_s(&gap->options->pids);

    if (gap->phase != GAP_RUNNING) {
        if (gap->phase < GAP_RUNNING) { /* before it began */
            gap->failed = true;
            (void)event_base_loopbreak(gap->base);
        }
        return;
    }
    gap_ends(gap, now);
    count_unanswered(gap, now);
    gap->result->seconds = (double)(now - gap->started_ns) / 1e9;
    gap->result->cpu_s =
        cpu < 0 || gap->result->cpu_s < 0 ? -1 : cpu - gap->result->cpu_s;
    gap->result->rss = bench_rss(&gap->options->pids);
    gap->phase = GAP_DRAINING;
    gap->deadline_ns = now + 2 * (uint64_t)gap->options->timeout_ms * 1000000;
    check_drained(gap);
}

static void check_drained(struct gap *gap)
{
    uint64_t left = 0;

    for (uint64_t i = 0; i < gap->options->connections; i++) {
        left += gap->writers[i].count;
    }
    if (left == 0 || bench_now_ns() > gap->deadline_ns) {
        gap->figures->unanswered = left;
        read_back(gap);
    }
}

/* ---- Events of connections */

static void all_open(struct gap *gap)
{
    struct timeval warmup = to_timeval(gap->options->warmup);

    gap->phase = GAP_WARMING;
    gap->due_first = bench_now_ns();
    CHECK(event_add(gap->timer, &warmup) == 0);
    event_active(gap->due, EV_TIMEOUT, 0);
}

static void on_opened(struct bench_conn *conn)
{
    struct writer *writer = conn->owner;
    struct gap *gap = writer->gap;
    uint64_t now = bench_now_ns();

    writer->tried = 0;
    writer->heard_ns = writer->pinged_ns = now;
    CHECK(event_del(writer->retry) == 0);
    if (!conn->resumes) {
        conn->resumes = true;
        gap->opened++;
    }
    if (writer->lost_ns != 0 && gap->phase >= GAP_RUNNING) {
        gap->figures->resumed++;
        mark(gap)->resumed++;
        mark(gap)->last_resumed_ns = now;
        bench_hist_add(gap->result->spread, now - writer->lost_ns);
    }
    writer->lost_ns = 0;
    if (gap->phase == GAP_OPENING) {
        if (gap->opened == gap->options->connections) {
            all_open(gap);
        }
    } else if (gap->phase == GAP_READ) {
        verify(writer);
    } else {
        send_due(writer);
    }
}

static void again_in(struct writer *writer, uint64_t ms)
{
    struct timeval wait = to_timeval((double)ms / 1e3);

    CHECK(event_add(writer->retry, &wait) == 0);
}

static void lost(struct writer *writer)
{
    struct gap *gap = writer->gap;

    if (writer->lost_ns == 0) {
        writer->lost_ns = bench_now_ns();
        if (gap->phase == GAP_RUNNING) {
            gap->figures->closed++;
            mark(gap)->closed++;
        }
    }
    gap->figures->retried += writer->sent;
    writer->maybe += writer->sent;
    writer->sent = 0;
    writer->verifying = false;
    if (writer->conn->expired) {
        gap->figures->expired++;
        if (gap->figures->marks_count > 0) {
            mark(gap)->expired++;
        }
        writer->conn->resumes = false;
    }
    if (gap->phase == GAP_OPENING &&
        writer->tried > gap->options->servers.count) {
        (void)fprintf(stderr, "corral-bench: no server takes a session\n");
        gap->failed = true;
        (void)event_base_loopbreak(gap->base);
        return;
    }
    again_in(writer, writer->tried % gap->options->servers.count == 0
                         ? ROUND_WAIT_MS
                         : 0);
}

static void on_closed(struct bench_conn *conn)
{
    struct writer *writer = conn->owner;

    writer->server =
        (writer->server + writer->step) % writer->gap->options->servers.count;
    writer->tried++;
    lost(writer);
}

static void on_reply(struct bench_conn *conn,
                     const struct zk_reply_header *header, struct slice body,
                     uint64_t started_ns)
{
    struct writer *writer = conn->owner;

    if (header->err == ZK_SESSION_EXPIRED || header->err == ZK_SESSION_MOVED) {
        /* Counted as unanswered with what is behind it, and sent again. */
        bench_conn_close(conn);
        conn->expired = header->err == ZK_SESSION_EXPIRED;
        on_closed(conn);
        return;
    }
    if (writer->verifying) {
        take_value(writer, header, body);
        return;
    }
    take_ack(writer, header, body, started_ns);
    send_due(writer);
}

static void on_watch(struct bench_conn *conn)
{
    (void)conn;
}

/* ---- Timers */

static void open_writer(struct writer *writer)
{
    const struct bench_options *options = writer->gap->options;

    /* As ZooKeeper's clients: a server that does not shake hands in its share
     * of the time-out is passed by. */
    again_in(writer, (uint64_t)options->timeout_ms / options->servers.count);
    bench_conn_open(writer->conn, &options->servers.items[writer->server],
                    options->timeout_ms);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    struct writer *writer = arg;

    (void)fd;
    (void)what;
    if (writer->conn->state == BENCH_CLOSED) {
        open_writer(writer);
        return;
    }
    bench_conn_close(writer->conn); /* no answer to the handshake */
    on_closed(writer->conn);
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
    struct gap *gap = arg;
    const struct bench_options *options = gap->options;
    double apart_ns = 1e9 / options->rate;
    uint64_t now = bench_now_ns();
    uint64_t next;
    struct timeval wait;

    (void)fd;
    (void)what;
    if (gap->phase > GAP_RUNNING) {
        return;
    }
    while ((next = gap->due_first +
                   (uint64_t)((double)gap->due_sent * apart_ns)) <= now) {
        struct writer *writer =
            &gap->writers[gap->due_sent++ % options->connections];

        push(writer, next);
        send_due(writer);
    }
    wait = to_timeval((double)(next - now) / 1e9);
    CHECK(event_add(gap->due, &wait) == 0);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct gap *gap = arg;
    struct timeval seconds = to_timeval(gap->options->seconds);

    (void)fd;
    (void)what;
    if (gap->phase == GAP_RUNNING) {
        drain(gap);
        return;
    }
    gap->phase = GAP_RUNNING;
    gap->started_ns = gap->last_ack_ns = bench_now_ns();
    gap->result->cpu_s = bench_cpu_s(&gap->options->pids);
    new_mark(gap, "start", 5);
    if (!gap->options->marks) {
        CHECK(event_add(gap->timer, &seconds) == 0);
        return;
    }
    if (event_add(gap->input, NULL) != 0) {
        (void)fprintf(stderr,
                      "corral-bench: standard input is no pipe or terminal\n");
        gap->failed = true;
        (void)event_base_loopbreak(gap->base);
        return;
    }
    /* Now marks are taken. */
    (void)puts("running");
    (void)fflush(stdout);
}

/* Pings and gives up as ZooKeeper's clients: after a third and two thirds of
 * the time-out. */
static void look_after(struct writer *writer, uint64_t now)
{
    struct bench_conn *conn = writer->conn;
    uint64_t third_ns = (uint64_t)writer->gap->options->timeout_ms * 333333;

    if (conn->state != BENCH_OPEN) {
        return;
    }
    if (conn->reads != writer->reads_seen) {
        writer->reads_seen = conn->reads;
        writer->heard_ns = now;
    }
    if (now - writer->heard_ns > 2 * third_ns) {
        bench_conn_close(conn);
        on_closed(conn);
    } else if (now - writer->heard_ns > third_ns &&
               now - writer->pinged_ns > third_ns) {
        writer->pinged_ns = now;
        bench_conn_ping(conn);
        bench_conn_flush(conn);
    }
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct gap *gap = arg;
    uint64_t now = bench_now_ns();

    (void)fd;
    (void)what;
    for (uint64_t i = 0; i < gap->options->connections; i++) {
        look_after(&gap->writers[i], now);
    }
    if (gap->phase == GAP_DRAINING) {
        check_drained(gap);
    } else if (gap->phase == GAP_READ && now > gap->deadline_ns) {
        (void)event_base_loopbreak(gap->base);
    }
}

/* ---- The whole */

static void open_all(struct gap *gap)
{
    static const struct bench_events events = {on_opened, on_reply, on_watch,
                                               on_closed};
    const struct bench_options *options = gap->options;

    gap->writers = MEM_ARRAY(struct writer, options->connections);
    for (uint64_t i = 0; i < options->connections; i++) {
        struct writer *writer = &gap->writers[i];

        writer->gap = gap;
        writer->key = i;
        writer->version = -1;
        writer->server = i % options->servers.targets_count;
        /* Clients shuffle their lists: not all shall run into the same
         * frozen server. */
        writer->step = i / options->servers.targets_count % 2 == 0
                           ? 1
                           : options->servers.count - 1;
        writer->conn = bench_conn_create(gap->base, &events, writer);
        writer->retry = event_new(gap->base, -1, 0, on_retry, writer);
    }
    for (uint64_t i = 0; i < options->connections && !gap->failed; i++) {
        open_writer(&gap->writers[i]);
        /* Listen queues are short: let the servers accept. */
        if (i % 50 == 49) {
            (void)event_base_loop(gap->base, EVLOOP_NONBLOCK);
        }
    }
}

static void free_gap(struct gap *gap)
{
    struct event *events[] = {gap->timer, gap->due, gap->tick, gap->input};

    for (uint64_t i = 0; gap->writers != NULL && i < gap->options->connections;
         i++) {
        gap->figures->zxids_back += gap->writers[i].conn->zxids_back;
        bench_conn_destroy(gap->writers[i].conn);
        event_free(gap->writers[i].retry);
        mem_free(gap->writers[i].items);
    }
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        event_free(events[i]);
    }
    mem_free(gap->writers);
    mem_free(gap->data);
    buf_finish(&gap->line);
}

int bench_gap_run(const struct bench_options *options, struct event_base *base,
                  struct bench_result *result)
{
    struct timeval tick = to_timeval(TICK_S);
    struct gap gap = {.options = options,
                      .base = base,
                      .result = result,
                      .figures = &result->gap,
                      .size = options->size};

    if (gap.size < NUMBER_SIZE) {
        gap.size = NUMBER_SIZE;
    }
    gap.data = mem_zalloc(gap.size);
    gap.timer = event_new(base, -1, 0, on_timer, &gap);
    gap.due = event_new(base, -1, 0, on_due, &gap);
    gap.tick = event_new(base, -1, EV_PERSIST, on_tick, &gap);
    gap.input =
        event_new(base, STDIN_FILENO, EV_READ | EV_PERSIST, on_input, &gap);
    CHECK(event_add(gap.tick, &tick) == 0);
    open_all(&gap);
    if (!gap.failed) {
        (void)event_base_dispatch(base);
    }
    result->gap.unverified = options->connections - gap.verified;
    free_gap(&gap);
    result->errors = result->gap.lost + result->gap.twice +
                     result->gap.zxids_back + result->gap.refused +
                     result->gap.unverified;
    return gap.failed ? 1 : 0;
}
