#include "store_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/err.h"
#include "base/mem.h"

void bench_init(struct bench *bench)
{
    *bench = (struct bench){0};
    (void)snprintf(bench->dir, sizeof(bench->dir), "%s",
                   "/tmp/corral-store.XX"
                   "XX"
                   "XX");
    cr_assert_not_null(mkdtemp(bench->dir));
    bench->options = (struct store_options){
        .data_dir = bench->dir,
        .log_dir = bench->dir,
        .segment_size = 1 << 20,
        .sync = true,
    };
}

static void remove_tree(const char *path)
{
    struct dirent *entry;
    DIR *dir = opendir(path);

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char name[1024];

        if (strcmp(entry->d_name, ".") == 0 ||
            strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        (void)snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        if (unlink(name) != 0) {
            remove_tree(name);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    (void)rmdir(path);
}

void bench_finish(struct bench *bench)
{
    bench_close(bench);
    remove_tree(bench->dir);
}

int bench_try_open(struct bench *bench)
{
    bench->error[0] = '\0';
    return store_open(&bench->options, &bench->store, bench->error,
                      sizeof(bench->error));
}

int bench_open(struct bench *bench)
{
    int err = bench_try_open(bench);

    cr_assert_eq(err, 0, "%s", bench->error);
    return err;
}

void bench_close(struct bench *bench)
{
    store_close(bench->store);
    bench->store = NULL;
}

void bench_in_child(struct bench *bench, void (*body)(struct bench *bench))
{
    pid_t pid = fork();
    int status;

    cr_assert_geq(pid, 0);
    if (pid == 0) {
        body(bench);
        _exit(0);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static size_t record_text(zxid_t zxid, char *text)
{
    /* Lengths of all remainders by 8. */
    return (size_t)snprintf(text, 64, "record %llx%.*s",
                            (unsigned long long)zxid, (int)(zxid % 8),
                            "xxxxxxxx");
}

void put_range(struct bench *bench, zxid_t first, zxid_t last)
{
    size_t count = (size_t)(last - first + 1);
    struct store_op *ops = MEM_ARRAY(struct store_op, count);
    struct store_result *results = MEM_ARRAY(struct store_result, count);

    for (size_t i = 0; i < count; i++) {
        char text[64];
        size_t len = record_text(first + i, text);

        ops[i] = (struct store_op){
            .type = STORE_APPEND,
            .seq = ++bench->seq,
            .zxid = first + i,
            .zxid_committed = first - 1,
            .payload = blob_copy(slice_make(text, len)),
        };
    }
    store_run(bench->store, ops, count, results);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(results[i].err, 0, "%s", store_failure(bench->store));
        cr_assert_eq(results[i].seq, ops[i].seq);
        blob_unref(ops[i].payload);
    }
    mem_free(ops);
    mem_free(results);
}

void put(struct bench *bench, zxid_t zxid)
{
    put_range(bench, zxid, zxid);
}

void put_sized(struct bench *bench, zxid_t zxid, size_t size)
{
    uint8_t *bytes;
    struct store_op op = {.type = STORE_APPEND, .zxid = zxid, .seq = 1};
    struct store_result result;

    op.payload = blob_create(size, &bytes);
    memset(bytes, (int)(zxid & 0xff), size);
    store_run(bench->store, &op, 1, &result);
    cr_assert_eq(result.err, 0, "%s", store_failure(bench->store));
    blob_unref(op.payload);
}

int run_zxid(struct bench *bench, enum store_op_type type, zxid_t zxid)
{
    struct store_op op = {.type = type, .zxid = zxid, .seq = ++bench->seq};
    struct store_result result;

    store_run(bench->store, &op, 1, &result);
    cr_assert_eq(result.type, type);
    return result.err;
}

void epochs(struct bench *bench, uint32_t accepted, uint32_t current)
{
    struct store_op op = {
        .type = STORE_EPOCHS,
        .epoch_accepted = accepted,
        .epoch_current = current,
        .cluster_id = {1, 2, 3},
    };
    struct store_result result;

    store_run(bench->store, &op, 1, &result);
    cr_assert_eq(result.err, 0, "%s", store_failure(bench->store));
}

void checkpoint_list(struct buf *list, zxid_t zxid, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char path[32];
        struct znode_record record = {
            .data = SLICE_LITERAL("some data of a znode"),
            .czxid = zxid,
            .mzxid = zxid,
            .pzxid = zxid,
        };

        (void)snprintf(path, sizeof(path), "/%06u", i);
        record.path = slice_from_text(path);
        record_put_znode(list, &record);
    }
    record_put_session(list, &(struct session_record){.id = 7, .zxid = zxid});
    record_put_marker(list, &(struct marker_record){.zxid = zxid,
                                                    .znode_count = count,
                                                    .session_count = 1});
}

int run_list(struct bench *bench, enum store_op_type type, zxid_t zxid,
             struct buf *list)
{
    struct store_op op = {.type = type, .zxid = zxid, .seq = ++bench->seq};
    struct store_result result;

    op.payload = blob_copy(buf_bytes(list));
    buf_finish(list);
    store_run(bench->store, &op, 1, &result);
    blob_unref(op.payload);
    return result.err;
}

int checkpoint(struct bench *bench, zxid_t zxid, unsigned count)
{
    struct buf list = {0};

    checkpoint_list(&list, zxid, count);
    return run_list(bench, STORE_CHECKPOINT, zxid, &list);
}

void expect_log(struct bench *bench, zxid_t after, zxid_t from, zxid_t to)
{
    zxid_t next = from;
    zxid_t at = after;
    bool last = false;

    while (!last) {
        struct store_op op = {.type = STORE_READ_LOG, .zxid = at};
        struct store_result result;
        struct slice list;
        struct slice payload;
        zxid_t zxid;

        op.size_max = 4096;
        store_run(bench->store, &op, 1, &result);
        cr_assert_eq(result.err, 0, "%s", store_failure(bench->store));
        list = blob_bytes(result.payload);
        cr_assert(last || list.len > 0 || result.last);
        while (record_next_log(&list, &zxid, &payload) == 0) {
            char text[64];
            size_t len = record_text(zxid, text);

            cr_assert_neq(from, 0, "unexpected record %lx", zxid);
            cr_assert_eq(zxid, next, "%lx for %lx", zxid, next);
            if (payload.len < 64) {
                cr_assert(slice_equal(payload, slice_make(text, len)));
            }
            next++;
        }
        at = result.zxid;
        last = result.last;
        blob_unref(result.payload);
    }
    if (from != 0) {
        cr_assert_eq(next, to + 1, "ends before %lx, not at %lx", next, to);
    }
}

unsigned read_checkpoint(struct bench *bench, uint64_t reader,
                         uint32_t size_max, zxid_t *zxid)
{
    unsigned count = 0;
    bool last = false;

    while (!last) {
        struct store_op op = {
            .type = STORE_READ_SNAP, .reader_id = reader, .size_max = size_max};
        struct store_result result;
        struct record_entry entry;
        struct slice list;

        store_run(bench->store, &op, 1, &result);
        cr_assert_eq(result.err, 0, "%s", store_failure(bench->store));
        list = blob_bytes(result.payload);
        while (record_next(&list, &entry) == 0) {
            count += entry.key.ptr[0] == 'n';
        }
        *zxid = result.zxid;
        last = result.last;
        blob_unref(result.payload);
    }
    return count;
}

static void path_of(struct bench *bench, const char *name, char *path)
{
    (void)snprintf(path, 1024, "%s/%s", bench->dir, name);
}

uint64_t file_length(struct bench *bench, const char *name)
{
    char path[1024];
    struct stat st;

    path_of(bench, name, path);
    cr_assert_eq(stat(path, &st), 0, "%s", path);
    return (uint64_t)st.st_size;
}

bool has_file(struct bench *bench, const char *name)
{
    char path[1024];

    path_of(bench, name, path);
    return access(path, F_OK) == 0;
}

void file_flip(struct bench *bench, const char *name, uint64_t offset)
{
    char path[1024];
    uint8_t byte;
    int fd;

    path_of(bench, name, path);
    fd = open(path, O_RDWR);
    cr_assert_geq(fd, 0);
    cr_assert_eq(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= 0x10;
    cr_assert_eq(pwrite(fd, &byte, 1, (off_t)offset), 1);
    (void)close(fd);
}

void file_zero(struct bench *bench, const char *name, uint64_t from,
               uint64_t to)
{
    char path[1024];
    uint8_t *zeros = MEM_ARRAY(uint8_t, to - from + 1);
    int fd;

    path_of(bench, name, path);
    fd = open(path, O_RDWR);
    cr_assert_geq(fd, 0);
    cr_assert_eq(pwrite(fd, zeros, to - from, (off_t)from),
                 (ssize_t)(to - from));
    (void)close(fd);
    mem_free(zeros);
}

void file_copy_all(const char *from, const char *to)
{
    char command[1024];

    remove_tree(to);
    (void)snprintf(command, sizeof(command), "cp -a --sparse=always %s %s",
                   from, to);
    cr_assert_eq(system(command), 0);
}

bool find_file(struct bench *bench, const char *sub, const char *prefix,
               const char *suffix, char *name)
{
    char path[1024];
    struct dirent *entry;
    bool found = false;
    DIR *dir;

    path_of(bench, sub, path);
    dir = opendir(path);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        size_t len = strlen(entry->d_name);
        char candidate[256];

        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 ||
            len < strlen(suffix) ||
            strcmp(entry->d_name + len - strlen(suffix), suffix) != 0) {
            continue;
        }
        (void)snprintf(candidate, sizeof(candidate), "%.100s%s%.100s", sub,
                       sub[0] == '\0' ? "" : "/", entry->d_name);
        if (!found || strcmp(candidate, name) > 0) {
            memcpy(name, candidate, sizeof(candidate));
        }
        found = true;
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return found;
}

static uint64_t file_hash(const char *path)
{
    uint8_t bytes[65536];
    uint64_t hash = 0;
    ssize_t n;
    int fd = open(path, O_RDONLY);

    while (fd >= 0 && (n = read(fd, bytes, sizeof(bytes))) > 0) {
        hash =
            crc32c((uint32_t)hash, slice_make(bytes, (size_t)n)) + (uint64_t)n;
    }
    (void)close(fd);
    return hash;
}

uint64_t tree_hash(const char *path)
{
    struct dirent *entry;
    DIR *dir = opendir(path);
    uint64_t sum = 0;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char name[1024];
        struct stat st;

        if (entry->d_name[0] == '.') {
            continue;
        }
        (void)snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        cr_assert_eq(stat(name, &st), 0);
        sum +=
            (crc32c(0, slice_from_text(entry->d_name)) + (uint64_t)st.st_size) *
            31;
        sum += S_ISDIR(st.st_mode) ? tree_hash(name) : file_hash(name) * 17;
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return sum;
}

static void ignore(void *arg, enum store_finding kind, const char *file,
                   uint64_t offset, const char *what)
{
    (void)arg;
    (void)kind;
    (void)file;
    (void)offset;
    (void)what;
}

int verify(struct bench *bench)
{
    return store_verify(&bench->options, ignore, NULL, bench->error,
                        sizeof(bench->error));
}
