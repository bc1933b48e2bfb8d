/* Places in the protocol that a simulation must have passed to count as one
 * (tests/sim fails when it has not). Counted in struct zab: there are no global
 * variables in here. */
#ifndef CORRAL_ZAB_MARKS_H
#define CORRAL_ZAB_MARKS_H

#define ZAB_MARK_MAP(X)                                                        \
    X(ELECTION_ALL_AGREE, "election: everybody who is up voted the same")      \
    X(ELECTION_WAITED, "election: a quorum, and 100 ms without a better vote") \
    X(ELECTION_JOIN, "election: joined a leader that is there")                \
    X(ELECTION_ROUND_BEHIND, "election: our round was behind")                 \
    X(ELECTION_BLANK, "election: the first of an empty ensemble")              \
    X(ELECTION_NO_VOTE, "election: recovering, no vote")                       \
    X(EPOCH_RACE, "discovery: an epoch that was promised before")              \
    X(LEADER_BEHIND, "discovery: a follower has more: step down")              \
    X(SYNC_DIFF_EMPTY, "sync: nothing is missing")                             \
    X(SYNC_DIFF_MEMORY, "sync: DIFF from memory")                              \
    X(SYNC_DIFF_LOG, "sync: DIFF from the log")                                \
    X(SYNC_TRUNC, "sync: TRUNC")                                               \
    X(SYNC_SNAP, "sync: SNAP")                                                 \
    X(SYNC_COMMIT_BEFORE_UP_TO_DATE,                                           \
      "sync: a commit between NEW_LEADER and UP_TO_DATE")                      \
    X(SYNC_PROPOSE_BEFORE_UP_TO_DATE,                                          \
      "sync: a proposal between NEW_LEADER and UP_TO_DATE")                    \
    X(SNAP_DURING_COMMITS, "snap: proposals went on while it was sent")        \
    X(SNAP_INTERRUPTED, "snap: the link broke in the middle")                  \
    X(TREE_RELOADED, "snap: received whole, the tree loaded anew")             \
    X(LEARNER_SLOW, "broadcast: a learner fell out of the window")             \
    X(LEARNER_SILENT, "broadcast: a learner was dropped for its silence")      \
    X(CHECK_QUORUM, "leader: no quorum heard, stepped down")                   \
    X(OUTVOTED, "leader: a later epoch is established, stepped down")          \
    X(LEADER_SILENT, "follower: nothing heard from the leader")                \
    X(BARRIER_BY_PING, "barrier: confirmed by a round")                        \
    X(BARRIER_BY_ACK, "barrier: confirmed by a later proposal's acks")         \
    X(BARRIER_VOID, "barrier: void, leadership ended")                         \
    X(EPOCH_IN_PLACE_COUNTER, "epoch changed in place: the counter's end")     \
    X(EPOCH_IN_PLACE_VOTER, "epoch changed in place: for a voter")             \
    X(OBSERVER_INFORMED, "observer: informed")                                 \
    X(RESIGNED, "leader: handed over")                                         \
    X(SUCCESSOR, "follower: was named successor")                              \
    X(DIVERGED, "learner: its tree was not the leader's")                      \
    X(COMMITTED_AHEAD, "learner: committed before it was on our disk")         \
    X(UNCOMMITTED_TAIL_KEPT, "leader: its log's tail became committed")

enum zab_mark {
#define X(name, text) ZAB_MARK_##name,
    ZAB_MARK_MAP(X)
#undef X
        ZAB_MARKS_COUNT
};

#endif
