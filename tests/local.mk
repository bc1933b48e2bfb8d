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
include $(srcdir)/tests/sim/local.mk
include $(srcdir)/tests/unit/sim/local.mk
include $(srcdir)/tests/unit/scenarios/local.mk
include $(srcdir)/tests/threads/local.mk
include $(srcdir)/tests/fuzz/local.mk
include $(srcdir)/tests/support/local.mk
include $(srcdir)/tests/interop/local.mk
include $(srcdir)/tests/lint/local.mk

# Everything that a test run needs, and the lists that runtests walks.
check-programs: $(check_PROGRAMS) tests/shim.so
print-unit-tests:
	@echo $(filter tests/unit-%,$(check_PROGRAMS))
print-fuzz-targets:
	@echo $(fuzz_programs)
fuzz-targets: $(fuzz_programs)
.PHONY: check-programs print-unit-tests print-fuzz-targets fuzz-targets

# Those who judge the chaos runs, judged.
dist_check_SCRIPTS += tests/chaos/test_checkers.py
TESTS += tests/chaos/test_checkers.py

EXTRA_DIST += \
	bench/catchup.py \
	bench/compare.py \
	bench/failover.py \
	bench/moved.py \
	bench/rig.py \
	bench/three.py \
	tests/chaos/bitflip.py \
	tests/chaos/chaos.py \
	tests/chaos/checkers.py \
	tests/chaos/checkers_linear.py \
	tests/chaos/checkers_nodes.py \
	tests/chaos/checkers_order.py \
	tests/chaos/checkers_session.py \
	tests/chaos/checkers_watch.py \
	tests/chaos/cluster.py \
	tests/chaos/history.py \
	tests/chaos/history_model.py \
	tests/chaos/load.py \
	tests/chaos/nemesis.py \
	tests/chaos/netns.py \
	tests/chaos/powercut.py \
	tests/chaos/recover.py \
	tests/chaos/shim_disk.py \
	tests/chaos/store_mutants.py \
	tests/chaos/trees.py \
	tests/chaos/workload.py \
	tests/chaos/workload_actors.py \
	tests/chaos/workload_kazoo.py \
	tests/chaos/workload_loop.py \
	tests/interop/apache_server.py \
	tests/interop/corral_server.py \
	tests/interop/differential.py \
	tests/interop/ensemble.py \
	tests/interop/named_tests.py \
	tests/interop/sessions.py \
	tests/interop/java/Client.java \
	tests/interop/test_clients.py \
	tests/interop/test_config.py \
	tests/interop/test_ensemble.py \
	tests/interop/test_hostile.py \
	tests/interop/test_java.py \
	tests/interop/test_links.py \
	tests/interop/test_peer_ports.py \
	tests/interop/test_recipes.py \
	tests/interop/test_rolling.py \
	tests/interop/test_slices.py \
	tests/interop/test_tools.py \
	tests/interop/test_words.py \
	tests/interop/zkwire.py \
	tests/sim/mutants.py \
	tests/lint/tidy.sh \
	tests/support/shim.c \
	tests/support/shim_journal.h
