/* A frame -> a request -> bytes -> the same request. */
#include "base/arena.h"
#include "base/check.h"
#include "proto/client.h"
#include "proto/text.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/client_samples.h"

/* What a frame may cost in memory: the shortest part of a multi has 14 bytes,
 * and the array of parts doubles as it grows. */
#define ARENA_PER_BYTE_MAX 32
#define ARENA_MAX 4096

static void check_text(const struct client_request *request)
{
    struct buf text = {0};

    client_request_text(request, &text);
    for (size_t i = 0; i < text.len; i++) {
        CHECK(text.data[i] >= 0x20 && text.data[i] < 0x7f);
    }
    buf_finish(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct arena *arena = arena_create(4096);
    struct client_request request, again;
    struct buf out = {0};

    if (client_request_decode(slice_make(bytes, len), arena, &request) == 0) {
        client_request_encode(&request, &out);
        CHECK(out.len <= len + 4);
        check_text(&request);
        CHECK(arena_used(arena) <= ARENA_PER_BYTE_MAX * len + ARENA_MAX);
        CHECK(client_request_decode(slice_after(buf_bytes(&out), 4), arena,
                                    &again) == 0);
        CHECK(client_request_equal(&request, &again));
    } else {
        CHECK(arena_used(arena) <= ARENA_PER_BYTE_MAX * len + ARENA_MAX);
    }
    buf_finish(&out);
    arena_destroy(arena);
    return 0;
}

void fuzz_seeds(fuzz_seed_fn *give, void *arg)
{
    struct buf out = {0};

    for (size_t i = 0; i < client_sample_requests_count; i++) {
        buf_clear(&out);
        client_request_encode(&client_sample_requests[i], &out);
        give(arg, slice_after(buf_bytes(&out), 4));
    }
    buf_finish(&out);
}
