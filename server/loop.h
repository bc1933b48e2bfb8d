/* The one event loop. Everything but disk.c's thread runs on its thread. */
#ifndef CORRAL_SERVER_LOOP_H
#define CORRAL_SERVER_LOOP_H

#include "replica/replica.h"

struct loop;
struct config;
struct event_base;
struct net_client;
struct net_peer;
struct disk;
struct admin_state;

/* Opens the store, makes the replica. On failure *loop is NULL and one line
 * with the reason was logged. ERR_*. */
int loop_create(const struct config *config, struct loop **loop);
void loop_destroy(struct loop *loop); /* NULL is fine */
/* Until loop_stop(): 0 after a clean stop, ERR_* after a failure that was
 * logged. Calls ready once, when the first client can be served. */
int loop_run(struct loop *loop, void (*ready)(void *arg, uint16_t port),
             void *arg);
void loop_stop(struct loop *loop);

/* The net and disk files report here: stepped at once; the effects of one
 * wake-up are carried out together at its end. now_ms and wall_ms are filled in
 * here. */
void loop_input(struct loop *loop, struct replica_input *input);
/* All effects so far, at once: for what changes whom they reach. */
void loop_carry_out(struct loop *loop);

/* This wake-up has taken in or brought out enough: whoever feeds it goes on in
 * the next, so that timers and other sockets get their turn. */
bool loop_full(struct loop *loop);
bool loop_half_full(struct loop *loop);
bool loop_peers_full(struct loop *loop); /* for frames of other servers */

/* For hellos between servers: the ensemble's id (16 bytes); false: this server
 * has no history, it belongs to none yet. */
bool loop_cluster_id(const struct loop *loop, uint8_t *id);

/* For admin.c. */
struct replica *loop_replica(struct loop *loop);
struct event_base *loop_base(struct loop *loop);
const struct config *loop_config(const struct loop *loop);
struct net_client *loop_clients(struct loop *loop);
struct net_peer *loop_peers(struct loop *loop); /* NULL: standalone */
struct disk *loop_disk(struct loop *loop);
struct admin_state *loop_admin(struct loop *loop);
int64_t loop_now_ms(const struct loop *loop); /* of this wake-up, monotonic */
/* Steps of over 20 ms of CPU time so far (a warning line each). */
uint64_t loop_slow_steps(const struct loop *loop);

#endif
