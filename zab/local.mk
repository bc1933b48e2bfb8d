noinst_LIBRARIES += zab/libzab.a
zab_libzab_a_SOURCES = \
	zab/act.c \
	zab/barrier.c \
	zab/boot.c \
	zab/discovery.c \
	zab/election.c \
	zab/follower.c \
	zab/history.c zab/history.h \
	zab/invariants.c \
	zab/leader.c \
	zab/learner.c \
	zab/marks.h \
	zab/quorum.c zab/quorum.h \
	zab/sync_leader.c \
	zab/sync_learner.c \
	zab/text.c \
	zab/view.c \
	zab/zab.c zab/zab.h \
	zab/zab_internal.h
EXTRA_DIST += zab/README
zab_libs = zab/libzab.a $(proto_libs)
