/* One line of text, written piece by piece into the caller's memory, as
 * snprintf() does: what has no room is counted. */
#ifndef CORRAL_BASE_LINE_H
#define CORRAL_BASE_LINE_H

#include <stddef.h>

struct line {
    char *text; /* size bytes, with the NUL */
    size_t size;
    size_t len; /* that it would have */
};

void line_put(struct line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
