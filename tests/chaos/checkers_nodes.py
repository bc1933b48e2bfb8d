"""Nodes that are made once, sequential names, and what every server has in the
end."""

import collections

from history import (ACTOR, ARGS, INV, OP, PATH, RESULT, RET, STATUS, ZXID)

NO_NODE, NODE_EXISTS = -101, -110
SEQUENTIAL = 2
DIFFERENCES_TOLD = 5


class Made:
    """A node that somebody asked for."""
    __slots__ = ('czxid', 'tries', 'known', 'delete_inv', 'deleted', 'wanted')

    def __init__(self):
        self.czxid = None
        self.tries = 0           # creates with an unknown outcome
        self.known = False       # it was there
        self.delete_inv = None   # its end was asked for
        self.deleted = None      # the zxid of its end


class Uniques:
    """Made, then there until somebody deletes it."""

    def __init__(self, context, name='unique'):
        self.context, self.name = context, name
        self.nodes = {}
        self.looks = []  # of nodes that were not there

    def say(self, text, *args):
        self.context.say(self.name, text, *args)

    def feed(self, row, floor):
        path, op = row[PATH], row[OP]
        if path.count('/') < 4:
            return
        node = self.nodes.get(path)
        if node is None:
            node = self.nodes[path] = Made()
        if op == 'create2':
            self.create(row, path, node)
        elif op == 'delete':
            self.delete(row, path, node, floor)
        elif op in ('exists', 'getData') and row[STATUS] in (0, NO_NODE):
            self.look(row, path, node, floor)

    def create(self, row, path, node):
        status = row[STATUS]
        if status is None:
            node.tries += 1
        elif status == 0:
            if node.czxid is not None and node.deleted is None:
                self.say('%s was made at 0x%x and again at 0x%x', path,
                         node.czxid, row[RESULT][1])
            node.czxid, node.known = row[RESULT][1], True
        elif status == NODE_EXISTS:
            if not node.tries and not node.known:
                self.say('%s exists for %s, who is the first to make it', path,
                         row[ACTOR])
            node.known = True

    def delete(self, row, path, node, floor):
        if node.delete_inv is None or row[INV] < node.delete_inv:
            first, node.delete_inv = node.delete_inv is None, row[INV]
        else:
            first = False
        if row[STATUS] == 0:
            if node.deleted is not None:
                self.say('%s was deleted twice', path)
            node.deleted = row[ZXID]
        elif row[STATUS] == NO_NODE and first and node.known:
            self.say('%s is not there to be deleted, it was made', path)

    def look(self, row, path, node, floor):
        state = row[ZXID] if self.context.strict and row[ZXID] else floor
        if row[STATUS] == 0:
            czxid = row[RESULT][0] if row[OP] == 'exists' else row[RESULT][3]
            if node.czxid is not None and czxid != node.czxid:
                self.say('%s is of 0x%x for %s, it was made at 0x%x', path,
                         czxid, row[ACTOR], node.czxid)
            if node.deleted is not None and state >= node.deleted:
                self.say('%s is there for %s at 0x%x, it was deleted at 0x%x',
                         path, row[ACTOR], state, node.deleted)
        elif node.czxid is not None and state >= node.czxid:
            # Perhaps it is being deleted: then that is told a little later.
            self.looks.append((row[RET], path, state, row[ACTOR]))

    def sweep(self, before_us):
        later = []
        for look in self.looks:
            ret, path, state, actor = look
            if ret >= before_us:
                later.append(look)
                continue
            node = self.nodes[path]
            if node.delete_inv is None or node.delete_inv > ret:
                self.say('%s is not there for %s at 0x%x, it was made at 0x%x',
                         path, actor, state, node.czxid)
        self.looks = later

    def finish(self):
        self.context.counts['nodes made'] += sum(
            node.known for node in self.nodes.values())


class Sequences:
    """Numbers rise with the order of the creates and are never used again. The
    nodes themselves are as of Uniques."""

    def __init__(self, context, uniques):
        self.context, self.uniques = context, uniques
        self.parents = collections.defaultdict(list)  # (czxid, number, path)
        self.used = {}
        self.names = {}  # path -> actor, of parents in use
        self.open = set()  # values of creates with an unknown outcome

    def feed(self, row, floor):
        path, op = row[PATH], row[OP]
        if path.count('/') < 4:
            return
        if op != 'create2':
            self.uniques.feed(row, floor)
            return
        if row[STATUS] is None:
            self.open.add(row[ARGS][0])
        if row[STATUS] != 0:
            return
        made = row[RESULT][0]
        parent = path[:path.rindex('/')]
        self.used[parent] = row[RET]
        number = made[len(path):]
        if not made.startswith(path) or not number.isdigit() or \
                len(number) < 10:
            self.context.say('sequence', '%s became %s', path, made)
            return
        if made in self.names:
            self.context.say('sequence', '%s is given to %s, %s had it', made,
                             row[ACTOR], self.names[made])
            return
        self.names[made] = row[ACTOR]
        self.parents[parent].append((row[RESULT][1], int(number), made))
        self.uniques.nodes[made] = node = Made()
        node.czxid, node.known = row[RESULT][1], True

    def sweep(self, before_us):
        for parent in [p for p, used in self.used.items() if used < before_us]:
            del self.used[parent]
            names = sorted(self.parents.pop(parent, ()))
            for before, after in zip(names, names[1:]):
                if before[1] >= after[1]:
                    self.context.say(
                        'sequence', '%s of 0x%x, but %s of 0x%x', before[2],
                        before[0], after[2], after[0])
            for _, _, made in names:
                del self.names[made]

    def finish(self):
        self.uniques.open_sequences = self.open


class FinalTrees:
    """After the faults are healed and the clients have ended: all servers have
    the same tree, and in it is what was acknowledged."""

    def __init__(self, context, registers, uniques):
        self.context = context
        self.registers, self.uniques = registers, uniques

    def check(self, final):
        if not final:
            self.context.say('final', 'no server has a tree')
            return
        self.same(final)
        tree = final[sorted(final)[0]]
        self.context.counts['nodes in the end'] = len(tree)
        self.check_registers(tree)
        self.check_nodes(tree)
        for path, node in tree.items():
            if node[7] and path.startswith('/c/'):
                self.context.say('ephemeral', '%s of session 0x%x is still '
                                 'there', path, node[7])

    def same(self, final):
        names = sorted(final)
        first = final[names[0]]
        for name in names[1:]:
            other = final[name]
            if other == first:
                continue
            different = sorted(path for path in set(first) | set(other)
                               if first.get(path) != other.get(path))
            for path in different[:DIFFERENCES_TOLD]:
                self.context.say('trees', '%s is %s on %s and %s on %s', path,
                                 first.get(path), names[0], other.get(path),
                                 name)
            self.context.say('trees', '%d nodes differ between %s and %s',
                             len(different), names[0], name)

    def check_registers(self, tree):
        for path, last in self.registers.finished.items():
            if last is None:
                continue
            version, value, mzxid, unknown = last
            node = tree.get(path)
            if node is None:
                self.context.say('lost', '%s of version %d is not there in the '
                                 'end', path, version)
            elif node[4] < version or (
                    node[4] == version and (node[0], node[2]) !=
                    (value, mzxid)):
                self.context.say(
                    'lost', '%s is version %d (0x%x, %s) in the end, it was '
                    'version %d (0x%x, %s)', path, node[4], node[2], node[0],
                    version, mzxid, value)
            elif node[4] > version + unknown and not self.context.unfinished:
                self.context.say(
                    'lost', '%s is version %d in the end; version %d was the '
                    'last and %d writes are unknown', path, node[4], version,
                    unknown)

    def check_nodes(self, tree):
        nodes = self.uniques.nodes
        for path, node in nodes.items():
            there = tree.get(path)
            if there is None:
                if node.known and node.delete_inv is None:
                    self.context.say('lost', '%s, made at %s, is not there in '
                                     'the end', path,
                                     node.czxid and '0x%x' % node.czxid)
                continue
            if node.deleted is not None:
                self.context.say('lost', '%s is there in the end, it was '
                                 'deleted at 0x%x', path, node.deleted)
            elif node.czxid is not None and there[1] != node.czxid:
                self.context.say('lost', '%s is of 0x%x in the end, it was '
                                 'made at 0x%x', path, there[1], node.czxid)
        for path, there in tree.items():
            parts = path.split('/')
            if len(parts) < 5 or parts[1] != 'c' or path in nodes:
                continue
            if (parts[2] == 'uniq' or (
                    parts[2] == 'seq' and
                    there[0] not in self.uniques.open_sequences)) and \
                    not self.context.unfinished:
                self.context.say('final', '%s with %s was never made', path,
                                 there[0])
