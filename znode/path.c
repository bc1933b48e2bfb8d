#include "znode/path.h"

#include "base/check.h"

static size_t char_len(const uint8_t *at, size_t left);
static bool is_tail(uint8_t byte);
static size_t last_slash(struct slice path); /* path.len: none */

/* PathUtils.validatePath(). It looks at UTF-16 units: those of surrogates, the
 * private use area and U+FFF0 to U+FFFF are refused, so every character of four
 * bytes is. Bytes that are no UTF-8 become U+FFFD in Java: refused as well. */
bool path_is_valid(struct slice path)
{
    size_t name = 1; /* where the current segment begins */

    if (path.len == 0 || path.ptr[0] != '/') {
        return false;
    }
    if (path.len == 1) {
        return true;
    }
    for (size_t at = 1; at <= path.len;) {
        if (at == path.len || path.ptr[at] == '/') {
            size_t len = at - name;
            const uint8_t *text = path.ptr + name;

            if (len == 0 || (len == 1 && text[0] == '.') ||
                (len == 2 && text[0] == '.' && text[1] == '.')) {
                return false;
            }
            name = ++at;
        } else {
            size_t len = char_len(path.ptr + at, path.len - at);

            if (len == 0) {
                return false;
            }
            at += len;
        }
    }
    return true;
}

bool path_is_plausible(struct slice path)
{
    return path.len > 0 && memchr(path.ptr, '/', path.len) != NULL &&
           memchr(path.ptr, '\0', path.len) == NULL;
}

bool path_is_builtin(struct slice path)
{
    return slice_equal(path, SLICE_LITERAL("/")) ||
           slice_equal(path, SLICE_LITERAL("/zookeeper")) ||
           slice_equal(path, SLICE_LITERAL("/zookeeper/quota")) ||
           slice_equal(path, SLICE_LITERAL("/zookeeper/config"));
}

struct slice path_parent(struct slice path)
{
    size_t slash = last_slash(path);

    CHECK(slash < path.len);
    return slice_make(path.ptr, slash == 0 ? 1 : slash);
}

struct slice path_name(struct slice path)
{
    size_t slash = last_slash(path);

    return slash == path.len ? path : slice_after(path, slash + 1);
}

struct slice path_with_sequence(struct slice path, uint64_t sequence,
                                struct arena *arena)
{
    uint8_t digits[PATH_SEQUENCE_MAX];
    size_t count = 0;
    uint8_t *text;

    do {
        digits[count++] = (uint8_t)('0' + sequence % 10);
        sequence /= 10;
    } while (sequence > 0);
    while (count < 10) {
        digits[count++] = '0';
    }
    text = ARENA_NEW(arena, uint8_t, path.len + count);
    if (path.len > 0) {
        memcpy(text, path.ptr, path.len);
    }
    for (size_t i = 0; i < count; i++) {
        text[path.len + i] = digits[count - 1 - i];
    }
    return slice_make(text, path.len + count);
}

/* Bytes of the character at at, 0: not allowed in a path, or no UTF-8. */
static size_t char_len(const uint8_t *at, size_t left)
{
    uint8_t lead = at[0];

    if (lead < 0x80) {
        return lead >= 0x20 && lead != 0x7f;
    }
    if (lead < 0xc2) {
        return 0; /* a tail, or two bytes for one that fits in one */
    }
    if (lead < 0xe0) {
        bool fine = left >= 2 && is_tail(at[1]) &&
                    (lead > 0xc2 || at[1] >= 0xa0); /* U+0080 to U+009F */

        return fine ? 2 : 0;
    }
    if (lead >= 0xf0 || left < 3 || !is_tail(at[1]) || !is_tail(at[2]) ||
        (lead == 0xe0 && at[1] < 0xa0)) {
        return 0;
    }
    uint32_t unit = (uint32_t)(lead & 0x0f) << 12 |
                    (uint32_t)(at[1] & 0x3f) << 6 | (at[2] & 0x3f);

    return (unit >= 0xd800 && unit <= 0xf8ff) || unit >= 0xfff0 ? 0 : 3;
}

static bool is_tail(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

static size_t last_slash(struct slice path)
{
    size_t at = path.len;

    while (at > 0 && path.ptr[at - 1] != '/') {
        at--;
    }
    return at == 0 ? path.len : at - 1;
}
