#include "server/disk.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

/* Slow ops of LevelDB are run by a second thread, one at a time and in the
 * lane's order, so that no sync of the log waits for one of LevelDB's. The
 * others run here, at the latest so long after they were asked. */
#define SLOW_WAIT_MS 50
/* store_idle() comes after so long without work; under load the free space is
 * looked at this often: less than the reserve can be written in between. */
#define IDLE_MS 100
#define SPACE_MS 10

struct item {
    struct store_op op;
    uint64_t order;   /* as submitted */
    int64_t asked_ms; /* monotonic */
};

/* Items from first on wait; what is before them was run. */
struct lane {
    struct item *items;
    size_t first, count, capacity;
};

struct answer {
    struct store_result result;
    struct blob *payload; /* of the op: its reference goes home */
};

struct answers {
    struct answer *items;
    size_t count, capacity;
};

struct disk {
    struct store *store;
    struct event event; /* on the eventfd */
    int wake_fd;
    disk_done_fn *done;
    void *arg;
    int64_t warn_ms;             /* loop thread only; 0: never */
    size_t queued;               /* loop thread only */
    bool damaged;                /* loop thread only */
    struct answers taken;        /* loop thread only */
    struct store_result *passed; /* loop thread only: what done gets */
    size_t passed_capacity;
    pthread_t thread, second;
    struct {
        atomic_int tid;
        atomic_uint_fast64_t moves; /* odd: at work */
    } pulses[DISK_THREADS_COUNT];

    pthread_mutex_t mutex; /* over the rest of the block */
    pthread_cond_t work, second_work;
    enum { SECOND_IDLE, SECOND_RUNS, SECOND_DONE, SECOND_ENDS } second_state;
    struct lane submitted;
    struct answers answered;
    struct store_space space;
    int64_t slowest_ms; /* write and sync of the log, since the last answers */
    bool waiting;       /* the thread sleeps on work */
    bool stopping;

    /* The second thread's while it runs, else the disk thread's. */
    struct store_op second_op;
    struct store_result second_result;

    /* Disk thread only. */
    bool second_has; /* the op above: of the slow lane, and not yet answered */
    struct lane log, slow, taking;
    struct store_op *ops;
    struct store_result *results;
    size_t ops_capacity, results_capacity;
    size_t fences; /* in the two lanes */
    uint64_t next_order;
    int64_t looked_ms; /* at the space */
    int64_t tidied_ms; /* when store_idle() or store_tidy() was called last */
};

static void *run(void *arg);
static void *run_second(void *arg);
static void wake_up(evutil_socket_t fd, short what, void *arg);

struct disk *disk_start(struct event_base *base, struct store *store,
                        disk_done_fn *done, void *arg)
{
    struct disk *disk = MEM_NEW(struct disk);
    pthread_condattr_t attr;
    sigset_t all, before;

    disk->store = store;
    disk->done = done;
    disk->arg = arg;
    store_space(store, &disk->space);
    disk->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(disk->wake_fd >= 0);
    CHECK(event_assign(&disk->event, base, disk->wake_fd, EV_READ | EV_PERSIST,
                       wake_up, disk) == 0);
    CHECK(event_add(&disk->event, NULL) == 0);
    CHECK(pthread_mutex_init(&disk->mutex, NULL) == 0);
    CHECK(pthread_condattr_init(&attr) == 0);
    CHECK(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&disk->work, &attr) == 0);
    CHECK(pthread_cond_init(&disk->second_work, NULL) == 0);
    CHECK(pthread_condattr_destroy(&attr) == 0);
    /* Signals are for the loop thread. */
    CHECK(sigfillset(&all) == 0);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    CHECK(pthread_create(&disk->thread, NULL, run, disk) == 0);
    CHECK(pthread_create(&disk->second, NULL, run_second, disk) == 0);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    return disk;
}

static void lane_finish(struct lane *lane)
{
    CHECK(lane->first == lane->count);
    mem_free(lane->items);
}

static void drop_answers(struct answers *answers)
{
    for (size_t i = 0; i < answers->count; i++) {
        blob_unref(answers->items[i].payload);
        blob_unref(answers->items[i].result.payload);
    }
    mem_free(answers->items);
}

void disk_stop(struct disk *disk)
{
    if (disk == NULL) {
        return;
    }
    CHECK(pthread_mutex_lock(&disk->mutex) == 0);
    disk->stopping = true;
    CHECK(pthread_cond_signal(&disk->work) == 0);
    CHECK(pthread_mutex_unlock(&disk->mutex) == 0);
    CHECK(pthread_join(disk->thread, NULL) == 0);
    CHECK(pthread_join(disk->second, NULL) == 0);
    (void)event_del(&disk->event);
    (void)close(disk->wake_fd); /* nothing was written through it */
    if (disk->damaged && store_mark_damaged(disk->store) != 0) {
        log_event(LOG_ERROR, "disk_failed", "reason=\"%s\"",
                  store_failure(disk->store));
    }
    store_close(disk->store);
    lane_finish(&disk->submitted);
    lane_finish(&disk->log);
    lane_finish(&disk->slow);
    lane_finish(&disk->taking);
    drop_answers(&disk->answered);
    drop_answers(&disk->taken);
    mem_free(disk->passed);
    mem_free(disk->ops);
    mem_free(disk->results);
    CHECK(pthread_cond_destroy(&disk->work) == 0);
    CHECK(pthread_cond_destroy(&disk->second_work) == 0);
    CHECK(pthread_mutex_destroy(&disk->mutex) == 0);
    mem_free(disk);
}

void disk_damaged(struct disk *disk)
{
    disk->damaged = true;
}

static size_t lane_waiting(const struct lane *lane)
{
    return lane->count - lane->first;
}

static void lane_push(struct lane *lane, const struct item *item)
{
    if (lane->first > 0 && lane->first >= lane_waiting(lane)) {
        memmove(lane->items, lane->items + lane->first,
                lane_waiting(lane) * sizeof(*lane->items));
        lane->count -= lane->first;
        lane->first = 0;
    }
    lane->items = mem_grow(lane->items, &lane->capacity, lane->count + 1,
                           sizeof(*lane->items));
    lane->items[lane->count++] = *item;
}

void disk_submit(struct disk *disk, const struct store_op *ops, size_t count)
{
    int64_t now_ms;
    bool waiting;

    if (count == 0) {
        return;
    }
    now_ms = clock_monotonic_ms();
    disk->queued += count;
    CHECK(pthread_mutex_lock(&disk->mutex) == 0);
    for (size_t i = 0; i < count; i++) {
        struct item item = {.op = ops[i], .asked_ms = now_ms};

        lane_push(&disk->submitted, &item);
    }
    waiting = disk->waiting;
    disk->waiting = false;
    CHECK(pthread_mutex_unlock(&disk->mutex) == 0);
    if (waiting) {
        CHECK(pthread_cond_signal(&disk->work) == 0);
    }
}

void disk_warn_above(struct disk *disk, int64_t ms)
{
    disk->warn_ms = ms;
}

size_t disk_queued(struct disk *disk)
{
    return disk->queued;
}

void disk_pulse(struct disk *disk, enum disk_thread thread,
                struct disk_pulse *pulse)
{
    pulse->tid = atomic_load(&disk->pulses[thread].tid);
    pulse->moves = atomic_load(&disk->pulses[thread].moves);
    pulse->busy = pulse->moves % 2 == 1;
}

struct store *disk_store(struct disk *disk)
{
    return disk->store;
}

void disk_space(struct disk *disk, struct store_space *space)
{
    CHECK(pthread_mutex_lock(&disk->mutex) == 0);
    *space = disk->space;
    CHECK(pthread_mutex_unlock(&disk->mutex) == 0);
}

/* Loop thread: answers are there. */
static void wake_up(evutil_socket_t fd, short what, void *arg)
{
    struct disk *disk = arg;
    struct answers swap;
    uint64_t ignored;
    int64_t slowest_ms;

    (void)what;
    /* EAGAIN: an earlier wake-up took what this one was about. */
    (void)!read(fd, &ignored, sizeof(ignored));
    CHECK(pthread_mutex_lock(&disk->mutex) == 0);
    swap = disk->answered;
    disk->answered = disk->taken;
    disk->taken = swap;
    slowest_ms = disk->slowest_ms;
    disk->slowest_ms = 0;
    CHECK(pthread_mutex_unlock(&disk->mutex) == 0);

    if (disk->warn_ms > 0 && slowest_ms > disk->warn_ms) {
        log_event(LOG_WARN, "disk_slow",
                  "what=\"write and sync of the log\" "
                  "ms=%lld",
                  (long long)slowest_ms);
    }
    if (disk->taken.count == 0) {
        return;
    }
    disk->passed = mem_grow(disk->passed, &disk->passed_capacity,
                            disk->taken.count, sizeof(*disk->passed));
    for (size_t i = 0; i < disk->taken.count; i++) {
        blob_unref(disk->taken.items[i].payload);
        disk->passed[i] = disk->taken.items[i].result;
    }
    CHECK(disk->queued >= disk->taken.count);
    disk->queued -= disk->taken.count;
    swap.count = disk->taken.count;
    disk->taken.count = 0;
    disk->done(disk->arg, disk->passed, swap.count);
}

/* ---- the disk thread ---- */

/* These two lanes' ops wait for both to be empty, and hold both. */
static bool is_fence(enum store_op_type type)
{
    return type == STORE_TRUNCATE || type == STORE_SNAP_BEGIN ||
           type == STORE_SNAP_END;
}

static bool is_log_op(enum store_op_type type)
{
    return type == STORE_EPOCHS || type == STORE_APPEND ||
           type == STORE_TRUNCATE;
}

/* Nobody comes back from a failure: whatever the loop thread still has to say
 * was durable before it. */
static void end_if_failed(struct disk *disk, const struct store_result *result)
{
    if (result->err == ERR_IO) {
        log_event(LOG_ERROR, "disk_failed", "reason=\"%s\"",
                  store_failure(disk->store));
        _exit(EXIT_FAILURE);
    }
}

/* Hands answers over. */
static void answer(struct disk *disk, const struct store_op *ops,
                   const struct store_result *results, size_t count,
                   int64_t log_ms)
{
    struct answers *answered = &disk->answered;
    uint64_t one = 1;
    bool was_empty;

    for (size_t i = 0; i < count; i++) {
        end_if_failed(disk, &results[i]);
    }
    CHECK(pthread_mutex_lock(&disk->mutex) == 0);
    if (log_ms > disk->slowest_ms) {
        disk->slowest_ms = log_ms;
    }
    was_empty = answered->count == 0;
    answered->items =
        mem_grow(answered->items, &answered->capacity, answered->count + count,
                 sizeof(*answered->items));
    for (size_t i = 0; i < count; i++) {
        answered->items[answered->count++] =
            (struct answer){results[i], ops[i].payload};
    }
    CHECK(pthread_mutex_unlock(&disk->mutex) == 0);
    if (was_empty) {
        CHECK(write(disk->wake_fd, &one, sizeof(one)) == sizeof(one));
    }
}

/* Runs items first .. first + count of the lane in one call. */
static void run_some(struct disk *disk, struct lane *lane, size_t count)
{
    bool is_log = is_log_op(lane->items[lane->first].op.type);
    int64_t began_ms = clock_monotonic_ms();

    disk->ops =
        mem_grow(disk->ops, &disk->ops_capacity, count, sizeof(*disk->ops));
    disk->results = mem_grow(disk->results, &disk->results_capacity, count,
                             sizeof(*disk->results));
    for (size_t i = 0; i < count; i++) {
        disk->ops[i] = lane->items[lane->first + i].op;
    }
    memset(disk->results, 0, count * sizeof(*disk->results));
    atomic_fetch_add(&disk->pulses[DISK_LOG].moves, 1);
    store_run(disk->store, disk->ops, count, disk->results);
    atomic_fetch_add(&disk->pulses[DISK_LOG].moves, 1);
    lane->first += count;
    answer(disk, disk->ops, disk->results, count,
           is_log ? clock_monotonic_ms() - began_ms : 0);
}

/* The next slow op, which is one of LevelDB. */
static void give_to_second(struct disk *disk)
{
    CHECK(!disk->second_has);
    disk->second_has = true;
    disk->second_op = disk->slow.items[disk->slow.first].op;
    disk->slow.first++;
    CHECK(pthread_mutex_lock(&disk->mutex) == 0);
    CHECK(disk->second_state == SECOND_IDLE);
    disk->second_state = SECOND_RUNS;
    CHECK(pthread_cond_signal(&disk->second_work) == 0);
    CHECK(pthread_mutex_unlock(&disk->mutex) == 0);
}

static void take_from_second(struct disk *disk)
{
    CHECK(disk->second_has);
    disk->second_has = false;
    atomic_fetch_add(&disk->pulses[DISK_LOG].moves, 1);
    store_finish_beside(disk->store, &disk->second_op, &disk->second_result);
    atomic_fetch_add(&disk->pulses[DISK_LOG].moves, 1);
    answer(disk, &disk->second_op, &disk->second_result, 1, 0);
}

static void *run_second(void *arg)
{
    struct disk *disk = arg;

    atomic_store(&disk->pulses[DISK_BESIDE].tid, gettid());
    CHECK(pthread_mutex_lock(&disk->mutex) == 0);
    while (disk->second_state != SECOND_ENDS) {
        if (disk->second_state != SECOND_RUNS) {
            CHECK(pthread_cond_wait(&disk->second_work, &disk->mutex) == 0);
            continue;
        }
        CHECK(pthread_mutex_unlock(&disk->mutex) == 0);
        atomic_fetch_add(&disk->pulses[DISK_BESIDE].moves, 1);
        store_run_beside(disk->store, &disk->second_op, &disk->second_result);
        atomic_fetch_add(&disk->pulses[DISK_BESIDE].moves, 1);
        CHECK(pthread_mutex_lock(&disk->mutex) == 0);
        disk->second_state = SECOND_DONE;
        if (disk->waiting) {
            CHECK(pthread_cond_signal(&disk->work) == 0);
        }
    }
    CHECK(pthread_mutex_unlock(&disk->mutex) == 0);
    return NULL;
}

/* How many at the lane's head may run now: those before the next fence. */
static size_t lane_ready(const struct lane *lane, uint64_t fence)
{
    size_t n = 0;

    if (fence == UINT64_MAX) {
        return lane_waiting(lane);
    }
    while (n < lane_waiting(lane) &&
           lane->items[lane->first + n].order < fence) {
        n++;
    }
    return n;
}

/* The order of the oldest fence that waits, UINT64_MAX when there is none. */
static uint64_t next_fence(const struct disk *disk)
{
    const struct lane *lanes[] = {&disk->log, &disk->slow};
    uint64_t fence = UINT64_MAX;

    for (size_t i = 0; i < 2 && disk->fences > 0; i++) {
        for (size_t n = lanes[i]->first; n < lanes[i]->count; n++) {
            if (is_fence(lanes[i]->items[n].op.type)) {
                if (lanes[i]->items[n].order < fence) {
                    fence = lanes[i]->items[n].order;
                }
                break;
            }
        }
    }
    return fence;
}

/* The slow op at the lane's head, if it may run now. */
static bool run_slow(struct disk *disk, bool log_ran)
{
    const struct item *oldest = &disk->slow.items[disk->slow.first];

    if (disk->second_has) {
        return false; /* they run one after the other */
    }
    if (store_runs_beside(oldest->op.type)) {
        give_to_second(disk);
    } else if (!log_ran ||
               clock_monotonic_ms() - oldest->asked_ms >= SLOW_WAIT_MS) {
        run_some(disk, &disk->slow, 1);
    }
    return true;
}

/* One round: all the log ops that may run, as one batch; then one slow op when
 * no log op waits or it has waited long enough. False: nothing was there, or
 * what is there waits for the second thread. */
static bool run_round(struct disk *disk)
{
    uint64_t fence = next_fence(disk);
    size_t log_ready = lane_ready(&disk->log, fence);
    size_t slow_ready = lane_ready(&disk->slow, fence);

    if (log_ready > 0) {
        run_some(disk, &disk->log, log_ready);
    }
    if (slow_ready > 0) {
        return run_slow(disk, log_ready > 0) || log_ready > 0;
    }
    if (log_ready > 0) {
        return true;
    }
    if (fence == UINT64_MAX || disk->second_has) {
        return false;
    }
    disk->fences--;
    if (lane_waiting(&disk->log) > 0 &&
        disk->log.items[disk->log.first].order == fence) {
        run_some(disk, &disk->log, 1);
    } else {
        run_some(disk, &disk->slow, 1);
    }
    return true;
}

/* Everything submitted into the two lanes. */
static void sort_into_lanes(struct disk *disk)
{
    struct lane *taking = &disk->taking;

    for (; taking->first < taking->count; taking->first++) {
        struct item *item = &taking->items[taking->first];

        item->order = disk->next_order++;
        disk->fences += is_fence(item->op.type) ? 1 : 0;
        lane_push(is_log_op(item->op.type) ? &disk->log : &disk->slow, item);
    }
}

static void look_at_space(struct disk *disk, bool idle)
{
    int64_t now_ms = clock_monotonic_ms();
    struct store_space space;
    int err = 0;

    disk->looked_ms = now_ms;
    atomic_fetch_add(&disk->pulses[DISK_LOG].moves, 1);
    if (idle || (!disk->second_has && now_ms - disk->tidied_ms >= IDLE_MS)) {
        err = idle ? store_idle(disk->store) : store_tidy(disk->store);
        disk->tidied_ms = now_ms;
    }
    if (err != 0) {
        log_event(LOG_ERROR, "disk_failed", "reason=\"%s\"",
                  store_failure(disk->store));
        _exit(EXIT_FAILURE);
    }
    store_space(disk->store, &space);
    atomic_fetch_add(&disk->pulses[DISK_LOG].moves, 1);
    CHECK(pthread_mutex_lock(&disk->mutex) == 0);
    disk->space = space;
    CHECK(pthread_mutex_unlock(&disk->mutex) == 0);
}

static bool has_news(const struct disk *disk)
{
    return lane_waiting(&disk->submitted) > 0 ||
           disk->second_state == SECOND_DONE ||
           (disk->stopping && !disk->second_has);
}

/* With the mutex held. True: IDLE_MS went by and nothing is to be done. */
static bool wait_for_work(struct disk *disk)
{
    struct timespec until;
    int err = 0;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    until.tv_nsec += IDLE_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    while (!has_news(disk) && err == 0) {
        disk->waiting = true;
        err = pthread_cond_timedwait(&disk->work, &disk->mutex, &until);
        CHECK(err == 0 || err == ETIMEDOUT);
    }
    disk->waiting = false;
    return !has_news(disk) && !disk->second_has;
}

static void end_second(struct disk *disk)
{
    CHECK(pthread_mutex_lock(&disk->mutex) == 0);
    disk->second_state = SECOND_ENDS;
    CHECK(pthread_cond_signal(&disk->second_work) == 0);
    CHECK(pthread_mutex_unlock(&disk->mutex) == 0);
}

static void *run(void *arg)
{
    struct disk *disk = arg;
    bool busy = false;

    atomic_store(&disk->pulses[DISK_LOG].tid, gettid());
    for (;;) {
        struct lane swap;
        bool idle = false;
        bool second_done;
        bool stopping;

        CHECK(pthread_mutex_lock(&disk->mutex) == 0);
        if (!busy) {
            idle = wait_for_work(disk);
        }
        swap = disk->submitted;
        disk->submitted = disk->taking;
        disk->taking = swap;
        second_done = disk->second_state == SECOND_DONE;
        if (second_done) {
            disk->second_state = SECOND_IDLE;
        }
        stopping = disk->stopping;
        CHECK(pthread_mutex_unlock(&disk->mutex) == 0);

        if (second_done) {
            take_from_second(disk);
        }
        sort_into_lanes(disk);
        busy = run_round(disk);
        if (!busy && stopping && !disk->second_has) {
            end_second(disk);
            return NULL;
        }
        if (idle || clock_monotonic_ms() - disk->looked_ms >= SPACE_MS) {
            look_at_space(disk, idle);
        }
    }
}
