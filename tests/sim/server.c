/* A process: a replica and what its loop does with it. Several inputs may be
 * stepped before their effects are carried out, as in a real wake-up, and the
 * process may end before, behind or between any two of them. */
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"
#include "replica/inspect.h"
#include "tests/sim/sim_internal.h"

#define MILLION 1000000
#define WALL_BASE_MS INT64_C(1700000000000)
#define WAKE_US_MAX 300
#define WORK_US_MAX 200
#define RESIGN_US_MAX (2 * SIM_SECOND)

static struct slice members_text(struct sim *sim, struct server *server);
static void tick(struct sim *sim, struct server *server);
static void wake(struct sim *sim, struct server *server);
static void wake_later(struct sim *sim, struct server *server);
static void carry_out(struct sim *sim, struct server *server);
static bool carry_out_one(struct sim *sim, struct server *server, size_t index);
static bool is_read_only(const struct server *server);
static void look_ahead(struct sim *sim, struct server *server, size_t from);
static void resume(struct sim *sim, struct server *server);
static void close_wires(struct sim *sim, struct server *server, bool polite);

void server_init(struct sim *sim, unsigned id)
{
    struct server *server = server_of(sim, id);
    uint64_t spread_us = sim->options.clients_idle ? 20 * SIM_MS : SIM_SECOND;

    server->id = id;
    server->disk = disk_create(sim);
    replica_effects_init(&server->effects);
    server->crash_at = SIZE_MAX;
    prng_init(&server->prng, prng_next(&sim->prngs[PRNG_SERVERS]));
    server->monotonic_base_ms = (int64_t)prng_below(&server->prng, 1000000000);
    if (sim->options.faults.skew != 0) {
        server->skew_ppm = (int64_t)prng_below(&server->prng, 100001) - 50000;
    }
    sim_schedule(sim, prng_below(&server->prng, spread_us), EVENT_START, id, 0,
                 0);
}

void server_finish(struct sim *sim, struct server *server)
{
    (void)sim;
    replica_destroy(server->replica);
    replica_effects_finish(&server->effects);
    disk_destroy(server->disk);
    mem_free(server->ops);
    mem_free(server->held);
}

const struct zab *server_zab(const struct server *server)
{
    return server->replica == NULL ? NULL : inspect_zab(server->replica);
}

void server_add_marks(const struct server *server, uint64_t *marks)
{
    if (server->replica != NULL) {
        const uint64_t *own = zab_marks(server_zab(server));

        for (int i = 0; i < ZAB_MARKS_COUNT; i++) {
            marks[i] += own[i];
        }
    }
}

/* ---- life and death */

void server_start(struct sim *sim, struct server *server)
{
    struct replica_config config = sim->config;
    const struct durable_state *durable;

    if (server->up) {
        return;
    }
    server->incarnation++;
    server->up = true;
    server->started_us = sim->now_us;
    server->version = PEER_VERSION_MAX;
    if (!sim->options.clients_idle && prng_below(&server->prng, 3) == 0) {
        server->version = PEER_VERSION_MAX - 1;
    }
    config.zab.self_id = server->id;
    config.zab.seed = prng_next(&server->prng);
    for (size_t i = 0; i < sizeof(config.entropy); i += 8) {
        bytes_store64(config.entropy + i, prng_next(&server->prng));
    }
    for (size_t i = 0; i < sizeof(config.zab.entropy); i += 8) {
        bytes_store64(config.zab.entropy + i, prng_next(&server->prng));
    }
    config.members_text = members_text(sim, server);
    durable = disk_durable(server->disk);
    sim_trace(sim, server->id,
              "! start accepted=%u current=%u checkpoint=%u.%u last=%u.%u",
              durable->epoch_accepted, durable->epoch_current,
              zxid_epoch(durable->zxid_checkpoint),
              zxid_counter(durable->zxid_checkpoint),
              zxid_epoch(durable->zxid_last), zxid_counter(durable->zxid_last));
    server->replica = replica_create(&config, durable);
    server->role_traced = ZAB_LOOKING;
    checker_started(sim->checker, server->id, durable);
    server->tick_due_us = 0;
    sim_schedule(sim, sim->now_us, EVENT_TICK, server->id, 0,
                 server->incarnation);
    sim_peer_server_started(sim, server);
}

/* Files are edited now and then, one server after the other. */
static struct slice members_text(struct sim *sim, struct server *server)
{
    if (sim->options.clients_idle || prng_below(&server->prng, 2) == 0) {
        return (struct slice){NULL, 0};
    }
    return prng_below(&server->prng, 4) != 0
               ? SLICE_LITERAL("server.1=10.0.0.1:2888:3888\nversion=0")
               : SLICE_LITERAL("server.1=10.0.0.9:2888:3888\nversion=9");
}

void server_die(struct sim *sim, struct server *server, bool polite)
{
    if (!server->up) {
        return;
    }
    sim_trace(sim, server->id, "! ends");
    disk_crash(sim, server);
    checker_died(sim->checker, server->id);
    server_add_marks(server, sim->marks);
    server->up = false;
    server->incarnation++;
    server->paused = false;
    server->accepting = server->serving = false;
    server->wake_scheduled = false;
    server->dying = false;
    server->space_told = false;
    server->crash_at = SIZE_MAX;
    server->held_count = 0;
    replica_effects_clear(&server->effects);
    replica_destroy(server->replica);
    server->replica = NULL;
    close_wires(sim, server, polite);
    memset(server->slots, 0, sizeof(server->slots));
}

static void close_wires(struct sim *sim, struct server *server, bool polite)
{
    for (size_t i = 0; i < sim->wires_count; i++) {
        struct wire *wire = sim->wires[i];

        for (unsigned part = 0; part < 2 && wire->stamp != 0; part++) {
            if (wire_end_is_server(wire, part) &&
                wire->parts[part] == server->id) {
                wire_close(sim, wire, part,
                           polite ? CLOSE_RESET : CLOSE_SILENT);
            }
        }
    }
}

void server_pause(struct sim *sim, struct server *server, uint64_t for_us)
{
    if (!server->up || server->paused) {
        return;
    }
    sim_trace(sim, server->id, "! stopped for %llu ms",
              (unsigned long long)(for_us / SIM_MS));
    server->paused = true;
    sim_schedule(sim, sim->now_us + for_us, EVENT_RESUME, server->id, 0,
                 server->incarnation);
}

void server_hold(struct server *server, const struct event *event)
{
    server->held = mem_grow(server->held, &server->held_capacity,
                            server->held_count + 1, sizeof(*server->held));
    server->held[server->held_count++] = *event;
}

/* All at once, in any order. */
static void resume(struct sim *sim, struct server *server)
{
    if (!server->paused) {
        return;
    }
    sim_trace(sim, server->id, "! goes on");
    server->paused = false;
    for (size_t i = 0; i < server->held_count; i++) {
        sim_schedule_again(sim, &server->held[i]);
    }
    server->held_count = 0;
}

void server_resign(struct sim *sim, struct server *server)
{
    struct replica_input input = {.type = REPLICA_RESIGN};

    if (!server->up || server->dying) {
        return;
    }
    sim_trace(sim, server->id, "! SIGTERM");
    server->dying = true;
    sim_schedule(sim, sim->now_us + prng_below(&server->prng, RESIGN_US_MAX),
                 EVENT_DIE, server->id, 0, server->incarnation);
    if (!server->paused) {
        server_input(sim, server, &input);
    }
}

void server_event(struct sim *sim, const struct event *event)
{
    struct server *server = server_of(sim, event->index);

    if (event->kind == EVENT_DISK_END) {
        disk_set_low(server->disk, false);
        return;
    }
    if (event->kind == EVENT_START) {
        server_start(sim, server);
        return;
    }
    if (event->kind != EVENT_DISK && event->stamp != server->incarnation) {
        return;
    }
    if (event->kind == EVENT_RESUME) {
        resume(sim, server);
        return;
    }
    if (server->paused) {
        server_hold(server, event);
        return;
    }
    if (event->kind == EVENT_TICK) {
        tick(sim, server);
    } else if (event->kind == EVENT_WAKE) {
        server->wake_scheduled = false;
        wake(sim, server);
    } else if (event->kind == EVENT_DIE) {
        server_die(sim, server, true);
    } else if (event->kind == EVENT_DISK) {
        disk_event(sim, server, event->stamp);
    }
}

/* ---- time */

static uint64_t monotonic_us(const struct sim *sim, const struct server *server)
{
    int64_t now = (int64_t)sim->now_us;

    return (uint64_t)(server->monotonic_base_ms * 1000 + now +
                      now / MILLION * server->skew_ppm +
                      now % MILLION * server->skew_ppm / MILLION);
}

/* As server/loop.c: late by its own clock. */
static void tick(struct sim *sim, struct server *server)
{
    struct replica_input input = {.type = REPLICA_TICK};
    struct replica_input space = {.type = REPLICA_DISK_SPACE};
    uint64_t now_us = monotonic_us(sim, server);
    uint64_t incarnation = server->incarnation;
    bool low = disk_is_low(server->disk);

    if (server->tick_due_us == 0) {
        server->tick_due_us = now_us;
    }
    if (now_us >= server->tick_due_us + TICK_US) {
        input.ticks_late = (uint32_t)((now_us - server->tick_due_us) / TICK_US);
        server->tick_due_us += input.ticks_late * TICK_US;
    }
    server->tick_due_us += TICK_US;
    sim_schedule(sim,
                 sim->now_us + (server->tick_due_us - now_us) * MILLION /
                                   (uint64_t)(MILLION + server->skew_ppm),
                 EVENT_TICK, server->id, 0, incarnation);
    server_input(sim, server, &input);
    if (incarnation == server->incarnation &&
        (!server->space_told || server->space_low_told != low)) {
        server->space_told = true;
        server->space_low_told = low;
        space.disk.low = low;
        space.disk.free_bytes = low ? 1000000 : UINT64_C(1) << 40;
        server_input(sim, server, &space);
    }
}

/* ---- in */

void server_input(struct sim *sim, struct server *server,
                  struct replica_input *input)
{
    size_t from = server->effects.count;
    uint64_t us = monotonic_us(sim, server);

    CHECK(server->up);
    CHECK(!server->paused);
    if (server->fatal) {
        return;
    }
    input->now_ms = (int64_t)(us / 1000);
    input->wall_ms =
        WALL_BASE_MS + (int64_t)(sim->now_us / 1000) + server->wall_offset_ms;
    trace_input(sim, server, input);
    replica_step(server->replica, input, &server->effects);
    checker_step(sim->checker, server->id, server->replica, input,
                 server->effects.items + from, server->effects.count - from);
    trace_role(sim, server);
    look_ahead(sim, server, from);
    if (server->wake_scheduled) {
        return;
    }
    if (server->effects.count > 0 || replica_has_work(server->replica)) {
        wake_later(sim, server);
    }
}

/* What may not wait until the effects are carried out. */
static void look_ahead(struct sim *sim, struct server *server, size_t from)
{
    for (size_t i = from; i < server->effects.count; i++) {
        const struct replica_effect *e = &server->effects.items[i];

        if (e->type == REPLICA_PAUSE_CLIENT ||
            e->type == REPLICA_RESUME_CLIENT ||
            e->type == REPLICA_CLOSE_CLIENT) {
            sim_conn_look_ahead(sim, e);
        } else if (e->type == REPLICA_FATAL && !server->fatal) {
            server->fatal = true;
            sim_fail(sim, "Fatal: server %u: %s %.*s", server->id, e->log.event,
                     (int)e->log.text.len, (const char *)e->log.text.ptr);
        }
    }
}

static void wake_later(struct sim *sim, struct server *server)
{
    uint64_t delay_us = 0;

    if (draw_chance(sim, PRNG_SCHEDULE, 2)) {
        delay_us = draw(sim, PRNG_SCHEDULE, 0, WAKE_US_MAX);
        if (draw_chance(sim, PRNG_SCHEDULE, 64)) {
            delay_us *= 20;
        }
    }
    server->wake_scheduled = true;
    sim_schedule(sim, sim->now_us + delay_us, EVENT_WAKE, server->id, 0,
                 server->incarnation);
}

static void wake(struct sim *sim, struct server *server)
{
    uint64_t incarnation = server->incarnation;

    if (replica_has_work(server->replica)) {
        struct replica_input input = {.type = REPLICA_CONTINUE};

        server->wake_scheduled = true; /* this one */
        server_input(sim, server, &input);
        server->wake_scheduled = false;
    }
    carry_out(sim, server);
    if (incarnation == server->incarnation &&
        replica_has_work(server->replica)) {
        server->wake_scheduled = true;
        sim_schedule(sim,
                     sim->now_us + draw(sim, PRNG_SCHEDULE, 0, WORK_US_MAX),
                     EVENT_WAKE, server->id, 0, incarnation);
    }
}

/* ---- out */

static void carry_out(struct sim *sim, struct server *server)
{
    bool die = server->crash_at != SIZE_MAX;
    bool lose_ops = die && draw_chance(sim, PRNG_SCHEDULE, 2);
    size_t count = server->effects.count;

    if (die && server->crash_at > count) {
        server->crash_at = count == 0 ? 0 : server->crash_at % (count + 1);
    }
    server->ops_count = 0;
    for (size_t i = 0; i < count && i < server->crash_at; i++) {
        if (!carry_out_one(sim, server, i)) {
            die = true;
            break;
        }
    }
    if (lose_ops) {
        for (size_t i = 0; i < server->ops_count; i++) {
            blob_unref(server->ops[i].payload);
        }
    } else {
        disk_submit(sim, server, server->ops, server->ops_count);
    }
    if (die) {
        server_die(sim, server, true);
        return;
    }
    replica_effects_clear(&server->effects);
    for (int link = 0; link < PEER_LINKS_COUNT; link++) {
        for (unsigned id = 1; id <= sim->servers_count; id++) {
            server->slots[link][id].changed_at = 0;
        }
    }
}

static bool is_read_only(const struct server *server)
{
    struct inspect_server seen;

    inspect_server(server->replica, &seen);
    return seen.read_only;
}

/* False: the process ends. */
static bool carry_out_one(struct sim *sim, struct server *server, size_t index)
{
    struct replica_effect *e = &server->effects.items[index];

    if (e->type != REPLICA_SEND_PEER || trace_on(sim)) {
        trace_effect(sim, server, e);
    }
    switch (e->type) {
        case REPLICA_SEND_CLIENT:
            sim_conn_send_effect(sim, e);
            break;
        case REPLICA_CLOSE_CLIENT:
            sim_conn_close_effect(sim, e);
            break;
        case REPLICA_PAUSE_CLIENT: /* look_ahead() did it */
        case REPLICA_RESUME_CLIENT:
        case REPLICA_LOG:
            break;
        case REPLICA_SEND_PEER:
            checker_sent(sim->checker, server->id, e);
            sim_peer_send_effect(sim, server, e, index);
            break;
        case REPLICA_CONNECT_PEER:
            sim_peer_connect_effect(sim, server, e);
            break;
        case REPLICA_DROP_PEER:
            sim_peer_drop_effect(sim, server, e, index);
            break;
        case REPLICA_STORE:
            server->ops = mem_grow(server->ops, &server->ops_capacity,
                                   server->ops_count + 1, sizeof(*server->ops));
            server->ops[server->ops_count++] = e->store;
            e->store.payload = NULL; /* taken over */
            break;
        case REPLICA_SERVING:
            server->accepting = e->serving;
            server->serving = e->serving && !is_read_only(server);
            sim_conns_serving(sim, server);
            break;
        case REPLICA_FATAL:
            return false;
    }
    return true;
}
