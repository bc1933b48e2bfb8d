#include "tests/unit/replica/rig.h"

#include <criterion/criterion.h>
#include <string.h>

/* More than a slice may say at once (events, answers); a step that does more
 * has lost its bound. */
#define EFFECTS_MAX 12000

static void carry_out(struct rig *rig);
static struct test_client *client_of(struct rig *rig, uint64_t conn_id);

void rig_init(struct rig *rig)
{
    *rig = (struct rig){.now_ms = 1000000, .wall_ms = 1600000000000};
    for (uint64_t i = 0; i < RIG_MEMBERS_MAX; i++) {
        rig->members[i] = (struct zab_member){i + 1, true};
    }
    rig->config = (struct replica_config){
        .zab = {.self_id = 1,
                .members = rig->members,
                .members_count = 1,
                .ticks_init_max = 1000,
                .ticks_sync_max = 500,
                .ticks_heartbeat = 5,
                .ticks_leader_timeout = 35,
                .entropy = {1, 2, 3},
                .proposals_inflight_max = 1000,
                .seed = 1},
        .tick_ms = 2000,
        .session_timeout_ms_min = 4000,
        .session_timeout_ms_max = 40000,
        .frame_size_max = 4 * 1024 * 1024,
        .reply_size_max = 16 * 1024 * 1024,
        .outstanding_max = 1000,
        .reads_held_max = 64,
        .ephemerals_max = 200000,
        .output_mark = 1024 * 1024,
        .entropy = {9, 8, 7, 6, 5, 4, 3, 2, 1, 11, 22, 33},
        .ttl_nodes = true,
        .hard_quotas = true,
        .digest_enabled = true,
        .container_check_ms = 60000,
        .container_never_used_ms = 300000,
        .container_max_per_minute = 10000,
        .checkpoint_records = 1000,
        .checkpoint_bytes = 256 * 1024,
        .checkpoint_ms = 1000,
    };
    rig->disk = fake_disk_create();
    replica_effects_init(&rig->effects);
}

void rig_finish(struct rig *rig)
{
    replica_destroy(rig->replica);
    replica_effects_finish(&rig->effects);
    fake_disk_destroy(rig->disk);
    buf_finish(&rig->frame);
    buf_finish(&rig->log);
    for (size_t i = 0; i < rig->clients_count; i++) {
        cr_assert(!rig->clients[i].went_back, "a header's zxid went back");
        test_client_finish(&rig->clients[i]);
    }
}

void rig_start(struct rig *rig)
{
    rig->serving = false;
    rig->replica = replica_create(&rig->config, fake_disk_durable(rig->disk));
    rig_tick(rig, 0);
}

void rig_serve(struct rig *rig)
{
    rig_start(rig);
    rig_settle(rig);
    cr_assert(rig->serving);
}

void rig_crash(struct rig *rig, size_t kept)
{
    replica_destroy(rig->replica);
    rig->replica = NULL;
    fake_disk_crash(rig->disk, kept);
    for (size_t i = 0; i < rig->clients_count; i++) {
        rig->clients[i].closed = true;
        rig->clients[i].asked_count = 0;
    }
    /* Another life, other random bytes. */
    rig->config.entropy[24]++;
}

void rig_restart(struct rig *rig)
{
    rig_crash(rig, 0);
    rig_serve(rig);
}

void rig_step(struct rig *rig, struct replica_input *input)
{
    input->now_ms = rig->now_ms;
    input->wall_ms = rig->wall_ms;
    replica_step(rig->replica, input, &rig->effects);
    rig->steps++;
    if (!rig->hold) {
        carry_out(rig);
    }
}

void rig_flush(struct rig *rig)
{
    rig->hold = false;
    carry_out(rig);
}

bool rig_disk(struct rig *rig)
{
    struct store_result result;

    if (!fake_disk_next(rig->disk, &result)) {
        return false;
    }
    rig_step(rig, &(struct replica_input){.type = REPLICA_STORE_RESULT,
                                          .result = &result});
    blob_unref(result.payload);
    return true;
}

void rig_continue(struct rig *rig)
{
    rig_step(rig, &(struct replica_input){.type = REPLICA_CONTINUE});
}

void rig_settle(struct rig *rig)
{
    do {
        while (replica_has_work(rig->replica)) {
            rig_continue(rig);
        }
    } while (rig_disk(rig) || replica_has_work(rig->replica) ||
             (rig->on_settle != NULL && rig->on_settle(rig)));
}

void rig_tick(struct rig *rig, uint32_t ticks_late)
{
    rig_step(rig, &(struct replica_input){.type = REPLICA_TICK,
                                          .ticks_late = ticks_late});
}

void rig_pass(struct rig *rig, int64_t ms)
{
    for (int64_t at = 0; at < ms; at += 20) {
        rig->now_ms += 20;
        rig->wall_ms += 20;
        rig_tick(rig, 0);
        rig_settle(rig);
    }
}

struct test_client *rig_open(struct rig *rig)
{
    struct test_client *client = &rig->clients[rig->clients_count++];

    cr_assert_leq(rig->clients_count, RIG_CLIENTS_MAX);
    test_client_init(client, 0);
    client->closed = true;
    rig_reopen(rig, client);
    return client;
}

void rig_reopen(struct rig *rig, struct test_client *client)
{
    struct replica_input input = {.type = REPLICA_CLIENT_OPENED};

    client->conn_id = ++rig->last_conn_id;
    client->connected = false;
    client->refused = false;
    client->closed = false;
    client->paused = false;
    client->asked_count = 0;
    input.conn_id = client->conn_id;
    input.opened.address = SLICE_LITERAL("127.0.0.1");
    memset(input.opened.random, (int)client->conn_id, 16);
    rig_step(rig, &input);
}

struct test_client *rig_connect(struct rig *rig)
{
    struct test_client *client = rig_open(rig);

    rig_handshake(rig, client);
    rig_settle(rig);
    rig_expect(client, "session 10000\n");
    return client;
}

void rig_resume(struct rig *rig, struct test_client *client)
{
    rig_reopen(rig, client);
    rig_handshake(rig, client);
}

void rig_hang_up(struct rig *rig, struct test_client *client)
{
    client->closed = true;
    rig_step(rig, &(struct replica_input){.type = REPLICA_CLIENT_CLOSED,
                                          .conn_id = client->conn_id});
}

void rig_handshake(struct rig *rig, struct test_client *client)
{
    test_client_connect(client, 10000, &rig->frame);
    rig_frame(rig, client, buf_bytes(&rig->frame));
}

void rig_frame(struct rig *rig, struct test_client *client, struct slice frame)
{
    rig_step(rig, &(struct replica_input){.type = REPLICA_CLIENT_FRAME,
                                          .conn_id = client->conn_id,
                                          .frame = frame});
}

void rig_send(struct rig *rig, struct test_client *client,
              struct client_request request)
{
    test_client_request(client, &request, &rig->frame);
    rig_frame(rig, client, buf_bytes(&rig->frame));
}

void rig_raw(struct rig *rig, struct test_client *client, int32_t op,
             struct slice body)
{
    test_client_raw(client, op, body, &rig->frame);
    rig_frame(rig, client, buf_bytes(&rig->frame));
}

void rig_ask(struct rig *rig, struct test_client *client,
             struct client_request request)
{
    rig_send(rig, client, request);
    rig_settle(rig);
}

void rig_make(struct rig *rig, struct test_client *client, const char *path,
              const char *data)
{
    size_t before = client->text.len;

    rig_ask(rig, client, request_create(path, data, ZK_PERSISTENT));
    cr_assert_null(
        memchr(client->text.data + before, '-', client->text.len - before),
        "create %s failed", path);
    client->text.len = before;
}

void rig_expect(struct test_client *client, const char *lines)
{
    *buf_extend(&client->text, 1) = '\0';
    cr_assert_str_eq((const char *)client->text.data, lines);
    buf_clear(&client->text);
}

void rig_expect_log(struct rig *rig, const char *part)
{
    *buf_extend(&rig->log, 1) = '\0';
    cr_assert_not_null(strstr((const char *)rig->log.data, part),
                       "no '%s' in the log:\n%s", part,
                       (const char *)rig->log.data);
    rig->log.len--;
}

struct inspect_server rig_view(const struct rig *rig)
{
    struct inspect_server view;

    inspect_server(rig->replica, &view);
    return view;
}

static void carry_out(struct rig *rig)
{
    size_t bytes = 0;

    for (size_t i = 0; i < rig->effects.count; i++) {
        struct replica_effect *effect = &rig->effects.items[i];
        struct test_client *client = client_of(rig, effect->conn_id);

        switch (effect->type) {
            case REPLICA_SEND_CLIENT:
                cr_assert(client == NULL || !client->closed);
                bytes += effect->frame.len;
                if (client != NULL) {
                    test_client_take(client, effect->frame);
                }
                break;
            case REPLICA_CLOSE_CLIENT:
                if (client != NULL) {
                    client->closed = true;
                    client->why = effect->why;
                }
                break;
            case REPLICA_PAUSE_CLIENT:
            case REPLICA_RESUME_CLIENT:
                if (client != NULL) {
                    bool pause = effect->type == REPLICA_PAUSE_CLIENT;

                    cr_assert_neq(client->paused, pause);
                    client->paused = pause;
                }
                break;
            case REPLICA_STORE:
                rig->asked[effect->store.type]++;
                fake_disk_submit(rig->disk, &effect->store);
                effect->store.payload = NULL; /* taken over */
                break;
            case REPLICA_SERVING:
                rig->accepting = effect->serving;
                rig->serving = effect->serving && !rig_view(rig).read_only;
                break;
            case REPLICA_FATAL:
                rig->fatal = true;
                rig->damaged |= effect->log.damage;
                /* fall through */
            case REPLICA_LOG:
                buf_printf(&rig->log, "%s %.*s\n", effect->log.event,
                           (int)effect->log.text.len, effect->log.text.ptr);
                break;
            case REPLICA_SEND_PEER:
            case REPLICA_CONNECT_PEER:
            case REPLICA_DROP_PEER:
                cr_assert_not_null(rig->on_peer, "alone there are no peers");
                rig->on_peer(rig, effect);
                break;
        }
    }
    if (rig->effects.count > rig->effects_max) {
        rig->effects_max = rig->effects.count;
    }
    if (bytes > rig->bytes_max) {
        rig->bytes_max = bytes;
    }
    cr_assert_lt(rig->effects.count, EFFECTS_MAX);
    replica_effects_clear(&rig->effects);
}

static struct test_client *client_of(struct rig *rig, uint64_t conn_id)
{
    for (size_t i = 0; i < rig->clients_count && conn_id != 0; i++) {
        if (rig->clients[i].conn_id == conn_id) {
            return &rig->clients[i];
        }
    }
    return NULL;
}
