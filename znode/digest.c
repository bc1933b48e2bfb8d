#include "znode/digest.h"

#include "znode/node.h"

__extension__ typedef unsigned __int128 u128;

#define SEED_PATH UINT64_C(0x243f6a8885a308d3)
#define SEED_DATA UINT64_C(0x13198a2e03707344)
#define SEED_NULL UINT64_C(0xa4093822299f31d0)
#define K1 UINT64_C(0x9e3779b97f4a7c15)
#define K2 UINT64_C(0xd6e8feb86659fd93)

static uint64_t mix(uint64_t a, uint64_t b);
static uint64_t load(const uint8_t *p);

/* Folded 64x64 multiplications over 16 bytes at a time, as base/map hashes,
 * but this one may never change: it is on disk. */
uint64_t digest_bytes(uint64_t seed, struct slice bytes)
{
    const uint8_t *p = bytes.ptr;
    size_t left = bytes.len;
    uint64_t h = seed ^ K1;
    uint64_t a = 0;
    uint64_t b = 0;

    while (left > 16) {
        h = mix(load(p) ^ K2, load(p + 8) ^ h);
        p += 16;
        left -= 16;
    }
    if (left >= 8) {
        a = load(p);
        b = load(p + (left - 8));
    } else if (left > 0) {
        memcpy(&a, p, left);
    }
    h = mix(a ^ K2, b ^ h);
    return mix(h ^ bytes.len, K1 ^ seed);
}

uint64_t digest_path(struct slice path)
{
    return digest_bytes(SEED_PATH, path);
}

uint64_t digest_of_data(uint64_t path, const struct znode *node)
{
    struct slice data = znode_data(node);

    if ((node->flags & ZNODE_USAGE) != 0) {
        return 0; /* bookkeeping of each server, not replicated */
    }
    if (slice_is_absent(data)) {
        return mix(path ^ K2, SEED_NULL);
    }
    return mix(path ^ K2, digest_bytes(SEED_DATA, data) ^ K1);
}

uint64_t digest_of_stat(uint64_t path, const struct znode *node,
                        uint64_t acl_digest)
{
    uint64_t words[9] = {
        node->czxid,
        node->mzxid,
        node->pzxid,
        (uint64_t)node->ctime_ms,
        (uint64_t)node->mtime_ms,
        (uint64_t)(uint32_t)node->version << 32 | (uint32_t)node->aversion,
        znode_sequence(node),
        node->owner,
        acl_digest,
    };

    return digest_bytes(path, slice_make(words, sizeof(words)));
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    u128 product = (u128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Little-endian, as base/bytes.h asserts of the machine. */
static uint64_t load(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}
