"""./quickstart --servers N: an ensemble on this machine with one command, in the
foreground, until Ctrl-C.

Run with CORRALD=path /usr/bin/python3 tests/interop/test_quickstart.py [name...]
"""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading

from kazoo.client import KazooClient

import named_tests
from ensemble import PORT_FIRST, PORT_LAST, corrald, wait_for

QUICKSTART = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                          '..', '..', 'quickstart')
STEPS = (0, 707, 1707)  # from a client port to the others


def is_free(port):
    try:
        with socket.socket() as s:
            s.bind(('127.0.0.1', port))
            return True
    except OSError:
        return False


def free_base(count):
    while True:
        base = random.SystemRandom().randint(PORT_FIRST, PORT_LAST - 2000)
        if all(is_free(base + step + i) for step in STEPS
               for i in range(count)):
            return base


class Run:
    """One quickstart in a session of its own, as a terminal would have it."""

    def __init__(self, directory, base, servers=3, observers=0):
        self.lines = []
        self.process = subprocess.Popen(
            [QUICKSTART, '--bin', corrald(), '--servers', str(servers),
             '--observers', str(observers), '--base-port', str(base),
             '--data', os.path.join(directory, 'data')],
            cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True,
            # Tests that run in the background ignore it, and so would a shell.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.decode().rstrip('\n'))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid in self.members():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()

    def text(self):
        return '\n'.join(self.lines)

    def wait_line(self, pattern, deadline_s=60.0):
        def found():
            for line in list(self.lines):
                match = re.search(pattern, line)
                if match:
                    return match
            assert self.process.poll() is None or self.reader.is_alive(), \
                'quickstart ended with %s:\n%s' % (self.process.returncode,
                                                   self.text())
            return None

        try:
            return wait_for(found, repr(pattern), deadline_s)
        except Exception as e:
            raise AssertionError('%s\n%s' % (e, self.text()))

    def end(self, deadline_s=60.0):
        """Its exit status, when it has ended by itself."""
        status = self.process.wait(deadline_s)
        self.reader.join(deadline_s)
        return status

    def interrupt(self):
        """Ctrl-C: SIGINT to all in the foreground. The exit status; nothing
        of the session may be left."""
        os.killpg(self.process.pid, signal.SIGINT)
        status = self.end()
        left = self.members()
        assert left == [], 'left behind: %r\n%s' % (left, self.text())
        return status

    def members(self):
        """The processes of its session."""
        found = []
        for name in os.listdir('/proc'):
            try:
                with open('/proc/%s/stat' % name) as f:
                    fields = f.read().rpartition(')')[2].split()
            except (OSError, ValueError):
                continue
            if int(fields[3]) == self.process.pid and fields[0] != 'Z':
                found.append(int(name))
        return found

    def server_pid(self, server):
        """That of the process that holds this server's directory."""
        mine = os.path.join('data', str(server), 'zoo.cfg').encode()
        for pid in self.members():
            try:
                with open('/proc/%d/cmdline' % pid, 'rb') as f:
                    arguments = f.read().split(b'\0')
            except OSError:
                continue
            if any(argument.endswith(mine) for argument in arguments):
                return pid
        raise AssertionError('server %d does not run:\n%s' % (server,
                                                              self.text()))


class Client:
    def __init__(self, port):
        self.kazoo = KazooClient('127.0.0.1:%d' % port, timeout=20)

    def __enter__(self):
        self.kazoo.start(timeout=60)
        return self.kazoo

    def __exit__(self, *_):
        self.kazoo.stop()
        self.kazoo.close()


def test_one_command_runs_an_ensemble_until_ctrl_c():
    with tempfile.TemporaryDirectory(prefix='corral-test-') as place:
        base = free_base(4)
        with Run(place, base, 3, 1) as run:
            run.wait_line('server [123] leads')
            hosts = run.wait_line('^Connect to (.*)$').group(1)
            assert hosts == ','.join('127.0.0.1:%d' % (base + i)
                                     for i in range(4)), hosts
            with Client(base) as kazoo:
                kazoo.create('/through-one', b'1')
            with Client(base + 3) as kazoo:  # the observer
                kazoo.sync('/')
                assert kazoo.get('/through-one')[0] == b'1'
                members = kazoo.get('/zookeeper/config')[0].decode()
                assert len(members.splitlines()) == 5, members
            assert run.interrupt() == 0, run.text()
            assert run.lines[-1] == 'stopped', run.text()
        # On the same data everything is there again.
        with Run(place, base, 3, 1) as run:
            run.wait_line('server [123] leads')
            with Client(base + 1) as kazoo:
                kazoo.sync('/')
                assert kazoo.get('/through-one')[0] == b'1'
            os.kill(run.process.pid, signal.SIGTERM)
            assert run.end() == 0, run.text()
            assert run.members() == [], run.members()


def test_death_of_a_server_is_told_and_the_others_go_on():
    with tempfile.TemporaryDirectory(prefix='corral-test-') as place:
        base = free_base(3)
        with Run(place, base) as run:
            leader = int(run.wait_line(r'server (\d) leads').group(1))
            run.lines.clear()
            os.kill(run.server_pid(leader), signal.SIGKILL)
            run.wait_line(r'server %d ended with status 137' % leader)
            run.wait_line('    ts=.*event=leading')
            run.wait_line(r'server [^%d] leads' % leader)
            with Client(base + leader % 3) as kazoo:
                kazoo.create('/after', b'2')
            assert run.interrupt() == 0, run.text()


def test_what_is_wrong_is_said_and_nothing_started():
    with tempfile.TemporaryDirectory(prefix='corral-test-') as place:
        base = free_base(3)
        with socket.socket() as holder:
            holder.bind(('127.0.0.1', base + 1 + 1707))
            holder.listen()
            with Run(place, base) as run:
                assert run.end() == 1
                assert run.text() == \
                    'ensemble.sh: ports in use: %d (server 2, election): ' \
                    'choose another --base-port' % (base + 1 + 1707), \
                    run.text()
        with Run(place, base, 5) as run:
            assert run.end() == 1
            assert 'holds an ensemble of --servers 3 --observers 0: start ' \
                'that, or choose another --data' in run.text(), run.text()
        with Run(place, base, 1, 2) as run:
            assert run.end() == 1
            assert 'observers need at least two servers' in run.text()
        with Run(place, 64000) as run:
            assert run.end() == 1
            assert '--base-port: 64000 is not between 1 and' in run.text()
        with Run(place, '08181') as run:  # octal to the shell
            assert run.end() == 1
            assert '--base-port: not a number: 08181' in run.text(), run.text()
        # A setting that corrald refuses stops all, with its reason.
        with open(os.path.join(place, 'data', 'extra.cfg'), 'w') as f:
            f.write('tickTme=1\n')
        with Run(place, base) as run:
            assert run.end() == 1
            assert 'unknown key tickTme' in run.text(), run.text()
            assert run.lines[-1] == 'ensemble.sh: no server is left'


if __name__ == '__main__':
    sys.exit(named_tests.main(globals()))
