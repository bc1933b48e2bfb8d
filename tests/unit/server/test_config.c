/* zoo.cfg: every class of key, every complaint with its line. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "config_rig.h"
#include "server/config_internal.h"

#define BASE CONFIG_BASE

Test(server_config, bare_start_is_safe_and_complete)
{
    struct config config;

    config_init(&config);
    cr_expect_str_eq(config.client_address, "127.0.0.1");
    cr_expect_str_eq(config.data_dir, "./corral-data");
    cr_expect_str_eq(config.log_dir, "./corral-data");
    cr_expect_eq(config.client_port, 2181);
    cr_expect(config.force_sync && config.ttl_nodes && config.hard_quotas);
    cr_expect(config_word_allowed(&config, "mntr"));
    cr_expect(config_word_allowed(&config, "stat"));
    cr_expect_not(config_word_allowed(&config, "wchs"));
    cr_expect_not(config_word_allowed(&config, "wchp"));
    cr_expect_not(config_word_allowed(&config, "wchc"));
    cr_expect_null(config.super_digest);
    config_finish(&config);
    config_finish(&config); /* twice is fine */
}

Test(server_config, file_starts_from_zookeepers_defaults)
{
    struct config config = {0};

    config_rig_accept(&config, BASE);
    cr_expect_str_eq(config.data_dir, "/d");
    cr_expect_str_eq(config.log_dir, "/d");
    cr_expect_null(config.client_address);
    cr_expect_eq(config.tick_ms, 3000);
    cr_expect_eq(config.session_timeout_ms_min, 6000);
    cr_expect_eq(config.session_timeout_ms_max, 60000);
    cr_expect_eq(config.conns_per_address_max, 60);
    cr_expect_eq(config.frame_size_max, 1048575);
    cr_expect_eq(config.output_max, 32 * 1024 * 1024);
    cr_expect(config_word_allowed(&config, "srvr"));
    cr_expect_not(config_word_allowed(&config, "ruok"));
    config_finish(&config);
}

Test(server_config, second_reading_forgets_the_first)
{
    struct config config;

    config_init(&config);
    config_rig_accept(&config, BASE "superUser=\nclientPortAddress=::1\n");
    cr_expect_str_eq(config.client_address, "::1");
    config_rig_accept(&config, "dataDir=/e\nclientPort=1\n");
    cr_expect_null(config.client_address);
    cr_expect_str_eq(config.log_dir, "/e");
    config_finish(&config);
}

Test(server_config, working_keys_reach_their_fields)
{
    struct config config = {0};

    config_rig_accept(
        &config, "dataDir=/d\ndataLogDir=/l\nclientPort=0\n"
                 "clientPortAddress=localhost\ntickTime=2000\n"
                 "minSessionTimeout=100\nmaxSessionTimeout=-1\n"
                 "initLimit=10\nsyncLimit=5\nmaxClientCnxns=-1\nmaxCnxns=7\n"
                 "clientPortListenBacklog=99\npreAllocSize=1024\n"
                 "forceSync=YES\nskipACL=no\nenforceQuota=false\n"
                 "extendedTypesEnabled=false\nDigestAuthenticationProvider."
                 "enabled=false\n"
                 "jute.maxbuffer=0x4fffff\nglobalOutstandingLimit=12\n"
                 "zookeeper.nio.sessionlessCnxnTimeout=77\n"
                 "znode.container.checkIntervalMs=1\n"
                 "znode.container.maxPerMinute=2\n"
                 "znode.container.maxNeverUsedIntervalMs=0\n"
                 "4lw.commands.whitelist=stat, ruok,*\n"
                 "diskReserve=64M\nreplySizeMax=1048576\nlogLevel=debug\n"
                 "leaderHeartbeatMs=50\nleaderTimeoutMs=500\n"
                 "ensembleAuthName=blue\nclientTcpKeepAlive=true\n");
    cr_expect_str_eq(config.log_dir, "/l");
    cr_expect_eq(config.client_port, 0);
    cr_expect(config.client_port_given && config.tcp_keep_alive);
    cr_expect_eq(config.session_timeout_ms_min, 100);
    cr_expect_eq(config.session_timeout_ms_max, 40000);
    cr_expect_eq(config.conns_per_address_max, 0);
    cr_expect_eq(config.conns_max, 7);
    cr_expect_eq(config.listen_backlog, 99);
    cr_expect_eq(config.segment_size, 1024 * 1024);
    cr_expect_eq(config.frame_size_max, 0x4fffff);
    cr_expect_eq(config.outstanding_max, 12);
    cr_expect_eq(config.handshake_timeout_ms, 77);
    cr_expect_eq(config.container_never_used_ms, 0);
    cr_expect_eq(config.disk_reserve, 64 * 1024 * 1024);
    cr_expect_eq(config.log_level, LOG_DEBUG);
    cr_expect(config.force_sync);
    cr_expect_not(config.ttl_nodes || config.hard_quotas ||
                  config.digest_enabled || config.skip_acl);
    cr_expect_str_eq(config.ensemble_name, "blue");
    cr_expect(config_word_allowed(&config, "wchp"));
    config_finish(&config);
}

Test(server_config, properties_syntax_is_javas)
{
    struct config config = {0};
    static const char text[] = "\xef\xbb\xbf# a comment \\\r\n"
                               "  ! another\r\n"
                               "\r\n"
                               "dataDir : /d\\u00e9\\ud83d\\ude00  \r\n"
                               "client\\\r\n"
                               "   Port \\\n"
                               " = 21\\\n"
                               "\t81\r"
                               "dataLogDir /with\\ space\\=\\\\\n"
                               "\\u0074ickTime=200"; /* no newline at the end */

    config_rig_accept(&config, text);
    cr_expect_str_eq(config.data_dir, "/d\xc3\xa9\xf0\x9f\x98\x80");
    cr_expect_str_eq(config.log_dir, "/with space=\\");
    cr_expect_eq(config.client_port, 2181);
    cr_expect_eq(config.tick_ms, 200);
    config_finish(&config);
}

Test(server_config, broken_syntax_is_named_with_its_line)
{
    struct config config = {0};
    static const char zero[] = BASE "tickTime=2\0 000\n";
    struct buf said = {0};

    config_rig_expect(BASE "\n\ntickTime=\\u12\n",
                      "E z:5: a \\u without four hexadecimal digits\n");
    config_rig_expect(BASE "tickTime=\\ude00\n",
                      "E z:3: a \\u without four hexadecimal digits\n");
    config_rig_expect(BASE "tickTime=\\u0000\n",
                      "E z:3: a \\u without four hexadecimal digits\n");
    config_rig_expect(BASE "= 7\n", "E z:3: a value without a key\n");
    cr_expect_eq(config_parse(&config, "z", zero, sizeof(zero) - 1,
                              config_rig_collect, &said),
                 ERR_INVALID);
    buf_append(&said, slice_make("", 1));
    cr_expect_str_eq((const char *)said.data, "E z:3: a zero byte\n");
    buf_finish(&said);
    config_finish(&config);
}

Test(server_config, every_problem_is_reported_not_only_the_first)
{
    config_rig_expect(
        "tickTme=2000\n"
        "tickTime=soon\n"
        "clientPort=70000\n"
        "sslQuorum=true\n"
        "forceSync=maybe\n",
        "E z:1: unknown key tickTme; the nearest known one is tickTime\n"
        "E z:2: tickTime: \"soon\" is not a number\n"
        "E z:3: clientPort: 70000 is not between 0 and 65535\n"
        "E not supported yet: sslQuorum (z:4)\n"
        "E z:5: forceSync: \"maybe\" is not yes, no, true or false\n"
        "E z: dataDir is not set\n");
    config_rig_expect("", "E z: dataDir is not set\n"
                          "E z: clientPort is not set: nobody could connect\n");
}

struct case_of_value {
    const char *line, *reports;
};

Test(server_config, wrong_values_name_key_value_and_line)
{
    static const struct case_of_value cases[] = {
        {"tickTime=0", "E z:3: tickTime: 0 is not between 1 and 3600000\n"},
        {"tickTime=", "E z:3: tickTime: \"\" is not a number\n"},
        {"tickTime=12 4", "E z:3: tickTime: \"12 4\" is not a number\n"},
        {"tickTime=0x", "E z:3: tickTime: \"0x\" is not a number\n"},
        {"tickTime=99999999999999999999",
         "E z:3: tickTime: \"99999999999999999999\" is not a number\n"},
        {"electionAlg=1", "E z:3: electionAlg: 1 is not between 3 and 3\n"},
        {"snapCount=many", "E z:3: snapCount: \"many\" is not a number\n"},
        {"snapshotSizeFactor=nan",
         "E z:3: snapshotSizeFactor: \"nan\" is not a number\n"},
        {"autopurge.purgeInterval=1y",
         "E z:3: autopurge.purgeInterval: \"1y\" is not hours, or a number "
         "with ms, s, m, h or d\n"},
        {"diskReserve=1T",
         "E z:3: diskReserve: \"1T\" is not a number of bytes\n"},
        {"diskReserve=9999999999G",
         "E z:3: diskReserve: \"9999999999G\" is not a number of bytes\n"},
        {"logLevel=loud",
         "E z:3: logLevel: \"loud\" is not error, warn, info or debug\n"},
        {"dataLogDir=", "E z:3: dataLogDir has no value\n"},
        {"dataLogDir=a\\nb", "E z:3: dataLogDir: \"a?b\" is not text without "
                             "control characters\n"},
        {"admin.enableServer=1", "E z:3: admin.enableServer: \"1\" is not yes, "
                                 "no, true or false\n"},
        {"audit.enable=on", "E z:3: audit.enable: \"on\" is not yes, no, true "
                            "or false\n"},
        {"minSessionTimeout=70000",
         "E z:3: minSessionTimeout: 70000 is over maxSessionTimeout, 60000\n"},
        {"leaderTimeoutMs=150", "E z:3: leaderTimeoutMs: 150 is less than two "
                                "leaderHeartbeatMs, 100\n"},
        {"outputMax=65536", "E z:3: outputMax is less than outputMark\n"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[256];

        (void)snprintf(text, sizeof(text), BASE "%s\n", cases[i].line);
        config_rig_expect(text, cases[i].reports);
    }
}

/* What weakens security, durability or who decides stops the start when its
 * value turns it on, and only then. */
Test(server_config, refused_keys_stop_the_start_only_when_on)
{
    static const char *const on[] = {
        "secureClientPort=2281",
        "ssl.keyStore.location=/k.jks",
        "ssl.quorum.trustStore.password=hidden",
        "ssl.some.new.key=x",
        "ssl.clientAuth=need",
        "sslQuorum=yes",
        "portUnification=true",
        "client.portUnification=true",
        "authProvider.1=org.example.Provider",
        "authProvider.sasl=org.example.Provider",
        "enforce.auth.enabled=true",
        "quorum.auth.enableSasl=true",
        "quorum.auth.learnerRequireSasl=true",
        "sessionRequireClientSASLAuth=true",
        "DigestAuthenticationProvider.digestAlg=SHA-256",
        "group.1=1:2:3",
        "weight.1=2",
        "oraclePath=/o",
        "audit.enable=true",
        "db.autocreate=false",
    };
    static const char off[] = BASE
        "secureClientPort=0\nssl.keyStore.password=\nssl.quorum.ocsp=false\n"
        "ssl.crl=no\nssl.clientAuth=none\nsslQuorum=false\n"
        "portUnification=false\nenforce.auth.enabled=false\n"
        "quorum.auth.enableSasl=false\nsessionRequireClientSASLAuth=false\n"
        "DigestAuthenticationProvider.enabled=true\n"
        "DigestAuthenticationProvider.digestAlg=SHA1\naudit.enable=false\n"
        "db.autocreate=true\npeerType=participant\noraclePath=\n";
    struct config config = {0};

    for (size_t i = 0; i < sizeof(on) / sizeof(on[0]); i++) {
        char text[256], reports[256];
        int key = (int)strcspn(on[i], "=");

        (void)snprintf(text, sizeof(text), BASE "%s\n", on[i]);
        (void)snprintf(reports, sizeof(reports),
                       "E not supported yet: %.*s (z:3)\n", key, on[i]);
        config_rig_expect(text, reports);
    }
    config_rig_accept(&config, off);
    config_finish(&config);
}

Test(server_config, keys_without_effect_yet_are_warned_of_once)
{
    struct config config = {0};

    config_rig_expect(
        BASE "admin.enableServer=true\nadmin.serverPort=8080\n"
             "metricsProvider.className=org.example.P\n"
             "metricsProvider.httpPort=7000\nreconfigEnabled=true\n"
             "localSessionsEnabled=true\nobserverMasterPort=2191\n"
             "leaderServes=no\nsyncEnabled=false\n"
             "multiAddress.enabled=true\npathStats.enabled=true\n"
             "superUser.2=bob\nconnection_throttle_tokens=5\n",
        "W has no effect yet: admin.enableServer (z:3)\n"
        "W has no effect yet: admin.serverPort (z:4)\n"
        "W has no effect yet: metricsProvider.className (z:5)\n"
        "W has no effect yet: metricsProvider.httpPort (z:6)\n"
        "W has no effect yet: reconfigEnabled (z:7)\n"
        "W has no effect yet: localSessionsEnabled (z:8)\n"
        "W has no effect yet: observerMasterPort (z:9)\n"
        "W has no effect yet: leaderServes (z:10)\n"
        "W has no effect yet: syncEnabled (z:11)\n"
        "W has no effect yet: multiAddress.enabled (z:12)\n"
        "W has no effect yet: pathStats.enabled (z:13)\n"
        "W has no effect yet: superUser.2 (z:14)\n"
        "W has no effect yet: connection_throttle_tokens (z:15)\n");
    config_rig_accept(&config,
                      BASE "admin.enableServer=false\nreconfigEnabled=no\n"
                           "observerMasterPort=0\nleaderServes=yes\n");
    cr_expect_null(config.ignored);
    config_finish(&config);
}

Test(server_config, keys_without_a_meaning_are_collected)
{
    struct config config = {0};

    config_rig_accept(&config,
                      BASE "snapCount=1\nautopurge.snapRetainCount=3\n"
                           "autopurge.purgeInterval=1h\nelectionAlg=3\n"
                           "jvm.pause.monitor=true\n"
                           "serverCnxnFactory=org.example.Netty\n");
    cr_expect_str_eq(config.ignored,
                     "snapCount,autopurge.snapRetainCount,"
                     "autopurge.purgeInterval,electionAlg,jvm.pause.monitor,"
                     "serverCnxnFactory");
    config_finish(&config);
}

Test(server_config, unknown_keys_name_the_nearest)
{
    config_rig_expect(BASE "maxClientCnxn=60\n",
                      "E z:3: unknown key maxClientCnxn; the "
                      "nearest known one is maxClientCnxns\n");
    config_rig_expect(
        BASE "DATADIR=/d\n",
        "E z:3: unknown key DATADIR; the nearest known one is dataDir\n");
    config_rig_expect(BASE "zookeeper.snapcount=1\n",
                      "E z:3: unknown key snapcount; the nearest known one is "
                      "snapCount\n");
    config_rig_expect(
        BASE "server.x=a:1:2\n",
        "E z:3: unknown key server.x; the nearest known one is server.N\n");
    config_rig_expect(BASE "k\\u0001y=1\n", "E z:3: a key of odd characters\n");
}

Test(server_config, last_of_two_counts_and_is_told)
{
    struct config config = {0};
    struct buf said;

    cr_expect_eq(config_rig_parse(&config,
                                  BASE "tickTime=bad\nzookeeper.tickTime=5\n",
                                  &said),
                 0);
    cr_expect_str_eq((const char *)said.data,
                     "W z:4: tickTime was given in line 3 too; this one "
                     "counts\n");
    cr_expect_eq(config.tick_ms, 5);
    buf_finish(&said);
    config_finish(&config);
}

Test(server_config, risky_settings_warn_at_each_start)
{
    config_rig_expect(
        BASE "forceSync=no\nskipACL=yes\n",
        "W z:3: forceSync=no: a power cut loses acknowledged writes\n"
        "W z:4: skipACL=yes: no ACL is checked\n");
    config_rig_expect(
        BASE "4lw.commands.whitelist=stat,reqs\n",
        "W z:3: 4lw.commands.whitelist: not all are words of this server: "
        "stat,reqs\n");
}

Test(server_config, one_server_line_is_a_standalone_server)
{
    struct config config = {0};

    config_rig_accept(&config,
                      "dataDir=/d\nserver.7=[::1]:2888:3888:participant;"
                      "127.0.0.2:2185\n");
    cr_expect_eq(config.my_id, 7);
    cr_expect_eq(config.servers_count, 1);
    cr_expect_str_eq(config.servers[0].host, "::1");
    cr_expect_eq(config.servers[0].quorum_port, 2888);
    cr_expect_eq(config.servers[0].election_port, 3888);
    cr_expect_eq(config.client_port, 2185);
    cr_expect_str_eq(config.client_address, "127.0.0.2");
    config_finish(&config);
    config_rig_expect(
        "dataDir=/d\nserver.1=h:1:2:observer;3\n",
        "E z:2: server.1: the only server cannot be an observer\n");
    config_rig_expect(BASE "server.1=h:1:2;3\n",
                      "E z:2: clientPort: 2181 is not the 3 of server.1\n");
}

#define SERVER_FORM \
    " (host:quorum port:election port[:role][;[host:]client port])\n"

Test(server_config, broken_server_lines_say_what_is_wrong)
{
    static const struct case_of_value cases[] = {
        {"server.1=", "E z:3: server.1: it is empty" SERVER_FORM},
        {"server.1=h", "E z:3: server.1: the quorum port is not a number from "
                       "1 to 65535" SERVER_FORM},
        {"server.1=h:1:0", "E z:3: server.1: the election port is not a number "
                           "from 1 to 65535" SERVER_FORM},
        {"server.1=:1:2",
         "E z:3: server.1: it does not begin with a host" SERVER_FORM},
        {"server.1=[::1:1:2",
         "E z:3: server.1: it does not begin with a host" SERVER_FORM},
        {"server.1=h:1:2:king", "E z:3: server.1: the role is neither "
                                "participant nor observer" SERVER_FORM},
        {"server.1=h:1:2|g:1:2", "E z:3: server.1: several addresses "
                                 "(multiAddress) are not supported "
                                 "yet" SERVER_FORM},
        {"server.1=h:1:2;x", "E z:3: server.1: the client port is not a number "
                             "from 1 to 65535" SERVER_FORM},
        {"server.1=h:1:2;2181;2281",
         "E z:3: server.1: a secure client port is not supported "
         "yet" SERVER_FORM},
        {"server.0=h:1:2",
         "E z:3: server.0: the id is not between 1 and 255\n"},
        {"server.256=h:1:2",
         "E z:3: server.256: the id is not between 1 and 255\n"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[256];

        (void)snprintf(text, sizeof(text), BASE "%s\n", cases[i].line);
        config_rig_expect(text, cases[i].reports);
    }
    config_rig_expect(BASE "server.1=h:1:2\nserver.01=h:1:2\n",
                      "E z:4: server.01: id 1 is given in z:3 too\n");
}

/* A secret is in no message and in no print-out. */
Test(server_config, secrets_are_never_shown)
{
    struct config config = {0};
    struct buf printed = {0};

    config_rig_expect(
        BASE "DigestAuthenticationProvider.superDigest=super:geheim\n",
        "E z:3: DigestAuthenticationProvider.superDigest is not of the form "
        "super:<base64 of SHA-1>\n");
    config_rig_expect(
        BASE "ssl.keyStore.password=gehe\\u0001im\n",
        "E z:3: ssl.keyStore.password is not text without control "
        "characters\n");
    config_rig_accept(&config, BASE "DigestAuthenticationProvider.superDigest="
                                    "super:D/InIHSb7yEEbrWz8b9l71RjZJU=\n"
                                    "ensembleAuthName=geheim\n");
    cr_expect_str_eq(config.super_digest, "super:D/InIHSb7yEEbrWz8b9l71RjZJU=");
    config_print(&config, &printed);
    buf_append(&printed, slice_make("", 1));
    cr_expect_null(strstr((const char *)printed.data, "geheim"));
    cr_expect_null(strstr((const char *)printed.data, "InIHSb"));
    cr_expect(strstr((const char *)printed.data,
                     "# ensembleAuthName is set\n") != NULL);
    buf_finish(&printed);
    config_finish(&config);
}

/* What --check-config prints is a zoo.cfg that means the same. */
Test(server_config, printed_settings_read_back_the_same)
{
    struct config config = {0}, again = {0};
    struct buf first = {0}, second = {0};

    config_rig_accept(&config, BASE "tickTime=200\npreAllocSize=128\n"
                                    "clientPortAddress=::1\nlogLevel=warn\n"
                                    "dataLogDir=a\\\\b c\n"
                                    "4lw.commands.whitelist=*\ndiskReserve=1M\n"
                                    "server.3=h:1:2\n");
    config_print(&config, &first);
    cr_assert_eq(config_parse(&again, "z", (const char *)first.data, first.len,
                              config_rig_collect, &second),
                 0);
    cr_expect_eq(second.len, 0);
    cr_expect_eq(again.tick_ms, 200);
    config_print(&again, &second);
    cr_expect(slice_equal(buf_bytes(&first), buf_bytes(&second)));
    buf_finish(&first);
    buf_finish(&second);
    config_finish(&config);
    config_finish(&again);
}

Test(server_config, limits_of_the_text_are_errors)
{
    struct config config = {0};
    struct buf text = {0}, said = {0};

    buf_printf(&text, "%*s=1\nx=%*s\\u0041\n", 300, "k", 1, "");
    for (int i = 0; i < 5000; i++) {
        buf_append_text(&text, "v=2\n");
    }
    buf_printf(&text, "tickTime=%5000d\n", 1);
    cr_expect_eq(config_parse(&config, "z", (const char *)text.data, text.len,
                              config_rig_collect, &said),
                 ERR_INVALID);
    buf_append(&said, slice_make("", 1));
    cr_expect(strstr((const char *)said.data, "more than 4096 settings"));
    buf_clear(&said);
    buf_clear(&text);
    buf_append_text(&text, "a");
    for (int i = 0; i < 300; i++) {
        buf_append_text(&text, "k");
    }
    buf_append_text(&text, "=1\nb=");
    for (int i = 0; i < 5000; i++) {
        buf_append_text(&text, "1");
    }
    cr_expect_eq(config_parse(&config, "z", (const char *)text.data, text.len,
                              config_rig_collect, &said),
                 ERR_INVALID);
    buf_append(&said, slice_make("", 1));
    cr_expect(strstr((const char *)said.data,
                     "E z:1: a key of over 256 bytes\n"
                     "E z:2: a value of over 4096 bytes\n"));
    buf_clear(&text);
    (void)buf_extend(&text, CONFIG_FILE_MAX + 1);
    memset(text.data, '\n', text.len);
    buf_clear(&said);
    cr_expect_eq(config_parse(&config, "z", (const char *)text.data, text.len,
                              config_rig_collect, &said),
                 ERR_INVALID);
    buf_append(&said, slice_make("", 1));
    cr_expect_str_eq((const char *)said.data,
                     "E z: larger than 1048576 bytes\n");
    buf_finish(&text);
    buf_finish(&said);
    config_finish(&config);
}

/* Every key of the table is found under its own name, and no two rows have the
 * same one. */
Test(server_config, table_is_consistent)
{
    size_t count;
    const struct config_key *keys = config_keys(&count);

    for (size_t i = 0; i < count; i++) {
        char name[CONFIG_KEY_MAX];
        char *end;

        (void)snprintf(name, sizeof(name), "%s", keys[i].name);
        end = name + strlen(name) - 1;
        if (end[-1] == '.' && strchr("*XN", *end) != NULL) {
            *end = '1';
        }
        cr_expect_eq(config_key_find(name), &keys[i], "%s", name);
        cr_expect(keys[i].class != CONFIG_WORKS || keys[i].stored ||
                  keys[i].type == CONFIG_SERVER);
        cr_expect(!keys[i].stored || keys[i].type != CONFIG_INT ||
                  (keys[i].scale > 0 && keys[i].min < keys[i].max));
    }
}

Test(server_config, myid_must_be_the_servers)
{
    char dir[64], file[128], myid[128];
    struct config config = {0};
    FILE *out;

    (void)snprintf(dir, sizeof(dir), "/tmp/corral-test-%.6s", "XXXXXXx");
    cr_assert_not_null(mkdtemp(dir));
    (void)snprintf(file, sizeof(file), "%s/zoo.cfg", dir);
    (void)snprintf(myid, sizeof(myid), "%s/myid", dir);
    out = fopen(file, "w");
    (void)fprintf(out,
                  "dataDir=%s\nserver.4=h:1:2;0\n"
                  "datadir.autocreate=false\nclientPort=2\n",
                  dir);
    (void)fclose(out);
    cr_expect_eq(config_read(&config, file, NULL), ERR_INVALID); /* port 0 */
    out = fopen(file, "w");
    (void)fprintf(out,
                  "dataDir=%s\nserver.4=h:1:2;5\n"
                  "datadir.autocreate=false\n",
                  dir);
    (void)fclose(out);
    cr_expect_eq(config_read(&config, file, NULL), 0);
    cr_expect_eq(config.my_id, 4);
    cr_expect_str_eq(config.file, file);
    out = fopen(myid, "w");
    (void)fprintf(out, "4\n");
    (void)fclose(out);
    cr_expect_eq(config_read(&config, file, NULL), 0);
    out = fopen(myid, "w");
    (void)fprintf(out, "5\n");
    (void)fclose(out);
    cr_expect_eq(config_read(&config, file, NULL), ERR_INVALID);
    cr_assert_eq(unlink(myid), 0);
    out = fopen(file, "a");
    (void)fprintf(out, "dataLogDir=%s/missing\n", dir);
    (void)fclose(out);
    cr_expect_eq(config_read(&config, file, NULL), ERR_INVALID);
    cr_assert_eq(unlink(file), 0);
    cr_expect_eq(config_read(&config, file, NULL), ERR_IO);
    cr_expect_eq(config_read(&config, dir, NULL), ERR_IO);
    cr_assert_eq(rmdir(dir), 0);
    config_finish(&config);
}
