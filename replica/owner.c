/* Which connection of which server speaks for a session: kept by the leader, in
 * memory only, as (server, number of its handshake). A session that moves is
 * taken from its old connection at once; what that one still sends is dropped
 * (DESIGN 2.9). Another server's resume is a txn, too: the old server, which
 * may be slow or cut off, closes its connection before it serves under the next
 * leader, who cannot know (ZOOKEEPER-417). */
#include "base/bytes.h"
#include "base/check.h"
#include "replica/replica_internal.h"

static void accept(struct replica *r, struct session *session,
                   uint64_t server_id, const struct peer_msg *msg);
static void propose_move(struct replica *r, const struct session *session,
                         uint64_t server_id, uint64_t attachment);
static void refuse(struct replica *r, uint64_t server_id,
                   const struct peer_msg *msg);
static void refuse_now(struct replica *r, uint64_t server_id,
                       const struct peer_msg *msg);
static bool next_claim(struct slice *claims, struct origin *origin,
                       int32_t *timeout_ms);
static void reclaim(struct replica *r, const struct origin *origin,
                    int32_t timeout_ms);
static void touch_owned(struct replica *r, const struct origin *origin);
static bool is_owner(const struct session *session,
                     const struct origin *origin);
static void give_to(struct replica *r, struct session *session,
                    uint64_t server_id, uint64_t attachment);
static void tell_moved(struct replica *r, uint64_t id, uint64_t server_id,
                       uint64_t attachment);
static void close_conn(struct replica *r, uint64_t id, uint64_t attachment,
                       const char *why);

void session_on_open(struct replica *r, uint64_t server_id,
                     const struct peer_msg *msg)
{
    struct origin origin = {.id = server_id,
                            .request = msg->open_session.origin_request};
    struct prep_context context;
    struct txn txn;

    CHECK(propose_possible(r));
    origin.session_id = session_id_make(server_id, zab_next_zxid(r->zab));
    write_context(r, &origin, &context);
    prep_create_session(r->prep, &context,
                        session_clamp_timeout(r, msg->open_session.timeout_ms),
                        msg->open_session.password, &txn);
    write_propose(r, &txn);
}

/* Decided by the applied table and what is proposed, here and now; answered
 * through a barrier: what the old connection had in flight is then delivered,
 * so that the client's first read shows what became of it, and who is no leader
 * any more says nothing. */
void session_on_revalidate(struct replica *r, uint64_t server_id,
                           const struct peer_msg *msg)
{
    struct session *session =
        session_find(r->sessions, msg->revalidate.session_id);

    if (session != NULL && !session_closing(session) &&
        session_password_equal(session,
                               slice_make(msg->revalidate.password,
                                          sizeof(msg->revalidate.password)))) {
        accept(r, session, server_id, msg);
    } else if (MUTATION(29)) {
        refuse_now(r, server_id, msg);
    } else {
        refuse(r, server_id, msg);
    }
}

void session_on_reclaim(struct replica *r, uint64_t server_id,
                        const struct peer_msg *msg)
{
    for (uint32_t i = 0; i < msg->payloads_count; i++) {
        struct slice claims = blob_bytes(msg->payloads[i]);
        struct origin origin = {.id = server_id};
        int32_t timeout_ms;

        while (next_claim(&claims, &origin, &timeout_ms)) {
            reclaim(r, &origin, timeout_ms);
            r->budget -= COST_EVENT;
        }
    }
}

bool session_owned(struct replica *r, struct session *session,
                   const struct origin *origin)
{
    if (session_owner(session) == 0) {
        session_set_owner(session, origin->id, origin->attachment);
        return true;
    }
    if (is_owner(session, origin) || MUTATION(18)) {
        return true;
    }
    tell_moved(r, session_id(session), origin->id, origin->attachment);
    return false;
}

void session_heard(struct replica *r, uint64_t server_id,
                   const struct peer_msg *msg)
{
    struct origin origin = {.id = server_id};

    if (msg->type == PEER_REQUEST) {
        origin.session_id = msg->request.session_id;
        origin.attachment = msg->request.attachment;
        touch_owned(r, &origin);
    } else if (msg->type == PEER_SYNC_REQUEST) {
        origin.session_id = msg->sync_request.session_id;
        origin.attachment = msg->sync_request.attachment;
        touch_owned(r, &origin);
    }
    for (uint32_t i = 0; msg->type == PEER_RECLAIM && i < msg->payloads_count;
         i++) {
        struct slice claims = blob_bytes(msg->payloads[i]);
        int32_t timeout_ms;

        while (next_claim(&claims, &origin, &timeout_ms)) {
            touch_owned(r, &origin);
        }
    }
}

/* What learners' connections speak for they say themselves, in RECLAIM. */
void session_own_all(struct replica *r)
{
    struct session *session = NULL;

    while ((session = session_next(r->sessions, session)) != NULL) {
        session_set_owner(session, 0, 0);
    }
    for (struct map_link *link = map_first(&r->conns); link != NULL;
         link = map_next(&r->conns, link)) {
        const struct conn *conn = MAP_ENTRY(link, struct conn, by_id);

        if (conn->state == CONN_OPEN) {
            session_set_owner(conn->session, r->self_id, conn->attachment);
        }
    }
}

void session_on_moved(struct replica *r, const struct peer_msg *msg)
{
    close_conn(r, msg->session_moved.session_id, msg->session_moved.attachment,
               "session moved to another server");
}

/* SESSION_MOVED dies with the leader that sent it; that a session is resumed
 * elsewhere, and what it does there, arrives nevertheless, and before we serve
 * under the next one. An open connection's resume had its place behind all that
 * came before it. */
void session_delivered(struct replica *r, const struct txn *txn)
{
    struct session *session;
    struct conn *conn;

    /* The server's own txns have no request. */
    if (txn->origin_id == r->self_id || txn->origin_request == 0) {
        return;
    }
    session = session_find(r->sessions, txn->session_id);
    conn = session == NULL ? NULL : conn_find(r, session_conn(session));
    if (conn != NULL && conn->state == CONN_OPEN) {
        conn_close(r, conn, "session moved to another server");
    }
}

int32_t session_clamp_timeout(const struct replica *r, int32_t asked_ms)
{
    if (asked_ms < r->config.session_timeout_ms_min) {
        return r->config.session_timeout_ms_min;
    }
    if (asked_ms > r->config.session_timeout_ms_max) {
        return r->config.session_timeout_ms_max;
    }
    return asked_ms;
}

static void accept(struct replica *r, struct session *session,
                   uint64_t server_id, const struct peer_msg *msg)
{
    uint64_t origin_request = msg->revalidate.origin_request;
    bool moves = !r->standalone && session_owner(session) != server_id;
    const struct wait *wait;

    give_to(r, session, server_id, origin_request);
    session_renegotiate(session,
                        session_clamp_timeout(r, msg->revalidate.timeout_ms));
    session_touch(r->sessions, session, r->now_ms);
    if (server_id == r->self_id) {
        /* A connection that waits for us is not held against its client. */
        wait = wait_find(r, origin_request);
        session_attach(session, wait == NULL ? 0 : wait->conn_id);
    }
    if (moves) {
        propose_move(r, session, server_id, origin_request);
    }
    barrier_add(r, &(struct barrier){.kind = BARRIER_SESSION,
                                     .origin_id = server_id,
                                     .origin_request = origin_request,
                                     .session_id = session_id(session),
                                     .timeout_ms = session_timeout_ms(session),
                                     .ok = true});
}

static void propose_move(struct replica *r, const struct session *session,
                         uint64_t server_id, uint64_t attachment)
{
    struct origin origin = {.id = server_id,
                            .request = attachment,
                            .session_id = session_id(session)};
    struct prep_context context;
    struct txn txn;

    write_context(r, &origin, &context);
    prep_move_session(r->prep, &context, &txn);
    write_propose(r, &txn);
}

static void refuse(struct replica *r, uint64_t server_id,
                   const struct peer_msg *msg)
{
    barrier_add(
        r, &(struct barrier){.kind = BARRIER_SESSION,
                             .origin_id = server_id,
                             .origin_request = msg->revalidate.origin_request,
                             .session_id = msg->revalidate.session_id});
}

/* Mutation 29. */
static void refuse_now(struct replica *r, uint64_t server_id,
                       const struct peer_msg *msg)
{
    struct peer_msg *reply;
    struct wait wait;

    if (server_id == r->self_id) {
        if (wait_take(r, msg->revalidate.origin_request, &wait)) {
            handshake_answer(r, &wait, 0);
        }
    } else if (zab_peer_synced(r->zab, server_id)) {
        reply = peer_send(r, server_id, PEER_REVALIDATE_REPLY);
        reply->zxid = r->zxid_routed;
        reply->revalidate_reply.session_id = msg->revalidate.session_id;
        reply->revalidate_reply.origin_request = msg->revalidate.origin_request;
    }
}

static bool next_claim(struct slice *claims, struct origin *origin,
                       int32_t *timeout_ms)
{
    if (claims->len < PEER_RECLAIM_SIZE) {
        return false;
    }
    origin->session_id = bytes_load64(claims->ptr);
    origin->attachment = bytes_load64(claims->ptr + 8);
    *timeout_ms = (int32_t)bytes_load32(claims->ptr + 16);
    *claims = slice_after(*claims, PEER_RECLAIM_SIZE);
    return true;
}

static void reclaim(struct replica *r, const struct origin *origin,
                    int32_t timeout_ms)
{
    struct session *session = session_find(r->sessions, origin->session_id);

    if (session == NULL || session_closing(session)) {
        tell_moved(r, origin->session_id, origin->id, origin->attachment);
        return;
    }
    if (!session_owned(r, session, origin)) {
        return;
    }
    /* What its client was promised by the last leader holds on. */
    if (timeout_ms > 0) {
        session_renegotiate(session, timeout_ms);
    }
    session_touch(r->sessions, session, r->now_ms);
}

static void touch_owned(struct replica *r, const struct origin *origin)
{
    struct session *session = session_find(r->sessions, origin->session_id);

    /* Before it leads all sessions have no deadline, and a full one then. */
    if (r->leading && session != NULL && is_owner(session, origin)) {
        session_touch(r->sessions, session, r->now_ms);
    }
}

static bool is_owner(const struct session *session, const struct origin *origin)
{
    return session_owner(session) == origin->id &&
           session_attachment(session) == origin->attachment;
}

static void give_to(struct replica *r, struct session *session,
                    uint64_t server_id, uint64_t attachment)
{
    uint64_t old_id = session_owner(session);
    uint64_t old_attachment = session_attachment(session);

    session_set_owner(session, server_id, attachment);
    if (old_id == 0 || (old_id == server_id && old_attachment == attachment)) {
        return;
    }
    if (old_id == r->self_id) {
        close_conn(r, session_id(session), old_attachment,
                   "session resumed on another connection");
    } else {
        tell_moved(r, session_id(session), old_id, old_attachment);
    }
}

/* A learner that is not synced says with RECLAIM what it still has. */
static void tell_moved(struct replica *r, uint64_t id, uint64_t server_id,
                       uint64_t attachment)
{
    struct peer_msg *msg;

    if (server_id == r->self_id) {
        close_conn(r, id, attachment, "session moved to another server");
    } else if (zab_peer_synced(r->zab, server_id)) {
        msg = peer_send(r, server_id, PEER_SESSION_MOVED);
        msg->session_moved.session_id = id;
        msg->session_moved.attachment = attachment;
    }
}

/* The connection of this handshake, if it is still the session's: open, or
 * still waiting to be. */
static void close_conn(struct replica *r, uint64_t id, uint64_t attachment,
                       const char *why)
{
    const struct session *session = session_find(r->sessions, id);
    const struct wait *wait = wait_find(r, attachment);
    struct conn *conn;

    conn = session == NULL ? NULL : conn_find(r, session_conn(session));
    if ((conn == NULL || conn->attachment != attachment) && wait != NULL) {
        conn = conn_find(r, wait->conn_id);
    }
    if (conn != NULL && conn->attachment == attachment &&
        conn->session_id == id) {
        conn_close(r, conn, why);
    }
}
