/* What a client reads. The first byte chooses the operation that was asked;
 * the rest is the frame of the reply, which must come back as it was. */
#include "base/arena.h"
#include "base/check.h"
#include "proto/client.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/client_samples.h"
#include "tests/support/client_vectors.h"

static const enum zk_op ops[] = {
#define X(name, number, text, lop, kind) ZK_OP_##name,
    ZK_OP_MAP(X)
#undef X
};

#define OPS_COUNT (sizeof(ops) / sizeof(ops[0]))
/* Choices beyond the operations. */
#define CHOICE_HANDSHAKE 0xff
#define CHOICE_EVENT 0xfe

static void check_reply(struct slice frame, enum zk_op op)
{
    struct arena *arena = arena_create(4096);
    struct client_reply reply, again;
    uint8_t *written;
    size_t size;

    if (client_reply_decode(frame, op, arena, &reply) == 0) {
        size = client_reply_size(&reply);
        CHECK(size <= frame.len + 4);
        /* At the end of its memory, for the sanitizer. */
        written = arena_alloc(arena, size, 1);
        client_reply_write(&reply, written);
        CHECK(client_reply_decode(slice_make(written + 4, size - 4), op, arena,
                                  &again) == 0);
        CHECK(client_reply_equal(&reply, &again));
    }
    arena_destroy(arena);
}

static void check_handshake(struct slice frame)
{
    struct zk_connect_response response, again;
    struct buf out = {0};
    bool read_only, read_only_again;

    if (client_connect_decode_reply(frame, &response, &read_only) != 0 ||
        response.password.len != 16) {
        return;
    }
    client_connect_encode_reply(&response, true, read_only, &out);
    CHECK(client_connect_decode_reply(slice_after(buf_bytes(&out), 4), &again,
                                      &read_only_again) == 0);
    CHECK(again.timeout == response.timeout);
    CHECK(again.session_id == response.session_id);
    CHECK(slice_equal(again.password, response.password));
    CHECK(read_only_again == read_only);
    buf_finish(&out);
}

static void check_event(struct slice body)
{
    struct zk_watcher_event event, again;
    struct buf out = {0};

    if (client_event_decode(body, &event) != 0 ||
        event.state != ZK_STATE_CONNECTED) {
        return;
    }
    client_event_write((enum zk_event_type)event.type, 1, event.path,
                       buf_extend(&out, client_event_size(event.path)));
    CHECK(client_event_decode(
              slice_after(buf_bytes(&out), 4 + ZK_REPLY_HEADER_SIZE), &again) ==
          0);
    CHECK(again.type == event.type);
    CHECK(slice_equal(again.path, event.path));
    buf_finish(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct slice frame;

    if (len == 0) {
        return 0;
    }
    frame = slice_make(bytes + 1, len - 1);
    if (bytes[0] == CHOICE_HANDSHAKE) {
        check_handshake(frame);
    } else if (bytes[0] == CHOICE_EVENT) {
        check_event(frame);
    } else {
        check_reply(frame, ops[bytes[0] % OPS_COUNT]);
    }
    return 0;
}

static void give_with_choice(fuzz_seed_fn *give, void *arg, size_t choice,
                             struct slice frame)
{
    struct buf input = {0};

    *buf_extend(&input, 1) = (uint8_t)choice;
    buf_append(&input, frame);
    give(arg, buf_bytes(&input));
    buf_finish(&input);
}

void fuzz_seeds(fuzz_seed_fn *give, void *arg)
{
    struct arena *arena = arena_create(4096);

    for (size_t i = 0; i < client_sample_replies_count; i++) {
        const struct client_reply *reply = &client_sample_replies[i];
        size_t size = client_reply_size(reply), choice = 0;
        uint8_t *bytes = arena_alloc(arena, size, 1);

        while (ops[choice] != reply->op) {
            choice++;
        }
        client_reply_write(reply, bytes);
        give_with_choice(give, arg, choice, slice_make(bytes + 4, size - 4));
    }
    give_with_choice(give, arg, CHOICE_HANDSHAKE,
                     frame_from_hex(arena, VECTOR_CONNECT_REPLY));
    give_with_choice(
        give, arg, CHOICE_EVENT,
        slice_after(frame_from_hex(arena, VECTOR_EVENT), ZK_REPLY_HEADER_SIZE));
    arena_destroy(arena);
}
