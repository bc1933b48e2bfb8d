#include "proto/client_op.h"

/* Numbers of the first and the last operation: the ends of the table below. */
#define OP_FIRST ZK_OP_MOVE_SESSION
#define OP_LAST ZK_OP_WHO_AM_I

static const struct client_op ops[] = {
#define X(name, number, text, lop, kind) {(text), (lop), ZK_OP_##name, (kind)},
    ZK_OP_MAP(X)
#undef X
};

enum {
#define X(name, number, text, lop, kind) ROW_##name,
    ZK_OP_MAP(X)
#undef X
};

/* From a number to its row plus one; 0 where there is no such operation. */
static const uint8_t rows[OP_LAST - OP_FIRST + 1] = {
#define X(name, number, text, lop, kind) [(number)-OP_FIRST] = ROW_##name + 1,
    ZK_OP_MAP(X)
#undef X
};

static const struct {
    int32_t code;
    const char *text;
} codes[] = {
#define X(name, value, text) {(value), (text)},
    ZK_CODE_MAP(X)
#undef X
};

const struct client_op *client_op_find(int32_t op)
{
    if (op < OP_FIRST || op > OP_LAST || rows[op - OP_FIRST] == 0) {
        return NULL;
    }
    return &ops[rows[op - OP_FIRST] - 1];
}

const char *zk_code_text(int32_t code)
{
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i].code == code) {
            return codes[i].text;
        }
    }
    return "unknown code";
}
