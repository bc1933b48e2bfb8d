#include <criterion/criterion.h>

#include "proto/text.h"
#include "tests/support/client_samples.h"

static struct buf out;

static void setup(void)
{
    buf_init(&out);
}

static void teardown(void)
{
    buf_finish(&out);
}

TestSuite(proto_text, .init = setup, .fini = teardown);

static void assert_text(const char *expected)
{
    buf_append(&out, slice_make("", 1));
    cr_assert_str_eq((const char *)out.data, expected);
    buf_clear(&out);
}

static bool out_has(const char *text)
{
    size_t len = strlen(text);

    for (size_t i = 0; i + len <= out.len; i++) {
        if (memcmp(out.data + i, text, len) == 0) {
            return true;
        }
    }
    return false;
}

Test(proto_text, quotes_escape_what_could_forge_a_line)
{
    text_append_quoted(&out, SLICE_LITERAL("/a\n\"b\"\\\t\r\x1b[2J\xc3\0"));
    assert_text("\"/a\\n\\\"b\\\"\\\\\\t\\r\\x1b[2J\\xc3\\x00\"");
    text_append_quoted(&out, slice_make(NULL, 0));
    assert_text("null");
    text_append_quoted(&out, SLICE_LITERAL(""));
    assert_text("\"\"");
}

Test(proto_text, long_strings_are_cut)
{
    uint8_t bytes[257];

    memset(bytes, 'x', sizeof(bytes));
    text_append_quoted(&out, slice_make(bytes, 256));
    cr_assert_eq(out.len, 258);
    cr_assert_not(out_has("..."));
    buf_clear(&out);
    text_append_quoted(&out, slice_make(bytes, 257));
    cr_assert_eq(out.len, 261);
    cr_assert(out_has("x...\""));
}

Test(proto_text, a_request_is_its_operation_and_fields)
{
    struct client_request request = {
        .xid = 5,
        .op = ZK_OP_SET_DATA,
        .set_data = {SLICE_LITERAL("/a"), SLICE_LITERAL("secret"), -1}};

    client_request_text(&request, &out);
    assert_text("setData xid=5 path=\"/a\" data=6B version=-1");
    request = (struct client_request){.xid = -2, .op = ZK_OP_PING};
    client_request_text(&request, &out);
    assert_text("ping xid=-2");
}

Test(proto_text, auth_data_is_never_shown)
{
    struct client_request request = {
        .xid = -4,
        .op = ZK_OP_AUTH,
        .auth = {0, SLICE_LITERAL("digest"), SLICE_LITERAL("u:p")}};

    client_request_text(&request, &out);
    assert_text("auth xid=-4 scheme=\"digest\" auth=3B");
    request = (struct client_request){
        .xid = 1, .op = ZK_OP_SASL, .token = {SLICE_LITERAL("tok")}};
    client_request_text(&request, &out);
    assert_text("sasl xid=1 token=3B");
}

Test(proto_text, a_session_password_is_never_shown)
{
    struct txn txn = {.session_id = 0x10,
                      .cxid = 1,
                      .op = ZK_OP_CREATE_SESSION,
                      .create_session = {30000, "passwordpassword"}};

    txn_text(&txn, &out);
    assert_text("createSession session=0x10 cxid=1 timeout=30000");
}

Test(proto_text, every_request_is_one_printable_line)
{
    for (size_t i = 0; i < client_sample_requests_count; i++) {
        buf_clear(&out);
        client_request_text(&client_sample_requests[i], &out);
        cr_assert_gt(out.len, 0);
        for (size_t j = 0; j < out.len; j++) {
            cr_assert(out.data[j] >= 0x20 && out.data[j] < 0x7f);
        }
        cr_assert_not(out_has("password"));
    }
}

Test(proto_text, a_long_multi_is_cut)
{
    struct client_request ops[20];
    struct client_request request = {.xid = 1, .op = ZK_OP_MULTI};

    for (size_t i = 0; i < 20; i++) {
        ops[i] = (struct client_request){
            .op = ZK_OP_DELETE, .path_version = {SLICE_LITERAL("/a"), 0}};
    }
    request.multi.ops = ops;
    request.multi.count = 2;
    client_request_text(&request, &out);
    assert_text("multi xid=1 [delete path=\"/a\" version=0; "
                "delete path=\"/a\" version=0]");
    request.multi.count = 20;
    client_request_text(&request, &out);
    cr_assert(out_has("; and 12 more]"));
}

Test(proto_text, replies_and_txns_name_what_happened)
{
    struct client_reply reply = {
        .xid = 3, .op = ZK_OP_GET_DATA, .zxid = 0x10, .code = ZK_NO_NODE};
    struct txn part = {.op = ZK_OP_CHECK, .check = {SLICE_LITERAL("/c")}};
    struct txn txn = {
        .session_id = 1, .cxid = 2, .op = ZK_OP_MULTI, .multi = {&part, 1}};

    client_reply_text(&reply, &out);
    assert_text("getData xid=3 zxid=0x10 code=-101 (no node)");
    txn_text(&txn, &out);
    assert_text("multi session=0x1 cxid=2 [check path=\"/c\"]");
    txn = (struct txn){.session_id = 1,
                       .op = ZK_OP_CREATE,
                       .create = {.path = SLICE_LITERAL("/d"),
                                  .ephemeral_owner = 1,
                                  .parent_sequence = 4}};
    txn_text(&txn, &out);
    assert_text("create session=0x1 cxid=0 path=\"/d\" data=null acls=0 "
                "owner=0x1 sequence=4");
}
