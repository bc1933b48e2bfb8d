#include "server/net_peer.h"

#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/config.h"
#include "server/peer_internal.h"

#define NOTE_EVERY_MS 1000
#define ABOUT_MAX 80  /* bytes of what a stranger said, in the log */
#define COPY_MAX 2048 /* a payload of that size is copied to each link */
#define IDLE_INPUT_MAX ((size_t)256 * 1024) /* kept for the next frames */

static void on_sweep(evutil_socket_t fd, short what, void *arg);

/* ---- coming and going ---- */

static void make_members(struct net_peer *net)
{
    const struct config *config = net->config;

    net->members_count = config->servers_count;
    net->members = MEM_ARRAY(struct peer_member, net->members_count);
    for (size_t i = 0; i < net->members_count; i++) {
        struct peer_member *member = &net->members[i];

        CHECK(i == 0 || config->servers[i - 1].id < config->servers[i].id);
        member->line = &config->servers[i];
        member->id = member->line->id;
        peer_dial_init(&member->dial, net, PEER_LINK_ELECTION);
        if (member->id == config->my_id) {
            net->self = i;
        }
    }
    CHECK(net->members[net->self].id == config->my_id);
}

int net_peer_open(struct event_base *base, const struct config *config,
                  struct loop *loop, struct net_peer **net)
{
    struct net_peer *made;
    uint64_t seed;
    int err;

    *net = NULL;
    if (config->servers_count < 2) {
        return 0;
    }
    made = MEM_NEW(struct net_peer);
    made->base = base;
    made->config = config;
    made->loop = loop;
    CHECK(getrandom(&seed, sizeof(seed), 0) == sizeof(seed));
    prng_init(&made->prng, seed);
    made->arena = arena_create((size_t)64 * 1024);
    list_init(&made->strangers);
    list_init(&made->news);
    list_init(&made->closing);
    list_init(&made->dirty);
    list_init(&made->behind);
    make_members(made);
    peer_dial_init(&made->leader_dial, made, PEER_LINK_LEADER);
    CHECK(event_assign(&made->sweep, base, -1, EV_PERSIST, on_sweep, made) ==
          0);
    err = peer_accept_open(made);
    if (err != 0) {
        net_peer_close(made);
        return err;
    }
    *net = made;
    return 0;
}

static void free_all(struct list *conns)
{
    while (!list_empty(conns)) {
        peer_link_free(LIST_ENTRY(conns->next, struct peer_conn, in));
    }
}

void net_peer_close(struct net_peer *net)
{
    if (net == NULL) {
        return;
    }
    (void)event_del(&net->sweep);
    peer_accept_close(net);
    peer_dial_stop(&net->leader_dial);
    for (size_t i = 0; i < net->members_count; i++) {
        peer_dial_stop(&net->members[i].dial);
        for (int link = 0; link < PEER_LINKS_COUNT; link++) {
            peer_link_free(net->members[i].links[link]);
            peer_link_free(net->members[i].rivals[link]);
        }
    }
    free_all(&net->strangers);
    free_all(&net->news);
    free_all(&net->closing);
    if (net->dns != NULL) {
        evdns_base_free(net->dns, 0);
    }
    arena_destroy(net->arena);
    buf_finish(&net->scratch);
    mem_free(net->members);
    mem_free(net);
}

bool peer_dials(const struct net_peer *net, size_t member)
{
    return member < net->self;
}

void net_peer_serve(struct net_peer *net)
{
    static const struct timeval every = {0, PEER_SWEEP_MS * 1000L};

    if (net == NULL) {
        return;
    }
    net->sweep_due_ms = clock_monotonic_ms() + PEER_SWEEP_MS;
    CHECK(event_add(&net->sweep, &every) == 0);
    peer_accept_serve(net);
    for (size_t i = 0; i < net->self; i++) {
        peer_dial_start(&net->members[i].dial, i);
    }
}

/* ---- what the replica says ---- */

static struct peer_conn *link_of(const struct net_peer *net, size_t member,
                                 enum peer_link link)
{
    struct peer_conn *conn = net->members[member].links[link];

    return conn != NULL && conn->stage == PEER_UP && !conn->mute ? conn : NULL;
}

static void append(struct net_peer *net, enum peer_link link, uint64_t peers,
                   struct buf *bytes)
{
    for (size_t i = 0; i < net->members_count && bytes->len > 0; i++) {
        struct peer_conn *conn = link_of(net, i, link);

        if ((peers >> i & 1) != 0 && conn != NULL) {
            (void)evbuffer_add(conn->output, bytes->data, bytes->len);
        }
    }
    buf_clear(bytes);
}

static void unref(const void *bytes, size_t len, void *blob)
{
    (void)bytes;
    (void)len;
    blob_unref(blob);
}

static void refer(struct net_peer *net, enum peer_link link, uint64_t peers,
                  struct blob *blob)
{
    struct slice bytes = blob_bytes(blob);

    for (size_t i = 0; i < net->members_count; i++) {
        struct peer_conn *conn = link_of(net, i, link);

        if ((peers >> i & 1) != 0 && conn != NULL) {
            CHECK(evbuffer_add_reference(conn->output, bytes.ptr, bytes.len,
                                         unref, blob_ref(blob)) == 0);
        }
    }
}

static void append_message(struct net_peer *net, enum peer_link link,
                           uint64_t peers, const struct peer_msg *msg)
{
    struct buf *bytes = &net->scratch;

    buf_clear(bytes);
    peer_msg_encode_head(msg, bytes);
    for (uint32_t i = 0; i < msg->payloads_count; i++) {
        struct slice payload = blob_bytes(msg->payloads[i]);

        if (payload.len > COPY_MAX) {
            append(net, link, peers, bytes);
            refer(net, link, peers, msg->payloads[i]);
        } else {
            buf_append(bytes, payload);
        }
    }
    append(net, link, peers, bytes);
}

/* Those of peers whose link is up, and a place in the list of the flush. */
static uint64_t reached(struct net_peer *net, enum peer_link link,
                        uint64_t peers)
{
    uint64_t up = 0;

    for (size_t i = 0; i < net->members_count; i++) {
        struct peer_conn *conn = link_of(net, i, link);

        if ((peers >> i & 1) != 0 && conn != NULL) {
            up |= UINT64_C(1) << i;
            if (list_empty(&conn->dirty)) {
                list_push_back(&net->dirty, &conn->dirty);
            }
        }
    }
    return up;
}

void net_peer_send(struct net_peer *net, enum peer_link link, uint64_t peers,
                   struct peer_msg *msg)
{
    size_t max =
        link == PEER_LINK_ELECTION ? PEER_UNSENT_ELECTION_MAX : PEER_UNSENT_MAX;
    uint64_t up = net != NULL ? reached(net, link, peers) : 0;

    if (up != 0) {
        append_message(net, link, up, msg);
    }
    for (size_t i = 0; up >> i != 0; i++) {
        struct peer_conn *conn = link_of(net, i, link);

        if ((up >> i & 1) != 0 && peer_link_unsent(conn) > max) {
            peer_link_end(conn, "it takes nothing and too much is unsent");
        }
        if (i == 63) {
            break;
        }
    }
    peer_msg_finish(msg);
}

/* Who waited for the end of a link need not wait any more. */
static void let_in(struct net_peer *net, size_t member, enum peer_link link)
{
    if (net->members[member].rivals[link] != NULL) {
        peer_hello_agree(net->members[member].rivals[link]);
    }
}

/* Takes the place of the link at this end, if there is one. */
static void leave(struct net_peer *net, size_t member, enum peer_link link,
                  const char *why)
{
    struct peer_member *at = &net->members[member];
    struct peer_conn *conn = at->links[link];

    if (conn == NULL) {
        return;
    }
    at->links[link] = NULL;
    if (conn->stage == PEER_UP) {
        peer_line(conn, "peer_left", why);
    }
    peer_link_close(conn);
}

void net_peer_connect(struct net_peer *net, uint64_t peers, const char *why)
{
    if (net == NULL) {
        return;
    }
    peer_dial_stop(&net->leader_dial);
    net->leader_failed = false;
    for (size_t i = 0; i < net->members_count; i++) {
        leave(net, i, PEER_LINK_LEADER, why != NULL ? why : "another leader");
    }
    for (size_t i = 0; i < net->members_count; i++) {
        if (peers == UINT64_C(1) << i) {
            peer_dial_start(&net->leader_dial, i);
        }
    }
}

static void dial_again(struct net_peer *net, size_t member, bool lasted)
{
    struct peer_dial *dial = &net->members[member].dial;

    if (lasted) {
        dial->pause_ms = 0;
    }
    if (!dial->active) {
        peer_dial_later(dial, member);
    }
}

void net_peer_drop(struct net_peer *net, enum peer_link link, uint64_t peers,
                   const char *why)
{
    if (net == NULL) {
        return;
    }
    for (size_t i = 0; i < net->members_count; i++) {
        if ((peers >> i & 1) != 0 && net->members[i].links[link] != NULL) {
            leave(net, i, link, why);
            let_in(net, i, link);
            if (link == PEER_LINK_ELECTION && peer_dials(net, i)) {
                dial_again(net, i, false);
            }
        }
    }
}

void net_peer_flush(struct net_peer *net)
{
    while (net != NULL && !list_empty(&net->dirty)) {
        (void)peer_link_write(
            LIST_ENTRY(net->dirty.next, struct peer_conn, dirty));
    }
}

/* ---- what the replica is told ---- */

bool net_peer_has_work(const struct net_peer *net)
{
    return net != NULL && (!list_empty(&net->news) ||
                           !list_empty(&net->behind) || net->leader_failed);
}

static void tell(struct net_peer *net, enum replica_input_type type,
                 enum peer_link link, size_t member, uint32_t version)
{
    struct replica_input input = {
        .type = type, .link = link, .peer_id = net->members[member].id};

    if (type == REPLICA_PEER_UP) {
        input.version = version;
    }
    loop_input(net->loop, &input);
}

static void report_up(struct peer_conn *conn)
{
    struct net_peer *net = conn->net;
    struct peer_member *member = &net->members[conn->member];

    leave(net, conn->member, conn->link, "replaced by another");
    if (conn->dial != NULL) {
        peer_dial_done(conn->dial);
        conn->dial = NULL;
    }
    member->links[conn->link] = conn;
    member->connects++;
    peer_link_move(conn, PEER_UP);
    peer_line(conn, "peer_up", NULL);
    conn->up_ms = clock_monotonic_ms();
    conn->heard_ms = conn->up_ms;
    peer_link_watch(conn, true, peer_link_unsent(conn) > 0);
    tell(net, REPLICA_PEER_UP, conn->link, conn->member, conn->version);
}

static void report_down(struct peer_conn *conn)
{
    struct net_peer *net = conn->net;
    size_t member = conn->member;
    enum peer_link link = conn->link;
    bool lasted = clock_monotonic_ms() - conn->up_ms >= PEER_LASTED_MS;

    net->members[member].links[link] = NULL;
    peer_link_free(conn);
    let_in(net, member, link);
    if (link == PEER_LINK_ELECTION && peer_dials(net, member)) {
        dial_again(net, member, lasted);
    }
    tell(net, REPLICA_PEER_DOWN, link, member, 0);
}

/* Effects of what was before each piece of news belong to the links as they
 * were; carrying them out may end another one, or take back the dial. */
void net_peer_work(struct net_peer *net)
{
    struct list behind;

    if (net == NULL) {
        return;
    }
    for (;;) {
        loop_carry_out(net->loop);
        if (!list_empty(&net->news)) {
            struct peer_conn *conn =
                LIST_ENTRY(net->news.next, struct peer_conn, in);

            if (conn->stage == PEER_AGREED) {
                report_up(conn);
            } else {
                report_down(conn);
            }
        } else if (net->leader_failed) {
            net->leader_failed = false;
            tell(net, REPLICA_PEER_DOWN, PEER_LINK_LEADER,
                 net->leader_dial.member, 0);
        } else {
            break;
        }
    }
    list_init(&behind);
    while (!list_empty(&net->behind)) {
        struct list *first = net->behind.next;

        list_remove(first);
        list_push_back(&behind, first);
    }
    while (!list_empty(&behind)) {
        peer_link_feed(LIST_ENTRY(behind.next, struct peer_conn, behind));
    }
}

/* ---- time ---- */

int64_t peer_not_later(int64_t at_ms, int64_t late_ms, int64_t latest_ms)
{
    return at_ms + late_ms < latest_ms ? at_ms + late_ms : latest_ms;
}

/* What arrived while we did something else is read before anybody is called
 * silent. */
static void sweep_link(struct peer_conn *conn, int64_t now_ms, int64_t late_ms)
{
    conn->heard_ms = peer_not_later(conn->heard_ms, late_ms, now_ms);
    if (now_ms - conn->heard_ms >= PEER_SILENCE_MS && conn->reads) {
        peer_link_read(conn);
        if (conn->stage == PEER_UP && conn->reads &&
            now_ms - conn->heard_ms >= PEER_SILENCE_MS) {
            peer_link_end(conn, "silent");
        }
    }
    if (conn->stage != PEER_UP) {
        return;
    }
    if (now_ms - conn->said_ms >= PEER_KEEPALIVE_MS && !conn->mute &&
        peer_link_unsent(conn) == 0) {
        static const uint8_t keepalive[4];

        (void)evbuffer_add(conn->output, keepalive, sizeof(keepalive));
        (void)peer_link_write(conn);
    }
    if (conn->begin == conn->end && conn->capacity > IDLE_INPUT_MAX) {
        mem_free(conn->input);
        conn->input = NULL;
        conn->capacity = 0;
        conn->begin = 0;
        conn->end = 0;
    }
}

static void sweep_list(struct list *conns, int64_t now_ms, int64_t late_ms,
                       int64_t max_ms)
{
    LIST_EACH (conns, at, after) {
        struct peer_conn *conn = LIST_ENTRY(at, struct peer_conn, in);

        conn->since_ms = peer_not_later(conn->since_ms, late_ms, now_ms);
        if (now_ms - conn->since_ms >= max_ms) {
            if (conn->stage == PEER_GREETING) {
                peer_note(conn->net, PEER_NOTE_TIMEOUT, 0, "no hello in time",
                          slice_make(NULL, 0));
            }
            peer_link_free(conn);
        }
    }
}

static void write_note(struct net_peer *net, enum peer_note note,
                       struct slice about)
{
    struct log_line line;

    log_begin(&line, LOG_WARN, "peer_refused");
    if (net->notes[note].id != 0) {
        log_int(&line, "id", (int64_t)net->notes[note].id);
    }
    log_text(&line, "reason", net->notes[note].why);
    if (about.ptr != NULL) {
        about.len = about.len < ABOUT_MAX ? about.len : ABOUT_MAX;
        log_slice(&line, "said", about);
    }
    if (net->notes[note].held_back > 0) {
        log_int(&line, "more", (int64_t)net->notes[note].held_back);
    }
    log_end(&line);
    net->notes[note].held_back = 0;
}

void peer_note(struct net_peer *net, enum peer_note note, uint64_t id,
               const char *why, struct slice about)
{
    int64_t now_ms = clock_monotonic_ms();

    net->notes[note].id = id;
    net->notes[note].why = why;
    if (net->notes[note].at_ms != 0 &&
        now_ms - net->notes[note].at_ms < NOTE_EVERY_MS) {
        net->notes[note].held_back++;
        return;
    }
    net->notes[note].at_ms = now_ms;
    write_note(net, note, about);
}

/* The last ones that were held back, when no other comes. */
static void sweep_notes(struct net_peer *net, int64_t now_ms)
{
    for (int i = 0; i < PEER_NOTES_COUNT; i++) {
        if (net->notes[i].held_back > 0 &&
            now_ms - net->notes[i].at_ms >= NOTE_EVERY_MS) {
            net->notes[i].at_ms = now_ms;
            net->notes[i].held_back--; /* the line is one of them */
            write_note(net, (enum peer_note)i, slice_make(NULL, 0));
        }
    }
}

/* Late: this process did not run, whoever else did. */
static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
    struct net_peer *net = arg;
    int64_t now_ms = clock_monotonic_ms();
    int64_t late_ms = now_ms - net->sweep_due_ms;

    (void)fd;
    (void)what;
    late_ms = late_ms < PEER_SWEEP_MS ? 0 : late_ms;
    net->sweep_due_ms = now_ms + PEER_SWEEP_MS;
    for (size_t i = 0; i < net->members_count; i++) {
        for (int link = 0; link < PEER_LINKS_COUNT; link++) {
            struct peer_conn *conn = net->members[i].links[link];
            struct peer_conn *rival = net->members[i].rivals[link];

            if (conn != NULL && conn->stage == PEER_UP) {
                sweep_link(conn, now_ms, late_ms);
            }
            if (rival != NULL) {
                peer_rival_sweep(rival, now_ms, late_ms);
            }
        }
        peer_dial_sweep(&net->members[i].dial, now_ms, late_ms);
        peer_lines_sweep(&net->members[i]);
    }
    peer_dial_sweep(&net->leader_dial, now_ms, late_ms);
    sweep_list(&net->strangers, now_ms, late_ms, PEER_HELLO_MS);
    sweep_list(&net->closing, now_ms, late_ms, PEER_CLOSING_MS);
    sweep_notes(net, now_ms);
}

/* ---- for admin.c ---- */

const char *peer_link_name(enum peer_link link)
{
    switch (link) {
        case PEER_LINK_ELECTION:
            return "election";
        case PEER_LINK_LEADER:
            return "leader";
        case PEER_LINK_LEARNER:
            return "learner";
    }
    return "?";
}

bool net_peer_is_closing(const struct net_peer *net)
{
    return net != NULL && net->closing_count > 0;
}

bool net_peer_info(const struct net_peer *net, size_t member_index,
                   struct net_peer_info *info)
{
    const struct peer_member *member;

    if (net == NULL || member_index >= net->members_count) {
        return false;
    }
    member = &net->members[member_index];
    memset(info, 0, sizeof(*info));
    info->id = member->id;
    for (int link = 0; link < PEER_LINKS_COUNT; link++) {
        const struct peer_conn *conn = member->links[link];

        if (conn == NULL || conn->stage != PEER_UP) {
            continue;
        }
        info->up[link] = true;
        info->unsent[link] = peer_link_unsent(conn);
        if (info->version == 0 || link != PEER_LINK_ELECTION) {
            info->version = conn->version;
        }
    }
    memcpy(info->address, member->address, sizeof(info->address));
    info->bytes_in = member->bytes_in;
    info->bytes_out = member->bytes_out;
    info->connects = member->connects;
    info->refused = member->refused;
    return true;
}
