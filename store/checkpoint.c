#include "store/checkpoint.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/mutation.h"
#include "store/leveldb_scan.h"

/* DESIGN 3.4, Memory. 74 is the least that LevelDB takes. */
#define WRITE_BUFFER ((size_t)4 << 20)
#define BLOCK_CACHE ((size_t)1 << 20)
#define BLOCK_SIZE ((size_t)16 << 10)
enum { OPEN_FILES_MAX = 74 };

enum { KEY_HEADER = 5 };

static void close_db(struct checkpoint *checkpoint);
static int write_batch(struct checkpoint *checkpoint,
                       const struct checkpoint_part *part,
                       leveldb_writebatch_t *batch);

int checkpoint_open(struct checkpoint *checkpoint, struct volume *volume,
                    const char *dir, uint32_t generation)
{
    int err;

    *checkpoint = (struct checkpoint){
        .volume = volume, .live.generation = generation, .garbage = true};
    memcpy(checkpoint->live.dir, dir, strlen(dir) + 1);
    checkpoint->options = leveldb_options_create();
    checkpoint->cache = leveldb_cache_create_lru(BLOCK_CACHE);
    checkpoint->synced = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(checkpoint->synced, volume->sync);
    checkpoint->unsynced = leveldb_writeoptions_create();
    leveldb_options_set_create_if_missing(checkpoint->options, 1);
    leveldb_options_set_paranoid_checks(checkpoint->options, 1);
    leveldb_options_set_write_buffer_size(checkpoint->options, WRITE_BUFFER);
    leveldb_options_set_cache(checkpoint->options, checkpoint->cache);
    leveldb_options_set_max_open_files(checkpoint->options, OPEN_FILES_MAX);
    leveldb_options_set_block_size(checkpoint->options, BLOCK_SIZE);
    leveldb_options_set_compression(checkpoint->options,
                                    leveldb_no_compression);
    err = checkpoint_open_part(checkpoint, &checkpoint->live);
    if (err == 0) {
        err = checkpoint_marker(checkpoint, &checkpoint->live,
                                &checkpoint->marker);
    }
    if (err != 0 && err != ERR_NOT_FOUND) {
        checkpoint_close(checkpoint);
        return err;
    }
    checkpoint->zxid = checkpoint->marker.zxid;
    return 0;
}

void checkpoint_close(struct checkpoint *checkpoint)
{
    close_db(checkpoint);
    checkpoint_close_part(&checkpoint->next);
    if (checkpoint->options != NULL) {
        leveldb_options_destroy(checkpoint->options);
        leveldb_cache_destroy(checkpoint->cache);
        leveldb_writeoptions_destroy(checkpoint->synced);
        leveldb_writeoptions_destroy(checkpoint->unsynced);
    }
    mem_free(checkpoint->readers);
    buf_finish(&checkpoint->key);
    *checkpoint = (struct checkpoint){0};
}

int checkpoint_reopen(struct checkpoint *checkpoint)
{
    CHECK(checkpoint->readers_count == 0);
    close_db(checkpoint);
    (void)malloc_trim(0); /* whether there was anything to give */
    return checkpoint_open_part(checkpoint, &checkpoint->live);
}

int checkpoint_recover(struct checkpoint *checkpoint)
{
    struct leveldb_scan scan;
    int err;

    close_db(checkpoint);
    err = leveldb_scan(checkpoint->volume, checkpoint->live.dir, &scan);
    if (err == 0) {
        err = leveldb_cut(checkpoint->volume, checkpoint->live.dir, &scan);
    }
    return err != 0 ? err : checkpoint_open_part(checkpoint, &checkpoint->live);
}

int checkpoint_open_part(struct checkpoint *checkpoint,
                         struct checkpoint_part *part)
{
    char path[VOLUME_PATH_SIZE];
    char *text = NULL;
    int err;

    part->db = leveldb_open(checkpoint->options, part->dir, &text);
    if (text != NULL) {
        part->db = NULL;
        return checkpoint_fail(checkpoint, text);
    }
    checkpoint->written = 0;
    /* Its journal of what it did, not of data; ours is in our own log. */
    volume_path(path, part->dir, "LOG");
    err = file_unlink(checkpoint->volume, path);
    if (err == 0) {
        volume_path(path, part->dir, "LOG.old");
        err = file_unlink(checkpoint->volume, path);
    }
    if (err == 0) {
        err = file_sync_dir(checkpoint->volume, part->dir);
    }
    return err;
}

static void close_db(struct checkpoint *checkpoint)
{
    checkpoint_read_lose_all(checkpoint);
    checkpoint_close_part(&checkpoint->live);
}

void checkpoint_close_part(struct checkpoint_part *part)
{
    if (part->db != NULL) {
        leveldb_close(part->db);
        part->db = NULL;
    }
}

int checkpoint_fail(struct checkpoint *checkpoint, char *text)
{
    struct leveldb_scan scan;
    int err = ERR_IO;

    if (strstr(text, strerrordesc_np(ENOSPC)) != NULL ||
        strstr(text, strerrordesc_np(EDQUOT)) != NULL) {
        leveldb_free(text);
        return ERR_BUSY;
    }
    if (strncmp(text, "Corruption", 10) == 0) {
        /* LevelDB names no offset: look for it. */
        err = leveldb_scan(checkpoint->volume, checkpoint->live.dir, &scan);
        err = err != 0 ? err
                       : volume_damage(checkpoint->volume, checkpoint->live.dir,
                                       0, text);
    } else {
        (void)volume_fail_text(checkpoint->volume, checkpoint->live.dir, text);
    }
    leveldb_free(text);
    return err;
}

struct slice checkpoint_key(struct buf *key, uint8_t first, uint32_t generation,
                            struct slice rest)
{
    uint8_t *to;

    buf_clear(key);
    to = buf_extend(key, KEY_HEADER + rest.len);
    to[0] = first;
    bytes_store32(to + 1, generation);
    if (rest.len > 0) {
        memcpy(to + KEY_HEADER, rest.ptr, rest.len);
    }
    return buf_bytes(key);
}

int checkpoint_marker(struct checkpoint *checkpoint,
                      const struct checkpoint_part *part,
                      struct marker_record *marker)
{
    leveldb_readoptions_t *options = leveldb_readoptions_create();
    struct slice key = checkpoint_key(&checkpoint->key, 'm', part->generation,
                                      (struct slice){0});
    struct record_entry entry = {.key = SLICE_LITERAL("m")};
    char *text = NULL;
    char *found;
    size_t len = 0;
    int err = 0;

    leveldb_readoptions_set_verify_checksums(options, 1);
    found = leveldb_get(part->db, options, (const char *)key.ptr, key.len, &len,
                        &text);
    leveldb_readoptions_destroy(options);
    if (text != NULL) {
        return checkpoint_fail(checkpoint, text);
    }
    if (found == NULL) {
        return ERR_NOT_FOUND;
    }
    if (record_open(entry.key, slice_make(found, len), &entry.value) != 0 ||
        record_get_marker(&entry, marker) != 0) {
        err = volume_damage(checkpoint->volume, part->dir, 0,
                            "the checkpoint's marker fails its checksum");
    }
    leveldb_free(found);
    return err;
}

int checkpoint_write(struct checkpoint *checkpoint, zxid_t zxid,
                     struct slice records)
{
    struct marker_record marker = {0};
    struct slice list = records;
    struct record_entry entry;
    int err;

    /* The marker goes in the same batch, or nothing does. */
    while ((err = record_next(&list, &entry)) == 0) {
        if (slice_equal_text(entry.key, "m") && entry.value.ptr != NULL &&
            record_get_marker(&entry, &marker) != 0) {
            return ERR_CORRUPT;
        }
    }
    if (err != ERR_NOT_FOUND || marker.zxid != zxid) {
        return ERR_CORRUPT;
    }
    err = checkpoint_put(checkpoint, &checkpoint->live, records, &marker);
    if (err == 0) {
        checkpoint->zxid = zxid;
        checkpoint->marker = marker;
    }
    return err;
}

int checkpoint_put(struct checkpoint *checkpoint,
                   const struct checkpoint_part *part, struct slice records,
                   struct marker_record *marker)
{
    leveldb_writebatch_t *batch = leveldb_writebatch_create();
    struct record_entry entry;
    size_t size = records.len;
    int err;

    while ((err = record_next(&records, &entry)) == 0) {
        struct slice key =
            checkpoint_key(&checkpoint->key, entry.key.ptr[0], part->generation,
                           slice_after(entry.key, 1));
        struct slice value;
        struct slice sealed = {entry.value.ptr, entry.value.len + 4};

        if (entry.value.ptr == NULL) {
            leveldb_writebatch_delete(batch, (const char *)key.ptr, key.len);
            continue;
        }
        if (record_open(entry.key, sealed, &value) != 0 ||
            (slice_equal_text(entry.key, "m") &&
             record_get_marker(&entry, marker) != 0)) {
            err = ERR_CORRUPT;
            break;
        }
        if (MUTATION(13) && slice_equal_text(entry.key, "m")) {
            (void)write_batch(checkpoint, part, batch);
            leveldb_writebatch_clear(batch);
        }
        leveldb_writebatch_put(batch, (const char *)key.ptr, key.len,
                               (const char *)sealed.ptr, sealed.len);
    }
    if (err == ERR_NOT_FOUND) {
        err = write_batch(checkpoint, part, batch);
        checkpoint->written += size;
        volume_count(&checkpoint->volume->counts.bytes_written, size);
    }
    leveldb_writebatch_destroy(batch);
    return err;
}

/* What is staged is synced at its end. LevelDB's log may be a new file: its
 * directory entry is ours to sync. */
static int write_batch(struct checkpoint *checkpoint,
                       const struct checkpoint_part *part,
                       leveldb_writebatch_t *batch)
{
    bool live = part == &checkpoint->live;
    char *text = NULL;

    leveldb_write(part->db, live ? checkpoint->synced : checkpoint->unsynced,
                  batch, &text);
    if (text != NULL) {
        return checkpoint_fail(checkpoint, text);
    }
    if (!live || MUTATION(36)) {
        return 0;
    }
    volume_count(&checkpoint->volume->counts.syncs, 1);
    return file_sync_dir(checkpoint->volume, part->dir);
}
