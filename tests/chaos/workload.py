#!/usr/bin/python3
"""Concurrent client processes on an ensemble, whose histories checkers.py
judges.

    handle = workload.start('h1:p1,h2:p2,h3:p3', directory, seed, clients=3)
    ...
    assert handle.stop(20)
    final = workload.final(hosts)          # what every server has in the end
    violations, counts = checkers.check(directory, final)

Each process is one event loop with the actors of workload_actors.py, and one
more runs kazoo. Alone, for a try:

    workload.py --hosts LIST --directory DIR [--seed N --seconds S --clients N]
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import history  # noqa: E402
import workload_loop  # noqa: E402  (finds zkwire)
import zkwire  # noqa: E402

DRAIN_S = 3
DUMP_DEADLINE_S = 120
NAMES_IN_FLIGHT = 500
NO_NODE = -101


def addresses(hosts):
    if not isinstance(hosts, str):
        return [tuple(host) for host in hosts]
    pairs = [entry.strip().rpartition(':') for entry in hosts.split(',')]
    return [(host.strip('[]'), int(port)) for host, _, port in pairs]


class Handle:
    def __init__(self, directory, processes):
        self.directory, self.processes = directory, processes

    def counts(self):
        """Of the moment: ops (answered well), refused, unknown, lost, expired;
        and how many processes are running."""
        total = {}
        for path in self._files('counts-'):
            try:
                with open(path) as file:
                    for name, value in json.load(file).items():
                        total[name] = total.get(name, 0) + value
            except (OSError, ValueError):
                pass
        total['running'] = sum(p.poll() is None for p in self.processes)
        return total

    def _files(self, prefix):
        return [os.path.join(self.directory, name)
                for name in os.listdir(self.directory)
                if name.startswith(prefix) and not name.endswith('.new')]

    def stop(self, deadline_s=20):
        """True when every process ended by itself, with its history whole. What
        does not end in time is killed; its history is then judged as far as it
        goes."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + deadline_s
        clean = True
        for process in self.processes:
            try:
                process.wait(max(0.01, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            clean = clean and process.returncode == 0
        return clean

    def log_text(self):
        text = ''
        for path in sorted(self._files('log-')):
            with open(path, errors='replace') as file:
                text += file.read()
        return text


def start(hosts, directory, seed, clients=3, seconds=None, kazoo=True,
          pace=1.0, prefix=()):
    """clients raw processes and one of kazoo; each ends after seconds, or when
    it is told to. pace: 2.0 is half as fast. prefix: a command in front of each
    process (ip netns exec ...)."""
    os.makedirs(directory, exist_ok=True)
    if history.files(directory):
        raise ValueError('%s has histories already' % directory)
    text = ','.join('%s:%d' % ('[%s]' % host if ':' in host else host, port)
                    for host, port in addresses(hosts))
    started = history.now_us()
    processes = []
    for number in range(clients + (1 if kazoo else 0)):
        command = list(prefix) + [
            sys.executable, os.path.join(HERE, 'workload.py'), '--child',
            'kazoo' if number == clients else 'raw', '--number', str(number),
            '--hosts', text, '--directory', directory, '--seed',
            str(seed * 100 + number), '--started', str(started), '--pace',
            str(pace)]
        if seconds is not None:
            command += ['--seconds', str(seconds)]
        with open(os.path.join(directory, 'log-%d' % number), 'wb') as log:
            processes.append(subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=dict(os.environ, PYTHONDONTWRITEBYTECODE='1')))
    return Handle(directory, processes)


# -- One client process.

def write_counts(directory, number, counts):
    path = os.path.join(directory, 'counts-%d' % number)
    with open(path + '.new', 'w') as file:
        json.dump(counts, file)
    os.rename(path + '.new', path)


def child(args):
    parent = os.getppid()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    writer = history.Writer(os.path.join(
        args.directory, 'history-%d.jsonl' % args.number), args.number)
    hosts = addresses(args.hosts)
    end = time.monotonic() + (args.seconds or 1e9)
    done = threading.Event()

    def watch():
        while not done.wait(0.5):
            write_counts(args.directory, args.number, writer.counts)
            if time.monotonic() > end or os.getppid() != parent:
                stop.set()
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    run = run_kazoo if args.child == 'kazoo' else run_raw
    clean = run(args, writer, hosts, stop)
    if clean:
        writer.end()
    done.set()
    watcher.join()
    write_counts(args.directory, args.number, writer.counts)
    return 0 if clean else 1


def run_kazoo(args, writer, hosts, stop):
    import logging
    import workload_kazoo
    logging.basicConfig(level=logging.CRITICAL)
    return workload_kazoo.run(
        writer, args.number, ['%s:%d' % pair for pair in hosts],
        random.Random(args.seed), args.started, stop, args.pace)


def run_raw(args, writer, hosts, stop):
    import workload_actors
    loop = workload_loop.Loop(writer, args.seed)
    for kind, name, options in workload_actors.population(
            args.number, {}, args.started, args.pace):
        loop.add(kind(loop, name, hosts, **options))
    while not stop.is_set():
        loop.run_once()
    loop.stopping = True
    end = time.monotonic() + DRAIN_S
    while loop.busy() and time.monotonic() < end:
        loop.run_once()
    for actor in loop.actors:
        actor.session.lose_pending()
    return True


# -- What a server has in the end.

def dump(address, top='/', deadline_s=DUMP_DEADLINE_S, changing=False):
    """path -> [data, czxid, mzxid, pzxid, version, cversion, aversion,
    ephemeralOwner] of all below top, but /zookeeper, behind a sync; pipelined.
    Nobody may be writing, or changing must be true."""
    conn = zkwire.Conn(address, timeout_s=10)
    try:
        if not conn.handshake(timeout=30000):
            raise ConnectionError('%s:%d gives no session' % address)
        if conn.call(1, 'sync', path='/')[0] is None:
            raise ConnectionError('%s:%d closed' % address)
        return walk(conn, top, time.monotonic() + deadline_s, changing)
    finally:
        try:
            conn.call(2, 'closeSession')
        except OSError:
            pass
        conn.close()


def walk(conn, top, deadline, changing):
    tree, todo, flying, xid = {}, [top], {}, 10
    while todo or flying:
        frames = []
        while todo and len(flying) < NAMES_IN_FLIGHT:
            path = todo.pop()
            for op in ('getData', 'getChildren2'):
                xid += 1
                flying[xid] = path
                conn.ops[xid] = op
                frames.append(zkwire.request(xid, op, path=path))
        if frames:
            conn.send(b''.join(frames))
        reply = conn.read_reply(max(0.01, deadline - time.monotonic()))
        if reply is None:
            raise ConnectionError('closed while the tree was read')
        path, op = flying.pop(reply[0]), conn.ops.pop(reply[0])
        if reply[2] == NO_NODE and changing:
            continue
        if reply[2] != 0:
            raise ConnectionError('%s %s: %d' % (op, path, reply[2]))
        if op == 'getData':
            stat = reply[3]['stat']
            tree[path] = [workload_loop.text(reply[3]['data'])] + [
                stat[name] for name in ('czxid', 'mzxid', 'pzxid', 'version',
                                        'cversion', 'aversion',
                                        'ephemeralOwner')]
        else:
            for name in reply[3]['names']:
                below = path.rstrip('/') + '/' + name.decode()
                if below != '/zookeeper':
                    todo.append(below)
    return tree


def settled(address):
    """Whether the sessions of the workload are gone, with their nodes."""
    return not any(node[7] for node in
                   dump(address, '/c', changing=True).values())


def final(hosts, deadline_s=DUMP_DEADLINE_S, wait_ephemerals_s=30):
    """{"host:port": dump}, when all ephemerals are gone, or have stayed too
    long, which check() then tells. Faults are healed and clients stopped."""
    hosts = addresses(hosts)
    end = time.monotonic() + wait_ephemerals_s
    while time.monotonic() < end and not settled(hosts[0]):
        time.sleep(0.25)  # polling for a condition, under a deadline
    return {'%s:%d' % address: dump(address, '/', deadline_s)
            for address in hosts}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--hosts', required=True)
    parser.add_argument('--directory', required=True)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--seconds', type=float)
    parser.add_argument('--clients', type=int, default=3)
    parser.add_argument('--pace', type=float, default=1.0)
    parser.add_argument('--child', choices=('raw', 'kazoo'))
    parser.add_argument('--number', type=int)
    parser.add_argument('--started', type=int)
    args = parser.parse_args()
    if args.child:
        return child(args)
    handle = start(args.hosts, args.directory, args.seed, args.clients,
                   args.seconds or 10, pace=args.pace)
    while handle.counts()['running']:
        time.sleep(0.1)
    print(handle.counts())
    print(handle.log_text(), end='')
    return 0


if __name__ == '__main__':
    sys.exit(main())
