/* corral-bench: load and latency against any server that speaks ZooKeeper's
 * client protocol. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "config.h"
#include "tools/bench.h"

static const char usage[] =
    "usage: corral-bench [options] WORKLOAD\n"
    "\n"
    "Workloads\n"
    "  get        getData of keys drawn at random\n"
    "  set        setData of keys drawn at random\n"
    "  mixed      both, --reads percent of them get\n"
    "  create     create of new keys, until --keys are made\n"
    "  delete     delete of all keys\n"
    "  multi      multi of --ops setData each\n"
    "  connect    connect, open a session, close it, again\n"
    "  watch      one change told to --connections - 1 watchers, in rounds\n"
    "  idle       sessions that only ping\n"
    "  populate   make all keys\n"
    "  gap        writes that are sent again, by sessions that are resumed, "
    "on\n"
    "             other servers; how long none was acknowledged, and whether\n"
    "             each that was is there at the end; a key per connection\n"
    "\n"
    "Options\n"
    "  -s, --server HOST:PORT[,HOST:PORT...]\n"
    "                           127.0.0.1:2181; connections go to each in "
    "turn\n"
    "      --to WHOM            of these, only to the leader, the followers,\n"
    "                           the observers, the first of the list: all\n"
    "  -c, --connections N      10\n"
    "  -d, --depth N            requests on their way on each connection: 1\n"
    "  -b, --size BYTES         of a key's data: 100\n"
    "  -k, --keys N             1000\n"
    "  -t, --seconds S          how long is measured: 5\n"
    "  -w, --warmup S           before it: 1\n"
    "  -n, --requests N         end after so many instead\n"
    "  -r, --rate N             requests per second, at fixed times; latency\n"
    "                           counts from when a request was due\n"
    "      --reads PERCENT      of mixed: 90\n"
    "      --ops N              of a multi: 10\n"
    "      --path PATH          root of the keys: /corral-bench\n"
    "      --per-parent N       keys below one parent: 10000\n"
    "      --timeout MS         of the sessions: 30000\n"
    "      --seed N             of the draws: 1\n"
    "  -p, --pid PID[,PID...]   of the servers: their CPU and memory are "
    "shown\n"
    "      --marks              of gap: each line of standard input begins a "
    "new\n"
    "                           part of the report, its end ends the run;\n"
    "                           \"running\" is printed when it begins\n"
    "      --keep               leave the keys there\n"
    "      --json               one JSON object on stdout\n"
    "      --no-progress        no line on stderr each second\n"
    "      --help, --version\n";

enum option_code {
    OPTION_TO = 256,
    OPTION_READS,
    OPTION_OPS,
    OPTION_PATH,
    OPTION_PER_PARENT,
    OPTION_TIMEOUT,
    OPTION_SEED,
    OPTION_MARKS,
    OPTION_KEEP,
    OPTION_JSON,
    OPTION_NO_PROGRESS,
    OPTION_HELP,
    OPTION_VERSION,
};

static const struct option long_options[] = {
    {"server", required_argument, NULL, 's'},
    {"hosts", required_argument, NULL, 's'},
    {"to", required_argument, NULL, OPTION_TO},
    {"connections", required_argument, NULL, 'c'},
    {"depth", required_argument, NULL, 'd'},
    {"size", required_argument, NULL, 'b'},
    {"keys", required_argument, NULL, 'k'},
    {"seconds", required_argument, NULL, 't'},
    {"warmup", required_argument, NULL, 'w'},
    {"requests", required_argument, NULL, 'n'},
    {"rate", required_argument, NULL, 'r'},
    {"pid", required_argument, NULL, 'p'},
    {"reads", required_argument, NULL, OPTION_READS},
    {"ops", required_argument, NULL, OPTION_OPS},
    {"path", required_argument, NULL, OPTION_PATH},
    {"per-parent", required_argument, NULL, OPTION_PER_PARENT},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"marks", no_argument, NULL, OPTION_MARKS},
    {"keep", no_argument, NULL, OPTION_KEEP},
    {"json", no_argument, NULL, OPTION_JSON},
    {"no-progress", no_argument, NULL, OPTION_NO_PROGRESS},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static _Noreturn void complain(const char *what, const char *value)
{
    (void)fprintf(stderr, "corral-bench: %s: %s\n", what, value);
    exit(2);
}

static uint64_t number(const char *text, uint64_t min, uint64_t max)
{
    char *end;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < min ||
        value > max) {
        complain("not a number in range", text);
    }
    return value;
}

static double real(const char *text, double min, double max)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || !(value >= min && value <= max)) {
        complain("not a number in range", text);
    }
    return value;
}

static enum bench_to whom(const char *text)
{
    static const char *const names[] = {"all", "leader", "followers",
                                        "observers", "first"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            return (enum bench_to)i;
        }
    }
    complain("all, leader, followers, observers or first", text);
}

static void take_pids(struct bench_pids *pids, const char *text)
{
    char *list = mem_copy_text(text);
    char *rest = NULL;

    pids->count = 0;
    for (char *pid = strtok_r(list, ",", &rest); pid != NULL;
         pid = strtok_r(NULL, ",", &rest)) {
        if (pids->count == BENCH_PIDS_MAX) {
            complain("too many processes", text);
        }
        pids->items[pids->count++] = (long)number(pid, 1, INT32_MAX);
    }
    mem_free(list);
}

static void take_option(struct bench_options *options, int code)
{
    switch (code) {
        case 's':
            options->hosts = optarg;
            break;
        case OPTION_TO:
            options->to = whom(optarg);
            break;
        case 'c':
            options->connections = number(optarg, 1, 1000000);
            break;
        case 'd':
            options->depth = number(optarg, 1, 100000);
            break;
        case 'b':
            options->size = number(optarg, 0, 1000000);
            break;
        case 'k':
            options->keys = number(optarg, 1, 9999999);
            break;
        case 't':
            options->seconds = real(optarg, 0.01, 1e6);
            break;
        case 'w':
            options->warmup = real(optarg, 0, 1e6);
            break;
        case 'n':
            options->requests = number(optarg, 1, UINT64_MAX);
            break;
        case 'r':
            options->rate = real(optarg, 0.001, 1e8);
            break;
        case 'p':
            take_pids(&options->pids, optarg);
            break;
        case OPTION_READS:
            options->reads_percent = number(optarg, 0, 100);
            break;
        case OPTION_OPS:
            options->multi_ops = number(optarg, 1, 10000);
            break;
        case OPTION_PATH:
            if (optarg[0] != '/' || strlen(optarg) > BENCH_PATH_MAX - 64 ||
                optarg[1] == '\0') {
                complain("not a usable path", optarg);
            }
            options->path = optarg;
            break;
        case OPTION_PER_PARENT:
            options->per_parent = number(optarg, 1, 9999999);
            break;
        case OPTION_TIMEOUT:
            options->timeout_ms = (int32_t)number(optarg, 1, INT32_MAX);
            break;
        case OPTION_SEED:
            options->seed = number(optarg, 0, UINT64_MAX);
            break;
        case OPTION_MARKS:
            options->marks = true;
            break;
        case OPTION_KEEP:
            options->keep = true;
            break;
        case OPTION_JSON:
            options->json = true;
            break;
        case OPTION_NO_PROGRESS:
            options->progress = false;
            break;
        case OPTION_HELP:
            (void)fputs(usage, stdout);
            exit(0);
        case OPTION_VERSION:
            (void)puts("corral-bench " PACKAGE_VERSION);
            exit(0);
        default:
            (void)fputs(usage, stderr);
            exit(2);
    }
}

int main(int argc, char **argv)
{
    struct bench_options options = {.hosts = "127.0.0.1:2181",
                                    .path = "/corral-bench",
                                    .connections = 10,
                                    .depth = 1,
                                    .size = 100,
                                    .keys = 1000,
                                    .per_parent = 10000,
                                    .seconds = 5,
                                    .warmup = 1,
                                    .reads_percent = 90,
                                    .multi_ops = 10,
                                    .seed = 1,
                                    .timeout_ms = 30000,
                                    .progress = true};
    struct bench_result result = {.cpu_s = -1};
    struct rlimit files;
    int code;

    while ((code = getopt_long(argc, argv, "s:c:d:b:k:t:w:n:r:p:", long_options,
                               NULL)) != -1) {
        take_option(&options, code);
    }
    if (optind != argc - 1) {
        (void)fputs(usage, stderr);
        return 2;
    }
    options.work = argv[optind];
    if (strcmp(options.work, "gap") == 0) {
        options.keys = options.connections;
        options.rate = options.rate > 0 ? options.rate : 1000;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    if (bench_servers_find(&options.servers, options.hosts, options.to) != 0) {
        bench_servers_finish(&options.servers);
        return 1;
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    result.hist = MEM_NEW(struct bench_hist);
    result.spread = MEM_NEW(struct bench_hist);
    code = bench_run(&options, &result);
    if (code == 0) {
        if (options.progress) {
            (void)fprintf(stderr, "\r%70s\r", "");
        }
        if (options.json) {
            bench_print_json(&options, &result);
        } else {
            bench_print_text(&options, &result);
        }
        /* An operation that failed makes the figures worthless. */
        code = result.errors > 0 ? 1 : 0;
    }
    mem_free(result.hist);
    mem_free(result.spread);
    mem_free(result.gap.marks);
    bench_servers_finish(&options.servers);
    return code;
}
