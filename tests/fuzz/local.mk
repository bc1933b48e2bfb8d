# Each target is one file and two programs, tests/fuzz-NAME with libFuzzer and
# tests/unit-fuzz-NAME for make check: see fuzz.h.
fuzz_replay = tests/fuzz/fuzz.h tests/fuzz/fuzz_replay.c
fuzz_libfuzzer = tests/fuzz/fuzz.h tests/fuzz/fuzz_corpus.c
fuzz_ldflags = $(AM_LDFLAGS) -fsanitize=fuzzer

fuzz_frame_sources = tests/fuzz/fuzz_frame.c \
	tests/support/client_vectors.c tests/support/client_vectors.h
fuzz_client_request_sources = tests/fuzz/fuzz_client_request.c \
	tests/support/client_equal.c \
	tests/support/client_samples.c tests/support/client_samples.h
fuzz_client_reply_sources = tests/fuzz/fuzz_client_reply.c \
	tests/support/client_equal.c \
	tests/support/client_samples.c tests/support/client_samples.h \
	tests/support/client_vectors.c tests/support/client_vectors.h
fuzz_disk_record_sources = tests/fuzz/fuzz_disk_record.c \
	tests/support/disk_samples.c tests/support/disk_samples.h
fuzz_config_sources = tests/fuzz/fuzz_config.c
fuzz_path_sources = tests/fuzz/fuzz_path.c
fuzz_peer_sources = tests/fuzz/fuzz_peer.c \
	tests/support/peer_samples.c tests/support/peer_samples.h
fuzz_hello_sources = tests/fuzz/fuzz_hello.c
fuzz_config_libs = server/libserver.a proto/libproto.a $(base_libs)

if UNIT_TESTS
fuzz_replays = tests/unit-fuzz-frame tests/unit-fuzz-client-request \
	tests/unit-fuzz-client-reply tests/unit-fuzz-disk-record \
	tests/unit-fuzz-config tests/unit-fuzz-path tests/unit-fuzz-peer \
	tests/unit-fuzz-hello
check_PROGRAMS += $(fuzz_replays)
TESTS += $(fuzz_replays)
tests_unit_fuzz_frame_SOURCES = $(fuzz_frame_sources) $(fuzz_replay)
tests_unit_fuzz_frame_CFLAGS = $(test_cflags)
tests_unit_fuzz_frame_LDADD = $(proto_libs)
tests_unit_fuzz_client_request_SOURCES = $(fuzz_client_request_sources) \
	$(fuzz_replay)
tests_unit_fuzz_client_request_CFLAGS = $(test_cflags)
tests_unit_fuzz_client_request_LDADD = $(proto_libs)
tests_unit_fuzz_client_reply_SOURCES = $(fuzz_client_reply_sources) \
	$(fuzz_replay)
tests_unit_fuzz_client_reply_CFLAGS = $(test_cflags)
tests_unit_fuzz_client_reply_LDADD = $(proto_libs)
tests_unit_fuzz_disk_record_SOURCES = $(fuzz_disk_record_sources) \
	$(fuzz_replay)
tests_unit_fuzz_disk_record_CFLAGS = $(test_cflags)
tests_unit_fuzz_disk_record_LDADD = $(proto_libs)
tests_unit_fuzz_config_SOURCES = $(fuzz_config_sources) $(fuzz_replay)
tests_unit_fuzz_config_CFLAGS = $(test_cflags)
tests_unit_fuzz_config_LDADD = $(fuzz_config_libs)
tests_unit_fuzz_path_SOURCES = $(fuzz_path_sources) $(fuzz_replay)
tests_unit_fuzz_path_CFLAGS = $(test_cflags)
tests_unit_fuzz_path_LDADD = $(znode_libs)
tests_unit_fuzz_peer_SOURCES = $(fuzz_peer_sources) $(fuzz_replay)
tests_unit_fuzz_peer_CFLAGS = $(test_cflags)
tests_unit_fuzz_peer_LDADD = $(proto_libs)
tests_unit_fuzz_hello_SOURCES = $(fuzz_hello_sources) $(fuzz_replay)
tests_unit_fuzz_hello_CFLAGS = $(test_cflags)
tests_unit_fuzz_hello_LDADD = $(proto_libs)
endif

if FUZZ
fuzz_programs += tests/fuzz-frame tests/fuzz-client-request \
	tests/fuzz-client-reply tests/fuzz-disk-record tests/fuzz-config \
	tests/fuzz-path tests/fuzz-peer tests/fuzz-hello
EXTRA_PROGRAMS += $(fuzz_programs)
tests_fuzz_frame_SOURCES = $(fuzz_frame_sources) $(fuzz_libfuzzer)
tests_fuzz_frame_CFLAGS = $(test_cflags)
tests_fuzz_frame_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_frame_LDADD = $(proto_libs)
tests_fuzz_client_request_SOURCES = $(fuzz_client_request_sources) \
	$(fuzz_libfuzzer)
tests_fuzz_client_request_CFLAGS = $(test_cflags)
tests_fuzz_client_request_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_client_request_LDADD = $(proto_libs)
tests_fuzz_client_reply_SOURCES = $(fuzz_client_reply_sources) \
	$(fuzz_libfuzzer)
tests_fuzz_client_reply_CFLAGS = $(test_cflags)
tests_fuzz_client_reply_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_client_reply_LDADD = $(proto_libs)
tests_fuzz_disk_record_SOURCES = $(fuzz_disk_record_sources) \
	$(fuzz_libfuzzer)
tests_fuzz_disk_record_CFLAGS = $(test_cflags)
tests_fuzz_disk_record_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_disk_record_LDADD = $(proto_libs)
tests_fuzz_config_SOURCES = $(fuzz_config_sources) $(fuzz_libfuzzer)
tests_fuzz_config_CFLAGS = $(test_cflags)
tests_fuzz_config_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_config_LDADD = $(fuzz_config_libs)
tests_fuzz_path_SOURCES = $(fuzz_path_sources) $(fuzz_libfuzzer)
tests_fuzz_path_CFLAGS = $(test_cflags)
tests_fuzz_path_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_path_LDADD = $(znode_libs)
tests_fuzz_peer_SOURCES = $(fuzz_peer_sources) $(fuzz_libfuzzer)
tests_fuzz_peer_CFLAGS = $(test_cflags)
tests_fuzz_peer_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_peer_LDADD = $(proto_libs)
tests_fuzz_hello_SOURCES = $(fuzz_hello_sources) $(fuzz_libfuzzer)
tests_fuzz_hello_CFLAGS = $(test_cflags)
tests_fuzz_hello_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_hello_LDADD = $(proto_libs)
endif
