#!/usr/bin/python3
"""Damage is named, never served.

    bitflip.py [--part N]     N: each N-th of the offsets only (1 = all)

On the directory of a cleanly stopped server with a few thousand records and
segments of 1 MB, one byte is flipped at every hundredth offset of the part in
use of every file. `corral-dump --verify` must name the file and an offset, or,
but for the log, what it finds must be whole; a server started on each tenth of them must refuse
with the file's name, or serve exactly what was there. Files that hold nothing
of the data (LevelDB's own notes, the lock) may be flipped without notice.
Needs CORRALD and CORRAL_DUMP.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'interop'))
import corral_server  # noqa: E402
import zkwire  # noqa: E402

CONFIG = 'tickTime=2000\npreAllocSize=1024\ndiskReserve=0\n' \
         '4lw.commands.whitelist=*\n'
STEP = 100


def fill(server, prefix='/n'):
    """A few thousand records; the last ones are in the log only."""
    conn = zkwire.Conn(server.address)
    assert conn.handshake(timeout=40000)
    requests = [('create', dict(path=prefix + '%d' % i, data=b'd%d' % i * 40))
                for i in range(3000)]
    requests += [('setData', dict(path=prefix + '%d' % i, data=b's%d' % i * 50))
                 for i in range(0, 3000, 3)]
    requests += [('delete', dict(path=prefix + '%d' % i)) for i in range(0, 3000, 7)]
    for at in range(0, len(requests), 100):
        part = requests[at:at + 100]
        for xid, (op, fields) in enumerate(part, at + 1):
            conn.send_request(xid, op, **fields)
        for _ in part:
            assert conn.read_reply()[2] == 0
    conn.close()


def contents(server):
    """Everything below /, as the server serves it."""
    conn = zkwire.Conn(server.address)
    assert conn.handshake(timeout=40000)
    reply, _ = conn.call(1, 'getChildren', path='/')
    names = sorted(n.decode() for n in reply[3]['names'])
    found = {}
    for at in range(0, len(names), 100):
        part = names[at:at + 100]
        for xid, name in enumerate(part, at + 2):
            conn.send_request(xid, 'getData', path='/' + name)
        for name in part:
            xid, _, err, body = conn.read_reply()
            assert err == 0, (name, err)
            found[name] = (body['data'], body['stat']['version'],
                           body['stat']['czxid'], body['stat']['mzxid'])
    conn.call(1, 'closeSession')
    conn.close()
    return found


def part_in_use(path):
    """Up to the last byte that is not zero."""
    with open(path, 'rb') as f:
        return len(f.read().rstrip(b'\0'))


def is_note(name):
    """Not data: LevelDB's text log and lock, our lock."""
    return name in ('LOG', 'LOG.old', 'LOCK', 'lock') or name.endswith('.lock')


def flip(path, offset):
    with open(path, 'r+b') as f:
        f.seek(offset)
        old = f.read(1)
        f.seek(offset)
        f.write(bytes([old[0] ^ 0x41]))
    return old


def put_back(path, offset, old):
    with open(path, 'r+b') as f:
        f.seek(offset)
        f.write(old)


class Failed(Exception):
    pass


def verify(directory, path, offset):
    """True: whole; False: damage named."""
    done = subprocess.run([os.environ['CORRAL_DUMP'], '--verify', directory],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60)
    text = done.stdout.decode(errors='replace')
    if done.returncode == 0:
        return True
    if done.returncode < 0:
        raise Failed('corral-dump died with %d on %s at %d: %s' % (
            done.returncode, path, offset, text[-500:]))
    name = os.path.basename(path)
    if name not in text or 'offset' not in text:
        raise Failed('%s at %d: neither file nor offset in: %s' % (
            path, offset, text[-500:]))
    return False


def start(directory, path, offset, expected):
    """A server on a copy: serves all, or refuses by name."""
    with tempfile.TemporaryDirectory(prefix='bitflip-') as top:
        copy = os.path.join(top, 'data')
        shutil.copytree(directory, copy)
        server = corral_server.CorralServer(
            CONFIG + 'dataDir=%s\n' % copy, directory=top, start=False)
        try:
            server.start()
        except corral_server.ServerFailed:
            status = server.process.poll()
            text = server.log_text()
            if status is None or status <= 0:
                raise Failed('%s at %d: ended with %r: %s' % (
                    path, offset, status, text[-800:]))
            if os.path.basename(path) not in text:
                raise Failed('%s at %d: not named in: %s' % (
                    path, offset, text[-800:]))
            return False
        finally:
            if server.process.poll() is None and server.port == 0:
                server.process.kill()
        found = contents(server)
        status = server.stop()
        server.close()
        if found != expected:
            raise Failed('%s at %d: served other data' % (path, offset))
        if status != 0:
            raise Failed('%s at %d: stopped with %d' % (path, offset, status))
        return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--part', type=int, default=1)
    args = parser.parse_args()
    top = tempfile.mkdtemp(prefix='bitflip-')
    flips = named = starts = refused = 0
    kinds = {}
    try:
        directory = os.path.join(top, 'data')
        with corral_server.CorralServer(CONFIG + 'dataDir=%s\n' % directory,
                                        directory=top) as server:
            fill(server)
            # A restart turns LevelDB's log into a table; more goes into a new
            # log, so that files of every kind are there.
            assert server.stop() == 0
            server.start()
            fill(server, '/more')
            expected = contents(server)
            assert server.stop() == 0
        if not verify(directory, '', 0):
            raise Failed('a cleanly stopped server left damage')
        number = 0
        for where, _, files in os.walk(directory):
            for name in sorted(files):
                path = os.path.join(where, name)
                if is_note(name):
                    continue
                # state.0, log.1.10000002a, 000005.ldb, MANIFEST-000004
                first, _, rest = name.partition('.')
                kind = 'leveldb ' + rest if first.isdigit() else \
                    first.partition('-')[0]
                size = part_in_use(path)
                for offset in range(0, size, STEP):
                    number += 1
                    # Of a small file every offset; it is soon done.
                    if number % args.part and size > 2000:
                        continue
                    old = flip(path, offset)
                    flips += 1
                    whole = verify(directory, path, offset)
                    named += not whole
                    # Every byte of a record and of a batch's header counts.
                    if whole and kind == 'log':
                        raise Failed('%s at %d: not noticed' % (path, offset))
                    count = kinds.setdefault(kind, [0, 0])
                    count[0] += 1
                    count[1] += not whole
                    if flips % 10 == 0:
                        starts += 1
                        served = start(directory, path, offset, expected)
                        refused += not served
                        if served and not whole and not recovered(path):
                            raise Failed('%s at %d: --verify says damage, a '
                                         'server serves' % (path, offset))
                    put_back(path, offset, old)
        if not verify(directory, '', 0):
            raise Failed('the test did not put everything back')
    except Failed as e:
        print('FAILED: %s' % e)
        return 1
    finally:
        shutil.rmtree(top, ignore_errors=True)
    print(', '.join('%s %d of %d' % (k, v[1], v[0])
                    for k, v in sorted(kinds.items())))
    print('%d flips, %d named; %d starts, %d refused, the others served all' % (
        flips, named, starts, refused))
    return 0 if named > flips // 2 else 1


def recovered(path):
    """One of two state slots may be lost: the other one stands."""
    return os.path.basename(path).startswith('state.')


if __name__ == '__main__':
    sys.exit(main())
