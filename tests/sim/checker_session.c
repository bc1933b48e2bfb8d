/* Sessions, as their leaders hear of them: ids are unique for ever, and nobody
 * is expired before the time-out has passed since the last word that reached
 * the leader, by the leader's clock; a new leader gives everybody all of it. */
#include "base/bytes.h"
#include "base/mem.h"
#include "tests/sim/checker_internal.h"

#define ID_SIZE 8U
#define RECLAIM_SIZE 20U

static void from_learner(struct checker *c, unsigned server,
                         const struct replica_input *input);
static void touch(struct checker *c, unsigned server, struct heard *heard,
                  int64_t now_ms);
static void owned_touch(struct checker *c, unsigned server,
                        const struct replica_input *input, uint64_t id,
                        uint64_t attachment);
static void own(struct checker *c, unsigned server,
                const struct replica_input *input, uint64_t id,
                uint64_t attachment);
static void take_status(struct checker *c, unsigned server,
                        const struct replica_input *input);
static void take_reclaim(struct checker *c, unsigned server,
                         const struct replica_input *input);
static struct heard *find(const struct checker *c, uint64_t id);
static void check_expiry(struct checker *c, unsigned server,
                         struct heard *heard, uint64_t id, int64_t now_ms);

void checker_session_finish(struct checker *c)
{
    struct map_link *link;

    while ((link = map_first(&c->sessions)) != NULL) {
        map_remove(&c->sessions, link);
        mem_free(MAP_ENTRY(link, struct heard, link));
    }
    map_finish(&c->sessions);
}

void checker_session_input(struct checker *c, unsigned server,
                           const struct checker_view *view,
                           const struct replica_input *input)
{
    struct inspect_conn conn;
    struct heard *heard;

    if (input->type == REPLICA_PEER_MESSAGE &&
        input->link == PEER_LINK_LEARNER) {
        from_learner(c, server, input);
    } else if (input->type == REPLICA_CLIENT_FRAME && view->replica != NULL &&
               inspect_conn_find(view->replica, input->conn_id, &conn)) {
        heard = find(c, conn.session_id);
        if (heard != NULL) {
            touch(c, server, heard, input->now_ms);
        }
    }
}

void checker_session_proposed(struct checker *c, unsigned server,
                              const struct checker_view *view,
                              const struct txn *txn, int64_t now_ms)
{
    struct heard *heard = find(c, txn->session_id);

    (void)view;
    if (txn->op == ZK_OP_CREATE_SESSION) {
        if (heard != NULL) {
            sim_fail(c->sim, "Sessions: 0x%llx is opened a second time",
                     (unsigned long long)txn->session_id);
            return;
        }
        heard = MEM_NEW(struct heard);
        heard->timeout_ms = txn->create_session.timeout_ms;
        heard->owner_id = txn->origin_id;
        heard->owner_attachment = txn->origin_request;
        map_add_number(&c->sessions, &heard->link, txn->session_id);
        touch(c, server, heard, now_ms);
        return;
    }
    if (heard == NULL) {
        if (txn->session_id != 0) {
            sim_fail(c->sim, "Sessions: 0x%llx was never opened",
                     (unsigned long long)txn->session_id);
        }
        return;
    }
    if (txn->op == ZK_OP_CLOSE_SESSION && txn->origin_request == 0) {
        check_expiry(c, server, heard, txn->session_id, now_ms);
    }
}

static void from_learner(struct checker *c, unsigned server,
                         const struct replica_input *input)
{
    const struct peer_msg *msg = input->message;

    switch ((int)msg->type) {
        case PEER_REQUEST:
            owned_touch(c, server, input, msg->request.session_id,
                        msg->request.attachment);
            break;
        case PEER_SYNC_REQUEST:
            owned_touch(c, server, input, msg->sync_request.session_id,
                        msg->sync_request.attachment);
            break;
        case PEER_STATUS:
            take_status(c, server, input);
            break;
        case PEER_RECLAIM:
            take_reclaim(c, server, input);
            break;
        case PEER_REVALIDATE: {
            struct heard *heard = find(c, msg->revalidate.session_id);

            own(c, server, input, msg->revalidate.session_id,
                msg->revalidate.origin_request);
            /* Negotiated anew: either may hold when the leader changes. */
            if (heard != NULL &&
                msg->revalidate.timeout_ms < heard->timeout_ms) {
                heard->timeout_ms = msg->revalidate.timeout_ms;
            }
            break;
        }
        default:
            break;
    }
}

static void touch(struct checker *c, unsigned server, struct heard *heard,
                  int64_t now_ms)
{
    heard->reign = c->servers[server].reign;
    heard->touched_ms = now_ms;
}

/* A word of an old connection counts for nothing. */
static void owned_touch(struct checker *c, unsigned server,
                        const struct replica_input *input, uint64_t id,
                        uint64_t attachment)
{
    struct heard *heard = find(c, id);

    if (heard != NULL && heard->owner_id == input->peer_id &&
        heard->owner_attachment == attachment &&
        heard->reign == c->servers[server].reign) {
        touch(c, server, heard, input->now_ms);
    }
}

static void own(struct checker *c, unsigned server,
                const struct replica_input *input, uint64_t id,
                uint64_t attachment)
{
    struct heard *heard = find(c, id);

    if (heard != NULL) {
        heard->owner_id = input->peer_id;
        heard->owner_attachment = attachment;
        touch(c, server, heard, input->now_ms);
    }
}

static void take_status(struct checker *c, unsigned server,
                        const struct replica_input *input)
{
    const struct peer_msg *msg = input->message;
    struct slice ids;

    if (msg->payloads_count == 0) {
        return;
    }
    for (ids = blob_bytes(msg->payloads[0]); ids.len >= ID_SIZE;
         ids = slice_after(ids, ID_SIZE)) {
        struct heard *heard = find(c, bytes_load64(ids.ptr));

        if (heard != NULL && heard->owner_id == input->peer_id &&
            heard->reign == c->servers[server].reign) {
            touch(c, server, heard, input->now_ms);
        }
    }
}

static void take_reclaim(struct checker *c, unsigned server,
                         const struct replica_input *input)
{
    const struct peer_msg *msg = input->message;
    struct slice list;

    if (msg->payloads_count == 0) {
        return;
    }
    for (list = blob_bytes(msg->payloads[0]); list.len >= RECLAIM_SIZE;
         list = slice_after(list, RECLAIM_SIZE)) {
        struct heard *heard = find(c, bytes_load64(list.ptr));

        /* The first that asks a new leader becomes the owner. */
        if (heard != NULL && heard->reign != c->servers[server].reign) {
            own(c, server, input, bytes_load64(list.ptr),
                bytes_load64(list.ptr + 8));
        }
    }
}

static struct heard *find(const struct checker *c, uint64_t id)
{
    struct map_link *link = map_find_number(&c->sessions, id);

    return link == NULL ? NULL : MAP_ENTRY(link, struct heard, link);
}

static void check_expiry(struct checker *c, unsigned server,
                         struct heard *heard, uint64_t id, int64_t now_ms)
{
    const struct server *s = &c->servers[server];
    int64_t since = heard->reign == s->reign ? heard->touched_ms : s->reign_ms;

    if (now_ms - since < heard->timeout_ms) {
        sim_fail(c->sim,
                 "Expiry: server %u closes session 0x%llx %lld ms after it "
                 "heard of it, it has %d",
                 server, (unsigned long long)id, (long long)(now_ms - since),
                 heard->timeout_ms);
    }
}
