/* One server: zab and its disk. Reads are answered at once. There are no
 * checkpoints, so no tree is ever sent. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "tests/sim/exhaust.h"
#include "tests/sim/exhaust_disk.h"
#include "tests/sim/exhaust_region.h"
#include "tests/sim/exhaust_table.h"

#define READS_MAX 16U
#define EFFECTS_MAX 512U

/* Stands at the region's beginning. */
struct server {
    unsigned index;
    struct zab *zab; /* NULL: down */
    struct disk disk;
    struct entries delivered;
};

/* A region as its difference from the first one of its server. */
struct state {
    uint64_t key; /* hash of all that matters */
    struct server_info info;
    unsigned index;
    bool based; /* else all of its blocks are here */
    uint32_t blocks_count, used;
    uint8_t *blocks; /* of each: 16 bits of index, REGION_BLOCK bytes */
};

struct step {
    uint64_t key;
    uint32_t next, outputs, outputs_count;
    const char *broken;
};

struct frame {
    uint64_t key;
    size_t begin, len;
};

struct servers {
    uint32_t counter_max;
    struct state *states;
    size_t states_count, states_capacity;
    struct table by_hash;
    struct step *steps;
    size_t steps_count, steps_capacity;
    struct table by_key;
    struct output *outputs;
    size_t outputs_count, outputs_capacity;
    struct frame *frames;
    size_t frames_count, frames_capacity;
    struct table by_frame;
    struct buf bytes; /* of the frames */
    uint8_t *bases[SERVERS];
    size_t base_sizes[SERVERS];
    /* Of the step that is being made. */
    struct zab_effects effects;
    struct arena *arena;
    struct buf scratch;
    struct store_op reads[READS_MAX];
    size_t reads_count;
    const char *broken;
    FILE *tell;
};

static uint32_t react(struct servers *s, uint32_t state,
                      const struct input *input);
static void crash(unsigned survive);
static void start(struct servers *s);
static void on_message(struct servers *s, const struct input *input);
static void on_stored(struct servers *s);
static void propose(struct servers *s, unsigned number);
static void step(struct servers *s, struct zab_input *input);
static void answer(struct servers *s, const struct store_op *op);
static void carry_out(struct servers *s, struct zab_effect *effect);
static void send_message(struct servers *s, struct zab_effect *effect);
static const char *check_message(const struct server *server,
                                 const struct peer_msg *msg);
static void store(struct servers *s, const struct store_op *op);
static void deliver(struct servers *s, const struct zab_effect *effect);
static struct output *put_output(struct servers *s, enum output_kind kind,
                                 const struct zab_effect *effect);
static void load(const struct servers *s, uint32_t state);
static uint32_t save(struct servers *s);
static void save_blocks(struct servers *s, struct state *state);
static struct server_info describe(const struct server *server);
static uint64_t hash_server(const struct server *server);
static uint16_t intern(struct servers *s, struct slice frame);

static const struct zab_member members[SERVERS] = {
    {1, true}, {2, true}, {3, true}};

struct servers *servers_create(uint32_t counter_max)
{
    struct servers *s = MEM_NEW(struct servers);

    s->counter_max = counter_max;
    s->arena = arena_create(4096);
    s->effects.items = MEM_ARRAY(struct zab_effect, EFFECTS_MAX);
    s->effects.capacity = EFFECTS_MAX;
    return s;
}

void servers_destroy(struct servers *s)
{
    for (size_t i = 0; i < s->states_count; i++) {
        mem_free(s->states[i].blocks);
    }
    for (unsigned i = 0; i < SERVERS; i++) {
        mem_free(s->bases[i]);
    }
    mem_free(s->states);
    mem_free(s->by_hash.slots);
    mem_free(s->steps);
    mem_free(s->by_key.slots);
    mem_free(s->outputs);
    mem_free(s->frames);
    mem_free(s->by_frame.slots);
    mem_free(s->effects.items);
    buf_finish(&s->bytes);
    buf_finish(&s->scratch);
    arena_destroy(s->arena);
    mem_free(s);
}

uint32_t server_first(struct servers *s, unsigned index,
                      const struct server_disk *disk)
{
    struct server *server = region_reset(sizeof(*server));

    server->index = index;
    disk_init(&server->disk, disk);
    return save(s);
}

struct reaction server_react(struct servers *s, uint32_t state,
                             const struct input *input)
{
    uint64_t key = (uint64_t)state << 32 | (uint64_t)input->kind << 28 |
                   (uint64_t)input->link << 24 | (uint64_t)input->peer << 20 |
                   input->number;
    uint32_t *slot = table_find(&s->by_key, key, s->steps, sizeof(*s->steps));
    const struct step *known;

    CHECK(input->number < 1U << 20);
    if (*slot == TABLE_NONE) {
        size_t outputs = s->outputs_count;
        uint32_t next = react(s, state, input);

        s->steps = mem_grow(s->steps, &s->steps_capacity, s->steps_count + 1,
                            sizeof(*s->steps));
        s->steps[s->steps_count] = (struct step){
            .key = key,
            .next = next,
            .outputs = (uint32_t)outputs,
            .outputs_count = (uint32_t)(s->outputs_count - outputs),
            .broken = s->broken,
        };
        *slot = (uint32_t)s->steps_count;
        s->steps_count++;
        s->by_key.count++;
        table_grow(&s->by_key, s->steps, sizeof(*s->steps));
        known = &s->steps[s->steps_count - 1];
    } else {
        known = &s->steps[*slot];
    }
    return (struct reaction){
        .next = known->next,
        .outputs = s->outputs + known->outputs,
        .outputs_count = known->outputs_count,
        .broken = known->broken,
    };
}

const struct server_info *server_info(const struct servers *s, uint32_t state)
{
    return &s->states[state].info;
}

void server_tell(struct servers *s, uint32_t state, const struct input *input,
                 FILE *out)
{
    size_t outputs = s->outputs_count;

    s->tell = out;
    (void)react(s, state, input);
    s->tell = NULL;
    s->outputs_count = outputs;
}

size_t servers_states(const struct servers *s)
{
    return s->states_count;
}

size_t servers_steps(const struct servers *s)
{
    return s->steps_count;
}

static uint32_t react(struct servers *s, uint32_t state,
                      const struct input *input)
{
    struct zab_input in = {.link = input->link};

    in.peer_id = members[input->peer].id;
    load(s, state);
    s->broken = NULL;
    switch (input->kind) {
        case INPUT_UP:
        case INPUT_DOWN:
            in.type =
                input->kind == INPUT_UP ? ZAB_IN_PEER_UP : ZAB_IN_PEER_DOWN;
            step(s, &in);
            break;
        case INPUT_MESSAGE:
            on_message(s, input);
            break;
        case INPUT_STORED:
            on_stored(s);
            break;
        case INPUT_TICK:
            in.type = ZAB_IN_TICK;
            step(s, &in);
            break;
        case INPUT_RESIGN:
            in.type = ZAB_IN_RESIGN;
            step(s, &in);
            break;
        case INPUT_PROPOSE:
            propose(s, input->number);
            break;
        case INPUT_CRASH:
            crash(input->number);
            break;
        case INPUT_START:
            start(s);
            break;
    }
    return save(s);
}

static void crash(unsigned survive)
{
    struct server copy = *(struct server *)region_root();
    struct server *server = region_reset(sizeof(*server));

    disk_crash(&copy.disk, survive);
    server->index = copy.index;
    server->disk = copy.disk;
}

static void start(struct servers *s)
{
    struct server *server = region_root();
    zxid_t ends[ENTRIES_MAX];
    struct durable_state state = disk_state(&server->disk, ends);
    struct zab_config config = {
        .self_id = members[server->index].id,
        .members = members,
        .members_count = SERVERS,
        .ticks_init_max = 20,
        .ticks_sync_max = 20,
        .ticks_heartbeat = 4,
        .ticks_leader_timeout = 10,
        .entropy = DISK_CLUSTER_ID,
        .proposals_inflight_max = 4,
        .counter_max = s->counter_max,
        .seed = server->index + 1,
    };

    region_enter();
    server->zab = zab_create(&config, &state);
    region_leave();
    step(s, &(struct zab_input){.type = ZAB_IN_TICK});
}

static void on_message(struct servers *s, const struct input *input)
{
    const struct frame *frame = &s->frames[input->number - MESSAGE_FIRST];
    struct slice bytes = slice_make(s->bytes.data + frame->begin, frame->len);
    struct zab_input in = {.type = ZAB_IN_MESSAGE, .link = input->link};
    struct peer_msg msg;

    in.peer_id = members[input->peer].id;
    arena_reset(s->arena);
    region_enter(); /* payloads may be kept */
    CHECK(peer_msg_decode(slice_after(bytes, 4), s->arena, &msg) == 0);
    in.message = &msg;
    region_leave();
    step(s, &in);
    peer_msg_finish(&msg);
}

static void on_stored(struct servers *s)
{
    struct server *server = region_root();
    struct zab_input in = {.type = ZAB_IN_STORED};

    in.stored_seq = disk_sync(&server->disk);
    step(s, &in);
}

static void propose(struct servers *s, unsigned number)
{
    struct zab_input in = {.type = ZAB_IN_PROPOSE};

    region_enter();
    in.proposal = disk_payload((uint16_t)number);
    region_leave();
    step(s, &in);
    blob_unref(in.proposal);
}

static void step(struct servers *s, struct zab_input *input)
{
    struct server *server = region_root();
    char line[512];

    if (s->tell != NULL) {
        (void)zab_input_format(input, line, sizeof(line));
        (void)fprintf(s->tell, "    %u < %s\n", server->index + 1, line);
        (void)fflush(s->tell); /* a CHECK may end it */
    }
    s->effects.count = 0;
    region_enter();
    zab_step(server->zab, input, &s->effects);
    region_leave();
    CHECK(s->effects.capacity == EFFECTS_MAX);
    for (size_t i = 0; i < s->effects.count; i++) {
        if (s->tell != NULL) {
            (void)zab_effect_format(&s->effects.items[i], line, sizeof(line));
            (void)fprintf(s->tell, "    %u > %s\n", server->index + 1, line);
        }
        carry_out(s, &s->effects.items[i]);
    }
    if (s->reads_count > 0) {
        struct store_op op = s->reads[0];

        s->reads_count--;
        memmove(s->reads, s->reads + 1, s->reads_count * sizeof(op));
        answer(s, &op);
    }
}

static void answer(struct servers *s, const struct store_op *op)
{
    const struct server *server = region_root();
    struct zab_input in = {.type = ZAB_IN_RESULT};
    struct store_result result = {.type = op->type,
                                  .owner = op->owner,
                                  .seq = op->seq,
                                  .reader_id = op->reader_id,
                                  .last = true};

    buf_clear(&s->scratch);
    if (op->type == STORE_READ_LOG) {
        result.zxid = disk_read_log(&server->disk, op->zxid, &s->scratch);
        region_enter();
        result.payload = blob_copy(buf_bytes(&s->scratch));
        region_leave();
    } else {
        result.err = ERR_NOT_FOUND;
    }
    in.result = &result;
    step(s, &in);
    blob_unref(result.payload);
}

static void carry_out(struct servers *s, struct zab_effect *effect)
{
    switch (effect->type) {
        case ZAB_SEND:
            send_message(s, effect);
            break;
        case ZAB_STORE:
            store(s, &effect->store);
            blob_unref(effect->store.payload);
            break;
        case ZAB_DELIVER:
            deliver(s, effect);
            blob_unref(effect->deliver.payload);
            break;
        case ZAB_TREE_BEGIN:
            ((struct server *)region_root())->delivered.count = 0;
            break;
        case ZAB_CONNECT:
            (void)put_output(s, OUTPUT_CONNECT, effect);
            break;
        case ZAB_DROP_PEER:
            (void)put_output(s, OUTPUT_DROP, effect);
            break;
        case ZAB_DAMAGED:
            s->broken = effect->why;
            break;
        case ZAB_BARRIER_DONE:
        case ZAB_TREE_CHUNK:
        case ZAB_TREE_END:
        case ZAB_ROLE:
            break;
    }
}

static void send_message(struct servers *s, struct zab_effect *effect)
{
    const char *broken = check_message(region_root(), &effect->message);

    if (broken != NULL) {
        s->broken = broken;
    }
    buf_clear(&s->scratch);
    peer_msg_encode_head(&effect->message, &s->scratch);
    for (uint32_t i = 0; i < effect->message.payloads_count; i++) {
        buf_append(&s->scratch, blob_bytes(effect->message.payloads[i]));
    }
    put_output(s, OUTPUT_SEND, effect)->message =
        intern(s, buf_bytes(&s->scratch));
    peer_msg_finish(&effect->message);
}

/* Acknowledged is durable. */
static const char *check_message(const struct server *server,
                                 const struct peer_msg *msg)
{
    const struct disk *disk = &server->disk;
    zxid_t last = disk_last(disk);

    switch ((int)msg->type) {
        case PEER_ACK_EPOCH:
            return msg->ack_epoch.counted && disk->accepted < msg->epoch
                       ? "an epoch is promised, and not durable"
                       : NULL;
        case PEER_ACK_NEW_LEADER:
            if (disk->current < msg->epoch) {
                return "an epoch is taken up, and not durable";
            }
            return last < msg->zxid ? "a history is acknowledged, not durable"
                                    : NULL;
        case PEER_ACK:
            return last < msg->zxid ? "a proposal is acknowledged, not durable"
                                    : NULL;
        default:
            return NULL;
    }
}

static void store(struct servers *s, const struct store_op *op)
{
    struct server *server = region_root();

    switch (op->type) {
        case STORE_READ_LOG:
        case STORE_READ_SNAP:
            CHECK(s->reads_count < READS_MAX);
            s->reads[s->reads_count] = *op;
            s->reads_count++;
            break;
        case STORE_EPOCHS:
        case STORE_APPEND:
        case STORE_TRUNCATE:
            disk_write(&server->disk, op);
            break;
        case STORE_READ_CLOSE:
        case STORE_PURGE:
        case STORE_CHECKPOINT:
            break;
        case STORE_SNAP_BEGIN:
        case STORE_SNAP_CHUNK:
        case STORE_SNAP_END:
            s->broken = "a tree is received, where none can be sent";
            break;
    }
}

static void deliver(struct servers *s, const struct zab_effect *effect)
{
    struct server *server = region_root();
    struct entries *delivered = &server->delivered;
    struct entry entry = {zxid_epoch(effect->deliver.zxid),
                          (uint16_t)zxid_counter(effect->deliver.zxid),
                          disk_number(effect->deliver.payload)};

    if (delivered->count == ENTRIES_MAX) {
        s->broken = "more is delivered than was proposed";
        return;
    }
    if (!disk_has(&server->disk, &entry)) {
        s->broken = "delivered before it is on the own disk";
    }
    delivered->items[delivered->count] = entry;
    delivered->count++;
}

static struct output *put_output(struct servers *s, enum output_kind kind,
                                 const struct zab_effect *effect)
{
    struct output *output;

    s->outputs = mem_grow(s->outputs, &s->outputs_capacity,
                          s->outputs_count + 1, sizeof(*s->outputs));
    output = &s->outputs[s->outputs_count];
    s->outputs_count++;
    *output = (struct output){(uint8_t)kind, (uint8_t)effect->link,
                              (uint8_t)effect->peers, 0};
    return output;
}

static void load(const struct servers *s, uint32_t id)
{
    const struct state *state = &s->states[id];
    const uint8_t *from = state->blocks;
    uint8_t *bytes = region_bytes();

    if (state->based) {
        size_t size = s->base_sizes[state->index];

        memcpy(bytes, s->bases[state->index],
               size < state->used ? size : state->used);
    }
    for (uint32_t i = 0; i < state->blocks_count; i++) {
        memcpy(bytes + (size_t)bytes_load16(from) * REGION_BLOCK, from + 2,
               REGION_BLOCK);
        from += 2 + REGION_BLOCK;
    }
}

/* The number of the state that is in the region. */
static uint32_t save(struct servers *s)
{
    const struct server *server = region_root();
    uint64_t hash = hash_server(server);
    uint32_t *slot =
        table_find(&s->by_hash, hash, s->states, sizeof(*s->states));
    struct state *state;

    if (*slot != TABLE_NONE) {
        return *slot;
    }
    s->states = mem_grow(s->states, &s->states_capacity, s->states_count + 1,
                         sizeof(*s->states));
    *slot = (uint32_t)s->states_count;
    state = &s->states[s->states_count];
    s->states_count++;
    *state = (struct state){.key = hash, .index = server->index};
    state->info = describe(server);
    save_blocks(s, state);
    s->by_hash.count++;
    table_grow(&s->by_hash, s->states, sizeof(*s->states));
    return (uint32_t)(s->states_count - 1);
}

static void save_blocks(struct servers *s, struct state *state)
{
    const uint8_t *bytes = region_bytes();
    uint8_t **base = &s->bases[state->index], *to;
    size_t used = region_used();

    if (*base == NULL && state->info.up) {
        *base = mem_alloc(used);
        memcpy(*base, bytes, used);
        s->base_sizes[state->index] = used;
    }
    state->used = (uint32_t)used;
    state->based = *base != NULL;
    buf_clear(&s->scratch);
    for (size_t at = 0; at < used; at += REGION_BLOCK) {
        if (state->based && at < s->base_sizes[state->index] &&
            memcmp(bytes + at, *base + at, REGION_BLOCK) == 0) {
            continue;
        }
        to = buf_extend(&s->scratch, 2 + REGION_BLOCK);
        bytes_store16(to, (uint16_t)(at / REGION_BLOCK));
        memcpy(to + 2, bytes + at, REGION_BLOCK);
        state->blocks_count++;
    }
    state->blocks = mem_alloc(s->scratch.len);
    memcpy(state->blocks, s->scratch.data, s->scratch.len);
}

static struct server_info describe(const struct server *server)
{
    struct server_info info = {
        .up = server->zab != NULL,
        .writes = server->disk.writes_count,
        .accepted_stored = server->disk.accepted,
        .current_stored = server->disk.current,
        .log = server->disk.log,
        .delivered = server->delivered,
    };

    if (info.up) {
        info.can_propose = zab_can_propose(server->zab);
        info.role = zab_role(server->zab);
        info.leader_id = zab_leader_id(server->zab);
        info.epoch = zab_epoch(server->zab);
    }
    return info;
}

static uint64_t hash_server(const struct server *server)
{
    uint64_t hash = disk_hash(&server->disk, server->index);
    uint64_t zab = server->zab != NULL ? zab_state_hash(server->zab) : 0;

    hash = exhaust_hash(hash, &zab, sizeof(zab));
    return exhaust_hash(hash, &server->delivered, sizeof(server->delivered));
}

/* A message's number: equal ones have one. */
static uint16_t intern(struct servers *s, struct slice frame)
{
    uint64_t key = exhaust_hash(frame.len, frame.ptr, frame.len);
    uint32_t *slot =
        table_find(&s->by_frame, key, s->frames, sizeof(*s->frames));
    uint32_t number = *slot;

    if (number == TABLE_NONE) {
        number = (uint32_t)s->frames_count;
        CHECK(number + MESSAGE_FIRST <= UINT16_MAX);
        s->frames = mem_grow(s->frames, &s->frames_capacity,
                             s->frames_count + 1, sizeof(*s->frames));
        s->frames[number].key = key;
        s->frames[number].begin = s->bytes.len;
        s->frames[number].len = frame.len;
        s->frames_count++;
        buf_append(&s->bytes, frame);
        *slot = number;
        s->by_frame.count++;
        table_grow(&s->by_frame, s->frames, sizeof(*s->frames));
    }
    return (uint16_t)(number + MESSAGE_FIRST);
}
