#include "base/mem.h"
#include "server/config_internal.h"

/* Java's Properties.load(): what a zoo.cfg really is. Bytes over 127 are taken
 * as UTF-8 as they are. */
struct reader {
    struct slice rest;
    size_t line; /* of the last one taken, from 1 */
};

/* A logical line: natural ones joined by a backslash at the end. */
struct logical {
    struct buf text;
    size_t line; /* the first one's number */
};

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\f';
}

static struct slice trim_left(struct slice s)
{
    while (s.len > 0 && is_blank(*s.ptr)) {
        s = slice_after(s, 1);
    }
    return s;
}

/* The next natural line, without its end: \n, \r or \r\n. */
static bool take_line(struct reader *reader, struct slice *line)
{
    size_t len = 0;
    struct slice rest = reader->rest;

    if (rest.len == 0) {
        return false;
    }
    while (len < rest.len && rest.ptr[len] != '\n' && rest.ptr[len] != '\r') {
        len++;
    }
    *line = slice_make(rest.ptr, len);
    if (len + 1 < rest.len && rest.ptr[len] == '\r' &&
        rest.ptr[len + 1] == '\n') {
        len++;
    }
    reader->rest = slice_after(rest, len < rest.len ? len + 1 : len);
    reader->line++;
    return true;
}

/* An odd number of backslashes at the end: the next line belongs to it. */
static bool is_continued(struct slice line)
{
    size_t backslashes = 0;

    while (backslashes < line.len &&
           line.ptr[line.len - 1 - backslashes] == '\\') {
        backslashes++;
    }
    return backslashes % 2 == 1;
}

/* False at the end of the text. Blank lines and comments are skipped. */
static bool take_logical(struct reader *reader, struct logical *logical)
{
    struct slice line;

    buf_clear(&logical->text);
    do {
        if (!take_line(reader, &line)) {
            return false;
        }
        line = trim_left(line);
    } while (line.len == 0 || *line.ptr == '#' || *line.ptr == '!');
    logical->line = reader->line;
    while (is_continued(line)) {
        buf_append(&logical->text, slice_make(line.ptr, line.len - 1));
        if (!take_line(reader, &line)) {
            return true;
        }
        line = trim_left(line);
    }
    buf_append(&logical->text, line);
    return true;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hexadecimal digits. */
static bool take_unit(struct slice *s, uint32_t *unit)
{
    *unit = 0;
    if (s->len < 4) {
        return false;
    }
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_digit(s->ptr[i]);

        if (digit < 0) {
            return false;
        }
        *unit = *unit << 4 | (uint32_t)digit;
    }
    *s = slice_after(*s, 4);
    return true;
}

static void append_utf8(struct buf *out, uint32_t c)
{
    uint8_t bytes[4];
    size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

    if (len == 1) {
        bytes[0] = (uint8_t)c;
    } else {
        static const uint8_t first[] = {0, 0, 0xc0, 0xe0, 0xf0};

        bytes[0] = (uint8_t)(first[len] | c >> 6 * (len - 1));
        for (size_t i = 1; i < len; i++) {
            bytes[i] = (uint8_t)(0x80 | (c >> 6 * (len - 1 - i) & 0x3f));
        }
    }
    buf_append(out, slice_make(bytes, len));
}

/* What follows \u: UTF-16, so perhaps two of them. */
static bool take_unicode(struct slice *s, struct buf *out)
{
    uint32_t c, low;

    if (!take_unit(s, &c) || c == 0 || (c >= 0xdc00 && c < 0xe000)) {
        return false;
    }
    if (c >= 0xd800 && c < 0xdc00) {
        if (s->len < 2 || s->ptr[0] != '\\' || s->ptr[1] != 'u') {
            return false;
        }
        *s = slice_after(*s, 2);
        if (!take_unit(s, &low) || low < 0xdc00 || low >= 0xe000) {
            return false;
        }
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    append_utf8(out, c);
    return true;
}

/* One character, escapes resolved. False: a broken \u. */
static bool take_character(struct slice *s, struct buf *out)
{
    static const char names[] = "tnrf";
    static const char meant[] = "\t\n\r\f";
    const char *name;
    uint8_t c = *s->ptr;

    *s = slice_after(*s, 1);
    if (c == '\\' && s->len > 0) {
        c = *s->ptr;
        *s = slice_after(*s, 1);
        if (c == 'u') {
            return take_unicode(s, out);
        }
        name = c == '\0' ? NULL : strchr(names, c);
        if (name != NULL) {
            c = (uint8_t)meant[name - names];
        }
    }
    buf_append(out, slice_make(&c, 1));
    return true;
}

/* Up to an unescaped '=', ':' or blank. */
static bool take_key(struct slice *s, struct buf *key)
{
    while (s->len > 0 && *s->ptr != '=' && *s->ptr != ':' &&
           !is_blank(*s->ptr)) {
        if (!take_character(s, key)) {
            return false;
        }
    }
    *s = trim_left(*s);
    if (s->len > 0 && (*s->ptr == '=' || *s->ptr == ':')) {
        *s = trim_left(slice_after(*s, 1));
    }
    return true;
}

/* Gives a copy without white space at both ends, as QuorumPeerConfig does. */
static char *trimmed(const struct buf *text)
{
    size_t start = 0, end = text->len;
    char *copy;

    while (start < end && text->data[start] <= ' ') {
        start++;
    }
    while (end > start && text->data[end - 1] <= ' ') {
        end--;
    }
    copy = mem_alloc(end - start + 1);
    if (end > start) {
        memcpy(copy, text->data + start, end - start);
    }
    copy[end - start] = '\0';
    return copy;
}

static void add_entry(struct config_parser *parser, const struct buf *key,
                      const struct buf *value, size_t line)
{
    static const char prefix[] = "zookeeper.";
    struct config_entry entry = {.file = parser->name, .line = line};
    char *name = trimmed(key);
    bool prefixed = strncmp(name, prefix, sizeof(prefix) - 1) == 0;

    entry.key = mem_copy_text(prefixed ? name + sizeof(prefix) - 1 : name);
    mem_free(name);
    entry.value = trimmed(value);
    parser->entries = mem_grow(parser->entries, &parser->entries_capacity,
                               parser->entries_count + 1, sizeof(entry));
    parser->entries[parser->entries_count++] = entry;
}

/* Keys are shown in messages as they are. */
static bool is_name(const struct buf *key)
{
    for (size_t i = 0; i < key->len; i++) {
        if (key->data[i] <= ' ' || key->data[i] > '~') {
            return false;
        }
    }
    return true;
}

static void take_entry(struct config_parser *parser,
                       const struct logical *logical)
{
    struct slice rest = buf_bytes(&logical->text);
    struct buf key = {0}, value = {0};
    bool whole = take_key(&rest, &key);

    while (whole && rest.len > 0) {
        whole = take_character(&rest, &value);
    }
    if (!whole) {
        config_problem(parser, logical->line,
                       "a \\u without four hexadecimal digits");
    } else if (key.len == 0) {
        config_problem(parser, logical->line, "a value without a key");
    } else if (!is_name(&key)) {
        config_problem(parser, logical->line, "a key of odd characters");
    } else if (key.len > CONFIG_KEY_MAX) {
        config_problem(parser, logical->line, "a key of over %d bytes",
                       CONFIG_KEY_MAX);
    } else if (value.len > CONFIG_VALUE_MAX) {
        config_problem(parser, logical->line, "a value of over %d bytes",
                       CONFIG_VALUE_MAX);
    } else {
        add_entry(parser, &key, &value, logical->line);
    }
    buf_finish(&key);
    buf_finish(&value);
}

void config_text_split(struct config_parser *parser, struct slice text)
{
    static const char mark[] = "\xef\xbb\xbf"; /* UTF-8 */
    struct reader reader = {.rest = text};
    struct logical logical = {{0}, 0};

    if (slice_starts_with(text, SLICE_LITERAL(mark))) {
        reader.rest = slice_after(text, sizeof(mark) - 1);
    }
    while (take_logical(&reader, &logical)) {
        if (parser->entries_count == CONFIG_ENTRIES_MAX) {
            config_problem(parser, logical.line, "more than %d settings",
                           CONFIG_ENTRIES_MAX);
            break;
        }
        take_entry(parser, &logical);
    }
    buf_finish(&logical.text);
}
