/* Whatever the other servers say to replica/, it is answered or it costs their
 * link: a CHECK would end the process. What is said is decodable, and half of
 * it names requests and sessions that there are. */
#include <criterion/criterion.h>

#include "base/prng.h"
#include "tests/unit/replica/trio.h"

#define ROUNDS 100
#define STEPS 300

static struct rig rig;
static struct trio trio;
static struct prng prng;

static uint64_t below(uint64_t bound)
{
    return prng_below(&prng, bound);
}

static void begin(bool leads, uint64_t seed)
{
    prng_init(&prng, seed);
    rig_init(&rig);
    trio_init(&trio, &rig, leads);
    rig.config.outstanding_max = 4;
    rig.config.zab.proposals_inflight_max = 1 + (uint32_t)below(8);
    trio_serve(&trio);
}

static void end(void)
{
    trio_finish(&trio);
    rig_finish(&rig);
}

/* Ids and attachments of sessions, as they come to be known. */
static uint64_t ids[4], attachments[4];

static uint64_t some_session(uint64_t *attachment)
{
    size_t i = (size_t)below(4);

    *attachment = below(4) == 0 ? below(1000) : attachments[i];
    return below(8) == 0 ? below(3) : ids[i];
}

static uint64_t some_request(void)
{
    static const enum peer_msg_type asked[] = {
        PEER_REQUEST, PEER_SYNC_REQUEST, PEER_REVALIDATE, PEER_OPEN_SESSION};
    const struct peer_msg *msg = &trio.last[asked[below(4)]];
    uint64_t number = 0;

    switch ((int)msg->type) {
        case PEER_REQUEST:
            number = msg->request.origin_request;
            break;
        case PEER_SYNC_REQUEST:
            number = msg->sync_request.origin_request;
            break;
        case PEER_REVALIDATE:
            number = msg->revalidate.origin_request;
            break;
        case PEER_OPEN_SESSION:
            number = msg->open_session.origin_request;
            break;
        default:
            break;
    }
    return number + below(3) - below(2);
}

static struct blob *some_bytes(size_t unit)
{
    uint8_t *bytes;
    size_t size = unit * below(4);
    struct blob *blob = blob_create(size, &bytes);

    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(below(2) == 0 ? 0 : below(256));
    }
    return blob;
}

static struct blob *some_frame(void)
{
    struct client_request ops[] = {request_create("/m", "", ZK_PERSISTENT),
                                   request_delete("/m", -1)};
    struct client_request request;
    struct buf frame = {0};
    struct blob *blob;

    switch (below(8)) {
        case 0:
            request = request_delete("/a", (int32_t)below(3) - 1);
            break;
        case 1:
            request = request_plain(ZK_OP_CLOSE_SESSION);
            break;
        case 2:
            request = request_multi(ZK_OP_MULTI, ops, (size_t)below(3));
            break;
        case 3:
            request = request_path(ZK_OP_SYNC, "/a");
            break;
        case 4:
            request = request_set("/a", "x", -1);
            break;
        case 5:
            return some_bytes(5);
        default:
            request = request_create(
                "/a", "", below(2) == 0 ? ZK_PERSISTENT : ZK_EPHEMERAL);
            break;
    }
    request.xid = 7;
    client_request_encode(&request, &frame);
    blob = blob_copy(slice_after(buf_bytes(&frame), 4));
    buf_finish(&frame);
    return blob;
}

static zxid_t some_place(void)
{
    zxid_t zxid = rig_view(&rig).zxid;

    return below(4) == 0 ? zxid + below(3) - below(3) : zxid;
}

/* Of any type that is replica/'s. */
static void say_anything(uint64_t id)
{
    const struct zk_auth auth[2] = {
        {SLICE_LITERAL("ip"), SLICE_LITERAL("10.0.0.1"), false},
        {SLICE_LITERAL(""), SLICE_LITERAL(""), true}};
    struct peer_msg msg = {.type =
                               (enum peer_msg_type)(PEER_REQUEST + below(11)),
                           .zxid = some_place()};
    struct blob *payload = NULL;

    switch ((int)msg.type) {
        case PEER_REQUEST:
            msg.request.session_id = some_session(&msg.request.attachment);
            msg.request.origin_request = below(100);
            msg.request.auth = auth;
            msg.request.auth_count = (uint32_t)below(3);
            payload = some_frame();
            break;
        case PEER_OPEN_SESSION:
            msg.open_session.origin_request = below(100);
            msg.open_session.timeout_ms = (int32_t)prng_next(&prng);
            break;
        case PEER_SYNC_REQUEST:
            msg.sync_request.session_id =
                some_session(&msg.sync_request.attachment);
            break;
        case PEER_REFUSED:
            msg.refused.origin_request = some_request();
            msg.refused.code = (int32_t)below(4) - 3;
            msg.refused.parts_count =
                below(3) == 0 ? (uint32_t)prng_next(&prng) : 0;
            msg.refused.part_failed = (uint32_t)below(3);
            break;
        case PEER_SYNC_REPLY:
            msg.sync_reply.origin_request = some_request();
            break;
        case PEER_REVALIDATE:
            msg.revalidate.session_id =
                some_session(&msg.revalidate.origin_request);
            msg.revalidate.timeout_ms = (int32_t)prng_next(&prng);
            break;
        case PEER_REVALIDATE_REPLY:
            msg.revalidate_reply.session_id =
                some_session(&msg.revalidate_reply.origin_request);
            msg.revalidate_reply.origin_request = some_request();
            msg.revalidate_reply.timeout_ms = (int32_t)prng_next(&prng);
            msg.revalidate_reply.ok = below(2) == 0;
            break;
        case PEER_RECLAIM:
            payload = some_bytes(PEER_RECLAIM_SIZE);
            break;
        case PEER_SESSION_MOVED:
            msg.session_moved.session_id =
                some_session(&msg.session_moved.attachment);
            break;
        case PEER_STATUS:
            msg.status.disk_low = below(2) == 0;
            msg.status.owned = below(2) == 0;
            payload = some_bytes(peer_status_size(&msg));
            break;
        default:
            msg.digest.tree = below(2);
            break;
    }
    trio_say(&trio, id, msg, payload);
}

static void keep_link(uint64_t id)
{
    if (trio.leads && !trio.links[id]) {
        trio_link_up(&trio, id);
    }
    if (below(3) != 0) {
        trio_settle(&trio);
    }
}

Test(replica_hostile, a_leader_goes_on_whatever_its_learners_say)
{
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        begin(true, seed);
        for (size_t i = 0; i < 4; i++) {
            attachments[i] = 100 + i;
            ids[i] = trio_session(&trio, 1 + i % 2, attachments[i]);
        }
        for (unsigned i = 0; i < STEPS; i++) {
            uint64_t id = 1 + below(2);

            if (below(8) == 0) {
                inspect_hold(rig.replica);
                say_anything(id);
                say_anything(id);
                inspect_release(rig.replica);
            } else {
                say_anything(id);
            }
            keep_link(1);
            keep_link(2);
            if (below(20) == 0) {
                trio_pass(&trio, 40);
            }
            cr_assert_not(rig.fatal);
        }
        end();
    }
}

/* Its clients ask; one that was sent away comes again. */
static void clients_ask(struct test_client **clients)
{
    struct test_client *client = clients[below(2)];

    if (client->closed) {
        rig_resume(&rig, client);
        return;
    }
    if (!client->connected) {
        return;
    }
    if (below(3) == 0) {
        rig_send(&rig, client, request_path(ZK_OP_SYNC, "/"));
    } else {
        rig_send(&rig, client, request_create("/a", "", ZK_PERSISTENT));
    }
}

Test(replica_hostile, a_learner_goes_on_whatever_its_leader_says)
{
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct test_client *clients[2];

        begin(false, seed);
        for (size_t i = 0; i < 2; i++) {
            clients[i] = trio_client(&trio);
            ids[i] = clients[i]->session_id;
            attachments[i] =
                trio.last[PEER_OPEN_SESSION].open_session.origin_request;
        }
        for (unsigned i = 0; i < STEPS; i++) {
            clients_ask(clients);
            if (rig.serving) {
                say_anything(3);
            }
            keep_link(3);
            if (!rig.serving) {
                trio_pass(&trio, 200);
            }
            cr_assert_not(rig.fatal);
        }
        end();
    }
}
