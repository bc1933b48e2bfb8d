#include "net_rig.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/mem.h"
#include "server/admin.h"

/* ---- loop.c ---- */

static void echo(struct loop *loop, uint64_t conn_id, struct slice frame)
{
    size_t size = loop->reply_size != 0 ? loop->reply_size : frame.len;
    uint8_t *reply = arena_alloc(loop->bytes, size + 4, 1);

    memset(reply, 'x', size + 4);
    bytes_store32(reply, (uint32_t)size);
    memcpy(reply + 4, frame.ptr, frame.len < size ? frame.len : size);
    loop->reply_to[loop->replies_count] = conn_id;
    loop->replies[loop->replies_count++] = slice_make(reply, size + 4);
}

static void take_frame(struct loop *loop, const struct replica_input *input)
{
    loop->frames++;
    loop->frames_now++;
    buf_append(&loop->received, input->frame);
    if (loop->echo) {
        echo(loop, input->conn_id, input->frame);
    }
    if (loop->pause_after != 0 && loop->frames % loop->pause_after == 0) {
        net_client_pause(loop->net, input->conn_id, true);
    }
    if (loop->drop_after_frame) {
        net_client_stop(loop->net, input->conn_id);
    }
}

void loop_input(struct loop *loop, struct replica_input *input)
{
    loop->last_id = input->conn_id;
    switch (input->type) {
        case REPLICA_CLIENT_OPENED:
            loop->opened++;
            memcpy(loop->address, input->opened.address.ptr,
                   input->opened.address.len);
            loop->address[input->opened.address.len] = '\0';
            break;
        case REPLICA_CLIENT_FRAME:
            take_frame(loop, input);
            break;
        case REPLICA_CLIENT_CLOSED:
            loop->closed++;
            break;
        case REPLICA_CLIENT_DRAINED:
            loop->drained++;
            break;
        default:
            cr_assert_fail("input %d", (int)input->type);
    }
}

bool loop_full(struct loop *loop)
{
    return loop->frames_max != 0 && loop->frames_now >= loop->frames_max;
}

bool loop_half_full(struct loop *loop)
{
    return loop->frames_max != 0 && loop->frames_now >= loop->frames_max / 2;
}

/* ---- config.c, admin.c: the word ruok says imok, mntr a long text, stmk
 * wants eight bytes, the rest is refused ---- */

bool config_word_allowed(const struct config *config, const char *word)
{
    (void)config;
    return strcmp(word, "ruok") == 0 || strcmp(word, "mntr") == 0 ||
           strcmp(word, "stmk") == 0;
}

struct admin_job {
    const char *word;
    int steps;
};

struct admin_job *admin_begin(struct loop *loop, const char *word,
                              struct slice rest)
{
    struct admin_job *job = MEM_NEW(struct admin_job);

    (void)loop;
    cr_assert(strcmp(word, "stmk") != 0 || rest.len >= 8);
    job->word = word;
    return job;
}

bool admin_step(struct admin_job *job, struct buf *out)
{
    if (strcmp(job->word, "mntr") != 0) {
        buf_append_text(out, "imok");
        return true;
    }
    for (int i = 0; i < 1000; i++) {
        buf_printf(out, "%08d\n", job->steps * 1000 + i);
    }
    return ++job->steps == 1000;
}

void admin_end(struct admin_job *job)
{
    mem_free(job);
}

bool admin_is_dump(const char *word)
{
    (void)word;
    return false;
}

bool admin_may_dump(struct loop *loop)
{
    (void)loop;
    return false;
}

bool admin_wants_bytes(const char *word, struct slice rest)
{
    return strcmp(word, "stmk") == 0 && rest.len < 8;
}

/* ---- the rig ---- */

struct loop *rig_new(void)
{
    struct loop *loop = MEM_NEW(struct loop);

    (void)signal(SIGPIPE, SIG_IGN); /* as main.c does */
    loop->base = event_base_new();
    loop->bytes = arena_create(1 << 16);
    loop->echo = true;
    loop->config.listen_backlog = -1;
    loop->config.handshake_timeout_ms = 10000;
    loop->config.frame_size_max = 0xfffff;
    loop->config.output_mark = 1 << 20;
    loop->config.output_max = 32 << 20;
    return loop;
}

int rig_listen(struct loop *loop)
{
    int err = net_client_listen(loop->base, &loop->config, loop, &loop->net);

    if (err == 0) {
        net_client_serve(loop->net);
    }
    return err;
}

struct loop *rig_create(void)
{
    struct loop *loop = rig_new();

    cr_assert_eq(rig_listen(loop), 0);
    return loop;
}

void rig_destroy(struct loop *loop)
{
    net_client_close(loop->net);
    event_base_free(loop->base);
    arena_destroy(loop->bytes);
    buf_finish(&loop->received);
    mem_free(loop);
}

void rig_turn(struct loop *loop)
{
    loop->frames_now = 0;
    if (net_client_has_work(loop->net)) {
        net_client_work(loop->net);
    }
    cr_assert_geq(event_base_loop(loop->base, EVLOOP_NONBLOCK), 0);
    for (size_t i = 0; i < loop->replies_count; i++) {
        net_client_send(loop->net, loop->reply_to[i], loop->replies[i]);
        if (loop->drop_after_frame) {
            net_client_drop(loop->net, loop->reply_to[i], "test");
        }
    }
    loop->replies_count = 0;
    net_client_flush(loop->net);
    arena_reset(loop->bytes);
}

int rig_connect(struct loop *loop)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(net_client_port(loop->net)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    cr_assert_geq(fd, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    cr_assert_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

void rig_write(int fd, const void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n =
            send(fd, (const char *)bytes + done, size - done, MSG_NOSIGNAL);

        cr_assert(n > 0);
        done += (size_t)n;
    }
}

void rig_write_frame(int fd, const char *text)
{
    uint8_t bytes[1024];
    size_t len = strlen(text);

    cr_assert_lt(len, sizeof(bytes) - 4);
    bytes_store32(bytes, (uint32_t)len);
    memcpy(bytes + 4, text, len);
    rig_write(fd, bytes, len + 4);
}

size_t rig_read(struct loop *loop, int fd, void *bytes, size_t size)
{
    int64_t until_ms = clock_monotonic_ms() + 20000;
    size_t done = 0;

    while (done < size) {
        ssize_t n = recv(fd, (char *)bytes + done, size - done, 0);

        cr_assert_lt(clock_monotonic_ms(), until_ms);
        if (n == 0 || (n < 0 && errno == ECONNRESET)) {
            return done;
        }
        if (n < 0) {
            cr_assert_eq(errno, EAGAIN);
            rig_turn(loop);
        } else {
            done += (size_t)n;
        }
    }
    return done;
}

bool rig_at_end(struct loop *loop, int fd)
{
    char byte;

    return rig_read(loop, fd, &byte, 1) == 0;
}
