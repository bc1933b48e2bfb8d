#include <criterion/criterion.h>

#include "base/mem.h"
#include "base/prng.h"
#include "tools/bench.h"

Test(tools_hist, percentiles_are_within_a_percent)
{
    struct bench_hist *hist = MEM_NEW(struct bench_hist);

    bench_hist_clear(hist);
    for (uint64_t i = 1; i <= 100000; i++) {
        bench_hist_add(hist, i * 1000);
    }
    for (double p = 1; p < 100; p += 7) {
        double wanted = p / 100 * 1e8;
        double got = (double)bench_hist_at(hist, p);

        cr_assert_gt(got, wanted * 0.99, "p%g: %g", p, got);
        cr_assert_lt(got, wanted * 1.01, "p%g: %g", p, got);
    }
    cr_assert_eq(bench_hist_at(hist, 100), 100000000);
    cr_assert_eq(hist->total, 100000);
    mem_free(hist);
}

Test(tools_hist, one_slow_one_shows_at_the_end_only)
{
    struct bench_hist *hist = MEM_NEW(struct bench_hist);

    bench_hist_clear(hist);
    for (int i = 0; i < 9999; i++) {
        bench_hist_add(hist, 50);
    }
    bench_hist_add(hist, UINT64_C(5000000000));
    cr_assert_eq(bench_hist_at(hist, 50), 50);
    cr_assert_eq(bench_hist_at(hist, 99.9), 50);
    cr_assert_eq(bench_hist_at(hist, 100), UINT64_C(5000000000));
    cr_assert_eq(hist->max, UINT64_C(5000000000));
    mem_free(hist);
}

Test(tools_hist, takes_any_value_and_nothing)
{
    struct bench_hist *hist = MEM_NEW(struct bench_hist);

    bench_hist_clear(hist);
    cr_assert_eq(bench_hist_at(hist, 99), 0);
    bench_hist_add(hist, 0);
    bench_hist_add(hist, UINT64_MAX);
    cr_assert_eq(bench_hist_at(hist, 10), 0);
    cr_assert_gt(bench_hist_at(hist, 100), UINT64_MAX / 100 * 99);
    mem_free(hist);
}
