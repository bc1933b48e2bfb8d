/* The parts of net_peer, for server/net_peer.c and peer_*.c only.
 *
 * net_peer.c     members, what the replica says and is told, the sweep
 * peer_link.c    the bytes of one connection, bounded output
 * peer_lines.c   the log lines of links that come and go
 * peer_hello.c   who it is: hellos checked, refusals
 * peer_rival.c   one more link of a member that has one
 * peer_accept.c  the two ports, strangers
 * peer_dial.c    names, connects, the pauses between attempts
 *
 * A connection is one object from its socket to its end. The replica is told of
 * its beginning and its end by net_peer_work() only, when all effects of what
 * was before have been carried out: so an effect never meets another link than
 * the one which it was decided for. */
#ifndef CORRAL_SERVER_PEER_INTERNAL_H
#define CORRAL_SERVER_PEER_INTERNAL_H

#include <event2/buffer.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/util.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/prng.h"
#include "proto/hello.h"
#include "server/loop.h"
#include "server/net_peer.h"

#define PEER_SILENCE_MS 1500  /* without a byte: broken */
#define PEER_KEEPALIVE_MS 300 /* nothing said for so long: four zero bytes */
#define PEER_HELLO_MS 2000    /* from the connect to the other's hello */
#define PEER_RIVAL_MS 600     /* in which a link that works is heard */
#define PEER_DIAL_MS 4000     /* an attempt with the name and all addresses */
/* To one address. Short, since a lost SYN is sent again only a second later: a
 * link is to be back soon after a network. Now and then long, for far places.
 */
#define PEER_CONNECT_MS 400
#define PEER_CONNECT_LONG_MS 1300
#define PEER_CONNECT_LONG_EVERY 4 /* attempts */
#define PEER_CLOSING_MS 1000      /* to send what is left and hear the end */
#define PEER_SWEEP_MS 100
#define PEER_PAUSE_MS_MIN 20 /* between two dials, doubling */
#define PEER_PAUSE_MS_MAX 100
#define PEER_LASTED_MS 1000 /* behind it the first pause is the least one */
/* Unsent. A learner's window is 4 MiB of proposals (zab/), chunks of a tree are
 * 1 MiB, and what replica/ says is bounded by outstanding_max. */
#define PEER_UNSENT_MAX ((size_t)64 * 1024 * 1024)
#define PEER_UNSENT_ELECTION_MAX ((size_t)1024 * 1024)
#define PEER_STRANGERS_MAX 256 /* accepted, their hello not there yet */
#define PEER_CLOSING_MAX 64
#define PEER_ADDRESSES_MAX 8 /* of one name */
#define PEER_LISTENERS_MAX (2 * PEER_ADDRESSES_MAX)

enum peer_stage {
    PEER_CONNECTING, /* dialled: the socket is not there yet */
    PEER_GREETING,   /* the other's hello is awaited */
    PEER_RIVAL,      /* has said hello as one whose link is up */
    PEER_AGREED,     /* net_peer_work() tells the replica that it is up */
    PEER_UP,
    PEER_BROKEN,  /* it was up; net_peer_work() tells that it is down */
    PEER_CLOSING, /* nobody's any more: sends what is left */
};

struct peer_conn {
    struct net_peer *net;
    struct event event;
    struct list in;     /* by stage: net->strangers, news, closing; or none */
    struct list dirty;  /* in net->dirty, or in none */
    struct list behind; /* in net->behind, or in none */
    int fd;
    enum peer_stage stage;
    enum peer_link link;
    size_t member;          /* index; SIZE_MAX: a stranger */
    struct peer_dial *dial; /* until it is up; NULL when accepted */
    uint32_t version;       /* agreed */
    int64_t since_ms;       /* in this stage */
    int64_t up_ms;          /* UP since */
    int64_t heard_ms, said_ms;
    uint8_t *input; /* received and not fed yet: begin .. end */
    size_t begin, end, capacity;
    struct evbuffer *output;
    const char *why;    /* BROKEN, CLOSING: static text */
    bool reads, writes; /* what the event waits for */
    bool accepted;      /* else dialled */
    bool mute;          /* what is said does not arrive; hears the rest */
    bool shut;          /* CLOSING: all was sent */
};

/* One after the other: name, address by address, hello; then a pause. */
struct peer_dial {
    struct net_peer *net;
    size_t member;
    enum peer_link link; /* ELECTION or LEADER */
    bool active;         /* an attempt is under way */
    struct peer_lookup *lookup;
    struct evutil_addrinfo *found, *next;
    struct peer_conn *conn;
    int64_t until_ms;         /* of the attempt */
    int64_t address_until_ms; /* of this address */
    int64_t pause_ms;         /* the last one; 0: none yet */
    struct event again;       /* the end of the pause */
    uint64_t failed;          /* in a row */
    int64_t noted_ms;
};

struct peer_member {
    uint64_t id;
    const struct config_server_line *line;
    struct peer_conn *links[PEER_LINKS_COUNT];  /* UP or BROKEN */
    struct peer_conn *rivals[PEER_LINKS_COUNT]; /* RIVAL; the latest */
    struct peer_dial dial;                      /* of the election link */
    char address[64];
    uint64_t bytes_in, bytes_out, connects, refused;
    int64_t lines_ms, lines_left; /* peer_lines.c */
    uint64_t lines_held;
};

/* One line a second of each kind; the rest is counted. */
enum peer_note {
    PEER_NOTE_GARBAGE,
    PEER_NOTE_TIMEOUT,
    PEER_NOTE_CROWD,
    PEER_NOTE_NO_FD,
    PEER_NOTE_VERSION,
    PEER_NOTE_MEMBER,
    PEER_NOTE_SELF,
    PEER_NOTE_RECEIVER,
    PEER_NOTE_CLUSTER,
    PEER_NOTE_DIRECTION,
    PEER_NOTE_PORT,
    PEER_NOTE_RIVAL,
    PEER_NOTE_REFUSED, /* us, by the one whom we dialled */
    PEER_NOTES_COUNT
};

struct peer_listener {
    struct net_peer *net;
    struct event event;
    int fd;
    enum hello_link link; /* which one this port is for */
};

struct net_peer {
    struct event_base *base;
    struct evdns_base *dns;   /* made at the first name that is no number */
    struct stat dns_files[2]; /* when they were read */
    const struct config *config;
    struct loop *loop;
    struct prng prng;
    struct peer_member *members; /* by rising id, as the replica's */
    size_t members_count, self;
    struct peer_dial leader_dial;
    bool leader_failed; /* the attempt came to nothing: to be told */
    struct peer_listener listeners[PEER_LISTENERS_MAX];
    size_t listeners_count;
    struct event pause; /* of the listeners: no descriptor was left */
    struct event sweep;
    int64_t sweep_due_ms;
    int reserve_fd;
    struct list strangers, news, closing; /* each the oldest first */
    size_t strangers_count, closing_count;
    struct list dirty;   /* have something to write */
    struct list behind;  /* frames wait inside: the wake-up was full */
    struct arena *arena; /* of one frame */
    struct buf scratch;
    bool serving;
    struct {
        int64_t at_ms;
        uint64_t held_back;
        uint64_t id; /* of the last one; 0: unknown */
        const char *why;
    } notes[PEER_NOTES_COUNT];
};

/* net_peer.c */
/* why: static text; about: text from outside, or ptr NULL. id 0: unknown. */
void peer_note(struct net_peer *net, enum peer_note note, uint64_t id,
               const char *why, struct slice about);
/* Of the election link to it, is our end the one that dials? */
bool peer_dials(const struct net_peer *net, size_t member);
const char *peer_link_name(enum peer_link link);
/* A time put off by a sleep of ours: what began behind it, is not. */
int64_t peer_not_later(int64_t at_ms, int64_t late_ms, int64_t latest_ms);

/* peer_link.c */
/* Takes fd, non-blocking; stage CONNECTING. */
struct peer_conn *peer_link_create(struct net_peer *net, int fd);
void peer_link_free(struct peer_conn *conn); /* at once; NULL is fine */
void peer_link_move(struct peer_conn *conn, enum peer_stage stage);
void peer_link_watch(struct peer_conn *conn, bool reads, bool writes);
void peer_link_read(struct peer_conn *conn); /* UP */
void peer_link_feed(struct peer_conn *conn); /* UP: what is inside */
/* False: conn is gone, or broken. */
bool peer_link_write(struct peer_conn *conn);
size_t peer_link_unsent(const struct peer_conn *conn);
/* It cannot go on, whatever its stage is. When it is UP it becomes BROKEN;
 * otherwise it is freed, and its dial, if it has one, goes on. why: static. */
void peer_link_end(struct peer_conn *conn, const char *why);
/* Nobody's any more: what is in output is sent, then the end of the stream. */
void peer_link_close(struct peer_conn *conn);

/* peer_lines.c */
/* event: "peer_up" and the like; why NULL: the version instead. */
void peer_line(struct peer_conn *conn, const char *event, const char *why);
void peer_lines_sweep(struct peer_member *member);

/* peer_hello.c */
void peer_hello_say(struct peer_conn *conn); /* the dialler's */
void peer_hello_read(struct peer_conn *conn);
/* To who dialled us: AGREED; or CLOSING, if it can be told. why: static. */
void peer_hello_agree(struct peer_conn *conn);
void peer_hello_refuse(struct peer_conn *conn, enum peer_note note,
                       const char *why);

/* peer_rival.c */
/* Its hello is good. True: it is RIVAL now. */
bool peer_rival_holds(struct peer_conn *conn);
void peer_rival_sweep(struct peer_conn *rival, int64_t now_ms, int64_t late_ms);

/* peer_accept.c */
int peer_accept_open(struct net_peer *net);
void peer_accept_close(struct net_peer *net);
void peer_accept_serve(struct net_peer *net);

/* peer_dial.c */
void peer_dial_init(struct peer_dial *dial, struct net_peer *net,
                    enum peer_link link);
void peer_dial_start(struct peer_dial *dial, size_t member);
void peer_dial_later(struct peer_dial *dial, size_t member); /* a pause first */
void peer_dial_stop(struct peer_dial *dial);
void peer_dial_connected(struct peer_conn *conn); /* or not: asks the socket */
/* Its connection came to nothing and is freed: the next address, or a failure.
 * why: static text. */
void peer_dial_lost(struct peer_dial *dial, const char *why);
void peer_dial_done(struct peer_dial *dial); /* its connection is UP */
void peer_dial_sweep(struct peer_dial *dial, int64_t now_ms, int64_t late_ms);

#endif
