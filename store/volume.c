#include "store/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mutation.h"

static int sync_with(struct volume *volume, int fd, const char *path,
                     int (*call)(int));
static void keep(struct volume *volume, int err, const char *text);

int volume_fail(struct volume *volume, const char *operation, const char *file)
{
    int error = errno;
    char why[128];
    char text[VOLUME_TEXT_SIZE];

    (void)snprintf(text, sizeof(text), "%.20s %.300s: %.120s", operation, file,
                   strerror_r(error, why, sizeof(why)));
    keep(volume, ERR_IO, text);
    errno = error;
    return ERR_IO;
}

int volume_fail_text(struct volume *volume, const char *file, const char *text)
{
    char line[VOLUME_TEXT_SIZE];

    (void)snprintf(line, sizeof(line), "%.300s: %.200s", file, text);
    keep(volume, ERR_IO, line);
    return ERR_IO;
}

int volume_damage(struct volume *volume, const char *file, uint64_t offset,
                  const char *what)
{
    char text[VOLUME_TEXT_SIZE];

    (void)snprintf(text, sizeof(text),
                   "damage in %.300s at offset %llu: %.150s", file,
                   (unsigned long long)offset, what);
    keep(volume, ERR_CORRUPT, text);
    if (volume->found != NULL) {
        volume->found(volume->found_arg, STORE_DAMAGE, file, offset, what);
    }
    return ERR_CORRUPT;
}

void volume_note(struct volume *volume, const char *file, uint64_t offset,
                 const char *what)
{
    if (volume->found != NULL) {
        volume->found(volume->found_arg, STORE_NOTE, file, offset, what);
    }
}

static void keep(struct volume *volume, int err, const char *text)
{
    if (volume->err == 0) {
        volume->err = err;
        memcpy(volume->failure, text, strlen(text) + 1);
    }
}

// NOLINTNEXTLINE(readability-non-const-parameter): the builtin writes it
void volume_count(uint64_t *counter, uint64_t more)
{
    (void)__atomic_fetch_add(counter, more, __ATOMIC_RELAXED);
}

void volume_path(char *path, const char *dir, const char *name)
{
    int len = snprintf(path, VOLUME_PATH_SIZE, "%s/%s", dir, name);

    CHECK(len > 0);
    CHECK(len < VOLUME_PATH_SIZE);
}

int file_open(struct volume *volume, const char *path, int flags, int *fd)
{
    *fd = open(path, flags | O_CLOEXEC, 0600);
    return *fd >= 0 ? 0 : volume_fail(volume, "open", path);
}

int file_write(struct volume *volume, int fd, const char *path,
               struct slice bytes, uint64_t offset)
{
    volume_count(&volume->counts.bytes_written, bytes.len);
    while (bytes.len > 0) {
        ssize_t n = pwrite(fd, bytes.ptr, bytes.len, (off_t)offset);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? EIO : errno;
            return volume_fail(volume, "write", path);
        }
        bytes = slice_after(bytes, (size_t)n);
        offset += (uint64_t)n;
    }
    return 0;
}

int file_read(struct volume *volume, int fd, const char *path, void *to,
              size_t len, uint64_t offset, size_t *done)
{
    *done = 0;
    while (*done < len) {
        ssize_t n =
            pread(fd, (char *)to + *done, len - *done, (off_t)(offset + *done));

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return volume_fail(volume, "read", path);
        }
        if (n == 0) {
            break;
        }
        *done += (size_t)n;
    }
    return 0;
}

int file_size(struct volume *volume, int fd, const char *path, uint64_t *size)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return volume_fail(volume, "stat", path);
    }
    *size = (uint64_t)st.st_size;
    return 0;
}

int file_sync(struct volume *volume, int fd, const char *path)
{
    return sync_with(volume, fd, path, fdatasync);
}

int file_sync_all(struct volume *volume, int fd, const char *path)
{
    return sync_with(volume, fd, path, fsync);
}

/* Not even for EINTR is a sync tried again: after a failed one Linux forgets
 * which pages were not written. */
static int sync_with(struct volume *volume, int fd, const char *path,
                     int (*call)(int))
{
    int64_t begun;
    uint64_t us;

    if (!volume->sync) {
        return 0;
    }
    begun = clock_monotonic_us();
    if (call(fd) != 0 && !(MUTATION(14) && call(fd) == 0)) {
        return volume_fail(volume, "sync", path);
    }
    us = (uint64_t)(clock_monotonic_us() - begun);
    volume_count(&volume->counts.syncs, 1);
    volume_count(&volume->counts.sync_us_total, us);
    if (us > volume->counts.sync_us_max) {
        __atomic_store_n(&volume->counts.sync_us_max, us, __ATOMIC_RELAXED);
    }
    return 0;
}

int file_sync_dir(struct volume *volume, const char *path)
{
    int fd;
    int err;

    if (!volume->sync) {
        return 0;
    }
    err = file_open(volume, path, O_RDONLY | O_DIRECTORY, &fd);
    if (err != 0) {
        return err;
    }
    err = file_sync_all(volume, fd, path);
    (void)close(fd); /* nothing was written through it */
    return err;
}

int file_unlink(struct volume *volume, const char *path)
{
    if (unlink(path) != 0 && errno != ENOENT) {
        return volume_fail(volume, "unlink", path);
    }
    return 0;
}

int file_make_dir(struct volume *volume, const char *path)
{
    char parent[VOLUME_PATH_SIZE];
    char *slash;
    struct stat st;
    int err;

    if (stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode)) {
            return 0;
        }
        errno = ENOTDIR;
        return volume_fail(volume, "open", path);
    }
    (void)snprintf(parent, sizeof(parent), "%s", path);
    slash = strrchr(parent, '/');
    if (slash == NULL) {
        (void)snprintf(parent, sizeof(parent), ".");
    } else if (slash == parent) {
        parent[1] = '\0';
    } else {
        *slash = '\0';
        err = file_make_dir(volume, parent);
        if (err != 0) {
            return err;
        }
    }
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return volume_fail(volume, "mkdir", path);
    }
    return file_sync_dir(volume, parent);
}

int file_allocate(struct volume *volume, int fd, const char *path,
                  uint64_t size)
{
    if (fallocate(fd, 0, 0, (off_t)size) == 0) {
        return 0;
    }
    if (errno == EOPNOTSUPP && ftruncate(fd, (off_t)size) == 0) {
        return 0; /* a file system without it: slower syncs, no more */
    }
    if (errno == ENOSPC || errno == EDQUOT) {
        return ERR_BUSY;
    }
    return volume_fail(volume, "fallocate", path);
}

const char *file_next(DIR *dir)
{
    /* Each directory is read by the one thread that opened it. */
    const struct dirent *entry = readdir(dir); // NOLINT(concurrency-mt-unsafe)

    return entry == NULL ? NULL : entry->d_name;
}

uint64_t file_dir_bytes(const char *path, const char *prefix_skipped)
{
    char file[VOLUME_PATH_SIZE];
    const char *name;
    uint64_t bytes = 0;
    DIR *dir = opendir(path);

    if (dir == NULL) {
        return 0;
    }
    while ((name = file_next(dir)) != NULL) {
        struct stat st;

        if (prefix_skipped != NULL &&
            strncmp(name, prefix_skipped, strlen(prefix_skipped)) == 0) {
            continue;
        }
        volume_path(file, path, name);
        if (stat(file, &st) == 0 && S_ISREG(st.st_mode)) {
            bytes += (uint64_t)st.st_size;
        }
    }
    (void)closedir(dir);
    return bytes;
}
