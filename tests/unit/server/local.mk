# The sockets over a loop of the test's own: a program to itself, because it
# defines what loop.c, admin.c and config.c define otherwise.
if UNIT_TESTS
check_PROGRAMS += tests/unit-server-net
TESTS += tests/unit-server-net
tests_unit_server_net_SOURCES = \
	tests/unit/server/net_rig.c tests/unit/server/net_rig.h \
	tests/unit/server/test_net.c
tests_unit_server_net_CFLAGS = $(test_cflags) $(EVENT_CFLAGS)
tests_unit_server_net_LDADD = server/libserver.a proto/libproto.a \
	$(base_libs) $(EVENT_LIBS) $(unit_libs)
endif

# The links between servers, likewise.
if UNIT_TESTS
check_PROGRAMS += tests/unit-server-peer
TESTS += tests/unit-server-peer
tests_unit_server_peer_SOURCES = \
	tests/unit/server/peer_rig.c tests/unit/server/peer_rig.h \
	tests/unit/server/test_net_peer.c \
	tests/unit/server/test_net_peer_hello.c
tests_unit_server_peer_CFLAGS = $(test_cflags) $(EVENT_CFLAGS)
tests_unit_server_peer_LDADD = server/libserver.a $(proto_libs) \
	$(EVENT_LIBS) $(unit_libs)
endif

# The zoo.cfg, and the words over a server that the test plays.
if UNIT_TESTS
check_PROGRAMS += tests/unit-server
TESTS += tests/unit-server
tests_unit_server_SOURCES = \
	tests/unit/server/test_admin.c \
	tests/unit/server/config_rig.c tests/unit/server/config_rig.h \
	tests/unit/server/test_config.c \
	tests/unit/server/test_config_ensemble.c
tests_unit_server_CFLAGS = $(test_cflags)
tests_unit_server_LDADD = server/libserver.a proto/libproto.a $(base_libs) \
	$(unit_libs)
endif
