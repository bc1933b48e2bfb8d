#include <fcntl.h>
#include <unistd.h>

#include "base/err.h"
#include "store/leveldb_scan.h"

enum {
    FOOTER = 48,
    HANDLES = 40,      /* of the footer; the magic is behind */
    BLOCK_TRAILER = 5, /* compression, masked CRC */
};

static const uint8_t magic[8] = {0x57, 0xfb, 0x80, 0x8b,
                                 0x24, 0x75, 0x47, 0xdb};

struct table {
    struct volume *volume;
    const char *path;
    struct slice file;
    uint64_t next;    /* where the next data block must begin */
    uint64_t meta_at; /* and where the last one ends */
};

struct handle {
    uint64_t offset, size; /* without the trailer */
};

static int read_table(struct volume *volume, const char *path, uint64_t size,
                      struct buf *file);
static int scan(struct table *table);
static int check_block(const struct table *table, const struct handle *handle,
                       struct slice *bytes);
static int check_index(struct table *table, struct slice index);
static bool take_handle(struct slice *from, struct handle *handle);
static bool next_entry(struct slice *block, struct slice *value);
static bool zeros(struct slice bytes);

int leveldb_table_scan(struct volume *volume, const char *path, uint64_t size,
                       struct buf *file)
{
    struct table table = {.volume = volume, .path = path};
    int err = read_table(volume, path, size, file);

    if (err != 0) {
        return err;
    }
    table.file = buf_bytes(file);
    return scan(&table);
}

static int read_table(struct volume *volume, const char *path, uint64_t size,
                      struct buf *file)
{
    uint64_t found;
    size_t len;
    int fd;
    int err;

    if (access(path, F_OK) != 0) {
        return volume_damage(volume, path, 0, "LevelDB table is missing");
    }
    err = file_open(volume, path, O_RDONLY, &fd);
    if (err != 0) {
        return err;
    }
    err = file_size(volume, fd, path, &found);
    if (err == 0 && (found != size || size < FOOTER)) {
        err = volume_damage(volume, path, found < size ? found : size,
                            "LevelDB table has another length");
    }
    if (err == 0) {
        buf_clear(file);
        err = file_read(volume, fd, path, buf_extend(file, (size_t)size),
                        (size_t)size, 0, &len);
        file->len = err == 0 ? len : 0;
    }
    (void)close(fd); /* only read */
    return err;
}

/* Data blocks, then the index of meta blocks, the index, the footer: no byte
 * lies between that a checksum does not cover. */
static int scan(struct table *table)
{
    uint64_t footer_at = table->file.len - FOOTER;
    struct slice footer = slice_after(table->file, (size_t)footer_at);
    struct slice handles = slice_make(footer.ptr, HANDLES);
    struct handle meta = {0};
    struct handle index = {0};
    struct slice bytes = {0};
    int err;

    if (memcmp(footer.ptr + HANDLES, magic, sizeof(magic)) != 0 ||
        !take_handle(&handles, &meta) || !take_handle(&handles, &index) ||
        !zeros(handles) || index.offset > footer_at ||
        index.size > footer_at - index.offset ||
        index.offset + index.size + BLOCK_TRAILER != footer_at ||
        meta.offset + meta.size + BLOCK_TRAILER != index.offset) {
        return volume_damage(table->volume, table->path, footer_at,
                             "LevelDB table has no valid footer");
    }
    table->meta_at = meta.offset;
    err = check_block(table, &meta, &bytes);
    if (err == 0) {
        err = check_block(table, &index, &bytes);
    }
    if (err == 0) {
        err = check_index(table, bytes);
    }
    if (err == 0 && table->next != meta.offset) {
        err = volume_damage(table->volume, table->path, table->next,
                            "LevelDB table has bytes that belong to no block");
    }
    return err;
}

static int check_block(const struct table *table, const struct handle *handle,
                       struct slice *bytes)
{
    const uint8_t *p = table->file.ptr + handle->offset;
    size_t size = (size_t)handle->size;

    if (!leveldb_crc_fits(slice_make(p, size + 1),
                          leveldb_load32(p + size + 1))) {
        return volume_damage(table->volume, table->path, handle->offset,
                             "LevelDB block fails its checksum");
    }
    if (p[size] != 0) {
        return volume_damage(table->volume, table->path, handle->offset + size,
                             "LevelDB block is compressed, and ours never are");
    }
    *bytes = slice_make(p, size);
    return 0;
}

/* In verify, goes on behind a bad block. */
static int check_index(struct table *table, struct slice index)
{
    struct slice value;
    struct slice bytes = {0};
    uint32_t restarts;
    size_t array;
    int first_err = 0;

    if (index.len < 4) {
        return volume_damage(table->volume, table->path, 0,
                             "LevelDB table has no index");
    }
    restarts = leveldb_load32(index.ptr + index.len - 4);
    array = 4 + (size_t)restarts * 4;
    if (array > index.len) {
        return volume_damage(table->volume, table->path, 0,
                             "LevelDB table has no index");
    }
    index.len -= array;
    while (index.len > 0) {
        struct handle handle = {0};
        int err;

        if (!next_entry(&index, &value) || !take_handle(&value, &handle) ||
            handle.offset != table->next || handle.offset > table->meta_at ||
            handle.size + BLOCK_TRAILER > table->meta_at - handle.offset) {
            return volume_damage(table->volume, table->path, table->next,
                                 "LevelDB index names no block here");
        }
        err = check_block(table, &handle, &bytes);
        if (err != 0 && (first_err = err, table->volume->found == NULL)) {
            return err;
        }
        table->next = handle.offset + handle.size + BLOCK_TRAILER;
    }
    return first_err;
}

static bool take_handle(struct slice *from, struct handle *handle)
{
    return leveldb_varint(from, &handle->offset) &&
           leveldb_varint(from, &handle->size) &&
           handle->offset < UINT64_C(1) << 40 &&
           handle->size < UINT64_C(1) << 40;
}

/* An entry: bytes shared with the key before, own bytes, value length, then
 * both. The keys do not matter here. */
static bool next_entry(struct slice *block, struct slice *value)
{
    uint64_t shared;
    uint64_t own;
    uint64_t len;

    if (!leveldb_varint(block, &shared) || !leveldb_varint(block, &own) ||
        !leveldb_varint(block, &len) || own > block->len ||
        len > block->len - own) {
        return false;
    }
    *value = slice_make(block->ptr + own, (size_t)len);
    *block = slice_after(*block, (size_t)(own + len));
    return true;
}

static bool zeros(struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.ptr[i] != 0) {
            return false;
        }
    }
    return true;
}
