/* A fuzz target is one file that defines the two functions below. Twice a
 * program: with libFuzzer (--enable-fuzz: tests/fuzz-NAME, which fills an empty
 * corpus directory with the seeds), and for make check, where the seeds and a
 * fixed set of damaged ones are run (tests/unit-fuzz-NAME).
 *
 * To add one: the file, and its lines in local.mk. */
#ifndef CORRAL_TESTS_FUZZ_FUZZ_H
#define CORRAL_TESTS_FUZZ_FUZZ_H

#include "base/slice.h"

/* Any bytes: must return 0, and what is wrong is a CHECK. The bytes have no
 * byte behind them that may be read. The name is libFuzzer's. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Gives good inputs to begin with, one by one; borrowed for the call. */
typedef void fuzz_seed_fn(void *arg, struct slice input);
void fuzz_seeds(fuzz_seed_fn *give, void *arg);

#endif
