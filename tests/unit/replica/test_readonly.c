/* A server that has no leader, and clients that want to read all the same. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/replica/peers.h"

static struct peers peers;
static struct rig *const rig = &peers.rig;

static void begin(void)
{
    peers_init(&peers, 1, 3, 0);
    rig->config.read_only = true;
}

static void end(void)
{
    peers_finish(&peers);
}

TestSuite(replica_readonly, .init = begin, .fini = end);

/* It has /a, and no leader for so long. */
static void lose_leader(int64_t ms)
{
    struct txn txn;
    struct test_client *client;

    peers_follow(&peers, 2);
    client = peers_connect(&peers, 9);
    rig_send(rig, client, request_create("/a", "", ZK_PERSISTENT));
    txn = peers_create(&peers, "/a");
    peers_deliver(&peers, &txn);
    peers_lose_leader(&peers);
    peers_pass(&peers, ms);
}

static struct test_client *open(bool read_only)
{
    struct test_client *client = rig_open(rig);

    client->read_only = read_only;
    rig_handshake(rig, client);
    rig_settle(rig);
    return client;
}

Test(replica_readonly, begins_two_seconds_after_the_leader_is_lost)
{
    struct test_client *client;

    lose_leader(1800);
    cr_assert_not(rig->accepting);
    client = open(true);
    rig_expect(client, "");
    peers_pass(&peers, 400);
    cr_assert(rig->accepting);
    cr_assert(rig_view(rig).read_only);
    cr_assert_not(rig_view(rig).serving);
    rig_expect(client, "read-only 10000\n");
    rig_expect_log(rig, "read_only_begins");
}

Test(replica_readonly, is_for_those_that_ask_for_it)
{
    struct test_client *client;

    lose_leader(3000);
    client = open(false);
    rig_expect(client, "");
    peers_pass(&peers, 1200);
    cr_assert(client->closed);
    rig_expect(client, "");
}

Test(replica_readonly, is_off_unless_configured)
{
    struct test_client *client;

    rig->config.read_only = false;
    lose_leader(3000);
    cr_assert_not(rig->accepting);
    client = open(true);
    rig_expect(client, "");
}

Test(replica_readonly, shows_what_there_is_and_takes_no_change)
{
    struct client_request parts[1] = {request_create("/b", "", 0)};
    struct test_client *client;

    lose_leader(3000);
    client = open(true);
    rig_expect(client, "read-only 10000\n");
    rig_ask(rig, client, request_watch(ZK_OP_GET_DATA, "/a", true));
    rig_expect(client, "1 getData z2 '' v0 c0\n");
    rig_ask(rig, client, request_create("/b", "", ZK_PERSISTENT));
    rig_ask(rig, client, request_set("/a", "x", -1));
    rig_ask(rig, client, request_delete("/a", -1));
    rig_ask(rig, client, request_path(ZK_OP_SYNC, "/"));
    rig_ask(rig, client, request_multi(ZK_OP_MULTI, parts, 1));
    rig_ask(rig, client, request_plain(ZK_OP_RECONFIG));
    rig_expect(client, "2 create z2 -119\n3 setData z2 -119\n"
                       "4 delete z2 -119\n5 sync z2 -119\n"
                       "6 multi z2 -119\n7 reconfig z2 -119\n");
    rig_ask(rig, client, request_plain(ZK_OP_PING));
    rig_ask(rig, client, request_auth("digest", "a:b"));
    rig_ask(rig, client, request_plain(ZK_OP_WHO_AM_I));
    cr_assert_eq(client->answers, 10);
    cr_assert_not(client->closed);
}

/* An id that no transaction made: nobody's, at any time. */
Test(replica_readonly, a_new_session_stands_for_nothing)
{
    struct test_client *one, *two;

    lose_leader(3000);
    one = open(true);
    two = open(true);
    cr_assert_neq(one->session_id, two->session_id);
    cr_assert_eq(one->session_id >> 32 & 0xffffff, 0);
    cr_assert_eq(rig_view(rig).sessions, 1);
    rig_ask(rig, one, request_plain(ZK_OP_CLOSE_SESSION));
    cr_assert_eq(one->answers, 1);
    cr_assert(one->closed);
    cr_assert_not(two->closed);
    /* It died with its connection, wherever it is shown. */
    rig_expect(one, "read-only 10000\n1 closeSession z2\n");
    rig_reopen(rig, one);
    rig_handshake(rig, one);
    rig_settle(rig);
    rig_expect(one, "refused\n");
}

Test(replica_readonly, a_session_that_is_known_goes_on_to_read)
{
    struct test_client *client = NULL;
    uint64_t id;

    peers_follow(&peers, 2);
    client = peers_connect(&peers, 9);
    id = client->session_id;
    peers_lose_leader(&peers);
    peers_pass(&peers, 3000);
    rig_hang_up(rig, client);
    client->read_only = true;
    rig_reopen(rig, client);
    rig_handshake(rig, client);
    rig_settle(rig);
    rig_expect(client, "read-only 10000\n");
    cr_assert_eq(client->session_id, id);
    /* It ends where it is kept. */
    rig_ask(rig, client, request_plain(ZK_OP_CLOSE_SESSION));
    rig_expect(client, "1 closeSession z1 -119\n");
    cr_assert_not(client->closed);

    rig_hang_up(rig, client);
    client->password[3] ^= 1;
    rig_reopen(rig, client);
    rig_handshake(rig, client);
    rig_settle(rig);
    rig_expect(client, "refused\n");
}

/* It may be open, or have ended: others know. */
Test(replica_readonly, of_an_unknown_session_nothing_is_said)
{
    struct test_client *client;

    lose_leader(3000);
    client = rig_open(rig);
    client->read_only = true;
    client->session_id = UINT64_C(0x200000100000007);
    rig_handshake(rig, client);
    rig_settle(rig);
    rig_expect(client, "");
    cr_assert(client->closed);
    cr_assert_str_eq(client->why, "a session that is not known here");
}

Test(replica_readonly, who_has_seen_more_is_not_shown_less)
{
    struct test_client *client;

    lose_leader(3000);
    client = rig_open(rig);
    client->read_only = true;
    client->zxid = rig_view(rig).zxid + 1;
    rig_handshake(rig, client);
    rig_settle(rig);
    rig_expect(client, "");
    cr_assert(client->closed);
}

/* So that they get a session, and their watches a server that changes. */
Test(replica_readonly, its_connections_end_with_it)
{
    struct test_client *held, *reads;

    peers_follow(&peers, 2);
    held = peers_connect(&peers, 9);
    peers_lose_leader(&peers);
    peers_pass(&peers, 3000);
    reads = open(true);
    rig_expect(reads, "read-only 10000\n");
    rig_send(rig, held, request_watch(ZK_OP_EXISTS, "/", false));
    rig_settle(rig);
    rig_expect(held, ""); /* it has a session: it waits for the leader */
    peers_gain_leader(&peers, 3);
    rig_settle(rig);
    cr_assert(reads->closed);
    cr_assert_str_eq(reads->why, "read-only mode ends");
    cr_assert_not(rig_view(rig).read_only);
    cr_assert_not(held->closed);
    rig_expect(held, "1 exists z1 v0 c1\n");
    rig_expect_log(rig, "read_only_ends");
}

Test(replica_readonly, who_is_silent_is_let_go)
{
    struct test_client *silent, *pings;

    lose_leader(3000);
    silent = open(true);
    pings = open(true);
    for (int i = 0; i < 21; i++) {
        peers_pass(&peers, 500);
        rig_send(rig, pings, request_plain(ZK_OP_PING));
    }
    cr_assert(silent->closed);
    cr_assert_not(pings->closed);
}

/* Whose history is empty, or was lost, has nothing to show. */
Test(replica_readonly, an_empty_server_shows_nothing)
{
    peers.leaderless = true;
    rig_start(rig);
    rig_settle(rig);
    peers_pass(&peers, 5000);
    cr_assert_not(rig->accepting);
    cr_assert_not(rig_view(rig).read_only);
}

Test(replica_readonly, a_server_that_starts_alone_shows_what_it_has)
{
    struct test_client *client;

    struct txn txn;

    peers_follow(&peers, 2);
    client = peers_connect(&peers, 9);
    for (int i = 0; i < 2; i++) { /* the second says that the first is */
        rig_send(rig, client, request_create("/a", "", ZK_PERSISTENT));
        txn = peers_create(&peers, i == 0 ? "/a" : "/b");
        peers_deliver(&peers, &txn);
    }
    peers_lose_leader(&peers);
    rig_crash(rig, SIZE_MAX);
    rig_start(rig);
    rig_settle(rig);
    peers_pass(&peers, 2500);
    cr_assert(rig->accepting);
    client = open(true);
    rig_ask(rig, client, request_watch(ZK_OP_GET_DATA, "/a", false));
    rig_expect(client, "read-only 10000\n1 getData z2 '' v0 c0\n");
}
