/* /zookeeper/config shows the membership of an ensemble. */
#include <criterion/criterion.h>

#include "tests/unit/replica/peers.h"

#define TEXT "server.1=a:2888:3888:participant;0.0.0.0:2181\nversion=0"
#define OTHER "server.1=b:2888:3888:participant;0.0.0.0:2181\nversion=1"
#define PATH "/zookeeper/config"

static struct rig rig;
static struct test_client *client;

static void begin(void)
{
    rig_init(&rig);
    rig.config.members_text = SLICE_LITERAL(TEXT);
}

static void end(void)
{
    rig_finish(&rig);
}

TestSuite(replica_members, .init = begin, .fini = end);

Test(replica_members, who_leads_shows_them)
{
    rig_serve(&rig);
    rig_settle(&rig);
    client = rig_connect(&rig);
    rig_ask(&rig, client, request_watch(ZK_OP_GET_DATA, PATH, false));
    rig_expect(client, "1 getData z2 '" TEXT "' v1 c0\n");
}

Test(replica_members, what_is_shown_is_not_written_again)
{
    zxid_t before;

    rig_serve(&rig);
    rig_settle(&rig);
    before = rig_view(&rig).zxid;
    rig_restart(&rig);
    rig_settle(&rig);
    cr_assert_eq(zxid_counter(before), 1);
    cr_assert_eq(rig_view(&rig).zxid, before);
}

Test(replica_members, another_membership_replaces_it)
{
    rig_serve(&rig);
    rig_settle(&rig);
    rig.config.members_text = SLICE_LITERAL(OTHER);
    rig_restart(&rig);
    rig_settle(&rig);
    client = rig_connect(&rig);
    rig_ask(&rig, client, request_watch(ZK_OP_GET_DATA, PATH, false));
    rig_expect(client, "1 getData z2 '" OTHER "' v2 c0\n");
    /* Who runs alone again shows none. */
    rig.config.members_text = (struct slice){NULL, 0};
    rig_restart(&rig);
    rig_settle(&rig);
    client = rig_connect(&rig);
    rig_ask(&rig, client, request_watch(ZK_OP_GET_DATA, PATH, false));
    rig_expect(client, "1 getData z2 '' v3 c0\n");
}

Test(replica_members, without_any_nothing_is_written)
{
    rig.config.members_text = (struct slice){NULL, 0};
    rig_serve(&rig);
    rig_settle(&rig);
    cr_assert_eq(rig_view(&rig).zxid, 0);
}

Test(replica_members, nobody_but_who_leads_writes_them)
{
    struct txn txn = {.op = ZK_OP_SET_DATA, .request_op = ZK_OP_SET_DATA};
    struct peers peers;

    peers_init(&peers, 1, 3, 0);
    peers.rig.config.members_text = SLICE_LITERAL(TEXT);
    peers_follow(&peers, 2);
    client = peers_connect(&peers, 1);
    rig_ask(&peers.rig, client, request_watch(ZK_OP_GET_DATA, PATH, true));
    rig_expect(client, "1 getData z1 '' v0 c0\n");
    peers_expect(&peers, "");
    txn.origin_id = 2;
    txn.set_data.path = SLICE_LITERAL(PATH);
    txn.set_data.data = SLICE_LITERAL(OTHER);
    txn.set_data.version = 1;
    peers_deliver(&peers, &txn);
    rig_ask(&peers.rig, client, request_watch(ZK_OP_GET_DATA, PATH, false));
    rig_expect(client,
               "event changed " PATH " z2\n2 getData z2 '" OTHER "' v1 c0\n");
    peers_finish(&peers);
}
