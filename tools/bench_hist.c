#include <string.h>
#include <time.h>

#include "tools/bench.h"

#define STEPS 128u

void bench_hist_clear(struct bench_hist *hist)
{
    memset(hist, 0, sizeof(*hist));
    hist->min = UINT64_MAX;
}

/* Values below STEPS have a place each; above, the seven bits behind the
 * highest one choose a step within its doubling. */
static size_t place_of(uint64_t ns)
{
    unsigned high;

    if (ns < STEPS) {
        return (size_t)ns;
    }
    high = 63u - (unsigned)__builtin_clzll(ns);
    return (size_t)(high - 6) * STEPS + ((ns >> (high - 7)) & (STEPS - 1));
}

/* The highest value of a place: a percentile is never said too low. */
static uint64_t value_of(size_t place)
{
    uint64_t doubling = place / STEPS;
    uint64_t step = place % STEPS;

    if (doubling == 0) {
        return step;
    }
    return ((STEPS + step + 1) << (doubling - 1)) - 1;
}

void bench_hist_add(struct bench_hist *hist, uint64_t ns)
{
    hist->counts[place_of(ns)]++;
    hist->total++;
    hist->sum += (double)ns;
    if (ns > hist->max) {
        hist->max = ns;
    }
    if (ns < hist->min) {
        hist->min = ns;
    }
}

uint64_t bench_hist_at(const struct bench_hist *hist, double percentile)
{
    double wanted = (double)hist->total * percentile / 100.0;
    uint64_t seen = 0;

    if (hist->total == 0) {
        return 0;
    }
    for (size_t i = 0; i < sizeof(hist->counts) / sizeof(hist->counts[0]);
         i++) {
        seen += hist->counts[i];
        if (seen > 0 && (double)seen >= wanted) {
            uint64_t value = value_of(i);

            return value < hist->max ? value : hist->max;
        }
    }
    return hist->max;
}

uint64_t bench_now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
