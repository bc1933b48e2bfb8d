#include <criterion/criterion.h>

#include "base/err.h"
#include "proto/txn.h"
#include "tests/support/disk_samples.h"

static struct arena *arena;
static struct buf bytes;

static void set_up(void)
{
    arena = arena_create(4096);
}

static void tear_down(void)
{
    arena_destroy(arena);
    buf_finish(&bytes);
}

TestSuite(proto_txn, .init = set_up, .fini = tear_down);

Test(proto_txn, comes_back_as_it_was)
{
    size_t count;
    const struct txn *samples = sample_txns(&count);

    for (size_t i = 0; i < count; i++) {
        struct txn again;
        size_t before = bytes.len; /* it appends */
        struct slice encoded;

        txn_encode(&samples[i], &bytes);
        encoded = slice_after(buf_bytes(&bytes), before);
        cr_assert_eq(encoded.len, txn_encoded_size(&samples[i]));
        cr_assert_eq(txn_decode(encoded, arena, &again), 0, "%zu", i);
        cr_assert(txn_is_equal(&samples[i], &again), "%zu", i);
    }
}

/* The log may go while the txn is looked at. */
Test(proto_txn, lives_without_its_bytes)
{
    size_t count;
    const struct txn *samples = sample_txns(&count);

    for (size_t i = 0; i < count; i++) {
        struct txn again;

        buf_clear(&bytes);
        txn_encode(&samples[i], &bytes);
        cr_assert_eq(txn_decode(buf_bytes(&bytes), arena, &again), 0);
        memset(bytes.data, 0xee, bytes.capacity);
        cr_assert(txn_is_equal(&samples[i], &again), "%zu", i);
    }
}

Test(proto_txn, null_data_is_not_empty_data)
{
    struct txn txn = {.op = ZK_OP_SET_DATA, .request_op = ZK_OP_SET_DATA};
    struct txn again;

    txn.set_data.path = SLICE_LITERAL("/a");
    txn_encode(&txn, &bytes);
    cr_assert_eq(txn_decode(buf_bytes(&bytes), arena, &again), 0);
    cr_assert(slice_is_absent(again.set_data.data));
    buf_clear(&bytes);
    txn.set_data.data = SLICE_LITERAL("");
    txn_encode(&txn, &bytes);
    cr_assert_eq(txn_decode(buf_bytes(&bytes), arena, &again), 0);
    cr_assert_not(slice_is_absent(again.set_data.data));
    cr_assert_eq(again.set_data.data.len, 0);
}

Test(proto_txn, the_open_acl_costs_nothing)
{
    static const struct zk_acl open = {
        31, {{(const uint8_t *)"world", 5}, {(const uint8_t *)"anyone", 6}}};
    static const struct zk_acl other = {
        31, {{(const uint8_t *)"world", 5}, {(const uint8_t *)"anybod", 6}}};
    struct txn txn = {.op = ZK_OP_CREATE, .request_op = ZK_OP_CREATE};
    size_t size;

    txn.create.path = SLICE_LITERAL("/a");
    txn.create.acl = &open;
    txn.create.acl_count = 1;
    size = txn_encoded_size(&txn);
    txn.create.acl = &other;
    cr_assert_gt(txn_encoded_size(&txn), size + 11);
    txn.create.acl_count = 0; /* none at all is something else again */
    cr_assert_gt(txn_encoded_size(&txn), size);
}

/* A set of 100 bytes: what a busy log is made of. */
Test(proto_txn, a_set_is_small)
{
    struct txn txn = {.session_id = UINT64_MAX,
                      .origin_id = 1,
                      .origin_request = UINT64_MAX,
                      .cxid = 1000,
                      .time_ms = INT64_C(1700000000000),
                      .op = ZK_OP_SET_DATA,
                      .request_op = ZK_OP_SET_DATA};
    uint8_t data[100] = {0};

    txn.set_data.path = SLICE_LITERAL("/12345678");
    txn.set_data.data = slice_make(data, sizeof(data));
    txn.set_data.version = 1000;
    cr_assert_leq(txn_encoded_size(&txn), 100 + 9 + 60);
}

/* Every kind of damage, by hand: fields are a tag (number * 8 + wire type) and
 * a value. */
#define SESSION "\x09\0\0\0\0\0\0\0\0"
#define TIME "\x11\0\0\0\0\0\0\0\0"
#define CHANGE(size) "\x32" size
#define PART(size) "\x3a" size
#define OP_SET "\x08\x0a"
#define OP_CREATE "\x08\x02"
#define OP_CREATE_SESSION "\x08\x13"
#define PATH "\x1a\x02/a"
#define VERSION "\x28\x02"

struct malformed {
    const char *what;
    struct slice bytes;
};

#define ROW(what, text)                               \
    {                                                 \
        what,                                         \
        {                                             \
            (const uint8_t *)(text), sizeof(text) - 1 \
        }                                             \
    }

static const struct malformed rows[] = {
    ROW("nothing", ""),
    ROW("no time", SESSION CHANGE("\x08") OP_SET PATH VERSION),
    ROW("no session", TIME CHANGE("\x08") OP_SET PATH VERSION),
    ROW("cut in a number", SESSION "\x11\0\0\0"),
    ROW("no op", SESSION TIME CHANGE("\x06") PATH VERSION),
    ROW("no path", SESSION TIME CHANGE("\x04") OP_SET VERSION),
    ROW("empty path", SESSION TIME CHANGE("\x06") OP_SET "\x1a\x00" VERSION),
    ROW("relative", SESSION TIME CHANGE("\x07") OP_SET "\x1a\x01z" VERSION),
    ROW("no version", SESSION TIME CHANGE("\x06") OP_SET PATH),
    ROW("unknown op", SESSION TIME CHANGE("\x08") "\x08\x7e" PATH VERSION),
    ROW("get is no txn", SESSION TIME CHANGE("\x08") "\x08\x08" PATH VERSION),
    ROW("set answered as create",
        SESSION TIME CHANGE("\x0a") OP_SET "\x10\x02" PATH VERSION),
    ROW("check alone", SESSION TIME CHANGE("\x06") "\x08\x1a" PATH),
    ROW("multi as a change", SESSION TIME CHANGE("\x02") "\x08\x1c"),
    ROW("multi in a multi", SESSION TIME PART("\x02") "\x08\x1c"),
    ROW("session in a multi", SESSION TIME PART("\x02") "\x08\x15"),
    ROW("change and parts",
        SESSION TIME CHANGE("\x08") OP_SET PATH VERSION PART("\x08")
            OP_SET PATH VERSION),
    ROW("bad part",
        SESSION TIME PART("\x08") OP_SET PATH VERSION PART("\x02") OP_SET),
    ROW("no password",
        SESSION TIME CHANGE("\x04") OP_CREATE_SESSION "\x50\x01"),
    ROW("short password",
        SESSION TIME CHANGE("\x15") OP_CREATE_SESSION "\x50\x01\x5a\x0f"
                                                      "123456789012345"),
    ROW("long password",
        SESSION TIME CHANGE("\x17") OP_CREATE_SESSION "\x50\x01\x5a\x11"
                                                      "12345678901234567"),
    ROW("no timeout",
        SESSION TIME CHANGE("\x14") OP_CREATE_SESSION "\x5a\x10"
                                                      "1234567890123456"),
    ROW("ttl of 0",
        SESSION TIME CHANGE("\x0f") OP_CREATE PATH "\x31\0\0\0\0\0\0\0\xff"),
    ROW("unknown kind of node",
        SESSION TIME CHANGE("\x0f") OP_CREATE PATH "\x31\1\0\0\0\0\1\0\xff"),
    ROW("acl without an id",
        SESSION TIME CHANGE("\x0a") OP_CREATE PATH "\x42\x02\x08\x01"),
    ROW("a length over the end", SESSION TIME CHANGE("\xff\xff\xff\x7f")),
};

Test(proto_txn, what_is_not_one_is_malformed)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct txn txn;

        cr_assert_eq(txn_decode(rows[i].bytes, arena, &txn), ERR_MALFORMED,
                     "%s", rows[i].what);
    }
}

/* The rows above are bad for the reason they give. */
Test(proto_txn, the_same_by_hand_and_good)
{
    static const struct malformed good[] = {
        ROW("set", SESSION TIME CHANGE("\x08") OP_SET PATH VERSION),
        ROW("multi", SESSION TIME PART("\x06") "\x08\x1a" PATH),
        ROW("ttl", SESSION TIME CHANGE("\x0f") OP_CREATE PATH
            "\x31\1\0\0\0\0\0\0\xff"),
        ROW("session",
            SESSION TIME CHANGE("\x16") OP_CREATE_SESSION "\x50\x01\x5a\x10"
                                                          "1234567890123456"),
        ROW("empty multi", SESSION TIME),
    };

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct txn txn;

        cr_assert_eq(txn_decode(good[i].bytes, arena, &txn), 0, "%s",
                     good[i].what);
    }
}

Test(proto_txn, owners_tell_the_kind_of_node)
{
    cr_assert_eq(zk_owner_kind(0), ZK_NODE_PERSISTENT);
    cr_assert_eq(zk_owner_kind(1), ZK_NODE_EPHEMERAL);
    cr_assert_eq(zk_owner_kind(UINT64_C(0xfe00000100000001)),
                 ZK_NODE_EPHEMERAL);
    cr_assert_eq(zk_owner_kind(UINT64_C(0x8000000000000000)),
                 ZK_NODE_CONTAINER);
    cr_assert_eq(zk_owner_kind(UINT64_C(0x8000000000000001)),
                 ZK_NODE_EPHEMERAL);
    cr_assert_eq(zk_owner_from_ttl(1), UINT64_C(0xff00000000000001));
    cr_assert_eq(zk_owner_kind(zk_owner_from_ttl(5)), ZK_NODE_TTL);
    cr_assert_eq(zk_owner_ttl_ms(zk_owner_from_ttl(ZK_TTL_MS_MAX)),
                 ZK_TTL_MS_MAX);
}
