"""An ensemble that things can be done to: its servers in a network of their
own where there is one, each over a disk that can lose power
(tests/support/shim.c), watched all the time."""

import os
import random
import struct
import threading
import time

import ensemble
import shim_disk

POLL_S = 0.1
ANSWER_S = 0.5
SERVING = ('leader', 'follower', 'observer', 'standalone')
CONFIG = '''tickTime=500
minSessionTimeout=2000
maxSessionTimeout=20000
initLimit=20
diskReserve=%(reserve)d
preAllocSize=%(segment)d
checkpointRecords=%(checkpoint)d
linearizableReads=%(reads)s
'''
APACHE_CONFIG = '''tickTime=500
minSessionTimeout=2000
maxSessionTimeout=20000
initLimit=20
snapCount=%(checkpoint)d
preAllocSize=%(segment)d
'''
DISK_RESERVE = 4 << 20


class Seen:
    """What a server said of itself, and when."""

    def __init__(self, start, info):
        self.start = start  # number of its start
        self.mode = info.get('Mode')
        self.zxid = int(info.get('Zxid', '0'), 16)
        self.at = time.monotonic()


class Node:
    """A server, its disk, and what is known of it. Index = id - 1 = its node
    in the network."""

    def __init__(self, index, member, disk):
        self.index = index
        self.member = member
        self.disk = disk
        self.starts = 0
        self.started_at = 0
        self.down = True     # on purpose
        self.seen = None

    @property
    def id(self):
        return self.member.id

    def start(self):
        if not self.member.alive():
            self.starts += 1
            self.started_at = time.monotonic()
            self.member.start()
        self.down = False

    def kill(self, power='none', rng=None):
        """kill -9, and with the power what was not synced: all of it, a random
        part or none. Gives what was lost."""
        self.down = True
        self.member.kill()
        return self.cut_power(power, rng)

    def cut_power(self, power, rng=None):
        if self.disk is None or power == 'none' or \
                not os.path.exists(self.disk.journal):
            return None
        return self.disk.power_cut(power, rng or random)

    def sync_still_fails(self):
        return struct.unpack('<I', self.disk.control[0:4])[0] > 0

    def forget_journal(self):
        """Its files are about to be replaced from outside."""
        if self.disk is not None and os.path.exists(self.disk.journal):
            self.disk.power_cut('none', random)

    def serves(self):
        """The mode in which it served a moment ago, in this life; or None."""
        seen = self.seen
        if self.down or seen is None or seen.start != self.starts or \
                time.monotonic() - seen.at > 3 * (ANSWER_S + POLL_S):
            return None
        return seen.mode if seen.mode in SERVING else None


class Cluster:
    """network: a netns.Network or None. shim: the path of the preload library,
    or None. seed: draws the small limits in the configuration."""

    def __init__(self, servers, observers, directory, seed, kind='corral',
                 network=None, shim=None):
        rng = random.Random('cluster %d' % seed)
        drawn = {'reserve': DISK_RESERVE,
                 'segment': rng.choice([64, 256, 1024, 4096]),
                 'checkpoint': rng.choice([20, 200, 1000])}
        # A page cache syncs in no time: then power cuts find nothing unsynced.
        self.sync_us_max = rng.choice([0, 3000, 20000])
        # Reads that wait for a round are to be told from the writes behind them.
        drawn['reads'] = rng.choice(['off', 'off', 'all'])
        self.config = (CONFIG if kind == 'corral' else APACHE_CONFIG) % drawn
        self.kind = kind
        self.network = network
        self.ensemble = ensemble.Ensemble(
            servers, observers, kind, self.config,
            directory=os.path.join(directory, 'servers'), network=network)
        self.nodes = []
        for index, member in enumerate(self.ensemble.servers):
            disk = None
            if shim and kind == 'corral':
                disk = shim_disk.ShimDisk(shim, member.data_dir)
                disk.delay_syncs(self.sync_us_max)
                member.env.update(disk.env)
            self.nodes.append(Node(index, member, disk))
        self.voters = [n for n in self.nodes if not n.member.observer]
        self.done = threading.Event()
        self.watchers = [threading.Thread(target=self._watch, args=(node,),
                                          daemon=True) for node in self.nodes]

    @property
    def hosts(self):
        return self.ensemble.hosts

    def start(self, deadline_s=60):
        for node in self.nodes:
            node.starts += 1
            node.down = False
        self.ensemble.start()
        self.ensemble.wait_serving(deadline_s)
        for watcher in self.watchers:
            watcher.start()

    def leader(self):
        """The node that leads, as far as it is known; None."""
        leading = [n for n in self.voters if n.serves() in ('leader', 'standalone')]
        return max(leading, key=lambda n: n.seen.zxid, default=None)

    def in_service(self):
        """All of them serve, and one leads."""
        return self.leader() is not None and \
            all(node.serves() for node in self.nodes)

    def mend_disk(self, node):
        if node.disk is not None:
            node.disk.heal()
            node.disk.delay_syncs(self.sync_us_max)

    def crashed(self):
        """Those that ended though nobody wanted it, once for each end."""
        found = []
        for node in self.nodes:
            if not node.down and not node.member.alive():
                node.down = True
                found.append(node)
        return found

    def close(self):
        self.done.set()
        for watcher in self.watchers:
            if watcher.ident is not None:
                watcher.join()
        self.ensemble.close()
        for node in self.nodes:
            if node.disk is not None:
                node.disk.close()

    def _watch(self, node):
        while not self.done.wait(POLL_S):
            start = node.starts
            if not node.down:
                node.seen = Seen(start, node.member.info(ANSWER_S))
