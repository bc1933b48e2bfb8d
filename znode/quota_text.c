#include "znode/quota_text.h"

static struct slice cut(struct slice *rest, const char *separators);
static int64_t parse_number(struct slice text);

void quota_limits_parse(struct slice text, struct quota_limits *limits)
{
    *limits = QUOTA_LIMITS_NONE;
    while (text.len > 0) {
        struct slice pair = cut(&text, ",;");
        struct slice key = cut(&pair, "=");
        /* The value of bytes ends in a stray "=", so that parsers of old
         * stop there. */
        struct slice value = cut(&pair, "=");

        if (slice_equal_text(key, "count")) {
            limits->count_soft = parse_number(value);
        } else if (slice_equal_text(key, "bytes")) {
            limits->bytes_soft = parse_number(value);
        } else if (slice_equal_text(key, "countHardLimit")) {
            limits->count_hard = parse_number(value);
        } else if (slice_equal_text(key, "byteHardLimit")) {
            limits->bytes_hard = parse_number(value);
        }
    }
}

/* What stands before the first separator; *rest is what stands behind it. */
static struct slice cut(struct slice *rest, const char *separators)
{
    struct slice part = {rest->ptr, 0};

    while (part.len < rest->len) {
        char c = (char)rest->ptr[part.len];

        if (c == separators[0] || (c == separators[1] && c != '\0')) {
            *rest = slice_after(*rest, part.len + 1);
            return part;
        }
        part.len++;
    }
    *rest = (struct slice){rest->ptr, 0};
    return part;
}

static int64_t parse_number(struct slice text)
{
    bool negative = text.len > 0 && text.ptr[0] == '-';
    size_t at = text.len > 0 && (negative || text.ptr[0] == '+') ? 1 : 0;
    int64_t value = 0;

    if (at == text.len) {
        return -1;
    }
    for (; at < text.len; at++) {
        uint8_t c = text.ptr[at];

        if (c < '0' || c > '9') {
            return -1;
        }
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, c - '0', &value)) {
            value = INT64_MAX;
        }
    }
    return negative ? -value : value;
}
