noinst_LIBRARIES += store/libstore.a
store_libstore_a_SOURCES = \
	store/beside.c \
	store/checkpoint.c store/checkpoint.h \
	store/checkpoint_copy.c \
	store/checkpoint_read.c \
	store/checkpoint_stage.c \
	store/examine.c \
	store/leveldb_log.c \
	store/leveldb_manifest.c \
	store/leveldb_scan.c store/leveldb_scan.h \
	store/leveldb_table.c \
	store/lock.c store/lock.h \
	store/log.c store/log.h \
	store/log_read.c \
	store/log_scan.c \
	store/log_walk.c store/log_walk.h \
	store/open.c \
	store/reserve.c store/reserve.h \
	store/set_aside.c \
	store/state.c store/state.h \
	store/store.c store/store.h store/store_internal.h \
	store/verify.c store/verify.h \
	store/volume.c store/volume.h
EXTRA_DIST += store/README
store_libs = store/libstore.a $(proto_libs) $(LEVELDB_LIBS)
