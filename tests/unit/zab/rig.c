#include "tests/unit/zab/rig.h"

#include <criterion/criterion.h>

#include "base/err.h"
#include "base/mem.h"
#include "proto/record.h"

static void step(struct rig *rig, const struct zab_input *input);
static void confirm(struct rig *rig);
static void keep(struct rig *rig, struct zab_effect *effect);
static void keep_sent(struct rig *rig, struct rig_event *event,
                      struct zab_effect *effect);
static void take_op(struct rig *rig, struct store_op *op);
static void read_log(struct rig *rig, const struct store_op *op,
                     struct store_result *result);
static void read_snap(struct rig *rig, struct store_result *result);
static struct blob *payload(size_t bytes);
static uint64_t bit(uint64_t id);

void rig_init(struct rig *rig, unsigned voters, unsigned observers)
{
    *rig = (struct rig){.snap_chunks = 1};
    cr_assert(voters + observers <= RIG_MEMBERS_MAX);
    for (unsigned i = 0; i < voters + observers; i++) {
        rig->members[i] = (struct zab_member){i + 1, i < voters};
    }
    rig->config = (struct zab_config){
        .self_id = 1,
        .members = rig->members,
        .members_count = voters + observers,
        .ticks_init_max = 200,
        .ticks_sync_max = 100,
        .ticks_heartbeat = 5,
        .ticks_leader_timeout = 35,
        .entropy = {0xab, 0xcd},
        .proposals_inflight_max = 64,
        .seed = 1,
    };
    rig->durable.cluster_id[0] = 0xee;
}

void rig_finish(struct rig *rig)
{
    for (size_t i = 0; i < rig->writes_count; i++) {
        blob_unref(rig->writes[i].payload);
    }
    zab_destroy(rig->zab);
    rig->zab = NULL;
}

void rig_had(struct rig *rig, uint32_t epoch, uint32_t count)
{
    struct durable_state *durable = &rig->durable;

    durable->epoch_accepted = epoch;
    durable->epoch_current = epoch;
    for (uint32_t i = 1; i <= count; i++) {
        rig->log[rig->log_count] = (struct rig_record){zxid_make(epoch, i), 10};
        rig->log_count++;
    }
    if (count == 0) {
        return;
    }
    durable->zxid_first = rig->log[0].zxid;
    durable->zxid_last = rig->log[rig->log_count - 1].zxid;
    rig->ends[durable->epoch_ends_count] = durable->zxid_last;
    durable->epoch_ends_count++;
    durable->epoch_ends = rig->ends;
}

void rig_start(struct rig *rig)
{
    rig->zab = zab_create(&rig->config, &rig->durable);
    rig_tick(rig, 1);
    rig_reads(rig);
    cr_assert(rig_is(rig, "election") || rig->config.members_count == 1);
}

void rig_elect(struct rig *rig)
{
    rig_start(rig);
    if (rig->asks_early) {
        rig_link(rig, 2, true);
        rig_ask(rig, 2, 6);
    }
    for (size_t i = 1; i < rig->config.members_count; i++) {
        step(rig, &(struct zab_input){.type = ZAB_IN_PEER_UP,
                                      .link = PEER_LINK_ELECTION,
                                      .peer_id = i + 1});
    }
    for (size_t i = 1; i < rig->config.members_count; i++) {
        if (rig->members[i].voter && rig_is(rig, "election")) {
            rig_vote(rig, i + 1, PEER_LOOKING, rig->durable.epoch_current, 1);
        }
    }
    rig_tick(rig, 6);
    cr_assert(rig_is(rig, "discovery"));
    rig_forget(rig);
}

void rig_lead(struct rig *rig, uint64_t learners)
{
    rig_elect(rig);
    for (uint64_t id = 2; id <= rig->config.members_count; id++) {
        if ((learners & bit(id)) != 0) {
            rig_link(rig, id, true);
            rig_ask(rig, id, rig->durable.epoch_accepted);
        }
    }
    rig_store(rig);
    for (uint64_t id = 2; id <= rig->config.members_count; id++) {
        struct rig_history has = rig_same(rig);

        if ((learners & bit(id)) != 0) {
            rig_promise(rig, id, &has);
        }
    }
    rig_store(rig);
    for (uint64_t id = 2; id <= rig->config.members_count; id++) {
        if ((learners & bit(id)) != 0) {
            rig_take_up(rig, id, rig_same(rig).last);
        }
    }
    rig_reads(rig);
    cr_assert(rig_is(rig, "leading"));
    cr_assert(zab_can_propose(rig->zab));
    rig_forget(rig);
}

void rig_tick(struct rig *rig, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        step(rig, &(struct zab_input){.type = ZAB_IN_TICK});
    }
}

void rig_live(struct rig *rig, unsigned count, uint64_t learners)
{
    for (unsigned i = 0; i < count; i++) {
        rig_tick(rig, 1);
        for (uint64_t id = 2; id <= rig->config.members_count; id++) {
            if ((learners & bit(id)) != 0) {
                rig_pong(rig, id, 0);
            }
        }
    }
}

zxid_t rig_propose(struct rig *rig, size_t bytes)
{
    zxid_t zxid = zab_next_zxid(rig->zab);
    struct blob *blob = payload(bytes);

    step(rig, &(struct zab_input){.type = ZAB_IN_PROPOSE, .proposal = blob});
    blob_unref(blob);
    cr_assert_eq(zab_logged(rig->zab), zxid);
    return zxid;
}

void rig_barrier(struct rig *rig)
{
    rig->barriers++;
    step(rig,
         &(struct zab_input){.type = ZAB_IN_BARRIER, .barrier = rig->barriers});
}

void rig_purged(struct rig *rig, zxid_t zxid)
{
    step(rig, &(struct zab_input){.type = ZAB_IN_PURGED, .purged = zxid});
}

void rig_resign(struct rig *rig)
{
    step(rig, &(struct zab_input){.type = ZAB_IN_RESIGN});
}

void rig_link(struct rig *rig, uint64_t id, bool up)
{
    step(rig,
         &(struct zab_input){.type = up ? ZAB_IN_PEER_UP : ZAB_IN_PEER_DOWN,
                             .link = PEER_LINK_LEARNER,
                             .peer_id = id});
}

void rig_say(struct rig *rig, uint64_t id, const struct peer_msg *msg)
{
    step(rig, &(struct zab_input){.type = ZAB_IN_MESSAGE,
                                  .link = PEER_LINK_LEARNER,
                                  .peer_id = id,
                                  .message = msg});
}

void rig_vote(struct rig *rig, uint64_t id, enum peer_state state,
              uint32_t epoch, uint64_t candidate)
{
    struct peer_msg msg = {.type = PEER_VOTE,
                           .epoch = epoch,
                           .zxid = rig->durable.zxid_last,
                           .vote.candidate = candidate,
                           .vote.round = rig->round,
                           .vote.state = state,
                           .vote.no_log = rig->durable.zxid_last == 0};

    step(rig, &(struct zab_input){.type = ZAB_IN_MESSAGE,
                                  .link = PEER_LINK_ELECTION,
                                  .peer_id = id,
                                  .message = &msg});
}

void rig_ask(struct rig *rig, uint64_t id, uint32_t accepted)
{
    rig_say(rig, id,
            &(struct peer_msg){.type = PEER_FOLLOWER_INFO,
                               .epoch = accepted,
                               .zxid = rig->durable.zxid_last,
                               .follower_info.voting = true,
                               .follower_info.epoch_current =
                                   rig->durable.epoch_current});
}

void rig_ask_blank(struct rig *rig, uint64_t id)
{
    rig_say(rig, id, &(struct peer_msg){.type = PEER_FOLLOWER_INFO});
}

void rig_promise(struct rig *rig, uint64_t id, const struct rig_history *has)
{
    struct peer_msg msg = {.type = PEER_ACK_EPOCH,
                           .epoch = rig->epoch,
                           .zxid = has->last,
                           .ack_epoch.counted = has->counted,
                           .ack_epoch.whole = has->whole,
                           .ack_epoch.epoch_current = has->epoch_current,
                           .ack_epoch.checkpoint = has->checkpoint,
                           .ack_epoch.epoch_ends = has->ends,
                           .ack_epoch.epoch_ends_count = has->ends_count};

    rig_say(rig, id, &msg);
}

struct rig_history rig_same(const struct rig *rig)
{
    struct rig_history has = {
        .counted = true,
        .whole = true,
        .epoch_current = rig->durable.epoch_current,
        .checkpoint = rig->durable.zxid_checkpoint,
        .last = rig->durable.zxid_last,
        .ends_count = (uint32_t)rig->durable.epoch_ends_count,
    };

    memcpy(has.ends, rig->ends, sizeof(has.ends));
    if (has.last < has.checkpoint) {
        has.last = has.checkpoint;
    }
    return has;
}

void rig_take_up(struct rig *rig, uint64_t id, zxid_t zxid)
{
    rig_say(rig, id,
            &(struct peer_msg){.type = PEER_ACK_NEW_LEADER,
                               .epoch = rig->epoch,
                               .zxid = zxid});
}

void rig_ack(struct rig *rig, uint64_t id, zxid_t zxid)
{
    rig_say(rig, id,
            &(struct peer_msg){
                .type = PEER_ACK, .epoch = rig->epoch, .zxid = zxid});
}

void rig_pong(struct rig *rig, uint64_t id, uint64_t number)
{
    rig_say(rig, id,
            &(struct peer_msg){.type = PEER_PONG, .ping.number = number});
}

void rig_snap_ack(struct rig *rig, uint64_t id, uint32_t number)
{
    rig_say(rig, id,
            &(struct peer_msg){.type = PEER_SNAP_ACK,
                               .epoch = rig->epoch,
                               .snap.number = number});
}

void rig_join(struct rig *rig, uint64_t id)
{
    struct rig_history has = rig_same(rig);
    const struct rig_event *event;

    rig_link(rig, id, true);
    rig_ask(rig, id, rig->durable.epoch_accepted);
    rig_promise(rig, id, &has);
    rig_reads(rig);
    event = rig_sent(rig, PEER_NEW_LEADER, id);
    cr_assert_not_null(event);
    rig_take_up(rig, id, event->msg.zxid);
}

void rig_store(struct rig *rig)
{
    while (rig->writes_count > 0) {
        struct store_op op = rig->writes[rig->writes_count - 1];

        for (size_t i = 0; i < rig->writes_count; i++) {
            const struct store_op *write = &rig->writes[i];

            if (write->type == STORE_APPEND) {
                rig->log[rig->log_count] = (struct rig_record){
                    write->zxid, blob_bytes(write->payload).len};
                rig->log_count++;
                blob_unref(write->payload);
            }
        }
        rig->writes_count = 0;
        step(rig,
             &(struct zab_input){.type = ZAB_IN_STORED, .stored_seq = op.seq});
    }
}

void rig_read(struct rig *rig)
{
    struct store_op op = rig->reads[0];
    struct store_result result = {.type = op.type,
                                  .owner = op.owner,
                                  .seq = op.seq,
                                  .reader_id = op.reader_id};

    cr_assert(rig->reads_count > 0);
    rig->reads_count--;
    memmove(rig->reads, rig->reads + 1,
            rig->reads_count * sizeof(rig->reads[0]));
    if (op.type == STORE_READ_LOG) {
        read_log(rig, &op, &result);
    } else if (op.reader_id == 1 || rig->durable.zxid_checkpoint == 0) {
        result.zxid = rig->durable.zxid_checkpoint;
        result.last = true;
    } else {
        read_snap(rig, &result);
    }
    step(rig, &(struct zab_input){.type = ZAB_IN_RESULT, .result = &result});
    blob_unref(result.payload);
}

void rig_reads(struct rig *rig)
{
    while (rig->reads_count > 0) {
        rig_read(rig);
    }
}

void rig_forget(struct rig *rig)
{
    rig->events_count = 0;
}

size_t rig_find(const struct rig *rig, enum zab_effect_type type, size_t from)
{
    for (size_t i = from; i < rig->events_count; i++) {
        if (rig->events[i].type == type) {
            return i;
        }
    }
    return SIZE_MAX;
}

size_t rig_find_sent(const struct rig *rig, enum peer_msg_type type,
                     uint64_t id, size_t from)
{
    for (size_t i = from; i < rig->events_count; i++) {
        const struct rig_event *event = &rig->events[i];

        if (event->type == ZAB_SEND && event->msg.type == type &&
            (event->peers & bit(id) >> 1) != 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

const struct rig_event *rig_sent(const struct rig *rig, enum peer_msg_type type,
                                 uint64_t id)
{
    const struct rig_event *last = NULL;
    size_t i = rig_find_sent(rig, type, id, 0);

    while (i != SIZE_MAX) {
        last = &rig->events[i];
        i = rig_find_sent(rig, type, id, i + 1);
    }
    return last;
}

size_t rig_sent_count(const struct rig *rig, enum peer_msg_type type,
                      uint64_t id)
{
    size_t i = rig_find_sent(rig, type, id, 0), count = 0;

    for (; i != SIZE_MAX; i = rig_find_sent(rig, type, id, i + 1)) {
        count++;
    }
    return count;
}

const struct rig_event *rig_dropped(const struct rig *rig, uint64_t id)
{
    for (size_t i = 0; i < rig->events_count; i++) {
        const struct rig_event *event = &rig->events[i];

        if (event->type == ZAB_DROP_PEER && event->link == PEER_LINK_LEARNER &&
            event->peers == bit(id) >> 1) {
            return event;
        }
    }
    return NULL;
}

const struct store_op *rig_asked(const struct rig *rig, enum store_op_type type)
{
    const struct store_op *last = NULL;

    for (size_t i = 0; i < rig->events_count; i++) {
        if (rig->events[i].type == ZAB_STORE &&
            rig->events[i].op.type == type) {
            last = &rig->events[i].op;
        }
    }
    return last;
}

bool rig_is(const struct rig *rig, const char *phase)
{
    return strcmp(zab_phase_name(rig->zab), phase) == 0;
}

uint64_t rig_mark(const struct rig *rig, enum zab_mark mark)
{
    return zab_marks(rig->zab)[mark];
}

static void step(struct rig *rig, const struct zab_input *input)
{
    struct zab_effects effects = {0};

    zab_step(rig->zab, input, &effects);
    for (size_t i = 0; i < effects.count; i++) {
        keep(rig, &effects.items[i]);
    }
    mem_free(effects.items);
    confirm(rig);
}

/* The PINGs of a discovery are answered at once. */
static void confirm(struct rig *rig)
{
    uint64_t to = rig->confirm_to;

    rig->confirm_to = 0;
    for (uint64_t id = 2; id <= rig->config.members_count && !rig->doubtful;
         id++) {
        if ((to >> (id - 1) & 1) != 0) {
            rig_pong(rig, id, rig->confirm_round);
        }
    }
}

static void keep(struct rig *rig, struct zab_effect *effect)
{
    struct rig_event *event = &rig->events[rig->events_count];

    cr_assert(rig->events_count < RIG_EVENTS_MAX);
    rig->events_count++;
    *event = (struct rig_event){.type = effect->type,
                                .link = effect->link,
                                .peers = effect->peers,
                                .why = effect->why};
    switch (effect->type) {
        case ZAB_SEND:
            keep_sent(rig, event, effect);
            break;
        case ZAB_STORE:
            event->op = effect->store;
            take_op(rig, &effect->store);
            break;
        case ZAB_DELIVER:
            event->what = effect->deliver.zxid;
            blob_unref(effect->deliver.payload);
            break;
        case ZAB_BARRIER_DONE:
            event->what = effect->barrier;
            break;
        case ZAB_TREE_CHUNK:
            blob_unref(effect->deliver.payload);
            break;
        case ZAB_TREE_BEGIN:
        case ZAB_TREE_END:
        case ZAB_ROLE:
        case ZAB_CONNECT:
        case ZAB_DROP_PEER:
        case ZAB_DAMAGED:
            break;
    }
}

static void keep_sent(struct rig *rig, struct rig_event *event,
                      struct zab_effect *effect)
{
    struct peer_msg *msg = &effect->message;

    cr_assert_neq(effect->peers, 0);
    if (msg->type == PEER_VOTE) {
        rig->round = msg->vote.round;
    } else if (msg->type == PEER_NEW_EPOCH) {
        rig->epoch = msg->epoch;
    } else if (msg->type == PEER_PING && msg->ping.number > 0 &&
               rig_is(rig, "discovery")) {
        rig->confirm_to = effect->peers;
        rig->confirm_round = msg->ping.number;
    }
    for (uint32_t i = 0; i < msg->payloads_count; i++) {
        event->bytes += blob_bytes(msg->payloads[i]).len;
    }
    event->msg = *msg;
    event->msg.payloads = NULL;
    peer_msg_finish(msg);
}

static void take_op(struct rig *rig, struct store_op *op)
{
    cr_assert(rig->writes_count < RIG_OPS_MAX);
    cr_assert(rig->reads_count < RIG_OPS_MAX);
    switch (op->type) {
        case STORE_EPOCHS:
        case STORE_APPEND:
            rig->writes[rig->writes_count++] = *op;
            break;
        case STORE_READ_LOG:
        case STORE_READ_SNAP:
            cr_assert(op->size_max > 0);
            rig->reads[rig->reads_count++] = *op;
            break;
        case STORE_READ_CLOSE:
            rig->chunks_read = 0;
            break;
        default:
            cr_assert_fail("no op of a leader");
    }
}

static void read_log(struct rig *rig, const struct store_op *op,
                     struct store_result *result)
{
    struct buf list = {0};
    size_t i = 0;

    if (op->zxid < rig->purged) {
        result->err = ERR_NOT_FOUND;
        result->last = true;
        return;
    }
    while (i < rig->log_count && rig->log[i].zxid <= op->zxid) {
        i++;
    }
    result->zxid = op->zxid;
    for (; i < rig->log_count; i++) {
        struct blob *blob = payload(rig->log[i].bytes);

        if (list.len == 0 || list.len + rig->log[i].bytes <= op->size_max) {
            record_put_log(&list, rig->log[i].zxid, blob_bytes(blob));
            result->zxid = rig->log[i].zxid;
            blob_unref(blob);
        } else {
            blob_unref(blob);
            break;
        }
    }
    result->last = i == rig->log_count;
    result->payload = blob_copy(buf_bytes(&list));
    buf_finish(&list);
}

static void read_snap(struct rig *rig, struct store_result *result)
{
    result->zxid = rig->durable.zxid_checkpoint;
    result->payload = payload(10);
    rig->chunks_read++;
    result->last = rig->chunks_read == rig->snap_chunks;
    if (result->last) {
        rig->chunks_read = 0;
    }
}

static struct blob *payload(size_t bytes)
{
    uint8_t *to;
    struct blob *blob = blob_create(bytes, &to);

    memset(to, 'x', bytes);
    return blob;
}

static uint64_t bit(uint64_t id)
{
    return UINT64_C(1) << id;
}
