/* The disk thread under the thread sanitizer, over a store that only writes
 * down what it is asked. A plain program: Criterion cannot run under TSan.
 *
 * What is claimed: answers come in order and once each; everything queued goes
 * as one batch; the log lane goes first, a slow op waits 50 ms at most, and one
 * of LevelDB runs beside the log, which does not wait for it; a fence waits for
 * both lanes and holds both; an idle disk is told so; damage is marked behind
 * all else; a failed write ends the process before anything else is answered.
 */
#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "server/disk.h"

/* ---- the store ---- */

struct call {
    enum store_op_type type;
    uint64_t seq;
    size_t batch; /* of how many it was one */
};

struct store {
    pthread_mutex_t mutex;
    pthread_cond_t go;
    bool held;        /* store_run() waits inside */
    bool inside;      /* it does */
    bool beside_held; /* store_run_beside() waits inside */
    bool beside;      /* it does */
    uint64_t fail_seq;
    struct call calls[100000];
    size_t count;
    size_t idles, tidied;
    size_t marked_behind; /* so many calls; 0: not */
};

static void write_down(struct store *store, const struct store_op *ops,
                       size_t count, struct store_result *results)
{
    for (size_t i = 0; i < count; i++) {
        CHECK(store->count < 100000);
        store->calls[store->count++] =
            (struct call){ops[i].type, ops[i].seq, count};
        results[i] = (struct store_result){
            .type = ops[i].type, .owner = ops[i].owner, .seq = ops[i].seq};
        if (ops[i].seq != 0 && ops[i].seq == store->fail_seq) {
            results[i].err = ERR_IO;
        }
        if (ops[i].type == STORE_READ_SNAP) {
            results[i].payload = blob_copy(SLICE_LITERAL("chunk"));
        }
        if (ops[i].payload != NULL) { /* the bytes may be read over here */
            CHECK(blob_bytes(ops[i].payload).len == 3);
        }
    }
}

void store_run(struct store *store, const struct store_op *ops, size_t count,
               struct store_result *results)
{
    CHECK(pthread_mutex_lock(&store->mutex) == 0);
    store->inside = true;
    CHECK(pthread_cond_broadcast(&store->go) == 0);
    while (store->held) {
        CHECK(pthread_cond_wait(&store->go, &store->mutex) == 0);
    }
    store->inside = false;
    write_down(store, ops, count, results);
    CHECK(pthread_mutex_unlock(&store->mutex) == 0);
}

bool store_runs_beside(enum store_op_type type)
{
    return type == STORE_CHECKPOINT || type == STORE_READ_SNAP ||
           type == STORE_SNAP_CHUNK;
}

void store_run_beside(struct store *store, const struct store_op *op,
                      struct store_result *result)
{
    CHECK(pthread_mutex_lock(&store->mutex) == 0);
    store->beside = true;
    CHECK(pthread_cond_broadcast(&store->go) == 0);
    while (store->beside_held) {
        CHECK(pthread_cond_wait(&store->go, &store->mutex) == 0);
    }
    write_down(store, op, 1, result);
    CHECK(pthread_mutex_unlock(&store->mutex) == 0);
}

void store_finish_beside(struct store *store, const struct store_op *op,
                         struct store_result *result)
{
    CHECK(pthread_mutex_lock(&store->mutex) == 0);
    CHECK(result->seq == op->seq);
    store->beside = false;
    CHECK(pthread_mutex_unlock(&store->mutex) == 0);
}

int store_idle(struct store *store)
{
    CHECK(pthread_mutex_lock(&store->mutex) == 0);
    store->idles++;
    CHECK(pthread_mutex_unlock(&store->mutex) == 0);
    return 0;
}

/* Also under load, but never while an op runs beside. */
int store_tidy(struct store *store)
{
    CHECK(pthread_mutex_lock(&store->mutex) == 0);
    CHECK(!store->beside);
    store->tidied++;
    CHECK(pthread_mutex_unlock(&store->mutex) == 0);
    return 0;
}

void store_space(struct store *store, struct store_space *space)
{
    (void)store;
    *space = (struct store_space){.free_bytes = 7, .low = true};
}

const char *store_failure(const struct store *store)
{
    (void)store;
    return "the disk is made of cheese";
}

int store_mark_damaged(struct store *store)
{
    store->marked_behind = store->count;
    return 0;
}

void store_close(struct store *store)
{
    CHECK(pthread_cond_destroy(&store->go) == 0);
    CHECK(pthread_mutex_destroy(&store->mutex) == 0);
}

static struct store *store_new(void)
{
    struct store *store = MEM_NEW(struct store);

    CHECK(pthread_mutex_init(&store->mutex, NULL) == 0);
    CHECK(pthread_cond_init(&store->go, NULL) == 0);
    return store;
}

/* Keeps the disk thread inside store_run(), so that more can queue up. */
static void hold(struct store *store)
{
    CHECK(pthread_mutex_lock(&store->mutex) == 0);
    store->held = true;
    CHECK(pthread_mutex_unlock(&store->mutex) == 0);
}

static void wait_inside(struct store *store)
{
    CHECK(pthread_mutex_lock(&store->mutex) == 0);
    while (!store->inside) {
        CHECK(pthread_cond_wait(&store->go, &store->mutex) == 0);
    }
    CHECK(pthread_mutex_unlock(&store->mutex) == 0);
}

static void let_go(struct store *store)
{
    CHECK(pthread_mutex_lock(&store->mutex) == 0);
    store->held = false;
    CHECK(pthread_cond_broadcast(&store->go) == 0);
    CHECK(pthread_mutex_unlock(&store->mutex) == 0);
}

/* ---- the loop ---- */

struct rig {
    struct event_base *base;
    struct store *store;
    struct disk *disk;
    size_t answers;
    uint64_t log_seq, slow_seq; /* of the last answer of each lane */
};

static bool is_log(enum store_op_type type)
{
    return type == STORE_APPEND || type == STORE_EPOCHS ||
           type == STORE_TRUNCATE;
}

static void on_done(void *arg, struct store_result *results, size_t count)
{
    struct rig *rig = arg;

    for (size_t i = 0; i < count; i++) {
        uint64_t *last =
            is_log(results[i].type) ? &rig->log_seq : &rig->slow_seq;

        CHECK(results[i].seq == *last + 1);
        *last = results[i].seq;
        blob_unref(results[i].payload);
    }
    rig->answers += count;
}

static void rig_init(struct rig *rig)
{
    *rig = (struct rig){.base = event_base_new(), .store = store_new()};
    rig->disk = disk_start(rig->base, rig->store, on_done, rig);
}

static void rig_finish(struct rig *rig)
{
    disk_stop(rig->disk);
    event_base_free(rig->base);
    mem_free(rig->store);
}

static void submit(struct rig *rig, enum store_op_type type, uint64_t seq)
{
    struct store_op op = {.type = type, .seq = seq};

    if (type == STORE_APPEND) {
        op.payload = blob_copy(SLICE_LITERAL("abc"));
    }
    disk_submit(rig->disk, &op, 1);
}

static void run_some(struct rig *rig, size_t answers)
{
    while (rig->answers < answers) {
        CHECK(event_base_loop(rig->base, EVLOOP_ONCE) == 0);
    }
    CHECK(rig->answers == answers);
}

static void run_until(struct rig *rig, size_t answers)
{
    run_some(rig, answers);
    CHECK(disk_queued(rig->disk) == 0);
}

/* ---- the claims ---- */

static void answers_come_in_order_under_load(void)
{
    enum { ROUNDS = 2000, EACH = 8 };
    struct rig rig;
    uint64_t log = 0;
    uint64_t slow = 0;

    rig_init(&rig);
    for (int i = 0; i < ROUNDS; i++) {
        struct store_op ops[EACH] = {0};

        for (int n = 0; n < EACH; n++) {
            bool append = n % 4 != 3;

            ops[n].type = append ? STORE_APPEND : STORE_READ_SNAP;
            ops[n].seq = append ? ++log : ++slow;
            ops[n].payload = append ? blob_copy(SLICE_LITERAL("abc")) : NULL;
        }
        disk_submit(rig.disk, ops, EACH);
        CHECK(event_base_loop(rig.base, EVLOOP_NONBLOCK) >= 0);
    }
    run_until(&rig, (size_t)ROUNDS * EACH);
    CHECK(rig.log_seq == log);
    CHECK(rig.slow_seq == slow);
    rig_finish(&rig);
}

static void all_that_is_queued_is_one_batch(void)
{
    struct rig rig;

    rig_init(&rig);
    hold(rig.store);
    submit(&rig, STORE_APPEND, 1);
    wait_inside(rig.store);
    for (uint64_t seq = 2; seq <= 101; seq++) {
        submit(&rig, STORE_APPEND, seq);
    }
    let_go(rig.store);
    run_until(&rig, 101);
    for (size_t i = 1; i < 101; i++) {
        CHECK(rig.store->calls[i].batch == 100);
    }
    rig_finish(&rig);
}

static void the_log_goes_before_the_slow_lane(void)
{
    struct rig rig;

    rig_init(&rig);
    hold(rig.store);
    submit(&rig, STORE_APPEND, 1);
    wait_inside(rig.store);
    submit(&rig, STORE_READ_LOG, 1);
    submit(&rig, STORE_PURGE, 2);
    submit(&rig, STORE_APPEND, 2);
    submit(&rig, STORE_EPOCHS, 3);
    let_go(rig.store);
    run_until(&rig, 5);
    CHECK(rig.store->calls[1].type == STORE_APPEND);
    CHECK(rig.store->calls[2].type == STORE_EPOCHS);
    CHECK(rig.store->calls[2].batch == 2);
    CHECK(rig.store->calls[3].type == STORE_READ_LOG);
    CHECK(rig.store->calls[3].batch == 1);
    rig_finish(&rig);
}

/* LevelDB may take as long as it likes; what is asked of it goes in order, and
 * a fence waits for it. */
static void the_log_does_not_wait_for_leveldb(void)
{
    struct rig rig;

    rig_init(&rig);
    CHECK(pthread_mutex_lock(&rig.store->mutex) == 0);
    rig.store->beside_held = true;
    CHECK(pthread_mutex_unlock(&rig.store->mutex) == 0);
    submit(&rig, STORE_CHECKPOINT, 1);
    submit(&rig, STORE_READ_SNAP, 2);
    submit(&rig, STORE_PURGE, 3);
    for (uint64_t seq = 1; seq <= 100; seq++) {
        submit(&rig, STORE_APPEND, seq);
        run_some(&rig, seq);
    }
    submit(&rig, STORE_TRUNCATE, 101);
    submit(&rig, STORE_APPEND, 102);
    CHECK(pthread_mutex_lock(&rig.store->mutex) == 0);
    CHECK(rig.store->count == 100);
    rig.store->beside_held = false;
    CHECK(pthread_cond_broadcast(&rig.store->go) == 0);
    CHECK(pthread_mutex_unlock(&rig.store->mutex) == 0);
    run_until(&rig, 105);
    CHECK(rig.store->calls[100].type == STORE_CHECKPOINT);
    CHECK(rig.store->calls[101].type == STORE_READ_SNAP);
    CHECK(rig.store->calls[102].type == STORE_PURGE);
    CHECK(rig.store->calls[103].type == STORE_TRUNCATE);
    CHECK(rig.store->calls[104].type == STORE_APPEND);
    rig_finish(&rig);
}

/* Each answer brings the next append, so that the log lane is never empty. */
static void a_slow_op_is_not_starved(void)
{
    struct rig rig;
    int64_t began_ms = clock_monotonic_ms();
    uint64_t seq = 1;

    rig_init(&rig);
    submit(&rig, STORE_PURGE, 1);
    submit(&rig, STORE_APPEND, seq);
    while (rig.slow_seq == 0 || clock_monotonic_ms() - began_ms < 250) {
        if (disk_queued(rig.disk) < 2 && seq < 90000) {
            submit(&rig, STORE_APPEND, ++seq);
        }
        CHECK(event_base_loop(rig.base, EVLOOP_NONBLOCK) >= 0);
        CHECK(clock_monotonic_ms() - began_ms < 20000);
    }
    run_until(&rig, seq + 1);
    CHECK(pthread_mutex_lock(&rig.store->mutex) == 0);
    CHECK(rig.store->tidied > 0);
    CHECK(pthread_mutex_unlock(&rig.store->mutex) == 0);
    rig_finish(&rig);
}

static void a_fence_waits_for_both_lanes_and_holds_both(void)
{
    static const enum store_op_type expected[] = {
        STORE_APPEND, /* held */
        STORE_APPEND, /* before the fence: the log first */
        STORE_PURGE,  /* then the slow lane */
        STORE_TRUNCATE,   STORE_APPEND, STORE_PURGE,
        STORE_SNAP_BEGIN, STORE_APPEND, STORE_READ_LOG};
    struct rig rig;

    rig_init(&rig);
    hold(rig.store);
    submit(&rig, STORE_APPEND, 1);
    wait_inside(rig.store);
    submit(&rig, STORE_PURGE, 1);
    submit(&rig, STORE_APPEND, 2);
    submit(&rig, STORE_TRUNCATE, 3);
    submit(&rig, STORE_PURGE, 2);
    submit(&rig, STORE_APPEND, 4);
    submit(&rig, STORE_SNAP_BEGIN, 3);
    submit(&rig, STORE_READ_LOG, 4);
    submit(&rig, STORE_APPEND, 5);
    let_go(rig.store);
    run_until(&rig, 9);
    for (size_t i = 0; i < 9; i++) {
        CHECK(rig.store->calls[i].type == expected[i]);
        CHECK(rig.store->calls[i].batch == 1);
    }
    rig_finish(&rig);
}

static void an_idle_disk_is_told_so(void)
{
    struct rig rig;
    struct store_space space;
    size_t idles = 0;

    rig_init(&rig);
    disk_space(rig.disk, &space);
    CHECK(space.free_bytes == 7);
    CHECK(space.low);
    while (idles < 2) {
        CHECK(pthread_mutex_lock(&rig.store->mutex) == 0);
        idles = rig.store->idles;
        CHECK(pthread_mutex_unlock(&rig.store->mutex) == 0);
        (void)sched_yield();
    }
    rig_finish(&rig);
}

static void stopping_finishes_what_was_submitted(void)
{
    struct rig rig;

    rig_init(&rig);
    for (uint64_t seq = 1; seq <= 1000; seq++) {
        submit(&rig, STORE_APPEND, seq);
    }
    submit(&rig, STORE_CHECKPOINT, 1);
    disk_stop(rig.disk);
    CHECK(rig.store->count == 1001);
    CHECK(rig.store->marked_behind == 0);
    event_base_free(rig.base);
    mem_free(rig.store);
}

static void damage_is_marked_when_all_else_is_done(void)
{
    struct rig rig;

    rig_init(&rig);
    submit(&rig, STORE_APPEND, 1);
    submit(&rig, STORE_CHECKPOINT, 1);
    disk_damaged(rig.disk);
    submit(&rig, STORE_APPEND, 2);
    disk_stop(rig.disk);
    CHECK(rig.store->marked_behind == 3);
    event_base_free(rig.base);
    mem_free(rig.store);
}

static void a_failed_write_ends_the_process(void)
{
    int status;
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        struct rig rig;

        rig_init(&rig);
        rig.store->fail_seq = 2;
        submit(&rig, STORE_APPEND, 1);
        run_until(&rig, 1);
        submit(&rig, STORE_APPEND, 2);
        run_until(&rig, 2);
        _exit(77); /* it was answered */
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == EXIT_FAILURE);
}

int main(void)
{
    /* The fork comes before any thread. */
    a_failed_write_ends_the_process();
    answers_come_in_order_under_load();
    all_that_is_queued_is_one_batch();
    the_log_goes_before_the_slow_lane();
    the_log_does_not_wait_for_leveldb();
    a_slow_op_is_not_starved();
    a_fence_waits_for_both_lanes_and_holds_both();
    an_idle_disk_is_told_so();
    stopping_finishes_what_was_submitted();
    damage_is_marked_when_all_else_is_done();
    (void)puts("disk thread: ok");
    return 0;
}
