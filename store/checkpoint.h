/* The checkpoint: znodes, sessions and their marker in LevelDB, below
 * DATA_DIR/checkpoint or, of a received snapshot,
 * DATA_DIR/checkpoint.GENERATION. Keys are those of proto/record.h with the
 * generation (32 bits big-endian) behind the first byte.
 *
 * Every write is synced before the next one is made: LevelDB skips a bad
 * record of its log and goes on with the next. A snapshot is received into a
 * database of its own: nothing has to be compacted, and what it replaces goes
 * with its files. */
#ifndef CORRAL_STORE_CHECKPOINT_H
#define CORRAL_STORE_CHECKPOINT_H

#include <leveldb/c.h>

#include "proto/record.h"
#include "proto/store_op.h"
#include "store/volume.h"

struct checkpoint_reader {
    enum store_owner owner;
    uint64_t id;
    uint32_t generation;
    zxid_t zxid; /* of the marker it sees */
    const leveldb_snapshot_t *snapshot;
    leveldb_readoptions_t *options;
    leveldb_iterator_t *iterator; /* NULL: lost, LevelDB was closed */
    unsigned kind;                /* which of the first bytes it is at */
};

/* One database, of one generation. */
struct checkpoint_part {
    leveldb_t *db; /* NULL: not open */
    uint32_t generation;
    char dir[VOLUME_PATH_SIZE];
};

struct checkpoint {
    struct volume *volume;
    struct checkpoint_part live;
    struct checkpoint_part next; /* being received, when it is open */
    leveldb_options_t *options;
    leveldb_cache_t *cache;
    leveldb_writeoptions_t *synced, *unsynced;
    zxid_t zxid; /* of the live marker; 0: no checkpoint yet */
    struct marker_record marker;
    struct checkpoint_reader *readers;
    size_t readers_count, readers_capacity;
    struct buf key;
    uint64_t written; /* bytes since LevelDB was opened */
    bool garbage;     /* directories of other generations may be there */
};

/* ---- checkpoint.c; ERR_BUSY from any of them: the disk is full. */
/* Opens LevelDB in dir, which exists, and reads the marker. */
int checkpoint_open(struct checkpoint *checkpoint, struct volume *volume,
                    const char *dir, uint32_t generation);
void checkpoint_close(struct checkpoint *checkpoint);
/* Closed and opened: gives LevelDB's memory back. Only without readers. */
int checkpoint_reopen(struct checkpoint *checkpoint);
/* After ERR_BUSY: LevelDB takes no more writes until it was closed, and may
 * have left half a record. Readers find ERR_NOT_FOUND. */
int checkpoint_recover(struct checkpoint *checkpoint);
/* One batch: records as of zxid with their marker. ERR_CORRUPT when the list is
 * none (nothing is kept in the volume: it is not the disk's fault). */
int checkpoint_write(struct checkpoint *checkpoint, zxid_t zxid,
                     struct slice records);
/* LevelDB's text; frees it. ERR_BUSY, ERR_IO or ERR_CORRUPT. */
int checkpoint_fail(struct checkpoint *checkpoint, char *text);
/* FIRST GENERATION REST into key. */
struct slice checkpoint_key(struct buf *key, uint8_t first, uint32_t generation,
                            struct slice rest);

/* One of the two parts: opened in its directory, which exists, or closed. */
int checkpoint_open_part(struct checkpoint *checkpoint,
                         struct checkpoint_part *part);
void checkpoint_close_part(struct checkpoint_part *part);
/* ERR_NOT_FOUND: it has none. */
int checkpoint_marker(struct checkpoint *checkpoint,
                      const struct checkpoint_part *part,
                      struct marker_record *marker);
/* The list in one write; the marker, if it is in it, into marker. */
int checkpoint_put(struct checkpoint *checkpoint,
                   const struct checkpoint_part *part, struct slice records,
                   struct marker_record *marker);

/* ---- checkpoint_stage.c: a snapshot from another server */
/* What was staged before is given up. */
int checkpoint_stage_begin(struct checkpoint *checkpoint);
int checkpoint_stage(struct checkpoint *checkpoint, struct slice records);
/* Everything staged is durable and its marker says zxid, or ERR_CORRUPT. */
int checkpoint_stage_end(struct checkpoint *checkpoint, zxid_t zxid);
/* The state files say so: what was staged is the checkpoint. Readers of the
 * old one find ERR_NOT_FOUND. */
void checkpoint_go_live(struct checkpoint *checkpoint);
/* Removes some files of other generations. */
int checkpoint_collect(struct checkpoint *checkpoint);
/* Where generation has its database, whether it is there or not. */
void checkpoint_find(const struct volume *volume, uint32_t generation,
                     char *dir);
/* Is it the name of such a directory? */
bool checkpoint_is_name(const char *name);

/* ---- checkpoint_read.c */
/* The next records, size_max bytes or one record, whatever is more. The reader
 * begins with its first read and ends with *last or checkpoint_read_close().
 * ERR_NOT_FOUND: it was lost. */
int checkpoint_read(struct checkpoint *checkpoint, const struct store_op *op,
                    struct buf *list, zxid_t *zxid, bool *last);
void checkpoint_read_close(struct checkpoint *checkpoint,
                           enum store_owner owner, uint64_t id);
/* LevelDB is about to be closed. */
void checkpoint_read_lose_all(struct checkpoint *checkpoint);

/* ---- checkpoint_copy.c */
/* A second database with the same contents in to, which is made: LevelDB never
 * opens one without changing it. Torn tails are cut in the copy. */
int checkpoint_copy(struct volume *volume, const char *from, const char *to);
void checkpoint_copy_remove(const char *dir); /* absent is fine */

#endif
