#include "store_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
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

TestSuite(store_checkpoint, .init = start, .fini = stop);

#define E1 (UINT64_C(1) << 32)

Test(store_checkpoint, is_read_back_in_chunks)
{
    zxid_t zxid;

    bench_open(&bench);
    cr_assert_eq(read_checkpoint(&bench, 1, 100, &zxid), 0);
    cr_assert_eq(zxid, 0);
    put_range(&bench, E1 + 1, E1 + 9);
    cr_assert_eq(checkpoint(&bench, E1 + 5, 1000), 0);
    cr_assert_eq(read_checkpoint(&bench, 1, 100, &zxid), 1000);
    cr_assert_eq(zxid, E1 + 5);
    bench_close(&bench);
    bench_open(&bench);
    cr_assert_eq(store_durable(bench.store)->zxid_checkpoint, E1 + 5);
    cr_assert_eq(store_durable(bench.store)->zxid_committed, E1 + 5);
    cr_assert_eq(read_checkpoint(&bench, 1, 1 << 20, &zxid), 1000);
}

Test(store_checkpoint, later_ones_change_and_delete)
{
    struct buf list = {0};
    zxid_t zxid;

    bench_open(&bench);
    put_range(&bench, E1 + 1, E1 + 9);
    cr_assert_eq(checkpoint(&bench, E1 + 5, 10), 0);
    record_delete_znode(&list, SLICE_LITERAL("/000003"));
    record_put_marker(&list, &(struct marker_record){.zxid = E1 + 6,
                                                     .znode_count = 9,
                                                     .session_count = 1});
    cr_assert_eq(run_list(&bench, STORE_CHECKPOINT, E1 + 6, &list), 0);
    cr_assert_eq(read_checkpoint(&bench, 2, 100, &zxid), 9);
    bench_close(&bench);
    cr_assert_eq(verify(&bench), 0, "%s", bench.error);
}

Test(store_checkpoint, without_its_marker_is_refused)
{
    struct buf list = {0};

    bench_open(&bench);
    put_range(&bench, E1 + 1, E1 + 9);
    record_delete_znode(&list, SLICE_LITERAL("/a"));
    cr_assert_eq(run_list(&bench, STORE_CHECKPOINT, E1 + 6, &list),
                 ERR_CORRUPT);
    buf_append_text(&list, "no list at all");
    cr_assert_eq(run_list(&bench, STORE_CHECKPOINT, E1 + 6, &list),
                 ERR_CORRUPT);
}

/* A reader sees one moment, whatever is written while it reads. */
Test(store_checkpoint, a_reader_sees_one_moment)
{
    struct store_op op = {.type = STORE_READ_SNAP, .reader_id = 3};
    struct store_result result;
    unsigned count = 0;
    bool last = false;

    op.size_max = 200;
    bench_open(&bench);
    put_range(&bench, E1 + 1, E1 + 9);
    cr_assert_eq(checkpoint(&bench, E1 + 5, 100), 0);
    for (int i = 0; !last; i++) {
        struct record_entry entry;
        struct slice list;

        store_run(bench.store, &op, 1, &result);
        cr_assert_eq(result.err, 0);
        cr_assert_eq(result.zxid, E1 + 5);
        list = blob_bytes(result.payload);
        while (record_next(&list, &entry) == 0) {
            count += entry.key.ptr[0] == 'n';
        }
        last = result.last;
        blob_unref(result.payload);
        if (i == 0) {
            cr_assert_eq(checkpoint(&bench, E1 + 6, 200), 0);
        }
    }
    cr_assert_eq(count, 100);
}

Test(store_checkpoint, a_reader_can_be_closed)
{
    struct store_op op = {.type = STORE_READ_SNAP, .reader_id = 3};
    struct store_result result;
    zxid_t zxid;

    op.size_max = 200;
    bench_open(&bench);
    put_range(&bench, E1 + 1, E1 + 9);
    cr_assert_eq(checkpoint(&bench, E1 + 5, 100), 0);
    store_run(bench.store, &op, 1, &result);
    cr_assert_not(result.last);
    blob_unref(result.payload);
    op.type = STORE_READ_CLOSE;
    store_run(bench.store, &op, 1, &result);
    cr_assert_eq(result.err, 0);
    store_run(bench.store, &op, 1, &result);
    cr_assert_eq(result.err, 0, "closing twice is fine");
    cr_assert_eq(read_checkpoint(&bench, 3, 200, &zxid), 100);
    op.type = STORE_READ_SNAP;
    store_run(bench.store, &op, 1, &result);
    blob_unref(result.payload); /* left open: the store's end closes it */
}

static void receive(struct bench *b, unsigned steps)
{
    struct buf list = {0};
    struct buf rest = {0};

    if (steps > 0) {
        cr_assert_eq(run_zxid(b, STORE_SNAP_BEGIN, 0), 0);
    }
    if (steps > 1) {
        record_put_marker(&list, &(struct marker_record){.zxid = 2 * E1 + 77,
                                                         .znode_count = 50,
                                                         .session_count = 1});
        cr_assert_eq(run_list(b, STORE_SNAP_CHUNK, 0, &list), 0);
    }
    if (steps > 2) {
        checkpoint_list(&rest, 2 * E1 + 77, 50);
        cr_assert_eq(run_list(b, STORE_SNAP_CHUNK, 0, &rest), 0);
    }
    if (steps > 3) {
        cr_assert_eq(run_zxid(b, STORE_SNAP_END, 2 * E1 + 77), 0);
    }
}

static void populate(struct bench *b)
{
    bench_open(b);
    put_range(b, E1 + 1, E1 + 9);
    cr_assert_eq(checkpoint(b, E1 + 5, 100), 0);
}

static void expect_old(struct bench *b)
{
    zxid_t zxid;

    cr_assert_eq(read_checkpoint(b, 1, 1000, &zxid), 100);
    cr_assert_eq(zxid, E1 + 5);
    expect_log(b, E1 + 5, E1 + 6, E1 + 9);
}

static void expect_new(struct bench *b)
{
    zxid_t zxid;

    cr_assert_eq(read_checkpoint(b, 1, 1000, &zxid), 50);
    cr_assert_eq(zxid, 2 * E1 + 77);
    cr_assert_eq(store_durable(b->store)->zxid_last, 0);
}

Test(store_checkpoint, a_received_snapshot_takes_over_at_its_end)
{
    char name[256];

    populate(&bench);
    receive(&bench, 3);
    expect_old(&bench);
    receive(&bench, 4);
    cr_assert_eq(read_checkpoint(&bench, 9, 1000, &(zxid_t){0}), 50);
    expect_log(&bench, 2 * E1 + 77, 0, 0);
    put_range(&bench, 2 * E1 + 78, 2 * E1 + 90);
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(store_idle(bench.store), 0);
    }
    cr_assert_not(find_file(&bench, "", "log.1.", "", name), "%s", name);
    cr_assert_not(has_file(&bench, "checkpoint"));
    cr_assert_not(has_file(&bench, "checkpoint.2")); /* given up */
    cr_assert(has_file(&bench, "checkpoint.3"));
    bench_close(&bench);
    cr_assert_eq(verify(&bench), 0, "%s", bench.error);
    bench_open(&bench);
    expect_log(&bench, 2 * E1 + 77, 2 * E1 + 78, 2 * E1 + 90);
    cr_assert_eq(read_checkpoint(&bench, 9, 1000, &(zxid_t){0}), 50);
}

static unsigned crash_step;

static void receive_and_crash(struct bench *b)
{
    populate(b);
    receive(b, crash_step);
}

Test(store_checkpoint, an_interrupted_transfer_changes_nothing)
{
    for (crash_step = 0; crash_step <= 4; crash_step++) {
        bench_in_child(&bench, receive_and_crash);
        bench_open(&bench);
        if (crash_step < 4) {
            expect_old(&bench);
        } else {
            expect_new(&bench);
        }
        for (int i = 0; i < 3; i++) {
            cr_assert_eq(store_idle(bench.store), 0);
        }
        receive(&bench, 4);
        bench_close(&bench);
        bench_open(&bench);
        expect_new(&bench);
        stop();
        start();
    }
}

Test(store_checkpoint, a_snapshot_without_its_marker_does_not_take_over)
{
    struct buf list = {0};

    populate(&bench);
    cr_assert_eq(run_zxid(&bench, STORE_SNAP_BEGIN, 0), 0);
    checkpoint_list(&list, 2 * E1 + 1, 3);
    cr_assert_eq(run_list(&bench, STORE_SNAP_CHUNK, 0, &list), 0);
    cr_assert_eq(run_zxid(&bench, STORE_SNAP_END, 2 * E1 + 2), ERR_CORRUPT);
    expect_old(&bench);
}

Test(store_checkpoint, many_changes_survive_compaction_and_restart)
{
    zxid_t zxid;

    bench_open(&bench);
    put_range(&bench, E1 + 1, E1 + 100);
    for (unsigned i = 1; i <= 60; i++) {
        cr_assert_eq(checkpoint(&bench, E1 + i, 4000), 0);
    }
    bench_close(&bench);
    cr_assert_eq(verify(&bench), 0, "%s", bench.error);
    bench_open(&bench);
    cr_assert_eq(read_checkpoint(&bench, 1, 1 << 18, &zxid), 4000);
    cr_assert_eq(zxid, E1 + 60);
}

Test(store_checkpoint, idle_gives_leveldbs_memory_back)
{
    zxid_t zxid;

    populate(&bench);
    for (int i = 0; i < 25; i++) {
        cr_assert_eq(store_idle(bench.store), 0);
    }
    cr_assert_eq(read_checkpoint(&bench, 1, 1 << 18, &zxid), 100);
    cr_assert_eq(checkpoint(&bench, E1 + 7, 120), 0);
    cr_assert_eq(read_checkpoint(&bench, 1, 1 << 18, &zxid), 120);
}

/* What a compaction leaves that the power, or the disk's end, broke off. */
Test(store_checkpoint, tables_of_no_version_are_removed)
{
    char path[512];
    zxid_t zxid;
    int fd;

    populate(&bench);
    bench_close(&bench);
    (void)snprintf(path, sizeof(path), "%s/checkpoint/000999.ldb", bench.dir);
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    cr_assert_eq(write(fd, "half a table", 12), 12);
    (void)close(fd);
    cr_assert_eq(verify(&bench), 0, "%s", bench.error);
    bench_open(&bench);
    cr_assert_not(has_file(&bench, "checkpoint/000999.ldb"));
    cr_assert_eq(read_checkpoint(&bench, 1, 1 << 18, &zxid), 100);
}
