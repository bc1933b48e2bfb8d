/* What is bounded between a learner and its leader, and how much many who wait
 * cost. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "tests/unit/replica/peers.h"

#define LARGE ((size_t)1024 * 1024)
#define FORWARD_BYTES ((size_t)32 * 1024 * 1024)
#define REMOTE_BYTES (FORWARD_BYTES + (size_t)16 * 1024 * 1024)

static struct peers peers;
static struct rig *const rig = &peers.rig;
static char *large;

static void begin(void)
{
    peers_init(&peers, 1, 3, 0);
    large = malloc(LARGE + 1);
    memset(large, 'x', LARGE);
    large[LARGE] = '\0';
}

static void end(void)
{
    peers_finish(&peers);
    free(large);
}

TestSuite(replica_bounds, .init = begin, .fini = end);

static unsigned count_said(const char *what)
{
    struct buf *lines = &peers.lines;
    unsigned count = 0;

    *buf_extend(lines, 1) = '\0';
    for (const char *at = (const char *)lines->data;
         (at = strstr(at, what)) != NULL; at++) {
        count++;
    }
    peers_forget(&peers);
    return count;
}

Test(replica_bounds, a_learner_asks_for_no_more_bytes_than_its_leader_keeps)
{
    struct test_client *client;
    unsigned asked;

    peers_follow(&peers, 2);
    client = peers_connect(&peers, 1);
    peers_forget(&peers);
    for (int i = 0; i < 40; i++) {
        rig_send(rig, client, request_create("/a", large, ZK_PERSISTENT));
    }
    asked = count_said(" request ");
    cr_assert_geq(asked * LARGE, FORWARD_BYTES - LARGE);
    cr_assert_leq(asked * LARGE, FORWARD_BYTES);
    cr_assert(client->paused);
    cr_assert_not(client->closed);
    /* With each answer another one goes out. */
    for (unsigned i = 0; i < 3; i++) {
        struct peer_msg refused = {.type = PEER_REFUSED,
                                   .zxid = peers_last(&peers)};

        refused.refused.origin_request = peers.asked - asked + 1;
        refused.refused.code = ZK_NODE_EXISTS;
        peers_say(&peers, 2, &refused);
        rig_settle(rig);
        cr_assert_eq(client->answers, i + 1);
        cr_assert_eq(count_said(" request "), 1);
    }
}

/* Held while somebody walks the tree. */
Test(replica_bounds, a_leader_keeps_only_so_many_bytes_of_a_learner)
{
    struct client_request request = request_create("/a", large, ZK_PERSISTENT);
    struct buf frame = {0};
    size_t sent = 0;

    peers_lead(&peers);
    client_request_encode(&request, &frame);
    inspect_hold(rig->replica);
    while (peers.peer[2].up && sent < 4 * REMOTE_BYTES) {
        struct peer_msg msg = {.type = PEER_REQUEST, .payloads_count = 1};
        struct blob *payload = blob_copy(slice_after(buf_bytes(&frame), 4));

        msg.payloads = &payload;
        msg.request.session_id = 77;
        msg.request.origin_request = 1 + sent;
        peers_say(&peers, 2, &msg);
        rig_settle(rig);
        sent += LARGE;
    }
    cr_assert_not(peers.peer[2].up);
    cr_assert_geq(sent, REMOTE_BYTES);
    cr_assert_leq(sent, REMOTE_BYTES + 3 * LARGE);
    cr_assert_eq(rig_view(rig).synced_voters, 1);
    inspect_release(rig->replica);
    buf_finish(&frame);
}

/* Whose write waits for room is not looked at until there is some, and then in
 * the order in which they came. */
Test(replica_bounds, writers_that_wait_go_on_in_their_order)
{
    struct test_client *clients[20], *reader;

    rig->config.zab.proposals_inflight_max = 1;
    peers_lead(&peers);
    for (size_t i = 0; i < 20; i++) {
        clients[i] = rig_connect(rig);
    }
    reader = rig_connect(rig);
    peers.peer[2].mute = peers.peer[3].mute = true;
    for (size_t i = 0; i < 20; i++) {
        rig_send(rig, clients[i], request_set("/", "", -1));
    }
    rig_settle(rig);
    for (size_t i = 0; i < 20; i++) {
        cr_assert_eq(clients[i]->paused, i > 0);
    }
    rig_send(rig, reader, request_watch(ZK_OP_EXISTS, "/", false));
    rig_expect(reader, "1 exists z21 v0 c1\n");
    rig_hang_up(rig, clients[7]);
    peers.peer[2].mute = peers.peer[3].mute = false;
    peers_cut(&peers, 2); /* it comes back, and acknowledges */
    peers_join(&peers, 2);
    rig_settle(rig);
    for (size_t i = 0; i < 20; i++) {
        char line[64];

        (void)snprintf(line, sizeof(line), "1 setData z%zu v%zu c1\n",
                       22 + i - (i > 7), 1 + i - (i > 7));
        if (i != 7) {
            rig_expect(clients[i], line);
        }
    }
}
