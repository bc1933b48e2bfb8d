/* What a run says of itself: JSON for scripts, text for people. */
#include <inttypes.h>

#include "tools/bench.h"

static const struct {
    const char *name;
    double percentile;
} shown[] = {{"p50", 50},    {"p90", 90},      {"p99", 99},
             {"p999", 99.9}, {"p9999", 99.99}, {"max", 100}};

static void print_hist(const struct bench_hist *hist, bool json)
{
    double mean = hist->total == 0 ? 0 : hist->sum / (double)hist->total / 1e3;

    (void)printf(json ? "{\"mean\": %.1f" : "mean %.1f", mean);
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
        (void)printf(json ? ", \"%s\": %.1f" : "  %s %.1f", shown[i].name,
                     (double)bench_hist_at(hist, shown[i].percentile) / 1e3);
    }
    (void)printf(json ? "}" : "\n");
}

void bench_print_json(const struct bench_options *options,
                      const struct bench_result *result)
{
    (void)printf("{\"workload\": \"%s\", \"connections\": %" PRIu64
                 ", \"depth\": %" PRIu64 ", \"size\": %" PRIu64
                 ", \"keys\": %" PRIu64 ", \"rate\": %.1f"
                 ", \"operations\": %" PRIu64 ", \"errors\": %" PRIu64
                 ", \"seconds\": %.3f, \"per_second\": %.1f",
                 options->work, options->connections, options->depth,
                 options->size, options->keys, options->rate, result->done,
                 result->errors, result->seconds,
                 (double)result->done / result->seconds);
    if (result->hist->total > 0) {
        (void)printf(", \"latency_us\": ");
        print_hist(result->hist, true);
    }
    if (result->spread->total > 0) {
        (void)printf(", \"time_to_all_us\": ");
        print_hist(result->spread, true);
    }
    if (result->cpu_s >= 0 && result->done > 0) {
        (void)printf(", \"server_cpu_us_per_operation\": %.3f",
                     result->cpu_s * 1e6 / (double)result->done);
    }
    if (result->rss > 0) {
        (void)printf(", \"server_rss_bytes\": %" PRIu64, result->rss);
    }
    (void)printf("}\n");
}

void bench_print_text(const struct bench_options *options,
                      const struct bench_result *result)
{
    (void)printf("%s: %" PRIu64 " in %.2f s: %.0f /s, %" PRIu64 " errors\n",
                 options->work, result->done, result->seconds,
                 (double)result->done / result->seconds, result->errors);
    if (result->hist->total > 0) {
        (void)printf("  latency us: ");
        print_hist(result->hist, false);
    }
    if (result->spread->total > 0) {
        (void)printf("  us until all were told: ");
        print_hist(result->spread, false);
    }
    if (result->cpu_s >= 0 && result->done > 0) {
        (void)printf("  servers: %.2f us of CPU each\n",
                     result->cpu_s * 1e6 / (double)result->done);
    }
    if (result->rss > 0) {
        (void)printf("  servers: %.1f MB resident\n",
                     (double)result->rss / 1e6);
    }
}
