/* Which connections there are: the mesh, which the simulator keeps up as
 * server/ does, the quorum links that replicas ask for, and clients'. */
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/map.h"
#include "base/mutation.h"
#include "proto/peer.h"
#include "tests/sim/sim_internal.h"

#define CONNECT_US_MAX (5 * SIM_SECOND)
#define REDIAL_US_MAX (500 * SIM_MS)
#define LATE_US_MAX (2 * SIM_SECOND)

static enum peer_link link_of(const struct wire *wire, unsigned part);
static void both_come(struct sim *sim, struct wire *wire);
static void agree(struct sim *sim, struct wire *wire);
static void refuse(struct sim *sim, struct wire *wire, uint64_t most_us);
static void check_version(struct sim *sim, const struct wire *wire,
                          unsigned from, const struct peer_msg *msg);
static struct packet *encode(struct sim *sim, const struct peer_msg *msg);

/* ---- servers' */

void sim_peer_up(struct sim *sim, struct wire *wire, unsigned part)
{
    struct server *server = server_of(sim, wire->parts[part]);
    unsigned peer = wire->parts[1 - part];
    enum peer_link link = link_of(wire, part);
    struct slot *slot = &server->slots[link][peer];
    struct replica_input input = {.link = link, .peer_id = peer};
    struct wire *old = wire_find(sim, slot->stamp);

    if (old != NULL) {
        if (draw_chance(sim, PRNG_NET, 2)) {
            input.type = REPLICA_PEER_DOWN;
            server_input(sim, server, &input);
        }
        wire_close(sim, old, part, CLOSE_RESET);
    }
    if (server->dial_stamp == wire->stamp) {
        server->dial_stamp = 0;
    }
    slot->stamp = wire->stamp;
    slot->changed_at = server->effects.count;
    input.type = REPLICA_PEER_UP;
    if (wire->kind == WIRE_QUORUM) {
        input.version = wire->version;
    }
    server_input(sim, server, &input);
}

void sim_peer_down(struct sim *sim, struct wire *wire, unsigned part)
{
    struct server *server = server_of(sim, wire->parts[part]);
    unsigned peer = wire->parts[1 - part];
    enum peer_link link = link_of(wire, part);
    struct slot *slot = &server->slots[link][peer];
    struct replica_input input = {
        .type = REPLICA_PEER_DOWN, .link = link, .peer_id = peer};

    if (slot->stamp != wire->stamp && server->dial_stamp != wire->stamp) {
        return;
    }
    if (server->dial_stamp == wire->stamp) {
        server->dial_stamp = 0;
    } else {
        slot->stamp = 0;
    }
    slot->changed_at = server->effects.count;
    server_input(sim, server, &input);
    if (wire->kind == WIRE_MESH && part == 0) {
        sim_peer_mesh_wish(sim, server->id, peer,
                           draw(sim, PRNG_NET, SIM_MS, REDIAL_US_MAX));
    }
}

void sim_peer_frame(struct sim *sim, struct wire *wire, unsigned part,
                    struct slice frame)
{
    struct server *server = server_of(sim, wire->parts[part]);
    unsigned peer = wire->parts[1 - part];
    enum peer_link link = link_of(wire, part);
    uint64_t current = server->slots[link][peer].stamp;
    struct replica_input input = {
        .type = REPLICA_PEER_MESSAGE, .link = link, .peer_id = peer};
    struct peer_msg msg;
    int err;

    if (current != wire->stamp &&
        !(MUTATION(21) && current != 0 && server->up && !server->paused)) {
        return;
    }
    arena_reset(sim->arena);
    err = peer_msg_decode(frame, sim->arena, &msg);
    if (err != 0) {
        sim_fail(sim, "Codec: a message of server %u does not decode: %d", peer,
                 err);
        return;
    }
    trace_mix(sim, bytes_load32(frame.ptr), frame.len);
    input.message = &msg;
    if (msg.type == PEER_REFUSED) {
        sim_count(sim, "refusals in their place");
    } else if (msg.type == PEER_SESSION_MOVED) {
        sim_count(sim, "sessions moved away");
    }
    if (msg.type == PEER_DIGEST && sim->lie_due && server->up) {
        faults_digest(sim, server, &msg);
    }
    if (sim->trap == msg.type) {
        faults_message(sim, wire, part, msg.type);
    }
    if (server->up) {
        server_input(sim, server, &input);
    }
    peer_msg_finish(&msg);
}

static enum peer_link link_of(const struct wire *wire, unsigned part)
{
    if (wire->kind == WIRE_MESH) {
        return PEER_LINK_ELECTION;
    }
    return part == 0 ? PEER_LINK_LEADER : PEER_LINK_LEARNER;
}

/* This server's end of the link, if that is the one which the effect meant. */
static struct wire *effect_wire(struct sim *sim, struct server *server,
                                enum peer_link link, unsigned peer,
                                size_t index, unsigned *part)
{
    const struct slot *slot = &server->slots[link][peer];
    struct wire *wire =
        index < slot->changed_at ? NULL : wire_find(sim, slot->stamp);

    if (wire != NULL) {
        *part = wire->parts[0] == server->id ? 0 : 1;
    }
    return wire;
}

void sim_peer_send_effect(struct sim *sim, struct server *server,
                          const struct replica_effect *effect, size_t index)
{
    struct packet *packet = NULL;

    for (unsigned peer = 1; peer <= sim->servers_count; peer++) {
        struct wire *wire;
        unsigned part = 0;

        if ((effect->peers >> (peer - 1) & 1) == 0) {
            continue;
        }
        wire = effect_wire(sim, server, effect->link, peer, index, &part);
        if (wire != NULL) {
            check_version(sim, wire, server->id, &effect->message);
            packet = packet != NULL ? packet : encode(sim, &effect->message);
            wire_send(sim, wire, part, packet);
        }
    }
    packet_unref(sim, packet);
}

/* What a server of the version before would not understand. */
static void check_version(struct sim *sim, const struct wire *wire,
                          unsigned from, const struct peer_msg *msg)
{
    if (wire->version < 2 && msg->type == PEER_STATUS && msg->status.owned) {
        sim_fail(sim, "Codec: server %u says %s of version 2 on a link of 1",
                 from, peer_msg_name(msg->type));
    }
}

static struct packet *encode(struct sim *sim, const struct peer_msg *msg)
{
    struct packet *packet;
    size_t len;

    buf_clear(&sim->scratch);
    peer_msg_encode_head(msg, &sim->scratch);
    len = sim->scratch.len;
    for (uint32_t i = 0; i < msg->payloads_count; i++) {
        len += blob_bytes(msg->payloads[i]).len;
    }
    packet = packet_create(sim, len);
    memcpy(packet->bytes, sim->scratch.data, sim->scratch.len);
    len = sim->scratch.len;
    for (uint32_t i = 0; i < msg->payloads_count; i++) {
        struct slice payload = blob_bytes(msg->payloads[i]);

        if (payload.len > 0) {
            memcpy(packet->bytes + len, payload.ptr, payload.len);
            len += payload.len;
        }
    }
    return packet;
}

void sim_peer_drop_effect(struct sim *sim, struct server *server,
                          const struct replica_effect *effect, size_t index)
{
    for (unsigned peer = 1; peer <= sim->servers_count; peer++) {
        struct wire *wire;
        unsigned part = 0;

        if ((effect->peers >> (peer - 1) & 1) == 0) {
            continue;
        }
        wire = effect_wire(sim, server, effect->link, peer, index, &part);
        if (wire == NULL) {
            continue;
        }
        server->slots[effect->link][peer].stamp = 0;
        wire_close(sim, wire, part, CLOSE_FIN);
        if (effect->link == PEER_LINK_ELECTION && server->id < peer) {
            sim_peer_mesh_wish(sim, server->id, peer,
                               draw(sim, PRNG_NET, SIM_MS, REDIAL_US_MAX));
        }
    }
}

void sim_peer_connect_effect(struct sim *sim, struct server *server,
                             const struct replica_effect *effect)
{
    struct wire *wire = wire_find(sim, server->dial_stamp);

    server->dial_stamp = 0;
    if (wire != NULL) {
        wire_close(sim, wire, 0, CLOSE_FIN);
    }
    for (unsigned peer = 1; peer <= sim->servers_count; peer++) {
        struct slot *slot = &server->slots[PEER_LINK_LEADER][peer];

        wire = wire_find(sim, slot->stamp);
        slot->stamp = 0;
        if (wire != NULL) {
            wire_close(sim, wire, 0, CLOSE_FIN);
        }
    }
    for (unsigned peer = 1; peer <= sim->servers_count; peer++) {
        if (effect->peers == UINT64_C(1) << (peer - 1)) {
            wire = wire_create(sim, WIRE_QUORUM, server->id, peer);
            server->dial_stamp = wire->stamp;
            wire->dial_until_us =
                sim->now_us + draw(sim, PRNG_NET, SIM_SECOND, CONNECT_US_MAX);
            sim_schedule(sim,
                         sim->now_us + draw(sim, PRNG_NET,
                                            sim->options.link_us_min,
                                            2 * sim->options.link_us_max),
                         EVENT_DIAL, wire->index, 0, wire->stamp);
        }
    }
}

void sim_peer_dialled(struct sim *sim, struct wire *wire)
{
    if (sim->blocked[wire->parts[0]][wire->parts[1]] ||
        sim->blocked[wire->parts[1]][wire->parts[0]]) {
        if (sim->now_us >= wire->dial_until_us) {
            refuse(sim, wire, SIM_MS);
        } else {
            sim_schedule(sim,
                         sim->now_us +
                             draw(sim, PRNG_NET, 50 * SIM_MS, REDIAL_US_MAX),
                         EVENT_DIAL, wire->index, 0, wire->stamp);
        }
    } else if (!sim->servers[wire->parts[1]].up) {
        refuse(sim, wire, 100 * SIM_MS);
    } else {
        both_come(sim, wire);
    }
}

static void both_come(struct sim *sim, struct wire *wire)
{
    if (wire->kind != WIRE_CLIENT) {
        agree(sim, wire);
    }
    for (unsigned part = 0; part < 2; part++) {
        wire->ends[part] = END_COMING;
        sim_schedule(
            sim, sim->now_us + draw(sim, PRNG_NET, 0, sim->options.link_us_max),
            EVENT_UP, wire->index, part, wire->stamp);
    }
}

/* As server/ does with its hello. */
static void agree(struct sim *sim, struct wire *wire)
{
    uint32_t a = sim->servers[wire->parts[0]].version;
    uint32_t b = sim->servers[wire->parts[1]].version;

    wire->version = a < b ? a : b;
    if (wire->kind == WIRE_QUORUM && wire->version < PEER_VERSION_MAX) {
        sim_count(sim, "quorum links of the version before");
    }
}

/* Only the dialler ever knew of it. */
static void refuse(struct sim *sim, struct wire *wire, uint64_t most_us)
{
    wire->ends[0] = END_UP;
    sim_schedule(sim, sim->now_us + draw(sim, PRNG_NET, 0, most_us),
                 EVENT_BREAK, wire->index, 0 + 2, wire->stamp);
}

/* ---- the mesh: the lower id dials */

void sim_peer_server_started(struct sim *sim, struct server *server)
{
    for (unsigned id = 1; id <= sim->servers_count; id++) {
        if (id != server->id) {
            sim_peer_mesh_wish(sim, id < server->id ? id : server->id,
                               id < server->id ? server->id : id,
                               draw(sim, PRNG_NET, SIM_MS, 20 * SIM_MS));
        }
    }
}

void sim_peer_mesh_wish(struct sim *sim, unsigned a, unsigned b,
                        uint64_t delay_us)
{
    uint64_t *stamp = &sim->servers[a].mesh_stamp[b];

    (*stamp)++;
    sim_schedule(sim, sim->now_us + delay_us, EVENT_MESH, a, b, *stamp);
}

void sim_peer_mesh_due(struct sim *sim, const struct event *event)
{
    struct server *server = server_of(sim, event->index);
    unsigned peer = event->part;
    struct wire *wire;

    if (event->stamp != server->mesh_stamp[peer] || !server->up) {
        return; /* its start comes back to it */
    }
    if (server->paused) {
        server_hold(server, event);
        return;
    }
    if (wire_find(sim, server->slots[PEER_LINK_ELECTION][peer].stamp) != NULL) {
        return;
    }
    if (!sim->servers[peer].up || sim->blocked[server->id][peer] ||
        sim->blocked[peer][server->id]) {
        sim_peer_mesh_wish(sim, server->id, peer,
                           draw(sim, PRNG_NET, 20 * SIM_MS, REDIAL_US_MAX));
        return;
    }
    wire = wire_create(sim, WIRE_MESH, server->id, peer);
    both_come(sim, wire);
}

/* ---- clients' */

uint64_t sim_dial(struct sim *sim, unsigned client, unsigned server)
{
    struct wire *wire = wire_create(sim, WIRE_CLIENT, client, server);

    CHECK(server >= 1 && server <= sim->servers_count);
    sim_schedule(sim,
                 sim->now_us + draw(sim, PRNG_NET, sim->options.link_us_min,
                                    2 * sim->options.link_us_max),
                 EVENT_DIAL, wire->index, 0, wire->stamp);
    return wire->stamp;
}

void sim_client_send(struct sim *sim, uint64_t conn_id, struct slice bytes)
{
    struct wire *wire = wire_find(sim, conn_id);
    struct packet *packet;

    if (wire == NULL || wire->ends[0] != END_UP || bytes.len == 0) {
        return;
    }
    packet = packet_create(sim, bytes.len);
    memcpy(packet->bytes, bytes.ptr, bytes.len);
    wire_send(sim, wire, 0, packet);
    packet_unref(sim, packet);
}

void sim_hang_up(struct sim *sim, uint64_t conn_id)
{
    struct wire *wire = wire_find(sim, conn_id);

    if (wire == NULL) {
        return;
    }
    if (draw_chance(sim, PRNG_NET, 8)) {
        wire_delay(sim, wire, 0, draw(sim, PRNG_NET, 0, LATE_US_MAX));
    }
    wire_close(sim, wire, 0,
               draw_chance(sim, PRNG_NET, 32) ? CLOSE_SILENT : CLOSE_FIN);
}

/* While it does not serve, a server accepts nobody: the kernel lets them wait.
 */
void sim_conn_dialled(struct sim *sim, struct wire *wire)
{
    if (!sim->servers[wire->parts[1]].up) {
        refuse(sim, wire,
               draw_chance(sim, PRNG_NET, 4) ? 2 * SIM_SECOND : 10 * SIM_MS);
    } else {
        both_come(sim, wire);
    }
}

void sim_conn_up(struct sim *sim, struct wire *wire, unsigned part)
{
    struct replica_input input = {.type = REPLICA_CLIENT_OPENED,
                                  .conn_id = wire->stamp};
    struct server *server = server_of(sim, wire->parts[1]);
    char address[32];

    if (part == 0) {
        wire->ends[0] = END_UP;
        trace_mix(sim, EVENT_UP, wire->parts[0]);
        client_connected(sim->clients, wire->parts[0], wire->stamp);
        return;
    }
    if (!server->accepting) {
        return;
    }
    wire->ends[1] = END_UP;
    (void)snprintf(address, sizeof(address), "10.0.0.%u", wire->parts[0] + 1);
    input.opened.address = slice_from_text(address);
    input.opened.tls_subject = (struct slice){NULL, 0};
    for (size_t i = 0; i < sizeof(input.opened.random); i += 8) {
        bytes_store64(input.opened.random + i, prng_next(&server->prng));
    }
    server_input(sim, server, &input);
}

void sim_conns_serving(struct sim *sim, struct server *server)
{
    for (size_t i = 0; i < sim->wires_count && server->accepting; i++) {
        struct wire *wire = sim->wires[i];

        if (wire->stamp != 0 && wire->kind == WIRE_CLIENT &&
            wire->parts[1] == server->id && wire->ends[1] == END_COMING) {
            sim_schedule(sim, sim->now_us + draw(sim, PRNG_NET, 0, SIM_MS),
                         EVENT_UP, wire->index, 1, wire->stamp);
        }
    }
}

void sim_conn_down(struct sim *sim, struct wire *wire, unsigned part)
{
    struct replica_input input = {.type = REPLICA_CLIENT_CLOSED,
                                  .conn_id = wire->stamp};

    if (part == 0) {
        trace_mix(sim, EVENT_BREAK, wire->parts[0]);
        wire_close(sim, wire, 0, CLOSE_RESET);
        client_closed(sim->clients, wire->parts[0], input.conn_id);
    } else if (!wire->stopped) {
        wire->stopped = true;
        server_input(sim, server_of(sim, wire->parts[1]), &input);
    }
}

void sim_conn_bytes(struct sim *sim, struct wire *wire, unsigned part,
                    struct slice bytes)
{
    CHECK(part == 0);
    sim->events++;
    trace_mix(sim, wire->parts[0], map_hash_bytes(1, bytes));
    client_bytes(sim->clients, wire->parts[0], wire->stamp, bytes);
}

void sim_conn_frame(struct sim *sim, struct wire *wire, struct slice frame)
{
    struct replica_input input = {
        .type = REPLICA_CLIENT_FRAME, .conn_id = wire->stamp, .frame = frame};

    if (!wire->stopped) {
        server_input(sim, server_of(sim, wire->parts[1]), &input);
    }
}

bool sim_conn_blocked(const struct wire *wire, unsigned part)
{
    return part == 1 && wire->ends[1] == END_UP && !wire->stopped &&
           (wire->paused || wire->choked);
}

void sim_conn_look_ahead(struct sim *sim, const struct replica_effect *effect)
{
    struct wire *wire = wire_find(sim, effect->conn_id);

    if (wire == NULL) {
        return;
    }
    if (effect->type == REPLICA_CLOSE_CLIENT) {
        wire->stopped = true;
        return;
    }
    wire->paused = effect->type == REPLICA_PAUSE_CLIENT;
    if (!wire->paused) {
        wire_kick(sim, wire);
    }
}

void sim_conn_send_effect(struct sim *sim, const struct replica_effect *effect)
{
    struct wire *wire = wire_find(sim, effect->conn_id);
    struct packet *packet;

    if (wire == NULL || wire->ends[1] != END_UP) {
        return;
    }
    packet = packet_create(sim, effect->frame.len);
    memcpy(packet->bytes, effect->frame.ptr, effect->frame.len);
    wire->queued += effect->frame.len;
    wire_send(sim, wire, 1, packet);
    packet_unref(sim, packet);
    wire->choked = wire->pipes[1].bytes >= sim->config.output_mark;
}

void sim_conn_close_effect(struct sim *sim, const struct replica_effect *effect)
{
    struct wire *wire = wire_find(sim, effect->conn_id);

    if (wire != NULL) {
        wire_close(sim, wire, 1, CLOSE_FIN);
    }
}

void sim_conn_sent(struct sim *sim, struct wire *wire)
{
    bool was_choked = wire->choked;

    if (wire->ends[1] != END_UP) {
        return;
    }
    wire->choked = wire->pipes[1].bytes >= sim->config.output_mark;
    if (!wire->choked && wire->queued >= sim->config.output_mark) {
        sim_schedule(sim, sim->now_us, EVENT_DRAINED, wire->index, 1,
                     wire->stamp);
    }
    if (was_choked && !wire->choked) {
        wire_kick(sim, wire);
    }
}

void sim_conn_drained(struct sim *sim, struct wire *wire)
{
    struct replica_input input = {.type = REPLICA_CLIENT_DRAINED,
                                  .conn_id = wire->stamp};

    if (wire->ends[1] == END_UP && !wire->stopped && !wire->choked &&
        wire->queued >= sim->config.output_mark) {
        wire->queued = 0;
        server_input(sim, server_of(sim, wire->parts[1]), &input);
    }
}
