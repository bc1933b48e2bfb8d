/* Who leads, and what a change of it does to those who are connected. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

#include "tests/unit/replica/peers.h"

static struct peers peers;
static struct rig *const rig = &peers.rig;

static void begin(void)
{
    peers_init(&peers, 1, 3, 0);
}

static void end(void)
{
    peers_finish(&peers);
}

/* Its first deadline in the table; 0: none. */
static int64_t deadline(void)
{
    struct inspect_session session;
    uint64_t cursor = 0;

    cr_assert(inspect_session_next(rig->replica, &cursor, &session));
    return session.deadline_ms;
}

TestSuite(replica_role, .init = begin, .fini = end);

Test(replica_role, a_server_that_leads_serves)
{
    peers_lead(&peers);
    cr_assert_eq(rig_view(rig).role, ZAB_LEADING);
    rig_expect_log(rig, "leading epoch=2");
    rig_connect(rig);
    peers_expect(&peers, "");
}

Test(replica_role, a_server_that_follows_serves)
{
    peers_follow(&peers, 2);
    cr_assert_eq(rig_view(rig).role, ZAB_FOLLOWING);
    rig_expect_log(rig, "following leader=2 epoch=2");
    peers_connect(&peers, 1);
    cr_assert_eq(rig_view(rig).sessions, 1);
}

Test(replica_role, an_observer_serves)
{
    peers_finish(&peers);
    peers_init(&peers, 4, 3, 1);
    peers_follow(&peers, 2);
    cr_assert_eq(rig_view(rig).role, ZAB_OBSERVING);
    rig_expect_log(rig, "observing leader=2 epoch=2");
}

/* DESIGN 3.6: Apache closes everything. */
Test(replica_role, idle_connections_stay_and_are_reclaimed_before_all_else)
{
    struct test_client *one, *two;

    peers_follow(&peers, 2);
    one = peers_connect(&peers, 1);
    two = peers_connect(&peers, 2);
    peers_lose_leader(&peers);
    rig_send(rig, two, request_create("/a", "", ZK_PERSISTENT));
    rig_expect(two, "");
    peers_expect(&peers, "");
    peers_gain_leader(&peers, 3);
    cr_assert_not(one->closed);
    cr_assert_not(two->closed);
    peers_expect(&peers, "3 reclaim bytes=40 (0x100000000000001 0 10000)"
                         " (0x100000000000002 1 10000)\n"
                         "3 request session=0x100000000000002 attachment=1"
                         " request=2 bytes=49\n");
    peers_pass(&peers, 100);
    peers_expect(&peers, "3 status\n");
}

Test(replica_role, the_same_leader_in_a_later_epoch_is_another_one)
{
    struct test_client *client;

    peers_follow(&peers, 2);
    client = peers_connect(&peers, 1);
    peers_change_leader(&peers, 2);
    cr_assert_not(client->closed);
    peers_expect(&peers, "2 reclaim bytes=20 (0x100000000000001 0 10000)\n");
}

/* What stood between is not seen when the replica gets to it. */
Test(replica_role, a_change_that_is_over_when_it_is_noticed)
{
    struct test_client *client;

    peers_follow(&peers, 2);
    client = peers_connect(&peers, 1);
    inspect_hold(rig->replica); /* nothing is taken up */
    peers_cut(&peers, 2);
    peers.epoch++;
    for (int i = 0; i < 100 && !peers.peer[2].synced; i++) {
        peers_pass(&peers, 20);
        peers_vote(&peers);
    }
    cr_assert(peers.peer[2].synced);
    rig_send(rig, client, request_create("/a", "", ZK_PERSISTENT));
    peers_expect(&peers, "");
    inspect_release(rig->replica);
    rig_settle(rig);
    cr_assert_not(client->closed);
    peers_expect(&peers, "2 reclaim bytes=20 (0x100000000000001 0 10000)\n"
                         "2 request session=0x100000000000001 attachment=0"
                         " request=1 bytes=49\n");
}

Test(replica_role, who_has_a_request_under_way_is_sent_away)
{
    struct test_client *idle, *writes, *syncs, *opens;

    peers_follow(&peers, 2);
    idle = peers_connect(&peers, 1);
    writes = peers_connect(&peers, 2);
    syncs = peers_connect(&peers, 3);
    opens = rig_open(rig);
    rig_handshake(rig, opens);
    rig_send(rig, writes, request_create("/a", "", ZK_PERSISTENT));
    rig_send(rig, syncs, request_path(ZK_OP_SYNC, "/"));
    peers_lose_leader(&peers);
    cr_assert_not(idle->closed);
    cr_assert(writes->closed);
    cr_assert(syncs->closed);
    cr_assert(opens->closed);
    cr_assert_eq(rig_view(rig).outstanding, 0);
    peers_forget(&peers);
    peers_gain_leader(&peers, 3);
    peers_expect(&peers, "3 reclaim bytes=20 (0x100000000000001 0 10000)\n");
}

/* Its answer is on its way to the leader that is gone. */
Test(replica_role, an_answer_of_the_last_leader_is_nobodys)
{
    struct peer_msg refused = {.type = PEER_REFUSED};
    struct test_client *client;

    peers_follow(&peers, 2);
    client = peers_connect(&peers, 1);
    rig_send(rig, client, request_create("/a", "", ZK_PERSISTENT));
    refused.refused.origin_request = peers.asked;
    refused.refused.code = ZK_NODE_EXISTS;
    peers_change_leader(&peers, 3);
    refused.zxid = rig_view(rig).zxid;
    peers_say(&peers, 3, &refused);
    rig_settle(rig);
    rig_expect(client, "");
    cr_assert_eq(rig_view(rig).role, ZAB_FOLLOWING);
}

Test(replica_role, without_a_leader_handshakes_are_held_for_a_second)
{
    struct test_client *client;

    peers_follow(&peers, 2);
    peers_lose_leader(&peers);
    client = rig_open(rig);
    rig_handshake(rig, client);
    peers_pass(&peers, 900);
    cr_assert_not(client->closed);
    peers_pass(&peers, 300);
    cr_assert(client->closed);
    rig_expect(client, ""); /* every client takes it as "try the next" */
    client = rig_open(rig);
    rig_handshake(rig, client);
    peers_gain_leader(&peers, 3);
    peers_expect(&peers, "3 open-session timeout=10000 request=0\n");
}

Test(replica_role, held_connections_go_when_half_of_their_time_is_gone)
{
    struct test_client *client;

    peers_follow(&peers, 2);
    client = peers_connect(&peers, 1);
    peers_lose_leader(&peers);
    for (int i = 0; i < 48; i++) {
        peers_pass(&peers, 100);
        cr_assert_not(client->closed);
        rig_send(rig, client, request_plain(ZK_OP_PING));
    }
    cr_assert_eq(client->answers, 48);
    peers_pass(&peers, 400);
    cr_assert(client->closed);
    cr_assert_str_eq(client->why, "no leader for too long");
}

/* A server that stood still comes to itself: the tick is not the first. */
Test(replica_role, no_ping_is_answered_when_the_session_may_be_gone)
{
    struct test_client *client;

    peers_follow(&peers, 2);
    client = peers_connect(&peers, 1);
    peers_lose_leader(&peers);
    rig->now_ms += 10000;
    rig_send(rig, client, request_plain(ZK_OP_PING));
    rig_expect(client, "");
}

Test(replica_role, reads_wait_for_a_leader_too)
{
    struct test_client *client;

    peers_follow(&peers, 2);
    client = peers_connect(&peers, 1);
    peers_lose_leader(&peers);
    rig_ask(rig, client, request_watch(ZK_OP_EXISTS, "/", false));
    rig_expect(client, "");
    peers_gain_leader(&peers, 2);
    rig_expect(client, "1 exists z1 v0 c1\n");
}

Test(replica_role, a_leader_that_loses_its_quorum_gives_up_what_it_proposed)
{
    struct test_client *idle, *writes;

    peers_lead(&peers);
    idle = rig_connect(rig);
    writes = rig_connect(rig);
    peers.peer[2].mute = true;
    peers.peer[3].mute = true;
    rig_ask(rig, writes, request_create("/a", "", ZK_PERSISTENT));
    peers.peer[2].mute = false;
    peers.peer[3].mute = false;
    peers_lose_leader(&peers);
    cr_assert_not(idle->closed);
    cr_assert(writes->closed);
    cr_assert_eq(deadline(), 0);
    cr_assert_eq(rig_view(rig).role, ZAB_LOOKING);
    peers_gain_leader(&peers, 2);
    cr_assert_eq(rig_view(rig).znodes, 5); /* / and zookeeper's own */
    cr_assert_eq(rig_view(rig).sessions, 2);
    peers_expect(&peers, "2 reclaim bytes=20 (0x100000200000001 0 10000)\n");
    /* And when it leads again, nothing is left of it. */
    peers_lose_leader(&peers);
    peers_be_led(&peers);
    rig_ask(rig, idle, request_create("/a", "", ZK_PERSISTENT));
    rig_expect(idle, "1 create z1 /a\n");
}

Test(replica_role, a_new_leader_gives_all_sessions_their_time_afresh)
{
    struct test_client *client;

    peers_follow(&peers, 2);
    client = peers_connect(&peers, 1);
    cr_assert_eq(deadline(), 0);
    peers_pass(&peers, 9000);
    peers_lose_leader(&peers);
    peers_be_led(&peers);
    cr_assert_eq(rig_view(rig).role, ZAB_LEADING);
    cr_assert_not(client->closed);
    cr_assert_geq(deadline(), rig->now_ms + 9000);
    rig_ask(rig, client, request_create("/a", "", ZK_PERSISTENT));
    rig_expect(client, "1 create z1 /a\n");
}

/* A close that may never be committed binds nobody. */
Test(replica_role, closes_that_were_proposed_are_forgotten)
{
    struct test_client *client;

    peers_lead(&peers);
    client = rig_connect(rig);
    rig_hang_up(rig, client);
    peers.peer[2].mute = true;
    peers.peer[3].mute = true;
    rig->now_ms += 20000;
    rig_tick(rig, 0); /* its close is proposed */
    rig_settle(rig);
    cr_assert_eq(rig_view(rig).sessions_expired, 1);
    peers.peer[2].mute = false;
    peers.peer[3].mute = false;
    peers_lose_leader(&peers);
    peers_gain_leader(&peers, 3);
    peers_lose_leader(&peers);
    peers_be_led(&peers);
    rig_resume(rig, client);
    rig_settle(rig);
    rig_expect(client, "session 10000\n");
}
