#!/usr/bin/python3
"""corrald against Apache ZooKeeper, alternately in one run: the standalone
rows of docs/bench.md as a Markdown table.

    bench/compare.py [--rounds N] [--seconds S] [--only NAME[,NAME]] [--big]

Needs CORRALD and CORRAL_BENCH. Each row is measured --rounds times on each
server, A B A B, and the medians are printed with their ratio. The million-znode
rows take minutes and run with --big. Absolute figures are this machine's;
ratios and server CPU are what travels.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                '..', 'tests', 'interop'))
import apache_server  # noqa: E402
import corral_server  # noqa: E402

CONFIG = 'tickTime=2000\nmaxClientCnxns=0\n4lw.commands.whitelist=*\n'
MILLION = 1000000


def word(address, text):
    with socket.create_connection(address, 30) as s:
        s.sendall(text.encode())
        return s.makefile('rb').read().decode()


def metric(address, name):
    values = {}
    for line in word(address, 'mntr').splitlines():
        key, _, value = line.partition('\t')
        values[key] = value
    return float(values[name])


def written_bytes(pid):
    with open('/proc/%d/io' % pid) as f:
        for line in f:
            if line.startswith('write_bytes'):
                return int(line.split()[1])
    return 0


def rss(pid):
    with open('/proc/%d/statm' % pid) as f:
        return int(f.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')


def bench(server, arguments, seconds=None):
    command = [os.environ['CORRAL_BENCH'], '-s', '127.0.0.1:%d' % server.port,
               '-p', str(server.pid), '--json', '--no-progress']
    if seconds is not None:
        command += ['-t', str(seconds)]
    syncs = metric(server.address, 'zk_cnt_fsynctime')
    wrote = written_bytes(server.pid)
    done = subprocess.run(command + arguments.split(), check=True,
                          stdout=subprocess.PIPE)
    result = json.loads(done.stdout)
    operations = max(result['operations'], 1)
    result['syncs'] = (metric(server.address, 'zk_cnt_fsynctime') - syncs) / operations
    result['written'] = (written_bytes(server.pid) - wrote) / operations
    return result


def start_apache(heap='1g'):
    # snapshots as Apache takes them by default; every commit is synced.
    return apache_server.ApacheServer(heap=heap).start()


def start_corral():
    server = corral_server.CorralServer(config=CONFIG, start=False)
    began = time.monotonic()
    server.start()
    server.started_in = time.monotonic() - began
    return server


class Table:
    def __init__(self):
        print('| work | figure | Apache | Corral | ratio |')
        print('|---|---|---|---|---|')

    def row(self, work, figure, apache, corral, better='less'):
        a, c = statistics.median(apache), statistics.median(corral)
        if c <= 0:
            ratio = '-'
        elif better == 'less':
            ratio = '%.2f x' % (c / a)
        else:
            ratio = '%.1f x' % (c / a)
        print('| %s | %s | %s | %s | %s |' % (work, figure, shown(a), shown(c),
                                              ratio))
        sys.stdout.flush()


def shown(value):
    if value >= 1000:
        return '{:,.0f}'.format(value)
    return '%.3g' % value


LOADS = [
    # name, label, arguments, also latency
    ('get-deep', 'get 100 B, 10 x 100', 'get -c 10 -d 100', None),
    ('get-wide', 'get 100 B, 50 x 1', 'get -c 50 -d 1', None),
    ('set-deep', 'set 100 B, 10 x 100', 'set -c 10 -d 100', None),
    ('set-single', 'set 100 B, 1 x 1', 'set -c 1 -d 1', 'p50'),
    ('create-deep', 'create 100 B, 10 x 100',
     'create -c 10 -d 100 -k 4000000 -w 1 --keep', None),
    ('connect', 'connect + close, 10 at a time', 'connect -c 10', None),
    ('watch', '1 change to 10,000 watchers', 'watch -c 10001', 'all'),
]


def loads(table, args, apache, corral):
    figures = {}
    for name, label, arguments, latency in LOADS:
        if args.only and name not in args.only:
            continue
        results = ([], [])
        for number in range(args.rounds):
            for side, server in enumerate((apache, corral)):
                extra = ''
                if name == 'create-deep':
                    extra = ' --path /create-%d' % number
                results[side].append(bench(server, arguments + extra,
                                           args.seconds))
        figures[name] = results

        def both(get):
            return [[get(r) for r in side] for side in results]

        unit = 'events' if name == 'watch' else 'ops'
        table.row(label, unit + '/s', *both(lambda r: r['per_second']),
                  better='more')
        table.row(label, 'server CPU, us each', *both(
            lambda r: r['server_cpu_us_per_operation']))
        if latency == 'all':
            table.row(label, 'time to all, ms, p50', *both(
                lambda r: r['time_to_all_us']['p50'] / 1000))
        elif latency:
            table.row(label, 'latency us, %s' % latency, *both(
                lambda r: r['latency_us'][latency]))
        if name.startswith(('set', 'create')):
            table.row(label, 'syncs each', *both(lambda r: r['syncs']))
            table.row(label, 'bytes written each', *both(
                lambda r: r['written']))
    return figures


def half_rate(table, args, apache, corral, figures):
    """Set at half of what Apache does at most, at fixed times."""
    if args.only and 'half-rate' not in args.only:
        return
    if 'set-deep' in figures:
        most = statistics.median(r['per_second']
                                 for r in figures['set-deep'][0])
    else:
        most = bench(apache, 'set -c 10 -d 100', args.seconds)['per_second']
    results = ([], [])
    for _ in range(args.rounds):
        for side, server in enumerate((apache, corral)):
            results[side].append(bench(server, 'set -c 10 -r %d' % (most / 2),
                                       args.seconds))
    for p in ('p50', 'p99'):
        table.row('set 100 B at %d /s (half of Apache\'s most)' % (most / 2),
                  'latency us, %s' % p,
                  *[[r['latency_us'][p] for r in side] for side in results])


def idle(table, args):
    """On fresh servers: one that has worked has room left over."""
    if args.only and 'idle' not in args.only:
        return
    count = 5000
    figures = []
    for start in (start_apache, start_corral):
        server = start()
        try:
            bench(server, 'idle -c 100 -t 0.5')
            before = rss(server.pid)
            result = bench(server, 'idle -c %d -t 3' % count)
            figures.append([(result['server_rss_bytes'] - before) / count])
        finally:
            server.stop()
            if start is start_corral:
                server.close()
    table.row('idle session', 'resident bytes', *figures)


def cold_start(table, args):
    if args.only and 'cold-start' not in args.only:
        return
    apache, corral = [], []
    for _ in range(args.rounds):
        began = time.monotonic()
        with apache_server.ApacheServer():
            apache.append((time.monotonic() - began) * 1000)
        server = start_corral()
        corral.append(server.started_in * 1000)
        server.stop()
        server.close()
    table.row('cold start, empty data', 'ms to the first answer', apache,
              corral)


def big(table, args):
    """A million znodes: memory, restart, tails of a steady load."""
    figures = {}
    for name in ('apache', 'corral'):
        server = start_apache('4g') if name == 'apache' else start_corral()
        f = figures[name] = {}
        empty = rss(server.pid)
        bench(server, 'populate -k %d --keep' % MILLION)
        f['populated'] = (rss(server.pid) - empty) / MILLION
        result = bench(server, 'set -c 10 -r 5000 -k %d -w 2 --keep' % MILLION,
                       60 if args.seconds >= 5 else args.seconds)
        f['p99'] = result['latency_us']['p99'] / 1000
        f['p999'] = result['latency_us']['p999'] / 1000
        f['max'] = result['latency_us']['max'] / 1000
        f['written'] = result['written']
        if name == 'apache':
            server.process.kill()
            server.process.wait()
        else:
            server.stop()
        began = time.monotonic()
        server.start()
        f['restart'] = time.monotonic() - began
        bench(server, 'get -c 1 --keep', 1)
        f['restarted'] = (rss(server.pid) - empty) / MILLION
        server.stop()
        if name == 'corral':
            server.close()
    for key, work, figure in (
            ('populated', '1 M znodes of 100 B', 'resident B per znode'),
            ('restarted', '1 M znodes, after a restart',
             'resident B per znode'),
            ('restart', 'restart on 1 M znodes', 's to the first answer'),
            ('p99', '5,000 set/s over 1 M keys, 60 s', 'p99 ms'),
            ('p999', '5,000 set/s over 1 M keys, 60 s', 'p99.9 ms'),
            ('max', '5,000 set/s over 1 M keys, 60 s', 'max ms'),
            ('written', '5,000 set/s over 1 M keys, 60 s',
             'bytes written each')):
        table.row(work, figure, [figures['apache'][key]],
                  [figures['corral'][key]])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--seconds', type=float, default=5)
    parser.add_argument('--only', type=lambda s: s.split(','), default=None)
    parser.add_argument('--big', action='store_true')
    args = parser.parse_args()
    table = Table()
    apache, corral = start_apache(), start_corral()
    try:
        figures = loads(table, args, apache, corral)
        half_rate(table, args, apache, corral, figures)
    finally:
        apache.stop()
        corral.close()
    idle(table, args)
    cold_start(table, args)
    if args.big:
        big(table, args)
    return 0


if __name__ == '__main__':
    sys.exit(main())
