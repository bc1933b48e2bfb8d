#include "tests/sim/exhaust_disk.h"

#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "proto/record.h"
#include "tests/sim/exhaust_table.h"

static void make_durable(struct disk *disk, const struct disk_write *write);
static void truncate_log(struct entries *log, zxid_t after);
static zxid_t entry_zxid(const struct entry *entry);

uint16_t disk_number(const struct blob *payload)
{
    CHECK(blob_bytes(payload).len == 2);
    return bytes_load16(blob_bytes(payload).ptr);
}

struct blob *disk_payload(uint16_t number)
{
    uint8_t bytes[2];

    bytes_store16(bytes, number);
    return blob_copy(slice_make(bytes, sizeof(bytes)));
}

void disk_init(struct disk *disk, const struct server_disk *first)
{
    static const uint8_t cluster_id[16] = DISK_CLUSTER_ID;

    memset(disk, 0, sizeof(*disk));
    disk->accepted = first->accepted;
    disk->current = first->current;
    disk->log = first->log;
    if (disk->current > 0) {
        memcpy(disk->cluster_id, cluster_id, sizeof(cluster_id));
    }
}

void disk_write(struct disk *disk, const struct store_op *op)
{
    struct disk_write *write = &disk->writes[disk->writes_count];

    CHECK(disk->writes_count < DISK_WRITES_MAX);
    disk->writes_count++;
    write->type = op->type;
    write->seq = op->seq;
    write->zxid = op->zxid;
    write->committed = op->zxid_committed;
    write->accepted = op->epoch_accepted;
    write->current = op->epoch_current;
    memcpy(write->cluster_id, op->cluster_id, sizeof(write->cluster_id));
    write->number = op->payload != NULL ? disk_number(op->payload) : 0;
}

uint64_t disk_sync(struct disk *disk)
{
    struct disk_write write = disk->writes[0];

    CHECK(disk->writes_count > 0);
    make_durable(disk, &write);
    disk->writes_count--;
    memmove(disk->writes, disk->writes + 1, disk->writes_count * sizeof(write));
    memset(&disk->writes[disk->writes_count], 0, sizeof(write));
    return write.seq;
}

void disk_crash(struct disk *disk, unsigned survive)
{
    for (unsigned i = 0; i < survive; i++) {
        (void)disk_sync(disk);
    }
    memset(disk->writes, 0, sizeof(disk->writes));
    disk->writes_count = 0;
}

struct durable_state disk_state(const struct disk *disk, zxid_t *ends)
{
    struct durable_state state = {
        .epoch_accepted = disk->accepted,
        .epoch_current = disk->current,
        .zxid_last = disk_last(disk),
        .zxid_committed = disk->committed,
        .epoch_ends = ends,
    };

    memcpy(state.cluster_id, disk->cluster_id, sizeof(state.cluster_id));
    for (uint32_t i = 0; i < disk->log.count; i++) {
        const struct entry *entry = &disk->log.items[i];

        if (i == 0) {
            state.zxid_first = entry_zxid(entry);
        }
        if (i == 0 || entry[-1].epoch != entry->epoch) {
            state.epoch_ends_count++;
        }
        ends[state.epoch_ends_count - 1] = entry_zxid(entry);
    }
    return state;
}

zxid_t disk_read_log(const struct disk *disk, zxid_t after, struct buf *list)
{
    zxid_t last = after;

    for (uint32_t i = 0; i < disk->log.count; i++) {
        const struct entry *entry = &disk->log.items[i];
        uint8_t bytes[2];

        if (entry_zxid(entry) > after) {
            last = entry_zxid(entry);
            bytes_store16(bytes, entry->number);
            record_put_log(list, last, slice_make(bytes, sizeof(bytes)));
        }
    }
    return last;
}

zxid_t disk_last(const struct disk *disk)
{
    return disk->log.count == 0
               ? 0
               : entry_zxid(&disk->log.items[disk->log.count - 1]);
}

bool disk_has(const struct disk *disk, const struct entry *entry)
{
    for (uint32_t i = 0; i < disk->log.count; i++) {
        if (memcmp(&disk->log.items[i], entry, sizeof(*entry)) == 0) {
            return true;
        }
    }
    return false;
}

/* Not the seqs of writes: they are counted from each start. */
uint64_t disk_hash(const struct disk *disk, uint64_t hash)
{
    uint64_t words[] = {disk->accepted, disk->current, disk->committed,
                        disk->writes_count};

    hash = exhaust_hash(hash, words, sizeof(words));
    hash = exhaust_hash(hash, disk->cluster_id, sizeof(disk->cluster_id));
    hash = exhaust_hash(hash, &disk->log, sizeof(disk->log));
    for (uint32_t i = 0; i < disk->writes_count; i++) {
        const struct disk_write *write = &disk->writes[i];
        uint64_t numbers[] = {write->type,     write->zxid,    write->committed,
                              write->accepted, write->current, write->number};

        hash = exhaust_hash(hash, numbers, sizeof(numbers));
        hash = exhaust_hash(hash, write->cluster_id, sizeof(write->cluster_id));
    }
    return hash;
}

static void make_durable(struct disk *disk, const struct disk_write *write)
{
    struct entries *log = &disk->log;

    if (write->type == STORE_EPOCHS) {
        disk->accepted = write->accepted;
        disk->current = write->current;
        memcpy(disk->cluster_id, write->cluster_id, sizeof(disk->cluster_id));
        return;
    }
    if (write->type == STORE_TRUNCATE) {
        truncate_log(log, write->zxid);
        return;
    }
    CHECK(write->type == STORE_APPEND);
    CHECK(log->count < ENTRIES_MAX);
    log->items[log->count] =
        (struct entry){zxid_epoch(write->zxid),
                       (uint16_t)zxid_counter(write->zxid), write->number};
    log->count++;
    if (disk->committed < write->committed) {
        disk->committed = write->committed;
    }
}

static void truncate_log(struct entries *log, zxid_t after)
{
    while (log->count > 0 && entry_zxid(&log->items[log->count - 1]) > after) {
        log->count--;
        memset(&log->items[log->count], 0, sizeof(log->items[0]));
    }
}

static zxid_t entry_zxid(const struct entry *entry)
{
    return zxid_make(entry->epoch, entry->counter);
}
