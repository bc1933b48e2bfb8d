/* A second connection of the same kind from a member whose link is up. Mostly
 * the member has lost the first one and we do not know yet. But it may be a
 * server that was given an id twice, or a stranger: a hello proves nothing, and
 * a link that works is not given up for one. So it waits until the first has
 * broken, or has been silent for longer than keepalives let it. When that has
 * spoken meanwhile, the second is refused. */
#include "base/clock.h"
#include "server/peer_internal.h"

#define HEARD_BEHIND_MS 100 /* what was on its way when it came is no proof */

static struct peer_conn *first_of(const struct peer_conn *rival)
{
    struct peer_conn *first =
        rival->net->members[rival->member].links[rival->link];

    return first != NULL && first->stage == PEER_UP && !first->mute ? first
                                                                    : NULL;
}

bool peer_rival_holds(struct peer_conn *conn)
{
    struct peer_conn *first = first_of(conn);
    struct peer_conn *other =
        conn->net->members[conn->member].rivals[conn->link];
    int64_t since_ms = clock_monotonic_ms();

    if (first != NULL && first->reads) {
        peer_link_read(first); /* its end may have come already */
        first = first_of(conn);
    }
    if (other != NULL) {
        since_ms = other->since_ms; /* it dials again and again */
        peer_link_end(other, "another one came");
    }
    if (first == NULL) {
        return false;
    }
    peer_link_watch(conn, false, false);
    peer_link_move(conn, PEER_RIVAL);
    conn->since_ms = since_ms;
    return true;
}

void peer_rival_sweep(struct peer_conn *rival, int64_t now_ms, int64_t late_ms)
{
    struct peer_conn *first = first_of(rival);

    rival->since_ms = peer_not_later(rival->since_ms, late_ms, now_ms);
    if (first != NULL && now_ms - rival->since_ms < PEER_RIVAL_MS) {
        return;
    }
    if (first != NULL && first->reads &&
        first->heard_ms - rival->since_ms >= HEARD_BEHIND_MS) {
        peer_hello_refuse(rival, PEER_NOTE_RIVAL,
                          "another one with its id has a link");
    } else {
        peer_hello_agree(rival);
    }
}
