#include "proto/peer_body.h"

#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "proto/pb.h"

#define PASSWORD_SIZE 16

typedef void put_fn(struct peer_body *room, const struct peer_msg *msg,
                    Peer__Head *head);
typedef int get_fn(const Peer__Head *head, struct arena *arena,
                   struct peer_msg *msg);

struct rule {
    bool known;
    Peer__Head__BodyCase body;
    put_fn *put; /* NULL: no body */
    get_fn *get;
};

static const struct rule *rule_of(uint32_t type);
static bool password_get(const ProtobufCBinaryData *from, uint8_t *to);
static put_fn put_vote, put_follower_info, put_new_epoch, put_ack_epoch,
    put_snap, put_ping, put_resign, put_request, put_open_session,
    put_sync_request, put_refused, put_sync_reply, put_revalidate,
    put_revalidate_reply, put_session_moved, put_status, put_digest;
static get_fn get_vote, get_follower_info, get_new_epoch, get_ack_epoch,
    get_snap, get_ping, get_resign, get_request, get_open_session,
    get_sync_request, get_refused, get_sync_reply, get_revalidate,
    get_revalidate_reply, get_session_moved, get_status, get_digest;

#define NO_BODY                                     \
    {                                               \
        true, PEER__HEAD__BODY__NOT_SET, NULL, NULL \
    }
#define BODY(name, field)                                       \
    {                                                           \
        true, PEER__HEAD__BODY_##name, put_##field, get_##field \
    }

static const struct rule rules[] = {
    [PEER_VOTE] = BODY(VOTE, vote),
    [PEER_FOLLOWER_INFO] = BODY(FOLLOWER_INFO, follower_info),
    [PEER_NEW_EPOCH] = BODY(NEW_EPOCH, new_epoch),
    [PEER_ACK_EPOCH] = BODY(ACK_EPOCH, ack_epoch),
    [PEER_SYNC_DIFF] = NO_BODY,
    [PEER_SYNC_TRUNC] = NO_BODY,
    [PEER_SYNC_SNAP] = NO_BODY,
    [PEER_SNAP_CHUNK] = BODY(SNAP, snap),
    [PEER_SNAP_ACK] = BODY(SNAP, snap),
    [PEER_NEW_LEADER] = NO_BODY,
    [PEER_ACK_NEW_LEADER] = NO_BODY,
    [PEER_UP_TO_DATE] = NO_BODY,
    [PEER_PROPOSE] = NO_BODY,
    [PEER_ACK] = NO_BODY,
    [PEER_COMMIT] = NO_BODY,
    [PEER_INFORM] = NO_BODY,
    [PEER_PING] = BODY(PING, ping),
    [PEER_PONG] = BODY(PING, ping),
    [PEER_RESIGN] = BODY(RESIGN, resign),
    [PEER_REQUEST] = BODY(REQUEST, request),
    [PEER_OPEN_SESSION] = BODY(OPEN_SESSION, open_session),
    [PEER_SYNC_REQUEST] = BODY(SYNC_REQUEST, sync_request),
    [PEER_REFUSED] = BODY(REFUSED, refused),
    [PEER_SYNC_REPLY] = BODY(SYNC_REPLY, sync_reply),
    [PEER_REVALIDATE] = BODY(REVALIDATE, revalidate),
    [PEER_REVALIDATE_REPLY] = BODY(REVALIDATE_REPLY, revalidate_reply),
    [PEER_RECLAIM] = NO_BODY,
    [PEER_SESSION_MOVED] = BODY(SESSION_MOVED, session_moved),
    [PEER_STATUS] = BODY(STATUS, status),
    [PEER_DIGEST] = BODY(DIGEST, digest),
};

void peer_body_put(struct peer_body *body, const struct peer_msg *msg,
                   Peer__Head *head)
{
    const struct rule *rule = rule_of(msg->type);

    CHECK(rule != NULL);
    body->many_auth = NULL;
    body->many_pointers = NULL;
    head->body_case = rule->body;
    if (rule->put != NULL) {
        rule->put(body, msg, head);
    }
}

void peer_body_finish(struct peer_body *body)
{
    mem_free(body->many_auth);
    mem_free(body->many_pointers);
}

int peer_body_get(const Peer__Head *head, struct arena *arena,
                  struct peer_msg *msg)
{
    const struct rule *rule = rule_of(head->type);

    if (rule == NULL || head->body_case != rule->body) {
        return ERR_MALFORMED;
    }
    return rule->get != NULL ? rule->get(head, arena, msg) : 0;
}

static const struct rule *rule_of(uint32_t type)
{
    if (type >= sizeof(rules) / sizeof(rules[0]) || !rules[type].known) {
        return NULL;
    }
    return &rules[type];
}

static bool password_get(const ProtobufCBinaryData *from, uint8_t *to)
{
    if (from->len != PASSWORD_SIZE) {
        return false;
    }
    memcpy(to, from->data, PASSWORD_SIZE);
    return true;
}

/* ---- In the order of their numbers */

static void put_vote(struct peer_body *room, const struct peer_msg *msg,
                     Peer__Head *head)
{
    Peer__Vote *body = &room->vote;

    peer__vote__init(body);
    body->candidate = msg->vote.candidate;
    body->round = msg->vote.round;
    body->state = msg->vote.state;
    body->blank = msg->vote.blank;
    body->no_log = msg->vote.no_log;
    head->vote = body;
}

static int get_vote(const Peer__Head *head, struct arena *arena,
                    struct peer_msg *msg)
{
    const Peer__Vote *body = head->vote;

    (void)arena;
    if (body->state < PEER_LOOKING || body->state > PEER_ESTABLISHED) {
        return ERR_MALFORMED;
    }
    msg->vote.candidate = body->candidate;
    msg->vote.round = body->round;
    msg->vote.state = (enum peer_state)body->state;
    msg->vote.blank = body->blank;
    msg->vote.no_log = body->no_log;
    return 0;
}

static void put_follower_info(struct peer_body *room,
                              const struct peer_msg *msg, Peer__Head *head)
{
    Peer__FollowerInfo *body = &room->follower_info;

    peer__follower_info__init(body);
    body->voting = msg->follower_info.voting;
    body->epoch_current = msg->follower_info.epoch_current;
    head->follower_info = body;
}

static int get_follower_info(const Peer__Head *head, struct arena *arena,
                             struct peer_msg *msg)
{
    (void)arena;
    msg->follower_info.voting = head->follower_info->voting;
    msg->follower_info.epoch_current = head->follower_info->epoch_current;
    return 0;
}

static void put_new_epoch(struct peer_body *room, const struct peer_msg *msg,
                          Peer__Head *head)
{
    Peer__NewEpoch *body = &room->new_epoch;

    peer__new_epoch__init(body);
    body->cluster_id =
        pb_bytes(slice_make(msg->new_epoch.cluster_id, PEER_CLUSTER_ID_SIZE));
    head->new_epoch = body;
}

static int get_new_epoch(const Peer__Head *head, struct arena *arena,
                         struct peer_msg *msg)
{
    const ProtobufCBinaryData *id = &head->new_epoch->cluster_id;

    (void)arena;
    if (id->len != PEER_CLUSTER_ID_SIZE) {
        return ERR_MALFORMED;
    }
    memcpy(msg->new_epoch.cluster_id, id->data, PEER_CLUSTER_ID_SIZE);
    return 0;
}

static void put_ack_epoch(struct peer_body *room, const struct peer_msg *msg,
                          Peer__Head *head)
{
    Peer__AckEpoch *body = &room->ack_epoch;

    CHECK(msg->ack_epoch.epoch_ends_count <= PEER_EPOCH_ENDS_MAX);
    peer__ack_epoch__init(body);
    body->counted = msg->ack_epoch.counted;
    body->whole = msg->ack_epoch.whole;
    body->epoch_current = msg->ack_epoch.epoch_current;
    body->checkpoint = msg->ack_epoch.checkpoint;
    body->n_epoch_ends = msg->ack_epoch.epoch_ends_count;
    /* Only read by packing. */
    body->epoch_ends = (uint64_t *)(uintptr_t)msg->ack_epoch.epoch_ends;
    head->ack_epoch = body;
}

static int get_ack_epoch(const Peer__Head *head, struct arena *arena,
                         struct peer_msg *msg)
{
    const Peer__AckEpoch *body = head->ack_epoch;

    (void)arena;
    if (body->n_epoch_ends > PEER_EPOCH_ENDS_MAX) {
        return ERR_TOO_BIG;
    }
    for (size_t i = 1; i < body->n_epoch_ends; i++) {
        if (zxid_epoch(body->epoch_ends[i]) <=
            zxid_epoch(body->epoch_ends[i - 1])) {
            return ERR_MALFORMED;
        }
    }
    msg->ack_epoch.counted = body->counted;
    msg->ack_epoch.whole = body->whole;
    msg->ack_epoch.epoch_current = body->epoch_current;
    msg->ack_epoch.checkpoint = body->checkpoint;
    msg->ack_epoch.epoch_ends = body->epoch_ends;
    msg->ack_epoch.epoch_ends_count = (uint32_t)body->n_epoch_ends;
    return 0;
}

static void put_snap(struct peer_body *room, const struct peer_msg *msg,
                     Peer__Head *head)
{
    Peer__Snap *body = &room->snap;

    peer__snap__init(body);
    body->number = msg->snap.number;
    body->last = msg->snap.last;
    head->snap = body;
}

static int get_snap(const Peer__Head *head, struct arena *arena,
                    struct peer_msg *msg)
{
    (void)arena;
    if (head->snap->number == 0) {
        return ERR_MALFORMED;
    }
    msg->snap.number = head->snap->number;
    msg->snap.last = head->snap->last;
    return 0;
}

static void put_ping(struct peer_body *room, const struct peer_msg *msg,
                     Peer__Head *head)
{
    Peer__Ping *body = &room->ping;

    peer__ping__init(body);
    body->number = msg->ping.number;
    head->ping = body;
}

static int get_ping(const Peer__Head *head, struct arena *arena,
                    struct peer_msg *msg)
{
    (void)arena;
    msg->ping.number = head->ping->number;
    return 0;
}

static void put_resign(struct peer_body *room, const struct peer_msg *msg,
                       Peer__Head *head)
{
    Peer__Resign *body = &room->resign;

    peer__resign__init(body);
    body->successor = msg->resign.successor;
    head->resign = body;
}

static int get_resign(const Peer__Head *head, struct arena *arena,
                      struct peer_msg *msg)
{
    (void)arena;
    msg->resign.successor = head->resign->successor;
    return 0;
}

static void put_request(struct peer_body *room, const struct peer_msg *msg,
                        Peer__Head *head)
{
    uint32_t count = msg->request.auth_count;
    Peer__Request *body = &room->request;
    Peer__Auth *items = room->few_auth, **pointers = room->few_pointers;

    CHECK(count <= PEER_AUTH_MAX);
    if (count > PEER_AUTH_FEW) {
        room->many_auth = MEM_ARRAY(Peer__Auth, count);
        room->many_pointers = MEM_ARRAY(Peer__Auth *, count);
        items = room->many_auth;
        pointers = room->many_pointers;
    }
    peer__request__init(body);
    body->session_id = msg->request.session_id;
    body->attachment = msg->request.attachment;
    body->origin_request = msg->request.origin_request;
    for (uint32_t i = 0; i < count; i++) {
        peer__auth__init(&items[i]);
        items[i].scheme = pb_bytes(msg->request.auth[i].scheme);
        items[i].id = pb_bytes(msg->request.auth[i].id);
        items[i].super = msg->request.auth[i].super;
        pointers[i] = &items[i];
    }
    body->n_auth = count;
    body->auth = pointers;
    head->request = body;
}

static int get_request(const Peer__Head *head, struct arena *arena,
                       struct peer_msg *msg)
{
    const Peer__Request *body = head->request;
    struct zk_auth *auth;

    if (body->n_auth > PEER_AUTH_MAX) {
        return ERR_TOO_BIG;
    }
    msg->request.session_id = body->session_id;
    msg->request.attachment = body->attachment;
    msg->request.origin_request = body->origin_request;
    if (body->n_auth == 0) {
        return 0;
    }
    auth = ARENA_NEW(arena, struct zk_auth, body->n_auth);
    for (size_t i = 0; i < body->n_auth; i++) {
        auth[i].scheme = pb_slice(&body->auth[i]->scheme);
        auth[i].id = pb_slice(&body->auth[i]->id);
        auth[i].super = body->auth[i]->super;
    }
    msg->request.auth = auth;
    msg->request.auth_count = (uint32_t)body->n_auth;
    return 0;
}

static void put_open_session(struct peer_body *room, const struct peer_msg *msg,
                             Peer__Head *head)
{
    Peer__OpenSession *body = &room->open_session;

    peer__open_session__init(body);
    body->origin_request = msg->open_session.origin_request;
    body->timeout_ms = msg->open_session.timeout_ms;
    body->password =
        pb_bytes(slice_make(msg->open_session.password, PASSWORD_SIZE));
    head->open_session = body;
}

static int get_open_session(const Peer__Head *head, struct arena *arena,
                            struct peer_msg *msg)
{
    const Peer__OpenSession *body = head->open_session;

    (void)arena;
    msg->open_session.origin_request = body->origin_request;
    msg->open_session.timeout_ms = body->timeout_ms;
    return password_get(&body->password, msg->open_session.password)
               ? 0
               : ERR_MALFORMED;
}

static void put_sync_request(struct peer_body *room, const struct peer_msg *msg,
                             Peer__Head *head)
{
    Peer__SyncRequest *body = &room->sync_request;

    peer__sync_request__init(body);
    body->session_id = msg->sync_request.session_id;
    body->attachment = msg->sync_request.attachment;
    body->origin_request = msg->sync_request.origin_request;
    head->sync_request = body;
}

static int get_sync_request(const Peer__Head *head, struct arena *arena,
                            struct peer_msg *msg)
{
    (void)arena;
    msg->sync_request.session_id = head->sync_request->session_id;
    msg->sync_request.attachment = head->sync_request->attachment;
    msg->sync_request.origin_request = head->sync_request->origin_request;
    return 0;
}

static void put_refused(struct peer_body *room, const struct peer_msg *msg,
                        Peer__Head *head)
{
    Peer__Refused *body = &room->refused;

    peer__refused__init(body);
    body->origin_request = msg->refused.origin_request;
    body->code = msg->refused.code;
    body->parts_count = msg->refused.parts_count;
    body->part_failed = msg->refused.part_failed;
    head->refused = body;
}

/* A reply is built with so many parts: a limit, as for a client's multi. */
static int get_refused(const Peer__Head *head, struct arena *arena,
                       struct peer_msg *msg)
{
    const Peer__Refused *body = head->refused;

    (void)arena;
    if (body->parts_count > ZK_MULTI_PARTS_MAX) {
        return ERR_TOO_BIG;
    }
    if (body->part_failed > 0 && body->part_failed >= body->parts_count) {
        return ERR_MALFORMED;
    }
    msg->refused.origin_request = body->origin_request;
    msg->refused.code = body->code;
    msg->refused.parts_count = body->parts_count;
    msg->refused.part_failed = body->part_failed;
    return 0;
}

static void put_sync_reply(struct peer_body *room, const struct peer_msg *msg,
                           Peer__Head *head)
{
    Peer__SyncReply *body = &room->sync_reply;

    peer__sync_reply__init(body);
    body->origin_request = msg->sync_reply.origin_request;
    head->sync_reply = body;
}

static int get_sync_reply(const Peer__Head *head, struct arena *arena,
                          struct peer_msg *msg)
{
    (void)arena;
    msg->sync_reply.origin_request = head->sync_reply->origin_request;
    return 0;
}

static void put_revalidate(struct peer_body *room, const struct peer_msg *msg,
                           Peer__Head *head)
{
    Peer__Revalidate *body = &room->revalidate;

    peer__revalidate__init(body);
    body->session_id = msg->revalidate.session_id;
    body->origin_request = msg->revalidate.origin_request;
    body->timeout_ms = msg->revalidate.timeout_ms;
    body->password =
        pb_bytes(slice_make(msg->revalidate.password, PASSWORD_SIZE));
    head->revalidate = body;
}

static int get_revalidate(const Peer__Head *head, struct arena *arena,
                          struct peer_msg *msg)
{
    const Peer__Revalidate *body = head->revalidate;

    (void)arena;
    msg->revalidate.session_id = body->session_id;
    msg->revalidate.origin_request = body->origin_request;
    msg->revalidate.timeout_ms = body->timeout_ms;
    return password_get(&body->password, msg->revalidate.password)
               ? 0
               : ERR_MALFORMED;
}

static void put_revalidate_reply(struct peer_body *room,
                                 const struct peer_msg *msg, Peer__Head *head)
{
    Peer__RevalidateReply *body = &room->revalidate_reply;

    peer__revalidate_reply__init(body);
    body->session_id = msg->revalidate_reply.session_id;
    body->origin_request = msg->revalidate_reply.origin_request;
    body->timeout_ms = msg->revalidate_reply.timeout_ms;
    body->ok = msg->revalidate_reply.ok;
    head->revalidate_reply = body;
}

static int get_revalidate_reply(const Peer__Head *head, struct arena *arena,
                                struct peer_msg *msg)
{
    const Peer__RevalidateReply *body = head->revalidate_reply;

    (void)arena;
    msg->revalidate_reply.session_id = body->session_id;
    msg->revalidate_reply.origin_request = body->origin_request;
    msg->revalidate_reply.timeout_ms = body->timeout_ms;
    msg->revalidate_reply.ok = body->ok;
    return 0;
}

static void put_session_moved(struct peer_body *room,
                              const struct peer_msg *msg, Peer__Head *head)
{
    Peer__SessionMoved *body = &room->session_moved;

    peer__session_moved__init(body);
    body->session_id = msg->session_moved.session_id;
    body->attachment = msg->session_moved.attachment;
    head->session_moved = body;
}

static int get_session_moved(const Peer__Head *head, struct arena *arena,
                             struct peer_msg *msg)
{
    (void)arena;
    msg->session_moved.session_id = head->session_moved->session_id;
    msg->session_moved.attachment = head->session_moved->attachment;
    return 0;
}

static void put_status(struct peer_body *room, const struct peer_msg *msg,
                       Peer__Head *head)
{
    Peer__Status *body = &room->status;

    peer__status__init(body);
    body->disk_low = msg->status.disk_low;
    body->has_owned = msg->status.owned;
    body->owned = msg->status.owned;
    head->status = body;
}

static int get_status(const Peer__Head *head, struct arena *arena,
                      struct peer_msg *msg)
{
    (void)arena;
    msg->status.disk_low = head->status->disk_low;
    msg->status.owned = head->status->has_owned && head->status->owned;
    return 0;
}

static void put_digest(struct peer_body *room, const struct peer_msg *msg,
                       Peer__Head *head)
{
    Peer__Digest *body = &room->digest;

    peer__digest__init(body);
    body->tree = msg->digest.tree;
    body->sessions = msg->digest.sessions;
    head->digest = body;
}

static int get_digest(const Peer__Head *head, struct arena *arena,
                      struct peer_msg *msg)
{
    (void)arena;
    msg->digest.tree = head->digest->tree;
    msg->digest.sessions = head->digest->sessions;
    return 0;
}
