/* Opcodes, error codes and constants of the ZooKeeper client protocol, and the
 * table of operations. */
#ifndef CORRAL_PROTO_CLIENT_OP_H
#define CORRAL_PROTO_CLIENT_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* name, number, "text", "lop" code of the four-letter words, kind */
#define ZK_OP_MAP(X)                                                   \
    X(MOVE_SESSION, -12, "moveSession", "SESS", ZK_OP_INTERNAL)        \
    X(CREATE_SESSION, -10, "createSession", "SESS", ZK_OP_INTERNAL)    \
    X(CLOSE_SESSION, -11, "closeSession", "CLOS", ZK_OP_WRITE)         \
    X(ERROR, -1, "error", "NA", ZK_OP_INTERNAL)                        \
    X(NOTIFICATION, 0, "notification", "NOTI", ZK_OP_INTERNAL)         \
    X(CREATE, 1, "create", "CREA", ZK_OP_WRITE)                        \
    X(DELETE, 2, "delete", "DELE", ZK_OP_WRITE)                        \
    X(EXISTS, 3, "exists", "EXIS", ZK_OP_READ)                         \
    X(GET_DATA, 4, "getData", "GETD", ZK_OP_READ)                      \
    X(SET_DATA, 5, "setData", "SETD", ZK_OP_WRITE)                     \
    X(GET_ACL, 6, "getACL", "GETA", ZK_OP_READ)                        \
    X(SET_ACL, 7, "setACL", "SETA", ZK_OP_WRITE)                       \
    X(GET_CHILDREN, 8, "getChildren", "GETC", ZK_OP_READ)              \
    X(SYNC, 9, "sync", "SYNC", ZK_OP_SYNC_KIND)                        \
    X(PING, 11, "ping", "PING", ZK_OP_SESSION)                         \
    X(GET_CHILDREN2, 12, "getChildren2", "GETC", ZK_OP_READ)           \
    X(CHECK, 13, "check", "CHEC", ZK_OP_NESTED)                        \
    X(MULTI, 14, "multi", "MULT", ZK_OP_WRITE)                         \
    X(CREATE2, 15, "create2", "CREA", ZK_OP_WRITE)                     \
    X(RECONFIG, 16, "reconfig", "RECO", ZK_OP_WRITE)                   \
    X(CHECK_WATCHES, 17, "checkWatches", "CHKW", ZK_OP_READ)           \
    X(REMOVE_WATCHES, 18, "removeWatches", "REMW", ZK_OP_READ)         \
    X(CREATE_CONTAINER, 19, "createContainer", "CREA", ZK_OP_WRITE)    \
    X(DELETE_CONTAINER, 20, "deleteContainer", "DELE", ZK_OP_INTERNAL) \
    X(CREATE_TTL, 21, "createTTL", "CREA", ZK_OP_WRITE)                \
    X(MULTI_READ, 22, "multiRead", "MLTR", ZK_OP_READ)                 \
    X(AUTH, 100, "auth", "NA", ZK_OP_SESSION)                          \
    X(SET_WATCHES, 101, "setWatches", "SETW", ZK_OP_READ)              \
    X(SASL, 102, "sasl", "NA", ZK_OP_SESSION)                          \
    X(GET_EPHEMERALS, 103, "getEphemerals", "GETE", ZK_OP_READ)        \
    X(GET_ALL_CHILDREN_NUMBER, 104, "getAllChildrenNumber", "GETACN",  \
      ZK_OP_READ)                                                      \
    X(SET_WATCHES2, 105, "setWatches2", "STW2", ZK_OP_READ)            \
    X(ADD_WATCH, 106, "addWatch", "ADDW", ZK_OP_READ)                  \
    X(WHO_AM_I, 107, "whoAmI", "HOMI", ZK_OP_READ)

enum zk_op {
#define X(name, number, text, lop, kind) ZK_OP_##name = (number),
    ZK_OP_MAP(X)
#undef X
};

enum zk_op_kind {
    ZK_OP_WRITE,     /* goes through the leader and the log */
    ZK_OP_READ,      /* answered from the local tree, in the session's order */
    ZK_OP_SYNC_KIND, /* a place in the leader's order, no record */
    ZK_OP_SESSION,   /* ping, auth, sasl: passes the queue by */
    ZK_OP_NESTED,    /* only inside a multi */
    ZK_OP_INTERNAL,  /* never from a client */
};

struct client_op {
    const char *name;
    const char *lop;
    enum zk_op op;
    enum zk_op_kind kind;
};

/* The row of a received number; NULL: unknown. Static memory. */
const struct client_op *client_op_find(int32_t op);

#define ZK_CODE_MAP(X)                                                   \
    X(ZK_OK, 0, "ok")                                                    \
    X(ZK_SYSTEM_ERROR, -1, "system error")                               \
    X(ZK_RUNTIME_INCONSISTENCY, -2, "runtime inconsistency")             \
    X(ZK_DATA_INCONSISTENCY, -3, "data inconsistency")                   \
    X(ZK_CONNECTION_LOSS, -4, "connection loss")                         \
    X(ZK_MARSHALLING_ERROR, -5, "marshalling error")                     \
    X(ZK_UNIMPLEMENTED, -6, "unimplemented")                             \
    X(ZK_OPERATION_TIMEOUT, -7, "operation timeout")                     \
    X(ZK_BAD_ARGUMENTS, -8, "bad arguments")                             \
    X(ZK_NEW_CONFIG_NO_QUORUM, -13, "no quorum of new config")           \
    X(ZK_RECONFIG_IN_PROGRESS, -14, "reconfig in progress")              \
    X(ZK_NO_NODE, -101, "no node")                                       \
    X(ZK_NO_AUTH, -102, "not authorised")                                \
    X(ZK_BAD_VERSION, -103, "bad version")                               \
    X(ZK_NO_CHILDREN_FOR_EPHEMERALS, -108, "no children for ephemerals") \
    X(ZK_NODE_EXISTS, -110, "node exists")                               \
    X(ZK_NOT_EMPTY, -111, "not empty")                                   \
    X(ZK_SESSION_EXPIRED, -112, "session expired")                       \
    X(ZK_INVALID_ACL, -114, "invalid acl")                               \
    X(ZK_AUTH_FAILED, -115, "auth failed")                               \
    X(ZK_SESSION_MOVED, -118, "session moved")                           \
    X(ZK_NOT_READ_ONLY, -119, "not a read-only call")                    \
    X(ZK_EPHEMERAL_ON_LOCAL_SESSION, -120, "ephemeral on local session") \
    X(ZK_NO_WATCHER, -121, "no such watcher")                            \
    X(ZK_RECONFIG_DISABLED, -123, "reconfig disabled")                   \
    X(ZK_SESSION_CLOSED_REQUIRE_SASL, -124, "session requires sasl")     \
    X(ZK_QUOTA_EXCEEDED, -125, "quota exceeded")                         \
    X(ZK_THROTTLED_OP, -127, "throttled")

enum zk_code {
#define X(name, value, text) name = (value),
    ZK_CODE_MAP(X)
#undef X
};

const char *zk_code_text(int32_t code); /* static; "unknown code" otherwise */

enum zk_perm {
    ZK_PERM_READ = 1,
    ZK_PERM_WRITE = 2,
    ZK_PERM_CREATE = 4,
    ZK_PERM_DELETE = 8,
    ZK_PERM_ADMIN = 16,
    ZK_PERM_ALL = 31,
};

enum zk_create_flag {
    ZK_PERSISTENT = 0,
    ZK_EPHEMERAL = 1,
    ZK_PERSISTENT_SEQUENTIAL = 2,
    ZK_EPHEMERAL_SEQUENTIAL = 3,
    ZK_CONTAINER = 4,
    ZK_PERSISTENT_TTL = 5,
    ZK_PERSISTENT_SEQUENTIAL_TTL = 6,
};

enum zk_event_type {
    ZK_EVENT_CREATED = 1,
    ZK_EVENT_DELETED = 2,
    ZK_EVENT_DATA_CHANGED = 3,
    ZK_EVENT_CHILDREN_CHANGED = 4,
};

/* Special xids and the state sent with every notification. */
enum {
    ZK_XID_NOTIFICATION = -1,
    ZK_XID_PING = -2,
    ZK_XID_AUTH = -4,
    ZK_XID_SET_WATCHES = -8,
    ZK_STATE_CONNECTED = 3,
};

/* removeWatches and checkWatches */
enum zk_watcher_type {
    ZK_WATCHER_CHILDREN = 1,
    ZK_WATCHER_DATA = 2,
    ZK_WATCHER_ANY = 3,
    ZK_WATCHER_PERSISTENT = 4,
    ZK_WATCHER_PERSISTENT_RECURSIVE = 5,
};

/* addWatch */
enum zk_add_watch_mode {
    ZK_ADD_WATCH_PERSISTENT = 0,
    ZK_ADD_WATCH_PERSISTENT_RECURSIVE = 1,
};

#endif
