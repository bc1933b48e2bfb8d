/* The parts of config, for server/config*.c only.
 *
 * config.c         defaults, reading, what several keys say together
 * config_text.c    Java-properties text to entries (key, value, line)
 * config_keys.c    the table of all keys
 * config_value.c   one value: checked, stored, printed
 * config_server.c  server.N lines
 * config_ensemble.c what they say together, and who of them we are */
#ifndef CORRAL_SERVER_CONFIG_INTERNAL_H
#define CORRAL_SERVER_CONFIG_INTERNAL_H

#include "base/buf.h"
#include "base/slice.h"
#include "server/config.h"

#define CONFIG_FILE_MAX ((size_t)1024 * 1024)
#define CONFIG_ENTRIES_MAX 4096
#define CONFIG_KEY_MAX 256
#define CONFIG_VALUE_MAX 4096
#define CONFIG_SERVERS_MAX 64    /* members of an ensemble */
#define CONFIG_SERVER_ID_MAX 255 /* the top byte of a session id */

/* What is done with a key. */
enum config_class {
    CONFIG_WORKS,
    CONFIG_IGNORED, /* has no meaning in C: listed at start */
    CONFIG_NOT_YET, /* has none yet and weakens nothing: warned of */
    CONFIG_REFUSED  /* security, durability or who decides: no start */
};

enum config_type {
    CONFIG_BOOL,     /* yes, no, true, false */
    CONFIG_INT,      /* decimal, or hexadecimal with 0x */
    CONFIG_LIMIT,    /* the same; 0 or less: none, stored as 0 */
    CONFIG_SIZE,     /* bytes; k, M or G behind it */
    CONFIG_FLOAT,    /* checked only */
    CONFIG_DURATION, /* hours, or with ms, s, m, h, d behind it; checked only */
    CONFIG_TEXT,
    CONFIG_WORDS,  /* four-letter words */
    CONFIG_LEVEL,  /* of the log */
    CONFIG_CHOICE, /* one of the key's choices; its number is stored */
    CONFIG_DIGEST, /* super:<base64 of SHA-1> */
    CONFIG_SERVER  /* server.N */
};

struct config_key {
    /* Ends in ".*" or ".X": every key that begins so; in ".N": with a number
     * there. */
    const char *name;
    enum config_class class;
    enum config_type type;
    bool secret;             /* its value is never shown */
    bool stored;             /* offset and width are a field's */
    size_t offset, width;    /* of the field in struct config */
    int64_t min, max, scale; /* of the value as given; field = value * scale */
    const char *const *choices; /* lower case, ended by NULL */
    /* NOT_YET and REFUSED: the value that asks for nothing; NULL: "", no,
     * false. */
    const char *harmless;
};

/* A key of the table by its name without "zookeeper."; NULL: unknown. */
const struct config_key *config_key_find(const char *name);
/* The name in the table nearest to an unknown one. */
const char *config_key_nearest(const char *name);
const struct config_key *config_keys(size_t *count);

struct config_place {
    const char *file; /* borrowed */
    size_t line;      /* 0: the file as a whole */
};

struct config_entry {
    char *key, *value; /* trimmed; without "zookeeper." */
    const char *file;  /* borrowed */
    size_t line;
    bool overridden; /* given again further down */
};

/* One reading. */
struct config_parser {
    struct config *config;
    const char *name; /* of the file at work, for messages */
    config_report_fn *report;
    void *arg;
    size_t errors;
    struct config_entry *entries;
    size_t entries_count, entries_capacity;
    struct buf ignored;                              /* keys, with commas */
    struct config_place servers[CONFIG_SERVERS_MAX]; /* as config->servers */
    const char *data_dir; /* that of the command line, NULL: none */
    bool files;           /* other files may be read */
};

/* A problem at a line; line 0: of the file as a whole. */
void config_problem(struct config_parser *parser, size_t line,
                    const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void config_warning(struct config_parser *parser, size_t line,
                    const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "WHAT: KEY (FILE:LINE)MORE" */
void config_key_line(struct config_parser *parser, bool error, const char *what,
                     const struct config_entry *entry, const char *more);
/* The line of a key, 0 when it was not given. */
size_t config_line(const struct config_parser *parser, const char *key);
/* Input as it may be shown: cut, one line, printable. */
#define CONFIG_SHOWN_SIZE 80
const char *config_shown(const char *text, char shown[CONFIG_SHOWN_SIZE]);

/* Text of the file at work to parser->entries, those given twice found. False:
 * it is no text. */
bool config_entries_add(struct config_parser *parser, struct slice text);
/* A file that is a few lines of text. Gives its bytes. ERR_IO, errno set. */
int config_file_read(const char *path, size_t size_max, struct buf *bytes);
/* Text to parser->entries. */
void config_text_split(struct config_parser *parser, struct slice text);

/* Checks the entry's value and stores it. False: the problem was reported. */
bool config_value_take(struct config_parser *parser,
                       const struct config_key *key,
                       const struct config_entry *entry);
/* Whether it asks for nothing that a NOT_YET or REFUSED key would do. */
bool config_value_harmless(const struct config_key *key, const char *value);
void config_value_print(const struct config *config,
                        const struct config_key *key, struct buf *out);
/* A whole decimal or 0x number. */
bool config_value_int(const char *text, int64_t *value);

/* One server.N entry into config->servers. */
void config_server_take(struct config_parser *parser,
                        const struct config_entry *entry);
/* A problem or a warning of the server line with this index. */
void config_server_problem(struct config_parser *parser, size_t index,
                           const char *what);
void config_server_warning(struct config_parser *parser, size_t index,
                           const char *what);
/* As a line of zoo.cfg without its end; any is what stands for a client address
 * that was not given. */
void config_server_print(const struct config_server_line *line, const char *any,
                         struct buf *out);

/* The entries of dynamicConfigFile, if there is one. */
void config_dynamic_split(struct config_parser *parser);
/* All that can be said of the servers without knowing who of them we are. */
void config_ensemble_join(struct config_parser *parser);
/* Who we are: by dataDir/myid, or the only one. What follows from our line. */
void config_ensemble_settle(struct config_parser *parser);

#endif
