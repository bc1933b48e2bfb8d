#include <criterion/criterion.h>

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

TestSuite(replica_handshake, .init = begin, .fini = end);

Test(replica_handshake, a_new_session_is_answered_when_it_is_durable)
{
    struct test_client *client = rig_open(&rig);

    rig_handshake(&rig, client);
    rig_expect(client, "");
    rig_settle(&rig);
    rig_expect(client, "session 10000\n");
    cr_assert_eq(client->session_id >> 56, 1);
    cr_assert_eq(rig_view(&rig).sessions, 1);
}

Test(replica_handshake, the_answer_is_byte_for_byte_zookeepers)
{
    static const uint8_t old_client[44] = {[14] = 0x75, [15] = 0x30, [27] = 16};
    struct test_client *client = rig_open(&rig);

    rig_frame(&rig, client, slice_make(old_client, sizeof(old_client)));
    rig_settle(&rig);
    rig_expect(client, "session 30000\n");
    cr_assert_eq(rig.bytes_max, 40); /* in kind: no read-only byte */
    client = rig_open(&rig);
    rig_handshake(&rig, client);
    rig_settle(&rig);
    cr_assert_eq(rig.bytes_max, 41);
}

Test(replica_handshake, time_outs_are_clamped)
{
    struct test_client *client = rig_open(&rig);

    test_client_connect(client, 1, &rig.frame);
    rig_frame(&rig, client, buf_bytes(&rig.frame));
    rig_settle(&rig);
    rig_expect(client, "session 4000\n");
    client = rig_open(&rig);
    test_client_connect(client, INT32_MAX, &rig.frame);
    rig_frame(&rig, client, buf_bytes(&rig.frame));
    rig_settle(&rig);
    rig_expect(client, "session 40000\n");
}

/* ZOOKEEPER.md 1.24: Java's client does not wait for the ConnectResponse. */
Test(replica_handshake, frames_behind_the_first_are_held_not_dropped)
{
    struct test_client *client = rig_open(&rig);

    rig_handshake(&rig, client);
    rig_send(&rig, client, request_auth("digest", "user:password"));
    rig_send(&rig, client, request_create("/a", "x", ZK_PERSISTENT));
    rig_send(&rig, client, request_watch(ZK_OP_GET_DATA, "/a", false));
    cr_assert(client->paused);
    rig_settle(&rig);
    rig_expect(client, "session 10000\n"
                       "-4 auth z0\n"
                       "1 create z2 /a\n"
                       "2 getData z2 'x' v0 c0\n");
    cr_assert(!client->paused);
}

Test(replica_handshake, before_the_tree_is_there_handshakes_wait)
{
    struct test_client *client;

    rig_crash(&rig, 0);
    rig_start(&rig);
    client = rig_open(&rig);
    rig_handshake(&rig, client);
    cr_assert(client->paused);
    cr_assert(!rig.serving);
    rig_settle(&rig);
    rig_expect(client, "session 10000\n");
    cr_assert(!client->paused);
}

Test(replica_handshake, a_session_is_resumed_with_id_and_password)
{
    struct test_client *client = rig_connect(&rig);
    uint64_t id = client->session_id;

    rig_hang_up(&rig, client);
    rig_resume(&rig, client);
    rig_settle(&rig);
    rig_expect(client, "session 10000\n");
    cr_assert_eq(client->session_id, id);
    cr_assert_eq(rig_view(&rig).sessions, 1);
}

Test(replica_handshake, a_resume_on_this_server_closes_the_old_connection)
{
    struct test_client *old = rig_connect(&rig);
    struct test_client *new = rig_open(&rig);

    new->session_id = old->session_id;
    memcpy(new->password, old->password, 16);
    rig_handshake(&rig, new);
    cr_assert(old->closed);
    rig_settle(&rig);
    rig_expect(new, "session 10000\n");
    rig_ask(&rig, new, request_create("/e", "", ZK_EPHEMERAL));
    rig_expect(new, "1 create z2 /e\n");
    cr_assert_eq(rig_view(&rig).connections, 1);
}

/* The client's first read after a resume shows what became of its last write:
 * a lock recipe looks for its node right then. */
Test(replica_handshake, a_resume_waits_for_what_was_in_flight)
{
    struct test_client *client = rig_connect(&rig);

    rig_send(&rig, client, request_create("/lock", "", ZK_PERSISTENT));
    rig_hang_up(&rig, client);
    rig_resume(&rig, client);
    rig_expect(client, "");
    rig_send(&rig, client, request_watch(ZK_OP_EXISTS, "/lock", false));
    rig_settle(&rig);
    rig_expect(client, "session 10000\n2 exists z2 v0 c0\n");
}

Test(replica_handshake, a_wrong_password_is_answered_as_expired)
{
    struct test_client *client = rig_connect(&rig);

    rig_hang_up(&rig, client);
    client->password[3] ^= 1;
    rig_resume(&rig, client);
    rig_settle(&rig);
    rig_expect(client, "refused\n");
    cr_assert(client->closed);
    cr_assert_eq(rig_view(&rig).sessions, 1);
    cr_assert_eq(rig_view(&rig).connections_refused, 1);
}

Test(replica_handshake, an_unknown_session_is_answered_as_expired)
{
    struct test_client *client = rig_open(&rig);

    client->session_id = 0x0100000000001234;
    rig_handshake(&rig, client);
    rig_settle(&rig);
    rig_expect(client, "refused\n");
    cr_assert(client->closed);
}

Test(replica_handshake, a_closing_session_is_answered_as_expired)
{
    struct test_client *client = rig_connect(&rig);

    rig_send(&rig, client, request_plain(ZK_OP_CLOSE_SESSION));
    rig_hang_up(&rig, client);
    rig_resume(&rig, client); /* the close is proposed, not delivered */
    rig_settle(&rig);
    rig_expect(client, "refused\n");
    cr_assert_eq(rig_view(&rig).sessions, 0);
}

Test(replica_handshake, who_has_seen_more_is_turned_away_without_an_answer)
{
    struct test_client *client = rig_open(&rig);

    client->zxid = rig_view(&rig).zxid + 1;
    rig_handshake(&rig, client);
    rig_expect(client, "");
    cr_assert(client->closed);
    client->zxid = 0;
}

Test(replica_handshake, nonsense_closes_the_connection)
{
    struct test_client *client = rig_open(&rig);

    rig_frame(&rig, client, SLICE_LITERAL("nonsense"));
    cr_assert(client->closed);
    client = rig_open(&rig);
    rig_frame(&rig, client, SLICE_LITERAL(""));
    cr_assert(client->closed);
    rig_expect(client, "");
}

Test(replica_handshake, the_client_may_go_while_its_session_is_made)
{
    struct test_client *client = rig_open(&rig);

    rig_handshake(&rig, client);
    rig_hang_up(&rig, client);
    rig_settle(&rig);
    rig_expect(client, "");
    cr_assert_eq(rig_view(&rig).sessions, 1); /* it expires in its time */
    cr_assert_eq(rig_view(&rig).connections, 0);
}

Test(replica_handshake, two_resumes_at_once_leave_one)
{
    struct test_client *first = rig_connect(&rig);
    struct test_client *second = rig_open(&rig);

    /* A write in flight keeps both barriers waiting. */
    rig_send(&rig, first, request_create("/a", "", ZK_PERSISTENT));
    rig_hang_up(&rig, first);
    rig_resume(&rig, first);
    second->session_id = first->session_id;
    memcpy(second->password, first->password, 16);
    rig_handshake(&rig, second);
    cr_assert(first->closed);
    rig_settle(&rig);
    rig_expect(first, "");
    rig_expect(second, "session 10000\n");
}

Test(replica_handshake, passwords_do_not_appear_in_logs)
{
    struct test_client *client = rig_connect(&rig);

    memset(client->password, 'P', 16);
    rig_hang_up(&rig, client);
    rig_resume(&rig, client);
    rig_settle(&rig);
    cr_assert_null(memmem(rig.log.data, rig.log.len, "PPPP", 4));
}
