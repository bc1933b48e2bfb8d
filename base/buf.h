/* A growing byte buffer to write into. Owns its memory. A zeroed struct is a
 * valid empty one. */
#ifndef CORRAL_BASE_BUF_H
#define CORRAL_BASE_BUF_H

#include "base/slice.h"

struct buf {
    uint8_t *data;
    size_t len;
    size_t capacity;
};

void buf_init(struct buf *buf);
void buf_finish(struct buf *buf);               /* frees; buf is empty again */
void buf_clear(struct buf *buf);                /* len = 0, memory kept */
uint8_t *buf_extend(struct buf *buf, size_t n); /* n more bytes, to fill in */
void buf_append(struct buf *buf, struct slice bytes);
void buf_append_text(struct buf *buf, const char *text); /* without the NUL */
/* printf into the buffer, without the NUL. */
void buf_printf(struct buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
struct slice buf_bytes(const struct buf *buf); /* until the next change */

#endif
