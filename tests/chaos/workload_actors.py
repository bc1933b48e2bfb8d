"""What the raw clients of the chaos workload do. Everything lies under
/c/KIND/..., and checkers find their rows by KIND; nearly everything under a
number that goes up with time, so that a checker can finish with old keys.

Arguments as they are recorded:
create2 [data, flags] · setData [data, expected version] · getData, exists,
getChildren2 [] · multi [data, expected version or -1] · addWatch [mode]
and behind them 'watch' when one was asked for, 'synced' when the read stood
behind a sync on its connection (its inv is then the sync's)."""

import history
from workload_loop import Actor, Event, ask

OK, NO_NODE, NODE_EXISTS = 0, -101, -110
PERSISTENT, EPHEMERAL, SEQUENTIAL = 0, 1, 2
RECURSIVE = 1


def create(path, data, flags=PERSISTENT):
    return ask('create2', path, [data, flags], data=data, flags=flags)


def write(path, data, version=-1):
    return ask('setData', path, [data, version], data=data, version=version)


def read(path, watch=False, behind=None, op='getData'):
    return ask(op, path, ['watch'] if watch else [], behind=behind, watch=watch)


def remove(path, version=-1):
    return ask('delete', path, [version], version=version)


class ChaosActor(Actor):
    def generation(self, seconds):
        age_us = history.now_us() - self.options['started_us']
        return max(0, age_us) // (seconds * 1000000)

    def pause(self, mean_s):
        return min(self.random.expovariate(1 / mean_s), 10 * mean_s) \
            * self.options['pace']

    def chance(self, p):
        return self.random.random() < p

    def one(self, request):
        return (yield [request])[0]

    def ensure(self, path, data=''):
        """The node and those above it exist, whoever made them."""
        if path in self.made or path == '':
            return
        yield from self.ensure(path[:path.rindex('/')])
        while True:
            reply = yield from self.one(create(path, data))
            if reply.status in (OK, NODE_EXISTS):
                break
            if reply.status == NO_NODE:
                return  # told in the history; tried again by the next call
            yield 0.05
        if len(self.made) > 1000:
            self.made.clear()
        self.made.add(path)

    def synced_read(self, path, **options):
        sync = ask('sync', path)
        replies = yield [sync, read(path, behind=sync, **options)]
        return replies[1]


class Registers(ChaosActor):
    """Shared registers: set, versioned set, get, get behind a sync."""
    SLOTS, SECONDS = 6, 15

    def run(self):
        versions = {}
        while True:
            yield self.pause(0.025)
            key = '/c/reg/%d/%d' % (self.generation(self.SECONDS),
                                    self.random.randrange(self.SLOTS))
            if key not in self.made:
                versions.clear()
                yield from self.ensure(key, self.value())
                continue
            what = self.random.random()
            if what < 0.25:
                reply = yield from self.one(write(key, self.value()))
            elif what < 0.5:
                reply = yield from self.one(
                    write(key, self.value(), versions.get(key, 0)))
            elif what < 0.75:
                reply = yield from self.synced_read(key)
            else:
                reply = yield from self.one(read(key))
            if reply.status == OK:
                versions[key] = reply.body['stat']['version']


class Pipeline(ChaosActor):
    """A register of its own, in long bursts of writes and reads; moves=True
    takes the session to another server with writes under way."""
    SECONDS = 30

    def run(self):
        while True:
            yield self.pause(0.4)
            key = '/c/pipe/%d/%s' % (self.generation(self.SECONDS), self.name)
            yield from self.ensure(key, self.value())
            burst = []
            for _ in range(self.random.randint(3, 30)):
                if self.chance(0.5):
                    burst.append(write(key, self.value()))
                else:
                    burst.append(read(key))
            if self.options.get('moves') and self.chance(0.2):
                self.loop.at(self.random.uniform(0, 0.02), self.session.move)
            elif self.chance(0.02):
                self.loop.at(self.random.uniform(0, 0.01), self.session.drop)
            yield burst


class Uniques(ChaosActor):
    """Nodes that are made once. Looked for at once and at the end."""
    SECONDS = 60

    def run(self):
        shared = self.options['shared'].setdefault('unique', [])
        while True:
            yield self.pause(0.25)
            parent = '/c/uniq/%d' % self.generation(self.SECONDS)
            yield from self.ensure(parent)
            paths = []
            for _ in range(self.random.randint(1, 5)):
                self.serial += 1
                paths.append('%s/%s-%d' % (parent, self.name, self.serial))
            replies = yield [create(path, path) for path in paths]
            for path, reply in zip(paths, replies):
                while reply.status is None:
                    reply = yield from self.one(create(path, path))
                shared.append(path)
            del shared[:-200]
            if self.chance(0.1):
                yield from self.one(remove(paths[-1]))
            yield [read(self.random.choice(shared), op='exists')]


class Sequences(ChaosActor):
    """Sequential nodes, some deleted again."""
    SECONDS = 60

    def run(self):
        while True:
            yield self.pause(0.5)
            parent = '/c/seq/%d' % self.generation(self.SECONDS)
            yield from self.ensure(parent)
            replies = yield [create(parent + '/n-', self.value(), SEQUENTIAL)
                             for _ in range(self.random.randint(1, 4))]
            for reply in replies:
                if reply.status == OK and self.chance(0.5):
                    yield from self.one(remove(reply.body['path'].decode()))


class Ephemerals(ChaosActor):
    """Sessions that come and go with their nodes."""
    SECONDS = 30
    session_timeout_ms = 4000

    def run(self):
        shared = self.options['shared'].setdefault('ephemeral', [])
        while True:
            parent = '/c/eph/%d' % self.generation(self.SECONDS)
            yield from self.ensure(parent)
            paths = []
            for _ in range(self.random.randint(1, 4)):
                self.serial += 1
                paths.append('%s/%s-%d' % (parent, self.name, self.serial))
            yield [create(path, path, EPHEMERAL) for path in paths]
            shared.extend(paths)
            del shared[:-40]
            for _ in range(self.random.randint(0, 6)):
                yield self.pause(0.3)
                yield [read(self.random.choice(paths), op='exists')]
            # A write shows to everybody that the session lives.
            yield from self.ensure(parent + '/alive-' + self.name)
            yield [write(parent + '/alive-' + self.name, self.value())]
            end = self.random.random()
            if end < 0.3:
                yield [remove(self.random.choice(paths))]
            elif end < 0.8:
                yield self.session.finish
            elif end < 0.9:
                yield self.session.abandon
            else:
                yield self.session.move
            yield self.pause(0.2)


class EphemeralReaders(ChaosActor):
    def run(self):
        shared = self.options['shared'].setdefault('ephemeral', [])
        while True:
            yield self.pause(0.15)
            if not shared:
                continue
            path = self.random.choice(shared)
            if self.chance(0.2):
                yield from self.synced_read(path, op='exists')
            elif self.chance(0.2):
                yield [read(path[:path.rindex('/')], op='getChildren2')]
            else:
                yield [read(path, op='exists')]


class Locks(ChaosActor):
    """The lock recipe; its holder writes the guarded node with its token, the
    czxid of its node, and gives up when it finds a higher one there."""
    session_timeout_ms = 5000

    def run(self):
        while True:
            number = self.random.randrange(2)
            parent, guard = '/c/lock/%d' % number, '/c/guard/%d' % number
            yield from self.ensure(parent)
            yield from self.ensure(guard, '0 ' + self.value())
            node, token = yield from self.enter(parent)
            if node is None:
                yield 0.05  # a full disk refuses at once
                continue
            held = yield from self.wait_turn(parent, node)
            if held:
                yield from self.write_guarded(guard, token)
            while True:
                reply = yield from self.one(remove(node))
                if reply.status is not None:
                    break
            yield self.pause(0.1)

    def enter(self, parent):
        self.serial += 1
        prefix = '%s-%d-' % (self.name, self.serial)
        reply = yield from self.one(create(
            '%s/%s' % (parent, prefix), self.value(), EPHEMERAL | SEQUENTIAL))
        if reply.status == OK:
            return reply.body['path'].decode(), reply.body['stat']['czxid']
        # As the recipes do: perhaps it was made, then it is found by its name.
        reply = yield from self.one(read(parent, op='getChildren2'))
        if reply.status == OK:
            for name in reply.body['names']:
                if name.decode().startswith(prefix):
                    node = parent + '/' + name.decode()
                    reply = yield from self.one(read(node, op='exists'))
                    if reply.status == OK:
                        return node, reply.body['stat']['czxid']
        return None, None

    def wait_turn(self, parent, node):
        own = node[len(parent) + 1:]
        while True:
            reply = yield from self.one(read(parent, op='getChildren2'))
            if reply.status is None:
                continue
            if reply.status != OK:
                return False
            names = sorted((name.decode() for name in reply.body['names']),
                           key=lambda name: int(name[-10:]))
            if own not in names:
                return False
            if names[0] == own:
                return True
            before = names[names.index(own) - 1]
            reply = yield from self.one(read(parent + '/' + before, watch=True,
                                             op='exists'))
            if reply.status == OK:
                yield Event(3.0)

    def write_guarded(self, guard, token):
        for _ in range(self.random.randint(1, 5)):
            reply = yield from self.one(read(guard))
            if reply.status != OK:
                return
            if int(reply.body['data'].split()[0]) > token:
                return  # fenced off
            yield self.pause(0.01)
            reply = yield from self.one(write(
                guard, '%d %s' % (token, self.value()),
                reply.body['stat']['version']))


class Watches(ChaosActor):
    """One-shot watches on shared nodes: the event before the new data."""
    SLOTS, SECONDS = 3, 30

    def run(self):
        while True:
            yield self.pause(0.05)
            key = '/c/watch/%d/%d' % (self.generation(self.SECONDS),
                                      self.random.randrange(self.SLOTS))
            yield from self.ensure(key, self.value())
            yield [read(key, watch=True)]
            if self.chance(0.4):
                yield [write(key, self.value()), read(key)]
            for _ in range(self.random.randint(1, 3)):
                yield self.pause(0.03)
                yield [read(key)]
            if self.chance(0.3):
                yield Event(0.5)
            self.events.clear()


class Trees(ChaosActor):
    """A persistent recursive watch, and the changes it tells of: each node is
    made, set and deleted once."""
    SECONDS = 20

    def run(self):
        top = None
        while True:
            yield self.pause(0.1)
            parent = '/c/tree/%d' % self.generation(self.SECONDS)
            yield from self.ensure(parent)
            if parent != top:
                reply = yield from self.one(ask('addWatch', parent,
                                                [RECURSIVE], mode=RECURSIVE))
                if reply.status != OK:
                    continue
                self.session.watches['recursive'].discard(top)
                top = parent
            self.serial += 1
            path = '%s/%s-%d' % (parent, self.name, self.serial)
            replies = yield [create(path, path), write(path, self.value())]
            if replies[0].status == OK and self.chance(0.5):
                yield [remove(path), read(path)]
            else:
                yield [read(path)]
            self.events.clear()


class Multis(ChaosActor):
    """Two registers that are always changed together."""
    SLOTS, SECONDS = 2, 20

    def run(self):
        made, version = set(), 0
        while True:
            yield self.pause(0.05)
            base = '/c/multi/%d' % self.generation(self.SECONDS)
            yield from self.ensure(base)
            base += '/%d' % self.random.randrange(self.SLOTS)
            first, second = base + 'a', base + 'b'
            if base not in made:
                value = self.value()
                reply = yield from self.one(ask(
                    'multi', base, [value, -1],
                    ops=[('create2', dict(path=first, data=value)),
                         ('create2', dict(path=second, data=value))]))
                if reply.status is not None:
                    made.add(base)
                continue
            what = self.random.random()
            if what < 0.5:
                value = self.value()
                ops = [('setData', dict(path=first, data=value)),
                       ('setData', dict(path=second, data=value))]
                expected = -1
                if what < 0.2:
                    expected = version
                    # In the middle: what stands before it is undone.
                    ops.insert(1, ('check', dict(path=second,
                                                 version=version)))
                yield [ask('multi', base, [value, expected], ops=ops)]
            elif what < 0.8:
                replies = yield [read(first), read(second), read(first)]
                if replies[2].status == OK:
                    version = replies[2].body['stat']['version']
            else:
                yield [ask('multiRead', base, [],
                           ops=[('getData', dict(path=second)),
                                ('getData', dict(path=first))])]


class Counters(ChaosActor):
    """n becomes n + 1 by a versioned set; the number is also the version."""

    def run(self):
        key = '/c/count/%d' % self.random.randrange(2)
        yield from self.ensure(key, '0 ' + self.value())
        while True:
            yield self.pause(0.1)
            reply = yield from self.one(read(key))
            if reply.status == OK:
                number = int(reply.body['data'].split()[0])
                yield [write(key, '%d %s' % (number + 1, self.value()),
                             reply.body['stat']['version'])]


def population(number, shared, started_us, pace):
    """(class, name, options) of the actors of one process."""
    common = {'shared': shared, 'started_us': started_us, 'pace': pace}
    kinds = [(Registers, 'reg', {}), (Registers, 'rex', {}),
             (Pipeline, 'pipe', {}), (Pipeline, 'move', {'moves': True}),
             (Uniques, 'uniq', {}), (Sequences, 'seq', {}),
             (Ephemerals, 'eph', {}), (Ephemerals, 'eph2', {}),
             (EphemeralReaders, 'look', {}), (Locks, 'lock', {}),
             (Watches, 'watch', {}), (Trees, 'tree', {}),
             (Multis, 'multi', {}), (Counters, 'count', {})]
    return [(kind, '%d.%s' % (number, name), dict(common, **options))
            for kind, name, options in kinds]
