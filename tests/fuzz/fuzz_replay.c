/* Without libFuzzer: runs a target over its seeds, over every short cut of
 * them and over damaged ones, the same at every run. With arguments: over
 * these files, to see again what a fuzzer found. */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/prng.h"
#include "tests/fuzz/fuzz.h"

#define CUTS_MAX 256
#define DAMAGED_PER_SEED 500

struct replay {
    struct prng prng;
    unsigned long inputs;
};

/* In memory of exactly its size, so that a sanitizer sees what is behind. */
static void run(struct replay *replay, struct slice input)
{
    uint8_t *copy = malloc(input.len > 0 ? input.len : 1);

    CHECK(copy != NULL);
    memcpy(copy, input.ptr, input.len);
    CHECK(LLVMFuzzerTestOneInput(copy, input.len) == 0);
    free(copy);
    replay->inputs++;
}

static void damage(struct prng *prng, uint8_t *bytes, size_t len)
{
    static const uint8_t extremes[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    uint64_t edits = 1 + prng_below(prng, 4);

    for (uint64_t i = 0; i < edits; i++) {
        uint8_t *at = &bytes[prng_below(prng, len)];

        switch (prng_below(prng, 3)) {
            case 0:
                *at = (uint8_t)prng_next(prng);
                break;
            case 1:
                *at = extremes[prng_below(prng, sizeof(extremes))];
                break;
            default:
                *at ^= (uint8_t)(1U << prng_below(prng, 8));
                break;
        }
    }
}

static void run_seed(void *arg, struct slice seed)
{
    struct replay *replay = arg;
    size_t step = seed.len / CUTS_MAX + 1;
    uint8_t *bytes;

    run(replay, seed);
    for (size_t len = 0; len < seed.len; len += step) {
        run(replay, slice_make(seed.ptr, len));
    }
    if (seed.len == 0) {
        return;
    }
    bytes = mem_alloc(seed.len);
    for (int i = 0; i < DAMAGED_PER_SEED; i++) {
        memcpy(bytes, seed.ptr, seed.len);
        damage(&replay->prng, bytes, seed.len);
        run(replay, slice_make(bytes, seed.len));
    }
    mem_free(bytes);
}

static void run_file(struct replay *replay, const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes;
    long len;

    CHECK(file != NULL);
    CHECK(fseek(file, 0, SEEK_END) == 0);
    len = ftell(file);
    CHECK(len >= 0);
    rewind(file);
    bytes = mem_alloc((size_t)len + 1);
    CHECK(fread(bytes, 1, (size_t)len, file) == (size_t)len);
    (void)fclose(file);
    run(replay, slice_make(bytes, (size_t)len));
    mem_free(bytes);
}

int main(int argc, char **argv)
{
    struct replay replay = {.inputs = 0};

    prng_init(&replay.prng, 1);
    for (int i = 1; i < argc; i++) {
        run_file(&replay, argv[i]);
    }
    if (argc == 1) {
        fuzz_seeds(run_seed, &replay);
        CHECK(replay.inputs > 0);
    }
    printf("%lu inputs\n", replay.inputs);
    return 0;
}
