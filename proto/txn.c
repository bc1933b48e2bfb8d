#include "proto/txn.h"

#include "proto/record.pb-c.h"

#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "proto/pb.h"

/* A txn as protobuf-c wants it. Only a multi or a long ACL needs the heap. */
struct wire {
    Disk__Txn txn;
    Disk__Change change;
    Disk__Change *parts;
    Disk__Change **part_pointers;
    struct pb_acls acls;
    Disk__Acl few_acls[PB_ACLS_FEW];
    Disk__Acl *few_pointers[PB_ACLS_FEW];
};

static void wire_init(struct wire *wire, const struct txn *txn);
static void wire_finish(struct wire *wire);
static void wire_room(struct wire *wire, const struct txn *txn);
static size_t acl_count_of(const struct txn *txn);
static void change_put(Disk__Change *change, const struct txn *txn,
                       struct pb_acls *acls);
static void change_put_acl(Disk__Change *change, const struct zk_acl *acl,
                           size_t count, struct pb_acls *acls);
static int change_get(const Disk__Change *change, bool nested,
                      struct arena *arena, struct txn *txn);
static int multi_get(const Disk__Txn *message, struct arena *arena,
                     struct txn *txn);
static int create_get(const Disk__Change *change, struct arena *arena,
                      struct txn *txn);
static int session_get(const Disk__Change *change, struct txn *txn);
static bool ops_are_valid(int32_t op, int32_t request_op, bool nested);
static bool owner_is_valid(uint64_t owner);

enum zk_node_kind zk_owner_kind(uint64_t ephemeral_owner)
{
    if (ephemeral_owner == 0) {
        return ZK_NODE_PERSISTENT;
    }
    if (ephemeral_owner == ZK_OWNER_CONTAINER) {
        return ZK_NODE_CONTAINER;
    }
    /* No server id is 0xff, so no session id begins so. */
    return ephemeral_owner >> 56 == 0xff ? ZK_NODE_TTL : ZK_NODE_EPHEMERAL;
}

uint64_t zk_owner_from_ttl(int64_t ttl_ms)
{
    CHECK(ttl_ms > 0);
    CHECK(ttl_ms <= ZK_TTL_MS_MAX);
    return UINT64_C(0xff) << 56 | (uint64_t)ttl_ms;
}

int64_t zk_owner_ttl_ms(uint64_t ephemeral_owner)
{
    CHECK(zk_owner_kind(ephemeral_owner) == ZK_NODE_TTL);
    return (int64_t)(ephemeral_owner & (uint64_t)ZK_TTL_MS_MAX);
}

int txn_decode(struct slice bytes, struct arena *arena, struct txn *txn)
{
    const Disk__Txn *message = pb_unpack(&disk__txn__descriptor, arena, bytes);

    if (message == NULL) {
        return ERR_MALFORMED;
    }
    *txn = (struct txn){
        .session_id = message->session_id,
        .origin_id = message->origin_id,
        .origin_request = message->origin_request,
        .cxid = message->cxid,
        .time_ms = (int64_t)message->time_ms,
    };
    if (message->change == NULL) {
        return multi_get(message, arena, txn);
    }
    if (message->n_parts != 0) {
        return ERR_MALFORMED;
    }
    return change_get(message->change, false, arena, txn);
}

void txn_encode(const struct txn *txn, struct buf *out)
{
    struct wire wire;

    wire_init(&wire, txn);
    pb_pack(&wire.txn.base, out);
    wire_finish(&wire);
}

size_t txn_encoded_size(const struct txn *txn)
{
    struct wire wire;
    size_t size;

    wire_init(&wire, txn);
    size = protobuf_c_message_get_packed_size(&wire.txn.base);
    wire_finish(&wire);
    return size;
}

static void wire_init(struct wire *wire, const struct txn *txn)
{
    Disk__Txn *message = &wire->txn;

    CHECK(ops_are_valid(txn->op, txn->request_op, false));
    disk__txn__init(message);
    message->session_id = txn->session_id;
    message->time_ms = (uint64_t)txn->time_ms;
    message->has_origin_id = txn->origin_id != 0;
    message->origin_id = txn->origin_id;
    message->has_origin_request = txn->origin_request != 0;
    message->origin_request = txn->origin_request;
    message->has_cxid = txn->cxid != 0;
    message->cxid = txn->cxid;
    wire_room(wire, txn);
    if (txn->op != ZK_OP_MULTI) {
        change_put(&wire->change, txn, &wire->acls);
        message->change = &wire->change;
        return;
    }
    message->n_parts = txn->multi.count;
    message->parts = wire->part_pointers;
    for (size_t i = 0; i < txn->multi.count; i++) {
        const struct txn *part = &txn->multi.ops[i];

        CHECK(ops_are_valid(part->op, part->request_op, true));
        change_put(&wire->parts[i], part, &wire->acls);
        wire->part_pointers[i] = &wire->parts[i];
    }
}

static void wire_finish(struct wire *wire)
{
    mem_free(wire->parts);
    mem_free(wire->part_pointers);
    if (wire->acls.items != wire->few_acls) {
        mem_free(wire->acls.items);
        mem_free(wire->acls.pointers);
    }
}

static void wire_room(struct wire *wire, const struct txn *txn)
{
    size_t acls = acl_count_of(txn);

    wire->parts = NULL;
    wire->part_pointers = NULL;
    if (txn->op == ZK_OP_MULTI) {
        for (size_t i = 0; i < txn->multi.count; i++) {
            acls += acl_count_of(&txn->multi.ops[i]);
        }
        wire->parts = MEM_ARRAY(Disk__Change, txn->multi.count);
        wire->part_pointers = MEM_ARRAY(Disk__Change *, txn->multi.count);
    }
    wire->acls = (struct pb_acls){
        .items = wire->few_acls,
        .pointers = wire->few_pointers,
        .capacity = PB_ACLS_FEW,
    };
    if (acls > PB_ACLS_FEW) {
        wire->acls.items = MEM_ARRAY(Disk__Acl, acls);
        wire->acls.pointers = MEM_ARRAY(Disk__Acl *, acls);
        wire->acls.capacity = acls;
    }
}

static size_t acl_count_of(const struct txn *txn)
{
    if (txn->op == ZK_OP_CREATE) {
        return txn->create.acl_count;
    }
    return txn->op == ZK_OP_SET_ACL ? txn->set_acl.acl_count : 0;
}

static void put_path(Disk__Change *change, struct slice path)
{
    CHECK(path.len > 0);
    change->has_path = true;
    change->path = pb_bytes(path);
}

static void put_data(Disk__Change *change, struct slice data)
{
    change->has_data = data.ptr != NULL;
    change->data = pb_bytes(data);
}

static void put_version(Disk__Change *change, int32_t version)
{
    change->has_version = true;
    change->version = version;
}

static void change_put(Disk__Change *change, const struct txn *txn,
                       struct pb_acls *acls)
{
    disk__change__init(change);
    change->op = txn->op;
    change->has_request_op = txn->request_op != txn->op;
    change->request_op = txn->request_op;
    if (txn->op == ZK_OP_CREATE) {
        put_path(change, txn->create.path);
        put_data(change, txn->create.data);
        CHECK(owner_is_valid(txn->create.ephemeral_owner));
        change->has_ephemeral_owner = txn->create.ephemeral_owner != 0;
        change->ephemeral_owner = txn->create.ephemeral_owner;
        change->has_parent_sequence = txn->create.parent_sequence != 0;
        change->parent_sequence = txn->create.parent_sequence;
        change_put_acl(change, txn->create.acl, txn->create.acl_count, acls);
    } else if (txn->op == ZK_OP_DELETE) {
        put_path(change, txn->remove.path);
    } else if (txn->op == ZK_OP_SET_DATA) {
        put_path(change, txn->set_data.path);
        put_data(change, txn->set_data.data);
        put_version(change, txn->set_data.version);
    } else if (txn->op == ZK_OP_SET_ACL) {
        put_path(change, txn->set_acl.path);
        put_version(change, txn->set_acl.version);
        change_put_acl(change, txn->set_acl.acl, txn->set_acl.acl_count, acls);
    } else if (txn->op == ZK_OP_CHECK) {
        put_path(change, txn->check.path);
    } else if (txn->op == ZK_OP_CREATE_SESSION) {
        change->has_timeout_ms = true;
        change->timeout_ms = txn->create_session.timeout_ms;
        change->has_password = true;
        change->password =
            pb_bytes(slice_make(txn->create_session.password,
                                sizeof(txn->create_session.password)));
    }
}

static void change_put_acl(Disk__Change *change, const struct zk_acl *acl,
                           size_t count, struct pb_acls *acls)
{
    if (pb_acl_is_open(acl, count)) {
        return;
    }
    change->has_acl_empty = count == 0;
    change->acl_empty = count == 0;
    change->n_acl = count;
    pb_acl_put(acls, acl, count, &change->acl);
}

static int multi_get(const Disk__Txn *message, struct arena *arena,
                     struct txn *txn)
{
    struct txn *ops = ARENA_NEW(arena, struct txn, message->n_parts);

    for (size_t i = 0; i < message->n_parts; i++) {
        int err;

        ops[i] = (struct txn){0};
        err = change_get(message->parts[i], true, arena, &ops[i]);
        if (err != 0) {
            return err;
        }
    }
    txn->op = ZK_OP_MULTI;
    txn->request_op = ZK_OP_MULTI;
    txn->multi.ops = ops;
    txn->multi.count = message->n_parts;
    return 0;
}

static int get_path(const Disk__Change *change, struct slice *path)
{
    if (!change->has_path || change->path.len == 0 ||
        change->path.data[0] != '/') {
        return ERR_MALFORMED;
    }
    *path = pb_slice(&change->path);
    return 0;
}

static struct slice get_data(const Disk__Change *change)
{
    return change->has_data ? pb_slice(&change->data) : (struct slice){0};
}

/* nested: a part of a multi. The caller zeroed txn but for the header. */
static int change_get(const Disk__Change *change, bool nested,
                      struct arena *arena, struct txn *txn)
{
    int32_t request_op =
        change->has_request_op ? change->request_op : change->op;

    if (!ops_are_valid(change->op, request_op, nested) ||
        change->op == ZK_OP_MULTI) {
        return ERR_MALFORMED;
    }
    txn->op = (enum zk_op)change->op;
    txn->request_op = (enum zk_op)request_op;
    if (txn->op == ZK_OP_CREATE) {
        return create_get(change, arena, txn);
    }
    if (txn->op == ZK_OP_DELETE) {
        return get_path(change, &txn->remove.path);
    }
    if (txn->op == ZK_OP_CHECK) {
        return get_path(change, &txn->check.path);
    }
    if (txn->op == ZK_OP_SET_DATA && change->has_version) {
        txn->set_data.data = get_data(change);
        txn->set_data.version = change->version;
        return get_path(change, &txn->set_data.path);
    }
    if (txn->op == ZK_OP_SET_ACL && change->has_version) {
        pb_acl_get(change->acl, change->n_acl, change->acl_empty, arena,
                   &txn->set_acl.acl, &txn->set_acl.acl_count);
        txn->set_acl.version = change->version;
        return get_path(change, &txn->set_acl.path);
    }
    return session_get(change, txn);
}

static int create_get(const Disk__Change *change, struct arena *arena,
                      struct txn *txn)
{
    if (!owner_is_valid(change->ephemeral_owner)) {
        return ERR_MALFORMED;
    }
    txn->create.data = get_data(change);
    txn->create.ephemeral_owner = change->ephemeral_owner;
    txn->create.parent_sequence = change->parent_sequence;
    pb_acl_get(change->acl, change->n_acl, change->acl_empty, arena,
               &txn->create.acl, &txn->create.acl_count);
    return get_path(change, &txn->create.path);
}

static int session_get(const Disk__Change *change, struct txn *txn)
{
    uint8_t *password = txn->create_session.password;

    if (txn->op == ZK_OP_CLOSE_SESSION || txn->op == ZK_OP_MOVE_SESSION) {
        return 0;
    }
    if (txn->op != ZK_OP_CREATE_SESSION || !change->has_timeout_ms ||
        !change->has_password ||
        change->password.len != sizeof(txn->create_session.password)) {
        return ERR_MALFORMED;
    }
    txn->create_session.timeout_ms = change->timeout_ms;
    memcpy(password, change->password.data,
           sizeof(txn->create_session.password));
    return 0;
}

/* What was asked must be something that this op answers. */
static bool ops_are_valid(int32_t op, int32_t request_op, bool nested)
{
    switch (op) {
        case ZK_OP_CREATE:
            return request_op == ZK_OP_CREATE || request_op == ZK_OP_CREATE2 ||
                   request_op == ZK_OP_CREATE_CONTAINER ||
                   request_op == ZK_OP_CREATE_TTL;
        case ZK_OP_DELETE:
            return request_op == ZK_OP_DELETE ||
                   request_op == ZK_OP_DELETE_CONTAINER;
        case ZK_OP_SET_DATA:
        case ZK_OP_SET_ACL:
            return request_op == op;
        case ZK_OP_CHECK:
            return request_op == op && nested;
        case ZK_OP_MULTI:
        case ZK_OP_CREATE_SESSION:
        case ZK_OP_CLOSE_SESSION:
        case ZK_OP_MOVE_SESSION:
            return request_op == op && !nested;
        default: /* a number from the disk */
            return false;
    }
}

static bool owner_is_valid(uint64_t owner)
{
    /* Between the mark and the TTL stands a feature number; only 0 is known. */
    return owner >> 56 != 0xff ||
           ((owner & UINT64_C(0x00ffff0000000000)) == 0 &&
            (owner & (uint64_t)ZK_TTL_MS_MAX) != 0);
}
