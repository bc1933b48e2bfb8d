/* Ensembles of one to five voters, with and without observers, under drawn
 * schedules: what holds of every effect is looked at in net_effects.c; here,
 * that an ensemble goes on when it can. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/zab/weather.h"

#define SEEDS 400
#define STORMS 40  /* and a calm behind every other */
#define EVENTS 300 /* of a storm */

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
    weather_storms(net, STORMS, EVENTS);
    heal(net);
    net_finish(net);
    free(net);
}

/* Whatever happened: connected and left alone they settle, and go on. */
static void heal(struct net *net)
{
    weather_mend(net);
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
