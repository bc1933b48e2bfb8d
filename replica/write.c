/* Writes and syncs: what goes to the leader and waits for its answer; and what
 * the leader makes of a write, wherever it came from. */
#include "base/check.h"
#include "replica/replica_internal.h"

/* Beside the payload of a frame between servers: its head, a connection's
 * ids. */
#define PEER_HEAD_SIZE (512U * 1024)
#define PEER_PAYLOAD_MAX (PEER_FRAME_SIZE_MAX - PEER_HEAD_SIZE)

static void answer_malformed(struct replica *r, struct conn *conn,
                             const struct zk_request_header *header,
                             int64_t taken_ms);
static uint32_t txn_size_max(const struct replica *r);
static bool adds_data(const struct client_request *request);
static size_t first_that_adds(const struct client_request *request);
static void refuse_part(struct replica *r, const struct origin *origin,
                        const struct client_request *request, enum zk_code code,
                        size_t failed);
static void close_session(struct replica *r, const struct origin *origin);
static void log_soft_quota(struct replica *r, struct slice path);

struct origin conn_origin(const struct replica *r, const struct conn *conn)
{
    return (struct origin){
        .id = r->self_id,
        .attachment = conn->attachment,
        .session_id = conn->session_id,
        .session_closing = session_closing(conn->session),
        .auth = conn->auth.items,
        .auth_count = conn->auth.count,
    };
}

bool write_possible(const struct replica *r)
{
    return r->leading ? propose_possible(r) : forward_possible(r);
}

bool propose_possible(const struct replica *r)
{
    return r->leading && r->ends_queued == 0 && zab_can_propose(r->zab);
}

bool write_take(struct replica *r, struct conn *conn,
                const struct zk_request_header *header, struct slice frame,
                int64_t taken_ms)
{
    struct client_request request;
    struct origin origin = conn_origin(r, conn);

    if (!write_possible(r)) {
        return false;
    }
    if (client_request_decode(frame, r->arena, &request) != 0 ||
        (!r->leading && frame.len > PEER_PAYLOAD_MAX)) {
        answer_malformed(r, conn, header, taken_ms);
        return true;
    }
    if (r->leading && !session_owned(r, conn->session, &origin)) {
        return true; /* and the connection is closed */
    }
    origin.request = wait_add(r, &(struct wait){.conn_id = conn_id(conn),
                                                .taken_ms = taken_ms,
                                                .xid = request.xid,
                                                .bytes = (uint32_t)frame.len,
                                                .op = request.op,
                                                .kind = WAIT_WRITE});
    origin.cxid = request.xid;
    order_push_waiting(conn_order(conn), origin.request);
    conn_outstanding(r, conn);
    conn->close_taken = request.op == ZK_OP_CLOSE_SESSION;
    if (r->leading) {
        write_prepare(r, &origin, &request);
    } else {
        forward_request(r, &origin, frame);
    }
    return true;
}

bool sync_take(struct replica *r, struct conn *conn,
               const struct zk_request_header *header, struct slice frame,
               int64_t taken_ms)
{
    struct client_request request;
    struct wait wait = {.conn_id = conn_id(conn),
                        .taken_ms = taken_ms,
                        .xid = header->xid,
                        .op = ZK_OP_SYNC,
                        .kind = WAIT_SYNC};
    struct origin origin = conn_origin(r, conn);

    if (!write_possible(r)) {
        return false;
    }
    if (client_request_decode(frame, r->arena, &request) != 0) {
        answer_malformed(r, conn, header, taken_ms);
        return true;
    }
    wait.frame = blob_copy(frame);
    origin.request = wait_add(r, &wait);
    order_push_waiting(conn_order(conn), origin.request);
    conn_outstanding(r, conn);
    if (r->leading) {
        barrier_add(r, &(struct barrier){.kind = BARRIER_SYNC,
                                         .origin_id = origin.id,
                                         .origin_request = origin.request});
    } else {
        forward_sync(r, &origin);
    }
    return true;
}

void write_context(const struct replica *r, const struct origin *origin,
                   struct prep_context *context)
{
    *context = (struct prep_context){
        .txn_size_max = txn_size_max(r),
        .ttl_nodes = r->config.ttl_nodes,
        .hard_quotas = r->config.hard_quotas,
        .skip_acl = r->config.skip_acl,
        .ephemerals_max = r->config.ephemerals_max,
        .session_id = origin->session_id,
        .session_closing = origin->session_closing,
        .origin_id = origin->id,
        .origin_request = origin->request,
        .cxid = origin->cxid,
        .auth = origin->auth,
        .auth_count = origin->auth_count,
        .zxid = zab_next_zxid(r->zab),
        .time_ms = r->wall_ms,
        .container_never_used_ms = r->config.container_never_used_ms,
    };
}

void write_prepare(struct replica *r, const struct origin *origin,
                   const struct client_request *request)
{
    struct prep_context context;
    struct txn txn;
    enum zk_code code;
    size_t failed;

    /* Its end is in the log already: nothing of it comes behind. */
    if (origin->session_closing) {
        write_refuse(r, origin, ZK_SESSION_EXPIRED);
        return;
    }
    if (request->op == ZK_OP_CLOSE_SESSION) {
        close_session(r, origin);
        return;
    }
    /* As ZooKeeper with its default reconfigEnabled=false. */
    if (request->op == ZK_OP_RECONFIG) {
        write_refuse(r, origin, ZK_RECONFIG_DISABLED);
        return;
    }
    if (status_disk_low(r)) {
        failed = first_that_adds(request);
        if (failed != SIZE_MAX) {
            refuse_part(r, origin, request, ZK_QUOTA_EXCEEDED, failed);
            return;
        }
    }
    write_context(r, origin, &context);
    failed = SIZE_MAX;
    code = prep_request(r->prep, request, &context, r->arena, &txn, &failed);
    if (!slice_is_absent(context.soft_quota_path)) {
        log_soft_quota(r, context.soft_quota_path);
    }
    if (code == ZK_OK) {
        write_propose(r, &txn);
    } else {
        refuse_part(r, origin, request, code, failed);
    }
}

void write_propose(struct replica *r, const struct txn *txn)
{
    struct blob *proposal;

    buf_clear(&r->txn_bytes);
    txn_encode(txn, &r->txn_bytes);
    proposal = blob_copy(buf_bytes(&r->txn_bytes));
    replica_zab(
        r, &(struct zab_input){.type = ZAB_IN_PROPOSE, .proposal = proposal});
    blob_unref(proposal);
}

void write_refuse(struct replica *r, const struct origin *origin,
                  enum zk_code code)
{
    barrier_add(r, &(struct barrier){.origin_id = origin->id,
                                     .origin_request = origin->request,
                                     .code = code});
}

/* ZooKeeper's answer to a failed multi: no error in the header, and one for
 * each part: none before the one that failed, "inconsistency" behind it. */
void write_refused_multi(struct replica *r, const struct barrier *barrier,
                         struct client_reply *reply)
{
    struct client_reply *parts =
        ARENA_NEW(r->arena, struct client_reply, barrier->parts_count);

    for (uint32_t i = 0; i < barrier->parts_count; i++) {
        parts[i].op = ZK_OP_ERROR;
        parts[i].code = i < barrier->part_failed    ? ZK_OK
                        : i == barrier->part_failed ? (int32_t)barrier->code
                                                    : ZK_RUNTIME_INCONSISTENCY;
    }
    reply->code = ZK_OK;
    reply->multi.parts = parts;
    reply->multi.count = barrier->parts_count;
}

void write_close_session(struct replica *r, struct session *session)
{
    struct origin origin = {.id = r->self_id,
                            .session_id = session_id(session)};

    CHECK(propose_possible(r));
    close_session(r, &origin);
}

static void answer_malformed(struct replica *r, struct conn *conn,
                             const struct zk_request_header *header,
                             int64_t taken_ms)
{
    struct client_reply reply = {.xid = header->xid,
                                 .op = (enum zk_op)header->type,
                                 .zxid = r->zxid_delivered,
                                 .code = ZK_MARSHALLING_ERROR};

    client_answer(r, conn, &reply, taken_ms);
}

/* What no frame between servers takes would stop the ensemble for good: each
 * learner would drop its leader for it. */
static uint32_t txn_size_max(const struct replica *r)
{
    uint32_t max = r->config.frame_size_max + TXN_SIZE_EXTRA;

    return r->standalone || max < PEER_PAYLOAD_MAX ? max : PEER_PAYLOAD_MAX;
}

/* Refused while the disk is nearly full. Deletes, checks, setACL and the ends
 * of sessions make or keep room; a new session is let in, as it takes one to
 * delete. */
static bool adds_data(const struct client_request *request)
{
    switch ((int)request->op) {
        case ZK_OP_CREATE:
        case ZK_OP_CREATE2:
        case ZK_OP_CREATE_CONTAINER:
        case ZK_OP_CREATE_TTL:
        case ZK_OP_SET_DATA:
            return true;
        default:
            return false;
    }
}

/* SIZE_MAX: none; 0 for a single request. */
static size_t first_that_adds(const struct client_request *request)
{
    if (request->op != ZK_OP_MULTI) {
        return adds_data(request) ? 0 : SIZE_MAX;
    }
    for (size_t i = 0; i < request->multi.count; i++) {
        if (adds_data(&request->multi.ops[i])) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* No record, no zxid: a place in the order (DESIGN 2.7). */
static void refuse_part(struct replica *r, const struct origin *origin,
                        const struct client_request *request, enum zk_code code,
                        size_t failed)
{
    struct barrier barrier = {.origin_id = origin->id,
                              .origin_request = origin->request,
                              .code = code};

    if (request->op == ZK_OP_MULTI && failed != SIZE_MAX) {
        barrier.parts_count = (uint32_t)request->multi.count;
        barrier.part_failed = (uint32_t)failed;
    }
    barrier_add(r, &barrier);
}

static void close_session(struct replica *r, const struct origin *origin)
{
    struct session *session = session_find(r->sessions, origin->session_id);
    struct prep_context context;
    struct txn txn;

    CHECK(session != NULL);
    session_set_closing(session, true);
    write_context(r, origin, &context);
    prep_close_session(r->prep, &context, &txn);
    write_propose(r, &txn);
}

static void log_soft_quota(struct replica *r, struct slice path)
{
    if (r->soft_quota_logged_ms != 0 &&
        r->now_ms - r->soft_quota_logged_ms < SOFT_QUOTA_LOG_MS) {
        return;
    }
    r->soft_quota_logged_ms = r->now_ms;
    replica_log(r, REPLICA_WARN, "quota_passed", "limit=soft path=%s",
                quoted(r, path));
}
