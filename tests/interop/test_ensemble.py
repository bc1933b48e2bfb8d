"""Clients of an ensemble: reads anywhere, writes through every server, sessions
that move and survive their server, ephemerals, watches, ACLs, a lost quorum.

Run with CORRALD=path /usr/bin/python3 tests/interop/test_ensemble.py [name...]
ENSEMBLE_KIND=apache runs what both must do against Apache ZooKeeper."""

import os
import re
import resource
import shutil
import sys
import threading
import time

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import (ConnectionLoss, NoAuthError, NoNodeError,
                              NotReadOnlyCallError, RolledBackError,
                              SessionExpiredError)
from kazoo.protocol.states import KeeperState
from kazoo.security import make_digest_acl

import named_tests
import sessions
import zkwire
from ensemble import Ensemble, wait_for

KIND = os.environ.get('ENSEMBLE_KIND', 'corral')
DEADLINE = 30
LEADER_TIMEOUT_MS = 700  # Corral's default
# Apache's read-only servers serve local sessions only.
READ_ONLY = {'config': 'readonlymode.enabled=true\n'} if KIND == 'corral' \
    else {'config': 'localSessionsEnabled=true\n',
          'args': ['-Dreadonlymode.enabled=true']}
SESSION_MOVED = -118


def corral_only(why):
    if KIND != 'corral':
        raise named_tests.Skip('Corral only: ' + why)


def running(**options):
    ensemble = Ensemble(kind=KIND, **options)
    try:
        ensemble.start()
        return ensemble.wait_serving()
    except BaseException:
        print(ensemble.log_tails())
        ensemble.close()
        raise


def client(hosts, **options):
    options.setdefault('timeout', 10)
    kz = KazooClient(hosts=hosts, randomize_hosts=False, **options)
    kz.start(timeout=DEADLINE)
    return kz


def done(*clients):
    for kz in clients:
        kz.stop()
        kz.close()


def raw(server, **fields):
    """A raw connection with a session (its own, or the one given). A server
    that is behind what the client has seen closes: it tries again."""
    fields.setdefault('timeout', 10000)

    def attempt():
        conn = zkwire.Conn(server.address)
        if conn.handshake(**fields):
            return conn
        assert conn.closed, 'the session was refused'
        return None

    return wait_for(attempt, 'a handshake', DEADLINE)


def resume(server, conn, **fields):
    """The session of conn through this server."""
    other = raw(server, session=conn.session, password=conn.password, **fields)
    assert other.session == conn.session
    return other


def call(conn, xid, op, **fields):
    """The reply; it must not be an error."""
    reply, _ = conn.call(xid, op, **fields)
    assert reply is not None and reply[2] == 0, (op, fields, reply)
    return reply


def seen_by(server, path):
    """Whether a fresh session of that server sees path, after a sync."""
    conn = raw(server)
    call(conn, 1, 'sync', path='/')
    reply, _ = conn.call(2, 'exists', path=path)
    call(conn, 3, 'closeSession')
    conn.close()
    assert reply[2] in (0, -101), reply
    return reply[2] == 0


# Reads and writes


def test_writes_through_every_server_read_from_every_server():
    with running(observers=1) as e:
        clients = [client(m.hosts) for m in e.servers]
        for i, kz in enumerate(clients):
            assert kz.create('/from%d' % i, b'%d' % i) == '/from%d' % i
            assert kz.get('/from%d' % i)[0] == b'%d' % i  # its own, at once
        for kz in clients:
            kz.sync('/')
            for i in range(len(clients)):
                assert kz.get('/from%d' % i)[0] == b'%d' % i
        names = [kz.create('/n-', sequence=True) for kz in clients * 5]
        assert names == sorted(set(names)), names
        # The servers agree about every field.
        stats = [kz.get('/from2')[1] for kz in clients]
        assert len(set(stats)) == 1, stats
        done(*clients)


def test_sync_shows_what_was_written_elsewhere():
    with running(observers=1) as e:
        writer = client(e.leader().hosts)
        readers = [client(m.hosts) for m in e.followers() + e.observers]
        writer.create('/x', b'')
        for i in range(100):
            writer.set('/x', b'%d' % i)
            for reader in readers:
                synced = reader.sync_async('/x')  # pipelined: no wait between
                got = reader.get_async('/x')
                assert synced.get(DEADLINE) == '/x'
                value = got.get(DEADLINE)[0]
                assert value == b'%d' % i, (i, value)
        done(writer, *readers)


def test_multi_through_a_follower():
    with running(observers=1) as e:
        for server in e.followers()[:1] + e.observers:
            kz = client(server.hosts)
            kz.create('/m', b'')
            multi = kz.transaction()
            multi.check('/m', 0)
            multi.create('/m/a', b'1')
            multi.set_data('/m', b'changed')
            multi.create('/m/s-', sequence=True)
            results = multi.commit()
            assert results[1:2] + results[3:] == ['/m/a', '/m/s-0000000001'], \
                results
            multi = kz.transaction()
            multi.set_data('/m', b'again')
            multi.delete('/m/nothing')
            results = multi.commit()
            assert isinstance(results[0], RolledBackError), results
            assert isinstance(results[1], NoNodeError), results
            assert kz.get('/m')[0] == b'changed'
            kz.delete('/m', recursive=True)
            done(kz)


def test_auth_and_acls_through_forwarding():
    with running(observers=1) as e:
        follower, observer = e.followers()[0], e.observers[0]
        acl = [make_digest_acl('user', 'password', all=True)]
        one = client(follower.hosts, auth_data=[('digest', 'user:password')])
        one.create('/private', b'secret', acl=acl)
        for server in (follower, observer, e.leader()):
            other = client(server.hosts)
            other.sync('/')
            for call_it in (lambda: other.set('/private', b''),
                            lambda: other.get('/private'),
                            lambda: other.create('/private/x', b'')):
                try:
                    call_it()
                    raise AssertionError('done without a right')
                except NoAuthError:
                    pass
            other.add_auth('digest', 'user:password')
            other.set('/private', b'%d' % server.id)
            assert other.get('/private')[0] == b'%d' % server.id
            done(other)
        # The client says who it is to its next server.
        one.set_hosts(observer.hosts)
        follower.kill()
        assert one.retry(one.get, '/private')[0]
        one.retry(one.set, '/private', b'moved')
        done(one)


def test_config_is_shown_by_every_server():
    with running(observers=1) as e:
        texts = set()
        for server in e.servers:
            kz = client(server.hosts)
            text = kz.get('/zookeeper/config')[0].decode()
            lines = [re.sub(';.*', '', line) for line in text.splitlines()]
            assert lines == e.server_lines().splitlines() + ['version=0'], text
            texts.add(re.sub(';.*', '', text))
            done(kz)
        assert len(texts) == 1, texts


def test_linearizable_reads():
    corral_only('linearizableReads')
    with running(observers=1, config='linearizableReads=all\n') as e:
        writer = client(e.leader().hosts)
        readers = [client(m.hosts) for m in e.followers() + e.observers]
        writer.create('/x', b'')
        for i in range(100):
            writer.set('/x', b'%d' % i)
            for reader in readers:
                value = reader.get('/x')[0]
                assert value == b'%d' % i, (i, value)
        done(writer, *readers)


def test_linearizable_read_of_a_thawed_leader():
    """It had its client's request in its socket while another one led."""
    corral_only('linearizableReads')
    with running(config='linearizableReads=all\n') as e:
        old = e.leader()
        conn = raw(old)
        call(conn, 1, 'create', path='/x', data=b'old')
        call(conn, 2, 'getData', path='/x')
        old.pause()
        new = wait_for(lambda: next((m for m in e.servers if m is not old and
                                     m.mode() == 'leader'), None),
                       'another leader', DEADLINE)
        writer = client(new.hosts)
        writer.set('/x', b'new')
        conn.send_request(3, 'getData', path='/x')
        old.resume()
        reply = conn.read_reply(DEADLINE)
        # Closed is well: the client asks again.
        assert reply is None or reply[3]['data'] == b'new', reply
        done(writer)


# Sessions


def test_session_moves_and_its_old_connection_is_closed():
    with running(observers=1) as e:
        first = raw(e.followers()[0])
        call(first, 1, 'create', path='/e', flags=1)
        old = first
        for server in e.observers + [e.leader()] + e.followers():
            conn = resume(server, old)
            owner = call(conn, 1, 'exists', path='/e')[3]['stat']
            assert owner['ephemeralOwner'] == conn.session
            call(conn, 2, 'setData', path='/e', data=b'%d' % server.id)
            if KIND == 'corral':
                assert old.read_frame(DEADLINE) is None, 'it was not closed'
            else:  # learns of it by its next write
                reply, _ = old.call(9, 'create', path='/late')
                assert reply is None or reply[2] == SESSION_MOVED, reply
            old.close()
            old = conn
        assert not seen_by(e.leader(), '/late')
        assert seen_by(e.leader(), '/e')
        call(old, 4, 'closeSession')
        for server in e.servers:
            assert not seen_by(server, '/e')


def test_wrong_password_is_no_session_anywhere():
    corral_only('a wrong password closes the right connection elsewhere')
    with running(observers=1) as e:
        conn = raw(e.leader())
        call(conn, 1, 'create', path='/e', flags=1)
        for server in e.servers:
            other = zkwire.Conn(server.address)
            assert not other.handshake(timeout=10000, session=conn.session,
                                       password=b'guess' + bytes(11))
            other.close()
        assert call(conn, 2, 'exists', path='/e')
        conn.close()


def test_session_survives_the_death_of_its_server():
    with running() as e:
        victim = e.followers()[0]
        rest = [m.hosts for m in e.servers if m is not victim]
        kz = client(','.join([victim.hosts] + rest))
        states = []
        kz.add_listener(states.append)
        kz.create('/e', b'', ephemeral=True)
        session = kz.client_id[0]
        watcher = raw(e.leader())
        call(watcher, 1, 'sync', path='/')
        call(watcher, 2, 'exists', path='/e', watch=True)
        victim.kill()
        # SUSPENDED, then CONNECTED through another server.
        wait_for(lambda: states[-1:] == [KazooState.CONNECTED], 'the move',
                 DEADLINE)
        assert kz.client_id[0] == session
        assert kz.retry(kz.get, '/e')[1].ephemeralOwner == session
        assert KazooState.LOST not in states, states
        kz.retry(kz.set, '/e', b'')
        event = watcher.read_reply()  # a change, and never a deletion
        assert event[0] == -1 and event[3]['type'] == 3, event
        done(kz)
        watcher.close()


def test_ephemerals_everywhere_and_gone_with_their_session():
    with running(observers=1) as e:
        for i, server in enumerate(e.servers):
            conn = raw(server)
            path = '/e%d' % i
            call(conn, 1, 'create', path=path, flags=1)
            for other in e.servers:
                assert seen_by(other, path), (server, other)
            call(conn, 2, 'closeSession')
            for other in e.servers:
                assert not seen_by(other, path), (server, other)
            conn.close()


def test_silent_session_expires_and_not_before():
    with running(observers=1) as e:
        conns = [raw(m, timeout=4000) for m in e.servers]
        timeout_ms = conns[0].timeout
        for i, conn in enumerate(conns):
            call(conn, 1, 'create', path='/e%d' % i, flags=1)
        silent_since = time.monotonic()
        kz = client(e.leader().hosts)
        # One goes on pinging, through its server, and stays.
        alive = conns.pop()

        def names():
            alive.send(zkwire.request(-2, 'ping'))
            return [n for n in kz.get_children('/') if n.startswith('e')]

        gone = {}
        while len(gone) < len(conns):
            left = names()
            for i in range(len(conns)):
                if 'e%d' % i not in left and i not in gone:
                    gone[i] = time.monotonic() - silent_since
            assert time.monotonic() - silent_since < DEADLINE, left
            threading.Event().wait(0.05)
        assert names() == ['e%d' % len(conns)], names()
        # The clock of each began with its create, before silent_since.
        assert min(gone.values()) >= timeout_ms / 1000 - 0.5, gone
        print('        time-out %.1f s, expired after %s s' % (
            timeout_ms / 1000, sorted(round(s, 2) for s in gone.values())))
        done(kz)


def test_watches_are_set_again_after_a_move():
    with running(observers=1) as e:
        victim = e.followers()[0]
        writer = client(e.leader().hosts)
        writer.create('/w', b'')
        writer.create('/w/child', b'')
        conn = raw(victim)
        call(conn, 1, 'sync', path='/')
        zxid = call(conn, 2, 'getData', path='/w', watch=True)[1]
        call(conn, 3, 'getChildren', path='/w', watch=True)
        reply, _ = conn.call(4, 'exists', path='/later', watch=True)
        assert reply[2] == -101, reply
        victim.kill()
        assert conn.read_frame(DEADLINE) is None
        other = resume(e.observers[0], conn, last_zxid=zxid)
        reply, events = other.call(-8, 'setWatches', zxid=zxid, data=['/w'],
                                   child=['/w'], exist=['/later'])
        assert reply[2] == 0 and not events, (reply, events)
        writer.retry(writer.set, '/w', b'x')
        writer.create('/w/other', b'')
        writer.create('/later', b'')
        events = [other.read_reply()[3] for _ in range(3)]
        got = [(event['path'], event['type']) for event in events]
        assert got == [(b'/w', 3), (b'/w', 4), (b'/later', 1)], got
        done(writer)
        other.close()


def test_change_missed_during_a_move_is_told():
    with running(observers=1) as e:
        conn = raw(e.followers()[0])
        zxid = call(conn, 1, 'create', path='/w', data=b'')[1]
        call(conn, 2, 'getData', path='/w', watch=True)
        conn.close()
        writer = client(e.leader().hosts)
        writer.set('/w', b'x')
        other = resume(e.observers[0], conn, last_zxid=zxid)
        call(other, 1, 'sync', path='/')
        reply, events = other.call(-8, 'setWatches', zxid=zxid, data=['/w'])
        assert reply[2] == 0, reply
        if not events:
            events = [other.read_reply()]
        assert events[0][3] == {'type': 3, 'state': 3, 'path': b'/w'}, events
        done(writer)
        other.close()


SESSIONS = 5000


def test_5000_sessions_move_when_their_server_dies():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < SESSIONS + 200:
        raise named_tests.Skip('the limit of open files is %d' % hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with running() as e:
        victim = e.followers()[0]
        rest = [m.address for m in e.servers if m is not victim]
        crowd = sessions.Crowd(SESSIONS, timeout_ms=30000)
        crowd.open([victim.address])
        before = int(e.leader().metrics()['zk_stale_sessions_expired'])
        crowd.create_ephemerals('/crowd')
        victim.kill()
        took = crowd.resume(rest)
        kz = client(e.leader().hosts)
        kz.sync('/')
        names = kz.get_children('/crowd')
        assert len(names) == SESSIONS, len(names)
        metrics = e.leader().metrics()
        assert int(metrics['zk_stale_sessions_expired']) == before, metrics
        assert crowd.expired == 0, crowd.expired
        print('        %d sessions resumed elsewhere in %.2f s (half of them '
              'in %.2f s, the last handshake took %.2f s), none expired' % (
                  SESSIONS, took, crowd.half_s, crowd.slowest_s))
        crowd.close()
        done(kz)


# Without a quorum


def not_serving(server):
    return server.mode() is None


def test_losing_the_quorum():
    with running() as e:
        leader = e.leader()
        followers = e.followers()
        kz = client(leader.hosts, timeout=20)
        states = []
        kz.add_listener(states.append)
        kz.create('/x', b'0', ephemeral=True)
        session = kz.client_id[0]
        for follower in followers:
            follower.pause()
        lost = time.monotonic()
        written = kz.set_async('/x', b'1')
        wait_for(lambda: not_serving(leader), 'the leader to step down',
                 DEADLINE)
        stepped_down_s = time.monotonic() - lost
        try:
            written.get(DEADLINE)
            raise AssertionError('written without a quorum')
        except (ConnectionLoss, SessionExpiredError) as error:
            assert isinstance(error, ConnectionLoss), error
        wait_for(lambda: KazooState.SUSPENDED in states, 'the loss to be seen')
        if KIND == 'corral':
            assert stepped_down_s <= 2 * LEADER_TIMEOUT_MS / 1000, \
                stepped_down_s
        # A handshake gets no answer, or the connection is closed.
        conn = zkwire.Conn(leader.address)
        conn.send(zkwire.connect(timeout=10000))
        try:
            assert conn.read_frame(1.0) is None, 'served without a quorum'
        except TimeoutError:
            pass
        conn.close()
        for follower in followers:
            follower.resume()
        back = time.monotonic()
        wait_for(lambda: any(m.mode() == 'leader' for m in e.servers),
                 'a leader', DEADLINE)
        service_s = time.monotonic() - back
        kz.retry(kz.set, '/x', b'2')
        client_s = time.monotonic() - back
        assert kz.client_id[0] == session and KazooState.LOST not in states
        print('        stepped down after %.2f s; back: a leader after %.2f s,'
              ' kazoo after %.2f s' % (stepped_down_s, service_s, client_s))
        if KIND == 'corral':
            assert service_s <= 1.0, service_s
        done(kz)


def test_quorum_lost_by_kills_and_back_by_starts():
    with running() as e:
        leader = e.leader()
        followers = e.followers()
        kz = client(e.hosts, timeout=20)
        kz.create('/x', b'0', ephemeral=True)
        session = kz.client_id[0]
        for follower in followers:
            follower.kill()
        wait_for(lambda: not_serving(leader), 'the leader to step down',
                 DEADLINE)
        followers[0].start()
        assert kz.retry(kz.get, '/x')[1].ephemeralOwner == session
        kz.retry(kz.set, '/x', b'1')
        done(kz)


def await_reason(member, why):
    """Until the last thing it says of its waiting begins so."""
    def says():
        lines = [line for line in member.log_text().splitlines()
                 if ' event=waiting ' in line]
        return lines and 'why="%s' % why in lines[-1]

    wait_for(says, '%r to wait because: %s' % (member, why), 30)


def test_who_waits_says_why():
    corral_only('log lines are ours')
    with Ensemble(servers=3) as e:
        one, two, three = e.servers
        one.start()
        await_reason(one, 'empty, it waits for all voters, or for a leader; '
                     'no link to: 2, 3')
        two.start()
        await_reason(one, 'empty, it waits for all voters, or for a leader; '
                     'no link to: 3')
        three.start()
        e.wait_serving()
        two.stop()
        three.stop()
        await_reason(one, 'no quorum of the voters is connected; '
                     'no link to: 2, 3')
        two.wipe()
        three.wipe()
        two.start()
        three.start()
        await_reason(one, 'no quorum of the voters has its data; '
                     'without a vote: 2, 3')
        await_reason(two, 'empty, it waits for a leader to copy from; '
                     'not empty: 1')


def test_data_of_another_server_are_refused():
    corral_only('ZooKeeper serves them')
    with Ensemble(servers=3) as e:
        e.start()
        e.wait_serving()
        one, two = e.servers[:2]
        one.stop()
        two.stop()
        for name in ('state.0', 'state.1'):
            shutil.copy(os.path.join(one.data_dir, name),
                        os.path.join(two.data_dir, name))
        two.start()
        assert two.wait_exit() == 1
        assert 'these are the data of server 1, and myid says 2' in \
            two.log_text()
        two.wipe()
        one.start()
        two.start()
        e.wait_serving()


def test_followers_clients_keep_their_connection_through_an_election():
    corral_only('ZooKeeper closes every connection when the leader changes')
    with running(servers=3, observers=1) as e:
        leader = e.leader()
        clients = [client(m.hosts) for m in e.servers if m is not leader]
        seen = []
        for i, kz in enumerate(clients):
            kz.create('/x%d' % i, b'')
            kz.add_listener(seen.append)
        leader.kill()
        for i, kz in enumerate(clients):
            kz.get('/x%d' % i)  # answered before or after, on this connection
        e.leader()
        for i, kz in enumerate(clients):
            kz.set('/x%d' % i, b'after')
        assert seen == [], seen
        done(*clients)


def epoch_of(server):
    found = re.search(r'Zxid: 0x([0-9a-f]+)', server.word('srvr'))
    return int(found.group(1), 16) >> 32


def test_epoch_changes_in_place_at_the_end_of_the_counter():
    corral_only('ZooKeeper elects anew')
    with running(observers=1, config='epochCounterMax=1000\n') as e:
        leader = e.leader()
        first = epoch_of(leader)
        clients = [client(m.hosts) for m in e.servers]
        seen = []
        for i, kz in enumerate(clients):
            kz.create('/x%d' % i, b'', ephemeral=True)
            kz.add_listener(seen.append)
        gap_s, sent = 0, 0
        while epoch_of(leader) < first + 3:
            began = time.monotonic()
            asked = [kz.set_async('/x%d' % i, b'%d' % sent)
                     for i, kz in enumerate(clients) for _ in range(50)]
            versions = [reply.get(DEADLINE).version for reply in asked]
            assert versions == sorted(versions[:50]) * len(clients), versions
            gap_s = max(gap_s, time.monotonic() - began)
            sent += 1
        assert e.leader() is leader
        assert seen == [], seen
        print('%d writes, 3 epochs, slowest round of 200: %.0f ms' % (
            200 * sent, gap_s * 1000))
        done(*clients)


def version_of(member, peer):
    return member.metrics()['zk_corral_peer_%d_version' % peer.id]


def test_servers_of_two_versions():
    corral_only('the protocol between servers')
    with Ensemble(observers=1) as e:
        old = [e.servers[0], e.servers[3]]
        for member in old:
            member.config += 'peerProtocolVersion=1\n'
        e.start()
        e.wait_serving()
        mover = raw(e.servers[0])
        call(mover, 1, 'create', path='/own', data=b'', acl=zkwire.OPEN_ACL,
             flags=1)
        for upgraded in old:  # one after the other, as an operator does
            for member in e.servers:
                kz = client(member.hosts)
                path = kz.create('/x', b'', sequence=True)
                done(kz)
                assert all(seen_by(other, path) for other in e.servers)
            mover = resume(e.servers[2], mover)
            call(mover, 1, 'setData', path='/own', data=b'1', version=-1)
            assert version_of(e.servers[1], upgraded) == '1'
            assert upgraded.stop() == 0
            upgraded.config = e.config
            upgraded.start()
            e.wait_serving()
        assert all(seen_by(member, '/own') for member in e.servers)
        assert version_of(e.servers[1], e.servers[0]) == '2'
        mover.close()


def test_read_only_mode():
    with running(**READ_ONLY) as e:
        writer = client(e.leader().hosts)
        writer.create('/x', b'kept')
        done(writer)
        last = e.servers[2]
        assert seen_by(last, '/x')
        others = [m for m in e.servers if m is not last]
        for server in others:
            server.kill()
        wait_for(lambda: last.word('isro') == 'ro', 'read-only mode', DEADLINE)
        reader = client(','.join(m.hosts for m in [last] + others),
                        read_only=True)
        assert reader.client_state == KeeperState.CONNECTED_RO
        assert reader.get('/x')[0] == b'kept'
        assert 'x' in reader.get_children('/')
        try:
            reader.set('/x', b'changed')
            raise AssertionError('written in read-only mode')
        except NotReadOnlyCallError:
            pass
        assert reader.get('/x')[0] == b'kept'  # the connection stays
        # Who does not ask for it is not served.
        conn = zkwire.Conn(last.address)
        conn.send(zkwire.connect(timeout=10000, read_only=False))
        assert conn.read_frame(DEADLINE) is None
        conn.close()
        others[0].start()
        wait_for(lambda: reader.client_state == KeeperState.CONNECTED,
                 'the quorum to be back', 60)
        reader.retry(reader.set, '/x', b'changed')
        assert wait_for(lambda: last.word('isro') == 'rw', 'rw', DEADLINE)
        done(reader)


if __name__ == '__main__':
    sys.exit(named_tests.main(globals()))
