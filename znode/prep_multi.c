#include "znode/prep_internal.h"

/* All parts or none: they see each other's changes through the pending ones,
 * in the caller's savepoint. */
enum zk_code prep_multi(struct prep_work *work,
                        const struct client_request *request, struct txn *txn,
                        size_t *failed_index)
{
    size_t count = request->multi.count;
    struct txn *parts = ARENA_NEW(work->arena, struct txn, count);

    for (size_t i = 0; i < count; i++) {
        enum zk_code code;

        parts[i] = (struct txn){0};
        code = prep_part(work, &request->multi.ops[i], &parts[i]);
        if (code != ZK_OK) {
            *failed_index = i;
            return code;
        }
        /* One part may be many times its request, when it says "auth" for all
         * that the connection has proved: no need to make them all. */
        if (work->size_min > work->context->txn_size_max) {
            return ZK_MARSHALLING_ERROR;
        }
    }
    txn->op = txn->request_op = ZK_OP_MULTI;
    txn->multi.ops = parts;
    txn->multi.count = count;
    return ZK_OK;
}
