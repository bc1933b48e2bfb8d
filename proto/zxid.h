/* zxid: epoch in the high 32 bits, counter in the low 32. */
#ifndef CORRAL_PROTO_ZXID_H
#define CORRAL_PROTO_ZXID_H

#include <stdint.h>

typedef uint64_t zxid_t;

static inline zxid_t zxid_make(uint32_t epoch, uint32_t counter)
{
    return ((zxid_t)epoch << 32) | counter;
}

static inline uint32_t zxid_epoch(zxid_t zxid)
{
    return (uint32_t)(zxid >> 32);
}

static inline uint32_t zxid_counter(zxid_t zxid)
{
    return (uint32_t)(zxid & UINT32_MAX);
}

#endif
