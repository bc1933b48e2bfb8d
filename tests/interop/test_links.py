#!/usr/bin/python3
"""What a member of an ensemble does when it sleeps, hangs, leaves, or is known
by a name: against three corralds.

    test_links.py [NAME...]

Needs CORRALD, and SHIM (tests/shim.so) for the disk that hangs; without it that
part is skipped, with a line that says so."""

import os
import re
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, '..', 'chaos'))
import zkwire  # noqa: E402
from ensemble import Ensemble, EnsembleFailed, wait_for  # noqa: E402

STALL_S = 5  # syncLimit 5 of tickTime 1000


def session(server):
    conn = zkwire.Conn(server.address)
    assert conn.handshake(timeout=30000)
    conn.xid = 0
    return conn


def call(conn, op, **fields):
    conn.xid += 1
    reply, _ = conn.call(conn.xid, op, **fields)
    return reply


def others_leader(e, old):
    """The one that the rest follows."""
    def find():
        for s in e.servers:
            if s is not old and s.mode() == 'leader':
                return s
        return None
    return wait_for(find, 'another leader')


def freeze(server):
    """Until no thread of it runs any more."""
    server.pause()

    def stopped():
        tasks = '/proc/%d/task' % server.pid
        for tid in os.listdir(tasks):
            with open('%s/%s/stat' % (tasks, tid)) as stat:
                if stat.read().rpartition(')')[2].split()[0] != 'T':
                    return False
        return True
    wait_for(stopped, '%r to stop' % server)


def thawed_leader_is_not_stale():
    """A read that has waited in the socket of a frozen leader sees what was
    written without it, or is not answered."""
    seen = []
    with Ensemble(servers=3, kind='corral') as e:
        e.start()
        e.wait_serving()
        first = session(e.leader())
        call(first, 'create', path='/x', data=b'0')
        value = 0
        for pause_s in (0.0, 0.0, 1.0, 3.0):
            old = e.leader()
            reader = session(old)
            value += 1
            freeze(old)
            reader.xid += 1
            reader.send_request(reader.xid, 'getData', path='/x', watch=False)
            new = others_leader(e, old)
            writer = session(new)
            assert call(writer, 'setData', path='/x', data=b'%d' % value,
                        version=-1)[2] == 0
            time.sleep(pause_s)  # shorter and longer than links stand it
            old.resume()
            try:
                frame = reader.read_frame()
            except OSError:
                frame = None
            if frame:
                data = frame[20:20 + len(str(value))]
                assert data == b'%d' % value, (data, value)
            seen.append('answered' if frame else 'closed')
            e.wait_serving()
            writer.close()
    return ', '.join(seen)


def a_hanging_disk_ends_a_member():
    from shim_disk import ShimDisk
    with Ensemble(servers=3, kind='corral',
                  config='tickTime=1000\nsyncLimit=5\n') as e:
        shims = {}
        for s in e.servers:
            shims[s.id] = ShimDisk(os.environ['SHIM'], s.data_dir, power=False)
            s.env = shims[s.id].env
        e.start()
        e.wait_serving()
        old = e.leader()
        conn = session(old)
        call(conn, 'create', path='/x', data=b'')
        shims[old.id].hold_syncs(True)
        began = time.monotonic()
        conn.send_request(77, 'setData', path='/x', data=b'1', version=-1)
        new = others_leader(e, old)
        led = time.monotonic() - began
        assert call(session(new), 'setData', path='/x', data=b'2',
                    version=-1)[2] == 0
        status = old.wait_exit(4 * STALL_S)
        ended = time.monotonic() - began
        assert status == -signal.SIGABRT, status
        assert 'event=stalled what=disk' in old.log_text()
        assert ended > STALL_S - 1, ended
        shims[old.id].hold_syncs(False)
        old.start()
        old.wait_serving()
        for shim in shims.values():
            shim.close()
        return 'another led after %.1f s, it ended after %.1f s' % (led, ended)


def a_hanging_disk_does_not_end_a_lone_server():
    from shim_disk import ShimDisk
    with Ensemble(servers=1, kind='corral') as e:
        server = e.servers[0]
        shim = ShimDisk(os.environ['SHIM'], server.data_dir, power=False)
        server.env = shim.env
        e.start()
        e.wait_serving()
        conn = session(server)
        call(conn, 'create', path='/x', data=b'')
        shim.hold_syncs(True)
        conn.send_request(77, 'setData', path='/x', data=b'1', version=-1)
        wait_for(lambda: server.log_text().count('event=stalled') >= 1 or
                 not server.alive(), 'a warning', 60)
        assert server.alive(), 'it ended'
        shim.hold_syncs(False)
        wait_for(lambda: conn.read_frame(), 'the answer')
        shim.close()
        assert server.stop() == 0
        return '%d warnings' % server.log_text().count('event=stalled')


def a_slow_disk_that_moves_ends_nobody():
    from shim_disk import ShimDisk
    with Ensemble(servers=3, kind='corral',
                  config='tickTime=1000\nsyncLimit=5\n') as e:
        follower = None
        shims = {}
        for s in e.servers:
            shims[s.id] = ShimDisk(os.environ['SHIM'], s.data_dir, power=False)
            s.env = shims[s.id].env
        e.start()
        e.wait_serving()
        follower = e.followers()[0]
        conn = session(e.leader())
        call(conn, 'create', path='/x', data=b'')
        shims[follower.id].delay_syncs(900000, 900000)
        end = time.monotonic() + 2 * STALL_S
        count = 0
        while time.monotonic() < end:
            assert call(conn, 'setData', path='/x', data=b'1',
                        version=-1)[2] == 0
            count += 1
        assert follower.alive(), 'it ended'
        assert 'stalled' not in follower.log_text()
        for shim in shims.values():
            shim.close()
        return '%d writes beside it' % count


def names_are_resolved():
    """Members known by a name; one of them by a name that nobody knows."""
    with Ensemble(servers=3, kind='corral') as e:
        for s in e.servers:
            s.host = 'localhost'
            s.args = ['--bootstrap']  # or all would be waited for
        e.servers[1].host = 'nowhere.invalid'
        e.servers[0].start()
        e.servers[2].start()
        for s in (e.servers[0], e.servers[2]):
            s.host = '127.0.0.1'  # of the client port, for us
            wait_for(lambda s=s: s.mode() in ('leader', 'follower'),
                     '%r to serve' % s)
        log = e.servers[2].log_text()
        line = re.search('event=peer_unreachable .*id=2.*', log)
        assert line, log
        conn = session(e.servers[0])
        assert call(conn, 'create', path='/x', data=b'')[2] == 0
        return line.group(0)[:120]


def a_second_signal_ends_at_once():
    """A leader without a quorum has nobody to hand over to."""
    with Ensemble(servers=3, kind='corral') as e:
        e.start()
        e.wait_serving()
        leader = e.leader()
        for s in e.followers():
            s.pause()
        os.kill(leader.pid, signal.SIGTERM)
        # Two at once may be one.
        wait_for(lambda: 'event=stopping' in leader.log_text(), 'the first')
        os.kill(leader.pid, signal.SIGTERM)
        began = time.monotonic()
        assert leader.wait_exit(10) == 0
        twice = time.monotonic() - began
        # Not because it had stepped down, or the time for that was over.
        behind = leader.log_text().split('event=stopping')
        assert len(behind) == 3, behind[1:]
        assert 'event=role' not in behind[2], behind[2]
        return '%.0f ms' % (twice * 1000)


TESTS = (thawed_leader_is_not_stale, a_hanging_disk_ends_a_member,
         a_hanging_disk_does_not_end_a_lone_server,
         a_slow_disk_that_moves_ends_nobody, names_are_resolved,
         a_second_signal_ends_at_once)


def main():
    wanted = sys.argv[1:]
    unknown = set(wanted) - {test.__name__ for test in TESTS}
    if unknown:
        sys.exit('no such test: %s' % ' '.join(sorted(unknown)))
    failed = ran = 0
    for test in TESTS:
        if wanted and test.__name__ not in wanted:
            continue
        if 'disk' in test.__name__ and not os.environ.get('SHIM'):
            print('%s: skipped: SHIM is not set' % test.__name__)
            continue
        ran += 1
        began = time.monotonic()
        try:
            note = test()
        except (AssertionError, OSError, EnsembleFailed,
                zkwire.Malformed) as problem:
            failed += 1
            print('%s: FAILED: %r' % (test.__name__, problem))
            continue
        print('%s: ok, %.1f s, %s' % (test.__name__, time.monotonic() - began,
                                      note), flush=True)
    print('%d tests of links, %d failed' % (ran, failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
