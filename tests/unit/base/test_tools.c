#include <criterion/criterion.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "base/prng.h"
#include "base/ring.h"

Test(base_ring, full_is_an_answer_and_order_is_kept)
{
    struct ring ring;
    int in = 0;
    int out = 0;

    ring_init(&ring, sizeof(int), 3);
    cr_assert_null(ring_first(&ring));
    for (int round = 0; round < 10; round++) {
        while (ring_push(&ring, &in)) {
            in++;
        }
        cr_assert_eq(ring.count, 3);
        cr_assert_eq(*(int *)ring_at(&ring, 2), in - 1);
        cr_assert_eq(*(int *)ring_first(&ring), out);
        ring_pop(&ring);
        out++;
    }
    ring_finish(&ring);
}

Test(base_list, the_body_may_remove_where_it_stands)
{
    struct list head;
    struct list items[4];
    int seen = 0;

    list_init(&head);
    for (int i = 0; i < 4; i++) {
        list_push_back(&head, &items[i]);
    }
    LIST_EACH (&head, at, after) {
        cr_assert_eq(at, &items[seen]);
        if (seen++ % 2 == 0) {
            list_remove(at);
        }
    }
    cr_assert_eq(seen, 4);
    cr_assert_eq(head.next, &items[1]);
    cr_assert_eq(head.prev, &items[3]);
    list_push_front(&head, &items[0]);
    cr_assert_eq(head.next, &items[0]);
}

Test(base_prng, a_seed_fixes_the_numbers_and_bounds_hold)
{
    struct prng a;
    struct prng b;
    unsigned counts[10] = {0};

    prng_init(&a, 7);
    prng_init(&b, 7);
    for (int i = 0; i < 10000; i++) {
        uint64_t n = prng_below(&a, 10);

        cr_assert_eq(n, prng_below(&b, 10));
        cr_assert_lt(n, 10);
        counts[n]++;
    }
    for (int i = 0; i < 10; i++) {
        cr_assert_gt(counts[i], 800);
        cr_assert_lt(counts[i], 1200);
    }
    prng_init(&b, 8);
    cr_assert_neq(prng_next(&a), prng_next(&b));
}

struct sink {
    char text[4096];
    size_t len;
    int lines;
};

static void take_line(void *arg, struct slice line)
{
    struct sink *sink = arg;

    memcpy(sink->text + sink->len, line.ptr, line.len);
    sink->len += line.len;
    sink->text[sink->len] = '\0';
    sink->lines++;
}

Test(base_log, input_cannot_forge_a_line)
{
    struct sink sink = {0};
    struct log_line line;

    log_set_sink(take_line, &sink);
    log_begin(&line, LOG_WARN, "frame");
    log_slice(&line, "path", SLICE_LITERAL("/a\nlevel=error event=\"x\"\x1b"));
    log_int(&line, "n", -5);
    log_hex(&line, "zxid", 0x10000002a);
    log_text(&line, "plain", "word");
    log_end(&line);
    cr_assert_eq(sink.lines, 1);
    cr_assert_not_null(strstr(sink.text, " level=warn event=frame "));
    cr_assert_not_null(strstr(
        sink.text, "path=\"/a\\x0alevel=error event=\\\"x\\\"\\x1b\" n=-5 "
                   "zxid=0x10000002a plain=word\n"));
    cr_assert_eq(strchr(sink.text, '\n'), sink.text + sink.len - 1);
}

Test(base_log, long_lines_are_cut_and_quiet_levels_cost_nothing)
{
    struct sink sink = {0};
    struct log_line line;
    char big[3000];

    memset(big, 'x', sizeof(big));
    log_set_sink(take_line, &sink);
    log_begin(&line, LOG_ERROR, "big");
    log_slice(&line, "value", slice_make(big, sizeof(big)));
    log_int(&line, "after", 1);
    log_end(&line);
    cr_assert_eq(sink.lines, 1);
    cr_assert_leq(sink.len, sizeof(line.text));
    cr_assert_str_eq(sink.text + sink.len - 4, "...\n");
    log_event(LOG_DEBUG, "quiet", "n=%d", 1);
    cr_assert_eq(sink.lines, 1);
    log_set_level(LOG_DEBUG);
    log_event(LOG_DEBUG, "loud", "n=%d", 1);
    cr_assert_eq(sink.lines, 2);
}
