dist_doc_DATA = \
	README.md \
	docs/ARCHITECTURE.md \
	docs/bench.md \
	docs/compat.md \
	docs/configuration.md \
	docs/differences.md \
	docs/disk-format.md \
	docs/ensembles.md \
	docs/operations.md \
	docs/peer-protocol.md \
	docs/plan.md \
	docs/testing.md \
	docs/wire-protocol.md \
	docs/zab.md
