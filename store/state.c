#include "store/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/err.h"

#define MAGIC UINT64_C(0x434f5252414c5354) /* "CORRALST" */
#define CRC_AT (STATE_SIZE - 4)

static void slot_path(const struct volume *volume, int slot, char *path);
static int slot_read(struct volume *volume, int slot, enum state_slot *kind,
                     struct state *state);
static bool is_zero(const uint8_t *p, size_t len);
static void encode(const struct state *state, uint8_t *to);
static void decode(const uint8_t *from, struct state *state);

int state_load(struct volume *volume, struct state *state,
               struct state_found *found)
{
    struct state read[STATE_SLOTS] = {0};
    int valid = -1;

    *found = (struct state_found){0};
    for (int i = 0; i < STATE_SLOTS; i++) {
        int err = slot_read(volume, i, &found->slots[i], &read[i]);

        if (err != 0) {
            return err;
        }
        if (found->slots[i] == STATE_VALID &&
            (valid < 0 || read[i].sequence > read[valid].sequence)) {
            valid = i;
        }
    }
    if (valid < 0) {
        return found->slots[0] == STATE_BAD || found->slots[1] == STATE_BAD
                   ? ERR_CORRUPT
                   : ERR_NOT_FOUND;
    }
    *state = read[valid];
    found->repair = found->slots[0] != STATE_VALID ||
                    found->slots[1] != STATE_VALID ||
                    read[0].sequence != read[1].sequence;
    return 0;
}

int state_write(struct volume *volume, struct state *state)
{
    uint8_t bytes[STATE_SIZE];

    state->sequence++;
    encode(state, bytes);
    for (int i = 0; i < STATE_SLOTS; i++) {
        char path[VOLUME_PATH_SIZE];
        int fd;
        int err;

        slot_path(volume, i, path);
        err = file_open(volume, path, O_WRONLY | O_CREAT, &fd);
        if (err != 0) {
            return err;
        }
        err = file_write(volume, fd, path, slice_make(bytes, STATE_SIZE), 0);
        if (err == 0) {
            err = file_sync_all(volume, fd, path);
        }
        (void)close(fd); /* synced, or failed already */
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

int state_new(struct volume *volume, struct state *state)
{
    uint8_t random[8];
    size_t len;
    int fd;
    int err = file_open(volume, "/dev/urandom", O_RDONLY, &fd);

    if (err != 0) {
        return err;
    }
    len = (size_t)read(fd, random, sizeof(random));
    (void)close(fd); /* only read */
    if (len != sizeof(random)) {
        errno = EIO;
        return volume_fail(volume, "read", "/dev/urandom");
    }
    *state = (struct state){.generation = 1, .salt = bytes_load64(random)};
    return 0;
}

static void slot_path(const struct volume *volume, int slot, char *path)
{
    volume_path(path, volume->data_dir, slot == 0 ? "state.0" : "state.1");
}

static int slot_read(struct volume *volume, int slot, enum state_slot *kind,
                     struct state *state)
{
    uint8_t bytes[STATE_SIZE + 1];
    char path[VOLUME_PATH_SIZE];
    size_t len;
    int fd;
    int err;

    slot_path(volume, slot, path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        *kind = STATE_MISSING;
        return 0;
    }
    if (fd < 0) {
        return volume_fail(volume, "open", path);
    }
    err = file_read(volume, fd, path, bytes, sizeof(bytes), 0, &len);
    (void)close(fd); /* only read */
    if (err != 0) {
        return err;
    }
    if (is_zero(bytes, len)) {
        *kind = STATE_EMPTY; /* created, and no more, before the power went */
        return 0;
    }
    if (len != STATE_SIZE || bytes_load64(bytes) != MAGIC ||
        crc32c(0, slice_make(bytes, CRC_AT)) != bytes_load32(bytes + CRC_AT)) {
        *kind = STATE_BAD;
        return 0;
    }
    if (bytes_load32(bytes + 8) > STATE_FORMAT) {
        (void)volume_fail_text(volume, path,
                               "written by a newer version of Corral");
        volume->err = ERR_INVALID;
        return ERR_INVALID;
    }
    *kind = STATE_VALID;
    decode(bytes, state);
    return 0;
}

static bool is_zero(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (p[i] != 0) {
            return false;
        }
    }
    return true;
}

/* docs/disk-format.md. Magic, format and checksum stay where they are in every
 * later format, so that each version knows a newer one. */
static void encode(const struct state *state, uint8_t *to)
{
    memset(to, 0, STATE_SIZE);
    bytes_store64(to, MAGIC);
    bytes_store32(to + 8, STATE_FORMAT);
    bytes_store64(to + 16, state->sequence);
    bytes_store32(to + 24, state->epoch_accepted);
    bytes_store32(to + 28, state->epoch_current);
    memcpy(to + 32, state->cluster_id, sizeof(state->cluster_id));
    bytes_store32(to + 48, state->generation);
    bytes_store32(to + 52, state->flags);
    bytes_store64(to + 56, state->salt);
    bytes_store64(to + 64, state->base);
    bytes_store64(to + 72, state->checkpoint);
    bytes_store64(to + 80, state->batch);
    bytes_store64(to + 88, state->server_id);
    bytes_store32(to + CRC_AT, crc32c(0, slice_make(to, CRC_AT)));
}

static void decode(const uint8_t *from, struct state *state)
{
    *state = (struct state){
        .sequence = bytes_load64(from + 16),
        .epoch_accepted = bytes_load32(from + 24),
        .epoch_current = bytes_load32(from + 28),
        .generation = bytes_load32(from + 48),
        .flags = bytes_load32(from + 52),
        .salt = bytes_load64(from + 56),
        .base = bytes_load64(from + 64),
        .checkpoint = bytes_load64(from + 72),
        .batch = bytes_load64(from + 80),
        .server_id = bytes_load64(from + 88),
    };
    memcpy(state->cluster_id, from + 32, sizeof(state->cluster_id));
}
