/* DESIGN 2.7: a barrier is a place between the proposals before it and those
 * after it, on every schedule of proposals, barriers and answers of the disk.
 */
#include <criterion/criterion.h>

#include "tests/unit/zab/alone.h"

#define INPUTS 6

/* How many proposals were made before each barrier (by number, from 1). */
struct expected {
    unsigned proposals_before[INPUTS + 1];
    unsigned proposals, barriers;
};

static void check_places(const struct alone *alone,
                         const struct expected *expected)
{
    unsigned delivered = 0, done = 0;

    for (size_t i = 0; i < alone->events_count; i++) {
        const struct alone_event *event = &alone->events[i];

        if (!event->is_barrier) {
            /* All barriers before this proposal have been told. */
            for (unsigned b = done + 1; b <= expected->barriers; b++) {
                cr_assert(expected->proposals_before[b] > delivered);
            }
            delivered++;
            continue;
        }
        cr_assert(event->what > done);
        done = (unsigned)event->what;
        cr_assert(expected->proposals_before[done] <= delivered);
    }
    cr_assert_eq(delivered, expected->proposals);
    cr_assert_eq(done, expected->barriers);
}

/* Bit i of kinds: input i is a barrier; of stores: the oldest write is done
 * after input i; of twice: and one more. */
static void run(unsigned kinds, unsigned stores, unsigned twice)
{
    struct alone alone;
    struct expected expected = {0};

    alone_init(&alone);
    alone_serve(&alone);
    for (unsigned i = 0; i < INPUTS; i++) {
        size_t count = (stores >> i & 1) + (twice >> i & 1);

        if ((kinds >> i & 1) != 0) {
            expected.barriers++;
            expected.proposals_before[expected.barriers] = expected.proposals;
            alone_barrier(&alone, expected.barriers);
        } else {
            expected.proposals++;
            (void)alone_propose(&alone, "p");
        }
        if (count > alone.writes_count) {
            count = alone.writes_count;
        }
        if (count > 0) {
            alone_store(&alone, count);
        }
    }
    alone_settle(&alone);
    check_places(&alone, &expected);
    alone_finish(&alone);
}

Test(zab_barrier, keeps_its_place_on_every_schedule)
{
    for (unsigned kinds = 0; kinds < 1U << INPUTS; kinds++) {
        for (unsigned stores = 0; stores < 1U << INPUTS; stores++) {
            run(kinds, stores, stores);
            run(kinds, stores, stores >> 1);
            run(kinds, stores, 0);
        }
    }
}

Test(zab_barrier, with_nothing_before_it_is_done_at_once)
{
    struct alone alone;

    alone_init(&alone);
    alone_serve(&alone);
    buf_clear(&alone.trace);
    alone_barrier(&alone, 1);
    alone_expect(&alone, "> barrier 1\nbarrier done 1\n");
    cr_assert_eq(alone.writes_count, 0);
    alone_finish(&alone);
}

/* Done up to a number: any number of them between two proposals is one. */
Test(zab_barrier, many_at_one_place_need_no_room)
{
    struct alone alone;

    alone_init(&alone);
    alone_serve(&alone);
    (void)alone_propose(&alone, "p");
    for (uint64_t i = 1; i <= 1000; i++) {
        alone_barrier(&alone, i);
    }
    cr_assert_eq(alone.events_count, 0);
    alone_settle(&alone);
    cr_assert_eq(alone.events_count, 2);
    cr_assert_eq(alone.events[1].what, 1000);
    alone_finish(&alone);
}

Test(zab_barrier, one_at_every_place_of_a_full_window)
{
    struct alone alone;

    alone_init(&alone);
    alone_serve(&alone);
    for (uint64_t i = 1; i <= 8; i++) {
        (void)alone_propose(&alone, "p");
        alone_barrier(&alone, i);
    }
    alone_settle(&alone);
    cr_assert_eq(alone.events_count, 16);
    for (size_t i = 0; i < 16; i++) {
        cr_assert_eq(alone.events[i].is_barrier, i % 2 == 1);
    }
    alone_finish(&alone);
}
