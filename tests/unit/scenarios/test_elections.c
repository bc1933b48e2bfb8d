/* Historical bugs of elections, hangs and limits: SCENARIOS 30 to 45, by
 * number. */
#include <criterion/criterion.h>

#include "tests/unit/scenarios/scene.h"

static void all_serve(struct sim *sim);

/* 31, ZOOKEEPER-764: an observer is counted, or elected. */
Test(scenario_31, observers_make_no_quorum_and_no_leader)
{
    struct sim *sim = scene(3, 2, 1);
    unsigned first = sim_leader(sim);
    unsigned second = scene_other(sim, first, 0);

    scene_to(sim, 0, 4);
    scene_make(sim, 0, "/n", 5);
    sim_crash(sim, first);
    sim_crash(sim, second);
    for (unsigned i = 0; i < 50; i++) {
        scene_run_ms(sim, 100);
        cr_assert_eq(sim_leader(sim), 0);
    }
    sim_restart(sim, second);
    cr_expect_leq(scene_until_leader_but(sim, 0), 3);
    scene_end(sim);
}

/* 32, ZOOKEEPER-569, -1419, -3109: an election that never ends, since the
 * elected one died, or somebody changed its mind. */
Test(scenario_32, an_elected_one_may_die_at_any_moment)
{
    for (unsigned after = 0; after < 200; after += 4) {
        struct sim *sim = scene(5, 0, 1);
        unsigned first = sim_leader(sim), second;

        sim_crash(sim, first);
        for (second = 5; second == first;) {
            second--;
        }
        scene_until_phase(sim, second, "discovery");
        scene_steps(sim, after);
        sim_crash(sim, second);
        (void)scene_until_leader_but(sim, second);
        scene_end(sim);
    }
}

/* Three of five are enough, whichever three and in whatever order they come. */
Test(scenario_32, any_majority_elects)
{
    for (unsigned set = 0; set < 32; set++) {
        struct sim *sim;

        if (__builtin_popcount(set) != 3) {
            continue;
        }
        sim = scene(5, 0, 1);
        for (unsigned server = 1; server <= 5; server++) {
            sim_crash(sim, server);
        }
        for (unsigned server = 1; server <= 5; server++) {
            if ((set >> (server - 1) & 1) != 0) {
                sim_restart(sim, server);
                scene_run_ms(sim, 37 * server);
            }
        }
        (void)scene_until_leader_but(sim, 0);
        scene_end(sim);
    }
}

/* 33, ZOOKEEPER-2164: the highest id restarts and cannot join again. */
Test(scenario_33, every_server_can_restart_again_and_again)
{
    struct sim *sim = scene(3, 1, 1);

    for (unsigned i = 0; i < 12; i++) {
        unsigned server = 1 + i % 4;

        sim_crash(sim, server);
        scene_run_ms(sim, 50 * i);
        sim_restart(sim, server);
        all_serve(sim);
    }
    scene_end(sim);
}

/* 34, ZOOKEEPER-2247: a leader whose log does not get on holds all up; with
 * its disk gone for good it cannot stay. */
Test(scenario_34, a_leader_without_a_disk_is_followed_by_another)
{
    struct sim *sim = scene(3, 0, 2);
    unsigned old = sim_leader(sim), leader;

    scene_to(sim, 0, old);
    sim_disk_hold(sim, old, true);
    scene_tell(sim, 0, "create /a x");
    scene_run_ms(sim, 100);
    sim_crash(sim, old);
    leader = scene_until_leader_but(sim, old);
    scene_to(sim, 1, leader);
    scene_make(sim, 1, "/n", 5);
    sim_disk_hold(sim, old, false);
    scene_end(sim);
}

/* A disk that hangs says nothing: the others are there, and nothing commits. */
Test(scenario_34, a_leader_whose_disk_hangs_steps_down)
{
    struct sim *sim = scene(3, 0, 2);
    unsigned old = sim_leader(sim), leader;

    scene_to(sim, 0, old);
    scene_to(sim, 1, scene_other(sim, old, 0));
    sim_disk_hold(sim, old, true);
    scene_tell(sim, 0, "create /a x");
    leader = scene_until_leader_but(sim, old);
    scene_to(sim, 1, leader);
    scene_make(sim, 1, "/n", 5);
    scene_run_ms(sim, 3000);
    cr_expect_eq(sim_leader(sim), leader);
    sim_disk_hold(sim, old, false);
    scene_until_serves(sim, old);
    scene_run_ms(sim, 20);
    scene_equal(sim, old, leader);
    scene_end(sim);
}

/* 35, ZOOKEEPER-2201, and 36, ZOOKEEPER-3531: a follower that takes nothing
 * blocks the leader while it is sent a snapshot. */
Test(scenario_35_and_36, a_silent_learner_holds_nobody_up)
{
    unsigned leader, late;
    struct sim *sim = scene_small(1, &leader, &late);

    scene_make(sim, 0, "/a", 20);
    sim_crash(sim, late);
    sim_wipe(sim, late);
    sim_restart(sim, late);
    scene_until_phase(sim, late, "syncing");
    sim_cut_one_way(sim, leader, late);
    scene_make(sim, 0, "/b", 100);
    scene_run_ms(sim, 6000);
    scene_make(sim, 0, "/c", 20);
    cr_expect_eq(sim_leader(sim), leader);
    scene_end(sim);
}

/* 75, DESIGN 2.11: a frozen leader is noticed by its silence, and nobody falls
 * for it again. The median of what clients wait is below a second. */
Test(scenario_75, a_frozen_leader_is_followed_by_another_within_a_second)
{
    for (unsigned i = 0; i < 10; i++) {
        struct sim_options options;
        struct sim *sim;
        unsigned old;
        uint64_t began;

        scene_options(&options, 3, 0, 2);
        options.seed = 100 + i;
        sim = scene_with(&options);
        old = sim_leader(sim);
        scene_to(sim, 1, scene_other(sim, old, 0));
        began = sim_now_us(sim);
        sim_pause(sim, old, 5 * SIM_SECOND);
        (void)scene_until_leader_but(sim, old);
        cr_expect_lt(sim_now_us(sim) - began, SIM_SECOND);
        scene_make(sim, 1, "/n", 5);
        scene_run_ms(sim, 6000);
        scene_end(sim);
    }
}

/* 37, ZOOKEEPER-3774: pings are held up; 38: deadlocks when a leader goes. */
Test(scenario_37_and_38, a_leader_may_go_with_work_in_flight)
{
    for (unsigned after = 0; after < 60; after += 3) {
        struct sim *sim = scene(3, 1, 2);
        unsigned old = sim_leader(sim);

        scene_to(sim, 0, scene_other(sim, old, 0));
        scene_make(sim, 0, "/n", 5);
        scene_tell(sim, 0, "create /m0 x\ncreate /m1 x\ncreate /m2 x");
        scene_steps(sim, after);
        sim_resign(sim, old);
        (void)scene_until_leader_but(sim, old);
        scene_to(sim, 1, sim_leader(sim));
        scene_has(sim, 1, "/n", 5);
        scene_end(sim);
    }
}

/* 39, ZOOKEEPER-4537: one client, one request at a time: a wake-up that is
 * lost stays lost, as nothing else comes. */
Test(scenario_39, one_request_at_a_time_never_hangs)
{
    struct sim *sim = scene(3, 0, 1);
    char ask[64], answer[64];

    scene_to(sim, 0, scene_other(sim, sim_leader(sim), 0));
    scene_ask(sim, 0, "create /a x", "create /a\n");
    for (int i = 1; i <= 3000; i++) {
        (void)snprintf(ask, sizeof(ask), "set /a y%d", i);
        (void)snprintf(answer, sizeof(answer), "setData /a v%d\n", i);
        scene_ask(sim, 0, ask, answer);
    }
    scene_end(sim);
}

/* 45, the end of the zxid's counter: the epoch changes in place, and nobody
 * notices, whenever the leader or a follower dies in the middle of it. */
Test(scenario_45, the_counters_end_goes_by_unnoticed)
{
    struct sim_options options;
    struct sim *sim;

    scene_options(&options, 3, 1, 1);
    options.counter_max = 20;
    sim = scene_with(&options);
    scene_to(sim, 0, 4);
    scene_make(sim, 0, "/n", 100);
    cr_expect_geq(scene_mark(sim, ZAB_MARK_EPOCH_IN_PLACE_COUNTER), 4);
    scene_has(sim, 0, "/n", 100);
    scene_end(sim);
}

Test(scenario_45, a_crash_while_the_epoch_changes_in_place_loses_nothing)
{
    for (unsigned point = 0; point < 160; point += 4) {
        struct sim_options options;
        struct sim *sim;
        unsigned leader, dies;

        scene_options(&options, 3, 0, 2);
        options.counter_max = 20;
        sim = scene_with(&options);
        leader = sim_leader(sim);
        dies = point % 8 == 0 ? leader : scene_other(sim, leader, 0);
        scene_to(sim, 0, scene_other(sim, leader, dies));
        scene_make(sim, 0, "/n", 10);
        scene_tell(sim, 0,
                   "create /m0 x\ncreate /m1 x\ncreate /m2 x\ncreate /m3 x\n"
                   "create /m4 x\ncreate /m5 x\ncreate /m6 x\ncreate /m7 x\n"
                   "create /m8 x\ncreate /m9 x\ncreate /m10 x\ncreate /m11 x");
        scene_steps(sim, point);
        sim_crash(sim, dies);
        scene_run_ms(sim, 20);
        sim_restart(sim, dies);
        all_serve(sim);
        scene_to(sim, 1, dies);
        scene_has(sim, 1, "/n", 10);
        scene_end(sim);
    }
}

static void all_serve(struct sim *sim)
{
    for (unsigned server = 1; server <= sim_servers(sim); server++) {
        scene_until_serves(sim, server);
    }
}
