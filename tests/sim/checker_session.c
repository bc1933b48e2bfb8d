/* Sessions, as their leaders hear of them: ids are unique for ever, and nobody
 * is expired before the time-out has passed since the last word that reached
 * the leader, by the leader's clock; a new leader gives everybody all of it. */
#include "base/bytes.h"
#include "base/mem.h"
#include "tests/sim/checker_internal.h"

/* A server says that its connection speaks for a session. */
struct claim {
    uint64_t session_id, server_id, attachment; /* attachment 0: not said */
};

static void from_learner(struct checker *c, unsigned server,
                         const struct checker_view *view,
                         const struct replica_input *input);
static void touch(struct checker *c, unsigned server, struct heard *heard,
                  int64_t now_ms);
static void touch_owned(struct checker *c, unsigned server,
                        const struct checker_view *view,
                        const struct replica_input *input, struct claim claim);
static bool is_owner(const struct checker_view *view, const struct heard *heard,
                     struct claim claim);
static void take_list(struct checker *c, unsigned server,
                      const struct checker_view *view,
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
        from_learner(c, server, view, input);
    } else if (input->type == REPLICA_CLIENT_FRAME && view->replica != NULL &&
               inspect_conn_find(view->replica, input->conn_id, &conn) &&
               !conn.read_only) {
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
                         const struct checker_view *view,
                         const struct replica_input *input)
{
    const struct peer_msg *msg = input->message;
    struct claim claim = {.server_id = input->peer_id};
    struct heard *heard;

    switch ((int)msg->type) {
        case PEER_REQUEST:
            claim.session_id = msg->request.session_id;
            claim.attachment = msg->request.attachment;
            touch_owned(c, server, view, input, claim);
            break;
        case PEER_SYNC_REQUEST:
            claim.session_id = msg->sync_request.session_id;
            claim.attachment = msg->sync_request.attachment;
            touch_owned(c, server, view, input, claim);
            break;
        case PEER_STATUS:
        case PEER_RECLAIM:
            take_list(c, server, view, input);
            break;
        case PEER_REVALIDATE:
            claim.session_id = msg->revalidate.session_id;
            claim.attachment = msg->revalidate.origin_request;
            touch_owned(c, server, view, input, claim);
            /* Negotiated anew: either may hold when the leader changes. */
            heard = find(c, claim.session_id);
            if (heard != NULL &&
                msg->revalidate.timeout_ms < heard->timeout_ms) {
                heard->timeout_ms = msg->revalidate.timeout_ms;
            }
            break;
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
static void touch_owned(struct checker *c, unsigned server,
                        const struct checker_view *view,
                        const struct replica_input *input, struct claim claim)
{
    struct heard *heard = find(c, claim.session_id);

    if (heard != NULL && is_owner(view, heard, claim)) {
        touch(c, server, heard, input->now_ms);
    }
}

static bool is_owner(const struct checker_view *view, const struct heard *heard,
                     struct claim claim)
{
    uint64_t server_id, attachment;

    if (view->replica == NULL) {
        return heard->owner_id == claim.server_id;
    }
    return inspect_session_owner(view->replica, claim.session_id, &server_id,
                                 &attachment) &&
           server_id == claim.server_id &&
           (claim.attachment == 0 || attachment == claim.attachment);
}

/* STATUS and RECLAIM: many sessions; with attachments but in a STATUS of
 * version 1. */
static void take_list(struct checker *c, unsigned server,
                      const struct checker_view *view,
                      const struct replica_input *input)
{
    const struct peer_msg *msg = input->message;
    bool reclaim = msg->type == PEER_RECLAIM;
    bool owned = reclaim || msg->status.owned;
    size_t size = reclaim ? PEER_RECLAIM_SIZE : peer_status_size(msg);

    for (uint32_t i = 0; i < msg->payloads_count; i++) {
        struct slice list = blob_bytes(msg->payloads[i]);

        for (; list.len >= size; list = slice_after(list, size)) {
            struct claim claim = {.session_id = bytes_load64(list.ptr),
                                  .server_id = input->peer_id,
                                  .attachment =
                                      owned ? bytes_load64(list.ptr + 8) : 0};

            touch_owned(c, server, view, input, claim);
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
