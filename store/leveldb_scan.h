/* Looks at LevelDB's files from outside, before LevelDB does: it cannot tell a
 * torn tail from damage, skips bad records in silence, and names no offset.
 *
 * Checked: CURRENT; every record of the manifest and of the logs that are
 * still needed; every block of every live table; that what the manifest names
 * is there. Formats: LevelDB's doc/log_format.md and table_format.md. */
#ifndef CORRAL_STORE_LEVELDB_SCAN_H
#define CORRAL_STORE_LEVELDB_SCAN_H

#include "base/buf.h"
#include "base/map.h"
#include "store/volume.h"

/* A tail that the last write may have left behind, to be cut. */
struct leveldb_tail {
    char path[VOLUME_PATH_SIZE];
    bool torn;
    uint64_t offset;
};

struct leveldb_scan {
    bool exists; /* there is a database */
    struct leveldb_tail manifest, log;
};

/* dir: LevelDB's. Damage is reported to the volume: ERR_CORRUPT. ERR_IO. Not
 * there: scan->exists is false. */
int leveldb_scan(struct volume *volume, const char *dir,
                 struct leveldb_scan *scan);
/* Cuts torn tails, durably: LevelDB refuses some of them. Removes tables that
 * an unfinished compaction left: LevelDB does so too, but not before it has
 * found room to open. */
int leveldb_cut(struct volume *volume, const char *dir,
                const struct leveldb_scan *scan);

/* ---- leveldb_log.c: one file of records in blocks of 32 kB */
typedef int leveldb_record_fn(void *arg, struct slice record);
struct leveldb_log {
    struct volume *volume;
    const char *path;
    bool last;                /* of its kind: may end in a torn write */
    leveldb_record_fn *found; /* may be NULL; its error ends the scan */
    void *arg;
};
int leveldb_log_scan(const struct leveldb_log *log, struct leveldb_tail *tail);

/* ---- leveldb_manifest.c: which files belong to the database */
struct leveldb_table {
    struct map_link link; /* by number */
    uint64_t size;
};
struct leveldb_version {
    struct map tables;
    uint64_t log_number, prev_log_number;
    bool has_log, has_next, has_sequence;
};
/* The whole of a manifest; a bad edit is ERR_CORRUPT, reported. */
int leveldb_version_load(struct volume *volume, const char *path,
                         struct leveldb_version *version,
                         struct leveldb_tail *tail);
void leveldb_version_finish(struct leveldb_version *version);

/* ---- leveldb_table.c: one table; file is scratch memory */
int leveldb_table_scan(struct volume *volume, const char *path, uint64_t size,
                       struct buf *file);

/* Little-endian numbers and varints, as LevelDB has them. */
uint32_t leveldb_load32(const uint8_t *p);
bool leveldb_varint(struct slice *from, uint64_t *value);
bool leveldb_crc_fits(struct slice bytes, uint32_t masked);

#endif
