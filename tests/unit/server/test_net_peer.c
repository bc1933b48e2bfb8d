#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "peer_rig.h"

#define UP REPLICA_PEER_UP
#define DOWN REPLICA_PEER_DOWN
#define MESSAGE REPLICA_PEER_MESSAGE

static struct rig rig;

static void set_up(void)
{
    log_set_level(LOG_ERROR);
    rig_init(&rig);
}

static void tear_down(void)
{
    rig_finish(&rig);
}

TestSuite(net_peer, .init = set_up, .fini = tear_down, .timeout = 120);

static struct loop *serve(uint64_t id)
{
    struct loop *loop = rig_server(&rig, id);

    rig_serve(&rig, id);
    return loop;
}

static uint64_t bit(uint64_t id)
{
    return UINT64_C(1) << (id - 1);
}

static struct peer_msg vote(zxid_t zxid)
{
    return (struct peer_msg){
        .type = PEER_VOTE, .zxid = zxid, .vote.state = PEER_LOOKING};
}

static const struct told *last(const struct loop *loop)
{
    cr_assert_gt(loop->told_count, 0);
    return &loop->told[loop->told_count - 1];
}

/* ---- links ---- */

Test(net_peer, the_mesh_comes_up_by_itself)
{
    struct loop *loops[] = {serve(3), serve(1), serve(2)};

    for (int i = 0; i < 3; i++) {
        for (uint64_t id = 1; id <= 3; id++) {
            size_t wanted = id == loops[i]->config.my_id ? 0 : 1;

            RIG_UNTIL(&rig,
                      rig_told(loops[i], UP, PEER_LINK_ELECTION, id) == wanted);
        }
        cr_assert_eq(loops[i]->told_count, 2);
        cr_assert_eq(last(loops[i])->version, HELLO_VERSION);
    }
}

Test(net_peer, a_server_that_comes_back_is_found_again)
{
    struct loop *three = serve(3);

    (void)serve(1);
    RIG_UNTIL(&rig, rig_told(three, UP, PEER_LINK_ELECTION, 1) == 1);
    rig_stop(&rig, 1);
    RIG_UNTIL(&rig, rig_told(three, DOWN, PEER_LINK_ELECTION, 1) == 1);
    (void)serve(1);
    RIG_UNTIL(&rig, rig_told(three, UP, PEER_LINK_ELECTION, 1) == 2);
}

Test(net_peer, the_older_of_two_versions_is_spoken)
{
    struct loop *one = rig_server(&rig, 1), *two;

    one->config.peer_version_max = 1;
    rig_serve(&rig, 1);
    two = serve(2);
    RIG_UNTIL(&rig, rig_told(two, UP, PEER_LINK_ELECTION, 1) == 1);
    RIG_UNTIL(&rig, rig_told(one, UP, PEER_LINK_ELECTION, 2) == 1);
    cr_assert_eq(last(one)->version, 1);
    cr_assert_eq(last(two)->version, 1);
}

Test(net_peer, a_quorum_link_is_dialled_when_asked_and_closed_unreported)
{
    struct loop *one = serve(1), *two = serve(2);

    net_peer_connect(one->net, bit(2), NULL);
    RIG_UNTIL(&rig, rig_told(one, UP, PEER_LINK_LEADER, 2) == 1);
    RIG_UNTIL(&rig, rig_told(two, UP, PEER_LINK_LEARNER, 1) == 1);
    net_peer_connect(one->net, 0, "enough");
    RIG_UNTIL(&rig, rig_told(two, DOWN, PEER_LINK_LEARNER, 1) == 1);
    cr_assert_eq(rig_told(one, DOWN, PEER_LINK_LEADER, 2), 0);
}

Test(net_peer, a_dial_that_comes_to_nothing_is_told)
{
    struct loop *one = serve(1);

    net_peer_connect(one->net, bit(2), NULL);
    cr_assert_eq(one->told_count, 0); /* not from inside */
    RIG_UNTIL(&rig, rig_told(one, DOWN, PEER_LINK_LEADER, 2) == 1);
    rig_run(&rig, 100);
    cr_assert_eq(one->told_count, 1);
}

Test(net_peer, a_dial_that_is_taken_back_is_not_told)
{
    struct loop *one = serve(1), *two = serve(2);

    net_peer_connect(one->net, bit(3), NULL); /* nobody is there */
    net_peer_connect(one->net, bit(2), NULL);
    RIG_UNTIL(&rig, rig_told(one, UP, PEER_LINK_LEADER, 2) == 1);
    cr_assert_eq(rig_told(one, DOWN, PEER_LINK_LEADER, 3), 0);
    RIG_UNTIL(&rig, rig_told(two, UP, PEER_LINK_LEARNER, 1) == 1);
}

Test(net_peer, a_second_link_replaces_a_first_that_is_silent)
{
    struct loop *one = serve(1);
    int first = raw_link(&rig, HELLO_QUORUM, 2, 1), second;
    struct peer_msg msg = vote(7);
    uint8_t keepalive[4];

    RIG_UNTIL(&rig, rig_told(one, UP, PEER_LINK_LEARNER, 2) == 1);
    second = raw_link(&rig, HELLO_QUORUM, 2, 1);
    RIG_UNTIL(&rig, rig_told(one, UP, PEER_LINK_LEARNER, 2) == 2);
    cr_assert_eq(rig_told(one, DOWN, PEER_LINK_LEARNER, 2), 0);
    while (raw_read(&rig, first, keepalive, 4) == 4) {
        cr_assert_eq(bytes_load32(keepalive), 0);
    }
    raw_frame(&rig, second, &msg);
    RIG_UNTIL(&rig, rig_told(one, MESSAGE, PEER_LINK_LEARNER, 2) == 1);
    (void)close(first);
    (void)close(second);
}

Test(net_peer, no_second_link_replaces_a_first_that_works)
{
    struct loop *one = serve(1), *two = serve(2);
    struct hello hello = raw_hello(HELLO_ELECTION, 2, 1);
    char text[129];

    RIG_UNTIL(&rig, rig_told(one, UP, PEER_LINK_ELECTION, 2) == 1);
    RIG_UNTIL(&rig, rig_told(two, UP, PEER_LINK_ELECTION, 1) == 1);
    for (int i = 0; i < 3; i++) {
        int fd = raw_connect(&rig, rig.election_ports[0]);

        raw_say(&rig, fd, &hello);
        cr_assert(raw_hear(&rig, fd, &hello, text));
        cr_assert_str_eq(text, "another one with its id has a link");
        hello = raw_hello(HELLO_ELECTION, 2, 1);
        (void)close(fd);
    }
    cr_assert_eq(one->told_count, 1);
    cr_assert_eq(two->told_count, 1);
}

Test(net_peer, a_second_link_waits_no_longer_than_the_first_lives)
{
    struct loop *one = serve(1);
    int first = raw_link(&rig, HELLO_QUORUM, 2, 1);
    struct hello hello = raw_hello(HELLO_QUORUM, 2, 1);
    int second = raw_connect(&rig, rig.quorum_ports[0]);
    int64_t began_ms;
    char text[129];

    RIG_UNTIL(&rig, rig_told(one, UP, PEER_LINK_LEARNER, 2) == 1);
    raw_say(&rig, second, &hello);
    rig_run(&rig, 100);
    cr_assert_eq(one->told_count, 1);
    began_ms = clock_monotonic_ms();
    (void)close(first);
    cr_assert(raw_hear(&rig, second, &hello, text));
    cr_assert_str_eq(text, "");
    cr_assert_lt(clock_monotonic_ms() - began_ms, 400);
    RIG_UNTIL(&rig, rig_told(one, UP, PEER_LINK_LEARNER, 2) == 2);
    cr_assert_eq(rig_told(one, DOWN, PEER_LINK_LEARNER, 2), 1);
    (void)close(second);
}

/* Who is let wait gives up and dials again: the time goes on. */
Test(net_peer, impatience_does_not_keep_a_second_link_waiting)
{
    struct loop *one = serve(1);
    int first = raw_link(&rig, HELLO_QUORUM, 2, 1), fds[20];
    struct hello hello = raw_hello(HELLO_QUORUM, 2, 1);
    int64_t began_ms = clock_monotonic_ms();
    size_t count = 0;

    RIG_UNTIL(&rig, rig_told(one, UP, PEER_LINK_LEARNER, 2) == 1);
    while (count < 20 && rig_told(one, UP, PEER_LINK_LEARNER, 2) == 1) {
        fds[count] = raw_connect(&rig, rig.quorum_ports[0]);
        raw_say(&rig, fds[count++], &hello);
        rig_run(&rig, 200);
    }
    cr_assert_eq(rig_told(one, UP, PEER_LINK_LEARNER, 2), 2);
    cr_assert_lt(clock_monotonic_ms() - began_ms, 1300);
    while (count > 0) {
        (void)close(fds[--count]);
    }
    (void)close(first);
}

Test(net_peer, an_effect_meets_the_link_that_it_was_decided_for)
{
    struct loop *one = serve(1);
    int first = raw_link(&rig, HELLO_ELECTION, 2, 1), second;
    uint8_t bytes[64];

    RIG_UNTIL(&rig, rig_told(one, UP, PEER_LINK_ELECTION, 2) == 1);
    one->effect = true;
    one->effect_to = bit(2);
    second = raw_link(&rig, HELLO_ELECTION, 2, 1);
    RIG_UNTIL(&rig, rig_told(one, UP, PEER_LINK_ELECTION, 2) == 2);
    cr_assert_not(one->effect);
    do { /* keepalives, while the second one waited */
        cr_assert_eq(raw_read(&rig, first, bytes, 4), 4);
    } while (bytes_load32(bytes) == 0);
    /* The other one hears a keepalive first. */
    cr_assert_eq(raw_read(&rig, second, bytes, 4), 4);
    cr_assert_eq(bytes_load32(bytes), 0);
    (void)close(first);
    (void)close(second);
}

Test(net_peer, a_dropped_election_link_is_dialled_again)
{
    struct loop *two = serve(2), *one = serve(1);

    RIG_UNTIL(&rig, rig_told(two, UP, PEER_LINK_ELECTION, 1) == 1);
    RIG_UNTIL(&rig, rig_told(one, UP, PEER_LINK_ELECTION, 2) == 1);
    net_peer_drop(two->net, PEER_LINK_ELECTION, bit(1), "a test");
    RIG_UNTIL(&rig, rig_told(two, UP, PEER_LINK_ELECTION, 1) == 2);
    cr_assert_eq(rig_told(two, DOWN, PEER_LINK_ELECTION, 1), 0);
    RIG_UNTIL(&rig, rig_told(one, UP, PEER_LINK_ELECTION, 2) == 2);
}

Test(net_peer, what_was_sent_before_a_drop_arrives)
{
    struct loop *one = serve(1);
    int fd = raw_link(&rig, HELLO_QUORUM, 2, 1);
    static uint8_t bytes[3 << 20];
    struct blob *payload = blob_copy(slice_make(bytes, sizeof(bytes)));
    struct blob *payloads[1] = {payload};
    struct peer_msg unread = {.type = PEER_PONG};
    struct peer_msg msg = {.type = PEER_PROPOSE,
                           .zxid = 1,
                           .payloads = payloads,
                           .payloads_count = 1};

    RIG_UNTIL(&rig, rig_told(one, UP, PEER_LINK_LEARNER, 2) == 1);
    /* What we have not read must not make the system take it back. */
    raw_frame(&rig, fd, &unread);
    net_peer_send(one->net, PEER_LINK_LEARNER, bit(2), &msg);
    net_peer_drop(one->net, PEER_LINK_LEARNER, bit(2), "a test");
    cr_assert(net_peer_is_closing(one->net));
    cr_assert_gt(raw_read(&rig, fd, bytes, sizeof(bytes)), sizeof(bytes) - 1);
    cr_assert_gt(raw_read(&rig, fd, bytes, sizeof(bytes)), 0);
    cr_assert(raw_at_end(&rig, fd));
    (void)close(fd);
    RIG_UNTIL(&rig, !net_peer_is_closing(one->net));
    cr_assert_eq(rig_told(one, DOWN, PEER_LINK_LEARNER, 2), 0);
}

/* ---- frames ---- */

Test(net_peer, messages_arrive_whole_and_in_order)
{
    enum { SIZES = 5, ROUNDS = 40 };
    static uint8_t bytes[700000];
    static const size_t sizes[SIZES] = {0, 1, 2048, 2049, sizeof(bytes)};
    struct loop *one = serve(1), *two = serve(2);
    uint32_t crc = 0;
    size_t at;

    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 7 >> 3);
    }
    for (int i = 0; i < SIZES; i++) {
        crc = crc32c(crc, slice_make(bytes, sizes[i]));
    }
    net_peer_connect(two->net, bit(1), NULL);
    RIG_UNTIL(&rig, rig_told(one, UP, PEER_LINK_LEARNER, 2) == 1);
    RIG_UNTIL(&rig, rig_told(two, UP, PEER_LINK_LEADER, 1) == 1);
    at = one->told_count;
    for (zxid_t zxid = 1; zxid <= ROUNDS; zxid++) {
        struct blob *payloads[SIZES];
        struct peer_msg msg = {.type = PEER_PROPOSE,
                               .zxid = zxid,
                               .payloads = payloads,
                               .payloads_count = SIZES};

        for (int i = 0; i < SIZES; i++) {
            payloads[i] = blob_copy(slice_make(bytes, sizes[i]));
        }
        net_peer_send(two->net, PEER_LINK_LEADER, bit(1) | bit(3), &msg);
    }
    RIG_UNTIL(&rig, rig_told(one, MESSAGE, PEER_LINK_LEARNER, 2) == ROUNDS);
    for (zxid_t zxid = 1; zxid <= ROUNDS; at++) {
        if (one->told[at].type == MESSAGE) {
            cr_assert_eq(one->told[at].zxid, zxid++);
            cr_assert_eq(one->told[at].payloads, SIZES);
            cr_assert_eq(one->told[at].crc, crc);
        }
    }
}

Test(net_peer, a_frame_may_come_byte_by_byte)
{
    struct loop *one = serve(1);
    struct hello hello = raw_hello(HELLO_ELECTION, 2, 1);
    int fd = raw_connect(&rig, rig.election_ports[0]);
    struct peer_msg msg = vote(9);
    struct buf out = {0};
    char text[129];

    hello_encode(&hello, &out);
    for (size_t i = 0; i < out.len; i++) {
        raw_write(&rig, fd, out.data + i, 1);
    }
    cr_assert(raw_hear(&rig, fd, &hello, text));
    buf_clear(&out);
    peer_msg_encode_head(&msg, &out);
    for (size_t i = 0; i < 2 * out.len; i++) {
        raw_write(&rig, fd, out.data + i % out.len, 1);
    }
    RIG_UNTIL(&rig, rig_told(one, MESSAGE, PEER_LINK_ELECTION, 2) == 2);
    cr_assert_eq(last(one)->zxid, 9);
    buf_finish(&out);
    (void)close(fd);
}

Test(net_peer, frames_right_behind_the_hello_are_not_lost)
{
    struct loop *one = serve(1);
    struct hello hello = raw_hello(HELLO_ELECTION, 2, 1);
    int fd = raw_connect(&rig, rig.election_ports[0]);
    struct peer_msg msg = vote(9);
    struct buf out = {0};

    hello_encode(&hello, &out);
    peer_msg_encode_head(&msg, &out);
    raw_write(&rig, fd, out.data, out.len);
    RIG_UNTIL(&rig, rig_told(one, MESSAGE, PEER_LINK_ELECTION, 2) == 1);
    cr_assert_eq(one->told[0].type, UP);
    buf_finish(&out);
    (void)close(fd);
}

Test(net_peer, last_words_are_heard_before_the_end)
{
    enum { COUNT = 5000 };
    struct loop *one = serve(1);
    int fd = raw_link(&rig, HELLO_ELECTION, 2, 1);
    struct buf out = {0};

    one->frames_max = 10;
    for (zxid_t zxid = 1; zxid <= COUNT; zxid++) {
        struct peer_msg msg = vote(zxid);

        peer_msg_encode_head(&msg, &out);
    }
    raw_write(&rig, fd, out.data, out.len);
    (void)close(fd);
    RIG_UNTIL(&rig, rig_told(one, DOWN, PEER_LINK_ELECTION, 2) == 1);
    cr_assert_eq(rig_told(one, MESSAGE, PEER_LINK_ELECTION, 2), COUNT);
    cr_assert_eq(last(one)->type, DOWN);
    buf_finish(&out);
}

static void breaks_on(const void *bytes, size_t size)
{
    struct loop *one = serve(1);
    int fd = raw_link(&rig, HELLO_ELECTION, 2, 1);

    RIG_UNTIL(&rig, rig_told(one, UP, PEER_LINK_ELECTION, 2) == 1);
    raw_write(&rig, fd, bytes, size);
    RIG_UNTIL(&rig, rig_told(one, DOWN, PEER_LINK_ELECTION, 2) == 1);
    cr_assert_eq(rig_told(one, MESSAGE, PEER_LINK_ELECTION, 2), 0);
    cr_assert(raw_at_end(&rig, fd));
    (void)close(fd);
}

Test(net_peer, a_length_over_the_limit_breaks_the_link_at_once)
{
    static const uint8_t length[4] = {0x00, 0x40, 0x00, 0x09};

    breaks_on(length, sizeof(length));
}

Test(net_peer, a_damaged_frame_breaks_the_link)
{
    struct peer_msg msg = vote(9);
    struct buf out = {0};

    peer_msg_encode_head(&msg, &out);
    out.data[out.len - 1] ^= 1;
    breaks_on(out.data, out.len);
    buf_finish(&out);
}

Test(net_peer, a_frame_that_is_no_message_breaks_the_link)
{
    static const uint8_t frame[] = {0, 0, 0, 2, 1, 2};

    breaks_on(frame, sizeof(frame));
}

/* ---- silence ---- */

Test(net_peer, keepalives_are_said_and_hold_a_link)
{
    struct loop *one = serve(1), *two = serve(2);
    struct net_peer_info info;

    RIG_UNTIL(&rig, rig_told(one, UP, PEER_LINK_ELECTION, 2) == 1);
    RIG_UNTIL(&rig, rig_told(two, UP, PEER_LINK_ELECTION, 1) == 1);
    rig_run(&rig, 3000);
    cr_assert_eq(one->told_count, 1);
    cr_assert_eq(two->told_count, 1);
    cr_assert(net_peer_info(one->net, 1, &info));
    cr_assert_eq(info.id, 2);
    cr_assert(info.up[PEER_LINK_ELECTION]);
    cr_assert_eq(info.connects, 1);
    cr_assert_eq(info.version, HELLO_VERSION);
    cr_assert_geq(info.bytes_in, 4 * 4);
    cr_assert_leq(info.bytes_in, 16 * 4);
    cr_assert(net_peer_info(two->net, 0, &info));
    cr_assert_neq(info.address[0], '\0');
    cr_assert_not(net_peer_info(one->net, 3, &info));
}

Test(net_peer, a_silent_link_is_broken)
{
    struct loop *one = serve(1);
    int fd = raw_link(&rig, HELLO_ELECTION, 2, 1);
    int64_t began_ms;

    RIG_UNTIL(&rig, rig_told(one, UP, PEER_LINK_ELECTION, 2) == 1);
    began_ms = clock_monotonic_ms();
    RIG_UNTIL(&rig, rig_told(one, DOWN, PEER_LINK_ELECTION, 2) == 1);
    cr_assert_geq(clock_monotonic_ms() - began_ms, 1400);
    (void)close(fd);
}

Test(net_peer, who_slept_accuses_nobody)
{
    struct loop *one = serve(1);
    int fd = raw_link(&rig, HELLO_ELECTION, 2, 1);

    RIG_UNTIL(&rig, rig_told(one, UP, PEER_LINK_ELECTION, 2) == 1);
    rig_run(&rig, 300);
    (void)usleep(2500 * 1000); /* the whole process: nothing has come */
    rig_run(&rig, 300);
    cr_assert_eq(rig_told(one, DOWN, PEER_LINK_ELECTION, 2), 0);
    (void)close(fd);
}

/* What comes when it wakes up is as old as that. */
Test(net_peer, a_sleep_adds_nothing_to_what_comes_after_it)
{
    static const uint8_t keepalive[4];
    struct loop *one = serve(1);
    int fd = raw_link(&rig, HELLO_ELECTION, 2, 1), stranger;
    int64_t began_ms;

    RIG_UNTIL(&rig, rig_told(one, UP, PEER_LINK_ELECTION, 2) == 1);
    rig_run(&rig, 300);
    cr_assert_eq(write(fd, keepalive, sizeof(keepalive)), sizeof(keepalive));
    stranger = raw_connect(&rig, rig.quorum_ports[0]);
    (void)usleep(6000 * 1000);
    began_ms = clock_monotonic_ms();
    cr_assert(raw_at_end(&rig, stranger));
    RIG_UNTIL(&rig, rig_told(one, DOWN, PEER_LINK_ELECTION, 2) == 1);
    cr_assert_leq(clock_monotonic_ms() - began_ms, 5000);
    (void)close(stranger);
    (void)close(fd);
}

/* ---- output ---- */

Test(net_peer, a_link_that_takes_nothing_is_broken_at_its_bound)
{
    static uint8_t bytes[1 << 20];
    struct loop *one = serve(1);
    int fd = raw_link(&rig, HELLO_QUORUM, 2, 1);
    struct blob *payload = blob_copy(slice_make(bytes, sizeof(bytes)));
    struct net_peer_info info;
    unsigned sent;

    RIG_UNTIL(&rig, rig_told(one, UP, PEER_LINK_LEARNER, 2) == 1);
    for (sent = 0; sent < 100 && !net_peer_has_work(one->net); sent++) {
        struct blob *payloads[1] = {blob_ref(payload)};
        struct peer_msg msg = {
            .type = PEER_PROPOSE, .payloads = payloads, .payloads_count = 1};

        net_peer_send(one->net, PEER_LINK_LEARNER, bit(2), &msg);
    }
    cr_assert_eq(sent, 64, "%u MiB", sent);
    cr_assert_eq(rig_told(one, DOWN, PEER_LINK_LEARNER, 2), 0);
    cr_assert(net_peer_info(one->net, 1, &info));
    cr_assert_eq(info.unsent[PEER_LINK_LEARNER], 0);
    RIG_UNTIL(&rig, rig_told(one, DOWN, PEER_LINK_LEARNER, 2) == 1);
    blob_unref(payload);
    (void)close(fd);
}

Test(net_peer, a_slow_reader_gets_everything)
{
    enum { COUNT = 20, SIZE = 1 << 20 };
    static uint8_t bytes[SIZE];
    struct loop *one = serve(1);
    int fd = raw_link(&rig, HELLO_QUORUM, 2, 1);
    size_t total = 0;

    RIG_UNTIL(&rig, rig_told(one, UP, PEER_LINK_LEARNER, 2) == 1);
    for (unsigned i = 0; i < COUNT; i++) {
        struct blob *payloads[1] = {blob_copy(slice_make(bytes, SIZE))};
        struct peer_msg msg = {
            .type = PEER_PROPOSE, .payloads = payloads, .payloads_count = 1};

        net_peer_send(one->net, PEER_LINK_LEARNER, bit(2), &msg);
    }
    while (total < (size_t)COUNT * SIZE) {
        rig_turn(&rig);
        total += raw_read(&rig, fd, bytes, 100000);
    }
    cr_assert_eq(rig_told(one, DOWN, PEER_LINK_LEARNER, 2), 0);
    (void)close(fd);
}

Test(net_peer, what_goes_to_nobody_is_dropped)
{
    struct loop *one = serve(1);
    struct blob *payloads[1] = {blob_copy(SLICE_LITERAL("x"))};
    struct peer_msg msg = {
        .type = PEER_PROPOSE, .payloads = payloads, .payloads_count = 1};

    net_peer_send(one->net, PEER_LINK_LEARNER, bit(2) | bit(3), &msg);
    cr_assert_eq(msg.payloads_count, 0);
    payloads[0] = blob_copy(SLICE_LITERAL("x"));
    msg.payloads_count = 1;
    net_peer_send(NULL, PEER_LINK_LEARNER, bit(2), &msg); /* standalone */
    cr_assert_eq(msg.payloads_count, 0);
}
