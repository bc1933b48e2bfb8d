#include "zab/history.h"

#include "base/check.h"

struct proposal {
    zxid_t zxid;
    struct blob *payload;
};

void history_init(struct history *history, size_t capacity, zxid_t last)
{
    ring_init(&history->proposals, sizeof(struct proposal), capacity);
    history->last = last;
}

void history_finish(struct history *history)
{
    while (history_count(history) > 0) {
        blob_unref(history_take(history));
    }
    ring_finish(&history->proposals);
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
    struct proposal proposal = {zxid, payload};
    bool pushed;

    CHECK(history_follows(history->last, zxid));
    pushed = ring_push(&history->proposals, &proposal);
    CHECK(pushed);
    history->last = zxid;
}

size_t history_count(const struct history *history)
{
    return history->proposals.count;
}

bool history_full(const struct history *history)
{
    return history->proposals.count == history->proposals.capacity;
}

zxid_t history_first(struct history *history)
{
    const struct proposal *first = ring_first(&history->proposals);

    return first == NULL ? 0 : first->zxid;
}

struct blob *history_take(struct history *history)
{
    const struct proposal *first = ring_first(&history->proposals);
    struct blob *payload;

    CHECK(first != NULL);
    payload = first->payload;
    ring_pop(&history->proposals);
    return payload;
}
