/* linearizableReads=all: a read waits until its leader is known to lead, and
 * until all that was committed by then is here. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/replica/peers.h"

static struct peers peers;
static struct rig *const rig = &peers.rig;

static void begin(void)
{
    peers_init(&peers, 1, 3, 0);
    rig->config.linearizable_reads = true;
}

static void end(void)
{
    peers_finish(&peers);
}

TestSuite(replica_linear, .init = begin, .fini = end);

static struct client_request exists(const char *path)
{
    return request_watch(ZK_OP_EXISTS, path, false);
}

/* The leader's answer to the round that was asked last. */
static void answer_round(zxid_t zxid)
{
    struct peer_msg reply = {.type = PEER_SYNC_REPLY, .zxid = zxid};

    reply.sync_reply.origin_request = peers.asked;
    peers_say(&peers, 2, &reply);
    rig_settle(rig);
}

static void refuse_round(void)
{
    struct peer_msg reply = {.type = PEER_REFUSED, .zxid = peers_last(&peers)};

    reply.refused.origin_request = peers.asked;
    reply.refused.code = ZK_SESSION_MOVED;
    peers_say(&peers, 2, &reply);
    rig_settle(rig);
}

static void expect_rounds(unsigned count)
{
    struct buf *lines = &peers.lines;
    unsigned found = 0;

    *buf_extend(lines, 1) = '\0';
    for (const char *at = (const char *)lines->data;
         (at = strstr(at, "sync-request")) != NULL; at++) {
        found++;
    }
    cr_assert_eq(found, count);
    peers_forget(&peers);
}

Test(replica_linear, a_leaders_read_waits_for_a_quorum)
{
    struct test_client *client;

    peers_lead(&peers);
    client = rig_connect(rig);
    peers.peer[2].mute = peers.peer[3].mute = true;
    rig_send(rig, client, exists("/"));
    rig_settle(rig);
    rig_expect(client, "");
    rig_send(rig, client, request_plain(ZK_OP_PING)); /* this one does not */
    cr_assert_eq(client->answers, 1);
    peers.peer[2].mute = false;
    peers_answer_round(&peers);
    rig_settle(rig);
    rig_expect(client, "-2 ping z1\n1 exists z1 v0 c1\n");
}

Test(replica_linear, alone_there_is_nobody_to_ask)
{
    struct test_client *client;
    struct rig alone;

    rig_init(&alone);
    alone.config.linearizable_reads = true;
    rig_serve(&alone);
    client = rig_connect(&alone);
    rig_ask(&alone, client, exists("/"));
    rig_ask(&alone, client, request_plain(ZK_OP_CLOSE_SESSION));
    rig_expect(client, "1 exists z1 v0 c1\n2 closeSession z2\n");
    rig_finish(&alone);
}

Test(replica_linear, a_learners_read_waits_for_its_place)
{
    struct test_client *client;
    struct txn txn;

    peers_follow(&peers, 2);
    client = peers_connect(&peers, 9);
    rig_send(rig, client, exists("/a"));
    rig_settle(rig);
    rig_expect(client, "");
    expect_rounds(1);
    /* What was committed before the leader took the round up comes first. */
    txn = peers_create(&peers, "/a");
    txn.origin_id = 2;
    txn.origin_request = 0;
    peers_deliver(&peers, &txn);
    rig_expect(client, "");
    answer_round(peers_last(&peers));
    rig_expect(client, "1 exists z2 v0 c0\n");
}

Test(replica_linear, many_reads_share_a_round)
{
    struct test_client *clients[3];

    peers_follow(&peers, 2);
    for (uint8_t i = 0; i < 3; i++) {
        clients[i] = peers_connect(&peers, (uint8_t)(i + 1));
    }
    rig_send(rig, clients[0], exists("/"));
    expect_rounds(1);
    /* These came when it was out. */
    for (int i = 0; i < 3; i++) {
        rig_send(rig, clients[i], exists("/"));
        rig_send(rig, clients[i], exists("/"));
    }
    expect_rounds(0);
    answer_round(peers_last(&peers));
    rig_expect(clients[0], "1 exists z3 v0 c1\n");
    rig_expect(clients[1], "");
    expect_rounds(1);
    answer_round(peers_last(&peers));
    rig_expect(clients[0], "2 exists z3 v0 c1\n3 exists z3 v0 c1\n");
    rig_expect(clients[1], "1 exists z3 v0 c1\n2 exists z3 v0 c1\n");
    rig_expect(clients[2], "1 exists z3 v0 c1\n2 exists z3 v0 c1\n");
    expect_rounds(0);
}

/* The leader knows the session elsewhere: another one asks. */
Test(replica_linear, a_refused_round_is_asked_again)
{
    struct test_client *one, *two;

    peers_follow(&peers, 2);
    one = peers_connect(&peers, 1);
    two = peers_connect(&peers, 2);
    rig_send(rig, one, exists("/"));
    rig_send(rig, two, exists("/"));
    expect_rounds(1);
    refuse_round();
    rig_expect(one, "");
    expect_rounds(1);
    answer_round(peers_last(&peers));
    rig_expect(one, "1 exists z2 v0 c1\n");
    rig_expect(two, "1 exists z2 v0 c1\n");
}

/* Nobody answers the round that is out; the reads themselves are no writes in
 * doubt: their connections stay. */
Test(replica_linear, a_new_leader_is_asked_anew)
{
    struct test_client *client;

    peers_follow(&peers, 2);
    client = peers_connect(&peers, 9);
    rig_send(rig, client, exists("/"));
    expect_rounds(1);
    peers_lose_leader(&peers);
    cr_assert_not(client->closed);
    peers_forget(&peers);
    peers_gain_leader(&peers, 3);
    expect_rounds(1);
    rig_expect(client, "");
    {
        struct peer_msg reply = {.type = PEER_SYNC_REPLY,
                                 .zxid = rig_view(rig).zxid};

        reply.sync_reply.origin_request = peers.asked;
        peers_say(&peers, 3, &reply);
        rig_settle(rig);
    }
    rig_expect(client, "1 exists z1 v0 c1\n");
}

Test(replica_linear, order_is_kept_with_writes)
{
    struct test_client *client;

    peers_lead(&peers);
    client = rig_connect(rig);
    rig_send(rig, client, exists("/a"));
    rig_send(rig, client, request_create("/a", "", ZK_PERSISTENT));
    rig_send(rig, client, exists("/a"));
    rig_send(rig, client, request_plain(ZK_OP_CLOSE_SESSION));
    rig_settle(rig);
    rig_expect(client, "1 exists z1 -101\n2 create z2 /a\n"
                       "3 exists z2 v0 c0\n4 closeSession z3\n");
    cr_assert(client->closed);
}

/* The second read's round is not even begun when the write is committed. */
Test(replica_linear, a_read_does_not_see_a_later_write_of_its_client)
{
    struct test_client *client;
    struct txn txn;

    peers_follow(&peers, 2);
    client = peers_connect(&peers, 9);
    rig_send(rig, client, exists("/a"));
    rig_send(rig, client, exists("/a"));
    expect_rounds(1);
    rig_send(rig, client, request_create("/a", "", ZK_PERSISTENT));
    txn = peers_create(&peers, "/a");
    peers_deliver(&peers, &txn);
    rig_expect(client, "1 exists z1 -101\n2 exists z1 -101\n"
                       "3 create z2 /a\n");
    rig_send(rig, client, exists("/a"));
    rig_expect(client, "");
}

Test(replica_linear, who_reads_and_goes_leaves_nothing)
{
    struct test_client *one, *two;

    peers_follow(&peers, 2);
    one = peers_connect(&peers, 1);
    two = peers_connect(&peers, 2);
    rig_send(rig, one, exists("/"));
    rig_hang_up(rig, one);
    expect_rounds(1);
    rig_send(rig, two, exists("/"));
    answer_round(peers_last(&peers));
    expect_rounds(1);
    answer_round(peers_last(&peers));
    rig_expect(two, "1 exists z2 v0 c1\n");
    cr_assert_eq(rig_view(rig).outstanding, 0);
}

/* Plain reads, too, however little is done in a step: all is committed at once.
 */
static void expect_reads_before_writes(uint32_t units)
{
    struct test_client *client;
    struct txn txn;

    peers_finish(&peers);
    peers_init(&peers, 1, 3, 0);
    rig->config.slice_units = units;
    peers_follow(&peers, 2);
    client = peers_connect(&peers, 9);
    rig_send(rig, client, request_create("/a", "", ZK_PERSISTENT));
    txn = peers_create(&peers, "/a");
    peers_propose(&peers, &txn);
    rig_send(rig, client, request_watch(ZK_OP_EXISTS, "/b", false));
    rig_send(rig, client, request_path(ZK_OP_GET_ALL_CHILDREN_NUMBER, "/"));
    rig_send(rig, client, request_watch(ZK_OP_EXISTS, "/b", false));
    rig_send(rig, client, request_create("/b", "", ZK_PERSISTENT));
    txn = peers_create(&peers, "/b");
    peers_propose(&peers, &txn);
    rig_send(rig, client, request_watch(ZK_OP_EXISTS, "/b", false));
    rig_settle(rig);
    rig_expect(client, "");
    peers_commit(&peers);
    rig_settle(rig);
    rig_expect(client, "1 create z2 /a\n2 exists z2 -101\n"
                       "3 getAllChildrenNumber z2 4\n4 exists z2 -101\n"
                       "5 create z3 /b\n6 exists z3 v0 c0\n");
}

Test(replica_linear, nor_does_a_plain_read)
{
    for (uint32_t units = 4; units < 60; units++) {
        expect_reads_before_writes(units);
    }
}
