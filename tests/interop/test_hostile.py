#!/usr/bin/python3
"""Bad input of every kind that a client port can get: each test is a row of the
attacks that broke others. After each, an ordinary client is served at once, the
server's memory has not grown beyond reason, and no step of its loop was slow.

    test_hostile.py [NAME...]
"""

import os
import random
import re
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import zkwire  # noqa: E402
from corral_server import CorralServer, wait_for  # noqa: E402

CONFIG = ('tickTime=2000\nmaxClientCnxns=0\n4lw.commands.whitelist=*\n'
          'DigestAuthenticationProvider.superDigest='
          'super:xQJmxLMiHGwaqBvst5y6rkB6HQs=\n')
BIG = 2 ** 31 - 1
MB = 1 << 20


def session(server, **fields):
    conn = zkwire.Conn(server.address)
    assert conn.handshake(**dict({'timeout': 30000}, **fields))
    return conn


def call(conn, op, **fields):
    conn.xid = getattr(conn, 'xid', 0) + 1
    reply, _ = conn.call(conn.xid, op, **fields)
    return reply


def code(conn, op, **fields):
    reply = call(conn, op, **fields)
    return None if reply is None else reply[2]


def closed(sock, deadline_s=20):
    """True when the server closes (whatever it said before)."""
    sock.settimeout(deadline_s)
    try:
        while sock.recv(65536):
            pass
        return True
    except ConnectionResetError:
        return True
    except socket.timeout:
        return False


def raw(server, data):
    sock = socket.create_connection(server.address, 20)
    try:
        sock.sendall(data)
    except ConnectionError:
        pass  # refused before all of it was taken
    return sock


# ---- frames and lengths

def frame_lengths(server):
    """Negative and huge frame lengths close the connection."""
    for length in (-1, -2, -2 ** 31, BIG, 0x100000, 0x7f000000):
        assert closed(raw(server, struct.pack('>i', length) + b'x' * 100)), \
            length
        conn = session(server)
        conn.send(struct.pack('>i', length) + b'x' * 100)
        assert closed(conn.sock), length
    # The largest frame that is allowed is served.
    conn = session(server)
    room = 0xfffff - 8 - 4 - 6 - 4 - 4
    assert code(conn, 'create', path='/limit') == 0
    assert code(conn, 'setData', path='/limit', data=b'x' * room) == 0


def length_bombs(server):
    """Every length and count inside a record: -2, 2^31-1, more than is there.
    The answer is -5, or the connection is closed; nothing is allocated."""
    conn = session(server)
    bombs = 0
    bodies = {
        'create': zkwire.body_of('create', path='/bomb', data=b'data'),
        'setData': zkwire.body_of('setData', path='/bomb', data=b'data'),
        'setACL': zkwire.body_of('setACL', path='/bomb'),
        'setWatches': zkwire.body_of('setWatches', data=['/a'], exist=['/b'],
                                     child=['/c']),
        'setWatches2': zkwire.body_of('setWatches2', data=['/a'],
                                      recursive=['/b']),
        'multi': zkwire.body_of('multi', ops=[('delete', {'path': '/x'})]),
        'auth': zkwire.body_of('auth', scheme='digest', auth=b'a:b'),
        'reconfig': zkwire.body_of('reconfig', joining='x'),
        'getData': zkwire.body_of('getData', path='/bomb'),
        'addWatch': zkwire.body_of('addWatch', path='/bomb'),
    }
    before = server.rss_bytes()
    for op, body in bodies.items():
        for at in range(0, len(body) - 3):
            for value in (-2, BIG, 0x00ffffff):
                broken = body[:at] + struct.pack('>i', value) + body[at + 4:]
                xid = {'auth': -4, 'setWatches': -8,
                       'setWatches2': -8}.get(op, bombs + 1)
                conn.ops[xid] = op
                try:
                    conn.send(zkwire.frame(struct.pack(
                        '>ii', xid, zkwire.OPS[op]) + broken))
                    while True:
                        frame = conn.read_frame()
                        if frame is None or \
                                struct.unpack('>i', frame[:4])[0] == xid:
                            break
                except ConnectionError:
                    frame = None
                if frame is None:
                    conn = session(server)
                bombs += 1
    grown = server.rss_bytes() - before
    assert grown < 64 * MB, 'grew by %d MB' % (grown // MB)
    return '%d bombs' % bombs


def random_bytes(server):
    """Random frames on open sessions, random bytes on fresh connections."""
    r = random.Random(7)
    conn = session(server)
    for i in range(3000):
        if i % 10 == 0:
            sock = raw(server, r.randbytes(r.randrange(1, 200)))
            sock.close()
            continue
        body = struct.pack('>ii', i, r.choice(list(zkwire.OPS.values()) + [
            0, -5, 99, 1000, -2 ** 31])) + r.randbytes(r.randrange(60))
        try:
            conn.send(zkwire.frame(body))
        except ConnectionError:
            conn = session(server)
        if i % 50 == 0:
            conn.close()
            conn = session(server)


def short_frames(server):
    """Frames too short for a request header close; empty ones too."""
    for body in (b'', b'\0', b'\0\0\0\1', b'\0\0\0\1\0\0\0'):
        conn = session(server)
        conn.send(zkwire.frame(body))
        assert closed(conn.sock), body


def handshakes(server):
    """Broken ConnectRequests close without an answer; odd ones are served."""
    good = zkwire.connect()[4:]
    for cut in (0, 1, 10, 27, 30, 43):
        assert closed(raw(server, zkwire.frame(good[:cut]))), cut
    for length in (-2, BIG, 1000):
        broken = good[:24] + struct.pack('>i', length) + good[28:]
        assert closed(raw(server, zkwire.frame(broken))), length
    for password in (None, b'', b'x' * 16):
        conn = session(server, password=password)
        assert len(conn.password) == 16
    conn = session(server, read_only=None)
    assert conn.response_size == 36
    assert session(server).response_size == 37
    # Before the handshake nobody may make the server keep a megabyte.
    assert closed(raw(server, struct.pack('>i', 5000) + b'x'))
    conn = session(server, password=b'p' * 3000)
    assert len(conn.password) == 16
    # A lastZxidSeen from the future: closed without a word.
    conn = zkwire.Conn(server.address)
    conn.send(zkwire.connect(last_zxid=1 << 62))
    assert conn.read_frame() is None


def opcodes(server):
    """Unknown opcodes and those that clients may not send."""
    conn = session(server)
    for op, expected in ((0, -6), (13, -6), (10, -6), (999, -6), (-7, -6),
                         (-10, -8), (20, -8), (2 ** 31 - 1, -6)):
        conn.xid = getattr(conn, 'xid', 0) + 1
        conn.ops[conn.xid] = 'ping'
        conn.send(zkwire.frame(struct.pack('>ii', conn.xid, op) +
                               zkwire.blob('/x') + zkwire.i32(0)))
        reply = conn.read_reply()
        assert reply is not None and reply[2] == expected, (op, reply)
    assert code(conn, 'create', path='/after-unknown') == 0


def big_transactions(server):
    """A multi whose transaction would be over the limit is refused before it is
    proposed, and the server starts again on what it has (ZOOKEEPER-3496)."""
    conn = session(server)
    ops = [('create', {'path': '/many-%d' % i}) for i in range(9000)]
    assert code(conn, 'multi', ops=ops) == 0
    ops = [('delete', {'path': '/many-%d' % i}) for i in range(9000)]
    assert code(conn, 'multi', ops=ops) == 0
    assert code(conn, 'create', path='/acl', acl=[
        (31, 'digest', 'u%d:x' % i) for i in range(30000)]) in (0, -5, -114)


def paths(server):
    conn = session(server)
    bad = ['', 'a', '//', '/a/', '/a//b', '/.', '/..', '/a/./b', '/a/../b',
           '/\0', '/a\0b', '/\x1f', '/\x7f', '/\x9f', '/\ud800', '/\ue000',
           '/\uf8ff', '/\ufff0', '/\uffff', '/\U0001f600', '/' + 'x\0']
    for path in bad:
        # Where the parent is looked at first and is not there: no node.
        assert code(conn, 'create', path=path) in (-8, -101), repr(path)
        for op in ('delete', 'setData', 'exists', 'getData', 'getChildren',
                   'getACL', 'setACL', 'getAllChildrenNumber', 'addWatch',
                   'removeWatches', 'sync'):
            assert code(conn, op, path=path) is not None, (op, path)
    for raw_path in (b'/\xff\xfe', b'/\xc0\x80', b'/\xed\xa0\x80', b'/\xe2\x82',
                     b'/\xf0\x9f\x98\x80'):
        assert code(conn, 'create', path=raw_path) == -8, raw_path
    for path in ('/', '/zookeeper', '/zookeeper/quota', '/zookeeper/config'):
        assert code(conn, 'delete', path=path) == -8, path
    assert code(conn, 'setData', path='/zookeeper/config', data=b'x') == -102
    assert code(conn, 'setData', path='/', data=b'root') == 0
    assert code(conn, 'setData', path='', data=b'x') in (-8, -101)
    long_name = '/' + 'n' * 1000000
    assert code(conn, 'create', path=long_name) == 0
    assert code(conn, 'delete', path=long_name) == 0
    assert code(conn, 'create', path='/\u4e2d\u6587') == 0


# ---- who may

def sessions(server):
    """A guessed id, a wrong password: the answer is 'expired', in time that
    does not depend on the password."""
    conn = session(server)
    for number, password in ((conn.session, b'\0' * 16),
                             (conn.session, b''), (conn.session, None),
                             (conn.session, conn.password[:15] + b'\0'),
                             (conn.session, conn.password + b'x'),
                             (conn.session + 1, conn.password), (1, b'x' * 16),
                             (-1, conn.password)):
        thief = zkwire.Conn(server.address)
        assert not thief.handshake(session=number, password=password)
        assert thief.session == 0 and thief.timeout == 0, thief.session
        assert thief.password == b'\0' * 16
        assert thief.read_frame() is None
    assert code(conn, 'exists', path='/') == 0, 'the owner was thrown out'
    passwords = {session(server).password for _ in range(20)}
    assert len(passwords) == 20


def acls(server):
    conn, other = session(server), session(server)
    conn.ops[-4] = other.ops[-4] = 'auth'
    conn.send(zkwire.request(-4, 'auth', scheme='digest', auth=b'ann:secret'))
    assert conn.read_reply()[2] == 0
    mine = [(31, 'auth', '')]
    assert code(conn, 'create', path='/mine', acl=mine) == 0
    for op, fields in (('getData', {}), ('setData', {}), ('exists', {}),
                       ('getChildren', {}), ('getACL', {}), ('setACL', {}),
                       ('getAllChildrenNumber', {})):
        assert code(other, op, path='/mine', **fields) == -102, op
    assert code(other, 'create', path='/mine/x') == -102
    # Deleting asks the parent: not recursive, and documented.
    assert code(conn, 'create', path='/mine/open') == 0
    assert code(other, 'delete', path='/mine/open') == -102
    # A refusal says nothing about what is there.
    assert code(other, 'create', path='/mine/open') == -102
    # Hashes are shown to nobody but an administrator of the node.
    both = [(1, 'world', 'anyone'), (31, 'auth', '')]
    assert code(conn, 'create', path='/shown', acl=both) == 0
    masked = call(other, 'getACL', path='/shown')[3]['acl']
    assert (31, b'digest', b'ann:x') in masked, masked
    whole = call(conn, 'getACL', path='/shown')[3]['acl']
    assert any(i.startswith(b'ann:') and len(i) > 10 for _, _, i in whole)
    # Events of what may not be read are not told (CVE-2024-23944).
    assert code(conn, 'create', path='/seen') == 0
    assert code(other, 'addWatch', path='/seen', mode=1) == 0
    assert code(conn, 'create', path='/seen/hidden', acl=mine) == 0
    assert code(conn, 'setData', path='/seen/hidden', data=b'x') == 0
    assert code(conn, 'delete', path='/seen/hidden') == 0
    assert code(conn, 'create', path='/seen/open') == 0
    reply, events = other.call(900, 'exists', path='/seen')
    assert [e[3]['path'] for e in events] == [b'/seen/open'], events
    # Super comes from the configuration only.
    other.send(zkwire.request(-4, 'auth', scheme='digest', auth=b'super:wrong'))
    assert other.read_reply()[2] == 0
    assert code(other, 'getData', path='/mine') == -102
    other.send(zkwire.request(-4, 'auth', scheme='digest', auth=b'super:admin'))
    assert other.read_reply()[2] == 0
    assert code(other, 'getData', path='/mine') == 0
    # An unknown scheme is answered and the connection closed.
    other.send(zkwire.request(-4, 'auth', scheme='nosuch', auth=b'x'))
    assert other.read_reply()[2] == -115
    assert closed(other.sock)


def many_auths(server):
    """Credentials pile up only so far."""
    conn = session(server)
    conn.ops[-4] = 'auth'
    for i in range(200):
        conn.send(zkwire.request(-4, 'auth', scheme='digest',
                                 auth=b'u%d:p' % i))
        reply = conn.read_reply()
        if reply is None or reply[2] != 0:
            return 'refused after %d' % i
    raise AssertionError('200 ids were taken')


def quotas(server):
    conn = session(server)
    for text in (b'count=99999999999999999999,bytes=-99999999999999999999',
                 b'count=-5,bytes=-1', b'', b'nonsense', b'=,=,;;',
                 b'count=1,bytes=1=;byteHardLimit=9223372036854775808',
                 None, b'\xff' * 100):
        for path in ('/zookeeper/quota/q', '/zookeeper/quota/q/zookeeper_stats',
                     '/zookeeper/quota/q/zookeeper_limits'):
            code(conn, 'create', path=path, data=text)
            code(conn, 'setData', path=path, data=text)
        code(conn, 'create', path='/q')
        assert code(conn, 'setData', path='/q', data=b'x') in (0, -125)
        code(conn, 'delete', path='/zookeeper/quota/q/zookeeper_limits')
        code(conn, 'delete', path='/zookeeper/quota/q/zookeeper_stats')
        code(conn, 'delete', path='/zookeeper/quota/q')
        code(conn, 'delete', path='/q')
    code(conn, 'create', path='/q')
    code(conn, 'create', path='/zookeeper/quota/q')
    assert code(conn, 'create', path='/zookeeper/quota/q/zookeeper_limits',
                data=b'count=-1,bytes=-1=;countHardLimit=3') == 0
    assert code(conn, 'create', path='/zookeeper/quota/q/zookeeper_stats',
                data=b'') == 0
    assert [code(conn, 'create', path='/q/%d' % i) for i in range(3)] == \
        [0, 0, -125]


# ---- too slow, too many

def idle_and_slow(server):
    """Idle connections, half handshakes and readers that do not read: one
    ordinary client does not notice."""
    count = 10000 if os.environ.get('LONG') or not os.environ.get(
        'ASAN_OPTIONS') else 1000
    socks = []
    hello = zkwire.connect(timeout=40000)
    for i in range(count):
        sock = socket.create_connection(server.address, 20)
        if i % 10 == 0:
            sock.sendall(hello[:20])  # half a handshake
        elif i % 10 == 1:
            pass                      # not a byte
        else:
            sock.sendall(hello)
        socks.append(sock)
    slow = []
    maker = session(server)
    assert code(maker, 'create', path='/fat', data=b'x' * 500000) == 0
    for _ in range(20):
        conn = session(server)
        for xid in range(1, 200):
            try:
                conn.sock.settimeout(0.05)
                conn.send(zkwire.request(xid, 'getData', path='/fat'))
            except (socket.timeout, BlockingIOError):
                break  # it stopped reading us: that is the point
        slow.append(conn)
    before = server.rss_bytes()
    conn = session(server)
    worst = 0
    for i in range(300):
        began = time.monotonic()
        assert code(conn, 'create', path='/work-%d' % i) == 0
        assert code(conn, 'delete', path='/work-%d' % i) == 0
        worst = max(worst, time.monotonic() - began)
    assert before < 1200 * MB, before
    for sock in socks:
        sock.close()
    for c in slow:
        c.close()
    return '%d connections, %d MB, slowest pair of writes %.1f ms' % (
        count, before // MB, worst * 1000)


def slow_reader_is_stopped(server):
    """Who does not take answers is not read any more; memory stays bounded, and
    the answers come whole once it reads."""
    conn = session(server)
    assert code(conn, 'create', path='/page', data=b'p' * 100000) == 0
    before = server.rss_bytes()
    sent = 0
    conn.sock.setblocking(False)
    data = b''.join(zkwire.request(xid, 'getData', path='/page')
                    for xid in range(1000, 6000))
    idle_since = time.monotonic()
    while sent < len(data) and time.monotonic() - idle_since < 1.0:
        try:
            sent += conn.sock.send(data[sent:sent + 65536])
            idle_since = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)  # until it has been refused for a second
    grown = server.rss_bytes() - before
    assert grown < 64 * MB, 'grew by %d MB' % (grown // MB)
    conn.sock.setblocking(True)
    for xid in range(1000, 1000 + 2000):
        conn.ops[xid] = 'getData'
        if sent < len(data):
            # Makes room for the rest as answers are taken.
            conn.sock.setblocking(False)
            try:
                sent += conn.sock.send(data[sent:sent + 65536])
            except BlockingIOError:
                pass
            conn.sock.setblocking(True)
        reply = conn.read_reply()
        assert reply[0] == xid and len(reply[3]['data']) == 100000
    return 'grew by %d MB' % (grown // MB)


def words_slowly(server):
    """Four-letter words a byte at a time, cut short, and read slowly."""
    for word, expected in ((b'ruok', b'imok'), (b'srvr', b'Mode: standalone')):
        sock = socket.create_connection(server.address, 20)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(4):
            sock.sendall(word[i:i + 1])
        data = b''
        while True:
            part = sock.recv(4096)
            if not part:
                break
            data += part
        assert expected in data, data
    # stmk wants eight more bytes; half of them, then silence or the end.
    sock = raw(server, b'stmk\0\0\0')
    sock.shutdown(socket.SHUT_WR)
    assert closed(sock)
    # Telnet's interrupt.
    assert closed(raw(server, b'\xff\xf4\xff\xfd\x06'))
    assert closed(raw(server, b'GET / HTTP/1.0\r\n\r\n'))


def oversize_reply(server):
    """A list of children over the limit of a reply is an error, not a crash;
    a list below it that takes long is made in slices."""
    conn = session(server)
    assert code(conn, 'create', path='/wide') == 0
    name = 'n' * 200

    def all_of(op):
        for base in range(0, 90000, 500):
            reply = call(conn, 'multi', ops=[
                (op, {'path': '/wide/%s%06d' % (name, base + i)})
                for i in range(500)])
            assert reply[2] == 0 and reply[3]['results'][0][1] == 0

    all_of('create')
    assert code(conn, 'getChildren', path='/wide') == -5
    assert call(conn, 'getAllChildrenNumber', path='/wide')[3]['value'] == 90000
    all_of('delete')
    assert code(conn, 'delete', path='/wide') == 0


def log_injection(server):
    """No input can forge a line of the log or bring control bytes into it."""
    conn = session(server)
    for path in ('/x\nlevel=error event=forged', '/\x1b[31m', '/a\r\nb'):
        code(conn, 'create', path=path)
        code(conn, 'getData', path=path)
    sock = raw(server, zkwire.frame(b'\nlevel=error event=forged\n' * 3))
    closed(sock)
    # A forged line would begin where the input said, without a time stamp.
    for line in server.log_text().splitlines():
        assert re.match(r'ts=\S+ level=\w+ event=\w+', line) or \
            'ERROR: ' in line, line
        assert all(' ' <= c < '\x7f' for c in line), repr(line)


def fixed_limits(_):
    """Connections per address, connections in all, handshake time."""
    with CorralServer('tickTime=2000\nmaxClientCnxns=5\nmaxCnxns=100\n'
                      'nio.sessionlessCnxnTimeout=300\n') as server:
        conns = [session(server) for _ in range(5)]
        sock = socket.create_connection(server.address, 20)
        assert closed(sock), 'the sixth connection of an address'
        conns.pop().close()
        wait_for(lambda: not_refused(server), 'room after a close')
        # Half a handshake is ended by the clock.
        conns.pop().close()

        def half_ends():
            sock = raw(server, zkwire.connect()[:10])
            return closed(sock, 5)

        assert half_ends()
        assert server.fd_count() < 100


def not_refused(server):
    conn = zkwire.Conn(server.address)
    try:
        return conn.handshake(timeout=10000)
    except OSError:
        return False
    finally:
        conn.close()


def no_secrets(_):
    """Session passwords, auth data and the super digest are in no log line, at
    the most talkative level, and in no dump."""
    with CorralServer(CONFIG, args=['--log-level', 'debug']) as server:
        conn = session(server)
        conn.ops[-4] = 'auth'
        conn.send(zkwire.request(-4, 'auth', scheme='digest',
                                 auth=b'ann:very-secret-word'))
        assert conn.read_reply()[2] == 0
        conn.send(zkwire.request(-4, 'auth', scheme='digest',
                                 auth=b'super:admin'))
        assert conn.read_reply()[2] == 0
        assert code(conn, 'create', path='/s', acl=[(31, 'auth', '')]) == 0
        thief = zkwire.Conn(server.address)
        thief.handshake(session=conn.session, password=b'wrong-wrong-wron')
        text = server.log_text() + ''.join(
            server.word(w) for w in ('conf', 'envi', 'dump', 'cons', 'stat',
                                     'mntr', 'srvr', 'wchc', 'wchp', 'wchs'))
        secrets = [b'very-secret-word', b'wrong-wrong-wron', b'super:admin',
                   b'xQJmxLMiHGwaqBvst5y6rkB6HQs', conn.password,
                   conn.password.hex().encode()]
        for secret in secrets:
            assert secret not in text.encode(errors='replace'), secret
            assert secret.hex() not in text, secret
        assert server.stop() == 0
        dump = os.environ.get('CORRAL_DUMP')
        if dump:
            import subprocess
            out = subprocess.run([dump, server.data_dir],
                                 stdout=subprocess.PIPE).stdout
            assert out
            for secret in secrets:
                assert secret not in out, secret
                assert secret.hex().encode() not in out, secret


TESTS = (frame_lengths, length_bombs, random_bytes, short_frames, handshakes,
         opcodes, big_transactions, paths, sessions, acls, many_auths, quotas,
         words_slowly, log_injection, slow_reader_is_stopped, oversize_reply,
         idle_and_slow, fixed_limits, no_secrets)


def main():
    wanted = sys.argv[1:]
    failed = 0
    with CorralServer(CONFIG) as server:
        for test in TESTS:
            if wanted and test.__name__ not in wanted:
                continue
            began = time.monotonic()
            try:
                note = test(server)
                conn = session(server)
                assert code(conn, 'exists', path='/') == 0
                conn.close()
                assert not server.slow_steps(), server.slow_steps()[-3:]
            except (AssertionError, OSError, zkwire.Malformed) as e:
                failed += 1
                print('%s: FAILED: %r' % (test.__name__, e))
                if server.process.poll() is not None:
                    print('the server ended with %d' % server.process.poll())
                    print(server.log_text()[-3000:])
                    return 1
                continue
            print('%s: ok, %.1f s %s' % (test.__name__,
                                         time.monotonic() - began, note or ''))
        # What came in is also what it starts from.
        server.kill()
        server.start()
        assert code(session(server), 'exists', path='/') == 0
        if server.stop() != 0:
            failed += 1
    print('%d hostile tests, %d failed' % (len(wanted) or len(TESTS), failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
