noinst_LIBRARIES += session/libsession.a
session_libsession_a_SOURCES = \
	session/auth.c session/auth.h \
	session/expiry.c \
	session/id.c \
	session/order.c session/order.h \
	session/session.h session/session_internal.h \
	session/table.c
session_libsession_a_CFLAGS = $(AM_CFLAGS) $(CRYPTO_CFLAGS)
session_libs = session/libsession.a $(proto_libs) $(CRYPTO_LIBS)
EXTRA_DIST += session/README
