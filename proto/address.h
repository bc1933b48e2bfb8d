/* IP addresses as text, in ACLs and of connections. Pure; no state.
 *
 * All are compared in IPv6's 16 bytes. An IPv4 address is in them as
 * ::ffff:a.b.c.d, and text that says so is IPv4; but a prefix of IPv6
 * addresses never holds an IPv4 one, however short it is. */
#ifndef CORRAL_PROTO_ADDRESS_H
#define CORRAL_PROTO_ADDRESS_H

#include "base/arena.h"
#include "base/slice.h"

#define ADDRESS_TEXT_MAX 46 /* with its NUL */

struct address_prefix {
    uint8_t bytes[16];
    uint8_t bits; /* of the 128: 96 more than written for IPv4 */
    bool v4;
};

/* "10.0.0.1", "fe80::1" or "::ffff:10.0.0.1", no "/bits": 128 bits. False: it
 * is none. A zone behind "%" is ignored. */
bool address_parse(struct slice text, struct address_prefix *address);
/* An address as above with or without "/bits"; no zone. */
bool address_prefix_parse(struct slice text, struct address_prefix *prefix);
bool address_matches(const struct address_prefix *address,
                     const struct address_prefix *prefix);
/* The usual text, IPv4 as such; without bits. */
struct slice address_format(const struct address_prefix *address,
                            char text[ADDRESS_TEXT_MAX]);

#endif
