#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "store/checkpoint.h"
#include "store/leveldb_scan.h"

static int copy_entry(struct volume *volume, const char *from, const char *to);
static int copy_file(struct volume *volume, const char *from, const char *to);
static bool ends_in(const char *name, const char *end);

int checkpoint_copy(struct volume *volume, const char *from, const char *to)
{
    char source[VOLUME_PATH_SIZE];
    char target[VOLUME_PATH_SIZE];
    char real[VOLUME_PATH_SIZE];
    struct leveldb_scan scan;
    const char *name;
    DIR *dir;
    int err = 0;

    if (realpath(from, real) == NULL) {
        return volume_fail(volume, "open", from);
    }
    err = file_make_dir(volume, to);
    if (err != 0) {
        return err;
    }
    dir = opendir(real);
    if (dir == NULL) {
        return volume_fail(volume, "open", from);
    }
    while (err == 0 && (name = file_next(dir)) != NULL) {
        if (strcmp(name, "CURRENT") == 0 ||
            strncmp(name, "MANIFEST-", 9) == 0 || ends_in(name, ".log") ||
            ends_in(name, ".ldb")) {
            volume_path(source, real, name);
            volume_path(target, to, name);
            err = copy_entry(volume, source, target);
        }
    }
    (void)closedir(dir);
    if (err == 0) {
        err = leveldb_scan(volume, to, &scan);
    }
    return err != 0 ? err : leveldb_cut(volume, to, &scan);
}

/* Tables are never changed, so a link does; an unlink takes the link. */
static int copy_entry(struct volume *volume, const char *from, const char *to)
{
    if (!ends_in(from, ".ldb")) {
        return copy_file(volume, from, to);
    }
    return symlink(from, to) == 0 ? 0 : volume_fail(volume, "link", to);
}

static int copy_file(struct volume *volume, const char *from, const char *to)
{
    uint8_t bytes[16384];
    uint64_t at = 0;
    size_t len = 0;
    int in;
    int out;
    int err = file_open(volume, from, O_RDONLY, &in);

    if (err != 0) {
        return err;
    }
    err = file_open(volume, to, O_WRONLY | O_CREAT | O_EXCL, &out);
    if (err != 0) {
        (void)close(in); /* only read */
        return err;
    }
    do {
        err = file_read(volume, in, from, bytes, sizeof(bytes), at, &len);
        if (err == 0) {
            err = file_write(volume, out, to, slice_make(bytes, len), at);
        }
        at += len;
    } while (err == 0 && len == sizeof(bytes));
    (void)close(in);  /* only read */
    (void)close(out); /* a copy to be looked at and thrown away */
    return err;
}

void checkpoint_copy_remove(const char *dir)
{
    char file[VOLUME_PATH_SIZE];
    const char *name;
    DIR *listing = opendir(dir);

    if (listing == NULL) {
        return;
    }
    while ((name = file_next(listing)) != NULL) {
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
            volume_path(file, dir, name);
            (void)unlink(file); /* what stays is found by rmdir's failure */
        }
    }
    (void)closedir(listing);
    (void)rmdir(dir); /* a leftover is removed at the next start */
}

static bool ends_in(const char *name, const char *end)
{
    size_t len = strlen(name);
    size_t tail = strlen(end);

    return len > tail && strcmp(name + len - tail, end) == 0;
}
