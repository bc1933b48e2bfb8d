#include "zab/zab.h"

#include "base/check.h"
#include "base/mem.h"
#include "zab/zab_internal.h"

#define COUNTER_MAX (UINT32_MAX - (1U << 20) + 1)

/* Ops other than appends that may be on their way to the log lane. */
#define LOG_OPS_SPARE 4

static void take_durable(struct zab *zab, const struct durable_state *durable);
static void dispatch(struct zab *zab, const struct zab_input *input,
                     struct zab_effects *effects);
static void on_tick(struct zab *zab, struct zab_effects *effects);
static void on_link(struct zab *zab, const struct zab_input *input);
static void on_message(struct zab *zab, const struct zab_input *input,
                       struct zab_effects *effects);
static void on_stored(struct zab *zab, uint64_t seq,
                      struct zab_effects *effects);
static bool is_caught_up(const struct zab *zab);
static size_t peer_index(const struct zab *zab, uint64_t peer_id);
static void check_invariants(const struct zab *zab);

#define TO(phase) (1U << (ZAB_PHASE_##phase))
static const unsigned allowed_next[ZAB_PHASES_COUNT] = {
    [ZAB_PHASE_NEW] = TO(TREE) | TO(DAMAGED),
    [ZAB_PHASE_TREE] = TO(REPLAY) | TO(DAMAGED),
    [ZAB_PHASE_REPLAY] = TO(ELECTION) | TO(DAMAGED),
    [ZAB_PHASE_ELECTION] = TO(DISCOVERY) | TO(DAMAGED),
    [ZAB_PHASE_DISCOVERY] = TO(SYNC),
    [ZAB_PHASE_SYNC] = TO(LEADING),
    [ZAB_PHASE_LEADING] = TO(DRAINING) | TO(DAMAGED),
    [ZAB_PHASE_DRAINING] = TO(DISCOVERY) | TO(DAMAGED),
};
#undef TO

struct zab *zab_create(const struct zab_config *config,
                       const struct durable_state *durable)
{
    struct zab *zab = MEM_NEW(struct zab);
    size_t inflight = config->proposals_inflight_max;

    /* Followers, discovery and synchronization stand beside this; until they
     * do, an ensemble is one server. */
    CHECK(config->members_count == 1);
    CHECK(config->self_id != 0);
    CHECK(inflight > 0);
    zab->config = *config;
    zab->config.members = NULL;
    if (config->counter_max == 0) {
        zab->config.counter_max = COUNTER_MAX;
    }
    zab->peers_count = config->members_count;
    zab->peers = MEM_ARRAY(struct zab_peer, zab->peers_count);
    quorum_init(&zab->quorum);
    for (size_t i = 0; i < zab->peers_count; i++) {
        CHECK(i == 0 || config->members[i - 1].id < config->members[i].id);
        zab->peers[i].id = config->members[i].id;
        zab->peers[i].voter = config->members[i].voter;
        quorum_add(&zab->quorum, config->members[i].voter ? 1 : 0);
    }
    zab->self = peer_index(zab, config->self_id);
    CHECK(zab->peers[zab->self].voter);
    take_durable(zab, durable);
    history_init(&zab->history, inflight, zab->logged);
    ring_init(&zab->log_ops, sizeof(struct zab_log_op),
              inflight + LOG_OPS_SPARE);
    /* Places are the zxids in flight and the last one before them. */
    ring_init(&zab->barriers, sizeof(struct zab_barrier), inflight + 1);
    check_invariants(zab);
    return zab;
}

void zab_destroy(struct zab *zab)
{
    if (zab == NULL) {
        return;
    }
    history_finish(&zab->history);
    ring_finish(&zab->log_ops);
    ring_finish(&zab->barriers);
    mem_free(zab->peers);
    mem_free(zab);
}

void zab_step(struct zab *zab, const struct zab_input *input,
              struct zab_effects *effects)
{
    if (zab->phase == ZAB_PHASE_DAMAGED) {
        return;
    }
    dispatch(zab, input, effects);
    check_invariants(zab);
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

bool zab_can_propose(const struct zab *zab)
{
    return zab->phase == ZAB_PHASE_LEADING && is_caught_up(zab) &&
           !zab_window_full(zab);
}

bool zab_window_full(const struct zab *zab)
{
    return history_full(&zab->history) ||
           zab->log_ops.capacity - zab->log_ops.count <= LOG_OPS_SPARE;
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

void zab_move(struct zab *zab, enum zab_phase next)
{
    CHECK((allowed_next[zab->phase] >> next & 1) != 0);
    zab->phase = next;
}

void zab_damaged(struct zab *zab, const char *why, struct zab_effects *effects)
{
    zab_emit(effects, ZAB_DAMAGED)->why = why;
    zab_move(zab, ZAB_PHASE_DAMAGED);
}

struct zab_effect *zab_emit(struct zab_effects *effects,
                            enum zab_effect_type type)
{
    struct zab_effect *effect;

    if (effects->count == effects->capacity) {
        effects->items = mem_grow(effects->items, &effects->capacity,
                                  effects->count + 1, sizeof(*effects->items));
    }
    effect = &effects->items[effects->count];
    effects->count++;
    memset(effect, 0, sizeof(*effect));
    effect->type = type;
    return effect;
}

struct store_op *zab_store(struct zab *zab, enum store_op_type type,
                           struct zab_effects *effects)
{
    struct store_op *op = &zab_emit(effects, ZAB_STORE)->store;

    zab->seq++;
    op->type = type;
    op->owner = STORE_FOR_ZAB;
    op->seq = zab->seq;
    return op;
}

void zab_deliver(struct zab *zab, zxid_t zxid, struct blob *payload,
                 struct zab_effects *effects)
{
    struct zab_effect *effect;

    CHECK(zxid <= zab->committed);
    CHECK(history_follows(zab->delivered, zxid));
    leader_end_barriers(zab, zab->delivered, effects);
    effect = zab_emit(effects, ZAB_DELIVER);
    effect->deliver.zxid = zxid;
    effect->deliver.payload = payload;
    zab->delivered = zxid;
}

void zab_deliver_committed(struct zab *zab, struct zab_effects *effects)
{
    while (zab->delivered < zab->committed) {
        zxid_t next = history_first(&zab->history);

        if (next == 0) {
            /* It stands in the log since before this leadership. */
            if (zab->read_seq == 0) {
                boot_read_log(zab, zab->delivered, effects);
            }
            return;
        }
        zab_deliver(zab, next, history_take(&zab->history), effects);
    }
}

static void take_durable(struct zab *zab, const struct durable_state *durable)
{
    zxid_t last = durable->zxid_last;
    zxid_t committed = durable->zxid_committed;

    if (last < durable->zxid_checkpoint) {
        last = durable->zxid_checkpoint; /* the log is empty behind it */
    }
    if (committed < durable->zxid_checkpoint) {
        committed = durable->zxid_checkpoint;
    }
    /* A batch header may call committed what was torn off behind it: that was
     * never acknowledged from here. */
    if (committed > last) {
        committed = last;
    }
    zab->checkpoint = durable->zxid_checkpoint;
    zab->committed = committed;
    zab->logged = last;
    zab->epoch_current = durable->epoch_current;
    zab->epoch_accepted = durable->epoch_accepted;
    if (zab->epoch_accepted < zab->epoch_current) {
        zab->epoch_accepted = zab->epoch_current;
    }
    memcpy(zab->cluster_id, durable->cluster_id, sizeof(zab->cluster_id));
    if (zxid_epoch(last) > zab->epoch_accepted) {
        zab->damage = "the log is of a later epoch than the state files";
    } else if (durable->recovering && zab->peers_count == 1) {
        zab->damage = "the data are incomplete and nobody has a copy";
    }
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
        case ZAB_IN_PEER_DOWN:
            on_link(zab, input);
            break;
        case ZAB_IN_PROPOSE:
            CHECK(zab_can_propose(zab));
            leader_on_propose(zab, input->proposal, effects);
            break;
        case ZAB_IN_STORED:
            on_stored(zab, input->stored_seq, effects);
            break;
        case ZAB_IN_READ:
            boot_on_read(zab, input->read, effects);
            break;
        case ZAB_IN_BARRIER:
            CHECK(zab->role == ZAB_LEADING);
            leader_on_barrier(zab, input->barrier, effects);
            break;
    }
}

static void on_tick(struct zab *zab, struct zab_effects *effects)
{
    if (zab->phase != ZAB_PHASE_NEW) {
        return;
    }
    if (zab->damage != NULL) {
        zab_damaged(zab, zab->damage, effects);
        return;
    }
    boot_begin(zab, effects);
}

static void on_link(struct zab *zab, const struct zab_input *input)
{
    struct zab_peer *peer = &zab->peers[peer_index(zab, input->peer_id)];

    CHECK(input->peer_id != zab->config.self_id);
    peer->up[input->link] = input->type == ZAB_IN_PEER_UP;
}

/* A peer that says what has no place in this phase broke the protocol. */
static void on_message(struct zab *zab, const struct zab_input *input,
                       struct zab_effects *effects)
{
    size_t peer = peer_index(zab, input->peer_id);
    struct zab_effect *effect;

    CHECK(zab->peers[peer].up[input->link]);
    effect = zab_emit(effects, ZAB_DROP_PEER);
    effect->link = input->link;
    effect->peers = UINT64_C(1) << peer;
}

static void on_stored(struct zab *zab, uint64_t seq,
                      struct zab_effects *effects)
{
    const struct zab_log_op *first;

    CHECK(seq <= zab->log_seq);
    while ((first = ring_first(&zab->log_ops)) != NULL && first->seq <= seq) {
        struct zab_log_op op = *first;

        ring_pop(&zab->log_ops);
        leader_on_stored(zab, &op, effects);
    }
    leader_go_on(zab, effects);
}

/* What stood in the log before this leadership has been delivered. */
static bool is_caught_up(const struct zab *zab)
{
    return zab->delivered >= zab->initial;
}

static size_t peer_index(const struct zab *zab, uint64_t peer_id)
{
    size_t i = 0;

    /* server/ lets no stranger through. */
    while (i < zab->peers_count && zab->peers[i].id != peer_id) {
        i++;
    }
    CHECK(i < zab->peers_count);
    return i;
}

static void check_invariants(const struct zab *zab)
{
    CHECK(zab->epoch_current <= zab->epoch_accepted);
    CHECK(zab->delivered <= zab->committed);
    CHECK(zab->committed <= zab->logged);
    CHECK(zab->acked[zab->self] <= zab->logged);
    if (zab->damage == NULL) {
        CHECK(zxid_epoch(zab->logged) <= zab->epoch_accepted);
    }
    if (zab->role == ZAB_LEADING) {
        CHECK(zab->leader_id == zab->config.self_id);
        CHECK(zxid_epoch(zab->logged) <= zab->epoch_current);
        CHECK(zab->initial <= zab->committed);
    } else {
        CHECK(history_count(&zab->history) == 0);
        CHECK(zab->barriers.count == 0);
    }
    if (zab->phase == ZAB_PHASE_LEADING) {
        CHECK(zab->epoch_accepted == zab->epoch_current);
        CHECK(zab->role == ZAB_LEADING);
    }
}
