#!/usr/bin/python3
"""Real clients against corrald: kazoo, Apache's Java shell, Apache's C shell.
Each creates, reads, watches and locks (or does what a lock is made of)."""

import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import apache_server  # noqa: E402
from corral_server import CorralServer, wait_for  # noqa: E402

import kazoo.exceptions  # noqa: E402
from kazoo.client import KazooClient, KazooState  # noqa: E402

DEADLINE = 20


def client(server, **options):
    kz = KazooClient(hosts=server.hosts, timeout=10, **options)
    kz.start(timeout=DEADLINE)
    return kz


def kazoo_basics(server):
    kz = client(server)
    assert kz.create('/kz', b'one') == '/kz'
    data, stat = kz.get('/kz')
    assert (data, stat.version) == (b'one', 0), (data, stat)
    seen = []
    fired = threading.Event()

    def watch(event):
        seen.append(event)
        fired.set()

    kz.get('/kz', watch=watch)
    kz.set('/kz', b'two', version=0)
    assert fired.wait(DEADLINE) and seen[0].type == 'CHANGED', seen
    try:
        kz.set('/kz', b'three', version=0)
        raise AssertionError('a wrong version was taken')
    except kazoo.exceptions.BadVersionError:
        pass
    names = [kz.create('/kz/s-', sequence=True) for _ in range(3)]
    assert names == ['/kz/s-%010d' % i for i in range(3)], names
    assert sorted(kz.get_children('/kz')) == [n[4:] for n in names]
    transaction = kz.transaction()
    transaction.check('/kz', 1)
    transaction.delete('/kz/s-0000000000')
    transaction.create('/kz/t', b'x')
    results = transaction.commit()
    assert results == [True, True, '/kz/t'], results
    transaction = kz.transaction()
    transaction.create('/kz/u')
    transaction.delete('/nowhere')
    results = transaction.commit()
    assert isinstance(results[0], kazoo.exceptions.RolledBackError), results
    assert isinstance(results[1], kazoo.exceptions.NoNodeError), results
    assert kz.exists('/kz/u') is None
    kz.add_auth('digest', 'user:password')
    acl = kazoo.security.make_digest_acl('user', 'password', all=True)
    kz.create('/kz/private', b'secret', acl=[acl])
    other = client(server)
    try:
        other.get('/kz/private')
        raise AssertionError('read without a right')
    except kazoo.exceptions.NoAuthError:
        pass
    other.add_auth('digest', 'user:password')
    assert other.get('/kz/private')[0] == b'secret'
    assert kz.server_version() >= (3, 4), kz.server_version()
    kz.delete('/kz', recursive=True)
    for c in (kz, other):
        c.stop()
        c.close()


def kazoo_recipes(server):
    first, second = client(server), client(server)
    held = []

    def take(kz, name):
        with kz.Lock('/locks/x', name):
            held.append(name)
            assert len(held) == 1, held
            held.remove(name)
            done.append(name)

    done = []
    threads = [threading.Thread(target=take, args=(kz, '%d' % i))
               for i, kz in enumerate([first, second] * 5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(DEADLINE)
    assert len(done) == 10, done

    queue = first.LockingQueue('/queue')
    queue.put_all([b'a', b'b', b'c'])
    taken = []
    other = second.LockingQueue('/queue')
    while len(taken) < 3:
        item = other.get(timeout=DEADLINE)
        assert item is not None
        taken.append(item)
        assert other.consume()
    assert taken == [b'a', b'b', b'c'], taken

    barrier = first.Barrier('/barrier')
    barrier.create()
    passed = []
    waiter = threading.Thread(
        target=lambda: passed.append(second.Barrier('/barrier').wait(DEADLINE)))
    waiter.start()
    barrier.remove()
    waiter.join(DEADLINE)
    assert passed == [True], passed

    leaders = []
    election = first.Election('/election', 'one')
    runner = threading.Thread(
        target=lambda: election.run(lambda: leaders.append('one')))
    runner.start()
    runner.join(DEADLINE)
    assert leaders == ['one'], leaders

    counter = first.Counter('/counter')
    counter += 2
    counter -= 1
    assert counter.value == 1

    party = first.Party('/party', 'me')
    party.join()
    assert list(second.Party('/party')) == ['me']
    party.leave()

    seen = []
    second.ChildrenWatch('/party', lambda names: seen.append(len(names)))
    wait_for(lambda: seen and seen[-1] == 0, 'the first children')
    party.join()
    wait_for(lambda: seen[-1] == 1, 'a member seen by a watch')
    for c in (first, second):
        c.stop()
        c.close()


def kazoo_session(server):
    """A session and its ephemeral outlive the server, not the client."""
    states = []
    kz = client(server)
    kz.add_listener(states.append)
    kz.create('/alive', ephemeral=True)
    session = kz.client_id[0]
    server.kill()
    wait_for(lambda: KazooState.SUSPENDED in states, 'the client to notice')
    server.start()
    wait_for(lambda: states[-1] == KazooState.CONNECTED, 'the client to resume')
    assert kz.client_id[0] == session
    assert KazooState.LOST not in states
    assert kz.exists('/alive').ephemeralOwner == session
    kz.stop()
    kz.close()
    other = client(server)
    assert other.exists('/alive') is None
    other.stop()
    other.close()


def run(command, text=None):
    done = subprocess.run(command, input=text, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60, text=True,
                          errors='replace')
    return done.stdout


def java_shell(server):
    if not apache_server.available():
        print('java shell: skipped: the zookeeper package is not installed')
        return
    shell = ['java', '-cp', apache_server.class_path(),
             'org.apache.zookeeper.ZooKeeperMain', '-server', server.hosts]
    out = run(shell, 'create /java hello\n'
                     'get -s -w /java\n'
                     'set /java there\n'
                     'create -e -s /java/lock- x\n'
                     'ls /java\n'
                     'create -c /java/container\n'
                     'addWatch -m PERSISTENT_RECURSIVE /java\n'
                     'create /java/watched\n'
                     'setAcl /java/watched world:anyone:r\n'
                     'getAcl /java/watched\n'
                     'getAllChildrenNumber /java\n'
                     'getEphemerals\n'
                     'whoami\n'
                     'stat /java\n'
                     'sync /java\n'
                     'deleteall /java/container\n'
                     'quit\n')
    for expected in ('Created /java', 'hello', 'NodeDataChanged',
                     'Created /java/lock-0000000000', '[lock-0000000000]',
                     'NodeCreated', "'world,'anyone", 'cZxid = ',
                     'numChildren = '):
        assert expected in out, '%r is not in:\n%s' % (expected, out)


def c_shell(server):
    binary = '/usr/lib/zookeeper/bin/cli_mt'
    if not os.path.exists(binary):
        print('C shell: skipped: %s is not installed' % binary)
        return
    process = subprocess.Popen([binary, server.hosts], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True,
                               errors='replace')
    lines = []

    def read():
        for line in process.stdout:
            lines.append(line)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()

    def said(text):
        return any(text in line for line in lines)

    def ask(command, answer):
        process.stdin.write(command + '\n')
        process.stdin.flush()
        wait_for(lambda: said(answer), '%r after %r in:\n%s' % (
            answer, command, ''.join(lines[-40:])))

    wait_for(lambda: said('SESSION_EVENT') or said('CONNECTED_STATE'),
             'the C client to connect')
    try:
        ask('create /c', 'name = /c')
        # The shell's create leaves an exists watch on its path.
        ask('create +se /c/lock-', 'name = /c/lock-0000000000')
        ask('set /c text', 'rc = 0')
        ask('get /c', 'value_len = 4')
        ask('ls /c', 'lock-0000000000')
        process.stdin.write('quit\n')
        process.stdin.flush()
        process.wait(DEADLINE)
    finally:
        process.kill()
        process.wait()
        reader.join(DEADLINE)


def main():
    for name, test in (('kazoo basics', kazoo_basics),
                       ('kazoo recipes', kazoo_recipes),
                       ('kazoo session', kazoo_session),
                       ('java shell', java_shell),
                       ('C shell', c_shell)):
        began = time.monotonic()
        with CorralServer('tickTime=2000\n4lw.commands.whitelist=*\n') as s:
            test(s)
            assert s.stop() == 0
        print('%s: ok, %.1f s' % (name, time.monotonic() - began))
    return 0


if __name__ == '__main__':
    sys.exit(main())
