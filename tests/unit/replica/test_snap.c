/* A tree that a received snapshot replaces: nothing of it is stored behind the
 * end of the snapshot, where it would become part of the new one. */
#include <criterion/criterion.h>

#include "tests/unit/replica/trio.h"

static struct rig rig, source;
static struct trio trio;
static struct test_client *client;
static uint64_t digest; /* of the new tree */

/* The checkpoint of a server with /new on it, and its zxid. */
static struct blob *snapshot(zxid_t *zxid)
{
    struct test_client *maker;
    struct store_result result;

    rig_init(&source);
    rig_serve(&source);
    maker = rig_connect(&source);
    rig_make(&source, maker, "/new", "");
    rig_make(&source, maker, "/new/a", "");
    rig_make(&source, maker, "/new/b", "");
    rig_pass(&source, 2000);
    fake_disk_submit(source.disk, &(struct store_op){.type = STORE_READ_SNAP,
                                                     .seq = 1000000,
                                                     .reader_id = 77,
                                                     .size_max = 256 * 1024});
    cr_assert(fake_disk_next(source.disk, &result));
    cr_assert(result.last);
    *zxid = result.zxid;
    digest = rig_view(&source).tree_digest;
    rig_finish(&source);
    return result.payload;
}

static void begin(void)
{
    struct txn txn;

    rig_init(&rig);
    trio_init(&trio, &rig, false);
    trio_serve(&trio);
    client = trio_client(&trio);
    rig_send(&rig, client, request_create("/old", "", ZK_PERSISTENT));
    txn = trio_create(&trio, "/old");
    trio_propose(&trio, &txn);
    trio_commit(&trio, trio.zxid);
    rig_settle(&rig);
    rig_expect(client, "1 create z2 /old\n");
}

static void end(void)
{
    trio_finish(&trio);
    rig_finish(&rig);
}

TestSuite(replica_snap, .init = begin, .fini = end);

/* The leader is back, with another history, and about to send it. */
static void come_back(void)
{
    trio.snapshot = snapshot(&trio.zxid);
    trio_link_down(&trio, 3);
    while (trio.last[PEER_ACK_EPOCH].epoch < 2) {
        if (!trio_next(&trio) && !rig_disk(&rig)) {
            rig_tick(&rig, 0);
        }
    }
    cr_assert_eq(rig.asked[STORE_CHECKPOINT], 0);
}

/* All of it: the disk has not got to its end yet. */
static void receive(void)
{
    while (rig.asked[STORE_SNAP_END] == 0) {
        cr_assert(trio_next(&trio));
    }
}

static void expect_new_tree(void)
{
    trio_pass(&trio, 200);
    cr_assert_not(rig.fatal);
    cr_assert(rig.serving);
    cr_assert_eq(rig_view(&rig).zxid, trio.zxid);
    cr_assert_eq(rig_view(&rig).tree_digest, digest);
    /* And so it is after a restart: nothing else was written into it. */
    rig_crash(&rig, 0);
    rig_start(&rig);
    rig_settle(&rig);
    cr_assert_not(rig.fatal);
    cr_assert_eq(rig_view(&rig).zxid, trio.zxid);
    cr_assert_eq(rig_view(&rig).tree_digest, digest);
}

Test(replica_snap, no_checkpoint_of_the_old_tree_behind_its_end)
{
    come_back();
    receive();
    rig.now_ms += 5000; /* one would be due */
    rig_tick(&rig, 0);
    cr_assert_eq(rig.asked[STORE_CHECKPOINT], 0);
    expect_new_tree();
}

Test(replica_snap, a_checkpoint_in_the_making_is_not_stored)
{
    end();
    rig_init(&rig);
    rig.config.slice_units = 4;
    trio_init(&trio, &rig, false);
    trio_serve(&trio);
    client = trio_client(&trio);

    come_back();
    rig.now_ms += 5000;
    rig_tick(&rig, 0); /* taken in hand, and not gone on with */
    receive();
    cr_assert(replica_has_work(rig.replica));
    rig_settle(&rig);
    cr_assert_eq(rig.asked[STORE_CHECKPOINT], 0);
    expect_new_tree();
}

Test(replica_snap, a_checkpoint_on_its_way_purges_nothing_behind_it)
{
    come_back();
    rig.now_ms += 5000;
    rig_tick(&rig, 0);
    cr_assert_eq(rig.asked[STORE_CHECKPOINT], 1);
    receive();
    rig_settle(&rig);
    cr_assert_eq(rig.asked[STORE_PURGE], 0);
    expect_new_tree();
}
