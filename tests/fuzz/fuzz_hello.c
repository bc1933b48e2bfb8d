/* The rest of a hello's frame -> a hello -> bytes -> the same hello. A byte
 * before it chooses: 0, the CRC is taken as it is; otherwise it is made right
 * first, so that damage gets behind it. */
#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "proto/hello.h"
#include "tests/fuzz/fuzz.h"

#define CRC_SIZE 4
#define ARENA_PER_BYTE_MAX 96 /* see fuzz_peer.c */
#define ARENA_MAX 8192

static void check_hello(const struct hello *hello, struct arena *arena)
{
    struct buf out = {0};
    struct hello again;

    CHECK(hello->version_min >= 1);
    CHECK(hello->version_min <= hello->version_max);
    CHECK(hello->link == HELLO_ELECTION || hello->link == HELLO_QUORUM);
    CHECK(hello_version(hello, hello) == hello->version_max);
    hello_encode(hello, &out);
    CHECK(out.len <= 4 + HELLO_SIZE_MAX);
    CHECK(bytes_load32(out.data) == out.len - 4);
    CHECK(hello_decode(slice_after(buf_bytes(&out), 4), arena, &again) == 0);
    CHECK(again.version_min == hello->version_min);
    CHECK(again.version_max == hello->version_max);
    CHECK(again.link == hello->link);
    CHECK(again.sender == hello->sender);
    CHECK(again.receiver == hello->receiver);
    CHECK(again.has_cluster == hello->has_cluster);
    CHECK(memcmp(again.cluster_id, hello->cluster_id,
                 sizeof(again.cluster_id)) == 0);
    CHECK(slice_is_absent(again.refused) == slice_is_absent(hello->refused));
    CHECK(slice_equal(again.refused, hello->refused));
    buf_finish(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct arena *arena;
    struct hello hello;
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
    arena = arena_create(1024);
    if (hello_decode(slice_make(frame, len), arena, &hello) == 0) {
        check_hello(&hello, arena);
    }
    CHECK(arena_used(arena) <= ARENA_PER_BYTE_MAX * 2 * len + ARENA_MAX);
    arena_destroy(arena);
    mem_free(frame);
    return 0;
}

void fuzz_seeds(fuzz_seed_fn *give, void *arg)
{
    struct hello hello = {.version_min = HELLO_VERSION_LEAST,
                          .version_max = HELLO_VERSION};
    struct buf input = {0};

    for (int i = 0; i < 8; i++) {
        hello.link = i % 2 == 0 ? HELLO_ELECTION : HELLO_QUORUM;
        hello.sender = (uint64_t)i + 1;
        hello.receiver = 255;
        hello.has_cluster = i >= 4;
        memset(hello.cluster_id, i >= 4 ? i : 0, sizeof(hello.cluster_id));
        hello.refused =
            i % 4 == 3 ? SLICE_LITERAL("it is no member") : slice_make(NULL, 0);
        buf_clear(&input);
        hello_encode(&hello, &input);
        /* The last byte of the length makes room for the choice. */
        input.data[3] = i < 6 ? 1 : 0;
        give(arg, slice_after(buf_bytes(&input), 3));
    }
    buf_finish(&input);
}
