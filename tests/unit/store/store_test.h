/* A store in a fresh directory, and short ways to drive it. */
#ifndef CORRAL_TESTS_UNIT_STORE_TEST_H
#define CORRAL_TESTS_UNIT_STORE_TEST_H

#include <criterion/criterion.h>

#include "base/buf.h"
#include "proto/record.h"
#include "store/store.h"
#include "store/verify.h"

struct bench {
    char dir[256];
    struct store_options options;
    struct store *store;
    char error[512];
    uint64_t seq;
};

void bench_init(struct bench *bench); /* makes the directory */
void bench_finish(struct bench *bench);
int bench_open(struct bench *bench); /* fails the test unless 0 */
int bench_try_open(struct bench *bench);
void bench_close(struct bench *bench);
/* Ends without store_close(): what kill -9 leaves. Runs body in a child. */
void bench_in_child(struct bench *bench, void (*body)(struct bench *bench));

/* Record zxid carries record_text(zxid). */
void put(struct bench *bench, zxid_t zxid);
void put_range(struct bench *bench, zxid_t first, zxid_t last); /* one batch */
void put_sized(struct bench *bench, zxid_t zxid, size_t size);
int run_zxid(struct bench *bench, enum store_op_type type, zxid_t zxid);
void epochs(struct bench *bench, uint32_t accepted, uint32_t current);
/* A checkpoint of count znodes /0000.. as of zxid. */
int checkpoint(struct bench *bench, zxid_t zxid, unsigned count);
void checkpoint_list(struct buf *list, zxid_t zxid, unsigned count);
int run_list(struct bench *bench, enum store_op_type type, zxid_t zxid,
             struct buf *list);
/* Reads the whole log above zxid and holds it to what put() wrote: exactly
 * from..to. from 0: nothing. */
void expect_log(struct bench *bench, zxid_t after, zxid_t from, zxid_t to);
/* Reads the checkpoint: its znodes and its zxid. */
unsigned read_checkpoint(struct bench *bench, uint64_t reader,
                         uint32_t size_max, zxid_t *zxid);

/* Files of the directory, by name below it. */
uint64_t file_length(struct bench *bench, const char *name);
void file_flip(struct bench *bench, const char *name, uint64_t offset);
void file_zero(struct bench *bench, const char *name, uint64_t from,
               uint64_t to);
void file_copy_all(const char *from, const char *to); /* cp -a */
bool has_file(struct bench *bench, const char *name);
/* First file whose name begins so, into name (256 bytes). */
bool find_file(struct bench *bench, const char *sub, const char *prefix,
               const char *suffix, char *name);
/* A number that changes with every name, length and byte below dir. */
uint64_t tree_hash(const char *dir);

/* store_verify() on the directory; the first damage into error. */
int verify(struct bench *bench);

#endif
