#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "net_rig.h"

/* ---- frames in ---- */

Test(server_net, takes_a_frame_byte_by_byte)
{
    struct loop *loop = rig_create();
    int fd = rig_connect(loop);
    const char bytes[] = "\0\0\0\5hello\0\0\0\2ab";
    char reply[15];

    for (size_t i = 0; i < sizeof(bytes) - 1; i++) {
        rig_write(fd, bytes + i, 1);
        rig_turn(loop);
        rig_turn(loop);
    }
    cr_assert_eq(rig_read(loop, fd, reply, sizeof(reply)), sizeof(reply));
    cr_assert_arr_eq(reply, bytes, sizeof(reply));
    cr_assert_eq(loop->frames, 2);
    cr_assert_str_eq(loop->address, "127.0.0.1");
    (void)close(fd);
    RIG_UNTIL(loop, loop->closed == 1);
    rig_destroy(loop);
}

/* Frames of every size around the buffer's, cut anywhere, with a loop that
 * takes only a few in each wake-up. */
Test(server_net, keeps_order_and_bytes_of_a_flood_in_small_turns)
{
    struct loop *loop = rig_create();
    int fd = rig_connect(loop);
    struct buf sent = {0};
    struct buf got = {0};
    size_t at = 0;
    size_t read = 0;

    loop->frames_max = 7;
    for (uint32_t i = 0; i < 1500; i++) {
        uint32_t size = i % 100 == 99 ? 700000 : 4 + i * 37 % 999;
        uint8_t *frame = buf_extend(&sent, size + 4);

        bytes_store32(frame, size);
        memset(frame + 4, (int)i, size);
        bytes_store32(frame + 4, i);
    }
    (void)buf_extend(&got, sent.len);
    while (read < sent.len) {
        size_t part = sent.len - at < 100000 ? sent.len - at : 100000;
        ssize_t n = part > 0 ? send(fd, sent.data + at, part, MSG_NOSIGNAL) : 0;

        at += n > 0 ? (size_t)n : 0;
        rig_turn(loop);
        n = recv(fd, got.data + read, got.len - read, 0);
        read += n > 0 ? (size_t)n : 0;
    }
    cr_assert_eq(loop->frames, 1500);
    cr_assert(memcmp(got.data, sent.data, sent.len) == 0);
    cr_assert_geq(loop->drained, 5);
    buf_finish(&sent);
    buf_finish(&got);
    (void)close(fd);
    rig_destroy(loop);
}

static void expect_closed_on(const char *bytes, size_t size)
{
    struct loop *loop = rig_create();
    int fd = rig_connect(loop);

    rig_write(fd, bytes, size);
    cr_assert(rig_at_end(loop, fd));
    cr_assert_eq(loop->frames, 0);
    cr_assert_eq(loop->closed, 1);
    cr_assert_eq(net_client_count(loop->net), 0);
    (void)close(fd);
    rig_destroy(loop);
}

Test(server_net, closes_on_lengths_that_cannot_be)
{
    expect_closed_on("\xff\xff\xff\xff", 4);
    expect_closed_on("\x80\0\0\0", 4);
    expect_closed_on("\x7f\xff\xff\xff", 4);
    expect_closed_on("\0\x10\0\0", 4);        /* jute.maxbuffer + 1 */
    expect_closed_on("\xff\xf4\xff\xfd", 4);  /* telnet */
    expect_closed_on("GET / HTTP/1.0\n", 15); /* a browser */
}

Test(server_net, stops_feeding_at_once_when_paused)
{
    struct loop *loop = rig_create();
    int fd = rig_connect(loop);
    char text[16];
    char reply[50];

    loop->pause_after = 3;
    for (int i = 0; i < 10; i++) {
        (void)snprintf(text, sizeof(text), "%d", i);
        rig_write_frame(fd, text);
    }
    for (size_t fed = 3; fed < 10; fed += 3) {
        RIG_UNTIL(loop, loop->frames == fed);
        for (int i = 0; i < 20; i++) {
            rig_turn(loop);
        }
        cr_assert_eq(loop->frames, fed);
        net_client_pause(loop->net, loop->last_id, false);
    }
    RIG_UNTIL(loop, loop->frames == 10);
    cr_assert_eq(rig_read(loop, fd, reply, 50), 50);
    cr_assert_arr_eq(loop->received.data, "0123456789", 10);
    (void)close(fd);
    rig_destroy(loop);
}

/* ---- frames out ---- */

Test(server_net, a_slow_reader_is_not_fed_and_loses_nothing)
{
    enum { FRAMES = 200, SIZE = 100000 };
    struct loop *loop = rig_create();
    int fd = rig_connect(loop);
    char *reply = mem_alloc(SIZE + 4);
    size_t fed;

    loop->reply_size = SIZE;
    loop->frames_max = 5;
    for (uint32_t i = 0; i < FRAMES; i++) {
        uint8_t frame[8];

        bytes_store32(frame, 4);
        bytes_store32(frame + 4, i);
        rig_write(fd, frame, sizeof(frame));
    }
    do { /* until the sockets and the mark are full */
        fed = loop->frames;
        for (int i = 0; i < 50; i++) {
            rig_turn(loop);
        }
    } while (loop->frames > fed);
    cr_assert_lt(loop->frames, FRAMES);
    for (uint32_t i = 0; i < FRAMES; i++) {
        cr_assert_eq(rig_read(loop, fd, reply, SIZE + 4), SIZE + 4);
        cr_assert_eq(bytes_load32((uint8_t *)reply + 4), i);
    }
    cr_assert_gt(loop->drained, 0);
    mem_free(reply);
    (void)close(fd);
    rig_destroy(loop);
}

Test(server_net, too_much_unread_output_closes)
{
    struct loop *loop = rig_new();
    int fd;

    loop->config.output_max = 2 << 20;
    loop->reply_size = 30 << 20; /* more than two sockets hold */
    cr_assert_eq(rig_listen(loop), 0);
    fd = rig_connect(loop);
    rig_write_frame(fd, "x");
    RIG_UNTIL(loop, loop->closed == 1);
    cr_assert_eq(net_client_count(loop->net), 0);
    (void)close(fd);
    rig_destroy(loop);
}

Test(server_net, what_was_sent_arrives_before_the_close)
{
    enum { SIZE = 20 << 20 };
    struct loop *loop = rig_create();
    int fd = rig_connect(loop);
    char *reply = mem_alloc(SIZE + 4);

    loop->reply_size = SIZE;
    loop->drop_after_frame = true;
    rig_write_frame(fd, "x");
    rig_write_frame(fd, "not fed");
    cr_assert_eq(rig_read(loop, fd, reply, SIZE + 4), SIZE + 4);
    cr_assert(rig_at_end(loop, fd));
    cr_assert_eq(loop->frames, 1);
    cr_assert_eq(loop->closed, 0); /* the replica knows */
    mem_free(reply);
    (void)close(fd);
    rig_destroy(loop);
}

/* Frames are gone after the flush they were sent in, also for sockets that had
 * no turn yet. */
Test(server_net, writes_to_thousands_and_the_rest_in_the_next_wake_up)
{
    enum { CONNS = 2500, ROUNDS = 3 };
    struct loop *loop = rig_create();
    int *fds = MEM_ARRAY(int, CONNS);
    uint64_t *ids = MEM_ARRAY(uint64_t, CONNS);
    char reply[8 * ROUNDS];

    for (int i = 0; i < CONNS; i++) {
        fds[i] = rig_connect(loop);
        RIG_UNTIL(loop, loop->opened == (size_t)i + 1);
        ids[i] = loop->last_id;
    }
    for (int round = 0; round < ROUNDS; round++) {
        uint8_t *frame = mem_alloc(8);

        memcpy(frame, "\0\0\0\4fan", 7);
        frame[7] = (uint8_t)('0' + round);
        for (int i = 0; i < CONNS; i++) {
            net_client_send(loop->net, ids[i], slice_make(frame, 8));
        }
        net_client_flush(loop->net);
        mem_free(frame);
        cr_assert(net_client_has_work(loop->net));
    }
    for (int i = 0; i < CONNS; i++) {
        cr_assert_eq(rig_read(loop, fds[i], reply, sizeof(reply)),
                     sizeof(reply));
        cr_assert_arr_eq(reply, "\0\0\0\4fan0\0\0\0\4fan1\0\0\0\4fan2",
                         sizeof(reply));
        (void)close(fds[i]);
    }
    rig_turn(loop);
    cr_assert_not(net_client_has_work(loop->net));
    mem_free(fds);
    mem_free(ids);
    rig_destroy(loop);
}

/* ---- limits ---- */

Test(server_net, limits_connections_per_address_and_in_all)
{
    for (int all = 0; all < 2; all++) {
        struct loop *loop = rig_new();
        int fds[4];
        char reply[5];

        loop->config.conns_per_address_max = all ? 0 : 3;
        loop->config.conns_max = all ? 3 : 0;
        cr_assert_eq(rig_listen(loop), 0);
        for (int i = 0; i < 4; i++) {
            fds[i] = rig_connect(loop);
        }
        cr_assert(rig_at_end(loop, fds[3]));
        cr_assert_eq(loop->opened, 3);
        (void)close(fds[0]); /* makes room */
        RIG_UNTIL(loop, loop->closed == 1);
        fds[0] = rig_connect(loop);
        rig_write_frame(fds[0], "x");
        cr_assert_eq(rig_read(loop, fds[0], reply, 5), 5);
        for (int i = 0; i < 4; i++) {
            (void)close(fds[i]);
        }
        rig_destroy(loop);
    }
}

Test(server_net, ends_connections_without_a_whole_first_frame)
{
    struct loop *loop = rig_new();
    int fds[3];
    char reply[5];

    loop->config.handshake_timeout_ms = 300;
    cr_assert_eq(rig_listen(loop), 0);
    for (int i = 0; i < 3; i++) {
        fds[i] = rig_connect(loop);
    }
    rig_write(fds[1], "\0\0\0\55half", 8);
    rig_write_frame(fds[2], "x");
    cr_assert_eq(rig_read(loop, fds[2], reply, 5), 5);
    rig_write(fds[2], "\0\0\0\55half", 8); /* later it may be half */
    cr_assert(rig_at_end(loop, fds[0]));
    cr_assert(rig_at_end(loop, fds[1]));
    cr_assert_eq(loop->closed, 2);
    cr_assert_eq(net_client_count(loop->net), 1);
    for (int i = 0; i < 3; i++) {
        (void)close(fds[i]);
    }
    rig_destroy(loop);
}

/* Turned away, not left waiting; and the loop does not spin on accept(). */
Test(server_net, survives_the_end_of_descriptors)
{
    struct loop *loop = rig_create();
    struct rlimit limit;
    int first = rig_connect(loop);
    int second;
    int next;
    char reply[5];

    rig_write_frame(first, "x");
    RIG_UNTIL(loop, loop->frames == 1);
    second = rig_connect(loop); /* waits to be accepted */
    next = dup(first);
    (void)close(next);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = (rlim_t)next;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_assert(rig_at_end(loop, second));
    cr_assert_eq(loop->opened, 1);
    cr_assert_eq(rig_read(loop, first, reply, 5), 5); /* the others go on */
    limit.rlim_cur = limit.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    (void)close(second);
    second = rig_connect(loop);
    rig_write_frame(second, "y");
    cr_assert_eq(rig_read(loop, second, reply, 5), 5);
    (void)close(first);
    (void)close(second);
    rig_destroy(loop);
}

Test(server_net, a_taken_port_is_an_error)
{
    struct loop *loop = rig_create();
    struct loop *other = rig_new();

    other->config.client_port = net_client_port(loop->net);
    cr_assert_eq(rig_listen(other), ERR_IO);
    cr_assert_null(other->net);
    rig_destroy(other);
    rig_destroy(loop);
}

/* ---- four-letter words ---- */

static void expect_answer(const char *word, size_t size, bool slowly,
                          const char *answer)
{
    struct loop *loop = rig_create();
    int fd = rig_connect(loop);
    char text[200] = "";

    for (size_t i = 0; i < size; i += slowly ? 1 : size) {
        rig_write(fd, word + i, slowly ? 1 : size);
        rig_turn(loop);
        rig_turn(loop);
    }
    (void)rig_read(loop, fd, text, sizeof(text) - 1);
    cr_assert_str_eq(text, answer);
    cr_assert_eq(loop->frames, 0);
    RIG_UNTIL(loop, loop->closed == 1);
    (void)close(fd);
    rig_destroy(loop);
}

Test(server_net, answers_words_however_they_come)
{
    expect_answer("ruok", 4, false, "imok");
    expect_answer("ruok\n", 5, false, "imok");
    expect_answer("ruok", 4, true, "imok");
    expect_answer("stmk\0\0\0\0\0\0\0\1", 12, true, "imok");
    expect_answer("stmk\0\0\0\0\0\0\0\1", 12, false, "imok");
    expect_answer("wchp", 4, false,
                  "wchp is not executed because it is not in the "
                  "whitelist.\n");
    expect_answer("wchp", 4, true,
                  "wchp is not executed because it is not in the "
                  "whitelist.\n");
}

Test(server_net, a_long_answer_waits_for_its_reader)
{
    enum { SIZE = 1000 * 1000 * 9 };
    struct loop *loop = rig_create();
    int fd = rig_connect(loop);
    char *text = mem_alloc(SIZE);

    rig_write(fd, "mntr", 4);
    for (int i = 0; i < 1100; i++) {
        rig_turn(loop);
    }
    cr_assert_eq(rig_read(loop, fd, text, SIZE), SIZE);
    for (size_t i = 0; i < SIZE / 9; i++) {
        cr_assert_eq(strtoul(text + i * 9, NULL, 10), i);
    }
    cr_assert(rig_at_end(loop, fd));
    mem_free(text);
    (void)close(fd);
    rig_destroy(loop);
}

Test(server_net, a_reader_that_leaves_ends_its_word)
{
    struct loop *loop = rig_create();
    int fd = rig_connect(loop);

    rig_write(fd, "mntr", 4);
    RIG_UNTIL(loop, loop->opened == 1);
    (void)close(fd);
    RIG_UNTIL(loop, loop->closed == 1);
    cr_assert_not(net_client_has_work(loop->net));
    rig_destroy(loop);
}
