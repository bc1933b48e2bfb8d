#include <criterion/criterion.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "proto/hello.h"

static struct arena *arena;
static struct buf bytes;

static void set_up(void)
{
    arena = arena_create(1024);
}

static void tear_down(void)
{
    arena_destroy(arena);
    buf_finish(&bytes);
}

TestSuite(proto_hello, .init = set_up, .fini = tear_down);

static struct hello sample(void)
{
    struct hello hello = {.version_min = 1,
                          .version_max = 2,
                          .link = HELLO_QUORUM,
                          .sender = 255,
                          .receiver = 1,
                          .has_cluster = true};

    memset(hello.cluster_id, 0xa5, sizeof(hello.cluster_id));
    return hello;
}

static int decode(struct hello *hello)
{
    return hello_decode(slice_after(buf_bytes(&bytes), 4), arena, hello);
}

static void encode(const struct hello *hello)
{
    buf_clear(&bytes);
    hello_encode(hello, &bytes);
    cr_assert_eq(bytes_load32(bytes.data), bytes.len - 4);
}

/* The frame of a Hello by hand. */
static int decode_body(struct slice body)
{
    static const uint8_t prefix[12] = {0, 0, 0,   0,   0,   0,
                                       0, 0, 'C', 'R', 'L', 'p'};
    struct hello hello;

    buf_clear(&bytes);
    buf_append(&bytes, slice_make(prefix, sizeof(prefix)));
    buf_append(&bytes, body);
    bytes_store32(bytes.data + 4,
                  crc32c(0, slice_make(bytes.data + 8, bytes.len - 8)));
    return decode(&hello);
}

Test(proto_hello, comes_back_as_it_was)
{
    struct hello in = sample(), out;

    encode(&in);
    cr_assert_eq(decode(&out), 0);
    cr_assert_eq(out.version_min, 1);
    cr_assert_eq(out.version_max, 2);
    cr_assert_eq(out.link, HELLO_QUORUM);
    cr_assert_eq(out.sender, 255);
    cr_assert_eq(out.receiver, 1);
    cr_assert(out.has_cluster);
    cr_assert_arr_eq(out.cluster_id, in.cluster_id, HELLO_CLUSTER_ID_SIZE);
    cr_assert(slice_is_absent(out.refused));
}

Test(proto_hello, a_refusal_comes_back_as_it_was)
{
    struct hello in = sample(), out;
    char text[HELLO_REFUSED_MAX];

    memset(text, 'n', sizeof(text));
    in.has_cluster = false;
    in.refused = slice_make(text, sizeof(text));
    encode(&in);
    cr_assert_eq(decode(&out), 0);
    cr_assert_not(out.has_cluster);
    cr_assert(slice_equal(out.refused, in.refused));
    in.refused = SLICE_LITERAL("");
    encode(&in);
    cr_assert_eq(decode(&out), 0);
    cr_assert_not(slice_is_absent(out.refused));
}

Test(proto_hello, its_bytes_stay_as_they_are)
{
    /* Every version of the protocol reads them: they never change. */
    static const uint8_t wanted[] = {'C', 'R',  'L', 'p',  0x08, 1,    0x10,
                                     2,   0x18, 1,   0x20, 3,    0x28, 1};
    struct hello in = sample();

    in.link = HELLO_ELECTION;
    in.sender = 3;
    in.has_cluster = false;
    encode(&in);
    cr_assert_eq(bytes.len, 8 + sizeof(wanted));
    cr_assert_arr_eq(bytes.data + 8, wanted, sizeof(wanted));
    cr_assert_eq(bytes_load32(bytes.data + 4),
                 crc32c(0, slice_make(wanted, sizeof(wanted))));
}

Test(proto_hello, each_flipped_bit_is_noticed)
{
    struct hello in = sample(), out;

    encode(&in);
    for (size_t bit = 4 * 8; bit < bytes.len * 8; bit++) {
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_neq(decode(&out), 0, "bit %zu", bit);
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    cr_assert_eq(decode(&out), 0);
}

Test(proto_hello, each_shorter_one_is_refused)
{
    struct hello in = sample(), out;

    encode(&in);
    for (size_t len = 0; len < bytes.len - 4; len++) {
        cr_assert_neq(
            hello_decode(slice_make(bytes.data + 4, len), arena, &out), 0);
    }
}

Test(proto_hello, what_cannot_be_is_refused)
{
    static const char cluster[] = "\x08\1\x10\2\x18\1\x20\3\x28\1\x32\2xy";
    static const char text[] = "\x08\1\x10\2\x18\1\x20\3\x28\1\x3a\x81\1";
    uint8_t long_text[sizeof(text) - 1 + HELLO_REFUSED_MAX + 1] = {0};
    static uint8_t much[HELLO_SIZE_MAX];

    cr_assert_eq(decode_body(SLICE_LITERAL("\x08\1\x10\2\x18\1\x20\3\x28\1")),
                 0);
    /* Versions from 0, or the wrong way round. */
    cr_assert_eq(decode_body(SLICE_LITERAL("\x08\0\x10\2\x18\1\x20\3\x28\1")),
                 ERR_MALFORMED);
    cr_assert_eq(decode_body(SLICE_LITERAL("\x08\3\x10\2\x18\1\x20\3\x28\1")),
                 ERR_MALFORMED);
    /* A third kind of link, and none. */
    cr_assert_eq(decode_body(SLICE_LITERAL("\x08\1\x10\2\x18\3\x20\3\x28\1")),
                 ERR_MALFORMED);
    cr_assert_eq(decode_body(SLICE_LITERAL("\x08\1\x10\2\x20\3\x28\1")),
                 ERR_MALFORMED);
    cr_assert_eq(decode_body(slice_make(cluster, sizeof(cluster) - 1)),
                 ERR_MALFORMED);
    memcpy(long_text, text, sizeof(text) - 1);
    cr_assert_eq(decode_body(slice_make(long_text, sizeof(long_text))),
                 ERR_TOO_BIG);
    cr_assert_eq(decode_body(slice_make(much, sizeof(much))), ERR_TOO_BIG);
    /* A field that is not known is passed over. */
    cr_assert_eq(
        decode_body(SLICE_LITERAL("\x08\1\x10\2\x18\1\x20\3\x28\1\xf8\x01\1")),
        0);
}

Test(proto_hello, the_highest_version_that_both_know)
{
    struct hello a = sample(), b = sample();

    cr_assert_eq(hello_version(&a, &b), 2);
    b.version_max = 1;
    cr_assert_eq(hello_version(&a, &b), 1);
    cr_assert_eq(hello_version(&b, &a), 1);
    b.version_min = 2;
    b.version_max = 3;
    cr_assert_eq(hello_version(&a, &b), 2);
    b.version_min = 3;
    cr_assert_eq(hello_version(&a, &b), 0);
    cr_assert_eq(hello_version(&b, &a), 0);
}
