/* The exhaustive search: three servers (struct zab, without replica/), their
 * disks and the links between them, in every order of events that a bound
 * allows; states that were seen before are not gone into again.
 *
 * exhaust_server.c knows one server: zab and its disk. What a server does is a
 * function of its state and its input, so each pair is carried out once and
 * looked up from then on; states are numbers. exhaust_world.c knows all
 * servers and the links, what may happen next, and what must always hold.
 * exhaust.c searches, breadth first. */
#ifndef CORRAL_TESTS_SIM_EXHAUST_H
#define CORRAL_TESTS_SIM_EXHAUST_H

#include <stdio.h>

#include "zab/zab.h"

#define SERVERS 3U
#define ENTRIES_MAX 4U /* transactions in a history */

/* ---- exhaust_server.c */

/* A transaction at its place; what was proposed is its number. */
struct entry {
    uint32_t epoch;
    uint16_t counter;
    uint16_t number;
};

struct entries {
    uint32_t count;
    struct entry items[ENTRIES_MAX];
};

enum input_kind {
    INPUT_UP = 1,  /* link, peer */
    INPUT_DOWN,    /* link, peer */
    INPUT_MESSAGE, /* link, peer, message */
    INPUT_STORED,  /* the oldest write is durable */
    INPUT_TICK,
    INPUT_PROPOSE, /* number */
    INPUT_RESIGN,
    INPUT_CRASH, /* so many of the writes are durable, the others lost */
    INPUT_START,
};

struct input {
    enum input_kind kind;
    enum peer_link link;
    unsigned peer; /* index */
    unsigned number;
};

/* Messages are numbered from here. */
#define MESSAGE_FIRST 2U

enum output_kind { OUTPUT_SEND = 1, OUTPUT_CONNECT, OUTPUT_DROP };

struct output {
    uint8_t kind;
    uint8_t link;
    uint8_t peers; /* bits; CONNECT: 0 closes */
    uint16_t message;
};

struct reaction {
    uint32_t next; /* state */
    uint32_t outputs_count;
    const struct output *outputs;
    const char *broken; /* NULL, or the invariant that is */
};

/* What the world wants to know of a server's state. */
struct server_info {
    bool up, can_propose;
    enum zab_role role;
    uint64_t leader_id;
    uint32_t epoch;  /* current */
    uint32_t writes; /* asked, not durable */
    uint32_t accepted_stored, current_stored;
    struct entries log; /* what is durable */
    struct entries delivered;
};

struct servers;

/* Their epoch changes in place when the counter gets there; 0: never. */
struct servers *servers_create(uint32_t counter_max);
void servers_destroy(struct servers *servers);
/* Down, with this on its disk. */
struct server_disk {
    uint32_t accepted, current;
    struct entries log;
};
uint32_t server_first(struct servers *servers, unsigned index,
                      const struct server_disk *disk);
/* Valid until the next call. */
struct reaction server_react(struct servers *servers, uint32_t state,
                             const struct input *input);
const struct server_info *server_info(const struct servers *servers,
                                      uint32_t state);
/* The same again, with every input and effect as a line. */
void server_tell(struct servers *servers, uint32_t state,
                 const struct input *input, FILE *out);
size_t servers_states(const struct servers *servers);
size_t servers_steps(const struct servers *servers);

/* ---- exhaust_world.c */

/* Which events happen at once, in a fixed order, and are no choice: fewer
 * orders, that reach further. */
struct world_rules {
    bool votes_at_once;  /* what is on election links */
    bool quorum_at_once; /* what is on quorum links */
    bool disks_at_once;  /* writes */
    bool ticks_anywhere; /* not only when nothing else can happen */
    unsigned transactions, crashes, resigns;
    unsigned cuts; /* of all links between two servers, until they are joined */
    unsigned ticks; /* since all was well */
};

#define QUEUE_MAX 24U

/* Between two servers: what is on its way to either side. */
struct link {
    bool open[2];
    uint8_t counts[2];
    uint16_t queues[2][QUEUE_MAX];
};

#define ELECTION_LINKS 3U
#define LINKS 9U

struct world {
    uint32_t states[SERVERS];
    struct link links[LINKS];
    uint8_t transactions, crashes, resigns, cuts,
        cut; /* cut: bits of election links */
    uint32_t ticks;
    struct entries delivered; /* the longest sequence that ever was */
    uint8_t leaders[32];      /* of each epoch, 0: none yet */
};

typedef uint16_t action_t;
#define ACTIONS_MAX 128U

/* All are down; disks: SERVERS of them. */
void world_first(struct servers *servers, const struct server_disk *disks,
                 struct world *world);
void world_start(struct servers *servers, const struct world_rules *rules,
                 struct world *world);
/* Without a choice, until there is a leader, and all is quiet. */
const char *world_establish(struct servers *servers, struct world *world);
/* What may happen next. */
unsigned world_actions(struct servers *servers, const struct world_rules *rules,
                       const struct world *world, action_t *actions);
/* Lets it happen; NULL, or the invariant that is broken then. tell: as lines,
 * or NULL. */
const char *world_act(struct servers *servers, const struct world_rules *rules,
                      struct world *world, action_t action, FILE *tell);
/* One leads, the others that are up follow, and have all that it has. */
bool world_is_settled(struct servers *servers, const struct world *world);

#endif
