#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/config.h"
#include "server/peer_internal.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define HOSTS "/etc/hosts"
#define NOTE_EVERY_MS 30000 /* a member that stays away: a line */

/* A question to the resolver. Outlives its dial when that was stopped: evdns
 * answers a cancelled one, too. */
struct peer_lookup {
    struct peer_dial *dial; /* NULL: nobody wants to know any more */
    struct evdns_getaddrinfo_request *request;
};

static void on_pause_over(evutil_socket_t fd, short what, void *arg);
static void resolve(struct peer_dial *dial);
static void next_address(struct peer_dial *dial, const char *why);
static bool dial_address(struct peer_dial *dial,
                         const struct evutil_addrinfo *at, const char **why);
static void fail(struct peer_dial *dial, const char *why);

void peer_dial_init(struct peer_dial *dial, struct net_peer *net,
                    enum peer_link link)
{
    dial->net = net;
    dial->link = link;
    dial->noted_ms = INT64_MIN / 2;
    CHECK(event_assign(&dial->again, net->base, -1, 0, on_pause_over, dial) ==
          0);
}

void peer_dial_start(struct peer_dial *dial, size_t member)
{
    peer_dial_stop(dial);
    dial->member = member;
    dial->active = true;
    dial->until_ms = clock_monotonic_ms() + PEER_DIAL_MS;
    resolve(dial);
}

void peer_dial_later(struct peer_dial *dial, size_t member)
{
    int64_t pause_ms = dial->pause_ms * 2;
    struct timeval pause = {0};

    peer_dial_stop(dial);
    if (pause_ms < PEER_PAUSE_MS_MIN) {
        pause_ms = PEER_PAUSE_MS_MIN;
    } else if (pause_ms > PEER_PAUSE_MS_MAX) {
        pause_ms = PEER_PAUSE_MS_MAX;
    }
    dial->pause_ms = pause_ms;
    dial->member = member;
    /* Half of it is drawn, so that servers do not come all at once. */
    pause.tv_usec =
        (suseconds_t)(pause_ms * 500) +
        (suseconds_t)prng_below(&dial->net->prng, (uint64_t)pause_ms * 500 + 1);
    CHECK(event_add(&dial->again, &pause) == 0);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
    struct peer_dial *dial = arg;

    (void)fd;
    (void)what;
    peer_dial_start(dial, dial->member);
}

static void end_attempt(struct peer_dial *dial)
{
    dial->active = false;
    if (dial->lookup != NULL) {
        dial->lookup->dial = NULL;
        if (dial->lookup->request != NULL) {
            evdns_getaddrinfo_cancel(dial->lookup->request);
        }
        dial->lookup = NULL;
    }
    if (dial->found != NULL) {
        evutil_freeaddrinfo(dial->found);
        dial->found = NULL;
        dial->next = NULL;
    }
}

void peer_dial_stop(struct peer_dial *dial)
{
    if (dial->net == NULL) {
        return;
    }
    end_attempt(dial);
    (void)event_del(&dial->again);
    peer_link_free(dial->conn);
    dial->conn = NULL;
}

void peer_dial_done(struct peer_dial *dial)
{
    dial->conn = NULL;
    dial->failed = 0;
    dial->noted_ms = INT64_MIN / 2;
    end_attempt(dial);
}

/* ---- names ---- */

/* What the resolver read from these files is read again when they change: names
 * move at run time. */
static bool files_changed(struct net_peer *net)
{
    static const char *const names[2] = {RESOLV_CONF, HOSTS};
    bool changed = false;

    for (int i = 0; i < 2; i++) {
        struct stat now = {0};

        (void)stat(names[i], &now); /* one that is not there is as good */
        if (now.st_ino != net->dns_files[i].st_ino ||
            now.st_size != net->dns_files[i].st_size ||
            now.st_mtim.tv_sec != net->dns_files[i].st_mtim.tv_sec ||
            now.st_mtim.tv_nsec != net->dns_files[i].st_mtim.tv_nsec) {
            changed = true;
        }
        net->dns_files[i] = now;
    }
    return changed;
}

static void read_dns_files(struct net_peer *net)
{
    evdns_base_clear_host_addresses(net->dns);
    (void)evdns_base_clear_nameservers_and_suspend(net->dns);
    /* Without a name server names of /etc/hosts and numbers do. */
    (void)evdns_base_resolv_conf_parse(net->dns, DNS_OPTIONS_ALL, RESOLV_CONF);
    (void)evdns_base_set_option(net->dns, "timeout:", "1");
    (void)evdns_base_set_option(net->dns, "attempts:", "3");
    (void)evdns_base_resume(net->dns);
}

static void take_addresses(struct peer_dial *dial,
                           struct evutil_addrinfo *found)
{
    dial->found = found;
    dial->next = found;
    next_address(dial, "its name has no address");
}

static void on_resolved(int err, struct evutil_addrinfo *found, void *arg)
{
    struct peer_lookup *lookup = arg;
    struct peer_dial *dial = lookup->dial;

    mem_free(lookup);
    if (dial == NULL) {
        if (found != NULL) {
            evutil_freeaddrinfo(found);
        }
        return;
    }
    dial->lookup = NULL;
    if (err != 0) {
        fail(dial, evutil_gai_strerror(err));
        return;
    }
    take_addresses(dial, found);
}

static void resolve(struct peer_dial *dial)
{
    struct net_peer *net = dial->net;
    const struct config_server_line *line = net->members[dial->member].line;
    struct evutil_addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                    .ai_protocol = IPPROTO_TCP,
                                    .ai_flags = EVUTIL_AI_NUMERICHOST |
                                                EVUTIL_AI_NUMERICSERV};
    struct evutil_addrinfo *found = NULL;
    struct peer_lookup *lookup;
    struct evdns_getaddrinfo_request *request;
    char service[16];

    (void)snprintf(service, sizeof(service), "%u",
                   dial->link == PEER_LINK_ELECTION ? line->election_port
                                                    : line->quorum_port);
    if (evutil_getaddrinfo(line->host, service, &hints, &found) == 0) {
        take_addresses(dial, found);
        return;
    }
    if (net->dns == NULL) {
        net->dns = evdns_base_new(net->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
        CHECK(net->dns != NULL);
    }
    if (files_changed(net)) {
        read_dns_files(net);
    }
    hints.ai_flags = EVUTIL_AI_NUMERICSERV;
    lookup = MEM_NEW(struct peer_lookup);
    lookup->dial = dial;
    dial->lookup = lookup;
    request = evdns_getaddrinfo(net->dns, line->host, service, &hints,
                                on_resolved, lookup);
    if (request != NULL) { /* else it has been answered, lookup is gone */
        lookup->request = request;
    }
}

/* ---- addresses ---- */

/* why: what became of the one before. */
static void next_address(struct peer_dial *dial, const char *why)
{
    while (dial->next != NULL) {
        const struct evutil_addrinfo *at = dial->next;

        dial->next = at->ai_next;
        if (dial_address(dial, at, &why)) {
            return;
        }
    }
    fail(dial, why);
}

/* The elected one is asked once: it has a long time at once. */
static int64_t connect_ms_max(const struct peer_dial *dial)
{
    bool is_long = dial->link == PEER_LINK_LEADER ||
                   (dial->failed + 1) % PEER_CONNECT_LONG_EVERY == 0;

    return is_long ? PEER_CONNECT_LONG_MS : PEER_CONNECT_MS;
}

/* True: it is being connected. */
static bool dial_address(struct peer_dial *dial,
                         const struct evutil_addrinfo *at, const char **why)
{
    const int on = 1;
    struct peer_conn *conn;
    int fd =
        socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        *why = strerrordesc_np(errno);
        return false;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, at->ai_addr, (socklen_t)at->ai_addrlen) < 0 &&
        errno != EINPROGRESS) {
        *why = strerrordesc_np(errno);
        (void)close(fd);
        return false;
    }
    conn = peer_link_create(dial->net, fd);
    conn->link = dial->link;
    conn->member = dial->member;
    conn->dial = dial;
    dial->conn = conn;
    dial->address_until_ms = clock_monotonic_ms() + connect_ms_max(dial);
    peer_link_watch(conn, false, true); /* connected at once: at once ready */
    return true;
}

static void note_address(struct peer_member *member, int fd)
{
    struct sockaddr_storage at = {0};
    socklen_t len = sizeof(at);
    char host[48], service[8];

    if (getpeername(fd, (struct sockaddr *)&at, &len) == 0 &&
        getnameinfo((struct sockaddr *)&at, len, host, sizeof(host), service,
                    sizeof(service), NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
        (void)snprintf(member->address, sizeof(member->address),
                       strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host,
                       service);
    }
}

void peer_dial_connected(struct peer_conn *conn)
{
    int err = 0;
    socklen_t len = sizeof(err);

    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0) {
        err = errno;
    }
    if (err != 0) {
        peer_link_end(conn, strerrordesc_np(err));
        return;
    }
    note_address(&conn->net->members[conn->member], conn->fd);
    peer_hello_say(conn);
}

void peer_dial_lost(struct peer_dial *dial, const char *why)
{
    dial->conn = NULL;
    next_address(dial, why);
}

/* ---- time, and the end ---- */

static void note_failed(struct peer_dial *dial, const char *why)
{
    const struct peer_member *member = &dial->net->members[dial->member];
    int64_t now_ms = clock_monotonic_ms();
    struct log_line line;

    dial->failed++;
    if (now_ms - dial->noted_ms < NOTE_EVERY_MS) {
        return;
    }
    dial->noted_ms = now_ms;
    log_begin(&line, LOG_INFO, "peer_unreachable");
    log_text(&line, "link", peer_link_name(dial->link));
    log_int(&line, "id", (int64_t)member->id);
    log_text(&line, "host", member->line->host);
    log_int(&line, "attempts", (int64_t)dial->failed);
    log_text(&line, "reason", why);
    log_end(&line);
}

static void fail(struct peer_dial *dial, const char *why)
{
    note_failed(dial, why);
    end_attempt(dial);
    if (dial->link == PEER_LINK_LEADER) {
        dial->net->leader_failed = true;
    } else {
        peer_dial_later(dial, dial->member);
    }
}

void peer_dial_sweep(struct peer_dial *dial, int64_t now_ms, int64_t late_ms)
{
    struct peer_conn *conn = dial->conn;

    if (!dial->active) {
        return;
    }
    dial->until_ms =
        peer_not_later(dial->until_ms, late_ms, now_ms + PEER_DIAL_MS);
    dial->address_until_ms = peer_not_later(dial->address_until_ms, late_ms,
                                            now_ms + connect_ms_max(dial));
    if (conn != NULL) {
        conn->since_ms = peer_not_later(conn->since_ms, late_ms, now_ms);
    }
    if (conn != NULL && conn->stage == PEER_AGREED) {
        return;
    }
    if (now_ms >= dial->until_ms) {
        dial->conn = NULL;
        peer_link_free(conn);
        fail(dial, "it took too long");
    } else if (conn != NULL && conn->stage == PEER_CONNECTING &&
               now_ms >= dial->address_until_ms) {
        dial->pause_ms = 0; /* that was pause enough */
        peer_link_end(conn, "no connection in time");
    } else if (conn != NULL && conn->stage == PEER_GREETING &&
               now_ms - conn->since_ms >= PEER_HELLO_MS) {
        peer_link_end(conn, "it says nothing");
    }
}
