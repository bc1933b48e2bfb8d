"""Every four-letter word, line by line: what corrald prints has the form of
what ZooKeeper prints, with the right numbers in it, alone and in every role of
an ensemble. Where Apache ZooKeeper is installed the same words are asked of it
too, must fit the same forms, and differ in nothing but values.

Run with CORRALD=path /usr/bin/python3 tests/interop/test_words.py [name...]"""

import re
import socket
import struct
import sys
import threading

from kazoo.client import KazooClient

import apache_server
import named_tests
from corral_server import CorralServer, RawClient, wait_for
from ensemble import Ensemble

WORDS = ('ruok isro srvr stat cons crst srst conf envi dump wchs wchc wchp dirs '
         'mntr hash gtmk stmk').split()
ADDRESS = r'/127\.0\.0\.1:\d+'
VERSION = r'\d+\.\d+\.\d+-\S+, built on \d{4}-\d\d-\d\d.*'
DATE = r'[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d \S+ \d{4}'
HEX = r'0x[0-9a-f]+'

NUMBERS = [r'Latency min/avg/max: \d+/\d+\.\d+(E-\d+)?/\d+', r'Received: \d+',
           r'Sent: \d+', r'Connections: 3', r'Outstanding: \d+',
           r'Zxid: ' + HEX, r'Mode: standalone', r'Node count: 9']
CLIENT = r' %s\[[01]\]\(queued=\d+,recved=\d+,sent=\d+' % ADDRESS
SESSION = (r',sid=%s,lop=[A-Z0-9]+,est=\d+,to=\d+(,lcxid=%s)?,lzxid=%s,'
           r'lresp=\d+,llat=\d+,minlat=\d+,avglat=\d+,maxlat=\d+' %
           (HEX, HEX, HEX))

# A form is a list of lines; one that is a list itself may come any number of
# times, its parts in any order.
FORMS = {
    'srvr': ['Zookeeper version: ' + VERSION] + NUMBERS,
    'stat': ['Zookeeper version: ' + VERSION, 'Clients:', [CLIENT + r'\)'],
             ''] + NUMBERS,
    'cons': [[CLIENT + r'\)', CLIENT + SESSION + r'\)'], ''],
    'conf': [r'clientPort=\d+', 'secureClientPort=-1', r'dataDir=/.+',
             r'dataDirSize=\d+', r'dataLogDir=/.+', r'dataLogSize=\d+',
             'tickTime=2000', 'maxClientCnxns=0', 'minSessionTimeout=4000',
             'maxSessionTimeout=40000', 'clientPortListenBacklog=-1',
             'serverId=0'],
    'envi': ['Environment:', 'zookeeper.version=' + VERSION, 'host.name=.*',
             'java.version=.*', 'java.vendor=.*', 'java.home=.*',
             'java.class.path=.*', 'java.library.path=.*',
             'java.io.tmpdir=.*', 'java.compiler=.*', 'os.name=Linux',
             'os.arch=.+', 'os.version=.+', 'user.name=.*', 'user.home=.*',
             'user.dir=/.*', r'(jvm|os)\.memory\.free=\d+MB',
             r'(jvm|os)\.memory\.max=\d+MB', r'(jvm|os)\.memory\.total=\d+MB'],
    'dump': ['SessionTracker dump:', r'Session Sets \(\d\)/\(2\):',
             [r'\d expire at %s:' % DATE, '\t' + HEX],
             'ephemeral nodes dump:', r'Sessions with Ephemerals \(2\):',
             [HEX + ':', '\t/[bcd]'],
             'Connections dump:', r'Connections Sets \(\d\)/\(3\):',
             [r'\d expire at %s:' % DATE,
              '\tip: %s sessionId: %s' % (ADDRESS, HEX)]],
    'wchs': ['2 connections watching 2 paths', 'Total watches:3'],
    'wchc': [[HEX, '\t/[ab]'], ''],
    'wchp': [['/[ab]', '\t' + HEX], ''],
    'dirs': [r'datadir_size: \d+', r'logdir_size: \d+'],
    'mntr': ['zk_version\t' + VERSION, 'zk_server_state\tstandalone',
             [r'zk_[a-z0-9_]+\t-?\d+(\.\d+(E-\d+)?)?']],
    'hash': [[r'[0-9a-f]+: -?\d+']],
    'crst': ['Connection stats reset.'],
    'srst': ['Server stats reset.'],
}
READ_ONLY = 'READ-ONLY mode; serving only read-only clients'
NOT_SERVING = 'This ZooKeeper instance is not currently serving requests\n'
PROPOSALS = r'Proposal sizes last/min/max: -?\d+/-?\d+/-?\d+'


def forms_of(role, server):
    """FORMS as this server of an ensemble has them in this role."""
    forms = dict(FORMS)
    mode = ['Mode: ' + role if line.startswith('Mode') else line
            for line in NUMBERS] + [PROPOSALS] * (role == 'leader')
    forms['srvr'] = FORMS['srvr'][:1] + mode
    forms['stat'] = FORMS['stat'][:-len(NUMBERS)] + mode
    forms['conf'] = FORMS['conf'][:-1] + [
        'serverId=%d' % server.id, 'initLimit=10', 'syncLimit=5',
        'electionAlg=3', 'electionPort=%d' % server.election_port,
        'quorumPort=%d' % server.quorum_port,
        'peerType=%d' % (role == 'observer'), 'membership: '] + [
        r'server\.%d=127\.0\.0\.1:%d:%d:%s(;127\.0\.0\.1:%d)?' % (
            m.id, m.quorum_port, m.election_port,
            'observer' if m.observer else 'participant', m.port)
        for m in server.ensemble.servers] + ['version=0']
    if role != 'leader':
        ephemerals = FORMS['dump'].index('ephemeral nodes dump:')
        forms['dump'] = ['SessionTracker dump:', r'Global Sessions\(2\):',
                         [HEX + r'\t[12]0000ms']] + FORMS['dump'][ephemerals:]
    verb = {'leader': 'leading', 'follower': 'following',
            'observer': 'observing'}[role]
    forms['mntr'] = FORMS['mntr'][:1] + [
        'zk_server_state\t' + role, r'zk_peer_state\t%s - broadcast' % verb,
        FORMS['mntr'][2] + [r'zk_corral_peer_\d+_stage\t[a-z-]+']]
    return forms


# Without a newline at the end.
EXACT = {'ruok': 'imok', 'isro': 'rw', 'gtmk': '306'}


def ask(address, data):
    with socket.create_connection(address, 20) as s:
        s.sendall(data)
        parts = []
        while True:
            part = s.recv(65536)
            if not part:
                return b''.join(parts).decode()
            parts.append(part)


def check_form(word, text, forms=None):
    if word in EXACT:
        assert text == EXACT[word], (word, text)
        return
    forms = forms or FORMS
    if forms[word][-1] != 'version=0':  # the text of /zookeeper/config
        assert text.endswith('\n'), (word, text[-80:])
        text = text[:-1]
    lines = text.split('\n')
    place = 0
    for form in forms[word]:
        if isinstance(form, list):
            while place < len(lines) and any(re.fullmatch(f, lines[place])
                                             for f in form):
                place += 1
            continue
        assert place < len(lines), '%s: missing: %s' % (word, form)
        assert re.fullmatch(form, lines[place]), \
            '%s: %r is not %s' % (word, lines[place], form)
        place += 1
    assert place == len(lines), '%s: too much: %r' % (word, lines[place])


class Scene:
    """Two sessions, three ephemerals, three data watches, 300 writes."""

    def __init__(self, hosts):
        self.clients = [KazooClient(hosts=hosts, timeout=20),
                        KazooClient(hosts=hosts, timeout=10)]
        one, two = self.clients
        one.start(timeout=20)
        two.start(timeout=20)
        one.create('/a', b'x')
        one.create('/b', b'y', ephemeral=True)
        one.create('/c', b'y', ephemeral=True)
        two.create('/d', b'y', ephemeral=True)
        for i in range(300):
            one.set('/a', b'%d' % i)
        for client, path in ((one, '/a'), (one, '/b'), (two, '/a')):
            client.get(path, watch=lambda event: None)
        two.get_children('/', watch=lambda event: None)
        self.ids = [client.client_id[0] for client in self.clients]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.clients[0].delete('/a')
        for client in self.clients:
            client.stop()
            client.close()


def all_words(address, ids, forms=None):
    got = {}
    for word in WORDS:
        if word in ('crst', 'srst', 'stmk'):
            continue
        got[word] = ask(address, word.encode())
        check_form(word, got[word], forms)
    got['stmk'] = ask(address, b'stmk' + struct.pack('>q', 514))
    assert got['stmk'] == '514', got['stmk']
    assert ask(address, b'gtmk') == '514'
    assert ask(address, b'stmk' + struct.pack('>q', 306)) == '306'
    one, two = ('0x%x' % i for i in ids)
    both = {one: ['/a', '/b'], two: ['/a']}
    assert groups(got['wchc']) == both, got['wchc']
    assert groups(got['wchp']) == {'/a': sorted([one, two]), '/b': [one]}
    ephemerals = got['dump'].split('Ephemerals (2):\n')[1].split('Conn')[0]
    assert groups(ephemerals) == {one + ':': ['/b', '/c'],
                                  two + ':': ['/d']}, ephemerals
    metrics = dict(line.split('\t') for line in got['mntr'].splitlines())
    for name, value in (('znode_count', '9'), ('ephemerals_count', '3'),
                        ('global_sessions', '2'), ('watch_count', '4'),
                        ('num_alive_connections', '3')):
        assert metrics['zk_' + name] == value, (name, metrics)
    for word in ('crst', 'srst'):
        got[word] = ask(address, word.encode())
        check_form(word, got[word])
    cons = ask(address, b'cons')
    assert cons.count(',lop=NA,') == 2, cons
    assert cons.count('lzxid=0xffffffffffffffff,lresp=0,llat=0') == 2, cons
    assert 'Latency min/avg/max: 0/0.0/0\n' in ask(address, b'srvr')
    got['metrics'] = metrics
    return got


def groups(text):
    found, key = {}, None
    for line in text.splitlines():
        if line.startswith('\t'):
            found[key].append(line[1:])
            found[key].sort()
        elif line:
            key = line
            assert key not in found, 'a group in two parts: %s' % key
            found[key] = []
    return found


CONFIG = '4lw.commands.whitelist=*\ntickTime=2000\nmaxClientCnxns=0\n'


def test_forms():
    with CorralServer(CONFIG) as server, Scene(server.hosts) as scene:
        metrics = all_words(server.address, scene.ids)['metrics']
        assert metrics['zk_op_count_set_data'] == '300', metrics
        assert int(metrics['zk_cnt_fsynctime']) > 0
        assert int(metrics['zk_disk_free_bytes']) > 0
        assert scene.clients[0].server_version()[:2] == (3, 10)
        assert scene.clients[0].command(b'ruok') == 'imok'


def test_forms_are_apaches():
    if not apache_server.available():
        print('skipped: Apache ZooKeeper is not installed')
        return
    with apache_server.ApacheServer() as server:
        hosts = '127.0.0.1:%d' % server.port
        with Scene(hosts) as scene:
            all_words(server.address, scene.ids)


def masked(text):
    """Values taken out: what is left must be the same for both kinds."""
    text = re.sub(r'(?m)^(Zookeeper version: |zk_version\t|zookeeper.version=)'
                  r'.*$', r'\1VERSION', text)
    text = re.sub(r'(?m)^(dataDir|dataLogDir)=.*$', r'\1=DIR', text)
    text = re.sub(r'(?m)^(server\.[^;\n]*);.*$', r'\1', text)
    text = re.sub(r'(?m)^\d expire at %s:\n' % DATE, '', text)  # any number
    text = re.sub(HEX, 'HEX', text)
    text = re.sub(r'-?\b\d+(\.\d+(E-\d+)?)?', 'N', text)
    text = re.sub(r'\[N\]\(', '[N](', text)
    text = re.sub(r',lcxid=HEX', '', text)  # when its last one had one
    return sorted(text.splitlines())


def role_of_each(ensemble):
    """One server in each role, leader first."""
    leader = ensemble.leader()
    follower = ensemble.followers()[0]
    return [('leader', leader), ('follower', follower)] + \
        [('observer', m) for m in ensemble.observers]


def words_of_roles(kind):
    """{role: {word: answer}}, each checked against the forms."""
    got = {}
    with Ensemble(servers=3, observers=1, kind=kind,
                  config='tickTime=2000\n') as ensemble:
        ensemble.start()
        ensemble.wait_serving()
        for role, server in role_of_each(ensemble):
            wait_for(lambda: server.metrics()['zk_global_sessions'] == '0',
                     'the sessions of the last role to go')
            with Scene(server.hosts) as scene:
                got[role] = all_words(server.address, scene.ids,
                                      forms_of(role, server))
            check_numbers(role, got[role]['metrics'])
    return got


def check_numbers(role, metrics):
    expected = {'zk_quorum_size': '3', 'zk_looking_count': '1'}
    if role == 'leader':
        expected.update({
            'zk_learners': '3', 'zk_synced_followers': '2',
            'zk_synced_observers': '1', 'zk_pending_syncs': '0',
            'zk_synced_non_voting_followers': '0'})
        assert int(metrics['zk_leader_uptime']) > 0
        assert 0 < int(metrics['zk_min_proposal_size']) <= \
            int(metrics['zk_last_proposal_size']) <= \
            int(metrics['zk_max_proposal_size']), metrics
        assert int(metrics['zk_proposal_count']) >= 300
    else:
        for name in metrics:
            assert 'proposal_size' not in name and 'synced_' not in name, name
        # Observers are sent what is committed already.
        received = 'zk_learner_%s_received_count' % (
            'proposal' if role == 'follower' else 'commit')
        assert int(metrics[received]) >= 300, (received, metrics)
    for name, value in expected.items():
        assert metrics[name] == value, (role, name, metrics)


def test_forms_in_every_role():
    got = words_of_roles('corral')
    if not apache_server.available():
        print('not compared: Apache ZooKeeper is not installed')
        return
    apaches = words_of_roles('apache')
    for role, words in got.items():
        for word in WORDS:
            if word == 'mntr':
                continue
            ours, theirs = masked(words[word]), masked(apaches[role][word])
            if word == 'hash':
                ours, theirs = ours[:1], theirs[:1]
            if word == 'envi':
                ours, theirs = ({line.split('=')[0].replace('jvm.', 'os.')
                                 for line in lines} for lines in (ours, theirs))
            assert ours == theirs, '%s of a %s: %r is not %r' % (
                word, role, ours, theirs)
        compare_metrics(role, words['metrics'], apaches[role]['metrics'])


# What Corral prints and 3.8 does not: later ZooKeepers' and its own.
OWN = re.compile(r'zk_(corral_.*|op_count_.*|data_dir_bytes|log_dir_bytes|'
                 r'bytes_written|disk_.*|checkpoints|slow_steps|'
                 r'version|server_state|peer_state)')


def compare_metrics(role, ours, theirs):
    strange = {name for name in ours if not OWN.fullmatch(name)} - set(theirs)
    assert not strange, (role, strange)
    gauges = {name for name in theirs if re.fullmatch(
        r'zk_(learners|synced_.*|pending_syncs|quorum_size|leader_uptime|'
        r'(last|min|max)_proposal_size|.*_sessions|.*_count|.*_election_time|'
        r'packets_.*|(avg|min|max)_latency|uptime|.*_unavailable_time)', name)}
    missing = {name for name in gauges - set(ours)
               if not NOT_OURS.search(name)}
    assert not missing, (role, sorted(missing))


# Counts of what there is only in ZooKeeper's pipeline, caches, TLS and JVM.
NOT_OURS = re.compile(
    r'mtls|cache|insecure|_watch_count|drop_count|snapshot|rate_limit|'
    r'unrecoverable|wait_count|request_count|revalidate_count|'
    r'inflight|digest_mismatches|bytes_received|throttle|leader_unavailable|'
    r'sync_count|restore|skip_learner')


def test_words_without_a_quorum():
    for kind in ('corral', 'apache'):
        if kind == 'apache' and not apache_server.available():
            print('not compared: Apache ZooKeeper is not installed')
            return
        with Ensemble(servers=3, kind=kind) as ensemble:
            ensemble.start()
            ensemble.wait_serving()
            last = ensemble.servers[1]
            for server in ensemble.servers:
                if server is not last:
                    server.kill()
            wait_for(lambda: ask(last.address, b'srvr') == NOT_SERVING,
                     'a server alone to serve nobody')
            for word in WORDS:
                text = ask(last.address, word.encode() + bytes(8))
                if word == 'isro':
                    assert text == 'null', text
                elif word in EXACT or word == 'stmk':
                    assert text in (EXACT.get(word), '0'), (word, text)
                elif word == 'envi':
                    check_form(word, text)
                else:  # ZooKeeper's hash has no newline then
                    assert text.strip() == NOT_SERVING.strip(), (word, text)


def test_words_of_a_read_only_server():
    for kind in ('corral', 'apache'):
        if kind == 'apache' and not apache_server.available():
            print('not compared: Apache ZooKeeper is not installed')
            return
        how = {'config': 'readonlymode.enabled=true\n'} if kind == 'corral' \
            else {'args': ['-Dreadonlymode.enabled=true']}
        with Ensemble(servers=3, kind=kind, **how) as ensemble:
            ensemble.start()
            ensemble.wait_serving()
            last = ensemble.servers[2]
            for server in ensemble.servers[:2]:
                server.kill()
            wait_for(lambda: ask(last.address, b'isro') == 'ro',
                     'a server alone to be read-only')
            for word in ('srvr', 'stat'):
                lines = ask(last.address, word.encode()).splitlines()
                assert lines[1] == READ_ONLY, lines
                assert 'Mode: read-only' in lines, lines
            lines = ask(last.address, b'mntr').splitlines()
            assert 'zk_server_state\tread-only' in lines, lines
            assert ask(last.address, b'dump').startswith(
                'SessionTracker dump:\nGlobal Sessions(0):\n')
            lines = ask(last.address, b'conf').splitlines()
            assert 'peerType=0' in lines, lines
            assert ask(last.address, b'ruok') == 'imok'


def test_peers_in_mntr():
    with Ensemble(servers=3, observers=1) as ensemble:
        ensemble.start()
        ensemble.wait_serving()
        leader = ensemble.leader()
        follower = ensemble.followers()[0]

        def seen():
            metrics = leader.metrics()
            key = 'zk_corral_peer_%d_' % follower.id
            return (metrics.get(key + 'stage'), metrics.get(key + 'synced'),
                    metrics.get('zk_synced_followers'))

        wait_for(lambda: seen() == ('synced', '1', '2'), 'a synced follower')
        assert leader.metrics()['zk_corral_leader_id'] == str(leader.id)
        assert follower.metrics()['zk_corral_leader_id'] == str(leader.id)
        follower.kill()
        wait_for(lambda: seen() == ('away', '0', '1'), 'it to be missed')
        follower.start()
        wait_for(lambda: seen() == ('synced', '1', '2'), 'it to be back')


def quota_metrics(server):
    client = KazooClient(hosts='%s:%d' % server.address, timeout=10)
    client.start(timeout=20)
    for path, limits in (('/q', b'count=5,bytes=-1'),
                         ('/deep/er', b'count=5,bytes=77=;byteHardLimit=88;'
                                      b'countHardLimit=99')):
        client.create('/zookeeper/quota%s/zookeeper_limits' % path, limits,
                      makepath=True)
        client.create('/zookeeper/quota%s/zookeeper_stats' % path,
                      b'count=0,bytes=0')
    for path, data in (('/q', b'123'), ('/q/1', b''), ('/q/2', b'4'),
                       ('/deep', b'not counted'), ('/deep/er', b'56789')):
        client.create(path, data)
    client.stop()
    client.close()
    lines = ask(server.address, b'mntr').splitlines()
    return dict(line.split('\t') for line in lines if '_quota_' in line)


def test_quotas_in_mntr():
    expected = {'zk_%s_quota_%s_per_namespace' % (space, name): str(value)
                for space, values in (('q', (5, 3, -1, 4)),
                                      ('deep', (99, 1, 88, 5)))
                for name, value in zip(('count_limit', 'count_usage',
                                        'bytes_limit', 'bytes_usage'), values)}
    with CorralServer(CONFIG) as server:
        got = quota_metrics(server)
        assert got == expected, got
    if not apache_server.available():
        print('not compared: Apache ZooKeeper is not installed')
        return
    with apache_server.ApacheServer() as server:
        got = quota_metrics(server)
        assert got == expected, got


def test_hash_after_128_transactions():
    with CorralServer(CONFIG) as server, Scene(server.hosts):
        lines = ask(server.address, b'hash').splitlines()
        zxids = [int(line.split(':')[0], 16) & 0xffffffff for line in lines]
        assert zxids == [128, 256], lines


def test_whitelist():
    for given, allowed in (('', {'srvr'}),
                           ('readonlymode.enabled=true\n', {'srvr', 'isro'}),
                           ('4lw.commands.whitelist=\n', set()),
                           ('4lw.commands.whitelist=ruok, mntr\n',
                            {'ruok', 'mntr'}),
                           ('4lw.commands.whitelist=*\n', set(WORDS))):
        with CorralServer(given) as server:
            for word in WORDS:
                text = ask(server.address, word.encode() + bytes(8))
                refused = text == ('%s is not executed because it is not in '
                                   'the whitelist.\n' % word)
                assert refused == (word not in allowed), (given, word, text)
    with CorralServer(None) as server:  # bare: all but the costly ones
        for word in WORDS:
            text = ask(server.address, word.encode() + bytes(8))
            assert ('whitelist' in text) == word.startswith('wch'), word


def test_bytes_one_by_one():
    with CorralServer(CONFIG) as server:
        with socket.create_connection(server.address, 20) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in b'stmk' + struct.pack('>q', -1):
                s.send(bytes([byte]))
            assert s.recv(100) == b'-1'
        # Too little of it: closed when the handshake's time is over, or by us.
        with socket.create_connection(server.address, 20) as s:
            s.send(b'stmk\0\0')
            s.shutdown(socket.SHUT_WR)
            assert s.recv(100) == b''
        assert ask(server.address, b'gtmk') == '-1'
        assert ask(server.address, b'ruok' + b'x' * 100) == 'imok'
        assert ask(server.address, b'\xff\xf4\xff\xfd') == ''


def test_no_secret_in_any_word():
    secret = 'super:D/InIHSb7yEEbrWz8b9l71RjZJU='
    config = CONFIG + 'DigestAuthenticationProvider.superDigest=%s\n' \
        'ensembleAuthName=quietname\nlogLevel=debug\n' % secret
    with CorralServer(config) as server, RawClient(server.address) as raw:
        password = raw.connect(10000)[2]
        client = KazooClient(hosts=server.hosts,
                             auth_data=[('digest', 'user:quietpassword')])
        client.start(timeout=20)
        client.create('/x', b'')
        said = ''.join(ask(server.address, word.encode() + bytes(8))
                       for word in WORDS)
        client.stop()
        client.close()
        said += server.log_text()
        for hidden in ('D/InIHSb7yEE', 'quietname', 'quietpassword',
                       password.hex(), repr(password)[2:-1]):
            assert hidden not in said, hidden


def test_dumps_leave_the_others_their_turn():
    """Dumps in a loop over many watches: requests go on between them."""
    with CorralServer(CONFIG) as server:
        writer = KazooClient(hosts=server.hosts, timeout=20)
        writer.start(timeout=20)
        with RawClient(server.address) as watcher:
            watcher.connect(30000)
            paths = [b'/n%06d' % i for i in range(60000)]
            body = struct.pack('>iiq', -8, 101, 1 << 62)
            for part in ([], paths, []):
                body += struct.pack('>i', len(part))
                body += b''.join(struct.pack('>i', len(p)) + p for p in part)
            watcher.send(body)
            assert watcher.reply()[2] == 0
            stop = threading.Event()
            dumps = []

            def dump():
                while not stop.is_set():
                    text = ask(server.address, b'wchp')
                    dumps.append(text.count('\t'))

            threads = [threading.Thread(target=dump) for _ in range(4)]
            for thread in threads:
                thread.start()
            try:
                for i in range(50):
                    writer.create('/w%d' % i, b'')
                wait_for(lambda: len(dumps) >= 8, 'eight dumps', 60)
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
            assert set(dumps) == {60000}, set(dumps)
        writer.stop()
        writer.close()
        assert server.slow_steps() == []


def test_a_dump_given_up_lets_go():
    with CorralServer(CONFIG) as server, Scene(server.hosts) as scene:
        for _ in range(20):
            with socket.create_connection(server.address, 20) as s:
                s.send(b'dump')
        scene.clients[0].set('/a', b'still')
        check_form('dump', re.sub(r'/\(\d+\)', '/(3)', ask(
            server.address, b'dump')).replace('/(3)', '/(2)', 1))


if __name__ == '__main__':
    sys.exit(named_tests.main(globals()))
