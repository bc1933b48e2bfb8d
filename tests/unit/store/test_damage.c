#include "store_test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

static struct bench bench;
static char saved[300];

static void start(void)
{
    bench_init(&bench);
    (void)snprintf(saved, sizeof(saved), "%s.saved", bench.dir);
    bench.options.sync = false; /* hundreds of starts, and no power cut */
}

static void stop(void)
{
    struct bench copy = bench;

    copy.store = NULL;
    (void)snprintf(copy.dir, sizeof(copy.dir), "%.250s", saved);
    bench_finish(&copy);
    bench_finish(&bench);
}

TestSuite(store_damage, .init = start, .fini = stop, .timeout = 300);

#define E1 (UINT64_C(1) << 32)
#define SEGMENT "log.1.100000001"

static void save(void)
{
    file_copy_all(bench.dir, saved);
}

static void restore(void)
{
    file_copy_all(saved, bench.dir);
}

/* Three batches: what a flip in the first two means is known. */
static void three_batches(struct bench *b)
{
    bench_open(b);
    put_range(b, E1 + 1, E1 + 5);
    put_range(b, E1 + 6, E1 + 10);
    put_range(b, E1 + 11, E1 + 15);
}

/* Offsets where the batches begin: header 48, records 16 + text padded. */
static uint64_t batch_at[5];

static void measure(void)
{
    uint64_t at = 0;

    for (unsigned i = 0; i < 15; i++) {
        if (i % 5 == 0) {
            batch_at[i / 5] = at;
            at += 48;
        }
        at += 16 + ((16 + (E1 + i + 1) % 8 + 7) & ~UINT64_C(7));
    }
    batch_at[3] = at;
}

Test(store_damage, a_torn_last_batch_is_cut_at_every_byte)
{
    measure();
    bench_in_child(&bench, three_batches);
    save();
    for (uint64_t at = batch_at[2]; at < batch_at[3]; at++) {
        restore();
        file_zero(&bench, SEGMENT, at, batch_at[3]);
        cr_assert_eq(verify(&bench), 0, "%lu: %s", at, bench.error);
        bench_open(&bench);
        cr_assert_geq(store_durable(bench.store)->zxid_last, E1 + 10);
        cr_assert_leq(store_durable(bench.store)->zxid_last, E1 + 15);
        expect_log(&bench, 0, E1 + 1, store_durable(bench.store)->zxid_last);
        put(&bench, E1 + 16);
        bench_close(&bench);
        bench_open(&bench);
        expect_log(&bench, E1 + 15, E1 + 16, E1 + 16);
        bench_close(&bench);
    }
}

/* The first sectors of the last write lost, later ones kept. */
Test(store_damage, a_torn_last_batch_may_lack_its_beginning)
{
    measure();
    bench_in_child(&bench, three_batches);
    save();
    for (uint64_t at = batch_at[2] + 1; at < batch_at[3]; at++) {
        restore();
        file_zero(&bench, SEGMENT, batch_at[2], at);
        bench_open(&bench);
        cr_assert_eq(store_durable(bench.store)->zxid_last, E1 + 10);
        put_range(&bench, E1 + 11, E1 + 12);
        bench_close(&bench);
        cr_assert_eq(verify(&bench), 0, "%s", bench.error);
        bench_open(&bench);
        expect_log(&bench, 0, E1 + 1, E1 + 12);
        bench_close(&bench);
    }
}

Test(store_damage, a_flipped_bit_before_the_last_batch_is_named)
{
    measure();
    bench_in_child(&bench, three_batches);
    save();
    for (uint64_t at = 0; at < batch_at[2]; at++) {
        unsigned long long named = 0;
        const char *place;

        restore();
        file_flip(&bench, SEGMENT, at);
        cr_assert_eq(bench_try_open(&bench), ERR_CORRUPT, "%lu", at);
        place = strstr(bench.error, SEGMENT " at offset ");
        cr_assert_not_null(place, "%s", bench.error);
        cr_assert_eq(sscanf(place, SEGMENT " at offset %llu", &named), 1);
        cr_assert(named <= at && at < named + 64, "%lu: %s", at, bench.error);
        cr_assert_eq(verify(&bench), ERR_CORRUPT);
    }
}

/* A clean stop writes a batch behind the last real one. */
Test(store_damage, after_a_clean_stop_no_record_can_be_lost)
{
    measure();
    three_batches(&bench);
    bench_close(&bench);
    save();
    for (uint64_t at = 0; at < batch_at[3] + 48; at++) {
        restore();
        file_flip(&bench, SEGMENT, at);
        cr_assert_eq(bench_try_open(&bench), ERR_CORRUPT, "%lu", at);
        cr_assert_not_null(strstr(bench.error, SEGMENT " at offset"));
    }
}

Test(store_damage, verify_names_every_damaged_place)
{
    measure();
    three_batches(&bench);
    put_range(&bench, E1 + 16, E1 + 20);
    bench_close(&bench);
    file_flip(&bench, SEGMENT, batch_at[0] + 60);
    file_flip(&bench, SEGMENT, batch_at[2] + 60);
    cr_assert_eq(verify(&bench), ERR_CORRUPT);
}

static void segments(struct bench *b)
{
    bench_open(b);
    for (zxid_t i = 1; i <= 40; i++) {
        put_sized(b, E1 + i, 100000);
    }
}

Test(store_damage, a_segment_that_is_not_the_last_has_no_torn_tail)
{
    bench_in_child(&bench, segments);
    file_zero(&bench, SEGMENT, 800000, 1 << 20);
    cr_assert_eq(bench_try_open(&bench), ERR_CORRUPT);
    cr_assert_not_null(strstr(bench.error, "log.1."), "%s", bench.error);
}

Test(store_damage, a_missing_segment_is_noticed)
{
    char path[512];

    bench_in_child(&bench, segments);
    (void)snprintf(path, sizeof(path), "%s/%s", bench.dir, SEGMENT);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(bench_try_open(&bench), ERR_CORRUPT);
    cr_assert_not_null(strstr(bench.error, "log begins behind"), "%s",
                       bench.error);
}

static void with_checkpoint(struct bench *b)
{
    bench_open(b);
    for (zxid_t i = 1; i <= 40; i++) {
        put_sized(b, E1 + i, 100000);
    }
    cr_assert_eq(checkpoint(b, E1 + 30, 200), 0);
}

static void lose_two_segments(void)
{
    char name[256];
    char path[512];

    for (int i = 0; i < 2; i++) {
        cr_assert(find_file(&bench, "", "log.1.", "", name));
        (void)snprintf(path, sizeof(path), "%s/%.200s", bench.dir, name);
        cr_assert_eq(unlink(path), 0);
    }
    cr_assert_eq(bench_try_open(&bench), ERR_CORRUPT);
}

Test(store_damage, a_log_that_ends_before_the_checkpoint_is_damage)
{
    bench_in_child(&bench, with_checkpoint);
    lose_two_segments();
    cr_assert_not_null(strstr(bench.error, "log ends at 0x100000014"), "%s",
                       bench.error);
}

Test(store_damage, after_a_clean_stop_no_segment_can_be_lost)
{
    with_checkpoint(&bench);
    bench_close(&bench);
    lose_two_segments();
    cr_assert_not_null(strstr(bench.error, "log ends at batch 20"), "%s",
                       bench.error);
}

/* Each byte of LevelDB's files, or of every tenth place of the larger ones. */
static void flip_all(const char *prefix, const char *suffix, unsigned step)
{
    char name[256];
    uint64_t length;
    zxid_t zxid;

    cr_assert(find_file(&bench, "checkpoint", prefix, suffix, name));
    length = file_length(&bench, name);
    cr_assert_gt(length, 0);
    save();
    for (uint64_t at = 0; at < length; at += step) {
        const char *base = strrchr(name, '/') + 1;

        restore();
        file_flip(&bench, name, at);
        if (bench_try_open(&bench) == 0) {
            cr_assert_eq(read_checkpoint(&bench, 1, 1 << 20, &zxid), 200,
                         "%s %lu", name, at);
            cr_assert_eq(zxid, E1 + 30);
            cr_assert_fail("%s %lu: opened", name, at);
        }
        cr_assert_not_null(strstr(bench.error, base), "%lu: %s", at,
                           bench.error);
        cr_assert_not_null(strstr(bench.error, " at offset "));
        cr_assert_eq(verify(&bench), ERR_CORRUPT);
    }
}

Test(store_damage, a_flipped_bit_in_leveldbs_log_is_named)
{
    with_checkpoint(&bench);
    bench_close(&bench);
    flip_all("", ".log", 97);
}

Test(store_damage, a_flipped_bit_in_a_table_is_named)
{
    with_checkpoint(&bench);
    bench_close(&bench);
    bench_open(&bench); /* LevelDB makes a table of its log */
    bench_close(&bench);
    flip_all("", ".ldb", 61);
}

Test(store_damage, a_flipped_bit_in_the_manifest_is_named)
{
    with_checkpoint(&bench);
    bench_close(&bench);
    bench_open(&bench);
    bench_close(&bench);
    flip_all("MANIFEST", "", 1);
}

Test(store_damage, a_flipped_bit_in_current_is_named)
{
    with_checkpoint(&bench);
    bench_close(&bench);
    flip_all("CURRENT", "", 1);
}

static void two_checkpoints(struct bench *b)
{
    bench_open(b);
    put_range(b, E1 + 1, E1 + 40);
    cr_assert_eq(checkpoint(b, E1 + 20, 200), 0);
    cr_assert_eq(checkpoint(b, E1 + 30, 300), 0);
}

/* The last write of LevelDB's log torn, and nobody knows better: the
 * checkpoint before it and the log make up for it. */
Test(store_damage, a_torn_checkpoint_is_cut)
{
    char name[256];
    uint64_t length;
    zxid_t zxid;

    bench_in_child(&bench, two_checkpoints);
    cr_assert(find_file(&bench, "checkpoint", "", ".log", name));
    length = file_length(&bench, name);
    save();
    for (uint64_t at = length - 1; at > length - 15000; at -= 499) {
        restore();
        file_zero(&bench, name, at, length);
        cr_assert_eq(verify(&bench), 0, "%s", bench.error);
        bench_open(&bench);
        cr_assert_eq(read_checkpoint(&bench, 1, 1 << 20, &zxid), 200);
        cr_assert_eq(zxid, E1 + 20);
        expect_log(&bench, E1 + 20, E1 + 21, E1 + 40);
        bench_close(&bench);
    }
}

/* The same, but the log remembers that the checkpoint was durable. */
Test(store_damage, a_lost_checkpoint_that_the_log_remembers_is_damage)
{
    char name[256];
    uint64_t before;
    uint64_t length;

    two_checkpoints(&bench);
    put(&bench, E1 + 41);
    bench_close(&bench);
    cr_assert(find_file(&bench, "checkpoint", "", ".log", name));
    length = file_length(&bench, name);
    file_flip(&bench, name, length - 1);
    before = tree_hash(bench.dir);
    cr_assert_eq(bench_try_open(&bench), ERR_CORRUPT);
    cr_assert_not_null(strstr(bench.error, name), "%s", bench.error);
    cr_assert_eq(tree_hash(bench.dir), before, "the evidence stays");
}

/* Data of a client that look like a batch header do not fool the search. */
Test(store_damage, a_planted_header_is_no_later_batch)
{
    uint8_t *bytes;
    struct store_op op = {.type = STORE_APPEND, .zxid = E1 + 1};
    struct store_result result;

    op.payload = blob_create(4096, &bytes);
    memset(bytes, 0, 4096);
    for (size_t i = 0; i + 8 <= 4096; i += 8) {
        static const uint8_t magic[4] = {0xc0, 0xbb, 0xa1, 0xed};

        memcpy(bytes + i + 4, magic, 4);
    }
    bench_open(&bench);
    store_run(bench.store, &op, 1, &result);
    cr_assert_eq(result.err, 0);
    blob_unref(op.payload);
    save();
    bench_close(&bench);
    restore();
    file_flip(&bench, SEGMENT, 70);
    bench_open(&bench);
    cr_assert_eq(store_durable(bench.store)->zxid_last, 0);
}
