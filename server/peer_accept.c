#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "base/log.h"
#include "server/config.h"
#include "server/peer_internal.h"

#define BACKLOG 1024   /* the kernel cuts it to net.core.somaxconn */
#define ACCEPTS_MAX 32 /* of a port, per wake-up */
#define ACCEPT_PAUSE_MS 100

static void on_accept(evutil_socket_t fd, short what, void *arg);
static void on_pause_over(evutil_socket_t fd, short what, void *arg);

static void log_failed(const char *host, uint16_t port, const char *reason)
{
    struct log_line line;

    log_begin(&line, LOG_ERROR, "listen_failed");
    log_text(&line, "address", host != NULL ? host : "*");
    log_int(&line, "port", port);
    log_text(&line, "reason", reason);
    log_end(&line);
}

/* A listening socket, or -errno. */
static int bind_to(const struct addrinfo *at, bool dual)
{
    const int on = 1, six_only = dual ? 0 : 1;
    int err, fd = socket(at->ai_family,
                         SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -errno;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (at->ai_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &six_only,
                         sizeof(six_only));
    }
    if (bind(fd, at->ai_addr, at->ai_addrlen) == 0 &&
        listen(fd, BACKLOG) == 0) {
        return fd;
    }
    err = errno;
    (void)close(fd);
    return -err;
}

static void add_listener(struct net_peer *net, int fd, enum hello_link link)
{
    struct peer_listener *listener = &net->listeners[net->listeners_count++];

    listener->net = net;
    listener->fd = fd;
    listener->link = link;
    CHECK(event_assign(&listener->event, net->base, fd, EV_READ | EV_PERSIST,
                       on_accept, listener) == 0);
}

/* host NULL: all addresses, in one socket where the machine has IPv6. NULL, or
 * what is wrong. */
static const char *listen_on(struct net_peer *net, const char *host,
                             uint16_t port, enum hello_link link)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    size_t before = net->listeners_count;
    struct addrinfo *found, *at;
    const char *wrong = NULL;
    char service[16];
    int err;

    (void)snprintf(service, sizeof(service), "%u", port);
    if (host == NULL) {
        hints.ai_family = AF_INET6;
    }
    err = getaddrinfo(host, service, &hints, &found);
    if (err != 0) {
        return gai_strerror(err);
    }
    for (at = found;
         at != NULL && net->listeners_count - before < PEER_ADDRESSES_MAX;
         at = at->ai_next) {
        int fd = bind_to(at, host == NULL);

        if (fd >= 0) {
            add_listener(net, fd, link);
        } else {
            wrong = strerrordesc_np(-fd);
        }
    }
    freeaddrinfo(found);
    if (host == NULL && net->listeners_count == before) {
        return listen_on(net, "0.0.0.0", port, link); /* no IPv6 here */
    }
    return net->listeners_count > before ? NULL : wrong;
}

/* The address of our own line may not be there yet: tried again, a second
 * later, as often as electionPortBindRetry says. */
static int listen_patiently(struct net_peer *net, uint16_t port,
                            enum hello_link link)
{
    static const struct timespec second = {1, 0};
    const struct config *config = net->config;
    const char *host = config->quorum_listen_on_all
                           ? NULL
                           : net->members[net->self].line->host;

    for (uint32_t i = 1;; i++) {
        const char *wrong = listen_on(net, host, port, link);

        if (wrong == NULL) {
            return 0;
        }
        log_failed(host, port, wrong);
        if (i == config->election_bind_retries) {
            return ERR_IO;
        }
        (void)nanosleep(&second, NULL);
    }
}

int peer_accept_open(struct net_peer *net)
{
    const struct config_server_line *line = net->members[net->self].line;
    int err;

    net->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(event_assign(&net->pause, net->base, -1, 0, on_pause_over, net) == 0);
    err = listen_patiently(net, line->election_port, HELLO_ELECTION);
    if (err == 0) {
        err = listen_patiently(net, line->quorum_port, HELLO_QUORUM);
    }
    return err;
}

void peer_accept_close(struct net_peer *net)
{
    for (size_t i = 0; i < net->listeners_count; i++) {
        (void)event_del(&net->listeners[i].event);
        (void)close(net->listeners[i].fd);
    }
    net->listeners_count = 0;
    (void)event_del(&net->pause);
    if (net->reserve_fd >= 0) {
        (void)close(net->reserve_fd);
    }
}

void peer_accept_serve(struct net_peer *net)
{
    for (size_t i = 0; i < net->listeners_count; i++) {
        CHECK(event_add(&net->listeners[i].event, NULL) == 0);
    }
}

/* ---- strangers ---- */

static void drop_oldest(struct net_peer *net, enum peer_note note,
                        const char *why)
{
    struct peer_conn *oldest =
        LIST_ENTRY(net->strangers.next, struct peer_conn, in);

    peer_note(net, note, 0, why, slice_make(NULL, 0));
    peer_link_free(oldest);
}

static void take(struct peer_listener *listener, int fd)
{
    const int on = 1;
    struct net_peer *net = listener->net;
    struct peer_conn *conn;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (net->strangers_count >= PEER_STRANGERS_MAX) {
        drop_oldest(net, PEER_NOTE_CROWD,
                    "too many connections that say nothing");
    }
    conn = peer_link_create(net, fd);
    conn->accepted = true;
    conn->link = listener->link == HELLO_ELECTION ? PEER_LINK_ELECTION
                                                  : PEER_LINK_LEARNER;
    peer_link_move(conn, PEER_GREETING);
    peer_link_watch(conn, true, false);
    peer_hello_read(conn); /* mostly it is there already */
}

/* No descriptor is left. Members are to come in all the same: a stranger makes
 * room; without one, one who waits is turned away, and the next ones wait. */
static void no_descriptor(struct peer_listener *listener)
{
    static const struct timeval pause = {0, ACCEPT_PAUSE_MS * 1000L};
    struct net_peer *net = listener->net;

    if (!list_empty(&net->strangers)) {
        drop_oldest(net, PEER_NOTE_NO_FD, "no descriptor is left");
        return;
    }
    peer_note(net, PEER_NOTE_NO_FD, 0, "no descriptor is left",
              slice_make(NULL, 0));
    if (net->reserve_fd >= 0) {
        int fd;

        (void)close(net->reserve_fd);
        fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            (void)close(fd);
        }
        net->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    for (size_t i = 0; i < net->listeners_count; i++) {
        (void)event_del(&net->listeners[i].event);
    }
    CHECK(event_add(&net->pause, &pause) == 0);
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
    struct peer_listener *listener = arg;

    (void)what;
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        int got = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (got >= 0) {
            take(listener, got);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
                   errno == ENOMEM) {
            no_descriptor(listener);
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return;
        }
    }
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    peer_accept_serve(arg);
}
