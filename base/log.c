#include "base/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static enum log_level level_max = LOG_INFO;
static log_sink_fn *sink_fn;
static void *sink_arg;

static void put(struct log_line *line, const char *text, size_t len);
static void put_quoted(struct log_line *line, struct slice value);

void log_set_level(enum log_level level)
{
    level_max = level;
}

bool log_enabled(enum log_level level)
{
    return level <= level_max;
}

void log_set_sink(log_sink_fn *sink, void *arg)
{
    sink_fn = sink;
    sink_arg = arg;
}

static const char *level_text(enum log_level level)
{
    switch (level) {
        case LOG_ERROR:
            return "error";
        case LOG_WARN:
            return "warn";
        case LOG_INFO:
            return "info";
        case LOG_DEBUG:
            return "debug";
    }
    return "?";
}

void log_begin(struct log_line *line, enum log_level level, const char *event)
{
    struct timespec now;
    struct tm utc;
    char stamp[32];

    line->len = 0;
    line->level = level;
    if (!log_enabled(level)) {
        return;
    }
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    (void)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
    line->len = (size_t)snprintf(
        line->text, sizeof(line->text), "ts=%s.%03ldZ level=%s event=%s", stamp,
        now.tv_nsec / 1000000, level_text(level), event);
}

void log_text(struct log_line *line, const char *key, const char *value)
{
    log_slice(line, key, slice_from_text(value));
}

static void put_key(struct log_line *line, const char *key)
{
    put(line, " ", 1);
    put(line, key, strlen(key));
    put(line, "=", 1);
}

static bool is_plain(uint8_t c)
{
    return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
}

void log_slice(struct log_line *line, const char *key, struct slice value)
{
    bool plain = value.len > 0;

    if (line->len == 0) {
        return;
    }
    put_key(line, key);
    for (size_t i = 0; i < value.len && plain; i++) {
        plain = is_plain(value.ptr[i]);
    }
    if (plain) {
        put(line, (const char *)value.ptr, value.len);
    } else {
        put_quoted(line, value);
    }
}

void log_int(struct log_line *line, const char *key, int64_t value)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "%" PRId64, value);

    if (line->len > 0) {
        put_key(line, key);
        put(line, text, (size_t)len);
    }
}

void log_hex(struct log_line *line, const char *key, uint64_t value)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "0x%" PRIx64, value);

    if (line->len > 0) {
        put_key(line, key);
        put(line, text, (size_t)len);
    }
}

void log_end(struct log_line *line)
{
    /* Room for the newline is kept by put(). */
    if (line->len == 0) {
        return;
    }
    line->text[line->len++] = '\n';
    if (sink_fn != NULL) {
        sink_fn(sink_arg, slice_make(line->text, line->len));
    } else if (write(STDERR_FILENO, line->text, line->len) < 0) {
        /* Nowhere left to say so. */
        return;
    }
}

void log_event(enum log_level level, const char *event, const char *format, ...)
{
    struct log_line line;
    char text[512];
    va_list args;
    int len;

    if (!log_enabled(level)) {
        return;
    }
    log_begin(&line, level, event);
    va_start(args, format);
    len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len > 0) {
        put(&line, " ", 1);
        put(&line, text,
            (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
    }
    log_end(&line);
}

/* The last five bytes are kept for "..." and the newline. */
static void put(struct log_line *line, const char *text, size_t len)
{
    size_t room = sizeof(line->text) - 5;

    if (line->len >= room) {
        return;
    }
    if (len > room - line->len) {
        len = room - line->len;
        memcpy(line->text + line->len, text, len);
        memcpy(line->text + line->len + len, "...", 3);
        line->len += len + 3;
        return;
    }
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

static void put_quoted(struct log_line *line, struct slice value)
{
    put(line, "\"", 1);
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.ptr[i];
        char escaped[8];

        if (c == '"' || c == '\\') {
            int len = snprintf(escaped, sizeof(escaped), "\\%c", c);

            put(line, escaped, (size_t)len);
        } else if (c >= ' ' && c < 0x7f) {
            put(line, (const char *)&value.ptr[i], 1);
        } else {
            int len = snprintf(escaped, sizeof(escaped), "\\x%02x", c);

            put(line, escaped, (size_t)len);
        }
    }
    put(line, "\"", 1);
}
