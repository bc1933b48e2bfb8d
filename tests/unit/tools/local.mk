if UNIT_TESTS
check_PROGRAMS += tests/unit-tools
TESTS += tests/unit-tools
tests_unit_tools_SOURCES = tests/unit/tools/test_hist.c tools/bench_hist.c \
	tools/bench.h
tests_unit_tools_CFLAGS = $(test_cflags) $(EVENT_CFLAGS)
tests_unit_tools_LDADD = $(base_libs) $(unit_libs)
endif
