/* Breadth first through every order of events: exhaust [--long] [--states N]
 * [--run NAME]. Ends with 1 and the shortest way there when an invariant does
 * not hold, with its numbers otherwise.
 *
 * Each run says which events may happen and which are no choice of their own
 * (struct world_rules). "complete": there is no other order of these. "all to
 * depth n": there are more states than it may keep; every order of n events was
 * tried. Time passes only when nothing else can happen, but for "late". */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "tests/sim/exhaust.h"
#include "tests/sim/exhaust_region.h"
#include "tests/sim/exhaust_table.h"

/* That all may need to be well again. */
#define TICKS 400U
/* A state costs a hundred bytes, and one of a server some thousands: the long
 * runs want 5 GB. */
#define CHECK_STATES 500000U
#define LONG_STATES 8000000U

/* How a state was come by; its key is a hash of all of it. */
struct seen {
    uint64_t key;
    uint32_t from;
    action_t action;
};

struct run {
    const char *name, *about;
    enum { DOWN, STARTED, ESTABLISHED } first;
    const struct server_disk *disks;
    uint32_t counter_max;
    struct world_rules rules;
    size_t states_max, states_max_long;
};

struct search {
    struct servers *servers;
    const struct run *run;
    struct world first;
    struct seen *seen;
    size_t seen_count, seen_capacity;
    struct table table;
    struct buf frontier[2]; /* this depth's, the next one's */
    size_t transitions, settled, depth;
    bool cut; /* not all of a depth was seen */
    /* What is being done, to be told if it stops here. */
    uint32_t at;
    action_t action;
};

static const struct server_disk empty[SERVERS];

/* Epochs that came to nothing: each had a transaction that no quorum has, and
 * the later one is down when the earlier one is taken for the history. */
static const struct server_disk branches[SERVERS] = {
    {1, 1, {1, {{1, 1, 101}}}},
    {2, 2, {1, {{2, 1, 102}}}},
    {2, 1, {.count = 0}},
};

static const struct run runs[] = {
    {.name = "crash",
     .about = "2 transactions, 1 crash, votes at once",
     .first = ESTABLISHED,
     .disks = empty,
     .rules = {.votes_at_once = true,
               .transactions = 2,
               .crashes = 1,
               .ticks = TICKS},
     .states_max = LONG_STATES,
     .states_max_long = LONG_STATES},
    {.name = "crashes",
     .about = "2 transactions, 2 crashes, votes at once",
     .first = ESTABLISHED,
     .disks = empty,
     .rules = {.votes_at_once = true,
               .transactions = 2,
               .crashes = 2,
               .ticks = TICKS},
     .states_max = CHECK_STATES,
     .states_max_long = LONG_STATES},
    {.name = "in-place",
     .about = "2 transactions, a new epoch in place after each, 1 crash, votes "
              "and disks at once",
     .first = ESTABLISHED,
     .disks = empty,
     .counter_max = 1,
     .rules = {.votes_at_once = true,
               .disks_at_once = true,
               .transactions = 2,
               .crashes = 1,
               .ticks = TICKS},
     .states_max = CHECK_STATES,
     .states_max_long = LONG_STATES},
    {.name = "resign",
     .about = "2 transactions, 1 crash, 1 resigns, votes and disks at once",
     .first = ESTABLISHED,
     .disks = empty,
     .rules = {.votes_at_once = true,
               .disks_at_once = true,
               .transactions = 2,
               .crashes = 1,
               .resigns = 1,
               .ticks = TICKS},
     .states_max = CHECK_STATES,
     .states_max_long = LONG_STATES},
    {.name = "epochs",
     .about = "2 transactions, 3 crashes, votes and disks at once",
     .first = ESTABLISHED,
     .disks = empty,
     .rules = {.votes_at_once = true,
               .disks_at_once = true,
               .transactions = 2,
               .crashes = 3,
               .ticks = TICKS},
     .states_max = CHECK_STATES,
     .states_max_long = LONG_STATES},
    {.name = "cut",
     .about = "2 transactions, 2 cuts, votes and disks at once",
     .first = ESTABLISHED,
     .disks = empty,
     .rules = {.votes_at_once = true,
               .disks_at_once = true,
               .transactions = 2,
               .cuts = 2,
               .ticks = TICKS},
     .states_max = CHECK_STATES,
     .states_max_long = LONG_STATES},
    {.name = "elections",
     .about = "1 transaction, 1 crash, all but votes at once",
     .first = ESTABLISHED,
     .disks = empty,
     .rules = {.quorum_at_once = true,
               .disks_at_once = true,
               .transactions = 1,
               .crashes = 1,
               .ticks = TICKS},
     .states_max = CHECK_STATES,
     .states_max_long = LONG_STATES},
    {.name = "branches",
     .about = "from the disks of two epochs that came to nothing, 1 "
              "transaction, 1 crash, votes and disks at once",
     .disks = branches,
     .rules = {.votes_at_once = true,
               .disks_at_once = true,
               .transactions = 1,
               .crashes = 1,
               .ticks = TICKS},
     .states_max = CHECK_STATES,
     .states_max_long = LONG_STATES},
    {.name = "first",
     .about = "from empty disks, 1 crash, all but votes at once",
     .first = STARTED,
     .disks = empty,
     .rules = {.quorum_at_once = true,
               .disks_at_once = true,
               .crashes = 1,
               .ticks = TICKS},
     .states_max = CHECK_STATES,
     .states_max_long = LONG_STATES},
    {.name = "all",
     .about = "2 transactions, 1 crash, nothing at once",
     .first = ESTABLISHED,
     .disks = empty,
     .rules = {.transactions = 2, .crashes = 1, .ticks = TICKS},
     .states_max = CHECK_STATES,
     .states_max_long = LONG_STATES},
    {.name = "late",
     .about = "1 transaction, 1 crash, 3 ticks anywhere",
     .first = ESTABLISHED,
     .disks = empty,
     .rules = {.votes_at_once = true,
               .disks_at_once = true,
               .ticks_anywhere = true,
               .transactions = 1,
               .crashes = 1,
               .ticks = 3},
     .states_max = CHECK_STATES,
     .states_max_long = LONG_STATES},
};

static bool search_run(struct search *s, size_t states_max);
static bool search_depth(struct search *s, size_t states_max);
static bool expand(struct search *s, const struct world *world, uint32_t from);
static bool arrive(struct search *s, const struct world *world, uint32_t from,
                   action_t action);
static void pack(const struct world *world, uint32_t index, struct buf *out);
static size_t unpack(const uint8_t *from, struct world *world, uint32_t *index);
static void tell_way(struct search *s, const char *broken);
static void on_abort(int number);

/* A CHECK inside zab ends the program: its way there is wanted, too. */
static struct search *running;

int main(int argc, char **argv)
{
    bool all_long = false;
    size_t states_max = 0;
    const char *only = NULL;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--long") == 0) {
            all_long = true;
        } else if (strcmp(argv[i], "--states") == 0 && i + 1 < argc) {
            states_max = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--run") == 0 && i + 1 < argc) {
            only = argv[++i];
        } else {
            (void)fprintf(stderr, "usage: exhaust [--long] [--states N] "
                                  "[--run NAME]\n");
            return 2;
        }
    }
    (void)signal(SIGABRT, on_abort);
    for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
        struct search search = {.run = &runs[i]};
        size_t bound = states_max > 0 ? states_max
                       : all_long     ? runs[i].states_max_long
                                      : runs[i].states_max;

        if (only == NULL || strcmp(only, runs[i].name) == 0) {
            if (!search_run(&search, bound)) {
                return 1;
            }
        }
    }
    return 0;
}

static bool search_run(struct search *s, size_t states_max)
{
    clock_t begin = clock();
    const char *broken = NULL;
    bool ok;

    running = s;
    s->servers = servers_create(s->run->counter_max);
    world_first(s->servers, s->run->disks, &s->first);
    if (s->run->first == STARTED) {
        world_start(s->servers, &s->run->rules, &s->first);
    } else if (s->run->first == ESTABLISHED) {
        broken = world_establish(s->servers, &s->first);
    }
    if (broken != NULL) {
        printf("%s: %s\n", s->run->name, broken);
        return false;
    }
    ok = arrive(s, &s->first, TABLE_NONE, 0);
    while (ok && s->frontier[1].len > 0 && !s->cut) {
        struct buf done = s->frontier[0];

        s->frontier[0] = s->frontier[1];
        s->frontier[1] = done;
        buf_clear(&s->frontier[1]);
        ok = search_depth(s, states_max);
    }
    if (ok) {
        printf("%s (%s): %zu states, %zu transitions, %zu settled, %s depth "
               "%zu; %zu states of a server, %zu steps; %.1f s\n",
               s->run->name, s->run->about, s->seen_count, s->transitions,
               s->settled, s->cut ? "all to" : "complete,",
               s->cut ? s->depth - 1 : s->depth, servers_states(s->servers),
               servers_steps(s->servers),
               (double)(clock() - begin) / CLOCKS_PER_SEC);
        (void)fflush(stdout);
    }
    servers_destroy(s->servers);
    mem_free(s->seen);
    mem_free(s->table.slots);
    buf_finish(&s->frontier[0]);
    buf_finish(&s->frontier[1]);
    running = NULL;
    return ok;
}

static bool search_depth(struct search *s, size_t states_max)
{
    const struct buf *frontier = &s->frontier[0];

    s->depth++;
    for (size_t at = 0; at < frontier->len;) {
        struct world world;
        uint32_t index;

        at += unpack(frontier->data + at, &world, &index);
        if (!expand(s, &world, index)) {
            return false;
        }
        if (s->seen_count >= states_max && at < frontier->len) {
            s->cut = true;
            return true;
        }
    }
    return true;
}

static bool expand(struct search *s, const struct world *world, uint32_t from)
{
    const struct world_rules *rules = &s->run->rules;
    action_t actions[ACTIONS_MAX];
    unsigned count = world_actions(s->servers, rules, world, actions);

    s->at = from;
    if (count == 0 && !rules->ticks_anywhere &&
        !world_is_settled(s->servers, world)) {
        tell_way(s, "they never come to agree");
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        struct world next = *world;
        const char *broken;

        s->action = actions[i];
        broken = world_act(s->servers, rules, &next, actions[i], NULL);
        s->transitions++;
        if (broken != NULL) {
            tell_way(s, broken);
            return false;
        }
        if (!arrive(s, &next, from, actions[i])) {
            return false;
        }
    }
    s->action = 0;
    return true;
}

static bool arrive(struct search *s, const struct world *world, uint32_t from,
                   action_t action)
{
    struct buf *next = &s->frontier[1];
    size_t begin = next->len, header = 2 + 4;
    uint64_t key;
    uint32_t *slot;

    pack(world, (uint32_t)s->seen_count, next);
    key = exhaust_hash(0, next->data + begin + header,
                       next->len - begin - header);
    slot = table_find(&s->table, key, s->seen, sizeof(*s->seen));
    if (*slot != TABLE_NONE) {
        next->len = begin;
        return true;
    }
    s->settled += world_is_settled(s->servers, world);
    *slot = (uint32_t)s->seen_count;
    s->seen = mem_grow(s->seen, &s->seen_capacity, s->seen_count + 1,
                       sizeof(*s->seen));
    s->seen[s->seen_count] = (struct seen){key, from, action};
    s->seen_count++;
    s->table.count++;
    table_grow(&s->table, s->seen, sizeof(*s->seen));
    return true;
}

/* Its length, its index, then all that makes it what it is. */
static void pack(const struct world *world, uint32_t index, struct buf *out)
{
    size_t begin = out->len, fixed = sizeof(*world) - sizeof(world->links);
    uint8_t *to = buf_extend(out, 2 + 4 + sizeof(*world));
    uint8_t *at = to + 6;
    uint16_t size;

    memcpy(to + 2, &index, 4);
    memcpy(at, world->states, sizeof(world->states));
    at += sizeof(world->states);
    for (unsigned i = 0; i < LINKS; i++) {
        const struct link *link = &world->links[i];

        *at++ = (uint8_t)(link->open[0] | link->open[1] << 1);
        for (unsigned side = 0; side < 2; side++) {
            size_t bytes = link->counts[side] * sizeof(link->queues[0][0]);

            *at++ = link->counts[side];
            memcpy(at, link->queues[side], bytes);
            at += bytes;
        }
    }
    fixed -= sizeof(world->states);
    memcpy(at, &world->links[LINKS], fixed);
    at += fixed;
    size = (uint16_t)(at - to);
    memcpy(to, &size, 2);
    out->len = begin + size;
}

static size_t unpack(const uint8_t *from, struct world *world, uint32_t *index)
{
    const uint8_t *at = from + 6;
    size_t fixed =
        sizeof(*world) - sizeof(world->links) - sizeof(world->states);
    uint16_t size;

    memset(world, 0, sizeof(*world));
    memcpy(&size, from, 2);
    memcpy(index, from + 2, 4);
    memcpy(world->states, at, sizeof(world->states));
    at += sizeof(world->states);
    for (unsigned i = 0; i < LINKS; i++) {
        struct link *link = &world->links[i];

        link->open[0] = (*at & 1) != 0;
        link->open[1] = (*at & 2) != 0;
        at++;
        for (unsigned side = 0; side < 2; side++) {
            size_t bytes = *at * sizeof(link->queues[0][0]);

            link->counts[side] = *at++;
            memcpy(link->queues[side], at, bytes);
            at += bytes;
        }
    }
    memcpy(&world->links[LINKS], at, fixed);
    return size;
}

/* From the first state on, every input and effect. */
static void tell_way(struct search *s, const char *broken)
{
    struct world world = s->first;
    action_t *way = MEM_ARRAY(action_t, s->depth + 2);
    size_t count = 0;

    if (s->action != 0) {
        way[count++] = s->action;
    }
    for (uint32_t at = s->at; s->seen[at].from != TABLE_NONE;
         at = s->seen[at].from) {
        way[count++] = s->seen[at].action;
    }
    printf("%s: after %zu events: %s\n", s->run->name, count, broken);
    while (count > 0) {
        count--;
        printf("  event %04x\n", way[count]);
        (void)fflush(stdout);
        (void)world_act(s->servers, &s->run->rules, &world, way[count], stdout);
    }
    printf("%s\n", broken);
    mem_free(way);
}

static void on_abort(int number)
{
    struct search *s = running;

    (void)number;
    (void)signal(SIGABRT, SIG_DFL);
    running = NULL;
    region_leave();
    if (s != NULL) {
        tell_way(s, "a CHECK");
    }
}
