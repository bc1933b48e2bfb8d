/* One replica, a disk in memory and clients made of bytes. Nothing happens but
 * by a call; rig_settle() lets the disk answer and long work go on until all is
 * quiet. Each step is checked to do a bounded amount. */
#ifndef CORRAL_TESTS_UNIT_REPLICA_RIG_H
#define CORRAL_TESTS_UNIT_REPLICA_RIG_H

#include "replica/inspect.h"
#include "replica/replica.h"
#include "tests/support/client.h"
#include "tests/support/fake_disk.h"

#define RIG_CLIENTS_MAX 32
#define RIG_MEMBERS_MAX 5

struct rig {
    struct replica_config config;               /* changed before rig_serve() */
    struct zab_member members[RIG_MEMBERS_MAX]; /* the first one, alone */
    /* Whoever plays the others: told of SEND_PEER, CONNECT_PEER, DROP_PEER. */
    void (*on_peer)(struct rig *rig, const struct replica_effect *effect);
    void *others;
    /* One answer of theirs, while the rig settles; false: none. Or NULL. */
    bool (*on_settle)(struct rig *rig);
    bool hold; /* effects gather until rig_flush() */
    struct fake_disk *disk;
    struct replica *replica;
    struct replica_effects effects;
    struct buf frame, log;
    struct test_client clients[RIG_CLIENTS_MAX];
    size_t clients_count;
    uint64_t last_conn_id;
    int64_t now_ms, wall_ms;
    bool serving, accepting, fatal; /* accepting: or read-only */
    bool damaged;
    size_t steps;       /* so far */
    size_t asked[16];   /* of the disk, by enum store_op_type */
    size_t effects_max; /* of one step */
    size_t bytes_max;   /* sent to clients in one step */
};

void rig_init(struct rig *rig);
void rig_finish(struct rig *rig);
void rig_start(struct rig *rig); /* from what is on the disk; one tick */
void rig_serve(struct rig *rig); /* start and settle: it serves */
/* The process dies; of the ops on their way to the disk the first kept are
 * done. The clients' connections are gone, their sessions are not. */
void rig_crash(struct rig *rig, size_t kept);
void rig_restart(struct rig *rig); /* crash, serve */

void rig_step(struct rig *rig, struct replica_input *input);
void rig_flush(struct rig *rig); /* what gathered is carried out */
bool rig_disk(struct rig *rig);  /* one op; false: none waited */
void rig_continue(struct rig *rig);
void rig_settle(struct rig *rig);
void rig_tick(struct rig *rig, uint32_t ticks_late);
void rig_pass(struct rig *rig, int64_t ms); /* ticks, settled */

struct test_client *rig_open(struct rig *rig); /* no handshake yet */
/* A new session, settled; its line is taken. */
struct test_client *rig_connect(struct rig *rig);
/* The client on a new connection, resuming; not settled. */
void rig_resume(struct rig *rig, struct test_client *client);
/* The client on a new connection, without a handshake. */
void rig_reopen(struct rig *rig, struct test_client *client);
void rig_hang_up(struct rig *rig, struct test_client *client);
void rig_handshake(struct rig *rig, struct test_client *client);
void rig_frame(struct rig *rig, struct test_client *client, struct slice frame);
void rig_send(struct rig *rig, struct test_client *client,
              struct client_request request);
void rig_raw(struct rig *rig, struct test_client *client, int32_t op,
             struct slice body);
void rig_ask(struct rig *rig, struct test_client *client,
             struct client_request request); /* send and settle */
/* Plain creates, settled. */
void rig_make(struct rig *rig, struct test_client *client, const char *path,
              const char *data);

/* The lines since the last call must be these. */
void rig_expect(struct test_client *client, const char *lines);
void rig_expect_log(struct rig *rig, const char *part);
struct inspect_server rig_view(const struct rig *rig);

#endif
