/* Historical bugs of recovery: SCENARIOS 1 to 29, by number. */
#include <criterion/criterion.h>

#include "tests/unit/scenarios/scene.h"

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
