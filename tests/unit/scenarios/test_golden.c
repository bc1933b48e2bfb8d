/* Golden traces: what is said, stored and become, line by line, in
 * golden/NAME.trace. UPDATE=1 writes them anew: read the difference before you
 * keep it. */
#include <criterion/criterion.h>

#include "tests/unit/scenarios/scene.h"

static struct sim *three_with_one_away(unsigned *leader, unsigned *late,
                                       unsigned clients);

Test(golden, election_and_discovery_of_an_empty_ensemble)
{
    struct sim_options options;
    struct sim *sim;

    scene_options(&options, 3, 0, 0);
    sim = sim_create(&options);
    for (unsigned server = 1; server <= 3; server++) {
        scene_until_serves(sim, server);
    }
    scene_golden(sim, "election");
    scene_end(sim);
}

Test(golden, diff)
{
    unsigned leader, late;
    struct sim *sim = three_with_one_away(&leader, &late, 1);

    sim_restart(sim, late);
    scene_until_serves(sim, late);
    scene_golden(sim, "sync-diff");
    scene_end(sim);
}

Test(golden, trunc)
{
    struct sim *sim = scene(3, 0, 2);
    unsigned old = sim_leader(sim);

    scene_to(sim, 0, old);
    sim_isolate(sim, old);
    scene_tell(sim, 0, "create /lost x");
    scene_run_ms(sim, 1);
    sim_crash(sim, old);
    scene_to(sim, 1, scene_until_leader_but(sim, old));
    scene_make(sim, 1, "/n", 2);
    scene_run_ms(sim, 5);
    sim_heal_all(sim);
    sim_forget_lines(sim);
    scene_until_serves(sim, old);
    scene_golden(sim, "sync-trunc");
    scene_end(sim);
}

Test(golden, snap)
{
    unsigned leader, late;
    struct sim *sim = three_with_one_away(&leader, &late, 1);

    scene_run_ms(sim, 100);
    sim_wipe(sim, late);
    /* What is checkpointed is purged: an empty one cannot be sent the log. */
    scene_make(sim, 0, "/m", 30);
    scene_run_ms(sim, 100);
    sim_forget_lines(sim);
    sim_restart(sim, late);
    scene_until_serves(sim, late);
    scene_golden(sim, "sync-snap");
    cr_expect_gt(scene_mark(sim, ZAB_MARK_SYNC_SNAP), 0);
    scene_end(sim);
}

Test(golden, the_leader_is_lost_in_broadcast)
{
    struct sim *sim = scene(3, 0, 1);
    unsigned old = sim_leader(sim);

    scene_to(sim, 0, scene_other(sim, old, 0));
    sim_forget_lines(sim);
    scene_tell(sim, 0, "create /a x");
    scene_steps(sim, 4);
    sim_crash(sim, old);
    (void)scene_until_leader_but(sim, old);
    scene_golden(sim, "broadcast-leader-lost");
    scene_end(sim);
}

/* Three of five, as the fifth that leads next dies too. */
Test(golden, the_leader_is_lost_in_discovery)
{
    struct sim *sim = scene(5, 0, 0);

    sim_crash(sim, 5);
    scene_until_phase(sim, 4, "discovery");
    sim_forget_lines(sim);
    sim_crash(sim, 4);
    (void)scene_until_leader_but(sim, 4);
    scene_golden(sim, "discovery-leader-lost");
    scene_end(sim);
}

Test(golden, the_leader_is_lost_in_synchronization)
{
    struct sim *sim = scene(5, 0, 0);

    sim_crash(sim, 5);
    scene_until_phase(sim, 4, "sync");
    sim_forget_lines(sim);
    sim_crash(sim, 4);
    (void)scene_until_leader_but(sim, 4);
    scene_golden(sim, "sync-leader-lost");
    scene_end(sim);
}

Test(golden, an_observer_joins_and_is_informed)
{
    struct sim *sim = scene(3, 1, 1);

    scene_to(sim, 0, sim_leader(sim));
    sim_crash(sim, 4);
    scene_make(sim, 0, "/n", 2);
    scene_run_ms(sim, 5);
    sim_forget_lines(sim);
    sim_restart(sim, 4);
    scene_until_serves(sim, 4);
    scene_make(sim, 0, "/m", 1);
    scene_run_ms(sim, 2);
    scene_golden(sim, "observer");
    scene_end(sim);
}

Test(golden, the_epoch_changes_in_place)
{
    struct sim_options options;
    struct sim *sim;

    scene_options(&options, 3, 0, 1);
    options.counter_max = 4;
    sim = scene_with(&options);
    scene_to(sim, 0, sim_leader(sim));
    scene_make(sim, 0, "/n", 2);
    scene_run_ms(sim, 5);
    sim_forget_lines(sim);
    scene_make(sim, 0, "/m", 2);
    scene_run_ms(sim, 5);
    scene_golden(sim, "epoch-in-place");
    scene_end(sim);
}

Test(golden, a_leader_hands_over)
{
    struct sim *sim = scene(3, 0, 0);
    unsigned old = sim_leader(sim);

    sim_resign(sim, old);
    (void)scene_until_leader_but(sim, old);
    scene_golden(sim, "resign");
    scene_end(sim);
}

/* DESIGN 2.7: a refusal has no record, but a place. */
Test(golden, a_refusal_between_two_commits)
{
    struct sim *sim = scene(3, 0, 2);
    unsigned leader = sim_leader(sim);

    scene_to(sim, 0, scene_other(sim, leader, 0));
    scene_to(sim, 1, leader);
    scene_run_ms(sim, 5);
    sim_forget_lines(sim);
    scene_ask(sim, 0, "create /a x\ncreate /a y\ncreate /b z",
              "create /a\ncreate /a: node exists\ncreate /b\n");
    scene_run_ms(sim, 2);
    scene_golden(sim, "refusal-between");
    scene_end(sim);
}

/* The leader's disk lags: three commits are told as one, and the refusal
 * stands behind them. */
Test(golden, a_refusal_behind_merged_commits)
{
    struct sim *sim = scene(3, 0, 1);
    unsigned leader = sim_leader(sim);

    scene_to(sim, 0, scene_other(sim, leader, 0));
    scene_run_ms(sim, 5);
    sim_forget_lines(sim);
    sim_disk_hold(sim, leader, true);
    scene_tell(sim, 0, "create /a x\ncreate /b x\ncreate /c x\ncreate /a y");
    scene_run_ms(sim, 3);
    sim_disk_hold(sim, leader, false);
    scene_hears(sim, 0,
                "create /a\ncreate /b\ncreate /c\n"
                "create /a: node exists\n");
    scene_golden(sim, "refusal-behind-merged");
    scene_end(sim);
}

Test(golden, a_refusal_as_the_only_traffic)
{
    struct sim *sim = scene(3, 0, 1);

    scene_to(sim, 0, scene_other(sim, sim_leader(sim), 0));
    scene_run_ms(sim, 5);
    sim_forget_lines(sim);
    scene_ask(sim, 0, "delete /none", "delete /none: no node\n");
    scene_golden(sim, "refusal-alone");
    scene_end(sim);
}

static struct sim *three_with_one_away(unsigned *leader, unsigned *late,
                                       unsigned clients)
{
    struct sim_options options;
    struct sim *sim;

    scene_options(&options, 3, 0, clients);
    options.checkpoint_records = 5;
    options.history_bytes_max = 100;
    options.log_segment = 1;
    sim = scene_with(&options);
    *leader = sim_leader(sim);
    *late = scene_other(sim, *leader, 0);
    scene_to(sim, 0, *leader);
    sim_crash(sim, *late);
    scene_make(sim, 0, "/n", 3);
    scene_run_ms(sim, 5);
    sim_forget_lines(sim);
    return sim;
}
