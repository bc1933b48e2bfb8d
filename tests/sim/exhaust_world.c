/* All servers and what is on its way between them. */
#include <string.h>

#include "base/check.h"
#include "tests/sim/exhaust.h"

/* In a queue, besides messages: the link has come up, has gone down. */
#define MARK_UP 0U
#define MARK_DOWN 1U
#define QUIET_TICKS_MAX 400U

enum action_kind {
    ACT_DELIVER = 1, /* link, side */
    ACT_BREAK,       /* link, side: what is before its end is lost */
    ACT_STORED,      /* server */
    ACT_PROPOSE,     /* server */
    ACT_CRASH,       /* server, writes that survive */
    ACT_START,       /* server */
    ACT_TICK,
    ACT_CUT,  /* election link */
    ACT_JOIN, /* election link */
    ACT_RESIGN,
};

/* Which servers, and of which kind to the side that looks. */
struct ends {
    unsigned servers[2];
    enum peer_link kinds[2];
};

static const struct ends ends[LINKS] = {
    {{0, 1}, {PEER_LINK_ELECTION, PEER_LINK_ELECTION}},
    {{0, 2}, {PEER_LINK_ELECTION, PEER_LINK_ELECTION}},
    {{1, 2}, {PEER_LINK_ELECTION, PEER_LINK_ELECTION}},
    /* Quorum links: the one that dials, the one that is dialled. */
    {{0, 1}, {PEER_LINK_LEADER, PEER_LINK_LEARNER}},
    {{0, 2}, {PEER_LINK_LEADER, PEER_LINK_LEARNER}},
    {{1, 0}, {PEER_LINK_LEADER, PEER_LINK_LEARNER}},
    {{1, 2}, {PEER_LINK_LEADER, PEER_LINK_LEARNER}},
    {{2, 0}, {PEER_LINK_LEADER, PEER_LINK_LEARNER}},
    {{2, 1}, {PEER_LINK_LEADER, PEER_LINK_LEARNER}},
};

/* What all functions here work on. */
struct act {
    struct servers *servers;
    const struct world_rules *rules;
    struct world *world;
    FILE *tell;
    const char *broken;
};

static void act(struct act *a, action_t action);
static void act_at_once(struct act *a);
static bool act_links(struct act *a, unsigned first, unsigned last);
static bool act_disks(struct act *a);
static unsigned link_actions(const struct act *a, action_t *actions);
static unsigned server_actions(const struct act *a, unsigned server,
                               action_t *actions);
static void crash(struct act *a, unsigned server, unsigned survive);
static void start(struct act *a, unsigned server);
static void tick(struct act *a);
static void cut(struct act *a, unsigned election);
static void join(struct act *a, unsigned election);
static unsigned between(unsigned link);
static bool is_quiet_link(const struct link *link);
static void deliver(struct act *a, unsigned link, unsigned side);
static void break_link(struct act *a, unsigned link, unsigned side);
static void went_down(struct act *a, unsigned link, unsigned side);
static void react(struct act *a, unsigned server, const struct input *input);
static void put_out(struct act *a, unsigned server,
                    const struct output *output);
static void send_to(struct act *a, unsigned server, unsigned peer,
                    const struct output *output);
static void connect_to(struct act *a, unsigned server, unsigned peers);
static void drop(struct act *a, unsigned link, unsigned side);
static void close_side(struct act *a, unsigned link, unsigned side);
static void push(struct act *a, unsigned link, unsigned side, uint16_t item);
static unsigned find_mark(const struct link *link, unsigned side,
                          uint16_t mark);
static void take(struct link *link, unsigned side, unsigned count);
static unsigned find_link(enum peer_link kind, unsigned server, unsigned peer,
                          unsigned *side);
static bool is_up(const struct act *a, unsigned server);
static bool is_quiet(const struct act *a);
static void note(struct act *a);
static void note_server(struct act *a, const struct server_info *info,
                        unsigned server);
static bool is_prefix(const struct entries *a, const struct entries *b);
static const char *check(const struct act *a);

#define ACTION(kind, x, y) \
    ((action_t)((unsigned)(kind) << 12 | (unsigned)(x) << 8 | (unsigned)(y)))

void world_first(struct servers *servers, const struct server_disk *disks,
                 struct world *world)
{
    memset(world, 0, sizeof(*world));
    for (unsigned i = 0; i < SERVERS; i++) {
        world->states[i] = server_first(servers, i, &disks[i]);
    }
}

void world_start(struct servers *servers, const struct world_rules *rules,
                 struct world *world)
{
    struct act a = {servers, rules, world, NULL, NULL};

    for (unsigned i = 0; i < SERVERS; i++) {
        start(&a, i);
    }
    act_at_once(&a);
    CHECK(a.broken == NULL);
}

const char *world_establish(struct servers *servers, struct world *world)
{
    static const struct world_rules plain = {
        .votes_at_once = true, .disks_at_once = true, .ticks = QUIET_TICKS_MAX};
    action_t actions[ACTIONS_MAX];

    world_start(servers, &plain, world);
    while (!world_is_settled(servers, world)) {
        unsigned count = world_actions(servers, &plain, world, actions);
        const char *broken;

        if (count == 0) {
            return "nobody comes to lead";
        }
        broken = world_act(servers, &plain, world, actions[0], NULL);
        if (broken != NULL) {
            return broken;
        }
    }
    world->ticks = 0;
    return NULL;
}

unsigned world_actions(struct servers *servers, const struct world_rules *rules,
                       const struct world *world, action_t *actions)
{
    struct world copy = *world;
    struct act a = {servers, rules, &copy, NULL, NULL};
    unsigned count = link_actions(&a, actions);

    for (unsigned i = 0; i < SERVERS; i++) {
        count += server_actions(&a, i, actions + count);
    }
    if (world->ticks < rules->ticks &&
        (rules->ticks_anywhere ||
         (is_quiet(&a) && !world_is_settled(servers, world)))) {
        actions[count++] = ACTION(ACT_TICK, 0, 0);
    }
    CHECK(count <= ACTIONS_MAX);
    return count;
}

const char *world_act(struct servers *servers, const struct world_rules *rules,
                      struct world *world, action_t action, FILE *tell)
{
    struct act a = {servers, rules, world, tell, NULL};

    act(&a, action);
    act_at_once(&a);
    note(&a);
    return a.broken != NULL ? a.broken : check(&a);
}

bool world_is_settled(struct servers *servers, const struct world *world)
{
    const struct server_info *leader = NULL;
    unsigned following = 0, up = 0;

    for (unsigned i = 0; i < SERVERS; i++) {
        const struct server_info *info = server_info(servers, world->states[i]);

        up += info->up;
        following += info->role == ZAB_FOLLOWING;
        if (info->role == ZAB_LEADING && info->up) {
            leader = info;
        }
        if (info->writes > 0) {
            return false;
        }
    }
    for (unsigned i = 0; i < LINKS; i++) {
        if (!is_quiet_link(&world->links[i])) {
            return false;
        }
    }
    if (leader == NULL || following + 1 != up) {
        return false;
    }
    for (unsigned i = 0; i < SERVERS; i++) {
        const struct server_info *info = server_info(servers, world->states[i]);

        if (info->up &&
            (memcmp(&info->delivered, &leader->log, sizeof(leader->log)) != 0 ||
             memcmp(&info->log, &leader->log, sizeof(leader->log)) != 0)) {
            return false;
        }
    }
    return true;
}

static unsigned link_actions(const struct act *a, action_t *actions)
{
    unsigned count = 0;

    for (unsigned i = 0; i < LINKS; i++) {
        const struct link *link = &a->world->links[i];

        for (unsigned side = 0; side < 2; side++) {
            unsigned down = find_mark(link, side, MARK_DOWN);

            if (link->counts[side] > 0) {
                actions[count++] = ACTION(ACT_DELIVER, i, side);
            }
            if (down != 0 && down < link->counts[side]) {
                actions[count++] = ACTION(ACT_BREAK, i, side);
            }
        }
    }
    for (unsigned i = 0; i < ELECTION_LINKS; i++) {
        if ((a->world->cut >> i & 1) != 0) {
            actions[count++] = ACTION(ACT_JOIN, i, 0);
        } else if (a->world->cuts < a->rules->cuts &&
                   a->world->links[i].open[0] && a->world->links[i].open[1]) {
            actions[count++] = ACTION(ACT_CUT, i, 0);
        }
    }
    return count;
}

static unsigned server_actions(const struct act *a, unsigned server,
                               action_t *actions)
{
    const struct world *world = a->world;
    const struct server_info *info =
        server_info(a->servers, world->states[server]);
    unsigned count = 0;

    if (!info->up) {
        actions[count++] = ACTION(ACT_START, server, 0);
        return count;
    }
    if (info->writes > 0) {
        actions[count++] = ACTION(ACT_STORED, server, 0);
    }
    if (info->can_propose && world->transactions < a->rules->transactions) {
        actions[count++] = ACTION(ACT_PROPOSE, server, 0);
    }
    if (world->resigns < a->rules->resigns) {
        actions[count++] = ACTION(ACT_RESIGN, server, 0);
    }
    for (unsigned k = 0;
         world->crashes < a->rules->crashes && k <= info->writes; k++) {
        actions[count++] = ACTION(ACT_CRASH, server, k);
    }
    return count;
}

static void act(struct act *a, action_t action)
{
    unsigned x = action >> 8 & 0xf, y = action & 0xff;

    switch ((enum action_kind)(action >> 12)) {
        case ACT_DELIVER:
            deliver(a, x, y);
            break;
        case ACT_BREAK:
            break_link(a, x, y);
            break;
        case ACT_STORED:
            react(a, x, &(struct input){.kind = INPUT_STORED});
            break;
        case ACT_PROPOSE:
            a->world->transactions++;
            react(a, x,
                  &(struct input){.kind = INPUT_PROPOSE,
                                  .number = a->world->transactions});
            break;
        case ACT_CRASH:
            crash(a, x, y);
            break;
        case ACT_START:
            start(a, x);
            break;
        case ACT_TICK:
            tick(a);
            break;
        case ACT_RESIGN:
            a->world->resigns++;
            react(a, x, &(struct input){.kind = INPUT_RESIGN});
            break;
        case ACT_CUT:
            cut(a, x);
            break;
        case ACT_JOIN:
            join(a, x);
            break;
    }
}

static void act_at_once(struct act *a)
{
    bool more = true;

    while (more && a->broken == NULL) {
        more =
            (a->rules->disks_at_once && act_disks(a)) ||
            (a->rules->votes_at_once && act_links(a, 0, ELECTION_LINKS)) ||
            (a->rules->quorum_at_once && act_links(a, ELECTION_LINKS, LINKS));
    }
}

/* The first message there is. */
static bool act_links(struct act *a, unsigned first, unsigned last)
{
    for (unsigned i = first; i < last; i++) {
        for (unsigned side = 0; side < 2; side++) {
            if (a->world->links[i].counts[side] > 0) {
                deliver(a, i, side);
                return true;
            }
        }
    }
    return false;
}

static bool act_disks(struct act *a)
{
    for (unsigned i = 0; i < SERVERS; i++) {
        if (server_info(a->servers, a->world->states[i])->writes > 0) {
            react(a, i, &(struct input){.kind = INPUT_STORED});
            return true;
        }
    }
    return false;
}

static void crash(struct act *a, unsigned server, unsigned survive)
{
    a->world->crashes++;
    react(a, server, &(struct input){.kind = INPUT_CRASH, .number = survive});
    for (unsigned i = 0; i < LINKS; i++) {
        for (unsigned side = 0; side < 2; side++) {
            if (ends[i].servers[side] == server) {
                close_side(a, i, side);
                take(&a->world->links[i], side,
                     a->world->links[i].counts[side]);
            }
        }
    }
}

static void start(struct act *a, unsigned server)
{
    react(a, server, &(struct input){.kind = INPUT_START});
    for (unsigned i = 0; i < ELECTION_LINKS; i++) {
        if ((ends[i].servers[0] == server || ends[i].servers[1] == server) &&
            (a->world->cut >> i & 1) == 0) {
            join(a, i);
        }
    }
}

static void tick(struct act *a)
{
    a->world->ticks++;
    for (unsigned i = 0; i < SERVERS; i++) {
        if (is_up(a, i)) {
            react(a, i, &(struct input){.kind = INPUT_TICK});
        }
    }
}

static void cut(struct act *a, unsigned election)
{
    a->world->cuts++;
    a->world->cut |= (uint8_t)(1U << election);
    for (unsigned i = 0; i < LINKS; i++) {
        struct link *link = &a->world->links[i];

        if (between(i) == election && link->open[0] && link->open[1]) {
            /* What is under way may arrive or not; then both hear of it. */
            push(a, i, 0, MARK_DOWN);
            push(a, i, 1, MARK_DOWN);
            link->open[0] = link->open[1] = false;
        }
    }
}

/* Quorum links are dialled anew by whoever wants them. */
static void join(struct act *a, unsigned election)
{
    struct link *link = &a->world->links[election];

    a->world->cut &= (uint8_t) ~(1U << election);
    if (is_up(a, ends[election].servers[0]) &&
        is_up(a, ends[election].servers[1])) {
        link->open[0] = link->open[1] = true;
        push(a, election, 0, MARK_UP);
        push(a, election, 1, MARK_UP);
    }
}

/* The election link between the same two. */
static unsigned between(unsigned index)
{
    unsigned election = 0;

    while (
        (1U << ends[election].servers[0] | 1U << ends[election].servers[1]) !=
        (1U << ends[index].servers[0] | 1U << ends[index].servers[1])) {
        election++;
    }
    return election;
}

static bool is_quiet_link(const struct link *link)
{
    return link->counts[0] + link->counts[1] == 0;
}

static void deliver(struct act *a, unsigned index, unsigned side)
{
    struct link *link = &a->world->links[index];
    uint16_t item = link->queues[side][0];
    struct input input = {
        .link = ends[index].kinds[side],
        .peer = ends[index].servers[1 - side],
        .number = item,
    };

    if (item == MARK_DOWN) {
        went_down(a, index, side);
        return;
    }
    take(link, side, 1);
    input.kind = item == MARK_UP ? INPUT_UP : INPUT_MESSAGE;
    if (item == MARK_UP) {
        input.number = 0;
    }
    react(a, ends[index].servers[side], &input);
}

/* The end comes before what was sent before it. */
static void break_link(struct act *a, unsigned index, unsigned side)
{
    struct link *link = &a->world->links[index];

    take(link, side, find_mark(link, side, MARK_DOWN));
    went_down(a, index, side);
}

static void went_down(struct act *a, unsigned index, unsigned side)
{
    struct link *link = &a->world->links[index];
    struct input input = {
        .kind = INPUT_DOWN,
        .link = ends[index].kinds[side],
        .peer = ends[index].servers[1 - side],
    };

    take(link, side, 1);
    if (find_mark(link, side, MARK_UP) == link->counts[side]) {
        link->open[side] = false; /* no other one has come since */
    }
    react(a, ends[index].servers[side], &input);
}

static void react(struct act *a, unsigned server, const struct input *input)
{
    struct reaction reaction;

    if (a->tell != NULL) {
        server_tell(a->servers, a->world->states[server], input, a->tell);
    }
    reaction = server_react(a->servers, a->world->states[server], input);
    a->world->states[server] = reaction.next;
    if (reaction.broken != NULL) {
        a->broken = reaction.broken;
    }
    for (uint32_t i = 0; i < reaction.outputs_count; i++) {
        put_out(a, server, &reaction.outputs[i]);
    }
}

static void put_out(struct act *a, unsigned server, const struct output *output)
{
    if (output->kind == OUTPUT_CONNECT) {
        connect_to(a, server, output->peers);
        return;
    }
    for (unsigned peer = 0; peer < SERVERS; peer++) {
        unsigned side, link;

        if ((output->peers >> peer & 1) == 0) {
            continue;
        }
        if (output->kind == OUTPUT_SEND) {
            send_to(a, server, peer, output);
        } else {
            link = find_link(output->link, server, peer, &side);
            drop(a, link, side);
        }
    }
}

/* Unless the other side is gone, or what we speak on is the link before. */
static void send_to(struct act *a, unsigned server, unsigned peer,
                    const struct output *output)
{
    unsigned side, index = find_link(output->link, server, peer, &side);
    const struct link *link = &a->world->links[index];

    if (link->open[0] && link->open[1] &&
        find_mark(link, side, MARK_UP) == link->counts[side] &&
        find_mark(link, side, MARK_DOWN) == link->counts[side]) {
        push(a, index, 1 - side, output->message);
    }
}

static void connect_to(struct act *a, unsigned server, unsigned peers)
{
    for (unsigned i = ELECTION_LINKS; i < LINKS; i++) {
        struct link *link = &a->world->links[i];

        if (ends[i].servers[0] != server) {
            continue;
        }
        close_side(a, i, 0);
        take(link, 0, link->counts[0]);
        if ((peers >> ends[i].servers[1] & 1) == 0) {
            continue;
        }
        if (is_up(a, ends[i].servers[1]) &&
            (a->world->cut >> between(i) & 1) == 0) {
            link->open[0] = link->open[1] = true;
            push(a, i, 0, MARK_UP);
            push(a, i, 1, MARK_UP);
        } else {
            push(a, i, 0, MARK_DOWN);
        }
    }
}

/* By this side; what it drops may have been replaced by another one already. */
static void drop(struct act *a, unsigned index, unsigned side)
{
    struct link *link = &a->world->links[index];
    unsigned down = find_mark(link, side, MARK_DOWN);

    if (down < link->counts[side]) {
        take(link, side, down + 1);
        if (find_mark(link, side, MARK_UP) == link->counts[side]) {
            link->open[side] = false;
        }
        return;
    }
    close_side(a, index, side);
    take(link, side, link->counts[side]);
}

static void close_side(struct act *a, unsigned index, unsigned side)
{
    struct link *link = &a->world->links[index];

    if (link->open[side] && link->open[1 - side]) {
        push(a, index, 1 - side, MARK_DOWN);
    }
    link->open[side] = false;
}

static void push(struct act *a, unsigned index, unsigned side, uint16_t item)
{
    struct link *link = &a->world->links[index];

    CHECK(link->counts[side] < QUEUE_MAX);
    link->queues[side][link->counts[side]] = item;
    link->counts[side]++;
}

/* Its place, or the end. */
static unsigned find_mark(const struct link *link, unsigned side, uint16_t mark)
{
    unsigned i = 0;

    while (i < link->counts[side] && link->queues[side][i] != mark) {
        i++;
    }
    return i;
}

static void take(struct link *link, unsigned side, unsigned count)
{
    uint16_t *queue = link->queues[side];
    unsigned left = link->counts[side] - count;

    memmove(queue, queue + count, left * sizeof(*queue));
    memset(queue + left, 0, count * sizeof(*queue));
    link->counts[side] = (uint8_t)left;
}

static unsigned find_link(enum peer_link kind, unsigned server, unsigned peer,
                          unsigned *side)
{
    for (unsigned i = 0; i < LINKS; i++) {
        for (*side = 0; *side < 2; ++*side) {
            if (ends[i].kinds[*side] == kind &&
                ends[i].servers[*side] == server &&
                ends[i].servers[1 - *side] == peer) {
                return i;
            }
        }
    }
    UNREACHABLE();
}

static bool is_up(const struct act *a, unsigned server)
{
    return server_info(a->servers, a->world->states[server])->up;
}

static bool is_quiet(const struct act *a)
{
    for (unsigned i = 0; i < LINKS; i++) {
        if (!is_quiet_link(&a->world->links[i])) {
            return false;
        }
    }
    for (unsigned i = 0; i < SERVERS; i++) {
        if (server_info(a->servers, a->world->states[i])->writes > 0) {
            return false;
        }
    }
    return true;
}

/* What must be remembered beyond the states of the servers. */
static void note(struct act *a)
{
    for (unsigned i = 0; i < SERVERS; i++) {
        note_server(a, server_info(a->servers, a->world->states[i]), i);
    }
    if (world_is_settled(a->servers, a->world)) {
        a->world->ticks = 0;
    }
}

static void note_server(struct act *a, const struct server_info *info,
                        unsigned server)
{
    struct entries *longest = &a->world->delivered;
    uint8_t *leader;

    if (!info->up) {
        return;
    }
    if (!is_prefix(&info->delivered, longest) &&
        !is_prefix(longest, &info->delivered)) {
        a->broken = "two servers deliver different things";
    }
    if (info->delivered.count > longest->count) {
        *longest = info->delivered;
    }
    if (info->role == ZAB_LEADING) {
        CHECK(info->epoch < sizeof(a->world->leaders));
        leader = &a->world->leaders[info->epoch];
        if (*leader != 0 && *leader != server + 1) {
            a->broken = "an epoch has two leaders";
        }
        *leader = (uint8_t)(server + 1);
    }
}

static bool is_prefix(const struct entries *a, const struct entries *b)
{
    return a->count <= b->count &&
           memcmp(a->items, b->items, a->count * sizeof(a->items[0])) == 0;
}

static const char *check(const struct act *a)
{
    unsigned holders = 0;

    for (unsigned i = 0; i < SERVERS; i++) {
        const struct server_info *info =
            server_info(a->servers, a->world->states[i]);

        if (info->current_stored > info->accepted_stored) {
            return "an epoch is taken up that was not promised";
        }
        holders += is_prefix(&a->world->delivered, &info->log);
    }
    return 2 * holders > SERVERS ? NULL : "what was committed is lost";
}
