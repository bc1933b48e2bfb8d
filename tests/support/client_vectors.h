/* Whole packets as real ZooKeeper servers and clients send them, in hex: the
 * checks of our codec that our codec did not write. */
#ifndef CORRAL_TESTS_SUPPORT_CLIENT_VECTORS_H
#define CORRAL_TESTS_SUPPORT_CLIENT_VECTORS_H

#include "base/arena.h"

/* new session, 30 s */
#define VECTOR_CONNECT                        \
    "0000002d"         /* length */           \
    "00000000"         /* protocol version */ \
    "0000000000000000" /* last zxid seen */   \
    "00007530"         /* timeout */          \
    "0000000000000000" /* session id */       \
    "00000010"         /* password */         \
    "00000000000000000000000000000000"        \
    "00" /* read only */
/* the same of an old client: no last byte */
#define VECTOR_CONNECT_OLD                                     \
    "0000002c000000000000000000000000000075300000000000000000" \
    "0000001000000000000000000000000000000000"
#define VECTOR_CONNECT_REPLY                           \
    "000000250000000000007530010000000000000100000010" \
    "000102030405060708090a0b0c0d0e0f00"
#define VECTOR_CONNECT_EXPIRED                         \
    "000000250000000000000000000000000000000000000010" \
    "0000000000000000000000000000000000"
#define VECTOR_PING "00000008fffffffe0000000b"
#define VECTOR_PING_REPLY "00000010fffffffe000000010000002a00000000"
/* digest user:password */
#define VECTOR_AUTH                                                \
    "00000027fffffffc0000006400000000000000066469676573740000000d" \
    "757365723a70617373776f7264"
#define VECTOR_AUTH_REPLY "00000010fffffffc000000000000000000000000"
/* /a "hi", ephemeral, world:anyone:cdrwa */
#define VECTOR_CREATE                                            \
    "000000330000000100000001000000022f610000000268690000000100" \
    "00001f00000005776f726c6400000006616e796f6e6500000001"
#define VECTOR_CREATE_REPLY \
    "0000001600000001000000010000000300000000000000022f61"
#define VECTOR_EXISTS "0000000f0000000200000003000000022f7801"
#define VECTOR_NO_NODE_REPLY "00000010000000020000000100000003ffffff9b"
/* NodeCreated /x */
#define VECTOR_EVENT \
    "0000001effffffff0000000100000004000000000000000100000003000000022f78"
/* check /a version 0, delete /a any version */
#define VECTOR_MULTI                         \
    "00000037000000040000000e"               \
    "0000000d00ffffffff000000022f6100000000" \
    "0000000200ffffffff000000022f61ffffffff" \
    "ffffffff01ffffffff"
#define VECTOR_MULTI_REPLY                     \
    "0000002b00000004000000010000000500000000" \
    "0000000d0000000000"                       \
    "000000020000000000"                       \
    "ffffffff01ffffffff"
#define VECTOR_CLOSE_SESSION "0000000800000005fffffff5"
#define VECTOR_CLOSE_SESSION_REPLY "0000001000000005000000010000000600000000"

/* The bytes that hex says, in the arena. */
struct slice bytes_from_hex(struct arena *arena, const char *hex);
/* A packet's frame: without the length, which must be right. */
struct slice frame_from_hex(struct arena *arena, const char *hex);

#endif
