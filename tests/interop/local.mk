EXTRA_DIST += tests/interop/test_smoke.py
