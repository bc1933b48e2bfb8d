#include <stdarg.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/mem.h"
#include "proto/text.h"
#include "replica/replica_internal.h"

#define BYTES_CHUNK ((size_t)64 * 1024)
#define LOG_TEXT_MAX 1600
/* Of a message that is merged: a peer goes on with the first ones while the
 * next are on their way, and heartbeats wait little behind it. */
#define MERGED_BYTES_MAX ((size_t)256 * 1024)
/* Where the zxid is in a packet with a reply header: behind length and xid. */
#define ZXID_AT 8

static bool merge(struct replica *r, const struct zab_effect *effect);
static bool merge_payloads(struct replica *r, struct peer_msg *last,
                           const struct peer_msg *next);
static size_t payloads_room(size_t count);
static size_t payloads_bytes(const struct peer_msg *msg);
static zxid_t raise_zxid(struct conn *conn, zxid_t zxid);
static struct slice keep_text(struct replica *r, const char *text, int len);
static void fatal(struct replica *r, bool damage, const char *format,
                  va_list args) __attribute__((format(printf, 3, 0)));

void replica_effects_init(struct replica_effects *effects)
{
    *effects = (struct replica_effects){.bytes = arena_create(BYTES_CHUNK)};
}

void replica_effects_clear(struct replica_effects *effects)
{
    for (size_t i = 0; i < effects->count; i++) {
        struct replica_effect *effect = &effects->items[i];

        /* A driver that took a reference over has set it to NULL or 0. */
        if (effect->type == REPLICA_STORE) {
            blob_unref(effect->store.payload);
        } else if (effect->type == REPLICA_SEND_PEER) {
            for (uint32_t k = 0; k < effect->message.payloads_count; k++) {
                blob_unref(effect->message.payloads[k]);
            }
        }
    }
    effects->count = 0;
    effects->merge_at = 0;
    arena_reset(effects->bytes);
}

void replica_effects_finish(struct replica_effects *effects)
{
    if (effects->bytes != NULL) {
        replica_effects_clear(effects);
    }
    arena_destroy(effects->bytes);
    mem_free(effects->items);
    *effects = (struct replica_effects){0};
}

/* Only what the type needs is set: an effect is large, and there are many. */
struct replica_effect *effect_push(struct replica *r,
                                   enum replica_effect_type type)
{
    struct replica_effects *out = r->out;
    struct replica_effect *effect;

    if (out->count == out->capacity) {
        out->items = mem_grow(out->items, &out->capacity, out->count + 1,
                              sizeof(*out->items));
    }
    effect = &out->items[out->count++];
    effect->type = type;
    effect->conn_id = 0;
    effect->peers = 0;
    effect->link = PEER_LINK_ELECTION;
    return effect;
}

struct peer_msg *peer_send(struct replica *r, uint64_t server_id,
                           enum peer_msg_type type)
{
    struct replica_effect *effect = effect_push(r, REPLICA_SEND_PEER);

    effect->link =
        zab_role(r->zab) == ZAB_LEADING ? PEER_LINK_LEARNER : PEER_LINK_LEADER;
    effect->peers = UINT64_C(1) << zab_member_index(r->zab, server_id);
    effect->message =
        (struct peer_msg){.type = type, .epoch = zab_epoch(r->zab)};
    if (!MUTATION(27)) {
        r->out->merge_at = 0;
    }
    return &effect->message;
}

struct blob **peer_payloads(struct replica *r, size_t count)
{
    return ARENA_NEW(r->out->bytes, struct blob *, count);
}

void peer_route(struct replica *r, const struct zab_effect *effect)
{
    struct replica_effect *out;
    struct peer_msg *msg;

    if (merge(r, effect)) {
        return;
    }
    out = effect_push(r, REPLICA_SEND_PEER);
    out->link = effect->link;
    out->peers = effect->peers;
    out->message = effect->message;
    msg = &out->message;
    /* Zab's arrays last until its next step only. */
    if (msg->payloads_count > 0) {
        msg->payloads = peer_payloads(r, payloads_room(msg->payloads_count));
        memcpy(msg->payloads, effect->message.payloads,
               msg->payloads_count * sizeof(struct blob *));
    }
    if (msg->type == PEER_ACK_EPOCH && msg->ack_epoch.epoch_ends_count > 0) {
        size_t size = msg->ack_epoch.epoch_ends_count * sizeof(zxid_t);
        zxid_t *ends = arena_alloc(r->out->bytes, size, _Alignof(zxid_t));

        memcpy(ends, msg->ack_epoch.epoch_ends, size);
        msg->ack_epoch.epoch_ends = ends;
    }
    r->out->merge_at = r->out->count;
    r->out->merge_bytes = payloads_bytes(msg);
}

uint8_t *packet_alloc(struct replica *r, size_t size)
{
    return arena_alloc(r->out->bytes, size, 1);
}

void packet_send(struct replica *r, struct conn *conn, struct slice packet)
{
    struct replica_effect *effect = effect_push(r, REPLICA_SEND_CLIENT);

    effect->conn_id = conn_id(conn);
    effect->frame = packet;
    conn->output += packet.len;
    conn->counts.sent++;
    r->sent++;
}

void packet_copy_send(struct replica *r, struct conn *conn, struct slice packet)
{
    packet_send(r, conn, arena_copy(r->out->bytes, packet));
}

void reply_send(struct replica *r, struct conn *conn,
                struct client_reply *reply)
{
    size_t size = client_reply_size(reply);
    uint8_t *packet;

    if (size > r->config.reply_size_max) {
        reply_too_big(r, conn, size, reply);
        size = client_reply_size(reply);
    }
    reply->zxid = raise_zxid(conn, reply->zxid);
    packet = packet_alloc(r, size);
    client_reply_write(reply, packet);
    packet_send(r, conn, slice_make(packet, size));
}

struct blob *reply_blob(struct replica *r, struct conn *conn,
                        struct client_reply *reply)
{
    size_t size = client_reply_size(reply);
    struct blob *blob;
    uint8_t *packet;

    if (size > r->config.reply_size_max) {
        reply_too_big(r, conn, size, reply);
        size = client_reply_size(reply);
    }
    blob = blob_create(size, &packet);
    client_reply_write(reply, packet);
    return blob;
}

void reply_send_packet(struct replica *r, struct conn *conn,
                       struct slice packet)
{
    uint8_t *copy = packet_alloc(r, packet.len);

    memcpy(copy, packet.ptr, packet.len);
    bytes_store64(copy + ZXID_AT,
                  raise_zxid(conn, bytes_load64(copy + ZXID_AT)));
    packet_send(r, conn, slice_make(copy, packet.len));
}

/* A change that is done is answered whatever its size (a multi's answer is
 * bounded by its request); only reads are refused. */
void reply_too_big(struct replica *r, struct conn *conn, size_t size,
                   struct client_reply *reply)
{
    const struct client_op *op = client_op_find(reply->op);

    if (op != NULL && op->kind == ZK_OP_WRITE) {
        return;
    }
    reply->code = ZK_MARSHALLING_ERROR;
    replica_log(r, REPLICA_WARN, "reply_too_big",
                "session=0x%llx op=%s bytes=%zu limit=%u path=%s",
                (unsigned long long)conn->session_id,
                op == NULL ? "?" : op->name, size, r->config.reply_size_max,
                quoted(r, r->reading));
}

void count_answer(struct replica *r, struct conn *conn, enum zk_op op,
                  int32_t xid, int64_t taken_ms)
{
    struct conn_counts *counts = &conn->counts;
    const struct client_op *row = client_op_find(op);
    uint64_t latency = (uint64_t)(r->now_ms - taken_ms);

    if (r->latency_count == 0 || latency < r->latency_min) {
        r->latency_min = latency;
    }
    if (latency > r->latency_max) {
        r->latency_max = latency;
    }
    r->latency_sum += latency;
    r->latency_count++;
    r->ops[inspect_op_index(op)].count++;
    if (counts->latency_count == 0 || latency < counts->latency_min) {
        counts->latency_min = (uint32_t)latency;
    }
    if (latency > counts->latency_max) {
        counts->latency_max = (uint32_t)latency;
    }
    counts->latency_last = (uint32_t)latency;
    counts->latency_sum += latency;
    counts->latency_count++;
    counts->last_op = row == NULL ? "NA" : row->lop;
    counts->last_cxid = xid;
    counts->last_zxid = r->zxid_delivered;
    counts->last_response_ms = r->now_ms;
}

void replica_log(struct replica *r, enum replica_log_level level,
                 const char *event, const char *format, ...)
{
    char text[LOG_TEXT_MAX];
    struct replica_effect *effect = effect_push(r, REPLICA_LOG);
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    effect->log.level = level;
    effect->log.event = event;
    effect->log.text = keep_text(r, text, len);
}

void replica_fatal(struct replica *r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fatal(r, false, format, args);
    va_end(args);
}

void replica_damaged(struct replica *r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fatal(r, true, format, args);
    va_end(args);
}

static void fatal(struct replica *r, bool damage, const char *format,
                  va_list args)
{
    char text[LOG_TEXT_MAX];
    struct replica_effect *effect = effect_push(r, REPLICA_FATAL);
    int len = vsnprintf(text, sizeof(text), format, args);

    effect->log.level = REPLICA_ERROR;
    effect->log.event = "fatal";
    effect->log.damage = damage;
    effect->log.text = keep_text(r, text, len);
    r->fatal = true;
}

const char *quoted(struct replica *r, struct slice text)
{
    buf_clear(&r->scratch);
    text_append_quoted(&r->scratch, text);
    *buf_extend(&r->scratch, 1) = '\0';
    return (const char *)r->scratch.data;
}

/* ACK and COMMIT are cumulative; proposals of one epoch without a gap make one
 * message. */
static bool merge(struct replica *r, const struct zab_effect *effect)
{
    const struct peer_msg *next = &effect->message;
    struct replica_effect *last;

    if (r->out->merge_at == 0) {
        return false;
    }
    last = &r->out->items[r->out->merge_at - 1];
    if (last->message.type != next->type || last->link != effect->link ||
        last->peers != effect->peers || last->message.epoch != next->epoch) {
        return false;
    }
    switch ((int)next->type) {
        case PEER_ACK:
        case PEER_COMMIT:
            last->message.zxid = next->zxid;
            return true;
        case PEER_PROPOSE:
        case PEER_INFORM:
            return merge_payloads(r, &last->message, next);
        default:
            return false;
    }
}

static bool merge_payloads(struct replica *r, struct peer_msg *last,
                           const struct peer_msg *next)
{
    size_t bytes = r->out->merge_bytes + payloads_bytes(next);
    size_t count = last->payloads_count;
    size_t room = payloads_room(count + next->payloads_count);

    if (bytes > MERGED_BYTES_MAX || next->zxid != last->zxid + count ||
        zxid_epoch(next->zxid) != zxid_epoch(last->zxid)) {
        return false;
    }
    if (room > payloads_room(count)) {
        struct blob **payloads = peer_payloads(r, room);

        memcpy(payloads, last->payloads, count * sizeof(struct blob *));
        last->payloads = payloads;
    }
    memcpy(last->payloads + count, next->payloads,
           next->payloads_count * sizeof(struct blob *));
    last->payloads_count += next->payloads_count;
    r->out->merge_bytes = bytes;
    return true;
}

/* The array's size, for so many: a power of two, so that it is seldom moved. */
static size_t payloads_room(size_t count)
{
    size_t room = 1;

    while (room < count) {
        room *= 2;
    }
    return room;
}

static size_t payloads_bytes(const struct peer_msg *msg)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < msg->payloads_count; i++) {
        bytes += blob_bytes(msg->payloads[i]).len;
    }
    return bytes;
}

/* Answers made at different times can leave in another order than they were
 * stamped (a ping passes a held answer by), but clients overwrite what they
 * have seen with each header: it must not go down. */
static zxid_t raise_zxid(struct conn *conn, zxid_t zxid)
{
    if (zxid > conn->zxid_sent) {
        conn->zxid_sent = zxid;
    }
    return conn->zxid_sent;
}

static struct slice keep_text(struct replica *r, const char *text, int len)
{
    CHECK(len >= 0);
    if (len >= LOG_TEXT_MAX) {
        len = LOG_TEXT_MAX - 1; /* cut */
    }
    return arena_copy(r->out->bytes, slice_make(text, (size_t)len));
}
