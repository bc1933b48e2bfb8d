#include <criterion/criterion.h>
#include <string.h>

#include "base/line.h"

Test(base_line, pieces_stand_behind_one_another)
{
    char text[32];
    struct line line = {.text = text, .size = sizeof(text)};

    line_put(&line, "a=%d", 1);
    line_put(&line, " b=%s", "two");
    cr_expect_str_eq(text, "a=1 b=two");
    cr_expect_eq(line.len, strlen(text));
}

/* As snprintf(): the caller learns how much room it takes. */
Test(base_line, what_has_no_room_is_counted_and_not_written)
{
    char text[8] = "xxxxxxx";
    struct line line = {.text = text, .size = 5};

    line_put(&line, "abc");
    line_put(&line, "def");
    line_put(&line, "ghi");
    cr_expect_str_eq(text, "abcd");
    cr_expect_eq(text[5], 'x');
    cr_expect_eq(line.len, 9);
}

Test(base_line, without_room_at_all_nothing_is_touched)
{
    struct line line = {0};

    line_put(&line, "%s", "abc");
    cr_expect_eq(line.len, 3);
}
