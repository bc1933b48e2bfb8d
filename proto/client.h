/* The ZooKeeper client protocol: records, and bytes <-> records.
 *
 * Decoding borrows: slices in a decoded record point into the frame, arrays
 * into the arena. The record dies with the first of the two. Encoding of
 * replies computes the size first, so that a reply is written once, in its
 * final place. Frames here are whole packets *with* their 4-byte length where
 * they are written, and without it where they are decoded. */
#ifndef CORRAL_PROTO_CLIENT_H
#define CORRAL_PROTO_CLIENT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/slice.h"
#include "proto/client_op.h"
#include "proto/zxid.h"

/* struct zk_acl, zk_stat, zk_create_request, ... : see client_records.def */
#define RECORD(name) struct zk_##name {
#define BOOL(name) bool name;
#define INT(name) int32_t name;
#define LONG(name) int64_t name;
#define ULONG(name) uint64_t name;
#define BYTES(name) struct slice name;
#define NESTED(type, name) struct zk_##type name;
#define VECTOR(type, name)        \
    const struct zk_##type *name; \
    size_t name##_count;
#define STRINGS(name)         \
    const struct slice *name; \
    size_t name##_count;
#define END(name) \
    }             \
    ;
#include "proto/client_records.def"
#undef RECORD
#undef BOOL
#undef INT
#undef LONG
#undef ULONG
#undef BYTES
#undef NESTED
#undef VECTOR
#undef STRINGS
#undef END

/* What a connection has proved about itself, one of several. */
struct zk_auth {
    struct slice scheme, id;
    bool super; /* bypasses every ACL */
};

/* Parts of a multi or multiRead: what fits a step of the loop. A frame of
 * jute.maxbuffer could hold sixty thousand. */
#define ZK_MULTI_PARTS_MAX 10000

/* One request, or one part of a multi. Only the member that op names is set:
 *   create       CREATE, CREATE2, CREATE_CONTAINER, CREATE_TTL (ttl 0 but for
 *                the last)
 *   path_version DELETE, CHECK
 *   path_watch   EXISTS, GET_DATA, GET_CHILDREN, GET_CHILDREN2
 *   path         GET_ACL, SYNC, GET_EPHEMERALS, GET_ALL_CHILDREN_NUMBER
 *   path_type    CHECK_WATCHES, REMOVE_WATCHES, ADD_WATCH
 *   set_watches  SET_WATCHES (last two lists empty), SET_WATCHES2
 *   multi        MULTI, MULTI_READ; the parts' watch flags are false
 *   nothing      PING, CLOSE_SESSION, WHO_AM_I */
struct client_request {
    int32_t xid;
    enum zk_op op;
    union {
        struct zk_create_ttl_request create;
        struct zk_path_version path_version;
        struct zk_path_watch path_watch;
        struct zk_path path;
        struct zk_path_type path_type;
        struct zk_set_data_request set_data;
        struct zk_set_acl_request set_acl;
        struct zk_reconfig_request reconfig;
        struct zk_auth_request auth;
        struct zk_set_watches2_request set_watches;
        struct zk_token token;
        struct {
            const struct client_request *ops;
            size_t count;
        } multi;
    };
};

/* One answer, or one part of a multi's. With code != ZK_OK there is no body
 * (multi's parts: the code as an int). Only the member that op names is set:
 *   path       CREATE, SYNC
 *   path_stat  CREATE2, CREATE_CONTAINER, CREATE_TTL
 *   stat       EXISTS, SET_DATA, SET_ACL
 *   data       GET_DATA, RECONFIG
 *   acl        GET_ACL
 *   names      GET_CHILDREN, GET_EPHEMERALS
 *   children2  GET_CHILDREN2
 *   value      GET_ALL_CHILDREN_NUMBER; ADD_WATCH (0)
 *   infos      WHO_AM_I
 *   token      SASL
 *   multi      MULTI, MULTI_READ
 *   nothing    DELETE, CHECK, PING, AUTH, CLOSE_SESSION, SET_WATCHES...,
 *              CHECK_WATCHES, REMOVE_WATCHES
 * A part with op ERROR is written as an error also when its code is ZK_OK: in
 * a multi that failed, what stood before the failing op. */
struct client_reply {
    int32_t xid;
    enum zk_op op;
    zxid_t zxid;
    int32_t code;
    union {
        struct zk_path path;
        struct zk_path_stat path_stat;
        struct zk_stat stat;
        struct zk_data_response data;
        struct zk_acl_response acl;
        struct zk_strings_response names;
        struct zk_children2_response children2;
        struct zk_int_response value;
        struct zk_who_am_i_response infos;
        struct zk_token token;
        struct {
            const struct client_reply *parts;
            size_t count;
        } multi;
    };
};

/* The first frame of a connection. */
struct client_connect {
    struct zk_connect_request request;
    bool has_read_only; /* the optional last byte was there: answer in kind */
    bool read_only;
};

/* The frame is without its length. ERR_MALFORMED. */
int client_connect_decode(struct slice frame, struct client_connect *connect);
/* 40 or 41 bytes into out, length included. password is 16 bytes. */
void client_connect_encode_reply(const struct zk_connect_response *response,
                                 bool with_read_only, bool read_only,
                                 struct buf *out);
/* For clients: with its length. */
void client_connect_encode(const struct client_connect *connect,
                           struct buf *out);
/* For clients: the frame is without its length. ERR_MALFORMED. */
int client_connect_decode_reply(struct slice frame,
                                struct zk_connect_response *response,
                                bool *read_only);

/* xid and type alone; the body may still be bad. ERR_MALFORMED: the frame is
 * shorter than a header. */
int client_header_decode(struct slice frame, struct zk_request_header *header);

/* A whole request, frame without its length. The op must be in the table and
 * not INTERNAL (the caller looked at the header). ERR_MALFORMED: answered with
 * ZK_MARSHALLING_ERROR. Bytes behind the record are ignored. request->op is
 * set as in the header; a nested op of another kind than its multi's, or that
 * may not be nested, or with unknown create flags, is ERR_MALFORMED. */
int client_request_decode(struct slice frame, struct arena *arena,
                          struct client_request *request);
/* With its length; for clients, tests and forwarding. */
void client_request_encode(const struct client_request *request,
                           struct buf *out);

/* Bytes of the whole packet, with its length. */
size_t client_reply_size(const struct client_reply *reply);
/* Writes exactly client_reply_size() bytes. */
void client_reply_write(const struct client_reply *reply, uint8_t *to);
/* For clients: the frame is without its length; op is that of the request.
 * ERR_MALFORMED. */
int client_reply_decode(struct slice frame, enum zk_op op, struct arena *arena,
                        struct client_reply *reply);
/* For clients: whose reply is it? ERR_MALFORMED: shorter than a header. */
int client_reply_header_decode(struct slice frame,
                               struct zk_reply_header *header);

/* A notification packet with its length. */
size_t client_event_size(struct slice path);
void client_event_write(enum zk_event_type type, zxid_t zxid, struct slice path,
                        uint8_t *to);
/* For clients: body behind a reply header with xid -1. ERR_MALFORMED. */
int client_event_decode(struct slice body, struct zk_watcher_event *event);

/* Single records, for parts that are written piece by piece (a list of a
 * million children): the 16 bytes of a reply header and the 68 of a stat. */
#define ZK_REPLY_HEADER_SIZE 16
#define ZK_STAT_SIZE 68
struct jute_writer;
void client_write_reply_header(struct jute_writer *writer, int32_t xid,
                               zxid_t zxid, int32_t code);
void client_write_stat(struct jute_writer *writer, const struct zk_stat *stat);

#endif
