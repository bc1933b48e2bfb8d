#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"
#include "proto/frame.h"
#include "tools/bench.h"

#define READ_SIZE ((size_t)256 * 1024)
#define FRAME_MAX ((uint32_t)64 * 1024 * 1024)

static void on_read(evutil_socket_t fd, short what, void *arg);
static void on_write(evutil_socket_t fd, short what, void *arg);
static void fail(struct bench_conn *conn);

struct bench_conn *bench_conn_create(struct event_base *base,
                                     const struct bench_events *events,
                                     void *owner)
{
    struct bench_conn *conn = MEM_NEW(struct bench_conn);

    conn->base = base;
    conn->events = events;
    conn->owner = owner;
    conn->fd = -1;
    return conn;
}

void bench_conn_destroy(struct bench_conn *conn)
{
    if (conn == NULL) {
        return;
    }
    bench_conn_close(conn);
    buf_finish(&conn->in);
    buf_finish(&conn->out);
    mem_free(conn->pending);
    mem_free(conn);
}

void bench_conn_open(struct bench_conn *conn, const struct bench_server *server,
                     int32_t timeout_ms)
{
    int on = 1;
    struct client_connect hello = {.has_read_only = true};

    CHECK(conn->state == BENCH_CLOSED);
    if (!conn->resumes) {
        conn->session_id = 0;
        conn->zxid = 0;
        memset(conn->password, 0, sizeof(conn->password));
    }
    conn->expired = false;
    conn->fd = socket(server->address.ss_family,
                      SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->fd < 0) {
        perror("corral-bench: socket");
        conn->events->closed(conn);
        return;
    }
    (void)setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(conn->fd, (const struct sockaddr *)&server->address,
                server->address_size) != 0 &&
        errno != EINPROGRESS) {
        (void)close(conn->fd);
        conn->fd = -1;
        conn->events->closed(conn);
        return;
    }
    conn->state = BENCH_CONNECTING;
    conn->next_xid = 1;
    conn->read_event =
        event_new(conn->base, conn->fd, EV_READ | EV_PERSIST, on_read, conn);
    conn->write_event =
        event_new(conn->base, conn->fd, EV_WRITE, on_write, conn);
    CHECK(conn->read_event != NULL);
    CHECK(conn->write_event != NULL);
    hello.request.timeout = timeout_ms;
    hello.request.session_id = conn->session_id;
    hello.request.last_zxid_seen = conn->zxid;
    hello.request.password = slice_make(conn->password, sizeof(conn->password));
    client_connect_encode(&hello, &conn->out);
    CHECK(event_add(conn->read_event, NULL) == 0);
    CHECK(event_add(conn->write_event, NULL) == 0);
    conn->write_armed = true;
}

void bench_conn_close(struct bench_conn *conn)
{
    if (conn->state == BENCH_CLOSED) {
        return;
    }
    event_free(conn->read_event);
    event_free(conn->write_event);
    conn->read_event = NULL;
    conn->write_event = NULL;
    (void)close(conn->fd);
    conn->fd = -1;
    conn->state = BENCH_CLOSED;
    conn->write_armed = false;
    conn->in_used = 0;
    conn->out_sent = 0;
    conn->pending_count = 0;
    buf_clear(&conn->in);
    buf_clear(&conn->out);
}

static void pending_push(struct bench_conn *conn, struct bench_pending pending)
{
    size_t at;

    if (conn->pending_count == conn->pending_capacity) {
        size_t grown =
            conn->pending_capacity == 0 ? 8 : 2 * conn->pending_capacity;
        struct bench_pending *items = MEM_ARRAY(struct bench_pending, grown);

        for (size_t i = 0; i < conn->pending_count; i++) {
            items[i] = conn->pending[(conn->pending_first + i) %
                                     conn->pending_capacity];
        }
        mem_free(conn->pending);
        conn->pending = items;
        conn->pending_first = 0;
        conn->pending_capacity = grown;
    }
    at = (conn->pending_first + conn->pending_count) % conn->pending_capacity;
    conn->pending[at] = pending;
    conn->pending_count++;
}

void bench_conn_send(struct bench_conn *conn, struct client_request *request,
                     uint64_t started_ns)
{
    request->xid = conn->next_xid++;
    if (conn->next_xid < 0) {
        conn->next_xid = 1;
    }
    pending_push(conn, (struct bench_pending){started_ns, request->xid});
    client_request_encode(request, &conn->out);
}

void bench_conn_ping(struct bench_conn *conn)
{
    struct client_request request = {.op = ZK_OP_PING, .xid = ZK_XID_PING};

    client_request_encode(&request, &conn->out);
}

void bench_conn_flush(struct bench_conn *conn)
{
    if (conn->state == BENCH_CLOSED || conn->state == BENCH_CONNECTING ||
        conn->write_armed) {
        return;
    }
    while (conn->out_sent < conn->out.len) {
        ssize_t n = write(conn->fd, conn->out.data + conn->out_sent,
                          conn->out.len - conn->out_sent);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            CHECK(event_add(conn->write_event, NULL) == 0);
            conn->write_armed = true;
            return;
        }
        if (n <= 0) {
            fail(conn);
            return;
        }
        conn->out_sent += (size_t)n;
    }
    conn->out_sent = 0;
    buf_clear(&conn->out);
}

static void on_write(evutil_socket_t fd, short what, void *arg)
{
    struct bench_conn *conn = arg;

    (void)fd;
    (void)what;
    conn->write_armed = false;
    if (conn->state == BENCH_CONNECTING) {
        int err = 0;
        socklen_t size = sizeof(err);

        if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &err, &size) != 0 ||
            err != 0) {
            fail(conn);
            return;
        }
        conn->state = BENCH_SHAKING;
    }
    bench_conn_flush(conn);
}

static void take_hello(struct bench_conn *conn, struct slice frame)
{
    struct zk_connect_response response = {.timeout = -1};
    bool read_only;

    if (client_connect_decode_reply(frame, &response, &read_only) != 0 ||
        response.timeout <= 0 ||
        response.password.len != sizeof(conn->password)) {
        conn->expired = response.timeout == 0;
        fail(conn);
        return;
    }
    memcpy(conn->password, response.password.ptr, sizeof(conn->password));
    conn->session_id = response.session_id;
    conn->timeout_ms = response.timeout;
    conn->state = BENCH_OPEN;
    conn->events->opened(conn);
}

/* As a client counts them: -1 stands for none. */
static void see_zxid(struct bench_conn *conn, zxid_t zxid)
{
    if ((int64_t)zxid <= 0) {
        return;
    }
    if (zxid < conn->zxid) {
        conn->zxids_back++;
        return;
    }
    conn->zxid = zxid;
}

static void take_frame(struct bench_conn *conn, struct slice frame)
{
    struct zk_reply_header header;
    struct bench_pending pending;

    if (conn->state == BENCH_SHAKING) {
        take_hello(conn, frame);
        return;
    }
    if (frame.len < ZK_REPLY_HEADER_SIZE) {
        fail(conn);
        return;
    }
    header.xid = (int32_t)bytes_load32(frame.ptr);
    header.zxid = bytes_load64(frame.ptr + 4);
    header.err = (int32_t)bytes_load32(frame.ptr + 12);
    if (header.xid == ZK_XID_NOTIFICATION) {
        conn->events->watch(conn);
        return;
    }
    if (header.xid == ZK_XID_PING) {
        return;
    }
    if (conn->pending_count == 0 ||
        conn->pending[conn->pending_first].xid != header.xid) {
        (void)fprintf(stderr, "corral-bench: xid %d answered out of turn\n",
                      header.xid);
        fail(conn);
        return;
    }
    see_zxid(conn, header.zxid);
    pending = conn->pending[conn->pending_first];
    conn->pending_first = (conn->pending_first + 1) % conn->pending_capacity;
    conn->pending_count--;
    conn->events->reply(conn, &header, slice_after(frame, ZK_REPLY_HEADER_SIZE),
                        pending.started_ns);
}

static void take_frames(struct bench_conn *conn)
{
    while (conn->state == BENCH_SHAKING || conn->state == BENCH_OPEN) {
        struct slice left = slice_make(conn->in.data + conn->in_used,
                                       conn->in.len - conn->in_used);
        struct slice frame;
        size_t used;
        enum frame_status status = frame_next(left, FRAME_MAX, &frame, &used);

        if (status == FRAME_TOO_BIG) {
            fail(conn);
            return;
        }
        if (status == FRAME_MORE) {
            break;
        }
        conn->in_used += used;
        take_frame(conn, frame);
    }
    if (conn->in_used == conn->in.len) {
        conn->in_used = 0;
        buf_clear(&conn->in);
        /* Ten thousand idle connections keep no buffers. */
        if (conn->in.capacity > READ_SIZE / 4 && conn->pending_count == 0) {
            buf_finish(&conn->in);
        }
    }
}

static void on_read(evutil_socket_t fd, short what, void *arg)
{
    static uint8_t chunk[READ_SIZE];
    struct bench_conn *conn = arg;
    ssize_t n;

    (void)what;
    if (conn->state == BENCH_CONNECTING) {
        return;
    }
    n = read(fd, chunk, sizeof(chunk));
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        fail(conn);
        return;
    }
    conn->reads++;
    if (conn->in_used > 0 && conn->in_used < conn->in.len) {
        memmove(conn->in.data, conn->in.data + conn->in_used,
                conn->in.len - conn->in_used);
        conn->in.len -= conn->in_used;
        conn->in_used = 0;
    }
    buf_append(&conn->in, slice_make(chunk, (size_t)n));
    take_frames(conn);
    if (conn->state == BENCH_OPEN) {
        bench_conn_flush(conn);
    }
}

static void fail(struct bench_conn *conn)
{
    bench_conn_close(conn);
    conn->events->closed(conn);
}
