noinst_LIBRARIES += proto/libproto.a
proto_libproto_a_SOURCES = \
	proto/address.c proto/address.h \
	proto/client.c proto/client.h \
	proto/client_decode.c \
	proto/client_encode.c \
	proto/client_op.c proto/client_op.h \
	proto/client_records.def proto/client_records.h \
	proto/frame.c proto/frame.h \
	proto/hello.c proto/hello.h \
	proto/jute.c proto/jute.h \
	proto/pb.c proto/pb.h \
	proto/peer.c proto/peer.h \
	proto/peer_body.c proto/peer_body.h \
	proto/peer_text.c \
	proto/record.c proto/record.h \
	proto/store_op.h \
	proto/text.c proto/text.h \
	proto/txn.c proto/txn.h \
	proto/zxid.h

# protoc-c's output: an archive of its own, so that the strict warnings are for
# our code only.
noinst_LIBRARIES += proto/libpb.a
nodist_proto_libpb_a_SOURCES = proto/peer.pb-c.c proto/peer.pb-c.h \
	proto/record.pb-c.c proto/record.pb-c.h
proto_libpb_a_CFLAGS = $(corral_code_cflags)
BUILT_SOURCES += proto/peer.pb-c.h proto/record.pb-c.h
CLEANFILES += proto/peer.pb-c.c proto/peer.pb-c.h \
	proto/record.pb-c.c proto/record.pb-c.h
EXTRA_DIST += proto/peer.proto proto/record.proto

proto/peer.pb-c.c: proto/peer.proto
	$(AM_V_GEN)$(MKDIR_P) proto && \
	$(PROTOC_C) --proto_path=$(srcdir) --c_out=. proto/peer.proto
proto/record.pb-c.c: proto/record.proto
	$(AM_V_GEN)$(MKDIR_P) proto && \
	$(PROTOC_C) --proto_path=$(srcdir) --c_out=. proto/record.proto
# Made by the same run; a lost one is made anew.
proto/peer.pb-c.h: proto/peer.pb-c.c
	@test -f $@ || { rm -f proto/peer.pb-c.c && \
	$(MAKE) $(AM_MAKEFLAGS) proto/peer.pb-c.c; }
proto/record.pb-c.h: proto/record.pb-c.c
	@test -f $@ || { rm -f proto/record.pb-c.c && \
	$(MAKE) $(AM_MAKEFLAGS) proto/record.pb-c.c; }
proto/hello.$(OBJEXT) proto/peer.$(OBJEXT) proto/peer_body.$(OBJEXT): \
	proto/peer.pb-c.h
proto/pb.$(OBJEXT) proto/record.$(OBJEXT) proto/txn.$(OBJEXT): \
	proto/record.pb-c.h

proto_libs = proto/libproto.a proto/libpb.a $(base_libs) $(PROTOBUF_C_LIBS)
EXTRA_DIST += proto/README
