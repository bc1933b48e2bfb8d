#include <config.h>
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/config.h"
#include "server/loop.h"

enum { EXIT_USAGE = 2 };

static const char usage[] =
    "usage: corrald [options] [zoo.cfg]\n"
    "\n"
    "A coordination service that speaks the ZooKeeper client protocol. "
    "Without\n"
    "a zoo.cfg it serves 127.0.0.1:2181 and keeps its data in ./corral-data.\n"
    "\n"
    "  -d, --data-dir DIR       keep the data there (the zoo.cfg's dataDir)\n"
    "  -p, --port N             client port; 0: a free one, printed when it\n"
    "                           serves\n"
    "  -l, --log-level LEVEL    error, warn, info (as it is) or debug\n"
    "      --bootstrap          an empty server may begin a new ensemble\n"
    "      --check-config FILE  read the zoo.cfg, print what it means, end\n"
    "  -h, --help\n"
    "  -V, --version\n"
    "\n"
    "It prints one line when it serves. SIGTERM and SIGINT end it cleanly.\n";

struct options {
    const char *file, *check_file, *data_dir;
    int port;      /* -1: not given */
    int log_level; /* -1: not given */
    bool bootstrap;
};

/* Until the loop has its own handlers: nothing is half done on disk that the
 * next start does not expect after a crash, so there is nothing to wait for. */
static void end_at_once(int signal)
{
    (void)signal;
    _exit(EXIT_SUCCESS);
}

static void take_signals(void)
{
    struct sigaction end = {.sa_handler = end_at_once};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    CHECK(sigaction(SIGTERM, &end, NULL) == 0);
    CHECK(sigaction(SIGINT, &end, NULL) == 0);
    CHECK(sigaction(SIGPIPE, &ignore, NULL) == 0);
}

/* As many descriptors as the system lets us have: each client needs one. */
static void raise_fd_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* fewer is fine too */
    }
}

/* Two threads allocate: the loop, and the disk's with what LevelDB starts.
 * Blocks of up to 1 MB come from the heap and stay there: frames and replies of
 * that size come again. */
static void tune_malloc(void)
{
    /* NOLINTBEGIN(concurrency-mt-unsafe): there is one thread yet */
    (void)mallopt(M_ARENA_MAX, 2);
    (void)mallopt(M_MMAP_THRESHOLD, 1024 * 1024);
    (void)mallopt(M_TRIM_THRESHOLD, 8 * 1024 * 1024);
    /* NOLINTEND(concurrency-mt-unsafe) */
}

static bool parse_number(const char *text, long max, int *number)
{
    char *end;
    long value;

    errno = 0;
    value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < 0 || value > max) {
        return false;
    }
    *number = (int)value;
    return true;
}

static int level_of(const char *name)
{
    static const char *const names[] = {[LOG_ERROR] = "error",
                                        [LOG_WARN] = "warn",
                                        [LOG_INFO] = "info",
                                        [LOG_DEBUG] = "debug"};

    for (int i = 0; i < (int)(sizeof(names) / sizeof(names[0])); i++) {
        if (strcmp(name, names[i]) == 0) {
            return i;
        }
    }
    return -1;
}

static int usage_error(const char *what, const char *value)
{
    (void)fprintf(stderr, "corrald: %s: %s (see corrald --help)\n", what,
                  value);
    return EXIT_USAGE;
}

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct options *options)
{
    static const struct option names[] = {
        {"data-dir", required_argument, NULL, 'd'},
        {"port", required_argument, NULL, 'p'},
        {"log-level", required_argument, NULL, 'l'},
        {"bootstrap", no_argument, NULL, 'b'},
        {"check-config", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0}};
    int option;

    /* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread yet */
    while ((option = getopt_long(argc, argv, "d:p:l:hV", names, NULL)) != -1) {
        switch (option) {
            case 'd':
                options->data_dir = optarg;
                break;
            case 'p':
                if (!parse_number(optarg, UINT16_MAX, &options->port)) {
                    return usage_error("not a port", optarg);
                }
                break;
            case 'l':
                options->log_level = level_of(optarg);
                if (options->log_level < 0) {
                    return usage_error("not a log level", optarg);
                }
                break;
            case 'b':
                options->bootstrap = true;
                break;
            case 'c':
                options->check_file = optarg;
                break;
            case 'h':
                (void)fputs(usage, stdout);
                return EXIT_SUCCESS;
            case 'V':
                (void)puts("corrald " PACKAGE_VERSION);
                return EXIT_SUCCESS;
            default:
                (void)fputs("corrald: see corrald --help\n", stderr);
                return EXIT_USAGE;
        }
    }
    if (argc - optind > 1) {
        return usage_error("one argument too many", argv[optind + 1]);
    }
    options->file = argv[optind];
    return -1;
}

static void replace_text(char **text, const char *with)
{
    mem_free(*text);
    *text = mem_copy_text(with);
}

/* The command line overrules the file. */
static void overrule(struct config *config, const struct options *options)
{
    if (options->data_dir != NULL) {
        bool same = config->log_dir == NULL || config->data_dir == NULL ||
                    strcmp(config->log_dir, config->data_dir) == 0;

        replace_text(&config->data_dir, options->data_dir);
        if (same) {
            replace_text(&config->log_dir, options->data_dir);
        }
    }
    if (options->port >= 0) {
        config->client_port = (uint16_t)options->port;
        config->client_port_given = true;
    }
    if (options->log_level >= 0) {
        config->log_level = options->log_level;
    }
    config->bootstrap |= options->bootstrap;
}

static void say_ready(void *arg, uint16_t port)
{
    const struct config *config = arg;
    const char *address =
        config->client_address != NULL ? config->client_address : "*";
    bool six = strchr(address, ':') != NULL;

    (void)printf(six ? "corrald: serving on [%s]:%u\n"
                     : "corrald: serving on %s:%u\n",
                 address, port);
    (void)fflush(stdout);
    log_event(LOG_INFO, "serving", "port=%u", port);
}

static int serve(struct config *config)
{
    struct loop *loop;
    int err = loop_create(config, &loop);

    if (err != 0) {
        return EXIT_FAILURE;
    }
    err = loop_run(loop, say_ready, config);
    loop_destroy(loop);
    if (err == 0) {
        log_event(LOG_INFO, "stopped", "reason=signal");
    }
    return err == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void print_checked(const struct config *config)
{
    struct buf text = {0};

    config_print(config, &text);
    (void)printf("# %s: ok\n%.*s", config->file, (int)text.len,
                 (const char *)text.data);
    buf_finish(&text);
}

int main(int argc, char **argv)
{
    struct options options = {.port = -1, .log_level = -1};
    struct config config;
    int status = parse(argc, argv, &options);
    const char *file =
        options.check_file != NULL ? options.check_file : options.file;

    if (status >= 0) {
        return status;
    }
    take_signals();
    raise_fd_limit();
    tune_malloc();
    config_init(&config);
    if (file != NULL && config_read(&config, file, options.data_dir) != 0) {
        config_finish(&config);
        return EXIT_FAILURE;
    }
    overrule(&config, &options);
    if (options.check_file != NULL) {
        print_checked(&config);
        config_finish(&config);
        return EXIT_SUCCESS;
    }
    log_set_level((enum log_level)config.log_level);
    status = serve(&config);
    config_finish(&config);
    return status;
}
