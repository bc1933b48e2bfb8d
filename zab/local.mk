noinst_LIBRARIES += zab/libzab.a
zab_libzab_a_SOURCES = \
	zab/boot.c \
	zab/election.c \
	zab/history.c zab/history.h \
	zab/leader.c \
	zab/quorum.c zab/quorum.h \
	zab/text.c \
	zab/zab.c zab/zab.h \
	zab/zab_internal.h
EXTRA_DIST += zab/README
zab_libs = zab/libzab.a $(proto_libs)
