/* Linearizable reads (linearizableReads=all): before it is run a read waits for
 * a barrier of the leader's that was taken after the read came. One barrier at
 * a time for all of a server's reads, a round: those that come while it is out
 * have the next. To the leader a round is a sync of one of the connections that
 * wait. */
#include "replica/replica_internal.h"

static const struct conn *first_open(struct replica *r);

uint64_t linear_round(const struct replica *r, const struct conn *conn)
{
    if (!r->config.linearizable_reads || conn->state == CONN_READ_ONLY ||
        MUTATION(37)) {
        return 0;
    }
    return r->rounds_begun + 1;
}

void linear_wait(struct replica *r, struct conn *conn)
{
    list_remove(&conn->in_waiters);
    list_push_back(&r->linear_waiters, &conn->in_waiters);
}

bool linear_due(const struct replica *r)
{
    return !r->round_out && !list_empty(&r->linear_waiters) &&
           write_possible(r);
}

void linear_begin(struct replica *r)
{
    const struct conn *conn = first_open(r);
    struct origin origin;

    if (conn == NULL) {
        return;
    }
    origin = conn_origin(r, conn);
    r->rounds_begun++;
    r->round_out = true;
    origin.request = wait_add(r, &(struct wait){.taken_ms = r->now_ms,
                                                .op = ZK_OP_SYNC,
                                                .kind = WAIT_READS});
    if (r->leading) {
        barrier_add(r, &(struct barrier){.kind = BARRIER_SYNC,
                                         .origin_id = origin.id,
                                         .origin_request = origin.request});
    } else {
        forward_sync(r, &origin);
    }
}

/* Who is closing needs no round: its close, which was asked behind its reads,
 * is delivered. */
static const struct conn *first_open(struct replica *r)
{
    while (!list_empty(&r->linear_waiters)) {
        struct conn *conn =
            LIST_ENTRY(r->linear_waiters.next, struct conn, in_waiters);

        if (conn->state == CONN_OPEN) {
            return conn;
        }
        conn_wait_turn(r, conn);
    }
    return NULL;
}

/* Refused: the session whose sync it was has moved or ended. Another one's
 * turn; its connection is about to be closed. */
void linear_end(struct replica *r, bool confirmed)
{
    r->round_out = false;
    if (list_empty(&r->linear_waiters)) {
        return;
    }
    if (!confirmed) {
        linear_wait(
            r, LIST_ENTRY(r->linear_waiters.next, struct conn, in_waiters));
        return;
    }
    r->rounds_done = r->rounds_begun;
    while (!list_empty(&r->linear_waiters)) {
        conn_wait_turn(
            r, LIST_ENTRY(r->linear_waiters.next, struct conn, in_waiters));
    }
}

void linear_void(struct replica *r)
{
    r->round_out = false;
}
