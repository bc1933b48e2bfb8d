/* What each server asked of its disk, what it has there, and the walk over
 * what every step appended. */
#include "tests/sim/checker_internal.h"

#include "base/check.h"
#include "base/mem.h"
#include "zab/zab_internal.h"

static void learn_voters(struct checker *c, const struct zab *zab);
static void role_changed(struct checker *c, unsigned server,
                         const struct checker_view *view,
                         const struct replica_input *input);
static void told_more(struct checker *c, unsigned server,
                      const struct checker_view *view);
static void note_in_place(struct checker *c, uint32_t epoch);
static void look_at_store(struct checker *c, unsigned server,
                          const struct checker_view *view,
                          const struct store_op *op, int64_t now_ms);
static void asked_epochs(struct checker *c, unsigned server,
                         const struct store_op *op);
static void look_whole(struct checker *c, unsigned server,
                       const struct checker_view *view);
static void adopt(struct checker *c, unsigned server,
                  const struct durable_state *durable);

struct checker *checker_create(struct sim *sim, unsigned servers)
{
    struct checker *c = MEM_NEW(struct checker);

    c->sim = sim;
    c->servers_count = servers;
    c->servers = MEM_ARRAY(struct server, servers + 1);
    map_init(&c->sessions, 3);
    c->model = model_create();
    c->arena = arena_create(4096);
    return c;
}

void checker_destroy(struct checker *c)
{
    if (c == NULL) {
        return;
    }
    for (unsigned i = 0; i <= c->servers_count; i++) {
        runs_finish(&c->servers[i].asked);
        runs_finish(&c->servers[i].platter);
        runs_finish(&c->servers[i].ghost);
    }
    checker_log_finish(c);
    checker_session_finish(c);
    runs_finish(&c->committed);
    model_destroy(c->model);
    arena_destroy(c->arena);
    mem_free(c->servers);
    mem_free(c);
}

struct model *checker_model(struct checker *c)
{
    return c->model;
}

void checker_started(struct checker *c, unsigned server,
                     const struct durable_state *durable)
{
    struct server *s = &c->servers[server];

    if (durable->epoch_accepted < s->accepted ||
        (durable->epoch_current < s->current && s->current_asked != 0)) {
        sim_fail(c->sim,
                 "ElectionSafety: server %u starts with epochs %u and %u, it "
                 "had %u and %u",
                 server, durable->epoch_accepted, durable->epoch_current,
                 s->accepted, s->current);
    }
    s->life++;
    s->accepted = s->accepted_asked = durable->epoch_accepted;
    s->current = s->current_asked = durable->epoch_current;
    if (s->own > s->accepted) {
        s->own = s->accepted; /* it never got to the disk: nobody counted it */
    }
    s->role = ZAB_LOOKING;
    s->epoch = 0;
    s->delivered = 0;
    s->told = durable->zxid_committed;
    adopt(c, server, durable);
    s->cuts = 0;
}

void checker_died(struct checker *c, unsigned server)
{
    c->servers[server].role = ZAB_LOOKING;
}

void checker_wiped(struct checker *c, unsigned server)
{
    struct server *s = &c->servers[server];
    struct runs platter = s->platter;

    /* What it had counts for who has counted on it; what a blank one had,
     * wiped once more, nobody counted on. */
    if (s->current != 0) {
        s->platter = s->ghost;
        s->ghost = platter;
    }
    runs_reset(&s->platter, 0);
    runs_reset(&s->asked, 0);
    s->cuts = 0;
    s->accepted = s->accepted_asked = 0;
    s->current = s->current_asked = 0;
    s->counted = 0;
    s->own = 0;
}

void checker_durable(struct checker *c, unsigned server,
                     const struct store_op *op)
{
    struct server *s = &c->servers[server];

    switch ((int)op->type) {
        case STORE_EPOCHS:
            s->accepted = op->epoch_accepted;
            s->current = op->epoch_current;
            break;
        case STORE_APPEND:
            if (!runs_append(&s->platter, op->zxid)) {
                sim_fail(c->sim,
                         "DurableAck: server %u writes 0x%llx, it does not "
                         "follow what it has",
                         server, (unsigned long long)op->zxid);
            }
            break;
        case STORE_TRUNCATE:
            (void)runs_truncate(&s->platter, op->zxid);
            s->cuts -= s->cuts > 0;
            break;
        case STORE_SNAP_BEGIN:
            s->snap_durable = op->zxid;
            break;
        case STORE_SNAP_END:
            runs_reset(&s->platter, op->zxid != 0 ? op->zxid : s->snap_durable);
            s->cuts -= s->cuts > 0;
            break;
        default:
            break;
    }
}

void checker_step(struct checker *c, unsigned server,
                  const struct replica *replica,
                  const struct replica_input *input,
                  const struct replica_effect *effects, size_t count)
{
    const struct zab *zab = inspect_zab(replica);
    struct checker_view view = {.role = zab_role(zab),
                                .epoch = zab_epoch(zab),
                                .committed = zab_committed(zab),
                                .leader_id = zab_leader_id(zab),
                                .replica = replica};

    inspect_point(replica, &view.point);
    if (c->voters == 0) {
        learn_voters(c, zab);
        c->counter_max = zab->config.counter_max;
    }
    checker_look(c, server, &view, input, effects, count);
}

void checker_settled(struct checker *c, unsigned server,
                     const struct replica *replica)
{
    struct checker_view view = {.replica = replica};

    inspect_point(replica, &view.point);
    if (!view.point.whole || view.point.zxid != runs_last(&c->committed)) {
        sim_fail(c->sim, "Settled: server %u is at 0x%llx, 0x%llx is committed",
                 server, (unsigned long long)view.point.zxid,
                 (unsigned long long)runs_last(&c->committed));
        return;
    }
    look_whole(c, server, &view);
}

void checker_look(struct checker *c, unsigned server,
                  const struct checker_view *view,
                  const struct replica_input *input,
                  const struct replica_effect *effects, size_t count)
{
    struct server *s = &c->servers[server];

    if (view->role != s->role || view->epoch != s->epoch) {
        role_changed(c, server, view, input);
    }
    if (view->committed > s->told) {
        told_more(c, server, view);
    }
    if (view->role == ZAB_LEADING) {
        checker_session_input(c, server, view, input);
    }
    for (size_t i = 0; i < count; i++) {
        if (effects[i].type == REPLICA_STORE) {
            look_at_store(c, server, view, &effects[i].store, input->now_ms);
        }
    }
    if (view->role == ZAB_LEADING) {
        /* Clients hear of a txn while half of it is applied. */
        checker_log_committed(c, server, view->committed);
    }
    if (view->point.zxid != s->delivered) {
        checker_log_delivered(c, server, view);
    }
    if (view->point.under_way != 0) {
        checker_log_committed(c, server, view->point.under_way);
    }
    s->steps++;
    if (s->steps % LOOK_WHOLE_STEPS == 0 && view->point.whole &&
        view->point.zxid == runs_last(&c->committed)) {
        look_whole(c, server, view);
    }
}

bool checker_has(const struct checker *c, const struct runs *runs, zxid_t zxid)
{
    if (zxid == 0 || runs_has(runs, zxid)) {
        return true;
    }
    return zxid < runs->base && runs_has(&c->committed, zxid);
}

static void learn_voters(struct checker *c, const struct zab *zab)
{
    for (size_t i = 0; i < c->servers_count; i++) {
        if (zab_member_votes(zab, i)) {
            c->voters |= UINT64_C(1) << i;
        }
    }
}

static void role_changed(struct checker *c, unsigned server,
                         const struct checker_view *view,
                         const struct replica_input *input)
{
    struct server *s = &c->servers[server];

    if (view->role == ZAB_LEADING) {
        checker_log_leader(c, server, view->epoch);
        if (s->role == ZAB_LEADING) {
            note_in_place(c, view->epoch);
        } else {
            s->reign = ++c->reign_last;
            s->reign_ms = input->now_ms;
        }
    }
    s->role = view->role;
    s->epoch = view->epoch;
}

/* Who was elected commits nothing before a quorum has taken its epoch up. */
static void told_more(struct checker *c, unsigned server,
                      const struct checker_view *view)
{
    bool alone = (c->voters & (c->voters - 1)) == 0;

    if (view->leader_id == server && view->role != ZAB_LEADING && !alone &&
        view->committed > runs_last(&c->committed)) {
        sim_fail(c->sim, "Leadership: server %u commits 0x%llx before it leads",
                 server, (unsigned long long)view->committed);
    }
    c->servers[server].told = view->committed;
}

static void note_in_place(struct checker *c, uint32_t epoch)
{
    struct reign *reign = checker_log_reign(c, epoch);

    if (reign != NULL) {
        reign->in_place = true;
    }
}

static void look_at_store(struct checker *c, unsigned server,
                          const struct checker_view *view,
                          const struct store_op *op, int64_t now_ms)
{
    struct server *s = &c->servers[server];

    switch ((int)op->type) {
        case STORE_EPOCHS:
            asked_epochs(c, server, op);
            break;
        case STORE_APPEND:
            if (!runs_append(&s->asked, op->zxid)) {
                sim_fail(c->sim,
                         "PrefixConsistency: server %u logs 0x%llx, which does "
                         "not follow",
                         server, (unsigned long long)op->zxid);
            }
            checker_log_append(c, server, view, op, now_ms);
            break;
        case STORE_TRUNCATE:
            s->cuts++;
            if (!runs_truncate(&s->asked, op->zxid) ||
                op->zxid < s->delivered) {
                sim_fail(c->sim,
                         "Agreement: server %u cuts its log at 0x%llx, it is "
                         "at 0x%llx",
                         server, (unsigned long long)op->zxid,
                         (unsigned long long)s->delivered);
            }
            break;
        case STORE_SNAP_BEGIN:
            s->snap_asked = op->zxid;
            break;
        case STORE_SNAP_END:
            s->cuts++;
            runs_reset(&s->asked, op->zxid != 0 ? op->zxid : s->snap_asked);
            if (!runs_has(&c->committed, s->asked.base)) {
                sim_fail(c->sim,
                         "Integrity: server %u takes a snapshot as of 0x%llx, "
                         "which was never committed",
                         server, (unsigned long long)s->asked.base);
            }
            break;
        default:
            break;
    }
}

static void asked_epochs(struct checker *c, unsigned server,
                         const struct store_op *op)
{
    struct server *s = &c->servers[server];

    if (op->epoch_accepted < s->accepted_asked ||
        (op->epoch_current < s->current_asked && op->epoch_current != 0) ||
        op->epoch_current > op->epoch_accepted) {
        sim_fail(c->sim,
                 "ElectionSafety: server %u stores epochs %u and %u behind %u "
                 "and %u",
                 server, op->epoch_accepted, op->epoch_current,
                 s->accepted_asked, s->current_asked);
    }
    s->accepted_asked = op->epoch_accepted;
    s->current_asked = op->epoch_current;
}

static void look_whole(struct checker *c, unsigned server,
                       const struct checker_view *view)
{
    struct inspect_session session;
    uint64_t cursor = 0;
    size_t count = 0;
    const char *wrong;

    if (view->replica == NULL) {
        return;
    }
    wrong = model_compare(c->model, inspect_tree(view->replica));
    if (wrong != NULL) {
        sim_fail(c->sim, "Tree: server %u at 0x%llx: %s", server,
                 (unsigned long long)view->point.zxid, wrong);
        return;
    }
    while (inspect_session_next(view->replica, &cursor, &session)) {
        const struct model_session *known = model_session(c->model, session.id);

        count++;
        if (known == NULL || known->closed != 0) {
            sim_fail(c->sim, "Sessions: server %u has 0x%llx, which is closed",
                     server, (unsigned long long)session.id);
            return;
        }
    }
    if (count != model_sessions_open(c->model)) {
        sim_fail(c->sim, "Sessions: server %u has %zu, %zu are open", server,
                 count, model_sessions_open(c->model));
    }
}

/* What survived is the platter, and perhaps more of what was asked. */
static void adopt(struct checker *c, unsigned server,
                  const struct durable_state *durable)
{
    struct server *s = &c->servers[server];
    struct runs found = {0};
    zxid_t last = durable->zxid_last;
    zxid_t base = durable->zxid_checkpoint;

    if (durable->zxid_first != 0) {
        base = durable->zxid_first - 1;
        if (zxid_counter(base) == 0) {
            uint32_t epoch = zxid_epoch(durable->zxid_first);

            base = runs_before_epoch(&s->asked, epoch);
            if (!runs_has(&s->asked, durable->zxid_first)) {
                base = runs_before_epoch(&s->platter, epoch);
            }
        }
    }
    if (last < base) {
        last = base;
    }
    runs_reset(&found, base);
    for (size_t i = 0; i < durable->epoch_ends_count; i++) {
        zxid_t end = durable->epoch_ends[i];

        if (end > base) {
            /* Each end stands for its whole run. */
            found.ends = mem_grow(found.ends, &found.capacity, found.count + 1,
                                  sizeof(found.ends[0]));
            found.ends[found.count++] = end;
        }
    }
    if (runs_last(&found) != last) {
        sim_fail(c->sim,
                 "Restart: server %u ends with 0x%llx by its epochs, with "
                 "0x%llx by its log",
                 server, (unsigned long long)runs_last(&found),
                 (unsigned long long)last);
    } else if (s->cuts == 0 && s->life > 1 &&
               (last < runs_last(&s->platter) ||
                !runs_agree(&found, &s->platter, runs_last(&s->platter)) ||
                !runs_agree(&found, &s->asked, last))) {
        sim_fail(c->sim,
                 "DurableAck: server %u starts with 0x%llx, 0x%llx was "
                 "durable",
                 server, (unsigned long long)last,
                 (unsigned long long)runs_last(&s->platter));
    }
    runs_copy(&s->platter, &found);
    runs_copy(&s->asked, &found);
    runs_finish(&found);
}
