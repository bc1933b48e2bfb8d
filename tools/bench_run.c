/* The workloads. Closed loops keep `depth` requests of each connection on their
 * way; with a rate, requests are due at fixed times whatever the server does,
 * and a latency counts from when its request was due: a stall shows in every
 * request that it delayed. */
#include <inttypes.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "tools/bench.h"

#define PING_MS 10000

struct run;

struct work {
    const char *name;
    /* Builds the next request; false: nothing left to do. NULL: a workload of
     * its own kind (see kind). */
    bool (*make)(struct run *run, struct client_request *request);
    enum {
        KIND_REQUESTS,
        KIND_CONNECT,
        KIND_WATCH,
        KIND_IDLE,
        KIND_FILL,
        KIND_GAP,
    } kind;
    bool whole_keys; /* all keys are made before */
};

struct run {
    const struct bench_options *options;
    const struct work *work;
    struct event_base *base;
    struct event *timer, *second, *due, *pings;
    struct bench_conn **conns;
    struct bench_result *result;
    struct prng prng;
    struct client_request *parts; /* of a multi */
    char (*texts)[BENCH_PATH_MAX];
    uint8_t *data;
    uint64_t counter, sent, answered, opened, open, due_next, due_sent;
    uint64_t started_ns, last_done, last_ns, round_ns, round_left;
    double cpu_before;
    bool measuring, stopping, failed;
};

static void start_measuring(struct run *run);
static void finish(struct run *run);
static void next_round(struct run *run);

/* ---- Requests */

static struct slice some_key(struct run *run, size_t text)
{
    return bench_key(run->options, prng_below(&run->prng, run->options->keys),
                     run->texts[text]);
}

static bool make_get(struct run *run, struct client_request *request)
{
    request->op = ZK_OP_GET_DATA;
    request->path_watch.path = some_key(run, 0);
    request->path_watch.watch = false;
    return true;
}

static bool make_set(struct run *run, struct client_request *request)
{
    request->op = ZK_OP_SET_DATA;
    request->set_data.path = some_key(run, 0);
    request->set_data.data = slice_make(run->data, run->options->size);
    request->set_data.version = -1;
    return true;
}

static bool make_mixed(struct run *run, struct client_request *request)
{
    return prng_below(&run->prng, 100) < run->options->reads_percent
               ? make_get(run, request)
               : make_set(run, request);
}

static bool make_create(struct run *run, struct client_request *request)
{
    static const struct zk_acl acl = {
        ZK_PERM_ALL,
        {{(const uint8_t *)"world", 5}, {(const uint8_t *)"anyone", 6}}};

    if (run->counter == run->options->keys) {
        return false;
    }
    request->op = ZK_OP_CREATE;
    request->create.path =
        bench_key(run->options, run->counter++, run->texts[0]);
    request->create.data = slice_make(run->data, run->options->size);
    request->create.acl = &acl;
    request->create.acl_count = 1;
    request->create.flags = ZK_PERSISTENT;
    return true;
}

static bool make_delete(struct run *run, struct client_request *request)
{
    if (run->counter == run->options->keys) {
        return false;
    }
    request->op = ZK_OP_DELETE;
    request->path_version.path =
        bench_key(run->options, run->counter++, run->texts[0]);
    request->path_version.version = -1;
    return true;
}

static bool make_multi(struct run *run, struct client_request *request)
{
    for (size_t i = 0; i < run->options->multi_ops; i++) {
        struct client_request *part = &run->parts[i];

        part->op = ZK_OP_SET_DATA;
        part->set_data.path = some_key(run, i);
        part->set_data.data = slice_make(run->data, run->options->size);
        part->set_data.version = -1;
    }
    request->op = ZK_OP_MULTI;
    request->multi.ops = run->parts;
    request->multi.count = run->options->multi_ops;
    return true;
}

static const struct work works[] = {
    {"get", make_get, KIND_REQUESTS, true},
    {"set", make_set, KIND_REQUESTS, true},
    {"mixed", make_mixed, KIND_REQUESTS, true},
    {"create", make_create, KIND_REQUESTS, false},
    {"delete", make_delete, KIND_REQUESTS, true},
    {"multi", make_multi, KIND_REQUESTS, true},
    {"connect", NULL, KIND_CONNECT, false},
    {"watch", NULL, KIND_WATCH, true},
    {"idle", NULL, KIND_IDLE, false},
    {"populate", NULL, KIND_FILL, true},
    {"gap", NULL, KIND_GAP, true},
};

static void send_one(struct run *run, struct bench_conn *conn, uint64_t since)
{
    struct client_request request = {0};

    if (!run->work->make(run, &request)) {
        run->stopping = true;
        return;
    }
    run->sent++;
    bench_conn_send(conn, &request, since);
}

static void done_one(struct run *run, uint64_t started_ns, uint64_t now,
                     int32_t err)
{
    if (!run->measuring) {
        return;
    }
    bench_hist_add(run->result->hist, now - started_ns);
    run->result->done++;
    run->result->errors += err != 0;
    if (run->options->requests != 0 &&
        run->result->done >= run->options->requests) {
        finish(run);
    }
}

/* ---- Events of connections */

static void all_open(struct run *run)
{
    struct timeval warmup = {(time_t)run->options->warmup, 0};

    warmup.tv_usec =
        (suseconds_t)((run->options->warmup - (double)warmup.tv_sec) * 1e6);
    CHECK(event_add(run->timer, &warmup) == 0);
    if (run->options->rate > 0 && run->work->kind == KIND_REQUESTS) {
        run->due_next = bench_now_ns();
        event_active(run->due, EV_TIMEOUT, 0);
    }
}

static void on_opened(struct bench_conn *conn)
{
    struct run *run = conn->owner;

    if (run->work->kind == KIND_CONNECT) {
        struct client_request request = {.op = ZK_OP_CLOSE_SESSION};

        bench_conn_send(conn, &request, conn->number);
        bench_conn_flush(conn);
        return;
    }
    run->open++;
    if (run->work->kind == KIND_WATCH && conn != run->conns[0]) {
        struct client_request request = {.op = ZK_OP_ADD_WATCH};

        request.path_type.path = bench_key(run->options, 0, run->texts[0]);
        request.path_type.type = ZK_ADD_WATCH_PERSISTENT;
        bench_conn_send(conn, &request, 0);
        bench_conn_flush(conn);
        return;
    }
    if (run->open == run->options->connections) {
        all_open(run);
    }
    if (run->work->kind == KIND_REQUESTS && run->options->rate <= 0) {
        uint64_t now = bench_now_ns();

        for (uint64_t i = 0; i < run->options->depth && !run->stopping; i++) {
            send_one(run, conn, now);
        }
        bench_conn_flush(conn);
    }
}

static void on_reply(struct bench_conn *conn,
                     const struct zk_reply_header *header, struct slice body,
                     uint64_t started_ns)
{
    struct run *run = conn->owner;
    uint64_t now = bench_now_ns();

    (void)body;
    if (run->work->kind == KIND_CONNECT) {
        done_one(run, started_ns, now, header->err);
        return; /* the server closes; then the next one begins */
    }
    if (run->work->kind == KIND_WATCH) {
        if (conn != run->conns[0] && --run->round_left == 0 &&
            !run->measuring) {
            all_open(run);
        }
        return;
    }
    run->answered++;
    done_one(run, started_ns, now, header->err);
    if (run->options->rate <= 0 && !run->stopping) {
        send_one(run, conn, now);
    }
    if (run->stopping && run->answered == run->sent) {
        finish(run); /* nothing was left to ask for */
    }
}

static void on_watch(struct bench_conn *conn)
{
    struct run *run = conn->owner;
    uint64_t now = bench_now_ns();

    if (!run->measuring) {
        return;
    }
    bench_hist_add(run->result->hist, now - run->round_ns);
    run->result->done++;
    if (--run->round_left == 0) {
        bench_hist_add(run->result->spread, now - run->round_ns);
        next_round(run);
    }
}

static void open_again(struct bench_conn *conn)
{
    struct run *run = conn->owner;
    const struct bench_servers *servers = &run->options->servers;

    /* The start of this connection's life stands in for a request's. */
    conn->number = bench_now_ns();
    bench_conn_open(conn,
                    &servers->items[run->opened++ % servers->targets_count],
                    run->options->timeout_ms);
}

static void on_closed(struct bench_conn *conn)
{
    struct run *run = conn->owner;

    if (run->work->kind == KIND_CONNECT && !run->failed) {
        if (!run->stopping) {
            open_again(conn);
        }
        return;
    }
    if (!run->failed) {
        (void)fprintf(stderr, "corral-bench: a server closed a connection\n");
    }
    run->failed = true;
    (void)event_base_loopbreak(run->base);
}

/* ---- Timers */

/* Watch: one change, told to all connections but the writer. */
static void next_round(struct run *run)
{
    struct client_request request = {0};

    if (run->stopping) {
        finish(run);
        return;
    }
    run->round_left = run->options->connections - 1;
    run->round_ns = bench_now_ns();
    request.op = ZK_OP_SET_DATA;
    request.set_data.path = bench_key(run->options, 0, run->texts[0]);
    request.set_data.data = slice_make(run->data, run->options->size);
    request.set_data.version = -1;
    bench_conn_send(run->conns[0], &request, run->round_ns);
    bench_conn_flush(run->conns[0]);
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
    struct run *run = arg;
    double gap_ns = 1e9 / run->options->rate;
    uint64_t now = bench_now_ns();
    uint64_t first = run->due_sent;
    struct timeval wait = {0, 0};
    uint64_t left_ns;

    (void)fd;
    (void)what;
    while (!run->stopping) {
        uint64_t due =
            run->due_next + (uint64_t)((double)run->due_sent * gap_ns);

        if (due > now) {
            break;
        }
        send_one(run, run->conns[run->due_sent % run->options->connections],
                 due);
        run->due_sent++;
    }
    for (uint64_t i = first;
         i < run->due_sent && i < first + run->options->connections; i++) {
        bench_conn_flush(run->conns[i % run->options->connections]);
    }
    if (run->stopping) {
        return;
    }
    left_ns = run->due_next + (uint64_t)((double)run->due_sent * gap_ns) - now;
    wait.tv_usec = (suseconds_t)(left_ns / 1000 % 1000000);
    wait.tv_sec = (time_t)(left_ns / 1000000000);
    CHECK(event_add(run->due, &wait) == 0);
}

static void start_measuring(struct run *run)
{
    struct timeval seconds = {(time_t)run->options->seconds, 0};

    seconds.tv_usec =
        (suseconds_t)((run->options->seconds - (double)seconds.tv_sec) * 1e6);
    bench_hist_clear(run->result->hist);
    bench_hist_clear(run->result->spread);
    run->result->done = 0;
    run->result->errors = 0;
    run->measuring = true;
    run->started_ns = bench_now_ns();
    run->last_ns = run->started_ns;
    run->cpu_before = bench_cpu_s(&run->options->pids);
    if (run->options->requests == 0) {
        CHECK(event_add(run->timer, &seconds) == 0);
    }
    if (run->work->kind == KIND_WATCH) {
        next_round(run);
    }
}

static void finish(struct run *run)
{
    double cpu = bench_cpu_s(&run->options->pids);

    if (!run->measuring) {
        return;
    }
    run->measuring = false;
    run->stopping = true;
    run->result->seconds = (double)(bench_now_ns() - run->started_ns) / 1e9;
    run->result->cpu_s =
        cpu < 0 || run->cpu_before < 0 ? -1 : cpu - run->cpu_before;
    run->result->rss = bench_rss(&run->options->pids);
    (void)event_base_loopbreak(run->base);
}

/* What was due and is not answered yet counts with the time it waited so far:
 * else a server that stops would look fast. */
static void count_unanswered(struct run *run)
{
    uint64_t now = bench_now_ns();

    if (run->options->rate <= 0) {
        return;
    }
    for (uint64_t i = 0; i < run->options->connections; i++) {
        struct bench_conn *conn = run->conns[i];

        for (size_t j = 0; j < conn->pending_count; j++) {
            bench_hist_add(run->result->hist,
                           now - conn->pending[(conn->pending_first + j) %
                                               conn->pending_capacity]
                                     .started_ns);
        }
    }
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct run *run = arg;

    (void)fd;
    (void)what;
    if (!run->measuring) {
        start_measuring(run);
        return;
    }
    if (run->work->kind == KIND_WATCH && run->round_left > 0) {
        run->stopping = true; /* the round ends first */
        return;
    }
    count_unanswered(run);
    finish(run);
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
    struct run *run = arg;
    uint64_t now = bench_now_ns();

    (void)fd;
    (void)what;
    if (!run->options->progress || !run->measuring) {
        return;
    }
    (void)fprintf(stderr, "\r%5.0f s  %10.0f /s  p50 %8.3f ms  p99 %8.3f ms ",
                  (double)(now - run->started_ns) / 1e9,
                  (double)(run->result->done - run->last_done) /
                      ((double)(now - run->last_ns) / 1e9),
                  (double)bench_hist_at(run->result->hist, 50) / 1e6,
                  (double)bench_hist_at(run->result->hist, 99) / 1e6);
    run->last_done = run->result->done;
    run->last_ns = now;
}

static void on_pings(evutil_socket_t fd, short what, void *arg)
{
    struct run *run = arg;

    (void)fd;
    (void)what;
    for (uint64_t i = 0; i < run->options->connections; i++) {
        if (run->conns[i]->state == BENCH_OPEN) {
            bench_conn_ping(run->conns[i]);
            bench_conn_flush(run->conns[i]);
        }
    }
}

/* ---- The whole */

static const struct work *find_work(const char *name)
{
    for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
        if (strcmp(works[i].name, name) == 0) {
            return &works[i];
        }
    }
    return NULL;
}

static void open_all(struct run *run)
{
    static const struct bench_events events = {on_opened, on_reply, on_watch,
                                               on_closed};
    uint64_t count = run->options->connections;

    run->conns = MEM_ARRAY(struct bench_conn *, count);
    run->round_left = count - 1;
    for (uint64_t i = 0; i < count; i++) {
        run->conns[i] = bench_conn_create(run->base, &events, run);
    }
    for (uint64_t i = 0; i < count && !run->failed; i++) {
        open_again(run->conns[i]);
        /* Listen queues are short: let the server accept. */
        if (i % 50 == 49) {
            (void)event_base_loop(run->base, EVLOOP_NONBLOCK);
        }
    }
    if (run->work->kind == KIND_CONNECT) {
        all_open(run);
    }
}

static bool has_keys(const struct run *run)
{
    return run->work->kind != KIND_CONNECT && run->work->kind != KIND_IDLE;
}

static int run_fill(struct run *run)
{
    uint64_t started = bench_now_ns();
    double cpu = bench_cpu_s(&run->options->pids);

    if (bench_prepare(run->options, run->base, true) != 0) {
        return 1;
    }
    run->result->done = run->options->keys;
    run->result->seconds = (double)(bench_now_ns() - started) / 1e9;
    run->result->cpu_s = cpu < 0 ? -1 : bench_cpu_s(&run->options->pids) - cpu;
    run->result->rss = bench_rss(&run->options->pids);
    return 0;
}

static void timers(struct run *run)
{
    struct timeval second = {1, 0};
    struct timeval pings = {PING_MS / 1000, 0};

    run->timer = event_new(run->base, -1, 0, on_timer, run);
    run->second = event_new(run->base, -1, EV_PERSIST, on_second, run);
    run->pings = event_new(run->base, -1, EV_PERSIST, on_pings, run);
    run->due = event_new(run->base, -1, 0, on_due, run);
    CHECK(event_add(run->second, &second) == 0);
    if (run->work->kind == KIND_IDLE || run->work->kind == KIND_WATCH ||
        run->options->rate > 0) {
        CHECK(event_add(run->pings, &pings) == 0);
    }
}

static void free_run(struct run *run)
{
    struct event *events[] = {run->timer, run->second, run->due, run->pings};

    if (run->conns != NULL) {
        for (uint64_t i = 0; i < run->options->connections; i++) {
            bench_conn_destroy(run->conns[i]);
        }
    }
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        if (events[i] != NULL) {
            event_free(events[i]);
        }
    }
    mem_free(run->conns);
    mem_free(run->parts);
    mem_free(run->texts);
    mem_free(run->data);
}

int bench_run(const struct bench_options *options, struct bench_result *result)
{
    struct run run = {.options = options, .result = result};
    struct event_config *config;

    run.work = find_work(options->work);
    if (run.work == NULL) {
        (void)fprintf(stderr, "corral-bench: no such workload: %s\n",
                      options->work);
        return 1;
    }
    config = event_config_new();
    CHECK(config != NULL);
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
    run.base = event_base_new_with_config(config);
    event_config_free(config);
    CHECK(run.base != NULL);
    prng_init(&run.prng, options->seed);
    run.data = mem_zalloc(options->size);
    for (uint64_t i = 0; i < options->size; i++) {
        run.data[i] = (uint8_t)prng_next(&run.prng);
    }
    run.parts = MEM_ARRAY(struct client_request, options->multi_ops);
    run.texts = mem_zalloc_array(options->multi_ops + 1, BENCH_PATH_MAX);
    if (run.work->kind == KIND_FILL) {
        run.failed = run_fill(&run) != 0;
    } else if (has_keys(&run) &&
               bench_prepare(options, run.base, run.work->whole_keys) != 0) {
        run.failed = true;
    } else if (run.work->kind == KIND_GAP) {
        run.failed = bench_gap_run(options, run.base, result) != 0;
    } else {
        timers(&run);
        open_all(&run);
        if (!run.failed) {
            (void)event_base_dispatch(run.base);
        }
    }
    free_run(&run);
    if (!run.failed && !options->keep && has_keys(&run)) {
        run.failed = bench_clean(options, run.base) != 0;
    }
    event_base_free(run.base);
    return run.failed ? 1 : 0;
}
