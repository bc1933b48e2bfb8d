/* The fold of what is committed: right histories give the right states, wrong
 * ones are told. */
#include <criterion/criterion.h>

#include "tests/unit/sim/rig.h"
#include "znode/tree.h"

#define SESSION UINT64_C(0x0100000100000001)

static struct rig rig;
static struct model *model;
static struct arena *arena;

static void up(void)
{
    rig_init(&rig);
    model = model_create();
    arena = arena_create(1024);
}

static void down(void)
{
    arena_destroy(arena);
    model_destroy(model);
    rig_finish(&rig);
}

TestSuite(sim_model, .init = up, .fini = down);

static const char *apply(zxid_t zxid, const struct blob *blob)
{
    struct txn txn;

    cr_assert_eq(txn_decode(blob_bytes(blob), arena, &txn), 0);
    return model_apply(model, zxid, &txn);
}

static const struct model_state *at(const char *path, zxid_t zxid)
{
    return model_at(model, slice_from_text(path), zxid);
}

Test(sim_model, keeps_the_states_of_a_path)
{
    cr_assert_null(apply(1, rig_session(&rig, SESSION)));
    cr_assert_null(apply(2, rig_create(&rig, SESSION, 1, "/a", "x")));
    cr_assert_null(apply(3, rig_set(&rig, SESSION, 2, "/a", "y", 1)));
    cr_assert_null(apply(4, rig_create(&rig, SESSION, 3, "/a/b", "z")));
    cr_assert_null(apply(5, rig_delete(&rig, SESSION, 4, "/a/b")));
    cr_assert_null(apply(6, rig_delete(&rig, SESSION, 5, "/a")));
    cr_assert_not(at("/a", 1)->exists);
    cr_assert_eq(at("/a", 2)->data, model_hash(SLICE_LITERAL("x")));
    cr_assert_eq(at("/a", 3)->version, 1);
    cr_assert_eq(at("/a", 4)->children_count, 1);
    cr_assert_eq(at("/a", 4)->pzxid, 4);
    cr_assert_eq(at("/a", 5)->children_count, 0);
    cr_assert_not(at("/a", 6)->exists);
    cr_assert_not(at("/unknown", 6)->exists);
}

Test(sim_model, knows_what_a_watch_must_tell)
{
    struct slice path = SLICE_LITERAL("/a");

    cr_assert_null(apply(1, rig_session(&rig, SESSION)));
    cr_assert_null(apply(2, rig_create(&rig, SESSION, 1, "/a", "x")));
    cr_assert_null(apply(3, rig_create(&rig, SESSION, 2, "/a/b", "z")));
    cr_assert_null(apply(4, rig_set(&rig, SESSION, 3, "/a", "y", 1)));
    cr_assert_eq(model_fires(model, path, MODEL_WATCH_DATA, 1, 4), 2);
    cr_assert_eq(model_fires(model, path, MODEL_WATCH_DATA, 2, 4), 4);
    cr_assert_eq(model_fires(model, path, MODEL_WATCH_DATA, 2, 3), 0);
    cr_assert_eq(model_fires(model, path, MODEL_WATCH_CHILD, 2, 4), 3);
    cr_assert(model_changed(model, path, ZK_EVENT_CHILDREN_CHANGED, 3));
    cr_assert_not(model_changed(model, path, ZK_EVENT_DATA_CHANGED, 3));
}

/* What is older than its memory is not known, and not guessed. */
Test(sim_model, does_not_guess_what_it_forgot)
{
    cr_assert_null(apply(1, rig_session(&rig, SESSION)));
    cr_assert_null(apply(2, rig_create(&rig, SESSION, 1, "/a", "x")));
    for (int i = 1; i <= 1000; i++) {
        struct txn txn = {
            .session_id = SESSION,
            .op = ZK_OP_SET_DATA,
            .request_op = ZK_OP_SET_DATA,
            .set_data = {.path = SLICE_LITERAL("/a"), .version = i}};

        cr_assert_null(model_apply(model, (zxid_t)(2 + i), &txn));
    }
    cr_assert_null(at("/a", 5));
    cr_assert_eq(at("/a", 1000)->version, 998);
}

Test(sim_model, tells_of_txns_that_do_not_fit)
{
    cr_assert_not_null(apply(1, rig_create(&rig, SESSION, 1, "/a", "x")));
    cr_assert_null(apply(2, rig_session(&rig, SESSION)));
    cr_assert_not_null(apply(2, rig_create(&rig, SESSION, 1, "/b", "x")));
    cr_assert_null(apply(3, rig_create(&rig, SESSION, 1, "/a", "x")));
    cr_assert_not_null(apply(4, rig_create(&rig, SESSION, 2, "/a", "x")));
    cr_assert_not_null(apply(5, rig_create(&rig, SESSION, 2, "/n/b", "x")));
    cr_assert_not_null(apply(6, rig_set(&rig, SESSION, 2, "/a", "y", 5)));
    cr_assert_not_null(apply(7, rig_set(&rig, SESSION, 2, "/n", "y", 1)));
    cr_assert_not_null(apply(8, rig_delete(&rig, SESSION, 2, "/n")));
    cr_assert_not_null(apply(9, rig_session(&rig, SESSION)));
}

Test(sim_model, tells_of_sequential_names_that_do_not_rise)
{
    cr_assert_null(apply(1, rig_session(&rig, SESSION)));
    cr_assert_null(
        apply(2, rig_create(&rig, SESSION, 1, "/n-0000000004", "x")));
    cr_assert_null(
        apply(3, rig_create(&rig, SESSION, 2, "/n-0000000006", "x")));
    cr_assert_not_null(
        apply(4, rig_create(&rig, SESSION, 3, "/n-0000000005", "x")));
}

Test(sim_model, ephemerals_go_with_their_session)
{
    struct txn txn = {.session_id = SESSION,
                      .op = ZK_OP_CREATE,
                      .request_op = ZK_OP_CREATE,
                      .create = {.path = SLICE_LITERAL("/e"),
                                 .data = SLICE_LITERAL("x"),
                                 .ephemeral_owner = SESSION}};

    cr_assert_null(apply(1, rig_session(&rig, SESSION)));
    cr_assert_null(model_apply(model, 2, &txn));
    cr_assert(at("/e", 2)->exists);
    cr_assert_null(apply(3, rig_close(&rig, SESSION, 1)));
    cr_assert_not(at("/e", 3)->exists);
    cr_assert_eq(model_session(model, SESSION)->closed, 3);
    cr_assert_eq(model_sessions_open(model), 0);
}

Test(sim_model, finds_the_difference_between_itself_and_a_tree)
{
    struct tree *tree = tree_create(1);
    struct apply_result result;
    struct txn txn;

    cr_assert_null(model_compare(model, tree));
    cr_assert_null(apply(1, rig_session(&rig, SESSION)));
    cr_assert_null(apply(2, rig_create(&rig, SESSION, 1, "/a", "x")));
    cr_assert_not_null(model_compare(model, tree)); /* it lacks a node */
    cr_assert_eq(txn_decode(blob_bytes(rig.blobs[1]), arena, &txn), 0);
    cr_assert(tree_apply(tree, 2, &txn, arena, &result));
    cr_assert_null(model_compare(model, tree));
    cr_assert_null(apply(3, rig_set(&rig, SESSION, 2, "/a", "y", 1)));
    cr_assert_not_null(model_compare(model, tree)); /* another value */
    cr_assert_null(apply(4, rig_delete(&rig, SESSION, 3, "/a")));
    cr_assert_not_null(model_compare(model, tree)); /* one too many */
    tree_destroy(tree);
}
