#include "proto/peer.h"

#include "proto/peer.pb-c.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/mem.h"
#include "proto/pb.h"
#include "proto/peer_body.h"

#define LENGTH_SIZE 4U
#define CRC_SIZE 4U
/* What the frame's length counts and PEER_FRAME_SIZE_MAX does not. */
#define PREFIX_SIZE (CRC_SIZE + 4U)
/* Sizes of payloads built on the stack; more cost an allocation. */
#define SIZES_FEW 64

/* How many payloads, and of which sizes. */
struct payloads_rule {
    uint32_t count_min, count_max;
    uint32_t unit;      /* sizes are multiples of it; 0: any */
    uint32_t units_max; /* at most so many */
};

static struct payloads_rule payloads_rule(uint32_t type,
                                          const struct peer_msg *msg);
static bool is_batch(uint32_t type);
static int payloads_check(const Peer__Head *head, const struct peer_msg *msg,
                          size_t bytes);
static void payloads_get(const Peer__Head *head, const uint8_t *bytes,
                         struct arena *arena, struct peer_msg *msg);
static void payload_sizes(const struct peer_msg *msg, uint32_t *sizes);
static void seal(const struct peer_msg *msg, uint8_t *frame, size_t head_len);

int peer_msg_decode(struct slice frame, struct arena *arena,
                    struct peer_msg *msg)
{
    const Peer__Head *head;
    uint32_t head_len;
    struct slice rest;
    int err;

    if (frame.len < PREFIX_SIZE) {
        return ERR_MALFORMED;
    }
    if (frame.len - PREFIX_SIZE > PEER_FRAME_SIZE_MAX) {
        return ERR_TOO_BIG;
    }
    rest = slice_after(frame, CRC_SIZE);
    if (crc32c(0, rest) != bytes_load32(frame.ptr)) {
        return ERR_CORRUPT;
    }
    head_len = bytes_load32(rest.ptr);
    rest = slice_after(frame, PREFIX_SIZE);
    if (head_len > rest.len) {
        return ERR_MALFORMED;
    }
    head = pb_unpack(&peer__head__descriptor, arena,
                     slice_make(rest.ptr, head_len));
    if (head == NULL) {
        return ERR_MALFORMED;
    }
    rest = slice_after(rest, head_len);
    memset(msg, 0, sizeof(*msg));
    err = peer_body_get(head, arena, msg);
    if (err == 0) {
        err = payloads_check(head, msg, rest.len);
    }
    if (err != 0) {
        return err;
    }
    msg->type = (enum peer_msg_type)head->type;
    msg->epoch = head->epoch;
    msg->zxid = head->zxid;
    payloads_get(head, rest.ptr, arena, msg);
    return 0;
}

void peer_msg_encode_head(const struct peer_msg *msg, struct buf *out)
{
    size_t begin = out->len;
    uint32_t few[SIZES_FEW], *many = NULL;
    struct peer_body body;
    Peer__Head head;

    if (msg->payloads_count > SIZES_FEW) {
        many = MEM_ARRAY(uint32_t, msg->payloads_count);
    }
    peer__head__init(&head);
    head.type = msg->type;
    head.epoch = msg->epoch;
    head.zxid = msg->zxid;
    head.n_payload_sizes = msg->payloads_count;
    head.payload_sizes = many != NULL ? many : few;
    payload_sizes(msg, head.payload_sizes);
    peer_body_put(&body, msg, &head);
    (void)buf_extend(out, LENGTH_SIZE + PREFIX_SIZE);
    pb_pack(&head.base, out);
    peer_body_finish(&body);
    mem_free(many);
    seal(msg, out->data + begin, out->len - begin - LENGTH_SIZE - PREFIX_SIZE);
}

void peer_msg_finish(struct peer_msg *msg)
{
    for (uint32_t i = 0; i < msg->payloads_count; i++) {
        blob_unref(msg->payloads[i]);
    }
    msg->payloads_count = 0;
}

static struct payloads_rule payloads_rule(uint32_t type,
                                          const struct peer_msg *msg)
{
    switch (type) {
        case PEER_PROPOSE:
        case PEER_INFORM:
            return (struct payloads_rule){1, PEER_PAYLOADS_MAX, 0, 0};
        case PEER_SNAP_CHUNK:
        case PEER_REQUEST:
            return (struct payloads_rule){1, 1, 0, 0};
        case PEER_RECLAIM:
            return (struct payloads_rule){1, 1, PEER_RECLAIM_SIZE,
                                          PEER_RECLAIM_MAX};
        case PEER_STATUS:
            return (struct payloads_rule){0, 1, (uint32_t)peer_status_size(msg),
                                          PEER_STATUS_MAX};
        default:
            return (struct payloads_rule){0, 0, 0, 0};
    }
}

static bool is_batch(uint32_t type)
{
    return type == PEER_PROPOSE || type == PEER_INFORM;
}

/* Nothing is allocated before their sizes are what the frame has. */
static int payloads_check(const Peer__Head *head, const struct peer_msg *msg,
                          size_t bytes)
{
    struct payloads_rule rule = payloads_rule(head->type, msg);
    size_t count = head->n_payload_sizes, left = bytes;

    if (is_batch(head->type) && count > rule.count_max) {
        return ERR_TOO_BIG;
    }
    if (count < rule.count_min || count > rule.count_max) {
        return ERR_MALFORMED;
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t size = head->payload_sizes[i];

        if (size > left || (rule.unit > 0 && size % rule.unit != 0)) {
            return ERR_MALFORMED;
        }
        if (rule.unit > 0 && size / rule.unit > rule.units_max) {
            return ERR_TOO_BIG;
        }
        left -= size;
    }
    /* Zxids without gap: all of one epoch. */
    if (is_batch(head->type) &&
        count - 1 > UINT32_MAX - zxid_counter(head->zxid)) {
        return ERR_MALFORMED;
    }
    return left == 0 ? 0 : ERR_MALFORMED;
}

static void payloads_get(const Peer__Head *head, const uint8_t *bytes,
                         struct arena *arena, struct peer_msg *msg)
{
    size_t count = head->n_payload_sizes;

    if (count == 0) {
        return;
    }
    msg->payloads_count = (uint32_t)count;
    msg->payloads = ARENA_NEW(arena, struct blob *, count);
    for (size_t i = 0; i < count; i++) {
        msg->payloads[i] = blob_copy(slice_make(bytes, head->payload_sizes[i]));
        bytes += head->payload_sizes[i];
    }
}

/* A message that the other end would not take is a bug of its maker. */
static void payload_sizes(const struct peer_msg *msg, uint32_t *sizes)
{
    struct payloads_rule rule = payloads_rule(msg->type, msg);

    CHECK(msg->payloads_count >= rule.count_min);
    CHECK(msg->payloads_count <= rule.count_max);
    for (uint32_t i = 0; i < msg->payloads_count; i++) {
        size_t len = blob_bytes(msg->payloads[i]).len;

        CHECK(len <= UINT32_MAX);
        CHECK(rule.unit == 0 ||
              (len % rule.unit == 0 && len / rule.unit <= rule.units_max));
        sizes[i] = (uint32_t)len;
    }
}

/* What stands before the head: its length, and length and CRC of all. */
static void seal(const struct peer_msg *msg, uint8_t *frame, size_t head_len)
{
    uint8_t *summed = frame + LENGTH_SIZE + CRC_SIZE;
    size_t total = PREFIX_SIZE + head_len;
    uint32_t crc;

    bytes_store32(summed, (uint32_t)head_len);
    crc = crc32c(0, slice_make(summed, PREFIX_SIZE - CRC_SIZE + head_len));
    for (uint32_t i = 0; i < msg->payloads_count; i++) {
        struct slice bytes = blob_bytes(msg->payloads[i]);

        crc = crc32c(crc, bytes);
        total += bytes.len;
    }
    CHECK(total <= UINT32_MAX);
    bytes_store32(frame, (uint32_t)total);
    bytes_store32(frame + LENGTH_SIZE, crc);
}
