#include <criterion/criterion.h>

#include "base/prng.h"
#include "session/session.h"

enum { BUCKET_MS = 100, MODEL_SESSIONS = 50 };

static const uint8_t secret[16];
static struct session_table *table;
static struct arena *arena;

static void begin(void)
{
    table = session_table_create(1, BUCKET_MS);
    arena = arena_create(256);
}

static void end(void)
{
    session_table_destroy(table);
    arena_destroy(arena);
}

TestSuite(session_expiry, .init = begin, .fini = end);

static struct session *add(uint64_t id, int32_t timeout_ms)
{
    return session_add(table, id, timeout_ms, secret, id);
}

static size_t expired(int64_t now_ms, uint64_t **ids)
{
    arena_reset(arena);
    return session_expired(table, now_ms, 100, arena, ids);
}

Test(session_expiry, without_a_deadline_nothing_expires)
{
    uint64_t *ids;

    add(1, 10);
    cr_assert_eq(expired(INT64_MAX / 2, &ids), 0);
}

Test(session_expiry, a_deadline_is_the_timeout_rounded_up)
{
    struct session *session = add(1, 250);
    uint64_t *ids;

    session_touch(table, session, 1000);
    cr_assert_eq(session_deadline_ms(session), 1300);
    cr_assert_eq(expired(1299, &ids), 0);
    cr_assert_eq(expired(1300, &ids), 1);
    cr_assert_eq(ids[0], 1);
    session_touch(table, session, 1050);
    cr_assert_eq(session_deadline_ms(session), 1300);
    session_touch(table, session, 1051);
    cr_assert_eq(session_deadline_ms(session), 1400);
    cr_assert_eq(expired(1300, &ids), 0);
}

Test(session_expiry, the_earliest_come_first_and_come_again)
{
    uint64_t *ids;

    session_touch(table, add(1, 900), 0);
    session_touch(table, add(2, 100), 0);
    session_touch(table, add(3, 500), 0);
    session_touch(table, add(4, 100), 0);
    cr_assert_eq(expired(2000, &ids), 4);
    cr_assert_eq(ids[0], 2);
    cr_assert_eq(ids[1], 4);
    cr_assert_eq(ids[2], 3);
    cr_assert_eq(ids[3], 1);
    cr_assert_eq(session_expired(table, 2000, 2, arena, &ids), 2);
    cr_assert_eq(ids[1], 4);
    cr_assert_eq(session_expired(table, 2000, 0, arena, &ids), 0);
    session_remove(table, session_find(table, 2));
    cr_assert_eq(expired(500, &ids), 2);
    cr_assert_eq(ids[0], 4);
}

Test(session_expiry, closing_sessions_are_not_told_again)
{
    struct session *session = add(1, 100);
    uint64_t *ids;

    session_touch(table, session, 0);
    session_set_closing(session, true);
    session_set_closing(session, true);
    cr_assert(session_closing(session));
    cr_assert_eq(expired(1000, &ids), 0);
    cr_assert_eq(session_deadline_ms(session), 100);
    session_touch(table, session, 100);
    cr_assert_eq(expired(1000, &ids), 0);
    session_set_closing(session, false);
    cr_assert_eq(expired(199, &ids), 0);
    cr_assert_eq(expired(200, &ids), 1);
    session_set_closing(session, true);
    session_remove(table, session);
    cr_assert_eq(expired(1000, &ids), 0);
}

Test(session_expiry, a_new_leader_gives_everybody_the_whole_time)
{
    uint64_t *ids;

    session_touch(table, add(1, 100), 0);
    add(2, 300);
    session_touch_all(table, 1000);
    cr_assert_eq(expired(1099, &ids), 0);
    cr_assert_eq(expired(1100, &ids), 1);
    cr_assert_eq(expired(1300, &ids), 2);
    session_forget_deadlines(table);
    cr_assert_eq(expired(10000, &ids), 0);
    cr_assert_eq(session_deadline_ms(session_find(table, 1)), 0);
}

Test(session_expiry, a_stall_moves_every_deadline)
{
    struct session *one = add(1, 100), *two = add(2, 100);
    uint64_t *ids;

    session_touch(table, one, 0);
    session_extend_all(table, 37);
    cr_assert_eq(session_deadline_ms(one), 137);
    cr_assert_eq(expired(136, &ids), 0);
    session_touch(table, two, 137); /* rounded up, never less than asked */
    cr_assert_geq(session_deadline_ms(two), 237);
    cr_assert_lt(session_deadline_ms(two), 337);
    cr_assert_eq(expired(137, &ids), 1);
    session_touch(table, one, 0); /* the clock may be below the shift */
    cr_assert_geq(session_deadline_ms(one), 100);
    cr_assert_lt(session_deadline_ms(one), 200);
}

Test(session_expiry, years_pass_well)
{
    struct session *session = add(1, INT32_MAX);
    int64_t now_ms = INT64_C(1000) * 365 * 86400 * 1000;
    uint64_t *ids;

    session_touch(table, session, now_ms);
    cr_assert_eq(expired(now_ms + INT32_MAX - 1, &ids), 0);
    cr_assert_eq(expired(now_ms + INT32_MAX + BUCKET_MS, &ids), 1);
}

/* Against a list of deadlines. */
Test(session_expiry, random_use_gives_what_a_list_gives)
{
    int64_t deadlines[MODEL_SESSIONS + 1] = {0};
    struct prng prng;
    int64_t now_ms = 0;

    prng_init(&prng, 5);
    for (uint64_t id = 1; id <= MODEL_SESSIONS; id++) {
        add(id, (int32_t)(id * 37));
    }
    for (int step = 0; step < 20000; step++) {
        uint64_t id = prng_below(&prng, MODEL_SESSIONS) + 1;
        struct session *session = session_find(table, id);
        uint64_t *ids;
        size_t count, expected = 0;

        now_ms += (int64_t)prng_below(&prng, 10);
        if (prng_below(&prng, 50) == 0) {
            session_set_closing(session, !session_closing(session));
        }
        session_touch(table, session, now_ms);
        deadlines[id] = session_deadline_ms(session);
        cr_assert_eq(deadlines[id] % BUCKET_MS, 0);
        cr_assert_geq(deadlines[id], now_ms + (int64_t)id * 37);
        cr_assert_lt(deadlines[id], now_ms + (int64_t)id * 37 + BUCKET_MS);
        count = expired(now_ms, &ids);
        for (uint64_t other = 1; other <= MODEL_SESSIONS; other++) {
            expected += deadlines[other] != 0 && deadlines[other] <= now_ms &&
                        !session_closing(session_find(table, other));
        }
        cr_assert_eq(count, expected);
        for (size_t i = 1; i < count; i++) {
            cr_assert_leq(deadlines[ids[i - 1]], deadlines[ids[i]]);
        }
    }
}
