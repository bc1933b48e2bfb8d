/* One transaction of every kind, and records of the checkpoint: for round
 * trips and as seeds. */
#ifndef CORRAL_TESTS_SUPPORT_DISK_SAMPLES_H
#define CORRAL_TESTS_SUPPORT_DISK_SAMPLES_H

#include "proto/record.h"
#include "proto/txn.h"

/* Static. */
const struct txn *sample_txns(size_t *count);
const struct znode_record *sample_znodes(size_t *count);

/* Absent and empty bytes differ here. */
bool txn_is_equal(const struct txn *a, const struct txn *b);
bool znode_record_is_equal(const struct znode_record *a,
                           const struct znode_record *b);

#endif
