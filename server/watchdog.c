#include "server/watchdog.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/disk.h"

#define CHECKS 10 /* in a limit */
/* Of the limit: a job that computes this much does something. Waking up again
 * and again to look whether something has happened takes less. */
#define WORK_SHARE 25
#define TASKS "/proc/self/task"

/* What one of the watched has done so far. */
struct progress {
    uint64_t moves;
    uint64_t io;     /* reads and writes of the threads that work for it */
    uint64_t cpu_us; /* theirs */
};

struct watched {
    const char *name;
    struct progress seen;
    int64_t still_ms; /* without progress, as far as this thread ran */
};

struct watchdog {
    struct disk *disk;
    int64_t limit_ms;
    bool fatal;
    pid_t loop_tid, own_tid;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t stop;
    bool stopping; /* under the mutex */
    atomic_uint_fast64_t loop_moves, barks;
    struct watched loop_watched; /* the thread's own, as the next */
    struct watched disk_watched[DISK_THREADS_COUNT];
};

static void *run(void *arg);

struct watchdog *watchdog_start(struct disk *disk, int64_t limit_ms, bool fatal)
{
    struct watchdog *watchdog = MEM_NEW(struct watchdog);
    pthread_condattr_t attr;
    sigset_t all, before;

    CHECK(limit_ms >= CHECKS);
    watchdog->disk = disk;
    watchdog->limit_ms = limit_ms;
    watchdog->fatal = fatal;
    watchdog->loop_tid = gettid();
    watchdog->loop_watched.name = "loop";
    watchdog->disk_watched[DISK_LOG].name = "disk";
    watchdog->disk_watched[DISK_BESIDE].name = "leveldb";
    CHECK(pthread_mutex_init(&watchdog->mutex, NULL) == 0);
    CHECK(pthread_condattr_init(&attr) == 0);
    CHECK(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&watchdog->stop, &attr) == 0);
    CHECK(pthread_condattr_destroy(&attr) == 0);
    /* Signals are for the loop thread. */
    CHECK(sigfillset(&all) == 0);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    CHECK(pthread_create(&watchdog->thread, NULL, run, watchdog) == 0);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    return watchdog;
}

void watchdog_stop(struct watchdog *watchdog)
{
    if (watchdog == NULL) {
        return;
    }
    CHECK(pthread_mutex_lock(&watchdog->mutex) == 0);
    watchdog->stopping = true;
    CHECK(pthread_cond_signal(&watchdog->stop) == 0);
    CHECK(pthread_mutex_unlock(&watchdog->mutex) == 0);
    CHECK(pthread_join(watchdog->thread, NULL) == 0);
    CHECK(pthread_cond_destroy(&watchdog->stop) == 0);
    CHECK(pthread_mutex_destroy(&watchdog->mutex) == 0);
    mem_free(watchdog);
}

void watchdog_loop_moved(struct watchdog *watchdog)
{
    if (watchdog != NULL) {
        atomic_fetch_add_explicit(&watchdog->loop_moves, 1,
                                  memory_order_relaxed);
    }
}

uint64_t watchdog_barks(const struct watchdog *watchdog)
{
    return atomic_load(&watchdog->barks);
}

/* ---- the thread ---- */

/* The text of a small file of /proc; "" when it cannot be read. */
static void read_text(const char *task, const char *name, char *text,
                      size_t size)
{
    char path[sizeof(TASKS) + 300];
    FILE *file;
    size_t len = 0;

    (void)snprintf(path, sizeof(path), TASKS "/%s/%s", task, name);
    file = fopen(path, "re");
    if (file != NULL) {
        len = fread(text, 1, size - 1, file);
        (void)fclose(file); /* nothing was written */
    }
    text[len] = '\0';
}

/* What is asked of LevelDB it does in a thread of its own, too: all threads but
 * the loop's, this one and another one of the disk's. */
static void look_at_threads(const struct watchdog *watchdog, int not_tid,
                            struct progress *now)
{
    DIR *tasks = opendir(TASKS);
    struct dirent *task;

    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the directory is ours alone */
    while (tasks != NULL && (task = readdir(tasks)) != NULL) {
        pid_t tid = (pid_t)strtol(task->d_name, NULL, 10);
        char text[512];

        if (tid == 0 || tid == watchdog->loop_tid || tid == watchdog->own_tid ||
            tid == not_tid) {
            continue;
        }
        read_text(task->d_name, "schedstat", text, sizeof(text));
        now->cpu_us += strtoull(text, NULL, 10) / 1000;
        read_text(task->d_name, "io", text, sizeof(text));
        for (const char *at = strchr(text, ':'); at != NULL;
             at = strchr(at + 1, ':')) {
            now->io += strtoull(at + 1, NULL, 10);
        }
    }
    if (tasks != NULL) {
        (void)closedir(tasks); /* read only */
    }
}

static void bark(struct watchdog *watchdog, struct watched *watched)
{
    struct pollfd log = {.fd = STDERR_FILENO, .events = POLLOUT};

    watched->still_ms = 0;
    (void)atomic_fetch_add(&watchdog->barks, 1);
    /* A log that nobody reads may be why the loop stands still. */
    if (poll(&log, 1, 0) == 1 && (log.revents & POLLOUT) != 0) {
        log_event(watchdog->fatal ? LOG_ERROR : LOG_WARN, "stalled",
                  "what=%s ms=%lld", watched->name,
                  (long long)watchdog->limit_ms);
    }
    if (watchdog->fatal) {
        abort();
    }
}

static void check(struct watchdog *watchdog, struct watched *watched, bool idle,
                  const struct progress *now)
{
    uint64_t work_us = (uint64_t)watchdog->limit_ms * 1000 / WORK_SHARE;

    if (idle || now->moves != watched->seen.moves ||
        now->io != watched->seen.io ||
        now->cpu_us >= watched->seen.cpu_us + work_us) {
        watched->seen = *now;
        watched->still_ms = 0;
        return;
    }
    watched->still_ms += watchdog->limit_ms / CHECKS;
    if (watched->still_ms >= watchdog->limit_ms) {
        bark(watchdog, watched);
    }
}

static void check_disk(struct watchdog *watchdog, enum disk_thread thread,
                       const struct disk_pulse *pulse, int other_tid)
{
    struct progress now = {.moves = pulse->moves};

    if (pulse->busy) {
        look_at_threads(watchdog, other_tid, &now);
    }
    check(watchdog, &watchdog->disk_watched[thread], !pulse->busy, &now);
}

static void check_all(struct watchdog *watchdog)
{
    struct progress loop = {.moves = atomic_load_explicit(
                                &watchdog->loop_moves, memory_order_relaxed)};

    check(watchdog, &watchdog->loop_watched, false, &loop);
    if (watchdog->disk != NULL) {
        struct disk_pulse log, beside;

        disk_pulse(watchdog->disk, DISK_LOG, &log);
        disk_pulse(watchdog->disk, DISK_BESIDE, &beside);
        check_disk(watchdog, DISK_LOG, &log, beside.tid);
        check_disk(watchdog, DISK_BESIDE, &beside, log.tid);
    }
}

static void *run(void *arg)
{
    struct watchdog *watchdog = arg;
    int64_t period_ms = watchdog->limit_ms / CHECKS;
    bool stopping = false;

    watchdog->own_tid = gettid();
    while (!stopping) {
        struct timespec until;
        int err = 0;

        CHECK(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
        until.tv_sec += period_ms / 1000;
        until.tv_nsec += period_ms % 1000 * 1000000L;
        if (until.tv_nsec >= 1000000000L) {
            until.tv_nsec -= 1000000000L;
            until.tv_sec++;
        }
        CHECK(pthread_mutex_lock(&watchdog->mutex) == 0);
        while (!watchdog->stopping && err == 0) {
            err = pthread_cond_timedwait(&watchdog->stop, &watchdog->mutex,
                                         &until);
            CHECK(err == 0 || err == ETIMEDOUT);
        }
        stopping = watchdog->stopping;
        CHECK(pthread_mutex_unlock(&watchdog->mutex) == 0);
        if (!stopping) {
            check_all(watchdog);
        }
    }
    return NULL;
}
