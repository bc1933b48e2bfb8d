/* A learner's way to its leader: it dials, promises the leader's epoch, takes
 * it up when it has the leader's history, and serves when it has delivered what
 * was committed by then. The history itself: sync_learner.c, follower.c.
 *
 * What a promise or a taking-up means for others depends on our disk; so the
 * messages that say so leave in the step that hears from the disk. */
#include "base/check.h"
#include "zab/zab_internal.h"

static void forget_link(struct zab *zab);
static bool is_leader(const struct zab *zab, size_t peer);
static void ask(struct zab *zab, struct zab_effects *effects);
static uint32_t taken_up_epoch(const struct zab *zab);
static const char *on_message(struct zab *zab, const struct peer_msg *msg,
                              struct zab_effects *effects);
static const char *on_history(struct zab *zab, const struct peer_msg *msg,
                              struct zab_effects *effects);
static const char *on_new_epoch(struct zab *zab, const struct peer_msg *msg,
                                struct zab_effects *effects);
static bool may_count(const struct zab *zab, uint32_t epoch);
static void promise(struct zab *zab, bool store, struct zab_effects *effects);
static bool take_cluster_id(struct zab *zab, const struct peer_msg *msg);
static const char *on_new_leader(struct zab *zab, const struct peer_msg *msg,
                                 struct zab_effects *effects);
static void acknowledge(struct zab *zab, zxid_t zxid,
                        struct zab_effects *effects);
static const char *on_up_to_date(struct zab *zab, const struct peer_msg *msg,
                                 struct zab_effects *effects);
static void on_ping(struct zab *zab, const struct peer_msg *msg,
                    struct zab_effects *effects);
static void on_resign(struct zab *zab, uint64_t successor,
                      struct zab_effects *effects);
static bool can_follow(const struct zab *zab, uint64_t id);
static uint64_t leader_bit(const struct zab *zab);

void learner_begin(struct zab *zab, uint64_t leader_id,
                   struct zab_effects *effects)
{
    struct zab_effect *effect;

    CHECK(leader_id != zab->config.self_id);
    zab_move(zab, ZAB_PHASE_CONNECTING);
    forget_link(zab);
    zab->leader_id = leader_id;
    zab->heard = zab->ticks;
    zab->progressed = zab->ticks;
    /* Drawn, so that not all of them miss a leader in the same tick. */
    zab->patience =
        zab->config.ticks_leader_timeout + (uint32_t)prng_below(&zab->prng, 3);
    effect = zab_emit(effects, ZAB_CONNECT);
    effect->link = PEER_LINK_LEADER;
    effect->peers = leader_bit(zab);
    election_tell(zab, effects);
}

void learner_end(struct zab *zab, const char *why, struct zab_effects *effects)
{
    struct zab_effect *effect = zab_emit(effects, ZAB_CONNECT);

    effect->link = PEER_LINK_LEADER;
    effect->why = why;
    forget_link(zab);
    zab->patience = 0;
}

void learner_on_link(struct zab *zab, size_t peer, bool up,
                     struct zab_effects *effects)
{
    if (!zab_is_learner(zab) || !is_leader(zab, peer)) {
        /* Of a dial that was given up: no such link is wanted. */
        zab->peers[peer].up[PEER_LINK_LEADER] = false;
    } else if (!up) {
        zab_look(zab, "the link to the leader is down", effects);
    } else if (zab->phase != ZAB_PHASE_CONNECTING) {
        zab_look(zab, "the link to the leader is another one", effects);
    } else {
        zab->heard = zab->ticks;
        zab->progressed = zab->ticks;
        zab_move(zab, ZAB_PHASE_PROMISING);
        ask(zab, effects);
    }
}

void learner_on_message(struct zab *zab, size_t peer,
                        const struct peer_msg *msg, struct zab_effects *effects)
{
    const char *broken;

    if (!zab_is_learner(zab) || !is_leader(zab, peer) ||
        zab->phase == ZAB_PHASE_CONNECTING) {
        return;
    }
    zab->heard = zab->ticks;
    broken = on_message(zab, msg, effects);
    if (broken != NULL) {
        zab_drop_peer(zab, PEER_LINK_LEADER, peer, broken, effects);
        if (zab_is_learner(zab)) {
            zab_look(zab, broken, effects);
        }
    }
}

void learner_on_stored(struct zab *zab, const struct zab_log_op *op,
                       struct zab_effects *effects)
{
    if (op->type != STORE_EPOCHS || !zab_is_learner(zab)) {
        return;
    }
    learner_ack_epoch(zab, effects);
    if (zab->ack_leader_due && op->epoch_current == zab->leader_epoch) {
        /* Behind all that was asked before it in its lane: what the leader
         * had when it sent NEW_LEADER is durable, too (ZOOKEEPER-4646). */
        acknowledge(zab, zab->stored, effects);
    }
}

void learner_on_tick(struct zab *zab, struct zab_effects *effects)
{
    if (zab->ticks - zab->heard > zab->patience) {
        ZAB_MARK(zab, LEADER_SILENT);
        zab_look(zab, "the leader is silent", effects);
    } else if (zab->phase != ZAB_PHASE_FOLLOWING &&
               zab->ticks - zab->progressed > zab->config.ticks_init_max) {
        zab_look(zab, "the synchronization does not progress", effects);
    }
}

/* Our log is what it was, but the tree made of it is not the leader's. Blank
 * from here on, so that nobody counts on what is about to be replaced. */
void learner_on_diverged(struct zab *zab, struct zab_effects *effects)
{
    if (!zab_is_learner(zab) || zab_blank(zab)) {
        return;
    }
    ZAB_MARK(zab, DIVERGED);
    zab_store_epochs(zab, zab->accepted_asked, 0, effects);
    zab_look(zab, "our tree is not the leader's", effects);
}

void learner_go_on(struct zab *zab, struct zab_effects *effects)
{
    bool voter = zab->peers[zab->self].voter;

    follower_ack(zab, effects);
    if (zab->phase == ZAB_PHASE_FOLLOWING && zab->up_to_date &&
        zab->role == ZAB_LOOKING && zab->tree == ZAB_TREE_WHOLE &&
        zab->delivered >= zab->serve_from) {
        zab_set_role(zab, voter ? ZAB_FOLLOWING : ZAB_OBSERVING, "up to date",
                     effects);
    }
}

static void forget_link(struct zab *zab)
{
    for (size_t i = 0; i < zab->peers_count; i++) {
        zab->peers[i].up[PEER_LINK_LEADER] = false;
    }
    zab->leader_epoch = 0;
    zab->ack_epoch_due = false;
    zab->ack_counted = false;
    zab->ack_leader_due = false;
    zab->taken_up = false;
    zab->up_to_date = false;
    zab->acked_sent = 0;
    zab->serve_from = 0;
    sync_learner_forget(zab);
}

static bool is_leader(const struct zab *zab, size_t peer)
{
    return zab->peers[peer].id == zab->leader_id;
}

static void ask(struct zab *zab, struct zab_effects *effects)
{
    struct peer_msg *msg = zab_send(zab, PEER_LINK_LEADER, leader_bit(zab),
                                    PEER_FOLLOWER_INFO, effects);

    /* What we may have promised counts as promised: an epoch above it is one
     * that we can promise. */
    msg->epoch = MUTATION(4) ? zab->epoch_current : zab->accepted_asked;
    msg->zxid = zab->logged;
    msg->follower_info.voting = zab_voting(zab);
    msg->follower_info.epoch_current = taken_up_epoch(zab);
}

static uint32_t taken_up_epoch(const struct zab *zab)
{
    return zab_blank(zab) ? 0 : zab->epoch_current;
}

/* NULL, or why the link is to be dropped. */
static const char *on_message(struct zab *zab, const struct peer_msg *msg,
                              struct zab_effects *effects)
{
    switch (msg->type) {
        case PEER_NEW_EPOCH:
            return on_new_epoch(zab, msg, effects);
        case PEER_PING:
            /* Also from a leader that has no epoch yet. */
            on_ping(zab, msg, effects);
            return NULL;
        case PEER_RESIGN:
            on_resign(zab, msg->resign.successor, effects);
            return NULL;
        default:
            break;
    }
    if (zab->leader_epoch == 0 || msg->epoch != zab->leader_epoch) {
        return "it speaks of another epoch";
    }
    /* Until it has our ACK_EPOCH it does not know what to send. */
    if (zab->ack_epoch_due) {
        return "it does not wait for the promise";
    }
    return on_history(zab, msg, effects);
}

static const char *on_history(struct zab *zab, const struct peer_msg *msg,
                              struct zab_effects *effects)
{
    zab->progressed = zab->ticks;
    switch (msg->type) {
        case PEER_SYNC_DIFF:
        case PEER_SYNC_TRUNC:
        case PEER_SYNC_SNAP:
        case PEER_SNAP_CHUNK:
            return sync_learner_on_message(zab, msg, effects);
        case PEER_PROPOSE:
        case PEER_INFORM:
            return follower_on_propose(zab, msg, effects);
        case PEER_COMMIT:
            return follower_on_commit(zab, msg->zxid, effects);
        case PEER_NEW_LEADER:
            return on_new_leader(zab, msg, effects);
        case PEER_UP_TO_DATE:
            return on_up_to_date(zab, msg, effects);
        default:
            return "a leader does not say this";
    }
}

static const char *on_new_epoch(struct zab *zab, const struct peer_msg *msg,
                                struct zab_effects *effects)
{
    bool voting = zab_voting(zab), new_id;
    /* Blank or not: a promise is one as long as it is remembered. */
    uint32_t floor = zab->accepted_asked;

    /* A learner in the middle of synchronization is dropped by a leader that
     * changes its epoch. */
    if (zab->phase == ZAB_PHASE_SYNCING || msg->epoch <= zab->leader_epoch) {
        return "an epoch out of place";
    }
    if (msg->epoch < floor && !MUTATION(4)) {
        return "its epoch is below our promise";
    }
    /* A first leader that did not come to lead may have left its own id with
     * some: with nothing in their logs they belong to nobody yet. */
    if (!zab_blank(zab) && zab->logged != 0 &&
        memcmp(msg->new_epoch.cluster_id, zab->cluster_id,
               sizeof(zab->cluster_id)) != 0) {
        return "it is of another cluster";
    }
    zab->progressed = zab->ticks;
    new_id = take_cluster_id(zab, msg);
    zab->leader_epoch = msg->epoch;
    zab->ack_leader_due = false;
    zab->taken_up = false;
    zab->ack_counted = voting && may_count(zab, msg->epoch);
    zab->ack_epoch_due = true;
    promise(zab, new_id, effects);
    return NULL;
}

/* An epoch that was promised may have been promised to another server: the two
 * would count us both. */
static bool may_count(const struct zab *zab, uint32_t epoch)
{
    if ((MUTATION(4) && epoch < zab->accepted_asked) ||
        (MUTATION(30) && epoch == zab->accepted_asked)) {
        return true;
    }
    return epoch > zab->accepted_asked;
}

/* Only a promise that is to be counted is stored, and a new cluster id. */
static void promise(struct zab *zab, bool store, struct zab_effects *effects)
{
    uint32_t accepted = zab->accepted_asked;

    if (zab->ack_counted && zab->leader_epoch > accepted) {
        accepted = zab->leader_epoch;
        store = true;
    }
    if (store) {
        zab_store_epochs(zab, accepted, zab->current_asked, effects);
    }
    learner_ack_epoch(zab, effects);
}

void learner_ack_epoch(struct zab *zab, struct zab_effects *effects)
{
    struct peer_msg *msg;
    size_t skip = 0;

    if (!zab->ack_epoch_due || zab->snap == SNAP_ENDING ||
        (zab->ack_counted && zab->epoch_accepted < zab->leader_epoch)) {
        return;
    }
    zab->ack_epoch_due = false;
    if (zab->epoch_ends_count > PEER_EPOCH_ENDS_MAX) {
        skip = zab->epoch_ends_count - PEER_EPOCH_ENDS_MAX;
    }
    msg = zab_send(zab, PEER_LINK_LEADER, leader_bit(zab), PEER_ACK_EPOCH,
                   effects);
    msg->epoch = zab->leader_epoch;
    msg->zxid = zab->logged;
    msg->ack_epoch.counted = zab->ack_counted;
    /* Of a blank one only what nothing stands in can be built on. */
    msg->ack_epoch.whole = !zab_blank(zab) || zab->logged == 0;
    msg->ack_epoch.epoch_current = taken_up_epoch(zab);
    msg->ack_epoch.checkpoint = zab->checkpoint;
    if (zab->epoch_ends_count > 0) { /* nothing: no array */
        msg->ack_epoch.epoch_ends = zab->epoch_ends + skip;
        msg->ack_epoch.epoch_ends_count =
            (uint32_t)(zab->epoch_ends_count - skip);
    }
}

/* Is it a new one? */
static bool take_cluster_id(struct zab *zab, const struct peer_msg *msg)
{
    size_t size = sizeof(zab->cluster_id);

    if (memcmp(zab->cluster_id, msg->new_epoch.cluster_id, size) == 0) {
        return false;
    }
    memcpy(zab->cluster_id, msg->new_epoch.cluster_id, size);
    return true;
}

static const char *on_new_leader(struct zab *zab, const struct peer_msg *msg,
                                 struct zab_effects *effects)
{
    bool ending = zab->snap == SNAP_ENDING;

    if ((zab->phase != ZAB_PHASE_SYNCING &&
         zab->phase != ZAB_PHASE_FOLLOWING) ||
        zab->snap == SNAP_RECEIVING || zab->held_new_leader ||
        zab->ack_leader_due || zab->taken_up) {
        return "new-leader out of place";
    }
    if (msg->zxid != (ending ? zab->held.last : zab->logged)) {
        return "its history ends elsewhere than ours";
    }
    zab->held_new_leader = ending;
    if (!ending) {
        learner_take_up(zab, effects);
    }
    return NULL;
}

void learner_take_up(struct zab *zab, struct zab_effects *effects)
{
    uint32_t accepted = zab->accepted_asked;

    if (accepted < zab->leader_epoch) {
        accepted = zab->leader_epoch;
    }
    zab_store_epochs(zab, accepted, zab->leader_epoch, effects);
    zab->ack_leader_due = true;
    if (MUTATION(2)) {
        acknowledge(zab, zab->logged, effects);
    }
}

static void acknowledge(struct zab *zab, zxid_t zxid,
                        struct zab_effects *effects)
{
    struct peer_msg *msg = zab_send(zab, PEER_LINK_LEADER, leader_bit(zab),
                                    PEER_ACK_NEW_LEADER, effects);

    msg->epoch = zab->leader_epoch;
    msg->zxid = zxid;
    zab->acked_sent = zxid;
    zab->ack_leader_due = false;
    zab->taken_up = true;
}

static const char *on_up_to_date(struct zab *zab, const struct peer_msg *msg,
                                 struct zab_effects *effects)
{
    if (!zab->taken_up || zxid_epoch(msg->zxid) > zab->leader_epoch) {
        return "up-to-date out of place";
    }
    if (zab->phase == ZAB_PHASE_SYNCING) {
        zab_move(zab, ZAB_PHASE_FOLLOWING);
        zab->up_to_date = true;
        /* Commits that came sooner were kept there. */
        if (zab->serve_from < msg->zxid) {
            zab->serve_from = msg->zxid;
        }
        return follower_on_commit(zab, zab->serve_from, effects);
    }
    return follower_on_commit(zab, msg->zxid, effects);
}

static void on_ping(struct zab *zab, const struct peer_msg *msg,
                    struct zab_effects *effects)
{
    struct peer_msg *pong =
        zab_send(zab, PEER_LINK_LEADER, leader_bit(zab), PEER_PONG, effects);

    pong->epoch = msg->epoch;
    pong->ping.number = msg->ping.number;
}

static void on_resign(struct zab *zab, uint64_t successor,
                      struct zab_effects *effects)
{
    static const char why[] = "the leader hands over";
    bool ours = successor == zab->config.self_id && zab_voting(zab);

    /* In the middle of a snapshot we wait for our own disk first, as an
     * election does. */
    if (!zab_ready(zab) || (!ours && !can_follow(zab, successor))) {
        zab_look(zab, why, effects);
        return;
    }
    learner_end(zab, why, effects);
    zab->leader_id = 0;
    zab_set_role(zab, ZAB_LOOKING, why, effects);
    zab_move(zab, ZAB_PHASE_ELECTION);
    if (ours) {
        ZAB_MARK(zab, SUCCESSOR);
        discovery_begin(zab, effects);
    } else {
        learner_begin(zab, successor, effects);
    }
}

/* A voter other than ourselves and the one that goes. */
static bool can_follow(const struct zab *zab, uint64_t id)
{
    for (size_t i = 0; i < zab->peers_count; i++) {
        if (zab->peers[i].id == id) {
            return zab->peers[i].voter && i != zab->self &&
                   id != zab->leader_id;
        }
    }
    return false;
}

static uint64_t leader_bit(const struct zab *zab)
{
    return zab_bit(zab_member_index(zab, zab->leader_id));
}
