#include "session/order.h"

#include "base/check.h"
#include "base/mem.h"

/* Few requests of a session are under way at most times: so many need no
 * memory but the queue's own. */
#define INLINE_ITEMS ((size_t)2)

struct item {
    uint64_t origin_request;
    struct blob *bytes;
    enum order_type type;
};

/* A ring. Positions are counted from the connection's beginning; the item of
 * position p is items[p % capacity]. */
struct order {
    struct item *items;
    size_t capacity; /* a power of two */
    uint64_t first, end;
    /* Answers come in the order of the requests, so the next one is sought
     * from here. */
    uint64_t answer_from;
    size_t frames;
    struct item inline_items[INLINE_ITEMS];
};

static void push(struct order *order, struct item item);
static struct item *item_at(const struct order *order, uint64_t position);
static bool find_waiting(const struct order *order, uint64_t origin_request,
                         uint64_t *position);
static bool waits_for(const struct order *order, uint64_t position,
                      uint64_t origin_request);
static void use_inline(struct order *order);

struct order *order_create(void)
{
    struct order *order = MEM_NEW(struct order);

    use_inline(order);
    return order;
}

void order_destroy(struct order *order)
{
    if (order == NULL) {
        return;
    }
    while (!order_empty(order)) {
        order_pop(order);
    }
    mem_free(order);
}

bool order_empty(const struct order *order)
{
    return order->first == order->end;
}

size_t order_count(const struct order *order)
{
    return (size_t)(order->end - order->first);
}

size_t order_frames(const struct order *order)
{
    return order->frames;
}

void order_push_waiting(struct order *order, uint64_t origin_request)
{
    push(order, (struct item){.type = ORDER_WAITING,
                              .origin_request = origin_request});
}

void order_push_frame(struct order *order, struct blob *frame)
{
    CHECK(frame != NULL);
    push(order, (struct item){.type = ORDER_FRAME, .bytes = frame});
    order->frames++;
}

void order_push_reply(struct order *order, struct blob *packet)
{
    CHECK(packet != NULL);
    push(order, (struct item){.type = ORDER_REPLY, .bytes = packet});
}

bool order_head(const struct order *order, struct order_head *head)
{
    const struct item *item;

    if (order_empty(order)) {
        return false;
    }
    item = item_at(order, order->first);
    *head = (struct order_head){.type = item->type,
                                .origin_request = item->origin_request,
                                .bytes = item->bytes};
    return true;
}

void order_pop(struct order *order)
{
    struct item *item;

    CHECK(!order_empty(order));
    item = item_at(order, order->first);
    if (item->type == ORDER_FRAME) {
        order->frames--;
    }
    blob_unref(item->bytes);
    order->first++;
    if (order_empty(order) && order->items != order->inline_items) {
        mem_free(order->items);
        use_inline(order);
    }
}

bool order_answer(struct order *order, uint64_t origin_request,
                  struct blob *packet)
{
    uint64_t position;

    CHECK(packet != NULL);
    if (!find_waiting(order, origin_request, &position)) {
        blob_unref(packet);
        return false;
    }
    *item_at(order, position) =
        (struct item){.type = ORDER_REPLY, .bytes = packet};
    order->answer_from = position + 1;
    return true;
}

static void push(struct order *order, struct item item)
{
    size_t count = order_count(order);

    if (count == order->capacity) {
        size_t capacity = order->capacity < 8 ? 8 : order->capacity * 2;
        struct item *items = MEM_ARRAY(struct item, capacity);

        for (uint64_t at = order->first; at < order->end; at++) {
            items[at % capacity] = *item_at(order, at);
        }
        if (order->items != order->inline_items) {
            mem_free(order->items);
        }
        order->items = items;
        order->capacity = capacity;
    }
    *item_at(order, order->end) = item;
    order->end++;
}

static struct item *item_at(const struct order *order, uint64_t position)
{
    return &order->items[position % order->capacity];
}

static bool find_waiting(const struct order *order, uint64_t origin_request,
                         uint64_t *position)
{
    uint64_t from = order->answer_from;

    if (from < order->first || from > order->end) {
        from = order->first;
    }
    if (waits_for(order, order->first, origin_request)) {
        *position = order->first;
        return true;
    }
    for (uint64_t at = from; at < order->end; at++) {
        if (waits_for(order, at, origin_request)) {
            *position = at;
            return true;
        }
    }
    for (uint64_t at = order->first; at < from; at++) {
        if (waits_for(order, at, origin_request)) {
            *position = at;
            return true;
        }
    }
    return false;
}

static bool waits_for(const struct order *order, uint64_t position,
                      uint64_t origin_request)
{
    const struct item *item;

    if (position >= order->end) {
        return false;
    }
    item = item_at(order, position);
    return item->type == ORDER_WAITING &&
           item->origin_request == origin_request;
}

static void use_inline(struct order *order)
{
    order->items = order->inline_items;
    order->capacity = INLINE_ITEMS;
}
