/* Ensembles in a zoo.cfg: who the servers are, and what they may not say. What
 * is read from myid and dynamicConfigFile is in tests/interop/test_config.py.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "config_rig.h"
#include "server/config_internal.h"

#define LIMITS CONFIG_BASE "initLimit=10\nsyncLimit=5\n" /* four lines */
#define TWO "W z: 2 voters bear the loss of 0, as 1 would\n"

struct case_of_lines {
    const char *lines, *reports;
};

static void expect_all(const char *base, const struct case_of_lines *cases,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[1024];

        (void)snprintf(text, sizeof(text), "%s%s\n", base, cases[i].lines);
        config_rig_expect(text, cases[i].reports);
    }
}

static void expect_members(const struct config *config, const char *text)
{
    struct buf members = {0};

    config_members_text(config, &members);
    buf_append(&members, slice_make("", 1));
    cr_expect_str_eq((const char *)members.data, text);
    buf_finish(&members);
}

Test(server_config_ensemble, servers_are_members_by_rising_id)
{
    struct config config = {0};

    config_rig_accept(&config, "dataDir=/d\ninitLimit=10\nsyncLimit=5\n"
                               "server.10=[fe80::1]:1:2:observer;[::1]:4\n"
                               "server.3=c.example:2888:3888:participant;2183\n"
                               "server.1=127.0.0.1:2888:3888;10.0.0.1:2181\n"
                               "server.2=b:2888:3888\n");
    cr_assert_eq(config.servers_count, 4);
    cr_expect(config.ensemble);
    cr_expect_eq(config.my_id, 0);
    cr_expect_null(config_self(&config));
    config.my_id = 3;
    cr_expect_eq(config_self(&config), &config.servers[2]);
    cr_expect_eq(config.servers[0].client_port, 2181);
    cr_expect_str_eq(config.servers[0].client_host, "10.0.0.1");
    cr_expect_null(config.servers[1].client_host);
    cr_expect(config.servers[3].observer);
    cr_expect_str_eq(config.servers[3].host, "fe80::1");
    /* As Apache ZooKeeper 3.8 shows these lines in /zookeeper/config. */
    expect_members(&config,
                   "server.1=127.0.0.1:2888:3888:participant;10.0.0.1:2181\n"
                   "server.2=b:2888:3888:participant\n"
                   "server.3=c.example:2888:3888:participant;0.0.0.0:2183\n"
                   "server.10=[fe80::1]:1:2:observer;[::1]:4\n"
                   "version=0");
    config_finish(&config);
}

Test(server_config_ensemble, one_voter_is_one_only_when_told_so)
{
    static const struct case_of_lines cases[] = {
        {"server.1=a:1:2\nserver.2=b:1:2:observer",
         "E z:5: server.1: one voter and observers need "
         "standaloneEnabled=false\n"},
        {"standaloneEnabled=false\nserver.1=a:1:2\nserver.2=b:1:2:observer",
         ""},
        {"standaloneEnabled=false\nserver.1=a:1:2", ""},
        {"standaloneEnabled=false",
         "E z:5: standaloneEnabled: false needs server.N lines\n"},
        {"server.1=a:1:2:observer",
         "E z:5: server.1: the only server cannot be an observer\n"},
        {"server.2=a:1:2:observer\nserver.1=b:1:2:observer",
         "E z:6: server.1: all servers are observers: nobody could vote\n"},
        {"peerType=observer",
         "E z:5: peerType: an observer needs server.N lines\n"},
        {"peerType=Participant", ""},
        {"peerType=king",
         "E z:5: peerType: \"king\" is not participant or observer\n"},
    };
    struct config config = {0};

    expect_all(LIMITS, cases, sizeof(cases) / sizeof(cases[0]));
    config_rig_accept(&config, LIMITS "server.9=a:1:2\n");
    cr_expect_not(config.ensemble);
    cr_expect_eq(config.my_id, 9);
    expect_members(&config, "");
    config_rig_accept(&config, LIMITS "standaloneEnabled=no\nserver.9=a:1:2\n");
    cr_expect(config.ensemble);
    expect_members(&config, "server.9=a:1:2:participant\nversion=0");
    config_finish(&config);
}

Test(server_config_ensemble, voters_that_help_nobody_are_told)
{
    static const struct case_of_lines cases[] = {
        {"server.1=a:1:2\nserver.2=b:1:2", TWO},
        {"server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2", ""},
        {"server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n"
         "server.4=d:1:2:observer",
         ""},
        {"server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2",
         "W z: 4 voters bear the loss of 1, as 3 would\n"},
    };

    expect_all(LIMITS, cases, sizeof(cases) / sizeof(cases[0]));
}

/* As ZooKeeper, which needs both as soon as there are several voters. */
Test(server_config_ensemble, limits_must_be_given)
{
    config_rig_expect(CONFIG_BASE "server.1=a:1:2\nserver.2=b:1:2\n",
                      TWO "E z: initLimit is not set: an ensemble needs it\n"
                          "E z: syncLimit is not set: an ensemble needs it\n");
    config_rig_expect(CONFIG_BASE "server.1=a:1:2\n", "");
}

#define PAIR "server.1=a:1:2\nserver.2=b:1:2\n"

Test(server_config_ensemble, settings_that_break_one_are_refused)
{
    static const struct case_of_lines cases[] = {
        {PAIR "jute.maxbuffer=3145728", TWO},
        {PAIR "jute.maxbuffer=3145729",
         TWO "E z:7: jute.maxbuffer: 3145729 is over the 3145728 that go from "
             "server to server in one piece\n"},
        {PAIR "leaderTimeoutMs=3000", TWO},
        {PAIR "leaderTimeoutMs=3001",
         TWO "W z:7: leaderTimeoutMs: 3001 is over half of the shortest "
             "session time-out, 6000: when a leader dies, clients give up "
             "first\n"},
        {PAIR "leaderTimeoutMs=150",
         TWO "E z:7: leaderTimeoutMs: 150 is less than two leaderHeartbeatMs, "
             "100\n"},
        {PAIR "linearizableReads=some",
         "E z:7: linearizableReads: \"some\" is not off or all\n" TWO},
        {PAIR "peerProtocolVersion=3",
         "E z:7: peerProtocolVersion: 3 is not between 1 and 2\n" TWO},
        {PAIR "group.1=1:2", "E not supported yet: group.1 (z:7)\n" TWO},
    };

    expect_all(LIMITS, cases, sizeof(cases) / sizeof(cases[0]));
}

Test(server_config_ensemble, doubles_name_both_lines)
{
    static const struct case_of_lines cases[] = {
        {"server.1=a:1:2\nserver.2=b:1:2\nserver.1=c:1:2",
         "E z:7: server.1: id 1 is given in z:5 too\n" TWO},
        {"server.1=a:1:2\nserver.2=b:1:2\nserver.02=c:1:2",
         "E z:7: server.02: id 2 is given in z:6 too\n" TWO},
        {"server.1=a:1:2\nserver.2=A:1:3",
         TWO "E z:6: server.2: port 1 of A is that of server.1 too (z:5)\n"},
        {"server.1=a:1:2\nserver.2=a:3:1",
         TWO "E z:6: server.2: port 1 of a is that of server.1 too (z:5)\n"},
        {"server.1=a:1:2;9\nserver.2=a:3:4;9",
         TWO "E z:6: server.2: port 9 of a is that of server.1 too (z:5)\n"},
        {"server.1=a:1:2;x:9\nserver.2=a:3:4;y:9", TWO},
        {"server.1=a:1:2;9\nserver.2=b:1:2;9", TWO},
        {"server.1=a:1:1\nserver.2=b:1:2",
         TWO "E z:5: server.1: quorum and election port are the same\n"},
        {"server.1=a:1:2;2\nserver.2=b:1:2",
         TWO "E z:5: server.1: the client port is one of the other two\n"},
    };

    expect_all(LIMITS, cases, sizeof(cases) / sizeof(cases[0]));
}

Test(server_config_ensemble, sixty_four_members_are_the_most)
{
    struct config config = {0};
    struct buf text = {0}, said = {0};

    buf_append_text(&text, LIMITS);
    for (int i = 1; i <= CONFIG_SERVERS_MAX; i++) {
        buf_printf(&text, "server.%d=h%d:1:2%s\n", i, i,
                   i > 5 ? ":observer" : "");
    }
    buf_append(&text, slice_make("", 1));
    config_rig_accept(&config, (const char *)text.data);
    cr_expect_eq(config.servers_count, CONFIG_SERVERS_MAX);
    text.len--;
    buf_append_text(&text, "server.99=x:1:2\n");
    buf_append(&text, slice_make("", 1));
    cr_expect_neq(config_rig_parse(&config, (const char *)text.data, &said), 0);
    cr_expect_str_eq((const char *)said.data,
                     "E z:69: server.99: more than 64 servers\n");
    buf_finish(&said);
    buf_finish(&text);
    config_finish(&config);
}

Test(server_config_ensemble, keys_of_ensembles_reach_their_fields)
{
    struct config config = {0};

    config_rig_accept(&config, CONFIG_BASE);
    cr_expect_eq(config.election_bind_retries, 3);
    cr_expect_eq(config.peer_version_max, 2);
    cr_expect(config.standalone_enabled);
    cr_expect_not(config.read_only_mode || config.linearizable_reads ||
                  config.quorum_listen_on_all || config.observer_wanted);
    config_rig_accept(&config, CONFIG_BASE "readonlymode.enabled=true\n"
                                           "linearizableReads=ALL\n"
                                           "quorumListenOnAllIPs=true\n"
                                           "electionPortBindRetry=0\n"
                                           "peerProtocolVersion=1\n");
    cr_expect(config.read_only_mode && config.linearizable_reads &&
              config.quorum_listen_on_all);
    cr_expect_eq(config.election_bind_retries, 0);
    cr_expect_eq(config.peer_version_max, 1);
    config_finish(&config);
}

/* The version of the membership is the end of the file's name, as ZooKeeper's
 * reconfig writes it. */
Test(server_config_ensemble, dynamic_file_holds_all_servers)
{
    struct config config = {0};

    config_rig_accept(&config,
                      CONFIG_BASE "dynamicConfigFile=/c/zoo.cfg.dynamic.1F\n");
    cr_expect_str_eq(config.dynamic_file, "/c/zoo.cfg.dynamic.1F");
    cr_expect_eq(config.members_zxid, 0x1f);
    config_rig_accept(&config, CONFIG_BASE "dynamicConfigFile=/c/dynamic\n");
    cr_expect_eq(config.members_zxid, 0);
    config_finish(&config);
    config_rig_expect(
        CONFIG_BASE "dynamicConfigFile=/c/d\nserver.1=a:1:2\nweight.1=1\n",
        "E z:4: server.1 belongs into the dynamicConfigFile when there is "
        "one\n"
        "E z:5: weight.1 belongs into the dynamicConfigFile when there is "
        "one\n");
    config_rig_expect(CONFIG_BASE "dynamicConfigFile=\n",
                      "E z:3: dynamicConfigFile has no value\n");
}

Test(server_config_ensemble, printed_members_read_back_the_same)
{
    struct config config = {0}, again = {0};
    struct buf first = {0}, second = {0}, said = {0};

    config_rig_accept(&config,
                      LIMITS "server.3=[::1]:1:2:observer;4\n"
                             "server.1=a:5:6;[::]:7\nserver.2=b:1:2\n"
                             "standaloneEnabled=false\nserver.4=c:1:2\n"
                             "peerType=observer\nlinearizableReads=all\n");
    config_print(&config, &first);
    cr_assert_eq(config_parse(&again, "z", (const char *)first.data, first.len,
                              config_rig_collect, &said),
                 0);
    cr_expect_eq(said.len, 0);
    config_print(&again, &second);
    cr_expect(slice_equal(buf_bytes(&first), buf_bytes(&second)));
    buf_finish(&first);
    buf_finish(&second);
    buf_finish(&said);
    config_finish(&config);
    config_finish(&again);
}
