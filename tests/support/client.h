/* A client made of bytes: request packets out, answers and events in, told as
 * lines of text. Knows no server and no socket. One thread. */
#ifndef CORRAL_TESTS_CLIENT_H
#define CORRAL_TESTS_CLIENT_H

#include "base/arena.h"
#include "base/buf.h"
#include "proto/client.h"

#define TEST_CLIENT_OPS_MAX 4096

struct test_client {
    uint64_t conn_id;
    uint64_t session_id;
    uint8_t password[16];
    int32_t timeout_ms;
    int32_t xid; /* of the last request */
    zxid_t zxid; /* highest header seen */
    bool connected, refused, closed, paused;
    bool read_only;  /* it allows that, in its handshake */
    bool went_back;  /* a reply header's zxid was below the one before */
    const char *why; /* the server's reason to close */
    /* What was asked and not yet answered, in order. */
    struct {
        int32_t xid;
        enum zk_op op;
    } asked[TEST_CLIENT_OPS_MAX];
    size_t asked_count;
    size_t answers, events; /* counted */
    struct buf text;        /* one line per packet taken */
    bool quiet;             /* count, write no lines */
    struct arena *arena;
};

void test_client_init(struct test_client *client, uint64_t conn_id);
void test_client_finish(struct test_client *client);

/* Frames without their length, in out, which is cleared first. Requests get
 * the next xid, but for ping, auth and setWatches. */
void test_client_connect(struct test_client *client, int32_t timeout_ms,
                         struct buf *out); /* resumes if it has a session */
void test_client_request(struct test_client *client,
                         struct client_request *request, struct buf *out);
/* Any bytes as a body behind a header; the answer is taken as op's. */
void test_client_raw(struct test_client *client, int32_t op, struct slice body,
                     struct buf *out);

/* One packet with its length. Lines:
 *   session 10000 | read-only 10000 | refused
 *   event created /a z3
 *   1 create z2 /a          xid, op, zxid's counter, what op answers
 *   2 getData z2 -101       a code */
void test_client_take(struct test_client *client, struct slice packet);

/* Requests, short. Strings must outlive the call to test_client_request(). */
struct client_request request_create(const char *path, const char *data,
                                     int32_t flags);
struct client_request request_path(enum zk_op op, const char *path);
struct client_request request_watch(enum zk_op op, const char *path,
                                    bool watch);
struct client_request request_delete(const char *path, int32_t version);
struct client_request request_set(const char *path, const char *data,
                                  int32_t version);
struct client_request request_type(enum zk_op op, const char *path,
                                   int32_t type);
struct client_request request_auth(const char *scheme, const char *auth);
struct client_request request_plain(enum zk_op op);
struct client_request
request_multi(enum zk_op op, const struct client_request *ops, size_t count);

#endif
