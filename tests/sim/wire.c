/* Connections as TCP has them: bytes in order or not at all, delays, a bounded
 * buffer, ends that learn of a break at times of their own, or never. */
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/mutation.h"
#include "proto/frame.h"
#include "tests/sim/sim_internal.h"

#define KEEPALIVE_US_MAX (5 * SIM_SECOND) /* of the mesh: server/ pings it */
#define TIMEOUT_US_MAX (20 * SIM_SECOND)  /* TCP's own */
#define LATE_US_MAX (2 * SIM_SECOND)
#define RESEND_US_MAX (200 * SIM_MS)
#define PEER_FRAME_MAX (PEER_FRAME_SIZE_MAX + 1024)

static void came_up(struct sim *sim, struct wire *wire, unsigned part);
static void broke(struct sim *sim, struct wire *wire,
                  const struct event *event);
static bool takes_old(const struct wire *wire);
static void arrive(struct sim *sim, struct wire *wire, unsigned from);
static bool take_frames(struct sim *sim, struct wire *wire, unsigned from,
                        struct slice *bytes);
static void deliver(struct sim *sim, struct wire *wire, unsigned from,
                    struct slice bytes);
static void end_of_stream(struct sim *sim, struct wire *wire, unsigned part);
static bool is_blocked(const struct sim *sim, const struct wire *wire,
                       unsigned from);
static struct server *reader(struct sim *sim, const struct wire *wire,
                             unsigned part);
static void pipe_push(struct pipe *pipe, const struct item *item);
static void pipe_pop(struct pipe *pipe);
static void pipe_empty(struct sim *sim, struct pipe *pipe);
static void pipe_schedule(struct sim *sim, struct wire *wire, unsigned from);
static void push_end(struct sim *sim, struct wire *wire, unsigned from,
                     uint64_t late_us);
static void lose_suffix(struct sim *sim, struct pipe *pipe, uint64_t drawn);
static void release(struct sim *sim, struct wire *wire);

struct wire *wire_create(struct sim *sim, enum wire_kind kind, unsigned from,
                         unsigned to)
{
    struct wire *wire;

    if (sim->wires_free_count > 0) {
        wire = sim->wires[sim->wires_free[--sim->wires_free_count]];
    } else {
        sim->wires = mem_grow(sim->wires, &sim->wires_capacity,
                              sim->wires_count + 1, sizeof(struct wire *));
        wire = MEM_NEW(struct wire);
        wire->index = (uint32_t)sim->wires_count;
        sim->wires[sim->wires_count++] = wire;
    }
    /* The index stands inside, so that a connection's id finds it. */
    sim->last_stamp++;
    wire->stamp = sim->last_stamp << 20 | wire->index;
    wire->kind = kind;
    wire->parts[0] = from;
    wire->parts[1] = to;
    wire->ends[0] = wire->ends[1] = END_NONE;
    wire->black_hole = false;
    wire->busy = false;
    wire->paused = wire->choked = wire->stopped = false;
    wire->queued = 0;
    return wire;
}

struct wire *wire_find(const struct sim *sim, uint64_t stamp)
{
    uint64_t index = stamp & ((1U << 20) - 1);

    if (stamp == 0 || index >= sim->wires_count ||
        sim->wires[index]->stamp != stamp) {
        return NULL;
    }
    return sim->wires[index];
}

void wires_finish(struct sim *sim)
{
    for (size_t i = 0; i < sim->wires_count; i++) {
        struct wire *wire = sim->wires[i];

        for (int part = 0; part < 2; part++) {
            pipe_empty(sim, &wire->pipes[part]);
            buf_finish(&wire->pipes[part].partial);
            mem_free(wire->pipes[part].items);
        }
        mem_free(wire);
    }
    mem_free(sim->wires);
    mem_free(sim->wires_free);
}

struct wire *wire_any(const struct sim *sim, uint64_t n)
{
    uint64_t up = 0;

    for (int pass = 0; pass < 2; pass++) {
        uint64_t at = 0;

        for (size_t i = 0; i < sim->wires_count; i++) {
            struct wire *wire = sim->wires[i];

            if (wire->stamp == 0 || wire->ends[0] != END_UP) {
                continue;
            }
            if (pass == 1 && at == n % up) {
                return wire;
            }
            at++;
        }
        up = at;
        if (up == 0) {
            return NULL;
        }
    }
    return NULL;
}

bool wire_path_is_cut(const struct sim *sim, const struct wire *wire,
                      unsigned part)
{
    return wire->kind != WIRE_CLIENT &&
           sim->blocked[wire->parts[part]][wire->parts[1 - part]];
}

/* ---- sending */

static uint64_t delay_us(struct sim *sim)
{
    uint64_t us =
        draw(sim, PRNG_NET, sim->options.link_us_min, sim->options.link_us_max);

    if (sim->options.prompt) {
        return us;
    }
    if (draw_chance(sim, PRNG_NET, 64)) {
        us *= draw(sim, PRNG_NET, 2, 8);
    } else if (draw_chance(sim, PRNG_NET, 1024)) {
        us *= 50;
    }
    return us;
}

void wire_send(struct sim *sim, struct wire *wire, unsigned part,
               struct packet *packet)
{
    struct pipe *pipe = &wire->pipes[part];
    struct item item = {.packet = packet};
    uint64_t at_us = sim->now_us + delay_us(sim);

    if (wire->ends[part] == END_CLOSED) {
        return;
    }
    if (pipe->bytes + packet->len > sim->pipe_bytes_max) {
        sim_count(sim, "links over their buffer");
        wire_reset(sim, wire, &sim->prngs[PRNG_NET]);
        return;
    }
    if (at_us < pipe->last_at_us) {
        at_us = pipe->last_at_us;
    }
    pipe->last_at_us = at_us + (uint64_t)packet->len * 1000 / sim->bytes_per_ms;
    item.at_us = pipe->last_at_us;
    packet->refs++;
    pipe->bytes += packet->len;
    pipe_push(pipe, &item);
    pipe_schedule(sim, wire, part);
}

static void pipe_push(struct pipe *pipe, const struct item *item)
{
    if (pipe->count == pipe->capacity) {
        uint32_t capacity = pipe->capacity == 0 ? 16 : pipe->capacity * 2;
        struct item *items = MEM_ARRAY(struct item, capacity);

        for (uint32_t i = 0; i < pipe->count; i++) {
            items[i] = pipe->items[(pipe->first + i) & (pipe->capacity - 1)];
        }
        mem_free(pipe->items);
        pipe->items = items;
        pipe->capacity = capacity;
        pipe->first = 0;
    }
    pipe->items[(pipe->first + pipe->count++) & (pipe->capacity - 1)] = *item;
}

static void pipe_pop(struct pipe *pipe)
{
    pipe->first = (pipe->first + 1) & (pipe->capacity - 1);
    pipe->count--;
}

static void pipe_empty(struct sim *sim, struct pipe *pipe)
{
    while (pipe->count > 0) {
        packet_unref(sim, pipe->items[pipe->first].packet);
        pipe_pop(pipe);
    }
    pipe->bytes = 0;
    pipe->held = false;
    buf_clear(&pipe->partial);
}

static void pipe_schedule(struct sim *sim, struct wire *wire, unsigned from)
{
    struct pipe *pipe = &wire->pipes[from];

    if (!pipe->scheduled && (pipe->count > 0 || pipe->held)) {
        uint64_t at_us = pipe->held ? 0 : pipe->items[pipe->first].at_us;

        pipe->scheduled = true;
        sim_schedule(sim, at_us, EVENT_PIPE, wire->index, from, wire->stamp);
    }
}

/* ---- arriving */

void wire_event(struct sim *sim, const struct event *event)
{
    struct wire *wire = sim->wires[event->index];
    unsigned part = event->part & 1;
    struct server *server;

    if (wire->stamp != event->stamp) {
        return;
    }
    if (event->kind == EVENT_DIAL) {
        if (wire->kind == WIRE_CLIENT) {
            sim_conn_dialled(sim, wire);
        } else {
            sim_peer_dialled(sim, wire);
        }
        return;
    }
    server = reader(sim, wire, event->kind == EVENT_PIPE ? 1 - part : part);
    if (server != NULL && server->paused) {
        server_hold(server, event);
        return;
    }
    wire->busy = true;
    if (event->kind == EVENT_DRAINED) {
        sim_conn_drained(sim, wire);
    } else if (event->kind == EVENT_PIPE) {
        wire->pipes[part].scheduled = false;
        arrive(sim, wire, part);
    } else if (event->kind == EVENT_UP) {
        came_up(sim, wire, part);
    } else {
        broke(sim, wire, event);
    }
    wire->busy = false;
    release(sim, wire);
}

static void came_up(struct sim *sim, struct wire *wire, unsigned part)
{
    if (wire->ends[part] != END_COMING) {
        return;
    }
    if (wire->kind == WIRE_CLIENT) {
        sim_conn_up(sim, wire, part);
    } else {
        wire->ends[part] = END_UP;
        sim_peer_up(sim, wire, part);
    }
    wire_kick(sim, wire);
}

static void broke(struct sim *sim, struct wire *wire, const struct event *event)
{
    unsigned part = event->part & 1;

    if (wire->ends[part] == END_COMING) {
        sim_schedule(sim, sim->now_us + RESEND_US_MAX, event->kind,
                     event->index, event->part, event->stamp);
    } else if (wire->ends[part] == END_UP &&
               (event->part > 1 || wire->black_hole ||
                wire_path_is_cut(sim, wire, 0) ||
                wire_path_is_cut(sim, wire, 1))) {
        end_of_stream(sim, wire, part);
    }
}

/* Whose process reads at this end; NULL: a client's, or nobody's any more. */
static struct server *reader(struct sim *sim, const struct wire *wire,
                             unsigned part)
{
    if (!wire_end_is_server(wire, part) || wire->ends[part] == END_CLOSED) {
        return NULL;
    }
    return server_of(sim, wire->parts[part]);
}

/* What still comes on a link that was closed is nothing. */
static bool takes_old(const struct wire *wire)
{
    return MUTATION(21) && wire->kind != WIRE_CLIENT;
}

static bool is_blocked(const struct sim *sim, const struct wire *wire,
                       unsigned from)
{
    enum end_state end = wire->ends[1 - from];

    return end == END_NONE || end == END_COMING || wire->black_hole ||
           wire_path_is_cut(sim, wire, from) ||
           (wire->kind == WIRE_CLIENT && sim_conn_blocked(wire, 1 - from));
}

static void arrive(struct sim *sim, struct wire *wire, unsigned from)
{
    struct pipe *pipe = &wire->pipes[from];
    struct item *item;
    struct packet *packet;
    struct slice bytes;

    if (is_blocked(sim, wire, from)) {
        return;
    }
    if (pipe->held) {
        pipe->held = false;
        deliver(sim, wire, from, (struct slice){0});
        if (is_blocked(sim, wire, from)) {
            return;
        }
    }
    if (pipe->count == 0) {
        return;
    }
    item = &pipe->items[pipe->first];
    packet = item->packet;
    if (item->at_us > sim->now_us) {
        pipe_schedule(sim, wire, from);
        return;
    }
    if (packet == NULL) {
        pipe_empty(sim, pipe); /* nothing behind it counts */
        if (wire->ends[1 - from] == END_UP) {
            end_of_stream(sim, wire, 1 - from);
        }
        return;
    }
    bytes =
        slice_make(packet->bytes + item->offset, packet->len - item->offset);
    if (sim->options.faults.split_bytes && bytes.len > 1 &&
        draw_chance(sim, PRNG_NET, 4)) {
        bytes.len = draw_chance(sim, PRNG_NET, 4)
                        ? 1
                        : (size_t)draw(sim, PRNG_NET, 1, bytes.len - 1);
    }
    pipe->bytes -= bytes.len;
    item->offset += (uint32_t)bytes.len;
    if (item->offset == packet->len) {
        pipe_pop(pipe);
    } else {
        packet->refs++;
        item->at_us = sim->now_us + draw(sim, PRNG_NET, 0, 500);
    }
    deliver(sim, wire, from, bytes);
    packet_unref(sim, packet);
    if (wire->kind == WIRE_CLIENT && from == 1) {
        sim_conn_sent(sim, wire);
    }
    if (pipe->count > 0) {
        pipe_schedule(sim, wire, from);
    }
}

/* bytes behind what is there already. */
static void deliver(struct sim *sim, struct wire *wire, unsigned from,
                    struct slice bytes)
{
    struct pipe *pipe = &wire->pipes[from];
    struct slice left = bytes;

    if (!wire_end_is_server(wire, 1 - from)) {
        if (wire->ends[1 - from] == END_UP && bytes.len > 0) {
            sim_conn_bytes(sim, wire, 1 - from, bytes);
        }
        return;
    }
    if (pipe->partial.len > 0) {
        buf_append(&pipe->partial, bytes);
        left = buf_bytes(&pipe->partial);
        if (!take_frames(sim, wire, from, &left)) {
            buf_clear(&pipe->partial);
            return;
        }
        memmove(pipe->partial.data, left.ptr, left.len);
        pipe->partial.len = left.len;
    } else if (take_frames(sim, wire, from, &left) && left.len > 0) {
        buf_append(&pipe->partial, left);
    }
}

/* Hands whole frames on, for as long as the reader reads. False: it is gone. */
static bool take_frames(struct sim *sim, struct wire *wire, unsigned from,
                        struct slice *bytes)
{
    uint32_t size_max = wire->kind == WIRE_CLIENT ? sim->config.frame_size_max
                                                  : (uint32_t)PEER_FRAME_MAX;
    unsigned part = 1 - from;

    for (;;) {
        struct slice frame;
        size_t used;
        enum frame_status status;

        if (wire->ends[part] == END_CLOSED && !takes_old(wire)) {
            return false;
        }
        status = frame_next(*bytes, size_max, &frame, &used);
        if (status == FRAME_MORE) {
            return true;
        }
        if (wire->ends[part] == END_UP && is_blocked(sim, wire, from)) {
            wire->pipes[from].held = true;
            return true;
        }
        if (status == FRAME_TOO_BIG) {
            if (wire->kind != WIRE_CLIENT) {
                sim_fail(sim,
                         "Resources: server %u sent a frame over the "
                         "limit",
                         wire->parts[from]);
            }
            end_of_stream(sim, wire, part);
            return false;
        }
        *bytes = slice_after(*bytes, used);
        sim->events++;
        if (wire->kind == WIRE_CLIENT) {
            sim_conn_frame(sim, wire, frame);
        } else {
            sim_peer_frame(sim, wire, part, frame);
        }
    }
}

/* ---- ending */

static void end_of_stream(struct sim *sim, struct wire *wire, unsigned part)
{
    if (wire->kind == WIRE_CLIENT) {
        sim_conn_down(sim, wire, part);
    } else {
        sim_peer_down(sim, wire, part);
    }
    wire_close(sim, wire, part, CLOSE_RESET);
}

void wire_close(struct sim *sim, struct wire *wire, unsigned part,
                enum wire_close how)
{
    struct pipe *in = &wire->pipes[1 - part];

    if (wire->ends[part] == END_CLOSED) {
        return;
    }
    wire->ends[part] = END_CLOSED;
    if (wire->ends[1 - part] == END_NONE) {
        wire->ends[1 - part] = END_CLOSED;
    }
    if (wire->ends[1 - part] != END_CLOSED) {
        /* What was not read turns a good-bye into a reset. */
        if (how == CLOSE_RESET || (how == CLOSE_FIN && in->count > 0 &&
                                   draw_chance(sim, PRNG_NET, 2))) {
            lose_suffix(sim, &wire->pipes[part],
                        prng_next(&sim->prngs[PRNG_NET]));
        }
        if (how == CLOSE_SILENT) {
            sim_schedule(sim,
                         sim->now_us + draw(sim, PRNG_NET, 100 * SIM_MS,
                                            wire->kind == WIRE_MESH
                                                ? KEEPALIVE_US_MAX
                                                : TIMEOUT_US_MAX),
                         EVENT_BREAK, wire->index, (1 - part) + 2, wire->stamp);
        } else {
            push_end(sim, wire, part, 0);
        }
    }
    if (!takes_old(wire)) {
        pipe_empty(sim, in);
    }
    release(sim, wire);
}

static void push_end(struct sim *sim, struct wire *wire, unsigned from,
                     uint64_t late_us)
{
    struct pipe *pipe = &wire->pipes[from];
    struct item item = {.at_us = sim->now_us + delay_us(sim) + late_us};

    if (!sim->options.prompt && draw_chance(sim, PRNG_NET, 16)) {
        item.at_us += draw(sim, PRNG_NET, 0, LATE_US_MAX);
    }
    if (item.at_us < pipe->last_at_us) {
        item.at_us = pipe->last_at_us;
    }
    pipe->last_at_us = item.at_us;
    pipe_push(pipe, &item);
    pipe_schedule(sim, wire, from);
}

/* Behind an end nothing is lost: nobody would hear of the end. */
static void lose_suffix(struct sim *sim, struct pipe *pipe, uint64_t drawn)
{
    uint32_t lost = (uint32_t)(drawn % ((uint64_t)pipe->count + 1));

    while (lost > 0) {
        uint32_t last = (pipe->first + pipe->count - 1) & (pipe->capacity - 1);
        struct packet *packet = pipe->items[last].packet;

        if (packet == NULL) {
            return;
        }
        pipe->bytes -= packet->len - pipe->items[last].offset;
        packet_unref(sim, packet);
        pipe->count--;
        lost--;
    }
}

void wire_reset(struct sim *sim, struct wire *wire, struct prng *prng)
{
    for (unsigned part = 0; part < 2; part++) {
        lose_suffix(sim, &wire->pipes[part], prng_next(prng));
        push_end(sim, wire, part,
                 prng_below(prng, 4) == 0 ? prng_below(prng, LATE_US_MAX) : 0);
    }
}

static void release(struct sim *sim, struct wire *wire)
{
    if (wire->busy || wire->stamp == 0 || wire->ends[0] != END_CLOSED ||
        wire->ends[1] != END_CLOSED) {
        return;
    }
    if (takes_old(wire) &&
        (wire->pipes[0].count > 0 || wire->pipes[1].count > 0)) {
        return;
    }
    for (int part = 0; part < 2; part++) {
        pipe_empty(sim, &wire->pipes[part]);
        wire->pipes[part].scheduled = false;
        wire->pipes[part].last_at_us = 0;
    }
    wire->stamp = 0;
    sim->wires_free =
        mem_grow(sim->wires_free, &sim->wires_free_capacity,
                 sim->wires_free_count + 1, sizeof(*sim->wires_free));
    sim->wires_free[sim->wires_free_count++] = wire->index;
}

/* ---- held up */

void wire_kick(struct sim *sim, struct wire *wire)
{
    for (unsigned part = 0; part < 2 && wire->stamp != 0; part++) {
        pipe_schedule(sim, wire, part);
    }
}

/* Lost packets are sent again after a while. */
void wires_kick_all(struct sim *sim)
{
    for (size_t i = 0; i < sim->wires_count; i++) {
        struct wire *wire = sim->wires[i];

        for (unsigned part = 0; part < 2 && wire->stamp != 0; part++) {
            struct pipe *pipe = &wire->pipes[part];

            if (!pipe->scheduled && pipe->count > 0) {
                struct item *item = &pipe->items[pipe->first];
                uint64_t at_us =
                    sim->now_us + draw(sim, PRNG_NET, 0, RESEND_US_MAX);

                item->at_us = item->at_us < at_us ? at_us : item->at_us;
            }
            pipe_schedule(sim, wire, part);
        }
    }
}

void wire_delay(struct sim *sim, struct wire *wire, unsigned part,
                uint64_t by_us)
{
    struct pipe *pipe = &wire->pipes[part];

    (void)sim;
    for (uint32_t i = 0; i < pipe->count; i++) {
        pipe->items[(pipe->first + i) & (pipe->capacity - 1)].at_us += by_us;
    }
    pipe->last_at_us += by_us;
}

void wires_silenced(struct sim *sim, unsigned from, unsigned to)
{
    for (size_t i = 0; i < sim->wires_count; i++) {
        struct wire *wire = sim->wires[i];

        if (wire->stamp == 0 || wire->kind == WIRE_CLIENT) {
            continue;
        }
        if ((wire->parts[0] == from && wire->parts[1] == to) ||
            (wire->parts[0] == to && wire->parts[1] == from)) {
            wire_silenced(sim, wire, 0);
            wire_silenced(sim, wire, 1);
        }
    }
}

void wire_silenced(struct sim *sim, struct wire *wire, unsigned part)
{
    uint64_t most_us = TIMEOUT_US_MAX;

    if (wire->kind == WIRE_MESH) {
        most_us = KEEPALIVE_US_MAX;
    } else if (!wire_end_is_server(wire, part) ||
               draw_chance(sim, PRNG_NET, 2)) {
        return; /* never: whoever waits has a time-out of its own */
    }
    sim_schedule(sim, sim->now_us + draw(sim, PRNG_NET, 200 * SIM_MS, most_us),
                 EVENT_BREAK, wire->index, part, wire->stamp);
}
