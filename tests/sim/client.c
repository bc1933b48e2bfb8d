/* Connections, sessions and timers of the model clients. */
#include "tests/sim/client.h"

#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"
#include "tests/sim/client_internal.h"

#define RETRY_US (100 * SIM_MS)
#define SILENT_FIRST_US (20 * SIM_MS)

static void draw_habits(struct client *client);
static void go_down(struct clients *clients, struct client *client,
                    uint64_t dial_in_us);
static void open_wake(struct clients *clients, struct client *client);
static bool misbehave(struct clients *clients, struct client *client);
static void wander(struct clients *clients, struct client *client, bool linger);
static void new_process(struct client *client);
static void shake(struct clients *clients, struct client *client);
static unsigned any_server(struct clients *clients, struct client *client);
static uint64_t timeout_us(const struct clients *clients,
                           const struct client *client);

struct clients *clients_create(struct sim *sim, unsigned count, uint64_t seed,
                               int32_t timeout_ms, bool idle, bool read_only)
{
    struct clients *clients = MEM_NEW(struct clients);
    struct prng seeds;

    prng_init(&seeds, seed);
    clients->sim = sim;
    clients->count = count;
    clients->timeout_ms = timeout_ms;
    clients->read_only = read_only;
    clients->items = MEM_ARRAY(struct client, count);
    clients->arena = arena_create(16384);
    memset(clients->padding, 'x', sizeof(clients->padding));
    for (unsigned i = 0; i < count; i++) {
        struct client *client = &clients->items[i];

        client->index = i;
        client->idle = idle;
        prng_init(&client->prng, prng_next(&seeds));
        draw_habits(client);
        if (!idle) {
            client_later(clients, client, SIM_SECOND);
        }
    }
    return clients;
}

void clients_destroy(struct clients *clients)
{
    if (clients == NULL) {
        return;
    }
    for (unsigned i = 0; i < clients->count; i++) {
        struct client *client = &clients->items[i];

        buf_finish(&client->inbox);
        buf_finish(&client->queued);
        buf_finish(&client->lines);
        mem_free(client->text);
    }
    buf_finish(&clients->out);
    arena_destroy(clients->arena);
    mem_free(clients->items);
    mem_free(clients);
}

void clients_read_linear(struct clients *clients, bool linear)
{
    clients->linear = linear;
}

void clients_attach(struct clients *clients, struct model *model)
{
    clients->model = model;
    model_listen(model, linear_committed, clients);
}

/* ---- from the network */

void client_connected(struct clients *clients, unsigned index, uint64_t conn_id)
{
    struct client *client = &clients->items[index];

    if (client->conn_id != conn_id || client->state != CLIENT_DIALING) {
        return;
    }
    client->state = CLIENT_SHAKING;
    client->until_us = sim_now_us(clients->sim) + timeout_us(clients, client);
    shake(clients, client);
    client_later(clients, client, timeout_us(clients, client));
}

void client_bytes(struct clients *clients, unsigned index, uint64_t conn_id,
                  struct slice bytes)
{
    struct client *client = &clients->items[index];

    if (client->conn_id != conn_id || client->state < CLIENT_SHAKING) {
        return; /* of one that nobody listens to any more */
    }
    client->heard_us = sim_now_us(clients->sim);
    while (bytes.len > 0 && client->conn_id == conn_id) {
        struct buf *inbox = &client->inbox;
        size_t want, take;

        if (inbox->len == 0 && bytes.len >= 4 &&
            bytes.len - 4 >= bytes_load32(bytes.ptr)) {
            size_t len = bytes_load32(bytes.ptr);
            struct slice frame = slice_make(bytes.ptr + 4, len);

            bytes = slice_after(bytes, 4 + len);
            take_packet(clients, client, frame);
            continue;
        }
        want = inbox->len < 4 ? 4 : 4 + (size_t)bytes_load32(inbox->data);
        take = want - inbox->len < bytes.len ? want - inbox->len : bytes.len;
        buf_append(inbox, slice_make(bytes.ptr, take));
        bytes = slice_after(bytes, take);
        if (inbox->len >= 4 &&
            inbox->len == 4 + (size_t)bytes_load32(inbox->data)) {
            struct buf packet = *inbox;

            *inbox = (struct buf){0};
            take_packet(clients, client, slice_after(buf_bytes(&packet), 4));
            if (inbox->data == NULL) {
                buf_clear(&packet);
                *inbox = packet;
            } else {
                buf_finish(&packet);
            }
        }
    }
}

void client_closed(struct clients *clients, unsigned index, uint64_t conn_id)
{
    struct client *client = &clients->items[index];

    if (client->lingering == conn_id) {
        client->lingering = 0;
    }
    if (client->conn_id != conn_id || client->state == CLIENT_DOWN) {
        return;
    }
    if (client->idle) {
        text_line(client, "closed");
    }
    go_down(clients, client, prng_below(&client->prng, RETRY_US));
}

/* ---- the clock */

void client_wake(struct clients *clients, unsigned index)
{
    struct client *client = &clients->items[index];
    uint64_t now_us = sim_now_us(clients->sim);

    switch (client->state) {
        case CLIENT_DOWN:
            if (now_us < client->until_us) {
                client_later(clients, client, client->until_us - now_us);
            } else if (!client->idle || client->queued.len > 0 ||
                       clients->winding) {
                client_dial(clients, client, any_server(clients, client));
            }
            break;
        case CLIENT_DIALING:
        case CLIENT_SHAKING:
            if (now_us >= client->until_us) {
                client_hang_up(clients, client);
            } else {
                client_later(clients, client, client->until_us - now_us);
            }
            break;
        case CLIENT_OPEN:
            open_wake(clients, client);
            break;
    }
}

void clients_wind_up(struct clients *clients)
{
    clients->winding = true;
    for (unsigned i = 0; i < clients->count; i++) {
        struct client *client = &clients->items[i];

        client->wound = WIND_NOT;
        client->until_us = 0;
        client_later(clients, client, SIM_MS);
    }
}

bool clients_settled(const struct clients *clients)
{
    for (unsigned i = 0; i < clients->count; i++) {
        const struct client *client = &clients->items[i];

        if (client->wound != WIND_DONE || client->asks_count > 0) {
            return false;
        }
    }
    return true;
}

void clients_check_tree(struct clients *clients, const struct tree *tree)
{
    const char *wrong;

    if (clients->model == NULL) {
        return;
    }
    /* Each answer was held against the model as it came. */
    wrong = model_compare(clients->model, tree);
    if (wrong != NULL) {
        sim_fail(clients->sim, "AcknowledgedLost: %s", wrong);
    }
}

void client_connect_to(struct clients *clients, unsigned index, unsigned server)
{
    struct client *client = &clients->items[index];

    if (client->conn_id != 0) {
        client_hang_up(clients, client);
    }
    client_dial(clients, client, server);
}

/* ---- for the other files */

void client_say(struct clients *clients, struct client *client)
{
    if (clients->out.len > 0) {
        sim_client_send(clients->sim, client->conn_id,
                        buf_bytes(&clients->out));
        client->said_us = sim_now_us(clients->sim);
    }
    buf_clear(&clients->out);
}

void client_hang_up(struct clients *clients, struct client *client)
{
    if (client->conn_id != 0) {
        sim_hang_up(clients->sim, client->conn_id);
    }
    go_down(clients, client, prng_below(&client->prng, RETRY_US));
}

void client_session_ended(struct client *client)
{
    client->session_id = 0;
    memset(client->password, 0, sizeof(client->password));
    memset(client->watches, 0, sizeof(client->watches));
    client->zxid_process = client->zxid;
}

void client_later(struct clients *clients, struct client *client,
                  uint64_t max_us)
{
    uint64_t in_us = max_us == 0 ? 1 : max_us;

    sim_client_at(clients->sim, client->index,
                  sim_now_us(clients->sim) + in_us);
}

void client_dial(struct clients *clients, struct client *client,
                 unsigned server)
{
    client->state = CLIENT_DIALING;
    client->server = server;
    client->until_us = sim_now_us(clients->sim) + timeout_us(clients, client);
    buf_clear(&client->inbox);
    client->conn_id = sim_dial(clients->sim, client->index, server);
    client_later(clients, client, timeout_us(clients, client));
}

void client_opened(struct clients *clients, struct client *client)
{
    client->state = CLIENT_OPEN;
    client->until_us = 0;
    client->first = 0;
    client->passed = 0;
    client->pings = 0;
    client->auths = 0;
    client->said_us = sim_now_us(clients->sim);
    client->steady_us = client->touched_us = client->said_us;
    buf_clear(&clients->out);
    work_set_watches(clients, client);
    client_say(clients, client);
    if (client->idle) {
        text_flush(clients, client);
    }
    client_later(clients, client, prng_below(&client->prng, SILENT_FIRST_US));
}

bool client_draw(struct client *client, uint64_t one_in)
{
    return prng_below(&client->prng, one_in) == 0;
}

/* ---- what a client is like */

static void draw_habits(struct client *client)
{
    static const uint64_t paces_us[] = {300, 1000, 5000, 20000, 100000};

    client->pace_us = paces_us[prng_below(&client->prng, 5)];
    client->depth = 1 + (uint32_t)prng_below(&client->prng,
                                             client_draw(client, 3) ? 1 : 16);
    client->watches_much = client_draw(client, 2);
    client->writes_much = client_draw(client, 2);
    client->large = client_draw(client, 8);
}

/* What was asked on it is in doubt. */
static void go_down(struct clients *clients, struct client *client,
                    uint64_t dial_in_us)
{
    client->state = CLIENT_DOWN;
    client->conn_id = 0;
    client->asks_count = 0;
    buf_clear(&client->inbox);
    for (size_t i = 0; i < WATCHES_MAX; i++) {
        if (client->watches[i].state == WATCH_TOLD) {
            client->watches[i].state = WATCH_FREE;
        } else if (client->watches[i].state == WATCH_SETTING) {
            client->watches[i].state = WATCH_ARMED;
        }
    }
    if (client->wound == WIND_ASKED) {
        client->wound = WIND_NOT;
    }
    client->until_us = sim_now_us(clients->sim) + dial_in_us;
    client_later(clients, client, dial_in_us);
}

static void open_wake(struct clients *clients, struct client *client)
{
    uint64_t now_us = sim_now_us(clients->sim);
    uint64_t patience_us = timeout_us(clients, client) * 2 / 3;
    bool waits = client->asks_count > 0 || client->pings > 0;

    if (now_us < client->until_us) { /* silent */
        client_later(clients, client, client->until_us - now_us);
        return;
    }
    if (waits && now_us - client->heard_us > patience_us &&
        now_us - client->said_us > patience_us / 2) {
        client_hang_up(clients, client);
        return;
    }
    buf_clear(&clients->out);
    if (client->read_only) {
        if (clients->winding || client_draw(client, 100)) {
            client_hang_up(clients, client);
            return;
        }
        work_draw(clients, client);
    } else if (clients->winding) {
        if (client->wound == WIND_NOT && client->asks_count == 0) {
            work_wind_up(clients, client);
        }
    } else if (!client->idle) {
        if (client_draw(client, 400) && misbehave(clients, client)) {
            return;
        }
        work_draw(clients, client);
    }
    if (now_us - client->said_us > patience_us / 2 && client->pings == 0) {
        work_ping(clients, client);
    }
    client_say(clients, client);
    if (clients->winding || client->idle) {
        client_later(clients, client, patience_us / 4);
    } else {
        client_later(clients, client,
                     prng_below(&client->prng, now_us < client->quiet_us
                                                   ? patience_us / 4
                                                   : 2 * client->pace_us));
    }
}

/* False: it goes on. */
static bool misbehave(struct clients *clients, struct client *client)
{
    switch (prng_below(&client->prng, 8)) {
        case 0: /* abruptly, with requests under way */
            work_draw(clients, client);
            client_say(clients, client);
            client_hang_up(clients, client);
            return true;
        case 1:
            wander(clients, client, false);
            return true;
        case 2: /* and the old connection goes on delivering */
            work_draw(clients, client);
            client_say(clients, client);
            wander(clients, client, true);
            return true;
        case 3:
            if (!client_draw(client, 4)) {
                return false;
            }
            client->until_us =
                sim_now_us(clients->sim) + timeout_us(clients, client) +
                prng_below(&client->prng, timeout_us(clients, client));
            client_later(clients, client, timeout_us(clients, client));
            return true;
        case 4: /* a new process: the same session, xids from 1 */
            client_hang_up(clients, client);
            new_process(client);
            return true;
        case 5:
            if (!client_draw(client, 4) || client->asks_count == ASKS_MAX) {
                return false;
            }
            work_close(clients, client);
            client_say(clients, client);
            client_later(clients, client, timeout_us(clients, client));
            return true;
        case 6: /* it only looks: nothing of it goes to the leader */
            client->quiet_us =
                sim_now_us(clients->sim) + 3 * timeout_us(clients, client);
            return false;
        default:
            return false;
    }
}

static void wander(struct clients *clients, struct client *client, bool linger)
{
    if (client->lingering != 0) {
        sim_hang_up(clients->sim, client->lingering);
        client->lingering = 0;
    }
    if (linger) {
        client->lingering = client->conn_id;
        client->conn_id = 0;
    }
    client_hang_up(clients, client);
    client->until_us = 0;
    client_dial(clients, client, any_server(clients, client));
}

static void new_process(struct client *client)
{
    client->xid = 0;
    client->zxid_process = 0;
    memset(client->watches, 0, sizeof(client->watches));
}

/* ---- the first packet */

static void shake(struct clients *clients, struct client *client)
{
    struct client_connect connect = {
        .request = {.last_zxid_seen = client->zxid_process,
                    .timeout = clients->timeout_ms,
                    .session_id = client->session_id,
                    .password = slice_make(client->password, 16)},
        .has_read_only = true,
    };

    /* A new process may be shown what the one before was past. */
    connect.read_only = clients->read_only && !clients->winding &&
                        client->zxid_process == client->zxid &&
                        (client->idle || client_draw(client, 2));

    client->floor = clients->seen;
    buf_clear(&clients->out);
    client_connect_encode(&connect, &clients->out);
    client_say(clients, client);
}

static unsigned any_server(struct clients *clients, struct client *client)
{
    return 1 + (unsigned)prng_below(&client->prng, sim_servers(clients->sim));
}

static uint64_t timeout_us(const struct clients *clients,
                           const struct client *client)
{
    int32_t ms =
        client->timeout_ms > 0 ? client->timeout_ms : clients->timeout_ms;

    return (uint64_t)ms * SIM_MS;
}
