#!/usr/bin/python3
"""A server that was away comes back: how long it takes, and what it costs the
others meanwhile; Corral against Apache ZooKeeper in one run.

    bench/catchup.py [behind] [empty] [dead]

behind  a follower was down for 200,000 writes, to a thousand keys and to two
        hundred thousand (Apache sends the whole tree, so its size matters):
        seconds from its start until it has them.
empty   a server with an emptied directory takes a tree of 1 GB (a million
        znodes of 1,000 bytes) while the others serve 2,000 writes a second:
        seconds, and the p99 of the writes meanwhile. The two ensembles one
        after the other: 10 GB of memory, 30 GB of disk.
dead    a follower is killed, frozen, or cut off without a word (its own network
        namespace): CPU of the others for each write and p99, against whole
        ensembles, alternately.

Needs CORRALD and CORRAL_BENCH. Exits 1 when a bar does not hold."""

import argparse
import contextlib
import statistics
import sys

import rig
from rig import (Gap, Table, Verdict, bench, ensemble, kinds, timed,
                 wait_all_in_sync, wait_in_sync)
import netns  # rig knows where it is


def another(e, *those):
    """A follower that is not among those."""
    leader = e.leader()
    return [m for m in e.voters if m is not leader and m not in those][0]


def start_in_sync(e, member):
    member.start()
    wait_in_sync(e, member, 600)


def behind(table, verdict, args):
    for keys in (1000, args.writes):
        one_behind(table, verdict, args, keys)


def one_behind(table, verdict, args, keys):
    seconds = {kind: [] for kind in args.kinds}
    with contextlib.ExitStack() as stack:
        ensembles = {kind: stack.enter_context(ensemble(kind))
                     for kind in args.kinds}
        for _ in range(args.rounds):
            for kind, e in ensembles.items():
                bench(e.servers, 'populate -k %d --keep' % keys)
                wait_all_in_sync(e)
                victim = another(e)
                victim.kill()
                bench([m for m in e.servers if m is not victim],
                      'set -c 10 -d 100 -w 0 -k %d -n %d --keep' % (
                          keys, args.writes))
                seconds[kind].append(timed(start_in_sync, e, victim))
    work = 'a follower that was down for {:,} writes to {:,} keys'.format(
        args.writes, keys)
    ratio = table.row(work, 's from its start until in sync', seconds)
    if ratio is not None:
        verdict.bar('%s: at most half of Apache\'s time: %.2f' % (work, ratio),
                    ratio <= 0.5)


def empty(table, verdict, args):
    figures = {name: {kind: [] for kind in args.kinds}
               for name in ('s', 'calm p99', 'p99', 'max')}
    for kind in args.kinds:
        # initLimit: else an Apache follower gives up before it has all.
        with ensemble(kind, heap='3g', config='initLimit=200\n') as e:
            bench(e.servers, 'populate -k %d -b %d --keep' % (args.znodes,
                                                              args.size))
            wait_all_in_sync(e, 600)
            victim = another(e)
            victim.stop()
            victim.wipe()
            others = [m for m in e.servers if m is not victim]
            load = '-c 20 -d 10 -w 2 -r %d --path /load' % args.rate
            calm = bench(others, 'set --keep ' + load, seconds=args.seconds)
            with Gap(others, load) as gap:
                figures['s'][kind].append(timed(start_in_sync, e, victim))
                result = gap.finish()
            figures['calm p99'][kind].append(calm['latency_us']['p99'] / 1e3)
            for name in ('p99', 'max'):
                figures[name][kind].append(result['latency_us'][name] / 1e3)
            if kind == 'corral':
                wrong = rig.wrongs(result)
                verdict.bar('empty: nothing lost, none expired%s' % ''.join(
                    ': ' + w for w in wrong), not wrong)
    work = 'an emptied server takes {:,} znodes of {:,} B'.format(
        args.znodes, args.size)
    table.row(work, 's from its start until in sync', figures['s'])
    meanwhile = '{:,} set/s'.format(args.rate)
    table.row(meanwhile + ' before it', 'p99 ms', figures['calm p99'])
    ratio = table.row(meanwhile + ' meanwhile', 'p99 ms', figures['p99'])
    table.row(meanwhile + ' meanwhile', 'max ms', figures['max'])
    if ratio is not None:
        verdict.bar('empty: p99 at most half of Apache\'s: %.2f' % ratio,
                    ratio <= 0.5)


class Faults:
    """Of one follower, and how they end."""

    def __init__(self, e, network):
        self.e = e
        self.network = network

    def begin(self, name, victim):
        if name == 'killed':
            victim.kill()
        elif name == 'frozen':
            victim.pause()
        else:
            self.network.block(self.network.isolated(
                self.e.servers.index(victim)))

    def end(self, name, victim):
        if name == 'killed':
            victim.start()
        elif name == 'frozen':
            victim.resume()
        else:
            self.network.block(set())
        wait_in_sync(self.e, victim)


def dead(table, verdict, args):
    """Only Corral: what is compared is Corral with itself."""
    with contextlib.ExitStack() as stack:
        network = None
        if args.namespaces:
            network = stack.enter_context(netns.Network(3))
        e = stack.enter_context(ensemble('corral', network=network))
        faults = Faults(e, network)
        for name in args.faults.split(','):
            if name == 'cut off' and network is None:
                continue
            one_dead(table, verdict, args, e, faults, name)


def one_dead(table, verdict, args, e, faults, name):
    whole, without = [], []
    for _ in range(args.runs):
        victim = another(e)
        others = [m for m in e.servers if m is not victim]
        for results in (whole, without):
            if results is without:
                faults.begin(name, victim)
            results.append(bench(
                others, 'set -c 10 -r %d --keep' % args.rate,
                seconds=args.seconds))
            if results is without:
                faults.end(name, victim)
    for figure, get in (
            ('CPU of the others, us each',
             lambda r: r['server_cpu_us_per_operation']),
            ('p99 us', lambda r: r['latency_us']['p99'])):
        before, after = ([get(r) for r in runs] for runs in (whole, without))
        if args.verbose:
            print(figure, *('%.0f:%.0f' % pair for pair in zip(before, after)))
        # Runs next to each other are compared, for the machine's moods.
        cost = statistics.median(b / a for a, b in zip(before, after))
        table.plain('%d set/s, a follower %s' % (args.rate, name), figure,
                    statistics.median(before), statistics.median(after), cost)
        verdict.bar('a follower %s: %s: at most 1.05 x: %.2f x' % (
            name, figure, cost), cost <= 1.05)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('parts', nargs='*')
    parser.add_argument('--corral-only', action='store_true')
    parser.add_argument('--rounds', type=int, default=3, help='of behind')
    parser.add_argument('--writes', type=int, default=200000, help='of behind')
    parser.add_argument('--znodes', type=int, default=1000000, help='of empty')
    parser.add_argument('--size', type=int, default=1000, help='of empty')
    parser.add_argument('--rate', type=int, default=2000)
    parser.add_argument('--runs', type=int, default=5, help='of dead')
    parser.add_argument('--seconds', type=float, default=10)
    parser.add_argument('--faults', default='killed,frozen,cut off',
                        help='of dead')
    parser.add_argument('--verbose', action='store_true')
    args = parser.parse_args()
    parts = args.parts or ['behind', 'empty', 'dead']
    known = {'behind': behind, 'empty': empty, 'dead': dead}
    for part in parts:
        if part not in known:
            parser.error('no such part: ' + part)
    args.namespaces = False
    if 'dead' in parts:
        why = netns.enter()
        args.namespaces = why is None
        if why:
            print('without a follower that is cut off: ' + why)
    args.kinds = kinds(not args.corral_only)
    verdict = Verdict()
    table = Table()
    for part in parts:
        known[part](table, verdict, args)
    return verdict.status()


if __name__ == '__main__':
    sys.exit(main())
