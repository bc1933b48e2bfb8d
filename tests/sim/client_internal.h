/* The inside of the model clients, for client*.c, checker_linear.c and
 * checker_watches.c.
 *
 * client.c: connections, sessions, timers; client_work.c: what is asked, drawn;
 * client_take.c: what comes back, in order; checker_linear.c and
 * checker_watches.c: whether it may be so, by the model of what is committed;
 * client_text.c: by hand. */
#ifndef CORRAL_TESTS_SIM_CLIENT_INTERNAL_H
#define CORRAL_TESTS_SIM_CLIENT_INTERNAL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/prng.h"
#include "proto/client.h"
#include "tests/sim/client.h"
#include "tests/sim/model.h"

#define ASKS_MAX 32U /* a power of two */
#define PARTS_MAX 4U
#define PATH_SIZE 64U
#define WATCHES_MAX 8U
#define NAMES_MAX 4U
#define REGISTERS 6U
#define EPHEMERALS 3U

/* What was asked on the connection there is and is not answered yet. */
struct ask_part {
    enum zk_op op;
    int32_t version;
    uint64_t data; /* model_hash() */
    char path[PATH_SIZE];
};
struct ask {
    int32_t xid;
    enum zk_op op;
    uint64_t serial; /* of all requests of this client */
    uint64_t sent_us;
    zxid_t seen;      /* by anybody, when it was sent */
    zxid_t relative;  /* of setWatches */
    zxid_t committed; /* its txn; 0: none so far */
    bool doubtful;    /* committed may be of another with the same xid */
    bool watch, by_hand, last; /* last: of the winding up */
    int32_t flags;             /* of a create */
    struct ask_part one;
    struct ask_part parts[PARTS_MAX];
    size_t parts_count;
};

enum watch_state {
    WATCH_FREE,
    WATCH_ARMED,
    WATCH_SETTING, /* in a setWatches that is under way */
    WATCH_TOLD,    /* ... by which it fired */
};
struct watch {
    enum watch_state state;
    enum model_watch kind;
    bool absent; /* the node was not there: setWatches' exist list */
    zxid_t since;
    char path[PATH_SIZE];
};

enum client_state { CLIENT_DOWN, CLIENT_DIALING, CLIENT_SHAKING, CLIENT_OPEN };

struct client {
    unsigned index;
    enum client_state state;
    struct prng prng;
    uint64_t conn_id, lingering; /* lingering: left open, not listened to */
    unsigned server;             /* of conn_id */
    struct buf inbox;            /* the beginning of a packet */

    /* The session; id 0: none. */
    uint64_t session_id;
    uint8_t password[16];
    int32_t timeout_ms;
    int32_t xid;
    zxid_t zxid;         /* highest of a header; not of pings */
    zxid_t zxid_process; /* the same, as this process knows it */
    zxid_t floor;        /* no header of this connection is below it */
    zxid_t first;        /* of the first answer on this connection; 0: none */
    zxid_t before;       /* highest of all before the answer being looked at */
    zxid_t passed;       /* highest of an event or a ping on this connection */
    uint64_t committed_serial; /* of the last request that became a txn */

    struct ask asks[ASKS_MAX]; /* a circle */
    uint32_t asks_first, asks_count;
    uint64_t serial;
    uint32_t pings, auths; /* not answered yet */
    struct watch watches[WATCHES_MAX];
    int32_t versions[REGISTERS];      /* last seen */
    char names[NAMES_MAX][PATH_SIZE]; /* sequential ones of ours */
    size_t names_count;
    uint64_t values; /* written so far */
    bool need_parents, idle;
    bool read_only; /* the server of this connection has no leader */

    /* Requests sent from steady_us to touched_us were answered, without long
     * breaks between them. */
    uint64_t steady_us, touched_us, ping_us;
    uint64_t quiet_us;                    /* until then it only reads */
    uint64_t heard_us, said_us, until_us; /* until: silent, or dial no earlier,
                                           * or wait no longer */
    /* Drawn once. */
    uint64_t pace_us;
    uint32_t depth;
    bool watches_much, writes_much, large;

    enum { WIND_NOT, WIND_ASKED, WIND_DONE } wound;
    struct buf queued; /* by hand: requests, a line each, until it is open */
    struct buf lines;
    char *text; /* what client_lines() gave */
};

struct clients {
    struct sim *sim;
    struct model *model; /* NULL: answers are held against one another only */
    struct client *items;
    unsigned count;
    int32_t timeout_ms;
    bool winding, read_only, linear;
    zxid_t seen; /* highest zxid in any answer to anybody */
    struct buf out;
    struct arena *arena;
    uint8_t padding[4096];
};

static inline struct ask *ask_at(struct client *client, uint32_t index)
{
    return &client->asks[(client->asks_first + index) % ASKS_MAX];
}

/* ---- client.c */
void client_say(struct clients *clients, struct client *client); /* sends out */
void client_hang_up(struct clients *clients, struct client *client);
void client_session_ended(struct client *client);
void client_later(struct clients *clients, struct client *client,
                  uint64_t max_us); /* its timer, at the latest then */
void client_dial(struct clients *clients, struct client *client,
                 unsigned server);
void client_opened(struct clients *clients, struct client *client);
bool client_draw(struct client *client, uint64_t one_in);

/* ---- client_work.c: all of them append to clients->out */
void work_draw(struct clients *clients, struct client *client);
void work_ping(struct clients *clients, struct client *client);
void work_close(struct clients *clients, struct client *client);
void work_set_watches(struct clients *clients, struct client *client);
void work_wind_up(struct clients *clients, struct client *client);
/* The next place in the ring, to be filled in; then sent. */
struct ask *work_ask(struct clients *clients, struct client *client,
                     enum zk_op op);
void work_path(struct ask_part *part, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void work_send(struct clients *clients, struct client *client, struct ask *ask,
               struct slice data);

/* ---- client_take.c */
void take_packet(struct clients *clients, struct client *client,
                 struct slice frame);

/* ---- checker_linear.c */
void linear_attended(struct clients *clients, struct client *client,
                     uint64_t sent_us); /* a request that was answered */
void linear_committed(void *clients, zxid_t zxid, const struct txn *txn);
void linear_handshake(struct clients *clients, struct client *client,
                      const struct zk_connect_response *response);
/* Any header but auth's. */
void linear_header(struct clients *clients, struct client *client,
                   const struct zk_reply_header *header);
void linear_answer(struct clients *clients, struct client *client,
                   const struct ask *ask, const struct client_reply *reply);

/* ---- checker_watches.c */
/* Before an answer of this zxid is looked at. */
void watches_header(struct clients *clients, struct client *client,
                    zxid_t zxid);
/* setWatches was answered. */
void watches_set_again(struct clients *clients, struct client *client,
                       const struct ask *ask, zxid_t zxid);
void watches_event(struct clients *clients, struct client *client, zxid_t zxid,
                   const struct zk_watcher_event *event);
/* An answer that leaves a watch. */
void watches_arm(struct clients *clients, struct client *client,
                 const struct ask *ask, const struct client_reply *reply);

/* ---- client_text.c */
void text_flush(struct clients *clients, struct client *client);
void text_answer(struct client *client, const struct ask *ask,
                 const struct client_reply *reply);
void text_event(struct client *client, const struct zk_watcher_event *event);
void text_line(struct client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
