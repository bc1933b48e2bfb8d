/* Configuration: zoo.cfg syntax (docs/configuration.md) into a struct, with
 * every limit and default in one place. Owns its text. One thread. */
#ifndef CORRAL_SERVER_CONFIG_H
#define CORRAL_SERVER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

struct config_server_line {
    uint64_t id;
    char *host; /* of the quorum and election ports; IPv6 without brackets */
    uint16_t quorum_port, election_port, client_port; /* 0: not given */
    char *client_host;                                /* NULL: not given */
    bool observer;
};

struct config {
    char *file;           /* path of the zoo.cfg, NULL: embedded defaults */
    char *data_dir;       /* ZooKeeper's dataDir */
    char *log_dir;        /* dataLogDir; same text as data_dir when not given */
    char *client_address; /* clientPortAddress, NULL: all (IPv6 and IPv4) */
    uint16_t client_port; /* 0: pick a free one (tests) */
    bool client_port_given;
    int32_t tick_ms;
    int32_t session_timeout_ms_min, session_timeout_ms_max;
    int32_t init_limit, sync_limit; /* ticks; 0: not given */
    int32_t leader_heartbeat_ms, leader_timeout_ms;
    uint32_t election_bind_retries; /* tries in all; 0: for ever */
    uint32_t peer_version_max;      /* peerProtocolVersion */
    uint32_t counter_max;      /* epochCounterMax; 0: near the counter's end */
    bool quorum_listen_on_all; /* else on the host of the own line */
    int32_t listen_backlog;    /* -1: the system's */
    uint32_t conns_per_address_max, conns_max; /* 0: no limit */
    uint32_t handshake_timeout_ms;             /* nio.sessionlessCnxnTimeout */
    uint32_t frame_size_max;                   /* jute.maxbuffer */
    uint32_t reply_size_max;                   /* replySizeMax */
    uint32_t outstanding_max;                  /* globalOutstandingLimit */
    uint32_t sync_warning_ms;                  /* fsync.warningthresholdms */
    uint32_t reads_held_max, ephemerals_max;
    uint32_t output_mark; /* bytes: stop feeding a connection above it */
    uint32_t output_max;  /* bytes: close a connection above it */
    uint64_t segment_size, disk_reserve; /* bytes: preAllocSize, diskReserve */
    uint32_t checkpoint_records, checkpoint_bytes, checkpoint_ms;
    uint32_t proposals_inflight_max;
    bool force_sync, ttl_nodes, hard_quotas, skip_acl, digest_enabled;
    bool tcp_keep_alive;
    bool data_dir_autocreate; /* datadir.autocreate */
    bool bootstrap;
    bool read_only_mode;     /* readonlymode.enabled */
    bool linearizable_reads; /* linearizableReads=all */
    char *super_digest;      /* NULL: none */
    char *ensemble_name;     /* NULL: none */
    int64_t container_check_ms, container_never_used_ms;
    uint32_t container_max_per_minute;
    char *words;    /* 4lw.commands.whitelist as given: "*" or a comma list */
    uint64_t my_id; /* from myid; standalone: 1 for session ids, 0 in conf */
    struct config_server_line *servers; /* by rising id: member indexes */
    size_t servers_count;
    /* ZooKeeper's quorum mode: several voters, or standaloneEnabled=false. Else
     * standalone, with no server line or one. */
    bool ensemble;
    bool standalone_enabled, observer_wanted; /* observer_wanted: peerType */
    char *dynamic_file;    /* dynamicConfigFile, NULL: not given */
    uint64_t members_zxid; /* version of the membership: the end of its name */
    int log_level;         /* enum log_level */
    char *ignored; /* keys given that have no meaning here, NULL: none */
};

/* Embedded defaults: what bare corrald runs with (DESIGN 2.15). */
void config_init(struct config *config);
void config_finish(struct config *config);

/* Reads a zoo.cfg on top of ZooKeeper's defaults; what was in config is dropped
 * (it was initialised before). data_dir overrules the file's dataDir unless
 * NULL. Every problem is one line on stderr with file and line; warnings too,
 * as log lines. ERR_INVALID when any is an error, ERR_IO when the file cannot
 * be read. */
int config_read(struct config *config, const char *file, const char *data_dir);
/* The same over text, for tests and the fuzzer; problems go to report. No other
 * file is looked at: no dynamicConfigFile and no myid, so that in an ensemble
 * my_id is 0. */
typedef void config_report_fn(void *arg, bool error, const char *line);
int config_parse(struct config *config, const char *name, const char *text,
                 size_t len, config_report_fn *report, void *arg);
/* The effective settings as lines of a zoo.cfg; secrets only as set or not. */
void config_print(const struct config *config, struct buf *out);
bool config_word_allowed(const struct config *config, const char *word);

/* Our own server.N line; NULL: there is none. */
const struct config_server_line *config_self(const struct config *config);
/* Appends the membership as ZooKeeper shows it in /zookeeper/config: nothing
 * when standalone. */
void config_members_text(const struct config *config, struct buf *out);

#endif
