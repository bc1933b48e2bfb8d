/* Sessions: identity, ownership, order of requests, expiry. Pure: time only
 * moves by the caller's now_ms. One thread.
 *
 * The table holds what is replicated (id, timeout, password, the zxid of its
 * createSession) and what is local (attached connection, the queue of answers,
 * the deadline on a leader). */
#ifndef CORRAL_SESSION_SESSION_H
#define CORRAL_SESSION_SESSION_H

#include "base/arena.h"
#include "base/blob.h"
#include "base/buf.h"
#include "proto/record.h"
#include "proto/zxid.h"

struct session_table;
struct session;

/* bucket_ms: deadlines are rounded up to a multiple of it (tickTime). */
struct session_table *session_table_create(uint64_t hash_seed,
                                           int32_t bucket_ms);
void session_table_destroy(struct session_table *table); /* NULL is fine */
size_t session_count(const struct session_table *table);
uint64_t session_digest(const struct session_table *table); /* of what is
                                                             * replicated */

/* Server id in the top byte, the low 24 bits of the epoch, the counter of the
 * createSession's zxid (DESIGN 2.9). */
uint64_t session_id_make(uint64_t server_id, zxid_t zxid);

/* zxid: of its createSession. Starts dirty, without a deadline. */
struct session *session_add(struct session_table *table, uint64_t id,
                            int32_t timeout_ms, const uint8_t password[16],
                            zxid_t zxid);
struct session *session_find(const struct session_table *table, uint64_t id);
void session_remove(struct session_table *table, struct session *session);
/* In order of creation or load; after = NULL for the first. */
struct session *session_next(const struct session_table *table,
                             const struct session *after);

uint64_t session_id(const struct session *session);
int32_t session_timeout_ms(const struct session *session);
/* A client that resumes negotiates anew, as with ZooKeeper: what it is promised
 * holds from its next touch until it resumes again or the server restarts. The
 * replicated time-out stays that of createSession. */
void session_renegotiate(struct session *session, int32_t timeout_ms);
zxid_t session_zxid(const struct session *session);
/* Constant time. */
bool session_password_equal(const struct session *session,
                            struct slice password);
void session_password_copy(const struct session *session, uint8_t to[16]);

/* A proposed close (leader): it is refused to everybody from now on. */
void session_set_closing(struct session *session, bool closing);
bool session_closing(const struct session *session);

/* Which connection of this server the session speaks through; 0 is none. */
void session_attach(struct session *session, uint64_t conn_id);
uint64_t session_conn(const struct session *session);

/* Leader: which server's (id below 255) which connection speaks for it; 0, 0:
 * not known, the first that asks becomes it. Local, not replicated. */
void session_set_owner(struct session *session, uint64_t server_id,
                       uint64_t attachment);
uint64_t session_owner(const struct session *session); /* server id */
uint64_t session_attachment(const struct session *session);

/* Expiry (leader). A session without a deadline never expires: give all of
 * them one with session_touch_all() when leadership begins. touch moves the
 * deadline to now + timeout, rounded up to the next bucket. */
void session_touch(struct session_table *table, struct session *session,
                   int64_t now_ms);
void session_touch_all(struct session_table *table, int64_t now_ms);
void session_forget_deadlines(struct session_table *table);
/* The server itself slept: late_ms is added to every deadline. */
void session_extend_all(struct session_table *table, int64_t late_ms);
int64_t session_deadline_ms(const struct session *session); /* 0: none */
/* At most max ids whose deadline has passed, earliest first, in the arena.
 * They stay in the table and are returned again until removed, touched or
 * closing. */
size_t session_expired(struct session_table *table, int64_t now_ms, size_t max,
                       struct arena *arena, uint64_t **ids);

/* Checkpoint, as znode/tree.h: at most max records, false: more to do. */
bool session_dirty_take(struct session_table *table, size_t max,
                        struct buf *list);
size_t session_dirty_count(const struct session_table *table);
/* Loading: forget all; then one record after the other, not dirty.
 * ERR_CORRUPT: an id twice. */
void session_load_begin(struct session_table *table);
int session_load(struct session_table *table,
                 const struct session_record *record);

#endif
