/* A server that leads: what its learners ask for their clients is decided in
 * the order in which it came, and answered by the txn or in its place. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/replica/trio.h"

#define ATTACHMENT UINT64_C(100)

static struct rig rig;
static struct trio trio;
static uint64_t session;

static void begin_with(uint32_t inflight_max)
{
    rig_init(&rig);
    trio_init(&trio, &rig, true);
    rig.config.zab.proposals_inflight_max = inflight_max;
    rig.config.outstanding_max = 4;
    trio_serve(&trio);
    session = trio_session(&trio, 1, ATTACHMENT); /* z1 */
}

static void begin(void)
{
    begin_with(1000);
}

static void end(void)
{
    trio_finish(&trio);
    rig_finish(&rig);
}

TestSuite(replica_learner, .init = begin, .fini = end);

static void ask(uint64_t origin_request, struct client_request request)
{
    trio_request(&trio, 1, session, ATTACHMENT, origin_request, request);
}

static void proposed(struct txn *txn)
{
    static struct arena *arena;

    arena_destroy(arena);
    arena = arena_create(1024);
    cr_assert_eq(
        txn_decode(blob_bytes(trio.payloads[PEER_PROPOSE]), arena, txn), 0);
}

Test(replica_learner, a_request_is_proposed_for_who_asked)
{
    struct txn txn;

    ask(101, request_create("/a", "", ZK_PERSISTENT));
    trio_expect(&trio, "12 propose z2 x1\n");
    proposed(&txn);
    cr_assert_eq(txn.origin_id, 1);
    cr_assert_eq(txn.origin_request, 101);
    cr_assert_eq(txn.session_id, session);
    cr_assert_eq(txn.cxid, 7);
    trio_settle(&trio);
    trio_expect(&trio, "12 commit z2\n");
}

/* The ACL is checked with what the connection proved at its own server. */
/* jute.maxbuffer may be more than what servers take from each other. */
Test(replica_learner, a_txn_that_no_learner_would_take_is_refused)
{
    static char data[PEER_FRAME_SIZE_MAX + 1];
    struct test_client *client;

    end();
    rig_init(&rig);
    trio_init(&trio, &rig, true);
    rig.config.frame_size_max = 64 * 1024 * 1024;
    trio_serve(&trio);
    client = rig_open(&rig);
    rig_handshake(&rig, client);
    trio_settle(&trio);
    rig_expect(client, "session 10000\n");
    trio_expect(&trio, "12 propose z1 x1\n12 commit z1\n");
    memset(data, 'x', sizeof(data) - 1);
    rig_send(&rig, client, request_create("/a", data, ZK_PERSISTENT));
    trio_settle(&trio);
    rig_expect(client, "1 create z1 -5\n");
    trio_expect(&trio, "");
}

Test(replica_learner, a_request_carries_its_connections_ids)
{
    const struct zk_acl acl = {
        .perms = ZK_PERM_ALL,
        .id = {SLICE_LITERAL("ip"), SLICE_LITERAL("10.0.0.1")}};
    struct client_request request = request_create("/a", "", ZK_PERSISTENT);
    struct test_client *local = rig_open(&rig); /* of 127.0.0.1 */

    rig_handshake(&rig, local); /* z2 */
    trio_settle(&trio);
    request.create.acl = &acl;
    request.create.acl_count = 1;
    ask(101, request);
    ask(102, request_set("/a", "1", -1));
    trio_settle(&trio);
    rig_send(&rig, local, request_set("/a", "2", -1));
    trio_settle(&trio);
    rig_expect(local, "session 10000\n1 setData z4 -102\n");
}

Test(replica_learner, a_refusal_stands_between_the_commits_around_it)
{
    ask(101, request_create("/a", "", ZK_PERSISTENT));
    ask(102, request_create("/a", "", ZK_PERSISTENT));
    ask(103, request_create("/b", "", ZK_PERSISTENT));
    trio_settle(&trio);
    trio_expect(&trio, "12 propose z2 x1\n"
                       "12 propose z3 x1\n"
                       "12 commit z2\n"
                       "1 refused z2 -110\n"
                       "12 commit z3\n");
    cr_assert_eq(trio.last[PEER_REFUSED].refused.origin_request, 102);
}

Test(replica_learner, a_sync_is_answered_behind_a_quorums_word)
{
    struct peer_msg msg = {.type = PEER_SYNC_REQUEST};

    trio.pongs[1] = false;
    trio.pongs[2] = false;
    msg.sync_request.session_id = session;
    msg.sync_request.attachment = ATTACHMENT;
    msg.sync_request.origin_request = 101;
    trio_say(&trio, 1, msg, NULL);
    trio_settle(&trio);
    trio_expect(&trio, "");
    trio_say(&trio, 2,
             (struct peer_msg){.type = PEER_PONG,
                               .ping.number = trio.last[PEER_PING].ping.number},
             NULL);
    trio_expect(&trio, "1 sync-reply z1\n");
    cr_assert_eq(trio.last[PEER_SYNC_REPLY].sync_reply.origin_request, 101);
}

Test(replica_learner, what_cannot_be_proposed_yet_waits_in_order)
{
    end();
    begin_with(2);
    trio.acks[1] = trio.acks[2] = false;
    ask(101, request_create("/a", "", ZK_PERSISTENT));
    ask(102, request_create("/b", "", ZK_PERSISTENT));
    ask(103, request_delete("/b", -1));
    ask(104, request_delete("/a", -1));
    ask(105, request_delete("/a", -1));
    rig_settle(&rig);
    trio_expect(&trio, "12 propose z2 x1\n12 propose z3 x1\n");
    trio.acks[1] = true;
    trio_say(&trio, 1,
             (struct peer_msg){.type = PEER_ACK, .zxid = zxid_make(1, 3)},
             NULL);
    trio_settle(&trio);
    trio_expect(&trio, "12 commit z3\n"
                       "12 propose z4 x2\n"
                       "12 commit z5\n"
                       "1 refused z5 -101\n");
}

/* While somebody walks the tree, too. */
Test(replica_learner, one_that_asks_for_more_than_its_share_is_dropped)
{
    inspect_hold(rig.replica);
    for (uint64_t i = 0; i < 5; i++) {
        ask(101 + i, request_delete("/a", -1));
    }
    cr_assert_not(trio.dropped[1]);
    ask(106, request_delete("/a", -1));
    cr_assert(trio.dropped[1]);
    cr_assert_not(trio.dropped[2]);
    inspect_release(rig.replica);
    trio_settle(&trio);
    trio_expect(&trio, ""); /* what it asked is void with its link */
}

Test(replica_learner, what_was_asked_on_a_link_that_is_gone_is_void)
{
    inspect_hold(rig.replica);
    ask(101, request_create("/a", "", ZK_PERSISTENT));
    trio_link_down(&trio, 1);
    inspect_release(rig.replica);
    trio_settle(&trio);
    trio_expect(&trio, "");
}

Test(replica_learner, who_comes_again_is_not_answered_for_its_last_life)
{
    trio.acks[1] = trio.acks[2] = false;
    ask(101, request_create("/a", "", ZK_PERSISTENT));
    ask(102, request_create("/a", "", ZK_PERSISTENT));
    trio.zxid = zxid_make(1, 1);
    trio_link_down(&trio, 1);
    trio_link_up(&trio, 1);
    trio.acks[1] = trio.acks[2] = true;
    trio_settle(&trio);
    cr_assert_eq(trio.last[PEER_REFUSED].type, 0);
}

Test(replica_learner, a_frame_that_is_no_write_ends_the_link)
{
    const struct slice frames[] = {
        SLICE_LITERAL(""),
        SLICE_LITERAL("\0\0\0\1\0\0\0\1"),   /* create without a body */
        SLICE_LITERAL("\0\0\0\1\0\0\0\x65"), /* setWatches */
        SLICE_LITERAL("\0\0\0\1\x7f\0\0\0"), /* no op at all */
    };

    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        struct peer_msg msg = {.type = PEER_REQUEST};

        msg.request.session_id = session;
        msg.request.attachment = ATTACHMENT;
        msg.request.origin_request = 101;
        trio_say(&trio, 1, msg, blob_copy(frames[i]));
        cr_assert(trio.dropped[1]);
        end();
        begin();
    }
}

Test(replica_learner, what_only_leaders_say_ends_the_link)
{
    trio_say(&trio, 2, (struct peer_msg){.type = PEER_DIGEST}, NULL);
    cr_assert(trio.dropped[2]);
}

Test(replica_learner, one_that_is_not_synced_may_not_ask)
{
    trio.dropped[1] = false;
    trio_link_down(&trio, 1);
    trio_link_up(&trio, 1);
    trio_next(&trio); /* the link alone */
    ask(101, request_create("/a", "", ZK_PERSISTENT));
    cr_assert(trio.dropped[1]);
    trio_expect(&trio, "");
}

Test(replica_learner, a_session_that_speaks_elsewhere_is_refused_here)
{
    trio_request(&trio, 2, session, 900, 901,
                 request_create("/a", "", ZK_PERSISTENT));
    trio_settle(&trio);
    trio_expect(&trio, "2 session-moved\n2 refused z1 -118\n");
}

Test(replica_learner, a_session_that_is_not_there_is_refused_in_its_place)
{
    trio_request(&trio, 1, session + 1, ATTACHMENT, 101,
                 request_create("/a", "", ZK_PERSISTENT));
    trio_settle(&trio);
    trio_expect(&trio, "1 refused z1 -112\n");
}

/* A close is proposed once; what comes behind it is refused. */
Test(replica_learner, nothing_comes_behind_a_close)
{
    ask(101, request_plain(ZK_OP_CLOSE_SESSION));
    ask(102, request_create("/a", "", ZK_PERSISTENT));
    trio_settle(&trio);
    trio_expect(&trio, "12 propose z2 x1\n12 commit z2\n1 refused z2 -112\n");
}

Test(replica_learner, what_a_leader_was_asked_is_void_when_it_leads_no_more)
{
    trio.acks[1] = trio.acks[2] = false;
    trio.pongs[1] = trio.pongs[2] = false;
    inspect_hold(rig.replica);
    ask(101, request_create("/a", "", ZK_PERSISTENT));
    trio_link_down(&trio, 1);
    trio_link_down(&trio, 2);
    rig_pass(&rig, 1000);
    inspect_release(rig.replica);
    rig_settle(&rig);
    cr_assert_not(rig.serving);
    trio_expect(&trio, "");
}
