/* Seeded pseudo-random numbers (xoshiro256**): the same seed gives the same
 * numbers everywhere. Not for secrets. */
#ifndef CORRAL_BASE_PRNG_H
#define CORRAL_BASE_PRNG_H

#include <stdint.h>

struct prng {
    uint64_t state[4];
};

void prng_init(struct prng *prng, uint64_t seed);
uint64_t prng_next(struct prng *prng);
/* Uniform in [0, bound); bound > 0. */
uint64_t prng_below(struct prng *prng, uint64_t bound);

#endif
