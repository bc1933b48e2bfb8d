#include "tests/unit/zab/weather.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define RUNS 24

/* How often what happens, in an event, per thousand. */
struct weather {
    unsigned tick, propose, barrier, crash, start, cut, join, hold, release,
        pause, go_on, resign, diverge, wipe, strike, blackout;
};

static void draw(struct net *net, struct weather *weather);
static void happen(struct net *net, const struct weather *weather);
static void disturb(struct net *net, const struct weather *weather);
static void strike(struct net *net, unsigned id);
static void black_out(struct net *net);
static void lose(struct net *net, const struct weather *weather);
static bool likely(struct net *net, unsigned per_thousand);
static unsigned drawn_server(struct net *net);

void weather_storms(struct net *net, unsigned storms, unsigned events)
{
    struct weather weather;

    for (unsigned storm = 0; storm < storms; storm++) {
        if (likely(net, 500)) {
            weather_mend(net);
            net_run(net, (unsigned)prng_below(&net->prng, 60));
        }
        draw(net, &weather);
        for (unsigned i = 0; i < events; i++) {
            happen(net, &weather);
        }
    }
}

void weather_mend(struct net *net)
{
    net_join_all(net);
    for (unsigned id = 1; id <= net->count; id++) {
        net->servers[id].paused = false;
        net->servers[id].disk_held = false;
        if (net->servers[id].resigned && net->servers[id].zab != NULL) {
            net_crash(net, id);
        }
    }
    net_start_all(net);
}

void weather_runs(weather_claim claim, size_t least)
{
    size_t tried = 0;

    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        struct net *net = malloc(sizeof(*net));

        net_init(net, &(struct net_options){
                          .seed = seed,
                          .voters = seed % 2 == 0 ? 3 : 5,
                          .observers = (unsigned)(seed % 3 == 0),
                          .counter_max = seed % 4 == 0 ? 10 : 0,
                          .history_bytes_max = seed % 5 == 0 ? 200 : 0,
                          .checkpoint_every = seed % 4 == 1 ? 6 : 0});
        net_start_all(net);
        weather_storms(net, 12, 300);
        weather_mend(net);
        net_run_until(net, net_all_equal, 500);
        tried += claim(net);
        net_finish(net);
        free(net);
    }
    cr_assert_geq(tried, least, "tried %zu times only", tried);
}

static void draw(struct net *net, struct weather *weather)
{
    static const unsigned ticks[] = {2, 10, 50};
    struct prng *prng = &net->prng;

    *weather = (struct weather){
        .tick = ticks[prng_below(prng, 3)],
        .propose = (unsigned)prng_below(prng, 60),
        .barrier = (unsigned)prng_below(prng, 20),
        .crash = (unsigned)prng_below(prng, 8),
        .start = 1 + (unsigned)prng_below(prng, 20),
        .cut = (unsigned)prng_below(prng, 8),
        .join = 1 + (unsigned)prng_below(prng, 20),
        .hold = (unsigned)prng_below(prng, 8),
        .release = 1 + (unsigned)prng_below(prng, 20),
        .pause = (unsigned)prng_below(prng, 4),
        .go_on = 1 + (unsigned)prng_below(prng, 10),
        .resign = (unsigned)prng_below(prng, 2),
        .diverge = (unsigned)prng_below(prng, 3),
        .wipe = (unsigned)prng_below(prng, 3),
        .strike = (unsigned)prng_below(prng, 20),
        .blackout = (unsigned)prng_below(prng, 4),
    };
}

static void happen(struct net *net, const struct weather *weather)
{
    unsigned leader = net_leader(net);

    if (leader != 0 && !net->servers[leader].paused) {
        if (likely(net, weather->propose)) {
            (void)net_propose(net, leader);
        }
        if (zab_can_propose(net->servers[leader].zab) &&
            likely(net, weather->barrier)) {
            net_barrier(net, leader);
        }
    }
    disturb(net, weather);
    lose(net, weather);
    if (likely(net, weather->strike)) {
        strike(net, drawn_server(net));
    }
    if (likely(net, weather->blackout)) {
        black_out(net);
    }
    if (likely(net, weather->tick) || !net_step(net)) {
        net_tick(net);
    }
}

static void disturb(struct net *net, const struct weather *weather)
{
    unsigned a = drawn_server(net), b = drawn_server(net);
    struct net_server *server = &net->servers[a];

    if (a != b && likely(net, weather->cut)) {
        net_cut(net, a, b);
    }
    if (likely(net, weather->join)) {
        net_join(net, a, b);
    }
    if (likely(net, weather->hold)) {
        net_hold(net, a, b, true);
    }
    if (likely(net, weather->release)) {
        net_hold(net, a, b, false);
    }
    if (likely(net, weather->pause)) {
        server->paused = true;
    }
    if (likely(net, weather->go_on)) {
        server->paused = false;
    }
    if (likely(net, weather->hold)) {
        server->disk_held = true;
    }
    if (likely(net, weather->release)) {
        server->disk_held = false;
    }
    if (server->zab != NULL && likely(net, weather->crash)) {
        net_crash(net, a);
    }
    if (net->servers[b].zab == NULL && likely(net, weather->start)) {
        net_start(net, b);
    }
}

/* At who leads or wants to, when it hurts most: with proposals that nobody or
 * few have, or in the middle of discovery. */
static void strike(struct net *net, unsigned id)
{
    struct net_server *server = &net->servers[id];
    unsigned friend = drawn_server(net);

    if (server->zab == NULL || zab_leader_id(server->zab) != id) {
        return;
    }
    for (uint64_t i = prng_below(&net->prng, 6); i > 0; i--) {
        (void)net_propose(net, id);
    }
    for (uint64_t i = prng_below(&net->prng, 12); i > 0; i--) {
        (void)net_step(net);
    }
    if (server->zab == NULL || likely(net, 300)) {
        return;
    }
    if (likely(net, 500)) {
        net_crash(net, id);
        return;
    }
    for (unsigned peer = 1; peer <= net->count; peer++) {
        if (peer == id || peer == friend) {
            continue;
        }
        if (likely(net, 500)) {
            net_cut(net, id, peer);
        } else {
            net_hold(net, id, peer, true);
        }
    }
}

/* All lose power; most have it back at once. */
static void black_out(struct net *net)
{
    for (unsigned id = 1; id <= net->count; id++) {
        if (net->servers[id].zab != NULL) {
            net_crash(net, id);
        }
        if (likely(net, 800)) {
            net_start(net, id);
        }
    }
}

/* What takes votes away for a while. */
static void lose(struct net *net, const struct weather *weather)
{
    unsigned id = drawn_server(net);
    struct net_server *server = &net->servers[id];

    if (server->zab == NULL) {
        if (likely(net, weather->wipe) && net_can_spare(net, id)) {
            net_wipe(net, id);
        }
        return;
    }
    if (net_leader(net) == id && likely(net, weather->resign)) {
        net_resign(net, id);
    }
    if ((net_role(net, id) == ZAB_FOLLOWING ||
         net_role(net, id) == ZAB_OBSERVING) &&
        likely(net, weather->diverge) && net_can_spare(net, id)) {
        net_diverge(net, id);
    }
}

static bool likely(struct net *net, unsigned per_thousand)
{
    return prng_below(&net->prng, 1000) < per_thousand;
}

static unsigned drawn_server(struct net *net)
{
    return 1 + (unsigned)prng_below(&net->prng, net->count);
}
