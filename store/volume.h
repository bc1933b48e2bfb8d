/* What all of store/ shares: where the files are, whether syncs are real, the
 * counters, and the one place where failures and damage become text.
 *
 * Plain libc calls only, and whole paths: the power-cut test stands between
 * us and libc. The first failure's text is kept, later ones are its echo.
 * Thread: the disk thread; only the counters are read from elsewhere. */
#ifndef CORRAL_STORE_VOLUME_H
#define CORRAL_STORE_VOLUME_H

#include <dirent.h>

#include "base/slice.h"
#include "store/verify.h"

enum { VOLUME_PATH_SIZE = 4096, VOLUME_TEXT_SIZE = 512 };

/* Loaded and stored atomically. */
struct volume_counts {
    uint64_t syncs, bytes_written, sync_us_total, sync_us_max;
};

struct volume {
    bool sync, read_only;
    char data_dir[VOLUME_PATH_SIZE], log_dir[VOLUME_PATH_SIZE];
    char failure[VOLUME_TEXT_SIZE]; /* "": none yet */
    int err;                        /* of the first failure or damage */
    store_finding_fn *found;        /* NULL: the first damage is enough */
    void *found_arg;
    struct volume_counts counts;
};

/* ERR_IO; errno says why. Keeps "OPERATION FILE: ERRNO TEXT". */
int volume_fail(struct volume *volume, const char *operation, const char *file);
/* The same for a reason that is not in errno. */
int volume_fail_text(struct volume *volume, const char *file, const char *text);
/* ERR_CORRUPT. Keeps "damage in FILE at offset N: WHAT". */
int volume_damage(struct volume *volume, const char *file, uint64_t offset,
                  const char *what);
/* Something worth a line that is no damage: a torn tail. */
void volume_note(struct volume *volume, const char *file, uint64_t offset,
                 const char *what);
void volume_count(uint64_t *counter, uint64_t more);

/* DIR/NAME into path (VOLUME_PATH_SIZE bytes). */
void volume_path(char *path, const char *dir, const char *name);

/* ERR_IO from all of these, with the text kept. */
int file_open(struct volume *volume, const char *path, int flags, int *fd);
int file_write(struct volume *volume, int fd, const char *path,
               struct slice bytes, uint64_t offset);
/* *done < len at the end of the file. */
int file_read(struct volume *volume, int fd, const char *path, void *to,
              size_t len, uint64_t offset, size_t *done);
int file_size(struct volume *volume, int fd, const char *path, uint64_t *size);
int file_sync(struct volume *volume, int fd, const char *path); /* data */
int file_sync_all(struct volume *volume, int fd, const char *path);
int file_sync_dir(struct volume *volume, const char *path);
int file_unlink(struct volume *volume, const char *path);   /* absent is fine */
int file_make_dir(struct volume *volume, const char *path); /* and parents */
/* ERR_BUSY when there is no room for size bytes, and nothing is kept. */
int file_allocate(struct volume *volume, int fd, const char *path,
                  uint64_t size);
/* The next name in an open directory, until the next call; NULL at its end. */
const char *file_next(DIR *dir);
/* Bytes of disk below path, not into directories. */
uint64_t file_dir_bytes(const char *path, const char *prefix_skipped);

#endif
