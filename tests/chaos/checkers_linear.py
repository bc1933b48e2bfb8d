"""Registers: nodes that are made once and then set, with or without a version.
ZooKeeper promises that writes and refusals are linearizable, that reads behind
a sync are (Corral; see checkers.py), and that a plain read is of a state that
is not older than what its client has seen.

Two independent judgements of each key:

- by the versions and zxids in the answers, which say what the order of the
  writes is: that order must agree with real time, with each expected version,
  with each value, and each plain read must be of a state in its window;
- linearizable(), which believes only in values and versions and looks for any
  order at all: Wing & Gong's search in Lowe's just-in-time form, over the
  events of the key in time, with the set of all possible configurations
  (state, requests that took effect before their answer) as its memory."""

import bisect
import collections

from history import (ACTOR, ARGS, INV, OP, PATH, RESULT, RET, STATUS, ZXID)

NO_NODE, BAD_VERSION, NODE_EXISTS = -101, -103, -110
FOREVER = float('inf')
CONFIGURATIONS_MAX = 20000

# kind: create, set, read. expected: version or -1. linear: of a read. version:
# of the state behind it, None when it failed or is not known.
Op = collections.namedtuple(
    'Op', 'inv ret kind value expected status version mzxid zxid floor linear '
    'actor')


class Undecided(Exception):
    """More configurations than we want to keep."""


def changes(op):
    return op.kind != 'read' and op.status in (0, None)


def apply(op, state):
    """The state behind op, or None when it cannot happen in this one. A state
    is (version, value), version -1: there is no node."""
    version = state[0]
    if op.status == NO_NODE:
        return state if version < 0 else None
    if op.kind == 'create':
        if op.status == NODE_EXISTS:
            return state if version >= 0 else None
        return (0, op.value) if version < 0 and op.version in (0, None) \
            else None
    if version < 0:
        return None
    if op.kind == 'read':
        return state if state == (op.version, op.value) else None
    if op.status == BAD_VERSION:
        return state if version != op.expected else None
    if op.expected not in (-1, version):
        return None
    if op.version not in (None, version + 1):
        return None
    return (version + 1, op.value)


def linearizable(ops, state=(-1, None)):
    """None, or the operation that no order explains. Operations with an unknown
    status may take effect at any time after their invocation, or never.
    Undecided when there are too many possibilities."""
    events = []
    for index, op in enumerate(ops):
        events.append((op.inv, 0, index))
        if op.status is not None:
            events.append((op.ret, 1, index))
    events.sort()
    # A state that no later answer fits need not be tried.
    told = {op.version: op.value for op in ops if op.version is not None}
    values = set(told.values())
    pending = {}
    configurations = {(state, frozenset())}
    for _, is_return, index in events:
        if not is_return:
            pending[index] = ops[index]
            continue
        configurations = step(configurations, pending, index, told, values)
        if not configurations:
            return ops[index]
        del pending[index]
        drop_dead(configurations, pending)
    return None


def step(configurations, pending, index, told, values):
    """All configurations in which index has taken effect."""
    found, seen = set(), set()
    todo = list(configurations)
    while todo:
        configuration = todo.pop()
        if configuration in seen:
            continue
        seen.add(configuration)
        if len(seen) > CONFIGURATIONS_MAX:
            raise Undecided
        state, done = configuration
        if index in done:
            found.add((state, done - {index}))
            continue
        # What changes nothing never does harm when it takes effect early.
        now = {i for i, op in pending.items() if i not in done and
               not changes(op) and apply(op, state) is not None}
        if now:
            todo.append((state, done | now))
            continue
        alike = False
        for i, op in pending.items():
            if i in done or not changes(op):
                continue
            if op.status is None and op.kind == 'set' and \
                    op.expected < 0 and op.value not in values:
                # Nobody saw its value: one of them is as good as another.
                if alike:
                    continue
                alike = True
            after = apply(op, state)
            if after is not None and \
                    told.get(after[0], after[1]) == after[1]:
                todo.append((after, done | {i}))
    return found


def drop_dead(configurations, pending):
    """Unknown requests that cannot take effect any more."""
    lowest = min(state[0] for state, _ in configurations)
    dead = [i for i, op in pending.items() if op.status is None and (
        (op.expected >= 0 and op.expected < lowest) or
        (op.version is not None and op.version <= lowest) or
        (op.kind == 'create' and lowest >= 0))]
    if dead:
        cleaned = set()
        for i in dead:
            del pending[i]
        gone = frozenset(dead)
        for state, done in configurations:
            cleaned.add((state, done - gone))
        configurations.clear()
        configurations.update(cleaned)


class Key:
    """What happened to one register."""

    def __init__(self):
        self.ops = []
        self.used_us = 0

    def add(self, row, floor):
        op, status, result, args = row[OP], row[STATUS], row[RESULT], row[ARGS]
        self.used_us = row[RET]
        kind = {'create2': 'create', 'setData': 'set',
                'getData': 'read'}.get(op)
        if kind is None:
            return
        if kind == 'read' and (status is None or status not in (0, NO_NODE)):
            return
        value = version = mzxid = None
        expected = -1
        if kind == 'read':
            if status == 0:
                value, version, mzxid = result[:3]
        else:
            value = args[0]
            if kind == 'set':
                expected = args[1]
            if status == 0:
                version, mzxid = (0, result[1]) if kind == 'create' \
                    else result
            elif status not in (None, NO_NODE, BAD_VERSION, NODE_EXISTS):
                return  # -118, -125, ...: it did not happen
        self.ops.append(Op(
            row[INV], row[RET] if status is not None else FOREVER, kind, value,
            expected, status, version, mzxid, row[ZXID], floor,
            kind != 'read' or 'synced' in args, row[ACTOR]))


class Registers:
    def __init__(self, context):
        self.context = context
        self.keys = {}
        self.finished = {}  # path -> (version, value, mzxid, open writes)

    def feed(self, row, floor):
        path = row[PATH]
        if path.count('/') < 3 or path in self.finished:
            return
        key = self.keys.get(path)
        if key is None:
            if row[OP] == 'create2' and path.count('/') == 3 and \
                    row[ARGS][0] == '':
                return  # a parent
            key = self.keys[path] = Key()
        key.add(row, floor)

    def sweep(self, before_us):
        for path in [p for p, key in self.keys.items()
                     if key.used_us < before_us]:
            self.judge(path, self.keys.pop(path).ops)

    def finish(self):
        pass

    def judge(self, path, ops):
        judgement = Judgement(self.context, path, ops)
        judgement.run()
        self.finished[path] = judgement.last()
        if path.startswith('/c/guard/'):
            judgement.tokens_rise()
        self.search(path, judgement.explained())

    def search(self, path, ops):
        counts = self.context.counts
        linear = [op for op in ops if op.linear]
        try:
            bad = linearizable(linear)
        except Undecided:
            counts['registers undecided by search'] += 1
            return
        counts['registers searched'] += 1
        counts['register operations searched'] += len(linear)
        if bad is not None:
            self.context.say(
                'linearizable', '%s: no order explains the %s of %s at %d..%d '
                '(%s, expected %d, status %s, version %s)', path, bad.kind,
                bad.actor, bad.inv, bad.ret, bad.value, bad.expected,
                bad.status, bad.version)


class Judgement:
    """One key by its versions and zxids."""

    def __init__(self, context, path, ops):
        self.context, self.path, self.ops = context, path, ops
        self.strict = context.strict
        self.versions = {}  # version -> [value, mzxid]
        self.unknown = {}   # value -> op with an unknown outcome
        self.writes = {}    # version -> op, acknowledged or found out

    def say(self, text, *args):
        self.context.say('register', '%s: %s' % (self.path, text), *args)

    def run(self):
        self.collect()
        self.check_values()
        self.order = sorted(self.versions)
        self.check_zxids()
        self.check_real_time()
        self.check_gaps()
        self.check_plain_reads()
        self.check_presence()

    def last(self):
        if not self.versions:
            return None
        version = self.order[-1]
        return (version, *self.versions[version], len(self.open))

    def collect(self):
        for op in self.ops:
            if op.status is None:
                self.unknown.setdefault(op.value, op)  # a create tried again
            elif op.version is not None:
                known = self.versions.setdefault(op.version,
                                                 [op.value, op.mzxid])
                if known != [op.value, op.mzxid]:
                    self.say('version %d is %s at 0x%x and (%s) %s at 0x%x',
                             op.version, *known, op.actor, op.value, op.mzxid)
                if op.kind != 'read':
                    if op.version in self.writes:
                        self.say('two writes became version %d: %s and %s',
                                 op.version, op.value,
                                 self.writes[op.version].value)
                    self.writes[op.version] = op
                    if op.expected >= 0 and op.version != op.expected + 1:
                        self.say('%s expected version %d and became %d',
                                 op.value, op.expected, op.version)

    def check_values(self):
        """Each value that was seen was written, and before it was seen."""
        first = {}
        for op in self.ops:
            if op.version is not None and op.kind == 'read' and \
                    op.ret < first.get(op.version, (FOREVER,))[0]:
                first[op.version] = (op.ret, op)
        for version, (value, _) in self.versions.items():
            write = self.writes.get(version)
            if write is None:
                write = self.unknown.get(value)
                if write is None or (write.expected >= 0 and
                                     write.expected + 1 != version):
                    if not self.context.may_be_unwritten(value or ''):
                        self.say('version %d is %s, which nobody wrote',
                                 version, value)
                    continue
                self.writes[version] = write
            seen = first.get(version)
            if seen is not None and seen[0] < write.inv:
                self.say('%s was seen by %s before it was written', value,
                         seen[1].actor)
        used = {id(op) for op in self.writes.values()}
        self.open = [op for op in self.unknown.values() if id(op) not in used]

    def check_zxids(self):
        for before, after in zip(self.order, self.order[1:]):
            if self.versions[before][1] >= self.versions[after][1]:
                self.say('version %d has 0x%x, version %d has 0x%x', before,
                         self.versions[before][1], after,
                         self.versions[after][1])

    def check_real_time(self):
        """Places in the order: a write of version v at 2v, a read of it at
        2v + 1. What is answered before another one is sent is not behind it."""
        placed = [(2 * version, op) for version, op in self.writes.items()]
        placed += [(2 * op.version + 1, op) for op in self.ops
                   if op.kind == 'read' and op.linear and
                   op.version is not None]
        placed.sort(key=lambda pair: pair[0])
        soonest, soonest_op, at = FOREVER, None, None
        waiting = []
        for place, op in reversed(placed):
            if place != at:
                for other in waiting:
                    if other.ret < soonest:
                        soonest, soonest_op = other.ret, other
                waiting, at = [], place
            if soonest < op.inv:
                self.say('%s of version %s by %s was sent at %d, version %s '
                         'was told to %s at %d already', op.kind, place // 2,
                         op.actor, op.inv, soonest_op.version,
                         soonest_op.actor, soonest)
            waiting.append(op)
        self.check_refusals(placed)

    def check_refusals(self, placed):
        """A versioned set that was refused: there was another version at some
        time while it was under way."""
        refused = [op for op in self.ops if op.status == BAD_VERSION]
        if not refused or not placed:
            return
        by_ret = sorted((op.ret, place // 2) for place, op in placed
                        if op.ret != FOREVER)
        by_inv = sorted((op.inv, place) for place, op in placed)
        rets, newest = running([r for r in by_ret], max, 0)
        invs, oldest = running(list(reversed(by_inv)), min, FOREVER)
        invs, oldest = invs[::-1], oldest[::-1]
        for op in refused:
            at = bisect.bisect_left(rets, op.inv)
            low = newest[at - 1] if at else 0
            at = bisect.bisect_right(invs, op.ret)
            if at < len(oldest):
                high = (oldest[at] - 1) // 2  # before that write
                high = max(high, low)
            else:
                high = self.order[-1] + sum(
                    o.inv <= op.ret for o in self.open)
            if low == high == op.expected:
                self.say('%s by %s was refused, but the version was %d all the '
                         'time', op.value, op.actor, op.expected)

    def check_gaps(self):
        """Versions that nobody saw are of writes with an unknown outcome."""
        if not self.order:
            return
        missing = sorted(set(range(self.order[-1])) - set(self.versions))
        if not missing or self.context.unfinished:
            return
        exact = {op.expected for op in self.open if op.expected >= 0}
        sets = sorted(op.inv for op in self.open
                      if op.expected < 0 and op.kind == 'set')
        created = any(op.kind == 'create' for op in self.open)
        deadline = FOREVER
        deadlines = {}
        wanted = set(missing)
        known = set(self.order) | wanted
        ends = {}
        for op in self.ops:
            if op.version is not None and op.linear:
                ends[op.version] = min(ends.get(op.version, FOREVER), op.ret)
        for version in sorted(known, reverse=True):
            deadline = min(deadline, ends.get(version, FOREVER))
            if version in wanted:
                deadlines[version] = deadline
        used = 0
        for version in missing:
            if version == 0 and created or version - 1 in exact:
                continue
            used += 1
            if bisect.bisect_right(sets, deadlines[version]) < used:
                self.say('version %d is of no write', version)
                return

    def check_plain_reads(self):
        """A read is of a state between what its client has seen and the zxid
        of its header; in Corral it is of the latter."""
        known = [(self.versions[v][1], v) for v in self.order]
        zxids = [zxid for zxid, _ in known]
        for op in self.ops:
            if op.kind != 'read' or op.version is None:
                continue
            if op.zxid is not None and op.mzxid > op.zxid:
                self.say('%s reads 0x%x with 0x%x in the header', op.actor,
                         op.mzxid, op.zxid)
            state = op.zxid if self.strict and op.zxid is not None \
                else op.floor
            at = bisect.bisect_right(zxids, state) - 1
            if at >= 0 and known[at][1] > op.version:
                self.say('%s reads version %d at 0x%x, where version %d is of '
                         '0x%x (it had seen 0x%x)', op.actor, op.version, state,
                         known[at][1], known[at][0], op.floor)

    def check_presence(self):
        """Once made it is always there."""
        if not self.versions:
            return
        made = self.versions[0][1] if 0 in self.versions else None
        told = min((op.ret for op in self.ops if op.version is not None and
                    op.linear), default=FOREVER)
        for op in self.ops:
            if op.status != NO_NODE:
                continue
            state = op.floor
            if self.strict and op.zxid is not None and op.zxid > 0:
                state = op.zxid
            if (made is not None and state >= made) or \
                    (op.linear and told < op.inv):
                self.say('%s of %s: there is no node, it was made at %s',
                         op.kind, op.actor, made and '0x%x' % made)

    def tokens_rise(self):
        """The guarded node of a lock: "token rest"."""
        before = None
        for version in self.order:
            token = int(self.versions[version][0].split()[0])
            if before is not None and token < before:
                self.context.say(
                    'lock', '%s: version %d is of token 0x%x, behind 0x%x',
                    self.path, version, token, before)
            before = token

    def explained(self):
        """For the search: what became known of unknown writes by what others
        read is used, so that fewer orders are possible."""
        found = {id(op): version for version, op in self.writes.items()
                 if op.status is None}
        return [op._replace(version=found[id(op)]) if id(op) in found else op
                for op in self.ops]


def running(pairs, choose, start):
    """The keys, and the running choice of the values, of a list of pairs."""
    keys, values = [], []
    for key, value in pairs:
        start = choose(start, value)
        keys.append(key)
        values.append(start)
    return keys, values
