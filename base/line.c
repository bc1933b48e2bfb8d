#include "base/line.h"

#include <stdarg.h>
#include <stdio.h>

void line_put(struct line *line, const char *format, ...)
{
    size_t room = line->len < line->size ? line->size - line->len : 0;
    va_list args;
    int len;

    va_start(args, format);
    len =
        vsnprintf(room > 0 ? line->text + line->len : NULL, room, format, args);
    va_end(args);
    line->len += len > 0 ? (size_t)len : 0;
}
