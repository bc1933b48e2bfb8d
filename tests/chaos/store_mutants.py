#!/usr/bin/python3
"""Are the power-cut and corruption tests any good? Each deliberate bug of
store/ (base/mutation.h) is built in and must be found by the test that is named
here.

    store_mutants.py --build DIR [--mutations 13,14,...] [--tries 5]
                     [--limit 60]

DIR is a build directory with corrald, corral-dump and tests/shim.so. For each
mutation the files of store/ that know of it are compiled again and the two
programs linked anew. A try runs the test with one seed after the other until it
finds something, or until so many CPU seconds are used. A mutation counts as
found when the median of its tries is below the limit. With `--mutations day`
one is drawn by the date. Exit status 1: one was not found.
"""
import argparse
import datetime
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
# number: (what must find it, the beginning of its last line when it does)
TESTS = {
    13: (['powercut.py', 'kills', '--count', '20'], 'LOST:'),
    14: (['powercut.py', 'sync-fails'], 'LOST: a failed sync did not end'),
    15: (['powercut.py', 'kills', '--count', '20'], 'LOST:'),
    23: (['bitflip.py', '--part', '10'], 'FAILED:'),
    35: (['powercut.py', 'kills', '--count', '20'], 'LOST:'),
    36: (['powercut.py', 'kills', '--count', '20'], 'LOST:'),
}
PROGRAMS = {'corrald': 'corrald', 'corral_dump': 'corral-dump'}


def sources(number):
    """The files of store/ that know of it."""
    directory = os.path.join(ROOT, 'store')
    found = []
    for name in sorted(os.listdir(directory)):
        path = os.path.join(directory, name)
        if name.endswith('.c'):
            with open(path) as f:
                if 'MUTATION(%d)' % number in f.read():
                    found.append(path)
    if not found:
        raise SystemExit('no mutation %d in store/' % number)
    return found


def make_words(build, words):
    """What the Makefile says, as a list."""
    out = subprocess.run(
        ['make', '-s', '--eval', 'print-words:;@echo %s' % words,
         'print-words'], cwd=build, check=True, stdout=subprocess.PIPE,
        text=True).stdout
    return out.splitlines()[-1].split()  # above it: a Makefile made anew


def build(args, number, directory):
    """Programs with the mutation, in directory."""
    library = os.path.join(directory, 'libstore.a')
    shutil.copy(os.path.join(args.build, 'store/libstore.a'), library)
    compiler = make_words(args.build, '$(COMPILE)')
    for path in sources(number):
        # Of the name that it has in the library, and replaces there.
        made = os.path.join(directory, os.path.basename(path)[:-2] + '.o')
        subprocess.run(compiler + ['-DMUT=%d' % number, '-c', '-o', made, path],
                       cwd=args.build, check=True)
        subprocess.run(['ar', 'r', library, made], check=True,
                       stderr=subprocess.DEVNULL)
    for name, program in PROGRAMS.items():
        words = make_words(args.build, '$(CCLD) $(AM_CFLAGS) $(CFLAGS) '
                           '$(AM_LDFLAGS) $(LDFLAGS) $(%s_OBJECTS) $(%s_LDADD) '
                           '$(LIBS)' % (name, name))
        words = [library if w == 'store/libstore.a' else w for w in words]
        subprocess.run(words + ['-o', os.path.join(directory, program)],
                       cwd=args.build, check=True)


def cpu_s():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def one_try(args, number, directory, seed):
    """(CPU seconds, the line that says what was found, or '')"""
    command, beginning = TESTS[number]
    environment = dict(
        os.environ, CORRALD=os.path.join(directory, 'corrald'),
        CORRAL_DUMP=os.path.join(directory, 'corral-dump'),
        SHIM=os.path.join(args.build, 'tests/shim.so'))
    before = cpu_s()
    while True:
        more = ['--seed', str(seed)] if command[0] == 'powercut.py' else []
        run = subprocess.run(
            [sys.executable, os.path.join(ROOT, 'tests/chaos', command[0])] +
            command[1:] + more, env=environment, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors='replace')
        used = cpu_s() - before
        lines = run.stdout.splitlines()
        for line in lines:
            if run.returncode != 0 and line.startswith(beginning):
                return used, line
        if run.returncode != 0:
            print('\n'.join(lines[-20:]))  # of another kind: not it
        if used >= args.limit:
            return used, ''
        seed += 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--build', required=True)
    parser.add_argument('--mutations', default='all')
    parser.add_argument('--tries', type=int, default=5)
    parser.add_argument('--limit', type=float, default=60)
    parser.add_argument('--seed', type=int, default=1000)
    args = parser.parse_args()
    args.build = os.path.abspath(args.build)
    numbers = sorted(TESTS)
    if args.mutations == 'day':
        day = random.Random(datetime.date.today().isoformat())
        numbers = day.sample(numbers, 1)
    elif args.mutations != 'all':
        numbers = [int(n) for n in args.mutations.split(',')]
    missed = []
    for number in numbers:
        with tempfile.TemporaryDirectory(prefix='mutants-') as directory:
            build(args, number, directory)
            tries = [one_try(args, number, directory, args.seed + 100 * i)
                     for i in range(args.tries)]
        found = [t for t in tries if t[1]]
        median = statistics.median(
            t[0] if t[1] else float('inf') for t in tries)
        print('| %d | %d of %d | %s | %s | %s |' % (
            number, len(found), len(tries),
            '%.1f' % median if median < args.limit else '> limit',
            ' '.join(TESTS[number][0][:2]),
            found[0][1][:90] if found else ''), flush=True)
        if median >= args.limit:
            missed.append(number)
    if missed:
        print('not found: %s' % ', '.join(map(str, missed)))
        return 1
    print('all %d found' % len(numbers))
    return 0


if __name__ == '__main__':
    sys.exit(main())
