/* A new epoch, as its leader sees it: the peers are the test. */
#include <criterion/criterion.h>

#include "tests/unit/zab/rig.h"

/* Asks on a new link. */
static void come(struct rig *rig, uint64_t id, uint32_t accepted)
{
    rig_link(rig, id, true);
    rig_ask(rig, id, accepted);
}

static void expect_drop(const struct peer_msg *msg)
{
    struct rig rig;

    rig_init(&rig, 5, 0);
    rig_had(&rig, 3, 5);
    rig_elect(&rig);
    come(&rig, 2, 3);
    come(&rig, 3, 3);
    cr_assert_eq(rig.epoch, 4);
    cr_assert_null(rig_dropped(&rig, 2));
    rig_say(&rig, 2, msg);
    cr_assert_not_null(rig_dropped(&rig, 2));
    cr_assert_not_null(rig_dropped(&rig, 2)->why);
    cr_assert(rig_is(&rig, "discovery"));
    rig_finish(&rig);
}

Test(zab_discovery, the_epoch_is_above_all_that_was_promised)
{
    struct rig rig;

    rig_init(&rig, 3, 0);
    rig_had(&rig, 3, 5);
    rig_elect(&rig);
    come(&rig, 2, 7);
    cr_assert_eq(rig_sent(&rig, PEER_NEW_EPOCH, 2)->msg.epoch, 8);
    cr_assert_eq(rig_asked(&rig, STORE_EPOCHS)->epoch_accepted, 8);
    cr_assert_eq(rig_asked(&rig, STORE_EPOCHS)->epoch_current, 3);
    rig_finish(&rig);
}

Test(zab_discovery, no_epoch_before_a_quorum_has_asked)
{
    struct rig rig;

    rig_init(&rig, 5, 1);
    rig_had(&rig, 3, 5);
    rig_elect(&rig);
    come(&rig, 2, 3);
    come(&rig, 6, 3); /* an observer */
    cr_assert_null(rig_sent(&rig, PEER_NEW_EPOCH, 2));
    cr_assert_eq(rig.writes_count, 0);
    come(&rig, 3, 3);
    /* One message for all. */
    cr_assert_eq(rig_sent(&rig, PEER_NEW_EPOCH, 2)->peers,
                 BIT(1) | BIT(2) | BIT(5));
    come(&rig, 4, 3); /* and those that come later have it at once */
    cr_assert_eq(rig_sent(&rig, PEER_NEW_EPOCH, 4)->msg.epoch, 4);
    rig_finish(&rig);
}

Test(zab_discovery, our_own_promise_counts_when_it_is_durable)
{
    struct rig rig;
    struct rig_history has;

    rig_init(&rig, 3, 0);
    rig_had(&rig, 3, 5);
    rig_elect(&rig);
    has = rig_same(&rig);
    come(&rig, 2, 3);
    come(&rig, 3, 3);
    rig_promise(&rig, 2, &has);
    rig_promise(&rig, 3, &has);
    cr_assert(rig_is(&rig, "discovery"));
    cr_assert_null(rig_sent(&rig, PEER_SYNC_DIFF, 2));
    rig_store(&rig);
    cr_assert_not_null(rig_sent(&rig, PEER_SYNC_DIFF, 2));
    cr_assert_eq(rig_asked(&rig, STORE_EPOCHS)->epoch_current, 4);
    rig_finish(&rig);
}

Test(zab_discovery, a_promise_that_does_not_count_is_none)
{
    struct rig rig;
    struct rig_history has;

    rig_init(&rig, 5, 1);
    rig_had(&rig, 3, 5);
    rig_elect(&rig);
    has = rig_same(&rig);
    for (uint64_t id = 2; id <= 6; id++) {
        come(&rig, id, 3);
    }
    rig_store(&rig);
    rig_promise(&rig, 2, &has);
    rig_promise(&rig, 6, &has); /* an observer says it counts */
    has.counted = false;
    rig_promise(&rig, 3, &has);
    cr_assert(rig_is(&rig, "discovery"));
    has.counted = true;
    rig_promise(&rig, 4, &has);
    cr_assert(rig_is(&rig, "sync"));
    rig_finish(&rig);
}

Test(zab_discovery, a_blank_voter_is_in_no_quorum)
{
    struct rig rig;
    struct rig_history has;

    rig_init(&rig, 3, 0);
    rig_had(&rig, 3, 5);
    rig_elect(&rig);
    rig_link(&rig, 2, true);
    rig_ask_blank(&rig, 2);
    cr_assert_null(rig_sent(&rig, PEER_NEW_EPOCH, 2));
    come(&rig, 3, 3);
    cr_assert_not_null(rig_sent(&rig, PEER_NEW_EPOCH, 2));
    rig_store(&rig);
    has = (struct rig_history){.counted = true, .whole = true};
    rig_promise(&rig, 2, &has);
    cr_assert(rig_is(&rig, "discovery"));
    has = rig_same(&rig);
    rig_promise(&rig, 3, &has);
    rig_store(&rig);
    cr_assert(rig_is(&rig, "sync"));
    rig_finish(&rig);
}

Test(zab_discovery, who_asks_before_our_election_is_over_is_remembered)
{
    struct rig rig;

    rig_init(&rig, 3, 0);
    rig_had(&rig, 3, 5);
    rig.asks_early = true;
    rig_elect(&rig);
    cr_assert_eq(rig.epoch, 7);
    rig_finish(&rig);
}

Test(zab_discovery, an_epoch_that_was_promised_elsewhere_is_left)
{
    struct rig rig;
    struct rig_history has;

    rig_init(&rig, 5, 0);
    rig_had(&rig, 3, 5);
    rig_elect(&rig);
    has = rig_same(&rig);
    come(&rig, 2, 3);
    come(&rig, 3, 3);
    cr_assert_eq(rig.epoch, 4);
    rig_promise(&rig, 2, &has);
    come(&rig, 4, 4); /* the same, promised to another one */
    cr_assert_eq(rig_sent(&rig, PEER_NEW_EPOCH, 2)->msg.epoch, 5);
    cr_assert_eq(rig_sent(&rig, PEER_NEW_EPOCH, 4)->msg.epoch, 5);
    cr_assert_eq(rig_asked(&rig, STORE_EPOCHS)->epoch_accepted, 5);
    cr_assert_eq(rig_mark(&rig, ZAB_MARK_EPOCH_RACE), 1);
    rig_store(&rig);
    /* Promises of the one before are late, not wrong, and count nothing. */
    rig.epoch = 4;
    rig_promise(&rig, 3, &has);
    cr_assert_null(rig_dropped(&rig, 3));
    rig.epoch = 5;
    rig_promise(&rig, 2, &has);
    cr_assert(rig_is(&rig, "discovery"));
    rig_promise(&rig, 3, &has);
    cr_assert(rig_is(&rig, "sync"));
    rig_finish(&rig);
}

Test(zab_discovery, a_later_history_makes_us_step_down)
{
    for (unsigned i = 0; i < 3; i++) {
        struct rig rig;
        struct rig_history has;

        rig_init(&rig, 5, 0);
        rig_had(&rig, 3, 5);
        rig_elect(&rig);
        come(&rig, 2, 3);
        come(&rig, 3, 3);
        has = rig_same(&rig);
        if (i == 0) {
            has.last = has.ends[0] = Z(3, 6);
        } else if (i == 1) {
            has.epoch_current = 4;
        } else {
            has.epoch_current = 2; /* longer, and not later */
            has.last = has.ends[0] = Z(3, 6);
        }
        rig_promise(&rig, 2, &has);
        cr_assert_eq(rig_is(&rig, "election"), i < 2);
        cr_assert_eq(rig_mark(&rig, ZAB_MARK_LEADER_BEHIND), i < 2);
        cr_assert_eq(rig_dropped(&rig, 2) != NULL, i < 2);
        rig_finish(&rig);
    }
}

/* With the quorum it is our history that counts. */
Test(zab_discovery, behind_the_quorum_a_later_history_is_cut)
{
    struct rig rig;
    struct rig_history has;

    rig_init(&rig, 5, 0);
    rig_had(&rig, 3, 5);
    rig_elect(&rig);
    has = rig_same(&rig);
    for (uint64_t id = 2; id <= 4; id++) {
        come(&rig, id, 3);
    }
    rig_store(&rig);
    rig_promise(&rig, 2, &has);
    rig_promise(&rig, 3, &has);
    cr_assert(rig_is(&rig, "sync"));
    has.last = has.ends[0] = Z(3, 6);
    rig_promise(&rig, 4, &has);
    cr_assert_eq(rig_sent(&rig, PEER_SYNC_TRUNC, 4)->msg.zxid, Z(3, 5));
    rig_finish(&rig);
}

Test(zab_discovery, nothing_is_above_the_last_epoch)
{
    struct rig rig;

    rig_init(&rig, 3, 0);
    rig_had(&rig, 3, 5);
    rig.durable.epoch_accepted = UINT32_MAX;
    rig_elect(&rig);
    come(&rig, 2, 3);
    cr_assert_neq(rig_find(&rig, ZAB_DAMAGED, 0), SIZE_MAX);
    rig_finish(&rig);

    rig_init(&rig, 3, 0);
    rig_had(&rig, 3, 5);
    rig_elect(&rig);
    come(&rig, 2, UINT32_MAX); /* a peer's word is no reason to end */
    cr_assert_not_null(rig_dropped(&rig, 2));
    come(&rig, 3, UINT32_MAX - 1);
    cr_assert_eq(rig.epoch, UINT32_MAX);
    rig_finish(&rig);
}

Test(zab_discovery, a_first_leader_makes_the_cluster_id)
{
    for (unsigned i = 0; i < 2; i++) {
        struct rig rig;
        uint8_t expected = i == 0 ? 0xab : 0x77;

        rig_init(&rig, 3, 0);
        rig_had(&rig, 3, 5);
        rig.durable.cluster_id[0] = i == 0 ? 0 : 0x77;
        rig_elect(&rig);
        come(&rig, 2, 3);
        cr_assert_eq(
            rig_sent(&rig, PEER_NEW_EPOCH, 2)->msg.new_epoch.cluster_id[0],
            expected);
        cr_assert_eq(rig_asked(&rig, STORE_EPOCHS)->cluster_id[0], expected);
        rig_finish(&rig);
    }
}

Test(zab_discovery, what_breaks_the_protocol_loses_its_link)
{
    static const zxid_t falling[] = {Z(3, 1), Z(2, 1)};
    static const zxid_t beyond[] = {Z(3, 6)};
    struct peer_msg ack = {.type = PEER_ACK_EPOCH,
                           .epoch = 4,
                           .zxid = Z(3, 5),
                           .ack_epoch.counted = true,
                           .ack_epoch.whole = true,
                           .ack_epoch.epoch_current = 3};
    struct peer_msg msg = ack;

    msg.epoch = 5;
    expect_drop(&msg);
    msg = ack;
    msg.ack_epoch.epoch_ends = falling;
    msg.ack_epoch.epoch_ends_count = 2;
    expect_drop(&msg);
    msg.ack_epoch.epoch_ends = beyond;
    msg.ack_epoch.epoch_ends_count = 1;
    expect_drop(&msg);
    msg = ack;
    msg.ack_epoch.checkpoint = Z(3, 6);
    expect_drop(&msg);
    msg = (struct peer_msg){.type = PEER_FOLLOWER_INFO, .epoch = 3};
    expect_drop(&msg);
    msg = (struct peer_msg){.type = PEER_ACK_NEW_LEADER, .epoch = 4};
    expect_drop(&msg);
    msg = (struct peer_msg){.type = PEER_ACK, .epoch = 4};
    expect_drop(&msg);
    msg = (struct peer_msg){.type = PEER_PONG, .ping.number = 1};
    expect_drop(&msg);
    msg = (struct peer_msg){.type = PEER_SNAP_ACK, .epoch = 4};
    expect_drop(&msg);
}

Test(zab_discovery, a_promise_is_made_once)
{
    struct rig rig;
    struct rig_history has;

    rig_init(&rig, 5, 0);
    rig_had(&rig, 3, 5);
    rig_elect(&rig);
    has = rig_same(&rig);
    come(&rig, 2, 3);
    come(&rig, 3, 3);
    rig_promise(&rig, 2, &has);
    rig_promise(&rig, 2, &has);
    cr_assert_not_null(rig_dropped(&rig, 2));
    rig_finish(&rig);
}

Test(zab_discovery, an_established_leader_gives_its_own_epoch)
{
    struct rig rig;

    rig_init(&rig, 3, 1);
    rig_had(&rig, 3, 5);
    rig_lead(&rig, BIT(2));
    come(&rig, 3, 4); /* ours, promised to us or to one that failed */
    cr_assert_eq(rig_sent(&rig, PEER_NEW_EPOCH, 3)->msg.epoch, 4);
    come(&rig, 4, 9); /* an observer's promise is nobody's matter */
    cr_assert_eq(rig_sent(&rig, PEER_NEW_EPOCH, 4)->msg.epoch, 4);
    cr_assert(rig_is(&rig, "leading"));
    rig_finish(&rig);
}

/* While the epoch is being taken up, one that cannot follow it is no help: when
 * it is needed, we begin again; else it waits. */
Test(zab_discovery, a_needed_voter_of_a_later_epoch_ends_an_epoch_not_taken_up)
{
    struct rig rig;
    struct rig_history has;

    rig_init(&rig, 3, 0);
    rig_had(&rig, 3, 5);
    rig_elect(&rig);
    has = rig_same(&rig);
    come(&rig, 2, 3);
    rig_store(&rig);
    rig_promise(&rig, 2, &has);
    cr_assert(rig_is(&rig, "sync"));
    come(&rig, 3, 8);
    cr_assert(rig_is(&rig, "sync"));
    rig_link(&rig, 3, false);
    rig_link(&rig, 2, false);
    come(&rig, 3, 8);
    cr_assert(rig_is(&rig, "election"));
    rig_finish(&rig);
}

/* ---- in place */

Test(zab_discovery, a_voter_of_a_later_epoch_is_let_in_in_place)
{
    struct rig rig;
    struct rig_history has;

    rig_init(&rig, 3, 0);
    rig_had(&rig, 3, 5);
    rig_lead(&rig, BIT(2));
    come(&rig, 3, 7);
    cr_assert(rig_is(&rig, "discovery"));
    cr_assert_eq(rig_mark(&rig, ZAB_MARK_EPOCH_IN_PLACE_VOTER), 1);
    cr_assert_eq(rig.epoch, 8);
    cr_assert_not_null(rig_sent(&rig, PEER_NEW_EPOCH, 2));
    cr_assert_not_null(rig_sent(&rig, PEER_NEW_EPOCH, 3));
    cr_assert_eq(zab_role(rig.zab), ZAB_LEADING);
    cr_assert_not(zab_can_propose(rig.zab));
    cr_assert(zab_peer_synced(rig.zab, 2));
    rig_store(&rig);
    has = rig_same(&rig);
    has.epoch_current = 4;
    rig_promise(&rig, 2, &has);
    /* No SYNC_DIFF: it goes on where it was. */
    cr_assert_null(rig_sent(&rig, PEER_SYNC_DIFF, 2));
    cr_assert_eq(rig_sent(&rig, PEER_NEW_LEADER, 2)->msg.zxid, Z(3, 5));
    rig_store(&rig);
    rig_take_up(&rig, 2, Z(3, 5));
    cr_assert(rig_is(&rig, "leading"));
    cr_assert_not_null(rig_sent(&rig, PEER_UP_TO_DATE, 2));
    cr_assert_eq(zab_next_zxid(rig.zab), Z(8, 1));
    has = rig_same(&rig);
    rig_promise(&rig, 3, &has);
    cr_assert_not_null(rig_sent(&rig, PEER_NEW_LEADER, 3));
    cr_assert_null(rig_dropped(&rig, 2));
    rig_finish(&rig);
}

Test(zab_discovery, in_place_only_so_often)
{
    struct rig rig;
    struct rig_history has;

    rig_init(&rig, 3, 0);
    rig_had(&rig, 3, 5);
    rig_lead(&rig, BIT(2));
    come(&rig, 3, 7);
    rig_store(&rig);
    has = rig_same(&rig);
    rig_promise(&rig, 2, &has);
    rig_store(&rig);
    rig_take_up(&rig, 2, Z(3, 5));
    cr_assert(rig_is(&rig, "leading"));
    rig_link(&rig, 3, false);
    come(&rig, 3, 20);
    cr_assert(rig_is(&rig, "leading"));
    rig_live(&rig, 49, BIT(2));
    cr_assert(rig_is(&rig, "leading"));
    rig_live(&rig, 1, BIT(2));
    cr_assert(rig_is(&rig, "discovery"));
    cr_assert_eq(rig.epoch, 21);
    rig_finish(&rig);
}

Test(zab_discovery, in_place_when_all_is_delivered)
{
    struct rig rig;

    rig_init(&rig, 3, 0);
    rig_had(&rig, 3, 5);
    rig_lead(&rig, BIT(2));
    rig_propose(&rig, 10);
    come(&rig, 3, 7);
    cr_assert(rig_is(&rig, "draining"));
    cr_assert_not(zab_can_propose(rig.zab));
    rig_store(&rig);
    cr_assert(rig_is(&rig, "draining"));
    rig_ack(&rig, 2, Z(4, 1));
    cr_assert(rig_is(&rig, "discovery"));
    cr_assert_lt(rig_find_sent(&rig, PEER_COMMIT, 2, 0),
                 rig_find_sent(&rig, PEER_NEW_EPOCH, 2, 0));
    rig_finish(&rig);
}

Test(zab_discovery, in_place_drops_who_is_on_the_way)
{
    struct rig rig;

    rig_init(&rig, 5, 0);
    rig_had(&rig, 3, 5);
    rig_lead(&rig, BIT(2) | BIT(3));
    come(&rig, 4, 3); /* NEW_EPOCH of the old one is on its way */
    come(&rig, 5, 7);
    cr_assert(rig_is(&rig, "discovery"));
    cr_assert_not_null(rig_dropped(&rig, 4));
    cr_assert_null(rig_dropped(&rig, 5));
    cr_assert_not(zab_peer_synced(rig.zab, 4));
    rig_finish(&rig);
}

/* ACKs and PONGs of the epoch before cross NEW_EPOCH; a history other than what
 * was sent cannot be. */
Test(zab_discovery, in_place_late_answers_are_not_wrong)
{
    struct rig rig;
    struct rig_history has;

    rig_init(&rig, 5, 0);
    rig_had(&rig, 3, 5);
    rig_lead(&rig, BIT(2) | BIT(3));
    rig_propose(&rig, 10);
    rig_store(&rig);
    rig_ack(&rig, 2, Z(4, 1));
    come(&rig, 4, 7);
    cr_assert(rig_is(&rig, "draining"));
    rig_barrier(&rig);
    rig_pong(&rig, 2, 1);
    rig_ack(&rig, 3, Z(4, 1));
    cr_assert(rig_is(&rig, "discovery"));
    rig.epoch = 4;
    rig_ack(&rig, 2, Z(4, 1));
    rig_pong(&rig, 3, 1);
    cr_assert_null(rig_dropped(&rig, 2));
    cr_assert_null(rig_dropped(&rig, 3));
    rig.epoch = 8;
    has = rig_same(&rig);
    rig_promise(&rig, 2, &has); /* without 4.1 */
    cr_assert_not_null(rig_dropped(&rig, 2));
    rig_finish(&rig);
}

Test(zab_discovery, in_place_without_a_quorum_steps_down_soon)
{
    struct rig rig;

    rig_init(&rig, 5, 0);
    rig_had(&rig, 3, 5);
    rig_lead(&rig, BIT(2) | BIT(3));
    come(&rig, 4, 7);
    cr_assert(rig_is(&rig, "discovery"));
    rig_live(&rig, 35, BIT(2) | BIT(3) | BIT(4));
    cr_assert(rig_is(&rig, "discovery"));
    rig_live(&rig, 1, 0);
    cr_assert(rig_is(&rig, "election"));
    cr_assert_eq(zab_role(rig.zab), ZAB_LOOKING);
    rig_finish(&rig);
}

/* It is not held up for ever by one that cannot stay. */
Test(zab_discovery, who_comes_again_and_again_moves_nothing_on)
{
    struct rig rig;
    unsigned ticks = 0;

    rig_init(&rig, 5, 0);
    rig_had(&rig, 3, 5);
    rig_elect(&rig);
    for (; rig_is(&rig, "discovery") && ticks < 500; ticks += 10) {
        rig_link(&rig, 2, true);
        rig_ask(&rig, 2, 3);
        rig_tick(&rig, 10);
    }
    cr_assert_lt(ticks, 100);
    rig_finish(&rig);
}

/* It may have lost its disk, and have come back to follow another leader, which
 * commits with it what we do not have: all while we slept. */
Test(zab_discovery, a_promise_counts_as_long_as_it_stands)
{
    struct rig rig;
    struct rig_history has;

    rig_init(&rig, 3, 0);
    rig_had(&rig, 3, 5);
    rig_elect(&rig);
    rig.doubtful = true;
    has = rig_same(&rig);
    rig_link(&rig, 2, true);
    rig_ask(&rig, 2, 3);
    rig_store(&rig);
    rig_promise(&rig, 2, &has);
    cr_assert(rig_is(&rig, "discovery"));
    cr_assert_eq(rig_sent(&rig, PEER_PING, 2)->msg.ping.number, 1);
    rig_pong(&rig, 2, 0); /* to a heartbeat before */
    cr_assert(rig_is(&rig, "discovery"));
    rig_link(&rig, 2, true); /* another one: its new life's */
    rig_ask(&rig, 2, 3);
    cr_assert(rig_is(&rig, "discovery"));
    rig_promise(&rig, 2, &has);
    cr_assert_eq(rig_sent(&rig, PEER_PING, 2)->msg.ping.number, 2);
    rig_pong(&rig, 2, 1);
    cr_assert(rig_is(&rig, "discovery"));
    rig_pong(&rig, 2, 2);
    cr_assert(rig_is(&rig, "sync"));
    rig_finish(&rig);
}

/* All of the quorum at one time: who comes later is asked together with the
 * others, once more, if one of them is silent. */
Test(zab_discovery, promises_stand_together)
{
    struct rig rig;
    struct rig_history has;

    rig_init(&rig, 5, 0);
    rig_had(&rig, 3, 5);
    rig_elect(&rig);
    rig.doubtful = true;
    has = rig_same(&rig);
    rig_store(&rig);
    for (uint64_t id = 2; id <= 4; id++) {
        rig_link(&rig, id, true);
        rig_ask(&rig, id, 3);
    }
    rig_store(&rig);
    rig_promise(&rig, 2, &has);
    cr_assert_null(rig_sent(&rig, PEER_PING, 2)); /* no quorum yet */
    rig_promise(&rig, 3, &has);
    cr_assert_eq(rig_sent(&rig, PEER_PING, 2)->peers, BIT(1) | BIT(2));
    rig_pong(&rig, 2, 1);
    rig_promise(&rig, 4, &has); /* and 3 is silent */
    cr_assert(rig_is(&rig, "discovery"));
    rig_tick(&rig, 1);
    cr_assert_eq(rig_sent(&rig, PEER_PING, 4)->msg.ping.number, 2);
    cr_assert_eq(rig_sent(&rig, PEER_PING, 4)->peers, BIT(1) | BIT(2) | BIT(3));
    rig_pong(&rig, 4, 2);
    cr_assert(rig_is(&rig, "discovery")); /* 2 has not answered this one */
    rig_pong(&rig, 2, 2);
    cr_assert(rig_is(&rig, "sync"));
    rig_finish(&rig);
}
