/* The hash of all that happens, and lines for people. `>` is what goes into a
 * server, `<` what comes out, `!` what is done to it. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/map.h"
#include "tests/sim/sim_internal.h"

static const char *const link_names[] = {"election", "leader", "learner"};

static bool is_protocol(enum replica_effect_type type);
static void put(struct sim *sim, unsigned server, bool protocol,
                const char *text);
static void put_format(struct sim *sim, const struct server *server,
                       bool protocol, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

void trace_mix(struct sim *sim, uint64_t a, uint64_t b)
{
    uint64_t hash = sim->hash;

    hash = (hash ^ a) * UINT64_C(0x9e3779b97f4a7c15);
    hash ^= hash >> 29;
    hash = (hash ^ b ^ sim->now_us << 20) * UINT64_C(0xbf58476d1ce4e5b9);
    sim->hash = hash ^ hash >> 32;
}

bool trace_on(const struct sim *sim)
{
    return sim->options.keep_lines || sim_tracing(sim);
}

bool sim_tracing(const struct sim *sim)
{
    return sim->options.trace != NULL && sim->events >= sim->options.trace_from;
}

void sim_trace(struct sim *sim, unsigned server, const char *format, ...)
{
    char text[LINE_MAX];
    va_list args;

    if (!sim_tracing(sim)) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    put(sim, server, false, text);
}

static void put(struct sim *sim, unsigned server, bool protocol,
                const char *text)
{
    unsigned long long ms = sim->now_us / SIM_MS;

    if (sim_tracing(sim)) {
        (void)fprintf(sim->options.trace, "[%4llu.%03llu] %u %s\n", ms / 1000,
                      ms % 1000, server, text);
    }
    if (sim->options.keep_lines && protocol) {
        buf_printf(&sim->lines, "[%4llu.%03llu] %u %s\n", ms / 1000, ms % 1000,
                   server, text);
    }
}

static void put_format(struct sim *sim, const struct server *server,
                       bool protocol, const char *format, ...)
{
    char text[LINE_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    put(sim, server->id, protocol, text);
}

/* ---- what goes in */

static uint64_t input_hash(const struct replica_input *input)
{
    switch (input->type) {
        case REPLICA_CLIENT_FRAME:
            return map_hash_bytes(input->conn_id, input->frame);
        case REPLICA_TICK:
            return input->ticks_late ^ (uint64_t)input->now_ms << 8;
        case REPLICA_STORE_RESULT:
            return input->result->seq << 8 ^ (uint64_t)input->result->owner ^
                   (uint64_t)(uint32_t)input->result->err << 32;
        case REPLICA_PEER_MESSAGE: /* net.c has mixed in its checksum */
        case REPLICA_PEER_UP:
        case REPLICA_PEER_DOWN:
            return (uint64_t)input->link << 32 | input->peer_id;
        case REPLICA_DISK_SPACE:
            return input->disk.low;
        case REPLICA_CONTINUE:
        case REPLICA_CLIENT_OPENED:
        case REPLICA_CLIENT_CLOSED:
        case REPLICA_CLIENT_DRAINED:
        case REPLICA_RESIGN:
        case REPLICA_RESET_STATS:
            return input->conn_id;
    }
    return 0;
}

static const char *op_name(enum store_op_type type)
{
    static const char *const names[] = {
        [STORE_EPOCHS] = "epochs",         [STORE_APPEND] = "append",
        [STORE_TRUNCATE] = "truncate",     [STORE_PURGE] = "purge",
        [STORE_CHECKPOINT] = "checkpoint", [STORE_SNAP_BEGIN] = "snap-begin",
        [STORE_SNAP_CHUNK] = "snap-chunk", [STORE_SNAP_END] = "snap-end",
        [STORE_READ_LOG] = "read-log",     [STORE_READ_SNAP] = "read-snap",
        [STORE_READ_CLOSE] = "read-close",
    };

    return names[type];
}

static void input_line(struct sim *sim, const struct server *server,
                       const struct replica_input *input)
{
    char text[LINE_MAX];
    unsigned long long conn = input->conn_id >> 20;

    switch (input->type) {
        case REPLICA_PEER_MESSAGE:
            (void)peer_msg_format(input->message, text, sizeof(text));
            put_format(sim, server, true, "> recv %.400s from %u", text,
                       (unsigned)input->peer_id);
            break;
        case REPLICA_PEER_UP:
        case REPLICA_PEER_DOWN:
            put_format(sim, server, true, "> %s %s %u",
                       input->type == REPLICA_PEER_UP ? "up" : "down",
                       link_names[input->link], (unsigned)input->peer_id);
            break;
        case REPLICA_STORE_RESULT:
            put_format(sim, server, true, "> done %s %u.%u%s",
                       op_name(input->result->type),
                       zxid_epoch(input->result->zxid),
                       zxid_counter(input->result->zxid),
                       input->result->err == 0 ? "" : " failed");
            break;
        case REPLICA_TICK:
            if (input->ticks_late > 0) {
                put_format(sim, server, true, "> tick late=%u",
                           input->ticks_late);
            }
            break;
        case REPLICA_CLIENT_FRAME:
            put_format(
                sim, server, false, "> frame conn=%llu xid=%d op=%d", conn,
                input->frame.len < 8 ? 0
                                     : (int32_t)bytes_load32(input->frame.ptr),
                input->frame.len < 8
                    ? 0
                    : (int32_t)bytes_load32(input->frame.ptr + 4));
            break;
        case REPLICA_CLIENT_OPENED:
        case REPLICA_CLIENT_CLOSED:
        case REPLICA_CLIENT_DRAINED:
            put_format(sim, server, false, "> %s conn=%llu",
                       input->type == REPLICA_CLIENT_OPENED   ? "opened"
                       : input->type == REPLICA_CLIENT_CLOSED ? "closed"
                                                              : "drained",
                       conn);
            break;
        case REPLICA_RESIGN:
            put_format(sim, server, true, "> resign");
            break;
        case REPLICA_CONTINUE:
        case REPLICA_DISK_SPACE:
        case REPLICA_RESET_STATS:
            break;
    }
}

void trace_input(struct sim *sim, const struct server *server,
                 const struct replica_input *input)
{
    trace_mix(sim, (uint64_t)server->id << 8 | (uint64_t)input->type,
              input_hash(input));
    if (trace_on(sim)) {
        input_line(sim, server, input);
    }
}

/* ---- what comes out */

static const char *peers_text(uint64_t peers, char *text, size_t size)
{
    size_t len = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < 64 && len + 8 < size; i++) {
        if ((peers >> i & 1) != 0) {
            len += (size_t)snprintf(text + len, size - len, " %u", i + 1);
        }
    }
    return text;
}

static void store_line(struct sim *sim, const struct server *server,
                       const struct store_op *op)
{
    if (op->type == STORE_EPOCHS) {
        put_format(sim, server, true, "< store epochs accepted=%u current=%u",
                   op->epoch_accepted, op->epoch_current);
    } else {
        put_format(sim, server, true, "< store %s %u.%u", op_name(op->type),
                   zxid_epoch(op->zxid), zxid_counter(op->zxid));
    }
}

static void effect_line(struct sim *sim, const struct server *server,
                        const struct replica_effect *effect)
{
    char text[LINE_MAX];
    char peers[128];
    unsigned long long conn = effect->conn_id >> 20;

    (void)peers_text(effect->peers, peers, sizeof(peers));
    switch (effect->type) {
        case REPLICA_SEND_PEER:
            (void)peer_msg_format(&effect->message, text, sizeof(text));
            put_format(sim, server, true, "< send %.360s to%s", text, peers);
            break;
        case REPLICA_CONNECT_PEER:
            put_format(sim, server, true, "< connect%s", peers);
            break;
        case REPLICA_DROP_PEER:
            put_format(sim, server, true, "< drop %s%s: %s",
                       link_names[effect->link], peers,
                       effect->why == NULL ? "" : effect->why);
            break;
        case REPLICA_STORE:
            store_line(sim, server, &effect->store);
            break;
        case REPLICA_SERVING:
            put_format(sim, server, true, "< %s",
                       effect->serving ? "serves" : "serves no more");
            break;
        case REPLICA_SEND_CLIENT:
            put_format(sim, server, false, "< reply conn=%llu xid=%d len=%zu",
                       conn,
                       effect->frame.len < 8
                           ? 0
                           : (int32_t)bytes_load32(effect->frame.ptr + 4),
                       effect->frame.len);
            break;
        case REPLICA_CLOSE_CLIENT:
            put_format(sim, server, false, "< close conn=%llu: %s", conn,
                       effect->why);
            break;
        case REPLICA_PAUSE_CLIENT:
        case REPLICA_RESUME_CLIENT:
            put_format(sim, server, false, "< %s conn=%llu",
                       effect->type == REPLICA_PAUSE_CLIENT ? "pause"
                                                            : "resume",
                       conn);
            break;
        case REPLICA_LOG:
        case REPLICA_FATAL:
            put_format(sim, server, false, "< log %s %.*s", effect->log.event,
                       (int)effect->log.text.len,
                       (const char *)effect->log.text.ptr);
            break;
    }
}

static bool is_protocol(enum replica_effect_type type)
{
    return type == REPLICA_SEND_PEER || type == REPLICA_STORE ||
           type == REPLICA_CONNECT_PEER || type == REPLICA_DROP_PEER;
}

void trace_effect(struct sim *sim, const struct server *server,
                  const struct replica_effect *effect)
{
    if (effect->type == REPLICA_SEND_CLIENT) {
        trace_mix(sim, server->id, map_hash_bytes(2, effect->frame));
    } else if (effect->type == REPLICA_STORE) {
        trace_mix(sim, (uint64_t)effect->store.type << 8 | server->id,
                  effect->store.zxid);
    } else if (is_protocol(effect->type)) {
        trace_mix(sim, (uint64_t)effect->type << 8 | server->id, effect->peers);
    }
    if (trace_on(sim)) {
        effect_line(sim, server, effect);
    }
}

void trace_role(struct sim *sim, struct server *server)
{
    static const char *const names[] = {
        [ZAB_LOOKING] = "looking",
        [ZAB_FOLLOWING] = "following",
        [ZAB_LEADING] = "leading",
        [ZAB_OBSERVING] = "observing",
    };
    const struct zab *zab = server_zab(server);
    enum zab_role role = zab_role(zab);

    if (role == server->role_traced) {
        return;
    }
    server->role_traced = role;
    if (role == ZAB_LEADING) {
        sim_count(sim, "leaders");
    }
    if (trace_on(sim)) {
        put_format(sim, server, true, "= %s epoch=%u leader=%u", names[role],
                   zab_epoch(zab), (unsigned)zab_leader_id(zab));
    }
}

/* ---- golden traces */

static void show_difference(struct slice want, struct slice have)
{
    size_t at = 0;
    size_t line = 0;
    size_t begin = 0;

    while (at < want.len && at < have.len && want.ptr[at] == have.ptr[at]) {
        if (want.ptr[at] == '\n') {
            line++;
            begin = at + 1;
        }
        at++;
    }
    (void)fprintf(stderr,
                  "the trace differs from line %zu on (UPDATE=1 prints it)\n"
                  "--- expected\n%.*s\n--- happened\n%.*s\n",
                  line + 1, (int)(want.len - begin),
                  (const char *)want.ptr + begin, (int)(have.len - begin),
                  (const char *)have.ptr + begin);
}

void sim_expect(struct sim *sim, const char *lines)
{
    struct slice want = slice_from_text(lines);
    struct slice have = buf_bytes(&sim->lines);

    CHECK(sim->options.keep_lines);
    if (getenv("UPDATE") != NULL) { // NOLINT(concurrency-mt-unsafe)
        (void)printf("%.*s", (int)have.len, (const char *)have.ptr);
    } else {
        bool as_expected = slice_equal(want, have);

        if (!as_expected) {
            show_difference(want, have);
        }
        CHECK(as_expected);
    }
    buf_clear(&sim->lines);
}

void sim_forget_lines(struct sim *sim)
{
    buf_clear(&sim->lines);
}

void trace_finish(struct sim *sim)
{
    buf_finish(&sim->lines);
}
