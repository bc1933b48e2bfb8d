"""Thousands of sessions at once, by hand over asyncio: opened on one server,
resumed on others when it dies. Python's standard library only."""

import asyncio
import struct
import time

import zkwire

CONNECTING_MAX = 256  # at once: the listen queues are not what is tested
DEADLINE_S = 60.0


class Session:
    def __init__(self):
        self.id, self.password = 0, bytes(16)
        self.reader = self.writer = None
        self.took_s = 0.0

    async def connect(self, address, timeout_ms):
        """The handshake; False when the server says the session is gone."""
        began = time.monotonic()
        self.reader, self.writer = await asyncio.open_connection(*address)
        self.writer.write(zkwire.connect(timeout=timeout_ms, session=self.id,
                                         password=self.password))
        frame = await self.frame()
        _, timeout, session = struct.unpack('>iiq', frame[:16])
        if timeout <= 0:
            return False
        if self.id not in (0, session):
            raise AssertionError('another session came back')
        self.id, self.password = session, frame[20:36]
        self.took_s = time.monotonic() - began
        return True

    async def frame(self):
        size = struct.unpack('>i', await self.reader.readexactly(4))[0]
        return await self.reader.readexactly(size)

    async def call(self, data):
        """The err of the reply."""
        self.writer.write(data)
        while True:
            xid, _, err = struct.unpack('>iqi', (await self.frame())[:16])
            if xid != -1:
                return err

    async def gone(self):
        """Until the server closes."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass


class Crowd:
    """expired: refused when resumed. half_s, slowest_s: of the last resume()."""

    def __init__(self, count, timeout_ms):
        self.loop = asyncio.new_event_loop()
        self.sessions = [Session() for _ in range(count)]
        self.timeout_ms = timeout_ms
        self.expired = 0
        self.half_s = self.slowest_s = 0.0

    def open(self, addresses):
        self.run(lambda s, i: self.enter(s, addresses, i))
        assert self.expired == 0, 'a new session was refused'

    def create_ephemerals(self, parent):
        """One each below parent, which is made."""
        first = self.sessions[0]
        self.loop.run_until_complete(first.call(
            zkwire.request(1, 'create', path=parent)))

        async def create(session, i):
            err = await session.call(zkwire.request(
                1, 'create', path='%s/%d' % (parent, i), flags=1))
            assert err == 0, err

        self.run(create)

    def resume(self, addresses):
        """Waits until each notices that its connection is gone, and connects
        it again, spread over these servers; seconds from the first who noticed
        to the last who was served."""
        finished = []
        noticed = []

        async def move(session, i):
            await session.gone()
            noticed.append(time.monotonic())
            session.writer.close()
            await self.enter(session, addresses, i)
            finished.append(time.monotonic())

        self.run(move)
        began = min(noticed)
        finished.sort()
        self.half_s = finished[len(finished) // 2] - began
        self.slowest_s = max(s.took_s for s in self.sessions)
        return finished[-1] - began

    def close(self):
        async def close():
            for session in self.sessions:
                session.writer.close()

        self.loop.run_until_complete(close())
        self.loop.close()

    async def enter(self, session, addresses, i):
        """Tries one server after the other, as clients do."""
        for attempt in range(1000):
            address = addresses[(i + attempt) % len(addresses)]
            try:
                async with self.connecting:
                    if not await session.connect(address, self.timeout_ms):
                        self.expired += 1
                return
            except (ConnectionError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.02)
        raise AssertionError('no server takes it')

    def run(self, each):
        async def everybody():
            self.connecting = asyncio.Semaphore(CONNECTING_MAX)
            await asyncio.wait_for(asyncio.gather(*(
                each(session, i) for i, session in enumerate(self.sessions))),
                DEADLINE_S)

        self.loop.run_until_complete(everybody())
