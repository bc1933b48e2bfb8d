/* The tree and the sessions from the own disk, at boot and after a snapshot was
 * received: one way for both (DESIGN 3.4). */
#include "base/check.h"
#include "base/err.h"
#include "replica/replica_internal.h"

static int load_entry(struct replica *r, const struct record_entry *entry);

void load_begin(struct replica *r)
{
    struct map_link *link = map_first(&r->conns);

    /* After a snapshot was received nobody can say what a connection's client
     * has seen, nor tell it the events it missed (DESIGN 3.6). */
    while (link != NULL) {
        struct conn *conn = MAP_ENTRY(link, struct conn, by_id);

        link = map_next(&r->conns, link);
        if (conn->state != CONN_NEW) {
            conn_close(r, conn, "the tree is loaded anew");
        }
    }
    read_only_end(r);
    placed_drop(r);
    r->loading = true;
    /* Whatever is stored from here on is of this tree; a checkpoint of the
     * older one came back before the end of the snapshot did. */
    r->tree_outdated = false;
    r->checkpoint_seq = 0;
    r->digests_count = 0;
    r->marker_seen = false;
    r->zxid_delivered = 0;
    r->dirty_since_ms = 0;
    r->checkpoint_txns = 0;
    tree_load_begin(r->tree);
    session_load_begin(r->sessions);
}

void load_chunk(struct replica *r, struct blob *payload)
{
    struct slice list = blob_bytes(payload);
    struct record_entry entry;
    int err;

    CHECK(r->loading);
    while ((err = record_next(&list, &entry)) == 0) {
        err = load_entry(r, &entry);
        if (err != 0) {
            break;
        }
    }
    if (err != ERR_NOT_FOUND) {
        replica_damaged(r, "reason=\"the checkpoint is damaged: a record %s\"",
                        err_text(err));
    }
    blob_unref(payload);
    r->budget = 0; /* a chunk is a slice */
}

/* What was loaded must be what was stored, down to the digests. */
void load_end(struct replica *r, zxid_t zxid)
{
    const struct marker_record *marker = &r->marker;

    CHECK(r->loading);
    tree_load_end(r->tree);
    r->loading = false;
    r->zxid_delivered = zxid;
    r->checkpoint_zxid = zxid;
    if (zxid == 0 && !r->marker_seen) {
        return; /* nothing was ever stored */
    }
    if (!r->marker_seen || marker->zxid != zxid) {
        replica_damaged(r,
                        "reason=\"the checkpoint has no marker of its zxid\" "
                        "zxid=0x%llx",
                        (unsigned long long)zxid);
    } else if (marker->znode_count != tree_count(r->tree) - 1 ||
               marker->session_count != session_count(r->sessions)) {
        replica_damaged(r,
                        "reason=\"the checkpoint is damaged: records are "
                        "missing\" znodes=%zu znodes_marked=%llu sessions=%zu "
                        "sessions_marked=%llu",
                        tree_count(r->tree) - 1,
                        (unsigned long long)marker->znode_count,
                        session_count(r->sessions),
                        (unsigned long long)marker->session_count);
    } else if (marker->tree_digest != tree_digest(r->tree) ||
               marker->session_digest != session_digest(r->sessions)) {
        replica_damaged(r,
                        "reason=\"the checkpoint is damaged: its digests "
                        "differ\" zxid=0x%llx",
                        (unsigned long long)zxid);
    } else {
        replica_log(r, REPLICA_INFO, "loaded",
                    "zxid=0x%llx znodes=%zu sessions=%zu",
                    (unsigned long long)zxid, tree_count(r->tree),
                    session_count(r->sessions));
    }
}

static int load_entry(struct replica *r, const struct record_entry *entry)
{
    struct znode_record znode;
    struct session_record session;
    int err;

    if (entry->key.len == 0 || slice_is_absent(entry->value)) {
        return ERR_CORRUPT;
    }
    switch (entry->key.ptr[0]) {
        case 'n':
            err = record_get_znode(entry, r->arena, &znode);
            return err != 0 ? err : tree_load(r->tree, &znode);
        case 's':
            err = record_get_session(entry, &session);
            return err != 0 ? err : session_load(r->sessions, &session);
        case 'm':
            r->marker_seen = true;
            err = record_get_marker(entry, &r->marker);
            if (err == 0) { /* its key comes first */
                tree_load_expect(r->tree, r->marker.znode_count);
            }
            return err;
        default:
            return ERR_CORRUPT;
    }
}
