#!/usr/bin/env python3
"""Is the simulator any good? Each deliberate bug (base/mutation.h) is built in
and must be found.

    mutants.py --build DIR [--mutations 1,2,...] [--tries 10] [--limit 60]

DIR is a build directory with tests/corral-sim. For each mutation the files that
know of it are compiled again, linked with the rest, and run from so many seeds;
each try ends with the first finding or after so many CPU seconds. A mutation
counts as found when the median of its tries is below the limit. With
`--mutations day` three are drawn by the date. Exit status 1: one was not found.
"""
import argparse
import datetime
import os
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
FOLDERS = ['zab', 'znode', 'session', 'replica', 'tests/sim']
LIBRARIES = ['tests/sim/libsim.a', 'replica/libreplica.a', 'zab/libzab.a',
             'znode/libznode.a', 'session/libsession.a', 'proto/libproto.a',
             'proto/libpb.a',
             'base/libbase.a']
# Found by the power-cut and corruption tests over the real store/.
OF_THE_STORE = {13, 14, 15, 23}
FOUND = {127: 'crash', 128: 'liveness', 129: 'correctness'}


def sources():
    """{number: files that know of it}"""
    known = {}
    for folder in FOLDERS:
        directory = os.path.join(ROOT, folder)
        for name in sorted(os.listdir(directory)):
            if not name.endswith('.c'):
                continue
            path = os.path.join(directory, name)
            with open(path) as f:
                for number in re.findall(r'MUTATION\((\d+)\)', f.read()):
                    known.setdefault(int(number), set()).add(path)
    return known


def build(args, number, files, directory):
    program = os.path.join(directory, 'corral-sim-%d' % number)
    main = [os.path.join(ROOT, 'tests/sim', f)
            for f in ('main.c', 'forked.c', 'shrink.c')]
    libraries = [os.path.join(args.build, f) for f in LIBRARIES]
    subprocess.run(
        [args.cc, '-std=c11', '-O2', '-D_GNU_SOURCE', '-DMUT=%d' % number,
         '-I' + ROOT, '-I' + args.build, '-rdynamic', '-o', program] + main +
        sorted(files) + ['-Wl,--start-group'] + libraries +
        ['-Wl,--end-group', '-lprotobuf-c', '-lcrypto', '-lm'], check=True)
    return program


def cpu_s():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def one_try(args, program, seed):
    """(CPU seconds, what was found or None, the line that says it)"""
    before = cpu_s()
    run = subprocess.run(
        [program, '--seed', str(seed), '--minutes', '%g' % (args.limit / 60)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors='replace')
    lines = run.stdout.splitlines()
    line = ''
    for at, text in enumerate(lines):
        if text.startswith('to replay:') and at > 0:
            line = lines[at - 1].strip()
            break
    return cpu_s() - before, FOUND.get(run.returncode), line


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--build', required=True)
    parser.add_argument('--cc', default='gcc')
    parser.add_argument('--mutations', default='all')
    parser.add_argument('--tries', type=int, default=10)
    parser.add_argument('--limit', type=float, default=60)
    parser.add_argument('--seed', type=int, default=1000000)
    args = parser.parse_args()
    args.build = os.path.abspath(args.build)
    known = sources()
    numbers = sorted(set(known) - OF_THE_STORE)
    if args.mutations == 'day':
        day = random.Random(datetime.date.today().isoformat())
        numbers = sorted(day.sample(numbers, 3))
    elif args.mutations != 'all':
        numbers = [int(n) for n in args.mutations.split(',')]
    missed = []
    with tempfile.TemporaryDirectory(prefix='mutants-') as directory:
        for number in numbers:
            if number not in known:
                raise SystemExit('no mutation %d in the sources' % number)
            program = build(args, number, known[number], directory)
            tries = [one_try(args, program, args.seed + 100000 * i)
                     for i in range(args.tries)]
            os.unlink(program)
            found = [t for t in tries if t[1]]
            median = statistics.median(
                t[0] if t[1] else float('inf') for t in tries)
            kinds = sorted({t[1] for t in found})
            print('| %d | %d of %d | %s | %s | %s |' % (
                number, len(found), len(tries),
                '%.1f' % median if median < args.limit else '> limit',
                ', '.join(kinds), found[0][2][:90] if found else ''),
                flush=True)
            if median >= args.limit:
                missed.append(number)
    if missed:
        print('not found: %s' % ', '.join(map(str, missed)))
        return 1
    print('all %d found' % len(numbers))
    return 0


if __name__ == '__main__':
    sys.exit(main())
