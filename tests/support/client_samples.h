/* One request and one reply of every kind, and memberwise equality: for round
 * trips and as the seeds of fuzzing. */
#ifndef CORRAL_TESTS_SUPPORT_CLIENT_SAMPLES_H
#define CORRAL_TESTS_SUPPORT_CLIENT_SAMPLES_H

#include "proto/client.h"

extern const struct client_request client_sample_requests[];
extern const size_t client_sample_requests_count;
extern const struct client_reply client_sample_replies[];
extern const size_t client_sample_replies_count;

/* Null is not equal to empty here. */
bool client_request_equal(const struct client_request *a,
                          const struct client_request *b);
/* A part's op is that of its place on the wire: every create with a stat is
 * CREATE2, every error ERROR. */
bool client_reply_equal(const struct client_reply *a,
                        const struct client_reply *b);

#endif
