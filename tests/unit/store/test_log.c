#include "store_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/err.h"

static struct bench bench;

static void start(void)
{
    bench_init(&bench);
}

static void stop(void)
{
    bench_finish(&bench);
}

TestSuite(store_log, .init = start, .fini = stop);

#define E1 (UINT64_C(1) << 32)
#define E2 (UINT64_C(2) << 32)
#define SEGMENT "log.1.100000001"

Test(store_log, what_was_appended_is_read_back)
{
    bench_open(&bench);
    put(&bench, E1 + 1);
    put_range(&bench, E1 + 2, E1 + 500);
    expect_log(&bench, 0, E1 + 1, E1 + 500);
    expect_log(&bench, E1 + 200, E1 + 201, E1 + 500);
}

Test(store_log, what_was_appended_is_there_after_a_restart)
{
    const struct durable_state *durable;

    bench_open(&bench);
    put(&bench, E1 + 1);
    put_range(&bench, E1 + 2, E1 + 500);
    bench_close(&bench);
    bench_open(&bench);
    durable = store_durable(bench.store);
    cr_assert_eq(durable->zxid_first, E1 + 1);
    cr_assert_eq(durable->zxid_last, E1 + 500);
    cr_assert_eq(durable->epoch_ends_count, 1);
    cr_assert_eq(durable->epoch_ends[0], E1 + 500);
    cr_assert_eq(durable->zxid_committed, E1 + 1);
    expect_log(&bench, 0, E1 + 1, E1 + 500);
    expect_log(&bench, E1 + 499, E1 + 500, E1 + 500);
    expect_log(&bench, E1 + 500, 0, 0);
}

Test(store_log, each_epoch_has_its_end)
{
    const struct durable_state *durable;

    bench_open(&bench);
    put_range(&bench, E1 + 1, E1 + 5);
    put_range(&bench, E2 + 1, E2 + 1);
    put_range(&bench, E2 + 2, E2 + 9);
    bench_close(&bench);
    bench_open(&bench);
    durable = store_durable(bench.store);
    cr_assert_eq(durable->epoch_ends_count, 2);
    cr_assert_eq(durable->epoch_ends[0], E1 + 5);
    cr_assert_eq(durable->epoch_ends[1], E2 + 9);
}

Test(store_log, goes_on_in_the_next_segment)
{
    char name[256];

    bench_open(&bench);
    for (zxid_t i = 1; i <= 40; i++) {
        put_sized(&bench, E1 + i, 100000);
    }
    cr_assert(has_file(&bench, SEGMENT));
    cr_assert(find_file(&bench, "", "log.1.", "", name));
    cr_assert_str_neq(name, SEGMENT);
    expect_log(&bench, 0, E1 + 1, E1 + 40);
    bench_close(&bench);
    bench_open(&bench);
    expect_log(&bench, 0, E1 + 1, E1 + 40);
    expect_log(&bench, E1 + 33, E1 + 34, E1 + 40);
}

Test(store_log, a_prepared_segment_is_used)
{
    bench_open(&bench);
    cr_assert_eq(store_idle(bench.store), 0);
    cr_assert(has_file(&bench, "log.next"));
    put(&bench, E1 + 1);
    cr_assert_not(has_file(&bench, "log.next"));
    cr_assert(has_file(&bench, SEGMENT));
    cr_assert_eq(file_length(&bench, SEGMENT), 1 << 20);
}

Test(store_log, a_record_larger_than_a_segment_gets_its_own)
{
    bench_open(&bench);
    put(&bench, E1 + 1);
    put_sized(&bench, E1 + 2, 3 << 20);
    put(&bench, E1 + 3);
    bench_close(&bench);
    bench_open(&bench);
    expect_log(&bench, 0, E1 + 1, E1 + 3);
}

Test(store_log, purge_drops_whole_segments_below_the_checkpoint)
{
    bench_open(&bench);
    for (zxid_t i = 1; i <= 40; i++) {
        put_sized(&bench, E1 + i, 100000);
    }
    cr_assert_eq(run_zxid(&bench, STORE_PURGE, E1 + 40), 0);
    cr_assert(has_file(&bench, SEGMENT), "no checkpoint, no purge");
    cr_assert_eq(checkpoint(&bench, E1 + 25, 3), 0);
    cr_assert_eq(run_zxid(&bench, STORE_PURGE, E1 + 40), 0);
    cr_assert_not(has_file(&bench, SEGMENT));
    expect_log(&bench, E1 + 25, E1 + 26, E1 + 40);
    {
        struct store_op op = {.type = STORE_READ_LOG, .zxid = E1 + 1};
        struct store_result result;

        store_run(bench.store, &op, 1, &result);
        cr_assert_eq(result.err, ERR_NOT_FOUND);
    }
    bench_close(&bench);
    bench_open(&bench);
    cr_assert_leq(store_durable(bench.store)->zxid_first, E1 + 26);
    cr_assert_gt(store_durable(bench.store)->zxid_first, E1 + 1);
    expect_log(&bench, E1 + 25, E1 + 26, E1 + 40);
}

Test(store_log, truncation_cuts_within_a_batch)
{
    bench_open(&bench);
    put_range(&bench, E1 + 1, E1 + 10);
    put_range(&bench, E1 + 11, E1 + 20);
    put_range(&bench, E1 + 21, E1 + 30);
    cr_assert_eq(run_zxid(&bench, STORE_TRUNCATE, E1 + 15), 0);
    expect_log(&bench, 0, E1 + 1, E1 + 15);
    put_range(&bench, E2 + 1, E2 + 4);
    expect_log(&bench, E1 + 15, E2 + 1, E2 + 4);
    bench_close(&bench);
    bench_open(&bench);
    expect_log(&bench, E1 + 15, E2 + 1, E2 + 4);
    cr_assert_eq(store_durable(bench.store)->epoch_ends[0], E1 + 15);
}

Test(store_log, truncation_takes_later_segments_away)
{
    bench_open(&bench);
    for (zxid_t i = 1; i <= 40; i++) {
        put_sized(&bench, E1 + i, 100000);
    }
    cr_assert_eq(run_zxid(&bench, STORE_TRUNCATE, E1 + 4), 0);
    expect_log(&bench, 0, E1 + 1, E1 + 4);
    put(&bench, E1 + 5);
    bench_close(&bench);
    bench_open(&bench);
    expect_log(&bench, 0, E1 + 1, E1 + 5);
}

Test(store_log, everything_can_be_truncated)
{
    bench_open(&bench);
    put_range(&bench, E1 + 1, E1 + 10);
    cr_assert_eq(run_zxid(&bench, STORE_TRUNCATE, 0), 0);
    expect_log(&bench, 0, 0, 0);
    bench_close(&bench);
    bench_open(&bench);
    cr_assert_eq(store_durable(bench.store)->zxid_last, 0);
    put_range(&bench, E2 + 1, E2 + 2);
    bench_close(&bench);
    bench_open(&bench);
    expect_log(&bench, 0, E2 + 1, E2 + 2);
}

/* ZK-1489: truncate, append, crash. */
static void truncate_and_append(struct bench *b)
{
    bench_open(b);
    put_range(b, E1 + 1, E1 + 20);
    cr_assert_eq(run_zxid(b, STORE_TRUNCATE, E1 + 7), 0);
    put_range(b, E1 + 8, E1 + 9);
    cr_assert_eq(run_zxid(b, STORE_TRUNCATE, E1 + 8), 0);
    put_range(b, E2 + 1, E2 + 2);
}

Test(store_log, truncate_append_crash_keeps_what_was_appended)
{
    bench_in_child(&bench, truncate_and_append);
    bench_open(&bench);
    expect_log(&bench, E1 + 8, E2 + 1, E2 + 2);
    cr_assert_eq(store_durable(bench.store)->epoch_ends[0], E1 + 8);
}

Test(store_log, an_empty_batch_follows_the_last_real_one)
{
    struct store_stats before;
    struct store_stats after;

    bench_open(&bench);
    put(&bench, E1 + 1);
    store_stats(bench.store, &before);
    cr_assert_eq(store_idle(bench.store), 0);
    store_stats(bench.store, &after);
    cr_assert_geq(after.bytes_written, before.bytes_written + 48);
    store_stats(bench.store, &before);
    cr_assert_eq(store_idle(bench.store), 0);
    store_stats(bench.store, &after);
    cr_assert_eq(after.bytes_written, before.bytes_written, "one is enough");
}

/* ZK-2332: a crash after a segment was made and before its first batch. */
static void empty_segment(struct bench *b)
{
    char path[512];
    int fd;

    bench_open(b);
    put_range(b, E1 + 1, E1 + 3);
    (void)snprintf(path, sizeof(path), "%s/log.1.100000004", b->dir);
    fd = open(path, O_CREAT | O_RDWR, 0600);
    cr_assert_eq(ftruncate(fd, 1 << 20), 0);
    (void)close(fd);
}

Test(store_log, an_empty_last_segment_is_no_damage)
{
    bench_in_child(&bench, empty_segment);
    bench_open(&bench);
    expect_log(&bench, 0, E1 + 1, E1 + 3);
    put(&bench, E1 + 4);
    bench_close(&bench);
    bench_open(&bench);
    expect_log(&bench, 0, E1 + 1, E1 + 4);
}

Test(store_log, a_hundred_batches_of_one_call_are_one_sync)
{
    struct store_stats before;
    struct store_stats after;

    bench_open(&bench);
    put(&bench, E1 + 1);
    store_stats(bench.store, &before);
    put_range(&bench, E1 + 2, E1 + 101);
    store_stats(bench.store, &after);
    cr_assert_eq(after.syncs, before.syncs + 1);
}

static size_t read_some(zxid_t *after, bool *last)
{
    struct store_op op = {.type = STORE_READ_LOG, .zxid = *after};
    struct store_result result;
    struct slice list;
    struct slice payload;
    zxid_t zxid;
    size_t count = 0;

    op.size_max = 1000;
    store_run(bench.store, &op, 1, &result);
    cr_assert_eq(result.err, 0, "%s", store_failure(bench.store));
    list = blob_bytes(result.payload);
    while (record_next_log(&list, &zxid, &payload) == 0) {
        cr_assert_eq(zxid, *after + 1);
        *after = zxid;
        count++;
    }
    *last = result.last;
    blob_unref(result.payload);
    return count;
}

/* Each read goes on where one ended before, whatever happened to the log. */
Test(store_log, readers_go_on_while_the_log_changes)
{
    zxid_t slow = E1;
    zxid_t fast = E1;
    bool last = false;

    bench_open(&bench);
    put_range(&bench, E1 + 1, E1 + 500);
    for (int i = 0; i < 5; i++) {
        cr_assert_gt(read_some(&slow, &last), 0);
    }
    while (!last) {
        (void)read_some(&fast, &last);
    }
    cr_assert_eq(fast, E1 + 500);
    cr_assert_eq(read_some(&fast, &last), 0, "at the end");
    put_range(&bench, E1 + 501, E1 + 600);
    cr_assert_gt(read_some(&fast, &last), 0);
    /* Others stand now where both have read. */
    cr_assert_eq(run_zxid(&bench, STORE_TRUNCATE, E1 + 450), 0);
    fast = E1 + 450;
    cr_assert_eq(read_some(&fast, &last), 0);
    cr_assert(last);
    put_sized(&bench, E1 + 451, 300);
    put_sized(&bench, E1 + 452, 300);
    cr_assert_eq(read_some(&fast, &last), 2);
    last = false;
    while (!last) {
        (void)read_some(&slow, &last);
    }
    cr_assert_eq(slow, E1 + 452);
}
