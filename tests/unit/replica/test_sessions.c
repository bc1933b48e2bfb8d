/* Sessions across servers, as their leader has them: opened, resumed, moved,
 * reclaimed, kept alive. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "tests/unit/replica/peers.h"

static struct peers peers;
static struct rig *const rig = &peers.rig;
static const uint8_t secret[16] = "fifteen letters";

static void begin(void)
{
    peers_init(&peers, 1, 3, 2);
}

static void end(void)
{
    peers_finish(&peers);
}

TestSuite(replica_sessions, .init = begin, .fini = end);

static void say_open(uint64_t from, uint64_t request)
{
    struct peer_msg msg = {.type = PEER_OPEN_SESSION};

    msg.open_session.origin_request = request;
    msg.open_session.timeout_ms = 10000;
    memcpy(msg.open_session.password, secret, 16);
    peers_say(&peers, from, &msg);
}

/* A session of a learner's client, whose attachment is request. */
static uint64_t open_at(uint64_t from, uint64_t request)
{
    struct inspect_session session;
    uint64_t cursor = 0;

    say_open(from, request);
    rig_settle(rig);
    while (inspect_session_next(rig->replica, &cursor, &session)) {
    }
    peers_forget(&peers);
    return session.id;
}

static void say_resume(uint64_t from, uint64_t request, uint64_t session_id,
                       const uint8_t *password)
{
    struct peer_msg msg = {.type = PEER_REVALIDATE};

    msg.revalidate.session_id = session_id;
    msg.revalidate.origin_request = request;
    msg.revalidate.timeout_ms = 8000;
    memcpy(msg.revalidate.password, password, 16);
    peers_say(&peers, from, &msg);
}

static void say_create(uint64_t from, uint64_t attachment, uint64_t session_id,
                       const char *path)
{
    struct client_request request = request_create(path, "", ZK_EPHEMERAL);
    struct peer_msg msg = {.type = PEER_REQUEST};
    struct buf frame = {0};
    struct blob *payload;

    request.xid = 7;
    client_request_encode(&request, &frame);
    payload = blob_copy(slice_after(buf_bytes(&frame), 4));
    buf_finish(&frame);
    msg.request.session_id = session_id;
    msg.request.attachment = attachment;
    msg.request.origin_request = 1000;
    msg.payloads = &payload;
    msg.payloads_count = 1;
    peers_say(&peers, from, &msg);
}

static void say_reclaim(uint64_t from, uint64_t attachment, uint64_t session_id,
                        uint32_t timeout_ms)
{
    struct peer_msg msg = {.type = PEER_RECLAIM};
    uint8_t *bytes;
    struct blob *payload = blob_create(PEER_RECLAIM_SIZE, &bytes);

    bytes_store64(bytes, session_id);
    bytes_store64(bytes + 8, attachment);
    bytes_store32(bytes + 16, timeout_ms);
    msg.payloads = &payload;
    msg.payloads_count = 1;
    peers_say(&peers, from, &msg);
}

static void say_status(uint64_t from, uint64_t session_id, bool disk_low)
{
    struct peer_msg msg = {.type = PEER_STATUS};
    uint8_t *bytes;
    struct blob *payload;

    msg.status.disk_low = disk_low;
    if (session_id != 0) {
        payload = blob_create(PEER_STATUS_SIZE, &bytes);
        bytes_store64(bytes, session_id);
        msg.payloads = &payload;
        msg.payloads_count = 1;
    }
    peers_say(&peers, from, &msg);
}

static void say_owned_status(uint64_t from, uint64_t session_id,
                             uint64_t attachment)
{
    struct peer_msg msg = {.type = PEER_STATUS, .payloads_count = 1};
    uint8_t *bytes;
    struct blob *payload = blob_create(PEER_STATUS_OWNED_SIZE, &bytes);

    msg.status.owned = true;
    bytes_store64(bytes, session_id);
    bytes_store64(bytes + 8, attachment);
    msg.payloads = &payload;
    peers_say(&peers, from, &msg);
}

static void mute(bool muted)
{
    for (int id = 2; id <= 5; id++) {
        peers.peer[id].mute = muted;
    }
}

static struct inspect_session session_of(uint64_t id)
{
    struct inspect_session session = {0};
    uint64_t cursor = 0;

    while (inspect_session_next(rig->replica, &cursor, &session)) {
        if (session.id == id) {
            return session;
        }
    }
    return (struct inspect_session){0};
}

static void expect_moved(uint64_t id, uint64_t session_id, uint64_t attachment)
{
    char line[100];

    snprintf(line, sizeof(line),
             "%u session-moved session=0x%llx attachment=%llu\n", (unsigned)id,
             (unsigned long long)session_id, (unsigned long long)attachment);
    peers_expect(&peers, line);
}

Test(replica_sessions, a_learners_session_has_its_servers_id)
{
    uint64_t id;

    peers_lead(&peers);
    id = open_at(5, 77);
    cr_assert_eq(id, UINT64_C(5) << 56 | UINT64_C(2) << 32 | 1);
    cr_assert_eq(session_of(id).timeout_ms, 10000);
    cr_assert_gt(session_of(id).deadline_ms, rig->now_ms);
    /* It is the attachment that opened it that speaks for it. */
    say_create(5, 77, id, "/a");
    rig_settle(rig);
    peers_expect(&peers, "");
    cr_assert_eq(rig_view(rig).ephemerals, 1);
}

/* What a server asks for is not what its client may have. */
Test(replica_sessions, the_leader_bounds_time_outs_too)
{
    struct peer_msg msg = {.type = PEER_OPEN_SESSION};
    uint64_t cursor = 0;
    struct inspect_session session;

    peers_lead(&peers);
    msg.open_session.timeout_ms = -5;
    peers_say(&peers, 2, &msg);
    rig_settle(rig);
    cr_assert(inspect_session_next(rig->replica, &cursor, &session));
    cr_assert_eq(session.timeout_ms, 4000);
}

Test(replica_sessions, a_resume_elsewhere_takes_the_session_at_once)
{
    uint64_t id;
    char line[200];

    peers_lead(&peers);
    id = open_at(2, 77);
    mute(true);
    say_resume(3, 88, id, secret);
    rig_settle(rig);
    mute(false);
    peers_expect(&peers, ""); /* they were muted */
    /* What the old connection still sends is dropped. */
    say_create(2, 77, id, "/late");
    expect_moved(2, id, 77);
    say_create(3, 88, id, "/a");
    rig_settle(rig);
    cr_assert_eq(rig_view(rig).ephemerals, 1);
    cr_assert_eq(rig_view(rig).znodes, 6);
    snprintf(line, sizeof(line),
             "3 revalidate-reply zxid=2.2 session=0x%llx timeout=8000"
             " request=88 ok\n"
             "2 refused zxid=2.2 code=-118 request=1000\n",
             (unsigned long long)id);
    peers_expect(&peers, line);
    cr_assert_eq(session_of(id).timeout_ms, 8000);
}

Test(replica_sessions, the_old_connection_is_told_before_the_new_one)
{
    uint64_t id;
    char lines[300];

    peers_lead(&peers);
    id = open_at(2, 77);
    say_resume(3, 88, id, secret);
    rig_settle(rig);
    snprintf(lines, sizeof(lines),
             "2 session-moved session=0x%llx attachment=77\n"
             "3 revalidate-reply zxid=2.2 session=0x%llx timeout=8000"
             " request=88 ok\n",
             (unsigned long long)id, (unsigned long long)id);
    peers_expect(&peers, lines);
    /* And on the same server, too. */
    say_resume(3, 89, id, secret);
    expect_moved(3, id, 88);
}

Test(replica_sessions, a_resume_elsewhere_closes_the_connection_here)
{
    struct test_client *client;

    peers_lead(&peers);
    client = rig_connect(rig);
    say_resume(2, 88, client->session_id, client->password);
    cr_assert(client->closed);
    rig_settle(rig);
    cr_assert_eq(rig_view(rig).sessions, 1);
}

/* It has not even been answered: nobody may serve it any more. */
Test(replica_sessions, a_resume_elsewhere_closes_a_handshake_here)
{
    struct test_client *client;

    peers_lead(&peers);
    client = rig_connect(rig);
    mute(true);
    rig_resume(rig, client);
    say_resume(2, 88, client->session_id, client->password);
    cr_assert(client->closed);
    mute(false);
    peers_pass(&peers, 200);
    rig_expect(client, "");
}

Test(replica_sessions, a_resume_here_takes_the_session_of_a_learner)
{
    struct test_client *client;

    peers_lead(&peers);
    client = rig_connect(rig);
    say_resume(2, 88, client->session_id, client->password);
    rig_settle(rig);
    peers_forget(&peers);
    rig_resume(rig, client);
    expect_moved(2, client->session_id, 88);
    rig_settle(rig);
    rig_expect(client, "session 10000\n");
    rig_ask(rig, client, request_create("/a", "", ZK_PERSISTENT));
    rig_expect(client, "1 create z4 /a\n");
}

/* DESIGN 2.9: no server says "expired" from what it happens to know. */
Test(replica_sessions, a_refusal_waits_for_a_quorum)
{
    static const uint8_t wrong[16] = "fifteen lettors";
    uint64_t id;
    char lines[400];

    peers_lead(&peers);
    id = open_at(2, 77);
    for (int voter = 2; voter <= 3; voter++) {
        peers.peer[voter].mute = true;
    }
    say_resume(4, 1, id, wrong);
    say_resume(4, 2, 12345, secret);
    rig_settle(rig);
    peers_expect(&peers, "");
    for (int voter = 2; voter <= 3; voter++) {
        peers.peer[voter].mute = false;
    }
    peers_answer_round(&peers);
    rig_settle(rig);
    snprintf(lines, sizeof(lines),
             "4 revalidate-reply zxid=2.1 session=0x%llx timeout=0"
             " request=1 not-ok\n"
             "4 revalidate-reply zxid=2.1 session=0x3039 timeout=0"
             " request=2 not-ok\n",
             (unsigned long long)id);
    peers_expect(&peers, lines);
    /* The wrong password took nothing away. */
    say_create(2, 77, id, "/a");
    rig_settle(rig);
    cr_assert_eq(rig_view(rig).ephemerals, 1);
}

Test(replica_sessions, what_is_closing_is_refused)
{
    uint64_t id;
    char lines[200];

    peers_lead(&peers);
    id = open_at(2, 77);
    rig->now_ms += 20000;
    rig_tick(rig, 0); /* its close is proposed */
    say_reclaim(2, 77, id, 10000);
    say_resume(3, 88, id, secret);
    expect_moved(2, id, 77);
    rig_settle(rig);
    snprintf(lines, sizeof(lines),
             "3 revalidate-reply zxid=2.2 session=0x%llx timeout=0"
             " request=88 not-ok\n",
             (unsigned long long)id);
    peers_expect(&peers, lines);
    cr_assert_eq(rig_view(rig).sessions, 0);
}

/* Its server has delivered it, and told its client of it. */
Test(replica_sessions, what_is_committed_and_not_yet_applied_is_not_unknown)
{
    uint64_t id = UINT64_C(2) << 56 | UINT64_C(2) << 32 | 1;
    char lines[200];

    peers_lead(&peers);
    say_open(2, 77);
    inspect_hold(rig->replica); /* nothing is applied */
    rig_settle(rig);
    say_resume(3, 88, id, secret);
    rig_settle(rig);
    peers_expect(&peers, "");
    inspect_release(rig->replica);
    rig_settle(rig);
    snprintf(lines, sizeof(lines),
             "2 session-moved session=0x%llx attachment=77\n"
             "3 revalidate-reply zxid=2.2 session=0x%llx timeout=8000"
             " request=88 ok\n",
             (unsigned long long)id, (unsigned long long)id);
    peers_expect(&peers, lines);
}

Test(replica_sessions, nor_is_it_unknown_to_a_client_here)
{
    struct test_client *writer, *client;
    struct peer_msg ack = {.type = PEER_ACK, .epoch = 2};

    rig->config.slice_units = 4; /* one delivery in each step */
    peers_lead(&peers);
    writer = rig_connect(rig);
    client = rig_open(rig);
    mute(true);
    rig_send(rig, writer, request_create("/a", "", ZK_PERSISTENT));
    rig_send(rig, writer, request_create("/b", "", ZK_PERSISTENT));
    say_open(2, 77);
    rig_settle(rig);
    mute(false);
    ack.zxid = zxid_make(2, 4);
    peers_say(&peers, 2, &ack); /* all three are committed */
    cr_assert_lt(rig_view(rig).zxid, ack.zxid);
    client->session_id = UINT64_C(2) << 56 | ack.zxid;
    memcpy(client->password, secret, 16);
    rig_handshake(rig, client);
    rig_settle(rig);
    rig_expect(client, "session 10000\n");
}

Test(replica_sessions, learners_reclaim_what_nobody_else_has)
{
    uint64_t id, other;

    peers_lead(&peers);
    id = open_at(2, 77);
    other = open_at(3, 78);
    peers_lose_leader(&peers);
    peers_be_led(&peers);
    peers_forget(&peers);
    /* Owners are not known to a new leader. */
    say_reclaim(2, 77, id, 12000);
    rig_settle(rig);
    peers_expect(&peers, "");
    cr_assert_eq(session_of(id).timeout_ms, 12000);
    say_reclaim(3, 99, id, 12000);
    expect_moved(3, id, 99);
    say_reclaim(2, 77, id, 12000); /* its link broke */
    say_reclaim(3, 78, 4711, 12000);
    expect_moved(3, 4711, 78);
    /* The first that asks becomes it. */
    say_create(2, 5, other, "/a");
    rig_settle(rig);
    cr_assert_eq(rig_view(rig).ephemerals, 1);
    say_create(3, 78, other, "/b");
    expect_moved(3, other, 78);
}

Test(replica_sessions, a_leaders_own_connections_are_known_to_it)
{
    struct test_client *client;

    peers_lead(&peers);
    client = rig_connect(rig);
    peers_lose_leader(&peers);
    peers_be_led(&peers);
    cr_assert_not(client->closed);
    say_reclaim(2, 77, client->session_id, 12000);
    expect_moved(2, client->session_id, 77);
    cr_assert_not(client->closed);
}

/* Half an entry behind a whole one. */
Test(replica_sessions, a_reclaim_of_any_length_is_read_to_its_end)
{
    struct peer_msg msg = {.type = PEER_RECLAIM};
    uint8_t *bytes;
    struct blob *payload = blob_create(PEER_RECLAIM_SIZE + 7, &bytes);

    peers_lead(&peers);
    memset(bytes, 1, PEER_RECLAIM_SIZE + 7);
    msg.payloads = &payload;
    msg.payloads_count = 1;
    peers_say(&peers, 2, &msg);
    expect_moved(2, UINT64_C(0x101010101010101), UINT64_C(0x101010101010101));
}

Test(replica_sessions, who_speaks_for_a_session_is_there)
{
    uint64_t resumed, reclaimed, silent;

    peers_lead(&peers);
    resumed = open_at(2, 77);
    reclaimed = open_at(2, 78);
    silent = open_at(2, 79);
    peers_pass(&peers, 8000);
    say_resume(3, 88, resumed, secret);
    say_reclaim(2, 78, reclaimed, 10000);
    peers_pass(&peers, 5000);
    cr_assert_eq(session_of(resumed).id, resumed);
    cr_assert_eq(session_of(reclaimed).id, reclaimed);
    cr_assert_eq(session_of(silent).id, 0);
}

/* Its link ends before its turn comes. */
Test(replica_sessions, what_is_not_taken_up_is_heard)
{
    uint64_t asks, reclaims, old;

    peers_lead(&peers);
    asks = open_at(2, 77);
    reclaims = open_at(2, 78);
    old = open_at(2, 79);
    peers_pass(&peers, 8000);
    inspect_hold(rig->replica);
    say_create(2, 77, asks, "/a");
    say_reclaim(2, 78, reclaims, 10000);
    say_create(2, 7, old, "/b"); /* another connection's */
    peers_cut(&peers, 2);
    inspect_release(rig->replica);
    peers_pass(&peers, 5000);
    cr_assert_eq(session_of(asks).id, asks);
    cr_assert_eq(session_of(reclaims).id, reclaims);
    cr_assert_eq(session_of(old).id, 0);
    cr_assert_eq(rig_view(rig).ephemerals, 0);
}

/* A new leader knows of nobody's disk what the last one knew. */
Test(replica_sessions, a_learners_disk_is_forgotten_with_its_leader)
{
    struct test_client *client;

    peers_lead(&peers);
    say_status(2, 0, true);
    say_status(3, 0, true);
    peers_lose_leader(&peers);
    peers_be_led(&peers);
    client = rig_connect(rig);
    rig_ask(rig, client, request_create("/a", "", ZK_PERSISTENT));
    rig_expect(client, "1 create z2 /a\n");
}

/* ClickHouse Keeper 121361. */
Test(replica_sessions, what_a_learner_hears_keeps_its_sessions_alive)
{
    uint64_t kept, lost;

    peers_lead(&peers);
    kept = open_at(2, 77);
    lost = open_at(3, 78);
    for (int i = 0; i < 26; i++) {
        peers_pass(&peers, 500);
        say_status(2, kept, false);
        say_status(2, lost, false); /* it is not its */
    }
    cr_assert_eq(session_of(kept).id, kept);
    cr_assert_eq(session_of(lost).id, 0);
    cr_assert_eq(rig_view(rig).sessions_expired, 1);
}

/* A connection that its client has left may linger on its server. */
Test(replica_sessions, what_an_older_connection_hears_is_nothing)
{
    uint64_t kept, lost;

    peers_lead(&peers);
    kept = open_at(2, 77);
    lost = open_at(2, 78);
    for (int i = 0; i < 26; i++) {
        peers_pass(&peers, 500);
        say_owned_status(2, kept, 77);
        say_owned_status(2, lost, 79);
    }
    cr_assert_eq(session_of(kept).id, kept);
    cr_assert_eq(session_of(lost).id, 0);
}

/* Its server may be back in time, or its client elsewhere. */
Test(replica_sessions, a_learner_that_is_gone_takes_no_session_with_it)
{
    uint64_t id;

    peers_lead(&peers);
    id = open_at(2, 77);
    peers_cut(&peers, 2);
    peers_pass(&peers, 9000);
    cr_assert_eq(session_of(id).id, id);
    say_resume(3, 88, id, secret); /* and 2 cannot be told */
    rig_settle(rig);
    peers_forget(&peers);
    peers_join(&peers, 2);
    rig_settle(rig);
    say_reclaim(2, 77, id, 10000);
    expect_moved(2, id, 77);
}

Test(replica_sessions, writes_need_room_on_a_quorum_of_disks)
{
    struct test_client *client;

    peers_lead(&peers);
    client = rig_connect(rig);
    say_status(4, 0, true); /* observers are not asked */
    say_status(5, 0, true);
    say_status(2, 0, true);
    rig_ask(rig, client, request_create("/a", "", ZK_PERSISTENT));
    rig_expect(client, "1 create z2 /a\n");
    say_status(3, 0, true);
    rig_ask(rig, client, request_create("/b", "", ZK_PERSISTENT));
    rig_expect(client, "2 create z2 -125\n");
    rig_ask(rig, client, request_delete("/a", -1));
    rig_expect(client, "3 delete z3\n");
    /* Who is away counts as what it said. */
    peers_cut(&peers, 3);
    rig_ask(rig, client, request_create("/b", "", ZK_PERSISTENT));
    rig_expect(client, "4 create z3 -125\n");
    say_status(2, 0, false);
    rig_ask(rig, client, request_create("/b", "", ZK_PERSISTENT));
    rig_expect(client, "5 create z4 /b\n");
    rig_expect_log(rig, "disk_low server=3");
    rig_expect_log(rig, "disk_has_room server=2");
}
