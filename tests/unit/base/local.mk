if UNIT_TESTS
check_PROGRAMS += tests/unit-base
TESTS += tests/unit-base
tests_unit_base_SOURCES = \
	tests/unit/base/test_bytes.c \
	tests/unit/base/test_line.c \
	tests/unit/base/test_map.c \
	tests/unit/base/test_tools.c
tests_unit_base_CFLAGS = $(test_cflags)
tests_unit_base_LDADD = $(base_libs) $(unit_libs)
endif
