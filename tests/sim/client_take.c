/* What comes back: whose answer it is, and what the client makes of it. */
#include <string.h>

#include "tests/sim/client_internal.h"

#define NAMES_MANY 40U /* below a path: somebody must clear up */

static void take_handshake(struct clients *clients, struct client *client,
                           struct slice frame);
static void take_event(struct clients *clients, struct client *client,
                       const struct zk_reply_header *header,
                       struct slice frame);
static bool take_passing(struct clients *clients, struct client *client,
                         const struct zk_reply_header *header);
static void take_answer(struct clients *clients, struct client *client,
                        struct slice frame,
                        const struct zk_reply_header *header);
static void learn(struct clients *clients, struct client *client,
                  const struct ask *ask, const struct client_reply *reply);
static void learn_version(struct client *client, const struct ask *ask,
                          const struct client_reply *reply);
static void clear_up(struct client *client, const struct ask *ask,
                     const struct zk_strings_response *names);

void take_packet(struct clients *clients, struct client *client,
                 struct slice frame)
{
    struct zk_reply_header header;

    arena_reset(clients->arena);
    if (client->state == CLIENT_SHAKING) {
        take_handshake(clients, client, frame);
        return;
    }
    if (client_reply_header_decode(frame, &header) != 0) {
        sim_fail(clients->sim, "Clients: client %u gets half a header",
                 client->index);
        return;
    }
    if (header.xid == ZK_XID_NOTIFICATION) {
        take_event(clients, client, &header, frame);
        return;
    }
    if (header.xid != ZK_XID_AUTH) {
        linear_header(clients, client, &header);
    }
    if (!take_passing(clients, client, &header)) {
        take_answer(clients, client, frame, &header);
    }
}

static void take_handshake(struct clients *clients, struct client *client,
                           struct slice frame)
{
    struct zk_connect_response response;
    bool fresh = client->session_id == 0, read_only;

    if (client_connect_decode_reply(frame, &response, &read_only) != 0 ||
        (response.session_id != 0 && response.password.len != 16)) {
        sim_fail(clients->sim, "Clients: client %u is answered with rubbish",
                 client->index);
        return;
    }
    client->read_only = read_only;
    linear_handshake(clients, client, &response);
    if (response.session_id == 0) {
        sim_count(clients->sim, "sessions told that they are expired");
        if (client->idle) {
            text_line(client, "refused");
        }
        client_session_ended(client);
        client_hang_up(clients, client);
        return;
    }
    sim_count(clients->sim, read_only ? "sessions served read-only"
                            : fresh   ? "sessions opened"
                                      : "sessions resumed");
    if (client->idle) {
        text_line(client, "%s%s", fresh ? "session" : "resumed",
                  read_only ? " read-only" : "");
    }
    client->timeout_ms = response.timeout;
    if (!read_only) {
        client->session_id = response.session_id;
        memcpy(client->password, response.password.ptr, 16);
    }
    client_opened(clients, client);
}

static void take_event(struct clients *clients, struct client *client,
                       const struct zk_reply_header *header, struct slice frame)
{
    struct zk_watcher_event event;

    if (client_event_decode(slice_after(frame, ZK_REPLY_HEADER_SIZE), &event) !=
        0) {
        sim_fail(clients->sim, "Clients: client %u gets half an event",
                 client->index);
        return;
    }
    sim_count(clients->sim, "watch events");
    watches_event(clients, client, header->zxid, &event);
    if (client->idle) {
        text_event(client, &event);
    }
}

/* Pings and auth have an order of their own. */
static bool take_passing(struct clients *clients, struct client *client,
                         const struct zk_reply_header *header)
{
    uint32_t *asked = header->xid == ZK_XID_PING   ? &client->pings
                      : header->xid == ZK_XID_AUTH ? &client->auths
                                                   : NULL;

    if (asked == NULL) {
        return false;
    }
    if (*asked == 0 || header->err != ZK_OK) {
        sim_fail(clients->sim,
                 "Clients: client %u gets an answer %d to xid %d, %u were "
                 "asked",
                 client->index, header->err, header->xid, *asked);
    }
    *asked -= *asked > 0;
    if (header->xid == ZK_XID_PING) {
        linear_attended(clients, client, client->ping_us);
    }
    return true;
}

static void take_answer(struct clients *clients, struct client *client,
                        struct slice frame,
                        const struct zk_reply_header *header)
{
    struct client_reply reply;
    struct ask *ask = ask_at(client, 0);
    bool closed;

    if (client->asks_count == 0 || ask->xid != header->xid) {
        sim_fail(clients->sim,
                 "Order: client %u gets an answer to xid %d, it waits for %d",
                 client->index, header->xid,
                 client->asks_count == 0 ? 0 : ask->xid);
        return;
    }
    if (client_reply_decode(frame, ask->op, clients->arena, &reply) != 0) {
        sim_fail(clients->sim, "Clients: client %u gets half an answer to %d",
                 client->index, ask->op);
        return;
    }
    sim_count(clients->sim, "requests answered");
    linear_attended(clients, client, ask->sent_us);
    linear_answer(clients, client, ask, &reply);
    watches_arm(clients, client, ask, &reply);
    learn(clients, client, ask, &reply);
    if (ask->by_hand) {
        text_answer(client, ask, &reply);
    }
    if (ask->last && client->wound == WIND_ASKED) {
        client->wound = WIND_DONE;
    }
    closed = ask->op == ZK_OP_CLOSE_SESSION;
    client->asks_first = (client->asks_first + 1) % ASKS_MAX;
    client->asks_count--;
    if (closed) {
        sim_count(clients->sim, "sessions closed");
        client_session_ended(client);
        client_hang_up(clients, client);
    }
}

/* For what it asks later. */
static void learn(struct clients *clients, struct client *client,
                  const struct ask *ask, const struct client_reply *reply)
{
    struct slice path;

    if (reply->code == ZK_NO_NODE &&
        (ask->op == ZK_OP_CREATE || ask->op == ZK_OP_CREATE2) &&
        ask->flags >= ZK_PERSISTENT_SEQUENTIAL) {
        client->need_parents = true;
    }
    if (reply->code != ZK_OK) {
        return;
    }
    learn_version(client, ask, reply);
    if (ask->op == ZK_OP_CREATE || ask->op == ZK_OP_CREATE2) {
        path =
            ask->op == ZK_OP_CREATE ? reply->path.path : reply->path_stat.path;
        if (ask->flags == ZK_PERSISTENT_SEQUENTIAL && !ask->by_hand &&
            client->names_count < NAMES_MAX && path.len < PATH_SIZE) {
            char *name = client->names[client->names_count++];

            memcpy(name, path.ptr, path.len);
            name[path.len] = '\0';
        }
    } else if (ask->op == ZK_OP_GET_CHILDREN && !client->idle) {
        clear_up(client, ask, &reply->names);
    } else if (ask->op == ZK_OP_SYNC || ask->op == ZK_OP_MULTI) {
        sim_count(clients->sim, ask->op == ZK_OP_SYNC ? "syncs" : "multis");
    }
}

static void learn_version(struct client *client, const struct ask *ask,
                          const struct client_reply *reply)
{
    const char *path = ask->one.path;
    size_t reg = (size_t)(path[1] == '\0' ? 99 : path[2] - '0');

    if (path[0] != '/' || path[1] != 'r' || reg >= REGISTERS) {
        return;
    }
    if (ask->op == ZK_OP_GET_DATA) {
        client->versions[reg] = reply->data.stat.version;
    } else if (ask->op == ZK_OP_SET_DATA || ask->op == ZK_OP_EXISTS) {
        client->versions[reg] = reply->stat.version;
    }
}

/* What others left behind. */
static void clear_up(struct client *client, const struct ask *ask,
                     const struct zk_strings_response *names)
{
    if (names->names_count < NAMES_MANY || strcmp(ask->one.path, "/q") != 0) {
        return;
    }
    for (size_t i = 0; client->names_count < NAMES_MAX && i < 2; i++) {
        struct slice name =
            names->names[prng_below(&client->prng, names->names_count)];

        if (name.len < PATH_SIZE - 4) {
            (void)snprintf(client->names[client->names_count++], PATH_SIZE,
                           "/q/%.*s", (int)name.len, (const char *)name.ptr);
        }
    }
}
