#include "server/admin.h"

#include <config.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "server/admin_internal.h"
#include "server/config.h"

/* What clients and tools take us for: they look at what comes before the first
 * dash. */
#define ZOOKEEPER_VERSION "3.10.0"
#define SLICE_US 1000
/* Looking at the clock costs as much as an item or two. */
#define ITEMS_PER_LOOK 16
/* Requests, warnings and so on; nothing here is traced by it. */
#define TRACE_MASK_DEFAULT UINT64_C(306)
#define MASK_SIZE 8
#define HOLD_BREAK_MS_MIN 20

static bool say_ruok(struct admin_job *job, struct buf *out);
static bool say_isro(struct admin_job *job, struct buf *out);
static bool reset_conns(struct admin_job *job, struct buf *out);
static bool reset_server(struct admin_job *job, struct buf *out);
static bool watch_summary(struct admin_job *job, struct buf *out);
static bool print_digests(struct admin_job *job, struct buf *out);
static bool get_mask(struct admin_job *job, struct buf *out);
static bool set_mask(struct admin_job *job, struct buf *out);

static const struct admin_word words[] = {
    {"ruok", say_ruok, true, false},
    {"isro", say_isro, true, false},
    {"srvr", admin_srvr, false, false},
    {"stat", admin_stat, false, false},
    {"cons", admin_cons, false, false},
    {"crst", reset_conns, false, false},
    {"srst", reset_server, false, false},
    {"conf", admin_conf, false, false},
    {"envi", admin_envi, true, false},
    {"dump", admin_dump, false, true},
    {"wchs", watch_summary, false, false},
    {"wchc", admin_watches_by_conn, false, true},
    {"wchp", admin_watches_by_path, false, true},
    {"dirs", admin_dirs, false, false},
    {"mntr", admin_mntr, false, false},
    {"hash", print_digests, false, false},
    {"gtmk", get_mask, true, false},
    {"stmk", set_mask, true, false},
};

static const struct admin_word *find_word(const char *name)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i].name, name) == 0) {
            return &words[i];
        }
    }
    UNREACHABLE(); /* frame_four_letter_word() gives only these */
}

bool admin_is_dump(const char *word)
{
    return find_word(word)->dump;
}

bool admin_may_dump(struct loop *loop)
{
    const struct admin_state *state = loop_admin(loop);

    return state->holder == NULL && loop_now_ms(loop) >= state->hold_again_ms;
}

bool admin_wants_bytes(const char *word, struct slice rest)
{
    return strcmp(word, "stmk") == 0 && rest.len < MASK_SIZE;
}

struct admin_job *admin_begin(struct loop *loop, const char *word,
                              struct slice rest)
{
    struct admin_job *job = MEM_NEW(struct admin_job);

    CHECK(!admin_wants_bytes(word, rest));
    job->loop = loop;
    job->replica = loop_replica(loop);
    job->word = find_word(word);
    if (job->word->step == set_mask) {
        job->argument = bytes_load64(rest.ptr);
    }
    return job;
}

static void hold(struct admin_job *job)
{
    struct admin_state *state = loop_admin(job->loop);

    CHECK(state->holder == NULL);
    state->holder = job;
    job->holds = true;
    job->held_since_ms = loop_now_ms(job->loop);
    inspect_hold(job->replica);
}

static void release(struct admin_job *job)
{
    struct admin_state *state = loop_admin(job->loop);
    int64_t now_ms = loop_now_ms(job->loop);
    int64_t took_ms = now_ms - job->held_since_ms;

    CHECK(state->holder == job);
    inspect_release(job->replica);
    job->holds = false;
    state->holder = NULL;
    /* What fits into one slice disturbs nobody. */
    if (took_ms > 0) {
        state->hold_again_ms =
            now_ms +
            (took_ms > HOLD_BREAK_MS_MIN ? took_ms : HOLD_BREAK_MS_MIN);
    }
}

/* First: whether this word can be answered at all. */
static bool begin(struct admin_job *job, struct buf *out)
{
    struct inspect_server server;

    job->begun = true;
    admin_look(job, &server);
    if (!server.serving && !server.read_only && !job->word->always) {
        buf_append_text(
            out, "This ZooKeeper instance is not currently serving requests\n");
        return false;
    }
    if (job->word->dump) {
        hold(job);
    }
    return true;
}

bool admin_step(struct admin_job *job, struct buf *out)
{
    bool done;

    if (!job->begun && !begin(job, out)) {
        return true;
    }
    job->items = 0;
    job->slice_end_us = clock_monotonic_us() + SLICE_US;
    done = job->word->step(job, out);
    if (done && job->holds) {
        release(job);
    }
    return done;
}

void admin_end(struct admin_job *job)
{
    if (job->holds) {
        release(job);
    }
    arena_destroy(job->arena);
    admin_table_finish(&job->table);
    mem_free(job);
}

bool admin_slice_over(struct admin_job *job)
{
    return ++job->items % ITEMS_PER_LOOK == 0 &&
           clock_monotonic_us() >= job->slice_end_us;
}

/* __DATE__ is "Nov 21 2026". */
static void print_build_date(struct buf *out)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    static const char date[] = __DATE__;
    const char *month = months;

    while (strncmp(month, date, 3) != 0) {
        month += 3;
        CHECK(*month != '\0');
    }
    buf_printf(out, "%.4s-%02d-%c%c", date + 7, (int)(month - months) / 3 + 1,
               date[4] == ' ' ? '0' : date[4], date[5]);
}

void admin_version(struct buf *out)
{
    buf_append_text(out,
                    ZOOKEEPER_VERSION "-corral-" PACKAGE_VERSION ", built on ");
    print_build_date(out);
}

void admin_decimal(struct buf *out, double value)
{
    char text[64];
    size_t len;

    (void)snprintf(text, sizeof(text), "%.4f", value);
    len = strlen(text);
    while (text[len - 1] == '0' && text[len - 2] != '.') {
        len--;
    }
    buf_append(out, slice_make(text, len));
}

void admin_look(const struct admin_job *job, struct inspect_server *server)
{
    inspect_server(job->replica, server);
    server->standalone = !loop_config(job->loop)->ensemble;
}

const char *admin_mode(const struct inspect_server *server)
{
    if (server->standalone) {
        return "standalone";
    }
    if (server->read_only) {
        return "read-only";
    }
    switch (server->role) {
        case ZAB_LEADING:
            return "leader";
        case ZAB_FOLLOWING:
            return "follower";
        case ZAB_OBSERVING:
            return "observer";
        case ZAB_LOOKING:
            return "looking";
    }
    UNREACHABLE();
}

static bool say_ruok(struct admin_job *job, struct buf *out)
{
    (void)job;
    buf_append_text(out, "imok");
    return true;
}

static bool say_isro(struct admin_job *job, struct buf *out)
{
    struct inspect_server server;

    admin_look(job, &server);
    buf_append_text(out, server.serving     ? "rw"
                         : server.read_only ? "ro"
                                            : "null");
    return true;
}

static void reset(struct admin_job *job, uint64_t conns)
{
    struct replica_input input = {.type = REPLICA_RESET_STATS,
                                  .conn_id = conns};

    loop_input(job->loop, &input);
}

static bool reset_conns(struct admin_job *job, struct buf *out)
{
    reset(job, 1);
    buf_append_text(out, "Connection stats reset.\n");
    return true;
}

static bool reset_server(struct admin_job *job, struct buf *out)
{
    reset(job, 0);
    buf_append_text(out, "Server stats reset.\n");
    return true;
}

static bool watch_summary(struct admin_job *job, struct buf *out)
{
    struct inspect_server server;

    admin_look(job, &server);
    buf_printf(out,
               "%" PRIu64 " connections watching %" PRIu64 " paths\n"
               "Total watches:%" PRIu64 "\n",
               server.watch_conns, server.watch_paths, server.watches_data);
    return true;
}

static bool print_digests(struct admin_job *job, struct buf *out)
{
    const struct inspect_digest *digests;
    size_t count = inspect_digests(job->replica, &digests);

    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "%" PRIx64 ": %" PRId64 "\n", (uint64_t)digests[i].zxid,
                   (int64_t)digests[i].digest);
    }
    return true;
}

static bool get_mask(struct admin_job *job, struct buf *out)
{
    uint64_t flipped = loop_admin(job->loop)->trace_mask_flipped;

    buf_printf(out, "%" PRId64, (int64_t)(flipped ^ TRACE_MASK_DEFAULT));
    return true;
}

static bool set_mask(struct admin_job *job, struct buf *out)
{
    loop_admin(job->loop)->trace_mask_flipped =
        job->argument ^ TRACE_MASK_DEFAULT;
    return get_mask(job, out);
}
