/* The nodes that a benchmark works on: made before, deleted after. */
#include <inttypes.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "tools/bench.h"

#define FILL_CONNECTIONS 8
#define FILL_DEPTH 100

static const struct zk_acl open_acl = {
    ZK_PERM_ALL,
    {{(const uint8_t *)"world", 5}, {(const uint8_t *)"anyone", 6}}};

/* One pass over a numbered list of requests by a few pipelined connections. */
struct fill {
    const struct bench_options *options;
    struct event_base *base;
    uint64_t next, end, done;
    void (*make)(const struct bench_options *options, uint64_t number,
                 char text[BENCH_PATH_MAX], struct client_request *request);
    int32_t tolerated; /* an error code that is fine */
    uint8_t *data;
    bool failed;
};

static void fill_more(struct bench_conn *conn)
{
    struct fill *fill = conn->owner;

    while (conn->pending_count < FILL_DEPTH && fill->next < fill->end) {
        struct client_request request = {0};
        char text[BENCH_PATH_MAX];

        fill->make(fill->options, fill->next++, text, &request);
        if (request.op == ZK_OP_CREATE && fill->data != NULL) {
            request.create.data = slice_make(fill->data, fill->options->size);
        }
        bench_conn_send(conn, &request, 0);
    }
    bench_conn_flush(conn);
}

static void fill_reply(struct bench_conn *conn,
                       const struct zk_reply_header *header, struct slice body,
                       uint64_t started_ns)
{
    struct fill *fill = conn->owner;

    (void)body;
    (void)started_ns;
    if (header->err != 0 && header->err != fill->tolerated) {
        (void)fprintf(stderr, "corral-bench: preparing %s: %s\n",
                      fill->options->path, zk_code_text(header->err));
        fill->failed = true;
    }
    fill->done++;
    if (fill->done == fill->end || fill->failed) {
        (void)event_base_loopbreak(fill->base);
        return;
    }
    if (conn->pending_count < FILL_DEPTH / 2) {
        fill_more(conn);
    }
}

static void fill_watch(struct bench_conn *conn)
{
    (void)conn;
}

static void fill_closed(struct bench_conn *conn)
{
    struct fill *fill = conn->owner;

    (void)fprintf(stderr, "corral-bench: a server closed a connection\n");
    fill->failed = true;
    (void)event_base_loopbreak(fill->base);
}

static int fill_run(struct fill *fill)
{
    static const struct bench_events events = {fill_more, fill_reply,
                                               fill_watch, fill_closed};
    const struct bench_servers *servers = &fill->options->servers;
    struct bench_conn *conns[FILL_CONNECTIONS];

    if (fill->end == 0) {
        return 0;
    }
    for (size_t i = 0; i < FILL_CONNECTIONS; i++) {
        conns[i] = bench_conn_create(fill->base, &events, fill);
        bench_conn_open(conns[i], &servers->items[i % servers->targets_count],
                        fill->options->timeout_ms);
    }
    (void)event_base_dispatch(fill->base);
    for (size_t i = 0; i < FILL_CONNECTIONS; i++) {
        /* Its session ends by itself; nothing of it stays in the tree. */
        bench_conn_destroy(conns[i]);
    }
    return fill->failed ? 1 : 0;
}

struct slice bench_parent(const struct bench_options *options, uint64_t parent,
                          char text[BENCH_PATH_MAX])
{
    int len =
        snprintf(text, BENCH_PATH_MAX, "%s/d%03" PRIu64, options->path, parent);

    return slice_make(text, (size_t)len);
}

struct slice bench_key(const struct bench_options *options, uint64_t key,
                       char text[BENCH_PATH_MAX])
{
    struct slice parent =
        bench_parent(options, key / options->per_parent, text);
    /* Written by hand: once per request. */
    char *at = text + parent.len;

    *at++ = '/';
    *at++ = 'k';
    for (int i = 6; i >= 0; i--) {
        at[i] = (char)('0' + key % 10);
        key /= 10;
    }
    return slice_make(text, parent.len + 9);
}

static void make_create(struct client_request *request, struct slice path)
{
    request->op = ZK_OP_CREATE;
    request->create.path = path;
    request->create.data = slice_make("", 0);
    request->create.acl = &open_acl;
    request->create.acl_count = 1;
}

static void make_root(const struct bench_options *options, uint64_t number,
                      char text[BENCH_PATH_MAX], struct client_request *request)
{
    /* The number-th ancestor of the path, from the top. */
    const char *end = options->path;

    for (uint64_t i = 0; i <= number; i++) {
        const char *slash = strchr(end + 1, '/');

        end = slash == NULL ? options->path + strlen(options->path) : slash;
    }
    memcpy(text, options->path, (size_t)(end - options->path));
    make_create(request, slice_make(text, (size_t)(end - options->path)));
}

static void make_parent(const struct bench_options *options, uint64_t number,
                        char text[BENCH_PATH_MAX],
                        struct client_request *request)
{
    make_create(request, bench_parent(options, number, text));
}

static void make_key(const struct bench_options *options, uint64_t number,
                     char text[BENCH_PATH_MAX], struct client_request *request)
{
    make_create(request, bench_key(options, number, text));
}

static void delete_key(const struct bench_options *options, uint64_t number,
                       char text[BENCH_PATH_MAX],
                       struct client_request *request)
{
    request->op = ZK_OP_DELETE;
    request->path_version.path = bench_key(options, number, text);
    request->path_version.version = -1;
}

static void delete_parent(const struct bench_options *options, uint64_t number,
                          char text[BENCH_PATH_MAX],
                          struct client_request *request)
{
    request->op = ZK_OP_DELETE;
    request->path_version.path = bench_parent(options, number, text);
    request->path_version.version = -1;
}

static uint64_t parents_count(const struct bench_options *options)
{
    return (options->keys + options->per_parent - 1) / options->per_parent;
}

int bench_prepare(const struct bench_options *options, struct event_base *base,
                  bool whole)
{
    struct fill fill = {
        .options = options, .base = base, .tolerated = ZK_NODE_EXISTS};
    int failed;

    for (const char *at = options->path; *at != '\0'; at++) {
        fill.end += *at == '/';
    }
    fill.make = make_root;
    failed = fill_run(&fill);
    if (failed == 0) {
        fill.next = fill.done = 0;
        fill.end = parents_count(options);
        fill.make = make_parent;
        failed = fill_run(&fill);
    }
    if (failed == 0 && whole) {
        fill.next = fill.done = 0;
        fill.end = options->keys;
        fill.make = make_key;
        fill.data = mem_zalloc(options->size);
        failed = fill_run(&fill);
        mem_free(fill.data);
    }
    return failed;
}

int bench_clean(const struct bench_options *options, struct event_base *base)
{
    struct fill fill = {.options = options,
                        .base = base,
                        .tolerated = ZK_NO_NODE,
                        .end = options->keys,
                        .make = delete_key};
    int failed = fill_run(&fill);

    if (failed == 0) {
        fill.next = fill.done = 0;
        fill.end = parents_count(options);
        fill.make = delete_parent;
        failed = fill_run(&fill);
    }
    return failed;
}
