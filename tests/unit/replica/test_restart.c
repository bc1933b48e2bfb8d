/* What survives, what ends the process, what is refused at a start. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/err.h"
#include "tests/unit/replica/rig.h"

static struct rig rig;

static void begin(void)
{
    rig_init(&rig);
    rig_serve(&rig);
}

static void end(void)
{
    rig_finish(&rig);
}

TestSuite(replica_restart, .init = begin, .fini = end);

static void fill(struct test_client *client, int count)
{
    char path[32];

    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "/n%04d", i);
        rig_send(&rig, client,
                 request_create(path, "data",
                                i % 3 == 0 ? ZK_EPHEMERAL : ZK_PERSISTENT));
        if (i % 100 == 99) {
            rig_settle(&rig);
        }
    }
    rig_settle(&rig);
    buf_clear(&client->text);
}

static void expect_same_after_restart(void)
{
    struct inspect_server before = rig_view(&rig), after;

    rig_restart(&rig);
    after = rig_view(&rig);
    cr_assert_eq(after.tree_digest, before.tree_digest);
    cr_assert_eq(after.session_digest, before.session_digest);
    cr_assert_eq(after.znodes, before.znodes);
    cr_assert_eq(after.sessions, before.sessions);
    cr_assert_eq(after.ephemerals, before.ephemerals);
    cr_assert_eq(after.zxid, before.zxid);
    cr_assert_gt(after.epoch, before.epoch);
}

Test(replica_restart, an_empty_server_starts_again)
{
    expect_same_after_restart();
    expect_same_after_restart();
}

Test(replica_restart, the_log_alone_gives_the_same_tree)
{
    struct test_client *client = rig_connect(&rig);

    fill(client, 300);
    cr_assert_eq(fake_disk_checkpoints(rig.disk), 0);
    expect_same_after_restart();
}

Test(replica_restart, checkpoint_and_log_give_the_same_tree)
{
    struct test_client *client = rig_connect(&rig);

    fill(client, 2500);
    rig_ask(&rig, client, request_delete("/n0001", -1));
    rig_ask(&rig, client, request_set("/n0002", "new", -1));
    cr_assert_geq(fake_disk_checkpoints(rig.disk), 2);
    /* What is below the checkpoint is purged. */
    cr_assert_lt(fake_disk_log_count(rig.disk), 1100);
    expect_same_after_restart();
}

Test(replica_restart, an_idle_server_checkpoints_after_a_second)
{
    struct test_client *client = rig_connect(&rig);

    rig_make(&rig, client, "/a", "");
    rig_pass(&rig, 900);
    cr_assert_eq(fake_disk_checkpoints(rig.disk), 0);
    rig_pass(&rig, 200);
    cr_assert_eq(fake_disk_checkpoints(rig.disk), 1);
    cr_assert_eq(fake_disk_log_count(rig.disk), 0);
    cr_assert_eq(rig_view(&rig).checkpoint_zxid, rig_view(&rig).zxid);
    rig_pass(&rig, 3000);
    cr_assert_eq(fake_disk_checkpoints(rig.disk), 1);
    expect_same_after_restart();
}

Test(replica_restart, changed_bytes_make_a_checkpoint_too)
{
    struct test_client *client = rig_connect(&rig);
    static char data[100001];

    memset(data, 'x', 100000);
    for (int i = 0; i < 3; i++) {
        char path[8];

        snprintf(path, sizeof(path), "/n%d", i);
        rig_make(&rig, client, path, data);
    }
    cr_assert_eq(fake_disk_checkpoints(rig.disk), 1);
    expect_same_after_restart();
}

/* Acknowledged is durable; what was not may be there or not. */
Test(replica_restart, nothing_acknowledged_is_lost_at_any_point)
{
    struct test_client *client = rig_connect(&rig);

    for (size_t kept = 0; kept < 6; kept++) {
        char path[16];
        size_t answered;

        client->text.len = 0;
        client->answers = 0;
        for (int i = 0; i < 5; i++) {
            snprintf(path, sizeof(path), "/k%zu-%d", kept, i);
            rig_send(&rig, client, request_create(path, "", 0));
        }
        rig_disk(&rig);
        rig_disk(&rig);
        answered = client->answers;
        cr_assert_eq(answered, 2);
        rig_crash(&rig, kept);
        rig_serve(&rig);
        rig_resume(&rig, client);
        rig_settle(&rig);
        buf_clear(&client->text);
        for (int i = 0; i < 5; i++) {
            snprintf(path, sizeof(path), "/k%zu-%d", kept, i);
            rig_ask(&rig, client, request_watch(ZK_OP_EXISTS, path, false));
            cr_assert_eq(
                memmem(client->text.data, client->text.len, "-101", 4) == NULL,
                (size_t)i < 2 + kept, "%s", path);
            buf_clear(&client->text);
        }
    }
}

Test(replica_restart, sessions_survive_and_expire_only_in_their_time)
{
    struct test_client *client = rig_connect(&rig);
    struct test_client *gone = rig_connect(&rig);

    rig_ask(&rig, client, request_create("/e", "", ZK_EPHEMERAL));
    rig_ask(&rig, gone, request_create("/g", "", ZK_EPHEMERAL));
    rig_pass(&rig, 8000);
    rig_restart(&rig);
    rig_pass(&rig, 8000); /* a new leader gives the whole time-out */
    cr_assert_eq(rig_view(&rig).sessions, 2);
    rig_resume(&rig, client);
    rig_settle(&rig);
    rig_pass(&rig, 5000);
    cr_assert_eq(rig_view(&rig).sessions, 1);
    cr_assert_eq(rig_view(&rig).ephemerals, 1);
    rig_resume(&rig, gone);
    rig_settle(&rig);
    cr_assert(gone->refused);
}

Test(replica_restart, sequence_numbers_go_on)
{
    struct test_client *client = rig_connect(&rig);

    rig_ask(&rig, client, request_create("/s-", "", 2));
    rig_ask(&rig, client, request_create("/s-", "", 2));
    rig_ask(&rig, client, request_delete("/s-0000000001", -1));
    rig_restart(&rig);
    rig_resume(&rig, client);
    rig_settle(&rig);
    rig_ask(&rig, client, request_create("/s-", "", 2));
    rig_expect(client, "1 create z2 /s-0000000000\n"
                       "2 create z3 /s-0000000001\n"
                       "3 delete z4\n"
                       "session 10000\n"
                       "4 create z1 /s-0000000002\n");
}

Test(replica_restart, session_ids_are_never_used_again)
{
    struct test_client *first = rig_connect(&rig), *second;

    rig_ask(&rig, first, request_plain(ZK_OP_CLOSE_SESSION));
    rig_restart(&rig);
    second = rig_connect(&rig);
    cr_assert_neq(first->session_id, second->session_id);
}

Test(replica_restart, the_tree_loads_in_chunks)
{
    struct test_client *client = rig_connect(&rig);

    fill(client, 4000);
    rig_pass(&rig, 1500);
    cr_assert_eq(rig_view(&rig).checkpoint_zxid, rig_view(&rig).zxid);
    expect_same_after_restart();
    rig_expect_log(&rig, "loaded zxid=0x100000fa1");
}

Test(replica_restart, a_lost_record_is_found)
{
    struct test_client *client = rig_connect(&rig);

    rig_make(&rig, client, "/a", "");
    rig_make(&rig, client, "/b", "");
    rig_pass(&rig, 1500);
    rig_crash(&rig, 0);
    fake_disk_lose_record(rig.disk, "/a");
    rig_start(&rig);
    rig_settle(&rig);
    cr_assert(rig.fatal);
    cr_assert(!rig.serving);
    cr_assert(rig.damaged);
    rig_expect_log(&rig, "fatal reason=\"the checkpoint is damaged");
}

Test(replica_restart, a_forged_record_is_found)
{
    struct test_client *client = rig_connect(&rig);

    rig_make(&rig, client, "/a", "");
    rig_pass(&rig, 1500);
    rig_crash(&rig, 0);
    fake_disk_forge_record(rig.disk, "/a");
    rig_start(&rig);
    rig_settle(&rig);
    cr_assert(rig.fatal);
    cr_assert(rig.damaged);
    rig_expect_log(&rig, "its digests differ");
}

Test(replica_restart, a_failing_disk_ends_everything)
{
    struct test_client *client = rig_connect(&rig);

    rig_send(&rig, client, request_create("/a", "", ZK_PERSISTENT));
    rig_send(&rig, client, request_create("/b", "", ZK_PERSISTENT));
    fake_disk_fail_next(rig.disk, ERR_IO);
    rig_disk(&rig);
    cr_assert(rig.fatal);
    cr_assert_not(rig.damaged); /* what it has given before may be right */
    rig_expect_log(&rig, "fatal reason=\"the disk failed");
    /* Nothing is acknowledged after it, whatever comes. */
    rig_settle(&rig);
    rig_tick(&rig, 0);
    rig_send(&rig, client, request_plain(ZK_OP_PING));
    rig_expect(client, "");
}

Test(replica_restart, a_failing_checkpoint_ends_everything)
{
    struct test_client *client = rig_connect(&rig);

    rig_make(&rig, client, "/a", "");
    rig.now_ms += 2000;
    rig_tick(&rig, 0);
    fake_disk_fail_next(rig.disk, ERR_IO);
    rig_settle(&rig);
    cr_assert(rig.fatal);
}

/* SCENARIOS 44: whatever was let in is applied again without failing. */
Test(replica_restart, odd_requests_replay)
{
    struct test_client *client = rig_connect(&rig);

    rig_ask(&rig, client, request_set("/", "root", -1));
    rig_ask(&rig, client, request_set("", "x", -1));
    rig_ask(&rig, client, request_set("/zookeeper/quota", "q", -1));
    rig_ask(&rig, client, request_create("/", "", ZK_PERSISTENT));
    rig_ask(&rig, client, request_create("", "", ZK_PERSISTENT));
    rig_ask(&rig, client, request_create("/zookeeper/x", "", ZK_PERSISTENT));
    rig_ask(&rig, client, request_delete("", -1));
    expect_same_after_restart();
}
