/* corral-sim: runs seeds, and says how to run one again. Exit status: 127 a
 * crash, 128 no progress, 129 a broken invariant, 1 marks not passed. */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/sim/forked.h"

#define PERTURB_AGAIN 165

struct work {
    struct plan plan;
    uint64_t seeds;
    double minutes;
    bool shrink, twice, marks_required, each;
    const char *faults_in, *faults_out;
    uint64_t base; /* the first seed of --minutes */
    struct shared *shared;

    struct report total;
    uint64_t done;
};

enum option_id {
    OPT_SEED = 256,
    OPT_SEEDS,
    OPT_MINUTES,
    OPT_SERVERS,
    OPT_OBSERVERS,
    OPT_CLIENTS,
    OPT_SECONDS,
    OPT_UNTIL,
    OPT_VERBOSE_FROM,
    OPT_TRACE,
    OPT_SHRINK,
    OPT_TWICE,
    OPT_EACH,
    OPT_FAULTS,
    OPT_SAVE,
    OPT_MARKS,
    OPT_HELP,
};

static const struct option options[] = {
    {"seed", required_argument, NULL, OPT_SEED},
    {"seeds", required_argument, NULL, OPT_SEEDS},
    {"minutes", required_argument, NULL, OPT_MINUTES},
    {"servers", required_argument, NULL, OPT_SERVERS},
    {"observers", required_argument, NULL, OPT_OBSERVERS},
    {"clients", required_argument, NULL, OPT_CLIENTS},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"until", required_argument, NULL, OPT_UNTIL},
    {"verbose-from", required_argument, NULL, OPT_VERBOSE_FROM},
    {"trace", no_argument, NULL, OPT_TRACE},
    {"shrink", no_argument, NULL, OPT_SHRINK},
    {"twice", no_argument, NULL, OPT_TWICE},
    {"each", no_argument, NULL, OPT_EACH},
    {"faults", required_argument, NULL, OPT_FAULTS},
    {"save", required_argument, NULL, OPT_SAVE},
    {"marks-required", no_argument, NULL, OPT_MARKS},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static const char usage[] =
    "usage: corral-sim [options]\n"
    "  --seed N          this seed (default 1)\n"
    "  --seeds N         so many seeds, from --seed on\n"
    "  --minutes M       fresh seeds for M minutes of CPU time\n"
    "  --servers N, --observers N, --clients N   not as the seed draws\n"
    "  --seconds N       of virtual time before all is healed\n"
    "  --trace           every event as a line\n"
    "  --verbose-from N  ... from event N on\n"
    "  --until N         stop at event N\n"
    "  --twice           each seed twice: the hashes must be equal\n"
    "  --each            a line for each seed\n"
    "  --shrink          make a finding small\n"
    "  --save FILE       write its faults down; --faults FILE: these faults\n"
    "  --marks-required  fail when a mark of the protocol was not passed\n";

static bool parse(struct work *work, int argc, char **argv);
static int run_all(struct work *work);
static int run_one(struct work *work);
static void add(struct report *total, const struct report *report);
static void print_seed(const struct work *work);
static void print_replay(const struct work *work, const char *again);
static int print_total(const struct work *work);

int main(int argc, char **argv)
{
    struct work work = {
        .plan = {.seed = 1, .voters = -1, .observers = -1, .clients = -1},
        .seeds = 1};

    if (!parse(&work, argc, argv)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    work.shared = shared_create();
    if (work.faults_in != NULL) {
        FILE *file = fopen(work.faults_in, "r");

        if (file == NULL || script_load(&work.shared->script, file) != 0) {
            (void)fprintf(stderr, "corral-sim: cannot read %s\n",
                          work.faults_in);
            return 2;
        }
        (void)fclose(file);
    }
    return run_all(&work);
}

static bool parse(struct work *work, int argc, char **argv)
{
    struct plan *plan = &work->plan;
    int option;

    // NOLINTNEXTLINE(concurrency-mt-unsafe)
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        uint64_t number = optarg == NULL ? 0 : strtoull(optarg, NULL, 0);

        if (option == OPT_SEED) {
            plan->seed = number;
        } else if (option == OPT_SEEDS) {
            work->seeds = number;
        } else if (option == OPT_MINUTES) {
            work->minutes = strtod(optarg, NULL);
            work->base = (uint64_t)clock_wall_ms() * 1000;
        } else if (option == OPT_SERVERS) {
            plan->voters = (int)number;
        } else if (option == OPT_OBSERVERS) {
            plan->observers = (int)number;
        } else if (option == OPT_CLIENTS) {
            plan->clients = (int)number;
        } else if (option == OPT_SECONDS) {
            plan->seconds = (int)number;
        } else if (option == OPT_UNTIL) {
            plan->until = number;
        } else if (option == OPT_TRACE || option == OPT_VERBOSE_FROM) {
            plan->trace = true;
            plan->trace_from = option == OPT_TRACE ? plan->trace_from : number;
        } else if (option == OPT_SHRINK) {
            work->shrink = true;
        } else if (option == OPT_TWICE) {
            work->twice = true;
        } else if (option == OPT_EACH) {
            work->each = true;
        } else if (option == OPT_FAULTS) {
            work->faults_in = optarg;
        } else if (option == OPT_SAVE) {
            work->faults_out = optarg;
        } else if (option == OPT_MARKS) {
            work->marks_required = true;
        } else {
            return false;
        }
    }
    return optind == argc && plan->voters + plan->observers <= SIM_SERVERS_MAX;
}

static int run_all(struct work *work)
{
    uint64_t first = work->plan.seed;
    int status = 0;

    if (work->minutes > 0) {
        first = first != 1 ? first : work->base;
        (void)printf("fresh seeds from %" PRIu64 " on\n", first);
    }
    for (uint64_t i = 0; status == 0; i++) {
        if (work->minutes > 0
                ? (double)work->total.cpu_us / 60e6 >= work->minutes
                : i >= work->seeds) {
            break;
        }
        work->plan.seed = first + i;
        status = run_one(work);
    }
    return status != 0 ? status : print_total(work);
}

static int run_one(struct work *work)
{
    struct shared *shared = work->shared;
    enum outcome outcome = forked_run(&work->plan, shared);

    add(&work->total, &shared->report);
    work->done++;
    if (work->each || outcome != OUTCOME_OK) {
        print_seed(work);
    }
    if (outcome == OUTCOME_OK && work->twice) {
        uint64_t hash = shared->report.hash;

        work->plan.perturb = PERTURB_AGAIN;
        (void)forked_run(&work->plan, shared);
        work->plan.perturb = 0;
        if (hash != shared->report.hash) {
            (void)printf("Determinism: seed %" PRIu64 " gives %016" PRIx64
                         ", then %016" PRIx64 "\n",
                         work->plan.seed, hash, shared->report.hash);
            return 129;
        }
    }
    if (outcome == OUTCOME_OK) {
        return 0;
    }
    print_replay(work, "");
    if (work->shrink) {
        unsigned runs = shrink(&work->plan, shared, outcome);

        (void)printf("shrunk in %u runs to %u faults:\n", runs,
                     shared->script.count);
        (void)script_save(&shared->script, stdout);
        print_replay(work,
                     work->faults_out == NULL ? "FILE" : work->faults_out);
    }
    if (work->faults_out != NULL) {
        FILE *file = fopen(work->faults_out, "w");

        if (file == NULL || script_save(&shared->script, file) != 0 ||
            fclose(file) != 0) {
            (void)fprintf(stderr, "corral-sim: cannot write %s\n",
                          work->faults_out);
        }
    }
    return outcome == OUTCOME_CRASH      ? 127
           : outcome == OUTCOME_LIVENESS ? 128
                                         : 129;
}

static void add_counters(struct counter *total, size_t *total_count,
                         const struct counter *counters, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = 0;

        while (at < *total_count &&
               strcmp(total[at].name, counters[i].name) != 0) {
            at++;
        }
        if (at == *total_count && at < COUNTERS_MAX) {
            total[at] = (struct counter){counters[i].name, 0};
            (*total_count)++;
        }
        if (at < *total_count) {
            total[at].count += counters[i].count;
        }
    }
}

static void add(struct report *total, const struct report *report)
{
    total->events += report->events;
    total->virtual_us += report->virtual_us;
    total->cpu_us += report->cpu_us;
    add_counters(total->marks, &total->marks_count, report->marks,
                 report->marks_count);
    add_counters(total->counters, &total->counters_count, report->counters,
                 report->counters_count);
}

static void print_seed(const struct work *work)
{
    const struct report *report = &work->shared->report;

    (void)printf("seed %" PRIu64 ": %u+%u servers, %u clients, %.1f s, %" PRIu64
                 " events, hash %016" PRIx64 ", %.1f s of CPU%s%s\n",
                 work->plan.seed, report->voters, report->observers,
                 report->clients, (double)report->virtual_us / 1e6,
                 report->events, report->hash, (double)report->cpu_us / 1e6,
                 report->finding[0] == '\0' ? "" : "\n  ", report->finding);
    (void)fflush(stdout);
}

static void print_replay(const struct work *work, const char *again)
{
    const struct plan *plan = &work->plan;

    (void)printf("to replay: corral-sim --seed %" PRIu64, plan->seed);
    if (plan->voters >= 0) {
        (void)printf(" --servers %d", plan->voters);
    }
    if (plan->observers >= 0) {
        (void)printf(" --observers %d", plan->observers);
    }
    if (plan->clients >= 0) {
        (void)printf(" --clients %d", plan->clients);
    }
    if (plan->seconds > 0) {
        (void)printf(" --seconds %d", plan->seconds);
    }
    if (again[0] != '\0') {
        (void)printf(" --faults %s", again);
    }
    (void)printf(" --trace\n");
    (void)fflush(stdout);
}

/* 1 when a mark is required and was not passed. */
static int print_total(const struct work *work)
{
    const struct report *total = &work->total;
    bool missing = false;

    for (size_t i = 0; i < total->counters_count; i++) {
        (void)printf("%12" PRIu64 "  %s\n", total->counters[i].count,
                     total->counters[i].name);
    }
    for (size_t i = 0; i < total->marks_count; i++) {
        (void)printf("%12" PRIu64 "  %s\n", total->marks[i].count,
                     total->marks[i].name);
    }
    for (size_t i = 0; i < total->marks_count; i++) {
        if (total->marks[i].count == 0) {
            (void)printf("not passed: %s\n", total->marks[i].name);
            missing = true;
        }
    }
    (void)printf("%" PRIu64 " seeds, %" PRIu64
                 " events in %.1f s of CPU (%.2f million a minute), %.0f s of "
                 "virtual time, nothing found\n",
                 work->done, total->events, (double)total->cpu_us / 1e6,
                 total->cpu_us == 0
                     ? 0.0
                     : (double)total->events * 60 / (double)total->cpu_us,
                 (double)total->virtual_us / 1e6);
    return work->marks_required && missing ? 1 : 0;
}
