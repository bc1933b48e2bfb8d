#!/usr/bin/python3
"""Apache's Java client (java/Client.java, driven by lines) against an ensemble
whose servers die: it keeps its connection through an election, its session
moves, its watches are set again. kazoo keeps its connection beside it.

    CORRALD=path /usr/bin/python3 tests/interop/test_java.py [name...]

ENSEMBLE_KIND=apache runs what Apache ZooKeeper can do, too."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import apache_server  # noqa: E402
import named_tests  # noqa: E402
from ensemble import Ensemble, wait_for  # noqa: E402

from kazoo.client import KazooClient  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
KIND = os.environ.get('ENSEMBLE_KIND', 'corral')
DEADLINE = 30
TIMEOUT_MS = 20000


class JavaClient:
    """Client.java in its own process."""

    classes = None  # compiled once

    def __init__(self, hosts):
        self.events, self.late = [], []
        self.answers = []
        self.others = []
        self.process = subprocess.Popen(
            ['java', '-Xmx128m', '-cp', '%s:%s' % (
                self.classes, apache_server.class_path()), 'Client'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors='replace')
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        self.ask('connect %s %d' % (hosts, TIMEOUT_MS))
        self.expect('SyncConnected None null')

    @classmethod
    def compile(cls, directory):
        cls.classes = directory
        subprocess.run(['javac', '-cp', apache_server.class_path(), '-d',
                        directory, os.path.join(HERE, 'java', 'Client.java')],
                       check=True, timeout=120)

    def read(self):
        for line in self.process.stdout:
            kind, text = line[:2], line[2:].rstrip('\n')
            {'! ': self.events, '= ': self.answers,
             '~ ': self.late}.get(kind, self.others).append(text)

    def ask(self, command):
        before = len(self.answers)
        self.process.stdin.write(command + '\n')
        self.process.stdin.flush()
        wait_for(lambda: len(self.answers) > before, 'the answer to %r' %
                 command, DEADLINE)
        return self.answers[before]

    def retry(self, command):
        """As an application does when the connection was lost."""
        end = time.monotonic() + DEADLINE
        while True:
            answer = self.ask(command)
            if answer != 'CONNECTIONLOSS' or time.monotonic() > end:
                return answer

    def expect(self, event, since=0):
        wait_for(lambda: event in self.events[since:], '%s among %s' % (
            event, self.events), DEADLINE)

    def states(self, since=0):
        return [event.split()[0] for event in self.events[since:]
                if event.endswith('None null')]

    def session(self):
        return self.ask('session').split()[0]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.reader.join(DEADLINE)


class Scene:
    def __init__(self):
        self.ensemble = Ensemble(servers=3, kind=KIND)
        self.closing = []

    def __enter__(self):
        self.ensemble.start()
        self.ensemble.wait_serving()
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            print(self.ensemble.log_tails())
        for close in reversed(self.closing):
            close()
        self.ensemble.close()

    def java(self, hosts=None):
        client = JavaClient(hosts or self.ensemble.hosts)
        self.closing.append(client.close)
        return client

    def kazoo(self, hosts):
        """The client, and the states that it goes through."""
        kz = KazooClient(hosts=hosts, timeout=TIMEOUT_MS / 1000)
        kz.start(timeout=DEADLINE)
        states = []
        kz.add_listener(states.append)
        self.closing += [kz.close, kz.stop]
        return kz, states


def corral_only():
    if KIND == 'apache':
        raise named_tests.Skip(
            "Apache closes every connection when the leader dies")


def connections_stay(end_leader):
    """Clients of both followers, through the end of the leader."""
    corral_only()
    with Scene() as scene:
        leader = scene.ensemble.leader()
        followers = scene.ensemble.followers()
        assert len(followers) == 2, followers
        java = [scene.java(m.hosts) for m in followers]
        kazoos = [scene.kazoo(m.hosts) for m in followers]
        assert java[0].ask('create /a one PERSISTENT') == '/a'
        assert java[1].ask('sync /a') == 'OK'
        assert java[1].ask('get /a watch') == 'one 0 0'
        sessions = [client.session() for client in java]
        end_leader(leader)
        wait_for(lambda: any(m.mode() == 'leader' for m in followers),
                 'another leader', DEADLINE)
        # Reads wait for the election and are answered on the connection.
        for client in java:
            assert client.ask('get /a') == 'one 0 0', client.answers
        for kz, _ in kazoos:
            assert kz.get('/a')[0] == b'one'
        assert java[0].ask('set /a two -1') == '1'
        java[1].expect('SyncConnected NodeDataChanged /a')
        for kz, _ in kazoos:
            kz.sync('/a')
            assert kz.get('/a')[0] == b'two'
        for client in java:
            assert client.states() == ['SyncConnected'], client.events
        for _, states in kazoos:
            assert states == [], states
        assert [client.session() for client in java] == sessions


def test_connections_stay_when_the_leader_dies():
    connections_stay(lambda leader: leader.kill())


def test_connections_stay_when_the_leader_hands_over():
    connections_stay(lambda leader: leader.stop())


def test_connections_stay_when_the_leader_freezes():
    connections_stay(lambda leader: leader.pause())


def test_a_write_under_way_costs_the_connection_only():
    corral_only()
    with Scene() as scene:
        leader = scene.ensemble.leader()
        follower = scene.ensemble.followers()[0]
        writer, idle = (scene.java(follower.hosts) for _ in range(2))
        assert writer.ask('create /w one PERSISTENT') == '/w'
        session = writer.session()
        leader.pause()
        assert writer.ask('later set /w two -1') == 'ok'
        wait_for(lambda: any(m.mode() == 'leader' for m in
                             scene.ensemble.voters if m is not leader),
                 'another leader', DEADLINE)
        wait_for(lambda: writer.late, 'an answer or its loss', DEADLINE)
        assert writer.late[0] in ('1', 'CONNECTIONLOSS'), writer.late
        # Either way it is known to the next read, and the session goes on.
        seen = writer.retry('get /w').split()
        assert seen[0] in ('one', 'two'), seen
        assert writer.late[0] != '1' or seen[0] == 'two', (writer.late, seen)
        assert writer.session() == session
        leader.resume()
        leader.wait_serving()
        assert idle.ask('sync /w') == 'OK'
        assert idle.ask('get /w').split()[:2] == seen[:2]
        assert idle.states() == ['SyncConnected'], idle.events


def test_session_moves():
    """By itself when its server dies, and because the client wants to."""
    with Scene() as scene:
        first, second, third = scene.ensemble.servers
        java, other = scene.java(first.hosts), scene.java(third.hosts)
        session = java.session()
        assert java.ask('create /m one PERSISTENT') == '/m'
        assert java.ask('create /m/e x EPHEMERAL') == '/m/e'
        assert java.ask('get /m watch').startswith('one ')
        since = len(java.events)
        assert java.ask('move %s' % second.hosts) == 'ok'
        java.expect('SyncConnected None null', since)
        assert java.session() == session
        assert other.ask('sync /m') == 'OK'
        assert other.ask('get /m/e').split()[2] == session
        # The watch went with it.
        assert other.ask('set /m two -1') == '1'
        java.expect('SyncConnected NodeDataChanged /m', since)
        assert java.retry('get /m watch') == 'two 1 0'
        # While it is nowhere, the node changes.
        since = len(java.events)
        second.kill()
        java.expect('Disconnected None null', since)
        assert other.retry('set /m three -1') == '2'
        since = len(java.events)
        assert java.ask('move %s,%s' % (first.hosts, third.hosts)) == 'ok'
        java.expect('SyncConnected NodeDataChanged /m', since)
        assert java.retry('get /m') == 'three 2 0'
        assert java.session() == session
        assert 'Expired' not in java.states(), java.events
        second.start()
        second.wait_serving()
        # Closed, its ephemeral is gone everywhere.
        assert java.ask('close') == 'ok'
        assert other.ask('sync /m') == 'OK'
        assert other.ask('exists /m/e') == 'no'


def test_multi():
    with Scene() as scene:
        java = scene.java()
        assert java.ask('multi create:/x:1 create:/x/y:2 set:/x:3') == \
            'done done done'
        assert java.ask('multi set:/x:4 check:/x/y:7 delete:/x/y') == \
            'OK BADVERSION RUNTIMEINCONSISTENCY'
        leader = scene.ensemble.leader()
        leader.kill()
        answer = java.retry('multi set:/x:5 set:/x/y:5')
        assert answer == 'done done', answer
        leader.start()
        leader.wait_serving()
        for server in scene.ensemble.servers:
            reader = scene.java(server.hosts)
            assert reader.ask('sync /x') == 'OK'
            assert reader.ask('get /x').startswith('5 ')
            assert reader.ask('get /x/y').startswith('5 ')
            reader.ask('close')


def test_persistent_watches():
    with Scene() as scene:
        watcher, writer = scene.java(), scene.java()
        assert writer.ask('create /p 0 PERSISTENT') == '/p'
        assert watcher.ask('sync /p') == 'OK'
        assert watcher.ask('watch /p PERSISTENT_RECURSIVE') == 'ok'

        def change(name):
            since = len(watcher.events)
            path = '/p/' + name
            assert writer.retry('create %s 0 PERSISTENT' % path) in (
                path, 'NODEEXISTS')
            assert writer.retry('set %s 1 -1' % path).isdigit()
            assert writer.retry('delete %s' % path) in ('ok', 'NONODE')
            wanted = ['SyncConnected %s %s' % (kind, path) for kind in
                      ('NodeCreated', 'NodeDataChanged', 'NodeDeleted')]
            watcher.expect(wanted[-1], since)
            told = [event for event in watcher.events[since:]
                    if event.endswith(path)]
            return told == wanted, told

        good, told = change('a')
        assert good, told
        # Each server once: whoever the watcher is on, the watch goes on.
        for number, server in enumerate(scene.ensemble.servers):
            server.kill()
            for client in (watcher, writer):
                assert client.retry('get /p').startswith('0 ')
            good, told = change('b%d' % number)
            assert good, told
            server.start()
            server.wait_serving()


def main():
    if not apache_server.available() or shutil.which('javac') is None:
        print("skipped: Apache ZooKeeper's jars or javac are not installed")
        return 77
    with tempfile.TemporaryDirectory(prefix='java-test-') as directory:
        JavaClient.compile(directory)
        return named_tests.main(globals())


if __name__ == '__main__':
    sys.exit(main())
