EXTRA_DIST += \
	docs/wire-protocol.md
