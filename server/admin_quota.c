/* As ZooKeeper shows quotas: those of everything below "/a" added up as
 * zk_a_quota_... */
#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "server/admin_internal.h"

/* All of them are looked at in one slice. */
#define QUOTAS_MAX 1000

struct sums {
    struct slice space; /* "a" */
    int64_t count_limit, bytes_limit, count, bytes;
};

static size_t collect(const struct admin_job *job, struct sums *sums);
static size_t add_up(struct sums *sums, size_t count);
static void print_sum(const struct sums *sums, const char *name, int64_t value,
                      struct buf *out);

void admin_quotas(const struct admin_job *job, struct buf *out)
{
    size_t count = inspect_quotas_count(job->replica);
    struct sums *sums;

    admin_metric(out, "corral_quotas", count);
    if (count == 0 || count > QUOTAS_MAX) {
        return;
    }
    sums = mem_alloc(count * sizeof(*sums));
    count = add_up(sums, collect(job, sums));
    for (size_t i = 0; i < count; i++) {
        print_sum(&sums[i], "count_limit", sums[i].count_limit, out);
        print_sum(&sums[i], "count_usage", sums[i].count, out);
        print_sum(&sums[i], "bytes_limit", sums[i].bytes_limit, out);
        print_sum(&sums[i], "bytes_usage", sums[i].bytes, out);
    }
    mem_free(sums);
}

/* "a" of "/a/b". */
static struct slice space_of(struct slice path)
{
    const uint8_t *end;

    path = slice_after(path, 1);
    end = memchr(path.ptr, '/', path.len);
    return end == NULL ? path : slice_make(path.ptr, (size_t)(end - path.ptr));
}

static int by_space(const void *a, const void *b)
{
    return slice_compare(((const struct sums *)a)->space,
                         ((const struct sums *)b)->space);
}

static size_t collect(const struct admin_job *job, struct sums *sums)
{
    struct inspect_quota quota;
    const void *cursor = NULL;
    size_t count = 0;

    while (inspect_quota_next(job->replica, &cursor, &quota)) {
        sums[count++] = (struct sums){.space = space_of(quota.path),
                                      .count_limit = quota.count_limit,
                                      .bytes_limit = quota.bytes_limit,
                                      .count = quota.count,
                                      .bytes = quota.bytes};
    }
    qsort(sums, count, sizeof(*sums), by_space);
    return count;
}

/* Below 0 there is no limit. What does not fit is as good as none. */
static int64_t both(int64_t a, int64_t b)
{
    int64_t sum;

    if (a < 0 || b < 0) {
        return a < 0 ? b : a;
    }
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* One for each space is left, in front. */
static size_t add_up(struct sums *sums, size_t count)
{
    size_t left = 0;

    for (size_t i = 0; i < count; i++) {
        struct sums *last = &sums[left > 0 ? left - 1 : 0];

        if (left == 0 || by_space(last, &sums[i]) != 0) {
            sums[left++] = sums[i];
            continue;
        }
        last->count_limit = both(last->count_limit, sums[i].count_limit);
        last->bytes_limit = both(last->bytes_limit, sums[i].bytes_limit);
        last->count = both(last->count, sums[i].count);
        last->bytes = both(last->bytes, sums[i].bytes);
    }
    return left;
}

/* What clients put into a path must not look like another line or value. */
static void print_sum(const struct sums *sums, const char *name, int64_t value,
                      struct buf *out)
{
    buf_append_text(out, "zk_");
    for (size_t i = 0; i < sums->space.len; i++) {
        char c = (char)sums->space.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     (c >= '0' && c <= '9') || c == '-' || c == '.';

        buf_printf(out, "%c", plain ? c : '_');
    }
    buf_printf(out, "_quota_%s_per_namespace\t%" PRId64 "\n", name, value);
}
