#include "tests/unit/sim/rig.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <string.h>

#include "base/mem.h"

/* ---- the world, as far as clients and checkers see it */

void sim_fail(struct sim *sim, const char *format, ...)
{
    va_list args;

    if (sim->finding[0] != '\0') {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(sim->finding, sizeof(sim->finding), format, args);
    va_end(args);
}

uint64_t sim_now_us(const struct sim *sim)
{
    return sim->now_us;
}

unsigned sim_servers(const struct sim *sim)
{
    (void)sim;
    return RIG_SERVERS;
}

void sim_count(struct sim *sim, const char *name)
{
    (void)sim;
    (void)name;
}

void sim_client_at(struct sim *sim, unsigned client, uint64_t at_us)
{
    (void)sim;
    (void)client;
    (void)at_us;
}

uint64_t sim_dial(struct sim *sim, unsigned client, unsigned server)
{
    (void)client;
    sim->dialled = server;
    return ++sim->last_conn;
}

void sim_client_send(struct sim *sim, uint64_t conn_id, struct slice bytes)
{
    (void)conn_id;
    buf_append(&sim->sent, bytes);
}

void sim_hang_up(struct sim *sim, uint64_t conn_id)
{
    (void)sim;
    (void)conn_id;
}

/* ---- a history by hand */

void rig_init(struct rig *rig)
{
    *rig = (struct rig){.now_ms = 1000};
    rig->checker = checker_create(&rig->sim, RIG_SERVERS);
    rig->checker->voters = 7;
    for (unsigned i = 1; i <= RIG_SERVERS; i++) {
        rig->views[i].point.whole = true;
        checker_started(rig->checker, i, &(struct durable_state){0});
    }
}

void rig_finish(struct rig *rig)
{
    for (size_t i = 0; i < rig->blobs_count; i++) {
        blob_unref(rig->blobs[i]);
    }
    clients_destroy(rig->clients);
    checker_destroy(rig->checker);
    buf_finish(&rig->sim.sent);
}

bool rig_found(const struct rig *rig, const char *name)
{
    bool found = strncmp(rig->sim.finding, name, strlen(name)) == 0;

    if (!found) {
        cr_log_error("found: '%s'", rig->sim.finding);
    }
    return found;
}

void rig_store(struct rig *rig, enum store_op_type type, zxid_t zxid,
               struct blob *payload)
{
    struct replica_effect *effect = &rig->effects[rig->effects_count++];

    cr_assert(rig->effects_count <= RIG_EFFECTS_MAX);
    *effect = (struct replica_effect){.type = REPLICA_STORE};
    effect->store = (struct store_op){.type = type,
                                      .owner = STORE_FOR_ZAB,
                                      .seq = 1,
                                      .zxid = zxid,
                                      .payload = payload};
}

void rig_store_epochs(struct rig *rig, uint32_t accepted, uint32_t current)
{
    rig_store(rig, STORE_EPOCHS, 0, NULL);
    rig->effects[rig->effects_count - 1].store.epoch_accepted = accepted;
    rig->effects[rig->effects_count - 1].store.epoch_current = current;
}

void rig_step(struct rig *rig, unsigned server, bool durable)
{
    struct replica_input input = {.type = REPLICA_TICK, .now_ms = rig->now_ms};

    checker_look(rig->checker, server, &rig->views[server], &input,
                 rig->effects, rig->effects_count);
    for (size_t i = 0; durable && i < rig->effects_count; i++) {
        checker_durable(rig->checker, server, &rig->effects[i].store);
    }
    rig->effects_count = 0;
}

void rig_send(struct rig *rig, unsigned server, enum peer_link link,
              const struct peer_msg *msg)
{
    struct replica_effect effect = {
        .type = REPLICA_SEND_PEER, .link = link, .peers = 2};

    effect.message = *msg;
    checker_sent(rig->checker, server, &effect);
}

void rig_lead(struct rig *rig, unsigned server, uint32_t epoch)
{
    for (unsigned i = 1; i <= RIG_SERVERS; i++) {
        rig_store_epochs(rig, epoch, epoch);
        rig_step(rig, i, true);
    }
    rig->views[server].role = ZAB_LEADING;
    rig->views[server].epoch = epoch;
    rig_step(rig, server, true);
}

void rig_log(struct rig *rig, unsigned server, zxid_t zxid,
             struct blob *payload, unsigned count)
{
    rig_store(rig, STORE_APPEND, zxid, payload);
    rig_step(rig, server, true);
    for (unsigned i = 1; i <= count; i++) {
        if (i != server) {
            rig_store(rig, STORE_APPEND, zxid, payload);
            rig_step(rig, i, true);
        }
    }
}

void rig_deliver(struct rig *rig, unsigned server, zxid_t zxid)
{
    rig->views[server].point.zxid = zxid;
    rig->views[server].point.tree_digest = zxid * 3;
    rig_step(rig, server, true);
}

void rig_commit(struct rig *rig, zxid_t zxid, struct blob *payload)
{
    rig_log(rig, 1, zxid, payload, RIG_SERVERS);
    for (unsigned i = 1; i <= RIG_SERVERS; i++) {
        rig_deliver(rig, i, zxid);
    }
}

struct blob *rig_txn(struct rig *rig, const struct txn *txn)
{
    struct buf bytes = {0};
    struct blob *blob;

    txn_encode(txn, &bytes);
    blob = blob_copy(buf_bytes(&bytes));
    buf_finish(&bytes);
    cr_assert(rig->blobs_count < 256);
    rig->blobs[rig->blobs_count++] = blob;
    return blob;
}

struct blob *rig_session(struct rig *rig, uint64_t id)
{
    return rig_txn(rig, &(struct txn){.session_id = id,
                                      .origin_id = 1,
                                      .origin_request = 1,
                                      .op = ZK_OP_CREATE_SESSION,
                                      .request_op = ZK_OP_CREATE_SESSION,
                                      .create_session = {.timeout_ms = 1000}});
}

struct blob *rig_close(struct rig *rig, uint64_t id, uint64_t origin_request)
{
    return rig_txn(rig, &(struct txn){.session_id = id,
                                      .origin_id = 1,
                                      .origin_request = origin_request,
                                      .op = ZK_OP_CLOSE_SESSION,
                                      .request_op = ZK_OP_CLOSE_SESSION});
}

struct blob *rig_create(struct rig *rig, uint64_t session, int32_t xid,
                        const char *path, const char *data)
{
    static const struct zk_acl open_acl = {
        ZK_PERM_ALL,
        {{(const uint8_t *)"world", 5}, {(const uint8_t *)"anyone", 6}}};
    struct txn txn = {.session_id = session,
                      .origin_id = 1,
                      .origin_request = 7,
                      .cxid = xid,
                      .op = ZK_OP_CREATE,
                      .request_op = ZK_OP_CREATE};

    txn.create.path = slice_from_text(path);
    txn.create.data = slice_from_text(data);
    txn.create.parent_sequence = 1;
    txn.create.acl = &open_acl;
    txn.create.acl_count = 1;
    return rig_txn(rig, &txn);
}

struct blob *rig_set(struct rig *rig, uint64_t session, int32_t xid,
                     const char *path, const char *data, int32_t version)
{
    struct txn txn = {.session_id = session,
                      .origin_id = 1,
                      .origin_request = 7,
                      .cxid = xid,
                      .op = ZK_OP_SET_DATA,
                      .request_op = ZK_OP_SET_DATA};

    txn.set_data.path = slice_from_text(path);
    txn.set_data.data = slice_from_text(data);
    txn.set_data.version = version;
    return rig_txn(rig, &txn);
}

struct blob *rig_delete(struct rig *rig, uint64_t session, int32_t xid,
                        const char *path)
{
    struct txn txn = {.session_id = session,
                      .origin_id = 1,
                      .origin_request = 7,
                      .cxid = xid,
                      .op = ZK_OP_DELETE,
                      .request_op = ZK_OP_DELETE};

    txn.remove.path = slice_from_text(path);
    return rig_txn(rig, &txn);
}
