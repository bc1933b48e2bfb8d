/* The rest of a frame between servers -> a message -> bytes -> the same
 * message. A byte before it chooses: 0, the frame's CRC is taken as it is;
 * otherwise it is made right first, so that damage gets behind it. */
#include "base/arena.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/peer_samples.h"

#define CRC_SIZE 4
/* What a frame may cost in memory: a field of two bytes takes a place in
 * protobuf-c's list of fields, and in that of the unknown ones. */
#define ARENA_PER_BYTE_MAX 96
#define ARENA_MAX 8192

static void check_text(const struct peer_msg *msg)
{
    char text[512], piece[8];
    size_t len = peer_msg_format(msg, text, sizeof(text));

    CHECK(len > 0 && len < sizeof(text));
    for (size_t i = 0; i < len; i++) {
        CHECK(text[i] >= 0x20 && text[i] < 0x7f);
    }
    CHECK(peer_msg_format(msg, piece, sizeof(piece)) == len);
    CHECK(strlen(piece) < sizeof(piece));
}

static void check_message(const struct peer_msg *msg, struct arena *arena)
{
    struct buf out = {0};
    struct peer_msg again;

    peer_frame(msg, &out);
    CHECK(bytes_load32(out.data) == out.len - 4);
    CHECK(peer_msg_decode(slice_after(buf_bytes(&out), 4), arena, &again) == 0);
    CHECK(peer_msg_is_equal(msg, &again));
    peer_msg_finish(&again);
    buf_finish(&out);
    check_text(msg);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct arena *arena;
    struct peer_msg msg;
    uint8_t *frame;

    if (len == 0) {
        return 0;
    }
    len--;
    /* At the end of its memory, for the sanitizer. */
    frame = mem_alloc(len > 0 ? len : 1);
    memcpy(frame, bytes + 1, len);
    if (bytes[0] != 0 && len >= CRC_SIZE) {
        bytes_store32(frame,
                      crc32c(0, slice_make(frame + CRC_SIZE, len - CRC_SIZE)));
    }
    arena = arena_create(4096);
    if (peer_msg_decode(slice_make(frame, len), arena, &msg) == 0) {
        CHECK(arena_used(arena) <= ARENA_PER_BYTE_MAX * len + ARENA_MAX);
        check_message(&msg, arena);
        peer_msg_finish(&msg);
    } else {
        CHECK(arena_used(arena) <= ARENA_PER_BYTE_MAX * len + ARENA_MAX);
    }
    arena_destroy(arena);
    mem_free(frame);
    return 0;
}

void fuzz_seeds(fuzz_seed_fn *give, void *arg)
{
    struct arena *arena = arena_create(4096);
    struct buf input = {0};

    for (size_t i = 0; i < peer_samples_count(); i++) {
        struct peer_msg msg;

        peer_sample(i, arena, &msg);
        buf_clear(&input);
        peer_frame(&msg, &input);
        /* The last byte of the length makes room for the choice. */
        input.data[3] = i % 2 == 0 ? 1 : 0;
        give(arg, slice_after(buf_bytes(&input), 3));
        peer_msg_finish(&msg);
    }
    buf_finish(&input);
    arena_destroy(arena);
}
