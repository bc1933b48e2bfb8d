#include <criterion/criterion.h>

#include "tests/unit/zab/alone.h"

#include "base/err.h"

static void boot_to_damage(struct alone *alone, const char *why);

/* A checkpoint of 5 chunks at 1.4, the log from 1.3 to 2.3, 2.1 known
 * committed. */
static void fill_disk(struct alone *alone)
{
    alone_init(alone);
    alone->epoch_accepted = 2;
    alone->epoch_current = 2;
    alone->cluster_id[0] = 9;
    alone->checkpoint = zxid_make(1, 4);
    alone->checkpoint_chunks = 5;
    alone->committed = zxid_make(2, 1);
    for (uint32_t i = 3; i <= 6; i++) {
        alone_add_log(alone, zxid_make(1, i));
    }
    for (uint32_t i = 1; i <= 3; i++) {
        alone_add_log(alone, zxid_make(2, i));
    }
}

/* What is known committed is delivered before the election, the rest when the
 * epoch is taken up; nothing is proposed before all of it is delivered. */
Test(zab_boot, tree_then_committed_log_then_election_then_the_rest)
{
    struct alone alone;

    fill_disk(&alone);
    alone.log_chunk = 2;
    alone_start(&alone);
    alone_tick(&alone);
    while (!alone.tree_whole) {
        cr_assert_eq(alone.writes_count, 0);
        cr_assert_leq(alone.reads_count, 2);
        alone_read(&alone);
    }
    cr_assert_eq(alone.closes, 1); /* a chunk had been asked ahead */
    cr_assert_eq(zab_committed(alone.zab), zxid_make(2, 1));
    while (alone.reads_count > 0) {
        cr_assert_eq(alone.writes_count, 0);
        alone_read(&alone);
    }
    cr_assert_eq(alone.delivered, zxid_make(2, 1));
    alone_store(&alone, 1);
    cr_assert_eq(alone.delivered, zxid_make(2, 1));
    alone_store(&alone, 1);
    cr_assert_eq(zab_role(alone.zab), ZAB_LEADING);
    cr_assert_not(zab_can_propose(alone.zab));
    alone_barrier(&alone, 1);
    cr_assert_eq(zab_epoch(alone.zab), 3);
    alone_settle(&alone);
    cr_assert_eq(alone.delivered, zxid_make(2, 3));
    cr_assert(zab_can_propose(alone.zab));
    cr_assert_eq(zab_next_zxid(alone.zab), zxid_make(3, 1));
    /* The barrier's place is behind the whole log. */
    cr_assert_eq(alone.events_count, 6);
    cr_assert(alone.events[5].is_barrier);
    cr_assert_eq(alone.cluster_id[0], 9);
    alone_finish(&alone);
}

/* However the log is cut into chunks, and whatever was known committed. */
Test(zab_boot, every_chunk_size_and_committed_zxid)
{
    for (size_t chunk = 1; chunk <= 8; chunk++) {
        for (size_t known = 0; known <= 7; known++) {
            struct alone alone;

            fill_disk(&alone);
            alone.log_chunk = chunk;
            alone.committed = known == 7 ? 0 : alone.log[known].zxid;
            alone.checkpoint_chunks = 1 + known % 4;
            alone_serve(&alone);
            cr_assert_eq(alone.delivered, zxid_make(2, 3));
            cr_assert_eq(alone.events_count, 5);
            alone_finish(&alone);
        }
    }
}

Test(zab_boot, a_checkpoint_without_a_log)
{
    struct alone alone;

    fill_disk(&alone);
    alone.log_count = 0;
    alone.committed = alone.checkpoint;
    alone_serve(&alone);
    cr_assert_eq(alone.delivered, zxid_make(1, 4));
    cr_assert_eq(alone.events_count, 0);
    alone_finish(&alone);
}

/* A batch header may name what was torn off behind it. */
Test(zab_boot, committed_behind_the_torn_end_is_cut_to_it)
{
    struct alone alone;

    fill_disk(&alone);
    alone.committed = zxid_make(2, 9);
    alone_serve(&alone);
    cr_assert_eq(alone.delivered, zxid_make(2, 3));
    alone_finish(&alone);
}

Test(zab_boot, epoch_accepted_without_being_taken_up_is_not_used_again)
{
    struct alone alone;

    fill_disk(&alone);
    alone.epoch_accepted = 7;
    alone_serve(&alone);
    cr_assert_eq(zab_epoch(alone.zab), 8);
    alone_finish(&alone);
}

Test(zab_boot, a_gap_in_the_log_is_damage)
{
    struct alone alone;

    fill_disk(&alone);
    alone.log[4].zxid = zxid_make(2, 2);
    boot_to_damage(&alone, "the log has a gap");
    fill_disk(&alone);
    alone.log[0].zxid = zxid_make(1, 6);
    alone.log[1].zxid = zxid_make(2, 1);
    alone.log_count = 2;
    boot_to_damage(&alone, "the log has a gap");
}

Test(zab_boot, a_log_that_misses_what_is_committed_is_damage)
{
    struct alone alone;

    fill_disk(&alone);
    alone.committed = zxid_make(1, 9);
    boot_to_damage(&alone, "the log has no record of what is committed");
}

Test(zab_boot, a_log_later_than_the_state_files_is_damage)
{
    struct alone alone;

    fill_disk(&alone);
    alone.epoch_accepted = 1;
    alone.epoch_current = 1;
    boot_to_damage(&alone, "the log is of a later epoch than the state files");
}

Test(zab_boot, the_last_epoch_is_the_end)
{
    struct alone alone;

    fill_disk(&alone);
    alone.epoch_accepted = UINT32_MAX;
    boot_to_damage(&alone, "no epoch is left");
}

/* What the disk says in answer to the first read. */
static void boot_with_answer(struct store_result answer, const char *why)
{
    struct alone alone;
    struct zab_effects effects = {0};

    fill_disk(&alone);
    alone_start(&alone);
    alone_tick(&alone);
    if (answer.type == STORE_READ_LOG) {
        while (!alone.tree_whole) {
            alone_read(&alone);
        }
        while (alone.reads[0].type != STORE_READ_LOG) {
            alone_read(&alone);
        }
    }
    answer.seq = alone.reads[0].seq;
    answer.reader_id = alone.reads[0].reader_id;
    zab_step(alone.zab,
             &(struct zab_input){.type = ZAB_IN_RESULT, .result = &answer},
             &effects);
    cr_assert_eq(effects.count, 1);
    cr_assert_eq(effects.items[0].type, ZAB_DAMAGED);
    cr_assert_str_eq(effects.items[0].why, why);
    free(effects.items);
    blob_unref(answer.payload);
    alone_finish(&alone);
}

Test(zab_boot, answers_of_the_disk_that_cannot_be)
{
    struct store_result snap = {.type = STORE_READ_SNAP, .last = true};
    struct store_result log = {.type = STORE_READ_LOG, .last = true};

    snap.zxid = zxid_make(1, 5);
    boot_with_answer(snap, "the checkpoint is another one than at start");
    snap.err = ERR_CORRUPT;
    boot_with_answer(snap, "the checkpoint cannot be read");
    snap.err = ERR_NOT_FOUND; /* there is one */
    boot_with_answer(snap, "the checkpoint cannot be read");

    boot_with_answer(log, "the log ends before what is committed");
    log.last = false;
    boot_with_answer(log, "the log ends before what is committed");
    log.payload = blob_copy(SLICE_LITERAL("123"));
    boot_with_answer(log, "a piece of the log does not parse");
    log.payload = NULL;
    log.err = ERR_CORRUPT;
    boot_with_answer(log, "the log cannot be read");
}

static void boot_to_damage(struct alone *alone, const char *why)
{
    alone_start(alone);
    alone_tick(alone);
    for (unsigned i = 0; i < 100 && !alone->damaged; i++) {
        cr_assert(alone->reads_count + alone->writes_count > 0);
        if (alone->reads_count > 0) {
            alone_read(alone);
        } else {
            alone_store(alone, 1);
        }
    }
    cr_assert_str_eq(alone->why, why);
    /* Nothing more comes of it. */
    buf_clear(&alone->trace);
    alone_tick(alone);
    alone_expect(alone, "> tick\n");
    cr_assert_not(zab_can_propose(alone->zab));
    alone_finish(alone);
}
