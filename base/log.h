/* One event, one line, key=value, to stderr or to a sink.
 *
 * The line is `ts=... level=info event=NAME key=value ...`. Values that hold a
 * space, quote, control character or non-ASCII byte are quoted and escaped, so
 * that no input can forge a line. error = somebody must act; requests are
 * debug. Never log a session password or credentials.
 *
 * Thread: any; a line is written in one call. The level is set before threads
 * start. */
#ifndef CORRAL_BASE_LOG_H
#define CORRAL_BASE_LOG_H

#include <stdbool.h>

#include "base/slice.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

typedef void log_sink_fn(void *arg, struct slice line); /* with its newline */

void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);
/* NULL puts the default (stderr) back. */
void log_set_sink(log_sink_fn *sink, void *arg);

/* A line under construction; fixed size, cut with "..." when full. */
struct log_line {
    char text[1024];
    size_t len;
    enum log_level level;
};

void log_begin(struct log_line *line, enum log_level level, const char *event);
void log_text(struct log_line *line, const char *key, const char *value);
void log_slice(struct log_line *line, const char *key, struct slice value);
void log_int(struct log_line *line, const char *key, int64_t value);
void log_hex(struct log_line *line, const char *key, uint64_t value); /* 0x.. */
void log_end(struct log_line *line); /* writes it */

/* The short form: level, event, printf for the rest ("key=%d key=%s"). Its
 * values must not come from outside. */
void log_event(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
