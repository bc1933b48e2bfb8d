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
enum { OPEN_FILES_MAX = 74, COLLECT_KEYS = 4000 };

enum { KEY_HEADER = 5 };

static int open_db(struct checkpoint *checkpoint);
static void close_db(struct checkpoint *checkpoint);
static int read_marker(struct checkpoint *checkpoint, uint32_t generation,
                       struct marker_record *marker);
static void survey(struct checkpoint *checkpoint);
static int put_records(struct checkpoint *checkpoint, uint32_t generation,
                       struct slice records, struct marker_record *marker);
static int write_batch(struct checkpoint *checkpoint,
                       leveldb_writebatch_t *batch);
static int gather(struct checkpoint *checkpoint, leveldb_writebatch_t *batch,
                  size_t max, size_t *found);

int checkpoint_open(struct checkpoint *checkpoint, struct volume *volume,
                    const char *dir, uint32_t generation)
{
    int err;

    *checkpoint =
        (struct checkpoint){.volume = volume, .generation = generation};
    memcpy(checkpoint->dir, dir, strlen(dir) + 1);
    checkpoint->options = leveldb_options_create();
    checkpoint->cache = leveldb_cache_create_lru(BLOCK_CACHE);
    checkpoint->synced = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(checkpoint->synced, volume->sync);
    leveldb_options_set_create_if_missing(checkpoint->options, 1);
    leveldb_options_set_paranoid_checks(checkpoint->options, 1);
    leveldb_options_set_write_buffer_size(checkpoint->options, WRITE_BUFFER);
    leveldb_options_set_cache(checkpoint->options, checkpoint->cache);
    leveldb_options_set_max_open_files(checkpoint->options, OPEN_FILES_MAX);
    leveldb_options_set_block_size(checkpoint->options, BLOCK_SIZE);
    leveldb_options_set_compression(checkpoint->options,
                                    leveldb_no_compression);
    err = open_db(checkpoint);
    if (err == 0) {
        err = read_marker(checkpoint, generation, &checkpoint->marker);
    }
    if (err != 0 && err != ERR_NOT_FOUND) {
        checkpoint_close(checkpoint);
        return err;
    }
    checkpoint->zxid = checkpoint->marker.zxid;
    survey(checkpoint);
    return 0;
}

void checkpoint_close(struct checkpoint *checkpoint)
{
    close_db(checkpoint);
    if (checkpoint->options != NULL) {
        leveldb_options_destroy(checkpoint->options);
        leveldb_cache_destroy(checkpoint->cache);
        leveldb_writeoptions_destroy(checkpoint->synced);
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
    return open_db(checkpoint);
}

int checkpoint_recover(struct checkpoint *checkpoint)
{
    struct leveldb_scan scan;
    int err;

    close_db(checkpoint);
    err = leveldb_scan(checkpoint->volume, checkpoint->dir, &scan);
    if (err == 0) {
        err = leveldb_cut(checkpoint->volume, checkpoint->dir, &scan);
    }
    return err != 0 ? err : open_db(checkpoint);
}

static int open_db(struct checkpoint *checkpoint)
{
    char path[VOLUME_PATH_SIZE];
    char *text = NULL;
    int err;

    checkpoint->db = leveldb_open(checkpoint->options, checkpoint->dir, &text);
    if (text != NULL) {
        checkpoint->db = NULL;
        return checkpoint_fail(checkpoint, text);
    }
    checkpoint->written = 0;
    /* Its journal of what it did, not of data; ours is in our own log. */
    volume_path(path, checkpoint->dir, "LOG");
    err = file_unlink(checkpoint->volume, path);
    if (err == 0) {
        volume_path(path, checkpoint->dir, "LOG.old");
        err = file_unlink(checkpoint->volume, path);
    }
    if (err == 0) {
        err = file_sync_dir(checkpoint->volume, checkpoint->dir);
    }
    return err;
}

static void close_db(struct checkpoint *checkpoint)
{
    checkpoint_read_lose_all(checkpoint);
    if (checkpoint->db != NULL) {
        leveldb_close(checkpoint->db);
        checkpoint->db = NULL;
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
        err = leveldb_scan(checkpoint->volume, checkpoint->dir, &scan);
        err = err != 0
                  ? err
                  : volume_damage(checkpoint->volume, checkpoint->dir, 0, text);
    } else {
        (void)volume_fail_text(checkpoint->volume, checkpoint->dir, text);
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

/* ERR_NOT_FOUND: no such generation. */
static int read_marker(struct checkpoint *checkpoint, uint32_t generation,
                       struct marker_record *marker)
{
    leveldb_readoptions_t *options = leveldb_readoptions_create();
    struct slice key =
        checkpoint_key(&checkpoint->key, 'm', generation, (struct slice){0});
    struct record_entry entry = {.key = SLICE_LITERAL("m")};
    char *text = NULL;
    char *found;
    size_t len = 0;
    int err = 0;

    leveldb_readoptions_set_verify_checksums(options, 1);
    found = leveldb_get(checkpoint->db, options, (const char *)key.ptr, key.len,
                        &len, &text);
    leveldb_readoptions_destroy(options);
    if (text != NULL) {
        return checkpoint_fail(checkpoint, text);
    }
    if (found == NULL) {
        return ERR_NOT_FOUND;
    }
    if (record_open(entry.key, slice_make(found, len), &entry.value) != 0 ||
        record_get_marker(&entry, marker) != 0) {
        err = volume_damage(checkpoint->volume, checkpoint->dir, 0,
                            "the checkpoint's marker fails its checksum");
    }
    leveldb_free(found);
    return err;
}

/* What generations are there: leftovers are collected, and the next to be
 * received gets a number that none of them has. */
static void survey(struct checkpoint *checkpoint)
{
    leveldb_readoptions_t *options = leveldb_readoptions_create();
    leveldb_iterator_t *iterator =
        leveldb_create_iterator(checkpoint->db, options);
    static const char kinds[] = "mns";
    size_t found = 0;

    checkpoint->highest = checkpoint->generation;
    for (const char *kind = kinds; *kind != '\0'; kind++) {
        struct slice key = checkpoint_key(&checkpoint->key, (uint8_t)*kind + 1,
                                          0, (struct slice){0});
        const char *at;
        size_t len;

        leveldb_iter_seek(iterator, (const char *)key.ptr, key.len);
        if (leveldb_iter_valid(iterator)) {
            leveldb_iter_prev(iterator);
        } else {
            leveldb_iter_seek_to_last(iterator);
        }
        if (!leveldb_iter_valid(iterator)) {
            continue;
        }
        at = leveldb_iter_key(iterator, &len);
        if (len >= KEY_HEADER && at[0] == *kind) {
            uint32_t generation = bytes_load32((const uint8_t *)at + 1);

            if (generation > checkpoint->highest) {
                checkpoint->highest = generation;
            }
        }
    }
    leveldb_iter_destroy(iterator);
    leveldb_readoptions_destroy(options);
    checkpoint->garbage = gather(checkpoint, NULL, 1, &found) == 0 && found > 0;
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
    err = put_records(checkpoint, checkpoint->generation, records, &marker);
    if (err == 0) {
        checkpoint->zxid = zxid;
        checkpoint->marker = marker;
    }
    return err;
}

static int put_records(struct checkpoint *checkpoint, uint32_t generation,
                       struct slice records, struct marker_record *marker)
{
    leveldb_writebatch_t *batch = leveldb_writebatch_create();
    struct record_entry entry;
    size_t size = records.len;
    int err;

    while ((err = record_next(&records, &entry)) == 0) {
        struct slice key =
            checkpoint_key(&checkpoint->key, entry.key.ptr[0], generation,
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
            (void)write_batch(checkpoint, batch);
            leveldb_writebatch_clear(batch);
        }
        leveldb_writebatch_put(batch, (const char *)key.ptr, key.len,
                               (const char *)sealed.ptr, sealed.len);
    }
    if (err == ERR_NOT_FOUND) {
        err = write_batch(checkpoint, batch);
        checkpoint->written += size;
        volume_count(&checkpoint->volume->counts.bytes_written, size);
    }
    leveldb_writebatch_destroy(batch);
    return err;
}

/* LevelDB's log may be a new file: its directory entry is ours to sync. */
static int write_batch(struct checkpoint *checkpoint,
                       leveldb_writebatch_t *batch)
{
    char *text = NULL;

    leveldb_write(checkpoint->db, checkpoint->synced, batch, &text);
    if (text != NULL) {
        return checkpoint_fail(checkpoint, text);
    }
    volume_count(&checkpoint->volume->counts.syncs, 1);
    return MUTATION(36) ? 0
                        : file_sync_dir(checkpoint->volume, checkpoint->dir);
}

void checkpoint_stage_begin(struct checkpoint *checkpoint)
{
    checkpoint->garbage = checkpoint->garbage || checkpoint->staging != 0;
    checkpoint->highest++;
    checkpoint->staging = checkpoint->highest;
}

int checkpoint_stage(struct checkpoint *checkpoint, struct slice records)
{
    struct marker_record marker;

    if (checkpoint->staging == 0) {
        return ERR_NOT_FOUND;
    }
    return put_records(checkpoint, checkpoint->staging, records, &marker);
}

int checkpoint_stage_end(struct checkpoint *checkpoint, zxid_t zxid)
{
    struct marker_record marker = {0};
    int err;

    if (checkpoint->staging == 0) {
        return ERR_NOT_FOUND;
    }
    err = read_marker(checkpoint, checkpoint->staging, &marker);
    if (err == ERR_NOT_FOUND || (err == 0 && marker.zxid != zxid)) {
        checkpoint->staging = 0;
        checkpoint->garbage = true;
        return ERR_CORRUPT;
    }
    if (err == 0) {
        checkpoint->marker = marker;
    }
    return err;
}

void checkpoint_go_live(struct checkpoint *checkpoint)
{
    CHECK(checkpoint->staging != 0);
    checkpoint->generation = checkpoint->staging;
    checkpoint->staging = 0;
    checkpoint->zxid = checkpoint->marker.zxid;
    checkpoint->garbage = true;
}

int checkpoint_collect(struct checkpoint *checkpoint)
{
    leveldb_writebatch_t *batch;
    size_t found = 0;
    int err;

    if (!checkpoint->garbage) {
        return 0;
    }
    batch = leveldb_writebatch_create();
    err = gather(checkpoint, batch, COLLECT_KEYS, &found);
    if (err == 0 && found > 0) {
        err = write_batch(checkpoint, batch);
        checkpoint->written += found * KEY_HEADER;
    }
    if (err == 0 && found == 0) {
        checkpoint->garbage = false;
    }
    leveldb_writebatch_destroy(batch);
    return err;
}

/* Deletions of keys of dead generations into batch (or only counted). */
static int gather(struct checkpoint *checkpoint, leveldb_writebatch_t *batch,
                  size_t max, size_t *found)
{
    leveldb_readoptions_t *options = leveldb_readoptions_create();
    leveldb_iterator_t *iterator;
    char *text = NULL;

    leveldb_readoptions_set_fill_cache(options, 0);
    iterator = leveldb_create_iterator(checkpoint->db, options);
    leveldb_iter_seek_to_first(iterator);
    while (leveldb_iter_valid(iterator) && *found < max) {
        size_t len;
        const char *at = leveldb_iter_key(iterator, &len);
        uint32_t generation =
            len < KEY_HEADER ? 0 : bytes_load32((const uint8_t *)at + 1);

        if (len >= KEY_HEADER && (generation == checkpoint->generation ||
                                  (generation == checkpoint->staging))) {
            struct slice next =
                checkpoint_key(&checkpoint->key, (uint8_t)at[0], generation + 1,
                               (struct slice){0});

            leveldb_iter_seek(iterator, (const char *)next.ptr, next.len);
            continue;
        }
        if (batch != NULL) {
            leveldb_writebatch_delete(batch, at, len);
        }
        (*found)++;
        leveldb_iter_next(iterator);
    }
    leveldb_iter_get_error(iterator, &text);
    leveldb_iter_destroy(iterator);
    leveldb_readoptions_destroy(options);
    return text == NULL ? 0 : checkpoint_fail(checkpoint, text);
}
