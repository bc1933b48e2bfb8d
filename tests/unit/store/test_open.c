#include "store_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/log.h"

static struct bench bench;

static void start(void)
{
    bench_init(&bench);
}

static void stop(void)
{
    bench_finish(&bench);
}

TestSuite(store_open, .init = start, .fini = stop);

#define E1 (UINT64_C(1) << 32)

Test(store_open, an_empty_directory_is_a_new_one)
{
    const struct durable_state *durable;

    bench_open(&bench);
    durable = store_durable(bench.store);
    cr_assert_eq(durable->epoch_accepted, 0);
    cr_assert_eq(durable->zxid_checkpoint, 0);
    cr_assert_eq(durable->zxid_last, 0);
    cr_assert_eq(durable->zxid_committed, 0);
    cr_assert_not(durable->recovering);
    cr_assert(has_file(&bench, "state.0"));
    cr_assert(has_file(&bench, "state.1"));
}

Test(store_open, directories_are_made)
{
    char dir[512];

    (void)snprintf(dir, sizeof(dir), "%s/a/b", bench.dir);
    bench.options.log_dir = dir;
    bench_open(&bench);
    put(&bench, E1 + 1);
    cr_assert(has_file(&bench, "a/b/log.1.100000001"));
    cr_assert(has_file(&bench, "a/b/lock"));
}

Test(store_open, a_second_instance_is_told_the_pid)
{
    struct bench second = bench;
    char pid[32];

    bench_open(&bench);
    cr_assert_eq(bench_try_open(&second), ERR_BUSY);
    cr_assert_null(second.store);
    (void)snprintf(pid, sizeof(pid), "pid %d", (int)getpid());
    cr_assert_not_null(strstr(second.error, pid), "%s", second.error);
    cr_assert_eq(verify(&second), ERR_BUSY);
    bench_close(&bench);
    cr_assert_eq(bench_try_open(&second), 0);
    store_close(second.store);
}

Test(store_open, epochs_survive)
{
    const struct durable_state *durable;

    bench_open(&bench);
    epochs(&bench, 5, 4);
    epochs(&bench, 6, 6);
    bench_close(&bench);
    bench_open(&bench);
    durable = store_durable(bench.store);
    cr_assert_eq(durable->epoch_accepted, 6);
    cr_assert_eq(durable->epoch_current, 6);
    cr_assert_eq(durable->cluster_id[1], 2);
}

/* Each copy alone is enough, whatever happened to the other. */
Test(store_open, one_good_state_file_is_enough)
{
    static const char *const names[] = {"state.0", "state.1"};

    log_set_level(LOG_ERROR); /* each repair is a warning */
    bench_open(&bench);
    epochs(&bench, 6, 6);
    put(&bench, E1 + 1);
    bench_close(&bench);
    for (int i = 0; i < 2; i++) {
        for (uint64_t offset = 0; offset < 128; offset++) {
            file_flip(&bench, names[i], offset);
            bench_open(&bench);
            cr_assert_eq(store_durable(bench.store)->epoch_accepted, 6);
            bench_close(&bench);
            cr_assert_eq(verify(&bench), 0, "repaired: %s", bench.error);
        }
        file_zero(&bench, names[i], 0, 128);
        bench_open(&bench);
        bench_close(&bench);
    }
}

Test(store_open, verify_names_a_bad_state_file)
{
    bench_open(&bench);
    epochs(&bench, 6, 6);
    bench_close(&bench);
    file_flip(&bench, "state.1", 30);
    cr_assert_eq(verify(&bench), ERR_CORRUPT);
    cr_assert_not_null(strstr(bench.error, "state.1 at offset"));
}

Test(store_open, no_good_state_file_is_damage)
{
    bench_open(&bench);
    epochs(&bench, 6, 6);
    bench_close(&bench);
    file_flip(&bench, "state.0", 100);
    file_flip(&bench, "state.1", 3);
    cr_assert_eq(bench_try_open(&bench), ERR_CORRUPT);
    cr_assert_not_null(strstr(bench.error, "state.0 at offset 0"));
}

Test(store_open, data_without_state_files_are_damage)
{
    char path[512];

    bench_open(&bench);
    put(&bench, E1 + 1);
    bench_close(&bench);
    for (int i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof(path), "%s/state.%d", bench.dir, i);
        cr_assert_eq(unlink(path), 0);
    }
    cr_assert_eq(bench_try_open(&bench), ERR_CORRUPT);
    cr_assert_not_null(strstr(bench.error, "state.0"));
}

Test(store_open, a_newer_format_is_refused)
{
    uint8_t bytes[128];
    char path[512];
    int fd;

    bench_open(&bench);
    bench_close(&bench);
    (void)snprintf(path, sizeof(path), "%s/state.1", bench.dir);
    fd = open(path, O_RDWR);
    cr_assert_eq(pread(fd, bytes, sizeof(bytes), 0), 128);
    bytes_store32(bytes + 8, 2);
    bytes_store32(bytes + 124, crc32c(0, slice_make(bytes, 124)));
    cr_assert_eq(pwrite(fd, bytes, sizeof(bytes), 0), 128);
    (void)close(fd);
    cr_assert_eq(bench_try_open(&bench), ERR_INVALID);
    cr_assert_not_null(strstr(bench.error, "newer version"));
}

Test(store_open, verify_changes_nothing)
{
    uint64_t before;

    bench_open(&bench);
    put_range(&bench, E1 + 1, E1 + 100);
    cr_assert_eq(checkpoint(&bench, E1 + 50, 500), 0);
    put_range(&bench, E1 + 101, E1 + 200);
    bench_close(&bench);
    before = tree_hash(bench.dir);
    cr_assert_eq(verify(&bench), 0, "%s", bench.error);
    cr_assert_eq(tree_hash(bench.dir), before);
}

static void leave_torn(struct bench *b)
{
    bench_open(b);
    put_range(b, E1 + 1, E1 + 100);
    cr_assert_eq(checkpoint(b, E1 + 50, 500), 0);
    put_range(b, E1 + 101, E1 + 200);
}

Test(store_open, reading_only_changes_nothing_either)
{
    uint64_t before;
    zxid_t zxid;

    bench_in_child(&bench, leave_torn);
    file_flip(&bench, "log.1.100000001", 8800); /* in the last batch */
    before = tree_hash(bench.dir);
    cr_assert_eq(verify(&bench), 0, "%s", bench.error);
    bench.options.read_only = true;
    bench_open(&bench);
    cr_assert_eq(read_checkpoint(&bench, 1, 1000, &zxid), 500);
    cr_assert_eq(zxid, E1 + 50);
    bench_close(&bench);
    cr_assert_eq(tree_hash(bench.dir), before);
    bench.options.read_only = false;
    bench_open(&bench);
}

Test(store_open, a_read_only_look_at_nothing_finds_nothing)
{
    zxid_t zxid;

    bench.options.read_only = true;
    bench_open(&bench);
    cr_assert_eq(read_checkpoint(&bench, 1, 1000, &zxid), 0);
    bench_close(&bench);
    bench.options.data_dir = "/nonexistent/corral";
    cr_assert_eq(bench_try_open(&bench), ERR_IO);
    cr_assert_not_null(strstr(bench.error, "/nonexistent/corral"));
}

Test(store_open, leftovers_are_harmless)
{
    static const char *const names[] = {"log.next", "log.7.5", "log.junk",
                                        "reserve"};
    char path[512];

    bench_open(&bench);
    put(&bench, E1 + 1);
    bench_close(&bench);
    for (size_t i = 0; i < 4; i++) {
        int fd;

        (void)snprintf(path, sizeof(path), "%s/%s", bench.dir, names[i]);
        fd = open(path, O_CREAT | O_RDWR, 0600);
        cr_assert_eq(write(fd, "garbage", 7), 7);
        (void)close(fd);
    }
    (void)snprintf(path, sizeof(path), "%s/checkpoint.copy", bench.dir);
    cr_assert_eq(mkdir(path, 0700), 0);
    bench_open(&bench);
    cr_assert_eq(store_idle(bench.store), 0);
    cr_assert_not(has_file(&bench, "log.7.5"));
    cr_assert(has_file(&bench, "log.junk"), "not ours to remove");
    cr_assert_not(has_file(&bench, "reserve"));
    cr_assert_not(has_file(&bench, "checkpoint.copy"));
    expect_log(&bench, 0, E1 + 1, E1 + 1);
}

Test(store_open, the_reserve_is_kept_when_idle)
{
    struct store_space space;

    bench.options.reserve_size = 1 << 20;
    bench_open(&bench);
    cr_assert_not(has_file(&bench, "reserve"));
    cr_assert_eq(store_idle(bench.store), 0);
    cr_assert_eq(file_length(&bench, "reserve"), 1 << 20);
    store_space(bench.store, &space);
    cr_assert_not(space.low);
    cr_assert_gt(space.free_bytes, 1 << 20);
    bench_close(&bench);
    bench.options.reserve_size = 2 << 20;
    bench_open(&bench);
    cr_assert_eq(store_idle(bench.store), 0);
    cr_assert_eq(file_length(&bench, "reserve"), 2 << 20);
}

Test(store_open, a_reserve_that_cannot_be_kept_makes_the_disk_low)
{
    struct store_space space;

    bench.options.reserve_size = UINT64_C(1) << 60;
    bench_open(&bench);
    cr_assert_eq(store_idle(bench.store), 0);
    store_space(bench.store, &space);
    cr_assert(space.low);
}

Test(store_open, a_failed_write_is_told_with_operation_file_and_reason)
{
    struct store_op op = {.type = STORE_APPEND, .zxid = E1 + 1};
    struct store_result result;
    char path[512];

    bench_open(&bench);
    /* A directory where the next segment belongs. */
    (void)snprintf(path, sizeof(path), "%s/log.1.100000001", bench.dir);
    cr_assert_eq(mkdir(path, 0700), 0);
    op.payload = blob_copy(SLICE_LITERAL("x"));
    store_run(bench.store, &op, 1, &result);
    cr_assert_eq(result.err, ERR_IO);
    cr_assert_not_null(strstr(store_failure(bench.store), "rename"));
    cr_assert_not_null(strstr(store_failure(bench.store), "directory"));
    store_run(bench.store, &op, 1, &result);
    cr_assert_eq(result.err, ERR_IO, "never tried again");
    blob_unref(op.payload);
}

/* ---- whose they are */

static void as_server(uint64_t id)
{
    bench.options.server_id = id;
    bench_open(&bench);
    bench_close(&bench);
}

static void expect_not_of_two(void)
{
    uint64_t before = tree_hash(bench.dir);

    bench.options.server_id = 2;
    cr_assert_eq(bench_try_open(&bench), ERR_INVALID);
    cr_assert_not_null(
        strstr(bench.error, "the data of server 1, and myid says 2"), "%s",
        bench.error);
    cr_assert_eq(tree_hash(bench.dir), before);
}

Test(store_open, another_servers_data_are_refused)
{
    as_server(1);
    expect_not_of_two();
    bench.options.server_id = 1;
    bench_open(&bench);
    epochs(&bench, 5, 4);
    put(&bench, E1 + 1);
    bench_close(&bench);
    expect_not_of_two();
    as_server(1);
}

Test(store_open, data_of_nobody_are_the_firsts)
{
    as_server(0);
    as_server(1);
    expect_not_of_two();
    as_server(0); /* alone nobody was promised anything */
    expect_not_of_two();
}

Test(store_open, another_servers_damaged_data_are_not_set_aside)
{
    bench.options.server_id = 1;
    bench_open(&bench);
    put(&bench, E1 + 1);
    bench_close(&bench);
    file_flip(&bench, "log.1.100000001", 40);
    bench.options.set_aside = true;
    expect_not_of_two();
    as_server(1);
    cr_assert(has_file(&bench, "damaged.1"));
    expect_not_of_two();
}
