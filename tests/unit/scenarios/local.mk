# Historical bugs, golden traces and the like, over the simulated world.
if UNIT_TESTS
check_PROGRAMS += tests/unit-scenarios
TESTS += tests/unit-scenarios
tests_unit_scenarios_SOURCES = \
	tests/unit/scenarios/scene.c tests/unit/scenarios/scene.h \
	tests/unit/scenarios/test_elections.c \
	tests/unit/scenarios/test_recovery.c \
	tests/unit/scenarios/test_state.c
tests_unit_scenarios_CFLAGS = $(test_cflags)
tests_unit_scenarios_LDADD = $(sim_libs) $(unit_libs)
endif
