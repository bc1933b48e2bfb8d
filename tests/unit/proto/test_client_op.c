#include <criterion/criterion.h>

#include "proto/client_op.h"

Test(proto_client_op, every_operation_is_found_by_its_number)
{
#define X(name_, number, text, lop_, kind_)                  \
    do {                                                     \
        const struct client_op *op = client_op_find(number); \
                                                             \
        cr_assert_not_null(op);                              \
        cr_assert_eq(op->op, ZK_OP_##name_);                 \
        cr_assert_str_eq(op->name, text);                    \
        cr_assert_str_eq(op->lop, lop_);                     \
        cr_assert_eq(op->kind, kind_);                       \
    } while (0);
    ZK_OP_MAP(X)
#undef X
}

Test(proto_client_op, no_other_number_is_an_operation)
{
    static const int32_t unknown[] = {INT32_MIN, -100,    -13,      -9, -2,
                                      10,        23,      24,       99, 108,
                                      109,       1 << 24, INT32_MAX};
    size_t found = 0, expected = 0;

    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        cr_assert_null(client_op_find(unknown[i]), "%d", unknown[i]);
    }
    for (int32_t op = -1000; op < 1000; op++) {
        found += client_op_find(op) != NULL;
    }
#define X(name, number, text, lop, kind) expected++;
    ZK_OP_MAP(X)
#undef X
    cr_assert_eq(found, expected);
}

Test(proto_client_op, only_what_a_client_may_send_is_not_internal)
{
    cr_assert_eq(client_op_find(-10)->kind, ZK_OP_INTERNAL);
    cr_assert_eq(client_op_find(20)->kind, ZK_OP_INTERNAL);
    cr_assert_eq(client_op_find(0)->kind, ZK_OP_INTERNAL);
    cr_assert_eq(client_op_find(13)->kind, ZK_OP_NESTED);
}

Test(proto_client_op, codes_have_texts)
{
    cr_assert_str_eq(zk_code_text(ZK_NO_NODE), "no node");
    cr_assert_str_eq(zk_code_text(0), "ok");
    cr_assert_str_eq(zk_code_text(-999), "unknown code");
}
