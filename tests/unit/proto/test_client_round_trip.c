#include <criterion/criterion.h>

#include "base/bytes.h"
#include "proto/client.h"
#include "proto/jute.h"
#include "tests/support/client_samples.h"
#include "tests/support/client_vectors.h"

static struct arena *arena;
static struct buf out;

static void setup(void)
{
    arena = arena_create(64);
    buf_init(&out);
}

static void teardown(void)
{
    buf_finish(&out);
    arena_destroy(arena);
}

TestSuite(proto_client_round_trip, .init = setup, .fini = teardown);

/* What was written, without its length, which must be right. */
static struct slice out_frame(void)
{
    cr_assert_geq(out.len, 4);
    cr_assert_eq(bytes_load32(out.data), out.len - 4);
    return slice_after(buf_bytes(&out), 4);
}

static void write_reply(const struct client_reply *reply)
{
    size_t size = client_reply_size(reply);
    uint8_t *to;

    buf_clear(&out);
    to = buf_extend(&out, size + 1);
    to[size] = 0x5a;
    client_reply_write(reply, to);
    cr_assert_eq(to[size], 0x5a, "not a byte more than its size");
    out.len--;
}

Test(proto_client_round_trip, every_request_comes_back_as_it_was)
{
    for (size_t i = 0; i < client_sample_requests_count; i++) {
        const struct client_request *request = &client_sample_requests[i];
        struct client_request back;

        buf_clear(&out);
        client_request_encode(request, &out);
        memset(&back, 0x5a, sizeof(back));
        cr_assert_eq(client_request_decode(out_frame(), arena, &back), 0,
                     "sample %zu", i);
        cr_assert(client_request_equal(request, &back), "sample %zu", i);
    }
}

Test(proto_client_round_trip, every_reply_comes_back_as_it_was)
{
    for (size_t i = 0; i < client_sample_replies_count; i++) {
        const struct client_reply *reply = &client_sample_replies[i];
        struct client_reply back;

        write_reply(reply);
        memset(&back, 0x5a, sizeof(back));
        cr_assert_eq(client_reply_decode(out_frame(), reply->op, arena, &back),
                     0, "sample %zu", i);
        cr_assert(client_reply_equal(reply, &back), "sample %zu", i);
    }
}

Test(proto_client_round_trip, every_operation_of_clients_has_samples){
#define X(name, number, text, lop, kind)                            \
    {                                                               \
        size_t requests = 0, replies = 0;                           \
                                                                    \
        for (size_t i = 0; i < client_sample_requests_count; i++) { \
            requests += client_sample_requests[i].op == (number);   \
        }                                                           \
        for (size_t i = 0; i < client_sample_replies_count; i++) {  \
            replies += client_sample_replies[i].op == (number);     \
        }                                                           \
        if ((kind) != ZK_OP_INTERNAL && (kind) != ZK_OP_NESTED) {   \
            cr_assert_gt(requests, 0, text);                        \
            cr_assert_gt(replies, 0, text);                         \
        }                                                           \
    }
    ZK_OP_MAP(X)
#undef X
}

Test(proto_client_round_trip, an_error_reply_is_a_header_alone)
{
    for (size_t i = 0; i < client_sample_replies_count; i++) {
        struct client_reply reply = client_sample_replies[i];

        reply.code = ZK_NO_AUTH;
        cr_assert_eq(client_reply_size(&reply), 20);
    }
}

/* DESIGN: a create that answers with a stat answers as create2 in a multi,
 * and in a failed multi all parts are errors. */
Test(proto_client_round_trip, multi_results_are_as_zookeeper_writes_them)
{
    static const struct client_reply done[] = {
        {.op = ZK_OP_CREATE, .path = {{(const uint8_t *)"/a", 2}}},
        {.op = ZK_OP_CREATE_TTL,
         .path_stat = {.path = {(const uint8_t *)"/b", 2}}},
    };
    static const struct client_reply failed[] = {
        {.op = ZK_OP_ERROR, .code = ZK_OK},
        {.op = ZK_OP_SET_DATA, .code = ZK_BAD_VERSION},
        {.op = ZK_OP_DELETE, .code = ZK_RUNTIME_INCONSISTENCY},
    };
    struct client_reply reply = {.xid = 1, .op = ZK_OP_MULTI, .zxid = 2};

    reply.multi.parts = done;
    reply.multi.count = 2;
    write_reply(&reply);
    cr_assert(slice_equal(
        slice_make(out.data, 20 + 9 + 6 + 9 + 6),
        bytes_from_hex(arena, "0000007b00000001000000000000000200000000"
                              "000000010000000000"
                              "000000022f61"
                              "0000000f0000000000"
                              "000000022f62")));
    reply.multi.parts = failed;
    reply.multi.count = 3;
    write_reply(&reply);
    cr_assert(slice_equal(
        buf_bytes(&out),
        bytes_from_hex(arena, "0000004000000001000000000000000200000000"
                              "ffffffff000000000000000000"
                              "ffffffff00ffffff99ffffff99"
                              "ffffffff00fffffffefffffffe"
                              "ffffffff01ffffffff")));
}

Test(proto_client_round_trip, header_and_stat_alone_are_those_of_a_reply)
{
    struct client_reply reply = {.xid = 3, .op = ZK_OP_EXISTS, .zxid = 4};
    uint8_t bytes[ZK_REPLY_HEADER_SIZE + ZK_STAT_SIZE];
    struct jute_writer writer = {bytes};

    reply.stat = (struct zk_stat){.czxid = 1,
                                  .mzxid = 2,
                                  .ctime = 3,
                                  .mtime = 4,
                                  .version = 5,
                                  .cversion = 6,
                                  .aversion = 7,
                                  .ephemeral_owner = 8,
                                  .data_length = 9,
                                  .num_children = 10,
                                  .pzxid = 11};
    write_reply(&reply);
    client_write_reply_header(&writer, 3, 4, ZK_OK);
    cr_assert_eq(writer.at - bytes, ZK_REPLY_HEADER_SIZE);
    client_write_stat(&writer, &reply.stat);
    cr_assert_eq(writer.at - bytes, sizeof(bytes));
    cr_assert(slice_equal(out_frame(), slice_make(bytes, sizeof(bytes))));
    cr_assert(
        slice_equal(slice_make(bytes + ZK_REPLY_HEADER_SIZE, ZK_STAT_SIZE),
                    bytes_from_hex(arena, "00000000000000010000000000000002"
                                          "00000000000000030000000000000004"
                                          "000000050000000600000007"
                                          "0000000000000008000000090000000a"
                                          "000000000000000b")));
}
