/* Who leads. Every server tells every other what it does and whom it wants, and
 * looks at the table of what it was told: nothing is asked, nothing repeated.
 *
 * Being elected proves nothing: what must not happen twice is prevented by the
 * promises of discovery. An election only has to end. So whoever has failed us
 * as a leader is shunned for a drawn while, and a round that decides nothing
 * ends: servers that do not all see one another would otherwise vote past each
 * other for ever (ZOOKEEPER-569 and its kin). */
#include "base/check.h"
#include "zab/zab_internal.h"

#define ROUND_TICKS 50U /* a round that has not decided by then ends */
#define ROUND_MAX (UINT64_MAX - 1) /* only a peer that lies has been there */
#define SHUN_TICKS 25U             /* the candidate of such a round */
#define FAILED_TICKS 2U /* a leader that failed us, doubled each time */
#define FAILURES_MAX 5U

static void new_round(struct zab *zab);
static void set_end(struct zab *zab);
static void consider(struct zab *zab, struct zab_effects *effects);
static size_t find_leader(const struct zab *zab);
static bool is_better_leader(const struct zab *zab, size_t leader, size_t best);
static bool is_followed(const struct zab *zab, size_t leader);
static void catch_up(struct zab *zab);
static void choose(struct zab *zab);
static bool is_willing(const struct zab *zab, uint64_t candidate);
static bool is_better(const struct zab_vote *a, const struct zab_vote *b);
static void decide(struct zab *zab, struct zab_effects *effects);
static bool has_no_say(const struct zab *zab, size_t peer);
static bool is_first_vote(const struct zab *zab);
static void elected(struct zab *zab, uint64_t id, struct zab_effects *effects);
static bool is_first(const struct zab *zab);
static bool is_shunned(const struct zab *zab, size_t peer);
static void shun(struct zab *zab, uint64_t id, uint64_t ticks);
static struct zab_said statement(const struct zab *zab);
static bool is_same(const struct zab_said *a, const struct zab_said *b);

void election_begin(struct zab *zab, struct zab_effects *effects)
{
    /* No vote before all that is known committed stands in the tree. */
    CHECK(zab->phase != ZAB_PHASE_REPLAY ||
          zab->delivered == zab_deliverable(zab));
    if (zab->phase != ZAB_PHASE_ELECTION) {
        zab->counts.looks++;
    }
    zab_move(zab, ZAB_PHASE_ELECTION);
    new_round(zab);
    if (zab->peers[zab->self].voter && !zab_voting(zab)) {
        ZAB_MARK(zab, ELECTION_NO_VOTE);
    }
    consider(zab, effects);
}

void election_failed(struct zab *zab)
{
    size_t peer = zab_member_index(zab, zab->leader_id);
    struct zab_peer *leader;

    if (peer == SIZE_MAX || peer == zab->self) {
        return;
    }
    leader = &zab->peers[peer];
    /* A frozen one goes on being heard of as the leader that it was, and dials
     * to it succeed: the others need this long to elect another. */
    if (zab_is_learner(zab) && zab->ticks - zab->heard > zab->patience) {
        shun(zab, zab->leader_id, zab->config.ticks_leader_timeout);
        return;
    }
    if (zab->role != ZAB_LOOKING) {
        leader->failures = 0; /* it had been a good one */
    } else if (leader->failures < FAILURES_MAX) {
        leader->failures++;
    }
    shun(zab, zab->leader_id, FAILED_TICKS << leader->failures);
}

void election_on_tick(struct zab *zab, struct zab_effects *effects)
{
    if (zab->vote.candidate != 0 && zab->ticks >= zab->round_ends) {
        if (zab->vote.candidate != zab->config.self_id) {
            shun(zab, zab->vote.candidate, SHUN_TICKS);
        }
        new_round(zab);
    }
    consider(zab, effects);
}

void election_on_link(struct zab *zab, size_t peer, bool up,
                      struct zab_effects *effects)
{
    zab->peers[peer].known = false;
    zab->peers[peer].told = !up;
    if (zab->phase == ZAB_PHASE_ELECTION) {
        consider(zab, effects);
    }
}

void election_on_vote(struct zab *zab, size_t peer, const struct peer_msg *msg,
                      struct zab_effects *effects)
{
    struct zab_peer *from = &zab->peers[peer];
    size_t candidate = zab_member_index(zab, msg->vote.candidate);

    if (msg->vote.round > ROUND_MAX || msg->vote.state < PEER_LOOKING ||
        msg->vote.state > PEER_ESTABLISHED) {
        zab_drop_peer(zab, PEER_LINK_ELECTION, peer, "its vote cannot be",
                      effects);
        return;
    }
    from->known = true;
    from->vote = (struct zab_vote){.epoch = msg->epoch, .zxid = msg->zxid};
    /* Whom we do not know, and who cannot lead, is nobody (ZOOKEEPER-764). */
    if (candidate != SIZE_MAX && zab->peers[candidate].voter) {
        from->vote.candidate = msg->vote.candidate;
    }
    from->round = msg->vote.round;
    from->state = msg->vote.state;
    from->blank = msg->vote.blank;
    from->no_log = msg->vote.no_log;
    if (zab->phase == ZAB_PHASE_ELECTION) {
        consider(zab, effects);
    }
}

void election_tell(struct zab *zab, struct zab_effects *effects)
{
    struct zab_said now = statement(zab);
    uint64_t to = 0;
    struct peer_msg *msg;

    for (size_t i = 0; i < zab->peers_count; i++) {
        if (!is_same(&now, &zab->said)) {
            zab->peers[i].told = false;
        }
        if (!zab->peers[i].told && zab->peers[i].up[PEER_LINK_ELECTION]) {
            zab->peers[i].told = true;
            to |= zab_bit(i);
        }
    }
    zab->said = now;
    if (to == 0 || zab->phase == ZAB_PHASE_DAMAGED) {
        return;
    }
    msg = zab_send(zab, PEER_LINK_ELECTION, to, PEER_VOTE, effects);
    msg->epoch = now.vote.epoch;
    msg->zxid = now.vote.zxid;
    msg->vote.candidate = now.vote.candidate;
    msg->vote.round = now.round;
    msg->vote.state = now.state;
    msg->vote.blank = now.blank;
    msg->vote.no_log = now.no_log;
}

bool zab_voting(const struct zab *zab)
{
    if (!zab->peers[zab->self].voter || zab->snap == SNAP_ENDING) {
        return false;
    }
    return !zab_blank(zab) || is_first(zab) || MUTATION(34);
}

bool zab_ready(const struct zab *zab)
{
    return zab->tree == ZAB_TREE_WHOLE && zab->snap != SNAP_ENDING;
}

static void new_round(struct zab *zab)
{
    /* At the end of all rounds they have one number: votes still meet. */
    if (zab->round < ROUND_MAX) {
        zab->round++;
    }
    zab->vote = (struct zab_vote){0};
    zab->vote_since = zab->ticks;
    zab->quorum_since = false;
    set_end(zab);
}

static void set_end(struct zab *zab)
{
    zab->round_ends =
        zab->ticks + ROUND_TICKS + prng_below(&zab->prng, ROUND_TICKS / 2);
}

/* What is to be done with the table as it is now. */
static void consider(struct zab *zab, struct zab_effects *effects)
{
    size_t leader;

    if (!zab_ready(zab)) {
        zab->vote = (struct zab_vote){0};
        return;
    }
    leader = find_leader(zab);
    if (leader != SIZE_MAX) {
        ZAB_MARK(zab, ELECTION_JOIN);
        elected(zab, zab->peers[leader].id, effects);
        return;
    }
    catch_up(zab);
    choose(zab);
    decide(zab, effects);
}

/* Somebody leads already: no round is needed, and none disturbs it. */
static size_t find_leader(const struct zab *zab)
{
    size_t best = SIZE_MAX;

    for (size_t i = 0; i < zab->peers_count; i++) {
        const struct zab_peer *peer = &zab->peers[i];

        if (!peer->known || !peer->voter || is_shunned(zab, i) ||
            peer->vote.candidate != peer->id) {
            continue;
        }
        if (is_better_leader(zab, i, best)) {
            best = i;
        }
    }
    return best;
}

/* Established, of the latest epoch; else one that is followed. best: SIZE_MAX:
 * none yet. */
static bool is_better_leader(const struct zab *zab, size_t leader, size_t best)
{
    const struct zab_peer *peer = &zab->peers[leader];

    if (peer->state == PEER_LEADING) {
        return best == SIZE_MAX && is_followed(zab, leader);
    }
    return peer->state == PEER_ESTABLISHED &&
           (best == SIZE_MAX || zab->peers[best].state != PEER_ESTABLISHED ||
            peer->vote.epoch > zab->peers[best].vote.epoch);
}

/* By a quorum, as they say; it is one of them. */
static bool is_followed(const struct zab *zab, size_t leader)
{
    uint64_t followers = zab_bit(leader);

    for (size_t i = 0; i < zab->peers_count; i++) {
        const struct zab_peer *peer = &zab->peers[i];

        if (peer->known && peer->state == PEER_FOLLOWING &&
            peer->vote.candidate == zab->peers[leader].id) {
            followers |= zab_bit(i);
        }
    }
    return quorum_holds(&zab->quorum, followers);
}

/* Of those who vote, the latest round is everybody's. */
static void catch_up(struct zab *zab)
{
    uint64_t round = zab->round;

    for (size_t i = 0; i < zab->peers_count; i++) {
        const struct zab_peer *peer = &zab->peers[i];

        if (peer->known && peer->voter && peer->state == PEER_LOOKING &&
            peer->vote.candidate != 0 && peer->round > round) {
            round = peer->round;
        }
    }
    if (round > zab->round) {
        ZAB_MARK(zab, ELECTION_ROUND_BEHIND);
        zab->round = round - 1;
        new_round(zab);
    }
}

/* Ourselves, or the best of those whom others of our round want. A vote stays
 * while its candidate stands, whatever became of those we have it from. */
static void choose(struct zab *zab)
{
    struct zab_vote best = {0};

    if (zab_voting(zab)) {
        if (zab->vote.candidate != zab->config.self_id &&
            is_willing(zab, zab->vote.candidate)) {
            best = zab->vote;
        } else if (!zab->resigning && !zab_disk_stands_still(zab)) {
            best = (struct zab_vote){zab->config.self_id, zab->epoch_current,
                                     zab->logged};
        }
        for (size_t i = 0; i < zab->peers_count; i++) {
            const struct zab_peer *peer = &zab->peers[i];

            if (peer->known && peer->voter && peer->state == PEER_LOOKING &&
                peer->round == zab->round && is_better(&peer->vote, &best) &&
                is_willing(zab, peer->vote.candidate)) {
                best = peer->vote;
            }
        }
    }
    if (best.candidate != zab->vote.candidate) {
        zab->vote_since = zab->ticks;
        zab->quorum_since = false;
        if (zab->vote.candidate == 0) {
            set_end(zab); /* it begins now that we take part */
        }
    }
    zab->vote = best;
}

/* Another one that we hear, and that wants itself or leads. */
static bool is_willing(const struct zab *zab, uint64_t candidate)
{
    size_t index = zab_member_index(zab, candidate);
    const struct zab_peer *peer;

    if (index == SIZE_MAX || index == zab->self) {
        return false;
    }
    peer = &zab->peers[index];
    return peer->known && peer->vote.candidate == candidate &&
           !is_shunned(zab, index);
}

static bool is_better(const struct zab_vote *a, const struct zab_vote *b)
{
    if (a->candidate == 0 || b->candidate == 0) {
        return a->candidate != 0;
    }
    if (a->epoch != b->epoch && !MUTATION(8)) {
        return a->epoch > b->epoch;
    }
    if (a->zxid != b->zxid) {
        return a->zxid > b->zxid;
    }
    return a->candidate > b->candidate;
}

static void decide(struct zab *zab, struct zab_effects *effects)
{
    uint64_t votes = zab_bit(zab->self);
    bool unanimous = is_first_vote(zab), everybody = true;

    if (zab->vote.candidate == 0) {
        return;
    }
    for (size_t i = 0; i < zab->peers_count; i++) {
        const struct zab_peer *peer = &zab->peers[i];

        if (i == zab->self || !peer->voter || !peer->up[PEER_LINK_ELECTION]) {
            continue;
        }
        if (peer->known && peer->round == zab->round &&
            peer->vote.candidate == zab->vote.candidate) {
            votes |= zab_bit(i);
        } else if (unanimous || !has_no_say(zab, i)) {
            everybody = false;
        }
    }
    if (!quorum_holds(&zab->quorum, votes)) {
        zab->quorum_since = false;
        return;
    }
    if (!zab->quorum_since) {
        zab->quorum_since = true;
        zab->vote_since = zab->ticks;
    }
    if (everybody) {
        ZAB_MARK(zab, ELECTION_ALL_AGREE);
    } else if (!unanimous &&
               zab->ticks - zab->vote_since >= ELECTION_WAIT_TICKS) {
        ZAB_MARK(zab, ELECTION_WAITED);
    } else {
        return;
    }
    if (zab_blank(zab)) {
        ZAB_MARK(zab, ELECTION_BLANK);
    }
    elected(zab, zab->vote.candidate, effects);
}

/* Nobody waits for one that votes for nobody, nor for a leader that has just
 * failed us, which may be frozen while it is heard of: what it said before is
 * not about to change. */
static bool has_no_say(const struct zab *zab, size_t peer)
{
    const struct zab_peer *other = &zab->peers[peer];

    return other->known &&
           (other->vote.candidate == 0 ||
            (other->state >= PEER_LEADING && is_shunned(zab, peer)));
}

/* A blank one for a blank one: all must want it. A voter that wants otherwise
 * may be about to lead those that have lost their disks since. */
static bool is_first_vote(const struct zab *zab)
{
    uint64_t id = zab->vote.candidate;
    size_t candidate = zab_member_index(zab, id);

    if (!zab_blank(zab) || zab->config.bootstrap || MUTATION(34)) {
        return false;
    }
    return candidate == zab->self ||
           (candidate != SIZE_MAX && zab->peers[candidate].blank);
}

static void elected(struct zab *zab, uint64_t id, struct zab_effects *effects)
{
    if (id == zab->config.self_id) {
        zab->leader_id = id;
        discovery_begin(zab, effects);
        return;
    }
    /* Those who took us for a leader are not to wait. */
    for (size_t i = 0; i < zab->peers_count; i++) {
        zab_drop_peer(zab, PEER_LINK_LEARNER, i, "we follow another", effects);
    }
    learner_begin(zab, id, effects);
}

/* Are these the first of an ensemble, and nothing can have been lost? One that
 * had a history and lost it is none of them. */
static bool is_first(const struct zab *zab)
{
    if (zab->quorum.total == 1) {
        return true;
    }
    if (zab->logged != 0) {
        return false;
    }
    if (zab->config.bootstrap) {
        return true;
    }
    if (zab->recovering) {
        return false;
    }
    for (size_t i = 0; i < zab->peers_count; i++) {
        const struct zab_peer *peer = &zab->peers[i];

        if (peer->voter && i != zab->self && !(peer->known && peer->no_log)) {
            return false;
        }
    }
    return true;
}

static bool is_shunned(const struct zab *zab, size_t peer)
{
    return zab->ticks < zab->peers[peer].shunned_until;
}

static void shun(struct zab *zab, uint64_t id, uint64_t ticks)
{
    zab->peers[zab_member_index(zab, id)].shunned_until =
        zab->ticks + ticks + prng_below(&zab->prng, ticks + 1);
}

/* What our VOTE says. Only of a vote that is wanted in a round does the zxid
 * say anything: that of a leader moves all the time. */
static struct zab_said statement(const struct zab *zab)
{
    struct zab_said said = {
        .round = zab->round,
        .state = PEER_LOOKING,
        .blank = zab_blank(zab),
        .no_log = zab->logged == 0 && !zab->recovering,
    };

    if (zab->phase == ZAB_PHASE_ELECTION) {
        said.vote = zab->vote;
    } else if (zab_is_learner(zab)) {
        said.state = PEER_FOLLOWING;
        said.vote.candidate = zab->leader_id;
        said.vote.epoch = zab->leader_epoch;
    } else if (zab_is_leader(zab)) {
        bool leads = zab->role == ZAB_LEADING;

        said.state = leads ? PEER_ESTABLISHED : PEER_LEADING;
        said.vote.candidate = zab->config.self_id;
        said.vote.epoch = leads ? zab->epoch_current : zab->epoch_accepted;
    }
    return said;
}

static bool is_same(const struct zab_said *a, const struct zab_said *b)
{
    return a->vote.candidate == b->vote.candidate &&
           a->vote.epoch == b->vote.epoch && a->vote.zxid == b->vote.zxid &&
           a->round == b->round && a->state == b->state &&
           a->blank == b->blank && a->no_log == b->no_log;
}
