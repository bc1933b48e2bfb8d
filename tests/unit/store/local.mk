if UNIT_TESTS
check_PROGRAMS += tests/unit-store
TESTS += tests/unit-store
tests_unit_store_SOURCES = \
	tests/unit/store/store_test.c tests/unit/store/store_test.h \
	tests/unit/store/test_checkpoint.c \
	tests/unit/store/test_damage.c \
	tests/unit/store/test_log.c \
	tests/unit/store/test_open.c \
	tests/unit/store/test_set_aside.c
tests_unit_store_CFLAGS = $(test_cflags)
tests_unit_store_LDADD = $(store_libs) $(unit_libs)
endif
