/* What is on one disk, and what the ops of proto/store_op.h do to it. As
 * store/ does them: a log that is purged by whole segments, a checkpoint, the
 * next generation of one beside it, readers that see what was there when they
 * began. */
#include "tests/sim/platter.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "base/map.h"
#include "base/mem.h"
#include "proto/record.h"

#define READERS_MAX 32
#define CRC_SIZE ((size_t)4)

struct log_record {
    zxid_t zxid, committed;
    struct blob *payload;
};

/* One key of a checkpoint; key and sealed value behind the struct. */
struct record {
    struct map_link link;
    struct slice key, sealed;
};

/* A snapshot, made when it is opened. */
struct reader {
    bool open;
    enum store_owner owner;
    uint64_t id;
    zxid_t zxid;
    struct buf list;
    size_t at;
};

struct platter {
    uint32_t epoch_accepted, epoch_current;
    uint8_t cluster_id[16];
    zxid_t checkpoint, floor; /* the log begins behind floor */
    struct log_record *log;   /* first .. count */
    size_t log_first, log_count, log_capacity;
    uint64_t log_dropped; /* records purged ever: where segments begin */
    size_t segment;       /* records; purged as a whole */
    struct map *records;  /* live */
    struct map *staging;  /* the next generation, or NULL */
    struct reader readers[READERS_MAX];

    struct durable_state durable;
    zxid_t *epoch_ends;
    size_t epoch_ends_capacity;
};

static const char *append(struct platter *platter, const struct store_op *op);
static int truncate_log(struct platter *platter, zxid_t after);
static void purge(struct platter *platter, zxid_t up_to);
static int write_checkpoint(struct platter *platter, const struct store_op *op);
static int stage_end(struct platter *platter, zxid_t zxid);
static void read_log(struct platter *platter, const struct store_op *op,
                     struct store_result *result);
static void read_snap(struct platter *platter, const struct store_op *op,
                      struct store_result *result);
static void close_reader(struct platter *platter, enum store_owner owner,
                         uint64_t id);
static struct map *records_create(void);
static void records_destroy(struct map *records);
static int records_put(struct map *records, struct slice list, zxid_t *marker);

struct platter *platter_create(size_t segment)
{
    struct platter *platter = MEM_NEW(struct platter);

    platter->records = records_create();
    platter->segment = segment;
    return platter;
}

void platter_destroy(struct platter *platter)
{
    if (platter == NULL) {
        return;
    }
    platter_wipe(platter);
    records_destroy(platter->records);
    for (size_t i = 0; i < READERS_MAX; i++) {
        buf_finish(&platter->readers[i].list);
    }
    mem_free(platter->log);
    mem_free(platter->epoch_ends);
    mem_free(platter);
}

void platter_wipe(struct platter *platter)
{
    platter->epoch_accepted = 0;
    platter->epoch_current = 0;
    memset(platter->cluster_id, 0, sizeof(platter->cluster_id));
    platter->checkpoint = 0;
    platter->floor = 0;
    while (platter->log_count > platter->log_first) {
        blob_unref(platter->log[--platter->log_count].payload);
    }
    platter->log_first = platter->log_count = 0;
    records_destroy(platter->records);
    records_destroy(platter->staging);
    platter->records = records_create();
    platter->staging = NULL;
}

const struct durable_state *platter_durable(struct platter *platter)
{
    struct durable_state *durable = &platter->durable;

    *durable = (struct durable_state){
        .epoch_accepted = platter->epoch_accepted,
        .epoch_current = platter->epoch_current,
        .zxid_checkpoint = platter->checkpoint,
        .zxid_committed = platter->checkpoint,
    };
    memcpy(durable->cluster_id, platter->cluster_id,
           sizeof(platter->cluster_id));
    if (platter->log_count > platter->log_first) {
        durable->zxid_first = platter->log[platter->log_first].zxid;
        durable->zxid_last = platter->log[platter->log_count - 1].zxid;
    }
    for (size_t i = platter->log_first; i < platter->log_count; i++) {
        const struct log_record *record = &platter->log[i];
        size_t count = durable->epoch_ends_count;

        if (record->committed > durable->zxid_committed) {
            durable->zxid_committed = record->committed;
        }
        if (count == 0 || zxid_epoch(platter->epoch_ends[count - 1]) !=
                              zxid_epoch(record->zxid)) {
            platter->epoch_ends =
                mem_grow(platter->epoch_ends, &platter->epoch_ends_capacity,
                         count + 1, sizeof(zxid_t));
            durable->epoch_ends_count++;
        }
        platter->epoch_ends[durable->epoch_ends_count - 1] = record->zxid;
    }
    durable->epoch_ends = platter->epoch_ends;
    return durable;
}

uint32_t platter_epoch(const struct platter *platter)
{
    return platter->epoch_current;
}

void platter_process_ends(struct platter *platter)
{
    records_destroy(platter->staging);
    platter->staging = NULL;
    for (size_t i = 0; i < READERS_MAX; i++) {
        buf_finish(&platter->readers[i].list);
        platter->readers[i].open = false;
    }
}

const char *platter_do(struct platter *platter, const struct store_op *op,
                       struct store_result *result)
{
    const char *why = NULL;

    switch (op->type) {
        case STORE_EPOCHS:
            platter->epoch_accepted = op->epoch_accepted;
            platter->epoch_current = op->epoch_current;
            memcpy(platter->cluster_id, op->cluster_id,
                   sizeof(platter->cluster_id));
            break;
        case STORE_APPEND:
            why = append(platter, op);
            break;
        case STORE_TRUNCATE:
            result->err = truncate_log(platter, op->zxid);
            if (result->err != 0) {
                why = "truncation below the log's beginning";
            }
            break;
        case STORE_PURGE:
            purge(platter, op->zxid);
            result->zxid = platter->floor;
            break;
        case STORE_CHECKPOINT:
            result->err = write_checkpoint(platter, op);
            break;
        case STORE_SNAP_BEGIN:
            records_destroy(platter->staging);
            platter->staging = records_create();
            break;
        case STORE_SNAP_CHUNK: {
            zxid_t marker = 0;

            result->err = platter->staging == NULL
                              ? ERR_NOT_FOUND
                              : records_put(platter->staging,
                                            blob_bytes(op->payload), &marker);
            break;
        }
        case STORE_SNAP_END:
            result->err = stage_end(platter, op->zxid);
            break;
        case STORE_READ_LOG:
            read_log(platter, op, result);
            break;
        case STORE_READ_SNAP:
            read_snap(platter, op, result);
            break;
        case STORE_READ_CLOSE:
            close_reader(platter, op->owner, op->reader_id);
            break;
    }
    return why;
}

static const char *append(struct platter *platter, const struct store_op *op)
{
    zxid_t last = platter->log_count > platter->log_first
                      ? platter->log[platter->log_count - 1].zxid
                      : platter->floor;

    if (op->zxid <= last) {
        return "a record appended that is not behind the last one";
    }
    platter->log = mem_grow(platter->log, &platter->log_capacity,
                            platter->log_count + 1, sizeof(struct log_record));
    platter->log[platter->log_count++] = (struct log_record){
        op->zxid, op->zxid_committed, blob_ref(op->payload)};
    return NULL;
}

static int truncate_log(struct platter *platter, zxid_t after)
{
    if (after < platter->floor) {
        return ERR_NOT_FOUND;
    }
    while (platter->log_count > platter->log_first &&
           platter->log[platter->log_count - 1].zxid > after) {
        blob_unref(platter->log[--platter->log_count].payload);
    }
    return 0;
}

/* Whole segments only. */
static void purge(struct platter *platter, zxid_t up_to)
{
    size_t gone = 0;
    size_t end = 0;

    up_to = up_to < platter->checkpoint ? up_to : platter->checkpoint;
    while (platter->log_first + gone < platter->log_count &&
           platter->log[platter->log_first + gone].zxid <= up_to) {
        gone++;
        if ((platter->log_dropped + gone) % platter->segment == 0) {
            end = gone;
        }
    }
    for (size_t i = 0; i < end; i++) {
        platter->floor = platter->log[platter->log_first].zxid;
        blob_unref(platter->log[platter->log_first++].payload);
    }
    platter->log_dropped += end;
    if (platter->log_first > 1024 &&
        platter->log_first > platter->log_count - platter->log_first) {
        memmove(platter->log, platter->log + platter->log_first,
                (platter->log_count - platter->log_first) *
                    sizeof(platter->log[0]));
        platter->log_count -= platter->log_first;
        platter->log_first = 0;
    }
}

/* All of it or nothing, as a batch of LevelDB's. */
static int write_checkpoint(struct platter *platter, const struct store_op *op)
{
    zxid_t marker = 0;
    int err = records_put(platter->records, blob_bytes(op->payload), &marker);

    if (err != 0 || marker != op->zxid) {
        return ERR_CORRUPT;
    }
    platter->checkpoint = op->zxid;
    return 0;
}

static int stage_end(struct platter *platter, zxid_t zxid)
{
    struct map_link *link;
    zxid_t marker = 0;
    struct buf list = {0};

    if (platter->staging == NULL) {
        return ERR_NOT_FOUND;
    }
    link = map_find_bytes(platter->staging, SLICE_LITERAL("m"));
    if (link != NULL) {
        const struct record *record = MAP_ENTRY(link, struct record, link);
        struct map *scratch = records_create();

        record_put_raw(&list, record->key, record->sealed);
        (void)records_put(scratch, buf_bytes(&list), &marker);
        records_destroy(scratch);
        buf_finish(&list);
    }
    if (marker != zxid) {
        records_destroy(platter->staging);
        platter->staging = NULL;
        return ERR_CORRUPT;
    }
    records_destroy(platter->records);
    platter->records = platter->staging;
    platter->staging = NULL;
    while (platter->log_count > platter->log_first) {
        blob_unref(platter->log[--platter->log_count].payload);
    }
    platter->log_first = platter->log_count = 0;
    platter->checkpoint = zxid;
    platter->floor = zxid;
    return 0;
}

static size_t first_behind(const struct platter *platter, zxid_t zxid)
{
    size_t low = platter->log_first;
    size_t high = platter->log_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (platter->log[middle].zxid <= zxid) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void read_log(struct platter *platter, const struct store_op *op,
                     struct store_result *result)
{
    struct buf list = {0};
    size_t i = first_behind(platter, op->zxid);

    if (op->zxid < platter->floor) {
        result->err = ERR_NOT_FOUND;
        return;
    }
    for (; i < platter->log_count; i++) {
        struct slice payload = blob_bytes(platter->log[i].payload);

        if (list.len > 0 && list.len + payload.len > op->size_max) {
            break;
        }
        record_put_log(&list, platter->log[i].zxid, payload);
        result->zxid = platter->log[i].zxid;
    }
    result->last = i == platter->log_count;
    result->payload = blob_copy(buf_bytes(&list));
    buf_finish(&list);
}

/* ---- the checkpoint */

static struct map *records_create(void)
{
    struct map *records = MEM_NEW(struct map);

    map_init(records, 7);
    return records;
}

static void records_destroy(struct map *records)
{
    struct map_link *link;

    if (records == NULL) {
        return;
    }
    while ((link = map_first(records)) != NULL) {
        map_remove(records, link);
        mem_free(MAP_ENTRY(link, struct record, link));
    }
    map_finish(records);
    mem_free(records);
}

static void record_remove(struct map *records, struct slice key)
{
    struct map_link *link = map_find_bytes(records, key);

    if (link != NULL) {
        map_remove(records, link);
        mem_free(MAP_ENTRY(link, struct record, link));
    }
}

static void record_put(struct map *records, struct slice key,
                       struct slice sealed)
{
    struct record *record =
        mem_alloc(sizeof(struct record) + key.len + sealed.len);
    uint8_t *bytes = (uint8_t *)(record + 1);

    memcpy(bytes, key.ptr, key.len);
    memcpy(bytes + key.len, sealed.ptr, sealed.len);
    record->key = slice_make(bytes, key.len);
    record->sealed = slice_make(bytes + key.len, sealed.len);
    record_remove(records, key);
    map_add_bytes(records, &record->link, record->key);
}

/* Nothing is put when something of it is no record. */
static int records_put(struct map *records, struct slice list, zxid_t *marker)
{
    struct slice again = list;
    struct record_entry entry;
    struct marker_record mark;
    int err;

    while ((err = record_next(&list, &entry)) == 0) {
        struct slice value;

        if (slice_is_absent(entry.value)) {
            continue;
        }
        if (record_open(entry.key,
                        slice_make(entry.value.ptr, entry.value.len + CRC_SIZE),
                        &value) != 0) {
            return ERR_CORRUPT;
        }
        if (slice_equal_text(entry.key, "m")) {
            if (record_get_marker(&entry, &mark) != 0) {
                return ERR_CORRUPT;
            }
            *marker = mark.zxid;
        }
    }
    if (err != ERR_NOT_FOUND) {
        return ERR_CORRUPT;
    }
    while (record_next(&again, &entry) == 0) {
        if (slice_is_absent(entry.value)) {
            record_remove(records, entry.key);
        } else {
            record_put(records, entry.key,
                       slice_make(entry.value.ptr, entry.value.len + CRC_SIZE));
        }
    }
    return 0;
}

static int by_key(const void *a, const void *b)
{
    const struct record *const *left = a;
    const struct record *const *right = b;

    return slice_compare((*left)->key, (*right)->key);
}

/* What the checkpoint is now, whatever comes later. */
static struct reader *open_reader(struct platter *platter,
                                  const struct store_op *op)
{
    size_t count = map_count(platter->records), at = 0;
    struct record **sorted;
    struct reader *reader = NULL;

    for (size_t i = 0; i < READERS_MAX; i++) {
        struct reader *each = &platter->readers[i];

        if (each->open && each->owner == op->owner &&
            each->id == op->reader_id) {
            return each;
        }
        reader = !each->open && reader == NULL ? each : reader;
    }
    CHECK(reader != NULL);
    reader->open = true;
    reader->owner = op->owner;
    reader->id = op->reader_id;
    reader->zxid = platter->checkpoint;
    reader->at = 0;
    sorted = MEM_ARRAY(struct record *, count);
    for (struct map_link *link = map_first(platter->records); link != NULL;
         link = map_next(platter->records, link)) {
        sorted[at++] = MAP_ENTRY(link, struct record, link);
    }
    qsort(sorted, count, sizeof(sorted[0]), by_key);
    for (size_t i = 0; i < count; i++) {
        record_put_raw(&reader->list, sorted[i]->key, sorted[i]->sealed);
    }
    mem_free(sorted);
    return reader;
}

static void read_snap(struct platter *platter, const struct store_op *op,
                      struct store_result *result)
{
    struct reader *reader;
    struct slice left;
    struct record_entry entry;
    size_t begin;

    result->zxid = 0;
    if (platter->checkpoint == 0) {
        result->last = true;
        result->payload = blob_copy((struct slice){NULL, 0});
        return;
    }
    reader = open_reader(platter, op);
    begin = reader->at;
    left = slice_after(buf_bytes(&reader->list), begin);
    while (reader->at - begin < op->size_max &&
           record_next(&left, &entry) == 0) {
        reader->at = reader->list.len - left.len;
    }
    result->zxid = reader->zxid;
    result->last = reader->at == reader->list.len;
    result->payload =
        blob_copy(slice_make(reader->list.data + begin, reader->at - begin));
    if (result->last) {
        close_reader(platter, op->owner, op->reader_id);
    }
}

static void close_reader(struct platter *platter, enum store_owner owner,
                         uint64_t id)
{
    for (size_t i = 0; i < READERS_MAX; i++) {
        struct reader *reader = &platter->readers[i];

        if (reader->open && reader->owner == owner && reader->id == id) {
            buf_finish(&reader->list);
            reader->open = false;
        }
    }
}
