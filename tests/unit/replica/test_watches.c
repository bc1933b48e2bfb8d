#include <criterion/criterion.h>

#include "tests/unit/replica/rig.h"

static struct rig rig;
static struct test_client *client, *other;

static void begin(void)
{
    rig_init(&rig);
    rig_serve(&rig);
    client = rig_connect(&rig);
    other = rig_connect(&rig); /* z2 */
}

static void end(void)
{
    rig_finish(&rig);
}

TestSuite(replica_watches, .init = begin, .fini = end);

static struct client_request set_watches(enum zk_op op, zxid_t seen)
{
    static const struct slice data[] = {{(const uint8_t *)"/a", 2},
                                        {(const uint8_t *)"/gone", 5}};
    static const struct slice exist[] = {{(const uint8_t *)"/b", 2},
                                         {(const uint8_t *)"/later", 6}};
    static const struct slice child[] = {{(const uint8_t *)"/a", 2}};
    static const struct slice persistent[] = {{(const uint8_t *)"/p", 2}};
    static const struct slice recursive[] = {{(const uint8_t *)"/r", 2}};

    return (struct client_request){
        .op = op,
        .set_watches = {.relative_zxid = seen,
                        .data = data,
                        .data_count = 2,
                        .exist = exist,
                        .exist_count = 2,
                        .child = child,
                        .child_count = 1,
                        .persistent = persistent,
                        .persistent_count = op == ZK_OP_SET_WATCHES2,
                        .recursive = recursive,
                        .recursive_count = op == ZK_OP_SET_WATCHES2}};
}

/* 2.12: a client is told of its own change before it gets the answer. */
Test(replica_watches, the_event_comes_before_the_answer_of_the_own_write)
{
    rig_ask(&rig, client, request_watch(ZK_OP_EXISTS, "/a", true));
    rig_ask(&rig, client, request_watch(ZK_OP_GET_CHILDREN, "/", true));
    rig_ask(&rig, client, request_create("/a", "", ZK_PERSISTENT));
    rig_expect(client, "1 exists z2 -101\n"
                       "2 getChildren z2 (zookeeper)\n"
                       "event created /a z3\n"
                       "event children / z3\n"
                       "3 create z3 /a\n");
}

Test(replica_watches, the_event_comes_before_a_read_that_shows_the_change)
{
    rig_make(&rig, other, "/a", "1");
    rig_ask(&rig, client, request_watch(ZK_OP_GET_DATA, "/a", true));
    rig_send(&rig, other, request_set("/a", "2", -1));
    rig_disk(&rig);
    rig_send(&rig, client, request_watch(ZK_OP_GET_DATA, "/a", false));
    rig_expect(client, "1 getData z3 '1' v0 c0\n"
                       "event changed /a z4\n"
                       "2 getData z4 '2' v1 c0\n");
}

Test(replica_watches, one_shot_fires_once)
{
    rig_make(&rig, other, "/a", "1");
    rig_ask(&rig, client, request_watch(ZK_OP_GET_DATA, "/a", true));
    rig_ask(&rig, other, request_set("/a", "2", -1));
    rig_ask(&rig, other, request_set("/a", "3", -1));
    rig_expect(client, "1 getData z3 '1' v0 c0\nevent changed /a z4\n");
    cr_assert_eq(rig_view(&rig).watches, 0);
}

Test(replica_watches, persistent_kinds_stay)
{
    rig_ask(&rig, client, request_type(ZK_OP_ADD_WATCH, "/a", 0));
    rig_ask(&rig, client, request_type(ZK_OP_ADD_WATCH, "/a", 1));
    rig_ask(&rig, client, request_type(ZK_OP_ADD_WATCH, "/a", 2));
    rig_make(&rig, other, "/a", "");
    rig_make(&rig, other, "/a/b", "");
    rig_ask(&rig, other, request_delete("/a/b", -1));
    rig_expect(client, "1 addWatch z2 0\n"
                       "2 addWatch z2 0\n"
                       "3 addWatch z2 -5\n"
                       "event created /a z3\n"
                       "event created /a/b z4\n"
                       "event children /a z4\n"
                       "event deleted /a/b z5\n"
                       "event children /a z5\n");
}

Test(replica_watches, check_and_remove)
{
    rig_make(&rig, other, "/a", "");
    rig_ask(&rig, client, request_watch(ZK_OP_GET_DATA, "/a", true));
    rig_ask(&rig, client, request_type(ZK_OP_CHECK_WATCHES, "/a", 2));
    rig_ask(&rig, client, request_type(ZK_OP_CHECK_WATCHES, "/a", 1));
    rig_ask(&rig, client, request_type(ZK_OP_REMOVE_WATCHES, "/a", 3));
    rig_ask(&rig, client, request_type(ZK_OP_REMOVE_WATCHES, "/a", 3));
    rig_ask(&rig, client, request_type(ZK_OP_REMOVE_WATCHES, "/a", 6));
    rig_ask(&rig, other, request_set("/a", "", -1));
    rig_expect(client, "1 getData z3 '' v0 c0\n"
                       "2 checkWatches z3\n"
                       "3 checkWatches z3 -121\n"
                       "4 removeWatches z3\n"
                       "5 removeWatches z3 -121\n"
                       "6 removeWatches z3 -5\n");
}

Test(replica_watches, set_watches_tells_what_was_missed_before_its_answer)
{
    rig_make(&rig, other, "/a", "");   /* z3 */
    rig_make(&rig, other, "/b", "");   /* z4 */
    rig_make(&rig, other, "/a/c", ""); /* z5 */
    rig_ask(&rig, client, set_watches(ZK_OP_SET_WATCHES2, zxid_make(1, 3)));
    rig_expect(client, "event deleted /gone z-1\n"
                       "event created /b z-1\n"
                       "event children /a z-1\n"
                       "-8 setWatches2 z5\n");
    /* /a, /later, /r, and /p in both of ZooKeeper's tables. */
    cr_assert_eq(rig_view(&rig).watches, 5);
    rig_ask(&rig, other, request_set("/a", "x", -1));
    rig_make(&rig, other, "/later", "");
    rig_make(&rig, other, "/p", "");
    rig_make(&rig, other, "/r", "");
    rig_expect(client, "event changed /a z6\n"
                       "event created /later z7\n"
                       "event created /p z8\n"
                       "event created /r z9\n");
}

/* SCENARIOS 61: a client that is ahead is told nothing. */
Test(replica_watches, set_watches_from_ahead_sets_them_all)
{
    rig_make(&rig, other, "/a", "");
    rig_ask(&rig, client, set_watches(ZK_OP_SET_WATCHES, zxid_make(7, 0)));
    rig_expect(client, "event deleted /gone z-1\n-8 setWatches z3\n");
    cr_assert_eq(rig_view(&rig).watches, 4);
}

Test(replica_watches, set_watches_waits_its_turn)
{
    rig_make(&rig, other, "/a", "");
    rig_send(&rig, client, request_create("/b", "", ZK_PERSISTENT));
    rig_send(&rig, client, set_watches(ZK_OP_SET_WATCHES, zxid_make(1, 3)));
    rig_expect(client, "");
    rig_settle(&rig);
    rig_expect(client, "1 create z4 /b\n"
                       "event deleted /gone z-1\n"
                       "event created /b z-1\n"
                       "-8 setWatches z4\n");
}

/* CVE-2024-23944 */
Test(replica_watches, who_may_not_read_is_not_told)
{
    static const struct zk_acl secret[] = {
        {ZK_PERM_ALL,
         {{(const uint8_t *)"digest", 6},
          {(const uint8_t *)"user:tpUq/4Pn5A64fVZyQ0gOJ8ZWqkY=", 33}}}};
    struct client_request request = request_create("/a/s", "", 0);

    rig_make(&rig, other, "/a", "");
    rig_ask(&rig, other, request_auth("digest", "user:password"));
    rig_ask(&rig, client, request_type(ZK_OP_ADD_WATCH, "/a", 1));
    rig_ask(&rig, other, request_type(ZK_OP_ADD_WATCH, "/a", 1));
    request.create.acl = secret;
    rig_ask(&rig, other, request);
    rig_ask(&rig, other, request_delete("/a/s", -1));
    rig_expect(client, "1 addWatch z3 0\n");
    rig_expect(other, "-4 auth z0\n"
                      "2 addWatch z3 0\n"
                      "event created /a/s z4\n"
                      "3 create z4 /a/s\n"
                      "event deleted /a/s z5\n"
                      "4 delete z5\n");
}

Test(replica_watches, they_go_with_their_connection)
{
    rig_ask(&rig, client, request_watch(ZK_OP_EXISTS, "/a", true));
    rig_hang_up(&rig, client);
    cr_assert_eq(rig_view(&rig).watches, 0);
    rig_resume(&rig, client);
    rig_settle(&rig);
    rig_make(&rig, other, "/a", "");
    rig_expect(client, "1 exists z2 -101\nsession 10000\n");
}

Test(replica_watches, one_change_tells_each_connection_once)
{
    rig_make(&rig, other, "/a", "");
    rig_ask(&rig, client, request_watch(ZK_OP_GET_DATA, "/a", true));
    rig_ask(&rig, client, request_watch(ZK_OP_GET_CHILDREN, "/a", true));
    rig_ask(&rig, client, request_type(ZK_OP_ADD_WATCH, "/a", 0));
    rig_ask(&rig, client, request_type(ZK_OP_ADD_WATCH, "/", 1));
    buf_clear(&client->text);
    rig_ask(&rig, other, request_delete("/a", -1));
    rig_expect(client, "event deleted /a z4\n");
}

Test(replica_watches, a_multi_tells_all_its_events_before_its_answer)
{
    struct client_request ops[] = {request_create("/a", "", 0),
                                   request_set("/a", "x", -1),
                                   request_delete("/a", -1)};

    rig_ask(&rig, client, request_type(ZK_OP_ADD_WATCH, "/a", 0));
    rig_ask(&rig, client, request_multi(ZK_OP_MULTI, ops, 3));
    rig_expect(client, "1 addWatch z2 0\n"
                       "event created /a z3\n"
                       "event changed /a z3\n"
                       "event deleted /a z3\n"
                       "2 multi z3 [create /a][setData v1 c0][delete]\n");
}

Test(replica_watches, nulls_among_set_watches_are_malformed)
{
    rig_raw(&rig, client, ZK_OP_SET_WATCHES,
            SLICE_LITERAL("\0\0\0\0\0\0\0\0\xff\xff\xff\xff\0\0\0\0"
                          "\0\0\0\0"));
    rig_raw(&rig, client, ZK_OP_SET_WATCHES,
            SLICE_LITERAL("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                          "\0\0\0\1\xff\xff\xff\xff"));
    rig_raw(&rig, client, ZK_OP_SET_WATCHES,
            SLICE_LITERAL("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                          "\0\0\0\0"));
    rig_expect(client, "1 setWatches z2 -5\n"
                       "2 setWatches z2 -5\n"
                       "3 setWatches z2\n");
}
