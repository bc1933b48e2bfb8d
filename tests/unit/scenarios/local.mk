# Historical bugs, golden traces and the like, over the simulated world.
if UNIT_TESTS
check_PROGRAMS += tests/unit-scenarios
TESTS += tests/unit-scenarios
tests_unit_scenarios_SOURCES = \
	tests/unit/scenarios/scene.c tests/unit/scenarios/scene.h \
	tests/unit/scenarios/test_elections.c \
	tests/unit/scenarios/test_failover.c \
	tests/unit/scenarios/test_golden.c \
	tests/unit/scenarios/test_recovery.c \
	tests/unit/scenarios/test_state.c
tests_unit_scenarios_CFLAGS = $(test_cflags) \
	-DGOLDEN_DIR='"$(abs_top_srcdir)/tests/unit/scenarios/golden"'
tests_unit_scenarios_LDADD = $(sim_libs) $(unit_libs)
endif
EXTRA_DIST += $(addprefix tests/unit/scenarios/golden/, \
	discovery-leader-lost.trace election.trace epoch-in-place.trace \
	broadcast-leader-lost.trace observer.trace refusal-alone.trace \
	refusal-behind-merged.trace refusal-between.trace resign.trace \
	sync-diff.trace sync-leader-lost.trace sync-snap.trace sync-trunc.trace)
