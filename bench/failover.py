#!/usr/bin/python3
"""What losing the leader of three servers costs: the longest time without an
acknowledged write, over all connections, when it is killed, stopped cleanly or
frozen, under a fixed rate of writes. Each acknowledged write is looked for at
the end, sessions are counted, and a leader that thaws is asked for old news.

    bench/failover.py [--apache] [--check] [--only kill,term,stop] ...

Needs CORRALD and CORRAL_BENCH. --check: a few of each, and only what must
never be (a lost write, an expired session, a stale read) fails; else Corral's
times have bars, too."""

import argparse
import statistics
import sys
import time

from rig import (Gap, Verdict, ensemble, kinds, wait_all_in_sync, wait_for,
                 wait_in_sync, wait_writing, wrongs)
import zkwire  # rig knows where it is

# name: what is done, bars of the median and of the worst, in ms
FAULTS = {
    'kill': ('kill -9 of the leader', 150, 500),
    'term': ('SIGTERM of the leader', 50, None),
    'stop': ('SIGSTOP of the leader', None, 1000),
}


class Trouble(Exception):
    """Something without which nothing can be measured."""


def another_leader(e, old):
    return wait_for(lambda: [m for m in e.voters if m is not old and
                             m.mode() == 'leader'],
                    'another leader than %r' % old, 60)[0]


def kill_or_term(e, name, number, args):
    """One load over all faults: its sessions live through them all."""
    with Gap(e.servers, '-c %d -r %g' % (args.connections, args.rate)) as gap:
        for i in range(number):
            leader = e.leader()
            gap.mark('%s %d' % (name, i))
            if name == 'kill':
                leader.kill()
            else:
                leader.stop()
            another_leader(e, leader)
            leader.start()
            wait_in_sync(e, leader)
            wait_writing(e)
        result = gap.finish()
    return [m['longest_gap_ms'] for m in result['marks'][1:]], [result]


def stop(e, number, args):
    """One load for each: the connections of the frozen server hang as long as
    it does, so they must be some, not all."""
    gaps, results = [], []
    for _ in range(number):
        with Gap(e.servers,
                 '-c %d -r %g' % (args.connections, args.rate)) as gap:
            leader = e.leader()
            witness = Witness(e, leader)
            gap.mark('stop')
            leader.pause()
            try:
                frozen_until = time.monotonic() + args.frozen
                other = another_leader(e, leader)
                witness.write_elsewhere(other)
                witness.ask()
                # The stop has a length that is part of what is measured.
                time.sleep(max(frozen_until - time.monotonic(), 0))
            finally:
                leader.resume()
            stale = witness.hear()
            wait_in_sync(e, leader)
            stale += witness.fresh(leader)
            wait_writing(e)
            result = gap.finish()
        result['stale'] = stale
        gaps.append(result['marks'][1]['longest_gap_ms'])
        results.append(result)
    return gaps, results


class Witness:
    """Sessions on the leader that will be frozen, each with a key of its own.
    While it is frozen the keys are changed elsewhere, and the sessions ask.
    When it thaws it may close them, or answer in their order."""

    COUNT = 5

    def __init__(self, e, leader):
        self.e = e
        self.seen = []  # (connection, path, number, zxid) of each session
        self.newest = 0
        for i in range(self.COUNT):
            conn = zkwire.Conn(leader.address)
            if not conn.handshake():
                raise Trouble('%r refuses a session' % leader)
            path = '/witness-%d' % i
            conn.call(1, 'create', path=path, data=b'0')
            reply, _ = conn.call(2, 'setData', path=path, data=b'1')
            if reply is None or reply[2] != 0:
                raise Trouble('%r: setData: %r' % (leader, reply))
            self.seen.append((conn, path, 1, reply[1]))

    def write_elsewhere(self, server):
        conn = zkwire.Conn(server.address)
        try:
            if not conn.handshake():
                raise Trouble('%r refuses a session' % server)
            for number in (2, 3):
                for _, path, _, _ in self.seen:
                    reply, _ = conn.call(number, 'setData', path=path,
                                         data=b'%d' % number)
                    if reply is None or reply[2] != 0:
                        raise Trouble('%r: setData: %r' % (server, reply))
                self.newest = number
            conn.call(9, 'closeSession')
        finally:
            conn.close()

    def ask(self):
        """A read, and one behind a sync; no answer is waited for."""
        for conn, path, _, _ in self.seen:
            conn.send_request(10, 'getData', path=path)
            conn.send_request(11, 'sync', path=path)
            conn.send_request(12, 'getData', path=path)

    def hear(self):
        """What the thawed server makes of them; texts of what is stale."""
        stale = []
        for conn, path, number, zxid in self.seen:
            for xid in (10, 11, 12):
                reply = conn.read_reply(60)
                if reply is None or reply[2] != 0:
                    break  # closed, or refused: the client asks elsewhere
                if reply[1] < zxid:
                    stale.append('%s: zxid 0x%x after 0x%x' % (
                        path, reply[1], zxid))
                zxid = reply[1]
                if xid == 11:
                    number = self.newest
                elif int(reply[3]['data']) < number:
                    stale.append('%s: %d %s' % (
                        path, int(reply[3]['data']),
                        'was read before: %d' % number if xid == 10 else
                        'behind a sync, %d was acknowledged' % number))
            conn.close()
        self.seen = [(None, path, 0, 0) for _, path, _, _ in self.seen]
        return stale

    def fresh(self, server):
        """It follows again: behind a sync nothing is missing."""
        stale = []
        conn = zkwire.Conn(server.address)
        try:
            if not conn.handshake():
                raise Trouble('%r refuses a session' % server)
            for _, path, _, _ in self.seen:
                conn.call(1, 'sync', path=path)
                reply, _ = conn.call(2, 'getData', path=path)
                if reply is None or reply[2] != 0:
                    raise Trouble('%r: %s: %r' % (server, path, reply))
                if int(reply[3]['data']) != self.newest:
                    stale.append('%s: %d, %d is the newest' % (
                        path, int(reply[3]['data']), self.newest))
                conn.call(3, 'delete', path=path)
            conn.call(9, 'closeSession')
        finally:
            conn.close()
        return stale


def total(results, name):
    return sum(r[name] for r in results)


def one_fault(e, kind, name, number, args, verdict):
    text, median_bar, worst_bar = FAULTS[name]
    wait_all_in_sync(e)
    try:
        gaps, results = stop(e, number, args) if name == 'stop' else \
            kill_or_term(e, name, number, args)
    except Trouble as trouble:
        verdict.bar('%s, %s: %s' % (kind, text, trouble), False)
        return
    print('| %s | %s | %d | %.0f | %.0f | %d | %d | %d | %d | %d | %s |' % (
        text, kind, len(gaps), statistics.median(gaps), max(gaps),
        total(results, 'operations'), total(results, 'resumed'),
        total(results, 'retried'), total(results, 'expired'),
        sum(total(results, w) for w in ('lost', 'twice', 'zxids_back',
                                        'refused', 'unverified',
                                        'unanswered')),
        '-' if name != 'stop' else sum(len(r['stale']) for r in results)),
        flush=True)
    if args.verbose:
        print('gaps in ms:', ' '.join('%.0f' % g for g in gaps))
        for r in results:
            for text in r.get('stale', ()):
                print('stale:', text)
    if kind != 'corral':
        return
    wrong = [w for r in results for w in wrongs(r) + r.get('stale', [])]
    verdict.bar('%s: nothing lost, stale or expired%s' % (
        text, ''.join(': ' + w for w in wrong)), not wrong)
    if args.check:
        return
    if median_bar:
        verdict.bar('%s: median <= %d ms: %.0f' % (
            text, median_bar, statistics.median(gaps)),
            statistics.median(gaps) <= median_bar)
    if worst_bar:
        verdict.bar('%s: worst <= %d ms: %.0f' % (text, worst_bar, max(gaps)),
                    max(gaps) <= worst_bar)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--apache', action='store_true',
                        help='the same with Apache before it')
    parser.add_argument('--check', action='store_true')
    parser.add_argument('--only', default='kill,term,stop')
    parser.add_argument('--kills', type=int, default=20)
    parser.add_argument('--terms', type=int, default=20)
    parser.add_argument('--stops', type=int, default=10)
    parser.add_argument('--frozen', type=float, default=3,
                        help='seconds of a SIGSTOP; with Apache 20')
    parser.add_argument('--rate', type=float, default=1000)
    parser.add_argument('--connections', type=int, default=12)
    parser.add_argument('--verbose', action='store_true')
    args = parser.parse_args()
    if args.check:
        args.kills, args.terms, args.stops = 3, 1, 1
    counts = {'kill': args.kills, 'term': args.terms, 'stop': args.stops}
    verdict = Verdict()
    print('| fault | server | times | median gap, ms | worst | writes '
          'acknowledged | sessions resumed | writes sent again | expired | '
          'lost, twice, unanswered | stale reads |')
    print('|---|---|---|---|---|---|---|---|---|---|---|', flush=True)
    for kind in kinds(args.apache):
        # Apache notices a frozen leader by its syncLimit.
        if kind == 'apache':
            frozen, args.frozen = args.frozen, max(args.frozen, 20)
        with ensemble(kind) as e:
            for name in args.only.split(','):
                if counts[name]:
                    one_fault(e, kind, name, counts[name], args, verdict)
        if kind == 'apache':
            args.frozen = frozen
    return verdict.status()


if __name__ == '__main__':
    sys.exit(main())
