#include <criterion/criterion.h>

#include "base/prng.h"
#include "session/order.h"

static struct blob *blob(const char *text)
{
    return blob_copy(slice_from_text(text));
}

static bool head_is(const struct order *order, enum order_type type,
                    const char *text)
{
    struct order_head head;

    return order_head(order, &head) && head.type == type &&
           slice_equal(blob_bytes(head.bytes), slice_from_text(text));
}

Test(session_order, an_empty_queue_has_no_head)
{
    struct order *order = order_create();
    struct order_head head;

    cr_assert(order_empty(order));
    cr_assert_eq(order_count(order), 0);
    cr_assert_not(order_head(order, &head));
    cr_assert_not(order_answer(order, 1, blob("nobody waits")));
    order_destroy(order);
    order_destroy(NULL);
}

Test(session_order, answers_leave_in_the_order_of_requests)
{
    struct order *order = order_create();
    struct order_head head;

    order_push_waiting(order, 10);
    order_push_frame(order, blob("read"));
    order_push_waiting(order, 11);
    order_push_reply(order, blob("refused"));
    cr_assert_eq(order_count(order), 4);
    cr_assert_eq(order_frames(order), 1);
    cr_assert(order_answer(order, 11, blob("second")));
    cr_assert(order_head(order, &head));
    cr_assert_eq(head.type, ORDER_WAITING);
    cr_assert_eq(head.origin_request, 10);
    cr_assert_null(head.bytes);
    cr_assert(order_answer(order, 10, blob("first")));
    cr_assert_not(order_answer(order, 10, blob("twice")));
    cr_assert(head_is(order, ORDER_REPLY, "first"));
    order_pop(order);
    cr_assert(head_is(order, ORDER_FRAME, "read"));
    order_pop(order);
    cr_assert_eq(order_frames(order), 0);
    cr_assert(head_is(order, ORDER_REPLY, "second"));
    order_pop(order);
    cr_assert(head_is(order, ORDER_REPLY, "refused"));
    order_pop(order);
    cr_assert(order_empty(order));
    order_destroy(order);
}

Test(session_order, what_is_left_is_dropped_with_the_queue)
{
    struct order *order = order_create();

    for (uint64_t i = 0; i < 20; i++) {
        order_push_waiting(order, i);
        order_push_frame(order, blob("read"));
        order_push_reply(order, blob("reply"));
    }
    order_destroy(order); /* the leak checker looks */
}

/* Any order of answers, against a plain array. */
Test(session_order, random_use_gives_what_an_array_gives)
{
    enum { ITEMS = 40000 };
    static enum order_type types[ITEMS];
    static bool answered[ITEMS];
    struct order *order = order_create();
    struct prng prng;
    size_t first = 0, end = 0;

    prng_init(&prng, 9);
    while (end < ITEMS) {
        uint64_t kind = prng_below(&prng, 100);

        if (kind < 40) {
            types[end] = ORDER_WAITING;
            order_push_waiting(order, end++);
        } else if (kind < 50) {
            types[end++] = ORDER_FRAME;
            order_push_frame(order, blob("f"));
        } else if (kind < 75 && end > first) {
            size_t which = first + prng_below(&prng, end - first);
            bool waits = types[which] == ORDER_WAITING && !answered[which];

            cr_assert_eq(order_answer(order, which, blob("r")), waits);
            answered[which] = true;
        } else if (end > first) {
            struct order_head head;

            cr_assert(order_head(order, &head));
            if (types[first] == ORDER_FRAME) {
                cr_assert_eq(head.type, ORDER_FRAME);
            } else {
                cr_assert_eq(head.type,
                             answered[first] ? ORDER_REPLY : ORDER_WAITING);
            }
            order_pop(order);
            first++;
        }
        cr_assert_eq(order_count(order), end - first);
    }
    order_destroy(order);
}
