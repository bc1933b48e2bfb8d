/* Framing of the client port: a 32-bit length, then that many bytes; and what
 * the first four bytes of a connection may be instead. Reads from bytes that
 * the caller holds; allocates nothing. */
#ifndef CORRAL_PROTO_FRAME_H
#define CORRAL_PROTO_FRAME_H

#include "base/slice.h"

enum frame_status {
    FRAME_WHOLE,  /* *frame is set; *used bytes are spent */
    FRAME_MORE,   /* not there yet */
    FRAME_TOO_BIG /* negative or over size_max: close the connection */
};

/* The next frame at the start of bytes; size_max is jute.maxbuffer. A frame
 * without content (length 0) is whole. The frame is without its length. */
enum frame_status frame_next(struct slice bytes, uint32_t size_max,
                             struct slice *frame, size_t *used);

/* The four-letter word that a fresh connection begins with (its first four
 * bytes), as static text, or NULL: then they are a frame's length. */
const char *frame_four_letter_word(const uint8_t first[4]);

#endif
