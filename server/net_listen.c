#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/log.h"
#include "server/config.h"
#include "server/net_internal.h"

#define BACKLOG 4096 /* the kernel cuts it to net.core.somaxconn */

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static int fail(const struct config *config, const char *reason)
{
    struct log_line line;

    log_begin(&line, LOG_ERROR, "listen_failed");
    log_text(&line, "address",
             config->client_address != NULL ? config->client_address : "*");
    log_int(&line, "port", config->client_port);
    log_text(&line, "reason", reason);
    log_end(&line);
    return ERR_IO;
}

/* The addresses to try: the one of the configuration, or IPv6 with IPv4 in it,
 * or IPv4 alone where the machine has no IPv6. */
static int bind_to(const struct config *config, const struct sockaddr *address,
                   socklen_t len, int *fd)
{
    const int on = 1;
    const int off = 0;

    *fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                 0);
    if (*fd < 0) {
        return -errno;
    }
    /* Options are inherited by what is accepted; best effort. */
    (void)setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    (void)setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (config->tcp_keep_alive) {
        (void)setsockopt(*fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    }
    if (address->sa_family == AF_INET6) {
        (void)setsockopt(*fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    }
    if (bind(*fd, address, len) < 0 ||
        listen(*fd, config->listen_backlog > 0 ? config->listen_backlog
                                               : BACKLOG) < 0) {
        int err = errno;

        (void)close(*fd);
        return -err;
    }
    return 0;
}

static int bind_any(const struct config *config, int *fd)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6,
                               .sin6_port = htons(config->client_port),
                               .sin6_addr = IN6ADDR_ANY_INIT};
    struct sockaddr_in four = {.sin_family = AF_INET,
                               .sin_port = htons(config->client_port),
                               .sin_addr.s_addr = htonl(INADDR_ANY)};
    int err = bind_to(config, (const struct sockaddr *)&six, sizeof(six), fd);

    if (err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL) {
        err = bind_to(config, (const struct sockaddr *)&four, sizeof(four), fd);
    }
    return err;
}

int net_listen_open(const struct config *config, int *fd, uint16_t *port)
{
    struct sockaddr_storage bound = {0};
    socklen_t len = sizeof(bound);
    uint8_t key[16];
    int err;

    if (config->client_address == NULL) {
        err = bind_any(config, fd);
    } else {
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                 .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
        struct addrinfo *found;
        char service[16];

        (void)snprintf(service, sizeof(service), "%u", config->client_port);
        err = getaddrinfo(config->client_address, service, &hints, &found);
        if (err != 0) {
            return fail(config, gai_strerror(err));
        }
        err = bind_to(config, found->ai_addr, found->ai_addrlen, fd);
        freeaddrinfo(found);
    }
    if (err != 0) {
        return fail(config, strerrordesc_np(-err));
    }
    if (getsockname(*fd, (struct sockaddr *)&bound, &len) < 0) {
        (void)close(*fd);
        return fail(config, strerrordesc_np(errno));
    }
    net_listen_key(&bound, key, port);
    return 0;
}

void net_listen_key(const struct sockaddr_storage *from, uint8_t key[16],
                    uint16_t *port)
{
    if (from->ss_family == AF_INET) {
        struct sockaddr_in four;

        memcpy(&four, from, sizeof(four));
        memcpy(key, mapped, sizeof(mapped));
        memcpy(key + sizeof(mapped), &four.sin_addr, 4);
        *port = ntohs(four.sin_port);
    } else {
        struct sockaddr_in6 six;

        memcpy(&six, from, sizeof(six));
        memcpy(key, &six.sin6_addr, 16);
        *port = ntohs(six.sin6_port);
    }
}

void net_listen_text(const uint8_t key[16], char *text, size_t size)
{
    bool four = memcmp(key, mapped, sizeof(mapped)) == 0;

    if (inet_ntop(four ? AF_INET : AF_INET6, four ? key + 12 : key, text,
                  (socklen_t)size) == NULL) {
        text[0] = '\0';
    }
}
