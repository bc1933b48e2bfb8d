#include <criterion/criterion.h>

#include "base/mem.h"
#include "session/auth.h"

static struct auth_list list;
static struct auth_policy policy;

static void begin(void)
{
    list = (struct auth_list){0};
    policy = (struct auth_policy){.digest_enabled = true};
}

static void end(void)
{
    auth_list_finish(&list);
}

TestSuite(session_auth, .init = begin, .fini = end);

static struct slice text(const char *string)
{
    return string == NULL ? (struct slice){NULL, 0} : slice_from_text(string);
}

static enum zk_code packet(const char *scheme, const char *auth)
{
    struct zk_auth_request request = {.scheme = text(scheme),
                                      .auth = text(auth)};

    return auth_packet(&list, &request, &policy);
}

static bool has(const char *scheme, const char *id)
{
    for (size_t i = 0; i < list.count; i++) {
        if (slice_equal(list.items[i].scheme, text(scheme)) &&
            slice_equal(list.items[i].id, text(id))) {
            return true;
        }
    }
    return false;
}

/* From ZooKeeper's documentation. */
Test(session_auth, digest_ids_are_zookeepers)
{
    struct arena *arena = arena_create(256);

    cr_assert(slice_equal(auth_digest_id(text("super:admin"), arena),
                          text("super:xQJmxLMiHGwaqBvst5y6rkB6HQs=")));
    arena_destroy(arena);
    cr_assert_eq(packet("digest", "super:admin"), ZK_OK);
    cr_assert(has("digest", "super:xQJmxLMiHGwaqBvst5y6rkB6HQs="));
    cr_assert_eq(list.count, 1, "super only if configured");
    cr_assert_not(list.items[0].super);
}

Test(session_auth, the_user_ends_at_the_first_colon)
{
    cr_assert_eq(packet("digest", "u:p:q"), ZK_OK);
    cr_assert_eq(packet("digest", "up"), ZK_OK);
    cr_assert_eq(packet("digest", ""), ZK_OK);
    cr_assert_eq(list.count, 3);
    cr_assert(slice_starts_with(list.items[0].id, text("u:")));
    cr_assert_eq(list.items[0].id.len, 2 + 28);
    cr_assert(slice_starts_with(list.items[1].id, text("up:")));
    cr_assert(has("digest", ":2jmj7l5rSw0yVb/vlWAYkK/YBwk="));
}

Test(session_auth, an_id_is_there_once)
{
    cr_assert_eq(packet("digest", "u:p"), ZK_OK);
    cr_assert_eq(packet("digest", "u:p"), ZK_OK);
    cr_assert_eq(list.count, 1);
    auth_list_add(&list, text("x"), text("y"), false);
    auth_list_add(&list, text("x"), text("y"), false);
    cr_assert_eq(list.count, 2);
}

Test(session_auth, super_is_who_knows_the_password)
{
    policy.super_digest = text("super:xQJmxLMiHGwaqBvst5y6rkB6HQs=");
    cr_assert_eq(packet("digest", "super:wrong"), ZK_OK);
    cr_assert_eq(list.count, 1);
    cr_assert_eq(packet("digest", "super:admin"), ZK_OK);
    cr_assert_eq(list.count, 3);
    cr_assert(has("super", ""));
    cr_assert(list.items[1].super);
    cr_assert_not(list.items[2].super);
}

Test(session_auth, other_schemes_fail)
{
    cr_assert_eq(packet("world", "anyone"), ZK_AUTH_FAILED);
    cr_assert_eq(packet("sasl", "x"), ZK_AUTH_FAILED);
    cr_assert_eq(packet("super", ""), ZK_AUTH_FAILED);
    cr_assert_eq(packet("", "x"), ZK_AUTH_FAILED);
    cr_assert_eq(packet(NULL, NULL), ZK_AUTH_FAILED);
    cr_assert_eq(packet("digest", NULL), ZK_AUTH_FAILED);
    cr_assert_eq(packet("ensemble", "x"), ZK_AUTH_FAILED);
    policy.digest_enabled = false;
    cr_assert_eq(packet("digest", "u:p"), ZK_AUTH_FAILED);
    cr_assert_eq(list.count, 0);
}

Test(session_auth, the_ensemble_must_be_ours)
{
    policy.ensemble_name = text("prod, prod-eu");
    cr_assert_eq(packet("ensemble", "prod"), ZK_OK);
    cr_assert_eq(packet("ensemble", "prod-eu"), ZK_OK);
    cr_assert_eq(packet("ensemble", ""), ZK_OK);
    cr_assert_eq(packet("ensemble", "pro"), ZK_AUTH_FAILED);
    cr_assert_eq(packet("ensemble", "prod,"), ZK_AUTH_FAILED);
    cr_assert_eq(list.count, 0);
}

Test(session_auth, addresses_become_ip_ids)
{
    auth_add_address(&list, text("10.1.2.3"));
    auth_add_address(&list, text("::ffff:10.1.2.3"));
    cr_assert_eq(list.count, 1);
    cr_assert(has("ip", "10.1.2.3"));
    auth_add_address(&list, text("2001:0DB8::0:1"));
    auth_add_address(&list, text("fe80::1%eth0"));
    cr_assert(has("ip", "2001:db8::1"));
    cr_assert(has("ip", "fe80::1"));
    auth_add_address(&list, text("host"));
    auth_add_address(&list, text(NULL));
    auth_add_address(&list, text("10.1.2.3/8"));
    cr_assert_eq(list.count, 3);
    cr_assert_eq(packet("ip", "1.1.1.1"), ZK_OK);
    cr_assert_eq(list.count, 3, "nobody chooses his address");
}

Test(session_auth, there_is_a_limit_of_ids_and_of_their_length)
{
    char credentials[4098];

    for (int i = 0; i < 64; i++) {
        credentials[0] = (char)('0' + i);
        memcpy(credentials + 1, ":p", 3);
        cr_assert_eq(packet("digest", credentials), ZK_OK);
    }
    cr_assert_eq(packet("digest", "one:more"), ZK_AUTH_FAILED);
    cr_assert_eq(packet("digest", "0:p"), ZK_OK, "it is there");
    auth_list_finish(&list);
    memset(credentials, 'x', sizeof(credentials));
    credentials[4097] = '\0';
    cr_assert_eq(packet("digest", credentials), ZK_AUTH_FAILED);
    credentials[4096] = '\0';
    cr_assert_eq(packet("digest", credentials), ZK_OK);
}
