/* Memberwise equality of the client protocol's records. */
#include "tests/support/client_samples.h"

static bool parts_equal(const struct client_reply *a,
                        const struct client_reply *b);
static bool bodies_equal(const struct client_reply *a,
                         const struct client_reply *b);
static enum zk_op wire_op(const struct client_reply *part);

static bool bytes_equal(struct slice a, struct slice b)
{
    return slice_is_absent(a) == slice_is_absent(b) && slice_equal(a, b);
}

static bool strings_equal(const struct slice *a, size_t a_count,
                          const struct slice *b, size_t b_count)
{
    bool equal = (a == NULL) == (b == NULL) && a_count == b_count;

    for (size_t i = 0; equal && i < a_count; i++) {
        equal = bytes_equal(a[i], b[i]);
    }
    return equal;
}

#define RECORD(name)                                    \
    static bool equal_##name(const struct zk_##name *a, \
                             const struct zk_##name *b) \
    {                                                   \
        bool equal = true;
#define BOOL(name) equal = equal && a->name == b->name;
#define INT(name) equal = equal && a->name == b->name;
#define LONG(name) equal = equal && a->name == b->name;
#define ULONG(name) equal = equal && a->name == b->name;
#define BYTES(name) equal = equal && bytes_equal(a->name, b->name);
#define NESTED(type, name) equal = equal && equal_##type(&a->name, &b->name);
#define VECTOR(type, name)                                  \
    equal = equal && a->name##_count == b->name##_count &&  \
            (a->name == NULL) == (b->name == NULL);         \
    for (size_t i = 0; equal && i < a->name##_count; i++) { \
        equal = equal_##type(&a->name[i], &b->name[i]);     \
    }
#define STRINGS(name) \
    equal = equal &&  \
            strings_equal(a->name, a->name##_count, b->name, b->name##_count);
#define END(name) \
    return equal; \
    }
#pragma GCC diagnostic ignored "-Wunused-function"
#include "proto/client_records.def"

bool client_request_equal(const struct client_request *a,
                          const struct client_request *b)
{
    if (a->xid != b->xid || a->op != b->op) {
        return false;
    }
    switch (a->op) {
        case ZK_OP_CREATE:
        case ZK_OP_CREATE2:
        case ZK_OP_CREATE_CONTAINER:
        case ZK_OP_CREATE_TTL:
            return equal_create_ttl_request(&a->create, &b->create);
        case ZK_OP_DELETE:
        case ZK_OP_CHECK:
            return equal_path_version(&a->path_version, &b->path_version);
        case ZK_OP_EXISTS:
        case ZK_OP_GET_DATA:
        case ZK_OP_GET_CHILDREN:
        case ZK_OP_GET_CHILDREN2:
            return equal_path_watch(&a->path_watch, &b->path_watch);
        case ZK_OP_GET_ACL:
        case ZK_OP_SYNC:
        case ZK_OP_GET_EPHEMERALS:
        case ZK_OP_GET_ALL_CHILDREN_NUMBER:
            return equal_path(&a->path, &b->path);
        case ZK_OP_SET_DATA:
            return equal_set_data_request(&a->set_data, &b->set_data);
        case ZK_OP_SET_ACL:
            return equal_set_acl_request(&a->set_acl, &b->set_acl);
        case ZK_OP_RECONFIG:
            return equal_reconfig_request(&a->reconfig, &b->reconfig);
        case ZK_OP_CHECK_WATCHES:
        case ZK_OP_REMOVE_WATCHES:
        case ZK_OP_ADD_WATCH:
            return equal_path_type(&a->path_type, &b->path_type);
        case ZK_OP_AUTH:
            return equal_auth_request(&a->auth, &b->auth);
        case ZK_OP_SET_WATCHES:
        case ZK_OP_SET_WATCHES2:
            return equal_set_watches2_request(&a->set_watches, &b->set_watches);
        case ZK_OP_SASL:
            return equal_token(&a->token, &b->token);
        case ZK_OP_MULTI:
        case ZK_OP_MULTI_READ:
            break;
        default:
            return true;
    }
    for (size_t i = 0; i < a->multi.count && i < b->multi.count; i++) {
        struct client_request part = a->multi.ops[i];

        part.xid = b->multi.ops[i].xid;
        if (!client_request_equal(&part, &b->multi.ops[i])) {
            return false;
        }
    }
    return a->multi.count == b->multi.count;
}

bool client_reply_equal(const struct client_reply *a,
                        const struct client_reply *b)
{
    return a->xid == b->xid && a->op == b->op && a->zxid == b->zxid &&
           a->code == b->code && (a->code != ZK_OK || bodies_equal(a, b));
}

static bool parts_equal(const struct client_reply *a,
                        const struct client_reply *b)
{
    bool equal = a->multi.count == b->multi.count;

    for (size_t i = 0; equal && i < a->multi.count; i++) {
        const struct client_reply *left = &a->multi.parts[i];
        const struct client_reply *right = &b->multi.parts[i];

        equal = wire_op(left) == wire_op(right) && left->code == right->code &&
                (wire_op(left) == ZK_OP_ERROR || bodies_equal(left, right));
    }
    return equal;
}

static bool bodies_equal(const struct client_reply *a,
                         const struct client_reply *b)
{
    switch (a->op) {
        case ZK_OP_CREATE:
        case ZK_OP_SYNC:
            return equal_path(&a->path, &b->path);
        case ZK_OP_CREATE2:
        case ZK_OP_CREATE_CONTAINER:
        case ZK_OP_CREATE_TTL:
            return equal_path_stat(&a->path_stat, &b->path_stat);
        case ZK_OP_EXISTS:
        case ZK_OP_SET_DATA:
        case ZK_OP_SET_ACL:
            return equal_stat(&a->stat, &b->stat);
        case ZK_OP_GET_DATA:
        case ZK_OP_RECONFIG:
            return equal_data_response(&a->data, &b->data);
        case ZK_OP_GET_ACL:
            return equal_acl_response(&a->acl, &b->acl);
        case ZK_OP_GET_CHILDREN:
        case ZK_OP_GET_EPHEMERALS:
            return equal_strings_response(&a->names, &b->names);
        case ZK_OP_GET_CHILDREN2:
            return equal_children2_response(&a->children2, &b->children2);
        case ZK_OP_GET_ALL_CHILDREN_NUMBER:
        case ZK_OP_ADD_WATCH:
            return equal_int_response(&a->value, &b->value);
        case ZK_OP_WHO_AM_I:
            return equal_who_am_i_response(&a->infos, &b->infos);
        case ZK_OP_SASL:
            return equal_token(&a->token, &b->token);
        case ZK_OP_MULTI:
        case ZK_OP_MULTI_READ:
            return parts_equal(a, b);
        default:
            return true;
    }
}

static enum zk_op wire_op(const struct client_reply *part)
{
    if (part->code != ZK_OK) {
        return ZK_OP_ERROR;
    }
    return part->op == ZK_OP_CREATE_CONTAINER || part->op == ZK_OP_CREATE_TTL
               ? ZK_OP_CREATE2
               : part->op;
}
