
bin_PROGRAMS += corral-bench
corral_bench_SOURCES = \
	tools/bench.h \
	tools/bench_conn.c \
	tools/bench_gap.c \
	tools/bench_hist.c \
	tools/bench_keys.c \
	tools/bench_report.c \
	tools/bench_run.c \
	tools/bench_servers.c \
	tools/corral_bench.c
corral_bench_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS)
corral_bench_LDADD = $(proto_libs) $(EVENT_LIBS)
dist_man_MANS += man/corral-bench.1

bin_PROGRAMS += corral-dump
corral_dump_SOURCES = tools/corral_dump.c
corral_dump_LDADD = $(store_libs)
dist_man_MANS += man/corral-dump.1
EXTRA_DIST += tools/.clang-tidy
