#include "base/err.h"
#include "base/mem.h"
#include "store/leveldb_scan.h"

/* What an edit of the manifest may hold (LevelDB's version_edit.cc). */
enum {
    TAG_COMPARATOR = 1,
    TAG_LOG_NUMBER = 2,
    TAG_NEXT_FILE = 3,
    TAG_LAST_SEQUENCE = 4,
    TAG_COMPACT_POINTER = 5,
    TAG_DELETED_FILE = 6,
    TAG_NEW_FILE = 7,
    TAG_PREV_LOG = 9,
};

static int take_edit(void *arg, struct slice edit);
static bool take_tag(struct leveldb_version *version, uint64_t tag,
                     struct slice *edit);
static bool skip_bytes(struct slice *edit);
static bool take_new_file(struct leveldb_version *version, struct slice *edit);
static bool take_deleted_file(struct leveldb_version *version,
                              struct slice *edit);

int leveldb_version_load(struct volume *volume, const char *path,
                         struct leveldb_version *version,
                         struct leveldb_tail *tail)
{
    struct leveldb_log log = {
        .volume = volume,
        .path = path,
        .last = true,
        .found = take_edit,
        .arg = version,
    };
    int err;

    *version = (struct leveldb_version){0};
    map_init(&version->tables, 0);
    err = leveldb_log_scan(&log, tail);
    if (err == ERR_MALFORMED) {
        return volume_damage(volume, path, 0,
                             "LevelDB manifest does not parse");
    }
    if (err == 0 &&
        (!version->has_log || !version->has_next || !version->has_sequence)) {
        return volume_damage(volume, path, tail->torn ? tail->offset : 0,
                             "LevelDB manifest is not whole");
    }
    return err;
}

void leveldb_version_finish(struct leveldb_version *version)
{
    struct map_link *link;

    while ((link = map_first(&version->tables)) != NULL) {
        map_remove(&version->tables, link);
        mem_free(MAP_ENTRY(link, struct leveldb_table, link));
    }
    map_finish(&version->tables);
}

static int take_edit(void *arg, struct slice edit)
{
    struct leveldb_version *version = arg;

    while (edit.len > 0) {
        uint64_t tag;

        if (!leveldb_varint(&edit, &tag) || !take_tag(version, tag, &edit)) {
            return ERR_MALFORMED;
        }
    }
    return 0;
}

static bool take_tag(struct leveldb_version *version, uint64_t tag,
                     struct slice *edit)
{
    uint64_t number;

    switch (tag) {
        case TAG_COMPARATOR:
            return skip_bytes(edit);
        case TAG_LOG_NUMBER:
            version->has_log = true;
            return leveldb_varint(edit, &version->log_number);
        case TAG_PREV_LOG:
            return leveldb_varint(edit, &version->prev_log_number);
        case TAG_NEXT_FILE:
            version->has_next = true;
            return leveldb_varint(edit, &number);
        case TAG_LAST_SEQUENCE:
            version->has_sequence = true;
            return leveldb_varint(edit, &number);
        case TAG_COMPACT_POINTER:
            return leveldb_varint(edit, &number) && skip_bytes(edit);
        case TAG_DELETED_FILE:
            return take_deleted_file(version, edit);
        case TAG_NEW_FILE:
            return take_new_file(version, edit);
        default:
            return false;
    }
}

static bool skip_bytes(struct slice *edit)
{
    uint64_t len;

    if (!leveldb_varint(edit, &len) || len > edit->len) {
        return false;
    }
    *edit = slice_after(*edit, (size_t)len);
    return true;
}

static bool take_new_file(struct leveldb_version *version, struct slice *edit)
{
    uint64_t level;
    uint64_t number;
    uint64_t size;
    struct map_link *link;
    struct leveldb_table *table;

    if (!leveldb_varint(edit, &level) || !leveldb_varint(edit, &number) ||
        !leveldb_varint(edit, &size) || !skip_bytes(edit) ||
        !skip_bytes(edit)) {
        return false;
    }
    /* A table that changes its level is deleted and new in one edit, in that
     * order. */
    link = map_find_number(&version->tables, number);
    if (link != NULL) {
        return true;
    }
    table = MEM_NEW(struct leveldb_table);
    table->size = size;
    map_add_number(&version->tables, &table->link, number);
    return true;
}

static bool take_deleted_file(struct leveldb_version *version,
                              struct slice *edit)
{
    uint64_t level;
    uint64_t number;
    struct map_link *link;

    if (!leveldb_varint(edit, &level) || !leveldb_varint(edit, &number)) {
        return false;
    }
    link = map_find_number(&version->tables, number);
    if (link != NULL) {
        map_remove(&version->tables, link);
        mem_free(MAP_ENTRY(link, struct leveldb_table, link));
    }
    return true;
}
