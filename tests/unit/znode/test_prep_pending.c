/* What later requests see of what is in flight. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "leader.h"

static struct leader *leader;

static void begin(void)
{
    leader = leader_create();
}

static void end(void)
{
    leader_destroy(leader);
}

TestSuite(znode_prep_pending, .init = begin, .fini = end);

static enum zk_code ask_one(struct client_request request)
{
    return ask(leader, &request);
}

static enum zk_code create_as(uint64_t session_id, const char *path)
{
    leader->context.session_id = session_id;
    return ask_create(leader, path, ZK_EPHEMERAL);
}

Test(znode_prep_pending, requests_see_those_before_them)
{
    cr_assert_eq(ask_create(leader, "/a", 0), ZK_OK);
    cr_assert_eq(ask_create(leader, "/a", 0), ZK_NODE_EXISTS);
    cr_assert_eq(ask_create(leader, "/a/b", 0), ZK_OK);
    cr_assert_eq(ask_delete(leader, "/a"), ZK_NOT_EMPTY);
    cr_assert_eq(ask_delete(leader, "/a/b"), ZK_OK);
    cr_assert_eq(ask_delete(leader, "/a"), ZK_OK);
    cr_assert_eq(ask_create(leader, "/a/b", 0), ZK_NO_NODE);
    cr_assert_eq(ask_one(make_set("/a", "", -1)), ZK_NO_NODE);
    deliver_all(leader);
    cr_assert_null(find(&leader->world, "/a"));
}

Test(znode_prep_pending, a_node_made_anew_begins_anew)
{
    cr_assert_eq(ask_create(leader, "/a", 0), ZK_OK);
    cr_assert_eq(ask_one(make_set("/a", "", 0)), ZK_OK);
    cr_assert_eq(ask_create(leader, "/a/", 2), ZK_OK);
    cr_assert_eq(ask_delete(leader, "/a/0000000000"), ZK_OK);
    cr_assert_eq(ask_delete(leader, "/a"), ZK_OK);
    cr_assert_eq(ask_create(leader, "/a", 0), ZK_OK);
    cr_assert_eq(ask_one(make_set("/a", "", 0)), ZK_OK);
    cr_assert_eq(ask_create(leader, "/a/", 2), ZK_OK);
    cr_assert(slice_equal(leader->txn.create.path, text("/a/0000000000")));
    deliver_all(leader);
}

Test(znode_prep_pending, a_refused_request_leaves_nothing)
{
    cr_assert_eq(ask_create(leader, "/a/b", 0), ZK_NO_NODE);
    cr_assert_eq(ask_delete(leader, "/a"), ZK_NO_NODE);
    cr_assert_eq(ask_one(make_set("/", "", 9)), ZK_BAD_VERSION);
    cr_assert_eq(prep_pending_count(leader->prep), 0);
}

Test(znode_prep_pending, entries_go_as_they_are_committed)
{
    cr_assert_eq(ask_create(leader, "/a", 0), ZK_OK);
    cr_assert_eq(prep_pending_count(leader->prep), 2); /* "/" too */
    cr_assert_eq(ask_create(leader, "/b", 0), ZK_OK);
    cr_assert_eq(prep_pending_count(leader->prep), 3);
    deliver(leader, 1);
    cr_assert_eq(prep_pending_count(leader->prep), 2);
    deliver(leader, 1);
    cr_assert_eq(prep_pending_count(leader->prep), 0);
}

Test(znode_prep_pending, lost_leadership_forgets_all)
{
    cr_assert_eq(ask_create(leader, "/a", 0), ZK_OK);
    deliver_all(leader);
    cr_assert_eq(ask_create(leader, "/a/b", ZK_EPHEMERAL), ZK_OK);
    cr_assert_eq(ask_one(make_set("/a", "", -1)), ZK_OK);
    ask_close(leader, 7);
    abandon(leader);
    cr_assert_eq(prep_pending_count(leader->prep), 0);
    cr_assert_eq(ask_one(make_set("/a", "", 0)), ZK_OK);
    cr_assert_eq(ask_create(leader, "/a/b", ZK_EPHEMERAL), ZK_OK);
}

Test(znode_prep_pending, multi_is_all_or_nothing)
{
    struct client_request parts[] = {
        make_create("/a", 0), make_create("/a/b", 0), make_set("/a", "x", 0),
        make_check("/a", 1),  make_delete("/a/b", 0), make_check("/a/b", -1)};

    cr_assert_eq(ask_one(make_multi(parts, 6)), ZK_NO_NODE);
    cr_assert_eq(leader->failed_index, 5);
    cr_assert_eq(prep_pending_count(leader->prep), 0);
    cr_assert_eq(ask_one(make_multi(parts, 5)), ZK_OK);
    cr_assert_eq(leader->failed_index, SIZE_MAX);
    cr_assert_eq(leader->txn.op, ZK_OP_MULTI);
    cr_assert_eq(leader->txn.multi.count, 5);
    cr_assert_eq(leader->txn.multi.ops[3].op, ZK_OP_CHECK);
    cr_assert_eq(ask_one(make_check("/a", 1)), ZK_UNIMPLEMENTED);
    deliver_all(leader);
    cr_assert_eq(stat_of(&leader->world, "/a").version, 1);
    cr_assert_null(find(&leader->world, "/a/b"));
}

Test(znode_prep_pending, a_failed_multi_puts_back_what_was_in_flight)
{
    struct zk_acl mine = make_acl(ZK_PERM_ALL, "digest", "u:1");
    struct client_request parts[] = {
        make_set("/a", "y", 1), make_set_acl("/a", &mine, 1, -1),
        make_create("/a/c", 0), make_delete("/a/b", -1),
        make_delete("/none", -1)};

    cr_assert_eq(ask_create(leader, "/a", 0), ZK_OK);
    cr_assert_eq(ask_one(make_set("/a", "x", 0)), ZK_OK);
    cr_assert_eq(ask_create(leader, "/a/b", ZK_EPHEMERAL), ZK_OK);
    cr_assert_eq(ask_one(make_multi(parts, 5)), ZK_NO_AUTH);
    cr_assert_eq(leader->failed_index, 2);
    leader->context.skip_acl = true;
    cr_assert_eq(ask_one(make_multi(parts, 5)), ZK_NO_NODE);
    cr_assert_eq(leader->failed_index, 4);
    leader->context.skip_acl = false;
    cr_assert_eq(ask_one(make_set("/a", "z", 1)), ZK_OK);
    cr_assert_eq(ask_delete(leader, "/a"), ZK_NOT_EMPTY);
    cr_assert_eq(ask_create(leader, "/a/c", 0), ZK_OK);
    cr_assert_eq(leader->txn.create.parent_sequence, 2);
    deliver_all(leader);
}

Test(znode_prep_pending, an_empty_multi_is_fine)
{
    cr_assert_eq(ask_one(make_multi(NULL, 0)), ZK_OK);
    deliver_all(leader);
}

Test(znode_prep_pending, nothing_else_hides_in_a_multi)
{
    static const enum zk_op ops[] = {ZK_OP_CLOSE_SESSION, ZK_OP_MULTI,
                                     ZK_OP_GET_DATA, ZK_OP_CREATE_SESSION};

    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        struct client_request part = {.op = ops[i]};

        cr_assert_eq(ask_one(make_multi(&part, 1)), ZK_UNIMPLEMENTED);
        cr_assert_eq(leader->failed_index, 0);
    }
}

Test(znode_prep_pending, a_close_takes_committed_and_pending_ephemerals)
{
    cr_assert_eq(ask_create(leader, "/a", 0), ZK_OK);
    cr_assert_eq(create_as(7, "/a/old"), ZK_OK);
    deliver_all(leader);
    cr_assert_eq(create_as(7, "/a/new"), ZK_OK);
    cr_assert_eq(ask_delete(leader, "/a"), ZK_NOT_EMPTY);
    ask_close(leader, 7);
    cr_assert_eq(ask_one(make_set("/a/old", "", -1)), ZK_NO_NODE);
    cr_assert_eq(ask_one(make_set("/a/new", "", -1)), ZK_NO_NODE);
    cr_assert_eq(ask_delete(leader, "/a"), ZK_OK);
    deliver_all(leader);
    cr_assert_null(find(&leader->world, "/a"));
}

Test(znode_prep_pending, other_children_keep_the_parent)
{
    cr_assert_eq(ask_create(leader, "/a", 0), ZK_OK);
    cr_assert_eq(create_as(7, "/a/seven"), ZK_OK);
    cr_assert_eq(create_as(8, "/a/eight"), ZK_OK);
    deliver_all(leader);
    ask_close(leader, 7);
    cr_assert_eq(ask_delete(leader, "/a"), ZK_NOT_EMPTY);
    ask_close(leader, 8);
    cr_assert_eq(ask_delete(leader, "/a"), ZK_OK);
    deliver_all(leader);
}

Test(znode_prep_pending, a_path_may_be_taken_as_soon_as_its_owner_closes)
{
    cr_assert_eq(ask_create(leader, "/a", 0), ZK_OK);
    cr_assert_eq(create_as(7, "/a/lock"), ZK_OK);
    deliver_all(leader);
    cr_assert_eq(create_as(8, "/a/lock"), ZK_NODE_EXISTS);
    ask_close(leader, 7);
    cr_assert_eq(create_as(8, "/a/lock"), ZK_OK);
    cr_assert_eq(ask_delete(leader, "/a"), ZK_NOT_EMPTY);
    deliver(leader, 1); /* the close */
    cr_assert_null(find(&leader->world, "/a/lock"));
    cr_assert_eq(ask_delete(leader, "/a"), ZK_NOT_EMPTY);
    deliver_all(leader);
    cr_assert_eq(znode_owner(find(&leader->world, "/a/lock")), 8);
}

Test(znode_prep_pending, a_closing_session_makes_no_ephemerals)
{
    ask_close(leader, 7);
    cr_assert_eq(create_as(7, "/e"), ZK_SESSION_EXPIRED);
    cr_assert_eq(create_as(8, "/e"), ZK_OK);
    ask_close(leader, 8);
    ask_close(leader, 8);
    deliver_all(leader);
    cr_assert_eq(create_as(0, "/e"), ZK_SESSION_EXPIRED);
}

Test(znode_prep_pending, a_close_costs_no_entry_for_what_the_tree_has)
{
    cr_assert_eq(ask_create(leader, "/a", 0), ZK_OK);
    for (int i = 0; i < 3000; i++) {
        cr_assert_eq(ask_create(leader, "/a/e-", ZK_EPHEMERAL_SEQUENTIAL),
                     ZK_OK);
    }
    deliver_all(leader);
    ask_close(leader, 7);
    cr_assert_eq(prep_pending_count(leader->prep), 0);
    cr_assert_eq(ask_delete(leader, "/a"), ZK_OK);
    deliver_all(leader);
}

Test(znode_prep_pending, containers_go_when_they_are_empty_again)
{
    cr_assert_eq(ask_container(leader, "/c"), ZK_NO_NODE);
    cr_assert_eq(ask_create(leader, "/c", ZK_CONTAINER), ZK_OK);
    cr_assert_eq(ask_create(leader, "/plain", 0), ZK_OK);
    deliver_all(leader);
    cr_assert_eq(ask_container(leader, "/c"), ZK_BAD_VERSION, "never used");
    cr_assert_eq(ask_create(leader, "/c/x", 0), ZK_OK);
    cr_assert_eq(ask_container(leader, "/c"), ZK_NOT_EMPTY);
    cr_assert_eq(ask_delete(leader, "/c/x"), ZK_OK);
    cr_assert_eq(ask_container(leader, "/c"), ZK_OK);
    cr_assert_eq(leader->txn.request_op, ZK_OP_DELETE_CONTAINER);
    cr_assert_eq(ask_container(leader, "/c"), ZK_NO_NODE);
    cr_assert_eq(ask_container(leader, "/plain"), ZK_BAD_VERSION);
    cr_assert_eq(ask_container(leader, "/"), ZK_NOT_EMPTY);
    cr_assert_eq(ask_container(leader, "/zookeeper/config"), ZK_BAD_VERSION);
    deliver_all(leader);
}

Test(znode_prep_pending, unused_containers_go_by_age_when_told)
{
    leader->context.container_never_used_ms = 100;
    cr_assert_eq(ask_create(leader, "/c", ZK_CONTAINER), ZK_OK);
    leader->world.time_ms += 100;
    cr_assert_eq(ask_container(leader, "/c"), ZK_BAD_VERSION);
    deliver_all(leader);
    leader->world.time_ms++;
    cr_assert_eq(ask_container(leader, "/c"), ZK_OK);
    /* Made anew while the old one's deletion is under way: young again. */
    cr_assert_eq(ask_create(leader, "/c", ZK_CONTAINER), ZK_OK);
    cr_assert_eq(ask_container(leader, "/c"), ZK_BAD_VERSION);
    deliver_all(leader);
    cr_assert_eq(ask_container(leader, "/c"), ZK_BAD_VERSION);
}

Test(znode_prep_pending, ttl_nodes_touched_since_stay)
{
    cr_assert_eq(ask_one(make_create_ttl("/t", ZK_PERSISTENT_TTL, 50)), ZK_OK);
    deliver_all(leader);
    leader->world.time_ms += 50;
    cr_assert_eq(ask_container(leader, "/t"), ZK_BAD_VERSION);
    leader->world.time_ms++;
    cr_assert_eq(ask_one(make_set("/t", "", -1)), ZK_OK);
    cr_assert_eq(ask_container(leader, "/t"), ZK_BAD_VERSION);
    deliver_all(leader);
    cr_assert_eq(ask_container(leader, "/t"), ZK_BAD_VERSION);
    leader->world.time_ms += 51;
    cr_assert_eq(ask_container(leader, "/t"), ZK_OK);
}
