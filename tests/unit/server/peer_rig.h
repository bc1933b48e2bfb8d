/* Links between servers for real: up to three net_peers in one process, over
 * loops that only write down what they are told, and raw sockets that play a
 * server. Defines what net_peer.c and peer_*.c need of loop.c. */
#ifndef CORRAL_TESTS_PEER_RIG_H
#define CORRAL_TESTS_PEER_RIG_H

#include <event2/event.h>

#include "base/buf.h"
#include "base/clock.h"
#include "proto/hello.h"
#include "server/config.h"
#include "server/loop.h"
#include "server/net_peer.h"

#define RIG_SERVERS 3
#define RIG_TOLD_MAX 20000

struct told {
    enum replica_input_type type;
    enum peer_link link;
    uint64_t id;
    uint32_t version;
    enum peer_msg_type message;
    zxid_t zxid;
    uint32_t payloads, crc; /* how many, and of all their bytes */
};

/* One server. */
struct loop {
    struct config config;
    struct net_peer *net;
    bool has_cluster;
    uint8_t cluster;                 /* each byte of its id */
    unsigned frames_max, frames_now; /* of a wake-up; 0: any number */
    struct told told[RIG_TOLD_MAX];
    size_t told_count;
    /* An effect that was decided and is carried out when asked. */
    bool effect;
    uint64_t effect_to;
};

struct rig {
    struct event_base *base;
    struct loop *loops[RIG_SERVERS]; /* of ids 1, 2, 3; NULL: not running */
    uint16_t quorum_ports[RIG_SERVERS], election_ports[RIG_SERVERS];
    struct config_server_line lines[RIG_SERVERS];
};

/* Ports and config; no server runs. */
void rig_init(struct rig *rig);
void rig_finish(struct rig *rig);
/* Made, not listening yet; rig_serve() opens it. */
struct loop *rig_server(struct rig *rig, uint64_t id);
void rig_serve(struct rig *rig, uint64_t id);
void rig_stop(struct rig *rig, uint64_t id);
void rig_turn(struct rig *rig); /* a wake-up of each that waits 1 ms at most */
void rig_run(struct rig *rig, int64_t ms);
/* How often it was told so. */
size_t rig_told(const struct loop *loop, enum replica_input_type type,
                enum peer_link link, uint64_t id);

/* ---- a server played by hand */

int raw_connect(struct rig *rig, uint16_t port);
int raw_listen(uint16_t port);
int raw_accept(struct rig *rig, int listener);
void raw_write(struct rig *rig, int fd, const void *bytes, size_t size);
/* The next size bytes, or fewer when the stream ends before them. */
size_t raw_read(struct rig *rig, int fd, void *bytes, size_t size);
bool raw_at_end(struct rig *rig, int fd); /* nothing more but the end */
struct hello raw_hello(enum hello_link link, uint64_t from, uint64_t to);
void raw_say(struct rig *rig, int fd, const struct hello *hello);
/* False: the stream ended. refused is put into text. */
bool raw_hear(struct rig *rig, int fd, struct hello *hello, char text[129]);
/* Both hellos; the link is up at this end. */
int raw_link(struct rig *rig, enum hello_link link, uint64_t from, uint64_t to);
void raw_frame(struct rig *rig, int fd, struct peer_msg *msg);

#define RIG_UNTIL(rig, condition)                         \
    do {                                                  \
        int64_t until_ms = clock_monotonic_ms() + 20000;  \
        while (!(condition)) {                            \
            cr_assert_lt(clock_monotonic_ms(), until_ms); \
            rig_turn(rig);                                \
        }                                                 \
    } while (0)

#endif
