/* Up to eight servers' zabs in one process, over links in memory and disks in
 * memory: every message, every disk op and every tick happens when the test
 * says so, in an order it chooses or a seed draws.
 *
 * Looked at with every effect, whatever the test is about: nothing is
 * acknowledged or promised that the sender's disk does not have, no epoch is
 * promised twice, no epoch has two leaders, all deliver prefixes of one
 * sequence in which everything was proposed as it is delivered, and a barrier
 * is done when all that was delivered anywhere before it is delivered here.
 *
 * Servers are numbered from 1: voters first, then observers. NET_TRACE=1 in the
 * environment prints every input and effect. */
#ifndef CORRAL_TESTS_UNIT_ZAB_NET_H
#define CORRAL_TESTS_UNIT_ZAB_NET_H

#include "base/list.h"
#include "base/prng.h"
#include "tests/support/fake_disk.h"
#include "zab/zab.h"

#define NET_SERVERS_MAX 8
#define NET_VALUES_MAX 8192
#define NET_BARRIERS_MAX 4096
#define NET_EPOCHS_MAX 4096

struct net_options {
    uint64_t seed;
    unsigned voters, observers;
    uint32_t counter_max;       /* as zab_config */
    uint32_t history_bytes_max; /* as zab_config */
    unsigned checkpoint_every;  /* deliveries; 0: never */
    size_t payload_max;         /* bytes; 0: 16 */
};

struct net_value {
    zxid_t zxid; /* 0: not proposed yet */
    unsigned number;
};

enum net_what {
    NET_SAID,      /* server sent it to peer, on whatever link */
    NET_HEARD,     /* server was given it, from peer */
    NET_CLOSED,    /* server's end of a link to peer */
    NET_PROPOSED,  /* server was given a proposal that became zxid */
    NET_DELIVERED, /* server was told zxid */
    NET_LEADS,     /* server became a leader, or its epoch another one */
    NET_DIED,      /* server */
};

/* One thing that happened, and what the server had after it; PROPOSED, HEARD,
 * CLOSED and DIED: before. */
struct net_event {
    enum net_what what;
    unsigned server, peer;
    enum peer_link link; /* the server's end */
    enum peer_msg_type type;
    uint32_t epoch;
    zxid_t zxid;
    uint32_t payloads_count;
    bool counted, voting;   /* ACK_EPOCH; FOLLOWER_INFO */
    uint32_t epoch_current; /* that the message says */
    enum zab_role role;
    zxid_t committed, logged, last; /* the last delivered */
    size_t place;                   /* DELIVERED: in its tree, from 0 */
    uint32_t accepted, current;     /* on its disk */
    zxid_t stored;                  /* likewise */
};

struct net_server {
    struct zab *zab; /* NULL: down */
    struct zab_config config;
    struct fake_disk *disk;
    bool disk_held;  /* no op is done */
    bool paused;     /* nothing at all happens here */
    bool resigned;   /* leads no more until it is started again */
    bool diverged;   /* its disk is being told that it is blank */
    unsigned dial;   /* a link to this server is being opened; 0: none */
    const char *why; /* of its last change of role */

    /* The tree: what was delivered, in order. */
    struct net_value *tree;
    size_t count, capacity;
    bool loading;
    unsigned loads;
    zxid_t loaded; /* of the last tree from the disk */

    /* Its checkpoint, as replica/ would take it. */
    size_t checkpointed;
    bool checkpointing, outdated;
    uint64_t seq;

    uint32_t promised; /* the last epoch it promised so that it counts */
    size_t barriers_done;
};

struct net {
    struct net_options options;
    struct prng prng;
    bool trace;
    struct zab_member members[NET_SERVERS_MAX];
    unsigned count;
    struct net_server servers[NET_SERVERS_MAX + 1]; /* from 1 */
    /* By the receiver's kind of link, sender, receiver. */
    struct list links[PEER_LINKS_COUNT][NET_SERVERS_MAX + 1]
                     [NET_SERVERS_MAX + 1];
    bool mesh[NET_SERVERS_MAX + 1][NET_SERVERS_MAX + 1];   /* both ways */
    bool quorum[NET_SERVERS_MAX + 1][NET_SERVERS_MAX + 1]; /* learner, leader */
    bool cuts[NET_SERVERS_MAX + 1][NET_SERVERS_MAX + 1];
    bool held[NET_SERVERS_MAX + 1][NET_SERVERS_MAX + 1]; /* from, to */

    struct net_value order[NET_VALUES_MAX]; /* delivered by anybody */
    size_t order_count;
    struct net_value values[NET_VALUES_MAX]; /* proposed, by number */
    size_t values_count;
    struct {
        uint32_t epoch;
        unsigned leader;
    } reigns[NET_EPOCHS_MAX];
    size_t reigns_count;
    struct {
        unsigned leader;
        size_t order_count; /* when it was taken */
    } barriers[NET_BARRIERS_MAX];
    size_t barriers_count;

    struct net_event *events;
    size_t events_count, events_capacity;
    uint64_t marks[ZAB_MARKS_COUNT]; /* of all that went down */
};

void net_init(struct net *net, const struct net_options *options);
void net_finish(struct net *net);

void net_start(struct net *net, unsigned id); /* with what its disk has */
void net_start_all(struct net *net);          /* those that are down */
void net_crash(struct net *net, unsigned id); /* what waits for the disk: some
                                               * of it is done, drawn */
void net_wipe(struct net *net, unsigned id);  /* its disk; it must be down */
void net_cut(struct net *net, unsigned a, unsigned b);
void net_join(struct net *net, unsigned a, unsigned b);
void net_isolate(struct net *net, unsigned id);
void net_join_all(struct net *net);
/* Messages from a to b wait; nobody is told. */
void net_hold(struct net *net, unsigned from, unsigned to, bool hold);

void net_tick(struct net *net); /* of all; links that are missing are made */
/* One event, drawn: a message, a link, a disk op. False: none is possible. */
bool net_step(struct net *net);
/* So many ticks, after each of which all that can happen does. */
void net_run(struct net *net, unsigned ticks);
/* Until the condition; fails the test when it is not so within the ticks. */
void net_run_until(struct net *net, bool (*done)(struct net *), unsigned ticks);
void net_settle(struct net *net); /* all that can happen without a tick does */

unsigned net_leader(const struct net *net); /* that can propose; 0: none */
enum zab_role net_role(const struct net *net, unsigned id);
bool net_serving(const struct net *net, unsigned id);
bool net_all_serve(struct net *net); /* everybody up serves, one leads */
/* And everybody up has delivered all that anybody has. */
bool net_all_equal(struct net *net);
/* A new value; 0: it cannot. */
zxid_t net_propose(struct net *net, unsigned id);
void net_barrier(struct net *net, unsigned id); /* it must lead */
void net_resign(struct net *net, unsigned id);
void net_diverge(struct net *net, unsigned id);
/* Up or down: may it lose its vote, or its disk, and can a quorum still be? */
bool net_can_spare(const struct net *net, unsigned id);

/* The last one of this kind and type, from 0 for anybody; NULL: none. */
const struct net_event *net_last(const struct net *net, enum net_what what,
                                 unsigned server, enum peer_msg_type type);
size_t net_count(const struct net *net, enum net_what what, unsigned server,
                 enum peer_msg_type type);
void net_forget_events(struct net *net);
bool net_has_delivered(const struct net *net, unsigned id, zxid_t zxid);
uint64_t net_marks(const struct net *net, enum zab_mark mark);

#endif
