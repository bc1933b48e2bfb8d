#include "proto/record.h"

#include "proto/record.pb-c.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/mem.h"
#include "proto/pb.h"

#define ENTRY_HEADER 8
#define CRC_SIZE 4
#define DELETED UINT32_MAX
#define SESSION_KEY_SIZE 9
#define LOG_HEADER 12
#define PASSWORD_SIZE 16

/* First byte of a key. */
enum { KEY_ZNODE = 'n', KEY_SESSION = 's', KEY_MARKER = 'm' };

static void put_message(struct buf *list, size_t key_len,
                        const ProtobufCMessage *message);
static uint8_t *put_header(struct buf *list, size_t key_len, uint32_t size);
static void put_znode_key(struct buf *list, struct slice path, uint32_t size);
static void put_session_key(uint8_t *to, uint64_t id);
static bool has_key(const struct record_entry *entry, uint8_t first);

void record_put_znode(struct buf *list, const struct znode_record *record)
{
    Disk__Znode message;
    Disk__Acl few[PB_ACLS_FEW];
    Disk__Acl *few_pointers[PB_ACLS_FEW];
    struct pb_acls acls = {few, few_pointers, 0, PB_ACLS_FEW};
    size_t many = record->acl_count > PB_ACLS_FEW ? record->acl_count : 0;

    if (many > 0) {
        acls.items = MEM_ARRAY(Disk__Acl, many);
        acls.pointers = MEM_ARRAY(Disk__Acl *, many);
        acls.capacity = many;
    }
    disk__znode__init(&message);
    message.czxid = record->czxid;
    message.ctime_ms = (uint64_t)record->ctime_ms;
    message.has_data = record->data.ptr != NULL;
    message.data = pb_bytes(record->data);
    message.has_mzxid = record->mzxid != record->czxid;
    message.mzxid = record->mzxid;
    message.has_pzxid = record->pzxid != record->czxid;
    message.pzxid = record->pzxid;
    message.has_mtime_ms = record->mtime_ms != record->ctime_ms;
    message.mtime_ms = (uint64_t)record->mtime_ms;
    message.has_version = record->version != 0;
    message.version = record->version;
    message.has_aversion = record->aversion != 0;
    message.aversion = record->aversion;
    message.has_sequence = record->sequence != 0;
    message.sequence = record->sequence;
    message.has_ephemeral_owner = record->ephemeral_owner != 0;
    message.ephemeral_owner = record->ephemeral_owner;
    if (!pb_acl_is_open(record->acl, record->acl_count)) {
        message.has_acl_empty = record->acl_count == 0;
        message.acl_empty = record->acl_count == 0;
        message.n_acl = record->acl_count;
        pb_acl_put(&acls, record->acl, record->acl_count, &message.acl);
    }
    put_znode_key(list, record->path, 0);
    put_message(list, record->path.len + 1, &message.base);
    if (many > 0) {
        mem_free(acls.items);
        mem_free(acls.pointers);
    }
}

void record_put_session(struct buf *list, const struct session_record *record)
{
    Disk__Session message;

    disk__session__init(&message);
    message.timeout_ms = record->timeout_ms;
    message.password = pb_bytes(slice_make(record->password, PASSWORD_SIZE));
    message.zxid = record->zxid;
    put_session_key(put_header(list, SESSION_KEY_SIZE, 0), record->id);
    put_message(list, SESSION_KEY_SIZE, &message.base);
}

void record_put_marker(struct buf *list, const struct marker_record *record)
{
    Disk__Marker message;

    disk__marker__init(&message);
    message.zxid = record->zxid;
    message.tree_digest = record->tree_digest;
    message.session_digest = record->session_digest;
    message.znode_count = record->znode_count;
    message.session_count = record->session_count;
    *put_header(list, 1, 0) = KEY_MARKER;
    put_message(list, 1, &message.base);
}

void record_delete_znode(struct buf *list, struct slice path)
{
    put_znode_key(list, path, DELETED);
}

void record_delete_session(struct buf *list, uint64_t id)
{
    put_session_key(put_header(list, SESSION_KEY_SIZE, DELETED), id);
}

int record_next(struct slice *list, struct record_entry *entry)
{
    uint32_t key_len, value_len;

    if (list->len == 0) {
        return ERR_NOT_FOUND;
    }
    if (list->len < ENTRY_HEADER) {
        return ERR_CORRUPT;
    }
    key_len = bytes_load32(list->ptr);
    value_len = bytes_load32(list->ptr + 4);
    *list = slice_after(*list, ENTRY_HEADER);
    if (key_len == 0 || key_len > list->len) {
        return ERR_CORRUPT;
    }
    entry->key = slice_make(list->ptr, key_len);
    *list = slice_after(*list, key_len);
    if (value_len == DELETED) {
        entry->value = (struct slice){0};
        return 0;
    }
    if (value_len < CRC_SIZE || value_len > list->len) {
        return ERR_CORRUPT;
    }
    entry->value = slice_make(list->ptr, value_len - CRC_SIZE);
    *list = slice_after(*list, value_len);
    return 0;
}

void record_put_raw(struct buf *list, struct slice key, struct slice sealed)
{
    uint8_t *to;

    CHECK(sealed.len < DELETED);
    to = put_header(list, key.len, (uint32_t)sealed.len);
    memcpy(to, key.ptr, key.len);
    buf_append(list, sealed);
}

int record_open(struct slice key, struct slice sealed, struct slice *value)
{
    uint32_t crc;

    if (sealed.len < CRC_SIZE) {
        return ERR_CORRUPT;
    }
    *value = slice_make(sealed.ptr, sealed.len - CRC_SIZE);
    crc = crc32c(crc32c(0, key), *value);
    return crc == bytes_load32(sealed.ptr + value->len) ? 0 : ERR_CORRUPT;
}

int record_get_znode(const struct record_entry *entry, struct arena *arena,
                     struct znode_record *record)
{
    const Disk__Znode *message;

    if (!has_key(entry, KEY_ZNODE) || entry->key.len < 2 ||
        entry->key.ptr[1] != '/') {
        return ERR_CORRUPT;
    }
    message = pb_unpack(&disk__znode__descriptor, arena, entry->value);
    if (message == NULL) {
        return ERR_CORRUPT;
    }
    record->path = slice_after(entry->key, 1);
    record->data =
        message->has_data ? pb_slice(&message->data) : (struct slice){0};
    record->czxid = message->czxid;
    record->mzxid = message->has_mzxid ? message->mzxid : message->czxid;
    record->pzxid = message->has_pzxid ? message->pzxid : message->czxid;
    record->ctime_ms = (int64_t)message->ctime_ms;
    record->mtime_ms = (int64_t)(message->has_mtime_ms ? message->mtime_ms
                                                       : message->ctime_ms);
    record->version = message->version;
    record->aversion = message->aversion;
    record->sequence = message->sequence;
    record->ephemeral_owner = message->ephemeral_owner;
    pb_acl_get(message->acl, message->n_acl, message->acl_empty, arena,
               &record->acl, &record->acl_count);
    return 0;
}

/* Sessions come without an arena: they are unpacked into one of their own,
 * small enough for any load (a hundred thousand sessions, not millions). */
int record_get_session(const struct record_entry *entry,
                       struct session_record *record)
{
    struct arena *arena;
    const Disk__Session *message;
    int err = ERR_CORRUPT;

    if (!has_key(entry, KEY_SESSION) || entry->key.len != SESSION_KEY_SIZE) {
        return ERR_CORRUPT;
    }
    arena = arena_create(256);
    message = pb_unpack(&disk__session__descriptor, arena, entry->value);
    if (message != NULL && message->password.len == PASSWORD_SIZE) {
        record->id = bytes_load64(entry->key.ptr + 1);
        record->timeout_ms = message->timeout_ms;
        memcpy(record->password, message->password.data, PASSWORD_SIZE);
        record->zxid = message->zxid;
        err = 0;
    }
    arena_destroy(arena);
    return err;
}

int record_get_marker(const struct record_entry *entry,
                      struct marker_record *record)
{
    struct arena *arena;
    const Disk__Marker *message;

    if (!has_key(entry, KEY_MARKER) || entry->key.len != 1) {
        return ERR_CORRUPT;
    }
    arena = arena_create(256);
    message = pb_unpack(&disk__marker__descriptor, arena, entry->value);
    if (message != NULL) {
        *record = (struct marker_record){
            .zxid = message->zxid,
            .tree_digest = message->tree_digest,
            .session_digest = message->session_digest,
            .znode_count = message->znode_count,
            .session_count = message->session_count,
        };
    }
    arena_destroy(arena);
    return message != NULL ? 0 : ERR_CORRUPT;
}

void record_put_log(struct buf *list, zxid_t zxid, struct slice payload)
{
    uint8_t *to = buf_extend(list, LOG_HEADER);

    CHECK(payload.len <= UINT32_MAX);
    bytes_store64(to, zxid);
    bytes_store32(to + 8, (uint32_t)payload.len);
    buf_append(list, payload);
}

int record_next_log(struct slice *list, zxid_t *zxid, struct slice *payload)
{
    uint32_t len;

    if (list->len == 0) {
        return ERR_NOT_FOUND;
    }
    if (list->len < LOG_HEADER) {
        return ERR_CORRUPT;
    }
    *zxid = bytes_load64(list->ptr);
    len = bytes_load32(list->ptr + 8);
    *list = slice_after(*list, LOG_HEADER);
    if (len > list->len) {
        return ERR_CORRUPT;
    }
    *payload = slice_make(list->ptr, len);
    *list = slice_after(*list, len);
    return 0;
}

/* Appends value and CRC behind the key that ends the list, and puts their size
 * into the entry's header. */
static void put_message(struct buf *list, size_t key_len,
                        const ProtobufCMessage *message)
{
    size_t value_at = list->len;
    struct slice key, value;
    uint32_t crc;

    pb_pack(message, list);
    (void)buf_extend(list, CRC_SIZE);
    key = slice_make(list->data + value_at - key_len, key_len);
    value = slice_make(list->data + value_at, list->len - CRC_SIZE - value_at);
    CHECK(value.len < DELETED - CRC_SIZE);
    crc = crc32c(crc32c(0, key), value);
    bytes_store32(list->data + value_at + value.len, crc);
    bytes_store32(list->data + value_at - key_len - 4,
                  (uint32_t)(value.len + CRC_SIZE));
}

/* Gives the room for the key. */
static uint8_t *put_header(struct buf *list, size_t key_len, uint32_t size)
{
    uint8_t *to;

    CHECK(key_len > 0);
    CHECK(key_len <= UINT32_MAX);
    to = buf_extend(list, ENTRY_HEADER + key_len);
    bytes_store32(to, (uint32_t)key_len);
    bytes_store32(to + 4, size);
    return to + ENTRY_HEADER;
}

static void put_znode_key(struct buf *list, struct slice path, uint32_t size)
{
    uint8_t *key;

    CHECK(path.len > 0);
    key = put_header(list, path.len + 1, size);
    key[0] = KEY_ZNODE;
    memcpy(key + 1, path.ptr, path.len);
}

static void put_session_key(uint8_t *to, uint64_t id)
{
    to[0] = KEY_SESSION;
    bytes_store64(to + 1, id);
}

static bool has_key(const struct record_entry *entry, uint8_t first)
{
    return entry->value.ptr != NULL && entry->key.len > 0 &&
           entry->key.ptr[0] == first;
}
