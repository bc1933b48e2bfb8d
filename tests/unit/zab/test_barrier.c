/* DESIGN 2.7: a barrier is a place between the proposals before it and those
 * after it, on every schedule of proposals, barriers and answers of the disk.
 */
#include <criterion/criterion.h>

#include "tests/unit/zab/alone.h"
#include "tests/unit/zab/rig.h"

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

/* ---- among many */

static void lead(struct rig *rig, unsigned voters, unsigned observers,
                 uint64_t learners)
{
    rig_init(rig, voters, observers);
    rig_had(rig, 3, 5);
    rig_lead(rig, learners);
}

/* The first round was the discovery's. */
#define ROUND(n) ((uint64_t)(n) + 1)

static uint64_t done(const struct rig *rig)
{
    uint64_t number = 0;
    size_t i = rig_find(rig, ZAB_BARRIER_DONE, 0);

    for (; i != SIZE_MAX; i = rig_find(rig, ZAB_BARRIER_DONE, i + 1)) {
        number = rig->events[i].what;
    }
    return number;
}

Test(zab_barrier, a_quorum_is_asked)
{
    struct rig rig;

    lead(&rig, 5, 1, BIT(2) | BIT(3) | BIT(4) | BIT(6));
    rig_barrier(&rig);
    cr_assert_eq(done(&rig), 0);
    cr_assert_eq(rig_sent(&rig, PEER_PING, 2)->msg.ping.number, ROUND(1));
    cr_assert_eq(rig_sent(&rig, PEER_PING, 2)->peers, BIT(1) | BIT(2) | BIT(3));
    rig_pong(&rig, 2, 0); /* of a heartbeat before */
    rig_pong(&rig, 2, ROUND(1));
    cr_assert_eq(done(&rig), 0);
    rig_pong(&rig, 2, ROUND(1));
    cr_assert_eq(done(&rig), 0);
    rig_pong(&rig, 4, ROUND(1));
    cr_assert_eq(done(&rig), 1);
    cr_assert_eq(rig_mark(&rig, ZAB_MARK_BARRIER_BY_PING), 1);
    rig_finish(&rig);
}

/* raft #397: an answer to what was asked before it says nothing about it. */
Test(zab_barrier, a_round_that_began_before_it_is_no_proof)
{
    struct rig rig;

    lead(&rig, 3, 0, BIT(2) | BIT(3));
    rig_barrier(&rig);
    rig_barrier(&rig);
    cr_assert_eq(rig_sent_count(&rig, PEER_PING, 2), 1); /* one at a time */
    rig_pong(&rig, 2, ROUND(1));
    cr_assert_eq(done(&rig), 1);
    cr_assert_eq(rig_sent(&rig, PEER_PING, 2)->msg.ping.number, ROUND(2));
    rig_pong(&rig, 3, ROUND(1)); /* late */
    cr_assert_eq(done(&rig), 1);
    rig_pong(&rig, 3, ROUND(2));
    cr_assert_eq(done(&rig), 2);
    rig_finish(&rig);
}

Test(zab_barrier, however_many_come_each_is_done)
{
    struct rig rig;

    lead(&rig, 3, 0, BIT(2));
    rig_barrier(&rig);
    for (uint64_t i = 1; i <= 100; i++) {
        rig_barrier(&rig);
        rig_forget(&rig);
        rig_pong(&rig, 2, ROUND(i));
        cr_assert_eq(done(&rig), i);
    }
    rig_finish(&rig);
}

Test(zab_barrier, a_later_proposal_says_it_too)
{
    struct rig rig;
    size_t commit, at;

    lead(&rig, 3, 0, BIT(2) | BIT(3));
    rig_propose(&rig, 10);
    rig_barrier(&rig); /* a round is out, its answers are lost */
    rig_barrier(&rig); /* and the next one waits for it */
    rig_propose(&rig, 10);
    rig_store(&rig);
    rig_forget(&rig);
    rig_ack(&rig, 2, Z(4, 2));
    cr_assert_eq(done(&rig), 2);
    cr_assert_eq(rig_mark(&rig, ZAB_MARK_BARRIER_BY_ACK), 2);
    cr_assert_null(rig_sent(&rig, PEER_PING, 2));
    /* Deliver and commit 4.1, done, deliver and commit 4.2. */
    at = rig_find(&rig, ZAB_BARRIER_DONE, 0);
    commit = rig_find_sent(&rig, PEER_COMMIT, 3, 0);
    cr_assert_lt(commit, at);
    cr_assert_eq(rig.events[commit].msg.zxid, Z(4, 1));
    commit = rig_find_sent(&rig, PEER_COMMIT, 3, commit + 1);
    cr_assert_gt(commit, at);
    cr_assert_eq(rig.events[commit].msg.zxid, Z(4, 2));
    cr_assert_eq(rig.events[rig_find(&rig, ZAB_DELIVER, 0)].what, Z(4, 1));
    cr_assert_lt(rig_find(&rig, ZAB_DELIVER, 0), at);
    cr_assert_eq(rig.events[rig_find(&rig, ZAB_DELIVER, at)].what, Z(4, 2));
    rig_finish(&rig);
}

/* One answered, another one acknowledged what came later. */
Test(zab_barrier, answers_and_acks_are_counted_together)
{
    struct rig rig;

    lead(&rig, 5, 0, BIT(2) | BIT(3));
    rig_barrier(&rig);
    rig_propose(&rig, 10);
    rig_ack(&rig, 2, Z(4, 1));
    cr_assert_eq(done(&rig), 0);
    rig_pong(&rig, 3, ROUND(1));
    cr_assert_eq(done(&rig), 1);
    rig_finish(&rig);
}

Test(zab_barrier, waits_for_what_was_proposed_before_it)
{
    struct rig rig;

    lead(&rig, 3, 0, BIT(2));
    rig_propose(&rig, 10);
    rig_barrier(&rig);
    rig_pong(&rig, 2, ROUND(1));
    cr_assert_eq(done(&rig), 0);
    rig_store(&rig);
    cr_assert_eq(done(&rig), 0);
    rig_ack(&rig, 2, Z(4, 1));
    cr_assert_eq(done(&rig), 1);
    cr_assert_lt(rig_find_sent(&rig, PEER_COMMIT, 2, 0),
                 rig_find(&rig, ZAB_BARRIER_DONE, 0));
    rig_finish(&rig);
}

/* Nobody answers who was asked; who comes later is asked, too. */
Test(zab_barrier, a_learner_that_comes_back_is_asked_again)
{
    struct rig rig;

    lead(&rig, 3, 0, BIT(2));
    rig_barrier(&rig);
    rig_link(&rig, 2, false);
    rig_join(&rig, 3);
    cr_assert_eq(rig_sent(&rig, PEER_PING, 3)->msg.ping.number, ROUND(1));
    rig_pong(&rig, 3, ROUND(1));
    cr_assert_eq(done(&rig), 1);
    rig_finish(&rig);
}

/* It may have promised a later epoch before it came here. */
Test(zab_barrier, who_has_not_taken_up_our_epoch_is_no_proof)
{
    struct rig rig;
    struct rig_history has;

    lead(&rig, 5, 0, BIT(2) | BIT(3));
    has = rig_same(&rig);
    rig_link(&rig, 4, true);
    rig_ask(&rig, 4, 3);
    rig_promise(&rig, 4, &has);
    rig_barrier(&rig);
    cr_assert_null(rig_sent(&rig, PEER_PING, 4));
    rig_pong(&rig, 2, ROUND(1));
    cr_assert_eq(done(&rig), 0);
    rig_take_up(&rig, 4, Z(3, 5));
    cr_assert_eq(done(&rig), 0);
    rig_pong(&rig, 4, ROUND(1)); /* now it was asked */
    cr_assert_eq(done(&rig), 1);
    rig_finish(&rig);
}

Test(zab_barrier, is_void_when_leadership_ends)
{
    struct rig rig;

    lead(&rig, 3, 0, BIT(2));
    rig_barrier(&rig);
    rig_tick(&rig, 36);
    cr_assert(rig_is(&rig, "election"));
    cr_assert_eq(done(&rig), 0);
    cr_assert_eq(rig_mark(&rig, ZAB_MARK_BARRIER_VOID), 1);
    rig_finish(&rig);
}

/* A new epoch in place is a matter of ours: what waits goes on waiting. */
Test(zab_barrier, lives_through_an_epoch_in_place)
{
    struct rig rig;
    struct rig_history has;

    lead(&rig, 3, 0, BIT(2));
    rig_barrier(&rig);
    rig_link(&rig, 3, true);
    rig_ask(&rig, 3, 7);
    cr_assert(rig_is(&rig, "discovery"));
    rig_barrier(&rig);
    cr_assert_eq(done(&rig), 0);
    has = rig_same(&rig);
    rig_promise(&rig, 2, &has);
    rig_store(&rig);
    rig_take_up(&rig, 2, Z(3, 5));
    rig_store(&rig);
    cr_assert(rig_is(&rig, "leading"));
    /* The discovery's round has begun behind both. */
    cr_assert_eq(done(&rig), 2);
    cr_assert_eq(rig_mark(&rig, ZAB_MARK_BARRIER_VOID), 0);
    rig_finish(&rig);
}

/* Rounds are answered, and our disk does nothing: each place keeps its own. */
Test(zab_barrier, room_is_found_for_round_upon_round)
{
    struct rig rig;
    uint64_t round = 0, last_of[3] = {0};
    size_t at = 0;

    rig_init(&rig, 3, 0);
    rig_had(&rig, 3, 5);
    rig.config.proposals_inflight_max = 3;
    rig_lead(&rig, BIT(2));
    for (unsigned i = 0; i < 3; i++) {
        rig_propose(&rig, 10);
        for (unsigned j = 0; j < 20; j++) {
            rig_barrier(&rig);
            rig_barrier(&rig);
            if (rig_sent(&rig, PEER_PING, 2) != NULL) {
                round = rig_sent(&rig, PEER_PING, 2)->msg.ping.number;
                rig_pong(&rig, 2, round);
            }
        }
        last_of[i] = rig.barriers;
    }
    cr_assert_gt(round, 20);
    cr_assert_eq(done(&rig), 0);
    rig_store(&rig);
    rig_forget(&rig);
    rig_ack(&rig, 2, Z(4, 3));
    for (unsigned i = 0; i < 3; i++) {
        at = rig_find(&rig, ZAB_DELIVER, at);
        cr_assert_eq(rig.events[at].what, Z(4, i + 1));
        at = rig_find(&rig, ZAB_BARRIER_DONE, at);
        cr_assert_neq(at, SIZE_MAX);
        if (i < 2) {
            cr_assert_eq(rig.events[at].what, last_of[i]);
            cr_assert_lt(at, rig_find(&rig, ZAB_DELIVER, at));
        }
    }
    rig_finish(&rig);
}
