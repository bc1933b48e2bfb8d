#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "proto/frame.h"
#include "server/config_internal.h"

#define SHA1_BASE64_LEN 28

static const char *const level_names[] = {[LOG_ERROR] = "error",
                                          [LOG_WARN] = "warn",
                                          [LOG_INFO] = "info",
                                          [LOG_DEBUG] = "debug"};
#define LEVELS_COUNT (sizeof(level_names) / sizeof(level_names[0]))

static bool same_word(const char *a, const char *b)
{
    while (*a != '\0' && tolower((unsigned char)*a) == *b) {
        a++;
        b++;
    }
    return *a == '\0' && *b == '\0';
}

static bool parse_bool(const char *text, bool *value)
{
    *value = same_word(text, "true") || same_word(text, "yes");
    return *value || same_word(text, "false") || same_word(text, "no");
}

bool config_value_int(const char *text, int64_t *value)
{
    const char *digits = text + (*text == '-' || *text == '+' ? 1 : 0);
    bool hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
    char *end;

    /* strtoll alone would take white space and octal too. */
    if (!isxdigit((unsigned char)digits[hex ? 2 : 0])) {
        return false;
    }
    errno = 0;
    *value = strtoll(text, &end, hex ? 16 : 10);
    return errno == 0 && *end == '\0';
}

/* Bytes: k, M and G are powers of 1024; a B may follow. */
static bool parse_size(const char *text, int64_t *value)
{
    char number[24];
    size_t len = strspn(text, "0123456789");
    const char *unit = text + len;
    unsigned shift = 0;

    if (len == 0 || len >= sizeof(number)) {
        return config_value_int(text, value);
    }
    if (unit[0] != '\0' && strchr("kKmMgG", unit[0]) != NULL) {
        int letter = tolower((unsigned char)unit[0]);

        shift = letter == 'k' ? 10 : letter == 'm' ? 20 : 30;
        unit++;
    }
    if (shift == 0 || (*unit != '\0' && strcmp(unit, "B") != 0)) {
        return config_value_int(text, value);
    }
    memcpy(number, text, len);
    number[len] = '\0';
    if (!config_value_int(number, value) || *value > INT64_MAX >> shift) {
        return false;
    }
    *value <<= shift;
    return true;
}

static bool is_float(const char *text)
{
    char *end;

    if (text[strspn(text, "0123456789.eE+-")] != '\0') {
        return false;
    }
    (void)strtod(text, &end);
    return end != text && *end == '\0';
}

/* autopurge.purgeInterval since 3.10. */
static bool is_duration(const char *text)
{
    static const char *const units[] = {"", "ms", "s", "m", "h", "d"};
    size_t digits = strspn(text, "0123456789");

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (digits > 0 && digits <= 9 && strcmp(text + digits, units[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* super:<base64 of SHA-1>, what a digest login is compared with. */
static bool is_digest(const char *text)
{
    static const char prefix[] = "super:";
    const char *base64 = text + sizeof(prefix) - 1;

    return strncmp(text, prefix, sizeof(prefix) - 1) == 0 &&
           strlen(base64) == SHA1_BASE64_LEN &&
           strspn(base64, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                          "0123456789+/") == SHA1_BASE64_LEN - 1 &&
           base64[SHA1_BASE64_LEN - 1] == '=';
}

static bool has_control(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f) {
            return true;
        }
    }
    return false;
}

/* The place of the entry's field. */
static void *field(struct config_parser *parser, const struct config_key *key)
{
    return (char *)parser->config + key->offset;
}

static void bad_value(struct config_parser *parser,
                      const struct config_key *key,
                      const struct config_entry *entry, const char *wanted)
{
    char shown[CONFIG_SHOWN_SIZE];

    if (key->secret) {
        config_problem(parser, entry->line, "%s is not %s", entry->key, wanted);
    } else {
        config_problem(parser, entry->line, "%s: \"%s\" is not %s", entry->key,
                       config_shown(entry->value, shown), wanted);
    }
}

static void store_int(void *place, size_t width, int64_t value)
{
    if (width == sizeof(bool)) {
        bool flag = value != 0;

        memcpy(place, &flag, width);
    } else if (width == sizeof(uint64_t)) {
        memcpy(place, &value, width);
    } else if (width == sizeof(uint32_t)) {
        uint32_t narrow = (uint32_t)value;

        memcpy(place, &narrow, width);
    } else {
        uint16_t narrow = (uint16_t)value;

        CHECK(width == sizeof(narrow));
        memcpy(place, &narrow, width);
    }
}

static int64_t load_int(const void *place, size_t width)
{
    int64_t wide;
    int32_t narrow;
    uint16_t port;
    bool flag;

    if (width == sizeof(flag)) {
        memcpy(&flag, place, width);
        return flag ? 1 : 0;
    }
    if (width == sizeof(wide)) {
        memcpy(&wide, place, width);
        return wide;
    }
    if (width == sizeof(narrow)) {
        memcpy(&narrow, place, width);
        return narrow;
    }
    CHECK(width == sizeof(port));
    memcpy(&port, place, width);
    return port;
}

static bool take_int(struct config_parser *parser, const struct config_key *key,
                     const struct config_entry *entry)
{
    bool size = key->type == CONFIG_SIZE;
    int64_t value;

    if (!(size ? parse_size(entry->value, &value)
               : config_value_int(entry->value, &value))) {
        bad_value(parser, key, entry, size ? "a number of bytes" : "a number");
        return false;
    }
    if (value < key->min || value > key->max) {
        config_problem(parser, entry->line,
                       "%s: %" PRId64 " is not between %" PRId64
                       " and %" PRId64,
                       entry->key, value, key->min, key->max);
        return false;
    }
    if (key->type == CONFIG_LIMIT && value < 0) {
        value = 0;
    }
    if (key->stored) {
        store_int(field(parser, key), key->width, value * key->scale);
    }
    return true;
}

static bool take_text(struct config_parser *parser,
                      const struct config_key *key,
                      const struct config_entry *entry)
{
    if (has_control(entry->value)) {
        bad_value(parser, key, entry, "text without control characters");
        return false;
    }
    if (key->stored) {
        char **text = field(parser, key);

        if (entry->value[0] == '\0' && key->type != CONFIG_WORDS) {
            config_problem(parser, entry->line, "%s has no value", entry->key);
            return false;
        }
        mem_free(*text);
        *text = mem_copy_text(entry->value);
    }
    return true;
}

/* Unknown words (old ones, other servers') only deserve a warning. */
static bool take_words(struct config_parser *parser,
                       const struct config_key *key,
                       const struct config_entry *entry)
{
    const char *rest = entry->value;

    if (!take_text(parser, key, entry)) {
        return false;
    }
    while (*rest != '\0') {
        size_t len = strcspn(rest, ", \t");
        char word[5] = {0};
        char shown[CONFIG_SHOWN_SIZE];

        if (len == sizeof(word) - 1) {
            memcpy(word, rest, len);
        }
        if (len > 0 && !(len == 1 && *rest == '*') &&
            (len != sizeof(word) - 1 ||
             frame_four_letter_word((const uint8_t *)word) == NULL)) {
            config_warning(parser, entry->line,
                           "%s: not all are words of this server: %s",
                           entry->key, config_shown(entry->value, shown));
            return true;
        }
        rest += len + (rest[len] != '\0' ? 1 : 0);
    }
    return true;
}

static bool take_bool(struct config_parser *parser,
                      const struct config_key *key,
                      const struct config_entry *entry)
{
    bool value;

    if (!parse_bool(entry->value, &value)) {
        bad_value(parser, key, entry, "yes, no, true or false");
        return false;
    }
    if (key->stored) {
        memcpy(field(parser, key), &value, sizeof(value));
    }
    return true;
}

static bool take_level(struct config_parser *parser,
                       const struct config_key *key,
                       const struct config_entry *entry)
{
    for (size_t i = 0; i < LEVELS_COUNT; i++) {
        if (same_word(entry->value, level_names[i])) {
            store_int(field(parser, key), key->width, (int64_t)i);
            return true;
        }
    }
    bad_value(parser, key, entry, "error, warn, info or debug");
    return false;
}

static bool take_choice(struct config_parser *parser,
                        const struct config_key *key,
                        const struct config_entry *entry)
{
    char wanted[128];
    size_t len = 0;

    for (size_t i = 0; key->choices[i] != NULL; i++) {
        const char *before = i == 0                        ? ""
                             : key->choices[i + 1] == NULL ? " or "
                                                           : ", ";

        if (same_word(entry->value, key->choices[i])) {
            store_int(field(parser, key), key->width, (int64_t)i);
            return true;
        }
        len += (size_t)snprintf(wanted + len, sizeof(wanted) - len, "%s%s",
                                before, key->choices[i]);
        CHECK(len < sizeof(wanted));
    }
    bad_value(parser, key, entry, wanted);
    return false;
}

bool config_value_take(struct config_parser *parser,
                       const struct config_key *key,
                       const struct config_entry *entry)
{
    switch (key->type) {
        case CONFIG_BOOL:
            return take_bool(parser, key, entry);
        case CONFIG_INT:
        case CONFIG_LIMIT:
        case CONFIG_SIZE:
            return take_int(parser, key, entry);
        case CONFIG_FLOAT:
            if (!is_float(entry->value)) {
                bad_value(parser, key, entry, "a number");
                return false;
            }
            return true;
        case CONFIG_DURATION:
            if (!is_duration(entry->value)) {
                bad_value(parser, key, entry,
                          "hours, or a number with ms, s, m, h or d");
                return false;
            }
            return true;
        case CONFIG_TEXT:
            return take_text(parser, key, entry);
        case CONFIG_WORDS:
            return take_words(parser, key, entry);
        case CONFIG_LEVEL:
            return take_level(parser, key, entry);
        case CONFIG_CHOICE:
            return take_choice(parser, key, entry);
        case CONFIG_DIGEST:
            if (!is_digest(entry->value)) {
                bad_value(parser, key, entry,
                          "of the form super:<base64 of SHA-1>");
                return false;
            }
            return take_text(parser, key, entry);
        case CONFIG_SERVER:
            config_server_take(parser, entry);
            return true;
    }
    UNREACHABLE();
}

bool config_value_harmless(const struct config_key *key, const char *value)
{
    int64_t number, harmless_number;
    bool flag, harmless_flag;

    if (key->harmless == NULL || key->type == CONFIG_TEXT) {
        if (value[0] == '\0' || same_word(value, "false") ||
            same_word(value, "no")) {
            return true;
        }
    }
    if (key->harmless == NULL) {
        return false;
    }
    if (key->type == CONFIG_BOOL) {
        return parse_bool(value, &flag) &&
               parse_bool(key->harmless, &harmless_flag) &&
               flag == harmless_flag;
    }
    if (key->type == CONFIG_INT) {
        return config_value_int(value, &number) &&
               config_value_int(key->harmless, &harmless_number) &&
               number == harmless_number;
    }
    return strcmp(value, key->harmless) == 0;
}

static void print_int(const struct config_key *key, int64_t value,
                      struct buf *out)
{
    if (value < key->min || value > key->max) {
        buf_printf(out, "# %s is not set\n", key->name);
    } else {
        buf_printf(out, "%s=%" PRId64 "\n", key->name, value);
    }
}

static void print_text(const struct config_key *key, const char *text,
                       struct buf *out)
{
    buf_printf(out, "%s=", key->name);
    for (const char *c = text; *c != '\0'; c++) {
        buf_append_text(out, *c == '\\' ? "\\" : "");
        buf_append(out, slice_make(c, 1));
    }
    buf_append_text(out, "\n");
}

void config_value_print(const struct config *config,
                        const struct config_key *key, struct buf *out)
{
    const void *place = (const char *)config + key->offset;
    const char *text;
    bool flag;

    if (!key->stored) {
        return;
    }
    switch (key->type) {
        case CONFIG_BOOL:
            memcpy(&flag, place, sizeof(flag));
            buf_printf(out, "%s=%s\n", key->name, flag ? "true" : "false");
            return;
        case CONFIG_INT:
        case CONFIG_LIMIT:
        case CONFIG_SIZE:
            print_int(key, load_int(place, key->width) / key->scale, out);
            return;
        case CONFIG_LEVEL:
            buf_printf(out, "%s=%s\n", key->name,
                       level_names[load_int(place, key->width)]);
            return;
        case CONFIG_CHOICE:
            buf_printf(out, "%s=%s\n", key->name,
                       key->choices[load_int(place, key->width)]);
            return;
        case CONFIG_TEXT:
        case CONFIG_WORDS:
        case CONFIG_DIGEST:
            memcpy(&text, place, sizeof(text));
            if (text == NULL) {
                buf_printf(out, "# %s is not set\n", key->name);
            } else if (key->secret) {
                buf_printf(out, "# %s is set\n", key->name);
            } else {
                print_text(key, text, out);
            }
            return;
        case CONFIG_FLOAT:
        case CONFIG_DURATION:
        case CONFIG_SERVER:
            return; /* nothing of theirs is stored in a field */
    }
}
