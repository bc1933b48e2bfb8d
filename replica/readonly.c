/* Read-only mode: a server that has had no leader for a while shows what it has
 * to clients that ask for it (docs/ensembles.md). What it has is committed, so
 * it contradicts nothing that a client has seen before; it may be old. Sessions
 * go on elsewhere, or expire there: of a client with a session only the
 * password is looked at, and one without gets an id that stands for nothing. */
#include "base/check.h"
#include "replica/replica_internal.h"

#define AFTER_MS 2000 /* as ZooKeeper, whose tickTime is no longer */

static bool may_begin(const struct replica *r);
static void close_silent(struct replica *r);
static bool is_local(uint64_t id);
static void open_local(struct replica *r, struct conn *conn, uint64_t id,
                       const uint8_t password[16],
                       const struct client_connect *connect);

void read_only_tick(struct replica *r)
{
    if (r->read_only) {
        close_silent(r);
    } else if (may_begin(r)) {
        r->read_only = true;
        r->inboxes_wake = inboxes_hold(r);
        effect_push(r, REPLICA_SERVING)->serving = true;
        replica_log(r, REPLICA_WARN, "read_only_begins", "zxid=0x%llx",
                    (unsigned long long)r->zxid_delivered);
    }
}

/* Those who are served now come again, and get a session. */
void read_only_end(struct replica *r)
{
    struct map_link *link = map_first(&r->conns);

    if (!r->read_only) {
        return;
    }
    r->read_only = false;
    effect_push(r, REPLICA_SERVING)->serving = false;
    replica_log(r, REPLICA_INFO, "read_only_ends", "zxid=0x%llx",
                (unsigned long long)r->zxid_delivered);
    while (link != NULL) {
        struct conn *conn = MAP_ENTRY(link, struct conn, by_id);

        link = map_next(&r->conns, link);
        if (conn->read_only_ms > 0) {
            conn_close(r, conn, "read-only mode ends");
        }
    }
}

/* The password of a session that we know does not change; of one that we do not
 * know nothing can be said. */
void read_only_open(struct replica *r, struct conn *conn,
                    const struct client_connect *connect)
{
    uint64_t id = connect->request.session_id;
    const struct session *session = session_find(r->sessions, id);
    uint8_t password[16];

    conn->has_read_only = connect->has_read_only;
    if (id == 0) {
        id = session_id_make(r->self_id, ++r->read_only_last);
        open_local(r, conn, id, conn->random, connect);
    } else if (session != NULL &&
               session_password_equal(session, connect->request.password)) {
        session_password_copy(session, password);
        open_local(r, conn, id, password, connect);
    } else if (session != NULL || is_local(id)) {
        handshake_refuse(r, conn);
    } else {
        r->connections_refused++;
        conn_close(r, conn, "a session that is not known here");
    }
}

void read_only_refuse(struct replica *r, struct conn *conn,
                      const struct zk_request_header *header, int64_t taken_ms)
{
    struct client_reply reply = {.xid = header->xid,
                                 .op = ZK_OP_ERROR,
                                 .zxid = r->zxid_delivered,
                                 .code = ZK_NOT_READ_ONLY};
    bool closes = header->type == ZK_OP_CLOSE_SESSION &&
                  session_find(r->sessions, conn->session_id) == NULL;

    if (closes) {
        reply.op = ZK_OP_CLOSE_SESSION;
        reply.code = ZK_OK;
        conn->close_taken = true;
    }
    client_answer(r, conn, &reply, taken_ms);
    if (closes && conn_idle(conn)) {
        conn_close(r, conn, "session closed by its client");
    } else if (closes) {
        conn->state = CONN_CLOSING;
    }
}

/* What an empty server would show is no state that anybody ever agreed on. */
static bool may_begin(const struct replica *r)
{
    return r->config.read_only && !r->serving && !r->loading &&
           !r->tree_outdated && zab_has_tree(r->zab) &&
           zab_epoch(r->zab) != 0 && r->now_ms - r->held_since_ms >= AFTER_MS;
}

/* Nobody else expires them. */
static void close_silent(struct replica *r)
{
    struct map_link *link = map_first(&r->conns);

    while (link != NULL) {
        struct conn *conn = MAP_ENTRY(link, struct conn, by_id);

        link = map_next(&r->conns, link);
        if (conn->read_only_ms > 0 && !conn_unheard(r, conn) &&
            r->now_ms - conn->touched_ms > conn->read_only_ms) {
            conn_close(r, conn, "session expired");
        }
    }
}

/* No transaction is of epoch 0, and so no session that was opened by one. */
static bool is_local(uint64_t id)
{
    return (id >> 32 & 0xffffff) == 0;
}

static void open_local(struct replica *r, struct conn *conn, uint64_t id,
                       const uint8_t password[16],
                       const struct client_connect *connect)
{
    conn->state = CONN_READ_ONLY;
    conn->session_id = id;
    conn->read_only_ms = session_clamp_timeout(r, connect->request.timeout);
    conn->touched_ms = r->now_ms;
    handshake_answer_as(r, conn, id, conn->read_only_ms, password);
    r->inboxes_wake |= !list_empty(&conn->inbox);
}
