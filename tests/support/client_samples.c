#include "tests/support/client_samples.h"

#define T(text)                                   \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }
#define EMPTY                  \
    {                          \
        (const uint8_t *)"", 0 \
    }
#define ABSENT  \
    {           \
        NULL, 0 \
    }
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct zk_acl acl[] = {
    {ZK_PERM_ALL, {T("world"), T("anyone")}},
    {ZK_PERM_READ, {T("digest"), T("user:tpUq/4Pn5A64fVZyQ0gOJ8ZWqkY=")}},
    {0, {ABSENT, EMPTY}},
};
static const struct slice names[] = {T("a"), T("b-0000000001"), EMPTY};
static const struct slice paths[] = {T("/a"), T("/a/b"), T("/")};
/* A vector of none: there is a pointer, but nothing behind it. */
static const struct slice no_names[1];
static const struct zk_client_info infos[] = {
    {T("ip"), T("127.0.0.1")},
    {T("digest"), T("user")},
};

#define STAT                                                               \
    {                                                                      \
        .czxid = UINT64_C(0x100000003), .mzxid = UINT64_C(0xffffffff0001), \
        .ctime = 1600000000000, .mtime = 1600000000001, .version = 1,      \
        .cversion = -1, .aversion = INT32_MAX,                             \
        .ephemeral_owner = UINT64_C(0x8000000000000000), .data_length = 2, \
        .num_children = 3, .pzxid = 7                                      \
    }
#define CREATE(kind)                         \
    {                                        \
        .xid = 1, .op = (kind), .create = {  \
            .path = T("/a"),                 \
            .data = T("hi"),                 \
            .acl = acl,                      \
            .acl_count = COUNT(acl),         \
            .flags = ZK_EPHEMERAL_SEQUENTIAL \
        }                                    \
    }
#define CREATE_TTL                                    \
    {                                                 \
        .xid = 1, .op = ZK_OP_CREATE_TTL, .create = { \
            .path = T("/ttl"),                        \
            .data = ABSENT,                           \
            .flags = ZK_PERSISTENT_TTL,               \
            .ttl = INT64_C(0xffffffffff)              \
        }                                             \
    }
#define DELETE                                                        \
    {                                                                 \
        .xid = 4, .op = ZK_OP_DELETE, .path_version = { T("/a"), -1 } \
    }
#define SET_DATA                                      \
    {                                                 \
        .xid = 5, .op = ZK_OP_SET_DATA, .set_data = { \
            T("/a"),                                  \
            T("\0\xff"),                              \
            INT32_MIN                                 \
        }                                             \
    }
#define WATCH(kind, set)                                         \
    {                                                            \
        .xid = 6, .op = (kind), .path_watch = { T("/a"), (set) } \
    }
#define PATH(kind)                                           \
    {                                                        \
        .xid = 7, .op = (kind), .path = { T("/a/\xc3\xa4") } \
    }
#define TYPE(kind)                                          \
    {                                                       \
        .xid = 8, .op = (kind), .path_type = { T("/a"), 5 } \
    }
#define NOTHING(number, kind)         \
    {                                 \
        .xid = (number), .op = (kind) \
    }

static const struct client_request multi[] = {
    CREATE(ZK_OP_CREATE),
    CREATE(ZK_OP_CREATE2),
    CREATE(ZK_OP_CREATE_CONTAINER),
    CREATE_TTL,
    DELETE,
    SET_DATA,
    {.xid = 4, .op = ZK_OP_CHECK, .path_version = {T("/a"), 3}},
    DELETE,
    DELETE, /* more than the first array of a decoder holds */
};
static const struct client_request multi_read[] = {
    WATCH(ZK_OP_GET_DATA, false),
    WATCH(ZK_OP_GET_CHILDREN, false),
};

const struct client_request client_sample_requests[] = {
    CREATE(ZK_OP_CREATE),
    CREATE(ZK_OP_CREATE2),
    CREATE(ZK_OP_CREATE_CONTAINER),
    CREATE_TTL,
    DELETE,
    WATCH(ZK_OP_EXISTS, true),
    WATCH(ZK_OP_GET_DATA, false),
    WATCH(ZK_OP_GET_CHILDREN, true),
    WATCH(ZK_OP_GET_CHILDREN2, false),
    SET_DATA,
    PATH(ZK_OP_GET_ACL),
    PATH(ZK_OP_SYNC),
    PATH(ZK_OP_GET_EPHEMERALS),
    PATH(ZK_OP_GET_ALL_CHILDREN_NUMBER),
    {.xid = INT32_MAX,
     .op = ZK_OP_SET_ACL,
     .set_acl = {T("/a"), acl, COUNT(acl), -1}},
    {.xid = 9,
     .op = ZK_OP_RECONFIG,
     .reconfig = {T("server.4=h:1:2;3"), EMPTY, ABSENT, INT64_MIN}},
    TYPE(ZK_OP_CHECK_WATCHES),
    TYPE(ZK_OP_REMOVE_WATCHES),
    TYPE(ZK_OP_ADD_WATCH),
    {.xid = ZK_XID_AUTH,
     .op = ZK_OP_AUTH,
     .auth = {0, T("digest"), T("user:password")}},
    {.xid = ZK_XID_SET_WATCHES,
     .op = ZK_OP_SET_WATCHES,
     .set_watches = {.relative_zxid = UINT64_C(0x500000004),
                     .data = paths,
                     .data_count = COUNT(paths),
                     .exist = no_names}},
    {.xid = ZK_XID_SET_WATCHES,
     .op = ZK_OP_SET_WATCHES2,
     .set_watches = {.relative_zxid = UINT64_MAX,
                     .child = paths,
                     .child_count = 1,
                     .persistent = paths,
                     .persistent_count = 2,
                     .recursive = paths,
                     .recursive_count = COUNT(paths)}},
    {.xid = 10, .op = ZK_OP_SASL, .token = {T("\1\2\3")}},
    NOTHING(ZK_XID_PING, ZK_OP_PING),
    NOTHING(11, ZK_OP_CLOSE_SESSION),
    NOTHING(12, ZK_OP_WHO_AM_I),
    {.xid = 13, .op = ZK_OP_MULTI, .multi = {multi, COUNT(multi)}},
    {.xid = 14, .op = ZK_OP_MULTI}, /* an empty one is legal */
    {.xid = 15,
     .op = ZK_OP_MULTI_READ,
     .multi = {multi_read, COUNT(multi_read)}},
};
const size_t client_sample_requests_count = COUNT(client_sample_requests);

/* Parts carry the xid and zxid of their reply: so the decoder leaves them. */
#define HEAD(kind, error) \
    .xid = 1, .op = (kind), .zxid = UINT64_C(0x10000002a), .code = (error)

static const struct client_reply multi_done[] = {
    {HEAD(ZK_OP_CREATE, 0), .path = {T("/a")}},
    {HEAD(ZK_OP_CREATE2, 0), .path_stat = {T("/b"), STAT}},
    {HEAD(ZK_OP_CREATE_CONTAINER, 0), .path_stat = {T("/c"), STAT}},
    {HEAD(ZK_OP_CREATE_TTL, 0), .path_stat = {T("/d"), STAT}},
    {HEAD(ZK_OP_DELETE, 0)},
    {HEAD(ZK_OP_SET_DATA, 0), .stat = STAT},
    {HEAD(ZK_OP_CHECK, 0)},
};
static const struct client_reply multi_failed[] = {
    {HEAD(ZK_OP_ERROR, ZK_OK)},
    {HEAD(ZK_OP_DELETE, ZK_NO_NODE)},
    {HEAD(ZK_OP_SET_DATA, ZK_RUNTIME_INCONSISTENCY)},
};
static const struct client_reply reads_done[] = {
    {HEAD(ZK_OP_GET_DATA, 0), .data = {T("hi"), STAT}},
    {HEAD(ZK_OP_GET_DATA, ZK_NO_AUTH)},
    {HEAD(ZK_OP_GET_CHILDREN, 0), .names = {names, COUNT(names)}},
};

const struct client_reply client_sample_replies[] = {
    {HEAD(ZK_OP_CREATE, 0), .path = {T("/a0000000001")}},
    {HEAD(ZK_OP_SYNC, 0), .path = {ABSENT}},
    {HEAD(ZK_OP_CREATE2, 0), .path_stat = {T("/a"), STAT}},
    {HEAD(ZK_OP_CREATE_CONTAINER, 0), .path_stat = {T("/a"), STAT}},
    {HEAD(ZK_OP_CREATE_TTL, 0), .path_stat = {T("/a"), STAT}},
    {HEAD(ZK_OP_DELETE, 0)},
    {HEAD(ZK_OP_EXISTS, 0), .stat = STAT},
    {HEAD(ZK_OP_GET_DATA, 0), .data = {T("hi"), STAT}},
    {HEAD(ZK_OP_GET_DATA, 0), .data = {ABSENT, STAT}},
    {HEAD(ZK_OP_GET_DATA, 0), .data = {EMPTY, STAT}},
    {HEAD(ZK_OP_GET_DATA, ZK_NO_NODE)},
    {HEAD(ZK_OP_SET_DATA, 0), .stat = STAT},
    {HEAD(ZK_OP_SET_ACL, 0), .stat = STAT},
    {HEAD(ZK_OP_GET_ACL, 0), .acl = {acl, COUNT(acl), STAT}},
    {HEAD(ZK_OP_GET_CHILDREN, 0), .names = {names, COUNT(names)}},
    {HEAD(ZK_OP_GET_CHILDREN, 0), .names = {no_names, 0}},
    {HEAD(ZK_OP_GET_EPHEMERALS, 0), .names = {NULL, 0}},
    {HEAD(ZK_OP_GET_CHILDREN2, 0), .children2 = {names, COUNT(names), STAT}},
    {HEAD(ZK_OP_GET_ALL_CHILDREN_NUMBER, 0), .value = {1000000}},
    {HEAD(ZK_OP_ADD_WATCH, 0), .value = {0}},
    {HEAD(ZK_OP_RECONFIG, 0), .data = {T("version=1"), STAT}},
    {HEAD(ZK_OP_WHO_AM_I, 0), .infos = {infos, COUNT(infos)}},
    {HEAD(ZK_OP_SASL, 0), .token = {ABSENT}},
    {HEAD(ZK_OP_PING, 0)},
    {HEAD(ZK_OP_AUTH, ZK_AUTH_FAILED)},
    {HEAD(ZK_OP_CLOSE_SESSION, 0)},
    {HEAD(ZK_OP_SET_WATCHES, 0)},
    {HEAD(ZK_OP_SET_WATCHES2, 0)},
    {HEAD(ZK_OP_CHECK_WATCHES, ZK_NO_WATCHER)},
    {HEAD(ZK_OP_REMOVE_WATCHES, 0)},
    {HEAD(ZK_OP_MULTI, 0), .multi = {multi_done, COUNT(multi_done)}},
    {HEAD(ZK_OP_MULTI, 0), .multi = {multi_failed, COUNT(multi_failed)}},
    {HEAD(ZK_OP_MULTI, 0)},
    {HEAD(ZK_OP_MULTI, ZK_MARSHALLING_ERROR)},
    {HEAD(ZK_OP_MULTI_READ, 0), .multi = {reads_done, COUNT(reads_done)}},
};
const size_t client_sample_replies_count = COUNT(client_sample_replies);
