#include "tests/unit/replica/trio.h"

#include <criterion/criterion.h>
#include <string.h>

#define LEADER UINT64_C(3)

static void on_peer(struct rig *rig, const struct replica_effect *effect);
static void on_message(struct trio *trio, uint64_t id, enum peer_link link,
                       const struct peer_msg *msg);
static void synchronize(struct trio *trio, uint64_t id, zxid_t zxid);
static void on_vote(struct trio *trio, uint64_t id,
                    const struct peer_msg *vote);
static void on_connect(struct trio *trio, const struct replica_effect *effect);
static void write_line(struct trio *trio, const struct replica_effect *effect);
static void keep(struct trio *trio, const struct peer_msg *msg);
static struct peer_msg *answer(struct trio *trio, uint64_t id,
                               enum peer_msg_type type, uint32_t epoch,
                               zxid_t zxid);
static struct trio_input *enqueue(struct trio *trio, uint64_t id,
                                  enum replica_input_type type,
                                  enum peer_link link);
static void step(struct trio *trio, struct trio_input *in);

void trio_init(struct trio *trio, struct rig *rig, bool leads)
{
    *trio = (struct trio){.rig = rig, .leads = leads};
    for (size_t id = 1; id <= RIG_MEMBERS_MAX; id++) {
        trio->acks[id] = true;
        trio->pongs[id] = true;
    }
    rig->others = trio;
    rig->on_peer = on_peer;
    rig->config.zab.members_count = 3;
    rig->config.zab.self_id = leads ? LEADER : 1;
}

void trio_finish(struct trio *trio)
{
    for (size_t i = 0; i < PEER_TYPES; i++) {
        blob_unref(trio->payloads[i]);
    }
    blob_unref(trio->snapshot);
    buf_finish(&trio->text);
}

void trio_serve(struct trio *trio)
{
    rig_start(trio->rig);
    rig_settle(trio->rig);
    for (uint64_t id = 1; id <= 3; id++) {
        if (id != trio->rig->config.zab.self_id) {
            enqueue(trio, id, REPLICA_PEER_UP, PEER_LINK_ELECTION);
        }
    }
    trio_settle(trio);
    for (uint64_t id = 1; id <= 2 && trio->leads; id++) {
        trio_link_up(trio, id);
    }
    trio_settle(trio);
    cr_assert(trio->rig->serving);
    buf_clear(&trio->text);
}

void trio_settle(struct trio *trio)
{
    do {
        rig_settle(trio->rig);
    } while (trio_next(trio));
}

void trio_pass(struct trio *trio, int64_t ms)
{
    for (int64_t at = 0; at < ms; at += 20) {
        rig_pass(trio->rig, 20);
        trio_settle(trio);
    }
}

bool trio_next(struct trio *trio)
{
    if (trio->count == 0) {
        return false;
    }
    trio->count--;
    step(trio, &trio->queue[trio->first++ % TRIO_QUEUE_MAX]);
    return true;
}

void trio_link_up(struct trio *trio, uint64_t id)
{
    trio->links[id] = true;
    enqueue(trio, id, REPLICA_PEER_UP,
            trio->leads ? PEER_LINK_LEARNER : PEER_LINK_LEADER);
    if (trio->leads) {
        struct trio_input *in =
            enqueue(trio, id, REPLICA_PEER_MESSAGE, PEER_LINK_LEARNER);

        in->msg.type = PEER_FOLLOWER_INFO;
        in->msg.follower_info.voting = true;
    }
}

void trio_link_down(struct trio *trio, uint64_t id)
{
    trio->links[id] = false;
    step(trio, &(struct trio_input){.type = REPLICA_PEER_DOWN,
                                    .peer_id = id,
                                    .link = trio->leads ? PEER_LINK_LEARNER
                                                        : PEER_LINK_LEADER});
}

void trio_say(struct trio *trio, uint64_t id, struct peer_msg msg,
              struct blob *payload)
{
    struct trio_input in = {.type = REPLICA_PEER_MESSAGE,
                            .peer_id = id,
                            .link = trio->leads ? PEER_LINK_LEARNER
                                                : PEER_LINK_LEADER,
                            .msg = msg};

    in.msg.epoch = trio->epoch;
    if (payload != NULL) {
        in.msg.payloads = &payload;
        in.msg.payloads_count = 1;
    }
    step(trio, &in);
    blob_unref(payload);
}

void trio_expect(struct trio *trio, const char *lines)
{
    *buf_extend(&trio->text, 1) = '\0';
    cr_assert_str_eq((const char *)trio->text.data, lines);
    buf_clear(&trio->text);
}

void trio_propose(struct trio *trio, const struct txn *txn)
{
    struct buf bytes = {0};

    txn_encode(txn, &bytes);
    trio->zxid = zxid_epoch(trio->zxid) == trio->epoch
                     ? trio->zxid + 1
                     : zxid_make(trio->epoch, 1);
    trio_say(trio, LEADER,
             (struct peer_msg){.type = PEER_PROPOSE, .zxid = trio->zxid},
             blob_copy(buf_bytes(&bytes)));
    buf_finish(&bytes);
}

void trio_commit(struct trio *trio, zxid_t zxid)
{
    trio_say(trio, LEADER, (struct peer_msg){.type = PEER_COMMIT, .zxid = zxid},
             NULL);
}

void trio_refuse(struct trio *trio, uint64_t origin_request, int32_t code,
                 zxid_t place)
{
    struct peer_msg msg = {.type = PEER_REFUSED, .zxid = place};

    msg.refused.origin_request = origin_request;
    msg.refused.code = code;
    trio_say(trio, LEADER, msg, NULL);
}

void trio_sync_reply(struct trio *trio, uint64_t origin_request, zxid_t place)
{
    struct peer_msg msg = {.type = PEER_SYNC_REPLY, .zxid = place};

    msg.sync_reply.origin_request = origin_request;
    trio_say(trio, LEADER, msg, NULL);
}

struct test_client *trio_client(struct trio *trio)
{
    struct test_client *client = rig_open(trio->rig);
    const struct peer_msg *open = &trio->last[PEER_OPEN_SESSION];
    struct txn txn = {.op = ZK_OP_CREATE_SESSION,
                      .request_op = ZK_OP_CREATE_SESSION,
                      .origin_id = 1};

    rig_handshake(trio->rig, client);
    cr_assert_eq(open->type, PEER_OPEN_SESSION);
    txn.origin_request = open->open_session.origin_request;
    txn.session_id = UINT64_C(0x100000001000000) + client->conn_id;
    txn.create_session.timeout_ms = open->open_session.timeout_ms;
    memcpy(txn.create_session.password, open->open_session.password, 16);
    trio_propose(trio, &txn);
    trio_commit(trio, trio->zxid);
    trio_settle(trio);
    rig_expect(client, "session 10000\n");
    buf_clear(&trio->text);
    return client;
}

struct txn trio_create(const struct trio *trio, const char *path)
{
    static const struct zk_acl open = {
        .perms = ZK_PERM_ALL,
        .id = {.scheme = {(const uint8_t *)"world", 5},
               .id = {(const uint8_t *)"anyone", 6}}};
    const struct peer_msg *asked = &trio->last[PEER_REQUEST];
    struct txn txn = {.op = ZK_OP_CREATE,
                      .request_op = ZK_OP_CREATE,
                      .origin_id = 1,
                      .origin_request = asked->request.origin_request,
                      .session_id = asked->request.session_id};

    txn.create.path = slice_from_text(path);
    txn.create.data = SLICE_LITERAL("");
    txn.create.parent_sequence = 1;
    txn.create.acl = &open;
    txn.create.acl_count = 1;
    return txn;
}

uint64_t trio_session(struct trio *trio, uint64_t id, uint64_t request)
{
    struct peer_msg msg = {.type = PEER_OPEN_SESSION};
    struct arena *arena = arena_create(1024);
    struct txn txn;

    msg.open_session.origin_request = request;
    msg.open_session.timeout_ms = 10000;
    trio_say(trio, id, msg, NULL);
    cr_assert_eq(
        txn_decode(blob_bytes(trio->payloads[PEER_PROPOSE]), arena, &txn), 0);
    cr_assert_eq(txn.op, ZK_OP_CREATE_SESSION);
    cr_assert_eq(txn.origin_id, id);
    cr_assert_eq(txn.origin_request, request);
    arena_destroy(arena);
    trio_settle(trio);
    buf_clear(&trio->text);
    return txn.session_id;
}

void trio_request(struct trio *trio, uint64_t id, uint64_t session_id,
                  uint64_t attachment, uint64_t origin_request,
                  struct client_request request)
{
    static const struct zk_auth auth = {
        {(const uint8_t *)"ip", 2}, {(const uint8_t *)"10.0.0.1", 8}, false};
    struct peer_msg msg = {.type = PEER_REQUEST};
    struct buf frame = {0};

    request.xid = 7;
    client_request_encode(&request, &frame);
    msg.request.session_id = session_id;
    msg.request.attachment = attachment;
    msg.request.origin_request = origin_request;
    msg.request.auth = &auth;
    msg.request.auth_count = 1;
    trio_say(trio, id, msg, blob_copy(slice_after(buf_bytes(&frame), 4)));
    buf_finish(&frame);
}

static void on_peer(struct rig *rig, const struct replica_effect *effect)
{
    struct trio *trio = rig->others;

    if (effect->type != REPLICA_SEND_PEER) {
        on_connect(trio, effect);
        return;
    }
    write_line(trio, effect);
    keep(trio, &effect->message);
    for (uint64_t id = 1; id <= 3; id++) {
        if ((effect->peers >> (id - 1) & 1) != 0) {
            on_message(trio, id, effect->link, &effect->message);
        }
    }
}

/* What a member says to this by itself. */
static void on_message(struct trio *trio, uint64_t id, enum peer_link link,
                       const struct peer_msg *msg)
{
    struct peer_msg *to;

    if (link == PEER_LINK_ELECTION) {
        on_vote(trio, id, msg);
        return;
    }
    switch ((int)msg->type) {
        case PEER_NEW_EPOCH:
            trio->epoch = msg->epoch;
            to = answer(trio, id, PEER_ACK_EPOCH, msg->epoch, trio->zxid);
            to->ack_epoch.counted = !trio->promised[id];
            to->ack_epoch.whole = true;
            trio->promised[id] = true;
            break;
        case PEER_NEW_LEADER:
            answer(trio, id, PEER_ACK_NEW_LEADER, msg->epoch, msg->zxid);
            break;
        case PEER_PROPOSE:
            if (trio->acks[id]) {
                answer(trio, id, PEER_ACK, msg->epoch,
                       msg->zxid + msg->payloads_count - 1);
            }
            break;
        case PEER_PING:
            if (trio->pongs[id]) {
                answer(trio, id, PEER_PONG, msg->epoch, 0)->ping.number =
                    msg->ping.number;
            }
            break;
        case PEER_FOLLOWER_INFO:
            answer(trio, id, PEER_NEW_EPOCH, trio->epoch, 0)
                ->new_epoch.cluster_id[0] = 1;
            break;
        case PEER_ACK_EPOCH:
            synchronize(trio, id, msg->zxid);
            break;
        case PEER_ACK_NEW_LEADER:
            answer(trio, id, PEER_UP_TO_DATE, trio->epoch, msg->zxid);
            break;
        default:
            break;
    }
}

static void synchronize(struct trio *trio, uint64_t id, zxid_t zxid)
{
    struct peer_msg *chunk;

    if (trio->snapshot == NULL) {
        answer(trio, id, PEER_SYNC_DIFF, trio->epoch, zxid);
        answer(trio, id, PEER_NEW_LEADER, trio->epoch, zxid);
        return;
    }
    answer(trio, id, PEER_SYNC_SNAP, trio->epoch, trio->zxid);
    chunk = answer(trio, id, PEER_SNAP_CHUNK, trio->epoch, trio->zxid);
    chunk->snap.number = 1;
    chunk->snap.last = true;
    chunk->payloads_count = 1;
    trio->queue[(trio->first + trio->count - 1) % TRIO_QUEUE_MAX].payload =
        trio->snapshot;
    answer(trio, id, PEER_NEW_LEADER, trio->epoch, trio->zxid);
}

/* All vote for member 3, in the round that the server is in. */
static void on_vote(struct trio *trio, uint64_t id, const struct peer_msg *vote)
{
    struct trio_input *in;

    if (vote->type != PEER_VOTE || vote->vote.state != PEER_LOOKING) {
        return;
    }
    in = enqueue(trio, id, REPLICA_PEER_MESSAGE, PEER_LINK_ELECTION);
    in->msg.type = PEER_VOTE;
    in->msg.vote.candidate = LEADER;
    in->msg.vote.round = vote->vote.round;
    in->msg.vote.state = PEER_LOOKING;
    in->msg.vote.blank = trio->zxid == 0;
    in->msg.vote.no_log = trio->zxid == 0;
    in->msg.zxid = trio->zxid;
    in->msg.epoch = trio->epoch; /* they have taken up what the server has */
}

static void on_connect(struct trio *trio, const struct replica_effect *effect)
{
    for (uint64_t id = 1; id <= 3; id++) {
        bool named = (effect->peers >> (id - 1) & 1) != 0;

        if (effect->type == REPLICA_DROP_PEER && named) {
            trio->dropped[id] = true;
            trio->links[id] = false;
        } else if (effect->type == REPLICA_CONNECT_PEER) {
            trio->dropped[id] |= trio->links[id];
            trio->links[id] = false;
            if (named) {
                trio->epoch++;
                trio_link_up(trio, id);
            }
        }
    }
}

static void write_line(struct trio *trio, const struct replica_effect *effect)
{
    const struct peer_msg *msg = &effect->message;
    struct buf *text = &trio->text;

    if (!peer_msg_is_replicas(msg->type) && msg->type != PEER_PROPOSE &&
        msg->type != PEER_COMMIT && msg->type != PEER_ACK) {
        return;
    }
    if (msg->type == PEER_STATUS || msg->type == PEER_RECLAIM) {
        return;
    }
    for (unsigned id = 1; id <= 3; id++) {
        if ((effect->peers >> (id - 1) & 1) != 0) {
            buf_printf(text, "%u", id);
        }
    }
    buf_printf(text, " %s", peer_msg_name(msg->type));
    if (msg->zxid != 0) {
        buf_printf(text, " z%u", zxid_counter(msg->zxid));
    }
    if (msg->type == PEER_PROPOSE) {
        buf_printf(text, " x%u", msg->payloads_count);
    } else if (msg->type == PEER_REFUSED) {
        buf_printf(text, " %d", msg->refused.code);
    }
    buf_append_text(text, "\n");
}

static void keep(struct trio *trio, const struct peer_msg *msg)
{
    struct blob **kept = &trio->payloads[msg->type];

    cr_assert_lt(msg->type, PEER_TYPES);
    trio->last[msg->type] = *msg;
    blob_unref(*kept);
    *kept = msg->payloads_count == 0
                ? NULL
                : blob_ref(msg->payloads[msg->payloads_count - 1]);
}

static struct peer_msg *answer(struct trio *trio, uint64_t id,
                               enum peer_msg_type type, uint32_t epoch,
                               zxid_t zxid)
{
    struct trio_input *in =
        enqueue(trio, id, REPLICA_PEER_MESSAGE,
                trio->leads ? PEER_LINK_LEARNER : PEER_LINK_LEADER);

    in->msg.type = type;
    in->msg.epoch = epoch;
    in->msg.zxid = zxid;
    return &in->msg;
}

static struct trio_input *enqueue(struct trio *trio, uint64_t id,
                                  enum replica_input_type type,
                                  enum peer_link link)
{
    struct trio_input *in =
        &trio->queue[(trio->first + trio->count) % TRIO_QUEUE_MAX];

    cr_assert_lt(trio->count, TRIO_QUEUE_MAX);
    trio->count++;
    *in = (struct trio_input){.type = type, .link = link, .peer_id = id};
    return in;
}

static void step(struct trio *trio, struct trio_input *in)
{
    if (in->payload != NULL) {
        in->msg.payloads = &in->payload;
    }
    rig_step(trio->rig, &(struct replica_input){.type = in->type,
                                                .link = in->link,
                                                .peer_id = in->peer_id,
                                                .message = &in->msg});
}
