#include "store/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/err.h"

/* A start on less than this, with a reserve: it is let go. A full disk is left
 * behind only with so much more room than when it was found full. LevelDB's
 * write buffer, and its log, are smaller. */
#define ROOM (UINT64_C(16) << 20)

static void reserve_path(const struct reserve *reserve, char *path)
{
    volume_path(path, reserve->dir, "reserve");
}

int reserve_open(struct reserve *reserve, struct volume *volume,
                 const char *dir, uint64_t size)
{
    char path[VOLUME_PATH_SIZE];
    struct stat st;

    *reserve = (struct reserve){.volume = volume, .dir = dir, .size = size};
    reserve_path(reserve, path);
    if (stat(path, &st) != 0) {
        return 0;
    }
    reserve->held = true;
    if (size == 0 || (uint64_t)st.st_size != size) {
        reserve->held = false;
        return file_unlink(volume, path); /* another size is wanted now */
    }
    if (reserve_free(reserve) < (size < ROOM ? size : ROOM)) {
        (void)reserve_release(reserve); /* low either way */
    }
    return 0;
}

int reserve_keep(struct reserve *reserve)
{
    char path[VOLUME_PATH_SIZE];
    uint64_t wanted =
        reserve->released ? reserve->free_until : 2 * reserve->size;
    int fd;
    int err;

    if (reserve->held || reserve_free(reserve) < wanted) {
        return 0;
    }
    if (reserve->size == 0) {
        reserve->released = false;
        return 0;
    }
    reserve_path(reserve, path);
    err = file_open(reserve->volume, path, O_RDWR | O_CREAT, &fd);
    if (err != 0) {
        return err;
    }
    err = file_allocate(reserve->volume, fd, path, reserve->size);
    if (err == 0) {
        err = file_sync_all(reserve->volume, fd, path);
    }
    (void)close(fd); /* zeros */
    if (err == 0) {
        reserve->held = true;
        reserve->released = false;
        return file_sync_dir(reserve->volume, reserve->dir);
    }
    (void)file_unlink(reserve->volume, path); /* nothing is in it */
    return err == ERR_BUSY ? 0 : err;
}

bool reserve_release(struct reserve *reserve)
{
    char path[VOLUME_PATH_SIZE];
    bool gave = false;

    if (reserve->held) {
        reserve_path(reserve, path);
        gave = unlink(path) == 0;
        reserve->held = false;
    }
    if (gave || !reserve->released) {
        uint64_t now = reserve_free(reserve);

        reserve->released = true;
        reserve->free_until = now > UINT64_MAX - ROOM ? now : now + ROOM;
        if (reserve->free_until < 2 * reserve->size) {
            reserve->free_until = 2 * reserve->size;
        }
    }
    return gave;
}

uint64_t reserve_free(const struct reserve *reserve)
{
    struct statvfs st;

    if (statvfs(reserve->dir, &st) != 0) {
        return UINT64_MAX; /* nothing can be said: writes will tell */
    }
    return (uint64_t)st.f_bavail * st.f_frsize;
}

/* A disk that was full has room when it has the reserve, too. */
bool reserve_low(const struct reserve *reserve)
{
    return reserve->released || reserve_free(reserve) < reserve->size;
}
