EXTRA_DIST += tests/interop/test_smoke.py
EXTRA_DIST += tests/interop/test_quickstart.py
