/* Scenarios: a simulated ensemble (tests/sim) driven by hand, its checkers on,
 * without faults but those of the test. Whatever the checkers find fails it. */
#ifndef CORRAL_TESTS_UNIT_SCENARIOS_SCENE_H
#define CORRAL_TESTS_UNIT_SCENARIOS_SCENE_H

#include "replica/inspect.h"
#include "tests/sim/client.h"
#include "tests/sim/sim.h"
#include "zab/zab.h"

/* No faults, fixed delays (a message 200 us, a batch of the disk 100 us), small
 * limits, clients that do what they are told. */
void scene_options(struct sim_options *options, unsigned voters,
                   unsigned observers, unsigned clients);
/* All up and serving. */
struct sim *scene_with(const struct sim_options *options);
struct sim *scene(unsigned voters, unsigned observers, unsigned clients);
/* Three voters that keep next to nothing: whoever was away long or has lost its
 * disk needs a SNAP. Client 0 is with the leader; late is one of the others. */
struct sim *scene_small(unsigned clients, unsigned *leader, unsigned *late);
void scene_small_options(struct sim_options *options);
/* Heals, settles, and nothing was found. */
void scene_end(struct sim *sim);
/* Nothing was found, and then the end: for what may not settle. */
void scene_stop(struct sim *sim);

struct clients *sim_clients(struct sim *sim);

/* The client on this server: a new session, or the one that it has. */
void scene_to(struct sim *sim, unsigned client, unsigned server);
/* What it asks (lines), without waiting. */
void scene_tell(struct sim *sim, unsigned client, const char *requests);
/* Its lines since the last look are these, within 30 virtual seconds. */
void scene_hears(struct sim *sim, unsigned client, const char *lines);
/* Both. */
void scene_ask(struct sim *sim, unsigned client, const char *requests,
               const char *lines);

/* Creates PATH0 .. PATH(count - 1), pipelined by tens, all acknowledged. */
void scene_make(struct sim *sim, unsigned client, const char *path,
                unsigned count);
/* All of them are there, as the client's server sees it behind a sync. */
void scene_has(struct sim *sim, unsigned client, const char *path,
               unsigned count);

void scene_steps(struct sim *sim, unsigned count); /* events */
void scene_run_ms(struct sim *sim, uint64_t ms);   /* nothing may be found */
/* Within 30 virtual seconds. */
void scene_until_leads(struct sim *sim, unsigned server);
unsigned scene_until_leader_but(struct sim *sim, unsigned not_server);
void scene_until_serves(struct sim *sim, unsigned server);
void scene_until_phase(struct sim *sim, unsigned server, const char *phase);
const struct zab *scene_zab(const struct sim *sim, unsigned server);
uint64_t scene_mark(const struct sim *sim, enum zab_mark mark); /* of all */
/* The protocol's lines since the last look are those of golden/NAME.trace;
 * UPDATE=1 in the environment writes the file instead. */
void scene_golden(struct sim *sim, const char *name);
/* Any server of these that is not one of the others; ids from 1. */
unsigned scene_other(const struct sim *sim, unsigned a, unsigned b);
/* The txns that a server delivered are those of another one. */
void scene_equal(const struct sim *sim, unsigned a, unsigned b);

#endif
