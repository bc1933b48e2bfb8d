/* One server's zab and a disk in memory that answers when the test says so.
 *
 * Every effect is checked as it comes: nothing is delivered that is not
 * durable, not committed, out of order or with another payload than was
 * stored. The trace holds one line per input ("> ...") and effect. */
#ifndef CORRAL_TESTS_UNIT_ZAB_ALONE_H
#define CORRAL_TESTS_UNIT_ZAB_ALONE_H

#include "base/buf.h"
#include "zab/zab.h"

#define ALONE_MAX 256

struct alone_record {
    zxid_t zxid;
    char text[16];
};

/* Deliveries (zxid) and barriers that were told (number), in order. */
struct alone_event {
    bool is_barrier;
    uint64_t what;
};

struct alone {
    struct zab_config config;
    struct zab_member self;
    struct zab *zab;
    struct buf trace;

    /* What survives a crash. */
    uint32_t epoch_accepted, epoch_current;
    uint8_t cluster_id[16];
    zxid_t checkpoint, committed;
    bool recovering;
    size_t checkpoint_chunks; /* that reading it takes */
    struct alone_record log[ALONE_MAX];
    size_t log_count;
    size_t log_chunk; /* records per log read */

    /* What was asked and not yet done. */
    struct store_op writes[ALONE_MAX], reads[ALONE_MAX];
    size_t writes_count, reads_count;
    size_t chunks_read;

    /* What was seen since start. */
    struct alone_event events[ALONE_MAX];
    size_t events_count;
    zxid_t delivered;
    bool tree_whole, damaged;
    unsigned roles, closes;
    char why[128];
};

void alone_init(struct alone *alone);
void alone_finish(struct alone *alone);
void alone_start(struct alone *alone); /* zab_create from what is durable */
void alone_crash(struct alone *alone); /* what is not durable is lost */

void alone_tick(struct alone *alone);
zxid_t alone_propose(struct alone *alone, const char *text);
void alone_barrier(struct alone *alone, uint64_t number);
void alone_store(struct alone *alone, size_t count); /* of the oldest writes */
void alone_read(struct alone *alone);                /* answers the oldest */
void alone_settle(struct alone *alone); /* until the disk has nothing to do */
void alone_serve(struct alone *alone);  /* start, tick, settle: leading */
void alone_add_log(struct alone *alone, zxid_t zxid);
/* The trace since the last call must be this. */
void alone_expect(struct alone *alone, const char *trace);

#endif
