/* struct session and its table, for session/ only. */
#ifndef CORRAL_SESSION_INTERNAL_H
#define CORRAL_SESSION_INTERNAL_H

#include "base/map.h"
#include "session/session.h"

struct expiry_bucket;

struct session {
    struct map_link link; /* its key is the id */
    struct list peers;    /* of the same bucket; alone while closing */
    struct list dirty;
    struct expiry_bucket *bucket; /* NULL: no deadline */
    zxid_t zxid;
    uint64_t conn_id;
    uint64_t attachment; /* of its owner */
    int32_t timeout_ms;  /* replicated */
    int32_t lease_ms;    /* what the attached client was promised last */
    bool closing;
    uint8_t owner; /* server id, below 255; 0: not known */
    uint8_t password[16];
};

/* The sessions that expire at one time. Buckets are few (the longest time-out
 * divided by bucket_ms), so they stand in a sorted list; a session moves from
 * one to another through the map. All times in here are without shift_ms: a
 * server that slept moves every deadline by changing that one number. */
struct expiry_bucket {
    struct map_link link; /* its key is at_ms */
    const struct expiry *expiry;
    struct list by_time;
    struct list sessions;  /* without those that are closing */
    size_t sessions_count; /* with them: 0 frees the bucket */
    int64_t at_ms;
};

struct expiry {
    struct map buckets;
    struct list by_time; /* earliest first */
    int64_t bucket_ms, shift_ms;
};

struct session_table {
    struct map sessions;
    struct expiry expiry;
    uint64_t digest;
    struct list dirty;
    size_t dirty_count;
    /* Ids that are on disk and not in the table; the first are taken. */
    uint64_t *removed;
    size_t removed_count, removed_capacity, removed_taken;
};

void expiry_init(struct expiry *expiry, uint64_t hash_seed, int32_t bucket_ms);
void expiry_finish(struct expiry *expiry); /* no session has a deadline */
void expiry_forget(struct expiry *expiry, struct session *session);

#endif
