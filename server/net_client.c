#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/config.h"
#include "server/net_internal.h"

#define ACCEPTS_MAX 64 /* per wake-up */
#define ACCEPT_PAUSE_MS 100
#define SWEEP_MS 100
#define SWEEP_CLOSES_MAX 200 /* per sweep: a mass of dead must not stall us */
/* Descriptors left to the disk, LevelDB and standard streams. */
#define FDS_RESERVED ((size_t)160)
#define FDS_PEERS ((size_t)384) /* of an ensemble: links, strangers */
#define FD_BITS 24              /* of a connection id */
#define NOTE_EVERY_MS 1000

static void on_accept(evutil_socket_t fd, short what, void *arg);
static void on_pause_over(evutil_socket_t fd, short what, void *arg);
static void on_sweep(evutil_socket_t fd, short what, void *arg);
static void conn_free(struct net_client *net, struct net_conn *conn);

static size_t connections_max(const struct config *config)
{
    struct rlimit limit;
    size_t fds, reserved = FDS_RESERVED;

    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    fds = limit.rlim_cur > (rlim_t)1 << FD_BITS ? (size_t)1 << FD_BITS
                                                : (size_t)limit.rlim_cur;
    reserved += config->ensemble ? FDS_PEERS : 0;
    fds = fds > reserved * 2 ? fds - reserved : fds / 2;
    return config->conns_max != 0 && config->conns_max < fds ? config->conns_max
                                                             : fds;
}

int net_client_listen(struct event_base *base, const struct config *config,
                      struct loop *loop, struct net_client **net)
{
    static const struct timeval every = {0, SWEEP_MS * 1000L};
    struct net_client *made = MEM_NEW(struct net_client);
    uint64_t seed;
    int err = net_listen_open(config, &made->listen_fd, &made->port);

    *net = NULL;
    if (err != 0) {
        mem_free(made);
        return err;
    }
    made->base = base;
    made->config = config;
    made->loop = loop;
    made->count_max = connections_max(config);
    made->random_used = sizeof(made->random);
    made->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    made->shared = mem_alloc(NET_SHARED_SIZE);
    CHECK(getrandom(&seed, sizeof(seed), 0) == sizeof(seed));
    map_init(&made->addresses, seed);
    list_init(&made->fresh);
    list_init(&made->stuck);
    list_init(&made->work);
    list_init(&made->words);
    list_init(&made->dumps);
    for (size_t i = 0; i < NET_NOTES_COUNT; i++) {
        made->notes[i].at_ms = INT64_MIN / 2;
    }
    CHECK(event_assign(&made->listener, base, made->listen_fd,
                       EV_READ | EV_PERSIST, on_accept, made) == 0);
    CHECK(event_assign(&made->pause, base, -1, 0, on_pause_over, made) == 0);
    CHECK(event_assign(&made->sweep, base, -1, EV_PERSIST, on_sweep, made) ==
          0);
    CHECK(event_add(&made->sweep, &every) == 0);
    *net = made;
    return 0;
}

void net_client_close(struct net_client *net)
{
    if (net == NULL) {
        return;
    }
    for (size_t i = 0; i < net->slots_capacity; i++) {
        if (net->slots[i] != NULL) {
            conn_free(net, net->slots[i]);
        }
    }
    (void)event_del(&net->listener);
    (void)event_del(&net->pause);
    (void)event_del(&net->sweep);
    (void)close(net->listen_fd);
    if (net->reserve_fd >= 0) {
        (void)close(net->reserve_fd);
    }
    map_finish(&net->addresses);
    buf_finish(&net->text);
    mem_free(net->slots);
    mem_free(net->dirty);
    mem_free(net->items);
    mem_free(net->reports);
    mem_free(net->shared);
    mem_free(net);
}

uint16_t net_client_port(const struct net_client *net)
{
    return net->port;
}

void net_client_serve(struct net_client *net)
{
    (void)event_del(&net->pause);
    CHECK(event_add(&net->listener, NULL) == 0);
}

void net_client_stop(struct net_client *net, uint64_t conn_id)
{
    struct net_conn *conn = net_find(net, conn_id);

    if (conn != NULL) {
        conn->stopped = true;
    }
}

void net_client_drop(struct net_client *net, uint64_t conn_id, const char *why)
{
    struct net_conn *conn = net_find(net, conn_id);

    if (conn == NULL) {
        return;
    }
    conn->stopped = true;
    net_finish(net, conn, why);
}

void net_client_pause(struct net_client *net, uint64_t conn_id, bool pause)
{
    struct net_conn *conn = net_find(net, conn_id);

    if (conn == NULL) {
        return;
    }
    conn->paused = pause; /* its reads are switched off when one comes */
    if (!pause) {
        net_input_resume(net, conn);
    }
}

bool net_client_has_work(const struct net_client *net)
{
    return !list_empty(&net->work) || net_word_has_work(net) ||
           net->dirty_count > 0 || net->reports_count > 0;
}

void net_client_work(struct net_client *net)
{
    for (size_t i = 0; i < net->reports_count; i++) {
        struct replica_input input = {.type = net->reports[i].type,
                                      .conn_id = net->reports[i].conn_id};

        loop_input(net->loop, &input);
    }
    net->reports_count = 0;
    net_input_work(net);
    net_word_work(net);
}

void net_client_address(const struct net_client *net, uint64_t conn_id,
                        char *text, size_t size)
{
    const struct net_conn *conn = net_find(net, conn_id);
    char address[64];
    bool six;

    text[0] = '\0';
    if (conn != NULL) {
        net_listen_text(conn->address->key, address, sizeof(address));
        six = strchr(address, ':') != NULL;
        (void)snprintf(text, size, six ? "/[%s]:%u" : "/%s:%u", address,
                       conn->port);
    }
}

size_t net_client_count(const struct net_client *net)
{
    return net->count;
}

/* ---- coming ---- */

/* No descriptor is left for a client: one is turned away with the spare, so
 * that it does not wait in vain, and nothing is accepted for a while. */
static void turn_away(struct net_client *net)
{
    static const struct timeval pause = {0, ACCEPT_PAUSE_MS * 1000L};

    net_note(net, NET_NOTE_NO_FD, NULL, "no descriptor is left");
    if (net->reserve_fd >= 0) {
        int fd;

        (void)close(net->reserve_fd);
        fd = accept4(net->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            (void)close(fd);
        }
        net->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    (void)event_del(&net->listener);
    CHECK(event_add(&net->pause, &pause) == 0);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
    struct net_client *net = arg;

    (void)fd;
    (void)what;
    CHECK(event_add(&net->listener, NULL) == 0);
}

static struct net_address *address_of(struct net_client *net,
                                      const uint8_t key[16])
{
    struct map_link *link =
        map_find_bytes(&net->addresses, slice_make(key, 16));
    struct net_address *address;

    if (link != NULL) {
        return MAP_ENTRY(link, struct net_address, link);
    }
    address = MEM_NEW(struct net_address);
    memcpy(address->key, key, 16);
    map_add_bytes(&net->addresses, &address->link,
                  slice_make(address->key, 16));
    return address;
}

static void address_leave(struct net_client *net, struct net_address *address)
{
    if (--address->count == 0) {
        map_remove(&net->addresses, &address->link);
        mem_free(address);
    }
}

static void tell_opened(struct net_client *net, const struct net_conn *conn)
{
    struct replica_input input = {.type = REPLICA_CLIENT_OPENED,
                                  .conn_id = conn->id};
    char text[64];

    if (net->random_used + sizeof(input.opened.random) > sizeof(net->random)) {
        ssize_t got = 0;

        for (size_t have = 0; have < sizeof(net->random); have += (size_t)got) {
            got = getrandom(net->random + have, sizeof(net->random) - have, 0);
            CHECK(got > 0);
        }
        net->random_used = 0;
    }
    memcpy(input.opened.random, net->random + net->random_used,
           sizeof(input.opened.random));
    /* Passwords: used once, and not left lying about. */
    memset(net->random + net->random_used, 0, sizeof(input.opened.random));
    net->random_used += sizeof(input.opened.random);
    net_listen_text(conn->address->key, text, sizeof(text));
    input.opened.address = slice_from_text(text);
    input.opened.tls_subject = (struct slice){NULL, 0};
    loop_input(net->loop, &input);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct net_client *net = arg;
    struct net_conn *conn = net->slots[fd];
    uint64_t id = conn->id;

    if ((what & EV_WRITE) != 0) {
        net_output_write(net, conn);
    }
    if ((what & EV_READ) != 0 && net_find(net, id) == conn) {
        net_input_read(net, conn);
    }
}

static void conn_open(struct net_client *net, int fd,
                      const struct sockaddr_storage *from)
{
    uint32_t address_max = net->config->conns_per_address_max;
    struct net_conn *conn = MEM_NEW(struct net_conn);
    uint8_t key[16];

    net_listen_key(from, key, &conn->port);
    conn->fd = fd;
    conn->address = address_of(net, key);
    conn->address->count++;
    if (net->count >= net->count_max ||
        (address_max != 0 && conn->address->count > address_max)) {
        bool all = net->count >= net->count_max;

        net_note(net, all ? NET_NOTE_LIMIT_ALL : NET_NOTE_LIMIT_ADDRESS, conn,
                 all ? "too many connections"
                     : "too many connections from this address");
        address_leave(net, conn->address);
        (void)close(fd);
        mem_free(conn);
        return;
    }
    conn->id = ++net->serial << FD_BITS | (uint64_t)fd;
    conn->since_ms = clock_monotonic_ms();
    list_init(&conn->work);
    list_push_back(&net->fresh, &conn->timed);
    if ((size_t)fd >= net->slots_capacity) {
        size_t before = net->slots_capacity;

        net->slots = mem_grow(net->slots, &net->slots_capacity, (size_t)fd + 1,
                              sizeof(void *));
        for (size_t i = before; i < net->slots_capacity; i++) {
            net->slots[i] = NULL;
        }
    }
    net->slots[fd] = conn;
    net->count++;
    net_watch(net, conn);
    tell_opened(net, conn);
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
    struct net_client *net = arg;

    (void)what;
    for (int i = 0; i < ACCEPTS_MAX && !loop_full(net->loop); i++) {
        struct sockaddr_storage from = {0};
        socklen_t len = sizeof(from);
        int accepted = accept4(fd, (struct sockaddr *)&from, &len,
                               SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (accepted >= 0) {
            conn_open(net, accepted, &from);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
                   errno == ENOMEM) {
            turn_away(net);
            return;
        } else if (errno == EAGAIN) {
            return;
        } /* else: that one has gone already */
    }
}

/* ---- there ---- */

struct net_conn *net_find(const struct net_client *net, uint64_t conn_id)
{
    uint64_t fd = conn_id & (((uint64_t)1 << FD_BITS) - 1);

    if (fd >= net->slots_capacity || net->slots[fd] == NULL ||
        net->slots[fd]->id != conn_id) {
        return NULL;
    }
    return net->slots[fd];
}

void net_watch(struct net_client *net, struct net_conn *conn)
{
    bool reads = !conn->paused && !conn->choked && !conn->has_more &&
                 !conn->stopped && !conn->closing;
    bool writes = conn->unsent > 0;
    short what =
        (short)(EV_PERSIST | (reads ? EV_READ : 0) | (writes ? EV_WRITE : 0));

    if (reads == conn->reads && writes == conn->writes) {
        return;
    }
    if (conn->reads || conn->writes) {
        CHECK(event_del(&conn->event) == 0);
    }
    conn->reads = reads;
    conn->writes = writes;
    if (reads || writes) {
        CHECK(event_assign(&conn->event, net->base, conn->fd, what, on_ready,
                           net) == 0);
        CHECK(event_add(&conn->event, NULL) == 0);
    }
}

/* ---- going ---- */

void net_finish(struct net_client *net, struct net_conn *conn, const char *why)
{
    conn->closing = true;
    conn->why = why;
    conn->since_ms = clock_monotonic_ms();
    list_remove(&conn->work);
    list_remove(&conn->timed);
    list_push_back(&net->stuck, &conn->timed);
    net_output_dirty(net, conn);
}

static void conn_free(struct net_client *net, struct net_conn *conn)
{
    if (conn->reads || conn->writes) {
        (void)event_del(&conn->event);
    }
    if (conn->word != NULL) {
        net_word_end(net, conn);
    }
    net_input_free(conn);
    net_output_free(net, conn);
    list_remove(&conn->timed);
    list_remove(&conn->work);
    net->slots[conn->fd] = NULL;
    net->count--;
    address_leave(net, conn->address);
    (void)close(conn->fd);
    mem_free(conn);
}

void net_report(struct net_client *net, const struct net_conn *conn,
                enum replica_input_type type)
{
    if (conn->stopped) {
        return;
    }
    if (net->flushing) {
        net->reports = mem_grow(net->reports, &net->reports_capacity,
                                net->reports_count + 1, sizeof(*net->reports));
        net->reports[net->reports_count++] =
            (struct net_report){type, conn->id};
    } else {
        struct replica_input input = {.type = type, .conn_id = conn->id};

        loop_input(net->loop, &input);
    }
}

void net_gone(struct net_client *net, struct net_conn *conn)
{
    if (log_enabled(LOG_DEBUG)) {
        char address[80];

        net_client_address(net, conn->id, address, sizeof(address));
        log_event(LOG_DEBUG, "client_gone", "address=%s reason=\"%s\"", address,
                  conn->why != NULL ? conn->why : "closed by the client");
    }
    net_report(net, conn, REPLICA_CLIENT_CLOSED);
    conn_free(net, conn);
}

void net_refuse(struct net_client *net, struct net_conn *conn,
                enum net_note note, const char *why)
{
    net_note(net, note, conn, why);
    conn->why = why;
    net_gone(net, conn);
}

void net_note(struct net_client *net, enum net_note note,
              const struct net_conn *conn, const char *why)
{
    int64_t now_ms = clock_monotonic_ms();
    struct log_line line;

    if (now_ms - net->notes[note].at_ms < NOTE_EVERY_MS) {
        net->notes[note].held_back++;
        return;
    }
    log_begin(&line, LOG_WARN, "client_refused");
    log_text(&line, "reason", why);
    if (conn != NULL) {
        char address[64];

        net_listen_text(conn->address->key, address, sizeof(address));
        log_text(&line, "address", address);
        log_int(&line, "port", conn->port);
    }
    if (net->notes[note].held_back > 0) {
        log_int(&line, "and_before", (int64_t)net->notes[note].held_back);
    }
    log_end(&line);
    net->notes[note].at_ms = now_ms;
    net->notes[note].held_back = 0;
}

/* The oldest first, as all of them have the same time. */
static void sweep_fresh(struct net_client *net, int64_t now_ms)
{
    int64_t timeout_ms = net->config->handshake_timeout_ms;

    for (int i = 0; i < SWEEP_CLOSES_MAX && !list_empty(&net->fresh); i++) {
        struct net_conn *conn =
            LIST_ENTRY(net->fresh.next, struct net_conn, timed);

        if (timeout_ms == 0 || now_ms - conn->since_ms < timeout_ms) {
            return;
        }
        net_refuse(net, conn, NET_NOTE_TIMEOUT, "no handshake in time");
    }
}

static void sweep_stuck(struct net_client *net, int64_t now_ms)
{
    int closes = 0;

    LIST_EACH (&net->stuck, at, after) {
        struct net_conn *conn = LIST_ENTRY(at, struct net_conn, timed);
        int64_t most_ms = conn->closing ? NET_CLOSING_MS : NET_STUCK_MS;

        if (now_ms - conn->since_ms >= most_ms) {
            net_refuse(net, conn, NET_NOTE_SLOW_READER,
                       "does not read its answers");
            if (++closes == SWEEP_CLOSES_MAX) {
                return;
            }
        }
    }
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
    struct net_client *net = arg;
    int64_t now_ms = clock_monotonic_ms();

    (void)fd;
    (void)what;
    sweep_fresh(net, now_ms);
    sweep_stuck(net, now_ms);
}
