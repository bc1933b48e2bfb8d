#include <criterion/criterion.h>

#include "zab/quorum.h"

static struct quorum of(unsigned voters, unsigned observers)
{
    struct quorum quorum;

    quorum_init(&quorum);
    for (unsigned i = 0; i < voters + observers; i++) {
        quorum_add(&quorum, i < voters ? 1 : 0);
    }
    return quorum;
}

Test(zab_quorum, half_is_not_enough)
{
    struct quorum one = of(1, 0), four = of(4, 0), five = of(5, 0);

    cr_assert_not(quorum_holds(&one, 0));
    cr_assert(quorum_holds(&one, 1));
    cr_assert_not(quorum_holds(&four, 0x3));
    cr_assert(quorum_holds(&four, 0x7));
    cr_assert_not(quorum_holds(&five, 0x11));
    cr_assert(quorum_holds(&five, 0x15));
}

Test(zab_quorum, observers_do_not_count)
{
    struct quorum quorum = of(3, 4);
    zxid_t acked[7] = {5, 0, 0, 9, 9, 9, 9};

    cr_assert_not(quorum_holds(&quorum, 0x79));
    cr_assert(quorum_holds(&quorum, 0x03));
    cr_assert_eq(quorum_acked(&quorum, acked), 0);
}

Test(zab_quorum, committed_is_what_the_quorums_slowest_has)
{
    struct quorum one = of(1, 0), three = of(3, 0), four = of(4, 0);
    zxid_t a1[1] = {7}, a3[3] = {7, 3, 5}, a4[4] = {9, 2, 4, 8};
    zxid_t same[3] = {4, 4, 1};

    cr_assert_eq(quorum_acked(&one, a1), 7);
    cr_assert_eq(quorum_acked(&three, a3), 5);
    cr_assert_eq(quorum_acked(&four, a4), 4);
    cr_assert_eq(quorum_acked(&three, same), 4);
}

Test(zab_quorum, weights_decide)
{
    struct quorum quorum;
    zxid_t acked[3] = {3, 8, 8};

    quorum_init(&quorum);
    quorum_add(&quorum, 5);
    quorum_add(&quorum, 2);
    quorum_add(&quorum, 2);
    cr_assert(quorum_holds(&quorum, 0x1));
    cr_assert_not(quorum_holds(&quorum, 0x6));
    cr_assert_eq(quorum_acked(&quorum, acked), 3);
}
