#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/err.h"
#include "store/checkpoint.h"

#define FIRST "checkpoint"
enum { NAME_SIZE = 32, COLLECT_FILES = 8 };

static uint32_t name_generation(const char *name);
static void part_path(const struct volume *volume, uint32_t generation,
                      char *dir);
static int highest(const struct checkpoint *checkpoint, uint32_t *generation);
static int sync_files(struct volume *volume, const char *dir);
static int remove_some(struct volume *volume, const char *dir);

bool checkpoint_is_name(const char *name)
{
    return strcmp(name, FIRST) == 0 || name_generation(name) != 0;
}

/* 0: no such name. */
static uint32_t name_generation(const char *name)
{
    char again[NAME_SIZE];
    unsigned long number;

    if (strncmp(name, FIRST ".", sizeof(FIRST)) != 0) {
        return 0;
    }
    number = strtoul(name + sizeof(FIRST), NULL, 10);
    if (number == 0 || number > UINT32_MAX) {
        return 0;
    }
    (void)snprintf(again, sizeof(again), FIRST ".%lu", number);
    return strcmp(again, name) == 0 ? (uint32_t)number : 0;
}

static void part_path(const struct volume *volume, uint32_t generation,
                      char *dir)
{
    char name[NAME_SIZE];

    (void)snprintf(name, sizeof(name), FIRST ".%" PRIu32, generation);
    volume_path(dir, volume->data_dir, name);
}

/* The first one of a server has the name without a number. */
void checkpoint_find(const struct volume *volume, uint32_t generation,
                     char *dir)
{
    part_path(volume, generation, dir);
    if (access(dir, F_OK) != 0) {
        volume_path(dir, volume->data_dir, FIRST);
    }
}

int checkpoint_stage_begin(struct checkpoint *checkpoint)
{
    struct checkpoint_part *next = &checkpoint->next;
    uint32_t generation = 0;
    int err;

    checkpoint_close_part(next);
    checkpoint->garbage = true; /* what it leaves */
    err = highest(checkpoint, &generation);
    if (err != 0) {
        return err;
    }
    next->generation = generation + 1;
    part_path(checkpoint->volume, next->generation, next->dir);
    err = file_make_dir(checkpoint->volume, next->dir);
    return err != 0 ? err : checkpoint_open_part(checkpoint, next);
}

static int highest(const struct checkpoint *checkpoint, uint32_t *generation)
{
    const char *dir = checkpoint->volume->data_dir;
    DIR *listing = opendir(dir);
    const char *name;

    if (listing == NULL) {
        return volume_fail(checkpoint->volume, "open", dir);
    }
    *generation = checkpoint->live.generation;
    while ((name = file_next(listing)) != NULL) {
        uint32_t found = name_generation(name);

        *generation = found > *generation ? found : *generation;
    }
    (void)closedir(listing);
    CHECK(*generation < UINT32_MAX);
    return 0;
}

int checkpoint_stage(struct checkpoint *checkpoint, struct slice records)
{
    struct marker_record marker;

    if (checkpoint->next.db == NULL) {
        return ERR_NOT_FOUND;
    }
    return checkpoint_put(checkpoint, &checkpoint->next, records, &marker);
}

int checkpoint_stage_end(struct checkpoint *checkpoint, zxid_t zxid)
{
    struct checkpoint_part *next = &checkpoint->next;
    struct marker_record marker = {0};
    int err;

    if (next->db == NULL) {
        return ERR_NOT_FOUND;
    }
    err = checkpoint_marker(checkpoint, next, &marker);
    checkpoint_close_part(next);
    if (err == ERR_NOT_FOUND || (err == 0 && marker.zxid != zxid)) {
        return ERR_CORRUPT;
    }
    if (err == 0) {
        err = sync_files(checkpoint->volume, next->dir);
    }
    if (err == 0) {
        err = checkpoint_open_part(checkpoint, next);
    }
    if (err == 0) {
        checkpoint->marker = marker;
    }
    return err;
}

/* Whatever LevelDB syncs of itself: all of it, and the directory. */
static int sync_files(struct volume *volume, const char *dir)
{
    DIR *listing = opendir(dir);
    const char *name;
    int err = 0;

    if (listing == NULL) {
        return volume_fail(volume, "open", dir);
    }
    while (err == 0 && (name = file_next(listing)) != NULL) {
        char path[VOLUME_PATH_SIZE];
        int fd;

        if (name[0] == '.') {
            continue;
        }
        volume_path(path, dir, name);
        err = file_open(volume, path, O_RDONLY, &fd);
        if (err == 0) {
            err = file_sync_all(volume, fd, path);
            (void)close(fd); /* synced, or failed already */
        }
    }
    (void)closedir(listing);
    return err != 0 ? err : file_sync_dir(volume, dir);
}

void checkpoint_go_live(struct checkpoint *checkpoint)
{
    CHECK(checkpoint->next.db != NULL);
    checkpoint_read_lose_all(checkpoint);
    checkpoint_close_part(&checkpoint->live);
    checkpoint->live = checkpoint->next;
    checkpoint->next.db = NULL;
    checkpoint->zxid = checkpoint->marker.zxid;
    checkpoint->garbage = true;
}

int checkpoint_collect(struct checkpoint *checkpoint)
{
    struct volume *volume = checkpoint->volume;
    DIR *listing;
    const char *name;
    int err = 0;

    if (!checkpoint->garbage) {
        return 0;
    }
    listing = opendir(volume->data_dir);
    if (listing == NULL) {
        return volume_fail(volume, "open", volume->data_dir);
    }
    checkpoint->garbage = false;
    while ((name = file_next(listing)) != NULL) {
        char dir[VOLUME_PATH_SIZE];

        volume_path(dir, volume->data_dir, name);
        if (checkpoint_is_name(name) &&
            strcmp(dir, checkpoint->live.dir) != 0 &&
            (checkpoint->next.db == NULL ||
             strcmp(dir, checkpoint->next.dir) != 0)) {
            err = remove_some(volume, dir);
            checkpoint->garbage = true; /* perhaps more: next time */
            break;
        }
    }
    (void)closedir(listing);
    return err;
}

static int remove_some(struct volume *volume, const char *dir)
{
    DIR *listing = opendir(dir);
    const char *name;
    int count = 0;
    int err = 0;

    if (listing == NULL) {
        return volume_fail(volume, "open", dir);
    }
    while (err == 0 && count < COLLECT_FILES &&
           (name = file_next(listing)) != NULL) {
        char path[VOLUME_PATH_SIZE];

        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
            volume_path(path, dir, name);
            err = file_unlink(volume, path);
            count++;
        }
    }
    (void)closedir(listing);
    if (err == 0 && count < COLLECT_FILES && rmdir(dir) != 0) {
        err = volume_fail(volume, "rmdir", dir);
    }
    return err;
}
