/* What the leader says of its tree, and what a learner makes of it. */
#include <criterion/criterion.h>
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

TestSuite(replica_digests, .init = begin, .fini = end);

/* Transactions up to the zxid counter. */
static void write_until(struct test_client *client, uint32_t counter)
{
    char path[20];

    client->quiet = true;
    while (zxid_counter(rig_view(rig).zxid) < counter) {
        snprintf(path, sizeof(path), "/%u", zxid_counter(rig_view(rig).zxid));
        rig_ask(rig, client, request_create(path, "", ZK_PERSISTENT));
    }
}

Test(replica_digests, a_leader_tells_its_digests)
{
    struct inspect_server view;

    peers_lead(&peers);
    write_until(rig_connect(rig), 128);
    view = rig_view(rig);
    cr_assert_eq(peers.digest.zxid, zxid_make(2, 128));
    cr_assert_eq(peers.digest.digest.tree, view.tree_digest);
    cr_assert_eq(peers.digest.digest.sessions, view.session_digest);
}

/* Proposes and commits up to the counter, as somebody else's requests. */
static void deliver_until(uint32_t counter)
{
    char path[20];
    struct txn txn;

    peers.asked = 0;
    peers.session_id = 0;
    while (zxid_counter(peers_last(&peers)) < counter) {
        snprintf(path, sizeof(path), "/%u", zxid_counter(peers_last(&peers)));
        txn = peers_create(&peers, path);
        peers_deliver(&peers, &txn);
    }
}

static void say_digest(zxid_t zxid, uint64_t tree, uint64_t sessions)
{
    struct peer_msg msg = {.type = PEER_DIGEST, .zxid = zxid};

    msg.digest.tree = tree;
    msg.digest.sessions = sessions;
    peers_say(&peers, peers.leader, &msg);
}

Test(replica_digests, equal_digests_are_as_it_should_be)
{
    struct inspect_server view;

    peers_follow(&peers, 2);
    deliver_until(128);
    view = rig_view(rig);
    deliver_until(130);
    say_digest(zxid_make(2, 128), view.tree_digest, view.session_digest);
    say_digest(zxid_make(2, 64), 1, 2); /* nobody can say */
    cr_assert(rig->serving);
}

Test(replica_digests, a_learner_of_another_tree_serves_no_more)
{
    struct test_client *client;
    struct inspect_server view;

    peers_follow(&peers, 2);
    client = peers_connect(&peers, 1);
    deliver_until(128);
    view = rig_view(rig);
    inspect_hold(rig->replica); /* what zab says is taken up later */
    say_digest(zxid_make(2, 128), view.tree_digest + 1, view.session_digest);
    cr_assert_not(rig->serving);
    inspect_release(rig->replica);
    rig_settle(rig);
    rig_expect_log(rig, "diverged zxid=0x200000080");
    rig_ask(rig, client, request_watch(ZK_OP_EXISTS, "/", false));
    rig_expect(client, "");
    cr_assert_eq(rig_view(rig).role, ZAB_LOOKING);
}

Test(replica_digests, digests_are_compared_when_we_get_there)
{
    peers_follow(&peers, 2);
    deliver_until(127);
    say_digest(zxid_make(2, 128), 1, 2);
    cr_assert(rig->serving);
    deliver_until(128);
    cr_assert_not(rig->serving);
}

Test(replica_digests, other_sessions_are_another_tree_too)
{
    peers_follow(&peers, 2);
    deliver_until(128);
    say_digest(zxid_make(2, 128), rig_view(rig).tree_digest,
               rig_view(rig).session_digest + 1);
    cr_assert_not(rig->serving);
}
