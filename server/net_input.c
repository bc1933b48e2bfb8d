#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"
#include "proto/frame.h"
#include "server/config.h"
#include "server/net_internal.h"

#define NET_FIRST_FRAME_MAX 4096u /* bytes */
#define LENGTH_SIZE 4

enum fed {
    FED_ALL,  /* what is left is less than a frame */
    FED_SOME, /* it was told to stop: there may be more frames */
    FED_GONE  /* the connection is closed */
};

static bool may_feed(const struct net_conn *conn)
{
    return !conn->paused && !conn->choked && !conn->stopped && !conn->closing;
}

static struct slice unfed(const struct net_conn *conn)
{
    return slice_make(conn->input + conn->input_start,
                      conn->input_len - conn->input_start);
}

/* Room grows with what was received, never with what a length promises. */
static void keep(struct net_conn *conn, struct slice bytes)
{
    uint32_t wanted = conn->input_len + (uint32_t)bytes.len;

    if (bytes.len == 0) {
        return;
    }
    if (wanted > conn->input_capacity) {
        uint32_t doubled = conn->input_capacity * 2;

        conn->input_capacity = wanted > doubled ? wanted : doubled;
        conn->input = mem_realloc(conn->input, conn->input_capacity);
    }
    memcpy(conn->input + conn->input_len, bytes.ptr, bytes.len);
    conn->input_len = wanted;
}

void net_input_free(struct net_conn *conn)
{
    mem_free(conn->input);
    conn->input = NULL;
    conn->input_start = 0;
    conn->input_len = 0;
    conn->input_capacity = 0;
}

static void feed_one(struct net_client *net, struct net_conn *conn,
                     struct slice frame)
{
    struct replica_input input = {
        .type = REPLICA_CLIENT_FRAME, .conn_id = conn->id, .frame = frame};

    if (!conn->begun) {
        conn->begun = true;
        list_remove(&conn->timed);
    }
    loop_input(net->loop, &input);
}

/* A handshake is 45 bytes and a password: who has not shaken hands keeps no
 * megabyte here. */
static uint32_t frame_size_max(const struct net_client *net,
                               const struct net_conn *conn)
{
    uint32_t size_max = net->config->frame_size_max;

    return conn->begun || size_max < NET_FIRST_FRAME_MAX ? size_max
                                                         : NET_FIRST_FRAME_MAX;
}

/* The whole frames at the start of bytes, as far as it may go in this turn. */
static enum fed feed(struct net_client *net, struct net_conn *conn,
                     struct slice bytes, size_t *used)
{
    *used = 0;
    for (int i = 0; i < NET_TURN_FRAMES; i++) {
        struct slice frame;
        size_t spent;

        if (!may_feed(conn) || loop_full(net->loop)) {
            return FED_SOME;
        }
        switch (frame_next(slice_after(bytes, *used), frame_size_max(net, conn),
                           &frame, &spent)) {
            case FRAME_WHOLE:
                break;
            case FRAME_MORE:
                return FED_ALL;
            case FRAME_TOO_BIG:
                net_refuse(net, conn, NET_NOTE_FRAME,
                           "frame length is negative or too big");
                return FED_GONE;
        }
        *used += spent;
        feed_one(net, conn, frame);
    }
    return FED_SOME;
}

static void set_has_more(struct net_client *net, struct net_conn *conn,
                         bool has_more)
{
    conn->has_more = has_more;
    list_remove(&conn->work);
    if (has_more && may_feed(conn)) {
        list_push_back(&net->work, &conn->work);
    }
}

/* Moves from *bytes to the beginning of a frame that is kept what is missing
 * there. FED_SOME: it is whole, and alone. */
static enum fed complete(struct net_client *net, struct net_conn *conn,
                         struct slice *bytes)
{
    uint32_t size_max = frame_size_max(net, conn);

    for (int step = 0; step < 2; step++) { /* the length, then the rest */
        size_t missing = LENGTH_SIZE - conn->input_len;
        size_t taken;

        if (conn->input_len >= LENGTH_SIZE) {
            struct slice frame;
            size_t used;

            if (frame_next(unfed(conn), size_max, &frame, &used) ==
                FRAME_TOO_BIG) {
                net_refuse(net, conn, NET_NOTE_FRAME,
                           "frame length is negative or too big");
                return FED_GONE;
            }
            missing = LENGTH_SIZE + (size_t)bytes_load32(conn->input) -
                      conn->input_len;
        }
        taken = missing < bytes->len ? missing : bytes->len;
        keep(conn, slice_make(bytes->ptr, taken));
        *bytes = slice_after(*bytes, taken);
        if (taken < missing) {
            return FED_ALL;
        }
    }
    return FED_SOME;
}

/* Bytes of a connection that keeps nothing but the beginning of a frame. */
static void take(struct net_client *net, struct net_conn *conn,
                 struct slice bytes)
{
    enum fed fed = FED_ALL;
    size_t used = 0;

    if (conn->input_len > 0) {
        fed = complete(net, conn, &bytes);
        if (fed != FED_SOME) {
            return; /* still not whole, or gone */
        }
        fed = feed(net, conn, unfed(conn), &used);
        if (fed == FED_GONE) {
            return;
        }
        if (used > 0) {
            net_input_free(conn);
            used = 0;
        } else { /* it may not be fed just now */
            keep(conn, bytes);
            set_has_more(net, conn, true);
            return;
        }
    }
    fed = feed(net, conn, bytes, &used);
    if (fed == FED_GONE) {
        return;
    }
    keep(conn, slice_after(bytes, used));
    set_has_more(net, conn, fed == FED_SOME && conn->input_len > 0);
}

/* The first four bytes are a frame's length or a four-letter word. True: bytes
 * are frames; false: they were kept. */
static bool sniff(struct net_client *net, struct net_conn *conn,
                  struct slice bytes)
{
    const char *word;

    if (conn->input_len == 0 && bytes.len >= LENGTH_SIZE &&
        frame_four_letter_word(bytes.ptr) == NULL) {
        conn->sniffed = true;
        return true;
    }
    keep(conn, bytes);
    if (conn->input_len < LENGTH_SIZE) {
        return false;
    }
    word = frame_four_letter_word(conn->input);
    if (word == NULL) {
        conn->sniffed = true;
        set_has_more(net, conn, true);
    } else {
        net_word_begin(net, conn, word);
    }
    return false;
}

void net_input_read(struct net_client *net, struct net_conn *conn)
{
    ssize_t got;

    if (!may_feed(conn) || conn->has_more) {
        net_watch(net, conn); /* armed again when it may be fed */
        return;
    }
    if (loop_full(net->loop)) {
        return;
    }
    got = read(conn->fd, net->shared, NET_SHARED_SIZE);
    if (got > 0) {
        struct slice bytes = slice_make(net->shared, (size_t)got);

        if (conn->sniffed || sniff(net, conn, bytes)) {
            take(net, conn, bytes);
        }
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        net_gone(net, conn);
    }
}

void net_input_resume(struct net_client *net, struct net_conn *conn)
{
    if (!may_feed(conn)) {
        return;
    }
    if (conn->has_more) {
        set_has_more(net, conn, true); /* into the work list */
    } else {
        net_watch(net, conn);
    }
}

/* What is left of the input in memory of its own size. */
static void compact(struct net_conn *conn)
{
    struct slice left = unfed(conn);
    uint8_t *old = conn->input;

    conn->input = NULL;
    conn->input_start = 0;
    conn->input_len = 0;
    conn->input_capacity = 0;
    keep(conn, left);
    mem_free(old);
}

static void work_on(struct net_client *net, struct net_conn *conn)
{
    enum fed fed;
    size_t used;

    if (!may_feed(conn)) {
        return; /* net_input_resume() brings it back */
    }
    fed = feed(net, conn, unfed(conn), &used);
    if (fed == FED_GONE) {
        return;
    }
    conn->input_start += (uint32_t)used;
    if (fed == FED_ALL) {
        compact(conn);
    }
    set_has_more(net, conn, fed == FED_SOME);
    if (fed == FED_ALL) {
        net_watch(net, conn);
    }
}

/* Each that waits gets one turn, in half of what a wake-up may do: the rest is
 * for those whose sockets are readable. */
void net_input_work(struct net_client *net)
{
    struct list turn;

    if (list_empty(&net->work)) {
        return;
    }
    turn = net->work; /* those that come back stand in the next one */
    turn.next->prev = &turn;
    turn.prev->next = &turn;
    list_init(&net->work);
    while (!list_empty(&turn) && !loop_half_full(net->loop)) {
        struct list *first = turn.next;

        list_remove(first);
        work_on(net, LIST_ENTRY(first, struct net_conn, work));
    }
    while (!list_empty(&turn)) { /* these had no turn: the next is theirs */
        struct list *last = turn.prev;

        list_remove(last);
        list_push_front(&net->work, last);
    }
}
