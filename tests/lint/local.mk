dist_noinst_SCRIPTS = \
	tests/lint/docs.sh \
	tests/lint/format.sh \
	tests/lint/layers.sh \
	tests/lint/purity.sh \
	tests/lint/size.sh \
	tests/lint/tables.sh
EXTRA_DIST += scripts/common.sh scripts/packages

# make lint: what make check does before the unit tests.
lint:
	$(srcdir)/tests/lint/layers.sh $(srcdir)
	$(srcdir)/tests/lint/size.sh $(srcdir)
	$(srcdir)/tests/lint/tables.sh $(srcdir)
	$(srcdir)/tests/lint/docs.sh $(srcdir)
	$(srcdir)/tests/lint/purity.sh $(builddir)
check-local: lint
.PHONY: lint
