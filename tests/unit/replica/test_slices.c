/* Long work goes in slices: every step is bounded, pings are answered between
 * them, nobody sees half of a txn. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/mem.h"
#include "tests/unit/replica/rig.h"

#define MANY 100000

static struct rig rig;
static struct test_client *client, *other;

static void begin(void)
{
    rig_init(&rig);
    rig.config.frame_size_max = 8 * 1024 * 1024;
    rig_serve(&rig);
    client = rig_connect(&rig);
    other = rig_connect(&rig);
    client->quiet = true;
}

static void end(void)
{
    rig_finish(&rig);
}

TestSuite(replica_slices, .init = begin, .fini = end);

static void fill(const char *parent, int count, int32_t flags)
{
    char path[64];

    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "%s/n%06d", parent, i);
        rig_send(&rig, client, request_create(path, "", flags));
        if (i % 500 == 499) {
            rig_settle(&rig);
        }
    }
    rig_settle(&rig);
    cr_assert_eq(client->asked_count, 0);
}

/* Steps of CONTINUE until all is done. */
static size_t go_on(void)
{
    size_t steps = rig.steps;

    while (replica_has_work(rig.replica)) {
        rig_continue(&rig);
    }
    return rig.steps - steps;
}

Test(replica_slices, a_session_with_many_ephemerals_closes)
{
    fill("", MANY, ZK_EPHEMERAL);
    rig_pass(&rig, 1500); /* its checkpoint is not in the way */
    rig_send(&rig, client, request_plain(ZK_OP_CLOSE_SESSION));
    rig_disk(&rig);
    cr_assert(replica_has_work(rig.replica));
    /* Half of them are gone: reads wait, pings do not. */
    rig_continue(&rig);
    rig_send(&rig, other, request_watch(ZK_OP_GET_CHILDREN, "/", false));
    rig_send(&rig, other, request_plain(ZK_OP_PING));
    rig_expect(other, "-2 ping z100002\n");
    cr_assert(other->paused);
    cr_assert(!client->closed);
    cr_assert_gt(go_on(), 50);
    rig_settle(&rig);
    rig_expect(other, "1 getChildren z100003 (zookeeper)\n");
    cr_assert(!other->paused);
    cr_assert(client->closed);
    cr_assert_eq(rig_view(&rig).ephemerals, 0);
}

/* Clients take what they have seen from every header, and say it when they
 * connect again: to another server, perhaps, that has not seen the event. */
Test(replica_slices, no_ping_is_older_than_the_events_before_it)
{
    fill("", 20000, ZK_EPHEMERAL);
    rig_pass(&rig, 1500);
    rig_ask(&rig, other, request_type(ZK_OP_ADD_WATCH, "/", 1));
    buf_clear(&other->text);
    other->quiet = true;
    rig_send(&rig, client, request_plain(ZK_OP_CLOSE_SESSION));
    rig_disk(&rig);
    while (other->events == 0) {
        rig_continue(&rig);
    }
    cr_assert(replica_has_work(rig.replica));
    other->quiet = false;
    rig_send(&rig, other, request_plain(ZK_OP_PING));
    rig_expect(other, "-2 ping z20003\n");
    other->quiet = true;
    rig_settle(&rig);
}

/* The tick must not prepare anything against half of a txn either. */
Test(replica_slices, a_session_expires_while_another_closes)
{
    fill("", 20000, ZK_EPHEMERAL);
    rig_pass(&rig, 1500);
    rig_send(&rig, client, request_plain(ZK_OP_CLOSE_SESSION));
    rig_disk(&rig);
    cr_assert(replica_has_work(rig.replica));
    rig.now_ms += 20000;
    rig_tick(&rig, 0);
    rig_tick(&rig, 0);
    go_on();
    rig_settle(&rig);
    rig_pass(&rig, 100);
    cr_assert_eq(rig_view(&rig).sessions, 0);
}

Test(replica_slices, a_long_list_of_children)
{
    struct test_client *third = rig_connect(&rig);

    rig_make(&rig, other, "/p", "");
    fill("/p", 30000, ZK_PERSISTENT);
    rig_send(&rig, client, request_watch(ZK_OP_GET_CHILDREN2, "/p", true));
    cr_assert(replica_has_work(rig.replica));
    /* The tree stands still: short reads go on, writes wait. */
    rig_send(&rig, other, request_watch(ZK_OP_EXISTS, "/p", false));
    rig_expect(other, "2 exists z30004 v0 c30000\n");
    rig_send(&rig, other, request_create("/p/late", "", ZK_PERSISTENT));
    while (rig_disk(&rig)) {
    }
    rig_expect(other, "");
    /* A second one waits for the first and for the write. */
    third->quiet = true;
    rig_send(&rig, third, request_watch(ZK_OP_GET_CHILDREN, "/p", false));
    client->quiet = false;
    cr_assert_gt(go_on(), 4);
    rig_settle(&rig);
    cr_assert_eq(third->answers, 1);
    cr_assert_not_null(memmem(client->text.data, client->text.len,
                              "n029999) v0 c30000\nevent children /p z30005\n",
                              43));
    rig_expect(other, "3 create z30005 /p/late\n");
}

Test(replica_slices, lists_as_long_as_the_limit_give_the_same_answer)
{
    char *all;

    rig_make(&rig, other, "/p", "");
    fill("/p", 10001, ZK_PERSISTENT);
    rig_ask(&rig, other, request_watch(ZK_OP_GET_CHILDREN, "/p", false));
    buf_append(&other->text, SLICE_LITERAL("\0"));
    all = mem_copy_text(strchr((char *)other->text.data, '('));
    buf_clear(&other->text);
    rig_ask(&rig, other, request_delete("/p/n010000", -1));
    rig_ask(&rig, other, request_watch(ZK_OP_GET_CHILDREN, "/p", false));
    buf_append(&other->text, SLICE_LITERAL("\0"));
    cr_assert_eq(strncmp(strchr((char *)other->text.data, '('), all, 10000 * 8),
                 0);
    mem_free(all);
}

Test(replica_slices, a_list_over_the_limit_is_an_error)
{
    rig_make(&rig, other, "/p", "");
    fill("/p", 12000, ZK_PERSISTENT);
    rig_crash(&rig, 0);
    rig.config.reply_size_max = 100000;
    rig_serve(&rig);
    rig_resume(&rig, other);
    rig_settle(&rig);
    buf_clear(&other->text);
    rig_ask(&rig, other, request_watch(ZK_OP_GET_CHILDREN, "/p", true));
    rig_expect(other, "2 getChildren z12003 -5\n");
    rig_expect_log(&rig, "reply_too_big");
    rig_expect_log(&rig, "path=\"/p\"");
    cr_assert_eq(rig_view(&rig).watches, 0);
}

Test(replica_slices, many_descendants_are_counted)
{
    rig_make(&rig, other, "/p", "");
    rig_make(&rig, other, "/p/q", "");
    fill("/p/q", 30000, ZK_PERSISTENT);
    rig_send(&rig, other, request_path(ZK_OP_GET_ALL_CHILDREN_NUMBER, "/p"));
    cr_assert_gt(go_on(), 2);
    rig_settle(&rig);
    rig_expect(other, "3 getAllChildrenNumber z30004 30001\n");
}

Test(replica_slices, many_ephemerals_are_listed)
{
    fill("", 20000, ZK_EPHEMERAL);
    client->answers = 0;
    rig_send(&rig, client, request_path(ZK_OP_GET_EPHEMERALS, "/n00"));
    client->quiet = false;
    cr_assert_gt(go_on(), 1);
    rig_settle(&rig);
    cr_assert_not_null(
        memmem(client->text.data, client->text.len, "/n009999)", 9));
}

Test(replica_slices, a_long_multi_read)
{
    static struct client_request parts[3000];

    rig_make(&rig, other, "/p", "");
    fill("/p", 5000, ZK_PERSISTENT);
    for (int i = 0; i < 3000; i++) {
        parts[i] =
            request_watch(ZK_OP_GET_DATA, i % 2 == 0 ? "/p" : "/x", false);
    }
    parts[1000] = request_watch(ZK_OP_GET_CHILDREN, "/p", false);
    parts[2000] = request_watch(ZK_OP_GET_CHILDREN, "/", false);
    rig_send(&rig, other, request_multi(ZK_OP_MULTI_READ, parts, 3000));
    cr_assert_gt(go_on(), 1);
    rig_settle(&rig);
    cr_assert_not_null(memmem(other->text.data, other->text.len,
                              "n004999)][error -101][getData '' v0 c5000]",
                              42));
    cr_assert_not_null(memmem(other->text.data, other->text.len,
                              "[getChildren (p zookeeper)]", 27));
    cr_assert_eq(other->asked_count, 0);
}

/* ZOOKEEPER-706 */
Test(replica_slices, set_watches_of_many_paths)
{
    struct slice *paths = MEM_ARRAY(struct slice, MANY);
    char *text = mem_alloc(MANY * 12);
    struct client_request request = {.op = ZK_OP_SET_WATCHES2};

    for (int i = 0; i < MANY; i++) {
        snprintf(text + i * 12, 12, "/w%06d", i);
        paths[i] = slice_from_text(text + i * 12);
    }
    request.set_watches.relative_zxid = zxid_make(1, 1);
    request.set_watches.data = paths; /* empty, not null */
    request.set_watches.child = paths;
    request.set_watches.persistent = paths;
    request.set_watches.recursive = paths;
    request.set_watches.exist = paths;
    request.set_watches.exist_count = MANY;
    rig_make(&rig, other, "/w000007", "");
    rig_make(&rig, other, "/w099999", "");
    rig_send(&rig, client, request);
    cr_assert_gt(go_on(), 50);
    rig_settle(&rig);
    cr_assert_eq(client->events, 2);
    cr_assert_eq(client->answers, 1);
    cr_assert_eq(rig_view(&rig).watches, MANY - 2);
    /* And they go in slices too. */
    rig_hang_up(&rig, client);
    cr_assert_gt(go_on(), 20);
    cr_assert_eq(rig_view(&rig).watches, 0);
    mem_free(paths);
    mem_free(text);
}

Test(replica_slices, a_long_read_dies_with_its_connection)
{
    rig_make(&rig, other, "/p", "");
    fill("/p", 30000, ZK_PERSISTENT);
    rig_send(&rig, client, request_watch(ZK_OP_GET_CHILDREN, "/p", false));
    rig_continue(&rig);
    rig_hang_up(&rig, client);
    rig_settle(&rig);
    rig_make(&rig, other, "/q", "");
    cr_assert_eq(rig_view(&rig).outstanding, 0);
}

Test(replica_slices, one_change_tells_many_connections)
{
    struct test_client many;

    test_client_init(&many, 0);
    for (int i = 0; i < 10000; i++) {
        rig_reopen(&rig, &many);
        many.session_id = 0;
        rig_handshake(&rig, &many);
        rig_settle(&rig);
        test_client_request(
            &many,
            &(struct client_request){.op = ZK_OP_EXISTS,
                                     .path_watch = {SLICE_LITERAL("/x"), true}},
            &rig.frame);
        rig_frame(&rig, &many, buf_bytes(&rig.frame));
    }
    rig_ask(&rig, other, request_watch(ZK_OP_EXISTS, "/x", true));
    cr_assert_eq(rig_view(&rig).watches, 10001);
    rig.effects_max = 0;
    rig_send(&rig, other, request_create("/x", "", ZK_PERSISTENT));
    rig_disk(&rig);
    /* Some know, some not: nobody reads what is not told to all. */
    rig_send(&rig, client, request_watch(ZK_OP_EXISTS, "/x", false));
    cr_assert_eq(client->answers, 0);
    cr_assert_gt(go_on(), 1);
    rig_settle(&rig);
    cr_assert_eq(client->answers, 1);
    cr_assert_eq(other->events, 1);
    cr_assert_lt(rig.effects_max, 5000);
    rig_expect(other, "1 exists z10002 -101\n"
                      "event created /x z10003\n"
                      "2 create z10003 /x\n");
    test_client_finish(&many);
}

Test(replica_slices, a_checkpoint_is_taken_between_deliveries)
{
    struct inspect_server view;

    rig_crash(&rig, 0);
    rig.config.checkpoint_records = 100000;
    rig.config.checkpoint_bytes = UINT32_MAX;
    rig_serve(&rig);
    rig_resume(&rig, client);
    rig_settle(&rig);
    fill("", 20000, ZK_PERSISTENT);
    rig.now_ms += 2000;
    rig_tick(&rig, 0);
    cr_assert(replica_has_work(rig.replica));
    /* Meanwhile reads are answered and writes proposed. */
    rig_resume(&rig, other);
    rig_send(&rig, other, request_create("/late", "", ZK_PERSISTENT));
    cr_assert_gt(go_on(), 10);
    rig_settle(&rig);
    rig_expect(other, "session 10000\n1 create z20001 /late\n");
    view = rig_view(&rig);
    rig_restart(&rig);
    cr_assert_eq(rig_view(&rig).tree_digest, view.tree_digest);
}

/* inspect.h: a walk over many turns of the loop sees one state. */
Test(replica_slices, a_hold_stops_the_world_but_pings)
{
    rig_send(&rig, other, request_create("/a", "", ZK_PERSISTENT));
    inspect_hold(rig.replica);
    rig_settle(&rig);
    rig_send(&rig, other, request_plain(ZK_OP_PING));
    rig_send(&rig, client, request_watch(ZK_OP_EXISTS, "/a", true));
    rig_tick(&rig, 0);
    rig_settle(&rig);
    rig_expect(other, "-2 ping z2\n");
    cr_assert_eq(client->answers, 0);
    cr_assert(!replica_has_work(rig.replica));
    inspect_release(rig.replica);
    cr_assert(replica_has_work(rig.replica));
    rig_settle(&rig);
    rig_expect(other, "1 create z3 /a\n");
    cr_assert_eq(client->answers, 1);
}

static char *letters(size_t count)
{
    char *text = mem_alloc(count + 1);

    memset(text, 'x', count);
    text[count] = '\0';
    return text;
}

/* Else the checkpoints of a disk that is slower than its writers would grow
 * until the memory ends. */
Test(replica_slices, deliveries_wait_for_a_checkpoint_far_behind)
{
    enum { NODES = 50 };
    char *megabyte = letters(1000000);
    char path[64];
    int log_ops = 0;

    fill("", NODES, ZK_PERSISTENT);
    rig_pass(&rig, 1500);
    client->answers = 0;
    for (int i = 0; i < NODES; i++) {
        snprintf(path, sizeof(path), "/n%06d", i);
        rig_send(&rig, client, request_set(path, megabyte, -1));
    }
    /* The log goes on, as it does on a disk; the checkpoint does not. */
    for (; log_ops < NODES; log_ops++) {
        cr_assert(rig_disk(&rig));
        go_on();
    }
    cr_assert_gt(client->answers, 30);
    cr_assert_lt(client->answers, 40);
    cr_assert(!replica_has_work(rig.replica));
    rig_send(&rig, other, request_watch(ZK_OP_EXISTS, "/", false));
    cr_assert_eq(other->answers, 1); /* reads go on */
    rig_settle(&rig);
    cr_assert_eq(client->answers, NODES);
    cr_assert_eq(client->asked_count, 0);
    mem_free(megabyte);
}

Test(replica_slices, large_data_have_a_step_of_their_own)
{
    char *text = letters(4000000);

    rig_finish(&rig);
    rig_init(&rig);
    rig.config.frame_size_max = 8 * 1024 * 1024;
    rig.config.checkpoint_bytes = UINT32_MAX; /* no checkpoint between them */
    rig_serve(&rig);
    client = rig_connect(&rig);
    rig_make(&rig, client, "/n", "");
    rig_send(&rig, client, request_set("/n", text, -1));
    rig_send(&rig, client, request_set("/n", text, -1));
    rig_disk(&rig);
    cr_assert(replica_has_work(rig.replica)); /* before it looks for more */
    rig_settle(&rig);
    cr_assert_eq(client->asked_count, 0);
    mem_free(text);
}
