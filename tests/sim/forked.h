/* One simulation in a process of its own, so that a failed CHECK is a result
 * like any other. */
#ifndef CORRAL_TESTS_FORKED_H
#define CORRAL_TESTS_FORKED_H

#include "tests/sim/sim_internal.h"

/* What is to be run; the rest the seed draws. */
struct plan {
    uint64_t seed;
    int voters, observers, clients; /* -1: as drawn */
    int seconds;                    /* virtual; 0: as drawn */
    uint64_t until;                 /* no event behind this one; 0: none */
    bool trace;
    uint64_t trace_from;
    int perturb; /* what malloc fills memory with */
};

enum outcome { OUTCOME_OK, OUTCOME_CRASH, OUTCOME_LIVENESS, OUTCOME_WRONG };

/* In memory that both processes see; names are static text. */
struct report {
    bool finished;
    char finding[1024];
    uint64_t events, hash, virtual_us, cpu_us;
    unsigned voters, observers, clients;
    struct counter marks[ZAB_MARKS_COUNT];
    struct counter counters[COUNTERS_MAX];
    size_t marks_count, counters_count;
};

struct shared {
    struct script script;
    struct report report;
};

struct shared *shared_create(void);
/* Runs it: by shared->script if that says so, else the script is written. */
enum outcome forked_run(const struct plan *plan, struct shared *shared);
/* The invariant's name alone; "crash". */
void finding_name(const struct report *report, enum outcome outcome, char *name,
                  size_t size);

/* ---- shrink.c: makes plan and script as small as they can be with the same
 * finding; says what it does. Returns the number of runs. */
unsigned shrink(struct plan *plan, struct shared *shared, enum outcome outcome);
int script_save(const struct script *script, FILE *file);
int script_load(struct script *script, FILE *file);

#endif
