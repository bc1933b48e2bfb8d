"""ZooKeeper's client protocol at byte level, for tests: builds request frames
(valid or broken), takes replies apart into plain tuples. Knows nothing of a
server. Python's standard library only."""

import socket
import struct
import time

OPS = {
    'create': 1, 'delete': 2, 'exists': 3, 'getData': 4, 'setData': 5,
    'getACL': 6, 'setACL': 7, 'getChildren': 8, 'sync': 9, 'ping': 11,
    'getChildren2': 12, 'check': 13, 'multi': 14, 'create2': 15,
    'reconfig': 16, 'checkWatches': 17, 'removeWatches': 18,
    'createContainer': 19, 'deleteContainer': 20, 'createTTL': 21,
    'multiRead': 22, 'auth': 100, 'setWatches': 101, 'sasl': 102,
    'getEphemerals': 103, 'getAllChildrenNumber': 104, 'setWatches2': 105,
    'addWatch': 106, 'whoAmI': 107, 'closeSession': -11, 'createSession': -10,
}
NAMES = {number: name for name, number in OPS.items()}

MULTI_END = b'\xff\xff\xff\xff\1\xff\xff\xff\xff'
OPEN_ACL = [(31, 'world', 'anyone')]


class Malformed(Exception):
    """A reply that does not parse."""


def i32(value):
    return struct.pack('>i', value)


def i64(value):
    return struct.pack('>q', value if value < 1 << 63 else value - (1 << 64))


def boolean(value):
    return b'\1' if value else b'\0'


def blob(value):
    """A ustring or buffer; None is null."""
    if value is None:
        return i32(-1)
    if isinstance(value, str):
        value = value.encode('utf-8', 'surrogatepass')
    return i32(len(value)) + value


def vector(items, encode):
    if items is None:
        return i32(-1)
    return i32(len(items)) + b''.join(encode(item) for item in items)


def acl_vector(acl):
    return vector(acl, lambda a: i32(a[0]) + blob(a[1]) + blob(a[2]))


def frame(body):
    return i32(len(body)) + body


def connect(timeout=30000, session=0, password=b'\0' * 16, last_zxid=0,
            read_only=False):
    body = (i32(0) + i64(last_zxid) + i32(timeout) + i64(session) +
            blob(password))
    if read_only is not None:
        body += boolean(read_only)
    return frame(body)


def body_of(op, **f):
    """The record behind the request header."""
    path = blob(f.get('path'))
    if op in ('create', 'create2', 'createContainer', 'createTTL'):
        body = (path + blob(f.get('data', b'')) +
                acl_vector(f.get('acl', OPEN_ACL)) + i32(f.get('flags', 0)))
        if op == 'createTTL':
            body += i64(f.get('ttl', 0))
        return body
    if op in ('delete', 'check'):
        return path + i32(f.get('version', -1))
    if op in ('exists', 'getData', 'getChildren', 'getChildren2'):
        return path + boolean(f.get('watch', False))
    if op == 'setData':
        return path + blob(f.get('data', b'')) + i32(f.get('version', -1))
    if op in ('getACL', 'sync', 'getAllChildrenNumber', 'getEphemerals'):
        return path
    if op == 'setACL':
        return path + acl_vector(f.get('acl', OPEN_ACL)) + \
            i32(f.get('version', -1))
    if op in ('checkWatches', 'removeWatches'):
        return path + i32(f.get('type', 3))
    if op == 'addWatch':
        return path + i32(f.get('mode', 0))
    if op in ('setWatches', 'setWatches2'):
        lists = [f.get(name, []) for name in
                 ('data', 'exist', 'child', 'persistent', 'recursive')]
        if op == 'setWatches':
            lists = lists[:3]
        return i64(f.get('zxid', 0)) + \
            b''.join(vector(paths, blob) for paths in lists)
    if op in ('multi', 'multiRead'):
        out = b''
        for name, fields in f['ops']:
            out += i32(OPS[name]) + boolean(False) + i32(-1)
            out += body_of(name, **fields)
        return out + i32(-1) + boolean(True) + i32(-1)
    if op == 'auth':
        return i32(0) + blob(f['scheme']) + blob(f['auth'])
    if op == 'reconfig':
        return (blob(f.get('joining')) + blob(f.get('leaving')) +
                blob(f.get('members')) + i64(f.get('config', -1)))
    if op == 'sasl':
        return blob(f.get('token', b''))
    if op in ('ping', 'closeSession', 'whoAmI'):
        return b''
    raise ValueError(op)


def request(xid, op, **fields):
    return frame(i32(xid) + i32(OPS[op]) + body_of(op, **fields))


class Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, n):
        if n < 0 or self.at + n > len(self.data):
            raise Malformed('%d bytes wanted, %d left' %
                            (n, len(self.data) - self.at))
        self.at += n
        return self.data[self.at - n:self.at]

    def i32(self):
        return struct.unpack('>i', self.take(4))[0]

    def i64(self):
        return struct.unpack('>q', self.take(8))[0]

    def boolean(self):
        return self.take(1) != b'\0'

    def blob(self):
        n = self.i32()
        return None if n == -1 else self.take(n)

    def vector(self, decode):
        n = self.i32()
        return None if n == -1 else [decode() for _ in range(n)]

    def stat(self):
        names = ('czxid', 'mzxid', 'ctime', 'mtime', 'version', 'cversion',
                 'aversion', 'ephemeralOwner', 'dataLength', 'numChildren',
                 'pzxid')
        return dict(zip(names, struct.unpack('>qqqqiiiqiiq', self.take(68))))

    def acl(self):
        return (self.i32(), self.blob(), self.blob())

    def end(self):
        if self.at != len(self.data):
            raise Malformed('%d bytes left over' % (len(self.data) - self.at))


def parse_body(op, r):
    if op in ('create', 'sync'):
        return {'path': r.blob()}
    if op in ('create2', 'createContainer', 'createTTL'):
        return {'path': r.blob(), 'stat': r.stat()}
    if op in ('exists', 'setData', 'setACL'):
        return {'stat': r.stat()}
    if op in ('getData', 'reconfig'):
        return {'data': r.blob(), 'stat': r.stat()}
    if op == 'getACL':
        return {'acl': r.vector(r.acl), 'stat': r.stat()}
    if op in ('getChildren', 'getEphemerals'):
        return {'names': r.vector(r.blob)}
    if op == 'getChildren2':
        return {'names': r.vector(r.blob), 'stat': r.stat()}
    if op in ('getAllChildrenNumber', 'addWatch'):
        return {'value': r.i32()}
    if op == 'whoAmI':
        return {'infos': r.vector(lambda: (r.blob(), r.blob()))}
    if op == 'sasl':
        return {'token': r.blob()}
    if op in ('multi', 'multiRead'):
        return {'results': parse_multi(r)}
    return {}


def parse_multi(r):
    results = []
    while True:
        kind, done, err = r.i32(), r.boolean(), r.i32()
        if done:
            return results
        if kind == -1:
            results.append((kind, err, {'err': r.i32()}))
        elif kind in NAMES:
            results.append((kind, err, parse_body(NAMES[kind], r)))
        else:
            raise Malformed('result of kind %d' % kind)


def parse_reply(data, op_of_xid):
    """(xid, zxid, err, body); op_of_xid gives the op's name for an xid."""
    r = Reader(data)
    xid, zxid, err = r.i32(), r.i64(), r.i32()
    if xid == -1:
        body = {'type': r.i32(), 'state': r.i32(), 'path': r.blob()}
    elif err != 0:
        body = {}
        # Apache puts the end marker of a multi behind some of its -5.
        if r.data[r.at:] == MULTI_END and \
                op_of_xid(xid) in ('multi', 'multiRead'):
            r.take(len(MULTI_END))
    else:
        body = parse_body(op_of_xid(xid), r)
    r.end()
    return xid, zxid, err, body


class Conn:
    """One raw connection with a session."""

    def __init__(self, address, timeout_s=20):
        self.sock = socket.create_connection(address, timeout=timeout_s)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b''
        self.ops = {}
        self.session = 0
        self.password = b'\0' * 16
        self.timeout = 0
        self.closed = False

    def send(self, data):
        self.sock.sendall(data)

    def send_request(self, xid, op, **fields):
        self.ops[xid] = op
        self.send(request(xid, op, **fields))

    def read_frame(self, timeout_s=20):
        """The next frame, or None when the peer closed."""
        deadline = time.monotonic() + timeout_s
        while True:
            if len(self.buffer) >= 4:
                n = struct.unpack('>i', self.buffer[:4])[0]
                if len(self.buffer) >= 4 + n:
                    data = self.buffer[4:4 + n]
                    self.buffer = self.buffer[4 + n:]
                    return data
            left = deadline - time.monotonic()
            if left <= 0:
                raise socket.timeout('no frame within the deadline')
            self.sock.settimeout(left)
            try:
                more = self.sock.recv(1 << 16)
            except ConnectionError:
                more = b''
            if not more:
                self.closed = True
                return None
            self.buffer += more

    def handshake(self, **fields):
        """False: refused (closed, or session 0)."""
        self.send(connect(**fields))
        return self.read_connect_response()

    def read_connect_response(self):
        data = self.read_frame()
        if data is None:
            return False
        r = Reader(data)
        r.i32()
        self.timeout, self.session, self.password = r.i32(), r.i64(), r.blob()
        self.response_size = len(data)
        return self.timeout > 0

    def read_reply(self, timeout_s=20):
        data = self.read_frame(timeout_s)
        if data is None:
            return None
        return parse_reply(data, lambda xid: self.ops.get(xid, 'ping'))

    def call(self, xid, op, **fields):
        """One request and its reply; notifications before it are returned."""
        self.send_request(xid, op, **fields)
        events = []
        while True:
            reply = self.read_reply()
            if reply is None:
                return None, events
            if reply[0] == -1:
                events.append(reply)
            else:
                return reply, events

    def close(self):
        self.closed = True
        self.sock.close()
