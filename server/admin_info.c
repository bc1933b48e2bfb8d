#include <dirent.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "server/admin_internal.h"
#include "server/config.h"
#include "server/disk.h"
#include "server/net.h"

static void get_stats(const struct admin_job *job, struct store_stats *stats)
{
    store_stats(disk_store(loop_disk(job->loop)), stats);
}

bool admin_dirs(struct admin_job *job, struct buf *out)
{
    struct store_stats stats;

    get_stats(job, &stats);
    buf_printf(out, "datadir_size: %" PRIu64 "\nlogdir_size: %" PRIu64 "\n",
               stats.data_bytes, stats.log_bytes);
    return true;
}

bool admin_conf(struct admin_job *job, struct buf *out)
{
    const struct config *config = loop_config(job->loop);
    struct store_stats stats;

    get_stats(job, &stats);
    buf_printf(out,
               "clientPort=%u\nsecureClientPort=-1\n"
               "dataDir=%s\ndataDirSize=%" PRIu64 "\n"
               "dataLogDir=%s\ndataLogSize=%" PRIu64 "\n",
               net_client_port(loop_clients(job->loop)), config->data_dir,
               stats.data_bytes, config->log_dir, stats.log_bytes);
    buf_printf(out,
               "tickTime=%d\nmaxClientCnxns=%u\nminSessionTimeout=%d\n"
               "maxSessionTimeout=%d\nclientPortListenBacklog=%d\n"
               "serverId=%" PRIu64 "\n",
               config->tick_ms, config->conns_per_address_max,
               config->session_timeout_ms_min, config->session_timeout_ms_max,
               config->listen_backlog,
               config->servers_count == 0 ? 0 : config->my_id);
    return true;
}

static void print_property(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, "%s=%s\n", name, value != NULL ? value : "<NA>");
}

static void print_user(struct buf *out)
{
    struct passwd place, *user = NULL;
    char text[1024];
    char *directory = getcwd(NULL, 0); /* gives */

    /* A longer entry than text is one that is not found. */
    (void)getpwuid_r(geteuid(), &place, text, sizeof(text), &user);
    print_property(out, "user.name", user != NULL ? user->pw_name : NULL);
    print_property(out, "user.home", user != NULL ? user->pw_dir : NULL);
    print_property(out, "user.dir", directory);
    free(directory);
}

/* Resident pages of this process; 0: unknown. */
static uint64_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    uint64_t all, resident = 0;

    if (file != NULL) {
        if (fscanf(file, "%" SCNu64 " %" SCNu64, &all, &resident) != 2) {
            resident = 0;
        }
        (void)fclose(file); /* read only */
    }
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void print_memory(struct buf *out)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t mega = UINT64_C(1) << 20;

    buf_printf(out,
               "jvm.memory.free=%" PRIu64 "MB\njvm.memory.max=%" PRIu64 "MB\n"
               "jvm.memory.total=%" PRIu64 "MB\n",
               (uint64_t)sysconf(_SC_AVPHYS_PAGES) * page / mega,
               (uint64_t)sysconf(_SC_PHYS_PAGES) * page / mega,
               resident_bytes() / mega);
}

/* ZooKeeper's lines in its order, for whoever looks for one; what there is only
 * in Java is <NA>. */
bool admin_envi(struct admin_job *job, struct buf *out)
{
    struct utsname system;
    char host[256] = "";

    (void)job;
    buf_append_text(out, "Environment:\nzookeeper.version=");
    admin_version(out);
    buf_append_text(out, "\n");
    (void)gethostname(host, sizeof(host) - 1); /* empty then */
    print_property(out, "host.name", host);
    print_property(out, "java.version", NULL);
    print_property(out, "java.vendor", NULL);
    print_property(out, "java.home", NULL);
    print_property(out, "java.class.path", NULL);
    print_property(out, "java.library.path", NULL);
    print_property(out, "java.io.tmpdir", "/tmp");
    print_property(out, "java.compiler", NULL);
    if (uname(&system) == 0) {
        bool amd = strcmp(system.machine, "x86_64") == 0; /* as Java says it */

        print_property(out, "os.name", system.sysname);
        print_property(out, "os.arch", amd ? "amd64" : system.machine);
        print_property(out, "os.version", system.release);
    }
    print_user(out);
    print_memory(out);
    return true;
}

static void print_metric(struct buf *out, const char *name, uint64_t value)
{
    buf_printf(out, "zk_%s\t%" PRIu64 "\n", name, value);
}

static void print_average(struct buf *out, const char *name, double value)
{
    buf_printf(out, "zk_%s\t", name);
    admin_decimal(out, value);
    buf_append_text(out, "\n");
}

static uint64_t open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    uint64_t count = 0;

    if (dir == NULL) {
        return 0;
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is ours alone */
    while (readdir(dir) != NULL) {
        count++;
    }
    (void)closedir(dir);              /* read only */
    return count > 3 ? count - 3 : 0; /* ".", ".." and its own */
}

static void print_files(const struct admin_job *job, struct buf *out)
{
    struct rlimit limit = {0, 0};
    size_t conns = net_client_count(loop_clients(job->loop));

    (void)getrlimit(RLIMIT_NOFILE, &limit); /* 0 then */
    print_metric(out, "max_file_descriptor_count", (uint64_t)limit.rlim_cur);
    /* Counting ten thousand takes long; the others are few. */
    print_metric(out, "open_file_descriptor_count",
                 conns > 1000 ? conns : open_files());
}

static void print_state(const struct admin_job *job,
                        const struct inspect_server *server, struct buf *out)
{
    print_metric(out, "ephemerals_count", server->ephemerals);
    print_metric(out, "num_alive_connections",
                 net_client_count(loop_clients(job->loop)));
    print_average(out, "avg_latency", server->latency_ms_avg);
    print_metric(out, "outstanding_requests", server->outstanding);
    print_metric(out, "znode_count", server->znodes);
    print_metric(out, "global_sessions", server->sessions);
    print_metric(out, "local_sessions", 0);
    print_metric(out, "packets_sent", server->sent);
    print_metric(out, "packets_received", server->received);
    print_metric(out, "watch_count", server->watches);
    print_metric(out, "auth_failed_count", server->auth_failed);
    print_metric(out, "min_latency", server->latency_ms_min);
    print_metric(out, "max_latency", server->latency_ms_max);
    print_metric(out, "approximate_data_size", server->data_size);
    print_metric(out, "uptime", (uint64_t)server->uptime_ms);
    print_metric(out, "connection_rejected", server->connections_refused);
    print_metric(out, "stale_sessions_expired", server->sessions_expired);
    print_files(job, out);
}

static void print_disk(const struct admin_job *job,
                       const struct inspect_server *server, struct buf *out)
{
    struct store_stats stats;
    struct store_space space;
    double syncs;

    get_stats(job, &stats);
    disk_space(loop_disk(job->loop), &space);
    syncs = stats.syncs > 0 ? (double)stats.syncs : 1;
    print_average(out, "avg_fsynctime",
                  (double)stats.sync_us_total / 1000 / syncs);
    print_metric(out, "max_fsynctime", stats.sync_us_max / 1000);
    print_metric(out, "cnt_fsynctime", stats.syncs);
    print_metric(out, "sum_fsynctime", stats.sync_us_total / 1000);
    /* Not ZooKeeper's. */
    print_metric(out, "data_dir_bytes", stats.data_bytes);
    print_metric(out, "log_dir_bytes", stats.log_bytes);
    print_metric(out, "bytes_written", stats.bytes_written);
    print_metric(out, "disk_free_bytes", space.free_bytes);
    print_metric(out, "disk_low", server->disk_low ? 1 : 0);
    print_metric(out, "disk_ops_queued", disk_queued(loop_disk(job->loop)));
    print_metric(out, "checkpoints", server->checkpoints);
    print_metric(out, "slow_steps", loop_slow_steps(job->loop));
}

/* ZooKeeper counts the forms of one operation together. */
static const struct {
    const char *name;
    const char *ops[4];
} op_counts[] = {
    {"add_watch", {"add_watch"}},
    {"check", {"check"}},
    {"check_watches", {"check_watches"}},
    {"close_session", {"close_session"}},
    {"create", {"create", "create2", "create_container", "create_ttl"}},
    {"create_session", {"create_session"}},
    {"delete", {"delete", "delete_container"}},
    {"exists", {"exists"}},
    {"get_acl", {"get_acl"}},
    {"get_all_children_number", {"get_all_children_number"}},
    {"get_children", {"get_children", "get_children2"}},
    {"get_data", {"get_data"}},
    {"get_ephemerals", {"get_ephemerals"}},
    {"multi", {"multi"}},
    {"multi_read", {"multi_read"}},
    {"ping", {"ping"}},
    {"reconfig", {"reconfig"}},
    {"remove_watches", {"remove_watches"}},
    {"set_acl", {"set_acl"}},
    {"set_data", {"set_data"}},
    {"set_watches", {"set_watches", "set_watches2"}},
    {"sync", {"sync"}},
    {"who_am_i", {"who_am_i"}},
};

static uint64_t count_of(const struct inspect_server *server, const char *name)
{
    for (size_t i = 0; name != NULL && i < server->ops_count; i++) {
        if (strcmp(server->ops[i].name, name) == 0) {
            return server->ops[i].count;
        }
    }
    return 0;
}

static void print_ops(const struct inspect_server *server, struct buf *out)
{
    uint64_t total = 0;

    for (size_t i = 0; i < sizeof(op_counts) / sizeof(op_counts[0]); i++) {
        uint64_t count = 0;

        for (size_t k = 0; k < 4; k++) {
            count += count_of(server, op_counts[i].ops[k]);
        }
        total += count;
        buf_printf(out, "zk_op_count_%s\t%" PRIu64 "\n", op_counts[i].name,
                   count);
    }
    print_metric(out, "op_count_total", total);
}

bool admin_mntr(struct admin_job *job, struct buf *out)
{
    struct inspect_server server;

    inspect_server(job->replica, &server);
    buf_append_text(out, "zk_version\t");
    admin_version(out);
    buf_printf(out, "\nzk_server_state\t%s\n", admin_mode(&server));
    print_state(job, &server, out);
    print_disk(job, &server, out);
    print_ops(&server, out);
    return true;
}
