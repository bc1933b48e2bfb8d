#include <criterion/criterion.h>

#include "base/blob.h"
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
    struct store_result read = {.type = STORE_READ_LOG, .seq = 9};

    message.zxid = zxid_make(2, 5);
    expect_input(&(struct zab_input){.type = ZAB_IN_TICK, .ticks_late = 3},
                 "tick late=3");
    expect_input(&(struct zab_input){.type = ZAB_IN_MESSAGE,
                                     .peer_id = 3,
                                     .message = &message},
                 "recv ack epoch=2 2.5 from 3");
    expect_input(&(struct zab_input){.type = ZAB_IN_PEER_DOWN,
                                     .link = PEER_LINK_QUORUM,
                                     .peer_id = 3},
                 "quorum link down to 3");
    read.zxid = zxid_make(2, 6);
    read.last = true;
    expect_input(&(struct zab_input){.type = ZAB_IN_READ, .read = &read},
                 "read-log seq=9 to 2.6 last");
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
