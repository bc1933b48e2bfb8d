#include <ctype.h>

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

static const char *take_line(struct config_parser *parser, const char *value,
                             struct config_server_line *line)
{
    struct slice rest = slice_from_text(value);
    struct slice part = take_until(&rest, ';');
    const char *wrong = part.len == 0 ? "it is empty" : take_peer(part, line);

    if (wrong != NULL || rest.len == 0) {
        return wrong;
    }
    wrong = take_client(take_until(&rest, ';'), &line->client_port,
                        &parser->client_host);
    if (wrong == NULL && rest.len > 0) {
        return "a secure client port is not supported yet";
    }
    return wrong;
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
    wrong = take_line(parser, entry->value, &line);
    if (wrong != NULL) {
        config_problem(parser, entry->line,
                       "%s: %s (host:quorum port:election port[:role]"
                       "[;[host:]client port])",
                       entry->key, wrong);
        mem_free(line.host);
        return;
    }
    for (size_t i = 0; i < config->servers_count; i++) {
        if (config->servers[i].id == line.id) {
            config_problem(parser, entry->line, "%s: id %u is given twice",
                           entry->key, (unsigned)line.id);
            mem_free(line.host);
            return;
        }
    }
    config->servers = mem_realloc(config->servers,
                                  (config->servers_count + 1) * sizeof(line));
    config->servers[config->servers_count++] = line;
    if (config->servers_count == 2) {
        parser->line_servers = entry->line;
    }
}
