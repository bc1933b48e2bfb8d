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
static void store_result(struct replica *r, const struct store_result *result);
static void route(struct replica *r, struct zab_effect *effect);
static bool something_waits(const struct replica *r);
static void run(struct replica *r);
static bool run_one(struct replica *r);
static void take_queued(struct replica *r);
static bool role_changed(struct replica *r);
static void lead_begin(struct replica *r);
static void lead_end(struct replica *r);
static void set_serving(struct replica *r, bool serving);

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
    fifo_init(&r->unwatched, sizeof(uint64_t));
    map_init(&r->conns, seed(r, 2));
    list_init(&r->inboxes);
    list_init(&r->paused);
    list_init(&r->job_waiters);
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
    conns_finish(r);
    waits_finish(r);
    fifo_finish(&r->queue);
    fifo_finish(&r->unwatched);
    watch_table_destroy(r->watches);
    session_table_destroy(r->sessions);
    prep_destroy(r->prep);
    tree_destroy(r->tree);
    zab_destroy(r->zab);
    mem_free(r->zab_effects.items);
    buf_finish(&r->txn_bytes);
    buf_finish(&r->scratch);
    arena_destroy(r->arena);
    arena_destroy(r->delivery_arena);
    arena_destroy(r->job_arena);
    arena_destroy(r->containers_arena);
    blob_unref(r->super_digest);
    blob_unref(r->ensemble_name);
    mem_free(r);
}

void replica_step(struct replica *r, const struct replica_input *input,
                  struct replica_effects *effects)
{
    if (r->fatal) {
        return;
    }
    if (!r->started) {
        r->started = true;
        r->started_ms = input->now_ms;
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
            /* Alone there is nobody to hand over to. */
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
    r->inboxes_wake = !list_empty(&r->inboxes);
}

static void peer_input(struct replica *r, const struct replica_input *input)
{
    struct zab_input in = {.link = input->link, .peer_id = input->peer_id};

    if (input->type == REPLICA_PEER_UP) {
        in.type = ZAB_IN_PEER_UP;
    } else if (input->type == REPLICA_PEER_DOWN) {
        in.type = ZAB_IN_PEER_DOWN;
    } else {
        in.type = ZAB_IN_MESSAGE;
        in.message = input->message;
    }
    replica_zab(r, &in);
    r->inboxes_wake = !list_empty(&r->inboxes);
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
        case STORE_SNAP_BEGIN:
        case STORE_SNAP_CHUNK:
        case STORE_SNAP_END:
            replica_zab(r, &(struct zab_input){.type = ZAB_IN_STORED,
                                               .stored_seq = result->seq});
            break;
        case STORE_READ_LOG:
        case STORE_READ_SNAP:
            replica_zab(
                r, &(struct zab_input){.type = ZAB_IN_READ, .read = result});
            break;
        case STORE_PURGE:
        case STORE_CHECKPOINT:
        case STORE_READ_CLOSE:
            break;
    }
    r->inboxes_wake = !list_empty(&r->inboxes);
}

/* What goes out goes at once; what changes the tree waits its turn. */
static void route(struct replica *r, struct zab_effect *effect)
{
    struct replica_effect *out;
    struct queued *queued;

    switch (effect->type) {
        case ZAB_STORE:
            effect_push(r, REPLICA_STORE)->store = effect->store;
            break;
        case ZAB_SEND:
            out = effect_push(r, REPLICA_SEND_PEER);
            out->link = effect->link;
            out->peers = effect->peers;
            out->message = effect->message;
            break;
        case ZAB_CONNECT:
        case ZAB_DROP_PEER:
            out = effect_push(r, effect->type == ZAB_CONNECT
                                     ? REPLICA_CONNECT_PEER
                                     : REPLICA_DROP_PEER);
            out->link = effect->link;
            out->peers = effect->peers;
            break;
        case ZAB_DAMAGED:
            replica_fatal(r, "reason=\"%s\"", effect->why);
            break;
        case ZAB_DELIVER:
        case ZAB_TREE_BEGIN:
        case ZAB_TREE_CHUNK:
        case ZAB_TREE_END:
        case ZAB_BARRIER_DONE:
        case ZAB_ROLE:
            queued = fifo_push(&r->queue);
            *queued = (struct queued){.type = effect->type};
            if (effect->type == ZAB_BARRIER_DONE) {
                queued->value = effect->barrier;
            } else if (effect->type != ZAB_ROLE) {
                queued->value = effect->deliver.zxid;
                queued->payload = effect->deliver.payload;
            }
            break;
    }
}

/* Quick: it is asked after every frame. */
static bool something_waits(const struct replica *r)
{
    return r->queue.count > 0 || r->delivery.active ||
           r->job.type != JOB_NONE || r->inboxes_wake ||
           r->unwatched.count > 0 || !list_empty(&r->job_waiters) ||
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
    } else if (r->queue.count > 0) {
        if (checkpoint_behind(r)) {
            return false; /* its result goes on */
        }
        take_queued(r);
    } else if (role_changed(r)) {
        lead_begin(r);
    } else if (!list_empty(&r->job_waiters)) {
        struct conn *conn =
            LIST_ENTRY(r->job_waiters.next, struct conn, in_waiters);

        list_remove(&conn->in_waiters);
        client_drain(r, conn);
    } else if (r->inboxes_wake) {
        conns_take_inboxes(r);
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
            if (r->leading && zab_role(r->zab) != ZAB_LEADING) {
                lead_end(r);
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

/* Leadership begins when zab may propose and everything that it emitted before
 * is applied: prep must not look at an old tree (DESIGN 3.3 rule 11). */
static bool role_changed(struct replica *r)
{
    return !r->leading && !r->loading && zab_role(r->zab) == ZAB_LEADING &&
           zab_can_propose(r->zab);
}

static void lead_begin(struct replica *r)
{
    r->leading = true;
    /* A new leader gives every session its whole time-out (DESIGN 2.10). */
    session_touch_all(r->sessions, r->now_ms);
    replica_log(r, REPLICA_INFO, "leading", "epoch=%u zxid=0x%llx sessions=%zu",
                zab_epoch(r->zab), (unsigned long long)r->zxid_delivered,
                session_count(r->sessions));
    set_serving(r, true);
}

/* What was proposed here may or may not be committed by the next leader: the
 * connections that wait for an answer are closed, the others stay. */
static void lead_end(struct replica *r)
{
    struct session *session = NULL;

    r->leading = false;
    prep_abandon(r->prep);
    session_forget_deadlines(r->sessions);
    while ((session = session_next(r->sessions, session)) != NULL) {
        session_set_closing(session, false);
    }
    while (r->barriers.count > 0) {
        fifo_pop(&r->barriers);
    }
    for (size_t i = 0; i < r->waits.count; i++) {
        struct wait *wait = fifo_at(&r->waits, i);
        struct conn *conn = NULL;

        if (wait->kind != WAIT_NOBODY) {
            conn = conn_find(r, wait->conn_id);
        }
        if (conn != NULL) {
            conn_close(r, conn, "leadership lost with a request in flight");
        }
    }
    waits_drop_all(r);
    r->containers_count = 0;
    set_serving(r, false);
}

static void set_serving(struct replica *r, bool serving)
{
    if (r->serving == serving) {
        return;
    }
    r->serving = serving;
    effect_push(r, REPLICA_SERVING)->serving = serving;
    r->inboxes_wake = serving && !list_empty(&r->inboxes);
}
