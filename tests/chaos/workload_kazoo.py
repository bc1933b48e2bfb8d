"""The part of the chaos workload where a real client's behaviour matters:
kazoo, with its threads, its own reconnects and its Lock recipe. Its rows have
no zxid of a header, only those of stats."""

import threading
import time

import history
import kazoo.exceptions
from kazoo.client import KazooClient
from kazoo.protocol.states import KazooState

LOST = (kazoo.exceptions.ConnectionLoss,
        kazoo.exceptions.OperationTimeoutError,
        kazoo.exceptions.ConnectionClosedError)
EXPIRED = kazoo.exceptions.SessionExpiredError
TIMEOUT_S = 10


class KazooActor(threading.Thread):
    """One client in one thread. Registers, unique creates, the Lock."""

    def __init__(self, writer, lock, name, hosts, seeded, started_us, stop,
                 pace):
        super().__init__(name=name, daemon=True)
        self.writer, self.write_lock = writer, lock
        self.random, self.started_us = seeded, started_us
        self.stopping, self.pace = stop, pace
        self.client = KazooClient(hosts=','.join(hosts), timeout=6,
                                  randomize_hosts=True)
        self.connects = 0
        self.client.add_listener(self.on_state)
        self.serial = 0
        self.made = set()
        self.session = 0

    def on_state(self, state):
        if state == KazooState.CONNECTED:
            self.connects += 1

    def row(self, inv, session, op, path, args, status, result):
        with self.write_lock:
            self.writer.row(inv, history.now_us(), self.name, session,
                            self.connects, op, path, args, status, result)

    def call(self, op, path, args, function, compact):
        """The status; the result is what compact makes of the answer."""
        inv = history.now_us()
        session = self.client.client_id[0] if self.client.client_id else 0
        try:
            answer = function().get(timeout=TIMEOUT_S)
        except LOST + (EXPIRED, kazoo.exceptions.SessionMovedError,
                       kazoo.handlers.threading.KazooTimeoutError):
            self.row(inv, session, op, path, args, None, None)
            return None, None
        except kazoo.exceptions.ZookeeperError as error:
            self.row(inv, session, op, path, args, error.code, None)
            return error.code, None
        result = compact(answer)
        self.row(inv, session, op, path, args, 0, result)
        return 0, result

    def create(self, path, data, ephemeral=False, sequence=False):
        flags = (1 if ephemeral else 0) + (2 if sequence else 0)
        return self.call(
            'create2', path, [data, flags],
            lambda: self.client.create_async(
                path, data.encode(), ephemeral=ephemeral, sequence=sequence,
                include_data=True),
            lambda answer: [answer[0], answer[1].czxid])

    def set(self, path, data, version=-1):
        return self.call(
            'setData', path, [data, version],
            lambda: self.client.set_async(path, data.encode(), version),
            lambda stat: [stat.version, stat.mzxid])

    def get(self, path):
        return self.call(
            'getData', path, [], lambda: self.client.get_async(path),
            lambda a: [a[0].decode(), a[1].version, a[1].mzxid, a[1].czxid])

    def delete(self, path):
        return self.call('delete', path, [-1],
                         lambda: self.client.delete_async(path),
                         lambda answer: None)

    def ensure(self, path, data=''):
        if not path or path in self.made:
            return
        self.ensure(path[:path.rindex('/')])
        while not self.stopping.is_set():
            if self.create(path, data)[0] in (0, -110):
                self.made.add(path)
                return
            self.stopping.wait(0.05)

    def value(self):
        self.serial += 1
        return '%s:%d' % (self.name, self.serial)

    def run(self):
        while not self.stopping.is_set():
            try:
                self.client.start(timeout=TIMEOUT_S)
                break
            except kazoo.handlers.threading.KazooTimeoutError:
                pass  # no server has it yet
        while not self.stopping.is_set():
            try:
                self.step()
            except LOST + (EXPIRED, kazoo.exceptions.LockTimeout,
                           kazoo.handlers.threading.KazooTimeoutError,
                           kazoo.exceptions.NoNodeError):
                pass  # of the recipe: the lock is not held
            self.stopping.wait(self.random.expovariate(1 / (0.1 * self.pace)))

    def step(self):
        age_s = (history.now_us() - self.started_us) // 1000000
        what = self.random.random()
        if what < 0.6:
            key = '/c/reg/%d/%d' % (age_s // 15, self.random.randrange(6))
            self.ensure(key, self.value())
            status, result = self.get(key)
            if status == 0 and self.random.random() < 0.5:
                self.set(key, self.value(), result[1])
            elif status == 0:
                self.set(key, self.value())
        elif what < 0.9:
            parent = '/c/uniq/%d' % (age_s // 60)
            self.ensure(parent)
            self.serial += 1
            path = '%s/%s-%d' % (parent, self.name, self.serial)
            while not self.stopping.is_set() and \
                    self.create(path, path)[0] is None:
                self.stopping.wait(0.05)
        else:
            self.locked()

    def locked(self):
        """The recipe's node is not made by call(), so that its token is read
        from the node."""
        self.ensure('/c/klock')
        self.ensure('/c/guard/k', '0 ' + self.value())
        lock = self.client.Lock('/c/klock/0', self.name)
        if not lock.acquire(timeout=5):
            return
        try:
            stat = self.client.exists('/c/klock/0/' + lock.node)
            if stat is None:
                return
            status, result = self.get('/c/guard/k')
            if status == 0 and int(result[0].split()[0]) <= stat.czxid:
                self.set('/c/guard/k', '%d %s' % (stat.czxid, self.value()),
                         result[1])
        finally:
            lock.release()

    def close(self):
        self.client.stop()
        self.client.close()


def run(writer, number, hosts, rng, started_us, stop, pace, count=2):
    lock = threading.Lock()
    actors = [KazooActor(writer, lock, '%d.kazoo%d' % (number, i), hosts,
                         type(rng)(rng.getrandbits(64)), started_us, stop,
                         pace) for i in range(count)]
    for actor in actors:
        actor.start()
    while not stop.wait(0.2):
        with lock:
            writer.flush_if_due()
    deadline = time.monotonic() + TIMEOUT_S + 2
    for actor in actors:
        actor.join(max(0, deadline - time.monotonic()))
    for actor in actors:
        actor.close()
    return not any(actor.is_alive() for actor in actors)
