#!/usr/bin/python3
"""Judges the histories of a chaos run.

    violations, counts = check(directory, final)

final: {server: dump}, see workload.final(), or None. An empty list of
violations is a clean run. strict=False asks only for what Apache ZooKeeper
promises, too; strict=True, the default, for what Corral does:

                              | ZooKeeper            | Corral, besides
writes and refusals           | linearizable, by the | zxid of a refusal:
                              | order of zxids       | everything acknowledged
sync, then a read             | not older than the   | linearizable
                              | session has seen     |
plain read                    | sequential: a state  | exactly the state of
                              | not older than the   | the header's zxid
                              | session has seen     |
zxid of headers, per client   | never back, but pings| never back
watch                         | event before the new | before any answer of
                              | data                 | that state
resume                        | first write or sync  | first answer shows what
                              | shows what became of | became of the old
                              | the old connection   | connection's requests
session expired               | –                    | told when it is done,
                              |                      | never before its time
multiRead                     | –                    | of one state

Rows of all files are merged by the time of their answer and given to the
checkers of their kind, which finish with a key when nothing was heard of it for
IDLE_US: memory does not grow with the length of a run but by what must be there
in the end."""

import argparse
import collections
import heapq
import json
import operator
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import history  # noqa: E402
from checkers_linear import Registers  # noqa: E402
from checkers_nodes import FinalTrees, Sequences, Uniques  # noqa: E402
from checkers_order import Multis, Order, Pipelines  # noqa: E402
from checkers_session import Ephemerals, Locks, Sessions  # noqa: E402
from checkers_watch import TreeWatches, Watches  # noqa: E402
from history import ACTOR, OP, PATH, RESULT, RET, STATUS, ZXID  # noqa: E402

IDLE_US = 60 * 1000000
SWEEP_ROWS = 50000
TOLD_PER_CHECKER = 20
UNKNOWN_CODES = (-4, -7)  # connection loss, time-out: as good as no answer


class Context:
    """What the checkers share."""

    def __init__(self, strict):
        self.strict = strict
        self.violations = []
        self.told = collections.Counter()
        self.counts = collections.Counter()
        self.unfinished = set()  # processes whose history breaks off

    def say(self, checker, text, *args):
        self.told[checker] += 1
        if self.told[checker] <= TOLD_PER_CHECKER:
            self.violations.append('%s: %s' % (checker, text % args))

    def may_be_unwritten(self, value):
        """Whether a value may be of a request that was never recorded."""
        if not self.unfinished:
            return False
        number = value.split()[-1].split('.')[0]
        return number.isdigit() and int(number) in self.unfinished


class Run:
    def __init__(self, strict=True):
        self.context = context = Context(strict)
        registers = Registers(context)
        uniques = Uniques(context)
        ephemerals = Ephemerals(context)
        locks = Locks(context)
        self.order = Order(context)
        self.sessions = Sessions(context)
        self.watches, self.trees = Watches(context), TreeWatches(context)
        # By the second part of the path.
        self.kinds = {
            'reg': (registers,), 'count': (registers,),
            'guard': (registers,), 'watch': (registers, self.watches),
            'pipe': (registers, Pipelines(context)), 'uniq': (uniques,),
            'seq': (Sequences(context, uniques),), 'eph': (ephemerals,),
            'lock': (locks,), 'multi': (Multis(context),),
            'tree': (self.trees,),
        }
        # Rows without a path, and every row of these.
        self.of_sessions = (self.sessions, ephemerals, locks, self.watches,
                            self.trees)
        self.checkers = [self.order, self.sessions] + list({
            id(c): c for group in self.kinds.values() for c in group}.values())
        self.registers, self.uniques = registers, uniques
        self.floors = {}  # actor -> highest zxid of an answer
        self.first = self.last_write = self.last = None
        self.gap = 0

    def feed(self, row):
        counts = self.context.counts
        op, status, actor = row[OP], row[STATUS], row[ACTOR]
        if op == 'end':
            return
        if status in UNKNOWN_CODES:
            status = row[STATUS] = None
            row[RESULT] = None
        counts['rows'] += 1
        if op == 'anomaly':
            self.context.say('protocol', '%s: %s', actor, row[history.ARGS][0])
            return
        floor = self.floors.get(actor, 0)
        self.order.feed(row, floor)
        path = row[PATH]
        if path is None:
            for checker in self.of_sessions:
                checker.feed_session(row, floor)
        else:
            self.count(row, op, status)
            parts = path.split('/', 3)
            group = self.kinds.get(parts[2]) if len(parts) > 3 else None
            if group:
                for checker in group:
                    checker.feed(row, floor)
            self.sessions.feed(row, floor)
        seen = newest(row)
        if seen > floor:
            self.floors[actor] = seen
        if counts['rows'] % SWEEP_ROWS == 0:
            self.sweep(row[RET] - IDLE_US)

    def count(self, row, op, status):
        counts = self.context.counts
        if status is None:
            counts['unknown'] += 1
            return
        counts['ops'] += 1
        counts['op ' + op] += 1
        if row[history.SERVER]:
            counts['server ' + row[history.SERVER]] += 1
        if status:
            counts['refused'] += 1
        elif op in ('setData', 'create2', 'multi', 'delete'):
            now = row[RET]
            if self.last_write is not None:
                self.gap = max(self.gap, now - self.last_write)
            self.last_write = now

    def sweep(self, before_us):
        for checker in self.checkers:
            checker.sweep(before_us)

    def finish(self, final):
        for checker in self.checkers:
            checker.sweep(float('inf'))
            checker.finish()
        if final is not None:
            FinalTrees(self.context, self.registers, self.uniques).check(final)
        context = self.context
        context.counts['longest gap between writes ms'] = self.gap // 1000
        for checker, told in context.told.items():
            if told > TOLD_PER_CHECKER:
                context.violations.append('%s: and %d more' % (
                    checker, told - TOLD_PER_CHECKER))
        return context.violations, dict(context.counts)


def newest(row):
    """The highest zxid that the client knows its server has, from this row."""
    if row[OP] == 'event' or row[STATUS] is None:
        return 0
    if row[ZXID] is not None:
        return row[ZXID]
    # A real client does not show the header: what the stat says.
    result = row[RESULT]
    if row[OP] == 'setData' and result:
        return result[1]
    if row[OP] == 'create2' and result:
        return result[1]
    if row[OP] == 'getData' and result:
        return result[2]
    return 0


def check_rows(files, final=None, strict=True, unfinished=()):
    """files: for each process its rows, in the order of arrival."""
    run = Run(strict)
    run.context.unfinished.update(unfinished)
    for row in heapq.merge(*files, key=operator.itemgetter(RET)):
        run.feed(row)
    return run.finish(final)


def ended(path):
    with open(path, 'rb') as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 200))
        return b'"end"' in file.read()


def check(directory, final=None, strict=True):
    paths = history.files(directory)
    if not paths:
        return ['no histories in %s' % directory], {}
    unfinished = [history.process_of(p) for p in paths if not ended(p)]
    violations, counts = check_rows([history.read(p) for p in paths], final,
                                    strict, unfinished)
    counts['unfinished histories'] = len(unfinished)
    return violations, counts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('directory')
    parser.add_argument('--final', help='file of JSON: server -> dump')
    parser.add_argument('--apache', action='store_true',
                        help='ask only for what Apache ZooKeeper promises')
    args = parser.parse_args()
    final = None
    if args.final:
        with open(args.final) as file:
            final = json.load(file)
    violations, counts = check(args.directory, final, not args.apache)
    for name in sorted(counts):
        print('%10d  %s' % (counts[name], name))
    for violation in violations:
        print(violation)
    print('%d violations' % len(violations))
    return 1 if violations else 0


if __name__ == '__main__':
    sys.exit(main())
