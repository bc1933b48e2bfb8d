#include "proto/address.h"

#include <arpa/inet.h>

#include "base/check.h"

static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};

static bool parse_bits(struct slice text, unsigned max, unsigned *bits);

bool address_parse(struct slice text, struct address_prefix *address)
{
    const uint8_t *zone =
        text.len == 0 ? NULL : memchr(text.ptr, '%', text.len);

    if (zone != NULL) {
        text.len = (size_t)(zone - text.ptr);
    }
    if (text.len > 0 && memchr(text.ptr, '/', text.len) != NULL) {
        return false;
    }
    return address_prefix_parse(text, address);
}

bool address_prefix_parse(struct slice text, struct address_prefix *prefix)
{
    const uint8_t *slash =
        text.len == 0 ? NULL : memchr(text.ptr, '/', text.len);
    size_t len = slash == NULL ? text.len : (size_t)(slash - text.ptr);
    char copy[ADDRESS_TEXT_MAX];
    unsigned bits, bits_max;

    if (len == 0 || len >= sizeof(copy) ||
        memchr(text.ptr, '\0', len) != NULL) {
        return false;
    }
    memcpy(copy, text.ptr, len);
    copy[len] = '\0';
    if (inet_pton(AF_INET, copy, prefix->bytes + sizeof(v4_prefix)) == 1) {
        memcpy(prefix->bytes, v4_prefix, sizeof(v4_prefix));
        bits_max = 32;
    } else if (inet_pton(AF_INET6, copy, prefix->bytes) == 1) {
        bits_max = 128;
    } else {
        return false;
    }
    bits = bits_max;
    if (slash != NULL &&
        !parse_bits(slice_after(text, len + 1), bits_max, &bits)) {
        return false;
    }
    prefix->bits = (uint8_t)(bits + 128 - bits_max);
    prefix->v4 = prefix->bits >= 96 &&
                 memcmp(prefix->bytes, v4_prefix, sizeof(v4_prefix)) == 0;
    return true;
}

bool address_matches(const struct address_prefix *address,
                     const struct address_prefix *prefix)
{
    size_t whole = prefix->bits / 8;
    unsigned rest = prefix->bits % 8;

    if (address->v4 != prefix->v4 ||
        memcmp(address->bytes, prefix->bytes, whole) != 0) {
        return false;
    }
    return rest == 0 ||
           ((address->bytes[whole] ^ prefix->bytes[whole]) >> (8 - rest)) == 0;
}

struct slice address_format(const struct address_prefix *address,
                            char text[ADDRESS_TEXT_MAX])
{
    const char *done =
        address->v4
            ? inet_ntop(AF_INET, address->bytes + sizeof(v4_prefix), text,
                        ADDRESS_TEXT_MAX)
            : inet_ntop(AF_INET6, address->bytes, text, ADDRESS_TEXT_MAX);

    CHECK(done != NULL); /* the text has room for every address */
    return slice_from_text(text);
}

/* One to three digits. */
static bool parse_bits(struct slice text, unsigned max, unsigned *bits)
{
    *bits = 0;
    if (text.len == 0 || text.len > 3) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
        *bits = *bits * 10 + (unsigned)(text.ptr[i] - '0');
    }
    return *bits <= max;
}
