/* Broadcast as a learner sees it: each proposal is appended when it comes and
 * acknowledged when our disk has it; commits say how far to deliver. The same
 * while its history is still being sent. */
#include "base/check.h"
#include "zab/zab_internal.h"

static bool is_receiving(const struct zab *zab);
static const char *take(struct zab *zab, zxid_t zxid, struct blob *payload,
                        struct zab_effects *effects);

const char *follower_on_propose(struct zab *zab, const struct peer_msg *msg,
                                struct zab_effects *effects)
{
    zxid_t zxid = msg->zxid;

    if (!is_receiving(zab)) {
        return "proposals out of place";
    }
    if (msg->payloads_count == 0) {
        return "proposals without any";
    }
    if (!zab->up_to_date && (zab->ack_leader_due || zab->taken_up)) {
        ZAB_MARK(zab, SYNC_PROPOSE_BEFORE_UP_TO_DATE);
    }
    zab->counts.received_proposals += msg->payloads_count;
    for (uint32_t i = 0; i < msg->payloads_count; i++, zxid++) {
        const char *broken = take(zab, zxid, msg->payloads[i], effects);

        if (broken != NULL) {
            return broken;
        }
    }
    if (MUTATION(1)) {
        follower_ack(zab, effects);
    }
    if (msg->type == PEER_INFORM) {
        ZAB_MARK(zab, OBSERVER_INFORMED);
        return follower_on_commit(zab, zxid - 1, effects);
    }
    return NULL;
}

const char *follower_on_commit(struct zab *zab, zxid_t zxid,
                               struct zab_effects *effects)
{
    if (!is_receiving(zab) || zxid_epoch(zxid) > zab->leader_epoch) {
        return "a commit out of place";
    }
    if (!zab->up_to_date) {
        /* Nothing of this epoch is delivered until UP_TO_DATE. */
        ZAB_MARK(zab, SYNC_COMMIT_BEFORE_UP_TO_DATE);
        if (zab->serve_from < zxid) {
            zab->serve_from = zxid;
        }
        return NULL;
    }
    /* A leader commits what it has sent: anything else could not be
     * delivered. */
    if (zxid > zab->committed && !zab_has(zab, zxid)) {
        return "a commit of what it has not sent";
    }
    if (zxid > zab->stored) {
        ZAB_MARK(zab, COMMITTED_AHEAD);
    }
    if (zab->committed < zxid) {
        zab->counts.received_commits += zab_count_between(zab->committed, zxid);
        zab->committed = zxid;
    }
    zab_deliver_committed(zab, effects);
    learner_go_on(zab, effects);
    return NULL;
}

/* Before the epoch is taken up an ACK moves the leader's window only. */
void follower_ack(struct zab *zab, struct zab_effects *effects)
{
    zxid_t zxid = MUTATION(1) ? zab->logged : zab->stored;
    struct peer_msg *msg;

    /* Until a snapshot is installed what we have stored is of another history.
     */
    if (!is_receiving(zab) || zab->snap != SNAP_NONE ||
        zxid <= zab->acked_sent) {
        return;
    }
    msg = zab_send(zab, PEER_LINK_LEADER,
                   zab_bit(zab_member_index(zab, zab->leader_id)), PEER_ACK,
                   effects);
    msg->epoch = zab->leader_epoch;
    msg->zxid = zxid;
    zab->acked_sent = zxid;
}

static bool is_receiving(const struct zab *zab)
{
    return (zab->phase == ZAB_PHASE_SYNCING ||
            zab->phase == ZAB_PHASE_FOLLOWING) &&
           zab->snap != SNAP_RECEIVING;
}

/* A hole is refused here, wherever it comes from (ZOOKEEPER-4925). */
static const char *take(struct zab *zab, zxid_t zxid, struct blob *payload,
                        struct zab_effects *effects)
{
    bool ending = zab->snap == SNAP_ENDING;
    zxid_t last = ending ? zab->held.last : zab->logged;

    if (MUTATION(12) && ending) {
        return NULL;
    }
    if (zxid_epoch(zxid) > zab->leader_epoch ||
        (!history_follows(last, zxid) && !MUTATION(12))) {
        return "a proposal does not follow the one before";
    }
    if (!ending) {
        zab_append(zab, zxid, blob_ref(payload), effects);
        return NULL;
    }
    if (zab->held.count > SYNC_WINDOW_BYTES + PEER_PAYLOADS_MAX ||
        history_bytes(&zab->held, zab->snap_zxid, last) >
            SYNC_WINDOW_BYTES + PEER_FRAME_SIZE_MAX) {
        return "more than the window behind a snapshot";
    }
    history_append(&zab->held, zxid, blob_ref(payload));
    return NULL;
}
