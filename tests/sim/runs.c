#include "tests/sim/runs.h"

#include "base/mem.h"

static size_t first_not_below(const struct runs *runs, uint32_t epoch);

void runs_finish(struct runs *runs)
{
    mem_free(runs->ends);
    *runs = (struct runs){0};
}

void runs_reset(struct runs *runs, zxid_t base)
{
    runs->base = base;
    runs->count = 0;
}

void runs_copy(struct runs *to, const struct runs *from)
{
    runs_reset(to, from->base);
    to->ends =
        mem_grow(to->ends, &to->capacity, from->count + 1, sizeof(to->ends[0]));
    for (size_t i = 0; i < from->count; i++) {
        to->ends[i] = from->ends[i];
    }
    to->count = from->count;
}

zxid_t runs_last(const struct runs *runs)
{
    return runs->count == 0 ? runs->base : runs->ends[runs->count - 1];
}

bool runs_append(struct runs *runs, zxid_t zxid)
{
    zxid_t last = runs_last(runs);
    bool follows = zxid == last + 1 && zxid_counter(zxid) != 0;

    if (runs->count > 0 && zxid_epoch(last) == zxid_epoch(zxid)) {
        runs->ends[runs->count - 1] = zxid;
        return follows;
    }
    follows |= zxid_epoch(zxid) > zxid_epoch(last) && zxid_counter(zxid) == 1;
    runs->ends = mem_grow(runs->ends, &runs->capacity, runs->count + 1,
                          sizeof(runs->ends[0]));
    runs->ends[runs->count++] = zxid;
    return follows;
}

bool runs_truncate(struct runs *runs, zxid_t after)
{
    bool had = runs_has(runs, after);

    while (runs->count > 0 &&
           zxid_epoch(runs->ends[runs->count - 1]) > zxid_epoch(after)) {
        runs->count--;
    }
    if (runs->count > 0 && runs->ends[runs->count - 1] > after) {
        runs->ends[runs->count - 1] = after;
    }
    if (runs_last(runs) <= runs->base || after <= runs->base) {
        runs->count = 0;
    }
    return had;
}

bool runs_has(const struct runs *runs, zxid_t zxid)
{
    size_t at;

    if (zxid <= runs->base) {
        return zxid == runs->base;
    }
    at = first_not_below(runs, zxid_epoch(zxid));
    return at < runs->count && zxid_epoch(runs->ends[at]) == zxid_epoch(zxid) &&
           zxid_counter(zxid) >= 1 && zxid <= runs->ends[at];
}

zxid_t runs_next(const struct runs *runs, zxid_t zxid)
{
    size_t at = first_not_below(runs, zxid_epoch(zxid));

    if (at < runs->count && zxid_epoch(runs->ends[at]) == zxid_epoch(zxid)) {
        if (zxid < runs->ends[at]) {
            return zxid + 1;
        }
        at++;
    }
    return at == runs->count ? 0 : zxid_make(zxid_epoch(runs->ends[at]), 1);
}

zxid_t runs_before_epoch(const struct runs *runs, uint32_t epoch)
{
    size_t at = first_not_below(runs, epoch);

    return at == 0 ? runs->base : runs->ends[at - 1];
}

bool runs_agree(const struct runs *a, const struct runs *b, zxid_t upto)
{
    zxid_t floor = a->base > b->base ? a->base : b->base;
    size_t i = first_not_below(a, zxid_epoch(upto) + 1);
    size_t k = first_not_below(b, zxid_epoch(upto) + 1);

    for (;;) {
        zxid_t from_a = i == 0 ? a->base : a->ends[i - 1];
        zxid_t from_b = k == 0 ? b->base : b->ends[k - 1];

        from_a = from_a > upto ? upto : from_a;
        from_b = from_b > upto ? upto : from_b;
        if (from_a <= floor && from_b <= floor) {
            return true;
        }
        if (from_a != from_b) {
            return false;
        }
        i -= i > 0;
        k -= k > 0;
    }
}

/* Index of the first run of that epoch or a later one. The end is where
 * everything happens. */
static size_t first_not_below(const struct runs *runs, uint32_t epoch)
{
    size_t low = 0, high = runs->count;

    if (high > 0 && zxid_epoch(runs->ends[high - 1]) < epoch) {
        return high;
    }
    if (high > 0 && zxid_epoch(runs->ends[high - 1]) == epoch) {
        return high - 1;
    }
    while (low < high) {
        size_t middle = (low + high) / 2;

        if (zxid_epoch(runs->ends[middle]) < epoch) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}
