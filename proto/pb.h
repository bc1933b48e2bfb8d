/* Inside proto/: what txn.c and record.c share of protobuf-c. Messages are
 * built on the stack and point at the caller's bytes; unpacked ones live in an
 * arena and are never freed one by one. */
#ifndef CORRAL_PROTO_PB_H
#define CORRAL_PROTO_PB_H

#include "base/arena.h"
#include "base/buf.h"
#include "proto/client.h"

struct ProtobufCMessage;
struct ProtobufCMessageDescriptor;
struct ProtobufCBinaryData;
struct Disk__Acl;

/* Room for ACLs on the way out: on the stack for the usual few. */
#define PB_ACLS_FEW 4
struct pb_acls {
    struct Disk__Acl *items;
    struct Disk__Acl **pointers;
    size_t used, capacity;
};

/* A message in the arena, or NULL when the bytes are not one. */
void *pb_unpack(const struct ProtobufCMessageDescriptor *type,
                struct arena *arena, struct slice bytes);
/* Appends the packed message. */
void pb_pack(const struct ProtobufCMessage *message, struct buf *out);

struct slice pb_slice(const struct ProtobufCBinaryData *bytes);
struct ProtobufCBinaryData pb_bytes(struct slice slice);

/* The list that every znode has unless somebody chose: world:anyone, all. */
bool pb_acl_is_open(const struct zk_acl *acl, size_t count);
/* *items is set to what belongs into a message's acl field. */
void pb_acl_put(struct pb_acls *room, const struct zk_acl *acl, size_t count,
                struct Disk__Acl ***items);
/* From a message's acl and acl_empty fields: the open list is static. */
void pb_acl_get(struct Disk__Acl *const *items, size_t items_count, bool empty,
                struct arena *arena, const struct zk_acl **acl, size_t *count);

#endif
