/* Messages between servers: plain structs, and bytes <-> structs (protobuf-c,
 * used nowhere else). Who sends what when, and what it means: docs/zab.md.
 *
 * A frame on a peer link is: length of the rest, CRC32C of the rest, length of
 * the head, the head (protobuf), then the payloads' bytes, raw; the numbers are
 * 32 bits, big-endian. */
#ifndef CORRAL_PROTO_PEER_H
#define CORRAL_PROTO_PEER_H

#include "base/arena.h"
#include "base/blob.h"
#include "base/buf.h"
#include "base/slice.h"
#include "proto/client.h"
#include "proto/zxid.h"

/* A quorum link has two ends, and two servers may have one in each direction:
 * so its ends have names of their own. */
enum peer_link {
    PEER_LINK_ELECTION, /* the mesh: every server with every other */
    PEER_LINK_LEADER,   /* our quorum link to the one we follow; we dialled */
    PEER_LINK_LEARNER,  /* a quorum link that another one dialled to us */
};
#define PEER_LINKS_COUNT 3

#define PEER_FRAME_SIZE_MAX (4U << 20) /* head and payloads */
#define PEER_CLUSTER_ID_SIZE 16
#define PEER_EPOCH_ENDS_MAX 4096 /* the latest ones */
#define PEER_PAYLOADS_MAX 65536
#define PEER_AUTH_MAX 128     /* a connection has 64 of its own, its address */
#define PEER_RECLAIM_SIZE 20  /* bytes of an entry of RECLAIM's payload */
#define PEER_RECLAIM_MAX 4096 /* entries */
#define PEER_STATUS_MAX 8192  /* entries */
#define PEER_STATUS_SIZE 8    /* of STATUS's */
#define PEER_STATUS_OWNED_SIZE 16 /* of one that names attachments */

/* Of the protocol: what a link speaks is agreed on in its hello. 2: STATUS
 * names attachments. */
#define PEER_VERSION_MIN 1U
#define PEER_VERSION_MAX 2U

#define PEER_MSG_MAP(X)                                                      \
    X(PEER_VOTE, 1, "vote")                                                  \
    X(PEER_FOLLOWER_INFO, 2, "follower-info")                                \
    X(PEER_NEW_EPOCH, 3, "new-epoch")                                        \
    X(PEER_ACK_EPOCH, 4, "ack-epoch")                                        \
    X(PEER_SYNC_DIFF, 5, "sync-diff")                                        \
    X(PEER_SYNC_TRUNC, 6, "sync-trunc")                                      \
    X(PEER_SYNC_SNAP, 7, "sync-snap")                                        \
    X(PEER_SNAP_CHUNK, 8, "snap-chunk")                                      \
    X(PEER_SNAP_ACK, 9, "snap-ack")                                          \
    X(PEER_NEW_LEADER, 10, "new-leader")                                     \
    X(PEER_ACK_NEW_LEADER, 11, "ack-new-leader")                             \
    X(PEER_UP_TO_DATE, 12, "up-to-date")                                     \
    X(PEER_PROPOSE, 13, "propose")                                           \
    X(PEER_ACK, 14, "ack")                                                   \
    X(PEER_COMMIT, 15, "commit")                                             \
    X(PEER_INFORM, 16, "inform")                                             \
    X(PEER_PING, 17, "ping")                                                 \
    X(PEER_PONG, 18, "pong")                                                 \
    X(PEER_RESIGN, 19, "resign")                                             \
    /* From here on zab/ knows nothing of them: replica/ speaks them, on the \
     * same quorum links and in their order. */                              \
    X(PEER_REQUEST, 32, "request")                                           \
    X(PEER_OPEN_SESSION, 33, "open-session")                                 \
    X(PEER_SYNC_REQUEST, 34, "sync-request")                                 \
    X(PEER_REFUSED, 35, "refused")                                           \
    X(PEER_SYNC_REPLY, 36, "sync-reply")                                     \
    X(PEER_REVALIDATE, 37, "revalidate")                                     \
    X(PEER_REVALIDATE_REPLY, 38, "revalidate-reply")                         \
    X(PEER_RECLAIM, 39, "reclaim")                                           \
    X(PEER_SESSION_MOVED, 40, "session-moved")                               \
    X(PEER_STATUS, 41, "status")                                             \
    X(PEER_DIGEST, 42, "digest")

enum peer_msg_type {
#define X(name, value, text) name = (value),
    PEER_MSG_MAP(X)
#undef X
};

/* Is it replica/'s? */
static inline bool peer_msg_is_replicas(enum peer_msg_type type)
{
    return type >= PEER_REQUEST;
}

/* What the sender of a VOTE is doing. */
enum peer_state {
    PEER_LOOKING = 1,
    PEER_FOLLOWING,   /* follows, or is about to follow, the candidate */
    PEER_LEADING,     /* is elected; the epoch is its accepted one */
    PEER_ESTABLISHED, /* leads: a quorum has taken up its epoch */
};

struct peer_msg {
    enum peer_msg_type type;
    uint32_t epoch;
    zxid_t zxid;
    struct blob **payloads;  /* array in the maker's memory, valid until its
                              * next step; each an owned reference */
    uint32_t payloads_count; /* PROPOSE, INFORM: zxid is the first's, the others
                              * follow without gap */
    union {
        struct { /* epoch and zxid: the candidate's current and last one */
            uint64_t candidate; /* 0: the sender votes for nobody */
            uint64_t round;
            enum peer_state state;
            bool blank;  /* the sender never took up an epoch */
            bool no_log; /* the sender's history is empty */
        } vote;
        struct {         /* epoch: the sender's accepted one; zxid: its last */
            bool voting; /* it may be counted */
            uint32_t epoch_current;
        } follower_info;
        struct {
            uint8_t cluster_id[PEER_CLUSTER_ID_SIZE];
        } new_epoch;
        struct {          /* zxid: the sender's last */
            bool counted; /* a first promise of this epoch, by a voter */
            bool whole;   /* its history can be built on; false: SNAP */
            uint32_t epoch_current;
            zxid_t checkpoint;        /* its history starts behind it */
            const zxid_t *epoch_ends; /* last zxid of each epoch in its log,
                                       * rising; borrowed */
            uint32_t epoch_ends_count;
        } ack_epoch;
        struct {
            uint32_t number; /* of the chunk, from 1 */
            bool last;
        } snap; /* SNAP_CHUNK and SNAP_ACK */
        struct {
            uint64_t number; /* of the round; 0: a heartbeat only */
        } ping;              /* PING and PONG */
        struct {
            uint64_t successor;
        } resign;
        struct { /* payloads[0]: the client's frame, without its length */
            uint64_t session_id, attachment, origin_request;
            const struct zk_auth *auth; /* of the connection, its address's
                                         * "ip" id among them; borrowed */
            uint32_t auth_count;
        } request;
        struct {
            uint64_t origin_request; /* becomes the session's attachment */
            int32_t timeout_ms;
            uint8_t password[16];
        } open_session;
        struct {
            uint64_t session_id, attachment, origin_request;
        } sync_request;
        struct { /* zxid: its place, behind this one */
            uint64_t origin_request;
            int32_t code;
            uint32_t parts_count, part_failed; /* of a refused multi */
        } refused;
        struct { /* zxid: its place */
            uint64_t origin_request;
        } sync_reply;
        struct {
            uint64_t session_id, origin_request; /* as open_session */
            int32_t timeout_ms;
            uint8_t password[16];
        } revalidate;
        struct { /* zxid: its place */
            uint64_t session_id, origin_request;
            int32_t timeout_ms;
            bool ok; /* false: unknown, closing, or the wrong password */
        } revalidate_reply;
        struct {
            uint64_t session_id, attachment;
        } session_moved; /* to the server of the older attachment */
        /* RECLAIM, payloads[0]: (session id, attachment, time-out in ms) of
         * each connection that goes on: 8, 8 and 4 bytes, big-endian. */
        struct { /* payloads[0]: ids of sessions heard of, 8 bytes each, perhaps
                  * none of them */
            bool disk_low;
            bool owned; /* each id with the attachment of the connection, 8
                         * bytes, behind it: of version 2 */
        } status;
        struct { /* at zxid */
            uint64_t tree, sessions;
        } digest;
    };
};

const char *peer_msg_name(enum peer_msg_type type);

/* Bytes of an entry of this STATUS's payload. */
static inline size_t peer_status_size(const struct peer_msg *msg)
{
    return msg->status.owned ? PEER_STATUS_OWNED_SIZE : PEER_STATUS_SIZE;
}

/* frame: the rest behind its own length. What is decoded borrows from frame and
 * arena, but each payload is a new blob, whose reference is the caller's: see
 * peer_msg_finish(). ERR_CORRUPT: the checksum; ERR_MALFORMED; ERR_TOO_BIG. */
int peer_msg_decode(struct slice frame, struct arena *arena,
                    struct peer_msg *msg);
/* All of the frame but the payloads' bytes: length, CRC (over the payloads
 * too), head. The payloads go out behind it, in order. */
void peer_msg_encode_head(const struct peer_msg *msg, struct buf *out);
/* Drops the payloads' references. */
void peer_msg_finish(struct peer_msg *msg);
/* One line without payloads' bytes and secrets, for logs and traces; as
 * snprintf. */
size_t peer_msg_format(const struct peer_msg *msg, char *text, size_t size);

#endif
