#include "tests/support/client_vectors.h"

#include "base/bytes.h"
#include "base/check.h"

static uint8_t nibble(char digit)
{
    CHECK((digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f'));
    return (uint8_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

struct slice bytes_from_hex(struct arena *arena, const char *hex)
{
    size_t len = strlen(hex) / 2;
    uint8_t *bytes = arena_alloc(arena, len, 1);

    CHECK(strlen(hex) % 2 == 0);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
    }
    return slice_make(bytes, len);
}

struct slice frame_from_hex(struct arena *arena, const char *hex)
{
    struct slice packet = bytes_from_hex(arena, hex);

    CHECK(packet.len >= 4);
    CHECK(bytes_load32(packet.ptr) == packet.len - 4);
    return slice_after(packet, 4);
}
