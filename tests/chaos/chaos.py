#!/usr/bin/python3
"""A whole ensemble, clients that write down what they see, and faults of every
kind for some time; then everything is mended, and what was seen must be what a
correct service could have answered.

    chaos.py [--servers 3] [--observers 1] [--seconds 90] [--seed N]

Needs CORRALD; SHIM (tests/support/shim.c, built) for what disks do. As root, or
where users may make namespaces, each server has a network of its own; elsewhere
all are on the loopback and the faults of the network are left out. The seed
gives the schedule, the workload and the small limits in the configuration; the
machine's own timing is not repeated. Exit status 1: something was found; all
logs, data and histories are kept in the directory that is printed last."""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, '..', 'interop'))
import checkers  # noqa: E402
import cluster as clusters  # noqa: E402
import nemesis as nemeses  # noqa: E402
import netns  # noqa: E402
import trees  # noqa: E402
import workload as workloads  # noqa: E402

STOP_S = 30


class Log:
    """Lines with the seconds since the start: to the output, and to a file."""

    def __init__(self, directory, quiet):
        self.start = time.monotonic()
        self.quiet = quiet
        self.file = open(os.path.join(directory, 'schedule.log'), 'w',
                         buffering=1)

    def say(self, text):
        line = '[%8.3f] %s' % (time.monotonic() - self.start, text)
        self.file.write(line + '\n')
        if not self.quiet:
            print(line, flush=True)


def abilities(args, network):
    able = set()
    if network is not None:
        able.add('network')
        if network.shape(0, 1, 0):
            able.add('netem')
            network.shape(0)
    if args.kind == 'corral':
        able.add('repair')  # Apache takes an emptied server for a new one
        if os.environ.get('SHIM'):
            able |= {'disk', 'clock'}
    return able - set(args.without)


def run(args, directory, log):
    """Gives the findings."""
    network = None
    why = 'asked for' if 'network' in args.without else netns.enter()
    if why:
        log.say('no faults of the network: %s' % why)
    else:
        network = netns.Network(args.servers + args.observers)
    cluster = clusters.Cluster(args.servers, args.observers, directory,
                               args.seed, args.kind, network,
                               os.environ.get('SHIM'))
    load = None
    try:
        able = abilities(args, network)
        log.say('faults: %s' % ' '.join(sorted(able | {'process'})))
        log.say('config: %ssyncs of up to %d us' % (
            cluster.config.replace('\n', ' '), cluster.sync_us_max))
        cluster.start()
        histories = os.path.join(directory, 'histories')
        load = workloads.start(cluster.hosts, histories, args.seed)
        nemesis = nemeses.Nemesis(cluster, args.seed, able, log.say)
        rounds = nemesis.run(time.monotonic() + args.seconds)
        findings = nemesis.findings
        if not load.stop():
            findings.append('a client did not end:\n%s' % load.log_text())
        load = None
        final = None
        if not findings:
            findings += same_trees(args, cluster, log)
            final = workloads.final(cluster.hosts)
        violations, counts = checkers.check(histories, final,
                                            strict=args.kind == 'corral')
        findings += [str(v) for v in violations] + end(cluster)
        if not counts.get('ops'):
            findings.append('no operation of any client was answered')
        summary(args, rounds, nemesis, counts, log)
        return findings
    finally:
        if load is not None:
            load.stop()
        cluster.ensemble.keep()
        cluster.close()
        if network is not None:
            network.close()


def same_trees(args, cluster, log):
    nodes, differences = trees.wait_equal(
        [n.member.address for n in cluster.nodes],
        # Each of Apache's has its own mtime there.
        ['/zookeeper/config'] if args.kind == 'apache' else [])
    log.say('%d znodes on each of %d servers' % (nodes, len(cluster.nodes)))
    return differences


def end(cluster):
    """Each ends well when it is told to."""
    findings = []
    for node in cluster.nodes:
        node.down = True
        status = node.member.stop(STOP_S)
        if cluster.kind == 'corral' and status != 0:
            findings.append('server %d ended with %d at the end' % (
                node.id, status))
    return findings


def summary(args, rounds, nemesis, counts, log):
    def line(counter):
        return ' '.join('%s=%d' % item for item in sorted(counter.items()))

    log.quiet = False
    log.say('operations: %s' % line(counts))
    log.say('faults: %s' % line(nemesis.counts))
    log.say('not done: %s' % line(nemesis.skipped))
    back = sorted(nemesis.back_s) or [0]
    log.say('back in service after mending: median %.2f s, longest %.2f s' % (
        back[len(back) // 2], back[-1]))
    asked = {name: counts.get(name, 0)
             for name in ('ops', 'refused', 'unknown')}
    log.say('%d rounds, %d faults; %d operations, of them %d refused and %d '
            'without an answer; %d s' % (
                rounds, sum(nemesis.counts.values()), sum(asked.values()),
                asked['refused'], asked['unknown'], args.seconds))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--servers', type=int, default=3)
    parser.add_argument('--observers', type=int, default=0)
    parser.add_argument('--seconds', type=float, default=90)
    parser.add_argument('--seed', type=int,
                        default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument('--kind', choices=['corral', 'apache'],
                        default='corral')
    parser.add_argument('--without', action='append', default=[],
                        help='network, netem, disk, repair or clock')
    parser.add_argument('--directory', help='where its directory is made')
    parser.add_argument('--quiet', action='store_true')
    parser.add_argument('--keep', action='store_true')
    parser.add_argument('--schedule', type=int, metavar='ROUNDS',
                        help='print the first rounds of this seed, and end')
    args = parser.parse_args()
    if '--seed' not in sys.argv:
        sys.argv += ['--seed', str(args.seed)]  # enter() starts us again
    if args.schedule:
        able = {'network', 'disk', 'repair', 'clock'} - set(args.without)
        ids = list(range(1, args.servers + args.observers + 1))
        for number in range(1, args.schedule + 1):
            faults, wait = nemeses.draw_round(args.seed, number, ids, able)
            print('\n'.join(map(str, faults)), '\nthen', wait)
        return 0
    if 'network' not in args.without:
        netns.enter()
    command = 'chaos.py --servers %d --observers %d --seconds %d --seed %d' % (
        args.servers, args.observers, args.seconds, args.seed)
    directory = tempfile.mkdtemp(prefix='chaos-', dir=args.directory)
    log = Log(directory, args.quiet)
    log.say(command)
    try:
        findings = run(args, directory, log)
    except Exception:
        findings = [traceback.format_exc()]
    for finding in findings[:20]:
        print('VIOLATION %s' % finding)
    if findings or args.keep:
        print('kept: %s' % directory)
    else:
        shutil.rmtree(directory, ignore_errors=True)
    print('%s: %d violations' % (command, len(findings)))
    return 1 if findings else 0


if __name__ == '__main__':
    sys.exit(main())
