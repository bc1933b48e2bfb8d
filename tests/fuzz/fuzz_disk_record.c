/* What stands on the disk: a transaction, a list of checkpoint records or a
 * piece of the log, chosen by the first byte. What is accepted must come back
 * the same after being written again. */
#include "base/arena.h"
#include "base/check.h"
#include "proto/record.h"
#include "proto/txn.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/disk_samples.h"

enum { CHOICE_TXN, CHOICE_RECORDS, CHOICE_LOG, CHOICES };

static void check_txn(struct slice bytes, struct arena *arena)
{
    struct txn txn, again;
    struct buf out = {0};

    if (txn_decode(bytes, arena, &txn) != 0) {
        return;
    }
    txn_encode(&txn, &out);
    CHECK(out.len == txn_encoded_size(&txn));
    CHECK(txn_decode(buf_bytes(&out), arena, &again) == 0);
    CHECK(txn_is_equal(&txn, &again));
    buf_finish(&out);
}

static void check_entry(const struct record_entry *entry, struct arena *arena)
{
    struct buf out = {0};
    struct znode_record znode, znode_again;
    struct session_record session, session_again;
    struct marker_record marker, marker_again;
    struct record_entry again;
    struct slice left;

    if (record_get_znode(entry, arena, &znode) == 0) {
        record_put_znode(&out, &znode);
        left = buf_bytes(&out);
        CHECK(record_next(&left, &again) == 0);
        CHECK(slice_equal(again.key, entry->key));
        CHECK(record_get_znode(&again, arena, &znode_again) == 0);
        CHECK(znode_record_is_equal(&znode, &znode_again));
    } else if (record_get_session(entry, &session) == 0) {
        record_put_session(&out, &session);
        left = buf_bytes(&out);
        CHECK(record_next(&left, &again) == 0);
        CHECK(slice_equal(again.key, entry->key));
        CHECK(record_get_session(&again, &session_again) == 0);
        CHECK(session.id == session_again.id);
        CHECK(session.timeout_ms == session_again.timeout_ms);
        CHECK(session.zxid == session_again.zxid);
    } else if (record_get_marker(entry, &marker) == 0) {
        record_put_marker(&out, &marker);
        left = buf_bytes(&out);
        CHECK(record_next(&left, &again) == 0);
        CHECK(record_get_marker(&again, &marker_again) == 0);
        CHECK(memcmp(&marker, &marker_again, sizeof(marker)) == 0);
    }
    buf_finish(&out);
}

static void check_records(struct slice left, struct arena *arena)
{
    struct record_entry entry;
    struct slice value;

    while (record_next(&left, &entry) == 0) {
        check_entry(&entry, arena);
        if (entry.value.ptr != NULL) {
            struct slice sealed =
                slice_make(entry.value.ptr, entry.value.len + 4);

            if (record_open(entry.key, sealed, &value) == 0) {
                CHECK(value.ptr == entry.value.ptr);
                CHECK(value.len == entry.value.len);
            }
        }
    }
}

static void check_log(struct slice left, struct arena *arena)
{
    zxid_t zxid;
    struct slice payload;

    while (record_next_log(&left, &zxid, &payload) == 0) {
        check_txn(payload, arena);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct arena *arena;
    struct slice rest;

    if (len == 0) {
        return 0;
    }
    arena = arena_create(4096);
    rest = slice_make(bytes + 1, len - 1);
    switch (bytes[0] % CHOICES) {
        case CHOICE_TXN:
            check_txn(rest, arena);
            break;
        case CHOICE_RECORDS:
            check_records(rest, arena);
            break;
        default:
            check_log(rest, arena);
            break;
    }
    arena_destroy(arena);
    return 0;
}

static void begin(struct buf *input, uint8_t choice)
{
    buf_clear(input);
    *buf_extend(input, 1) = choice;
}

void fuzz_seeds(fuzz_seed_fn *give, void *arg)
{
    struct buf input = {0}, bytes = {0};
    struct session_record session = {.id = 5, .timeout_ms = 30000, .zxid = 9};
    struct marker_record marker = {.zxid = 9, .znode_count = 4};
    size_t count;
    const struct txn *txns = sample_txns(&count);
    const struct znode_record *znodes;

    for (size_t i = 0; i < count; i++) {
        begin(&input, CHOICE_TXN);
        txn_encode(&txns[i], &input);
        give(arg, buf_bytes(&input));
    }
    begin(&input, CHOICE_LOG);
    for (size_t i = 0; i < count; i++) {
        buf_clear(&bytes);
        txn_encode(&txns[i], &bytes);
        record_put_log(&input, zxid_make(1, (uint32_t)i + 1),
                       buf_bytes(&bytes));
    }
    give(arg, buf_bytes(&input));
    znodes = sample_znodes(&count);
    for (size_t i = 0; i < count; i++) {
        begin(&input, CHOICE_RECORDS);
        record_put_znode(&input, &znodes[i]);
        record_put_session(&input, &session);
        record_put_marker(&input, &marker);
        record_delete_znode(&input, znodes[i].path);
        give(arg, buf_bytes(&input));
    }
    buf_finish(&bytes);
    buf_finish(&input);
}
