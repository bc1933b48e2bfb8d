#include "proto/hello.h"

#include "proto/peer.pb-c.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "proto/pb.h"

#define LENGTH_SIZE 4U
#define CRC_SIZE 4U

static const char mark[4] = {'C', 'R', 'L', 'p'};

static int check(const Peer__Hello *in);

int hello_decode(struct slice frame, struct arena *arena, struct hello *hello)
{
    const Peer__Hello *in;
    int err;

    if (frame.len > HELLO_SIZE_MAX) {
        return ERR_TOO_BIG;
    }
    if (frame.len < HELLO_SIZE_MIN ||
        memcmp(frame.ptr + CRC_SIZE, mark, sizeof(mark)) != 0) {
        return ERR_MALFORMED;
    }
    if (crc32c(0, slice_after(frame, CRC_SIZE)) != bytes_load32(frame.ptr)) {
        return ERR_CORRUPT;
    }
    in = pb_unpack(&peer__hello__descriptor, arena,
                   slice_after(frame, HELLO_SIZE_MIN));
    if (in == NULL) {
        return ERR_MALFORMED;
    }
    err = check(in);
    if (err != 0) {
        return err;
    }
    memset(hello, 0, sizeof(*hello));
    hello->version_min = in->version_min;
    hello->version_max = in->version_max;
    hello->link = (enum hello_link)in->link;
    hello->sender = in->sender;
    hello->receiver = in->receiver;
    hello->has_cluster = in->has_cluster_id != 0;
    if (hello->has_cluster) {
        memcpy(hello->cluster_id, in->cluster_id.data, HELLO_CLUSTER_ID_SIZE);
    }
    if (in->has_refused != 0) {
        hello->refused = pb_slice(&in->refused);
    }
    return 0;
}

void hello_encode(const struct hello *hello, struct buf *out)
{
    size_t begin = out->len, len;
    struct slice summed;
    uint8_t *frame;
    Peer__Hello to;

    peer__hello__init(&to);
    to.version_min = hello->version_min;
    to.version_max = hello->version_max;
    to.link = hello->link;
    to.sender = hello->sender;
    to.receiver = hello->receiver;
    if (hello->has_cluster) {
        to.has_cluster_id = 1;
        to.cluster_id =
            pb_bytes(slice_make(hello->cluster_id, sizeof(hello->cluster_id)));
    }
    if (!slice_is_absent(hello->refused)) {
        to.has_refused = 1;
        to.refused = pb_bytes(hello->refused);
    }
    CHECK(check(&to) == 0);
    (void)buf_extend(out, LENGTH_SIZE + HELLO_SIZE_MIN);
    pb_pack(&to.base, out);
    frame = out->data + begin;
    len = out->len - begin - LENGTH_SIZE;
    CHECK(len <= HELLO_SIZE_MAX);
    memcpy(frame + LENGTH_SIZE + CRC_SIZE, mark, sizeof(mark));
    summed = slice_make(frame + LENGTH_SIZE + CRC_SIZE, len - CRC_SIZE);
    bytes_store32(frame, (uint32_t)len);
    bytes_store32(frame + LENGTH_SIZE, crc32c(0, summed));
}

uint32_t hello_version(const struct hello *a, const struct hello *b)
{
    uint32_t version =
        a->version_max < b->version_max ? a->version_max : b->version_max;

    return version >= a->version_min && version >= b->version_min ? version : 0;
}

static int check(const Peer__Hello *in)
{
    if (in->version_min == 0 || in->version_min > in->version_max) {
        return ERR_MALFORMED;
    }
    if (in->link != HELLO_ELECTION && in->link != HELLO_QUORUM) {
        return ERR_MALFORMED;
    }
    if (in->has_cluster_id != 0 &&
        in->cluster_id.len != HELLO_CLUSTER_ID_SIZE) {
        return ERR_MALFORMED;
    }
    if (in->has_refused != 0 && in->refused.len > HELLO_REFUSED_MAX) {
        return ERR_TOO_BIG;
    }
    return 0;
}
