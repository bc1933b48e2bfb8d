/* What the paper (Zab, DSN 2011, section III) demands of what is delivered,
 * property by property, over what happened in some drawn, stormy runs. Its
 * broadcasts are our proposals, its primaries our leaders, one for each epoch;
 * a zxid stands for the transaction that was proposed with it. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/zab/weather.h"
#include "zab/history.h"

/* The zxid at each place, by who was the first to deliver there. */
static zxid_t places[NET_VALUES_MAX];

static zxid_t before(const struct net_event *e)
{
    return e->place == 0 ? 0 : places[e->place - 1];
}

static void note_place(const struct net_event *e)
{
    if (e->place < NET_VALUES_MAX && places[e->place] == 0) {
        places[e->place] = e->zxid;
    }
}

/* Integrity: what some process delivers, some process has broadcast before. */
static size_t integrity(const struct net *net)
{
    size_t tried = 0;

    for (size_t i = 0; i < net->events_count; i++) {
        const struct net_event *e = &net->events[i];
        bool proposed = false;

        if (e->what != NET_DELIVERED) {
            continue;
        }
        for (size_t j = i; j > 0 && !proposed; j--) {
            proposed = net->events[j - 1].what == NET_PROPOSED &&
                       net->events[j - 1].zxid == e->zxid;
        }
        cr_assert(proposed);
        tried++;
    }
    return tried;
}

Test(zab_paper, integrity_what_is_delivered_was_proposed)
{
    weather_runs(integrity, 1000);
}

/* Total order: when some process delivers a before b, everyone that delivers b
 * delivers a before it. */
static size_t total_order(const struct net *net)
{
    size_t tried = 0;

    memset(places, 0, sizeof(places));
    for (size_t i = 0; i < net->events_count; i++) {
        const struct net_event *e = &net->events[i];

        if (e->what == NET_DELIVERED) {
            note_place(e);
            cr_assert_eq(places[e->place], e->zxid);
            tried++;
        }
    }
    return tried;
}

Test(zab_paper, total_order_all_deliver_in_one_order)
{
    weather_runs(total_order, 1000);
}

/* Agreement: when one process delivers a and another b, then the first delivers
 * b, or the second a: of two histories one is the beginning of the other. */
static size_t agreement(const struct net *net)
{
    size_t tried = 0;

    for (unsigned a = 1; a <= net->count; a++) {
        for (unsigned b = a + 1; b <= net->count; b++) {
            const struct net_server *left = &net->servers[a];
            const struct net_server *right = &net->servers[b];

            for (size_t i = 0; i < left->count && i < right->count; i++) {
                cr_assert_eq(left->tree[i].zxid, right->tree[i].zxid);
                cr_assert_eq(left->tree[i].number, right->tree[i].number);
                tried++;
            }
        }
    }
    return tried;
}

Test(zab_paper, agreement_of_two_histories_one_begins_the_other)
{
    weather_runs(agreement, 1000);
}

/* Local primary order: what one primary broadcasts is delivered in the order in
 * which it did, and nothing of it without all before it. */
static size_t local_primary_order(const struct net *net)
{
    size_t tried = 0;

    memset(places, 0, sizeof(places));
    for (size_t i = 0; i < net->events_count; i++) {
        const struct net_event *e = &net->events[i];

        if (e->what != NET_DELIVERED) {
            continue;
        }
        note_place(e);
        cr_assert(history_follows(before(e), e->zxid));
        if (zxid_counter(e->zxid) > 1) {
            cr_assert_eq(before(e), e->zxid - 1);
            tried++;
        }
    }
    return tried;
}

Test(zab_paper, local_primary_order_an_epoch_is_delivered_from_its_beginning)
{
    weather_runs(local_primary_order, 1000);
}

/* Global primary order: what an earlier primary has broadcast is delivered
 * before what a later one has, or never. */
static size_t global_primary_order(const struct net *net)
{
    size_t tried = 0;

    memset(places, 0, sizeof(places));
    for (size_t i = 0; i < net->events_count; i++) {
        const struct net_event *e = &net->events[i];

        if (e->what == NET_DELIVERED) {
            note_place(e);
            cr_assert_geq(zxid_epoch(e->zxid), zxid_epoch(before(e)));
            tried += zxid_epoch(e->zxid) > zxid_epoch(before(e)) ? 1 : 0;
        }
    }
    return tried;
}

Test(zab_paper, global_primary_order_epochs_are_delivered_in_order)
{
    weather_runs(global_primary_order, 100);
}

/* Primary integrity: a primary has delivered, before it broadcasts, whatever of
 * earlier primaries anyone ever delivers. */
static size_t primary_integrity(const struct net *net)
{
    size_t tried = 0;

    for (size_t i = 0; i < net->events_count; i++) {
        const struct net_event *e = &net->events[i];
        zxid_t earlier = 0;

        if (e->what != NET_PROPOSED) {
            continue;
        }
        for (size_t j = 0; j < net->order_count; j++) {
            zxid_t zxid = net->order[j].zxid;

            if (zxid_epoch(zxid) < zxid_epoch(e->zxid)) {
                earlier = zxid;
            }
        }
        cr_assert_geq(e->last, earlier);
        tried++;
    }
    return tried;
}

Test(zab_paper, primary_integrity_a_leader_has_delivered_all_before_its_epoch)
{
    weather_runs(primary_integrity, 1000);
}

/* What the proof of it rests on: the initial history of an epoch holds all that
 * was ever delivered before the epoch. */
static size_t leader_has_all(const struct net *net)
{
    zxid_t delivered = 0;
    size_t tried = 0;

    for (size_t i = 0; i < net->events_count; i++) {
        const struct net_event *e = &net->events[i];

        if (e->what == NET_DELIVERED && delivered < e->zxid) {
            delivered = e->zxid;
        } else if (e->what == NET_LEADS) {
            cr_assert_geq(e->logged, delivered);
            tried++;
        }
    }
    return tried;
}

Test(zab_paper, the_history_of_a_leader_holds_all_that_was_delivered)
{
    weather_runs(leader_has_all, 50);
}

/* An epoch has one primary: of its promises and its takings-up a quorum each is
 * needed, and nobody gives either twice. */
static size_t one_leader(const struct net *net)
{
    static unsigned leaders[NET_EPOCHS_MAX];
    size_t tried = 0;

    memset(leaders, 0, sizeof(leaders));
    for (size_t i = 0; i < net->events_count; i++) {
        const struct net_event *e = &net->events[i];

        if (e->what == NET_LEADS) {
            cr_assert_lt(e->epoch, NET_EPOCHS_MAX);
            cr_assert(leaders[e->epoch] == 0 || leaders[e->epoch] == e->server);
            leaders[e->epoch] = e->server;
            tried++;
        }
    }
    return tried;
}

Test(zab_paper, an_epoch_has_one_leader)
{
    weather_runs(one_leader, 100);
}
