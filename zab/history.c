#include "zab/history.h"

#include "base/check.h"
#include "base/mem.h"

#define CAPACITY_MIN 64

static struct proposal *slot(const struct history *history, size_t index);
static void grow(struct history *history);
static size_t first_behind(const struct history *history, zxid_t zxid);
static uint64_t bytes_to(const struct history *history, size_t index);
static void drop_first(struct history *history);

void history_init(struct history *history, zxid_t last)
{
    *history = (struct history){.before = last, .last = last};
}

void history_finish(struct history *history)
{
    history_reset(history, 0);
    mem_free(history->items);
    *history = (struct history){0};
}

void history_reset(struct history *history, zxid_t last)
{
    while (history->count > 0) {
        drop_first(history);
    }
    history->before = last;
    history->last = last;
}

bool history_follows(zxid_t before, zxid_t zxid)
{
    if (zxid_epoch(before) == zxid_epoch(zxid)) {
        /* The counter never wraps: it ends before. */
        return zxid == before + 1;
    }
    return zxid_epoch(zxid) > zxid_epoch(before) && zxid_counter(zxid) == 1;
}

void history_append(struct history *history, zxid_t zxid, struct blob *payload)
{
    struct proposal *proposal;

    CHECK(payload != NULL);
    CHECK(history_follows(history->last, zxid));
    if (history->count == history->capacity) {
        grow(history);
    }
    proposal = slot(history, history->count);
    *proposal = (struct proposal){
        .zxid = zxid, .payload = payload, .bytes_before = history->bytes};
    history->count++;
    history->bytes += blob_bytes(payload).len;
    history->last = zxid;
}

void history_truncate(struct history *history, zxid_t after)
{
    while (history->count > 0) {
        struct proposal *last = slot(history, history->count - 1);

        if (last->zxid <= after) {
            break;
        }
        history->bytes = last->bytes_before;
        blob_unref(last->payload);
        history->count--;
    }
    if (history->count == 0) {
        history->before = after;
    }
    history->last = after;
}

void history_trim(struct history *history, zxid_t delivered, size_t bytes_max)
{
    while (history->count > 0) {
        const struct proposal *first = slot(history, 0);

        if (first->zxid > delivered ||
            history->bytes - first->bytes_before <= bytes_max) {
            break;
        }
        drop_first(history);
    }
}

size_t history_after(const struct history *history, zxid_t zxid)
{
    size_t index = first_behind(history, zxid);
    zxid_t before;

    if (index == history->count) {
        return SIZE_MAX;
    }
    before = index == 0 ? history->before : slot(history, index - 1)->zxid;
    return before == zxid ? index : SIZE_MAX;
}

const struct proposal *history_at(const struct history *history, size_t index)
{
    CHECK(index < history->count);
    return slot(history, index);
}

size_t history_bytes(const struct history *history, zxid_t from, zxid_t to)
{
    size_t index;

    if (to <= from || from == history->last) {
        return 0;
    }
    index = history_after(history, from);
    if (index == SIZE_MAX) {
        return SIZE_MAX;
    }
    return (size_t)(bytes_to(history, first_behind(history, to)) -
                    bytes_to(history, index));
}

static struct proposal *slot(const struct history *history, size_t index)
{
    return &history->items[(history->first + index) & (history->capacity - 1)];
}

static void grow(struct history *history)
{
    size_t capacity =
        history->capacity == 0 ? CAPACITY_MIN : history->capacity * 2;
    struct proposal *items = MEM_ARRAY(struct proposal, capacity);

    for (size_t i = 0; i < history->count; i++) {
        items[i] = *slot(history, i);
    }
    mem_free(history->items);
    history->items = items;
    history->capacity = capacity;
    history->first = 0;
}

/* Index of the first one above zxid; count: none. */
static size_t first_behind(const struct history *history, zxid_t zxid)
{
    size_t low = 0, high = history->count;

    /* Within an epoch places are distances. */
    if (high > 0 && zxid >= slot(history, 0)->zxid) {
        uint64_t distance = zxid - slot(history, 0)->zxid;

        if (distance < high && slot(history, distance)->zxid == zxid) {
            return distance + 1;
        }
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (slot(history, middle)->zxid > zxid) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* Of all payloads taken in before the one at index; count is allowed. */
static uint64_t bytes_to(const struct history *history, size_t index)
{
    return index == history->count ? history->bytes
                                   : slot(history, index)->bytes_before;
}

static void drop_first(struct history *history)
{
    struct proposal *first = slot(history, 0);

    history->before = first->zxid;
    blob_unref(first->payload);
    history->first = (history->first + 1) & (history->capacity - 1);
    history->count--;
}
