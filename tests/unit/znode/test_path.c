#include <criterion/criterion.h>

#include "znode/path.h"

static bool valid(const char *path)
{
    return path_is_valid(slice_from_text(path));
}

Test(znode_path, plain_paths_are_valid)
{
    cr_assert(valid("/"));
    cr_assert(valid("/a"));
    cr_assert(valid("/a/b/c"));
    cr_assert(valid("/a b"));
    cr_assert(valid("/~"));
    cr_assert(valid("/..."));
    cr_assert(valid("/.a"));
    cr_assert(valid("/a."));
    cr_assert(valid("/a..b/..c"));
}

Test(znode_path, the_form_is_checked)
{
    cr_assert_not(valid(""));
    cr_assert_not(path_is_valid((struct slice){NULL, 0}));
    cr_assert_not(valid("a"));
    cr_assert_not(valid("a/b"));
    cr_assert_not(valid("//"));
    cr_assert_not(valid("/a/"));
    cr_assert_not(valid("//a"));
    cr_assert_not(valid("/a//b"));
    cr_assert_not(valid("/."));
    cr_assert_not(valid("/.."));
    cr_assert_not(valid("/./a"));
    cr_assert_not(valid("/a/.."));
    cr_assert_not(valid("/a/../b"));
}

Test(znode_path, control_characters_are_refused)
{
    char path[] = "/a?b";

    for (int c = 0; c < 0x80; c++) {
        path[2] = (char)c;
        cr_assert_eq(path_is_valid(slice_make(path, 4)), c >= 0x20 && c != 0x7f,
                     "character %d", c);
    }
    cr_assert_not(valid("/\xc2\x80")); /* U+0080 */
    cr_assert_not(valid("/\xc2\x9f")); /* U+009F */
    cr_assert(valid("/\xc2\xa0"));     /* U+00A0 */
}

Test(znode_path, what_java_refuses_in_unicode_is_refused)
{
    cr_assert(valid("/\xe4\xbd\xa0\xe5\xa5\xbd")); /* two of CJK */
    cr_assert(valid("/\xed\x9f\xbf"));             /* U+D7FF */
    cr_assert_not(valid("/\xed\xa0\x80"));         /* U+D800 */
    cr_assert_not(valid("/\xee\x80\x80"));         /* U+E000 */
    cr_assert_not(valid("/\xef\xa3\xbf"));         /* U+F8FF */
    cr_assert(valid("/\xef\xa4\x80"));             /* U+F900 */
    cr_assert(valid("/\xef\xbf\xaf"));             /* U+FFEF */
    cr_assert_not(valid("/\xef\xbf\xb0"));         /* U+FFF0 */
    cr_assert_not(valid("/\xef\xbf\xbf"));         /* U+FFFF */
    cr_assert_not(valid("/\xf0\x9f\x98\x80"));     /* an emoji */
    cr_assert_not(valid("/\xf0\x90\x80\x80"));     /* U+10000 */
}

Test(znode_path, bytes_that_are_no_utf8_are_refused)
{
    cr_assert_not(valid("/\x80"));
    cr_assert_not(valid("/\xc3"));
    cr_assert_not(valid("/\xc3/"));
    cr_assert_not(valid("/\xc0\xaf")); /* "/" in two bytes */
    cr_assert_not(valid("/\xc1\xbf"));
    cr_assert_not(valid("/\xe0\x80\xaf")); /* in three */
    cr_assert_not(valid("/\xe4\xbd"));
    cr_assert_not(valid("/\xe4\xbd/"));
    cr_assert_not(valid("/\xff"));
}

Test(znode_path, the_weaker_check_wants_a_slash_and_no_nul)
{
    cr_assert(path_is_plausible(SLICE_LITERAL("/a/")));
    cr_assert(path_is_plausible(SLICE_LITERAL("a/b")));
    cr_assert_not(path_is_plausible(SLICE_LITERAL("a")));
    cr_assert_not(path_is_plausible(SLICE_LITERAL("")));
    cr_assert_not(path_is_plausible((struct slice){NULL, 0}));
    cr_assert_not(path_is_plausible(SLICE_LITERAL("/a\0b")));
}

Test(znode_path, four_paths_are_builtin)
{
    cr_assert(path_is_builtin(SLICE_LITERAL("/")));
    cr_assert(path_is_builtin(SLICE_LITERAL("/zookeeper")));
    cr_assert(path_is_builtin(SLICE_LITERAL("/zookeeper/quota")));
    cr_assert(path_is_builtin(SLICE_LITERAL("/zookeeper/config")));
    cr_assert_not(path_is_builtin(SLICE_LITERAL("/zookeeper/quota/a")));
    cr_assert_not(path_is_builtin(SLICE_LITERAL("/a")));
}

Test(znode_path, parent_and_name)
{
    cr_assert(
        slice_equal(path_parent(SLICE_LITERAL("/a")), SLICE_LITERAL("/")));
    cr_assert(
        slice_equal(path_parent(SLICE_LITERAL("/a/b")), SLICE_LITERAL("/a")));
    cr_assert(
        slice_equal(path_parent(SLICE_LITERAL("/a/")), SLICE_LITERAL("/a")));
    cr_assert(
        slice_equal(path_name(SLICE_LITERAL("/a/bc")), SLICE_LITERAL("bc")));
    cr_assert(slice_equal(path_name(SLICE_LITERAL("/")), SLICE_LITERAL("")));
}

Test(znode_path, sequence_numbers_have_ten_digits_or_more)
{
    struct arena *arena = arena_create(256);

    cr_assert(slice_equal(path_with_sequence(SLICE_LITERAL("/a/"), 0, arena),
                          SLICE_LITERAL("/a/0000000000")));
    cr_assert(slice_equal(path_with_sequence(SLICE_LITERAL("/n-"), 42, arena),
                          SLICE_LITERAL("/n-0000000042")));
    cr_assert(slice_equal(
        path_with_sequence(SLICE_LITERAL("/n"), UINT64_C(2147483648), arena),
        SLICE_LITERAL("/n2147483648")));
    cr_assert(
        slice_equal(path_with_sequence(SLICE_LITERAL("/n"), UINT64_MAX, arena),
                    SLICE_LITERAL("/n18446744073709551615")));
    arena_destroy(arena);
}
