/* One line per input and effect, without a newline. Payloads are told by their
 * size only: they may hold what a log must not show. */
#include <inttypes.h>

#include "base/err.h"
#include "base/line.h"
#include "zab/zab.h"

#define ZXID "%" PRIu32 ".%" PRIu32
#define ZXID_ARGS(zxid) zxid_epoch(zxid), zxid_counter(zxid)

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
            line_put(&line, "tick");
            if (in->ticks_late > 0) {
                line_put(&line, " late=%" PRIu32, in->ticks_late);
            }
            break;
        case ZAB_IN_MESSAGE:
            line_put(&line, "recv ");
            put_message(&line, in->message);
            line_put(&line, " from %s %" PRIu64, link_name(in->link),
                     in->peer_id);
            break;
        case ZAB_IN_PEER_UP:
            line_put(&line, "up %s %" PRIu64, link_name(in->link), in->peer_id);
            break;
        case ZAB_IN_PEER_DOWN:
            line_put(&line, "down %s %" PRIu64, link_name(in->link),
                     in->peer_id);
            break;
        case ZAB_IN_PROPOSE:
            line_put(&line, "propose");
            put_payload(&line, in->proposal);
            break;
        case ZAB_IN_STORED:
            line_put(&line, "stored %" PRIu64, in->stored_seq);
            break;
        case ZAB_IN_RESULT:
            put_result(&line, in->result);
            break;
        case ZAB_IN_BARRIER:
            line_put(&line, "barrier %" PRIu64, in->barrier);
            break;
        case ZAB_IN_PURGED:
            line_put(&line, "purged " ZXID, ZXID_ARGS(in->purged));
            break;
        case ZAB_IN_RESIGN:
            line_put(&line, "resign");
            break;
        case ZAB_IN_DIVERGED:
            line_put(&line, "diverged");
            break;
        case ZAB_IN_BROKEN:
            line_put(&line, "broken %s %" PRIu64, link_name(in->link),
                     in->peer_id);
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
            line_put(&line, "send ");
            put_message(&line, &e->message);
            line_put(&line, " to %s %#" PRIx64, link_name(e->link), e->peers);
            break;
        case ZAB_STORE:
            put_store(&line, &e->store);
            break;
        case ZAB_DELIVER:
            line_put(&line, "deliver " ZXID, ZXID_ARGS(e->deliver.zxid));
            put_payload(&line, e->deliver.payload);
            break;
        case ZAB_BARRIER_DONE:
            line_put(&line, "barrier done %" PRIu64, e->barrier);
            break;
        case ZAB_TREE_BEGIN:
            line_put(&line, "tree begin");
            break;
        case ZAB_TREE_CHUNK:
            line_put(&line, "tree chunk");
            put_payload(&line, e->deliver.payload);
            break;
        case ZAB_TREE_END:
            line_put(&line, "tree end " ZXID, ZXID_ARGS(e->deliver.zxid));
            break;
        case ZAB_ROLE:
            line_put(&line, "role");
            put_why(&line, e->why);
            break;
        case ZAB_CONNECT:
            line_put(&line, "connect %#" PRIx64, e->peers);
            put_why(&line, e->why);
            break;
        case ZAB_DROP_PEER:
            line_put(&line, "drop %s %#" PRIx64, link_name(e->link), e->peers);
            put_why(&line, e->why);
            break;
        case ZAB_DAMAGED:
            line_put(&line, "damaged");
            put_why(&line, e->why);
            break;
    }
    return line.len;
}

static void put_result(struct line *line, const struct store_result *result)
{
    bool is_read =
        result->type == STORE_READ_LOG || result->type == STORE_READ_SNAP;

    line_put(line, "%s seq=%" PRIu64, store_name(result->type), result->seq);
    if (is_read) {
        line_put(line, " reader=%" PRIu64, result->reader_id);
    }
    if (result->err != 0) {
        line_put(line, " err=\"%s\"", err_text(result->err));
        return;
    }
    if (is_read) {
        line_put(line, " to " ZXID, ZXID_ARGS(result->zxid));
        put_payload(line, result->payload);
    }
    if (result->last) {
        line_put(line, " last");
    }
}

static void put_store(struct line *line, const struct store_op *op)
{
    line_put(line, "store %s seq=%" PRIu64, store_name(op->type), op->seq);
    switch (op->type) {
        case STORE_EPOCHS:
            line_put(line, " accepted=%" PRIu32 " current=%" PRIu32,
                     op->epoch_accepted, op->epoch_current);
            break;
        case STORE_APPEND:
            line_put(line, " " ZXID " committed=" ZXID, ZXID_ARGS(op->zxid),
                     ZXID_ARGS(op->zxid_committed));
            break;
        case STORE_TRUNCATE:
        case STORE_READ_LOG:
            line_put(line, " after " ZXID, ZXID_ARGS(op->zxid));
            break;
        case STORE_PURGE:
        case STORE_CHECKPOINT:
        case STORE_SNAP_BEGIN:
        case STORE_SNAP_CHUNK:
        case STORE_SNAP_END:
            line_put(line, " " ZXID, ZXID_ARGS(op->zxid));
            break;
        case STORE_READ_SNAP:
        case STORE_READ_CLOSE:
            break;
    }
    if (op->reader_id != 0) {
        line_put(line, " reader=%" PRIu64, op->reader_id);
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
        line_put(line, ": %s", why);
    }
}

static void put_payload(struct line *line, const struct blob *payload)
{
    if (payload != NULL) {
        line_put(line, " bytes=%zu", blob_bytes(payload).len);
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
