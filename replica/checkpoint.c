/* Checkpoints: small and frequent. What changed is taken between two
 * deliveries, in slices; one is in flight at a time; the log below it goes when
 * it is durable. */
#include "base/check.h"
#include "base/err.h"
#include "replica/replica_internal.h"

/* Records are what a checkpoint costs, transactions what a start without it
 * costs. Where a few znodes change all the time, records stay few: then the
 * transactions count. */
#define TXNS_PER_RECORD_MAX 16

/* Changed while a checkpoint is being written: more is not delivered. */
#define DIRTY_BYTES_MAX ((size_t)32 * 1024 * 1024)
#define COPY_PER_SLICE ((size_t)1024 * 1024) /* bytes */

static size_t dirty_count(const struct replica *r);

bool checkpoint_due(const struct replica *r)
{
    if (r->dirty_since_ms == 0 || r->checkpoint_seq != 0 || r->loading ||
        r->tree_outdated || r->job.type != JOB_NONE) {
        return false;
    }
    return dirty_count(r) >= r->config.checkpoint_records ||
           r->checkpoint_txns >=
               TXNS_PER_RECORD_MAX * (uint64_t)r->config.checkpoint_records ||
           r->now_ms - r->dirty_since_ms >= r->config.checkpoint_ms ||
           tree_dirty_bytes(r->tree) >= r->config.checkpoint_bytes;
}

/* Nothing else slows writers down to what LevelDB takes: without this each
 * checkpoint would be longer than the one before. */
bool checkpoint_behind(const struct replica *r)
{
    return r->checkpoint_seq != 0 &&
           tree_dirty_bytes(r->tree) >= DIRTY_BYTES_MAX;
}

void checkpoint_start(struct replica *r)
{
    struct job *job = &r->job;

    CHECK(job->type == JOB_NONE);
    job->type = JOB_CHECKPOINT;
    job->failed = false;
    buf_clear(&job->bytes);
    r->checkpoint_taking = r->zxid_delivered;
    r->checkpoint_txns = 0;
    r->dirty_since_ms = 0;
}

/* All that changed is in job->bytes: the marker behind it, and room for the
 * whole where the disk thread will read it. */
static void complete(struct replica *r, struct job *job)
{
    struct marker_record marker = {
        .zxid = r->zxid_delivered,
        .tree_digest = tree_digest(r->tree),
        .session_digest = session_digest(r->sessions),
        .znode_count = tree_count(r->tree) - 1, /* the root counts twice */
        .session_count = session_count(r->sessions),
    };

    CHECK(r->checkpoint_taking == r->zxid_delivered);
    record_put_marker(&job->bytes, &marker);
    job->frame = blob_create(job->bytes.len, &job->copy_to);
    job->index = 0;
}

bool checkpoint_slice(struct replica *r, struct job *job)
{
    struct store_op op = {.type = STORE_CHECKPOINT};
    size_t part;

    if (job->frame == NULL) {
        if (!session_dirty_take(r->sessions, nodes_per_slice(r), &job->bytes) ||
            !tree_dirty_take(r->tree, nodes_per_slice(r), &job->bytes)) {
            return false;
        }
        complete(r, job);
    }
    part = job->bytes.len - job->index;
    part = part < COPY_PER_SLICE ? part : COPY_PER_SLICE;
    memcpy(job->copy_to + job->index, job->bytes.data + job->index, part);
    job->index += part;
    if (job->index < job->bytes.len) {
        return false;
    }
    /* Behind the end of a received snapshot it would be written into that. */
    if (r->tree_outdated) {
        return true; /* the job's end drops it */
    }
    op.zxid = r->zxid_delivered;
    op.payload = job->frame;
    job->frame = NULL; /* it goes with the op */
    replica_store(r, &op);
    r->checkpoint_seq = r->store_seq;
    return true;
}

/* Errors do not come here: they end the process. */
void checkpoint_result(struct replica *r, const struct store_result *result)
{
    struct store_op op = {.type = STORE_PURGE};

    if (result->type == STORE_PURGE) {
        replica_zab(r, &(struct zab_input){.type = ZAB_IN_PURGED,
                                           .purged = result->zxid});
        return;
    }
    if (result->type != STORE_CHECKPOINT || result->seq != r->checkpoint_seq) {
        return;
    }
    r->checkpoint_seq = 0;
    r->checkpoint_zxid = r->checkpoint_taking;
    r->checkpoints++;
    if (r->tree_outdated) {
        return; /* the log that is there now stands on another checkpoint */
    }
    /* What a learner is being sent stays for it; the next one purges more. */
    op.zxid = zab_purge_max(r->zab);
    if (op.zxid > r->checkpoint_zxid) {
        op.zxid = r->checkpoint_zxid;
    }
    if (op.zxid > 0) {
        replica_store(r, &op);
    }
}

static size_t dirty_count(const struct replica *r)
{
    return tree_dirty_count(r->tree) + session_dirty_count(r->sessions);
}
