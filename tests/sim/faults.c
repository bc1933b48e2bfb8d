/* What goes wrong, and the mending of it. A fault is drawn once, written down,
 * and then done from what was written: so a run can be repeated without some of
 * its faults. */
#include "base/check.h"
#include "base/prng.h"
#include "replica/inspect.h"
#include "tests/sim/sim_internal.h"
#include "zab/zab_internal.h"

#define MILLION 1000000
#define DAY_MS INT64_C(86400000)
/* One fault often comes while another is being mended. */
#define BURST 10
#define BURST_US (400 * SIM_MS)

static void fault_do(struct sim *sim, const struct fault *fault);
static void cut(struct sim *sim, struct prng *prng);
static void join(struct sim *sim, struct prng *prng);
static void black_hole(struct sim *sim, struct prng *prng);
static void crash(struct sim *sim, struct prng *prng);
static void restart(struct sim *sim, struct prng *prng);
static void wipe(struct sim *sim, struct prng *prng);
static void trap(struct sim *sim, struct prng *prng);
static void everybody_dies(struct sim *sim);
static void disk_fault(struct sim *sim, struct prng *prng, bool full);

/* ---- what a seed draws */

static uint32_t range(struct prng *prng, uint32_t min, uint32_t max)
{
    return min + (uint32_t)prng_below(prng, max - min + 1);
}

/* The same chance for each power of two. */
static uint32_t spread(struct prng *prng, uint32_t min, uint32_t max)
{
    uint32_t top = min;
    uint32_t steps = 0;

    while (top < max / 2) {
        top *= 2;
        steps++;
    }
    top = min << prng_below(prng, steps + 1);
    top = range(prng, top, top * 2);
    return top < max ? top : max;
}

/* Half of the kinds of fault happen, each so many ms apart on average. */
static uint32_t rate(struct prng *prng, uint32_t ms_min, uint32_t ms_max)
{
    uint32_t ms = spread(prng, ms_min, ms_max);

    return prng_below(prng, 2) == 0 ? 0 : MILLION / (ms / 20);
}

static void draw_faults(struct prng *prng, struct sim_faults *faults)
{
    *faults = (struct sim_faults){
        .cut = rate(prng, 1000, 20000),
        .join = MILLION / (spread(prng, 300, 5000) / 20),
        .reset = rate(prng, 200, 10000),
        .black_hole = rate(prng, 3000, 30000),
        .crash = rate(prng, 500, 20000),
        .restart = MILLION / (spread(prng, 200, 3000) / 20),
        .wipe = rate(prng, 4000, 30000),
        .pause = rate(prng, 1000, 20000),
        .disk_slow = rate(prng, 1000, 20000),
        .disk_full = rate(prng, 2000, 20000),
        .wall_jump = rate(prng, 1000, 20000),
        .skew = range(prng, 0, 1),
        .resign = rate(prng, 2000, 20000),
        .trap = rate(prng, 500, 10000),
        .lie = rate(prng, 2000, 20000),
        .split_bytes = prng_below(prng, 3) == 0,
        /* The first election needs everybody. */
        .from_us = prng_below(prng, 8) == 0 ? 0 : 3 * SIM_SECOND,
    };
}

void sim_options_draw(uint64_t seed, struct sim_options *options)
{
    static const unsigned voters[] = {1, 2, 3, 3, 3, 3, 3, 4, 5, 5, 5, 7};
    static const unsigned observers[] = {0, 0, 0, 1, 1, 2};
    struct prng prng;

    prng_init(&prng, seed ^ UINT64_C(0x636f7272616c));
    *options = (struct sim_options){.seed = seed};
    options->voters = voters[prng_below(&prng, 12)];
    options->observers = observers[prng_below(&prng, 6)];
    options->clients = range(&prng, 1, 8);
    if (prng_below(&prng, 16) != 0) {
        draw_faults(&prng, &options->faults);
    }
    options->link_us_min = range(&prng, 20, 200);
    options->link_us_max = options->link_us_min + range(&prng, 50, 1000);
    if (prng_below(&prng, 5) == 0) {
        options->link_us_max += range(&prng, 1000, 30000);
    }
    options->disk_us_min = range(&prng, 20, 200);
    options->disk_us_max = options->disk_us_min + range(&prng, 50, 2000);
    if (prng_below(&prng, 5) == 0) {
        options->disk_us_max += range(&prng, 1000, 20000);
    }
    options->checkpoint_records =
        prng_below(&prng, 3) == 0 ? 0 : spread(&prng, 10, 1000);
    options->history_bytes_max =
        prng_below(&prng, 3) == 0 ? 0 : spread(&prng, 100, 20000);
    options->counter_max =
        prng_below(&prng, 4) == 0 ? spread(&prng, 16, 1000) : 0;
    options->slice_units =
        prng_below(&prng, 3) == 0 ? spread(&prng, 4, 1000) : 0;
    options->session_timeout_ms = (int32_t)spread(&prng, 500, 8000);
    options->read_only = prng_below(&prng, 2) == 0;
    options->linear_reads = prng_below(&prng, 4) == 0;
    options->power_cut = prng_below(&prng, 3) == 0;
}

/* ---- when */

static uint32_t rate_of(const struct sim_faults *faults, enum fault_kind kind)
{
    const uint32_t rates[FAULT_KINDS_COUNT] = {
        [FAULT_CUT] = faults->cut,
        [FAULT_JOIN] = faults->join,
        [FAULT_RESET] = faults->reset,
        [FAULT_BLACK_HOLE] = faults->black_hole,
        [FAULT_CRASH] = faults->crash,
        [FAULT_RESTART] = faults->restart,
        [FAULT_WIPE] = faults->wipe,
        [FAULT_PAUSE] = faults->pause,
        [FAULT_DISK_SLOW] = faults->disk_slow,
        [FAULT_DISK_FULL] = faults->disk_full,
        [FAULT_WALL_JUMP] = faults->wall_jump,
        [FAULT_RESIGN] = faults->resign,
        [FAULT_TRAP] = faults->trap,
        [FAULT_LIE] = faults->lie,
    };

    return rates[kind];
}

void faults_tick(struct sim *sim)
{
    struct script *script = sim->script;

    if (sim->calm) {
        return;
    }
    sim->fault_tick++;
    if (sim->fault_tick % 50 == 0) {
        sim_count(sim, sim_leader(sim) != 0 ? "seconds with a leader"
                                            : "seconds without a leader");
    }
    sim_schedule(sim, sim->now_us + TICK_US, EVENT_FAULTS, 0, 0, 0);
    if (sim->now_us < sim->options.faults.from_us) {
        return;
    }
    if (script != NULL && script->replay) {
        while (sim->script_at < script->count &&
               script->faults[sim->script_at].tick <= sim->fault_tick) {
            fault_do(sim, &script->faults[sim->script_at]);
            sim->script_at++;
        }
        return;
    }
    for (int kind = 0; kind < FAULT_KINDS_COUNT; kind++) {
        uint32_t ppm = rate_of(&sim->options.faults, (enum fault_kind)kind);
        struct fault fault = {.tick = sim->fault_tick,
                              .kind = (enum fault_kind)kind};

        if (sim->now_us < sim->burst_until_us) {
            ppm *= BURST;
        }
        if (ppm == 0 || draw(sim, PRNG_FAULTS, 0, MILLION - 1) >= ppm) {
            continue;
        }
        if (draw_chance(sim, PRNG_FAULTS, 16)) {
            sim->burst_until_us = sim->now_us + BURST_US;
        }
        fault.draw = prng_next(&sim->prngs[PRNG_FAULTS]);
        if (script != NULL && script->count < SCRIPT_MAX) {
            script->faults[script->count++] = fault;
        }
        fault_do(sim, &fault);
    }
}

/* ---- what */

/* The one that is elected, whether or not it leads yet, more often than others.
 */
static struct server *any(struct sim *sim, struct prng *prng, bool up)
{
    bool leads = prng_below(prng, 4) == 0;
    unsigned count = 0;
    uint64_t chosen;

    for (unsigned id = 1; id <= sim->servers_count && up && leads; id++) {
        const struct zab *zab = server_zab(&sim->servers[id]);

        if (zab != NULL && zab_leader_id(zab) == id) {
            return &sim->servers[id];
        }
    }

    for (unsigned id = 1; id <= sim->servers_count; id++) {
        count += sim->servers[id].up == up ? 1 : 0;
    }
    if (count == 0) {
        return NULL;
    }
    chosen = prng_below(prng, count);
    for (unsigned id = 1;; id++) {
        if (sim->servers[id].up == up && chosen-- == 0) {
            return &sim->servers[id];
        }
    }
}

static void fault_do(struct sim *sim, const struct fault *fault)
{
    struct prng prng;
    struct server *server;
    struct wire *wire;

    prng_init(&prng, fault->draw);
    server = any(sim, &prng, true);
    switch (fault->kind) {
        case FAULT_CUT:
            cut(sim, &prng);
            break;
        case FAULT_JOIN:
            join(sim, &prng);
            break;
        case FAULT_RESET:
            wire = wire_any(sim, prng_next(&prng));
            if (wire != NULL) {
                sim_trace(sim, wire->parts[1], "! reset %u", wire->parts[0]);
                wire_reset(sim, wire, &prng);
                sim->events++;
            }
            break;
        case FAULT_BLACK_HOLE:
            black_hole(sim, &prng);
            break;
        case FAULT_CRASH:
            crash(sim, &prng);
            break;
        case FAULT_RESTART:
            restart(sim, &prng);
            break;
        case FAULT_WIPE:
            wipe(sim, &prng);
            break;
        case FAULT_PAUSE:
            if (server != NULL) {
                server_pause(sim, server, spread(&prng, 20, 10000) * SIM_MS);
                sim->events++;
            }
            break;
        case FAULT_DISK_SLOW:
        case FAULT_DISK_FULL:
            disk_fault(sim, &prng, fault->kind == FAULT_DISK_FULL);
            break;
        case FAULT_WALL_JUMP:
            server_of(sim, range(&prng, 1, sim->servers_count))
                ->wall_offset_ms =
                (int64_t)prng_below(&prng, 20 * DAY_MS) - 10 * DAY_MS;
            sim->events++;
            break;
        case FAULT_RESIGN:
            if (sim_leader(sim) != 0) {
                server_resign(sim, server_of(sim, sim_leader(sim)));
                sim->events++;
            }
            break;
        case FAULT_TRAP:
            trap(sim, &prng);
            break;
        case FAULT_LIE:
            sim->lie_due = true;
            break;
        case FAULT_KINDS_COUNT:
            UNREACHABLE();
    }
}

static void trap(struct sim *sim, struct prng *prng)
{
    static const enum peer_msg_type types[] = {
        PEER_FOLLOWER_INFO,  PEER_NEW_EPOCH,  PEER_ACK_EPOCH,
        PEER_SYNC_DIFF,      PEER_SYNC_TRUNC, PEER_SYNC_SNAP,
        PEER_SNAP_CHUNK,     PEER_SNAP_ACK,   PEER_NEW_LEADER,
        PEER_ACK_NEW_LEADER, PEER_UP_TO_DATE, PEER_PROPOSE,
        PEER_COMMIT,         PEER_RESIGN,
    };

    sim->trap = types[prng_below(prng, sizeof(types) / sizeof(types[0]))];
    sim->trap_draw = prng_next(prng);
}

void faults_power_cut(struct sim *sim)
{
    static const enum peer_msg_type types[] = {PEER_PROPOSE, PEER_ACK,
                                               PEER_COMMIT};

    sim->power_cut_due = true;
    sim->trap = types[draw(sim, PRNG_FAULTS, 0, 2)];
}

static void everybody_dies(struct sim *sim)
{
    for (unsigned id = 1; id <= sim->servers_count; id++) {
        if (sim->servers[id].up) {
            server_die(sim, &sim->servers[id], false);
        }
    }
}

void faults_message(struct sim *sim, struct wire *wire, unsigned part,
                    enum peer_msg_type type)
{
    struct server *reader = server_of(sim, wire->parts[part]);
    struct server *sender = server_of(sim, wire->parts[1 - part]);
    struct prng prng;

    if (sim->calm && !sim->power_cut_due) {
        return;
    }
    prng_init(&prng, sim->trap_draw);
    sim->trap = 0;
    sim->events++;
    sim_trace(sim, reader->id, "! trap: %s", peer_msg_name(type));
    sim_count(sim, "traps");
    if (sim->power_cut_due) {
        sim->power_cut_due = false;
        everybody_dies(sim);
        return;
    }
    switch (prng_below(&prng, 5)) {
        case 0: /* behind some of what it makes of this */
            reader->crash_at = (size_t)prng_below(&prng, 6);
            break;
        case 1:
            server_die(sim, sender, prng_below(&prng, 2) == 0);
            break;
        case 2:
            sender->crash_at = (size_t)prng_below(&prng, 6);
            break;
        case 3:
            wire_reset(sim, wire, &prng);
            break;
        default:
            sim_isolate(sim,
                        prng_below(&prng, 2) == 0 ? reader->id : sender->id);
            break;
    }
}

/* Two sets of servers lose each other; one of them may see both (a bridge). */
static void halves(struct sim *sim, struct prng *prng, bool bridge)
{
    uint64_t side = prng_next(prng);
    unsigned both = bridge ? range(prng, 1, sim->servers_count) : 0;

    for (unsigned a = 1; a <= sim->servers_count; a++) {
        for (unsigned b = a + 1; b <= sim->servers_count; b++) {
            if ((side >> a & 1) != (side >> b & 1) && a != both && b != both) {
                sim_cut(sim, a, b);
            }
        }
    }
}

static void cut(struct sim *sim, struct prng *prng)
{
    unsigned a = range(prng, 1, sim->servers_count);
    unsigned b = range(prng, 1, sim->servers_count);
    unsigned leader = sim_leader(sim);

    sim->events++;
    switch (prng_below(prng, 10)) {
        case 0:
            sim_cut(sim, a, b);
            break;
        case 1:
            sim_cut_one_way(sim, a, b);
            break;
        case 2:
            sim_isolate(sim, a);
            break;
        case 3: /* nobody hears it, it hears everybody */
            for (unsigned id = 1; id <= sim->servers_count; id++) {
                sim_cut_one_way(sim, a, id);
            }
            break;
        case 4:
        case 5:
        case 6:
        case 7:
            if (leader != 0) {
                sim_isolate(sim, leader);
            }
            break;
        case 8:
            halves(sim, prng, false);
            break;
        default:
            halves(sim, prng, true);
            break;
    }
}

static void join(struct sim *sim, struct prng *prng)
{
    bool all = prng_below(prng, 2) == 0;
    unsigned first = range(prng, 1, sim->servers_count);

    for (unsigned i = 0; i < sim->servers_count; i++) {
        unsigned a = (first + i - 1) % sim->servers_count + 1;

        for (unsigned b = 1; b <= sim->servers_count; b++) {
            if (!sim->blocked[a][b] && !sim->blocked[b][a]) {
                continue;
            }
            sim_join(sim, a, b);
            sim->events++;
            if (!all) {
                return;
            }
        }
    }
}

static void black_hole(struct sim *sim, struct prng *prng)
{
    struct wire *wire = wire_any(sim, prng_next(prng));

    if (wire == NULL || wire->black_hole) {
        return;
    }
    sim_trace(sim, wire->parts[1], "! black hole to %u", wire->parts[0]);
    wire->black_hole = true;
    wire_silenced(sim, wire, 0);
    wire_silenced(sim, wire, 1);
    sim->events++;
}

/* Between two wake-ups, or between two outputs of the next one. */
static void crash(struct sim *sim, struct prng *prng)
{
    struct server *server = any(sim, prng, true);

    if (server == NULL) {
        return;
    }
    sim_count(sim, "crashes");
    sim->events++;
    switch (prng_below(prng, 3)) {
        case 0:
            server_die(sim, server, true);
            break;
        case 1: /* the machine too */
            server_die(sim, server, false);
            break;
        default:
            server->crash_at = (size_t)prng_below(prng, 1000);
            break;
    }
}

static void restart(struct sim *sim, struct prng *prng)
{
    struct server *server = any(sim, prng, false);

    if (server != NULL) {
        server_start(sim, server);
        sim->events++;
    }
}

/* Never more copies lost than the promise covers: a quorum of others, none of
 * them blank, has taken up an epoch. */
static bool is_dispensable(const struct sim *sim, unsigned id)
{
    unsigned whole = 0;

    for (unsigned other = 1; other <= sim->options.voters; other++) {
        const struct server *server = &sim->servers[other];
        const struct zab *zab = server_zab(server);

        if (other != id && disk_whole(server->disk) &&
            (zab == NULL || !zab_blank(zab))) {
            whole++;
        }
    }
    return whole >= sim->options.voters / 2 + 1;
}

/* A tree that is not the leader's takes a bug of ours. What such a server does
 * is the same when only what it is told of the leader's is wrong, at a place
 * where it is already: then its tree is a right one for the checkers. */
void faults_digest(struct sim *sim, const struct server *server,
                   struct peer_msg *msg)
{
    struct inspect_point point;

    inspect_point(server->replica, &point);
    if (sim->calm || !point.whole || point.zxid < msg->zxid ||
        !is_dispensable(sim, server->id)) {
        return;
    }
    sim->lie_due = false;
    sim->events++;
    sim_trace(sim, server->id, "! its tree differs");
    sim_count(sim, "trees that differ");
    msg->digest.tree ^= 1;
}

static void wipe(struct sim *sim, struct prng *prng)
{
    struct server *server = server_of(sim, range(prng, 1, sim->servers_count));

    if (!is_dispensable(sim, server->id)) {
        return;
    }
    sim_count(sim, "disks replaced");
    sim->events++;
    server_die(sim, server, prng_below(prng, 2) == 0);
    sim_wipe(sim, server->id);
    server_start(sim, server);
}

static void disk_fault(struct sim *sim, struct prng *prng, bool full)
{
    struct server *server = server_of(sim, range(prng, 1, sim->servers_count));
    uint64_t for_us = spread(prng, 50, 5000) * SIM_MS;

    sim->events++;
    if (full) {
        sim_trace(sim, server->id, "! disk full");
        disk_set_low(server->disk, true);
        sim_schedule(sim, sim->now_us + for_us, EVENT_DISK_END, server->id, 0,
                     0);
    } else {
        sim_trace(sim, server->id, "! disk slow");
        disk_slow(server->disk, sim->now_us + for_us);
    }
}

/* ---- the end of all that */

void faults_heal(struct sim *sim)
{
    sim_trace(sim, 0, "! healed");
    sim->calm = true;
    for (unsigned a = 1; a <= sim->servers_count; a++) {
        for (unsigned b = 1; b <= sim->servers_count; b++) {
            sim->blocked[a][b] = false;
        }
    }
    for (size_t i = 0; i < sim->wires_count; i++) {
        struct wire *wire = sim->wires[i];

        if (wire->stamp != 0 && wire->black_hole) {
            wire->black_hole = false;
            wire_reset(sim, wire, &sim->prngs[PRNG_NET]);
        }
    }
    wires_kick_all(sim);
    for (unsigned id = 1; id <= sim->servers_count; id++) {
        struct server *server = server_of(sim, id);

        server->crash_at = SIZE_MAX;
        disk_set_low(server->disk, false);
        disk_slow(server->disk, 0);
        disk_hold(sim, server, false);
        if (server->dying) {
            server_die(sim, server, true);
        }
        if (server->paused) {
            sim_schedule(sim, sim->now_us, EVENT_RESUME, id, 0,
                         server->incarnation);
        }
        if (!server->up) {
            sim_schedule(sim,
                         sim->now_us + draw(sim, PRNG_SERVERS, 0, SIM_SECOND),
                         EVENT_START, id, 0, 0);
        }
    }
}
