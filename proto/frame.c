#include "proto/frame.h"

#include "base/bytes.h"

#define LENGTH_SIZE 4

/* The words of ZooKeeper 3.10, those that nobody whitelists included: they are
 * recognised, so that they can be refused in words. */
static const char words[][5] = {
    "conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "hash", "isro",
    "mntr", "ruok", "srst", "srvr", "stat", "stmk", "wchc", "wchp", "wchs",
};

enum frame_status frame_next(struct slice bytes, uint32_t size_max,
                             struct slice *frame, size_t *used)
{
    uint32_t len;

    if (bytes.len < LENGTH_SIZE) {
        return FRAME_MORE;
    }
    len = bytes_load32(bytes.ptr);
    /* A negative length is a huge one here, also where no limit is set. */
    if (len > size_max || len > INT32_MAX) {
        return FRAME_TOO_BIG;
    }
    if (bytes.len - LENGTH_SIZE < len) {
        return FRAME_MORE;
    }
    *frame = slice_make(bytes.ptr + LENGTH_SIZE, len);
    *used = LENGTH_SIZE + (size_t)len;
    return FRAME_WHOLE;
}

const char *frame_four_letter_word(const uint8_t first[4])
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (memcmp(words[i], first, 4) == 0) {
            return words[i];
        }
    }
    return NULL;
}
