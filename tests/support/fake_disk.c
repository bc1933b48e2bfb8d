#include "tests/support/fake_disk.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "proto/record.h"

#define HASH_SEED 7
#define CRC_SIZE ((size_t)4)
#define READERS_MAX 8

struct log_record {
    zxid_t zxid;
    struct blob *payload;
};

/* One key of the checkpoint; key and sealed value behind the struct. */
struct record {
    struct map_link link;
    struct slice key, sealed;
};

struct waiting {
    struct list link;
    uint64_t order; /* of all ops, in both lanes */
    struct store_op op;
};

/* A snapshot being read: keys in order, as blobs of one list each. */
struct reader {
    uint64_t id;
    struct buf list;
    size_t at;
    zxid_t zxid;
};

struct fake_disk {
    uint32_t epoch_accepted, epoch_current;
    uint8_t cluster_id[16];
    zxid_t checkpoint, committed;
    struct log_record *log;
    size_t log_count, log_capacity;
    struct map records;
    struct map staged; /* the next generation, being received */
    struct list log_lane, slow_lane;
    uint64_t order;
    size_t waiting;
    struct reader readers[READERS_MAX];
    struct durable_state durable;
    zxid_t *epoch_ends;
    size_t epoch_ends_capacity;
    uint64_t checkpoints;
    int fail_next;
};

static bool is_log_op(enum store_op_type type);
static bool holds_both(enum store_op_type type);
static struct waiting *next_waiting(struct fake_disk *disk);
static struct waiting *first_in(struct list *lane);
static struct waiting *first_holder(struct fake_disk *disk);
static void drop_waiting(struct fake_disk *disk, struct waiting *waiting);
static void carry_out(struct fake_disk *disk, const struct store_op *op,
                      struct store_result *result);
static void append(struct fake_disk *disk, const struct store_op *op);
static void cut(struct fake_disk *disk, zxid_t after);
static void purge(struct fake_disk *disk, zxid_t up_to);
static void checkpoint(struct fake_disk *disk, const struct store_op *op);
static int put_records(struct map *records, struct slice list);
static void snap_end(struct fake_disk *disk, const struct store_op *op);
static void put_record(struct map *records, struct slice key,
                       struct slice sealed);
static struct record *find_record(struct fake_disk *disk, const char *path);
static void drop_record(struct map *records, struct record *record);
static void drop_records(struct map *records);
static void read_log(struct fake_disk *disk, const struct store_op *op,
                     struct store_result *result);
static void read_snap(struct fake_disk *disk, const struct store_op *op,
                      struct store_result *result);
static struct reader *open_reader(struct fake_disk *disk, uint64_t id);
static void close_reader(struct fake_disk *disk, uint64_t id);

struct fake_disk *fake_disk_create(void)
{
    struct fake_disk *disk = MEM_NEW(struct fake_disk);

    map_init(&disk->records, HASH_SEED);
    map_init(&disk->staged, HASH_SEED);
    list_init(&disk->log_lane);
    list_init(&disk->slow_lane);
    return disk;
}

void fake_disk_destroy(struct fake_disk *disk)
{
    if (disk == NULL) {
        return;
    }
    fake_disk_crash(disk, 0);
    cut(disk, 0);
    drop_records(&disk->records);
    drop_records(&disk->staged);
    map_finish(&disk->records);
    map_finish(&disk->staged);
    mem_free(disk->log);
    mem_free(disk->epoch_ends);
    mem_free(disk);
}

const struct durable_state *fake_disk_durable(struct fake_disk *disk)
{
    struct durable_state *durable = &disk->durable;

    *durable = (struct durable_state){
        .epoch_accepted = disk->epoch_accepted,
        .epoch_current = disk->epoch_current,
        .zxid_checkpoint = disk->checkpoint,
        .zxid_committed = disk->committed > disk->checkpoint ? disk->committed
                                                             : disk->checkpoint,
    };
    memcpy(durable->cluster_id, disk->cluster_id, 16);
    if (disk->log_count > 0) {
        durable->zxid_first = disk->log[0].zxid;
        durable->zxid_last = disk->log[disk->log_count - 1].zxid;
    }
    for (size_t i = 0; i < disk->log_count; i++) {
        zxid_t zxid = disk->log[i].zxid;
        size_t count = durable->epoch_ends_count;

        if (count == 0 ||
            zxid_epoch(disk->epoch_ends[count - 1]) != zxid_epoch(zxid)) {
            disk->epoch_ends =
                mem_grow(disk->epoch_ends, &disk->epoch_ends_capacity,
                         count + 1, sizeof(zxid_t));
            durable->epoch_ends_count++;
        }
        disk->epoch_ends[durable->epoch_ends_count - 1] = zxid;
    }
    durable->epoch_ends = disk->epoch_ends;
    return durable;
}

void fake_disk_submit(struct fake_disk *disk, const struct store_op *op)
{
    struct waiting *waiting = MEM_NEW(struct waiting);

    waiting->op = *op;
    waiting->order = disk->order++;
    list_push_back(is_log_op(op->type) ? &disk->log_lane : &disk->slow_lane,
                   &waiting->link);
    disk->waiting++;
}

bool fake_disk_next(struct fake_disk *disk, struct store_result *result)
{
    struct waiting *waiting = next_waiting(disk);

    if (waiting == NULL) {
        return false;
    }
    *result = (struct store_result){.type = waiting->op.type,
                                    .owner = waiting->op.owner,
                                    .seq = waiting->op.seq,
                                    .reader_id = waiting->op.reader_id};
    if (disk->fail_next != 0) {
        result->err = disk->fail_next;
        disk->fail_next = 0;
    } else {
        carry_out(disk, &waiting->op, result);
    }
    drop_waiting(disk, waiting);
    return true;
}

size_t fake_disk_waiting(const struct fake_disk *disk)
{
    return disk->waiting;
}

void fake_disk_crash(struct fake_disk *disk, size_t kept)
{
    struct waiting *waiting;

    while ((waiting = next_waiting(disk)) != NULL) {
        struct store_result result = {0};

        if (kept > 0) {
            kept--;
            carry_out(disk, &waiting->op, &result);
            blob_unref(result.payload);
        }
        drop_waiting(disk, waiting);
    }
    for (size_t i = 0; i < READERS_MAX; i++) {
        close_reader(disk, disk->readers[i].id);
    }
}

size_t fake_disk_log_count(const struct fake_disk *disk)
{
    return disk->log_count;
}

size_t fake_disk_record_count(const struct fake_disk *disk)
{
    return map_count(&disk->records);
}

uint64_t fake_disk_checkpoints(const struct fake_disk *disk)
{
    return disk->checkpoints;
}

void fake_disk_fail_next(struct fake_disk *disk, int err)
{
    disk->fail_next = err;
}

void fake_disk_lose_record(struct fake_disk *disk, const char *path)
{
    drop_record(&disk->records, find_record(disk, path));
}

void fake_disk_forge_record(struct fake_disk *disk, const char *path)
{
    struct record *record = find_record(disk, path);
    struct arena *arena = arena_create(1024);
    struct buf list = {0};
    struct slice bytes;
    struct record_entry entry = {
        .key = record->key,
        .value = slice_make(record->sealed.ptr, record->sealed.len - CRC_SIZE)};
    struct znode_record znode;

    CHECK(record_get_znode(&entry, arena, &znode) == 0);
    znode.data = SLICE_LITERAL("forged");
    record_put_znode(&list, &znode);
    bytes = buf_bytes(&list);
    CHECK(record_next(&bytes, &entry) == 0);
    put_record(&disk->records, entry.key,
               slice_make(entry.value.ptr, entry.value.len + CRC_SIZE));
    buf_finish(&list);
    arena_destroy(arena);
}

static bool is_log_op(enum store_op_type type)
{
    return type == STORE_EPOCHS || type == STORE_APPEND ||
           type == STORE_TRUNCATE;
}

static bool holds_both(enum store_op_type type)
{
    return type == STORE_TRUNCATE || type == STORE_SNAP_BEGIN ||
           type == STORE_SNAP_END;
}

static struct waiting *next_waiting(struct fake_disk *disk)
{
    struct waiting *holder = first_holder(disk);
    struct waiting *log = first_in(&disk->log_lane);
    struct waiting *slow = first_in(&disk->slow_lane);

    if (log != NULL && (holder == NULL || log->order < holder->order)) {
        return log;
    }
    if (slow != NULL && (holder == NULL || slow->order < holder->order)) {
        return slow;
    }
    return holder;
}

static struct waiting *first_in(struct list *lane)
{
    return list_empty(lane) ? NULL
                            : LIST_ENTRY(lane->next, struct waiting, link);
}

/* The first that waits for both lanes, and for which both wait. */
static struct waiting *first_holder(struct fake_disk *disk)
{
    struct list *lanes[] = {&disk->log_lane, &disk->slow_lane};
    struct waiting *first = NULL;

    for (size_t i = 0; i < 2; i++) {
        for (struct list *at = lanes[i]->next; at != lanes[i]; at = at->next) {
            struct waiting *waiting = LIST_ENTRY(at, struct waiting, link);

            if (holds_both(waiting->op.type) &&
                (first == NULL || waiting->order < first->order)) {
                first = waiting;
            }
        }
    }
    return first;
}

static void drop_waiting(struct fake_disk *disk, struct waiting *waiting)
{
    list_remove(&waiting->link);
    blob_unref(waiting->op.payload);
    mem_free(waiting);
    disk->waiting--;
}

static void carry_out(struct fake_disk *disk, const struct store_op *op,
                      struct store_result *result)
{
    switch (op->type) {
        case STORE_EPOCHS:
            disk->epoch_accepted = op->epoch_accepted;
            disk->epoch_current = op->epoch_current;
            memcpy(disk->cluster_id, op->cluster_id, 16);
            break;
        case STORE_APPEND:
            append(disk, op);
            break;
        case STORE_TRUNCATE:
            cut(disk, op->zxid);
            break;
        case STORE_PURGE:
            purge(disk, op->zxid);
            result->zxid = op->zxid;
            break;
        case STORE_CHECKPOINT:
            checkpoint(disk, op);
            break;
        case STORE_READ_LOG:
            read_log(disk, op, result);
            break;
        case STORE_READ_SNAP:
            read_snap(disk, op, result);
            break;
        case STORE_READ_CLOSE:
            close_reader(disk, op->reader_id);
            break;
        case STORE_SNAP_BEGIN:
            drop_records(&disk->staged);
            break;
        case STORE_SNAP_CHUNK:
            result->err = put_records(&disk->staged, blob_bytes(op->payload));
            break;
        case STORE_SNAP_END:
            snap_end(disk, op);
            break;
    }
}

static void append(struct fake_disk *disk, const struct store_op *op)
{
    CHECK(disk->log_count == 0 ||
          op->zxid > disk->log[disk->log_count - 1].zxid);
    CHECK(op->zxid > disk->checkpoint);
    disk->log = mem_grow(disk->log, &disk->log_capacity, disk->log_count + 1,
                         sizeof(struct log_record));
    disk->log[disk->log_count++] =
        (struct log_record){op->zxid, blob_ref(op->payload)};
    if (op->zxid_committed > disk->committed) {
        disk->committed = op->zxid_committed;
    }
}

static void cut(struct fake_disk *disk, zxid_t after)
{
    while (disk->log_count > 0 && disk->log[disk->log_count - 1].zxid > after) {
        blob_unref(disk->log[--disk->log_count].payload);
    }
}

static void purge(struct fake_disk *disk, zxid_t up_to)
{
    size_t gone = 0;

    CHECK(up_to <= disk->checkpoint);
    while (gone < disk->log_count && disk->log[gone].zxid <= up_to) {
        blob_unref(disk->log[gone++].payload);
    }
    if (gone > 0) {
        memmove(disk->log, disk->log + gone,
                (disk->log_count - gone) * sizeof(disk->log[0]));
    }
    disk->log_count -= gone;
}

/* All of it or nothing, as a batch of LevelDB's. */
static void checkpoint(struct fake_disk *disk, const struct store_op *op)
{
    int err = put_records(&disk->records, blob_bytes(op->payload));

    CHECK(err == 0);
    CHECK(op->zxid > disk->checkpoint);
    disk->checkpoint = op->zxid;
    disk->checkpoints++;
}

static int put_records(struct map *records, struct slice list)
{
    struct record_entry entry;
    int err;

    while ((err = record_next(&list, &entry)) == 0) {
        if (slice_is_absent(entry.value)) {
            struct map_link *link = map_find_bytes(records, entry.key);

            if (link != NULL) {
                drop_record(records, MAP_ENTRY(link, struct record, link));
            }
        } else {
            struct slice sealed =
                slice_make(entry.value.ptr, entry.value.len + CRC_SIZE);
            struct slice value;

            err = record_open(entry.key, sealed, &value);
            if (err != 0) {
                return err;
            }
            put_record(records, entry.key, sealed);
        }
    }
    return err == ERR_NOT_FOUND ? 0 : err;
}

/* The generation that was received is the live one, and there is no log. */
static void snap_end(struct fake_disk *disk, const struct store_op *op)
{
    struct map_link *link;

    drop_records(&disk->records);
    while ((link = map_first(&disk->staged)) != NULL) {
        struct record *record = MAP_ENTRY(link, struct record, link);

        map_remove(&disk->staged, link);
        map_add_bytes(&disk->records, link, record->key);
    }
    cut(disk, 0);
    disk->checkpoint = op->zxid;
    disk->committed = op->zxid;
}

static void put_record(struct map *records, struct slice key,
                       struct slice sealed)
{
    struct record *record =
        mem_alloc(sizeof(struct record) + key.len + sealed.len);
    uint8_t *bytes = (uint8_t *)(record + 1);
    struct map_link *old;

    memcpy(bytes, key.ptr, key.len);
    memcpy(bytes + key.len, sealed.ptr, sealed.len);
    record->key = slice_make(bytes, key.len);
    record->sealed = slice_make(bytes + key.len, sealed.len);
    old = map_find_bytes(records, key);
    if (old != NULL) {
        drop_record(records, MAP_ENTRY(old, struct record, link));
    }
    map_add_bytes(records, &record->link, record->key);
}

static struct record *find_record(struct fake_disk *disk, const char *path)
{
    struct buf key = {0};
    struct map_link *link;

    buf_printf(&key, "n%s", path);
    link = map_find_bytes(&disk->records, buf_bytes(&key));
    buf_finish(&key);
    CHECK(link != NULL);
    return MAP_ENTRY(link, struct record, link);
}

static void drop_record(struct map *records, struct record *record)
{
    map_remove(records, &record->link);
    mem_free(record);
}

static void drop_records(struct map *records)
{
    struct map_link *link;

    while ((link = map_first(records)) != NULL) {
        drop_record(records, MAP_ENTRY(link, struct record, link));
    }
}

static void read_log(struct fake_disk *disk, const struct store_op *op,
                     struct store_result *result)
{
    struct buf list = {0};
    size_t i = 0;

    while (i < disk->log_count && disk->log[i].zxid <= op->zxid) {
        i++;
    }
    while (i < disk->log_count && (list.len == 0 || list.len < op->size_max)) {
        record_put_log(&list, disk->log[i].zxid,
                       blob_bytes(disk->log[i].payload));
        result->zxid = disk->log[i].zxid;
        i++;
    }
    result->last = i == disk->log_count;
    result->payload = blob_copy(buf_bytes(&list));
    buf_finish(&list);
}

static void read_snap(struct fake_disk *disk, const struct store_op *op,
                      struct store_result *result)
{
    struct reader *reader;
    struct slice left;
    struct record_entry entry;
    size_t begin;

    if (disk->checkpoint == 0) {
        result->err = ERR_NOT_FOUND;
        return;
    }
    reader = open_reader(disk, op->reader_id);
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
        close_reader(disk, op->reader_id);
    }
}

static int by_key(const void *a, const void *b)
{
    return slice_compare((*(struct record *const *)a)->key,
                         (*(struct record *const *)b)->key);
}

/* What the checkpoint is now, whatever comes later. */
static struct reader *open_reader(struct fake_disk *disk, uint64_t id)
{
    size_t count = map_count(&disk->records), at = 0;
    struct record **sorted;
    struct reader *reader = NULL;

    for (size_t i = 0; i < READERS_MAX; i++) {
        if (disk->readers[i].id == id) {
            return &disk->readers[i];
        }
        if (disk->readers[i].id == 0 && reader == NULL) {
            reader = &disk->readers[i];
        }
    }
    CHECK(reader != NULL);
    *reader = (struct reader){.id = id, .zxid = disk->checkpoint};
    sorted = MEM_ARRAY(struct record *, count);
    for (struct map_link *link = map_first(&disk->records); link != NULL;
         link = map_next(&disk->records, link)) {
        sorted[at++] = MAP_ENTRY(link, struct record, link);
    }
    qsort(sorted, count, sizeof(sorted[0]), by_key);
    for (size_t i = 0; i < count; i++) {
        record_put_raw(&reader->list, sorted[i]->key, sorted[i]->sealed);
    }
    mem_free(sorted);
    return reader;
}

static void close_reader(struct fake_disk *disk, uint64_t id)
{
    for (size_t i = 0; i < READERS_MAX && id != 0; i++) {
        if (disk->readers[i].id == id) {
            buf_finish(&disk->readers[i].list);
            disk->readers[i] = (struct reader){0};
        }
    }
}
