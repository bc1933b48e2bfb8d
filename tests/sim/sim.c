#include "tests/sim/sim.h"

#include <stdarg.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "replica/inspect.h"
#include "tests/sim/sim_internal.h"

#define POWER_CUT_US (3 * SIM_SECOND)
#define SETTLE_US (30 * SIM_SECOND)
#define LOOK_US (10 * SIM_MS)
#define ARENA_SIZE ((size_t)64 * 1024)

static void config_make(struct sim *sim);
static void config_draw(struct sim *sim);
static void dispatch(struct sim *sim, const struct event *event);
static void heap_push(struct sim *sim, const struct event *event);
static struct event heap_pop(struct sim *sim);
static bool settled(struct sim *sim, char *why, size_t why_size);
static void compare_trees(struct sim *sim);

struct sim *sim_create(const struct sim_options *options)
{
    return sim_create_scripted(options, NULL);
}

struct sim *sim_create_scripted(const struct sim_options *options,
                                struct script *script)
{
    struct sim *sim = MEM_NEW(struct sim);
    struct prng seeds;

    CHECK(options->voters >= 1);
    CHECK(options->voters + options->observers <= SIM_SERVERS_MAX);
    CHECK(options->clients <= CLIENTS_MAX);
    sim->options = *options;
    sim->script = script;
    sim->servers_count = options->voters + options->observers;
    prng_init(&seeds, options->seed);
    for (int i = 0; i < PRNGS_COUNT; i++) {
        prng_init(&sim->prngs[i], prng_next(&seeds));
    }
    sim->arena = arena_create(ARENA_SIZE);
    config_make(sim);
    sim->checker = checker_create(sim, sim->servers_count);
    sim->clients = clients_create(sim, options->clients, prng_next(&seeds),
                                  options->session_timeout_ms,
                                  options->clients_idle, options->read_only);
    clients_read_linear(sim->clients, options->linear_reads);
    clients_attach(sim->clients, checker_model(sim->checker));
    for (unsigned id = 1; id <= sim->servers_count; id++) {
        server_init(sim, id);
    }
    sim_schedule(sim, TICK_US, EVENT_FAULTS, 0, 0, 0);
    return sim;
}

void sim_destroy(struct sim *sim)
{
    if (sim == NULL) {
        return;
    }
    for (unsigned id = 1; id <= sim->servers_count; id++) {
        server_finish(sim, server_of(sim, id));
    }
    clients_destroy(sim->clients);
    checker_destroy(sim->checker);
    wires_finish(sim);
    packets_finish(sim);
    trace_finish(sim);
    arena_destroy(sim->arena);
    buf_finish(&sim->scratch);
    mem_free(sim->heap);
    mem_free(sim);
}

bool sim_step(struct sim *sim)
{
    struct event event;

    if (sim->failed || sim->heap_count == 0) {
        return false;
    }
    event = heap_pop(sim);
    CHECK(event.at_us >= sim->now_us);
    sim->now_us = event.at_us;
    dispatch(sim, &event);
    return !sim->failed;
}

static bool step_until(struct sim *sim, uint64_t end_us)
{
    if (sim->failed || sim->heap_count == 0 || sim->heap[0].at_us > end_us) {
        return false;
    }
    return sim_step(sim);
}

bool sim_run(struct sim *sim, uint64_t for_us)
{
    uint64_t end_us = sim->now_us + for_us;

    while (step_until(sim, end_us)) {
    }
    if (!sim->failed) {
        sim->now_us = end_us;
    }
    return !sim->failed;
}

bool sim_run_until(struct sim *sim, bool (*done)(struct sim *), uint64_t for_us)
{
    uint64_t end_us = sim->now_us + for_us;

    while (!done(sim)) {
        if (!step_until(sim, end_us)) {
            return !sim->failed && done(sim);
        }
    }
    return !sim->failed;
}

uint64_t sim_now_us(const struct sim *sim)
{
    return sim->now_us;
}

uint64_t sim_events(const struct sim *sim)
{
    return sim->events;
}

uint64_t sim_hash(const struct sim *sim)
{
    return sim->hash;
}

void sim_fail(struct sim *sim, const char *format, ...)
{
    va_list args;

    if (sim->failed) {
        return;
    }
    sim->failed = true;
    va_start(args, format);
    (void)vsnprintf(sim->finding, sizeof(sim->finding), format, args);
    va_end(args);
    if (trace_on(sim)) {
        sim_trace(sim, 0, "! %s", sim->finding);
    }
}

const char *sim_finding(const struct sim *sim)
{
    return sim->failed ? sim->finding : NULL;
}

/* ---- by hand */

void sim_crash(struct sim *sim, unsigned server)
{
    server_die(sim, server_of(sim, server), true);
}

void sim_restart(struct sim *sim, unsigned server)
{
    server_start(sim, server_of(sim, server));
}

void sim_wipe(struct sim *sim, unsigned server)
{
    CHECK(!server_of(sim, server)->up);
    sim_trace(sim, server, "! wiped");
    disk_wipe(server_of(sim, server)->disk);
    checker_wiped(sim->checker, server);
}

void sim_pause(struct sim *sim, unsigned server, uint64_t for_us)
{
    server_pause(sim, server_of(sim, server), for_us);
}

void sim_cut_one_way(struct sim *sim, unsigned from, unsigned to)
{
    if (from != to && !sim->blocked[from][to]) {
        sim_trace(sim, from, "! cut to %u", to);
        sim->blocked[from][to] = true;
        wires_silenced(sim, from, to);
    }
}

void sim_cut(struct sim *sim, unsigned a, unsigned b)
{
    sim_cut_one_way(sim, a, b);
    sim_cut_one_way(sim, b, a);
}

void sim_isolate(struct sim *sim, unsigned server)
{
    for (unsigned id = 1; id <= sim->servers_count; id++) {
        sim_cut(sim, server, id);
    }
}

void sim_join(struct sim *sim, unsigned a, unsigned b)
{
    if (sim->blocked[a][b] || sim->blocked[b][a]) {
        sim_trace(sim, a, "! joined with %u", b);
    }
    sim->blocked[a][b] = false;
    sim->blocked[b][a] = false;
    wires_kick_all(sim);
}

void sim_disk_hold(struct sim *sim, unsigned server, bool hold)
{
    disk_hold(sim, server_of(sim, server), hold);
}

void sim_resign(struct sim *sim, unsigned server)
{
    server_resign(sim, server_of(sim, server));
}

void sim_heal_all(struct sim *sim)
{
    faults_heal(sim);
}

/* ---- looked at */

unsigned sim_servers(const struct sim *sim)
{
    return sim->servers_count;
}

bool sim_up(const struct sim *sim, unsigned server)
{
    return sim->servers[server].up;
}

const struct replica *sim_replica(const struct sim *sim, unsigned server)
{
    return sim->servers[server].replica;
}

unsigned sim_leader(const struct sim *sim)
{
    unsigned leader = 0;
    uint32_t epoch = 0;

    for (unsigned id = 1; id <= sim->servers_count; id++) {
        const struct zab *zab = server_zab(&sim->servers[id]);

        if (zab != NULL && sim->servers[id].serving &&
            zab_role(zab) == ZAB_LEADING && zab_epoch(zab) > epoch) {
            leader = id;
            epoch = zab_epoch(zab);
        }
    }
    return leader;
}

bool sim_serving(const struct sim *sim, unsigned server)
{
    return sim->servers[server].up && sim->servers[server].serving;
}

zxid_t sim_zxid(const struct sim *sim, unsigned server)
{
    struct inspect_server seen;

    if (sim->servers[server].replica == NULL) {
        return 0;
    }
    inspect_server(sim->servers[server].replica, &seen);
    return seen.zxid;
}

const char *sim_mark(const struct sim *sim, size_t index, uint64_t *count)
{
    static const char *const texts[] = {
#define X(name, text) text,
        ZAB_MARK_MAP(X)
#undef X
    };
    uint64_t marks[ZAB_MARKS_COUNT];

    if (index >= ZAB_MARKS_COUNT) {
        return NULL;
    }
    memcpy(marks, sim->marks, sizeof(marks));
    for (unsigned id = 1; id <= sim->servers_count; id++) {
        server_add_marks(&sim->servers[id], marks);
    }
    *count = marks[index];
    return texts[index];
}

const char *sim_counter(const struct sim *sim, size_t index, uint64_t *count)
{
    if (index >= sim->counters_count) {
        return NULL;
    }
    *count = sim->counters[index].count;
    return sim->counters[index].name;
}

void sim_count(struct sim *sim, const char *name)
{
    for (size_t i = 0; i < sim->counters_count; i++) {
        if (sim->counters[i].name == name ||
            strcmp(sim->counters[i].name, name) == 0) {
            sim->counters[i].count++;
            return;
        }
    }
    CHECK(sim->counters_count < COUNTERS_MAX);
    sim->counters[sim->counters_count++] = (struct counter){name, 1};
}

void sim_client_at(struct sim *sim, unsigned client, uint64_t at_us)
{
    sim->client_stamps[client]++;
    sim_schedule(sim, at_us, EVENT_CLIENT, client, 0,
                 sim->client_stamps[client]);
}

/* ---- the end of a run */

static bool is_led(struct sim *sim)
{
    return sim_leader(sim) != 0;
}

static bool power_was_cut(struct sim *sim)
{
    return !sim->power_cut_due;
}

/* What a quorum has logged and nobody knows to be committed is all that the
 * next leader has to go on. */
static void power_cut(struct sim *sim)
{
    if (!sim_run_until(sim, is_led, POWER_CUT_US)) {
        return; /* settling says why */
    }
    faults_power_cut(sim);
    (void)sim_run_until(sim, power_was_cut, POWER_CUT_US);
    sim->power_cut_due = false;
    sim_heal_all(sim);
}

bool sim_must_settle(struct sim *sim)
{
    uint64_t end_us = sim->now_us + SETTLE_US;
    char why[256] = "";

    sim_heal_all(sim);
    if (sim->options.power_cut) {
        power_cut(sim);
    }
    clients_wind_up(sim->clients);
    while (!sim->failed && !settled(sim, why, sizeof(why))) {
        if (sim->now_us >= end_us) {
            sim_fail(sim, "Liveness: after 30 s without faults %s", why);
            return false;
        }
        (void)sim_run(sim, LOOK_US);
    }
    if (!sim->failed) {
        compare_trees(sim);
    }
    return !sim->failed;
}

static bool settled(struct sim *sim, char *why, size_t why_size)
{
    struct inspect_server first = {0}, seen;
    unsigned leaders = 0;

    for (unsigned id = 1; id <= sim->servers_count; id++) {
        struct server *server = server_of(sim, id);

        if (!server->up || !server->serving) {
            (void)snprintf(why, why_size, "server %u %s", id,
                           server->up ? "does not serve" : "is down");
            return false;
        }
        inspect_server(server->replica, &seen);
        leaders += seen.role == ZAB_LEADING ? 1 : 0;
        if (id == 1) {
            first = seen;
        }
        if (seen.zxid != first.zxid || seen.outstanding != 0 ||
            server->effects.count > 0 || !disk_idle(server->disk)) {
            (void)snprintf(why, why_size,
                           "server %u is at 0x%llx, 1 at 0x%llx; %llu "
                           "outstanding",
                           id, (unsigned long long)seen.zxid,
                           (unsigned long long)first.zxid,
                           (unsigned long long)seen.outstanding);
            return false;
        }
    }
    if (leaders != 1) {
        (void)snprintf(why, why_size, "there are %u leaders", leaders);
        return false;
    }
    if (!clients_settled(sim->clients)) {
        (void)snprintf(why, why_size, "a client waits");
        return false;
    }
    return true;
}

static void compare_trees(struct sim *sim)
{
    struct inspect_server first = {0}, seen;

    for (unsigned id = 1; id <= sim->servers_count; id++) {
        inspect_server(sim->servers[id].replica, &seen);
        if (id == 1) {
            first = seen;
        }
        if (seen.tree_digest != first.tree_digest ||
            seen.session_digest != first.session_digest) {
            sim_fail(sim, "StateEqual: servers 1 and %u differ at 0x%llx", id,
                     (unsigned long long)seen.zxid);
        }
        checker_settled(sim->checker, id, sim->servers[id].replica);
        clients_check_tree(sim->clients,
                           inspect_tree(sim->servers[id].replica));
    }
}

/* ---- chance */

uint64_t draw(struct sim *sim, enum prng_of of, uint64_t min, uint64_t max)
{
    CHECK(min <= max);
    return min + prng_below(&sim->prngs[of], max - min + 1);
}

bool draw_chance(struct sim *sim, enum prng_of of, uint64_t one_in)
{
    return prng_below(&sim->prngs[of], one_in) == 0;
}

/* ---- what all servers are told */

static void config_make(struct sim *sim)
{
    const struct sim_options *options = &sim->options;
    struct replica_config *config = &sim->config;

    for (unsigned id = 1; id <= sim->servers_count; id++) {
        sim->members[id - 1] = (struct zab_member){id, id <= options->voters};
    }
    *config = (struct replica_config){
        .zab =
            {
                .members = sim->members,
                .members_count = sim->servers_count,
                .ticks_init_max = 500,
                .ticks_sync_max = 100,
                .ticks_heartbeat = 5,
                .ticks_leader_timeout = 35,
                .proposals_inflight_max = 1000,
                .history_bytes_max = options->history_bytes_max,
                .counter_max = options->counter_max,
            },
        .tick_ms = 20,
        .session_timeout_ms_min = 40,
        .session_timeout_ms_max = 60000,
        .frame_size_max = 1024 * 1024,
        .reply_size_max = 16 * 1024 * 1024,
        .outstanding_max = 1000,
        .reads_held_max = 64,
        .ephemerals_max = 1000,
        .output_mark = 64 * 1024,
        .read_only = options->read_only,
        .linearizable_reads = options->linear_reads,
        .ttl_nodes = true,
        .hard_quotas = true,
        .digest_enabled = true,
        .container_check_ms = 1000,
        .container_never_used_ms = 5000,
        .container_max_per_minute = 10000,
        .slice_units = options->slice_units,
        .checkpoint_records = options->checkpoint_records == 0
                                  ? 10000
                                  : options->checkpoint_records,
        .checkpoint_bytes = 4 * 1024 * 1024,
        .checkpoint_ms = 60000,
    };
    sim->pipe_bytes_max = (size_t)16 * 1024 * 1024;
    sim->bytes_per_ms = 100000;
    if (!options->clients_idle) {
        config_draw(sim);
    }
}

/* Limits are small at times. */
static void config_draw(struct sim *sim)
{
    struct replica_config *config = &sim->config;

    if (draw_chance(sim, PRNG_SERVERS, 3)) {
        config->zab.proposals_inflight_max =
            (uint32_t)draw(sim, PRNG_SERVERS, 1, 50);
    }
    if (draw_chance(sim, PRNG_SERVERS, 3)) {
        config->outstanding_max = (uint32_t)draw(sim, PRNG_SERVERS, 1, 20);
    }
    if (draw_chance(sim, PRNG_SERVERS, 3)) {
        config->reads_held_max = (uint32_t)draw(sim, PRNG_SERVERS, 1, 8);
    }
    if (draw_chance(sim, PRNG_SERVERS, 3)) {
        config->output_mark = (uint32_t)draw(sim, PRNG_SERVERS, 100, 4000);
    }
    if (draw_chance(sim, PRNG_SERVERS, 3)) {
        config->zab.ticks_init_max = (uint32_t)draw(sim, PRNG_SERVERS, 50, 200);
        config->zab.ticks_sync_max = (uint32_t)draw(sim, PRNG_SERVERS, 40, 100);
    }
    if (draw_chance(sim, PRNG_SERVERS, 3)) {
        config->zab.ticks_leader_timeout =
            (uint32_t)draw(sim, PRNG_SERVERS, 15, 60);
    }
    if (draw_chance(sim, PRNG_SERVERS, 4)) {
        sim->bytes_per_ms = (uint32_t)draw(sim, PRNG_SERVERS, 1000, 20000);
    }
    if (draw_chance(sim, PRNG_SERVERS, 2)) {
        config->checkpoint_ms = (uint32_t)draw(sim, PRNG_SERVERS, 500, 5000);
    }
}

/* ---- events */

static void dispatch(struct sim *sim, const struct event *event)
{
    switch (event->kind) {
        case EVENT_TICK:
        case EVENT_WAKE:
        case EVENT_START:
        case EVENT_DIE:
        case EVENT_RESUME:
        case EVENT_DISK:
        case EVENT_DISK_END:
            server_event(sim, event);
            break;
        case EVENT_PIPE:
        case EVENT_UP:
        case EVENT_BREAK:
        case EVENT_DIAL:
        case EVENT_DRAINED:
            wire_event(sim, event);
            break;
        case EVENT_MESH:
            sim_peer_mesh_due(sim, event);
            break;
        case EVENT_CLIENT:
            if (event->stamp == sim->client_stamps[event->index]) {
                trace_mix(sim, EVENT_CLIENT, event->index);
                client_wake(sim->clients, event->index);
            }
            break;
        case EVENT_FAULTS:
            faults_tick(sim);
            break;
    }
}

void sim_schedule(struct sim *sim, uint64_t at_us, enum event_kind kind,
                  uint32_t index, uint32_t part, uint64_t stamp)
{
    struct event event = {
        .at_us = at_us < sim->now_us ? sim->now_us : at_us,
        .tie = prng_next(&sim->prngs[PRNG_SCHEDULE]),
        .stamp = stamp,
        .kind = kind,
        .index = index,
        .part = part,
    };

    heap_push(sim, &event);
}

void sim_schedule_again(struct sim *sim, const struct event *event)
{
    sim_schedule(sim, sim->now_us, event->kind, event->index, event->part,
                 event->stamp);
}

static bool earlier(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->tie < b->tie;
}

static void heap_push(struct sim *sim, const struct event *event)
{
    size_t at = sim->heap_count;

    sim->heap = mem_grow(sim->heap, &sim->heap_capacity, sim->heap_count + 1,
                         sizeof(*sim->heap));
    sim->heap_count++;
    while (at > 0 && earlier(event, &sim->heap[(at - 1) / 2])) {
        sim->heap[at] = sim->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    sim->heap[at] = *event;
}

static struct event heap_pop(struct sim *sim)
{
    struct event first = sim->heap[0];
    struct event moved = sim->heap[--sim->heap_count];
    size_t at = 0;

    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= sim->heap_count) {
            break;
        }
        if (child + 1 < sim->heap_count &&
            earlier(&sim->heap[child + 1], &sim->heap[child])) {
            child++;
        }
        if (!earlier(&sim->heap[child], &moved)) {
            break;
        }
        sim->heap[at] = sim->heap[child];
        at = child;
    }
    if (sim->heap_count > 0) {
        sim->heap[at] = moved;
    }
    return first;
}
