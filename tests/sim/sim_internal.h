/* The inside of the simulated world, for tests/sim's world only (the clients
 * and checkers see sim.h). sim.c: the queue of events and what tests call;
 * server.c: processes, their steps and effects; wire.c: connections as TCP has
 * them; peer.c and dial.c: which ones there are; disk.c: disks; faults.c: what
 * goes wrong; trace.c: the hash and the lines. */
#ifndef CORRAL_TESTS_SIM_INTERNAL_H
#define CORRAL_TESTS_SIM_INTERNAL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/prng.h"
#include "tests/sim/checker.h"
#include "tests/sim/client.h"
#include "tests/sim/sim.h"

#define TICK_US (20 * SIM_MS)
#define CLIENTS_MAX 64
#define COUNTERS_MAX 96
#define LINE_MAX 512

enum event_kind {
    EVENT_TICK,     /* server */
    EVENT_WAKE,     /* server: its wake-up ends, effects are carried out */
    EVENT_START,    /* server: the process begins */
    EVENT_DIE,      /* server: the process ends by itself */
    EVENT_RESUME,   /* server: SIGCONT */
    EVENT_DISK,     /* server: its disk has done what it was doing */
    EVENT_PIPE,     /* wire, part: something arrives at the other end */
    EVENT_UP,       /* wire, part: this end learns that it is there */
    EVENT_BREAK,    /* wire, part: this end learns that it is gone; part + 2:
                     * whether or not bytes get through again */
    EVENT_DIAL,     /* wire: does anybody answer? */
    EVENT_DRAINED,  /* wire: a client has taken what it was sent */
    EVENT_MESH,     /* a pair of servers: dial */
    EVENT_CLIENT,   /* client: its timer */
    EVENT_FAULTS,   /* what goes wrong in this tick */
    EVENT_DISK_END, /* server: its disk is quick again, or has room */
};

struct event {
    uint64_t at_us, tie;
    uint64_t stamp; /* stale when its subject has another one */
    enum event_kind kind;
    uint32_t index, part;
};

/* Bytes on their way; shared by the links that one message goes to. */
struct packet {
    struct packet *next; /* when free */
    uint32_t refs, len, size_class;
    uint8_t bytes[];
};
#define PACKET_CLASSES 18 /* 64 bytes .. 8 MB */

struct item {
    uint64_t at_us;
    struct packet *packet; /* NULL: the end of the stream */
    uint32_t offset;       /* what is before it has arrived */
};

/* One direction of a connection. */
struct pipe {
    struct item *items; /* a circle; its size a power of two */
    uint32_t capacity, first, count;
    size_t bytes; /* not arrived yet */
    uint64_t last_at_us;
    bool scheduled;
    bool held;          /* there are whole frames in partial */
    struct buf partial; /* arrived and not taken by the reader */
};

enum wire_kind { WIRE_MESH, WIRE_QUORUM, WIRE_CLIENT };
enum end_state { END_NONE, END_COMING, END_UP, END_CLOSED };

/* A connection. Part 0 dialled; pipes[0] goes from part 0 to part 1. */
struct wire {
    uint32_t index;
    uint64_t stamp; /* of this one: indexes are used again; 0: free */
    enum wire_kind kind;
    unsigned parts[2]; /* servers from 1; part 0 of a client's: the client */
    enum end_state ends[2];
    struct pipe pipes[2];
    uint32_t version; /* both ends' servers speak it */
    bool black_hole;
    bool busy; /* something of it is being delivered: not to be freed */
    uint64_t dial_until_us;

    /* WIRE_CLIENT, the server's end. */
    bool paused, choked, stopped;
    size_t queued; /* sent since the last REPLICA_CLIENT_DRAINED */
};

/* A quorum or election link as a server's loop sees it. */
struct slot {
    uint64_t stamp;    /* of the wire; 0: none */
    size_t changed_at; /* effects before this one are an older link's */
};

struct disk;

struct server {
    unsigned id;
    bool up, paused, accepting, serving, dying, wake_scheduled, fatal;
    uint64_t incarnation;
    uint32_t version; /* the highest that this life speaks */
    struct replica *replica;
    struct replica_effects effects;
    struct disk *disk;
    struct store_op *ops;
    size_t ops_count, ops_capacity;
    struct slot slots[PEER_LINKS_COUNT][SIM_SERVERS_MAX + 1];
    uint64_t mesh_stamp[SIM_SERVERS_MAX + 1]; /* of the lower id: its dials */
    uint64_t dial_stamp; /* of the wire that REPLICA_CONNECT_PEER asked for */
    struct event *held;  /* came while paused */
    size_t held_count, held_capacity;
    size_t crash_at; /* dies behind so many effects; SIZE_MAX: not */
    int64_t skew_ppm, monotonic_base_ms, wall_offset_ms;
    uint64_t tick_due_us;
    bool space_told, space_low_told;
    uint64_t started_us;
    enum zab_role role_traced;
    struct prng prng; /* of this server: entropy, passwords, sizes */
};

enum fault_kind {
    FAULT_CUT,
    FAULT_JOIN,
    FAULT_RESET,
    FAULT_BLACK_HOLE,
    FAULT_CRASH,
    FAULT_RESTART,
    FAULT_WIPE,
    FAULT_PAUSE,
    FAULT_DISK_SLOW,
    FAULT_DISK_FULL,
    FAULT_WALL_JUMP,
    FAULT_RESIGN,
    FAULT_TRAP,
    FAULT_LIE,
    FAULT_KINDS_COUNT,
};

/* Everything about it is in here, so that it can be done again without those
 * before it. */
struct fault {
    uint32_t tick; /* of the cluster */
    enum fault_kind kind;
    uint64_t draw; /* the seed of all else */
};

/* The faults of a run, noted as they happen; or those that it shall have. In
 * memory that outlives a crash of the simulator itself. */
#define SCRIPT_MAX 8192
struct script {
    bool replay;
    uint32_t count;
    struct fault faults[SCRIPT_MAX];
};

enum prng_of {
    PRNG_SCHEDULE,
    PRNG_NET,
    PRNG_DISK,
    PRNG_FAULTS,
    PRNG_SERVERS,
    PRNGS_COUNT
};

struct counter {
    const char *name;
    uint64_t count;
};

struct sim {
    struct sim_options options;
    unsigned servers_count;
    uint64_t now_us, events, hash;
    struct prng prngs[PRNGS_COUNT];

    struct event *heap;
    size_t heap_count, heap_capacity;

    struct server servers[SIM_SERVERS_MAX + 1]; /* from 1 */
    struct zab_member members[SIM_SERVERS_MAX];
    struct replica_config config; /* what all servers have in common */
    struct clients *clients;
    struct checker *checker;
    uint64_t client_stamps[CLIENTS_MAX]; /* of their timers */

    struct wire **wires;
    size_t wires_count, wires_capacity;
    uint32_t *wires_free;
    size_t wires_free_count, wires_free_capacity;
    uint64_t last_stamp;
    bool blocked[SIM_SERVERS_MAX + 1][SIM_SERVERS_MAX + 1]; /* from, to */
    struct packet *packets[PACKET_CLASSES];
    struct arena *arena; /* of one message */
    struct buf scratch;
    size_t pipe_bytes_max;
    uint32_t bytes_per_ms;

    struct script *script; /* NULL: faults are not noted */
    uint32_t script_at, fault_tick;
    bool calm;               /* healed: no more faults */
    uint64_t burst_until_us; /* many faults, while others are mended */
    enum peer_msg_type trap; /* 0: none */
    uint64_t trap_draw;
    bool lie_due;       /* of the next digest */
    bool power_cut_due; /* the trap is one for everybody */

    bool failed;
    char finding[1024];
    struct buf lines;                /* for sim_expect() */
    uint64_t marks[ZAB_MARKS_COUNT]; /* of processes that are no more */
    struct counter counters[COUNTERS_MAX];
    size_t counters_count;
};

/* ---- sim.c */
void sim_schedule(struct sim *sim, uint64_t at_us, enum event_kind kind,
                  uint32_t index, uint32_t part, uint64_t stamp);
/* The same, when it must be taken up again: where it stood in time is lost. */
void sim_schedule_again(struct sim *sim, const struct event *event);
struct sim *sim_create_scripted(const struct sim_options *options,
                                struct script *script);
uint64_t draw(struct sim *sim, enum prng_of of, uint64_t min, uint64_t max);
bool draw_chance(struct sim *sim, enum prng_of of, uint64_t one_in);
static inline struct server *server_of(struct sim *sim, unsigned id)
{
    return &sim->servers[id];
}

/* ---- server.c */
void server_init(struct sim *sim, unsigned id);
void server_finish(struct sim *sim, struct server *server);
void server_start(struct sim *sim, struct server *server);
/* polite: its kernel says good-bye to those connected. */
void server_die(struct sim *sim, struct server *server, bool polite);
void server_pause(struct sim *sim, struct server *server, uint64_t for_us);
void server_event(struct sim *sim, const struct event *event);
void server_input(struct sim *sim, struct server *server,
                  struct replica_input *input);
void server_resign(struct sim *sim, struct server *server);
void server_hold(struct server *server, const struct event *event);
void server_add_marks(const struct server *server, uint64_t *marks);
const struct zab *server_zab(const struct server *server);

/* ---- packet.c */
struct packet *packet_create(struct sim *sim, size_t len); /* one reference */
void packet_unref(struct sim *sim, struct packet *packet);
void packets_finish(struct sim *sim);

/* ---- wire.c */
struct wire *wire_create(struct sim *sim, enum wire_kind kind, unsigned from,
                         unsigned to);
struct wire *wire_find(const struct sim *sim, uint64_t stamp);
void wire_event(struct sim *sim, const struct event *event);
void wires_finish(struct sim *sim);
/* Takes a reference of its own. */
void wire_send(struct sim *sim, struct wire *wire, unsigned part,
               struct packet *packet);
enum wire_close {
    CLOSE_FIN,    /* the other end hears of it behind what was sent */
    CLOSE_RESET,  /* ... and some of that is lost */
    CLOSE_SILENT, /* the other end hears of it much later */
};
void wire_close(struct sim *sim, struct wire *wire, unsigned part,
                enum wire_close how);
/* Both ends will hear of it; suffixes are lost. */
void wire_reset(struct sim *sim, struct wire *wire, struct prng *prng);
/* Something that held it up is over. */
void wire_kick(struct sim *sim, struct wire *wire);
void wires_kick_all(struct sim *sim);
/* What this end has sent comes so much later. */
void wire_delay(struct sim *sim, struct wire *wire, unsigned part,
                uint64_t by_us);
/* Nothing gets through any more between these: who notices, and when? */
void wires_silenced(struct sim *sim, unsigned from, unsigned to);
void wire_silenced(struct sim *sim, struct wire *wire, unsigned part);
bool wire_path_is_cut(const struct sim *sim, const struct wire *wire,
                      unsigned part); /* from this one's to the other */
/* The n-th (mod as many as there are) wire that is up, or NULL. */
struct wire *wire_any(const struct sim *sim, uint64_t n);
static inline bool wire_end_is_server(const struct wire *wire, unsigned part)
{
    return wire->kind != WIRE_CLIENT || part == 1;
}

/* ---- peer.c: links between servers */
void sim_peer_up(struct sim *sim, struct wire *wire, unsigned part);
void sim_peer_down(struct sim *sim, struct wire *wire, unsigned part);
void sim_peer_frame(struct sim *sim, struct wire *wire, unsigned part,
                    struct slice frame);
void sim_peer_send_effect(struct sim *sim, struct server *server,
                          const struct replica_effect *effect, size_t index);
void sim_peer_connect_effect(struct sim *sim, struct server *server,
                             const struct replica_effect *effect);
void sim_peer_drop_effect(struct sim *sim, struct server *server,
                          const struct replica_effect *effect, size_t index);
void sim_peer_dialled(struct sim *sim, struct wire *wire);
void sim_peer_mesh_due(struct sim *sim, const struct event *event);
void sim_peer_mesh_wish(struct sim *sim, unsigned a, unsigned b,
                        uint64_t delay_us);
void sim_peer_server_started(struct sim *sim, struct server *server);

/* ---- conn.c: clients' connections */
void sim_conn_up(struct sim *sim, struct wire *wire, unsigned part);
void sim_conn_down(struct sim *sim, struct wire *wire, unsigned part);
void sim_conn_bytes(struct sim *sim, struct wire *wire, unsigned part,
                    struct slice bytes);
void sim_conn_frame(struct sim *sim, struct wire *wire, struct slice frame);
void sim_conn_dialled(struct sim *sim, struct wire *wire);
void sim_conn_sent(struct sim *sim, struct wire *wire); /* less is unsent */
void sim_conn_drained(struct sim *sim, struct wire *wire);
void sim_conn_send_effect(struct sim *sim, const struct replica_effect *effect);
void sim_conn_close_effect(struct sim *sim,
                           const struct replica_effect *effect);
void sim_conn_look_ahead(struct sim *sim, const struct replica_effect *effect);
void sim_conns_serving(struct sim *sim, struct server *server);
bool sim_conn_blocked(const struct wire *wire, unsigned part);

/* ---- disk.c */
struct disk *disk_create(struct sim *sim);
void disk_destroy(struct disk *disk); /* NULL is fine */
const struct durable_state *disk_durable(struct disk *disk);
/* Takes payloads over. */
void disk_submit(struct sim *sim, struct server *server,
                 const struct store_op *ops, size_t count);
void disk_event(struct sim *sim, struct server *server, uint64_t stamp);
void disk_crash(struct sim *sim, struct server *server);
void disk_wipe(struct disk *disk);
void disk_hold(struct sim *sim, struct server *server, bool hold);
void disk_slow(struct disk *disk, uint64_t until_us);
bool disk_idle(const struct disk *disk);
bool disk_whole(const struct disk *disk); /* not that of a blank server */
void disk_set_low(struct disk *disk, bool low);
bool disk_is_low(const struct disk *disk);

/* ---- faults.c */
void faults_tick(struct sim *sim);
void faults_heal(struct sim *sim);
/* At one of the next messages of broadcast all servers lose power at once. */
void faults_power_cut(struct sim *sim);
void faults_digest(struct sim *sim, const struct server *server,
                   struct peer_msg *msg);
/* A message arrives, and is about to be stepped. */
void faults_message(struct sim *sim, struct wire *wire, unsigned part,
                    enum peer_msg_type type);

/* ---- trace.c */
void trace_mix(struct sim *sim, uint64_t a, uint64_t b);
bool trace_on(const struct sim *sim);
void trace_input(struct sim *sim, const struct server *server,
                 const struct replica_input *input);
void trace_effect(struct sim *sim, const struct server *server,
                  const struct replica_effect *effect);
void trace_role(struct sim *sim, struct server *server);
void trace_finish(struct sim *sim);

#endif
