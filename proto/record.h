/* Disk records: the keys and values of the checkpoint, and lists of them.
 *
 * Keys here are without the generation that store/ puts behind the first byte:
 * 'n' + path, 's' + session id (8 bytes big-endian), 'm' (the marker). Values
 * are protobuf (record.proto) followed by the CRC32C of key and value, four
 * bytes big-endian. */
#ifndef CORRAL_PROTO_RECORD_H
#define CORRAL_PROTO_RECORD_H

#include "base/arena.h"
#include "base/buf.h"
#include "proto/client.h"
#include "proto/zxid.h"

struct znode_record {
    struct slice path, data; /* data.ptr NULL: null data */
    zxid_t czxid, mzxid, pzxid;
    int64_t ctime_ms, mtime_ms;
    int32_t version, aversion;
    uint64_t sequence; /* stored cversion: creates below this node */
    uint64_t ephemeral_owner;
    const struct zk_acl *acl;
    size_t acl_count;
};

struct session_record {
    uint64_t id;
    int32_t timeout_ms;
    uint8_t password[16];
    zxid_t zxid; /* of its createSession */
};

struct marker_record {
    zxid_t zxid;
    uint64_t tree_digest, session_digest;
    uint64_t znode_count, session_count;
};

/* Entries of a checkpoint or a chunk of one: 32-bit key length, 32-bit value
 * length (all ones: delete the key), key, value with its CRC. */
struct record_entry {
    struct slice key;
    struct slice value; /* without its CRC; ptr NULL: delete */
};

void record_put_znode(struct buf *list, const struct znode_record *record);
void record_put_session(struct buf *list, const struct session_record *record);
void record_put_marker(struct buf *list, const struct marker_record *record);
void record_delete_znode(struct buf *list, struct slice path);
void record_delete_session(struct buf *list, uint64_t id);

/* Takes the next entry off *list. ERR_NOT_FOUND at the end, ERR_CORRUPT when
 * the framing is broken. Does not look at the CRC. */
int record_next(struct slice *list, struct record_entry *entry);
/* Appends an entry whose value (with CRC behind) comes from the disk as is. */
void record_put_raw(struct buf *list, struct slice key, struct slice sealed);
/* Takes value + CRC apart. ERR_CORRUPT. */
int record_open(struct slice key, struct slice sealed, struct slice *value);

/* ERR_CORRUPT, also for a deletion. The path borrows from the entry; data and
 * ACL live in the arena (the open list, world:anyone with all permissions, is
 * static: it costs no bytes in the record). */
int record_get_znode(const struct record_entry *entry, struct arena *arena,
                     struct znode_record *record);
int record_get_session(const struct record_entry *entry,
                       struct session_record *record);
int record_get_marker(const struct record_entry *entry,
                      struct marker_record *record);

/* Log records as STORE_READ_LOG returns them: 64-bit zxid, 32-bit length,
 * payload. ERR_NOT_FOUND at the end, ERR_CORRUPT. */
void record_put_log(struct buf *list, zxid_t zxid, struct slice payload);
int record_next_log(struct slice *list, zxid_t *zxid, struct slice *payload);

#endif
