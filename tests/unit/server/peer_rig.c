#include "peer_rig.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/mem.h"

/* ---- loop.c ---- */

void loop_input(struct loop *loop, struct replica_input *input)
{
    struct told *told = &loop->told[loop->told_count++];

    cr_assert_lt(loop->told_count, RIG_TOLD_MAX);
    *told = (struct told){
        .type = input->type, .link = input->link, .id = input->peer_id};
    if (input->type == REPLICA_PEER_UP) {
        told->version = input->version;
    } else if (input->type == REPLICA_PEER_MESSAGE) {
        loop->frames_now++;
        told->message = input->message->type;
        told->zxid = input->message->zxid;
        told->payloads = input->message->payloads_count;
        for (uint32_t i = 0; i < told->payloads; i++) {
            told->crc =
                crc32c(told->crc, blob_bytes(input->message->payloads[i]));
        }
    }
}

bool loop_peers_full(struct loop *loop)
{
    return loop->frames_max != 0 && loop->frames_now >= loop->frames_max;
}

bool loop_cluster_id(const struct loop *loop, uint8_t *id)
{
    memset(id, loop->cluster, HELLO_CLUSTER_ID_SIZE);
    return loop->has_cluster;
}

void loop_carry_out(struct loop *loop)
{
    struct peer_msg msg = {.type = PEER_VOTE, .vote.state = PEER_LOOKING};

    if (loop->effect) {
        loop->effect = false;
        net_peer_send(loop->net, PEER_LINK_ELECTION, loop->effect_to, &msg);
        net_peer_flush(loop->net);
    }
}

/* ---- the rig ---- */

static uint16_t free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    (void)close(fd);
    return ntohs(at.sin_port);
}

void rig_init(struct rig *rig)
{
    static char host[] = "127.0.0.1";

    (void)signal(SIGPIPE, SIG_IGN); /* as main.c does */
    memset(rig, 0, sizeof(*rig));
    rig->base = event_base_new();
    for (unsigned i = 0; i < RIG_SERVERS; i++) {
        rig->quorum_ports[i] = free_port();
        rig->election_ports[i] = free_port();
        rig->lines[i] = (struct config_server_line){
            .id = i + 1,
            .host = host,
            .quorum_port = rig->quorum_ports[i],
            .election_port = rig->election_ports[i]};
    }
}

void rig_finish(struct rig *rig)
{
    for (uint64_t id = 1; id <= RIG_SERVERS; id++) {
        rig_stop(rig, id);
    }
    event_base_free(rig->base);
}

struct loop *rig_server(struct rig *rig, uint64_t id)
{
    struct loop *loop = MEM_NEW(struct loop);

    loop->config.my_id = id;
    loop->config.ensemble = true;
    loop->config.servers = rig->lines;
    loop->config.servers_count = RIG_SERVERS;
    loop->config.peer_version_max = HELLO_VERSION;
    loop->config.election_bind_retries = 1;
    rig->loops[id - 1] = loop;
    return loop;
}

void rig_serve(struct rig *rig, uint64_t id)
{
    struct loop *loop = rig->loops[id - 1];

    cr_assert_eq(net_peer_open(rig->base, &loop->config, loop, &loop->net), 0);
    net_peer_serve(loop->net);
}

void rig_stop(struct rig *rig, uint64_t id)
{
    struct loop *loop = rig->loops[id - 1];

    if (loop != NULL) {
        net_peer_close(loop->net);
        mem_free(loop);
        rig->loops[id - 1] = NULL;
    }
}

void rig_turn(struct rig *rig)
{
    struct timeval soon = {0, 1000};

    for (int i = 0; i < RIG_SERVERS; i++) {
        struct loop *loop = rig->loops[i];

        if (loop != NULL) {
            loop->frames_now = 0;
            if (net_peer_has_work(loop->net)) {
                net_peer_work(loop->net);
                soon.tv_usec = 0;
            }
        }
    }
    (void)event_base_loopexit(rig->base, &soon);
    (void)event_base_loop(rig->base, EVLOOP_ONCE);
    for (int i = 0; i < RIG_SERVERS; i++) {
        if (rig->loops[i] != NULL) {
            net_peer_flush(rig->loops[i]->net);
        }
    }
}

void rig_run(struct rig *rig, int64_t ms)
{
    int64_t until_ms = clock_monotonic_ms() + ms;

    while (clock_monotonic_ms() < until_ms) {
        rig_turn(rig);
    }
}

size_t rig_told(const struct loop *loop, enum replica_input_type type,
                enum peer_link link, uint64_t id)
{
    size_t count = 0;

    for (size_t i = 0; i < loop->told_count; i++) {
        const struct told *told = &loop->told[i];

        count += told->type == type && told->link == link && told->id == id;
    }
    return count;
}

/* ---- by hand ---- */

static struct sockaddr_in address_of(uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int raw_connect(struct rig *rig, uint16_t port)
{
    struct sockaddr_in at = address_of(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)rig;
    cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    cr_assert_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

int raw_listen(uint16_t port)
{
    const int on = 1;
    struct sockaddr_in at = address_of(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    cr_assert_eq(listen(fd, 10), 0);
    return fd;
}

int raw_accept(struct rig *rig, int listener)
{
    int fd = -1;

    RIG_UNTIL(rig, (fd = accept4(listener, NULL, NULL,
                                 SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
    return fd;
}

void raw_write(struct rig *rig, int fd, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;

    while (size > 0) {
        ssize_t n = write(fd, at, size);

        if (n > 0) {
            at += n;
            size -= (size_t)n;
        } else {
            cr_assert_eq(errno, EAGAIN);
        }
        rig_turn(rig);
    }
}

size_t raw_read(struct rig *rig, int fd, void *bytes, size_t size)
{
    int64_t until_ms = clock_monotonic_ms() + 20000;
    size_t got = 0;

    while (got < size) {
        ssize_t n = read(fd, (uint8_t *)bytes + got, size - got);

        cr_assert_lt(clock_monotonic_ms(), until_ms, "%zu of %zu bytes", got,
                     size);
        if (n == 0 || (n < 0 && errno == ECONNRESET)) {
            break;
        }
        if (n > 0) {
            got += (size_t)n;
        } else {
            cr_assert_eq(errno, EAGAIN);
            rig_turn(rig);
        }
    }
    return got;
}

bool raw_at_end(struct rig *rig, int fd)
{
    uint8_t byte;

    return raw_read(rig, fd, &byte, 1) == 0;
}

struct hello raw_hello(enum hello_link link, uint64_t from, uint64_t to)
{
    return (struct hello){.version_min = HELLO_VERSION_LEAST,
                          .version_max = HELLO_VERSION,
                          .link = link,
                          .sender = from,
                          .receiver = to};
}

void raw_say(struct rig *rig, int fd, const struct hello *hello)
{
    struct buf out = {0};

    hello_encode(hello, &out);
    raw_write(rig, fd, out.data, out.len);
    buf_finish(&out);
}

bool raw_hear(struct rig *rig, int fd, struct hello *hello, char text[129])
{
    uint8_t bytes[4 + HELLO_SIZE_MAX];
    struct arena *arena = arena_create(1024);
    uint32_t len;

    text[0] = '\0';
    if (raw_read(rig, fd, bytes, 4) < 4) {
        arena_destroy(arena);
        return false;
    }
    len = bytes_load32(bytes);
    cr_assert_leq(len, HELLO_SIZE_MAX);
    cr_assert_eq(raw_read(rig, fd, bytes + 4, len), len);
    cr_assert_eq(hello_decode(slice_make(bytes + 4, len), arena, hello), 0);
    if (hello->refused.ptr != NULL) {
        memcpy(text, hello->refused.ptr, hello->refused.len);
        text[hello->refused.len] = '\0';
    }
    arena_destroy(arena);
    return true;
}

int raw_link(struct rig *rig, enum hello_link link, uint64_t from, uint64_t to)
{
    uint16_t port = link == HELLO_ELECTION ? rig->election_ports[to - 1]
                                           : rig->quorum_ports[to - 1];
    struct hello hello = raw_hello(link, from, to);
    int fd = raw_connect(rig, port);
    char text[129];

    raw_say(rig, fd, &hello);
    cr_assert(raw_hear(rig, fd, &hello, text));
    cr_assert_str_eq(text, "");
    return fd;
}

void raw_frame(struct rig *rig, int fd, struct peer_msg *msg)
{
    struct buf out = {0};

    peer_msg_encode_head(msg, &out);
    for (uint32_t i = 0; i < msg->payloads_count; i++) {
        buf_append(&out, blob_bytes(msg->payloads[i]));
    }
    raw_write(rig, fd, out.data, out.len);
    buf_finish(&out);
}
