#include <criterion/criterion.h>

#include "base/err.h"
#include "base/prng.h"
#include "proto/txn.h"
#include "session/session.h"

static const uint8_t secret[16] = "fifteen letters";

static struct session *add(struct session_table *table, uint64_t id)
{
    return session_add(table, id, 4000, secret, zxid_make(1, (uint32_t)id));
}

Test(session_table, keeps_what_it_was_given)
{
    struct session_table *table = session_table_create(1, 100);
    struct session *session = add(table, 5);
    uint8_t password[16];

    cr_assert_eq(session_find(table, 5), session);
    cr_assert_null(session_find(table, 6));
    cr_assert_eq(session_id(session), 5);
    cr_assert_eq(session_timeout_ms(session), 4000);
    cr_assert_eq(session_zxid(session), zxid_make(1, 5));
    session_password_copy(session, password);
    cr_assert_arr_eq(password, secret, sizeof(secret));
    cr_assert_eq(session_conn(session), 0);
    session_attach(session, 77);
    cr_assert_eq(session_conn(session), 77);
    cr_assert_eq(session_deadline_ms(session), 0);
    cr_assert_not(session_closing(session));
    session_remove(table, session);
    cr_assert_null(session_find(table, 5));
    cr_assert_eq(session_count(table), 0);
    session_table_destroy(table);
    session_table_destroy(NULL);
}

Test(session_table, one_connection_of_one_server_speaks_for_a_session)
{
    struct session_table *table = session_table_create(1, 100);
    struct session *session = add(table, 5);
    uint64_t digest = session_digest(table);

    cr_assert_eq(session_owner(session), 0);
    cr_assert_eq(session_attachment(session), 0);
    session_set_owner(session, 254, UINT64_MAX);
    session_set_owner(add(table, 6), 1, 1);
    cr_assert_eq(session_owner(session), 254);
    cr_assert_eq(session_attachment(session), UINT64_MAX);
    session_set_owner(session, 0, 0);
    cr_assert_eq(session_owner(session), 0);
    cr_assert_eq(session_attachment(session), 0);
    /* It is nobody's business but the leader's. */
    session_remove(table, session_find(table, 6));
    cr_assert_eq(session_digest(table), digest);
    session_table_destroy(table);
}

Test(session_table, walks_in_order_of_creation)
{
    struct session_table *table = session_table_create(1, 100);
    struct session *session = NULL;

    add(table, 9);
    add(table, 3);
    add(table, 6);
    session_remove(table, session_find(table, 3));
    session = session_next(table, NULL);
    cr_assert_eq(session_id(session), 9);
    session = session_next(table, session);
    cr_assert_eq(session_id(session), 6);
    cr_assert_null(session_next(table, session));
    session_table_destroy(table);
}

Test(session_table, every_byte_of_a_password_counts)
{
    struct session_table *table = session_table_create(1, 100);
    struct session *session = add(table, 5);
    uint8_t password[17] = {0};

    memcpy(password, secret, 16);
    cr_assert(session_password_equal(session, slice_make(password, 16)));
    cr_assert_not(session_password_equal(session, slice_make(password, 15)));
    cr_assert_not(session_password_equal(session, slice_make(password, 17)));
    cr_assert_not(session_password_equal(session, slice_make(password, 0)));
    cr_assert_not(session_password_equal(session, (struct slice){NULL, 0}));
    for (size_t bit = 0; bit < 128; bit++) {
        password[bit / 8] ^= (uint8_t)(1U << bit % 8);
        cr_assert_not(
            session_password_equal(session, slice_make(password, 16)));
        password[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    session_table_destroy(table);
}

Test(session_table, the_digest_is_of_what_is_replicated)
{
    struct session_table *left = session_table_create(1, 100);
    struct session_table *right = session_table_create(2, 50);
    uint64_t empty = session_digest(left), both;

    add(left, 1);
    add(left, 2);
    both = session_digest(left);
    add(right, 2);
    cr_assert_neq(session_digest(right), both);
    add(right, 1);
    cr_assert_eq(session_digest(right), both, "no matter in which order");
    session_attach(session_find(right, 1), 5);
    session_touch(right, session_find(right, 1), 1000);
    session_set_closing(session_find(right, 2), true);
    cr_assert_eq(session_digest(right), both, "not of what is local");
    session_remove(right, session_find(right, 1));
    (void)session_add(right, 1, 4001, secret, zxid_make(1, 1));
    cr_assert_neq(session_digest(right), both);
    session_remove(left, session_find(left, 1));
    session_remove(left, session_find(left, 2));
    cr_assert_eq(session_digest(left), empty);
    session_table_destroy(left);
    session_table_destroy(right);
}

/* Applies what a table gave for the disk to another that is being loaded. */
static size_t load(struct session_table *table, struct slice list)
{
    struct record_entry entry;
    struct session_record record;
    size_t count = 0;

    while (record_next(&list, &entry) == 0) {
        if (slice_is_absent(entry.value)) {
            continue;
        }
        cr_assert_eq(record_get_session(&entry, &record), 0);
        cr_assert_eq(session_load(table, &record), 0);
        count++;
    }
    return count;
}

Test(session_table, what_is_written_loads_the_same)
{
    struct session_table *table = session_table_create(1, 100);
    struct session_table *copy = session_table_create(2, 100);
    struct buf list = {0};
    size_t takes = 1;

    for (uint64_t id = 1; id <= 10; id++) {
        add(table, id);
    }
    cr_assert_eq(session_dirty_count(table), 10);
    while (!session_dirty_take(table, 3, &list)) {
        takes++;
    }
    cr_assert_eq(takes, 4);
    cr_assert_eq(session_dirty_count(table), 0);
    add(copy, 99);
    session_load_begin(copy);
    cr_assert_eq(load(copy, buf_bytes(&list)), 10);
    cr_assert_eq(session_count(copy), 10);
    cr_assert_eq(session_digest(copy), session_digest(table));
    cr_assert_eq(session_dirty_count(copy), 0);
    buf_finish(&list);
    session_table_destroy(table);
    session_table_destroy(copy);
}

Test(session_table, removals_are_written_once_and_only_when_needed)
{
    struct session_table *table = session_table_create(1, 100);
    struct buf list = {0};
    struct slice left;
    struct record_entry entry;
    size_t deleted = 0;

    for (uint64_t id = 1; id <= 6; id++) {
        add(table, id);
    }
    cr_assert(session_dirty_take(table, 100, &list));
    buf_clear(&list);
    session_remove(table, add(table, 7)); /* never on disk */
    cr_assert_eq(session_dirty_count(table), 0);
    for (uint64_t id = 1; id <= 5; id++) {
        session_remove(table, session_find(table, id));
    }
    add(table, 8);
    cr_assert_eq(session_dirty_count(table), 6);
    cr_assert_not(session_dirty_take(table, 4, &list));
    cr_assert_eq(session_dirty_count(table), 2);
    cr_assert(session_dirty_take(table, 4, &list));
    left = buf_bytes(&list);
    for (size_t i = 0; i < 6; i++) {
        cr_assert_eq(record_next(&left, &entry), 0);
        deleted += slice_is_absent(entry.value);
    }
    cr_assert_eq(record_next(&left, &entry), ERR_NOT_FOUND);
    cr_assert_eq(deleted, 5);
    buf_clear(&list);
    cr_assert(session_dirty_take(table, 4, &list));
    cr_assert_eq(list.len, 0);
    buf_finish(&list);
    session_table_destroy(table);
}

Test(session_table, a_load_refuses_what_cannot_be)
{
    struct session_table *table = session_table_create(1, 100);
    struct session_record record = {.id = 3, .timeout_ms = 10};

    session_load_begin(table);
    cr_assert_eq(session_load(table, &record), 0);
    cr_assert_eq(session_load(table, &record), ERR_CORRUPT);
    record.id = 0;
    cr_assert_eq(session_load(table, &record), ERR_CORRUPT);
    record.id = 4;
    record.timeout_ms = -1;
    cr_assert_eq(session_load(table, &record), ERR_CORRUPT);
    session_table_destroy(table);
}

Test(session_table, ids_say_server_epoch_and_counter)
{
    cr_assert_eq(session_id_make(1, zxid_make(2, 3)),
                 UINT64_C(0x0100000200000003));
    cr_assert_eq(session_id_make(0, zxid_make(1, 1)), UINT64_C(0x100000001));
    cr_assert_eq(session_id_make(254, zxid_make(0xff123456, UINT32_MAX)),
                 UINT64_C(0xfe123456ffffffff));
}

Test(session_table, server_ids_above_127_make_no_special_owner)
{
    for (uint64_t server = 128; server < 255; server++) {
        cr_assert_eq(zk_owner_kind(session_id_make(server, zxid_make(0, 1))),
                     ZK_NODE_EPHEMERAL);
    }
}
