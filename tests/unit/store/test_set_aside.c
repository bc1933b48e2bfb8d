/* Damage in an ensemble: set aside, and a beginning as one that recovers. */
#include "store_test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"

#define E5 (UINT64_C(5) << 32)
#define SEGMENT "log.1.500000001"

static struct bench bench;
static char saved[300];

static void start(void)
{
    bench_init(&bench);
    (void)snprintf(saved, sizeof(saved), "%s.saved", bench.dir);
    bench.options.sync = false; /* hundreds of starts, and no power cut */
    bench.options.set_aside = true;
    log_set_level(LOG_ERROR); /* each time is a warning */
}

static void stop(void)
{
    struct bench copy = bench;

    copy.store = NULL;
    (void)snprintf(copy.dir, sizeof(copy.dir), "%.250s", saved);
    bench_finish(&copy);
    bench_finish(&bench);
}

TestSuite(store_set_aside, .init = start, .fini = stop, .timeout = 300);

static void fill(struct bench *b)
{
    bench_open(b);
    epochs(b, 5, 5);
    put_range(b, E5 + 1, E5 + 20);
    cr_assert_eq(checkpoint(b, E5 + 10, 100), 0);
    put_range(b, E5 + 21, E5 + 40);
}

/* Stopped cleanly, and with a table of LevelDB. */
static void fill_and_stop(void)
{
    fill(&bench);
    bench_close(&bench);
    bench_open(&bench);
    bench_close(&bench);
}

/* Empty, and known to be: no vote can come of it. */
static void expect_recovering(uint32_t accepted)
{
    const struct durable_state *durable = store_durable(bench.store);
    zxid_t zxid;

    cr_assert(durable->recovering);
    cr_assert_eq(durable->epoch_accepted, accepted);
    cr_assert_eq(durable->epoch_current, 0);
    cr_assert_eq(durable->zxid_last, 0);
    cr_assert_eq(durable->zxid_checkpoint, 0);
    cr_assert_eq(durable->zxid_committed, 0);
    cr_assert_eq(read_checkpoint(&bench, 1, 4096, &zxid), 0);
    expect_log(&bench, 0, 0, 0);
}

static void expect_whole(void)
{
    zxid_t zxid;

    cr_assert_not(store_durable(bench.store)->recovering);
    cr_assert_eq(store_durable(bench.store)->epoch_accepted, 5);
    cr_assert_eq(store_durable(bench.store)->epoch_current, 5);
    cr_assert_eq(read_checkpoint(&bench, 1, 4096, &zxid), 100);
    cr_assert_eq(zxid, E5 + 10);
    expect_log(&bench, 0, E5 + 1, E5 + 40);
}

/* A whole copy from a leader, and its epoch. */
static void receive_copy(void)
{
    struct buf list = {0};

    cr_assert_eq(run_zxid(&bench, STORE_SNAP_BEGIN, E5 + 50), 0);
    checkpoint_list(&list, E5 + 50, 70);
    cr_assert_eq(run_list(&bench, STORE_SNAP_CHUNK, E5 + 50, &list), 0);
    cr_assert_eq(run_zxid(&bench, STORE_SNAP_END, E5 + 50), 0);
    put_range(&bench, E5 + 51, E5 + 60);
}

Test(store_set_aside, damage_is_kept_and_the_promise_is_not_forgotten)
{
    fill_and_stop();
    file_flip(&bench, SEGMENT, 60);
    bench_open(&bench);
    expect_recovering(5);
    cr_assert_eq(store_durable(bench.store)->cluster_id[1], 2);
    cr_assert(has_file(&bench, "damaged.1/" SEGMENT));
    cr_assert(has_file(&bench, "damaged.1/checkpoint/CURRENT"));
    cr_assert(has_file(&bench, "damaged.1/state.0"));
    cr_assert_not(has_file(&bench, SEGMENT));
}

Test(store_set_aside, it_recovers_until_it_takes_up_an_epoch)
{
    zxid_t zxid;

    fill_and_stop();
    file_flip(&bench, SEGMENT, 60);
    bench_open(&bench);
    bench_close(&bench);
    bench_open(&bench);
    expect_recovering(5);
    epochs(&bench, 6, 0); /* a cluster id, say, but nothing taken up */
    receive_copy();
    bench_close(&bench);
    bench_open(&bench);
    cr_assert(store_durable(bench.store)->recovering);
    epochs(&bench, 7, 7);
    bench_close(&bench);
    bench_open(&bench);
    cr_assert_not(store_durable(bench.store)->recovering);
    cr_assert_eq(store_durable(bench.store)->epoch_current, 7);
    cr_assert_eq(read_checkpoint(&bench, 1, 4096, &zxid), 70);
    cr_assert_eq(zxid, E5 + 50);
    expect_log(&bench, E5 + 50, E5 + 51, E5 + 60);
}

Test(store_set_aside, without_state_files_nothing_is_known_of_promises)
{
    fill_and_stop();
    file_flip(&bench, "state.0", 50);
    file_flip(&bench, "state.1", 50);
    bench_open(&bench);
    expect_recovering(0);
}

Test(store_set_aside, a_lost_log_beside_a_checkpoint_is_damage)
{
    char path[512];

    fill_and_stop();
    (void)snprintf(path, sizeof(path), "%s/%s", bench.dir, SEGMENT);
    cr_assert_eq(unlink(path), 0);
    bench_open(&bench);
    expect_recovering(5);
}

Test(store_set_aside, an_empty_directory_is_a_new_one)
{
    bench_open(&bench);
    cr_assert_not(store_durable(bench.store)->recovering);
    cr_assert_eq(store_durable(bench.store)->epoch_accepted, 0);
}

Test(store_set_aside, what_is_not_the_servers_own_stays)
{
    char path[512];
    int fd;

    fill_and_stop();
    (void)snprintf(path, sizeof(path), "%s/myid", bench.dir);
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    cr_assert_geq(fd, 0);
    (void)close(fd);
    file_flip(&bench, SEGMENT, 60);
    bench_open(&bench);
    expect_recovering(5);
    cr_assert(has_file(&bench, "myid"));
}

Test(store_set_aside, both_directories_keep_their_own)
{
    char log_dir[512];

    (void)snprintf(log_dir, sizeof(log_dir), "%s/logs", bench.dir);
    bench.options.log_dir = log_dir;
    fill_and_stop();
    file_flip(&bench, "logs/" SEGMENT, 60);
    bench_open(&bench);
    expect_recovering(5);
    cr_assert(has_file(&bench, "logs/damaged.1/" SEGMENT));
    cr_assert(has_file(&bench, "damaged.1/checkpoint/CURRENT"));
}

Test(store_set_aside, alone_it_stops_the_start)
{
    uint64_t before;

    fill_and_stop();
    file_flip(&bench, SEGMENT, 60);
    bench.options.set_aside = false;
    before = tree_hash(bench.dir);
    cr_assert_eq(bench_try_open(&bench), ERR_CORRUPT);
    cr_assert_eq(verify(&bench), ERR_CORRUPT);
    cr_assert_eq(tree_hash(bench.dir), before);
    bench.options.set_aside = true;
    bench.options.read_only = true;
    cr_assert_eq(bench_try_open(&bench), ERR_CORRUPT);
    cr_assert_eq(tree_hash(bench.dir), before);
}

Test(store_set_aside, three_are_kept)
{
    for (unsigned i = 1; i <= 5; i++) {
        char name[256];

        bench_open(&bench);
        put_range(&bench, E5 + 1, E5 + 5);
        cr_assert_eq(checkpoint(&bench, E5 + 3, 10), 0);
        bench_close(&bench);
        cr_assert(find_file(&bench, "", "log.", "1", name));
        file_flip(&bench, name, 60);
    }
    bench_open(&bench);
    cr_assert_not(has_file(&bench, "damaged.1"));
    cr_assert_not(has_file(&bench, "damaged.2"));
    cr_assert(has_file(&bench, "damaged.3/checkpoint"));
    cr_assert(has_file(&bench, "damaged.5/checkpoint"));
}

/* LevelDB's files are read long after they were looked at. */
Test(store_set_aside, damage_that_is_read_while_serving_is_set_aside_next_time)
{
    struct store_op op = {.type = STORE_READ_SNAP, .reader_id = 1};
    struct store_result result;
    char name[256];

    fill_and_stop();
    bench_open(&bench);
    cr_assert(find_file(&bench, "checkpoint", "", ".ldb", name));
    file_flip(&bench, name, 300);
    op.size_max = 1 << 20;
    store_run(bench.store, &op, 1, &result);
    cr_assert_eq(result.err, ERR_CORRUPT);
    blob_unref(result.payload);
    bench_close(&bench);
    file_flip(&bench, name, 300); /* a fault that comes and goes */
    bench_open(&bench);
    expect_recovering(5);
    cr_assert(has_file(&bench, "damaged.1/checkpoint/CURRENT"));
}

/* The bytes are as they were written, and what they say cannot be. */
Test(store_set_aside, damage_that_only_the_tree_tells_is_set_aside_next_time)
{
    fill_and_stop();
    bench_open(&bench);
    cr_assert_eq(store_mark_damaged(bench.store), 0);
    put_range(&bench, E5 + 41, E5 + 42);
    epochs(&bench, 6, 6);
    bench_close(&bench);
    bench_open(&bench);
    expect_recovering(6);
    cr_assert(has_file(&bench, "damaged.1/" SEGMENT));
    cr_assert(has_file(&bench, "damaged.1/checkpoint/CURRENT"));
}

static void bring_back(const char *name)
{
    char from[512];
    char to[512];

    (void)snprintf(from, sizeof(from), "%s/damaged.1/%s", bench.dir, name);
    (void)snprintf(to, sizeof(to), "%s/%s", bench.dir, name);
    cr_assert_eq(rename(from, to), 0, "%s", name);
}

/* Whoever finds that nothing was wrong with them has the epochs, too. */
Test(store_set_aside, what_was_marked_while_serving_can_be_brought_back)
{
    char from[512];
    char to[512];

    fill_and_stop();
    bench_open(&bench);
    cr_assert_eq(store_mark_damaged(bench.store), 0);
    bench_close(&bench);
    bench_open(&bench);
    expect_recovering(5);
    bench_close(&bench);
    (void)snprintf(from, sizeof(from), "%s/checkpoint", bench.dir);
    (void)snprintf(to, sizeof(to), "%s/empty", bench.dir);
    cr_assert_eq(rename(from, to), 0);
    bring_back("state.0");
    bring_back("state.1");
    bring_back("checkpoint");
    bring_back(SEGMENT);
    bench_open(&bench);
    expect_whole();
}

Test(store_set_aside, alone_nothing_is_marked)
{
    bench.options.set_aside = false;
    fill_and_stop();
    bench_open(&bench);
    cr_assert_eq(store_mark_damaged(bench.store), 0);
    bench_close(&bench);
    bench_open(&bench);
    expect_whole();
}

/* ---- every byte ---- */

static void save(void)
{
    file_copy_all(bench.dir, saved);
}

static void restore(void)
{
    file_copy_all(saved, bench.dir);
}

/* Recovering or right; a copy goes over either. True: recovering. */
static bool expect_no_damage_served(const char *name, uint64_t at)
{
    bool recovering;

    cr_assert_eq(bench_try_open(&bench), 0, "%s %lu: %s", name, at,
                 bench.error);
    recovering = store_durable(bench.store)->recovering;
    if (recovering) {
        expect_recovering(store_durable(bench.store)->epoch_accepted);
        cr_assert(has_file(&bench, "damaged.1"));
    } else {
        expect_whole();
    }
    receive_copy();
    bench_close(&bench);
    return recovering;
}

static void flip_each(const char *sub, const char *prefix, const char *suffix,
                      uint64_t length, unsigned step, bool always)
{
    char name[256];
    unsigned recovering = 0;
    unsigned count = 0;

    cr_assert(find_file(&bench, sub, prefix, suffix, name));
    length = length == 0 ? file_length(&bench, name) : length;
    save();
    for (uint64_t at = 0; at < length; at += step) {
        restore();
        file_flip(&bench, name, at);
        recovering += expect_no_damage_served(name, at) ? 1 : 0;
        count++;
    }
    cr_assert(!always || recovering == count, "%s: %u of %u", name, recovering,
              count);
}

Test(store_set_aside, no_flipped_bit_of_the_log_is_served)
{
    fill_and_stop();
    flip_each("", SEGMENT, "", 1400, 23, true); /* all in use */
}

Test(store_set_aside, no_flipped_bit_of_a_state_file_is_served)
{
    fill_and_stop();
    flip_each("", "state.0", "", 0, 5, false);
}

Test(store_set_aside, no_flipped_bit_of_leveldbs_files_is_served)
{
    fill_and_stop();
    flip_each("checkpoint", "", ".ldb", 0, 131, true);
    restore();
    flip_each("checkpoint", "MANIFEST", "", 0, 7, true);
    restore();
    flip_each("checkpoint", "CURRENT", "", 0, 3, true);
}

/* ---- the power goes in the middle ---- */

/* Calls of these kinds until the process ends; 0: never. They stand before
 * libc's, for store/ in this program. */
static int calls_left;
static int renames_left = -1; /* then they fail; -1: never */

static void one_call(void)
{
    if (calls_left > 0 && --calls_left == 0) {
        _exit(77);
    }
}

int rename(const char *from, const char *to)
{
    int done;

    one_call();
    if (renames_left == 0) {
        errno = EIO;
        return -1;
    }
    renames_left -= renames_left > 0 ? 1 : 0;
    done = renameat(AT_FDCWD, from, AT_FDCWD, to);
    one_call();
    return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    off_t at = lseek(fd, 0, SEEK_CUR);
    ssize_t done;

    one_call();
    if (lseek(fd, offset, SEEK_SET) != offset) {
        return -1;
    }
    done = write(fd, bytes, calls_left == 1 ? size / 2 : size);
    (void)lseek(fd, at, SEEK_SET);
    one_call();
    return done;
}

/* 77: it ended at that call. */
static int open_and_end_at(int call)
{
    pid_t pid = fork();
    int status;

    cr_assert_geq(pid, 0);
    if (pid == 0) {
        calls_left = call;
        (void)bench_try_open(&bench);
        _exit(bench.store == NULL ? 1 : 0);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool kept_somewhere(const char *name)
{
    for (int i = 1; i <= 2; i++) {
        char path[256];

        (void)snprintf(path, sizeof(path), "damaged.%d/%s", i, name);
        if (has_file(&bench, path)) {
            return true;
        }
    }
    return false;
}

/* A supervisor starts it again and again: that makes nothing older. */
Test(store_set_aside, a_disk_that_lets_nothing_be_moved_loses_nothing)
{
    fill_and_stop();
    file_flip(&bench, SEGMENT, 60);
    renames_left = 1;
    for (int i = 0; i < 8; i++) {
        cr_assert_eq(bench_try_open(&bench), ERR_IO);
    }
    cr_assert_not(has_file(&bench, "damaged.3"));
    renames_left = -1;
    bench_open(&bench);
    expect_recovering(5);
    cr_assert(kept_somewhere(SEGMENT));
    cr_assert(kept_somewhere("checkpoint/CURRENT"));
}

static void end_at_every_call(uint32_t accepted)
{
    int status = 77;
    int call = 0;

    save();
    while (status == 77) {
        call++;
        restore();
        status = open_and_end_at(call);
        bench_open(&bench);
        expect_recovering(accepted);
        bench_close(&bench);
        cr_assert(kept_somewhere(SEGMENT), "%d", call);
        cr_assert(kept_somewhere("checkpoint/CURRENT"), "%d", call);
    }
    cr_assert_eq(status, 0);
    cr_assert_gt(call, 12);
}

Test(store_set_aside, it_may_end_anywhere_in_between)
{
    fill_and_stop();
    file_flip(&bench, SEGMENT, 60);
    end_at_every_call(5);
}

Test(store_set_aside, it_may_end_anywhere_without_state_files_too)
{
    fill_and_stop();
    file_flip(&bench, "state.0", 60);
    file_flip(&bench, "state.1", 60);
    end_at_every_call(0);
}
