/* Model clients: bytes as a real client sends them, and a memory of everything
 * that was answered, checked as it comes (checker_linear.c). They pipeline,
 * wander between servers, resume sessions (also from a "new process", with xids
 * from 1), fall silent beyond their time-out, set watches again, sync and read,
 * hold ephemerals, create sequential nodes, write counters by version, provoke
 * refusals between writes, close and begin anew. What they do is drawn from the
 * seed. */
#ifndef CORRAL_TESTS_SIM_CLIENT_H
#define CORRAL_TESTS_SIM_CLIENT_H

#include "tests/sim/sim.h"

struct clients;
struct model;
struct tree;

struct clients *clients_create(struct sim *sim, unsigned count, uint64_t seed,
                               int32_t timeout_ms, bool idle, bool read_only);
void clients_destroy(struct clients *clients);
/* Reads must show all that anybody had seen when they were sent. */
void clients_read_linear(struct clients *clients, bool linear);
/* What is committed: answers are held against it as they come. */
void clients_attach(struct clients *clients, struct model *model);

/* From the network and the clock. */
void client_connected(struct clients *clients, unsigned client,
                      uint64_t conn_id);
void client_bytes(struct clients *clients, unsigned client, uint64_t conn_id,
                  struct slice bytes); /* any piece of the stream */
void client_closed(struct clients *clients, unsigned client, uint64_t conn_id);
void client_wake(struct clients *clients, unsigned client); /* its timer */

/* The end of a run: no new work; each connects, writes once and syncs.
 * settled: all have done so. */
void clients_wind_up(struct clients *clients);
bool clients_settled(const struct clients *clients);
/* All that was acknowledged is in this tree, and nothing that cannot be. */
void clients_check_tree(struct clients *clients, const struct tree *tree);

/* By hand, for scenarios: a request by text, such as "create /a x", "set /a y
 * 3", "delete /a", "get /a w", "sync /a", "create -e /e", "create -s /q-",
 * "close"; its answer comes as a line, in order. */
void client_ask(struct clients *clients, unsigned client, const char *request);
void client_connect_to(struct clients *clients, unsigned client,
                       unsigned server); /* resumes, if there is a session */
const char *client_lines(struct clients *clients,
                         unsigned client); /* since
                                            * last call */
#endif
