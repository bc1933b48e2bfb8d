/* A leader and its learners: what they ask for their clients. It is taken up in
 * the order in which it came, at once when it can be; while half a txn is
 * applied, somebody walks the tree or nothing may be proposed it waits here.
 * Each request is answered once, by its txn or by a barrier. What a learner
 * sends is judged here: its server has checked its client's frames, so what has
 * no place ends the learner's link. */
#include "base/check.h"
#include "base/mem.h"
#include "replica/replica_internal.h"

/* A learner's own bound, the request that went over it, and RECLAIMs, which
 * count for nobody there. */
#define REMOTE_BYTES_MAX (FORWARD_BYTES_MAX + 4 * (size_t)PEER_FRAME_SIZE_MAX)

static bool is_question(enum peer_msg_type type);
static bool may_take(const struct replica *r);
static bool may_decide(const struct replica *r, const struct peer_msg *msg);
static void hold(struct replica *r, uint64_t server_id,
                 const struct peer_msg *msg);
static struct zk_auth *keep_auth(const struct zk_auth *auth, size_t count);
static void take(struct replica *r, uint64_t server_id,
                 const struct peer_msg *msg);
static void take_request(struct replica *r, uint64_t server_id,
                         const struct peer_msg *msg);
static bool decode(struct replica *r, const struct peer_msg *msg,
                   struct client_request *request);
static void take_sync(struct replica *r, uint64_t server_id,
                      const struct peer_msg *msg);
static bool accept(struct replica *r, struct origin *origin);
static size_t payload_len(const struct remote *remote);
static void remote_finish(struct remote *remote);
static void broken(struct replica *r, uint64_t server_id, const char *why);

void learner_message(struct replica *r, uint64_t server_id,
                     const struct peer_msg *msg)
{
    if (msg->type == PEER_STATUS) {
        status_on_message(r, server_id, msg);
    } else if (!is_question(msg->type)) {
        broken(r, server_id, "a learner says what only leaders say");
    } else if (r->remotes.count == 0 && may_take(r) && may_decide(r, msg)) {
        take(r, server_id, msg);
    } else {
        hold(r, server_id, msg);
    }
}

bool learners_wait(const struct replica *r)
{
    const struct remote *first;

    if (r->remotes.count == 0 || !may_take(r)) {
        return false;
    }
    first = fifo_at(&r->remotes, 0);
    return first->server_id == 0 || may_decide(r, &first->msg);
}

void learners_take(struct replica *r)
{
    while (r->budget > 0 && learners_wait(r)) {
        struct remote remote = *(struct remote *)fifo_at(&r->remotes, 0);

        fifo_pop(&r->remotes);
        if (remote.server_id != 0) {
            size_t index = zab_member_index(r->zab, remote.server_id);

            r->remotes_held[index]--;
            r->remotes_bytes[index] -= payload_len(&remote);
            r->budget -= COST_FRAME;
            if (remote.payload != NULL) {
                remote.msg.payloads = &remote.payload;
                remote.msg.payloads_count = 1;
            }
            take(r, remote.server_id, &remote.msg);
        }
        remote_finish(&remote);
    }
}

void learner_forget(struct replica *r, uint64_t server_id)
{
    for (size_t i = 0; i < r->remotes.count; i++) {
        struct remote *remote = fifo_at(&r->remotes, i);

        if (remote->server_id == server_id) {
            /* It may come and go many times before we get to its place. */
            remote_finish(remote);
            *remote = (struct remote){0};
        }
    }
    for (size_t i = 0; i < r->remote_barriers.count; i++) {
        struct barrier *barrier = fifo_at(&r->remote_barriers, i);

        if (barrier->origin_id == server_id) {
            barrier->origin_id = 0;
        }
    }
    r->remotes_held[zab_member_index(r->zab, server_id)] = 0;
    r->remotes_bytes[zab_member_index(r->zab, server_id)] = 0;
}

void learners_drop(struct replica *r)
{
    while (r->remotes.count > 0) {
        remote_finish(fifo_at(&r->remotes, 0));
        fifo_pop(&r->remotes);
    }
    while (r->remote_barriers.count > 0) {
        fifo_pop(&r->remote_barriers);
    }
    memset(r->remotes_held, 0, sizeof(r->remotes_held));
    memset(r->remotes_bytes, 0, sizeof(r->remotes_bytes));
}

static bool is_question(enum peer_msg_type type)
{
    return type == PEER_REQUEST || type == PEER_OPEN_SESSION ||
           type == PEER_SYNC_REQUEST || type == PEER_REVALIDATE ||
           type == PEER_RECLAIM;
}

static bool may_take(const struct replica *r)
{
    return propose_possible(r) && !r->delivery.active && r->holds == 0;
}

/* A learner may have applied, and told its client of, what we have only
 * committed: "unknown" would be premature. */
static bool may_decide(const struct replica *r, const struct peer_msg *msg)
{
    uint64_t session_id = 0;

    if (r->zxid_delivered == r->zxid_routed) {
        return true;
    }
    switch ((int)msg->type) {
        case PEER_REQUEST:
            session_id = msg->request.session_id;
            break;
        case PEER_SYNC_REQUEST:
            session_id = msg->sync_request.session_id;
            break;
        case PEER_REVALIDATE:
            session_id = msg->revalidate.session_id;
            break;
        case PEER_RECLAIM: /* of many */
            return false;
        default:
            return true;
    }
    return session_find(r->sessions, session_id) != NULL;
}

/* A server asks for no more at a time than its clients may have in flight; one
 * RECLAIM may come on top. */
static void hold(struct replica *r, uint64_t server_id,
                 const struct peer_msg *msg)
{
    size_t index = zab_member_index(r->zab, server_id);
    struct remote *remote;

    if (r->remotes_held[index] > r->config.outstanding_max ||
        r->remotes_bytes[index] > REMOTE_BYTES_MAX) {
        broken(r, server_id, "more requests than a server may have in flight");
        return;
    }
    r->remotes_held[index]++;
    session_heard(r, server_id, msg);
    remote = fifo_push(&r->remotes);
    *remote = (struct remote){.server_id = server_id, .msg = *msg};
    remote->msg.payloads = NULL;
    remote->msg.payloads_count = 0;
    if (msg->payloads_count > 0) {
        remote->payload = blob_ref(msg->payloads[0]);
        r->remotes_bytes[index] += blob_bytes(remote->payload).len;
    }
    if (msg->type == PEER_REQUEST) {
        remote->auth = keep_auth(msg->request.auth, msg->request.auth_count);
        remote->msg.request.auth = remote->auth;
    }
}

/* The entries and, behind them, their text. */
static struct zk_auth *keep_auth(const struct zk_auth *auth, size_t count)
{
    size_t size = count * sizeof(*auth);
    struct zk_auth *kept;
    uint8_t *text;

    for (size_t i = 0; i < count; i++) {
        size += auth[i].scheme.len + auth[i].id.len;
    }
    if (size == 0) {
        return NULL;
    }
    kept = mem_alloc(size);
    text = (uint8_t *)(kept + count);
    for (size_t i = 0; i < count; i++) {
        struct slice parts[2] = {auth[i].scheme, auth[i].id};

        for (size_t k = 0; k < 2; k++) {
            if (parts[k].len > 0) {
                memcpy(text, parts[k].ptr, parts[k].len);
            }
            parts[k].ptr = text;
            text += parts[k].len;
        }
        kept[i] = (struct zk_auth){parts[0], parts[1], auth[i].super};
    }
    return kept;
}

static void take(struct replica *r, uint64_t server_id,
                 const struct peer_msg *msg)
{
    switch ((int)msg->type) {
        case PEER_REQUEST:
            take_request(r, server_id, msg);
            break;
        case PEER_SYNC_REQUEST:
            take_sync(r, server_id, msg);
            break;
        case PEER_OPEN_SESSION:
            session_on_open(r, server_id, msg);
            break;
        case PEER_REVALIDATE:
            session_on_revalidate(r, server_id, msg);
            break;
        case PEER_RECLAIM:
            session_on_reclaim(r, server_id, msg);
            break;
        default:
            UNREACHABLE(); /* is_question() has looked */
    }
}

static void take_request(struct replica *r, uint64_t server_id,
                         const struct peer_msg *msg)
{
    struct client_request request;
    struct origin origin = {
        .id = server_id,
        .request = msg->request.origin_request,
        .attachment = msg->request.attachment,
        .session_id = msg->request.session_id,
        .auth = msg->request.auth,
        .auth_count = msg->request.auth_count,
    };

    if (!decode(r, msg, &request)) {
        broken(r, server_id, "a request that its server should have refused");
        return;
    }
    origin.cxid = request.xid;
    if (accept(r, &origin)) {
        write_prepare(r, &origin, &request);
    }
}

/* With the decoder that its own server used: a frame that is no write never
 * left it. */
static bool decode(struct replica *r, const struct peer_msg *msg,
                   struct client_request *request)
{
    struct zk_request_header header;
    const struct client_op *op;
    struct slice frame;

    if (msg->payloads_count != 1) {
        return false;
    }
    frame = blob_bytes(msg->payloads[0]);
    if (client_header_decode(frame, &header) != 0) {
        return false;
    }
    op = client_op_find(header.type);
    return op != NULL && op->kind == ZK_OP_WRITE &&
           client_request_decode(frame, r->arena, request) == 0;
}

static void take_sync(struct replica *r, uint64_t server_id,
                      const struct peer_msg *msg)
{
    struct origin origin = {
        .id = server_id,
        .request = msg->sync_request.origin_request,
        .attachment = msg->sync_request.attachment,
        .session_id = msg->sync_request.session_id,
    };

    if (accept(r, &origin)) {
        barrier_add(r, &(struct barrier){.kind = BARRIER_SYNC,
                                         .origin_id = origin.id,
                                         .origin_request = origin.request});
    }
}

/* Does the session speak through this connection? Refused in its place if not,
 * so that nobody waits for ever. */
static bool accept(struct replica *r, struct origin *origin)
{
    struct session *session = session_find(r->sessions, origin->session_id);

    if (session == NULL) {
        write_refuse(r, origin, ZK_SESSION_EXPIRED);
        return false;
    }
    if (!session_owned(r, session, origin)) {
        write_refuse(r, origin, ZK_SESSION_MOVED);
        return false;
    }
    origin->session_closing = session_closing(session);
    session_touch(r->sessions, session, r->now_ms);
    return true;
}

static size_t payload_len(const struct remote *remote)
{
    return remote->payload == NULL ? 0 : blob_bytes(remote->payload).len;
}

static void remote_finish(struct remote *remote)
{
    blob_unref(remote->payload);
    mem_free(remote->auth);
}

static void broken(struct replica *r, uint64_t server_id, const char *why)
{
    peer_broken(r, PEER_LINK_LEARNER, server_id, why);
}
