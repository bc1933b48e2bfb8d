#!/usr/bin/python3
"""Nothing acknowledged is lost when the power goes.

    powercut.py kills [--count N] [--seed S]   kill -9 at random moments, and
                                               soon after new files and syncs
                                               of LevelDB, under pipelined load
                                               of 8 clients
    powercut.py sync-fails                     the disk fails one fdatasync
    powercut.py sync-slow                      slow syncs are told of
    powercut.py disk-full                      no space left, then space again

Needs CORRALD (the server) and SHIM (tests/support/shim.c, built). Each client
works in its own subtree with a sequence of operations that its seed fixes. One
session's operations are applied in order, so what is found after a restart must
be the subtree after the first k of them, for some k between the number that was
acknowledged and the number that was sent.
"""

import argparse
import os
import random
import select
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, '..', 'interop'))
import corral_server  # noqa: E402
import shim_disk  # noqa: E402
import zkwire  # noqa: E402

CLIENTS = 8
DEPTH = 16
CONFIG = 'tickTime=2000\nmaxClientCnxns=0\npreAllocSize=1024\n' \
         '4lw.commands.whitelist=*\ndiskReserve=%d\n'


# Where the power goes, and how many such places are passed by at most.
PLACES = {0: ('at any moment', 0),
          shim_disk.TRAP_ENTRY: ('behind a new file', 3),
          shim_disk.TRAP_ENTRY_BELOW: ('behind a new file of LevelDB', 1),
          shim_disk.TRAP_SYNC_BELOW: ('behind a sync of LevelDB', 8)}
# LevelDB goes on to a new log every four megabytes: much goes there.
OFTEN = 'checkpointRecords=20\ncheckpointBytes=16k\n'


class Lost(Exception):
    pass


class Model:
    """What one client's subtree is after its first k operations."""

    def __init__(self, root):
        self.root = root
        self.nodes = {}    # name -> [data, version]
        self.sequence = 0  # creates below the root so far
        self.random = random.Random(root)
        self.count = 0

    def next(self):
        """The next operation, as (op, fields, change)."""
        r = self.random
        self.count += 1
        data = b'%d:' % self.count + bytes([self.count % 251]) * r.choice(
            [0, 10, 100, 100, 1000, 5000])
        what = r.random()
        names = sorted(self.nodes)
        if what < 0.3 or len(names) < 3:
            name = 's%010d' % self.sequence
            op = ('create', dict(path=self.root + '/s', data=data, flags=2))
            change = ('new', name, data)
        elif what < 0.65:
            name = r.choice(names)
            op = ('setData', dict(path=self.root + '/' + name, data=data,
                                  version=self.nodes[name][1]))
            change = ('set', name, data)
        elif what < 0.8 and len(names) > 5:
            name = r.choice(names)
            op = ('delete', dict(path=self.root + '/' + name))
            change = ('delete', name, None)
        else:
            first, second = r.sample(names, 2)
            op = ('multi', dict(ops=[
                ('setData', dict(path=self.root + '/' + first, data=data)),
                ('check', dict(path=self.root + '/' + second,
                               version=self.nodes[second][1])),
                ('delete', dict(path=self.root + '/' + second))]))
            change = ('multi', (first, second), data)
        self.apply(change)
        return op[0], op[1], change

    def apply(self, change):
        what, name, data = change
        if what == 'new':
            self.nodes[name] = [data, 0]
            self.sequence += 1
        elif what == 'set':
            self.nodes[name] = [data, self.nodes[name][1] + 1]
        elif what == 'delete':
            del self.nodes[name]
        else:
            self.nodes[name[0]] = [data, self.nodes[name[0]][1] + 1]
            del self.nodes[name[1]]


class Client:
    """One pipelined session over rounds of the server's life."""

    def __init__(self, number):
        self.root = '/c%d' % number
        self.conn = None
        self.ahead = Model(self.root)    # after everything sent
        self.behind = Model(self.root)   # after what is known to be there
        self.sent = []                   # changes since behind
        self.acked = 0                   # of those
        self.session = None

    def open(self, address):
        self.conn = zkwire.Conn(address)
        if not self.conn.handshake(timeout=40000):
            raise Lost('a new session was refused')
        self.session = (self.conn.session, self.conn.password)
        self.xid = 0
        reply, _ = self.call('create', path=self.root)
        if reply[2] not in (0, -110):
            raise Lost('%s: %r' % (self.root, reply))
        reply, _ = self.call('create', path='/e%s-%x' % (
            self.root[1:], self.conn.session), flags=1)
        if reply[2] != 0:
            raise Lost('ephemeral: %r' % (reply,))
        self.ephemeral = reply[3]['path']
        self.first_xid = self.xid + 1
        self.conn.sock.setblocking(False)

    def call(self, op, **fields):
        self.xid += 1
        return self.conn.call(self.xid, op, **fields)

    def push(self):
        """Sends until DEPTH requests are on their way."""
        out = b''
        while len(self.sent) - self.acked < DEPTH:
            op, fields, change = self.ahead.next()
            self.xid += 1
            self.conn.ops[self.xid] = op
            out += zkwire.request(self.xid, op, **fields)
            self.sent.append(change)
        if out:
            self.conn.sock.setblocking(True)
            try:
                self.conn.sock.sendall(out)
            except ConnectionError:
                pass  # the server ended: pull() says so
            self.conn.sock.setblocking(False)

    def pull(self):
        """Takes what came; False when the connection ended."""
        alive = True
        while True:
            try:
                more = self.conn.sock.recv(1 << 16)
            except BlockingIOError:
                break
            except ConnectionError:
                more = b''
            if not more:
                alive = False
                break
            self.conn.buffer += more
        buffer = self.conn.buffer
        at = 0
        while len(buffer) - at >= 4:
            n = int.from_bytes(buffer[at:at + 4], 'big')
            if len(buffer) - at < 4 + n:
                break
            xid, _, err, body = zkwire.parse_reply(
                buffer[at + 4:at + 4 + n], self.conn.ops.get)
            at += 4 + n
            if xid != self.first_xid + self.acked:
                raise Lost('%s: xid %d out of turn' % (self.root, xid))
            results = body.get('results', [])
            if err != 0 or any(r[0] == -1 for r in results):
                raise Lost('%s: operation %d refused: %d %r' % (
                    self.root, self.acked, err, results))
            change = self.sent[self.acked]
            if change[0] == 'new' and not body['path'].endswith(
                    change[1].encode()):
                raise Lost('%s: sequential name %r, expected %s' % (
                    self.root, body['path'], change[1]))
            self.acked += 1
        self.conn.buffer = buffer[at:]
        return alive

    def verify(self, address):
        """Finds the k that fits what the server has; the rest never was."""
        conn = zkwire.Conn(address)
        if not conn.handshake(timeout=40000, session=self.session[0],
                              password=self.session[1]):
            raise Lost('%s: its session is gone' % self.root)
        found = {}
        reply, _ = conn.call(1, 'getChildren2', path=self.root)
        if reply[2] != 0:
            raise Lost('%s: %r' % (self.root, reply))
        stat = reply[3]['stat']
        names = [name.decode() for name in reply[3]['names']]
        for xid, name in enumerate(names):
            reply, _ = conn.call(2 + xid, 'getData',
                                 path=self.root + '/' + name)
            found[name] = [reply[3]['data'], reply[3]['stat']['version']]
        sequence = (stat['cversion'] + stat['numChildren']) // 2
        k = 0
        while not (k >= self.acked and found == self.behind.nodes and
                   sequence == self.behind.sequence):
            if k == len(self.sent):
                raise Lost('%s: %d acknowledged of %d sent; no state from '
                           'there on is what the server has' % (
                               self.root, self.acked, len(self.sent)))
            self.behind.apply(self.sent[k])
            k += 1
        # The ephemeral lives as its session does, and goes with it.
        reply, _ = conn.call(1, 'exists', path=self.ephemeral)
        if reply[2] != 0:
            raise Lost('%s: its ephemeral is gone' % self.root)
        conn.call(2, 'closeSession')
        conn.close()
        behind = self.behind
        behind.random.setstate(self.ahead.random.getstate())
        behind.count = self.ahead.count
        self.ahead = Model(self.root)
        self.ahead.nodes = {n: list(v) for n, v in behind.nodes.items()}
        self.ahead.sequence = behind.sequence
        self.ahead.random.setstate(behind.random.getstate())
        self.ahead.count = behind.count
        kept, self.sent, self.acked = k, [], 0
        return kept


class World:
    def __init__(self, reserve=0, sync_delay_us=1500, config=''):
        self.top = tempfile.mkdtemp(prefix='powercut-')
        self.data = os.path.join(self.top, 'data')
        self.disk = shim_disk.ShimDisk(os.environ['SHIM'], self.data)
        self.disk.delay_syncs(sync_delay_us)
        self.server = corral_server.CorralServer(
            config=CONFIG % reserve + config + 'dataDir=%s\n' % self.data,
            env=self.disk.env, start=False,
            directory=os.path.join(self.top, 'run'))
        os.makedirs(self.server.directory, exist_ok=True)

    def close(self):
        self.server.close()
        self.disk.close()
        shutil.rmtree(self.top, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            print('---- the server\'s log ----\n' +
                  self.server.log_text()[-6000:])
            if os.environ.get('KEEP'):
                shutil.copytree(self.top, os.environ['KEEP'],
                                dirs_exist_ok=True)
        self.close()


def load_until(clients, moment):
    """Keeps all clients busy; returns at the moment or when one ended."""
    while time.monotonic() < moment:
        for client in clients:
            client.push()
        left = moment - time.monotonic()
        ready, _, _ = select.select([c.conn.sock for c in clients], [], [],
                                    max(left, 0))
        for client in clients:
            if client.conn.sock in ready and not client.pull():
                return False
    return True


def kills(count, seed):
    r = random.Random(seed)
    acked = kept = lost_bytes = lost_entries = 0
    with World() as world:
        clients = [Client(i) for i in range(CLIENTS)]
        places = [r.choice([0, *PLACES]) for _ in range(count + 1)]
        calm = world.server.config
        world.server.start()
        for number, place in enumerate(places[:count]):
            for client in clients:
                client.open(world.server.address)
            # At any moment, or where it hurts: with a new file or LevelDB's
            # last batch among what is not durable.
            world.disk.trap(place, r.randint(0, PLACES[place][1]))
            load_until(clients, time.monotonic() + (5 if place else r.choice(
                [0.02, 0.1, 0.3, 0.6, 1.2]) * r.random()))
            world.server.kill()
            world.disk.trap(0)
            for client in clients:
                client.pull()
                acked += client.acked
                client.conn.close()
            mode = r.choice(['all', 'random', 'random', 'none'])
            undone = world.disk.power_cut(mode, r)
            lost_bytes += undone['bytes']
            lost_entries += undone['entries']
            world.server.config = calm + (OFTEN if places[number + 1] else '')
            try:
                world.server.start()
                for client in clients:
                    kept += client.verify(world.server.address)
            except (Lost, corral_server.ServerFailed) as e:
                raise Lost('kill %d (%s, %s undone, seed %d): %s' % (
                    number + 1, PLACES[place][0], mode, seed,
                    str(e).strip().splitlines()[-1]))
    print('%d kills: %d acknowledged, %d kept, none lost; %d unsynced bytes '
          'and %d directory entries undone' % (count, acked, kept, lost_bytes,
                                               lost_entries))
    if count >= 10 and lost_bytes == 0:
        raise Lost('the power cuts undid nothing: the test tests nothing')


def sync_fails():
    """The process ends at once, with the reason, and acknowledges no more."""
    with World(sync_delay_us=300) as world:
        clients = [Client(i) for i in range(CLIENTS)]
        world.server.start()
        for client in clients:
            client.open(world.server.address)
        load_until(clients, time.monotonic() + 0.5)
        world.disk.fail_syncs(1)
        ended = not load_until(clients, time.monotonic() + 5)
        if not ended:
            raise Lost('a failed sync did not end the server')
        status = world.server.wait_exit()
        if status == 0:
            raise Lost('exit status 0 after a failed sync')
        log = world.server.log_text()
        if 'sync' not in log.splitlines()[-1] or 'level=error' not in log:
            raise Lost('no reason in the log: %s' % log[-500:])
        for client in clients:
            client.pull()
            client.conn.close()
        # A failed sync leaves nothing of what was written since the last one.
        world.disk.power_cut('all', random.Random(1))
        world.server.start()
        for client in clients:
            client.verify(world.server.address)
    print('sync-fails: ended at once with status %d, nothing lost' % status)


def sync_slow():
    """fsync.warningthresholdms: a slow log is told of, a fast one is not."""
    for delay_us, ms in (200000, 20), (0, 60000):
        with World(sync_delay_us=delay_us,
                   config='fsync.warningthresholdms=%d\n' % ms) as world:
            client = Client(0)
            world.server.start()
            client.open(world.server.address)
            load_until([client], time.monotonic() + 1)
            client.conn.close()
            told = 'event=disk_slow' in world.server.log_text()
            if told != (delay_us > 0):
                raise Lost('syncs of up to %d us, a threshold of %d ms: %s' % (
                    delay_us, ms, 'told' if told else 'not told'))
    print('sync-slow: told of, and only then')


def disk_full():
    """Writes that add are refused, the rest goes on; space heals it."""
    reserve = 32 << 20
    with World(reserve=reserve, sync_delay_us=0) as world:
        world.disk.free_bytes(160 << 20)
        world.server.start()
        conn = zkwire.Conn(world.server.address)
        conn.handshake(timeout=40000)
        xid, made, refused = 0, 0, None
        data = bytes(100000)
        while refused is None and made < 2000:
            xid += 1
            reply, _ = conn.call(xid, 'create', path='/n%d' % made, data=data)
            if reply[2] == 0:
                made += 1
            else:
                refused = reply[2]
        if refused != -125:
            raise Lost('a full disk answers %r after %d creates' % (refused,
                                                                    made))
        reply, _ = conn.call(xid + 1, 'getData', path='/n0')
        if reply[2] != 0:
            raise Lost('no reads on a full disk: %r' % (reply,))
        for i in range(min(made, 50)):
            reply, _ = conn.call(xid + 2 + i, 'delete', path='/n%d' % i)
            if reply[2] != 0:
                raise Lost('no deletes on a full disk: %r' % (reply,))
        xid += 100
        world.disk.free_bytes(1 << 40)

        def healed():
            nonlocal xid
            xid += 1
            reply, _ = conn.call(xid, 'create', path='/again', data=data)
            return reply[2] == 0

        corral_server.wait_for(healed, 'writes after space came back')
        # And a start on a full disk.
        world.server.kill()
        world.disk.free_bytes(0)
        world.server.start()
        conn = zkwire.Conn(world.server.address)
        conn.handshake(timeout=40000)
        reply, _ = conn.call(1, 'getData', path='/again')
        if reply[2] != 0:
            raise Lost('after a start on a full disk: %r' % (reply,))
        reply, _ = conn.call(2, 'create', path='/more', data=data)
        if reply[2] != -125:
            raise Lost('a full disk took a write: %r' % (reply,))
        world.disk.free_bytes(1 << 40)
    print('disk-full: refused after %d creates, healed, started full' % made)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('what', choices=['kills', 'sync-fails', 'sync-slow',
                                         'disk-full'])
    parser.add_argument('--count', type=int, default=20)
    parser.add_argument('--seed', type=int, default=1)
    args = parser.parse_args()
    try:
        if args.what == 'kills':
            kills(args.count, args.seed)
        elif args.what == 'sync-fails':
            sync_fails()
        elif args.what == 'sync-slow':
            sync_slow()
        else:
            disk_full()
    except Lost as e:
        print('LOST: %s' % e)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
