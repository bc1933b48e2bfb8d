#include <ctype.h>

#include "base/check.h"
#include "server/config_internal.h"

#define FIELD(field)                                          \
    .stored = true, .offset = offsetof(struct config, field), \
    .width = sizeof(((struct config *)0)->field)
#define I32 INT32_MAX

/* It works: name, type, field, least, most; RANGE in units of scale. */
#define WORKS(text, kind, field)                     \
    {                                                \
        .name = (text), .type = (kind), FIELD(field) \
    }
#define RANGE(text, kind, field, least, most, unit)                   \
    {                                                                 \
        .name = (text), .type = (kind), FIELD(field), .min = (least), \
        .max = (most), .scale = (unit)                                \
    }
#define SECRET(text, kind, field)                                    \
    {                                                                \
        .name = (text), .type = (kind), FIELD(field), .secret = true \
    }
/* No meaning in C. */
#define IGNORED(text, kind)                                                 \
    {                                                                       \
        .name = (text), .class = CONFIG_IGNORED, .type = (kind), .min = -1, \
        .max = INT64_MAX                                                    \
    }
#define IGNORED_RANGE(text, least, most)                             \
    {                                                                \
        .name = (text), .class = CONFIG_IGNORED, .type = CONFIG_INT, \
        .min = (least), .max = (most)                                \
    }
/* No effect yet; harmless: the value that needs no warning. */
#define NOT_YET(text, kind, off)                                            \
    {                                                                       \
        .name = (text), .class = CONFIG_NOT_YET, .type = (kind), .min = -1, \
        .max = INT64_MAX, .harmless = (off)                                 \
    }
/* Security, durability, who decides: no start unless harmless. */
#define REFUSED(text, kind, off)                                            \
    {                                                                       \
        .name = (text), .class = CONFIG_REFUSED, .type = (kind), .min = -1, \
        .max = INT64_MAX, .harmless = (off)                                 \
    }
#define REFUSED_SECRET(text)                                          \
    {                                                                 \
        .name = (text), .class = CONFIG_REFUSED, .type = CONFIG_TEXT, \
        .secret = true                                                \
    }

/* By number: what a bool says. */
static const char *const peer_types[] = {"participant", "observer", NULL};
static const char *const read_kinds[] = {"off", "all", NULL};

static const struct config_key keys[] = {
    /* Basic and cluster keys. */
    WORKS("dataDir", CONFIG_TEXT, data_dir),
    WORKS("dataLogDir", CONFIG_TEXT, log_dir),
    RANGE("clientPort", CONFIG_INT, client_port, 0, 65535, 1),
    WORKS("clientPortAddress", CONFIG_TEXT, client_address),
    REFUSED("secureClientPort", CONFIG_INT, "0"),
    REFUSED("secureClientPortAddress", CONFIG_TEXT, NULL),
    NOT_YET("observerMasterPort", CONFIG_INT, "0"),
    RANGE("tickTime", CONFIG_INT, tick_ms, 1, 3600000, 1),
    RANGE("initLimit", CONFIG_INT, init_limit, 1, 1000000, 1),
    RANGE("syncLimit", CONFIG_INT, sync_limit, 1, 1000000, 1),
    NOT_YET("connectToLearnerMasterLimit", CONFIG_INT, NULL),
    RANGE("maxClientCnxns", CONFIG_LIMIT, conns_per_address_max, -1, I32, 1),
    RANGE("maxCnxns", CONFIG_LIMIT, conns_max, -1, I32, 1),
    RANGE("minSessionTimeout", CONFIG_INT, session_timeout_ms_min, -1, I32, 1),
    RANGE("maxSessionTimeout", CONFIG_INT, session_timeout_ms_max, -1, I32, 1),
    RANGE("clientPortListenBacklog", CONFIG_INT, listen_backlog, -1, 65535, 1),
    IGNORED_RANGE("electionAlg", 3, 3),
    {.name = "peerType",
     .type = CONFIG_CHOICE,
     FIELD(observer_wanted),
     .choices = peer_types},
    NOT_YET("syncEnabled", CONFIG_BOOL, "true"),
    WORKS("quorumListenOnAllIPs", CONFIG_BOOL, quorum_listen_on_all),
    {.name = "server.N", .type = CONFIG_SERVER},
    REFUSED("group.N", CONFIG_TEXT, NULL),
    REFUSED("weight.N", CONFIG_TEXT, NULL),
    REFUSED("oraclePath", CONFIG_TEXT, NULL),
    WORKS("dynamicConfigFile", CONFIG_TEXT, dynamic_file),
    WORKS("standaloneEnabled", CONFIG_BOOL, standalone_enabled),
    NOT_YET("reconfigEnabled", CONFIG_BOOL, "false"),
    NOT_YET("leaderServes", CONFIG_BOOL, "yes"),
    IGNORED("cnxTimeout", CONFIG_INT),
    IGNORED("quorumCnxnTimeoutMs", CONFIG_INT),
    IGNORED("leader.maxTimeToWaitForEpoch", CONFIG_INT),
    RANGE("electionPortBindRetry", CONFIG_INT, election_bind_retries, 0, I32,
          1),
    IGNORED("tcpKeepAlive", CONFIG_BOOL),
    WORKS("clientTcpKeepAlive", CONFIG_BOOL, tcp_keep_alive),
    NOT_YET("localSessionsEnabled", CONFIG_BOOL, "false"),
    NOT_YET("localSessionsUpgradingEnabled", CONFIG_BOOL, "false"),
    NOT_YET("multiAddress.enabled", CONFIG_BOOL, "false"),
    NOT_YET("multiAddress.reachabilityCheckEnabled", CONFIG_BOOL, "true"),
    NOT_YET("multiAddress.reachabilityCheckTimeoutMs", CONFIG_INT, NULL),
    IGNORED("autopurge.snapRetainCount", CONFIG_INT),
    IGNORED("autopurge.purgeInterval", CONFIG_DURATION),
    WORKS("4lw.commands.whitelist", CONFIG_WORDS, words),
    IGNORED("fastleader.minNotificationInterval", CONFIG_INT),
    IGNORED("fastleader.maxNotificationInterval", CONFIG_INT),
    IGNORED("observer.reconnectDelayMs", CONFIG_INT),
    IGNORED("observer.election.DelayMs", CONFIG_INT),
    NOT_YET("observerMaster.sizeLimit", CONFIG_INT, NULL),
    IGNORED("jvm.pause.monitor", CONFIG_BOOL),
    IGNORED("jvm.pause.warn-threshold.ms", CONFIG_INT),
    IGNORED("jvm.pause.info-threshold.ms", CONFIG_INT),
    IGNORED("jvm.pause.sleep.time.ms", CONFIG_INT),
    NOT_YET("metricsProvider.className", CONFIG_TEXT, NULL),
    NOT_YET("metricsProvider.*", CONFIG_TEXT, NULL),

    /* Storage and performance. */
    IGNORED("snapCount", CONFIG_INT),
    IGNORED("snapSizeLimitInKb", CONFIG_INT),
    IGNORED("txnLogSizeLimitInKb", CONFIG_INT),
    RANGE("preAllocSize", CONFIG_INT, segment_size, 64, 1048576, 1024),
    NOT_YET("commitLogCount", CONFIG_INT, NULL),
    NOT_YET("snapshotSizeFactor", CONFIG_FLOAT, NULL),
    RANGE("fsync.warningthresholdms", CONFIG_INT, sync_warning_ms, 0, I32, 1),
    WORKS("forceSync", CONFIG_BOOL, force_sync),
    NOT_YET("forceSnapshotSync", CONFIG_BOOL, "false"),
    IGNORED("flushDelay", CONFIG_INT),
    IGNORED("maxWriteQueuePollTime", CONFIG_INT),
    IGNORED("maxBatchSize", CONFIG_INT),
    IGNORED("snapshot.compression.method", CONFIG_TEXT),
    IGNORED("snapshot.trust.empty", CONFIG_BOOL),
    IGNORED("serializeLastProcessedZxid.enabled", CONFIG_BOOL),
    IGNORED("closeSessionTxn.enabled", CONFIG_BOOL),
    IGNORED("digest.enabled", CONFIG_BOOL),
    WORKS("datadir.autocreate", CONFIG_BOOL, data_dir_autocreate),
    REFUSED("db.autocreate", CONFIG_BOOL, "true"),
    RANGE("globalOutstandingLimit", CONFIG_INT, outstanding_max, 1, I32, 1),
    IGNORED("maxResponseCacheSize", CONFIG_INT),
    IGNORED("maxGetChildrenResponseCacheSize", CONFIG_INT),
    RANGE("jute.maxbuffer", CONFIG_INT, frame_size_max, 1024, 67108864, 1),
    IGNORED("jute.maxbuffer.extrasize", CONFIG_INT),
    IGNORED("nio.numSelectorThreads", CONFIG_INT),
    IGNORED("nio.numWorkerThreads", CONFIG_INT),
    RANGE("nio.sessionlessCnxnTimeout", CONFIG_INT, handshake_timeout_ms, 1,
          I32, 1),
    IGNORED("nio.directBufferBytes", CONFIG_INT),
    IGNORED("nio.shutdownTimeout", CONFIG_INT),
    IGNORED("commitProcessor.numWorkerThreads", CONFIG_INT),
    IGNORED("commitProcessor.maxReadBatchSize", CONFIG_INT),
    IGNORED("commitProcessor.maxCommitBatchSize", CONFIG_INT),
    NOT_YET("leader.maxConcurrentSnapSyncs", CONFIG_INT, NULL),
    NOT_YET("leader.maxConcurrentDiffSyncs", CONFIG_INT, NULL),
    IGNORED("leader.closeSocketAsync", CONFIG_BOOL),
    IGNORED("leader.ackLoggingFrequency", CONFIG_INT),
    IGNORED("learner.closeSocketAsync", CONFIG_BOOL),
    IGNORED("learner.asyncSending", CONFIG_BOOL),
    IGNORED("forward_learner_requests_to_commit_processor_disabled",
            CONFIG_BOOL),
    IGNORED("follower.skipLearnerRequestToNextProcessor", CONFIG_BOOL),
    IGNORED("serverCnxnFactory", CONFIG_TEXT),
    IGNORED("watchManagerName", CONFIG_TEXT),
    IGNORED("watcherCleanThreadsNum", CONFIG_INT),
    IGNORED("watcherCleanThreshold", CONFIG_INT),
    IGNORED("watcherCleanIntervalInSeconds", CONFIG_INT),
    IGNORED("maxInProcessingDeadWatchers", CONFIG_INT),
    IGNORED("bitHashCacheSize", CONFIG_INT),
    IGNORED("intBufferStartingSizeBytes", CONFIG_INT),
    IGNORED("messageTracker.BufferSize", CONFIG_INT),
    IGNORED("messageTracker.Enabled", CONFIG_BOOL),

    /* Behaviour and limits. */
    WORKS("extendedTypesEnabled", CONFIG_BOOL, ttl_nodes),
    IGNORED("emulate353TTLNodes", CONFIG_BOOL),
    RANGE("znode.container.checkIntervalMs", CONFIG_INT, container_check_ms, 1,
          I32, 1),
    RANGE("znode.container.maxPerMinute", CONFIG_INT, container_max_per_minute,
          1, I32, 1),
    RANGE("znode.container.maxNeverUsedIntervalMs", CONFIG_INT,
          container_never_used_ms, 0, INT64_MAX / 2, 1),
    WORKS("enforceQuota", CONFIG_BOOL, hard_quotas),
    NOT_YET("request_throttle_max_requests", CONFIG_INT, "0"),
    NOT_YET("request_throttle_stall_time", CONFIG_INT, NULL),
    NOT_YET("request_throttle_drop_stale", CONFIG_BOOL, "true"),
    NOT_YET("request_stale_latency_check", CONFIG_BOOL, "false"),
    NOT_YET("request_stale_connection_check", CONFIG_BOOL, "true"),
    IGNORED("request_throttler.shutdownTimeout", CONFIG_INT),
    NOT_YET("throttled_op_wait_time", CONFIG_INT, "0"),
    NOT_YET("connection_throttle_tokens", CONFIG_INT, "0"),
    NOT_YET("connection_throttle_fill_time", CONFIG_INT, NULL),
    NOT_YET("connection_throttle_fill_count", CONFIG_INT, NULL),
    NOT_YET("connection_throttle_freeze_time", CONFIG_INT, "-1"),
    NOT_YET("connection_throttle_drop_increase", CONFIG_FLOAT, NULL),
    NOT_YET("connection_throttle_drop_decrease", CONFIG_FLOAT, NULL),
    NOT_YET("connection_throttle_decrease_ratio", CONFIG_FLOAT, "0"),
    NOT_YET("connection_throttle_weight_enabled", CONFIG_BOOL, "false"),
    NOT_YET("connection_throttle_global_session_weight", CONFIG_INT, NULL),
    NOT_YET("connection_throttle_renew_session_weight", CONFIG_INT, NULL),
    NOT_YET("connection_throttle_local_session_weight", CONFIG_INT, NULL),
    NOT_YET("largeRequestMaxBytes", CONFIG_INT, NULL),
    NOT_YET("largeRequestThreshold", CONFIG_INT, "-1"),
    IGNORED("netty.advancedFlowControl.enabled", CONFIG_BOOL),
    IGNORED("netty.server.outstandingHandshake.limit", CONFIG_INT),
    IGNORED("netty.server.earlyDropSecureConnectionHandshakes", CONFIG_BOOL),
    WORKS("readonlymode.enabled", CONFIG_BOOL, read_only_mode),
    IGNORED("enableEagerACLCheck", CONFIG_BOOL),
    WORKS("skipACL", CONFIG_BOOL, skip_acl),
    REFUSED("audit.enable", CONFIG_BOOL, "false"),
    IGNORED("audit.impl.class", CONFIG_TEXT),
    NOT_YET("pathStats.*", CONFIG_TEXT, NULL),

    /* Security. */
    WORKS("DigestAuthenticationProvider.enabled", CONFIG_BOOL, digest_enabled),
    SECRET("DigestAuthenticationProvider.superDigest", CONFIG_DIGEST,
           super_digest),
    REFUSED("DigestAuthenticationProvider.digestAlg", CONFIG_TEXT, "SHA1"),
    NOT_YET("IPAuthenticationProvider.usexforwardedfor", CONFIG_BOOL, "false"),
    NOT_YET("X509AuthenticationProvider.superUser", CONFIG_TEXT, NULL),
    NOT_YET("superUser", CONFIG_TEXT, NULL),
    NOT_YET("superUser.X", CONFIG_TEXT, NULL),
    REFUSED("ssl.authProvider", CONFIG_TEXT, NULL),
    REFUSED("authProvider.X", CONFIG_TEXT, NULL),
    SECRET("ensembleAuthName", CONFIG_TEXT, ensemble_name),
    REFUSED("sessionRequireClientSASLAuth", CONFIG_BOOL, "false"),
    REFUSED("requireClientAuthScheme", CONFIG_TEXT, NULL),
    REFUSED("enforce.auth.enabled", CONFIG_BOOL, "false"),
    REFUSED("enforce.auth.schemes", CONFIG_TEXT, NULL),
    NOT_YET("allowSaslFailedClients", CONFIG_BOOL, "false"),
    IGNORED("jaasLoginRenew", CONFIG_INT),
    NOT_YET("kerberos.removeHostFromPrincipal", CONFIG_BOOL, "false"),
    NOT_YET("kerberos.removeRealmFromPrincipal", CONFIG_BOOL, "false"),
    NOT_YET("kerberos.canonicalizeHostNames", CONFIG_BOOL, "false"),
    REFUSED("sslQuorum", CONFIG_BOOL, "false"),
    REFUSED("portUnification", CONFIG_BOOL, "false"),
    NOT_YET("sslQuorumReloadCertFiles", CONFIG_BOOL, "false"),
    REFUSED("client.portUnification", CONFIG_BOOL, "false"),
    NOT_YET("client.certReload", CONFIG_BOOL, "false"),
    REFUSED("ssl.keyStore.location", CONFIG_TEXT, NULL),
    REFUSED_SECRET("ssl.keyStore.password"),
    REFUSED("ssl.keyStore.passwordPath", CONFIG_TEXT, NULL),
    REFUSED("ssl.keyStore.type", CONFIG_TEXT, NULL),
    REFUSED("ssl.trustStore.location", CONFIG_TEXT, NULL),
    REFUSED_SECRET("ssl.trustStore.password"),
    REFUSED("ssl.trustStore.passwordPath", CONFIG_TEXT, NULL),
    REFUSED("ssl.trustStore.type", CONFIG_TEXT, NULL),
    REFUSED("ssl.protocol", CONFIG_TEXT, NULL),
    REFUSED("ssl.enabledProtocols", CONFIG_TEXT, NULL),
    REFUSED("ssl.ciphersuites", CONFIG_TEXT, NULL),
    REFUSED("ssl.context.supplier.class", CONFIG_TEXT, NULL),
    REFUSED("ssl.hostnameVerification", CONFIG_BOOL, "false"),
    REFUSED("ssl.clientHostnameVerification", CONFIG_BOOL, "false"),
    REFUSED("ssl.allowReverseDnsLookup", CONFIG_BOOL, "false"),
    REFUSED("ssl.crl", CONFIG_BOOL, "false"),
    REFUSED("ssl.ocsp", CONFIG_BOOL, "false"),
    REFUSED("ssl.clientAuth", CONFIG_TEXT, "none"),
    REFUSED("ssl.handshakeDetectionTimeoutMillis", CONFIG_INT, NULL),
    REFUSED("ssl.sslProvider", CONFIG_TEXT, NULL),
    REFUSED("ssl.quorum.*", CONFIG_TEXT, NULL),
    REFUSED("ssl.*", CONFIG_TEXT, NULL),
    IGNORED("fips-mode", CONFIG_BOOL),
    REFUSED("quorum.auth.enableSasl", CONFIG_BOOL, "false"),
    REFUSED("quorum.auth.serverRequireSasl", CONFIG_BOOL, "false"),
    REFUSED("quorum.auth.learnerRequireSasl", CONFIG_BOOL, "false"),
    REFUSED("quorum.auth.kerberos.servicePrincipal", CONFIG_TEXT, NULL),
    REFUSED("quorum.auth.learner.saslLoginContext", CONFIG_TEXT, NULL),
    REFUSED("quorum.auth.server.saslLoginContext", CONFIG_TEXT, NULL),
    IGNORED("quorum.cnxn.threads.size", CONFIG_INT),

    /* The HTTP admin server. */
    NOT_YET("admin.enableServer", CONFIG_BOOL, "false"),
    NOT_YET("admin.serverAddress", CONFIG_TEXT, NULL),
    NOT_YET("admin.serverPort", CONFIG_INT, NULL),
    NOT_YET("admin.idleTimeout", CONFIG_INT, NULL),
    NOT_YET("admin.commandURL", CONFIG_TEXT, NULL),
    NOT_YET("admin.portUnification", CONFIG_BOOL, "false"),
    NOT_YET("admin.forceHttps", CONFIG_BOOL, "false"),
    NOT_YET("admin.needClientAuth", CONFIG_BOOL, "false"),
    NOT_YET("admin.httpVersion", CONFIG_INT, NULL),
    NOT_YET("admin.rateLimiterIntervalInMS", CONFIG_INT, NULL),
    NOT_YET("admin.snapshot.enabled", CONFIG_BOOL, "false"),
    NOT_YET("admin.restore.enabled", CONFIG_BOOL, "false"),

    /* Corral's own. */
    RANGE("leaderHeartbeatMs", CONFIG_INT, leader_heartbeat_ms, 20, 60000, 1),
    RANGE("leaderTimeoutMs", CONFIG_INT, leader_timeout_ms, 100, 3600000, 1),
    RANGE("peerProtocolVersion", CONFIG_INT, peer_version_max, 1, 2, 1),
    RANGE("epochCounterMax", CONFIG_INT, counter_max, 1000, I32, 1),
    {.name = "linearizableReads",
     .type = CONFIG_CHOICE,
     FIELD(linearizable_reads),
     .choices = read_kinds},
    RANGE("replySizeMax", CONFIG_SIZE, reply_size_max, 4096, 67108864, 1),
    RANGE("diskReserve", CONFIG_SIZE, disk_reserve, 0, INT64_C(1) << 40, 1),
    RANGE("readsHeldMax", CONFIG_INT, reads_held_max, 1, 65536, 1),
    RANGE("ephemeralsMax", CONFIG_INT, ephemerals_max, 1, 100000, 1),
    RANGE("outputMark", CONFIG_SIZE, output_mark, 4096, 67108864, 1),
    RANGE("outputMax", CONFIG_SIZE, output_max, 65536, 1073741824, 1),
    RANGE("proposalsInflightMax", CONFIG_INT, proposals_inflight_max, 1, 65536,
          1),
    RANGE("checkpointRecords", CONFIG_INT, checkpoint_records, 1, 100000, 1),
    RANGE("checkpointBytes", CONFIG_SIZE, checkpoint_bytes, 4096, 16777216, 1),
    RANGE("checkpointMs", CONFIG_INT, checkpoint_ms, 20, 60000, 1),
    WORKS("logLevel", CONFIG_LEVEL, log_level),
};

#define KEYS_COUNT (sizeof(keys) / sizeof(keys[0]))

const struct config_key *config_keys(size_t *count)
{
    *count = KEYS_COUNT;
    return keys;
}

static bool is_family(const char *name)
{
    size_t len = strlen(name);

    return len > 2 && name[len - 2] == '.' &&
           (name[len - 1] == '*' || name[len - 1] == 'X' ||
            name[len - 1] == 'N');
}

static bool all_digits(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (!isdigit((unsigned char)*c)) {
            return false;
        }
    }
    return *text != '\0';
}

static bool in_family(const char *family, const char *name)
{
    size_t stem = strlen(family) - 1; /* with the point */

    if (strncmp(family, name, stem) != 0 || name[stem] == '\0') {
        return false;
    }
    return family[stem] != 'N' || all_digits(name + stem);
}

const struct config_key *config_key_find(const char *name)
{
    const struct config_key *found = NULL;

    for (size_t i = 0; i < KEYS_COUNT; i++) {
        if (is_family(keys[i].name)) {
            /* The longest family wins over shorter ones. */
            if (in_family(keys[i].name, name) &&
                (found == NULL || strlen(keys[i].name) > strlen(found->name))) {
                found = &keys[i];
            }
        } else if (strcmp(keys[i].name, name) == 0) {
            return &keys[i];
        }
    }
    return found;
}

/* Levenshtein's distance; upper and lower case differ by nothing. */
static size_t distance(const char *a, const char *b)
{
    size_t row[CONFIG_KEY_MAX + 1];
    size_t b_len = strlen(b);

    CHECK(b_len <= CONFIG_KEY_MAX);
    for (size_t j = 0; j <= b_len; j++) {
        row[j] = j;
    }
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 0; j < b_len; j++) {
            bool same =
                tolower((unsigned char)a[i]) == tolower((unsigned char)b[j]);
            size_t best = diagonal + (same ? 0 : 1);

            diagonal = row[j + 1];
            if (row[j] + 1 < best) {
                best = row[j] + 1;
            }
            if (diagonal + 1 < best) {
                best = diagonal + 1;
            }
            row[j + 1] = best;
        }
    }
    return row[b_len];
}

const char *config_key_nearest(const char *name)
{
    const char *nearest = keys[0].name;
    size_t least = SIZE_MAX;

    for (size_t i = 0; i < KEYS_COUNT; i++) {
        size_t d = distance(keys[i].name, name);

        if (d < least) {
            least = d;
            nearest = keys[i].name;
        }
    }
    return nearest;
}
