#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/mem.h"
#include "server/config.h"
#include "server/peer_internal.h"

#define LENGTH_SIZE 4U

/* Why a hello is refused; text NULL: it is not. */
struct refusal {
    enum peer_note note;
    const char *text;
};

static void take(struct peer_conn *conn, struct slice frame);
static void take_strangers(struct peer_conn *conn, const struct hello *hello);
static void refuse(struct peer_conn *conn, uint64_t id, struct refusal no);
static void take_answer(struct peer_conn *conn, const struct hello *hello);

/* What we say of ourselves on this link. */
static struct hello our_hello(const struct peer_conn *conn, uint64_t receiver)
{
    const struct net_peer *net = conn->net;
    struct hello hello = {
        .version_min = HELLO_VERSION_LEAST,
        .version_max = net->config->peer_version_max,
        .link =
            conn->link == PEER_LINK_ELECTION ? HELLO_ELECTION : HELLO_QUORUM,
        .sender = net->members[net->self].id,
        .receiver = receiver,
    };

    hello.has_cluster = loop_cluster_id(net->loop, hello.cluster_id);
    return hello;
}

static void say(struct peer_conn *conn, const struct hello *hello)
{
    struct buf *out = &conn->net->scratch;

    buf_clear(out);
    hello_encode(hello, out);
    (void)evbuffer_add(conn->output, out->data, out->len);
}

void peer_hello_say(struct peer_conn *conn)
{
    struct hello hello = our_hello(conn, conn->net->members[conn->member].id);

    say(conn, &hello);
    peer_link_move(conn, PEER_GREETING);
    peer_link_watch(conn, true, false);
    (void)peer_link_write(conn);
}

/* Not one byte more than the hello's is read: what follows is frames. */
void peer_hello_read(struct peer_conn *conn)
{
    size_t want = LENGTH_SIZE;

    if (conn->capacity == 0) {
        conn->capacity = LENGTH_SIZE + HELLO_SIZE_MAX;
        conn->input = mem_alloc(conn->capacity);
    }
    for (;;) {
        ssize_t n;

        if (conn->end >= LENGTH_SIZE) {
            uint32_t len = bytes_load32(conn->input);

            if (len < HELLO_SIZE_MIN || len > HELLO_SIZE_MAX) {
                peer_note(conn->net, PEER_NOTE_GARBAGE, 0, "no hello",
                          slice_make(conn->input, conn->end));
                peer_link_end(conn, "no hello");
                return;
            }
            want = LENGTH_SIZE + len;
        }
        if (conn->end == want) {
            break;
        }
        n = recv(conn->fd, conn->input + conn->end, want - conn->end, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (n <= 0) {
            peer_link_end(conn, n == 0 ? "closed by the other end"
                                       : strerrordesc_np(errno));
            return;
        }
        conn->end += (size_t)n;
    }
    conn->begin = conn->end; /* make_room() begins anew */
    take(conn, slice_make(conn->input + LENGTH_SIZE, want - LENGTH_SIZE));
}

static void take(struct peer_conn *conn, struct slice frame)
{
    struct hello hello;
    int err;

    arena_reset(conn->net->arena);
    err = hello_decode(frame, conn->net->arena, &hello);
    if (err != 0) {
        peer_note(conn->net, PEER_NOTE_GARBAGE, 0,
                  err == ERR_CORRUPT ? "a hello that fails its checksum"
                                     : "a malformed hello",
                  slice_make(NULL, 0));
        peer_link_end(conn, "no hello");
    } else if (conn->accepted) {
        take_strangers(conn, &hello);
    } else {
        take_answer(conn, &hello);
    }
}

static size_t index_of(const struct net_peer *net, uint64_t id)
{
    for (size_t i = 0; i < net->members_count; i++) {
        if (net->members[i].id == id) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* Of another ensemble; one whose history is empty is of none yet. */
static bool is_foreign(const struct hello *ours, const struct hello *hello)
{
    return ours->has_cluster && hello->has_cluster &&
           memcmp(ours->cluster_id, hello->cluster_id,
                  sizeof(ours->cluster_id)) != 0;
}

/* What is wrong with what it is. */
static struct refusal check(const struct net_peer *net,
                            const struct hello *ours, const struct hello *hello)
{
    size_t member = index_of(net, hello->sender);

    if (hello->sender == ours->sender) {
        return (struct refusal){PEER_NOTE_SELF, "it has our own id"};
    }
    if (member == SIZE_MAX) {
        return (struct refusal){PEER_NOTE_MEMBER, "it is no member"};
    }
    if (hello->receiver != ours->sender) {
        return (struct refusal){PEER_NOTE_RECEIVER, "it means another server"};
    }
    if (hello->link != ours->link) {
        return (struct refusal){PEER_NOTE_PORT,
                                "the port is for the other kind of link"};
    }
    if (hello_version(ours, hello) == 0) {
        return (struct refusal){PEER_NOTE_VERSION,
                                "no version of the protocol in common"};
    }
    if (is_foreign(ours, hello)) {
        return (struct refusal){PEER_NOTE_CLUSTER, "it is of another cluster"};
    }
    if (hello->link == HELLO_ELECTION && peer_dials(net, member)) {
        return (struct refusal){PEER_NOTE_DIRECTION,
                                "the election link to it is dialled by us"};
    }
    return (struct refusal){PEER_NOTES_COUNT, NULL};
}

static void take_strangers(struct peer_conn *conn, const struct hello *hello)
{
    struct net_peer *net = conn->net;
    struct hello ours = our_hello(conn, hello->sender);
    struct refusal no = check(net, &ours, hello);

    conn->member = index_of(net, hello->sender);
    conn->version = hello_version(&ours, hello);
    if (no.text != NULL) {
        refuse(conn, hello->sender, no);
    } else if (!peer_rival_holds(conn)) {
        peer_hello_agree(conn);
    }
}

static void refuse(struct peer_conn *conn, uint64_t id, struct refusal no)
{
    struct hello ours = our_hello(conn, id);

    if (conn->member != SIZE_MAX) {
        conn->net->members[conn->member].refused++;
    }
    peer_note(conn->net, no.note, id, no.text, slice_make(NULL, 0));
    ours.refused = slice_from_text(no.text);
    say(conn, &ours);
    peer_link_close(conn);
}

void peer_hello_refuse(struct peer_conn *conn, enum peer_note note,
                       const char *why)
{
    refuse(conn, conn->net->members[conn->member].id,
           (struct refusal){note, why});
}

void peer_hello_agree(struct peer_conn *conn)
{
    struct hello ours = our_hello(conn, conn->net->members[conn->member].id);

    say(conn, &ours);
    peer_link_watch(conn, false, false);
    peer_link_move(conn, PEER_AGREED);
    (void)peer_link_write(conn);
}

/* What is wrong with who answers. */
static struct refusal check_answer(const struct peer_conn *conn,
                                   const struct hello *ours,
                                   const struct hello *hello)
{
    if (!slice_is_absent(hello->refused)) {
        return (struct refusal){PEER_NOTE_REFUSED, "it refused us"};
    }
    if (hello->sender != conn->net->members[conn->member].id ||
        hello->receiver != ours->sender || hello->link != ours->link) {
        return (struct refusal){PEER_NOTE_RECEIVER,
                                "another server answers at its address"};
    }
    if (hello_version(ours, hello) == 0) {
        return (struct refusal){PEER_NOTE_VERSION,
                                "no version of the protocol in common"};
    }
    if (is_foreign(ours, hello)) {
        return (struct refusal){PEER_NOTE_CLUSTER, "it is of another cluster"};
    }
    return (struct refusal){PEER_NOTES_COUNT, NULL};
}

static void take_answer(struct peer_conn *conn, const struct hello *hello)
{
    struct peer_member *member = &conn->net->members[conn->member];
    struct hello ours = our_hello(conn, member->id);
    struct refusal no = check_answer(conn, &ours, hello);

    if (no.text != NULL) {
        member->refused++;
        peer_note(conn->net, no.note, member->id, no.text, hello->refused);
        peer_link_end(conn, no.text);
        return;
    }
    conn->version = hello_version(&ours, hello);
    peer_link_watch(conn, false, false);
    peer_link_move(conn, PEER_AGREED);
}
