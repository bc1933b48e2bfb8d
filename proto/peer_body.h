/* Inside proto/: what a message carries beyond type, epoch, zxid and payloads,
 * to protobuf-c's structs and back. */
#ifndef CORRAL_PROTO_PEER_BODY_H
#define CORRAL_PROTO_PEER_BODY_H

#include "proto/peer.h"
#include "proto/peer.pb-c.h"

/* What is built on the stack; more than that costs an allocation. */
#define PEER_AUTH_FEW 8

/* Room for one body on its way out. */
struct peer_body {
    union {
        Peer__Vote vote;
        Peer__FollowerInfo follower_info;
        Peer__NewEpoch new_epoch;
        Peer__AckEpoch ack_epoch;
        Peer__Snap snap;
        Peer__Ping ping;
        Peer__Resign resign;
        Peer__Request request;
        Peer__OpenSession open_session;
        Peer__SyncRequest sync_request;
        Peer__Refused refused;
        Peer__SyncReply sync_reply;
        Peer__Revalidate revalidate;
        Peer__RevalidateReply revalidate_reply;
        Peer__SessionMoved session_moved;
        Peer__Status status;
        Peer__Digest digest;
    };
    Peer__Auth few_auth[PEER_AUTH_FEW], *many_auth;
    Peer__Auth *few_pointers[PEER_AUTH_FEW], **many_pointers;
};

/* Points head at the body of msg's type, which must be one, built in the room
 * given; both borrow from msg. */
void peer_body_put(struct peer_body *body, const struct peer_msg *msg,
                   Peer__Head *head);
void peer_body_finish(struct peer_body *body);
/* Fills in msg's part of the union, by head's type, which need not be one.
 * ERR_MALFORMED, ERR_TOO_BIG. */
int peer_body_get(const Peer__Head *head, struct arena *arena,
                  struct peer_msg *msg);

#endif
