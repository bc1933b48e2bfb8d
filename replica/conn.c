#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"
#include "replica/replica_internal.h"

static void hold_frame(struct replica *r, struct conn *conn,
                       struct slice frame);
static bool take(struct replica *r, struct conn *conn, struct slice frame,
                 int64_t taken_ms);
static void take_writers(struct replica *r);
static void take_inboxes(struct replica *r);
static bool take_inbox(struct replica *r, struct conn *conn);
static void drop_inbox(struct conn *conn);
static void unwatch(struct replica *r, uint64_t id);
static bool held_too_long(const struct replica *r, const struct conn *conn);
static void free_conn(struct conn *conn);

struct conn *conn_find(const struct replica *r, uint64_t id)
{
    struct map_link *link = map_find_number(&r->conns, id);

    return link == NULL ? NULL : MAP_ENTRY(link, struct conn, by_id);
}

void conn_opened(struct replica *r, const struct replica_input *input)
{
    struct conn *conn = MEM_NEW(struct conn);

    CHECK(input->conn_id != 0);
    map_add_number(&r->conns, &conn->by_id, input->conn_id);
    list_init(&conn->inbox);
    list_init(&conn->in_inboxes);
    list_init(&conn->in_paused);
    list_init(&conn->in_waiters);
    conn->state = CONN_NEW;
    conn->counts.established_wall_ms = input->wall_ms;
    conn->counts.last_op = "NA";
    memcpy(conn->random, input->opened.random, sizeof(conn->random));
    auth_add_address(&conn->auth, input->opened.address);
}

void conn_frame(struct replica *r, const struct replica_input *input)
{
    struct conn *conn = conn_find(r, input->conn_id);

    /* A frame may cross the closing of its connection. */
    if (conn == NULL) {
        return;
    }
    r->received++;
    conn->counts.received++;
    if (conn->state == CONN_OPEN) {
        /* Held or not, it shows that the client is there. */
        conn_touch(r, conn);
        if (input->frame.len >= 8 &&
            (int32_t)bytes_load32(input->frame.ptr + 4) == ZK_OP_PING) {
            if (!held_too_long(r, conn)) {
                client_ping(r, conn);
            }
            return;
        }
    } else if (conn->state == CONN_READ_ONLY) {
        conn->touched_ms = r->now_ms;
    }
    if (frames_wait(r) || !list_empty(&conn->inbox) ||
        !take(r, conn, input->frame, r->now_ms)) {
        hold_frame(r, conn, input->frame);
    }
}

void conn_close(struct replica *r, struct conn *conn, const char *why)
{
    struct session *session;

    CHECK(conn->state != CONN_GONE);
    if (why != NULL) {
        struct replica_effect *effect = effect_push(r, REPLICA_CLOSE_CLIENT);

        effect->conn_id = conn_id(conn);
        effect->why = why;
    }
    session = session_find(r->sessions, conn->session_id);
    if (session != NULL && session_conn(session) == conn_id(conn)) {
        session_attach(session, 0);
    }
    conn->state = CONN_GONE;
    if (r->job.type != JOB_NONE && r->job.conn == conn) {
        job_cancel(r);
    }
    unwatch(r, conn_id(conn));
    drop_inbox(conn);
    list_remove(&conn->in_paused);
    list_remove(&conn->in_waiters);
    while (conn->outstanding > 0) {
        conn_answered(r, conn);
    }
    map_remove(&r->conns, &conn->by_id);
    /* Callers up the stack still look at its state. */
    list_push_back(&r->gone, &conn->in_inboxes);
}

void conn_touch(struct replica *r, struct conn *conn)
{
    if (!r->leading) {
        status_touch(r, conn);
    } else if (conn->touched_ms != r->now_ms) {
        conn->touched_ms = r->now_ms;
        session_touch(r->sessions, conn->session, r->now_ms);
    }
}

/* Whatever it has sent since stands in its socket, and not by its own doing. */
bool conn_unheard(const struct replica *r, const struct conn *conn)
{
    return conn->state == CONN_HANDSHAKE ||
           (conn->pauses != 0 && conn->output < r->config.output_mark);
}

void conn_pause(struct replica *r, struct conn *conn, enum conn_pause why)
{
    if (conn->pauses == 0) {
        effect_push(r, REPLICA_PAUSE_CLIENT)->conn_id = conn_id(conn);
    }
    conn->pauses |= (uint8_t)why;
}

void conn_resume(struct replica *r, struct conn *conn, enum conn_pause why)
{
    if ((conn->pauses & (uint8_t)why) == 0) {
        return;
    }
    conn->pauses &= (uint8_t) ~(unsigned)why;
    if (conn->pauses == 0) {
        effect_push(r, REPLICA_RESUME_CLIENT)->conn_id = conn_id(conn);
    }
}

struct order *conn_order(struct conn *conn)
{
    if (conn->order == NULL) {
        conn->order = order_create();
    }
    return conn->order;
}

bool conn_idle(const struct conn *conn)
{
    return conn->order == NULL || order_empty(conn->order);
}

void conn_drained(struct replica *r, struct conn *conn)
{
    conn->output = 0;
    /* Above the mark nothing is read from it, so it cannot say that it is
     * there; that it takes its answers says it. */
    if (conn->state == CONN_OPEN) {
        conn_touch(r, conn);
    } else if (conn->state == CONN_READ_ONLY) {
        conn->touched_ms = r->now_ms;
    }
    if (conn_idle(conn)) {
        return;
    }
    if (frames_wait(r)) {
        /* Its reads would see half of a txn: run them in their turn. */
        conn_wait_turn(r, conn);
        return;
    }
    client_drain(r, conn);
}

void conn_wait_turn(struct replica *r, struct conn *conn)
{
    list_remove(&conn->in_waiters);
    list_push_back(&r->job_waiters, &conn->in_waiters);
}

/* One more request in flight. Over the limit whoever sends is paused, as
 * ZooKeeper does with globalOutstandingLimit. */
void conn_outstanding(struct replica *r, struct conn *conn)
{
    conn->outstanding++;
    r->outstanding++;
    if (r->outstanding >= r->config.outstanding_max &&
        (conn->pauses & PAUSE_OUTSTANDING) == 0) {
        conn_pause(r, conn, PAUSE_OUTSTANDING);
        list_push_back(&r->paused, &conn->in_paused);
    }
}

/* One fewer. All go on when half of the limit is free: one by one each answer
 * would cost a pause and a resume. */
void conn_answered(struct replica *r, struct conn *conn)
{
    CHECK(conn->outstanding > 0);
    conn->outstanding--;
    r->outstanding--;
    if (r->outstanding > r->config.outstanding_max / 2) {
        return;
    }
    while (!list_empty(&r->paused)) {
        struct conn *paused =
            LIST_ENTRY(r->paused.next, struct conn, in_paused);

        list_remove(&paused->in_paused);
        conn_resume(r, paused, PAUSE_OUTSTANDING);
    }
}

void conns_take_inboxes(struct replica *r)
{
    r->inboxes_wake = false;
    if (!inboxes_hold(r) || frames_wait(r)) {
        return;
    }
    take_writers(r);
    take_inboxes(r);
    /* What the budget cut short, in the middle of an inbox even, goes on. */
    if (r->budget <= 0 && inboxes_hold(r)) {
        r->inboxes_wake = true;
    }
}

/* Only as many as there is room for: there may be very many. */
static void take_writers(struct replica *r)
{
    while (!list_empty(&r->writers) && r->budget > 0 && !frames_wait(r) &&
           write_possible(r)) {
        struct conn *conn =
            LIST_ENTRY(r->writers.next, struct conn, in_inboxes);

        list_remove(&conn->in_inboxes);
        list_push_back(&r->inboxes, &conn->in_inboxes);
        if (!take_inbox(r, conn)) {
            list_remove(&conn->in_inboxes);
            list_push_front(&r->writers, &conn->in_inboxes);
        }
    }
}

static void take_inboxes(struct replica *r)
{
    struct list todo;

    if (list_empty(&r->inboxes)) {
        return;
    }
    /* Walked from a list of its own: taking a frame may close any other. */
    list_init(&todo);
    list_push_back(&r->inboxes, &todo);
    list_remove(&r->inboxes);
    while (!list_empty(&todo)) {
        struct conn *conn = LIST_ENTRY(todo.next, struct conn, in_inboxes);

        list_remove(&conn->in_inboxes);
        list_push_back(&r->inboxes, &conn->in_inboxes);
        if (!take_inbox(r, conn)) {
            list_remove(&conn->in_inboxes);
            list_push_back(&r->writers, &conn->in_inboxes);
        }
        if (r->budget <= 0) {
            break;
        }
    }
    /* The rest keeps its place in front. */
    while (!list_empty(&todo)) {
        struct list *last = todo.prev;

        list_remove(last);
        list_push_front(&r->inboxes, last);
    }
}

void conns_unwatch(struct replica *r)
{
    while (r->unwatched.count > 0 && r->budget > 0) {
        uint64_t id = *(uint64_t *)fifo_at(&r->unwatched, 0);

        r->budget -= (int)unwatched_per_slice(r);
        if (watch_remove_conn(r->watches, id, unwatched_per_slice(r))) {
            fifo_pop(&r->unwatched);
        }
    }
}

void conns_free_gone(struct replica *r)
{
    while (!list_empty(&r->gone)) {
        struct conn *conn = LIST_ENTRY(r->gone.next, struct conn, in_inboxes);

        list_remove(&conn->in_inboxes);
        free_conn(conn);
    }
}

void conns_finish(struct replica *r)
{
    struct map_link *link;

    conns_free_gone(r);
    while ((link = map_first(&r->conns)) != NULL) {
        struct conn *conn = MAP_ENTRY(link, struct conn, by_id);

        map_remove(&r->conns, link);
        drop_inbox(conn);
        free_conn(conn);
    }
    map_finish(&r->conns);
}

/* What came after this frame stays in the socket from now on. */
static void hold_frame(struct replica *r, struct conn *conn, struct slice frame)
{
    struct held_frame *held;

    if (conn->state == CONN_GONE) {
        return;
    }
    held = mem_alloc(sizeof(*held) + frame.len);
    held->taken_ms = r->now_ms;
    held->len = frame.len;
    if (frame.len > 0) {
        memcpy(held->bytes, frame.ptr, frame.len);
    }
    if (list_empty(&conn->inbox)) {
        list_push_back(&r->inboxes, &conn->in_inboxes);
        conn_pause(r, conn, PAUSE_INBOX);
    }
    list_push_back(&conn->inbox, &held->link);
}

/* False: not now. */
static bool take(struct replica *r, struct conn *conn, struct slice frame,
                 int64_t taken_ms)
{
    switch (conn->state) {
        case CONN_NEW:
            return handshake_take(r, conn, frame, taken_ms);
        case CONN_HANDSHAKE:
            return false;
        case CONN_OPEN:
            /* In read-only mode it waits for the leader as ever. */
            return r->serving && client_take(r, conn, frame, taken_ms);
        case CONN_READ_ONLY:
            return client_take(r, conn, frame, taken_ms);
        case CONN_CLOSING:
        case CONN_GONE:
            break;
    }
    return true;
}

/* False: its next one waits until a write is possible. */
static bool take_inbox(struct replica *r, struct conn *conn)
{
    while (!list_empty(&conn->inbox) && !frames_wait(r) && r->budget > 0) {
        struct held_frame *held =
            LIST_ENTRY(conn->inbox.next, struct held_frame, link);
        bool taken;

        list_remove(&held->link);
        taken =
            take(r, conn, slice_make(held->bytes, held->len), held->taken_ms);
        if (!taken && conn->state != CONN_GONE) {
            list_push_front(&conn->inbox, &held->link);
            return conn->state == CONN_HANDSHAKE || write_possible(r);
        }
        r->budget -= COST_FRAME;
        mem_free(held);
    }
    if (conn->state != CONN_GONE && list_empty(&conn->inbox)) {
        list_remove(&conn->in_inboxes);
        conn_resume(r, conn, PAUSE_INBOX);
    }
    return true;
}

static void drop_inbox(struct conn *conn)
{
    while (!list_empty(&conn->inbox)) {
        struct held_frame *held =
            LIST_ENTRY(conn->inbox.next, struct held_frame, link);

        list_remove(&held->link);
        mem_free(held);
    }
    list_remove(&conn->in_inboxes);
}

/* Watches of a connection that is gone fire at nobody: they may go later, in
 * slices; not while somebody walks them. */
static void unwatch(struct replica *r, uint64_t id)
{
    if (watch_conn_count(r->watches, id) == 0) {
        return;
    }
    if (r->holds == 0 &&
        watch_remove_conn(r->watches, id, unwatched_per_slice(r))) {
        return;
    }
    *(uint64_t *)fifo_push(&r->unwatched) = id;
}

/* Nobody has told the leader of it since: it may be expired by now. */
static bool held_too_long(const struct replica *r, const struct conn *conn)
{
    return r->held_since_ms != 0 &&
           r->now_ms - r->held_since_ms >= session_timeout_ms(conn->session);
}

static void free_conn(struct conn *conn)
{
    order_destroy(conn->order);
    auth_list_finish(&conn->auth);
    mem_free(conn);
}
