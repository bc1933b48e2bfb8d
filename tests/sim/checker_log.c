/* Every proposal ever made, by zxid, and which of them are committed:
 * Integrity, Agreement, TotalOrder, PrefixConsistency, LocalPrimaryOrder,
 * GlobalPrimaryOrder, PrimaryIntegrity, Leadership. */
#include "base/check.h"
#include "base/mem.h"
#include "tests/sim/checker_internal.h"

static void proposed(struct checker *c, unsigned server,
                     const struct checker_view *view, const struct store_op *op,
                     int64_t now_ms);
static bool majority_has(const struct checker *c, zxid_t zxid);
static bool commit(struct checker *c, unsigned server, zxid_t zxid);
static zxid_t committed_before(const struct checker *c, uint32_t epoch);

struct reign *checker_log_reign(struct checker *c, uint32_t epoch)
{
    size_t before = c->reigns_capacity;

    if (epoch >= EPOCHS_MAX) {
        sim_fail(c->sim, "Leadership: epoch %u is too far", epoch);
        return NULL;
    }
    if (epoch >= before) {
        c->reigns = mem_grow(c->reigns, &c->reigns_capacity, epoch + 1,
                             sizeof(c->reigns[0]));
        memset(&c->reigns[before], 0,
               (c->reigns_capacity - before) * sizeof(c->reigns[0]));
    }
    if (epoch >= c->reigns_count) {
        c->reigns_count = epoch + 1;
    }
    return &c->reigns[epoch];
}

struct entry *checker_log_entry(struct checker *c, zxid_t zxid)
{
    uint32_t epoch = zxid_epoch(zxid), counter = zxid_counter(zxid);

    if (epoch >= c->reigns_count || counter == 0 ||
        counter > c->reigns[epoch].count) {
        return NULL;
    }
    return &c->reigns[epoch].entries[counter - 1];
}

void checker_log_finish(struct checker *c)
{
    for (size_t i = 0; i < c->reigns_count; i++) {
        for (size_t k = 0; k < c->reigns[i].count; k++) {
            blob_unref(c->reigns[i].entries[k].payload);
        }
        mem_free(c->reigns[i].entries);
    }
    mem_free(c->reigns);
}

void checker_log_append(struct checker *c, unsigned server,
                        const struct checker_view *view,
                        const struct store_op *op, int64_t now_ms)
{
    const struct entry *entry = checker_log_entry(c, op->zxid);

    if (entry == NULL) {
        proposed(c, server, view, op, now_ms);
    } else if (entry->hash != model_hash(blob_bytes(op->payload))) {
        sim_fail(c->sim, "Integrity: server %u logs another 0x%llx", server,
                 (unsigned long long)op->zxid);
    }
}

void checker_log_payloads(struct checker *c, unsigned server,
                          const struct peer_msg *msg)
{
    for (uint32_t i = 0; i < msg->payloads_count; i++) {
        const struct entry *entry = checker_log_entry(c, msg->zxid + i);

        if (entry == NULL ||
            entry->hash != model_hash(blob_bytes(msg->payloads[i]))) {
            sim_fail(c->sim, "Integrity: server %u sends another 0x%llx",
                     server, (unsigned long long)(msg->zxid + i));
            return;
        }
    }
}

void checker_log_committed(struct checker *c, unsigned server, zxid_t zxid)
{
    const struct runs *asked = &c->servers[server].asked;

    if (zxid <= runs_last(&c->committed)) {
        if (zxid != 0 && !runs_has(&c->committed, zxid)) {
            sim_fail(c->sim,
                     "Agreement: server %u has 0x%llx, which the others do not",
                     server, (unsigned long long)zxid);
        }
        return;
    }
    if (!checker_has(c, asked, zxid)) {
        sim_fail(c->sim,
                 "Integrity: server %u takes 0x%llx as committed, it has no "
                 "such record",
                 server, (unsigned long long)zxid);
        return;
    }
    if (!checker_has(c, asked, runs_last(&c->committed)) ||
        !runs_agree(asked, &c->committed, runs_last(&c->committed))) {
        sim_fail(c->sim,
                 "PrefixConsistency: server %u goes on to 0x%llx without "
                 "0x%llx, which is committed",
                 server, (unsigned long long)zxid,
                 (unsigned long long)runs_last(&c->committed));
        return;
    }
    while (runs_last(&c->committed) < zxid) {
        if (!commit(c, server, runs_next(asked, runs_last(&c->committed)))) {
            return;
        }
    }
}

void checker_log_delivered(struct checker *c, unsigned server,
                           const struct checker_view *view)
{
    struct server *s = &c->servers[server];
    const struct inspect_point *point = &view->point;
    struct entry *entry;

    if (!point->whole) {
        if (point->zxid == 0) {
            s->delivered = 0; /* loading */
        }
        return;
    }
    if (point->zxid < s->delivered) {
        sim_fail(c->sim,
                 "TotalOrder: server %u goes back from 0x%llx to "
                 "0x%llx",
                 server, (unsigned long long)s->delivered,
                 (unsigned long long)point->zxid);
        return;
    }
    s->delivered = point->zxid;
    checker_log_committed(c, server, point->zxid);
    entry = checker_log_entry(c, point->zxid);
    if (entry == NULL) {
        return; /* said already, if it is not 0 */
    }
    if (!entry->digested) {
        entry->digested = true;
        entry->tree_digest = point->tree_digest;
        entry->session_digest = point->session_digest;
    } else if (entry->tree_digest != point->tree_digest ||
               entry->session_digest != point->session_digest) {
        sim_fail(c->sim, "Digest: server %u differs in its %s at 0x%llx",
                 server,
                 entry->tree_digest != point->tree_digest ? "tree" : "sessions",
                 (unsigned long long)point->zxid);
    }
}

void checker_log_leader(struct checker *c, unsigned server, uint32_t epoch)
{
    const struct server *s = &c->servers[server];
    struct reign *reign = checker_log_reign(c, epoch);
    zxid_t last;

    if (reign == NULL) {
        return;
    }
    last = committed_before(c, epoch);
    if (reign->leader != 0) {
        if (reign->leader != server || reign->life != s->life) {
            sim_fail(c->sim,
                     "Leadership: server %u leads epoch %u, which server %u "
                     "has led",
                     server, epoch, reign->leader);
        }
        return;
    }
    reign->leader = server;
    reign->life = s->life;
    if (!checker_has(c, &s->asked, last) ||
        !runs_agree(&s->asked, &c->committed, last)) {
        sim_fail(c->sim,
                 "CommittedLost: server %u leads epoch %u without 0x%llx, "
                 "which is committed",
                 server, epoch, (unsigned long long)last);
    }
}

/* The first time anybody logs it: that must be its primary. */
static void proposed(struct checker *c, unsigned server,
                     const struct checker_view *view, const struct store_op *op,
                     int64_t now_ms)
{
    uint32_t epoch = zxid_epoch(op->zxid);
    struct reign *reign = checker_log_reign(c, epoch);
    struct entry *entry;
    struct txn txn;
    zxid_t had; /* in place: what waits in replica/ is known to it */

    if (reign == NULL) {
        return;
    }
    if (reign->leader != server || reign->life != c->servers[server].life) {
        sim_fail(c->sim,
                 "Integrity: server %u logs 0x%llx, which its primary never "
                 "proposed",
                 server, (unsigned long long)op->zxid);
        return;
    }
    if (zxid_counter(op->zxid) != reign->count + 1) {
        sim_fail(c->sim,
                 "LocalPrimaryOrder: server %u proposes 0x%llx behind "
                 "counter %zu",
                 server, (unsigned long long)op->zxid, reign->count);
        return;
    }
    if (c->counter_max != 0 && zxid_counter(op->zxid) > c->counter_max) {
        sim_fail(c->sim, "Rollover: server %u proposes 0x%llx, %u is the end",
                 server, (unsigned long long)op->zxid, c->counter_max);
        return;
    }
    if (!reign->broadcast) {
        reign->broadcast = true;
        reign->initial = runs_before_epoch(&c->servers[server].asked, epoch);
        if (epoch > c->broadcast_epoch) {
            c->broadcast_epoch = epoch;
        }
        had = reign->in_place ? view->committed : view->point.zxid;
        if (had < reign->initial) {
            sim_fail(c->sim,
                     "PrimaryIntegrity: server %u proposes 0x%llx, it has "
                     "delivered 0x%llx of 0x%llx only",
                     server, (unsigned long long)op->zxid,
                     (unsigned long long)had,
                     (unsigned long long)reign->initial);
        }
    }
    reign->entries = mem_grow(reign->entries, &reign->capacity,
                              reign->count + 1, sizeof(reign->entries[0]));
    entry = &reign->entries[reign->count++];
    *entry = (struct entry){.hash = model_hash(blob_bytes(op->payload)),
                            .payload = blob_ref(op->payload)};
    arena_reset(c->arena);
    if (txn_decode(blob_bytes(op->payload), c->arena, &txn) != 0) {
        sim_fail(c->sim, "Integrity: server %u proposes no txn at 0x%llx",
                 server, (unsigned long long)op->zxid);
        return;
    }
    checker_session_proposed(c, server, view, &txn, now_ms);
}

static bool majority_has(const struct checker *c, zxid_t zxid)
{
    unsigned have = 0, voters = 0;

    for (unsigned i = 1; i <= c->servers_count; i++) {
        const struct server *s = &c->servers[i];

        if ((c->voters >> (i - 1) & 1) == 0) {
            continue;
        }
        voters++;
        have += runs_has(&s->platter, zxid) || zxid < s->platter.base ||
                runs_has(&s->ghost, zxid);
    }
    return have > voters / 2;
}

/* The next one of the one order there is. */
static bool commit(struct checker *c, unsigned server, zxid_t zxid)
{
    struct entry *entry = checker_log_entry(c, zxid);
    struct reign *reign;
    const char *wrong;
    struct txn txn;

    if (entry == NULL || entry->payload == NULL) {
        sim_fail(c->sim, "Integrity: nobody proposed 0x%llx",
                 (unsigned long long)zxid);
        return false;
    }
    if (!majority_has(c, zxid)) {
        sim_fail(c->sim,
                 "DurableAck: server %u takes 0x%llx as committed, no majority "
                 "of voters has it on disk",
                 server, (unsigned long long)zxid);
        return false;
    }
    if (zxid_epoch(zxid) < c->broadcast_epoch &&
        zxid > c->reigns[c->broadcast_epoch].initial) {
        sim_fail(c->sim,
                 "PrimaryIntegrity: 0x%llx is committed, the primary of epoch "
                 "%u began without it",
                 (unsigned long long)zxid, c->broadcast_epoch);
        return false;
    }
    reign = checker_log_reign(c, c->servers[server].current_asked);
    if (reign == NULL) {
        return false;
    }
    reign->committed = zxid;
    (void)runs_append(&c->committed, zxid);
    arena_reset(c->arena);
    CHECK(txn_decode(blob_bytes(entry->payload), c->arena, &txn) == 0);
    wrong = model_apply(c->model, zxid, &txn);
    blob_unref(entry->payload);
    entry->payload = NULL;
    if (wrong != NULL) {
        sim_fail(c->sim, "Fold: %s", wrong);
        return false;
    }
    return true;
}

/* The first to say that something is committed is the leader that did it, in
 * its own epoch, whichever epoch it is of. A leader that slept need not have
 * what a later one committed meanwhile: nobody takes up its epoch any more. */
static zxid_t committed_before(const struct checker *c, uint32_t epoch)
{
    while (epoch > 0) {
        epoch--;
        if (epoch < c->reigns_count && c->reigns[epoch].committed != 0) {
            return c->reigns[epoch].committed;
        }
    }
    return 0;
}
