#!/usr/bin/python3
"""corral-bench and corral-dump as a user calls them."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import zkwire  # noqa: E402
from corral_server import CorralServer  # noqa: E402

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
        # At a fixed rate as many are asked as were due.
        rated = bench(server, 'set -r 1000')
        assert 300 <= rated['operations'] <= 500, rated['operations']
        # What was made is gone again.
        conn = zkwire.Conn(server.address)
        assert conn.handshake()
        reply, _ = conn.call(1, 'getChildren', path='/corral-bench')
        assert reply[3]['names'] == [], reply
        assert not server.slow_steps()


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
        shares = [sum(line.startswith('Received: ') and int(line.split()[1])
                      for line in s.word('srvr').splitlines())
                  for s in (a, b)]
        # The keys' parents are few; each session is a handshake and a close.
        assert min(shares) > max(shares) / 3 > 10, shares
        # Alone they lead nobody.
        for whom in ('leader', 'followers', 'observers'):
            _, err = run(BENCH, '-s', hosts, '--to', whom, 'get', status=1)
            assert 'none of the servers' in err, err


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
    for test in (every_workload, several_servers, wrong_arguments, dump):
        test()
        print('%s: ok' % test.__name__)
    return 0


if __name__ == '__main__':
    sys.exit(main())
