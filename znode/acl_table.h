/* ACL lists, each distinct one kept once under a 32-bit id, counted by the
 * nodes that have it. Ids are of this process: on disk lists are spelled out.
 * A list that loses its last node stays until acl_table_flush(). */
#ifndef CORRAL_ZNODE_ACL_TABLE_H
#define CORRAL_ZNODE_ACL_TABLE_H

#include "base/buf.h"
#include "base/map.h"
#include "proto/client.h"

struct acl_entry;

struct acl_table {
    struct map by_list;
    struct acl_entry **entries; /* by id */
    size_t entries_count, entries_capacity;
    uint32_t *free_ids;
    size_t free_count, free_capacity;
    uint32_t *dropped; /* ids to be given back at the next flush */
    size_t dropped_count, dropped_capacity;
    struct buf key;
    struct acl_entry *recent; /* found last: mostly asked for again */
};

void acl_table_init(struct acl_table *table, uint64_t hash_seed);
void acl_table_finish(struct acl_table *table); /* zeroed is fine */
/* Counts one more for the list. */
uint32_t acl_table_ref(struct acl_table *table, const struct zk_acl *acl,
                       size_t count);
void acl_table_drop(struct acl_table *table, uint32_t id); /* at the flush */
void acl_table_flush(struct acl_table *table);
const struct zk_acl *acl_table_get(const struct acl_table *table, uint32_t id,
                                   size_t *count);
uint64_t acl_table_digest(const struct acl_table *table, uint32_t id);
size_t acl_table_count(const struct acl_table *table); /* distinct lists */

#endif
