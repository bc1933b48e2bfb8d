#include <criterion/criterion.h>

#include "leader.h"

#include "base/mem.h"
#include "znode/acl.h"

static bool allows(struct zk_acl acl, enum zk_perm perm, struct zk_auth auth)
{
    return acl_allows(&acl, 1, perm, &auth, 1);
}

static bool ip_allows(const char *id, const char *address)
{
    return allows(make_acl(ZK_PERM_ALL, "ip", id), ZK_PERM_READ,
                  make_auth("ip", address));
}

static enum zk_code fix_one(const char *scheme, const char *id)
{
    struct arena *arena = arena_create(1024);
    struct zk_acl acl = make_acl(ZK_PERM_ALL, scheme, id);
    const struct zk_acl *fixed;
    size_t count;
    enum zk_code code = acl_fix(&acl, 1, NULL, 0, arena, &fixed, &count);

    arena_destroy(arena);
    return code;
}

Test(znode_acl, an_empty_list_is_open)
{
    cr_assert(acl_allows(NULL, 0, ZK_PERM_ADMIN, NULL, 0));
}

Test(znode_acl, world_needs_no_proof_but_the_bit)
{
    struct zk_acl read_all = make_acl(ZK_PERM_READ, "world", "anyone");

    cr_assert(acl_allows(&read_all, 1, ZK_PERM_READ, NULL, 0));
    cr_assert_not(acl_allows(&read_all, 1, ZK_PERM_WRITE, NULL, 0));
    read_all = make_acl(ZK_PERM_READ, "world", "everyone");
    cr_assert_not(acl_allows(&read_all, 1, ZK_PERM_READ, NULL, 0));
}

Test(znode_acl, ids_of_the_same_scheme_are_compared_as_a_whole)
{
    struct zk_acl acl = make_acl(ZK_PERM_ALL, "digest", "u:hash");

    cr_assert(allows(acl, ZK_PERM_WRITE, make_auth("digest", "u:hash")));
    cr_assert_not(allows(acl, ZK_PERM_WRITE, make_auth("digest", "u:has")));
    cr_assert_not(allows(acl, ZK_PERM_WRITE, make_auth("ip", "u:hash")));
}

Test(znode_acl, super_may_everything)
{
    struct zk_acl acl = make_acl(0, "digest", "u:hash");

    cr_assert(allows(acl, ZK_PERM_ADMIN, make_auth("super", "")));
}

Test(znode_acl, any_entry_may_grant)
{
    struct zk_acl acl[] = {make_acl(ZK_PERM_READ, "world", "anyone"),
                           make_acl(ZK_PERM_WRITE, "digest", "u:h")};
    struct zk_auth auth = make_auth("digest", "u:h");

    cr_assert(acl_allows(acl, 2, ZK_PERM_WRITE, &auth, 1));
    cr_assert_not(acl_allows(acl, 2, ZK_PERM_ADMIN, &auth, 1));
}

Test(znode_acl, addresses_match_by_prefix)
{
    cr_assert(ip_allows("10.0.0.1", "10.0.0.1"));
    cr_assert_not(ip_allows("10.0.0.1", "10.0.0.2"));
    cr_assert(ip_allows("10.0.0.0/8", "10.9.9.9"));
    cr_assert_not(ip_allows("10.0.0.0/8", "11.0.0.0"));
    cr_assert(ip_allows("10.128.0.0/9", "10.129.1.1"));
    cr_assert_not(ip_allows("10.128.0.0/9", "10.127.1.1"));
    cr_assert(ip_allows("0.0.0.0/0", "1.2.3.4"));
    cr_assert(ip_allows("fe80::/10", "fe80::1"));
    cr_assert_not(ip_allows("fe80::/10", "2001:db8::1"));
    cr_assert_not(ip_allows("::/0", "1.2.3.4"));
    cr_assert_not(ip_allows("0.0.0.0/0", "2001:db8::1"));
    cr_assert(ip_allows("10.0.0.0/8", "::ffff:10.1.1.1"));
    cr_assert(ip_allows("::ffff:10.0.0.0/104", "10.1.1.1"));
}

Test(znode_acl, invalid_lists_are_refused)
{
    struct arena *arena = arena_create(1024);
    const struct zk_acl *fixed;
    size_t count;

    cr_assert_eq(acl_fix(NULL, 0, NULL, 0, arena, &fixed, &count),
                 ZK_INVALID_ACL);
    arena_destroy(arena);
    cr_assert_eq(fix_one("world", "anyone"), ZK_OK);
    cr_assert_eq(fix_one("world", "other"), ZK_INVALID_ACL);
    cr_assert_eq(fix_one("world", NULL), ZK_INVALID_ACL);
    cr_assert_eq(fix_one(NULL, "anyone"), ZK_INVALID_ACL);
    cr_assert_eq(fix_one("", ""), ZK_INVALID_ACL);
    cr_assert_eq(fix_one("x509", "CN=a"), ZK_INVALID_ACL);
    cr_assert_eq(fix_one("sasl", "a"), ZK_INVALID_ACL);
    cr_assert_eq(fix_one("super", "a"), ZK_INVALID_ACL);
    cr_assert_eq(fix_one("auth", ""), ZK_INVALID_ACL);
}

Test(znode_acl, digest_ids_have_two_parts_as_java_splits)
{
    cr_assert_eq(fix_one("digest", "u:h"), ZK_OK);
    cr_assert_eq(fix_one("digest", ":h"), ZK_OK);
    cr_assert_eq(fix_one("digest", "u:h:"), ZK_OK);
    cr_assert_eq(fix_one("digest", "u:"), ZK_INVALID_ACL);
    cr_assert_eq(fix_one("digest", "u"), ZK_INVALID_ACL);
    cr_assert_eq(fix_one("digest", ":"), ZK_INVALID_ACL);
    cr_assert_eq(fix_one("digest", ""), ZK_INVALID_ACL);
    cr_assert_eq(fix_one("digest", NULL), ZK_INVALID_ACL);
    cr_assert_eq(fix_one("digest", "a:b:c"), ZK_INVALID_ACL);
    cr_assert_eq(fix_one("digest", "a::c"), ZK_INVALID_ACL);
}

Test(znode_acl, ip_ids_are_addresses_with_bits)
{
    cr_assert_eq(fix_one("ip", "10.0.0.1"), ZK_OK);
    cr_assert_eq(fix_one("ip", "10.0.0.1/32"), ZK_OK);
    cr_assert_eq(fix_one("ip", "10.0.0.1/0"), ZK_OK);
    cr_assert_eq(fix_one("ip", "fe80::1/128"), ZK_OK);
    cr_assert_eq(fix_one("ip", "10.0.0.1/33"), ZK_INVALID_ACL);
    cr_assert_eq(fix_one("ip", "fe80::1/129"), ZK_INVALID_ACL);
    cr_assert_eq(fix_one("ip", "10.0.0.1/"), ZK_INVALID_ACL);
    cr_assert_eq(fix_one("ip", "10.0.0.1/-1"), ZK_INVALID_ACL);
    cr_assert_eq(fix_one("ip", "10.0.0.1/8/8"), ZK_INVALID_ACL);
    cr_assert_eq(fix_one("ip", "10.0.0"), ZK_INVALID_ACL);
    cr_assert_eq(fix_one("ip", "host"), ZK_INVALID_ACL);
    cr_assert_eq(fix_one("ip", ""), ZK_INVALID_ACL);
    cr_assert_eq(fix_one("ip", NULL), ZK_INVALID_ACL);
}

Test(znode_acl, auth_becomes_what_was_proved)
{
    struct arena *arena = arena_create(1024);
    struct zk_auth auth[] = {make_auth("ip", "10.0.0.1"),
                             make_auth("digest", "a:1"), make_auth("super", ""),
                             make_auth("digest", "b:1")};
    struct zk_acl acl[] = {make_acl(ZK_PERM_READ, "auth", "ignored"),
                           make_acl(ZK_PERM_ALL, "world", "anyone")};
    const struct zk_acl *fixed;
    size_t count;

    cr_assert_eq(acl_fix(acl, 2, auth, 4, arena, &fixed, &count), ZK_OK);
    cr_assert_eq(count, 3);
    cr_assert(slice_equal(fixed[0].id.id, text("a:1")));
    cr_assert_eq(fixed[0].perms, ZK_PERM_READ);
    cr_assert(slice_equal(fixed[1].id.id, text("b:1")));
    cr_assert(slice_equal(fixed[2].id.id, text("anyone")));
    cr_assert_eq(acl_fix(acl, 1, auth, 1, arena, &fixed, &count),
                 ZK_INVALID_ACL);
    arena_destroy(arena);
}

Test(znode_acl, duplicates_go_and_the_first_stays)
{
    struct arena *arena = arena_create(1024);
    struct zk_acl acl[] = {
        make_acl(1, "digest", "a:1"), make_acl(2, "digest", "a:1"),
        make_acl(1, "digest", "a:1"), make_acl(1, "digest", "b:1")};
    const struct zk_acl *fixed;
    size_t count;

    cr_assert_eq(acl_fix(acl, 4, NULL, 0, arena, &fixed, &count), ZK_OK);
    cr_assert_eq(count, 3);
    cr_assert_eq(fixed[1].perms, 2);
    cr_assert(slice_equal(fixed[2].id.id, text("b:1")));
    arena_destroy(arena);
}

Test(znode_acl, a_thousand_entries_are_the_limit)
{
    struct arena *arena = arena_create(1024);
    struct zk_acl *acl = MEM_ARRAY(struct zk_acl, 1001);
    struct zk_auth auth[] = {make_auth("digest", "a:1"),
                             make_auth("digest", "b:1")};
    const struct zk_acl *fixed;
    size_t count;

    for (int i = 0; i <= 1000; i++) {
        acl[i] = make_acl(i, "digest", "a:1");
    }
    cr_assert_eq(acl_fix(acl, 1000, NULL, 0, arena, &fixed, &count), ZK_OK);
    cr_assert_eq(count, 1000);
    cr_assert_eq(acl_fix(acl, 1001, NULL, 0, arena, &fixed, &count),
                 ZK_INVALID_ACL);
    for (int i = 0; i <= 1000; i++) {
        acl[i] = make_acl(i, "auth", "");
    }
    cr_assert_eq(acl_fix(acl, 500, auth, 2, arena, &fixed, &count), ZK_OK);
    cr_assert_eq(count, 1000);
    cr_assert_eq(acl_fix(acl, 501, auth, 2, arena, &fixed, &count),
                 ZK_INVALID_ACL);
    mem_free(acl);
    arena_destroy(arena);
}

Test(znode_acl, masking_hides_hashes_and_nothing_else)
{
    struct arena *arena = arena_create(1024);
    struct zk_acl acl[] = {make_acl(1, "digest", "user:hash"),
                           make_acl(2, "world", "anyone"),
                           make_acl(4, "ip", "fe80::1")};
    const struct zk_acl *masked = acl_mask_digests(acl, 3, arena);

    cr_assert(slice_equal(masked[0].id.id, text("user:x")));
    cr_assert_eq(masked[0].perms, 1);
    cr_assert(slice_equal(masked[1].id.id, text("anyone")));
    cr_assert(slice_equal(masked[2].id.id, text("fe80::1")));
    arena_destroy(arena);
}
