#include <criterion/criterion.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/mem.h"
#include "tests/support/peer_samples.h"

#define PREFIX 12 /* length, CRC, length of the head */

static struct arena *arena;
static struct buf bytes;
static struct blob *blob;

static void set_up(void)
{
    arena = arena_create(4096);
    blob = blob_copy(SLICE_LITERAL("payload"));
}

static void tear_down(void)
{
    arena_destroy(arena);
    buf_finish(&bytes);
    blob_unref(blob);
}

TestSuite(proto_peer, .init = set_up, .fini = tear_down);

/* The rest of the frame behind its length, whatever stands in bytes. */
static struct slice rest(void)
{
    return slice_after(buf_bytes(&bytes), 4);
}

static void encode(const struct peer_msg *msg)
{
    buf_clear(&bytes);
    peer_frame(msg, &bytes);
}

static void seal(void)
{
    bytes_store32(bytes.data + 4,
                  crc32c(0, slice_make(bytes.data + 8, bytes.len - 8)));
}

static int decode(void)
{
    struct peer_msg msg;
    int err = peer_msg_decode(rest(), arena, &msg);

    if (err == 0) {
        peer_msg_finish(&msg);
    }
    return err;
}

/* A frame of this head, which is protobuf by hand. */
static int decode_head(struct slice head)
{
    buf_clear(&bytes);
    (void)buf_extend(&bytes, PREFIX);
    buf_append(&bytes, head);
    bytes_store32(bytes.data + 8, (uint32_t)head.len);
    seal();
    return decode();
}

/* type, epoch = 0, zxid = 0 */
#define HEAD(type) "\x08" type "\x10\x00\x19\0\0\0\0\0\0\0\0"

static struct peer_msg propose(struct blob **payloads, uint32_t count)
{
    return (struct peer_msg){.type = PEER_PROPOSE,
                             .epoch = 1,
                             .zxid = zxid_make(1, 1),
                             .payloads = payloads,
                             .payloads_count = count};
}

Test(proto_peer, comes_back_as_it_was)
{
    bool seen[PEER_DIGEST + 1] = {false};

    for (size_t i = 0; i < peer_samples_count(); i++) {
        struct peer_msg msg, again;
        size_t before = bytes.len; /* it appends */
        struct slice frame;

        peer_sample(i, arena, &msg);
        peer_frame(&msg, &bytes);
        frame = slice_after(buf_bytes(&bytes), before);
        cr_assert_eq(bytes_load32(frame.ptr), frame.len - 4);
        memset(&again, 0xee, sizeof(again));
        cr_assert_eq(peer_msg_decode(slice_after(frame, 4), arena, &again), 0,
                     "%zu", i);
        cr_assert(peer_msg_is_equal(&msg, &again), "%zu", i);
        seen[msg.type] = true;
        peer_msg_finish(&msg);
        peer_msg_finish(&again);
    }
#define X(name, number, text) cr_assert(seen[name], "no sample of " text);
    PEER_MSG_MAP(X)
#undef X
}

Test(proto_peer, payloads_outlive_the_frame)
{
    struct peer_msg msg, again;

    msg = propose(&blob, 1);
    encode(&msg);
    cr_assert_eq(peer_msg_decode(rest(), arena, &again), 0);
    memset(bytes.data, 0xee, bytes.len);
    cr_assert(slice_equal_text(blob_bytes(again.payloads[0]), "payload"));
    peer_msg_finish(&again);
    cr_assert_eq(again.payloads_count, 0);
}

Test(proto_peer, any_bit_flipped_is_seen)
{
    for (size_t i = 0; i < peer_samples_count(); i++) {
        struct peer_msg msg;

        peer_sample(i, arena, &msg);
        encode(&msg);
        for (size_t bit = 0; bit < 8 * (bytes.len - 4); bit++) {
            uint8_t *at = &bytes.data[4 + bit / 8];

            *at ^= (uint8_t)(1U << bit % 8);
            cr_assert_eq(decode(), ERR_CORRUPT, "%zu, bit %zu", i, bit);
            *at ^= (uint8_t)(1U << bit % 8);
        }
        cr_assert_eq(decode(), 0);
        peer_msg_finish(&msg);
        arena_reset(arena);
    }
}

Test(proto_peer, a_short_frame_is_malformed)
{
    static const uint8_t zeros[8];

    for (size_t len = 0; len < 8; len++) {
        struct peer_msg msg;

        cr_assert_eq(peer_msg_decode(slice_make(zeros, len), arena, &msg),
                     ERR_MALFORMED);
    }
}

Test(proto_peer, a_cut_frame_is_malformed_even_with_its_crc)
{
    for (size_t i = 0; i < peer_samples_count(); i++) {
        struct peer_msg msg;

        peer_sample(i, arena, &msg);
        encode(&msg);
        while (bytes.len > PREFIX) {
            bytes.len--;
            seal();
            cr_assert_eq(decode(), ERR_MALFORMED, "%zu to %zu", i, bytes.len);
        }
        peer_msg_finish(&msg);
        arena_reset(arena);
    }
}

Test(proto_peer, bytes_behind_the_payloads_are_malformed)
{
    for (size_t i = 0; i < peer_samples_count(); i++) {
        struct peer_msg msg;

        peer_sample(i, arena, &msg);
        encode(&msg);
        buf_append(&bytes, SLICE_LITERAL("x"));
        seal();
        cr_assert_eq(decode(), ERR_MALFORMED, "%zu", i);
        peer_msg_finish(&msg);
    }
}

Test(proto_peer, the_frame_has_a_limit)
{
    struct peer_msg msg = propose(&blob, 1), again;
    struct blob *big;
    uint8_t *fill;
    size_t head_len;

    encode(&msg);
    /* With a payload of four megabytes its size takes three bytes more. */
    head_len = bytes.len - PREFIX - blob_bytes(blob).len + 3;
    big = blob_create(PEER_FRAME_SIZE_MAX - head_len, &fill);
    memset(fill, 7, PEER_FRAME_SIZE_MAX - head_len);
    msg = propose(&big, 1);
    encode(&msg);
    cr_assert_eq(bytes.len, PREFIX + PEER_FRAME_SIZE_MAX);
    cr_assert_eq(peer_msg_decode(rest(), arena, &again), 0);
    peer_msg_finish(&again);
    buf_append(&bytes, SLICE_LITERAL("x"));
    seal();
    cr_assert_eq(decode(), ERR_TOO_BIG);
    blob_unref(big);
}

Test(proto_peer, the_heads_length_is_within_the_frame)
{
    struct peer_msg msg = {.type = PEER_ACK};

    encode(&msg);
    bytes_store32(bytes.data + 8, (uint32_t)(bytes.len - PREFIX + 1));
    seal();
    cr_assert_eq(decode(), ERR_MALFORMED);
    bytes_store32(bytes.data + 8, UINT32_MAX);
    seal();
    cr_assert_eq(decode(), ERR_MALFORMED);
}

Test(proto_peer, an_unknown_type_is_malformed)
{
    cr_assert_eq(decode_head(SLICE_LITERAL(HEAD("\x0e"))), 0); /* an ACK */
    cr_assert_eq(decode_head(SLICE_LITERAL(HEAD("\x00"))), ERR_MALFORMED);
    cr_assert_eq(decode_head(SLICE_LITERAL(HEAD("\x14"))), ERR_MALFORMED);
    cr_assert_eq(decode_head(SLICE_LITERAL(HEAD("\x1f"))), ERR_MALFORMED);
    cr_assert_eq(decode_head(SLICE_LITERAL(HEAD("\x2b"))), ERR_MALFORMED);
    cr_assert_eq(decode_head(SLICE_LITERAL(HEAD("\xff\xff\xff\xff\x0f"))),
                 ERR_MALFORMED);
}

Test(proto_peer, every_field_of_the_head_is_required)
{
    cr_assert_eq(decode_head(SLICE_LITERAL("")), ERR_MALFORMED);
    cr_assert_eq(decode_head(SLICE_LITERAL("\x10\x00\x19\0\0\0\0\0\0\0\0")),
                 ERR_MALFORMED);
    cr_assert_eq(decode_head(SLICE_LITERAL("\x08\x0e\x19\0\0\0\0\0\0\0\0")),
                 ERR_MALFORMED);
    cr_assert_eq(decode_head(SLICE_LITERAL("\x08\x0e\x10\x00")), ERR_MALFORMED);
}

Test(proto_peer, a_field_of_a_later_version_is_passed_over)
{
    cr_assert_eq(decode_head(SLICE_LITERAL(HEAD("\x0e") "\x78\x01")), 0);
}

Test(proto_peer, the_body_is_that_of_the_type)
{
    /* PING: none; a PING's; a SNAP's; a PING's without its number. */
    cr_assert_eq(decode_head(SLICE_LITERAL(HEAD("\x11"))), ERR_MALFORMED);
    cr_assert_eq(
        decode_head(SLICE_LITERAL(HEAD("\x11") "\xaa\x07\x02\x08\x05")), 0);
    cr_assert_eq(
        decode_head(SLICE_LITERAL(HEAD("\x11") "\xe2\x06\x04\x08\x05\x10\x00")),
        ERR_MALFORMED);
    cr_assert_eq(decode_head(SLICE_LITERAL(HEAD("\x11") "\xaa\x07\x00")),
                 ERR_MALFORMED);
    /* ACK with a PING's */
    cr_assert_eq(
        decode_head(SLICE_LITERAL(HEAD("\x0e") "\xaa\x07\x02\x08\x05")),
        ERR_MALFORMED);
}

/* Changes the message's only body byte of this value into another one. */
static int decode_with(const struct peer_msg *msg, uint8_t from, uint8_t to)
{
    size_t found = 0;

    encode(msg);
    for (size_t i = PREFIX; i < bytes.len; i++) {
        if (bytes.data[i] == from) {
            bytes.data[i] = to;
            found++;
        }
    }
    cr_assert_eq(found, 1);
    seal();
    return decode();
}

Test(proto_peer, a_state_is_one_of_four)
{
    struct peer_msg msg = {.type = PEER_VOTE};

    msg.vote.state = (enum peer_state)0x55;
    cr_assert_eq(decode_with(&msg, 0x55, PEER_ESTABLISHED), 0);
    cr_assert_eq(decode_with(&msg, 0x55, PEER_LOOKING), 0);
    cr_assert_eq(decode_with(&msg, 0x55, 0), ERR_MALFORMED);
    cr_assert_eq(decode_with(&msg, 0x55, PEER_ESTABLISHED + 1), ERR_MALFORMED);
}

Test(proto_peer, chunks_are_numbered_from_one)
{
    struct peer_msg msg = {.type = PEER_SNAP_ACK, .snap = {0x55, false}};

    cr_assert_eq(decode_with(&msg, 0x55, 1), 0);
    cr_assert_eq(decode_with(&msg, 0x55, 0), ERR_MALFORMED);
}

Test(proto_peer, ids_and_passwords_have_sixteen_bytes)
{
    static const struct {
        enum peer_msg_type type;
        uint8_t field; /* its tag in the body */
    } holders[] = {{PEER_NEW_EPOCH, 0x0a},
                   {PEER_OPEN_SESSION, 0x1a},
                   {PEER_REVALIDATE, 0x22}};

    for (size_t i = 0; i < sizeof(holders) / sizeof(holders[0]); i++) {
        struct peer_msg msg = {.type = holders[i].type};
        uint8_t *tag;

        /* It is the last field: sixteen zeros, of which one is lost. */
        encode(&msg);
        tag = &bytes.data[bytes.len - 18];
        cr_assert_eq(tag[0], holders[i].field);
        cr_assert_eq(tag[1], 16);
        tag[1] = 15;
        bytes.len--;
        /* The body's own length, behind its two bytes of tag. */
        for (uint8_t *at = bytes.data + PREFIX + 13; at < tag; at++) {
            if (at[0] == bytes.data + bytes.len - at) {
                at[0]--;
                break;
            }
        }
        bytes_store32(bytes.data + 8, (uint32_t)(bytes.len - PREFIX));
        seal();
        cr_assert_eq(decode(), ERR_MALFORMED, "%zu", i);
    }
}

Test(proto_peer, epoch_ends_rise_from_epoch_to_epoch)
{
    zxid_t ends[] = {zxid_make(1, 9), zxid_make(2, 3), zxid_make(2, 4)};
    struct peer_msg msg = {.type = PEER_ACK_EPOCH};

    msg.ack_epoch.epoch_ends = ends;
    msg.ack_epoch.epoch_ends_count = 2;
    encode(&msg);
    cr_assert_eq(decode(), 0);
    msg.ack_epoch.epoch_ends_count = 3;
    encode(&msg);
    cr_assert_eq(decode(), ERR_MALFORMED);
    ends[2] = zxid_make(1, 10);
    encode(&msg);
    cr_assert_eq(decode(), ERR_MALFORMED);
}

Test(proto_peer, epoch_ends_have_a_limit)
{
    zxid_t *ends = MEM_ARRAY(zxid_t, PEER_EPOCH_ENDS_MAX);
    struct peer_msg msg = {.type = PEER_ACK_EPOCH};

    for (uint32_t i = 0; i < PEER_EPOCH_ENDS_MAX; i++) {
        ends[i] = zxid_make(i + 1, 1);
    }
    msg.ack_epoch.epoch_ends = ends;
    msg.ack_epoch.epoch_ends_count = PEER_EPOCH_ENDS_MAX;
    encode(&msg);
    cr_assert_eq(decode(), 0);
    /* One more, by hand: ACK_EPOCH's body, then the list's field again. */
    buf_clear(&bytes);
    (void)buf_extend(&bytes, PREFIX);
    {
        uint32_t list_len = 8 * (PEER_EPOCH_ENDS_MAX + 1);
        uint32_t body_len = 15 + 4 + list_len;

        buf_append(&bytes, SLICE_LITERAL(HEAD("\x04") "\xc2\x06"));
        *buf_extend(&bytes, 1) = (uint8_t)(body_len | 0x80);
        *buf_extend(&bytes, 1) = (uint8_t)(body_len >> 7 | 0x80);
        *buf_extend(&bytes, 1) = (uint8_t)(body_len >> 14);
        buf_append(&bytes, SLICE_LITERAL("\x08\x01\x10\x01\x18\x01\x21"
                                         "\0\0\0\0\0\0\0\0\x2a"));
        *buf_extend(&bytes, 1) = (uint8_t)(list_len | 0x80);
        *buf_extend(&bytes, 1) = (uint8_t)(list_len >> 7 | 0x80);
        *buf_extend(&bytes, 1) = (uint8_t)(list_len >> 14);
    }
    for (uint32_t i = 0; i < PEER_EPOCH_ENDS_MAX + 1; i++) {
        zxid_t end = zxid_make(i + 1, 1);

        buf_append(&bytes, slice_make(&end, 8)); /* little-endian, as we are */
    }
    bytes_store32(bytes.data + 8, (uint32_t)(bytes.len - PREFIX));
    seal();
    cr_assert_eq(decode(), ERR_TOO_BIG);
    mem_free(ends);
}

Test(proto_peer, a_connection_has_so_many_ids)
{
    struct zk_auth *auth = MEM_ARRAY(struct zk_auth, PEER_AUTH_MAX);
    struct peer_msg msg = {
        .type = PEER_REQUEST, .payloads = &blob, .payloads_count = 1};

    for (size_t i = 0; i < PEER_AUTH_MAX; i++) {
        auth[i].scheme = SLICE_LITERAL("ip");
        auth[i].id = SLICE_LITERAL("::1");
    }
    msg.request.auth = auth;
    msg.request.auth_count = PEER_AUTH_MAX;
    encode(&msg);
    cr_assert_eq(decode(), 0);
    mem_free(auth);
    /* One more, by hand. */
    {
        struct buf head = {0};
        uint32_t body_len = 27 + (PEER_AUTH_MAX + 1) * 8;

        buf_append(&head, SLICE_LITERAL(HEAD("\x20") "\x22\x01\x00\xa2\x08"));
        *buf_extend(&head, 1) = (uint8_t)(body_len | 0x80);
        *buf_extend(&head, 1) = (uint8_t)(body_len >> 7);
        buf_append(&head, SLICE_LITERAL("\x09\0\0\0\0\0\0\0\0"
                                        "\x11\0\0\0\0\0\0\0\0"
                                        "\x19\0\0\0\0\0\0\0\0"));
        for (size_t i = 0; i < PEER_AUTH_MAX + 1; i++) {
            buf_append(&head, SLICE_LITERAL("\x22\x06\x0a\x00\x12\x00\x18"));
            *buf_extend(&head, 1) = 0;
        }
        cr_assert_eq(decode_head(buf_bytes(&head)), ERR_TOO_BIG);
        buf_finish(&head);
    }
}

Test(proto_peer, a_batch_has_so_many_payloads)
{
    struct blob **many = MEM_ARRAY(struct blob *, PEER_PAYLOADS_MAX);
    struct blob *empty = blob_copy(SLICE_LITERAL(""));
    struct peer_msg msg = propose(many, PEER_PAYLOADS_MAX), again;
    struct buf head = {0};

    for (size_t i = 0; i < PEER_PAYLOADS_MAX; i++) {
        many[i] = empty;
    }
    encode(&msg);
    cr_assert_eq(peer_msg_decode(rest(), arena, &again), 0);
    cr_assert_eq(again.payloads_count, PEER_PAYLOADS_MAX);
    peer_msg_finish(&again);
    /* One more, by hand: the list's length is 65537. */
    buf_append(&head, SLICE_LITERAL(HEAD("\x0d") "\x22\x81\x80\x04"));
    memset(buf_extend(&head, PEER_PAYLOADS_MAX + 1), 0, PEER_PAYLOADS_MAX + 1);
    cr_assert_eq(decode_head(buf_bytes(&head)), ERR_TOO_BIG);
    buf_finish(&head);
    blob_unref(empty);
    mem_free(many);
}

Test(proto_peer, a_batch_stays_in_its_epoch)
{
    struct blob *payloads[] = {blob, blob};
    struct peer_msg msg = propose(payloads, 2);

    msg.zxid = zxid_make(1, UINT32_MAX - 1);
    encode(&msg);
    cr_assert_eq(decode(), 0);
    msg.zxid = zxid_make(1, UINT32_MAX);
    encode(&msg);
    cr_assert_eq(decode(), ERR_MALFORMED);
}

Test(proto_peer, payloads_come_where_they_belong)
{
    /* A PROPOSE without one, an ACK with one, a REQUEST with two. */
    cr_assert_eq(decode_head(SLICE_LITERAL(HEAD("\x0d"))), ERR_MALFORMED);
    cr_assert_eq(decode_head(SLICE_LITERAL(HEAD("\x0d") "\x22\x01\x00")), 0);
    cr_assert_eq(decode_head(SLICE_LITERAL(HEAD("\x0e") "\x22\x01\x00")),
                 ERR_MALFORMED);
    cr_assert_eq(decode_head(SLICE_LITERAL(HEAD("\x27") "\x22\x01\x00")), 0);
    cr_assert_eq(decode_head(SLICE_LITERAL(HEAD("\x27") "\x22\x02\x00\x00")),
                 ERR_MALFORMED);
}

Test(proto_peer, payloads_must_be_in_the_frame)
{
    /* Of one byte, of 2^32 - 1: neither is there. */
    cr_assert_eq(decode_head(SLICE_LITERAL(HEAD("\x0d") "\x22\x01\x01")),
                 ERR_MALFORMED);
    cr_assert_eq(
        decode_head(SLICE_LITERAL(HEAD("\x0d") "\x22\x05\xff\xff\xff\xff\x0f")),
        ERR_MALFORMED);
    /* Two whose sum is 2^32. */
    cr_assert_eq(decode_head(SLICE_LITERAL(
                     HEAD("\x0d") "\x22\x06\xff\xff\xff\xff\x0f\x01")),
                 ERR_MALFORMED);
}

/* By hand, as whoever makes one is checked: RECLAIM and STATUS with a payload
 * of len bytes. */
static int decode_lists(uint8_t type, uint8_t len)
{
    uint8_t head[] = {8, type, 16, 0, 25,  0,    0, 0, 0, 0, 0,
                      0, 0,    34, 1, len, 0xea, 8, 2, 8, 1};
    size_t head_len = type == PEER_STATUS ? sizeof(head) : 16;

    buf_clear(&bytes);
    (void)buf_extend(&bytes, PREFIX);
    buf_append(&bytes, slice_make(head, head_len));
    memset(buf_extend(&bytes, len), 'x', len);
    bytes_store32(bytes.data + 8, (uint32_t)head_len);
    seal();
    return decode();
}

Test(proto_peer, lists_hold_whole_entries)
{
    for (uint8_t len = 0; len <= 100; len++) {
        cr_assert_eq(decode_lists(PEER_RECLAIM, len),
                     len % PEER_RECLAIM_SIZE == 0 ? 0 : ERR_MALFORMED);
        cr_assert_eq(decode_lists(PEER_STATUS, len),
                     len % PEER_STATUS_SIZE == 0 ? 0 : ERR_MALFORMED);
    }
}

/* By hand: a STATUS with a payload of len bytes that says of what size its
 * entries are. */
static int decode_status(uint8_t owned, uint8_t len)
{
    uint8_t head[] = {8, PEER_STATUS, 16, 0,   25,   0, 0, 0, 0, 0,  0,    0,
                      0, 34,          1,  len, 0xea, 8, 4, 8, 0, 16, owned};

    buf_clear(&bytes);
    (void)buf_extend(&bytes, PREFIX);
    buf_append(&bytes, slice_make(head, sizeof(head)));
    memset(buf_extend(&bytes, len), 'x', len);
    bytes_store32(bytes.data + 8, sizeof(head));
    seal();
    return decode();
}

Test(proto_peer, entries_of_a_status_have_the_size_that_it_says)
{
    for (uint8_t len = 0; len <= 64; len++) {
        cr_assert_eq(decode_status(0, len), len % 8 == 0 ? 0 : ERR_MALFORMED);
        cr_assert_eq(decode_status(1, len), len % 16 == 0 ? 0 : ERR_MALFORMED);
    }
}

/* Each is looked up by whoever takes them, in one step. */
Test(proto_peer, lists_are_not_longer_than_one_step)
{
    static const struct {
        struct peer_msg msg;
        size_t size, max;
    } lists[] = {
        {{.type = PEER_RECLAIM}, PEER_RECLAIM_SIZE, PEER_RECLAIM_MAX},
        {{.type = PEER_STATUS}, PEER_STATUS_SIZE, PEER_STATUS_MAX},
        {{.type = PEER_STATUS, .status = {.owned = true}},
         PEER_STATUS_OWNED_SIZE,
         PEER_STATUS_MAX},
    };

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        size_t len = lists[i].max * lists[i].size;
        struct peer_msg msg = lists[i].msg;
        struct blob *entries;
        struct buf head = {0};
        uint8_t *room, *at;

        entries = blob_create(len, &room);
        memset(room, 'x', len);
        msg.payloads = &entries;
        msg.payloads_count = 1;
        encode(&msg);
        cr_assert_eq(decode(), 0);
        /* One more, by hand: the size stands in the head. */
        buf_append(&head, slice_make(bytes.data + PREFIX,
                                     bytes_load32(bytes.data + 8)));
        at = memchr(head.data + 13, 0x22, head.len - 13);
        cr_assert_not_null(at);
        len += lists[i].size;
        at[2] = (uint8_t)(len | 0x80);
        at[3] = (uint8_t)(len >> 7 | 0x80);
        at[4] = (uint8_t)(len >> 14);
        buf_clear(&bytes);
        (void)buf_extend(&bytes, PREFIX);
        buf_append(&bytes, buf_bytes(&head));
        bytes_store32(bytes.data + 8, (uint32_t)head.len);
        memset(buf_extend(&bytes, len), 'x', len);
        seal();
        cr_assert_eq(decode(), ERR_TOO_BIG);
        buf_finish(&head);
        blob_unref(entries);
    }
}

Test(proto_peer, a_refused_part_is_one_of_the_parts)
{
    struct peer_msg msg = {.type = PEER_REFUSED};

    msg.refused.parts_count = 3;
    msg.refused.part_failed = 2;
    encode(&msg);
    cr_assert_eq(decode(), 0);
    msg.refused.part_failed = 3;
    encode(&msg);
    cr_assert_eq(decode(), ERR_MALFORMED);
    msg.refused.parts_count = 0;
    msg.refused.part_failed = 1;
    encode(&msg);
    cr_assert_eq(decode(), ERR_MALFORMED);
    msg.refused.parts_count = ZK_MULTI_PARTS_MAX + 1;
    encode(&msg);
    cr_assert_eq(decode(), ERR_TOO_BIG);
}

Test(proto_peer, names_are_those_of_the_table)
{
    cr_assert_str_eq(peer_msg_name(PEER_VOTE), "vote");
    cr_assert_str_eq(peer_msg_name(PEER_DIGEST), "digest");
    cr_assert_str_eq(peer_msg_name((enum peer_msg_type)31), "unknown");
}

static void check_text(const struct peer_msg *msg, const char *want)
{
    char text[256], piece[10];
    size_t len = peer_msg_format(msg, text, sizeof(text));

    cr_assert_str_eq(text, want);
    cr_assert_eq(len, strlen(want));
    cr_assert_eq(peer_msg_format(msg, piece, sizeof(piece)), len);
    cr_assert_eq(strncmp(piece, want, sizeof(piece) - 1), 0);
    cr_assert_eq(peer_msg_format(msg, NULL, 0), len);
}

Test(proto_peer, a_message_is_one_line)
{
    struct blob *payloads[] = {blob, blob};
    struct peer_msg msg = propose(payloads, 2);

    check_text(&msg, "propose epoch=1 zxid=1.1 payloads=2 bytes=14");
    msg = (struct peer_msg){.type = PEER_VOTE,
                            .epoch = 3,
                            .zxid = zxid_make(3, 17),
                            .vote = {2, 4, PEER_FOLLOWING, true, true}};
    check_text(&msg, "vote epoch=3 zxid=3.17 for=2 round=4 following blank "
                     "no-log");
    msg = (struct peer_msg){.type = PEER_PING, .epoch = 3};
    check_text(&msg, "ping epoch=3");
    msg = (struct peer_msg){.type = PEER_PONG, .epoch = 3, .ping = {7}};
    check_text(&msg, "pong epoch=3 round=7");
    msg =
        (struct peer_msg){.type = PEER_SNAP_ACK, .epoch = 3, .snap = {4, true}};
    check_text(&msg, "snap-ack epoch=3 number=4 last");
    msg = (struct peer_msg){.type = PEER_REFUSED,
                            .zxid = zxid_make(3, 17),
                            .refused = {9, -101, 4, 2}};
    check_text(&msg, "refused zxid=3.17 code=-101 request=9 part=2/4");
}

Test(proto_peer, a_line_shows_no_secrets)
{
    static const struct zk_auth auth = {
        {(const uint8_t *)"digest", 6}, {(const uint8_t *)"bob:xyz", 7}, false};
    struct peer_msg msg = {.type = PEER_REQUEST,
                           .payloads = &blob,
                           .payloads_count = 1,
                           .request = {0x12, 3, 4, &auth, 1}};

    check_text(&msg, "request session=0x12 attachment=3 request=4 bytes=7");
    msg = (struct peer_msg){.type = PEER_REVALIDATE,
                            .revalidate = {0x12, 4, 30000, "hidden"}};
    check_text(&msg, "revalidate session=0x12 timeout=30000 request=4");
    msg = (struct peer_msg){.type = PEER_OPEN_SESSION,
                            .open_session = {4, 30000, "hidden"}};
    check_text(&msg, "open-session timeout=30000 request=4");
}
