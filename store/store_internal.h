/* The body of struct store, for store/'s own files. */
#ifndef CORRAL_STORE_STORE_INTERNAL_H
#define CORRAL_STORE_STORE_INTERNAL_H

#include "store/checkpoint.h"
#include "store/leveldb_scan.h"
#include "store/lock.h"
#include "store/log.h"
#include "store/reserve.h"
#include "store/state.h"
#include "store/store.h"
#include "store/volume.h"

struct store {
    struct volume volume;
    struct volume beside; /* the checkpoint's, once the store is open */
    struct store_options options;
    struct lock locks[2];
    struct state state;
    struct log log;
    struct checkpoint checkpoint;
    struct reserve reserves[2];
    size_t dirs_count; /* 1: the log lies in the data directory */
    struct durable_state durable;
    char checkpoint_dir[VOLUME_PATH_SIZE];
    char copy_dir[VOLUME_PATH_SIZE]; /* of LevelDB, to look at; "": none */
    bool fresh;                      /* nothing was there */
    bool repair_state; /* one of its two copies is not what it should be */
    struct leveldb_scan leveldb;
    bool failed;
    bool looked;                    /* at the free space, once at least */
    unsigned idle_rounds;           /* since the last op */
    uint64_t data_bytes, log_bytes; /* loaded and stored atomically */
};

/* ---- examine.c */
/* Reads and checks all that is there: state, log, LevelDB's files. Changes
 * nothing. ERR_CORRUPT, ERR_INVALID, ERR_IO, told to the volume. */
int store_examine(struct store *store);
/* With the marker known: do the parts belong together? */
int store_compare(struct store *store);
/* Opens the checkpoint from a copy, so that the directory stays as it is. */
int store_open_copy(struct store *store);

/* ---- set_aside.c */
/* After ERR_CORRUPT, with everything closed but the locks: an empty store that
 * is recovering, with the epoch that was promised. ERR_IO. */
int store_set_aside(struct store *store);

/* ---- beside.c */
/* LevelDB closed and opened when nobody reads it: its memory comes back. */
int store_reopen(struct store *store);
/* ERR_BUSY in receiving a snapshot is the end. */
int store_room_to_stage(struct store *store, int err);
/* ERR_CORRUPT of our own files marks them. */
int store_own_damage(struct store *store, int err);

/* ---- store.c */
bool store_release_reserves(struct store *store); /* true: gave some back */
/* ERR_IO, with its text. */
int store_no_space(struct store *store, const char *operation,
                   const char *file);

/* ---- open.c */
/* The parts of store_open() that store_verify() shares. */
struct store *store_create(const struct store_options *options);
void store_destroy(struct store *store);
int store_enter(struct store *store); /* directories and locks */
/* Why it cannot be opened, into error; destroys it. Returns err. */
int store_refuse(struct store *store, int err, char *error, size_t error_size);
void store_measure(struct store *store); /* bytes of the directories */

#endif
