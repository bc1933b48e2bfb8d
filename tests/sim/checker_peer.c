/* What servers say to one another, held against their disks and against what
 * is committed: Durable ACK, epochs, places. */
#include "tests/sim/checker_internal.h"

static void to_leader(struct checker *c, unsigned server,
                      const struct peer_msg *msg);
static void ack_epoch(struct checker *c, unsigned server,
                      const struct peer_msg *msg);
static void to_learners(struct checker *c, unsigned server, uint64_t peers,
                        const struct peer_msg *msg);
static void told_committed(struct checker *c, unsigned server, uint64_t peers,
                           zxid_t zxid);
static void placed(struct checker *c, unsigned server, uint64_t peers,
                   const struct peer_msg *msg);

void checker_sent(struct checker *c, unsigned server,
                  const struct replica_effect *effect)
{
    if (effect->link == PEER_LINK_LEADER) {
        to_leader(c, server, &effect->message);
    } else if (effect->link == PEER_LINK_LEARNER) {
        to_learners(c, server, effect->peers, &effect->message);
    }
}

static void to_leader(struct checker *c, unsigned server,
                      const struct peer_msg *msg)
{
    const struct server *s = &c->servers[server];

    switch ((int)msg->type) {
        case PEER_ACK_EPOCH:
            ack_epoch(c, server, msg);
            break;
        case PEER_ACK_NEW_LEADER:
            if (s->current < msg->epoch || s->accepted < msg->epoch) {
                sim_fail(c->sim,
                         "DurableAck: server %u takes epoch %u up, its disk "
                         "has %u and %u",
                         server, msg->epoch, s->accepted, s->current);
            }
            if (!checker_has(c, &s->platter, msg->zxid) ||
                !runs_agree(&s->platter, &s->asked, msg->zxid)) {
                sim_fail(c->sim,
                         "DurableAck: server %u takes epoch %u up with "
                         "0x%llx, its disk ends at 0x%llx",
                         server, msg->epoch, (unsigned long long)msg->zxid,
                         (unsigned long long)runs_last(&s->platter));
            }
            break;
        case PEER_ACK:
            if (!checker_has(c, &s->platter, msg->zxid)) {
                sim_fail(c->sim,
                         "DurableAck: server %u acknowledges 0x%llx, its disk "
                         "ends at 0x%llx",
                         server, (unsigned long long)msg->zxid,
                         (unsigned long long)runs_last(&s->platter));
            }
            break;
        default:
            break;
    }
}

static void ack_epoch(struct checker *c, unsigned server,
                      const struct peer_msg *msg)
{
    struct server *s = &c->servers[server];

    if (s->accepted > msg->epoch && s->current != 0 &&
        (c->voters >> (server - 1) & 1) != 0) {
        sim_fail(c->sim,
                 "ElectionSafety: server %u follows epoch %u, it has promised "
                 "%u",
                 server, msg->epoch, s->accepted);
    }
    if (!msg->ack_epoch.counted) {
        return;
    }
    if (msg->epoch <= s->counted || msg->epoch <= s->own) {
        sim_fail(c->sim,
                 "ElectionSafety: server %u promises epoch %u behind "
                 "%u",
                 server, msg->epoch, s->counted > s->own ? s->counted : s->own);
    }
    s->counted = msg->epoch;
    if (s->accepted < msg->epoch) {
        sim_fail(c->sim,
                 "DurableAck: server %u promises epoch %u, its disk has %u",
                 server, msg->epoch, s->accepted);
    }
    if (!checker_has(c, &s->platter, msg->zxid)) {
        sim_fail(c->sim,
                 "DurableAck: server %u says that it has 0x%llx, its disk ends "
                 "at 0x%llx",
                 server, (unsigned long long)msg->zxid,
                 (unsigned long long)runs_last(&s->platter));
    }
}

static void to_learners(struct checker *c, unsigned server, uint64_t peers,
                        const struct peer_msg *msg)
{
    struct server *s = &c->servers[server];

    switch ((int)msg->type) {
        case PEER_NEW_EPOCH:
            if (msg->epoch != s->own && msg->epoch <= s->counted) {
                sim_fail(c->sim,
                         "ElectionSafety: server %u proposes epoch %u, it has "
                         "promised %u",
                         server, msg->epoch, s->counted);
            }
            s->own = msg->epoch;
            break;
        case PEER_NEW_LEADER:
            checker_log_leader(c, server, msg->epoch);
            break;
        case PEER_PROPOSE:
            checker_log_payloads(c, server, msg);
            break;
        case PEER_INFORM:
            checker_log_payloads(c, server, msg);
            if (msg->payloads_count > 0) {
                told_committed(c, server, peers,
                               msg->zxid + msg->payloads_count - 1);
            }
            break;
        case PEER_UP_TO_DATE:
        case PEER_COMMIT:
            checker_log_leader(c, server, msg->epoch);
            told_committed(c, server, peers, msg->zxid);
            break;
        case PEER_REFUSED:
        case PEER_SYNC_REPLY:
        case PEER_REVALIDATE_REPLY:
            placed(c, server, peers, msg);
            break;
        default:
            break;
    }
}

static void told_committed(struct checker *c, unsigned server, uint64_t peers,
                           zxid_t zxid)
{
    struct server *s = &c->servers[server];

    checker_log_committed(c, server, zxid);
    for (unsigned i = 0; i < c->servers_count; i++) {
        if ((peers >> i & 1) != 0) {
            s->committed_sent[i] = zxid;
        }
    }
}

/* Before any commit behind its place. A learner that lags and is not told of
 * commits yet holds the answer until it has delivered up to there. */
static void placed(struct checker *c, unsigned server, uint64_t peers,
                   const struct peer_msg *msg)
{
    const struct server *s = &c->servers[server];

    for (unsigned i = 0; i < c->servers_count; i++) {
        if ((peers >> i & 1) != 0 && s->committed_sent[i] > msg->zxid) {
            sim_fail(c->sim,
                     "Place: server %u answers at 0x%llx, it has told server "
                     "%u of 0x%llx",
                     server, (unsigned long long)msg->zxid, i + 1,
                     (unsigned long long)s->committed_sent[i]);
        }
    }
}
