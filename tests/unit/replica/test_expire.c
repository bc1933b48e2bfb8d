/* The leader's tick: sessions, containers, TTL nodes. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/replica/rig.h"

static struct rig rig;

static void begin(void)
{
    rig_init(&rig);
    rig_serve(&rig);
}

static void end(void)
{
    rig_finish(&rig);
}

TestSuite(replica_expire, .init = begin, .fini = end);

Test(replica_expire, a_silent_session_goes_with_its_ephemerals)
{
    struct test_client *client = rig_connect(&rig);
    struct test_client *other = rig_connect(&rig);

    rig_ask(&rig, client, request_create("/e", "", ZK_EPHEMERAL));
    rig_ask(&rig, client, request_create("/f", "", ZK_EPHEMERAL));
    rig_ask(&rig, other, request_watch(ZK_OP_EXISTS, "/e", true));
    for (int i = 0; i < 13; i++) {
        rig_send(&rig, other, request_plain(ZK_OP_PING));
        rig_pass(&rig, 1000);
    }
    cr_assert(client->closed);
    cr_assert_str_eq(client->why, "session expired");
    cr_assert(!other->closed);
    cr_assert_eq(rig_view(&rig).ephemerals, 0);
    cr_assert_eq(rig_view(&rig).sessions, 1);
    cr_assert_eq(rig_view(&rig).sessions_expired, 1);
    cr_assert_eq(other->events, 1);
    rig_expect_log(&rig, "session_expired session=0x");
    rig_resume(&rig, client);
    rig_settle(&rig);
    cr_assert(client->refused);
}

Test(replica_expire, never_before_its_time_out)
{
    rig_connect(&rig);
    rig_pass(&rig, 9980);
    cr_assert_eq(rig_view(&rig).sessions, 1);
    rig_pass(&rig, 2020); /* rounded up to tickTime */
    cr_assert_eq(rig_view(&rig).sessions, 0);
}

Test(replica_expire, every_request_is_a_sign_of_life)
{
    struct test_client *client = rig_connect(&rig);

    for (int i = 0; i < 10; i++) {
        rig_pass(&rig, 5000);
        rig_send(&rig, client, request_watch(ZK_OP_EXISTS, "/", false));
    }
    cr_assert_eq(rig_view(&rig).sessions, 1);
}

/* DESIGN 2.10: a server that stood still counts that for nobody. */
Test(replica_expire, the_servers_own_stall_counts_for_nobody)
{
    rig_connect(&rig);
    rig_pass(&rig, 8000);
    rig.now_ms += 30000;
    rig_tick(&rig, 1500);
    rig_settle(&rig);
    cr_assert_eq(rig_view(&rig).sessions, 1);
    rig_pass(&rig, 1900);
    cr_assert_eq(rig_view(&rig).sessions, 1);
    rig_pass(&rig, 2200);
    cr_assert_eq(rig_view(&rig).sessions, 0);
}

/* SCENARIOS 48, 49: no ephemeral of a session whose end is proposed. */
Test(replica_expire, a_create_behind_the_end_is_refused)
{
    struct test_client *client = rig_connect(&rig);

    rig.now_ms += 20000;
    rig_tick(&rig, 0); /* its end is proposed, not durable */
    rig_send(&rig, client, request_create("/e", "", ZK_EPHEMERAL));
    rig_settle(&rig);
    cr_assert(client->closed);
    rig_expect(client, "");
    cr_assert_eq(rig_view(&rig).ephemerals, 0);
    cr_assert_eq(rig_view(&rig).sessions, 0);
    cr_assert_eq(rig_view(&rig).outstanding, 0);
}

Test(replica_expire, a_create_before_the_end_goes_with_it)
{
    struct test_client *client = rig_connect(&rig);

    rig_send(&rig, client, request_create("/e", "", ZK_EPHEMERAL));
    rig.now_ms += 20000;
    rig_tick(&rig, 0);
    rig_settle(&rig);
    rig_expect(client, "1 create z2 /e\n");
    cr_assert(client->closed);
    cr_assert_eq(rig_view(&rig).ephemerals, 0);
}

Test(replica_expire, many_go_at_a_pace)
{
    for (int i = 0; i < 500; i++) {
        struct test_client client;

        test_client_init(&client, 0);
        rig_reopen(&rig, &client);
        rig_handshake(&rig, &client);
        test_client_finish(&client);
    }
    rig_settle(&rig);
    cr_assert_eq(rig_view(&rig).sessions, 500);
    rig.now_ms += 20000;
    rig.effects_max = 0;
    rig_tick(&rig, 0);
    cr_assert_lt(rig.effects_max, 300);
    rig_pass(&rig, 200);
    cr_assert_eq(rig_view(&rig).sessions, 0);
    cr_assert_eq(rig_view(&rig).connections, 0);
}

Test(replica_expire, empty_containers_go)
{
    struct test_client *client = rig_connect(&rig);
    struct client_request container = request_create("/c", "", ZK_CONTAINER);

    container.op = ZK_OP_CREATE_CONTAINER;
    rig_ask(&rig, client, container);
    rig_make(&rig, client, "/c/a", "");
    rig_ask(&rig, client, request_delete("/c/a", -1));
    buf_clear(&client->text);
    for (int i = 0; i < 13; i++) {
        rig_pass(&rig, 5000);
        rig_send(&rig, client, request_plain(ZK_OP_PING));
    }
    buf_clear(&client->text);
    rig_ask(&rig, client, request_watch(ZK_OP_EXISTS, "/c", false));
    rig_expect(client, "4 exists z5 -101\n");
}

Test(replica_expire, a_container_used_again_stays)
{
    struct test_client *client = rig_connect(&rig);
    struct client_request container = request_create("/c", "", ZK_CONTAINER);

    container.op = ZK_OP_CREATE_CONTAINER;
    rig_ask(&rig, client, container);
    rig_make(&rig, client, "/c/a", "");
    rig_ask(&rig, client, request_delete("/c/a", -1));
    /* The create is proposed when the garbage is looked for. */
    rig.now_ms += 61000;
    rig_send(&rig, client, request_create("/c/b", "", ZK_PERSISTENT));
    rig_tick(&rig, 0);
    rig_settle(&rig);
    buf_clear(&client->text);
    rig_ask(&rig, client, request_watch(ZK_OP_EXISTS, "/c", false));
    rig_expect(client, "5 exists z5 v0 c1\n");
}

Test(replica_expire, ttl_nodes_go_when_their_time_is_over)
{
    struct test_client *client = rig_connect(&rig);
    struct client_request ttl = request_create("/t", "", ZK_PERSISTENT_TTL);

    ttl.op = ZK_OP_CREATE_TTL;
    ttl.create.ttl = 100000;
    rig_ask(&rig, client, ttl);
    for (int i = 0; i < 25; i++) {
        rig_pass(&rig, 5000);
        rig_send(&rig, client, request_plain(ZK_OP_PING));
        if (i == 18) {
            cr_assert_eq(rig_view(&rig).znodes, 6);
        }
    }
    cr_assert_eq(rig_view(&rig).znodes, 5);
}

Test(replica_expire, garbage_goes_at_a_pace)
{
    struct test_client *client;
    char path[16];

    rig_crash(&rig, 0);
    rig.config.container_max_per_minute = 600; /* one in 100 ms */
    rig_serve(&rig);
    client = rig_connect(&rig);
    for (int i = 0; i < 20; i++) {
        struct client_request ttl;

        snprintf(path, sizeof(path), "/t%d", i);
        ttl = request_create(path, "", ZK_PERSISTENT_TTL);
        ttl.op = ZK_OP_CREATE_TTL;
        ttl.create.ttl = 1;
        rig_ask(&rig, client, ttl);
    }
    rig.now_ms += 59000;
    rig.wall_ms += 59000;
    rig_pass(&rig, 1100);
    cr_assert_lt(rig_view(&rig).znodes, 25);
    cr_assert_gt(rig_view(&rig).znodes, 20);
    rig_pass(&rig, 2500);
    cr_assert_eq(rig_view(&rig).znodes, 5);
}

/* It is we who do not read its pings: a slow disk ends nobody's session. */
Test(replica_expire, not_while_we_do_not_read)
{
    struct test_client *client;

    rig_finish(&rig);
    rig_init(&rig);
    rig.config.outstanding_max = 4;
    rig_serve(&rig);
    client = rig_connect(&rig);
    for (int i = 0; i < 4; i++) {
        rig_send(&rig, client, request_set("/", "x", -1));
    }
    for (int i = 0; i < 3; i++) { /* the disk says nothing */
        rig.now_ms += 8000;
        rig_tick(&rig, 0);
    }
    rig_settle(&rig);
    cr_assert(!client->closed, "%s", client->why);
    cr_assert_eq(rig_view(&rig).sessions_expired, 0);
    rig_pass(&rig, 13000); /* now it could have said something */
    cr_assert(client->closed);
}

Test(replica_expire, not_while_its_resume_waits)
{
    struct test_client *client = rig_connect(&rig);
    struct test_client *other = rig_connect(&rig);

    rig_hang_up(&rig, client);
    rig_send(&rig, other, request_set("/", "x", -1));
    rig_resume(&rig, client); /* behind what the disk has not written */
    for (int i = 0; i < 3; i++) {
        rig.now_ms += 8000;
        rig_send(&rig, other, request_plain(ZK_OP_PING));
        rig_tick(&rig, 0);
    }
    rig_settle(&rig);
    cr_assert(!client->refused);
    cr_assert_eq(rig_view(&rig).sessions_expired, 0);
}

/* A client on a slow line that reads long answers is there. */
Test(replica_expire, who_takes_answers_is_there)
{
    struct test_client *client = rig_connect(&rig);

    for (int i = 0; i < 4; i++) {
        struct replica_input input = {.type = REPLICA_CLIENT_DRAINED,
                                      .conn_id = client->conn_id};

        rig_pass(&rig, 8000);
        rig_step(&rig, &input);
    }
    cr_assert(!client->closed);
    rig_pass(&rig, 13000);
    cr_assert(client->closed);
}
