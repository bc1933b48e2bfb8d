#include "store/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"

static int held_by_another(struct volume *volume, int fd, const char *dir);
static int write_pid(struct volume *volume, int fd, const char *path);

int lock_take(struct lock *lock, struct volume *volume, const char *dir)
{
    struct flock whole = {.l_whence = SEEK_SET};
    char path[VOLUME_PATH_SIZE];
    int err;

    lock->fd = -1;
    volume_path(path, dir, "lock");
    whole.l_type = volume->read_only ? F_RDLCK : F_WRLCK;
    if (volume->read_only) {
        lock->fd = open(path, O_RDONLY | O_CLOEXEC);
        if (lock->fd < 0) {
            return 0; /* nobody ever served it, or it is not ours to read */
        }
    } else {
        err = file_open(volume, path, O_RDWR | O_CREAT, &lock->fd);
        if (err != 0) {
            return err;
        }
    }
    /* An open-file lock, not a process lock: those are lost when the process
     * closes any descriptor of the file. */
    if (fcntl(lock->fd, F_OFD_SETLK, &whole) != 0) {
        err = errno == EAGAIN || errno == EACCES
                  ? held_by_another(volume, lock->fd, dir)
                  : volume_fail(volume, "lock", path);
    } else {
        err = volume->read_only ? 0 : write_pid(volume, lock->fd, path);
    }
    if (err != 0) {
        (void)close(lock->fd); /* the failure is already told */
        lock->fd = -1;
    }
    return err;
}

void lock_release(struct lock *lock)
{
    if (lock->fd >= 0) {
        if (ftruncate(lock->fd, 0) != 0) {
            /* Open for reading only, or an old pid stays: no harm. */
        }
        (void)close(lock->fd); /* lets go of the lock whatever it returns */
        lock->fd = -1;
    }
}

static int held_by_another(struct volume *volume, int fd, const char *dir)
{
    char pid[24] = {0};
    char text[96];
    size_t len;

    if (file_read(volume, fd, dir, pid, sizeof(pid) - 1, 0, &len) != 0) {
        return ERR_IO;
    }
    (void)snprintf(text, sizeof(text), "in use by another server, pid %ld",
                   strtol(pid, NULL, 10));
    (void)volume_fail_text(volume, dir, text);
    volume->err = ERR_BUSY;
    return ERR_BUSY;
}

/* Not synced: the lock does not outlive the machine. */
static int write_pid(struct volume *volume, int fd, const char *path)
{
    char pid[24];
    int len = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());

    if (ftruncate(fd, 0) != 0) {
        return volume_fail(volume, "truncate", path);
    }
    return file_write(volume, fd, path, slice_make(pid, (size_t)len), 0);
}
