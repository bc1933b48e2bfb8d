#include <criterion/criterion.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "peer_rig.h"

static struct rig rig;
static struct loop *two; /* the one that is spoken to */
static size_t lines;     /* of refusals in the log */

static void count_line(void *arg, struct slice line)
{
    static const char event[] = "event=peer_refused";

    (void)arg;
    for (size_t i = 0; i + sizeof(event) - 1 <= line.len; i++) {
        if (memcmp(line.ptr + i, event, sizeof(event) - 1) == 0) {
            lines++;
        }
    }
}

static void set_up(void)
{
    lines = 0;
    log_set_sink(count_line, NULL);
    rig_init(&rig);
    two = rig_server(&rig, 2);
    two->has_cluster = true;
    two->cluster = 7;
    rig_serve(&rig, 2);
}

static void tear_down(void)
{
    rig_finish(&rig);
    log_set_sink(NULL, NULL);
}

TestSuite(net_peer_hello, .init = set_up, .fini = tear_down, .timeout = 120);

static void nobody_came(void)
{
    cr_assert_eq(two->told_count, 0);
}

/* ---- of those who dial us ---- */

static void is_refused_on(uint16_t port, struct hello hello, const char *why)
{
    int fd = raw_connect(&rig, port);
    uint64_t from = hello.sender;
    char text[129];

    raw_say(&rig, fd, &hello);
    cr_assert(raw_hear(&rig, fd, &hello, text));
    cr_assert_str_eq(text, why);
    cr_assert_eq(hello.sender, 2);
    cr_assert_eq(hello.receiver, from);
    cr_assert(raw_at_end(&rig, fd));
    (void)close(fd);
    nobody_came();
    cr_assert_eq(lines, 1);
}

static void is_refused(struct hello hello, const char *why)
{
    is_refused_on(hello.link == HELLO_ELECTION ? rig.election_ports[1]
                                               : rig.quorum_ports[1],
                  hello, why);
}

Test(net_peer_hello, a_later_version_only_is_refused)
{
    struct hello hello = raw_hello(HELLO_QUORUM, 3, 2);

    hello.version_min = HELLO_VERSION + 1;
    hello.version_max = HELLO_VERSION + 2;
    is_refused(hello, "no version of the protocol in common");
}

Test(net_peer_hello, a_stranger_is_refused)
{
    is_refused(raw_hello(HELLO_QUORUM, 4, 2), "it is no member");
}

Test(net_peer_hello, our_own_id_is_refused)
{
    is_refused(raw_hello(HELLO_QUORUM, 2, 2), "it has our own id");
}

Test(net_peer_hello, one_that_means_another_is_refused)
{
    is_refused(raw_hello(HELLO_ELECTION, 3, 1), "it means another server");
}

Test(net_peer_hello, one_of_another_cluster_is_refused)
{
    struct hello hello = raw_hello(HELLO_ELECTION, 3, 2);

    hello.has_cluster = true;
    memset(hello.cluster_id, 8, sizeof(hello.cluster_id));
    is_refused(hello, "it is of another cluster");
}

Test(net_peer_hello, a_link_that_we_dial_is_refused)
{
    is_refused(raw_hello(HELLO_ELECTION, 1, 2),
               "the election link to it is dialled by us");
}

Test(net_peer_hello, the_wrong_port_is_refused)
{
    is_refused_on(rig.election_ports[1], raw_hello(HELLO_QUORUM, 3, 2),
                  "the port is for the other kind of link");
}

Test(net_peer_hello, one_without_history_is_of_every_cluster)
{
    struct hello hello = raw_hello(HELLO_ELECTION, 3, 2);
    int fd = raw_connect(&rig, rig.election_ports[1]);
    char text[129];

    raw_say(&rig, fd, &hello);
    cr_assert(raw_hear(&rig, fd, &hello, text));
    cr_assert_str_eq(text, "");
    cr_assert(hello.has_cluster);
    cr_assert_eq(hello.cluster_id[0], 7);
    RIG_UNTIL(&rig, rig_told(two, REPLICA_PEER_UP, PEER_LINK_ELECTION, 3) == 1);
    (void)close(fd);
}

/* ---- what is no hello ---- */

static void is_no_hello(const void *bytes, size_t size)
{
    int fd = raw_connect(&rig, rig.quorum_ports[1]);

    raw_write(&rig, fd, bytes, size);
    cr_assert(raw_at_end(&rig, fd)); /* without an answer */
    (void)close(fd);
    nobody_came();
    cr_assert_eq(lines, 1);
}

Test(net_peer_hello, http_is_none)
{
    is_no_hello("GET / HTTP/1.1\r\n\r\n", 18);
}

Test(net_peer_hello, a_keepalive_is_none)
{
    is_no_hello("\0\0\0\0", 4);
}

Test(net_peer_hello, a_length_over_the_limit_is_none)
{
    is_no_hello("\0\0\2\1", 4);
}

Test(net_peer_hello, a_hello_of_zookeepers_is_none)
{
    /* QuorumCnxManager: protocol version, server id, length, address. */
    is_no_hello("\377\377\377\377\377\377\000\001\0\0\0\0\0\0\0\3", 16);
}

Test(net_peer_hello, a_damaged_one_is_none)
{
    struct hello hello = raw_hello(HELLO_QUORUM, 3, 2);
    struct buf out = {0};

    hello_encode(&hello, &out);
    out.data[out.len - 1] ^= 1;
    is_no_hello(out.data, out.len);
    buf_finish(&out);
}

Test(net_peer_hello, one_that_says_nothing_is_closed)
{
    int fd = raw_connect(&rig, rig.quorum_ports[1]);
    int64_t began_ms = clock_monotonic_ms();

    raw_write(&rig, fd, "\0", 1);
    cr_assert(raw_at_end(&rig, fd));
    cr_assert_geq(clock_monotonic_ms() - began_ms, 1900);
    (void)close(fd);
    nobody_came();
    cr_assert_eq(lines, 1);
}

Test(net_peer_hello, many_that_say_nothing_leave_room_and_few_lines)
{
    enum { COUNT = 600 };
    static int fds[COUNT];
    int fd;

    for (int i = 0; i < COUNT; i++) {
        fds[i] = raw_connect(&rig, rig.election_ports[1]);
        rig_turn(&rig);
    }
    cr_assert(raw_at_end(&rig, fds[0])); /* the oldest made room */
    fd = raw_link(&rig, HELLO_ELECTION, 3, 2);
    RIG_UNTIL(&rig, rig_told(two, REPLICA_PEER_UP, PEER_LINK_ELECTION, 3) == 1);
    cr_assert_leq(lines, 3);
    for (int i = 0; i < COUNT; i++) {
        (void)close(fds[i]);
    }
    (void)close(fd);
}

/* ---- of those whom we dial ---- */

/* We dial 3's quorum port and are answered so; NULL: with the bytes. */
static void an_answer_is_no_link(const struct hello *hello, const char *bytes)
{
    int listener = raw_listen(rig.quorum_ports[2]), fd;
    struct hello heard;
    char text[129];

    net_peer_connect(two->net, 1 << 2, NULL);
    fd = raw_accept(&rig, listener);
    cr_assert(raw_hear(&rig, fd, &heard, text));
    cr_assert_eq(heard.sender, 2);
    cr_assert_eq(heard.receiver, 3);
    cr_assert_eq(heard.link, HELLO_QUORUM);
    if (hello != NULL) {
        raw_say(&rig, fd, hello);
    } else if (bytes != NULL) {
        raw_write(&rig, fd, bytes, strlen(bytes));
    } else {
        (void)close(fd);
        fd = -1;
    }
    RIG_UNTIL(&rig, rig_told(two, REPLICA_PEER_DOWN, PEER_LINK_LEADER, 3) == 1);
    cr_assert_eq(two->told_count, 1);
    if (fd >= 0) {
        cr_assert(raw_at_end(&rig, fd));
        (void)close(fd);
    }
    (void)close(listener);
}

Test(net_peer_hello, a_refusal_is_no_link)
{
    struct hello hello = raw_hello(HELLO_QUORUM, 3, 2);

    hello.refused = SLICE_LITERAL("we do not know you\n");
    an_answer_is_no_link(&hello, NULL);
    cr_assert_eq(lines, 1);
}

Test(net_peer_hello, an_answer_of_another_is_no_link)
{
    struct hello hello = raw_hello(HELLO_QUORUM, 1, 2);

    an_answer_is_no_link(&hello, NULL);
    cr_assert_eq(lines, 1);
}

Test(net_peer_hello, an_answer_of_another_cluster_is_no_link)
{
    struct hello hello = raw_hello(HELLO_QUORUM, 3, 2);

    hello.has_cluster = true;
    an_answer_is_no_link(&hello, NULL);
    cr_assert_eq(lines, 1);
}

Test(net_peer_hello, an_answer_of_a_later_version_is_no_link)
{
    struct hello hello = raw_hello(HELLO_QUORUM, 3, 2);

    hello.version_min = HELLO_VERSION + 1;
    hello.version_max = HELLO_VERSION + 1;
    an_answer_is_no_link(&hello, NULL);
    cr_assert_eq(lines, 1);
}

Test(net_peer_hello, an_answer_that_is_no_hello_is_no_link)
{
    an_answer_is_no_link(NULL, "HTTP/1.1 400 Bad Request\r\n\r\n");
    cr_assert_eq(lines, 1);
}

Test(net_peer_hello, an_end_instead_of_an_answer_is_no_link)
{
    an_answer_is_no_link(NULL, NULL);
}

Test(net_peer_hello, no_answer_is_no_link)
{
    int listener = raw_listen(rig.quorum_ports[2]);
    int64_t began_ms = clock_monotonic_ms();

    net_peer_connect(two->net, 1 << 2, NULL);
    RIG_UNTIL(&rig, rig_told(two, REPLICA_PEER_DOWN, PEER_LINK_LEADER, 3) == 1);
    cr_assert_geq(clock_monotonic_ms() - began_ms, 1900);
    cr_assert_leq(clock_monotonic_ms() - began_ms, 6000);
    (void)close(listener);
}
