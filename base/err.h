/* Operating errors: things a correct program must expect and handle.
 *
 * Functions that can fail return int: 0, or a negative ERR_*. What ZooKeeper
 * tells a client (no node, bad version, ...) is data, not an error of ours:
 * see enum zk_code in proto/client_op.h. */
#ifndef CORRAL_BASE_ERR_H
#define CORRAL_BASE_ERR_H

#define ERR_MAP(X)                                    \
    X(ERR_IO, -1, "i/o error")                        \
    X(ERR_CORRUPT, -2, "stored data fails its check") \
    X(ERR_MALFORMED, -3, "bytes do not parse")        \
    X(ERR_TOO_BIG, -4, "over a configured limit")     \
    X(ERR_NOT_FOUND, -5, "not found")                 \
    X(ERR_BUSY, -6, "queue full, try later")          \
    X(ERR_CLOSED, -7, "closed")                       \
    X(ERR_INVALID, -8, "invalid argument or setting")

enum err {
    ERR_OK = 0,
#define X(name, value, text) name = (value),
    ERR_MAP(X)
#undef X
};

/* Static text for a code; "unknown error" for any other number. */
const char *err_text(int err);

#endif
