/* The first frame of a connection: a new session, or one to go on with. The
 * leader decides (owner.c), for its own clients as for those of learners. */
#include "base/check.h"
#include "replica/replica_internal.h"

static bool unknown_yet(const struct replica *r, uint64_t session_id);
static void open_new(struct replica *r, struct conn *conn, int32_t timeout_ms,
                     int64_t taken_ms);
static void resume(struct replica *r, struct conn *conn,
                   const struct zk_connect_request *request, int64_t taken_ms);
static uint64_t attach_by(struct replica *r, struct conn *conn,
                          enum wait_kind kind, int64_t taken_ms);
static void attach(struct replica *r, struct conn *conn, int32_t timeout_ms);
static void answer(struct replica *r, struct conn *conn,
                   struct zk_connect_response *response, bool read_only);

bool handshake_take(struct replica *r, struct conn *conn, struct slice frame,
                    int64_t taken_ms)
{
    struct client_connect connect;

    if (client_connect_decode(frame, &connect) != 0) {
        r->connections_refused++;
        conn_close(r, conn, "malformed handshake");
        return true;
    }
    /* It has seen what we have not: another server may serve it, we may not
     * show it the past. */
    if ((int64_t)connect.request.last_zxid_seen > (int64_t)r->zxid_delivered) {
        r->connections_refused++;
        conn_close(r, conn, "client has seen a later zxid");
        return true;
    }
    if (r->read_only && connect.read_only) {
        read_only_open(r, conn, &connect);
        return true;
    }
    if (!write_possible(r) ||
        (r->leading && unknown_yet(r, connect.request.session_id))) {
        return false;
    }
    conn->state = CONN_HANDSHAKE;
    conn->has_read_only = connect.has_read_only;
    if (connect.request.session_id == 0) {
        open_new(r, conn, connect.request.timeout, taken_ms);
    } else {
        resume(r, conn, &connect.request, taken_ms);
    }
    return true;
}

void handshake_answer(struct replica *r, const struct wait *wait,
                      uint64_t session_id)
{
    struct conn *conn = conn_find(r, wait->conn_id);
    struct zk_connect_response response = {0};
    struct session *session;
    uint8_t password[16];

    /* The client went away: its session expires in its time. */
    if (conn == NULL) {
        return;
    }
    CHECK(conn->state == CONN_HANDSHAKE);
    if (session_id != 0) {
        conn->session_id = session_id;
        session_attach(session_find(r->sessions, session_id), conn_id(conn));
    }
    session = session_find(r->sessions, conn->session_id);
    /* A resume that was accepted has the session speak through it, unless the
     * session ended meanwhile. */
    if (session == NULL || session_conn(session) != conn_id(conn)) {
        handshake_refuse(r, conn);
        return;
    }
    conn->session = session;
    conn->state = CONN_OPEN;
    conn_touch(r, conn);
    response.timeout = session_timeout_ms(session);
    response.session_id = conn->session_id;
    session_password_copy(session, password);
    response.password = slice_make(password, sizeof(password));
    answer(r, conn, &response, false);
    count_answer(r, conn, ZK_OP_CREATE_SESSION, 0, wait->taken_ms);
    r->inboxes_wake |= !list_empty(&conn->inbox);
}

void handshake_refuse(struct replica *r, struct conn *conn)
{
    static const uint8_t none[16];
    struct zk_connect_response response = {
        .password = slice_make(none, sizeof(none)),
    };

    r->connections_refused++;
    answer(r, conn, &response, false);
    conn_close(r, conn, "session is expired or the password is wrong");
}

void handshake_answer_as(struct replica *r, struct conn *conn, uint64_t id,
                         int32_t timeout_ms, const uint8_t password[16])
{
    struct zk_connect_response response = {
        .timeout = timeout_ms,
        .session_id = id,
        .password = slice_make(password, 16),
    };

    answer(r, conn, &response, true);
}

/* All that the session's old connection had in flight is delivered. */
void session_on_revalidate_reply(struct replica *r, const struct peer_msg *msg)
{
    uint64_t origin_request = msg->revalidate_reply.origin_request;
    const struct wait *entry = wait_find(r, origin_request);
    struct conn *conn;
    struct wait wait;

    if (entry != NULL && entry->kind != WAIT_RESUME) {
        peer_broken(r, PEER_LINK_LEADER, r->leader_id,
                    "an answer to a resume that was none");
    } else if (wait_take(r, origin_request, &wait)) {
        conn = conn_find(r, wait.conn_id);
        if (conn != NULL && msg->revalidate_reply.ok) {
            attach(r, conn, msg->revalidate_reply.timeout_ms);
        }
        handshake_answer(r, &wait, 0);
    }
}

/* A learner may have delivered, and told its client of, what we have only
 * committed: it may be there when that is applied. */
static bool unknown_yet(const struct replica *r, uint64_t session_id)
{
    return session_id != 0 && r->zxid_routed > r->zxid_delivered &&
           session_find(r->sessions, session_id) == NULL;
}

static void open_new(struct replica *r, struct conn *conn, int32_t timeout_ms,
                     int64_t taken_ms)
{
    struct peer_msg msg = {.type = PEER_OPEN_SESSION};

    msg.open_session.origin_request =
        attach_by(r, conn, WAIT_NEW_SESSION, taken_ms);
    msg.open_session.timeout_ms = session_clamp_timeout(r, timeout_ms);
    memcpy(msg.open_session.password, conn->random, sizeof(conn->random));
    if (r->leading) {
        session_on_open(r, r->self_id, &msg);
    } else {
        peer_send(r, r->leader_id, msg.type)->open_session = msg.open_session;
    }
}

static void resume(struct replica *r, struct conn *conn,
                   const struct zk_connect_request *request, int64_t taken_ms)
{
    struct peer_msg msg = {.type = PEER_REVALIDATE};

    conn->session_id = request->session_id;
    msg.revalidate.origin_request = attach_by(r, conn, WAIT_RESUME, taken_ms);
    msg.revalidate.timeout_ms = session_clamp_timeout(r, request->timeout);
    /* With less than a password it is nobody's session. */
    if (request->password.len == sizeof(msg.revalidate.password)) {
        msg.revalidate.session_id = request->session_id;
        memcpy(msg.revalidate.password, request->password.ptr,
               sizeof(msg.revalidate.password));
    }
    if (r->leading) {
        session_on_revalidate(r, r->self_id, &msg);
    } else {
        peer_send(r, r->leader_id, msg.type)->revalidate = msg.revalidate;
    }
}

/* The number of a handshake's wait entry is what the leader will know its
 * connection by. */
static uint64_t attach_by(struct replica *r, struct conn *conn,
                          enum wait_kind kind, int64_t taken_ms)
{
    conn->attachment = wait_add(r, &(struct wait){.conn_id = conn_id(conn),
                                                  .taken_ms = taken_ms,
                                                  .op = ZK_OP_CREATE_SESSION,
                                                  .kind = kind});
    return conn->attachment;
}

/* An old connection of ours that the leader did not know of goes now. */
static void attach(struct replica *r, struct conn *conn, int32_t timeout_ms)
{
    struct session *session = session_find(r->sessions, conn->session_id);
    struct conn *old;

    if (session == NULL) {
        return; /* its end came first */
    }
    old = conn_find(r, session_conn(session));
    if (old != NULL) {
        conn_close(r, old, "session resumed on another connection");
    }
    session_attach(session, conn_id(conn));
    session_renegotiate(session, session_clamp_timeout(r, timeout_ms));
}

static void answer(struct replica *r, struct conn *conn,
                   struct zk_connect_response *response, bool read_only)
{
    buf_clear(&r->scratch);
    client_connect_encode_reply(response, conn->has_read_only, read_only,
                                &r->scratch);
    packet_copy_send(r, conn, buf_bytes(&r->scratch));
}
