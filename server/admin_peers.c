/* Every line begins with "zk_", Corral's own with "zk_corral_": collectors of
 * ZooKeeper's metrics stop at a line that does not. */
#include <inttypes.h>

#include "base/check.h"
#include "server/admin_internal.h"
#include "server/config.h"
#include "server/net_peer.h"

static void print_summary(struct buf *out, const char *prefix, const char *name,
                          const struct inspect_summary *summary);
static void print_leader(const struct inspect_server *server, struct buf *out);
static void print_peer(const struct admin_job *job,
                       const struct inspect_server *server, size_t index,
                       struct buf *out);

/* It serves, or nobody is told: so it is the last of the states ZooKeeper tells
 * apart, in each role. */
static const char *peer_state(enum zab_role role)
{
    switch (role) {
        case ZAB_LEADING:
            return "leading - broadcast";
        case ZAB_FOLLOWING:
            return "following - broadcast";
        case ZAB_OBSERVING:
            return "observing - broadcast";
        case ZAB_LOOKING:
            return NULL;
    }
    UNREACHABLE();
}

void admin_peers(const struct admin_job *job,
                 const struct inspect_server *server, struct buf *out)
{
    const char *state = peer_state(server->role);
    const struct zab_counts *zab = &server->zab;

    if (state != NULL) {
        buf_printf(out, "zk_peer_state\t%s\n", state);
    }
    admin_metric(out, "quorum_size", server->voters);
    admin_metric(out, "looking_count", zab->looks);
    print_summary(out, "", "election_time", &server->election);
    print_summary(out, "", "unavailable_time", &server->unavailable);
    admin_metric(out, "proposal_count", zab->proposals);
    admin_metric(out, "commit_count", zab->commits);
    admin_metric(out, "learner_proposal_received_count",
                 zab->received_proposals);
    admin_metric(out, "learner_commit_received_count", zab->received_commits);
    admin_metric(out, "diff_count", zab->diffs);
    admin_metric(out, "snap_count", zab->snaps);
    admin_metric(out, "corral_trunc_count", zab->truncs);
    print_summary(out, "corral_", "sync_time", &server->sync);
    admin_metric(out, "corral_leader_id", server->leader_id);
    admin_metric(out, "corral_epoch", server->epoch);
    if (server->role == ZAB_LEADING) {
        print_leader(server, out);
    }
    for (size_t i = 0; i < server->members; i++) {
        print_peer(job, server, i, out);
    }
}

static void print_summary(struct buf *out, const char *prefix, const char *name,
                          const struct inspect_summary *summary)
{
    const struct {
        const char *of;
        uint64_t value;
    } numbers[] = {{"min", summary->min},
                   {"max", summary->max},
                   {"cnt", summary->count},
                   {"sum", summary->sum}};
    double count = summary->count > 0 ? (double)summary->count : 1;

    buf_printf(out, "zk_%savg_%s\t", prefix, name);
    admin_decimal(out, (double)summary->sum / count);
    buf_append_text(out, "\n");
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        buf_printf(out, "zk_%s%s_%s\t%" PRIu64 "\n", prefix, numbers[i].of,
                   name, numbers[i].value);
    }
}

/* Sizes as ZooKeeper's: -1 while there was no proposal. */
static void print_size(struct buf *out, const char *which, size_t size,
                       uint64_t proposals)
{
    int64_t shown = proposals > 0 ? (int64_t)size : -1;

    buf_printf(out, "zk_%s_proposal_size\t%" PRId64 "\n", which, shown);
}

static void print_leader(const struct inspect_server *server, struct buf *out)
{
    const struct zab_counts *zab = &server->zab;

    admin_metric(out, "learners", server->learners);
    admin_metric(out, "synced_followers", server->synced_voters);
    admin_metric(out, "synced_non_voting_followers", 0);
    admin_metric(out, "synced_observers", server->synced_observers);
    admin_metric(out, "pending_syncs", server->pending_syncs);
    admin_metric(out, "leader_uptime", (uint64_t)server->leader_uptime_ms);
    print_size(out, "last", zab->proposal_size_last, zab->proposals);
    print_size(out, "min", zab->proposal_size_min, zab->proposals);
    print_size(out, "max", zab->proposal_size_max, zab->proposals);
}

/* What it has not acknowledged of our log; of the current epoch at most. */
static uint64_t lag_of(const struct inspect_learner *learner,
                       const struct inspect_server *server)
{
    zxid_t logged = server->zxid_logged;

    if (learner->acked >= logged) {
        return 0;
    }
    return zxid_epoch(learner->acked) == zxid_epoch(logged)
               ? logged - learner->acked
               : zxid_counter(logged);
}

static void print_of(struct buf *out, uint64_t id, const char *name,
                     uint64_t value)
{
    buf_printf(out, "zk_corral_peer_%" PRIu64 "_%s\t%" PRIu64 "\n", id, name,
               value);
}

/* What the leader knows of it. */
static void print_learner(const struct inspect_learner *learner,
                          const struct inspect_server *server, struct buf *out)
{
    buf_printf(out, "zk_corral_peer_%" PRIu64 "_stage\t%s\n", learner->id,
               learner->up ? learner->stage : "away");
    print_of(out, learner->id, "synced", learner->synced ? 1 : 0);
    if (learner->up) {
        print_of(out, learner->id, "lag", lag_of(learner, server));
        print_of(out, learner->id, "heard_ms", learner->heard_ms);
    }
}

static void print_links(const struct net_peer_info *info, struct buf *out)
{
    uint64_t id = info->id;
    uint64_t unsent = 0;
    bool quorum = false;

    for (int link = 0; link < PEER_LINKS_COUNT; link++) {
        quorum = quorum || (link != PEER_LINK_ELECTION && info->up[link]);
        unsent += info->unsent[link];
    }
    print_of(out, id, "election_link", info->up[PEER_LINK_ELECTION] ? 1 : 0);
    print_of(out, id, "quorum_link", quorum ? 1 : 0);
    print_of(out, id, "version", info->version);
    print_of(out, id, "unsent_bytes", unsent);
    print_of(out, id, "bytes_received", info->bytes_in);
    print_of(out, id, "bytes_sent", info->bytes_out);
    print_of(out, id, "connects", info->connects);
    print_of(out, id, "refused", info->refused);
}

static void print_peer(const struct admin_job *job,
                       const struct inspect_server *server, size_t index,
                       struct buf *out)
{
    struct inspect_learner learner;
    struct net_peer_info info;

    if (inspect_learner(job->replica, index, &learner)) {
        print_learner(&learner, server, out);
    }
    if (net_peer_info(loop_peers(job->loop), index, &info) &&
        info.id != loop_config(job->loop)->my_id) {
        print_links(&info, out);
    }
}
