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

static void print_gap_json(const struct bench_gap *gap)
{
    (void)printf(", \"longest_gap_ms\": %.1f, \"closed\": %" PRIu64
                 ", \"resumed\": %" PRIu64 ", \"expired\": %" PRIu64
                 ", \"retried\": %" PRIu64 ", \"unanswered\": %" PRIu64
                 ", \"lost\": %" PRIu64 ", \"twice\": %" PRIu64
                 ", \"zxids_back\": %" PRIu64 ", \"refused\": %" PRIu64
                 ", \"unverified\": %" PRIu64 ", \"marks\": [",
                 (double)gap->longest_ns / 1e6, gap->closed, gap->resumed,
                 gap->expired, gap->retried, gap->unanswered, gap->lost,
                 gap->twice, gap->zxids_back, gap->refused, gap->unverified);
    for (size_t i = 0; i < gap->marks_count; i++) {
        const struct bench_mark *mark = &gap->marks[i];
        uint64_t resumed_ns = mark->last_resumed_ns == 0
                                  ? 0
                                  : mark->last_resumed_ns - mark->at_ns;

        (void)printf("%s{\"name\": \"%s\", \"at_s\": %.3f"
                     ", \"longest_gap_ms\": %.1f, \"acknowledged\": %" PRIu64
                     ", \"closed\": %" PRIu64 ", \"resumed\": %" PRIu64
                     ", \"expired\": %" PRIu64 ", \"all_resumed_ms\": %.1f}",
                     i == 0 ? "" : ", ", mark->name,
                     (double)(mark->at_ns - gap->marks[0].at_ns) / 1e9,
                     (double)mark->longest_ns / 1e6, mark->acknowledged,
                     mark->closed, mark->resumed, mark->expired,
                     (double)resumed_ns / 1e6);
    }
    (void)printf("]");
}

static void print_gap_text(const struct bench_gap *gap)
{
    (void)printf("  longest gap: %.1f ms; connections lost: %" PRIu64
                 ", sessions resumed: %" PRIu64 ", expired: %" PRIu64 "\n",
                 (double)gap->longest_ns / 1e6, gap->closed, gap->resumed,
                 gap->expired);
    (void)printf("  writes sent again: %" PRIu64 ", without an answer: %" PRIu64
                 "\n  lost: %" PRIu64 ", applied twice: %" PRIu64
                 ", zxids gone back: %" PRIu64 ", errors: %" PRIu64
                 ", keys not read back: %" PRIu64 "\n",
                 gap->retried, gap->unanswered, gap->lost, gap->twice,
                 gap->zxids_back, gap->refused, gap->unverified);
    for (size_t i = 1; i < gap->marks_count; i++) {
        const struct bench_mark *mark = &gap->marks[i];

        (void)printf("  %s at %.3f s: longest gap %.1f ms\n", mark->name,
                     (double)(mark->at_ns - gap->marks[0].at_ns) / 1e9,
                     (double)mark->longest_ns / 1e6);
    }
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
        (void)printf(result->gap.marks == NULL ? ", \"time_to_all_us\": "
                                               : ", \"time_to_resume_us\": ");
        print_hist(result->spread, true);
    }
    if (result->gap.marks != NULL) {
        print_gap_json(&result->gap);
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
        (void)printf(result->gap.marks == NULL
                         ? "  us until all were told: "
                         : "  us until a session was resumed: ");
        print_hist(result->spread, false);
    }
    if (result->gap.marks != NULL) {
        print_gap_text(&result->gap);
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
