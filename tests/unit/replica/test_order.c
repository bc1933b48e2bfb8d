/* Answers in the order of the requests; header zxids that never go back. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/replica/rig.h"

static struct rig rig;
static struct test_client *client;

static void begin(void)
{
    rig_init(&rig);
    rig_serve(&rig);
    client = rig_connect(&rig);
}

static void end(void)
{
    rig_finish(&rig);
}

TestSuite(replica_order, .init = begin, .fini = end);

Test(replica_order, reads_behind_a_write_see_it)
{
    rig_send(&rig, client, request_create("/a", "1", ZK_PERSISTENT));
    rig_send(&rig, client, request_watch(ZK_OP_GET_DATA, "/a", false));
    rig_send(&rig, client, request_set("/a", "2", -1));
    rig_send(&rig, client, request_watch(ZK_OP_GET_DATA, "/a", false));
    rig_expect(client, "");
    rig_settle(&rig);
    rig_expect(client, "1 create z2 /a\n"
                       "2 getData z2 '1' v0 c0\n"
                       "3 setData z3 v1 c0\n"
                       "4 getData z3 '2' v1 c0\n");
}

Test(replica_order, another_sessions_reads_do_not_wait)
{
    struct test_client *other = rig_connect(&rig);

    rig_send(&rig, client, request_create("/a", "1", ZK_PERSISTENT));
    rig_send(&rig, other, request_watch(ZK_OP_EXISTS, "/a", false));
    rig_expect(other, "1 exists z2 -101\n");
    rig_settle(&rig);
}

/* A refusal has no record, but a place: behind the writes before it. */
Test(replica_order, a_refusal_waits_for_the_writes_before_it)
{
    rig_send(&rig, client, request_create("/a", "1", ZK_PERSISTENT));
    rig_send(&rig, client, request_create("/a", "1", ZK_PERSISTENT));
    rig_send(&rig, client, request_create("/b", "1", ZK_PERSISTENT));
    rig_expect(client, "");
    rig_disk(&rig);
    rig_expect(client, "1 create z2 /a\n2 create z2 -110\n");
    rig_disk(&rig);
    rig_expect(client, "3 create z3 /b\n");
}

Test(replica_order, a_refusal_with_nothing_before_it_is_answered_at_once)
{
    size_t appended = fake_disk_waiting(rig.disk);

    rig_send(&rig, client, request_delete("/nothing", -1));
    rig_expect(client, "1 delete z1 -101\n");
    cr_assert_eq(fake_disk_waiting(rig.disk), appended);
}

Test(replica_order, local_errors_wait_their_turn)
{
    rig_send(&rig, client, request_create("/a", "1", ZK_PERSISTENT));
    rig_raw(&rig, client, 999, SLICE_LITERAL(""));
    rig_raw(&rig, client, ZK_OP_GET_DATA, SLICE_LITERAL("\0\0"));
    rig_send(&rig, client, request_create("/b", "1", ZK_PERSISTENT));
    rig_expect(client, "");
    rig_settle(&rig);
    rig_expect(client, "1 create z2 /a\n"
                       "2 unknown z2 -6\n"
                       "3 getData z2 -5\n"
                       "4 create z3 /b\n");
}

/* A ping passes by with a later zxid than a held answer was made with. */
Test(replica_order, no_header_goes_back_behind_a_ping)
{
    struct test_client *other = rig_connect(&rig);

    rig_send(&rig, other, request_create("/a", "", ZK_PERSISTENT));
    rig_send(&rig, client, request_create("/b", "", ZK_PERSISTENT));
    rig_raw(&rig, client, 999, SLICE_LITERAL("")); /* stamped now */
    rig_disk(&rig);
    rig_send(&rig, client, request_plain(ZK_OP_PING));
    rig_expect(client, "-2 ping z3\n");
    rig_settle(&rig);
    rig_expect(client, "1 create z4 /b\n2 unknown z4 -6\n");
}

Test(replica_order, sync_waits_for_every_write_before_it)
{
    struct test_client *other = rig_connect(&rig);

    rig_send(&rig, other, request_create("/a", "", ZK_PERSISTENT));
    rig_send(&rig, client, request_path(ZK_OP_SYNC, "/"));
    rig_send(&rig, client, request_watch(ZK_OP_EXISTS, "/a", false));
    rig_expect(client, "");
    rig_settle(&rig);
    rig_expect(client, "1 sync z3 /\n2 exists z3 v0 c0\n");
}

Test(replica_order, a_session_may_repeat_its_xids)
{
    rig_send(&rig, client, request_create("/a", "", ZK_PERSISTENT));
    client->xid = 0;
    rig_send(&rig, client, request_create("/b", "", ZK_PERSISTENT));
    client->xid = 0;
    rig_send(&rig, client, request_watch(ZK_OP_EXISTS, "/b", false));
    rig_settle(&rig);
    rig_expect(client, "1 create z2 /a\n1 create z3 /b\n1 exists z3 v0 c0\n");
}

/* kazoo starts its xids anew at each connection: the answer of the old
 * connection's write must not go to the new one's. */
Test(replica_order, an_old_connections_answer_is_nobodys)
{
    rig_send(&rig, client, request_create("/old", "", ZK_PERSISTENT));
    rig_hang_up(&rig, client);
    client->xid = 0;
    rig_resume(&rig, client);
    rig_send(&rig, client, request_create("/new", "", ZK_PERSISTENT));
    rig_settle(&rig);
    rig_expect(client, "session 10000\n1 create z3 /new\n");
}

/* Nor may an answer of this server's last life. */
Test(replica_order, an_answer_from_before_a_restart_is_nobodys)
{
    rig_send(&rig, client, request_create("/old", "", ZK_PERSISTENT));
    rig_crash(&rig, 1); /* durable, never answered */
    rig_start(&rig);
    rig_reopen(&rig, client);
    client->xid = 0;
    rig_handshake(&rig, client);
    rig_settle(&rig);
    rig_ask(&rig, client, request_create("/old", "", ZK_PERSISTENT));
    rig_expect(client, "session 10000\n1 create z2 -110\n");
}

Test(replica_order, five_hundred_in_flight_come_back_in_order)
{
    char expected[20000], path[16];
    size_t len = 0;

    for (int i = 0; i < 500; i++) {
        snprintf(path, sizeof(path), "/n%d", i);
        rig_send(&rig, client, request_create(path, "", ZK_PERSISTENT));
        len += (size_t)snprintf(expected + len, sizeof(expected) - len,
                                "%d create z%d %s\n", i + 1, i + 2, path);
    }
    rig_settle(&rig);
    rig_expect(client, expected);
}
