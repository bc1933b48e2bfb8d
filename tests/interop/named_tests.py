"""The tests of a script: its functions whose names begin with "test_". All of
them run, or those that the command line names; each says in one line what came
of it, and a failed one does not keep the next from running."""

import sys
import time
import traceback


class Skip(Exception):
    """The test means nothing here; its text says why."""


def main(script):
    """script: its globals(). Returns the exit status."""
    tests = {name: run for name, run in script.items()
             if name.startswith('test_')}
    wanted = sys.argv[1:] or list(tests)
    unknown = [name for name in wanted if name not in tests]
    if unknown:
        sys.exit('no such test: %s' % ' '.join(unknown))
    failed = 0
    for name in wanted:
        began = time.monotonic()
        try:
            tests[name]()
            print('ok      %s (%.1f s)' % (name, time.monotonic() - began),
                  flush=True)
        except Skip as why:
            print('skipped %s: %s' % (name, why), flush=True)
        except Exception as e:
            failed += 1
            print('FAILED  %s: %s: %s' % (name, type(e).__name__, e),
                  flush=True)
            traceback.print_exc()
    return 1 if failed else 0
