#include "base/check.h"
#include "replica/replica_internal.h"

static void refused(struct replica *r, const struct barrier *barrier,
                    const struct wait *wait);
static void tell(struct replica *r, const struct barrier *barrier,
                 zxid_t place);
static void drop_front(struct replica *r);

/* Entries are answered nearly in the order in which they were made, as links,
 * log and delivery are FIFO: so the table is a queue, and an entry's place in
 * it is its number. */
uint64_t wait_add(struct replica *r, const struct wait *wait)
{
    *(struct wait *)fifo_push(&r->waits) = *wait;
    r->waits_bytes += wait->bytes;
    return r->waits_first + r->waits.count - 1;
}

const struct wait *wait_find(const struct replica *r, uint64_t origin_request)
{
    const struct wait *entry;

    if (origin_request < r->waits_first ||
        origin_request - r->waits_first >= r->waits.count) {
        return NULL;
    }
    entry = fifo_at(&r->waits, (size_t)(origin_request - r->waits_first));
    return entry->kind == WAIT_NOBODY ? NULL : entry;
}

bool wait_take(struct replica *r, uint64_t origin_request, struct wait *wait)
{
    struct wait *entry;

    if (wait_find(r, origin_request) == NULL) {
        return false;
    }
    entry = fifo_at(&r->waits, (size_t)(origin_request - r->waits_first));
    *wait = *entry;
    r->waits_bytes -= entry->bytes;
    entry->kind = WAIT_NOBODY;
    entry->frame = NULL;
    drop_front(r);
    return true;
}

void waits_drop_all(struct replica *r)
{
    r->waits_bytes = 0;
    while (r->waits.count > 0) {
        struct wait *entry = fifo_at(&r->waits, 0);

        blob_unref(entry->frame);
        fifo_pop(&r->waits);
        r->waits_first++;
    }
}

void waits_finish(struct replica *r)
{
    waits_drop_all(r);
    fifo_finish(&r->waits);
    fifo_finish(&r->barriers);
    fifo_finish(&r->remote_barriers);
}

void barrier_add(struct replica *r, const struct barrier *barrier)
{
    struct barrier *entry = fifo_push(
        barrier->origin_id == r->self_id ? &r->barriers : &r->remote_barriers);

    *entry = *barrier;
    entry->number = ++r->barrier_last;
    replica_zab(r, &(struct zab_input){.type = ZAB_IN_BARRIER,
                                       .barrier = entry->number});
}

void barriers_done(struct replica *r, uint64_t number)
{
    while (r->barriers.count > 0) {
        struct barrier barrier = *(struct barrier *)fifo_at(&r->barriers, 0);

        if (barrier.number > number) {
            return;
        }
        fifo_pop(&r->barriers);
        r->budget -= COST_FRAME;
        barrier_answer(r, &barrier);
    }
}

void barriers_tell(struct replica *r, uint64_t number, zxid_t place)
{
    while (r->remote_barriers.count > 0) {
        struct barrier barrier =
            *(struct barrier *)fifo_at(&r->remote_barriers, 0);

        if (barrier.number > number) {
            return;
        }
        fifo_pop(&r->remote_barriers);
        /* 0: asked on a link that is gone. */
        if (barrier.origin_id != 0 &&
            zab_peer_synced(r->zab, barrier.origin_id)) {
            tell(r, &barrier, place);
        }
    }
}

void barrier_answer(struct replica *r, const struct barrier *barrier)
{
    struct wait wait;

    if (!wait_take(r, barrier->origin_request, &wait)) {
        return;
    }
    switch (wait.kind) {
        case WAIT_RESUME:
            handshake_answer(r, &wait, 0);
            break;
        case WAIT_SYNC:
        case WAIT_WRITE:
            if (barrier->kind == BARRIER_SYNC) {
                client_answer_sync(r, barrier->origin_request, &wait);
            } else {
                refused(r, barrier, &wait);
            }
            break;
        case WAIT_READS:
            linear_end(r, barrier->kind == BARRIER_SYNC);
            break;
        case WAIT_NEW_SESSION:
        case WAIT_NOBODY:
            UNREACHABLE();
    }
    blob_unref(wait.frame);
}

static void refused(struct replica *r, const struct barrier *barrier,
                    const struct wait *wait)
{
    struct client_reply reply = {
        .xid = wait->xid,
        .op = wait->op,
        .zxid = r->zxid_delivered,
        .code = barrier->code,
    };

    if (barrier->parts_count > 0) {
        write_refused_multi(r, barrier, &reply);
    }
    client_answer_wait(r, barrier->origin_request, wait, &reply);
}

static void tell(struct replica *r, const struct barrier *barrier, zxid_t place)
{
    static const enum peer_msg_type types[] = {
        [BARRIER_REFUSED] = PEER_REFUSED,
        [BARRIER_SYNC] = PEER_SYNC_REPLY,
        [BARRIER_SESSION] = PEER_REVALIDATE_REPLY,
    };
    struct peer_msg *msg =
        peer_send(r, barrier->origin_id, types[barrier->kind]);

    switch (barrier->kind) {
        case BARRIER_REFUSED:
            msg->refused.origin_request = barrier->origin_request;
            msg->refused.code = (int32_t)barrier->code;
            msg->refused.parts_count = barrier->parts_count;
            msg->refused.part_failed = barrier->part_failed;
            break;
        case BARRIER_SYNC:
            msg->sync_reply.origin_request = barrier->origin_request;
            break;
        case BARRIER_SESSION:
            msg->revalidate_reply.session_id = barrier->session_id;
            msg->revalidate_reply.origin_request = barrier->origin_request;
            msg->revalidate_reply.timeout_ms = barrier->timeout_ms;
            msg->revalidate_reply.ok = barrier->ok;
            break;
    }
    msg->zxid = place;
}

static void drop_front(struct replica *r)
{
    while (r->waits.count > 0) {
        const struct wait *entry = fifo_at(&r->waits, 0);

        if (entry->kind != WAIT_NOBODY) {
            return;
        }
        fifo_pop(&r->waits);
        r->waits_first++;
    }
}
