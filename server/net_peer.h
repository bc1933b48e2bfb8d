/* Links to other servers (docs/peer-protocol.md): the election mesh, which is
 * kept up here, and the quorum links, dialled when the replica says so. Bytes
 * in: messages to the loop. Messages out: bytes. Knows nothing of what a
 * message means.
 *
 * Of a pair of servers the one with the higher id dials the election link.
 * Names are resolved anew at each dial, on no account in the loop's way
 * (evdns). A link is up when both ends have said hello and agreed; only then
 * the replica hears of it. A link that breaks by itself is reported; one that
 * the replica drops or replaces is not.
 *
 * One thread: the loop's. Nothing here blocks. */
#ifndef CORRAL_SERVER_NET_PEER_H
#define CORRAL_SERVER_NET_PEER_H

#include "proto/peer.h"

struct net_peer;
struct loop;
struct event_base;
struct config;

/* Binds both ports of our own server.N line and listens. ERR_IO with a logged
 * reason. An ensemble of one has none: *net is NULL, and every function here
 * takes that. */
int net_peer_open(struct event_base *base, const struct config *config,
                  struct loop *loop, struct net_peer **net);
void net_peer_close(struct net_peer *net);
/* Begins to dial and accept. */
void net_peer_serve(struct net_peer *net);

/* To each of peers (one bit per member index) whose link is up; others get
 * nothing. Head encoded once, payloads referenced; takes over msg's payload
 * references. Written by net_peer_flush(). A link with more unsent than its
 * bound breaks. */
void net_peer_send(struct net_peer *net, enum peer_link link, uint64_t peers,
                   struct peer_msg *msg);
/* PEER_LINK_LEADER to this one member (an older one is closed first); peers 0:
 * only closes. What comes of it is a PEER_UP or a PEER_DOWN. */
void net_peer_connect(struct net_peer *net, uint64_t peers, const char *why);
/* Closes these links after what was sent (not waiting for it); why for the
 * log. An election link is dialled again. */
void net_peer_drop(struct net_peer *net, enum peer_link link, uint64_t peers,
                   const char *why);
/* The end of a wake-up: writes what was sent. Links that broke meanwhile are
 * reported from net_peer_work(), never from here. */
void net_peer_flush(struct net_peer *net);
bool net_peer_has_work(const struct net_peer *net);
/* Links that were dropped still have something to send, or their other ends
 * have not seen it: an end of the process might take it back. For a second at
 * the longest. */
bool net_peer_is_closing(const struct net_peer *net);
void net_peer_work(struct net_peer *net);

/* For admin.c and metrics. */
struct net_peer_info {
    uint64_t id;
    bool up[PEER_LINKS_COUNT];
    uint32_t version; /* of the quorum link, else of the election link; or 0 */
    char address[64]; /* as last connected, "" when never */
    uint64_t unsent[PEER_LINKS_COUNT]; /* bytes */
    uint64_t bytes_in, bytes_out, connects, refused;
};
bool net_peer_info(const struct net_peer *net, size_t member_index,
                   struct net_peer_info *info);

#endif
