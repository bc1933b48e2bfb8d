#include "session/session_internal.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"

static struct session *add(struct session_table *table,
                           const struct session_record *record);
static void forget_all(struct session_table *table);
static uint64_t digest_of(const struct session *session);
static struct session *of_link(struct map_link *link);

struct session_table *session_table_create(uint64_t hash_seed,
                                           int32_t bucket_ms)
{
    struct session_table *table = MEM_NEW(struct session_table);

    map_init(&table->sessions, hash_seed);
    expiry_init(&table->expiry, hash_seed, bucket_ms);
    list_init(&table->dirty);
    return table;
}

void session_table_destroy(struct session_table *table)
{
    if (table == NULL) {
        return;
    }
    forget_all(table);
    expiry_finish(&table->expiry);
    map_finish(&table->sessions);
    mem_free(table->removed);
    mem_free(table);
}

size_t session_count(const struct session_table *table)
{
    return map_count(&table->sessions);
}

uint64_t session_digest(const struct session_table *table)
{
    return table->digest;
}

struct session *session_add(struct session_table *table, uint64_t id,
                            int32_t timeout_ms, const uint8_t password[16],
                            zxid_t zxid)
{
    struct session_record record = {
        .id = id, .timeout_ms = timeout_ms, .zxid = zxid};
    struct session *session;

    memcpy(record.password, password, sizeof(record.password));
    session = add(table, &record);
    list_push_back(&table->dirty, &session->dirty);
    table->dirty_count++;
    return session;
}

struct session *session_find(const struct session_table *table, uint64_t id)
{
    struct map_link *link = map_find_number(&table->sessions, id);

    return link == NULL ? NULL : of_link(link);
}

void session_remove(struct session_table *table, struct session *session)
{
    expiry_forget(&table->expiry, session);
    if (list_empty(&session->dirty)) {
        table->removed = mem_grow(table->removed, &table->removed_capacity,
                                  table->removed_count + 1, sizeof(uint64_t));
        table->removed[table->removed_count++] = session_id(session);
    } else {
        /* Never written, as ids are used once: nothing to take off the disk. */
        list_remove(&session->dirty);
        table->dirty_count--;
    }
    table->digest -= digest_of(session);
    map_remove(&table->sessions, &session->link);
    mem_free(session);
}

struct session *session_next(const struct session_table *table,
                             const struct session *after)
{
    struct map_link *link = after == NULL
                                ? map_first(&table->sessions)
                                : map_next(&table->sessions, &after->link);

    return link == NULL ? NULL : of_link(link);
}

uint64_t session_id(const struct session *session)
{
    return session->link.key.number;
}

int32_t session_timeout_ms(const struct session *session)
{
    return session->lease_ms;
}

void session_renegotiate(struct session *session, int32_t timeout_ms)
{
    session->lease_ms = timeout_ms;
}

zxid_t session_zxid(const struct session *session)
{
    return session->zxid;
}

bool session_password_equal(const struct session *session,
                            struct slice password)
{
    volatile uint8_t difference = 0;

    if (password.len != sizeof(session->password)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(session->password); i++) {
        difference =
            (uint8_t)(difference | (session->password[i] ^ password.ptr[i]));
    }
    return difference == 0;
}

void session_password_copy(const struct session *session, uint8_t to[16])
{
    memcpy(to, session->password, sizeof(session->password));
}

void session_attach(struct session *session, uint64_t conn_id)
{
    session->conn_id = conn_id;
}

uint64_t session_conn(const struct session *session)
{
    return session->conn_id;
}

void session_set_owner(struct session *session, uint64_t server_id,
                       uint64_t attachment)
{
    CHECK(server_id < 255); /* as session_id_make() has it */
    session->owner = (uint8_t)server_id;
    session->attachment = attachment;
}

uint64_t session_owner(const struct session *session)
{
    return session->owner;
}

uint64_t session_attachment(const struct session *session)
{
    return session->attachment;
}

bool session_dirty_take(struct session_table *table, size_t max,
                        struct buf *list)
{
    size_t taken = 0;

    LIST_EACH (&table->dirty, at, after) {
        const struct session *session = LIST_ENTRY(at, struct session, dirty);
        struct session_record record = {.id = session_id(session),
                                        .timeout_ms = session->timeout_ms,
                                        .zxid = session->zxid};

        if (taken++ == max) {
            return false;
        }
        session_password_copy(session, record.password);
        record_put_session(list, &record);
        list_remove(at);
        table->dirty_count--;
    }
    for (; table->removed_taken < table->removed_count;
         table->removed_taken++) {
        if (taken++ == max) {
            return false;
        }
        record_delete_session(list, table->removed[table->removed_taken]);
    }
    /* A storm of closes must not keep its memory. */
    mem_free(table->removed);
    table->removed = NULL;
    table->removed_count = table->removed_capacity = table->removed_taken = 0;
    return true;
}

size_t session_dirty_count(const struct session_table *table)
{
    return table->dirty_count + table->removed_count - table->removed_taken;
}

void session_load_begin(struct session_table *table)
{
    forget_all(table);
    table->removed_count = table->removed_taken = 0;
}

int session_load(struct session_table *table,
                 const struct session_record *record)
{
    if (record->id == 0 || record->timeout_ms < 0 ||
        session_find(table, record->id) != NULL) {
        return ERR_CORRUPT;
    }
    (void)add(table, record); /* stays in the table */
    return 0;
}

static struct session *add(struct session_table *table,
                           const struct session_record *record)
{
    struct session *session = MEM_NEW(struct session);

    list_init(&session->peers);
    list_init(&session->dirty);
    session->zxid = record->zxid;
    session->timeout_ms = record->timeout_ms;
    session->lease_ms = record->timeout_ms;
    memcpy(session->password, record->password, sizeof(session->password));
    map_add_number(&table->sessions, &session->link, record->id);
    table->digest += digest_of(session);
    return session;
}

static void forget_all(struct session_table *table)
{
    struct map_link *link;

    session_forget_deadlines(table);
    while ((link = map_first(&table->sessions)) != NULL) {
        map_remove(&table->sessions, link);
        mem_free(of_link(link));
    }
    list_init(&table->dirty);
    table->dirty_count = 0;
    table->digest = 0;
}

/* The table's digest is the sum over its sessions, so that it follows every
 * change and depends on no order. Not seeded: replicas compare it. */
static uint64_t digest_of(const struct session *session)
{
    uint8_t bytes[36];

    bytes_store64(bytes, session_id(session));
    bytes_store64(bytes + 8, session->zxid);
    bytes_store32(bytes + 16, (uint32_t)session->timeout_ms);
    memcpy(bytes + 20, session->password, sizeof(session->password));
    return map_hash_bytes(0, slice_make(bytes, sizeof(bytes)));
}

static struct session *of_link(struct map_link *link)
{
    return MAP_ENTRY(link, struct session, link);
}
