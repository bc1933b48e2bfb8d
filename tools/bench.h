/* corral-bench's parts: a histogram, connections that speak the protocol over
 * libevent, and workloads on them. One thread. Works against any server of the
 * ZooKeeper client protocol. */
#ifndef CORRAL_TOOLS_BENCH_H
#define CORRAL_TOOLS_BENCH_H

#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/prng.h"
#include "proto/client.h"

/* ---- Histogram of nanoseconds: 128 steps in each doubling, so that a value is
 * off by less than one percent. */
struct bench_hist {
    uint64_t counts[64 * 128];
    uint64_t total, max, min;
    double sum;
};
void bench_hist_clear(struct bench_hist *hist);
void bench_hist_add(struct bench_hist *hist, uint64_t ns);
uint64_t bench_hist_at(const struct bench_hist *hist, double percentile);

uint64_t bench_now_ns(void); /* monotonic */

/* ---- Servers */
enum bench_to {
    BENCH_TO_ALL,
    BENCH_TO_LEADER,
    BENCH_TO_FOLLOWERS,
    BENCH_TO_OBSERVERS,
    BENCH_TO_FIRST, /* of the list */
};

struct bench_server {
    char *name; /* host:port */
    struct sockaddr_storage address;
    socklen_t address_size;
};

/* The first targets_count of them get the connections, in turn; the others
 * only those that lost theirs. */
struct bench_servers {
    struct bench_server *items;
    size_t count, targets_count;
};

/* hosts: "a:1,b:2,[::1]:3", resolved; with a to that names a role each is asked
 * (srvr) what it is. 0, or 1 after a message. */
int bench_servers_find(struct bench_servers *servers, const char *hosts,
                       enum bench_to to);
void bench_servers_finish(struct bench_servers *servers);

/* Processes of the servers. */
#define BENCH_PIDS_MAX 64
struct bench_pids {
    long items[BENCH_PIDS_MAX];
    size_t count;
};

/* Sums of /proc: seconds of CPU so far (< 0: not known, or of no process),
 * resident bytes. */
double bench_cpu_s(const struct bench_pids *pids);
uint64_t bench_rss(const struct bench_pids *pids);

/* ---- Connections */
struct bench_conn;

enum bench_state { BENCH_CLOSED, BENCH_CONNECTING, BENCH_SHAKING, BENCH_OPEN };

/* What a connection tells its workload. reply: header of a reply and the body
 * behind it; started_ns as given with the request. */
struct bench_events {
    void (*opened)(struct bench_conn *conn);
    void (*reply)(struct bench_conn *conn, const struct zk_reply_header *header,
                  struct slice body, uint64_t started_ns);
    void (*watch)(struct bench_conn *conn);
    void (*closed)(struct bench_conn *conn); /* by the peer, or refused */
};

struct bench_pending {
    uint64_t started_ns;
    int32_t xid;
};

struct bench_conn {
    struct event_base *base;
    struct event *read_event, *write_event;
    const struct bench_events *events;
    void *owner; /* the workload's */
    struct buf in, out;
    size_t in_used, out_sent;
    uint64_t reads;                /* rises when something is heard */
    struct bench_pending *pending; /* a circle */
    size_t pending_first, pending_count, pending_capacity;
    uint64_t session_id;
    uint64_t number;     /* for the workload: which of its connections */
    zxid_t zxid;         /* the highest that a reply of this session named */
    uint64_t zxids_back; /* replies that named an older one */
    uint8_t password[16];
    int fd;
    int32_t next_xid, timeout_ms;
    enum bench_state state;
    bool write_armed;
    bool resumes; /* the next handshake asks for the session it had */
    bool expired; /* set at closed(): the session was refused */
};

/* Gives. events and owner are borrowed for its life. */
struct bench_conn *bench_conn_create(struct event_base *base,
                                     const struct bench_events *events,
                                     void *owner);
void bench_conn_destroy(struct bench_conn *conn); /* NULL is fine */
/* Connects and shakes hands; opened() or closed() follows. */
void bench_conn_open(struct bench_conn *conn, const struct bench_server *server,
                     int32_t timeout_ms);
void bench_conn_close(struct bench_conn *conn); /* no event */
/* Queues a request; request->xid is set here. Sent by bench_conn_flush(). */
void bench_conn_send(struct bench_conn *conn, struct client_request *request,
                     uint64_t started_ns);
void bench_conn_ping(struct bench_conn *conn);
void bench_conn_flush(struct bench_conn *conn);

/* ---- Options and the run */
struct bench_options {
    const char *hosts;
    enum bench_to to;
    struct bench_servers servers; /* hosts and to, found */
    const char *work;             /* name of the workload */
    const char *path;             /* root of all it touches */
    uint64_t connections, depth, size, keys, per_parent;
    uint64_t requests;            /* 0: by time */
    double seconds, warmup, rate; /* rate 0: as fast as it goes */
    uint64_t reads_percent, multi_ops;
    uint64_t seed;
    struct bench_pids pids; /* their CPU and memory are reported */
    int32_t timeout_ms;
    bool json, progress, keep;
    bool marks; /* gap: lines of standard input say what happens now */
};

/* The time from one line of standard input to the next. */
struct bench_mark {
    char name[64];
    uint64_t at_ns, longest_ns; /* the latter: no write acknowledged */
    uint64_t acknowledged, closed, resumed, expired;
    uint64_t last_resumed_ns; /* when; 0: no connection was lost */
};

struct bench_gap {
    struct bench_mark *marks; /* the first one is the start */
    size_t marks_count, marks_capacity;
    uint64_t longest_ns;
    uint64_t closed, resumed, expired; /* connections, sessions, sessions */
    uint64_t retried, unanswered;      /* writes */
    /* What must not be: acknowledged writes that are gone, writes applied
     * twice, zxids that went back within a session, errors, keys that could
     * not be read back. */
    uint64_t lost, twice, zxids_back, refused, unverified;
};

struct bench_result {
    struct bench_hist *hist;
    uint64_t done, errors;
    double seconds;
    double cpu_s; /* of the servers; < 0: not known */
    uint64_t rss; /* bytes; 0: not known */
    /* watch: from a change to the last event; gap: from the loss of a
     * connection until its session was resumed */
    struct bench_hist *spread;
    struct bench_gap gap;
};

/* Runs; 0, or 1 after a message. */
int bench_run(const struct bench_options *options, struct bench_result *result);

/* The workload gap; 0, or 1 after a message. result->gap.marks is the
 * caller's to free. */
int bench_gap_run(const struct bench_options *options, struct event_base *base,
                  struct bench_result *result);

void bench_print_json(const struct bench_options *options,
                      const struct bench_result *result);
void bench_print_text(const struct bench_options *options,
                      const struct bench_result *result);

/* ---- Keys: "<path>/d000/k0000000". The text is valid until the next call with
 * the same buffer. */
#define BENCH_PATH_MAX 512
struct slice bench_key(const struct bench_options *options, uint64_t key,
                       char text[BENCH_PATH_MAX]);
struct slice bench_parent(const struct bench_options *options, uint64_t parent,
                          char text[BENCH_PATH_MAX]);

/* Makes the root, the parents and, if whole, all keys (those there stay); 0, or
 * 1 after a message. */
int bench_prepare(const struct bench_options *options, struct event_base *base,
                  bool whole);
/* Deletes them all again. */
int bench_clean(const struct bench_options *options, struct event_base *base);

#endif
