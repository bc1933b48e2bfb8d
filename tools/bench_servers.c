/* The servers of a run: their addresses, what each of them is, and what their
 * processes use. */
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/mem.h"
#include "tools/bench.h"

#define WORD_SECONDS 5

static int find_address(struct bench_server *server)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char *host = mem_copy_text(server->name);
    char *at = host;
    char *colon = strrchr(host, ':');
    int err;

    if (colon == NULL) {
        (void)fprintf(stderr, "corral-bench: HOST:PORT is wanted: %s\n",
                      server->name);
        mem_free(host);
        return 1;
    }
    *colon = '\0';
    if (at[0] == '[' && colon[-1] == ']') { /* [::1]:2181 */
        colon[-1] = '\0';
        at++;
    }
    err = getaddrinfo(at, colon + 1, &hints, &found);
    mem_free(host);
    if (err != 0) {
        (void)fprintf(stderr, "corral-bench: %s: %s\n", server->name,
                      gai_strerror(err));
        return 1;
    }
    memcpy(&server->address, found->ai_addr, found->ai_addrlen);
    server->address_size = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

/* "Mode: " of the word srvr; false: no answer, or one without a mode. */
static bool ask_mode(const struct bench_server *server, char *mode, size_t size)
{
    struct timeval patience = {WORD_SECONDS, 0};
    char answer[4096];
    size_t len = 0;
    ssize_t n = 0;
    const char *line;
    int fd = socket(server->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return false;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(fd, (const struct sockaddr *)&server->address,
                server->address_size) == 0 &&
        write(fd, "srvr", 4) == 4) {
        while (len < sizeof(answer) - 1 &&
               (n = read(fd, answer + len, sizeof(answer) - 1 - len)) > 0) {
            len += (size_t)n;
        }
    }
    (void)close(fd);
    answer[len] = '\0';
    line = strstr(answer, "Mode: ");
    if (line == NULL) {
        return false;
    }
    line += strlen("Mode: ");
    (void)snprintf(mode, size, "%.*s", (int)strcspn(line, "\r\n"), line);
    return true;
}

static bool has_role(const struct bench_server *server, enum bench_to to)
{
    static const char *const modes[] = {
        [BENCH_TO_LEADER] = "leader",
        [BENCH_TO_FOLLOWERS] = "follower",
        [BENCH_TO_OBSERVERS] = "observer",
    };
    char mode[32];

    return ask_mode(server, mode, sizeof(mode)) && strcmp(mode, modes[to]) == 0;
}

static bool is_target(const struct bench_servers *servers, size_t at,
                      enum bench_to to)
{
    switch (to) {
        case BENCH_TO_ALL:
            return true;
        case BENCH_TO_FIRST:
            return at == 0;
        case BENCH_TO_LEADER:
        case BENCH_TO_FOLLOWERS:
        case BENCH_TO_OBSERVERS:
            return has_role(&servers->items[at], to);
    }
    return false;
}

/* Those that get connections to the front. */
static int choose(struct bench_servers *servers, enum bench_to to)
{
    for (size_t i = 0; i < servers->count; i++) {
        if (is_target(servers, i, to)) {
            struct bench_server target = servers->items[i];

            servers->items[i] = servers->items[servers->targets_count];
            servers->items[servers->targets_count++] = target;
        }
    }
    if (servers->targets_count == 0) {
        (void)fprintf(stderr, "corral-bench: none of the servers is one\n");
        return 1;
    }
    return 0;
}

int bench_servers_find(struct bench_servers *servers, const char *hosts,
                       enum bench_to to)
{
    size_t capacity = 0;
    char *list = mem_copy_text(hosts);
    char *rest = NULL;
    int failed = 0;

    for (char *host = strtok_r(list, ",", &rest); host != NULL && failed == 0;
         host = strtok_r(NULL, ",", &rest)) {
        servers->items = mem_grow(servers->items, &capacity, servers->count + 1,
                                  sizeof(servers->items[0]));
        servers->items[servers->count] =
            (struct bench_server){.name = mem_copy_text(host)};
        servers->count++;
        failed = find_address(&servers->items[servers->count - 1]);
    }
    mem_free(list);
    return failed != 0 ? failed : choose(servers, to);
}

void bench_servers_finish(struct bench_servers *servers)
{
    for (size_t i = 0; i < servers->count; i++) {
        mem_free(servers->items[i].name);
    }
    mem_free(servers->items);
}

/* ---- Their processes */

static bool read_proc(long pid, const char *name, char *text, size_t size)
{
    char path[64];
    FILE *file;
    size_t n;

    (void)snprintf(path, sizeof(path), "/proc/%ld/%s", pid, name);
    file = fopen(path, "r");
    if (file == NULL) {
        return false;
    }
    n = fread(text, 1, size - 1, file);
    (void)fclose(file);
    text[n] = '\0';
    return n > 0;
}

static double cpu_of(long pid)
{
    char text[1024];
    char *at;
    char *next;
    double ticks = 0;

    if (!read_proc(pid, "stat", text, sizeof(text)) ||
        (at = strrchr(text, ')')) == NULL) {
        return -1;
    }
    /* Behind the name: state, then numbers; user and system time are the
     * 12th and 13th of these fields. */
    at += 3;
    for (int field = 2; field <= 13; field++) {
        double value = strtod(at, &next);

        if (next == at) {
            return -1;
        }
        if (field >= 12) {
            ticks += value;
        }
        at = next;
    }
    return ticks / (double)sysconf(_SC_CLK_TCK);
}

double bench_cpu_s(const struct bench_pids *pids)
{
    double sum = pids->count == 0 ? -1 : 0;

    for (size_t i = 0; i < pids->count; i++) {
        double seconds = cpu_of(pids->items[i]);

        if (seconds < 0) {
            return -1;
        }
        sum += seconds;
    }
    return sum;
}

uint64_t bench_rss(const struct bench_pids *pids)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < pids->count; i++) {
        char text[256];
        const char *second;

        if (!read_proc(pids->items[i], "statm", text, sizeof(text)) ||
            (second = strchr(text, ' ')) == NULL) {
            return 0;
        }
        sum +=
            strtoull(second + 1, NULL, 10) * (uint64_t)sysconf(_SC_PAGE_SIZE);
    }
    return sum;
}
