/* What a step of a zab wants is done, and must not break what the protocol
 * promises. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "proto/record.h"
#include "tests/unit/zab/net_internal.h"

static void on_effect(struct net *net, unsigned id, struct zab_effect *effect);
static void on_send(struct net *net, unsigned id, struct zab_effect *effect);
static void check_sent(struct net *net, const struct net_event *said);
static void on_store(struct net *net, unsigned id, struct store_op *op);
static void on_delivered(struct net *net, unsigned id, zxid_t zxid,
                         struct blob *payload);
static void append_to_tree(struct net *net, unsigned id, zxid_t zxid,
                           unsigned number);
static void on_tree_chunk(struct net *net, unsigned id, struct blob *payload);
static void on_tree_end(struct net *net, unsigned id, zxid_t zxid);
static void on_barrier_done(struct net *net, unsigned id, uint64_t number);
static void on_role(struct net *net, unsigned id, const char *why);
static void checkpoint(struct net *net, unsigned id);
static unsigned number_of(struct slice payload);

#define ZXID "%" PRIu32 ".%" PRIu32
#define ZXID_ARGS(zxid) zxid_epoch(zxid), zxid_counter(zxid)

void effects_carry_out(struct net *net, unsigned id,
                       struct zab_effects *effects)
{
    for (size_t i = 0; i < effects->count; i++) {
        on_effect(net, id, &effects->items[i]);
    }
    effects->count = 0;
    checkpoint(net, id);
}

void effects_on_result(struct net *net, unsigned id,
                       struct store_result *result)
{
    struct net_server *server = &net->servers[id];
    struct zab_input input = {.type = ZAB_IN_RESULT, .result = result};
    struct store_op op = {.type = STORE_PURGE, .owner = STORE_FOR_REPLICA};

    if (result->owner == STORE_FOR_ZAB) {
        net_input(net, id, &input);
    } else if (result->type == STORE_CHECKPOINT) {
        server->checkpointing = false;
        op.zxid = zab_purge_max(server->zab);
        if (op.zxid > server->tree[server->checkpointed - 1].zxid) {
            op.zxid = server->tree[server->checkpointed - 1].zxid;
        }
        if (!server->outdated && op.zxid > 0) {
            op.seq = ++server->seq;
            fake_disk_submit(server->disk, &op);
        }
    } else if (result->type == STORE_PURGE) {
        input =
            (struct zab_input){.type = ZAB_IN_PURGED, .purged = result->zxid};
        net_input(net, id, &input);
    }
}

static void on_effect(struct net *net, unsigned id, struct zab_effect *effect)
{
    struct net_server *server = &net->servers[id];
    char line[512];

    if (net->trace) {
        (void)zab_effect_format(effect, line, sizeof(line));
        (void)fprintf(stderr, "%u   %s\n", id, line);
    }
    switch (effect->type) {
        case ZAB_SEND:
            on_send(net, id, effect);
            break;
        case ZAB_STORE:
            on_store(net, id, &effect->store);
            break;
        case ZAB_DELIVER:
            on_delivered(net, id, effect->deliver.zxid,
                         effect->deliver.payload);
            break;
        case ZAB_BARRIER_DONE:
            on_barrier_done(net, id, effect->barrier);
            break;
        case ZAB_TREE_BEGIN:
            server->count = 0;
            server->loading = true;
            server->outdated = false;
            server->checkpointing = false;
            break;
        case ZAB_TREE_CHUNK:
            on_tree_chunk(net, id, effect->deliver.payload);
            break;
        case ZAB_TREE_END:
            on_tree_end(net, id, effect->deliver.zxid);
            break;
        case ZAB_ROLE:
            on_role(net, id, effect->why);
            break;
        case ZAB_CONNECT:
            links_dial(net, id,
                       effect->peers == 0
                           ? 0
                           : net_server_of(
                                 net, (size_t)__builtin_ctzll(effect->peers)));
            break;
        case ZAB_DROP_PEER:
            links_drop(
                net, id, effect->link,
                net_server_of(net, (size_t)__builtin_ctzll(effect->peers)));
            break;
        case ZAB_DAMAGED:
            net_fail(net, id, "damaged: %s", effect->why);
    }
}

static void on_send(struct net *net, unsigned id, struct zab_effect *effect)
{
    for (size_t i = 0; i < net->count; i++) {
        unsigned to = net_server_of(net, i);
        struct net_event *event;

        if ((effect->peers >> i & 1) == 0) {
            continue;
        }
        links_send(net, id, to, effect->link, &effect->message);
        event = net_note(net, NET_SAID, id, to);
        net_note_message(event, effect->link, &effect->message);
        check_sent(net, event);
    }
    for (uint32_t i = 0; i < effect->message.payloads_count; i++) {
        blob_unref(effect->message.payloads[i]);
    }
}

static void check_sent(struct net *net, const struct net_event *said)
{
    struct net_server *server = &net->servers[said->server];

    if ((said->type == PEER_ACK || said->type == PEER_ACK_NEW_LEADER) &&
        said->stored < said->zxid) {
        net_fail(net, said->server, "acknowledged " ZXID ", stored " ZXID,
                 ZXID_ARGS(said->zxid), ZXID_ARGS(said->stored));
    }
    if (said->type == PEER_ACK_NEW_LEADER && said->current != said->epoch) {
        net_fail(net, said->server, "took up epoch %u, the disk has %u",
                 said->epoch, said->current);
    }
    if (said->type == PEER_ACK_NEW_LEADER) {
        server->diverged = false;
    }
    if (said->type == PEER_ACK_EPOCH && said->counted) {
        if (said->accepted < said->epoch) {
            net_fail(net, said->server, "promised %u, the disk has %u",
                     said->epoch, said->accepted);
        }
        if (server->promised >= said->epoch) {
            net_fail(net, said->server, "promised %u again", said->epoch);
        }
        server->promised = said->epoch;
    }
}

static void on_store(struct net *net, unsigned id, struct store_op *op)
{
    if (op->type == STORE_SNAP_END) {
        net->servers[id].outdated = true;
    }
    fake_disk_submit(net->servers[id].disk, op);
}

static void on_delivered(struct net *net, unsigned id, zxid_t zxid,
                         struct blob *payload)
{
    struct net_server *server = &net->servers[id];
    const struct durable_state *durable = fake_disk_durable(server->disk);
    unsigned number = number_of(blob_bytes(payload));

    blob_unref(payload);
    if (server->loading) {
        net_fail(net, id, "delivered while the tree is loaded");
    }
    if (zxid > durable->zxid_last && zxid > durable->zxid_checkpoint) {
        net_fail(net, id, "delivered " ZXID " before its disk has it",
                 ZXID_ARGS(zxid));
    }
    append_to_tree(net, id, zxid, number);
}

static void append_to_tree(struct net *net, unsigned id, zxid_t zxid,
                           unsigned number)
{
    struct net_server *server = &net->servers[id];
    size_t at = server->count;

    if (number >= net->values_count || net->values[number].zxid != zxid) {
        net_fail(net, id, "delivered what nobody proposed at " ZXID,
                 ZXID_ARGS(zxid));
    }
    if (at == net->order_count) {
        if (at > 0 && net->order[at - 1].zxid >= zxid) {
            net_fail(net, id, "delivered " ZXID " behind a later one",
                     ZXID_ARGS(zxid));
        }
        net->order[net->order_count++] = (struct net_value){zxid, number};
    } else if (net->order[at].zxid != zxid || net->order[at].number != number) {
        net_fail(net, id, "delivered " ZXID " where others have " ZXID,
                 ZXID_ARGS(zxid), ZXID_ARGS(net->order[at].zxid));
    }
    server->tree = mem_grow(server->tree, &server->capacity, at + 1,
                            sizeof(*server->tree));
    server->tree[server->count++] = (struct net_value){zxid, number};
    if (!server->loading) {
        struct net_event *event = net_note(net, NET_DELIVERED, id, 0);

        event->zxid = zxid;
        event->place = at;
    }
}

/* Records come in the order of their keys, which is that of zxids. */
static void on_tree_chunk(struct net *net, unsigned id, struct blob *payload)
{
    struct slice list = blob_bytes(payload);
    struct arena *arena = arena_create(1024);
    struct record_entry entry;
    struct znode_record znode;

    while (record_next(&list, &entry) == 0) {
        cr_assert_eq(record_get_znode(&entry, arena, &znode), 0);
        append_to_tree(net, id, znode.czxid, number_of(znode.data));
    }
    arena_destroy(arena);
    blob_unref(payload);
}

static void on_tree_end(struct net *net, unsigned id, zxid_t zxid)
{
    struct net_server *server = &net->servers[id];
    zxid_t last = server->count == 0 ? 0 : server->tree[server->count - 1].zxid;

    if (last != zxid) {
        net_fail(net, id, "a tree as of " ZXID " ends with " ZXID,
                 ZXID_ARGS(zxid), ZXID_ARGS(last));
    }
    server->loading = false;
    server->loaded = zxid;
    server->loads++;
    server->checkpointed = server->count;
}

static void on_barrier_done(struct net *net, unsigned id, uint64_t number)
{
    struct net_server *server = &net->servers[id];

    for (; server->barriers_done < number; server->barriers_done++) {
        size_t at = server->barriers_done;

        if (net->barriers[at].leader == id &&
            net->barriers[at].order_count > server->count) {
            net_fail(net, id, "a barrier is done before what it waits for");
        }
    }
}

static void on_role(struct net *net, unsigned id, const char *why)
{
    struct net_server *server = &net->servers[id];
    uint32_t epoch = zab_epoch(server->zab);
    size_t at = 0;

    server->why = why;
    if (zab_role(server->zab) != ZAB_LEADING) {
        return;
    }
    net_note(net, NET_LEADS, id, 0)->epoch = epoch;
    while (at < net->reigns_count && net->reigns[at].epoch != epoch) {
        at++;
    }
    if (at < net->reigns_count) {
        if (net->reigns[at].leader != id) {
            net_fail(net, id, "leads epoch %u, which %u has led", epoch,
                     net->reigns[at].leader);
        }
        return;
    }
    cr_assert(at < NET_EPOCHS_MAX);
    net->reigns[at].epoch = epoch;
    net->reigns[at].leader = id;
    net->reigns_count++;
}

static void checkpoint(struct net *net, unsigned id)
{
    struct net_server *server = &net->servers[id];
    struct store_op op = {.type = STORE_CHECKPOINT, .owner = STORE_FOR_REPLICA};
    struct buf list = {0};

    if (net->options.checkpoint_every == 0 || server->checkpointing ||
        server->outdated || server->loading || server->zab == NULL ||
        server->count < server->checkpointed + net->options.checkpoint_every) {
        return;
    }
    for (; server->checkpointed < server->count; server->checkpointed++) {
        const struct net_value *value = &server->tree[server->checkpointed];
        char path[32], data[16];

        (void)snprintf(path, sizeof(path), "/%016" PRIx64, value->zxid);
        (void)snprintf(data, sizeof(data), "%u ", value->number);
        record_put_znode(&list,
                         &(struct znode_record){.path = slice_from_text(path),
                                                .data = slice_from_text(data),
                                                .czxid = value->zxid});
    }
    op.seq = ++server->seq;
    op.zxid = server->tree[server->count - 1].zxid;
    op.payload = blob_copy(buf_bytes(&list));
    buf_finish(&list);
    server->checkpointing = true;
    fake_disk_submit(server->disk, &op);
}

/* "NUMBER " and what fills it up. */
static unsigned number_of(struct slice payload)
{
    unsigned number = 0;

    for (size_t i = 0; i < payload.len && payload.ptr[i] != ' '; i++) {
        number = number * 10 + (unsigned)(payload.ptr[i] - '0');
    }
    return number;
}
