/* A finding with as little around it as possible: first without faults that it
 * does not need, then with fewer clients, then with fewer servers. */
#include <inttypes.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "tests/sim/forked.h"

struct shrinker {
    struct plan *plan;
    struct shared *shared;
    char name[64];
    unsigned runs;
    struct script *best; /* the finding is there with these */
};

static bool still_there(struct shrinker *s);
static void shorten(struct shrinker *s);
static void drop_faults(struct shrinker *s);
static void drop_some(struct shrinker *s, int *count, int min,
                      const char *what);

unsigned shrink(struct plan *plan, struct shared *shared, enum outcome outcome)
{
    struct shrinker s = {.plan = plan, .shared = shared};

    finding_name(&shared->report, outcome, s.name, sizeof(s.name));
    shared->script.replay = true;
    s.best = MEM_NEW(struct script);
    *s.best = shared->script;
    if (!still_there(&s)) {
        (void)printf("shrink: %s does not come again with its faults noted\n",
                     s.name);
        mem_free(s.best);
        return s.runs;
    }
    shorten(&s);
    drop_faults(&s);
    drop_some(&s, &plan->clients, 0, "clients");
    drop_some(&s, &plan->observers, 0, "observers");
    drop_some(&s, &plan->voters, 1, "voters");
    drop_faults(&s);
    shared->script = *s.best;
    mem_free(s.best);
    return s.runs;
}

static bool still_there(struct shrinker *s)
{
    char name[64];
    enum outcome outcome;

    s->runs++;
    outcome = forked_run(s->plan, s->shared);
    if (outcome == OUTCOME_OK) {
        return false;
    }
    finding_name(&s->shared->report, outcome, name, sizeof(name));
    return strcmp(name, s->name) == 0;
}

/* Nothing behind the finding matters, unless it is that nothing came of it. */
static void shorten(struct shrinker *s)
{
    uint64_t seconds = s->shared->report.virtual_us / SIM_SECOND + 1;
    int before = s->plan->seconds;

    s->plan->voters = (int)s->shared->report.voters;
    s->plan->observers = (int)s->shared->report.observers;
    s->plan->clients = (int)s->shared->report.clients;
    if (strcmp(s->name, "Liveness") == 0 || strcmp(s->name, "crash") == 0) {
        for (s->plan->seconds = 32; s->plan->seconds > 0 && still_there(s);
             s->plan->seconds /= 2) {
            before = s->plan->seconds;
        }
        s->plan->seconds = before;
        return;
    }
    s->plan->seconds = (int)seconds;
    if (!still_there(s)) {
        s->plan->seconds = before;
    }
}

static void drop_faults(struct shrinker *s)
{
    uint32_t part = s->best->count;

    while (part > 0) {
        uint32_t at = 0;

        while (at < s->best->count) {
            struct script *tried = &s->shared->script;
            uint32_t end =
                at + part < s->best->count ? at + part : s->best->count;

            *tried = *s->best;
            memmove(tried->faults + at, tried->faults + end,
                    (tried->count - end) * sizeof(tried->faults[0]));
            tried->count -= end - at;
            if (still_there(s)) {
                *s->best = s->shared->script;
            } else {
                at = end;
            }
        }
        (void)printf("shrink: %u faults left, by %u, %u runs\n", s->best->count,
                     part, s->runs);
        part /= 2;
    }
    s->shared->script = *s->best;
}

static void drop_some(struct shrinker *s, int *count, int min, const char *what)
{
    while (*count > min) {
        (*count)--;
        s->shared->script = *s->best;
        if (!still_there(s)) {
            (*count)++;
            break;
        }
    }
    (void)printf("shrink: %d %s\n", *count, what);
}

/* ---- scripts as text: tick, kind, draw */

int script_save(const struct script *script, FILE *file)
{
    for (uint32_t i = 0; i < script->count; i++) {
        const struct fault *fault = &script->faults[i];

        if (fprintf(file, "%" PRIu32 " %d %" PRIu64 "\n", fault->tick,
                    (int)fault->kind, fault->draw) < 0) {
            return ERR_IO;
        }
    }
    return 0;
}

int script_load(struct script *script, FILE *file)
{
    struct fault fault;
    int kind;

    script->replay = true;
    script->count = 0;
    while (fscanf(file, "%" SCNu32 " %d %" SCNu64, // NOLINT(cert-err34-c)
                  &fault.tick, &kind, &fault.draw) == 3) {
        if (kind < 0 || kind >= FAULT_KINDS_COUNT ||
            script->count == SCRIPT_MAX) {
            return ERR_MALFORMED;
        }
        fault.kind = (enum fault_kind)kind;
        script->faults[script->count++] = fault;
    }
    return feof(file) ? 0 : ERR_MALFORMED;
}
