if UNIT_TESTS
check_PROGRAMS += tests/unit-proto
TESTS += tests/unit-proto
tests_unit_proto_SOURCES = \
	tests/support/client_equal.c \
	tests/support/client_samples.c tests/support/client_samples.h \
	tests/support/client_vectors.c tests/support/client_vectors.h \
	tests/support/disk_samples.c tests/support/disk_samples.h \
	tests/support/peer_samples.c tests/support/peer_samples.h \
	tests/unit/proto/test_address.c \
	tests/unit/proto/test_client_malformed.c \
	tests/unit/proto/test_client_op.c \
	tests/unit/proto/test_client_round_trip.c \
	tests/unit/proto/test_client_vectors.c \
	tests/unit/proto/test_frame.c \
	tests/unit/proto/test_hello.c \
	tests/unit/proto/test_jute.c \
	tests/unit/proto/test_peer.c \
	tests/unit/proto/test_record.c \
	tests/unit/proto/test_text.c \
	tests/unit/proto/test_txn.c
tests_unit_proto_CFLAGS = $(test_cflags)
tests_unit_proto_LDADD = $(proto_libs) $(unit_libs)
endif
