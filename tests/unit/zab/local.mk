if UNIT_TESTS
check_PROGRAMS += tests/unit-zab
TESTS += tests/unit-zab
tests_unit_zab_SOURCES = \
	tests/support/fake_disk.c tests/support/fake_disk.h \
	tests/unit/zab/alone.c tests/unit/zab/alone.h \
	tests/unit/zab/net.c tests/unit/zab/net.h \
	tests/unit/zab/net_effects.c tests/unit/zab/net_internal.h \
	tests/unit/zab/net_links.c \
	tests/unit/zab/pupil.c tests/unit/zab/pupil.h \
	tests/unit/zab/rig.c tests/unit/zab/rig.h \
	tests/unit/zab/test_barrier.c \
	tests/unit/zab/test_boot.c \
	tests/unit/zab/test_discovery.c \
	tests/unit/zab/test_election.c \
	tests/unit/zab/test_follower.c \
	tests/unit/zab/test_history.c \
	tests/unit/zab/test_hostile.c \
	tests/unit/zab/test_leader.c \
	tests/unit/zab/test_learner.c \
	tests/unit/zab/test_links.c \
	tests/unit/zab/test_net.c \
	tests/unit/zab/test_paper.c \
	tests/unit/zab/test_paper_order.c \
	tests/unit/zab/test_quorum.c \
	tests/unit/zab/test_sync_leader.c \
	tests/unit/zab/test_sync_learner.c \
	tests/unit/zab/test_text.c \
	tests/unit/zab/test_zab.c \
	tests/unit/zab/weather.c tests/unit/zab/weather.h
tests_unit_zab_CFLAGS = $(test_cflags)
tests_unit_zab_LDADD = $(zab_libs) $(unit_libs)
endif
