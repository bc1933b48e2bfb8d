# The preload library of the power-cut tests.
tests/shim.so: tests/support/shim.c tests/support/shim_journal.h
	$(AM_V_CC)$(MKDIR_P) tests && $(CC) -std=c11 -D_GNU_SOURCE -O2 -Wall \
	-Wextra -shared -fPIC -o $@ $(srcdir)/tests/support/shim.c -ldl -lpthread
CLEANFILES += tests/shim.so
