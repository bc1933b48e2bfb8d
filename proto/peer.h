/* Messages between servers: plain structs. Their bytes (protobuf-c) come with
 * replication; an ensemble of one sends none. */
#ifndef CORRAL_PROTO_PEER_H
#define CORRAL_PROTO_PEER_H

#include "base/blob.h"
#include "proto/zxid.h"

enum peer_link { PEER_LINK_ELECTION, PEER_LINK_QUORUM };

enum peer_msg_type {
    PEER_VOTE = 1,
    PEER_FOLLOWER_INFO, /* learner -> leader: my accepted epoch, last zxid */
    PEER_NEW_EPOCH,
    PEER_ACK_EPOCH,
    PEER_SYNC_DIFF,
    PEER_SYNC_TRUNC,
    PEER_SYNC_SNAP,
    PEER_SNAP_CHUNK,
    PEER_NEW_LEADER,
    PEER_ACK_NEW_LEADER,
    PEER_UP_TO_DATE,
    PEER_PROPOSE, /* a batch: first zxid, payloads[] */
    PEER_ACK,
    PEER_COMMIT,
    PEER_INFORM, /* to observers: a proposal already committed */
    PEER_PING,   /* round, committed, (zxid, digest) */
    PEER_PONG,   /* round, touched sessions, disk low */
    PEER_RESIGN, /* successor */
    /* Not broadcast; carried on the same link, handled by replica/. */
    PEER_REQUEST,
    PEER_SYNC_REQUEST,
    PEER_REFUSED,    /* in its place between commits, DESIGN 2.7 */
    PEER_SYNC_REPLY, /* likewise */
    PEER_REVALIDATE,
    PEER_REVALIDATE_REPLY,
    PEER_SESSION_MOVED,
};

struct peer_msg {
    enum peer_msg_type type;
    uint32_t epoch;
    zxid_t zxid;
    struct blob **payloads;  /* array in the maker's arena; each an owned
                              * reference */
    uint32_t payloads_count; /* PROPOSE, INFORM: zxid is the first's, the others
                              * follow without gap */
    union {
        struct {
            uint64_t candidate;
            uint64_t round;
            uint8_t role;
        } vote;
        struct {
            uint64_t session_id, origin_request;
        } request;
    };
};

#endif
