/* One server's disk in the exhaustive search. Writes (the log lane) are durable
 * one by one, in their order, when they are told to be; there are no
 * checkpoints: the log holds everything. Plain memory, copied with its server.
 */
#ifndef CORRAL_TESTS_SIM_EXHAUST_DISK_H
#define CORRAL_TESTS_SIM_EXHAUST_DISK_H

#include "tests/sim/exhaust.h"

#define DISK_WRITES_MAX 32U
#define DISK_CLUSTER_ID \
    {                   \
        1, 2, 3         \
    }

struct disk_write {
    enum store_op_type type;
    uint64_t seq;
    zxid_t zxid, committed;
    uint32_t accepted, current;
    uint8_t cluster_id[16];
    uint16_t number; /* of the transaction */
};

struct disk {
    uint32_t accepted, current;
    uint8_t cluster_id[16];
    zxid_t committed;
    struct entries log;
    struct disk_write writes[DISK_WRITES_MAX];
    uint32_t writes_count;
};

/* Of a transaction's payload, and back (gives). */
uint16_t disk_number(const struct blob *payload);
struct blob *disk_payload(uint16_t number);

void disk_init(struct disk *disk, const struct server_disk *first);
void disk_write(struct disk *disk, const struct store_op *op);
/* The oldest write is durable; gives its seq. */
uint64_t disk_sync(struct disk *disk);
/* So many writes became durable, the others never will. */
void disk_crash(struct disk *disk, unsigned survive);
/* What a start finds; room for ENTRIES_MAX ends, which it then borrows. */
struct durable_state disk_state(const struct disk *disk, zxid_t *ends);
/* Appends what STORE_READ_LOG answers; gives the last one's zxid. */
zxid_t disk_read_log(const struct disk *disk, zxid_t after, struct buf *list);
zxid_t disk_last(const struct disk *disk); /* 0: none */
bool disk_has(const struct disk *disk, const struct entry *entry);
uint64_t disk_hash(const struct disk *disk, uint64_t hash);

#endif
