#include "server/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "replica/inspect.h"
#include "server/admin.h"
#include "server/boot.h"
#include "server/config.h"
#include "server/disk.h"
#include "server/net.h"
#include "server/net_peer.h"
#include "server/waiting.h"
#include "server/watchdog.h"

#define TICK_MS 20
/* One wake-up takes in so much, and no more. */
#define FRAMES_MAX 4096
#define OUTPUT_MAX ((size_t)4 * 1024 * 1024)
#define TIME_MAX_US 5000
#define LOOK_AT_CLOCK_EVERY 8 /* inputs */
#define STALL_MS_LEAST 5000
/* Behind a sleep of half a leader's time-out others may lead: so long clients
 * are not heard, and peers have their say. */
#define DOUBT_MS 200
#define HAND_OVER_MS_MAX 1000 /* then the others find out by themselves */
/* No step may take longer, DESIGN 2.17; a sanitizer makes everything slower. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif
#if defined(SANITIZED) || defined(__SANITIZE_ADDRESS__) || \
    defined(__SANITIZE_THREAD__)
#define SLOW_STEP_US 400000
#else
#define SLOW_STEP_US 20000
#endif
/* How old the base of a measurement of CPU time may be: asking for it is a
 * system call, unlike the time of day. */
#define CPU_BASE_MAX_US 1000
/* Free disk space is reported when it changed by so much, or by meaning. */
#define SPACE_STEP ((uint64_t)16 * 1024 * 1024)

struct loop {
    const struct config *config;
    struct event_base *base;
    struct event tick, terminate, interrupt;
    struct replica *replica;
    struct disk *disk;
    struct net_client *clients;
    struct net_peer *peers; /* NULL: there are none */
    struct admin_state admin;
    struct replica_effects effects;
    struct store_op *ops; /* of one wake-up */
    size_t ops_count, ops_capacity;

    /* This wake-up. */
    bool fresh; /* the clocks were read */
    bool full, half_full;
    unsigned frames, inputs;
    int64_t now_ms, wall_ms, began_us;

    /* Steps measured: wall time as often as it is needed for the limits, CPU
     * time only when the wall says that a step may have been slow. */
    int64_t section_us;           /* when this section began */
    int64_t base_us, base_cpu_us; /* a pair of readings, not long ago */
    const char *section;          /* what it does */
    uint32_t last_op;             /* of the last client's frame, for the log */
    uint64_t slow_steps;

    int64_t tick_due_ms;
    int64_t doubt_until_ms; /* we slept; see DOUBT_MS */
    uint64_t space_free;    /* as last reported */
    bool space_low, space_known;

    struct waiting waiting;
    struct watchdog *watchdog; /* while it runs */
    bool stopping;
    int64_t handing_over_since_ms; /* monotonic; 0: not asked to end */
    int failure;                   /* ERR_*, logged */
    void (*ready)(void *arg, uint16_t port); /* NULL when called */
    void *ready_arg;
};

static void on_tick(evutil_socket_t fd, short what, void *arg);
static void on_signal(evutil_socket_t fd, short what, void *arg);
static void on_disk_done(void *arg, struct store_result *results, size_t count);
static void read_clocks(struct loop *loop);
static void section_end(struct loop *loop);
static void end_when_handed_over(struct loop *loop);

int loop_create(const struct config *config, struct loop **loop)
{
    struct loop *made = MEM_NEW(struct loop);
    struct event_config *how = event_config_new();
    struct store *store = NULL;
    int err;

    *loop = NULL;
    CHECK(how != NULL);
    CHECK(event_config_set_flag(how, EVENT_BASE_FLAG_NOLOCK) == 0);
    made->base = event_base_new_with_config(how);
    event_config_free(how);
    CHECK(made->base != NULL);
    made->config = config;
    made->section = "";
    replica_effects_init(&made->effects);
    err = boot_open(config, &store, &made->replica);
    if (err == 0) {
        made->disk = disk_start(made->base, store, on_disk_done, made);
        disk_warn_above(made->disk, config->sync_warning_ms);
        err = net_peer_open(made->base, config, made, &made->peers);
    }
    if (err == 0) {
        err = net_client_listen(made->base, config, made, &made->clients);
    }
    if (err != 0) {
        loop_destroy(made);
        return err;
    }
    CHECK(event_assign(&made->tick, made->base, -1, EV_PERSIST, on_tick,
                       made) == 0);
    CHECK(event_assign(&made->terminate, made->base, SIGTERM,
                       EV_SIGNAL | EV_PERSIST, on_signal, made) == 0);
    CHECK(event_assign(&made->interrupt, made->base, SIGINT,
                       EV_SIGNAL | EV_PERSIST, on_signal, made) == 0);
    *loop = made;
    return 0;
}

void loop_destroy(struct loop *loop)
{
    if (loop == NULL) {
        return;
    }
    net_client_close(loop->clients);
    net_peer_close(loop->peers);
    disk_stop(loop->disk);
    replica_effects_finish(&loop->effects);
    replica_destroy(loop->replica);
    mem_free(loop->ops);
    event_base_free(loop->base);
    mem_free(loop);
}

static bool has_work(const struct loop *loop)
{
    return replica_has_work(loop->replica) ||
           net_client_has_work(loop->clients) ||
           net_peer_has_work(loop->peers) || loop->effects.count > 0;
}

/* One wake-up: everything that happened is stepped, then everything wanted is
 * carried out. */
static void wake_up(struct loop *loop)
{
    bool busy = has_work(loop);

    loop->fresh = false;
    loop->full = false;
    loop->half_full = false;
    loop->frames = 0;
    loop->inputs = 0;
    if (busy) {
        read_clocks(loop);
        loop->section = "peers_waiting";
        net_peer_work(loop->peers);
        loop->section = "clients_waiting";
        net_client_work(loop->clients);
        section_end(loop);
    }
    CHECK(event_base_loop(loop->base,
                          EVLOOP_ONCE | (busy ? EVLOOP_NONBLOCK : 0)) >= 0);
    if (replica_has_work(loop->replica) && loop->failure == 0) {
        struct replica_input input = {.type = REPLICA_CONTINUE};

        loop_input(loop, &input);
    }
    if (loop->fresh) {
        section_end(loop);
    }
    loop_carry_out(loop);
    if (loop->handing_over_since_ms != 0) {
        end_when_handed_over(loop);
    }
}

/* ZooKeeper's syncLimit: behind it nobody waits for us any more. A small one,
 * as tests have it, is no measure of what a machine may do in between. */
static int64_t stall_ms_max(const struct config *config)
{
    int64_t max_ms = (int64_t)config->sync_limit * config->tick_ms;

    return max_ms > STALL_MS_LEAST ? max_ms : STALL_MS_LEAST;
}

int loop_run(struct loop *loop, void (*ready)(void *arg, uint16_t port),
             void *arg)
{
    static const struct timeval every = {0, TICK_MS * 1000L};
    struct replica_input first = {.type = REPLICA_TICK};

    loop->ready = ready;
    loop->ready_arg = arg;
    CHECK(event_add(&loop->tick, &every) == 0);
    CHECK(event_add(&loop->terminate, NULL) == 0);
    CHECK(event_add(&loop->interrupt, NULL) == 0);
    loop->tick_due_ms = clock_monotonic_ms() + TICK_MS;
    net_peer_serve(loop->peers);
    if (loop->peers != NULL) { /* a quorum may be long in coming */
        net_client_serve(loop->clients);
    }
    loop_input(loop, &first); /* the start does not wait for a timer */
    loop_carry_out(loop);
    loop->watchdog = watchdog_start(loop->disk, stall_ms_max(loop->config),
                                    loop->config->ensemble);
    while (!loop->stopping && loop->failure == 0) {
        wake_up(loop);
        watchdog_loop_moved(loop->watchdog);
    }
    watchdog_stop(loop->watchdog);
    (void)event_del(&loop->tick);
    (void)event_del(&loop->terminate);
    (void)event_del(&loop->interrupt);
    return loop->failure;
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
}

/* ---- time ---- */

/* Where a step may begin. */
static void section_begin(struct loop *loop, const char *what, int64_t now_us)
{
    loop->section = what;
    loop->section_us = now_us;
    if (now_us - loop->base_us > CPU_BASE_MAX_US) {
        loop->base_cpu_us = clock_thread_cpu_us();
        loop->base_us = now_us;
    }
}

static void warn_slow(struct loop *loop, int64_t cpu_us)
{
    loop->slow_steps++;
    log_event(LOG_WARN, "slow_step", "what=%s cpu_ms=%lld op=%d", loop->section,
              (long long)(cpu_us / 1000), (int)loop->last_op);
}

/* Where it ends, and the next begins. CPU time is never more than wall time, so
 * mostly there is nothing to ask. What went by between the base and the
 * section's beginning was at most that much CPU time: the rest is the
 * section's. */
static void section_end(struct loop *loop)
{
    int64_t now_us = clock_monotonic_us();

    if (now_us - loop->section_us > SLOW_STEP_US) {
        int64_t cpu_us = clock_thread_cpu_us() - loop->base_cpu_us -
                         (loop->section_us - loop->base_us);

        if (cpu_us > SLOW_STEP_US) {
            warn_slow(loop, cpu_us);
        }
    }
    if (now_us - loop->began_us > TIME_MAX_US / 2) {
        loop->half_full = true;
        loop->full = now_us - loop->began_us > TIME_MAX_US;
    }
    section_begin(loop, loop->section, now_us);
}

/* The tick tells how long we slept; it may not be the first to come after. */
static void look_for_sleep(struct loop *loop, int64_t now_ms)
{
    if (loop->peers != NULL &&
        now_ms - loop->tick_due_ms > loop->config->leader_timeout_ms / 2) {
        loop->doubt_until_ms = now_ms + DOUBT_MS;
    }
}

static void read_clocks(struct loop *loop)
{
    loop->fresh = true;
    section_begin(loop, "", clock_monotonic_us());
    loop->began_us = loop->section_us;
    loop->now_ms = loop->section_us / 1000;
    loop->wall_ms = clock_wall_ms();
    look_for_sleep(loop, loop->now_ms);
}

/* ---- in ---- */

static const char *input_name(enum replica_input_type type)
{
    switch (type) {
        case REPLICA_TICK:
            return "tick";
        case REPLICA_CONTINUE:
            return "continue";
        case REPLICA_CLIENT_OPENED:
            return "client_opened";
        case REPLICA_CLIENT_FRAME:
            return "client_frame";
        case REPLICA_CLIENT_CLOSED:
            return "client_closed";
        case REPLICA_PEER_UP:
        case REPLICA_PEER_MESSAGE:
        case REPLICA_PEER_DOWN:
            return "peer";
        case REPLICA_STORE_RESULT:
            return "store_result";
        case REPLICA_CLIENT_DRAINED:
            return "client_drained";
        case REPLICA_DISK_SPACE:
            return "disk_space";
        case REPLICA_RESIGN:
            return "resign";
        case REPLICA_RESET_STATS:
            return "reset_stats";
    }
    return "?";
}

/* What may not wait until the effects are carried out: a connection that is
 * paused or closed gets no further frame, and after the end nothing goes on. */
static void look_ahead(struct loop *loop, size_t from)
{
    for (size_t i = from; i < loop->effects.count; i++) {
        const struct replica_effect *e = &loop->effects.items[i];

        if (e->type == REPLICA_PAUSE_CLIENT ||
            e->type == REPLICA_RESUME_CLIENT) {
            net_client_pause(loop->clients, e->conn_id,
                             e->type == REPLICA_PAUSE_CLIENT);
        } else if (e->type == REPLICA_CLOSE_CLIENT) {
            net_client_stop(loop->clients, e->conn_id);
        } else if (e->type == REPLICA_FATAL && loop->failure == 0) {
            log_event(LOG_ERROR, e->log.event, "%.*s", (int)e->log.text.len,
                      (const char *)e->log.text.ptr);
            loop->failure = ERR_CORRUPT;
            if (e->log.damage) {
                disk_damaged(loop->disk);
            }
        }
    }
}

void loop_input(struct loop *loop, struct replica_input *input)
{
    size_t from = loop->effects.count;

    if (loop->failure != 0) {
        return;
    }
    if (!loop->fresh) {
        read_clocks(loop);
    }
    loop->section = input_name(input->type);
    input->now_ms = loop->now_ms;
    input->wall_ms = loop->wall_ms;
    loop->inputs++;
    if (input->type == REPLICA_CLIENT_FRAME) {
        loop->frames++;
        loop->last_op =
            input->frame.len >= 8 ? bytes_load32(input->frame.ptr + 4) : 0;
    }
    replica_step(loop->replica, input, &loop->effects);
    look_ahead(loop, from);
    if (input->type != REPLICA_CLIENT_FRAME ||
        loop->inputs % LOOK_AT_CLOCK_EVERY == 0) {
        section_end(loop);
    }
}

static bool is_in_doubt(struct loop *loop)
{
    if (!loop->fresh) {
        read_clocks(loop);
    }
    return loop->now_ms < loop->doubt_until_ms;
}

bool loop_full(struct loop *loop)
{
    return loop_peers_full(loop) || loop->frames >= FRAMES_MAX ||
           is_in_doubt(loop);
}

bool loop_half_full(struct loop *loop)
{
    return loop->half_full || loop->frames >= FRAMES_MAX / 2 ||
           arena_used(loop->effects.bytes) >= OUTPUT_MAX / 2 ||
           is_in_doubt(loop);
}

bool loop_peers_full(struct loop *loop)
{
    return loop->full || arena_used(loop->effects.bytes) >= OUTPUT_MAX;
}

static void tell_space(struct loop *loop)
{
    struct replica_input input = {.type = REPLICA_DISK_SPACE};
    struct store_space space;
    uint64_t changed;

    disk_space(loop->disk, &space);
    changed = space.free_bytes > loop->space_free
                  ? space.free_bytes - loop->space_free
                  : loop->space_free - space.free_bytes;
    if (loop->space_known && space.low == loop->space_low &&
        changed < SPACE_STEP) {
        return;
    }
    loop->space_known = true;
    loop->space_low = space.low;
    loop->space_free = space.free_bytes;
    input.disk.free_bytes = space.free_bytes;
    input.disk.low = space.low;
    loop_input(loop, &input);
}

/* Late by the monotonic clock: this process did not run, whoever else did. */
static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;
    struct replica_input input = {.type = REPLICA_TICK};
    int64_t now_ms = clock_monotonic_ms();

    (void)fd;
    (void)what;
    look_for_sleep(loop, now_ms);
    if (now_ms >= loop->tick_due_ms + TICK_MS) {
        input.ticks_late = (uint32_t)((now_ms - loop->tick_due_ms) / TICK_MS);
        loop->tick_due_ms += (int64_t)input.ticks_late * TICK_MS;
    }
    loop->tick_due_ms += TICK_MS;
    loop_input(loop, &input);
    tell_space(loop);
    if (loop->peers != NULL) {
        waiting_look(&loop->waiting, loop->replica, loop->now_ms);
    }
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
    struct loop *loop = arg;
    struct replica_input input = {.type = REPLICA_RESIGN};

    (void)what;
    log_event(LOG_INFO, "stopping", "signal=%d", (int)fd);
    if (loop->peers == NULL || loop->handing_over_since_ms != 0) {
        loop_stop(loop); /* nobody to hand over to, or asked for twice */
        return;
    }
    loop_input(loop, &input);
    loop->handing_over_since_ms = clock_monotonic_ms();
}

/* A leader is one until its learners have everything; then they must be told,
 * before our end takes it back. The others have nothing to hand over. */
static void end_when_handed_over(struct loop *loop)
{
    struct inspect_server server;
    int64_t took_ms = clock_monotonic_ms() - loop->handing_over_since_ms;

    inspect_server(loop->replica, &server);
    if (took_ms > HAND_OVER_MS_MAX ||
        (server.role != ZAB_LEADING && !net_peer_is_closing(loop->peers))) {
        loop_stop(loop);
    }
}

static void on_disk_done(void *arg, struct store_result *results, size_t count)
{
    struct loop *loop = arg;

    for (size_t i = 0; i < count; i++) {
        struct replica_input input = {.type = REPLICA_STORE_RESULT,
                                      .result = &results[i]};

        loop_input(loop, &input);
        blob_unref(results[i].payload);
    }
}

/* ---- out ---- */

/* Once open, the listener stays so: without a leader handshakes are held or
 * turned away by the replica, and operators are told so. */
static void serve(struct loop *loop, bool on)
{
    if (on) {
        net_client_serve(loop->clients);
    }
    if (on && loop->ready != NULL) {
        (void)malloc_trim(0); /* what loading the tree took and gave back */
        loop->ready(loop->ready_arg, net_client_port(loop->clients));
        loop->ready = NULL;
    }
}

static void write_log(const struct replica_effect *e)
{
    static const enum log_level levels[] = {[REPLICA_ERROR] = LOG_ERROR,
                                            [REPLICA_WARN] = LOG_WARN,
                                            [REPLICA_INFO] = LOG_INFO,
                                            [REPLICA_DEBUG] = LOG_DEBUG};

    log_event(levels[e->log.level], e->log.event, "%.*s", (int)e->log.text.len,
              (const char *)e->log.text.ptr);
}

static void carry_out_one(struct loop *loop, struct replica_effect *e)
{
    switch (e->type) {
        case REPLICA_SEND_CLIENT:
            net_client_send(loop->clients, e->conn_id, e->frame);
            break;
        case REPLICA_CLOSE_CLIENT:
            net_client_drop(loop->clients, e->conn_id, e->why);
            break;
        case REPLICA_PAUSE_CLIENT: /* look_ahead() did it */
        case REPLICA_RESUME_CLIENT:
        case REPLICA_FATAL:
            break;
        case REPLICA_SEND_PEER:
            net_peer_send(loop->peers, e->link, e->peers, &e->message);
            break;
        case REPLICA_CONNECT_PEER:
            net_peer_connect(loop->peers, e->peers, e->why);
            break;
        case REPLICA_DROP_PEER:
            net_peer_drop(loop->peers, e->link, e->peers, e->why);
            break;
        case REPLICA_STORE:
            loop->ops = mem_grow(loop->ops, &loop->ops_capacity,
                                 loop->ops_count + 1, sizeof(*loop->ops));
            loop->ops[loop->ops_count++] = e->store;
            e->store.payload = NULL; /* taken over */
            break;
        case REPLICA_SERVING:
            serve(loop, e->serving);
            break;
        case REPLICA_LOG:
            write_log(e);
            break;
    }
}

/* The disk first: it works while the sockets are written. Then the peers: their
 * disks have to work, too. */
void loop_carry_out(struct loop *loop)
{
    if (loop->failure != 0 ||
        (loop->effects.count == 0 && !net_client_has_work(loop->clients))) {
        return;
    }
    section_begin(loop, "carry_out", clock_monotonic_us());
    loop->ops_count = 0;
    for (size_t i = 0; i < loop->effects.count; i++) {
        carry_out_one(loop, &loop->effects.items[i]);
    }
    disk_submit(loop->disk, loop->ops, loop->ops_count);
    net_peer_flush(loop->peers);
    net_client_flush(loop->clients);
    replica_effects_clear(&loop->effects);
    section_end(loop);
}

bool loop_cluster_id(const struct loop *loop, uint8_t *id)
{
    return inspect_cluster_id(loop->replica, id);
}

/* ---- for admin.c ---- */

struct replica *loop_replica(struct loop *loop)
{
    return loop->replica;
}

struct event_base *loop_base(struct loop *loop)
{
    return loop->base;
}

const struct config *loop_config(const struct loop *loop)
{
    return loop->config;
}

struct net_client *loop_clients(struct loop *loop)
{
    return loop->clients;
}

struct net_peer *loop_peers(struct loop *loop)
{
    return loop->peers;
}

struct disk *loop_disk(struct loop *loop)
{
    return loop->disk;
}

struct admin_state *loop_admin(struct loop *loop)
{
    return &loop->admin;
}

int64_t loop_now_ms(const struct loop *loop)
{
    return loop->now_ms;
}

uint64_t loop_slow_steps(const struct loop *loop)
{
    return loop->slow_steps;
}
