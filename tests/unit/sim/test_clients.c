/* Clients find what they may not be answered. The server is made by hand. */
#include <criterion/criterion.h>

#include "base/bytes.h"
#include "tests/unit/sim/rig.h"

#define SESSION UINT64_C(0x0100000100000001)
#define Z(counter) zxid_make(1, (counter))
#define CONN rig.sim.last_conn

static struct rig rig;
static uint8_t password[16] = {9, 8, 7};

static void answer_session(uint64_t id)
{
    struct zk_connect_response response = {
        .timeout = 1000,
        .session_id = id,
        .password = slice_make(password, 16),
    };
    struct buf out = {0};

    client_connect_encode_reply(&response, true, false, &out);
    client_bytes(rig.clients, 0, CONN, buf_bytes(&out));
    buf_finish(&out);
}

/* Epoch 1, session and a node /a, committed; client 0 is connected. */
static void up(void)
{
    rig_init(&rig);
    rig.clients = clients_create(&rig.sim, 2, 1, 1000, true, false);
    clients_attach(rig.clients, checker_model(rig.checker));
    rig_lead(&rig, 1, 1);
    client_connect_to(rig.clients, 0, 2);
    client_connected(rig.clients, 0, CONN);
    rig_commit(&rig, Z(1), rig_session(&rig, SESSION));
    answer_session(SESSION);
    rig_commit(&rig, Z(2), rig_create(&rig, 0, 0, "/a", "x"));
    cr_assert_str_eq(client_lines(rig.clients, 0), "session\n");
}

static void down(void)
{
    rig_finish(&rig);
}

TestSuite(sim_clients, .init = up, .fini = down);

static void answer(const struct client_reply *reply)
{
    size_t size = client_reply_size(reply);
    uint8_t bytes[512];

    cr_assert_leq(size, sizeof(bytes));
    client_reply_write(reply, bytes);
    /* In two pieces: a stream has no frames. */
    client_bytes(rig.clients, 0, CONN, slice_make(bytes, 7));
    client_bytes(rig.clients, 0, CONN, slice_make(bytes + 7, size - 7));
}

static void answer_code(int32_t xid, enum zk_op op, zxid_t zxid, int32_t code)
{
    answer(&(struct client_reply){
        .xid = xid, .op = op, .zxid = zxid, .code = code});
}

static void answer_sync(int32_t xid, zxid_t zxid)
{
    struct client_reply reply = {.xid = xid, .op = ZK_OP_SYNC, .zxid = zxid};

    reply.path.path = SLICE_LITERAL("/a");
    answer(&reply);
}

static struct zk_stat stat_of(const char *path, zxid_t zxid)
{
    const struct model_state *state =
        model_at(checker_model(rig.checker), slice_from_text(path), zxid);

    return (struct zk_stat){.czxid = state->czxid,
                            .mzxid = state->mzxid,
                            .pzxid = state->pzxid,
                            .version = state->version,
                            .num_children = (int32_t)state->children_count};
}

static void answer_data(int32_t xid, zxid_t zxid, const char *data)
{
    struct client_reply reply = {
        .xid = xid, .op = ZK_OP_GET_DATA, .zxid = zxid};

    reply.data.data = slice_from_text(data);
    reply.data.stat = stat_of("/a", zxid);
    answer(&reply);
}

static void answer_set(int32_t xid, zxid_t zxid)
{
    struct client_reply reply = {
        .xid = xid, .op = ZK_OP_SET_DATA, .zxid = zxid};

    reply.stat = stat_of("/a", zxid);
    answer(&reply);
}

static void tell(enum zk_event_type type, zxid_t zxid)
{
    struct slice path = SLICE_LITERAL("/a");
    uint8_t bytes[64];

    client_event_write(type, zxid, path, bytes);
    client_bytes(rig.clients, 0, CONN,
                 slice_make(bytes, client_event_size(path)));
}

static void commit_set(zxid_t zxid, int32_t xid, const char *data,
                       int32_t version)
{
    rig_commit(&rig, zxid, rig_set(&rig, SESSION, xid, "/a", data, version));
}

/* By nobody who waits for it. */
static void commit_foreign(zxid_t zxid, int32_t version)
{
    rig_commit(&rig, zxid, rig_set(&rig, 0, 0, "/a", "f", version));
}

Test(sim_clients, right_answers_are_taken)
{
    client_ask(rig.clients, 0, "get /a");
    answer_data(1, Z(2), "x");
    client_ask(rig.clients, 0, "set /a y 0");
    commit_set(Z(3), 2, "y", 1);
    answer_set(2, Z(3));
    client_ask(rig.clients, 0, "sync /a");
    answer_sync(3, Z(3));
    client_ask(rig.clients, 0, "set /a y 7");
    answer_code(4, ZK_OP_SET_DATA, Z(3), ZK_BAD_VERSION);
    client_ask(rig.clients, 0, "create /b z");
    rig_commit(&rig, Z(4), rig_create(&rig, SESSION, 5, "/b", "z"));
    answer(&(struct client_reply){.xid = 5,
                                  .op = ZK_OP_CREATE,
                                  .zxid = Z(4),
                                  .path = {SLICE_LITERAL("/b")}});
    client_ask(rig.clients, 0, "delete /b");
    rig_commit(&rig, Z(5), rig_delete(&rig, SESSION, 6, "/b"));
    answer_code(6, ZK_OP_DELETE, Z(5), ZK_OK);
    cr_assert_str_empty(rig.sim.finding);
    cr_assert_str_eq(client_lines(rig.clients, 0),
                     "getData /a 'x' v0\nsetData /a v1\nsync /a\n"
                     "setData /a: bad version\ncreate /b\ndelete /b\n");
}

Test(sim_clients, an_answer_out_of_order_is_found)
{
    client_ask(rig.clients, 0, "get /a");
    client_ask(rig.clients, 0, "get /a");
    answer_data(2, Z(2), "x");
    cr_assert(rig_found(&rig, "Order"));
}

Test(sim_clients, an_answer_to_nothing_is_found)
{
    client_ask(rig.clients, 0, "get /a");
    answer_data(1, Z(2), "x");
    answer_data(1, Z(2), "x");
    cr_assert(rig_found(&rig, "Order"));
}

Test(sim_clients, a_zxid_that_goes_back_is_found)
{
    client_ask(rig.clients, 0, "get /a");
    client_ask(rig.clients, 0, "get /a");
    answer_data(1, Z(2), "x");
    answer_code(2, ZK_OP_GET_DATA, Z(1), ZK_NO_NODE);
    cr_assert(rig_found(&rig, "Monotone"));
}

Test(sim_clients, a_zxid_that_is_not_committed_is_found)
{
    client_ask(rig.clients, 0, "get /a");
    answer_code(1, ZK_OP_GET_DATA, Z(9), ZK_NO_NODE);
    cr_assert(rig_found(&rig, "Integrity"));
}

Test(sim_clients, a_read_of_another_state_than_its_zxids_is_found)
{
    client_ask(rig.clients, 0, "get /a");
    answer_data(1, Z(2), "other");
    cr_assert(rig_found(&rig, "Read"));
}

Test(sim_clients, an_absent_node_that_is_there_is_found)
{
    client_ask(rig.clients, 0, "get /a");
    answer_code(1, ZK_OP_GET_DATA, Z(2), ZK_NO_NODE);
    cr_assert(rig_found(&rig, "Read"));
}

Test(sim_clients, a_stale_sync_is_found)
{
    commit_foreign(Z(3), 1);
    rig.clients->seen = Z(3); /* somebody has been shown it */
    client_ask(rig.clients, 0, "sync /a");
    answer_sync(1, Z(2));
    cr_assert(rig_found(&rig, "Linearizable"));
}

Test(sim_clients, a_write_that_never_was_is_found)
{
    client_ask(rig.clients, 0, "set /a y");
    commit_foreign(Z(3), 1);
    answer_set(1, Z(3));
    cr_assert(rig_found(&rig, "Acknowledged"));
}

Test(sim_clients, an_answer_with_another_writes_zxid_is_found)
{
    client_ask(rig.clients, 0, "set /a y");
    commit_set(Z(3), 1, "y", 1);
    commit_foreign(Z(4), 2);
    answer_set(1, Z(4));
    cr_assert(rig_found(&rig, "Acknowledged"));
}

Test(sim_clients, a_write_done_twice_is_found)
{
    client_ask(rig.clients, 0, "set /a y");
    commit_set(Z(3), 1, "y", 1);
    commit_set(Z(4), 1, "y", 2);
    cr_assert(rig_found(&rig, "Twice"));
}

Test(sim_clients, writes_done_in_another_order_are_found)
{
    client_ask(rig.clients, 0, "set /a y");
    client_ask(rig.clients, 0, "set /a z");
    commit_set(Z(3), 2, "z", 1);
    commit_set(Z(4), 1, "y", 2);
    cr_assert(rig_found(&rig, "SessionOrder"));
}

Test(sim_clients, a_refusal_for_no_reason_is_found)
{
    client_ask(rig.clients, 0, "set /a y 0");
    answer_code(1, ZK_OP_SET_DATA, Z(2), ZK_BAD_VERSION);
    cr_assert(rig_found(&rig, "Refused"));
}

Test(sim_clients, a_refused_write_that_is_done_is_found)
{
    client_ask(rig.clients, 0, "set /a y 7");
    answer_code(1, ZK_OP_SET_DATA, Z(2), ZK_BAD_VERSION);
    cr_assert_str_empty(rig.sim.finding);
    commit_set(Z(3), 1, "y", 1);
    cr_assert(rig_found(&rig, "Moved"));
}

Test(sim_clients, a_refusal_older_than_what_was_seen_is_found)
{
    commit_foreign(Z(3), 1);
    rig.clients->seen = Z(3);
    client_ask(rig.clients, 0, "create /a y");
    answer_code(1, ZK_OP_CREATE, Z(2), ZK_NODE_EXISTS);
    cr_assert(rig_found(&rig, "Linearizable"));
}

/* ZOOKEEPER-417 */
Test(sim_clients, a_stray_request_of_the_old_connection_is_found)
{
    client_ask(rig.clients, 0, "set /a y");
    client_connect_to(rig.clients, 0, 3);
    client_connected(rig.clients, 0, CONN);
    answer_session(SESSION);
    client_ask(rig.clients, 0, "get /a");
    answer_data(2, Z(2), "x");
    commit_set(Z(3), 1, "y", 1);
    cr_assert(rig_found(&rig, "Moved"));
}

Test(sim_clients, a_request_in_doubt_may_be_done_until_it_is_resumed)
{
    client_ask(rig.clients, 0, "set /a y");
    client_connect_to(rig.clients, 0, 3);
    client_connected(rig.clients, 0, CONN);
    commit_set(Z(3), 1, "y", 1);
    answer_session(SESSION);
    client_ask(rig.clients, 0, "get /a");
    answer_data(2, Z(3), "y");
    cr_assert_str_empty(rig.sim.finding);
}

Test(sim_clients, an_expiry_that_was_none_is_found)
{
    client_connect_to(rig.clients, 0, 3);
    client_connected(rig.clients, 0, CONN);
    answer_session(0);
    cr_assert(rig_found(&rig, "Expired"));
}

Test(sim_clients, an_expiry_is_believed_when_it_is_committed)
{
    client_connect_to(rig.clients, 0, 3);
    client_connected(rig.clients, 0, CONN);
    rig.now_ms += 5000;
    rig_commit(&rig, Z(3), rig_close(&rig, SESSION, 0));
    answer_session(0);
    cr_assert_str_empty(rig.sim.finding);
    cr_assert_str_eq(client_lines(rig.clients, 0), "refused\n");
}

Test(sim_clients, a_session_back_from_the_dead_is_found)
{
    rig.now_ms += 5000;
    rig_commit(&rig, Z(3), rig_close(&rig, SESSION, 0));
    rig.clients->seen = Z(3);
    client_connect_to(rig.clients, 0, 3);
    client_connected(rig.clients, 0, CONN);
    answer_session(SESSION);
    cr_assert(rig_found(&rig, "Sessions"));
}

Test(sim_clients, a_stale_answer_after_a_handshake_is_found)
{
    commit_foreign(Z(3), 1);
    rig.clients->seen = Z(3);
    client_connect_to(rig.clients, 0, 3);
    client_connected(rig.clients, 0, CONN);
    answer_session(SESSION);
    client_ask(rig.clients, 0, "get /a");
    answer_data(1, Z(2), "x");
    cr_assert(rig_found(&rig, "Linearizable"));
}

static void watch(void)
{
    client_ask(rig.clients, 0, "get /a w");
    answer_data(1, Z(2), "x");
    commit_foreign(Z(3), 1);
}

Test(sim_clients, an_event_before_the_answer_is_taken)
{
    watch();
    tell(ZK_EVENT_DATA_CHANGED, Z(3));
    client_ask(rig.clients, 0, "get /a");
    answer_data(2, Z(3), "f");
    cr_assert_str_empty(rig.sim.finding);
}

Test(sim_clients, an_event_behind_the_answer_is_found)
{
    watch();
    client_ask(rig.clients, 0, "get /a");
    answer_data(2, Z(3), "f");
    cr_assert(rig_found(&rig, "Watches"));
}

Test(sim_clients, an_event_told_twice_is_found)
{
    watch();
    tell(ZK_EVENT_DATA_CHANGED, Z(3));
    commit_foreign(Z(4), 2);
    tell(ZK_EVENT_DATA_CHANGED, Z(4));
    cr_assert(rig_found(&rig, "Watches"));
}

Test(sim_clients, an_event_of_another_kind_than_the_change_is_found)
{
    watch();
    tell(ZK_EVENT_DELETED, Z(3));
    cr_assert(rig_found(&rig, "Watches"));
}

static void reconnect(void)
{
    client_connect_to(rig.clients, 0, 3);
    client_connected(rig.clients, 0, CONN);
    answer_session(SESSION);
}

Test(sim_clients, a_change_missed_between_connections_must_be_told)
{
    watch();
    reconnect();
    answer_code(ZK_XID_SET_WATCHES, ZK_OP_SET_WATCHES, Z(3), ZK_OK);
    cr_assert(rig_found(&rig, "Watches"));
}

Test(sim_clients, a_change_missed_between_connections_is_told)
{
    watch();
    reconnect();
    tell(ZK_EVENT_DATA_CHANGED, UINT64_MAX);
    answer_code(ZK_XID_SET_WATCHES, ZK_OP_SET_WATCHES, Z(3), ZK_OK);
    cr_assert_str_empty(rig.sim.finding);
}

Test(sim_clients, a_watch_set_again_goes_on)
{
    client_ask(rig.clients, 0, "get /a w");
    answer_data(1, Z(2), "x");
    reconnect();
    answer_code(ZK_XID_SET_WATCHES, ZK_OP_SET_WATCHES, Z(2), ZK_OK);
    commit_foreign(Z(3), 1);
    tell(ZK_EVENT_DATA_CHANGED, Z(3));
    cr_assert_str_empty(rig.sim.finding);
    cr_assert_str_eq(client_lines(rig.clients, 0),
                     "getData /a 'x' v0\nresumed\nevent changed /a\n");
}

Test(sim_clients, an_event_of_set_watches_for_nothing_is_found)
{
    client_ask(rig.clients, 0, "get /a w");
    answer_data(1, Z(2), "x");
    reconnect();
    tell(ZK_EVENT_DATA_CHANGED, UINT64_MAX);
    answer_code(ZK_XID_SET_WATCHES, ZK_OP_SET_WATCHES, Z(2), ZK_OK);
    cr_assert(rig_found(&rig, "Watches"));
}
