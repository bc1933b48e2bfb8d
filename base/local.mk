noinst_LIBRARIES += base/libbase.a
base_libbase_a_SOURCES = \
	base/arena.c base/arena.h \
	base/blob.c base/blob.h \
	base/buf.c base/buf.h \
	base/bytes.h \
	base/check.c base/check.h \
	base/clock.c base/clock.h \
	base/crc32c.c base/crc32c.h \
	base/err.c base/err.h \
	base/line.c base/line.h \
	base/list.h \
	base/log.c base/log.h \
	base/map.c base/map.h \
	base/mem.c base/mem.h \
	base/mutation.h \
	base/prng.c base/prng.h \
	base/ring.c base/ring.h \
	base/slice.h
base_libs = base/libbase.a
EXTRA_DIST += base/README
