/* corral-dump: prints a data directory as text, one record a line, or checks
 * it. Changes nothing in it. Session passwords, and who an ACL's digest or
 * address is for, are never printed. */
#include "config.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proto/record.h"
#include "proto/text.h"
#include "store/verify.h"

enum { EXIT_DAMAGED = 1, EXIT_FAILED = 2, CHUNK = 1 << 20 };

enum option_id {
    OPTION_LOG_DIR = 256,
    OPTION_VERIFY,
    OPTION_ONLY,
    OPTION_FROM,
    OPTION_TO,
    OPTION_PATH,
    OPTION_NO_DATA,
    OPTION_HELP,
    OPTION_VERSION,
};

struct dump {
    const char *dir, *log_dir;
    const char *path; /* prefix, or NULL */
    zxid_t from, to;
    bool verify, state, checkpoint, log, no_data;
    struct store *store;
    struct buf line;
    struct arena *arena;
};

static const char usage_text[] =
    "Usage: corral-dump [options] DIR\n"
    "Prints a Corral data directory that no server has open, one record a "
    "line.\n"
    "      --log-dir DIR      where the log is (dataLogDir); DIR\n"
    "      --verify           check everything, print nothing but damage\n"
    "      --only WHAT        state, checkpoint or log; may be repeated\n"
    "      --from ZXID        log records from this zxid on (0x... or "
    "decimal)\n"
    "      --to ZXID          log records up to this zxid\n"
    "      --path PREFIX      znodes of the checkpoint whose path begins so\n"
    "      --no-data          lengths in place of znode data\n"
    "      --help, --version\n"
    "Exit status: 0 sound, 1 damaged, 2 cannot be read or is in use.\n";

static int parse(struct dump *dump, int argc, char **argv);
static int parse_one(struct dump *dump, int option);
static int verify(const struct dump *dump);
static int print_all(struct dump *dump);
static void print_state(struct dump *dump);
static int print_checkpoint(struct dump *dump);
static int print_entry(struct dump *dump, const struct record_entry *entry);
static int print_znode(struct dump *dump, const struct record_entry *entry);
static void append_acl(struct dump *dump, const struct znode_record *znode);
static int print_log(struct dump *dump);
static int print_record(struct dump *dump, zxid_t zxid, struct slice payload);
static void flush(struct dump *dump);

int main(int argc, char **argv)
{
    struct dump dump = {.to = UINT64_MAX};
    int status = parse(&dump, argc, argv);

    if (status >= 0) {
        return status;
    }
    status = dump.verify ? verify(&dump) : print_all(&dump);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        (void)fputs("corral-dump: cannot write the output\n", stderr);
        return EXIT_FAILED;
    }
    return status;
}

/* An exit status, or -1 to go on. */
static int parse(struct dump *dump, int argc, char **argv)
{
    static const struct option options[] = {
        {"log-dir", required_argument, NULL, OPTION_LOG_DIR},
        {"verify", no_argument, NULL, OPTION_VERIFY},
        {"only", required_argument, NULL, OPTION_ONLY},
        {"from", required_argument, NULL, OPTION_FROM},
        {"to", required_argument, NULL, OPTION_TO},
        {"path", required_argument, NULL, OPTION_PATH},
        {"no-data", no_argument, NULL, OPTION_NO_DATA},
        {"help", no_argument, NULL, OPTION_HELP},
        {"version", no_argument, NULL, OPTION_VERSION},
        {0},
    };
    int option;

    // NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        int status = parse_one(dump, option);

        if (status >= 0) {
            return status;
        }
    }
    if (optind + 1 != argc) {
        (void)fputs(usage_text, stderr);
        return EXIT_FAILED;
    }
    dump->dir = argv[optind];
    dump->log_dir = dump->log_dir == NULL ? dump->dir : dump->log_dir;
    if (!dump->state && !dump->checkpoint && !dump->log) {
        dump->state = dump->checkpoint = dump->log = true;
    }
    return -1;
}

static int parse_zxid(const char *text, zxid_t *zxid)
{
    char *end;

    *zxid = strtoull(text, &end, 0);
    if (end == text || *end != '\0') {
        (void)fprintf(stderr, "corral-dump: not a zxid: %s\n", text);
        return EXIT_FAILED;
    }
    return -1;
}

static int parse_one(struct dump *dump, int option)
{
    switch (option) {
        case OPTION_LOG_DIR:
            dump->log_dir = optarg;
            return -1;
        case OPTION_VERIFY:
            dump->verify = true;
            return -1;
        case OPTION_ONLY:
            dump->state = dump->state || strcmp(optarg, "state") == 0;
            dump->checkpoint =
                dump->checkpoint || strcmp(optarg, "checkpoint") == 0;
            dump->log = dump->log || strcmp(optarg, "log") == 0;
            if (dump->state || dump->checkpoint || dump->log) {
                return -1;
            }
            (void)fputs(usage_text, stderr);
            return EXIT_FAILED;
        case OPTION_FROM:
            return parse_zxid(optarg, &dump->from);
        case OPTION_TO:
            return parse_zxid(optarg, &dump->to);
        case OPTION_PATH:
            dump->path = optarg;
            return -1;
        case OPTION_NO_DATA:
            dump->no_data = true;
            return -1;
        case OPTION_HELP:
            (void)fputs(usage_text, stdout);
            return 0;
        case OPTION_VERSION:
            (void)puts("corral-dump " PACKAGE_VERSION);
            return 0;
        default:
            (void)fputs(usage_text, stderr);
            return EXIT_FAILED;
    }
}

static struct store_options options_of(const struct dump *dump)
{
    return (struct store_options){
        .data_dir = dump->dir,
        .log_dir = dump->log_dir,
        .read_only = true,
    };
}

static void print_finding(void *arg, enum store_finding kind, const char *file,
                          uint64_t offset, const char *what)
{
    (void)arg;
    (void)printf("%s file=%s offset=%" PRIu64 " what=\"%s\"\n",
                 kind == STORE_DAMAGE ? "damage" : "note", file, offset, what);
}

static int complain(int err, const char *error)
{
    (void)fprintf(stderr, "corral-dump: %s\n", error);
    return err == ERR_CORRUPT ? EXIT_DAMAGED : EXIT_FAILED;
}

static int verify(const struct dump *dump)
{
    struct store_options options = options_of(dump);
    char error[512];
    int err = store_verify(&options, print_finding, NULL, error, sizeof(error));

    if (err != 0) {
        return complain(err, error);
    }
    (void)puts("ok");
    return 0;
}

static int print_all(struct dump *dump)
{
    struct store_options options = options_of(dump);
    char error[512];
    int err = store_open(&options, &dump->store, error, sizeof(error));

    if (err != 0) {
        return complain(err, error);
    }
    dump->arena = arena_create((size_t)64 * 1024);
    if (dump->state) {
        print_state(dump);
    }
    if (dump->checkpoint) {
        err = print_checkpoint(dump);
    }
    if (err == 0 && dump->log) {
        err = print_log(dump);
    }
    if (err != 0) {
        const char *failure = store_failure(dump->store);

        err = complain(err, failure[0] == '\0' ? err_text(err) : failure);
    }
    arena_destroy(dump->arena);
    buf_finish(&dump->line);
    store_close(dump->store);
    return err;
}

static void print_state(struct dump *dump)
{
    const struct durable_state *durable = store_durable(dump->store);

    buf_printf(&dump->line,
               "state epoch_accepted=%" PRIu32 " epoch_current=%" PRIu32
               " cluster=",
               durable->epoch_accepted, durable->epoch_current);
    for (size_t i = 0; i < sizeof(durable->cluster_id); i++) {
        buf_printf(&dump->line, "%02x", durable->cluster_id[i]);
    }
    buf_printf(&dump->line,
               " checkpoint=0x%" PRIx64 " log_first=0x%" PRIx64
               " log_last=0x%" PRIx64 " committed=0x%" PRIx64 "%s",
               durable->zxid_checkpoint, durable->zxid_first,
               durable->zxid_last, durable->zxid_committed,
               durable->recovering ? " recovering" : "");
    flush(dump);
}

static int print_checkpoint(struct dump *dump)
{
    struct store_op op = {.type = STORE_READ_SNAP, .size_max = CHUNK};
    struct store_result result = {0};
    int err = 0;

    while (err == 0 && !result.last) {
        struct record_entry entry;
        struct slice list;

        store_run(dump->store, &op, 1, &result);
        if (result.err != 0) {
            return result.err;
        }
        list = blob_bytes(result.payload);
        while (err == 0 && (err = record_next(&list, &entry)) == 0) {
            err = print_entry(dump, &entry);
        }
        err = err == ERR_NOT_FOUND ? 0 : err;
        blob_unref(result.payload);
    }
    return err;
}

static int print_entry(struct dump *dump, const struct record_entry *entry)
{
    struct session_record session;
    struct marker_record marker;

    if (entry->key.ptr[0] == 'n') {
        return print_znode(dump, entry);
    }
    if (entry->key.ptr[0] == 's') {
        if (record_get_session(entry, &session) != 0) {
            return ERR_CORRUPT;
        }
        buf_printf(&dump->line,
                   "session id=0x%" PRIx64 " timeout_ms=%" PRId32
                   " zxid=0x%" PRIx64,
                   session.id, session.timeout_ms, session.zxid);
        flush(dump);
        return 0;
    }
    if (record_get_marker(entry, &marker) != 0) {
        return ERR_CORRUPT;
    }
    buf_printf(&dump->line,
               "marker zxid=0x%" PRIx64 " tree_digest=0x%" PRIx64
               " session_digest=0x%" PRIx64 " znodes=%" PRIu64
               " sessions=%" PRIu64,
               marker.zxid, marker.tree_digest, marker.session_digest,
               marker.znode_count, marker.session_count);
    flush(dump);
    return 0;
}

static int print_znode(struct dump *dump, const struct record_entry *entry)
{
    struct znode_record znode;

    arena_reset(dump->arena);
    if (record_get_znode(entry, dump->arena, &znode) != 0) {
        return ERR_CORRUPT;
    }
    if (dump->path != NULL &&
        !slice_starts_with(znode.path, slice_from_text(dump->path))) {
        return 0;
    }
    buf_append_text(&dump->line, "znode path=");
    text_append_quoted(&dump->line, znode.path);
    buf_printf(&dump->line,
               " czxid=0x%" PRIx64 " mzxid=0x%" PRIx64 " pzxid=0x%" PRIx64
               " ctime_ms=%" PRId64 " mtime_ms=%" PRId64 " version=%" PRId32
               " aversion=%" PRId32 " sequence=%" PRIu64 " owner=0x%" PRIx64,
               znode.czxid, znode.mzxid, znode.pzxid, znode.ctime_ms,
               znode.mtime_ms, znode.version, znode.aversion, znode.sequence,
               znode.ephemeral_owner);
    append_acl(dump, &znode);
    buf_printf(&dump->line, " size=%zu", znode.data.len);
    if (!dump->no_data) {
        buf_append_text(&dump->line, " data=");
        text_append_quoted(&dump->line, znode.data);
    }
    flush(dump);
    return 0;
}

/* Schemes and permissions; an id only where it is the public one. */
static void append_acl(struct dump *dump, const struct znode_record *znode)
{
    static const char letters[] = "rwcda";

    buf_append_text(&dump->line, " acl=");
    for (size_t i = 0; i < znode->acl_count; i++) {
        const struct zk_acl *acl = &znode->acl[i];
        bool open = slice_equal_text(acl->id.scheme, "world");

        if (i > 0) {
            buf_append_text(&dump->line, ",");
        }
        text_append_quoted(&dump->line, acl->id.scheme);
        buf_append_text(&dump->line, open ? ":anyone:" : ":*:");
        for (unsigned bit = 0; bit < sizeof(letters) - 1; bit++) {
            if ((acl->perms >> bit & 1) != 0) {
                buf_append(&dump->line, slice_make(&letters[bit], 1));
            }
        }
    }
}

static int print_log(struct dump *dump)
{
    const struct durable_state *durable = store_durable(dump->store);
    zxid_t first = durable->zxid_first;
    struct store_op op = {.type = STORE_READ_LOG, .size_max = CHUNK};
    struct store_result result = {0};
    int err = 0;

    if (first == 0) {
        return 0;
    }
    op.zxid = dump->from > first ? dump->from - 1 : first - 1;
    while (err == 0 && !result.last && op.zxid < dump->to) {
        struct slice list;
        struct slice payload;
        zxid_t zxid;

        store_run(dump->store, &op, 1, &result);
        if (result.err != 0) {
            return result.err;
        }
        list = blob_bytes(result.payload);
        while (err == 0 &&
               (err = record_next_log(&list, &zxid, &payload)) == 0) {
            err = zxid <= dump->to ? print_record(dump, zxid, payload) : 0;
        }
        err = err == ERR_NOT_FOUND ? 0 : err;
        op.zxid = result.zxid;
        blob_unref(result.payload);
    }
    return err;
}

static int print_record(struct dump *dump, zxid_t zxid, struct slice payload)
{
    struct txn txn;

    arena_reset(dump->arena);
    buf_printf(&dump->line, "log zxid=0x%" PRIx64 " ", zxid);
    if (txn_decode(payload, dump->arena, &txn) == 0) {
        txn_text(&txn, &dump->line);
        buf_printf(&dump->line, " time_ms=%" PRId64, txn.time_ms);
    } else {
        /* Whole, as its checksum says, but not of a kind known here. */
        buf_printf(&dump->line, "unknown size=%zu", payload.len);
    }
    flush(dump);
    return 0;
}

static void flush(struct dump *dump)
{
    buf_append_text(&dump->line, "\n");
    (void)fwrite(dump->line.data, 1, dump->line.len, stdout); /* main looks */
    buf_clear(&dump->line);
}
