/* Who leads, whom we follow, and what a change of it does to those who are
 * connected here (DESIGN 3.6). Their requests wait while there is no leader;
 * only those whose request was under way are sent away: what became of it
 * nobody here can say. */
#include "base/bytes.h"
#include "base/check.h"
#include "replica/replica_internal.h"

#define LOOK_TICKS 5 /* how often the held connections are looked at */
#define HANDSHAKE_HELD_MS 1000

static void lead(struct replica *r);
static void follow(struct replica *r);
static void reclaim(struct replica *r);
static void append_claim(struct buf *claims, const struct conn *conn);
static void send_claims(struct replica *r, struct buf *claims);
static void lead_end(struct replica *r);
static void close_waiting(struct replica *r);
static void close_handshakes(struct replica *r);
static void close_handshakes_of(struct replica *r, struct list *waiting);
static void close_held(struct replica *r);

/* Asked when nothing that zab has emitted is left to be applied: prep must not
 * look at an old tree (DESIGN 3.3 rule 11). */
bool role_due(const struct replica *r)
{
    if (r->leader_id != 0 || r->loading) {
        return false;
    }
    switch (zab_role(r->zab)) {
        case ZAB_LEADING:
            return zab_can_propose(r->zab);
        case ZAB_FOLLOWING:
        case ZAB_OBSERVING:
            return zab_peer_synced(r->zab, zab_leader_id(r->zab));
        case ZAB_LOOKING:
            break;
    }
    return false;
}

void role_begin(struct replica *r)
{
    status_begin(r);
    if (zab_role(r->zab) == ZAB_LEADING) {
        lead(r);
    } else {
        follow(r);
    }
    role_set_serving(r, true);
}

/* The same leader may be back by now, or we may lead again: what stood between
 * is over all the same. */
void role_end(struct replica *r)
{
    if (r->leader_id == 0) {
        return;
    }
    r->leader_id = 0;
    if (r->leading) {
        lead_end(r);
    }
    close_waiting(r);
    linear_void(r);
    status_begin(r);
    replica_log(r, REPLICA_INFO, "not_serving", "zxid=0x%llx connections=%zu",
                (unsigned long long)r->zxid_delivered, map_count(&r->conns));
    role_set_serving(r, false);
}

void role_tick(struct replica *r)
{
    if (r->serving || ++r->held_ticks < LOOK_TICKS) {
        return;
    }
    r->held_ticks = 0;
    read_only_tick(r);
    close_handshakes(r);
    close_held(r);
}

void role_set_serving(struct replica *r, bool serving)
{
    if (r->serving == serving) {
        return;
    }
    read_only_end(r);
    r->serving = serving;
    r->held_since_ms = serving ? 0 : r->now_ms;
    effect_push(r, REPLICA_SERVING)->serving = serving;
    r->inboxes_wake = serving && inboxes_hold(r);
}

static void lead(struct replica *r)
{
    r->leading = true;
    r->leading_since_ms = r->now_ms;
    r->leader_id = r->self_id;
    session_own_all(r);
    /* A new leader gives every session its whole time-out (DESIGN 2.10). */
    session_touch_all(r->sessions, r->now_ms);
    replica_log(r, REPLICA_INFO, "leading", "epoch=%u zxid=0x%llx sessions=%zu",
                zab_epoch(r->zab), (unsigned long long)r->zxid_delivered,
                session_count(r->sessions));
    members_show(r);
}

static void follow(struct replica *r)
{
    bool observing = zab_role(r->zab) == ZAB_OBSERVING;

    r->leader_id = zab_leader_id(r->zab);
    replica_log(r, REPLICA_INFO, observing ? "observing" : "following",
                "leader=%llu epoch=%u zxid=0x%llx sessions=%zu",
                (unsigned long long)r->leader_id, zab_epoch(r->zab),
                (unsigned long long)r->zxid_delivered,
                session_count(r->sessions));
    reclaim(r);
}

/* Our connections go on, if the leader agrees: said before anything else, so
 * that it knows them when they speak. */
static void reclaim(struct replica *r)
{
    struct buf claims = {0};

    for (struct map_link *link = map_first(&r->conns); link != NULL;
         link = map_next(&r->conns, link)) {
        const struct conn *conn = MAP_ENTRY(link, struct conn, by_id);

        if (conn->state != CONN_OPEN) {
            continue;
        }
        append_claim(&claims, conn);
        if (claims.len == (size_t)PEER_RECLAIM_MAX * PEER_RECLAIM_SIZE) {
            send_claims(r, &claims);
        }
    }
    if (claims.len > 0) {
        send_claims(r, &claims);
    }
    buf_finish(&claims);
}

static void append_claim(struct buf *claims, const struct conn *conn)
{
    uint8_t *entry = buf_extend(claims, PEER_RECLAIM_SIZE);

    bytes_store64(entry, conn->session_id);
    bytes_store64(entry + 8, conn->attachment);
    bytes_store32(entry + 16, (uint32_t)session_timeout_ms(conn->session));
}

static void send_claims(struct replica *r, struct buf *claims)
{
    struct peer_msg *msg = peer_send(r, r->leader_id, PEER_RECLAIM);

    msg->payloads = peer_payloads(r, 1);
    msg->payloads[0] = blob_copy(buf_bytes(claims));
    msg->payloads_count = 1;
    buf_clear(claims);
}

/* What was proposed here may or may not be committed by the next leader. */
static void lead_end(struct replica *r)
{
    struct session *session = NULL;

    r->leading = false;
    if (!MUTATION(11)) {
        prep_abandon(r->prep);
    }
    session_forget_deadlines(r->sessions);
    while ((session = session_next(r->sessions, session)) != NULL) {
        session_set_closing(session, false);
    }
    while (r->barriers.count > 0) {
        fifo_pop(&r->barriers);
    }
    r->disks_low = 0;
    r->containers_at = 0;
    r->containers_count = 0;
}

static void close_waiting(struct replica *r)
{
    for (size_t i = 0; i < r->waits.count; i++) {
        const struct wait *wait = fifo_at(&r->waits, i);
        struct conn *conn = NULL;

        if (wait->kind != WAIT_NOBODY) {
            conn = conn_find(r, wait->conn_id);
        }
        if (conn != NULL) {
            conn_close(r, conn, "the leader was lost with a request in flight");
        }
    }
    waits_drop_all(r);
}

/* Every client takes it as "try the next one". */
static void close_handshakes(struct replica *r)
{
    close_handshakes_of(r, &r->inboxes);
    close_handshakes_of(r, &r->writers);
}

static void close_handshakes_of(struct replica *r, struct list *waiting)
{
    LIST_EACH (waiting, at, after) {
        struct conn *conn = LIST_ENTRY(at, struct conn, in_inboxes);
        const struct held_frame *held =
            LIST_ENTRY(conn->inbox.next, struct held_frame, link);

        if (conn->state == CONN_NEW &&
            r->now_ms - held->taken_ms > HANDSHAKE_HELD_MS) {
            conn_close(r, conn, "no leader to open a session");
        }
    }
}

/* While it is held here a client does not look for a server that can serve it:
 * half of the session's time must be left for that. */
static void close_held(struct replica *r)
{
    struct map_link *link = map_first(&r->conns);
    int64_t held_ms = r->now_ms - r->held_since_ms;

    if (r->held_since_ms == 0 ||
        held_ms <= r->config.session_timeout_ms_min / 2) {
        return;
    }
    while (link != NULL) {
        struct conn *conn = MAP_ENTRY(link, struct conn, by_id);

        link = map_next(&r->conns, link);
        if (conn->state == CONN_OPEN &&
            held_ms > session_timeout_ms(conn->session) / 2) {
            conn_close(r, conn, "no leader for too long");
        }
    }
}
