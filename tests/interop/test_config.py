"""corrald's command line and zoo.cfg, from the outside: what stops a start and
what it says then, what is warned of, what --check-config prints.

Run with CORRALD=path /usr/bin/python3 tests/interop/test_config.py [name...]"""

import os
import re
import subprocess
import sys
import tempfile

from corral_server import CorralServer, binary

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
            'server.1=a:2888:3888\nserver.2=b:2888:3888\n')
        assert status == 1 and out == '', (status, out)
        assert err.splitlines() == [
            'corrald: zoo.cfg:4: unknown key tickTme; the nearest known one is '
            'tickTime',
            'corrald: not supported yet: sslQuorum (zoo.cfg:5)',
            'corrald: zoo.cfg:6: forceSync: "perhaps" is not yes, no, true or '
            'false',
            'corrald: not supported yet: server.2 (zoo.cfg:8): ensembles come '
            'with replication'], err
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


def main():
    tests = {name: run for name, run in globals().items()
             if name.startswith('test_')}
    failed = 0
    for name in sys.argv[1:] or tests:
        try:
            tests[name]()
            print('ok      %s' % name, flush=True)
        except Exception as e:  # the next test still says something
            failed += 1
            print('FAILED  %s: %s: %s' % (name, type(e).__name__, e),
                  flush=True)
            import traceback
            traceback.print_exc()
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
