#!/usr/bin/python3
"""All servers of an ensemble are restarted one after the other, under load from
kazoo and corral-bench clients: no session is lost, and no operation fails other
than by a lost connection that a retry mends.

    test_rolling.py [--full] [--kind apache]

In CI 10 kazoo and 10 bench clients and one round; --full: 50 of each, three
rounds. Exit status 77 without kazoo."""

import argparse
import json
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from ensemble import Ensemble, wait_for  # noqa: E402

try:
    import logging

    from kazoo import exceptions
    from kazoo.client import KazooClient, KazooState
    from kazoo.retry import KazooRetry
    logging.getLogger('kazoo').setLevel(logging.CRITICAL)
except ImportError:
    print('skipped: no kazoo')
    sys.exit(77)

BENCH = os.path.abspath(os.environ['CORRAL_BENCH'])
TIMEOUT_S = 20


class Client:
    """One kazoo session with an ephemeral node and a counter, at work until
    stopped."""

    def __init__(self, hosts, number, stop):
        self.number = number
        self.stop = stop
        self.states = []
        self.errors = []
        self.done = self.retried = self.counter = 0
        self.zk = KazooClient(
            hosts, timeout=TIMEOUT_S,
            connection_retry=KazooRetry(max_tries=-1, delay=0.01,
                                        max_delay=0.2))
        self.zk.add_listener(self.states.append)
        self.thread = threading.Thread(target=self.run, daemon=True)

    def open(self):
        self.zk.start(TIMEOUT_S)
        self.session = self.zk.client_id[0]
        self.zk.ensure_path('/rolling')
        self.zk.create(self.path('here'), ephemeral=True)
        self.zk.create(self.path('count'), b'0')

    def path(self, name):
        return '/rolling/%s-%02d' % (name, self.number)

    def run(self):
        try:
            while not self.stop.is_set():
                self.step()
        except Exception as e:
            self.errors.append('%s: %s' % (type(e).__name__, e))

    def step(self):
        """A write and a read: each mended by a retry, if at all."""
        self.counter += 1
        self.mended(lambda: self.zk.set(self.path('count'),
                                        b'%d' % self.counter))
        data, _ = self.mended(lambda: self.zk.get(self.path('count')))
        if int(data) != self.counter:
            self.errors.append('%s: %r after %d' % (self.path('count'), data,
                                                    self.counter))
        if self.mended(lambda: self.zk.exists(self.path('here'))) is None:
            self.errors.append('%s is gone' % self.path('here'))
        self.done += 3
        self.stop.wait(0.02)  # the rate of the load

    def mended(self, operation):
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            try:
                return operation()
            except (exceptions.ConnectionLoss,
                    exceptions.ConnectionClosedError,
                    exceptions.SessionMovedError):
                if time.monotonic() > deadline:
                    raise
                self.retried += 1
                time.sleep(0.01)  # the next try finds a server or waits

    def close(self):
        """What became of it, as texts of what is wrong."""
        self.thread.join(3 * TIMEOUT_S)
        if self.thread.is_alive():
            self.errors.append('hangs')
        elif self.zk.client_id is None or \
                self.zk.client_id[0] != self.session:
            self.errors.append('another session than at first')
        if KazooState.LOST in self.states:
            self.errors.append('state LOST')
        self.zk.stop()
        self.zk.close()
        return ['client %d: %s' % (self.number, e) for e in self.errors]


def roll(e, rounds, clients):
    """Followers first, the leader last, as operators do; each is back in sync
    and everybody at work before the next one goes."""
    for _ in range(rounds):
        leader = e.leader()
        for member in [m for m in e.servers if m is not leader] + [leader]:
            status = member.stop()
            # A JVM that is asked to end says so.
            assert status == (0 if e.kind == 'corral' else 143), \
                (member, status, member.log_text()[-2000:])
            member.start()
            member.wait_serving()
            before = [c.done for c in clients]
            wait_for(lambda: all(c.done > b or c.errors
                                 for c, b in zip(clients, before)),
                     'all clients to be at work', 60)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--full', action='store_true')
    parser.add_argument('--kind', default='corral')
    args = parser.parse_args()
    count, rounds = (50, 3) if args.full else (10, 1)
    wrong = []
    with Ensemble(servers=3, observers=1, kind=args.kind) as e:
        e.start()
        e.wait_serving()
        stop = threading.Event()
        clients = [Client(e.hosts, i, stop) for i in range(count)]
        for client in clients:
            client.open()
        load = subprocess.Popen(
            [BENCH, '-s', e.hosts, '-c', str(count), '-r', '500', '--timeout',
             str(TIMEOUT_S * 1000), '--json', '--no-progress', '--marks',
             'gap'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert load.stdout.readline() == 'running\n'
            for client in clients:
                client.thread.start()
            began = time.monotonic()
            roll(e, rounds, clients)
            seconds = time.monotonic() - began
            stop.set()
            out, _ = load.communicate(timeout=120)
            result = json.loads(out)
        finally:
            stop.set()
            load.kill()
            load.wait()
            for client in clients:
                wrong += client.close()
        for name in ('expired', 'lost', 'twice', 'zxids_back', 'refused',
                     'unverified', 'unanswered'):
            if result[name]:
                wrong.append('bench: %s: %d' % (name, result[name]))
        assert result['operations'] > 0 and result['resumed'] >= count
        assert not wrong, '\n'.join(wrong)
        print('rolling: %d restarts in %.1f s, %d sessions kept; kazoo: %d '
              'operations, %d tried again; bench: %d writes, %d sent again, '
              'longest gap %.0f ms' % (
                  rounds * len(e.servers), seconds, 2 * count,
                  sum(c.done for c in clients),
                  sum(c.retried for c in clients), result['operations'],
                  result['retried'], result['longest_gap_ms']))
    return 0


if __name__ == '__main__':
    sys.exit(main())
