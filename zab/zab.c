#include "zab/zab.h"

#include "base/check.h"
#include "base/mem.h"
#include "zab/zab_internal.h"

#define COUNTER_MAX (UINT32_MAX - (1U << 20) + 1)
#define HISTORY_BYTES_MAX (4U * 1024 * 1024)

static void add_members(struct zab *zab, const struct zab_config *config);
static void take_durable(struct zab *zab, const struct durable_state *durable);
static void take_log(struct zab *zab, const struct durable_state *durable);
static void dispatch(struct zab *zab, const struct zab_input *input,
                     struct zab_effects *effects);
static void on_tick(struct zab *zab, struct zab_effects *effects);
static void on_up(struct zab *zab, enum peer_link link, size_t peer,
                  struct zab_effects *effects);
static void on_down(struct zab *zab, enum peer_link link, size_t peer,
                    struct zab_effects *effects);
static void on_message(struct zab *zab, const struct zab_input *input,
                       struct zab_effects *effects);
static const char *on_learner_message(struct zab *zab, size_t peer,
                                      const struct peer_msg *msg,
                                      struct zab_effects *effects);
static void on_stored(struct zab *zab, uint64_t seq,
                      struct zab_effects *effects);
static void op_stored(struct zab *zab, const struct zab_log_op *op,
                      struct zab_effects *effects);
static void on_result(struct zab *zab, const struct store_result *result,
                      struct zab_effects *effects);
static void on_read(struct zab *zab, const struct store_result *read,
                    struct zab_effects *effects);
static void on_broken(struct zab *zab, const struct zab_input *input,
                      struct zab_effects *effects);
static void on_resign(struct zab *zab, struct zab_effects *effects);
static size_t peer_index(const struct zab *zab, uint64_t peer_id);

#define TO(phase) (1U << (ZAB_PHASE_##phase))
#define TO_END (TO(ELECTION) | TO(DAMAGED))
static const unsigned allowed_next[ZAB_PHASES_COUNT] = {
    [ZAB_PHASE_NEW] = TO(TREE) | TO(DAMAGED),
    [ZAB_PHASE_TREE] = TO(REPLAY) | TO(DAMAGED),
    [ZAB_PHASE_REPLAY] = TO_END,
    [ZAB_PHASE_ELECTION] = TO(DISCOVERY) | TO(CONNECTING) | TO_END,
    [ZAB_PHASE_CONNECTING] = TO(PROMISING) | TO_END,
    [ZAB_PHASE_PROMISING] = TO(SYNCING) | TO_END,
    [ZAB_PHASE_SYNCING] = TO(FOLLOWING) | TO_END,
    [ZAB_PHASE_FOLLOWING] = TO_END,
    [ZAB_PHASE_DISCOVERY] = TO(DISCOVERY) | TO(SYNC) | TO_END,
    [ZAB_PHASE_SYNC] = TO(DISCOVERY) | TO(LEADING) | TO_END,
    [ZAB_PHASE_LEADING] = TO(DRAINING) | TO_END,
    [ZAB_PHASE_DRAINING] = TO(DISCOVERY) | TO_END,
};
#undef TO
#undef TO_END

struct zab *zab_create(const struct zab_config *config,
                       const struct durable_state *durable)
{
    struct zab *zab = MEM_NEW(struct zab);
    size_t inflight = config->proposals_inflight_max;

    CHECK(config->self_id != 0);
    CHECK(inflight > 0);
    zab->config = *config;
    zab->config.members = NULL;
    if (config->counter_max == 0) {
        zab->config.counter_max = COUNTER_MAX;
    }
    if (config->history_bytes_max == 0) {
        zab->config.history_bytes_max = HISTORY_BYTES_MAX;
    }
    add_members(zab, config);
    prng_init(&zab->prng, config->seed);
    zab->arena = arena_create(4096);
    take_durable(zab, durable);
    history_init(&zab->history, zab->logged);
    history_init(&zab->held, 0);
    ring_init(&zab->log_ops, sizeof(struct zab_log_op), inflight);
    /* Places are the zxids in flight and the last one before them, each with
     * at most two rounds: the one that is out and the next. */
    ring_init(&zab->barriers, sizeof(struct zab_barrier), 2 * (inflight + 1));
    zab_check_invariants(zab);
    return zab;
}

void zab_destroy(struct zab *zab)
{
    if (zab == NULL) {
        return;
    }
    history_finish(&zab->history);
    history_finish(&zab->held);
    ring_finish(&zab->log_ops);
    ring_finish(&zab->barriers);
    arena_destroy(zab->arena);
    mem_free(zab->epoch_ends);
    mem_free(zab->peers);
    mem_free(zab);
}

void zab_step(struct zab *zab, const struct zab_input *input,
              struct zab_effects *effects)
{
    if (zab->phase == ZAB_PHASE_DAMAGED) {
        return;
    }
    arena_reset(zab->arena);
    dispatch(zab, input, effects);
    election_tell(zab, effects);
    zab_check_invariants(zab);
}

enum zab_role zab_role(const struct zab *zab)
{
    return zab->role;
}

uint64_t zab_leader_id(const struct zab *zab)
{
    return zab->leader_id;
}

uint32_t zab_epoch(const struct zab *zab)
{
    return zab->epoch_current;
}

uint32_t zab_epoch_accepted(const struct zab *zab)
{
    return zab->epoch_accepted;
}

bool zab_can_propose(const struct zab *zab)
{
    /* What stood in the log before this leadership has been delivered, so that
     * proposals are made with all of it in sight. */
    bool caught_up = zab->delivered >= zab->initial || MUTATION(33);

    return zab->phase == ZAB_PHASE_LEADING && caught_up &&
           !zab_window_full(zab);
}

bool zab_window_full(const struct zab *zab)
{
    uint64_t inflight = 0;

    if (zxid_epoch(zab->delivered) == zxid_epoch(zab->logged)) {
        inflight = zab->logged - zab->delivered;
    } else if (zxid_epoch(zab->logged) == zab->epoch_current) {
        inflight = zxid_counter(zab->logged);
    }
    return inflight >= zab->config.proposals_inflight_max;
}

zxid_t zab_next_zxid(const struct zab *zab)
{
    if (zxid_epoch(zab->logged) == zab->epoch_current) {
        return zab->logged + 1;
    }
    return zxid_make(zab->epoch_current, 1);
}

zxid_t zab_committed(const struct zab *zab)
{
    return zab->committed;
}

zxid_t zab_logged(const struct zab *zab)
{
    return zab->logged;
}

bool zab_cluster_id(const struct zab *zab, uint8_t id[PEER_CLUSTER_ID_SIZE])
{
    memcpy(id, zab->cluster_id, PEER_CLUSTER_ID_SIZE);
    return !zab_blank(zab) && zab->logged != 0;
}

bool zab_has_tree(const struct zab *zab)
{
    return zab->tree == ZAB_TREE_WHOLE && zab->phase >= ZAB_PHASE_ELECTION &&
           zab->phase != ZAB_PHASE_DAMAGED;
}

const char *zab_phase_name(const struct zab *zab)
{
    static const char *const names[ZAB_PHASES_COUNT] = {
        [ZAB_PHASE_NEW] = "new",
        [ZAB_PHASE_TREE] = "tree",
        [ZAB_PHASE_REPLAY] = "replay",
        [ZAB_PHASE_ELECTION] = "election",
        [ZAB_PHASE_CONNECTING] = "connecting",
        [ZAB_PHASE_PROMISING] = "promising",
        [ZAB_PHASE_SYNCING] = "syncing",
        [ZAB_PHASE_FOLLOWING] = "following",
        [ZAB_PHASE_DISCOVERY] = "discovery",
        [ZAB_PHASE_SYNC] = "sync",
        [ZAB_PHASE_LEADING] = "leading",
        [ZAB_PHASE_DRAINING] = "draining",
        [ZAB_PHASE_DAMAGED] = "damaged",
    };

    return names[zab->phase];
}

bool zab_peer_synced(const struct zab *zab, uint64_t peer_id)
{
    size_t peer = zab_member_index(zab, peer_id);

    if (peer == SIZE_MAX) {
        return false;
    }
    if (zab->role == ZAB_LEADING) {
        return (zab_synced_learners(zab) & zab_bit(peer)) != 0;
    }
    return zab->role != ZAB_LOOKING && peer_id == zab->leader_id &&
           zab->peers[peer].up[PEER_LINK_LEADER];
}

uint64_t zab_synced_learners(const struct zab *zab)
{
    uint64_t synced = 0;

    for (size_t i = 0; i < zab->peers_count && zab->role == ZAB_LEADING; i++) {
        /* One that follows into a new epoch goes on speaking with us. */
        if ((zab->peers[i].stage == LEARNER_SYNCED || zab->peers[i].in_place) &&
            zab->peers[i].up[PEER_LINK_LEARNER]) {
            synced |= zab_bit(i);
        }
    }
    return synced;
}

size_t zab_member_index(const struct zab *zab, uint64_t id)
{
    for (size_t i = 0; i < zab->peers_count; i++) {
        if (zab->peers[i].id == id) {
            return i;
        }
    }
    return SIZE_MAX;
}

uint64_t zab_member_id(const struct zab *zab, size_t index)
{
    CHECK(index < zab->peers_count);
    return zab->peers[index].id;
}

bool zab_member_votes(const struct zab *zab, size_t index)
{
    CHECK(index < zab->peers_count);
    return zab->peers[index].voter;
}

bool zab_is_quorum(const struct zab *zab, uint64_t members)
{
    return quorum_holds(&zab->quorum, members);
}

zxid_t zab_purge_max(const struct zab *zab)
{
    zxid_t max = UINT64_MAX;

    for (size_t i = 0; i < zab->peers_count; i++) {
        const struct zab_peer *peer = &zab->peers[i];

        zxid_t needed = UINT64_MAX;

        if (peer->stage == LEARNER_SYNCED &&
            zab->ticks - peer->progressed > zab->config.ticks_init_max) {
            continue; /* its disk may never come back; ours is to last */
        }
        if (peer->stage == LEARNER_SNAP) {
            /* Until its first chunk is read no checkpoint is chosen. */
            needed = peer->chunks_sent > 0 ? peer->snap_zxid : UINT64_MAX;
        } else if (peer->stage > LEARNER_SNAP ||
                   (peer->promised && !peer->snap_needed)) {
            needed = peer->sent;
        }
        if (needed < max) {
            max = needed;
        }
    }
    return max;
}

const uint64_t *zab_marks(const struct zab *zab)
{
    return zab->marks;
}

void zab_move(struct zab *zab, enum zab_phase next)
{
    CHECK((allowed_next[zab->phase] >> next & 1) != 0);
    zab->phase = next;
}

static void add_members(struct zab *zab, const struct zab_config *config)
{
    CHECK(config->members_count <= QUORUM_MEMBERS_MAX);
    zab->peers_count = config->members_count;
    zab->peers = MEM_ARRAY(struct zab_peer, zab->peers_count);
    quorum_init(&zab->quorum);
    for (size_t i = 0; i < zab->peers_count; i++) {
        CHECK(i == 0 || config->members[i - 1].id < config->members[i].id);
        zab->peers[i].id = config->members[i].id;
        zab->peers[i].voter = config->members[i].voter;
        quorum_add(&zab->quorum, config->members[i].voter ? 1 : 0);
    }
    CHECK(zab->quorum.total > 0);
    zab->self = peer_index(zab, config->self_id);
}

static void take_durable(struct zab *zab, const struct durable_state *durable)
{
    bool voter = zab->peers[zab->self].voter;

    zab->epoch_accepted = durable->epoch_accepted;
    /* What is left of an incomplete history is nothing to vote with. */
    zab->epoch_current = durable->recovering ? 0 : durable->epoch_current;
    if (zab->epoch_accepted < durable->epoch_current) {
        zab->epoch_accepted = durable->epoch_current;
    }
    zab->accepted_asked = zab->epoch_accepted;
    zab->current_asked = zab->epoch_current;
    zab->recovering = durable->recovering;
    memcpy(zab->cluster_id, durable->cluster_id, sizeof(zab->cluster_id));
    take_log(zab, durable);
    if (voter && zab->epoch_current != 0 &&
        zxid_epoch(zab->logged) > zab->epoch_accepted) {
        zab->damage = "the log is of a later epoch than the state files";
    } else if (durable->recovering && voter && zab->quorum.total == 1) {
        zab->damage = "the data are incomplete and nobody has a copy";
    }
}

static void take_log(struct zab *zab, const struct durable_state *durable)
{
    zxid_t checkpoint = durable->zxid_checkpoint;
    zxid_t first = durable->zxid_first;
    zxid_t committed = durable->zxid_committed;

    zab->checkpoint = checkpoint;
    if (first == 0 || durable->zxid_last < checkpoint) {
        /* The log is empty behind the checkpoint. */
        zab->log_base = checkpoint;
        zab->logged = checkpoint;
        zab_note_epoch_end(zab, checkpoint);
    } else {
        /* The end of the epoch before a first record is not known. */
        zab->log_base = zxid_counter(first) > 1 ? first - 1 : first;
        if (first == zxid_make(zxid_epoch(first), 1) && checkpoint == 0) {
            zab->log_base = 0; /* nothing was ever before it */
        }
        zab->logged = durable->zxid_last;
        for (size_t i = 0; i < durable->epoch_ends_count; i++) {
            zab_note_epoch_end(zab, durable->epoch_ends[i]);
        }
        zab_note_epoch_end(zab, zab->logged);
    }
    zab->stored = zab->logged;
    if (committed < checkpoint) {
        committed = checkpoint;
    }
    /* A batch header may call committed what was torn off behind it: that was
     * never acknowledged from here. */
    zab->committed = committed < zab->logged ? committed : zab->logged;
}

static void dispatch(struct zab *zab, const struct zab_input *input,
                     struct zab_effects *effects)
{
    switch (input->type) {
        case ZAB_IN_TICK:
            on_tick(zab, effects);
            break;
        case ZAB_IN_MESSAGE:
            on_message(zab, input, effects);
            break;
        case ZAB_IN_PEER_UP:
            on_up(zab, input->link, peer_index(zab, input->peer_id), effects);
            break;
        case ZAB_IN_PEER_DOWN:
            on_down(zab, input->link, peer_index(zab, input->peer_id), effects);
            break;
        case ZAB_IN_PROPOSE:
            CHECK(zab_can_propose(zab));
            leader_on_propose(zab, input->proposal, effects);
            break;
        case ZAB_IN_STORED:
            on_stored(zab, input->stored_seq, effects);
            break;
        case ZAB_IN_RESULT:
            on_result(zab, input->result, effects);
            break;
        case ZAB_IN_BARRIER:
            CHECK(zab->role == ZAB_LEADING);
            leader_on_barrier(zab, input->barrier, effects);
            break;
        case ZAB_IN_PURGED:
            if (zab->log_base < input->purged) {
                zab->log_base = input->purged;
            }
            break;
        case ZAB_IN_RESIGN:
            on_resign(zab, effects);
            break;
        case ZAB_IN_DIVERGED:
            if (zab_is_learner(zab)) {
                learner_on_diverged(zab, effects);
            }
            break;
        case ZAB_IN_BROKEN:
            on_broken(zab, input, effects);
            break;
    }
}

static void on_tick(struct zab *zab, struct zab_effects *effects)
{
    zab->ticks++;
    if (zab->phase == ZAB_PHASE_NEW) {
        if (zab->damage != NULL) {
            zab_damaged(zab, zab->damage, effects);
        } else {
            boot_begin(zab, effects);
        }
    } else if (zab->phase == ZAB_PHASE_ELECTION) {
        election_on_tick(zab, effects);
    } else if (zab_is_leader(zab)) {
        leader_on_tick(zab, effects);
    } else if (zab_is_learner(zab)) {
        learner_on_tick(zab, effects);
    }
}

/* A link that was up is another one now: what was said on the old one is
 * void. */
static void on_up(struct zab *zab, enum peer_link link, size_t peer,
                  struct zab_effects *effects)
{
    bool was_up = zab->peers[peer].up[link];

    CHECK(peer != zab->self);
    if (was_up) {
        on_down(zab, link, peer, effects);
    }
    switch (link) {
        case PEER_LINK_ELECTION:
            zab->peers[peer].up[link] = true;
            election_on_link(zab, peer, true, effects);
            break;
        case PEER_LINK_LEADER:
            /* Otherwise of a dial that was given up: no such link is wanted. */
            if (!was_up && zab->phase == ZAB_PHASE_CONNECTING &&
                zab->peers[peer].id == zab->leader_id) {
                zab->peers[peer].up[link] = true;
                learner_on_link(zab, peer, true, effects);
            }
            break;
        case PEER_LINK_LEARNER:
            zab->peers[peer].up[link] = true;
            discovery_on_link(zab, peer, true, effects);
            break;
    }
}

static void on_down(struct zab *zab, enum peer_link link, size_t peer,
                    struct zab_effects *effects)
{
    bool was_up = zab->peers[peer].up[link];

    CHECK(peer != zab->self);
    zab->peers[peer].up[link] = false;
    switch (link) {
        case PEER_LINK_ELECTION:
            election_on_link(zab, peer, false, effects);
            break;
        case PEER_LINK_LEADER:
            /* Or the dial came to nothing. */
            if (zab_is_learner(zab) && zab->peers[peer].id == zab->leader_id &&
                (was_up || zab->phase == ZAB_PHASE_CONNECTING)) {
                learner_on_link(zab, peer, false, effects);
            }
            break;
        case PEER_LINK_LEARNER:
            if (was_up) {
                discovery_on_link(zab, peer, false, effects);
                leader_on_hang_up(zab, effects);
            }
            break;
    }
}

static void on_message(struct zab *zab, const struct zab_input *input,
                       struct zab_effects *effects)
{
    size_t peer = peer_index(zab, input->peer_id);
    const struct peer_msg *msg = input->message;
    const char *why = NULL;

    CHECK(!peer_msg_is_replicas(msg->type));
    if (!zab->peers[peer].up[input->link]) {
        return; /* of a link that is no more */
    }
    switch (input->link) {
        case PEER_LINK_ELECTION:
            if (msg->type == PEER_VOTE) {
                election_on_vote(zab, peer, msg, effects);
            } else {
                why = "it says other than votes";
            }
            break;
        case PEER_LINK_LEADER:
            learner_on_message(zab, peer, msg, effects);
            break;
        case PEER_LINK_LEARNER:
            zab->peers[peer].heard = zab->ticks;
            why = on_learner_message(zab, peer, msg, effects);
            break;
    }
    if (why != NULL) {
        zab_drop_peer(zab, input->link, peer, why, effects);
    }
}

/* NULL, or why its link is to be dropped. */
static const char *on_learner_message(struct zab *zab, size_t peer,
                                      const struct peer_msg *msg,
                                      struct zab_effects *effects)
{
    if (msg->type == PEER_FOLLOWER_INFO) {
        if (zab_is_learner(zab)) {
            return "we do not lead";
        }
        discovery_on_follower_info(zab, peer, msg, effects);
        return NULL;
    }
    if (!zab_is_leader(zab)) {
        return "it speaks to a leader, and we are none";
    }
    switch (msg->type) {
        case PEER_ACK_EPOCH:
            discovery_on_ack_epoch(zab, peer, msg, effects);
            return NULL;
        case PEER_SNAP_ACK:
            sync_on_snap_ack(zab, peer, msg, effects);
            return NULL;
        case PEER_ACK_NEW_LEADER:
            sync_on_ack_new_leader(zab, peer, msg, effects);
            return NULL;
        case PEER_ACK:
            leader_on_ack(zab, peer, msg, effects);
            return NULL;
        case PEER_PONG:
            leader_on_pong(zab, peer, msg, effects);
            return NULL;
        default:
            return "a learner does not say this";
    }
}

static void on_stored(struct zab *zab, uint64_t seq,
                      struct zab_effects *effects)
{
    const struct zab_log_op *first;

    CHECK(seq <= zab->log_seq);
    while ((first = ring_first(&zab->log_ops)) != NULL && first->seq <= seq) {
        struct zab_log_op op = *first;

        ring_pop(&zab->log_ops);
        zab->disk_moved = zab->ticks;
        op_stored(zab, &op, effects);
        if (zab->phase == ZAB_PHASE_DAMAGED) {
            return;
        }
    }
    if (zab_is_leader(zab)) {
        leader_go_on(zab, effects);
        return;
    }
    zab_deliver_committed(zab, effects);
    if (zab_is_learner(zab)) {
        learner_go_on(zab, effects);
    }
}

static void op_stored(struct zab *zab, const struct zab_log_op *op,
                      struct zab_effects *effects)
{
    if (op->type == STORE_APPEND && zab->stored < op->zxid) {
        zab->stored = op->zxid;
    }
    if (op->type == STORE_EPOCHS) {
        CHECK(op->epoch_accepted >= zab->epoch_accepted);
        zab->epoch_accepted = op->epoch_accepted;
        zab->epoch_current = op->epoch_current;
    }
    if (zab_is_learner(zab)) {
        learner_on_stored(zab, op, effects);
    } else if (zab_is_leader(zab) && op->type == STORE_EPOCHS) {
        discovery_on_epochs(zab, op, effects);
    }
    /* Taking up an epoch acknowledges the whole log before it; until then what
     * is stored is of no epoch of ours. */
    if (zab_is_leader(zab) && (zab->leader_acks & zab_bit(zab->self)) != 0 &&
        zab->acked[zab->self] < zab->stored) {
        zab->acked[zab->self] = zab->stored;
    }
}

static void on_result(struct zab *zab, const struct store_result *result,
                      struct zab_effects *effects)
{
    switch (result->type) {
        case STORE_READ_LOG:
        case STORE_READ_SNAP:
            on_read(zab, result, effects);
            break;
        case STORE_SNAP_BEGIN:
        case STORE_SNAP_CHUNK:
        case STORE_SNAP_END:
            sync_learner_on_result(zab, result, effects);
            break;
        case STORE_EPOCHS:
        case STORE_APPEND:
        case STORE_TRUNCATE:
        case STORE_PURGE:
        case STORE_CHECKPOINT:
        case STORE_READ_CLOSE:
            break; /* nobody waits for it here */
    }
}

/* Ours, or a learner's; late answers of a reader that was closed are nothing.
 */
static void on_read(struct zab *zab, const struct store_result *read,
                    struct zab_effects *effects)
{
    size_t peer = zab_member_index(zab, read->reader_id);

    if (peer == zab->self) {
        boot_on_read(zab, read, effects);
    } else if (peer != SIZE_MAX && zab->peers[peer].read_seq != 0 &&
               zab->peers[peer].read_seq == read->seq) {
        sync_on_read(zab, peer, read, effects);
    }
}

static void on_broken(struct zab *zab, const struct zab_input *input,
                      struct zab_effects *effects)
{
    size_t peer = peer_index(zab, input->peer_id);

    if (!zab->peers[peer].up[input->link]) {
        return;
    }
    zab_drop_peer(zab, input->link, peer, input->why, effects);
    if (input->link == PEER_LINK_LEADER && zab_is_learner(zab)) {
        zab_look(zab, input->why, effects);
    }
}

static void on_resign(struct zab *zab, struct zab_effects *effects)
{
    if (zab->resigning) {
        return;
    }
    zab->resigning = true;
    if (zab_is_leader(zab)) {
        leader_on_resign(zab, effects);
    } else if (zab->phase == ZAB_PHASE_ELECTION) {
        election_begin(zab, effects);
    }
}

static size_t peer_index(const struct zab *zab, uint64_t peer_id)
{
    size_t index = zab_member_index(zab, peer_id);

    CHECK(index != SIZE_MAX); /* server/ lets no stranger through */
    return index;
}
