/* Broadcast, and whether it still leads. Our history is 3.1 .. 3.5, the epoch
 * is 4. */
#include <criterion/criterion.h>

#include "base/prng.h"
#include "tests/unit/zab/rig.h"

static void lead(struct rig *rig, unsigned voters, unsigned observers,
                 uint64_t learners)
{
    rig_init(rig, voters, observers);
    rig_had(rig, 3, 5);
    rig_lead(rig, learners);
}

Test(zab_leader, commits_what_a_quorum_and_our_own_disk_have)
{
    struct rig rig;

    lead(&rig, 5, 0, BIT(2) | BIT(3) | BIT(4));
    rig_propose(&rig, 10);
    rig_ack(&rig, 2, Z(4, 1));
    rig_ack(&rig, 3, Z(4, 1));
    rig_ack(&rig, 4, Z(4, 1));
    cr_assert_eq(zab_committed(rig.zab), Z(3, 5)); /* not on ours */
    rig_store(&rig);
    cr_assert_eq(zab_committed(rig.zab), Z(4, 1));
    rig_propose(&rig, 10);
    rig_propose(&rig, 10);
    rig_store(&rig);
    rig_ack(&rig, 2, Z(4, 3));
    cr_assert_eq(zab_committed(rig.zab), Z(4, 1));
    rig_ack(&rig, 3, Z(4, 2)); /* what the third of five has */
    cr_assert_eq(zab_committed(rig.zab), Z(4, 2));
    rig_finish(&rig);
}

Test(zab_leader, says_the_same_to_many_once)
{
    struct rig rig;
    const struct rig_event *event;

    lead(&rig, 3, 2, BIT(2) | BIT(3) | BIT(4) | BIT(5));
    rig_propose(&rig, 10);
    event = rig_sent(&rig, PEER_PROPOSE, 2);
    cr_assert_eq(event->peers, BIT(1) | BIT(2));
    cr_assert_eq(event->msg.zxid, Z(4, 1));
    cr_assert_eq(event->msg.payloads_count, 1);
    cr_assert_eq(event->bytes, 10);
    rig_propose(&rig, 10);
    rig_store(&rig);
    rig_ack(&rig, 3, Z(4, 2));
    event = rig_sent(&rig, PEER_COMMIT, 2);
    cr_assert_eq(event->peers, BIT(1) | BIT(2));
    cr_assert_eq(event->msg.zxid, Z(4, 2));
    event = rig_sent(&rig, PEER_INFORM, 4);
    cr_assert_eq(event->peers, BIT(3) | BIT(4));
    cr_assert_eq(event->msg.zxid, Z(4, 1));
    cr_assert_eq(event->msg.payloads_count, 2);
    cr_assert_eq(rig_sent_count(&rig, PEER_COMMIT, 2), 1);
    rig_finish(&rig);
}

Test(zab_leader, observers_count_for_nothing)
{
    struct rig rig;

    lead(&rig, 3, 1, BIT(2) | BIT(4));
    rig_propose(&rig, 10);
    rig_store(&rig);
    rig_ack(&rig, 4, Z(3, 5));
    cr_assert_null(rig_sent(&rig, PEER_PROPOSE, 4));
    rig_ack(&rig, 4, Z(4, 1)); /* it cannot have it */
    cr_assert_not_null(rig_dropped(&rig, 4));
    cr_assert_eq(zab_committed(rig.zab), Z(3, 5));
    rig_finish(&rig);
}

/* Zab's phase 3 begins with a quorum that has taken the epoch up; what was
 * there before is committed by that and by nothing else. */
Test(zab_leader, an_older_epoch_is_not_committed_by_counting)
{
    struct rig rig;
    struct rig_history has = {
        .counted = true, .whole = true, .epoch_current = 3, .last = Z(3, 4)};

    rig_init(&rig, 3, 0);
    rig_had(&rig, 3, 5);
    rig_elect(&rig);
    has.ends[0] = Z(3, 4);
    has.ends_count = 1;
    rig_link(&rig, 2, true);
    rig_ask(&rig, 2, 3);
    rig_store(&rig);
    rig_promise(&rig, 2, &has);
    rig_reads(&rig);
    rig_store(&rig);
    rig_ack(&rig, 2, Z(3, 5)); /* a quorum has it on disk */
    cr_assert_eq(zab_committed(rig.zab), 0);
    cr_assert_eq(rig_find(&rig, ZAB_DELIVER, 0), SIZE_MAX);
    rig_take_up(&rig, 2, Z(3, 5));
    cr_assert_eq(zab_committed(rig.zab), Z(3, 5));
    cr_assert_eq(rig_mark(&rig, ZAB_MARK_UNCOMMITTED_TAIL_KEPT), 1);
    rig_finish(&rig);
}

Test(zab_leader, proposes_when_its_history_is_delivered)
{
    struct rig rig;
    struct rig_history has;

    rig_init(&rig, 3, 0);
    rig_had(&rig, 3, 5);
    rig_elect(&rig);
    has = rig_same(&rig);
    rig_link(&rig, 2, true);
    rig_ask(&rig, 2, 3);
    rig_store(&rig);
    rig_promise(&rig, 2, &has);
    rig_store(&rig);
    rig_take_up(&rig, 2, Z(3, 5));
    cr_assert_eq(zab_role(rig.zab), ZAB_LEADING);
    cr_assert_not(zab_can_propose(rig.zab));
    rig_reads(&rig);
    cr_assert(zab_can_propose(rig.zab));
    cr_assert_eq(zab_next_zxid(rig.zab), Z(4, 1));
    rig_finish(&rig);
}

/* A (4, 0) stands in nobody's history. */
Test(zab_leader, an_ack_of_what_is_no_zxid_commits_nothing)
{
    struct rig rig;

    lead(&rig, 3, 0, BIT(2));
    rig_propose(&rig, 10);
    rig_store(&rig);
    rig_ack(&rig, 2, Z(4, 0));
    cr_assert_eq(zab_committed(rig.zab), Z(3, 5));
    rig_ack(&rig, 2, Z(3, 900));
    cr_assert_eq(zab_committed(rig.zab), Z(3, 5));
    rig_finish(&rig);
}

Test(zab_leader, an_ack_that_falls_back_changes_nothing)
{
    struct rig rig;

    lead(&rig, 3, 0, BIT(2));
    rig_propose(&rig, 10);
    rig_ack(&rig, 2, Z(4, 1));
    rig_ack(&rig, 2, Z(3, 5));
    cr_assert_null(rig_dropped(&rig, 2));
    rig_store(&rig);
    cr_assert_eq(zab_committed(rig.zab), Z(4, 1));
    rig_finish(&rig);
}

/* Its disk may be another one when it comes back. */
Test(zab_leader, acks_of_a_lost_link_are_lost)
{
    struct rig rig;

    lead(&rig, 5, 0, BIT(2) | BIT(3));
    rig_propose(&rig, 10);
    rig_store(&rig);
    rig_ack(&rig, 2, Z(4, 1));
    rig_link(&rig, 2, false);
    rig_ack(&rig, 3, Z(4, 1));
    cr_assert_eq(zab_committed(rig.zab), Z(3, 5));
    rig_finish(&rig);
}

/* ---- liveness */

Test(zab_leader, steps_down_when_no_quorum_is_heard)
{
    struct rig rig;

    lead(&rig, 5, 1, BIT(2) | BIT(3) | BIT(6));
    rig_live(&rig, 35, BIT(2) | BIT(6));
    cr_assert(rig_is(&rig, "leading"));
    rig_forget(&rig);
    rig_live(&rig, 1, BIT(2) | BIT(6));
    cr_assert(rig_is(&rig, "election"));
    cr_assert_eq(zab_role(rig.zab), ZAB_LOOKING);
    cr_assert_eq(rig_mark(&rig, ZAB_MARK_CHECK_QUORUM), 1);
    cr_assert_not_null(rig_dropped(&rig, 2));
    cr_assert_not_null(rig_dropped(&rig, 3));
    cr_assert_eq(zab_synced_learners(rig.zab), 0);
    rig_finish(&rig);
}

Test(zab_leader, stays_as_long_as_a_quorum_is_heard)
{
    struct rig rig;

    lead(&rig, 5, 0, BIT(2) | BIT(3));
    rig_live(&rig, 30, BIT(2));
    rig_live(&rig, 30, BIT(3));
    cr_assert(rig_is(&rig, "leading"));
    rig_live(&rig, 200, BIT(2) | BIT(3));
    cr_assert(rig_is(&rig, "leading"));
    rig_finish(&rig);
}

Test(zab_leader, a_silent_learner_is_dropped)
{
    struct rig rig;

    lead(&rig, 5, 0, BIT(2) | BIT(3) | BIT(4));
    rig_live(&rig, 100, BIT(2) | BIT(3));
    cr_assert_null(rig_dropped(&rig, 4));
    rig_live(&rig, 1, BIT(2) | BIT(3));
    cr_assert_not_null(rig_dropped(&rig, 4));
    cr_assert_not(zab_peer_synced(rig.zab, 4));
    cr_assert_eq(rig_mark(&rig, ZAB_MARK_LEARNER_SILENT), 1);
    rig_finish(&rig);
}

Test(zab_leader, a_synchronization_without_progress_is_dropped)
{
    struct rig rig;
    struct rig_history has;

    lead(&rig, 5, 0, BIT(2) | BIT(3));
    has = rig_same(&rig);
    rig_link(&rig, 4, true);
    rig_live(&rig, 150, BIT(2) | BIT(3) | BIT(4));
    rig_ask(&rig, 4, 3);
    rig_live(&rig, 150, BIT(2) | BIT(3) | BIT(4));
    rig_promise(&rig, 4, &has);
    rig_live(&rig, 200, BIT(2) | BIT(3) | BIT(4));
    cr_assert_null(rig_dropped(&rig, 4));
    rig_live(&rig, 1, BIT(2) | BIT(3) | BIT(4));
    cr_assert_not_null(rig_dropped(&rig, 4));
    rig_finish(&rig);
}

/* A leader that is elected but gets nowhere makes room. */
Test(zab_leader, what_does_not_begin_ends)
{
    struct rig rig;

    rig_init(&rig, 3, 0);
    rig_had(&rig, 3, 5);
    rig_elect(&rig);
    rig_link(&rig, 2, true);
    rig_ask(&rig, 2, 3);
    rig_store(&rig);
    rig_live(&rig, 200, BIT(2));
    cr_assert(rig_is(&rig, "discovery"));
    rig_live(&rig, 1, BIT(2));
    cr_assert(rig_is(&rig, "election"));
    rig_finish(&rig);
}

Test(zab_leader, nobody_comes_and_it_looks_again_soon)
{
    struct rig rig;

    rig_init(&rig, 3, 0);
    rig_had(&rig, 3, 5);
    rig_elect(&rig);
    rig_tick(&rig, 28);
    cr_assert_eq(rig_mark(&rig, ZAB_MARK_CHECK_QUORUM), 0);
    rig_tick(&rig, 8);
    cr_assert_eq(rig_mark(&rig, ZAB_MARK_CHECK_QUORUM), 1);
    rig_finish(&rig);
}

Test(zab_leader, steps_down_for_a_later_epoch)
{
    struct rig rig;

    lead(&rig, 3, 0, BIT(2));
    rig_vote(&rig, 3, PEER_FOLLOWING, 5, 2); /* one that only follows */
    rig_vote(&rig, 2, PEER_FOLLOWING, 4, 1);
    rig_live(&rig, 1, BIT(2));
    cr_assert(rig_is(&rig, "leading"));
    rig_vote(&rig, 2, PEER_LEADING, 5, 2); /* and the one it follows */
    rig_live(&rig, 1, BIT(2));
    cr_assert_neq(strcmp(zab_phase_name(rig.zab), "leading"), 0);
    cr_assert_eq(rig_mark(&rig, ZAB_MARK_OUTVOTED), 1);
    rig_finish(&rig);

    lead(&rig, 5, 0, BIT(2) | BIT(3));
    rig_vote(&rig, 5, PEER_ESTABLISHED, 4, 5); /* not later than ours */
    rig_live(&rig, 1, BIT(2));
    cr_assert(rig_is(&rig, "leading"));
    rig_vote(&rig, 5, PEER_ESTABLISHED, 5, 5);
    rig_live(&rig, 1, BIT(2));
    cr_assert_eq(rig_mark(&rig, ZAB_MARK_OUTVOTED), 1);
    rig_finish(&rig);
}

Test(zab_leader, an_idle_link_has_a_heartbeat)
{
    struct rig rig;

    lead(&rig, 3, 1, BIT(2) | BIT(4));
    rig_live(&rig, 4, BIT(2) | BIT(4));
    cr_assert_null(rig_sent(&rig, PEER_PING, 2));
    rig_live(&rig, 1, BIT(2) | BIT(4));
    cr_assert_eq(rig_sent(&rig, PEER_PING, 2)->peers, BIT(1) | BIT(3));
    cr_assert_eq(rig_sent(&rig, PEER_PING, 2)->msg.epoch, 4);
    cr_assert_eq(rig_sent(&rig, PEER_PING, 2)->msg.ping.number, 0);
    rig_live(&rig, 2, BIT(2) | BIT(4));
    rig_propose(&rig, 10);
    rig_forget(&rig);
    rig_live(&rig, 4, BIT(2) | BIT(4));
    cr_assert_null(rig_sent(&rig, PEER_PING, 2)); /* it was spoken to */
    cr_assert_not_null(rig_sent(&rig, PEER_PING, 4));
    rig_finish(&rig);
}

/* Speaking is not enough: who does not answer is asked. */
Test(zab_leader, a_learner_that_only_listens_is_asked)
{
    struct rig rig;

    lead(&rig, 3, 0, BIT(2));
    for (unsigned i = 0; i < 6; i++) {
        rig_propose(&rig, 10);
        rig_tick(&rig, 1);
    }
    cr_assert_eq(rig_sent_count(&rig, PEER_PING, 2), 1);
    rig_finish(&rig);
}

Test(zab_leader, heartbeats_begin_with_the_link)
{
    struct rig rig;

    rig_init(&rig, 3, 0);
    rig_had(&rig, 3, 5);
    rig_elect(&rig);
    rig_link(&rig, 2, true);
    rig_tick(&rig, 5);
    cr_assert_eq(rig_sent(&rig, PEER_PING, 2)->msg.epoch, 0);
    rig_ask(&rig, 2, 3);
    rig_tick(&rig, 5);
    cr_assert_eq(rig_sent(&rig, PEER_PING, 2)->msg.epoch, 4);
    rig_pong(&rig, 2, 0); /* of the one before NEW_EPOCH */
    cr_assert_null(rig_dropped(&rig, 2));
    rig_finish(&rig);
}

/* ---- the ends of an epoch and of a leadership */

Test(zab_leader, the_counters_end_is_an_epoch_in_place)
{
    struct rig rig;
    struct rig_history has;

    rig_init(&rig, 3, 1);
    rig_had(&rig, 3, 5);
    rig.config.counter_max = 2;
    rig_lead(&rig, BIT(2) | BIT(3) | BIT(4));
    rig_propose(&rig, 10);
    cr_assert(zab_can_propose(rig.zab));
    rig_propose(&rig, 10);
    cr_assert_not(zab_can_propose(rig.zab));
    rig_store(&rig);
    rig_ack(&rig, 2, Z(4, 2));
    cr_assert(rig_is(&rig, "discovery"));
    cr_assert_eq(rig_mark(&rig, ZAB_MARK_EPOCH_IN_PLACE_COUNTER), 1);
    cr_assert_eq(rig_sent(&rig, PEER_NEW_EPOCH, 4)->msg.epoch, 5);
    rig_store(&rig);
    has = rig_same(&rig);
    has.last = Z(4, 2);
    rig_promise(&rig, 2, &has);
    rig_promise(&rig, 4, &has);
    rig_store(&rig);
    rig_take_up(&rig, 2, Z(4, 2));
    cr_assert(zab_can_propose(rig.zab));
    cr_assert_eq(rig_propose(&rig, 10), Z(5, 1));
    cr_assert_eq(zab_epoch(rig.zab), 5);
    cr_assert_eq(rig_sent(&rig, PEER_PROPOSE, 2)->msg.epoch, 5);
    rig_promise(&rig, 3, &has); /* the slowest goes on, too */
    cr_assert_eq(rig_sent(&rig, PEER_PROPOSE, 3)->msg.zxid, Z(5, 1));
    cr_assert_eq(rig_sent(&rig, PEER_NEW_LEADER, 3)->msg.zxid, Z(5, 1));
    cr_assert_null(rig_dropped(&rig, 3));
    rig_finish(&rig);
}

Test(zab_leader, resigns_when_all_is_delivered)
{
    struct rig rig;

    lead(&rig, 5, 1, BIT(2) | BIT(3) | BIT(4) | BIT(6));
    rig_propose(&rig, 10);
    rig_resign(&rig);
    cr_assert(rig_is(&rig, "draining"));
    cr_assert_not(zab_can_propose(rig.zab));
    rig_store(&rig);
    rig_ack(&rig, 3, Z(4, 1));
    cr_assert_null(rig_sent(&rig, PEER_RESIGN, 2));
    rig_ack(&rig, 4, Z(4, 1));
    cr_assert_eq(rig_sent(&rig, PEER_RESIGN, 2)->msg.resign.successor, 3);
    cr_assert_eq(rig_sent(&rig, PEER_RESIGN, 2)->peers,
                 BIT(1) | BIT(2) | BIT(3) | BIT(5));
    cr_assert_lt(rig_find_sent(&rig, PEER_COMMIT, 3, 0),
                 rig_find_sent(&rig, PEER_RESIGN, 3, 0));
    /* They hang up when they have heard it, not we. */
    for (uint64_t id = 2; id <= 6; id++) {
        cr_assert_null(rig_dropped(&rig, id));
    }
    for (uint64_t id = 2; id <= 4; id++) {
        rig_link(&rig, id, false);
        cr_assert(rig_is(&rig, "draining"));
    }
    rig_link(&rig, 6, false);
    cr_assert_eq(rig_mark(&rig, ZAB_MARK_RESIGNED), 1);
    cr_assert(rig_is(&rig, "election"));
    rig_tick(&rig, 20);
    cr_assert(rig_is(&rig, "election")); /* never again */
    rig_finish(&rig);
}

Test(zab_leader, who_resigns_does_not_wait_for_ever)
{
    struct rig rig;

    lead(&rig, 3, 0, BIT(2) | BIT(3));
    rig_resign(&rig);
    cr_assert_not_null(rig_sent(&rig, PEER_RESIGN, 2));
    rig_link(&rig, 2, false);
    rig_tick(&rig, 4);
    cr_assert(rig_is(&rig, "draining"));
    cr_assert_eq(rig_sent_count(&rig, PEER_RESIGN, 3), 1);
    rig_tick(&rig, 1);
    cr_assert(rig_is(&rig, "election"));
    cr_assert_eq(rig_mark(&rig, ZAB_MARK_RESIGNED), 1);
    cr_assert_not_null(rig_dropped(&rig, 3));
    rig_finish(&rig);
}

/* Another one was elected by those that we wait for. */
Test(zab_leader, who_does_not_lead_yet_gives_way_to_one_that_does)
{
    struct rig rig;

    rig_init(&rig, 3, 0);
    rig_had(&rig, 3, 5);
    rig_elect(&rig);
    cr_assert(rig_is(&rig, "discovery"));
    /* Of an epoch that we had taken up: frozen, perhaps, or on its way down. */
    rig_vote(&rig, 3, PEER_ESTABLISHED, 3, 3);
    rig_tick(&rig, 1);
    cr_assert(rig_is(&rig, "discovery"));
    rig_vote(&rig, 3, PEER_LEADING, 4, 3);
    rig_tick(&rig, 1);
    cr_assert(rig_is(&rig, "discovery"));
    rig_vote(&rig, 3, PEER_ESTABLISHED, 4, 3);
    rig_tick(&rig, 1);
    cr_assert(rig_is(&rig, "connecting"));
    cr_assert_eq(zab_leader_id(rig.zab), 3);
    rig_finish(&rig);
}

Test(zab_leader, resigns_at_once_when_it_does_not_lead_yet)
{
    struct rig rig;

    rig_init(&rig, 3, 0);
    rig_had(&rig, 3, 5);
    rig_elect(&rig);
    rig_resign(&rig);
    cr_assert(rig_is(&rig, "election"));
    rig_finish(&rig);
}

/* Nothing but answers to what was said moves a leader: whatever a learner says
 * in whichever order, only its own link is lost. */
Test(zab_leader, no_message_of_a_learner_ends_it)
{
    static const enum peer_msg_type types[] = {
        PEER_FOLLOWER_INFO, PEER_ACK_EPOCH, PEER_SNAP_ACK, PEER_ACK_NEW_LEADER,
        PEER_ACK,           PEER_PONG,      PEER_PROPOSE,  PEER_VOTE};
    static const zxid_t zxids[] = {0, Z(3, 5), Z(4, 1), UINT64_MAX};
    struct rig rig;
    struct prng prng;

    prng_init(&prng, 7);
    lead(&rig, 5, 1, BIT(2) | BIT(3));
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t id = 4 + prng_below(&prng, 3);
        struct peer_msg msg = {.type = types[prng_below(&prng, 8)],
                               .epoch = (uint32_t)prng_below(&prng, 6),
                               .zxid = zxids[prng_below(&prng, 4)]};

        if (msg.type == PEER_PONG || msg.type == PEER_SNAP_ACK) {
            msg.ping.number = prng_below(&prng, 3);
        } else if (msg.type == PEER_ACK_EPOCH) {
            msg.ack_epoch.whole = prng_below(&prng, 2) == 0;
            msg.ack_epoch.checkpoint = zxids[prng_below(&prng, 4)];
        }
        if (msg.type == PEER_FOLLOWER_INFO) {
            msg.follower_info.voting = msg.epoch <= 4;
        }
        if (prng_below(&prng, 8) == 0) {
            rig_link(&rig, id, true);
        }
        rig_say(&rig, id, &msg);
        if (i % 64 == 0) {
            rig_store(&rig);
            rig_pong(&rig, 2, 0);
            rig_pong(&rig, 3, 0);
        }
        rig_reads(&rig);
        rig_forget(&rig);
        cr_assert_eq(zab_committed(rig.zab), Z(3, 5));
    }
    rig_finish(&rig);
}
