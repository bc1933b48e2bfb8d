/* What must hold after every step of every server, over all of them: the
 * invariants of SCENARIOS 3.3 by name. Each finding goes to sim_fail(). */
#ifndef CORRAL_TESTS_SIM_CHECKER_H
#define CORRAL_TESTS_SIM_CHECKER_H

#include "tests/sim/sim.h"

struct checker;
struct model;

struct checker *checker_create(struct sim *sim, unsigned servers);
void checker_destroy(struct checker *checker);

/* A process begins, from what its disk has; or ends. */
void checker_started(struct checker *checker, unsigned server,
                     const struct durable_state *durable);
void checker_died(struct checker *checker, unsigned server);
void checker_wiped(struct checker *checker, unsigned server);
/* An op is on the platter now: no crash loses it. */
void checker_durable(struct checker *checker, unsigned server,
                     const struct store_op *op);
/* After a step, before its effects are carried out: what went in, and what it
 * appended. */
void checker_step(struct checker *checker, unsigned server,
                  const struct replica *replica,
                  const struct replica_input *input,
                  const struct replica_effect *effects, size_t count);
/* A SEND_PEER effect is carried out: messages of later steps may have been
 * merged with it by then. */
void checker_sent(struct checker *checker, unsigned server,
                  const struct replica_effect *effect);
/* Everything is quiet and healed: full comparison of all trees. */
void checker_settled(struct checker *checker, unsigned server,
                     const struct replica *replica);

/* What is committed, folded: clients hold their answers against it. */
struct model *checker_model(struct checker *checker);

#endif
