#include <criterion/criterion.h>

#include "base/err.h"
#include "tests/unit/zab/pupil.h"

#define Z(epoch, counter) ((zxid_t)(epoch) << 32 | (counter))

static struct pupil pupil;
static struct pupil *const p = &pupil;

/* Five of its own, of which two are known to be committed. */
static void begin_with_log(void)
{
    pupil_init(p, 5);
    pupil_follows(p, 3);
    pupil_propose(p, PEER_PROPOSE, 3, Z(3, 1), 3);
    pupil_settle(p);
    pupil_say(p, PEER_COMMIT, 3, Z(3, 1));
    pupil_link(p, PEER_LINK_LEADER, PUPIL_LEADER, false);
    pupil_promises(p, 5);
    pupil_forget(p);
}

static void receive_snapshot(zxid_t zxid, uint32_t chunks)
{
    pupil_say(p, PEER_SYNC_SNAP, 5, zxid);
    for (uint32_t i = 1; i <= chunks; i++) {
        pupil_chunk(p, 5, i, i == chunks);
    }
}

Test(zab_sync_learner, a_diff_from_its_last_zxid_goes_on_from_there)
{
    begin_with_log();
    pupil_say(p, PEER_SYNC_DIFF, 5, Z(3, 3));
    pupil_propose(p, PEER_PROPOSE, 5, Z(3, 4), 2);
    pupil_propose(p, PEER_PROPOSE, 5, Z(4, 1), 2);
    pupil_say(p, PEER_NEW_LEADER, 5, Z(4, 2));
    cr_assert_eq(pupil_asked_count(p, STORE_APPEND), 4);
    cr_assert_eq(zab_logged(p->zab), Z(4, 2));
    cr_assert_eq(pupil_asked_count(p, STORE_TRUNCATE), 0);
    pupil_finish(p);
}

Test(zab_sync_learner, a_diff_from_elsewhere_breaks_the_link)
{
    begin_with_log();
    pupil_say(p, PEER_SYNC_DIFF, 5, Z(3, 2));
    pupil_expect_dropped(p, "its common point is not our last zxid");
    pupil_finish(p);
}

/* ZOOKEEPER-1154: to the last common one, no more and no less. */
Test(zab_sync_learner, trunc_cuts_behind_the_common_point)
{
    begin_with_log();
    pupil_say(p, PEER_SYNC_TRUNC, 5, Z(3, 2));
    cr_assert_eq(zab_logged(p->zab), Z(3, 2));
    cr_assert_eq(pupil_asked(p, STORE_TRUNCATE)->zxid, Z(3, 2));
    pupil_propose(p, PEER_PROPOSE, 5, Z(4, 1), 1);
    pupil_settle(p);
    cr_assert_eq(fake_disk_durable(p->disk)->zxid_last, Z(4, 1));
    cr_assert_eq(fake_disk_durable(p->disk)->epoch_ends_count, 3);
    cr_assert_eq(pupil_sent(p, PEER_ACK)->zxid, Z(4, 1));
    pupil_finish(p);
}

Test(zab_sync_learner, what_was_cut_is_not_acknowledged_when_it_is_stored)
{
    pupil_init(p, 0);
    pupil_follows(p, 3);
    pupil_propose(p, PEER_PROPOSE, 3, Z(3, 1), 3);
    pupil_link(p, PEER_LINK_LEADER, PUPIL_LEADER, false);
    pupil_asks(p);
    pupil_new_epoch(p, 5);
    while (pupil_sent(p, PEER_ACK_EPOCH) == NULL ||
           pupil_sent(p, PEER_ACK_EPOCH)->epoch != 5) {
        cr_assert(pupil_disk(p));
    }
    pupil_propose(p, PEER_PROPOSE, 5, Z(3, 4), 1); /* out of place */
    pupil_expect_looking(p);
    pupil_promises(p, 6);
    pupil_forget(p);
    pupil_say(p, PEER_SYNC_TRUNC, 6, Z(3, 1));
    pupil_propose(p, PEER_PROPOSE, 6, Z(4, 1), 1);
    pupil_disk(p); /* the truncation */
    cr_assert_null(pupil_sent(p, PEER_ACK));
    pupil_disk(p);
    cr_assert_eq(pupil_sent(p, PEER_ACK)->zxid, Z(4, 1));
    pupil_finish(p);
}

Test(zab_sync_learner, trunc_below_what_is_committed_breaks_the_link)
{
    begin_with_log();
    pupil_say(p, PEER_SYNC_TRUNC, 5, Z(2, 5));
    pupil_expect_dropped(p, "its common point is none of ours");
    cr_assert_eq(pupil_asked_count(p, STORE_TRUNCATE), 0);
    pupil_finish(p);
}

Test(zab_sync_learner, trunc_to_what_it_does_not_have_breaks_the_link)
{
    static const zxid_t wrong[] = {Z(3, 3), Z(3, 4), Z(2, 6), Z(4, 1)};

    for (size_t i = 0; i < 4; i++) {
        begin_with_log();
        pupil_say(p, PEER_SYNC_TRUNC, 5, wrong[i]);
        pupil_expect_dropped(p, "its common point is none of ours");
        pupil_finish(p);
    }
}

Test(zab_sync_learner, synchronization_waits_for_the_promise)
{
    pupil_init(p, 3);
    pupil_asks(p);
    pupil_new_epoch(p, 5);
    pupil_say(p, PEER_SYNC_DIFF, 5, Z(2, 3));
    pupil_expect_dropped(p, "it does not wait for the promise");
    pupil_finish(p);
}

Test(zab_sync_learner, synchronization_begins_once)
{
    pupil_init(p, 3);
    pupil_syncs(p, 5);
    pupil_say(p, PEER_SYNC_DIFF, 5, Z(2, 3));
    pupil_expect_dropped(p, "synchronization out of place");
    pupil_finish(p);
}

Test(zab_sync_learner, a_snapshot_takes_the_place_of_the_history)
{
    begin_with_log();
    receive_snapshot(Z(4, 7), 3);
    cr_assert_eq(zab_logged(p->zab), Z(3, 3), "not before it is durable");
    pupil_settle(p);
    cr_assert_eq(pupil_sent_count(p, PEER_SNAP_ACK), 3);
    cr_assert_eq(pupil_sent(p, PEER_SNAP_ACK)->snap.number, 3);
    cr_assert_eq(zab_logged(p->zab), Z(4, 7));
    cr_assert_eq(zab_committed(p->zab), Z(4, 7));
    cr_assert_eq(p->loads, 2, "at start, and now");
    cr_assert_eq(p->delivered, Z(4, 7));
    cr_assert_eq(fake_disk_durable(p->disk)->zxid_checkpoint, Z(4, 7));
    cr_assert_eq(fake_disk_log_count(p->disk), 0);
    pupil_propose(p, PEER_PROPOSE, 5, Z(4, 8), 1);
    pupil_say(p, PEER_NEW_LEADER, 5, Z(4, 8));
    pupil_settle(p);
    pupil_say(p, PEER_UP_TO_DATE, 5, Z(4, 8));
    cr_assert_eq(p->delivered, Z(4, 8));
    cr_assert_eq(zab_role(p->zab), ZAB_FOLLOWING);
    pupil_finish(p);
}

Test(zab_sync_learner, each_chunk_is_acknowledged_when_it_is_durable)
{
    begin_with_log();
    receive_snapshot(Z(4, 7), 2);
    cr_assert_null(pupil_sent(p, PEER_SNAP_ACK));
    pupil_disk(p); /* begin */
    cr_assert_null(pupil_sent(p, PEER_SNAP_ACK));
    pupil_disk(p);
    cr_assert_eq(pupil_sent(p, PEER_SNAP_ACK)->snap.number, 1);
    pupil_finish(p);
}

/* ZOOKEEPER-3104: what is proposed while a snapshot is on its way follows it
 * without gap or overlap. */
Test(zab_sync_learner, what_follows_a_snapshot_waits_until_it_is_installed)
{
    begin_with_log();
    receive_snapshot(Z(4, 7), 1);
    pupil_propose(p, PEER_PROPOSE, 5, Z(4, 8), 2);
    pupil_say(p, PEER_NEW_LEADER, 5, Z(4, 9));
    pupil_propose(p, PEER_PROPOSE, 5, Z(5, 1), 1);
    pupil_say(p, PEER_COMMIT, 5, Z(5, 1));
    cr_assert_eq(pupil_asked_count(p, STORE_APPEND), 0);
    cr_assert_eq(pupil_asked_count(p, STORE_EPOCHS), 0);
    pupil_settle(p);
    cr_assert_eq(pupil_asked_count(p, STORE_APPEND), 3);
    cr_assert_eq(pupil_sent(p, PEER_ACK_NEW_LEADER)->epoch, 5);
    cr_assert_eq(zab_logged(p->zab), Z(5, 1));
    cr_assert_eq(p->delivered, Z(4, 7), "nothing before UP_TO_DATE");
    pupil_say(p, PEER_UP_TO_DATE, 5, Z(4, 9));
    cr_assert_eq(p->delivered, Z(5, 1));
    pupil_finish(p);
}

Test(zab_sync_learner, new_leader_behind_a_snapshot_must_end_what_follows_it)
{
    begin_with_log();
    receive_snapshot(Z(4, 7), 1);
    pupil_propose(p, PEER_PROPOSE, 5, Z(4, 8), 1);
    pupil_say(p, PEER_NEW_LEADER, 5, Z(4, 7));
    pupil_expect_dropped(p, "its history ends elsewhere than ours");
    pupil_finish(p);
}

Test(zab_sync_learner, a_hole_behind_a_snapshot_breaks_the_link)
{
    begin_with_log();
    receive_snapshot(Z(4, 7), 1);
    pupil_propose(p, PEER_PROPOSE, 5, Z(4, 9), 1);
    pupil_expect_dropped(p, "a proposal does not follow the one before");
    pupil_finish(p);
}

/* ZOOKEEPER-3642, ZOOKEEPER-2872. */
Test(zab_sync_learner, an_interrupted_snapshot_leaves_all_as_it_was)
{
    begin_with_log();
    pupil_say(p, PEER_SYNC_SNAP, 5, Z(4, 7));
    pupil_chunk(p, 5, 1, false);
    pupil_settle(p);
    pupil_link(p, PEER_LINK_LEADER, PUPIL_LEADER, false);
    pupil_expect_looking(p);
    cr_assert_eq(zab_logged(p->zab), Z(3, 3));
    cr_assert_eq(zab_marks(p->zab)[ZAB_MARK_SNAP_INTERRUPTED], 1);
    pupil_forget(p);
    pupil_promises(p, 5);
    cr_assert_eq(pupil_sent(p, PEER_ACK_EPOCH)->zxid, Z(3, 3));
    cr_assert(pupil_sent(p, PEER_ACK_EPOCH)->ack_epoch.whole);
    pupil_crash(p);
    pupil_start(p);
    cr_assert_eq(zab_logged(p->zab), Z(3, 3));
    pupil_finish(p);
}

Test(zab_sync_learner, results_of_an_older_snapshot_are_nobodys)
{
    begin_with_log();
    pupil_say(p, PEER_SYNC_SNAP, 5, Z(4, 7));
    pupil_chunk(p, 5, 1, false);
    pupil_chunk(p, 5, 2, false);
    pupil_link(p, PEER_LINK_LEADER, PUPIL_LEADER, false);
    pupil_asks(p);
    pupil_new_epoch(p, 5); /* promised already: no disk is waited for */
    pupil_forget(p);
    receive_snapshot(Z(4, 8), 1);
    pupil_disk(p);
    pupil_disk(p);
    pupil_disk(p); /* all of the first one */
    cr_assert_null(pupil_sent(p, PEER_SNAP_ACK));
    pupil_settle(p);
    cr_assert_eq(pupil_sent_count(p, PEER_SNAP_ACK), 1);
    cr_assert_eq(zab_logged(p->zab), Z(4, 8));
    pupil_finish(p);
}

/* From asking for its end until the answer nobody knows which history is on
 * disk: no vote, no promise, nothing is told of it. */
Test(zab_sync_learner, a_link_lost_at_the_end_of_a_snapshot_waits_for_it)
{
    begin_with_log();
    receive_snapshot(Z(4, 7), 1);
    pupil_propose(p, PEER_PROPOSE, 5, Z(4, 8), 1);
    pupil_link(p, PEER_LINK_LEADER, PUPIL_LEADER, false);
    pupil_expect_looking(p);
    pupil_forget(p);
    pupil_settle(p);
    cr_assert_eq(zab_logged(p->zab), Z(4, 7));
    cr_assert_eq(pupil_asked_count(p, STORE_APPEND), 0, "held ones are gone");
    cr_assert_eq(p->delivered, Z(4, 7));
    pupil_promises(p, 5);
    cr_assert_eq(pupil_sent(p, PEER_ACK_EPOCH)->zxid, Z(4, 7));
    cr_assert_eq(pupil_sent(p, PEER_ACK_EPOCH)->ack_epoch.checkpoint, Z(4, 7));
    pupil_finish(p);
}

Test(zab_sync_learner, chunks_come_in_order_and_not_too_many)
{
    begin_with_log();
    pupil_say(p, PEER_SYNC_SNAP, 5, Z(4, 7));
    pupil_chunk(p, 5, 2, false);
    pupil_expect_dropped(p, "a chunk out of place");
    pupil_finish(p);

    begin_with_log();
    pupil_say(p, PEER_SYNC_SNAP, 5, Z(4, 7));
    for (uint32_t i = 1; i <= 4; i++) {
        pupil_chunk(p, 5, i, false);
    }
    cr_assert(pupil_is(p, "syncing"));
    pupil_chunk(p, 5, 5, false);
    pupil_expect_dropped(p, "a chunk out of place");
    pupil_finish(p);
}

Test(zab_sync_learner, proposals_before_the_last_chunk_break_the_link)
{
    begin_with_log();
    pupil_say(p, PEER_SYNC_SNAP, 5, Z(4, 7));
    pupil_propose(p, PEER_PROPOSE, 5, Z(4, 8), 1);
    pupil_expect_dropped(p, "proposals out of place");
    pupil_finish(p);
}

Test(zab_sync_learner, a_snapshot_older_than_its_tree_breaks_the_link)
{
    begin_with_log();
    pupil_say(p, PEER_SYNC_SNAP, 5, Z(2, 5));
    pupil_expect_dropped(p, "its snapshot is older than our tree");
    pupil_finish(p);
}

/* It would lead in an epoch below its own history's. */
Test(zab_sync_learner, a_snapshot_of_a_later_epoch_breaks_the_link)
{
    begin_with_log();
    pupil_say(p, PEER_SYNC_SNAP, 5, Z(6, 1));
    pupil_expect_dropped(p, "its snapshot is of a later epoch");
    pupil_finish(p);
}

Test(zab_sync_learner, a_diverged_server_takes_an_older_one)
{
    pupil_init(p, 5);
    pupil_follows(p, 3);
    pupil_input(p, &(struct zab_input){.type = ZAB_IN_DIVERGED});
    pupil_settle(p);
    pupil_promises(p, 5);
    receive_snapshot(Z(2, 3), 1);
    pupil_settle(p);
    cr_assert_eq(p->delivered, Z(2, 3));
    pupil_propose(p, PEER_PROPOSE, 5, Z(2, 4), 2);
    pupil_say(p, PEER_NEW_LEADER, 5, Z(2, 5));
    pupil_settle(p);
    pupil_say(p, PEER_UP_TO_DATE, 5, Z(2, 5));
    cr_assert_eq(p->delivered, Z(2, 5));
    cr_assert_eq(fake_disk_durable(p->disk)->epoch_current, 5);
    pupil_finish(p);
}

Test(zab_sync_learner, a_leader_without_a_checkpoint_sends_an_empty_one)
{
    pupil_init(p, 5);
    pupil_follows(p, 3);
    pupil_input(p, &(struct zab_input){.type = ZAB_IN_DIVERGED});
    pupil_settle(p);
    pupil_promises(p, 5);
    pupil_say(p, PEER_SYNC_SNAP, 5, 0);
    pupil_hear(p, &(struct peer_msg){.type = PEER_SNAP_CHUNK,
                                     .epoch = 5,
                                     .snap = {.number = 1, .last = true}});
    pupil_settle(p);
    cr_assert_eq(zab_logged(p->zab), 0);
    cr_assert_eq(p->delivered, 0);
    pupil_propose(p, PEER_PROPOSE, 5, Z(2, 1), 1);
    pupil_settle(p);
    cr_assert_eq(pupil_sent(p, PEER_ACK)->zxid, Z(2, 1));
    pupil_finish(p);
}

Test(zab_sync_learner, chunks_that_hold_no_records_mean_another_leader)
{
    struct blob *payload;
    struct peer_msg msg = {.type = PEER_SNAP_CHUNK,
                           .epoch = 5,
                           .payloads = &payload,
                           .payloads_count = 1,
                           .snap = {.number = 1, .last = true}};

    begin_with_log();
    pupil_say(p, PEER_SYNC_SNAP, 5, Z(4, 7));
    payload = blob_copy(SLICE_LITERAL("no records"));
    pupil_hear(p, &msg);
    blob_unref(payload);
    pupil_disk(p);
    pupil_disk(p);
    pupil_expect_looking(p);
    cr_assert_eq(zab_logged(p->zab), Z(3, 3));
    pupil_finish(p);
}
