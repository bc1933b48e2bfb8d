/* What a leader sends to make a learner's history its own. Ours: 2.1 .. 2.3,
 * then 3.1 .. 3.5, all on disk and none in memory; the epoch we lead is 4. */
#include <criterion/criterion.h>

#include "tests/unit/zab/rig.h"

static void init(struct rig *rig, unsigned voters, unsigned observers)
{
    rig_init(rig, voters, observers);
    rig_had(rig, 2, 3);
    rig_had(rig, 3, 5);
}

/* Our checkpoint is 3.2, and the log begins behind it. */
static void purge(struct rig *rig)
{
    rig->durable.zxid_checkpoint = Z(3, 2);
    rig->durable.zxid_committed = Z(3, 2);
    rig->durable.zxid_first = Z(3, 3);
    rig->purged = Z(3, 2);
    rig->ends[0] = rig->ends[1];
    rig->durable.epoch_ends_count = 1;
}

static struct rig_history history(zxid_t checkpoint, zxid_t end_2, zxid_t end_3)
{
    struct rig_history has = {
        .counted = true, .whole = true, .checkpoint = checkpoint};

    has.last = checkpoint;
    has.epoch_current = zxid_epoch(checkpoint);
    if (end_2 != 0) {
        has.ends[has.ends_count++] = has.last = end_2;
        has.epoch_current = 2;
    }
    if (end_3 != 0) {
        has.ends[has.ends_count++] = has.last = end_3;
        has.epoch_current = 3;
    }
    return has;
}

/* Server 3 comes to the leader with this; what it is sent first. */
static const struct rig_event *come(struct rig *rig,
                                    const struct rig_history *has)
{
    size_t i;

    rig_link(rig, 3, true);
    rig_ask(rig, 3, has->epoch_current);
    rig_forget(rig);
    rig_promise(rig, 3, has);
    i = rig_find(rig, ZAB_SEND, 0);
    return i == SIZE_MAX ? NULL : &rig->events[i];
}

static void expect_first(const struct rig_history *has, enum peer_msg_type type,
                         zxid_t zxid)
{
    struct rig rig;
    const struct rig_event *first;

    init(&rig, 3, 0);
    rig_lead(&rig, BIT(2));
    first = come(&rig, has);
    cr_assert_not_null(first);
    cr_assert_eq(first->msg.type, type);
    cr_assert_eq(first->msg.zxid, zxid);
    cr_assert_eq(first->msg.epoch, 4);
    rig_finish(&rig);
}

Test(zab_sync_leader, the_common_point_is_where_both_still_agree)
{
    struct rig_history has = history(0, Z(2, 3), Z(3, 5));

    expect_first(&has, PEER_SYNC_DIFF, Z(3, 5));
    has = history(0, Z(2, 3), Z(3, 4));
    expect_first(&has, PEER_SYNC_DIFF, Z(3, 4));
    has = history(0, Z(2, 3), Z(3, 7));
    expect_first(&has, PEER_SYNC_TRUNC, Z(3, 5));
    has = history(0, Z(2, 5), 0);
    expect_first(&has, PEER_SYNC_TRUNC, Z(2, 3));
    has = history(0, Z(2, 2), 0);
    expect_first(&has, PEER_SYNC_DIFF, Z(2, 2));
    /* An epoch that only it knows of. */
    has = history(0, Z(2, 2), Z(3, 5));
    has.ends[1] = has.last = Z(1, 0) + Z(4, 9);
    expect_first(&has, PEER_SYNC_TRUNC, Z(2, 2));
}

Test(zab_sync_leader, without_a_common_epoch_it_is_the_checkpoint)
{
    struct rig_history has = history(Z(3, 2), 0, 0);

    expect_first(&has, PEER_SYNC_DIFF, Z(3, 2));
    has.ends[0] = has.last = Z(5, 1);
    has.ends_count = 1;
    expect_first(&has, PEER_SYNC_TRUNC, Z(3, 2));
    has = history(0, 0, 0); /* empty */
    expect_first(&has, PEER_SYNC_DIFF, 0);
}

Test(zab_sync_leader, what_cannot_be_built_on_is_replaced)
{
    struct rig_history has = history(0, Z(2, 3), Z(3, 5));
    struct rig rig;

    has.whole = false;
    init(&rig, 3, 0);
    purge(&rig);
    rig_lead(&rig, BIT(2));
    cr_assert_null(come(&rig, &has));
    cr_assert_eq(rig_asked(&rig, STORE_READ_SNAP)->reader_id, 3);
    rig_read(&rig);
    cr_assert_eq(rig_sent(&rig, PEER_SYNC_SNAP, 3)->msg.zxid, Z(3, 2));
    cr_assert_eq(rig_mark(&rig, ZAB_MARK_SYNC_SNAP), 1);
    rig_finish(&rig);
}

/* Below its own checkpoint, below our log, a checkpoint that is not ours. */
Test(zab_sync_leader, what_lies_too_far_back_is_replaced)
{
    struct rig_history all[] = {
        history(Z(2, 4), Z(2, 5), 0),
        history(0, Z(2, 2), 0),
        history(0, 0, 0),
        history(Z(3, 6), 0, 0),
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct rig rig;

        init(&rig, 3, 0);
        purge(&rig);
        rig_lead(&rig, BIT(2));
        (void)come(&rig, &all[i]);
        cr_assert_not_null(rig_asked(&rig, STORE_READ_SNAP));
        rig_finish(&rig);
    }
}

/* Another one may still come with a later history. */
Test(zab_sync_leader, nobody_is_cut_before_the_quorum)
{
    struct rig rig;
    struct rig_history has = history(0, Z(2, 7), 0);

    init(&rig, 5, 0);
    rig_elect(&rig);
    for (uint64_t id = 2; id <= 4; id++) {
        rig_link(&rig, id, true);
        rig_ask(&rig, id, 3);
    }
    rig_store(&rig);
    rig_promise(&rig, 2, &has);
    cr_assert_null(rig_sent(&rig, PEER_SYNC_TRUNC, 2));
    has = rig_same(&rig);
    rig_promise(&rig, 3, &has);
    cr_assert_eq(rig_sent(&rig, PEER_SYNC_TRUNC, 2)->msg.zxid, Z(2, 3));
    cr_assert_eq(rig_sent(&rig, PEER_SYNC_DIFF, 3)->msg.zxid, Z(3, 5));
    rig_finish(&rig);
}

Test(zab_sync_leader, history_comes_from_the_log_epoch_by_epoch)
{
    struct rig rig;
    struct rig_history has = history(0, Z(2, 1), 0);
    size_t first, second;

    init(&rig, 3, 0);
    rig_lead(&rig, BIT(2));
    (void)come(&rig, &has);
    cr_assert_eq(rig_asked(&rig, STORE_READ_LOG)->zxid, Z(2, 1));
    cr_assert_null(rig_sent(&rig, PEER_NEW_LEADER, 3));
    rig_read(&rig);
    first = rig_find_sent(&rig, PEER_PROPOSE, 3, 0);
    second = rig_find_sent(&rig, PEER_PROPOSE, 3, first + 1);
    cr_assert_eq(rig.events[first].msg.zxid, Z(2, 2));
    cr_assert_eq(rig.events[first].msg.payloads_count, 2);
    cr_assert_eq(rig.events[second].msg.zxid, Z(3, 1));
    cr_assert_eq(rig.events[second].msg.payloads_count, 5);
    cr_assert_eq(rig_sent(&rig, PEER_NEW_LEADER, 3)->msg.zxid, Z(3, 5));
    cr_assert_eq(rig_mark(&rig, ZAB_MARK_SYNC_DIFF_LOG), 1);
    rig_finish(&rig);
}

Test(zab_sync_leader, what_is_in_memory_needs_no_disk)
{
    struct rig rig;
    struct rig_history has;

    init(&rig, 3, 0);
    rig_lead(&rig, BIT(2));
    for (unsigned i = 0; i < 5; i++) {
        rig_propose(&rig, 10);
    }
    has = rig_same(&rig);
    (void)come(&rig, &has);
    cr_assert_eq(rig.reads_count, 0);
    cr_assert_eq(rig_sent(&rig, PEER_PROPOSE, 3)->msg.payloads_count, 5);
    cr_assert_eq(rig_sent(&rig, PEER_NEW_LEADER, 3)->msg.zxid, Z(4, 5));
    cr_assert_eq(rig_mark(&rig, ZAB_MARK_SYNC_DIFF_MEMORY), 1);
    rig_finish(&rig);
}

Test(zab_sync_leader, the_log_comes_in_pieces_that_are_acknowledged)
{
    struct rig rig;
    struct rig_history has = history(0, Z(2, 3), 0);
    size_t bytes = 0, sent = 0;

    init(&rig, 3, 0);
    for (size_t i = 3; i < rig.log_count; i++) {
        rig.log[i].bytes = 100000;
    }
    rig_lead(&rig, BIT(2));
    (void)come(&rig, &has);
    rig_reads(&rig);
    for (size_t i = rig_find_sent(&rig, PEER_PROPOSE, 3, 0); i != SIZE_MAX;
         i = rig_find_sent(&rig, PEER_PROPOSE, 3, i + 1)) {
        bytes += rig.events[i].bytes;
    }
    cr_assert_eq(bytes, 200000);
    rig_live(&rig, 10, BIT(2) | BIT(3));
    cr_assert_eq(rig.reads_count, 0);
    for (uint32_t counter = 1; counter <= 3; counter++) {
        rig_ack(&rig, 3, Z(3, counter));
        rig_reads(&rig);
        cr_assert_eq(rig_sent(&rig, PEER_PROPOSE, 3)->msg.zxid,
                     Z(3, counter + 2));
    }
    sent = rig_sent_count(&rig, PEER_PROPOSE, 3);
    cr_assert_eq(sent, 5);
    cr_assert_not_null(rig_sent(&rig, PEER_NEW_LEADER, 3));
    rig_finish(&rig);
}

Test(zab_sync_leader, memory_comes_as_far_as_the_window_reaches)
{
    struct rig rig;
    struct rig_history has;

    init(&rig, 3, 0);
    rig_lead(&rig, BIT(2));
    for (unsigned i = 0; i < 4; i++) {
        rig_propose(&rig, 100000);
    }
    has = rig_same(&rig);
    (void)come(&rig, &has);
    cr_assert_eq(rig_sent_count(&rig, PEER_PROPOSE, 3), 2);
    rig_propose(&rig, 10); /* not before what it lacks */
    cr_assert_eq(rig_sent_count(&rig, PEER_PROPOSE, 3), 2);
    rig_ack(&rig, 3, Z(4, 2));
    cr_assert_eq(rig_sent(&rig, PEER_PROPOSE, 3)->msg.zxid, Z(4, 4));
    cr_assert_eq(rig_sent(&rig, PEER_NEW_LEADER, 3)->msg.zxid, Z(4, 5));
    rig_finish(&rig);
}

/* However large one is, it fits an empty window. */
Test(zab_sync_leader, one_always_fits)
{
    struct rig rig;
    struct rig_history has;

    init(&rig, 3, 0);
    rig_lead(&rig, BIT(2));
    rig_propose(&rig, 1000000);
    rig_propose(&rig, 1000000);
    has = rig_same(&rig);
    (void)come(&rig, &has);
    cr_assert_eq(rig_sent_count(&rig, PEER_PROPOSE, 3), 1);
    rig_ack(&rig, 3, Z(4, 1));
    cr_assert_eq(rig_sent_count(&rig, PEER_PROPOSE, 3), 2);
    rig_finish(&rig);
}

Test(zab_sync_leader, a_snapshot_is_sent_four_chunks_ahead)
{
    struct rig rig;
    struct rig_history has = history(0, 0, 0);

    init(&rig, 3, 0);
    purge(&rig);
    rig.snap_chunks = 6;
    rig_lead(&rig, BIT(2));
    (void)come(&rig, &has);
    rig_reads(&rig);
    cr_assert_eq(rig_sent_count(&rig, PEER_SNAP_CHUNK, 3), 4);
    cr_assert_eq(zab_purge_max(rig.zab), Z(3, 2));
    rig_propose(&rig, 10);
    cr_assert_null(rig_sent(&rig, PEER_PROPOSE, 3));
    rig_snap_ack(&rig, 3, 2);
    rig_reads(&rig);
    cr_assert_eq(rig_sent_count(&rig, PEER_SNAP_CHUNK, 3), 6);
    cr_assert(rig_sent(&rig, PEER_SNAP_CHUNK, 3)->msg.snap.last);
    rig_snap_ack(&rig, 3, 5);
    rig_reads(&rig);
    cr_assert_null(rig_sent(&rig, PEER_PROPOSE, 3));
    rig_snap_ack(&rig, 3, 6);
    cr_assert_eq(rig_asked(&rig, STORE_READ_LOG)->zxid, Z(3, 2));
    rig_reads(&rig);
    cr_assert_eq(rig.events[rig_find_sent(&rig, PEER_PROPOSE, 3, 0)].msg.zxid,
                 Z(3, 3));
    rig_ack(&rig, 3, Z(3, 5));
    cr_assert_eq(rig_sent(&rig, PEER_NEW_LEADER, 3)->msg.zxid, Z(4, 1));
    cr_assert_null(rig_asked(&rig, STORE_READ_CLOSE));
    cr_assert_eq(rig_mark(&rig, ZAB_MARK_SNAP_DURING_COMMITS), 1);
    rig_finish(&rig);
}

Test(zab_sync_leader, a_snapshot_that_is_broken_off_is_closed)
{
    struct rig rig;
    struct rig_history has = history(0, 0, 0);

    init(&rig, 3, 0);
    purge(&rig);
    rig.snap_chunks = 6;
    rig_lead(&rig, BIT(2));
    (void)come(&rig, &has);
    rig_read(&rig);
    rig_link(&rig, 3, false);
    cr_assert_eq(rig_asked(&rig, STORE_READ_CLOSE)->reader_id, 3);
    cr_assert_eq(rig_mark(&rig, ZAB_MARK_SNAP_INTERRUPTED), 1);
    cr_assert_eq(rig.reads_count, 1);
    rig_forget(&rig);
    rig_read(&rig); /* an answer for nobody */
    cr_assert_eq(rig.events_count, 0);
    (void)come(&rig, &has); /* anew */
    rig_read(&rig);
    cr_assert_eq(rig_sent(&rig, PEER_SNAP_CHUNK, 3)->msg.snap.number, 1);
    rig_finish(&rig);
}

Test(zab_sync_leader, an_answer_for_a_lost_link_is_nothing)
{
    struct rig rig;
    struct rig_history has = history(0, Z(2, 1), 0);

    init(&rig, 3, 0);
    rig_lead(&rig, BIT(2));
    (void)come(&rig, &has);
    rig_link(&rig, 3, true); /* another one now */
    rig_forget(&rig);
    rig_read(&rig);
    cr_assert_eq(rig.events_count, 0);
    rig_finish(&rig);
}

/* What our log is said to have was purged: next time it is a snapshot. */
Test(zab_sync_leader, behind_the_log_is_dropped_and_then_replaced)
{
    struct rig rig;
    struct rig_history has = history(0, Z(2, 1), 0);

    init(&rig, 3, 0);
    rig_lead(&rig, BIT(2));
    rig.purged = Z(3, 2);
    rig.durable.zxid_checkpoint = Z(3, 2);
    (void)come(&rig, &has);
    rig_read(&rig);
    cr_assert_not_null(rig_dropped(&rig, 3));
    (void)come(&rig, &has);
    cr_assert_not_null(rig_asked(&rig, STORE_READ_SNAP));
    rig_finish(&rig);
}

/* Told that it was: at once. What is behind it is still read from the log. */
Test(zab_sync_leader, what_was_purged_is_not_promised)
{
    struct rig rig;
    struct rig_history has = history(0, Z(2, 1), 0);

    init(&rig, 3, 0);
    rig_lead(&rig, BIT(2));
    rig.purged = Z(3, 2);
    rig.durable.zxid_checkpoint = Z(3, 2);
    rig_purged(&rig, Z(3, 2));
    (void)come(&rig, &has);
    cr_assert_not_null(rig_asked(&rig, STORE_READ_SNAP));
    rig_read(&rig);
    cr_assert_null(rig_dropped(&rig, 3));
    rig_finish(&rig);

    init(&rig, 3, 0);
    rig_lead(&rig, BIT(2));
    rig.purged = Z(2, 3);
    rig_purged(&rig, Z(2, 3));
    has = history(0, Z(2, 3), 0);
    cr_assert_eq(come(&rig, &has)->msg.type, PEER_SYNC_DIFF);
    has = history(0, Z(2, 2), 0);
    rig_link(&rig, 3, false);
    (void)come(&rig, &has);
    cr_assert_not_null(rig_asked(&rig, STORE_READ_SNAP));
    rig_finish(&rig);
}

Test(zab_sync_leader, serves_only_when_a_quorum_has_taken_it_up)
{
    struct rig rig;
    struct rig_history has;

    init(&rig, 5, 0);
    rig_elect(&rig);
    has = rig_same(&rig);
    for (uint64_t id = 2; id <= 4; id++) {
        rig_link(&rig, id, true);
        rig_ask(&rig, id, 3);
    }
    rig_store(&rig);
    for (uint64_t id = 2; id <= 4; id++) {
        rig_promise(&rig, id, &has);
    }
    rig_take_up(&rig, 2, Z(3, 5));
    rig_take_up(&rig, 3, Z(3, 5));
    cr_assert(rig_is(&rig, "sync")); /* ours is not durable */
    cr_assert_null(rig_sent(&rig, PEER_UP_TO_DATE, 2));
    rig_store(&rig);
    cr_assert(rig_is(&rig, "leading"));
    cr_assert_eq(rig_sent(&rig, PEER_UP_TO_DATE, 2)->peers, BIT(1) | BIT(2));
    cr_assert_eq(rig_sent(&rig, PEER_UP_TO_DATE, 2)->msg.zxid, Z(3, 5));
    cr_assert_eq(zab_committed(rig.zab), Z(3, 5));
    cr_assert_null(rig_sent(&rig, PEER_UP_TO_DATE, 4));
    rig_take_up(&rig, 4, Z(3, 5));
    cr_assert_not_null(rig_sent(&rig, PEER_UP_TO_DATE, 4));
    rig_finish(&rig);
}

Test(zab_sync_leader, taking_up_acknowledges)
{
    struct rig rig;
    struct rig_history has;

    init(&rig, 5, 0);
    rig_lead(&rig, BIT(2) | BIT(3));
    rig_propose(&rig, 10);
    rig_store(&rig);
    rig_ack(&rig, 2, Z(4, 1));
    cr_assert_eq(zab_committed(rig.zab), Z(3, 5));
    rig_link(&rig, 4, true);
    rig_ask(&rig, 4, 3);
    has = rig_same(&rig);
    rig_promise(&rig, 4, &has);
    rig_ack(&rig, 4, Z(4, 1)); /* its disk has it, in no epoch of ours */
    cr_assert_eq(zab_committed(rig.zab), Z(3, 5));
    rig_take_up(&rig, 4, Z(4, 1));
    cr_assert_eq(zab_committed(rig.zab), Z(4, 1));
    rig_finish(&rig);
}

Test(zab_sync_leader, proposals_go_on_behind_new_leader)
{
    struct rig rig;
    struct rig_history has;

    init(&rig, 3, 0);
    rig_lead(&rig, BIT(2));
    has = rig_same(&rig);
    (void)come(&rig, &has);
    cr_assert_not_null(rig_sent(&rig, PEER_NEW_LEADER, 3));
    rig_propose(&rig, 10);
    cr_assert_eq(rig_sent(&rig, PEER_PROPOSE, 3)->peers, BIT(1) | BIT(2));
    rig_store(&rig);
    rig_ack(&rig, 2, Z(4, 1));
    cr_assert_eq(rig_sent(&rig, PEER_COMMIT, 3)->msg.zxid, Z(4, 1));
    rig_take_up(&rig, 3, Z(3, 5));
    cr_assert_eq(rig_sent(&rig, PEER_UP_TO_DATE, 3)->msg.zxid, Z(4, 1));
    rig_finish(&rig);
}

Test(zab_sync_leader, a_blank_voter_counts_when_it_has_a_whole_copy)
{
    struct rig rig;
    struct rig_history has = {.whole = true};

    init(&rig, 5, 0);
    rig_lead(&rig, BIT(2) | BIT(3));
    rig_propose(&rig, 10);
    rig_store(&rig);
    rig_ack(&rig, 2, Z(4, 1));
    rig_link(&rig, 4, true);
    rig_ask_blank(&rig, 4);
    rig_promise(&rig, 4, &has);
    rig_reads(&rig);
    rig_ack(&rig, 4, Z(4, 1));
    cr_assert_eq(zab_committed(rig.zab), Z(3, 5));
    rig_tick(&rig, 1);
    rig_pong(&rig, 2, 2); /* the first round was the discovery's */
    rig_pong(&rig, 3, 2);
    rig_take_up(&rig, 4, Z(4, 1));
    cr_assert_eq(zab_committed(rig.zab), Z(4, 1));
    rig_finish(&rig);
}

/* In the epoch's own quorum it counts nothing, whatever it says. And it takes
 * the epoch up when a quorum is known to have followed us after it came: what
 * it acknowledged in another life may have been committed by a later leader,
 * whose quorum without it is none. */
Test(zab_sync_leader, a_blank_voter_establishes_nobody)
{
    struct rig rig;
    struct rig_history blank = {.counted = true, .whole = true};
    struct rig_history has;

    init(&rig, 3, 0);
    rig_elect(&rig);
    has = rig_same(&rig);
    rig_link(&rig, 2, true);
    rig_ask(&rig, 2, 3);
    rig_link(&rig, 3, true);
    rig_ask_blank(&rig, 3);
    rig_store(&rig);
    rig_promise(&rig, 2, &has);
    rig_promise(&rig, 3, &blank);
    rig_reads(&rig);
    rig_store(&rig);
    cr_assert_null(rig_sent(&rig, PEER_NEW_LEADER, 3));
    rig_take_up(&rig, 2, Z(3, 5));
    cr_assert(rig_is(&rig, "leading"));
    /* The round of the discovery has said so already. */
    cr_assert_not_null(rig_sent(&rig, PEER_NEW_LEADER, 3));
    rig_link(&rig, 3, false);
    rig_forget(&rig);
    rig_link(&rig, 3, true);
    rig_ask_blank(&rig, 3);
    rig_promise(&rig, 3, &blank);
    rig_reads(&rig);
    rig_tick(&rig, 3);
    cr_assert_null(rig_sent(&rig, PEER_NEW_LEADER, 3));
    rig_pong(&rig, 3, 0); /* its own answer says nothing */
    cr_assert_null(rig_sent(&rig, PEER_NEW_LEADER, 3));
    rig_pong(&rig, 2, 2);
    cr_assert_not_null(rig_sent(&rig, PEER_NEW_LEADER, 3));
    rig_finish(&rig);
}

Test(zab_sync_leader, an_observer_is_sent_what_is_committed)
{
    struct rig rig;

    init(&rig, 3, 1);
    rig_lead(&rig, BIT(2));
    rig_propose(&rig, 10);
    rig_propose(&rig, 10);
    rig_store(&rig);
    rig_ack(&rig, 2, Z(4, 1));
    rig_forget(&rig);
    rig_join(&rig, 4);
    cr_assert_eq(rig_sent(&rig, PEER_PROPOSE, 4)->msg.zxid, Z(4, 1));
    cr_assert_eq(rig_sent(&rig, PEER_NEW_LEADER, 4)->msg.zxid, Z(4, 1));
    cr_assert_eq(rig_sent(&rig, PEER_UP_TO_DATE, 4)->msg.zxid, Z(4, 1));
    rig_ack(&rig, 2, Z(4, 2));
    cr_assert_eq(rig_sent(&rig, PEER_INFORM, 4)->msg.zxid, Z(4, 2));
    cr_assert_null(rig_sent(&rig, PEER_COMMIT, 4));
    cr_assert_null(rig_sent(&rig, PEER_INFORM, 2));
    rig_finish(&rig);
}

/* Between NEW_LEADER and UP_TO_DATE more is committed. */
Test(zab_sync_leader, an_observer_misses_nothing_while_it_takes_up)
{
    struct rig rig;
    struct rig_history has;
    size_t up, inform;

    init(&rig, 3, 1);
    rig_lead(&rig, BIT(2));
    has = rig_same(&rig);
    rig_link(&rig, 4, true);
    rig_ask(&rig, 4, 3);
    rig_promise(&rig, 4, &has);
    cr_assert_eq(rig_sent(&rig, PEER_NEW_LEADER, 4)->msg.zxid, Z(3, 5));
    rig_propose(&rig, 10);
    rig_store(&rig);
    rig_ack(&rig, 2, Z(4, 1));
    rig_take_up(&rig, 4, Z(3, 5));
    up = rig_find_sent(&rig, PEER_UP_TO_DATE, 4, 0);
    inform = rig_find_sent(&rig, PEER_INFORM, 4, 0);
    cr_assert_eq(rig.events[up].msg.zxid, Z(3, 5));
    cr_assert_eq(rig.events[inform].msg.zxid, Z(4, 1));
    cr_assert_lt(up, inform);
    rig_finish(&rig);
}

Test(zab_sync_leader, a_slow_learner_holds_nobody_up_and_catches_up)
{
    struct rig rig;
    zxid_t last = 0;

    init(&rig, 3, 0);
    rig.config.history_bytes_max = 8 * 1024 * 1024;
    rig_lead(&rig, BIT(2) | BIT(3));
    for (unsigned i = 0; i < 6; i++) {
        last = rig_propose(&rig, 1000000);
        rig_store(&rig);
        rig_ack(&rig, 2, last);
    }
    cr_assert_eq(zab_committed(rig.zab), last);
    cr_assert_eq(rig_sent_count(&rig, PEER_PROPOSE, 2), 6);
    cr_assert_eq(rig_sent_count(&rig, PEER_PROPOSE, 3), 4);
    cr_assert_geq(rig_mark(&rig, ZAB_MARK_LEARNER_SLOW), 1);
    /* No commit of what it was not sent. */
    cr_assert_eq(rig_sent(&rig, PEER_COMMIT, 3)->msg.zxid, Z(4, 4));
    rig_ack(&rig, 3, Z(4, 4));
    cr_assert_eq(rig_sent_count(&rig, PEER_PROPOSE, 3), 6);
    cr_assert_eq(rig_sent(&rig, PEER_COMMIT, 3)->msg.zxid, last);
    rig_finish(&rig);
}

/* It lives, but its disk hangs: our log must not grow for ever. */
Test(zab_sync_leader, what_a_stuck_learner_lacks_is_kept_for_a_while)
{
    struct rig rig;

    init(&rig, 3, 0);
    rig.config.history_bytes_max = 8 * 1024 * 1024;
    rig_lead(&rig, BIT(2) | BIT(3));
    for (unsigned i = 0; i < 6; i++) {
        zxid_t zxid = rig_propose(&rig, 1000000);

        rig_store(&rig);
        rig_ack(&rig, 2, zxid);
    }
    cr_assert_eq(zab_purge_max(rig.zab), Z(4, 4));
    rig_ack(&rig, 3, Z(4, 1));
    rig_live(&rig, rig.config.ticks_init_max, BIT(2) | BIT(3));
    rig_ack(&rig, 2, Z(4, 6));
    cr_assert_eq(zab_purge_max(rig.zab), Z(4, 5));
    rig_live(&rig, 1, BIT(2) | BIT(3));
    cr_assert_gt(zab_purge_max(rig.zab), Z(4, 6));
    cr_assert_null(rig_dropped(&rig, 3));
    rig_finish(&rig);
}

Test(zab_sync_leader, a_slow_learner_goes_on_from_the_log)
{
    struct rig rig;
    zxid_t last = 0;

    init(&rig, 3, 0);
    rig.config.history_bytes_max = 1;
    rig_lead(&rig, BIT(2) | BIT(3));
    for (unsigned i = 0; i < 6; i++) {
        last = rig_propose(&rig, 1000000);
        rig_store(&rig);
        rig_ack(&rig, 2, last);
    }
    rig_forget(&rig);
    for (zxid_t zxid = Z(4, 1); zxid <= last; zxid++) {
        const struct rig_event *sent;

        rig_reads(&rig);
        sent = rig_sent(&rig, PEER_PROPOSE, 3);
        if (sent == NULL || sent->msg.zxid < zxid) {
            rig_ack(&rig, 3, zxid - 1);
        }
        rig_ack(&rig, 3, zxid);
    }
    rig_reads(&rig);
    cr_assert_eq(rig_sent(&rig, PEER_PROPOSE, 3)->msg.zxid, last);
    cr_assert_eq(rig_sent(&rig, PEER_COMMIT, 3)->msg.zxid, last);
    cr_assert_null(rig_dropped(&rig, 3));
    rig_propose(&rig, 10); /* and then with the others */
    cr_assert_eq(rig_sent(&rig, PEER_PROPOSE, 3)->peers, BIT(1) | BIT(2));
    rig_finish(&rig);
}

static void expect_drop(bool taken_up, const struct peer_msg *msg)
{
    struct rig rig;
    struct rig_history has;

    init(&rig, 3, 0);
    rig_lead(&rig, BIT(2));
    has = rig_same(&rig);
    (void)come(&rig, &has);
    if (taken_up) {
        rig_take_up(&rig, 3, Z(3, 5));
    }
    cr_assert_null(rig_dropped(&rig, 3));
    rig_say(&rig, 3, msg);
    cr_assert_not_null(rig_dropped(&rig, 3));
    cr_assert(rig_is(&rig, "leading"));
    cr_assert(zab_can_propose(rig.zab));
    rig_finish(&rig);
}

Test(zab_sync_leader, what_breaks_the_protocol_loses_its_link)
{
    struct peer_msg msg = {.type = PEER_ACK_NEW_LEADER, .epoch = 4};

    msg.zxid = Z(3, 6);
    expect_drop(false, &msg);
    msg.zxid = Z(3, 4);
    expect_drop(false, &msg);
    msg.zxid = Z(3, 5);
    expect_drop(true, &msg); /* twice */
    msg.epoch = 3;
    expect_drop(false, &msg);
    msg = (struct peer_msg){.type = PEER_SNAP_ACK, .epoch = 4};
    msg.snap.number = 1;
    expect_drop(false, &msg);
    msg = (struct peer_msg){.type = PEER_ACK, .epoch = 4, .zxid = Z(3, 6)};
    expect_drop(false, &msg);
    expect_drop(true, &msg);
    msg.epoch = 3;
    msg.zxid = Z(3, 5);
    expect_drop(true, &msg);
    msg = (struct peer_msg){.type = PEER_ACK_EPOCH, .epoch = 4};
    expect_drop(true, &msg);
    msg = (struct peer_msg){.type = PEER_PONG, .epoch = 5};
    expect_drop(true, &msg);
    msg = (struct peer_msg){.type = PEER_PONG, .epoch = 4, .ping.number = 1};
    expect_drop(true, &msg);
}

/* A damaged log of our own is our end, not the learner's. */
Test(zab_sync_leader, a_log_that_cannot_be_read_is_damage)
{
    struct rig rig;
    struct rig_history has = history(0, Z(2, 1), 0);

    init(&rig, 3, 0);
    rig_lead(&rig, BIT(2));
    (void)come(&rig, &has);
    rig.log[5].zxid = Z(3, 4); /* a gap in the middle */
    rig_read(&rig);
    cr_assert_neq(rig_find(&rig, ZAB_DAMAGED, 0), SIZE_MAX);
    rig_finish(&rig);
}
