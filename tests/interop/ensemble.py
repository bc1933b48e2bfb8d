"""Ensembles under test, of Corral or of Apache ZooKeeper: fresh directories,
free ports that are kept, every process killed with the test that started it.

    with Ensemble(servers=3, observers=1, kind="corral") as e:
        e.start()
        e.wait_serving()
        kazoo.client.KazooClient(e.hosts)
        e.leader().kill()           # -9
        e.leader(deadline_s=10)     # the next one

Needs CORRALD for kind="corral". Nothing sleeps for a fixed time: everything is
waited for with a deadline. After a failure e.log_tails() is what they said, and
e.keep() makes close() leave the directories."""

import concurrent.futures
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import apache_server

# Outside of what the system gives outgoing connections, which would take the
# port of a server while it is down.
PORT_FIRST, PORT_LAST = 10000, 32000
POLL_S = 0.02
IN_USE = re.compile(r'address already in use|bindexception', re.I)
# The death signal comes when the *thread* that started a process ends: this one
# lasts as long as the test.
SPAWNER = concurrent.futures.ThreadPoolExecutor(max_workers=1)


class EnsembleFailed(Exception):
    """A server ended, or did not do in time what was waited for."""


def wait_for(condition, what, deadline_s=20.0):
    """Polls condition until it gives something true, which is returned."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise EnsembleFailed('waited %.0f s for %s' % (deadline_s, what))
        time.sleep(POLL_S)


def corrald():
    path = os.environ.get('CORRALD')
    if not path:
        raise SystemExit('set CORRALD to the path of corrald')
    return os.path.abspath(path)


class Ports:
    """Free ports of one host. Between tests that run at once a name in the
    abstract socket space keeps them apart; it goes with the process."""

    def __init__(self):
        self.held = []

    def take(self, host='127.0.0.1'):
        for _ in range(1000):
            port = random.SystemRandom().randint(PORT_FIRST, PORT_LAST)
            name = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                name.bind('\0corral-test-port-%d' % port)
                with socket.socket() as s:
                    s.bind((host, port))
            except OSError:
                name.close()
                continue
            self.held.append(name)
            return port
        raise EnsembleFailed('no free port')

    def close(self):
        for name in self.held:
            name.close()
        self.held = []


class Member:
    """One server. Attributes that may be changed between starts: args, env,
    config, binary (of corrald), prefix (a command in front)."""

    def __init__(self, ensemble, server_id, observer, host):
        self.ensemble = ensemble
        self.id = server_id
        self.observer = observer
        self.host = host
        self.directory = os.path.join(ensemble.directory, str(server_id))
        self.data_dir = os.path.join(self.directory, 'data')
        self.log_path = os.path.join(self.directory, 'log')
        self.config_path = os.path.join(self.directory, 'zoo.cfg')
        self.port = self.quorum_port = self.election_port = 0
        self.args = list(ensemble.args)
        self.env = dict(ensemble.env)
        self.config = ensemble.config
        self.binary = None
        self.prefix = []
        self.process = None
        self.paused = False
        os.makedirs(self.directory)

    def __repr__(self):
        return 'server %d' % self.id

    @property
    def address(self):
        return (self.host, self.port)

    @property
    def hosts(self):
        return '%s:%d' % self.address

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        """Starts it on its directory and ports; does not wait."""
        if self.alive():
            raise EnsembleFailed('%r runs already' % self)
        self.write_files()
        self.paused = False
        environment = ['%s=%s' % item for item in self.env.items()]
        command = ['setpriv', '--pdeathsig', 'KILL'] + self.prefix + \
            ['env'] + environment + self.ensemble.command(self)
        # In a session of its own: when the parent of a group with a stopped
        # process ends, the whole group gets SIGHUP, the test too.
        with open(self.log_path, 'ab') as log:
            self.process = SPAWNER.submit(
                subprocess.Popen, command, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, cwd=self.directory,
                start_new_session=True).result()
        return self

    def wait_serving(self, deadline_s=60.0):
        """Until it answers clients in a role."""
        def serving():
            if not self.alive():
                raise EnsembleFailed('%r ended with %s\n%s' % (
                    self, self.process and self.process.returncode,
                    self.log_text()[-4000:]))
            return self.mode()

        try:
            return wait_for(serving, '%r to serve' % self, deadline_s)
        except EnsembleFailed as e:
            raise EnsembleFailed('%s\n%s' % (e, self.log_text()[-4000:]))

    def stop(self, deadline_s=20.0):
        """SIGTERM; the exit status (Corral: 0 after a clean stop)."""
        return self.signal(signal.SIGTERM, deadline_s)

    def kill(self):
        """kill -9."""
        return self.signal(signal.SIGKILL)

    def signal(self, number, deadline_s=20.0):
        """Ends it with this signal; the exit status, None when it had not
        been started."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            if number != signal.SIGKILL:
                self.resume()
            self.process.send_signal(number)
        return self.wait_exit(deadline_s)

    def wait_exit(self, deadline_s=20.0):
        try:
            status = self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise EnsembleFailed('%r did not end within %.0f s\n%s' % (
                self, deadline_s, self.log_text()[-4000:]))
        self.paused = False
        return status

    def pause(self):
        """SIGSTOP."""
        self.process.send_signal(signal.SIGSTOP)
        self.paused = True

    def resume(self):
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)
        self.paused = False

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def wipe(self):
        """Empties its data directory but for myid; it must be down."""
        if self.alive():
            raise EnsembleFailed('%r runs' % self)
        shutil.rmtree(self.data_dir, ignore_errors=True)
        self.write_files()

    def word(self, word, deadline_s=5.0):
        """The whole answer to a four-letter word; OSError when none came."""
        end = time.monotonic() + deadline_s
        parts = []
        with socket.create_connection(self.address, deadline_s) as s:
            s.sendall(word.encode())
            while True:
                left = end - time.monotonic()
                if left <= 0:
                    raise socket.timeout('%r: no answer to %s' % (self, word))
                s.settimeout(left)
                part = s.recv(65536)
                if not part:
                    return b''.join(parts).decode('utf-8', 'replace')
                parts.append(part)

    def info(self, deadline_s=1.0):
        """The lines of srvr as a dict; {} while it does not serve."""
        if not self.alive() or self.paused:
            return {}
        try:
            text = self.word('srvr', deadline_s)
        except OSError:
            return {}
        return dict(re.findall(r'^([^:\n]+): (.*)$', text, re.M))

    def mode(self):
        """"leader", "follower", "observer", "standalone", ...; None."""
        return self.info().get('Mode')

    def metrics(self):
        """mntr as a dict of texts; {} while it does not serve."""
        if not self.alive() or self.paused:
            return {}
        try:
            text = self.word('mntr')
        except OSError:
            return {}
        return dict(line.split('\t', 1) for line in text.splitlines()
                    if '\t' in line)

    def log_text(self):
        try:
            with open(self.log_path, errors='replace') as log:
                return log.read()
        except FileNotFoundError:
            return ''

    def cpu_s(self):
        """CPU seconds of the process so far."""
        with open('/proc/%d/stat' % self.pid) as stat:
            fields = stat.read().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def rss_bytes(self):
        with open('/proc/%d/statm' % self.pid) as statm:
            return int(statm.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')

    def write_files(self):
        os.makedirs(self.data_dir, exist_ok=True)
        with open(os.path.join(self.data_dir, 'myid'), 'w') as out:
            out.write('%d\n' % self.id)
        with open(self.config_path, 'w') as out:
            out.write(self.ensemble.config_text(self))


class Ensemble:
    """servers: voters, ids 1...; observers come behind them. config: lines of
    the zoo.cfg, which overrule the ones made here. args: of corrald, or of the
    JVM (-Dzookeeper...). env: more environment. heap: of each JVM.
    directory: kept when given, else a fresh one that close() removes.
    network: gives host(index) and prefix(index) of each server (namespaces);
    None: all on 127.0.0.1."""

    def __init__(self, servers=3, observers=0, kind='corral', config='',
                 args=(), env=None, heap='256m', directory=None, network=None):
        if kind not in ('corral', 'apache'):
            raise ValueError(kind)
        self.kind = kind
        self.config = config if not config or config.endswith('\n') \
            else config + '\n'
        self.args = args
        self.env = env or {}
        self.heap = heap
        self.owns_directory = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix='ensemble-')
        self.ports = Ports()
        self.servers = []
        for index in range(servers + observers):
            host = network.host(index) if network else '127.0.0.1'
            member = Member(self, index + 1, index >= servers, host)
            if network:
                member.prefix = network.prefix(index)
            self.servers.append(member)
        self.fixed_ports = network is not None
        self.choose_ports()

    @property
    def hosts(self):
        return ','.join(member.hosts for member in self.servers)

    @property
    def voters(self):
        return [m for m in self.servers if not m.observer]

    @property
    def observers(self):
        return [m for m in self.servers if m.observer]

    def start(self, deadline_s=60.0):
        """Starts all of them, on other ports when somebody took one of these
        meanwhile; does not wait until they serve."""
        for _ in range(5):
            for member in self.servers:
                member.start()
            if self.bound(deadline_s):
                return self
            for member in self.servers:
                member.kill()
                os.unlink(member.log_path)
            self.choose_ports()
        raise EnsembleFailed('no ports that stay free')

    def wait_serving(self, deadline_s=60.0):
        """Until every server serves in its role."""
        end = time.monotonic() + deadline_s
        for member in self.servers:
            member.wait_serving(max(end - time.monotonic(), 0.1))
        return self

    def leader(self, deadline_s=20.0):
        """The leader; waits for one. Of two who say so (an old one that does
        not know yet) the one of the later epoch."""
        def find():
            found = []
            for member in self.voters:
                info = member.info()
                if info.get('Mode') in ('leader', 'standalone'):
                    found.append((int(info.get('Zxid', '0'), 16), member))
            return max(found, key=lambda pair: pair[0])[1] if found else None

        return wait_for(find, 'a leader', deadline_s)

    def followers(self):
        """Who follows right now."""
        return [m for m in self.servers if m.mode() == 'follower']

    def keep(self):
        """close() shall leave the directory, which is returned."""
        self.owns_directory = False
        return self.directory

    def log_tails(self, size=4000):
        return ''.join('---- log of %r ----\n%s\n' % (m, m.log_text()[-size:])
                       for m in self.servers)

    def close(self):
        """Kills what still runs and removes the directory."""
        for member in self.servers:
            if member.alive():
                member.process.kill()  # also ends one that is stopped
        for member in self.servers:
            if member.process is not None:
                member.process.wait()
        self.ports.close()
        if self.owns_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            print(self.log_tails())
        self.close()

    # How it is done

    def choose_ports(self):
        self.ports.close()
        for member in self.servers:
            if self.fixed_ports:  # each has an address for itself
                member.port, member.quorum_port, member.election_port = \
                    2181, 2888, 3888
            else:
                member.port = self.ports.take()
                member.quorum_port = self.ports.take()
                member.election_port = self.ports.take()

    def bound(self, deadline_s):
        """Whether all listen for clients; False when one lost its port."""
        def done():
            for member in self.servers:
                ended = not member.alive()
                if IN_USE.search(member.log_text()):
                    return 'lost'
                if ended:
                    raise EnsembleFailed('%r ended with %d\n%s' % (
                        member, member.process.returncode,
                        member.log_text()[-4000:]))
            return 'bound' if all(map(self.listens, self.servers)) else None

        return wait_for(done, 'all servers to listen',
                        deadline_s) == 'bound'

    @staticmethod
    def listens(member):
        try:
            socket.create_connection(member.address, 1).close()
            return True
        except OSError:
            return False

    def server_lines(self):
        return ''.join('server.%d=%s:%d:%d:%s\n' % (
            m.id, m.host, m.quorum_port, m.election_port,
            'observer' if m.observer else 'participant')
            for m in self.servers)

    def config_text(self, member):
        defaults = [('dataDir', member.data_dir), ('clientPort', member.port),
                    ('clientPortAddress', member.host), ('initLimit', 10),
                    ('syncLimit', 5), ('maxClientCnxns', 0),
                    ('preAllocSize', 16384), ('4lw.commands.whitelist', '*')]
        if self.kind == 'apache':
            defaults.append(('admin.enableServer', 'false'))
        if member.observer:
            defaults.append(('peerType', 'observer'))
        lines = ''
        for key, value in defaults:
            if not re.search(r'^\s*%s\s*=' % re.escape(key), member.config,
                             re.M):
                lines += '%s=%s\n' % (key, value)
        return lines + self.server_lines() + member.config

    def command(self, member):
        if self.kind == 'corral':
            return [member.binary or corrald()] + member.args + \
                [member.config_path]
        return ['java', '-Xmx' + self.heap] + member.args + [
            '-cp', apache_server.class_path(),
            '-Dorg.slf4j.simpleLogger.showDateTime=true',
            'org.apache.zookeeper.server.quorum.QuorumPeerMain',
            member.config_path]
