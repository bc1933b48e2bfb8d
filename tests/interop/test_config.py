"""corrald's command line and zoo.cfg, from the outside: what stops a start and
what it says then, what is warned of, what --check-config prints.

Run with CORRALD=path /usr/bin/python3 tests/interop/test_config.py [name...]"""

import os
import re
import socket
import subprocess
import sys
import tempfile

import named_tests
from corral_server import CorralServer, binary
from ensemble import Ensemble

SECRETS = ('D/InIHSb7yEEbrWz8b9l71RjZJU=', 'quietpassword', 'quietname')


class Directory:
    def __enter__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix='corral-test-')
        self.path = self.temporary.name
        return self

    def __exit__(self, *_):
        self.temporary.cleanup()

    def run(self, lines, *args):
        """corrald on a zoo.cfg of these lines: (status, stdout, stderr); the
        file is called zoo.cfg in both."""
        with open(os.path.join(self.path, 'zoo.cfg'), 'w') as f:
            f.write(lines)
        done = subprocess.run([binary()] + list(args) + ['zoo.cfg'],
                              cwd=self.path, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=60)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def entries(self):
        return sorted(os.listdir(self.path))


BASE = 'dataDir=data\nclientPort=0\nclientPortAddress=127.0.0.1\n'


def test_every_problem_stops_the_start():
    with Directory() as place:
        status, out, err = place.run(
            BASE + 'tickTme=2000\nsslQuorum=true\nforceSync=perhaps\n'
            'server.1=a:2888:3888\nserver.2=b:2888:3888|c:2888:3888\n')
        assert status == 1 and out == '', (status, out)
        assert err.splitlines() == [
            'corrald: zoo.cfg:4: unknown key tickTme; the nearest known one is '
            'tickTime',
            'corrald: not supported yet: sslQuorum (zoo.cfg:5)',
            'corrald: zoo.cfg:6: forceSync: "perhaps" is not yes, no, true or '
            'false',
            'corrald: zoo.cfg:8: server.2: several addresses (multiAddress) '
            'are not supported yet (host:quorum port:election port[:role]'
            '[;[host:]client port])'], err
        assert place.entries() == ['zoo.cfg']  # nothing was made


def test_check_config_prints_what_it_means():
    with Directory() as place:
        status, out, err = place.run(
            BASE + 'tickTime=2000\nsnapCount=9\nadmin.enableServer=true\n'
            'DigestAuthenticationProvider.superDigest=super:%s\n'
            'ensembleAuthName=quietname\n' % SECRETS[0], '--check-config')
        assert status == 0, (status, err)
        lines = out.splitlines()
        for line in ('tickTime=2000', 'minSessionTimeout=4000',
                     'dataLogDir=data', 'forceSync=true',
                     '# DigestAuthenticationProvider.superDigest is set'):
            assert line in lines, (line, out)
        assert 'has no effect yet: admin.enableServer (zoo.cfg:6)' in err, err
        assert 'event=config_ignored keys=snapCount\n' in err, err
        for secret in SECRETS:
            assert secret not in out + err
        assert place.entries() == ['zoo.cfg']
        # What it printed is a zoo.cfg that means the same.
        status, again, err = place.run(out, '--check-config')
        without = [line for line in again.splitlines() if line[0] != '#']
        assert status == 0, err
        assert without == [line for line in lines if line[0] != '#']
        assert place.run('', '--check-config')[0] == 1


def test_warnings_come_at_each_start():
    config = 'forceSync=no\nreconfigEnabled=true\nsnapCount=7\njvm.pause.' \
        'monitor=true\nmaxClientCnxns=5\nzookeeper.maxClientCnxns=6\n'
    with CorralServer(config) as server:
        server.restart()
        log = server.log_text()
        for text in (r'level=warn event=config text="[^"]*zoo.cfg:1: '
                     r'forceSync=no: a power cut loses acknowledged writes"',
                     r'level=warn event=config text="has no effect yet: '
                     r'reconfigEnabled \([^)]*zoo.cfg:2\)"',
                     r'level=warn event=config text="[^"]*zoo.cfg:6: '
                     r'maxClientCnxns was given in line 5 too; this one '
                     r'counts"',
                     r'level=info event=config_ignored '
                     r'keys=snapCount,jvm.pause.monitor\n'):
            assert len(re.findall(text, log)) == 2, (text, log)
        assert 'maxClientCnxns' not in log.split('event=serving')[1].split(
            'event=config')[0]


def test_secrets_stay_out_of_messages():
    with Directory() as place:
        status, out, err = place.run(
            BASE + 'ssl.keyStore.password=quietpassword\n'
            'ssl.quorum.trustStore.password=quietpassword\n'
            'DigestAuthenticationProvider.superDigest=super:quietpassword\n'
            'superDigest=quietpassword\nensembleAuthName=quietname\n'
            'ensembleAuthName=quietname\n')
        assert status == 1
        for secret in SECRETS:
            assert secret not in out + err, err


ENSEMBLE = 'dataDir=data\ninitLimit=10\nsyncLimit=5\n'
LINES = ('server.1=127.0.0.1:2888:3888;127.0.0.1:2181\n'
         'server.2=127.0.0.1:2889:3889;2182\n'
         'server.7=127.0.0.1:2890:3890:observer;2183\n'
         'server.5=127.0.0.1:2891:3891\n')


def write(place, name, text):
    path = os.path.join(place.path, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w') as f:
        f.write(text)


def test_myid_says_which_server_it_is():
    with Directory() as place:
        def check(myid, error):
            if myid is not None:
                write(place, 'data/myid', myid)
            status, out, err = place.run(ENSEMBLE + LINES, '--check-config')
            assert (status, out) == (1, ''), (status, out, err)
            assert err == 'corrald: data/myid: %s\n' % error, err

        check(None, 'there is no such file: it holds the N of this server\'s '
                    'server.N line')
        check('one\n', '"one" is not a number')
        check('', '"" is not a number')
        check('1 2\n', '"1 2" is not a number')
        check('\x00', '"" is not a number')
        check('9' * 5000, '"%s..." is not a number' % ('9' * 76))
        check('0\n', '0 is not between 1 and 255')
        check('256', '256 is not between 1 and 255')
        check('3\n', 'there is no server.3 in zoo.cfg')
        os.unlink(os.path.join(place.path, 'data/myid'))
        os.mkdir(os.path.join(place.path, 'data/myid'))
        check(None, 'Is a directory')
        # Nothing but myid was made.
        assert place.entries() == ['data', 'zoo.cfg'], place.entries()


def test_own_line_says_where_clients_connect():
    with Directory() as place:
        def run(myid, more=''):
            write(place, 'data/myid', myid)
            return place.run(ENSEMBLE + LINES + more, '--check-config')

        status, out, err = run(' 1 \r\nsecond line\n')
        assert status == 0 and err == '', err
        for line in ('clientPort=2181', 'clientPortAddress=127.0.0.1',
                     'server.7=127.0.0.1:2890:3890:observer;2183',
                     'server.5=127.0.0.1:2891:3891:participant'):
            assert line in out.splitlines(), (line, out)
        # What it printed means the same.
        with open(os.path.join(place.path, 'again.cfg'), 'w') as f:
            f.write(out)
        again = place.run(out, '--check-config')
        assert again == (0, out, ''), again
        status, out, err = run('2')
        assert status == 0 and 'clientPort=2182' in out.splitlines(), out
        assert '# clientPortAddress is not set' in out.splitlines(), out
        assert run('2', 'clientPort=2182\nclientPortAddress=::1\n')[0] == 0
        assert run('2', 'clientPort=2181\n')[2] == \
            'corrald: zoo.cfg:8: clientPort: 2181 is not the 2182 of ' \
            'server.2\n'
        assert run('1', 'clientPortAddress=::1\n')[2] == \
            'corrald: zoo.cfg:8: clientPortAddress: ::1 is not the ' \
            '127.0.0.1 of server.1\n'
        assert run('5')[2] == 'corrald: zoo.cfg: clientPort is not set: ' \
            'nobody could connect\n'
        assert run('5', 'clientPort=1\n')[0] == 0
        # The directory of the command line has another myid.
        write(place, 'other/myid', '2\n')
        status, out, err = place.run(ENSEMBLE + LINES, '--data-dir', 'other',
                                     '--check-config')
        assert status == 0 and 'clientPort=2182' in out.splitlines(), err


def test_peer_type_that_contradicts_is_warned_of():
    with Directory() as place:
        def warnings(myid, peer_type):
            write(place, 'data/myid', myid)
            status, _, err = place.run(
                ENSEMBLE + LINES + 'peerType=%s\n' % peer_type,
                '--check-config')
            assert status == 0, err
            return re.findall(r'level=warn event=config text="(.*)"', err)

        assert warnings('1', 'participant') == []
        assert warnings('7', 'observer') == []
        assert warnings('1', 'observer') == [
            'zoo.cfg:8: peerType: server.1 is a participant by its line, '
            'which counts']
        assert warnings('7', 'participant') == [
            'zoo.cfg:8: peerType: server.7 is an observer by its line, which '
            'counts']


def test_dynamic_file_is_read_as_zookeeper_does():
    with Directory() as place:
        static = ENSEMBLE + 'dynamicConfigFile=zoo.cfg.dynamic.1f\n'
        status, _, err = place.run(static, '--check-config')
        assert err.startswith('corrald: zoo.cfg.dynamic.1f: No such file'), err
        assert status == 1
        write(place, 'data/myid', '2\n')
        write(place, 'zoo.cfg.dynamic.1f', LINES)
        status, out, err = place.run(static, '--check-config')
        assert status == 0 and err == '', err
        assert 'clientPort=2182' in out.splitlines(), out
        assert place.run(out, '--check-config') == (0, out, '')
        write(place, 'zoo.cfg.dynamic.1f', LINES + 'version=1f\n'
              'tickTime=2000\nserver.2=b:1:2\nserver.9=\n')
        status, out, err = place.run(static, '--check-config')
        assert err.splitlines() == [
            'corrald: zoo.cfg.dynamic.1f:5: the version of a '
            'dynamicConfigFile stands at the end of its name, not in it',
            'corrald: zoo.cfg.dynamic.1f:6: tickTime: only server.N lines '
            'belong here',
            'corrald: zoo.cfg.dynamic.1f:7: server.2: id 2 is given in '
            'zoo.cfg.dynamic.1f:2 too',
            'corrald: zoo.cfg.dynamic.1f:8: server.9: it is empty '
            '(host:quorum port:election port[:role][;[host:]client port])'
        ], err


def can_connect(host, port):
    try:
        socket.create_connection((host, port), 5).close()
        return True
    except ConnectionRefusedError:
        return False


def test_one_voter_may_have_observers_when_told_so():
    with Ensemble(servers=1, observers=1,
                  config='standaloneEnabled=false\n') as e:
        e.start()
        e.wait_serving()
        assert [s.mode() for s in e.servers] == ['leader', 'observer']


def test_ports_for_servers_are_on_the_own_host_unless_on_all():
    for key, elsewhere in (('', False),
                           ('quorumListenOnAllIPs=true\n', True)):
        with Ensemble(servers=1, observers=1,
                      config='standaloneEnabled=false\n' + key) as e:
            e.start()
            e.wait_serving()
            for port in (e.servers[0].quorum_port, e.servers[0].election_port):
                assert can_connect('127.0.0.1', port)
                assert can_connect('127.0.0.2', port) == elsewhere, key


def test_port_in_use_is_tried_again_and_named():
    with Ensemble(servers=2, observers=0,
                  config='electionPortBindRetry=2\n') as e:
        server = e.servers[0]
        with socket.socket() as holder:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(('127.0.0.1', server.election_port))
            holder.listen()
            server.start()
            assert server.wait_exit() == 1
        lines = re.findall(r'event=listen_failed .*port=%d reason="Address '
                           'already in use"' % server.election_port,
                           server.log_text())
        assert len(lines) == 2, server.log_text()


def test_command_line():
    def run(*args):
        done = subprocess.run([binary()] + list(args), timeout=60,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    status, out, err = run('--help')
    assert status == 0 and out.startswith('usage: corrald') and err == ''
    for option in ('--data-dir', '--port', '--check-config', '--version'):
        assert option in out, option
    status, out, err = run('--version')
    assert status == 0 and re.fullmatch(r'corrald \d+\.\d+\.\d+\n', out), out
    for args in (['--nonsense'], ['--port', 'x'], ['a', 'b'],
                 ['--check-config']):
        status, out, err = run(*args)
        assert status == 2 and out == '' and len(err) > 0, (args, status)
    status, out, err = run('/nonexistent/zoo.cfg')
    assert (status, err) == (1, 'corrald: /nonexistent/zoo.cfg: No such file '
                                'or directory\n'), err


if __name__ == '__main__':
    sys.exit(named_tests.main(globals()))
