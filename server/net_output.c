#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "server/config.h"
#include "server/net_internal.h"

#define IOVS_MAX 64
#define LOOK_AT_CLOCK_EVERY 32 /* writes */
#define FLUSH_US 5000          /* of one wake-up, about */
#define GATHER_MAX 4096 /* smaller frames are copied together, others not */
#define CHUNK_MIN 256
#define CHUNK_MAX ((size_t)256 * 1024)

static void after_write(struct net_client *net, struct net_conn *conn);

/* ---- what the sockets did not take ---- */

static struct net_chunk *add_chunk(struct net_conn *conn, size_t wanted)
{
    struct net_chunk *last = conn->last_chunk;
    size_t size = last == NULL ? CHUNK_MIN : (size_t)last->capacity * 2;
    struct net_chunk *chunk;

    size = size < wanted ? wanted : size;
    size = size > CHUNK_MAX ? CHUNK_MAX : size;
    chunk = mem_alloc(sizeof(*chunk) + size);
    *chunk = (struct net_chunk){.capacity = (uint32_t)size};
    if (last == NULL) {
        conn->first_chunk = chunk;
    } else {
        last->next = chunk;
    }
    conn->last_chunk = chunk;
    return chunk;
}

void net_output_append(struct net_client *net, struct net_conn *conn,
                       struct slice bytes)
{
    if (bytes.len > 0 && conn->unsent == 0 && !conn->closing) {
        conn->since_ms = clock_monotonic_ms();
        list_remove(&conn->timed);
        list_push_back(&net->stuck, &conn->timed);
    }
    conn->unsent += bytes.len;
    net->unsent += bytes.len;
    while (bytes.len > 0) {
        struct net_chunk *chunk = conn->last_chunk;
        size_t room;

        if (chunk == NULL || chunk->len == chunk->capacity) {
            chunk = add_chunk(conn, bytes.len);
        }
        room = chunk->capacity - chunk->len;
        room = room < bytes.len ? room : bytes.len;
        memcpy(chunk->bytes + chunk->len, bytes.ptr, room);
        chunk->len += (uint32_t)room;
        bytes = slice_after(bytes, room);
    }
}

static void drop_sent(struct net_client *net, struct net_conn *conn,
                      size_t sent)
{
    conn->unsent -= sent;
    net->unsent -= sent;
    while (sent > 0) {
        struct net_chunk *chunk = conn->first_chunk;
        size_t part;

        CHECK(chunk != NULL);
        part = chunk->len - chunk->start;
        part = part < sent ? part : sent;
        chunk->start += (uint32_t)part;
        sent -= part;
        if (chunk->start == chunk->len) {
            conn->first_chunk = chunk->next;
            if (conn->first_chunk == NULL) {
                conn->last_chunk = NULL;
            }
            mem_free(chunk);
        }
    }
}

void net_output_free(struct net_client *net, struct net_conn *conn)
{
    drop_sent(net, conn, conn->unsent);
}

/* Writes chunks until the socket takes no more. False: the connection broke. */
static bool write_chunks(struct net_client *net, struct net_conn *conn)
{
    while (conn->unsent > 0) {
        struct iovec iovs[IOVS_MAX];
        size_t wanted = 0;
        int count = 0;
        ssize_t sent;

        for (struct net_chunk *chunk = conn->first_chunk;
             chunk != NULL && count < IOVS_MAX; chunk = chunk->next) {
            iovs[count].iov_base = chunk->bytes + chunk->start;
            iovs[count].iov_len = chunk->len - chunk->start;
            wanted += iovs[count++].iov_len;
        }
        sent = writev(conn->fd, iovs, count);
        if (sent < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        drop_sent(net, conn, (size_t)sent);
        if (!conn->closing) {
            conn->since_ms = clock_monotonic_ms();
        }
        if ((size_t)sent < wanted) {
            return true;
        }
    }
    return true;
}

void net_output_write(struct net_client *net, struct net_conn *conn)
{
    if (write_chunks(net, conn)) {
        after_write(net, conn);
    } else {
        net_gone(net, conn);
    }
}

/* ---- this wake-up's frames ---- */

void net_output_dirty(struct net_client *net, struct net_conn *conn)
{
    if (conn->dirty) {
        return;
    }
    conn->dirty = true;
    if (net->dirty_first > net->dirty_count / 2) { /* keeps the array small */
        net->dirty_count -= net->dirty_first;
        net->dirty_kept -= net->dirty_first;
        memmove(net->dirty, net->dirty + net->dirty_first,
                net->dirty_count * sizeof(*net->dirty));
        net->dirty_first = 0;
    }
    net->dirty = mem_grow(net->dirty, &net->dirty_capacity,
                          net->dirty_count + 1, sizeof(*net->dirty));
    net->dirty[net->dirty_count++] = conn->id;
}

void net_client_send(struct net_client *net, uint64_t conn_id,
                     struct slice frame)
{
    struct net_conn *conn = net_find(net, conn_id);
    uint32_t item;

    if (conn == NULL || conn->closing) {
        return;
    }
    conn->queued += frame.len;
    if (conn->unsent > 0 || (conn->dirty && conn->first_item == 0)) {
        net_output_append(net, conn, frame); /* behind what waits */
        net_output_dirty(net, conn);
        return;
    }
    CHECK(net->items_count < UINT32_MAX);
    net->items = mem_grow(net->items, &net->items_capacity,
                          net->items_count + 1, sizeof(*net->items));
    net->items[net->items_count++] = (struct net_item){frame, 0};
    item = (uint32_t)net->items_count; /* its index + 1: 0 is none */
    if (conn->first_item == 0) {
        conn->first_item = item;
    } else {
        net->items[conn->last_item - 1].next = item;
    }
    conn->last_item = item;
    net_output_dirty(net, conn);
}

/* All that is left of the connection's items, from byte offset of the first. */
static void keep_items(struct net_client *net, struct net_conn *conn,
                       size_t offset)
{
    while (conn->first_item != 0) {
        const struct net_item *item = &net->items[conn->first_item - 1];

        net_output_append(net, conn, slice_after(item->frame, offset));
        offset = 0;
        conn->first_item = item->next;
    }
}

/* One write's worth of items: small ones copied together, so that the kernel
 * has few pieces to walk. Ends behind the last item taken. */
struct gather {
    struct iovec iovs[IOVS_MAX];
    int count;
    size_t bytes, copied;
    uint32_t next; /* item behind */
};

static void gather_items(struct net_client *net, const struct net_conn *conn,
                         struct gather *g)
{
    bool copied = false; /* the last piece: it may be extended */

    g->count = 0;
    g->bytes = 0;
    g->copied = 0;
    g->next = conn->first_item;
    while (g->next != 0) {
        const struct net_item *item = &net->items[g->next - 1];
        struct slice frame = item->frame;
        bool copy = frame.len < GATHER_MAX && (copied || item->next != 0);

        if ((copy && g->copied + frame.len > NET_SHARED_SIZE) ||
            (g->count == IOVS_MAX && !(copy && copied))) {
            return;
        }
        if (copy) {
            memcpy(net->shared + g->copied, frame.ptr, frame.len);
            frame.ptr = net->shared + g->copied;
            g->copied += frame.len;
        }
        if (copy && copied) {
            g->iovs[g->count - 1].iov_len += frame.len;
        } else { /* writev() does not write through it */
            g->iovs[g->count].iov_base = (void *)(uintptr_t)frame.ptr;
            g->iovs[g->count++].iov_len = frame.len;
        }
        copied = copy;
        g->bytes += frame.len;
        g->next = item->next;
    }
}

/* sent bytes of the connection's items are gone. */
static void drop_items(struct net_client *net, struct net_conn *conn,
                       size_t sent)
{
    while (conn->first_item != 0) {
        const struct net_item *item = &net->items[conn->first_item - 1];

        if (sent < item->frame.len) {
            keep_items(net, conn, sent);
            return;
        }
        sent -= item->frame.len;
        conn->first_item = item->next;
    }
}

/* Straight from where the replica made them. False: the connection broke. */
static bool write_items(struct net_client *net, struct net_conn *conn)
{
    while (conn->first_item != 0) {
        struct gather g;
        ssize_t sent;

        gather_items(net, conn, &g);
        sent = g.count == 1
                   ? send(conn->fd, g.iovs[0].iov_base, g.bytes, MSG_NOSIGNAL)
                   : writev(conn->fd, g.iovs, g.count);
        if (sent < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                return false;
            }
            sent = 0;
        }
        if ((size_t)sent == g.bytes) {
            conn->first_item = g.next;
        } else {
            drop_items(net, conn, (size_t)sent);
        }
    }
    return true;
}

static void flush_one(struct net_client *net, struct net_conn *conn)
{
    if (conn->unsent > 0) {
        bool armed = conn->writes;

        keep_items(net, conn, 0);
        if (!armed) { /* else the socket was full, and says when it is not */
            net_output_write(net, conn);
            return;
        }
    } else if (!write_items(net, conn)) {
        net_gone(net, conn);
        return;
    }
    after_write(net, conn);
}

/* Writes dirty connections from the first on; returns behind which one it
 * stopped because it was enough for one wake-up. */
static size_t flush_some(struct net_client *net)
{
    int64_t until_us = 0;
    size_t i = net->dirty_first;
    size_t end = i + NET_WRITES_MAX;

    end = end < net->dirty_count ? end : net->dirty_count;
    while (i < end) {
        struct net_conn *conn = net_find(net, net->dirty[i]);

        if (conn != NULL) {
            conn->dirty = false;
            flush_one(net, conn);
        }
        if (++i % LOOK_AT_CLOCK_EVERY == 0) {
            int64_t now_us = clock_monotonic_us();

            if (until_us == 0) {
                until_us = now_us + FLUSH_US;
            } else if (now_us > until_us) {
                break;
            }
        }
    }
    return i;
}

void net_client_flush(struct net_client *net)
{
    net->flushing = true;
    net->dirty_first = flush_some(net);
    if (net->dirty_kept < net->dirty_first) {
        net->dirty_kept = net->dirty_first;
    }
    /* The rest goes first in the next wake-up. */
    for (; net->dirty_kept < net->dirty_count; net->dirty_kept++) {
        struct net_conn *conn = net_find(net, net->dirty[net->dirty_kept]);

        if (conn != NULL) {
            keep_items(net, conn, 0);
        }
    }
    if (net->dirty_first == net->dirty_count) {
        net->dirty_first = 0;
        net->dirty_kept = 0;
        net->dirty_count = 0;
    }
    net->items_count = 0;
    net->flushing = false;
}

/* ---- consequences ---- */

/* close() with unread input would reset the connection, and the client could
 * lose what it was sent last. */
static void close_softly(struct net_client *net, struct net_conn *conn)
{
    (void)!read(conn->fd, net->shared, NET_SHARED_SIZE);
    net_gone(net, conn);
}

static void after_write(struct net_client *net, struct net_conn *conn)
{
    const struct config *config = net->config;
    size_t mark = net->unsent > NET_UNSENT_MAX ? 1 : config->output_mark;
    bool was_choked;

    if (conn->unsent == 0 && conn->closing) {
        close_softly(net, conn);
        return;
    }
    if (conn->unsent > config->output_max && conn->word == NULL &&
        !conn->closing) {
        net_refuse(net, conn, NET_NOTE_OUTPUT, "too much unread output");
        return;
    }
    if (conn->unsent == 0 && conn->begun && !conn->closing) {
        list_remove(&conn->timed);
    }
    was_choked = conn->choked;
    conn->choked = conn->unsent >= mark;
    if (!conn->choked && conn->queued >= config->output_mark) {
        conn->queued = 0;
        net_report(net, conn, REPLICA_CLIENT_DRAINED);
    }
    if (conn->writes != (conn->unsent > 0)) {
        net_watch(net, conn);
    }
    if (was_choked && !conn->choked) {
        net_input_resume(net, conn);
    }
}
