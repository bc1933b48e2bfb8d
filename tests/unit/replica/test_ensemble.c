/* What inspect.h says of an ensemble: metrics and four-letter words show it. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/replica/peers.h"

static struct peers peers;
static struct rig *const rig = &peers.rig;

static void begin(void)
{
    peers_init(&peers, 1, 3, 1);
}

static void end(void)
{
    peers_finish(&peers);
}

TestSuite(replica_ensemble, .init = begin, .fini = end);

Test(replica_ensemble, a_leader_knows_its_learners)
{
    struct inspect_learner learner;
    struct inspect_server view;

    peers_lead(&peers);
    view = rig_view(rig);
    cr_assert_eq(view.members, 4);
    cr_assert_eq(view.voters, 3);
    cr_assert_eq(view.learners, 3);
    cr_assert_eq(view.synced_voters, 2);
    cr_assert_eq(view.synced_observers, 1);

    cr_assert_not(inspect_learner(rig->replica, 0, &learner)); /* itself */
    cr_assert(inspect_learner(rig->replica, 1, &learner));
    cr_assert_eq(learner.id, 2);
    cr_assert(learner.voter);
    cr_assert(learner.synced);
    cr_assert_str_eq(learner.stage, "synced");
    cr_assert(inspect_learner(rig->replica, 3, &learner));
    cr_assert_not(learner.voter);

    peers_cut(&peers, 2);
    view = rig_view(rig);
    cr_assert_eq(view.learners, 2);
    cr_assert_eq(view.synced_voters, 1);
    cr_assert(inspect_learner(rig->replica, 1, &learner));
    cr_assert_not(learner.up);
    cr_assert_str_eq(learner.stage, "away");
}

Test(replica_ensemble, a_leader_knows_how_far_its_learners_are)
{
    struct inspect_learner learner;
    struct test_client *client;

    peers_lead(&peers);
    client = rig_connect(rig);
    peers.peer[3].mute = true;
    rig_make(rig, client, "/a", "");
    cr_assert(inspect_learner(rig->replica, 1, &learner));
    cr_assert_eq(learner.acked, rig_view(rig).zxid);
    cr_assert(inspect_learner(rig->replica, 2, &learner));
    cr_assert_eq(learner.acked + 1, learner.sent);
    peers_pass(&peers, 200);
    cr_assert(inspect_learner(rig->replica, 2, &learner));
    cr_assert_geq(learner.heard_ms, 180);
}

Test(replica_ensemble, proposals_are_counted_and_measured)
{
    struct test_client *client;
    struct inspect_server view;

    peers_lead(&peers);
    view = rig_view(rig);
    cr_assert_eq(view.zab.proposals, 0);
    cr_assert_eq(view.zab.proposal_size_min, 0);
    client = rig_connect(rig);
    rig_make(rig, client, "/a", "0123456789");
    rig_make(rig, client, "/b", "0123456789012345678901234567890123456789");
    view = rig_view(rig);
    cr_assert_eq(view.zab.proposals, 3);
    cr_assert_eq(view.zab.commits, 3);
    cr_assert_eq(view.zab.proposal_size_max, view.zab.proposal_size_last);
    cr_assert_leq(view.zab.proposal_size_min + 30, view.zab.proposal_size_max);
    cr_assert_eq(view.zab.diffs + view.zab.snaps + view.zab.truncs, 3);
}

Test(replica_ensemble, a_learner_counts_what_it_is_sent)
{
    struct inspect_learner learner;
    struct inspect_server view;

    peers_follow(&peers, 2);
    peers_connect(&peers, 1);
    view = rig_view(rig);
    cr_assert_eq(view.zab.received_proposals, 1);
    cr_assert_eq(view.zab.received_commits, 1);
    cr_assert_eq(view.zab.proposals, 0);
    cr_assert_eq(view.learners, 0);
    cr_assert_eq(view.leader_uptime_ms, 0);
    cr_assert_not(inspect_learner(rig->replica, 1, &learner));
}

Test(replica_ensemble, syncs_that_wait_are_counted)
{
    struct test_client *client;

    peers_lead(&peers);
    client = rig_connect(rig);
    peers.peer[2].mute = peers.peer[3].mute = true;
    rig_send(rig, client, request_path(ZK_OP_SYNC, "/"));
    cr_assert_eq(rig_view(rig).pending_syncs, 1);
    peers.peer[2].mute = false;
    peers_answer_round(&peers);
    rig_settle(rig);
    cr_assert_eq(rig_view(rig).pending_syncs, 0);
}

Test(replica_ensemble, how_long_it_was_away_is_measured)
{
    struct inspect_server view;

    peers_follow(&peers, 2);
    view = rig_view(rig);
    cr_assert_eq(view.election.count, 1);
    cr_assert_eq(view.unavailable.count, 1);
    cr_assert_eq(view.sync.count, 1);
    cr_assert_eq(view.zab.looks, 1);
    peers_lose_leader(&peers);
    peers_pass(&peers, 300);
    peers_gain_leader(&peers, 3);
    view = rig_view(rig);
    cr_assert_eq(view.zab.looks, 2);
    cr_assert_eq(view.election.count, 2);
    cr_assert_eq(view.unavailable.count, 2);
    cr_assert_geq(view.unavailable.last, 300);
    cr_assert_geq(view.unavailable.max, view.unavailable.last);
    cr_assert_eq(view.unavailable.sum,
                 view.unavailable.min + view.unavailable.max);
}

Test(replica_ensemble, a_leader_knows_since_when)
{
    peers_lead(&peers);
    peers_pass(&peers, 100);
    cr_assert_geq(rig_view(rig).leader_uptime_ms, 100);
}
