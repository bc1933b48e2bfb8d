# The simulator: corral-sim runs seeds. What is compared with it (clients,
# checkers) and what it is made of share one library.
check_LIBRARIES += tests/sim/libsim.a
tests_sim_libsim_a_SOURCES = \
	tests/sim/checker.c tests/sim/checker.h tests/sim/checker_internal.h \
	tests/sim/checker_linear.c \
	tests/sim/checker_log.c \
	tests/sim/checker_peer.c \
	tests/sim/checker_session.c \
	tests/sim/checker_watches.c \
	tests/sim/client.c tests/sim/client.h tests/sim/client_internal.h \
	tests/sim/client_take.c \
	tests/sim/client_text.c \
	tests/sim/client_work.c \
	tests/sim/disk.c \
	tests/sim/faults.c \
	tests/sim/model.c tests/sim/model.h \
	tests/sim/net.c \
	tests/sim/packet.c \
	tests/sim/platter.c tests/sim/platter.h \
	tests/sim/runs.c tests/sim/runs.h \
	tests/sim/server.c \
	tests/sim/sim.c tests/sim/sim.h tests/sim/sim_internal.h \
	tests/sim/trace.c \
	tests/sim/wire.c
sim_libs = tests/sim/libsim.a $(replica_libs)

check_PROGRAMS += tests/corral-sim
tests_corral_sim_SOURCES = \
	tests/sim/forked.c tests/sim/forked.h \
	tests/sim/main.c \
	tests/sim/shrink.c
tests_corral_sim_LDFLAGS = $(AM_LDFLAGS) -rdynamic
tests_corral_sim_LDADD = $(sim_libs)
TESTS += tests/sim/seeds.sh
dist_check_SCRIPTS += tests/sim/seeds.sh

# Every order of events in a small world, without replica/. exhaust_region.c
# stands in for base/mem.c, which is not taken out of its archive then.
check_PROGRAMS += tests/exhaust
TESTS += tests/exhaust
tests_exhaust_SOURCES = \
	tests/sim/exhaust.c tests/sim/exhaust.h \
	tests/sim/exhaust_disk.c tests/sim/exhaust_disk.h \
	tests/sim/exhaust_region.c tests/sim/exhaust_region.h \
	tests/sim/exhaust_server.c \
	tests/sim/exhaust_table.c tests/sim/exhaust_table.h \
	tests/sim/exhaust_world.c
tests_exhaust_LDADD = $(zab_libs)
