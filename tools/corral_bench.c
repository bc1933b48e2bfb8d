/* corral-bench: load and latency against any server that speaks ZooKeeper's
 * client protocol. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netdb.h>
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
    "\n"
    "Options\n"
    "  -s, --server HOST:PORT   127.0.0.1:2181\n"
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
    "  -p, --pid PID            of the server: its CPU and memory are shown\n"
    "      --keep               leave the keys there\n"
    "      --json               one JSON object on stdout\n"
    "      --no-progress        no line on stderr each second\n"
    "      --help, --version\n";

enum option_code {
    OPTION_READS = 256,
    OPTION_OPS,
    OPTION_PATH,
    OPTION_PER_PARENT,
    OPTION_TIMEOUT,
    OPTION_SEED,
    OPTION_KEEP,
    OPTION_JSON,
    OPTION_NO_PROGRESS,
    OPTION_HELP,
    OPTION_VERSION,
};

static const struct option long_options[] = {
    {"server", required_argument, NULL, 's'},
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

static void take_option(struct bench_options *options, int code)
{
    switch (code) {
        case 's':
            options->server = optarg;
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
            options->pid = (long)number(optarg, 1, INT32_MAX);
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

static void resolve(struct bench_options *options)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char *host = mem_copy_text(options->server);
    char *colon = strrchr(host, ':');
    int err;

    if (colon == NULL) {
        complain("HOST:PORT is wanted", options->server);
    }
    *colon = '\0';
    err = getaddrinfo(host, colon + 1, &hints, &found);
    if (err != 0) {
        complain(options->server, gai_strerror(err));
    }
    memcpy(&options->address, found->ai_addr, found->ai_addrlen);
    options->address_size = found->ai_addrlen;
    freeaddrinfo(found);
    mem_free(host);
}

static const struct {
    const char *name;
    double percentile;
} shown[] = {{"p50", 50},    {"p90", 90},      {"p99", 99},
             {"p999", 99.9}, {"p9999", 99.99}, {"max", 100}};

static void print_hist(const struct bench_hist *hist, bool json)
{
    double mean = hist->total == 0 ? 0 : hist->sum / (double)hist->total / 1e3;

    (void)printf(json ? "{\"mean\": %.1f" : "mean %.1f", mean);
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
        (void)printf(json ? ", \"%s\": %.1f" : "  %s %.1f", shown[i].name,
                     (double)bench_hist_at(hist, shown[i].percentile) / 1e3);
    }
    (void)printf(json ? "}" : "\n");
}

static void print_json(const struct bench_options *options,
                       const struct bench_result *result)
{
    (void)printf("{\"workload\": \"%s\", \"connections\": %" PRIu64
                 ", \"depth\": %" PRIu64 ", \"size\": %" PRIu64
                 ", \"keys\": %" PRIu64 ", \"rate\": %.1f"
                 ", \"operations\": %" PRIu64 ", \"errors\": %" PRIu64
                 ", \"seconds\": %.3f, \"per_second\": %.1f",
                 options->work, options->connections, options->depth,
                 options->size, options->keys, options->rate, result->done,
                 result->errors, result->seconds,
                 (double)result->done / result->seconds);
    if (result->hist->total > 0) {
        (void)printf(", \"latency_us\": ");
        print_hist(result->hist, true);
    }
    if (result->spread->total > 0) {
        (void)printf(", \"time_to_all_us\": ");
        print_hist(result->spread, true);
    }
    if (result->cpu_s >= 0 && result->done > 0) {
        (void)printf(", \"server_cpu_us_per_operation\": %.3f",
                     result->cpu_s * 1e6 / (double)result->done);
    }
    if (result->rss > 0) {
        (void)printf(", \"server_rss_bytes\": %" PRIu64, result->rss);
    }
    (void)printf("}\n");
}

static void print_text(const struct bench_options *options,
                       const struct bench_result *result)
{
    (void)printf("%s: %" PRIu64 " in %.2f s: %.0f /s, %" PRIu64 " errors\n",
                 options->work, result->done, result->seconds,
                 (double)result->done / result->seconds, result->errors);
    if (result->hist->total > 0) {
        (void)printf("  latency us: ");
        print_hist(result->hist, false);
    }
    if (result->spread->total > 0) {
        (void)printf("  us until all were told: ");
        print_hist(result->spread, false);
    }
    if (result->cpu_s >= 0 && result->done > 0) {
        (void)printf("  server: %.2f us of CPU each\n",
                     result->cpu_s * 1e6 / (double)result->done);
    }
    if (result->rss > 0) {
        (void)printf("  server: %.1f MB resident\n", (double)result->rss / 1e6);
    }
}

int main(int argc, char **argv)
{
    struct bench_options options = {.server = "127.0.0.1:2181",
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
    resolve(&options);
    (void)signal(SIGPIPE, SIG_IGN);
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
            print_json(&options, &result);
        } else {
            print_text(&options, &result);
        }
        /* An operation that failed makes the figures worthless. */
        code = result.errors > 0 ? 1 : 0;
    }
    mem_free(result.hist);
    mem_free(result.spread);
    return code;
}
