/* A learner and its leader: what its clients ask that only the leader can
 * decide goes out here, and the answers come back, each with its place in the
 * order: behind the delivery of one zxid and before the next (docs/zab.md).
 * What the leader sends is judged here: what has no place ends the link. */
#include "base/check.h"
#include "replica/replica_internal.h"

static void copy_auth(struct replica *r, const struct origin *origin,
                      struct peer_msg *msg);
static void take_answer(struct replica *r, const struct peer_msg *msg);
static void take_refused(struct replica *r, const struct peer_msg *msg);
static void take_sync_reply(struct replica *r, const struct peer_msg *msg);
static void broken(struct replica *r, const char *why);

/* As much as the leader would keep for us when it cannot go on: it drops who
 * asks for more. */
bool forward_possible(const struct replica *r)
{
    return r->serving && !r->leading && r->ends_queued == 0 &&
           r->leader_id != 0 && r->leader_id != r->self_id &&
           zab_leader_id(r->zab) == r->leader_id &&
           zab_peer_synced(r->zab, r->leader_id) &&
           r->waits.count < r->config.outstanding_max &&
           r->waits_bytes < FORWARD_BYTES_MAX;
}

void forward_request(struct replica *r, const struct origin *origin,
                     struct slice frame)
{
    struct peer_msg *msg = peer_send(r, r->leader_id, PEER_REQUEST);

    msg->request.session_id = origin->session_id;
    msg->request.attachment = origin->attachment;
    msg->request.origin_request = origin->request;
    copy_auth(r, origin, msg);
    msg->payloads = peer_payloads(r, 1);
    msg->payloads[0] = blob_copy(frame);
    msg->payloads_count = 1;
}

void forward_sync(struct replica *r, const struct origin *origin)
{
    struct peer_msg *msg = peer_send(r, r->leader_id, PEER_SYNC_REQUEST);

    msg->sync_request.session_id = origin->session_id;
    msg->sync_request.attachment = origin->attachment;
    msg->sync_request.origin_request = origin->request;
}

void leader_message(struct replica *r, const struct peer_msg *msg)
{
    struct placed *placed;

    switch ((int)msg->type) {
        case PEER_REFUSED:
        case PEER_SYNC_REPLY:
        case PEER_REVALIDATE_REPLY:
            /* One for each question; some that nobody asked do no harm. */
            if (r->placed.count > r->waits.count + r->config.outstanding_max) {
                broken(r, "more answers than anybody has asked for");
                break;
            }
            placed = fifo_push(&r->placed);
            placed->place = msg->zxid;
            placed->msg = *msg;
            placed->msg.payloads = NULL; /* it has none */
            placed->msg.payloads_count = 0;
            break;
        case PEER_SESSION_MOVED:
            session_on_moved(r, msg);
            break;
        case PEER_DIGEST:
            digest_on_message(r, msg);
            break;
        default:
            broken(r, "the leader says what only learners say");
            break;
    }
}

bool placed_due(const struct replica *r)
{
    return r->placed.count > 0 && !r->loading &&
           ((const struct placed *)fifo_at(&r->placed, 0))->place <=
               r->zxid_delivered;
}

/* Taken up before the next delivery begins, so that it is exactly there, if it
 * came in time. */
void placed_take(struct replica *r)
{
    struct placed placed = *(struct placed *)fifo_at(&r->placed, 0);

    fifo_pop(&r->placed);
    r->budget -= COST_FRAME;
    if (placed.place < r->zxid_delivered) {
        broken(r, "an answer came behind its place");
        return;
    }
    take_answer(r, &placed.msg);
}

void placed_drop(struct replica *r)
{
    while (r->placed.count > 0) {
        fifo_pop(&r->placed);
    }
}

/* The connection may be closed before the effects are carried out. */
static void copy_auth(struct replica *r, const struct origin *origin,
                      struct peer_msg *msg)
{
    struct arena *arena = r->out->bytes;
    struct zk_auth *auth = ARENA_NEW(arena, struct zk_auth, origin->auth_count);

    for (size_t i = 0; i < origin->auth_count; i++) {
        auth[i].scheme = arena_copy(arena, origin->auth[i].scheme);
        auth[i].id = arena_copy(arena, origin->auth[i].id);
        auth[i].super = origin->auth[i].super;
    }
    msg->request.auth = auth;
    msg->request.auth_count = (uint32_t)origin->auth_count;
}

static void take_answer(struct replica *r, const struct peer_msg *msg)
{
    if (msg->type == PEER_REFUSED) {
        take_refused(r, msg);
    } else if (msg->type == PEER_SYNC_REPLY) {
        take_sync_reply(r, msg);
    } else {
        CHECK(msg->type == PEER_REVALIDATE_REPLY);
        session_on_revalidate_reply(r, msg);
    }
}

static void take_refused(struct replica *r, const struct peer_msg *msg)
{
    struct barrier barrier = {
        .kind = BARRIER_REFUSED,
        .origin_id = r->self_id,
        .origin_request = msg->refused.origin_request,
        .code = (enum zk_code)msg->refused.code,
        .parts_count = msg->refused.parts_count,
        .part_failed = msg->refused.part_failed,
    };
    const struct wait *wait = wait_find(r, barrier.origin_request);

    if (wait == NULL) {
        return;
    }
    if ((wait->kind != WAIT_WRITE && wait->kind != WAIT_SYNC &&
         wait->kind != WAIT_READS) ||
        msg->refused.code >= 0) {
        broken(r, "a refusal of what cannot be refused");
    } else if (barrier.parts_count > 0 &&
               (wait->op != ZK_OP_MULTI ||
                barrier.parts_count > ZK_MULTI_PARTS_MAX ||
                barrier.part_failed >= barrier.parts_count)) {
        broken(r, "a refused multi with other parts than it has");
    } else {
        barrier_answer(r, &barrier);
    }
}

static void take_sync_reply(struct replica *r, const struct peer_msg *msg)
{
    uint64_t request = msg->sync_reply.origin_request;
    const struct wait *wait = wait_find(r, request);

    if (wait == NULL) {
        return;
    }
    if (wait->kind != WAIT_SYNC && wait->kind != WAIT_READS) {
        broken(r, "a sync is answered that nobody asked for");
        return;
    }
    barrier_answer(r, &(struct barrier){.kind = BARRIER_SYNC,
                                        .origin_id = r->self_id,
                                        .origin_request = request});
}

static void broken(struct replica *r, const char *why)
{
    peer_broken(r, PEER_LINK_LEADER, zab_leader_id(r->zab), why);
}
