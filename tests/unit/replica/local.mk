if UNIT_TESTS
check_PROGRAMS += tests/unit-replica
TESTS += tests/unit-replica
tests_unit_replica_SOURCES = \
	tests/support/client.c tests/support/client.h \
	tests/support/fake_disk.c tests/support/fake_disk.h \
	tests/unit/replica/peers.c tests/unit/replica/peers.h \
	tests/unit/replica/rig.c tests/unit/replica/rig.h \
	tests/unit/replica/test_bounds.c \
	tests/unit/replica/test_digests.c \
	tests/unit/replica/test_ensemble.c \
	tests/unit/replica/test_expire.c \
	tests/unit/replica/test_forward.c \
	tests/unit/replica/test_guests.c \
	tests/unit/replica/test_handshake.c \
	tests/unit/replica/test_hostile.c \
	tests/unit/replica/test_inspect.c \
	tests/unit/replica/test_learner.c \
	tests/unit/replica/test_limits.c \
	tests/unit/replica/test_linear.c \
	tests/unit/replica/test_members.c \
	tests/unit/replica/test_merge.c \
	tests/unit/replica/test_ops.c \
	tests/unit/replica/test_order.c \
	tests/unit/replica/test_readonly.c \
	tests/unit/replica/test_restart.c \
	tests/unit/replica/test_role.c \
	tests/unit/replica/test_sessions.c \
	tests/unit/replica/test_slices.c \
	tests/unit/replica/test_snap.c \
	tests/unit/replica/test_storm.c \
	tests/unit/replica/test_watches.c \
	tests/unit/replica/trio.c tests/unit/replica/trio.h
tests_unit_replica_CFLAGS = $(test_cflags)
tests_unit_replica_LDADD = $(replica_libs) $(unit_libs)
endif
