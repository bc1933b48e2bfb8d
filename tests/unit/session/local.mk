if UNIT_TESTS
check_PROGRAMS += tests/unit-session
TESTS += tests/unit-session
tests_unit_session_SOURCES = \
	tests/unit/session/test_auth.c \
	tests/unit/session/test_expiry.c \
	tests/unit/session/test_order.c \
	tests/unit/session/test_table.c
tests_unit_session_CFLAGS = $(test_cflags)
tests_unit_session_LDADD = $(session_libs) $(unit_libs)
endif
