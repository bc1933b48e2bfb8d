#include <criterion/criterion.h>

#include "base/blob.h"
#include "base/err.h"
#include "zab/zab.h"

static void expect_input(const struct zab_input *input, const char *expected)
{
    char text[128];
    size_t len = zab_input_format(input, text, sizeof(text));

    cr_assert_str_eq(text, expected);
    cr_assert_eq(len, strlen(expected));
}

Test(zab_text, inputs)
{
    struct peer_msg message = {.type = PEER_ACK, .epoch = 2};

    message.zxid = zxid_make(2, 5);
    expect_input(&(struct zab_input){.type = ZAB_IN_TICK, .ticks_late = 3},
                 "tick late=3");
    expect_input(&(struct zab_input){.type = ZAB_IN_MESSAGE,
                                     .link = PEER_LINK_LEARNER,
                                     .peer_id = 3,
                                     .message = &message},
                 "recv ack epoch=2 zxid=2.5 from learner 3");
    expect_input(&(struct zab_input){.type = ZAB_IN_PEER_DOWN,
                                     .link = PEER_LINK_LEADER,
                                     .peer_id = 3},
                 "down leader 3");
    expect_input(&(struct zab_input){.type = ZAB_IN_PEER_UP,
                                     .link = PEER_LINK_ELECTION,
                                     .peer_id = 2},
                 "up peer 2");
    expect_input(&(struct zab_input){.type = ZAB_IN_BROKEN,
                                     .link = PEER_LINK_LEARNER,
                                     .peer_id = 2,
                                     .why = "nonsense"},
                 "broken learner 2: nonsense");
    expect_input(
        &(struct zab_input){.type = ZAB_IN_PURGED, .purged = zxid_make(3, 7)},
        "purged 3.7");
    expect_input(&(struct zab_input){.type = ZAB_IN_RESIGN}, "resign");
    expect_input(&(struct zab_input){.type = ZAB_IN_DIVERGED}, "diverged");
}

Test(zab_text, results_of_the_disk)
{
    struct store_result read = {.type = STORE_READ_LOG, .seq = 9};
    struct store_result end = {.type = STORE_SNAP_END, .seq = 4};

    read.zxid = zxid_make(2, 6);
    read.last = true;
    read.reader_id = 2;
    expect_input(&(struct zab_input){.type = ZAB_IN_RESULT, .result = &read},
                 "read-log seq=9 reader=2 to 2.6 last");
    read.err = ERR_NOT_FOUND;
    expect_input(&(struct zab_input){.type = ZAB_IN_RESULT, .result = &read},
                 "read-log seq=9 reader=2 err=\"not found\"");
    expect_input(&(struct zab_input){.type = ZAB_IN_RESULT, .result = &end},
                 "snap-end seq=4");
}

/* Each with its reason, which is for people. */
Test(zab_text, effects_on_links)
{
    struct zab_effect effect = {.type = ZAB_SEND, .peers = 5};
    char text[96];

    effect.message.type = PEER_COMMIT;
    effect.message.epoch = 3;
    effect.message.zxid = zxid_make(3, 8);
    effect.link = PEER_LINK_LEARNER;
    (void)zab_effect_format(&effect, text, sizeof(text));
    cr_assert_str_eq(text, "send commit epoch=3 zxid=3.8 to learner 0x5");
    effect = (struct zab_effect){
        .type = ZAB_DROP_PEER, .peers = 2, .why = "it is silent"};
    (void)zab_effect_format(&effect, text, sizeof(text));
    cr_assert_str_eq(text, "drop peer 0x2: it is silent");
    effect = (struct zab_effect){.type = ZAB_CONNECT, .peers = 4};
    (void)zab_effect_format(&effect, text, sizeof(text));
    cr_assert_str_eq(text, "connect 0x4");
}

/* A payload may hold passwords: only its size is told. */
Test(zab_text, effects_show_no_payload)
{
    struct zab_effect effect = {.type = ZAB_DELIVER};
    char text[64];

    effect.deliver.zxid = zxid_make(1, 4);
    effect.deliver.payload = blob_copy(SLICE_LITERAL("secret"));
    (void)zab_effect_format(&effect, text, sizeof(text));
    cr_assert_str_eq(text, "deliver 1.4 bytes=6");
    blob_unref(effect.deliver.payload);
}

Test(zab_text, stays_within_its_room)
{
    struct zab_effect effect = {.type = ZAB_DAMAGED, .why = "because"};
    char text[8] = "zzzzzzz";
    size_t len = zab_effect_format(&effect, text, 5);

    cr_assert_eq(len, strlen("damaged: because"));
    cr_assert_str_eq(text, "dama");
    cr_assert_eq(text[5], 'z');
    cr_assert_eq(zab_effect_format(&effect, NULL, 0), len);
}
