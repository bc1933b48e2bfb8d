/* What clients are told, held against what is committed: every answer carries
 * the zxid whose state it must be; a sync, a write and a refusal stand behind
 * everything that anybody had been shown when they were sent; nothing is
 * answered that did not happen, and nothing happens twice, out of order, or
 * after a refusal. */
#include <string.h>

#include "tests/sim/client_internal.h"

/* Where in the order something may stand. */
struct places {
    zxid_t from, to;
};

static void check_expiry(struct clients *clients, const struct client *client,
                         zxid_t zxid);
static bool is_of(const struct ask *ask, const struct txn *txn);
static void note_committed(struct clients *clients, struct client *client,
                           struct ask *ask, zxid_t zxid);
static bool raised(const struct client *client,
                   const struct client_reply *reply);
static void check_ok(struct clients *clients, const struct client *client,
                     const struct ask *ask, const struct client_reply *reply);
static void check_written(struct clients *clients, const struct client *client,
                          const struct ask *ask,
                          const struct client_reply *reply);
static void check_part(struct clients *clients, const struct client *client,
                       zxid_t zxid, const struct ask_part *part,
                       const struct client_reply *reply);
static void check_created(struct clients *clients, const struct client *client,
                          const struct ask *ask,
                          const struct client_reply *reply);
static void check_refused(struct clients *clients, const struct client *client,
                          const struct ask *ask,
                          const struct client_reply *reply);
static bool refusal_fits(const struct clients *clients,
                         const struct ask_part *part, int code,
                         struct places places);
static bool state_refuses(const struct model_state *state,
                          const struct ask_part *part, int code);
static void check_read(struct clients *clients, const struct client *client,
                       const struct ask *ask, const struct client_reply *reply);
static bool stat_fits(const struct zk_stat *stat,
                      const struct model_state *state);
static bool names_fit(const struct slice *names, size_t count,
                      const struct model_state *state);
static void fail(struct clients *clients, const struct client *client,
                 const struct ask *ask, zxid_t zxid, const char *what);

/* A txn of a session must be one of the requests that its client waits for on
 * the connection it has, once it has been answered there at all (ZOOKEEPER-417:
 * a stray request of the old one). */
void linear_committed(void *context, zxid_t zxid, const struct txn *txn)
{
    struct clients *clients = context;

    if (client_op_find(txn->op)->kind == ZK_OP_INTERNAL ||
        txn->session_id == 0) {
        return; /* of a handshake; of a server */
    }
    for (unsigned i = 0; i < clients->count; i++) {
        struct client *client = &clients->items[i];

        if (client->session_id != txn->session_id ||
            client->state != CLIENT_OPEN || client->read_only) {
            continue;
        }
        if (txn->origin_request == 0) {
            check_expiry(clients, client, zxid);
            return;
        }
        for (uint32_t k = 0; k < client->asks_count; k++) {
            struct ask *ask = ask_at(client, k);

            if (ask->xid == txn->cxid && is_of(ask, txn)) {
                note_committed(clients, client, ask, zxid);
                return;
            }
        }
        if (client->first != 0 && zxid > client->first) {
            sim_fail(clients->sim,
                     "Moved: 0x%llx is a request of client %u that it does "
                     "not wait for: xid %d, op %d, origin %llu of server %llu",
                     (unsigned long long)zxid, client->index, txn->cxid,
                     txn->op, (unsigned long long)txn->origin_request,
                     (unsigned long long)txn->origin_id);
        }
        return;
    }
}

void linear_attended(struct clients *clients, struct client *client,
                     uint64_t sent_us)
{
    uint64_t pause_us = (uint64_t)client->timeout_ms * SIM_MS / 4;

    (void)clients;
    if (client->read_only) {
        return; /* its leader hears nothing of it */
    }
    if (sent_us > client->touched_us + pause_us) {
        client->steady_us = sent_us;
    }
    if (sent_us > client->touched_us) {
        client->touched_us = sent_us;
    }
}

/* Whose requests have been answered for longer than its time-out is alive, and
 * its leader knows it. A server without its leader answers for a second or two
 * and clocks are up to 5 % off, hence the bounds. */
static void check_expiry(struct clients *clients, const struct client *client,
                         zxid_t zxid)
{
    uint64_t now_us = sim_now_us(clients->sim);
    uint64_t timeout_us = (uint64_t)client->timeout_ms * SIM_MS;

    if (timeout_us >= 3 * SIM_SECOND &&
        now_us - client->touched_us <= timeout_us / 4 &&
        now_us - client->steady_us >= timeout_us * 5 / 4) {
        sim_fail(clients->sim,
                 "Expiry: 0x%llx closes the session of client %u, which was "
                 "answered %llu ms ago",
                 (unsigned long long)zxid, client->index,
                 (unsigned long long)((now_us - client->touched_us) / SIM_MS));
    }
}

/* Every value is another one; what has none can be a request of the process
 * before, which had the same xids. */
static bool is_of(const struct ask *ask, const struct txn *txn)
{
    if (ask->op != txn->request_op) {
        return false;
    }
    switch ((int)txn->op) {
        case ZK_OP_CREATE:
            return ask->one.data == model_hash(txn->create.data);
        case ZK_OP_SET_DATA:
            return ask->one.data == model_hash(txn->set_data.data);
        case ZK_OP_DELETE:
            return slice_equal_text(txn->remove.path, ask->one.path);
        case ZK_OP_MULTI:
            if (txn->multi.count != ask->parts_count) {
                return false;
            }
            for (size_t i = 0; i < txn->multi.count; i++) {
                const struct txn *op = &txn->multi.ops[i];

                if ((op->op == ZK_OP_SET_DATA &&
                     ask->parts[i].data != model_hash(op->set_data.data)) ||
                    (op->op == ZK_OP_CREATE &&
                     ask->parts[i].data != model_hash(op->create.data))) {
                    return false;
                }
            }
            return true;
        default:
            return true;
    }
}

static void note_committed(struct clients *clients, struct client *client,
                           struct ask *ask, zxid_t zxid)
{
    bool sure = client->first != 0 || ask->op == ZK_OP_SET_DATA ||
                ask->op == ZK_OP_CREATE || ask->op == ZK_OP_CREATE2;

    if (ask->committed != 0 && !ask->doubtful) {
        fail(clients, client, ask, zxid, "Twice: done again");
    } else if (sure && ask->serial <= client->committed_serial) {
        fail(clients, client, ask, zxid,
             "SessionOrder: done behind a later one");
    }
    ask->committed = zxid;
    ask->doubtful = !sure;
    if (sure) {
        client->committed_serial = ask->serial;
    }
}

void linear_handshake(struct clients *clients, struct client *client,
                      const struct zk_connect_response *response)
{
    const struct model_session *session;

    if (clients->model == NULL) {
        return;
    }
    if (response->session_id == 0) {
        session = model_session(clients->model, client->session_id);
        if (session == NULL || session->closed == 0) {
            sim_fail(clients->sim,
                     "Expired: client %u is told that session 0x%llx is gone, "
                     "it is open",
                     client->index, (unsigned long long)client->session_id);
        }
        return;
    }
    session = model_session(clients->model, response->session_id);
    if (client->read_only && client->session_id == 0) {
        if (session != NULL) {
            sim_fail(clients->sim,
                     "Sessions: client %u gets 0x%llx to read with, which is "
                     "somebody's",
                     client->index, (unsigned long long)response->session_id);
        }
        return;
    }
    if (session == NULL) {
        sim_fail(clients->sim,
                 "Sessions: client %u gets 0x%llx, which was never opened",
                 client->index, (unsigned long long)response->session_id);
    } else if (session->closed != 0 && session->closed <= client->floor &&
               !client->read_only) {
        sim_fail(clients->sim,
                 "Sessions: client %u gets 0x%llx back from the "
                 "dead",
                 client->index, (unsigned long long)response->session_id);
    }
    if (client->session_id == 0) {
        for (unsigned i = 0; i < clients->count; i++) {
            if (clients->items[i].session_id == response->session_id) {
                sim_fail(
                    clients->sim, "Sessions: clients %u and %u both get 0x%llx",
                    i, client->index, (unsigned long long)response->session_id);
            }
        }
    } else if (client->session_id != response->session_id ||
               memcmp(client->password, response->password.ptr, 16) != 0) {
        sim_fail(clients->sim,
                 "Sessions: client %u resumes 0x%llx and gets 0x%llx",
                 client->index, (unsigned long long)client->session_id,
                 (unsigned long long)response->session_id);
    }
}

void linear_header(struct clients *clients, struct client *client,
                   const struct zk_reply_header *header)
{
    zxid_t zxid = header->zxid;

    if (zxid < client->zxid || zxid < client->passed) {
        sim_fail(clients->sim,
                 "Monotone: client %u gets 0x%llx (xid %d) after 0x%llx",
                 client->index, (unsigned long long)zxid, header->xid,
                 (unsigned long long)client->zxid);
    } else if (zxid < client->floor && !client->read_only) {
        sim_fail(clients->sim,
                 "Linearizable: client %u gets 0x%llx (xid %d) on a connection "
                 "that began behind 0x%llx",
                 client->index, (unsigned long long)zxid, header->xid,
                 (unsigned long long)client->floor);
    } else if (clients->model != NULL && zxid > model_zxid(clients->model)) {
        sim_fail(clients->sim,
                 "Integrity: client %u gets 0x%llx, 0x%llx is committed",
                 client->index, (unsigned long long)zxid,
                 (unsigned long long)model_zxid(clients->model));
    }
    if (client->first == 0) {
        client->first = zxid;
    }
    client->before =
        client->zxid > client->passed ? client->zxid : client->passed;
    if (header->xid == ZK_XID_PING) {
        client->passed = zxid; /* half a txn's events, perhaps */
    } else {
        watches_header(clients, client, zxid);
        client->zxid = zxid;
        client->zxid_process = zxid;
    }
    if (zxid > clients->seen) {
        clients->seen = zxid;
    }
}

void linear_answer(struct clients *clients, struct client *client,
                   const struct ask *ask, const struct client_reply *reply)
{
    zxid_t zxid = reply->zxid;

    if (ask->op == ZK_OP_SET_WATCHES || ask->op == ZK_OP_SET_WATCHES2) {
        if (reply->code != ZK_OK) {
            fail(clients, client, ask, zxid, "Watches: cannot be set again");
        }
        watches_set_again(clients, client, ask, zxid);
        return;
    }
    if (clients->model == NULL) {
        return;
    }
    if (client->read_only && client_op_find(ask->op)->kind != ZK_OP_READ) {
        if (reply->code != ZK_NOT_READ_ONLY || ask->committed != 0) {
            fail(clients, client, ask, zxid, "Refused: not as read-only");
        }
        return;
    }
    if (reply->code == ZK_OK) {
        check_ok(clients, client, ask, reply);
    } else {
        check_refused(clients, client, ask, reply);
    }
}

/* An answer that had to wait for an earlier one carries the zxid of what came
 * before it, an answer or an event, so that none goes back. */
static bool raised(const struct client *client,
                   const struct client_reply *reply)
{
    return reply->zxid == client->before;
}

static void check_ok(struct clients *clients, const struct client *client,
                     const struct ask *ask, const struct client_reply *reply)
{
    zxid_t zxid = reply->zxid;

    switch ((int)ask->op) {
        case ZK_OP_SYNC:
            if (zxid < ask->seen) {
                fail(clients, client, ask, zxid,
                     "Linearizable: a sync is older than what was seen");
            }
            break;
        case ZK_OP_CREATE:
        case ZK_OP_CREATE2:
        case ZK_OP_SET_DATA:
        case ZK_OP_DELETE:
        case ZK_OP_CLOSE_SESSION:
            check_written(clients, client, ask, reply);
            break;
        case ZK_OP_MULTI:
            if (reply->multi.count != ask->parts_count) {
                fail(clients, client, ask, zxid, "Answer: of other parts");
            } else if (reply->multi.parts[0].op == ZK_OP_ERROR) {
                check_refused(clients, client, ask, reply);
            } else {
                check_written(clients, client, ask, reply);
            }
            break;
        default:
            check_read(clients, client, ask, reply);
            break;
    }
}

static void check_written(struct clients *clients, const struct client *client,
                          const struct ask *ask,
                          const struct client_reply *reply)
{
    zxid_t zxid = ask->committed;
    bool empty = ask->op == ZK_OP_CLOSE_SESSION;

    if (zxid == 0 || (zxid != reply->zxid && !raised(client, reply))) {
        fail(clients, client, ask, reply->zxid,
             zxid == 0 ? "Acknowledged: it was never done"
                       : "Acknowledged: it has another zxid");
        return;
    }
    if (zxid <= ask->seen) {
        fail(clients, client, ask, zxid,
             "Linearizable: a write stands before what was seen");
    }
    if (ask->op == ZK_OP_MULTI) {
        for (size_t i = 0; i < ask->parts_count; i++) {
            check_part(clients, client, zxid, &ask->parts[i],
                       &reply->multi.parts[i]);
        }
    } else if (ask->op == ZK_OP_CREATE || ask->op == ZK_OP_CREATE2) {
        check_created(clients, client, ask, reply);
    } else if (!empty) {
        check_part(clients, client, zxid, &ask->one, reply);
    }
}

static void check_part(struct clients *clients, const struct client *client,
                       zxid_t zxid, const struct ask_part *part,
                       const struct client_reply *reply)
{
    const struct model_state *state =
        model_at(clients->model, slice_from_text(part->path), zxid);
    bool fits = true;

    if (state == NULL) {
        return;
    }
    switch ((int)part->op) {
        case ZK_OP_SET_DATA:
            fits = state->mzxid == zxid && state->data == part->data &&
                   stat_fits(&reply->stat, state) &&
                   (part->version < 0 || part->version + 1 == state->version);
            break;
        case ZK_OP_DELETE:
            fits = !state->exists && state->zxid == zxid;
            break;
        case ZK_OP_CREATE:
        case ZK_OP_CREATE2:
            fits = state->czxid == zxid && state->data == part->data;
            break;
        case ZK_OP_CHECK:
            fits = state->exists &&
                   (part->version < 0 || part->version == state->version);
            break;
        default:
            break;
    }
    if (!fits) {
        sim_fail(clients->sim,
                 "Acknowledged: client %u, op %d at %s with version %d is ok "
                 "at 0x%llx, which is not so",
                 client->index, part->op, part->path, part->version,
                 (unsigned long long)zxid);
    }
}

static void check_created(struct clients *clients, const struct client *client,
                          const struct ask *ask,
                          const struct client_reply *reply)
{
    bool with_stat = ask->op == ZK_OP_CREATE2;
    struct slice path = with_stat ? reply->path_stat.path : reply->path.path;
    size_t digits = ask->flags >= ZK_PERSISTENT_SEQUENTIAL ? 10 : 0;
    const struct model_state *state =
        model_at(clients->model, path, ask->committed);

    if (path.len != strlen(ask->one.path) + digits ||
        !slice_starts_with(path, slice_from_text(ask->one.path))) {
        fail(clients, client, ask, reply->zxid,
             "Answer: another path was created");
        return;
    }
    if (state == NULL) {
        return;
    }
    if (state->czxid != ask->committed || state->data != ask->one.data ||
        state->owner !=
            ((ask->flags & ZK_EPHEMERAL) != 0 ? client->session_id : 0) ||
        (with_stat && !stat_fits(&reply->path_stat.stat, state))) {
        fail(clients, client, ask, reply->zxid,
             "Acknowledged: what was created is not so");
    }
}

/* A refusal has a place in the order, and at this place it must be right. */
static void check_refused(struct clients *clients, const struct client *client,
                          const struct ask *ask,
                          const struct client_reply *reply)
{
    zxid_t zxid = reply->zxid;
    struct places places = {raised(client, reply) ? ask->seen : zxid, zxid};
    const struct client_op *row = client_op_find(ask->op);

    if (row->kind == ZK_OP_READ) {
        check_read(clients, client, ask, reply);
        return;
    }
    if (ask->committed != 0) {
        fail(clients, client, ask, zxid, "Refused: it was done all the same");
        return;
    }
    if (reply->code == ZK_QUOTA_EXCEEDED) {
        return; /* a full disk */
    }
    if (zxid < ask->seen) {
        fail(clients, client, ask, zxid,
             "Linearizable: a refusal is older than what was seen");
        return;
    }
    if (ask->op != ZK_OP_MULTI) {
        if (!refusal_fits(clients, &ask->one, reply->code, places)) {
            fail(clients, client, ask, zxid, "Refused: for no reason");
        }
        return;
    }
    for (size_t i = 0; reply->code == ZK_OK && i < ask->parts_count; i++) {
        int code = reply->multi.parts[i].code;

        if (code == ZK_OK) {
            continue;
        }
        if (code != ZK_QUOTA_EXCEEDED &&
            !refusal_fits(clients, &ask->parts[i], code, places)) {
            sim_fail(clients->sim,
                     "Refused: client %u, xid %d, part %zu of a multi: %s at "
                     "%s with version %d, 0x%llx: for no reason",
                     client->index, ask->xid, i, zk_code_text(code),
                     ask->parts[i].path, ask->parts[i].version,
                     (unsigned long long)zxid);
        }
        return;
    }
}

/* At some place in [from, to]. */
static bool refusal_fits(const struct clients *clients,
                         const struct ask_part *part, int code,
                         struct places places)
{
    struct slice path = slice_from_text(part->path);
    const struct model_state *state;
    size_t parent = path.len;

    if (code == ZK_NO_NODE &&
        (part->op == ZK_OP_CREATE || part->op == ZK_OP_CREATE2)) {
        while (parent > 1 && path.ptr[parent - 1] != '/') {
            parent--;
        }
        path.len = parent > 1 ? parent - 1 : 1;
    }
    state = model_at(clients->model, path, places.from);
    if (state == NULL || code == ZK_SESSION_EXPIRED) {
        return true; /* an ephemeral of one that is closing */
    }
    while (!state_refuses(state, part, code)) {
        zxid_t after = state->zxid > places.from ? state->zxid : places.from;

        state = model_next(clients->model, path, after);
        if (state == NULL || state->zxid > places.to) {
            return false;
        }
    }
    return true;
}

static bool state_refuses(const struct model_state *state,
                          const struct ask_part *part, int code)
{
    switch (code) {
        case ZK_NODE_EXISTS:
            return state->exists;
        case ZK_NO_NODE:
            return !state->exists;
        case ZK_BAD_VERSION:
            return state->exists && part->version >= 0 &&
                   part->version != state->version;
        case ZK_NOT_EMPTY:
            return state->children_count > 0;
        default:
            return false;
    }
}

static void check_read(struct clients *clients, const struct client *client,
                       const struct ask *ask, const struct client_reply *reply)
{
    const struct model_state *state =
        model_at(clients->model, slice_from_text(ask->one.path), reply->zxid);
    bool fits = true;

    if (clients->linear && !client->read_only && reply->zxid < ask->seen) {
        fail(clients, client, ask, reply->zxid,
             "Linearizable: a read is older than what was seen");
    }
    if (state == NULL) {
        return;
    }
    if (reply->code != ZK_OK) {
        fits = reply->code == ZK_NO_NODE && !state->exists;
    } else if (ask->op == ZK_OP_GET_DATA) {
        fits = stat_fits(&reply->data.stat, state) &&
               model_hash(reply->data.data) == state->data;
    } else if (ask->op == ZK_OP_EXISTS) {
        fits = stat_fits(&reply->stat, state);
    } else if (ask->op == ZK_OP_GET_CHILDREN) {
        fits = names_fit(reply->names.names, reply->names.names_count, state);
    } else if (ask->op == ZK_OP_GET_CHILDREN2) {
        fits = stat_fits(&reply->children2.stat, state) &&
               names_fit(reply->children2.names, reply->children2.names_count,
                         state);
    }
    if (!fits) {
        fail(clients, client, ask, reply->zxid,
             "Read: the state at its zxid is another");
    }
}

static bool stat_fits(const struct zk_stat *stat,
                      const struct model_state *state)
{
    return state->exists && stat->czxid == state->czxid &&
           stat->mzxid == state->mzxid && stat->version == state->version &&
           stat->ephemeral_owner == state->owner &&
           stat->pzxid == state->pzxid &&
           (uint32_t)stat->num_children == state->children_count;
}

static bool names_fit(const struct slice *names, size_t count,
                      const struct model_state *state)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        sum += model_hash(names[i]);
    }
    return state->exists && count == state->children_count &&
           sum == state->children;
}

static void fail(struct clients *clients, const struct client *client,
                 const struct ask *ask, zxid_t zxid, const char *what)
{
    sim_fail(clients->sim,
             "%s: client %u, xid %d, op %d at %s, 0x%llx (seen 0x%llx, "
             "committed 0x%llx)",
             what, client->index, ask->xid, ask->op, ask->one.path,
             (unsigned long long)zxid, (unsigned long long)ask->seen,
             (unsigned long long)ask->committed);
}
