#include "tests/unit/zab/alone.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "base/err.h"
#include "base/mem.h"
#include "proto/record.h"
#include "zab/history.h"

static void step(struct alone *alone, const struct zab_input *input);
static void carry_out(struct alone *alone, struct zab_effect *effect);
static void take_op(struct alone *alone, const struct store_op *op);
static void make_durable(struct alone *alone, struct store_op *op);
static void check_delivery(struct alone *alone, struct zab_effect *effect);
static void read_log(struct alone *alone, const struct store_op *op,
                     struct store_result *result);

void alone_init(struct alone *alone)
{
    *alone = (struct alone){.log_chunk = 3};
    alone->self = (struct zab_member){1, true};
    alone->config = (struct zab_config){
        .self_id = 1,
        .members = &alone->self,
        .members_count = 1,
        .entropy = {0xab, 0xcd},
        .proposals_inflight_max = 8,
    };
}

void alone_finish(struct alone *alone)
{
    alone_crash(alone);
    buf_finish(&alone->trace);
}

void alone_start(struct alone *alone)
{
    struct durable_state durable = {
        .epoch_accepted = alone->epoch_accepted,
        .epoch_current = alone->epoch_current,
        .zxid_checkpoint = alone->checkpoint,
        .zxid_committed = alone->committed,
        .recovering = alone->recovering,
    };
    zxid_t ends[ALONE_MAX];

    if (alone->log_count > 0) {
        durable.zxid_first = alone->log[0].zxid;
        durable.zxid_last = alone->log[alone->log_count - 1].zxid;
    }
    for (size_t i = 0; i < alone->log_count; i++) {
        zxid_t zxid = alone->log[i].zxid;

        if (i + 1 == alone->log_count ||
            zxid_epoch(alone->log[i + 1].zxid) != zxid_epoch(zxid)) {
            ends[durable.epoch_ends_count] = zxid;
            durable.epoch_ends_count++;
        }
    }
    durable.epoch_ends = ends;
    memcpy(durable.cluster_id, alone->cluster_id, 16);
    alone->zab = zab_create(&alone->config, &durable);
    alone->events_count = 0;
    alone->delivered = 0;
    alone->tree_whole = false;
    alone->damaged = false;
    alone->roles = 0;
    alone->closes = 0;
    alone->chunks_read = 0;
}

void alone_crash(struct alone *alone)
{
    for (size_t i = 0; i < alone->writes_count; i++) {
        blob_unref(alone->writes[i].payload);
    }
    alone->writes_count = 0;
    alone->reads_count = 0;
    zab_destroy(alone->zab);
    alone->zab = NULL;
}

void alone_tick(struct alone *alone)
{
    step(alone, &(struct zab_input){.type = ZAB_IN_TICK});
}

zxid_t alone_propose(struct alone *alone, const char *text)
{
    zxid_t zxid = zab_next_zxid(alone->zab);
    struct blob *blob = blob_copy(slice_from_text(text));

    step(alone, &(struct zab_input){.type = ZAB_IN_PROPOSE, .proposal = blob});
    blob_unref(blob);
    return zxid;
}

void alone_barrier(struct alone *alone, uint64_t number)
{
    step(alone, &(struct zab_input){.type = ZAB_IN_BARRIER, .barrier = number});
}

void alone_store(struct alone *alone, size_t count)
{
    uint64_t seq;

    cr_assert(count > 0 && count <= alone->writes_count);
    seq = alone->writes[count - 1].seq;
    for (size_t i = 0; i < count; i++) {
        make_durable(alone, &alone->writes[i]);
    }
    alone->writes_count -= count;
    memmove(alone->writes, alone->writes + count,
            alone->writes_count * sizeof(alone->writes[0]));
    step(alone, &(struct zab_input){.type = ZAB_IN_STORED, .stored_seq = seq});
}

void alone_read(struct alone *alone)
{
    struct store_op op = alone->reads[0];
    struct store_result result = {
        .type = op.type,
        .owner = op.owner,
        .seq = op.seq,
        .reader_id = op.reader_id,
    };

    cr_assert(alone->reads_count > 0);
    alone->reads_count--;
    memmove(alone->reads, alone->reads + 1,
            alone->reads_count * sizeof(alone->reads[0]));
    if (op.type == STORE_READ_LOG) {
        read_log(alone, &op, &result);
    } else if (alone->checkpoint == 0) {
        result.err = ERR_NOT_FOUND;
    } else {
        result.zxid = alone->checkpoint;
        result.payload = blob_copy(SLICE_LITERAL("chunk"));
        alone->chunks_read++;
        result.last = alone->chunks_read % alone->checkpoint_chunks == 0;
    }
    step(alone, &(struct zab_input){.type = ZAB_IN_RESULT, .result = &result});
    blob_unref(result.payload);
}

void alone_settle(struct alone *alone)
{
    while (alone->writes_count + alone->reads_count > 0) {
        if (alone->writes_count > 0) {
            alone_store(alone, alone->writes_count);
        } else {
            alone_read(alone);
        }
    }
}

void alone_serve(struct alone *alone)
{
    alone_start(alone);
    alone_tick(alone);
    alone_settle(alone);
    cr_assert(zab_can_propose(alone->zab));
}

void alone_add_log(struct alone *alone, zxid_t zxid)
{
    struct alone_record *record = &alone->log[alone->log_count++];

    record->zxid = zxid;
    (void)snprintf(record->text, sizeof(record->text), "r%u.%u",
                   zxid_epoch(zxid), zxid_counter(zxid));
}

void alone_expect(struct alone *alone, const char *trace)
{
    struct slice seen = buf_bytes(&alone->trace);

    cr_assert(slice_equal_text(seen, trace), "the trace is\n%.*s",
              (int)seen.len, seen.ptr);
    buf_clear(&alone->trace);
}

static void step(struct alone *alone, const struct zab_input *input)
{
    struct zab_effects effects = {0};
    char line[256];

    (void)zab_input_format(input, line, sizeof(line));
    buf_printf(&alone->trace, "> %s\n", line);
    zab_step(alone->zab, input, &effects);
    for (size_t i = 0; i < effects.count; i++) {
        (void)zab_effect_format(&effects.items[i], line, sizeof(line));
        buf_printf(&alone->trace, "%s\n", line);
        carry_out(alone, &effects.items[i]);
    }
    mem_free(effects.items);
}

static void carry_out(struct alone *alone, struct zab_effect *effect)
{
    struct alone_event *event = &alone->events[alone->events_count];

    switch (effect->type) {
        case ZAB_STORE:
            take_op(alone, &effect->store);
            break;
        case ZAB_DELIVER:
            check_delivery(alone, effect);
            *event = (struct alone_event){false, effect->deliver.zxid};
            alone->events_count++;
            break;
        case ZAB_BARRIER_DONE:
            *event = (struct alone_event){true, effect->barrier};
            alone->events_count++;
            break;
        case ZAB_TREE_BEGIN:
            cr_assert_not(alone->tree_whole);
            break;
        case ZAB_TREE_CHUNK:
            cr_assert_not(alone->tree_whole);
            blob_unref(effect->deliver.payload);
            break;
        case ZAB_TREE_END:
            alone->tree_whole = true;
            alone->delivered = effect->deliver.zxid;
            break;
        case ZAB_ROLE:
            alone->roles++;
            break;
        case ZAB_DAMAGED:
            alone->damaged = true;
            (void)snprintf(alone->why, sizeof(alone->why), "%s", effect->why);
            break;
        case ZAB_SEND:
        case ZAB_CONNECT:
        case ZAB_DROP_PEER:
            cr_assert_fail("there is nobody else");
            break;
    }
    cr_assert(alone->events_count < ALONE_MAX);
}

static void take_op(struct alone *alone, const struct store_op *op)
{
    cr_assert_eq(op->owner, STORE_FOR_ZAB);
    switch (op->type) {
        case STORE_EPOCHS:
        case STORE_APPEND:
            alone->writes[alone->writes_count++] = *op;
            break;
        case STORE_READ_LOG:
        case STORE_READ_SNAP:
            cr_assert(op->size_max > 0);
            alone->reads[alone->reads_count++] = *op;
            break;
        case STORE_READ_CLOSE:
            alone->closes++;
            break;
        default:
            cr_assert_fail("not for one server");
    }
}

static void make_durable(struct alone *alone, struct store_op *op)
{
    struct alone_record *record = &alone->log[alone->log_count];
    struct slice payload;

    if (op->type == STORE_EPOCHS) {
        cr_assert(op->epoch_accepted >= alone->epoch_accepted);
        cr_assert(op->epoch_current >= alone->epoch_current);
        cr_assert(op->epoch_current <= op->epoch_accepted);
        alone->epoch_accepted = op->epoch_accepted;
        alone->epoch_current = op->epoch_current;
        memcpy(alone->cluster_id, op->cluster_id, 16);
        return;
    }
    /* The state files know the epoch before the log does. */
    cr_assert_eq(zxid_epoch(op->zxid), alone->epoch_current);
    cr_assert_neq(alone->cluster_id[0], 0);
    cr_assert(op->zxid_committed < op->zxid);
    payload = blob_bytes(op->payload);
    cr_assert(payload.len < sizeof(record->text));
    memcpy(record->text, payload.ptr, payload.len);
    record->text[payload.len] = '\0';
    record->zxid = op->zxid;
    alone->log_count++;
    alone->committed = op->zxid_committed;
    blob_unref(op->payload);
    op->payload = NULL;
}

static void check_delivery(struct alone *alone, struct zab_effect *effect)
{
    zxid_t zxid = effect->deliver.zxid;
    const struct alone_record *record = NULL;

    for (size_t i = 0; i < alone->log_count; i++) {
        if (alone->log[i].zxid == zxid) {
            record = &alone->log[i];
        }
    }
    cr_assert_not_null(record, "delivered and not durable");
    cr_assert(
        slice_equal_text(blob_bytes(effect->deliver.payload), record->text));
    cr_assert(alone->tree_whole);
    cr_assert(history_follows(alone->delivered, zxid));
    cr_assert(zxid <= zab_committed(alone->zab));
    alone->delivered = zxid;
    blob_unref(effect->deliver.payload);
}

static void read_log(struct alone *alone, const struct store_op *op,
                     struct store_result *result)
{
    struct buf list = {0};
    size_t given = 0, i = 0;

    while (i < alone->log_count && alone->log[i].zxid <= op->zxid) {
        i++;
    }
    for (; i < alone->log_count && given < alone->log_chunk; i++, given++) {
        record_put_log(&list, alone->log[i].zxid,
                       slice_from_text(alone->log[i].text));
        result->zxid = alone->log[i].zxid;
    }
    result->last = i == alone->log_count;
    result->payload = blob_copy(buf_bytes(&list));
    buf_finish(&list);
}
