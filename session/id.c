#include "session/session.h"

#include "base/check.h"

uint64_t session_id_make(uint64_t server_id, zxid_t zxid)
{
    /* 255 in the top byte of an owner says "TTL node". */
    CHECK(server_id < 255);
    return server_id << 56 | (uint64_t)(zxid_epoch(zxid) & 0xffffff) << 32 |
           zxid_counter(zxid);
}
