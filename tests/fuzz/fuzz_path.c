/* Paths: valid exactly when a slow and obvious check says so, and then parent,
 * name and sequence fit together. */
#include "base/check.h"
#include "tests/fuzz/fuzz.h"
#include "znode/path.h"

/* The path as Java's UTF-16 units; false: it would have U+FFFD in it. */
static bool next_unit(struct slice *left, uint32_t *unit)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t lead = left->ptr[0];
    size_t len = lead < 0x80   ? 1
                 : lead < 0xc0 ? 0
                 : lead < 0xe0 ? 2
                 : lead < 0xf0 ? 3
                 : lead < 0xf8 ? 4
                               : 0;

    if (len == 0 || len > left->len) {
        return false;
    }
    *unit = len == 1 ? lead : lead & (0x7fU >> len);
    for (size_t i = 1; i < len; i++) {
        if ((left->ptr[i] & 0xc0) != 0x80) {
            return false;
        }
        *unit = *unit << 6 | (left->ptr[i] & 0x3fU);
    }
    *left = slice_after(*left, len);
    if (*unit < smallest[len] || *unit > 0x10ffff) {
        return false;
    }
    if (*unit > 0xffff) {
        *unit = 0xd800; /* written as surrogates */
    }
    return true;
}

static bool segments_are_valid(struct slice path)
{
    size_t from = 1;

    for (size_t at = 1; at <= path.len; at++) {
        if (at == path.len || path.ptr[at] == '/') {
            struct slice name = slice_make(path.ptr + from, at - from);

            if (name.len == 0 || slice_equal(name, SLICE_LITERAL(".")) ||
                slice_equal(name, SLICE_LITERAL(".."))) {
                return false;
            }
            from = at + 1;
        }
    }
    return true;
}

static bool is_valid(struct slice path)
{
    struct slice left = path;

    if (path.len == 0 || path.ptr[0] != '/') {
        return false;
    }
    while (left.len > 0) {
        uint32_t unit;

        if (!next_unit(&left, &unit) || unit <= 0x1f ||
            (unit >= 0x7f && unit <= 0x9f) ||
            (unit >= 0xd800 && unit <= 0xf8ff) ||
            (unit >= 0xfff0 && unit <= 0xffff)) {
            return false;
        }
    }
    return path.len == 1 || segments_are_valid(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct slice path = slice_make(bytes, len);
    bool valid = path_is_valid(path);
    struct arena *arena;
    struct slice parent, name, numbered;

    CHECK(valid == is_valid(path));
    CHECK(!valid || path_is_plausible(path));
    if (!path_is_plausible(path)) {
        return 0;
    }
    parent = path_parent(path);
    name = path_name(path);
    CHECK(!valid || path_is_valid(parent));
    CHECK(parent.len + name.len + 1 == path.len || parent.len == 1);
    arena = arena_create(64);
    numbered = path_with_sequence(path, len * UINT64_C(12345678901), arena);
    CHECK(numbered.len >= path.len + 10);
    CHECK(!valid || len == 1 || path_is_valid(numbered));
    CHECK(slice_equal(path_parent(numbered), parent));
    arena_destroy(arena);
    return 0;
}

void fuzz_seeds(fuzz_seed_fn *give, void *arg)
{
    static const char *const seeds[] = {"/",
                                        "/a",
                                        "/a/b",
                                        "/a/./b",
                                        "/../a",
                                        "/zookeeper",
                                        "//",
                                        "/a/",
                                        "a",
                                        "/\xc3\xa4",
                                        "/\xef\xa4\x80",
                                        "/\xef\xbf\xb0",
                                        "/\xee\x80\x80/x",
                                        "/\xf0\x9f\x98\x80",
                                        "/\xed\xa0\x80",
                                        "/a\x01",
                                        "/\x7f",
                                        "/\xc2\x9f",
                                        "/app/lock-0000000001"};

    for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
        give(arg, slice_from_text(seeds[i]));
    }
}
