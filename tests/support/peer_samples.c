#include "tests/support/peer_samples.h"

#define TEXT(text)                                \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PAYLOADS_MAX 3
#define MAX32 UINT32_MAX
#define MAX64 UINT64_MAX
#define ZXID(epoch, counter) ((zxid_t)(epoch) << 32 | (counter))
#define PASSWORD                                               \
    {                                                          \
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 127, 255 \
    }
#define FF16                                                                  \
    {                                                                         \
        255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, \
            255, 255                                                          \
    }

struct sample {
    struct peer_msg msg; /* without its payloads */
    size_t payloads_count;
    struct slice payloads[PAYLOADS_MAX];
};

static const zxid_t ends[] = {ZXID(1, 7), ZXID(2, 0), ZXID(9, MAX32),
                              ZXID(MAX32, 1)};
/* More than are built on the stack. */
static const struct zk_auth auths[] = {
    {TEXT("ip"), TEXT("127.0.0.1"), false},
    {TEXT("digest"), TEXT("bob:xyz"), false},
    {TEXT("super"), TEXT(""), true},
    {TEXT(""), TEXT("\0\xff"), true},
    {TEXT("digest"), TEXT("a:1"), false},
    {TEXT("digest"), TEXT("b:2"), false},
    {TEXT("digest"), TEXT("c:3"), false},
    {TEXT("digest"), TEXT("d:4"), false},
    {TEXT("digest"), TEXT("e:5"), false},
    {TEXT("sasl"), TEXT("u@EXAMPLE"), false},
};

static const struct sample samples[] = {
    {.msg = {.type = PEER_VOTE,
             .vote = {.state = PEER_LOOKING, .blank = true}}},
    {.msg = {.type = PEER_VOTE,
             .epoch = 3,
             .zxid = ZXID(3, 17),
             .vote = {2, 4, PEER_FOLLOWING, false, false}}},
    {.msg = {.type = PEER_VOTE,
             .epoch = 4,
             .vote = {2, 4, PEER_LEADING, false, true}}},
    {.msg = {.type = PEER_VOTE,
             .epoch = MAX32,
             .zxid = MAX64,
             .vote = {MAX64, MAX64, PEER_ESTABLISHED, true, true}}},
    {.msg = {.type = PEER_FOLLOWER_INFO}},
    {.msg = {.type = PEER_FOLLOWER_INFO,
             .epoch = MAX32,
             .zxid = MAX64,
             .follower_info = {true, MAX32}}},
    {.msg = {.type = PEER_NEW_EPOCH}},
    {.msg = {.type = PEER_NEW_EPOCH, .epoch = MAX32, .new_epoch = {FF16}}},
    {.msg = {.type = PEER_ACK_EPOCH}},
    {.msg = {.type = PEER_ACK_EPOCH,
             .epoch = MAX32,
             .zxid = MAX64,
             .ack_epoch = {true, true, MAX32, MAX64, ends, COUNT(ends)}}},
    {.msg = {.type = PEER_ACK_EPOCH,
             .epoch = 4,
             .zxid = ZXID(1, 7),
             .ack_epoch = {true, false, 3, 0, ends, 1}}},
    {.msg = {.type = PEER_SYNC_DIFF}},
    {.msg = {.type = PEER_SYNC_DIFF, .epoch = MAX32, .zxid = MAX64}},
    {.msg = {.type = PEER_SYNC_TRUNC, .epoch = 4, .zxid = ZXID(3, 17)}},
    {.msg = {.type = PEER_SYNC_SNAP, .epoch = 4, .zxid = ZXID(3, 17)}},
    {.msg = {.type = PEER_SNAP_CHUNK, .snap = {1, true}},
     .payloads_count = 1,
     .payloads = {TEXT("")}},
    {.msg = {.type = PEER_SNAP_CHUNK, .epoch = 4, .snap = {MAX32, false}},
     .payloads_count = 1,
     .payloads = {TEXT("records")}},
    {.msg = {.type = PEER_SNAP_ACK, .epoch = 4, .snap = {1, false}}},
    {.msg = {.type = PEER_SNAP_ACK, .epoch = MAX32, .snap = {MAX32, true}}},
    {.msg = {.type = PEER_NEW_LEADER, .epoch = 4, .zxid = ZXID(3, 17)}},
    {.msg = {.type = PEER_ACK_NEW_LEADER, .epoch = 4, .zxid = ZXID(3, 17)}},
    {.msg = {.type = PEER_UP_TO_DATE, .epoch = 4, .zxid = ZXID(3, 17)}},
    {.msg = {.type = PEER_PROPOSE, .epoch = 4, .zxid = ZXID(4, 1)},
     .payloads_count = 1,
     .payloads = {TEXT("txn")}},
    {.msg = {.type = PEER_PROPOSE, .epoch = 4, .zxid = ZXID(4, MAX32 - 2)},
     .payloads_count = 3,
     .payloads = {TEXT("one"), TEXT(""), TEXT("three")}},
    {.msg = {.type = PEER_ACK, .epoch = 4, .zxid = ZXID(4, 1)}},
    {.msg = {.type = PEER_COMMIT, .epoch = 4, .zxid = ZXID(4, 1)}},
    {.msg = {.type = PEER_INFORM, .epoch = 4, .zxid = ZXID(4, 1)},
     .payloads_count = 2,
     .payloads = {TEXT("one"), TEXT("two")}},
    {.msg = {.type = PEER_PING}},
    {.msg = {.type = PEER_PING, .epoch = 4, .ping = {MAX64}}},
    {.msg = {.type = PEER_PONG, .epoch = 4, .ping = {1}}},
    {.msg = {.type = PEER_RESIGN, .epoch = 4}},
    {.msg = {.type = PEER_RESIGN, .epoch = 4, .resign = {MAX64}}},
    {.msg = {.type = PEER_REQUEST},
     .payloads_count = 1,
     .payloads = {TEXT("")}},
    {.msg = {.type = PEER_REQUEST,
             .request = {UINT64_C(0x100000002), 3, 4, auths, 1}},
     .payloads_count = 1,
     .payloads = {TEXT("frame")}},
    {.msg = {.type = PEER_REQUEST,
             .epoch = MAX32,
             .zxid = MAX64,
             .request = {MAX64, MAX64, MAX64, auths, COUNT(auths)}},
     .payloads_count = 1,
     .payloads = {TEXT("frame")}},
    {.msg = {.type = PEER_OPEN_SESSION}},
    {.msg = {.type = PEER_OPEN_SESSION,
             .open_session = {MAX64, INT32_MAX, PASSWORD}}},
    {.msg = {.type = PEER_OPEN_SESSION, .open_session = {1, INT32_MIN, FF16}}},
    {.msg = {.type = PEER_SYNC_REQUEST}},
    {.msg = {.type = PEER_SYNC_REQUEST, .sync_request = {MAX64, MAX64, MAX64}}},
    {.msg = {.type = PEER_REFUSED}},
    {.msg = {.type = PEER_REFUSED,
             .zxid = MAX64,
             .refused = {MAX64, INT32_MIN, 0, 0}}},
    {.msg = {.type = PEER_REFUSED,
             .zxid = ZXID(4, 1),
             .refused = {1, -101, ZK_MULTI_PARTS_MAX, ZK_MULTI_PARTS_MAX - 1}}},
    {.msg = {.type = PEER_SYNC_REPLY}},
    {.msg = {.type = PEER_SYNC_REPLY, .zxid = MAX64, .sync_reply = {MAX64}}},
    {.msg = {.type = PEER_REVALIDATE}},
    {.msg = {.type = PEER_REVALIDATE,
             .revalidate = {MAX64, MAX64, INT32_MAX, PASSWORD}}},
    {.msg = {.type = PEER_REVALIDATE_REPLY}},
    {.msg = {.type = PEER_REVALIDATE_REPLY,
             .zxid = MAX64,
             .revalidate_reply = {MAX64, MAX64, INT32_MAX, true}}},
    {.msg = {.type = PEER_RECLAIM},
     .payloads_count = 1,
     .payloads = {TEXT("")}},
    {.msg = {.type = PEER_RECLAIM},
     .payloads_count = 1,
     .payloads = {TEXT("sessionAattachmA\0\0\1\2"
                       "sessionBattachmB\0\0\1\3")}},
    {.msg = {.type = PEER_SESSION_MOVED}},
    {.msg = {.type = PEER_SESSION_MOVED, .session_moved = {MAX64, MAX64}}},
    {.msg = {.type = PEER_STATUS}, .payloads_count = 1, .payloads = {TEXT("")}},
    {.msg = {.type = PEER_STATUS, .status = {.disk_low = true}},
     .payloads_count = 1,
     .payloads = {TEXT("sessionAsessionB")}},
    {.msg = {.type = PEER_STATUS, .status = {false, true}},
     .payloads_count = 1,
     .payloads = {TEXT("sessionAattachmAsessionBattachmB")}},
    {.msg = {.type = PEER_DIGEST}},
    {.msg = {.type = PEER_DIGEST, .zxid = MAX64, .digest = {MAX64, MAX64 - 1}}},
};

static bool payloads_are_equal(const struct peer_msg *a,
                               const struct peer_msg *b);
static bool zabs_are_equal(const struct peer_msg *a, const struct peer_msg *b);
static bool replicas_are_equal(const struct peer_msg *a,
                               const struct peer_msg *b);
static bool sessions_are_equal(const struct peer_msg *a,
                               const struct peer_msg *b);
static bool auths_are_equal(const struct peer_msg *a, const struct peer_msg *b);

size_t peer_samples_count(void)
{
    return COUNT(samples);
}

void peer_sample(size_t index, struct arena *arena, struct peer_msg *msg)
{
    const struct sample *sample = &samples[index];

    *msg = sample->msg;
    msg->payloads_count = (uint32_t)sample->payloads_count;
    msg->payloads = ARENA_NEW(arena, struct blob *, PAYLOADS_MAX);
    for (size_t i = 0; i < sample->payloads_count; i++) {
        msg->payloads[i] = blob_copy(sample->payloads[i]);
    }
}

void peer_frame(const struct peer_msg *msg, struct buf *out)
{
    peer_msg_encode_head(msg, out);
    for (uint32_t i = 0; i < msg->payloads_count; i++) {
        buf_append(out, blob_bytes(msg->payloads[i]));
    }
}

bool peer_msg_is_equal(const struct peer_msg *a, const struct peer_msg *b)
{
    if (a->type != b->type || a->epoch != b->epoch || a->zxid != b->zxid ||
        !payloads_are_equal(a, b)) {
        return false;
    }
    return peer_msg_is_replicas(a->type) ? replicas_are_equal(a, b)
                                         : zabs_are_equal(a, b);
}

static bool payloads_are_equal(const struct peer_msg *a,
                               const struct peer_msg *b)
{
    if (a->payloads_count != b->payloads_count) {
        return false;
    }
    for (uint32_t i = 0; i < a->payloads_count; i++) {
        if (!slice_equal(blob_bytes(a->payloads[i]),
                         blob_bytes(b->payloads[i]))) {
            return false;
        }
    }
    return true;
}

static bool zabs_are_equal(const struct peer_msg *a, const struct peer_msg *b)
{
    switch ((int)a->type) {
        case PEER_VOTE:
            return a->vote.candidate == b->vote.candidate &&
                   a->vote.round == b->vote.round &&
                   a->vote.state == b->vote.state &&
                   a->vote.blank == b->vote.blank &&
                   a->vote.no_log == b->vote.no_log;
        case PEER_FOLLOWER_INFO:
            return a->follower_info.voting == b->follower_info.voting &&
                   a->follower_info.epoch_current ==
                       b->follower_info.epoch_current;
        case PEER_NEW_EPOCH:
            return memcmp(a->new_epoch.cluster_id, b->new_epoch.cluster_id,
                          PEER_CLUSTER_ID_SIZE) == 0;
        case PEER_ACK_EPOCH:
            return a->ack_epoch.counted == b->ack_epoch.counted &&
                   a->ack_epoch.whole == b->ack_epoch.whole &&
                   a->ack_epoch.epoch_current == b->ack_epoch.epoch_current &&
                   a->ack_epoch.checkpoint == b->ack_epoch.checkpoint &&
                   slice_equal(slice_make(a->ack_epoch.epoch_ends,
                                          8 * a->ack_epoch.epoch_ends_count),
                               slice_make(b->ack_epoch.epoch_ends,
                                          8 * b->ack_epoch.epoch_ends_count));
        case PEER_SNAP_CHUNK:
        case PEER_SNAP_ACK:
            return a->snap.number == b->snap.number &&
                   a->snap.last == b->snap.last;
        case PEER_PING:
        case PEER_PONG:
            return a->ping.number == b->ping.number;
        case PEER_RESIGN:
            return a->resign.successor == b->resign.successor;
        default:
            return true;
    }
}

static bool replicas_are_equal(const struct peer_msg *a,
                               const struct peer_msg *b)
{
    switch ((int)a->type) {
        case PEER_REQUEST:
            return a->request.session_id == b->request.session_id &&
                   a->request.attachment == b->request.attachment &&
                   a->request.origin_request == b->request.origin_request &&
                   auths_are_equal(a, b);
        case PEER_SYNC_REQUEST:
            return a->sync_request.session_id == b->sync_request.session_id &&
                   a->sync_request.attachment == b->sync_request.attachment &&
                   a->sync_request.origin_request ==
                       b->sync_request.origin_request;
        case PEER_REFUSED:
            return a->refused.origin_request == b->refused.origin_request &&
                   a->refused.code == b->refused.code &&
                   a->refused.parts_count == b->refused.parts_count &&
                   a->refused.part_failed == b->refused.part_failed;
        case PEER_SYNC_REPLY:
            return a->sync_reply.origin_request == b->sync_reply.origin_request;
        case PEER_STATUS:
            return a->status.disk_low == b->status.disk_low &&
                   a->status.owned == b->status.owned;
        case PEER_DIGEST:
            return a->digest.tree == b->digest.tree &&
                   a->digest.sessions == b->digest.sessions;
        default:
            return sessions_are_equal(a, b);
    }
}

static bool sessions_are_equal(const struct peer_msg *a,
                               const struct peer_msg *b)
{
    switch ((int)a->type) {
        case PEER_OPEN_SESSION:
            return a->open_session.origin_request ==
                       b->open_session.origin_request &&
                   a->open_session.timeout_ms == b->open_session.timeout_ms &&
                   memcmp(a->open_session.password, b->open_session.password,
                          16) == 0;
        case PEER_REVALIDATE:
            return a->revalidate.session_id == b->revalidate.session_id &&
                   a->revalidate.origin_request ==
                       b->revalidate.origin_request &&
                   a->revalidate.timeout_ms == b->revalidate.timeout_ms &&
                   memcmp(a->revalidate.password, b->revalidate.password, 16) ==
                       0;
        case PEER_REVALIDATE_REPLY:
            return a->revalidate_reply.session_id ==
                       b->revalidate_reply.session_id &&
                   a->revalidate_reply.origin_request ==
                       b->revalidate_reply.origin_request &&
                   a->revalidate_reply.timeout_ms ==
                       b->revalidate_reply.timeout_ms &&
                   a->revalidate_reply.ok == b->revalidate_reply.ok;
        case PEER_SESSION_MOVED:
            return a->session_moved.session_id == b->session_moved.session_id &&
                   a->session_moved.attachment == b->session_moved.attachment;
        default:
            return true;
    }
}

static bool auths_are_equal(const struct peer_msg *a, const struct peer_msg *b)
{
    if (a->request.auth_count != b->request.auth_count) {
        return false;
    }
    for (uint32_t i = 0; i < a->request.auth_count; i++) {
        const struct zk_auth *x = &a->request.auth[i];
        const struct zk_auth *y = &b->request.auth[i];

        if (!slice_equal(x->scheme, y->scheme) || !slice_equal(x->id, y->id) ||
            x->super != y->super) {
            return false;
        }
    }
    return true;
}
