/* How long nobody can write when a leader goes, in virtual time: messages take
 * 200 us, a sync of a disk takes 1 ms. Clients that were not in the middle of a
 * write keep their connections (DESIGN 3.6). */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/scenarios/scene.h"

#define TRIES 40
#define LOAD 10 /* writes on their way */
#define GAP_US_MAX (5 * SIM_SECOND)

enum fault { KILL, STOP, HAND_OVER };

static void load(struct sim *sim, unsigned client);
static uint64_t gap_us(uint64_t seed, unsigned voters, enum fault fault);
static int by_size(const void *a, const void *b);

/* Half of so many tries, and all of them, take no longer. */
static void expect(unsigned voters, enum fault fault, uint64_t median_ms,
                   uint64_t worst_ms)
{
    uint64_t gaps[TRIES];

    for (unsigned i = 0; i < TRIES; i++) {
        gaps[i] = gap_us(i + 1, voters, fault);
    }
    qsort(gaps, TRIES, sizeof(gaps[0]), by_size);
    cr_expect_leq(gaps[TRIES / 2], median_ms * SIM_MS);
    cr_expect_leq(gaps[TRIES - 1], worst_ms * SIM_MS);
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* From the fault until a client of another server, which waits since it can
 * tell, has an answer to a write. */
static uint64_t gap_us(uint64_t seed, unsigned voters, enum fault fault)
{
    struct sim_options options;
    struct sim *sim;
    unsigned old, other;
    uint64_t at_us, gap;

    scene_options(&options, voters, 0, 2);
    options.seed = seed;
    options.disk_us_min = options.disk_us_max = 1000;
    options.prompt = true;
    sim = scene_with(&options);
    old = sim_leader(sim);
    other = scene_other(sim, old, 0);
    scene_to(sim, 0, old);
    scene_to(sim, 1, other);
    load(sim, 0);
    (void)sim_run(sim, seed * 97);
    at_us = sim_now_us(sim);
    if (fault == KILL) {
        sim_crash(sim, old);
    } else if (fault == STOP) {
        sim_pause(sim, old, 20 * SIM_SECOND);
    } else {
        sim_resign(sim, old);
    }
    while (sim_serving(sim, other) && sim_now_us(sim) < at_us + GAP_US_MAX) {
        (void)sim_run(sim, 100);
    }
    scene_tell(sim, 1, "create /after x");
    for (gap = 0; gap < GAP_US_MAX; gap = sim_now_us(sim) - at_us) {
        const char *lines = client_lines(sim_clients(sim), 1);

        if (strcmp(lines, "") != 0) {
            cr_assert_str_eq(lines, "create /after\n");
            break;
        }
        (void)sim_run(sim, 100);
    }
    scene_stop(sim);
    return gap;
}

static void load(struct sim *sim, unsigned client)
{
    for (unsigned i = 0; i < LOAD; i++) {
        char text[32];

        (void)snprintf(text, sizeof(text), "create /load%u x", i);
        scene_tell(sim, client, text);
    }
}

Test(failover, a_leader_is_killed)
{
    expect(3, KILL, 20, 50);
    expect(5, KILL, 20, 50);
}

/* leaderTimeoutMs, 700, and little more. */
Test(failover, a_leader_is_stopped)
{
    expect(3, STOP, 800, 850);
    expect(5, STOP, 800, 850);
}

Test(failover, a_leader_hands_over)
{
    expect(3, HAND_OVER, 20, 50);
    expect(5, HAND_OVER, 20, 50);
}
