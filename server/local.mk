noinst_LIBRARIES += server/libserver.a
server_libserver_a_CFLAGS = $(AM_CFLAGS) $(EVENT_CFLAGS)
server_libserver_a_SOURCES = \
	server/admin.c server/admin.h \
	server/admin_dump.c \
	server/admin_info.c \
	server/admin_internal.h \
	server/admin_mntr.c \
	server/admin_peers.c \
	server/admin_quota.c \
	server/admin_stat.c \
	server/boot.c server/boot.h \
	server/config.c server/config.h \
	server/config_ensemble.c \
	server/config_internal.h \
	server/config_keys.c \
	server/config_server.c \
	server/config_text.c \
	server/config_value.c \
	server/disk.c server/disk.h \
	server/loop.c server/loop.h \
	server/net.h \
	server/net_client.c \
	server/net_input.c \
	server/net_internal.h \
	server/net_listen.c \
	server/net_output.c \
	server/net_peer.c server/net_peer.h \
	server/net_word.c \
	server/peer_accept.c \
	server/peer_dial.c \
	server/peer_hello.c \
	server/peer_rival.c \
	server/peer_internal.h \
	server/peer_lines.c \
	server/peer_link.c \
	server/waiting.c server/waiting.h \
	server/watchdog.c server/watchdog.h
server_libs = server/libserver.a $(replica_libs) $(store_libs) \
	$(EVENT_LIBS) -lpthread

bin_PROGRAMS += corrald
corrald_SOURCES = server/main.c
corrald_LDADD = $(server_libs)
EXTRA_DIST += server/README
dist_man_MANS += man/corrald.8
