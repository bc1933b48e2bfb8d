/* What a learner says of its clients and of its disk, and what the leader says
 * of its tree. */
#include "base/bytes.h"
#include "replica/replica_internal.h"

#define STATUS_TICKS 5U
#define UNHEARD_TICKS 25U

static void touch(struct replica *r, const struct origin *origin,
                  bool by_attachment);
static void send_status(struct replica *r);
static struct blob *payload_of(const struct replica *r, struct slice touched);
static void touch_unheard(struct replica *r);
static void touch_if_unheard(struct replica *r, struct conn *conn);
static void note_disk(struct replica *r, uint64_t server_id, bool low);
static void compare(struct replica *r);
static const struct inspect_digest *digest_at(const struct replica *r,
                                              zxid_t zxid);

/* Once in each message. While there is no leader there is nobody to tell: what
 * goes on then is said by RECLAIM. */
void status_touch(struct replica *r, struct conn *conn)
{
    uint8_t *entry;

    if (r->leader_id == 0 || conn->status_last == r->status_number ||
        MUTATION(17)) {
        return;
    }
    conn->status_last = r->status_number;
    entry = buf_extend(&r->touched, PEER_STATUS_OWNED_SIZE);
    bytes_store64(entry, conn->session_id);
    bytes_store64(entry + 8, conn->attachment);
}

void status_begin(struct replica *r)
{
    buf_clear(&r->touched);
    r->status_number++;
    r->status_ticks = 0;
    r->status_due = true;
    r->digest.zxid = 0;
}

void status_tick(struct replica *r)
{
    if (r->leading || r->leader_id == 0 || r->ends_queued > 0 || !r->serving ||
        !zab_peer_synced(r->zab, r->leader_id)) {
        return;
    }
    if (++r->unheard_ticks >= UNHEARD_TICKS) {
        r->unheard_ticks = 0;
        touch_unheard(r);
    }
    if (++r->status_ticks < STATUS_TICKS) {
        return;
    }
    r->status_ticks = 0;
    if (r->touched.len > 0 || r->status_due || r->disk_low) {
        send_status(r);
    }
}

void status_on_message(struct replica *r, uint64_t server_id,
                       const struct peer_msg *msg)
{
    size_t size = peer_status_size(msg);
    struct origin origin = {.id = server_id};

    note_disk(r, server_id, msg->status.disk_low);
    for (uint32_t i = 0; i < msg->payloads_count; i++) {
        struct slice entries = blob_bytes(msg->payloads[i]);

        for (; entries.len >= size; entries = slice_after(entries, size)) {
            origin.session_id = bytes_load64(entries.ptr);
            if (msg->status.owned) {
                origin.attachment = bytes_load64(entries.ptr + 8);
            }
            touch(r, &origin, msg->status.owned);
        }
    }
}

/* What is written must find room on a quorum of disks, and on ours, as nothing
 * is delivered that the leader has not stored. A server that is away counts as
 * what it last said. */
bool status_disk_low(const struct replica *r)
{
    size_t count = r->config.zab.members_count;
    uint64_t members = UINT64_MAX >> (64 - count);

    return r->disk_low || !zab_is_quorum(r->zab, members & ~r->disks_low);
}

void digest_tell(struct replica *r)
{
    const struct inspect_digest *ours = &r->digests[r->digests_count - 1];
    uint64_t learners;

    if (!r->leading) {
        compare(r);
        return;
    }
    learners = zab_synced_learners(r->zab);
    for (size_t i = 0; i < r->config.zab.members_count; i++) {
        struct peer_msg *msg;

        if ((learners >> i & 1) != 0) {
            msg = peer_send(r, zab_member_id(r->zab, i), PEER_DIGEST);
            msg->zxid = ours->zxid;
            msg->digest.tree = ours->digest;
            msg->digest.sessions = ours->sessions;
        }
    }
}

/* Only the latest is kept: what differs once differs from then on. */
void digest_on_message(struct replica *r, const struct peer_msg *msg)
{
    r->digest = *msg;
    r->digest.payloads_count = 0;
    compare(r);
}

/* A session that speaks through another connection by now is not kept alive by
 * what its old one has heard; a learner of version 1 says only by whom. */
static void touch(struct replica *r, const struct origin *origin,
                  bool by_attachment)
{
    struct session *session = session_find(r->sessions, origin->session_id);

    if (session != NULL && session_owner(session) == origin->id &&
        (!by_attachment || session_attachment(session) == origin->attachment)) {
        session_touch(r->sessions, session, r->now_ms);
    }
}

static void send_status(struct replica *r)
{
    size_t size_max = (size_t)PEER_STATUS_MAX * PEER_STATUS_OWNED_SIZE;
    struct slice touched = buf_bytes(&r->touched);

    do {
        struct peer_msg *msg = peer_send(r, r->leader_id, PEER_STATUS);
        size_t size = touched.len < size_max ? touched.len : size_max;

        msg->status.disk_low = r->disk_low;
        msg->status.owned = size > 0 && r->leader_version >= 2;
        if (size > 0) {
            msg->payloads = peer_payloads(r, 1);
            msg->payloads[0] = payload_of(r, slice_make(touched.ptr, size));
            msg->payloads_count = 1;
        }
        touched = slice_after(touched, size);
    } while (touched.len > 0);
    buf_clear(&r->touched);
    r->status_number++;
    r->status_due = r->disk_low; /* that it has room again, too */
}

/* To a leader of version 1 the ids alone. */
static struct blob *payload_of(const struct replica *r, struct slice touched)
{
    size_t count = touched.len / PEER_STATUS_OWNED_SIZE;
    struct blob *payload;
    uint8_t *ids;

    if (r->leader_version >= 2) {
        return blob_copy(touched);
    }
    payload = blob_create(count * PEER_STATUS_SIZE, &ids);
    for (size_t i = 0; i < count; i++) {
        memcpy(ids + i * PEER_STATUS_SIZE,
               touched.ptr + i * PEER_STATUS_OWNED_SIZE, PEER_STATUS_SIZE);
    }
    return payload;
}

/* Clients whose pings stand in their sockets because we do not read them: our
 * waiting for the leader is not held against them. They wait behind a frame,
 * behind their own request, or behind everybody's. */
static void touch_unheard(struct replica *r)
{
    LIST_EACH (&r->inboxes, at, after) {
        touch_if_unheard(r, LIST_ENTRY(at, struct conn, in_inboxes));
    }
    LIST_EACH (&r->writers, at, after) {
        touch_if_unheard(r, LIST_ENTRY(at, struct conn, in_inboxes));
    }
    LIST_EACH (&r->paused, at, after) {
        touch_if_unheard(r, LIST_ENTRY(at, struct conn, in_paused));
    }
    for (size_t i = 0; i < r->waits.count; i++) {
        const struct wait *wait = fifo_at(&r->waits, i);
        struct conn *conn = NULL;

        if (wait->kind != WAIT_NOBODY) {
            conn = conn_find(r, wait->conn_id);
        }
        if (conn != NULL) {
            touch_if_unheard(r, conn);
        }
    }
}

static void touch_if_unheard(struct replica *r, struct conn *conn)
{
    if (conn->state == CONN_OPEN && conn_unheard(r, conn)) {
        status_touch(r, conn);
    }
}

static void note_disk(struct replica *r, uint64_t server_id, bool low)
{
    uint64_t bit = UINT64_C(1) << zab_member_index(r->zab, server_id);

    if (((r->disks_low & bit) != 0) == low) {
        return;
    }
    r->disks_low ^= bit;
    replica_log(r, low ? REPLICA_WARN : REPLICA_INFO,
                low ? "disk_low" : "disk_has_room", "server=%llu",
                (unsigned long long)server_id);
}

/* With what the leader said of the same zxid, when we have got there. */
static void compare(struct replica *r)
{
    const struct inspect_digest *ours;
    struct peer_msg theirs = r->digest;

    if (theirs.zxid == 0 || theirs.zxid > r->zxid_delivered) {
        return;
    }
    r->digest.zxid = 0;
    ours = digest_at(r, theirs.zxid);
    if (ours == NULL || (ours->digest == theirs.digest.tree &&
                         ours->sessions == theirs.digest.sessions)) {
        return;
    }
    replica_log(r, REPLICA_ERROR, "diverged",
                "zxid=0x%llx tree=%016llx tree_leader=%016llx "
                "sessions=%016llx sessions_leader=%016llx",
                (unsigned long long)theirs.zxid,
                (unsigned long long)ours->digest,
                (unsigned long long)theirs.digest.tree,
                (unsigned long long)ours->sessions,
                (unsigned long long)theirs.digest.sessions);
    role_set_serving(r, false);
    replica_zab(r, &(struct zab_input){.type = ZAB_IN_DIVERGED});
}

static const struct inspect_digest *digest_at(const struct replica *r,
                                              zxid_t zxid)
{
    for (size_t i = r->digests_count; i > 0; i--) {
        if (r->digests[i - 1].zxid == zxid) {
            return &r->digests[i - 1];
        }
    }
    return NULL;
}
