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

TestSuite(replica_inspect, .init = begin, .fini = end);

static uint64_t count_of(const struct inspect_server *view, const char *op)
{
    for (size_t i = 0; i < view->ops_count; i++) {
        if (strcmp(view->ops[i].name, op) == 0) {
            return view->ops[i].count;
        }
    }
    cr_assert_fail("no op %s", op);
    return 0;
}

Test(replica_inspect, the_server_counts_what_it_does)
{
    struct inspect_server view;

    rig_send(&rig, client, request_create("/a", "xyz", ZK_EPHEMERAL));
    rig.now_ms += 7;
    rig_settle(&rig);
    rig_ask(&rig, client, request_watch(ZK_OP_GET_DATA, "/a", true));
    rig_ask(&rig, client, request_watch(ZK_OP_GET_CHILDREN, "/", true));
    rig_send(&rig, client, request_plain(ZK_OP_PING));
    view = rig_view(&rig);
    cr_assert_eq(view.role, ZAB_LEADING);
    cr_assert(view.serving && view.standalone && !view.disk_low);
    cr_assert_eq(view.epoch, 1);
    cr_assert_eq(view.zxid, zxid_make(1, 2));
    cr_assert_eq(view.received, 5);
    cr_assert_eq(view.sent, 5);
    cr_assert_eq(view.connections, 1);
    cr_assert_eq(view.sessions, 1);
    cr_assert_eq(view.znodes, 6);
    cr_assert_eq(view.ephemerals, 1);
    cr_assert_eq(view.watches, 2);
    cr_assert_eq(view.watches_data, 1);
    cr_assert_eq(view.watch_paths, 1);
    cr_assert_eq(view.watch_conns, 1);
    cr_assert_eq(view.requests, 5);
    cr_assert_eq(view.latency_ms_min, 0);
    cr_assert_eq(view.latency_ms_max, 7);
    cr_assert_float_eq(view.latency_ms_avg, 7.0 / 5, 0.001);
    cr_assert_eq(view.uptime_ms, 7);
    cr_assert_eq(count_of(&view, "create"), 1);
    cr_assert_eq(count_of(&view, "get_data"), 1);
    cr_assert_eq(count_of(&view, "create_session"), 1);
    cr_assert_eq(count_of(&view, "ping"), 1);
    cr_assert_eq(count_of(&view, "get_all_children_number"), 0);
}

Test(replica_inspect, srst_and_crst)
{
    struct replica_input reset = {.type = REPLICA_RESET_STATS};
    struct inspect_conn conn;

    rig_ask(&rig, client, request_watch(ZK_OP_EXISTS, "/", false));
    rig_step(&rig, &reset);
    cr_assert_eq(rig_view(&rig).received, 0);
    cr_assert_eq(rig_view(&rig).requests, 0);
    cr_assert(inspect_conn_find(rig.replica, client->conn_id, &conn));
    cr_assert_eq(conn.received, 2);
    reset.conn_id = 1;
    rig_step(&rig, &reset);
    cr_assert(inspect_conn_find(rig.replica, client->conn_id, &conn));
    cr_assert_eq(conn.received, 0);
}

Test(replica_inspect, connections_are_seen_in_order)
{
    struct test_client *second = rig_connect(&rig);
    struct test_client *third = rig_open(&rig);
    struct inspect_conn conn;
    uint64_t cursor = 0;

    rig_ask(&rig, client, request_create("/a", "", ZK_PERSISTENT));
    cr_assert(inspect_conn_next(rig.replica, &cursor, &conn));
    cr_assert_eq(conn.conn_id, client->conn_id);
    cr_assert_eq(conn.session_id, client->session_id);
    cr_assert_eq(conn.received, 2);
    cr_assert_eq(conn.sent, 2);
    cr_assert_eq(conn.timeout_ms, 10000);
    cr_assert_eq(conn.last_cxid, 1);
    cr_assert_eq(conn.last_zxid, zxid_make(1, 3));
    cr_assert_str_eq(conn.last_op, "CREA");
    /* The walk goes on when the one it stands on has gone. */
    rig_hang_up(&rig, client);
    cr_assert(inspect_conn_next(rig.replica, &cursor, &conn));
    cr_assert_eq(conn.conn_id, second->conn_id);
    cr_assert_str_eq(conn.last_op, "SESS");
    cr_assert(inspect_conn_next(rig.replica, &cursor, &conn));
    cr_assert_eq(conn.conn_id, third->conn_id);
    cr_assert_eq(conn.session_id, 0);
    cr_assert_str_eq(conn.last_op, "NA");
    cr_assert(!inspect_conn_next(rig.replica, &cursor, &conn));
    cr_assert(!inspect_conn_find(rig.replica, client->conn_id, &conn));
}

Test(replica_inspect, sessions_and_their_ephemerals)
{
    struct inspect_session session;
    struct arena *arena = arena_create(256);
    uint64_t cursor = 0, id = 0;
    const void *at = NULL;
    struct slice path;

    rig_ask(&rig, client, request_create("/e", "", ZK_EPHEMERAL));
    rig_ask(&rig, client, request_create("/f", "", ZK_EPHEMERAL));
    rig_connect(&rig);
    cr_assert(inspect_session_next(rig.replica, &cursor, &session));
    cr_assert_eq(session.id, client->session_id);
    cr_assert_eq(session.conn_id, client->conn_id);
    cr_assert_eq(session.timeout_ms, 10000);
    cr_assert_geq(session.deadline_ms, rig.now_ms + 10000);
    cr_assert(inspect_session_next(rig.replica, &cursor, &session));
    cr_assert(!inspect_session_next(rig.replica, &cursor, &session));
    cr_assert_eq(inspect_ephemeral_sessions_count(rig.replica), 1);
    cr_assert(inspect_ephemeral_session_next(rig.replica, &id));
    cr_assert_eq(id, client->session_id);
    cr_assert(inspect_ephemeral_next(rig.replica, id, &at, arena, &path));
    cr_assert(slice_equal_text(path, "/e"));
    cr_assert(inspect_ephemeral_next(rig.replica, id, &at, arena, &path));
    cr_assert(slice_equal_text(path, "/f"));
    cr_assert(!inspect_ephemeral_next(rig.replica, id, &at, arena, &path));
    cr_assert(!inspect_ephemeral_session_next(rig.replica, &id));
    arena_destroy(arena);
}

Test(replica_inspect, watches_are_walked_both_ways)
{
    struct inspect_watch watch;

    rig_ask(&rig, client, request_watch(ZK_OP_EXISTS, "/a", true));
    rig_ask(&rig, client, request_watch(ZK_OP_EXISTS, "/b", true));
    for (int by_path = 0; by_path < 2; by_path++) {
        const void *cursor = NULL;
        size_t count = 0;

        while (inspect_watch_next(rig.replica, by_path != 0, &cursor, &watch)) {
            cr_assert_eq(watch.session_id, client->session_id);
            count++;
        }
        cr_assert_eq(count, 2);
    }
}

Test(replica_inspect, one_digest_in_128_txns_and_1024_of_them)
{
    const struct inspect_digest *digests;

    client->quiet = true;
    cr_assert_eq(inspect_digests(rig.replica, &digests), 0);
    for (int i = 0; i < 300; i++) {
        rig_ask(&rig, client, request_set("/", "", -1));
    }
    cr_assert_eq(inspect_digests(rig.replica, &digests), 2);
    cr_assert_eq(digests[0].zxid, zxid_make(1, 128));
    cr_assert_eq(digests[1].zxid, zxid_make(1, 256));
    for (int i = 0; i < 131072; i++) {
        rig_send(&rig, client, request_set("/", "", -1));
        if (i % 500 == 0) {
            rig_settle(&rig);
        }
    }
    rig_settle(&rig);
    cr_assert_eq(inspect_digests(rig.replica, &digests), 1024);
    cr_assert_eq(digests[1023].digest != 0, true);
    cr_assert_eq(zxid_counter(digests[1023].zxid) -
                     zxid_counter(digests[0].zxid),
                 1023 * 128);
}

Test(replica_inspect, outstanding_is_what_has_no_answer_yet)
{
    rig_send(&rig, client, request_set("/", "", -1));
    rig_send(&rig, client, request_watch(ZK_OP_EXISTS, "/", false));
    cr_assert_eq(rig_view(&rig).outstanding, 2);
    rig_settle(&rig);
    cr_assert_eq(rig_view(&rig).outstanding, 0);
}
