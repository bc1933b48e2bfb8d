#include "tests/unit/zab/net.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/unit/zab/net_internal.h"

/* More without a tick in between is a loop. */
#define EVENTS_MAX 200000

static bool disk_ready(const struct net_server *server);
static void run_disk(struct net *net, unsigned id);
static bool has_quorum_of_whole(const struct net *net, unsigned without);

void net_init(struct net *net, const struct net_options *options)
{
    memset(net, 0, sizeof(*net));
    net->options = *options;
    net->trace = getenv("NET_TRACE") != NULL;
    prng_init(&net->prng, options->seed);
    net->count = options->voters + options->observers;
    links_init(net);
    for (unsigned id = 1; id <= net->count; id++) {
        struct net_server *server = &net->servers[id];

        net->members[id - 1] = (struct zab_member){id, id <= options->voters};
        server->disk = fake_disk_create();
        server->config = (struct zab_config){
            .self_id = id,
            .members = net->members,
            .members_count = net->count,
            .ticks_init_max = 100,
            .ticks_sync_max = 50,
            .ticks_heartbeat = 3,
            .ticks_leader_timeout = 15,
            .entropy = {(uint8_t)id, 0xcd},
            .proposals_inflight_max = 64,
            .history_bytes_max = options->history_bytes_max,
            .counter_max = options->counter_max,
            .seed = options->seed * 16 + id,
        };
    }
}

void net_finish(struct net *net)
{
    links_finish(net);
    for (unsigned id = 1; id <= net->count; id++) {
        struct net_server *server = &net->servers[id];

        zab_destroy(server->zab);
        fake_disk_destroy(server->disk);
        mem_free(server->tree);
    }
    mem_free(net->events);
}

void net_start(struct net *net, unsigned id)
{
    struct net_server *server = &net->servers[id];

    cr_assert_null(server->zab);
    server->zab = zab_create(&server->config, fake_disk_durable(server->disk));
    server->count = 0;
    server->loading = true;
    server->outdated = false;
    server->checkpointing = false;
    server->resigned = false;
    server->diverged = false;
    server->paused = false;
    server->why = NULL;
}

void net_start_all(struct net *net)
{
    for (unsigned id = 1; id <= net->count; id++) {
        if (net->servers[id].zab == NULL) {
            net_start(net, id);
        }
    }
}

void net_crash(struct net *net, unsigned id)
{
    struct net_server *server = &net->servers[id];
    size_t waiting = fake_disk_waiting(server->disk);

    cr_assert_not_null(server->zab);
    if (net->trace) {
        (void)fprintf(stderr, "%u crash\n", id);
    }
    for (size_t i = 0; i < ZAB_MARKS_COUNT; i++) {
        net->marks[i] += zab_marks(server->zab)[i];
    }
    (void)net_note(net, NET_DIED, id, 0);
    zab_destroy(server->zab);
    server->zab = NULL;
    links_drop_all(net, id);
    fake_disk_crash(server->disk, (size_t)prng_below(&net->prng, waiting + 1));
}

void net_wipe(struct net *net, unsigned id)
{
    struct net_server *server = &net->servers[id];

    cr_assert_null(server->zab);
    fake_disk_destroy(server->disk);
    server->disk = fake_disk_create();
    server->promised = 0; /* with its disk its life ends */
    server->checkpointed = 0;
}

void net_cut(struct net *net, unsigned a, unsigned b)
{
    net->cuts[a][b] = true;
    net->cuts[b][a] = true;
    links_break(net, a, b);
}

void net_join(struct net *net, unsigned a, unsigned b)
{
    net->cuts[a][b] = false;
    net->cuts[b][a] = false;
}

void net_isolate(struct net *net, unsigned id)
{
    for (unsigned peer = 1; peer <= net->count; peer++) {
        if (peer != id) {
            net_cut(net, id, peer);
        }
    }
}

void net_join_all(struct net *net)
{
    memset(net->cuts, 0, sizeof(net->cuts));
    memset(net->held, 0, sizeof(net->held));
}

void net_hold(struct net *net, unsigned from, unsigned to, bool hold)
{
    net->held[from][to] = hold;
}

void net_tick(struct net *net)
{
    struct zab_input tick = {.type = ZAB_IN_TICK};

    links_mesh(net);
    for (unsigned id = 1; id <= net->count; id++) {
        if (net->servers[id].zab != NULL && !net->servers[id].paused) {
            net_input(net, id, &tick);
        }
    }
}

bool net_step(struct net *net)
{
    size_t links = links_ready(net), all = links, which;

    for (unsigned id = 1; id <= net->count; id++) {
        all += disk_ready(&net->servers[id]) ? 1 : 0;
        all += net->servers[id].dial != 0 ? 1 : 0;
    }
    if (all == 0) {
        return false;
    }
    which = (size_t)prng_below(&net->prng, all);
    if (which < links) {
        links_deliver(net, which);
        return true;
    }
    which -= links;
    for (unsigned id = 1; id <= net->count; id++) {
        if (disk_ready(&net->servers[id]) && which-- == 0) {
            run_disk(net, id);
            return true;
        }
        if (net->servers[id].dial != 0 && which-- == 0) {
            links_dialled(net, id);
            return true;
        }
    }
    return true;
}

void net_settle(struct net *net)
{
    unsigned events = 0;

    while (net_step(net)) {
        if (++events > EVENTS_MAX) {
            net_fail(net, 0, "there is always something to do");
        }
    }
}

void net_run(struct net *net, unsigned ticks)
{
    net_settle(net);
    for (unsigned i = 0; i < ticks; i++) {
        net_tick(net);
        net_settle(net);
    }
}

void net_run_until(struct net *net, bool (*done)(struct net *), unsigned ticks)
{
    for (unsigned i = 0; i < ticks && !done(net); i++) {
        net_run(net, 1);
    }
    if (!done(net)) {
        for (unsigned id = 1; id <= net->count; id++) {
            const struct net_server *server = &net->servers[id];

            (void)fprintf(stderr, "%u: %s, %zu of %zu delivered: %s\n", id,
                          server->zab == NULL ? "down"
                                              : zab_phase_name(server->zab),
                          server->count, net->order_count,
                          server->why == NULL ? "" : server->why);
        }
        net_fail(net, 0, "not within %u ticks", ticks);
    }
}

unsigned net_leader(const struct net *net)
{
    for (unsigned id = 1; id <= net->count; id++) {
        const struct net_server *server = &net->servers[id];

        if (server->zab != NULL && zab_can_propose(server->zab)) {
            return id;
        }
    }
    return 0;
}

enum zab_role net_role(const struct net *net, unsigned id)
{
    return zab_role(net->servers[id].zab);
}

bool net_serving(const struct net *net, unsigned id)
{
    return net->servers[id].zab != NULL && net_role(net, id) != ZAB_LOOKING;
}

bool net_all_serve(struct net *net)
{
    uint64_t leader = net_leader(net);

    for (unsigned id = 1; id <= net->count; id++) {
        if (net->servers[id].zab != NULL &&
            (!net_serving(net, id) ||
             zab_leader_id(net->servers[id].zab) != leader)) {
            return false;
        }
    }
    return leader != 0;
}

bool net_all_equal(struct net *net)
{
    for (unsigned id = 1; id <= net->count; id++) {
        if (net->servers[id].zab != NULL &&
            net->servers[id].count != net->order_count) {
            return false;
        }
    }
    return net_all_serve(net);
}

zxid_t net_propose(struct net *net, unsigned id)
{
    struct net_server *server = &net->servers[id];
    size_t max = net->options.payload_max == 0 ? 16 : net->options.payload_max;
    size_t number = net->values_count, len;
    struct blob *payload;
    uint8_t *bytes;
    char head[16];
    int head_len;
    zxid_t zxid;

    if (server->zab == NULL || !zab_can_propose(server->zab) ||
        number == NET_VALUES_MAX) {
        return 0;
    }
    zxid = zab_next_zxid(server->zab);
    net_note(net, NET_PROPOSED, id, 0)->zxid = zxid;
    net->values[number] = (struct net_value){zxid, (unsigned)number};
    net->values_count++;
    head_len = snprintf(head, sizeof(head), "%zu ", number);
    len = (size_t)head_len + (size_t)prng_below(&net->prng, max);
    payload = blob_create(len, &bytes);
    memset(bytes, '.', len);
    memcpy(bytes, head, (size_t)head_len);
    net_input(net, id,
              &(struct zab_input){.type = ZAB_IN_PROPOSE, .proposal = payload});
    blob_unref(payload);
    return zxid;
}

void net_barrier(struct net *net, unsigned id)
{
    size_t at = net->barriers_count;

    if (at == NET_BARRIERS_MAX) {
        return;
    }
    net->barriers[at].leader = id;
    net->barriers[at].order_count = net->order_count;
    net->barriers_count++;
    net_input(net, id,
              &(struct zab_input){.type = ZAB_IN_BARRIER, .barrier = at + 1});
}

void net_resign(struct net *net, unsigned id)
{
    net->servers[id].resigned = true;
    net_input(net, id, &(struct zab_input){.type = ZAB_IN_RESIGN});
}

void net_diverge(struct net *net, unsigned id)
{
    net->servers[id].diverged = true;
    net_input(net, id, &(struct zab_input){.type = ZAB_IN_DIVERGED});
}

bool net_can_spare(const struct net *net, unsigned id)
{
    return id > net->options.voters || has_quorum_of_whole(net, id);
}

const struct net_event *net_last(const struct net *net, enum net_what what,
                                 unsigned server, enum peer_msg_type type)
{
    for (size_t i = net->events_count; i > 0; i--) {
        const struct net_event *event = &net->events[i - 1];

        if (event->what == what && event->type == type &&
            (server == 0 || event->server == server)) {
            return event;
        }
    }
    return NULL;
}

size_t net_count(const struct net *net, enum net_what what, unsigned server,
                 enum peer_msg_type type)
{
    size_t count = 0;

    for (size_t i = 0; i < net->events_count; i++) {
        const struct net_event *event = &net->events[i];

        if (event->what == what && event->type == type &&
            (server == 0 || event->server == server)) {
            count++;
        }
    }
    return count;
}

void net_forget_events(struct net *net)
{
    net->events_count = 0;
}

struct net_event *net_note(struct net *net, enum net_what what, unsigned id,
                           unsigned peer)
{
    const struct net_server *server = &net->servers[id];
    const struct durable_state *durable = fake_disk_durable(server->disk);
    struct net_event *event;

    net->events = mem_grow(net->events, &net->events_capacity,
                           net->events_count + 1, sizeof(*net->events));
    event = &net->events[net->events_count++];
    *event = (struct net_event){
        .what = what,
        .server = id,
        .peer = peer,
        .last = server->count == 0 ? 0 : server->tree[server->count - 1].zxid,
        .accepted = durable->epoch_accepted,
        .current = durable->epoch_current,
        .stored = durable->zxid_last > durable->zxid_checkpoint
                      ? durable->zxid_last
                      : durable->zxid_checkpoint,
    };
    if (server->zab != NULL) {
        event->role = zab_role(server->zab);
        event->committed = zab_committed(server->zab);
        event->logged = zab_logged(server->zab);
    }
    return event;
}

void net_note_message(struct net_event *event, enum peer_link link,
                      const struct peer_msg *msg)
{
    event->link = link;
    event->type = msg->type;
    event->epoch = msg->epoch;
    event->zxid = msg->zxid;
    event->payloads_count = msg->payloads_count;
    if (msg->type == PEER_ACK_EPOCH) {
        event->counted = msg->ack_epoch.counted;
        event->epoch_current = msg->ack_epoch.epoch_current;
    } else if (msg->type == PEER_FOLLOWER_INFO) {
        event->voting = msg->follower_info.voting;
        event->epoch_current = msg->follower_info.epoch_current;
    }
}

bool net_has_delivered(const struct net *net, unsigned id, zxid_t zxid)
{
    const struct net_server *server = &net->servers[id];

    for (size_t i = 0; i < server->count; i++) {
        if (server->tree[i].zxid == zxid) {
            return true;
        }
    }
    return false;
}

uint64_t net_marks(const struct net *net, enum zab_mark mark)
{
    uint64_t count = net->marks[mark];

    for (unsigned id = 1; id <= net->count; id++) {
        if (net->servers[id].zab != NULL) {
            count += zab_marks(net->servers[id].zab)[mark];
        }
    }
    return count;
}

void net_input(struct net *net, unsigned id, const struct zab_input *input)
{
    struct zab_effects effects = {0};
    char line[512];

    if (net->trace) {
        (void)zab_input_format(input, line, sizeof(line));
        (void)fprintf(stderr, "%u > %s\n", id, line);
    }
    zab_step(net->servers[id].zab, input, &effects);
    effects_carry_out(net, id, &effects);
    mem_free(effects.items);
}

unsigned net_server_of(const struct net *net, size_t index)
{
    cr_assert(index < net->count);
    return (unsigned)index + 1;
}

void net_fail(struct net *net, unsigned id, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)fprintf(stderr, "seed %" PRIu64 ", server %u: %s\n",
                  net->options.seed, id, text);
    cr_assert_fail("seed %" PRIu64 ", server %u: %s", net->options.seed, id,
                   text);
    abort();
}

static bool disk_ready(const struct net_server *server)
{
    return server->zab != NULL && !server->paused && !server->disk_held &&
           fake_disk_waiting(server->disk) > 0;
}

/* Some of what waits. The log lane answers for many at once. */
static void run_disk(struct net *net, unsigned id)
{
    struct net_server *server = &net->servers[id];
    struct zab_input stored = {.type = ZAB_IN_STORED};
    size_t count = 1 + (size_t)prng_below(&net->prng, 4);
    struct store_result result;

    while (count > 0 && fake_disk_next(server->disk, &result)) {
        bool log = result.type == STORE_EPOCHS || result.type == STORE_APPEND ||
                   result.type == STORE_TRUNCATE;

        count--;
        if (result.err != 0 && result.type != STORE_READ_SNAP) {
            net_fail(net, id, "the disk failed");
        }
        if (log) {
            stored.stored_seq = result.seq;
        } else {
            if (stored.stored_seq != 0) {
                net_input(net, id, &stored);
                stored.stored_seq = 0;
            }
            effects_on_result(net, id, &result);
            blob_unref(result.payload);
        }
    }
    if (stored.stored_seq != 0) {
        net_input(net, id, &stored);
    }
}

static bool has_quorum_of_whole(const struct net *net, unsigned without)
{
    unsigned whole = 0;

    for (unsigned id = 1; id <= net->options.voters; id++) {
        if (id != without && !net->servers[id].diverged &&
            fake_disk_durable(net->servers[id].disk)->epoch_current > 0) {
            whole++;
        }
    }
    return whole > net->options.voters / 2;
}
