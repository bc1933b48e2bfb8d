# The world of tests/sim is left out of the library that this links: rig.c
# stands in for it.
if UNIT_TESTS
check_PROGRAMS += tests/unit-sim
TESTS += tests/unit-sim
tests_unit_sim_SOURCES = \
	tests/unit/sim/rig.c tests/unit/sim/rig.h \
	tests/unit/sim/test_checkers.c \
	tests/unit/sim/test_clients.c \
	tests/unit/sim/test_model.c
tests_unit_sim_CFLAGS = $(test_cflags)
tests_unit_sim_LDADD = $(sim_libs) $(unit_libs)
endif
