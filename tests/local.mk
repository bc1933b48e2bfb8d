# One Criterion program per folder: tests/unit-FOLDER, which links its layer and
# those below, so that a call upwards does not link.
unit_libs = $(CRITERION_LIBS)

include $(srcdir)/tests/unit/base/local.mk
include $(srcdir)/tests/unit/proto/local.mk
include $(srcdir)/tests/unit/zab/local.mk
include $(srcdir)/tests/unit/znode/local.mk
include $(srcdir)/tests/unit/session/local.mk
include $(srcdir)/tests/unit/store/local.mk
include $(srcdir)/tests/unit/replica/local.mk
include $(srcdir)/tests/unit/server/local.mk
include $(srcdir)/tests/unit/tools/local.mk
include $(srcdir)/tests/fuzz/local.mk
include $(srcdir)/tests/support/local.mk
include $(srcdir)/tests/interop/local.mk
include $(srcdir)/tests/lint/local.mk
