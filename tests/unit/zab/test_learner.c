#include <criterion/criterion.h>
#include <string.h>

#include "base/prng.h"
#include "tests/unit/zab/pupil.h"

#define Z(epoch, counter) ((zxid_t)(epoch) << 32 | (counter))

static struct pupil pupil;
static struct pupil *const p = &pupil;

static void hear_ping(uint32_t epoch, uint64_t number)
{
    pupil_hear(p, &(struct peer_msg){.type = PEER_PING,
                                     .epoch = epoch,
                                     .ping = {.number = number}});
}

static void hear_resign(uint32_t epoch, uint64_t successor)
{
    pupil_hear(p, &(struct peer_msg){.type = PEER_RESIGN,
                                     .epoch = epoch,
                                     .resign = {.successor = successor}});
}

Test(zab_learner, asks_its_leader_when_the_link_is_up)
{
    const struct peer_msg *info;

    pupil_init(p, 3);
    pupil_dials(p);
    cr_assert_null(pupil_sent(p, PEER_FOLLOWER_INFO));
    pupil_link(p, PEER_LINK_LEADER, PUPIL_LEADER, true);
    info = pupil_sent(p, PEER_FOLLOWER_INFO);
    cr_assert_not_null(info);
    cr_assert_eq(info->epoch, 2);
    cr_assert_eq(info->zxid, Z(2, 3));
    cr_assert(info->follower_info.voting);
    cr_assert_eq(info->follower_info.epoch_current, 2);
    pupil_finish(p);
}

Test(zab_learner, looks_elsewhere_when_the_dial_comes_to_nothing)
{
    pupil_init(p, 0);
    pupil_dials(p);
    pupil_link(p, PEER_LINK_LEADER, PUPIL_LEADER, false);
    pupil_expect_looking(p);
    pupil_finish(p);
}

Test(zab_learner, looks_elsewhere_when_nobody_answers_the_dial)
{
    pupil_init(p, 0);
    pupil_dials(p);
    pupil_tick(p, 20);
    cr_assert(pupil_is(p, "connecting"));
    pupil_tick(p, 3);
    pupil_expect_looking(p);
    pupil_finish(p);
}

Test(zab_learner, a_promise_leaves_when_it_is_durable)
{
    const struct peer_msg *ack;

    pupil_init(p, 3);
    pupil_asks(p);
    pupil_new_epoch(p, 5);
    cr_assert_null(pupil_sent(p, PEER_ACK_EPOCH));
    cr_assert_eq(pupil_asked(p, STORE_EPOCHS)->epoch_accepted, 5);
    cr_assert_eq(pupil_asked(p, STORE_EPOCHS)->epoch_current, 2);
    pupil_disk(p);
    ack = pupil_sent(p, PEER_ACK_EPOCH);
    cr_assert_not_null(ack);
    cr_assert_eq(ack->epoch, 5);
    cr_assert(ack->ack_epoch.counted);
    cr_assert(ack->ack_epoch.whole);
    cr_assert_eq(ack->zxid, Z(2, 3));
    cr_assert_eq(ack->ack_epoch.epoch_current, 2);
    cr_assert_eq(ack->ack_epoch.checkpoint, 0);
    cr_assert_eq(ack->ack_epoch.epoch_ends_count, 1);
    cr_assert_eq(ack->ack_epoch.epoch_ends[0], Z(2, 3));
    pupil_finish(p);
}

Test(zab_learner, an_epoch_counts_once_in_a_life)
{
    pupil_init(p, 3);
    pupil_promises(p, 5);
    cr_assert(pupil_sent(p, PEER_ACK_EPOCH)->ack_epoch.counted);
    pupil_link(p, PEER_LINK_LEADER, PUPIL_LEADER, false);
    pupil_promises(p, 5);
    cr_assert_not(pupil_sent(p, PEER_ACK_EPOCH)->ack_epoch.counted);
    pupil_crash(p);
    pupil_start(p);
    pupil_promises(p, 5);
    cr_assert_not(pupil_sent(p, PEER_ACK_EPOCH)->ack_epoch.counted);
    cr_assert_eq(pupil_asked_count(p, STORE_EPOCHS), 0);
    pupil_finish(p);
}

/* The promise is asked of the disk, the link is lost: the promise may be
 * durable at any time, so it is not made again. */
Test(zab_learner, a_promise_on_its_way_to_the_disk_is_not_made_twice)
{
    pupil_init(p, 0);
    pupil_asks(p);
    pupil_new_epoch(p, 5);
    pupil_link(p, PEER_LINK_LEADER, PUPIL_LEADER, false);
    pupil_asks(p);
    cr_assert_eq(pupil_sent(p, PEER_FOLLOWER_INFO)->epoch, 5);
    pupil_new_epoch(p, 5);
    cr_assert_not(pupil_sent(p, PEER_ACK_EPOCH)->ack_epoch.counted);
    pupil_settle(p);
    cr_assert_eq(pupil_sent_count(p, PEER_ACK_EPOCH), 1);
    pupil_finish(p);
}

Test(zab_learner, an_epoch_below_the_promise_is_refused)
{
    pupil_init(p, 0);
    pupil_promises(p, 5);
    pupil_link(p, PEER_LINK_LEADER, PUPIL_LEADER, false);
    pupil_asks(p);
    pupil_forget(p);
    pupil_new_epoch(p, 4);
    pupil_expect_dropped(p, "its epoch is below our promise");
    cr_assert_null(pupil_sent(p, PEER_ACK_EPOCH));
    pupil_finish(p);
}

Test(zab_learner, a_blank_server_promises_nothing_and_takes_the_cluster_over)
{
    const struct peer_msg *ack;

    pupil_init_blank(p);
    pupil_asks(p);
    cr_assert_not(pupil_sent(p, PEER_FOLLOWER_INFO)->follower_info.voting);
    pupil_new_epoch(p, 5);
    pupil_settle(p);
    ack = pupil_sent(p, PEER_ACK_EPOCH);
    cr_assert_not(ack->ack_epoch.counted);
    cr_assert(ack->ack_epoch.whole, "nothing can be built on");
    cr_assert_eq(fake_disk_durable(p->disk)->epoch_accepted, 0);
    cr_assert_eq(
        memcmp(fake_disk_durable(p->disk)->cluster_id, "sixteen bytes id", 16),
        0);
    pupil_finish(p);
}

Test(zab_learner, what_a_blank_server_has_cannot_be_built_on)
{
    pupil_init_blank(p);
    pupil_promises(p, 5);
    pupil_say(p, PEER_SYNC_DIFF, 5, 0);
    pupil_propose(p, PEER_PROPOSE, 5, Z(1, 1), 3);
    pupil_settle(p);
    pupil_link(p, PEER_LINK_LEADER, PUPIL_LEADER, false);
    pupil_promises(p, 5);
    cr_assert_eq(pupil_sent(p, PEER_ACK_EPOCH)->zxid, Z(1, 3));
    cr_assert_not(pupil_sent(p, PEER_ACK_EPOCH)->ack_epoch.whole);
    pupil_finish(p);
}

Test(zab_learner, an_observer_promises_nothing)
{
    pupil_init_observer(p);
    pupil_promises(p, 5);
    cr_assert_not(pupil_sent(p, PEER_FOLLOWER_INFO)->follower_info.voting);
    cr_assert_not(pupil_sent(p, PEER_ACK_EPOCH)->ack_epoch.counted);
    cr_assert_eq(pupil_asked_count(p, STORE_EPOCHS), 0);
    pupil_finish(p);
}

Test(zab_learner, another_cluster_is_refused)
{
    pupil_init(p, 3);
    pupil_asks(p);
    pupil_hear(p, &(struct peer_msg){.type = PEER_NEW_EPOCH,
                                     .epoch = 5,
                                     .new_epoch = {.cluster_id = "other"}});
    pupil_expect_dropped(p, "it is of another cluster");
    pupil_finish(p);
}

Test(zab_learner, a_higher_epoch_of_the_same_leader_is_promised_anew)
{
    pupil_init(p, 0);
    pupil_promises(p, 5);
    pupil_new_epoch(p, 7);
    pupil_settle(p);
    cr_assert_eq(pupil_sent(p, PEER_ACK_EPOCH)->epoch, 7);
    cr_assert(pupil_sent(p, PEER_ACK_EPOCH)->ack_epoch.counted);
    cr_assert_eq(fake_disk_durable(p->disk)->epoch_accepted, 7);
    pupil_finish(p);
}

Test(zab_learner, an_epoch_is_taken_up_behind_the_whole_log)
{
    pupil_init(p, 1);
    pupil_syncs(p, 5);
    pupil_forget(p);
    pupil_propose(p, PEER_PROPOSE, 5, Z(2, 2), 2);
    pupil_say(p, PEER_NEW_LEADER, 5, Z(2, 3));
    cr_assert_null(pupil_sent(p, PEER_ACK_NEW_LEADER));
    pupil_disk(p);
    pupil_disk(p);
    cr_assert_eq(fake_disk_durable(p->disk)->epoch_current, 2);
    cr_assert_null(pupil_sent(p, PEER_ACK_NEW_LEADER));
    pupil_disk(p);
    cr_assert_eq(fake_disk_durable(p->disk)->epoch_current, 5);
    cr_assert_eq(pupil_sent(p, PEER_ACK_NEW_LEADER)->zxid, Z(2, 3));
    cr_assert_eq(zab_epoch(p->zab), 5);
    pupil_finish(p);
}

Test(zab_learner, a_history_that_ends_elsewhere_is_not_taken_up)
{
    pupil_init(p, 3);
    pupil_syncs(p, 5);
    pupil_say(p, PEER_NEW_LEADER, 5, Z(2, 4));
    pupil_expect_dropped(p, "its history ends elsewhere than ours");
    pupil_settle(p);
    cr_assert_eq(fake_disk_durable(p->disk)->epoch_current, 2);
    pupil_finish(p);
}

Test(zab_learner, serves_when_it_has_delivered_what_was_committed)
{
    pupil_init(p, 3);
    pupil_takes_up(p, 5);
    cr_assert_eq(p->delivered, 0);
    pupil_forget(p);
    pupil_say(p, PEER_UP_TO_DATE, 5, Z(2, 3));
    cr_assert(pupil_is(p, "following"));
    cr_assert_eq(zab_role(p->zab), ZAB_LOOKING, "the log is being read");
    pupil_settle(p);
    cr_assert_eq(p->delivered, Z(2, 3));
    cr_assert_eq(zab_role(p->zab), ZAB_FOLLOWING);
    cr_assert_eq(zab_leader_id(p->zab), PUPIL_LEADER);
    cr_assert(zab_peer_synced(p->zab, PUPIL_LEADER));
    pupil_finish(p);
}

Test(zab_learner, an_observer_observes)
{
    pupil_init_observer(p);
    pupil_follows(p, 5);
    cr_assert_eq(zab_role(p->zab), ZAB_OBSERVING);
    cr_assert_eq(fake_disk_durable(p->disk)->epoch_current, 5);
    pupil_finish(p);
}

Test(zab_learner, up_to_date_before_the_epoch_is_taken_up_breaks_the_link)
{
    pupil_init(p, 0);
    pupil_syncs(p, 5);
    pupil_say(p, PEER_NEW_LEADER, 5, 0);
    pupil_say(p, PEER_UP_TO_DATE, 5, 0);
    pupil_expect_dropped(p, "up-to-date out of place");
    pupil_finish(p);
}

Test(zab_learner, an_epoch_in_place_does_not_change_the_role)
{
    pupil_init(p, 3);
    pupil_follows(p, 5);
    pupil_new_epoch(p, 6);
    pupil_settle(p);
    cr_assert(pupil_sent(p, PEER_ACK_EPOCH)->ack_epoch.counted);
    pupil_say(p, PEER_NEW_LEADER, 6, Z(2, 3));
    cr_assert_null(pupil_sent(p, PEER_ACK_NEW_LEADER));
    pupil_settle(p);
    cr_assert_eq(pupil_sent(p, PEER_ACK_NEW_LEADER)->epoch, 6);
    cr_assert_eq(zab_role(p->zab), ZAB_FOLLOWING);
    pupil_propose(p, PEER_PROPOSE, 6, Z(6, 1), 1);
    pupil_settle(p);
    cr_assert_eq(pupil_sent(p, PEER_ACK)->zxid, Z(6, 1));
    pupil_say(p, PEER_COMMIT, 6, Z(6, 1));
    cr_assert_eq(p->delivered, Z(6, 1));
    pupil_finish(p);
}

Test(zab_learner, a_ping_is_answered_at_once_with_its_number)
{
    pupil_init(p, 0);
    pupil_asks(p);
    hear_ping(0, 0);
    cr_assert_eq(pupil_sent(p, PEER_PONG)->ping.number, 0);
    pupil_link(p, PEER_LINK_LEADER, PUPIL_LEADER, false);
    pupil_follows(p, 5);
    hear_ping(5, 77);
    cr_assert_eq(pupil_sent(p, PEER_PONG)->ping.number, 77);
    cr_assert_eq(pupil_sent(p, PEER_PONG)->epoch, 5);
    pupil_finish(p);
}

Test(zab_learner, looks_elsewhere_when_its_leader_is_silent)
{
    pupil_init(p, 0);
    pupil_follows(p, 5);
    for (unsigned i = 0; i < 10; i++) {
        pupil_tick(p, 20);
        hear_ping(5, 0);
    }
    cr_assert(pupil_is(p, "following"));
    pupil_tick(p, 23);
    pupil_expect_looking(p);
    cr_assert_eq(zab_marks(p->zab)[ZAB_MARK_LEADER_SILENT], 1);
    pupil_finish(p);
}

Test(zab_learner, looks_elsewhere_when_synchronization_stands_still)
{
    pupil_init(p, 0);
    pupil_syncs(p, 5);
    for (unsigned i = 0; i < 11; i++) {
        pupil_propose(p, PEER_PROPOSE, 5, Z(5, i + 1), 1);
        pupil_tick(p, 10);
    }
    cr_assert(pupil_is(p, "syncing"));
    for (unsigned i = 0; i < 100 && pupil_is(p, "syncing"); i++) {
        hear_ping(5, 0);
        pupil_tick(p, 1);
    }
    pupil_expect_looking(p);
    pupil_finish(p);
}

Test(zab_learner, the_successor_begins_discovery_at_once)
{
    pupil_init(p, 3);
    pupil_follows(p, 5);
    hear_resign(5, 1);
    cr_assert(pupil_is(p, "discovery"));
    cr_assert_eq(zab_role(p->zab), ZAB_LOOKING);
    cr_assert_eq(pupil_wanted(p, ZAB_CONNECT)->peers, 0);
    cr_assert_eq(zab_marks(p->zab)[ZAB_MARK_SUCCESSOR], 1);
    pupil_finish(p);
}

Test(zab_learner, the_others_dial_the_successor)
{
    pupil_init(p, 3);
    pupil_follows(p, 5);
    hear_resign(5, 2);
    cr_assert(pupil_is(p, "connecting"));
    cr_assert_eq(zab_leader_id(p->zab), 2);
    cr_assert_eq(zab_role(p->zab), ZAB_LOOKING);
    cr_assert_eq(pupil_wanted(p, ZAB_CONNECT)->peers, 1 << 1);
    pupil_finish(p);
}

Test(zab_learner, an_impossible_successor_means_an_election)
{
    static const uint64_t impossible[] = {0, PUPIL_LEADER, 4, 99};

    for (size_t i = 0; i < 4; i++) {
        pupil_init(p, 3);
        pupil_follows(p, 5);
        hear_resign(5, impossible[i]);
        pupil_expect_looking(p);
        pupil_finish(p);
    }
}

Test(zab_learner, who_may_not_lead_is_no_successor)
{
    pupil_init_observer(p);
    pupil_follows(p, 5);
    hear_resign(5, 4);
    pupil_expect_looking(p);
    pupil_finish(p);
}

/* Up to the chunks' last one, of which so many ops are durable. */
static void receive_snapshot(unsigned durable)
{
    pupil_init(p, 3);
    pupil_promises(p, 5);
    pupil_say(p, PEER_SYNC_SNAP, 5, zxid_make(4, 7));
    pupil_chunk(p, 5, 1, true);
    for (unsigned i = 0; i < durable; i++) {
        pupil_disk(p);
    }
}

/* It would lead, or have its history cut, while the tree is being loaded. */
Test(zab_learner, in_the_middle_of_a_snapshot_nobody_is_a_successor)
{
    receive_snapshot(3);
    cr_assert_eq(zab_logged(p->zab), zxid_make(4, 7));
    cr_assert_eq(p->loads, 1, "not yet again");
    hear_resign(5, 1);
    pupil_expect_looking(p);
    pupil_settle(p);
    cr_assert_eq(p->loads, 2);
    pupil_finish(p);
}

/* It would promise an epoch without storing it, and log what is of it. */
Test(zab_learner, in_the_middle_of_a_snapshot_a_successor_is_not_dialled)
{
    receive_snapshot(2);
    cr_assert_eq(zab_logged(p->zab), zxid_make(2, 3));
    hear_resign(5, 2);
    pupil_expect_looking(p);
    pupil_settle(p);
    cr_assert_eq(zab_logged(p->zab), zxid_make(4, 7));
    pupil_finish(p);
}

Test(zab_learner, a_diverged_server_is_blank_and_asks_for_a_whole_copy)
{
    pupil_init(p, 3);
    pupil_follows(p, 5);
    pupil_input(p, &(struct zab_input){.type = ZAB_IN_DIVERGED});
    pupil_expect_looking(p);
    cr_assert_eq(pupil_asked(p, STORE_EPOCHS)->epoch_current, 0);
    cr_assert_eq(pupil_asked(p, STORE_EPOCHS)->epoch_accepted, 5);
    pupil_settle(p);
    pupil_forget(p);
    pupil_promises(p, 5);
    cr_assert_not(pupil_sent(p, PEER_FOLLOWER_INFO)->follower_info.voting);
    cr_assert_not(pupil_sent(p, PEER_ACK_EPOCH)->ack_epoch.whole);
    cr_assert_eq(pupil_sent(p, PEER_ACK_EPOCH)->ack_epoch.epoch_current, 0);
    pupil_finish(p);
}

Test(zab_learner, a_message_of_another_epoch_breaks_the_link)
{
    static const enum peer_msg_type types[] = {
        PEER_SYNC_DIFF,  PEER_SYNC_TRUNC, PEER_SYNC_SNAP,
        PEER_SNAP_CHUNK, PEER_NEW_LEADER, PEER_UP_TO_DATE,
        PEER_PROPOSE,    PEER_INFORM,     PEER_COMMIT};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        pupil_init(p, 3);
        pupil_follows(p, 5);
        pupil_say(p, types[i], 4, Z(2, 3));
        pupil_expect_dropped(p, "it speaks of another epoch");
        pupil_finish(p);
    }
}

Test(zab_learner, what_only_learners_say_breaks_the_link)
{
    static const enum peer_msg_type types[] = {
        PEER_VOTE,           PEER_FOLLOWER_INFO, PEER_ACK_EPOCH, PEER_SNAP_ACK,
        PEER_ACK_NEW_LEADER, PEER_ACK,           PEER_PONG};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        pupil_init(p, 3);
        pupil_follows(p, 5);
        pupil_say(p, types[i], 5, Z(2, 3));
        pupil_expect_dropped(p, "a leader does not say this");
        pupil_finish(p);
    }
}

/* Whatever a leader sends, in whatever order, is at most the end of its link:
 * a CHECK would end the process. */
Test(zab_learner, nothing_that_a_leader_says_ends_the_server)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct prng prng;

        prng_init(&prng, seed);
        if (seed % 3 == 0) {
            pupil_init_blank(p);
        } else {
            pupil_init(p, 3);
        }
        for (unsigned i = 0; i < 3000; i++) {
            uint32_t epoch = 3 + (uint32_t)prng_below(&prng, 3) / 2;
            zxid_t logged = zab_logged(p->zab);
            /* One after the other: compilers differ in the order of
             * arguments. */
            uint64_t drawn = prng_below(&prng, 5);
            zxid_t zxid = prng_below(&prng, 3) == 0
                              ? Z(drawn, prng_below(&prng, 5))
                              : logged + (prng_below(&prng, 4) == 0);

            pupil_forget(p);
            if (pupil_is(p, "election")) {
                pupil_settle(p); /* it waits for what its own disk does */
                pupil_asks(p);
            }
            switch (prng_below(&prng, 12)) {
                case 0:
                    pupil_new_epoch(p, epoch);
                    break;
                case 1:
                case 2:
                    pupil_settle(p);
                    break;
                case 3:
                    pupil_tick(p, 1);
                    break;
                case 4:
                    pupil_propose(p, PEER_PROPOSE, epoch, logged + 1, 2);
                    break;
                case 5:
                    pupil_propose(p, PEER_PROPOSE + 3 * prng_below(&prng, 2),
                                  epoch, zxid, (uint32_t)prng_below(&prng, 4));
                    break;
                case 6:
                    pupil_chunk(p, epoch, 1 + (uint32_t)prng_below(&prng, 3),
                                prng_below(&prng, 2) == 0);
                    break;
                case 7:
                    pupil_disk(p);
                    break;
                default:
                    pupil_say(p,
                              (enum peer_msg_type)(1 + prng_below(&prng, 18)),
                              epoch, zxid);
                    break;
            }
        }
        pupil_finish(p);
    }
}
