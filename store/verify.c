#include "store/verify.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/err.h"
#include "store/store_internal.h"

static int count_records(struct store *store);

int store_verify(const struct store_options *options, store_finding_fn *found,
                 void *arg, char *error, size_t error_size)
{
    struct store_options given = *options;
    struct store *store;
    int err;

    given.read_only = true;
    store = store_create(&given);
    if (store == NULL) {
        (void)snprintf(error, error_size, "a directory's name is too long");
        return ERR_INVALID;
    }
    store->volume.found = found;
    store->volume.found_arg = arg;
    err = store_enter(store);
    if (err == 0) {
        err = store_examine(store);
    }
    /* What belongs together can be told only of parts that are sound. */
    if (err == 0 && store->leveldb.exists) {
        err = store_open_copy(store);
    }
    if (err == 0 && !store->fresh) {
        err = store_compare(store);
    }
    if (err == 0 && store->leveldb.exists) {
        err = count_records(store);
    }
    if (err != 0) {
        return store_refuse(store, err, error, error_size);
    }
    store_destroy(store);
    return 0;
}

/* Reads every record of the checkpoint, and holds the marker to its counts. */
static int count_records(struct store *store)
{
    struct checkpoint *checkpoint = &store->checkpoint;
    struct store_op op = {.type = STORE_READ_SNAP, .size_max = 1 << 20};
    struct buf list = {0};
    uint64_t znodes = 0;
    uint64_t sessions = 0;
    char what[128];
    zxid_t zxid;
    bool last = false;
    int err = 0;

    while (err == 0 && !last) {
        struct record_entry entry;
        struct slice rest;

        buf_clear(&list);
        err = checkpoint_read(checkpoint, &op, &list, &zxid, &last);
        rest = buf_bytes(&list);
        while (err == 0 && record_next(&rest, &entry) == 0) {
            znodes += entry.key.ptr[0] == 'n';
            sessions += entry.key.ptr[0] == 's';
        }
    }
    buf_finish(&list);
    if (err == 0 && (znodes != checkpoint->marker.znode_count ||
                     sessions != checkpoint->marker.session_count)) {
        (void)snprintf(what, sizeof(what),
                       "holds %" PRIu64 " znodes and %" PRIu64
                       " sessions, its marker says %" PRIu64 " and %" PRIu64,
                       znodes, sessions, checkpoint->marker.znode_count,
                       checkpoint->marker.session_count);
        err = volume_damage(&store->volume, store->checkpoint_dir, 0, what);
    }
    return err;
}
