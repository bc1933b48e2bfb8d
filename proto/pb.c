#include "proto/pb.h"

#include "proto/record.pb-c.h"

#include "base/check.h"

static void *arena_alloc_fn(void *arena, size_t size);
static void arena_free_fn(void *arena, void *ptr);

static const struct zk_acl open_acl = {
    .perms = ZK_PERM_ALL,
    .id = {.scheme = {(const uint8_t *)"world", 5},
           .id = {(const uint8_t *)"anyone", 6}},
};

void *pb_unpack(const ProtobufCMessageDescriptor *type, struct arena *arena,
                struct slice bytes)
{
    ProtobufCAllocator allocator = {arena_alloc_fn, arena_free_fn, arena};

    return protobuf_c_message_unpack(type, &allocator, bytes.len, bytes.ptr);
}

void pb_pack(const ProtobufCMessage *message, struct buf *out)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    size_t packed = protobuf_c_message_pack(message, buf_extend(out, size));

    CHECK(packed == size);
}

/* protobuf-c gives NULL for empty bytes; absent ones are told by has_. */
struct slice pb_slice(const ProtobufCBinaryData *bytes)
{
    if (bytes->len == 0) {
        return SLICE_LITERAL("");
    }
    return slice_make(bytes->data, bytes->len);
}

ProtobufCBinaryData pb_bytes(struct slice slice)
{
    /* Only read by packing. */
    return (ProtobufCBinaryData){slice.len, (uint8_t *)(uintptr_t)slice.ptr};
}

bool pb_acl_is_open(const struct zk_acl *acl, size_t count)
{
    return count == 1 && acl->perms == open_acl.perms &&
           slice_equal(acl->id.scheme, open_acl.id.scheme) &&
           slice_equal(acl->id.id, open_acl.id.id);
}

void pb_acl_put(struct pb_acls *room, const struct zk_acl *acl, size_t count,
                Disk__Acl ***items)
{
    CHECK(count <= room->capacity - room->used);
    *items = room->pointers + room->used;
    for (size_t i = 0; i < count; i++) {
        Disk__Acl *item = &room->items[room->used];

        disk__acl__init(item);
        item->perms = acl[i].perms;
        item->scheme = pb_bytes(acl[i].id.scheme);
        item->id = pb_bytes(acl[i].id.id);
        room->pointers[room->used] = item;
        room->used++;
    }
}

void pb_acl_get(Disk__Acl *const *items, size_t items_count, bool empty,
                struct arena *arena, const struct zk_acl **acl, size_t *count)
{
    struct zk_acl *list;

    *count = items_count;
    *acl = NULL;
    if (items_count == 0) {
        if (!empty) {
            *acl = &open_acl;
            *count = 1;
        }
        return;
    }
    list = ARENA_NEW(arena, struct zk_acl, items_count);
    for (size_t i = 0; i < items_count; i++) {
        list[i].perms = items[i]->perms;
        list[i].id.scheme = pb_slice(&items[i]->scheme);
        list[i].id.id = pb_slice(&items[i]->id);
    }
    *acl = list;
}

static void *arena_alloc_fn(void *arena, size_t size)
{
    return arena_alloc(arena, size, 8);
}

static void arena_free_fn(void *arena, void *ptr)
{
    (void)arena; /* it dies whole */
    (void)ptr;
}
