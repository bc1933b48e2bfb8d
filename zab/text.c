/* One line per input and effect, without a newline. Payloads are told by their
 * size only: they may hold what a log must not show. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/err.h"
#include "zab/zab.h"

#define ZXID "%" PRIu32 ".%" PRIu32
#define ZXID_ARGS(zxid) zxid_epoch(zxid), zxid_counter(zxid)

/* Where the next piece goes; counts on when the room is used up. */
struct line {
    char *text;
    size_t size, len;
};

static void put(struct line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void put_result(struct line *line, const struct store_result *result);
static void put_store(struct line *line, const struct store_op *op);
static void put_message(struct line *line, const struct peer_msg *message);
static void put_why(struct line *line, const char *why);
static void put_payload(struct line *line, const struct blob *payload);
static const char *store_name(enum store_op_type type);
static const char *link_name(enum peer_link link);

size_t zab_input_format(const struct zab_input *in, char *text, size_t size)
{
    struct line line = {.size = size};

    line.text = text;
    switch (in->type) {
        case ZAB_IN_TICK:
            put(&line, "tick");
            if (in->ticks_late > 0) {
                put(&line, " late=%" PRIu32, in->ticks_late);
            }
            break;
        case ZAB_IN_MESSAGE:
            put(&line, "recv ");
            put_message(&line, in->message);
            put(&line, " from %s %" PRIu64, link_name(in->link), in->peer_id);
            break;
        case ZAB_IN_PEER_UP:
            put(&line, "up %s %" PRIu64, link_name(in->link), in->peer_id);
            break;
        case ZAB_IN_PEER_DOWN:
            put(&line, "down %s %" PRIu64, link_name(in->link), in->peer_id);
            break;
        case ZAB_IN_PROPOSE:
            put(&line, "propose");
            put_payload(&line, in->proposal);
            break;
        case ZAB_IN_STORED:
            put(&line, "stored %" PRIu64, in->stored_seq);
            break;
        case ZAB_IN_RESULT:
            put_result(&line, in->result);
            break;
        case ZAB_IN_BARRIER:
            put(&line, "barrier %" PRIu64, in->barrier);
            break;
        case ZAB_IN_RESIGN:
            put(&line, "resign");
            break;
        case ZAB_IN_DIVERGED:
            put(&line, "diverged");
            break;
        case ZAB_IN_BROKEN:
            put(&line, "broken %s %" PRIu64, link_name(in->link), in->peer_id);
            put_why(&line, in->why);
            break;
    }
    return line.len;
}

size_t zab_effect_format(const struct zab_effect *e, char *text, size_t size)
{
    struct line line = {.size = size};

    line.text = text;
    switch (e->type) {
        case ZAB_SEND:
            put(&line, "send ");
            put_message(&line, &e->message);
            put(&line, " to %s %#" PRIx64, link_name(e->link), e->peers);
            break;
        case ZAB_STORE:
            put_store(&line, &e->store);
            break;
        case ZAB_DELIVER:
            put(&line, "deliver " ZXID, ZXID_ARGS(e->deliver.zxid));
            put_payload(&line, e->deliver.payload);
            break;
        case ZAB_BARRIER_DONE:
            put(&line, "barrier done %" PRIu64, e->barrier);
            break;
        case ZAB_TREE_BEGIN:
            put(&line, "tree begin");
            break;
        case ZAB_TREE_CHUNK:
            put(&line, "tree chunk");
            put_payload(&line, e->deliver.payload);
            break;
        case ZAB_TREE_END:
            put(&line, "tree end " ZXID, ZXID_ARGS(e->deliver.zxid));
            break;
        case ZAB_ROLE:
            put(&line, "role");
            put_why(&line, e->why);
            break;
        case ZAB_CONNECT:
            put(&line, "connect %#" PRIx64, e->peers);
            put_why(&line, e->why);
            break;
        case ZAB_DROP_PEER:
            put(&line, "drop %s %#" PRIx64, link_name(e->link), e->peers);
            put_why(&line, e->why);
            break;
        case ZAB_DAMAGED:
            put(&line, "damaged");
            put_why(&line, e->why);
            break;
    }
    return line.len;
}

static void put(struct line *line, const char *format, ...)
{
    size_t room = line->len < line->size ? line->size - line->len : 0;
    va_list args;
    int len;

    va_start(args, format);
    len =
        vsnprintf(room > 0 ? line->text + line->len : NULL, room, format, args);
    va_end(args);
    line->len += len > 0 ? (size_t)len : 0;
}

static void put_result(struct line *line, const struct store_result *result)
{
    bool is_read =
        result->type == STORE_READ_LOG || result->type == STORE_READ_SNAP;

    put(line, "%s seq=%" PRIu64, store_name(result->type), result->seq);
    if (is_read) {
        put(line, " reader=%" PRIu64, result->reader_id);
    }
    if (result->err != 0) {
        put(line, " err=\"%s\"", err_text(result->err));
        return;
    }
    if (is_read) {
        put(line, " to " ZXID, ZXID_ARGS(result->zxid));
        put_payload(line, result->payload);
    }
    if (result->last) {
        put(line, " last");
    }
}

static void put_store(struct line *line, const struct store_op *op)
{
    put(line, "store %s seq=%" PRIu64, store_name(op->type), op->seq);
    switch (op->type) {
        case STORE_EPOCHS:
            put(line, " accepted=%" PRIu32 " current=%" PRIu32,
                op->epoch_accepted, op->epoch_current);
            break;
        case STORE_APPEND:
            put(line, " " ZXID " committed=" ZXID, ZXID_ARGS(op->zxid),
                ZXID_ARGS(op->zxid_committed));
            break;
        case STORE_TRUNCATE:
        case STORE_READ_LOG:
            put(line, " after " ZXID, ZXID_ARGS(op->zxid));
            break;
        case STORE_PURGE:
        case STORE_CHECKPOINT:
        case STORE_SNAP_BEGIN:
        case STORE_SNAP_CHUNK:
        case STORE_SNAP_END:
            put(line, " " ZXID, ZXID_ARGS(op->zxid));
            break;
        case STORE_READ_SNAP:
        case STORE_READ_CLOSE:
            break;
    }
    if (op->reader_id != 0) {
        put(line, " reader=%" PRIu64, op->reader_id);
    }
    put_payload(line, op->payload);
}

static void put_message(struct line *line, const struct peer_msg *message)
{
    size_t room = line->len < line->size ? line->size - line->len : 0;

    line->len += peer_msg_format(
        message, room > 0 ? line->text + line->len : NULL, room);
}

static void put_why(struct line *line, const char *why)
{
    if (why != NULL) {
        put(line, ": %s", why);
    }
}

static void put_payload(struct line *line, const struct blob *payload)
{
    if (payload != NULL) {
        put(line, " bytes=%zu", blob_bytes(payload).len);
    }
}

static const char *store_name(enum store_op_type type)
{
    switch (type) {
        case STORE_EPOCHS:
            return "epochs";
        case STORE_APPEND:
            return "append";
        case STORE_TRUNCATE:
            return "truncate";
        case STORE_PURGE:
            return "purge";
        case STORE_CHECKPOINT:
            return "checkpoint";
        case STORE_SNAP_BEGIN:
            return "snap-begin";
        case STORE_SNAP_CHUNK:
            return "snap-chunk";
        case STORE_SNAP_END:
            return "snap-end";
        case STORE_READ_LOG:
            return "read-log";
        case STORE_READ_SNAP:
            return "read-snap";
        case STORE_READ_CLOSE:
            return "read-close";
    }
    return "unknown";
}

static const char *link_name(enum peer_link link)
{
    switch (link) {
        case PEER_LINK_ELECTION:
            return "peer";
        case PEER_LINK_LEADER:
            return "leader";
        case PEER_LINK_LEARNER:
            return "learner";
    }
    return "unknown";
}
