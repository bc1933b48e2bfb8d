#include <criterion/criterion.h>

#include "base/err.h"
#include "proto/jute.h"

#define BYTES(...)                               \
    slice_make(((const uint8_t[]){__VA_ARGS__}), \
               sizeof((const uint8_t[]){__VA_ARGS__}))

Test(proto_jute, numbers_are_big_endian_and_signed)
{
    struct jute_reader reader;

    jute_reader_init(&reader, BYTES(0xff, 0xff, 0xff, 0xfe, 0x80, 0, 0, 0, 0, 0,
                                    0, 1, 7, 0));
    cr_assert_eq(jute_read_int(&reader), -2);
    cr_assert_eq(jute_read_long(&reader), INT64_MIN + 1);
    cr_assert(jute_read_bool(&reader), "every byte but 0 is true");
    cr_assert_not(jute_read_bool(&reader));
    cr_assert_eq(reader.err, 0);
    cr_assert_eq(reader.left.len, 0);
}

Test(proto_jute, null_is_not_empty)
{
    struct jute_reader reader;
    struct slice null, empty;

    jute_reader_init(&reader, BYTES(0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0));
    null = jute_read_bytes(&reader);
    empty = jute_read_bytes(&reader);
    cr_assert_eq(reader.err, 0);
    cr_assert(slice_is_absent(null));
    cr_assert_not(slice_is_absent(empty));
    cr_assert_eq(empty.len, 0);
}

Test(proto_jute, a_length_below_minus_one_is_malformed)
{
    struct jute_reader reader;

    jute_reader_init(&reader, BYTES(0xff, 0xff, 0xff, 0xfe, 1, 2, 3, 4));
    cr_assert(slice_is_absent(jute_read_bytes(&reader)));
    cr_assert_eq(reader.err, ERR_MALFORMED);
}

Test(proto_jute, a_length_over_what_is_left_is_malformed)
{
    struct jute_reader reader;

    jute_reader_init(&reader, BYTES(0, 0, 0, 3, 'a', 'b'));
    cr_assert(slice_is_absent(jute_read_bytes(&reader)));
    cr_assert_eq(reader.err, ERR_MALFORMED);
    jute_reader_init(&reader, BYTES(0x7f, 0xff, 0xff, 0xff, 'a', 'b'));
    cr_assert(slice_is_absent(jute_read_bytes(&reader)));
    cr_assert_eq(reader.err, ERR_MALFORMED);
}

Test(proto_jute, after_a_failure_everything_reads_as_zero)
{
    struct jute_reader reader;

    jute_reader_init(&reader, BYTES(1, 1, 1));
    cr_assert_eq(jute_read_int(&reader), 0);
    cr_assert_not(jute_read_bool(&reader), "a byte is left but must not come");
    cr_assert_eq(jute_read_long(&reader), 0);
    cr_assert(slice_is_absent(jute_read_bytes(&reader)));
    cr_assert_eq(jute_read_count(&reader, 1), 0);
    cr_assert_eq(reader.err, ERR_MALFORMED);
}

Test(proto_jute, an_empty_input_is_malformed)
{
    struct jute_reader reader;

    jute_reader_init(&reader, slice_make(NULL, 0));
    cr_assert(slice_is_absent(jute_read_bytes(&reader)));
    cr_assert_eq(reader.err, ERR_MALFORMED);
}

Test(proto_jute, a_count_is_held_against_the_bytes_that_are_left)
{
    struct jute_reader reader;

    jute_reader_init(&reader, BYTES(0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0));
    cr_assert_eq(jute_read_count(&reader, 4), 2);
    cr_assert_eq(reader.err, 0);
    jute_reader_init(&reader, BYTES(0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0));
    cr_assert_eq(jute_read_count(&reader, 4), 0);
    cr_assert_eq(reader.err, ERR_MALFORMED);
    jute_reader_init(&reader, BYTES(0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0));
    cr_assert_eq(jute_read_count(&reader, 4), 0);
    cr_assert_eq(reader.err, ERR_MALFORMED);
    jute_reader_init(&reader, BYTES(0xff, 0xff, 0xff, 0xff));
    cr_assert_eq(jute_read_count(&reader, 4), -1);
    cr_assert_eq(reader.err, 0);
    jute_reader_init(&reader, BYTES(0xff, 0xff, 0xff, 0xfe));
    cr_assert_eq(jute_read_count(&reader, 4), 0);
    cr_assert_eq(reader.err, ERR_MALFORMED);
}

Test(proto_jute, the_writer_writes_what_the_reader_reads)
{
    uint8_t bytes[64];
    struct jute_writer writer = {bytes};
    struct jute_reader reader;

    jute_write_bool(&writer, true);
    jute_write_int(&writer, INT32_MIN);
    jute_write_long(&writer, INT64_C(-2));
    jute_write_bytes(&writer, SLICE_LITERAL("abc"));
    jute_write_bytes(&writer, slice_make(NULL, 0));
    jute_write_bytes(&writer, SLICE_LITERAL(""));
    cr_assert_eq(writer.at - bytes, 1 + 4 + 8 + 7 + 4 + 4);
    jute_reader_init(&reader, slice_make(bytes, (size_t)(writer.at - bytes)));
    cr_assert(jute_read_bool(&reader));
    cr_assert_eq(jute_read_int(&reader), INT32_MIN);
    cr_assert_eq(jute_read_long(&reader), -2);
    cr_assert(slice_equal_text(jute_read_bytes(&reader), "abc"));
    cr_assert(slice_is_absent(jute_read_bytes(&reader)));
    cr_assert_not(slice_is_absent(jute_read_bytes(&reader)));
    cr_assert_eq(reader.err, 0);
}
