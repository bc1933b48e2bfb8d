#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "server/admin_internal.h"
#include "server/config.h"
#include "server/disk.h"
#include "server/net.h"

void admin_disk_stats(const struct admin_job *job, struct store_stats *stats)
{
    store_stats(disk_store(loop_disk(job->loop)), stats);
}

bool admin_dirs(struct admin_job *job, struct buf *out)
{
    struct store_stats stats;

    admin_disk_stats(job, &stats);
    buf_printf(out, "datadir_size: %" PRIu64 "\nlogdir_size: %" PRIu64 "\n",
               stats.data_bytes, stats.log_bytes);
    return true;
}

static void print_ensemble(const struct config *config, struct buf *out)
{
    const struct config_server_line *self = config_self(config);

    if (self == NULL) {
        return;
    }
    buf_printf(out,
               "initLimit=%d\nsyncLimit=%d\nelectionAlg=3\n"
               "electionPort=%u\nquorumPort=%u\npeerType=%d\n"
               "membership: \n",
               config->init_limit, config->sync_limit, self->election_port,
               self->quorum_port, self->observer ? 1 : 0);
    config_members_text(config, out);
}

bool admin_conf(struct admin_job *job, struct buf *out)
{
    const struct config *config = loop_config(job->loop);
    struct store_stats stats;

    admin_disk_stats(job, &stats);
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
               config->listen_backlog, config->ensemble ? config->my_id : 0);
    if (config->ensemble) {
        print_ensemble(config, out);
    }
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
