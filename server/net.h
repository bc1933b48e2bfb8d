/* Client sockets. Bytes in: frames to the loop. Frames out: bytes. Knows
 * nothing of what is in a frame but a four-letter word at the start of a
 * connection, which goes to admin.c. One thread: the loop's.
 *
 * A connection costs little while idle: no buffer is kept for it. Reads go
 * through one shared buffer; what is left of a frame is copied aside. Output is
 * written directly at the end of the wake-up. */
#ifndef CORRAL_SERVER_NET_H
#define CORRAL_SERVER_NET_H

#include "base/slice.h"

struct net_client;
struct loop;
struct event_base;
struct config;

/* Binds and listens; connections are accepted after net_client_serve(). ERR_IO
 * with a logged reason. */
int net_client_listen(struct event_base *base, const struct config *config,
                      struct loop *loop, struct net_client **net);
void net_client_close(struct net_client *net); /* NULL is fine */
uint16_t net_client_port(const struct net_client *net);
void net_client_serve(struct net_client *net); /* from now on */
/* The frame must live until net_client_flush(); unknown id is fine. */
void net_client_send(struct net_client *net, uint64_t conn_id,
                     struct slice frame);
/* The replica is done with this connection: nothing more is fed or reported;
 * net_client_drop() follows in the same wake-up. */
void net_client_stop(struct net_client *net, uint64_t conn_id);
/* After what was sent. why: static text for the log. */
void net_client_drop(struct net_client *net, uint64_t conn_id, const char *why);
void net_client_pause(struct net_client *net, uint64_t conn_id, bool pause);
/* The end of a wake-up: writes what net_client_send() queued; what the sockets
 * do not take is copied. */
void net_client_flush(struct net_client *net);
/* Frames that wait inside because output or time was short: call again soon. */
bool net_client_has_work(const struct net_client *net);
void net_client_work(struct net_client *net);

/* For admin.c: "/127.0.0.1:1234" of a connection, "" when it is gone. */
void net_client_address(const struct net_client *net, uint64_t conn_id,
                        char *text, size_t size);
size_t net_client_count(const struct net_client *net);

#endif
