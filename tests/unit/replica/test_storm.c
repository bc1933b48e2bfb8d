/* Everything at once, by seeds: requests of all kinds from several clients,
 * tiny limits, a disk that answers when it likes, holds, slow readers, lost
 * connections, crashes. Each client checks the order of its answers and that no
 * zxid goes back; at the end nothing may be left waiting. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/prng.h"
#include "tests/unit/replica/rig.h"

#define CLIENTS 6
#define ACTIONS 4000
#define SEEDS 150

static struct rig rig;
static struct prng prng;
static unsigned holds;
static char texts[3][16]; /* paths of the request being made */

static uint64_t draw(uint64_t bound)
{
    return prng_below(&prng, bound);
}

static const char *draw_path(int which)
{
    static const char *const parents[] = {"", "/a", "/a/b", "/c"};

    snprintf(texts[which], sizeof(texts[which]), "%s/%c", parents[draw(4)],
             (char)('a' + draw(4)));
    return texts[which];
}

static struct client_request draw_simple(int which)
{
    switch (draw(5)) {
        case 0:
        case 1:
            return request_create(draw_path(which), "x", (int32_t)draw(4));
        case 2:
            return request_delete(draw_path(which), -1);
        default:
            return request_set(draw_path(which), "y", draw(4) == 0 ? 3 : -1);
    }
}

static struct client_request draw_set_watches(void)
{
    static struct slice paths[3];

    for (int i = 0; i < 3; i++) {
        paths[i] = slice_from_text(draw_path(i));
    }
    return (struct client_request){
        .op = ZK_OP_SET_WATCHES,
        .set_watches = {.relative_zxid = zxid_make(1, (uint32_t)draw(200)),
                        .data = paths,
                        .data_count = 3,
                        .exist = paths,
                        .exist_count = 2,
                        .child = paths,
                        .child_count = 1}};
}

static struct client_request draw_request(void)
{
    static const enum zk_op reads[] = {ZK_OP_EXISTS, ZK_OP_GET_DATA,
                                       ZK_OP_GET_CHILDREN, ZK_OP_GET_CHILDREN2};
    static const enum zk_op paths[] = {ZK_OP_GET_ACL, ZK_OP_SYNC,
                                       ZK_OP_GET_EPHEMERALS,
                                       ZK_OP_GET_ALL_CHILDREN_NUMBER};
    static struct client_request ops[3];

    switch (draw(14)) {
        case 0:
        case 1:
        case 2:
        case 3:
            return draw_simple(0);
        case 4:
            ops[0] = draw_simple(0);
            ops[1] = draw_simple(1);
            return request_multi(ZK_OP_MULTI, ops, 2);
        case 5:
            return request_path(paths[draw(4)], draw_path(0));
        case 6:
            return request_type(ZK_OP_ADD_WATCH, draw_path(0),
                                (int32_t)draw(3));
        case 7:
            return request_type(ZK_OP_REMOVE_WATCHES, draw_path(0), 3);
        case 8:
            return request_plain(ZK_OP_PING);
        case 9:
            ops[0] = request_watch(ZK_OP_GET_CHILDREN, draw_path(0), false);
            ops[1] = request_watch(ZK_OP_GET_DATA, draw_path(1), false);
            ops[2] = request_watch(ZK_OP_GET_CHILDREN, "/", false);
            return request_multi(ZK_OP_MULTI_READ, ops, 3);
        case 10:
            return draw_set_watches();
        default:
            return request_watch(reads[draw(4)], draw_path(0), draw(2) == 0);
    }
}

static void let_go(void)
{
    while (holds > 0) {
        inspect_release(rig.replica);
        holds--;
    }
}

static void drain(struct test_client *client)
{
    if (!client->closed) {
        rig_step(&rig, &(struct replica_input){.type = REPLICA_CLIENT_DRAINED,
                                               .conn_id = client->conn_id});
    }
}

static void use_client(struct test_client *client)
{
    if (client->closed) {
        if (client->refused || draw(4) == 0) {
            client->session_id = 0;
        }
        client->quiet = true;
        rig_reopen(&rig, client);
        rig_handshake(&rig, client);
    } else if (draw(60) == 0) {
        rig_hang_up(&rig, client);
    } else if (draw(150) == 0) {
        rig_send(&rig, client, request_plain(ZK_OP_CLOSE_SESSION));
    } else if (draw(40) == 0) {
        /* Without a ping, which is answered to another xid. */
        rig_raw(&rig, client, 12 + (int32_t)draw(110), SLICE_LITERAL("\1\2\3"));
    } else if (!client->paused || draw(10) == 0) {
        rig_send(&rig, client, draw_request());
    }
}

static void act(void)
{
    switch (draw(14)) {
        case 0:
        case 1:
        case 2:
            (void)rig_disk(&rig);
            break;
        case 3:
            if (replica_has_work(rig.replica)) {
                rig_continue(&rig);
            }
            break;
        case 4:
            rig.now_ms += (int64_t)draw(300);
            rig.wall_ms += 20;
            rig_tick(&rig, (uint32_t)draw(3) / 2);
            break;
        case 5:
            drain(&rig.clients[draw(CLIENTS)]);
            break;
        case 6:
            if (draw(8) == 0) {
                inspect_hold(rig.replica);
                holds++;
            } else {
                let_go();
            }
            break;
        default:
            use_client(&rig.clients[draw(CLIENTS)]);
            break;
    }
}

static void crash(void)
{
    let_go();
    rig_crash(&rig, draw(4));
    rig_start(&rig);
}

/* All that waits is answered, and what is on the disk is what was served. */
static void finish(void)
{
    struct inspect_server before, after;

    let_go();
    for (int i = 0; i < 200; i++) {
        for (int k = 0; k < CLIENTS; k++) {
            drain(&rig.clients[k]);
        }
        rig_settle(&rig);
    }
    for (int k = 0; k < CLIENTS; k++) {
        struct test_client *client = &rig.clients[k];

        cr_assert(!client->went_back);
        if (!client->closed) {
            cr_assert(!client->paused, "client %d is paused", k);
            cr_assert_eq(client->asked_count, 0, "client %d waits", k);
        }
    }
    before = rig_view(&rig);
    cr_assert_eq(before.outstanding, 0);
    rig_restart(&rig);
    after = rig_view(&rig);
    cr_assert_eq(after.tree_digest, before.tree_digest);
    cr_assert_eq(after.session_digest, before.session_digest);
    cr_assert_eq(after.zxid, before.zxid);
    cr_assert(!rig.fatal);
}

static void storm(uint64_t seed)
{
    prng_init(&prng, seed);
    holds = 0;
    rig_init(&rig);
    rig.config.outstanding_max = 1 + (uint32_t)draw(20);
    rig.config.reads_held_max = 1 + (uint32_t)draw(5);
    rig.config.zab.proposals_inflight_max = 1 + (uint32_t)draw(10);
    rig.config.output_mark = 50 + (uint32_t)draw(2000);
    rig.config.checkpoint_records = 5 + (uint32_t)draw(200);
    rig.config.slice_units = draw(2) == 0 ? 0 : 4 + (uint32_t)draw(40);
    rig_serve(&rig);
    for (int k = 0; k < CLIENTS; k++) {
        rig_open(&rig)->quiet = true;
        rig_handshake(&rig, &rig.clients[k]);
    }
    for (int i = 0; i < ACTIONS; i++) {
        act();
        if (draw(1000) == 0) {
            crash();
        }
    }
    finish();
    rig_finish(&rig);
}

Test(replica_storm, nothing_is_lost_or_left_waiting)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        storm(seed);
    }
}
