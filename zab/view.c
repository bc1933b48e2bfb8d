/* A look from outside, for people and metrics. */
#include <inttypes.h>

#include "base/check.h"
#include "base/line.h"
#include "zab/zab_internal.h"

static void say_blank(const struct zab *zab, struct line *line);
static void say_no_leader(const struct zab *zab, struct line *line);
static void put_ids(const struct zab *zab, const char *what, uint64_t members,
                    struct line *line);

bool zab_learner(const struct zab *zab, size_t index,
                 struct zab_learner *learner)
{
    static const char *const stages[] = {
        [LEARNER_NONE] = "away",           [LEARNER_ASKED] = "asked",
        [LEARNER_PROMISING] = "promising", [LEARNER_SNAP] = "snapshot",
        [LEARNER_STREAM] = "history",      [LEARNER_TAKING_UP] = "taking-up",
        [LEARNER_TAKEN_UP] = "taken-up",   [LEARNER_SYNCED] = "synced",
    };
    const struct zab_peer *peer;

    CHECK(index < zab->peers_count);
    if (index == zab->self || !zab_is_leader(zab)) {
        return false;
    }
    peer = &zab->peers[index];
    *learner = (struct zab_learner){
        .id = peer->id,
        .voter = peer->voter,
        .up = peer->up[PEER_LINK_LEARNER],
        .synced = (zab_synced_learners(zab) & zab_bit(index)) != 0,
        .stage = stages[peer->stage],
        .sent = peer->sent,
        .acked = peer->window,
        .ticks_silent = zab->ticks - peer->heard,
    };
    return true;
}

const struct zab_counts *zab_counts(const struct zab *zab)
{
    return &zab->counts;
}

void zab_waiting(const struct zab *zab, char *text, size_t size)
{
    bool is_voter = zab->peers[zab->self].voter;
    struct line line = {.size = size};

    CHECK(size > 0);
    text[0] = '\0';
    line.text = text;
    if (zab->role != ZAB_LOOKING) {
        return;
    }
    if (zab->phase == ZAB_PHASE_DAMAGED) {
        line_put(&line, "its data are damaged");
    } else if (zab->leader_id == zab->config.self_id) {
        line_put(&line, "elected, and waits for a quorum to follow (%s)",
                 zab_phase_name(zab));
    } else if (zab->leader_id != 0) {
        line_put(&line, "server %" PRIu64 " is to bring it up to date (%s)",
                 zab->leader_id, zab_phase_name(zab));
    } else if (is_voter && !zab_voting(zab)) {
        say_blank(zab, &line);
    } else {
        say_no_leader(zab, &line);
    }
}

enum about { NO_LINK, NO_VOTE, HAS_DATA };

/* Other voters; of what they say only what has come counts. */
static uint64_t voters_that(const struct zab *zab, enum about about)
{
    uint64_t found = 0;

    for (size_t i = 0; i < zab->peers_count; i++) {
        const struct zab_peer *peer = &zab->peers[i];
        bool is = false;

        if (i == zab->self || !peer->voter) {
            continue;
        }
        switch (about) {
            case NO_LINK:
                is = !peer->up[PEER_LINK_ELECTION];
                break;
            case NO_VOTE:
                is = peer->known && peer->vote.candidate == 0;
                break;
            case HAS_DATA:
                is = peer->known && !peer->no_log;
                break;
        }
        found |= is ? zab_bit(i) : 0;
    }
    return found;
}

static void put_ids(const struct zab *zab, const char *what, uint64_t members,
                    struct line *line)
{
    const char *before = what;

    for (size_t i = 0; i < zab->peers_count; i++) {
        if ((members & zab_bit(i)) != 0) {
            line_put(line, "%s%" PRIu64, before, zab->peers[i].id);
            before = ", ";
        }
    }
}

/* It has no vote. */
static void say_blank(const struct zab *zab, struct line *line)
{
    uint64_t no_link = voters_that(zab, NO_LINK);

    if (zab->recovering || zab->logged != 0) {
        line_put(line, "without its data it waits for a leader to copy from");
        put_ids(zab, "; without a vote too: ", voters_that(zab, NO_VOTE), line);
    } else if (voters_that(zab, HAS_DATA) != 0) {
        line_put(line, "empty, it waits for a leader to copy from");
        put_ids(zab, "; not empty: ", voters_that(zab, HAS_DATA), line);
    } else {
        line_put(line, "empty, it waits for all voters, or for a leader");
    }
    put_ids(zab, "; no link to: ", no_link, line);
}

static void say_no_leader(const struct zab *zab, struct line *line)
{
    uint64_t no_link = voters_that(zab, NO_LINK);
    uint64_t no_vote = voters_that(zab, NO_VOTE);
    uint64_t all = zab->peers_count == QUORUM_MEMBERS_MAX
                       ? UINT64_MAX
                       : zab_bit(zab->peers_count) - 1;

    if (!quorum_holds(&zab->quorum, all & ~no_link)) {
        line_put(line, "no quorum of the voters is connected");
    } else if (!quorum_holds(&zab->quorum, all & ~no_link & ~no_vote)) {
        line_put(line, "no quorum of the voters has its data");
    } else {
        line_put(line, "no leader is elected yet");
    }
    put_ids(zab, "; without a vote: ", no_vote, line);
    put_ids(zab, "; no link to: ", no_link, line);
}
