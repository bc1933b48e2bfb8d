/* What an open connection asks: sorted by kind, answered in its order. */
#include "base/bytes.h"
#include "base/check.h"
#include "replica/replica_internal.h"

static void take_read(struct replica *r, struct conn *conn, struct slice frame,
                      int64_t taken_ms);
static void hold_read(struct replica *r, struct conn *conn, struct slice frame,
                      int64_t taken_ms);
static void take_session_op(struct replica *r, struct conn *conn, enum zk_op op,
                            struct slice frame);
static void take_auth(struct replica *r, struct conn *conn,
                      const struct client_request *request);
static void send_unstamped(struct replica *r, struct conn *conn,
                           const struct client_reply *reply);
static void refuse(struct replica *r, struct conn *conn,
                   const struct zk_request_header *header, enum zk_code code,
                   int64_t taken_ms);
static bool run_held(struct replica *r, struct conn *conn, struct blob *held);

bool client_take(struct replica *r, struct conn *conn, struct slice frame,
                 int64_t taken_ms)
{
    struct zk_request_header header;
    const struct client_op *op;

    if (client_header_decode(frame, &header) != 0) {
        conn_close(r, conn, "request without a header");
        return true;
    }
    if (conn->close_taken) {
        return true; /* nothing follows the end of a session */
    }
    op = client_op_find(header.type);
    if (op == NULL) {
        refuse(r, conn, &header, ZK_UNIMPLEMENTED, taken_ms);
        return true;
    }
    if (conn->state == CONN_READ_ONLY &&
        (op->kind == ZK_OP_WRITE || op->kind == ZK_OP_SYNC_KIND)) {
        read_only_refuse(r, conn, &header, taken_ms);
        return true;
    }
    switch (op->kind) {
        case ZK_OP_READ:
            take_read(r, conn, frame, taken_ms);
            break;
        case ZK_OP_WRITE:
            return write_take(r, conn, &header, frame, taken_ms);
        case ZK_OP_SYNC_KIND:
            return sync_take(r, conn, &header, frame, taken_ms);
        case ZK_OP_SESSION:
            take_session_op(r, conn, op->op, frame);
            break;
        case ZK_OP_NESTED:
            refuse(r, conn, &header, ZK_UNIMPLEMENTED, taken_ms);
            break;
        case ZK_OP_INTERNAL:
            refuse(r, conn, &header,
                   op->op == ZK_OP_CREATE_SESSION ||
                           op->op == ZK_OP_DELETE_CONTAINER
                       ? ZK_BAD_ARGUMENTS
                       : ZK_UNIMPLEMENTED,
                   taken_ms);
            break;
    }
    return true;
}

/* Passes the queue by: it says that the server and the session are there, not
 * that a write is done. */
void client_ping(struct replica *r, struct conn *conn)
{
    struct client_reply reply = {
        .xid = ZK_XID_PING, .op = ZK_OP_PING, .zxid = r->zxid_delivered};

    reply_send(r, conn, &reply);
    count_answer(r, conn, ZK_OP_PING, ZK_XID_PING, r->now_ms);
}

void client_answer(struct replica *r, struct conn *conn,
                   struct client_reply *reply, int64_t taken_ms)
{
    count_answer(r, conn, reply->op, reply->xid, taken_ms);
    if (conn_idle(conn)) {
        reply_send(r, conn, reply);
    } else {
        order_push_reply(conn->order, reply_blob(r, conn, reply));
    }
}

void client_answer_wait(struct replica *r, uint64_t origin_request,
                        const struct wait *wait, struct client_reply *reply)
{
    struct conn *conn = conn_find(r, wait->conn_id);
    struct order_head head;

    if (conn == NULL) {
        return;
    }
    count_answer(r, conn, wait->op, wait->xid, wait->taken_ms);
    if (order_head(conn->order, &head) && head.type == ORDER_WAITING &&
        head.origin_request == origin_request) {
        reply_send(r, conn, reply);
        order_pop(conn->order);
    } else {
        bool waited = order_answer(conn->order, origin_request,
                                   reply_blob(r, conn, reply));

        CHECK(waited);
    }
    conn_answered(r, conn);
    client_drain(r, conn);
}

void client_answer_sync(struct replica *r, uint64_t origin_request,
                        const struct wait *wait)
{
    struct client_request request;
    struct client_reply reply = {
        .xid = wait->xid, .op = ZK_OP_SYNC, .zxid = r->zxid_delivered};
    int err =
        client_request_decode(blob_bytes(wait->frame), r->arena, &request);

    CHECK(err == 0); /* it did once */
    reply.path = request.path;
    client_answer_wait(r, origin_request, wait, &reply);
}

void client_drain(struct replica *r, struct conn *conn)
{
    struct order_head head;

    if (conn->order == NULL) {
        return;
    }
    while (order_head(conn->order, &head) && head.type != ORDER_WAITING) {
        if (head.type == ORDER_REPLY) {
            reply_send_packet(r, conn, blob_bytes(head.bytes));
        } else if (!run_held(r, conn, head.bytes)) {
            return;
        }
        order_pop(conn->order);
    }
    if (order_frames(conn->order) <= r->config.reads_held_max / 2) {
        conn_resume(r, conn, PAUSE_READS);
    }
    if (conn->state == CONN_CLOSING && order_empty(conn->order)) {
        conn_close(r, conn, "session closed by its client");
    }
}

bool client_reads_done(struct replica *r, struct conn *conn)
{
    struct order_head head;

    if (r->job.type != JOB_NONE) {
        (void)job_slice(r);
        return false;
    }
    while (conn->state != CONN_GONE && order_head(conn->order, &head) &&
           head.type != ORDER_WAITING) {
        struct slice bytes = blob_bytes(head.bytes);

        if (head.type == ORDER_REPLY) {
            reply_send_packet(r, conn, bytes);
        } else if (conn->output >= r->config.output_mark) {
            return true; /* nobody waits for one who takes no answers */
        } else if (r->budget <= 0) {
            return false;
        } else if (!read_run(r, conn, slice_after(bytes, HELD_PREFIX),
                             (int64_t)bytes_load64(bytes.ptr))) {
            read_job_begin(r, conn, head.bytes);
            return false;
        } else {
            r->budget -= COST_FRAME;
            conn_answered(r, conn);
        }
        order_pop(conn->order);
    }
    return true;
}

static void take_read(struct replica *r, struct conn *conn, struct slice frame,
                      int64_t taken_ms)
{
    if (!conn_idle(conn)) {
        hold_read(r, conn, frame, taken_ms);
        return;
    }
    if (linear_round(r, conn) > 0 || !read_run(r, conn, frame, taken_ms)) {
        hold_read(r, conn, frame, taken_ms);
        client_drain(r, conn);
    }
}

static void hold_read(struct replica *r, struct conn *conn, struct slice frame,
                      int64_t taken_ms)
{
    uint8_t *bytes;
    struct blob *held = blob_create(HELD_PREFIX + frame.len, &bytes);

    bytes_store64(bytes, (uint64_t)taken_ms);
    bytes_store64(bytes + 8, linear_round(r, conn));
    memcpy(bytes + HELD_PREFIX, frame.ptr, frame.len);
    order_push_frame(conn_order(conn), held);
    conn_outstanding(r, conn);
    if (order_frames(conn->order) >= r->config.reads_held_max) {
        conn_pause(r, conn, PAUSE_READS);
    }
}

static void take_session_op(struct replica *r, struct conn *conn, enum zk_op op,
                            struct slice frame)
{
    struct client_request request;

    if (client_request_decode(frame, r->arena, &request) != 0) {
        conn_close(r, conn, "malformed authentication");
        return;
    }
    if (op == ZK_OP_PING) {
        client_ping(r, conn);
    } else if (op == ZK_OP_AUTH) {
        take_auth(r, conn, &request);
    } else {
        /* As ZooKeeper does without SASL: "no token" and no error. */
        send_unstamped(
            r, conn,
            &(struct client_reply){.xid = request.xid, .op = ZK_OP_SASL});
    }
}

static void take_auth(struct replica *r, struct conn *conn,
                      const struct client_request *request)
{
    struct client_reply reply = {.xid = request->xid, .op = ZK_OP_AUTH};

    reply.code = auth_packet(&conn->auth, &request->auth, &r->policy);
    send_unstamped(r, conn, &reply);
    if (reply.code != ZK_OK) {
        r->auth_failed++;
        conn_close(r, conn, "authentication failed");
    }
}

/* With zxid 0: clients take a positive one as what they have seen. */
static void send_unstamped(struct replica *r, struct conn *conn,
                           const struct client_reply *reply)
{
    size_t size = client_reply_size(reply);
    uint8_t *packet = packet_alloc(r, size);

    client_reply_write(reply, packet);
    packet_send(r, conn, slice_make(packet, size));
}

static void refuse(struct replica *r, struct conn *conn,
                   const struct zk_request_header *header, enum zk_code code,
                   int64_t taken_ms)
{
    struct client_reply reply = {.xid = header->xid,
                                 .op = ZK_OP_ERROR,
                                 .zxid = r->zxid_delivered,
                                 .code = code};

    client_answer(r, conn, &reply, taken_ms);
}

/* False: not yet. */
static bool run_held(struct replica *r, struct conn *conn, struct blob *held)
{
    struct slice bytes = blob_bytes(held);
    int64_t taken_ms = (int64_t)bytes_load64(bytes.ptr);

    if (conn->output >= r->config.output_mark) {
        return false; /* CLIENT_DRAINED goes on */
    }
    if (r->job.type != JOB_NONE && r->job.conn == conn) {
        return false; /* its end goes on */
    }
    if (bytes_load64(bytes.ptr + 8) > r->rounds_done &&
        conn->state == CONN_OPEN) {
        linear_wait(r, conn);
        return false;
    }
    if (r->budget <= 0) {
        conn_wait_turn(r, conn);
        return false;
    }
    r->budget -= COST_FRAME;
    if (!read_run(r, conn, slice_after(bytes, HELD_PREFIX), taken_ms)) {
        read_job_start(r, conn, held);
        return false;
    }
    conn_answered(r, conn);
    return true;
}
