/* Whatever the others say, on whichever link, in whichever phase: it is an
 * answer or it costs its link. A CHECK would end the process; invariants are
 * looked at after each step. Half of what they say is what is waited for, so
 * that every phase is come to. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/mem.h"
#include "base/prng.h"
#include "proto/record.h"
#include "tests/support/fake_disk.h"
#include "zab/zab.h"

#define MEMBERS 5 /* the last one observes */
#define STEPS 4000
#define PAYLOADS_MAX 4

struct crowd {
    struct prng prng;
    struct zab_config config;
    struct zab_member members[MEMBERS];
    struct zab *zab;
    struct fake_disk *disk;
    struct peer_msg told; /* as our leader */
    bool damaged;
    bool led; /* the others lead, each for itself */
    /* What was said last, by member index and link. */
    struct peer_msg said[MEMBERS][PEER_LINKS_COUNT];
    uint64_t asked;    /* numbers of barriers */
    uint64_t leader;   /* we were told to dial it */
    unsigned steps[4]; /* by enum zab_role */
};

static struct crowd crowd;
static struct crowd *const c = &crowd;

static uint64_t below(uint64_t bound)
{
    return prng_below(&c->prng, bound);
}

static void input(const struct zab_input *in);
static void up(uint64_t id, enum peer_link link);

static void submit(struct store_op op)
{
    struct store_result result;

    fake_disk_submit(c->disk, &op);
    cr_assert(fake_disk_next(c->disk, &result));
}

static void boot(uint64_t self, bool blank)
{
    struct store_op epochs = {
        .type = STORE_EPOCHS, .epoch_accepted = 2, .epoch_current = 2};

    c->disk = fake_disk_create();
    for (uint64_t i = 0; i < MEMBERS; i++) {
        c->members[i] = (struct zab_member){i + 1, i + 1 < MEMBERS};
    }
    c->config = (struct zab_config){
        .self_id = self,
        .members = c->members,
        .members_count = MEMBERS,
        .ticks_init_max = 100,
        .ticks_sync_max = 50,
        .ticks_heartbeat = 5,
        .ticks_leader_timeout = 20,
        .entropy = {1},
        .proposals_inflight_max = 1 + (uint32_t)below(8),
        .history_bytes_max = 1 + (uint32_t)below(64),
        .counter_max = 1 + (uint32_t)below(20),
        .seed = below(1000),
    };
    if (!blank) {
        submit(epochs);
        for (uint32_t i = 1; i <= 3; i++) {
            submit(
                (struct store_op){.type = STORE_APPEND,
                                  .zxid = zxid_make(2, i),
                                  .payload = blob_copy(SLICE_LITERAL("old"))});
        }
    }
    c->zab = zab_create(&c->config, fake_disk_durable(c->disk));
    for (uint64_t id = 1; id <= MEMBERS; id++) {
        if (id != self) {
            up(id, PEER_LINK_ELECTION);
        }
    }
}

static void keep(struct zab_effect *effect)
{
    struct peer_msg *msg = &effect->message;

    switch (effect->type) {
        case ZAB_SEND:
            for (uint32_t i = 0; i < msg->payloads_count; i++) {
                blob_unref(msg->payloads[i]);
            }
            for (size_t i = 0; i < MEMBERS; i++) {
                if ((effect->peers >> i & 1) != 0) {
                    c->said[i][effect->link] = *msg;
                }
            }
            break;
        case ZAB_STORE:
            fake_disk_submit(c->disk, &effect->store);
            break;
        case ZAB_DELIVER:
        case ZAB_TREE_CHUNK:
            blob_unref(effect->deliver.payload);
            break;
        case ZAB_CONNECT:
            c->leader = 0;
            for (uint64_t i = 0; i < MEMBERS; i++) {
                c->leader =
                    effect->peers == UINT64_C(1) << i ? i + 1 : c->leader;
            }
            break;
        case ZAB_DAMAGED:
            /* Somebody has promised the last one that there is. */
            cr_assert_str_eq(effect->why, "no epoch is left");
            c->damaged = true;
            break;
        default:
            break;
    }
}

static void input(const struct zab_input *in)
{
    struct zab_effects effects = {0};

    zab_step(c->zab, in, &effects);
    for (size_t i = 0; i < effects.count; i++) {
        keep(&effects.items[i]);
    }
    mem_free(effects.items);
}

static void work_disk(void)
{
    struct store_result result;
    struct zab_input in = {.type = ZAB_IN_RESULT, .result = &result};

    if (!fake_disk_next(c->disk, &result)) {
        return;
    }
    if (result.type == STORE_EPOCHS || result.type == STORE_APPEND ||
        result.type == STORE_TRUNCATE) {
        in =
            (struct zab_input){.type = ZAB_IN_STORED, .stored_seq = result.seq};
    }
    input(&in);
    blob_unref(result.payload);
}

static void up(uint64_t id, enum peer_link link)
{
    memset(&c->said[id - 1][link], 0, sizeof(c->said[id - 1][link]));
    c->told.type = 0;
    input(&(struct zab_input){
        .type = ZAB_IN_PEER_UP, .link = link, .peer_id = id});
}

static zxid_t some_zxid(void)
{
    uint32_t epoch = zab_epoch(c->zab);

    switch (below(9)) {
        case 0:
            return zab_logged(c->zab) + 1;
        case 1:
            return zab_committed(c->zab);
        case 2:
            return zxid_make(epoch + 1, 1);
        case 3:
            return zxid_make(epoch, (uint32_t)below(6));
        case 4:
            return zxid_make((uint32_t)below(4), (uint32_t)below(6));
        case 5:
            return below(2) == 0 ? UINT64_MAX : UINT64_MAX << 32;
        default:
            return zab_logged(c->zab);
    }
}

static uint32_t some_epoch(const struct peer_msg *said)
{
    switch (below(8)) {
        case 0:
            return zab_epoch_accepted(c->zab) + (uint32_t)below(3);
        case 1:
            return (uint32_t)below(6);
        case 2:
            return below(40) == 0 ? UINT32_MAX - (uint32_t)below(2)
                                  : zab_epoch(c->zab);
        default:
            return said->epoch;
    }
}

static uint64_t some_number(uint64_t near)
{
    return below(4) == 0 ? below(5) : near - below(2) + below(2);
}

/* The fields of whichever type. */
static void fill(struct peer_msg *msg, const struct peer_msg *said,
                 zxid_t *ends)
{
    switch ((int)msg->type) {
        case PEER_VOTE:
            msg->vote.candidate = below(MEMBERS + 2);
            msg->vote.round = below(50) == 0 ? UINT64_MAX - below(3)
                                             : some_number(said->vote.round);
            msg->vote.state = (enum peer_state)below(6);
            msg->vote.blank = below(2) == 0;
            msg->vote.no_log = below(2) == 0;
            break;
        case PEER_FOLLOWER_INFO:
            msg->follower_info.voting = below(4) != 0;
            msg->follower_info.epoch_current = (uint32_t)below(4);
            break;
        case PEER_NEW_EPOCH:
            msg->new_epoch.cluster_id[0] = below(8) == 0;
            break;
        case PEER_ACK_EPOCH:
            msg->ack_epoch.counted = below(4) != 0;
            msg->ack_epoch.whole = below(4) != 0;
            msg->ack_epoch.epoch_current = (uint32_t)below(4);
            msg->ack_epoch.checkpoint = below(3) == 0 ? some_zxid() : 0;
            msg->ack_epoch.epoch_ends = ends;
            for (uint32_t i = 0; i < 3 && below(3) != 0; i++) {
                ends[i] = some_zxid();
                msg->ack_epoch.epoch_ends_count++;
            }
            break;
        case PEER_SNAP_CHUNK:
        case PEER_SNAP_ACK:
            msg->snap.number = (uint32_t)some_number(said->snap.number);
            msg->snap.last = below(2) == 0;
            break;
        case PEER_PING:
        case PEER_PONG:
            msg->ping.number = some_number(said->ping.number);
            break;
        case PEER_RESIGN:
            msg->resign.successor = below(MEMBERS + 2);
            break;
        default:
            break;
    }
}

static void give(uint64_t id, enum peer_link link, struct peer_msg *msg)
{
    struct blob *payloads[PAYLOADS_MAX];
    struct buf list = {0};

    if (msg->type == PEER_PROPOSE || msg->type == PEER_INFORM) {
        msg->payloads_count = 1 + (uint32_t)below(PAYLOADS_MAX);
        if (msg->payloads_count - 1 > UINT32_MAX - zxid_counter(msg->zxid)) {
            return; /* no frame says so */
        }
    } else if (msg->type == PEER_SNAP_CHUNK) {
        msg->payloads_count = 1;
        record_put_znode(&list,
                         &(struct znode_record){.path = slice_from_text("/x")});
    }
    for (uint32_t i = 0; i < msg->payloads_count; i++) {
        payloads[i] =
            blob_copy(list.len > 0 ? buf_bytes(&list) : SLICE_LITERAL("txn"));
    }
    buf_finish(&list);
    msg->payloads = payloads;
    input(&(struct zab_input){
        .type = ZAB_IN_MESSAGE, .link = link, .peer_id = id, .message = msg});
    for (uint32_t i = 0; i < msg->payloads_count; i++) {
        blob_unref(payloads[i]);
    }
}

static void say_anything(uint64_t id, enum peer_link link)
{
    const struct peer_msg *said = &c->said[id - 1][link];
    zxid_t ends[3];
    struct peer_msg msg = {.type = link == PEER_LINK_ELECTION && below(8) != 0
                                       ? PEER_VOTE
                                       : (enum peer_msg_type)(1 + below(19)),
                           .epoch = some_epoch(said),
                           .zxid = some_zxid()};

    fill(&msg, said, ends);
    give(id, link, &msg);
}

/* What an honest learner says to what it was told last. */
static void answer_leader(uint64_t id)
{
    const struct peer_msg *said = &c->said[id - 1][PEER_LINK_LEARNER];
    struct peer_msg msg = {.epoch = said->epoch, .zxid = said->zxid};
    zxid_t end = zab_logged(c->zab);

    switch ((int)said->type) {
        case 0:
            msg.type = PEER_FOLLOWER_INFO;
            msg.epoch = zab_epoch_accepted(c->zab);
            msg.zxid = end;
            msg.follower_info.voting = id < MEMBERS;
            msg.follower_info.epoch_current = zab_epoch(c->zab);
            break;
        case PEER_NEW_EPOCH:
            msg.type = PEER_ACK_EPOCH;
            msg.zxid = end;
            msg.ack_epoch.counted = id < MEMBERS;
            msg.ack_epoch.whole = below(4) != 0;
            msg.ack_epoch.epoch_current = zab_epoch(c->zab);
            msg.ack_epoch.epoch_ends = &end;
            msg.ack_epoch.epoch_ends_count = end != 0;
            break;
        case PEER_SNAP_CHUNK:
            msg.type = PEER_SNAP_ACK;
            msg.snap.number = said->snap.number;
            break;
        case PEER_NEW_LEADER:
            msg.type = PEER_ACK_NEW_LEADER;
            break;
        case PEER_PING:
            msg.type = PEER_PONG;
            msg.ping.number = said->ping.number;
            break;
        default:
            msg.type = PEER_ACK;
            break;
    }
    give(id, PEER_LINK_LEARNER, &msg);
}

/* And an honest leader, to the last that we said to it. */
static void answer_learner(uint64_t id)
{
    const struct peer_msg *said = &c->said[id - 1][PEER_LINK_LEADER];
    bool syncing = strcmp(zab_phase_name(c->zab), "syncing") == 0;
    struct peer_msg msg = {.epoch = c->told.epoch, .zxid = zab_logged(c->zab)};

    if (said->type == PEER_FOLLOWER_INFO && c->told.type == 0) {
        msg.type = PEER_NEW_EPOCH;
        msg.epoch = said->epoch + 1;
    } else if (said->type == PEER_FOLLOWER_INFO) {
        return; /* until it has promised */
    } else if (said->type == PEER_ACK_EPOCH && !syncing) {
        msg.type = below(3) == 0 ? PEER_SYNC_SNAP : PEER_SYNC_DIFF;
        msg.zxid += below(2) * 2 * (msg.type == PEER_SYNC_SNAP);
    } else if (said->type == PEER_ACK_NEW_LEADER && syncing) {
        msg.type = PEER_UP_TO_DATE;
    } else if (syncing &&
               (c->told.type == PEER_SYNC_SNAP ||
                (c->told.type == PEER_SNAP_CHUNK && !c->told.snap.last))) {
        msg.type = PEER_SNAP_CHUNK;
        msg.snap.number =
            c->told.type == PEER_SYNC_SNAP ? 1 : c->told.snap.number + 1;
        msg.snap.last = below(2) == 0;
    } else if (syncing && c->told.type != PEER_NEW_LEADER && below(3) == 0) {
        msg.type = PEER_NEW_LEADER;
    } else if (syncing && c->told.type == PEER_NEW_LEADER) {
        return;
    } else {
        msg.type = below(2) == 0 ? PEER_PROPOSE : PEER_COMMIT;
        msg.zxid += msg.type == PEER_PROPOSE;
    }
    c->told = msg;
    give(id, PEER_LINK_LEADER, &msg);
}

/* All want the same one, or one leads. */
static void vote(uint64_t id)
{
    const struct peer_msg *said = &c->said[id - 1][PEER_LINK_ELECTION];
    struct peer_msg msg = {.type = PEER_VOTE,
                           .epoch = said->epoch,
                           .zxid = said->zxid,
                           .vote = {.candidate = c->config.self_id,
                                    .round = said->vote.round,
                                    .state = PEER_LOOKING,
                                    .no_log = said->vote.no_log}};

    if (c->led) {
        msg.vote.candidate = id;
        msg.vote.state = PEER_ESTABLISHED;
    }
    give(id, PEER_LINK_ELECTION, &msg);
}

static void ask_zab(void)
{
    struct blob *proposal;

    switch (below(40)) {
        case 0:
            input(&(struct zab_input){.type = ZAB_IN_DIVERGED});
            break;
        case 1:
            input(&(struct zab_input){
                .type = ZAB_IN_BROKEN,
                .link = (enum peer_link)below(PEER_LINKS_COUNT),
                .peer_id = 2 + below(MEMBERS - 1),
                .why = "why not"});
            break;
        default:
            if (zab_can_propose(c->zab)) {
                proposal = blob_copy(SLICE_LITERAL("new"));
                input(&(struct zab_input){.type = ZAB_IN_PROPOSE,
                                          .proposal = proposal});
                blob_unref(proposal);
            }
            if (zab_role(c->zab) == ZAB_LEADING) {
                input(&(struct zab_input){.type = ZAB_IN_BARRIER,
                                          .barrier = ++c->asked});
            }
            break;
    }
}

static uint64_t another(void)
{
    uint64_t id = 1 + below(MEMBERS - 1);

    return id < c->config.self_id ? id : id + 1;
}

static void speak(uint64_t id, unsigned anything)
{
    uint64_t leader = zab_leader_id(c->zab);
    enum peer_link link = PEER_LINK_LEARNER;

    if (leader == 0) {
        link = PEER_LINK_ELECTION;
    } else if (leader != c->config.self_id) {
        link = PEER_LINK_LEADER;
        id = leader;
    }
    if (below(100) < anything) {
        say_anything(id, below(8) == 0 ? (enum peer_link)below(PEER_LINKS_COUNT)
                                       : link);
    } else if (link == PEER_LINK_ELECTION) {
        vote(id);
    } else if (link == PEER_LINK_LEADER) {
        answer_learner(id);
    } else {
        answer_leader(id);
    }
}

static void step(unsigned anything)
{
    uint64_t id = another();

    switch (below(12)) {
        case 0:
            input(&(struct zab_input){.type = ZAB_IN_TICK});
            break;
        case 1:
        case 2:
            work_disk();
            break;
        case 3:
            ask_zab();
            break;
        case 4:
            if (below(64) == 0) {
                input(&(struct zab_input){
                    .type = ZAB_IN_PEER_DOWN,
                    .link = (enum peer_link)below(PEER_LINKS_COUNT),
                    .peer_id = id});
            } else if (c->leader != 0) {
                up(c->leader, PEER_LINK_LEADER);
                c->leader = 0;
            } else {
                up(id, below(4) == 0 ? PEER_LINK_ELECTION : PEER_LINK_LEARNER);
            }
            break;
        default:
            speak(id, anything);
            break;
    }
}

static void run(uint64_t seed, uint64_t self)
{
    prng_init(&c->prng, seed);
    c->led = seed % 2 == 0 || self == MEMBERS;
    boot(self, seed % 7 == 0);
    for (unsigned i = 0; i < STEPS && !c->damaged; i++) {
        c->steps[zab_role(c->zab)]++;
        step((unsigned)(seed % 5) * 12);
        if (i == STEPS / 2 && seed % 16 == 1) {
            input(&(struct zab_input){.type = ZAB_IN_RESIGN});
        }
    }
    zab_destroy(c->zab);
    fake_disk_destroy(c->disk);
    memset(c->said, 0, sizeof(c->said));
    c->damaged = false;
    c->asked = 0;
    c->leader = 0;
}

Test(zab_hostile, a_voter_goes_on_whatever_it_is_told)
{
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        run(seed, 1);
    }
    cr_assert(c->steps[ZAB_LEADING] > 10000);
    cr_assert(c->steps[ZAB_FOLLOWING] > 10000);
}

Test(zab_hostile, an_observer_goes_on_whatever_it_is_told)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        run(seed, MEMBERS);
    }
    cr_assert(c->steps[ZAB_OBSERVING] > 1000);
}
