"""A real Apache ZooKeeper (Debian's package) as the peer of a test: its own
process, a fresh directory, an ephemeral port."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

JARS = ('zookeeper zookeeper-jute slf4j-api slf4j-simple slf4j-nop netty-all '
        'netty-handler netty-transport netty-common netty-buffer '
        'netty-resolver netty-codec netty-transport-native-epoll '
        'netty-transport-native-unix-common metrics-core snappy-java '
        'audience-annotations commons-cli commons-lang jline '
        'jackson-core jackson-databind jackson-annotations jetty-server '
        'jetty-servlet jetty-util jetty-http jetty-io jetty-security '
        'javax.servlet-api servlet-api commons-io logback-core '
        'logback-classic reload4j log4j-1.2').split()


def class_path():
    base = '/usr/share/java'
    # Debian's launcher knows its own list; any jar that is there is taken.
    jars = [os.path.join(base, name + '.jar') for name in JARS]
    return ':'.join(jar for jar in jars if os.path.exists(jar))


def available():
    return os.path.exists('/usr/share/java/zookeeper.jar') and \
        shutil.which('java') is not None


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class ApacheServer:
    def __init__(self, tick_ms=2000, properties=(), config=(), heap='512m'):
        self.dir = tempfile.mkdtemp(prefix='apache-zk-')
        self.port = free_port()
        self.log_path = os.path.join(self.dir, 'log')
        self.config = os.path.join(self.dir, 'zoo.cfg')
        with open(self.config, 'w') as out:
            out.write('dataDir=%s\nclientPort=%d\ntickTime=%d\n'
                      'clientPortAddress=127.0.0.1\nmaxClientCnxns=0\n'
                      'admin.enableServer=false\n'
                      '4lw.commands.whitelist=*\n' %
                      (os.path.join(self.dir, 'data'), self.port, tick_ms))
            for line in config:
                out.write(line + '\n')
        self.properties = ['-D' + p for p in properties]
        self.heap = heap
        self.process = None

    def start(self, deadline_s=60):
        log = open(self.log_path, 'ab')
        self.process = subprocess.Popen(
            ['java', '-Xmx' + self.heap, '-cp', class_path()] +
            self.properties +
            ['org.apache.zookeeper.server.quorum.QuorumPeerMain', self.config],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            cwd=self.dir)
        log.close()
        deadline = time.monotonic() + deadline_s
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                with socket.create_connection(self.address, 1) as s:
                    s.sendall(b'srvr')
                    if b'Mode: ' in s.makefile('rb').read():
                        return self
            except OSError:
                pass
            time.sleep(0.05)  # polling for a condition, under a deadline
        with open(self.log_path, 'rb') as log:
            raise RuntimeError('Apache ZooKeeper did not start: ' +
                               log.read()[-2000:].decode(errors='replace'))

    @property
    def address(self):
        return ('127.0.0.1', self.port)

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        if os.environ.get('KEEP_LOGS'):
            shutil.copy(self.log_path, os.environ['KEEP_LOGS'])
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()
