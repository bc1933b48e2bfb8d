/* Who leads: one server among others that the test plays, on a disk that is
 * as quick as can be. */
#include <criterion/criterion.h>

#include "base/err.h"
#include "base/mem.h"
#include "proto/record.h"
#include "zab/zab.h"

#define SELF 3
#define TICKS_TIMEOUT 35

struct fixture {
    struct zab_config config;
    struct zab_member members[7];
    struct durable_state durable;
    zxid_t ends[4];
    struct zab *zab;
    uint64_t stored; /* log-lane ops to be reported */

    /* What the last input brought, or several of them. */
    struct peer_msg vote; /* the last VOTE, and to whom */
    uint64_t vote_to;
    unsigned votes;
    uint64_t connect; /* server id of the last CONNECT; 0: closed */
    unsigned connects;
    unsigned promises; /* EPOCHS asked: of a leader that has a quorum */
    unsigned drops;
    enum peer_link dropped;
};

/* What a peer says. */
struct say {
    uint64_t from, candidate;
    uint32_t epoch;
    zxid_t zxid;
    uint64_t round;
    enum peer_state state;
    bool no_log;
};

static struct fixture f;

static void step(const struct zab_input *input);

static void take_effect(struct zab_effect *effect)
{
    struct store_result result = {.type = effect->store.type};

    switch (effect->type) {
        case ZAB_SEND:
            if (effect->message.type == PEER_VOTE) {
                f.vote = effect->message;
                f.vote_to = effect->peers;
                f.votes++;
            }
            break;
        case ZAB_CONNECT:
            f.connects++;
            f.connect = 0;
            for (size_t i = 0; i < f.config.members_count; i++) {
                if ((effect->peers >> i & 1) != 0) {
                    f.connect = f.members[i].id;
                }
            }
            break;
        case ZAB_STORE:
            result.seq = effect->store.seq;
            result.reader_id = effect->store.reader_id;
            if (effect->store.type == STORE_EPOCHS) {
                f.promises++;
                f.stored = effect->store.seq;
            } else if (effect->store.type == STORE_READ_SNAP) {
                result.last = true;
                result.zxid = f.durable.zxid_checkpoint;
                result.err = result.zxid == 0 ? ERR_NOT_FOUND : 0;
                step(&(struct zab_input){.type = ZAB_IN_RESULT,
                                         .result = &result});
            }
            break;
        case ZAB_DROP_PEER:
            f.drops++;
            f.dropped = effect->link;
            break;
        case ZAB_DAMAGED:
            cr_assert_fail("damaged: %s", effect->why);
            break;
        default:
            break;
    }
}

static void step(const struct zab_input *input)
{
    struct zab_effects effects = {0};

    zab_step(f.zab, input, &effects);
    for (size_t i = 0; i < effects.count; i++) {
        take_effect(&effects.items[i]);
    }
    mem_free(effects.items);
}

/* Servers 1 .. voters, then observers; we are SELF, at 2.9 in epoch 2. */
static void setup(unsigned voters, unsigned observers)
{
    f = (struct fixture){.config.self_id = SELF};
    for (unsigned i = 0; i < voters + observers; i++) {
        f.members[i] = (struct zab_member){i + 1, i < voters};
    }
    f.config.members = f.members;
    f.config.members_count = voters + observers;
    f.config.ticks_init_max = 1000;
    f.config.ticks_sync_max = 500;
    f.config.ticks_heartbeat = 5;
    f.config.ticks_leader_timeout = TICKS_TIMEOUT;
    f.config.proposals_inflight_max = 16;
    f.config.seed = 7;
    f.durable.epoch_accepted = 2;
    f.durable.epoch_current = 2;
    f.durable.zxid_checkpoint = zxid_make(2, 9);
    f.durable.zxid_committed = zxid_make(2, 9);
}

static void tick(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        step(&(struct zab_input){.type = ZAB_IN_TICK});
    }
}

static void boot(void)
{
    f.zab = zab_create(&f.config, &f.durable);
    tick(1);
    cr_assert_str_eq(zab_phase_name(f.zab), "election");
}

/* As a server that never was one. */
static void make_empty(void)
{
    f.durable = (struct durable_state){0};
}

static void up(uint64_t id)
{
    step(&(struct zab_input){.type = ZAB_IN_PEER_UP, .peer_id = id});
}

static void down(uint64_t id)
{
    step(&(struct zab_input){.type = ZAB_IN_PEER_DOWN, .peer_id = id});
}

static void quorum_link(enum zab_input_type type, enum peer_link link,
                        uint64_t id)
{
    step(&(struct zab_input){.type = type, .link = link, .peer_id = id});
}

static void say(struct say say)
{
    struct peer_msg msg = {
        .type = PEER_VOTE, .epoch = say.epoch, .zxid = say.zxid};

    msg.vote.candidate = say.candidate;
    msg.vote.round = say.round == 0 ? f.vote.vote.round : say.round;
    msg.vote.state = say.state == 0 ? PEER_LOOKING : say.state;
    msg.vote.no_log = say.no_log;
    msg.vote.blank = say.no_log;
    step(&(struct zab_input){
        .type = ZAB_IN_MESSAGE, .peer_id = say.from, .message = &msg});
}

/* Of our round, for itself, at a zxid of epoch 2. */
static void wants_itself(uint64_t id, uint32_t counter)
{
    say((struct say){id, id, 2, zxid_make(2, counter), 0, 0, false});
}

static void votes_for(uint64_t id, uint64_t candidate, uint32_t counter)
{
    say((struct say){id, candidate, 2, zxid_make(2, counter), 0, 0, false});
}

static void expect_phase(const char *name)
{
    cr_assert_str_eq(zab_phase_name(f.zab), name);
}

static void expect_vote(uint64_t candidate, enum peer_state state)
{
    cr_assert_eq(f.vote.vote.candidate, candidate);
    cr_assert_eq(f.vote.vote.state, state);
}

static void finish(void)
{
    zab_destroy(f.zab);
}

Test(zab_election, a_peer_is_told_when_its_link_comes_up_and_when_it_changes)
{
    setup(5, 0);
    boot();
    cr_assert_eq(f.votes, 0); /* nobody is there */
    up(1);
    cr_assert_eq(f.votes, 1);
    cr_assert_eq(f.vote_to, 0x01);
    expect_vote(SELF, PEER_LOOKING);
    cr_assert_eq(f.vote.epoch, 2);
    cr_assert_eq(f.vote.zxid, zxid_make(2, 9));
    cr_assert_eq(f.vote.vote.round, 1);
    cr_assert_not(f.vote.vote.blank);
    up(2);
    cr_assert_eq(f.votes, 2);
    cr_assert_eq(f.vote_to, 0x02); /* 1 knows it */
    wants_itself(2, 3);            /* worse than ours */
    tick(1);
    cr_assert_eq(f.votes, 2);
    wants_itself(1, 20);
    cr_assert_eq(f.votes, 3);
    cr_assert_eq(f.vote_to, 0x03);
    expect_vote(1, PEER_LOOKING);
    cr_assert_eq(f.vote.zxid, zxid_make(2, 20));
    up(1); /* another link: told again, and it is heard no more */
    cr_assert_eq(f.vote_to, 0x03);
    expect_vote(SELF, PEER_LOOKING);
    finish();
}

Test(zab_election, votes_are_ordered_by_epoch_then_zxid_then_id)
{
    setup(7, 0);
    boot();
    for (uint64_t id = 1; id <= 7; id++) {
        if (id != SELF) {
            up(id);
        }
    }
    say((struct say){7, 7, 1, zxid_make(1, 99), 0, 0, false});
    expect_vote(SELF, PEER_LOOKING); /* an older epoch */
    wants_itself(1, 9);
    expect_vote(SELF, PEER_LOOKING); /* a lower id */
    wants_itself(4, 9);
    expect_vote(4, PEER_LOOKING);
    wants_itself(2, 10);
    expect_vote(2, PEER_LOOKING);
    /* The epoch that was taken up decides, not the zxid. */
    say((struct say){6, 6, 3, zxid_make(1, 5), 0, 0, false});
    expect_vote(6, PEER_LOOKING);
    wants_itself(5, 99);
    expect_vote(6, PEER_LOOKING);
    finish();
}

Test(zab_election, decided_at_once_when_all_that_are_up_agree)
{
    setup(5, 0);
    boot();
    up(1);
    up(2);
    votes_for(1, SELF, 9);
    expect_phase("election");
    votes_for(2, SELF, 9);
    expect_phase("discovery");
    expect_vote(SELF, PEER_LEADING);
    cr_assert_eq(zab_leader_id(f.zab), SELF);
    cr_assert_eq(zab_role(f.zab), ZAB_LOOKING); /* not before it leads */
    finish();
}

Test(zab_election, a_quorum_waits_five_ticks_for_the_others)
{
    setup(5, 0);
    boot();
    up(1);
    up(2);
    up(4);
    votes_for(1, SELF, 9);
    tick(7);
    votes_for(2, SELF, 9); /* the quorum; 4 says nothing */
    tick(4);
    expect_phase("election");
    tick(1);
    expect_phase("discovery");
    finish();
}

/* It is heard of all the time, and says what it said before. */
Test(zab_election, nobody_waits_for_the_leader_that_failed)
{
    setup(3, 0);
    boot();
    up(1);
    up(2);
    say((struct say){2, 2, 2, 0, 0, PEER_ESTABLISHED, false});
    expect_phase("connecting");
    quorum_link(ZAB_IN_PEER_UP, PEER_LINK_LEADER, 2);
    tick(TICKS_TIMEOUT + 3); /* not a word from it */
    expect_phase("election");
    votes_for(1, SELF, 9);
    expect_phase("discovery");
    finish();
}

/* The wait begins anew with a better vote. */
Test(zab_election, a_better_vote_in_time_is_taken)
{
    setup(5, 0);
    boot();
    up(1);
    up(2);
    up(4);
    votes_for(1, SELF, 9);
    votes_for(2, SELF, 9);
    tick(4);
    wants_itself(4, 10);
    votes_for(1, 4, 10);
    tick(4);
    expect_phase("election"); /* 2 has not heard */
    votes_for(2, 4, 10);
    expect_phase("connecting");
    cr_assert_eq(f.connect, 4);
    expect_vote(4, PEER_FOLLOWING);
    finish();
}

Test(zab_election, half_of_the_voters_decide_nothing)
{
    setup(4, 0);
    boot();
    up(1);
    votes_for(1, SELF, 9);
    tick(30);
    expect_phase("election");
    up(2);
    votes_for(2, SELF, 9);
    expect_phase("discovery");
    finish();
}

/* ZOOKEEPER-764: observers are asked nothing, and cannot be elected. */
Test(zab_election, observers_are_neither_counted_nor_elected)
{
    setup(3, 2);
    boot();
    up(4);
    up(5);
    votes_for(4, SELF, 9);
    votes_for(5, SELF, 9);
    tick(30);
    expect_phase("election");
    up(1);
    say((struct say){1, 4, 9, zxid_make(9, 9), 0, 0, false});
    expect_vote(SELF, PEER_LOOKING);
    say((struct say){4, 4, 9, zxid_make(9, 9), 0, PEER_ESTABLISHED, false});
    expect_phase("election");
    finish();
}

Test(zab_election, who_is_behind_takes_the_latest_round)
{
    setup(5, 0);
    boot();
    up(1);
    up(2);
    say((struct say){1, 1, 2, zxid_make(2, 4), 8, 0, false});
    cr_assert_eq(f.vote.vote.round, 8);
    expect_vote(SELF, PEER_LOOKING); /* the better of the two */
    /* A vote of an older round is none of this one. */
    say((struct say){2, SELF, 2, zxid_make(2, 9), 7, 0, false});
    votes_for(1, SELF, 9);
    tick(10);
    expect_phase("election");
    votes_for(2, SELF, 9);
    expect_phase("discovery");
    finish();
}

/* A round in which we wanted another begins with ourselves again. */
Test(zab_election, a_later_round_begins_anew)
{
    setup(5, 0);
    boot();
    up(1);
    up(2);
    wants_itself(1, 20);
    expect_vote(1, PEER_LOOKING);
    say((struct say){2, 2, 2, zxid_make(2, 4), 5, 0, false});
    expect_vote(SELF, PEER_LOOKING);
    cr_assert_eq(f.vote.vote.round, 5);
    finish();
}

Test(zab_election, an_established_leader_is_joined_without_a_round)
{
    uint64_t round;

    setup(5, 0);
    boot();
    up(1);
    round = f.vote.vote.round;
    say((struct say){1, 1, 2, 0, 99, PEER_ESTABLISHED, false});
    expect_phase("connecting");
    cr_assert_eq(f.connect, 1);
    expect_vote(1, PEER_FOLLOWING);
    cr_assert_eq(f.vote.vote.round, round);
    finish();
}

Test(zab_election, of_two_established_the_later_epoch_is_joined)
{
    setup(5, 0);
    f.zab = zab_create(&f.config, &f.durable);
    up(1);
    up(2);
    say((struct say){1, 1, 7, 0, 1, PEER_ESTABLISHED, false});
    say((struct say){2, 2, 5, 0, 1, PEER_ESTABLISHED, false});
    tick(1);
    cr_assert_eq(f.connect, 1);
    finish();
}

Test(zab_election, an_elected_one_is_joined_when_a_quorum_follows_it)
{
    setup(5, 0);
    boot();
    up(1);
    up(2);
    up(4);
    say((struct say){1, 1, 2, 0, 5, PEER_LEADING, false});
    say((struct say){2, 1, 2, 0, 5, PEER_FOLLOWING, false});
    tick(10);
    expect_phase("election");
    say((struct say){4, 1, 2, 0, 5, PEER_FOLLOWING, false});
    expect_phase("connecting");
    cr_assert_eq(f.connect, 1);
    finish();
}

/* The others decide sooner than we: their votes still count. */
Test(zab_election, those_that_have_decided_are_counted)
{
    setup(3, 0);
    boot();
    up(2);
    wants_itself(2, 20);
    cr_assert_eq(f.connect, 2); /* all that is up */
    finish();
    setup(3, 0);
    boot();
    up(1);
    up(2);
    wants_itself(2, 20);
    expect_phase("election");
    say((struct say){2, 2, 2, 0, 0, PEER_LEADING, false});
    expect_vote(2, PEER_LOOKING); /* the vote stays */
    votes_for(1, 2, 20);
    expect_phase("connecting");
    cr_assert_eq(f.connect, 2);
    finish();
}

/* Votes for one that nobody hears would elect it for ever. */
Test(zab_election, only_who_is_heard_is_voted_for)
{
    setup(7, 0);
    boot();
    up(1);
    votes_for(1, 5, 40);
    expect_vote(SELF, PEER_LOOKING);
    up(5);
    wants_itself(5, 40);
    expect_vote(5, PEER_LOOKING);
    down(5);
    expect_vote(SELF, PEER_LOOKING);
    finish();
}

Test(zab_election, observers_join_only)
{
    setup(2, 1);
    boot();
    expect_phase("election");
    up(1);
    up(2);
    expect_vote(0, PEER_LOOKING);
    wants_itself(1, 1);
    votes_for(2, 1, 1);
    tick(200);
    expect_phase("election");
    expect_vote(0, PEER_LOOKING);
    say((struct say){1, 1, 3, 0, 4, PEER_ESTABLISHED, false});
    cr_assert_eq(f.connect, 1);
    finish();
}

/* DESIGN 2.14: it may have lost what it acknowledged. */
Test(zab_election, a_recovering_server_does_not_vote)
{
    setup(3, 0);
    f.durable = (struct durable_state){
        .epoch_accepted = 2, .epoch_current = 2, .recovering = true};
    boot();
    up(1);
    up(2);
    expect_vote(0, PEER_LOOKING);
    cr_assert(f.vote.vote.blank);
    cr_assert_not(f.vote.vote.no_log);
    wants_itself(1, 1);
    /* Even when the others never had anything. */
    say((struct say){1, 0, 0, 0, 0, 0, true});
    say((struct say){2, 0, 0, 0, 0, 0, true});
    tick(200);
    expect_vote(0, PEER_LOOKING);
    cr_assert_eq(f.connects, 0);
    say((struct say){2, 2, 3, 0, 4, PEER_ESTABLISHED, false});
    cr_assert_eq(f.connect, 2);
    finish();
}

/* A history without an epoch of its own: a copy that was not finished. */
Test(zab_election, an_unfinished_copy_does_not_vote)
{
    setup(3, 0);
    f.durable.epoch_current = 0;
    boot();
    up(1);
    up(2);
    say((struct say){1, 0, 0, 0, 0, 0, true});
    say((struct say){2, 0, 0, 0, 0, 0, true});
    expect_vote(0, PEER_LOOKING);
    cr_assert_not(f.vote.vote.no_log);
    finish();
}

Test(zab_election, the_first_vote_when_all_are_there_and_empty)
{
    setup(3, 1);
    make_empty();
    boot();
    up(1);
    cr_assert(f.vote.vote.no_log);
    say((struct say){1, 0, 0, 0, 0, 0, true});
    tick(200);
    expect_vote(0, PEER_LOOKING); /* 2 may know of an ensemble */
    up(2);
    expect_vote(0, PEER_LOOKING);
    say((struct say){2, 0, 0, 0, 0, 0, true});
    expect_vote(SELF, PEER_LOOKING);
    /* Its vote goes when one is lost. */
    down(1);
    expect_vote(0, PEER_LOOKING);
    up(1);
    say((struct say){1, SELF, 0, 0, 0, 0, true});
    /* All of them: 2 may be about to lead those who have lost a disk. */
    tick(10);
    expect_phase("election");
    say((struct say){2, SELF, 0, 0, 0, 0, true});
    expect_phase("discovery");
    finish();
}

Test(zab_election, an_empty_server_among_others_does_not_vote)
{
    setup(3, 0);
    make_empty();
    boot();
    up(1);
    up(2);
    say((struct say){1, 0, 0, 0, 0, 0, true});
    wants_itself(2, 1);
    tick(200);
    expect_vote(0, PEER_LOOKING);
    finish();
}

Test(zab_election, bootstrap_is_the_operators_word_for_empty_servers)
{
    setup(3, 0);
    make_empty();
    f.config.bootstrap = true;
    boot();
    up(1);
    expect_vote(SELF, PEER_LOOKING);
    finish();
    setup(3, 0);
    f.durable.epoch_current = 0;
    f.config.bootstrap = true;
    boot();
    up(1);
    expect_vote(0, PEER_LOOKING);
    finish();
}

Test(zab_election, the_only_voter_elects_itself)
{
    setup(1, 2);
    f.config.self_id = 1;
    make_empty();
    f.zab = zab_create(&f.config, &f.durable);
    tick(1);
    expect_phase("discovery");
    finish();
}

Test(zab_election, who_resigns_votes_for_others_only)
{
    setup(3, 0);
    boot();
    up(1);
    up(2);
    expect_vote(SELF, PEER_LOOKING);
    step(&(struct zab_input){.type = ZAB_IN_RESIGN});
    expect_vote(0, PEER_LOOKING);
    wants_itself(1, 2); /* worse than ours, and still */
    expect_vote(1, PEER_LOOKING);
    votes_for(2, 1, 2);
    cr_assert_eq(f.connect, 1);
    finish();
}

/* Who wanted it looks further. */
Test(zab_election, a_candidate_that_does_not_want_is_left)
{
    setup(3, 0);
    boot();
    up(1);
    up(2);
    wants_itself(2, 20);
    votes_for(1, 0, 0);
    expect_vote(2, PEER_FOLLOWING);
    finish();
    setup(3, 0);
    boot();
    up(1);
    up(2);
    wants_itself(1, 3);
    wants_itself(2, 20);
    expect_vote(2, PEER_LOOKING);
    votes_for(2, 0, 0);
    expect_vote(SELF, PEER_LOOKING);
    votes_for(1, SELF, 9);
    expect_phase("discovery");
    finish();
}

/* It is dialled again, but not at once and not for ever. */
Test(zab_election, a_leader_that_cannot_be_reached_is_shunned_for_a_while)
{
    unsigned waited = 0, longest = 0;

    setup(3, 0);
    boot();
    up(1);
    up(2);
    say((struct say){1, 1, 3, 0, 9, PEER_ESTABLISHED, false});
    for (unsigned attempt = 1; attempt <= 8; attempt++) {
        cr_assert_eq(f.connect, 1);
        quorum_link(ZAB_IN_PEER_DOWN, PEER_LINK_LEADER, 1);
        cr_assert_eq(f.connect, 0);
        expect_phase("election");
        for (waited = 0; f.connect == 0; waited++) {
            cr_assert_lt(waited, 130);
            tick(1);
        }
        longest = waited > longest ? waited : longest;
    }
    cr_assert_gt(longest, 30);
    /* Another one that leads is joined at once. */
    quorum_link(ZAB_IN_PEER_DOWN, PEER_LINK_LEADER, 1);
    say((struct say){2, 2, 4, 0, 9, PEER_ESTABLISHED, false});
    cr_assert_eq(f.connect, 2);
    finish();
}

/* 5 voters of which 4 is not there, and 5, the best, is seen by us only: 1 and
 * 2 want us, we want 5, and nobody has three votes. It must end
 * (ZOOKEEPER-3109). */
Test(zab_election, a_round_that_decides_nothing_ends_without_its_candidate)
{
    unsigned waited = 0;
    uint64_t round;

    setup(5, 0);
    boot();
    up(1);
    up(2);
    up(5);
    wants_itself(5, 40);
    votes_for(1, SELF, 9);
    votes_for(2, SELF, 9);
    expect_vote(5, PEER_LOOKING);
    round = f.vote.vote.round;
    while (f.vote.vote.round == round) {
        waited++;
        cr_assert_lt(waited, 80);
        tick(1);
    }
    expect_vote(SELF, PEER_LOOKING);
    wants_itself(5, 40); /* of our new round, and not now */
    votes_for(1, SELF, 9);
    votes_for(2, SELF, 9);
    tick(6);
    expect_phase("discovery");
    finish();
}

Test(zab_election, in_every_phase_peers_are_heard_and_told)
{
    setup(5, 0);
    f.zab = zab_create(&f.config, &f.durable);
    up(1); /* before the first tick */
    expect_vote(0, PEER_LOOKING);
    say((struct say){1, 1, 3, 0, 1, PEER_ESTABLISHED, false});
    tick(1);
    cr_assert_eq(f.connect, 1);
    up(2);
    cr_assert_eq(f.vote_to, 0x02);
    expect_vote(1, PEER_FOLLOWING);
    say((struct say){2, 2, 4, 0, 2, PEER_ESTABLISHED, false});
    cr_assert_eq(f.connect, 1); /* it has not failed us */
    down(1);
    expect_phase("connecting"); /* the mesh is not the quorum link */
    finish();
}

Test(zab_election, what_no_vote_can_be_costs_the_link)
{
    struct peer_msg ping = {.type = PEER_PING};

    setup(3, 0);
    boot();
    up(1);
    say((struct say){1, 1, 2, 0, UINT64_MAX, 0, false});
    cr_assert_eq(f.drops, 1);
    up(1);
    say((struct say){1, 1, 2, 0, 1, (enum peer_state)9, false});
    cr_assert_eq(f.drops, 2);
    wants_itself(1, 30); /* on a link that is no more */
    expect_vote(SELF, PEER_LOOKING);
    up(1);
    step(&(struct zab_input){
        .type = ZAB_IN_MESSAGE, .peer_id = 1, .message = &ping});
    cr_assert_eq(f.drops, 3);
    cr_assert_eq(f.dropped, PEER_LINK_ELECTION);
    finish();
}

/* One that says so must not keep the others from speaking with each other. */
Test(zab_election, at_the_last_round_votes_still_meet)
{
    setup(3, 0);
    boot();
    up(1);
    up(2);
    say((struct say){1, 1, 2, zxid_make(2, 4), UINT64_MAX - 1, 0, false});
    tick(200);
    cr_assert_eq(f.vote.vote.round, UINT64_MAX - 1);
    expect_phase("election");
    votes_for(2, SELF, 9);
    tick(10);
    expect_phase("discovery");
    finish();
}

/* Who took us for the leader must not wait for one. */
Test(zab_election, learners_are_let_go_when_another_is_elected)
{
    struct peer_msg info = {.type = PEER_FOLLOWER_INFO, .epoch = 2};

    setup(3, 0);
    boot();
    up(1);
    quorum_link(ZAB_IN_PEER_UP, PEER_LINK_LEARNER, 1);
    step(&(struct zab_input){.type = ZAB_IN_MESSAGE,
                             .link = PEER_LINK_LEARNER,
                             .peer_id = 1,
                             .message = &info});
    cr_assert_eq(f.drops, 0); /* kept until we know */
    up(2);
    wants_itself(2, 20);
    votes_for(1, 2, 20);
    cr_assert_eq(f.connect, 2);
    cr_assert_eq(f.drops, 1);
    cr_assert_eq(f.dropped, PEER_LINK_LEARNER);
    finish();
}
