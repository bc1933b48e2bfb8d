/* The parts of net_client, for server/net_*.c only.
 *
 * net_client.c   connections: accepted, found by id, timed out, closed
 * net_input.c    bytes to frames
 * net_output.c   frames to bytes
 * net_word.c     four-letter words
 * net_listen.c   the listening socket and addresses as text */
#ifndef CORRAL_SERVER_NET_INTERNAL_H
#define CORRAL_SERVER_NET_INTERNAL_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "server/loop.h"
#include "server/net.h"

#define NET_SHARED_SIZE \
    ((size_t)256 * 1024) /* of the read and the write buffer */
/* Frames that one connection may bring before others get their turn. */
#define NET_TURN_FRAMES 2048
#define NET_WRITES_MAX 2000 /* sockets written per wake-up */
/* Output waiting in all; above it only connections without any are fed, and no
 * new dump begins. */
#define NET_UNSENT_MAX ((size_t)256 * 1024 * 1024)
/* A connection that takes nothing for so long is closed. The session's own
 * time-out is not known here; this is ZooKeeper's usual one. */
#define NET_STUCK_MS 30000
#define NET_CLOSING_MS 60000 /* to take what was sent before the close */

/* Output that a socket did not take, in order. */
struct net_chunk {
    struct net_chunk *next;
    uint32_t start, len, capacity; /* start: sent; len: filled */
    uint8_t bytes[];
};

/* Connections from one address. */
struct net_address {
    struct map_link link;
    uint8_t key[16]; /* IPv6, or v4-mapped */
    uint32_t count;
};

/* A four-letter word being answered. */
struct net_word {
    struct list link; /* in net->words or net->dumps */
    uint64_t conn_id;
    const char *text;
    struct admin_job *job; /* NULL: not begun */
};

/* About 270 bytes; an idle one owns nothing else. */
struct net_conn {
    struct event event;
    uint64_t id;       /* serial << 24 | fd */
    struct list timed; /* in net->fresh, or in net->stuck */
    struct list work;  /* in net->work */
    struct net_address *address;
    uint8_t *input; /* received and not fed yet */
    uint32_t input_start, input_len, input_capacity;
    uint32_t first_item, last_item; /* of net->items + 1; 0: none */
    struct net_chunk *first_chunk, *last_chunk;
    size_t unsent;    /* bytes in the chunks */
    uint64_t queued;  /* bytes since the last REPLICA_CLIENT_DRAINED */
    int64_t since_ms; /* accepted, or output shrank, or dropped */
    const char *why;  /* of the close, for the log */
    struct net_word *word;
    int fd;
    uint16_t port;
    bool sniffed : 1; /* not a four-letter word */
    bool begun : 1;   /* had its first whole frame or word */
    bool paused : 1;
    bool choked : 1;   /* too much unsent: not fed */
    bool has_more : 1; /* whole frames may be in input */
    bool stopped : 1;  /* the replica hears no more of it */
    bool closing : 1;  /* closed when all is sent */
    bool dirty : 1;    /* in net->dirty */
    bool reads : 1;    /* what the event is armed for */
    bool writes : 1;
};

/* A frame to be sent in this wake-up. */
struct net_item {
    struct slice frame;
    uint32_t next; /* of the same connection; 0: none */
};

/* What the replica is told in the next wake-up. */
struct net_report {
    enum replica_input_type type;
    uint64_t conn_id;
};

/* One line a second of each kind; the rest is counted. */
enum net_note {
    NET_NOTE_LIMIT_ADDRESS,
    NET_NOTE_LIMIT_ALL,
    NET_NOTE_NO_FD,
    NET_NOTE_FRAME,
    NET_NOTE_TIMEOUT,
    NET_NOTE_SLOW_READER,
    NET_NOTE_OUTPUT,
    NET_NOTES_COUNT
};

struct net_client {
    struct event_base *base;
    const struct config *config;
    struct loop *loop;
    struct event listener, pause, sweep;
    int listen_fd, reserve_fd;
    uint16_t port;
    uint64_t serial;
    struct net_conn **slots; /* by fd */
    size_t slots_capacity, count, count_max;
    struct map addresses;
    struct list fresh; /* no whole frame yet, oldest first */
    struct list stuck; /* with unsent output, or closing */
    struct list work;  /* with frames to feed */
    struct list words;
    struct list dumps; /* words that wait until one may begin */
    size_t jobs_count; /* of the words: begun */
    size_t unsent;     /* of all connections */
    uint64_t *dirty;   /* ids to be written, from first on */
    size_t dirty_first, dirty_count, dirty_capacity;
    size_t dirty_kept; /* before it their items were copied */
    struct net_item *items;
    size_t items_count, items_capacity;
    struct net_report *reports;
    size_t reports_count, reports_capacity;
    bool flushing;   /* reports wait: the effects are being carried out */
    uint8_t *shared; /* what was read; also what is gathered to be written */
    struct buf text; /* of four-letter words */
    uint8_t random[4096];
    size_t random_used;
    struct {
        int64_t at_ms;
        uint64_t held_back;
    } notes[NET_NOTES_COUNT];
};

/* net_listen.c */
int net_listen_open(const struct config *config, int *fd, uint16_t *port);
/* IPv4 as v4-mapped. */
void net_listen_key(const struct sockaddr_storage *from, uint8_t key[16],
                    uint16_t *port);
void net_listen_text(const uint8_t key[16], char *text, size_t size);

/* net_client.c */
struct net_conn *net_find(const struct net_client *net, uint64_t conn_id);
void net_watch(struct net_client *net, struct net_conn *conn); /* re-arms */
/* Tells the replica, unless it is done with the connection. */
void net_report(struct net_client *net, const struct net_conn *conn,
                enum replica_input_type type);
/* At once; the replica hears of it unless it is done with the connection. */
void net_gone(struct net_client *net, struct net_conn *conn);
/* When all is sent. why: static text. */
void net_finish(struct net_client *net, struct net_conn *conn, const char *why);
/* At once, because of what it did, with a line in the log. */
void net_refuse(struct net_client *net, struct net_conn *conn,
                enum net_note note, const char *why);
void net_note(struct net_client *net, enum net_note note,
              const struct net_conn *conn, const char *why);

/* net_input.c */
void net_input_read(struct net_client *net, struct net_conn *conn);
/* It may be fed again, or in a turn of its own: looks whether it has to be. */
void net_input_resume(struct net_client *net, struct net_conn *conn);
void net_input_work(struct net_client *net); /* feeds what waits inside */
void net_input_free(struct net_conn *conn);

/* net_output.c */
/* Copies text behind what is unsent. */
void net_output_append(struct net_client *net, struct net_conn *conn,
                       struct slice bytes);
void net_output_dirty(struct net_client *net, struct net_conn *conn);
void net_output_write(struct net_client *net, struct net_conn *conn);
void net_output_free(struct net_client *net, struct net_conn *conn);

/* net_word.c */
/* conn->input begins with this word; also when more came for one that wants
 * more. */
void net_word_begin(struct net_client *net, struct net_conn *conn,
                    const char *text);
bool net_word_has_work(const struct net_client *net);
void net_word_work(struct net_client *net);
void net_word_end(struct net_client *net, struct net_conn *conn);

#endif
