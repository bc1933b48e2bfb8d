#include "server/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/config_internal.h"

#define OUTPUT_SPARE (16 * 1024 * 1024)
#define READ_SIZE ((size_t)4096)

static void join(struct config_parser *parser);

/* What both kinds of start share; not what has no default: dataDir. */
static void set_defaults(struct config *config)
{
    *config = (struct config){
        .tick_ms = 3000,
        .session_timeout_ms_min = -1,
        .session_timeout_ms_max = -1,
        .leader_heartbeat_ms = 100,
        .leader_timeout_ms = 700,
        .election_bind_retries = 3,
        .peer_version_max = 2,
        .standalone_enabled = true,
        .listen_backlog = -1,
        .conns_per_address_max = 60,
        .handshake_timeout_ms = 10000,
        .frame_size_max = 1048575,
        .reply_size_max = 16 * 1024 * 1024,
        .outstanding_max = 1000,
        .sync_warning_ms = 1000,
        .reads_held_max = 64,
        .ephemerals_max = 100000,
        .output_mark = 1024 * 1024,
        .segment_size = UINT64_C(64) << 20,
        .disk_reserve = UINT64_C(256) << 20,
        .checkpoint_records = 1000,
        .checkpoint_bytes = 256 * 1024,
        .checkpoint_ms = 1000,
        .proposals_inflight_max = 4096,
        .force_sync = true,
        .ttl_nodes = true,
        .hard_quotas = true,
        .digest_enabled = true,
        .data_dir_autocreate = true,
        .container_check_ms = 60000,
        .container_never_used_ms = 300000,
        .container_max_per_minute = 10000,
        .my_id = 1,
        .log_level = LOG_INFO,
    };
}

/* What follows from other settings unless it was given. */
static void derive(struct config *config)
{
    int64_t min = config->session_timeout_ms_min;
    int64_t max = config->session_timeout_ms_max;

    if (min < 0) {
        min = (int64_t)config->tick_ms * 2;
    }
    if (max < 0) {
        max = (int64_t)config->tick_ms * 20;
    }
    config->session_timeout_ms_min = (int32_t)min;
    config->session_timeout_ms_max = (int32_t)max;
    if (config->output_max == 0) {
        config->output_max = OUTPUT_SPARE + config->reply_size_max;
    }
    if (config->log_dir == NULL && config->data_dir != NULL) {
        config->log_dir = mem_copy_text(config->data_dir);
    }
}

void config_init(struct config *config)
{
    set_defaults(config);
    config->data_dir = mem_copy_text("./corral-data");
    config->client_address = mem_copy_text("127.0.0.1");
    config->client_port = 2181;
    config->client_port_given = true;
    /* All clients of a loopback address come from one address. */
    config->conns_per_address_max = 0;
    /* All but those that cost as much as there are watches. */
    config->words = mem_copy_text("conf,cons,crst,dirs,dump,envi,gtmk,hash,"
                                  "isro,mntr,ruok,srst,srvr,stat,stmk");
    derive(config);
}

void config_finish(struct config *config)
{
    for (size_t i = 0; i < config->servers_count; i++) {
        mem_free(config->servers[i].host);
        mem_free(config->servers[i].client_host);
    }
    mem_free(config->servers);
    mem_free(config->file);
    mem_free(config->data_dir);
    mem_free(config->log_dir);
    mem_free(config->client_address);
    mem_free(config->super_digest);
    mem_free(config->ensemble_name);
    mem_free(config->words);
    mem_free(config->ignored);
    mem_free(config->dynamic_file);
    *config = (struct config){0};
}

const char *config_shown(const char *text, char shown[CONFIG_SHOWN_SIZE])
{
    size_t len = 0;

    while (text[len] != '\0' && len < CONFIG_SHOWN_SIZE - 4) {
        unsigned char c = (unsigned char)text[len];

        bool odd = c < ' ' || c > '~' || c == '"';

        shown[len] = text[len];
        if (odd) {
            shown[len] = '?';
        }
        len++;
    }
    memcpy(shown + len, text[len] != '\0' ? "..." : "",
           text[len] != '\0' ? 4 : 1);
    return shown;
}

static void report_at(struct config_parser *parser, bool error, size_t line,
                      const char *format, va_list args)
    __attribute__((format(printf, 4, 0)));

static void report_at(struct config_parser *parser, bool error, size_t line,
                      const char *format, va_list args)
{
    char text[1024];
    int len = line == 0 ? snprintf(text, sizeof(text), "%.256s: ", parser->name)
                        : snprintf(text, sizeof(text),
                                   "%.256s:%zu: ", parser->name, line);

    (void)vsnprintf(text + len, sizeof(text) - (size_t)len, format, args);
    parser->errors += error ? 1 : 0;
    parser->report(parser->arg, error, text);
}

void config_problem(struct config_parser *parser, size_t line,
                    const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report_at(parser, true, line, format, args);
    va_end(args);
}

void config_warning(struct config_parser *parser, size_t line,
                    const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report_at(parser, false, line, format, args);
    va_end(args);
}

void config_key_line(struct config_parser *parser, bool error, const char *what,
                     const struct config_entry *entry, const char *more)
{
    char text[1024], shown[CONFIG_SHOWN_SIZE];

    (void)snprintf(text, sizeof(text), "%s: %s (%.256s:%zu)%s", what,
                   config_shown(entry->key, shown), parser->name, entry->line,
                   more);
    parser->errors += error ? 1 : 0;
    parser->report(parser->arg, error, text);
}

size_t config_line(const struct config_parser *parser, const char *key)
{
    for (size_t i = 0; i < parser->entries_count; i++) {
        const struct config_entry *entry = &parser->entries[i];

        if (!entry->overridden && strcmp(entry->key, key) == 0) {
            return entry->line;
        }
    }
    return 0;
}

static void take_unknown(struct config_parser *parser,
                         const struct config_entry *entry)
{
    char shown[CONFIG_SHOWN_SIZE];

    config_problem(
        parser, entry->line, "unknown key %s; the nearest known one is %s",
        config_shown(entry->key, shown), config_key_nearest(entry->key));
}

static void take_entry(struct config_parser *parser,
                       const struct config_entry *entry)
{
    const struct config_key *key = config_key_find(entry->key);
    bool harmless;

    if (key == NULL) {
        take_unknown(parser, entry);
        return;
    }
    harmless = (key->class == CONFIG_NOT_YET || key->class == CONFIG_REFUSED) &&
               config_value_harmless(key, entry->value);
    if (!harmless && !config_value_take(parser, key, entry)) {
        return;
    }
    if (key->class == CONFIG_IGNORED) {
        buf_printf(&parser->ignored, "%s%s", parser->ignored.len > 0 ? "," : "",
                   entry->key);
    } else if (key->class == CONFIG_NOT_YET && !harmless) {
        config_key_line(parser, false, "has no effect yet", entry, "");
    } else if (key->class == CONFIG_REFUSED && !harmless) {
        config_key_line(parser, true, "not supported yet", entry, "");
    }
}

static int by_key(const void *a, const void *b)
{
    const struct config_entry *const *x = a;
    const struct config_entry *const *y = b;
    int order = strcmp((*x)->key, (*y)->key);

    return order != 0 ? order : (*x)->line < (*y)->line ? -1 : 1;
}

/* The last one of a name counts, as in Java; the user is told. Not so of two
 * servers with one id: that is for config_server_take(). */
static void find_doubles(struct config_parser *parser, size_t from)
{
    size_t count = parser->entries_count - from;
    struct config_entry **sorted = MEM_ARRAY(struct config_entry *, count + 1);

    for (size_t i = 0; i < count; i++) {
        sorted[i] = &parser->entries[from + i];
    }
    qsort(sorted, count, sizeof(struct config_entry *), by_key);
    for (size_t i = 0; i + 1 < count; i++) {
        char shown[CONFIG_SHOWN_SIZE];

        if (strcmp(sorted[i]->key, sorted[i + 1]->key) == 0 &&
            strncmp(sorted[i]->key, "server.", 7) != 0) {
            sorted[i]->overridden = true;
            config_warning(parser, sorted[i + 1]->line,
                           "%s was given in line %zu too; this one counts",
                           config_shown(sorted[i]->key, shown),
                           sorted[i]->line);
        }
    }
    mem_free(sorted);
}

/* Zero bytes have no place in a text file, and would cut our strings. */
static bool is_text(struct config_parser *parser, struct slice text)
{
    const uint8_t *zero =
        text.len > 0 ? memchr(text.ptr, '\0', text.len) : NULL;
    size_t line = 1;

    if (text.len > CONFIG_FILE_MAX) {
        config_problem(parser, 0, "larger than %zu bytes", CONFIG_FILE_MAX);
        return false;
    }
    if (zero == NULL) {
        return true;
    }
    for (const uint8_t *c = text.ptr; c < zero; c++) {
        line += *c == '\n' ? 1 : 0;
    }
    config_problem(parser, line, "a zero byte");
    return false;
}

static void parser_finish(struct config_parser *parser)
{
    for (size_t i = 0; i < parser->entries_count; i++) {
        mem_free(parser->entries[i].key);
        mem_free(parser->entries[i].value);
    }
    mem_free(parser->entries);
    buf_finish(&parser->ignored);
}

bool config_entries_add(struct config_parser *parser, struct slice text)
{
    size_t from = parser->entries_count;

    if (!is_text(parser, text)) {
        return false;
    }
    config_text_split(parser, text);
    find_doubles(parser, from);
    return true;
}

/* What the command line says of dataDir. */
static void overrule_data_dir(struct config_parser *parser)
{
    struct config *config = parser->config;

    if (parser->data_dir == NULL) {
        return;
    }
    if (config->log_dir != NULL && config->data_dir != NULL &&
        strcmp(config->log_dir, config->data_dir) == 0) {
        mem_free(config->log_dir);
        config->log_dir = NULL;
    }
    mem_free(config->data_dir);
    config->data_dir = mem_copy_text(parser->data_dir);
}

static void parse(struct config_parser *parser, struct slice text)
{
    const char *name = parser->name;
    struct config *config = parser->config;

    config_finish(config);
    set_defaults(config);
    config->words = mem_copy_text("srvr");
    if (!config_entries_add(parser, text)) {
        return;
    }
    config_dynamic_split(parser);
    for (size_t i = 0; i < parser->entries_count; i++) {
        parser->name = parser->entries[i].file;
        if (!parser->entries[i].overridden) {
            take_entry(parser, &parser->entries[i]);
        }
    }
    parser->name = name;
    overrule_data_dir(parser);
    join(parser);
    derive(config);
    if (parser->ignored.len > 0) {
        buf_append(&parser->ignored, slice_make("", 1));
        config->ignored = mem_copy_text((const char *)parser->ignored.data);
    }
}

int config_parse(struct config *config, const char *name, const char *text,
                 size_t len, config_report_fn *report, void *arg)
{
    struct config_parser parser = {
        .config = config, .name = name, .report = report, .arg = arg};

    parse(&parser, slice_make(text, len));
    parser_finish(&parser);
    return parser.errors == 0 ? 0 : ERR_INVALID;
}

static void join_timeouts(struct config_parser *parser)
{
    struct config *config = parser->config;
    int64_t min = config->session_timeout_ms_min;
    int64_t max = config->session_timeout_ms_max;

    min = min < 0 ? (int64_t)config->tick_ms * 2 : min;
    max = max < 0 ? (int64_t)config->tick_ms * 20 : max;
    if (min > max) {
        config_problem(parser, config_line(parser, "minSessionTimeout"),
                       "minSessionTimeout: %" PRId64
                       " is over maxSessionTimeout, %" PRId64,
                       min, max);
    }
    if (config->leader_timeout_ms < config->leader_heartbeat_ms * 2) {
        config_problem(parser, config_line(parser, "leaderTimeoutMs"),
                       "leaderTimeoutMs: %d is less than two "
                       "leaderHeartbeatMs, %d",
                       config->leader_timeout_ms, config->leader_heartbeat_ms);
    }
}

/* What several keys say together. */
static void join(struct config_parser *parser)
{
    struct config *config = parser->config;

    config->client_port_given = config_line(parser, "clientPort") != 0;
    if (config->data_dir == NULL && config_line(parser, "dataDir") == 0) {
        config_problem(parser, 0, "dataDir is not set");
    }
    config_ensemble_join(parser);
    if (!config->ensemble) {
        config_ensemble_settle(parser);
    }
    join_timeouts(parser);
    if (config->output_max != 0 && config->output_max < config->output_mark) {
        config_problem(parser, config_line(parser, "outputMax"),
                       "outputMax is less than outputMark");
    }
    if (!config->force_sync) {
        config_warning(parser, config_line(parser, "forceSync"),
                       "forceSync=no: a power cut loses acknowledged writes");
    }
    if (config->skip_acl) {
        config_warning(parser, config_line(parser, "skipACL"),
                       "skipACL=yes: no ACL is checked");
    }
}

static bool is_directory(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

int config_file_read(const char *path, size_t size_max, struct buf *bytes)
{
    FILE *file = fopen(path, "re");
    size_t got = 1;
    int err = 0;

    if (file == NULL) {
        return ERR_IO;
    }
    while (got > 0 && bytes->len <= size_max) {
        uint8_t *room = buf_extend(bytes, READ_SIZE);

        got = fread(room, 1, READ_SIZE, file);
        bytes->len -= READ_SIZE - got;
    }
    if (ferror(file)) {
        err = ERR_IO;
    }
    (void)fclose(file); /* read only */
    return err;
}

/* What can only be known by looking: the directories, dataDir/myid. */
static void look_around(struct config_parser *parser)
{
    const struct config *config = parser->config;
    const char *const dirs[] = {config->data_dir, config->log_dir};

    for (size_t i = 0; i < 2 && !config->data_dir_autocreate; i++) {
        char shown[CONFIG_SHOWN_SIZE];

        if (!is_directory(dirs[i])) {
            config_problem(parser, config_line(parser, "datadir.autocreate"),
                           "%s is not a directory, and it may not be made",
                           config_shown(dirs[i], shown));
            return;
        }
    }
    if (config->ensemble) {
        config_ensemble_settle(parser);
    }
}

/* Errors are for whoever typed the command; warnings belong into the log. */
static void report_to_stderr(void *arg, bool error, const char *text)
{
    struct log_line line;

    (void)arg;
    if (error) {
        (void)fprintf(stderr, "corrald: %s\n", text);
        return;
    }
    log_begin(&line, LOG_WARN, "config");
    log_text(&line, "text", text);
    log_end(&line);
}

static void log_ignored(const struct config *config)
{
    struct log_line line;

    if (config->ignored != NULL) {
        log_begin(&line, LOG_INFO, "config_ignored");
        log_text(&line, "keys", config->ignored);
        log_end(&line);
    }
}

int config_read(struct config *config, const char *file, const char *data_dir)
{
    struct config_parser parser = {.config = config,
                                   .name = file,
                                   .report = report_to_stderr,
                                   .data_dir = data_dir,
                                   .files = true};
    struct buf bytes = {0};
    char *name = mem_copy_text(file); /* it may be config's own */

    if (config_file_read(file, CONFIG_FILE_MAX, &bytes) != 0) {
        (void)fprintf(stderr, "corrald: %s: %s\n", file,
                      strerrordesc_np(errno));
        buf_finish(&bytes);
        mem_free(name);
        return ERR_IO;
    }
    parser.name = name;
    parse(&parser, buf_bytes(&bytes));
    if (parser.errors == 0) {
        look_around(&parser);
    }
    config->file = name;
    log_ignored(config);
    buf_finish(&bytes);
    parser_finish(&parser);
    return parser.errors == 0 ? 0 : ERR_INVALID;
}

void config_print(const struct config *config, struct buf *out)
{
    size_t count;
    const struct config_key *keys = config_keys(&count);

    for (size_t i = 0; i < count; i++) {
        config_value_print(config, &keys[i], out);
    }
    for (size_t i = 0; i < config->servers_count; i++) {
        /* With a dynamicConfigFile they stand there. */
        buf_append_text(out, config->dynamic_file != NULL ? "# " : "");
        config_server_print(&config->servers[i], "", out);
        buf_append_text(out, "\n");
    }
}

bool config_word_allowed(const struct config *config, const char *word)
{
    const char *rest = config->words != NULL ? config->words : "";

    /* Read-only clients look for a server that writes with it. */
    if (config->read_only_mode && strcmp(word, "isro") == 0) {
        return true;
    }
    while (*rest != '\0') {
        size_t len = strcspn(rest, ", \t");

        if ((len == 1 && *rest == '*') ||
            (len == strlen(word) && strncmp(rest, word, len) == 0)) {
            return true;
        }
        rest += len + (rest[len] != '\0' ? 1 : 0);
    }
    return false;
}
