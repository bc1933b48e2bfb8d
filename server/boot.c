#include "server/boot.h"

#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/config.h"

#define ZAB_TICK_MS 20 /* DESIGN 2.10 */
/* ZooKeeper's own example values; a standalone server needs neither. */
#define INIT_LIMIT 10
#define SYNC_LIMIT 5

static uint32_t zab_ticks(int64_t ms)
{
    int64_t ticks = (ms + ZAB_TICK_MS - 1) / ZAB_TICK_MS;

    if (ticks < 1) {
        return 1;
    }
    return ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks;
}

static void fill_random(void *bytes, size_t size)
{
    CHECK(getrandom(bytes, size, 0) == (ssize_t)size);
}

/* A learner that the leader does not hear may hear its leader and go on
 * answering: it is dropped while a session that speaks through it still has the
 * time to look for another server. */
static int64_t unheard_max_ms(const struct config *config)
{
    int64_t sync = config->sync_limit > 0 ? config->sync_limit : SYNC_LIMIT;
    int64_t max = sync * config->tick_ms;
    int64_t least = 2 * (int64_t)config->leader_timeout_ms;

    if (max > config->session_timeout_ms_min / 2) {
        max = config->session_timeout_ms_min / 2;
    }
    return max > least ? max : least;
}

/* Standalone, a server is alone whatever its line says. Gives. */
static struct zab_member *make_members(const struct config *config,
                                       size_t *count)
{
    struct zab_member *members;

    *count = config->ensemble ? config->servers_count : 1;
    members = MEM_ARRAY(struct zab_member, *count);
    if (!config->ensemble) {
        members[0] = (struct zab_member){.id = config->my_id, .voter = true};
        return members;
    }
    for (size_t i = 0; i < *count; i++) {
        members[i].id = config->servers[i].id;
        members[i].voter = !config->servers[i].observer;
    }
    return members;
}

static void zab_from(const struct config *config, struct zab_config *zab)
{
    int64_t init = config->init_limit > 0 ? config->init_limit : INIT_LIMIT;

    zab->self_id = config->my_id;
    zab->ticks_init_max = zab_ticks(init * config->tick_ms);
    zab->ticks_sync_max = zab_ticks(unheard_max_ms(config));
    zab->ticks_heartbeat = zab_ticks(config->leader_heartbeat_ms);
    zab->ticks_leader_timeout = zab_ticks(config->leader_timeout_ms);
    zab->bootstrap = config->bootstrap;
    zab->proposals_inflight_max = config->proposals_inflight_max;
    zab->counter_max = config->counter_max;
    fill_random(zab->entropy, sizeof(zab->entropy));
    fill_random(&zab->seed, sizeof(zab->seed));
}

static struct slice text_or_absent(const char *text)
{
    return text != NULL ? slice_from_text(text) : (struct slice){NULL, 0};
}

static void replica_from(const struct config *config,
                         struct replica_config *replica)
{
    replica->tick_ms = config->tick_ms;
    replica->session_timeout_ms_min = config->session_timeout_ms_min;
    replica->session_timeout_ms_max = config->session_timeout_ms_max;
    replica->frame_size_max = config->frame_size_max;
    replica->reply_size_max = config->reply_size_max;
    replica->outstanding_max = config->outstanding_max;
    replica->reads_held_max = config->reads_held_max;
    replica->ephemerals_max = config->ephemerals_max;
    replica->output_mark = config->output_mark;
    fill_random(replica->entropy, sizeof(replica->entropy));
    replica->ttl_nodes = config->ttl_nodes;
    replica->hard_quotas = config->hard_quotas;
    replica->skip_acl = config->skip_acl;
    replica->read_only = config->read_only_mode;
    replica->linearizable_reads = config->linearizable_reads;
    replica->digest_enabled = config->digest_enabled;
    replica->super_digest = text_or_absent(config->super_digest);
    replica->ensemble_name = text_or_absent(config->ensemble_name);
    replica->container_check_ms = config->container_check_ms;
    replica->container_never_used_ms = config->container_never_used_ms;
    replica->container_max_per_minute = config->container_max_per_minute;
    replica->checkpoint_records = config->checkpoint_records;
    replica->checkpoint_bytes = config->checkpoint_bytes;
    replica->checkpoint_ms = config->checkpoint_ms;
}

static int start_failed(const char *reason)
{
    struct log_line line;

    log_begin(&line, LOG_ERROR, "start_failed");
    log_text(&line, "reason", reason);
    log_end(&line);
    return ERR_INVALID;
}

int boot_open(const struct config *config, struct store **store,
              struct replica **replica)
{
    const struct store_options options = {
        .data_dir = config->data_dir,
        .log_dir = config->log_dir,
        .segment_size = config->segment_size,
        .reserve_size = config->disk_reserve,
        .sync = config->force_sync,
        .set_aside = config->ensemble,
        .server_id = config->ensemble ? config->my_id : 0};
    struct replica_config how = {0};
    struct zab_member *members;
    struct buf members_text = {0};
    char error[512] = "";
    int err;

    *store = NULL;
    *replica = NULL;
    if (!config->data_dir_autocreate && access(config->data_dir, F_OK) != 0) {
        return start_failed("the data directory does not exist, and "
                            "datadir.autocreate is off");
    }
    err = store_open(&options, store, error, sizeof(error));
    if (err != 0) {
        (void)start_failed(error[0] != '\0' ? error : err_text(err));
        return err;
    }
    members = make_members(config, &how.zab.members_count);
    how.zab.members = members;
    zab_from(config, &how.zab);
    replica_from(config, &how);
    config_members_text(config, &members_text);
    how.members_text = buf_bytes(&members_text);
    *replica = replica_create(&how, store_durable(*store));
    buf_finish(&members_text);
    mem_free(members);
    return 0;
}
