"""A whole corrald, from the outside: it serves raw frames and kazoo, keeps its
data and sessions over kill -9, refuses what it must, and ends cleanly.

Run with CORRALD=path /usr/bin/python3 tests/interop/test_smoke.py [name...]"""

import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading

from kazoo.client import KazooClient
from kazoo.exceptions import NoNodeError, NodeExistsError

import corral_server
from corral_server import CorralServer, RawClient, wait_for

OPEN_ACL = struct.pack(">ii", 1, 31) + b"\0\0\0\5world\0\0\0\6anyone"
CREATE, GET_DATA, PING, CLOSE = 1, 4, 11, -11


def text(value):
    value = value.encode()
    return struct.pack(">i", len(value)) + value


def request(xid, op, body=b""):
    return struct.pack(">ii", xid, op) + body


def create(xid, path, data=b""):
    return request(xid, CREATE, text(path) + struct.pack(">i", len(data)) +
                   data + OPEN_ACL + struct.pack(">i", 0))


def kazoo(server):
    client = KazooClient(hosts=server.hosts, timeout=10)
    client.start(timeout=20)
    return client


def done(client):
    client.stop()
    client.close()


def test_raw_frames():
    with CorralServer() as server, RawClient(server.address) as client:
        timeout_ms, session_id, password = client.connect(10000)
        assert timeout_ms == 10000 and session_id != 0 and len(password) == 16
        client.send(create(1, "/a", b"one"))
        xid, zxid, err, rest = client.reply()
        assert (xid, err, rest) == (1, 0, text("/a")), (xid, err, rest)
        client.send(request(-2, PING))
        assert client.reply()[:3] == (-2, zxid, 0)
        client.send(request(2, GET_DATA, text("/a") + b"\0"))
        xid, _, err, rest = client.reply()
        assert (xid, err, rest[:7]) == (2, 0, struct.pack(">i", 3) + b"one")
        client.send(request(3, CLOSE))
        assert client.reply()[0] == 3
        assert client.closed()
        assert not server.slow_steps()


def test_kazoo():
    with CorralServer() as server:
        client = kazoo(server)
        changed = threading.Event()
        client.create("/app/config", b"1", makepath=True)
        data, stat = client.get("/app/config", watch=lambda _: changed.set())
        assert (data, stat.version) == (b"1", 0)
        client.set("/app/config", b"2")
        assert changed.wait(20), "the watch did not fire"
        try:
            client.create("/app/config")
            raise AssertionError("created twice")
        except NodeExistsError:
            pass
        try:
            client.get("/nothing")
            raise AssertionError("there is nothing")
        except NoNodeError:
            pass
        with client.Lock("/locks/one", "me"):
            assert len(client.get_children("/locks/one")) == 1
        names = [client.create("/app/n-", sequence=True) for _ in range(3)]
        assert names == ["/app/n-%010d" % i for i in range(1, 4)], names
        transaction = client.transaction()
        transaction.create("/app/t", b"x")
        transaction.delete("/app/config")
        results = transaction.commit()
        assert results == ["/app/t", True], results
        assert sorted(client.get_children("/app")) == [
            "n-0000000001", "n-0000000002", "n-0000000003", "t"]
        done(client)
        assert not server.slow_steps()


def test_lock_is_exclusive():
    with CorralServer() as server:
        clients = [kazoo(server) for _ in range(3)]
        held, worst, rounds = [0], [0], [0]

        def work(client):
            for _ in range(5):
                with client.Lock("/lock"):
                    held[0] += 1
                    worst[0] = max(worst[0], held[0])
                    client.exists("/lock")
                    rounds[0] += 1
                    held[0] -= 1

        threads = [threading.Thread(target=work, args=(c,)) for c in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert worst[0] == 1 and rounds[0] == 15, (worst, rounds)
        for client in clients:
            done(client)


def test_data_and_sessions_survive_a_kill():
    with CorralServer() as server:
        client = kazoo(server)
        client.create("/kept", b"yes")
        client.create("/here", b"", ephemeral=True)
        session = client.client_id
        for i in range(50):
            client.create("/kept/%d" % i, b"x" * 100)
        server.kill()
        server.start()
        wait_for(lambda: client.connected, "kazoo to be back")
        assert client.client_id == session, "a new session"
        assert client.retry(client.get, "/kept")[0] == b"yes"
        assert len(client.retry(client.get_children, "/kept")) == 50
        assert client.exists("/here").ephemeralOwner == session[0]
        done(client)
        other = kazoo(server)
        assert other.exists("/here") is None
        done(other)
        assert server.stop() == 0
        server.start()
        other = kazoo(server)
        assert len(other.get_children("/kept")) == 50
        done(other)


def test_ends_cleanly_at_any_moment():
    for number in (signal.SIGTERM, signal.SIGINT):
        with CorralServer() as server:
            assert server.signal(number) == 0
    with CorralServer(start=False) as server:
        for _ in range(30):  # wherever it is by then
            server.start(wait=False)
            assert server.stop() in (0, -signal.SIGTERM)
        server.start()
        client = kazoo(server)
        client.create("/fine")
        done(client)
        assert server.stop() == 0


def run_to_the_end(args):
    done = subprocess.run([corral_server.binary()] + args, timeout=20,
                          stdin=subprocess.DEVNULL, capture_output=True,
                          text=True)
    return done.returncode, done.stdout, done.stderr


def test_refuses_a_taken_port_and_directory():
    with CorralServer() as server, tempfile.TemporaryDirectory() as empty:
        status, out, err = run_to_the_end(
            ["--data-dir", empty, "--port", str(server.port)])
        assert status != 0 and out == "", (status, out)
        assert "Address already in use" in err and err.count("\n") == 1, err
        status, out, err = run_to_the_end(
            ["--data-dir", server.data_dir, "--port", "0"])
        assert status != 0 and out == "", (status, out)
        assert str(server.pid) in err and err.count("\n") == 1, err


def test_command_line():
    assert run_to_the_end(["--help"])[1].startswith("usage: corrald")
    assert run_to_the_end(["--version"])[1].startswith("corrald ")
    assert run_to_the_end(["--port", "70000"])[0] == 2
    assert run_to_the_end(["--nonsense"])[0] == 2
    with tempfile.TemporaryDirectory() as empty:
        path = os.path.join(empty, "zoo.cfg")
        with open(path, "w") as f:
            f.write("dataDir=%s\nclientPort=0\nclientPrt=1\n" % empty)
        status, out, err = run_to_the_end(["--check-config", path])
        assert status == 1 and "clientPrt" in err and ":3" in err, err
        with open(path, "w") as f:
            f.write("dataDir=%s\nclientPort=0\n" % empty)
        status, out, err = run_to_the_end(["--check-config", path])
        assert status == 0 and os.listdir(empty) == ["zoo.cfg"], err


def test_bare_server_needs_no_file():
    with CorralServer(config=None) as server:
        client = kazoo(server)
        client.create("/a")
        done(client)
        assert server.word("ruok") == "imok"
        assert "Mode: standalone" in server.word("srvr")
        assert "zk_znode_count\t" in server.word("mntr")
        assert "not in the whitelist" in server.word("wchp")


def test_words_with_a_config():
    with CorralServer("4lw.commands.whitelist=srvr,ruok\n") as server:
        assert server.word("ruok") == "imok"
        assert server.word("stat") == (
            "stat is not executed because it is not in the whitelist.\n")


def test_hostile_connections():
    with CorralServer() as server:
        client = kazoo(server)
        crowd = [socket.create_connection(server.address) for _ in range(50)]
        for i, s in enumerate(crowd):
            s.sendall((b"", b"\0", b"\xff\xf4\xff\xfd", b"\x7f\xff\xff\xff",
                       b"\0\0\0\x2dhalf", b"GET / HTTP/1.1\r\n\r\n",
                       b"\0\0\0\4junk", b"\0\0\0\0")[i % 8])
        for _ in range(100):
            client.exists("/")
        for s in crowd:
            s.close()
        wait_for(lambda: "Connections: 2" in server.word("srvr"),
                 "the crowd to be gone")
        assert client.exists("/") is not None
        done(client)
        assert not server.slow_steps()


def test_slow_reader_does_not_disturb():
    with CorralServer() as server:
        client = kazoo(server)
        client.create("/big", b"x" * 1000000)
        slow = RawClient(server.address)
        slow.connect()
        for xid in range(1, 101):  # 100 MB that nobody reads for a while
            slow.send(request(xid, GET_DATA, text("/big") + b"\0"))
        for i in range(100):
            client.exists("/big")
        assert server.rss_bytes() < 200 << 20, server.rss_bytes()
        for xid in range(1, 101):
            got = slow.reply()
            assert (got[0], got[2], len(got[3])) == (xid, 0, 1000072), got[:3]
        slow.close()
        done(client)


def test_few_descriptors():
    """Clients are refused before the disk lacks a descriptor; room that comes
    back is used, and nobody spins meanwhile."""
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))

    with CorralServer("maxClientCnxns=0\n", preexec=limit) as server:
        first = kazoo(server)
        crowd = [socket.create_connection(server.address) for _ in range(200)]
        for i in range(50):
            first.create("/few-%d" % i, b"x" * 1000)
        before = server.cpu_s()
        assert sum(closed_by_server(s) for s in crowd) >= 100
        assert server.cpu_s() - before < 5
        for s in crowd:
            s.close()
        second = kazoo(server)
        assert len(second.get_children("/")) == 51
        done(second)
        done(first)
        assert server.stop() == 0


def closed_by_server(s):
    s.settimeout(0.01)
    try:
        return s.recv(1) == b""
    except ConnectionResetError:
        return True
    except socket.timeout:
        return False


def test_both_families_on_one_socket():
    with CorralServer("clientPortAddress=::\n") as server:
        for host in ("127.0.0.1", "::1"):
            try:
                s = socket.create_connection((host, server.port), 20)
            except OSError:
                assert host == "::1", "no IPv4"
                continue  # a machine without IPv6
            s.sendall(b"srvr")
            assert s.recv(100).startswith(b"Zookeeper version"), host
            s.close()


def test_a_clean_stop_under_load_loses_nothing():
    with CorralServer() as server:
        client = RawClient(server.address)
        client.connect(30000)
        stopper = threading.Timer(0.3, lambda: server.process.send_signal(
            signal.SIGTERM))
        stopper.start()
        sent = acknowledged = 0
        try:
            while True:
                batch = [create(sent + i + 1, "/n%d" % (sent + i), b"x" * 50)
                         for i in range(100)]
                client.send_bytes(b"".join(
                    struct.pack(">i", len(body)) + body for body in batch))
                sent += 100
                for _ in range(100):
                    got = client.reply()
                    if got is None:
                        raise ConnectionResetError
                    assert got[2] == 0
                    acknowledged += 1
        except (ConnectionResetError, BrokenPipeError):
            pass
        assert server.wait_exit() == 0
        server.start()
        other = kazoo(server)
        names = set(other.get_children("/"))
        assert acknowledged > 0
        for i in range(acknowledged):
            assert "n%d" % i in names, "lost /n%d of %d" % (i, acknowledged)
        done(other)


def main():
    tests = {name: run for name, run in globals().items()
             if name.startswith("test_")}
    failed = 0
    for name in sys.argv[1:] or tests:
        try:
            tests[name]()
            print("ok      %s" % name, flush=True)
        except Exception as e:  # the next test still says something
            failed += 1
            print("FAILED  %s: %s: %s" % (name, type(e).__name__, e),
                  flush=True)
            import traceback
            traceback.print_exc()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
