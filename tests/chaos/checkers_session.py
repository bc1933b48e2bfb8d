"""Sessions, and what lives and dies with them: ephemerals and locks."""

import collections

from history import (ACTOR, ARGS, INV, OP, PATH, RESULT, RET, SESSION, STATUS,
                     ZXID)

NO_NODE = -101
EPHEMERAL = 1
EXPIRY_SLACK = 0.95  # of the time-out: clocks are read at both ends
FOREVER = float('inf')


class Sessions:
    """Ids are never given twice; nobody is told "expired" before the time-out
    has passed since a write of the session was sent that was answered."""

    def __init__(self, context):
        self.context = context
        self.owners = {}  # session -> actor
        self.wrote = {}   # session -> when its last answered write was sent
        self.timeouts = {}

    def feed(self, row, floor):
        if row[STATUS] == 0 and row[OP] in ('setData', 'create2', 'multi'):
            inv = row[INV]
            if inv > self.wrote.get(row[SESSION], 0):
                self.wrote[row[SESSION]] = inv

    def feed_session(self, row, floor):
        session, op = row[SESSION], row[OP]
        if op == 'open':
            if row[ARGS][0] == 0:
                other = self.owners.setdefault(session, row[ACTOR])
                if other != row[ACTOR] or session in self.timeouts:
                    self.context.say('session', '0x%x is given to %s, it was '
                                     "%s's", session, row[ACTOR], other)
            self.timeouts[session] = row[RESULT][0]
        elif op == 'expired' and session:
            self.context.counts['expired'] += 1
            wrote = self.wrote.get(session)
            timeout_us = row[ARGS][0] * 1000 * EXPIRY_SLACK
            if self.context.strict and wrote is not None and \
                    row[RET] - wrote < timeout_us:
                self.context.say(
                    'session', '0x%x of %s has expired %d ms after a write '
                    'that was answered, its time-out is %d ms', session,
                    row[ACTOR], (row[RET] - wrote) // 1000, row[ARGS][0])
        elif op == 'lost':
            self.context.counts['connections lost'] += 1

    def sweep(self, before_us):
        for session in [s for s, used in self.wrote.items()
                        if used < before_us]:
            del self.wrote[session]

    def finish(self):
        self.context.counts['sessions'] = len(self.owners)


class End:
    """What is known of the end of a session."""
    __slots__ = ('close_inv', 'close_zxid', 'expired_ret', 'abandoned',
                 'write_inv', 'write_zxid', 'timeout_us')

    def __init__(self):
        self.close_inv = FOREVER  # somebody asked for its end
        self.close_zxid = None    # it ended here
        self.expired_ret = None   # its client was told
        self.abandoned = False
        self.write_inv = self.write_zxid = 0  # of its last write
        self.timeout_us = 0


class Ends:
    """The ends of all sessions of a kind of actor."""

    def __init__(self):
        self.ends = collections.defaultdict(End)

    def of(self, session):
        return self.ends[session]

    def note_write(self, row):
        if row[STATUS] == 0 and row[OP] in ('create2', 'setData'):
            end = self.ends[row[SESSION]]
            end.write_inv = max(end.write_inv, row[INV])
            end.write_zxid = max(end.write_zxid, row[RESULT][1])

    def note_session(self, row):
        op, session = row[OP], row[SESSION]
        if op == 'open':
            self.ends[session].timeout_us = row[RESULT][0] * 1000
        elif op == 'closeSession':
            end = self.ends[session]
            end.close_inv = min(end.close_inv, row[INV])
            if row[STATUS] == 0:
                end.close_zxid = row[ZXID]
        elif op == 'expired':
            self.ends[session].expired_ret = row[RET]
        elif op == 'abandoned':
            self.ends[session].abandoned = True


Look = collections.namedtuple(
    'Look', 'path there czxid owner floor zxid inv ret synced actor')


class Ephemerals:
    """A session's nodes are there as long as it lives, unless they are deleted,
    and not when it is closed."""

    def __init__(self, context):
        self.context = context
        self.ends = Ends()
        self.nodes = {}      # path -> (session, czxid, inv of the create)
        self.by_parent = collections.defaultdict(list)
        self.deletes = {}    # path -> first inv
        self.deleted = {}    # path -> zxid
        self.looks = []
        self.used = {}

    def feed_session(self, row, floor):
        self.ends.note_session(row)

    def feed(self, row, floor):
        path, op, status = row[PATH], row[OP], row[STATUS]
        if path.count('/') < 3:
            return
        self.ends.note_write(row)
        if op == 'create2' and row[ARGS][1] & EPHEMERAL and status == 0:
            self.nodes[path] = (row[SESSION], row[RESULT][1], row[INV])
            self.by_parent[path[:path.rindex('/')]].append(path)
        elif op == 'delete':
            self.deletes[path] = min(row[INV], self.deletes.get(path, FOREVER))
            if status == 0:
                self.deleted[path] = row[ZXID]
        elif op == 'exists' and status in (0, NO_NODE):
            result = row[RESULT] or [None] * 4
            self.look(row, path, status == 0, result[0], result[3], floor)
        elif op == 'getChildren2' and status == 0:
            names = set(row[RESULT][2])
            for node in self.by_parent.get(path, ()):
                self.look(row, node, node[len(path) + 1:] in names, None, None,
                          floor)

    def look(self, row, path, there, czxid, owner, floor):
        self.looks.append(Look(path, there, czxid, owner, floor, row[ZXID],
                               row[INV], row[RET], 'synced' in row[ARGS],
                               row[ACTOR]))

    def sweep(self, before_us):
        """Everything that ends a node is known a while later."""
        later = []
        for look in self.looks:
            if look.ret < before_us:
                self.judge(look)
            else:
                later.append(look)
        self.looks = later
        for path in [p for p, node in self.nodes.items()
                     if node[2] < before_us - 300 * 1000000]:
            del self.nodes[path]
            self.by_parent[path[:path.rindex('/')]].remove(path)
            self.deletes.pop(path, None)
            self.deleted.pop(path, None)

    def finish(self):
        pass

    def judge(self, look):
        node = self.nodes.get(look.path)
        if node is None:
            return
        self.context.counts['ephemerals looked at'] += 1
        state = look.zxid if self.context.strict else look.floor
        (self.judge_there if look.there else self.judge_gone)(
            look, node, state, self.ends.of(node[0]))

    def judge_there(self, look, node, state, end):
        session, czxid, _ = node
        if look.czxid not in (None, czxid) or look.owner not in (None, session):
            self.say(look, 'is of session 0x%x at 0x%x, not of 0x%x at 0x%x',
                     look.owner, look.czxid, session, czxid)
        deleted = self.deleted.get(look.path)
        if deleted is not None and state >= deleted:
            self.say(look, 'is there at 0x%x, it was deleted at 0x%x', state,
                     deleted)
        if end.close_zxid is not None and state >= end.close_zxid:
            self.say(look, 'is there at 0x%x, session 0x%x was closed at 0x%x',
                     state, session, end.close_zxid)
        if self.context.strict and look.synced and \
                end.expired_ret is not None and look.inv > end.expired_ret:
            self.say(look, 'is there after its client was told that session '
                     '0x%x has expired', session)

    def judge_gone(self, look, node, state, end):
        session, czxid, _ = node
        if state < czxid or self.deletes.get(look.path, FOREVER) < look.ret \
                or end.close_inv < look.ret:
            return
        if end.write_zxid > look.zxid:
            self.say(look, 'is not there at 0x%x, made at 0x%x; session 0x%x '
                     'wrote at 0x%x', look.zxid, czxid, session, end.write_zxid)
        elif self.context.strict and \
                look.ret - end.write_inv < end.timeout_us * EXPIRY_SLACK:
            self.say(look, 'is gone %d ms after a write of session 0x%x, its '
                     'time-out is %d ms', (look.ret - end.write_inv) // 1000,
                     session, end.timeout_us // 1000)

    def say(self, look, text, *args):
        self.context.say('ephemeral', '%s (seen by %s) %s' % (
            look.path, look.actor, text), *args)


class Locks:
    """Who finds its own node the first of all has the lock: no older node is
    there at that moment. (What holders write is judged by the tokens in the
    guarded node, see checkers_linear.)"""

    class Node:
        __slots__ = ('token', 'session', 'alive_to', 'ended')

        def __init__(self, token, session):
            self.token, self.session = token, session
            self.alive_to = 0    # surely there up to this zxid
            self.ended = False   # somebody asked for its end

    def __init__(self, context):
        self.context = context
        self.nodes = collections.defaultdict(dict)  # parent -> path -> Node
        self.holds = collections.defaultdict(list)  # parent -> (token, zxid..)
        self.of_session = collections.defaultdict(list)

    def feed_session(self, row, floor):
        op = row[OP]
        if op in ('closeSession', 'abandoned', 'expired'):
            for node in self.of_session.pop(row[SESSION], ()):
                node.ended = True

    def feed(self, row, floor):
        path, op, status = row[PATH], row[OP], row[STATUS]
        if path.count('/') < 3:
            return
        if op == 'create2' and status == 0 and row[ARGS][1] & EPHEMERAL:
            node = self.Node(row[RESULT][1], row[SESSION])
            self.nodes[path[:path.rindex('/')]][row[RESULT][0]] = node
            self.of_session[row[SESSION]].append(node)
        elif op == 'delete':
            node = self.nodes[path[:path.rindex('/')]].get(path)
            if node is not None and not node.ended:
                node.ended = True
                # Deleted behind all that its client had seen before.
                node.alive_to = max(node.alive_to, floor)
                if self.context.strict and status == 0:
                    node.alive_to = max(node.alive_to, row[ZXID] - 1)
        elif op == 'getChildren2' and status == 0:
            self.listing(row, path)
        if op in ('create2', 'delete') and status == 0 and \
                row[ZXID] is not None:
            zxid = row[RESULT][1] if op == 'create2' else floor
            alive = [node for node in self.of_session[row[SESSION]]
                     if not node.ended]
            self.of_session[row[SESSION]] = alive
            for node in alive:
                node.alive_to = max(node.alive_to, zxid)

    def listing(self, row, parent):
        names = row[RESULT][2]
        if not names:
            return
        first = parent + '/' + min(names, key=lambda name: int(name[-10:]))
        node = self.nodes[parent].get(first)
        if node is not None and node.session == row[SESSION]:
            self.context.counts['locks held'] += 1
            self.holds[parent].append((node.token, row[ZXID], row[ACTOR]))

    def sweep(self, before_us):
        pass

    def finish(self):
        for parent, holds in self.holds.items():
            nodes = sorted(self.nodes[parent].values(),
                           key=lambda node: node.token)
            at, oldest = 0, None
            for token, zxid, actor in sorted(holds):
                while at < len(nodes) and nodes[at].token < token:
                    if oldest is None or nodes[at].alive_to > oldest.alive_to:
                        oldest = nodes[at]
                    at += 1
                if oldest is not None and oldest.alive_to > zxid:
                    self.context.say(
                        'lock', '%s: %s with token 0x%x is the first at 0x%x, '
                        '0x%x is there up to 0x%x', parent, actor, token, zxid,
                        oldest.token, oldest.alive_to)
