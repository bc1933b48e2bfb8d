/* The watchdog, over a loop and a disk that the test plays. A plain program:
 * Criterion cannot run under TSan.
 *
 * What is claimed: a loop or a disk that stands still ends a member of an
 * ensemble, and standalone is told of each time; one that moves, one that reads
 * and writes, one that computes, and a process that was stopped are left
 * alone. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "server/disk.h"
#include "server/watchdog.h"

#define LIMIT_MS 500

static atomic_bool disk_busy;

void disk_pulse(struct disk *disk, enum disk_thread thread,
                struct disk_pulse *pulse)
{
    (void)disk;
    *pulse = (struct disk_pulse){.busy = disk_busy && thread == DISK_BESIDE};
}

static void rest(void)
{
    static const struct timespec some = {0, 5 * 1000 * 1000};

    (void)nanosleep(&some, NULL);
}

/* The loop moves on for so long. */
static void run_loop(struct watchdog *watchdog, int64_t ms)
{
    int64_t until_ms = clock_monotonic_ms() + ms;

    while (clock_monotonic_ms() < until_ms) {
        watchdog_loop_moved(watchdog);
        rest();
    }
}

static struct watchdog *start(bool fatal)
{
    /* Never looked into: disk_pulse() is ours. */
    static char disk;

    return watchdog_start((struct disk *)(void *)&disk, LIMIT_MS, fatal);
}

/* The signal that ended a child which did this; 0: it went on. */
static int ended_by(void (*what)(void))
{
    int status;
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        (void)fclose(stderr);
        what();
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void stand_still(void)
{
    struct watchdog *watchdog = start(true);

    run_loop(watchdog, LIMIT_MS);
    for (int64_t end = clock_monotonic_ms() + 60000;
         clock_monotonic_ms() < end;) {
        rest();
    }
}

static void hang_on_the_disk(void)
{
    disk_busy = true;
    run_loop(start(true), 60000);
}

static void go_on(void)
{
    struct watchdog *watchdog = start(true);

    run_loop(watchdog, 4 * LIMIT_MS);
    watchdog_stop(watchdog);
}

static atomic_bool done;

static void *read_and_write(void *arg)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

    (void)arg;
    while (!done) {
        CHECK(write(fd, "x", 1) == 1);
        rest();
    }
    (void)close(fd);
    return NULL;
}

static void *compute(void *arg)
{
    (void)arg;
    while (!done) {
    }
    return NULL;
}

static void busy_with(void *(*work)(void *))
{
    struct watchdog *watchdog;
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, work, NULL) == 0);
    disk_busy = true;
    watchdog = start(true);
    run_loop(watchdog, 4 * LIMIT_MS);
    watchdog_stop(watchdog);
    done = true;
    CHECK(pthread_join(thread, NULL) == 0);
}

static void write_slowly(void)
{
    busy_with(read_and_write);
}

static void compute_for_long(void)
{
    busy_with(compute);
}

static void a_stopped_process_does_not_hang(void)
{
    static const struct timespec for_long = {1, 500 * 1000 * 1000};
    int status, started[2];
    pid_t child;
    char byte = 0;

    CHECK(pipe2(started, O_CLOEXEC) == 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct watchdog *watchdog = start(true);

        run_loop(watchdog, LIMIT_MS / 2);
        /* It stands still when it is stopped, and is seen to before and
         * after. */
        for (int i = 0; i < 24; i++) {
            rest();
            CHECK(i != 12 || write(started[1], &byte, 1) == 1);
        }
        run_loop(watchdog, 2 * LIMIT_MS);
        watchdog_stop(watchdog);
        _exit(0);
    }
    CHECK(read(started[0], &byte, 1) == 1);
    (void)close(started[0]);
    (void)close(started[1]);
    CHECK(kill(child, SIGSTOP) == 0);
    CHECK(waitpid(child, &status, WUNTRACED) == child);
    CHECK(WIFSTOPPED(status));
    (void)nanosleep(&for_long, NULL);
    CHECK(kill(child, SIGCONT) == 0);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
}

static void standalone_goes_on_with_a_slow_disk(void)
{
    struct watchdog *watchdog;

    (void)fclose(stderr);
    disk_busy = true;
    watchdog = start(false);
    for (int64_t end = clock_monotonic_ms() + 60000;
         watchdog_barks(watchdog) < 2;) {
        CHECK(clock_monotonic_ms() < end);
        run_loop(watchdog, LIMIT_MS);
    }
    watchdog_stop(watchdog);
}

int main(void)
{
    /* Forks come before any thread. */
    CHECK(ended_by(stand_still) == SIGABRT);
    CHECK(ended_by(hang_on_the_disk) == SIGABRT);
    CHECK(ended_by(go_on) == 0);
    CHECK(ended_by(write_slowly) == 0);
    CHECK(ended_by(compute_for_long) == 0);
    a_stopped_process_does_not_hang();
    standalone_goes_on_with_a_slow_disk();
    (void)puts("watchdog: ok");
    return 0;
}
