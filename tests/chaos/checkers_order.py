"""The order of things: zxids of each client and of all, pipelines, multis.

feed(row, floor): floor is the highest zxid that the actor had been answered
before this row: its server's state cannot be older."""

import bisect
import collections

from history import (ACTOR, ARGS, CONN, INV, OP, PATH, RESULT, RET, SERVER,
                     STATUS, ZXID)

WRITES = ('setData', 'create2', 'delete', 'multi', 'closeSession')
REMEMBERED = 200000


def zxid_of_write(row, strict):
    """The transaction's zxid as far as it is certain: of a stat, or of the
    header where that is exact. None: not known."""
    result = row[RESULT]
    if row[OP] in ('setData', 'create2'):
        return result[1] if result else None
    if row[OP] == 'multi':
        if not result:
            return None
        found = [part[2] for part in result if len(part) == 3]
        return found[0] if found else None
    return row[ZXID] if strict else None


class Order:
    """Zxids never go back for a client; a write is behind every write that was
    acknowledged before it was sent; no zxid is given twice."""

    def __init__(self, context):
        self.context = context
        self.rets, self.highest = [], []  # of acknowledged writes, rising
        self.recent, self.owner = collections.deque(), {}

    def feed(self, row, floor):
        zxid, op = row[ZXID], row[OP]
        strict = self.context.strict
        if zxid is not None and zxid > 0 and op != 'event' and \
                (strict or op != 'ping') and zxid < floor:
            self.context.say('zxid', '%s: 0x%x after 0x%x (%s %s at %s)',
                             row[ACTOR], zxid, floor, op, row[PATH],
                             row[SERVER])
        if op in WRITES:
            self.write(row)
        elif strict and row[STATUS] is not None and zxid is not None and (
                op == 'sync' or (row[ARGS] and 'synced' in row[ARGS])):
            self.behind_acknowledged(row, zxid, zxid + 1)

    def write(self, row):
        status = row[STATUS]
        if status is None:
            return
        zxid = zxid_of_write(row, self.context.strict)
        failed = status != 0 or (row[OP] == 'multi' and zxid is None)
        if failed:
            if row[ZXID] is not None and row[ZXID] > 0:
                self.behind_acknowledged(row, row[ZXID], row[ZXID] + 1)
            return
        if zxid is None:
            return
        self.behind_acknowledged(row, zxid, zxid)
        if zxid in self.owner:
            self.context.say('zxid', '0x%x is of two writes: %s of %s, %s',
                             zxid, row[PATH], row[ACTOR], self.owner[zxid])
        self.owner[zxid] = row[PATH]
        self.recent.append(zxid)
        if len(self.recent) > REMEMBERED:
            del self.owner[self.recent.popleft()]
        # Rows come by the time of their answers.
        if self.highest and zxid < self.highest[-1]:
            return
        self.rets.append(row[RET])
        self.highest.append(zxid)

    def behind_acknowledged(self, row, zxid, limit):
        """limit: acknowledged zxids must be below it."""
        at = bisect.bisect_left(self.rets, row[INV])
        if at and self.highest[at - 1] >= limit:
            self.context.say(
                'real time', '%s %s of %s, sent at %d, has 0x%x, but 0x%x was '
                'acknowledged before', row[OP], row[PATH], row[ACTOR],
                row[INV], zxid, self.highest[at - 1])

    def sweep(self, before_us):
        at = bisect.bisect_left(self.rets, before_us) - 1
        if at > 0:  # the one before the cut still counts
            del self.rets[:at]
            del self.highest[:at]

    def finish(self):
        pass


class Pipelines:
    """A register that only one client uses: what it reads is exactly what it
    wrote, pipelined or not; of the writes that were under way when a connection
    was lost the first few happened and the others never do; so for each
    connection when several were lost before anything was read."""

    class State:
        __slots__ = ('version', 'value', 'open', 'conn', 'used_us')

        def __init__(self):
            self.version = self.value = self.conn = None
            self.open = []  # (connection, value) of unknown outcome, in order

    def __init__(self, context):
        self.context = context
        self.keys = {}

    def feed(self, row, floor):
        if row[PATH].count('/') < 4:
            return  # a parent
        state = self.keys.get(row[PATH])
        if state is None:
            state = self.keys[row[PATH]] = self.State()
        state.used_us = row[RET]
        op, status, result = row[OP], row[STATUS], row[RESULT]
        if op == 'create2':
            self.create(state, row)
        elif state.version is None:
            return
        elif op == 'setData' and status is None:
            state.open.append((row[CONN], row[ARGS][0]))
        elif op == 'setData' and status == 0:
            happened = result[0] - 1 - state.version
            if not 0 <= happened <= len(state.open):
                self.say(row, state, 'the write is version %d' % result[0])
            state.version, state.value = result[0], row[ARGS][0]
            state.open = []
        elif op == 'getData' and status == 0:
            self.read(state, row)
        elif op in ('getData', 'setData') and status == -101:
            self.say(row, state, 'it is gone')

    def create(self, state, row):
        if row[STATUS] == 0:
            if state.version is not None:
                self.say(row, state, 'made twice')
            state.version, state.value = 0, row[ARGS][0]
        elif row[STATUS] == -110 and state.version is None:
            state.version = 0  # by a create whose answer was lost

    def read(self, state, row):
        value, version = row[RESULT][0], row[RESULT][1]
        happened = version - state.version
        if happened == 0:
            good = state.value is None or value == state.value
        else:
            good = self.explains(state.open, value, happened)
        if not good:
            self.say(row, state, 'version %d with %s' % (version, value))
        state.version, state.value = version, value
        if self.context.strict:
            state.open = []
        elif happened:
            values = [v for _, v in state.open]
            if value in values:
                del state.open[:values.index(value) + 1]

    @staticmethod
    def explains(open_writes, value, happened):
        """Whether value is the last of that many: all that were sent before it
        on its connection happened, and any of earlier connections."""
        for at, (conn, other) in enumerate(open_writes):
            if other == value:
                same = sum(c == conn for c, _ in open_writes[:at + 1])
                return same <= happened <= at + 1
        return False

    def say(self, row, state, what):
        self.context.say(
            'pipeline', '%s: %s (%s at connection %d), expected version %d '
            'with %s, or up to %d of %s behind it', row[PATH], what, row[OP],
            row[CONN], state.version, state.value, len(state.open),
            state.open[:3])

    def sweep(self, before_us):
        self.keys = {path: state for path, state in self.keys.items()
                     if state.used_us >= before_us}

    def finish(self):
        pass


class Multis:
    """Two nodes that are made and set only together: a client that has seen one
    of them new never sees the other one old."""

    class Pair:
        __slots__ = ('asked', 'seen', 'by_zxid', 'newest', 'used_us')

        def __init__(self):
            self.asked = {}   # value -> whether it may have happened
            self.seen = {}    # value -> row that saw it
            self.by_zxid = {}  # zxid -> (value, version)
            self.newest = {}  # actor -> highest zxid it saw in either

    def __init__(self, context):
        self.context = context
        self.pairs = {}

    def feed(self, row, floor):
        path, op = row[PATH], row[OP]
        base = path[:-1] if path[-1] in 'ab' else path
        pair = self.pairs.get(base)
        if pair is None:
            if op == 'create2':
                return  # a parent
            pair = self.pairs[base] = self.Pair()
        pair.used_us = row[RET]
        if op == 'multi':
            self.multi(pair, row)
        elif op == 'multiRead' and row[STATUS] == 0:
            parts = row[RESULT]
            for part in parts:
                if part[0] == 0:
                    self.saw(pair, row, part[1], part[2], part[3])
            if self.context.strict and (
                    len({part[0] for part in parts}) > 1 or
                    len({part[3] for part in parts if part[0] == 0}) > 1):
                self.context.say('multi', '%s: multiRead of %s saw two states:'
                                 ' %s', path, row[ACTOR], parts)
        elif op == 'getData' and row[STATUS] == 0:
            self.saw(pair, row, *row[RESULT][:3])
        elif op == 'getData' and row[STATUS] == -101 and \
                row[ACTOR] in pair.newest:
            self.context.say('multi', '%s: gone for %s', path, row[ACTOR])

    def multi(self, pair, row):
        value, expected = row[ARGS][:2]
        parts = row[RESULT]
        if row[STATUS] is None:
            pair.asked[value] = True
            return
        good = [part for part in parts or [] if part[0] == 0]
        if row[STATUS] != 0 or len(good) != len(parts):
            pair.asked[value] = False
            written = [part for part in good if len(part) == 3]
            if written:
                self.context.say('multi', '%s: some parts of a multi of %s '
                                 'were done: %s', row[PATH], row[ACTOR], parts)
            return
        pair.asked[value] = True
        for part in parts:
            if len(part) == 3 and isinstance(part[1], int):
                if expected >= 0 and part[1] != expected + 1:
                    self.context.say(
                        'multi', '%s: checked version %d, became %d', row[PATH],
                        expected, part[1])
                self.saw(pair, row, value, part[1], part[2])
            elif len(part) == 3:
                self.saw(pair, row, value, 0, part[2])

    def saw(self, pair, row, value, version, zxid):
        known = pair.by_zxid.setdefault(zxid, (value, version))
        if known != (value, version):
            self.context.say('multi', '%s: 0x%x is version %d with %s and '
                             'version %d with %s', row[PATH], zxid, known[1],
                             known[0], version, value)
        newest = pair.newest.get(row[ACTOR], 0)
        if zxid < newest:
            self.context.say('multi', '%s: %s sees 0x%x after 0x%x in one of '
                             'the two', row[PATH], row[ACTOR], zxid, newest)
        else:
            pair.newest[row[ACTOR]] = zxid
        pair.seen.setdefault(value, row[ACTOR])

    def sweep(self, before_us):
        for base in [b for b, pair in self.pairs.items()
                     if pair.used_us < before_us]:
            pair = self.pairs.pop(base)
            for value, actor in pair.seen.items():
                if not pair.asked.get(value) and \
                        not (value not in pair.asked and
                             self.context.may_be_unwritten(value)):
                    self.context.say('multi', '%s: %s saw %s, which was never '
                                     'written', base, actor, value)

    def finish(self):
        pass
