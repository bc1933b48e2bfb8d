#include "tests/support/disk_samples.h"

#define TEXT(text)                                \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define OPEN_ACL .acl = open_acl, .acl_count = 1
#define HEADER                                                  \
    .session_id = UINT64_C(0xfe00000200000009), .origin_id = 1, \
    .origin_request = UINT64_C(0x100000007), .cxid = 42,        \
    .time_ms = INT64_C(1700000000123)

static const struct zk_acl open_acl[] = {
    {31, {TEXT("world"), TEXT("anyone")}},
};
static const struct zk_acl nearly_open_acl[] = {
    {30, {TEXT("world"), TEXT("anyone")}},
};
/* More than are built on the stack. */
static const struct zk_acl long_acl[] = {
    {1, {TEXT("ip"), TEXT("10.0.0.0/8")}},
    {2, {TEXT("digest"), TEXT("bob:xyz")}},
    {4, {TEXT("digest"), TEXT("eve:xyz")}},
    {8, {TEXT("auth"), TEXT("")}},
    {16, {TEXT("world"), TEXT("anyone")}},
    {31, {TEXT("sasl"), TEXT("u@EXAMPLE")}},
};

static const struct txn parts[] = {
    {.op = ZK_OP_CHECK, .request_op = ZK_OP_CHECK, .check = {TEXT("/m")}},
    {.op = ZK_OP_CREATE,
     .request_op = ZK_OP_CREATE2,
     .create = {.path = TEXT("/m/a"), .data = TEXT("1"), OPEN_ACL}},
    {.op = ZK_OP_CREATE,
     .request_op = ZK_OP_CREATE,
     .create = {.path = TEXT("/m/b"), .acl = long_acl, .acl_count = 6}},
    {.op = ZK_OP_SET_DATA,
     .request_op = ZK_OP_SET_DATA,
     .set_data = {TEXT("/m"), TEXT(""), -1}},
    {.op = ZK_OP_DELETE, .request_op = ZK_OP_DELETE, .remove = {TEXT("/m/a")}},
    {.op = ZK_OP_SET_ACL,
     .request_op = ZK_OP_SET_ACL,
     .set_acl = {TEXT("/m"), nearly_open_acl, 1, 2}},
};

static const struct txn txns[] = {
    {HEADER, .op = ZK_OP_SET_DATA, .request_op = ZK_OP_SET_DATA,
     .set_data = {TEXT("/a"), TEXT("data"), 7}},
    {HEADER, .op = ZK_OP_SET_DATA, .request_op = ZK_OP_SET_DATA,
     .set_data = {TEXT("/null"), {0}, INT32_MIN}},
    {.op = ZK_OP_SET_DATA,
     .request_op = ZK_OP_SET_DATA,
     .set_data = {TEXT("/empty"), TEXT(""), INT32_MAX}},
    {HEADER, .op = ZK_OP_CREATE, .request_op = ZK_OP_CREATE,
     .create = {TEXT("/a"), TEXT("data"), 0, 1, OPEN_ACL}},
    {HEADER, .op = ZK_OP_CREATE, .request_op = ZK_OP_CREATE2,
     .create = {TEXT("/e-4294967296"),
                {0},
                UINT64_C(0xfe00000200000009),
                UINT64_C(4294967297),
                .acl = long_acl,
                .acl_count = 6}},
    {HEADER, .op = ZK_OP_CREATE, .request_op = ZK_OP_CREATE_CONTAINER,
     .create = {TEXT("/c"), TEXT(""), ZK_OWNER_CONTAINER, 2, OPEN_ACL}},
    {HEADER, .op = ZK_OP_CREATE, .request_op = ZK_OP_CREATE_TTL,
     .create = {TEXT("/t"), TEXT("x"), UINT64_C(0xff00000000000001), 3,
                .acl = nearly_open_acl, .acl_count = 1}},
    {HEADER, .op = ZK_OP_CREATE, .request_op = ZK_OP_CREATE,
     .create = {TEXT("/no-acl"), TEXT("x"), 0, UINT64_MAX, .acl = NULL}},
    {HEADER, .op = ZK_OP_DELETE, .request_op = ZK_OP_DELETE,
     .remove = {TEXT("/a")}},
    {.time_ms = -1,
     .op = ZK_OP_DELETE,
     .request_op = ZK_OP_DELETE_CONTAINER,
     .remove = {TEXT("/c")}},
    {HEADER, .op = ZK_OP_SET_ACL, .request_op = ZK_OP_SET_ACL,
     .set_acl = {TEXT("/a"), open_acl, 1, 3}},
    {HEADER, .op = ZK_OP_SET_ACL, .request_op = ZK_OP_SET_ACL,
     .set_acl = {TEXT("/a"), long_acl, 4, 4}},
    {HEADER, .op = ZK_OP_CREATE_SESSION, .request_op = ZK_OP_CREATE_SESSION,
     .create_session = {30000, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 255}}},
    {HEADER, .op = ZK_OP_CLOSE_SESSION, .request_op = ZK_OP_CLOSE_SESSION},
    {HEADER, .op = ZK_OP_MOVE_SESSION, .request_op = ZK_OP_MOVE_SESSION},
    {HEADER, .op = ZK_OP_MULTI, .request_op = ZK_OP_MULTI,
     .multi = {parts, COUNT(parts)}},
    {HEADER, .op = ZK_OP_MULTI, .request_op = ZK_OP_MULTI, .multi = {parts, 1}},
    {HEADER, .op = ZK_OP_MULTI, .request_op = ZK_OP_MULTI},
};

static const struct znode_record znodes[] = {
    {.path = TEXT("/plain"),
     .data = TEXT("data"),
     .czxid = 5,
     .mzxid = 5,
     .pzxid = 5,
     .ctime_ms = 1000,
     .mtime_ms = 1000,
     OPEN_ACL},
    {.path = TEXT("/changed"),
     .data = TEXT(""),
     .czxid = UINT64_C(0x100000005),
     .mzxid = UINT64_C(0x200000001),
     .pzxid = UINT64_C(0x300000001),
     .ctime_ms = 1000,
     .mtime_ms = 2000,
     .version = 3,
     .aversion = -1,
     .sequence = UINT64_C(1) << 40,
     .acl = long_acl,
     .acl_count = 6},
    {.path = TEXT("/"), .ctime_ms = 0, OPEN_ACL},
    {.path = TEXT("/wrapped"),
     .czxid = 9,
     .mzxid = 0,
     .pzxid = 0,
     .ctime_ms = -5,
     .mtime_ms = 0,
     .version = INT32_MIN,
     OPEN_ACL},
    {.path = TEXT("/e"),
     .data = TEXT("\0\xff"),
     .czxid = 1,
     .mzxid = 1,
     .pzxid = 1,
     .ephemeral_owner = UINT64_C(0x100000100000001),
     .acl = nearly_open_acl,
     .acl_count = 1},
    {.path = TEXT("/no-acl"), .czxid = 1, .mzxid = 1, .pzxid = 1},
};

static bool bytes_are_same(struct slice a, struct slice b);
static bool acls_are_equal(const struct zk_acl *a, size_t a_count,
                           const struct zk_acl *b, size_t b_count);
static bool changes_are_equal(const struct txn *a, const struct txn *b);

const struct txn *sample_txns(size_t *count)
{
    *count = COUNT(txns);
    return txns;
}

const struct znode_record *sample_znodes(size_t *count)
{
    *count = COUNT(znodes);
    return znodes;
}

bool txn_is_equal(const struct txn *a, const struct txn *b)
{
    if (a->session_id != b->session_id || a->origin_id != b->origin_id ||
        a->origin_request != b->origin_request || a->cxid != b->cxid ||
        a->time_ms != b->time_ms) {
        return false;
    }
    if (a->op != ZK_OP_MULTI || b->op != ZK_OP_MULTI) {
        return changes_are_equal(a, b);
    }
    if (a->request_op != b->request_op || a->multi.count != b->multi.count) {
        return false;
    }
    for (size_t i = 0; i < a->multi.count; i++) {
        if (!changes_are_equal(&a->multi.ops[i], &b->multi.ops[i])) {
            return false;
        }
    }
    return true;
}

bool znode_record_is_equal(const struct znode_record *a,
                           const struct znode_record *b)
{
    return slice_equal(a->path, b->path) && bytes_are_same(a->data, b->data) &&
           a->czxid == b->czxid && a->mzxid == b->mzxid &&
           a->pzxid == b->pzxid && a->ctime_ms == b->ctime_ms &&
           a->mtime_ms == b->mtime_ms && a->version == b->version &&
           a->aversion == b->aversion && a->sequence == b->sequence &&
           a->ephemeral_owner == b->ephemeral_owner &&
           acls_are_equal(a->acl, a->acl_count, b->acl, b->acl_count);
}

static bool bytes_are_same(struct slice a, struct slice b)
{
    return slice_is_absent(a) == slice_is_absent(b) && slice_equal(a, b);
}

static bool acls_are_equal(const struct zk_acl *a, size_t a_count,
                           const struct zk_acl *b, size_t b_count)
{
    if (a_count != b_count) {
        return false;
    }
    for (size_t i = 0; i < a_count; i++) {
        if (a[i].perms != b[i].perms ||
            !slice_equal(a[i].id.scheme, b[i].id.scheme) ||
            !slice_equal(a[i].id.id, b[i].id.id)) {
            return false;
        }
    }
    return true;
}

static bool changes_are_equal(const struct txn *a, const struct txn *b)
{
    if (a->op != b->op || a->request_op != b->request_op) {
        return false;
    }
    switch ((int)a->op) {
        case ZK_OP_CREATE:
            return slice_equal(a->create.path, b->create.path) &&
                   bytes_are_same(a->create.data, b->create.data) &&
                   a->create.ephemeral_owner == b->create.ephemeral_owner &&
                   a->create.parent_sequence == b->create.parent_sequence &&
                   acls_are_equal(a->create.acl, a->create.acl_count,
                                  b->create.acl, b->create.acl_count);
        case ZK_OP_DELETE:
            return slice_equal(a->remove.path, b->remove.path);
        case ZK_OP_SET_DATA:
            return slice_equal(a->set_data.path, b->set_data.path) &&
                   bytes_are_same(a->set_data.data, b->set_data.data) &&
                   a->set_data.version == b->set_data.version;
        case ZK_OP_SET_ACL:
            return slice_equal(a->set_acl.path, b->set_acl.path) &&
                   a->set_acl.version == b->set_acl.version &&
                   acls_are_equal(a->set_acl.acl, a->set_acl.acl_count,
                                  b->set_acl.acl, b->set_acl.acl_count);
        case ZK_OP_CHECK:
            return slice_equal(a->check.path, b->check.path);
        case ZK_OP_CREATE_SESSION:
            return a->create_session.timeout_ms ==
                       b->create_session.timeout_ms &&
                   memcmp(a->create_session.password,
                          b->create_session.password, 16) == 0;
        default:
            return a->op == ZK_OP_CLOSE_SESSION || a->op == ZK_OP_MOVE_SESSION;
    }
}
