#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"

void buf_init(struct buf *buf)
{
    *buf = (struct buf){0};
}

void buf_finish(struct buf *buf)
{
    mem_free(buf->data);
    *buf = (struct buf){0};
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
}

uint8_t *buf_extend(struct buf *buf, size_t n)
{
    uint8_t *place;

    CHECK(n <= SIZE_MAX - buf->len);
    if (buf->len + n > buf->capacity) {
        size_t wanted = buf->len + n < 64 ? 64 : buf->len + n;

        buf->data = mem_grow(buf->data, &buf->capacity, wanted, 1);
    }
    place = buf->data + buf->len;
    buf->len += n;
    return place;
}

void buf_append(struct buf *buf, struct slice bytes)
{
    if (bytes.len > 0) {
        memcpy(buf_extend(buf, bytes.len), bytes.ptr, bytes.len);
    }
}

void buf_append_text(struct buf *buf, const char *text)
{
    buf_append(buf, slice_from_text(text));
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    size_t before = buf->len;
    int len;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    CHECK(len >= 0);
    va_start(args, format);
    (void)vsnprintf((char *)buf_extend(buf, (size_t)len + 1), (size_t)len + 1,
                    format, args);
    va_end(args);
    buf->len = before + (size_t)len;
}

struct slice buf_bytes(const struct buf *buf)
{
    return slice_make(buf->data, buf->len);
}
