#include <ctype.h>
#include <inttypes.h>

#include "base/mem.h"
#include "server/config_internal.h"

/* server.N=HOST:QUORUM_PORT:ELECTION_PORT[:participant|:observer]
 *          [;[CLIENT_HOST:]CLIENT_PORT[;[SECURE_HOST:]SECURE_PORT]] */

#define HOST_MAX 255

static bool is_host(struct slice s)
{
    if (s.len == 0 || s.len > HOST_MAX) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (!isalnum(s.ptr[i]) &&
            (s.ptr[i] == '\0' || strchr(".-_:%", s.ptr[i]) == NULL)) {
            return false;
        }
    }
    return true;
}

/* Up to the next stop, which is dropped; the rest stays in s. */
static struct slice take_until(struct slice *s, uint8_t stop)
{
    const uint8_t *found = s->len > 0 ? memchr(s->ptr, stop, s->len) : NULL;
    size_t len = found != NULL ? (size_t)(found - s->ptr) : s->len;
    struct slice part = slice_make(s->ptr, len);

    *s = slice_after(*s, found != NULL ? len + 1 : len);
    return part;
}

/* A name, an IPv4 address, or an IPv6 address in brackets; then ':' or the
 * end. */
static bool take_host(struct slice *s, struct slice *host)
{
    if (s->len > 0 && *s->ptr == '[') {
        *s = slice_after(*s, 1);
        if (memchr(s->ptr, ']', s->len) == NULL) {
            return false;
        }
        *host = take_until(s, ']');
        if (s->len > 0 && *s->ptr != ':') {
            return false;
        }
        *s = slice_after(*s, s->len > 0 ? 1 : 0);
        return is_host(*host);
    }
    *host = take_until(s, ':');
    return is_host(*host);
}

static bool take_port(struct slice text, uint16_t *port)
{
    uint32_t value = 0;

    if (text.len == 0 || text.len > 5) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (!isdigit(text.ptr[i])) {
            return false;
        }
        value = value * 10 + (uint32_t)(text.ptr[i] - '0');
    }
    *port = (uint16_t)value;
    return value >= 1 && value <= UINT16_MAX;
}

/* Gives. */
static char *copy_slice(struct slice s)
{
    char *copy = mem_alloc(s.len + 1);

    memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return copy;
}

/* [CLIENT_HOST:]CLIENT_PORT; what is wrong, or NULL. */
static const char *take_client(struct slice part, uint16_t *port, char **host)
{
    struct slice name;
    bool has_host = part.len > 0 && memchr(part.ptr, ':', part.len) != NULL;

    if (has_host && !take_host(&part, &name)) {
        return "the client address is not a host";
    }
    if (!take_port(part, port)) {
        return "the client port is not a number from 1 to 65535";
    }
    if (has_host) {
        mem_free(*host);
        *host = copy_slice(name);
    }
    return NULL;
}

/* HOST:QUORUM_PORT:ELECTION_PORT[:ROLE]; what is wrong, or NULL. */
static const char *take_peer(struct slice part, struct config_server_line *line)
{
    struct slice host, role;

    if (memchr(part.ptr, '|', part.len) != NULL) {
        return "several addresses (multiAddress) are not supported yet";
    }
    if (!take_host(&part, &host)) {
        return "it does not begin with a host";
    }
    if (!take_port(take_until(&part, ':'), &line->quorum_port)) {
        return "the quorum port is not a number from 1 to 65535";
    }
    if (!take_port(take_until(&part, ':'), &line->election_port)) {
        return "the election port is not a number from 1 to 65535";
    }
    role = part;
    line->observer = slice_equal_text(role, "observer");
    if (role.len > 0 && !line->observer &&
        !slice_equal_text(role, "participant")) {
        return "the role is neither participant nor observer";
    }
    line->host = copy_slice(host);
    return NULL;
}

static const char *take_line(const char *value, struct config_server_line *line)
{
    struct slice rest = slice_from_text(value);
    struct slice part = take_until(&rest, ';');
    const char *wrong = part.len == 0 ? "it is empty" : take_peer(part, line);

    if (wrong != NULL || rest.len == 0) {
        return wrong;
    }
    wrong = take_client(take_until(&rest, ';'), &line->client_port,
                        &line->client_host);
    if (wrong == NULL && rest.len > 0) {
        return "a secure client port is not supported yet";
    }
    return wrong;
}

static void drop_line(struct config_server_line *line)
{
    mem_free(line->host);
    mem_free(line->client_host);
}

/* True: it was reported. Ids come from keys, so 1 and 01 are two keys. */
static bool is_known_id(struct config_parser *parser,
                        const struct config_entry *entry, uint64_t id)
{
    const struct config *config = parser->config;

    for (size_t i = 0; i < config->servers_count; i++) {
        if (config->servers[i].id == id) {
            config_problem(parser, entry->line,
                           "%s: id %" PRIu64 " is given in %.256s:%zu too",
                           entry->key, id, parser->servers[i].file,
                           parser->servers[i].line);
            return true;
        }
    }
    return false;
}

/* In order of ids: what ZooKeeper shows, and what members are counted by. */
static void insert_line(struct config_parser *parser,
                        const struct config_entry *entry,
                        const struct config_server_line *line)
{
    struct config *config = parser->config;
    size_t at = config->servers_count;

    config->servers = mem_realloc(config->servers,
                                  (config->servers_count + 1) * sizeof(*line));
    while (at > 0 && config->servers[at - 1].id > line->id) {
        config->servers[at] = config->servers[at - 1];
        parser->servers[at] = parser->servers[at - 1];
        at--;
    }
    config->servers[at] = *line;
    parser->servers[at] =
        (struct config_place){.file = entry->file, .line = entry->line};
    config->servers_count++;
}

void config_server_take(struct config_parser *parser,
                        const struct config_entry *entry)
{
    struct config *config = parser->config;
    struct config_server_line line = {0};
    int64_t id;
    const char *wrong;

    if (!config_value_int(strrchr(entry->key, '.') + 1, &id) || id < 1 ||
        id > CONFIG_SERVER_ID_MAX) {
        config_problem(parser, entry->line,
                       "%.64s: the id is not between 1 and %d", entry->key,
                       CONFIG_SERVER_ID_MAX);
        return;
    }
    if (config->servers_count == CONFIG_SERVERS_MAX) {
        config_problem(parser, entry->line, "%s: more than %d servers",
                       entry->key, CONFIG_SERVERS_MAX);
        return;
    }
    line.id = (uint64_t)id;
    wrong = take_line(entry->value, &line);
    if (wrong != NULL) {
        config_problem(parser, entry->line,
                       "%s: %s (host:quorum port:election port[:role]"
                       "[;[host:]client port])",
                       entry->key, wrong);
        drop_line(&line);
    } else if (is_known_id(parser, entry, line.id)) {
        drop_line(&line);
    } else {
        insert_line(parser, entry, &line);
    }
}

void config_server_problem(struct config_parser *parser, size_t index,
                           const char *what)
{
    const char *name = parser->name;

    parser->name = parser->servers[index].file;
    config_problem(parser, parser->servers[index].line,
                   "server.%" PRIu64 ": %s", parser->config->servers[index].id,
                   what);
    parser->name = name;
}

void config_server_warning(struct config_parser *parser, size_t index,
                           const char *what)
{
    const char *name = parser->name;

    parser->name = parser->servers[index].file;
    config_warning(parser, parser->servers[index].line,
                   "server.%" PRIu64 ": %s", parser->config->servers[index].id,
                   what);
    parser->name = name;
}

static void print_host(const char *host, struct buf *out)
{
    bool six = strchr(host, ':') != NULL;

    buf_printf(out, "%s%s%s", six ? "[" : "", host, six ? "]" : "");
}

void config_server_print(const struct config_server_line *line, const char *any,
                         struct buf *out)
{
    buf_printf(out, "server.%" PRIu64 "=", line->id);
    print_host(line->host, out);
    buf_printf(out, ":%u:%u:%s", line->quorum_port, line->election_port,
               line->observer ? "observer" : "participant");
    if (line->client_port != 0) {
        buf_append_text(out, ";");
        if (line->client_host != NULL) {
            print_host(line->client_host, out);
            buf_append_text(out, ":");
        } else {
            buf_append_text(out, any);
        }
        buf_printf(out, "%u", line->client_port);
    }
}
