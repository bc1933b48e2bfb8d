#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/checkpoint.h"

enum { KEY_HEADER = 5 };

/* In this order: the marker says what to expect of the rest. */
static const uint8_t kinds[] = {'m', 'n', 's'};
enum { KINDS = sizeof(kinds) };

static struct checkpoint_reader *find(struct checkpoint *checkpoint,
                                      enum store_owner owner, uint64_t id);
static struct checkpoint_reader *begin(struct checkpoint *checkpoint,
                                       const struct store_op *op);
static bool at_end(struct checkpoint *checkpoint,
                   struct checkpoint_reader *reader);
static void seek(struct checkpoint *checkpoint,
                 struct checkpoint_reader *reader);
static int put_entry(struct checkpoint *checkpoint,
                     struct checkpoint_reader *reader, struct buf *list);
static void end(struct checkpoint *checkpoint,
                struct checkpoint_reader *reader);
static void let_go(struct checkpoint *checkpoint,
                   struct checkpoint_reader *reader);

int checkpoint_read(struct checkpoint *checkpoint, const struct store_op *op,
                    struct buf *list, zxid_t *zxid, bool *last)
{
    struct checkpoint_reader *reader =
        find(checkpoint, op->owner, op->reader_id);
    char *text = NULL;
    int err = 0;

    if (reader == NULL) {
        reader = begin(checkpoint, op);
    }
    if (reader->iterator == NULL) {
        end(checkpoint, reader);
        return ERR_NOT_FOUND;
    }
    *zxid = reader->zxid;
    while (err == 0 && list->len < op->size_max &&
           !at_end(checkpoint, reader)) {
        err = put_entry(checkpoint, reader, list);
        if (err == 0) {
            leveldb_iter_next(reader->iterator);
        }
    }
    if (err == 0) {
        leveldb_iter_get_error(reader->iterator, &text);
        err = text == NULL ? 0 : checkpoint_fail(checkpoint, text);
    }
    *last = err != 0 || at_end(checkpoint, reader);
    if (*last) {
        end(checkpoint, reader);
    }
    return err;
}

void checkpoint_read_close(struct checkpoint *checkpoint,
                           enum store_owner owner, uint64_t id)
{
    struct checkpoint_reader *reader = find(checkpoint, owner, id);

    if (reader != NULL) {
        end(checkpoint, reader);
    }
}

void checkpoint_read_lose_all(struct checkpoint *checkpoint)
{
    for (size_t i = 0; i < checkpoint->readers_count; i++) {
        let_go(checkpoint, &checkpoint->readers[i]);
    }
}

static struct checkpoint_reader *find(struct checkpoint *checkpoint,
                                      enum store_owner owner, uint64_t id)
{
    for (size_t i = 0; i < checkpoint->readers_count; i++) {
        struct checkpoint_reader *reader = &checkpoint->readers[i];

        if (reader->owner == owner && reader->id == id) {
            return reader;
        }
    }
    return NULL;
}

static struct checkpoint_reader *begin(struct checkpoint *checkpoint,
                                       const struct store_op *op)
{
    struct checkpoint_reader *reader;

    checkpoint->readers =
        mem_grow(checkpoint->readers, &checkpoint->readers_capacity,
                 checkpoint->readers_count + 1, sizeof(*checkpoint->readers));
    reader = &checkpoint->readers[checkpoint->readers_count];
    checkpoint->readers_count++;
    *reader = (struct checkpoint_reader){
        .owner = op->owner,
        .id = op->reader_id,
        .generation = checkpoint->live.generation,
        .zxid = checkpoint->zxid, /* nothing is written while we are here */
        .snapshot = leveldb_create_snapshot(checkpoint->live.db),
        .options = leveldb_readoptions_create(),
    };
    leveldb_readoptions_set_verify_checksums(reader->options, 1);
    leveldb_readoptions_set_fill_cache(reader->options, 0);
    leveldb_readoptions_set_snapshot(reader->options, reader->snapshot);
    reader->iterator =
        leveldb_create_iterator(checkpoint->live.db, reader->options);
    seek(checkpoint, reader);
    return reader;
}

static void seek(struct checkpoint *checkpoint,
                 struct checkpoint_reader *reader)
{
    struct slice key = checkpoint_key(&checkpoint->key, kinds[reader->kind],
                                      reader->generation, (struct slice){0});

    leveldb_iter_seek(reader->iterator, (const char *)key.ptr, key.len);
}

/* Steps from the last key of one kind to the first of the next. */
static bool at_end(struct checkpoint *checkpoint,
                   struct checkpoint_reader *reader)
{
    while (reader->kind < KINDS) {
        size_t len;
        const char *key;

        if (leveldb_iter_valid(reader->iterator)) {
            key = leveldb_iter_key(reader->iterator, &len);
            if (len >= KEY_HEADER && (uint8_t)key[0] == kinds[reader->kind] &&
                bytes_load32((const uint8_t *)key + 1) == reader->generation) {
                return false;
            }
        }
        reader->kind++;
        if (reader->kind < KINDS) {
            seek(checkpoint, reader);
        }
    }
    return true;
}

static int put_entry(struct checkpoint *checkpoint,
                     struct checkpoint_reader *reader, struct buf *list)
{
    size_t key_len;
    size_t value_len;
    const char *key = leveldb_iter_key(reader->iterator, &key_len);
    const char *value = leveldb_iter_value(reader->iterator, &value_len);
    struct slice sealed = slice_make(value, value_len);
    struct slice plain;
    struct slice inside;
    uint8_t *to;

    buf_clear(&checkpoint->key);
    to = buf_extend(&checkpoint->key, key_len - KEY_HEADER + 1);
    to[0] = (uint8_t)key[0];
    memcpy(to + 1, key + KEY_HEADER, key_len - KEY_HEADER);
    plain = buf_bytes(&checkpoint->key);
    if (record_open(plain, sealed, &inside) != 0) {
        return volume_damage(checkpoint->volume, checkpoint->live.dir, 0,
                             "a record of the checkpoint fails its checksum");
    }
    record_put_raw(list, plain, sealed);
    return 0;
}

static void end(struct checkpoint *checkpoint, struct checkpoint_reader *reader)
{
    checkpoint->readers_count--;
    let_go(checkpoint, reader);
    *reader = checkpoint->readers[checkpoint->readers_count];
}

/* The iterator first: LevelDB asserts that none outlives its snapshot. */
static void let_go(struct checkpoint *checkpoint,
                   struct checkpoint_reader *reader)
{
    if (reader->iterator != NULL) {
        leveldb_iter_destroy(reader->iterator);
        leveldb_release_snapshot(checkpoint->live.db, reader->snapshot);
        leveldb_readoptions_destroy(reader->options);
        reader->iterator = NULL;
    }
}
