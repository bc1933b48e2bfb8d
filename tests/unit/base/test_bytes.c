#include <criterion/criterion.h>
#include <string.h>

#include "base/arena.h"
#include "base/blob.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/slice.h"

Test(base_slice, absent_is_not_empty_but_equal_in_bytes)
{
    struct slice absent = {NULL, 0};
    struct slice empty = slice_make("", 0);

    cr_assert(slice_is_absent(absent));
    cr_assert(!slice_is_absent(empty));
    cr_assert(slice_equal(absent, empty));
}

Test(base_slice, order_is_bytewise_and_shorter_first)
{
    cr_assert_lt(slice_compare(SLICE_LITERAL("a"), SLICE_LITERAL("ab")), 0);
    cr_assert_gt(slice_compare(SLICE_LITERAL("b"), SLICE_LITERAL("ab")), 0);
    cr_assert_eq(slice_compare(SLICE_LITERAL("ab"), SLICE_LITERAL("ab")), 0);
    cr_assert(slice_starts_with(SLICE_LITERAL("/a/b"), SLICE_LITERAL("/a")));
    cr_assert(!slice_starts_with(SLICE_LITERAL("/a"), SLICE_LITERAL("/a/")));
    cr_assert(slice_ends_with(SLICE_LITERAL("/a/b"), SLICE_LITERAL("/b")));
    cr_assert(!slice_ends_with(SLICE_LITERAL("b"), SLICE_LITERAL("/b")));
}

Test(base_bytes, big_endian_at_odd_addresses)
{
    uint8_t place[16] = {0};

    bytes_store64(place + 1, UINT64_C(0x0102030405060708));
    cr_assert_eq(place[1], 1);
    cr_assert_eq(place[8], 8);
    cr_assert_eq(bytes_load64(place + 1), UINT64_C(0x0102030405060708));
    cr_assert_eq(bytes_load32(place + 1), 0x01020304);
    cr_assert_eq(bytes_load16(place + 2), 0x0203);
}

/* RFC 3720, appendix B.4. */
Test(base_crc32c, knows_the_published_vectors)
{
    uint8_t bytes[32];

    memset(bytes, 0, sizeof(bytes));
    cr_assert_eq(crc32c(0, slice_make(bytes, 32)), 0x8a9136aa);
    memset(bytes, 0xff, sizeof(bytes));
    cr_assert_eq(crc32c(0, slice_make(bytes, 32)), 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++) {
        bytes[i] = i;
    }
    cr_assert_eq(crc32c(0, slice_make(bytes, 32)), 0x46dd794e);
}

Test(base_crc32c, goes_on_where_it_stopped)
{
    struct slice whole = SLICE_LITERAL("a proposal and what follows it");

    for (size_t cut = 0; cut <= whole.len; cut++) {
        uint32_t first = crc32c(0, slice_make(whole.ptr, cut));

        cr_assert_eq(crc32c(first, slice_after(whole, cut)), crc32c(0, whole));
    }
}

Test(base_blob, copies_and_counts)
{
    char text[] = "bytes";
    struct blob *blob = blob_copy(slice_make(text, 5));

    text[0] = 'X';
    cr_assert(slice_equal_text(blob_bytes(blob), "bytes"));
    cr_assert_eq(blob_ref(blob), blob);
    blob_unref(blob);
    cr_assert(slice_equal_text(blob_bytes(blob), "bytes"));
    blob_unref(blob);
    blob_unref(NULL);
}

Test(base_buf, grows_and_keeps_what_is_in_it)
{
    struct buf buf;

    buf_init(&buf);
    for (int i = 0; i < 1000; i++) {
        buf_printf(&buf, "%d,", i);
    }
    buf_append_text(&buf, "end");
    cr_assert(slice_starts_with(buf_bytes(&buf), SLICE_LITERAL("0,1,2,3,")));
    cr_assert(slice_ends_with(buf_bytes(&buf), SLICE_LITERAL("998,999,end")));
    buf_clear(&buf);
    cr_assert_eq(buf.len, 0);
    buf_finish(&buf);
    cr_assert_eq(buf.capacity, 0);
}

Test(base_arena, things_are_aligned_apart_and_stay_put)
{
    struct arena *arena = arena_create(64);
    uint64_t *first = ARENA_NEW(arena, uint64_t, 4);
    uint8_t *things[200];

    first[0] = 42;
    for (size_t i = 0; i < 200; i++) {
        uint64_t *number;

        things[i] = arena_alloc(arena, i + 1, 1);
        memset(things[i], (int)i, i + 1);
        number = ARENA_NEW(arena, uint64_t, 1);
        cr_assert_eq((uintptr_t)number % _Alignof(uint64_t), 0);
        *number = i;
    }
    for (size_t i = 0; i < 200; i++) {
        for (size_t j = 0; j <= i; j++) {
            cr_assert_eq(things[i][j], (uint8_t)i);
        }
    }
    cr_assert_eq(first[0], 42);
    cr_assert_geq(arena_used(arena), 200 * 201 / 2);
    arena_reset(arena);
    cr_assert_eq(arena_used(arena), 0);
    arena_destroy(arena);
}

Test(base_arena, reset_gives_big_chunks_back_and_works_on)
{
    struct arena *arena = arena_create(128);

    for (int round = 0; round < 50; round++) {
        uint8_t *big = arena_alloc(arena, 3000000, 16);
        uint8_t *small = arena_alloc(arena, 100, 1);

        memset(big, 1, 3000000);
        memset(small, 2, 100);
        cr_assert_eq(big[2999999], 1);
        arena_reset(arena);
    }
    arena_destroy(arena);
    arena_destroy(NULL);
}

Test(base_arena, copies_keep_absent_absent)
{
    struct arena *arena = arena_create(16);
    struct slice absent = {NULL, 0};

    cr_assert(slice_is_absent(arena_copy(arena, absent)));
    cr_assert(!slice_is_absent(arena_copy(arena, slice_make("", 0))));
    cr_assert(slice_equal_text(arena_copy(arena, SLICE_LITERAL("x")), "x"));
    arena_destroy(arena);
}

Test(base_err, every_code_has_its_text)
{
    cr_assert_str_eq(err_text(0), "ok");
    cr_assert_str_eq(err_text(ERR_CORRUPT), "stored data fails its check");
    cr_assert_str_eq(err_text(-9999), "unknown error");
}

Test(base_mem, grow_doubles_until_it_fits)
{
    size_t capacity = 0;
    int *items = mem_grow(NULL, &capacity, 3, sizeof(int));

    cr_assert_eq(capacity, 8);
    items[7] = 7;
    items = mem_grow(items, &capacity, 100, sizeof(int));
    cr_assert_eq(capacity, 128);
    cr_assert_eq(items[7], 7);
    mem_free(items);
}
