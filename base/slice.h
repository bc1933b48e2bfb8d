/* A borrowed, read-only run of bytes. Never owns, never frees. ptr NULL =
 * absent (jute length -1), not the same as empty. */
#ifndef CORRAL_BASE_SLICE_H
#define CORRAL_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const uint8_t *ptr;
    size_t len;
};

/* A literal or an array of char whose size is known: without the final NUL. */
#define SLICE_LITERAL(text) \
    ((struct slice){(const uint8_t *)(text), sizeof(text) - 1})

static inline struct slice slice_make(const void *ptr, size_t len)
{
    return (struct slice){ptr, len};
}

static inline struct slice slice_from_text(const char *text)
{
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

static inline bool slice_is_absent(struct slice s)
{
    return s.ptr == NULL;
}

/* Bytes only: absent and empty are equal here. */
static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool slice_equal_text(struct slice s, const char *text)
{
    return slice_equal(s, slice_from_text(text));
}

/* memcmp order, the shorter first when one is a prefix. */
static inline int slice_compare(struct slice a, struct slice b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter == 0 ? 0 : memcmp(a.ptr, b.ptr, shorter);

    if (order != 0) {
        return order;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

static inline bool slice_starts_with(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len &&
           (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

static inline bool slice_ends_with(struct slice s, struct slice suffix)
{
    return s.len >= suffix.len &&
           (suffix.len == 0 ||
            memcmp(s.ptr + (s.len - suffix.len), suffix.ptr, suffix.len) == 0);
}

/* The part behind the first n bytes; n <= s.len. */
static inline struct slice slice_after(struct slice s, size_t n)
{
    /* No offset, not even 0, may be added to NULL. */
    return (struct slice){n == 0 ? s.ptr : s.ptr + n, s.len - n};
}

#endif
