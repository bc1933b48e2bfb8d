"""What people build on ZooKeeper, against an ensemble that loses the server in
use in between: kazoo's locks, elections, queues, barriers, party, counters and
watchers, and Apache's Java client.

Run with CORRALD=path /usr/bin/python3 tests/interop/test_recipes.py [name...]
ENSEMBLE_KIND=apache runs them against Apache ZooKeeper."""

import os
import subprocess
import sys
import threading

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import BadVersionError, ConnectionLoss
from kazoo.recipe.cache import TreeCache
from kazoo.retry import KazooRetry

import apache_server
import named_tests
from ensemble import Ensemble, wait_for

KIND = os.environ.get('ENSEMBLE_KIND', 'corral')
DEADLINE = 30


class Scene:
    """Three servers and clients that know all of them. Nobody may lose a
    session."""

    def __init__(self):
        self.ensemble = Ensemble(servers=3, kind=KIND)
        self.clients = []
        self.states = []

    def __enter__(self):
        self.ensemble.start()
        self.ensemble.wait_serving()
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            print(self.ensemble.log_tails())
        states = list(self.states)  # stop() makes another LOST
        for kz in self.clients:
            kz.stop()
            kz.close()
        self.ensemble.close()
        if kind is None:
            assert KazooState.LOST not in states, states

    def client(self):
        retry = KazooRetry(max_tries=-1, deadline=DEADLINE, max_delay=1)
        kz = KazooClient(hosts=self.ensemble.hosts, timeout=20,
                         connection_retry=retry, command_retry=retry)
        kz.start(timeout=DEADLINE)
        kz.add_listener(self.states.append)
        self.clients.append(kz)
        return kz

    def server_of(self, session):
        """The server that a session is connected to."""
        def find():
            for server in self.ensemble.servers:
                if server.mode() and \
                        'sid=0x%x,' % session in server.word('cons'):
                    return server
            return None

        return wait_for(find, 'the connection of 0x%x' % session, DEADLINE)

    def kill_server_of(self, session):
        """It comes back, and the session is served, when this returns."""
        victim = self.server_of(session)
        victim.kill()
        self.server_of(session)
        victim.start()
        victim.wait_serving()
        for kz in self.clients:
            kz.retry(kz.exists, '/')


def in_thread(work):
    """Starts it; calling what this gives waits for the end and the result."""
    result = []

    def run():
        try:
            result.append(work())
        except BaseException as error:  # told by who waits
            result.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def finish():
        thread.join(DEADLINE)
        assert result, 'it hangs'
        if isinstance(result[0], BaseException):
            raise result[0]
        return result[0]

    return finish


def test_lock_is_kept_over_the_death_of_its_server():
    with Scene() as scene:
        holder, other = scene.client(), scene.client()
        lock, wanted = holder.Lock('/lock', 'one'), other.Lock('/lock', 'two')
        assert lock.acquire(timeout=DEADLINE)
        waiting = in_thread(lambda: wanted.acquire(timeout=DEADLINE))
        wait_for(lambda: len(other.retry(lock.contenders)) == 2, 'contenders')
        scene.kill_server_of(holder.client_id[0])
        scene.kill_server_of(other.client_id[0])
        assert lock.is_acquired and not wanted.is_acquired
        assert holder.retry(lock.contenders) == ['one', 'two']
        holder.retry(lock.release)
        assert waiting()
        wanted.release()


def test_lock_excludes_while_the_leader_dies():
    """Everybody adds one, read and written in two steps."""
    with Scene() as scene:
        clients = [scene.client() for _ in range(4)]
        clients[0].create('/sum', b'0')
        begun = threading.Event()

        def add(kz):
            text, stat = kz.retry(kz.get, '/sum')
            after = b'%d' % (int(text) + 1)
            try:
                kz.retry(kz.set, '/sum', after, version=stat.version)
            except BadVersionError:
                # Written, and the answer lost with the connection: nobody
                # else could.
                assert kz.retry(kz.get, '/sum')[0] == after

        def work(kz, name):
            for _ in range(25):
                lock = kz.Lock('/lock', name)
                while True:
                    try:
                        assert lock.acquire(timeout=DEADLINE)
                        break
                    except ConnectionLoss:
                        lock.cancel()
                add(kz)
                begun.set()
                kz.retry(lock.release)

        workers = [in_thread(lambda kz=kz, i=i: work(kz, '%d' % i))
                   for i, kz in enumerate(clients)]
        assert begun.wait(DEADLINE)
        leader = scene.ensemble.leader()
        leader.kill()
        scene.ensemble.leader()
        leader.start()
        for finish in workers:
            finish()
        assert clients[0].retry(clients[0].get, '/sum')[0] == b'100'


def test_election_goes_on():
    with Scene() as scene:
        one, two = scene.client(), scene.client()
        leaders, leave = [], threading.Event()

        def lead(name):
            leaders.append(name)
            assert leave.wait(DEADLINE)

        first = in_thread(lambda: one.Election('/e', 'one').run(lead, 'one'))
        wait_for(lambda: leaders == ['one'], 'the first leader')
        election = two.Election('/e', 'two')
        second = in_thread(lambda: election.run(lead, 'two'))
        wait_for(lambda: len(two.retry(election.contenders)) == 2, 'both')
        scene.kill_server_of(one.client_id[0])
        scene.kill_server_of(two.client_id[0])
        assert leaders == ['one'], leaders
        leave.set()
        wait_for(lambda: leaders == ['one', 'two'], 'the second', DEADLINE)
        first()
        second()


def test_queue_hands_out_each_once():
    with Scene() as scene:
        maker, taker = scene.client(), scene.client()
        queue = maker.LockingQueue('/queue')
        queue.put_all([b'a', b'b', b'c'])
        taken = []
        other = taker.LockingQueue('/queue')
        while len(taken) < 3:
            item = taker.retry(other.get, timeout=DEADLINE)
            assert item is not None
            scene.kill_server_of(taker.client_id[0])
            assert other.holds_lock()
            taken.append(item)
            assert taker.retry(other.consume)
        assert taken == [b'a', b'b', b'c'], taken
        maker.retry(maker.sync, '/queue')
        assert len(queue) == 0


def test_barriers():
    with Scene() as scene:
        one, two = scene.client(), scene.client()
        barrier = one.Barrier('/barrier')
        barrier.create()
        scene.kill_server_of(one.client_id[0])
        # kazoo's waiter would not survive a reconnect: its watches do not.
        finish = in_thread(lambda: two.Barrier('/barrier').wait(DEADLINE))
        one.retry(barrier.remove)
        assert finish() is True
        doubles = [kz.DoubleBarrier('/double', 2, str(i))
                   for i, kz in enumerate((one, two))]
        entering = in_thread(doubles[0].enter)
        wait_for(lambda: one.exists('/double') and one.get_children('/double'),
                 'one at the barrier')
        doubles[1].enter()
        entering()
        scene.kill_server_of(one.client_id[0])
        leaving = in_thread(doubles[0].leave)
        doubles[1].leave()
        leaving()
        assert one.retry(one.get_children, '/double') == []


def test_party_keeps_its_members():
    with Scene() as scene:
        one, two = scene.client(), scene.client()
        parties = [kz.Party('/party', name)
                   for kz, name in ((one, 'one'), (two, 'two'))]
        for party in parties:
            party.join()
        scene.kill_server_of(one.client_id[0])
        for kz in (one, two):
            assert sorted(kz.retry(lambda: list(kz.Party('/party')))) == \
                ['one', 'two']
        parties[0].leave()
        two.sync('/')
        assert list(parties[1]) == ['two']


def test_counter_and_watchers():
    with Scene() as scene:
        one, two = scene.client(), scene.client()
        counter = one.Counter('/counter')
        values, names = [], []
        two.ensure_path('/counter')
        two.DataWatch('/counter', lambda data, _: values.append(data))
        two.ChildrenWatch('/', lambda children: names.append(children))
        for i in range(3):
            counter += 5
            scene.kill_server_of((one, two)[i % 2].client_id[0])
        counter -= 1
        assert counter.value == 14
        one.create('/new')
        wait_for(lambda: values[-1] == b'14', 'the last value seen', DEADLINE)
        wait_for(lambda: 'new' in names[-1], 'the child seen', DEADLINE)


def test_readers_share_and_writers_do_not():
    with Scene() as scene:
        one, two, three = (scene.client() for _ in range(3))
        readers = [kz.ReadLock('/rw', name)
                   for kz, name in ((one, 'one'), (two, 'two'))]
        for lock in readers:
            assert lock.acquire(timeout=DEADLINE)
        writer = three.WriteLock('/rw', 'three')
        waiting = in_thread(lambda: writer.acquire(timeout=DEADLINE))
        wait_for(lambda: 'three' in one.retry(readers[0].contenders),
                 'the writer')
        scene.kill_server_of(one.client_id[0])
        one.retry(readers[0].release)
        scene.kill_server_of(three.client_id[0])
        assert not writer.is_acquired
        two.retry(readers[1].release)
        assert waiting()
        late = one.ReadLock('/rw', 'late')
        assert not late.acquire(blocking=False)
        three.retry(writer.release)
        assert late.acquire(timeout=DEADLINE)
        one.retry(late.release)


def test_semaphore_has_so_many_leases():
    with Scene() as scene:
        clients = [scene.client() for _ in range(3)]
        leases = [kz.Semaphore('/s', str(i), max_leases=2)
                  for i, kz in enumerate(clients)]
        for lease in leases[:2]:
            assert lease.acquire(timeout=DEADLINE)
        scene.kill_server_of(clients[0].client_id[0])
        scene.kill_server_of(clients[1].client_id[0])
        assert not clients[2].retry(leases[2].acquire, blocking=False)
        assert sorted(clients[2].retry(leases[2].lease_holders)) == ['0', '1']
        clients[0].retry(leases[0].release)
        assert clients[2].retry(leases[2].acquire, timeout=DEADLINE)
        for lease in leases[1:]:
            lease.client.retry(lease.release)


def test_queue_keeps_its_order():
    with Scene() as scene:
        maker, taker = scene.client(), scene.client()
        queue, other = maker.Queue('/q'), taker.Queue('/q')
        for i in range(3):
            queue.put(b'%d' % i)
            scene.kill_server_of(maker.client_id[0])
        queue.put(b'first', priority=50)
        taker.retry(taker.sync, '/q')
        taken = []
        for _ in range(4):
            taken.append(taker.retry(other.get))
            if len(taken) == 2:
                scene.kill_server_of(taker.client_id[0])
        assert taken == [b'first', b'0', b'1', b'2'], taken
        assert taker.retry(other.get) is None


def test_tree_cache_follows():
    with Scene() as scene:
        one, two = scene.client(), scene.client()
        one.create('/t/a', b'0', makepath=True)
        two.sync('/')
        cache = TreeCache(two, '/t')
        cache.start()
        wait_for(lambda: cache.get_data('/t/a'), 'the cache', DEADLINE)
        for i in range(3):
            scene.kill_server_of((two, one)[i % 2].client_id[0])
            one.retry(one.set, '/t/a', b'%d' % (i + 1))
            one.retry(one.ensure_path, '/t/b%d/c' % i)
        wait_for(lambda: cache.get_data('/t/a').data == b'3', 'the data',
                 DEADLINE)
        wait_for(lambda: cache.get_children('/t') == {'a', 'b0', 'b1', 'b2'},
                 'the children', DEADLINE)
        wait_for(lambda: cache.get_data('/t/b2/c'), 'the deepest', DEADLINE)
        cache.close()


class JavaShell:
    """zkCli.sh, one command after the other."""

    def __init__(self, hosts):
        self.lines = []
        self.process = subprocess.Popen(
            ['java', '-Xmx128m', '-cp', apache_server.class_path(),
             'org.apache.zookeeper.ZooKeeperMain', '-timeout', '20000',
             '-server', hosts],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors='replace')
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def said(self, text, since):
        return any(text in line for line in self.lines[since:])

    def expect(self, text, since=0):
        wait_for(lambda: self.said(text, since), '%r in:\n%s' % (
            text, ''.join(self.lines[-40:])), DEADLINE)

    def ask(self, command, answer):
        since = len(self.lines)
        self.process.stdin.write(command + '\n')
        self.process.stdin.flush()
        self.expect(answer, since)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.reader.join(DEADLINE)


def test_java_client_goes_on():
    if not apache_server.available():
        raise named_tests.Skip('Apache ZooKeeper is not installed')
    with Scene() as scene:
        kz = scene.client()
        shell = JavaShell(scene.ensemble.hosts)
        try:
            shell.expect('SyncConnected')
            shell.ask('create /java hello', 'Created /java')
            shell.ask('create -e /java/e', 'Created /java/e')
            shell.ask('get -w /java', 'hello')
            kz.sync('/')
            session = kz.get('/java/e')[1].ephemeralOwner
            since = len(shell.lines)
            scene.kill_server_of(session)
            shell.expect('SyncConnected', since)
            assert not shell.said('state:Expired', 0)
            # Set again after the move, its watch fires.
            kz.retry(kz.set, '/java', b'there')
            shell.expect('NodeDataChanged', since)
            shell.ask('get /java', 'there')
            scene.kill_server_of(session)
            shell.ask('create /java/later', 'Created /java/later')
            shell.ask('ls /java', '[e, later]')
            assert kz.retry(kz.get, '/java/e')[1].ephemeralOwner == session
        finally:
            shell.close()


if __name__ == '__main__':
    sys.exit(named_tests.main(globals()))
