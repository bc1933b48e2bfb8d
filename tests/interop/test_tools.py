#!/usr/bin/python3
"""corral-bench and corral-dump as a user calls them."""

import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import zkwire  # noqa: E402
from corral_server import CorralServer, wait_for  # noqa: E402

BENCH = os.environ['CORRAL_BENCH']
DUMP = os.environ['CORRAL_DUMP']


def run(*command, status=0):
    done = subprocess.run(command, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=120, text=True,
                          errors='replace')
    assert done.returncode == status, (command, done.returncode, done.stdout,
                                       done.stderr)
    return done.stdout, done.stderr


def bench(server, arguments):
    out, _ = run(BENCH, '-s', server.hosts, '-p', str(server.pid), '--json',
                 '--no-progress', '-w', '0.1', '-t', '0.4', *arguments.split())
    result = json.loads(out)
    assert result['errors'] == 0
    return result


def every_workload():
    with CorralServer('maxClientCnxns=0\n') as server:
        for load in ('get -d 10', 'set -d 10', 'mixed -d 4 --reads 50',
                     'create -k 2000000', 'delete -k 20000', 'multi --ops 3',
                     'connect', 'watch -c 20', 'set -r 500',
                     'get -n 100', 'populate -k 3000'):
            result = bench(server, load)
            assert result['operations'] > 0, load
            assert result['seconds'] > 0, load
            if not load.startswith('populate'):
                latency = result['latency_us']
                assert 0 < latency['p50'] <= latency['p99'] <= latency['max']
        assert bench(server, 'idle -c 20')['operations'] == 0
        # At a fixed rate no more are asked than were due.
        rated = bench(server, 'set -r 1000')
        assert 100 <= rated['operations'] <= 500, rated['operations']
        # What was made is gone again.
        conn = zkwire.Conn(server.address)
        assert conn.handshake()
        reply, _ = conn.call(1, 'getChildren', path='/corral-bench')
        assert reply[3]['names'] == [], reply
        assert not server.slow_steps()


def received(server):
    """Packets so far; the question is one itself."""
    return int(re.search(r'^Received: (\d+)', server.word('srvr'),
                         re.M).group(1))


def several_servers():
    """Two strangers: what tells whether each had its share."""
    with CorralServer('maxClientCnxns=0\n') as a, \
            CorralServer('maxClientCnxns=0\n') as b:
        hosts = '%s,%s' % (a.hosts, b.hosts)
        pids = '%d,%d' % (a.pid, b.pid)
        out, _ = run(BENCH, '--hosts', hosts, '-p', pids, '-c', '4', '--json',
                     '--no-progress', '-w', '0.1', '-t', '0.4', 'connect')
        result = json.loads(out)
        assert result['operations'] > 0 and result['errors'] == 0
        assert result['server_rss_bytes'] > a.rss_bytes() / 2 + \
            b.rss_bytes() / 2
        # Each session is a handshake and a close.
        shares = received(a), received(b)
        assert min(shares) > max(shares) / 3 > 10, shares
        before = received(b)
        run(BENCH, '-s', hosts, '--to', 'first', '-p', pids, '-n', '9', '-w',
            '0', '--no-progress', 'get')
        assert received(b) - before <= 2, (before, received(b))
        # Alone they lead nobody.
        for whom in ('leader', 'followers', 'observers'):
            _, err = run(BENCH, '-s', hosts, '--to', whom, 'get', status=1)
            assert 'none of the servers' in err, err


class Gap:
    """corral-bench gap with marks, as a script drives it."""

    def __init__(self, hosts, arguments):
        self.process = subprocess.Popen(
            [BENCH, '-s', hosts, 'gap', '--marks', '--json', '--no-progress',
             '-w', '0.1'] + arguments.split(), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == 'running\n'

    def mark(self, name):
        self.process.stdin.write(name + '\n')
        self.process.stdin.flush()

    def finish(self, status=0):
        out, _ = self.process.communicate(timeout=120)
        assert self.process.returncode == status, out
        return json.loads(out)


def all_write(server, keys):
    """Waits until each key is written; a connection."""
    conn = zkwire.Conn(server.address)
    assert conn.handshake()
    before = {}

    def rose():
        for key in range(keys):
            reply, _ = conn.call(1, 'exists', path='/corral-bench/d000/'
                                 'k%07d' % key)
            version = reply[3]['stat']['version']
            if version <= before.setdefault(key, version):
                return False
        return True

    wait_for(rose, 'all connections to write')
    return conn


def gap():
    """A server that is killed and comes back: all is counted, none lost."""
    with CorralServer('maxClientCnxns=0\n') as server:
        load = Gap(server.hosts, '-c 5 -d 3 -r 500 --timeout 10000')
        for number in range(2):
            load.mark('kill "%d"' % number)
            server.kill()
            server.start()
            conn = all_write(server, 5)
        result = load.finish()
        assert [m['name'] for m in result['marks']] == \
            ['start', 'kill _0_', 'kill _1_'], result
        assert result['closed'] == result['resumed'] == 10, result
        assert result['expired'] == result['errors'] == 0, result
        for m in result['marks'][1:]:
            assert m['closed'] == m['resumed'] == 5, result
            assert 0 < m['longest_gap_ms'] <= result['longest_gap_ms']
            assert m['all_resumed_ms'] > 0
        assert result['operations'] == \
            sum(m['acknowledged'] for m in result['marks']) > 0
        reply, _ = conn.call(1, 'getChildren', path='/corral-bench')
        assert reply[3]['names'] == [], reply


class Liar:
    """A server that says yes to everything, and remembers as told."""

    def __init__(self, version, value, zxid):
        self.version, self.value, self.zxid = version, value, zxid
        self.writes = 0
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.hosts = '127.0.0.1:%d' % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,),
                             daemon=True).start()

    def serve(self, sock):
        try:
            self.converse(sock)
        except ConnectionError:
            pass

    def converse(self, sock):
        stream = sock.makefile('rwb')
        stream.read(struct.unpack('>i', stream.read(4))[0])
        stream.write(zkwire.frame(struct.pack('>iiqi16sb', 0, 10000, 1, 16,
                                              b'p', 0)))
        stream.flush()
        while True:
            head = stream.read(4)
            if len(head) < 4:
                return
            xid, op = struct.unpack('>ii', stream.read(
                struct.unpack('>i', head)[0])[:8])
            self.writes += op == zkwire.OPS['setData']
            stat = struct.pack('>qqqqiiiqiiq', 1, 1, 1, 1,
                               self.version(self.writes), 0, 0, 0, 20, 0, 1)
            body = {zkwire.OPS['setData']: stat,
                    zkwire.OPS['getData']: zkwire.blob(
                        '%020d' % self.value(self.writes)) + stat,
                    zkwire.OPS['create']: zkwire.blob('/x'),
                    zkwire.OPS['sync']: zkwire.blob('/x')}.get(op, b'')
            stream.write(zkwire.frame(struct.pack(
                '>iqi', xid, self.zxid(self.writes), 0) + body))
            stream.flush()

    def finish(self):
        self.listener.close()


def gap_finds():
    """What it is there for: each is seen with a server that does it."""
    honest = dict(version=lambda n: n, value=lambda n: n, zxid=lambda n: 5 + n)
    for wrong, found in (
            ({}, {}),
            # One acknowledged write is forgotten.
            ({'version': lambda n: n - (n > 20)}, {'lost': 1}),
            # One is applied again later.
            ({'version': lambda n: n + (n > 20)}, {'twice': 1}),
            # The last is not there when it is read back.
            ({'value': lambda n: n - 1}, {'lost': 1}),
            # Replies of an older state.
            ({'zxid': lambda n: 5 + n - 2 * (n == 20)}, {'zxids_back': 1})):
        server = Liar(**dict(honest, **wrong))
        out, _ = run(BENCH, '-s', server.hosts, 'gap', '-c', '1', '-r', '200',
                     '-w', '0', '-t', '0.5', '--json', '--no-progress',
                     '--keep', status=1 if found else 0)
        server.finish()
        result = json.loads(out)
        assert result['operations'] > 30, result
        for name in ('lost', 'twice', 'zxids_back', 'refused', 'unverified'):
            assert result[name] == found.get(name, 0), (wrong, result)


def wrong_arguments():
    run(BENCH, status=2)
    run(BENCH, 'get', '--to', 'nobody', status=2)
    run(BENCH, 'get', '-p', '1,x', status=2)
    run(BENCH, 'get', '-s', ',', status=1)
    run(BENCH, 'get', '-s', '127.0.0.1', status=1)
    run(BENCH, 'nonsense', '-s', '127.0.0.1:1', status=1)
    run(BENCH, 'get', '-c', 'x', status=2)
    run(BENCH, 'get', '-s', '127.0.0.1:1', status=1)
    assert 'usage' in run(BENCH, '--help')[0]
    assert 'usage' in run(DUMP, '--help')[0].lower()
    for program in (BENCH, DUMP):
        assert '0.1.0' in run(program, '--version')[0]


def dump():
    with CorralServer('preAllocSize=1024\n') as server:
        conn = zkwire.Conn(server.address)
        assert conn.handshake()
        conn.call(1, 'create', path='/shown', data=b'some\ndata')
        conn.call(2, 'create', path='/shown/here', flags=1)
        conn.call(3, 'setData', path='/shown', data=b'more')
        # A running server's directory is not torn out of its hands.
        assert server.stop() == 0
        out, _ = run(DUMP, server.data_dir)
        for expected in ('/shown', '/shown/here', '0x%x' % conn.session):
            assert expected in out, (expected, out[-2000:])
        assert conn.password.hex() not in out
        before = sorted(os.listdir(server.data_dir))
        run(DUMP, '--verify', server.data_dir)
        assert sorted(os.listdir(server.data_dir)) == before
        segment = [n for n in before if n.startswith('log.')][0]
        with open(os.path.join(server.data_dir, segment), 'r+b') as f:
            f.seek(100)
            f.write(b'X')
        out, err = run(DUMP, '--verify', server.data_dir, status=1)
        assert segment in out + err and 'offset' in out + err, out + err
    run(DUMP, '--verify', '/nowhere', status=2)


def main():
    for test in (every_workload, several_servers, gap, gap_finds,
                 wrong_arguments, dump):
        test()
        print('%s: ok' % test.__name__)
    return 0


if __name__ == '__main__':
    sys.exit(main())
