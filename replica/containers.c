/* The leader's garbage: containers that are empty again and TTL nodes whose
 * time has run out, looked for now and then and deleted at a set pace. */
#include "base/check.h"
#include "replica/replica_internal.h"

#define MINUTE_MS 60000
/* Found at a time; the rest is found at the next look. */
#define FOUND_MAX ((size_t)10000)

static void look(struct replica *r);
static void propose(struct replica *r, struct slice path);

void containers_tick(struct replica *r)
{
    /* Neither the tree nor prep may be asked in the middle of a txn. */
    if (!r->leading || r->config.container_check_ms <= 0 ||
        r->delivery.active) {
        return;
    }
    if (r->containers_at == r->containers_count) {
        if (r->now_ms < r->containers_next_ms) {
            return;
        }
        look(r);
    }
    r->containers_credit +=
        (uint64_t)r->config.container_max_per_minute * TICK_MS;
    while (r->containers_at < r->containers_count &&
           r->containers_credit >= MINUTE_MS && propose_possible(r)) {
        r->containers_credit -= MINUTE_MS;
        propose(r, r->containers[r->containers_at++]);
    }
    if (r->containers_at == r->containers_count ||
        r->containers_credit > MINUTE_MS) {
        r->containers_credit = 0;
    }
}

static void look(struct replica *r)
{
    struct slice *paths;

    r->containers_next_ms = r->now_ms + r->config.container_check_ms;
    r->containers_at = 0;
    r->containers_count = 0;
    arena_reset(r->containers_arena);
    r->containers_count = tree_container_candidates(
        r->tree, r->wall_ms, r->config.container_never_used_ms, FOUND_MAX,
        r->containers_arena, &paths);
    r->containers = paths;
}

/* prep looks again: what was touched since stays. Nobody waits for it. */
static void propose(struct replica *r, struct slice path)
{
    struct origin origin = {.id = r->self_id};
    struct prep_context context;
    struct txn txn;

    write_context(r, &origin, &context);
    if (prep_delete_container(r->prep, &context, path, &txn) == ZK_OK) {
        write_propose(r, &txn);
    }
}
