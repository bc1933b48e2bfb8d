/* A message between servers as one line. Payloads are told by their number and
 * size only: they may hold what a log must not show; so may passwords, and
 * the ids of a connection. */
#include <inttypes.h>

#include "base/line.h"
#include "proto/peer.h"

#define ZXID "%" PRIu32 ".%" PRIu32
#define ZXID_ARGS(zxid) zxid_epoch(zxid), zxid_counter(zxid)
#define SESSION "0x%" PRIx64

static void put_zabs(struct line *line, const struct peer_msg *msg);
static void put_replicas(struct line *line, const struct peer_msg *msg);
static void put_vote(struct line *line, const struct peer_msg *msg);
static void put_payloads(struct line *line, const struct peer_msg *msg);
static const char *state_name(enum peer_state state);

const char *peer_msg_name(enum peer_msg_type type)
{
    switch (type) {
#define X(name, value, text) \
    case name:               \
        return text;
        PEER_MSG_MAP(X)
#undef X
    }
    return "unknown";
}

size_t peer_msg_format(const struct peer_msg *msg, char *text, size_t size)
{
    struct line line = {.size = size};

    line.text = text;
    line_put(&line, "%s", peer_msg_name(msg->type));
    if (msg->epoch != 0) {
        line_put(&line, " epoch=%" PRIu32, msg->epoch);
    }
    if (msg->zxid != 0) {
        line_put(&line, " zxid=" ZXID, ZXID_ARGS(msg->zxid));
    }
    if (peer_msg_is_replicas(msg->type)) {
        put_replicas(&line, msg);
    } else {
        put_zabs(&line, msg);
    }
    put_payloads(&line, msg);
    return line.len;
}

static void put_zabs(struct line *line, const struct peer_msg *msg)
{
    switch ((int)msg->type) {
        case PEER_VOTE:
            put_vote(line, msg);
            break;
        case PEER_FOLLOWER_INFO:
            line_put(line, " current=%" PRIu32 "%s",
                     msg->follower_info.epoch_current,
                     msg->follower_info.voting ? " voting" : "");
            break;
        case PEER_ACK_EPOCH:
            line_put(line, " current=%" PRIu32 " checkpoint=" ZXID,
                     msg->ack_epoch.epoch_current,
                     ZXID_ARGS(msg->ack_epoch.checkpoint));
            line_put(line, " ends=%" PRIu32 "%s%s",
                     msg->ack_epoch.epoch_ends_count,
                     msg->ack_epoch.counted ? " counted" : "",
                     msg->ack_epoch.whole ? " whole" : "");
            break;
        case PEER_SNAP_CHUNK:
        case PEER_SNAP_ACK:
            line_put(line, " number=%" PRIu32 "%s", msg->snap.number,
                     msg->snap.last ? " last" : "");
            break;
        case PEER_PING:
        case PEER_PONG:
            if (msg->ping.number != 0) {
                line_put(line, " round=%" PRIu64, msg->ping.number);
            }
            break;
        case PEER_RESIGN:
            line_put(line, " successor=%" PRIu64, msg->resign.successor);
            break;
        default:
            break;
    }
}

static void put_replicas(struct line *line, const struct peer_msg *msg)
{
    switch ((int)msg->type) {
        case PEER_REQUEST:
            line_put(line, " session=" SESSION " attachment=%" PRIu64,
                     msg->request.session_id, msg->request.attachment);
            line_put(line, " request=%" PRIu64, msg->request.origin_request);
            break;
        case PEER_OPEN_SESSION:
            line_put(line, " timeout=%" PRId32 " request=%" PRIu64,
                     msg->open_session.timeout_ms,
                     msg->open_session.origin_request);
            break;
        case PEER_SYNC_REQUEST:
            line_put(line, " session=" SESSION " attachment=%" PRIu64,
                     msg->sync_request.session_id,
                     msg->sync_request.attachment);
            line_put(line, " request=%" PRIu64,
                     msg->sync_request.origin_request);
            break;
        case PEER_REFUSED:
            line_put(line, " code=%" PRId32 " request=%" PRIu64,
                     msg->refused.code, msg->refused.origin_request);
            if (msg->refused.parts_count > 0) {
                line_put(line, " part=%" PRIu32 "/%" PRIu32,
                         msg->refused.part_failed, msg->refused.parts_count);
            }
            break;
        case PEER_SYNC_REPLY:
            line_put(line, " request=%" PRIu64, msg->sync_reply.origin_request);
            break;
        case PEER_REVALIDATE:
            line_put(line, " session=" SESSION " timeout=%" PRId32,
                     msg->revalidate.session_id, msg->revalidate.timeout_ms);
            line_put(line, " request=%" PRIu64, msg->revalidate.origin_request);
            break;
        case PEER_REVALIDATE_REPLY:
            line_put(line, " session=" SESSION " timeout=%" PRId32,
                     msg->revalidate_reply.session_id,
                     msg->revalidate_reply.timeout_ms);
            line_put(line, " request=%" PRIu64 " %s",
                     msg->revalidate_reply.origin_request,
                     msg->revalidate_reply.ok ? "ok" : "not-ok");
            break;
        case PEER_SESSION_MOVED:
            line_put(line, " session=" SESSION " attachment=%" PRIu64,
                     msg->session_moved.session_id,
                     msg->session_moved.attachment);
            break;
        case PEER_STATUS:
            line_put(line, "%s%s", msg->status.disk_low ? " disk-low" : "",
                     msg->status.owned ? " owned" : "");
            break;
        case PEER_DIGEST:
            line_put(line, " tree=%016" PRIx64 " sessions=%016" PRIx64,
                     msg->digest.tree, msg->digest.sessions);
            break;
        default:
            break;
    }
}

static void put_vote(struct line *line, const struct peer_msg *msg)
{
    line_put(line, " for=%" PRIu64 " round=%" PRIu64 " %s%s%s",
             msg->vote.candidate, msg->vote.round, state_name(msg->vote.state),
             msg->vote.blank ? " blank" : "",
             msg->vote.no_log ? " no-log" : "");
}

static void put_payloads(struct line *line, const struct peer_msg *msg)
{
    size_t bytes = 0;

    if (msg->payloads_count == 0) {
        return;
    }
    for (uint32_t i = 0; i < msg->payloads_count; i++) {
        bytes += blob_bytes(msg->payloads[i]).len;
    }
    if (msg->payloads_count > 1) {
        line_put(line, " payloads=%" PRIu32, msg->payloads_count);
    }
    line_put(line, " bytes=%zu", bytes);
}

static const char *state_name(enum peer_state state)
{
    switch (state) {
        case PEER_LOOKING:
            return "looking";
        case PEER_FOLLOWING:
            return "following";
        case PEER_LEADING:
            return "leading";
        case PEER_ESTABLISHED:
            return "established";
    }
    return "unknown";
}
