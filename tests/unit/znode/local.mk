if UNIT_TESTS
check_PROGRAMS += tests/unit-znode
TESTS += tests/unit-znode
tests_unit_znode_SOURCES = \
	tests/unit/znode/fixture.c tests/unit/znode/fixture.h \
	tests/unit/znode/leader.c tests/unit/znode/leader.h \
	tests/unit/znode/test_acl.c \
	tests/unit/znode/test_apply.c \
	tests/unit/znode/test_container.c \
	tests/unit/znode/test_load.c \
	tests/unit/znode/test_memory.c \
	tests/unit/znode/test_model.c \
	tests/unit/znode/test_path.c \
	tests/unit/znode/test_prep.c \
	tests/unit/znode/test_prep_pending.c \
	tests/unit/znode/test_prep_random.c \
	tests/unit/znode/test_quota.c \
	tests/unit/znode/test_tree.c \
	tests/unit/znode/test_watch.c
tests_unit_znode_CFLAGS = $(test_cflags)
tests_unit_znode_LDADD = $(znode_libs) $(unit_libs)
endif
