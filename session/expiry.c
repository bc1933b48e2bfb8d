#include "session/session_internal.h"

#include "base/check.h"
#include "base/mem.h"

static struct expiry_bucket *bucket_at(struct expiry *expiry, int64_t at_ms);
static void insert_sorted(struct expiry *expiry, struct expiry_bucket *bucket);
static struct expiry_bucket *of_time(struct list *link);

void expiry_init(struct expiry *expiry, uint64_t hash_seed, int32_t bucket_ms)
{
    CHECK(bucket_ms > 0);
    map_init(&expiry->buckets, hash_seed);
    list_init(&expiry->by_time);
    expiry->bucket_ms = bucket_ms;
    expiry->shift_ms = 0;
}

void expiry_finish(struct expiry *expiry)
{
    CHECK(map_count(&expiry->buckets) == 0);
    map_finish(&expiry->buckets);
}

void expiry_forget(struct expiry *expiry, struct session *session)
{
    struct expiry_bucket *bucket = session->bucket;

    if (bucket == NULL) {
        return;
    }
    list_remove(&session->peers);
    session->bucket = NULL;
    if (--bucket->sessions_count == 0) {
        map_remove(&expiry->buckets, &bucket->link);
        list_remove(&bucket->by_time);
        mem_free(bucket);
    }
}

void session_set_closing(struct session *session, bool closing)
{
    if (session->closing == closing) {
        return;
    }
    session->closing = closing;
    if (session->bucket == NULL) {
        return;
    }
    /* It keeps its bucket, and with it its deadline, out of the way of
     * session_expired(). */
    if (closing) {
        list_remove(&session->peers);
    } else {
        list_push_back(&session->bucket->sessions, &session->peers);
    }
}

bool session_closing(const struct session *session)
{
    return session->closing;
}

void session_touch(struct session_table *table, struct session *session,
                   int64_t now_ms)
{
    struct expiry *expiry = &table->expiry;
    int64_t wanted = now_ms - expiry->shift_ms + session->lease_ms;
    int64_t over = wanted % expiry->bucket_ms;
    int64_t at_ms;
    struct expiry_bucket *bucket;

    CHECK(session->lease_ms >= 0);
    if (over < 0) {
        over += expiry->bucket_ms; /* the clock may begin below the shift */
    }
    at_ms = over == 0 ? wanted : wanted + expiry->bucket_ms - over;
    if (session->bucket != NULL && session->bucket->at_ms == at_ms) {
        return;
    }
    bucket = bucket_at(expiry, at_ms);
    bucket->sessions_count++;
    expiry_forget(expiry, session);
    session->bucket = bucket;
    if (!session->closing) {
        list_push_back(&bucket->sessions, &session->peers);
    }
}

void session_touch_all(struct session_table *table, int64_t now_ms)
{
    struct session *session = NULL;

    while ((session = session_next(table, session)) != NULL) {
        session_touch(table, session, now_ms);
    }
}

void session_forget_deadlines(struct session_table *table)
{
    struct session *session = NULL;

    while ((session = session_next(table, session)) != NULL) {
        expiry_forget(&table->expiry, session);
    }
    table->expiry.shift_ms = 0;
}

void session_extend_all(struct session_table *table, int64_t late_ms)
{
    CHECK(late_ms >= 0);
    table->expiry.shift_ms += late_ms;
}

int64_t session_deadline_ms(const struct session *session)
{
    const struct expiry_bucket *bucket = session->bucket;

    return bucket == NULL ? 0 : bucket->at_ms + bucket->expiry->shift_ms;
}

size_t session_expired(struct session_table *table, int64_t now_ms, size_t max,
                       struct arena *arena, uint64_t **ids)
{
    struct expiry *expiry = &table->expiry;
    size_t count = 0, room = 0;

    LIST_EACH (&expiry->by_time, time, later) {
        struct expiry_bucket *bucket = of_time(time);

        if (bucket->at_ms + expiry->shift_ms > now_ms) {
            break;
        }
        room += bucket->sessions_count;
    }
    room = room < max ? room : max;
    *ids = ARENA_NEW(arena, uint64_t, room);
    LIST_EACH (&expiry->by_time, time, later) {
        struct expiry_bucket *bucket = of_time(time);

        if (bucket->at_ms + expiry->shift_ms > now_ms) {
            break;
        }
        LIST_EACH (&bucket->sessions, at, after) {
            if (count == max) {
                return count;
            }
            (*ids)[count++] = session_id(LIST_ENTRY(at, struct session, peers));
        }
    }
    return count;
}

static struct expiry_bucket *bucket_at(struct expiry *expiry, int64_t at_ms)
{
    struct map_link *link = map_find_number(&expiry->buckets, (uint64_t)at_ms);
    struct expiry_bucket *bucket;

    if (link != NULL) {
        return MAP_ENTRY(link, struct expiry_bucket, link);
    }
    bucket = MEM_NEW(struct expiry_bucket);
    bucket->at_ms = at_ms;
    bucket->expiry = expiry;
    list_init(&bucket->sessions);
    list_init(&bucket->by_time);
    map_add_number(&expiry->buckets, &bucket->link, (uint64_t)at_ms);
    insert_sorted(expiry, bucket);
    return bucket;
}

/* New buckets are late ones, so the place is sought from the end. */
static void insert_sorted(struct expiry *expiry, struct expiry_bucket *bucket)
{
    struct list *at = expiry->by_time.prev;

    while (at != &expiry->by_time && of_time(at)->at_ms > bucket->at_ms) {
        at = at->prev;
    }
    list_push_front(at, &bucket->by_time);
}

static struct expiry_bucket *of_time(struct list *link)
{
    return LIST_ENTRY(link, struct expiry_bucket, by_time);
}
