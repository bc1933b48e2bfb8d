#include <criterion/criterion.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "proto/record.h"
#include "tests/support/disk_samples.h"

static struct arena *arena;
static struct buf list;

static void set_up(void)
{
    arena = arena_create(4096);
}

static void tear_down(void)
{
    arena_destroy(arena);
    buf_finish(&list);
}

TestSuite(proto_record, .init = set_up, .fini = tear_down);

Test(proto_record, znodes_come_back_as_they_were)
{
    size_t count;
    const struct znode_record *samples = sample_znodes(&count);
    struct record_entry entry;
    struct slice left;

    for (size_t i = 0; i < count; i++) {
        record_put_znode(&list, &samples[i]);
    }
    left = buf_bytes(&list);
    for (size_t i = 0; i < count; i++) {
        struct znode_record again;

        cr_assert_eq(record_next(&left, &entry), 0);
        cr_assert_eq(entry.key.ptr[0], 'n');
        cr_assert(slice_equal(slice_after(entry.key, 1), samples[i].path));
        cr_assert_eq(record_get_znode(&entry, arena, &again), 0);
        cr_assert(znode_record_is_equal(&samples[i], &again), "%zu", i);
    }
    cr_assert_eq(record_next(&left, &entry), ERR_NOT_FOUND);
}

Test(proto_record, sessions_and_the_marker_come_back)
{
    struct session_record session = {
        UINT64_C(0xfe00000100000002), 30000, {1, 2, 3, 0, 255}, 7};
    struct marker_record marker = {UINT64_MAX, 1, 2, 1000000, 3};
    struct session_record session_again;
    struct marker_record marker_again;
    struct record_entry entry;
    struct slice left;

    record_put_session(&list, &session);
    record_put_marker(&list, &marker);
    left = buf_bytes(&list);
    cr_assert_eq(record_next(&left, &entry), 0);
    cr_assert_arr_eq(entry.key.ptr, "s\xfe\0\0\1\0\0\0\2", 9);
    cr_assert_eq(record_get_session(&entry, &session_again), 0);
    cr_assert_eq(session_again.id, session.id);
    cr_assert_eq(session_again.timeout_ms, session.timeout_ms);
    cr_assert_eq(session_again.zxid, session.zxid);
    cr_assert_arr_eq(session_again.password, session.password, 16);
    cr_assert_eq(record_get_marker(&entry, &marker_again), ERR_CORRUPT);
    cr_assert_eq(record_next(&left, &entry), 0);
    cr_assert(slice_equal_text(entry.key, "m"));
    cr_assert_eq(record_get_marker(&entry, &marker_again), 0);
    cr_assert_arr_eq(&marker_again, &marker, sizeof(marker));
    cr_assert_eq(record_get_session(&entry, &session_again), ERR_CORRUPT);
    cr_assert_eq(record_next(&left, &entry), ERR_NOT_FOUND);
}

Test(proto_record, a_deletion_has_a_key_and_no_value)
{
    struct record_entry entry;
    struct znode_record znode;
    struct slice left;

    record_delete_znode(&list, SLICE_LITERAL("/gone"));
    record_delete_session(&list, 5);
    left = buf_bytes(&list);
    cr_assert_eq(record_next(&left, &entry), 0);
    cr_assert(slice_equal_text(entry.key, "n/gone"));
    cr_assert(slice_is_absent(entry.value));
    cr_assert_eq(record_get_znode(&entry, arena, &znode), ERR_CORRUPT);
    cr_assert_eq(record_next(&left, &entry), 0);
    cr_assert_arr_eq(entry.key.ptr, "s\0\0\0\0\0\0\0\5", 9);
    cr_assert(slice_is_absent(entry.value));
    cr_assert_eq(left.len, 0);
}

/* Key and value as they stand on the disk, value with its CRC. */
static void take_apart(struct slice *key, struct slice *sealed)
{
    const uint8_t *at = list.data;

    *key = slice_make(at + 8, bytes_load32(at));
    *sealed = slice_make(at + 8 + key->len, bytes_load32(at + 4));
    cr_assert_eq(8 + key->len + sealed->len, list.len);
}

Test(proto_record, the_crc_is_over_key_and_value)
{
    size_t count;
    struct slice key, sealed, value;
    struct buf again = {0};
    uint32_t crc;

    record_put_znode(&list, sample_znodes(&count));
    take_apart(&key, &sealed);
    cr_assert_eq(record_open(key, sealed, &value), 0);
    cr_assert_eq(value.len, sealed.len - 4);
    crc = crc32c(crc32c(0, key), value);
    cr_assert_eq(bytes_load32(sealed.ptr + value.len), crc);
    record_put_raw(&again, key, sealed);
    cr_assert(slice_equal(buf_bytes(&again), buf_bytes(&list)));
    buf_finish(&again);
}

Test(proto_record, every_flipped_bit_is_seen)
{
    size_t count;
    struct slice key, sealed, value;

    record_put_znode(&list, sample_znodes(&count));
    take_apart(&key, &sealed);
    for (size_t bit = 8 * 8; bit < list.len * 8; bit++) {
        list.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        cr_assert_eq(record_open(key, sealed, &value), ERR_CORRUPT);
        list.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t len = 0; len < sealed.len; len++) {
        cr_assert_eq(record_open(key, slice_make(sealed.ptr, len), &value),
                     ERR_CORRUPT);
    }
}

Test(proto_record, a_list_cut_anywhere_is_corrupt)
{
    size_t count;

    record_put_znode(&list, sample_znodes(&count));
    for (size_t len = 1; len < list.len; len++) {
        struct slice left = slice_make(list.data, len);
        struct record_entry entry;

        cr_assert_eq(record_next(&left, &entry), ERR_CORRUPT);
    }
}

Test(proto_record, what_does_not_fit_its_key_is_corrupt)
{
    struct record_entry entry = {SLICE_LITERAL("n/a"), SLICE_LITERAL("")};
    struct znode_record znode;
    struct session_record session;

    cr_assert_eq(record_get_znode(&entry, arena, &znode), ERR_CORRUPT);
    record_put_znode(&list, &(struct znode_record){.path = entry.key});
    for (unsigned i = 0; i < 3; i++) {
        static const char *const keys[] = {"", "n", "na"};
        struct slice left = buf_bytes(&list);

        cr_assert_eq(record_next(&left, &entry), 0);
        entry.key = slice_from_text(keys[i]);
        cr_assert_eq(record_get_znode(&entry, arena, &znode), ERR_CORRUPT);
    }
    entry.key = SLICE_LITERAL("s1234567");
    cr_assert_eq(record_get_session(&entry, &session), ERR_CORRUPT);
}

Test(proto_record, log_records_come_back)
{
    struct slice left, payload;
    zxid_t zxid;

    record_put_log(&list, zxid_make(1, 2), SLICE_LITERAL("abc"));
    record_put_log(&list, zxid_make(2, 1), SLICE_LITERAL(""));
    left = buf_bytes(&list);
    cr_assert_eq(record_next_log(&left, &zxid, &payload), 0);
    cr_assert_eq(zxid, zxid_make(1, 2));
    cr_assert(slice_equal_text(payload, "abc"));
    cr_assert_eq(record_next_log(&left, &zxid, &payload), 0);
    cr_assert_eq(zxid, zxid_make(2, 1));
    cr_assert_eq(payload.len, 0);
    cr_assert_eq(record_next_log(&left, &zxid, &payload), ERR_NOT_FOUND);
    for (size_t len = 1; len < 12 + 3; len++) {
        left = slice_make(list.data, len);
        cr_assert_eq(record_next_log(&left, &zxid, &payload), ERR_CORRUPT);
    }
}
