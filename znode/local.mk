noinst_LIBRARIES += znode/libznode.a
znode_libznode_a_SOURCES = \
	znode/acl.c znode/acl.h \
	znode/acl_table.c znode/acl_table.h \
	znode/apply.c \
	znode/container.c znode/container.h \
	znode/digest.c znode/digest.h \
	znode/dirty.c znode/dirty.h \
	znode/ephemeral.c znode/ephemeral.h \
	znode/hash_table.c znode/hash_table.h \
	znode/load.c \
	znode/node.c znode/node.h \
	znode/path.c znode/path.h \
	znode/pending.c znode/pending.h \
	znode/pending_internal.h znode/pending_undo.c \
	znode/prep.c znode/prep.h \
	znode/prep_internal.h znode/prep_multi.c \
	znode/quota.c znode/quota.h \
	znode/quota_text.c znode/quota_text.h \
	znode/tree.c znode/tree.h znode/tree_internal.h \
	znode/watch.c znode/watch.h znode/watch_internal.h \
	znode/watch_store.c \
	znode/watch_walk.c
znode_libs = znode/libznode.a $(proto_libs)

EXTRA_DIST += znode/README
