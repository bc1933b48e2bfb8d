/* A disk that can lose power, fail, fill up and be slow, and a wall clock that
 * jumps, as a preload library.
 *
 * Environment (tests/chaos/shim_disk.py makes all of it; each process of an
 * ensemble has its own):
 *   SHIM_CONTROL  a file of struct control, shared with the test, which may
 *                 change any of its fields at any time
 *   SHIM_DIR      the directory whose disk this is; without it only the clock
 *                 is ours
 *   SHIM_JOURNAL  every change below SHIM_DIR is written here, together with
 *                 what stood there before; syncs are marked. After kill -9 the
 *                 test undoes what was not synced, whole or in part. Real syncs
 *                 are left out then: the page cache outlives the process, and
 *                 the test takes the power away itself. When nothing is left to
 *                 be synced the journal is emptied. Without it syncs are real.
 *
 * Controls, all zero but free_bytes (all ones) at first:
 *   fail_syncs    so many of the next syncs of files fail with EIO
 *   delay_us_max, delay_us_min  each sync takes so long, drawn between the two
 *   hold_syncs    1: a sync does not come back until this is 0 again
 *   free_bytes    what may still be taken of the disk (statvfs says so, too);
 *                 0: full, all ones: no limit
 *   wall_shift_ms added to the wall clock, below 0 too; no other clock moves
 *   trap, trap_after  the process ends at a sync soon after such a thing
 *   pause_journal 1: nothing is recorded
 *   syncs         counted here, for the test to read
 *
 * What stdio writes is not seen: nothing that must last may be written with it.
 * One thread at a time writes and syncs a file, as LevelDB and store/ do. Files
 * called lock or LOCK do not count: nobody syncs them. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "shim_journal.h"

#define FDS_MAX 4096

struct tracked {
    bool on, is_dir, below;
    uint64_t inode;
};

static struct tracked fds[FDS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static bool below_root(int dirfd, const char *path, char full[PATH_MAX])
{
    size_t len = strlen(root);
    char dir[PATH_MAX];
    char *slash;

    if (root[0] == '\0' || (dirfd != AT_FDCWD && path[0] != '/')) {
        return false;
    }
    /* The last part need not exist; what is before it does. */
    if (strlen(path) >= sizeof(dir)) {
        return false;
    }
    (void)strcpy(dir, path);
    slash = strrchr(dir, '/');
    if (realpath(path, full) == NULL) {
        char parent[PATH_MAX];

        if (slash == NULL) {
            if (getcwd(parent, sizeof(parent)) == NULL) {
                return false;
            }
        } else {
            *slash = '\0';
            if (realpath(dir[0] == '\0' ? "/" : dir, parent) == NULL) {
                return false;
            }
        }
        (void)snprintf(full, PATH_MAX, "%.2000s/%.2000s", parent,
                       slash == NULL ? path : slash + 1);
    }
    return strncmp(full, root, len) == 0 &&
           (full[len] == '/' || full[len] == '\0');
}

static bool in_subdirectory(const char *full)
{
    const char *rest = full + strlen(root);

    return rest[0] == '/' && strchr(rest + 1, '/') != NULL;
}

static bool is_lock(const char *full)
{
    const char *name = strrchr(full, '/');

    return strcmp(name, "/lock") == 0 || strcmp(name, "/LOCK") == 0;
}

static uint64_t inode_of(const char *path, bool *exists, bool *is_dir)
{
    struct stat st;

    *exists = stat(path, &st) == 0;
    *is_dir = *exists && S_ISDIR(st.st_mode);
    return *exists ? (uint64_t)st.st_ino : 0;
}

static uint64_t parent_inode(const char *full)
{
    char parent[PATH_MAX];
    bool exists;
    bool is_dir;

    (void)snprintf(parent, sizeof(parent), "%s", full);
    *strrchr(parent, '/') = '\0';
    return inode_of(parent, &exists, &is_dir);
}

/* Keeps another link to a file that is about to lose its last name. */
static uint64_t save(const char *full)
{
    char to[PATH_MAX + 32];

    saved_count++;
    (void)snprintf(to, sizeof(to), "%s/%d.%lu", keep_dir, getpid(),
                   (unsigned long)saved_count);
    if (link(full, to) != 0) {
        fatal("link");
    }
    return ((uint64_t)getpid() << 32) | saved_count;
}

static void put_entry(enum kind kind, uint64_t inode, const char *full,
                      uint64_t saved, const char *from)
{
    char names[2 * PATH_MAX];
    struct record head = {.magic = MAGIC, .kind = kind};

    head.inode = inode;
    head.dir_inode = parent_inode(full);
    head.saved = saved;
    (void)snprintf(names, sizeof(names), "%s%s%s", full, from ? "\n" : "",
                   from ? from : "");
    head.name_len = (uint32_t)strlen(names);
    put(&head, names, NULL);
    if (kind != KIND_UNLINK) {
        trap(in_subdirectory(full) ? TRAP_ENTRY_BELOW : TRAP_ENTRY);
    }
}

static uint64_t size_of(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* What stands in [offset, offset + len) now, before it is overwritten. */
static void put_change(enum kind kind, int fd, uint64_t offset, uint64_t len,
                       uint64_t new_len)
{
    struct record head = {.magic = MAGIC, .kind = kind};
    uint64_t size = size_of(fd);
    void *old = NULL;

    if (!recording()) {
        return;
    }
    head.inode = fds[fd].inode;
    head.offset = offset;
    head.new_len = new_len;
    head.old_size = size;
    if (offset < size) {
        uint64_t there = len < size - offset ? len : size - offset;
        char path[64];
        int reader;

        /* The descriptor may be write-only. */
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        reader = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
        old = malloc(there);
        if (reader < 0 || old == NULL ||
            syscall(SYS_pread64, reader, old, there, offset) != (long)there) {
            fatal("reading old bytes");
        }
        (void)syscall(SYS_close, reader);
        head.old_len = (uint32_t)there;
    }
    put(&head, "", old);
    free(old);
}

static bool tracked(int fd)
{
    return fd >= 0 && fd < FDS_MAX && fds[fd].on && !fds[fd].is_dir;
}

/* False, with errno ENOSPC, when so many more bytes do not fit. */
static bool take_space(uint64_t bytes)
{
    if (control == NULL || control->free_bytes == UINT64_MAX) {
        return true;
    }
    if (bytes > control->free_bytes) {
        errno = ENOSPC;
        return false;
    }
    control->free_bytes -= bytes;
    return true;
}

static void give_space(uint64_t bytes)
{
    if (control != NULL && control->free_bytes != UINT64_MAX) {
        control->free_bytes += bytes;
    }
}

static uint64_t blocks_of(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

static int open_common(int dirfd, const char *path, int flags, mode_t mode)
{
    char full[PATH_MAX];
    bool ours = below_root(dirfd, path, full) && !is_lock(full);
    bool existed = false;
    bool is_dir = false;
    int fd;

    (void)pthread_mutex_lock(&lock);
    if (ours) {
        (void)inode_of(full, &existed, &is_dir);
        if (existed && (flags & O_TRUNC) && recording()) {
            int old =
                (int)syscall(SYS_openat, AT_FDCWD, full, O_RDWR | O_CLOEXEC);

            if (old >= 0 && old < FDS_MAX) {
                struct stat st;

                (void)fstat(old, &st);
                fds[old] = (struct tracked){true, false, false, st.st_ino};
                put_change(KIND_TRUNCATE, old, 0, (uint64_t)st.st_size, 0);
                fds[old].on = false;
                (void)syscall(SYS_close, old);
            }
        }
    }
    fd = (int)syscall(SYS_openat, dirfd, path, flags, mode);
    if (fd >= 0 && fd < FDS_MAX) {
        fds[fd].on = ours;
        if (ours) {
            struct stat st;

            (void)fstat(fd, &st);
            fds[fd].is_dir = S_ISDIR(st.st_mode);
            fds[fd].below = in_subdirectory(full);
            fds[fd].inode = st.st_ino;
            if (!existed && (flags & O_CREAT) && recording()) {
                put_entry(KIND_CREATE, st.st_ino, full, 0, NULL);
            }
        }
    }
    (void)pthread_mutex_unlock(&lock);
    return fd;
}

#define OPEN_BODY(dirfd)                   \
    mode_t mode = 0;                       \
    if (flags & (O_CREAT | __O_TMPFILE)) { \
        va_list args;                      \
        va_start(args, flags);             \
        mode = va_arg(args, mode_t);       \
        va_end(args);                      \
    }                                      \
    return open_common((dirfd), path, flags, mode)

int open(const char *path, int flags, ...)
{
    OPEN_BODY(AT_FDCWD);
}

int open64(const char *path, int flags, ...)
{
    OPEN_BODY(AT_FDCWD);
}

int openat(int dirfd, const char *path, int flags, ...)
{
    OPEN_BODY(dirfd);
}

int openat64(int dirfd, const char *path, int flags, ...)
{
    OPEN_BODY(dirfd);
}

int creat(const char *path, mode_t mode)
{
    return open_common(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* What fortified callers use. */
int __open_2(const char *path, int flags)
{
    return open_common(AT_FDCWD, path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
    return open_common(AT_FDCWD, path, flags, 0);
}

int close(int fd)
{
    if (fd >= 0 && fd < FDS_MAX) {
        fds[fd].on = false;
    }
    return (int)syscall(SYS_close, fd);
}

static ssize_t write_vector(int fd, const struct iovec *parts, int count,
                            off_t offset, bool positioned)
{
    ssize_t done;

    if (!tracked(fd)) {
        return positioned ? syscall(SYS_pwritev, fd, parts, count, offset, 0)
                          : syscall(SYS_writev, fd, parts, count);
    }
    (void)pthread_mutex_lock(&lock);
    {
        uint64_t len = 0;
        uint64_t size = size_of(fd);
        off_t at_now = positioned ? offset : lseek(fd, 0, SEEK_CUR);
        uint64_t at = (uint64_t)at_now;

        if (at_now < 0) {
            /* stdio closed a file unseen, and this is a socket now. */
            fds[fd].on = false;
            (void)pthread_mutex_unlock(&lock);
            return syscall(SYS_writev, fd, parts, count);
        }
        if (!positioned && (syscall(SYS_fcntl, fd, F_GETFL) & O_APPEND) != 0) {
            at = size;
        }
        for (int i = 0; i < count; i++) {
            len += parts[i].iov_len;
        }
        if (at + len > size && !take_space(at + len - size)) {
            (void)pthread_mutex_unlock(&lock);
            return -1;
        }
        put_change(KIND_WRITE, fd, at, len, len);
    }
    done = positioned ? syscall(SYS_pwritev, fd, parts, count, offset, 0)
                      : syscall(SYS_writev, fd, parts, count);
    (void)pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int fd, const void *bytes, size_t len)
{
    struct iovec part = {(void *)(uintptr_t)bytes, len};

    if (!tracked(fd)) {
        return syscall(SYS_write, fd, bytes, len);
    }
    return write_vector(fd, &part, 1, 0, false);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return write_vector(fd, parts, count, 0, false);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    struct iovec part = {(void *)(uintptr_t)bytes, len};

    return write_vector(fd, &part, 1, offset, true);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t offset)
{
    return pwrite(fd, bytes, len, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    return write_vector(fd, parts, count, offset, true);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset)
{
    return write_vector(fd, parts, count, offset, true);
}

int ftruncate(int fd, off_t size)
{
    int done;

    if (!tracked(fd)) {
        return (int)syscall(SYS_ftruncate, fd, size);
    }
    (void)pthread_mutex_lock(&lock);
    {
        uint64_t old = size_of(fd);
        uint64_t blocks = blocks_of(fd);

        put_change(KIND_TRUNCATE, fd, (uint64_t)size,
                   old > (uint64_t)size ? old - (uint64_t)size : 0,
                   (uint64_t)size);
        done = (int)syscall(SYS_ftruncate, fd, size);
        if (blocks > blocks_of(fd)) {
            give_space(blocks - blocks_of(fd));
        }
    }
    (void)pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
    int done;

    if (!tracked(fd)) {
        return (int)syscall(SYS_fallocate, fd, mode, offset, len);
    }
    (void)pthread_mutex_lock(&lock);
    {
        uint64_t end = (uint64_t)offset + (uint64_t)len;
        uint64_t have = blocks_of(fd);

        if (end > have && !take_space(end - have)) {
            (void)pthread_mutex_unlock(&lock);
            return -1;
        }
        /* Only the length can change; bytes read as they did. */
        put_change(KIND_TRUNCATE, fd, end > size_of(fd) ? end : size_of(fd), 0,
                   end);
        done = (int)syscall(SYS_fallocate, fd, mode, offset, len);
    }
    (void)pthread_mutex_unlock(&lock);
    return done;
}

int fallocate64(int fd, int mode, off64_t offset, off64_t len)
{
    return fallocate(fd, mode, offset, len);
}

int posix_fallocate(int fd, off_t offset, off_t len)
{
    return fallocate(fd, 0, offset, len) == 0 ? 0 : errno;
}

int posix_fallocate64(int fd, off64_t offset, off64_t len)
{
    return posix_fallocate(fd, offset, len);
}

static void be_slow(void)
{
    uint64_t us = control->delay_us_min;

    if (control->delay_us_max > us) {
        (void)pthread_mutex_lock(&lock);
        us += draw() % (control->delay_us_max - us);
        (void)pthread_mutex_unlock(&lock);
    }
    if (us > 0) {
        (void)usleep((useconds_t)us);
    }
    while (control->hold_syncs != 0) {
        (void)usleep(1000);
    }
}

static int sync_common(int fd, long call)
{
    struct record head = {.magic = MAGIC};

    if (fd < 0 || fd >= FDS_MAX || !fds[fd].on) {
        return (int)syscall(call, fd);
    }
    be_slow();
    if (!fds[fd].is_dir && control->fail_syncs > 0) {
        __atomic_fetch_sub(&control->fail_syncs, 1, __ATOMIC_RELAXED);
        errno = EIO;
        return -1;
    }
    __atomic_fetch_add(&control->syncs, 1, __ATOMIC_RELAXED);
    if (!recording()) {
        return journal < 0 ? (int)syscall(call, fd) : 0;
    }
    (void)pthread_mutex_lock(&lock);
    cut_if_due();
    head.kind = fds[fd].is_dir ? KIND_SYNC_DIR : KIND_SYNC;
    head.inode = fds[fd].inode;
    put(&head, "", NULL);
    cut_if_due();
    if (fds[fd].below) {
        trap(TRAP_SYNC_BELOW);
    }
    if (cut_in == 0) {
        forget_past();
    }
    (void)pthread_mutex_unlock(&lock);
    return 0;
}

int fsync(int fd)
{
    return sync_common(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return sync_common(fd, SYS_fdatasync);
}

int rename(const char *from, const char *to)
{
    char full_from[PATH_MAX];
    char full_to[PATH_MAX];
    int done;

    if (!below_root(AT_FDCWD, from, full_from) ||
        !below_root(AT_FDCWD, to, full_to) || !recording()) {
        return (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
    }
    (void)pthread_mutex_lock(&lock);
    {
        bool exists;
        bool is_dir;
        uint64_t inode;
        uint64_t saved = 0;

        (void)inode_of(full_to, &exists, &is_dir);
        if (exists && !is_dir) {
            saved = save(full_to);
        }
        inode = inode_of(full_from, &exists, &is_dir);
        put_entry(KIND_RENAME, inode, full_to, saved, full_from);
        done = (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
    }
    (void)pthread_mutex_unlock(&lock);
    return done;
}

int unlink(const char *path)
{
    char full[PATH_MAX];
    int done;

    if (!below_root(AT_FDCWD, path, full)) {
        return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    }
    (void)pthread_mutex_lock(&lock);
    {
        bool exists;
        bool is_dir;
        uint64_t inode = inode_of(full, &exists, &is_dir);
        struct stat st;

        if (exists) {
            if (stat(full, &st) == 0) {
                give_space((uint64_t)st.st_blocks * 512);
            }
            if (recording() && !is_lock(full)) {
                put_entry(KIND_UNLINK, inode, full, save(full), NULL);
            }
        }
        done = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    }
    (void)pthread_mutex_unlock(&lock);
    return done;
}

int mkdir(const char *path, mode_t mode)
{
    char full[PATH_MAX];
    bool ours = below_root(AT_FDCWD, path, full);
    int done;

    (void)pthread_mutex_lock(&lock);
    done = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    if (done == 0 && ours && recording()) {
        bool exists;
        bool is_dir;

        put_entry(KIND_CREATE, inode_of(full, &exists, &is_dir), full, 0, NULL);
    }
    (void)pthread_mutex_unlock(&lock);
    return done;
}

static int statvfs_common(int done, struct statvfs *st)
{
    if (done == 0 && control != NULL && control->free_bytes != UINT64_MAX) {
        st->f_bavail = control->free_bytes / st->f_frsize;
        st->f_bfree = st->f_bavail;
    }
    return done;
}

int statvfs(const char *path, struct statvfs *st)
{
    int (*real)(const char *, struct statvfs *);

    *(void **)&real = dlsym(RTLD_NEXT, "statvfs");
    return statvfs_common(real(path, st), st);
}

int fstatvfs(int fd, struct statvfs *st)
{
    int (*real)(int, struct statvfs *);

    *(void **)&real = dlsym(RTLD_NEXT, "fstatvfs");
    return statvfs_common(real(fd, st), st);
}

int statvfs64(const char *path, struct statvfs64 *st)
{
    return statvfs(path, (struct statvfs *)st);
}

int fstatvfs64(int fd, struct statvfs64 *st)
{
    return fstatvfs(fd, (struct statvfs *)st);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int done = real_clock_gettime != NULL
                   ? real_clock_gettime(clock, now)
                   : (int)syscall(SYS_clock_gettime, clock, now);

    if (done == 0 && control != NULL &&
        (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t shift_ms = control->wall_shift_ms;

        now->tv_sec += shift_ms / 1000;
        now->tv_nsec += shift_ms % 1000 * 1000000;
        if (now->tv_nsec < 0) {
            now->tv_nsec += 1000000000;
            now->tv_sec--;
        } else if (now->tv_nsec >= 1000000000) {
            now->tv_nsec -= 1000000000;
            now->tv_sec++;
        }
    }
    return done;
}

time_t time(time_t *to)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (to != NULL) {
        *to = now.tv_sec;
    }
    return now.tv_sec;
}

int gettimeofday(struct timeval *now, void *zone)
{
    struct timespec exact;

    (void)zone;
    (void)clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}
