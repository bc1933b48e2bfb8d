/* Every operation's answer. */
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

TestSuite(replica_ops, .init = begin, .fini = end);

static struct client_request kind(enum zk_op op, struct client_request request)
{
    request.op = op;
    return request;
}

Test(replica_ops, creates_answer_by_their_kind)
{
    struct client_request ttl =
        kind(ZK_OP_CREATE_TTL, request_create("/t", "", ZK_PERSISTENT_TTL));

    ttl.create.ttl = 1000;
    rig_ask(&rig, client, request_create("/a", "x", ZK_PERSISTENT));
    rig_ask(&rig, client, request_create("/a/s-", "", 2));
    rig_ask(&rig, client, kind(ZK_OP_CREATE2, request_create("/b", NULL, 0)));
    rig_ask(&rig, client,
            kind(ZK_OP_CREATE_CONTAINER, request_create("/c", "", 4)));
    rig_ask(&rig, client, ttl);
    rig_ask(&rig, client, request_create("/a", "", ZK_PERSISTENT));
    rig_ask(&rig, client, request_create("/no/where", "", ZK_PERSISTENT));
    rig_expect(client, "1 create z2 /a\n"
                       "2 create z3 /a/s-0000000000\n"
                       "3 create2 z4 /b v0 c0\n"
                       "4 createContainer z5 /c v0 c0\n"
                       "5 createTTL z6 /t v0 c0\n"
                       "6 create z6 -110\n"
                       "7 create z6 -101\n");
}

Test(replica_ops, reads_answer_from_the_tree)
{
    rig_make(&rig, client, "/a", "x");
    rig_make(&rig, client, "/a/b", "y");
    rig_make(&rig, client, "/a/c", NULL);
    rig_make(&rig, client, "/a/c/d", "");
    rig_ask(&rig, client, request_watch(ZK_OP_GET_DATA, "/a", false));
    rig_ask(&rig, client, request_watch(ZK_OP_GET_DATA, "/a/c", false));
    rig_ask(&rig, client, request_watch(ZK_OP_EXISTS, "/a/b", false));
    rig_ask(&rig, client, request_watch(ZK_OP_EXISTS, "/x", false));
    rig_ask(&rig, client, request_watch(ZK_OP_GET_CHILDREN, "/a", false));
    rig_ask(&rig, client, request_watch(ZK_OP_GET_CHILDREN2, "/a", false));
    rig_ask(&rig, client, request_watch(ZK_OP_GET_CHILDREN2, "/x", false));
    rig_ask(&rig, client, request_path(ZK_OP_GET_ACL, "/a"));
    rig_ask(&rig, client, request_path(ZK_OP_GET_ALL_CHILDREN_NUMBER, "/a"));
    rig_ask(&rig, client, request_path(ZK_OP_GET_ALL_CHILDREN_NUMBER, "/"));
    rig_ask(&rig, client, request_path(ZK_OP_GET_ALL_CHILDREN_NUMBER, "/x"));
    rig_ask(&rig, client, request_watch(ZK_OP_GET_CHILDREN, "/", false));
    rig_expect(client, "5 getData z5 'x' v0 c2\n"
                       "6 getData z5 null v0 c1\n"
                       "7 exists z5 v0 c0\n"
                       "8 exists z5 -101\n"
                       "9 getChildren z5 (b c)\n"
                       "10 getChildren2 z5 (b c) v0 c2\n"
                       "11 getChildren2 z5 -101\n"
                       "12 getACL z5 31:world:anyone v0 c2\n"
                       "13 getAllChildrenNumber z5 3\n"
                       "14 getAllChildrenNumber z5 7\n"
                       "15 getAllChildrenNumber z5 -101\n"
                       "16 getChildren z5 (a zookeeper)\n");
}

Test(replica_ops, set_and_delete)
{
    rig_make(&rig, client, "/a", "x");
    rig_ask(&rig, client, request_set("/a", "y", 0));
    rig_ask(&rig, client, request_set("/a", "z", 0));
    rig_ask(&rig, client, request_set("/b", "z", -1));
    rig_ask(&rig, client, request_delete("/a", 0));
    rig_ask(&rig, client, request_delete("/a", 1));
    rig_ask(&rig, client, request_delete("/a", -1));
    rig_ask(&rig, client, request_delete("/", -1));
    rig_expect(client, "2 setData z3 v1 c0\n"
                       "3 setData z3 -103\n"
                       "4 setData z3 -101\n"
                       "5 delete z3 -103\n"
                       "6 delete z4\n"
                       "7 delete z4 -101\n"
                       "8 delete z4 -8\n");
}

Test(replica_ops, sync_echoes_its_path)
{
    rig_ask(&rig, client, request_path(ZK_OP_SYNC, "/what/ever"));
    rig_ask(&rig, client, request_path(ZK_OP_SYNC, ""));
    rig_expect(client, "1 sync z1 /what/ever\n2 sync z1 \n");
}

Test(replica_ops, multi_is_all_or_nothing)
{
    struct client_request good[] = {
        request_create("/a", "x", 0),
        kind(ZK_OP_CREATE2, request_create("/a/b", "", 0)),
        request_set("/a", "y", 0),
        kind(ZK_OP_CHECK, request_delete("/a", 1)),
        request_delete("/a/b", -1),
    };
    struct client_request bad[] = {
        request_create("/c", "", 0),
        request_delete("/nothing", -1),
        request_set("/a", "z", -1),
    };

    rig_ask(&rig, client, request_multi(ZK_OP_MULTI, good, 5));
    rig_ask(&rig, client, request_multi(ZK_OP_MULTI, bad, 3));
    rig_ask(&rig, client, request_multi(ZK_OP_MULTI, bad, 0));
    rig_ask(&rig, client, request_watch(ZK_OP_EXISTS, "/c", false));
    rig_expect(client, "1 multi z2 [create /a][create2 /a/b v0 c0]"
                       "[setData v1 c1][check][delete]\n"
                       "2 multi z2 [error 0][error -101][error -2]\n"
                       "3 multi z3\n"
                       "4 exists z3 -101\n");
}

Test(replica_ops, multi_read_answers_each_part)
{
    struct client_request parts[] = {
        request_watch(ZK_OP_GET_DATA, "/a", false),
        request_watch(ZK_OP_GET_DATA, "/x", false),
        request_watch(ZK_OP_GET_CHILDREN, "/a", false),
    };

    rig_make(&rig, client, "/a", "x");
    rig_make(&rig, client, "/a/b", "");
    rig_ask(&rig, client, request_multi(ZK_OP_MULTI_READ, parts, 3));
    rig_ask(&rig, client, request_multi(ZK_OP_MULTI_READ, parts, 0));
    rig_expect(client, "3 multiRead z3 [getData 'x' v0 c1][error -101]"
                       "[getChildren (b)]\n"
                       "4 multiRead z3\n");
}

Test(replica_ops, ephemerals_are_the_sessions_own)
{
    rig_make(&rig, client, "/a", "");
    rig_ask(&rig, client, request_create("/a/e", "", ZK_EPHEMERAL));
    rig_ask(&rig, client, request_create("/f", "", ZK_EPHEMERAL));
    rig_ask(&rig, client, request_create("/f/g", "", ZK_EPHEMERAL));
    rig_ask(&rig, client, request_path(ZK_OP_GET_EPHEMERALS, "/a"));
    rig_ask(&rig, client, request_path(ZK_OP_GET_EPHEMERALS, "/"));
    rig_ask(&rig, client, request_path(ZK_OP_GET_EPHEMERALS, " "));
    rig_expect(client, "2 create z3 /a/e\n"
                       "3 create z4 /f\n"
                       "4 create z4 -108\n"
                       "5 getEphemerals z4 (/a/e)\n"
                       "6 getEphemerals z4 (/a/e /f)\n"
                       "7 getEphemerals z4 (/a/e /f)\n");
}

Test(replica_ops, auth_adds_ids_and_passes_the_queue_by)
{
    rig_send(&rig, client, request_create("/a", "", ZK_PERSISTENT));
    rig_send(&rig, client, request_auth("digest", "user:password"));
    rig_expect(client, "-4 auth z0\n");
    rig_settle(&rig);
    rig_ask(&rig, client, request_plain(ZK_OP_WHO_AM_I));
    rig_expect(client, "1 create z2 /a\n"
                       "2 whoAmI z2 ip:127.0.0.1 digest:user\n");
}

Test(replica_ops, a_refused_auth_closes)
{
    rig_send(&rig, client, request_auth("no-such-scheme", "x"));
    rig_expect(client, "-4 auth z0 -115\n");
    cr_assert(client->closed);
    cr_assert_eq(rig_view(&rig).auth_failed, 1);
}

/* As Apache's server without SASL: a null token and no error. */
Test(replica_ops, sasl_gets_no_token)
{
    rig_raw(&rig, client, ZK_OP_SASL, SLICE_LITERAL("\0\0\0\1x"));
    rig_expect(client, "1 sasl z0\n");
    cr_assert(!client->closed);
}

Test(replica_ops, ping_answers_the_last_zxid_at_once)
{
    rig_send(&rig, client, request_create("/a", "", ZK_PERSISTENT));
    rig_send(&rig, client, request_plain(ZK_OP_PING));
    rig_expect(client, "-2 ping z1\n");
    rig_settle(&rig);
    rig_expect(client, "1 create z2 /a\n");
}

/* 1.13: reconfigEnabled is false unless somebody asks for it. */
Test(replica_ops, reconfig_is_disabled)
{
    rig_ask(&rig, client, request_plain(ZK_OP_RECONFIG));
    rig_expect(client, "1 reconfig z1 -123\n");
}

Test(replica_ops, what_no_client_may_send)
{
    static const int ops[] = {-10, 20, 0, -1, 13, 10, 99, 1000, INT32_MIN};

    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        rig_raw(&rig, client, ops[i], SLICE_LITERAL("\0\0\0\2/a\0\0\0\0"));
    }
    rig_ask(&rig, client, request_watch(ZK_OP_EXISTS, "/", false));
    rig_expect(client, "1 createSession z1 -8\n"
                       "2 deleteContainer z1 -8\n"
                       "3 notification z1 -6\n"
                       "4 error z1 -6\n"
                       "5 check z1 -6\n"
                       "6 unknown z1 -6\n"
                       "7 unknown z1 -6\n"
                       "8 unknown z1 -6\n"
                       "9 unknown z1 -6\n"
                       "10 exists z1 v0 c1\n");
    cr_assert(!client->closed);
}

Test(replica_ops, bodies_that_do_not_decode_get_an_error_in_their_turn)
{
    static const int ops[] = {1,  2,  3,   4,   5,   6,   7,  8,
                              9,  12, 14,  15,  16,  17,  18, 19,
                              21, 22, 101, 103, 104, 105, 106};
    char expected[2048];
    size_t len = 0;

    rig_send(&rig, client, request_create("/a", "", ZK_PERSISTENT));
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        rig_raw(&rig, client, ops[i], SLICE_LITERAL("\x7f\xff\xff\xff/"));
    }
    rig_expect(client, "");
    rig_settle(&rig);
    len += (size_t)snprintf(expected, sizeof(expected), "1 create z2 /a\n");
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        len += (size_t)snprintf(expected + len, sizeof(expected) - len,
                                "%zu %s z2 -5\n", i + 2,
                                client_op_find(ops[i])->name);
    }
    rig_expect(client, expected);
    cr_assert(!client->closed);
}

Test(replica_ops, a_request_without_a_header_closes)
{
    rig_frame(&rig, client, SLICE_LITERAL("short"));
    cr_assert(client->closed);
}

Test(replica_ops, a_null_path_of_a_read_is_malformed)
{
    static const int ops[] = {3, 4, 8, 12};

    for (size_t i = 0; i < 4; i++) {
        rig_raw(&rig, client, ops[i], SLICE_LITERAL("\xff\xff\xff\xff\0"));
    }
    rig_raw(&rig, client, 6, SLICE_LITERAL("\xff\xff\xff\xff"));
    rig_expect(client, "1 exists z1 -5\n"
                       "2 getData z1 -5\n"
                       "3 getChildren z1 -5\n"
                       "4 getChildren2 z1 -5\n"
                       "5 getACL z1 -5\n");
}

Test(replica_ops, exists_with_a_nul_is_a_bad_argument)
{
    rig_raw(&rig, client, 3, SLICE_LITERAL("\0\0\0\3/\0b\0"));
    rig_expect(client, "1 exists z1 -8\n");
}

Test(replica_ops, acl_guards_reads_and_get_acl_hides_hashes)
{
    static const struct zk_acl secret[] = {
        {ZK_PERM_READ,
         {{(const uint8_t *)"digest", 6},
          {(const uint8_t *)"user:tpUq/4Pn5A64fVZyQ0gOJ8ZWqkY=", 33}}}};
    struct client_request request = request_create("/s", "x", 0);
    struct test_client *other = rig_connect(&rig);

    request.create.acl = secret;
    rig_ask(&rig, client, request);
    rig_ask(&rig, client, request_watch(ZK_OP_GET_DATA, "/s", true));
    rig_ask(&rig, client, request_watch(ZK_OP_EXISTS, "/s", true));
    rig_ask(&rig, client, request_watch(ZK_OP_GET_CHILDREN, "/s", true));
    rig_ask(&rig, client, request_path(ZK_OP_GET_ALL_CHILDREN_NUMBER, "/s"));
    rig_ask(&rig, client, request_path(ZK_OP_GET_ACL, "/s"));
    rig_ask(&rig, client, request_set("/s", "y", -1));
    rig_expect(client, "1 create z3 /s\n"
                       "2 getData z3 -102\n"
                       "3 exists z3 -102\n"
                       "4 getChildren z3 -102\n"
                       "5 getAllChildrenNumber z3 -102\n"
                       "6 getACL z3 -102\n"
                       "7 setData z3 -102\n");
    cr_assert_eq(rig_view(&rig).watches, 0);
    rig_ask(&rig, other, request_auth("digest", "user:password"));
    rig_ask(&rig, other, request_watch(ZK_OP_GET_DATA, "/s", false));
    rig_ask(&rig, other, request_path(ZK_OP_GET_ACL, "/s"));
    rig_expect(other, "-4 auth z0\n"
                      "1 getData z3 'x' v0 c0\n"
                      "2 getACL z3 1:digest:user:x v0 c0\n");
}

Test(replica_ops, close_session_answers_then_closes)
{
    struct test_client *other = rig_connect(&rig);

    rig_ask(&rig, client, request_create("/e", "", ZK_EPHEMERAL));
    rig_ask(&rig, other, request_watch(ZK_OP_EXISTS, "/e", true));
    rig_send(&rig, client, request_plain(ZK_OP_CLOSE_SESSION));
    rig_send(&rig, client, request_create("/after", "", ZK_PERSISTENT));
    rig_settle(&rig);
    rig_expect(client, "1 create z3 /e\n2 closeSession z4\n");
    cr_assert(client->closed);
    rig_expect(other, "1 exists z3 v0 c0\nevent deleted /e z4\n");
    rig_ask(&rig, other, request_watch(ZK_OP_EXISTS, "/after", false));
    rig_expect(other, "2 exists z4 -101\n");
    cr_assert_eq(rig_view(&rig).sessions, 1);
    cr_assert_eq(rig_view(&rig).ephemerals, 0);
    cr_assert_eq(rig_view(&rig).outstanding, 0);
}
