#include "znode/dirty.h"

#include "base/check.h"
#include "base/mem.h"
#include "proto/record.h"
#include "znode/tree_internal.h"

/* One call stays short also when a few thousand znodes are big. */
#define TAKE_BYTES_MAX ((size_t)1024 * 1024)

/* Fields of a record besides path and data, about. */
#define RECORD_FIXED 64
/* Memory that an idle list may keep. */
#define KEPT_MAX ((size_t)65536)

static struct dirty_entry *push(struct dirty *dirty);
static void take_entry(struct tree *tree, struct dirty_entry *entry,
                       struct buf *list);
static void put_node(struct tree *tree, struct znode *node, struct buf *list);
static void reset(struct dirty *dirty);

void dirty_finish(struct dirty *dirty)
{
    mem_free(dirty->entries);
    buf_finish(&dirty->paths);
    *dirty = (struct dirty){0};
}

void dirty_mark(struct dirty *dirty, struct znode *node)
{
    struct dirty_entry *entry;

    if (node->dirty == 0) {
        entry = push(dirty);
        entry->node = node;
        node->dirty = (uint32_t)dirty->count;
        dirty->live++;
    } else {
        entry = &dirty->entries[node->dirty - 1];
    }
    dirty->bytes -= entry->bytes;
    entry->bytes = RECORD_FIXED + node->link.len + node->data_len;
    dirty->bytes += entry->bytes;
}

void dirty_unmark(struct dirty *dirty, struct znode *node)
{
    struct dirty_entry *entry;

    if (node->dirty == 0) {
        return;
    }
    entry = &dirty->entries[node->dirty - 1];
    CHECK(entry->node == node);
    dirty->bytes -= entry->bytes;
    dirty->live--;
    *entry = (struct dirty_entry){0};
    node->dirty = 0;
}

/* A node that never reached the disk leaves nothing to delete there; if its
 * path was deleted before, that entry is still in the list. */
void dirty_deleted(struct dirty *dirty, struct znode *node, struct slice path)
{
    struct dirty_entry *entry;

    dirty_unmark(dirty, node);
    if ((node->flags & ZNODE_FRESH) != 0) {
        return;
    }
    CHECK(path.len > 0);
    CHECK(path.len <= UINT32_MAX - RECORD_FIXED);
    entry = push(dirty);
    entry->deleted_path_len = (uint32_t)path.len;
    entry->bytes = RECORD_FIXED + (uint32_t)path.len;
    buf_append(&dirty->paths, path);
    dirty->live++;
    dirty->bytes += entry->bytes;
}

bool tree_dirty_take(struct tree *tree, size_t max, struct buf *list)
{
    struct dirty *dirty = &tree->dirty;
    size_t enough = list->len + TAKE_BYTES_MAX;

    for (size_t i = 0;
         i < max && dirty->taken < dirty->count && list->len < enough; i++) {
        take_entry(tree, &dirty->entries[dirty->taken++], list);
    }
    if (dirty->taken < dirty->count) {
        return false;
    }
    CHECK(dirty->live == 0);
    CHECK(dirty->bytes == 0);
    CHECK(dirty->paths_taken == dirty->paths.len);
    reset(dirty);
    return true;
}

size_t tree_dirty_count(const struct tree *tree)
{
    return tree->dirty.live;
}

size_t tree_dirty_bytes(const struct tree *tree)
{
    return tree->dirty.bytes;
}

static struct dirty_entry *push(struct dirty *dirty)
{
    struct dirty_entry *entry;

    CHECK(dirty->taken == 0);
    CHECK(dirty->count < UINT32_MAX);
    dirty->entries = mem_grow(dirty->entries, &dirty->capacity,
                              dirty->count + 1, sizeof(struct dirty_entry));
    entry = &dirty->entries[dirty->count++];
    *entry = (struct dirty_entry){0};
    return entry;
}

static void take_entry(struct tree *tree, struct dirty_entry *entry,
                       struct buf *list)
{
    struct dirty *dirty = &tree->dirty;

    if (entry->node != NULL) {
        put_node(tree, entry->node, list);
        entry->node->flags &= (uint16_t)~ZNODE_FRESH;
        entry->node->dirty = 0;
    } else if (entry->deleted_path_len > 0) {
        record_delete_znode(list,
                            slice_make(dirty->paths.data + dirty->paths_taken,
                                       entry->deleted_path_len));
        dirty->paths_taken += entry->deleted_path_len;
    } else {
        return;
    }
    dirty->live--;
    dirty->bytes -= entry->bytes;
}

static void put_node(struct tree *tree, struct znode *node, struct buf *list)
{
    struct znode_record record = {
        .data = znode_data(node),
        .czxid = node->czxid,
        .mzxid = node->mzxid,
        .pzxid = node->pzxid,
        .ctime_ms = node->ctime_ms,
        .mtime_ms = node->mtime_ms,
        .version = node->version,
        .aversion = node->aversion,
        .sequence = znode_sequence(node),
        .ephemeral_owner = node->owner,
    };
    size_t len = node_path_len(node);

    record.acl = acl_table_get(&tree->acls, node->acl_id, &record.acl_count);
    buf_clear(&tree->scratch);
    node_write_path(node, buf_extend(&tree->scratch, len), len);
    record.path = buf_bytes(&tree->scratch);
    record_put_znode(list, &record);
}

static void reset(struct dirty *dirty)
{
    dirty->count = 0;
    dirty->taken = 0;
    dirty->paths_taken = 0;
    buf_clear(&dirty->paths);
    if (dirty->capacity * sizeof(struct dirty_entry) > KEPT_MAX ||
        dirty->paths.capacity > KEPT_MAX) {
        dirty_finish(dirty);
    }
}
