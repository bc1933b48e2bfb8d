#include <criterion/criterion.h>

#include "tests/unit/zab/pupil.h"

#define Z(epoch, counter) ((zxid_t)(epoch) << 32 | (counter))

static struct pupil pupil;
static struct pupil *const p = &pupil;

static void begin(void)
{
    pupil_init(p, 0);
    pupil_follows(p, 5);
}

Test(zab_follower, a_proposal_is_acknowledged_when_it_is_stored)
{
    begin();
    pupil_propose(p, PEER_PROPOSE, 5, Z(5, 1), 1);
    cr_assert_eq(pupil_asked(p, STORE_APPEND)->zxid, Z(5, 1));
    cr_assert_null(pupil_sent(p, PEER_ACK));
    pupil_disk(p);
    cr_assert_eq(pupil_sent(p, PEER_ACK)->zxid, Z(5, 1));
    cr_assert_eq(pupil_sent(p, PEER_ACK)->epoch, 5);
    pupil_finish(p);
}

Test(zab_follower, one_ack_stands_for_all_before_it)
{
    begin();
    pupil_propose(p, PEER_PROPOSE, 5, Z(5, 1), 3);
    pupil_propose(p, PEER_PROPOSE, 5, Z(5, 4), 1);
    while (fake_disk_waiting(p->disk) > 1) {
        struct store_result result;

        cr_assert(fake_disk_next(p->disk, &result));
    }
    pupil_disk(p);
    cr_assert_eq(pupil_sent_count(p, PEER_ACK), 1);
    cr_assert_eq(pupil_sent(p, PEER_ACK)->zxid, Z(5, 4));
    pupil_finish(p);
}

Test(zab_follower, a_hole_breaks_the_link)
{
    static const zxid_t wrong[] = {Z(5, 2), Z(5, 4), Z(4, 1), Z(6, 1), 0};

    for (size_t i = 0; i < 5; i++) {
        begin();
        pupil_propose(p, PEER_PROPOSE, 5, Z(5, 1), 2);
        pupil_forget(p);
        pupil_propose(p, PEER_PROPOSE, 5, wrong[i], 1);
        pupil_expect_dropped(p, "a proposal does not follow the one before");
        cr_assert_eq(pupil_asked_count(p, STORE_APPEND), 0);
        pupil_finish(p);
    }
}

Test(zab_follower, a_proposal_without_payload_breaks_the_link)
{
    begin();
    pupil_propose(p, PEER_PROPOSE, 5, Z(5, 1), 0);
    pupil_expect_dropped(p, "proposals without any");
    pupil_finish(p);
}

Test(zab_follower, delivers_what_is_committed_and_stored)
{
    begin();
    pupil_propose(p, PEER_PROPOSE, 5, Z(5, 1), 3);
    pupil_settle(p);
    pupil_say(p, PEER_COMMIT, 5, Z(5, 2));
    cr_assert_eq(p->delivered, Z(5, 2));
    pupil_say(p, PEER_COMMIT, 5, Z(5, 3));
    cr_assert_eq(p->delivered, Z(5, 3));
    pupil_finish(p);
}

/* A quorum without us has it: so much the better, but a checkpoint must never
 * be ahead of the log. */
Test(zab_follower, a_commit_ahead_of_its_disk_waits_for_it)
{
    begin();
    pupil_propose(p, PEER_PROPOSE, 5, Z(5, 1), 2);
    pupil_say(p, PEER_COMMIT, 5, Z(5, 2));
    cr_assert_eq(p->delivered, 0);
    cr_assert_eq(zab_marks(p->zab)[ZAB_MARK_COMMITTED_AHEAD], 1);
    pupil_disk(p);
    cr_assert_eq(p->delivered, Z(5, 1));
    pupil_disk(p);
    cr_assert_eq(p->delivered, Z(5, 2));
    pupil_finish(p);
}

/* The log goes from 5.2 to 6.1: there is no place for it. */
Test(zab_follower, a_commit_of_what_was_not_sent_breaks_the_link)
{
    static const zxid_t wrong[] = {Z(5, 3), Z(5, 9), Z(6, 0), Z(6, 2)};

    for (size_t i = 0; i < 4; i++) {
        pupil_init(p, 0);
        pupil_syncs(p, 6);
        pupil_propose(p, PEER_PROPOSE, 6, Z(5, 1), 2);
        pupil_propose(p, PEER_PROPOSE, 6, Z(6, 1), 1);
        pupil_say(p, PEER_NEW_LEADER, 6, Z(6, 1));
        pupil_settle(p);
        pupil_say(p, PEER_UP_TO_DATE, 6, Z(5, 1));
        cr_assert_eq(p->delivered, Z(5, 1));
        pupil_say(p, PEER_COMMIT, 6, wrong[i]);
        pupil_expect_dropped(p, "a commit of what it has not sent");
        cr_assert_eq(p->delivered, Z(5, 1));
        cr_assert_eq(zab_committed(p->zab), Z(5, 1));
        pupil_finish(p);
    }
}

Test(zab_follower, an_older_commit_says_nothing_new)
{
    begin();
    pupil_propose(p, PEER_PROPOSE, 5, Z(5, 1), 2);
    pupil_settle(p);
    pupil_say(p, PEER_COMMIT, 5, Z(5, 2));
    pupil_say(p, PEER_COMMIT, 5, Z(5, 1));
    cr_assert_eq(zab_committed(p->zab), Z(5, 2));
    cr_assert(pupil_is(p, "following"));
    pupil_finish(p);
}

Test(zab_follower, a_commit_of_a_later_epoch_breaks_the_link)
{
    begin();
    pupil_say(p, PEER_COMMIT, 5, Z(6, 1));
    pupil_expect_dropped(p, "a commit out of place");
    pupil_finish(p);
}

/* ZOOKEEPER-4394: every position of proposals and commits around NEW_LEADER
 * and UP_TO_DATE. */
Test(zab_follower, commits_before_up_to_date_are_kept_in_mind)
{
    pupil_init(p, 0);
    pupil_syncs(p, 5);
    pupil_propose(p, PEER_PROPOSE, 5, Z(4, 1), 1);
    pupil_say(p, PEER_COMMIT, 5, Z(4, 1));
    pupil_propose(p, PEER_PROPOSE, 5, Z(4, 2), 1);
    pupil_say(p, PEER_NEW_LEADER, 5, Z(4, 2));
    pupil_say(p, PEER_COMMIT, 5, Z(4, 2));
    pupil_propose(p, PEER_PROPOSE, 5, Z(5, 1), 1);
    pupil_settle(p);
    pupil_propose(p, PEER_PROPOSE, 5, Z(5, 2), 1);
    pupil_say(p, PEER_COMMIT, 5, Z(5, 1));
    pupil_settle(p);
    cr_assert_eq(p->delivered, 0);
    pupil_say(p, PEER_UP_TO_DATE, 5, Z(4, 2));
    cr_assert_eq(p->delivered, Z(5, 1));
    cr_assert_eq(zab_role(p->zab), ZAB_FOLLOWING);
    cr_assert_geq(zab_marks(p->zab)[ZAB_MARK_SYNC_COMMIT_BEFORE_UP_TO_DATE], 3);
    cr_assert_geq(zab_marks(p->zab)[ZAB_MARK_SYNC_PROPOSE_BEFORE_UP_TO_DATE],
                  2);
    pupil_finish(p);
}

/* ZOOKEEPER-4685: they move the leader's window, and count from the taking-up
 * on; the first that counts is ACK_NEW_LEADER's. */
Test(zab_follower, acks_leave_before_the_epoch_is_taken_up_too)
{
    pupil_init(p, 0);
    pupil_syncs(p, 5);
    pupil_propose(p, PEER_PROPOSE, 5, Z(4, 1), 1);
    pupil_settle(p);
    cr_assert_eq(pupil_sent(p, PEER_ACK)->zxid, Z(4, 1));
    pupil_forget(p);
    pupil_say(p, PEER_NEW_LEADER, 5, Z(4, 1));
    pupil_propose(p, PEER_PROPOSE, 5, Z(5, 1), 1);
    pupil_settle(p);
    cr_assert_eq(pupil_sent(p, PEER_ACK_NEW_LEADER)->zxid, Z(4, 1));
    cr_assert_eq(pupil_sent(p, PEER_ACK)->zxid, Z(5, 1));
    cr_assert_eq(pupil_sent_count(p, PEER_ACK), 1);
    pupil_finish(p);
}

Test(zab_follower, an_observer_delivers_what_it_is_informed_of)
{
    pupil_init_observer(p);
    pupil_follows(p, 5);
    pupil_propose(p, PEER_INFORM, 5, Z(5, 1), 2);
    cr_assert_eq(p->delivered, 0);
    pupil_settle(p);
    cr_assert_eq(p->delivered, Z(5, 2));
    cr_assert_eq(pupil_sent(p, PEER_ACK)->zxid, Z(5, 2));
    cr_assert_eq(zab_marks(p->zab)[ZAB_MARK_OBSERVER_INFORMED], 1);
    pupil_finish(p);
}

Test(zab_follower, what_is_logged_and_not_committed_is_not_delivered_at_start)
{
    begin();
    pupil_propose(p, PEER_PROPOSE, 5, Z(5, 1), 3);
    pupil_settle(p);
    pupil_say(p, PEER_COMMIT, 5, Z(5, 1));
    pupil_propose(p, PEER_PROPOSE, 5, Z(5, 4), 1);
    pupil_settle(p);
    pupil_crash(p);
    p->delivered = 0;
    pupil_start(p);
    cr_assert_eq(p->delivered, Z(5, 1));
    cr_assert_eq(zab_logged(p->zab), Z(5, 4));
    pupil_finish(p);
}
