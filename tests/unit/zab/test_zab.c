#include <criterion/criterion.h>

#include "tests/unit/zab/alone.h"

Test(zab_zab, golden_trace_of_a_first_start)
{
    struct alone alone;

    alone_init(&alone);
    alone_start(&alone);
    alone_tick(&alone);
    alone_settle(&alone);
    alone_expect(&alone, "> tick\n"
                         "tree begin\n"
                         "store read-snap seq=1 reader=1\n"
                         "store read-snap seq=2 reader=1\n"
                         "> read-snap seq=1 reader=1 "
                         "err=\"not found\"\n"
                         "store read-close seq=3 reader=1\n"
                         "tree end 0.0\n"
                         "store epochs seq=4 accepted=1 current=0\n"
                         "> stored 4\n"
                         "store epochs seq=5 accepted=1 current=1\n"
                         "> stored 5\n"
                         "role: a quorum has taken up the epoch\n"
                         "> read-snap seq=2 reader=1 "
                         "err=\"not found\"\n");
    alone_propose(&alone, "a");
    alone_propose(&alone, "bb");
    alone_barrier(&alone, 7);
    alone_propose(&alone, "ccc");
    alone_store(&alone, 3);
    alone_expect(&alone, "> propose bytes=1\n"
                         "store append seq=6 1.1 committed=0.0 bytes=1\n"
                         "> propose bytes=2\n"
                         "store append seq=7 1.2 committed=0.0 bytes=2\n"
                         "> barrier 7\n"
                         "> propose bytes=3\n"
                         "store append seq=8 1.3 committed=0.0 bytes=3\n"
                         "> stored 8\n"
                         "deliver 1.1 bytes=1\n"
                         "deliver 1.2 bytes=2\n"
                         "barrier done 7\n"
                         "deliver 1.3 bytes=3\n");
    alone_finish(&alone);
}

Test(zab_zab, leads_only_when_its_epoch_is_durable)
{
    struct alone alone;

    alone_init(&alone);
    alone_start(&alone);
    cr_assert_eq(zab_role(alone.zab), ZAB_LOOKING);
    cr_assert_eq(zab_leader_id(alone.zab), 0);
    alone_tick(&alone);
    while (alone.reads_count > 0) {
        alone_read(&alone);
    }
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(zab_role(alone.zab), ZAB_LOOKING);
        cr_assert_not(zab_can_propose(alone.zab));
        cr_assert_eq(alone.writes_count, 1);
        cr_assert_eq(alone.writes[0].type, STORE_EPOCHS);
        cr_assert_eq(alone.writes[0].cluster_id[0], 0xab);
        alone_store(&alone, 1);
    }
    cr_assert_eq(zab_role(alone.zab), ZAB_LEADING);
    cr_assert_eq(zab_leader_id(alone.zab), 1);
    cr_assert_eq(zab_epoch(alone.zab), 1);
    cr_assert_eq(alone.epoch_current, 1);
    cr_assert_eq(alone.roles, 1);
    cr_assert(zab_can_propose(alone.zab));
    cr_assert_eq(zab_next_zxid(alone.zab), zxid_make(1, 1));
    alone_finish(&alone);
}

/* Further ticks while the disk is slow ask for nothing twice. */
Test(zab_zab, ticks_change_nothing_while_it_waits)
{
    struct alone alone;

    alone_init(&alone);
    alone_start(&alone);
    alone_tick(&alone);
    buf_clear(&alone.trace);
    alone_tick(&alone);
    alone_expect(&alone, "> tick\n");
    alone_settle(&alone);
    buf_clear(&alone.trace);
    alone_tick(&alone);
    alone_expect(&alone, "> tick\n");
    alone_finish(&alone);
}

Test(zab_zab, a_crash_loses_only_what_was_not_stored)
{
    struct alone alone;

    alone_init(&alone);
    alone_serve(&alone);
    for (unsigned i = 0; i < 5; i++) {
        (void)alone_propose(&alone, "x");
    }
    alone_store(&alone, 3);
    cr_assert_eq(alone.events_count, 3);
    alone_crash(&alone);
    alone_serve(&alone);
    cr_assert_eq(alone.delivered, zxid_make(1, 3));
    cr_assert_eq(alone.events_count, 3);
    cr_assert_eq(zab_next_zxid(alone.zab), zxid_make(2, 1));
    (void)alone_propose(&alone, "y");
    alone_settle(&alone);
    cr_assert_eq(alone.delivered, zxid_make(2, 1));
    alone_finish(&alone);
}

/* A start that crashes anywhere never uses an epoch again that was promised,
 * and keeps the cluster id. */
Test(zab_zab, the_epoch_rises_at_every_start)
{
    struct alone alone;
    uint32_t before = 0;

    alone_init(&alone);
    for (unsigned i = 0; i < 12; i++) {
        alone_start(&alone);
        alone_tick(&alone);
        while (alone.reads_count > 0) {
            alone_read(&alone);
        }
        for (unsigned stores = 0; stores < i % 3; stores++) {
            alone_store(&alone, 1);
        }
        if (zab_role(alone.zab) == ZAB_LEADING) {
            cr_assert(zab_epoch(alone.zab) > before);
            before = zab_epoch(alone.zab);
            alone_settle(&alone);
            (void)alone_propose(&alone, "x");
            alone_settle(&alone);
        }
        alone_crash(&alone);
        alone.config.entropy[0]++;
    }
    cr_assert_eq(before, 8);
    /* The first promise made it; later starts keep it. */
    cr_assert_eq(alone.cluster_id[0], 0xac);
    alone_finish(&alone);
}

Test(zab_zab, the_window_stops_proposals_until_something_is_delivered)
{
    struct alone alone;

    alone_init(&alone);
    alone_serve(&alone);
    for (unsigned i = 0; i < 8; i++) {
        cr_assert(zab_can_propose(alone.zab));
        cr_assert_not(zab_window_full(alone.zab));
        (void)alone_propose(&alone, "x");
    }
    cr_assert(zab_window_full(alone.zab));
    cr_assert_not(zab_can_propose(alone.zab));
    alone_barrier(&alone, 1); /* takes no room */
    alone_store(&alone, 1);
    cr_assert(zab_can_propose(alone.zab));
    (void)alone_propose(&alone, "x");
    cr_assert_not(zab_can_propose(alone.zab));
    alone_settle(&alone);
    cr_assert_eq(alone.delivered, zxid_make(1, 9));
    alone_finish(&alone);
}

/* One number acknowledges all before it; an old one again says nothing new. */
Test(zab_zab, stored_is_cumulative)
{
    struct alone alone;

    alone_init(&alone);
    alone_serve(&alone);
    (void)alone_propose(&alone, "a");
    (void)alone_propose(&alone, "b");
    (void)alone_propose(&alone, "c");
    alone_store(&alone, 2);
    cr_assert_eq(zab_committed(alone.zab), zxid_make(1, 2));
    cr_assert_eq(alone.events_count, 2);
    alone_store(&alone, 1);
    cr_assert_eq(alone.events_count, 3);
    alone_finish(&alone);
}

Test(zab_zab, the_epoch_changes_in_place_near_the_counters_end)
{
    struct alone alone;

    alone_init(&alone);
    alone.config.counter_max = 3;
    alone_serve(&alone);
    (void)alone_propose(&alone, "a");
    (void)alone_propose(&alone, "b");
    cr_assert(zab_can_propose(alone.zab));
    (void)alone_propose(&alone, "c");
    cr_assert_not(zab_can_propose(alone.zab));
    cr_assert_not(zab_window_full(alone.zab));
    alone_barrier(&alone, 1);
    buf_clear(&alone.trace);
    alone_store(&alone, 2);
    alone_store(&alone, 1);
    alone_barrier(&alone, 2);
    alone_store(&alone, 1);
    cr_assert_eq(zab_role(alone.zab), ZAB_LEADING);
    cr_assert_not(zab_can_propose(alone.zab));
    alone_store(&alone, 1);
    alone_expect(&alone, "> stored 7\n"
                         "deliver 1.1 bytes=1\n"
                         "deliver 1.2 bytes=1\n"
                         "> stored 8\n"
                         "deliver 1.3 bytes=1\n"
                         "barrier done 1\n"
                         "store epochs seq=9 accepted=2 current=1\n"
                         "> barrier 2\n"
                         "barrier done 2\n"
                         "> stored 9\n"
                         "store epochs seq=10 accepted=2 current=2\n"
                         "> stored 10\n"
                         "role: a quorum has taken up the epoch\n");
    cr_assert(zab_can_propose(alone.zab));
    cr_assert_eq(alone_propose(&alone, "d"), zxid_make(2, 1));
    alone_settle(&alone);
    alone_crash(&alone);
    alone_serve(&alone); /* the log over both epochs has no gap */
    cr_assert_eq(alone.delivered, zxid_make(2, 1));
    cr_assert_eq(zab_epoch(alone.zab), 3);
    alone_finish(&alone);
}
