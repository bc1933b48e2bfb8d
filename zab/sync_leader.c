/* Leader: what a learner is sent so that its history becomes ours, and how a
 * stream goes on when it cannot go with the others.
 *
 * A learner that is not at the end, or whose window is closed, is sent nothing
 * by the broadcast; each ACK of it pumps its stream on, from memory or, piece
 * by piece, from the log. */
#include "base/check.h"
#include "base/err.h"
#include "proto/record.h"
#include "zab/zab_internal.h"

/* Of one message, and of one read of the log. Two such pieces may be on their
 * way to a learner. */
#define PIECE_BYTES (SYNC_WINDOW_BYTES / 2)
#define PIECE_RECORDS 1024U

/* A PROPOSE or INFORM being filled: one epoch, no gaps. */
struct piece {
    struct blob **payloads;
    uint32_t count;
    size_t bytes;
    zxid_t last;
};

static zxid_t common_point(const struct zab *zab, const struct peer_msg *msg);
static bool has_rest(const struct zab *zab, zxid_t common);
static void start_history(struct zab *zab, size_t peer,
                          struct zab_effects *effects);
static void mark_source(struct zab *zab, const struct zab_peer *learner);
static zxid_t stream_end(const struct zab *zab, const struct zab_peer *learner);
static bool send_piece(struct zab *zab, uint64_t peers, zxid_t end,
                       struct zab_effects *effects);
static size_t first_of(uint64_t peers);
static bool piece_takes(const struct piece *piece, zxid_t zxid, size_t bytes);
static void piece_put(struct zab *zab, struct piece *piece, zxid_t zxid,
                      struct blob *payload);
static void piece_send(struct zab *zab, uint64_t peers, struct piece *piece,
                       struct zab_effects *effects);
static void read_log(struct zab *zab, size_t peer, struct zab_effects *effects);
static void on_log(struct zab *zab, size_t peer,
                   const struct store_result *read,
                   struct zab_effects *effects);
static const char *send_records(struct zab *zab, size_t peer,
                                struct slice records,
                                struct zab_effects *effects);
static bool is_next(const struct zab *zab, zxid_t before, zxid_t zxid);
static void fell_behind(struct zab *zab, size_t peer,
                        struct zab_effects *effects);
static bool may_take_up(const struct zab *zab, const struct zab_peer *learner);
static void send_new_leader(struct zab *zab, size_t peer,
                            struct zab_effects *effects);
static void send_commit(struct zab *zab, size_t peer,
                        struct zab_effects *effects);
static void read_snap(struct zab *zab, size_t peer,
                      struct zab_effects *effects);
static void on_snap(struct zab *zab, size_t peer,
                    const struct store_result *read,
                    struct zab_effects *effects);
static void send_chunk(struct zab *zab, size_t peer,
                       const struct store_result *read,
                       struct zab_effects *effects);
static const char *broken_ack(const struct zab *zab, size_t peer,
                              const struct peer_msg *msg);

/* In place a synced learner's stream goes on where it is. */
void sync_begin(struct zab *zab, size_t peer, const struct peer_msg *ack_epoch,
                struct zab_effects *effects)
{
    struct zab_peer *learner = &zab->peers[peer];

    if (!learner->in_place) {
        zxid_t common = common_point(zab, ack_epoch);

        learner->last = ack_epoch->zxid;
        learner->snap_needed = !ack_epoch->ack_epoch.whole ||
                               common < ack_epoch->ack_epoch.checkpoint ||
                               !has_rest(zab, common);
        /* Until it is known where the checkpoint stands: what follows ours is
         * kept. */
        learner->sent = learner->snap_needed ? zab->checkpoint : common;
        learner->window = learner->sent;
        learner->piece = learner->sent;
    }
    /* Before its epoch has a quorum nobody may cut another one's history. */
    if (zab->phase != ZAB_PHASE_DISCOVERY) {
        sync_start(zab, peer, effects);
    }
}

void sync_start(struct zab *zab, size_t peer, struct zab_effects *effects)
{
    struct zab_peer *learner = &zab->peers[peer];

    learner->progressed = zab->ticks;
    if (learner->in_place) {
        learner->stage = LEARNER_STREAM;
    } else if (learner->snap_needed) {
        learner->stage = LEARNER_SNAP;
        read_snap(zab, peer, effects);
    } else {
        start_history(zab, peer, effects);
    }
    sync_pump(zab, peer, effects);
}

void sync_pump(struct zab *zab, size_t peer, struct zab_effects *effects)
{
    struct zab_peer *learner = &zab->peers[peer];
    zxid_t end;

    if (learner->stage < LEARNER_STREAM) {
        return;
    }
    end = stream_end(zab, learner);
    while (learner->sent < end &&
           send_piece(zab, zab_bit(peer), end, effects)) {
    }
    if (learner->sent >= end && learner->stage == LEARNER_STREAM &&
        may_take_up(zab, learner)) {
        send_new_leader(zab, peer, effects);
    }
    send_commit(zab, peer, effects);
}

void sync_inform(struct zab *zab, uint64_t peers, zxid_t zxid,
                 struct zab_effects *effects)
{
    while (zab->peers[first_of(peers)].sent < zxid &&
           send_piece(zab, peers, zxid, effects)) {
    }
}

/* What a blank one acknowledged before it lost it, another leader may have
 * committed meanwhile: only of one that a quorum still follows, by a round
 * begun after it came, is a copy whole. */
static bool may_take_up(const struct zab *zab, const struct zab_peer *learner)
{
    return learner->voting || !learner->voter ||
           (zab->role == ZAB_LEADING && zab->round_done >= learner->confirm);
}

bool sync_window_open(const struct zab *zab, size_t peer, size_t bytes)
{
    const struct zab_peer *learner = &zab->peers[peer];
    size_t limit =
        learner->stage == LEARNER_SYNCED ? WINDOW_BYTES : SYNC_WINDOW_BYTES;
    size_t under_way;

    if (learner->window >= learner->sent) {
        return true; /* however much it is */
    }
    under_way = history_bytes(&zab->history, learner->window, learner->sent);
    return under_way <= limit && bytes <= limit - under_way;
}

void sync_on_read(struct zab *zab, size_t peer, const struct store_result *read,
                  struct zab_effects *effects)
{
    struct zab_peer *learner = &zab->peers[peer];

    /* Another seq: for a link that is gone. */
    if (learner->read_seq == 0 || read->seq != learner->read_seq) {
        return;
    }
    learner->read_seq = 0;
    learner->progressed = zab->ticks;
    if (read->type == STORE_READ_SNAP) {
        on_snap(zab, peer, read, effects);
    } else {
        on_log(zab, peer, read, effects);
    }
}

void sync_on_snap_ack(struct zab *zab, size_t peer, const struct peer_msg *msg,
                      struct zab_effects *effects)
{
    struct zab_peer *learner = &zab->peers[peer];

    if (learner->stage != LEARNER_SNAP || msg->epoch != learner->link_epoch ||
        msg->snap.number <= learner->chunks_acked ||
        msg->snap.number > learner->chunks_sent) {
        zab_drop_peer(zab, PEER_LINK_LEARNER, peer,
                      "acknowledged a chunk that was not sent", effects);
        return;
    }
    learner->chunks_acked = msg->snap.number;
    learner->progressed = zab->ticks;
    zab->began = zab->ticks;
    if (!learner->snap_last) {
        read_snap(zab, peer, effects);
    } else if (learner->chunks_acked == learner->chunks_sent) {
        learner->stage = LEARNER_STREAM;
        sync_pump(zab, peer, effects);
    }
}

void sync_on_ack_new_leader(struct zab *zab, size_t peer,
                            const struct peer_msg *msg,
                            struct zab_effects *effects)
{
    struct zab_peer *learner = &zab->peers[peer];
    const char *broken = broken_ack(zab, peer, msg);

    if (broken != NULL) {
        zab_drop_peer(zab, PEER_LINK_LEARNER, peer, broken, effects);
        return;
    }
    learner->stage = LEARNER_TAKEN_UP;
    learner->window = msg->zxid;
    learner->progressed = zab->ticks;
    zab->began = zab->ticks;
    if (zab->phase == ZAB_PHASE_SYNC) {
        if (learner->voting) {
            zab->leader_acks |= zab_bit(peer);
            zab->acked[peer] = MUTATION(31) ? 0 : msg->zxid;
        }
        leader_establish(zab, effects);
        return;
    }
    /* A blank one that follows an established leader has a whole copy now. */
    learner->voting = learner->voter;
    zab->acked[peer] = learner->voting && !MUTATION(31) ? msg->zxid : 0;
    sync_up_to_date(zab, zab_bit(peer), effects);
    leader_go_on(zab, effects);
}

void sync_up_to_date(struct zab *zab, uint64_t peers,
                     struct zab_effects *effects)
{
    uint64_t same = 0;

    for (size_t i = 0; i < zab->peers_count; i++) {
        struct zab_peer *learner = &zab->peers[i];

        if ((peers & zab_bit(i)) == 0 || learner->stage != LEARNER_TAKEN_UP) {
            continue;
        }
        learner->stage = LEARNER_SYNCED;
        learner->in_place = false;
        if (learner->sent >= zab->committed_told) {
            learner->committed_sent = zab->committed_told;
            same |= zab_bit(i);
        } else {
            struct peer_msg *msg = zab_send(zab, PEER_LINK_LEARNER, zab_bit(i),
                                            PEER_UP_TO_DATE, effects);

            msg->epoch = zab->epoch;
            msg->zxid = learner->sent;
            learner->committed_sent = learner->sent;
        }
    }
    if (same != 0) {
        struct peer_msg *msg =
            zab_send(zab, PEER_LINK_LEARNER, same, PEER_UP_TO_DATE, effects);

        msg->epoch = zab->epoch;
        msg->zxid = zab->committed_told;
    }
    for (size_t i = 0; i < zab->peers_count; i++) {
        if ((peers & zab_bit(i)) != 0) {
            sync_pump(zab, i, effects);
        }
    }
}

void sync_forget(struct zab *zab, size_t peer, struct zab_effects *effects)
{
    struct zab_peer *learner = &zab->peers[peer];

    if (learner->stage == LEARNER_SNAP) {
        ZAB_MARK(zab, SNAP_INTERRUPTED);
        if (!learner->snap_last) {
            zab_store(zab, STORE_READ_CLOSE, effects)->reader_id = learner->id;
        }
    }
    learner->stage = LEARNER_NONE;
    learner->voting = learner->in_place = false;
    learner->promised = learner->snap_needed = learner->snap_last = false;
    learner->epoch_accepted = learner->link_epoch = 0;
    learner->pinged = learner->pinged_at = learner->pong = 0;
    learner->sent = learner->window = learner->committed_sent = 0;
    learner->last = learner->piece = learner->snap_zxid = 0;
    learner->read_seq = 0;
    learner->chunks_sent = learner->chunks_acked = 0;
    zab->acked[peer] = 0;
    zab->leader_acks &= ~zab_bit(peer);
    if (zab->phase == ZAB_PHASE_DISCOVERY) {
        /* Should it come with another disk, it has not promised. */
        zab->epoch_acks &= ~zab_bit(peer);
        zab->confirming &= ~zab_bit(peer);
    }
}

/* The end of the latest epoch that stands in both histories, as far as both
 * have it; without one, its checkpoint. What we have of an epoch before our log
 * ends where the log begins. */
static zxid_t common_point(const struct zab *zab, const struct peer_msg *msg)
{
    for (uint32_t i = msg->ack_epoch.epoch_ends_count; i > 0; i--) {
        zxid_t theirs = msg->ack_epoch.epoch_ends[i - 1];
        zxid_t ours = zab_epoch_end(zab, zxid_epoch(theirs));

        if (ours == 0 && zxid_epoch(theirs) == zxid_epoch(zab->log_base)) {
            ours = zab->log_base;
        }
        if (ours != 0) {
            return theirs < ours ? theirs : ours;
        }
    }
    return msg->ack_epoch.checkpoint;
}

/* All that follows it, and it itself is ours. */
static bool has_rest(const struct zab *zab, zxid_t common)
{
    if (common < zab->log_base) {
        return history_after(&zab->history, common) != SIZE_MAX;
    }
    return zab_has(zab, common);
}

static void start_history(struct zab *zab, size_t peer,
                          struct zab_effects *effects)
{
    struct zab_peer *learner = &zab->peers[peer];
    bool cut = learner->last > learner->sent && !MUTATION(9);
    struct peer_msg *msg =
        zab_send(zab, PEER_LINK_LEARNER, zab_bit(peer),
                 cut ? PEER_SYNC_TRUNC : PEER_SYNC_DIFF, effects);

    msg->epoch = zab->epoch;
    msg->zxid = MUTATION(9) ? learner->last : learner->sent;
    learner->stage = LEARNER_STREAM;
    if (cut) {
        ZAB_MARK(zab, SYNC_TRUNC);
        zab->counts.truncs++;
    } else {
        zab->counts.diffs++;
    }
    mark_source(zab, learner);
}

static void mark_source(struct zab *zab, const struct zab_peer *learner)
{
    if (learner->sent >= stream_end(zab, learner)) {
        ZAB_MARK(zab, SYNC_DIFF_EMPTY);
    } else if (history_after(&zab->history, learner->sent) != SIZE_MAX) {
        ZAB_MARK(zab, SYNC_DIFF_MEMORY);
    } else {
        ZAB_MARK(zab, SYNC_DIFF_LOG);
    }
}

/* Observers are sent what has been told committed; from NEW_LEADER until
 * UP_TO_DATE, nothing. */
static zxid_t stream_end(const struct zab *zab, const struct zab_peer *learner)
{
    if (learner->voter) {
        return zab->logged;
    }
    if (learner->stage == LEARNER_TAKING_UP ||
        learner->stage == LEARNER_TAKEN_UP) {
        return learner->sent;
    }
    return zab->committed_told;
}

/* To all of these, which are at the same place; the window is the first's.
 * False: it is closed, or the log has been asked. */
static bool send_piece(struct zab *zab, uint64_t peers, zxid_t end,
                       struct zab_effects *effects)
{
    struct piece piece = {0};
    size_t peer = first_of(peers);
    size_t index = history_after(&zab->history, zab->peers[peer].sent);

    if (index == SIZE_MAX) {
        read_log(zab, peer, effects);
        return false;
    }
    for (; index < zab->history.count; index++) {
        const struct proposal *next = history_at(&zab->history, index);
        size_t bytes = piece.bytes + blob_bytes(next->payload).len;

        if (next->zxid > end || !piece_takes(&piece, next->zxid, bytes) ||
            !sync_window_open(zab, peer, bytes)) {
            break;
        }
        piece_put(zab, &piece, next->zxid, blob_ref(next->payload));
    }
    if (piece.count == 0) {
        return false;
    }
    piece_send(zab, peers, &piece, effects);
    return true;
}

static size_t first_of(uint64_t peers)
{
    size_t i = 0;

    while ((peers & zab_bit(i)) == 0) {
        i++;
    }
    return i;
}

static bool piece_takes(const struct piece *piece, zxid_t zxid, size_t bytes)
{
    return piece->count == 0 ||
           (zxid == piece->last + 1 && piece->count < PIECE_RECORDS &&
            bytes <= PIECE_BYTES);
}

/* Takes payload. */
static void piece_put(struct zab *zab, struct piece *piece, zxid_t zxid,
                      struct blob *payload)
{
    if (piece->count == 0) {
        piece->payloads = zab_payloads(zab, PIECE_RECORDS);
    }
    piece->payloads[piece->count] = payload;
    piece->count++;
    piece->bytes += blob_bytes(payload).len;
    piece->last = zxid;
}

static void piece_send(struct zab *zab, uint64_t peers, struct piece *piece,
                       struct zab_effects *effects)
{
    const struct zab_peer *first = &zab->peers[first_of(peers)];
    bool inform = !first->voter && first->stage == LEARNER_SYNCED;
    struct peer_msg *msg =
        zab_send(zab, PEER_LINK_LEARNER, peers,
                 inform ? PEER_INFORM : PEER_PROPOSE, effects);

    msg->epoch = zab->epoch;
    msg->zxid = piece->last - (piece->count - 1);
    msg->payloads = piece->payloads;
    msg->payloads_count = piece->count;
    for (size_t i = 0; i < zab->peers_count; i++) {
        if ((peers & zab_bit(i)) != 0) {
            zab->peers[i].sent = piece->last;
            if (inform) {
                zab->peers[i].committed_sent = piece->last;
            }
        }
    }
    *piece = (struct piece){0};
}

static void read_log(struct zab *zab, size_t peer, struct zab_effects *effects)
{
    struct zab_peer *learner = &zab->peers[peer];
    struct store_op *op;

    if (learner->read_seq != 0 || learner->window < learner->piece) {
        return;
    }
    op = zab_store(zab, STORE_READ_LOG, effects);
    op->reader_id = learner->id;
    op->size_max = PIECE_BYTES;
    op->zxid = learner->sent;
    learner->read_seq = op->seq;
}

static void on_log(struct zab *zab, size_t peer,
                   const struct store_result *read, struct zab_effects *effects)
{
    struct zab_peer *learner = &zab->peers[peer];
    zxid_t sent = learner->sent;
    struct slice records = {0};
    const char *damage;

    if (read->err == ERR_NOT_FOUND) {
        fell_behind(zab, peer, effects);
        return;
    }
    if (read->payload != NULL) {
        records = blob_bytes(read->payload);
    }
    damage = read->err != 0 ? "the log cannot be read"
                            : send_records(zab, peer, records, effects);
    if (damage != NULL) {
        zab_damaged(zab, damage, effects);
        return;
    }
    if (learner->sent > sent) {
        learner->piece = sent;
    } else if (history_after(&zab->history, sent) == SIZE_MAX) {
        fell_behind(zab, peer, effects);
        return;
    }
    sync_pump(zab, peer, effects);
}

/* NULL, or what is wrong with our own log. What an observer may not have yet is
 * left: it is read again. */
static const char *send_records(struct zab *zab, size_t peer,
                                struct slice records,
                                struct zab_effects *effects)
{
    zxid_t zxid, sent = zab->peers[peer].sent, before = sent;
    zxid_t end = stream_end(zab, &zab->peers[peer]);
    struct piece piece = {0};
    struct slice payload;
    int err;

    while ((err = record_next_log(&records, &zxid, &payload)) == 0 &&
           zxid <= end && is_next(zab, before, zxid)) {
        if (!piece_takes(&piece, zxid, piece.bytes + payload.len)) {
            piece_send(zab, zab_bit(peer), &piece, effects);
        }
        piece_put(zab, &piece, zxid, blob_copy(payload));
        before = zxid;
    }
    if (piece.count > 0) {
        piece_send(zab, zab_bit(peer), &piece, effects);
    }
    if (err != 0) {
        return err == ERR_NOT_FOUND ? NULL
                                    : "a piece of the log does not parse";
    }
    /* Where nothing at all follows, what did was purged. */
    return zxid > end || before == sent ? NULL : "the log has a gap";
}

/* Nothing of our history stands between them, purged or not: an epoch may have
 * been purged whole. */
static bool is_next(const struct zab *zab, zxid_t before, zxid_t zxid)
{
    return zxid == zab_next_of(zab, before);
}

/* Behind what memory and log still have: next time it is sent a checkpoint.
 * Where the log begins now is not known, but that it is not before what was to
 * be sent next. Nobody else is judged by that: a checkpoint may be older than
 * what another one has. */
static void fell_behind(struct zab *zab, size_t peer,
                        struct zab_effects *effects)
{
    zxid_t next = zab_next_of(zab, zab->peers[peer].sent);

    if (zab->log_base < next) {
        zab->log_base = next;
    }
    zab_drop_peer(zab, PEER_LINK_LEARNER, peer,
                  "behind what is still in the log", effects);
}

static void send_new_leader(struct zab *zab, size_t peer,
                            struct zab_effects *effects)
{
    struct zab_peer *learner = &zab->peers[peer];
    struct peer_msg *msg = zab_send(zab, PEER_LINK_LEARNER, zab_bit(peer),
                                    PEER_NEW_LEADER, effects);

    msg->epoch = zab->epoch;
    msg->zxid = learner->sent;
    learner->stage = LEARNER_TAKING_UP;
    learner->progressed = zab->ticks;
    /* What is committed by now UP_TO_DATE will say. */
    learner->committed_sent = zab->committed_told;
}

/* Of what was told to the others while its stream was behind. */
static void send_commit(struct zab *zab, size_t peer,
                        struct zab_effects *effects)
{
    struct zab_peer *learner = &zab->peers[peer];
    zxid_t zxid = zab->committed_told;
    struct peer_msg *msg;

    if (zxid > learner->sent) {
        zxid = learner->sent;
    }
    if (!learner->voter || learner->stage < LEARNER_TAKING_UP ||
        zab->phase < ZAB_PHASE_LEADING || zxid <= learner->committed_sent) {
        return;
    }
    msg = zab_send(zab, PEER_LINK_LEARNER, zab_bit(peer), PEER_COMMIT, effects);
    msg->epoch = zab->epoch;
    msg->zxid = zxid;
    learner->committed_sent = zxid;
}

static void read_snap(struct zab *zab, size_t peer, struct zab_effects *effects)
{
    struct zab_peer *learner = &zab->peers[peer];
    struct store_op *op;

    if (learner->read_seq != 0 ||
        learner->chunks_sent - learner->chunks_acked >= SNAP_CHUNKS_AHEAD) {
        return;
    }
    op = zab_store(zab, STORE_READ_SNAP, effects);
    op->reader_id = learner->id;
    op->size_max = CHUNK_SIZE_MAX;
    learner->read_seq = op->seq;
}

static void on_snap(struct zab *zab, size_t peer,
                    const struct store_result *read,
                    struct zab_effects *effects)
{
    struct zab_peer *learner = &zab->peers[peer];
    /* No checkpoint yet is the empty tree: all else stands in the log. */
    bool none = read->err == ERR_NOT_FOUND && learner->chunks_sent == 0;
    zxid_t zxid = none ? 0 : read->zxid;
    struct peer_msg *msg;

    if (read->err != 0 && !none) {
        zab_damaged(zab, "the checkpoint cannot be read", effects);
        return;
    }
    if (learner->chunks_sent == 0) {
        ZAB_MARK(zab, SYNC_SNAP);
        zab->counts.snaps++;
        msg = zab_send(zab, PEER_LINK_LEARNER, zab_bit(peer), PEER_SYNC_SNAP,
                       effects);
        msg->epoch = zab->epoch;
        msg->zxid = zxid;
        learner->snap_zxid = zxid;
        learner->sent = learner->window = learner->piece = zxid;
    } else if (zxid != learner->snap_zxid) {
        learner->snap_last = none || read->last;
        zab_drop_peer(zab, PEER_LINK_LEARNER, peer,
                      "the checkpoint is another one now", effects);
        return;
    }
    learner->snap_last = none || read->last;
    send_chunk(zab, peer, read, effects);
    if (!learner->snap_last) {
        read_snap(zab, peer, effects);
    }
}

static void send_chunk(struct zab *zab, size_t peer,
                       const struct store_result *read,
                       struct zab_effects *effects)
{
    struct zab_peer *learner = &zab->peers[peer];
    struct peer_msg *msg = zab_send(zab, PEER_LINK_LEARNER, zab_bit(peer),
                                    PEER_SNAP_CHUNK, effects);

    learner->chunks_sent++;
    msg->epoch = zab->epoch;
    msg->zxid = learner->snap_zxid;
    msg->snap.number = learner->chunks_sent;
    msg->snap.last = learner->snap_last;
    if (read->payload != NULL) {
        msg->payloads = zab_payloads(zab, 1);
        msg->payloads[0] = blob_ref(read->payload);
        msg->payloads_count = 1;
    }
}

/* NULL, or what is wrong with its ACK_NEW_LEADER. */
static const char *broken_ack(const struct zab *zab, size_t peer,
                              const struct peer_msg *msg)
{
    const struct zab_peer *learner = &zab->peers[peer];

    if (learner->stage != LEARNER_TAKING_UP ||
        msg->epoch != learner->link_epoch) {
        return "took up an epoch unasked";
    }
    if (msg->zxid > learner->sent || msg->zxid < learner->window) {
        return "acknowledged what it was not sent";
    }
    if (zab->phase == ZAB_PHASE_SYNC && learner->voter &&
        msg->zxid < zab->initial) {
        return "took up an epoch without its history";
    }
    return NULL;
}
