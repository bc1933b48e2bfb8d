#include "tests/unit/zab/pupil.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "proto/record.h"

#define CLUSTER_ID "sixteen bytes id"

static void init(struct pupil *p, uint64_t self);
static void keep(struct pupil *p, struct zab_effect *effect);
static void write_op(struct pupil *p, struct store_op op);

void pupil_init(struct pupil *p, uint32_t count)
{
    struct store_op epochs = {
        .type = STORE_EPOCHS, .epoch_accepted = 2, .epoch_current = 2};

    init(p, 1);
    memcpy(epochs.cluster_id, CLUSTER_ID, 16);
    write_op(p, epochs);
    for (uint32_t i = 1; i <= count; i++) {
        write_op(p,
                 (struct store_op){.type = STORE_APPEND,
                                   .zxid = zxid_make(2, i),
                                   .payload = blob_copy(SLICE_LITERAL("old"))});
    }
    pupil_start(p);
}

void pupil_init_blank(struct pupil *p)
{
    init(p, 1);
    pupil_start(p);
}

void pupil_init_observer(struct pupil *p)
{
    struct store_op epochs = {
        .type = STORE_EPOCHS, .epoch_accepted = 2, .epoch_current = 2};

    init(p, 4);
    memcpy(epochs.cluster_id, CLUSTER_ID, 16);
    write_op(p, epochs);
    pupil_start(p);
}

void pupil_finish(struct pupil *p)
{
    zab_destroy(p->zab);
    fake_disk_destroy(p->disk);
}

void pupil_start(struct pupil *p)
{
    p->zab = zab_create(&p->config, fake_disk_durable(p->disk));
    pupil_forget(p);
    pupil_tick(p, 1);
    pupil_settle(p);
    cr_assert(pupil_is(p, "election"));
}

void pupil_crash(struct pupil *p)
{
    zab_destroy(p->zab);
    p->zab = NULL;
    fake_disk_crash(p->disk, 0);
}

void pupil_input(struct pupil *p, const struct zab_input *input)
{
    struct zab_effects effects = {0};

    zab_step(p->zab, input, &effects);
    for (size_t i = 0; i < effects.count; i++) {
        keep(p, &effects.items[i]);
    }
    mem_free(effects.items);
}

void pupil_tick(struct pupil *p, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        pupil_input(p, &(struct zab_input){.type = ZAB_IN_TICK});
    }
}

bool pupil_disk(struct pupil *p)
{
    struct store_result result;
    struct zab_input input = {.type = ZAB_IN_RESULT, .result = &result};

    if (!fake_disk_next(p->disk, &result)) {
        return false;
    }
    if (result.type == STORE_EPOCHS || result.type == STORE_APPEND ||
        result.type == STORE_TRUNCATE) {
        input =
            (struct zab_input){.type = ZAB_IN_STORED, .stored_seq = result.seq};
    }
    pupil_input(p, &input);
    blob_unref(result.payload);
    return true;
}

void pupil_settle(struct pupil *p)
{
    while (pupil_disk(p)) {
    }
}

void pupil_link(struct pupil *p, enum peer_link link, uint64_t peer, bool up)
{
    pupil_input(
        p, &(struct zab_input){.type = up ? ZAB_IN_PEER_UP : ZAB_IN_PEER_DOWN,
                               .link = link,
                               .peer_id = peer});
}

void pupil_hear(struct pupil *p, const struct peer_msg *msg)
{
    pupil_input(p, &(struct zab_input){.type = ZAB_IN_MESSAGE,
                                       .link = PEER_LINK_LEADER,
                                       .peer_id = PUPIL_LEADER,
                                       .message = msg});
}

void pupil_propose(struct pupil *p, enum peer_msg_type type, uint32_t epoch,
                   zxid_t first, uint32_t count)
{
    struct blob *payloads[16];
    struct peer_msg msg = {.type = type,
                           .epoch = epoch,
                           .zxid = first,
                           .payloads = payloads,
                           .payloads_count = count};

    cr_assert(count <= 16);
    for (uint32_t i = 0; i < count; i++) {
        payloads[i] = blob_copy(SLICE_LITERAL("new"));
    }
    pupil_hear(p, &msg);
    for (uint32_t i = 0; i < count; i++) {
        blob_unref(payloads[i]);
    }
}

void pupil_say(struct pupil *p, enum peer_msg_type type, uint32_t epoch,
               zxid_t zxid)
{
    pupil_hear(p,
               &(struct peer_msg){.type = type, .epoch = epoch, .zxid = zxid});
}

void pupil_new_epoch(struct pupil *p, uint32_t epoch)
{
    struct peer_msg msg = {.type = PEER_NEW_EPOCH, .epoch = epoch};

    memcpy(msg.new_epoch.cluster_id, CLUSTER_ID, 16);
    pupil_hear(p, &msg);
}

void pupil_chunk(struct pupil *p, uint32_t epoch, uint32_t number, bool last)
{
    struct buf list = {0};
    char path[16];
    struct blob *payload;
    struct peer_msg msg = {.type = PEER_SNAP_CHUNK,
                           .epoch = epoch,
                           .payloads = &payload,
                           .payloads_count = 1,
                           .snap = {.number = number, .last = last}};

    (void)snprintf(path, sizeof(path), "/%u", number);
    record_put_znode(&list,
                     &(struct znode_record){.path = slice_from_text(path)});
    payload = blob_copy(buf_bytes(&list));
    buf_finish(&list);
    pupil_hear(p, &msg);
    blob_unref(payload);
}

void pupil_dials(struct pupil *p)
{
    struct peer_msg vote = {.type = PEER_VOTE,
                            .epoch = 1,
                            .vote = {.candidate = PUPIL_LEADER,
                                     .round = 1,
                                     .state = PEER_ESTABLISHED}};

    pupil_link(p, PEER_LINK_ELECTION, PUPIL_LEADER, true);
    pupil_input(p, &(struct zab_input){.type = ZAB_IN_MESSAGE,
                                       .link = PEER_LINK_ELECTION,
                                       .peer_id = PUPIL_LEADER,
                                       .message = &vote});
    for (unsigned i = 0; i < 200 && !pupil_is(p, "connecting"); i++) {
        pupil_tick(p, 1); /* it may be shunned for a while */
    }
    cr_assert(pupil_is(p, "connecting"));
    cr_assert_eq(pupil_wanted(p, ZAB_CONNECT)->peers, 1 << (PUPIL_LEADER - 1));
}

void pupil_asks(struct pupil *p)
{
    pupil_dials(p);
    pupil_link(p, PEER_LINK_LEADER, PUPIL_LEADER, true);
    cr_assert_not_null(pupil_sent(p, PEER_FOLLOWER_INFO));
}

void pupil_promises(struct pupil *p, uint32_t epoch)
{
    pupil_asks(p);
    pupil_new_epoch(p, epoch);
    pupil_settle(p);
    cr_assert_eq(pupil_sent(p, PEER_ACK_EPOCH)->epoch, epoch);
}

void pupil_syncs(struct pupil *p, uint32_t epoch)
{
    pupil_promises(p, epoch);
    pupil_say(p, PEER_SYNC_DIFF, epoch, zab_logged(p->zab));
    cr_assert(pupil_is(p, "syncing"));
}

void pupil_takes_up(struct pupil *p, uint32_t epoch)
{
    pupil_syncs(p, epoch);
    pupil_say(p, PEER_NEW_LEADER, epoch, zab_logged(p->zab));
    pupil_settle(p);
    cr_assert_eq(pupil_sent(p, PEER_ACK_NEW_LEADER)->epoch, epoch);
}

void pupil_follows(struct pupil *p, uint32_t epoch)
{
    pupil_takes_up(p, epoch);
    pupil_say(p, PEER_UP_TO_DATE, epoch, zab_logged(p->zab));
    pupil_settle(p);
    cr_assert_neq(zab_role(p->zab), ZAB_LOOKING);
    pupil_forget(p);
}

void pupil_forget(struct pupil *p)
{
    p->effects_count = 0;
}

const struct peer_msg *pupil_sent(const struct pupil *p,
                                  enum peer_msg_type type)
{
    for (size_t i = p->effects_count; i > 0; i--) {
        const struct zab_effect *effect = &p->effects[i - 1];

        if (effect->type == ZAB_SEND && effect->message.type == type) {
            return &effect->message;
        }
    }
    return NULL;
}

size_t pupil_sent_count(const struct pupil *p, enum peer_msg_type type)
{
    size_t count = 0;

    for (size_t i = 0; i < p->effects_count; i++) {
        const struct zab_effect *effect = &p->effects[i];

        count += effect->type == ZAB_SEND && effect->message.type == type;
    }
    return count;
}

const struct store_op *pupil_asked(const struct pupil *p,
                                   enum store_op_type type)
{
    for (size_t i = p->effects_count; i > 0; i--) {
        const struct zab_effect *effect = &p->effects[i - 1];

        if (effect->type == ZAB_STORE && effect->store.type == type) {
            return &effect->store;
        }
    }
    return NULL;
}

size_t pupil_asked_count(const struct pupil *p, enum store_op_type type)
{
    size_t count = 0;

    for (size_t i = 0; i < p->effects_count; i++) {
        const struct zab_effect *effect = &p->effects[i];

        count += effect->type == ZAB_STORE && effect->store.type == type;
    }
    return count;
}

const struct zab_effect *pupil_wanted(const struct pupil *p,
                                      enum zab_effect_type type)
{
    for (size_t i = p->effects_count; i > 0; i--) {
        if (p->effects[i - 1].type == type) {
            return &p->effects[i - 1];
        }
    }
    return NULL;
}

bool pupil_is(const struct pupil *p, const char *phase)
{
    return strcmp(zab_phase_name(p->zab), phase) == 0;
}

void pupil_expect_looking(const struct pupil *p)
{
    const struct zab_effect *connect = pupil_wanted(p, ZAB_CONNECT);

    cr_assert(pupil_is(p, "election"), "it is %s", zab_phase_name(p->zab));
    cr_assert_eq(zab_role(p->zab), ZAB_LOOKING);
    cr_assert_not_null(connect);
    cr_assert_eq(connect->peers, 0);
}

void pupil_expect_dropped(const struct pupil *p, const char *why)
{
    const struct zab_effect *drop = pupil_wanted(p, ZAB_DROP_PEER);

    cr_assert_not_null(drop);
    cr_assert_eq(drop->link, PEER_LINK_LEADER);
    cr_assert_str_eq(drop->why, why);
    pupil_expect_looking(p);
}

static void init(struct pupil *p, uint64_t self)
{
    memset(p, 0, sizeof(*p));
    p->disk = fake_disk_create();
    for (uint64_t id = 1; id <= 4; id++) {
        p->members[id - 1] = (struct zab_member){id, id < 4};
    }
    p->config = (struct zab_config){
        .self_id = self,
        .members = p->members,
        .members_count = 4,
        .ticks_init_max = 100,
        .ticks_sync_max = 50,
        .ticks_heartbeat = 5,
        .ticks_leader_timeout = 20,
        .entropy = {0xab, 0xcd},
        .proposals_inflight_max = 8,
        .seed = 1,
    };
}

static void keep(struct pupil *p, struct zab_effect *effect)
{
    struct peer_msg *msg = &effect->message;

    cr_assert(p->effects_count < PUPIL_EFFECTS_MAX);
    switch (effect->type) {
        case ZAB_SEND:
            if (msg->type == PEER_ACK_EPOCH) {
                cr_assert(msg->ack_epoch.epoch_ends_count <= 16);
                for (size_t i = 0; i < msg->ack_epoch.epoch_ends_count; i++) {
                    p->ends[i] = msg->ack_epoch.epoch_ends[i];
                }
                msg->ack_epoch.epoch_ends = p->ends;
            }
            cr_assert_eq(msg->payloads_count, 0, "a learner has none");
            break;
        case ZAB_STORE:
            fake_disk_submit(p->disk, &effect->store);
            effect->store.payload = NULL;
            break;
        case ZAB_DELIVER:
            p->delivered = effect->deliver.zxid;
            blob_unref(effect->deliver.payload);
            break;
        case ZAB_TREE_CHUNK:
            blob_unref(effect->deliver.payload);
            break;
        case ZAB_TREE_END:
            p->delivered = effect->deliver.zxid;
            p->loads++;
            break;
        case ZAB_DAMAGED:
            cr_assert_fail("%s", effect->why);
            break;
        default:
            break;
    }
    p->effects[p->effects_count++] = *effect;
}

static void write_op(struct pupil *p, struct store_op op)
{
    struct store_result result;

    fake_disk_submit(p->disk, &op);
    cr_assert(fake_disk_next(p->disk, &result));
}
