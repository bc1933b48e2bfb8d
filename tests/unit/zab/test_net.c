/* Ensembles of one to five voters, with and without observers, under drawn
 * schedules: what holds of every effect is looked at in net_effects.c; here,
 * that an ensemble goes on when it can. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/zab/net.h"

#define SEEDS 400
#define STORMS 40  /* and a calm behind every other */
#define EVENTS 300 /* of a storm */

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
static void mend(struct net *net);
static void heal(struct net *net);
static void run_seed(uint64_t seed);
static void run_seeds(uint64_t from, uint64_t to);

Test(zab_net, an_empty_ensemble_elects_a_leader_and_serves)
{
    for (unsigned voters = 1; voters <= 5; voters++) {
        struct net net;

        net_init(&net, &(struct net_options){
                           .seed = voters, .voters = voters, .observers = 1});
        net_start_all(&net);
        net_run_until(&net, net_all_serve, 100);
        for (unsigned i = 0; i < 10; i++) {
            cr_assert_neq(net_propose(&net, net_leader(&net)), 0);
            net_settle(&net);
        }
        net_run_until(&net, net_all_equal, 10);
        cr_assert_eq(net.order_count, 10);
        net_finish(&net);
    }
}

Test(zab_net, a_minority_serves_nobody_and_the_others_go_on)
{
    struct net net;
    unsigned old;

    net_init(&net, &(struct net_options){.seed = 7, .voters = 5});
    net_start_all(&net);
    net_run_until(&net, net_all_serve, 100);
    old = net_leader(&net);
    net_isolate(&net, old);
    net_run(&net, 100);
    cr_assert_not(net_serving(&net, old));
    cr_assert_neq(net_leader(&net), 0);
    cr_assert_neq(net_propose(&net, net_leader(&net)), 0);
    net_settle(&net);
    cr_assert_eq(net.order_count, 1);
    net_join_all(&net);
    net_run_until(&net, net_all_equal, 100);
    net_finish(&net);
}

Test(zab_net, nothing_is_lost_when_all_lose_power_at_once)
{
    struct net net;

    net_init(&net, &(struct net_options){.seed = 8, .voters = 3});
    net_start_all(&net);
    net_run_until(&net, net_all_serve, 100);
    for (unsigned round = 1; round <= 10; round++) {
        for (unsigned i = 0; i < 5; i++) {
            (void)net_propose(&net, net_leader(&net));
        }
        for (unsigned i = 0; i < round * 5; i++) {
            (void)net_step(&net);
        }
        for (unsigned id = 1; id <= 3; id++) {
            net_crash(&net, id);
        }
        net_start_all(&net);
        net_run_until(&net, net_all_equal, 200);
    }
    net_finish(&net);
}

/* The seeds are split, so that they run beside each other. */
Test(zab_net, drawn_schedules_agree_and_recover_1)
{
    run_seeds(1, SEEDS / 4);
}

Test(zab_net, drawn_schedules_agree_and_recover_2)
{
    run_seeds(SEEDS / 4 + 1, SEEDS / 2);
}

Test(zab_net, drawn_schedules_agree_and_recover_3)
{
    run_seeds(SEEDS / 2 + 1, SEEDS / 4 * 3);
}

Test(zab_net, drawn_schedules_agree_and_recover_4)
{
    run_seeds(SEEDS / 4 * 3 + 1, SEEDS);
}

static void run_seeds(uint64_t from, uint64_t to)
{
    const char *only = getenv("NET_SEED");

    if (only != NULL) {
        run_seed(strtoull(only, NULL, 10));
        return;
    }
    for (uint64_t seed = from; seed <= to; seed++) {
        run_seed(seed);
    }
}

static void run_seed(uint64_t seed)
{
    struct net_options options = {.seed = seed};
    struct weather weather;
    struct prng prng;
    struct net *net = malloc(sizeof(*net));

    prng_init(&prng, seed);
    options.voters = 1 + (unsigned)prng_below(&prng, 5);
    options.observers = (unsigned)prng_below(&prng, 3);
    options.counter_max = prng_below(&prng, 3) == 0 ? 8 : 0;
    options.history_bytes_max = prng_below(&prng, 2) == 0 ? 200 : 0;
    options.checkpoint_every = (unsigned)prng_below(&prng, 3) * 5;
    options.payload_max = prng_below(&prng, 4) == 0 ? 100000 : 0;
    net_init(net, &options);
    net_start_all(net);
    for (unsigned storm = 0; storm < STORMS; storm++) {
        if (prng_below(&prng, 2) == 0) {
            mend(net);
            net_run(net, (unsigned)prng_below(&prng, 60));
        }
        draw(net, &weather);
        for (unsigned i = 0; i < EVENTS; i++) {
            happen(net, &weather);
        }
    }
    heal(net);
    net_finish(net);
    free(net);
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

static void mend(struct net *net)
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

/* Whatever happened: connected and left alone they settle, and go on. */
static void heal(struct net *net)
{
    mend(net);
    net_run_until(net, net_all_equal, 500);
    for (unsigned i = 0; i < 3; i++) {
        net_run_until(net, net_all_serve, 100); /* an epoch may end here */
        cr_assert_neq(net_propose(net, net_leader(net)), 0);
    }
    net_run_until(net, net_all_serve, 100);
    net_barrier(net, net_leader(net));
    net_run(net, 2);
    net_run_until(net, net_all_equal, 20);
    for (unsigned id = 1; id <= net->count; id++) {
        cr_assert_eq(net->servers[id].tree[net->order_count - 1].number,
                     net->values_count - 1);
    }
}
