"""Faults from a seed. What is done when to whom is drawn before it is done, in
rounds: one to five faults that overlap, the mending of all, then a look whether
the service comes back. The schedule is a function of the seed and of what the
machine can do (networks, disks); only who "leader" is, is found out on the spot.

At most a minority of the voters ever has less on its disk than it acknowledged:
who was emptied or damaged counts as such until it serves again."""

import collections
import os
import random
import signal
import time

import shim_disk

STEP_S = 0.02
BACK_S = 60      # mended and not all back in service: a finding
EXIT_S = 20
HANG_S_MAX = 4
EARLY_S = 1
TARGET_S = 10    # a fault waits so long for servers that others work on
CONDITION_S = 15  # what a fault waits for before it gives up


class Fault:
    """One line of the schedule. target: an id, "leader" or "follower"."""

    def __init__(self, name, at, kind, target, seconds, seed):
        self.name = name
        self.at = at
        self.kind = kind
        self.target = target
        self.seconds = seconds
        self.key = '%s %s' % (name, seed)
        self.random = random.Random(self.key)

    def __str__(self):
        return '%s +%.1fs %s %s %.1fs' % (self.name, self.at, self.kind,
                                          self.target, self.seconds)


class Skipped(Exception):
    """The fault could not be done now; why."""


# kind -> (weight, what it needs)
KINDS = collections.OrderedDict([
    ('kill', (10, ())),             # -9, up again after a while
    ('power', (8, ('disk',))),      # the same with the unsynced lost
    ('power-all', (4, ('disk',))),  # everybody at once
    ('kill-all', (2, ())),
    ('stop', (6, ())),              # SIGTERM, up again
    ('rolling', (2, ())),           # each in turn
    ('storm', (4, ())),             # again and again, soon after its start
    ('leaders', (4, ())),           # each that comes to lead
    ('pause', (10, ())),            # SIGSTOP, SIGCONT
    ('pause-most', (2, ())),        # more than a minority at once
    ('isolated', (6, ('network',))),
    ('black-hole', (4, ('network',))),  # from its peers, not from clients
    ('no-clients', (3, ('network',))),  # from clients, not from its peers
    ('deaf', (4, ('network',))),
    ('mute', (4, ('network',))),
    ('one-way', (4, ('network',))),     # one direction of one pair
    ('halves', (5, ('network',))),
    ('bridge', (4, ('network',))),      # two groups, one server sees both
    ('flapping', (4, ('network',))),
    ('stutter', (4, ('network',))),     # short gaps in all it sends and hears
    ('slow', (3, ('netem',))),          # latency and loss
    ('sync-fails', (3, ('disk',))),
    ('disk-slow', (3, ('disk',))),
    ('disk-hangs', (3, ('disk',))),  # no sync comes back for a while
    ('disk-full', (3, ('disk',))),
    ('emptied', (3, ('repair',))),
    ('damaged', (3, ('repair',))),
    ('forgotten', (3, ('repair',))),  # by all who may vote but one
    ('clock', (4, ('clock',))),
])
LONG = {'pause': 12, 'isolated': 12, 'halves': 12, 'bridge': 12}


def draw_round(seed, number, ids, able):
    """The faults of one round and what is waited for after it: "all" in
    service, a "leader", or "nothing"."""
    rng = random.Random('round %d %d' % (seed, number))
    kinds = [kind for kind, (_, needs) in KINDS.items()
             if all(need in able for need in needs)]
    weights = [KINDS[kind][0] for kind in kinds]
    faults = []
    for i in range(rng.choice([1, 1, 2, 2, 3, 4, 5])):
        kind = rng.choices(kinds, weights)[0]
        target = rng.choice(['leader', 'follower', 'leader'] + ids * 2)
        seconds = min(0.2 * 2 ** rng.uniform(0, 6), LONG.get(kind, 5))
        at = 0.0 if i == 0 else round(rng.uniform(0, 4), 1)
        faults.append(Fault('%d.%d' % (number, i), at, kind, target,
                            round(seconds, 1), seed))
    return faults, rng.choice(['all', 'all', 'leader', 'nothing'])


class Nemesis:
    """say: takes a line. findings: violations seen on the way."""

    def __init__(self, cluster, seed, able, say):
        self.cluster = cluster
        self.seed = seed
        self.able = able
        self.say = say
        self.ids = [node.id for node in cluster.nodes]
        self.counts = collections.Counter()
        self.skipped = collections.Counter()
        self.findings = []
        self.back_s = []      # how long the service took to come back
        self.busy = set()     # indices of servers that a fault works on
        self.may_end = set()  # of those whose end is the fault's doing
        self.less = set()     # of those with less than they acknowledged
        self.cuts = {}        # fault -> what it cuts in the network

    # ---- rounds

    def run(self, end):
        """Rounds until this moment of the monotonic clock; then all is
        mended."""
        number = 0
        while time.monotonic() < end:
            number += 1
            faults, wait = draw_round(self.seed, number, self.ids, self.able)
            for fault in faults:
                self.say('schedule %s' % fault)
            self.round(faults)
            if wait == 'all' and not self.findings:
                self.wait_back(self.cluster.in_service, BACK_S)
            elif wait == 'leader' and not self.findings:
                self.wait_back(self.cluster.leader, BACK_S)
            if self.findings:
                return number
        self.wait_back(self.cluster.in_service, BACK_S)
        return number

    def round(self, faults):
        start = time.monotonic()
        waiting = sorted(faults, key=lambda fault: fault.at)
        running = []  # [when next, fault, generator]
        while waiting or running:
            now = time.monotonic()
            while waiting and waiting[0].at <= now - start:
                fault = waiting.pop(0)
                running.append([now, fault, self.play(fault)])
            for entry in list(running):
                if entry[0] <= now:
                    try:
                        entry[0] = now + next(entry[2])
                    except StopIteration:
                        running.remove(entry)
            self.look()
            time.sleep(STEP_S)  # the step of the schedule

    def wait_back(self, condition, deadline_s):
        start = time.monotonic()
        while not condition():
            self.look()
            if time.monotonic() - start > deadline_s:
                self.finding('no service %d s after all was mended: %s' % (
                    deadline_s, ', '.join('%d %s' % (
                        n.id, n.serves() or 'does not serve')
                        for n in self.cluster.nodes)))
                return
            time.sleep(STEP_S)  # until a deadline
        self.back_s.append(time.monotonic() - start)

    def look(self):
        """What happens without us."""
        for node in self.cluster.crashed():
            if node.index in self.may_end:
                continue  # its fault says whether that was right
            self.finding('server %d ended by itself with %d' % (
                node.id, node.member.process.returncode))
            if node.index not in self.busy:
                node.start()
        self.less = {i for i in self.less
                     if not self.cluster.nodes[i].serves()}

    def finding(self, text):
        self.say('FINDING %s' % text)
        self.findings.append(text)

    # ---- one fault

    def play(self, fault):
        """The generator of its steps: each gives the seconds to the next."""
        method = getattr(self, 'do_' + fault.kind.replace('-', '_'))
        mine = set()
        try:
            yield from self.until(lambda: self.targets(fault), TARGET_S)
            nodes = self.targets(fault)
            if nodes is None:
                raise Skipped('who it is for is busy')
            mine = {node.index for node in nodes}
            self.busy |= mine
            if fault.kind in ('sync-fails', 'disk-full'):
                self.may_end |= mine
            self.say('do %s: %s' % (fault, ' '.join(
                str(node.id) for node in nodes)))
            yield from method(fault, *nodes)
            self.counts[fault.kind] += 1
            self.say('done %s' % fault.name)
        except Skipped as e:
            self.skipped[fault.kind] += 1
            self.say('skipped %s: %s' % (fault, e))
        finally:
            if self.cuts.pop(fault, None) is not None:
                self.block()
            for index in mine:
                node = self.cluster.nodes[index]
                self.cluster.mend_disk(node)
                if node.down:
                    node.start()
                elif node.member.paused:
                    node.member.resume()
            self.busy -= mine
            self.may_end -= mine

    def targets(self, fault):
        """Its servers, when no other fault works on them; else None."""
        everybody = self.cluster.nodes
        rng = random.Random(fault.key)
        if fault.kind in ('halves', 'bridge', 'leaders'):
            return ()  # they find out by themselves
        voters = self.cluster.voters
        if fault.kind in ('power-all', 'kill-all', 'rolling'):
            nodes = rng.sample(everybody, len(everybody))
        elif fault.kind == 'forgotten':
            nodes = rng.sample(voters, len(voters))
        elif fault.kind == 'pause-most':
            nodes = rng.sample(voters, len(voters) // 2 + 1)
        elif fault.target == 'leader':
            nodes = [self.cluster.leader()]
        elif fault.target == 'follower':
            leader = self.cluster.leader()
            nodes = [rng.choice([n for n in voters
                                 if n is not leader] or [leader])]
        else:
            nodes = [everybody[fault.target - 1]]
        free = None not in nodes and \
            not any(n.index in self.busy for n in nodes)
        return nodes if free else None

    def cut(self, fault, pairs):
        self.cuts[fault] = set(pairs)
        self.block()

    def block(self):
        self.cluster.network.block(set().union(*self.cuts.values()))

    # Processes

    def do_kill(self, fault, node, power='none'):
        node.kill(power, fault.random)
        yield fault.seconds
        node.start()

    def do_power(self, fault, node):
        yield from self.do_kill(fault, node, fault.random.choice(
            ['all', 'random', 'random']))

    def do_kill_all(self, fault, *nodes, power='none'):
        for node in nodes:
            node.down = True
            node.member.process.kill()
        for node in nodes:
            node.kill(power, fault.random)
        yield fault.seconds
        for node in nodes:
            node.start()
            yield fault.random.choice([0, 0, 0.1, 1])

    def do_power_all(self, fault, *nodes):
        yield from self.do_kill_all(fault, *nodes, power=fault.random.choice(
            ['all', 'random']))

    def do_stop(self, fault, node):
        yield from self.terminate(node)
        yield fault.seconds
        node.start()

    def terminate(self, node):
        """SIGTERM and its end."""
        node.down = True
        node.member.process.send_signal(signal.SIGTERM)
        # Before main() the signal ends a process by itself.
        early = time.monotonic() - node.started_at < EARLY_S
        yield from self.ended(node, EXIT_S, 'after SIGTERM',
                              (0, -signal.SIGTERM) if early else (0, ))

    def ended(self, node, deadline_s, what, statuses):
        end = time.monotonic() + deadline_s
        while node.member.alive():
            if time.monotonic() > end:
                self.finding('server %d still runs %d s %s' % (
                    node.id, deadline_s, what))
                node.kill()
                return
            yield STEP_S
        status = node.member.process.returncode
        node.down = True
        if self.cluster.kind == 'corral' and status not in statuses:
            self.finding('server %d ended with %d %s' % (
                node.id, status, what))

    def do_rolling(self, fault, *nodes):
        for node in nodes:
            yield from self.terminate(node)
            node.start()
            yield from self.until(node.serves)

    def until(self, condition, deadline_s=CONDITION_S):
        """Gives up after a while: other faults may stand in the way."""
        end = time.monotonic() + deadline_s
        while condition() in (None, False) and time.monotonic() < end:
            yield STEP_S

    def do_storm(self, fault, node):
        for _ in range(fault.random.randint(3, 8)):
            node.kill(fault.random.choice(['none', 'random'])
                      if node.disk else 'none', fault.random)
            node.start()
            yield fault.random.choice([0.02, 0.1, 0.3, 1])

    def do_leaders(self, fault):
        """Kills who leads, up to four times; each starts again when the next
        one is down."""
        last = None
        for _ in range(fault.random.randint(2, 4)):
            yield from self.until(self.cluster.leader)
            leader = self.cluster.leader()
            if leader is None or leader.index in self.busy:
                break
            self.busy.add(leader.index)
            leader.kill()
            if last is not None:
                last.start()
                self.busy.discard(last.index)
            last = leader
            yield fault.random.choice([0.1, 0.5, 1.5])
        if last is not None:
            last.start()
            self.busy.discard(last.index)

    def do_pause(self, fault, *nodes):
        for node in nodes:
            node.member.pause()
        yield fault.seconds
        for node in nodes:
            node.member.resume()

    do_pause_most = do_pause

    # Network

    def do_isolated(self, fault, node):
        self.cut(fault, self.cluster.network.isolated(node.index))
        yield fault.seconds

    def do_black_hole(self, fault, node):
        self.cut(fault, self.cluster.network.isolated(node.index, False))
        yield fault.seconds

    def do_no_clients(self, fault, node):
        self.cut(fault, self.cluster.network.halves([node.index], [-1]))
        yield fault.seconds

    def do_deaf(self, fault, node):
        self.cut(fault, self.cluster.network.deaf(node.index))
        yield fault.seconds

    def do_mute(self, fault, node):
        self.cut(fault, self.cluster.network.mute(node.index))
        yield fault.seconds

    def do_one_way(self, fault, node):
        other = fault.random.choice([n.index for n in self.cluster.nodes
                                     if n is not node])
        pair = [node.index, other]
        fault.random.shuffle(pair)
        self.cut(fault, {tuple(pair)})
        yield fault.seconds

    def groups(self, fault, indices):
        indices = list(indices)
        fault.random.shuffle(indices)
        at = fault.random.randint(1, len(indices) - 1)
        return indices[:at], indices[at:]

    def do_halves(self, fault):
        one, other = self.groups(fault, range(len(self.cluster.nodes)))
        # Clients are with neither, or with one of them.
        one = one + fault.random.choice([[], [-1]])
        self.say('halves %s | %s' % (one, other))
        self.cut(fault, self.cluster.network.halves(one, other))
        yield fault.seconds

    def do_bridge(self, fault):
        indices = [n.index for n in self.cluster.nodes]
        middle = fault.random.choice(indices)
        indices.remove(middle)
        one, other = self.groups(fault, indices)
        self.say('bridge %s | %d | %s' % (one, middle, other))
        self.cut(fault, self.cluster.network.halves(one, other))
        yield fault.seconds

    def do_flapping(self, fault, node):
        yield from self.toggle(fault, node, [0.05, 0.2, 0.6, 1.5])

    def do_stutter(self, fault, node):
        yield from self.toggle(fault, node, [0.02, 0.05, 0.1])

    def toggle(self, fault, node, gaps):
        pairs = self.cluster.network.isolated(
            node.index, fault.random.choice([True, False]))
        end = time.monotonic() + max(fault.seconds, 2)
        while time.monotonic() < end:
            self.cut(fault, pairs)
            yield fault.random.choice(gaps)
            self.cut(fault, set())
            yield fault.random.choice(gaps)

    def do_slow(self, fault, node):
        self.cluster.network.shape(node.index,
                                   fault.random.choice([5, 50, 300]),
                                   fault.random.choice([0, 1, 10]))
        yield max(fault.seconds, 2)
        self.cluster.network.shape(node.index)

    # Disks

    def do_sync_fails(self, fault, node):
        """The next sync fails: the server must end, and start again with what
        was durable."""
        node.disk.fail_syncs(1)
        end = time.monotonic() + CONDITION_S
        while node.member.alive() and time.monotonic() < end and \
                node.sync_still_fails():
            yield STEP_S
        if node.sync_still_fails():
            node.disk.fail_syncs(0)
            raise Skipped('it synced nothing')
        yield from self.ended(node, EXIT_S, 'after a failed sync', (1, ))
        node.cut_power('random', fault.random)
        yield fault.seconds
        node.start()

    def do_disk_slow(self, fault, node):
        node.disk.delay_syncs(fault.random.choice([20000, 100000, 500000]))
        yield max(fault.seconds, 2)

    def do_disk_hangs(self, fault, node):
        """Behind 5 s corrald's watchdog ends it: test_links.py sees to that."""
        node.disk.hold_syncs(True)
        yield min(fault.seconds, HANG_S_MAX)
        node.disk.hold_syncs(False)

    def do_disk_full(self, fault, node):
        """A server with no room at all may end, and starts when there is."""
        node.disk.free_bytes(fault.random.choice([0, 100000, 5000000]))
        end = time.monotonic() + max(fault.seconds, 3)
        while time.monotonic() < end and node.member.alive():
            yield STEP_S
        node.disk.free_bytes(shim_disk.NO_LIMIT)
        if not node.member.alive():
            yield from self.ended(node, 1, 'with a full disk', (1, ))
            node.start()

    # Less than was acknowledged

    def may_lose(self, node):
        if node.member.observer:
            return True
        voters = {n.index for n in self.cluster.voters}
        return len(self.less & voters - {node.index}) + 1 <= \
            (len(voters) - 1) // 2

    def do_emptied(self, fault, node):
        """It has no vote until it is whole, so this may happen at any time."""
        if not self.may_lose(node):
            raise Skipped('another one has less')
        self.less.add(node.index)
        node.kill()
        node.seen = None
        node.forget_journal()
        node.member.wipe()
        yield fault.seconds
        node.start()

    def do_damaged(self, fault, node):
        """What is damaged at the end of a log looks as if it had never been
        synced: only when all others have whatever it acknowledged."""
        if not self.may_lose(node):
            raise Skipped('another one has less')
        node.kill()
        others = [n for n in self.cluster.voters if n is not node]
        # They must be seen serving after it went.
        killed = time.monotonic()
        yield from self.until(lambda: self.cluster.leader() and all(
            n.serves() and n.seen.at > killed + 1 for n in others))
        if not all(n.serves() for n in others) or self.less:
            node.start()
            raise Skipped('the others are not all in service')
        self.less.add(node.index)
        node.seen = None
        node.forget_journal()
        self.say('damage %s' % damage(node.member.data_dir, fault.random))
        yield fault.seconds
        node.start()

    def do_forgotten(self, fault, *nodes):
        """Some are down while the others commit; of these all but one are
        emptied, the one is down, and the others are up: nobody has what was
        committed, so nobody may lead. The one comes back, and they serve."""
        most = (len(nodes) - 1) // 2
        behind, emptied, last = nodes[:most], nodes[most:-1], nodes[-1]
        if self.less or not emptied:
            raise Skipped('another one has less')
        for node in behind:
            node.kill()
        yield from self.until(lambda: self.cluster.leader() not in
                              (None, *behind))
        if not all(n.serves() for n in (*emptied, last)):
            raise Skipped('no quorum of the others')
        yield fault.random.choice([0.5, 1, 2])
        for node in (*emptied, last):
            node.kill()
        for node in emptied:
            self.less.add(node.index)
            node.forget_journal()
            node.member.wipe()
        for node in (*behind, *emptied):
            node.start()
        end = time.monotonic() + fault.seconds
        while time.monotonic() < end:
            leader = self.cluster.leader()
            if leader is not None:
                self.finding('server %d leads, though only server %d, which '
                             'is down, has what was committed' % (
                                 leader.id, last.id))
                return
            yield STEP_S
        last.start()

    # Time

    def do_clock(self, fault, node):
        jump_ms = fault.random.choice([-1, 1]) * fault.random.choice(
            [500, 5000, 60000, 86400000])
        node.disk.shift_clock(jump_ms)
        yield max(fault.seconds, 2)
        node.disk.shift_clock(0)


def damage(directory, rng):
    """Flips bytes in one file, or takes its end; gives what was done."""
    files = []
    for where, _, names in os.walk(directory):
        files += [os.path.join(where, name) for name in names
                  if name not in ('myid', 'lock', 'LOCK', 'reserve', 'LOG')]
    files = sorted(f for f in files if os.path.getsize(f) > 0)
    path = rng.choice(files)
    size = os.path.getsize(path)
    if rng.random() < 0.2:
        size = rng.randrange(size)
        os.truncate(path, size)
        return '%s: cut to %d bytes' % (path, size)
    # Log segments are allocated ahead: what is written is at their front.
    offsets = sorted({min(int(size * rng.random() ** 4), size - 1)
                      for _ in range(rng.choice([1, 1, 4, 64]))})
    with open(path, 'r+b') as f:
        for offset in offsets:
            f.seek(offset)
            old = f.read(1)[0]
            f.seek(offset)
            f.write(bytes([old ^ 1 << rng.randrange(8)]))
    return '%s: bits at %s' % (path, offsets[:8])

