/* Messages between servers of every type, the least and the most that they
 * hold: for round trips and as seeds. */
#ifndef CORRAL_TESTS_SUPPORT_PEER_SAMPLES_H
#define CORRAL_TESTS_SUPPORT_PEER_SAMPLES_H

#include "proto/peer.h"

size_t peer_samples_count(void);
/* The index-th; its payloads are new blobs: peer_msg_finish(). */
void peer_sample(size_t index, struct arena *arena, struct peer_msg *msg);

/* Appends the whole frame, its length and the payloads' bytes included. */
void peer_frame(const struct peer_msg *msg, struct buf *out);

/* By what their type says, payloads by their bytes. */
bool peer_msg_is_equal(const struct peer_msg *a, const struct peer_msg *b);

#endif
