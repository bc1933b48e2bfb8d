#!/usr/bin/python3
"""Same requests, same answers: drives Apache ZooKeeper and corrald with one
seeded random sequence at byte level and compares everything that comes back.

    differential.py [--seeds N] [--first SEED] [--requests N] [--self]

Compared: every reply and notification, byte structure included. Normalised:
session ids and passwords, times, the order of children and of ACLs, and zxids,
which are renamed in order of first appearance in successful writes (Apache
spends zxids on refusals, corrald does not). The zxid in the header of a read or refusal is
held only against the session's last one. Where ZooKeeper 3.8 (the peer here)
and 3.10 (the reference) answer differently, reconcile() and allowed_38() say
so. --self compares Apache with itself, to test the test.
"""

import argparse
import ast
import base64
import hashlib
import os
import random
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import apache_server  # noqa: E402
import corral_server  # noqa: E402
import zkwire  # noqa: E402

SLOTS = 4
WRITES = {'create', 'create2', 'createContainer', 'createTTL', 'delete',
          'setData', 'setACL', 'multi', 'closeSession'}
AUTHS = [b'alice:secret', b'bob:hunter2', b'nocolon']
DIGEST_ALICE = 'alice:' + base64.b64encode(
    hashlib.sha1(b'alice:secret').digest()).decode()


class Difference(Exception):
    pass


class Side:
    """One server with its connections and what is known of its zxids."""

    def __init__(self, name, address):
        self.name = name
        self.address = address
        self.conns = [None] * SLOTS
        self.zxids = {0: 0}
        self.sessions = {0: 'none'}
        self.last_zxid = [0] * SLOTS
        self.session_no = 0

    def open(self, slot, **fields):
        conn = zkwire.Conn(self.address)
        ok = conn.handshake(**fields)
        if ok and conn.session not in self.sessions:
            self.session_no += 1
            self.sessions[conn.session] = 'session %d' % self.session_no
        self.conns[slot] = conn if ok else None
        if not ok:
            conn.close()
        return ok, conn

    def learn(self, zxid):
        """A successful write's zxid gets the next name."""
        if zxid not in self.zxids:
            self.zxids[zxid] = len(self.zxids)

    def name_of(self, zxid):
        return self.zxids.get(zxid, 'unnamed')


def normal_stat(side, stat, forget_zxids):
    out = dict(stat)
    for key in ('czxid', 'mzxid', 'pzxid'):
        out[key] = None if forget_zxids else side.name_of(stat[key])
    # A time is a time; only that both are set alike can be compared.
    for key in ('ctime', 'mtime'):
        out[key] = stat[key] != 0
    owner = stat['ephemeralOwner']
    out['ephemeralOwner'] = side.sessions.get(owner, 'unknown owner')
    return out


def one_utf8(path):
    """Apache writes what is beyond U+FFFF as two surrogates of three bytes."""
    if path is None:
        return None
    text = path.decode('utf-8', 'surrogatepass')
    return text.encode('utf-16', 'surrogatepass').decode(
        'utf-16', 'replace').encode()


def events_in_runs_sorted(replies):
    """The ephemerals of a session go at one zxid, in no promised order."""
    out, run = [], []
    for reply in replies:
        if reply[0] == 'event':
            run.append(reply)
        else:
            out += sorted(run) + [reply]
            run = []
    return out + sorted(run)


def normal_body(side, op, body):
    out = {}
    for key, value in body.items():
        if key == 'stat':
            out[key] = normal_stat(side, value, False)
        elif key == 'names':
            out[key] = None if value is None else sorted(value)
        elif key == 'acl' and value is not None:
            # "auth" stands for all ids of a connection, which Apache keeps in
            # a hash set.
            out[key] = sorted(value)
        elif key == 'infos':
            out[key] = None if value is None else sorted(value)
        elif key == 'results':
            out[key] = [(kind, err, normal_body(side, None, part))
                        for kind, err, part in value]
        elif key == 'path' and value is not None:
            out[key] = one_utf8(value)
        else:
            out[key] = value
    return out


class Run:
    def __init__(self, seed, left, right, same_kind, verbose):
        self.random = random.Random(seed)
        self.sides = (left, right)
        self.same_kind = same_kind
        self.verbose = verbose
        self.xid = [0] * SLOTS
        self.paths = ['/d%d' % seed]
        self.requests = 0
        self.trace = []
        self.root = '/d%d' % seed
        self.watched = [set() for _ in range(SLOTS)]

    # ---- plumbing

    def both_open(self, slot, session_of=None, wrong=False, **fields):
        results = []
        for side in self.sides:
            if side.conns[slot] is not None:
                side.conns[slot].close()
                side.conns[slot] = None
            f = dict(fields)
            if session_of is not None:
                session, password = session_of[side.name]
                f['session'] = session
                f['password'] = b'\1' * 16 if wrong else password
            ok, conn = side.open(slot, **f)
            results.append((ok, conn.timeout, getattr(conn, 'response_size', 0)))
            if not ok:
                continue
            side.last_zxid[slot] = f.get('last_zxid', 0)
        self.watched[slot] = set()
        self.xid[slot] = 0
        self.compare('handshake of slot %d %s' % (slot, fields), results[0],
                     results[1])
        return results[0][0]

    def compare(self, what, left, right):
        if left != right:
            raise Difference('%s\n    %s: %r\n    %s: %r' % (
                what, self.sides[0].name, left, self.sides[1].name, right))

    def exchange(self, slot, batch):
        """Sends a batch of (op, frame) to both, collects all that comes."""
        answers = []
        for side in self.sides:
            conn = side.conns[slot]
            for xid, op, data in batch:
                conn.ops[xid] = op
            try:
                conn.send(b''.join(data for _, _, data in batch))
            except OSError:
                pass
            got = self.collect(side, slot, [x for x, _, _ in batch])
            others = []
            for other in range(SLOTS):
                if other != slot and side.conns[other] is not None and \
                        any(op in WRITES for _, op, _ in batch):
                    others.append((other, self.flush(side, other)))
            answers.append((got, others))
        left = self.normal(self.sides[0], slot, answers[0])
        right = self.normal(self.sides[1], slot, answers[1])
        if any(op == 'closeSession' for _, op, _ in batch):
            left, right = [(events_in_runs_sorted(own),
                            [(other, events_in_runs_sorted(replies))
                             for other, replies in others])
                           for own, others in (left, right)]
        if not self.same_kind:
            self.reconcile(slot, left[0], right[0])
        self.compare('%s' % [(x, op) for x, op, _ in batch], left, right)
        for side, answer in zip(self.sides, answers):
            if answer[0] and answer[0][-1] == 'closed':
                side.conns[slot].close()
                side.conns[slot] = None
        return answers

    def reconcile(self, slot, left, right):
        """What 3.10 answers otherwise than 3.8, one rule each."""
        for i, (a, b) in enumerate(zip(left, right)):
            if not (isinstance(a, tuple) and isinstance(b, tuple)):
                continue
            op = self.sides[0].conns[slot].ops.get(a[0])
            # exists without READ: allowed by 3.8 (ZOOKEEPER-2590).
            if op == 'exists' and a[:2] == (b[0], 0) and b[1] == -102:
                left[i] = b
            # 3.8 says yes when anybody at all watches the path.
            if op == 'checkWatches' and a[:2] == (b[0], 0) and b[1] == -121:
                left[i] = b

    def collect(self, side, slot, xids):
        """Replies until the last xid was answered, or the end."""
        conn = side.conns[slot]
        out = []
        waiting = list(xids)
        while waiting:
            try:
                reply = conn.read_reply()
            except socket.timeout:
                raise Difference('%s: no answer to xids %s' %
                                 (side.name, waiting))
            if reply is None:
                out.append('closed')
                return out
            out.append(reply)
            if reply[0] in waiting:
                waiting.remove(reply[0])
                if conn.ops.get(reply[0]) == 'closeSession':
                    extra = conn.read_frame()
                    out.append('closed' if extra is None else extra)
                    return out
        return out

    def flush(self, side, slot):
        """Everything that was sent to a connection before now."""
        conn = side.conns[slot]
        conn.ops[-2] = 'ping'
        try:
            conn.send(zkwire.request(-2, 'ping'))
        except OSError:
            return ['closed']
        return self.collect(side, slot, [-2])

    def normal(self, side, slot, answer):
        got, others = answer
        # Names first: the writes' own zxids, in order.
        for reply in got:
            if isinstance(reply, tuple) and reply[2] == 0 and reply[0] != -1:
                op = side.conns[slot].ops.get(reply[0])
                if op in WRITES and not self.failed_multi(reply):
                    side.learn(reply[1])
        out = [self.normal_reply(side, slot, reply) for reply in got]
        out_others = []
        for other, replies in others:
            out_others.append((other, [self.normal_reply(side, other, reply)
                                       for reply in replies]))
        return out, out_others

    @staticmethod
    def failed_multi(reply):
        results = reply[3].get('results')
        return results is not None and any(r[0] == -1 for r in results)

    def normal_reply(self, side, slot, reply):
        if not isinstance(reply, tuple):
            return reply
        xid, zxid, err, body = reply
        op = side.conns[slot].ops.get(xid)
        if xid == -1:
            # 3.8 sends -1 here, 3.10 the change's zxid.
            return ('event', body['type'], body['state'],
                    one_utf8(body['path']))
        if xid != -4 and zxid != -1:
            if zxid < side.last_zxid[slot]:
                raise Difference('%s: zxid went back from %d to %d in xid %d' %
                                 (side.name, side.last_zxid[slot], zxid, xid))
            side.last_zxid[slot] = zxid
        named = None
        if op in WRITES and err == 0 and not self.failed_multi(reply):
            named = side.name_of(zxid)
        return (xid, err, named, normal_body(side, op, body))

    # ---- what may be asked

    def some_path(self, fresh=0.3):
        r = self.random
        if r.random() < 0.03:
            return r.choice([
                '', '/', 'a', '/a//b', '/a/', '/./x', '/a/../b', '//', '/\0',
                self.root + '/\x01', self.root + '/\u00e9', '/zookeeper',
                self.root + '/\ue000', self.root + '/\U0001f600',
                self.root + '/\uffff', self.root + '/\u4e2d', None,
                '/zookeeper/config', '/zookeeper/quota', '/zookeeper/nope',
                self.root + '/.', self.root + '/..', self.root + '/.x',
                self.root + '/' + 'n' * 300])
        if r.random() < fresh:
            parent = r.choice(self.paths)
            name = r.choice('abcdefgh') + r.choice(['', '1', '-', '.z'])
            path = parent.rstrip('/') + '/' + name
            if path.count('/') < 6:
                if len(self.paths) < 60:
                    self.paths.append(path)
                else:
                    self.paths[r.randrange(1, len(self.paths))] = path
                return path
        return r.choice(self.paths)

    def some_acl(self):
        r = self.random
        return r.choice([
            [(31, 'world', 'anyone')]] * 8 + [
            [(31, 'auth', '')], [], None, [(1, 'world', 'anyone')],
            [(31, 'digest', DIGEST_ALICE)], [(31, 'ip', '127.0.0.1')],
            [(31, 'ip', '10.0.0.0/8')], [(31, 'ip', 'nonsense')],
            [(31, 'world', 'nobody')], [(31, 'nosuch', 'x')],
            [(0, 'world', 'anyone')], [(31, 'digest', 'nocolon')],
            [(15, 'world', 'anyone'), (15, 'world', 'anyone')],
            [(30, 'world', 'anyone')], [(29, 'world', 'anyone')],
            [(27, 'world', 'anyone'), (31, 'auth', 'ignored')]])

    def some_data(self):
        r = self.random
        return r.choice([b'', b'x', None, b'data', bytes(100),
                         bytes([r.randrange(256) for _ in range(20)]),
                         'text%d' % r.randrange(1000)])

    def some_version(self):
        return self.random.choice([-1] * 6 + [0, 1, 2, 5, -2])

    def fields(self, op):
        r = self.random
        path = self.some_path(0.5 if op.startswith('create') else 0.15)
        if op in ('create', 'create2', 'createContainer', 'createTTL'):
            # 3.8 makes a container of an ephemeral flag there, 3.10 does not.
            flags = {'createContainer': [4, 4, 4, 0, 2, 9],
                     'createTTL': [5, 6, 5, 6, 0, 4, 1]}.get(
                op, [0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, -1])
            f = dict(path=path, data=self.some_data(), acl=self.some_acl(),
                     flags=r.choice(flags))
            if op == 'createTTL':
                # 2**40 and the largest TTL stop Apache 3.8 for good.
                f['ttl'] = r.choice([3600000, 1000000, 0, -1, 77000000,
                                     0xfffffffff])
                if f['flags'] not in (5, 6):
                    # With -1 here too.
                    f['ttl'] = 5000
            return f
        if op in ('delete', 'check'):
            return dict(path=path, version=self.some_version())
        if op in ('exists', 'getData', 'getChildren', 'getChildren2'):
            return dict(path=path, watch=r.random() < 0.4)
        if op == 'setData':
            return dict(path=path, data=self.some_data(),
                        version=self.some_version())
        if op in ('getACL', 'sync', 'getAllChildrenNumber'):
            return dict(path=path)
        if op == 'getEphemerals':
            return dict(path=r.choice(['/', '', self.root, path]))
        if op == 'setACL':
            return dict(path=path, acl=self.some_acl(),
                        version=self.some_version())
        if op in ('checkWatches', 'removeWatches'):
            # 3.8 does not know types 4 and 5.
            return dict(path=path, type=r.choice([1, 2, 3, 3, 7, 0]))
        if op == 'addWatch':
            return dict(path=path, mode=r.choice([0, 1, 0, 1, 2]))
        if op == 'multi':
            # A nested create2 is answered otherwise by 3.8.
            names = ['create', 'delete', 'setData', 'check', 'create',
                     'createContainer']
            if r.random() < 0.04:
                names = ['getData', 'create', 'exists', 'sync']
            ops = []
            for _ in range(r.randrange(0, 5)):
                name = r.choice(names)
                f = self.fields(name)
                if name == 'createContainer':
                    f['flags'] = 4
                if name == 'create' and f['flags'] not in (0, 1, 2, 3):
                    # 3.8 has its own ideas of a nested container or TTL node,
                    # 3.10 refuses unknown flags in a multi with -5.
                    f['flags'] = 0
                if f['path'] is None:
                    # Apache answers -5 with an end marker behind it.
                    f['path'] = self.root
                ops.append((name, f))
            return dict(ops=ops)
        if op == 'multiRead':
            names = ['getData', 'getChildren']
            if r.random() < 0.05:
                names = ['getData', 'create', 'exists']
            ops = []
            for _ in range(r.randrange(0, 5)):
                name = r.choice(names)
                f = self.fields(name)
                if f['path'] is None:
                    f['path'] = self.root
                ops.append((name, f))
            return dict(ops=ops)
        if op == 'reconfig':
            return dict(joining='server.5=h:1:2', leaving=None, members=None)
        return {}

    OPS = (['create'] * 14 + ['create2'] * 8 + ['createContainer'] * 2 +
           ['createTTL'] * 3 + ['delete'] * 10 + ['exists'] * 8 +
           ['getData'] * 8 + ['setData'] * 10 + ['getACL'] * 3 +
           ['setACL'] * 3 + ['getChildren'] * 5 + ['getChildren2'] * 5 +
           ['sync'] * 2 + ['multi'] * 8 + ['multiRead'] * 4 +
           ['getEphemerals'] * 2 + ['getAllChildrenNumber'] * 2 +
           ['checkWatches'] * 2 + ['removeWatches'] * 2 + ['addWatch'] * 3 +
           ['whoAmI', 'reconfig'])

    def allowed_38(self, slot, op, f):
        """False where 3.8 and 3.10 are known to differ."""
        if self.same_kind:
            return True
        if op in ('addWatch', 'checkWatches', 'removeWatches') and not (
                f['path'] or '').startswith('/'):
            # Apache takes a watch on no path at all.
            return False
        if op == 'getAllChildrenNumber' and f['path'] == '':
            # Apache counts the root itself among the children of ''.
            return False
        if op in ('removeWatches', 'checkWatches') and f['type'] != 3 and any(
                p == f['path'] and kind.startswith('addWatch')
                for p, kind in self.watched[slot]):
            # Types 1 and 2 take persistent watches away too in 3.8.
            return False
        if op == 'addWatch':
            # In 3.8 a later mode on a path replaces the earlier one, so a
            # connection uses one kind of watch for each path.
            kinds = {k for p, k in self.watched[slot] if p == f['path']}
            if kinds - {op + str(f['mode'])}:
                return False
            self.watched[slot].add((f['path'], op + str(f['mode'])))
        if op in ('exists', 'getData', 'getChildren', 'getChildren2') and \
                f['watch']:
            kinds = {k for p, k in self.watched[slot] if p == f['path']}
            if any(k.startswith('addWatch') for k in kinds):
                return False
            self.watched[slot].add((f['path'], 'oneshot'))
        return True

    def make(self, slot):
        r = self.random
        while True:
            op = r.choice(self.OPS)
            f = self.fields(op)
            if self.allowed_38(slot, op, f):
                break
        self.xid[slot] += 1
        xid = self.xid[slot]
        self.trace.append((slot, xid, op, f))
        data = zkwire.request(xid, op, **f)
        if r.random() < 0.03 and op not in ('reconfig', 'whoAmI', 'sync'):
            data = self.broken(data)
            self.trace.append((slot, xid, 'broken', data))
        return xid, op, data

    def broken(self, data):
        """The body cut short: xid and type stay."""
        body = data[4:]
        cut = self.random.randrange(8, len(body)) if len(body) > 8 else 8
        return zkwire.frame(body[:cut])

    # ---- the steps

    def start(self):
        for slot in range(SLOTS):
            self.both_open(slot, timeout=self.random.choice(
                [30000, 10000, 1, 1000000]))
        self.xid[0] += 1
        data = zkwire.request(self.xid[0], 'create', path=self.root)
        self.exchange(0, [(self.xid[0], 'create', data)])

    def step(self):
        r = self.random
        slot = r.randrange(SLOTS)
        if self.sides[0].conns[slot] is None:
            self.both_open(slot, timeout=20000)
        what = r.random()
        if what < 0.02:
            self.auth(slot)
        elif what < 0.03:
            self.reconnect(slot)
        elif what < 0.035:
            self.xid[slot] += 1
            data = zkwire.request(self.xid[slot], 'closeSession')
            self.exchange(slot, [(self.xid[slot], 'closeSession', data)])
        elif what < 0.04:
            self.wrong_handshake(slot)
        else:
            count = 1 if r.random() < 0.6 else r.randrange(2, 12)
            batch = [self.make(slot) for _ in range(count)]
            self.exchange(slot, batch)
            self.requests += count

    def auth(self, slot):
        r = self.random
        scheme, data = r.choice(
            [('digest', a) for a in AUTHS] * 6 + [('nosuch', b'x')])
        self.trace.append((slot, -4, scheme, data))
        self.exchange(slot, [(-4, 'auth', zkwire.request(
            -4, 'auth', scheme=scheme, auth=data))])

    def wrong_handshake(self, slot):
        """A resume with a wrong password; the slot starts afresh after it."""
        olds = {side.name: (side.conns[slot].session, b'')
                for side in self.sides}
        self.trace.append((slot, 'wrong password'))
        self.both_open(slot, session_of=olds, wrong=True, timeout=10000)
        self.both_open(slot, timeout=10000)

    def reconnect(self, slot):
        """Drops the connection, changes things, resumes with setWatches."""
        r = self.random
        olds = {side.name: (side.conns[slot].session,
                            side.conns[slot].password) for side in self.sides}
        lasts = [side.last_zxid[slot] for side in self.sides]
        for side in self.sides:
            side.conns[slot].close()
            side.conns[slot] = None
        self.trace.append((slot, 'reconnect'))
        other = (slot + 1) % SLOTS
        if self.sides[0].conns[other] is not None:
            for _ in range(r.randrange(4)):
                xid, op, data = self.make(other)
                self.exchange(other, [(xid, op, data)])
        results = []
        for side, last in zip(self.sides, lasts):
            session, password = olds[side.name]
            ok, conn = side.open(slot, timeout=20000, session=session,
                                 password=password, last_zxid=last,
                                 read_only=r.choice([False]))
            results.append((ok, conn.timeout))
        self.watched[slot] = set()
        self.compare('resume of slot %d' % slot, results[0], results[1])
        if not results[0][0]:
            return
        if r.random() < 0.8:
            name = r.choice(['setWatches', 'setWatches2'])
            lists = {key: [self.some_path(0) for _ in range(r.randrange(3))]
                     for key in ('data', 'exist', 'child')}
            lists = {k: [p for p in v if p is not None]
                     for k, v in lists.items()}
            for v in lists.values():
                self.watched[slot].update((p, 'oneshot') for p in v)
            batch_of = []
            for side, last in zip(self.sides, lasts):
                batch_of.append(zkwire.request(-8, name, zxid=last, **lists))
            self.trace.append((slot, -8, name, lists))
            answers = []
            for side, data in zip(self.sides, batch_of):
                conn = side.conns[slot]
                conn.ops[-8] = name
                conn.send(data)
                answers.append((self.collect(side, slot, [-8]), []))
            left = self.events_sorted(0, slot, answers[0])
            right = self.events_sorted(1, slot, answers[1])
            if not self.same_kind:
                left[0][:] = [e for e in left[0]
                              if e in right[0] or self.readable(slot, e)]
            self.compare('setWatches', left, right)

    def readable(self, slot, event):
        """corrald tells nothing of a node that the client may not read."""
        path = ast.literal_eval(event)[3]
        self.xid[slot] += 1
        for side in self.sides:
            reply, _ = side.conns[slot].call(self.xid[slot], 'getData',
                                             path=path)
        return reply[2] != -102

    def events_sorted(self, which, slot, answer):
        out, _ = self.normal(self.sides[which], slot, answer)
        events = sorted(str(e) for e in out if e[0] == 'event')
        return events, [e for e in out if e[0] != 'event']


def run_seed(seed, requests, left_server, right_server, same_kind, verbose):
    names = ('apache-1', 'apache-2') if same_kind else ('apache', 'corral')
    left = Side(names[0], left_server.address)
    right = Side(names[1], right_server.address)
    run = Run(seed, left, right, same_kind, verbose)
    try:
        run.start()
        while run.requests < requests:
            run.step()
    except (Difference, zkwire.Malformed) as e:
        print('seed %d: after %d requests: %s' % (seed, run.requests, e))
        for line in run.trace[-20 if not verbose else -2000:]:
            print('    %.400r' % (line,))
        return False
    finally:
        for side in (left, right):
            for conn in side.conns:
                if conn is not None:
                    conn.close()
    return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--seeds', type=int, default=4)
    parser.add_argument('--first', type=int, default=1)
    parser.add_argument('--requests', type=int, default=1250)
    parser.add_argument('--self', action='store_true')
    parser.add_argument('--verbose', action='store_true')
    parser.add_argument('--keep-going', action='store_true')
    args = parser.parse_args()
    if not apache_server.available():
        print('differential: skipped: the zookeeper package is not installed')
        return 77
    # Each seed is its own pair of fresh servers: children of / are compared.
    failed = 0
    for seed in range(args.first, args.first + args.seeds):
        started = time.monotonic()
        left = apache_server.ApacheServer(
            properties=['zookeeper.extendedTypesEnabled=true'])
        if args.self:
            right = apache_server.ApacheServer(
                properties=['zookeeper.extendedTypesEnabled=true'])
        else:
            right = corral_server.CorralServer(
                config='tickTime=2000\nmaxClientCnxns=0\n')
        with left, right:
            ok = run_seed(seed, args.requests, left, right, args.self,
                          args.verbose)
        print('seed %d: %s in %.1f s' % (seed, 'same' if ok else 'DIFFERENT',
                                         time.monotonic() - started))
        sys.stdout.flush()
        failed += not ok
        if failed and not args.keep_going:
            break
    print('%d seeds compared, %d differ' % (seed - args.first + 1, failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
