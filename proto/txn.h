/* A transaction: what the leader decided, in a form any replica can replay.
 *
 * Replaying the same txn twice gives the same tree. The zxid is not inside: it
 * belongs to the log record that carries the txn. Encoded with protobuf-c
 * (record.proto). A decoded txn lives in the arena, slices and arrays: the
 * bytes may go. */
#ifndef CORRAL_PROTO_TXN_H
#define CORRAL_PROTO_TXN_H

#include "base/arena.h"
#include "base/buf.h"
#include "proto/client.h"

/* Txn ops: CREATE (every kind of node: ephemeral_owner says which), DELETE,
 * SET_DATA, SET_ACL, CHECK (in a multi, for its place in the reply), MULTI,
 * CREATE_SESSION, CLOSE_SESSION, MOVE_SESSION (it speaks through its origin
 * from here on; ours, no ZooKeeper has it). */
struct txn {
    uint64_t session_id;
    uint64_t origin_id, origin_request; /* who waits for it: DESIGN 2.8 */
    int32_t cxid;                       /* the client's xid, for logs only */
    int64_t time_ms;                    /* leader's wall clock when prepared */
    enum zk_op op;
    /* What the client asked: CREATE, CREATE2, CREATE_CONTAINER and CREATE_TTL
     * are all txn CREATE, but are answered differently. */
    enum zk_op request_op;
    union {
        struct {
            struct slice path;        /* final, with its sequence number */
            struct slice data;        /* ptr NULL: null data */
            uint64_t ephemeral_owner; /* 0, session id, or a marker: ttl and
                                       * container as in zk_owner_...() */
            uint64_t parent_sequence; /* stored counter of the parent after
                                       * this create */
            const struct zk_acl *acl;
            size_t acl_count;
        } create;
        struct {
            struct slice path;
        } remove; /* DELETE */
        struct {
            struct slice path;
            struct slice data;
            int32_t version; /* the new one */
        } set_data;
        struct {
            struct slice path;
            const struct zk_acl *acl;
            size_t acl_count;
            int32_t version; /* the new aversion */
        } set_acl;
        struct {
            struct slice path;
        } check;
        struct {
            int32_t timeout_ms;
            uint8_t password[16];
        } create_session;
        struct {
            const struct txn *ops; /* only op, request_op and the union */
            size_t count;
        } multi;
    };
};

/* ephemeralOwner's encodings, as in ZooKeeper's EphemeralType. */
#define ZK_OWNER_CONTAINER (UINT64_C(1) << 63)
#define ZK_TTL_MS_MAX INT64_C(0xffffffffff)

enum zk_node_kind {
    ZK_NODE_PERSISTENT,
    ZK_NODE_EPHEMERAL,
    ZK_NODE_CONTAINER,
    ZK_NODE_TTL
};

enum zk_node_kind zk_owner_kind(uint64_t ephemeral_owner);
uint64_t zk_owner_from_ttl(int64_t ttl_ms);        /* 1..ZK_TTL_MS_MAX */
int64_t zk_owner_ttl_ms(uint64_t ephemeral_owner); /* of a ZK_NODE_TTL */

/* ERR_MALFORMED: not a txn, an op or request_op that has no business there, a
 * field missing. *txn is undefined then. */
int txn_decode(struct slice bytes, struct arena *arena, struct txn *txn);
/* Appends. A txn that txn_decode() would refuse is a CHECK. An ACL of
 * world:anyone with all permissions costs nothing. */
void txn_encode(const struct txn *txn, struct buf *out);
size_t txn_encoded_size(const struct txn *txn);

#endif
