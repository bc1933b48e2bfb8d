#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "server/peer_internal.h"

#define LENGTH_SIZE 4U
/* What a frame's length counts and PEER_FRAME_SIZE_MAX does not. */
#define PREFIX_SIZE 8U
#define READ_ROOM ((size_t)16 * 1024)
#define INPUT_SIZE ((size_t)64 * 1024) /* at first; doubled as bytes arrive */
#define READS_MAX 8                    /* of one link in a wake-up */
#define WRITE_MAX ((size_t)4 * 1024 * 1024)

static void on_ready(evutil_socket_t fd, short what, void *arg);
static void discard(struct peer_conn *conn);

struct peer_conn *peer_link_create(struct net_peer *net, int fd)
{
    struct peer_conn *conn = MEM_NEW(struct peer_conn);

    conn->net = net;
    conn->fd = fd;
    conn->member = SIZE_MAX;
    conn->output = evbuffer_new();
    CHECK(conn->output != NULL);
    list_init(&conn->in);
    list_init(&conn->dirty);
    list_init(&conn->behind);
    conn->since_ms = clock_monotonic_ms();
    conn->heard_ms = conn->since_ms;
    conn->said_ms = conn->since_ms;
    CHECK(event_assign(&conn->event, net->base, fd, EV_PERSIST, on_ready,
                       conn) == 0);
    return conn;
}

void peer_link_free(struct peer_conn *conn)
{
    if (conn == NULL) {
        return;
    }
    peer_link_move(conn, PEER_CONNECTING); /* out of every list */
    list_remove(&conn->dirty);
    list_remove(&conn->behind);
    peer_link_watch(conn, false, false);
    if (conn->fd >= 0) {
        (void)close(conn->fd);
    }
    evbuffer_free(conn->output);
    mem_free(conn->input);
    mem_free(conn);
}

void peer_link_move(struct peer_conn *conn, enum peer_stage stage)
{
    struct net_peer *net = conn->net;

    if (conn->stage == PEER_GREETING && conn->accepted) {
        net->strangers_count--;
    } else if (conn->stage == PEER_CLOSING) {
        net->closing_count--;
    } else if (conn->stage == PEER_RIVAL) {
        net->members[conn->member].rivals[conn->link] = NULL;
    }
    list_remove(&conn->in);
    conn->stage = stage;
    conn->since_ms = clock_monotonic_ms();
    if (stage == PEER_GREETING && conn->accepted) {
        net->strangers_count++;
        list_push_back(&net->strangers, &conn->in);
    } else if (stage == PEER_AGREED || stage == PEER_BROKEN) {
        list_push_back(&net->news, &conn->in);
    } else if (stage == PEER_CLOSING) {
        net->closing_count++;
        list_push_back(&net->closing, &conn->in);
    } else if (stage == PEER_RIVAL) {
        net->members[conn->member].rivals[conn->link] = conn;
    }
}

void peer_link_watch(struct peer_conn *conn, bool reads, bool writes)
{
    short what = EV_PERSIST;

    if (reads == conn->reads && writes == conn->writes) {
        return;
    }
    what |= reads ? EV_READ : 0;
    what |= writes ? EV_WRITE : 0;
    if (conn->reads || conn->writes) {
        (void)event_del(&conn->event);
    }
    conn->reads = reads;
    conn->writes = writes;
    if (reads || writes) {
        CHECK(event_assign(&conn->event, conn->net->base, conn->fd, what,
                           on_ready, conn) == 0);
        CHECK(event_add(&conn->event, NULL) == 0);
    }
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct peer_conn *conn = arg;

    (void)fd;
    if (conn->stage == PEER_CONNECTING) {
        peer_dial_connected(conn);
        return;
    }
    if ((what & EV_WRITE) != 0 && !peer_link_write(conn)) {
        return;
    }
    if ((what & EV_READ) == 0) {
        return;
    }
    if (conn->stage == PEER_UP) {
        peer_link_read(conn);
    } else if (conn->stage == PEER_GREETING) {
        peer_hello_read(conn);
    } else if (conn->stage == PEER_CLOSING) {
        discard(conn);
    }
}

/* ---- in ---- */

/* The buffer grows by what has come, never by what a length says. */
static void make_room(struct peer_conn *conn)
{
    if (conn->begin == conn->end) {
        conn->begin = 0;
        conn->end = 0;
    }
    if (conn->capacity - conn->end >= READ_ROOM) {
        return;
    }
    if (conn->begin > 0) {
        memmove(conn->input, conn->input + conn->begin,
                conn->end - conn->begin);
        conn->end -= conn->begin;
        conn->begin = 0;
    }
    if (conn->capacity - conn->end < READ_ROOM) {
        conn->capacity =
            conn->capacity < INPUT_SIZE ? INPUT_SIZE : conn->capacity * 2;
        conn->input = mem_realloc(conn->input, conn->capacity);
    }
}

/* The end of the stream is seen only when all before it was fed. */
void peer_link_read(struct peer_conn *conn)
{
    for (unsigned i = 0; i < READS_MAX && conn->reads; i++) {
        size_t room;
        ssize_t n;

        make_room(conn);
        room = conn->capacity - conn->end;
        n = recv(conn->fd, conn->input + conn->end, room, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (n <= 0) {
            peer_link_end(conn, n == 0 ? "closed by the other end"
                                       : strerrordesc_np(errno));
            return;
        }
        conn->end += (size_t)n;
        conn->heard_ms = clock_monotonic_ms();
        conn->net->members[conn->member].bytes_in += (uint64_t)n;
        peer_link_feed(conn);
        if (conn->stage != PEER_UP || (size_t)n < room) {
            return;
        }
    }
}

static void take_frame(struct peer_conn *conn, struct slice frame)
{
    struct net_peer *net = conn->net;
    struct replica_input input = {.type = REPLICA_PEER_MESSAGE,
                                  .link = conn->link,
                                  .peer_id = net->members[conn->member].id};
    struct peer_msg msg;
    int err;

    arena_reset(net->arena);
    err = peer_msg_decode(frame, net->arena, &msg);
    if (err != 0) {
        peer_link_end(conn, err == ERR_CORRUPT   ? "a frame fails its checksum"
                            : err == ERR_TOO_BIG ? "a frame is over a limit"
                                                 : "a frame is malformed");
        return;
    }
    input.message = &msg;
    loop_input(net->loop, &input);
    peer_msg_finish(&msg);
}

void peer_link_feed(struct peer_conn *conn)
{
    list_remove(&conn->behind);
    while (conn->stage == PEER_UP && conn->end - conn->begin >= LENGTH_SIZE) {
        const uint8_t *at = conn->input + conn->begin;
        size_t len = bytes_load32(at);

        if (len > PREFIX_SIZE + PEER_FRAME_SIZE_MAX) {
            peer_link_end(conn, "a frame is too long");
            return;
        }
        if (conn->end - conn->begin - LENGTH_SIZE < len) {
            break;
        }
        if (len > 0 && loop_peers_full(conn->net->loop)) {
            list_push_back(&conn->net->behind, &conn->behind);
            peer_link_watch(conn, false, conn->writes);
            return;
        }
        conn->begin += LENGTH_SIZE + len;
        if (len > 0) { /* else it only says that it is there */
            take_frame(conn, slice_make(at + LENGTH_SIZE, len));
        }
    }
    if (conn->stage == PEER_UP) {
        peer_link_watch(conn, true, conn->writes);
    }
}

/* Behind the last word nothing is of interest but the end. */
static void discard(struct peer_conn *conn)
{
    uint8_t bytes[16 * 1024];

    for (unsigned i = 0; i < READS_MAX; i++) {
        ssize_t n = recv(conn->fd, bytes, sizeof(bytes), 0);

        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (n <= 0) {
            peer_link_end(conn, "closed");
            return;
        }
    }
}

/* ---- out ---- */

size_t peer_link_unsent(const struct peer_conn *conn)
{
    return evbuffer_get_length(conn->output);
}

/* The other end takes nothing any more. What it said before may still be on
 * its way to us: reading finds the end. */
static bool go_mute(struct peer_conn *conn)
{
    if (conn->stage != PEER_UP) {
        peer_link_end(conn, strerrordesc_np(errno));
        return false;
    }
    conn->mute = true;
    (void)evbuffer_drain(conn->output, peer_link_unsent(conn));
    peer_link_watch(conn, conn->reads, false);
    return true;
}

bool peer_link_write(struct peer_conn *conn)
{
    size_t written = 0;

    list_remove(&conn->dirty);
    while (peer_link_unsent(conn) > 0 && written < WRITE_MAX) {
        int n = evbuffer_write(conn->output, conn->fd);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            break;
        }
        if (n < 0) {
            return go_mute(conn);
        }
        written += (size_t)n;
    }
    if (written > 0) {
        conn->said_ms = clock_monotonic_ms();
        if (conn->member != SIZE_MAX) {
            conn->net->members[conn->member].bytes_out += written;
        }
    }
    peer_link_watch(conn, conn->reads, peer_link_unsent(conn) > 0);
    if (conn->stage == PEER_CLOSING && !conn->shut &&
        peer_link_unsent(conn) == 0) {
        conn->shut = true;
        (void)shutdown(conn->fd, SHUT_WR); /* an error is seen by reading */
    }
    return true;
}

/* ---- the end ---- */

void peer_link_end(struct peer_conn *conn, const char *why)
{
    struct peer_dial *dial = conn->dial;

    if (conn->stage == PEER_BROKEN) {
        return;
    }
    if (conn->stage == PEER_UP) {
        peer_line(conn, "peer_down", why);
        peer_link_watch(conn, false, false);
        (void)close(conn->fd);
        conn->fd = -1;
        list_remove(&conn->dirty);
        list_remove(&conn->behind);
        (void)evbuffer_drain(conn->output, peer_link_unsent(conn));
        peer_link_move(conn, PEER_BROKEN);
        return;
    }
    peer_link_free(conn);
    if (dial != NULL) {
        peer_dial_lost(dial, why);
    }
}

void peer_link_close(struct peer_conn *conn)
{
    struct net_peer *net = conn->net;

    if (conn->stage == PEER_BROKEN || conn->mute) {
        peer_link_free(conn);
        return;
    }
    if (net->closing_count >= PEER_CLOSING_MAX) {
        peer_link_free(LIST_ENTRY(net->closing.next, struct peer_conn, in));
    }
    list_remove(&conn->behind);
    conn->dial = NULL;
    peer_link_move(conn, PEER_CLOSING);
    peer_link_watch(conn, true, conn->writes);
    (void)peer_link_write(conn);
}
