/* Watches as a client knows them: each is told once, before any answer as new
 * as the change, and of what did happen; what was missed between connections is
 * told when they are set again. */
#include <string.h>

#include "tests/sim/client_internal.h"

/* An answer as new as a change comes behind its event. */
void watches_header(struct clients *clients, struct client *client, zxid_t zxid)
{
    if (clients->model == NULL || zxid == client->zxid) {
        return;
    }
    for (size_t i = 0; i < WATCHES_MAX; i++) {
        struct watch *watch = &client->watches[i];
        zxid_t fired;

        if (watch->state != WATCH_ARMED || watch->since >= zxid) {
            continue;
        }
        fired = model_fires(clients->model, slice_from_text(watch->path),
                            watch->kind, watch->since, zxid);
        if (fired != 0) {
            sim_fail(clients->sim,
                     "Watches: client %u gets an answer of 0x%llx, it was not "
                     "told of 0x%llx at %s, watched since 0x%llx",
                     client->index, (unsigned long long)zxid,
                     (unsigned long long)fired, watch->path,
                     (unsigned long long)watch->since);
            return;
        }
        watch->since = zxid;
    }
}

/* Told of what it missed, and of nothing else; what is left is armed. */
void watches_set_again(struct clients *clients, struct client *client,
                       const struct ask *ask, zxid_t zxid)
{
    for (size_t i = 0; i < WATCHES_MAX; i++) {
        struct watch *watch = &client->watches[i];
        const struct model_state *state;
        bool told = watch->state == WATCH_TOLD, missed;

        if (!told && watch->state != WATCH_SETTING) {
            continue;
        }
        watch->state = told ? WATCH_FREE : WATCH_ARMED;
        watch->since = zxid;
        state =
            clients->model == NULL
                ? NULL
                : model_at(clients->model, slice_from_text(watch->path), zxid);
        if (state == NULL) {
            continue;
        }
        if (watch->kind == MODEL_WATCH_CHILD) {
            missed = !state->exists || state->pzxid > ask->relative;
        } else if (watch->absent) {
            missed = state->exists;
        } else {
            missed = !state->exists || state->mzxid > ask->relative;
        }
        if (missed != told) {
            sim_fail(clients->sim,
                     "Watches: client %u, %s set again behind 0x%llx: %s at "
                     "0x%llx",
                     client->index, watch->path,
                     (unsigned long long)ask->relative,
                     told ? "an event for nothing" : "no event",
                     (unsigned long long)zxid);
            return;
        }
    }
}

void watches_event(struct clients *clients, struct client *client, zxid_t zxid,
                   const struct zk_watcher_event *event)
{
    const struct ask *front = ask_at(client, 0);
    bool by_set = zxid == UINT64_MAX;
    bool expected = false;

    if (by_set &&
        (client->asks_count == 0 ||
         (front->op != ZK_OP_SET_WATCHES && front->op != ZK_OP_SET_WATCHES2))) {
        sim_fail(clients->sim,
                 "Watches: client %u is told of %.*s as if it "
                 "had set watches",
                 client->index, (int)event->path.len, event->path.ptr);
        return;
    }
    for (size_t i = 0; i < WATCHES_MAX; i++) {
        struct watch *watch = &client->watches[i];

        if (watch->state != (by_set ? WATCH_SETTING : WATCH_ARMED) ||
            !slice_equal_text(event->path, watch->path) ||
            (watch->kind == MODEL_WATCH_CHILD
                 ? event->type != ZK_EVENT_CHILDREN_CHANGED &&
                       event->type != ZK_EVENT_DELETED
                 : event->type == ZK_EVENT_CHILDREN_CHANGED)) {
            continue;
        }
        if (!by_set && zxid <= watch->since) {
            continue;
        }
        watch->state = by_set ? WATCH_TOLD : WATCH_FREE;
        expected = true;
        if (by_set) {
            break; /* one event for each in the lists */
        }
    }
    if (!by_set && zxid > client->passed) {
        client->passed = zxid;
    }
    if (!expected) {
        sim_fail(clients->sim,
                 "Watches: client %u is told of event %d at %.*s (0x%llx), it "
                 "has no such watch",
                 client->index, event->type, (int)event->path.len,
                 event->path.ptr, (unsigned long long)zxid);
    } else if (!by_set && zxid <= client->zxid) {
        sim_fail(clients->sim,
                 "Watches: client %u is told of %.*s at 0x%llx behind an "
                 "answer of 0x%llx",
                 client->index, (int)event->path.len, event->path.ptr,
                 (unsigned long long)zxid, (unsigned long long)client->zxid);
    } else if (!by_set && clients->model != NULL &&
               !model_changed(clients->model, event->path,
                              (enum zk_event_type)event->type, zxid)) {
        sim_fail(clients->sim,
                 "Watches: client %u is told of event %d at %.*s by 0x%llx, "
                 "which did no such thing",
                 client->index, event->type, (int)event->path.len,
                 event->path.ptr, (unsigned long long)zxid);
    }
}

void watches_arm(struct clients *clients, struct client *client,
                 const struct ask *ask, const struct client_reply *reply)
{
    bool child =
        ask->op == ZK_OP_GET_CHILDREN || ask->op == ZK_OP_GET_CHILDREN2;
    enum model_watch kind = child ? MODEL_WATCH_CHILD : MODEL_WATCH_DATA;
    struct watch *place = NULL;

    if (!ask->watch || (reply->code != ZK_OK && !(reply->code == ZK_NO_NODE &&
                                                  ask->op == ZK_OP_EXISTS))) {
        return;
    }
    for (size_t i = 0; i < WATCHES_MAX; i++) {
        struct watch *watch = &client->watches[i];

        if (watch->state == WATCH_FREE) {
            place = place == NULL ? watch : place;
        } else if (watch->kind == kind &&
                   strcmp(watch->path, ask->one.path) == 0) {
            return; /* the same one */
        }
    }
    if (place == NULL) {
        sim_fail(clients->sim, "Clients: client %u has too many watches",
                 client->index);
        return;
    }
    place->state = WATCH_ARMED;
    place->kind = kind;
    place->absent = reply->code == ZK_NO_NODE;
    place->since = reply->zxid;
    memcpy(place->path, ask->one.path, sizeof(place->path));
}
