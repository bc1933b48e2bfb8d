/* Links: queues of what the receiver has not heard yet, in order. A link that
 * breaks loses the end of what was on its way. */
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "tests/unit/zab/net_internal.h"

enum item_type { ITEM_UP, ITEM_MESSAGE, ITEM_DOWN };

struct item {
    struct list queue;
    enum item_type type;
    struct peer_msg msg; /* its arrays are the item's */
};

static enum peer_link other_end(enum peer_link link);
static bool *state_of(struct net *net, unsigned id, enum peer_link link,
                      unsigned peer);
static void push(struct net *net, enum peer_link link, unsigned from,
                 unsigned to, enum item_type type);
static void copy_message(struct peer_msg *to, const struct peer_msg *from);
static void drop_item(struct item *item);
static void clear(struct list *queue);
static void lose_end(struct net *net, struct list *queue);
static void tell_down(struct net *net, unsigned id, enum peer_link link,
                      unsigned peer);
static struct list *ready(const struct net *net, size_t which,
                          enum peer_link *link, unsigned *from, unsigned *to);
static bool is_cut(const struct net *net, unsigned a, unsigned b);

void links_init(struct net *net)
{
    for (size_t link = 0; link < PEER_LINKS_COUNT; link++) {
        for (unsigned from = 0; from <= NET_SERVERS_MAX; from++) {
            for (unsigned to = 0; to <= NET_SERVERS_MAX; to++) {
                list_init(&net->links[link][from][to]);
            }
        }
    }
}

void links_finish(struct net *net)
{
    for (unsigned id = 1; id <= net->count; id++) {
        links_drop_all(net, id);
    }
}

void links_send(struct net *net, unsigned from, unsigned to,
                enum peer_link link, const struct peer_msg *msg)
{
    struct item *item;

    if (!*state_of(net, from, link, to)) {
        return;
    }
    item = MEM_NEW(struct item);
    item->type = ITEM_MESSAGE;
    copy_message(&item->msg, msg);
    list_push_back(&net->links[other_end(link)][from][to], &item->queue);
}

void links_drop(struct net *net, unsigned id, enum peer_link link,
                unsigned peer)
{
    bool *up = state_of(net, id, link, peer);

    clear(&net->links[link][peer][id]);
    if (*up) {
        *up = false;
        net_note(net, NET_CLOSED, id, peer)->link = link;
        tell_down(net, peer, other_end(link), id);
    }
}

void links_drop_all(struct net *net, unsigned id)
{
    for (unsigned peer = 1; peer <= net->count; peer++) {
        if (peer != id) {
            links_drop(net, id, PEER_LINK_ELECTION, peer);
            links_drop(net, id, PEER_LINK_LEADER, peer);
            links_drop(net, id, PEER_LINK_LEARNER, peer);
        }
    }
    net->servers[id].dial = 0;
}

void links_break(struct net *net, unsigned a, unsigned b)
{
    for (enum peer_link link = 0; link < PEER_LINKS_COUNT; link++) {
        bool *up = state_of(net, a, link, b);

        if (*up) {
            *up = false;
            tell_down(net, a, link, b);
            tell_down(net, b, other_end(link), a);
        }
    }
}

void links_dial(struct net *net, unsigned id, unsigned leader)
{
    for (unsigned peer = 1; peer <= net->count; peer++) {
        if (peer != id) {
            links_drop(net, id, PEER_LINK_LEADER, peer);
        }
    }
    net->servers[id].dial = leader;
}

void links_dialled(struct net *net, unsigned id)
{
    unsigned leader = net->servers[id].dial;

    net->servers[id].dial = 0;
    if (net->servers[leader].zab == NULL || is_cut(net, id, leader)) {
        push(net, PEER_LINK_LEADER, leader, id, ITEM_DOWN);
        return;
    }
    net->quorum[id][leader] = true;
    push(net, PEER_LINK_LEADER, leader, id, ITEM_UP);
    push(net, PEER_LINK_LEARNER, id, leader, ITEM_UP);
}

void links_mesh(struct net *net)
{
    for (unsigned a = 1; a <= net->count; a++) {
        for (unsigned b = a + 1; b <= net->count; b++) {
            bool *up = state_of(net, a, PEER_LINK_ELECTION, b);

            if (!*up && net->servers[a].zab != NULL &&
                net->servers[b].zab != NULL && !is_cut(net, a, b)) {
                *up = true;
                push(net, PEER_LINK_ELECTION, a, b, ITEM_UP);
                push(net, PEER_LINK_ELECTION, b, a, ITEM_UP);
            }
        }
    }
}

size_t links_ready(const struct net *net)
{
    enum peer_link link;
    unsigned from, to;
    size_t count = 0;

    while (ready(net, count, &link, &from, &to) != NULL) {
        count++;
    }
    return count;
}

void links_deliver(struct net *net, size_t which)
{
    static const enum zab_input_type types[] = {
        [ITEM_UP] = ZAB_IN_PEER_UP,
        [ITEM_MESSAGE] = ZAB_IN_MESSAGE,
        [ITEM_DOWN] = ZAB_IN_PEER_DOWN,
    };
    enum peer_link link;
    unsigned from, to;
    struct list *queue = ready(net, which, &link, &from, &to);
    struct item *item;
    struct zab_input input = {0};

    CHECK(queue != NULL);
    item = LIST_ENTRY(queue->next, struct item, queue);
    list_remove(&item->queue);
    input.type = types[item->type];
    input.link = link;
    input.peer_id = from;
    if (item->type == ITEM_MESSAGE) {
        input.message = &item->msg;
        net_note_message(net_note(net, NET_HEARD, to, from), link, &item->msg);
    } else if (item->type == ITEM_DOWN) {
        net_note(net, NET_CLOSED, to, from)->link = link;
    }
    net_input(net, to, &input);
    drop_item(item);
}

static enum peer_link other_end(enum peer_link link)
{
    switch (link) {
        case PEER_LINK_LEADER:
            return PEER_LINK_LEARNER;
        case PEER_LINK_LEARNER:
            return PEER_LINK_LEADER;
        case PEER_LINK_ELECTION:
            break;
    }
    return PEER_LINK_ELECTION;
}

/* Is this end of the link, and so the link, up? */
static bool *state_of(struct net *net, unsigned id, enum peer_link link,
                      unsigned peer)
{
    switch (link) {
        case PEER_LINK_LEADER:
            return &net->quorum[id][peer];
        case PEER_LINK_LEARNER:
            return &net->quorum[peer][id];
        case PEER_LINK_ELECTION:
            break;
    }
    return id < peer ? &net->mesh[id][peer] : &net->mesh[peer][id];
}

static void push(struct net *net, enum peer_link link, unsigned from,
                 unsigned to, enum item_type type)
{
    struct item *item = MEM_NEW(struct item);

    item->type = type;
    list_push_back(&net->links[link][from][to], &item->queue);
}

static void copy_message(struct peer_msg *to, const struct peer_msg *from)
{
    *to = *from;
    to->payloads = MEM_ARRAY(struct blob *, from->payloads_count);
    for (uint32_t i = 0; i < from->payloads_count; i++) {
        to->payloads[i] = blob_ref(from->payloads[i]);
    }
    if (from->type == PEER_ACK_EPOCH) {
        size_t count = from->ack_epoch.epoch_ends_count;
        zxid_t *ends = MEM_ARRAY(zxid_t, count);

        for (size_t i = 0; i < count; i++) {
            ends[i] = from->ack_epoch.epoch_ends[i];
        }
        to->ack_epoch.epoch_ends = ends;
    }
}

static void drop_item(struct item *item)
{
    for (uint32_t i = 0; i < item->msg.payloads_count; i++) {
        blob_unref(item->msg.payloads[i]);
    }
    mem_free(item->msg.payloads);
    if (item->msg.type == PEER_ACK_EPOCH) {
        mem_free((void *)(uintptr_t)item->msg.ack_epoch.epoch_ends);
    }
    mem_free(item);
}

static void clear(struct list *queue)
{
    while (!list_empty(queue)) {
        struct item *item = LIST_ENTRY(queue->next, struct item, queue);

        list_remove(&item->queue);
        drop_item(item);
    }
}

static void lose_end(struct net *net, struct list *queue)
{
    size_t count = 0, kept;

    for (struct list *at = queue->prev; at != queue; at = at->prev) {
        if (LIST_ENTRY(at, struct item, queue)->type != ITEM_MESSAGE) {
            break;
        }
        count++;
    }
    kept = (size_t)prng_below(&net->prng, count + 1);
    for (; count > kept; count--) {
        struct item *item = LIST_ENTRY(queue->prev, struct item, queue);

        list_remove(&item->queue);
        drop_item(item);
    }
}

static void tell_down(struct net *net, unsigned id, enum peer_link link,
                      unsigned peer)
{
    lose_end(net, &net->links[link][peer][id]);
    if (net->servers[id].zab != NULL) {
        push(net, link, peer, id, ITEM_DOWN);
    }
}

/* The queue of this number among those with something to deliver. */
static struct list *ready(const struct net *net, size_t which,
                          enum peer_link *link, unsigned *from, unsigned *to)
{
    for (*to = 1; *to <= net->count; (*to)++) {
        if (net->servers[*to].zab == NULL || net->servers[*to].paused) {
            continue;
        }
        for (*from = 1; *from <= net->count; (*from)++) {
            if (net->held[*from][*to]) {
                continue;
            }
            for (*link = 0; *link < PEER_LINKS_COUNT; (*link)++) {
                const struct list *queue = &net->links[*link][*from][*to];

                if (!list_empty(queue) && which-- == 0) {
                    return (struct list *)(uintptr_t)queue;
                }
            }
        }
    }
    return NULL;
}

static bool is_cut(const struct net *net, unsigned a, unsigned b)
{
    return net->cuts[a][b] || net->cuts[b][a];
}
