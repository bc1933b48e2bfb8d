#include <criterion/criterion.h>

#include <stdio.h>

#include "proto/address.h"

static bool parses(const char *text)
{
    struct address_prefix prefix;

    return address_prefix_parse(slice_from_text(text), &prefix);
}

static bool formats(const char *text, const char *canonical)
{
    struct address_prefix address;
    char room[ADDRESS_TEXT_MAX];

    return address_parse(slice_from_text(text), &address) &&
           slice_equal(address_format(&address, room),
                       slice_from_text(canonical));
}

static bool matches(const char *address_text, const char *prefix_text)
{
    struct address_prefix address, prefix;

    cr_assert(address_parse(slice_from_text(address_text), &address));
    cr_assert(address_prefix_parse(slice_from_text(prefix_text), &prefix));
    return address_matches(&address, &prefix);
}

Test(proto_address, addresses_have_one_text)
{
    cr_assert(formats("127.0.0.1", "127.0.0.1"));
    cr_assert(formats("::ffff:127.0.0.1", "127.0.0.1"));
    cr_assert(formats("::FFFF:7f00:1", "127.0.0.1"));
    cr_assert(formats("0:0:0:0:0:0:0:1", "::1"));
    cr_assert(formats("FE80::A%lo", "fe80::a"));
    cr_assert(formats("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
                      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
}

Test(proto_address, what_is_none_is_refused)
{
    struct address_prefix address;

    cr_assert_not(parses(""));
    cr_assert_not(parses("/8"));
    cr_assert_not(parses("1.2.3"));
    cr_assert_not(parses("1.2.3.4.5"));
    cr_assert_not(parses("256.0.0.1"));
    cr_assert_not(parses("1.2.3.4/"));
    cr_assert_not(parses("1.2.3.4/33"));
    cr_assert_not(parses("1.2.3.4/0032"));
    cr_assert_not(parses("1.2.3.4/ 8"));
    cr_assert_not(parses("1.2.3.4/+8"));
    cr_assert_not(parses("::1/129"));
    cr_assert_not(parses("::1%lo"));
    cr_assert_not(parses(":::"));
    cr_assert_not(parses("1111:1111:1111:1111:1111:1111:1111:1111:1111:1111"));
    cr_assert_not(address_prefix_parse(SLICE_LITERAL("1.2.3.4\0x"), &address));
    cr_assert_not(address_prefix_parse((struct slice){NULL, 0}, &address));
    cr_assert_not(address_parse(SLICE_LITERAL("1.2.3.4/8"), &address));
}

Test(proto_address, prefixes_match_to_the_bit)
{
    for (unsigned bits = 0; bits <= 32; bits++) {
        char prefix[32];

        (void)snprintf(prefix, sizeof(prefix), "255.255.255.255/%u", bits);
        cr_assert_eq(matches("255.255.255.254", prefix), bits < 32);
        cr_assert_eq(matches("255.254.255.255", prefix), bits < 16);
        cr_assert_eq(matches("127.255.255.255", prefix), bits < 1);
        cr_assert(matches("255.255.255.255", prefix));
    }
    cr_assert(matches("2001:db8::1", "2001:db8::/32"));
    cr_assert(matches("2001:db8::1", "2001:db8::1"));
    cr_assert_not(matches("2001:db9::1", "2001:db8::/32"));
}

Test(proto_address, the_two_kinds_do_not_mix)
{
    cr_assert_not(matches("1.2.3.4", "::/0"));
    cr_assert_not(matches("1.2.3.4", "::ffff:0:0/95"));
    cr_assert(matches("1.2.3.4", "::ffff:0:0/96"));
    cr_assert_not(matches("::1", "0.0.0.0/0"));
    cr_assert(matches("::1", "::/0"));
}
