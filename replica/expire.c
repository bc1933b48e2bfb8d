/* The leader's tick: sessions whose time has run out are closed, so many at a
 * time; their ephemerals go with the same zxid. Only its clock counts: what
 * learners hear of sessions they say with STATUS. */
#include "replica/replica_internal.h"

void expire_tick(struct replica *r, uint32_t ticks_late)
{
    uint64_t *ids;
    size_t count;

    if (!r->leading) {
        return;
    }
    /* While this server stood still nobody could reach it: that time counts
     * for nobody (DESIGN 2.10). */
    if (ticks_late > 0) {
        session_extend_all(r->sessions, (int64_t)ticks_late * TICK_MS);
    }
    /* prep may not see half of a txn. */
    if (r->delivery.active) {
        return;
    }
    count = session_expired(r->sessions, r->now_ms, EXPIRED_PER_TICK, r->arena,
                            &ids);
    for (size_t i = 0; i < count && propose_possible(r); i++) {
        struct session *session = session_find(r->sessions, ids[i]);
        const struct conn *conn = conn_find(r, session_conn(session));

        /* Its pings would be there if we read them: our waiting, for the disk
         * or for others, counts for nobody either. (Learners say so of theirs:
         * status.c.) */
        if (conn != NULL && conn_unheard(r, conn)) {
            session_touch(r->sessions, session, r->now_ms);
            continue;
        }
        r->sessions_expired++;
        replica_log(r, REPLICA_INFO, "session_expired",
                    "session=0x%llx timeout_ms=%d", (unsigned long long)ids[i],
                    session_timeout_ms(session));
        write_close_session(r, session);
    }
}
