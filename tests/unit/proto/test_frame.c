#include <criterion/criterion.h>

#include "proto/frame.h"

#define FRAME_SIZE_MAX 1048575

Test(proto_frame, comes_out_when_it_is_whole_and_not_sooner)
{
    static const uint8_t bytes[] = {0, 0, 0, 3, 'a', 'b', 'c', 0, 0};
    struct slice frame = {NULL, 99};
    size_t used = 99;

    for (size_t len = 0; len < 7; len++) {
        cr_assert_eq(
            frame_next(slice_make(bytes, len), FRAME_SIZE_MAX, &frame, &used),
            FRAME_MORE);
    }
    cr_assert_eq(used, 99, "nothing is set before");
    for (size_t len = 7; len <= sizeof(bytes); len++) {
        cr_assert_eq(
            frame_next(slice_make(bytes, len), FRAME_SIZE_MAX, &frame, &used),
            FRAME_WHOLE);
        cr_assert(slice_equal_text(frame, "abc"));
        cr_assert_eq(used, 7);
    }
}

Test(proto_frame, of_length_zero_is_whole)
{
    static const uint8_t bytes[] = {0, 0, 0, 0};
    struct slice frame;
    size_t used;

    cr_assert_eq(frame_next(slice_make(bytes, 4), 0, &frame, &used),
                 FRAME_WHOLE);
    cr_assert_eq(frame.len, 0);
    cr_assert_eq(used, 4);
}

Test(proto_frame, over_the_limit_is_told_from_its_first_four_bytes)
{
    static const uint8_t at_limit[] = {0x00, 0x0f, 0xff, 0xff};
    static const uint8_t over[] = {0x00, 0x10, 0x00, 0x00};
    static const uint8_t negative[] = {0xff, 0xff, 0xff, 0xff};
    struct slice frame;
    size_t used;

    cr_assert_eq(
        frame_next(slice_make(at_limit, 4), FRAME_SIZE_MAX, &frame, &used),
        FRAME_MORE);
    cr_assert_eq(frame_next(slice_make(over, 4), FRAME_SIZE_MAX, &frame, &used),
                 FRAME_TOO_BIG);
    cr_assert_eq(
        frame_next(slice_make(negative, 4), FRAME_SIZE_MAX, &frame, &used),
        FRAME_TOO_BIG);
    cr_assert_eq(frame_next(slice_make(negative, 4), UINT32_MAX, &frame, &used),
                 FRAME_TOO_BIG);
}

Test(proto_frame, knows_the_four_letter_words_of_zookeeper)
{
    static const char words[][5] = {
        "conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "hash", "isro",
        "mntr", "ruok", "srst", "srvr", "stat", "stmk", "wchc", "wchp", "wchs",
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        const char *found = frame_four_letter_word((const uint8_t *)words[i]);

        cr_assert_not_null(found, "%s", words[i]);
        cr_assert_str_eq(found, words[i]);
    }
    cr_assert_null(frame_four_letter_word((const uint8_t *)"kill"));
    cr_assert_null(frame_four_letter_word((const uint8_t *)"RUOK"));
    cr_assert_null(frame_four_letter_word((const uint8_t *)"\0\0\0\x2d"));
}
