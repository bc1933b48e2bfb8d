"""One corrald under test: a fresh directory, a free port, started, stopped,
killed and restarted by a test. The binary's path is in the environment
variable CORRALD. Needs nothing but Python.

    with CorralServer() as server:
        socket.create_connection(server.address)
        server.kill()       # kill -9
        server.start()      # same directory, same port
        assert server.stop() == 0

Nothing here sleeps for a fixed time: everything is waited for with a deadline.
When a test fails, server.log_text() is what the server said."""

import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

SERVING = re.compile(r"corrald: serving on (.*):(\d+)$")


def binary():
    path = os.environ.get("CORRALD")
    if not path:
        raise SystemExit("set CORRALD to the path of corrald")
    return os.path.abspath(path)


class ServerFailed(Exception):
    """The server ended, or did not do in time what was waited for."""


def wait_for(condition, what, deadline_s=20.0):
    """Polls condition until it gives something true, which is returned."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise ServerFailed("waited %.0f s for %s" % (deadline_s, what))
        time.sleep(0.005)


class CorralServer:
    """config: lines of the zoo.cfg ("key=value" text or a dict); dataDir,
    clientPort and clientPortAddress are added when they are not there. None:
    no zoo.cfg, bare corrald with --data-dir and --port.
    preexec: run in the child before corrald (limits).
    args: more arguments. env: more environment (LD_PRELOAD, ASAN_OPTIONS).
    directory: kept when given, else a fresh one that close() removes."""

    def __init__(self, config="", args=(), env=None, directory=None,
                 start=True, deadline_s=20.0, preexec=None):
        self.preexec = preexec
        self.owns_directory = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix="corral-test-")
        self.data_dir = os.path.join(self.directory, "data")
        self.log_path = os.path.join(self.directory, "corrald.log")
        self.args = list(args)
        self.env = dict(os.environ, **(env or {}))
        self.deadline_s = deadline_s
        self.host = "127.0.0.1"
        self.port = 0  # kept over restarts once the server chose one
        self.process = None
        self.reader = None
        self.stdout_lines = []
        if isinstance(config, dict):
            config = "".join("%s=%s\n" % item for item in config.items())
        self.config = config
        if start:
            try:
                self.start()
            except BaseException:
                self.close()
                raise

    # What a test asks of it

    @property
    def address(self):
        return (self.host, self.port)

    @property
    def hosts(self):
        """As clients want it: "127.0.0.1:2181"."""
        return "%s:%d" % self.address

    @property
    def pid(self):
        return self.process.pid

    def start(self, wait=True):
        """Starts it; with wait, returns when it serves."""
        if self.process is not None and self.process.poll() is None:
            raise ServerFailed("it runs already")
        self.stdout_lines = []
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=log, env=self.env,
                cwd=self.directory, preexec_fn=self.preexec)
        self.reader = threading.Thread(
            target=self._read_stdout, args=(self.process,), daemon=True)
        self.reader.start()
        if wait:
            self.wait_serving()
        return self

    def wait_serving(self):
        def serving():
            for line in list(self.stdout_lines):
                found = SERVING.match(line)
                if found:
                    return found
            if self.process.poll() is not None:
                raise ServerFailed("corrald ended with %d:\n%s" % (
                    self.process.returncode, self.log_text()[-4000:]))
            return None

        try:
            found = wait_for(serving, "corrald to serve", self.deadline_s)
        except ServerFailed as e:
            raise ServerFailed("%s\n%s" % (e, self.log_text()[-4000:]))
        self.port = int(found.group(2))

    def stop(self, deadline_s=20.0):
        """SIGTERM; the exit status (0 after a clean stop)."""
        return self.signal(signal.SIGTERM, deadline_s)

    def kill(self):
        """kill -9: what was not synced may be gone."""
        return self.signal(signal.SIGKILL, 20.0)

    def signal(self, number, deadline_s=20.0):
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait_exit(deadline_s)

    def wait_exit(self, deadline_s=20.0):
        try:
            status = self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise ServerFailed("corrald did not end within %.0f s\n%s" % (
                deadline_s, self.log_text()[-4000:]))
        self.reader.join(deadline_s)
        return status

    def restart(self):
        self.stop()
        return self.start()

    def word(self, word, deadline_s=20.0):
        """The whole answer to a four-letter word."""
        with socket.create_connection(self.address, deadline_s) as s:
            s.sendall(word.encode())
            parts = []
            while True:
                part = s.recv(65536)
                if not part:
                    return b"".join(parts).decode("utf-8", "replace")
                parts.append(part)

    def log_text(self):
        try:
            with open(self.log_path, errors="replace") as log:
                return log.read()
        except FileNotFoundError:
            return ""

    def slow_steps(self):
        """Warnings of steps over 20 ms of CPU: a test may assert none."""
        return [line for line in self.log_text().splitlines()
                if "event=slow_step" in line]

    def cpu_s(self):
        """CPU seconds of the process so far."""
        with open("/proc/%d/stat" % self.pid) as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_bytes(self):
        with open("/proc/%d/statm" % self.pid) as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def fd_count(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))

    def close(self):
        """Ends it hard if it still runs, and removes what is ours."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()
            self.reader.join(20)
            self.process.stdout.close()
        if self.owns_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            print("---- the server's log ----\n" + self.log_text()[-8000:])
        self.close()

    # How it is done

    def command(self):
        if self.config is None:
            return [binary(), "--data-dir", self.data_dir,
                    "--port", str(self.port)] + self.args
        lines = self.config if self.config.endswith("\n") or \
            not self.config else self.config + "\n"
        for key, value in (("dataDir", self.data_dir),
                           ("clientPort", self.port),
                           ("clientPortAddress", self.host)):
            if not re.search(r"^\s*%s\s*=" % key, lines, re.M):
                lines += "%s=%s\n" % (key, value)
        path = os.path.join(self.directory, "zoo.cfg")
        with open(path, "w") as f:
            f.write(lines)
        return [binary()] + self.args + [path]

    def _read_stdout(self, process):
        for line in process.stdout:
            self.stdout_lines.append(line.decode(errors="replace").rstrip())


class RawClient:
    """The protocol by hand: frames as bytes. For tests of what no client
    library sends."""

    def __init__(self, address, timeout_s=20.0):
        self.socket = socket.create_connection(address, timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def send(self, body):
        self.socket.sendall(struct.pack(">i", len(body)) + body)

    def send_bytes(self, data):
        self.socket.sendall(data)

    def receive(self):
        """The body of the next packet; None when the server closed."""
        head = self._take(4)
        if head is None:
            return None
        return self._take(struct.unpack(">i", head)[0])

    def reply(self):
        """The next packet as (xid, zxid, err, rest)."""
        body = self.receive()
        if body is None:
            return None
        return struct.unpack(">iqi", body[:16]) + (body[16:],)

    def connect(self, timeout_ms=10000, session_id=0, password=b"\0" * 16,
                last_zxid=0):
        """Handshake: (timeout_ms, session_id, password), None when closed."""
        self.send(struct.pack(">iqiqi", 0, last_zxid, timeout_ms, session_id,
                              len(password)) + password + b"\0")
        body = self.receive()
        if body is None:
            return None
        _, timeout_ms, session_id, size = struct.unpack(">iiqi", body[:20])
        return timeout_ms, session_id, body[20:20 + size]

    def closed(self):
        """True when the server closes without another byte."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _take(self, size):
        while len(self.buffer) < size:
            try:
                part = self.socket.recv(1 << 18)
            except ConnectionResetError:
                return None
            if not part:
                return None
            self.buffer += part
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken
