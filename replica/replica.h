/* A whole server, minus sockets, files, clocks and threads: zab + tree +
 * sessions + watches put together. The server drives one; the simulator drives
 * five in one process.
 *
 * Inputs in, ordered effects out. Same config, same durable state, same inputs:
 * same effects. Long work (see replica_has_work) goes in slices; client frames
 * and deliveries that come meanwhile wait inside. */
#ifndef CORRAL_REPLICA_REPLICA_H
#define CORRAL_REPLICA_REPLICA_H

#include "base/arena.h"
#include "base/slice.h"
#include "proto/peer.h"
#include "proto/store_op.h"
#include "zab/zab.h"

struct replica;

struct replica_config {
    struct zab_config zab;
    int32_t tick_ms; /* ZooKeeper's tickTime: buckets of expiry */
    int32_t session_timeout_ms_min, session_timeout_ms_max;
    uint32_t frame_size_max;  /* ZooKeeper's jute.maxbuffer, bytes */
    uint32_t reply_size_max;  /* bytes */
    uint32_t outstanding_max; /* globalOutstandingLimit: requests in flight */
    uint32_t reads_held_max;  /* per session, behind a write */
    uint32_t ephemerals_max;  /* per session */
    uint32_t output_mark; /* bytes unsent above which a connection's held reads
                           * wait for REPLICA_CLIENT_DRAINED */
    uint8_t entropy[32];  /* from the kernel: cluster id, hash seeds */
    bool ttl_nodes, hard_quotas, skip_acl, digest_enabled;
    bool read_only; /* without a leader it shows what it has to clients that
                     * ask for it */
    bool linearizable_reads;    /* linearizableReads=all: a read shows all that
                                 * was acknowledged before it was sent */
    struct slice super_digest;  /* "super:<base64>" or ptr NULL; copied */
    struct slice ensemble_name; /* ensembleAuthName or ptr NULL; copied */
    /* What /zookeeper/config is to show when this server leads; copied. */
    struct slice members_text;
    int64_t container_check_ms, container_never_used_ms;
    uint32_t container_max_per_minute;
    /* Work of one step, about a quarter of a microsecond each; at least 4; 0:
     * a millisecond's. Tests and the simulator make it small. */
    uint32_t slice_units;
    /* A checkpoint is taken after so many changed records (or sixteen times
     * as many txns), changed bytes or ms. */
    uint32_t checkpoint_records, checkpoint_bytes, checkpoint_ms;
};

enum replica_input_type {
    REPLICA_TICK,          /* each 20 ms; ticks_late */
    REPLICA_CONTINUE,      /* replica_has_work() was true: go on */
    REPLICA_CLIENT_OPENED, /* conn_id, opened */
    REPLICA_CLIENT_FRAME,  /* conn_id, frame without its length */
    REPLICA_CLIENT_CLOSED, /* conn_id: by the peer, or of the server's own
                            * accord; not after REPLICA_CLOSE_CLIENT */
    REPLICA_PEER_UP,       /* version */
    REPLICA_PEER_MESSAGE,
    REPLICA_PEER_DOWN,
    REPLICA_STORE_RESULT,
    REPLICA_CLIENT_DRAINED, /* output_mark bytes or more were sent to it since
                             * the last one, and less than that is unsent */
    REPLICA_DISK_SPACE,     /* bytes free, low */
    REPLICA_RESIGN,         /* SIGTERM: hand over */
    REPLICA_RESET_STATS,    /* srst; with conn_id 1: crst */
};

struct replica_input {
    enum replica_input_type type;
    int64_t now_ms;            /* monotonic */
    int64_t wall_ms;           /* for ctime and mtime */
    uint64_t conn_id, peer_id; /* conn ids are never reused, 0 is none */
    enum peer_link link;
    union {
        struct slice frame; /* borrowed for the step */
        uint32_t ticks_late;
        uint32_t version; /* PEER_UP of a quorum link: what it speaks, see
                           * PEER_VERSION_MAX; 0: the first */
        struct {
            struct slice address;     /* text without port; borrowed */
            struct slice tls_subject; /* or ptr NULL */
            uint8_t random[16];       /* from the kernel: a new password */
        } opened;
        struct {
            uint64_t free_bytes;
            bool low;
        } disk;
        const struct peer_msg *message;    /* borrowed */
        const struct store_result *result; /* borrowed; its payload too */
    };
};

enum replica_effect_type {
    REPLICA_SEND_CLIENT,
    REPLICA_CLOSE_CLIENT, /* after what was sent; static text why */
    REPLICA_PAUSE_CLIENT, /* stop reading this connection */
    REPLICA_RESUME_CLIENT,
    REPLICA_SEND_PEER,
    REPLICA_CONNECT_PEER, /* PEER_LINK_LEADER to peers, an older one closed
                           * first; peers 0: only closed. server/ keeps the
                           * mesh itself */
    REPLICA_DROP_PEER,    /* this link; why */
    REPLICA_STORE,
    REPLICA_SERVING, /* on: the listeners open, at the latest; it may go off */
    REPLICA_LOG,     /* a line for the log: level, event and text */
    REPLICA_FATAL,   /* end the process: the text says why */
};

enum replica_log_level {
    REPLICA_ERROR,
    REPLICA_WARN,
    REPLICA_INFO,
    REPLICA_DEBUG
};

struct replica_effect {
    enum replica_effect_type type;
    enum peer_link link;
    uint64_t conn_id;
    uint64_t peers; /* one bit per member index */
    union {
        struct slice frame; /* SEND_CLIENT: a whole packet with its length, in
                             * the effects' bytes until clear() */
        struct peer_msg message;
        struct store_op store; /* its payload reference goes with it */
        const char *why;       /* CLOSE_CLIENT, CONNECT_PEER (or NULL),
                                * DROP_PEER: static text for the log */
        bool serving;
        struct {
            enum replica_log_level level;
            const char *event; /* static */
            struct slice text; /* "key=value ...", escaped; in the bytes */
            bool damage; /* FATAL: the disk has given back what cannot have
                          * been stored, with checksums that fit */
        } log;           /* LOG and FATAL */
    };
};

/* Effects of any number of steps, in order, and the bytes they point to.
 * Fan-out effects share one frame; a message of zab's may be merged with the
 * last one of an earlier step. */
struct replica_effects {
    struct replica_effect *items;
    size_t count, capacity;
    struct arena *bytes;
    size_t merge_at;    /* 1 + index of the message that the next one may be
                         * merged with; 0: none */
    size_t merge_bytes; /* of its payloads */
};
void replica_effects_init(struct replica_effects *effects);
/* Drops what is in them (references that were not taken over too). */
void replica_effects_clear(struct replica_effects *effects);
void replica_effects_finish(struct replica_effects *effects);

/* Copies what config and durable point to. */
struct replica *replica_create(const struct replica_config *config,
                               const struct durable_state *durable);
void replica_destroy(struct replica *replica); /* NULL is fine */
void replica_step(struct replica *replica, const struct replica_input *input,
                  struct replica_effects *effects);   /* appends */
bool replica_has_work(const struct replica *replica); /* step CONTINUE, soon */

/* replica/inspect.h gives plain structs and iterators (role, epochs, counters,
 * connections, sessions, watches, tree) for four-letter words, metrics and the
 * simulator's checkers: server/ includes nothing else of the pure folders. */

#endif
