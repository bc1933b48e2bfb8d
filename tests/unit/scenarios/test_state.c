/* Historical bugs of sessions, ephemerals, watches and of state that differs
 * between servers: SCENARIOS 46 to 70, by number. */
#include <criterion/criterion.h>

#include "tests/unit/scenarios/scene.h"

/* 46, ZOOKEEPER-2355: a follower dies in the middle of the close of a session
 * and keeps its ephemeral for ever. */
Test(scenario_46, a_crash_in_the_close_of_a_session_leaves_no_ephemeral)
{
    for (unsigned after = 0; after < 60; after += 2) {
        struct sim *sim = scene(3, 0, 2);
        unsigned leader = sim_leader(sim);
        unsigned dies = scene_other(sim, leader, 0);

        scene_to(sim, 0, scene_other(sim, leader, dies));
        scene_ask(sim, 0, "create -e /e x", "create /e\n");
        scene_tell(sim, 0, "close");
        scene_steps(sim, after);
        sim_crash(sim, dies);
        scene_run_ms(sim, 10);
        sim_restart(sim, dies);
        scene_until_serves(sim, dies);
        scene_to(sim, 1, dies);
        scene_ask(sim, 1, "sync /\nexists /e", "sync /\nexists /e: no node\n");
        scene_end(sim);
    }
}

/* 48 and 49, ZOOKEEPER-2926, -1208: what a session creates while it ends. */
Test(scenario_48_and_49, a_closing_session_leaves_no_ephemeral)
{
    for (unsigned after = 0; after < 30; after++) {
        struct sim *sim = scene(3, 0, 2);
        unsigned leader = sim_leader(sim);

        scene_to(sim, 0, scene_other(sim, leader, 0));
        scene_tell(sim, 0, "create -e /e1 x\ncreate -e /e2 x\nclose");
        scene_steps(sim, after);
        scene_to(sim, 1, leader);
        scene_run_ms(sim, 50);
        scene_ask(sim, 1, "sync /\nls /", "sync /\ngetChildren / zookeeper\n");
        scene_end(sim);
    }
}

/* 50, ZOOKEEPER-417: the old server was slow, and what it still holds is done
 * after the client has moved on. */
Test(scenario_50, a_late_request_of_an_old_connection_is_not_done)
{
    for (unsigned after = 0; after < 12; after++) {
        struct sim *sim = scene(3, 0, 2);
        unsigned leader = sim_leader(sim);
        unsigned slow = scene_other(sim, leader, 0);
        unsigned next = scene_other(sim, leader, slow);

        scene_to(sim, 0, slow);
        scene_ask(sim, 0, "create /a x", "create /a\n");
        scene_tell(sim, 0, "set /a old");
        scene_steps(sim, after);
        sim_pause(sim, slow, 3 * SIM_SECOND);
        scene_to(sim, 0, next);
        scene_ask(sim, 0, "delete /a", "delete /a\n");
        scene_ask(sim, 0, "create /a new", "create /a\n");
        scene_run_ms(sim, 4000);
        scene_ask(sim, 0, "sync /\nget /a", "sync /\ngetData /a 'new' v0\n");
        scene_end(sim);
    }
}

/* 50, ZOOKEEPER-710: "session moved" for ever after a reconnect. */
Test(scenario_50, a_session_may_move_again_and_again)
{
    struct sim *sim = scene(3, 1, 1);
    char path[32], answer[48];

    for (unsigned i = 0; i < 20; i++) {
        scene_to(sim, 0, 1 + i % 4);
        (void)snprintf(path, sizeof(path), "create /n%u x", i);
        (void)snprintf(answer, sizeof(answer), "create /n%u\n", i);
        scene_ask(sim, 0, path, answer);
    }
    scene_end(sim);
}

/* 52, ZOOKEEPER-1412: a watch fires for what happened while its client was on
 * its way to another server: once. */
Test(scenario_52, a_watch_survives_the_way_to_another_server)
{
    struct sim *sim = scene(3, 0, 2);
    unsigned leader = sim_leader(sim);
    unsigned old = scene_other(sim, leader, 0);

    scene_to(sim, 1, leader);
    scene_ask(sim, 1, "create /w x", "create /w\n");
    scene_to(sim, 0, old);
    scene_ask(sim, 0, "sync /\nget /w w", "sync /\ngetData /w 'x' v0\n");
    sim_crash(sim, old);
    scene_ask(sim, 1, "set /w y", "setData /w v1\n");
    scene_to(sim, 0, leader);
    scene_run_ms(sim, 50);
    scene_ask(sim, 0, "get /w", "event changed /w\ngetData /w 'y' v1\n");
    scene_end(sim);
}

/* 53, ZOOKEEPER-3306 and -4846: what counts ACLs, sessions and children is
 * rebuilt from a received tree: the digests and later deletions say so. */
Test(scenario_53, a_received_tree_counts_as_the_sent_one)
{
    unsigned leader, late;
    struct sim *sim = scene_small(2, &leader, &late);

    scene_ask(sim, 0, "create -e /e x", "create /e\n");
    scene_make(sim, 0, "/n", 20);
    scene_ask(sim, 0, "create -s /s- x", "create /s- /s-0000000021\n");
    sim_crash(sim, late);
    sim_wipe(sim, late);
    sim_restart(sim, late);
    scene_until_serves(sim, late);
    scene_equal(sim, late, leader);
    scene_to(sim, 1, late);
    scene_ask(sim, 1, "delete /n1", "delete /n1\n");
    scene_ask(sim, 1, "create -s /s- x", "create /s- /s-0000000022\n");
    scene_tell(sim, 0, "close");
    scene_run_ms(sim, 50);
    scene_ask(sim, 1, "sync /\nexists /e", "sync /\nexists /e: no node\n");
    scene_equal(sim, late, leader);
    scene_end(sim);
}

/* 60, etcd 20418 and raft 397: a leader that stood still answers a sync by a
 * round that was confirmed before. */
Test(scenario_60, a_thawed_leader_confirms_nothing)
{
    for (unsigned early = 0; early < 6; early++) {
        struct sim *sim = scene(3, 0, 2);
        unsigned old = sim_leader(sim), leader;

        scene_to(sim, 0, old);
        scene_ask(sim, 0, "create /a x", "create /a\n");
        scene_tell(sim, 0, "sync /\nget /a");
        scene_steps(sim, early);
        sim_pause(sim, old, 5 * SIM_SECOND);
        leader = scene_until_leader_but(sim, old);
        scene_to(sim, 1, leader);
        scene_ask(sim, 1, "set /a y", "setData /a v1\n");
        /* The checkers hold each answer to a sync against what had been
         * acknowledged when it was asked. */
        scene_run_ms(sim, 6000);
        scene_end(sim);
    }
}

/* 61, etcd 15271: what a client has seen is not taken back by a server that
 * is behind. */
Test(scenario_61, a_server_that_is_behind_shows_nobody_the_past)
{
    struct sim *sim = scene(3, 0, 2);
    unsigned leader = sim_leader(sim);
    unsigned behind = scene_other(sim, leader, 0);

    scene_to(sim, 0, leader);
    sim_cut_one_way(sim, leader, behind);
    scene_make(sim, 0, "/n", 10);
    client_connect_to(sim_clients(sim), 0, behind);
    scene_run_ms(sim, 300);
    sim_heal_all(sim);
    scene_run_ms(sim, 1500);
    scene_to(sim, 0, behind);
    scene_has(sim, 0, "/n", 10);
    scene_end(sim);
}

/* 68, CH 114401: the request for a session is lost with its leader, and the
 * client waits for its whole time-out. */
Test(scenario_68, a_handshake_outlives_a_change_of_leader)
{
    for (unsigned after = 0; after < 40; after += 2) {
        struct sim *sim = scene(3, 0, 1);
        unsigned old = sim_leader(sim);
        uint64_t began = sim_now_us(sim);

        client_connect_to(sim_clients(sim), 0, scene_other(sim, old, 0));
        scene_steps(sim, after);
        sim_crash(sim, old);
        (void)scene_until_leader_but(sim, old);
        scene_to(sim, 0, scene_other(sim, old, 0));
        cr_expect_lt(sim_now_us(sim) - began, 4 * SIM_SECOND);
        scene_end(sim);
    }
}

/* 68, CH 121361: who only reads from a follower is expired by the leader. */
Test(scenario_68, local_reads_keep_a_session_alive)
{
    struct sim_options options;
    struct sim *sim;

    scene_options(&options, 3, 1, 1);
    options.session_timeout_ms = 1000;
    sim = scene_with(&options);
    scene_to(sim, 0, 4);
    scene_ask(sim, 0, "create -e /e x", "create /e\n");
    for (unsigned i = 0; i < 40; i++) {
        scene_run_ms(sim, 300);
        scene_ask(sim, 0, "get /e", "getData /e 'x' v0\n");
    }
    scene_end(sim);
}

/* A new leader gives every session its whole time-out. */
Test(scenario_68, a_change_of_leader_expires_nobody)
{
    struct sim_options options;
    struct sim *sim;
    unsigned old;

    scene_options(&options, 3, 0, 1);
    options.session_timeout_ms = 2000;
    sim = scene_with(&options);
    old = sim_leader(sim);
    scene_to(sim, 0, scene_other(sim, old, 0));
    scene_ask(sim, 0, "create -e /e x", "create /e\n");
    scene_run_ms(sim, 1500);
    sim_crash(sim, old);
    (void)scene_until_leader_but(sim, old);
    scene_run_ms(sim, 300);
    scene_ask(sim, 0, "sync /\nget /e", "sync /\ngetData /e 'x' v0\n");
    scene_end(sim);
}

/* 69, NuRaft e88e97d: late chunk acknowledgements end the leader; installs
 * that begin again and again. */
Test(scenario_69, a_snapshot_that_breaks_off_again_and_again_ends_well)
{
    unsigned leader, late;
    struct sim *sim = scene_small(1, &leader, &late);

    scene_make(sim, 0, "/n", 40);
    sim_crash(sim, late);
    sim_wipe(sim, late);
    sim_restart(sim, late);
    for (unsigned i = 0; i < 10; i++) {
        scene_until_phase(sim, late, "syncing");
        scene_steps(sim, 2 * i);
        sim_cut(sim, leader, late);
        scene_run_ms(sim, 1000);
        sim_join(sim, leader, late);
        if (sim_serving(sim, late)) {
            break;
        }
    }
    cr_expect_eq(sim_leader(sim), leader);
    scene_until_serves(sim, late);
    scene_equal(sim, late, leader);
    scene_end(sim);
}
