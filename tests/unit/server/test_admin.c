/* Four-letter words over a server of the test's own: what loop.c, net_*.c,
 * disk.c, store/ and replica/ would say is written down here. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/mem.h"
#include "replica/inspect.h"
#include "server/admin.h"
#include "server/config.h"
#include "server/disk.h"
#include "server/net.h"
#include "server/net_peer.h"

#define CONNS 20000

static struct {
    struct config config;
    struct admin_state admin;
    struct inspect_server server;
    struct inspect_learner learners[3];
    struct net_peer_info peers[3];
    struct inspect_quota quotas[4];
    size_t quotas_count;
    int64_t now_ms;
    int holds, holds_most, resets[2];
    uint64_t conns, sessions;
    size_t watches;
} fake;

/* ---- what admin.c asks ---- */

struct replica *loop_replica(struct loop *loop)
{
    return (struct replica *)(void *)loop; /* never looked into */
}
const struct config *loop_config(const struct loop *loop)
{
    (void)loop;
    return &fake.config;
}
struct net_client *loop_clients(struct loop *loop)
{
    return (struct net_client *)(void *)loop;
}
struct disk *loop_disk(struct loop *loop)
{
    return (struct disk *)(void *)loop;
}
struct admin_state *loop_admin(struct loop *loop)
{
    (void)loop;
    return &fake.admin;
}
int64_t loop_now_ms(const struct loop *loop)
{
    (void)loop;
    return fake.now_ms;
}
uint64_t loop_slow_steps(const struct loop *loop)
{
    (void)loop;
    return 0;
}
void loop_input(struct loop *loop, struct replica_input *input)
{
    (void)loop;
    cr_assert_eq(input->type, REPLICA_RESET_STATS);
    fake.resets[input->conn_id]++;
}
uint16_t net_client_port(const struct net_client *net)
{
    (void)net;
    return 2181;
}
size_t net_client_count(const struct net_client *net)
{
    (void)net;
    return fake.conns;
}
void net_client_address(const struct net_client *net, uint64_t conn_id,
                        char *text, size_t size)
{
    (void)net;
    (void)snprintf(text, size, "/10.0.0.1:%u", (unsigned)conn_id);
}
size_t disk_queued(struct disk *disk)
{
    (void)disk;
    return 0;
}
struct store *disk_store(struct disk *disk)
{
    return (struct store *)(void *)disk;
}
void disk_space(struct disk *disk, struct store_space *space)
{
    (void)disk;
    *space = (struct store_space){.free_bytes = 5};
}
void store_stats(const struct store *store, struct store_stats *stats)
{
    (void)store;
    *stats = (struct store_stats){.data_bytes = 11, .log_bytes = 22};
}
void inspect_server(const struct replica *replica, struct inspect_server *view)
{
    (void)replica;
    *view = fake.server;
}
bool inspect_learner(const struct replica *replica, size_t index,
                     struct inspect_learner *learner)
{
    (void)replica;
    *learner = fake.learners[index];
    return fake.server.role == ZAB_LEADING && learner->id != 0;
}
size_t inspect_quotas_count(const struct replica *replica)
{
    (void)replica;
    return fake.quotas_count;
}
bool inspect_quota_next(const struct replica *replica, const void **cursor,
                        struct inspect_quota *quota)
{
    size_t place = (size_t)(uintptr_t)*cursor;

    (void)replica;
    if (place == fake.quotas_count) {
        return false;
    }
    *quota = fake.quotas[place];
    *cursor = (const void *)(uintptr_t)(place + 1);
    return true;
}
struct net_peer *loop_peers(struct loop *loop)
{
    return (struct net_peer *)(void *)loop;
}
bool net_peer_info(const struct net_peer *net, size_t index,
                   struct net_peer_info *info)
{
    (void)net;
    *info = fake.peers[index];
    return info->id != 0;
}
bool inspect_conn_next(const struct replica *replica, uint64_t *cursor,
                       struct inspect_conn *conn)
{
    (void)replica;
    if (*cursor == fake.conns) {
        return false;
    }
    ++*cursor;
    *conn = (struct inspect_conn){.conn_id = *cursor, .last_op = "NA"};
    if (*cursor % 2 == 0) {
        conn->session_id = *cursor;
    }
    return true;
}
bool inspect_session_next(const struct replica *replica, uint64_t *cursor,
                          struct inspect_session *session)
{
    (void)replica;
    if (*cursor == fake.sessions) {
        return false;
    }
    ++*cursor;
    /* Out of order, in seven buckets. */
    *session = (struct inspect_session){
        .id = *cursor, .deadline_ms = 1000 * (int64_t)(*cursor * 5 % 7 + 1)};
    return true;
}
bool inspect_ephemeral_session_next(const struct replica *replica, uint64_t *id)
{
    (void)replica;
    return ++*id <= fake.sessions;
}
bool inspect_ephemeral_next(const struct replica *replica, uint64_t session_id,
                            const void **cursor, struct arena *arena,
                            struct slice *path)
{
    (void)replica;
    (void)session_id;
    if (*cursor != NULL) {
        *cursor = NULL;
        return false;
    }
    *cursor = &fake;
    *path = arena_copy(arena, SLICE_LITERAL("/e"));
    return true;
}
/* Three paths of as many watches each. */
bool inspect_watch_next(const struct replica *replica, bool by_path,
                        const void **cursor, struct inspect_watch *watch)
{
    static const char names[] = "/x/y/z";
    size_t place = (size_t)(uintptr_t)*cursor;

    (void)replica;
    if (place == fake.watches) {
        return false;
    }
    watch->path = slice_make(
        names + (by_path ? place * 3 / fake.watches : place % 3) * 2, 2);
    watch->session_id = by_path ? place : place / 3;
    watch->conn_id = watch->session_id + 1;
    *cursor = (const void *)(uintptr_t)(place + 1);
    return true;
}
size_t inspect_digests(const struct replica *replica,
                       const struct inspect_digest **digests)
{
    (void)replica;
    *digests = NULL;
    return 0;
}
void inspect_hold(struct replica *replica)
{
    (void)replica;
    fake.holds++;
    fake.holds_most =
        fake.holds > fake.holds_most ? fake.holds : fake.holds_most;
}
void inspect_release(struct replica *replica)
{
    (void)replica;
    fake.holds--;
}

/* ---- the tests ---- */

static struct loop *loop(void)
{
    return (struct loop *)(void *)&fake;
}

static void set_up(void)
{
    memset(&fake, 0, sizeof(fake));
    fake.server.serving = true;
    fake.server.role = ZAB_LEADING;
    fake.config.tick_ms = 1000;
    fake.config.data_dir = "/d";
    fake.config.log_dir = "/l";
    fake.now_ms = 1;
}

/* The whole answer as text; gives. */
static char *ask(const char *word, struct slice rest, int *slices)
{
    struct buf out = {0};
    struct admin_job *job = admin_begin(loop(), word, rest);

    *slices = 1;
    while (!admin_step(job, &out)) {
        fake.now_ms++;
        ++*slices;
    }
    admin_end(job);
    cr_expect_eq(fake.holds, 0);
    buf_append(&out, slice_make("", 1));
    return (char *)out.data;
}

static void expect(const char *word, const char *text)
{
    int slices;
    char *got = ask(word, SLICE_LITERAL(""), &slices);

    cr_expect_str_eq(got, text, "%s", word);
    mem_free(got);
}

TestSuite(server_admin, .init = set_up);

Test(server_admin, nothing_but_ruok_while_not_serving)
{
    static const char *const others[] = {"srvr", "stat", "cons", "crst", "srst",
                                         "conf", "dump", "wchs", "wchc", "wchp",
                                         "dirs", "mntr", "hash"};

    fake.server.serving = false;
    expect("ruok", "imok");
    expect("isro", "null");
    expect("gtmk", "306");
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        expect(others[i],
               "This ZooKeeper instance is not currently serving requests\n");
    }
    cr_expect_eq(fake.holds_most, 0);
    cr_expect_eq(fake.resets[0] + fake.resets[1], 0);
}

/* As a ZooKeeper that has lost its quorum. */
Test(server_admin, read_only_mode_is_told)
{
    int slices;
    char *got;

    fake.config.ensemble = true;
    fake.server.serving = false;
    fake.server.read_only = true;
    fake.server.role = ZAB_LOOKING;
    expect("isro", "ro");
    got = ask("srvr", SLICE_LITERAL(""), &slices);
    cr_assert_not_null(
        strstr(got, "\nREAD-ONLY mode; serving only read-only clients\n"));
    cr_assert_not_null(strstr(got, "\nMode: read-only\n"));
    mem_free(got);
}

Test(server_admin, modes_have_zookeepers_names)
{
    static const struct {
        enum zab_role role;
        const char *line;
    } modes[] = {{ZAB_LEADING, "Mode: leader\n"},
                 {ZAB_FOLLOWING, "Mode: follower\n"},
                 {ZAB_OBSERVING, "Mode: observer\n"}};
    int slices;

    fake.config.ensemble = true;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        char *text;

        fake.server.role = modes[i].role;
        text = ask("srvr", SLICE_LITERAL(""), &slices);
        cr_expect(strstr(text, modes[i].line) != NULL, "%s", text);
        mem_free(text);
    }
}

static void expect_has(const char *word, const char *part)
{
    int slices;
    char *text = ask(word, SLICE_LITERAL(""), &slices);

    cr_expect_not_null(strstr(text, part), "no %s in:\n%s", part, text);
    mem_free(text);
}

static void expect_lacks(const char *word, const char *part)
{
    int slices;
    char *text = ask(word, SLICE_LITERAL(""), &slices);

    cr_expect_null(strstr(text, part), "%s in:\n%s", part, text);
    mem_free(text);
}

Test(server_admin, leader_tells_the_sizes_of_proposals)
{
    expect_lacks("srvr", "Proposal");
    fake.config.ensemble = true;
    expect_has("srvr", "\nProposal sizes last/min/max: -1/-1/-1\n");
    expect_has("mntr", "zk_min_proposal_size\t-1\n");
    fake.server.zab = (struct zab_counts){.proposals = 3,
                                          .proposal_size_last = 7,
                                          .proposal_size_min = 5,
                                          .proposal_size_max = 9};
    expect_has("stat", "\nProposal sizes last/min/max: 7/5/9\n");
    expect_has("mntr", "zk_last_proposal_size\t7\n");
    fake.server.role = ZAB_FOLLOWING;
    expect_lacks("srvr", "Proposal");
    expect_lacks("mntr", "proposal_size");
}

Test(server_admin, learners_are_counted_by_their_leader_only)
{
    fake.config.ensemble = true;
    fake.server.members = 3;
    fake.server.voters = 2;
    fake.server.learners = 2;
    fake.server.synced_voters = 1;
    fake.server.zxid_logged = zxid_make(5, 30);
    fake.learners[0] = (struct inspect_learner){.id = 2,
                                                .up = true,
                                                .synced = true,
                                                .stage = "synced",
                                                .acked = zxid_make(5, 27),
                                                .heard_ms = 40};
    fake.learners[2] = (struct inspect_learner){.id = 9, .stage = "none"};
    expect_has("mntr", "zk_peer_state\tleading - broadcast\n");
    expect_has("mntr", "zk_quorum_size\t2\n");
    expect_has("mntr", "zk_learners\t2\nzk_synced_followers\t1\n");
    expect_has("mntr", "zk_corral_peer_2_stage\tsynced\n"
                       "zk_corral_peer_2_synced\t1\n"
                       "zk_corral_peer_2_lag\t3\n"
                       "zk_corral_peer_2_heard_ms\t40\n"
                       "zk_corral_peer_9_stage\taway\n"
                       "zk_corral_peer_9_synced\t0\n");
    expect_lacks("mntr", "peer_9_lag");
    fake.learners[0].acked = zxid_make(4, 99); /* at least those of epoch 5 */
    expect_has("mntr", "zk_corral_peer_2_lag\t30\n");
    fake.server.role = ZAB_OBSERVING;
    expect_has("mntr", "zk_peer_state\tobserving - broadcast\n");
    expect_has("mntr", "zk_quorum_size\t2\n");
    expect_lacks("mntr", "zk_synced_followers");
    expect_lacks("mntr", "zk_corral_peer_2_lag");
    fake.config.ensemble = false;
    expect_lacks("mntr", "zk_peer_state");
}

Test(server_admin, links_to_the_others_are_shown)
{
    fake.config.ensemble = true;
    fake.config.my_id = 2;
    fake.server.role = ZAB_FOLLOWING;
    fake.server.members = 3;
    fake.peers[0].id = 1;
    fake.peers[1].id = 2; /* ourselves */
    fake.peers[2] = (struct net_peer_info){
        .id = 3,
        .up = {[PEER_LINK_ELECTION] = true, [PEER_LINK_LEADER] = true},
        .version = 7,
        .unsent = {[PEER_LINK_ELECTION] = 100, [PEER_LINK_LEADER] = 20},
        .bytes_in = 5,
        .bytes_out = 6,
        .connects = 8,
        .refused = 9};
    expect_has("mntr", "zk_corral_peer_1_election_link\t0\n"
                       "zk_corral_peer_1_quorum_link\t0\n");
    expect_has("mntr", "zk_corral_peer_3_election_link\t1\n"
                       "zk_corral_peer_3_quorum_link\t1\n"
                       "zk_corral_peer_3_version\t7\n"
                       "zk_corral_peer_3_unsent_bytes\t120\n"
                       "zk_corral_peer_3_bytes_received\t5\n"
                       "zk_corral_peer_3_bytes_sent\t6\n"
                       "zk_corral_peer_3_connects\t8\n"
                       "zk_corral_peer_3_refused\t9\n");
    expect_lacks("mntr", "zk_corral_peer_2_");
}

Test(server_admin, quotas_are_added_up_by_the_first_part_of_the_path)
{
    expect_has("mntr", "zk_corral_quotas\t0\n");
    expect_lacks("mntr", "_per_namespace");
    fake.quotas[0] = (struct inspect_quota){.path = SLICE_LITERAL("/b/c"),
                                            .count_limit = 5,
                                            .bytes_limit = -1,
                                            .count = 2,
                                            .bytes = 30};
    fake.quotas[1] = (struct inspect_quota){.path = SLICE_LITERAL("/a \n\tx"),
                                            .count_limit = INT64_MAX,
                                            .bytes_limit = -1};
    fake.quotas[2] = (struct inspect_quota){.path = SLICE_LITERAL("/b/d/e"),
                                            .count_limit = -1,
                                            .bytes_limit = -1,
                                            .count = 7,
                                            .bytes = 100};
    fake.quotas[3] = (struct inspect_quota){.path = SLICE_LITERAL("/a \n\tx/y"),
                                            .count_limit = 1,
                                            .bytes_limit = 9};
    fake.quotas_count = 4;
    expect_has("mntr", "zk_corral_quotas\t4\n"
                       "zk_a___x_quota_count_limit_per_namespace\t"
                       "9223372036854775807\n"
                       "zk_a___x_quota_count_usage_per_namespace\t0\n"
                       "zk_a___x_quota_bytes_limit_per_namespace\t9\n"
                       "zk_a___x_quota_bytes_usage_per_namespace\t0\n"
                       "zk_b_quota_count_limit_per_namespace\t5\n"
                       "zk_b_quota_count_usage_per_namespace\t9\n"
                       "zk_b_quota_bytes_limit_per_namespace\t-1\n"
                       "zk_b_quota_bytes_usage_per_namespace\t130\n");
    fake.quotas_count = 1001;
    expect_has("mntr", "zk_corral_quotas\t1001\n");
    expect_lacks("mntr", "_per_namespace");
}

Test(server_admin, conf_shows_the_ensemble)
{
    char host[] = "10.0.0.1", address[] = "::1";
    struct config_server_line servers[2] = {{.id = 4,
                                             .host = host,
                                             .quorum_port = 2888,
                                             .election_port = 3888,
                                             .client_port = 2181},
                                            {.id = 9,
                                             .host = address,
                                             .quorum_port = 2889,
                                             .election_port = 3889,
                                             .observer = true}};

    expect_lacks("conf", "membership");
    fake.config.ensemble = true;
    fake.config.my_id = 9;
    fake.config.init_limit = 10;
    fake.config.sync_limit = 5;
    fake.config.servers = servers;
    fake.config.servers_count = 2;
    expect_has("conf", "\nserverId=9\ninitLimit=10\nsyncLimit=5\n"
                       "electionAlg=3\nelectionPort=3889\nquorumPort=2889\n"
                       "peerType=1\nmembership: \n"
                       "server.4=10.0.0.1:2888:3888:participant;0.0.0.0:2181\n"
                       "server.9=[::1]:2889:3889:observer\nversion=0");
}

Test(server_admin, learner_does_not_know_when_sessions_expire)
{
    fake.config.ensemble = true;
    fake.server.role = ZAB_FOLLOWING;
    fake.server.sessions = 2;
    fake.sessions = 2;
    expect_has("dump", "SessionTracker dump:\nGlobal Sessions(2):\n"
                       "0x1\t0ms\n0x2\t0ms\nephemeral nodes dump:\n");
    fake.server.sessions = fake.sessions = 0;
    expect_has("dump", "Global Sessions(0):\nephemeral nodes dump:\n");
}

Test(server_admin, averages_look_like_javas)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0/0.0/0\n"},
                 {0.25, "0/0.25/0\n"},
                 {12.34567, "0/12.3457/0\n"},
                 {100, "0/100.0/0\n"}};
    int slices;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text;

        fake.server.latency_ms_avg = cases[i].value;
        text = ask("srvr", SLICE_LITERAL(""), &slices);
        cr_expect(strstr(text, cases[i].text) != NULL, "%s", text);
        mem_free(text);
    }
}

Test(server_admin, long_lists_go_in_slices_and_lose_nothing)
{
    int slices;
    char *text;
    size_t lines = 0;

    fake.conns = CONNS;
    text = ask("cons", SLICE_LITERAL(""), &slices);
    for (const char *c = text; *c != '\0'; c++) {
        lines += *c == '\n' ? 1 : 0;
    }
    cr_expect_eq(lines, CONNS + 1);
    cr_expect_gt(slices, 1);
    cr_expect_eq(fake.holds_most, 0); /* nobody waits for it */
    mem_free(text);
}

Test(server_admin, dump_groups_sessions_by_when_they_expire)
{
    int slices;
    char *text, *row;

    fake.sessions = 14;
    text = ask("dump", SLICE_LITERAL(""), &slices);
    cr_expect(strstr(text, "SessionTracker dump:\nSession Sets (7)/(14):\n2 "
                           "expire at ") == text,
              "%s", text);
    row = strstr(text, "\t0x7\n\t0xe\n2 expire at "); /* 35 % 7 is 0: first */
    cr_expect_not_null(row, "%s", text);
    cr_expect(row < strstr(text, "\t0x3\n\t0xa\n"), "%s", text); /* then 1 */
    cr_expect_not_null(strstr(text, "Sessions with Ephemerals (14):\n0x1:\n\t/e"
                                    "\n0x2:\n"),
                       "%s", text);
    cr_expect_not_null(strstr(text, "Connections Sets (0)/(0):\n"));
    mem_free(text);
}

Test(server_admin, watches_come_in_groups_over_slices)
{
    int slices;
    char *text;

    fake.watches = 6;
    expect("wchp", "/x\n\t0x0\n\t0x1\n/y\n\t0x2\n\t0x3\n/z\n\t0x4\n\t0x5\n\n");
    expect("wchc", "0x0\n\t/x\n\t/y\n\t/z\n0x1\n\t/x\n\t/y\n\t/z\n\n");
    fake.watches = 300000;
    text = ask("wchp", SLICE_LITERAL(""), &slices);
    cr_expect_gt(slices, 1);
    cr_expect_not_null(strstr(text, "\n/y\n"));
    cr_expect_null(strstr(strstr(text, "\n/y\n") + 1, "\n/y\n"));
    mem_free(text);
}

Test(server_admin, one_dump_at_a_time_with_a_break_as_long)
{
    struct buf out = {0};
    struct admin_job *job;
    int64_t began_ms = fake.now_ms;

    fake.watches = 3000000;
    cr_expect(admin_is_dump("wchp") && admin_is_dump("wchc"));
    cr_expect(admin_is_dump("dump") && !admin_is_dump("wchs"));
    cr_expect(admin_may_dump(loop()));
    job = admin_begin(loop(), "wchp", SLICE_LITERAL(""));
    cr_expect_not(admin_step(job, &out));
    cr_expect_eq(fake.holds, 1);
    cr_expect_not(admin_may_dump(loop()));
    fake.now_ms += 500;
    admin_end(job); /* the peer went away */
    cr_expect_eq(fake.holds, 0);
    cr_expect_not(admin_may_dump(loop()));
    fake.now_ms = began_ms + 999;
    cr_expect_not(admin_may_dump(loop()));
    fake.now_ms = began_ms + 1000;
    cr_expect(admin_may_dump(loop()));
    buf_finish(&out);
}

Test(server_admin, small_dump_costs_no_break)
{
    fake.watches = 3;
    expect("wchp", "/x\n\t0x0\n/y\n\t0x1\n/z\n\t0x2\n\n");
    cr_expect_eq(fake.holds_most, 1);
    cr_expect(admin_may_dump(loop()));
}

Test(server_admin, resets_say_what_they_did)
{
    expect("crst", "Connection stats reset.\n");
    cr_expect(fake.resets[0] == 0 && fake.resets[1] == 1);
    expect("srst", "Server stats reset.\n");
    cr_expect(fake.resets[0] == 1 && fake.resets[1] == 1);
}

Test(server_admin, mask_is_eight_bytes_behind_the_word)
{
    int slices;
    char *text;

    cr_expect(admin_wants_bytes("stmk", SLICE_LITERAL("1234567")));
    cr_expect_not(admin_wants_bytes("stmk", SLICE_LITERAL("12345678")));
    cr_expect_not(admin_wants_bytes("ruok", SLICE_LITERAL("")));
    text = ask("stmk", SLICE_LITERAL("\0\0\0\0\0\0\2\2"), &slices);
    cr_expect_str_eq(text, "514");
    mem_free(text);
    expect("gtmk", "514");
}
