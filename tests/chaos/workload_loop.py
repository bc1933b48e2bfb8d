"""The clients of the chaos workload: one loop drives many raw sessions, each of
which pipelines, reconnects, moves between servers and sets its watches again as
a real client does, but as told and with each answer recorded.

An actor is a generator that yields commands and is sent their results:

    replies = yield [ask('setData', path, ...), ...]   pipelined, in order
    yield 0.5                                          seconds
    events = yield Event(2.0)                          or [] after that time
    yield session.move / session.finish / session.abandon   (see Session)
"""

import collections
import errno
import heapq
import os
import random
import selectors
import socket
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'interop'))
import history  # noqa: E402
import zkwire  # noqa: E402

XID_EVENT, XID_PING, XID_SET_WATCHES = -1, -2, -8
CONNECT_S = 1.5
TICK_S = 0.02
ERRORS_OF_LOSS = (ConnectionError, OSError)

Event = collections.namedtuple('Event', 'timeout_s')
Reply = collections.namedtuple(
    'Reply', 'status body zxid session conn inv ret')


class Ask:
    __slots__ = ('op', 'path', 'args', 'fields', 'behind', 'xid', 'inv',
                 'group', 'place')

    def __init__(self, op, path, args, fields, behind):
        self.op, self.path, self.args = op, path, args
        self.fields, self.behind = fields, behind


def ask(op, path=None, args=None, behind=None, **fields):
    """behind: an earlier ask of the same batch, a sync. When both are answered
    on one connection this one counts as invoked when that one was."""
    if path is not None:
        fields['path'] = path
    return Ask(op, path, args, fields, behind)


class Group:
    """The asks of one yield."""
    __slots__ = ('left', 'replies')

    def __init__(self, size):
        self.left = size
        self.replies = [None] * size


class Loop:
    def __init__(self, writer, seed):
        self.writer = writer
        self.random = random.Random(seed)
        self.selector = selectors.DefaultSelector()
        self.timers = []
        self.timer_serial = 0
        self.ready = collections.deque()
        self.actors = []
        self.stopping = False
        self.cpu = {}

    def at(self, seconds, call):
        self.timer_serial += 1
        heapq.heappush(self.timers,
                       (time.monotonic() + seconds, self.timer_serial, call))

    def add(self, actor):
        self.actors.append(actor)
        self.ready.append((actor, None))

    def run_once(self):
        while self.ready:
            actor, value = self.ready.popleft()
            actor.resume(value)
        timeout = TICK_S
        if self.timers:
            timeout = min(timeout,
                          max(0, self.timers[0][0] - time.monotonic()))
        for key, mask in self.selector.select(timeout):
            key.data(mask)
        now = time.monotonic()
        while self.timers and self.timers[0][0] <= now:
            heapq.heappop(self.timers)[2]()
        self.writer.flush_if_due()

    def busy(self):
        return any(actor.session.pending for actor in self.actors)


class Actor:
    """One generator over one session. Subclasses define run()."""

    session_timeout_ms = 6000

    def __init__(self, loop, name, hosts, **options):
        self.loop, self.name = loop, name
        self.random = random.Random(loop.random.getrandbits(64))
        self.session = Session(loop, self, hosts)
        self.options = options
        self.serial = 0
        self.made = set()
        self.events = []
        self.waits = None  # serial of the wait for an event
        self.generator = self.run()
        self.done = False

    def run(self):
        raise NotImplementedError

    def value(self):
        """Data that nobody else ever writes."""
        self.serial += 1
        return '%s:%d' % (self.name, self.serial)

    def wake(self, value):
        self.loop.ready.append((self, value))

    def resume(self, value):
        if self.done or self.loop.stopping:
            return
        try:
            command = self.generator.send(value)
        except StopIteration:
            self.done = True
            return
        if isinstance(command, list):
            self.session.submit(command)
        elif isinstance(command, (int, float)):
            self.loop.at(command, lambda: self.wake(None))
        elif isinstance(command, Event):
            self.wait_event(command.timeout_s)
        else:
            command()
            self.wake(None)

    def wait_event(self, timeout_s):
        if self.events:
            self.give_events()
            return
        self.serial += 1
        self.waits = serial = self.serial

        def late():
            if self.waits == serial:
                self.give_events()
        self.loop.at(timeout_s, late)

    def give_events(self):
        self.waits = None
        events, self.events = self.events, []
        self.wake(events)

    def on_event(self, kind, path):
        self.events.append((kind, path))
        if self.waits is not None:
            self.give_events()

    def on_expired(self):
        """The session is gone, a new one is opened."""


class Wire:
    """A socket to one server, with what is read and not yet taken apart."""

    def __init__(self, loop, address, on_frame, on_loss, first):
        self.loop, self.address = loop, address
        self.on_frame, self.on_loss = on_frame, on_loss
        self.out, self.buffer = [first], b''
        self.connected = False
        self.alive = True
        self.heard = self.sent = time.monotonic()
        family = socket.AF_INET6 if ':' in address[0] else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        loop.selector.register(self.sock, selectors.EVENT_WRITE, self.on_socket)
        code = self.sock.connect_ex(address)
        if code not in (0, errno.EINPROGRESS):
            loop.at(0, self.lose)

    @property
    def server(self):
        return '%s:%d' % self.address

    def on_socket(self, mask):
        try:
            if not self.connected:
                code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code:
                    raise OSError(code, os.strerror(code))
                self.connected = True
                self.flush()
            elif mask & selectors.EVENT_WRITE:
                self.flush()
            if mask & selectors.EVENT_READ:
                self.read()
        except BlockingIOError:
            pass
        except ERRORS_OF_LOSS:
            self.lose()

    def flush(self):
        data = b''.join(self.out)
        done = 0
        try:
            if data:
                done = self.sock.send(data)
        except BlockingIOError:
            pass
        self.out = [data[done:]] if done < len(data) else []
        self.loop.selector.modify(
            self.sock, selectors.EVENT_READ |
            (selectors.EVENT_WRITE if self.out else 0), self.on_socket)

    def read(self):
        data = self.sock.recv(1 << 18)
        if not data:
            raise ConnectionResetError
        self.heard = time.monotonic()
        self.buffer += data
        at, size = 0, len(self.buffer)
        while self.alive and size - at >= 4:
            n = struct.unpack_from('>i', self.buffer, at)[0]
            if size - at < 4 + n:
                break
            self.on_frame(self, self.buffer[at + 4:at + 4 + n])
            at += 4 + n
        self.buffer = self.buffer[at:]

    def send(self, data):
        """Errors are told later, by on_loss."""
        self.sent = time.monotonic()
        if self.out or not self.connected:
            self.out.append(data)
            return
        try:
            done = self.sock.send(data)
        except BlockingIOError:
            done = 0
        except ERRORS_OF_LOSS:
            self.loop.at(0, self.lose)
            return
        if done < len(data):
            self.out.append(data[done:])
            self.loop.selector.modify(
                self.sock, selectors.EVENT_READ | selectors.EVENT_WRITE,
                self.on_socket)

    def close(self):
        if self.alive:
            self.alive = False
            self.loop.selector.unregister(self.sock)
            self.sock.close()

    def lose(self):
        if self.alive:
            self.close()
            self.on_loss(self)


class Session:
    """A session with its connections. Requests that come while there is none
    are sent when there is one again; those that were sent when it was lost have
    an unknown outcome."""

    def __init__(self, loop, actor, hosts):
        self.loop, self.actor = loop, actor
        self.hosts = list(hosts)
        actor.random.shuffle(self.hosts)
        self.turn = 0
        self.id, self.password = 0, b'\0' * 16
        self.timeout_ms = actor.session_timeout_ms
        self.zxid = 0  # of the last answer, as told to the next server
        self.conn = 0
        self.xid = 0
        self.restarts_xids = actor.random.random() < 0.5  # as kazoo does
        self.wire = None  # serving
        self.next_wire = None  # shaking hands
        self.next_inv = 0
        self.waiting = collections.deque()  # not sent yet
        self.pending = collections.deque()  # sent
        # Watches to be set again: path -> kind of list.
        self.watches = {'data': set(), 'exist': set(), 'child': set(),
                        'persistent': set(), 'recursive': set()}
        self.closing = False
        loop.at(0, self.connect)
        loop.at(TICK_S, self.tick)

    # -- What an actor asks for.

    def submit(self, asks):
        group = Group(len(asks))
        for place, one in enumerate(asks):
            one.group, one.place = group, place
        self.waiting.extend(asks)
        self.send_waiting()

    def move(self):
        """Resumes through another server while this connection is open."""
        if self.wire is not None and self.next_wire is None:
            self.connect()

    def finish(self):
        """The clean end of a session; a new one is opened. With requests under
        way the answer of the close comes behind theirs."""
        if self.wire is None:
            return
        self.closing = True
        one = ask('closeSession')
        one.group, one.place = Group(1), 0
        self.send_one(one)

    def abandon(self):
        """Never speaks of this session again: it must expire by itself."""
        self.row('abandoned', history.now_us())
        if self.wire is not None:
            self.wire.close()
            self.wire = None
        self.lose_pending()
        self.forget()
        self.reconnect()

    def drop(self):
        """The connection only; the session goes on."""
        if self.wire is not None:
            self.wire.lose()

    # -- Connecting.

    def row(self, op, inv, **fields):
        self.loop.writer.row(inv, history.now_us(), self.actor.name, self.id,
                             self.conn, op, **fields)

    def reconnect(self):
        self.loop.at(self.actor.random.uniform(0.005, 0.1), self.connect)

    def connect(self):
        if self.next_wire is not None or self.loop.stopping:
            return
        self.turn += 1
        address = self.hosts[self.turn % len(self.hosts)]
        if self.wire is not None and self.wire.address == address:
            self.turn += 1
            address = self.hosts[self.turn % len(self.hosts)]
        self.next_inv = history.now_us()
        self.next_wire = Wire(
            self.loop, address, self.on_handshake, self.on_next_loss,
            zkwire.connect(timeout=self.actor.session_timeout_ms,
                           session=self.id, password=self.password,
                           last_zxid=self.zxid))

    def on_next_loss(self, wire):
        if wire is self.next_wire:
            self.next_wire = None
            if self.wire is None:
                self.reconnect()

    def on_handshake(self, wire, data):
        reader = zkwire.Reader(data)
        reader.i32()
        timeout, session, password = (reader.i32(), reader.i64(),
                                      reader.blob())
        self.next_wire = None
        if timeout <= 0:
            wire.close()
            self.row('expired', self.next_inv, server=wire.server,
                     args=[self.timeout_ms])
            if self.wire is not None:
                self.wire.close()
                self.wire = None
            self.lose_pending()
            self.forget()
            self.actor.on_expired()
            self.reconnect()
            return
        if self.wire is not None:
            self.wire.close()
        self.lose_pending()
        resumed = self.id
        if resumed and (session != resumed or password != self.password):
            self.anomaly('resumed 0x%x, got 0x%x' % (resumed, session))
        self.id, self.password, self.timeout_ms = session, password, timeout
        self.closing = False
        self.conn += 1
        if self.restarts_xids:
            self.xid = 0
        self.wire = wire
        wire.on_frame, wire.on_loss = self.on_frame, self.on_loss
        self.row('open', self.next_inv, server=wire.server,
                 args=[resumed], result=[timeout])
        self.set_watches_again()
        self.send_waiting()

    def forget(self):
        if self.next_wire is not None:
            self.next_wire.close()
            self.next_wire = None
        self.id, self.password = 0, b'\0' * 16
        self.closing = False
        for paths in self.watches.values():
            paths.clear()

    def lose_pending(self):
        """The connection is gone, or no more listened to."""
        now = history.now_us()
        lost, self.pending = self.pending, collections.deque()
        for one in lost:
            if one.op == 'ping' or one.xid < 0:
                continue
            self.loop.writer.row(one.inv, now, self.actor.name, self.id,
                                 self.conn, one.op, one.path, one.args, None)
            self.settle(one, Reply(None, None, None, self.id, self.conn,
                                   one.inv, now))

    def on_loss(self, wire):
        if wire is not self.wire:
            return
        self.wire = None
        self.row('lost', history.now_us(), server=wire.server)
        self.lose_pending()
        if self.closing:
            self.forget()
        if self.next_wire is None:
            self.reconnect()

    def tick(self):
        """Pings, and connections that say nothing."""
        if self.loop.stopping:
            return
        now = time.monotonic()
        if self.next_wire is not None:
            if now * 1e6 - self.next_inv > CONNECT_S * 1e6:
                self.next_wire.lose()
        if self.wire is not None:
            timeout_s = self.timeout_ms / 1000
            if now - self.wire.heard > timeout_s * 2 / 3:
                self.wire.lose()
            elif now - self.wire.sent > timeout_s / 3:
                self.ping()
        self.loop.at(0.1, self.tick)

    # -- Requests and answers.

    def ping(self):
        one = ask('ping')
        one.xid, one.inv, one.group = XID_PING, history.now_us(), None
        self.pending.append(one)
        self.wire.send(zkwire.request(XID_PING, 'ping'))

    def set_watches_again(self):
        if any(self.watches.values()):
            one = ask('setWatches2')
            one.xid, one.inv, one.group = (XID_SET_WATCHES, history.now_us(),
                                           None)
            self.pending.append(one)
            self.wire.send(zkwire.request(
                XID_SET_WATCHES, 'setWatches2', zxid=self.zxid,
                **{kind: sorted(paths)
                   for kind, paths in self.watches.items()}))

    def send_waiting(self):
        if self.wire is None or self.closing:
            return
        frames = []
        now = history.now_us()
        while self.waiting:
            frames.append(self.frame(self.waiting.popleft(), now))
        if frames:
            self.wire.send(b''.join(frames))

    def send_one(self, one):
        self.wire.send(self.frame(one, history.now_us()))

    def frame(self, one, now):
        self.xid += 1
        one.xid, one.inv = self.xid, now
        self.pending.append(one)
        return zkwire.request(one.xid, one.op, **one.fields)

    def anomaly(self, text):
        self.row('anomaly', history.now_us(), args=[text])

    def on_frame(self, wire, data):
        if wire is not self.wire:
            return
        xid = struct.unpack_from('>i', data)[0]
        try:
            if xid == XID_EVENT:
                self.on_event(data)
                return
            one = self.take(xid)
            if one is None:
                self.anomaly('answer to xid %d, %s is waited for' % (
                    xid, [p.xid for p in list(self.pending)[:5]]))
                wire.lose()
                return
            _, zxid, status, body = zkwire.parse_reply(
                data, lambda _: one.op)
        except (zkwire.Malformed, struct.error) as problem:
            self.anomaly('malformed: %s' % problem)
            wire.lose()
            return
        if zxid > 0:
            self.zxid = zxid
        self.answered(one, status, body, zxid)

    def take(self, xid):
        """Answers come in the order of the requests; pings and what sets the
        watches again may overtake in Apache's server."""
        if not self.pending:
            return None
        if self.pending[0].xid == xid:
            return self.pending.popleft()
        if xid in (XID_PING, XID_SET_WATCHES):
            for one in self.pending:
                if one.xid == xid:
                    self.pending.remove(one)
                    return one
            return None
        # A ping that is answered late does not hold up the others.
        for one in self.pending:
            if one.xid == xid:
                self.pending.remove(one)
                return one
            if one.xid > 0:
                return None
        return None

    def on_event(self, data):
        _, zxid, _, body = zkwire.parse_reply(data, None)
        path = body['path'].decode()
        now = history.now_us()
        self.loop.writer.row(
            now, now, self.actor.name, self.id, self.conn, 'event', path,
            None, 0, [body['type'], body['state']], zxid, self.wire.server)
        for kind in ('data', 'exist', 'child'):
            self.watches[kind].discard(path)
        self.actor.on_event(body['type'], path)

    def answered(self, one, status, body, zxid):
        now = history.now_us()
        if one.op == 'ping' or one.xid < 0:
            self.loop.writer.row(
                one.inv, now, self.actor.name, self.id, self.conn, one.op,
                None, None, status, None, zxid, self.wire.server)
            return
        reply = Reply(status, body, zxid, self.id, self.conn, one.inv, now)
        inv, args = one.inv, one.args
        if one.behind is not None:
            sync = one.behind.group.replies[one.behind.place]
            if sync is not None and sync.status == 0 and \
                    sync.conn == self.conn:
                inv = sync.inv
                args = (args or []) + ['synced']
        self.loop.writer.row(
            inv, now, self.actor.name, self.id, self.conn, one.op, one.path,
            args, status, compact(one.op, status, body), zxid,
            self.wire.server)
        self.note_watch(one, status)
        if one.op == 'closeSession':
            self.wire.close()
            self.wire = None
            self.lose_pending()
            self.forget()
            self.reconnect()
        self.settle(one, reply)

    def note_watch(self, one, status):
        if one.op == 'addWatch' and status == 0:
            kind = 'recursive' if one.fields['mode'] else 'persistent'
            self.watches[kind].add(one.path)
        elif one.fields.get('watch'):
            if one.op == 'exists' and status == -101:
                self.watches['exist'].add(one.path)
            elif status == 0:
                kind = 'child' if 'Children' in one.op else 'data'
                self.watches[kind].add(one.path)

    def settle(self, one, reply):
        group = one.group
        if group is None:
            return
        group.replies[one.place] = reply
        group.left -= 1
        if group.left == 0 and one.op != 'closeSession':
            self.actor.wake(group.replies)


def text(data):
    return None if data is None else data.decode('utf-8', 'replace')


def compact(op, status, body):
    """What of an answer goes into the history."""
    if status != 0:
        return None
    if op == 'getData':
        stat = body['stat']
        return [text(body['data']), stat['version'], stat['mzxid'],
                stat['czxid']]
    if op == 'setData':
        stat = body['stat']
        return [stat['version'], stat['mzxid']]
    if op == 'create2':
        return [text(body['path']), body['stat']['czxid']]
    if op == 'exists':
        stat = body['stat']
        return [stat['czxid'], stat['mzxid'], stat['version'],
                stat['ephemeralOwner']]
    if op == 'getChildren2':
        stat = body['stat']
        return [stat['cversion'], stat['pzxid'],
                sorted(text(name) for name in body['names'])]
    if op in ('multi', 'multiRead'):
        parts = []
        for kind, err, one in body['results']:
            name = zkwire.NAMES.get(kind)
            parts.append([one['err']] if kind == -1 else
                         [err] + (compact(name, err, one) or []))
        return parts
    return None
