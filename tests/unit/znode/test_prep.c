/* Which code wins, and what the txn says. */
#include <criterion/criterion.h>

#include "leader.h"

#include "base/mem.h"

static struct leader *leader;

static void begin(void)
{
    leader = leader_create();
}

static void end(void)
{
    leader_destroy(leader);
}

TestSuite(znode_prep, .init = begin, .fini = end);

static enum zk_code ask_one(struct client_request request)
{
    return ask(leader, &request);
}

static enum zk_code ask_flags(enum zk_op op, int32_t flags, int64_t ttl_ms)
{
    struct client_request request = make_create_ttl("/f", flags, ttl_ms);

    request.op = op;
    return ask(leader, &request);
}

/* Everything may be done below "/open"; "/shut" is for u:1 only. */
static void make_nodes(void)
{
    struct zk_acl shut = make_acl(ZK_PERM_ALL, "digest", "u:1");
    struct client_request request = make_create("/shut", 0);

    request.create.acl = &shut;
    cr_assert_eq(ask_create(leader, "/open", 0), ZK_OK);
    cr_assert_eq(ask(leader, &request), ZK_OK);
    deliver_all(leader);
}

Test(znode_prep, a_txn_says_who_asked_and_what)
{
    struct client_request request = make_create("/a", 0);

    request.op = ZK_OP_CREATE2;
    leader->world.time_ms = 12345;
    cr_assert_eq(ask(leader, &request), ZK_OK);
    cr_assert_eq(leader->txn.op, ZK_OP_CREATE);
    cr_assert_eq(leader->txn.request_op, ZK_OP_CREATE2);
    cr_assert_eq(leader->txn.session_id, 7);
    cr_assert_eq(leader->txn.origin_id, 3);
    cr_assert_eq(leader->txn.origin_request, 99);
    cr_assert_eq(leader->txn.cxid, 5);
    cr_assert_eq(leader->txn.time_ms, 12345);
    cr_assert_eq(leader->txn.create.parent_sequence, 1);
    cr_assert_eq(leader->txn.create.ephemeral_owner, 0);
    cr_assert_eq(leader->failed_index, SIZE_MAX);
}

Test(znode_prep, flags_and_opcodes_of_create)
{
    struct {
        enum zk_op op;
        int32_t flags;
        int64_t ttl_ms;
        enum zk_code code;
        uint64_t owner;
    } cases[] = {
        {ZK_OP_CREATE, 0, 0, ZK_OK, 0},
        {ZK_OP_CREATE2, 1, 0, ZK_OK, 7},
        {ZK_OP_CREATE, 4, 0, ZK_OK, ZK_OWNER_CONTAINER},
        {ZK_OP_CREATE_CONTAINER, 4, 0, ZK_OK, ZK_OWNER_CONTAINER},
        {ZK_OP_CREATE_CONTAINER, 1, 0, ZK_OK, 7},
        {ZK_OP_CREATE, 7, 0, ZK_BAD_ARGUMENTS, 0},
        {ZK_OP_CREATE, -1, 0, ZK_BAD_ARGUMENTS, 0},
        {ZK_OP_CREATE, 5, 0, ZK_BAD_ARGUMENTS, 0},
        {ZK_OP_CREATE2, 6, 0, ZK_BAD_ARGUMENTS, 0},
        {ZK_OP_CREATE_TTL, 0, 10, ZK_BAD_ARGUMENTS, 0},
        {ZK_OP_CREATE_TTL, 4, 10, ZK_BAD_ARGUMENTS, 0},
        {ZK_OP_CREATE_TTL, 5, 0, ZK_BAD_ARGUMENTS, 0},
        {ZK_OP_CREATE_TTL, 5, -1, ZK_BAD_ARGUMENTS, 0},
        {ZK_OP_CREATE_TTL, 5, ZK_TTL_MS_MAX + 1, ZK_BAD_ARGUMENTS, 0},
        {ZK_OP_CREATE_TTL, 5, 1, ZK_OK, UINT64_C(0xff00000000000001)},
        {ZK_OP_CREATE_TTL, 5, ZK_TTL_MS_MAX, ZK_OK,
         UINT64_C(0xff0000ffffffffff)},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum zk_code code =
            ask_flags(cases[i].op, cases[i].flags, cases[i].ttl_ms);

        cr_assert_eq(code, cases[i].code, "case %zu: %d", i, code);
        if (code == ZK_OK) {
            cr_assert_eq(leader->txn.create.ephemeral_owner, cases[i].owner);
            cr_assert_eq(leader->txn.request_op, cases[i].op);
            cr_assert_eq(ask_delete(leader, "/f"), ZK_OK);
        }
    }
}

Test(znode_prep, without_ttl_nodes_they_are_unimplemented)
{
    leader->context.ttl_nodes = false;
    cr_assert_eq(ask_flags(ZK_OP_CREATE_TTL, 5, 10), ZK_UNIMPLEMENTED);
    cr_assert_eq(ask_flags(ZK_OP_CREATE_TTL, 5, 0), ZK_UNIMPLEMENTED);
    cr_assert_eq(ask_flags(ZK_OP_CREATE, 6, 0), ZK_UNIMPLEMENTED);
    cr_assert_eq(ask_flags(ZK_OP_CREATE_TTL, 0, 10), ZK_BAD_ARGUMENTS);
    cr_assert_eq(ask_flags(ZK_OP_CREATE, 4, 0), ZK_OK);
}

Test(znode_prep, create_checks_in_zookeepers_order)
{
    struct zk_acl invalid = make_acl(31, "sasl", "x");
    struct client_request request;

    make_nodes();
    cr_assert_eq(ask_create(leader, "/open/e", ZK_EPHEMERAL), ZK_OK);
    /* Path without a slash before its ACL, the ACL before the parent. */
    request = make_create("noslash", 0);
    request.create.acl = &invalid;
    cr_assert_eq(ask(leader, &request), ZK_BAD_ARGUMENTS);
    request = make_create("/none/x", 0);
    request.create.acl = &invalid;
    cr_assert_eq(ask(leader, &request), ZK_INVALID_ACL);
    request.create.acl_count = 0;
    cr_assert_eq(ask(leader, &request), ZK_INVALID_ACL);
    /* The parent, then its ACL, before the whole path is looked at. */
    cr_assert_eq(ask_create(leader, "/none/x//", 0), ZK_NO_NODE);
    cr_assert_eq(ask_create(leader, "/shut/\x01", 0), ZK_NO_AUTH);
    cr_assert_eq(ask_create(leader, "/open/\x01", 0), ZK_BAD_ARGUMENTS);
    cr_assert_eq(ask_create(leader, "/open/", 0), ZK_BAD_ARGUMENTS);
    cr_assert_eq(ask_create(leader, "/", 0), ZK_NODE_EXISTS);
    /* That it is there, before what the parent is. */
    cr_assert_eq(ask_create(leader, "/open", 0), ZK_NODE_EXISTS);
    cr_assert_eq(ask_create(leader, "/open/e/x", 0),
                 ZK_NO_CHILDREN_FOR_EPHEMERALS);
    /* A closing session's ephemeral before anything but its flags. */
    leader->context.session_closing = true;
    cr_assert_eq(ask_create(leader, "noslash", ZK_EPHEMERAL),
                 ZK_SESSION_EXPIRED);
    cr_assert_eq(ask_create(leader, "/open/p", 0), ZK_OK);
}

/* As the Java server stumbles. */
Test(znode_prep, absent_paths_are_refused)
{
    cr_assert_eq(ask_create(leader, NULL, 0), ZK_MARSHALLING_ERROR);
    cr_assert_eq(ask_one(make_delete(NULL, -1)), ZK_MARSHALLING_ERROR);
    cr_assert_eq(ask_one(make_set(NULL, NULL, -1)), ZK_BAD_ARGUMENTS);
    cr_assert_eq(ask_one(make_set_acl(NULL, NULL, 0, -1)), ZK_BAD_ARGUMENTS);
}

Test(znode_prep, null_data_stays_null)
{
    struct client_request request = make_create("/n", 0);

    request.create.data = (struct slice){NULL, 0};
    cr_assert_eq(ask(leader, &request), ZK_OK);
    deliver_all(leader);
    cr_assert(data_is(&leader->world, "/n", NULL));
}

Test(znode_prep, sequence_numbers_count_every_create)
{
    cr_assert_eq(ask_create(leader, "/s", 0), ZK_OK);
    cr_assert_eq(ask_create(leader, "/s/plain", 0), ZK_OK);
    cr_assert_eq(ask_create(leader, "/s/n-", ZK_PERSISTENT_SEQUENTIAL), ZK_OK);
    cr_assert(slice_equal(leader->txn.create.path, text("/s/n-0000000001")));
    cr_assert_eq(ask_delete(leader, "/s/plain"), ZK_OK);
    cr_assert_eq(ask_create(leader, "/s/", ZK_EPHEMERAL_SEQUENTIAL), ZK_OK);
    cr_assert(slice_equal(leader->txn.create.path, text("/s/0000000002")));
    cr_assert_eq(ask_one(make_create_ttl("/s/t", 6, 5)), ZK_OK);
    cr_assert(slice_equal(leader->txn.create.path, text("/s/t0000000003")));
    deliver_all(leader);
    cr_assert_eq(ask_create(leader, "/s/n-", ZK_PERSISTENT_SEQUENTIAL), ZK_OK);
    cr_assert(slice_equal(leader->txn.create.path, text("/s/n-0000000004")));
}

Test(znode_prep, sequence_numbers_go_past_31_bits)
{
    struct txn txn;

    apply_create(&leader->world, "/s", "", 0);
    txn = txn_create(&leader->world, "/s/x", "", 0);
    txn.create.parent_sequence = UINT64_C(2147483648);
    apply(&leader->world, &txn);
    leader->proposed = leader->world.zxid;
    cr_assert_eq(ask_create(leader, "/s/n", ZK_PERSISTENT_SEQUENTIAL), ZK_OK);
    cr_assert(slice_equal(leader->txn.create.path, text("/s/n2147483648")));
}

Test(znode_prep, delete_checks_in_zookeepers_order)
{
    make_nodes();
    cr_assert_eq(ask_delete(leader, "noslash"), ZK_BAD_ARGUMENTS);
    cr_assert_eq(ask_delete(leader, "/"), ZK_BAD_ARGUMENTS);
    cr_assert_eq(ask_delete(leader, "/zookeeper"), ZK_BAD_ARGUMENTS);
    cr_assert_eq(ask_delete(leader, "/zookeeper/quota"), ZK_BAD_ARGUMENTS);
    cr_assert_eq(ask_delete(leader, "/zookeeper/config"), ZK_BAD_ARGUMENTS);
    cr_assert_eq(ask_delete(leader, "/none/x"), ZK_NO_NODE);
    /* The ACL before existence is told: the parent's, as for create. */
    cr_assert_eq(ask_delete(leader, "/shut/none"), ZK_NO_AUTH);
    cr_assert_eq(ask_delete(leader, "/open/none"), ZK_NO_NODE);
    cr_assert_eq(ask_delete(leader, "/open/"), ZK_NO_NODE);
    cr_assert_eq(ask_delete(leader, "x/y"), ZK_NO_NODE);
    cr_assert_eq(ask_delete(leader, "//"), ZK_NO_NODE);
    cr_assert_eq(ask_create(leader, "/open/x", 0), ZK_OK);
    cr_assert_eq(ask_one(make_delete("/open", 1)), ZK_BAD_VERSION);
    cr_assert_eq(ask_one(make_delete("/open", 0)), ZK_NOT_EMPTY);
    cr_assert_eq(ask_delete(leader, "/open/x"), ZK_OK);
    cr_assert_eq(ask_one(make_delete("/open", 0)), ZK_OK);
    /* A node's own ACL does not protect it. */
    cr_assert_eq(ask_delete(leader, "/shut"), ZK_OK);
}

Test(znode_prep, set_data_checks_in_zookeepers_order)
{
    make_nodes();
    cr_assert_eq(ask_one(make_set("/open/", "d", -1)), ZK_BAD_ARGUMENTS);
    cr_assert_eq(ask_one(make_set("/none", "d", 3)), ZK_NO_NODE);
    cr_assert_eq(ask_one(make_set("/shut", "d", 3)), ZK_NO_AUTH);
    cr_assert_eq(ask_one(make_set("/open", "d", 3)), ZK_BAD_VERSION);
    cr_assert_eq(ask_one(make_set("/open", "d", 0)), ZK_OK);
    cr_assert_eq(ask_one(make_set("/open", "d", 0)), ZK_BAD_VERSION);
    cr_assert_eq(ask_one(make_set("/open", "d", 1)), ZK_OK);
    cr_assert_eq(leader->txn.set_data.version, 2);
    cr_assert_eq(ask_one(make_set("/open", "d", -1)), ZK_OK);
    cr_assert_eq(leader->txn.set_data.version, 3);
}

Test(znode_prep, set_acl_changes_who_may_at_once)
{
    struct zk_acl mine = make_acl(ZK_PERM_ALL, "digest", "u:1");
    struct zk_acl invalid = make_acl(31, "sasl", "x");
    struct zk_auth me = make_auth("digest", "u:1");

    make_nodes();
    cr_assert_eq(ask_one(make_set_acl("/none", &invalid, 1, -1)),
                 ZK_INVALID_ACL);
    cr_assert_eq(ask_one(make_set_acl("/none", &mine, 1, -1)), ZK_NO_NODE);
    cr_assert_eq(ask_one(make_set_acl("/shut", &mine, 1, 9)), ZK_NO_AUTH);
    cr_assert_eq(ask_one(make_set_acl("/open", &mine, 1, 9)), ZK_BAD_VERSION);
    cr_assert_eq(ask_one(make_set_acl("/open", &mine, 1, 0)), ZK_OK);
    cr_assert_eq(leader->txn.set_acl.version, 1);
    cr_assert_eq(ask_create(leader, "/open/x", 0), ZK_NO_AUTH);
    cr_assert_eq(ask_one(make_set("/open", "d", -1)), ZK_NO_AUTH);
    leader->context.auth = &me;
    leader->context.auth_count = 1;
    cr_assert_eq(ask_create(leader, "/open/x", 0), ZK_OK);
    cr_assert_eq(ask_one(make_set("/open", "d", 0)), ZK_OK);
    deliver_all(leader);
    cr_assert_eq(ask_one(make_set("/open", "d", 1)), ZK_OK);
    leader->context.auth_count = 0;
    cr_assert_eq(ask_one(make_set("/open", "d", 2)), ZK_NO_AUTH);
    leader->context.skip_acl = true;
    cr_assert_eq(ask_one(make_set("/open", "d", 2)), ZK_OK);
}

Test(znode_prep, versions_skip_minus_one)
{
    struct txn txn;

    apply_create(&leader->world, "/v", "", 0);
    txn = txn_set(&leader->world, "/v", text(""));
    txn.set_data.version = -2;
    apply(&leader->world, &txn);
    leader->proposed = leader->world.zxid;
    cr_assert_eq(ask_one(make_set("/v", "d", -2)), ZK_OK);
    cr_assert_eq(leader->txn.set_data.version, 0);
    deliver_all(leader);
    txn = txn_set(&leader->world, "/v", text(""));
    txn.set_data.version = INT32_MAX;
    apply(&leader->world, &txn);
    leader->proposed = leader->world.zxid;
    cr_assert_eq(ask_one(make_set("/v", "d", INT32_MAX)), ZK_OK);
    cr_assert_eq(leader->txn.set_data.version, INT32_MIN);
}

Test(znode_prep, the_configuration_is_for_super_only)
{
    struct zk_auth super = make_auth("super", "");

    cr_assert_eq(ask_one(make_set("/zookeeper/config", "x", -1)), ZK_NO_AUTH);
    leader->context.auth = &super;
    leader->context.auth_count = 1;
    cr_assert_eq(ask_one(make_set("/zookeeper/config", "x", -1)), ZK_OK);
}

Test(znode_prep, no_read_or_unknown_op_becomes_a_txn)
{
    static const int ops[] = {ZK_OP_CHECK,          ZK_OP_GET_DATA,
                              ZK_OP_SYNC,           ZK_OP_DELETE_CONTAINER,
                              ZK_OP_CREATE_SESSION, ZK_OP_ERROR,
                              ZK_OP_MULTI_READ,     12345};

    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        struct client_request request = make_check("/", -1);

        request.op = (enum zk_op)ops[i];
        cr_assert_eq(ask(leader, &request), ZK_UNIMPLEMENTED);
    }
    cr_assert_eq(ask_one((struct client_request){.op = ZK_OP_RECONFIG}),
                 ZK_RECONFIG_DISABLED);
}

Test(znode_prep, a_txn_over_the_limit_changes_nothing)
{
    struct client_request parts[2];
    char *data = mem_alloc(2001);

    memset(data, 'x', 2000);
    data[2000] = '\0';
    leader->context.txn_size_max = 2000;
    parts[0] = make_create("/big", 0);
    parts[0].create.data = text(data);
    cr_assert_eq(ask(leader, &parts[0]), ZK_MARSHALLING_ERROR);
    cr_assert_eq(leader->failed_index, SIZE_MAX);
    cr_assert_eq(prep_pending_count(leader->prep), 0);
    parts[0].create.data.len = parts[1].create.data.len = 1000;
    parts[1] = make_set("/big", data, -1);
    cr_assert_eq(ask_one(make_multi(parts, 2)), ZK_MARSHALLING_ERROR);
    cr_assert_eq(leader->failed_index, SIZE_MAX);
    cr_assert_eq(prep_pending_count(leader->prep), 0);
    cr_assert_eq(ask(leader, &parts[0]), ZK_OK);
    mem_free(data);
}

Test(znode_prep, the_limit_is_the_encoded_size_to_the_byte)
{
    struct client_request request = make_create("/a", 0);
    size_t size;

    cr_assert_eq(ask(leader, &request), ZK_OK);
    size = txn_encoded_size(&leader->txn);
    abandon(leader);
    leader->context.txn_size_max = (uint32_t)size - 1;
    cr_assert_eq(ask(leader, &request), ZK_MARSHALLING_ERROR);
    leader->context.txn_size_max = (uint32_t)size;
    cr_assert_eq(ask(leader, &request), ZK_OK);
}

Test(znode_prep, ephemerals_of_a_session_are_limited)
{
    leader->context.ephemerals_max = 2;
    cr_assert_eq(ask_create(leader, "/a", ZK_EPHEMERAL), ZK_OK);
    cr_assert_eq(ask_create(leader, "/b", ZK_EPHEMERAL), ZK_OK);
    cr_assert_eq(ask_create(leader, "/c", ZK_EPHEMERAL), ZK_QUOTA_EXCEEDED);
    deliver(leader, 1);
    cr_assert_eq(ask_create(leader, "/c", ZK_EPHEMERAL), ZK_QUOTA_EXCEEDED);
    cr_assert_eq(ask_create(leader, "/c", 0), ZK_OK);
    deliver_all(leader);
    cr_assert_eq(ask_create(leader, "/d", ZK_EPHEMERAL), ZK_QUOTA_EXCEEDED);
    cr_assert_eq(ask_delete(leader, "/a"), ZK_OK);
    cr_assert_eq(ask_create(leader, "/d", ZK_EPHEMERAL), ZK_OK);
    cr_assert_eq(ask_create(leader, "/e", ZK_EPHEMERAL), ZK_QUOTA_EXCEEDED);
}

static void make_quota(const char *limits)
{
    apply_create(&leader->world, "/q", "0123456789", 0);
    apply_create(&leader->world, "/zookeeper/quota/q", "", 0);
    apply_create(&leader->world, "/zookeeper/quota/q/zookeeper_limits", limits,
                 0);
    leader->proposed = leader->world.zxid;
}

Test(znode_prep, hard_quotas_refuse_and_same_size_passes)
{
    struct client_request request;

    make_quota("count=-1,bytes=-1=;byteHardLimit=5;countHardLimit=2");
    cr_assert_eq(ask_one(make_set("/q", "012345678", -1)), ZK_QUOTA_EXCEEDED,
                 "shrinking while over is refused");
    cr_assert_eq(ask_one(make_set("/q", "987654321x", -1)), ZK_OK,
                 "a change of nothing is not looked at");
    cr_assert_eq(ask_one(make_set("/q", "0123", 9)), ZK_BAD_VERSION,
                 "no more than the limit");
    cr_assert_eq(ask_one(make_set("/q", "0123", -1)), ZK_OK);
    deliver_all(leader);
    request = make_create("/q/a", 0);
    request.create.data = text("");
    cr_assert_eq(ask(leader, &request), ZK_OK);
    /* What is in flight does not count yet, as in ZooKeeper. */
    request.create.path = text("/q/b");
    cr_assert_eq(ask(leader, &request), ZK_OK);
    deliver_all(leader);
    request.create.path = text("/q/c");
    cr_assert_eq(ask(leader, &request), ZK_QUOTA_EXCEEDED);
    leader->context.hard_quotas = false;
    cr_assert_eq(ask(leader, &request), ZK_OK);
}

Test(znode_prep, soft_quotas_are_told_and_let_through)
{
    make_quota("count=1,bytes=-1");
    cr_assert_eq(ask_one(make_set("/q", "x", -1)), ZK_OK);
    cr_assert(slice_is_absent(leader->context.soft_quota_path));
    cr_assert_eq(ask_create(leader, "/q/a", 0), ZK_OK);
    cr_assert(slice_equal(leader->context.soft_quota_path, text("/q")));
    cr_assert_eq(ask_create(leader, "/other", 0), ZK_OK);
    cr_assert(slice_is_absent(leader->context.soft_quota_path));
}

Test(znode_prep, session_txns_carry_what_they_need)
{
    static const uint8_t password[16] = "0123456789abcde";

    leader->context.zxid = leader->proposed + 1;
    prep_create_session(leader->prep, &leader->context, 4000, password,
                        &leader->txn);
    cr_assert_eq(leader->txn.op, ZK_OP_CREATE_SESSION);
    cr_assert_eq(leader->txn.session_id, 7);
    cr_assert_eq(leader->txn.create_session.timeout_ms, 4000);
    cr_assert_arr_eq(leader->txn.create_session.password, password, 16);
    cr_assert_eq(ask_one((struct client_request){.op = ZK_OP_CLOSE_SESSION}),
                 ZK_OK);
    cr_assert_eq(leader->txn.op, ZK_OP_CLOSE_SESSION);
    cr_assert_eq(leader->txn.session_id, 7);
}
