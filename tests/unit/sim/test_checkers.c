/* Each checker finds the history that it is there for, and takes one that is
 * as it should be. */
#include <criterion/criterion.h>

#include "tests/unit/sim/rig.h"

#define Z(epoch, counter) zxid_make((epoch), (counter))
#define SESSION UINT64_C(0x0100000100000001)

static struct rig rig;

static void up(void)
{
    rig_init(&rig);
}

static void down(void)
{
    rig_finish(&rig);
}

TestSuite(sim_checkers, .init = up, .fini = down);

/* A session and a node, committed in epoch 1 by server 1. */
static void begin(void)
{
    rig_lead(&rig, 1, 1);
    rig_commit(&rig, Z(1, 1), rig_session(&rig, SESSION));
    rig_commit(&rig, Z(1, 2), rig_create(&rig, SESSION, 1, "/a", "x"));
}

Test(sim_checkers, a_good_history_is_taken)
{
    begin();
    rig_lead(&rig, 2, 2);
    rig_log(&rig, 2, Z(2, 1), rig_set(&rig, SESSION, 2, "/a", "y", 1), 3);
    for (unsigned i = 1; i <= 3; i++) {
        rig_deliver(&rig, i, Z(2, 1));
    }
    cr_assert_str_empty(rig.sim.finding);
    cr_assert_eq(model_zxid(checker_model(rig.checker)), Z(2, 1));
}

Test(sim_checkers, two_leaders_of_one_epoch_are_found)
{
    rig_lead(&rig, 1, 1);
    rig.views[2].role = ZAB_LEADING;
    rig.views[2].epoch = 1;
    rig_step(&rig, 2, true);
    cr_assert(rig_found(&rig, "Leadership"));
}

Test(sim_checkers, a_leader_that_comes_back_as_another_process_is_found)
{
    rig_lead(&rig, 1, 1);
    checker_died(rig.checker, 1);
    checker_started(
        rig.checker, 1,
        &(struct durable_state){.epoch_accepted = 1, .epoch_current = 1});
    rig_step(&rig, 1, true);
    cr_assert(rig_found(&rig, "Leadership"));
}

Test(sim_checkers, a_leader_without_what_is_committed_is_found)
{
    rig_lead(&rig, 1, 1);
    rig_log(&rig, 1, Z(1, 1), rig_session(&rig, SESSION), 2);
    rig_deliver(&rig, 1, Z(1, 1));
    rig_lead(&rig, 3, 2);
    cr_assert(rig_found(&rig, "CommittedLost"));
}

Test(sim_checkers, commits_of_one_that_does_not_lead_yet_are_found)
{
    rig_lead(&rig, 1, 1);
    rig_log(&rig, 1, Z(1, 1), rig_session(&rig, SESSION), 3);
    rig.views[2].leader_id = 2;
    rig.views[2].committed = Z(1, 1);
    rig_step(&rig, 2, true);
    cr_assert(rig_found(&rig, "Leadership"));
}

Test(sim_checkers, following_an_epoch_below_the_promise_is_found)
{
    rig_lead(&rig, 1, 1);
    rig_store_epochs(&rig, 5, 1);
    rig_step(&rig, 2, true);
    rig_send(&rig, 2, PEER_LINK_LEADER,
             &(struct peer_msg){.type = PEER_ACK_EPOCH, .epoch = 4});
    cr_assert(rig_found(&rig, "ElectionSafety"));
}

Test(sim_checkers, commits_that_no_majority_has_are_found)
{
    rig_lead(&rig, 1, 1);
    rig_log(&rig, 1, Z(1, 1), rig_session(&rig, SESSION), 1);
    rig_deliver(&rig, 1, Z(1, 1));
    cr_assert(rig_found(&rig, "DurableAck"));
}

Test(sim_checkers, observers_are_no_majority)
{
    rig.checker->voters = 3; /* 3 observes */
    rig_lead(&rig, 1, 1);
    rig_store(&rig, STORE_APPEND, Z(1, 1), rig_session(&rig, SESSION));
    rig_step(&rig, 1, true);
    rig_store(&rig, STORE_APPEND, Z(1, 1), rig.blobs[0]);
    rig_step(&rig, 3, true);
    rig_deliver(&rig, 1, Z(1, 1));
    cr_assert(rig_found(&rig, "DurableAck"));
}

Test(sim_checkers, an_ack_before_the_disk_is_found)
{
    rig_lead(&rig, 1, 1);
    rig_log(&rig, 1, Z(1, 1), rig_session(&rig, SESSION), 1);
    rig_store(&rig, STORE_APPEND, Z(1, 1), rig.blobs[0]);
    rig_step(&rig, 2, false);
    rig_send(&rig, 2, PEER_LINK_LEADER,
             &(struct peer_msg){.type = PEER_ACK, .epoch = 1, .zxid = Z(1, 1)});
    cr_assert(rig_found(&rig, "DurableAck"));
}

Test(sim_checkers, an_epoch_taken_up_before_the_disk_has_it_is_found)
{
    rig_store_epochs(&rig, 1, 1);
    rig_step(&rig, 2, false);
    rig_send(&rig, 2, PEER_LINK_LEADER,
             &(struct peer_msg){.type = PEER_ACK_NEW_LEADER, .epoch = 1});
    cr_assert(rig_found(&rig, "DurableAck"));
}

Test(sim_checkers, an_epoch_taken_up_before_the_records_is_found)
{
    rig_lead(&rig, 1, 1);
    rig_log(&rig, 1, Z(1, 1), rig_session(&rig, SESSION), 1);
    rig_send(&rig, 2, PEER_LINK_LEADER,
             &(struct peer_msg){
                 .type = PEER_ACK_NEW_LEADER, .epoch = 1, .zxid = Z(1, 1)});
    cr_assert(rig_found(&rig, "DurableAck"));
}

Test(sim_checkers, a_promise_before_the_disk_is_found)
{
    struct peer_msg msg = {.type = PEER_ACK_EPOCH, .epoch = 4};

    msg.ack_epoch.counted = true;
    rig_store_epochs(&rig, 4, 0);
    rig_step(&rig, 2, false);
    rig_send(&rig, 2, PEER_LINK_LEADER, &msg);
    cr_assert(rig_found(&rig, "DurableAck"));
}

Test(sim_checkers, a_promise_made_twice_is_found_over_restarts)
{
    struct peer_msg msg = {.type = PEER_ACK_EPOCH, .epoch = 4};

    msg.ack_epoch.counted = true;
    rig_store_epochs(&rig, 4, 0);
    rig_step(&rig, 2, true);
    rig_send(&rig, 2, PEER_LINK_LEADER, &msg);
    cr_assert_str_empty(rig.sim.finding);
    checker_started(rig.checker, 2,
                    &(struct durable_state){.epoch_accepted = 4});
    rig_send(&rig, 2, PEER_LINK_LEADER, &msg);
    cr_assert(rig_found(&rig, "ElectionSafety"));
}

Test(sim_checkers, a_promise_of_an_epoch_of_its_own_is_found)
{
    struct peer_msg msg = {.type = PEER_NEW_EPOCH, .epoch = 4};

    rig_store_epochs(&rig, 4, 0);
    rig_step(&rig, 2, true);
    rig_send(&rig, 2, PEER_LINK_LEARNER, &msg);
    msg.type = PEER_ACK_EPOCH;
    msg.ack_epoch.counted = true;
    rig_send(&rig, 2, PEER_LINK_LEADER, &msg);
    cr_assert(rig_found(&rig, "ElectionSafety"));
}

Test(sim_checkers, epochs_that_go_down_are_found)
{
    rig_lead(&rig, 1, 3);
    rig_store_epochs(&rig, 2, 2);
    rig_step(&rig, 2, true);
    cr_assert(rig_found(&rig, "ElectionSafety"));
}

Test(sim_checkers, a_current_epoch_above_the_accepted_one_is_found)
{
    rig_store_epochs(&rig, 2, 3);
    rig_step(&rig, 2, true);
    cr_assert(rig_found(&rig, "ElectionSafety"));
}

Test(sim_checkers, a_diverged_server_may_forget_its_epoch)
{
    rig_lead(&rig, 1, 3);
    rig_store_epochs(&rig, 3, 0);
    rig_step(&rig, 2, true);
    cr_assert_str_empty(rig.sim.finding);
}

Test(sim_checkers, a_restart_that_lost_what_was_durable_is_found)
{
    begin();
    checker_started(
        rig.checker, 3,
        &(struct durable_state){.epoch_accepted = 1,
                                .epoch_current = 1,
                                .zxid_first = Z(1, 1),
                                .zxid_last = Z(1, 1),
                                .epoch_ends = (const zxid_t[]){Z(1, 1)},
                                .epoch_ends_count = 1});
    cr_assert(rig_found(&rig, "DurableAck"));
}

Test(sim_checkers, a_restart_may_keep_more_than_was_durable)
{
    begin();
    rig_store(&rig, STORE_APPEND, Z(1, 3),
              rig_create(&rig, SESSION, 2, "/b", "x"));
    rig_step(&rig, 1, false);
    checker_started(
        rig.checker, 1,
        &(struct durable_state){.epoch_accepted = 1,
                                .epoch_current = 1,
                                .zxid_checkpoint = Z(1, 2),
                                .zxid_first = Z(1, 2),
                                .zxid_last = Z(1, 3),
                                .epoch_ends = (const zxid_t[]){Z(1, 3)},
                                .epoch_ends_count = 1});
    cr_assert_str_empty(rig.sim.finding);
}

Test(sim_checkers, a_wiped_server_may_begin_anew)
{
    begin();
    checker_died(rig.checker, 3);
    checker_wiped(rig.checker, 3);
    checker_started(rig.checker, 3, &(struct durable_state){0});
    cr_assert_str_empty(rig.sim.finding);
}

Test(sim_checkers, records_that_no_primary_proposed_are_found)
{
    rig_lead(&rig, 1, 1);
    rig_store(&rig, STORE_APPEND, Z(1, 1), rig_session(&rig, SESSION));
    rig_step(&rig, 2, true);
    cr_assert(rig_found(&rig, "Integrity"));
}

Test(sim_checkers, a_counter_beyond_its_end_is_found)
{
    rig.checker->counter_max = 1;
    rig_lead(&rig, 1, 1);
    rig_log(&rig, 1, Z(1, 1), rig_session(&rig, SESSION), 1);
    cr_assert_str_empty(rig.sim.finding);
    rig_log(&rig, 1, Z(1, 2), rig_session(&rig, SESSION + 1), 1);
    cr_assert(rig_found(&rig, "Rollover"));
}

Test(sim_checkers, another_payload_at_the_same_zxid_is_found)
{
    rig_lead(&rig, 1, 1);
    rig_log(&rig, 1, Z(1, 1), rig_session(&rig, SESSION), 1);
    rig_store(&rig, STORE_APPEND, Z(1, 1), rig_session(&rig, SESSION + 1));
    rig_step(&rig, 2, true);
    cr_assert(rig_found(&rig, "Integrity"));
}

Test(sim_checkers, a_hole_in_a_log_is_found)
{
    begin();
    rig_log(&rig, 1, Z(1, 3), rig_create(&rig, SESSION, 2, "/b", "x"), 1);
    rig_log(&rig, 1, Z(1, 4), rig_create(&rig, SESSION, 3, "/c", "x"), 1);
    rig_store(&rig, STORE_APPEND, Z(1, 4), rig.blobs[3]);
    rig_step(&rig, 2, true);
    cr_assert(rig_found(&rig, "PrefixConsistency"));
}

Test(sim_checkers, a_delivery_that_the_others_do_not_have_is_found)
{
    begin();
    rig_log(&rig, 1, Z(1, 3), rig_create(&rig, SESSION, 2, "/b", "x"), 3);
    rig_deliver(&rig, 1, Z(1, 3));
    rig_deliver(&rig, 2, Z(1, 2) + 5); /* nobody logged it */
    cr_assert(rig_found(&rig, "Integrity"));
}

Test(sim_checkers, a_branch_beside_what_is_committed_is_found)
{
    begin();
    rig_log(&rig, 1, Z(1, 3), rig_create(&rig, SESSION, 2, "/b", "x"), 2);
    rig_lead(&rig, 3, 2);
    rig_log(&rig, 3, Z(2, 1), rig_create(&rig, SESSION, 3, "/c", "x"), 0);
    rig_deliver(&rig, 1, Z(1, 3));
    cr_assert(rig_found(&rig, "PrimaryIntegrity"));
}

Test(sim_checkers, a_proposal_before_the_initial_history_is_found)
{
    rig_lead(&rig, 1, 1);
    rig_log(&rig, 1, Z(1, 1), rig_session(&rig, SESSION), 3);
    rig_lead(&rig, 2, 2);
    rig_store(&rig, STORE_APPEND, Z(2, 1),
              rig_create(&rig, SESSION, 1, "/b", "x"));
    rig_step(&rig, 2, true);
    cr_assert(rig_found(&rig, "PrimaryIntegrity"));
}

Test(sim_checkers, a_cut_below_what_was_delivered_is_found)
{
    begin();
    rig_store(&rig, STORE_TRUNCATE, Z(1, 1), NULL);
    rig_step(&rig, 2, true);
    cr_assert(rig_found(&rig, "Agreement"));
}

Test(sim_checkers, a_snapshot_of_what_was_never_committed_is_found)
{
    rig_lead(&rig, 1, 1);
    rig_log(&rig, 1, Z(1, 1), rig_session(&rig, SESSION), 1);
    rig_store(&rig, STORE_SNAP_BEGIN, Z(1, 1), NULL);
    rig_store(&rig, STORE_SNAP_END, Z(1, 1), NULL);
    rig_step(&rig, 2, true);
    cr_assert(rig_found(&rig, "Integrity"));
}

Test(sim_checkers, a_snapshot_counts_as_all_below_it)
{
    begin();
    rig_store(&rig, STORE_SNAP_BEGIN, Z(1, 2), NULL);
    rig_store(&rig, STORE_SNAP_END, Z(1, 2), NULL);
    rig_step(&rig, 3, true);
    rig_send(&rig, 3, PEER_LINK_LEADER,
             &(struct peer_msg){
                 .type = PEER_ACK_NEW_LEADER, .epoch = 1, .zxid = Z(1, 2)});
    cr_assert_str_empty(rig.sim.finding);
}

Test(sim_checkers, trees_that_differ_at_one_zxid_are_found)
{
    begin();
    rig_log(&rig, 1, Z(1, 3), rig_create(&rig, SESSION, 2, "/b", "x"), 3);
    rig_deliver(&rig, 1, Z(1, 3));
    rig.views[2].point.zxid = Z(1, 3);
    rig.views[2].point.tree_digest = 12345;
    rig_step(&rig, 2, true);
    cr_assert(rig_found(&rig, "Digest"));
}

Test(sim_checkers, a_tree_half_applied_is_not_compared)
{
    begin();
    rig.views[2].point.whole = false;
    rig.views[2].point.tree_digest = 12345;
    rig_step(&rig, 2, true);
    cr_assert_str_empty(rig.sim.finding);
}

Test(sim_checkers, an_answer_out_of_its_place_is_found)
{
    struct peer_msg msg = {
        .type = PEER_UP_TO_DATE, .epoch = 1, .zxid = Z(1, 2)};

    begin();
    rig_send(&rig, 1, PEER_LINK_LEARNER, &msg);
    msg.type = PEER_REFUSED;
    rig_send(&rig, 1, PEER_LINK_LEARNER, &msg);
    cr_assert_str_empty(rig.sim.finding);
    rig_commit(&rig, Z(1, 3), rig_create(&rig, SESSION, 2, "/b", "x"));
    msg.type = PEER_COMMIT;
    msg.zxid = Z(1, 3);
    rig_send(&rig, 1, PEER_LINK_LEARNER, &msg);
    msg.type = PEER_REFUSED;
    msg.zxid = Z(1, 2);
    rig_send(&rig, 1, PEER_LINK_LEARNER, &msg);
    cr_assert(rig_found(&rig, "Place"));
}

Test(sim_checkers, a_session_id_used_twice_is_found)
{
    begin();
    rig_log(&rig, 1, Z(1, 3), rig_session(&rig, SESSION), 1);
    cr_assert(rig_found(&rig, "Sessions"));
}

Test(sim_checkers, an_early_expiry_is_found)
{
    begin();
    rig.now_ms += 999;
    rig_log(&rig, 1, Z(1, 3), rig_close(&rig, SESSION, 0), 1);
    cr_assert(rig_found(&rig, "Expiry"));
}

Test(sim_checkers, an_expiry_in_time_is_taken)
{
    begin();
    rig.now_ms += 1000;
    rig_log(&rig, 1, Z(1, 3), rig_close(&rig, SESSION, 0), 1);
    cr_assert_str_empty(rig.sim.finding);
}

Test(sim_checkers, a_client_may_close_at_any_time)
{
    begin();
    rig_log(&rig, 1, Z(1, 3), rig_close(&rig, SESSION, 5), 1);
    cr_assert_str_empty(rig.sim.finding);
}

Test(sim_checkers, a_new_leader_gives_the_full_time)
{
    begin();
    rig.now_ms += 5000;
    rig_lead(&rig, 2, 2);
    rig.now_ms += 500;
    rig_log(&rig, 2, Z(2, 1), rig_close(&rig, SESSION, 0), 0);
    cr_assert(rig_found(&rig, "Expiry"));
}

/* What another server heard of counts as soon as the leader is told. */
Test(sim_checkers, a_touch_told_by_a_learner_counts)
{
    uint8_t id[8] = {1, 0, 0, 1, 0, 0, 0, 1};
    struct blob *ids = blob_copy(slice_make(id, 8));
    struct peer_msg msg = {
        .type = PEER_STATUS, .payloads = &ids, .payloads_count = 1};
    struct replica_input input = {.type = REPLICA_PEER_MESSAGE,
                                  .link = PEER_LINK_LEARNER,
                                  .peer_id = 1,
                                  .message = &msg};

    begin();
    input.now_ms = rig.now_ms + 900;
    checker_look(rig.checker, 1, &rig.views[1], &input, NULL, 0);
    rig.now_ms += 1100;
    rig_log(&rig, 1, Z(1, 3), rig_close(&rig, SESSION, 0), 1);
    cr_assert(rig_found(&rig, "Expiry"));
    blob_unref(ids);
}

Test(sim_checkers, a_txn_of_a_closed_session_is_found)
{
    begin();
    rig_commit(&rig, Z(1, 3), rig_close(&rig, SESSION, 5));
    rig_commit(&rig, Z(1, 4), rig_create(&rig, SESSION, 9, "/z", "x"));
    cr_assert(rig_found(&rig, "Fold"));
}
