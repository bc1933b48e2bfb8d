"""Histories that never happened: a small ensemble in one process, in virtual
time, correct or with one deliberate bug, and clients that do on it what the
real workload does. For the tests of the checkers.

    rows, final, hits = Model(seed, bug=None).run()

hits: how often the bug made a difference. The world is a list of changes; a
server is how far in it, a state is what a zxid says. Every answer is given at
one moment between its request and its arrival, in the order of these."""

import heapq
import random

SERVERS = 4
STEP_US = 1000
BUGS = ('stale_sync', 'lost_write', 'expectation_ignored', 'false_refusal',
        'server_behind_client', 'watch_after_data', 'watch_twice',
        'number_again', 'ephemeral_stays', 'ephemeral_vanishes', 'half_multi',
        'middle_of_pipeline', 'stray_after_move', 'tree_differs',
        'unique_vanishes', 'recursive_event_lost', 'recursive_order',
        'two_holders', 'early_expiry', 'own_write_unseen', 'wrong_value',
        'answered_not_done', 'session_again', 'zxid_of_future')
NO_NODE, BAD_VERSION, NODE_EXISTS = -101, -103, -110


class Actor:
    def __init__(self, name, kind, server):
        self.name, self.kind, self.server = name, kind, server
        self.session, self.conn = 0, 0
        self.connected = False
        self.floor = 0
        self.free_us = 0    # when its next request may be sent
        self.heard_us = 0   # arrival of the last thing it was sent
        self.known = {}     # path -> version
        self.serial = 0
        self.watched = {}   # path -> zxid of the state that was read
        self.recursive = None
        self.told = 0       # recursive events up to this change
        self.held_back = []  # events that a bug keeps
        self.timeout_us = 6000000
        self.nodes = []     # ephemerals, or the node of its lock
        self.token = None


class Model:
    def __init__(self, seed, bug=None, actions=1500):
        self.random = random.Random(seed)
        self.bug, self.hits = bug, 0
        self.left = actions
        self.now = 1000000
        self.zxid = 0x100000000
        self.changes = []  # (zxid, kind, path)
        self.places = [0] * SERVERS  # how many of them each has delivered
        self.nodes = {}    # path -> [(zxid, node or None)], rising
        self.sequences = {}
        self.heap, self.serial = [], 0
        self.rows = []
        self.sessions = 0
        self.actors = []
        for number in range(2):
            for kind in ('reg', 'reg', 'pipe', 'uniq', 'seq', 'eph', 'look',
                         'lock', 'watch', 'tree', 'multi'):
                self.actors.append(Actor(
                    '%d.%s%d' % (number, kind, len(self.actors)), kind,
                    self.random.randrange(SERVERS)))

    # -- The world.

    def chance(self, p):
        return self.random.random() < p

    def buggy(self, bug, p=0.05):
        """Whether the deliberate bug strikes now."""
        return self.bug == bug and self.chance(p)

    def hit(self):
        self.hits += 1

    def next_zxid(self):
        self.zxid += self.random.choice((1, 1, 1, 2))
        return self.zxid

    def put(self, path, node, zxid, kind):
        self.nodes.setdefault(path, []).append((zxid, node))
        self.changes.append((zxid, kind, path))

    def at(self, path, zxid):
        """The node in the state of zxid."""
        for changed, node in reversed(self.nodes.get(path, ())):
            if changed <= zxid:
                return node
        return None

    def latest(self, path):
        return self.at(path, self.zxid)

    def state(self, server):
        place = self.places[server]
        return self.changes[place - 1][0] if place else 0x100000000

    def deliver(self, server, place):
        """The server gets the changes up to place; its clients' events go out
        before anything else."""
        while self.places[server] < place:
            change = self.changes[self.places[server]]
            self.places[server] += 1
            for actor in self.actors:
                if actor.server == server and actor.connected:
                    self.tell(actor, change)

    def tell(self, actor, change):
        zxid, kind, path = change
        armed = actor.watched.get(path)
        if armed is not None and kind == 3 and zxid > armed:
            del actor.watched[path]
            if self.buggy('watch_after_data', 0.3):
                actor.held_back.append((kind, path))
                self.hit()
            else:
                self.event(actor, kind, path)
                if self.buggy('watch_twice', 0.2):
                    self.hit()
                    self.event(actor, kind, path)
        if actor.recursive and path.startswith(actor.recursive + '/'):
            if self.buggy('recursive_event_lost', 0.02):
                self.hit()
            elif self.buggy('recursive_order', 0.05):
                actor.held_back.append((kind, path))
                self.hit()
            else:
                self.event(actor, kind, path)
                self.flush_events(actor)

    def flush_events(self, actor):
        held, actor.held_back = actor.held_back, []
        for kind, path in held:
            self.event(actor, kind, path)

    def event(self, actor, kind, path):
        when = self.arrival(actor)
        self.row(actor, when, when, 'event', path, None, 0, [kind, 3], -1)

    # -- Rows.

    def arrival(self, actor):
        actor.heard_us = max(actor.heard_us + 1,
                             self.now + self.random.randint(1, 2 * STEP_US))
        return actor.heard_us

    def row(self, actor, inv, ret, op, path, args, status, result, zxid):
        if zxid is not None and zxid > actor.floor:
            actor.floor = zxid
        self.rows.append([inv, ret, actor.name, actor.session, actor.conn, op,
                          path, args, status, result, zxid,
                          's%d' % actor.server])

    def answer(self, actor, inv, op, path, args, status, result):
        zxid = self.state(actor.server)
        if self.buggy('zxid_of_future', 0.002):
            self.hit()
            zxid = self.zxid + 1000
        ret = self.arrival(actor)
        actor.free_us = max(actor.free_us, ret + self.random.randint(
            1, 5 * STEP_US))
        self.row(actor, inv, ret, op, path, args, status, result, zxid)
        if actor.kind == 'watch':
            self.flush_events(actor)

    def unknown(self, actor, inv, op, path, args):
        ret = self.arrival(actor)
        actor.free_us = max(actor.free_us, ret)
        self.row(actor, inv, ret, op, path, args, None, None, None)

    def later(self, delay_us, call):
        self.serial += 1
        heapq.heappush(self.heap, (self.now + delay_us, self.serial, call))

    def run(self):
        for actor in self.actors:
            self.later(self.random.randint(1, 20 * STEP_US),
                       lambda a=actor: self.act(a))
        self.later(STEP_US, self.lag)
        while self.heap:
            when, _, call = heapq.heappop(self.heap)
            self.now = max(self.now, when)
            call()
        for actor in self.actors:
            for path in actor.nodes:
                if self.latest(path) is not None:
                    self.put(path, None, self.next_zxid(), 2)
        rows = sorted(self.rows, key=lambda row: row[1])
        return rows, self.final(), self.hits

    def lag(self):
        """Servers that fall behind, and catch up."""
        for server in range(SERVERS):
            if self.chance(0.5):
                self.deliver(server, self.random.randint(
                    self.places[server], len(self.changes)))
        if self.left > 0:
            self.later(STEP_US, self.lag)

    def final(self):
        tree = {}
        for path in self.nodes:
            node = self.latest(path)
            if node is not None:
                tree[path] = [node['data'], node['czxid'], node['mzxid'],
                              node['czxid'], node['version'], 0, 0,
                              node['owner']]
        final = {'s%d' % i: dict(tree) for i in range(SERVERS)}
        if self.bug == 'tree_differs':
            self.hit()
            path = self.random.choice(sorted(tree))
            final['s2'][path] = list(tree[path])
            final['s2'][path][self.random.randrange(8)] = 7
        return final

    # -- Sessions.

    def open(self, actor, resumed=True):
        """A connection, perhaps to another server."""
        actor.server = self.random.randrange(SERVERS)
        actor.connected = False
        behind = self.bug == 'server_behind_client' and self.chance(0.5)
        if not behind:
            while self.state(actor.server) < actor.floor and \
                    self.places[actor.server] < len(self.changes):
                self.deliver(actor.server, self.places[actor.server] + 1)
        elif self.state(actor.server) < actor.floor:
            self.hit()
        before = actor.session if resumed else 0
        if not resumed or not actor.session:
            self.sessions += 1
            before = 0
            actor.session = self.sessions
            if self.bug == 'session_again' and self.sessions > 30 and \
                    self.chance(0.3):
                self.hit()
                actor.session = self.sessions - 25
            actor.watched.clear()
            actor.recursive = None
        actor.held_back = []
        actor.conn += 1
        now = self.arrival(actor)
        self.row(actor, now - 1, now, 'open', None, [before], 0,
                 [actor.timeout_us // 1000], None)
        if before and not behind:
            # What the old connection had in flight is decided: this server
            # has it.
            self.deliver(actor.server, len(self.changes))
        for path, armed in sorted(actor.watched.items()):
            node = self.at(path, self.state(actor.server))
            if node and node['mzxid'] > armed:
                del actor.watched[path]
                self.event(actor, 3, path)
        if actor.watched or actor.recursive:
            self.row(actor, now, self.arrival(actor), 'setWatches2', None,
                     None, 0, None, self.state(actor.server))
        actor.connected = True

    def end_session(self, actor, how):
        """close, or expired: told so when its time-out has passed."""
        inv = self.now
        zxid = self.next_zxid()
        for path in actor.nodes:
            if self.latest(path) is None:
                continue
            if self.buggy('ephemeral_stays', 0.3):
                self.hit()
            else:
                self.put(path, None, zxid, 2)
        actor.nodes = []
        self.changes.append((zxid, 0, ''))
        if how == 'close':
            self.deliver(actor.server, len(self.changes))
            self.answer(actor, inv, 'closeSession', None, None, 0, None)
        else:
            actor.heard_us = max(actor.heard_us, self.now)
            now = self.arrival(actor)
            self.row(actor, now, now, 'expired', None,
                     [actor.timeout_us // 1000], 0, None, None)
        actor.token = None
        actor.session = 0

    # -- What happens to requests.

    def write(self, actor, inv, op, path, args, done):
        """One write: done or not, answered or not. True: answered."""
        place = len(self.changes)
        lost = self.chance(0.04)
        if lost and self.chance(0.5):
            self.unknown(actor, inv, op, path, args)
            self.open(actor)
            return False
        if self.buggy('answered_not_done', 0.02) and op == 'setData' and \
                self.latest(path):
            # Acknowledged, but no server has it.
            node = dict(self.latest(path))
            self.hit()
            self.deliver(actor.server, place)
            self.answer(actor, inv, op, path, args, 0,
                        [node['version'] + 1, self.zxid + 1])
            self.zxid += 1
            self.changes.append((self.zxid, 0, ''))
            return True
        status, result = done()
        if lost:
            self.unknown(actor, inv, op, path, args)
            self.open(actor)
            return False
        self.deliver(actor.server, len(self.changes))
        self.answer(actor, inv, op, path, args, status, result)
        return True

    def do_create(self, path, data, owner=0, sequential=False):
        def done():
            made = path
            if sequential:
                parent = path[:path.rindex('/')]
                number = self.sequences.get(parent, 0)
                again = number > 1 and self.buggy('number_again', 0.2)
                if again:
                    self.hit()
                    number -= 1
                else:
                    self.sequences[parent] = number + 1
                made = '%s%010d' % (path, number)
            if self.latest(made) is not None and not sequential:
                return NODE_EXISTS, None
            zxid = self.next_zxid()
            self.put(made, {'data': data, 'version': 0, 'mzxid': zxid,
                            'czxid': zxid, 'owner': owner}, zxid, 1)
            return 0, [made, zxid]
        return done

    def do_set(self, path, data, expected):
        def done():
            node = self.latest(path)
            if node is None:
                return NO_NODE, None
            wrong = expected not in (-1, node['version'])
            if wrong and self.buggy('expectation_ignored', 0.3):
                self.hit()
                wrong = False
            elif not wrong and expected >= 0 and \
                    self.buggy('false_refusal', 0.1):
                self.hit()
                wrong = True
            if wrong:
                return BAD_VERSION, None
            zxid = self.next_zxid()
            data_now = data
            if self.buggy('wrong_value', 0.03):
                self.hit()
                data_now = node['data']
            if self.buggy('lost_write', 0.03):
                # The next one becomes the same version.
                self.hit()
                self.changes.append((zxid, 0, ''))
                return 0, [node['version'] + 1, zxid]
            self.put(path, dict(node, data=data_now, mzxid=zxid,
                                version=node['version'] + 1), zxid, 3)
            return 0, [node['version'] + 1, zxid]
        return done

    def do_delete(self, path):
        def done():
            if self.latest(path) is None:
                return NO_NODE, None
            self.put(path, None, self.next_zxid(), 2)
            return 0, None
        return done

    def read(self, actor, inv, path, op='getData', synced=False, watch=False):
        if synced:
            if self.bug == 'stale_sync' and self.chance(0.3):
                if self.places[actor.server] < len(self.changes):
                    self.hit()
            else:
                self.deliver(actor.server, len(self.changes))
        state = self.state(actor.server)
        if self.buggy('own_write_unseen', 0.05):
            older = self.random.randint(0x100000000, state)
            if self.at(path, older) != self.at(path, state) and \
                    self.at(path, older):
                self.hit()
                state = older
        node = self.at(path, state)
        args = (['watch'] if watch else []) + (['synced'] if synced else [])
        result = None
        if node is not None and op == 'getData':
            result = [node['data'], node['version'], node['mzxid'],
                      node['czxid']]
            if watch:
                actor.watched.setdefault(path, node['mzxid'])
        elif node is not None:
            result = [node['czxid'], node['mzxid'], node['version'],
                      node['owner']]
        if node is not None:
            actor.known[path] = node['version']
        self.answer(actor, inv, op, path, args,
                    0 if node is not None else NO_NODE, result)
        return node

    # -- What the actors do.

    def act(self, actor):
        if self.now < actor.free_us:
            self.later(actor.free_us - self.now, lambda: self.act(actor))
            return
        self.left -= 1
        if self.left < 0:
            return
        if not actor.session:
            self.open(actor, False)
        elif self.chance(0.03):
            self.open(actor)
        inv = self.now
        # Others come between the request and what becomes of it.
        self.later(self.random.randint(1, 6 * STEP_US),
                   lambda: self.serve(actor, inv))

    def serve(self, actor, inv):
        getattr(self, 'act_' + actor.kind)(actor, inv)
        actor.free_us = max(actor.free_us, actor.heard_us + 1)
        self.later(self.random.randint(1, 10 * STEP_US),
                   lambda: self.act(actor))

    def value(self, actor):
        actor.serial += 1
        return '%s:%d' % (actor.name, actor.serial)

    def act_reg(self, actor, inv):
        path = '/c/reg/0/%d' % self.random.randrange(2)
        what = self.random.random()
        if self.latest(path) is None:
            data = self.value(actor)
            self.write(actor, inv, 'create2', path, [data, 0],
                       self.do_create(path, data))
        elif what < 0.5:
            data = self.value(actor)
            expected = -1 if what < 0.2 else actor.known.get(path, 0)
            self.write(actor, inv, 'setData', path, [data, expected],
                       self.do_set(path, data, expected))
        else:
            self.read(actor, inv, path, synced=what < 0.8)

    def act_pipe(self, actor, inv):
        path = '/c/pipe/0/' + actor.name
        if self.latest(path) is None:
            data = self.value(actor)
            self.write(actor, inv, 'create2', path, [data, 0],
                       self.do_create(path, data))
            return
        burst = [self.value(actor) for _ in range(self.random.randint(1, 6))]
        if self.chance(0.2):
            happen = self.random.randint(0, len(burst))
            done = burst[:happen]
            if self.bug == 'middle_of_pipeline' and 2 < happen:
                self.hit()
                del done[self.random.randrange(happen - 1)]
            for data in done:
                self.do_set(path, data, -1)()
            for data in burst:
                self.unknown(actor, inv, 'setData', path, [data, -1])
            self.open(actor)
            stray = self.bug == 'stray_after_move' and happen < len(burst)
            inv = self.now
            self.read(actor, inv, path)
            if stray:
                self.hit()
                self.do_set(path, burst[happen], -1)()
                self.deliver(actor.server, len(self.changes))
                self.read(actor, self.now, path)
            return
        for data in burst:
            self.do_write_here(actor, inv, path, data)
            if self.chance(0.5):
                self.read(actor, inv, path)

    def do_write_here(self, actor, inv, path, data):
        status, result = self.do_set(path, data, -1)()
        self.deliver(actor.server, len(self.changes))
        self.answer(actor, inv, 'setData', path, [data, -1], status, result)

    def act_uniq(self, actor, inv):
        actor.serial += 1
        path = '/c/uniq/0/%s-%d' % (actor.name, actor.serial)
        answered = self.write(actor, inv, 'create2', path, [path, 0],
                              self.do_create(path, path))
        if not answered:
            inv = self.now
            self.write(actor, inv, 'create2', path, [path, 0],
                       self.do_create(path, path))
        elif self.buggy('unique_vanishes', 0.1):
            self.hit()
            self.put(path, None, self.next_zxid(), 0)
        elif self.chance(0.2):
            self.write(actor, self.now, 'delete', path, [-1],
                       self.do_delete(path))
        self.read(actor, self.now, path, op='exists')

    def act_seq(self, actor, inv):
        data = self.value(actor)
        if self.write(actor, inv, 'create2', '/c/seq/0/n-', [data, 2],
                      self.do_create('/c/seq/0/n-', data, sequential=True)) \
                and self.chance(0.4):
            path = self.rows_of(actor)[9][0]
            self.write(actor, self.now, 'delete', path, [-1],
                       self.do_delete(path))

    def rows_of(self, actor):
        return next(row for row in reversed(self.rows)
                    if row[2] == actor.name and row[5] == 'create2')

    def act_eph(self, actor, inv):
        if actor.nodes and self.chance(0.3):
            how = self.random.random()
            if how < 0.5:
                self.end_session(actor, 'close')
            elif how < 0.7:
                early = self.bug == 'early_expiry'
                if early:
                    self.hit()
                else:
                    self.now += actor.timeout_us + STEP_US
                    actor.heard_us = max(actor.heard_us, self.now)
                self.end_session(actor, 'expired')
            else:
                path = self.random.choice(actor.nodes)
                self.write(actor, inv, 'delete', path, [-1],
                           self.do_delete(path))
            return
        if actor.nodes and self.buggy('ephemeral_vanishes', 0.3):
            path = self.random.choice(actor.nodes)
            if self.latest(path) is not None:
                self.put(path, None, self.next_zxid(), 0)
                self.hit()
        actor.serial += 1
        path = '/c/eph/0/%s-%d' % (actor.name, actor.serial)
        actor.nodes.append(path)
        self.write(actor, inv, 'create2', path, [path, 1],
                   self.do_create(path, path, owner=actor.session))

    def act_look(self, actor, inv):
        paths = [path for path in self.nodes if path.startswith('/c/eph/')]
        if paths:
            path = self.random.choice(paths[-8:])
            self.read(actor, inv, path, op='exists',
                      synced=self.chance(0.5))

    def act_lock(self, actor, inv):
        parent = '/c/lock/0'
        if actor.token is None:
            data = self.value(actor)
            session = actor.session
            if self.write(actor, inv, 'create2', parent + '/x-', [data, 3],
                          self.do_create(parent + '/x-', data, session,
                                         sequential=True)):
                made, actor.token = self.rows_of(actor)[9]
                actor.nodes = [made]
                return
            for path in list(self.nodes):
                node = self.latest(path)
                if node is not None and node['data'] == data:
                    self.put(path, None, self.next_zxid(), 2)
            return
        self.deliver(actor.server, len(self.changes))
        names = sorted(path[len(parent) + 1:] for path in self.nodes
                       if path.startswith(parent + '/') and
                       self.latest(path) is not None)
        own = actor.nodes[0][len(parent) + 1:] if actor.nodes else None
        if own in names and names[0] != own and \
                self.buggy('two_holders', 0.5):
            names = names[names.index(own):]
            holders = [a for a in self.actors if a.kind == 'lock' and
                       a is not actor and a.nodes and
                       a.token < actor.token]
            if holders:
                self.hit()
        self.answer(actor, inv, 'getChildren2', parent, [], 0,
                    [0, 0, names])
        if own not in names or names[0] != own:
            return
        guard = '/c/guard/0'
        if self.latest(guard) is None:
            data = '0 ' + self.value(actor)
            self.write(actor, self.now, 'create2', guard, [data, 0],
                       self.do_create(guard, data))
        node = self.read(actor, self.now, guard)
        if node is not None and int(node['data'].split()[0]) <= actor.token:
            data = '%d %s' % (actor.token, self.value(actor))
            self.write(actor, self.now, 'setData', guard,
                       [data, node['version']],
                       self.do_set(guard, data, node['version']))
        if self.chance(0.5):
            path = actor.nodes[0]
            if self.write(actor, self.now, 'delete', path, [-1],
                          self.do_delete(path)):
                actor.nodes, actor.token = [], None
            elif self.latest(path) is None:
                actor.nodes, actor.token = [], None

    def act_watch(self, actor, inv):
        path = '/c/watch/0/%d' % self.random.randrange(2)
        if self.latest(path) is None:
            data = self.value(actor)
            self.write(actor, inv, 'create2', path, [data, 0],
                       self.do_create(path, data))
        elif self.chance(0.4):
            data = self.value(actor)
            self.write(actor, inv, 'setData', path, [data, -1],
                       self.do_set(path, data, -1))
        else:
            self.read(actor, inv, path, watch=self.chance(0.5))

    def act_tree(self, actor, inv):
        top = '/c/tree/0'
        if actor.recursive is None:
            actor.recursive = top
            self.answer(actor, inv, 'addWatch', top, [1], 0, None)
            return
        actor.serial += 1
        path = '%s/%s-%d' % (top, actor.name, actor.serial)
        if self.write(actor, inv, 'create2', path, [path, 0],
                      self.do_create(path, path)):
            data = self.value(actor)
            self.write(actor, self.now, 'setData', path, [data, -1],
                       self.do_set(path, data, -1))
            if self.chance(0.5):
                self.write(actor, self.now, 'delete', path, [-1],
                           self.do_delete(path))

    def act_multi(self, actor, inv):
        base = '/c/multi/0/0'
        first, second = base + 'a', base + 'b'
        data = self.value(actor)
        node = self.latest(first)
        if node is None or self.chance(0.5):
            self.write(actor, inv, 'multi', base, [data, -1],
                       self.do_multi(first, second, data))
        elif self.chance(0.7):
            self.read(actor, inv, first)
            self.read(actor, inv, second)
            self.read(actor, inv, first)
        else:
            state = self.state(actor.server)
            parts = [self.at(path, state) for path in (second, first)]
            self.answer(actor, inv, 'multiRead', base, [], 0,
                        [[0, n['data'], n['version'], n['mzxid'], n['czxid']]
                         if n else [NO_NODE] for n in parts])

    def do_multi(self, first, second, data):
        def done():
            parts, zxid = [], self.next_zxid()
            half = self.latest(first) and self.buggy('half_multi', 0.2)
            if half:
                self.hit()
            for path in (first, second):
                node = self.latest(path)
                if node is None:
                    node = {'data': data, 'version': 0, 'mzxid': zxid,
                            'czxid': zxid, 'owner': 0}
                    parts.append([0, path, zxid])
                else:
                    node = dict(node, data=data, mzxid=zxid,
                                version=node['version'] + 1)
                    parts.append([0, node['version'], zxid])
                if not half or path == first:
                    self.nodes.setdefault(path, []).append((zxid, node))
            self.changes.append((zxid, 0, ''))
            return 0, parts
        return done
