# Plain programs: Criterion cannot run under the thread sanitizer.
check_PROGRAMS += tests/threads-disk
TESTS += tests/threads-disk
tests_threads_disk_SOURCES = tests/threads/test_disk.c
tests_threads_disk_CFLAGS = $(corral_code_cflags) -Wall -Wextra \
	$(CORRAL_WERROR) $(EVENT_CFLAGS)
tests_threads_disk_LDADD = server/libserver.a $(base_libs) $(EVENT_LIBS) \
	-lpthread

check_PROGRAMS += tests/threads-watchdog
TESTS += tests/threads-watchdog
tests_threads_watchdog_SOURCES = tests/threads/test_watchdog.c
tests_threads_watchdog_CFLAGS = $(corral_code_cflags) -Wall -Wextra \
	$(CORRAL_WERROR)
tests_threads_watchdog_LDADD = server/libserver.a $(base_libs) -lpthread
