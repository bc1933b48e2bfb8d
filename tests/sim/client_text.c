/* Clients told what to do, a line at a time, and what they were answered. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "tests/sim/client_internal.h"

#define WORDS_MAX 6

static void ask_line(struct clients *clients, struct client *client,
                     char *line);
static void ask_write(struct clients *clients, struct client *client,
                      char **words, size_t count);
static void ask_path(struct clients *clients, struct client *client,
                     enum zk_op op, char **words, size_t count);
static size_t split(char *line, char **words);
static int by_name(const void *a, const void *b);
static void add_names(struct buf *text, const struct slice *names,
                      size_t count);

void client_ask(struct clients *clients, unsigned index, const char *request)
{
    struct client *client = &clients->items[index];

    buf_printf(&client->queued, "%s\n", request);
    if (client->state == CLIENT_OPEN) {
        text_flush(clients, client);
    } else if (client->state == CLIENT_DOWN) {
        client_dial(clients, client, 1 + index % sim_servers(clients->sim));
    }
}

const char *client_lines(struct clients *clients, unsigned index)
{
    struct client *client = &clients->items[index];

    mem_free(client->text);
    client->text = mem_alloc(client->lines.len + 1);
    if (client->lines.len > 0) {
        memcpy(client->text, client->lines.data, client->lines.len);
    }
    client->text[client->lines.len] = '\0';
    buf_clear(&client->lines);
    return client->text;
}

void text_flush(struct clients *clients, struct client *client)
{
    struct buf queued = client->queued;
    char *at, *end;

    client->queued = (struct buf){0};
    buf_append(&queued, slice_make("", 1));
    buf_clear(&clients->out);
    for (at = (char *)queued.data; (end = strchr(at, '\n')) != NULL;
         at = end + 1) {
        *end = '\0';
        ask_line(clients, client, at);
    }
    client_say(clients, client);
    buf_finish(&queued);
}

void text_answer(struct client *client, const struct ask *ask,
                 const struct client_reply *reply)
{
    const struct client_op *row = client_op_find(ask->op);
    struct buf *lines = &client->lines;

    buf_printf(lines, "%s %s", row->name, ask->one.path);
    if (reply->code != ZK_OK) {
        buf_printf(lines, ": %s\n", zk_code_text(reply->code));
        return;
    }
    switch ((int)ask->op) {
        case ZK_OP_CREATE:
            if (ask->flags >= ZK_PERSISTENT_SEQUENTIAL) {
                buf_printf(lines, " %.*s", (int)reply->path.path.len,
                           (const char *)reply->path.path.ptr);
            }
            break;
        case ZK_OP_SET_DATA:
        case ZK_OP_EXISTS:
            buf_printf(lines, " v%d", reply->stat.version);
            break;
        case ZK_OP_GET_DATA:
            buf_printf(lines, " '%.*s' v%d", (int)reply->data.data.len,
                       (const char *)reply->data.data.ptr,
                       reply->data.stat.version);
            break;
        case ZK_OP_GET_CHILDREN:
            add_names(lines, reply->names.names, reply->names.names_count);
            break;
        default:
            break;
    }
    buf_append_text(lines, "\n");
}

void text_event(struct client *client, const struct zk_watcher_event *event)
{
    static const char *const names[] = {"?", "created", "deleted", "changed",
                                        "children"};

    text_line(client, "event %s %.*s",
              names[event->type >= 1 && event->type <= 4 ? event->type : 0],
              (int)event->path.len, (const char *)event->path.ptr);
}

void text_line(struct client *client, const char *format, ...)
{
    char line[256];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    buf_printf(&client->lines, "%s\n", line);
}

static void ask_line(struct clients *clients, struct client *client, char *line)
{
    static const struct {
        const char *word;
        enum zk_op op;
    } reads[] = {{"get", ZK_OP_GET_DATA},
                 {"exists", ZK_OP_EXISTS},
                 {"ls", ZK_OP_GET_CHILDREN},
                 {"sync", ZK_OP_SYNC}};
    char *words[WORDS_MAX];
    size_t count = split(line, words);

    CHECK(count > 0);
    CHECK(client->asks_count < ASKS_MAX);
    if (strcmp(words[0], "ping") == 0) {
        work_ping(clients, client);
        return;
    }
    if (strcmp(words[0], "close") == 0) {
        work_close(clients, client);
        ask_at(client, client->asks_count - 1)->by_hand = true;
        return;
    }
    CHECK(count > 1);
    for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
        if (strcmp(words[0], reads[i].word) == 0) {
            ask_path(clients, client, reads[i].op, words, count);
            return;
        }
    }
    ask_write(clients, client, words, count);
}

/* create [-e] [-s] PATH [DATA], set PATH DATA [VERSION], delete PATH
 * [VERSION] */
static void ask_write(struct clients *clients, struct client *client,
                      char **words, size_t count)
{
    enum zk_op op = strcmp(words[0], "create") == 0   ? ZK_OP_CREATE
                    : strcmp(words[0], "set") == 0    ? ZK_OP_SET_DATA
                    : strcmp(words[0], "delete") == 0 ? ZK_OP_DELETE
                                                      : ZK_OP_ERROR;
    struct ask *ask = work_ask(clients, client, op);
    size_t version = op == ZK_OP_DELETE ? 2 : 3;
    size_t at = 1;

    CHECK(op != ZK_OP_ERROR);
    ask->by_hand = true;
    while (op == ZK_OP_CREATE && at < count && words[at][0] == '-') {
        ask->flags |=
            words[at][1] == 'e' ? ZK_EPHEMERAL : ZK_PERSISTENT_SEQUENTIAL;
        at++;
    }
    CHECK(at < count && strlen(words[at]) < PATH_SIZE - 10);
    work_path(&ask->one, "%s", words[at]);
    if (op != ZK_OP_CREATE && version < count) {
        ask->one.version = (int32_t)strtol(words[version], NULL, 10);
    }
    work_send(clients, client, ask,
              op != ZK_OP_DELETE && at + 1 < count
                  ? slice_from_text(words[at + 1])
                  : (struct slice){0});
}

static void ask_path(struct clients *clients, struct client *client,
                     enum zk_op op, char **words, size_t count)
{
    struct ask *ask = work_ask(clients, client, op);

    ask->by_hand = true;
    ask->watch = count > 2 && strcmp(words[2], "w") == 0;
    work_path(&ask->one, "%s", words[1]);
    work_send(clients, client, ask, (struct slice){0});
}

static size_t split(char *line, char **words)
{
    size_t count = 0;

    while (*line != '\0' && count < WORDS_MAX) {
        while (*line == ' ') {
            *line++ = '\0';
        }
        if (*line != '\0') {
            words[count++] = line;
        }
        while (*line != ' ' && *line != '\0') {
            line++;
        }
    }
    return count;
}

static int by_name(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

/* Sorted: servers promise no order. */
static void add_names(struct buf *text, const struct slice *names, size_t count)
{
    struct slice *sorted = MEM_ARRAY(struct slice, count + 1);

    for (size_t i = 0; i < count; i++) {
        sorted[i] = names[i];
    }
    qsort(sorted, count, sizeof(sorted[0]), by_name);
    for (size_t i = 0; i < count; i++) {
        buf_printf(text, " %.*s", (int)sorted[i].len,
                   (const char *)sorted[i].ptr);
    }
    mem_free(sorted);
}
