#include "replica/replica.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "replica/replica_internal.h"

#define ARENA_SIZE ((size_t)64 * 1024)
#define DELIVERY_ARENA_SIZE ((size_t)16 * 1024)
#define SMALL_ARENA_SIZE ((size_t)4 * 1024)

static void config_copy(struct replica *r, const struct replica_config *config);
static uint64_t seed(const struct replica *r, unsigned which);
static void step(struct replica *r, const struct replica_input *input);
static void tick(struct replica *r, uint32_t ticks_late);
static void peer_input(struct replica *r, const struct replica_input *input);
static void replicas_message(struct replica *r,
                             const struct replica_input *input);
static void store_result(struct replica *r, const struct store_result *result);
static void route(struct replica *r, const struct zab_effect *effect);
static void route_link(struct replica *r, const struct zab_effect *effect);
static void route_role(struct replica *r, const struct zab_effect *effect);
static struct queued *enqueue(struct replica *r, enum zab_effect_type type,
                              uint64_t value);
static bool something_waits(const struct replica *r);
static void run(struct replica *r);
static bool run_one(struct replica *r);
static void take_queued(struct replica *r);

struct replica *replica_create(const struct replica_config *config,
                               const struct durable_state *durable)
{
    struct replica *r = MEM_NEW(struct replica);

    config_copy(r, config);
    r->self_id = config->zab.self_id;
    r->standalone = config->zab.members_count == 1;
    r->slice_units =
        config->slice_units == 0 ? SLICE_UNITS : (int)config->slice_units;
    CHECK(r->slice_units >= 4);
    r->zab = zab_create(&config->zab, durable);
    r->tree = tree_create(seed(r, 0));
    r->prep = prep_create(r->tree, seed(r, 1));
    r->sessions = session_table_create(seed(r, 1), config->tick_ms);
    r->watches = watch_table_create(seed(r, 2));
    r->arena = arena_create(ARENA_SIZE);
    r->delivery_arena = arena_create(DELIVERY_ARENA_SIZE);
    r->job_arena = arena_create(SMALL_ARENA_SIZE);
    r->containers_arena = arena_create(SMALL_ARENA_SIZE);
    fifo_init(&r->queue, sizeof(struct queued));
    fifo_init(&r->waits, sizeof(struct wait));
    fifo_init(&r->barriers, sizeof(struct barrier));
    fifo_init(&r->remote_barriers, sizeof(struct barrier));
    fifo_init(&r->remotes, sizeof(struct remote));
    fifo_init(&r->placed, sizeof(struct placed));
    fifo_init(&r->unwatched, sizeof(uint64_t));
    map_init(&r->conns, seed(r, 2));
    list_init(&r->inboxes);
    list_init(&r->writers);
    list_init(&r->paused);
    list_init(&r->job_waiters);
    list_init(&r->linear_waiters);
    list_init(&r->gone);
    /* Request ids of different lives of this server do not meet: what an old
     * log record names is nobody who waits today (DESIGN 2.8). */
    r->waits_first = (seed(r, 3) | 1) << 32;
    r->checkpoint_zxid = durable->zxid_checkpoint;
    inspect_init(r);
    return r;
}

void replica_destroy(struct replica *r)
{
    if (r == NULL) {
        return;
    }
    job_cancel(r);
    deliver_drop(r);
    while (r->queue.count > 0) {
        blob_unref(((struct queued *)fifo_at(&r->queue, 0))->payload);
        fifo_pop(&r->queue);
    }
    learners_drop(r);
    conns_finish(r);
    waits_finish(r);
    fifo_finish(&r->queue);
    fifo_finish(&r->remotes);
    fifo_finish(&r->placed);
    fifo_finish(&r->unwatched);
    watch_table_destroy(r->watches);
    session_table_destroy(r->sessions);
    prep_destroy(r->prep);
    tree_destroy(r->tree);
    zab_destroy(r->zab);
    mem_free(r->zab_effects.items);
    buf_finish(&r->txn_bytes);
    buf_finish(&r->scratch);
    buf_finish(&r->touched);
    arena_destroy(r->arena);
    arena_destroy(r->delivery_arena);
    arena_destroy(r->job_arena);
    arena_destroy(r->containers_arena);
    blob_unref(r->super_digest);
    blob_unref(r->ensemble_name);
    blob_unref(r->members_text);
    mem_free(r);
}

void replica_step(struct replica *r, const struct replica_input *input,
                  struct replica_effects *effects)
{
    if (r->fatal) {
        return;
    }
    if (effects->count == 0) {
        effects->merge_at = 0;
    }
    if (!r->started) {
        r->started = true;
        r->started_ms = input->now_ms;
        r->held_since_ms = input->now_ms;
        r->times = (struct inspect_times){
            .looking = true,
            .looking_since_ms = input->now_ms,
            .unserving_since_ms = input->now_ms,
        };
        r->containers_next_ms = input->now_ms + r->config.container_check_ms;
    }
    r->out = effects;
    r->now_ms = input->now_ms;
    r->wall_ms = input->wall_ms;
    r->budget = r->slice_units;
    arena_reset(r->arena);
    step(r, input);
    if (input->type == REPLICA_CONTINUE ||
        (!r->work_left && something_waits(r))) {
        run(r);
    }
    inspect_note_times(r);
    conns_free_gone(r);
    r->out = NULL;
}

bool replica_has_work(const struct replica *r)
{
    return r->work_left && r->holds == 0 && !r->fatal;
}

void replica_zab(struct replica *r, const struct zab_input *input)
{
    struct zab_effects *effects = &r->zab_effects;

    zab_step(r->zab, input, effects);
    for (size_t i = 0; i < effects->count; i++) {
        route(r, &effects->items[i]);
    }
    effects->count = 0;
}

void peer_broken(struct replica *r, enum peer_link link, uint64_t peer_id,
                 const char *why)
{
    replica_zab(r, &(struct zab_input){.type = ZAB_IN_BROKEN,
                                       .link = link,
                                       .peer_id = peer_id,
                                       .why = why});
}

void replica_store(struct replica *r, struct store_op *op)
{
    op->owner = STORE_FOR_REPLICA;
    op->seq = ++r->store_seq;
    effect_push(r, REPLICA_STORE)->store = *op;
}

static void config_copy(struct replica *r, const struct replica_config *config)
{
    r->config = *config;
    r->config.zab.members = NULL; /* zab has its own copy */
    if (!slice_is_absent(config->super_digest)) {
        r->super_digest = blob_copy(config->super_digest);
        r->config.super_digest = blob_bytes(r->super_digest);
    }
    if (!slice_is_absent(config->ensemble_name)) {
        r->ensemble_name = blob_copy(config->ensemble_name);
        r->config.ensemble_name = blob_bytes(r->ensemble_name);
    }
    r->members_text = blob_copy(config->members_text);
    r->config.members_text = blob_bytes(r->members_text);
    r->policy = (struct auth_policy){
        .digest_enabled = config->digest_enabled,
        .super_digest = r->config.super_digest,
        .ensemble_name = r->config.ensemble_name,
    };
}

static uint64_t seed(const struct replica *r, unsigned which)
{
    return bytes_load64(r->config.entropy + (size_t)8 * which);
}

static void step(struct replica *r, const struct replica_input *input)
{
    switch (input->type) {
        case REPLICA_CLIENT_FRAME:
            conn_frame(r, input);
            break;
        case REPLICA_STORE_RESULT:
            store_result(r, input->result);
            break;
        case REPLICA_TICK:
            tick(r, input->ticks_late);
            break;
        case REPLICA_CONTINUE:
            break;
        case REPLICA_CLIENT_OPENED:
            conn_opened(r, input);
            break;
        case REPLICA_CLIENT_CLOSED:
        case REPLICA_CLIENT_DRAINED: {
            struct conn *conn = conn_find(r, input->conn_id);

            if (conn != NULL && input->type == REPLICA_CLIENT_CLOSED) {
                conn_close(r, conn, NULL);
            } else if (conn != NULL) {
                conn_drained(r, conn);
            }
            break;
        }
        case REPLICA_PEER_UP:
        case REPLICA_PEER_MESSAGE:
        case REPLICA_PEER_DOWN:
            peer_input(r, input);
            break;
        case REPLICA_DISK_SPACE:
            if (r->disk_low != input->disk.low) {
                r->disk_low = input->disk.low;
                replica_log(r, r->disk_low ? REPLICA_WARN : REPLICA_INFO,
                            r->disk_low ? "disk_low" : "disk_has_room",
                            "free_bytes=%llu",
                            (unsigned long long)input->disk.free_bytes);
            }
            break;
        case REPLICA_RESIGN:
            if (!r->standalone) { /* alone there is nobody to hand over to */
                replica_zab(r, &(struct zab_input){.type = ZAB_IN_RESIGN});
            }
            break;
        case REPLICA_RESET_STATS:
            inspect_reset(r, input->conn_id == 1);
            break;
    }
}

static void tick(struct replica *r, uint32_t ticks_late)
{
    replica_zab(
        r, &(struct zab_input){.type = ZAB_IN_TICK, .ticks_late = ticks_late});
    expire_tick(r, ticks_late);
    containers_tick(r);
    role_tick(r);
    status_tick(r);
    r->inboxes_wake = inboxes_hold(r);
}

static void peer_input(struct replica *r, const struct replica_input *input)
{
    struct zab_input in = {.link = input->link, .peer_id = input->peer_id};

    if (input->type == REPLICA_PEER_MESSAGE &&
        peer_msg_is_replicas(input->message->type)) {
        replicas_message(r, input);
        r->inboxes_wake = inboxes_hold(r);
        return;
    }
    if (input->type == REPLICA_PEER_MESSAGE) {
        in.type = ZAB_IN_MESSAGE;
        in.message = input->message;
    } else {
        in.type =
            input->type == REPLICA_PEER_UP ? ZAB_IN_PEER_UP : ZAB_IN_PEER_DOWN;
        /* What is said from now on goes out on another link. */
        r->out->merge_at = 0;
        if (input->link == PEER_LINK_LEARNER) {
            learner_forget(r, input->peer_id);
        } else if (input->link == PEER_LINK_LEADER) {
            placed_drop(r);
            r->leader_version =
                input->type == REPLICA_PEER_UP ? input->version : 0;
        }
    }
    replica_zab(r, &in);
    r->inboxes_wake = inboxes_hold(r);
}

/* Only between a leader and its synced learners. A learner that zab has just
 * dropped may still be heard: zab knows. */
static void replicas_message(struct replica *r,
                             const struct replica_input *input)
{
    enum zab_role role = zab_role(r->zab);

    if (input->link == PEER_LINK_LEARNER && role == ZAB_LEADING) {
        if (zab_peer_synced(r->zab, input->peer_id)) {
            learner_message(r, input->peer_id, input->message);
        } else {
            peer_broken(r, input->link, input->peer_id,
                        "it asks before it is synced");
        }
    } else if (input->link == PEER_LINK_LEADER &&
               (role == ZAB_FOLLOWING || role == ZAB_OBSERVING) &&
               input->peer_id == zab_leader_id(r->zab)) {
        leader_message(r, input->message);
    } else if (input->link == PEER_LINK_ELECTION) {
        peer_broken(r, input->link, input->peer_id,
                    "it asks on the election link");
    }
}

static void store_result(struct replica *r, const struct store_result *result)
{
    if (result->err != 0 && result->err != ERR_NOT_FOUND) {
        replica_fatal(r, "reason=\"the disk failed: %s\" op=%d",
                      err_text(result->err), (int)result->type);
        return;
    }
    if (result->owner == STORE_FOR_REPLICA) {
        checkpoint_result(r, result);
        return;
    }
    switch (result->type) {
        case STORE_EPOCHS:
        case STORE_APPEND:
        case STORE_TRUNCATE:
            replica_zab(r, &(struct zab_input){.type = ZAB_IN_STORED,
                                               .stored_seq = result->seq});
            break;
        case STORE_SNAP_BEGIN:
        case STORE_SNAP_CHUNK:
        case STORE_SNAP_END:
        case STORE_READ_LOG:
        case STORE_READ_SNAP:
            replica_zab(r, &(struct zab_input){.type = ZAB_IN_RESULT,
                                               .result = result});
            break;
        case STORE_PURGE:
        case STORE_CHECKPOINT:
        case STORE_READ_CLOSE:
            break;
    }
    r->inboxes_wake = inboxes_hold(r);
}

/* What goes out goes at once; what changes the tree waits its turn. */
static void route(struct replica *r, const struct zab_effect *effect)
{
    switch (effect->type) {
        case ZAB_STORE:
            effect_push(r, REPLICA_STORE)->store = effect->store;
            r->tree_outdated |= effect->store.type == STORE_SNAP_END;
            break;
        case ZAB_SEND:
            peer_route(r, effect);
            break;
        case ZAB_CONNECT:
        case ZAB_DROP_PEER:
            route_link(r, effect);
            break;
        case ZAB_DAMAGED:
            replica_fatal(r, "reason=\"%s\"", effect->why);
            break;
        case ZAB_DELIVER:
        case ZAB_TREE_BEGIN:
        case ZAB_TREE_CHUNK:
        case ZAB_TREE_END:
            if (effect->type != ZAB_TREE_CHUNK) {
                r->zxid_routed = effect->deliver.zxid;
            }
            enqueue(r, effect->type, effect->deliver.zxid)->payload =
                effect->deliver.payload;
            break;
        case ZAB_BARRIER_DONE:
            /* Learners hear of it between the COMMIT before and the COMMIT
             * behind it; our own in its turn among the deliveries. */
            barriers_tell(r, effect->barrier, r->zxid_routed);
            if (r->barriers.count > 0) {
                enqueue(r, effect->type, effect->barrier);
            }
            break;
        case ZAB_ROLE:
            route_role(r, effect);
            break;
    }
}

static void route_link(struct replica *r, const struct zab_effect *effect)
{
    struct replica_effect *out =
        effect_push(r, effect->type == ZAB_CONNECT ? REPLICA_CONNECT_PEER
                                                   : REPLICA_DROP_PEER);

    out->link = effect->link;
    out->peers = effect->peers;
    out->why = effect->why;
    r->out->merge_at = 0;
    if (effect->type == ZAB_CONNECT || effect->link == PEER_LINK_LEADER) {
        placed_drop(r);
        return;
    }
    for (size_t i = 0; i < MEMBERS_MAX && effect->peers >> i != 0; i++) {
        if (effect->link == PEER_LINK_LEARNER && (effect->peers >> i & 1)) {
            learner_forget(r, zab_member_id(r->zab, i));
        }
    }
}

/* Taken up behind what was delivered before it, but nothing is asked of zab,
 * or of the leader, any more from here on. */
static void route_role(struct replica *r, const struct zab_effect *effect)
{
    static const char *const names[] = {"looking", "following", "leading",
                                        "observing"};
    enum zab_role role = zab_role(r->zab);

    replica_log(r, REPLICA_INFO, "role",
                "role=%s epoch=%u leader=%llu why=\"%s\"", names[role],
                zab_epoch(r->zab), (unsigned long long)zab_leader_id(r->zab),
                effect->why == NULL ? "" : effect->why);
    enqueue(r, ZAB_ROLE, (uint64_t)role);
    if (role == ZAB_LOOKING) {
        r->ends_queued++;
    }
    if (role != ZAB_LEADING) {
        learners_drop(r);
    }
}

static struct queued *enqueue(struct replica *r, enum zab_effect_type type,
                              uint64_t value)
{
    struct queued *queued = fifo_push(&r->queue);

    *queued = (struct queued){.type = type, .value = value};
    return queued;
}

/* Quick: it is asked after every frame. */
static bool something_waits(const struct replica *r)
{
    return r->queue.count > 0 || r->delivery.active ||
           r->job.type != JOB_NONE || r->inboxes_wake || placed_due(r) ||
           learners_wait(r) || role_due(r) || r->unwatched.count > 0 ||
           !list_empty(&r->job_waiters) || linear_due(r) ||
           (r->dirty_since_ms != 0 && checkpoint_due(r));
}

static void run(struct replica *r)
{
    r->work_left = false;
    while (!r->fatal && r->holds == 0) {
        if (r->budget <= 0) {
            r->work_left = true;
            return;
        }
        if (!run_one(r)) {
            return;
        }
    }
}

/* One piece of what waits, the most urgent first; false: nothing does. */
static bool run_one(struct replica *r)
{
    if (r->delivery.active) {
        deliver_slice(r);
    } else if (r->job.type != JOB_NONE) {
        job_slice(r);
    } else if (checkpoint_due(r)) {
        checkpoint_start(r);
    } else if (placed_due(r)) {
        placed_take(r);
    } else if (r->queue.count > 0) {
        if (checkpoint_behind(r)) {
            return false; /* its result goes on */
        }
        take_queued(r);
    } else if (role_due(r)) {
        role_begin(r);
    } else if (learners_wait(r) && !(r->locals_turn && r->inboxes_wake)) {
        learners_take(r);
        r->locals_turn = true;
    } else if (!list_empty(&r->job_waiters)) {
        struct conn *conn =
            LIST_ENTRY(r->job_waiters.next, struct conn, in_waiters);

        list_remove(&conn->in_waiters);
        client_drain(r, conn);
    } else if (r->inboxes_wake) {
        conns_take_inboxes(r);
        r->locals_turn = false;
    } else if (linear_due(r)) {
        linear_begin(r);
    } else if (r->unwatched.count > 0) {
        conns_unwatch(r);
    } else {
        return false;
    }
    return true;
}

static void take_queued(struct replica *r)
{
    struct queued queued = *(struct queued *)fifo_at(&r->queue, 0);

    fifo_pop(&r->queue);
    switch (queued.type) {
        case ZAB_DELIVER:
            deliver_begin(r, queued.value, queued.payload);
            break;
        case ZAB_TREE_BEGIN:
            load_begin(r);
            blob_unref(queued.payload);
            break;
        case ZAB_TREE_CHUNK:
            load_chunk(r, queued.payload);
            break;
        case ZAB_TREE_END:
            load_end(r, queued.value);
            blob_unref(queued.payload);
            break;
        case ZAB_BARRIER_DONE:
            barriers_done(r, queued.value);
            break;
        case ZAB_ROLE:
            if (queued.value == ZAB_LOOKING) {
                r->ends_queued--;
                role_end(r);
            }
            break;
        case ZAB_SEND:
        case ZAB_STORE:
        case ZAB_CONNECT:
        case ZAB_DROP_PEER:
        case ZAB_DAMAGED:
            UNREACHABLE();
    }
}
