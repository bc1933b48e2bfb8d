/* Committed txns: into the tree and the sessions, then out to those who watch,
 * then to the one who waits for the answer. The same on every server. */
#include "base/check.h"
#include "replica/replica_internal.h"

static bool reads_done(struct replica *r, const struct txn *txn);
static void create_session(struct replica *r, const struct txn *txn);
static bool tell_events(struct replica *r);
static bool tell_conns(struct replica *r, const struct tree_event *event);
static void finish(struct replica *r);
static void end(struct replica *r);
static bool take_wait(struct replica *r, const struct txn *txn,
                      struct wait *wait);
static bool take_wait_by_cxid(struct replica *r, const struct txn *txn,
                              struct wait *wait);
static void answer(struct replica *r, const struct txn *txn,
                   const struct apply_result *result);
static void close_session(struct replica *r, const struct txn *txn);
static void fill_reply(struct replica *r, const struct apply_result *result,
                       struct client_reply *reply);

void deliver_begin(struct replica *r, zxid_t zxid, struct blob *payload)
{
    struct delivery *d = &r->delivery;

    CHECK(!d->active);
    CHECK(zxid > r->zxid_delivered);
    arena_reset(r->delivery_arena);
    d->active = true;
    d->reads_done = false;
    d->applied = false;
    d->fired = false;
    d->event_at = 0;
    d->zxid = zxid;
    d->payload = payload;
    if (txn_decode(blob_bytes(payload), r->delivery_arena, &d->txn) != 0) {
        replica_fatal(r,
                      "reason=\"a log record is no transaction\" "
                      "zxid=0x%llx",
                      (unsigned long long)zxid);
    }
}

bool deliver_slice(struct replica *r)
{
    struct delivery *d = &r->delivery;

    if (!d->reads_done && !reads_done(r, &d->txn)) {
        return false;
    }
    d->reads_done = true;
    if (!d->applied) {
        if (d->txn.op == ZK_OP_CREATE_SESSION) {
            d->result = (struct apply_result){.op = ZK_OP_CREATE_SESSION};
            create_session(r, &d->txn);
        } else if (d->txn.op == ZK_OP_MOVE_SESSION) {
            d->result = (struct apply_result){.op = ZK_OP_MOVE_SESSION};
        } else if (!tree_apply(r->tree, d->zxid, &d->txn, r->delivery_arena,
                               &d->result)) {
            r->budget = 0;
            return false;
        }
        d->applied = true;
        r->budget -=
            COST_DELIVERY + (int)(blob_bytes(d->payload).len / BYTES_PER_UNIT);
    }
    if (MUTATION(19)) {
        finish(r);
        while (!tell_events(r)) {
            r->budget = r->slice_units;
        }
        return true;
    }
    if (!tell_events(r)) {
        return false;
    }
    finish(r);
    return true;
}

void deliver_drop(struct replica *r)
{
    if (r->delivery.active) {
        end(r);
    }
}

void event_send(struct replica *r, struct conn *conn, enum zk_event_type type,
                zxid_t zxid, struct slice path)
{
    size_t size = client_event_size(path);
    uint8_t *packet = packet_alloc(r, size);

    client_event_write(type, zxid, path, packet);
    packet_send(r, conn, slice_make(packet, size));
    r->budget -= COST_EVENT;
}

/* What a client has asked before a write of its own does not show it, though it
 * may have waited for its turn, or for a round, until now. */
static bool reads_done(struct replica *r, const struct txn *txn)
{
    const struct wait *entry = NULL;
    struct conn *conn = NULL;

    if (txn->origin_id == r->self_id) {
        entry = wait_find(r, txn->origin_request);
    }
    if (entry != NULL && entry->kind == WAIT_WRITE) {
        conn = conn_find(r, entry->conn_id);
    }
    return conn == NULL || client_reads_done(r, conn);
}

static void create_session(struct replica *r, const struct txn *txn)
{
    struct session *session = session_add(
        r->sessions, txn->session_id, txn->create_session.timeout_ms,
        txn->create_session.password, r->delivery.zxid);

    if (r->leading) {
        session_touch(r->sessions, session, r->now_ms);
        session_set_owner(session, txn->origin_id, txn->origin_request);
    }
}

/* Event after event, connection after connection; false: the budget is spent
 * and there are more. */
static bool tell_events(struct replica *r)
{
    struct delivery *d = &r->delivery;

    /* One-shot watches are gone when they have fired, but not yet told. */
    if (!d->fired && watch_count(r->watches) == 0) {
        return true;
    }
    while (d->event_at < d->result.events_count) {
        const struct tree_event *event = &d->result.events[d->event_at];

        if (!d->fired) {
            d->conns_count = watch_fire(r->watches, event->type, event->path,
                                        r->delivery_arena, &d->conn_ids);
            d->conn_at = 0;
            d->fired = true;
            r->budget -=
                COST_EVENT + (int)(event->path.len / PATH_BYTES_PER_UNIT);
        }
        if (!tell_conns(r, event)) {
            return false;
        }
        d->fired = false;
        d->event_at++;
        if (r->budget <= 0 && d->event_at < d->result.events_count) {
            return false;
        }
    }
    return true;
}

/* One frame for all. Who may not READ the node is not told (CVE-2024-23944). */
static bool tell_conns(struct replica *r, const struct tree_event *event)
{
    struct delivery *d = &r->delivery;
    size_t size, acl_count;
    const struct zk_acl *acl;
    uint8_t *packet;
    bool open;

    if (d->conn_at == d->conns_count) {
        return true;
    }
    acl = tree_acl(r->tree, event->acl_id, &acl_count);
    open =
        r->config.skip_acl || acl_allows(acl, acl_count, ZK_PERM_READ, NULL, 0);
    size = client_event_size(event->path);
    packet = packet_alloc(r, size);
    client_event_write(event->type, d->zxid, event->path, packet);
    while (d->conn_at < d->conns_count) {
        struct conn *conn;

        if (r->budget <= 0) {
            return false;
        }
        r->budget -= COST_EVENT;
        conn = conn_find(r, d->conn_ids[d->conn_at++]);
        if (conn != NULL &&
            (open || acl_allows(acl, acl_count, ZK_PERM_READ, conn->auth.items,
                                conn->auth.count))) {
            /* A ping may pass the rest of this txn by. */
            if (d->zxid > conn->zxid_sent) {
                conn->zxid_sent = d->zxid;
            }
            packet_send(r, conn, slice_make(packet, size));
        }
    }
    return true;
}

static void finish(struct replica *r)
{
    struct delivery *d = &r->delivery;

    r->zxid_delivered = d->zxid;
    if (r->leading) {
        prep_committed(r->prep, d->zxid);
    }
    r->checkpoint_txns++;
    if (r->dirty_since_ms == 0) {
        r->dirty_since_ms = r->now_ms;
    }
    if (zxid_counter(d->zxid) % DIGEST_INTERVAL == 0) {
        inspect_digest_note(r);
        digest_tell(r);
    }
    /* From here on others may be served: the txn is whole. */
    d->active = false;
    r->inboxes_wake |= inboxes_hold(r);
    session_delivered(r, &d->txn);
    if (d->txn.op == ZK_OP_CLOSE_SESSION) {
        close_session(r, &d->txn);
    } else {
        answer(r, &d->txn, &d->result);
    }
    end(r);
}

static void end(struct replica *r)
{
    blob_unref(r->delivery.payload);
    r->delivery.payload = NULL;
    r->delivery.active = false;
}

/* Whose request this was, if it came in here and its connection is still there.
 * A request id of an earlier life means nobody. */
static bool take_wait(struct replica *r, const struct txn *txn,
                      struct wait *wait)
{
    const struct wait *entry;

    if (MUTATION(28)) {
        return take_wait_by_cxid(r, txn, wait);
    }
    if (txn->origin_id != r->self_id) {
        return false;
    }
    entry = wait_find(r, txn->origin_request);
    if (entry == NULL || entry->op != txn->request_op ||
        (entry->kind != WAIT_WRITE && entry->kind != WAIT_NEW_SESSION)) {
        return false;
    }
    return wait_take(r, txn->origin_request, wait);
}

static bool take_wait_by_cxid(struct replica *r, const struct txn *txn,
                              struct wait *wait)
{
    for (size_t i = 0; i < r->waits.count; i++) {
        const struct wait *entry = fifo_at(&r->waits, i);
        const struct conn *conn = conn_find(r, entry->conn_id);

        if (entry->op == txn->request_op && entry->xid == txn->cxid &&
            (entry->kind == WAIT_NEW_SESSION ||
             (entry->kind == WAIT_WRITE && conn != NULL &&
              conn->session_id == txn->session_id))) {
            return wait_take(r, r->waits_first + i, wait);
        }
    }
    return false;
}

static void answer(struct replica *r, const struct txn *txn,
                   const struct apply_result *result)
{
    struct wait wait;
    struct client_reply reply;

    if (!take_wait(r, txn, &wait)) {
        return;
    }
    if (wait.kind == WAIT_NEW_SESSION) {
        handshake_answer(r, &wait, txn->session_id);
        return;
    }
    reply.xid = wait.xid;
    reply.op = wait.op;
    reply.zxid = r->zxid_delivered;
    reply.code = ZK_OK;
    fill_reply(r, result, &reply);
    client_answer_wait(r, txn->origin_request, &wait, &reply);
}

/* The session's own close is answered, then its connection goes; an expired
 * session's connection goes at once. */
static void close_session(struct replica *r, const struct txn *txn)
{
    struct session *session = session_find(r->sessions, txn->session_id);
    struct conn *conn = NULL;

    if (session != NULL) {
        conn = conn_find(r, session_conn(session));
        session_remove(r->sessions, session);
    }
    if (conn == NULL || conn->state != CONN_OPEN) {
        answer(r, txn, &r->delivery.result);
        return;
    }
    conn->session = NULL;
    if (conn->close_taken && txn->origin_id == r->self_id &&
        txn->origin_request != 0) {
        conn->state = CONN_CLOSING;
        answer(r, txn, &r->delivery.result);
    } else {
        conn_close(r, conn, "session expired");
    }
}

static void fill_reply(struct replica *r, const struct apply_result *result,
                       struct client_reply *reply)
{
    struct client_reply *parts;

    switch ((int)result->op) {
        case ZK_OP_CREATE:
            reply->path.path = result->path;
            break;
        case ZK_OP_CREATE2:
        case ZK_OP_CREATE_CONTAINER:
        case ZK_OP_CREATE_TTL:
            reply->path_stat.path = result->path;
            reply->path_stat.stat = result->stat;
            break;
        case ZK_OP_SET_DATA:
        case ZK_OP_SET_ACL:
            reply->stat = result->stat;
            break;
        case ZK_OP_MULTI:
            parts = ARENA_NEW(r->delivery_arena, struct client_reply,
                              result->multi_count + 1);
            for (size_t i = 0; i < result->multi_count; i++) {
                parts[i].op = result->multi[i].op;
                parts[i].code = ZK_OK;
                fill_reply(r, &result->multi[i], &parts[i]);
            }
            reply->multi.parts = parts;
            reply->multi.count = result->multi_count;
            break;
        default: /* delete, check: nothing but the header */
            break;
    }
}
