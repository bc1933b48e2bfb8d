/* The line that says why a member of an ensemble serves nobody. The loop's
 * thread. */
#ifndef CORRAL_SERVER_WAITING_H
#define CORRAL_SERVER_WAITING_H

#include <stdint.h>

struct replica;

/* Zeroed: it has not waited yet. */
struct waiting {
    int64_t since_ms; /* 0: it does not wait */
    int64_t said_ms;  /* 0: not yet */
    char said[320];
};

/* Each tick. A second after it began to wait, when the reason is another one,
 * and each ten seconds. */
void waiting_look(struct waiting *waiting, const struct replica *replica,
                  int64_t now_ms);

#endif
