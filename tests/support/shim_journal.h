/* Part of shim.c: its controls, and the journal of what is not durable yet. One
 * translation unit, because nothing but libc's own names may be seen outside of
 * a preload library. */
#ifndef CORRAL_TESTS_SHIM_JOURNAL_H
#define CORRAL_TESTS_SHIM_JOURNAL_H

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define DIRTY_MAX 1024
#define MAGIC 0x4d494853u

enum kind {
    KIND_WRITE = 1,
    KIND_TRUNCATE,
    KIND_SYNC,
    KIND_CREATE,
    KIND_UNLINK,
    KIND_RENAME,
    KIND_SYNC_DIR,
};

/* In the journal: this, then name, then old bytes. */
struct record {
    uint32_t magic, kind;
    uint64_t inode;     /* of the file, or of the directory (SYNC_DIR) */
    uint64_t dir_inode; /* CREATE, UNLINK, RENAME */
    uint64_t offset, new_len, old_size, saved; /* saved: number of the link
                                                * kept of a lost file, or 0 */
    uint32_t name_len, old_len;
};

/* Written by the test, read here; volatile: between two looks of one loop. */
struct control {
    uint32_t fail_syncs, delay_us_max;
    uint64_t free_bytes;
    uint32_t pause_journal, syncs;
    uint32_t trap;       /* enum trap: the process dies soon after */
    uint32_t trap_after; /* so many of them are let pass */
    int64_t wall_shift_ms;
    uint32_t delay_us_min;
    uint32_t hold_syncs;
};

enum trap {
    TRAP_ENTRY = 1,   /* a file was made or renamed */
    TRAP_ENTRY_BELOW, /* the same in a subdirectory: LevelDB's */
    TRAP_SYNC_BELOW,  /* a file in a subdirectory was synced */
};

/* Not synced yet: a file, or a directory with an entry made or taken away. */
struct dirty {
    uint64_t inode;
    uint64_t gone_from; /* a file without a name: synced with this directory */
};

static struct dirty dirty[DIRTY_MAX];
static size_t dirty_count;
static bool dirty_too_many; /* then the journal is kept as it is */
static bool kept_some;
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static char root[PATH_MAX];
static char keep_dir[PATH_MAX];
static int journal = -1;
static volatile struct control *control;
static uint64_t saved_count;
static uint32_t cut_in; /* halves of syncs till the process dies, or 0 */
static uint64_t random_state = 88172645463325252u;

static void fatal(const char *what)
{
    char text[256];
    int len =
        snprintf(text, sizeof(text), "shim: %s: %s\n", what, strerror(errno));

    (void)syscall(SYS_write, 2, text, (size_t)len);
    _exit(99);
}

static void read_journal(void);

__attribute__((constructor)) static void start(void)
{
    const char *dir = getenv("SHIM_DIR");
    const char *journal_path = getenv("SHIM_JOURNAL");
    const char *control_path = getenv("SHIM_CONTROL");
    void *shared;
    int fd;

    *(void **)&real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    if (control_path == NULL) {
        return;
    }
    fd = (int)syscall(SYS_openat, AT_FDCWD, control_path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        fatal(control_path);
    }
    shared =
        mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED) {
        fatal("mmap");
    }
    control = shared;
    random_state ^= (uint64_t)getpid() * 2654435761u;
    if (dir == NULL) {
        return;
    }
    if (realpath(dir, root) == NULL) {
        fatal(dir);
    }
    if (journal_path == NULL) {
        return;
    }
    (void)snprintf(keep_dir, sizeof(keep_dir), "%.4000s.kept", journal_path);
    journal = (int)syscall(SYS_openat, AT_FDCWD, journal_path,
                           O_CREAT | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
    if (journal < 0) {
        fatal(journal_path);
    }
    (void)syscall(SYS_mkdirat, AT_FDCWD, keep_dir, 0700);
    read_journal();
}

static struct dirty *dirty_find(uint64_t inode)
{
    for (size_t i = 0; i < dirty_count; i++) {
        if (dirty[i].inode == inode) {
            return &dirty[i];
        }
    }
    return NULL;
}

static void dirty_add(uint64_t inode)
{
    if (dirty_find(inode) != NULL) {
        return;
    }
    if (dirty_count == DIRTY_MAX) {
        dirty_too_many = true;
        return;
    }
    dirty[dirty_count++] = (struct dirty){inode, 0};
}

static void dirty_sync(uint64_t inode)
{
    size_t left = 0;

    for (size_t i = 0; i < dirty_count; i++) {
        if (dirty[i].inode != inode && dirty[i].gone_from != inode) {
            dirty[left++] = dirty[i];
        }
    }
    dirty_count = left;
}

/* What a record means for what is left to be synced. */
static void account(const struct record *head)
{
    struct dirty *file;

    switch ((enum kind)head->kind) {
        case KIND_WRITE:
        case KIND_TRUNCATE:
            dirty_add(head->inode);
            break;
        case KIND_SYNC:
        case KIND_SYNC_DIR:
            dirty_sync(head->inode);
            break;
        case KIND_UNLINK:
            file = dirty_find(head->inode);
            if (file != NULL) {
                file->gone_from = head->dir_inode;
            }
            dirty_add(head->dir_inode);
            break;
        case KIND_CREATE:
        case KIND_RENAME:
            dirty_add(head->dir_inode);
            break;
    }
    kept_some = kept_some || head->saved != 0;
}

/* An earlier process of this directory left it, and the power stayed on. */
static void read_journal(void)
{
    struct record head;
    off_t at = 0;

    while (syscall(SYS_pread64, journal, &head, sizeof(head), at) ==
           (long)sizeof(head)) {
        if (head.magic != MAGIC) {
            fatal("journal");
        }
        account(&head);
        at += (off_t)(sizeof(head) + head.name_len + head.old_len);
    }
}

/* Everything is durable: nothing of the past can be undone any more. */
static void forget_past(void)
{
    const struct dirent *entry;
    DIR *kept;

    if (dirty_count > 0 || dirty_too_many) {
        return;
    }
    if (syscall(SYS_ftruncate, journal, 0) != 0) {
        fatal("journal truncate");
    }
    if (!kept_some) {
        return;
    }
    kept_some = false;
    kept = opendir(keep_dir);
    while (kept != NULL && (entry = readdir(kept)) != NULL) {
        if (entry->d_name[0] != '.') {
            (void)syscall(SYS_unlinkat, dirfd(kept), entry->d_name, 0);
        }
    }
    if (kept != NULL) {
        (void)closedir(kept);
    }
}

static uint64_t draw(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static bool recording(void)
{
    return journal >= 0 && control->pause_journal == 0;
}

/* Sets the clock when the trap is of this kind. */
static void trap(enum trap kind)
{
    if (control->trap != (uint32_t)kind || cut_in != 0) {
        return;
    }
    if (control->trap_after > 0) {
        control->trap_after--;
        return;
    }
    cut_in = 1 + (uint32_t)(draw() % 12);
}

/* Before and behind each sync, and nowhere else something becomes durable. */
static void cut_if_due(void)
{
    if (cut_in > 0 && --cut_in == 0) {
        (void)kill(getpid(), SIGKILL);
    }
}

/* One record in one write: whole in the journal or not at all. */
static void put(const struct record *head, const char *name, const void *old)
{
    struct iovec parts[3] = {
        {(void *)(uintptr_t)head, sizeof(*head)},
        {(void *)(uintptr_t)name, head->name_len},
        {(void *)(uintptr_t)old, head->old_len},
    };
    size_t size = sizeof(*head) + head->name_len + head->old_len;

    if (syscall(SYS_writev, journal, parts, 3) != (long)size) {
        fatal("journal write");
    }
    account(head);
}

#endif
