#include "tests/unit/replica/peers.h"

#include <criterion/criterion.h>
#include <inttypes.h>

#include "base/bytes.h"
#include "base/list.h"
#include "base/mem.h"

#define CLUSTER_ID "sixteen letters"
#define LINE_SIZE 400
#define ANSWER_TICKS 500

/* On its way to the replica. */
struct mail {
    struct list link;
    enum replica_input_type type;
    enum peer_link peer_link;
    uint64_t from;
    struct peer_msg msg;
    struct blob *payload;
};

static void take(struct rig *rig, const struct replica_effect *effect);
static bool answer(struct rig *rig);
static void hear(struct peers *peers, uint64_t id,
                 const struct replica_effect *e);
static void hear_vote(struct peers *peers, uint64_t id,
                      const struct peer_msg *msg);
static void hear_leader(struct peers *peers, uint64_t id,
                        const struct peer_msg *msg);
static void hear_learner(struct peers *peers, uint64_t id,
                         const struct peer_msg *msg);
static void write_down(struct peers *peers, uint64_t id,
                       const struct peer_msg *msg);
static void write_entries(struct peers *peers, const struct peer_msg *msg);
static void say_vote(struct peers *peers, uint64_t from);
static void say_elections(struct peers *peers);
static void link_up(struct peers *peers, enum peer_link link, uint64_t id);
static void link_down(struct peers *peers, enum peer_link link, uint64_t id);
static struct mail *post(struct peers *peers, enum replica_input_type type,
                         enum peer_link link, uint64_t from);
static struct peer_msg *reply(struct peers *peers, uint64_t from,
                              enum peer_msg_type type, zxid_t zxid);
static enum peer_link link_of(const struct peers *peers, uint64_t id);
static void boot(struct peers *peers);

void peers_init(struct peers *peers, unsigned self, unsigned voters,
                unsigned observers)
{
    unsigned count = voters + observers;

    cr_assert_leq(count, RIG_MEMBERS_MAX);
    *peers = (struct peers){.self = self, .epoch = 1};
    rig_init(&peers->rig);
    list_init(&peers->mail);
    for (unsigned i = 0; i < count; i++) {
        peers->rig.members[i].voter = i < voters;
        peers->peer[i + 1] = (struct peer){.accepted = 1, .current = 1};
    }
    peers->count = count;
    peers->rig.others = peers;
    peers->rig.on_peer = take;
    peers->rig.on_settle = answer;
    peers->rig.config.zab.self_id = self;
    peers->rig.config.zab.members_count = count;
}

void peers_finish(struct peers *peers)
{
    while (!list_empty(&peers->mail)) {
        struct mail *mail = LIST_ENTRY(peers->mail.next, struct mail, link);

        list_remove(&mail->link);
        blob_unref(mail->payload);
        mem_free(mail);
    }
    rig_finish(&peers->rig);
    buf_finish(&peers->lines);
}

void peers_lead(struct peers *peers)
{
    boot(peers);
    for (int i = 0; i < ANSWER_TICKS && !peers->rig.serving; i++) {
        peers_pass(peers, 20);
    }
    cr_assert(peers->rig.serving, "it does not lead");
    for (uint64_t id = 1; id <= peers->count; id++) {
        cr_assert(id == peers->self || peers->peer[id].synced);
    }
    peers_forget(peers);
}

void peers_follow(struct peers *peers, uint64_t leader)
{
    peers->leader = leader;
    peers->epoch++;
    boot(peers);
    for (int i = 0; i < ANSWER_TICKS && !peers->rig.serving; i++) {
        peers_pass(peers, 20);
    }
    cr_assert(peers->rig.serving, "it does not follow");
    peers_forget(peers);
}

void peers_change_leader(struct peers *peers, uint64_t leader)
{
    peers_lose_leader(peers);
    peers_gain_leader(peers, leader);
}

void peers_lose_leader(struct peers *peers)
{
    if (peers->leader != 0) {
        peers_cut(peers, peers->leader);
    }
    for (uint64_t id = 1; id <= peers->count; id++) {
        if (peers->leader != 0) {
            peers->peer[id].logged = peers_last(peers);
        } else if (id != peers->self) {
            peers_cut(peers, id);
        }
    }
    peers->leaderless = true;
    say_elections(peers);
    for (int i = 0; i < ANSWER_TICKS && peers->rig.serving; i++) {
        peers_pass(peers, 20);
    }
    cr_assert_not(peers->rig.serving, "it goes on without a quorum");
}

void peers_gain_leader(struct peers *peers, uint64_t leader)
{
    peers->leaderless = false;
    peers->leader = leader;
    peers->epoch = peers->epoch_seen + 1;
    say_elections(peers);
    for (int i = 0; i < ANSWER_TICKS && !peers->rig.serving; i++) {
        peers_pass(peers, 20);
    }
    cr_assert(peers->rig.serving, "it does not follow the new leader");
}

void peers_pass(struct peers *peers, int64_t ms)
{
    for (int64_t at = 0; at < ms; at += 20) {
        const struct peer *leader = &peers->peer[peers->leader];

        if (peers->leader != 0 && leader->synced && !leader->mute) {
            reply(peers, peers->leader, PEER_PING, 0);
        }
        rig_pass(&peers->rig, 20);
    }
}

void peers_be_led(struct peers *peers)
{
    peers->leaderless = false;
    peers->leader = 0;
    say_elections(peers);
    for (int i = 0; i < ANSWER_TICKS && !peers->rig.serving; i++) {
        peers_pass(peers, 20);
    }
    cr_assert(peers->rig.serving, "it does not lead");
}

void peers_answer_round(struct peers *peers)
{
    for (uint64_t id = 1; id <= peers->count; id++) {
        if (peers->peer[id].synced && peers->rig.members[id - 1].voter) {
            reply(peers, id, PEER_PONG, 0)->ping.number = peers->round;
        }
    }
}

void peers_vote(struct peers *peers)
{
    say_elections(peers);
    rig_settle(&peers->rig);
}

void peers_cut(struct peers *peers, uint64_t id)
{
    link_down(peers, link_of(peers, id), id);
}

void peers_join(struct peers *peers, uint64_t id)
{
    link_up(peers, PEER_LINK_LEARNER, id);
}

void peers_say(struct peers *peers, uint64_t from, struct peer_msg *msg)
{
    rig_step(&peers->rig, &(struct replica_input){.type = REPLICA_PEER_MESSAGE,
                                                  .peer_id = from,
                                                  .link = link_of(peers, from),
                                                  .message = msg});
    for (uint32_t i = 0; i < msg->payloads_count; i++) {
        blob_unref(msg->payloads[i]);
    }
}

zxid_t peers_deliver(struct peers *peers, const struct txn *txn)
{
    zxid_t zxid = peers_propose(peers, txn);

    rig_settle(&peers->rig);
    peers_commit(peers);
    rig_settle(&peers->rig);
    return zxid;
}

struct txn peers_opened(const struct peers *peers, uint8_t session)
{
    struct txn txn = {.op = ZK_OP_CREATE_SESSION,
                      .request_op = ZK_OP_CREATE_SESSION,
                      .origin_id = peers->self,
                      .origin_request = peers->asked,
                      .session_id = peers->self << 56 | session};

    txn.create_session.timeout_ms = 10000;
    memcpy(txn.create_session.password, peers->password, 16);
    return txn;
}

struct txn peers_create(const struct peers *peers, const char *path)
{
    static const struct zk_acl open = {
        .perms = ZK_PERM_ALL,
        .id = {.scheme = {(const uint8_t *)"world", 5},
               .id = {(const uint8_t *)"anyone", 6}}};
    struct txn txn = {.op = ZK_OP_CREATE,
                      .request_op = ZK_OP_CREATE,
                      .origin_id = peers->self,
                      .origin_request = peers->asked,
                      .session_id = peers->session_id};

    txn.create.path = slice_from_text(path);
    txn.create.data = SLICE_LITERAL("");
    txn.create.parent_sequence = 1;
    txn.create.acl = &open;
    txn.create.acl_count = 1;
    return txn;
}

struct test_client *peers_connect(struct peers *peers, uint8_t session)
{
    struct test_client *client = rig_open(&peers->rig);
    struct txn txn;

    rig_handshake(&peers->rig, client);
    txn = peers_opened(peers, session);
    peers_deliver(peers, &txn);
    rig_expect(client, "session 10000\n");
    peers_forget(peers);
    return client;
}

zxid_t peers_propose(struct peers *peers, const struct txn *txn)
{
    struct peer *leader = &peers->peer[peers->leader];
    struct peer_msg msg = {.type = PEER_PROPOSE, .epoch = peers->epoch};
    struct buf bytes = {0};
    struct blob *payload;

    cr_assert_neq(peers->leader, 0);
    leader->logged = zxid_epoch(leader->logged) == peers->epoch
                         ? leader->logged + 1
                         : zxid_make(peers->epoch, 1);
    txn_encode(txn, &bytes);
    payload = blob_copy(buf_bytes(&bytes));
    buf_finish(&bytes);
    msg.zxid = leader->logged;
    msg.payloads = &payload;
    msg.payloads_count = 1;
    peers_say(peers, peers->leader, &msg);
    return leader->logged;
}

void peers_commit(struct peers *peers)
{
    struct peer_msg msg = {.type = PEER_COMMIT, .epoch = peers->epoch};

    msg.zxid = peers_last(peers);
    peers_say(peers, peers->leader, &msg);
}

zxid_t peers_last(const struct peers *peers)
{
    return peers->peer[peers->leader].logged;
}

void peers_expect(struct peers *peers, const char *lines)
{
    *buf_extend(&peers->lines, 1) = '\0';
    cr_assert_str_eq((const char *)peers->lines.data, lines);
    buf_clear(&peers->lines);
}

void peers_forget(struct peers *peers)
{
    buf_clear(&peers->lines);
}

static void take(struct rig *rig, const struct replica_effect *effect)
{
    struct peers *peers = rig->others;

    for (uint64_t id = 1; id <= peers->count; id++) {
        if ((effect->peers >> (id - 1) & 1) == 0) {
            continue;
        }
        if (effect->type == REPLICA_SEND_PEER) {
            hear(peers, id, effect);
        } else if (effect->type == REPLICA_CONNECT_PEER &&
                   id == peers->leader && !peers->leaderless) {
            link_up(peers, PEER_LINK_LEADER, id);
        } else if (effect->type == REPLICA_DROP_PEER &&
                   effect->link != PEER_LINK_ELECTION) {
            peers->peer[id].up = false;
            peers->peer[id].synced = false;
        }
    }
}

/* One piece of mail. */
static bool answer(struct rig *rig)
{
    struct peers *peers = rig->others;
    struct replica_input input = {0};
    struct mail *mail;

    if (list_empty(&peers->mail)) {
        return false;
    }
    mail = LIST_ENTRY(peers->mail.next, struct mail, link);
    list_remove(&mail->link);
    input.type = mail->type;
    input.peer_id = mail->from;
    input.link = mail->peer_link;
    if (mail->type == REPLICA_PEER_UP) {
        input.version =
            mail->peer_link == PEER_LINK_ELECTION ? 0 : peers->version;
    } else {
        input.message = &mail->msg;
    }
    rig_step(rig, &input);
    blob_unref(mail->payload);
    mem_free(mail);
    return true;
}

static void hear(struct peers *peers, uint64_t id,
                 const struct replica_effect *e)
{
    const struct peer_msg *msg = &e->message;

    if (msg->type == PEER_PING && msg->ping.number != 0) {
        peers->round = msg->ping.number;
    }
    if (peers->peer[id].mute) {
        return;
    }
    if (peers->epoch_seen < msg->epoch) {
        peers->epoch_seen = msg->epoch;
    }
    if (e->link == PEER_LINK_ELECTION) {
        hear_vote(peers, id, msg);
    } else if (!peers->peer[id].up) {
        return; /* lost */
    } else if (peer_msg_is_replicas(msg->type)) {
        write_down(peers, id, msg);
    } else if (e->link == PEER_LINK_LEARNER) {
        hear_leader(peers, id, msg);
    } else {
        hear_learner(peers, id, msg);
    }
}

/* Without a leader among them they vote as the replica does. */
static void hear_vote(struct peers *peers, uint64_t id,
                      const struct peer_msg *msg)
{
    peers->vote = *msg;
    if (peers->leader == 0 && !peers->leaderless) {
        say_vote(peers, id);
        if (msg->vote.state == PEER_LEADING && !peers->peer[id].up) {
            link_up(peers, PEER_LINK_LEARNER, id);
        }
    }
}

/* What a learner answers. */
static void hear_leader(struct peers *peers, uint64_t id,
                        const struct peer_msg *msg)
{
    struct peer *peer = &peers->peer[id];

    switch ((int)msg->type) {
        case PEER_NEW_EPOCH:
            peer->accepted = msg->epoch;
            reply(peers, id, PEER_ACK_EPOCH, peer->logged);
            break;
        case PEER_SYNC_DIFF:
        case PEER_SYNC_TRUNC:
            peer->logged = msg->zxid;
            break;
        case PEER_PROPOSE:
        case PEER_INFORM:
            peer->logged = msg->zxid + msg->payloads_count - 1;
            reply(peers, id, PEER_ACK, peer->logged);
            break;
        case PEER_NEW_LEADER:
            peer->current = msg->epoch;
            reply(peers, id, PEER_ACK_NEW_LEADER, peer->logged);
            break;
        case PEER_UP_TO_DATE:
            peer->synced = true;
            break;
        case PEER_PING:
            reply(peers, id, PEER_PONG, 0)->ping.number = msg->ping.number;
            break;
        default:
            break;
    }
}

/* What a leader answers. */
static void hear_learner(struct peers *peers, uint64_t id,
                         const struct peer_msg *msg)
{
    struct peer *peer = &peers->peer[id];

    switch ((int)msg->type) {
        case PEER_FOLLOWER_INFO:
            reply(peers, id, PEER_NEW_EPOCH, 0);
            break;
        case PEER_ACK_EPOCH:
            cr_assert(msg->ack_epoch.whole, "it wants a snapshot");
            reply(peers, id,
                  msg->zxid <= peer->logged ? PEER_SYNC_DIFF : PEER_SYNC_TRUNC,
                  msg->zxid <= peer->logged ? msg->zxid : peer->logged);
            cr_assert_geq(msg->zxid, peer->logged, "what is missing is gone");
            reply(peers, id, PEER_NEW_LEADER, peer->logged);
            break;
        case PEER_ACK_NEW_LEADER:
            peer->synced = true;
            reply(peers, id, PEER_UP_TO_DATE, peer->logged);
            break;
        default:
            break;
    }
}

static void write_down(struct peers *peers, uint64_t id,
                       const struct peer_msg *msg)
{
    struct peer_msg shown = *msg;
    char line[LINE_SIZE];

    shown.epoch = 0;
    switch ((int)msg->type) {
        case PEER_REQUEST:
            peers->asked = msg->request.origin_request;
            peers->session_id = msg->request.session_id;
            shown.request.origin_request &= UINT32_MAX;
            shown.request.attachment &= UINT32_MAX;
            break;
        case PEER_SYNC_REQUEST:
            peers->asked = msg->sync_request.origin_request;
            peers->session_id = msg->sync_request.session_id;
            shown.sync_request.origin_request &= UINT32_MAX;
            shown.sync_request.attachment &= UINT32_MAX;
            break;
        case PEER_OPEN_SESSION:
            peers->asked = msg->open_session.origin_request;
            memcpy(peers->password, msg->open_session.password, 16);
            shown.open_session.origin_request &= UINT32_MAX;
            break;
        case PEER_REVALIDATE:
            peers->asked = msg->revalidate.origin_request;
            memcpy(peers->password, msg->revalidate.password, 16);
            shown.revalidate.origin_request &= UINT32_MAX;
            break;
        case PEER_DIGEST:
            peers->digest = *msg;
            break;
        default:
            break;
    }
    peer_msg_format(&shown, line, sizeof(line));
    buf_printf(&peers->lines, "%" PRIu64 " %s", id, line);
    write_entries(peers, msg);
    buf_append_text(&peers->lines, "\n");
}

/* Of RECLAIM and STATUS. */
static void write_entries(struct peers *peers, const struct peer_msg *msg)
{
    struct slice bytes;

    if (msg->payloads_count == 0) {
        return;
    }
    bytes = blob_bytes(msg->payloads[0]);
    if (msg->type == PEER_RECLAIM) {
        for (size_t at = 0; at < bytes.len; at += PEER_RECLAIM_SIZE) {
            buf_printf(
                &peers->lines, " (0x%" PRIx64 " %" PRIu32 " %" PRIu32 ")",
                bytes_load64(bytes.ptr + at), bytes_load32(bytes.ptr + at + 12),
                bytes_load32(bytes.ptr + at + 16));
        }
    } else if (msg->type == PEER_STATUS) {
        for (size_t at = 0; at < bytes.len; at += peer_status_size(msg)) {
            buf_printf(&peers->lines, " 0x%" PRIx64,
                       bytes_load64(bytes.ptr + at));
            if (msg->status.owned) {
                buf_printf(&peers->lines, " %" PRIu32,
                           bytes_load32(bytes.ptr + at + 12));
            }
        }
    }
}

static void say_vote(struct peers *peers, uint64_t from)
{
    struct peer_msg msg = peers->vote;
    struct mail *mail;

    msg.vote.blank = false;
    msg.vote.no_log = false;
    if (peers->leaderless) {
        /* They look, and have not heard of one another. */
        msg.vote.state = PEER_LOOKING;
        msg.vote.candidate = 0;
    } else if (peers->leader == 0) {
        msg.vote.candidate = peers->self;
        msg.vote.state =
            msg.vote.state == PEER_LOOKING ? PEER_LOOKING : PEER_FOLLOWING;
    } else {
        msg.epoch = peers->epoch;
        msg.zxid = peers_last(peers);
        msg.vote.candidate = peers->leader;
        msg.vote.state =
            from == peers->leader ? PEER_ESTABLISHED : PEER_FOLLOWING;
    }
    mail = post(peers, REPLICA_PEER_MESSAGE, PEER_LINK_ELECTION, from);
    mail->msg = msg;
    mail->msg.type = PEER_VOTE;
}

static void say_elections(struct peers *peers)
{
    for (uint64_t id = 1; id <= peers->count; id++) {
        if (id != peers->self) {
            say_vote(peers, id);
        }
    }
}

static void link_up(struct peers *peers, enum peer_link link, uint64_t id)
{
    struct peer *peer = &peers->peer[id];
    struct mail *mail;

    (void)post(peers, REPLICA_PEER_UP, link, id);
    if (link == PEER_LINK_ELECTION) {
        return;
    }
    peer->up = true;
    peer->synced = false;
    if (link == PEER_LINK_LEARNER) {
        mail = post(peers, REPLICA_PEER_MESSAGE, link, id);
        mail->msg = (struct peer_msg){.type = PEER_FOLLOWER_INFO,
                                      .epoch = peer->accepted,
                                      .zxid = peer->logged};
        mail->msg.follower_info.voting = peers->rig.members[id - 1].voter;
        mail->msg.follower_info.epoch_current = peer->current;
    }
}

static void link_down(struct peers *peers, enum peer_link link, uint64_t id)
{
    peers->peer[id].up = false;
    peers->peer[id].synced = false;
    rig_step(&peers->rig, &(struct replica_input){.type = REPLICA_PEER_DOWN,
                                                  .peer_id = id,
                                                  .link = link});
}

static struct mail *post(struct peers *peers, enum replica_input_type type,
                         enum peer_link link, uint64_t from)
{
    struct mail *mail = MEM_NEW(struct mail);

    mail->type = type;
    mail->peer_link = link;
    mail->from = from;
    list_push_back(&peers->mail, &mail->link);
    return mail;
}

static struct peer_msg *reply(struct peers *peers, uint64_t from,
                              enum peer_msg_type type, zxid_t zxid)
{
    const struct peer *peer = &peers->peer[from];
    struct mail *mail =
        post(peers, REPLICA_PEER_MESSAGE, link_of(peers, from), from);
    struct peer_msg *msg = &mail->msg;

    *msg = (struct peer_msg){.type = type, .zxid = zxid};
    msg->epoch = peers->leader == 0 ? peer->accepted : peers->epoch;
    if (type == PEER_NEW_EPOCH) {
        memcpy(msg->new_epoch.cluster_id, CLUSTER_ID, 16);
    } else if (type == PEER_ACK_EPOCH) {
        msg->ack_epoch.counted = peers->rig.members[from - 1].voter;
        msg->ack_epoch.whole = true;
        msg->ack_epoch.epoch_current = peer->current;
        msg->ack_epoch.epoch_ends = &peer->logged;
        msg->ack_epoch.epoch_ends_count = peer->logged == 0 ? 0 : 1;
    }
    return msg;
}

static enum peer_link link_of(const struct peers *peers, uint64_t id)
{
    return id == peers->leader ? PEER_LINK_LEADER : PEER_LINK_LEARNER;
}

/* Up to the election: a disk that has taken part in an ensemble, and the mesh.
 */
static void boot(struct peers *peers)
{
    struct store_op op = {.type = STORE_EPOCHS,
                          .owner = STORE_FOR_ZAB,
                          .cluster_id = CLUSTER_ID,
                          .epoch_accepted = 1,
                          .epoch_current = 1};
    struct store_result result;

    fake_disk_submit(peers->rig.disk, &op);
    cr_assert(fake_disk_next(peers->rig.disk, &result));
    peers->rig.serving = false;
    rig_start(&peers->rig);
    for (uint64_t id = 1; id <= peers->count; id++) {
        if (id != peers->self) {
            link_up(peers, PEER_LINK_ELECTION, id);
        }
    }
    if (peers->leader != 0) {
        say_elections(peers);
    }
    rig_settle(&peers->rig);
}
