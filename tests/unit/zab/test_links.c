/* Links as the driver keeps them, and what has no place on them; the number
 * for all that a server's state is. */
#include <criterion/criterion.h>

#include "tests/unit/zab/alone.h"
#include "tests/unit/zab/pupil.h"

static struct pupil p;

static void learner_says(uint64_t id, enum peer_msg_type type)
{
    struct peer_msg msg = {.type = type, .epoch = 2};

    pupil_input(&p, &(struct zab_input){.type = ZAB_IN_MESSAGE,
                                        .link = PEER_LINK_LEARNER,
                                        .peer_id = id,
                                        .message = &msg});
}

static void expect_nothing(void)
{
    cr_assert_eq(p.effects_count, 0);
    pupil_forget(&p);
}

Test(zab_links, what_comes_over_no_link_is_nothing)
{
    pupil_init(&p, 3);
    pupil_forget(&p);
    learner_says(2, PEER_FOLLOWER_INFO);
    expect_nothing();
    pupil_say(&p, PEER_NEW_EPOCH, 9, 0);
    expect_nothing();
    pupil_link(&p, PEER_LINK_LEARNER, 2, false);
    pupil_link(&p, PEER_LINK_LEADER, 2, false);
    expect_nothing();
    pupil_finish(&p);
}

/* Of a dial that was given up, or never made. */
Test(zab_links, a_link_to_a_leader_that_is_not_ours_is_none)
{
    pupil_init(&p, 3);
    pupil_forget(&p);
    pupil_link(&p, PEER_LINK_LEADER, PUPIL_LEADER, true);
    pupil_say(&p, PEER_NEW_EPOCH, 9, 0);
    expect_nothing();
    pupil_dials(&p);
    pupil_forget(&p);
    pupil_link(&p, PEER_LINK_LEADER, 2, true);
    expect_nothing();
    cr_assert(pupil_is(&p, "connecting"));
    pupil_finish(&p);
}

Test(zab_links, a_dial_that_comes_to_nothing_is_the_end_of_the_attempt)
{
    pupil_init(&p, 3);
    pupil_dials(&p);
    pupil_forget(&p);
    pupil_link(&p, PEER_LINK_LEADER, 2, false); /* another one's */
    cr_assert(pupil_is(&p, "connecting"));
    pupil_link(&p, PEER_LINK_LEADER, PUPIL_LEADER, false);
    pupil_expect_looking(&p);
    pupil_finish(&p);
}

Test(zab_links, up_again_is_another_link)
{
    pupil_init(&p, 3);
    pupil_follows(&p, 3);
    cr_assert_eq(zab_role(p.zab), ZAB_FOLLOWING);
    cr_assert(zab_peer_synced(p.zab, PUPIL_LEADER));
    pupil_link(&p, PEER_LINK_LEADER, PUPIL_LEADER, true);
    cr_assert_eq(zab_role(p.zab), ZAB_LOOKING);
    cr_assert_not(zab_peer_synced(p.zab, PUPIL_LEADER));
    pupil_expect_looking(&p);
    /* And what is still said on either is nothing. */
    pupil_forget(&p);
    pupil_say(&p, PEER_PING, 3, 0);
    expect_nothing();
    pupil_finish(&p);
}

/* Whom we are to follow does not follow us. */
Test(zab_links, who_asks_a_follower_is_let_go)
{
    pupil_init(&p, 3);
    pupil_link(&p, PEER_LINK_LEARNER, 2, true);
    learner_says(2, PEER_FOLLOWER_INFO); /* kept */
    cr_assert_null(pupil_wanted(&p, ZAB_DROP_PEER));
    pupil_dials(&p);
    cr_assert_str_eq(pupil_wanted(&p, ZAB_DROP_PEER)->why, "we follow another");
    pupil_forget(&p);
    pupil_link(&p, PEER_LINK_LEARNER, 2, true);
    learner_says(2, PEER_FOLLOWER_INFO);
    cr_assert_str_eq(pupil_wanted(&p, ZAB_DROP_PEER)->why, "we do not lead");
    cr_assert(pupil_is(&p, "connecting"));
    pupil_finish(&p);
}

Test(zab_links, what_only_a_leader_is_told_has_no_place_elsewhere)
{
    static const enum peer_msg_type types[] = {
        PEER_ACK_EPOCH, PEER_SNAP_ACK, PEER_ACK_NEW_LEADER,
        PEER_ACK,       PEER_PONG,     PEER_PROPOSE,
    };

    pupil_init(&p, 3);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        pupil_link(&p, PEER_LINK_LEARNER, 2, true);
        pupil_forget(&p);
        learner_says(2, types[i]);
        cr_assert_eq(p.effects_count, 1);
        cr_assert_eq(pupil_wanted(&p, ZAB_DROP_PEER)->link, PEER_LINK_LEARNER);
        learner_says(2, types[i]); /* its link is gone */
        cr_assert_eq(p.effects_count, 1);
    }
    pupil_finish(&p);
}

/* What replica/ has to say of a link. */
Test(zab_links, broken_is_dropped_once)
{
    struct zab_input input = {.type = ZAB_IN_BROKEN,
                              .link = PEER_LINK_LEADER,
                              .peer_id = PUPIL_LEADER,
                              .why = "nonsense"};

    pupil_init(&p, 3);
    pupil_forget(&p);
    pupil_input(&p, &input);
    expect_nothing();
    pupil_follows(&p, 3);
    pupil_input(&p, &input);
    pupil_expect_dropped(&p, "nonsense");
    pupil_expect_looking(&p);
    pupil_forget(&p);
    pupil_input(&p, &input);
    expect_nothing();
    pupil_finish(&p);
}

/* Time alone is no other state, but for what is waited for. */
Test(zab_links, the_state_hash_is_of_what_matters)
{
    struct alone a, b;
    uint64_t before;

    alone_init(&a);
    alone_init(&b);
    alone_serve(&a);
    before = zab_state_hash(a.zab);
    alone_serve(&b);
    for (unsigned i = 0; i < 10; i++) {
        alone_barrier(&b, i + 1); /* done at once */
    }
    cr_assert_eq(before, zab_state_hash(b.zab));
    for (unsigned i = 0; i < 100; i++) {
        alone_tick(&a);
        alone_tick(&b);
    }
    cr_assert_eq(zab_state_hash(a.zab), zab_state_hash(b.zab));
    (void)alone_propose(&a, "x");
    cr_assert_neq(zab_state_hash(a.zab), zab_state_hash(b.zab));
    (void)alone_propose(&b, "x");
    cr_assert_eq(zab_state_hash(a.zab), zab_state_hash(b.zab));
    alone_store(&a, 1);
    cr_assert_neq(zab_state_hash(a.zab), zab_state_hash(b.zab));
    alone_store(&b, 1);
    cr_assert_eq(zab_state_hash(a.zab), zab_state_hash(b.zab));
    alone_finish(&a);
    alone_finish(&b);
}
