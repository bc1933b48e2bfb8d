#!/usr/bin/python3
"""Three servers of Corral against three of Apache ZooKeeper, and an observer
of each, alternately in one run: the ensemble rows of docs/bench.md as a
Markdown table.

    bench/three.py [--rounds N] [--seconds S] [--only NAME[,NAME]] [--bars]

Needs CORRALD and CORRAL_BENCH. Each row is measured --rounds times on each
ensemble, A B A B, and the medians are printed with their ratio. CPU is that of
all servers of an ensemble together. Both ensembles run all the time: idle they
cost next to nothing."""

import argparse
import contextlib
import statistics
import sys

from rig import Table, Verdict, bench, ensemble, kinds

# name, label, arguments, percentiles shown
LOADS = [
    ('set-deep', 'set 100 B, 10 x 100', 'set -c 10 -d 100', ()),
    ('set-leader', 'set 100 B, 1 x 1, to the leader',
     'set -c 1 -d 1 --to leader', ('p50', 'p99')),
    ('set-follower', 'set 100 B, 1 x 1, to a follower',
     'set -c 1 -d 1 --to followers', ('p50', 'p99')),
    ('get-spread', 'get 100 B, 12 x 100, over three servers',
     'get -c 12 -d 100', ()),
    ('get-wide', 'get 100 B, 48 x 1, over three servers',
     'get -c 48 -d 1', ('p50', 'p99')),
    ('mixed', '90 % get, 10 % set, 12 x 10, over three servers',
     'mixed -c 12 -d 10', ('p99',)),
    ('create-deep', 'create 100 B, 10 x 100',
     'create -c 10 -d 100 -k 4000000 -w 1 --keep', ()),
    ('connect', 'connect + close, 12 at a time', 'connect -c 12', ()),
]
OBSERVED = [
    ('observer-get', 'get 100 B, 10 x 100, from an observer',
     'get -c 10 -d 100 --to observers', ()),
    ('observer-set', 'set 100 B, 1 x 1, to an observer',
     'set -c 1 -d 1 --to observers', ('p50', 'p99')),
]


def measure(ensembles, args, name, arguments):
    """{kind: [results]}, alternating."""
    results = {kind: [] for kind in ensembles}
    for number in range(args.rounds):
        for kind, e in ensembles.items():
            extra = ' --path /create-%d' % number \
                if name == 'create-deep' else ''
            results[kind].append(bench(e.servers, arguments + extra,
                                       seconds=args.seconds))
    return results


def each(results, get):
    return {kind: [get(r) for r in runs] for kind, runs in results.items()}


def rows(table, results, label, percentiles):
    """Those of one load; the figures by their name."""
    table.row(label, 'ops/s', each(results, lambda r: r['per_second']),
              better='more')
    table.row(label, 'CPU of all servers, us each', each(
        results, lambda r: r['server_cpu_us_per_operation']))
    for p in percentiles:
        table.row(label, 'latency us, ' + p, each(
            results, lambda r: r['latency_us'][p]))


def loads(table, args, ensembles, which):
    figures = {}
    for name, label, arguments, percentiles in which:
        if args.only and name not in args.only:
            continue
        figures[name] = measure(ensembles, args, name, arguments)
        rows(table, figures[name], label, percentiles)
    return figures


def half_rate(table, args, ensembles, figures):
    """Set at half of what Apache does at most, at fixed times."""
    if args.only and 'half-rate' not in args.only:
        return None
    slowest = 'apache' if 'apache' in ensembles else 'corral'
    runs = figures.get('set-deep', {}).get(slowest) or [
        bench(ensembles[slowest].servers, 'set -c 10 -d 100',
              seconds=args.seconds)]
    rate = statistics.median(r['per_second'] for r in runs) / 2
    results = measure(ensembles, args, 'half-rate', 'set -c 12 -r %d' % rate)
    label = 'set 100 B at %d /s (half of Apache\'s most)' % rate
    for p in ('p50', 'p99', 'p999'):
        table.row(label, 'latency us, ' + p,
                  each(results, lambda r: r['latency_us'][p]))
    table.row(label, 'CPU of all servers, us each', each(
        results, lambda r: r['server_cpu_us_per_operation']))
    return results


def started(stack, args, observers):
    ensembles = {}
    for kind in kinds(not args.corral_only):
        ensembles[kind] = stack.enter_context(
            ensemble(kind, observers=observers))
        # The JVM compiles what it does often.
        for work in ('set', 'get'):
            bench(ensembles[kind].servers, work + ' -c 10 -d 100',
                  seconds=args.warm, warmup=0)
    return ensembles


def bars(figures):
    verdict = Verdict()
    if 'set-deep' in figures:
        cpu = statistics.median(each(
            figures['set-deep'],
            lambda r: r['server_cpu_us_per_operation'])['corral'])
        verdict.bar('set 10 x 100: CPU of all servers <= 12 us: %.1f' % cpu,
                    cpu <= 12)
    for name in ('set-leader', 'set-follower'):
        if name not in figures or 'apache' not in figures[name]:
            continue
        p50 = {kind: statistics.median(values) for kind, values in each(
            figures[name], lambda r: r['latency_us']['p50']).items()}
        verdict.bar('%s: p50 <= 0.75 x Apache\'s: %.0f of %.0f us' % (
            name, p50['corral'], p50['apache']),
            p50['corral'] <= 0.75 * p50['apache'])
    return verdict.status()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--seconds', type=float, default=5)
    parser.add_argument('--warm', type=float, default=10)
    parser.add_argument('--only', type=lambda s: s.split(','), default=None)
    parser.add_argument('--corral-only', action='store_true')
    parser.add_argument('--bars', action='store_true',
                        help='exit 1 when one does not hold')
    args = parser.parse_args()
    table = Table()
    figures = {}
    for which, observers in ((LOADS, 0), (OBSERVED, 1)):
        wanted = [w[0] for w in which] + ['half-rate'] * (not observers)
        if args.only and not set(args.only) & set(wanted):
            continue
        with contextlib.ExitStack() as stack:
            ensembles = started(stack, args, observers)
            figures.update(loads(table, args, ensembles, which))
            if not observers:
                half_rate(table, args, ensembles, figures)
    status = bars(figures)
    return status if args.bars else 0


if __name__ == '__main__':
    sys.exit(main())
