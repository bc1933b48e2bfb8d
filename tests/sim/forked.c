#include "tests/sim/forked.h"

#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"

#define CPU_SECONDS_MAX 600 /* of one seed: it hangs */

static void child(const struct plan *plan, struct shared *shared);
static void fill_report(const struct sim *sim, struct report *report);

struct shared *shared_create(void)
{
    void *shared = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    CHECK(shared != MAP_FAILED);
    return shared;
}

enum outcome forked_run(const struct plan *plan, struct shared *shared)
{
    int status;
    pid_t pid;

    memset(&shared->report, 0, sizeof(shared->report));
    if (!shared->script.replay) {
        shared->script.count = 0;
    }
    (void)fflush(NULL);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        child(plan, shared);
        exit(EXIT_SUCCESS); // NOLINT(concurrency-mt-unsafe)
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS ||
        !shared->report.finished) {
        (void)snprintf(shared->report.finding, sizeof(shared->report.finding),
                       "crash: signal %d, status %d",
                       WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                       WIFEXITED(status) ? WEXITSTATUS(status) : 0);
        return OUTCOME_CRASH;
    }
    if (shared->report.finding[0] == '\0') {
        return OUTCOME_OK;
    }
    return strncmp(shared->report.finding, "Liveness", 8) == 0
               ? OUTCOME_LIVENESS
               : OUTCOME_WRONG;
}

static void child(const struct plan *plan, struct shared *shared)
{
    struct rlimit limit = {CPU_SECONDS_MAX, CPU_SECONDS_MAX};
    struct sim_options options;
    struct prng prng;
    struct sim *sim;
    uint64_t for_us;
    int64_t began_us;
    void *shift;

    (void)setrlimit(RLIMIT_CPU, &limit);
    limit = (struct rlimit){0, 0};
    (void)setrlimit(RLIMIT_CORE, &limit);
    (void)mallopt(M_PERTURB, plan->perturb);
    shift = mem_alloc((size_t)plan->perturb * 100 + 1); /* other addresses */
    sim_options_draw(plan->seed, &options);
    prng_init(&prng, plan->seed + 1);
    for_us = (20 + prng_below(&prng, 41)) * SIM_SECOND;
    for_us = plan->seconds > 0 ? (uint64_t)plan->seconds * SIM_SECOND : for_us;
    options.voters =
        plan->voters >= 0 ? (unsigned)plan->voters : options.voters;
    options.observers =
        plan->observers >= 0 ? (unsigned)plan->observers : options.observers;
    options.clients =
        plan->clients >= 0 ? (unsigned)plan->clients : options.clients;
    options.trace = plan->trace ? stdout : NULL;
    options.trace_from = plan->trace_from;
    if (plan->trace) { /* up to the last line before a crash */
        (void)setvbuf(stdout, NULL, _IOLBF, 0);
    }
    shared->report.voters = options.voters;
    shared->report.observers = options.observers;
    shared->report.clients = options.clients;
    began_us = clock_thread_cpu_us();
    sim = sim_create_scripted(&options, &shared->script);
    while (sim_now_us(sim) < for_us && sim_finding(sim) == NULL) {
        if (plan->until != 0 && sim_events(sim) >= plan->until) {
            break;
        }
        (void)(plan->until != 0 ? sim_step(sim) : sim_run(sim, SIM_SECOND));
    }
    if (plan->until == 0 && sim_finding(sim) == NULL) {
        (void)sim_must_settle(sim);
    }
    shared->report.cpu_us = (uint64_t)(clock_thread_cpu_us() - began_us);
    fill_report(sim, &shared->report);
    sim_destroy(sim);
    mem_free(shift);
    (void)fflush(NULL);
    shared->report.finished = true;
}

static void fill_report(const struct sim *sim, struct report *report)
{
    if (sim_finding(sim) != NULL) {
        (void)snprintf(report->finding, sizeof(report->finding), "%s",
                       sim_finding(sim));
    }
    report->events = sim_events(sim);
    report->hash = sim_hash(sim);
    report->virtual_us = sim_now_us(sim);
    for (size_t i = 0; i < ZAB_MARKS_COUNT; i++) {
        struct counter *mark = &report->marks[report->marks_count];

        mark->name = sim_mark(sim, i, &mark->count);
        report->marks_count += mark->name != NULL ? 1 : 0;
    }
    for (size_t i = 0; i < COUNTERS_MAX; i++) {
        struct counter *counter = &report->counters[report->counters_count];

        counter->name = sim_counter(sim, i, &counter->count);
        if (counter->name == NULL) {
            return;
        }
        report->counters_count++;
    }
}

void finding_name(const struct report *report, enum outcome outcome, char *name,
                  size_t size)
{
    size_t len = strcspn(report->finding, ":");

    if (outcome == OUTCOME_CRASH) {
        (void)snprintf(name, size, "crash");
    } else {
        (void)snprintf(name, size, "%.*s", (int)len, report->finding);
    }
}
