/* The first frame of a connection: a new session, or one to go on with. */
#include "base/check.h"
#include "replica/replica_internal.h"

static int32_t clamp_timeout(const struct replica *r, int32_t asked_ms);
static void open_new(struct replica *r, struct conn *conn, int32_t timeout_ms,
                     int64_t taken_ms);
static void resume(struct replica *r, struct conn *conn,
                   const struct zk_connect_request *request, int64_t taken_ms);
static void wait_behind_barrier(struct replica *r, const struct wait *wait);
static void answer(struct replica *r, struct conn *conn,
                   const struct session *session);

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
    if (!write_possible(r)) {
        return false;
    }
    conn->state = CONN_HANDSHAKE;
    conn->has_read_only = connect.has_read_only;
    if (connect.request.session_id == 0) {
        open_new(r, conn, clamp_timeout(r, connect.request.timeout), taken_ms);
    } else {
        resume(r, conn, &connect.request, taken_ms);
    }
    return true;
}

void handshake_answer(struct replica *r, const struct wait *wait,
                      uint64_t session_id)
{
    struct conn *conn = conn_find(r, wait->conn_id);
    struct session *session;

    /* The client went away: its session expires in its time. */
    if (conn == NULL) {
        return;
    }
    CHECK(conn->state == CONN_HANDSHAKE);
    if (session_id != 0) {
        conn->session_id = session_id;
        session_attach(session_find(r->sessions, session_id), conn_id(conn));
    }
    session = wait->kind == WAIT_REFUSED_SESSION
                  ? NULL
                  : session_find(r->sessions, conn->session_id);
    /* While a resume waited, the session may have gone, or gone elsewhere. */
    if (session == NULL || session_conn(session) != conn_id(conn)) {
        r->connections_refused++;
        answer(r, conn, NULL);
        conn_close(r, conn, "session is expired or the password is wrong");
        return;
    }
    conn->session = session;
    conn->state = CONN_OPEN;
    if (r->leading) {
        session_touch(r->sessions, session, r->now_ms);
    }
    answer(r, conn, session);
    count_answer(r, conn, ZK_OP_CREATE_SESSION, 0, wait->taken_ms);
    r->inboxes_wake |= !list_empty(&conn->inbox);
}

static int32_t clamp_timeout(const struct replica *r, int32_t asked_ms)
{
    if (asked_ms < r->config.session_timeout_ms_min) {
        return r->config.session_timeout_ms_min;
    }
    if (asked_ms > r->config.session_timeout_ms_max) {
        return r->config.session_timeout_ms_max;
    }
    return asked_ms;
}

static void open_new(struct replica *r, struct conn *conn, int32_t timeout_ms,
                     int64_t taken_ms)
{
    struct wait wait = {.conn_id = conn_id(conn),
                        .taken_ms = taken_ms,
                        .op = ZK_OP_CREATE_SESSION,
                        .kind = WAIT_NEW_SESSION};
    struct origin origin = {.id = r->self_id, .request = wait_add(r, &wait)};
    struct prep_context context;
    struct txn txn;

    origin.session_id = session_id_make(r->self_id, zab_next_zxid(r->zab));
    write_context(r, &origin, &context);
    prep_create_session(r->prep, &context, timeout_ms, conn->random, &txn);
    write_propose(r, &txn);
}

/* Decided here and now, by the applied table and what is proposed; answered
 * through a barrier: what the old connection had in flight is then delivered,
 * so that the client's first read shows what became of it. */
static void resume(struct replica *r, struct conn *conn,
                   const struct zk_connect_request *request, int64_t taken_ms)
{
    struct session *session = session_find(r->sessions, request->session_id);
    struct wait wait = {.conn_id = conn_id(conn),
                        .taken_ms = taken_ms,
                        .op = ZK_OP_CREATE_SESSION,
                        .kind = WAIT_RESUME};
    struct conn *old;

    if (session == NULL || session_closing(session) ||
        !session_password_equal(session, request->password)) {
        wait.kind = WAIT_REFUSED_SESSION;
        wait_behind_barrier(r, &wait);
        return;
    }
    old = conn_find(r, session_conn(session));
    if (old != NULL) {
        conn_close(r, old, "session resumed on another connection");
    }
    conn->session_id = request->session_id;
    session_attach(session, conn_id(conn));
    session_renegotiate(session, clamp_timeout(r, request->timeout));
    session_touch(r->sessions, session, r->now_ms);
    wait_behind_barrier(r, &wait);
}

static void wait_behind_barrier(struct replica *r, const struct wait *wait)
{
    barrier_add(r, &(struct barrier){.origin_id = r->self_id,
                                     .origin_request = wait_add(r, wait)});
}

/* session NULL: refused. */
static void answer(struct replica *r, struct conn *conn,
                   const struct session *session)
{
    uint8_t password[16] = {0};
    struct zk_connect_response response = {
        .password = slice_make(password, sizeof(password)),
    };

    if (session != NULL) {
        response.timeout = session_timeout_ms(session);
        response.session_id = session_id(session);
        session_password_copy(session, password);
    }
    buf_clear(&r->scratch);
    client_connect_encode_reply(&response, conn->has_read_only, false,
                                &r->scratch);
    packet_copy_send(r, conn, buf_bytes(&r->scratch));
}
