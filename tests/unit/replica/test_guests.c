/* Sessions of a learner's clients: what it asks its leader, and what it does
 * when it is answered. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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

TestSuite(replica_guests, .init = begin, .fini = end);

static void say_moved(uint64_t session_id, uint64_t attachment)
{
    struct peer_msg msg = {.type = PEER_SESSION_MOVED};

    msg.session_moved.session_id = session_id;
    msg.session_moved.attachment = attachment;
    peers_say(&peers, peers.leader, &msg);
}

static void say_revalidated(uint64_t request, zxid_t place, bool ok)
{
    struct peer_msg msg = {.type = PEER_REVALIDATE_REPLY, .zxid = place};

    msg.revalidate_reply.origin_request = request;
    msg.revalidate_reply.timeout_ms = 8000;
    msg.revalidate_reply.ok = ok;
    peers_say(&peers, peers.leader, &msg);
}

Test(replica_guests, a_learner_asks_for_a_session)
{
    struct test_client *client;
    struct txn txn;

    peers_follow(&peers, 2);
    client = rig_open(rig);
    test_client_connect(client, INT32_MAX, &rig->frame);
    rig_frame(rig, client, buf_bytes(&rig->frame));
    rig_settle(rig);
    peers_expect(&peers, "2 open-session timeout=40000 request=0\n");
    rig_expect(client, "");
    txn = peers_opened(&peers, 1);
    peers_propose(&peers, &txn);
    rig_settle(rig);
    rig_expect(client, "");
    peers_commit(&peers);
    rig_settle(rig);
    rig_expect(client, "session 10000\n");
    cr_assert_eq(client->session_id, UINT64_C(1) << 56 | 1);
    cr_assert_arr_eq(client->password, peers.password, 16);
}

/* What the session's old connection had in flight is delivered by then. */
Test(replica_guests, a_resume_is_answered_in_its_place)
{
    struct test_client *client;
    struct txn txn;

    peers_follow(&peers, 2);
    client = peers_connect(&peers, 1);
    rig_hang_up(rig, client);
    rig_resume(rig, client);
    peers_expect(&peers, "2 revalidate session=0x100000000000001"
                         " timeout=10000 request=1\n");
    peers.session_id = client->session_id;
    txn = peers_create(&peers, "/late");
    txn.origin_id = 3;
    peers_propose(&peers, &txn);
    rig_settle(rig);
    say_revalidated(peers.asked, peers_last(&peers), true);
    rig_settle(rig);
    rig_expect(client, "");
    peers_commit(&peers);
    rig_settle(rig);
    rig_expect(client, "session 8000\n");
    rig_ask(rig, client, request_watch(ZK_OP_EXISTS, "/late", false));
    rig_expect(client, "1 exists z2 v0 c0\n");
}

Test(replica_guests, a_refused_resume_is_told_as_expired)
{
    struct test_client *client;

    peers_follow(&peers, 2);
    client = peers_connect(&peers, 1);
    rig_hang_up(rig, client);
    rig_resume(rig, client);
    say_revalidated(peers.asked, peers_last(&peers), false);
    rig_settle(rig);
    cr_assert(client->refused);
    cr_assert(client->closed);
    cr_assert_eq(rig_view(rig).sessions, 1); /* it says so, no more */
}

/* It answers what it was not asked: nothing it says can be relied on. */
Test(replica_guests, a_write_is_not_answered_like_a_resume)
{
    struct test_client *client;

    peers_follow(&peers, 2);
    client = peers_connect(&peers, 1);
    rig_send(rig, client, request_create("/a", "", ZK_PERSISTENT));
    say_revalidated(peers.asked, peers_last(&peers), true);
    rig_settle(rig);
    cr_assert_eq(rig_view(rig).role, ZAB_LOOKING);
    cr_assert(client->closed);
}

Test(replica_guests, with_half_a_password_it_is_nobodys_session)
{
    static const uint8_t hello[] = {
        [14] = 0x27, [15] = 0x10, [16] = 1, [23] = 1, [27] = 4, [31] = 0};
    struct test_client *client;

    peers_follow(&peers, 2);
    peers_connect(&peers, 1);
    client = rig_open(rig);
    rig_frame(rig, client, slice_make(hello, sizeof(hello)));
    peers_expect(&peers, "2 revalidate session=0x0 timeout=10000 request=1\n");
}

/* The leader does not know of it, and has said so to the wrong one. */
Test(replica_guests, a_resume_here_closes_the_old_connection_here)
{
    struct test_client *old, *new;

    peers_follow(&peers, 2);
    old = peers_connect(&peers, 1);
    new = rig_open(rig);
    new->session_id = old->session_id;
    memcpy(new->password, old->password, 16);
    rig_handshake(rig, new);
    cr_assert_not(old->closed); /* anybody could say so */
    say_revalidated(peers.asked, peers_last(&peers), true);
    rig_settle(rig);
    cr_assert(old->closed);
    rig_expect(new, "session 8000\n");
    cr_assert_not(new->closed);
}

/* ZOOKEEPER-710 and kin. */
Test(replica_guests, a_session_that_moved_closes_its_connection_only)
{
    uint64_t first, second;
    struct test_client *client;

    peers_follow(&peers, 2);
    client = peers_connect(&peers, 1);
    first = peers.asked;
    say_moved(client->session_id, first + 1);
    say_moved(client->session_id + 1, first);
    cr_assert_not(client->closed);
    rig_hang_up(rig, client);
    rig_resume(rig, client); /* back again */
    second = peers.asked;
    say_moved(client->session_id, first);
    say_revalidated(second, peers_last(&peers), true);
    rig_settle(rig);
    rig_expect(client, "session 8000\n");
    say_moved(client->session_id, first);
    cr_assert_not(client->closed);
    say_moved(client->session_id, second);
    cr_assert(client->closed);
}

Test(replica_guests, a_session_may_move_before_its_resume_is_answered)
{
    struct test_client *client;

    peers_follow(&peers, 2);
    client = peers_connect(&peers, 1);
    rig_hang_up(rig, client);
    rig_resume(rig, client);
    say_moved(client->session_id, peers.asked);
    cr_assert(client->closed);
    say_revalidated(peers.asked, peers_last(&peers), true);
    rig_settle(rig);
    rig_expect(client, "");
}

/* ZOOKEEPER-417: nobody lived to tell us. */
Test(replica_guests, a_txn_of_it_from_elsewhere_shows_that_it_moved)
{
    struct test_client *client;
    struct txn txn;

    peers_follow(&peers, 2);
    client = peers_connect(&peers, 1);
    peers.session_id = client->session_id;
    txn = peers_create(&peers, "/a");
    txn.origin_id = 3;
    peers_lose_leader(&peers);
    rig_send(rig, client, request_create("/stray", "", ZK_PERSISTENT));
    peers_gain_leader(&peers, 2);
    peers_forget(&peers);
    peers_deliver(&peers, &txn);
    cr_assert(client->closed);
    peers_expect(&peers, "");
}

Test(replica_guests, each_session_heard_of_is_said_once_in_100_ms)
{
    struct test_client *one, *two;

    peers_follow(&peers, 2);
    one = peers_connect(&peers, 1);
    two = peers_connect(&peers, 2);
    peers_pass(&peers, 100);
    peers_forget(&peers);
    for (int i = 0; i < 5; i++) {
        rig_send(rig, one, request_plain(ZK_OP_PING));
        rig_send(rig, two, request_plain(ZK_OP_PING));
        rig_send(rig, one, request_watch(ZK_OP_EXISTS, "/", false));
        peers_pass(&peers, 20);
    }
    peers_expect(&peers,
                 "2 status bytes=16 0x100000000000001 0x100000000000002\n");
    peers_pass(&peers, 1000);
    peers_expect(&peers, ""); /* silence is not reported */
    rig_send(rig, two, request_plain(ZK_OP_PING));
    peers_pass(&peers, 100);
    peers_expect(&peers, "2 status bytes=8 0x100000000000002\n");
}

/* The leader can tell it from an older connection of the same session. */
Test(replica_guests, to_a_newer_leader_the_connection_is_named_too)
{
    struct test_client *client;
    uint32_t attachment;
    char line[80];

    peers.version = 2;
    peers_follow(&peers, 2);
    client = peers_connect(&peers, 1);
    attachment = (uint32_t)peers.asked;
    peers_pass(&peers, 100);
    (void)snprintf(line, sizeof(line),
                   "2 status owned bytes=16 0x100000000000001 %" PRIu32 "\n",
                   attachment);
    peers_expect(&peers, line);
    /* The next leader may be an older one. */
    peers.version = 1;
    peers_change_leader(&peers, 3);
    peers_pass(&peers, 100);
    peers_forget(&peers);
    rig_send(rig, client, request_plain(ZK_OP_PING));
    peers_pass(&peers, 100);
    peers_expect(&peers, "3 status bytes=8 0x100000000000001\n");
}

/* Its pings stand in its socket: that is our doing, or the leader's. */
Test(replica_guests, whom_we_do_not_read_is_not_silent)
{
    struct test_client *client;

    rig->config.reads_held_max = 2;
    peers_follow(&peers, 2);
    client = peers_connect(&peers, 1);
    rig_send(rig, client, request_create("/a", "", ZK_PERSISTENT));
    rig_send(rig, client, request_watch(ZK_OP_EXISTS, "/", false));
    rig_send(rig, client, request_watch(ZK_OP_EXISTS, "/", false));
    cr_assert(client->paused);
    peers_pass(&peers, 200);
    peers_forget(&peers);
    peers_pass(&peers, 1000);
    peers_expect(&peers, "2 status bytes=8 0x100000000000001\n"
                         "2 status bytes=8 0x100000000000001\n");
}

Test(replica_guests, a_full_disk_is_told_until_it_has_room)
{
    struct replica_input disk = {.type = REPLICA_DISK_SPACE};

    peers_follow(&peers, 2);
    peers_pass(&peers, 100);
    peers_expect(&peers, "2 status\n"); /* also that there is room */
    disk.disk.low = true;
    rig_step(rig, &disk);
    peers_pass(&peers, 100);
    peers_expect(&peers, "2 status disk-low\n");
    disk.disk.low = false;
    rig_step(rig, &disk);
    peers_pass(&peers, 500);
    peers_expect(&peers, "2 status\n");
}
