/* What clients ask: drawn, written as bytes, and noted until it is answered. */
#include <stdarg.h>
#include <string.h>

#include "base/check.h"
#include "tests/sim/client_internal.h"

#define PADDING_MAX 3000

static const struct zk_acl open_acl = {
    ZK_PERM_ALL,
    {{(const uint8_t *)"world", 5}, {(const uint8_t *)"anyone", 6}}};

static void draw_one(struct clients *clients, struct client *client);
static void draw_write(struct clients *clients, struct client *client);
static void draw_read(struct clients *clients, struct client *client);
static void ask_read(struct clients *clients, struct client *client,
                     enum zk_op op, const char *path);
static void ask_set(struct clients *clients, struct client *client,
                    const char *path, int32_t version);
static void ask_create(struct clients *clients, struct client *client,
                       const char *path, int32_t flags);
static void ask_delete(struct clients *clients, struct client *client,
                       const char *path, int32_t version);
static void ask_multi(struct clients *clients, struct client *client);
static void ask_auth(struct clients *clients, struct client *client);
static void encode_part(const struct ask_part *part, int32_t flags,
                        struct slice data, struct client_request *request);
static struct slice value_text(struct client *client, char *text, size_t size);
static struct slice value_make(struct clients *clients, struct client *client,
                               char *text, size_t size);
static int32_t some_version(struct client *client, size_t reg);
static bool room(const struct client *client, uint32_t count);
static bool may_watch(const struct client *client);

void work_draw(struct clients *clients, struct client *client)
{
    uint32_t burst = 1 + (uint32_t)prng_below(&client->prng, client->depth);

    for (uint32_t i = 0; i < burst && client->asks_count < client->depth; i++) {
        draw_one(clients, client);
    }
}

void work_ping(struct clients *clients, struct client *client)
{
    struct client_request request = {.xid = ZK_XID_PING, .op = ZK_OP_PING};

    if (client->pings++ == 0) {
        client->ping_us = sim_now_us(clients->sim);
    }
    client_request_encode(&request, &clients->out);
}

void work_close(struct clients *clients, struct client *client)
{
    work_send(clients, client, work_ask(clients, client, ZK_OP_CLOSE_SESSION),
              (struct slice){0});
}

void work_set_watches(struct clients *clients, struct client *client)
{
    struct slice lists[3][WATCHES_MAX];
    size_t counts[3] = {0};
    struct client_request request = {.op = ZK_OP_SET_WATCHES};
    struct ask *ask;

    for (size_t i = 0; i < WATCHES_MAX; i++) {
        struct watch *watch = &client->watches[i];
        int list = watch->kind == MODEL_WATCH_CHILD ? 2 : watch->absent ? 1 : 0;

        if (watch->state != WATCH_FREE) {
            watch->state = WATCH_SETTING;
            lists[list][counts[list]++] = slice_from_text(watch->path);
        }
    }
    if (counts[0] + counts[1] + counts[2] == 0) {
        return;
    }
    if (client_draw(client, 2)) {
        request.op = ZK_OP_SET_WATCHES2;
        request.set_watches.persistent = lists[0];
        request.set_watches.recursive = lists[0];
    }
    ask = work_ask(clients, client, request.op);
    ask->xid = ZK_XID_SET_WATCHES;
    ask->relative = client->zxid_process;
    client->xid--;
    request.xid = ask->xid;
    request.set_watches.relative_zxid = ask->relative;
    request.set_watches.data = lists[0];
    request.set_watches.data_count = counts[0];
    request.set_watches.exist = lists[1];
    request.set_watches.exist_count = counts[1];
    request.set_watches.child = lists[2];
    request.set_watches.child_count = counts[2];
    client_request_encode(&request, &clients->out);
}

/* Every client's next write must be acknowledged. */
void work_wind_up(struct clients *clients, struct client *client)
{
    char path[PATH_SIZE];
    struct ask *ask;

    (void)snprintf(path, sizeof(path), "/c%u", client->index);
    ask_create(clients, client, path, ZK_PERSISTENT);
    ask_set(clients, client, path, -1);
    ask = work_ask(clients, client, ZK_OP_SYNC);
    work_path(&ask->one, "%s", path);
    ask->last = true;
    work_send(clients, client, ask, (struct slice){0});
    client->wound = WIND_ASKED;
}

struct ask *work_ask(struct clients *clients, struct client *client,
                     enum zk_op op)
{
    struct ask *ask;

    CHECK(client->asks_count < ASKS_MAX);
    ask = ask_at(client, client->asks_count++);
    ask->xid = ++client->xid;
    ask->op = op;
    ask->serial = ++client->serial;
    ask->sent_us = sim_now_us(clients->sim);
    ask->seen = clients->seen;
    ask->committed = 0;
    ask->doubtful = false;
    ask->watch = false;
    ask->by_hand = false;
    ask->last = false;
    ask->flags = 0;
    ask->one.op = op;
    ask->one.version = -1;
    ask->one.data = 0;
    ask->one.path[0] = '\0';
    ask->parts_count = 0;
    return ask;
}

void work_path(struct ask_part *part, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(part->path, sizeof(part->path), format, args);
    va_end(args);
}

/* Everything but multi and setWatches. */
void work_send(struct clients *clients, struct client *client, struct ask *ask,
               struct slice data)
{
    struct client_request request = {.xid = ask->xid, .op = ask->op};

    (void)client;
    ask->one.data = model_hash(data);
    switch ((int)ask->op) {
        case ZK_OP_GET_DATA:
        case ZK_OP_EXISTS:
        case ZK_OP_GET_CHILDREN:
        case ZK_OP_GET_CHILDREN2:
            request.path_watch.path = slice_from_text(ask->one.path);
            request.path_watch.watch = ask->watch;
            break;
        case ZK_OP_SYNC:
            request.path.path = slice_from_text(ask->one.path);
            break;
        case ZK_OP_CLOSE_SESSION:
            break;
        default:
            encode_part(&ask->one, ask->flags, data, &request);
            break;
    }
    client_request_encode(&request, &clients->out);
}

static void draw_one(struct clients *clients, struct client *client)
{
    uint64_t die = prng_below(&client->prng, 100);

    if (sim_now_us(clients->sim) < client->quiet_us ||
        (client->read_only && die >= 14)) {
        draw_read(clients, client);
        return;
    }
    if (client->need_parents && room(client, 2)) {
        client->need_parents = false;
        ask_create(clients, client, "/q", ZK_PERSISTENT);
        ask_create(clients, client, "/l", ZK_PERSISTENT);
        return;
    }
    if (die < 2) {
        ask_auth(clients, client);
    } else if (die < 4) {
        work_ping(clients, client);
    } else if (die < 10 && room(client, 2)) {
        struct ask *ask = work_ask(clients, client, ZK_OP_SYNC);

        work_path(&ask->one, "/r0");
        work_send(clients, client, ask, (struct slice){0});
        draw_read(clients, client);
    } else if (die < (client->writes_much ? 70U : 40U)) {
        draw_write(clients, client);
    } else {
        draw_read(clients, client);
    }
}

static void draw_write(struct clients *clients, struct client *client)
{
    uint64_t die = prng_below(&client->prng, 100);
    size_t reg = prng_below(&client->prng, REGISTERS);
    char path[PATH_SIZE];

    (void)snprintf(path, sizeof(path), "/r%zu", reg);
    if (die < 35) {
        ask_set(clients, client, path, some_version(client, reg));
    } else if (die < 45) {
        ask_create(clients, client, path, ZK_PERSISTENT);
    } else if (die < 50) {
        ask_delete(clients, client, path, some_version(client, reg));
    } else if (die < 60) {
        (void)snprintf(path, sizeof(path), "/e%d",
                       (int)prng_below(&client->prng, EPHEMERALS));
        if (client_draw(client, 3)) {
            ask_delete(clients, client, path, -1);
        } else {
            ask_create(clients, client, path, ZK_EPHEMERAL);
        }
    } else if (die < 70) {
        (void)snprintf(path, sizeof(path), "/c%u", client->index);
        if (client_draw(client, 8)) {
            ask_create(clients, client, path, ZK_PERSISTENT);
        } else {
            ask_set(clients, client, path, -1);
        }
    } else if (die < 80) {
        if (client->names_count == NAMES_MAX) {
            client->names_count--;
            ask_delete(clients, client, client->names[client->names_count], -1);
        } else {
            ask_create(clients, client, "/q/s-", ZK_PERSISTENT_SEQUENTIAL);
        }
    } else if (die < 84) {
        ask_create(clients, client, "/l/n-", ZK_EPHEMERAL_SEQUENTIAL);
    } else if (die < 94) {
        ask_multi(clients, client);
    } else if (die < 97) {
        ask_set(clients, client, "/none", -1); /* refused, always */
    } else {
        ask_create(clients, client, "/none/x", ZK_PERSISTENT);
    }
}

static void draw_read(struct clients *clients, struct client *client)
{
    uint64_t die = prng_below(&client->prng, 100);
    char path[PATH_SIZE];

    if (die < 55) {
        (void)snprintf(path, sizeof(path), "/r%d",
                       (int)prng_below(&client->prng, REGISTERS));
    } else if (die < 65) {
        (void)snprintf(path, sizeof(path), "/c%u", client->index);
    } else if (die < 80) {
        (void)snprintf(path, sizeof(path), "/e%d",
                       (int)prng_below(&client->prng, EPHEMERALS));
    } else {
        (void)snprintf(path, sizeof(path), "%s",
                       die < 88   ? "/q"
                       : die < 96 ? "/l"
                                  : "/");
        ask_read(clients, client,
                 client_draw(client, 2) ? ZK_OP_GET_CHILDREN
                                        : ZK_OP_GET_CHILDREN2,
                 path);
        return;
    }
    ask_read(clients, client,
             client_draw(client, 3) ? ZK_OP_EXISTS : ZK_OP_GET_DATA, path);
}

static void ask_read(struct clients *clients, struct client *client,
                     enum zk_op op, const char *path)
{
    struct ask *ask = work_ask(clients, client, op);

    work_path(&ask->one, "%s", path);
    ask->watch =
        client_draw(client, client->watches_much ? 2 : 8) && may_watch(client);
    work_send(clients, client, ask, (struct slice){0});
}

static void ask_set(struct clients *clients, struct client *client,
                    const char *path, int32_t version)
{
    struct ask *ask = work_ask(clients, client, ZK_OP_SET_DATA);
    char value[32];

    work_path(&ask->one, "%s", path);
    ask->one.version = version;
    work_send(clients, client, ask,
              value_make(clients, client, value, sizeof(value)));
}

static void ask_create(struct clients *clients, struct client *client,
                       const char *path, int32_t flags)
{
    struct ask *ask = work_ask(
        clients, client, client_draw(client, 2) ? ZK_OP_CREATE : ZK_OP_CREATE2);
    char value[32];

    work_path(&ask->one, "%s", path);
    ask->flags = flags;
    work_send(clients, client, ask,
              value_make(clients, client, value, sizeof(value)));
}

static void ask_delete(struct clients *clients, struct client *client,
                       const char *path, int32_t version)
{
    struct ask *ask = work_ask(clients, client, ZK_OP_DELETE);

    work_path(&ask->one, "%s", path);
    ask->one.version = version;
    work_send(clients, client, ask, (struct slice){0});
}

/* Parts on paths of their own, so that each can be judged by itself. */
static void ask_multi(struct clients *clients, struct client *client)
{
    static const enum zk_op ops[] = {ZK_OP_SET_DATA, ZK_OP_SET_DATA,
                                     ZK_OP_CREATE,   ZK_OP_DELETE,
                                     ZK_OP_CHECK,    ZK_OP_CREATE2};
    struct client_request requests[PARTS_MAX] = {0};
    struct client_request request = {.op = ZK_OP_MULTI};
    char values[PARTS_MAX][32];
    struct ask *ask = work_ask(clients, client, ZK_OP_MULTI);
    size_t first = prng_below(&client->prng, REGISTERS);

    ask->parts_count = 1 + prng_below(&client->prng, PARTS_MAX);
    for (size_t i = 0; i < ask->parts_count; i++) {
        struct ask_part *part = &ask->parts[i];
        size_t reg = (first + i) % REGISTERS;
        struct slice data = {0};

        part->op = ops[prng_below(&client->prng, 6)];
        part->version = client_draw(client, 4) ? some_version(client, reg) : -1;
        part->data = 0;
        work_path(part, "/r%zu", reg);
        if (part->op != ZK_OP_DELETE && part->op != ZK_OP_CHECK) {
            data = value_text(client, values[i], sizeof(values[i]));
            part->data = model_hash(data);
        }
        requests[i].op = part->op;
        encode_part(part, ZK_PERSISTENT, data, &requests[i]);
    }
    request.xid = ask->xid;
    request.multi.ops = requests;
    request.multi.count = ask->parts_count;
    client_request_encode(&request, &clients->out);
}

static void ask_auth(struct clients *clients, struct client *client)
{
    struct client_request request = {
        .xid = ZK_XID_AUTH,
        .op = ZK_OP_AUTH,
        .auth = {0, SLICE_LITERAL("digest"), SLICE_LITERAL("user:secret")}};

    client->auths++;
    client_request_encode(&request, &clients->out);
}

static void encode_part(const struct ask_part *part, int32_t flags,
                        struct slice data, struct client_request *request)
{
    struct slice path = slice_from_text(part->path);

    switch ((int)part->op) {
        case ZK_OP_CREATE:
        case ZK_OP_CREATE2:
            request->create.path = path;
            request->create.data = data;
            request->create.acl = &open_acl;
            request->create.acl_count = 1;
            request->create.flags = flags;
            break;
        case ZK_OP_SET_DATA:
            request->set_data.path = path;
            request->set_data.data = data;
            request->set_data.version = part->version;
            break;
        case ZK_OP_DELETE:
        case ZK_OP_CHECK:
            request->path_version.path = path;
            request->path_version.version = part->version;
            break;
        default:
            UNREACHABLE();
    }
}

/* No two values are the same. */
static struct slice value_text(struct client *client, char *text, size_t size)
{
    int len = snprintf(text, size, "c%u.%llu", client->index,
                       (unsigned long long)++client->values);

    return slice_make(text, (size_t)len);
}

static struct slice value_make(struct clients *clients, struct client *client,
                               char *text, size_t size)
{
    struct slice value = value_text(client, text, size);

    if (!client->large || !client_draw(client, 4)) {
        return value;
    }
    memcpy(clients->padding, value.ptr, value.len);
    clients->padding[value.len] = ' ';
    return slice_make(clients->padding,
                      value.len + 1 + prng_below(&client->prng, PADDING_MAX));
}

static int32_t some_version(struct client *client, size_t reg)
{
    uint64_t die = prng_below(&client->prng, 10);

    if (die < 4) {
        return -1;
    }
    return die < 9 ? client->versions[reg] : client->versions[reg] + 7;
}

static bool room(const struct client *client, uint32_t count)
{
    return client->asks_count + count <= ASKS_MAX;
}

static bool may_watch(const struct client *client)
{
    size_t used = 0;

    for (size_t i = 0; i < WATCHES_MAX; i++) {
        used += client->watches[i].state != WATCH_FREE;
    }
    for (uint32_t i = 0; i < client->asks_count; i++) {
        used += client->asks[(client->asks_first + i) % ASKS_MAX].watch;
    }
    return used < WATCHES_MAX;
}
