#include <dirent.h>
#include <inttypes.h>
#include <sys/resource.h>

#include "server/admin_internal.h"
#include "server/disk.h"
#include "server/net.h"

static void print_state(const struct admin_job *job,
                        const struct inspect_server *server, struct buf *out);
static void print_disk(const struct admin_job *job,
                       const struct inspect_server *server, struct buf *out);
static void print_ops(const struct inspect_server *server, struct buf *out);

bool admin_mntr(struct admin_job *job, struct buf *out)
{
    struct inspect_server server;

    admin_look(job, &server);
    buf_append_text(out, "zk_version\t");
    admin_version(out);
    buf_printf(out, "\nzk_server_state\t%s\n", admin_mode(&server));
    if (!server.standalone) {
        admin_peers(job, &server, out);
    }
    print_state(job, &server, out);
    admin_quotas(job, out);
    print_disk(job, &server, out);
    print_ops(&server, out);
    return true;
}

void admin_metric(struct buf *out, const char *name, uint64_t value)
{
    buf_printf(out, "zk_%s\t%" PRIu64 "\n", name, value);
}

void admin_average(struct buf *out, const char *name, double value)
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
    admin_metric(out, "max_file_descriptor_count", (uint64_t)limit.rlim_cur);
    /* Counting ten thousand takes long; the others are few. */
    admin_metric(out, "open_file_descriptor_count",
                 conns > 1000 ? conns : open_files());
}

static void print_state(const struct admin_job *job,
                        const struct inspect_server *server, struct buf *out)
{
    admin_metric(out, "ephemerals_count", server->ephemerals);
    admin_metric(out, "num_alive_connections",
                 net_client_count(loop_clients(job->loop)));
    admin_average(out, "avg_latency", server->latency_ms_avg);
    admin_metric(out, "outstanding_requests", server->outstanding);
    admin_metric(out, "znode_count", server->znodes);
    admin_metric(out, "global_sessions", server->sessions);
    admin_metric(out, "local_sessions", 0);
    admin_metric(out, "packets_sent", server->sent);
    admin_metric(out, "packets_received", server->received);
    admin_metric(out, "watch_count", server->watches);
    admin_metric(out, "auth_failed_count", server->auth_failed);
    admin_metric(out, "min_latency", server->latency_ms_min);
    admin_metric(out, "max_latency", server->latency_ms_max);
    admin_metric(out, "approximate_data_size", server->data_size);
    admin_metric(out, "uptime", (uint64_t)server->uptime_ms);
    admin_metric(out, "connection_rejected", server->connections_refused);
    admin_metric(out, "stale_sessions_expired", server->sessions_expired);
    print_files(job, out);
}

static void print_disk(const struct admin_job *job,
                       const struct inspect_server *server, struct buf *out)
{
    struct store_stats stats;
    struct store_space space;
    double syncs;

    admin_disk_stats(job, &stats);
    disk_space(loop_disk(job->loop), &space);
    syncs = stats.syncs > 0 ? (double)stats.syncs : 1;
    admin_average(out, "avg_fsynctime",
                  (double)stats.sync_us_total / 1000 / syncs);
    admin_metric(out, "max_fsynctime", stats.sync_us_max / 1000);
    admin_metric(out, "cnt_fsynctime", stats.syncs);
    admin_metric(out, "sum_fsynctime", stats.sync_us_total / 1000);
    /* Not ZooKeeper's. */
    admin_metric(out, "data_dir_bytes", stats.data_bytes);
    admin_metric(out, "log_dir_bytes", stats.log_bytes);
    admin_metric(out, "bytes_written", stats.bytes_written);
    admin_metric(out, "disk_free_bytes", space.free_bytes);
    admin_metric(out, "disk_low", server->disk_low ? 1 : 0);
    admin_metric(out, "disk_ops_queued", disk_queued(loop_disk(job->loop)));
    admin_metric(out, "checkpoints", server->checkpoints);
    admin_metric(out, "slow_steps", loop_slow_steps(job->loop));
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
    admin_metric(out, "op_count_total", total);
}
