/* The paper's protocol (Junqueira, Reed, Serafini: Zab, DSN 2011, section IV),
 * step by step: each test is one step and looks at everything that happened in
 * some drawn, stormy runs, or makes it happen by hand. The steps are told in
 * our words and with our messages: CEPOCH is FOLLOWER_INFO, ACK-E is ACK_EPOCH,
 * the history of NEWLEADER goes before NEW_LEADER as records, and the commit of
 * phase 2 is UP_TO_DATE. Its properties: test_paper_order.c. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/zab/weather.h"
#include "zab/history.h"

#define MAX (NET_SERVERS_MAX + 1)

static struct net *serving(uint64_t seed, unsigned voters);
static void finish(struct net *net);
static bool is_quorum(const struct net *net, const bool *members);
static bool is_sync(const struct net_event *e);
static zxid_t last_of(const struct net_event *e);

/* ---- Phase 1, discovery */

/* f.1.1: a follower tells its prospective leader the last epoch it promised. */
static size_t f11(const struct net *net)
{
    size_t tried = 0;

    for (size_t i = 0; i < net->events_count; i++) {
        const struct net_event *e = &net->events[i];

        if (e->what == NET_SAID && e->type == PEER_FOLLOWER_INFO) {
            /* Above it when a promise is on its way to the disk. */
            cr_assert_geq(e->epoch, e->accepted);
            tried++;
        }
    }
    return tried;
}

Test(zab_paper, step_f_1_1_a_follower_tells_its_last_promise)
{
    weather_runs(f11, 500);
}

struct asked {
    bool asked, votes;
    uint32_t epoch;
};

/* What a leader has heard of its followers, by leader and follower. */
static void note_asked(struct asked asked[MAX][MAX], const struct net_event *e)
{
    struct asked *one = &asked[e->server][e->peer];

    if (e->what == NET_DIED) {
        memset(asked[e->server], 0, sizeof(asked[e->server]));
    } else if (e->link != PEER_LINK_LEARNER) {
        return;
    } else if (e->what == NET_CLOSED) {
        memset(one, 0, sizeof(*one));
    } else if (e->what == NET_HEARD && e->type == PEER_FOLLOWER_INFO) {
        *one = (struct asked){true, e->voting, e->epoch};
    } else if (e->what == NET_HEARD && e->type == PEER_ACK_NEW_LEADER) {
        one->votes = true; /* whole from here on */
    }
}

/* l.1.1: with a quorum of CEPOCH, its own among them, a prospective leader
 * proposes an epoch later than all that those have promised. */
static size_t l11(const struct net *net)
{
    static struct asked asked[MAX][MAX];
    uint32_t proposed[MAX] = {0};
    size_t tried = 0;

    memset(asked, 0, sizeof(asked));
    for (size_t i = 0; i < net->events_count; i++) {
        const struct net_event *e = &net->events[i];
        bool quorum[MAX] = {false};

        note_asked(asked, e);
        if (e->what != NET_SAID || e->type != PEER_NEW_EPOCH ||
            e->epoch == proposed[e->server]) {
            continue;
        }
        proposed[e->server] = e->epoch;
        quorum[e->server] = true;
        for (unsigned id = 1; id <= net->options.voters; id++) {
            const struct asked *one = &asked[e->server][id];

            if (one->asked && one->votes) {
                quorum[id] = true;
                cr_assert_gt(
                    e->epoch, one->epoch, "seed %lu, server %u, epoch %u",
                    (unsigned long)net->options.seed, e->server, e->epoch);
            }
        }
        cr_assert(is_quorum(net, quorum), "seed %lu, server %u, epoch %u",
                  (unsigned long)net->options.seed, e->server, e->epoch);
        tried++;
    }
    return tried;
}

Test(zab_paper, step_l_1_1_a_new_epoch_is_above_the_promises_of_a_quorum)
{
    weather_runs(l11, 100);
}

/* f.1.2: a follower that promised less makes its promise of the epoch, and only
 * then acknowledges it, with its current epoch and its history. */
static size_t f12(const struct net *net)
{
    uint32_t offered[MAX] = {0}, before[MAX] = {0};
    size_t tried = 0;

    for (size_t i = 0; i < net->events_count; i++) {
        const struct net_event *e = &net->events[i];

        if (e->what == NET_HEARD && e->type == PEER_NEW_EPOCH) {
            offered[e->server] = e->epoch;
            before[e->server] = e->accepted;
        } else if (e->what == NET_SAID && e->type == PEER_ACK_EPOCH) {
            cr_assert_eq(e->epoch, offered[e->server]);
            cr_assert_eq(e->zxid, e->logged);
            cr_assert(e->epoch_current == e->current || e->epoch_current == 0);
            if (e->counted) {
                cr_assert_lt(before[e->server], e->epoch);
                cr_assert_eq(e->accepted, e->epoch);
                tried++;
            }
        }
    }
    return tried;
}

Test(zab_paper, step_f_1_2_a_later_epoch_is_promised_then_acknowledged)
{
    weather_runs(f12, 100);
}

Test(zab_paper, step_f_1_2_no_promise_leaves_before_the_disk_has_it)
{
    struct net *net = serving(3, 3);
    unsigned old = net_leader(net);

    net_crash(net, old);
    for (unsigned id = 1; id <= 3; id++) {
        net->servers[id].disk_held = true;
    }
    net_forget_events(net);
    net_run(net, 60);
    cr_assert_gt(net_count(net, NET_HEARD, 0, PEER_NEW_EPOCH), 0);
    cr_assert_eq(net_count(net, NET_SAID, 0, PEER_ACK_EPOCH), 0);
    for (unsigned id = 1; id <= 3; id++) {
        net->servers[id].disk_held = false;
    }
    net_run_until(net, net_all_serve, 200);
    finish(net);
}

struct promised {
    bool counted;
    uint32_t epoch, current;
    zxid_t zxid;
};

static void note_promised(struct promised promised[MAX][MAX],
                          const struct net_event *e)
{
    struct promised *one = &promised[e->server][e->peer];

    if (e->what == NET_DIED) {
        memset(promised[e->server], 0, sizeof(promised[e->server]));
    } else if (e->what == NET_HEARD && e->type == PEER_ACK_EPOCH) {
        *one =
            (struct promised){e->counted, e->epoch, e->epoch_current, e->zxid};
    }
}

/* l.1.2: with the promises of a quorum the initial history is that of the one
 * with the latest (current epoch, last zxid): here always the leader itself,
 * which steps down when another has more. */
static size_t l12(const struct net *net)
{
    static struct promised promised[MAX][MAX];
    struct promised own[MAX] = {{0}};
    uint32_t begun[MAX] = {0};
    size_t tried = 0;

    memset(promised, 0, sizeof(promised));
    for (size_t i = 0; i < net->events_count; i++) {
        const struct net_event *e = &net->events[i];
        bool quorum[MAX] = {false};

        note_promised(promised, e);
        if (e->what == NET_SAID && e->type == PEER_NEW_EPOCH &&
            own[e->server].epoch != e->epoch) {
            own[e->server] =
                (struct promised){true, e->epoch, e->current, e->logged};
        }
        if (!is_sync(e) || begun[e->server] == e->epoch) {
            continue;
        }
        begun[e->server] = e->epoch;
        quorum[e->server] = e->accepted >= e->epoch;
        for (unsigned id = 1; id <= net->options.voters; id++) {
            const struct promised *one = &promised[e->server][id];

            if (one->counted && one->epoch == e->epoch) {
                quorum[id] = true;
                cr_assert(one->current < own[e->server].current ||
                          (one->current == own[e->server].current &&
                           one->zxid <= own[e->server].zxid));
            }
        }
        cr_assert(is_quorum(net, quorum));
        tried++;
    }
    return tried;
}

Test(zab_paper, step_l_1_2_the_initial_history_is_the_latest_of_a_quorum)
{
    weather_runs(l12, 100);
}

/* ---- Phase 2, synchronization */

/* l.2.1: the leader proposes itself, with the initial history, to those that
 * have promised: NEW_LEADER names the end of what it has sent. */
static size_t l21(const struct net *net)
{
    static uint32_t promised[MAX][MAX];
    static zxid_t sent[MAX][MAX];
    size_t tried = 0;

    memset(promised, 0, sizeof(promised));
    for (size_t i = 0; i < net->events_count; i++) {
        const struct net_event *e = &net->events[i];
        unsigned a = e->server, b = e->peer;

        if (e->what == NET_HEARD && e->type == PEER_ACK_EPOCH) {
            promised[a][b] = e->epoch;
        } else if (is_sync(e)) {
            sent[a][b] = e->zxid;
        } else if (e->what == NET_SAID &&
                   (e->type == PEER_PROPOSE || e->type == PEER_INFORM)) {
            sent[a][b] = last_of(e);
        } else if (e->what == NET_SAID && e->type == PEER_NEW_LEADER) {
            cr_assert_eq(promised[a][b], e->epoch);
            cr_assert_eq(sent[a][b], e->zxid);
            tried++;
        }
    }
    return tried;
}

Test(zab_paper, step_l_2_1_new_leader_goes_to_who_promised_behind_the_history)
{
    weather_runs(l21, 200);
}

/* f.2.1: a follower that has promised the epoch accepts the whole history and
 * takes the epoch up, in one: the epoch is on its disk behind the history, and
 * only then it acknowledges. */
static size_t f21(const struct net *net)
{
    zxid_t end[MAX] = {0};
    uint32_t epoch[MAX] = {0};
    size_t tried = 0;

    for (size_t i = 0; i < net->events_count; i++) {
        const struct net_event *e = &net->events[i];

        if (e->what == NET_HEARD && e->type == PEER_NEW_LEADER) {
            end[e->server] = e->zxid;
            epoch[e->server] = e->epoch;
        } else if (e->what == NET_SAID && e->type == PEER_ACK_NEW_LEADER) {
            cr_assert_eq(epoch[e->server], e->epoch);
            cr_assert_eq(e->current, e->epoch);
            cr_assert_geq(e->accepted, e->epoch);
            cr_assert_geq(e->zxid, end[e->server]);
            cr_assert_geq(e->stored, end[e->server]);
            tried++;
        }
    }
    return tried;
}

Test(zab_paper, step_f_2_1_the_epoch_is_taken_up_with_the_whole_history)
{
    weather_runs(f21, 200);
}

Test(zab_paper, step_f_2_1_no_acknowledgement_leaves_before_the_disk_has_it)
{
    struct net *net = serving(4, 3);
    unsigned leader = net_leader(net), late = leader == 1 ? 2 : 1;

    net_crash(net, late);
    for (unsigned i = 0; i < 5; i++) {
        (void)net_propose(net, leader);
    }
    net_settle(net);
    net_start(net, late);
    for (unsigned id = 1; id <= 3; id++) {
        net_hold(net, id, late, true);
    }
    net_run(net, 1); /* it boots, and does not know of a leader yet */
    net_join_all(net);
    net_forget_events(net);
    net->servers[late].disk_held = true;
    net_run(net, 30);
    cr_assert_gt(net_count(net, NET_HEARD, late, PEER_NEW_LEADER) +
                     net_count(net, NET_HEARD, late, PEER_NEW_EPOCH),
                 0);
    cr_assert_eq(net_count(net, NET_SAID, late, PEER_ACK_NEW_LEADER), 0);
    net->servers[late].disk_held = false;
    net_run_until(net, net_all_equal, 100);
    cr_assert_gt(net_count(net, NET_SAID, late, PEER_ACK_NEW_LEADER), 0);
    finish(net);
}

/* Who has taken up which epoch of whose, as a leader knows. */
static void note_taken_up(uint32_t taken_up[MAX][MAX],
                          const struct net_event *e)
{
    if (e->what == NET_DIED) {
        memset(taken_up[e->server], 0, sizeof(taken_up[e->server]));
    } else if (e->what == NET_HEARD && e->type == PEER_ACK_NEW_LEADER) {
        taken_up[e->server][e->peer] = e->epoch;
    }
}

static bool is_taken_up(const struct net *net, uint32_t taken_up[MAX][MAX],
                        const struct net_event *e, uint32_t epoch)
{
    bool quorum[MAX] = {false};

    for (unsigned id = 1; id <= net->options.voters; id++) {
        quorum[id] = id == e->server ? e->current == epoch
                                     : taken_up[e->server][id] == epoch;
    }
    return is_quorum(net, quorum);
}

/* l.2.2: with the acknowledgements of a quorum the leader commits the initial
 * history, and phase 3 begins. */
static size_t l22(const struct net *net)
{
    static uint32_t taken_up[MAX][MAX];
    size_t tried = 0;

    memset(taken_up, 0, sizeof(taken_up));
    for (size_t i = 0; i < net->events_count; i++) {
        const struct net_event *e = &net->events[i];

        note_taken_up(taken_up, e);
        if ((e->what == NET_SAID && e->type == PEER_UP_TO_DATE) ||
            e->what == NET_LEADS) {
            cr_assert(is_taken_up(net, taken_up, e, e->epoch),
                      "seed %lu, event %zu", (unsigned long)net->options.seed,
                      i);
            tried++;
        }
    }
    return tried;
}

Test(zab_paper, step_l_2_2_a_quorum_takes_the_epoch_up_before_it_begins)
{
    weather_runs(l22, 200);
}

/* f.2.2: a follower delivers the initial history when the leader commits it,
 * not before; what it knew to be committed may go on. */
static size_t f22(const struct net *net)
{
    zxid_t known[MAX] = {0};
    bool syncs[MAX] = {false};
    size_t tried = 0;

    for (size_t i = 0; i < net->events_count; i++) {
        const struct net_event *e = &net->events[i];

        if (e->what == NET_SAID && e->type == PEER_ACK_EPOCH &&
            e->role == ZAB_LOOKING) {
            syncs[e->server] = true;
            known[e->server] = e->committed;
        } else if (e->what == NET_HEARD && e->type == PEER_UP_TO_DATE) {
            syncs[e->server] = false;
            tried++;
        } else if (e->what == NET_DIED || e->what == NET_CLOSED ||
                   e->what == NET_LEADS) {
            syncs[e->server] = syncs[e->server] && e->what == NET_CLOSED &&
                               e->link != PEER_LINK_LEADER;
        } else if (e->what == NET_DELIVERED && syncs[e->server]) {
            cr_assert_leq(e->zxid, known[e->server]);
        }
    }
    return tried;
}

Test(zab_paper, step_f_2_2_the_initial_history_is_delivered_when_committed)
{
    weather_runs(f22, 200);
}

/* ---- Phase 3, broadcast */

/* l.3.1: proposals are of the leader's epoch, in rising order, and go to each
 * follower in that order without a gap. */
static size_t l31(const struct net *net)
{
    static zxid_t sent[MAX][MAX];
    uint32_t epoch[MAX] = {0};
    zxid_t last[MAX] = {0};
    size_t tried = 0;

    for (size_t i = 0; i < net->events_count; i++) {
        const struct net_event *e = &net->events[i];
        unsigned a = e->server, b = e->peer;

        if (e->what == NET_LEADS) {
            epoch[a] = e->epoch;
        } else if (e->what == NET_PROPOSED) {
            cr_assert_eq(zxid_epoch(e->zxid), epoch[a]);
            cr_assert_gt(e->zxid, last[a]);
            last[a] = e->zxid;
            tried++;
        } else if (is_sync(e)) {
            sent[a][b] = e->zxid;
        } else if (e->what == NET_SAID &&
                   (e->type == PEER_PROPOSE || e->type == PEER_INFORM)) {
            cr_assert(history_follows(sent[a][b], e->zxid));
            sent[a][b] = last_of(e);
        }
    }
    return tried;
}

Test(zab_paper, step_l_3_1_proposals_are_sent_in_order_and_of_the_epoch)
{
    weather_runs(l31, 1000);
}

/* l.3.2: what a quorum has acknowledged, the leader itself being in it with its
 * disk, is committed; nothing else. */
static size_t l32(const struct net *net)
{
    static zxid_t acked[MAX][MAX];
    static bool counts[MAX][MAX];
    size_t tried = 0;

    memset(acked, 0, sizeof(acked));
    memset(counts, 0, sizeof(counts));
    for (size_t i = 0; i < net->events_count; i++) {
        const struct net_event *e = &net->events[i];
        unsigned a = e->server, b = e->peer;
        bool quorum[MAX] = {false};

        if (e->what == NET_DIED) {
            memset(counts[a], 0, sizeof(counts[a]));
        } else if (e->what == NET_CLOSED && e->link == PEER_LINK_LEARNER) {
            continue; /* its disk has what it acknowledged */
        } else if (e->what == NET_HEARD && e->type == PEER_ACK_NEW_LEADER) {
            counts[a][b] = true;
            acked[a][b] = e->zxid;
        } else if (e->what == NET_HEARD && e->type == PEER_ACK &&
                   counts[a][b] && e->zxid > acked[a][b]) {
            acked[a][b] = e->zxid;
        }
        if (e->what != NET_SAID || e->type != PEER_COMMIT) {
            continue;
        }
        for (unsigned id = 1; id <= net->options.voters; id++) {
            quorum[id] = id == a ? e->stored >= e->zxid
                                 : counts[a][id] && acked[a][id] >= e->zxid;
        }
        cr_assert(is_quorum(net, quorum));
        cr_assert(quorum[a]);
        tried++;
    }
    return tried;
}

Test(zab_paper, step_l_3_2_what_a_quorum_acknowledged_is_committed)
{
    weather_runs(l32, 1000);
}

/* f.3.1: the leader is ready, that is proposes, when the initial history is
 * committed and it has delivered all of it. */
static size_t f31(const struct net *net)
{
    static uint32_t taken_up[MAX][MAX];
    size_t tried = 0;

    memset(taken_up, 0, sizeof(taken_up));
    for (size_t i = 0; i < net->events_count; i++) {
        const struct net_event *e = &net->events[i];

        note_taken_up(taken_up, e);
        if (e->what == NET_PROPOSED && zxid_counter(e->zxid) == 1) {
            cr_assert_eq(e->last, e->logged);
            cr_assert(is_taken_up(net, taken_up, e, zxid_epoch(e->zxid)));
            tried++;
        }
    }
    return tried;
}

Test(zab_paper, step_f_3_1_a_leader_is_ready_with_the_initial_history_delivered)
{
    weather_runs(f31, 50);
}

/* f.3.2: a follower accepts proposals in the order in which they come, each
 * behind all before it. */
static size_t f32(const struct net *net)
{
    zxid_t heard[MAX] = {0}, acked[MAX] = {0};
    bool closed[MAX] = {false}; /* what still comes then is nothing */
    size_t tried = 0;

    for (size_t i = 0; i < net->events_count; i++) {
        const struct net_event *e = &net->events[i];

        if (e->what == NET_CLOSED && e->link == PEER_LINK_LEADER) {
            closed[e->server] = true;
        } else if (e->what == NET_HEARD &&
                   (e->type == PEER_SYNC_DIFF || e->type == PEER_SYNC_TRUNC ||
                    e->type == PEER_SYNC_SNAP)) {
            heard[e->server] = e->zxid;
            acked[e->server] = 0;
            closed[e->server] = false;
        } else if (e->what == NET_HEARD && !closed[e->server] &&
                   (e->type == PEER_PROPOSE || e->type == PEER_INFORM)) {
            cr_assert(history_follows(heard[e->server], e->zxid));
            heard[e->server] = last_of(e);
        } else if (e->what == NET_SAID && e->type == PEER_ACK) {
            cr_assert_leq(e->zxid, heard[e->server]);
            cr_assert_geq(e->stored, e->zxid);
            cr_assert_gt(e->zxid, acked[e->server]);
            acked[e->server] = e->zxid;
            tried++;
        }
    }
    return tried;
}

Test(zab_paper, step_f_3_2_proposals_are_accepted_in_the_order_they_come)
{
    weather_runs(f32, 1000);
}

/* f.3.3: a follower delivers what its leader has committed, behind all that
 * comes before it. */
static size_t f33(const struct net *net)
{
    zxid_t committed[MAX] = {0};
    size_t tried = 0;

    for (size_t i = 0; i < net->events_count; i++) {
        const struct net_event *e = &net->events[i];
        zxid_t *known = &committed[e->server];

        if (e->what == NET_HEARD &&
            (e->type == PEER_COMMIT || e->type == PEER_UP_TO_DATE ||
             e->type == PEER_INFORM)) {
            zxid_t to = e->type == PEER_INFORM ? last_of(e) : e->zxid;

            *known = *known < to ? to : *known;
        } else if (e->what == NET_DIED) {
            *known = 0;
        } else if (e->what == NET_DELIVERED &&
                   (e->role == ZAB_FOLLOWING || e->role == ZAB_OBSERVING)) {
            cr_assert_leq(e->zxid, *known);
            tried++;
        }
    }
    return tried;
}

Test(zab_paper, step_f_3_3_what_the_leader_committed_is_delivered)
{
    weather_runs(f33, 1000);
}

/* l.3.3: who asks to follow while the leader broadcasts is told the epoch that
 * is, and gets the history as it is by then. */
Test(zab_paper, step_l_3_3_a_latecomer_is_told_the_epoch_and_its_history)
{
    struct net *net = serving(5, 3);
    unsigned leader = net_leader(net), late = leader == 1 ? 2 : 1;
    uint32_t epoch = zab_epoch(net->servers[leader].zab);
    const struct net_event *event;
    zxid_t last = 0;

    net_crash(net, late);
    for (unsigned i = 0; i < 5; i++) {
        last = net_propose(net, leader);
    }
    net_settle(net);
    net_forget_events(net);
    net_start(net, late);
    net_run_until(net, net_all_equal, 100);
    event = net_last(net, NET_HEARD, late, PEER_NEW_EPOCH);
    cr_assert_not_null(event);
    cr_assert_eq(event->epoch, epoch);
    event = net_last(net, NET_HEARD, late, PEER_NEW_LEADER);
    cr_assert_eq(event->epoch, epoch);
    cr_assert_eq(event->zxid, last);
    cr_assert_eq(net_leader(net), leader);
    cr_assert_eq(net_role(net, leader), ZAB_LEADING);
    finish(net);
}

/* l.3.4: when a latecomer has acknowledged, it is told what is committed, and
 * is one of those with whom a quorum is had. */
Test(zab_paper, step_l_3_4_a_latecomer_counts_when_it_has_acknowledged)
{
    struct net *net = serving(6, 3);
    unsigned leader = net_leader(net), late = leader == 1 ? 2 : 1;
    unsigned other = 6 - leader - late;
    zxid_t zxid;

    net_crash(net, late);
    (void)net_propose(net, leader);
    net_settle(net);
    net_start(net, late);
    net_forget_events(net);
    net_run_until(net, net_all_equal, 100);
    cr_assert_not_null(net_last(net, NET_HEARD, leader, PEER_ACK_NEW_LEADER));
    cr_assert_not_null(net_last(net, NET_HEARD, late, PEER_UP_TO_DATE));
    net_crash(net, other);
    zxid = net_propose(net, leader);
    cr_assert_neq(zxid, 0);
    net_settle(net);
    cr_assert(net_has_delivered(net, leader, zxid));
    finish(net);
}

static struct net *serving(uint64_t seed, unsigned voters)
{
    struct net *net = malloc(sizeof(*net));

    net_init(net, &(struct net_options){.seed = seed, .voters = voters});
    net_start_all(net);
    net_run_until(net, net_all_serve, 100);
    return net;
}

static void finish(struct net *net)
{
    net_finish(net);
    free(net);
}

static bool is_quorum(const struct net *net, const bool *members)
{
    unsigned count = 0;

    for (unsigned id = 1; id <= net->options.voters; id++) {
        count += members[id] ? 1 : 0;
    }
    return count > net->options.voters / 2;
}

static bool is_sync(const struct net_event *e)
{
    return e->what == NET_SAID &&
           (e->type == PEER_SYNC_DIFF || e->type == PEER_SYNC_TRUNC ||
            e->type == PEER_SYNC_SNAP);
}

/* Of the records in a message. */
static zxid_t last_of(const struct net_event *e)
{
    return e->zxid + e->payloads_count - 1;
}
