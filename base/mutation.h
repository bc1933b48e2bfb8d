/* Deliberate bugs, to test the tests: -DMUT=7 builds in the seventh of the
 * table in docs/testing.md, which the simulator or the power-cut test must
 * then find. In every other build there are none. */
#ifndef CORRAL_BASE_MUTATION_H
#define CORRAL_BASE_MUTATION_H

#ifndef MUT
#define MUT 0
#endif

#define MUTATION(number) (MUT == (number))

#endif
