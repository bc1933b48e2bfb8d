/* Client sockets for real over a loop that only writes down what it is told and
 * echoes frames. Defines what net_*.c need of loop.c, admin.c and config.c. */
#ifndef CORRAL_TESTS_NET_RIG_H
#define CORRAL_TESTS_NET_RIG_H

#include <event2/event.h>

#include "base/buf.h"
#include "server/config.h"
#include "server/loop.h"
#include "server/net.h"

struct loop {
    struct event_base *base;
    struct config config;
    struct net_client *net;
    struct arena *bytes;          /* of replies, until the flush */
    struct slice replies[200000]; /* of this wake-up */
    uint64_t reply_to[200000];
    size_t replies_count;
    /* What was told. */
    size_t opened, frames, closed, drained;
    uint64_t last_id;
    char address[64];
    struct buf received; /* the contents of all frames */
    /* What to do. */
    bool echo;
    size_t reply_size;     /* of an echo; 0: as long as the frame */
    size_t pause_after;    /* frames; 0: never */
    bool drop_after_frame; /* answer and close */
    unsigned frames_max;   /* of one wake-up; 0: no limit */
    unsigned frames_now;
};

struct loop *rig_create(void); /* listens on a free port, serves */
void rig_destroy(struct loop *loop);
/* The same in two steps, to change the config in between. */
struct loop *rig_new(void);
int rig_listen(struct loop *loop);

void rig_turn(struct loop *loop); /* one wake-up that does not wait */
int rig_connect(struct loop *loop);
void rig_write(int fd, const void *bytes, size_t size); /* all of it */
void rig_write_frame(int fd, const char *text);
/* Reads until size bytes are there, turning the loop; how many came before the
 * end of the stream. */
size_t rig_read(struct loop *loop, int fd, void *bytes, size_t size);
bool rig_at_end(struct loop *loop, int fd); /* no byte more, and closed */

#define RIG_UNTIL(loop, condition)                        \
    do {                                                  \
        int64_t until_ms = clock_monotonic_ms() + 20000;  \
        while (!(condition)) {                            \
            cr_assert_lt(clock_monotonic_ms(), until_ms); \
            rig_turn(loop);                               \
        }                                                 \
    } while (0)

#endif
