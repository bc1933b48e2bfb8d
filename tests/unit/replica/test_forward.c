/* A server that follows: what its clients ask goes to the leader, and each
 * answer is given in its place, between the same two deliveries as there. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/replica/trio.h"

static struct rig rig;
static struct trio trio;
static struct test_client *client;

static void begin(void)
{
    rig_init(&rig);
    trio_init(&trio, &rig, false);
    trio_serve(&trio);
    client = trio_client(&trio);
}

static void end(void)
{
    trio_finish(&trio);
    rig_finish(&rig);
}

TestSuite(replica_forward, .init = begin, .fini = end);

/* The number of the request that went to the leader last. */
static uint64_t asked(void)
{
    return trio.last[PEER_REQUEST].request.origin_request;
}

static zxid_t z(uint32_t counter)
{
    return zxid_make(1, counter);
}

Test(replica_forward, a_write_is_answered_when_it_is_delivered_here)
{
    const struct peer_msg *request = &trio.last[PEER_REQUEST];
    struct txn txn;

    rig_send(&rig, client, request_create("/a", "", ZK_PERSISTENT));
    trio_expect(&trio, "3 request\n");
    cr_assert_eq(request->request.session_id, client->session_id);
    cr_assert_eq(request->request.auth_count, 1);

    txn = trio_create(&trio, "/a");
    trio_propose(&trio, &txn);
    rig_settle(&rig);
    rig_expect(client, "");
    trio_commit(&trio, z(2));
    rig_expect(client, "1 create z2 /a\n");
    trio_expect(&trio, "3 ack z2\n");
}

Test(replica_forward, a_read_waits_behind_the_write_before_it)
{
    struct txn txn;

    rig_send(&rig, client, request_create("/a", "", ZK_PERSISTENT));
    rig_send(&rig, client, request_watch(ZK_OP_EXISTS, "/a", false));
    rig_expect(client, "");
    txn = trio_create(&trio, "/a");
    trio_propose(&trio, &txn);
    trio_commit(&trio, z(2));
    rig_settle(&rig);
    rig_expect(client, "1 create z2 /a\n2 exists z2 v0 c0\n");
}

Test(replica_forward, a_malformed_write_is_answered_here)
{
    rig_raw(&rig, client, ZK_OP_CREATE, SLICE_LITERAL("\xff"));
    rig_expect(client, "1 create z1 -5\n");
    trio_expect(&trio, "");
}

Test(replica_forward, what_no_leader_would_take_is_answered_here)
{
    static char data[PEER_FRAME_SIZE_MAX + 1];

    memset(data, 'x', sizeof(data) - 1);
    rig_send(&rig, client, request_create("/a", data, ZK_PERSISTENT));
    rig_expect(client, "1 create z1 -5\n");
    trio_expect(&trio, "");
}

/* The same number means another request when it comes from another server. */
Test(replica_forward, another_servers_request_is_not_ours)
{
    struct txn txn;

    rig_send(&rig, client, request_create("/a", "", ZK_PERSISTENT));
    txn = trio_create(&trio, "/b");
    txn.origin_id = 2;
    txn.session_id = 0;
    trio_propose(&trio, &txn);
    txn = trio_create(&trio, "/a");
    trio_propose(&trio, &txn);
    trio_commit(&trio, z(3));
    rig_settle(&rig);
    rig_expect(client, "1 create z3 /a\n");
}

Test(replica_forward, a_refusal_is_given_in_its_place)
{
    struct test_client *other = trio_client(&trio); /* z2 */
    struct txn before, behind;
    uint64_t refused;

    rig_send(&rig, other, request_create("/a", "", ZK_PERSISTENT));
    before = trio_create(&trio, "/a");
    rig_send(&rig, client, request_create("/a", "", ZK_PERSISTENT));
    rig_send(&rig, client, request_watch(ZK_OP_GET_CHILDREN, "/", false));
    refused = asked();
    rig_send(&rig, other, request_create("/b", "", ZK_PERSISTENT));
    behind = trio_create(&trio, "/b");

    trio_propose(&trio, &before);
    trio_propose(&trio, &behind);
    trio_commit(&trio, z(3));
    trio_refuse(&trio, refused, ZK_NODE_EXISTS, z(3));
    trio_commit(&trio, z(4));
    rig_expect(client, "");
    /* Both become durable, and so are delivered, at once. */
    rig_settle(&rig);
    rig_expect(client, "1 create z3 -110\n2 getChildren z3 (a zookeeper)\n");
    rig_expect(other, "1 create z3 /a\n2 create z4 /b\n");
}

Test(replica_forward, a_refusal_whose_place_is_here_already_is_given_at_once)
{
    rig_send(&rig, client, request_delete("/nothing", -1));
    trio_refuse(&trio, asked(), ZK_NO_NODE, z(1));
    rig_expect(client, "1 delete z1 -101\n");
}

Test(replica_forward, an_answer_behind_its_place_ends_the_link)
{
    struct txn txn;

    rig_send(&rig, client, request_create("/a", "", ZK_PERSISTENT));
    txn = trio_create(&trio, "/a");
    trio_propose(&trio, &txn);
    trio_commit(&trio, z(2));
    rig_settle(&rig);
    rig_send(&rig, client, request_delete("/nothing", -1));
    trio_refuse(&trio, asked(), ZK_NO_NODE, z(1));
    cr_assert(trio.dropped[3]);
    rig_expect(client, "1 create z2 /a\n");
}

Test(replica_forward, a_refused_multi_names_the_part)
{
    struct client_request ops[] = {request_delete("/x", -1),
                                   request_delete("/y", -1),
                                   request_delete("/z", -1)};
    struct peer_msg msg = {.type = PEER_REFUSED, .zxid = z(1)};

    rig_send(&rig, client, request_multi(ZK_OP_MULTI, ops, 3));
    msg.refused.origin_request = asked();
    msg.refused.code = ZK_NO_NODE;
    msg.refused.parts_count = 3;
    msg.refused.part_failed = 1;
    trio_say(&trio, 3, msg, NULL);
    rig_expect(client, "1 multi z1 [error 0][error -101][error -2]\n");
}

Test(replica_forward, a_refusal_that_cannot_be_ends_the_link)
{
    const struct {
        int32_t code;
        uint32_t parts_count, part_failed;
    } bad[] = {{ZK_OK, 0, 0}, {ZK_NO_NODE, 3, 1}, {1, 0, 0}};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct peer_msg msg = {.type = PEER_REFUSED, .zxid = z(1)};

        trio.dropped[3] = false;
        rig_send(&rig, client, request_delete("/x", -1));
        msg.refused.origin_request = asked();
        msg.refused.code = bad[i].code;
        msg.refused.parts_count = bad[i].parts_count;
        msg.refused.part_failed = bad[i].part_failed;
        trio_say(&trio, 3, msg, NULL);
        cr_assert(trio.dropped[3]);
        /* Until a leader is found again what became of it is not known. */
        trio_pass(&trio, 200);
        cr_assert(client->closed);
        cr_assert(rig.serving);
        end();
        begin();
    }
}

Test(replica_forward, what_only_learners_say_ends_the_link)
{
    trio_say(&trio, 3, (struct peer_msg){.type = PEER_SYNC_REQUEST}, NULL);
    cr_assert(trio.dropped[3]);
}

Test(replica_forward, an_answer_to_nobody_is_nothing)
{
    trio_refuse(&trio, 12345, ZK_NO_NODE, z(1));
    trio_sync_reply(&trio, 12345, z(1));
    rig_send(&rig, client, request_delete("/nothing", -1));
    rig_hang_up(&rig, client);
    trio_refuse(&trio, asked(), ZK_NO_NODE, z(1));
    rig_expect(client, "");
    cr_assert_not(trio.dropped[3]);
}

Test(replica_forward, no_more_answers_wait_than_questions)
{
    uint32_t max = rig.config.outstanding_max;

    for (uint32_t i = 0; i <= max; i++) {
        trio_refuse(&trio, 12345, ZK_NO_NODE, z(9));
    }
    cr_assert_not(trio.dropped[3]);
    trio_refuse(&trio, 12345, ZK_NO_NODE, z(9));
    cr_assert(trio.dropped[3]);
}

Test(replica_forward, a_sync_waits_for_the_leaders_word)
{
    struct test_client *other = trio_client(&trio); /* z2 */
    uint64_t sync;
    struct txn txn;

    rig_send(&rig, client, request_path(ZK_OP_SYNC, "/"));
    rig_send(&rig, client, request_watch(ZK_OP_EXISTS, "/a", false));
    trio_expect(&trio, "3 sync-request\n");
    sync = trio.last[PEER_SYNC_REQUEST].sync_request.origin_request;
    rig_send(&rig, other, request_create("/a", "", ZK_PERSISTENT));
    txn = trio_create(&trio, "/a");
    trio_propose(&trio, &txn);
    trio_commit(&trio, z(3));
    trio_sync_reply(&trio, sync, z(3));
    rig_expect(client, "");
    rig_settle(&rig);
    rig_expect(client, "1 sync z3 /\n2 exists z3 v0 c0\n");
}

Test(replica_forward, a_sync_is_no_answer_to_a_write)
{
    rig_send(&rig, client, request_delete("/x", -1));
    trio_sync_reply(&trio, asked(), z(1));
    cr_assert(trio.dropped[3]);
}

/* The leader answers in its place what it will not do, too. */
Test(replica_forward, a_sync_can_be_refused)
{
    rig_send(&rig, client, request_path(ZK_OP_SYNC, "/"));
    trio_refuse(&trio, trio.last[PEER_SYNC_REQUEST].sync_request.origin_request,
                ZK_SESSION_EXPIRED, z(1));
    rig_expect(client, "1 sync z1 -112\n");
}

Test(replica_forward, what_the_old_leader_answered_is_void_with_its_link)
{
    struct test_client *other = trio_client(&trio); /* z2 */
    struct txn txn;

    rig_send(&rig, client, request_delete("/x", -1));
    trio_refuse(&trio, asked(), ZK_NO_NODE, z(9));
    trio_link_down(&trio, 3);
    cr_assert(client->closed);
    cr_assert_not(other->closed);
    trio_pass(&trio, 200);
    cr_assert(rig.serving);
    /* Its place is passed under the next one. */
    trio.dropped[3] = false;
    rig_send(&rig, other, request_create("/a", "", ZK_PERSISTENT));
    txn = trio_create(&trio, "/a");
    trio_propose(&trio, &txn);
    trio_commit(&trio, trio.zxid);
    trio_settle(&trio);
    cr_assert_not(trio.dropped[3]);
    rig_expect(other, "1 create z1 /a\n");
}

Test(replica_forward, no_more_is_in_flight_than_the_leader_keeps)
{
    struct txn txn;

    end();
    rig_init(&rig);
    trio_init(&trio, &rig, false);
    rig.config.outstanding_max = 2;
    trio_serve(&trio);
    client = trio_client(&trio);

    for (int i = 0; i < 3; i++) {
        rig_send(&rig, client, request_delete("/x", -1));
    }
    trio_expect(&trio, "3 request\n3 request\n");
    trio_refuse(&trio, asked() - 1, ZK_NO_NODE, z(1));
    trio_expect(&trio, "3 request\n");
    trio_refuse(&trio, asked() - 1, ZK_NO_NODE, z(1));
    trio_refuse(&trio, asked(), ZK_NO_NODE, z(1));
    rig_expect(client,
               "1 delete z1 -101\n2 delete z1 -101\n3 delete z1 -101\n");
    rig_send(&rig, client, request_create("/a", "", ZK_PERSISTENT));
    txn = trio_create(&trio, "/a");
    trio_propose(&trio, &txn);
    trio_commit(&trio, z(2));
    rig_settle(&rig);
    rig_expect(client, "4 create z2 /a\n");
}

Test(replica_forward, a_close_is_the_leaders)
{
    struct txn txn = {.op = ZK_OP_CLOSE_SESSION,
                      .request_op = ZK_OP_CLOSE_SESSION,
                      .origin_id = 1,
                      .session_id = client->session_id};

    rig_send(&rig, client, request_plain(ZK_OP_CLOSE_SESSION));
    txn.origin_request = asked();
    trio_expect(&trio, "3 request\n");
    rig_send(&rig, client, request_delete("/x", -1)); /* nobody's any more */
    trio_expect(&trio, "");
    trio_propose(&trio, &txn);
    trio_commit(&trio, z(2));
    rig_settle(&rig);
    rig_expect(client, "1 closeSession z2\n");
    cr_assert(client->closed);
}
