/* Historical bugs of recovery and synchronization: SCENARIOS 1 to 29, by
 * number. Where a bug sat between two writes to disk, every event in between
 * is tried as the moment of the crash. */
#include <criterion/criterion.h>

#include "tests/unit/scenarios/scene.h"

#define POINTS_STEP 3 /* of the events that are tried as a crash's moment */

static void crash_at_each_point(const struct sim_options *options, bool wipe,
                                unsigned points);
static bool crash_at(const struct sim_options *options, bool wipe,
                     unsigned point);

/* 1, ZOOKEEPER-4643: a follower crashes between the records and the epoch of
 * its synchronization; 7, ZOOKEEPER-4785: records not written yet. It may then
 * win an election: nothing acknowledged may be cut. */
Test(scenario_1_and_7, a_crash_at_any_point_of_a_diff_loses_nothing)
{
    struct sim_options options;

    scene_options(&options, 3, 0, 2);
    crash_at_each_point(&options, false, 120);
}

/* 8, ZOOKEEPER-3642, and 9, ZOOKEEPER-2872: a crash in a SNAP leaves half of a
 * snapshot, on disk or in memory; 70: an install acknowledged too soon. */
Test(scenario_8_and_9, a_crash_at_any_point_of_a_snapshot_loses_nothing)
{
    struct sim_options options;

    scene_options(&options, 3, 0, 2);
    scene_small_options(&options);
    crash_at_each_point(&options, true, 200);
}

/* 2, ZOOKEEPER-4646, and 3, ZOOKEEPER-3911: the whole quorum loses power as
 * soon as the new leader serves, and the old leader stays away. */
Test(scenario_2_and_3, a_quorum_that_dies_as_it_begins_to_serve_keeps_all)
{
    for (unsigned after = 0; after < 40; after += 2) {
        struct sim *sim = scene(3, 0, 2);
        unsigned old = sim_leader(sim), leader;

        scene_to(sim, 0, scene_other(sim, old, 0));
        scene_make(sim, 0, "/n", 10);
        sim_isolate(sim, old);
        leader = scene_until_leader_but(sim, old);
        scene_steps(sim, after);
        sim_crash(sim, leader);
        sim_crash(sim, scene_other(sim, old, leader));
        sim_restart(sim, leader);
        sim_restart(sim, scene_other(sim, old, leader));
        leader = scene_until_leader_but(sim, old);
        scene_to(sim, 1, leader);
        scene_has(sim, 1, "/n", 10);
        scene_end(sim);
    }
}

/* 4, ZOOKEEPER-4685, and 5, ZOOKEEPER-4394: proposals and commits stand
 * anywhere around NEW_LEADER and UP_TO_DATE. */
Test(scenario_4_and_5, commits_go_on_while_a_follower_joins)
{
    uint64_t proposed = 0, committed = 0;

    for (unsigned after = 0; after < 30; after++) {
        struct sim *sim = scene(3, 0, 1);
        unsigned leader = sim_leader(sim);
        unsigned late = scene_other(sim, leader, 0);

        scene_to(sim, 0, leader);
        sim_crash(sim, late);
        scene_make(sim, 0, "/a", 10);
        sim_restart(sim, late);
        scene_steps(sim, 20 + 2 * after);
        scene_make(sim, 0, "/b", 30);
        scene_until_serves(sim, late);
        scene_run_ms(sim, 10);
        scene_equal(sim, leader, late);
        proposed += scene_mark(sim, ZAB_MARK_SYNC_PROPOSE_BEFORE_UP_TO_DATE);
        committed += scene_mark(sim, ZAB_MARK_SYNC_COMMIT_BEFORE_UP_TO_DATE);
        scene_end(sim);
    }
    cr_expect_gt(proposed, 0);
    cr_expect_gt(committed, 0);
}

/* 6, ZOOKEEPER-4925: what came by synchronization is missing in what the
 * follower serves when it leads. */
Test(scenario_6, a_synchronized_follower_hands_on_all_of_it)
{
    struct sim *sim = scene(3, 0, 2);
    unsigned first = sim_leader(sim);
    unsigned second = scene_other(sim, first, 0);
    unsigned third = scene_other(sim, first, second);

    scene_to(sim, 0, first);
    sim_crash(sim, second);
    scene_make(sim, 0, "/n", 10);
    sim_restart(sim, second);
    scene_until_serves(sim, second);
    sim_crash(sim, third);
    scene_make(sim, 0, "/m", 10);
    sim_crash(sim, first);
    sim_restart(sim, third);
    scene_until_leads(sim, second);
    scene_until_serves(sim, third);
    scene_to(sim, 1, third);
    scene_has(sim, 1, "/n", 10);
    scene_has(sim, 1, "/m", 10);
    scene_end(sim);
}

/* 10, ZOOKEEPER-5094: a crash in a TRUNC leaves memory and log apart. */
Test(scenario_10, a_crash_at_any_point_of_a_truncation_leaves_no_gap)
{
    for (unsigned after = 0; after < 120; after += POINTS_STEP) {
        struct sim *sim = scene(3, 0, 2);
        unsigned old = sim_leader(sim), leader;

        scene_to(sim, 0, old);
        sim_isolate(sim, old);
        scene_tell(sim, 0, "create /lost1 x\ncreate /lost2 x");
        leader = scene_until_leader_but(sim, old);
        scene_to(sim, 1, leader);
        scene_make(sim, 1, "/n", 10);
        sim_heal_all(sim);
        scene_until_phase(sim, old, "promising");
        scene_steps(sim, after);
        sim_crash(sim, old);
        sim_restart(sim, old);
        scene_until_serves(sim, old);
        scene_run_ms(sim, 200);
        scene_equal(sim, old, leader);
        scene_end(sim);
    }
}

/* 11, ZOOKEEPER-3104: between a snapshot and what follows it there is neither
 * a gap nor an overlap, though commits go on. */
Test(scenario_11, commits_go_on_while_a_snapshot_is_sent)
{
    uint64_t during = 0;

    for (unsigned after = 0; after < 20; after++) {
        struct sim_options options;
        struct sim *sim;
        unsigned leader, late;

        scene_options(&options, 3, 0, 1);
        scene_small_options(&options);
        /* Reading it takes longer than a request. */
        options.disk_us_min = options.disk_us_max = 2 * (uint32_t)SIM_MS;
        sim = scene_with(&options);
        leader = sim_leader(sim);
        late = scene_other(sim, leader, 0);
        scene_to(sim, 0, leader);
        scene_make(sim, 0, "/a", 40);
        sim_crash(sim, late);
        sim_wipe(sim, late);
        sim_restart(sim, late);
        scene_until_phase(sim, late, "promising");
        scene_steps(sim, 10 * after);
        scene_make(sim, 0, "/b", 150);
        scene_until_serves(sim, late);
        scene_run_ms(sim, 10);
        scene_equal(sim, leader, late);
        during += scene_mark(sim, ZAB_MARK_SNAP_DURING_COMMITS);
        scene_end(sim);
    }
    cr_expect_gt(during, 0);
}

/* 12, ZOOKEEPER-2845: a leader that lost its quorum logged what nobody else
 * has; it comes back and must not show it. */
Test(scenario_12, a_lone_leaders_tail_is_cut)
{
    struct sim *sim = scene(3, 0, 2);
    unsigned old = sim_leader(sim), leader;

    scene_to(sim, 0, old);
    scene_ask(sim, 0, "create /a x", "create /a\n");
    sim_isolate(sim, old);
    scene_tell(sim, 0, "create /lost x");
    leader = scene_until_leader_but(sim, old);
    scene_to(sim, 1, leader);
    scene_ask(sim, 1, "create /b y", "create /b\n");
    sim_heal_all(sim);
    scene_until_serves(sim, old);
    scene_to(sim, 1, old);
    scene_ask(sim, 1, "sync /\nget /b\nexists /lost",
              "sync /\ngetData /b 'y' v0\nexists /lost: no node\n");
    cr_expect_eq(scene_mark(sim, ZAB_MARK_SYNC_TRUNC), 1);
    scene_equal(sim, old, leader);
    scene_end(sim);
}

/* 13, ZOOKEEPER-1154: the only server with 74 is away; the others reach 81 in
 * a new epoch. It is cut to 73: no more and no less. */
Test(scenario_13, a_longer_log_of_an_old_epoch_is_cut_at_the_common_point)
{
    struct sim *sim = scene(3, 0, 2);
    unsigned old = sim_leader(sim), leader;
    zxid_t common;

    scene_to(sim, 0, old);
    scene_make(sim, 0, "/n", 10);
    scene_run_ms(sim, 5);
    common = sim_zxid(sim, old);
    sim_isolate(sim, old);
    scene_tell(sim, 0, "create /x1 x\ncreate /x2 x\ncreate /x3 x");
    scene_run_ms(sim, 1);
    sim_crash(sim, old);
    leader = scene_until_leader_but(sim, old);
    scene_to(sim, 1, leader);
    scene_make(sim, 1, "/m", 20);
    sim_heal_all(sim);
    scene_until_phase(sim, old, "promising");
    cr_expect_eq(zab_logged(scene_zab(sim, old)), common + 3);
    while (scene_mark(sim, ZAB_MARK_SYNC_TRUNC) == 0) {
        scene_steps(sim, 1);
    }
    scene_until_serves(sim, old);
    scene_run_ms(sim, 10);
    scene_equal(sim, old, leader);
    cr_expect_eq(scene_mark(sim, ZAB_MARK_SYNC_SNAP), 0);
    scene_to(sim, 0, old);
    scene_has(sim, 0, "/n", 10);
    scene_has(sim, 0, "/m", 20);
    scene_end(sim);
}

/* 15, ZOOKEEPER-2418: DIFF from log and memory, with a hole between them. */
Test(scenario_15, a_diff_goes_over_from_the_log_to_memory_without_a_hole)
{
    struct sim_options options;
    struct sim *sim;
    unsigned leader, late;

    scene_options(&options, 3, 0, 2);
    options.history_bytes_max = 600;
    sim = scene_with(&options);
    leader = sim_leader(sim);
    late = scene_other(sim, leader, 0);
    sim_crash(sim, late);
    scene_to(sim, 0, leader);
    scene_make(sim, 0, "/n", 60);
    sim_restart(sim, late);
    scene_until_serves(sim, late);
    scene_to(sim, 1, late);
    scene_has(sim, 1, "/n", 60);
    cr_expect_gt(scene_mark(sim, ZAB_MARK_SYNC_DIFF_LOG), 0);
    cr_expect_eq(scene_mark(sim, ZAB_MARK_SYNC_SNAP), 0);
    scene_equal(sim, late, leader);
    scene_end(sim);
}

/* 16, ZOOKEEPER-2846: a branch that was given up stands in the leader's log
 * and is sent to another one. */
Test(scenario_16, a_branch_that_was_cut_is_never_handed_on)
{
    struct sim_options options;
    struct sim *sim;
    unsigned old, leader, third;

    scene_options(&options, 3, 0, 3);
    options.history_bytes_max = 300;
    sim = scene_with(&options);
    old = sim_leader(sim);
    scene_to(sim, 0, old);
    sim_isolate(sim, old);
    scene_tell(sim, 0, "create /x1 x\ncreate /x2 x");
    leader = scene_until_leader_but(sim, old);
    third = scene_other(sim, old, leader);
    sim_heal_all(sim);
    scene_until_serves(sim, old);
    sim_crash(sim, third);
    scene_to(sim, 1, leader);
    scene_make(sim, 1, "/n", 20);
    sim_crash(sim, leader);
    sim_restart(sim, third);
    scene_until_leads(sim, old);
    scene_until_serves(sim, third);
    scene_to(sim, 2, third);
    scene_ask(sim, 2, "sync /\nexists /x1", "sync /\nexists /x1: no node\n");
    scene_has(sim, 2, "/n", 20);
    scene_end(sim);
}

/* 18, ZOOKEEPER-4352: a leader whose own data came by SNAP sends a lagging
 * one a part. */
Test(scenario_18, a_leader_that_was_snapped_hands_on_a_whole)
{
    struct sim_options options;
    struct sim *sim;
    unsigned first, second, third;

    scene_options(&options, 3, 0, 2);
    scene_small_options(&options);
    sim = scene_with(&options);
    first = sim_leader(sim);
    second = scene_other(sim, first, 0);
    third = scene_other(sim, first, second);
    scene_to(sim, 0, first);
    sim_crash(sim, third);
    scene_make(sim, 0, "/n", 40);
    sim_crash(sim, second);
    sim_wipe(sim, second);
    sim_restart(sim, second);
    /* Alone the first has no quorum: the third helps it. */
    sim_restart(sim, third);
    scene_until_serves(sim, second);
    sim_crash(sim, third);
    scene_to(sim, 0, sim_leader(sim));
    scene_make(sim, 0, "/m", 10);
    sim_crash(sim, first);
    sim_restart(sim, third);
    scene_until_serves(sim, third);
    cr_expect_gt(scene_mark(sim, ZAB_MARK_TREE_RELOADED), 0);
    scene_to(sim, 1, third);
    scene_has(sim, 1, "/n", 40);
    scene_has(sim, 1, "/m", 10);
    scene_end(sim);
}

/* 19, ZOOKEEPER-1319 and -1367: all restart, one with an empty disk; what is
 * dead goes, the trees are equal. */
Test(scenario_19, after_a_full_restart_dead_sessions_ephemerals_go)
{
    struct sim *sim = scene(3, 0, 2);
    unsigned empty = scene_other(sim, sim_leader(sim), 0);

    scene_to(sim, 0, 1);
    scene_ask(sim, 0, "create -e /e x", "create /e\n");
    for (unsigned server = 1; server <= 3; server++) {
        sim_crash(sim, server);
    }
    sim_wipe(sim, empty);
    for (unsigned server = 1; server <= 3; server++) {
        sim_restart(sim, server);
    }
    for (unsigned server = 1; server <= 3; server++) {
        scene_until_serves(sim, server);
    }
    scene_equal(sim, 1, 2);
    scene_equal(sim, 1, 3);
    scene_end(sim);
}

/* 20, ZOOKEEPER-335: a server that raised its epoch without a quorum refuses
 * all later leaders. */
Test(scenario_20, a_server_with_a_higher_epoch_is_let_in)
{
    struct sim *sim = scene(3, 0, 1);
    unsigned old = sim_leader(sim), leader;

    /* Cut one by one: each that is left tries to lead for a while. */
    sim_isolate(sim, old);
    leader = scene_until_leader_but(sim, old);
    sim_isolate(sim, leader);
    scene_run_ms(sim, 3000);
    sim_join(sim, old, scene_other(sim, old, leader));
    (void)scene_until_leader_but(sim, leader);
    sim_heal_all(sim);
    for (unsigned server = 1; server <= 3; server++) {
        scene_until_serves(sim, server);
    }
    scene_end(sim);
}

/* 21 to 24: a crash of all at each moment of the very first election and of
 * the first epoch; emptiness is never taken for absence. */
Test(scenario_21_to_24, a_crash_of_all_at_any_point_of_the_beginning_starts)
{
    for (unsigned after = 0; after < 300; after += 5) {
        struct sim_options options;
        struct sim *sim;

        scene_options(&options, 3, 0, 1);
        sim = sim_create(&options);
        scene_steps(sim, after);
        for (unsigned server = 1; server <= 3; server++) {
            if (sim_up(sim, server)) {
                sim_crash(sim, server);
            }
        }
        for (unsigned server = 1; server <= 3; server++) {
            sim_restart(sim, server);
        }
        for (unsigned server = 1; server <= 3; server++) {
            scene_until_serves(sim, server);
        }
        scene_end(sim);
    }
}

/* 28, ZOOKEEPER-2678: a synchronization that takes longer than initLimit goes
 * on as long as it gets on. */
Test(scenario_28, a_long_synchronization_that_progresses_is_not_timed_out)
{
    struct sim_options options;
    struct sim *sim;
    unsigned leader, late;
    uint64_t began;

    scene_options(&options, 3, 0, 1);
    scene_small_options(&options);
    options.disk_us_min = options.disk_us_max = 40 * (uint32_t)SIM_MS;
    sim = scene_with(&options);
    leader = sim_leader(sim);
    late = scene_other(sim, leader, 0);
    scene_to(sim, 0, leader);
    scene_make(sim, 0, "/n", 100);
    sim_crash(sim, late);
    sim_wipe(sim, late);
    began = sim_now_us(sim);
    sim_restart(sim, late);
    scene_until_serves(sim, late);
    cr_expect_gt(sim_now_us(sim) - began, 100 * SIM_MS);
    scene_equal(sim, late, leader);
    scene_end(sim);
}

/* 29, ZOOKEEPER-4712: what an old leadership asked of the disk is done when
 * the server already follows another one. */
Test(scenario_29, a_disk_that_lags_behind_the_role_harms_nobody)
{
    struct sim *sim = scene(3, 0, 2);
    unsigned old = sim_leader(sim), leader;

    scene_to(sim, 0, old);
    sim_disk_hold(sim, old, true);
    scene_tell(sim, 0, "create /x1 x\ncreate /x2 x");
    scene_run_ms(sim, 1);
    sim_isolate(sim, old);
    leader = scene_until_leader_but(sim, old);
    scene_to(sim, 1, leader);
    scene_make(sim, 1, "/n", 10);
    sim_heal_all(sim);
    scene_run_ms(sim, 300);
    sim_disk_hold(sim, old, false);
    scene_until_serves(sim, old);
    scene_run_ms(sim, 20);
    scene_equal(sim, old, sim_leader(sim));
    scene_to(sim, 1, old);
    scene_has(sim, 1, "/n", 10);
    scene_end(sim);
}

static void crash_at_each_point(const struct sim_options *options, bool wipe,
                                unsigned points)
{
    bool whole = false;

    for (unsigned point = 0; point < points; point += POINTS_STEP) {
        whole = crash_at(options, wipe, point);
    }
    cr_expect(whole, "the last point is behind the whole synchronization");
}

/* The lagging one crashes so many events after its return, then the leader; it
 * and the third must have everything. True: it had come to serve. */
static bool crash_at(const struct sim_options *options, bool wipe,
                     unsigned point)
{
    struct sim *sim = scene_with(options);
    unsigned leader = sim_leader(sim);
    unsigned late = scene_other(sim, leader, 0);
    bool served;

    scene_to(sim, 0, leader);
    scene_ask(sim, 0, "create -e /e x", "create /e\n");
    sim_crash(sim, late);
    scene_make(sim, 0, "/n", 20);
    if (wipe) {
        sim_wipe(sim, late);
    }
    sim_restart(sim, late);
    scene_steps(sim, point);
    served = sim_serving(sim, late);
    sim_crash(sim, late);
    sim_crash(sim, leader);
    sim_restart(sim, late);
    if (wipe && !served) {
        /* Two of three are needed that have a whole copy. */
        sim_restart(sim, leader);
    }
    scene_until_serves(sim, late);
    scene_to(sim, 1, late);
    scene_has(sim, 1, "/n", 20);
    scene_end(sim);
    return served;
}
