#include "store/leveldb_scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"

enum { NAME_SIZE = 64 };

static int current_manifest(struct volume *volume, const char *dir,
                            char *manifest);
static int no_current(struct volume *volume, const char *dir,
                      struct leveldb_scan *scan);
static int scan_tables(struct volume *volume, const char *dir,
                       const struct leveldb_version *version);
static int scan_logs(struct volume *volume, const char *dir,
                     const struct leveldb_version *version,
                     struct leveldb_tail *tail);
static int list_logs(struct volume *volume, const char *dir, uint64_t from,
                     uint64_t prev, struct buf *numbers);
static int sweep(struct volume *volume, const char *dir, const char *manifest);

int leveldb_scan(struct volume *volume, const char *dir,
                 struct leveldb_scan *scan)
{
    struct leveldb_version version;
    char current[VOLUME_PATH_SIZE];
    int err;

    *scan = (struct leveldb_scan){0};
    volume_path(current, dir, "CURRENT");
    if (access(current, F_OK) != 0) {
        return no_current(volume, dir, scan);
    }
    scan->exists = true;
    err = current_manifest(volume, dir, scan->manifest.path);
    if (err != 0) {
        return err;
    }
    err = leveldb_version_load(volume, scan->manifest.path, &version,
                               &scan->manifest);
    if (err == 0) {
        err = scan_tables(volume, dir, &version);
    }
    if (err == 0) {
        err = scan_logs(volume, dir, &version, &scan->log);
    }
    if (err == ERR_CORRUPT && scan->manifest.torn) {
        /* The rest does not fit without its last edit: that was durable once,
         * and is what must be named first. */
        volume->err = 0;
        (void)volume_damage(volume, scan->manifest.path, scan->manifest.offset,
                            "LevelDB manifest ends in a bad record");
    }
    leveldb_version_finish(&version);
    return err;
}

/* A database that was never there, or that lost its root. */
static int no_current(struct volume *volume, const char *dir,
                      struct leveldb_scan *scan)
{
    const char *name;
    DIR *listing = opendir(dir);
    bool tables = false;

    if (listing == NULL) {
        return errno == ENOENT ? 0 : volume_fail(volume, "open", dir);
    }
    while ((name = file_next(listing)) != NULL) {
        size_t len = strlen(name);

        tables = tables || (len > 4 && strcmp(name + len - 4, ".ldb") == 0);
    }
    (void)closedir(listing);
    if (tables) {
        volume_path(scan->manifest.path, dir, "CURRENT");
        return volume_damage(volume, scan->manifest.path, 0,
                             "LevelDB's root is missing");
    }
    return 0;
}

/* CURRENT holds the manifest's name and a newline. */
static int current_manifest(struct volume *volume, const char *dir,
                            char *manifest)
{
    char path[VOLUME_PATH_SIZE];
    char text[NAME_SIZE] = {0};
    char again[NAME_SIZE];
    unsigned long long number = 0;
    size_t len;
    int fd;
    int err;

    volume_path(path, dir, "CURRENT");
    err = file_open(volume, path, O_RDONLY, &fd);
    if (err != 0) {
        return err;
    }
    err = file_read(volume, fd, path, text, sizeof(text) - 1, 0, &len);
    (void)close(fd); /* only read */
    if (err != 0) {
        return err;
    }
    if (strncmp(text, "MANIFEST-", 9) == 0) {
        number = strtoull(text + 9, NULL, 10);
    }
    (void)snprintf(again, sizeof(again), "MANIFEST-%06llu\n", number);
    if (strcmp(text, again) != 0) {
        return volume_damage(volume, path, 0, "names no LevelDB manifest");
    }
    again[strlen(again) - 1] = '\0';
    volume_path(manifest, dir, again);
    if (access(manifest, F_OK) != 0) {
        return volume_damage(volume, path, 0,
                             "names a LevelDB manifest that is not there");
    }
    return 0;
}

static int scan_tables(struct volume *volume, const char *dir,
                       const struct leveldb_version *version)
{
    struct buf file = {0};
    int first_err = 0;

    for (struct map_link *link = map_first(&version->tables); link != NULL;
         link = map_next(&version->tables, link)) {
        struct leveldb_table *table =
            MAP_ENTRY(link, struct leveldb_table, link);
        char path[VOLUME_PATH_SIZE];
        char name[NAME_SIZE];
        int err;

        (void)snprintf(name, sizeof(name), "%06" PRIu64 ".ldb",
                       link->key.number);
        volume_path(path, dir, name);
        err = leveldb_table_scan(volume, path, table->size, &file);
        if (err != 0) {
            first_err = first_err == 0 ? err : first_err;
            if (err != ERR_CORRUPT || volume->found == NULL) {
                break;
            }
        }
    }
    buf_finish(&file);
    return first_err;
}

/* Logs that a start still reads, oldest first; the last may have a torn tail.
 */
static int scan_logs(struct volume *volume, const char *dir,
                     const struct leveldb_version *version,
                     struct leveldb_tail *tail)
{
    struct buf numbers = {0};
    int first_err = list_logs(volume, dir, version->log_number,
                              version->prev_log_number, &numbers);
    size_t count = numbers.len / sizeof(uint64_t);

    for (size_t i = 0; i < count && first_err != ERR_IO; i++) {
        struct leveldb_log log = {
            .volume = volume, .path = tail->path, .last = i + 1 == count};
        uint64_t number;
        char name[NAME_SIZE];
        int err;

        memcpy(&number, numbers.data + i * sizeof(number), sizeof(number));
        (void)snprintf(name, sizeof(name), "%06" PRIu64 ".log", number);
        volume_path(tail->path, dir, name);
        err = leveldb_log_scan(&log, tail);
        first_err = first_err == 0 ? err : first_err;
        if (err != 0 && volume->found == NULL) {
            break;
        }
    }
    buf_finish(&numbers);
    return first_err;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

static int list_logs(struct volume *volume, const char *dir, uint64_t from,
                     uint64_t prev, struct buf *numbers)
{
    const char *name;
    DIR *listing = opendir(dir);

    if (listing == NULL) {
        return volume_fail(volume, "open", dir);
    }
    while ((name = file_next(listing)) != NULL) {
        char *end;
        uint64_t number = strtoull(name, &end, 10);

        if (end != name && strcmp(end, ".log") == 0 &&
            (number >= from || (prev != 0 && number == prev))) {
            buf_append(numbers, slice_make(&number, sizeof(number)));
        }
    }
    (void)closedir(listing);
    if (numbers->len > 0) {
        qsort(numbers->data, numbers->len / sizeof(uint64_t), sizeof(uint64_t),
              compare_numbers);
    }
    return 0;
}

static int cut(struct volume *volume, const struct leveldb_tail *tail)
{
    int fd;
    int err;

    if (!tail->torn) {
        return 0;
    }
    err = file_open(volume, tail->path, O_WRONLY, &fd);
    if (err != 0) {
        return err;
    }
    if (ftruncate(fd, (off_t)tail->offset) != 0) {
        err = volume_fail(volume, "truncate", tail->path);
    }
    if (err == 0) {
        err = file_sync_all(volume, fd, tail->path);
    }
    (void)close(fd); /* synced, or failed already */
    return err;
}

int leveldb_cut(struct volume *volume, const char *dir,
                const struct leveldb_scan *scan)
{
    int err = 0;

    if (scan->exists) {
        err = cut(volume, &scan->manifest);
        err = err != 0 ? err : cut(volume, &scan->log);
        err = err != 0 ? err : sweep(volume, dir, scan->manifest.path);
    }
    return err;
}

static int sweep(struct volume *volume, const char *dir, const char *manifest)
{
    struct leveldb_version version;
    struct leveldb_tail tail;
    const char *name;
    DIR *listing;
    int err = leveldb_version_load(volume, manifest, &version, &tail);

    listing = err == 0 ? opendir(dir) : NULL;
    if (err == 0 && listing == NULL) {
        err = volume_fail(volume, "open", dir);
    }
    while (err == 0 && (name = file_next(listing)) != NULL) {
        char path[VOLUME_PATH_SIZE];
        char *end;
        uint64_t number = strtoull(name, &end, 10);

        if (end != name && strcmp(end, ".ldb") == 0 &&
            map_find_number(&version.tables, number) == NULL) {
            volume_path(path, dir, name);
            err = file_unlink(volume, path);
        }
    }
    if (listing != NULL) {
        (void)closedir(listing);
    }
    leveldb_version_finish(&version);
    return err;
}
