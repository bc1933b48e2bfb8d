/* The end of our history in memory. */
#include <criterion/criterion.h>

#include "zab/history.h"

static struct history history;

static struct blob *payload(size_t len)
{
    uint8_t *bytes;
    struct blob *blob = blob_create(len, &bytes);

    memset(bytes, 'x', len);
    return blob;
}

static void append(uint32_t epoch, uint32_t counter, size_t len)
{
    history_append(&history, zxid_make(epoch, counter), payload(len));
}

static void fill(uint32_t epoch, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i <= to; i++) {
        append(epoch, i, 10);
    }
}

static zxid_t next_after(uint32_t epoch, uint32_t counter)
{
    size_t index = history_after(&history, zxid_make(epoch, counter));

    return index == SIZE_MAX ? 0 : history_at(&history, index)->zxid;
}

Test(zab_history, after_a_zxid_comes_the_next_or_a_later_epochs_first)
{
    zxid_t last = zxid_make(3, 7);

    cr_assert(history_follows(last, zxid_make(3, 8)));
    cr_assert(history_follows(last, zxid_make(4, 1)));
    cr_assert(history_follows(last, zxid_make(9, 1)));
    cr_assert(history_follows(0, zxid_make(1, 1)));
    cr_assert_not(history_follows(last, last));
    cr_assert_not(history_follows(last, zxid_make(3, 9)));
    cr_assert_not(history_follows(last, zxid_make(3, 1)));
    cr_assert_not(history_follows(last, zxid_make(4, 2)));
    cr_assert_not(history_follows(last, zxid_make(4, 0)));
    cr_assert_not(history_follows(last, zxid_make(2, 8)));
    cr_assert_not(history_follows(last, zxid_make(2, 1)));
    cr_assert_not(history_follows(zxid_make(3, UINT32_MAX), zxid_make(4, 0)));
}

Test(zab_history, finds_what_follows_over_epochs)
{
    history_init(&history, zxid_make(1, 4));
    fill(1, 5, 7);
    fill(4, 1, 3);
    cr_assert_eq(history.last, zxid_make(4, 3));
    cr_assert_eq(next_after(1, 4), zxid_make(1, 5));
    cr_assert_eq(next_after(1, 6), zxid_make(1, 7));
    cr_assert_eq(next_after(1, 7), zxid_make(4, 1));
    cr_assert_eq(next_after(4, 2), zxid_make(4, 3));
    history_finish(&history);
}

/* Neither what is the last, nor what is none of ours, nor what was before. */
Test(zab_history, what_does_not_stand_in_it_is_followed_by_nothing)
{
    history_init(&history, zxid_make(1, 4));
    cr_assert_eq(next_after(1, 4), 0);
    fill(1, 5, 7);
    fill(4, 1, 3);
    cr_assert_eq(next_after(4, 3), 0);
    cr_assert_eq(next_after(1, 3), 0);
    cr_assert_eq(next_after(1, 8), 0);
    cr_assert_eq(next_after(2, 1), 0);
    cr_assert_eq(next_after(4, 0), 0);
    cr_assert_eq(next_after(0, 0), 0);
    history_finish(&history);
}

/* After (1.7) anything of a later epoch could come: that it is 4.1 must be
 * known, not guessed (a hole there would be lost writes). */
Test(zab_history, the_first_of_an_epoch_is_not_taken_for_the_next)
{
    history_init(&history, zxid_make(1, 0));
    fill(1, 1, 9);
    fill(4, 1, 3);
    history_trim(&history, zxid_make(1, 9), 30);
    cr_assert_eq(history.count, 3);
    cr_assert_eq(next_after(1, 8), 0);
    cr_assert_eq(next_after(1, 9), zxid_make(4, 1));
    history_finish(&history);
}

Test(zab_history, grows_as_a_circle_and_keeps_its_order)
{
    history_init(&history, 0);
    for (uint32_t i = 1; i <= 1000; i++) {
        append(1, i, 10);
        /* A quarter stays: the circle turns while it grows. */
        history_trim(&history, zxid_make(1, i - i / 4), 0);
        cr_assert_eq(history.count, i / 4);
        cr_assert_eq(history.capacity & (history.capacity - 1), 0);
        cr_assert_eq(next_after(1, i - 1), i >= 4 ? zxid_make(1, i) : 0);
    }
    for (size_t i = 0; i < history.count; i++) {
        cr_assert_eq(history_at(&history, i)->zxid,
                     zxid_make(1, 751 + (uint32_t)i));
    }
    history_finish(&history);
}

Test(zab_history, keeps_what_is_delivered_while_it_fits)
{
    history_init(&history, 0);
    fill(1, 1, 10);
    history_trim(&history, zxid_make(1, 6), 100);
    cr_assert_eq(history.count, 10);
    history_trim(&history, zxid_make(1, 6), 75);
    cr_assert_eq(history.count, 7);
    cr_assert_eq(next_after(1, 2), 0);
    cr_assert_eq(next_after(1, 3), zxid_make(1, 4));
    /* And what is not delivered, whether it fits or not. */
    history_trim(&history, zxid_make(1, 6), 0);
    cr_assert_eq(history.count, 4);
    cr_assert_eq(history_at(&history, 0)->zxid, zxid_make(1, 7));
    history_finish(&history);
}

Test(zab_history, truncated_it_goes_on_from_there)
{
    history_init(&history, 0);
    fill(1, 1, 10);
    history_truncate(&history, zxid_make(1, 7));
    cr_assert_eq(history.count, 7);
    cr_assert_eq(history.last, zxid_make(1, 7));
    cr_assert_eq(next_after(1, 7), 0);
    append(3, 1, 10);
    cr_assert_eq(next_after(1, 7), zxid_make(3, 1));
    cr_assert_eq(history_bytes(&history, 0, zxid_make(3, 1)), 80);
    history_finish(&history);
}

/* Down to what memory no longer has. */
Test(zab_history, truncated_below_its_beginning_it_is_empty)
{
    history_init(&history, 0);
    fill(1, 1, 10);
    history_trim(&history, zxid_make(1, 8), 0);
    history_truncate(&history, zxid_make(1, 4));
    cr_assert_eq(history.count, 0);
    append(2, 1, 10);
    cr_assert_eq(next_after(1, 4), zxid_make(2, 1));
    cr_assert_eq(next_after(1, 8), 0);
    history_finish(&history);
}

Test(zab_history, bytes_between)
{
    history_init(&history, 0);
    fill(1, 1, 10);
    append(2, 1, 7);
    cr_assert_eq(history_bytes(&history, 0, zxid_make(2, 1)), 107);
    cr_assert_eq(history_bytes(&history, zxid_make(1, 3), zxid_make(1, 5)), 20);
    cr_assert_eq(history_bytes(&history, zxid_make(1, 9), zxid_make(2, 1)), 17);
    cr_assert_eq(history_bytes(&history, zxid_make(2, 1), zxid_make(2, 1)), 0);
    cr_assert_eq(history_bytes(&history, zxid_make(1, 5), zxid_make(1, 3)), 0);
    history_trim(&history, zxid_make(1, 5), 0);
    cr_assert_eq(history_bytes(&history, zxid_make(1, 4), zxid_make(1, 9)),
                 SIZE_MAX);
    history_finish(&history);
}

Test(zab_history, reset_forgets_all)
{
    history_init(&history, 0);
    fill(1, 1, 10);
    history_reset(&history, zxid_make(5, 9));
    cr_assert_eq(history.count, 0);
    cr_assert_eq(history.last, zxid_make(5, 9));
    append(5, 10, 1);
    cr_assert_eq(next_after(5, 9), zxid_make(5, 10));
    cr_assert_eq(next_after(1, 3), 0);
    history_finish(&history);
}
