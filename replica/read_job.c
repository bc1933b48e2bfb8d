/* The job: one piece of work at a time that takes many steps. Deliveries wait
 * for its end; a second long read waits for it and for them. */
#include "base/bytes.h"
#include "base/check.h"
#include "proto/jute.h"
#include "replica/replica_internal.h"

#define HEAD_SIZE ((size_t)(4 + ZK_REPLY_HEADER_SIZE))
#define COUNT_SIZE ((size_t)4)
/* A buffer above this goes back after its job. */
#define KEPT_MAX ((size_t)256 * 1024)

static enum job_type type_of(enum zk_op op);
static bool slice(struct replica *r, struct job *job);
static void answer(struct replica *r, struct job *job);
static void answer_bytes(struct replica *r, struct job *job);
static void job_end(struct replica *r);

void read_job_start(struct replica *r, struct conn *conn, struct blob *held)
{
    /* Deliveries that wait go first, else long reads could hold them up for
     * ever. */
    if (r->job.type != JOB_NONE || r->queue.count > 0) {
        conn_wait_turn(r, conn);
    } else {
        read_job_begin(r, conn, held);
    }
}

void read_job_begin(struct replica *r, struct conn *conn, struct blob *held)
{
    struct job *job = &r->job;
    struct slice bytes = blob_bytes(held);
    const struct znode *node = NULL;
    size_t head = HEAD_SIZE;
    int err;

    CHECK(job->type == JOB_NONE);
    arena_reset(r->job_arena);
    job->conn = conn;
    job->frame = blob_ref(held);
    job->taken_ms = (int64_t)bytes_load64(bytes.ptr);
    err = client_request_decode(slice_after(bytes, HELD_PREFIX), r->job_arena,
                                &job->request);
    CHECK(err == 0); /* it did when it was found to be long */
    job->type = type_of(job->request.op);
    job->root = NULL;
    job->at = NULL;
    job->index = 0;
    job->count = 0;
    job->failed = false;
    buf_clear(&job->bytes);
    if (job->type == JOB_NAMES || job->type == JOB_COUNT) {
        struct slice path = job->type == JOB_NAMES
                                ? job->request.path_watch.path
                                : job->request.path.path;

        CHECK(read_find(r, path, &node) == ZK_OK);
        job->root = node;
        job->at = job->type == JOB_NAMES ? NULL : node;
    }
    if (job->type == JOB_NAMES || job->type == JOB_EPHEMERALS) {
        head += COUNT_SIZE;
    }
    memset(buf_extend(&job->bytes, head), 0, head);
}

bool job_slice(struct replica *r)
{
    struct job *job = &r->job;
    struct conn *conn = job->conn;

    if (!slice(r, job)) {
        r->budget = 0;
        return false;
    }
    r->budget -= r->slice_units / 4;
    if (job->type == JOB_CHECKPOINT) {
        job_end(r);
        return true;
    }
    answer(r, job);
    job_end(r);
    conn_answered(r, conn);
    order_pop(conn->order);
    client_drain(r, conn);
    return true;
}

void job_cancel(struct replica *r)
{
    if (r->job.type == JOB_NONE) {
        buf_finish(&r->job.bytes);
        return;
    }
    job_end(r);
    buf_finish(&r->job.bytes);
}

static enum job_type type_of(enum zk_op op)
{
    switch ((int)op) {
        case ZK_OP_GET_CHILDREN:
        case ZK_OP_GET_CHILDREN2:
            return JOB_NAMES;
        case ZK_OP_GET_EPHEMERALS:
            return JOB_EPHEMERALS;
        case ZK_OP_GET_ALL_CHILDREN_NUMBER:
            return JOB_COUNT;
        case ZK_OP_MULTI_READ:
            return JOB_MULTI_READ;
        case ZK_OP_SET_WATCHES:
        case ZK_OP_SET_WATCHES2:
            return JOB_SET_WATCHES;
        default: /* no other read is ever long */
            UNREACHABLE();
    }
}

static bool slice(struct replica *r, struct job *job)
{
    switch (job->type) {
        case JOB_CHECKPOINT:
            return checkpoint_slice(r, job);
        case JOB_NAMES:
        case JOB_EPHEMERALS:
            return read_list_slice(r, job);
        case JOB_COUNT:
            return read_count_slice(r, job);
        case JOB_MULTI_READ:
            return read_multi_slice(r, job);
        case JOB_SET_WATCHES:
            return read_set_watches_some(r, job->conn,
                                         &job->request.set_watches, &job->index,
                                         nodes_per_slice(r));
        case JOB_NONE:
            break;
    }
    UNREACHABLE();
}

static void answer(struct replica *r, struct job *job)
{
    struct client_reply reply = {.xid = job->request.xid,
                                 .op = job->request.op,
                                 .zxid = r->zxid_delivered};

    count_answer(r, job->conn, reply.op, reply.xid, job->taken_ms);
    switch (job->type) {
        case JOB_COUNT:
            reply.value.value = (int32_t)job->count;
            reply_send(r, job->conn, &reply);
            break;
        case JOB_SET_WATCHES:
            reply_send(r, job->conn, &reply);
            break;
        case JOB_NAMES:
        case JOB_EPHEMERALS:
        case JOB_MULTI_READ:
            if (job->failed) {
                r->reading = job->type == JOB_NAMES
                                 ? job->request.path_watch.path
                                 : SLICE_LITERAL("");
                reply_too_big(r, job->conn, job->bytes.len, &reply);
                reply_send(r, job->conn, &reply);
            } else {
                answer_bytes(r, job);
            }
            break;
        case JOB_CHECKPOINT:
        case JOB_NONE:
            UNREACHABLE();
    }
}

/* The collected list becomes a packet: what stood open is filled in. */
static void answer_bytes(struct replica *r, struct job *job)
{
    struct jute_writer writer;
    struct zk_stat stat;

    if (job->request.op == ZK_OP_MULTI_READ) {
        writer.at = buf_extend(&job->bytes, 4 + 1 + 4);
        jute_write_int(&writer, -1);
        jute_write_bool(&writer, true);
        jute_write_int(&writer, -1);
    } else {
        bytes_store32(job->bytes.data + HEAD_SIZE, (uint32_t)job->count);
    }
    if (job->type == JOB_NAMES) {
        struct slice path = job->request.path_watch.path;

        if (job->request.path_watch.watch) {
            watch_add(r->watches, WATCH_CHILD, path, conn_id(job->conn));
        }
        if (job->request.op == ZK_OP_GET_CHILDREN2) {
            znode_stat(job->root, &stat);
            writer.at = buf_extend(&job->bytes, ZK_STAT_SIZE);
            client_write_stat(&writer, &stat);
        }
    }
    writer.at = job->bytes.data;
    jute_write_int(&writer, (int32_t)(job->bytes.len - 4));
    client_write_reply_header(&writer, job->request.xid, r->zxid_delivered,
                              ZK_OK);
    reply_send_packet(r, job->conn, buf_bytes(&job->bytes));
}

static void job_end(struct replica *r)
{
    struct job *job = &r->job;

    blob_unref(job->frame);
    job->frame = NULL;
    job->conn = NULL;
    job->type = JOB_NONE;
    if (job->bytes.capacity > KEPT_MAX) {
        buf_finish(&job->bytes);
    }
    arena_reset(r->job_arena);
}
