/* N servers, a network, N disks and M clients in one process, one thread, one
 * seed: the same object code as corrald's, driven by virtual time.
 *
 * Times are virtual microseconds. Servers are numbered from 1, as in zoo.cfg:
 * voters first, then observers; clients from 0. Every random choice is drawn
 * from the seed, by a generator for each subsystem, so that one more draw in
 * one does not shift the others. */
#ifndef CORRAL_TESTS_SIM_SIM_H
#define CORRAL_TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/slice.h"
#include "replica/replica.h"

struct sim;

#define SIM_SERVERS_MAX 10
#define SIM_MS UINT64_C(1000)
#define SIM_SECOND (1000 * SIM_MS)

/* Faults that happen by themselves: in parts per million per tick of 20 ms of
 * the whole cluster; 0: never. */
struct sim_faults {
    uint32_t cut;        /* a pair, a half, one server, one direction, the
                          * leader alone, a bridge: drawn */
    uint32_t join;       /* a cut is mended */
    uint32_t reset;      /* a link or a client's connection breaks */
    uint32_t black_hole; /* a link goes silent without breaking */
    uint32_t crash;      /* process and unsynced writes are lost */
    uint32_t restart;    /* of one that is down */
    uint32_t wipe;       /* a restart with an empty disk, while enough others
                          * have whole copies */
    uint32_t pause;      /* SIGSTOP: nothing for a while, then all at once */
    uint32_t disk_slow;  /* a sync takes up to seconds */
    uint32_t disk_full;  /* low, then room again */
    uint32_t wall_jump;  /* the wall clock, by days */
    uint32_t skew;       /* a server's monotonic clock is up to 5 % off:
                          * drawn once; this is a yes or no */
    uint32_t resign;     /* SIGTERM of the leader */
    uint32_t trap;       /* the next message of some kind sets one off: its
                          * reader or sender ends, or their link, or all of
                          * the reader's links */
    uint32_t lie;        /* a learner is told that its tree is not the
                          * leader's, while enough others have whole copies */
    uint64_t from_us;    /* none before */
    bool split_bytes;    /* frames arrive in small pieces, of one byte even */
};

struct sim_options {
    uint64_t seed;
    unsigned voters, observers, clients;
    struct sim_faults faults;
    uint32_t link_us_min, link_us_max; /* delay of a message */
    uint32_t disk_us_min, disk_us_max; /* of a batch of ops */
    uint32_t checkpoint_records;       /* small: SNAPs are frequent */
    uint32_t history_bytes_max;        /* small: DIFFs come from the log */
    uint32_t log_segment;              /* records purged at once; 0: drawn */
    uint32_t counter_max;              /* small: epochs change in place; 0 */
    uint32_t slice_units;              /* small: long work is cut often; 0 */
    int32_t session_timeout_ms;        /* that clients ask for */
    bool linear_reads;                 /* linearizableReads=all */
    bool power_cut;      /* when all is healed all lose power, in mid-write */
    bool read_only;      /* read-only mode is on, and some ask for it */
    bool clients_idle;   /* they connect and do only what they are told */
    bool prompt;         /* a message or an end of a connection is never late */
    bool keep_lines;     /* for sim_expect() */
    FILE *trace;         /* every event, readable; or NULL */
    uint64_t trace_from; /* the first event to be printed */
};

/* What the seed draws: ensemble, rates and sizes (swarm). */
void sim_options_draw(uint64_t seed, struct sim_options *options);

struct sim *sim_create(const struct sim_options *options);
void sim_destroy(struct sim *sim);

/* The next event; false: a finding (sim_finding() says which), or nothing is
 * left to happen. */
bool sim_step(struct sim *sim);
/* Until the time, the condition, or a finding; false: not so (in time). */
bool sim_run(struct sim *sim, uint64_t for_us);
bool sim_run_until(struct sim *sim, bool (*done)(struct sim *),
                   uint64_t for_us);
uint64_t sim_now_us(const struct sim *sim);
uint64_t sim_events(const struct sim *sim); /* messages delivered, disk
                                             * completions, client requests and
                                             * replies, faults */
uint64_t sim_hash(const struct sim *sim);   /* of all that has happened */

/* Findings: the name of the invariant, then what is wrong. The first one
 * counts. Callable from anywhere below. */
void sim_fail(struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
const char *sim_finding(const struct sim *sim); /* NULL: none */
void sim_trace(struct sim *sim, unsigned server, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool sim_tracing(const struct sim *sim);

/* Faults by hand. */
void sim_crash(struct sim *sim, unsigned server); /* unsynced writes are lost */
void sim_restart(struct sim *sim, unsigned server);
void sim_wipe(struct sim *sim, unsigned server); /* its disk; it must be down */
void sim_pause(struct sim *sim, unsigned server, uint64_t for_us);
void sim_cut(struct sim *sim, unsigned a, unsigned b); /* both directions */
void sim_cut_one_way(struct sim *sim, unsigned from, unsigned to);
void sim_isolate(struct sim *sim, unsigned server); /* from all servers */
void sim_join(struct sim *sim, unsigned a, unsigned b);
void sim_disk_hold(struct sim *sim, unsigned server,
                   bool hold); /* no op ends */
void sim_resign(struct sim *sim, unsigned server);
/* No faults from now on; everything mended, everybody up. */
void sim_heal_all(struct sim *sim);
/* Heals, and demands within 30 virtual seconds: one leader, all serve, every
 * client's next write acknowledged, all digests equal, nothing queued. False:
 * a finding. */
bool sim_must_settle(struct sim *sim);

/* What tests look at. */
unsigned sim_servers(const struct sim *sim);
bool sim_up(const struct sim *sim, unsigned server);
const struct replica *sim_replica(const struct sim *sim, unsigned server);
unsigned sim_leader(const struct sim *sim); /* serving, highest epoch; 0 */
bool sim_serving(const struct sim *sim, unsigned server);
zxid_t sim_zxid(const struct sim *sim, unsigned server); /* delivered */

/* Golden traces: all protocol lines (messages, roles, stores) since the last
 * call must be these, or the test fails with the difference; UPDATE=1 in the
 * environment prints what they should be. */
void sim_expect(struct sim *sim, const char *lines);
void sim_forget_lines(struct sim *sim); /* what came so far is not compared */

/* Counters and marks, for the run's report: name and count, index from 0; NULL
 * behind the last. Marks are zab's, replica's and the simulator's own. */
const char *sim_mark(const struct sim *sim, size_t index, uint64_t *count);
const char *sim_counter(const struct sim *sim, size_t index, uint64_t *count);
void sim_count(struct sim *sim, const char *name); /* static text */

/* ---- for clients (client.c) */

/* One timer for each client; a later call moves it. */
void sim_client_at(struct sim *sim, unsigned client, uint64_t at_us);
/* A connection to a server: client_connected() or client_closed() follows. */
uint64_t sim_dial(struct sim *sim, unsigned client, unsigned server);
void sim_client_send(struct sim *sim, uint64_t conn_id, struct slice bytes);
void sim_hang_up(struct sim *sim, uint64_t conn_id); /* no client_closed() */

#endif
