/* Messages of zab's that go out together become one, but never across one of
 * replica/'s: what stands between two commits stays there. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/replica/trio.h"

#define ATTACHMENT UINT64_C(100)

static struct rig rig;
static struct trio trio;

static void begin_as(bool leads)
{
    rig_init(&rig);
    trio_init(&trio, &rig, leads);
    trio_serve(&trio);
}

static void lead(void)
{
    begin_as(true);
}

static void follow(void)
{
    begin_as(false);
}

static void end(void)
{
    trio_finish(&trio);
    rig_finish(&rig);
}

TestSuite(replica_merge, .fini = end);

static void ask(uint64_t session, uint64_t origin_request, const char *path,
                const char *data)
{
    trio_request(&trio, 1, session, ATTACHMENT, origin_request,
                 request_create(path, data, ZK_PERSISTENT));
}

static void acked(uint32_t counter)
{
    trio_say(&trio, 1,
             (struct peer_msg){.type = PEER_ACK, .zxid = zxid_make(1, counter)},
             NULL);
}

Test(replica_merge, proposals_of_one_wake_up_are_one_message, .init = lead)
{
    uint64_t session = trio_session(&trio, 1, ATTACHMENT);
    char path[16];

    rig.hold = true;
    for (uint64_t i = 0; i < 5; i++) {
        snprintf(path, sizeof(path), "/n%d", (int)i);
        ask(session, 101 + i, path, "");
    }
    rig_flush(&rig);
    trio_expect(&trio, "12 propose z2 x5\n");
    trio_settle(&trio);
    cr_assert_eq(rig_view(&rig).zxid, zxid_make(1, 6));
}

Test(replica_merge, a_message_is_not_merged_beyond_its_size, .init = lead)
{
    uint64_t session = trio_session(&trio, 1, ATTACHMENT);
    static char data[100 * 1024 + 1];
    char path[16];

    memset(data, 'x', sizeof(data) - 1);
    rig.hold = true;
    for (uint64_t i = 0; i < 5; i++) {
        snprintf(path, sizeof(path), "/n%d", (int)i);
        ask(session, 101 + i, path, data);
    }
    rig_flush(&rig);
    trio_expect(&trio, "12 propose z2 x2\n12 propose z4 x2\n"
                       "12 propose z6 x1\n");
}

Test(replica_merge, what_went_out_is_not_merged_with, .init = lead)
{
    uint64_t session = trio_session(&trio, 1, ATTACHMENT);

    ask(session, 101, "/a", "");
    ask(session, 102, "/b", "");
    trio_expect(&trio, "12 propose z2 x1\n12 propose z3 x1\n");
}

Test(replica_merge, commits_of_one_wake_up_are_one, .init = lead)
{
    uint64_t session = trio_session(&trio, 1, ATTACHMENT);

    trio.acks[1] = trio.acks[2] = false;
    ask(session, 101, "/a", "");
    ask(session, 102, "/b", "");
    rig_settle(&rig);
    buf_clear(&trio.text);
    rig.hold = true;
    acked(2);
    acked(3);
    rig_flush(&rig);
    trio_expect(&trio, "12 commit z3\n");
}

/* One learner would deliver z3 before the refusal that stands behind z2. */
Test(replica_merge, commits_are_not_merged_across_a_refusal, .init = lead)
{
    uint64_t session = trio_session(&trio, 1, ATTACHMENT);

    trio.acks[1] = trio.acks[2] = false;
    ask(session, 101, "/a", "");
    ask(session, 102, "/a", "");
    ask(session, 103, "/b", "");
    rig_settle(&rig);
    buf_clear(&trio.text);
    rig.hold = true;
    acked(2);
    acked(3);
    rig_flush(&rig);
    trio_expect(&trio, "12 commit z2\n1 refused z2 -110\n12 commit z3\n");
}

Test(replica_merge, acks_of_one_wake_up_are_one, .init = follow)
{
    struct test_client *client = trio_client(&trio);
    struct txn txn;

    rig_send(&rig, client, request_create("/a", "", ZK_PERSISTENT));
    txn = trio_create(&trio, "/a");
    trio_propose(&trio, &txn);
    txn.origin_request = 0;
    txn.create.path = SLICE_LITERAL("/b");
    txn.create.parent_sequence = 2;
    trio_propose(&trio, &txn);
    buf_clear(&trio.text);
    rig.hold = true;
    while (rig_disk(&rig)) {
        /* one result each */
    }
    rig_flush(&rig);
    trio_expect(&trio, "3 ack z3\n");
}

/* What is said on a new link must not go out on the old one. */
Test(replica_merge, nothing_is_merged_across_a_link_that_breaks, .init = lead)
{
    uint64_t session = trio_session(&trio, 1, ATTACHMENT);

    rig.hold = true;
    ask(session, 101, "/a", "");
    trio_link_down(&trio, 1);
    rig_send(&rig, rig_open(&rig), request_plain(ZK_OP_PING));
    rig_flush(&rig);
    trio_expect(&trio, "12 propose z2 x1\n");
}
