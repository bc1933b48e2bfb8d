/* Back-pressure, with limits of one (ZOOKEEPER-3072), and a full disk. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/replica/rig.h"

static struct rig rig;

static void begin(void)
{
    rig_init(&rig);
}

static void end(void)
{
    rig_finish(&rig);
}

TestSuite(replica_limits, .init = begin, .fini = end);

static struct test_client *serve(void)
{
    rig_serve(&rig);
    return rig_connect(&rig);
}

Test(replica_limits, outstanding_of_one_pauses_who_sends)
{
    struct test_client *client, *other;

    rig.config.outstanding_max = 1;
    client = serve();
    other = rig_connect(&rig);
    for (int i = 0; i < 3; i++) {
        rig_send(&rig, client, request_set("/", "", -1));
        cr_assert(client->paused);
        cr_assert(!other->paused);
        rig_send(&rig, other, request_set("/", "", -1));
        cr_assert(other->paused);
        rig_settle(&rig);
        cr_assert(!client->paused);
        cr_assert(!other->paused);
    }
    cr_assert_eq(client->answers, 3);
    cr_assert_eq(other->answers, 3);
}

Test(replica_limits, who_goes_gives_its_share_back)
{
    struct test_client *client, *other;

    rig.config.outstanding_max = 1;
    client = serve();
    other = rig_connect(&rig);
    rig_send(&rig, client, request_set("/", "", -1));
    rig_send(&rig, other, request_set("/", "", -1));
    cr_assert(other->paused);
    rig_hang_up(&rig, other);
    rig_hang_up(&rig, client);
    cr_assert_eq(rig_view(&rig).outstanding, 0);
    rig_resume(&rig, client);
    rig_settle(&rig);
    rig_send(&rig, client, request_set("/", "", -1));
    cr_assert(client->paused);
    rig_settle(&rig);
    cr_assert(!client->paused);
}

Test(replica_limits, one_held_read_pauses_its_connection_alone)
{
    struct test_client *client, *other;

    rig.config.reads_held_max = 1;
    client = serve();
    other = rig_connect(&rig);
    for (int i = 0; i < 3; i++) {
        rig_send(&rig, client, request_set("/", "", -1));
        cr_assert(!client->paused);
        rig_send(&rig, client, request_watch(ZK_OP_EXISTS, "/", false));
        cr_assert(client->paused);
        rig_send(&rig, other, request_watch(ZK_OP_EXISTS, "/", false));
        cr_assert(!other->paused);
        rig_settle(&rig);
        cr_assert(!client->paused);
    }
    cr_assert_eq(client->answers, 6);
}

/* Frames that were read already are not lost, and keep their order. */
Test(replica_limits, a_window_of_one_holds_writes_back)
{
    struct test_client *client, *other;
    char expected[256];
    size_t len = 0;

    rig.config.zab.proposals_inflight_max = 1;
    client = serve();
    other = rig_connect(&rig);
    for (int i = 0; i < 5; i++) {
        rig_send(&rig, client, request_set("/", "", -1));
        len += (size_t)snprintf(expected + len, sizeof(expected) - len,
                                "%d setData z%d v%d c1\n", 2 * i + 1, i + 3,
                                i + 1);
        rig_send(&rig, client, request_watch(ZK_OP_EXISTS, "/", false));
        len +=
            (size_t)snprintf(expected + len, sizeof(expected) - len,
                             "%d exists z%d v%d c1\n", 2 * i + 2, i + 3, i + 1);
        cr_assert_eq(client->paused, i > 0);
    }
    /* Who only reads is not disturbed. */
    rig_send(&rig, other, request_watch(ZK_OP_EXISTS, "/", false));
    cr_assert_eq(other->answers, 1);
    cr_assert(!other->paused);
    rig_settle(&rig);
    rig_expect(client, expected);
    cr_assert(!client->paused);
}

Test(replica_limits, a_window_of_one_holds_handshakes_and_refusals_back)
{
    struct test_client *client, *late;

    rig.config.zab.proposals_inflight_max = 1;
    client = serve();
    rig_send(&rig, client, request_set("/", "", -1));
    late = rig_open(&rig);
    rig_handshake(&rig, late);
    rig_send(&rig, client, request_delete("/nothing", -1));
    rig_send(&rig, client, request_path(ZK_OP_SYNC, "/s"));
    cr_assert(late->paused);
    rig_settle(&rig);
    rig_expect(client, "1 setData z2 v1 c1\n"
                       "2 delete z3 -101\n"
                       "3 sync z3 /s\n");
    rig_expect(late, "session 10000\n");
    cr_assert(!late->paused && !client->paused);
}

/* The reads behind a write run as far as the client takes their answers. */
Test(replica_limits, held_reads_wait_for_a_slow_reader)
{
    struct replica_input drained = {.type = REPLICA_CLIENT_DRAINED};
    struct test_client *client;

    rig.config.output_mark = 100;
    client = serve();
    rig_make(&rig, client, "/a", "0123456789");
    rig_step(&rig, &(struct replica_input){.type = REPLICA_CLIENT_DRAINED,
                                           .conn_id = client->conn_id});
    client->answers = 0;
    rig_send(&rig, client, request_set("/a", "0123456789", -1));
    for (int i = 0; i < 4; i++) {
        rig_send(&rig, client, request_watch(ZK_OP_GET_DATA, "/a", false));
    }
    rig_send(&rig, client, request_set("/", "", -1));
    rig_settle(&rig);
    /* An answer of the write, 88 bytes, and one of 102. */
    cr_assert_eq(client->answers, 2);
    drained.conn_id = client->conn_id;
    for (size_t answers = 3; answers <= 5; answers++) {
        rig_step(&rig, &drained);
        cr_assert_eq(client->answers, answers == 5 ? 6 : answers);
    }
    cr_assert_eq(rig_view(&rig).outstanding, 0);
}

Test(replica_limits, answers_over_the_limit_become_an_error)
{
    struct test_client *client;

    rig.config.reply_size_max = 200;
    client = serve();
    rig_make(&rig, client, "/a",
             "01234567890123456789012345678901234567890123"
             "45678901234567890123456789012345678901234567"
             "89012345678901234567890123456789");
    rig_ask(&rig, client, request_watch(ZK_OP_GET_DATA, "/a", false));
    rig_ask(&rig, client, request_watch(ZK_OP_EXISTS, "/a", false));
    rig_expect(client, "2 getData z2 -5\n3 exists z2 v0 c0\n");
    rig_expect_log(&rig, "reply_too_big session=0x");
    rig_expect_log(&rig, "path=\"/a\"");
}

/* ZOOKEEPER-3496: what could not be loaded is never let in. */
Test(replica_limits, a_txn_over_the_limit_is_refused)
{
    struct test_client *client;
    static char data[200001];

    rig.config.frame_size_max = 100000;
    client = serve();
    memset(data, 'x', 200000);
    rig_ask(&rig, client, request_create("/a", data, ZK_PERSISTENT));
    rig_expect(client, "1 create z1 -5\n");
}

Test(replica_limits, a_nearly_full_disk_takes_no_data_but_lets_delete)
{
    struct replica_input space = {.type = REPLICA_DISK_SPACE};
    struct test_client *client = serve(), *other;
    struct client_request ops[] = {request_delete("/a", -1),
                                   request_create("/b", "", 0)};

    rig_make(&rig, client, "/a", "x");
    space.disk.low = true;
    space.disk.free_bytes = 1000;
    rig_step(&rig, &space);
    rig_expect_log(&rig, "disk_low free_bytes=1000");
    rig_ask(&rig, client, request_create("/b", "", ZK_PERSISTENT));
    rig_ask(&rig, client, request_set("/a", "", -1));
    rig_ask(&rig, client, request_multi(ZK_OP_MULTI, ops, 2));
    rig_ask(&rig, client, request_watch(ZK_OP_GET_DATA, "/a", false));
    rig_ask(&rig, client, request_path(ZK_OP_SYNC, "/"));
    rig_ask(&rig, client, request_delete("/a", -1));
    other = rig_connect(&rig);
    rig_ask(&rig, other, request_plain(ZK_OP_CLOSE_SESSION));
    cr_assert(other->closed);
    space.disk.low = false;
    rig_step(&rig, &space);
    rig_ask(&rig, client, request_create("/b", "", ZK_PERSISTENT));
    rig_expect(client, "2 create z2 -125\n"
                       "3 setData z2 -125\n"
                       "4 multi z2 [error 0][error -125]\n"
                       "5 getData z2 'x' v0 c0\n"
                       "6 sync z2 /\n"
                       "7 delete z3\n"
                       "8 create z6 /b\n");
}

Test(replica_limits, ephemerals_of_a_session_are_limited)
{
    struct test_client *client;

    rig.config.ephemerals_max = 2;
    client = serve();
    rig_ask(&rig, client, request_create("/a", "", ZK_EPHEMERAL));
    rig_ask(&rig, client, request_create("/b", "", ZK_EPHEMERAL));
    rig_ask(&rig, client, request_create("/c", "", ZK_EPHEMERAL));
    rig_ask(&rig, client, request_delete("/a", -1));
    rig_ask(&rig, client, request_create("/c", "", ZK_EPHEMERAL));
    buf_clear(&client->text);
    cr_assert_eq(rig_view(&rig).ephemerals, 2);
}
