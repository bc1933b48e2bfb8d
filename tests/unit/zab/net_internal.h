/* The pieces of net: net.c (servers, events), net_links.c (messages between
 * them), net_effects.c (what a step wants, and what must hold of it). */
#ifndef CORRAL_TESTS_UNIT_ZAB_NET_INTERNAL_H
#define CORRAL_TESTS_UNIT_ZAB_NET_INTERNAL_H

#include "tests/unit/zab/net.h"

/* Fails the test, with the seed. */
void net_fail(struct net *net, unsigned id, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));
void net_input(struct net *net, unsigned id, const struct zab_input *input);
/* What has just happened to a server; to be filled in. */
struct net_event *net_note(struct net *net, enum net_what what, unsigned server,
                           unsigned peer);
void net_note_message(struct net_event *event, enum peer_link link,
                      const struct peer_msg *msg);
unsigned net_server_of(const struct net *net, size_t index);

/* ---- net_links.c */

void links_init(struct net *net);
void links_finish(struct net *net);
/* Up to the other end, or lost when the link is down. */
void links_send(struct net *net, unsigned from, unsigned to,
                enum peer_link link, const struct peer_msg *msg);
/* Its end of this kind of link is closed: it hears no more of it. */
void links_drop(struct net *net, unsigned id, enum peer_link link,
                unsigned peer);
void links_drop_all(struct net *net, unsigned id);         /* it died */
void links_break(struct net *net, unsigned a, unsigned b); /* both are told */
void links_dial(struct net *net, unsigned id, unsigned leader); /* 0: close */
void links_dialled(struct net *net, unsigned id);
void links_mesh(struct net *net); /* makes those that are missing */
/* How many heads of queues could be delivered now. */
size_t links_ready(const struct net *net);
void links_deliver(struct net *net, size_t which); /* of those */

/* ---- net_effects.c */

void effects_carry_out(struct net *net, unsigned id,
                       struct zab_effects *effects);
/* A result of its disk. */
void effects_on_result(struct net *net, unsigned id,
                       struct store_result *result);

#endif
