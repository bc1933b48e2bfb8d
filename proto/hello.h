/* The first frame on a link between servers, in each direction: who speaks,
 * whom it means, which link this is, and which versions it knows
 * (docs/peer-protocol.md). Bytes <-> struct; the frame is length, CRC-32C,
 * "CRLp", and a `Hello` of peer.proto. What every version can read. */
#ifndef CORRAL_PROTO_HELLO_H
#define CORRAL_PROTO_HELLO_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/slice.h"

#define HELLO_SIZE_MAX 512U /* of a frame behind its length */
#define HELLO_SIZE_MIN 8U   /* CRC and mark */
#define HELLO_REFUSED_MAX 128U
#define HELLO_CLUSTER_ID_SIZE 16

/* Of the messages that follow. */
#define HELLO_VERSION_LEAST 1U
#define HELLO_VERSION 2U

enum hello_link { HELLO_ELECTION = 1, HELLO_QUORUM = 2 };

struct hello {
    uint32_t version_min, version_max; /* at least 1; min <= max */
    enum hello_link link;
    uint64_t sender, receiver; /* ids of servers */
    bool has_cluster;          /* false: its history is empty */
    uint8_t cluster_id[HELLO_CLUSTER_ID_SIZE];
    struct slice refused; /* why; ptr NULL: it is no refusal */
};

/* frame: what is behind the length. refused borrows from the arena.
 * ERR_CORRUPT: the checksum; ERR_MALFORMED; ERR_TOO_BIG. */
int hello_decode(struct slice frame, struct arena *arena, struct hello *hello);
/* Appends the whole frame. */
void hello_encode(const struct hello *hello, struct buf *out);
/* The highest version that both know; 0: there is none. */
uint32_t hello_version(const struct hello *a, const struct hello *b);

#endif
