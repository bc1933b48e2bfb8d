/* The ops that are not on the platter yet. They are done in two lanes as
 * proto/store_op.h says; at a crash any number of those that wait were done, in
 * an order that they could have been done in, and the others never. */
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "tests/sim/platter.h"
#include "tests/sim/sim_internal.h"

#define SLOW_WAIT_US (50 * SIM_MS)

struct waiting {
    struct store_op op;
    uint64_t order, asked_us;
};

struct lane {
    struct waiting *items;
    size_t first, count, capacity; /* first .. count wait */
};

struct disk {
    struct platter *platter;

    /* What the process asked of it. */
    struct lane lanes[2]; /* log, slow */
    uint64_t next_order;
    size_t running; /* ops of the running batch, at the head of its lane */
    int running_lane;
    bool slow_next;
    uint64_t stamp;
    bool held, due; /* nothing ends; something would have */
    bool low;
    uint64_t slow_until_us;
    struct store_result *results;
    size_t results_capacity;
};

static bool is_log_op(enum store_op_type type);
static bool is_fence(enum store_op_type type);
static struct waiting *lane_at(struct lane *lane, size_t index);
static size_t lane_count(const struct lane *lane);
static void lane_push(struct lane *lane, const struct waiting *waiting);
static void start_next(struct sim *sim, struct server *server);
static void run(struct sim *sim, struct server *server, struct lane *lane,
                size_t count, struct store_result *results);
struct disk *disk_create(struct sim *sim)
{
    static const size_t segments[] = {1, 8, 64, 512};
    struct disk *disk = MEM_NEW(struct disk);

    disk->platter = platter_create(sim->options.log_segment != 0
                                       ? sim->options.log_segment
                                       : segments[draw(sim, PRNG_DISK, 0, 3)]);
    return disk;
}

void disk_destroy(struct disk *disk)
{
    if (disk == NULL) {
        return;
    }
    for (int i = 0; i < 2; i++) {
        for (size_t n = 0; n < lane_count(&disk->lanes[i]); n++) {
            blob_unref(lane_at(&disk->lanes[i], n)->op.payload);
        }
        mem_free(disk->lanes[i].items);
    }
    platter_destroy(disk->platter);
    mem_free(disk->results);
    mem_free(disk);
}

void disk_wipe(struct disk *disk)
{
    CHECK(disk_idle(disk));
    platter_wipe(disk->platter);
}

const struct durable_state *disk_durable(struct disk *disk)
{
    return platter_durable(disk->platter);
}

bool disk_idle(const struct disk *disk)
{
    return lane_count(&disk->lanes[0]) == 0 && lane_count(&disk->lanes[1]) == 0;
}

bool disk_whole(const struct disk *disk)
{
    return platter_epoch(disk->platter) > 0;
}

void disk_slow(struct disk *disk, uint64_t until_us)
{
    disk->slow_until_us = until_us;
}

void disk_set_low(struct disk *disk, bool low)
{
    disk->low = low;
}

bool disk_is_low(const struct disk *disk)
{
    return disk->low;
}

void disk_hold(struct sim *sim, struct server *server, bool hold)
{
    struct disk *disk = server->disk;

    disk->held = hold;
    if (!hold && disk->due) {
        disk->due = false;
        sim_schedule(sim, sim->now_us, EVENT_DISK, server->id, 0, disk->stamp);
    }
}

/* ---- lanes */

static bool is_log_op(enum store_op_type type)
{
    return type == STORE_EPOCHS || type == STORE_APPEND ||
           type == STORE_TRUNCATE;
}

static bool is_fence(enum store_op_type type)
{
    return type == STORE_TRUNCATE || type == STORE_SNAP_BEGIN ||
           type == STORE_SNAP_END;
}

static size_t lane_count(const struct lane *lane)
{
    return lane->count - lane->first;
}

static struct waiting *lane_at(struct lane *lane, size_t index)
{
    return &lane->items[lane->first + index];
}

static void lane_push(struct lane *lane, const struct waiting *waiting)
{
    if (lane->first > 0 && lane->first >= lane_count(lane)) {
        memmove(lane->items, lane->items + lane->first,
                lane_count(lane) * sizeof(*lane->items));
        lane->count -= lane->first;
        lane->first = 0;
    }
    lane->items = mem_grow(lane->items, &lane->capacity, lane->count + 1,
                           sizeof(*lane->items));
    lane->items[lane->count++] = *waiting;
}

void disk_submit(struct sim *sim, struct server *server,
                 const struct store_op *ops, size_t count)
{
    struct disk *disk = server->disk;

    for (size_t i = 0; i < count; i++) {
        struct waiting waiting = {
            .op = ops[i], .order = disk->next_order++, .asked_us = sim->now_us};

        lane_push(&disk->lanes[is_log_op(ops[i].type) ? 0 : 1], &waiting);
    }
    if (count > 0 && disk->running == 0) {
        start_next(sim, server);
    }
}

static uint64_t next_fence(struct disk *disk)
{
    uint64_t fence = UINT64_MAX;

    for (int i = 0; i < 2; i++) {
        for (size_t n = 0; n < lane_count(&disk->lanes[i]); n++) {
            const struct waiting *waiting = lane_at(&disk->lanes[i], n);

            if (is_fence(waiting->op.type)) {
                fence = waiting->order < fence ? waiting->order : fence;
                break;
            }
        }
    }
    return fence;
}

static size_t ready(struct lane *lane, uint64_t fence)
{
    size_t n = 0;

    while (n < lane_count(lane) && lane_at(lane, n)->order < fence) {
        n++;
    }
    return n;
}

/* As server/disk.c: all log ops that may run as one batch, then, when none
 * waits or it has waited long enough, one slow op. */
static void start_next(struct sim *sim, struct server *server)
{
    struct disk *disk = server->disk;
    uint64_t fence = next_fence(disk);
    size_t log_ready = ready(&disk->lanes[0], fence);
    size_t slow_ready = ready(&disk->lanes[1], fence);
    uint64_t us = draw(sim, PRNG_DISK, sim->options.disk_us_min,
                       sim->options.disk_us_max);
    bool slow_first =
        disk->slow_next && slow_ready > 0 &&
        lane_at(&disk->lanes[1], 0)->asked_us + SLOW_WAIT_US <= sim->now_us;

    if (disk_idle(disk)) {
        return;
    }
    disk->slow_next = !slow_first && log_ready > 0;
    disk->running_lane = log_ready > 0 && !slow_first ? 0 : 1;
    disk->running = disk->running_lane == 0 ? log_ready : 1;
    if (log_ready == 0 && slow_ready == 0) { /* the fence */
        disk->running = 1;
        disk->running_lane = lane_count(&disk->lanes[0]) > 0 &&
                                     lane_at(&disk->lanes[0], 0)->order == fence
                                 ? 0
                                 : 1;
    }
    if (disk->slow_until_us > sim->now_us) {
        us += draw(sim, PRNG_DISK, 0, disk->slow_until_us - sim->now_us);
    }
    disk->stamp++;
    sim_schedule(sim, sim->now_us + us, EVENT_DISK, server->id, 0, disk->stamp);
}

void disk_event(struct sim *sim, struct server *server, uint64_t stamp)
{
    struct disk *disk = server->disk;
    uint64_t incarnation = server->incarnation;
    size_t count = disk->running;

    if (stamp != disk->stamp || count == 0) {
        return;
    }
    if (disk->held) {
        disk->due = true;
        return;
    }
    disk->results = mem_grow(disk->results, &disk->results_capacity, count,
                             sizeof(*disk->results));
    run(sim, server, &disk->lanes[disk->running_lane], count, disk->results);
    disk->running = 0;
    start_next(sim, server);
    for (size_t i = 0; i < count; i++) {
        struct replica_input input = {.type = REPLICA_STORE_RESULT,
                                      .result = &disk->results[i]};

        sim->events++;
        if (incarnation == server->incarnation) {
            server_input(sim, server, &input);
        }
        blob_unref(disk->results[i].payload);
    }
}

/* Takes count ops off the head of the lane, all in one batch. */
static void run(struct sim *sim, struct server *server, struct lane *lane,
                size_t count, struct store_result *results)
{
    struct disk *disk = server->disk;
    zxid_t committed = 0;

    for (size_t i = 0; i < count; i++) {
        const struct store_op *op = &lane_at(lane, i)->op;

        if (op->type == STORE_APPEND && op->zxid_committed > committed) {
            committed = op->zxid_committed; /* the batch's header has it */
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct store_op *op = &lane_at(lane, i)->op;
        bool read = op->type == STORE_READ_LOG || op->type == STORE_READ_SNAP ||
                    op->type == STORE_READ_CLOSE;
        const char *why;

        if (op->type == STORE_APPEND) {
            op->zxid_committed = committed;
        }
        results[i] = (struct store_result){.type = op->type,
                                           .owner = op->owner,
                                           .seq = op->seq,
                                           .reader_id = op->reader_id,
                                           .zxid = op->zxid};
        why = platter_do(disk->platter, op, &results[i]);
        if (why != NULL) {
            sim_fail(sim, "Disk: server %u: %s (0x%llx)", server->id, why,
                     (unsigned long long)op->zxid);
        }
        if (!read && results[i].err == 0) {
            checker_durable(sim->checker, server->id, op);
        }
    }
    for (size_t i = 0; i < count; i++) {
        blob_unref(lane_at(lane, i)->op.payload);
    }
    lane->first += count;
}

/* Any number of what waits was done, in the order asked or log ops first. */
void disk_crash(struct sim *sim, struct server *server)
{
    struct disk *disk = server->disk;
    size_t waiting = lane_count(&disk->lanes[0]) + lane_count(&disk->lanes[1]);
    bool log_first = draw_chance(sim, PRNG_DISK, 2);
    uint64_t kept = draw(sim, PRNG_DISK, 0, 2);
    struct store_result result;

    kept = kept == 0   ? 0
           : kept == 1 ? waiting
                       : draw(sim, PRNG_DISK, 0, waiting);
    for (; kept > 0; kept--) {
        uint64_t fence = next_fence(disk);
        bool log = ready(&disk->lanes[0], fence) > 0;
        bool slow = ready(&disk->lanes[1], fence) > 0;

        if (!log && !slow) {
            log = lane_count(&disk->lanes[0]) > 0 &&
                  lane_at(&disk->lanes[0], 0)->order == fence;
        } else if (log && slow && !log_first) {
            log = lane_at(&disk->lanes[0], 0)->order <
                  lane_at(&disk->lanes[1], 0)->order;
        }
        run(sim, server, &disk->lanes[log ? 0 : 1], 1, &result);
        blob_unref(result.payload);
    }
    for (int i = 0; i < 2; i++) {
        for (size_t n = 0; n < lane_count(&disk->lanes[i]); n++) {
            blob_unref(lane_at(&disk->lanes[i], n)->op.payload);
        }
        disk->lanes[i].first = disk->lanes[i].count = 0;
    }
    disk->running = 0;
    disk->due = false;
    disk->stamp++;
    platter_process_ends(disk->platter);
}
