/* Framing and the handshake. The first byte chooses how the bytes arrive and
 * how big a frame may be; the rest is what a fresh connection sends. */
#include "base/check.h"
#include "base/err.h"
#include "proto/client.h"
#include "proto/frame.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/client_vectors.h"

static void check_handshake(struct slice frame)
{
    struct client_connect connect, again;
    struct buf out = {0};

    if (client_connect_decode(frame, &connect) != 0) {
        return;
    }
    client_connect_encode(&connect, &out);
    CHECK(out.len <= frame.len + 4);
    CHECK(client_connect_decode(slice_after(buf_bytes(&out), 4), &again) == 0);
    CHECK(again.request.protocol_version == connect.request.protocol_version);
    CHECK(again.request.last_zxid_seen == connect.request.last_zxid_seen);
    CHECK(again.request.timeout == connect.request.timeout);
    CHECK(again.request.session_id == connect.request.session_id);
    CHECK(slice_equal(again.request.password, connect.request.password));
    CHECK(slice_is_absent(again.request.password) ==
          slice_is_absent(connect.request.password));
    CHECK(again.has_read_only == connect.has_read_only);
    CHECK(again.read_only == connect.read_only);
    buf_finish(&out);
}

/* The answer for what has arrived must not change when more arrives. */
static void check_prefixes(struct slice bytes, uint32_t size_max, size_t used,
                           size_t step)
{
    for (size_t len = 0; len < bytes.len; len += step) {
        struct slice frame;
        size_t frame_used = 0;
        enum frame_status status = frame_next(slice_make(bytes.ptr, len),
                                              size_max, &frame, &frame_used);

        CHECK(status == (len < used ? FRAME_MORE : FRAME_WHOLE));
        CHECK(len < used || frame_used == used);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct slice left;
    uint32_t size_max;
    size_t step;
    bool first = true;

    if (len == 0) {
        return 0;
    }
    size_max = UINT32_C(1) << (bytes[0] & 31);
    step = (size_t)(bytes[0] >> 5) * 16 + 1;
    left = slice_make(bytes + 1, len - 1);
    if (left.len >= 4) {
        const char *word = frame_four_letter_word(left.ptr);

        CHECK(word == NULL || memcmp(word, left.ptr, 4) == 0);
    }
    for (;;) {
        struct slice frame;
        size_t used;
        enum frame_status status = frame_next(left, size_max, &frame, &used);
        struct zk_request_header header;

        if (status != FRAME_WHOLE) {
            CHECK(status == FRAME_TOO_BIG || left.len < 4 + (size_t)size_max);
            return 0;
        }
        CHECK(frame.len <= size_max);
        CHECK(used == frame.len + 4);
        CHECK(used <= left.len);
        CHECK(frame.ptr == left.ptr + 4);
        CHECK((client_header_decode(frame, &header) == 0) == (frame.len >= 8));
        if (first) {
            check_prefixes(left, size_max, used, step);
            check_handshake(frame);
        }
        first = false;
        left = slice_after(left, used);
    }
}

static void give(fuzz_seed_fn *give_one, void *arg, const char *hex)
{
    struct arena *arena = arena_create(4096);
    struct slice input;
    char with_choice[1024] = "14"; /* frames of up to 1 MB */

    CHECK(strlen(hex) + 3 <= sizeof(with_choice));
    memcpy(with_choice + 2, hex, strlen(hex) + 1);
    input = bytes_from_hex(arena, with_choice);
    give_one(arg, input);
    arena_destroy(arena);
}

void fuzz_seeds(fuzz_seed_fn *give_one, void *arg)
{
    give(give_one, arg, VECTOR_CONNECT);
    give(give_one, arg, VECTOR_CONNECT_OLD);
    give(give_one, arg, VECTOR_CONNECT VECTOR_AUTH VECTOR_CREATE VECTOR_PING);
    give(give_one, arg, "72756f6b"); /* ruok */
    give(give_one, arg, "00000000" VECTOR_PING);
}
