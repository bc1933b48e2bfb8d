#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/mem.h"
#include "server/config_internal.h"

/* A transaction is at most jute.maxbuffer and 64 KiB, and goes to the other
 * servers in one frame of at most 4 MiB (docs/peer-protocol.md). */
#define ENSEMBLE_FRAME_MAX (3 * 1024 * 1024)
#define MY_ID_SIZE_MAX 64

/* The version of a membership is the end of its file's name, in hexadecimal:
 * zoo.cfg.dynamic.1f. 0 when it has none. */
static uint64_t zxid_of_name(const char *name)
{
    const char *end = strrchr(name, '.');
    char text[2 + 16 + 1];
    int64_t value;

    if (end == NULL || end[1] == '\0' || strlen(end + 1) > 16 ||
        strspn(end + 1, "0123456789abcdefABCDEF") != strlen(end + 1)) {
        return 0;
    }
    (void)snprintf(text, sizeof(text), "0x%s", end + 1);
    return config_value_int(text, &value) ? (uint64_t)value : 0;
}

static bool is_member_key(const char *key)
{
    return strncmp(key, "server.", 7) == 0 || strncmp(key, "group.", 6) == 0 ||
           strncmp(key, "weight.", 7) == 0;
}

static void check_dynamic(struct config_parser *parser, size_t from)
{
    for (size_t i = from; i < parser->entries_count; i++) {
        struct config_entry *entry = &parser->entries[i];
        char shown[CONFIG_SHOWN_SIZE];

        if (is_member_key(entry->key)) {
            continue;
        }
        entry->overridden = true;
        if (strcmp(entry->key, "version") == 0) {
            config_problem(parser, entry->line,
                           "the version of a dynamicConfigFile stands at the "
                           "end of its name, not in it");
        } else {
            config_problem(parser, entry->line,
                           "%s: only server.N lines belong here",
                           config_shown(entry->key, shown));
        }
    }
}

static void read_dynamic(struct config_parser *parser, const char *path)
{
    const char *name = parser->name;
    size_t from = parser->entries_count;
    struct buf bytes = {0};

    parser->name = path;
    if (config_file_read(path, CONFIG_FILE_MAX, &bytes) != 0) {
        config_problem(parser, 0, "%s", strerrordesc_np(errno));
    } else {
        (void)config_entries_add(parser, buf_bytes(&bytes)); /* reported */
        check_dynamic(parser, from);
    }
    parser->name = name;
    buf_finish(&bytes);
}

void config_dynamic_split(struct config_parser *parser)
{
    const char *path = NULL;

    for (size_t i = 0; i < parser->entries_count; i++) {
        const struct config_entry *entry = &parser->entries[i];

        if (!entry->overridden &&
            strcmp(entry->key, "dynamicConfigFile") == 0) {
            path = entry->value;
        }
    }
    if (path == NULL || *path == '\0') {
        return;
    }
    for (size_t i = 0; i < parser->entries_count; i++) {
        struct config_entry *entry = &parser->entries[i];

        if (is_member_key(entry->key)) {
            config_problem(parser, entry->line,
                           "%s belongs into the dynamicConfigFile when there "
                           "is one",
                           entry->key);
            entry->overridden = true;
        }
    }
    parser->config->members_zxid = zxid_of_name(path);
    if (parser->files) {
        read_dynamic(parser, path);
    }
}

static bool has_port(const struct config_server_line *line, uint16_t port)
{
    return line->quorum_port == port || line->election_port == port;
}

/* Two servers on one host must not want the same port. */
static void check_pair(struct config_parser *parser, size_t first,
                       size_t second)
{
    const struct config_server_line *a = &parser->config->servers[first];
    const struct config_server_line *b = &parser->config->servers[second];
    char text[512];
    uint16_t port = 0;

    if (strcasecmp(a->host, b->host) != 0) {
        return;
    }
    if (has_port(a, b->quorum_port)) {
        port = b->quorum_port;
    } else if (has_port(a, b->election_port)) {
        port = b->election_port;
    } else if (b->client_port != 0 && a->client_port == b->client_port &&
               (a->client_host == NULL || b->client_host == NULL ||
                strcasecmp(a->client_host, b->client_host) == 0)) {
        port = b->client_port;
    }
    if (port != 0) {
        (void)snprintf(text, sizeof(text),
                       "port %u of %.255s is that of server.%" PRIu64
                       " too (%.128s:%zu)",
                       port, b->host, a->id, parser->servers[first].file,
                       parser->servers[first].line);
        config_server_problem(parser, second, text);
    }
}

static void check_addresses(struct config_parser *parser)
{
    const struct config *config = parser->config;

    for (size_t i = 0; i < config->servers_count; i++) {
        const struct config_server_line *line = &config->servers[i];

        if (line->quorum_port == line->election_port) {
            config_server_problem(parser, i,
                                  "quorum and election port are the same");
        }
        if (line->client_port != 0 && has_port(line, line->client_port)) {
            config_server_problem(parser, i,
                                  "the client port is one of the other two");
        }
        for (size_t j = 0; j < i; j++) {
            check_pair(parser, j, i);
        }
    }
}

static size_t count_voters(const struct config *config)
{
    size_t voters = 0;

    for (size_t i = 0; i < config->servers_count; i++) {
        voters += config->servers[i].observer ? 0 : 1;
    }
    return voters;
}

/* Whether these servers can decide anything; ZooKeeper's rules. */
static void check_voters(struct config_parser *parser, size_t voters)
{
    const struct config *config = parser->config;
    size_t servers = config->servers_count;

    if (servers == 0 && !config->standalone_enabled) {
        config_problem(parser, config_line(parser, "standaloneEnabled"),
                       "standaloneEnabled: false needs server.N lines");
    } else if (servers == 0 && config->observer_wanted) {
        config_problem(parser, config_line(parser, "peerType"),
                       "peerType: an observer needs server.N lines");
    } else if (servers == 1 && voters == 0) {
        config_server_problem(parser, 0,
                              "the only server cannot be an observer");
    } else if (servers > 0 && voters == 0) {
        config_server_problem(parser, 0,
                              "all servers are observers: nobody could vote");
    } else if (servers > 1 && voters == 1 && config->standalone_enabled) {
        config_server_problem(
            parser, 0, "one voter and observers need standaloneEnabled=false");
    } else if (voters > 0 && voters % 2 == 0) {
        config_warning(parser, 0,
                       "%zu voters bear the loss of %zu, as %zu would", voters,
                       voters / 2 - 1, voters - 1);
    }
}

static void check_limits(struct config_parser *parser)
{
    const struct config *config = parser->config;
    int64_t least = config->session_timeout_ms_min;

    if (config->init_limit == 0) {
        config_problem(parser, 0, "initLimit is not set: an ensemble needs it");
    }
    if (config->sync_limit == 0) {
        config_problem(parser, 0, "syncLimit is not set: an ensemble needs it");
    }
    if (config->frame_size_max > ENSEMBLE_FRAME_MAX) {
        config_problem(parser, config_line(parser, "jute.maxbuffer"),
                       "jute.maxbuffer: %u is over the %d that go from server "
                       "to server in one piece",
                       config->frame_size_max, ENSEMBLE_FRAME_MAX);
    }
    least = least < 0 ? (int64_t)config->tick_ms * 2 : least;
    if (config->leader_timeout_ms > least / 2) {
        config_warning(parser, config_line(parser, "leaderTimeoutMs"),
                       "leaderTimeoutMs: %d is over half of the shortest "
                       "session time-out, %" PRId64 ": when a leader dies, "
                       "clients give up first",
                       config->leader_timeout_ms, least);
    }
}

void config_ensemble_join(struct config_parser *parser)
{
    struct config *config = parser->config;
    size_t voters = count_voters(config);

    config->ensemble = config->servers_count > 0 &&
                       (voters > 1 || !config->standalone_enabled);
    if (config->ensemble) {
        config->my_id = 0; /* until dataDir/myid was read */
    }
    check_voters(parser, voters);
    check_addresses(parser);
    if (config->ensemble) {
        check_limits(parser);
    }
}

static const struct config_server_line *line_of(const struct config *config,
                                                uint64_t id)
{
    for (size_t i = 0; i < config->servers_count; i++) {
        if (config->servers[i].id == id) {
            return &config->servers[i];
        }
    }
    return NULL;
}

/* The first line of myid is our id, or what is wrong is said. The parser's name
 * is the path of it. */
static void take_my_id(struct config_parser *parser, struct buf *bytes,
                       const char *servers_file)
{
    const struct config *config = parser->config;
    char shown[CONFIG_SHOWN_SIZE];
    size_t from = 0, to = 0;
    int64_t id;
    char *text;

    while (from < bytes->len && bytes->data[from] <= ' ' &&
           bytes->data[from] != '\n') {
        from++;
    }
    to = from;
    while (to < bytes->len && bytes->data[to] != '\n') {
        to++;
    }
    while (to > from && bytes->data[to - 1] <= ' ') {
        to--;
    }
    bytes->len = to;
    buf_append(bytes, slice_make("", 1));
    text = (char *)bytes->data + from;
    if (!config_value_int(text, &id)) {
        config_problem(parser, 0, "\"%s\" is not a number",
                       config_shown(text, shown));
    } else if (id < 1 || id > CONFIG_SERVER_ID_MAX) {
        config_problem(parser, 0, "%" PRId64 " is not between 1 and %d", id,
                       CONFIG_SERVER_ID_MAX);
    } else if (line_of(config, (uint64_t)id) == NULL) {
        config_problem(parser, 0, "there is no server.%" PRId64 " in %.256s",
                       id, servers_file);
    } else {
        parser->config->my_id = (uint64_t)id;
    }
}

/* ZooKeeper's way to tell servers with one configuration apart. A standalone
 * server needs none, but it must not say something else. */
static void read_my_id(struct config_parser *parser)
{
    const struct config *config = parser->config;
    const char *name = parser->name;
    struct buf path = {0}, bytes = {0};

    buf_printf(&path, "%s/myid", config->data_dir);
    buf_append(&path, slice_make("", 1));
    parser->name = (const char *)path.data;
    if (config_file_read(parser->name, MY_ID_SIZE_MAX, &bytes) == 0) {
        take_my_id(parser, &bytes, parser->servers[0].file);
    } else if (errno != ENOENT) {
        config_problem(parser, 0, "%s", strerrordesc_np(errno));
    } else if (config->ensemble) {
        config_problem(parser, 0,
                       "there is no such file: it holds the N of this server's "
                       "server.N line");
    }
    parser->name = name;
    buf_finish(&path);
    buf_finish(&bytes);
}

static bool is_any(const char *address)
{
    return strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0;
}

/* Where clients connect, as our line says it. */
static void take_client_address(struct config_parser *parser,
                                const struct config_server_line *line)
{
    struct config *config = parser->config;
    bool named = line->client_host != NULL && !is_any(line->client_host);

    if (config->client_port_given && config->client_port != line->client_port) {
        config_problem(parser, config_line(parser, "clientPort"),
                       "clientPort: %u is not the %u of server.%" PRIu64,
                       config->client_port, line->client_port, line->id);
    }
    config->client_port = line->client_port;
    config->client_port_given = true;
    if (named && config->client_address != NULL &&
        !is_any(config->client_address) &&
        strcasecmp(config->client_address, line->client_host) != 0) {
        char shown[CONFIG_SHOWN_SIZE];

        config_problem(parser, config_line(parser, "clientPortAddress"),
                       "clientPortAddress: %s is not the %.255s of "
                       "server.%" PRIu64,
                       config_shown(config->client_address, shown),
                       line->client_host, line->id);
    } else if (named) {
        mem_free(config->client_address);
        config->client_address = mem_copy_text(line->client_host);
    }
}

void config_ensemble_settle(struct config_parser *parser)
{
    struct config *config = parser->config;
    const struct config_server_line *line;
    size_t errors = parser->errors;

    if (config->servers_count > 0) {
        config->my_id = config->ensemble ? 0 : config->servers[0].id;
        if (parser->files) {
            read_my_id(parser);
        }
    }
    line = config_self(config);
    if (line != NULL && line->client_port != 0) {
        take_client_address(parser, line);
    }
    if (line != NULL && config_line(parser, "peerType") != 0 &&
        config->observer_wanted != line->observer) {
        config_warning(
            parser, config_line(parser, "peerType"),
            "peerType: server.%" PRIu64 " is %s by its line, which counts",
            line->id, line->observer ? "an observer" : "a participant");
    }
    if (!config->client_port_given && parser->errors == errors) {
        config_problem(parser, 0,
                       "clientPort is not set: nobody could connect");
    }
}

const struct config_server_line *config_self(const struct config *config)
{
    return line_of(config, config->my_id);
}

void config_members_text(const struct config *config, struct buf *out)
{
    if (!config->ensemble) {
        return;
    }
    for (size_t i = 0; i < config->servers_count; i++) {
        config_server_print(&config->servers[i], "0.0.0.0:", out);
        buf_append_text(out, "\n");
    }
    buf_printf(out, "version=%" PRIx64, config->members_zxid);
}
