"""Watches: the event comes before the new data, once, and for a change; a
persistent recursive watch tells every change below it, in the order of the
changes."""

import bisect
import collections

from history import ACTOR, ARGS, OP, PATH, RESULT, RET, STATUS, ZXID

CREATED, DELETED, CHANGED, CHILD = 1, 2, 3, 4
EVENT_OF = {'create2': CREATED, 'delete': DELETED, 'setData': CHANGED}


class Watches:
    """One-shot data watches on nodes that are only ever set."""

    def __init__(self, context):
        self.context = context
        self.armed = collections.defaultdict(dict)  # actor -> path -> mzxid
        self.due = {}      # (actor, path) -> mzxid that must be passed
        self.writes = collections.defaultdict(list)  # path -> mzxids
        self.fired = collections.defaultdict(list)   # path -> (mzxid, floor..)
        self.used = {}

    def feed_session(self, row, floor):
        if row[OP] == 'open' and row[ARGS][0] == 0:
            # Another session: its watches are gone.
            self.armed.pop(row[ACTOR], None)
            for key in [k for k in self.due if k[0] == row[ACTOR]]:
                del self.due[key]

    def feed(self, row, floor):
        path, op = row[PATH], row[OP]
        if path.count('/') < 4:
            return
        self.used[path] = row[RET]
        if op == 'event':
            self.event(row, path, floor)
        elif row[STATUS] != 0:
            return
        elif op == 'setData':
            self.writes[path].append(row[RESULT][1])
            if self.context.strict:
                self.passed(row, path, row[RESULT][1])
        elif op == 'getData':
            self.passed(row, path, row[RESULT][2])
            if 'watch' in row[ARGS]:
                self.armed[row[ACTOR]].setdefault(path, row[RESULT][2])

    def passed(self, row, path, mzxid):
        """The client has an answer with this state of the node."""
        armed = self.armed[row[ACTOR]].get(path)
        if armed is not None and mzxid > armed:
            self.context.say(
                'watch', '%s: %s gets 0x%x of %s before the event, it watched '
                'from 0x%x', row[OP], row[ACTOR], mzxid, path, armed)
            del self.armed[row[ACTOR]][path]
        due = self.due.pop((row[ACTOR], path), None)
        if due is not None and mzxid <= due:
            self.context.say(
                'watch', '%s: %s gets 0x%x of %s behind an event about what '
                'came after 0x%x', row[OP], row[ACTOR], mzxid, path, due)

    def event(self, row, path, floor):
        if row[RESULT][0] != CHANGED:
            self.context.say('watch', '%s gets event %d of %s', row[ACTOR],
                             row[RESULT][0], path)
            return
        self.context.counts['watch events'] += 1
        armed = self.armed[row[ACTOR]].pop(path, None)
        if armed is None:
            self.context.say('watch', '%s gets an event of %s without a watch',
                             row[ACTOR], path)
            return
        self.due[(row[ACTOR], path)] = armed
        self.fired[path].append((armed, floor, row[ACTOR]))

    def sweep(self, before_us):
        for path in [p for p, used in self.used.items() if used < before_us]:
            del self.used[path]
            self.judge(path, sorted(self.writes.pop(path, ())),
                       self.fired.pop(path, ()))

    def judge(self, path, writes, fired):
        """Nothing of the changed state came before the event (Corral)."""
        if not self.context.strict:
            return
        for armed, floor, actor in fired:
            at = bisect.bisect_right(writes, armed)
            if at < len(writes) and writes[at] <= floor:
                self.context.say(
                    'watch', '%s has seen 0x%x before the event of %s at 0x%x',
                    actor, floor, path, writes[at])

    def finish(self):
        pass


class Segment:
    """A recursive watch on one connection."""
    __slots__ = ('actor', 'start', 'fresh', 'events', 'floor')

    def __init__(self, actor, start, fresh):
        self.actor, self.start, self.fresh = actor, start, fresh
        self.events = []  # (type, path, floor)
        self.floor = start


class Top:
    """A watched directory: what changed below it, and who was told."""

    def __init__(self):
        self.changes = []  # (zxid, type, path, exact)
        self.unknown = set()
        self.segments = []
        self.used_us = 0


class TreeWatches:
    """Below /c/tree/N each node is made, set and deleted once, so that an event
    says which change it is of."""

    def __init__(self, context):
        self.context = context
        self.tops = collections.defaultdict(Top)
        self.watching = {}  # actor -> (top path, segment)
        self.again = {}     # actor -> top path, until its watches are set again

    def feed_session(self, row, floor):
        actor, op = row[ACTOR], row[OP]
        if op == 'open':
            top, _ = self.watching.pop(actor, (None, None))
            if top is not None and row[ARGS][0] != 0:
                self.again[actor] = top
            else:
                self.again.pop(actor, None)
        elif op == 'setWatches2' and row[STATUS] == 0 and actor in self.again:
            self.begin(actor, self.again.pop(actor), row[ZXID], False)
        elif actor in self.watching and row[ZXID]:
            self.note_floor(row)

    def note_floor(self, row):
        # Pings of Apache's server overtake.
        if row[OP] != 'ping' or self.context.strict:
            segment = self.watching[row[ACTOR]][1]
            segment.floor = max(segment.floor, row[ZXID])

    def begin(self, actor, path, zxid, fresh):
        segment = Segment(actor, zxid, fresh)
        self.tops[path].segments.append(segment)
        self.watching[actor] = (path, segment)

    def feed(self, row, floor):
        path, op, actor = row[PATH], row[OP], row[ACTOR]
        if op == 'addWatch':
            if row[STATUS] == 0:
                self.tops[path].used_us = row[RET]
                self.begin(actor, path, row[ZXID], True)
            return
        if path.count('/') < 4:
            if op == 'event' and row[RESULT][0] == DELETED:
                self.context.say('recursive watch', '%s is told that %s is '
                                 'gone', actor, path)
            return
        parent = path[:path.rindex('/')]
        top = self.tops[parent]
        top.used_us = row[RET]
        if op == 'event':
            self.event(row, parent, path)
            return
        if op in EVENT_OF:
            self.change(top, row, op, path)
        if actor in self.watching and row[STATUS] is not None and row[ZXID]:
            self.note_floor(row)

    def change(self, top, row, op, path):
        if row[STATUS] is None:
            top.unknown.add((EVENT_OF[op], path))
        elif row[STATUS] == 0:
            zxid = row[ZXID] if op == 'delete' else row[RESULT][1]
            top.changes.append((zxid, EVENT_OF[op], path,
                                op != 'delete' or self.context.strict))

    def event(self, row, parent, path):
        watched = self.watching.get(row[ACTOR])
        if watched is None or watched[0] != parent:
            return  # of a directory that it has left, or being set again
        segment = watched[1]
        self.context.counts['recursive watch events'] += 1
        segment.events.append((row[RESULT][0], path, segment.floor))

    def sweep(self, before_us):
        for path in [p for p, top in self.tops.items()
                     if top.used_us < before_us]:
            self.judge(path, self.tops.pop(path))

    def finish(self):
        pass

    def judge(self, path, top):
        top.changes.sort()
        places = {(kind, node): at for at, (_, kind, node, _)
                  in enumerate(top.changes)}
        for segment in top.segments:
            self.judge_segment(path, top, places, segment)

    def judge_segment(self, path, top, places, segment):
        strict = self.context.strict
        last = None
        told = set()
        for kind, node, floor in segment.events:
            at = places.get((kind, node))
            if at is None:
                if (kind, node) not in top.unknown and \
                        not self.context.unfinished:
                    self.say(segment, 'event %d of %s, which never happened',
                             kind, node)
                continue
            if at in told:
                self.say(segment, 'event %d of %s comes twice', kind, node)
                continue
            told.add(at)
            zxid, _, _, exact = top.changes[at]
            if strict and floor >= zxid:
                self.say(segment, 'event %d of %s at 0x%x comes behind an '
                         'answer of 0x%x', kind, node, zxid, floor)
            if last is not None and exact and top.changes[last][3] and \
                    at < last:
                self.say(segment, 'event %d of %s at 0x%x comes behind the one '
                         'at 0x%x', kind, node, zxid, top.changes[last][0])
            last = at if last is None else max(last, at)
        self.judge_missing(path, top, segment, told)

    def judge_missing(self, path, top, segment, told):
        """All changes from the first to the last that must have been told."""
        if self.context.strict:
            low, high = segment.start, segment.floor
        elif told:
            low = top.changes[min(told)][0]
            high = top.changes[max(told)][0]
        else:
            return
        for at, (zxid, kind, node, exact) in enumerate(top.changes):
            if low < zxid <= high and at not in told and exact:
                self.say(segment, 'no event %d of %s at 0x%x, it watched %s '
                         'from 0x%x to 0x%x', kind, node, zxid, path, low, high)
                return

    def say(self, segment, text, *args):
        self.context.say('recursive watch', '%s: %s' % (segment.actor, text),
                         *args)
